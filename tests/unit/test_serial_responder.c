/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BMC's end of a serial line: requests are handed up and answered at once or later, and
 * whatever else comes along the line gets no answer that could start a quarrel.
 */
#include "serial_line.h"

#include <stdlib.h>

#include <fwrecover/error.h>

static struct line line;
static struct fwr_serial_responder_config config;
static struct fwr_serial_responder *responder;
static void *storage;

static struct fwr_serial_command asked;
static uint8_t asked_data[FWR_SERIAL_MESSAGE_MAX];
static size_t asked_length;
static unsigned requests;
static bool answers; /* at once, with what was asked */

static void transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    line_put(ctx, bytes, length);
}

static void request(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length)
{
    uint8_t reply[1 + FWR_SERIAL_MESSAGE_MAX] = {0};

    (void)ctx;
    assert_int_equal(now, 7);
    assert_true(length <= sizeof(asked_data));
    asked = *id;
    memcpy(asked_data, data, length);
    asked_length = length;
    requests++;
    memcpy(reply + 1, data, length);
    if (answers)
        fwr_serial_responder_reply(responder, id, reply, 1 + length);
}

static void make(enum fwr_serial_mode mode)
{
    memset(&line, 0, sizeof(line));
    requests = 0;
    answers = true;
    config = (struct fwr_serial_responder_config){.size = sizeof(config),
                                                  .mode = (uint8_t)mode,
                                                  .ctx = &line,
                                                  .transmit = transmit,
                                                  .request = request};
    storage = malloc(fwr_serial_responder_storage());
    assert_int_equal(
        fwr_serial_responder_init(&responder, storage, fwr_serial_responder_storage(), &config),
        FWR_OK);
}

static int set_up(void **state)
{
    make(*state == NULL ? FWR_SERIAL_BASIC : FWR_SERIAL_TERMINAL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fwr_serial_responder_end(responder);
    fwr_serial_responder_end(NULL);
    free(storage);
    return 0;
}

static void feed(const void *bytes, size_t length)
{
    fwr_serial_responder_receive(responder, 7, bytes, length);
}

static void type(const char *text)
{
    feed(text, strlen(text));
}

static struct fwr_serial_counters count(void)
{
    struct fwr_serial_counters counters;

    fwr_serial_responder_status(responder, &counters);
    return counters;
}

static const uint8_t ask[] = {0xa0, 0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7a, 0xa5};
static const uint8_t told[] = {0xa6, 0xa0, 0x81, 0x1c, 0x63, 0x20, 0x04, 0x01, 0x00, 0xdb, 0xa5};

static void answers_basic(void **state)
{
    (void)state;
    feed(ask, sizeof(ask));
    line_is(&line, told, sizeof(told));
    assert_int_equal(asked.netfn, 6);
    assert_int_equal(asked.command, 1);
    assert_int_equal(asked.requester, 0x81);
    assert_int_equal(asked.sequence, 1);
    assert_int_equal(count().received, 1);
    assert_int_equal(count().sent, 1);
}

static void answers_terminal(void **state)
{
    (void)state;
    type("[18 04 01 AB]\r\n");
    line_says(&line, "[1C040100AB]\r\n");
    type("[1a 04 01]\r\n"); /* LUN 2 */
    line_says(&line, "[1E040100]\r\n");
}

static void acknowledges_what_it_cannot_read(void **state)
{
    static const uint8_t bad[] = {0xa0, 0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7b, 0xa5};

    (void)state;
    feed(bad, sizeof(bad));
    line_is(&line, "\xa6", 1);
    feed("\xa5\xa5\xa6\xa6", 4);
    line_is(&line, "", 0);
    assert_int_equal(requests, 0);
    assert_int_equal(count().malformed, 1);
}

/* On a line that echoes, or with two BMCs on it. */
static void ignores_replies_and_other_addresses(void **state)
{
    static const uint8_t other[] = {0xa0, 0x22, 0x18, 0xc6, 0x81, 0x04, 0x01, 0x7a, 0xa5};

    (void)state;
    feed(told, sizeof(told));
    line_is(&line, "\xa6", 1);
    feed(other, sizeof(other));
    line_is(&line, "\xa6", 1);
    assert_int_equal(requests, 0);
    assert_int_equal(count().foreign, 2);
}

static void ignores_its_own_text(void **state)
{
    (void)state;
    type("[1C 04 01 00]\r\n[ERR C1]\r\n[OK TMODE]\r\n");
    line_is(&line, "", 0);
    assert_int_equal(requests, 0);
    assert_int_equal(count().foreign, 3);
}

static void answers_text_commands(void **state)
{
    static const struct {
        const char *command, *answer;
    } cases[] = {
        {"[SYS TMODE]\r", "[OK TMODE]\r\n"},
        {"[SYS PWD -X]\r", "[OK]\r\n"},
        {"[SYS PWD -U a b]\r", "[ERR C1]\r\n"},
        {"[SYS POWER OFF]\r", "[ERR C1]\r\n"},
        {"[SYS RESET]\r", "[ERR C1]\r\n"},
        {"[SYS TMODE  ]\r", "[OK TMODE]\r\n"},
        {"[SYS]\r", "[ERR C1]\r\n"},
        {"[18 04]\r", "[ERR C7]\r\n"},
        {"[what?]\r", "[ERR CC]\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        type(cases[i].command);
        line_says(&line, cases[i].answer);
    }
    assert_int_equal(requests, 0);
}

static void echoes_for_a_person(void **state)
{
    (void)state;
    config.echo = true;
    type("[18 05\b4 01]\r\n\x1b");
    line_says(&line, "[18 05\b \b4 01]\r\n[1C040100]\r\n");
}

static void answers_later_but_not_to_another_stream(void **state)
{
    static const uint8_t done[] = {0};

    (void)state;
    answers = false;
    feed(ask, sizeof(ask));
    line_is(&line, "\xa6", 1);
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, done, 1), FWR_OK);
    line_is(&line, told + 1, sizeof(told) - 1);
    feed(ask, sizeof(ask));
    feed(ask, 4);
    fwr_serial_responder_reset(responder);
    feed(ask + 4, sizeof(ask) - 4); /* the second half of something that is gone */
    line.length = 0;
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, done, 1), FWR_E_SESSION_CLOSED);
    line_is(&line, "", 0);
}

