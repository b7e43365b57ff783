/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads: see roads.h. Which medium is better is the policy's to say; within one medium the load of
 * each donor decides, not this.
 */
#include "roads.h"

#include "negotiate.h"
#include "request.h"
#include "transfer.h"

#define TRY_FIRST_MS 2000 /* between two tries of one road, doubled each time it is in vain … */
#define TRY_MOST_MS  60000
#define SERVED_BYTES 65536 /* … until it has brought so much */
#define NO_MEDIUM    UINT8_MAX

static uint8_t medium_of(const struct fwr_recipient *r, uint8_t peer)
{
    return peer == fwr_push_peer(r) ? r->pusher.medium : r->peers[peer].limits.medium;
}

/* As the policy orders two offers that differ in nothing else. No medium at all comes last. */
static int compare_media(const struct fwr_recipient *r, uint8_t a, uint8_t b)
{
    const struct fwr_policy *policy = r->config.policy;
    const struct fwr_offer offer_a = {.medium = a}, offer_b = {.medium = b};

    if (a == b || a == NO_MEDIUM || b == NO_MEDIUM)
        return a == b ? 0 : a == NO_MEDIUM ? 1 : -1;
    return policy->compare(policy->ctx, &offer_a, &offer_b);
}

/* The best medium with a transfer that is open, or with `opening` on its way to be. */
static uint8_t best_medium(const struct fwr_recipient *r, bool opening)
{
    uint8_t best = NO_MEDIUM;

    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        const struct fwr_donor_peer *p = &r->peers[i];
        bool counts = p->transfer_state == FWR_TRANSFER_OPEN ||
                      (opening && p->transfer_state == FWR_TRANSFER_ACCEPTING);
        if (counts && p->reach == FWR_OK && compare_media(r, medium_of(r, i), best) < 0)
            best = medium_of(r, i);
    }
    return best;
}

bool fwr_roads_carries(const struct fwr_recipient *r, uint8_t peer)
{
    const struct fwr_donor_peer *p = &r->peers[peer];

    return p->transfer_state == FWR_TRANSFER_OPEN && p->reach == FWR_OK &&
           compare_media(r, medium_of(r, peer), best_medium(r, false)) <= 0;
}

bool fwr_roads_useful(const struct fwr_recipient *r, uint8_t peer)
{
    return compare_media(r, medium_of(r, peer), best_medium(r, true)) <= 0;
}

void fwr_roads_opened(struct fwr_recipient *r, uint8_t peer)
{
    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        if (r->peers[i].transfer_state == FWR_TRANSFER_NONE ||
            compare_media(r, medium_of(r, i), medium_of(r, peer)) <= 0)
            continue;
        fwr_recipient_log(r, FWR_LOG_NOTICE, "%s (%s) takes over from %s (%s)",
                          fwr_peer_name(r, peer),
                          fwr_medium_name((enum fwr_medium)medium_of(r, peer)), fwr_peer_name(r, i),
                          fwr_medium_name((enum fwr_medium)medium_of(r, i)));
        fwr_transfer_leave(r, i);
    }
    r->look_up_at = r->now;
}

void fwr_roads_came(struct fwr_recipient *r, uint8_t peer)
{
    if (r->peers[peer].penalty == 0)
        r->peers[peer].try_at = r->now;
    r->look_up_at = r->now;
}

/* Whether a road is better than what carries now, and not in use. */
static bool is_better(const struct fwr_recipient *r, uint8_t peer, uint8_t carrying)
{
    const struct fwr_donor_peer *p = &r->peers[peer];

    return compare_media(r, medium_of(r, peer), carrying) < 0 &&
           p->transfer_state == FWR_TRANSFER_NONE && p->reach == FWR_OK;
}

static bool is_being_tried(const struct fwr_recipient *r, uint8_t peer)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (r->pending[i].state != FWR_PENDING_FREE && r->pending[i].peer == peer &&
            r->pending[i].purpose == FWR_PURPOSE_TRY)
            return true;
    return false;
}

/* A road that brought enough since it was last opened has earned a fresh start. */
static void pause_next(struct fwr_recipient *r, uint8_t peer)
{
    struct fwr_donor_peer *p = &r->peers[peer];

    if (p->try_pause == 0 || p->bytes - p->tried_bytes >= SERVED_BYTES)
        p->try_pause = TRY_FIRST_MS / 2;
    p->try_pause = p->try_pause < TRY_MOST_MS / 2 ? p->try_pause * 2 : TRY_MOST_MS;
    p->tried_bytes = p->bytes;
    p->try_at = r->now + p->try_pause;
}

void fwr_roads_lost(struct fwr_recipient *r, uint8_t peer)
{
    pause_next(r, peer);
    if (r->peers[peer].penalty > 0) /* a liar: not in this run, unless nobody else is left */
        r->peers[peer].try_at = FWR_NEVER;
    r->look_up_at = r->now;
}

void fwr_roads_look_up(struct fwr_recipient *r)
{
    uint64_t next = FWR_NEVER;
    uint8_t carrying;

    if (r->now < r->look_up_at || fwr_negotiate_is_pushed(r))
        return;
    carrying = best_medium(r, true);
    if (carrying == NO_MEDIUM)
        return;
    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        struct fwr_donor_peer *p = &r->peers[i];
        if (!is_better(r, i, carrying) || is_being_tried(r, i))
            continue;
        if (p->try_at <= r->now) {
            struct fwr_pending *q = fwr_request_new(r, i, FWR_PURPOSE_TRY);
            if (q)
                q->command = FWR_CMD_REQUEST_IMAGE;
            pause_next(r, i);
        }
        if (p->try_at < next)
            next = p->try_at;
    }
    r->look_up_at = next;
}

uint64_t fwr_roads_next_timeout(const struct fwr_recipient *r)
{
    return best_medium(r, true) == NO_MEDIUM || fwr_negotiate_is_pushed(r) ? FWR_NEVER
                                                                           : r->look_up_at;
}

void fwr_roads_tried(struct fwr_recipient *r, uint8_t peer, int error)
{
    r->look_up_at = r->now;
    if (error || !fwr_roads_useful(r, peer) || r->peers[peer].transfer_state != FWR_TRANSFER_NONE ||
        !fwr_negotiate_known(r, peer))
        return;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "%s (%s) has the image too: moving up to it",
                      fwr_peer_name(r, peer), fwr_medium_name((enum fwr_medium)medium_of(r, peer)));
    r->peers[peer].answer = FWR_OK;
    fwr_transfer_accept(r, peer);
}

uint32_t fwr_roads_rate(const struct fwr_recipient *r, uint8_t peer)
{
    const struct fwr_donor_peer *p = &r->peers[peer];
    uint64_t per_window = (uint64_t)(p->limits.max_reply - 1u) * p->limits.window;
    uint64_t trip = p->measured ? p->round_trip : p->limits.round_trip_ms * 8; /* eighths */

    if (p->rate > 0)
        return p->rate;
    if (trip == 0 && !p->measured)
        return 0;
    uint64_t rate = per_window * 8000 / (trip + 8);
    return rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
}
