/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descent: see descent.h. It goes down in rounds, two levels at a time, since four
 * grandchildren cost fewer bytes than two exchanges; where most of a level differs it goes to
 * the leaves at once. The nodes of a round arrive straight in their place in the remote part:
 * until they are checked, nothing reads that place.
 *
 * Damage is mostly rare, so under a single node the last grandchild is presumed to be right in
 * the flash and not asked for; the parent's hash says whether that was so.
 */
#include "descent.h"

#include <string.h>

#include "fetch.h"

#define LEVELS_A_ROUND 2
#define DENSE_NODES    4    /* this many, and half of the level: take all leaves */
#define ASK_BYTES_MAX  4096 /* in one fetch of nodes */

static uint32_t width(const struct fwr_descent *d, uint8_t level)
{
    return fwr_tree_width(d->local->leaves, level);
}

/* The nodes of `next` under nodes first…end-1 of `level`. */
static uint32_t under(const struct fwr_descent *d, uint32_t node)
{
    uint32_t first = node << (d->level - d->next);
    uint32_t all = width(d, d->next);

    return first < all ? first : all;
}

static void mark(struct fwr_recipient *r, uint8_t level, uint32_t first, uint32_t end)
{
    struct fwr_descent *d = &r->descent;

    for (uint32_t i = first; i < end; i++)
        d->marks[i] = memcmp(fwr_tree_part_node(d->local, level, i),
                             fwr_tree_part_node(d->remote, level, i), d->local->hash_size) != 0;
}

void fwr_descent_begin(struct fwr_recipient *r, struct fwr_tree_part *local,
                       struct fwr_tree_part *remote, uint8_t *marks, uint8_t base_level,
                       uint32_t base_index)
{
    struct fwr_descent *d = &r->descent;

    memset(d, 0, sizeof(*d));
    d->local = local;
    d->remote = remote;
    d->marks = marks;
    d->base_level = base_level;
    d->base_index = base_index;
    d->level = (uint8_t)(fwr_tree_levels(local->leaves) - 1);
    for (size_t i = 0; i < FWR_TREE_FETCHES; i++)
        d->asks[i].fetch = FWR_NONE;
    memset(marks, 0, local->leaves);
    mark(r, d->level, 0, 1);
}

static uint32_t marked(const struct fwr_descent *d)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < width(d, d->level); i++)
        count += d->marks[i];
    return count;
}

/* Fetches nodes from…end-1 of `next` to their place. */
static uint8_t fetch_nodes(struct fwr_recipient *r, uint32_t from, uint32_t end, uint8_t source)
{
    struct fwr_descent *d = &r->descent;
    uint8_t size = d->local->hash_size, level = (uint8_t)(d->base_level + d->next);
    uint64_t offset = fwr_tree_offset(r->leaves, size, level, (d->base_index >> d->next) + from);

    return fwr_fetch_begin(r, FWR_OBJECT_TREE, (uint32_t)offset, (end - from) * size,
                           fwr_tree_part_node(d->remote, d->next, from), source);
}

/* Asks for the nodes under the next run of marked nodes. False when there is no more to ask
 * or no room to ask it. */
static bool ask(struct fwr_recipient *r)
{
    struct fwr_descent *d = &r->descent;
    uint32_t all = width(d, d->level), size = d->local->hash_size;
    size_t slot = 0;

    while (slot < FWR_TREE_FETCHES && d->asks[slot].fetch != FWR_NONE)
        slot++;
    while (d->cursor < all && !d->marks[d->cursor])
        d->cursor++;
    if (slot == FWR_TREE_FETCHES || d->cursor == all)
        return false;

    uint32_t first = d->cursor, end = first;
    do
        end++;
    while (end < all && d->marks[end] &&
           (under(d, end + 1) - under(d, first)) * size <= ASK_BYTES_MAX);

    d->asks[slot].first = first;
    d->asks[slot].end = end;
    d->asks[slot].presumed = end - first == 1 && under(d, end) - under(d, first) > 2;
    d->asks[slot].fetch =
        fetch_nodes(r, under(d, first), under(d, end) - d->asks[slot].presumed, FWR_NONE);
    if (d->asks[slot].fetch == FWR_NONE)
        return false;
    d->cursor = end;
    return true;
}

/* Rebuilds what lies under one node from what arrived; the node itself was authenticated
 * before and must come out the same. */
