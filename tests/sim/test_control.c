/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: what operators and consoles may ask of a recipient, in whatever it does: Start, Abort,
 * Set Policy, Get Status, Read Page, and pushes that come at the wrong moment.
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
#define HOUR_MS   (3600u * 1000)
#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image image;
static struct fwr_caller caller = {.link = 3,
                                   .medium = FWR_MEDIUM_LAN,
                                   .privilege = FWR_PRIVILEGE_ADMIN,
                                   .security = FWR_SECURITY_SUITE,
                                   .session = 1,
                                   .max_reply = 240};
static uint8_t reply[256];

static int ask(uint8_t command, const uint8_t *data, int length)
{
    assert_true(length > 0);
    return fwr_recipient_request(w.recipient, w.now, &caller, command, data, (size_t)length, reply,
                                 caller.max_reply);
}

static uint8_t result_of(uint8_t command, const uint8_t *data, int length)
{
    struct fwr_result_reply out;
    int n = ask(command, data, length);

    assert_true(n > 0);
    assert_int_equal(fwr_result_reply_decode(reply, (size_t)n, &out), FWR_OK);
    return out.result;
}

static uint8_t start(uint8_t mode, uint32_t run)
{
    struct fwr_start_request request = {.cookie = 1, .mode = mode, .run = run};
    uint8_t data[16];

    return result_of(FWR_CMD_START, data, fwr_start_request_encode(&request, data, sizeof(data)));
}

static uint8_t stop(uint32_t run)
{
    struct fwr_start_request request = {.cookie = 1, .run = run};
    uint8_t data[16];

    return result_of(FWR_CMD_ABORT, data, fwr_abort_request_encode(&request, data, sizeof(data)));
}

static int offer(uint32_t session, const uint8_t tag[FWR_TAG_SIZE], struct fwr_offer_reply *out)
{
    struct fwr_offer_request request = {.cookie = 1, .sequence = 7};
    uint8_t data[32];

    memcpy(request.tag, tag, FWR_TAG_SIZE);
    caller.session = session;
    int n = ask(FWR_CMD_OFFER, data, fwr_offer_request_encode(&request, data, sizeof(data)));
    assert_true(n > 0);
    assert_int_equal(fwr_offer_reply_decode(reply, (size_t)n, out), FWR_OK);
    return out->result;
}

static int put(uint32_t transfer, uint8_t object, uint32_t offset, const void *bytes, size_t length)
{
    struct fwr_write_data_request request = {.cookie = 1,
                                             .transfer = transfer,
                                             .object = object,
                                             .offset = offset,
                                             .data = bytes,
                                             .length = length};
    uint8_t data[256];
    int n =
        ask(FWR_CMD_WRITE_DATA, data, fwr_write_data_request_encode(&request, data, sizeof(data)));

    return n < 0 ? n : reply[1];
}

static uint8_t policy(uint32_t generation, uint8_t item, uint32_t value, size_t length)
{
    uint8_t bytes[8] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    struct fwr_set_policy_request request = {
        .cookie = 1, .generation = generation, .item = item, .value = bytes, .length = length};
    uint8_t data[32];

    return result_of(FWR_CMD_SET_POLICY, data,
                     fwr_set_policy_request_encode(&request, data, sizeof(data)));
}

static int page(uint8_t which, uint8_t generation, uint32_t offset, uint16_t length)
{
    struct fwr_read_page_request request = {
        .cookie = 1, .page = which, .generation = generation, .offset = offset, .length = length};
    uint8_t data[16];

    return ask(FWR_CMD_READ_PAGE, data, fwr_read_page_request_encode(&request, data, sizeof(data)));
}

static void begin(uint64_t seed)
{
    world_init(&w, seed, &image, 0);
    w.config.rounds = 2;
    world_add_donor(&w, &image);
    world_damage(&w, 3 * BLOCK, 4 * BLOCK);
    world_damage(&w, 60 * BLOCK, 4 * BLOCK);
    caller.max_reply = 240;
    caller.session = 1;
}

