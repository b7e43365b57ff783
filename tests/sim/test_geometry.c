/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometry: blocks and erase units of every ratio, regions that share a unit, guard blocks in
 * odd places, trees of every small shape, and devices that take their time over everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image image;

static void make(uint32_t blocks, uint32_t block_size, uint8_t hash)
{
    memset(&image, 0, sizeof(image));
    image.blocks = blocks;
    image.block_size = block_size;
    image.hash = hash;
}

/* A map of regions given by kind and length in blocks, ended by a length of 0; the last `write`
 * region is the boot region, and the guard is its last block unless `guard` says otherwise. */
struct stretch {
    uint8_t kind;
    uint32_t blocks;
};

static void map_of(const struct stretch *stretches)
{
    struct fwr_region_map *map = &image.manifest.map;
    uint32_t offset = 0;

    map->count = 0;
    for (; stretches->blocks > 0; stretches++) {
        struct fwr_region *r = &map->regions[map->count++];
        r->offset = offset;
        r->length = stretches->blocks * image.block_size;
        r->kind = stretches->kind;
        r->fill = r->kind == FWR_REGION_FILL ? 0x3c : 0;
        offset += r->length;
    }
    for (uint16_t i = map->count; i-- > 0;) {
        if (map->regions[i].kind != FWR_REGION_WRITE)
            continue;
        map->regions[i].flags = FWR_REGION_BOOT;
        return;
    }
}

static void damage_blocks(uint32_t first, uint32_t count)
{
    for (uint32_t b = first; b < first + count; b++) {
        const struct fwr_region *r = fwr_region_map_find(&image.manifest.map, b * image.block_size);
        if (r && r->kind != FWR_REGION_PRESERVE)
            world_damage(&w, b * image.block_size, image.block_size);
    }
}

