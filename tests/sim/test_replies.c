/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies: what a hostile or odd donor may answer to each command. Beside it there is an honest
 * one that holds the same image, so every recovery ends well; not one byte is written that is
 * not the image's; and nothing goes on for ever.
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
#define HEADER    4 /* completion code and IANA number */
#define HOUR_MS   (3600u * 1000)
#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image image;

/* What becomes of each reply of donor 0 to `command`, or of the first only. */
static struct {
    uint8_t command;
    bool once;
    size_t seen;
    size_t longest;
    size_t (*change)(uint8_t *reply, size_t length, size_t number);
    size_t number;
} mutation;

static size_t tamper(struct world *world, const struct world_message *request, uint8_t *reply,
                     size_t length)
{
    uint8_t command = (uint8_t)(request->command - FWR_COMMAND_BASE);

    (void)world;
    if (request->peer != 0 || command != mutation.command)
        return length;
    if (length > mutation.longest)
        mutation.longest = length;
    if (mutation.seen++ > 0 && mutation.once)
        return length;
    return mutation.change ? mutation.change(reply, length, mutation.number) : length;
}

static void begin(uint64_t seed, uint8_t donors)
{
    world_init(&w, seed, &image, 0);
    w.config.rounds = 3;
    for (uint8_t i = 0; i < donors; i++)
        world_add_donor(&w, &image);
    world_damage(&w, 2 * BLOCK, 3 * BLOCK);
    world_damage(&w, 22 * BLOCK, 2 * BLOCK);
    w.tamper = tamper;
}

static void assert_recovers(const char *what)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    uint8_t state = world_run(&w, HOUR_MS);
    if (state != FWR_STATE_DONE || world_status(&w).reason != 0 || !world_is_right(&w, &image) ||
        w.host.held || w.host.violations)
        fail_msg("%s, command %u, number %zu, once %d: state %u, reason %u", what, mutation.command,
                 mutation.number, mutation.once, state, world_status(&w).reason);
}

static const uint8_t commands[] = {FWR_CMD_REQUEST_IMAGE, FWR_CMD_READ_MANIFEST,
                                   FWR_CMD_ACCEPT_OFFER,  FWR_CMD_READ_TREE,
                                   FWR_CMD_READ_BLOCKS,   FWR_CMD_END_TRANSFER};

/* How long donor 0's longest reply to a command is when nobody tampers. */
static size_t longest_reply(uint8_t command)
{
    memset(&mutation, 0, sizeof(mutation));
    mutation.command = command;
    begin(1, 2);
    assert_recovers("untouched");
    world_free(&w);
    return mutation.longest;
}

/* Recovers under `change` with numbers 0, step, 2·step … below `count`, for every command. */
static void sweep(const char *what, size_t (*change)(uint8_t *, size_t, size_t), size_t count)
{
    uint32_t runs = 0;

    for (size_t c = 0; c < sizeof(commands); c++) {
        size_t all = count ? count : longest_reply(commands[c]);
        size_t step = all > 300 ? all / 97 : all > 100 ? 5 : 1; /* see also `alone` */
        for (size_t number = 0; number < all; number += number < 32 ? 1 : step) {
            for (int once = 0; once < (number < 32 ? 2 : 1); once++) {
                memset(&mutation, 0, sizeof(mutation));
                mutation.command = commands[c];
                mutation.once = once;
                mutation.number = number;
                mutation.change = change;
                begin(number, 2);
                assert_recovers(what);
                world_free(&w);
                runs++;
            }
        }
    }
    printf("# %s: %u recoveries\n", what, runs);
}

static size_t truncate_reply(uint8_t *reply, size_t length, size_t number)
{
    (void)reply;
    return number < length ? number : length;
}

static size_t flip_byte(uint8_t *reply, size_t length, size_t number)
{
    if (number < length)
        reply[number] ^= 0x41;
    return length;
}

static size_t saturate_byte(uint8_t *reply, size_t length, size_t number)
{
    if (number < length)
        reply[number] = 0xff;
    return length;
}

static size_t clear_byte(uint8_t *reply, size_t length, size_t number)
{
    if (number < length)
        reply[number] = 0;
    return length;
}

static size_t lengthen(uint8_t *reply, size_t length, size_t number)
{
    size_t more = number == 0 ? 1 : number == 1 ? 17 : WORLD_MESSAGE_MAX - length;

    memset(reply + length, 0x5a, more);
    return length + more;
}

static size_t completion_code(uint8_t *reply, size_t length, size_t number)
{
    reply[0] = (uint8_t)number;
    return number ? HEADER : length;
}

