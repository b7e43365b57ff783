/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies: in turn, never one that is on its way, and none that lately went unanswered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine/cookie.h"

static void cookies_come_in_turn(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t first = fwr_cookie_take(&cookies, 0);

    (void)state;
    fwr_cookie_answered(&cookies, first);
    for (unsigned i = 1; i < 1000; i++) {
        uint8_t cookie = fwr_cookie_take(&cookies, 0);

        assert_int_equal(cookie, (uint8_t)(first + i));
        fwr_cookie_answered(&cookies, cookie);
    }
}

/* One request stays unanswered while thousands come and go around it. */
static void a_live_cookie_is_not_given_again(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t live = fwr_cookie_take(&cookies, 0);

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t cookie = fwr_cookie_take(&cookies, 0);

        assert_int_not_equal(cookie, live);
        fwr_cookie_answered(&cookies, cookie);
    }
}

static unsigned times_given(struct fwr_cookies *cookies, uint8_t wanted, uint64_t now)
{
    unsigned times = 0;

    for (unsigned i = 0; i < 512; i++) {
        uint8_t cookie = fwr_cookie_take(cookies, now);

        times += cookie == wanted;
        fwr_cookie_answered(cookies, cookie);
    }
    return times;
}

static void a_lost_cookie_rests_for_one_to_two_periods(void **state)
{
    static const uint64_t starts[] = {0, 1, 4000, FWR_COOKIE_PERIOD_MS - 1};

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct fwr_cookies cookies = {0};
        const uint64_t now = 7 * (uint64_t)FWR_COOKIE_PERIOD_MS + starts[i];
        uint8_t lost = fwr_cookie_take(&cookies, now);

        fwr_cookie_lost(&cookies, lost, now);
        assert_int_equal(times_given(&cookies, lost, now), 0);
        assert_int_equal(times_given(&cookies, lost, now + FWR_COOKIE_PERIOD_MS - 1), 0);
        assert_int_not_equal(times_given(&cookies, lost, now + 2 * FWR_COOKIE_PERIOD_MS), 0);
    }
}

static void a_long_silence_ends_all_rest(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t lost = fwr_cookie_take(&cookies, 0);

    (void)state;
    fwr_cookie_lost(&cookies, lost, 0);
    assert_int_equal(times_given(&cookies, lost, 50 * (uint64_t)FWR_COOKIE_PERIOD_MS), 2);
}

static void what_was_answered_does_not_rest(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t cookie = fwr_cookie_take(&cookies, 0);

    (void)state;
    fwr_cookie_answered(&cookies, cookie);
    fwr_cookie_lost(&cookies, cookie, 0); /* as when its request is freed after its answer */
    assert_int_equal(times_given(&cookies, cookie, 0), 2);
}

/* Everything else rests: the road goes on, and what is live is still left alone. */
static void a_road_that_loses_everything_goes_on(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t live = fwr_cookie_take(&cookies, 0);

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t cookie = fwr_cookie_take(&cookies, 0);

        assert_int_not_equal(cookie, live);
        fwr_cookie_lost(&cookies, cookie, 0);
    }
}

static void a_reset_loses_what_is_live(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t one = fwr_cookie_take(&cookies, 0), two = fwr_cookie_take(&cookies, 0);

    (void)state;
    fwr_cookie_lost_all(&cookies, 5);
    assert_int_equal(times_given(&cookies, one, 5) + times_given(&cookies, two, 5), 0);
}

static void an_answer_may_be_late(void **state)
{
    struct fwr_cookies cookies = {0};
    uint8_t one = fwr_cookie_take(&cookies, 0), two = fwr_cookie_take(&cookies, 0);

    (void)state;
    fwr_cookie_lost(&cookies, one, 0);
    fwr_cookie_answered(&cookies, two);
    assert_true(fwr_cookie_rests(&cookies, one));
    assert_false(fwr_cookie_rests(&cookies, two));
    fwr_cookie_take(&cookies, FWR_COOKIE_PERIOD_MS);
    assert_true(fwr_cookie_rests(&cookies, one));
    fwr_cookie_take(&cookies, 2 * (uint64_t)FWR_COOKIE_PERIOD_MS);
    assert_false(fwr_cookie_rests(&cookies, one));
}

static void the_clock_may_start_anywhere(void **state)
{
    struct fwr_cookies cookies = {0};
    const uint64_t now = UINT64_MAX - 3 * (uint64_t)FWR_COOKIE_PERIOD_MS;
    uint8_t lost = fwr_cookie_take(&cookies, now);

    (void)state;
    fwr_cookie_lost(&cookies, lost, now);
    assert_int_equal(times_given(&cookies, lost, now), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_come_in_turn),
        cmocka_unit_test(a_live_cookie_is_not_given_again),
        cmocka_unit_test(a_lost_cookie_rests_for_one_to_two_periods),
        cmocka_unit_test(a_long_silence_ends_all_rest),
        cmocka_unit_test(what_was_answered_does_not_rest),
        cmocka_unit_test(a_road_that_loses_everything_goes_on),
        cmocka_unit_test(a_reset_loses_what_is_live),
        cmocka_unit_test(an_answer_may_be_late),
        cmocka_unit_test(the_clock_may_start_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
