/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding messages in a stream and writing them: every message comes back as it went in, in
 * both modes, whatever noise is around it; what is no message is counted and passed over.
 */
#include "serial_line.h"

#include <stdlib.h>

#include <fwrecover/error.h>

static struct fwr_serial_counters counters;
static struct fwr_frame_decoder decoder;

static void start(enum fwr_serial_mode mode)
{
    memset(&counters, 0, sizeof(counters));
    fwr_frame_decoder_init(&decoder, mode, &counters);
}

/* Feeds bytes; the events other than NONE are counted in `seen`. */
static unsigned seen[5];

static enum fwr_frame_event feed(const void *bytes, size_t length)
{
    enum fwr_frame_event last = FWR_FRAME_NONE;

    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < length; i++) {
        enum fwr_frame_event event = fwr_frame_decoder_byte(&decoder, ((const uint8_t *)bytes)[i]);

        seen[event]++;
        if (event != FWR_FRAME_NONE)
            last = event;
    }
    return last;
}

static enum fwr_frame_event type(const char *text)
{
    return feed(text, strlen(text));
}

/* Get Device ID as ipmitool sends it. */
static const uint8_t get_device_id[] = {0xa0, 0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7a, 0xa5};

static void assert_get_device_id(void)
{
    const struct fwr_rmcp_message *m = &decoder.message;

    assert_int_equal(m->to, 0x20);
    assert_int_equal(m->netfn, 6);
    assert_int_equal(m->to_lun, 0);
    assert_int_equal(m->from, 0x81);
    assert_int_equal(m->sequence, 1);
    assert_int_equal(m->command, 1);
    assert_int_equal(m->length, 0);
}

static void basic_is_what_ipmitool_sends(void **state)
{
    const struct fwr_rmcp_message message = {
        .to = 0x20, .netfn = 6, .from = 0x81, .sequence = 1, .command = 1};
    uint8_t frame[FWR_SERIAL_FRAME_MAX];

    (void)state;
    start(FWR_SERIAL_BASIC);
    assert_int_equal(fwr_frame_encode(FWR_SERIAL_BASIC, &message, frame), sizeof(get_device_id));
    assert_memory_equal(frame, get_device_id, sizeof(get_device_id));
    assert_int_equal(feed(frame, sizeof(get_device_id)), FWR_FRAME_MESSAGE);
    assert_get_device_id();
}

static void round_trip(enum fwr_serial_mode mode, size_t length, unsigned seed)
{
    static const uint8_t special[] = {0xa0, 0xa5, 0xa6, 0xaa, 0x1b, 0x3b, 0xb0, 0xb5, 0xb6, 0xba};
    uint8_t data[FWR_SERIAL_MESSAGE_MAX], frame[FWR_SERIAL_FRAME_MAX];
    struct fwr_rmcp_message message = {.to = 0xa0,
                                       .netfn = 0x2e,
                                       .to_lun = (uint8_t)(seed & 3),
                                       .from = 0xa5,
                                       .sequence = (uint8_t)(seed % 64),
                                       .command = 0xaa,
                                       .data = data,
                                       .length = length};

    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(seed % 3 == 0 ? special[(i + seed) % sizeof(special)] : i * 7 + seed);
    assert_int_equal(feed(frame, fwr_frame_encode(mode, &message, frame)), FWR_FRAME_MESSAGE);
    assert_int_equal(seen[FWR_FRAME_MESSAGE], 1);
    assert_int_equal(decoder.message.netfn, message.netfn);
    assert_int_equal(decoder.message.to_lun, message.to_lun);
    assert_int_equal(decoder.message.sequence, message.sequence);
    assert_int_equal(decoder.message.command, message.command);
    assert_int_equal(decoder.message.length, length);
    assert_memory_equal(decoder.message.data, data, length);
    if (mode == FWR_SERIAL_BASIC) {
        assert_int_equal(decoder.message.to, message.to);
        assert_int_equal(decoder.message.from, message.from);
    }
}

static void every_length_comes_through(void **state)
{
    (void)state;
    for (int mode = FWR_SERIAL_BASIC; mode <= FWR_SERIAL_TERMINAL; mode++) {
        size_t most = fwr_serial_max_request((enum fwr_serial_mode)mode, FWR_SERIAL_MESSAGE_MAX);

        start((enum fwr_serial_mode)mode);
        for (size_t length = 0; length <= most; length++)
            round_trip((enum fwr_serial_mode)mode, length, (unsigned)length);
        assert_int_equal(counters.malformed + counters.overlong + counters.restarted, 0);
    }
}

