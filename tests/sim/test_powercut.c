/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: a recovery is cut at its first, second, third … operation on flash, store or
 * host, in each of four ways, and started again. Whatever was cut, the next start finishes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK 4096u

static struct world w;
static struct given_image image;

/* The cut: at operation `at` of all devices together, in this way. */
static struct {
    uint64_t operations;
    uint64_t at;
    enum fwr_fault_verdict how;
    bool happened;
} cut;

/* A body that is half written must not be bootable: as long as any of it is wrong, so is the
 * guard block. Asked before every operation on the flash after the first erase. */
static bool half_image_bootable(void)
{
    const struct fwr_manifest *m = &image.manifest;
    bool body_wrong = false;

    for (uint16_t i = 0; i < m->map.count; i++) {
        const struct fwr_region *r = &m->map.regions[i];
        if (r->kind == FWR_REGION_WRITE)
            body_wrong |= memcmp(w.cells + r->offset, image.bytes + r->offset, r->length) != 0;
    }
    return body_wrong && memcmp(w.cells + m->guard, image.bytes + m->guard, BLOCK) == 0;
}

static uint64_t bootable_halves;
static uint64_t erases_seen;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at * 4 + cut.how;
    event->decay_reads = 2;
    if (erases_seen > 0 && half_image_bootable())
        bootable_halves++;
    erases_seen += event->operation == FWR_FAULT_FLASH_ERASE;
    if (cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static void begin(uint32_t erase_size)
{
    world_init(&w, 77, &image, erase_size);
    w.config.rounds = 3;
    w.config.batch = 4;
    world_add_donor(&w, &image);
    world_damage(&w, 2 * BLOCK, 3 * BLOCK);
    world_damage(&w, 9 * BLOCK + 5, 1);
    world_damage(&w, 17 * BLOCK, BLOCK);     /* in the fill region */
    world_damage(&w, 22 * BLOCK, 2 * BLOCK); /* with the guard block */
    w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
}

static void run_through_the_cut(void)
{
    if (world_boot(&w) != FWR_OK) {
        assert_true(cut.happened);
        return;
    }
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (!cut.happened && world_status(&w).state != FWR_STATE_DONE)
        if (!world_turn(&w))
            break;
}

static void finish_after_the_cut(void)
{
    static uint8_t block[BLOCK];

    world_cut(&w);
    int error = world_boot(&w);
    assert_int_equal(error, FWR_OK);
    world_run(&w, 600000);
    if (world_status(&w).state != FWR_STATE_DONE || world_status(&w).reason != 0)
        world_repair(&w);                   /* it was cut before anything was written down */
    for (int reads = 0; reads < 4; reads++) /* whatever was left marginal decays now */
        for (uint32_t b = 0; b < image.blocks; b++)
            w.nor.flash.read(w.nor.flash.ctx, b * BLOCK, block, BLOCK);
}

static void assert_finished(void)
{
    if (world_is_right(&w, &image) && !w.host.held && bootable_halves == 0 &&
        w.host.violations == 0)
        return;
    fail_msg("cut at operation %llu in way %d: right %d, held %d, bootable halves %llu, reason %u",
             (unsigned long long)cut.at, cut.how, world_is_right(&w, &image), w.host.held,
             (unsigned long long)bootable_halves, world_status(&w).reason);
}

static void sweep(uint32_t erase_size)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                                  FWR_FAULT_MARGINAL};
    uint64_t cuts = 0;

    for (size_t way = 0; way < 4; way++) {
        for (uint64_t at = 0;; at++) {
            memset(&cut, 0, sizeof(cut));
            cut.at = at;
            cut.how = ways[way];
            bootable_halves = erases_seen = 0;
            begin(erase_size);
            run_through_the_cut();
            bool happened = cut.happened;
            if (happened) {
                cuts++;
                finish_after_the_cut();
                assert_finished();
            }
            world_free(&w);
            if (!happened)
                break;
        }
    }
    printf("# %llu cuts, erase unit %u: every one finished\n", (unsigned long long)cuts,
           erase_size);
}

static void test_cut_at_every_operation(void **state)
{
    (void)state;
    sweep(BLOCK);
}

static void test_cut_at_every_operation_of_larger_units(void **state)
{
    (void)state;
    sweep(2 * BLOCK);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 24;
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
        cmocka_unit_test(test_cut_at_every_operation),
        cmocka_unit_test(test_cut_at_every_operation_of_larger_units),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
