/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens next in a simulation: a binary heap of events by time and, among those of one
 * moment, by the order in which they were posted; so that a seed gives one run only.
 */
#ifndef FWR_TEST_QUEUE_H
#define FWR_TEST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_event {
    uint64_t at;
    uint64_t order;
    uint32_t who;  /* a node's number */
    uint32_t life; /* of it when this was posted, for those who want to know */
    uint8_t kind;
    void *what; /* a message, or NULL */
};

/* All zero is an empty queue. */
struct queue {
    struct queue_event *heap;
    size_t count, room;
    uint64_t order;
};

/* Adds an event; its order is set here. Aborts without memory. */
void queue_post(struct queue *q, struct queue_event event);
/* Takes the first event; the queue must not be empty. */
struct queue_event queue_take(struct queue *q);
/* Frees the memory; what the events hold is the caller's. */
void queue_free(struct queue *q);

#endif
