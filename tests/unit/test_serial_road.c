/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asking end of a serial line: what it sends, which answers it hands on, and when it takes
 * the line or the other end for gone. A responder on the same line answers where it is asked to.
 */
#include "serial_line.h"

#include <stdlib.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#define IANA    32473u
#define FORGET  1500u
#define SILENCE 4000u
#define PAUSE   1000u

static struct line out;
static struct fwr_link_limits limits;
static struct fwr_serial_road_config config;
static struct fwr_serial_road *road;
static void *storage;
static const struct fwr_link *links;
static bool full; /* the stream takes nothing */

static unsigned replies, states;
static uint8_t command, reply[64];
static size_t reply_length;
static int error;
static bool with_limits;

static int transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    if (full)
        return FWR_E_BUSY;
    line_put(ctx, bytes, length);
    return FWR_OK;
}

static void on_reply(void *ctx, uint8_t code, const uint8_t *bytes, size_t length)
{
    (void)ctx;
    replies++;
    command = code;
    reply_length = length;
    memcpy(reply, bytes, length < sizeof(reply) ? length : sizeof(reply));
}

static void on_state(void *ctx, int code, const struct fwr_link_limits *given)
{
    (void)ctx;
    states++;
    error = code;
    with_limits = given != NULL;
}

static int make(enum fwr_serial_mode mode, uint32_t baud)
{
    memset(&out, 0, sizeof(out));
    full = false;
    replies = states = 0;
    limits = fwr_serial_road_limits(mode, 0, baud);
    limits.window = 2;
    config = (struct fwr_serial_road_config){.size = sizeof(config),
                                             .limits = &limits,
                                             .iana = IANA,
                                             .baud = baud,
                                             .command_base = FWR_COMMAND_BASE,
                                             .mode = (uint8_t)mode,
                                             .ctx = &out,
                                             .transmit = transmit,
                                             .reply = on_reply,
                                             .state = on_state};
    storage = malloc(fwr_serial_road_storage());
    assert_int_equal(fwr_serial_road_init(&road, storage, fwr_serial_road_storage(), &config),
                     FWR_OK);
    links = fwr_serial_road_link(road);
    return 0;
}

static int set_up(void **state)
{
    make(*state == NULL ? FWR_SERIAL_BASIC : FWR_SERIAL_TERMINAL, 0);
    assert_int_equal(fwr_serial_road_send(road, 0, 1, (const uint8_t *)"x", 1), FWR_E_BUSY);
    assert_int_equal(fwr_serial_road_next_timeout(road), FWR_NEVER);
    fwr_serial_road_opened(road, 0);
    assert_int_equal(states, 1);
    assert_int_equal(error, FWR_OK);
    assert_true(with_limits);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fwr_serial_road_end(road);
    fwr_serial_road_end(NULL);
    free(storage);
    return 0;
}

static struct fwr_serial_counters count(void)
{
    struct fwr_serial_counters counters;

    fwr_serial_road_status(road, &counters);
    return counters;
}

static int ask(uint64_t now, uint8_t code, uint8_t cookie)
{
    const uint8_t data[2] = {cookie, 0x55};

    return links->send(links->ctx, now, code, data, sizeof(data));
}

/* The last request that went out, taken off the line. */
static struct fwr_rmcp_message sent(void)
{
    static struct fwr_frame_decoder decoder;
    static struct fwr_serial_counters counters;
    struct fwr_rmcp_message message = {0};

    fwr_frame_decoder_init(&decoder, (enum fwr_serial_mode)config.mode, &counters);
    for (size_t i = 0; i < out.length; i++) {
        if (fwr_frame_decoder_byte(&decoder, out.bytes[i]) == FWR_FRAME_MESSAGE)
            message = decoder.message;
    }
    out.length = 0;
    assert_int_equal(message.netfn, FWR_NETFN_OEM_REQUEST);
    return message;
}

static void hear(uint64_t now, const struct fwr_rmcp_message *message)
{
    uint8_t frame[FWR_SERIAL_FRAME_MAX];

    fwr_serial_road_receive(road, now, frame,
                            fwr_frame_encode((enum fwr_serial_mode)config.mode, message, frame));
}

static void answer(uint64_t now, const struct fwr_rmcp_message *request, const void *data,
                   size_t length)
{
    struct fwr_rmcp_message message = fwr_rmcp_message_answer(request);

    message.data = data;
    message.length = length;
    hear(now, &message);
}

