/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restarts at moments that the worlds of box.h found, each small enough to be read: what a run
 * leaves behind must not mislead the next life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK      4096u
#define REASON(e)  ((uint8_t) - (e))
#define PROOF_MS   60000
#define UNIT       65536u
#define DECAYS_MAX 8 /* reads that a marginal unit survives */

static struct world w;
static struct given_image image;

static void begin(uint64_t seed, uint32_t erase_size)
{
    world_init(&w, seed, &image, erase_size);
    world_add_donor(&w, &image);
    w.config.rounds = 2;
}

static void start(uint32_t run)
{
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, run), FWR_OK);
}

static void turn_until(uint8_t state)
{
    for (int i = 0; i < 100000 && world_status(&w).state != state; i++)
        assert_true(world_turn(&w));
    assert_int_equal(world_status(&w).state, state);
}

/* A boot was not proven, so the journal still says TRIAL; the next run holds the host and takes
 * the bus, and is cut before it writes anything. */
static void test_cut_in_a_run_after_an_unproven_boot(void **state)
{
    (void)state;
    begin(1, 0);
    w.config.boot_proof_ms = PROOF_MS;
    assert_int_equal(world_boot(&w), FWR_OK);
    start(0);
    turn_until(FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_BOOT_PROOF));
    world_damage(&w, 3 * BLOCK, BLOCK);
    start(0);
    turn_until(FWR_STATE_HASHING);
    assert_true(w.host.bus_taken);
    world_cut(&w);
    assert_int_equal(world_boot(&w), FWR_OK);
    turn_until(FWR_STATE_TRIAL);
    assert_false(w.host.held);
    assert_false(w.host.bus_taken);
    assert_int_equal(w.host.violations, 0);
    world_free(&w);
}

/* Nothing was wrong, so nothing but COMMIT was written down; the run's number is in it. */
static void test_run_number_after_a_restart_in_the_trial(void **state)
{
    (void)state;
    begin(2, 0);
    w.config.boot_proof_ms = PROOF_MS;
    assert_int_equal(world_boot(&w), FWR_OK);
    start(7);
    turn_until(FWR_STATE_TRIAL);
    world_cut(&w);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_status(&w).run, 7);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 6), FWR_E_STALE);
    world_free(&w);
}

/* ---- a marginal unit that holds blocks of two segments ---- */

static struct {
    uint64_t operations, at;
    uint32_t decay_reads;
    bool happened, erased;
    uint32_t halves;
} cut;

static bool body_is_right(void)
{
    uint32_t end = image.manifest.guard & ~(UNIT - 1); /* the guard's unit is the last one */

    return memcmp(w.cells, image.bytes, end) == 0;
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    uint32_t guard = image.manifest.guard;

    (void)ctx;
    cut.halves +=
        cut.erased && memcmp(w.cells + guard, image.bytes + guard, BLOCK) == 0 && !body_is_right();
    cut.erased |= event->operation == FWR_FAULT_FLASH_ERASE;
    event->seed = cut.at;
    event->decay_reads = cut.decay_reads;
    if (cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return FWR_FAULT_MARGINAL;
}

/* True when there was a cut. */
static bool cut_once(uint64_t at, uint32_t decay_reads)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.decay_reads = decay_reads;
    begin(3, UNIT);
    w.config.batch = 1;
    world_damage(&w, 0, image.blocks * BLOCK);
    w.nor.hook.decide = decide;
    assert_int_equal(world_boot(&w), FWR_OK);
    start(0);
    while (!cut.happened && world_status(&w).state != FWR_STATE_DONE)
        world_turn(&w);
    bool happened = cut.happened;
    if (happened) {
        world_cut(&w);
        assert_int_equal(world_boot(&w), FWR_OK);
        if (world_status(&w).state == FWR_STATE_IDLE)
            start(0);
        turn_until(FWR_STATE_DONE);
        assert_memory_equal(w.cells, image.bytes, image.blocks * BLOCK);
        assert_int_equal(cut.halves, 0);
    }
    world_free(&w);
    return happened;
}

static void test_marginal_units_over_two_segments(void **state)
{
    uint32_t cuts = 0;

    (void)state;
    for (uint32_t decay_reads = 1; decay_reads <= DECAYS_MAX; decay_reads++)
        for (uint64_t at = 0; cut_once(at, decay_reads); at++)
            cuts++;
    printf("# %u cuts\n", cuts);
    assert_true(cuts > 100);
}

static int set_up(void **state)
{
    static const struct fwr_region regions[] = {
        {0, 3 * UNIT, FWR_REGION_WRITE, 0, 0},
        {3 * UNIT, UNIT, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };

    (void)state;
    image.blocks = 4 * UNIT / BLOCK;
    image.manifest.map.count = 2;
    memcpy(image.manifest.map.regions, regions, sizeof(regions));
    return given_image_make(&image);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_in_a_run_after_an_unproven_boot),
        cmocka_unit_test(test_run_number_after_a_restart_in_the_trial),
        cmocka_unit_test(test_marginal_units_over_two_segments),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
