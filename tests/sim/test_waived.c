/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waived leaves: blocks that the image would write and the board's own map preserves. They are
 * neither fetched nor written, the root holds all the same, and a later check knows of them.
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
static struct given_image image;
static struct fwr_region_map local;

/* The board preserves `count` blocks from `first` on, and nothing else of its own. */
static void preserve_locally(uint32_t first, uint32_t count)
{
    const uint32_t end = first + count;

    local.count = 3;
    local.regions[0] = (struct fwr_region){0, first * BLOCK, FWR_REGION_WRITE, 0, 0};
    local.regions[1] = (struct fwr_region){first * BLOCK, count * BLOCK, FWR_REGION_PRESERVE, 0, 0};
    local.regions[2] =
        (struct fwr_region){end * BLOCK, (image.blocks - end) * BLOCK, FWR_REGION_WRITE, 0, 0};
    w.board.local = &local;
    w.preserve[w.nor.preserve_count].offset = first * BLOCK;
    w.preserve[w.nor.preserve_count++].length = count * BLOCK;
}

static void begin(uint64_t seed, uint32_t first, uint32_t count)
{
    world_init(&w, seed, &image, 0);
    world_add_donor(&w, &image);
    preserve_locally(first, count);
    world_damage(&w, first * BLOCK, count * BLOCK); /* its own content */
}

/* As world_is_right, but for the blocks that only the board preserves. */
static void assert_right_around(uint32_t first, uint32_t count)
{
    assert_memory_equal(w.cells + first * BLOCK, w.before + first * BLOCK, count * BLOCK);
    memcpy(w.cells + first * BLOCK, image.bytes + first * BLOCK, count * BLOCK);
    assert_true(world_is_right(&w, &image));
    memcpy(w.cells + first * BLOCK, w.before + first * BLOCK, count * BLOCK);
}

static uint8_t check(void)
{
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_CHECK, 0), FWR_OK);
    world_run(&w, 60000);
    return world_status(&w).reason;
}

