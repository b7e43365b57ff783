/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors under a recovery: raised when the boot is confirmed, whatever stands behind the
 * contract: slow, failing, at its end, or cut in the middle of a raise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "tests/sim/world.h"
#include "tests/unit/fake_floors.h"

#define REASON(e) ((uint8_t) - (e))
#define SVN       FWR_FLOOR_SECURITY_VERSION

static struct world w;
static struct given_image image, older;
static struct fake_floors floors;

static int make_images(void **state)
{
    (void)state;
    image = (struct given_image){.blocks = 24, .sequence = 7, .security_version = 9};
    older = (struct given_image){.blocks = 24, .sequence = 6, .security_version = 8, .seed = 3};
    return given_image_make(&image) != FWR_OK || given_image_make(&older) != FWR_OK;
}

static int free_images(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&older);
    return 0;
}

static void begin(void)
{
    world_init(&w, 1, &image, 0);
    fake_floors_init(&floors);
    w.config.floors = &floors.floors;
    w.config.rounds = 1;
    world_damage(&w, 4096, 5000);
    world_add_donor(&w, &image);
}

static void boot(void)
{
    assert_int_equal(world_boot(&w), FWR_OK);
}

static void end(void)
{
    assert_int_equal(floors.broken, 0);
    world_free(&w);
}

static void test_slow_floors(void **state)
{
    (void)state;
    begin();
    floors.pending = 5;
    boot();
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(floors.values[SVN], 9);
    assert_int_equal(floors.values[FWR_FLOOR_SEQUENCE], 7);
    uint64_t raises = floors.raises;
    world_damage(&w, 4096, 100);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(floors.raises, raises); /* nothing rises: nothing wears */
    end();
}

static void test_unreadable_floor(void **state)
{
    (void)state;
    begin();
    floors.fail_reads = 1;
    assert_int_equal(world_boot(&w), FWR_E_FLOOR); /* not taken for none */
    boot();
    assert_int_equal(world_repair(&w), 0);
    end();
}

/* It finishes, says so, refuses what is older in this life, and tries again at the next
 * confirmation. */
static void test_failing_raise(void **state)
{
    (void)state;
    begin();
    boot();
    floors.fail_raises = 2;
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(floors.values[SVN], 9); /* tried again at once */
    end();

    begin();
    boot();
    floors.fail_raises = UINT32_MAX;
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLOOR));
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
    assert_int_equal(floors.values[SVN], 0);
    assert_non_null(strstr((char *)w.recipient->log, "security version floor stays below 9"));
    floors.fail_raises = 0;
    world_cut(&w);
    boot();
    world_damage(&w, 4096, 100);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(floors.values[SVN], 9);
    end();
}

static void test_kept_in_this_life(void **state)
{
    (void)state;
    begin();
    w.config.rounds = 3;
    world_add_image(&w.donors[0], &older);
    boot();
    floors.fail_raises = UINT32_MAX;
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLOOR));
    w.donors[0].image.bytes[0] ^= 1; /* the donor is left with the older one */
    fwr_donor_reverify(w.donors[0].engine, FWR_DONOR_IMAGES_MAX);
    world_damage(&w, 4096, 100);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BELOW_FLOOR));
    end();
}

/* Fuses: security version 9 needs nine of them, and there are five. */
static void test_fuses_run_out(void **state)
{
    (void)state;
    begin();
    floors.fuses = 5;
    boot();
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLOOR_SPENT));
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(floors.values[SVN], 5);
    assert_int_equal(floors.raises, 2); /* for good: each floor was tried once */
    world_damage(&w, 4096, 100);
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLOOR_SPENT)); /* said at every confirmation */
    world_cut(&w);
    boot();
    world_damage(&w, 4096, 100);
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLOOR_SPENT)); /* and in every life */
    end();
}

/* ---- cuts ---- */

static struct {
    bool armed, happened;
    uint64_t at, operations;
    enum fwr_fault_verdict how;
} cut;

/* Operations from the first raise on: on floors and store alike. */
static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at + 3;
    cut.armed |= event->operation == FWR_FAULT_FLOOR_RAISE;
    if (!cut.armed || cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static bool cut_confirmation(uint64_t at, enum fwr_fault_verdict how, uint64_t *between)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.how = how;
    begin();
    floors.values[SVN] = 3;
    boot();
    floors.hook.decide = w.store.hook.decide = decide;
    fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0);
    world_run(&w, 600000);
    bool happened = cut.happened;
    floors.hook.decide = w.store.hook.decide = NULL;
    assert_true(floors.values[SVN] >= 3 && floors.values[SVN] <= 9);
    *between += floors.values[SVN] > 3 && floors.values[SVN] < 9;
    world_cut(&w);
    fake_floors_power_on(&floors);
    boot();
    world_run(&w, 600000);
    if (world_status(&w).state == FWR_STATE_IDLE)
        assert_int_equal(world_repair(&w), 0);
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
    assert_int_equal(floors.values[SVN], 9);
    assert_int_equal(floors.values[FWR_FLOOR_SEQUENCE], 7);
    end();
    return happened;
}

static void test_raise_cut_anywhere(void **state)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                                  FWR_FAULT_MARGINAL};
    uint64_t cuts = 0, between = 0;

    (void)state;
    for (size_t way = 0; way < 4; way++)
        for (uint64_t at = 0; cut_confirmation(at, ways[way], &between); at++)
            cuts++;
    printf("# floors: %llu cuts from the first raise on, a floor left between %llu times\n",
           (unsigned long long)cuts, (unsigned long long)between);
    assert_true(cuts >= 4 * 4);
    assert_true(between > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_floors),   cmocka_unit_test(test_unreadable_floor),
        cmocka_unit_test(test_failing_raise), cmocka_unit_test(test_kept_in_this_life),
        cmocka_unit_test(test_fuses_run_out), cmocka_unit_test(test_raise_cut_anywhere),
    };

    return cmocka_run_group_tests(tests, make_images, free_images);
}