/* As a completion code, but the data stands behind it. */
static size_t code_with_data(uint8_t *reply, size_t length, size_t number)
{
    static const uint8_t codes[] = {0x80, 0x81, 0xc0, 0xc1, 0xc3, 0xc9, 0xcb, 0xd4, 0xff};

    reply[0] = codes[number];
    return length;
}

static void test_every_truncation(void **state)
{
    (void)state;
    sweep("truncated", truncate_reply, 0);
}

static void test_every_byte_flipped(void **state)
{
    (void)state;
    sweep("flipped", flip_byte, 0);
}

static void test_every_byte_at_its_limits(void **state)
{
    (void)state;
    sweep("all ones", saturate_byte, 32);
    sweep("all zeros", clear_byte, 32);
}

static void test_more_bytes_than_asked_for(void **state)
{
    (void)state;
    sweep("too long", lengthen, 3);
}

static void test_every_completion_code(void **state)
{
    (void)state;
    sweep("completion codes", completion_code, 256);
    sweep("completion codes with data", code_with_data, 9);
}

/* Alone with such a donor: no recovery, but an end, and nothing written that is not right. */
static void alone(size_t (*change)(uint8_t *, size_t, size_t), size_t count)
{
    for (size_t c = 0; c < sizeof(commands); c++) {
        for (size_t number = 0; number < count; number++) {
            memset(&mutation, 0, sizeof(mutation));
            mutation.command = commands[c];
            mutation.number = number;
            mutation.change = change;
            begin(number, 1);
            assert_int_equal(world_boot(&w), FWR_OK);
            assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
            uint8_t end = world_run(&w, HOUR_MS);
            if ((end != FWR_STATE_FAILED && end != FWR_STATE_DONE) || w.strangers > 0 ||
                (end == FWR_STATE_DONE) != world_is_right(&w, &image))
                fail_msg("command %u, number %zu: state %u", commands[c], number, end);
            if (end == FWR_STATE_FAILED)
                assert_int_not_equal(world_status(&w).reason, 0);
            world_free(&w);
        }
    }
}

static void test_alone_with_a_hostile_donor(void **state)
{
    (void)state;
    alone(truncate_reply, 24);
    alone(flip_byte, 24);
    alone(saturate_byte, 24);
    alone(clear_byte, 24);
    alone(lengthen, 3);
    alone(completion_code, 256);
}

/* ---- replies out of turn ---- */

static size_t say_twice_and_late(struct world *world, const struct world_message *request,
                                 uint8_t *reply, size_t length)
{
    uint8_t nothing[64] = {0, 0xd9, 0x7e, 0, 0x77, 0, 2, 255};

    if (request->peer != 0)
        return length;
    world_reply(world, 0, request->command, reply, length, 0);
    world_reply(world, 0, request->command, reply, length, 400);
    world_reply(world, 0, request->command, nothing, sizeof(nothing), 1);
    world_reply(world, 0, (uint8_t)(request->command ^ 1), reply, length, 1);
    return length;
}

static void test_replies_repeated_late_and_unasked(void **state)
{
    (void)state;
    begin(3, 2);
    w.tamper = say_twice_and_late;
    assert_recovers("out of turn");
    world_free(&w);
}

/* Only after the time-out, every time: the cookie is another by then. */
static size_t say_too_late(struct world *world, const struct world_message *request, uint8_t *reply,
                           size_t length)
{
    if (request->peer != 0)
        return length;
    world_reply(world, 0, request->command, reply, length, 70000);
    return 0;
}

static void test_replies_after_the_time_out(void **state)
{
    (void)state;
    begin(3, 2);
    w.tamper = say_too_late;
    assert_recovers("too late");
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    world_free(&w);
}

/* ---- what a donor may say in good form ---- */

static uint8_t form; /* which game is played */

