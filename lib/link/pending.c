/* SPDX-License-Identifier: Apache-2.0 */
/* See pending.h. */
#include "link/pending.h"

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

static void rest(struct fwr_pending *pending, struct fwr_pending_request *request, uint64_t now)
{
    request->state = FWR_PENDING_RESTING;
    request->since = now;
    pending->waiting--;
}

int fwr_pending_add(struct fwr_pending *pending, uint64_t now, uint8_t window, uint8_t command,
                    uint8_t cookie, uint8_t *sequence)
{
    int found = -1;

    for (uint8_t i = 0; i < FWR_PENDING_SEQUENCES; i++) {
        uint8_t number = (uint8_t)((pending->next + i) % FWR_PENDING_SEQUENCES);
        struct fwr_pending_request *request = &pending->requests[number];

        if (request->state == FWR_PENDING_WAITING && request->command == command &&
            request->cookie == cookie)
            rest(pending, request, now);
        if (request->state == FWR_PENDING_RESTING && now >= request->since + FWR_PENDING_REST_MS)
            request->state = FWR_PENDING_FREE;
        if (found < 0 && request->state == FWR_PENDING_FREE)
            found = number;
    }
    if (found < 0 || pending->waiting >= window)
        return FWR_E_BUSY;
    pending->requests[found] = (struct fwr_pending_request){
        .state = FWR_PENDING_WAITING, .command = command, .cookie = cookie, .since = now};
    pending->next = (uint8_t)((found + 1) % FWR_PENDING_SEQUENCES);
    pending->waiting++;
    *sequence = (uint8_t)found;
    return FWR_OK;
}

void fwr_pending_undo(struct fwr_pending *pending, uint8_t sequence)
{
    pending->requests[sequence].state = FWR_PENDING_FREE;
    pending->next = sequence;
    pending->waiting--;
}

bool fwr_pending_take(struct fwr_pending *pending, uint8_t sequence)
{
    struct fwr_pending_request *request = &pending->requests[sequence % FWR_PENDING_SEQUENCES];

    if (request->state != FWR_PENDING_WAITING)
        return false;
    request->state = FWR_PENDING_FREE;
    pending->waiting--;
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
