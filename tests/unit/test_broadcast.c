/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of what a donor sends to everybody: nothing twice, in the order it was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#include "engine/broadcast.h"
#include "tests/unit/seeded.h"

static struct fwr_broadcasts b;

static int add(uint64_t at, uint64_t end, uint16_t link)
{
    const struct fwr_broadcast range = {.at = at, .end = end, .link = link, .epoch = 1, .image = 2};

    return fwr_broadcasts_add(&b, 0, &range);
}

/* Takes up to `most` bytes of a link; where they were, or UINT64_MAX. */
static uint64_t take(uint16_t link, uint64_t most, uint64_t *length)
{
    struct fwr_broadcast *range = fwr_broadcasts_first(&b, link);
    uint64_t at;

    if (range == NULL)
        return UINT64_MAX;
    at = range->at;
    *length = range->end - range->at < most ? range->end - range->at : most;
    fwr_broadcasts_sent(&b, range, *length);
    return at;
}

static int begin(void **state)
{
    (void)state;
    b = (struct fwr_broadcasts){0};
    return 0;
}

static void test_what_is_queued_is_not_queued_again(void **state)
{
    uint64_t length;

    (void)state;
    assert_int_equal(add(100, 200, 1), FWR_OK);
    assert_int_equal(add(100, 200, 1), FWR_OK);
    assert_int_equal(add(120, 180, 1), FWR_OK);
    assert_int_equal(b.count, 1);
    assert_int_equal(add(50, 250, 1), FWR_OK); /* a piece on either side */
    assert_int_equal(b.count, 3);
    assert_int_equal(take(1, 1000, &length), 100);
    assert_int_equal(take(1, 1000, &length), 50);
    assert_int_equal(length, 50);
    assert_int_equal(take(1, 1000, &length), 200);
    assert_int_equal(length, 50);
    assert_int_equal(take(1, 1000, &length), UINT64_MAX);
}

static void test_what_was_sent_may_be_asked_for_again(void **state)
{
    uint64_t length;

    (void)state;
    assert_int_equal(add(0, 100, 1), FWR_OK);
    assert_int_equal(take(1, 30, &length), 0);
    assert_int_equal(add(0, 100, 1), FWR_OK); /* the first 30 bytes, and no more */
    assert_int_equal(take(1, 1000, &length), 30);
    assert_int_equal(length, 70);
    assert_int_equal(take(1, 1000, &length), 0);
    assert_int_equal(length, 30);
}

static void test_links_and_images_are_apart(void **state)
{
    const struct fwr_broadcast other = {.at = 0, .end = 100, .link = 1, .epoch = 2, .image = 2};
    uint64_t length;

    (void)state;
    assert_int_equal(add(0, 100, 1), FWR_OK);
    assert_int_equal(add(0, 100, 7), FWR_OK);
    assert_int_equal(fwr_broadcasts_add(&b, 0, &other), FWR_OK);
    assert_int_equal(b.count, 3);
    assert_int_equal(take(7, 1000, &length), 0);
    assert_int_equal(take(7, 1000, &length), UINT64_MAX);
    assert_int_equal(take(3, 1000, &length), UINT64_MAX);
    assert_int_equal(b.count, 2);
}

static void test_a_full_queue_says_so(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < FWR_BROADCASTS_MAX; i++)
        assert_int_equal(add(i * 100, i * 100 + 10, 1), FWR_OK);
    assert_int_equal(add(5000000, 5000010, 1), FWR_E_BUSY);
    assert_int_equal(add(0, 10, 1), FWR_OK); /* is there */
    fwr_broadcasts_sent(&b, &b.queue[3], UINT64_MAX);
    assert_int_equal(add(5000000, 5000010, 1), FWR_OK);
}

/* Whatever is asked for: each byte comes as often as it was not in the queue when it was. */
static void test_random_ranges(void **state)
{
    enum { BYTES = 400 };
    uint64_t random = 17, length;

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        uint8_t wanted[BYTES] = {0}, sent[BYTES] = {0};
        for (unsigned i = 0; i < 12; i++) {
            uint8_t draw[4];
            seeded_fill(&random, draw, sizeof(draw));
            uint64_t at = (uint64_t)(draw[0] | draw[1] << 8) % BYTES;
            uint64_t end = at + 1 + draw[2] % (BYTES - at);
            assert_int_equal(add(at, end, 1), FWR_OK);
            for (uint64_t k = at; k < end; k++)
                wanted[k] = 1;
            if (draw[3] % 3 == 0 && (at = take(1, draw[3], &length)) != UINT64_MAX)
                for (uint64_t k = at; k < at + length; k++)
                    sent[k]++, wanted[k] = 0;
        }
        for (uint64_t at; (at = take(1, 33, &length)) != UINT64_MAX;)
            for (uint64_t k = at; k < at + length; k++) {
                assert_int_equal(wanted[k], 1); /* never twice */
                wanted[k] = 0;
                sent[k]++;
            }
        for (unsigned k = 0; k < BYTES; k++)
            assert_int_equal(wanted[k], 0);
    }
}

static void test_waits_for_those_who_come(void **state)
{
    const struct fwr_broadcast range = {.at = 0, .end = 100, .link = 1};

    (void)state;
    assert_true(fwr_broadcasts_begin(&b) == FWR_NEVER);
    fwr_broadcasts_join(&b, 900);
    assert_int_equal(fwr_broadcasts_add(&b, 1000, &range), FWR_OK);
    assert_true(fwr_broadcasts_begin(&b) > 1000);
    for (uint64_t now = 1000; now < 60000; now += 100) /* they never stop coming */
        fwr_broadcasts_join(&b, now);
    assert_true(fwr_broadcasts_begin(&b) < 30000);
    fwr_broadcasts_sent(&b, fwr_broadcasts_first(&b, 1), 10);
    fwr_broadcasts_join(&b, 60000);
    assert_int_equal(fwr_broadcasts_begin(&b), 0); /* once begun it goes on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_is_queued_is_not_queued_again, begin),
        cmocka_unit_test_setup(test_what_was_sent_may_be_asked_for_again, begin),
        cmocka_unit_test_setup(test_links_and_images_are_apart, begin),
        cmocka_unit_test_setup(test_a_full_queue_says_so, begin),
        cmocka_unit_test_setup(test_random_ranges, begin),
        cmocka_unit_test_setup(test_waits_for_those_who_come, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