static int check(struct fwr_recipient *r, uint32_t node)
{
    struct fwr_descent *d = &r->descent;
    uint8_t *place = fwr_tree_part_node(d->remote, d->level, node);
    uint8_t expected[FWR_HASH_MAX];
    int error;

    memcpy(expected, place, d->local->hash_size);
    error = fwr_tree_part_build_under(d->remote, &r->hasher, d->next, d->level, node);
    if (error)
        return error;
    if (memcmp(expected, place, d->local->hash_size) == 0)
        return FWR_OK;
    memcpy(place, expected, d->local->hash_size);
    return FWR_E_TREE_NODE;
}

static void presume_last(struct fwr_descent *d, uint32_t node)
{
    memcpy(fwr_tree_part_node(d->remote, d->next, node),
           fwr_tree_part_node(d->local, d->next, node), d->local->hash_size);
}

/* The nodes of an ask do not give their parent: either the last one was presumed and is not
 * right, so it is asked for of the same donor; or the donor lied, and all are asked for again. */
static int fetch_rest(struct fwr_recipient *r, size_t slot)
{
    struct fwr_descent *d = &r->descent;
    uint8_t fetch = d->asks[slot].fetch, source = r->fetches[fetch].source;
    uint32_t from = under(d, d->asks[slot].first), end = under(d, d->asks[slot].end);

    if (!d->asks[slot].presumed) {
        const struct fwr_fetch *f = &r->fetches[fetch];
        bool again = fwr_fetch_wrong(r, fetch, FWR_E_TREE_NODE, f->offset);
        if (!again || f->length == (end - from) * d->local->hash_size)
            return again ? FWR_OK : FWR_E_DONORS_LOST;
        source = FWR_NONE;
    }
    fwr_fetch_free(r, fetch);
    d->asks[slot].fetch = fetch_nodes(r, d->asks[slot].presumed ? end - 1 : from, end, source);
    d->asks[slot].presumed = false;
    return FWR_OK;
}

/* Takes what has arrived. FWR_PENDING: something is still on its way. */
static int take(struct fwr_recipient *r, bool *progress)
{
    struct fwr_descent *d = &r->descent;
    int result = FWR_OK;

    for (size_t i = 0; i < FWR_TREE_FETCHES; i++) {
        uint8_t fetch = d->asks[i].fetch;
        int error = FWR_OK;
        if (fetch == FWR_NONE)
            continue;
        if (r->fetches[fetch].state != FWR_FETCH_DONE) {
            result = FWR_PENDING;
            continue;
        }
        *progress = true;
        if (d->asks[i].presumed)
            presume_last(d, under(d, d->asks[i].end) - 1);
        for (uint32_t n = d->asks[i].first; n < d->asks[i].end && !error; n++)
            error = check(r, n);
        if (error == FWR_E_TREE_NODE) {
            error = fetch_rest(r, i);
            if (error < 0)
                return error;
            result = FWR_PENDING;
            continue;
        }
        if (error)
            return error;
        fwr_fetch_free(r, fetch);
        d->asks[i].fetch = FWR_NONE;
    }
    return result;
}

/* Marks the nodes of the level just fetched. From the right, because the marks of the lower
 * level take the place of those of the upper one. */
static void go_down(struct fwr_recipient *r)
{
    struct fwr_descent *d = &r->descent;

    for (uint32_t n = width(d, d->level); n-- > 0;) {
        bool differs = d->marks[n] != 0;
        uint32_t first = under(d, n), end = under(d, n + 1);
        if (differs)
            mark(r, d->next, first, end);
        else
            memset(d->marks + first, 0, end - first);
    }
    d->level = d->next;
    d->fetching = false;
}

static void begin_round(struct fwr_descent *d)
{
    uint32_t count = marked(d);

    d->next = d->level > LEVELS_A_ROUND ? (uint8_t)(d->level - LEVELS_A_ROUND) : 0;
    if (count >= DENSE_NODES && count * 2 >= width(d, d->level))
        d->next = 0;
    d->cursor = 0;
    d->fetching = true;
}

int fwr_descent_step(struct fwr_recipient *r, bool *progress)
{
    struct fwr_descent *d = &r->descent;

    while (d->level > 0 && (d->fetching || marked(d) > 0)) {
        if (!d->fetching)
            begin_round(d);
        int error = take(r, progress);
        if (error < 0)
            return error;
        while (ask(r)) {
            *progress = true;
            error = FWR_PENDING;
        }
        if (error == FWR_PENDING || d->cursor < width(d, d->level))
            return FWR_PENDING;
        go_down(r);
        *progress = true;
    }
    if (d->level > 0) { /* nothing differs: there are no marks further down either */
        memset(d->marks, 0, d->local->leaves);
        d->level = 0;
    }
    return FWR_OK;
}