static const uint8_t good[] = {0, 0xd9, 0x7e, 0, 1, 2, 3};

static void carries_a_request_and_its_answer(void **state)
{
    struct fwr_rmcp_message request;
    struct fwr_link_limits told;

    (void)state;
    links->limits(links->ctx, &told);
    assert_memory_equal(&told, &limits, sizeof(told));
    fwr_serial_road_retry(road); /* not down: nothing */
    assert_int_equal(states, 1);
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    request = sent();
    assert_int_equal(request.command, FWR_COMMAND_BASE + FWR_CMD_READ_TREE);
    assert_int_equal(request.length, 5);
    assert_memory_equal(request.data, "\xd9\x7e\x00\x01\x55", 5);
    if (config.mode == FWR_SERIAL_BASIC) {
        assert_int_equal(request.to, 0x20);
        assert_int_equal(request.from, 0x81);
    }
    answer(1, &request, good, sizeof(good));
    assert_int_equal(replies, 1);
    assert_int_equal(command, FWR_CMD_READ_TREE);
    assert_int_equal(reply_length, sizeof(good));
    assert_memory_equal(reply, good, sizeof(good));
    assert_int_equal(fwr_serial_road_next_timeout(road), FWR_NEVER);
}

/* Its number and cookie may be missing: whose it is the sequence number tells. */
static void completes_refusals(void **state)
{
    static const uint8_t whole[] = {0xd5, 0xd9, 0x7e, 0x00, 0x09};
    struct fwr_rmcp_message request;

    (void)state;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 9), FWR_OK);
    request = sent();
    answer(1, &request, whole, 1);
    assert_int_equal(replies, 1);
    assert_int_equal(reply_length, sizeof(whole));
    assert_memory_equal(reply, whole, sizeof(whole));
}

/* A request that is called wrong; the third time it is believed. */
static void doubts_what_the_line_may_have_done(void **state)
{
    static const uint8_t refusal[] = {0xc7};
    struct fwr_rmcp_message request;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(replies, 0);
        assert_int_equal(ask(0, FWR_CMD_READ_TREE, 9), FWR_OK);
        request = sent();
        answer(1, &request, refusal, sizeof(refusal));
    }
    assert_int_equal(replies, 1);
    assert_int_equal(reply[0], 0xc7);
}

static void drops_what_answers_nothing(void **state)
{
    struct fwr_rmcp_message request, wrong;

    (void)state;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    request = sent();
    hear(1, &request); /* its own echo */
    assert_int_equal(count().foreign, 1);
    wrong = request;
    wrong.sequence++;
    answer(1, &wrong, good, sizeof(good));
    wrong = request;
    wrong.command++;
    answer(1, &wrong, good, sizeof(good));
    answer(1, &request, good, 0);
    assert_int_equal(count().stray, 3);
    wrong = request;
    wrong.netfn = 6;
    answer(1, &wrong, good, sizeof(good));
    assert_int_equal(count().foreign, 2);
    if (config.mode == FWR_SERIAL_BASIC) {
        wrong = request;
        wrong.from = 0x82;
        answer(1, &wrong, good, sizeof(good));
        wrong = request;
        wrong.to = 0x22;
        answer(1, &wrong, good, sizeof(good));
        assert_int_equal(count().foreign, 4);
    } else {
        fwr_serial_road_receive(road, 1, (const uint8_t *)"[ERR C7]\r\n[SYS TMODE]\r\n", 23);
        assert_int_equal(count().foreign, 4);
    }
    assert_int_equal(replies, 0);
    answer(2, &request, good, sizeof(good));
    assert_int_equal(replies, 1);
    answer(2, &request, good, sizeof(good)); /* the second of two equal ones */
    assert_int_equal(replies, 1);
    assert_int_equal(count().stray, 4);
    assert_int_equal(count().late, 0);
}

/* The engine knows them by their cookie, and learns from them how slow the road is. */
static void hands_on_late_answers_once(void **state)
{
    struct fwr_rmcp_message first, second;

    (void)state;
    config.no_handshake = true;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    first = sent();
    assert_int_equal(fwr_serial_road_next_timeout(road), FORGET);
    fwr_serial_road_timeout(road, FORGET);
    assert_int_equal(ask(FORGET, FWR_CMD_READ_TREE, 1), FWR_OK);
    second = sent();
    assert_int_not_equal(first.sequence, second.sequence);
    answer(FORGET + 1, &first, good, sizeof(good));
    answer(FORGET + 1, &first, good, sizeof(good));
    assert_int_equal(replies, 1);
    assert_int_equal(count().late, 1);
    assert_int_equal(count().stray, 1);
    answer(FORGET + 1, &second, good, sizeof(good));
    assert_int_equal(replies, 2);
    assert_int_equal(count().late, 1);
}

