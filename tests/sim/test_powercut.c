/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts, as many as the everyday suite has time for (`make powercut` has more): each
 * scenario of powercut-scenarios.c, and what the journal may have become besides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/wire/crc32.h"
#include "tests/sim/powercut.h"

enum { TORN = 1, DONE = 2 }; /* ways of powercut.h */

static void sweep(const char *name)
{
    const struct powercut_scenario *s = powercut_scenario(name);
    struct powercut_tally t = {0};

    assert_non_null(s);
    powercut_sweep(s, 1, &t);
    printf("# threat 21 power cut (%s): %llu cuts, %llu pairs, %llu violations; at most %llu units "
           "done again\n",
           name, (unsigned long long)t.cuts, (unsigned long long)t.pairs,
           (unsigned long long)t.all_violations, (unsigned long long)t.again);
    if (t.violations[POWERCUT_CRASHED] > 0)
        abort();
    if (t.all_violations > 0)
        fail_msg("%s", t.first);
    assert_true(t.cuts > 8);
    assert_true(s->cuts < 2 || t.pairs > 20);
}

/* Row 21 of doc/SECURITY.md; the sweeps below it are the same in other worlds. */
static void threat_21_power_cut_anywhere(void **state)
{
    (void)state;
    sweep("small");
}

#define SWEEP(test, name)                                                                          \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        sweep(name);                                                                               \
    }

SWEEP(test_cut_at_every_operation_of_larger_units, "two blocks a unit")
SWEEP(test_cut_with_several_segments, "several segments")
SWEEP(test_cut_with_a_batch_for_all_and_two_donors, "one batch, two donors")
SWEEP(test_cut_with_a_sound_guard, "sound guard")
SWEEP(test_cut_with_a_boot_proof, "boot proof")
SWEEP(test_cut_with_slow_devices, "slow devices")
SWEEP(test_cut_behind_a_write_cache_one_by_one, "write cache, batch of 1")
SWEEP(test_cut_behind_a_write_cache, "write cache")
SWEEP(test_cut_behind_a_write_cache_in_one_batch, "write cache, batch of 16")
SWEEP(test_cut_behind_a_write_cache_then_another_image, "write cache, another image")
SWEEP(test_cut_then_a_newer_image, "newer image")
SWEEP(test_cut_then_an_image_of_another_map, "image of another map")
SWEEP(test_cut_then_an_image_of_larger_blocks, "image of larger blocks")
SWEEP(test_cut_then_an_image_of_smaller_blocks, "image of smaller blocks")
SWEEP(test_cut_with_a_directory_store, "directory store")
SWEEP(test_cut_then_rot, "rot while the power is off")
SWEEP(test_cut_then_a_wrong_bit_in_the_journal, "a bit of the journal wrong")
SWEEP(test_cut_then_no_journal, "the journal lost")
SWEEP(test_cut_then_both_slots_torn, "both slots of the journal torn")
SWEEP(test_store_that_fails, "the store fails")
SWEEP(test_store_that_is_full, "the store is full")
SWEEP(test_cut_with_very_slow_devices, "very slow devices")
SWEEP(test_cut_twice, "every pair")
SWEEP(test_cut_twice_with_a_directory_store, "pairs, directory store")
SWEEP(test_cut_over_icmb, "over ICMB")
SWEEP(test_cut_in_16_mib, "16 MiB, 64 KiB of it damaged")
SWEEP(test_cut_in_16_mib_with_much_damage, "16 MiB, 1 MiB of it damaged")

/* ---- what the store may have become ---- */

static void begin(uint64_t at, unsigned way)
{
    powercut_begin(powercut_scenario("small"), at, way);
}

static void assert_all_is_well(uint64_t at)
{
    uint32_t found = powercut_judge();

    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        if (found >> i & 1 && i != POWERCUT_DONE_AGAIN)
            fail_msg("cut at %llu: %s", (unsigned long long)at,
                     powercut_violation_name((enum powercut_violation)i));
}

/* Cuts at each operation; then damages one record, or makes it unreadable. */
static void sweep_with_damaged(enum fwr_store_kind kind, int read_error)
{
    uint32_t met = 0;

    for (uint64_t at = 1;; at++) {
        begin(at, TORN);
        bool happened = powercut_run();
        struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, kind, 0);
        if (happened && record) {
            met++;
            if (read_error)
                record->read_error = read_error;
            else
                record->data[record->length / 2] ^= 4;
            powercut_finish();
            assert_all_is_well(at);
        }
        powercut_end();
        if (!happened)
            break;
    }
    printf("# record %d: damaged after %u cuts\n", kind, met);
    assert_true(met > 10);
}

static void test_damaged_journal(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_JOURNAL, 0);
    sweep_with_damaged(FWR_STORE_JOURNAL, FWR_E_STORE_CORRUPT);
}

/* Cut in the middle of writing. */
static void cut_in_the_middle(void)
{
    begin(40, TORN);
    assert_true(powercut_run() && powercut_has_erased());
    assert_true(powercut_judge() >> POWERCUT_WRONG_BYTES & 1);
    world_cut(&w);
    powercut_no_cut();
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
}

static unsigned damage_noticed;

