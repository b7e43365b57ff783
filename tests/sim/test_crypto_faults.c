/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both engines over a libcrypto of which each call fails once: a donor offers only what it could
 * verify, a recipient writes only what it could check, holds the host while its flash is not
 * proven, and finishes when it is told to try again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"
#include "tests/unit/crypto_faults.h"

#define BLOCK 512u

static struct world w;
static struct given_image image;

static void make_world(void)
{
    world_init(&w, 1, &image, BLOCK);
    world_add_donor(&w, &image);
}

/* ---- Donor -------------------------------------------------------------------------------- */

/* Makes a donor and lets it verify its image: FWR_OK when it is offered, or why it is not. */
static int run_donor(void)
{
    struct world_donor *d = &w.donors[0];
    const size_t size = fwr_donor_storage(&d->config);
    void *storage = malloc(size);
    struct fwr_donor_status status;
    struct fwr_donor *donor;
    int error;

    error = fwr_donor_init(&donor, storage, size, &d->config, w.now);
    if (error == FWR_OK) {
        while (fwr_donor_step(donor, w.now) == FWR_PENDING)
            ;
        fwr_donor_status(donor, &status);
        error = status.images[0].state;
        fwr_donor_end(donor);
    } else {
        assert_null(donor);
    }
    free(storage);
    return error;
}

static void a_donor_offers_only_what_it_verified(void **state)
{
    const int held = crypto_faults_held();
    unsigned calls;

    (void)state;
    make_world();
    crypto_faults_arm(0, false);
    assert_int_equal(run_donor(), FWR_OK);
    calls = crypto_faults_calls();
    for (unsigned call = 1; call <= calls; call++) {
        int error;

        crypto_faults_arm(call, false);
        error = run_donor();
        assert_non_null(crypto_faults_struck());
        if (error == FWR_OK || error == FWR_PENDING)
            fail_msg("call %u of %u, %s, failed: %d", call, calls, crypto_faults_struck(), error);
        assert_int_equal(crypto_faults_held(), held);
    }
    crypto_faults_arm(0, false);
    assert_int_equal(run_donor(), FWR_OK);
    world_free(&w);
    printf("donor: %u calls failed\n", calls);
}

/* ---- Recipient ---------------------------------------------------------------------------- */

/* A recovery from damage in three places. The status' reason, or what boot said. */
static int recover(unsigned call)
{
    int error;

    world_damage(&w, 2 * BLOCK, 3 * BLOCK);
    world_damage(&w, 8 * BLOCK, 1);
    world_damage(&w, image.manifest.flash_size - BLOCK, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK); /* and the donor */
    world_cut(&w);
    crypto_faults_arm(call, false);
    error = world_boot(&w);
    return error != FWR_OK ? error : world_repair(&w);
}

static void assert_nothing_wrong_was_written(unsigned call)
{
    if (w.strangers > 0 || w.nor.counts.trespass > 0 || w.host.violations > 0)
        fail_msg("call %u, %s, failed: %u blocks written that nobody signed", call,
                 crypto_faults_struck(), w.strangers);
}

static void a_recipient_writes_only_what_it_checked(void **state)
{
    const int held = crypto_faults_held();
    unsigned calls, first = 0, again = 0;

    (void)state;
    make_world();
    assert_int_equal(recover(0), 0);
    calls = crypto_faults_calls();
    world_free(&w);
    for (unsigned call = 1; call <= calls; call++) {
        int error;

        make_world();
        error = recover(call);
        if (crypto_faults_struck() == NULL)
            fail_msg("call %u of %u never came", call, calls);
        assert_nothing_wrong_was_written(call);
        if (error == FWR_OK) {
            first++;
        } else {
            again++;
            /* Once something was written only the whole image lets the host go. */
            if (w.nor.counts.programs > 0 && !world_is_right(&w, &image) && !w.host.held)
                fail_msg("call %u, %s, failed: half an image may boot", call,
                         crypto_faults_struck());
            if (w.recipient == NULL)
                assert_int_equal(world_boot(&w), FWR_OK);
            if (world_repair(&w) != 0)
                fail_msg("call %u, %s, failed: not repaired afterwards: %u", call,
                         crypto_faults_struck(), world_status(&w).reason);
            assert_nothing_wrong_was_written(call);
        }
        if (!world_is_right(&w, &image))
            fail_msg("call %u, %s, failed: the flash is wrong", call, crypto_faults_struck());
        assert_false(w.host.held);
        world_free(&w);
        assert_int_equal(crypto_faults_held(), held);
    }
    crypto_faults_arm(0, false);
    printf("recipient: %u calls failed; %u recoveries went on, %u were begun again\n", calls, first,
           again);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 19;
    image.block_size = BLOCK;
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
        cmocka_unit_test(a_donor_offers_only_what_it_verified),
        cmocka_unit_test(a_recipient_writes_only_what_it_checked),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