static size_t play(struct world *world, const struct world_message *request, uint8_t *reply,
                   size_t length)
{
    uint8_t command = (uint8_t)(request->command - FWR_COMMAND_BASE);

    (void)world;
    if (request->peer != 0 || length < HEADER + 1)
        return length;
    switch (form) {
    case 0: /* matches without end, each another image and each the newest of all */
        if (command == FWR_CMD_REQUEST_IMAGE && length >= HEADER + 19) {
            reply[HEADER + 1] = FWR_IMAGE_OFFER;
            reply[HEADER + 2] = 255;
            reply[HEADER + 7] = (uint8_t)mutation.seen++;
            memset(reply + HEADER + 15, 0xff, 4);
        }
        return length;
    case 1: /* Accept Offer with no bytes a read, */
    case 2: /* no window, */
    case 3: /* no transfer id */
        if (command == FWR_CMD_ACCEPT_OFFER && length >= HEADER + 13)
            memset(reply + HEADER +
                       (form == 1   ? 8
                        : form == 2 ? 10
                                    : 2),
                   0,
                   form == 3   ? 4
                   : form == 1 ? 2
                               : 1);
        return length;
    case 4: /* transfers are forgotten as soon as they are opened */
        if (command != FWR_CMD_READ_TREE && command != FWR_CMD_READ_BLOCKS)
            return length;
        reply[0] = fwr_error_completion_code(FWR_E_UNKNOWN_TRANSFER);
        return HEADER;
    case 5: /* busy for ever, whatever is asked */
        reply[0] = 0xc0;
        return HEADER;
    case 6: /* one byte at a time */
        return command == FWR_CMD_READ_MANIFEST || command == FWR_CMD_READ_TREE ||
                       command == FWR_CMD_READ_BLOCKS
                   ? HEADER + 2
                   : length;
    case 7: /* a manifest of the largest length that its head can name */
        if (command == FWR_CMD_READ_MANIFEST && length > HEADER + 20)
            memset(reply + HEADER + 1 + 8, 0xff, 8);
        return length;
    case 8: /* busy for as long as can be said, in good form */
        if (command == FWR_CMD_REQUEST_IMAGE && length >= HEADER + 19) {
            reply[HEADER + 1] = FWR_IMAGE_BUSY;
            memset(reply + HEADER + 5, 0xff, 2);
        }
        if (command == FWR_CMD_ACCEPT_OFFER && length >= HEADER + 13) {
            reply[HEADER + 1] = FWR_ACCEPT_BUSY;
            memset(reply + HEADER + 11, 0xff, 2);
        }
        return length;
    default: /* nothing held, whatever is read */
        if (command != FWR_CMD_READ_TREE && command != FWR_CMD_READ_BLOCKS)
            return length;
        reply[0] = fwr_error_completion_code(FWR_E_NOT_HELD);
        return HEADER;
    }
}

static void test_games_in_good_form(void **state)
{
    (void)state;
    for (form = 0; form <= 9; form++) {
        memset(&mutation, 0, sizeof(mutation));
        begin(form, 2);
        w.tamper = play;
        mutation.number = form;
        assert_recovers("game");
        world_free(&w);
    }
}

/* Alone the games end in a reason of their own, in bounded time, with nothing written. */
static void test_games_of_the_only_donor(void **state)
{
    static const int reasons[] = {
        [1] = FWR_E_DONORS_LOST, [2] = FWR_E_DONORS_LOST, [3] = FWR_E_DONORS_LOST,
        [4] = FWR_E_DONORS_LOST, [5] = FWR_E_DONORS_BUSY, [7] = FWR_E_ENVELOPE_SIZE,
        [8] = FWR_E_DONORS_BUSY, [9] = FWR_E_DONORS_LOST,
    };

    (void)state;
    for (form = 1; form <= 9; form++) {
        if (form == 6) /* slow, but enough */
            continue;
        begin(form, 1);
        w.tamper = play;
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        world_run(&w, HOUR_MS);
        if (world_status(&w).reason != REASON(reasons[form]))
            fail_msg("game %u: reason %u, state %u", form, world_status(&w).reason,
                     world_status(&w).state);
        assert_int_equal(w.nor.counts.erases, 0);
        assert_false(w.host.held);
        world_free(&w);
    }
}

/* The road becomes ten times slower than it was measured: late answers say so, and after a few
 * that were for nothing no request is repeated. */
static void test_a_road_that_became_slow(void **state)
{
    uint32_t before;

    (void)state;
    memset(&mutation, 0, sizeof(mutation));
    begin(3, 1);
    w.peers[0].limits.max_reply = 65;
    w.delay_ms = 10;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_REPAIRING)
        assert_true(world_turn(&w));
    before = w.donors[0].answered;
    w.delay_ms = 100;
    assert_int_equal(world_run(&w, HOUR_MS), FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    uint32_t asked = w.donors[0].answered - before, needed = 5 * BLOCK / 64;
    printf("# %u requests where %u and the tree's were needed\n", asked, needed);
    assert_in_range(asked, needed, needed + needed / 5);
    world_free(&w);
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
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_every_byte_at_its_limits),
        cmocka_unit_test(test_more_bytes_than_asked_for),
        cmocka_unit_test(test_every_completion_code),
        cmocka_unit_test(test_alone_with_a_hostile_donor),
        cmocka_unit_test(test_replies_repeated_late_and_unasked),
        cmocka_unit_test(test_replies_after_the_time_out),
        cmocka_unit_test(test_a_road_that_became_slow),
        cmocka_unit_test(test_games_in_good_form),
        cmocka_unit_test(test_games_of_the_only_donor),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