static void assert_repaired(void)
{
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
}

/* ---- Start and Abort ---- */

/* After so many turns of a repair, `act`; then the repair, or the next one, ends well. */
static void at_every_turn(void (*act)(void))
{
    uint32_t turns = 0;

    for (bool done = false; !done; turns++) {
        begin(turns);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(start(FWR_START_REPAIR, 5), FWR_START_OK);
        for (uint32_t i = 0; i < turns && !done; i++)
            done = !world_turn(&w) || world_status(&w).state == FWR_STATE_DONE;
        act();
        world_run(&w, HOUR_MS);
        if (world_status(&w).state != FWR_STATE_DONE)
            assert_int_equal(world_repair(&w), 0);
        assert_repaired();
        world_free(&w);
    }
    printf("# %u turns\n", turns);
    assert_true(turns > 100);
}

static void start_other(void)
{
    bool rests = world_status(&w).state == FWR_STATE_DONE;

    assert_int_equal(start(FWR_START_REPAIR, 5), FWR_START_OK);
    assert_int_equal(start(FWR_START_REPAIR, 4), FWR_START_STALE);
    assert_int_equal(start(FWR_START_CHECK, 5), FWR_START_STALE);
    assert_int_equal(start(FWR_START_REPAIR, 6), rests ? FWR_START_OK : FWR_START_BUSY);
}

static void abort_now(void)
{
    bool erased = w.nor.counts.erases > 0;
    bool rests = world_status(&w).state == FWR_STATE_DONE;

    assert_int_equal(stop(4), FWR_START_STALE);
    uint8_t answer = stop(5);
    if (erased && !rests)
        assert_int_equal(answer, FWR_START_REFUSED);
    if (answer == FWR_START_REFUSED)
        return;
    world_run(&w, HOUR_MS);
    if (!rests) {
        assert_int_equal(world_status(&w).reason, REASON(FWR_E_ABORTED));
        assert_int_equal(w.nor.counts.erases, 0);
    }
    assert_false(w.host.held);
}

static void test_start_in_every_phase(void **state)
{
    (void)state;
    at_every_turn(start_other);
}

static void test_abort_in_every_phase(void **state)
{
    (void)state;
    at_every_turn(abort_now);
}

static void test_highest_run_number(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(start(FWR_START_REPAIR, UINT32_MAX), FWR_START_OK);
    world_run(&w, HOUR_MS);
    assert_repaired();
    world_damage(&w, 3 * BLOCK, 1);
    assert_int_equal(world_repair(&w), 0); /* the next number is taken by itself */
    assert_repaired();
    assert_int_equal(world_status(&w).run, 1);
    world_free(&w);
}

/* A check would end with the host still held: refused until it is given back. */
static void test_no_check_while_the_host_is_held(void **state)
{
    (void)state;
    begin(2);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(start(FWR_START_REPAIR, 5), FWR_START_OK);
    while (world_status(&w).state != FWR_STATE_REPAIRING)
        world_turn(&w);
    w.donors[0].die_after = w.donors[0].answered = 1;
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_true(world_turn(&w));
    assert_true(w.host.held);
    assert_int_equal(start(FWR_START_CHECK, 6), FWR_START_BUSY);
    assert_int_equal(start(FWR_START_DRY_RUN, 6), FWR_START_BUSY);
    w.donors[0].die_after = 0;
    assert_int_equal(start(FWR_START_REPAIR, 6), FWR_START_OK);
    world_run(&w, HOUR_MS);
    assert_repaired();
    world_free(&w);
}

static void test_bus_that_cannot_be_taken(void **state)
{
    (void)state;
    begin(3);
    w.host.fail[FWR_HOST_RECORDER_TAKE_BUS] = 1;
    w.host.fail[FWR_HOST_RECORDER_RELEASE] = 1; /* and then it stays held */
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_HOST_BUS));
    assert_true(w.host.held);
    assert_int_equal(world_repair(&w), 0); /* nothing is touched before the bus is ours */
    assert_repaired();
    assert_int_equal(w.host.violations, 0);
    world_free(&w);
}

