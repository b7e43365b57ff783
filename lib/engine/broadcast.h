/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcasts: what the donor sends once for everybody on a road who wants it. A queue of chip
 * ranges for each link; what is queued already is not queued again. Called by the donor; reads
 * no source and sends nothing.
 */
#ifndef FWR_LIB_ENGINE_BROADCAST_H
#define FWR_LIB_ENGINE_BROADCAST_H

#include <stdbool.h>
#include <stdint.h>

#define FWR_BROADCASTS_MAX 64 /* as many as the lanes of a bus full of recipients may want */

/* Chip addresses at … end - 1 of one image, to be sent on one link. */
struct fwr_broadcast {
    uint64_t at, end;
    uint32_t epoch; /* of the image */
    uint16_t link;
    uint8_t image;
};

struct fwr_broadcasts {
    struct fwr_broadcast queue[FWR_BROADCASTS_MAX];
    uint8_t count;
    bool begun;      /* something of the queue was sent, or may be */
    uint64_t queued; /* when it was empty last */
    uint64_t joined; /* when somebody last got nearer to asking for blocks */
};

/* Queues what of a range is not queued yet. FWR_OK, or FWR_E_BUSY when the queue is full: part of
 * the range may have been queued then, which does no harm. */
int fwr_broadcasts_add(struct fwr_broadcasts *b, uint64_t now, const struct fwr_broadcast *range);

/* Somebody on a link that has broadcasts opened a transfer, or reads the tree. */
void fwr_broadcasts_join(struct fwr_broadcasts *b, uint64_t now);

/* When sending may begin: those who will want the same blocks soon are waited for, as long as they
 * go on; not for ever. FWR_NEVER when nothing is queued. */
uint64_t fwr_broadcasts_begin(const struct fwr_broadcasts *b);

/* The oldest range of a link, or NULL. */
struct fwr_broadcast *fwr_broadcasts_first(struct fwr_broadcasts *b, uint16_t link);

/* So many bytes of a range were sent; UINT64_MAX: no more of it will be. */
void fwr_broadcasts_sent(struct fwr_broadcasts *b, struct fwr_broadcast *range, uint64_t bytes);

#endif
