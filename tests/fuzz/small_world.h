/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the stateful targets that fuzz a recipient: tests/sim/world.h with a chip of 16
 * blocks, two signed images that fit it, and what both targets ask of the flash and of a run
 * without faults.
 */
#ifndef FWR_TEST_FUZZ_SMALL_WORLD_H
#define FWR_TEST_FUZZ_SMALL_WORLD_H

#include "tests/fuzz/fuzz.h"
#include "tests/sim/world.h"

enum {
    BLOCKS = 16, /* 8 to 11 are preserved, 12 and 13 filled */
    BLOCK = 512,
    SIZE = BLOCKS * BLOCK,
    TURNS_MAX = 30000, /* until a run without faults must have ended */
    AT_ONCE_MAX = 3000 /* turns without any time passing */
};

static struct world w;
static struct given_image image, newer;

static inline void make_images(void)
{
    image = (struct given_image){
        .blocks = BLOCKS, .block_size = BLOCK, .sequence = 7, .security_version = 3, .seed = 1};
    newer = (struct given_image){
        .blocks = BLOCKS, .block_size = BLOCK, .sequence = 8, .security_version = 4, .seed = 2};
    require(given_image_make(&image) == FWR_OK && given_image_make(&newer) == FWR_OK);
}

/* Whether all that the image writes is as it should be. */
static inline bool body_right(const struct given_image *of)
{
    const struct fwr_manifest *m = &of->manifest;

    for (uint16_t i = 0; i < m->map.count; i++) {
        const struct fwr_region *r = &m->map.regions[i];

        if (r->kind == FWR_REGION_WRITE &&
            memcmp(w.cells + r->offset, of->bytes + r->offset, r->length) != 0)
            return false;
    }
    return true;
}

/* The same with what is filled. */
static inline bool all_right(const struct given_image *of)
{
    const struct fwr_manifest *m = &of->manifest;

    for (uint16_t i = 0; i < m->map.count; i++) {
        const struct fwr_region *r = &m->map.regions[i];
        const uint8_t *cells = w.cells + r->offset;

        if (r->kind == FWR_REGION_FILL &&
            (cells[0] != r->fill || memcmp(cells, cells + 1, r->length - 1) != 0))
            return false;
    }
    return body_right(of);
}

/* Whether Set Policy has been tightened beyond what the images can satisfy. */
static inline bool policy_forbids(void)
{
    return w.rules.min_sequence > image.sequence || w.rules.media_refused & 1 << FWR_MEDIUM_LAN;
}

/* Until the recipient rests, which it must do soon: it may not go round in circles. */
static inline void run_to_rest(void (*turn)(void), void (*prove_boot)(void))
{
    uint64_t moment = w.now;
    unsigned turns = 0, at_once = 0;
    uint8_t state;

    do {
        prove_boot();
        turn();
        at_once = w.now == moment ? at_once + 1 : 0;
        moment = w.now;
        require(at_once < AT_ONCE_MAX && ++turns < TURNS_MAX);
        state = world_status(&w).state;
    } while (state != FWR_STATE_DONE && state != FWR_STATE_FAILED && state != FWR_STATE_IDLE);
}

#endif