static void assert_repaired(void)
{
    struct fwr_status_page status = world_status(&w);

    assert_int_equal(status.reason, 0);
    assert_int_equal(status.state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(status.blocks_repaired, status.blocks_wrong);
    assert_false(w.host.held);
    assert_int_equal(w.host.violations, 0);
}

/* One image on one chip: a little damage, much, and everything. */
static void run(uint32_t erase_size)
{
    assert_int_equal(given_image_make(&image), FWR_OK);
    for (uint32_t pattern = 0; pattern < 3; pattern++) {
        world_init(&w, 40 + pattern, &image, erase_size);
        world_add_donor(&w, &image);
        if (pattern == 0)
            damage_blocks(world_draw(&w, image.blocks), 1);
        for (uint32_t i = 0; pattern == 1 && i < 6; i++)
            damage_blocks(world_draw(&w, image.blocks), 1 + world_draw(&w, 3));
        if (pattern == 2)
            damage_blocks(0, image.blocks);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_repaired();
        world_free(&w);
    }
    given_image_free(&image);
}

static void test_sha_384(void **state)
{
    (void)state;
    make(64, 4096, FWR_HASH_SHA384);
    run(4096);
}

static void test_blocks_and_erase_units_of_every_ratio(void **state)
{
    static const struct stretch even[] = {{FWR_REGION_WRITE, 128},
                                          {FWR_REGION_PRESERVE, 128},
                                          {FWR_REGION_FILL, 128},
                                          {FWR_REGION_WRITE, 128},
                                          {FWR_REGION_WRITE, 0}};
    static const uint32_t blocks[] = {512, 4096, 8192, 65536};
    static const uint32_t units[] = {4096, 8192, 65536};

    (void)state;
    for (size_t b = 0; b < 4; b++) {
        for (size_t u = 0; u < 3; u++) {
            make(blocks[b] == 65536 ? 32 : 512, blocks[b], 0);
            if (blocks[b] < 65536)
                map_of(even);
            run(units[u]);
        }
    }
}

static void test_write_and_fill_mixed_in_one_unit(void **state)
{
    static const struct stretch mixed[] = {
        {FWR_REGION_WRITE, 5}, {FWR_REGION_FILL, 2},  {FWR_REGION_WRITE, 6}, {FWR_REGION_FILL, 19},
        {FWR_REGION_WRITE, 1}, {FWR_REGION_FILL, 15}, {FWR_REGION_WRITE, 9}, {FWR_REGION_FILL, 6},
        {FWR_REGION_WRITE, 1}, {FWR_REGION_WRITE, 0}};

    (void)state;
    make(64, 4096, 0);
    map_of(mixed);
    run(16 * 4096);
    make(64, 4096, 0);
    map_of(mixed);
    run(8192);
}

/* 40 leaves in segments of four, in units of 16 blocks: every unit straddles segments, the one
 * with the guard block too. */
static void test_units_straddling_segments(void **state)
{
    static const struct stretch stretches[] = {
        {FWR_REGION_WRITE, 22}, {FWR_REGION_FILL, 24}, {FWR_REGION_WRITE, 18}, {0, 0}};

    (void)state;
    make(64, 4096, 0);
    map_of(stretches);
    run(16 * 4096);
}

static void test_one_leaf(void **state)
{
    static const struct stretch alone[] = {{FWR_REGION_WRITE, 1}, {0, 0}};
    static const struct stretch among[] = {
        {FWR_REGION_FILL, 20}, {FWR_REGION_WRITE, 1}, {FWR_REGION_PRESERVE, 1}, {0, 0}};

    (void)state;
    make(1, 65536, 0);
    map_of(alone);
    run(4096);
    make(22, 4096, 0);
    map_of(among);
    image.blocks = 22;
    run(4096);
}

static void test_trees_of_1_to_70_leaves(void **state)
{
    (void)state;
    for (uint32_t leaves = 1; leaves <= 70; leaves++) {
        const struct stretch stretches[] = {
            {FWR_REGION_PRESERVE, 3}, {FWR_REGION_WRITE, leaves}, {0, 0}};
        make(leaves + 3, 512, 0);
        map_of(stretches);
        run(512);
    }
}

/* A chip of 2049 blocks has fewer segments than an image of 2048 leaves on it. */
static void test_smaller_image_of_more_segments(void **state)
{
    static const struct stretch stretches[] = {
        {FWR_REGION_PRESERVE, 1}, {FWR_REGION_WRITE, 2048}, {0, 0}};

    (void)state;
    make(2049, 512, 0);
    map_of(stretches);
    run(512);
}

static void sign_again(void)
{
    uint8_t payload[GIVEN_ENVELOPE_MAX];
    int length = fwr_manifest_encode(&image.manifest, payload, sizeof(payload));

    assert_true(length > 0);
    assert_int_equal(fwr_manifest_id(payload, (size_t)length, image.id), FWR_OK);
    length = given_sign(1, payload, (size_t)length, image.envelope, sizeof(image.envelope));
    assert_true(length > 0);
    image.envelope_length = (size_t)length;
}

static void with_guard(uint32_t guard, uint32_t erase_size)
{
    make(64, 4096, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    image.manifest.guard = guard;
    sign_again();
    world_init(&w, 5, &image, erase_size);
    world_add_donor(&w, &image);
    damage_blocks(3, 20);
    damage_blocks(37, 10);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
}

static void test_no_guard(void **state)
{
    (void)state;
    with_guard(FWR_NO_GUARD, 4096);
    assert_null(fwr_store_ram_find(&w.store, FWR_STORE_GUARD, 0));
    world_free(&w);
    given_image_free(&image);
}

static void test_guard_in_the_middle(void **state)
{
    (void)state;
    with_guard(45 * 4096, 4096);
    assert_int_equal(w.units[45].erases, 2); /* first of all, and last of all */
    assert_int_equal(w.units[63].erases, 0);
    world_free(&w);
    given_image_free(&image);
}

static void test_guard_mode_never(void **state)
{
    (void)state;
    make(64, 4096, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 5, &image, 0);
    w.config.guard = FWR_GUARD_NEVER;
    world_add_donor(&w, &image);
    damage_blocks(3, 2);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    assert_int_equal(w.units[63].erases, 0);
    world_free(&w);
    given_image_free(&image);
}

/* Guard mode `update`: not for the image that was confirmed, but for another. */
static void test_guard_mode_update(void **state)
{
    (void)state;
    make(64, 4096, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 5, &image, 0);
    w.config.guard = FWR_GUARD_UPDATE;
    world_add_donor(&w, &image);
    damage_blocks(3, 2);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(w.units[63].erases, 2);
    damage_blocks(3, 2);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    assert_int_equal(w.units[63].erases, 2);
    world_free(&w);
    given_image_free(&image);
}

/* The host is not even held for an image that the storage was not sized for. */
static void refused(uint32_t blocks, uint32_t block_size, uint32_t sized_for, uint32_t erase_size)
{
    make(blocks, block_size, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 6, &image, erase_size);
    w.config.block_size = sized_for;
    w.config.rounds = 1;
    world_add_donor(&w, &image);
    damage_blocks(3, 1);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_GEOMETRY));
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    assert_int_equal(w.host.calls[FWR_HOST_RECORDER_HOLD], 0);
    world_free(&w);
    given_image_free(&image);
}

