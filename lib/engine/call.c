/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: see call.h. One call is on its way at a time, and the next one waits until the place
 * that was promised is taken: so a donor fills its places within some round trips, and calls
 * nobody in vain while there are many who wait.
 */
#include "call.h"

#include <string.h>

#include "repair.h"
#include "request.h"
#include "transfer.h"

#define TAKEN_MS 100 /* who accepted a call and has not come by then may be slow, or gone */
/* Refusals in a row: hardly anybody waits any more. Who is repaired already says more about the
 * others than who is being repaired. */
#define REFUSED_MAX 4
#define HEALTHY     2
#define VAIN_MAX    4 /* calls of one peer that led to nothing: it is not followed again */

void fwr_call_reset(struct fwr_recipient *r)
{
    r->called = FWR_NONE;
    r->refused = 0;
    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        r->peers[i].calls_vain = 0;
        r->peers[i].was_called = r->peers[i].asks = false;
    }
}

/* ---- being called ---- */

uint8_t fwr_call_heard(struct fwr_recipient *r, const struct fwr_caller *caller,
                       const struct fwr_offer_request *offer)
{
    uint8_t peer = (uint8_t)(caller->peer - 1);

    if (fwr_at_rest(r) || caller->peer == 0 || peer >= r->config.peer_count ||
        r->peers[peer].calls_vain >= VAIN_MAX)
        return FWR_OFFER_NOT_WANTED;
    if (r->resumed && memcmp(r->id, offer->tag, FWR_TAG_SIZE) != 0)
        return FWR_OFFER_NOT_WANTED;
    if (r->phase != FWR_PHASE_BACKOFF || r->called != FWR_NONE || r->deadline <= r->now)
        return FWR_OFFER_BUSY;
    r->called = peer;
    r->resume_at = r->deadline;
    r->deadline = r->now;
    return FWR_OFFER_ACCEPTED;
}

bool fwr_call_followed(const struct fwr_recipient *r)
{
    return r->called != FWR_NONE;
}

void fwr_call_vain(struct fwr_recipient *r, int reason)
{
    struct fwr_donor_peer *p = &r->peers[r->called];

    p->calls_vain++;
    p->asked = 0;
    r->called = FWR_NONE;
    fwr_repair_owe(r);
    fwr_repair_reset(r);
    fwr_transfer_end_all(r, (uint8_t)-reason);
    fwr_recipient_enter(r, FWR_PHASE_BACKOFF);
    r->deadline = r->resume_at;
}

/* ---- calling ---- */

static bool calling(const struct fwr_recipient *r)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (r->pending[i].state != FWR_PENDING_FREE && r->pending[i].purpose == FWR_PURPOSE_CALL)
            return true;
    return false;
}

void fwr_recipient_asked(struct fwr_recipient *r, uint8_t peer)
{
    if (peer < r->config.peer_count)
        r->peers[peer].asks = true;
}

/* A peer not called yet, drawn at random, or FWR_NONE. Those who asked come first. */
static uint8_t next_peer(struct fwr_recipient *r)
{
    const struct fwr_platform *platform = r->config.platform;
    uint8_t total = r->config.peer_count;
    uint8_t found = FWR_NONE;
    uint32_t first = 0;

    if (total == 0)
        return FWR_NONE;
    platform->random(platform->ctx, &first, sizeof(first));
    for (uint8_t i = 0; i < total; i++) {
        uint8_t peer = (uint8_t)((first % total + i) % total);
        const struct fwr_donor_peer *p = &r->peers[peer];
        if (p->was_called || p->reach != FWR_OK)
            continue;
        if (p->asks)
            return peer;
        if (found == FWR_NONE)
            found = peer;
    }
    return found;
}

int fwr_recipient_offer(struct fwr_recipient *r, uint64_t now, const uint8_t *tag, uint8_t places)
{
    struct fwr_pending *q;
    uint8_t peer;

    r->now = now;
    if (r->phase != FWR_PHASE_DONE || r->reason != FWR_OK || r->status.blocks_repaired == 0 ||
        r->refused >= REFUSED_MAX || memcmp(tag, r->id, FWR_TAG_SIZE) != 0)
        return FWR_OK;
    if (calling(r) || places == 0 || (places == r->places && r->deadline != FWR_NEVER))
        return FWR_PENDING;
    peer = next_peer(r);
    q = peer != FWR_NONE ? fwr_request_new(r, peer, FWR_PURPOSE_CALL) : NULL;
    if (q == NULL) {
        r->refused = REFUSED_MAX;
        return FWR_OK;
    }
    q->command = FWR_CMD_OFFER;
    r->peers[peer].was_called = true;
    r->places = places;
    r->deadline = FWR_NEVER;
    return FWR_PENDING;
}

void fwr_call_answered(struct fwr_recipient *r, int error, const uint8_t *data, size_t length)
{
    struct fwr_offer_reply reply = {.result = FWR_OFFER_NOT_WANTED};

    if (!error)
        error = fwr_offer_reply_decode(data, length, &reply);
    if (r->phase != FWR_PHASE_DONE)
        return;
    if (error || reply.result != FWR_OFFER_ACCEPTED) {
        r->refused += !error && reply.result == FWR_OFFER_BUSY ? 1 : HEALTHY;
        return;
    }
    r->refused = 0;
    r->deadline = r->now + TAKEN_MS;
}
