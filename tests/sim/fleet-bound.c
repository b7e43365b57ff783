/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capacity bound of a storm, see fleet.h: how soon an ideal scheduler would be done that
 * knows at every moment who is damaged and who has a place free, under the same caps. Called
 * when a storm is measured, and by the program fleet_bound.
 *
 * All jobs are alike: open a session, five round trips of talk, then the blocks. A place at a
 * donor is taken from the first of them until all but the lanes' worth are fetched, since a
 * recipient buffers no more than its lanes and its flash takes what it takes; or longer, when
 * four such transfers would be more than the donor's cap. A repaired recipient brings four new
 * places, and not before: a donor gives only images that it has verified as a whole. Whoever
 * waits gets the first place that is free, at once: for equal jobs whose servers only become
 * more, no order and no idling can do better. The scheduler pays for no discovery, no busy
 * answer, no loss, no queue in the network, and all of its round trips are those inside a rack.
 */
#include "tests/sim/fleet.h"

#define LANES      4u
#define TALK_TRIPS 5u /* Request Image, Read Manifest, Accept Offer, Read Tree, first block */

struct heap {
    double *at;
    size_t count;
};

static void add(struct heap *heap, double at)
{
    size_t i = heap->count++;

    while (i > 0 && at < heap->at[(i - 1) / 2]) {
        heap->at[i] = heap->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->at[i] = at;
}

static double take(struct heap *heap)
{
    double first = heap->at[0], last = heap->at[--heap->count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < heap->count) {
        if (child + 1 < heap->count && heap->at[child + 1] < heap->at[child])
            child++;
        if (heap->at[child] >= last)
            break;
        heap->at[i] = heap->at[child];
        i = child;
    }
    heap->at[i] = last;
    return first;
}

static int earlier(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Seconds of one job, and for how many of them it occupies a place at its donor. */
static void job(bool whole, double *all, double *place)
{
    uint32_t blocks = whole ? 1024 : FLEET_DAMAGE_BLOCKS;
    /* The guard block is erased first and programmed last even where it is undamaged. */
    uint32_t written = whole ? blocks : blocks + 1;
    double flash = FLEET_FLASH_US / 1e6, trip = FLEET_TRIP_NEAR_US / 1e6;
    double shared = (double)blocks * FLEET_BLOCK * FLEET_CAP_TRANSFERS / FLEET_CAP_BYTES;

    *place = (blocks - LANES) * flash;
    if (*place < shared)
        *place = shared;
    *all = (FLEET_SESSION_TRIPS + TALK_TRIPS) * trip + written * flash;
    if (*all < *place)
        *all = *place;
}

void fleet_bound(const struct fleet_options *o, double *p50, double *p99, double *p100)
{
    struct heap places = {
        .at = calloc((size_t)(o->nodes + o->seeds) * FLEET_CAP_TRANSFERS + 1, sizeof(*places.at))};
    double *done = calloc(o->nodes, sizeof(*done)), all, place;

    job(o->whole, &all, &place);
    for (uint32_t i = 0; i < o->seeds * FLEET_CAP_TRANSFERS; i++)
        add(&places, 0);
    for (uint32_t i = 0; i < o->nodes; i++) {
        double failed = (double)i / o->nodes * FLEET_STORM_US / 1e6, start = take(&places);
        if (start < failed)
            start = failed;
        add(&places, start + place);
        done[i] = start + all;
        for (uint32_t k = 0; k < FLEET_CAP_TRANSFERS; k++)
            add(&places, done[i]);
    }
    qsort(done, o->nodes, sizeof(*done), earlier);
    *p50 = done[((uint64_t)o->nodes * 500 + 999) / 1000 - 1];
    *p99 = done[((uint64_t)o->nodes * 990 + 999) / 1000 - 1];
    *p100 = done[o->nodes - 1];
    free(done);
    free(places.at);
}