static void listen(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx, (void)level;
    damage_noticed += strstr(text, "journal is damaged") != NULL;
}

/* Nothing but the CRC notices some of them: a unit's address, COMMIT for INTENT. */
static void test_any_bit_of_the_journal(void **state)
{
    (void)state;
    cut_in_the_middle();
    w.platform.log = listen;
    struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
    assert_non_null(record);
    damage_noticed = 0;
    for (size_t bit = 0; bit < record->length * 8; bit++) {
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(world_boot(&w), FWR_OK);
        world_cut(&w);
        assert_int_equal(damage_noticed, bit + 1);
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    printf("# a journal of %zu bytes, every bit of it wrong in turn\n", record->length);
    powercut_end();
}

static void test_damaged_guard(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_GUARD, 0);
    sweep_with_damaged(FWR_STORE_GUARD, FWR_E_STORE_CORRUPT);
}

static void test_damaged_candidate(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_CANDIDATE, 0);
    sweep_with_damaged(FWR_STORE_CANDIDATE, FWR_E_STORE_CORRUPT);
}

static void test_journal_of_a_newer_version_is_not_touched(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        uint8_t before[1024];
        cut_in_the_middle();
        struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
        assert_non_null(r);
        if (way == 0) {
            r->read_error = FWR_E_STORE_VERSION;
        } else if (way == 1) { /* longer than any of ours */
            memset(r->data + r->length, 0, 4096);
            r->length += 4096;
        } else {
            r->data[0]++;
            uint32_t crc = fwr_crc32(0, r->data, r->length - 4);
            for (int i = 0; i < 4; i++)
                r->data[r->length - 4 + (size_t)i] = (uint8_t)(crc >> 8 * i);
        }
        memcpy(before, r->data, 640);
        assert_int_equal(world_boot(&w), FWR_E_STORE_VERSION);
        assert_memory_equal(before, r->data, 640);
        assert_int_equal(w.nor.counts.operations, 0);
        assert_true(w.host.held);
        powercut_end();
    }
}

/* The journal says COMMIT, of an earlier run; the flash is not right. */
static void test_old_commit_is_not_trusted(void **state)
{
    uint8_t old[1024];
    size_t length = 0;

    (void)state;
    for (uint64_t at = 20;; at++) { /* find the COMMIT record of a whole run */
        begin(at, DONE);
        assert_true(powercut_run());
        struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
        bool commit = r && r->data[1] == 3;
        if (commit)
            memcpy(old, r->data, length = r->length);
        powercut_end();
        if (commit)
            break;
    }
    cut_in_the_middle();
    struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
    memcpy(r->data, old, length);
    r->length = length;
    powercut_forgive(); /* that half was lost on purpose */
    powercut_finish();
    assert_all_is_well(40);
    powercut_end();
}

static int set_up(void **state)
{
    (void)state;
    powercut_images_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    powercut_images_free();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threat_21_power_cut_anywhere),
        cmocka_unit_test(test_cut_at_every_operation_of_larger_units),
        cmocka_unit_test(test_cut_with_several_segments),
        cmocka_unit_test(test_cut_with_a_batch_for_all_and_two_donors),
        cmocka_unit_test(test_cut_with_a_sound_guard),
        cmocka_unit_test(test_cut_with_a_boot_proof),
        cmocka_unit_test(test_cut_with_slow_devices),
        cmocka_unit_test(test_cut_behind_a_write_cache_one_by_one),
        cmocka_unit_test(test_cut_behind_a_write_cache),
        cmocka_unit_test(test_cut_behind_a_write_cache_in_one_batch),
        cmocka_unit_test(test_cut_behind_a_write_cache_then_another_image),
        cmocka_unit_test(test_cut_then_a_newer_image),
        cmocka_unit_test(test_cut_then_an_image_of_another_map),
        cmocka_unit_test(test_cut_then_an_image_of_larger_blocks),
        cmocka_unit_test(test_cut_then_an_image_of_smaller_blocks),
        cmocka_unit_test(test_cut_with_a_directory_store),
        cmocka_unit_test(test_cut_then_rot),
        cmocka_unit_test(test_cut_then_a_wrong_bit_in_the_journal),
        cmocka_unit_test(test_cut_then_no_journal),
        cmocka_unit_test(test_cut_then_both_slots_torn),
        cmocka_unit_test(test_store_that_fails),
        cmocka_unit_test(test_store_that_is_full),
        cmocka_unit_test(test_cut_with_very_slow_devices),
        cmocka_unit_test(test_cut_twice),
        cmocka_unit_test(test_cut_twice_with_a_directory_store),
        cmocka_unit_test(test_cut_over_icmb),
        cmocka_unit_test(test_cut_in_16_mib),
        cmocka_unit_test(test_cut_in_16_mib_with_much_damage),
        cmocka_unit_test(test_damaged_journal),
        cmocka_unit_test(test_any_bit_of_the_journal),
        cmocka_unit_test(test_damaged_guard),
        cmocka_unit_test(test_damaged_candidate),
        cmocka_unit_test(test_journal_of_a_newer_version_is_not_touched),
        cmocka_unit_test(test_old_commit_is_not_trusted),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