static void test_waived_blocks_are_neither_fetched_nor_written(void **state)
{
    (void)state;
    begin(101, 5, 7);
    world_damage(&w, 3 * BLOCK, BLOCK);
    world_damage(&w, 20 * BLOCK, 2 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_right_around(5, 7);
    assert_int_equal(world_status(&w).blocks_waived, 7);
    assert_int_equal(world_status(&w).blocks_fetched, 3);
    assert_int_equal(world_status(&w).blocks_repaired, 3);
    for (uint32_t b = 5; b < 12; b++)
        assert_int_equal(w.units[b].erases, 0);
    world_free(&w);
}

/* Their content may change between two checks, and the check needs no donor. */
static void test_check_knows_waived_leaves(void **state)
{
    (void)state;
    begin(2, 5, 7);
    world_damage(&w, 3 * BLOCK, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(check(), 0);
    world_cut(&w);
    w.donors[0].die_after = w.donors[0].answered = 1;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(check(), 0);
    world_damage(&w, 6 * BLOCK, BLOCK);
    assert_int_equal(check(), 0);
    world_damage(&w, 12 * BLOCK, 1);
    assert_int_equal(check(), REASON(FWR_E_ROOT));
    world_free(&w);
}

static void test_a_damaged_record_is_learnt_anew(void **state)
{
    (void)state;
    for (uint32_t byte = 0; byte < 39 + 7 * 32; byte++) {
        begin(3, 5, 7);
        world_damage(&w, 3 * BLOCK, BLOCK);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_WAIVED, 0);
        assert_non_null(r);
        assert_int_equal(r->length, 39 + 7 * 32);
        r->data[byte] ^= 1;
        world_cut(&w);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(check(), REASON(FWR_E_ROOT));
        assert_int_equal(world_repair(&w), 0);
        assert_right_around(5, 7);
        assert_int_equal(check(), 0);
        world_free(&w);
    }
}

static void test_waived_leaves_at_every_place(void **state)
{
    (void)state;
    for (uint32_t first = 1; first + 3 < 32; first++) { /* of the region without the boot flag */
        begin(first, first, 3);
        world_damage(&w, 0, BLOCK);
        world_damage(&w, (first + 3) * BLOCK, BLOCK);
        world_damage(&w, 60 * BLOCK, BLOCK);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_right_around(first, 3);
        assert_int_equal(world_status(&w).blocks_waived, first + 3 > 32 ? 32 - first : 3);
        world_free(&w);
    }
}

static void test_waived_fill(void **state)
{
    (void)state;
    begin(5, 36, 1); /* the first of the two fill blocks */
    world_damage(&w, 37 * BLOCK, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(world_status(&w).blocks_waived, 1);
    assert_int_equal(world_status(&w).blocks_repaired, 1);
    memset(w.cells + 36 * BLOCK, 0xa5, BLOCK);
    assert_true(world_is_right(&w, &image));
    world_free(&w);
}

/* As many as the memory holds, and one more: refused before the host is held. */
static void test_too_many_waived_leaves(void **state)
{
    (void)state;
    given_image_free(&image);
    memset(&image, 0, sizeof(image));
    image.blocks = 200;
    assert_int_equal(given_image_make(&image), FWR_OK);
    begin(6, 2, 64);
    world_damage(&w, 0, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_right_around(2, 64);
    world_free(&w);

    begin(7, 2, 65);
    w.config.rounds = 1;
    world_damage(&w, 0, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_LOCAL_MAP));
    assert_int_equal(w.host.calls[FWR_HOST_RECORDER_HOLD], 0);
    assert_int_equal(w.nor.counts.erases, 0);
    world_free(&w);
}

static void test_dry_run_does_not_count_them_as_wrong(void **state)
{
    (void)state;
    begin(8, 5, 7);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_DRY_RUN, 0), FWR_OK);
    world_run(&w, 60000);
    assert_int_equal(world_status(&w).reason, 0);
    assert_int_equal(world_status(&w).blocks_wrong, 0);
    assert_int_equal(world_status(&w).blocks_waived, 7);
    world_free(&w);
}

static struct {
    uint64_t operations, at;
    bool happened;
} cut;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    (void)event;
    if (cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return FWR_FAULT_TORN;
}

static void test_power_cuts_with_waived_leaves(void **state)
{
    uint32_t cuts = 0;

    (void)state;
    for (uint64_t at = 0;; at++, cuts++) {
        memset(&cut, 0, sizeof(cut));
        cut.at = at;
        begin(9, 5, 7);
        world_damage(&w, 3 * BLOCK, BLOCK);
        world_damage(&w, 12 * BLOCK, 2 * BLOCK);
        w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
        w.store.pending_calls = 1;
        if (world_boot(&w) == FWR_OK) {
            assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
            while (!cut.happened && world_status(&w).state != FWR_STATE_DONE)
                world_turn(&w);
        }
        if (!cut.happened)
            break;
        world_cut(&w);
        assert_int_equal(world_boot(&w), FWR_OK);
        world_run(&w, 600000);
        if (world_status(&w).state != FWR_STATE_DONE)
            assert_int_equal(world_repair(&w), 0);
        assert_right_around(5, 7);
        assert_false(w.host.held);
        world_free(&w);
    }
    world_free(&w);
    printf("# %u cuts\n", cuts);
    assert_true(cuts > 40);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    return given_image_make(&image);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    return 0;
}

#define WAIVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAIVED(test_waived_blocks_are_neither_fetched_nor_written),
        WAIVED(test_check_knows_waived_leaves),
        WAIVED(test_a_damaged_record_is_learnt_anew),
        WAIVED(test_waived_leaves_at_every_place),
        WAIVED(test_waived_fill),
        WAIVED(test_too_many_waived_leaves),
        WAIVED(test_dry_run_does_not_count_them_as_wrong),
        WAIVED(test_power_cuts_with_waived_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