/* ---- boot proof ---- */

static void test_boot_that_is_not_proven(void **state)
{
    (void)state;
    begin(4);
    w.config.boot_proof_ms = 5000;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BOOT_PROOF));
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
    assert_null(fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, 0));
    world_cut(&w); /* the trial goes on after a restart of the BMC; the host is not held again */
    uint64_t holds = w.host.calls[FWR_HOST_RECORDER_HOLD];
    assert_int_equal(world_boot(&w), FWR_OK);
    while (world_status(&w).state != FWR_STATE_TRIAL)
        assert_true(world_turn(&w));
    fwr_recipient_boot_proven(w.recipient, w.now);
    world_run(&w, HOUR_MS);
    assert_repaired();
    assert_non_null(fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, 0));
    assert_int_equal(w.host.calls[FWR_HOST_RECORDER_HOLD], holds);
    world_free(&w);
}

/* A later run holds the host again and is cut before it has written anything down. */
static void test_cut_in_the_run_after_an_unproven_boot(void **state)
{
    (void)state;
    begin(5);
    w.config.boot_proof_ms = 5000;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BOOT_PROOF));
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (!w.host.bus_taken)
        assert_true(world_turn(&w));
    world_cut(&w);
    assert_int_equal(world_boot(&w), FWR_OK);
    while (world_status(&w).state != FWR_STATE_TRIAL)
        assert_true(world_turn(&w));
    assert_int_equal(w.host.violations, 0);
    assert_false(w.host.held);
    fwr_recipient_boot_proven(w.recipient, w.now);
    world_run(&w, HOUR_MS);
    assert_repaired();
    world_free(&w);
}

/* ---- push ---- */

static void test_offer_during_a_pull(void **state)
{
    struct fwr_offer_reply out;

    (void)state;
    begin(5);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(start(FWR_START_REPAIR, 5), FWR_START_OK);
    while (world_status(&w).state != FWR_STATE_DONE) {
        assert_int_equal(offer(1, image.id, &out), FWR_OFFER_BUSY);
        assert_int_equal(put(1, FWR_OBJECT_BLOCKS, 3 * BLOCK, "x", 1), FWR_E_UNKNOWN_TRANSFER);
        assert_true(world_turn(&w));
    }
    assert_repaired();
    assert_int_equal(offer(1, image.id, &out), FWR_OFFER_NOT_WANTED);
    world_free(&w);
}

static void test_two_pushers(void **state)
{
    struct fwr_offer_reply first, second;

    (void)state;
    begin(6);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(offer(1, image.id, &first), FWR_OFFER_ACCEPTED);
    assert_int_equal(offer(2, image.id, &second), FWR_OFFER_BUSY);
    assert_int_equal(offer(1, image.id, &second), FWR_OFFER_ACCEPTED);
    assert_int_equal(first.transfer, second.transfer);
    caller.session = 2;
    assert_int_equal(put(first.transfer, FWR_OBJECT_MANIFEST, 0, image.envelope, 16),
                     FWR_E_UNKNOWN_TRANSFER);
    caller.session = 1;
    fwr_recipient_step(w.recipient, w.now);
    assert_int_equal(put(first.transfer, FWR_OBJECT_MANIFEST, 0, image.envelope, 16), FWR_WRITE_OK);
    world_free(&w);
}

