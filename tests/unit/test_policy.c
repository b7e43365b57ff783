/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: what the default rules admit, and that their order of offers is a total one in which
 * each field counts where those before it are equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/link.h>
#include <fwrecover/policy.h>

#include "tests/unit/seeded.h"

static struct fwr_policy policy;
static struct fwr_policy_rules rules;

static int set_up(void **state)
{
    (void)state;
    memset(&rules, 0, sizeof(rules));
    fwr_policy_default_init(&policy, &rules);
    return 0;
}

static int admit(uint32_t sequence, uint8_t medium)
{
    const struct fwr_offer offer = {.sequence = sequence, .medium = medium};

    return policy.admit(policy.ctx, &offer);
}

static void test_zeroed_rules_admit_everything(void **state)
{
    (void)state;
    for (uint8_t medium = 0; medium < FWR_MEDIUM_COUNT; medium++) {
        assert_int_equal(admit(0, medium), FWR_OK);
        assert_int_equal(admit(UINT32_MAX, medium), FWR_OK);
    }
}

static void test_minimum(void **state)
{
    (void)state;
    rules.min_sequence = 8;
    assert_int_equal(admit(7, FWR_MEDIUM_LAN), FWR_E_BELOW_POLICY);
    assert_int_equal(admit(8, FWR_MEDIUM_LAN), FWR_OK);
    rules.min_sequence = UINT32_MAX;
    assert_int_equal(admit(UINT32_MAX - 1, FWR_MEDIUM_LAN), FWR_E_BELOW_POLICY);
    assert_int_equal(admit(UINT32_MAX, FWR_MEDIUM_LAN), FWR_OK);
}

/* A pin may lie below the minimum; it never excuses a medium. */
static void test_pin(void **state)
{
    (void)state;
    rules.min_sequence = 8;
    rules.pinned = true;
    rules.pinned_sequence = 3;
    assert_int_equal(admit(3, FWR_MEDIUM_LAN), FWR_OK);
    assert_int_equal(admit(2, FWR_MEDIUM_LAN), FWR_E_BELOW_POLICY);
    assert_int_equal(admit(9, FWR_MEDIUM_LAN), FWR_E_BELOW_POLICY);
    rules.media_refused = 1u << FWR_MEDIUM_LAN;
    assert_int_equal(admit(3, FWR_MEDIUM_LAN), FWR_E_BELOW_POLICY);
    rules.pinned_sequence = 0;
    assert_int_equal(admit(0, FWR_MEDIUM_WLAN), FWR_OK);
}

static void test_each_medium_can_be_refused(void **state)
{
    (void)state;
    for (uint8_t refused = 0; refused < FWR_MEDIUM_COUNT; refused++) {
        rules.media_refused = (uint8_t)(1u << refused);
        for (uint8_t medium = 0; medium < FWR_MEDIUM_COUNT; medium++)
            assert_int_equal(admit(1, medium), medium == refused ? FWR_E_BELOW_POLICY : FWR_OK);
    }
}

static void assert_preferred(const struct fwr_offer *a, const struct fwr_offer *b)
{
    assert_true(policy.compare(policy.ctx, a, b) < 0);
    assert_true(policy.compare(policy.ctx, b, a) > 0);
}

static void test_each_field_counts_in_its_turn(void **state)
{
    const struct fwr_offer base = {
        .peer = 3, .medium = FWR_MEDIUM_WLAN, .load = 50, .round_trip_ms = 20, .sequence = 7};
    struct fwr_offer other = base;

    (void)state;
    assert_int_equal(policy.compare(policy.ctx, &base, &other), 0);
    other.peer = 4;
    assert_preferred(&base, &other);
    other.round_trip_ms = 19;
    assert_preferred(&other, &base);
    other.load = 75;
    assert_preferred(&base, &other);
    other.medium = FWR_MEDIUM_LAN;
    assert_preferred(&other, &base);
    other.sequence = 6;
    assert_preferred(&base, &other);
    other.sequence = UINT32_MAX;
    assert_preferred(&other, &base);
}

/* Loads count in quarters, so that a donor one percent busier is not shunned. */
static void test_load_in_quarters(void **state)
{
    struct fwr_offer a = {.peer = 1, .load = 26}, b = {.peer = 2, .load = 49};

    (void)state;
    assert_preferred(&a, &b); /* by their number */
    b.load = 24;
    assert_preferred(&b, &a);
}

static void test_order_is_total(void **state)
{
    struct fwr_offer offers[24];
    uint64_t seed = 5;

    (void)state;
    memset(offers, 0, sizeof(offers));
    for (size_t i = 0; i < 24; i++) {
        offers[i].peer = (uint8_t)i;
        offers[i].medium = (uint8_t)seeded_below(&seed, 2);
        offers[i].load = (uint8_t)seeded_below(&seed, 101);
        offers[i].round_trip_ms = seeded_below(&seed, 3);
        offers[i].sequence = seeded_below(&seed, 2) ? UINT32_MAX : 0;
    }
    for (size_t a = 0; a < 24; a++) {
        for (size_t b = 0; b < 24; b++) {
            int ab = policy.compare(policy.ctx, &offers[a], &offers[b]);
            assert_int_equal(ab == 0, a == b);
            assert_int_equal(ab<0, policy.compare(policy.ctx, &offers[b], &offers[a])> 0);
            for (size_t c = 0; c < 24; c++)
                if (ab < 0 && policy.compare(policy.ctx, &offers[b], &offers[c]) < 0)
                    assert_true(policy.compare(policy.ctx, &offers[a], &offers[c]) < 0);
        }
    }
}

#define POLICY(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POLICY(test_zeroed_rules_admit_everything),
        POLICY(test_minimum),
        POLICY(test_pin),
        POLICY(test_each_medium_can_be_refused),
        POLICY(test_each_field_counts_in_its_turn),
        POLICY(test_load_in_quarters),
        POLICY(test_order_is_total),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
