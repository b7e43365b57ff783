/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: one who waits is called by one who was repaired. A call makes a configured donor be
 * asked at once, and nothing else: it begins no run, ends none and costs none of its tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK   4096u
#define HOUR_MS 3600000u
#define CROWD   12 /* more than are all asked */

static struct given_image image;
static struct world w;
static uint64_t empty;                  /* bit n: donor n has no image */
static uint32_t asks[WORLD_DONORS_MAX]; /* Request Image answered, by donor */

/* Donors that hold nothing yet answer "none". */
static size_t tamper(struct world *world, const struct world_message *request, uint8_t *reply,
                     size_t length)
{
    if (request->command != world->oem.command_base + FWR_CMD_REQUEST_IMAGE)
        return length;
    asks[request->peer]++;
    if (empty >> request->peer & 1)
        memset(reply + 5, 0, length - 5);
    return length;
}

/* A damaged flash, and donors of which none has an image; the recipient waits. */
static void wait_for_help(uint64_t seed, uint8_t rounds)
{
    world_init(&w, seed, &image, 0);
    w.tamper = tamper;
    w.config.backoff_ms = 60000;
    w.config.rounds = rounds;
    empty = UINT64_MAX;
    memset(asks, 0, sizeof(asks));
    for (int i = 0; i < CROWD; i++)
        world_add_donor(&w, &image);
    world_damage(&w, 3 * BLOCK, 2 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_true(world_turn(&w));
    memset(asks, 0, sizeof(asks));
}

static uint32_t all_asks(void)
{
    uint32_t sum = 0;

    for (int i = 0; i < CROWD; i++)
        sum += asks[i];
    return sum;
}

/* A call of whom the links know as `peer` + 1; the recipient's answer. */
static uint8_t call(uint8_t peer)
{
    const struct fwr_caller caller = {.link = 1,
                                      .medium = FWR_MEDIUM_LAN,
                                      .privilege = FWR_PRIVILEGE_USER,
                                      .security = FWR_SECURITY_SUITE,
                                      .session = 40,
                                      .max_reply = 100,
                                      .peer = peer};
    struct fwr_offer_request request = {.cookie = 9, .sequence = 1, .kind = FWR_OFFER_CALL};
    uint8_t bytes[FWR_IANA_SIZE + 32], reply[64];
    struct fwr_offer_reply answer;

    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        bytes[i] = (uint8_t)(w.oem.iana >> 8 * i);
    memcpy(request.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_offer_request_encode(&request, bytes + FWR_IANA_SIZE, 32);
    size_t got =
        fwr_oem_handle(&w.oem, w.now, &caller, (uint8_t)(w.oem.command_base + FWR_CMD_OFFER), bytes,
                       FWR_IANA_SIZE + (size_t)length, reply, sizeof(reply));
    assert_int_equal(reply[0], 0);
    assert_int_equal(fwr_offer_reply_decode(reply + 4, got - 4, &answer), FWR_OK);
    assert_int_equal(answer.transfer, 0);
    assert_int_equal(answer.lease, 0);
    return answer.result;
}

static void test_a_call_ends_the_wait(void **state)
{
    (void)state;
    wait_for_help(1, 5);
    uint64_t before = w.now;
    empty &= ~(1ull << 7);
    assert_int_equal(call(8), FWR_OFFER_ACCEPTED);
    assert_int_equal(call(9), FWR_OFFER_BUSY); /* one at a time */
    assert_int_equal(world_run(&w, HOUR_MS), FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, &image));
    assert_in_range(w.now, before, before + 5000); /* the wait would have been a minute */
    assert_int_equal(asks[7], 1);
    assert_int_equal(all_asks(), 1); /* nobody else was bothered */
    world_free(&w);
}

static void test_who_is_not_known_and_who_does_not_wait(void **state)
{
    (void)state;
    wait_for_help(2, 5);
    uint64_t end = fwr_recipient_next_timeout(w.recipient);
    assert_int_equal(call(0), FWR_OFFER_NOT_WANTED);
    assert_int_equal(call(CROWD + 1), FWR_OFFER_NOT_WANTED);
    assert_int_equal(call(255), FWR_OFFER_NOT_WANTED);
    assert_int_equal(fwr_recipient_next_timeout(w.recipient), end);
    empty = 0;
    assert_int_equal(call(1), FWR_OFFER_ACCEPTED);
    while (world_status(&w).state != FWR_STATE_REPAIRING)
        assert_true(world_turn(&w));
    assert_int_equal(call(2), FWR_OFFER_BUSY);
    assert_int_equal(world_run(&w, HOUR_MS), FWR_STATE_DONE);
    uint32_t run = world_status(&w).run;
    assert_int_equal(call(1), FWR_OFFER_NOT_WANTED);
    world_run(&w, 1000);
    assert_int_equal(world_status(&w).run, run); /* nobody's call begins one */
    assert_int_equal(all_asks(), 1);
    world_free(&w);
}

static void test_vain_calls_cost_nothing(void **state)
{
    (void)state;
    wait_for_help(3, 2); /* 8 of 32 tries are spent; each fruitless round costs 8 more */
    uint64_t end = fwr_recipient_next_timeout(w.recipient);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(call(3), FWR_OFFER_ACCEPTED);
        do
            assert_true(world_turn(&w));
        while (asks[2] < i || world_status(&w).state != FWR_STATE_BACKOFF);
        assert_int_equal(fwr_recipient_next_timeout(w.recipient), end);
    }
    assert_int_equal(all_asks(), 4);
    assert_int_equal(call(3), FWR_OFFER_NOT_WANTED); /* believed often enough */
    empty &= ~(1ull << 4);
    assert_int_equal(call(5), FWR_OFFER_ACCEPTED);
    assert_int_equal(world_run(&w, HOUR_MS), FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    world_free(&w);
}

/* A caller that vanishes is waited for as long as offers are gathered, and the run then ends as
 * it would have without the call. */
static void test_a_caller_that_vanishes(void **state)
{
    (void)state;
    wait_for_help(4, 2);
    uint64_t end = fwr_recipient_next_timeout(w.recipient);
    w.donors[2].die_after = 1;
    w.donors[2].answered = 1;
    assert_int_equal(call(3), FWR_OFFER_ACCEPTED);
    do
        assert_true(world_turn(&w));
    while (world_status(&w).state != FWR_STATE_BACKOFF);
    assert_in_range(w.now, 0, end - 50000);
    assert_int_equal(fwr_recipient_next_timeout(w.recipient), end);
    assert_int_equal(world_run(&w, HOUR_MS), FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).reason, -FWR_E_NO_OFFER);
    world_free(&w);
}