/* Nothing but the next bytes of a wanted range is taken. */
static void test_write_data_outside_what_is_wanted(void **state)
{
    struct fwr_offer_reply out;

    (void)state;
    begin(7);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(offer(1, image.id, &out), FWR_OFFER_ACCEPTED);
    assert_int_equal(put(out.transfer, FWR_OBJECT_MANIFEST, 0, image.envelope, 16),
                     FWR_WRITE_NOT_WANTED); /* not asked for yet */
    fwr_recipient_step(w.recipient, w.now);
    assert_int_equal(put(out.transfer, FWR_OBJECT_MANIFEST, 1, image.envelope, 16),
                     FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(out.transfer, FWR_OBJECT_TREE, 0, image.envelope, 16),
                     FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(out.transfer, FWR_OBJECT_BLOCKS, 0, image.envelope, 16),
                     FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(out.transfer, FWR_OBJECT_MANIFEST, UINT32_MAX, image.envelope, 16),
                     FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(out.transfer + 1, FWR_OBJECT_MANIFEST, 0, image.envelope, 16),
                     FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(put(out.transfer, FWR_OBJECT_MANIFEST, 0, image.envelope, 16), FWR_WRITE_OK);
    assert_int_equal(w.nor.counts.erases, 0);
    world_free(&w);
}

/* A console that offers and is never heard of again holds nobody up. */
static void test_pusher_that_vanishes(void **state)
{
    struct fwr_offer_reply out;

    (void)state;
    for (int way = 0; way < 2; way++) {
        begin(8);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(offer(1, image.id, &out), FWR_OFFER_ACCEPTED);
        fwr_recipient_step(w.recipient, w.now);
        if (way == 1) { /* politely */
            struct fwr_end_transfer_request end = {.cookie = 1, .transfer = out.transfer};
            uint8_t data[16];
            int n = fwr_end_transfer_request_encode(&end, data, sizeof(data));
            assert_true(ask(FWR_CMD_END_TRANSFER, data, n) > 0);
        }
        uint64_t begun = w.now;
        world_run(&w, HOUR_MS);
        assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
        assert_int_equal(world_status(&w).reason,
                         REASON(way ? FWR_E_SESSION_CLOSED : FWR_E_DONOR_STALLED));
        assert_true(w.now - begun <= 61000);
        assert_int_equal(offer(2, image.id, &out), FWR_OFFER_ACCEPTED);
        world_free(&w);
    }
}

/* ---- policy ---- */

static void test_policy_only_tightens_and_survives(void **state)
{
    (void)state;
    begin(9);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(policy(3, FWR_POLICY_MIN_SEQUENCE, 8, 4), FWR_POLICY_OK);
    assert_int_equal(policy(3, FWR_POLICY_MIN_SEQUENCE, 9, 4), FWR_POLICY_STALE);
    assert_int_equal(policy(2, FWR_POLICY_MIN_SEQUENCE, 9, 4), FWR_POLICY_STALE);
    assert_int_equal(policy(4, FWR_POLICY_MIN_SEQUENCE, 7, 4), FWR_POLICY_REFUSED);
    assert_int_equal(policy(4, FWR_POLICY_MIN_SEQUENCE, 9, 3), FWR_POLICY_REFUSED);
    assert_int_equal(policy(4, 77, 9, 4), FWR_POLICY_REFUSED);
    assert_int_equal(policy(4, FWR_POLICY_MEDIA, 0x0e, 1), FWR_POLICY_OK);
    assert_int_equal(policy(5, FWR_POLICY_MEDIA, 0x0f, 1), FWR_POLICY_REFUSED);
    assert_int_equal(policy(5, FWR_POLICY_MEDIA, 0x06, 2), FWR_POLICY_REFUSED);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BELOW_POLICY));
    world_cut(&w);
    memset(&w.rules, 0, sizeof(w.rules)); /* as the configuration has them */
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(w.rules.min_sequence, 8);
    assert_int_equal(w.rules.media_refused, 0xf1);
    assert_int_equal(policy(4, FWR_POLICY_MIN_SEQUENCE, 9, 4), FWR_POLICY_STALE);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BELOW_POLICY));
    assert_int_equal(w.nor.counts.erases, 0);
    world_free(&w);
}

