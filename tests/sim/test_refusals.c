/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recipient refuses, and what it says then: images that must not be taken, donors that
 * cannot be used, a flash and a store that fail. Nothing is written in any of them unless the
 * test says so.
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

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 64;
    image.security_version = 3;
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 99, &image, 0);
    w.config.rounds = 1;
    world_damage(&w, 9 * BLOCK, 2 * BLOCK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(&w);
    given_image_free(&image);
    return 0;
}

/* The run ends with `reason`, and the flash was neither erased nor programmed. */
static void assert_refused(int reason)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(reason));
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    assert_false(w.host.held);
}

static void add_other(const struct given_image *facts)
{
    struct given_image other = *facts;

    other.bytes = NULL;
    assert_int_equal(given_image_make(&other), FWR_OK);
    world_add_donor(&w, &other);
    given_image_free(&other);
}

static void test_no_donor(void **state)
{
    (void)state;
    assert_refused(FWR_E_NO_DONOR);
}

static void test_silent_donor(void **state)
{
    (void)state;
    world_add_donor(&w, &image)->die_after = 1;
    w.donors[0].answered = 1;
    assert_refused(FWR_E_NO_DONOR);
}

static void test_unprovisioned(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.config.trust = NULL;
    assert_refused(FWR_E_UNPROVISIONED);
}

static void test_unknown_key(void **state)
{
    (void)state;
    add_other(&(struct given_image){.blocks = 64, .key_seed = 2});
    assert_refused(FWR_E_UNTRUSTED);
}

static void test_another_component_is_not_offered(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.board.component[0] ^= 1;
    assert_refused(FWR_E_NO_OFFER);
}

static void test_hardware_revision_is_not_offered(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.board.hardware_revision = 10;
    assert_refused(FWR_E_NO_OFFER);
}

static void test_chip_of_another_size(void **state)
{
    (void)state;
    add_other(&(struct given_image){.blocks = 65});
    assert_refused(FWR_E_FLASH_SIZE);
}

static void test_below_policy(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.rules.min_sequence = 8;
    assert_refused(FWR_E_BELOW_POLICY);
}

static void test_below_floor(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0); /* the floor is 3 now */
    world_cut(&w);
    w.donor_count = 0;
    w.config.peer_count = 0;
    fwr_donor_end(w.donors[0].engine);
    free(w.donors[0].storage);
    free(w.donors[0].image.bytes);
    memset(&w.donors[0], 0, sizeof(w.donors[0]));
    add_other(&(struct given_image){.blocks = 64, .sequence = 9, .security_version = 2});
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
    free(w.storage);
    w.storage = NULL;
    assert_refused(FWR_E_BELOW_FLOOR);
}

static void test_locally_preserved_boot_block(void **state)
{
    static struct fwr_region_map local;

    (void)state;
    world_add_donor(&w, &image);
    local =
        (struct fwr_region_map){.count = 2,
                                .regions = {{0, 60 * BLOCK, FWR_REGION_WRITE, 0, 0},
                                            {60 * BLOCK, 4 * BLOCK, FWR_REGION_PRESERVE, 0, 0}}};
    w.board.local = &local;
    assert_refused(FWR_E_LOCAL_MAP);
}

static void test_newest_sequence_is_chosen_and_the_others_named(void **state)
{
    struct given_image older = {.blocks = 64, .sequence = 5, .security_version = 3};
    struct given_image foreign = {.blocks = 64, .sequence = 9, .key_seed = 2};

    (void)state;
    add_other(&older);
    add_other(&foreign);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(world_status(&w).sequence, 7);
    assert_true(world_is_right(&w, &image));
}

static void test_flash_that_cannot_be_read(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.units[20].fail_reads = FWR_RAMNOR_ALWAYS;
    assert_refused(FWR_E_FLASH_READ);
}

/* The unit is named, the host stays held, and nothing pretends that the flash is right. */
static void assert_worn(int reason, uint32_t address)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(reason));
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).bad_block, address);
    assert_true(w.host.held);
    assert_false(world_is_right(&w, &image));
}