static void test_more_leaves_than_the_storage(void **state)
{
    (void)state;
    refused(512, 512, 4096, 4096);
}

static void test_larger_blocks_than_the_storage(void **state)
{
    (void)state;
    refused(64, 65536, 4096, 4096);
    refused(64, 65536, 4096, 65536); /* though the unit would be no larger */
}

static void test_more_blocks_in_a_unit_than_a_lane_knows(void **state)
{
    (void)state;
    refused(512, 512, 512, 131072);
}

/* Every operation of every device answers FWR_PENDING three times first. */
static void slow_recovery(uint32_t erase_size, uint32_t boot_proof_ms)
{
    make(64, 4096, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 8, &image, erase_size);
    w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = 3;
    w.config.batch = 3;
    w.config.boot_proof_ms = boot_proof_ms;
    w.jitter_ms = 3;
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    damage_blocks(2, 9);
    damage_blocks(20, 3);
    damage_blocks(60, 4);
    memcpy(w.cells + 25 * 4096, image.bytes + 3 * 4096, 4096); /* to be found and copied */
    assert_int_equal(world_boot(&w), FWR_OK);
    if (boot_proof_ms > 0) {
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        while (world_status(&w).state != FWR_STATE_TRIAL)
            assert_true(world_turn(&w));
        fwr_recipient_boot_proven(w.recipient, w.now);
        world_run(&w, 60000);
    } else {
        assert_int_equal(world_repair(&w), 0);
    }
    assert_repaired();
    assert_true(w.nor.counts.pending > 0 && w.store.counts.pending > 0 && w.host.pending > 0);
    world_free(&w);
    given_image_free(&image);
}

static void test_every_device_is_slow(void **state)
{
    (void)state;
    slow_recovery(4096, 0);
    slow_recovery(8192, 0);
    slow_recovery(4096, 10000);
}

/* Abort, and the loss of every donor, while an operation is outstanding: it is ended first. */
static void test_slow_devices_are_never_deserted(void **state)
{
    (void)state;
    make(64, 4096, 0);
    assert_int_equal(given_image_make(&image), FWR_OK);
    for (uint32_t turns = 1; turns < 400; turns += 7) {
        world_init(&w, turns, &image, 0);
        w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = 5;
        w.config.rounds = 1;
        world_add_donor(&w, &image);
        damage_blocks(2, 9);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        for (uint32_t i = 0; i < turns && world_status(&w).state != FWR_STATE_DONE; i++)
            world_turn(&w);
        if (turns % 2)
            fwr_recipient_abort(w.recipient, w.now);
        else
            fwr_recipient_peer(w.recipient, w.now, 0, FWR_E_SESSION_CLOSED, NULL);
        world_run(&w, 600000);
        fwr_recipient_peer(w.recipient, w.now, 0, FWR_OK, &w.peers[0].limits);
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        assert_false(w.host.held);
        world_free(&w);
    }
    given_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha_384),
        cmocka_unit_test(test_blocks_and_erase_units_of_every_ratio),
        cmocka_unit_test(test_write_and_fill_mixed_in_one_unit),
        cmocka_unit_test(test_units_straddling_segments),
        cmocka_unit_test(test_one_leaf),
        cmocka_unit_test(test_trees_of_1_to_70_leaves),
        cmocka_unit_test(test_smaller_image_of_more_segments),
        cmocka_unit_test(test_no_guard),
        cmocka_unit_test(test_guard_in_the_middle),
        cmocka_unit_test(test_guard_mode_never),
        cmocka_unit_test(test_guard_mode_update),
        cmocka_unit_test(test_more_leaves_than_the_storage),
        cmocka_unit_test(test_larger_blocks_than_the_storage),
        cmocka_unit_test(test_more_blocks_in_a_unit_than_a_lane_knows),
        cmocka_unit_test(test_every_device_is_slow),
        cmocka_unit_test(test_slow_devices_are_never_deserted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