static void basic_finds_its_way_back(void **state)
{
    static const uint8_t wrong_sum[] = {0xa0, 0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7b, 0xa5};
    static const uint8_t wrong_first[] = {0xa0, 0x20, 0x18, 0xc9, 0x81, 0x04, 0x01, 0x79, 0xa5};
    static const uint8_t bad_escape[] = {0xa0, 0x20, 0xaa, 0x00, 0x18, 0xa5};
    static const uint8_t half[] = {0xa0, 0x20, 0x18, 0xc8};
    static const uint8_t shortest[] = {0xa0, 0xa5};
    static const uint8_t noise[] = {0x00, 0xff, 0xa5, 0xaa, 0xb0, 0x1b};

    (void)state;
    start(FWR_SERIAL_BASIC);
    assert_int_equal(feed(wrong_sum, sizeof(wrong_sum)), FWR_FRAME_BAD);
    assert_int_equal(feed(wrong_first, sizeof(wrong_first)), FWR_FRAME_BAD);
    assert_int_equal(feed(shortest, sizeof(shortest)), FWR_FRAME_BAD);
    assert_int_equal(counters.malformed, 3);
    assert_int_equal(feed(bad_escape, sizeof(bad_escape)), FWR_FRAME_NONE);
    assert_int_equal(counters.malformed, 4);
    assert_int_equal(feed(half, sizeof(half)), FWR_FRAME_NONE);
    assert_int_equal(feed(get_device_id, sizeof(get_device_id)), FWR_FRAME_MESSAGE);
    assert_int_equal(counters.restarted, 1);
    assert_int_equal(feed(noise, sizeof(noise)), FWR_FRAME_NONE);
    assert_int_equal(counters.noise, sizeof(noise) + 2); /* and the rest of bad_escape */
    assert_int_equal(feed(get_device_id, sizeof(get_device_id)), FWR_FRAME_MESSAGE);
    assert_get_device_id();
}

/* A handshake may stand anywhere: the peer sends it when it likes. */
static void basic_tells_handshakes(void **state)
{
    (void)state;
    start(FWR_SERIAL_BASIC);
    feed(get_device_id, 4);
    assert_int_equal(feed("\xa6", 1), FWR_FRAME_HANDSHAKE);
    assert_int_equal(feed(get_device_id + 4, sizeof(get_device_id) - 4), FWR_FRAME_MESSAGE);
    assert_int_equal(feed("\xa6\xa6", 2), FWR_FRAME_HANDSHAKE);
    assert_int_equal(seen[FWR_FRAME_HANDSHAKE], 2);
}

static void endless_frames_are_dropped(void **state)
{
    (void)state;
    start(FWR_SERIAL_BASIC);
    feed("\xa0", 1);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(feed("x", 1), FWR_FRAME_NONE);
    assert_int_equal(counters.overlong, 1);
    assert_int_equal(counters.noise, 100000 - FWR_SERIAL_MESSAGE_MAX - 1);
    assert_int_equal(feed(get_device_id, sizeof(get_device_id)), FWR_FRAME_MESSAGE);

    start(FWR_SERIAL_TERMINAL);
    type("[");
    for (int i = 0; i < 100000; i++)
        assert_int_equal(type("1"), FWR_FRAME_NONE);
    assert_int_equal(counters.overlong, 1);
    assert_int_equal(type("]\r"), FWR_FRAME_NONE);
    assert_int_equal(type("[180401]\r"), FWR_FRAME_MESSAGE);
}

static void terminal_takes_what_people_type(void **state)
{
    static const char *const lines[] = {
        "[180401]\r\n",
        "[18 04 01]\r",
        "[ 18  0401 ]\n",
        "login: [18 04 01]\r\n",
        "[ff[18 04 01]\r\n",
        "[18 04 7\x08"
        "01]\r\n",
        "[18 04 01]\x7f]\r\n",
        "[18\\\r\n 04 01]\r\n",
        "[18\\\n04 01]\n",
        "[18\r\n[18 04 01]\r\n",
        "[ff ff\x1b[18 04 01]\r\n",
        "\x7f\x08[\x08\x08"
        "18 04 01]  \r\n",
    };

    (void)state;
    start(FWR_SERIAL_TERMINAL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(type(lines[i]), FWR_FRAME_MESSAGE);
        assert_int_equal(seen[FWR_FRAME_MESSAGE], 1);
        assert_int_equal(seen[FWR_FRAME_BAD], 0);
        assert_int_equal(decoder.message.netfn, 6);
        assert_int_equal(decoder.message.sequence, 1);
        assert_int_equal(decoder.message.command, 1);
        assert_int_equal(decoder.message.length, 0);
    }
}