static void test_worn_block_is_named_and_the_host_stays_held(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.units[9].misprograms = FWR_RAMNOR_ALWAYS;
    assert_worn(FWR_E_FLASH_WORN, 9 * BLOCK);
    assert_int_equal(w.units[9].erases, 4); /* once, and three times again */
}

static void test_flash_that_cannot_be_erased(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.units[10].fail_erases = FWR_RAMNOR_ALWAYS;
    assert_worn(FWR_E_FLASH_ERASE, 10 * BLOCK);
}

static void test_flash_that_cannot_be_programmed(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.units[10].fail_programs = FWR_RAMNOR_ALWAYS;
    assert_worn(FWR_E_FLASH_PROGRAM, 10 * BLOCK);
}

static void test_block_that_takes_two_tries(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.units[10].misprograms = 2;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
}

static void test_full_store(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.store.fail_writes = UINT32_MAX;
    w.store.write_error = FWR_E_STORE_FULL;
    assert_refused(FWR_E_STORE_FULL);
}

static void test_read_only_store(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.store.fail_writes = UINT32_MAX;
    w.store.write_error = FWR_E_STORE_READ_ONLY;
    assert_refused(FWR_E_STORE_READ_ONLY);
}

static void test_host_that_cannot_be_held(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    w.host.fail[FWR_HOST_RECORDER_HOLD] = UINT32_MAX;
    assert_refused(FWR_E_HOST_HOLD);
}

static void test_second_start_while_one_runs(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 5), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 5), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 6), FWR_E_BUSY);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 4), FWR_E_STALE);
    assert_int_equal(world_run(&w, 60000), FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
}

static void test_abort_before_the_first_erase(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    for (int i = 0; i < 3; i++)
        world_turn(&w);
    assert_int_equal(fwr_recipient_abort(w.recipient, w.now), FWR_OK);
    world_run(&w, 1000);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_ABORTED));
    assert_int_equal(w.nor.counts.erases, 0);
}

static void test_dry_run_counts_and_writes_nothing(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_DRY_RUN, 0), FWR_OK);
    assert_int_equal(world_run(&w, 60000), FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_ROOT));
    assert_int_equal(world_status(&w).blocks_wrong, 2);
    assert_int_equal(w.nor.counts.erases, 0);
    assert_int_equal(w.host.calls[FWR_HOST_RECORDER_HOLD], 0);
}

static void test_check_after_a_repair(void **state)
{
    (void)state;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_CHECK, 0), FWR_OK);
    assert_int_equal(world_run(&w, 60000), FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_NOT_FOUND)); /* nothing to go by */
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_CHECK, 0), FWR_OK);
    assert_int_equal(world_run(&w, 60000), FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    world_damage(&w, 40 * BLOCK, 10);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_CHECK, 0), FWR_OK);
    assert_int_equal(world_run(&w, 60000), FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_ROOT));
}

#define REFUSAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFUSAL(test_no_donor),
        REFUSAL(test_silent_donor),
        REFUSAL(test_unprovisioned),
        REFUSAL(test_unknown_key),
        REFUSAL(test_another_component_is_not_offered),
        REFUSAL(test_hardware_revision_is_not_offered),
        REFUSAL(test_chip_of_another_size),
        REFUSAL(test_below_policy),
        REFUSAL(test_below_floor),
        REFUSAL(test_locally_preserved_boot_block),
        REFUSAL(test_newest_sequence_is_chosen_and_the_others_named),
        REFUSAL(test_flash_that_cannot_be_read),
        REFUSAL(test_worn_block_is_named_and_the_host_stays_held),
        REFUSAL(test_flash_that_cannot_be_erased),
        REFUSAL(test_flash_that_cannot_be_programmed),
        REFUSAL(test_block_that_takes_two_tries),
        REFUSAL(test_full_store),
        REFUSAL(test_read_only_store),
        REFUSAL(test_host_that_cannot_be_held),
        REFUSAL(test_second_start_while_one_runs),
        REFUSAL(test_abort_before_the_first_erase),
        REFUSAL(test_dry_run_counts_and_writes_nothing),
        REFUSAL(test_check_after_a_repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
