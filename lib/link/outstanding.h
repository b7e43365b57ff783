/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that a road without sessions has under way, by their 6-bit sequence numbers. A
 * number whose request was given up rests, so that a late reply cannot pass for another's, and is
 * known for what it is.
 * Called by the roads; knows no frame and no command's meaning.
 */
#ifndef FWR_LINK_OUTSTANDING_H
#define FWR_LINK_OUTSTANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FWR_OUTSTANDING_SEQUENCES 64
#define FWR_OUTSTANDING_REST_MS   10000 /* doc/WIRE.md section 2 */

struct fwr_outstanding_request {
    enum { FWR_OUTSTANDING_FREE, FWR_OUTSTANDING_WAITING, FWR_OUTSTANDING_RESTING } state;
    uint8_t command; /* enum fwr_command */
    uint8_t cookie;
    uint64_t since; /* when it was sent, or began to rest */
};

/* Zeroed: nothing under way. */
struct fwr_outstanding {
    struct fwr_outstanding_request requests[FWR_OUTSTANDING_SEQUENCES];
    uint8_t next;    /* number to try first: the one used longest ago */
    uint8_t waiting; /* how many wait */
};

/* The number for a new request. A request of the same command and cookie is repeated by it, and
 * given up; so is the oldest when `window` (less than FWR_OUTSTANDING_SEQUENCES) wait already,
 * because whoever asks knows the window, too, and has given one up. Of numbers that all rest, the
 * one that has rested longest is taken. */
uint8_t fwr_outstanding_add(struct fwr_outstanding *outstanding, uint64_t now, uint8_t window,
                            uint8_t command, uint8_t cookie);

/* The request was not sent after all: its number is free at once. */
void fwr_outstanding_undo(struct fwr_outstanding *outstanding, uint8_t sequence);

/* A reply came: true when one waits under this number, or did and rests, in which case *late. Its
 * command and cookie are still there until the next call. */
bool fwr_outstanding_take(struct fwr_outstanding *outstanding, uint8_t sequence, bool *late);

/* Gives up everything sent at `before` or earlier. */
void fwr_outstanding_expire(struct fwr_outstanding *outstanding, uint64_t now, uint64_t before);

/* When the oldest that waits was sent; FWR_NEVER. */
uint64_t fwr_outstanding_oldest(const struct fwr_outstanding *outstanding);

#endif
