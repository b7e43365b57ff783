/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole recoveries through the engines, in a world in a box: damage of every size, several
 * donors, bad networks, bad donors, bad flashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK     4096u
#define REASON(e) ((uint8_t) - (e))

static struct world w;

/* The layout of a 4 MiB OVMF flash: variables preserved, the rest written, boot block at the
 * top; with a fill region and some blank and repeated blocks, as real images have them. */
static void make_ovmf_like(struct given_image *image)
{
    static const struct fwr_region map[] = {
        {0, 132 * BLOCK, FWR_REGION_PRESERVE, 0, 0},
        {132 * BLOCK, 600 * BLOCK, FWR_REGION_WRITE, 0, 0},
        {732 * BLOCK, 32 * BLOCK, FWR_REGION_FILL, 0, 0x5a},
        {764 * BLOCK, 260 * BLOCK, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    uint64_t random = 4711;

    memset(image, 0, sizeof(*image));
    image->blocks = 1024;
    image->block_size = BLOCK;
    image->bytes = malloc(1024 * BLOCK);
    seeded_fill(&random, image->bytes, 1024 * BLOCK);
    memset(image->bytes + 200 * BLOCK, 0xff, 100 * BLOCK);
    for (uint32_t b = 400; b < 440; b++)
        memcpy(image->bytes + b * BLOCK, image->bytes + (b - 40) * BLOCK, BLOCK);
    image->manifest.map.count = 4;
    memcpy(image->manifest.map.regions, map, sizeof(map));
    assert_int_equal(given_image_make(image), FWR_OK);
}

static void make_small(struct given_image *image, uint32_t sequence)
{
    memset(image, 0, sizeof(*image));
    image->blocks = 64;
    image->sequence = sequence;
    assert_int_equal(given_image_make(image), FWR_OK);
}

static void assert_repaired(const struct given_image *image)
{
    struct fwr_status_page status = world_status(&w);

    assert_int_equal(status.reason, 0);
    assert_int_equal(status.state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, image));
    assert_int_equal(status.blocks_repaired, status.blocks_wrong);
    assert_false(w.host.held);
    assert_int_equal(w.host.violations, 0);
}

static void test_one_byte(void **state)
{
    struct given_image image;

    (void)state;
    make_small(&image, 7);
    world_init(&w, 1, &image, 0);
    world_add_donor(&w, &image);
    world_damage(&w, 5 * BLOCK + 100, 1);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired(&image);
    assert_int_equal(world_status(&w).blocks_fetched, 1);
    assert_int_equal(world_status(&w).blocks_repaired, 1);
    world_free(&w);
    given_image_free(&image);
}

/* One pattern: from a single byte to everything, scattered or in one piece. */
static void damage_pattern(const struct given_image *image, uint32_t pattern)
{
    const struct fwr_region_map *map = &image->manifest.map;
    uint32_t size = image->manifest.flash_size, pieces = 1, most = 1;

    switch (pattern % 5) {
    case 0:
        break;
    case 1:
        pieces = 1 + world_draw(&w, 40);
        most = BLOCK;
        break;
    case 2:
        most = 512 * 1024;
        break;
    case 3:
        pieces = 300;
        most = 3 * BLOCK;
        break;
    default:
        most = size;
    }
    while (pieces-- > 0) {
        uint32_t offset = most == size ? 0 : world_draw(&w, size);
        uint32_t end = most == size ? size : offset + 1 + world_draw(&w, most);
        for (uint16_t i = 0; i < map->count; i++) {
            const struct fwr_region *r = &map->regions[i];
            uint32_t from = offset > r->offset ? offset : r->offset;
            uint32_t to = end < r->offset + r->length ? end : r->offset + r->length;
            if (r->kind != FWR_REGION_PRESERVE && from < to)
                world_damage(&w, from, to - from);
        }
    }
}

static void test_200_damage_patterns(void **state)
{
    struct given_image image;

    (void)state;
    make_ovmf_like(&image);
    world_init(&w, 200, &image, 0);
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    for (uint32_t pattern = 0; pattern < 200; pattern++) {
        damage_pattern(&image, pattern);
        assert_int_equal(world_repair(&w), 0);
        assert_repaired(&image);
    }
    world_free(&w);
    given_image_free(&image);
}

static void test_more_than_one_lane_and_window_in_flight(void **state)
{
    struct given_image image;

    (void)state;
    make_ovmf_like(&image);
    world_init(&w, 3, &image, 0);
    w.delay_ms = 5;
    for (int i = 0; i < 3; i++)
        world_add_donor(&w, &image);
    damage_pattern(&image, 4);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired(&image);
    printf("# at once: %u requests, %u donors\n", w.most_in_flight, w.peers_in_flight);
    assert_true(w.most_in_flight >= 8);
    assert_int_equal(w.peers_in_flight, 3);
    world_free(&w);
    given_image_free(&image);
}

static void test_16_and_19_byte_limits(void **state)
{
    struct given_image image;

    (void)state;
    make_small(&image, 7);
    world_init(&w, 4, &image, 0);
    world_add_donor(&w, &image);
    w.peers[0].limits = (struct fwr_link_limits){.max_request = 16,
                                                 .max_reply = 19,
                                                 .window = 2,
                                                 .medium = FWR_MEDIUM_ICMB,
                                                 .round_trip_ms = 50};
    w.delay_ms = 25;
    world_damage(&w, 3 * BLOCK, 5 * BLOCK);
    world_damage(&w, 63 * BLOCK, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired(&image);
    printf("# longest request %zu, longest reply %zu\n", w.longest_request, w.longest_reply);
    assert_true(w.longest_request <= 16);
    assert_true(w.longest_reply <= 19);
    world_free(&w);
    given_image_free(&image);
}

static void test_bad_network(void **state)
{
    struct given_image image;

    (void)state;
    make_ovmf_like(&image);
    for (uint64_t seed = 0; seed < 5; seed++) {
        world_init(&w, 50 + seed, &image, 0);
        world_add_donor(&w, &image);
        world_add_donor(&w, &image);
        w.jitter_ms = 20;
        w.loss = 300;
        w.duplication = 100;
        w.corruption = seed == 4 ? 10 : 0;
        w.config.rounds = 100;
        damage_pattern(&image, 1);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_repaired(&image);
        world_free(&w);
    }
    given_image_free(&image);
}

static void test_all_but_one_donor_lie(void **state)
{
    struct given_image image;
    uint32_t lies = 0;

    (void)state;
    make_ovmf_like(&image);
    world_init(&w, 6, &image, 0);
    for (int i = 0; i < 5; i++)
        world_add_donor(&w, &image)->lie_every = i == 2 ? 0 : 1;
    damage_pattern(&image, 2);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired(&image);
    for (int i = 0; i < 5; i++)
        lies += w.donors[i].lies;
    printf("# %u lies told, none written\n", lies);
    assert_true(lies > 0);
    world_free(&w);
    given_image_free(&image);
}

static void test_donor_dies_in_mid_transfer(void **state)
{
    struct given_image image;

    (void)state;
    make_ovmf_like(&image);
    world_init(&w, 7, &image, 0);
    w.config.lanes = 4;
    world_add_donor(&w, &image)->die_after = 400;
    world_add_donor(&w, &image);
    damage_pattern(&image, 4);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired(&image);
    printf("# blocks fetched twice: %u\n", world_status(&w).blocks_refetched);
    assert_true(world_status(&w).blocks_refetched <= 15);
    world_free(&w);
    given_image_free(&image);
}

static void test_all_donors_die_and_one_returns(void **state)
{
    struct given_image image;

    (void)state;
    make_ovmf_like(&image);
    world_init(&w, 8, &image, 0);
    world_add_donor(&w, &image)->die_after = 400;
    damage_pattern(&image, 4);
    assert_int_equal(world_boot(&w), FWR_OK);
    w.config.rounds = 3;
    assert_int_equal(world_repair(&w), REASON(FWR_E_NO_DONOR));
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_true(w.host.held); /* half an image must not boot */
    w.donors[0].die_after = 0;
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
    world_free(&w);
    given_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_byte),
        cmocka_unit_test(test_200_damage_patterns),
        cmocka_unit_test(test_more_than_one_lane_and_window_in_flight),
        cmocka_unit_test(test_16_and_19_byte_limits),
        cmocka_unit_test(test_bad_network),
        cmocka_unit_test(test_all_but_one_donor_lie),
        cmocka_unit_test(test_donor_dies_in_mid_transfer),
        cmocka_unit_test(test_all_donors_die_and_one_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
