/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcasts: see broadcast.h. */
#include "engine/broadcast.h"

#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#define JOIN_MS      700   /* without a step of theirs nobody is waited for … */
#define JOIN_MOST_MS 15000 /* … nor longer than this */

static bool same(const struct fwr_broadcast *a, const struct fwr_broadcast *b)
{
    return a->link == b->link && a->image == b->image && a->epoch == b->epoch;
}

/* Whether the byte at `at` is queued; *until is moved back to where that changes. */
static bool is_queued(const struct fwr_broadcasts *b, const struct fwr_broadcast *range,
                      uint64_t at, uint64_t *until)
{
    for (uint8_t i = 0; i < b->count; i++) {
        const struct fwr_broadcast *q = &b->queue[i];
        if (!same(q, range) || q->end <= at)
            continue;
        if (q->at <= at) {
            *until = q->end;
            return true;
        }
        if (q->at < *until)
            *until = q->at;
    }
    return false;
}

int fwr_broadcasts_add(struct fwr_broadcasts *b, uint64_t now, const struct fwr_broadcast *range)
{
    if (b->count == 0) {
        b->begun = false;
        b->queued = now;
    }
    for (uint64_t at = range->at, until; at < range->end; at = until) {
        until = range->end;
        if (is_queued(b, range, at, &until))
            continue;
        if (b->count == FWR_BROADCASTS_MAX)
            return FWR_E_BUSY;
        b->queue[b->count] = *range;
        b->queue[b->count].at = at;
        b->queue[b->count++].end = until;
    }
    return FWR_OK;
}

void fwr_broadcasts_join(struct fwr_broadcasts *b, uint64_t now)
{
    b->joined = now;
}

uint64_t fwr_broadcasts_begin(const struct fwr_broadcasts *b)
{
    uint64_t quiet = b->joined + JOIN_MS, most = b->queued + JOIN_MOST_MS;

    if (b->count == 0)
        return FWR_NEVER;
    return b->begun ? 0 : quiet < most ? quiet : most;
}

struct fwr_broadcast *fwr_broadcasts_first(struct fwr_broadcasts *b, uint16_t link)
{
    for (uint8_t i = 0; i < b->count; i++)
        if (b->queue[i].link == link)
            return &b->queue[i];
    return NULL;
}

void fwr_broadcasts_sent(struct fwr_broadcasts *b, struct fwr_broadcast *range, uint64_t bytes)
{
    b->begun = true;
    if (bytes < range->end - range->at) {
        range->at += bytes;
        return;
    }
    b->count--;
    memmove(range, range + 1, (size_t)(&b->queue[b->count] - range) * sizeof(*range));
}