/* A number whose request got no answer is not used again for 10 s, as long as there are others. */
static void lets_sequence_numbers_rest(void **state)
{
    bool used[64] = {false};
    struct fwr_rmcp_message request;

    (void)state;
    config.no_handshake = true;
    for (uint64_t now = 0; now < 64; now++) {
        assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_OK);
        request = sent();
        assert_false(used[request.sequence]);
        used[request.sequence] = true;
    }
    assert_int_equal(request.sequence, 63); /* waits; the others rest */
    assert_int_equal(ask(64, FWR_CMD_READ_TREE, 1), FWR_OK);
    assert_int_equal(sent().sequence, 0); /* the one that has rested longest */
    assert_int_equal(ask(64 + 10000, FWR_CMD_READ_TREE, 1), FWR_OK);
    assert_int_equal(sent().sequence, 1);
}

static void gives_up_the_oldest_beyond_the_window(void **state)
{
    struct fwr_rmcp_message request[3];

    (void)state;
    config.no_handshake = true;
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(ask(i, FWR_CMD_READ_TREE, i), FWR_OK);
        request[i] = sent();
    }
    for (uint8_t i = 0; i < 3; i++)
        answer(3, &request[i], good, sizeof(good));
    assert_int_equal(replies, 3);
    assert_int_equal(count().late, 1);
    assert_int_equal(ask(4, FWR_CMD_READ_TREE, 3), FWR_OK);
    assert_int_equal(ask(4, FWR_CMD_READ_TREE, 4), FWR_OK);
    assert_int_equal(ask(5, FWR_CMD_READ_TREE, 4), FWR_OK); /* a repetition gives up its own kind */
    request[0] = sent();
    answer(6, &request[0], good, sizeof(good));
    assert_int_equal(count().late, 1);
    assert_int_equal(fwr_serial_road_next_timeout(road), 4 + FORGET);
}

static void waits_for_the_handshake(void **state)
{
    static const uint8_t handshake[] = {0xa6};
    struct fwr_rmcp_message request;

    (void)state;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    request = sent();
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 2), FWR_E_BUSY);
    fwr_serial_road_receive(road, 1, handshake, sizeof(handshake));
    assert_int_equal(ask(1, FWR_CMD_READ_TREE, 2), FWR_OK);
    answer(2, &request, good, sizeof(good)); /* says as much */
    request = sent();
    assert_int_equal(ask(2, FWR_CMD_READ_TREE, 3), FWR_OK);
    answer(3, &request, good, sizeof(good));
    assert_int_equal(ask(4, FWR_CMD_READ_TREE, 4), FWR_OK);
    assert_int_equal(fwr_serial_road_next_timeout(road), 2 + FORGET);
    assert_int_equal(ask(4 + 99, FWR_CMD_READ_TREE, 4), FWR_E_BUSY);
    assert_int_equal(fwr_serial_road_next_timeout(road), 4 + 100);
    fwr_serial_road_timeout(road, 4 + 100);
    assert_int_equal(fwr_serial_road_next_timeout(road), 2 + FORGET);
    assert_int_equal(ask(4 + 100, FWR_CMD_READ_TREE, 4), FWR_OK); /* it was lost */
}

static void waits_for_a_full_stream(void **state)
{
    (void)state;
    full = true;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_E_BUSY);
    assert_int_equal(fwr_serial_road_next_timeout(road), FWR_NEVER);
    full = false;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    assert_int_equal(sent().sequence, 0);
}

