/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of a simulation's events: see queue.h.
 */
#include "tests/sim/queue.h"

#include <stdlib.h>

static bool before(const struct queue_event *a, const struct queue_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void queue_post(struct queue *q, struct queue_event event)
{
    size_t i = q->count++;

    event.order = q->order++;
    if (q->count > q->room) {
        q->room = q->room * 2 + 256;
        q->heap = realloc(q->heap, q->room * sizeof(*q->heap));
        if (q->heap == NULL)
            abort();
    }
    while (i > 0 && before(&event, &q->heap[(i - 1) / 2])) {
        q->heap[i] = q->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->heap[i] = event;
}

struct queue_event queue_take(struct queue *q)
{
    struct queue_event first = q->heap[0], last = q->heap[--q->count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < q->count) {
        if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child]))
            child++;
        if (!before(&q->heap[child], &last))
            break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return first;
}

void queue_free(struct queue *q)
{
    free(q->heap);
    *q = (struct queue){0};
}