static void terminal_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line;
        enum fwr_frame_event event;
        uint8_t code;
    } cases[] = {
        {"[]\r", FWR_FRAME_BAD, 0xc7},           {"[18 04]\r", FWR_FRAME_BAD, 0xc7},
        {"[18 04 0]\r", FWR_FRAME_BAD, 0xcc},    {"[18 04 0 1]\r", FWR_FRAME_BAD, 0xcc},
        {"[18 04 zz]\r", FWR_FRAME_BAD, 0xcc},   {"[hello]\r", FWR_FRAME_BAD, 0xcc},
        {"[ERR C1]\r", FWR_FRAME_NONE, 0},       {"[OK TMODE]\r", FWR_FRAME_NONE, 0},
        {"[18 05 01]\r", FWR_FRAME_NONE, 0},     {"[SYS TMODE]\r", FWR_FRAME_COMMAND, 0},
        {"[18 04 01\r\n]\r", FWR_FRAME_NONE, 0}, {"18 04 01\r\n", FWR_FRAME_NONE, 0},
    };

    (void)state;
    start(FWR_SERIAL_TERMINAL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(type(cases[i].line), cases[i].event);
        if (cases[i].event == FWR_FRAME_BAD)
            assert_int_equal(decoder.code, cases[i].code);
    }
}

/* Random bytes, mostly those that mean something: no event that is not a checked message. */
static void noise_harms_nothing(void **state)
{
    static const uint8_t likely[] = {0xa0, 0xa5, 0xa6, 0xaa, 0xb0, '[', ']', '\r', '\\', 8, '1'};
    uint32_t random = 1;

    (void)state;
    for (int mode = FWR_SERIAL_BASIC; mode <= FWR_SERIAL_TERMINAL; mode++) {
        start((enum fwr_serial_mode)mode);
        for (int i = 0; i < 1000000; i++) {
            uint8_t byte;

            random = random * 1664525 + 1013904223;
            byte = (uint8_t)(random >> 24);
            if ((random >> 20 & 1) != 0)
                byte = likely[byte % sizeof(likely)];
            if (fwr_frame_decoder_byte(&decoder, byte) == FWR_FRAME_MESSAGE)
                assert_true(decoder.message.length <= FWR_SERIAL_MESSAGE_MAX);
        }
        round_trip((enum fwr_serial_mode)mode, 20, 3);
    }
}

static void knows_its_limits(void **state)
{
    (void)state;
    assert_int_equal(fwr_serial_max_request(FWR_SERIAL_BASIC, 40), 33);
    assert_int_equal(fwr_serial_max_reply(FWR_SERIAL_BASIC, 40), 32);
    assert_int_equal(fwr_serial_max_request(FWR_SERIAL_TERMINAL, 40), 37);
    assert_int_equal(fwr_serial_max_reply(FWR_SERIAL_TERMINAL, 40), 36);
    assert_int_equal(fwr_serial_max_reply(FWR_SERIAL_BASIC, 3), 0);
    assert_string_equal(fwr_serial_mode_name(FWR_SERIAL_BASIC), "basic");
    assert_string_equal(fwr_serial_mode_name(FWR_SERIAL_TERMINAL), "terminal");
    assert_string_equal(fwr_serial_mode_name((enum fwr_serial_mode)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_is_what_ipmitool_sends),
        cmocka_unit_test(every_length_comes_through),
        cmocka_unit_test(basic_finds_its_way_back),
        cmocka_unit_test(basic_tells_handshakes),
        cmocka_unit_test(endless_frames_are_dropped),
        cmocka_unit_test(terminal_takes_what_people_type),
        cmocka_unit_test(terminal_says_what_is_wrong),
        cmocka_unit_test(noise_harms_nothing),
        cmocka_unit_test(knows_its_limits),
    };

    return cmocka_run_group_tests_name("serial frame", tests, NULL, NULL);
}
