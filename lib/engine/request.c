/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: see request.h.
 */
#include "request.h"

#include <string.h>

#define FIRST_TIMEOUT_MS 1000 /* before anything was measured */
#define RATE_LEAST_MS    200  /* less is too short to measure a rate by */
#define MIN_TIMEOUT_MS   60   /* a busy single-threaded BMC may need this long */

uint8_t fwr_request_window(const struct fwr_recipient *r, const struct fwr_donor_peer *p)
{
    uint8_t window = p->limits.window;

    if (p->transfer_state == FWR_TRANSFER_OPEN && p->window < window)
        window = p->window;
    if (p == &r->peers[fwr_push_peer(r)])
        return 0;
    if (p->allowed < window)
        window = p->allowed;
    return window;
}

bool fwr_request_is_line(const struct fwr_donor_peer *p)
{
    return p->limits.medium == FWR_MEDIUM_ICMB || p->limits.medium == FWR_MEDIUM_SERIAL;
}

uint32_t fwr_request_timeout(const struct fwr_donor_peer *p)
{
    uint32_t ms = FIRST_TIMEOUT_MS, mean = p->round_trip / 8;

    /* At least twice the mean: others may want the road too. */
    if (p->measured)
        ms = mean + (p->variation > mean ? p->variation : mean) + 1;
    else if (p->limits.round_trip_ms > 0)
        ms = p->limits.round_trip_ms * 4;
    if (ms < MIN_TIMEOUT_MS)
        ms = MIN_TIMEOUT_MS;
    return ms > FWR_TIMEOUT_MAX_MS ? FWR_TIMEOUT_MAX_MS : ms;
}

/* Jacobson's estimator, as in RFC 6298. */
static void measure(struct fwr_donor_peer *p, uint64_t sample_ms)
{
    uint32_t sample = sample_ms > FWR_TIMEOUT_MAX_MS ? FWR_TIMEOUT_MAX_MS : (uint32_t)sample_ms;

    if (!p->measured) {
        p->measured = true;
        p->round_trip = sample * 8;
        p->variation = sample * 2;
        return;
    }
    uint32_t mean = p->round_trip / 8;
    uint32_t error = sample > mean ? sample - mean : mean - sample;
    p->round_trip += sample;
    p->round_trip -= mean;
    p->variation += error;
    p->variation -= p->variation / 4;
}

void fwr_request_answered(struct fwr_recipient *r, const struct fwr_pending *q)
{
    if (q->tries == 0 && q->busy == 0)
        measure(&r->peers[q->peer], (r->now - q->sent) / (1u + q->ahead));
}

void fwr_request_measure_rate(struct fwr_recipient *r, struct fwr_donor_peer *p)
{
    uint64_t took = r->now - p->rate_since, rate;

    if (took >= RATE_LEAST_MS) {
        rate = (uint64_t)p->rate_bytes * 1000 / took;
        rate = p->rate ? (3 * (uint64_t)p->rate + rate) / 4 : rate;
        p->rate = rate < UINT32_MAX ? (uint32_t)rate + 1 : UINT32_MAX;
    }
    p->rate_since = r->now;
    p->rate_bytes = 0;
}

void fwr_request_late(struct fwr_donor_peer *p)
{
    measure(p, fwr_request_timeout(p));
}

struct fwr_pending *fwr_request_new(struct fwr_recipient *r, uint8_t peer, uint8_t purpose)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->state != FWR_PENDING_FREE)
            continue;
        memset(q, 0, sizeof(*q));
        q->purpose = purpose;
        fwr_request_queue(r, q, peer, r->now);
        return q;
    }
    return NULL;
}

/* Takes a request from the counts of its peer. */
static void leave(struct fwr_recipient *r, struct fwr_pending *q)
{
    if (q->state != FWR_PENDING_QUEUED && q->state != FWR_PENDING_SENT)
        return;
    r->peers[q->peer].in_flight--;
    if (q->state != FWR_PENDING_SENT)
        return;
    r->peers[q->peer].sent--;
    fwr_cookie_lost(&r->peers[q->peer].cookies, q->cookie, r->now); /* unless it was answered */
}

void fwr_request_queue(struct fwr_recipient *r, struct fwr_pending *q, uint8_t peer, uint64_t due)
{
    leave(r, q);
    q->state = FWR_PENDING_QUEUED;
    q->peer = peer;
    q->due = due;
    r->peers[peer].in_flight++;
}

void fwr_request_sent(struct fwr_recipient *r, struct fwr_pending *q)
{
    const struct fwr_donor_peer *p = &r->peers[q->peer];
    uint64_t wait = fwr_request_timeout(p);

    q->state = FWR_PENDING_SENT;
    q->sent = r->now;
    q->ahead = fwr_request_is_line(p) ? p->sent : 0; /* waits for those before it */
    /* Doubled every second time: on a road that loses a third of everything, losses in a row are
     * common, and doubling each time would take such a donor for a dead one. */
    wait = wait * (1u + q->ahead) << (q->tries < 10 ? q->tries / 2 : 5);
    q->due = r->now + (wait < FWR_TIMEOUT_MAX_MS ? wait : FWR_TIMEOUT_MAX_MS);
    r->peers[q->peer].sent++;
}

void fwr_request_want(struct fwr_recipient *r, struct fwr_pending *q)
{
    leave(r, q);
    q->state = FWR_PENDING_WANTED;
    q->peer = FWR_NONE;
    q->due = FWR_NEVER;
    q->tries = q->busy = 0;
}

void fwr_request_listen(struct fwr_recipient *r, struct fwr_pending *q, uint64_t due)
{
    leave(r, q);
    q->state = FWR_PENDING_LISTENING;
    q->sent = r->now;
    q->due = due;
}

void fwr_request_free(struct fwr_recipient *r, struct fwr_pending *q)
{
    leave(r, q);
    q->state = FWR_PENDING_FREE;
}

bool fwr_request_room(const struct fwr_recipient *r, uint8_t peer)
{
    return r->peers[peer].sent < r->peers[peer].limits.window;
}

void fwr_request_forget(struct fwr_recipient *r, uint8_t peer)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->peer == peer && q->purpose != FWR_PURPOSE_END)
            fwr_request_free(r, q);
    }
}

struct fwr_pending *fwr_request_find(struct fwr_recipient *r, uint8_t peer, uint8_t command,
                                     uint8_t cookie)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->state == FWR_PENDING_SENT && q->peer == peer && q->command == command &&
            q->cookie == cookie)
            return q;
    }
    return NULL;
}