static void goes_down_when_nobody_answers(void **state)
{
    uint64_t now = 0;

    (void)state;
    for (uint32_t pause = PAUSE; pause <= 4 * PAUSE; pause *= 2) {
        uint64_t asked = now;

        assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_OK);
        while (now < asked + SILENCE) {
            uint64_t next = fwr_serial_road_next_timeout(road);

            assert_true(next > now || next == asked + FORGET);
            now = next < asked + SILENCE ? next : asked + SILENCE;
            fwr_serial_road_timeout(road, now);
            if (now < asked + SILENCE)
                assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_OK);
        }
        assert_int_equal(error, FWR_E_TIMEOUT);
        assert_false(with_limits);
        assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_E_SESSION_CLOSED);
        assert_int_equal(fwr_serial_road_next_timeout(road), now + pause);
        now += pause;
        fwr_serial_road_timeout(road, now);
        assert_int_equal(error, FWR_OK);
        assert_false(with_limits);
        out.length = 0;
    }
    assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_OK);
    fwr_serial_road_timeout(road, now + SILENCE);
    assert_int_equal(error, FWR_E_TIMEOUT);
    fwr_serial_road_retry(road);
    assert_int_equal(error, FWR_OK);
    assert_int_equal(ask(now + SILENCE, FWR_CMD_READ_TREE, 1), FWR_OK);
}

static void rests_a_minute_at_most(void **state)
{
    uint64_t now = 0, next = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        out.length = 0;
        assert_int_equal(ask(now, FWR_CMD_READ_TREE, 1), FWR_OK);
        now += SILENCE;
        fwr_serial_road_timeout(road, now);
        next = fwr_serial_road_next_timeout(road);
        assert_in_range(next - now, PAUSE, 60000);
        if (i < 9)
            fwr_serial_road_timeout(road, now = next);
    }
    assert_int_equal(next - now, 60000);
}

static void goes_down_with_the_stream(void **state)
{
    struct fwr_rmcp_message request;

    (void)state;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    request = sent();
    fwr_serial_road_closed(road, 1, FWR_E_IO);
    assert_int_equal(error, FWR_E_IO);
    assert_int_equal(fwr_serial_road_next_timeout(road), FWR_NEVER);
    assert_int_equal(ask(1, FWR_CMD_READ_TREE, 1), FWR_E_SESSION_CLOSED);
    answer(1, &request, good, sizeof(good));
    fwr_serial_road_timeout(road, 100000);
    assert_int_equal(states, 2);
    fwr_serial_road_opened(road, 2);
    assert_int_equal(error, FWR_OK);
    assert_true(with_limits);
    answer(2, &request, good, sizeof(good)); /* somebody else's by now */
    assert_int_equal(replies, 0);
    assert_int_equal(ask(2, FWR_CMD_READ_TREE, 1), FWR_OK);
}

static void estimates_by_the_line(void **state)
{
    struct fwr_link_limits slow, fast;

    (void)state;
    fast = fwr_serial_road_limits(FWR_SERIAL_BASIC, 0, 0);
    assert_int_equal(fast.max_request, 502);
    assert_int_equal(fast.max_reply, 501);
    assert_int_equal(fast.window, 1);
    assert_int_equal(fast.medium, FWR_MEDIUM_SERIAL);
    assert_int_equal(fast.round_trip_ms, 0);
    slow = fwr_serial_road_limits(FWR_SERIAL_BASIC, 40, 9600);
    assert_int_equal(slow.max_request, 30);
    assert_int_equal(slow.max_reply, 29);
    assert_int_equal(slow.round_trip_ms, 67); /* 64 characters */
    slow = fwr_serial_road_limits(FWR_SERIAL_TERMINAL, 1, 9600);
    assert_int_equal(slow.max_request, 34);
    assert_int_equal(slow.max_reply, 33);
    assert_int_equal(slow.round_trip_ms, 134);
    slow = fwr_serial_road_limits(FWR_SERIAL_BASIC, 9999, 9600);
    assert_int_equal(slow.max_reply, 501);
    fwr_serial_road_end(road);
    free(storage);
    make(FWR_SERIAL_BASIC, 1200);
    fwr_serial_road_opened(road, 0);
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    assert_int_equal(fwr_serial_road_next_timeout(road), FORGET + 2 * 1003 * 10 * 1000 / 1200 + 1);
}

