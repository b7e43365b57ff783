/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMB frames: every character through its escape, and a receiver that finds the next frame after
 * any nonsense and never keeps more than a packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>

#include "link/icmb/frame.h"
#include "seeded.h"

static enum fwr_icmb_heard feed(struct fwr_icmb_receiver *receiver, const uint8_t *bytes,
                                size_t length, struct fwr_icmb_packet *packet)
{
    enum fwr_icmb_heard heard = FWR_ICMB_HEARD_PART;

    for (size_t i = 0; i < length; i++)
        heard = fwr_icmb_receiver_take(receiver, bytes[i], packet);
    return heard;
}

static void same(const struct fwr_icmb_packet *a, const struct fwr_icmb_packet *b)
{
    assert_int_equal(a->destination, b->destination);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->command, b->command);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->data, b->data, a->length);
}

static void test_known_frame(void **state)
{
    const struct fwr_icmb_packet packet = {.destination = 0x1234,
                                           .source = 0xa0aa,
                                           .type = ICMB_TYPE_RESPONSE,
                                           .sequence = 0xa5,
                                           .command = 0xa6,
                                           .length = 1,
                                           .data = {0x01}};
    /* Sum 34 + 12 + AA + A0 + 80 + A5 + A6 + 01 = 35Ch: checksum A4h. */
    const uint8_t expected[] = {0xa0, 0x34, 0x12, 0xaa, 0xba, 0xaa, 0xb0, 0x80,
                                0xaa, 0xb5, 0xaa, 0xb6, 0x01, 0xa4, 0xa5};
    uint8_t frame[FWR_ICMB_FRAME_MAX];
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet heard;

    (void)state;
    assert_int_equal(fwr_icmb_frame_encode(&packet, frame, sizeof(frame)), sizeof(expected));
    assert_memory_equal(frame, expected, sizeof(expected));
    fwr_icmb_receiver_init(&receiver);
    assert_int_equal(feed(&receiver, frame, sizeof(expected), &heard), FWR_ICMB_HEARD_PACKET);
    same(&packet, &heard);
    assert_false(fwr_icmb_receiver_inside(&receiver));
}

static void test_every_length_and_character_comes_through(void **state)
{
    uint8_t frame[FWR_ICMB_FRAME_MAX];
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet heard;
    uint64_t seed = 7;

    (void)state;
    fwr_icmb_receiver_init(&receiver);
    for (unsigned length = 0; length <= FWR_ICMB_DATA_MAX; length++) {
        struct fwr_icmb_packet packet = {.type = ICMB_TYPE_REQUEST, .length = (uint16_t)length};
        int size;

        seeded_fill(&seed, packet.data, length);
        if (length == FWR_ICMB_DATA_MAX)
            memset(packet.data, ICMB_START, length);
        packet.source = (uint16_t)seeded_next(&seed);
        size = fwr_icmb_frame_encode(&packet, frame, sizeof(frame));
        assert_true(size > 0);
        for (int i = 1; i < size - 1; i++)
            assert_true(frame[i] != ICMB_START && frame[i] != ICMB_STOP && frame[i] != ICMB_HAND);
        assert_int_equal(feed(&receiver, frame, (size_t)size, &heard), FWR_ICMB_HEARD_PACKET);
        same(&packet, &heard);
        assert_int_equal(fwr_icmb_frame_encode(&packet, frame, (size_t)size - 1), FWR_E_NO_SPACE);
    }
}

static void test_too_long_is_not_sent(void **state)
{
    const struct fwr_icmb_packet packet = {.length = FWR_ICMB_DATA_MAX + 1};
    uint8_t frame[FWR_ICMB_FRAME_MAX];

    (void)state;
    assert_int_equal(fwr_icmb_frame_encode(&packet, frame, sizeof(frame)), FWR_E_ARGUMENT);
}

#define HEARS(expected, ...)                                                                       \
    do {                                                                                           \
        const uint8_t given[] = {__VA_ARGS__};                                                     \
        assert_int_equal(feed(&receiver, given, sizeof(given), &packet), expected);                \
    } while (0)

static void test_nonsense(void **state)
{
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet packet;

    (void)state;
    fwr_icmb_receiver_init(&receiver);
    HEARS(FWR_ICMB_HEARD_NOISE, 0x00);
    HEARS(FWR_ICMB_HEARD_NOISE, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_NOISE, ICMB_ESCAPE);
    HEARS(FWR_ICMB_HEARD_RUNT, ICMB_START, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_RUNT, ICMB_START, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_PACKET, ICMB_START, 0, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_CHECKSUM, ICMB_START, 0, 0, 0, 0, 0, 0, 0, 1, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_TYPE, ICMB_START, 0, 0, 0, 0, 0x40, 0, 0, 0xc0, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_RESTART, ICMB_START, 1, 2, ICMB_START);
    HEARS(FWR_ICMB_HEARD_PACKET, 0, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP);
    /* An escape of nothing: the rest of the frame is skipped, with its escapes. */
    HEARS(FWR_ICMB_HEARD_ESCAPE, ICMB_START, 0, ICMB_ESCAPE, 0x12);
    assert_true(fwr_icmb_receiver_inside(&receiver));
    HEARS(FWR_ICMB_HEARD_PART, 0, 0, 0, 0, 0, 0, 0, ICMB_ESCAPE, 0x12, ICMB_STOP);
    HEARS(FWR_ICMB_HEARD_ESCAPE, ICMB_START, 0, ICMB_ESCAPE, ICMB_STOP);
    assert_false(fwr_icmb_receiver_inside(&receiver));
    HEARS(FWR_ICMB_HEARD_RESTART, ICMB_START, 0, ICMB_ESCAPE, ICMB_START);
    HEARS(FWR_ICMB_HEARD_PACKET, 0, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP);
}

static void test_endless_frame(void **state)
{
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet packet;
    unsigned overlong = 0;

    (void)state;
    fwr_icmb_receiver_init(&receiver);
    fwr_icmb_receiver_take(&receiver, ICMB_START, &packet);
    for (unsigned i = 0; i < 100000; i++) {
        enum fwr_icmb_heard heard = fwr_icmb_receiver_take(&receiver, 0x55, &packet);

        overlong += heard == FWR_ICMB_HEARD_OVERLONG;
        assert_true(receiver.length <= FWR_ICMB_PACKET_MAX);
    }
    assert_int_equal(overlong, 1);
    HEARS(FWR_ICMB_HEARD_RESTART, ICMB_START);
    HEARS(FWR_ICMB_HEARD_PACKET, 0, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP);
}

/* After any garbage, a start and a whole frame are heard. */
static void test_resynchronises(void **state)
{
    const uint8_t good[] = {ICMB_START, 0, 0, 0, 0, 0, 0, 0, 0, ICMB_STOP};
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet packet;
    uint8_t garbage[300];
    uint64_t seed = 3;

    (void)state;
    fwr_icmb_receiver_init(&receiver);
    for (unsigned i = 0; i < 2000; i++) {
        size_t length = seeded_below(&seed, sizeof(garbage));

        seeded_fill(&seed, garbage, length);
        if (length > 0)
            feed(&receiver, garbage, length, &packet);
        assert_int_equal(feed(&receiver, good, sizeof(good), &packet), FWR_ICMB_HEARD_PACKET);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_frame),
        cmocka_unit_test(test_every_length_and_character_comes_through),
        cmocka_unit_test(test_too_long_is_not_sent),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_endless_frame),
        cmocka_unit_test(test_resynchronises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