static void keeps_to_the_message_length(void **state)
{
    uint8_t reply[1 + FWR_SERIAL_MESSAGE_MAX] = {0};

    (void)state;
    answers = false;
    feed(ask, sizeof(ask));
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, reply, 0), FWR_E_LENGTH);
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, reply, 1 + 32), FWR_OK);
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, reply, 1 + 33), FWR_E_LENGTH);
    config.message = FWR_SERIAL_MESSAGE_MAX;
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, reply, 1 + 504), FWR_OK);
    assert_int_equal(fwr_serial_responder_reply(responder, &asked, reply, 1 + 505), FWR_E_LENGTH);
}

static void takes_another_address(void **state)
{
    static const uint8_t other[] = {0xa0, 0x22, 0x18, 0xc6, 0x81, 0x04, 0x01, 0x7a, 0xa5};
    static const uint8_t answer[] = {0xa6, 0xa0, 0x81, 0x1c, 0x63, 0x22,
                                     0x04, 0x01, 0x00, 0xd9, 0xa5};

    (void)state;
    config.address = 0x22;
    feed(other, sizeof(other));
    line_is(&line, answer, sizeof(answer));
}

static void refuses_wrong_configurations(void **state)
{
    struct fwr_serial_responder_config wrong = config;
    struct fwr_serial_responder *r;
    size_t size = fwr_serial_responder_storage();
    void *memory = malloc(size);

    (void)state;
#define REFUSED(field, value)                                                                      \
    wrong = config;                                                                                \
    wrong.field = (value);                                                                         \
    assert_int_equal(fwr_serial_responder_init(&r, memory, size, &wrong), FWR_E_ARGUMENT);         \
    assert_null(r)
    REFUSED(size, 1);
    REFUSED(mode, 2);
    REFUSED(message, 39);
    REFUSED(message, FWR_SERIAL_MESSAGE_MAX + 1);
    REFUSED(transmit, NULL);
    REFUSED(request, NULL);
    assert_int_equal(fwr_serial_responder_init(&r, memory, size - 1, &config), FWR_E_NO_SPACE);
    assert_int_equal(fwr_serial_responder_init(&r, NULL, size, &config), FWR_E_NO_SPACE);
    free(memory);
}

int main(void)
{
    static int terminal = 1;
#define BASIC(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TERMINAL(name) cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, &terminal)
    const struct CMUnitTest tests[] = {
        BASIC(answers_basic),
        TERMINAL(answers_terminal),
        BASIC(acknowledges_what_it_cannot_read),
        BASIC(ignores_replies_and_other_addresses),
        TERMINAL(ignores_its_own_text),
        TERMINAL(answers_text_commands),
        TERMINAL(echoes_for_a_person),
        BASIC(answers_later_but_not_to_another_stream),
        BASIC(keeps_to_the_message_length),
        BASIC(takes_another_address),
        BASIC(refuses_wrong_configurations),
    };

    return cmocka_run_group_tests_name("serial responder", tests, NULL, NULL);
}
