/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small storms, for every day: five racks fail in the same second, and once twenty-five of them
 * where a third of all messages is lost. Everybody is repaired, with nothing but the image, no
 * donor gives more than its cap, and the same options give the same storm. The big ones are
 * `make fleet`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/fleet.h"

static struct fleet_result result, again;

static void storm(const struct fleet_options *options)
{
    fleet_run(options, &result);
    fleet_print(stdout, &result);
    assert_int_equal(result.repaired, options->nodes);
    assert_int_equal(result.failed, 0);
    assert_int_equal(result.wrong, 0);
    assert_in_range(result.peak_transfers, 1, FLEET_CAP_TRANSFERS);
    assert_in_range(result.peak_egress, 1, FLEET_CAP_BYTES);
    assert_true(result.payload >= result.floor);
    assert_true(result.p99 >= result.bound99);
    assert_true(fleet_good(&result)); /* soon enough, with few questions */
}

static void test_a_storm_passes(void **state)
{
    (void)state;
    storm(&(struct fleet_options){.nodes = 200, .seeds = 1, .loss = 10, .seed = 1});
}

static void test_a_storm_with_more_seeds_passes(void **state)
{
    (void)state;
    storm(&(struct fleet_options){.nodes = 200, .seeds = 10, .loss = 10, .seed = 6});
}

/* Row 20 of the table in doc/SECURITY.md, of the whole fleet; one donor's side of it is in
 * test_threats_peer.c. */
static void threat_20_whole_fleet_with_one_seed_donor(void **state)
{
    (void)state;
    storm(&(struct fleet_options){.nodes = 1000, .seeds = 1, .loss = 300, .seed = 2});
    /* Nobody is left behind for good, and asking does not get out of hand. */
    assert_true(result.p99 < 300);
    assert_true(result.discovery < 3 * FLEET_TARGET_ASKING);
    printf("# threat 20 the whole fleet at once: %u recipients, %u repaired, %llu wrong blocks\n",
           (unsigned)result.options.nodes, (unsigned)result.repaired,
           (unsigned long long)result.wrong);
}

static void test_whole_images_are_spread(void **state)
{
    (void)state;
    storm(&(struct fleet_options){.nodes = 40, .seeds = 1, .loss = 10, .whole = true, .seed = 3});
}

/* A request is lost again and again: that is no reason to leave a donor that answers others. */
static void test_whole_images_are_spread_at_30_percent_loss(void **state)
{
    (void)state;
    storm(&(struct fleet_options){.nodes = 12, .seeds = 2, .loss = 300, .whole = true, .seed = 5});
}

static void test_the_same_seed_gives_the_same_storm(void **state)
{
    struct fleet_options options = {.nodes = 80, .seeds = 2, .loss = 50, .seed = 4};

    (void)state;
    fleet_run(&options, &result);
    fleet_run(&options, &again);
    assert_memory_equal(&result, &again, sizeof(result));
    options.seed++;
    fleet_run(&options, &again);
    assert_int_not_equal(result.events, again.events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_passes),
        cmocka_unit_test(test_a_storm_with_more_seeds_passes),
        cmocka_unit_test(threat_20_whole_fleet_with_one_seed_donor),
        cmocka_unit_test(test_whole_images_are_spread),
        cmocka_unit_test(test_whole_images_are_spread_at_30_percent_loss),
        cmocka_unit_test(test_the_same_seed_gives_the_same_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
