/* SPDX-License-Identifier: Apache-2.0 */
/* See pending.h. */
#include "link/pending.h"

#include <fwrecover/platform.h>

static void rest(struct fwr_pending *pending, struct fwr_pending_request *request, uint64_t now)
{
    request->state = FWR_PENDING_RESTING;
    request->since = now;
    pending->waiting--;
}

/* Gives up a repetition's forerunner, and the oldest of too many. */
static void make_room(struct fwr_pending *pending, uint64_t now, uint8_t window, uint8_t command,
                      uint8_t cookie)
{
    struct fwr_pending_request *oldest = NULL;

    for (unsigned i = 0; i < FWR_PENDING_SEQUENCES; i++) {
        struct fwr_pending_request *request = &pending->requests[i];

        if (request->state != FWR_PENDING_WAITING)
            continue;
        if (request->command == command && request->cookie == cookie)
            rest(pending, request, now);
        else if (oldest == NULL || request->since < oldest->since)
            oldest = request;
    }
    if (oldest != NULL && pending->waiting >= window)
        rest(pending, oldest, now);
}

/* Free, or rested long enough, in turn; else the one that has rested longest. */
static uint8_t choose(const struct fwr_pending *pending, uint64_t now)
{
    uint64_t longest = FWR_NEVER;
    uint8_t chosen = pending->next;

    for (uint8_t i = 0; i < FWR_PENDING_SEQUENCES; i++) {
        uint8_t number = (uint8_t)((pending->next + i) % FWR_PENDING_SEQUENCES);
        const struct fwr_pending_request *request = &pending->requests[number];

        if (request->state == FWR_PENDING_WAITING)
            continue;
        if (request->state == FWR_PENDING_FREE || now >= request->since + FWR_PENDING_REST_MS)
            return number;
        if (request->since < longest) {
            longest = request->since;
            chosen = number;
        }
    }
    return chosen;
}

uint8_t fwr_pending_add(struct fwr_pending *pending, uint64_t now, uint8_t window, uint8_t command,
                        uint8_t cookie)
{
    uint8_t sequence;

    make_room(pending, now, window, command, cookie);
    sequence = choose(pending, now);
    pending->requests[sequence] = (struct fwr_pending_request){
        .state = FWR_PENDING_WAITING, .command = command, .cookie = cookie, .since = now};
    pending->next = (uint8_t)((sequence + 1) % FWR_PENDING_SEQUENCES);
    pending->waiting++;
    return sequence;
}

void fwr_pending_undo(struct fwr_pending *pending, uint8_t sequence)
{
    pending->requests[sequence].state = FWR_PENDING_FREE;
    pending->next = sequence;
    pending->waiting--;
}

bool fwr_pending_take(struct fwr_pending *pending, uint8_t sequence, bool *late)
{
    struct fwr_pending_request *request = &pending->requests[sequence % FWR_PENDING_SEQUENCES];

    if (request->state == FWR_PENDING_FREE)
        return false;
    *late = request->state == FWR_PENDING_RESTING;
    if (!*late)
        pending->waiting--;
    request->state = FWR_PENDING_FREE;
    return true;
}

void fwr_pending_expire(struct fwr_pending *pending, uint64_t now, uint64_t before)
{
    for (unsigned i = 0; i < FWR_PENDING_SEQUENCES; i++) {
        struct fwr_pending_request *request = &pending->requests[i];

        if (request->state == FWR_PENDING_WAITING && request->since <= before)
            rest(pending, request, now);
    }
}

uint64_t fwr_pending_oldest(const struct fwr_pending *pending)
{
    uint64_t oldest = FWR_NEVER;

    for (unsigned i = 0; i < FWR_PENDING_SEQUENCES; i++) {
        const struct fwr_pending_request *request = &pending->requests[i];

        if (request->state == FWR_PENDING_WAITING && request->since < oldest)
            oldest = request->since;
    }
    return oldest;
}