static void refuses_what_does_not_fit(void **state)
{
    uint8_t data[FWR_SERIAL_MESSAGE_MAX] = {0};
    struct fwr_serial_road_config wrong;
    struct fwr_link_limits other;
    struct fwr_serial_road *r;
    size_t size = fwr_serial_road_storage();
    void *memory = malloc(size);

    (void)state;
    assert_int_equal(fwr_serial_road_send(road, 0, 1, data, 0), FWR_E_LENGTH);
    assert_int_equal(fwr_serial_road_send(road, 0, 1, data, limits.max_request + 1), FWR_E_LENGTH);
    assert_int_equal(fwr_serial_road_send(road, 0, 1, data, limits.max_request), FWR_OK);
#define REFUSED(field, value)                                                                      \
    wrong = config;                                                                                \
    wrong.field = (value);                                                                         \
    assert_int_equal(fwr_serial_road_init(&r, memory, size, &wrong), FWR_E_ARGUMENT);              \
    assert_null(r)
    REFUSED(size, 1);
    REFUSED(mode, 2);
    REFUSED(transmit, NULL);
    REFUSED(reply, NULL);
    REFUSED(state, NULL);
#define IMPOSSIBLE(field, value)                                                                   \
    other = limits;                                                                                \
    other.field = (value);                                                                         \
    REFUSED(limits, &other)
    IMPOSSIBLE(max_request, 15);
    IMPOSSIBLE(max_request, 600);
    IMPOSSIBLE(max_reply, 18);
    IMPOSSIBLE(max_reply, 600);
    IMPOSSIBLE(window, 0);
    IMPOSSIBLE(window, 16);
    assert_int_equal(fwr_serial_road_init(&r, memory, size - 1, &config), FWR_E_NO_SPACE);
    assert_int_equal(fwr_serial_road_init(&r, NULL, size, &config), FWR_E_NO_SPACE);
    wrong = config;
    wrong.limits = NULL;
    assert_int_equal(fwr_serial_road_init(&r, memory, size, &wrong), FWR_OK);
    free(memory);
}

static void noise_brings_nothing(void **state)
{
    uint32_t random = 1;
    struct fwr_rmcp_message request;

    (void)state;
    assert_int_equal(ask(0, FWR_CMD_READ_TREE, 1), FWR_OK);
    request = sent();
    for (int i = 0; i < 200000; i++) {
        uint8_t byte;

        random = random * 1664525 + 1013904223;
        byte = (uint8_t)(random >> 24);
        fwr_serial_road_receive(road, 1, &byte, 1);
    }
    assert_int_equal(replies, 0);
    answer(2, &request, good, sizeof(good));
    assert_int_equal(replies, 1);
}

static bool stream_opens;

static bool on_opening(void *ctx)
{
    (void)ctx;
    return stream_opens;
}

/* A stream that takes a moment to open is worth waiting for; one that cannot be opened is not. */
static void waits_for_a_stream_that_opens(void **state)
{
    (void)state;
    config.opening = on_opening;
    stream_opens = true;
    fwr_serial_road_closed(road, 0, FWR_E_SESSION_CLOSED);
    assert_int_equal(ask(1, FWR_CMD_READ_TREE, 1), FWR_E_BUSY);
    stream_opens = false;
    assert_int_equal(ask(2, FWR_CMD_READ_TREE, 1), FWR_E_SESSION_CLOSED);
    fwr_serial_road_opened(road, 3);
    assert_int_equal(ask(3, FWR_CMD_READ_TREE, 1), FWR_OK);
}

int main(void)
{
    static int terminal = 1;
#define BASIC(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TERMINAL(name) cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, &terminal)
    const struct CMUnitTest tests[] = {
        BASIC(carries_a_request_and_its_answer),
        TERMINAL(carries_a_request_and_its_answer),
        BASIC(completes_refusals),
        BASIC(doubts_what_the_line_may_have_done),
        BASIC(drops_what_answers_nothing),
        TERMINAL(drops_what_answers_nothing),
        BASIC(hands_on_late_answers_once),
        BASIC(lets_sequence_numbers_rest),
        BASIC(gives_up_the_oldest_beyond_the_window),
        BASIC(waits_for_a_stream_that_opens),
        BASIC(waits_for_the_handshake),
        BASIC(waits_for_a_full_stream),
        BASIC(goes_down_when_nobody_answers),
        TERMINAL(goes_down_when_nobody_answers),
        BASIC(rests_a_minute_at_most),
        BASIC(goes_down_with_the_stream),
        BASIC(estimates_by_the_line),
        BASIC(refuses_what_does_not_fit),
        TERMINAL(refuses_what_does_not_fit),
        BASIC(noise_brings_nothing),
        TERMINAL(noise_brings_nothing),
    };

    return cmocka_run_group_tests_name("serial road", tests, NULL, NULL);
}
