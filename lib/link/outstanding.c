/* SPDX-License-Identifier: Apache-2.0 */
/* See outstanding.h. */
#include "link/outstanding.h"

#include <fwrecover/platform.h>

static void rest(struct fwr_outstanding *outstanding, struct fwr_outstanding_request *request,
                 uint64_t now)
{
    request->state = FWR_OUTSTANDING_RESTING;
    request->since = now;
    outstanding->waiting--;
}

/* Gives up a repetition's forerunner, and the oldest of too many. */
static void make_room(struct fwr_outstanding *outstanding, uint64_t now, uint8_t window,
                      uint8_t command, uint8_t cookie)
{
    struct fwr_outstanding_request *oldest = NULL;

    for (unsigned i = 0; i < FWR_OUTSTANDING_SEQUENCES; i++) {
        struct fwr_outstanding_request *request = &outstanding->requests[i];

        if (request->state != FWR_OUTSTANDING_WAITING)
            continue;
        if (request->command == command && request->cookie == cookie)
            rest(outstanding, request, now);
        else if (oldest == NULL || request->since < oldest->since)
            oldest = request;
    }
    if (oldest != NULL && outstanding->waiting >= window)
        rest(outstanding, oldest, now);
}

/* Free, or rested long enough, in turn; else the one that has rested longest. */
static uint8_t choose(const struct fwr_outstanding *outstanding, uint64_t now)
{
    uint64_t longest = FWR_NEVER;
    uint8_t chosen = outstanding->next;

    for (uint8_t i = 0; i < FWR_OUTSTANDING_SEQUENCES; i++) {
        uint8_t number = (uint8_t)((outstanding->next + i) % FWR_OUTSTANDING_SEQUENCES);
        const struct fwr_outstanding_request *request = &outstanding->requests[number];

        if (request->state == FWR_OUTSTANDING_WAITING)
            continue;
        if (request->state == FWR_OUTSTANDING_FREE ||
            now >= request->since + FWR_OUTSTANDING_REST_MS)
            return number;
        if (request->since < longest) {
            longest = request->since;
            chosen = number;
        }
    }
    return chosen;
}

uint8_t fwr_outstanding_add(struct fwr_outstanding *outstanding, uint64_t now, uint8_t window,
                            uint8_t command, uint8_t cookie)
{
    uint8_t sequence;

    make_room(outstanding, now, window, command, cookie);
    sequence = choose(outstanding, now);
    outstanding->requests[sequence] = (struct fwr_outstanding_request){
        .state = FWR_OUTSTANDING_WAITING, .command = command, .cookie = cookie, .since = now};
    outstanding->next = (uint8_t)((sequence + 1) % FWR_OUTSTANDING_SEQUENCES);
    outstanding->waiting++;
    return sequence;
}

void fwr_outstanding_undo(struct fwr_outstanding *outstanding, uint8_t sequence)
{
    outstanding->requests[sequence].state = FWR_OUTSTANDING_FREE;
    outstanding->next = sequence;
    outstanding->waiting--;
}

bool fwr_outstanding_take(struct fwr_outstanding *outstanding, uint8_t sequence, bool *late)
{
    struct fwr_outstanding_request *request =
        &outstanding->requests[sequence % FWR_OUTSTANDING_SEQUENCES];

    if (request->state == FWR_OUTSTANDING_FREE)
        return false;
    *late = request->state == FWR_OUTSTANDING_RESTING;
    if (!*late)
        outstanding->waiting--;
    request->state = FWR_OUTSTANDING_FREE;
    return true;
}

void fwr_outstanding_expire(struct fwr_outstanding *outstanding, uint64_t now, uint64_t before)
{
    for (unsigned i = 0; i < FWR_OUTSTANDING_SEQUENCES; i++) {
        struct fwr_outstanding_request *request = &outstanding->requests[i];

        if (request->state == FWR_OUTSTANDING_WAITING && request->since <= before)
            rest(outstanding, request, now);
    }
}

uint64_t fwr_outstanding_oldest(const struct fwr_outstanding *outstanding)
{
    uint64_t oldest = FWR_NEVER;

    for (unsigned i = 0; i < FWR_OUTSTANDING_SEQUENCES; i++) {
        const struct fwr_outstanding_request *request = &outstanding->requests[i];

        if (request->state == FWR_OUTSTANDING_WAITING && request->since < oldest)
            oldest = request->since;
    }
    return oldest;
}