/* ---- calling ---- */

static void repaired(uint64_t seed, bool damaged)
{
    world_init(&w, seed, &image, 0);
    for (int i = 0; i < CROWD; i++)
        world_add_donor(&w, &image);
    if (damaged)
        world_damage(&w, 3 * BLOCK, 2 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    while (fwr_recipient_next_timeout(w.recipient) != FWR_NEVER)
        assert_true(world_turn(&w)); /* End Transfer */
}

/* The call that is to be sent now: whom it goes to, or -1. */
static int sent(void)
{
    struct fwr_outgoing m;
    struct fwr_offer_request request;

    if (!fwr_recipient_next_send(w.recipient, w.now, &m))
        return -1;
    assert_int_equal(m.command, FWR_CMD_OFFER);
    assert_int_equal(fwr_offer_request_decode(m.data, m.length, &request), FWR_OK);
    assert_int_equal(request.kind, FWR_OFFER_CALL);
    assert_memory_equal(request.tag, image.id, FWR_TAG_SIZE);
    assert_int_equal(request.sequence, image.manifest.sequence);
    return m.peer | request.cookie << 8;
}

static void answer(int call, uint8_t result)
{
    struct fwr_offer_reply reply = {.cookie = (uint8_t)(call >> 8), .result = result};
    uint8_t bytes[16];
    int length = fwr_offer_reply_encode(&reply, bytes, sizeof(bytes));

    fwr_recipient_response(w.recipient, w.now, (uint8_t)call, FWR_CMD_OFFER, FWR_OK, bytes,
                           (size_t)length);
}

static int offer(uint8_t places)
{
    return fwr_recipient_offer(w.recipient, w.now, image.id, places);
}

static void test_calls_while_there_are_places(void **state)
{
    int first, second;

    (void)state;
    repaired(11, true);
    fwr_recipient_asked(w.recipient, 5);
    assert_int_equal(offer(0), FWR_PENDING);
    assert_int_equal(sent(), -1);
    assert_int_equal(offer(2), FWR_PENDING);
    first = sent();
    assert_int_equal(first & 0xff, 5); /* who asked comes first */
    assert_int_equal(offer(2), FWR_PENDING);
    assert_int_equal(sent(), -1); /* one on its way at a time */
    answer(first, FWR_OFFER_ACCEPTED);
    assert_int_equal(offer(2), FWR_PENDING);
    assert_int_equal(sent(), -1); /* until it has come … */
    assert_int_equal(offer(1), FWR_PENDING);
    second = sent();
    assert_int_not_equal(second, -1);
    answer(second, FWR_OFFER_ACCEPTED);
    assert_int_equal(offer(1), FWR_PENDING);
    assert_int_equal(sent(), -1);
    assert_int_equal(fwr_recipient_next_timeout(w.recipient), w.now + 100);
    w.now += 100; /* … or does not */
    fwr_recipient_timeout(w.recipient, w.now);
    assert_int_equal(offer(1), FWR_PENDING);
    assert_int_not_equal(sent(), -1);
    world_free(&w);
}

static void test_calls_end_where_nobody_waits(void **state)
{
    static const uint8_t results[][5] = {
        {FWR_OFFER_NOT_WANTED, FWR_OFFER_NOT_WANTED, 9},
        {FWR_OFFER_BUSY, FWR_OFFER_BUSY, FWR_OFFER_BUSY, FWR_OFFER_BUSY, 9},
        {FWR_OFFER_BUSY, FWR_OFFER_NOT_WANTED, FWR_OFFER_BUSY, 9},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        uint32_t called = 0;

        repaired(12 + i, true);
        for (size_t k = 0; k < 5 && results[i][k] != 9; k++) {
            assert_int_equal(offer(4), FWR_PENDING);
            int peer = sent();
            assert_int_not_equal(peer, -1);
            assert_false(called >> (peer & 0xff) & 1); /* nobody twice */
            called |= 1u << (peer & 0xff);
            answer(peer, results[i][k]);
        }
        assert_int_equal(offer(4), FWR_OK);
        assert_int_equal(sent(), -1);
        world_free(&w);
    }
}

static void test_a_call_without_an_answer(void **state)
{
    unsigned sends = 0;

    (void)state;
    repaired(15, true);
    while (offer(4) == FWR_PENDING) {
        sends += sent() != -1;
        assert_true(fwr_recipient_next_timeout(w.recipient) != FWR_NEVER);
        w.now = fwr_recipient_next_timeout(w.recipient);
        fwr_recipient_timeout(w.recipient, w.now);
    }
    assert_int_equal(sends, 4); /* two peers, each twice */
    world_free(&w);
}

static void test_everybody_is_called_once(void **state)
{
    uint32_t called = 0;

    (void)state;
    repaired(16, true);
    for (uint8_t places = CROWD + 1; offer(places) == FWR_PENDING; places--) {
        int peer = sent();
        assert_int_not_equal(peer, -1);
        called |= 1u << (peer & 0xff);
        answer(peer, FWR_OFFER_ACCEPTED);
    }
    assert_int_equal(called, (1u << CROWD) - 1);
    world_free(&w);
}

static void test_only_who_was_repaired_calls(void **state)
{
    (void)state;
    repaired(17, false);
    assert_int_equal(offer(4), FWR_OK); /* was never damaged */
    assert_int_equal(sent(), -1);
    world_free(&w);
    repaired(18, true);
    uint8_t other[FWR_TAG_SIZE] = {1};
    assert_int_equal(fwr_recipient_offer(w.recipient, w.now, other, 4), FWR_OK);
    assert_int_equal(sent(), -1);
    world_free(&w);
}

static int set_up(void **state)
{
    (void)state;
    image.seed = 7;
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
        cmocka_unit_test(test_a_call_ends_the_wait),
        cmocka_unit_test(test_who_is_not_known_and_who_does_not_wait),
        cmocka_unit_test(test_vain_calls_cost_nothing),
        cmocka_unit_test(test_a_caller_that_vanishes),
        cmocka_unit_test(test_calls_while_there_are_places),
        cmocka_unit_test(test_calls_end_where_nobody_waits),
        cmocka_unit_test(test_a_call_without_an_answer),
        cmocka_unit_test(test_everybody_is_called_once),
        cmocka_unit_test(test_only_who_was_repaired_calls),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