static void test_policy_over_a_slow_or_failing_store(void **state)
{
    uint8_t data[] = {1, 0, 1, 0, 0, 0, FWR_POLICY_MIN_SEQUENCE, 5, 0, 0, 0};

    (void)state;
    begin(10);
    assert_int_equal(world_boot(&w), FWR_OK);
    w.store.fail_writes = 1;
    w.store.write_error = FWR_E_STORE_FULL;
    assert_int_equal(ask(FWR_CMD_SET_POLICY, data, sizeof(data)), FWR_E_STORE_FULL);
    assert_int_equal(w.rules.min_sequence, 0);
    w.store.pending_calls = 4;
    assert_int_equal(ask(FWR_CMD_SET_POLICY, data, sizeof(data)), FWR_E_BUSY);
    assert_int_equal(w.rules.min_sequence, 0); /* in force when it is written down */
    while (fwr_recipient_step(w.recipient, w.now) == FWR_PENDING)
        ;
    assert_int_equal(w.rules.min_sequence, 5);
    assert_int_equal(result_of(FWR_CMD_SET_POLICY, data, sizeof(data)), FWR_POLICY_STALE);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    world_free(&w);
}

/* ---- pages ---- */

static void test_every_page_in_every_slice(void **state)
{
    static uint8_t whole[8192];

    (void)state;
    begin(11);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    for (uint8_t which = FWR_PAGE_LOG; which <= FWR_PAGE_PEERS; which++) {
        size_t length = 0, again = 0;
        caller.max_reply = 240;
        for (int n; (n = page(which, 0, (uint32_t)length, 200)) > 2; length += (size_t)n - 2)
            memcpy(whole + length, reply + 2, (size_t)n - 2);
        caller.max_reply = 19;
        for (int n; (n = page(which, 1, (uint32_t)again, 200)) > 2; again += (size_t)n - 2) {
            assert_true(n <= 19);
            assert_memory_equal(whole + again, reply + 2, (size_t)n - 2);
        }
        assert_int_equal(again, length);
        assert_true(length > 0);
        assert_int_equal(page(which, 0, (uint32_t)length, 200), 2);
        assert_int_equal(page(which, 0, (uint32_t)length + 1, 200), FWR_E_RANGE);
        assert_int_equal(page(which, 0, UINT32_MAX, UINT16_MAX), FWR_E_RANGE);
        assert_int_equal(page(which, 2, 0, 200), FWR_E_STALE);
    }
    assert_int_equal(page(FWR_PAGE_PEERS + 1, 0, 0, 10), FWR_E_RANGE);
    world_free(&w);
}

static void test_log_that_wraps_around(void **state)
{
    (void)state;
    begin(12);
    w.config.log_size = 300;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    uint32_t from = world_status(&w).log_start, end = world_status(&w).log_end;
    assert_int_equal(end - from, 300);
    assert_int_equal(page(FWR_PAGE_LOG, 0, from - 1, 10), FWR_E_RANGE);
    assert_int_equal(fwr_error_completion_code(FWR_E_RANGE), 0xc9);
    assert_int_equal(page(FWR_PAGE_LOG, 0, 0, 10), FWR_E_RANGE);
    assert_int_equal(page(FWR_PAGE_LOG, 0, from, 10), 12);
    assert_int_equal(page(FWR_PAGE_LOG, 0, end - 7, 200), 9);
    assert_int_equal(reply[8], '\n');
    assert_int_equal(page(FWR_PAGE_LOG, 0, end, 200), 2);
    world_free(&w);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
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
        cmocka_unit_test(test_start_in_every_phase),
        cmocka_unit_test(test_abort_in_every_phase),
        cmocka_unit_test(test_highest_run_number),
        cmocka_unit_test(test_no_check_while_the_host_is_held),
        cmocka_unit_test(test_bus_that_cannot_be_taken),
        cmocka_unit_test(test_boot_that_is_not_proven),
        cmocka_unit_test(test_cut_in_the_run_after_an_unproven_boot),
        cmocka_unit_test(test_offer_during_a_pull),
        cmocka_unit_test(test_two_pushers),
        cmocka_unit_test(test_write_data_outside_what_is_wanted),
        cmocka_unit_test(test_pusher_that_vanishes),
        cmocka_unit_test(test_policy_only_tightens_and_survives),
        cmocka_unit_test(test_policy_over_a_slow_or_failing_store),
        cmocka_unit_test(test_every_page_in_every_slice),
        cmocka_unit_test(test_log_that_wraps_around),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
