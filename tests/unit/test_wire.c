/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus as a wire: what a character costs, who hears it, and what becomes of it when somebody
 * else sends, the wire is noisy or cut, or a node is stuck.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ipmi-sim/wire.h"

static struct wire w;

static void begin(uint16_t nodes, uint64_t seed)
{
    struct wire_config config = {.nodes = nodes, .seed = seed};

    assert_true(wire_init(&w, &config));
}

/* All that `node` hears until `now_us`, as text of hexadecimal digits; ! marks garbled ones. */
static const char *heard_by(uint16_t node, uint64_t now_us)
{
    static char text[4096];
    struct wire_heard h;
    size_t at = 0;

    text[0] = 0;
    while (wire_hear(&w, now_us, &h))
        if (h.node == node && at + 8 < sizeof(text))
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%02x", at ? " " : "",
                                   h.garbled ? "!" : "", h.garbled ? 0 : h.value);
    return text;
}

static void test_time(void **state)
{
    uint8_t many[WIRE_QUEUE];
    struct wire_heard h;
    struct wire_stats stats;
    uint64_t last = 0;

    (void)state;
    begin(2, 1);
    memset(many, 0x55, sizeof(many));
    assert_int_equal(wire_character_us(&w), 521);
    assert_int_equal(wire_next(&w), WIRE_NEVER);
    assert_int_equal(wire_send(&w, 1000, 0, many, 192), 192);
    assert_int_equal(wire_next(&w), 1000);
    for (unsigned i = 0; i < 2 * 192; i++) {
        assert_true(wire_hear(&w, 200000, &h));
        assert_int_equal(h.node, i % 2); /* its own echo first, both at one time */
        assert_int_equal(h.value, 0x55);
        last = h.at_us;
    }
    assert_false(wire_hear(&w, 200000, &h));
    /* A tenth of a second, and no drift: 192 times 521 would be 101,032. */
    assert_int_equal(last, 101000);
    assert_true(wire_is_idle(&w, 0));
    wire_stats(&w, 200000, &stats);
    assert_int_equal(stats.characters, 192);
    assert_in_range(stats.busy_us, 99999, 100000);
    assert_int_equal(stats.gaps, 0);
    assert_int_equal(wire_node_counts(&w, 1)->heard, 192);
    assert_int_equal(wire_node_counts(&w, 0)->sent, 192);
}

/* An answer given between two calls begins at once, behind what was heard. */
static void test_answer(void **state)
{
    struct wire_heard h;
    struct wire_stats stats;

    (void)state;
    begin(2, 1);
    wire_send(&w, 0, 0, "a", 1);
    assert_true(wire_hear(&w, 521, &h));
    assert_true(wire_hear(&w, 521, &h));
    assert_int_equal(h.node, 1);
    wire_send(&w, h.at_us, 1, "b", 1);
    assert_string_equal(heard_by(0, 5000), "62");
    wire_send(&w, 5000, 0, "c", 1);
    assert_string_equal(heard_by(1, 10000), "63");
    wire_stats(&w, 10000, &stats);
    assert_int_equal(stats.collisions, 0);
    assert_int_equal(stats.gaps, 2);
    assert_int_equal(stats.longest_gap_us, 5000 - 1042);
}

static void test_collision(void **state)
{
    struct wire_heard h;
    struct wire_stats stats;
    unsigned garbled = 0;

    (void)state;
    /* The same characters at the same time: even so nobody hears what it sent. */
    begin(3, 9);
    wire_send(&w, 0, 0, "\xa0\x10", 2);
    wire_send(&w, 0, 1, "\xa0\x20", 2);
    uint8_t at_first[2] = {0, 0};
    for (; wire_hear(&w, 5000, &h); garbled++) {
        assert_true(h.garbled);
        assert_int_not_equal(h.value, garbled < 3 ? 0xa0 : 0x10);
        assert_int_not_equal(h.value, 0x20);
        if (h.node == 0)
            at_first[garbled / 3] = h.value;
        assert_int_equal(h.value, at_first[garbled / 3]); /* all hear the same */
    }
    assert_int_equal(garbled, 6);
    wire_stats(&w, 5000, &stats);
    assert_int_equal(stats.collisions, 2);

    /* Half a character later: three garbled ones for everybody, and the rest is right again. */
    begin(3, 9);
    wire_send(&w, 0, 0, "abcd", 4);
    assert_string_equal(heard_by(2, 200), "");
    wire_send(&w, 200, 1, "z", 1);
    assert_string_equal(heard_by(2, 5000), "!00 !00 63 64");

    /* Barely touching: what hangs over is too short to be a character. */
    begin(3, 9);
    wire_send(&w, 0, 0, "a", 1);
    assert_string_equal(heard_by(2, 100), "");
    wire_send(&w, 100, 1, "z", 1);
    assert_string_equal(heard_by(2, 5000), "!00");
    begin(3, 9);
    wire_send(&w, 0, 0, "a", 1);
    assert_string_equal(heard_by(2, 400), "");
    wire_send(&w, 400, 1, "z", 1);
    assert_string_equal(heard_by(2, 5000), "!00 !00");
}

static void test_flush(void **state)
{
    (void)state;
    begin(2, 1);
    wire_send(&w, 0, 0, "abc", 3);
    assert_string_equal(heard_by(1, 600), "61");
    assert_int_equal(wire_flush(&w, 0), 1); /* the second one is on the bus */
    assert_string_equal(heard_by(1, 5000), "62");
    assert_int_equal(wire_flush(&w, 7), 0);
}

static void test_full(void **state)
{
    uint8_t many[WIRE_QUEUE + 10] = {0};

    (void)state;
    begin(2, 1);
    assert_int_equal(wire_room(&w, 0), WIRE_QUEUE);
    assert_int_equal(wire_send(&w, 0, 0, many, sizeof(many)), WIRE_QUEUE);
    assert_int_equal(wire_send(&w, 0, 0, many, 1), 0);
    assert_int_equal(wire_send(&w, 0, 2, many, 1), 0); /* no such node */
    assert_int_equal(wire_room(&w, 2), 0);
    assert_false(wire_is_idle(&w, 0));
    assert_true(wire_is_idle(&w, 2));
}

static void test_cut(void **state)
{
    (void)state;
    begin(4, 1);
    wire_part(&w, 2, 1);
    wire_part(&w, 3, 1);
    wire_part(&w, 9, 1);
    wire_send(&w, 0, 0, "a", 1);
    wire_send(&w, 0, 3, "b", 1); /* at the same time, on the other side */
    assert_string_equal(heard_by(1, 1000), "61");
    wire_send(&w, 1000, 0, "a", 1);
    wire_send(&w, 1000, 3, "b", 1);
    assert_string_equal(heard_by(2, 2000), "62");
    wire_send(&w, 2000, 0, "ac", 2);
    assert_string_equal(heard_by(2, 2100), "");
    wire_part(&w, 2, 0); /* the second one, it hears */
    assert_string_equal(heard_by(2, 5000), "63");
    wire_send(&w, 5000, 0, "ac", 2);
    assert_string_equal(heard_by(1, 5100), "");
    wire_part(&w, 0, 1); /* in the middle of a character */
    assert_string_equal(heard_by(1, 9000), "!00");
}

static void test_stuck(void **state)
{
    struct wire_stats stats;

    (void)state;
    begin(3, 1);
    wire_send(&w, 0, 0, "abc", 3);
    assert_string_equal(heard_by(1, 600), "61");
    wire_stick(&w, 600, 2, WIRE_HELD);
    assert_int_equal(wire_send(&w, 700, 2, "x", 1), 0);
    assert_string_equal(heard_by(1, 10000), "!00");
    wire_stats(&w, 10000, &stats);
    assert_int_equal(stats.swallowed, 1);
    assert_in_range(stats.busy_us, 9999, 10000);
    wire_stick(&w, 20000, 2, WIRE_FREE);
    wire_send(&w, 20100, 2, "x", 1);
    assert_string_equal(heard_by(1, 30000), "78");
    wire_stats(&w, 30000, &stats);
    assert_in_range(stats.busy_us, 20520, 20521);
    assert_int_equal(stats.gaps, 1);

    wire_stick(&w, 30000, 2, WIRE_BABBLES);
    wire_send(&w, 40000, 0, "abc", 3);
    heard_by(1, 130000);
    assert_in_range(wire_node_counts(&w, 2)->sent, 190, 195);
    assert_in_range(wire_node_counts(&w, 1)->garbled, 4, 8);
    wire_stick(&w, 130000, 2, WIRE_FREE);
    heard_by(1, 140000);
    assert_true(wire_is_idle(&w, 2));
}

/* Held by two, one of them on the other side of a cut. */
static void test_held_twice(void **state)
{
    (void)state;
    begin(4, 1);
    wire_part(&w, 3, 1);
    wire_stick(&w, 0, 3, WIRE_HELD);
    wire_send(&w, 0, 0, "a", 1);
    assert_string_equal(heard_by(1, 1000), "61");
    wire_stick(&w, 1000, 2, WIRE_HELD);
    wire_stick(&w, 1000, 2, WIRE_HELD);
    wire_send(&w, 2000, 0, "a", 1);
    assert_string_equal(heard_by(1, 3000), "!00");
    wire_stick(&w, 3000, 2, WIRE_FREE);
    wire_send(&w, 3000, 0, "a", 1);
    assert_string_equal(heard_by(1, 4000), "61");
}

static void test_noise(void **state)
{
    static uint8_t first[3][WIRE_QUEUE], again[3][WIRE_QUEUE];
    struct wire_noise noise = {.common = 50000, .single = 50000};
    struct wire_heard h;
    unsigned wrong[2] = {0, 0}, apart = 0;

    (void)state;
    for (int round = 0; round < 3; round++) {
        uint8_t(*out)[WIRE_QUEUE] = round == 0 ? first : again;
        uint8_t zeros[WIRE_QUEUE] = {0};
        size_t at[3] = {0, 0, 0};
        begin(3, round < 2 ? 5 : 6);
        wire_noise(&w, 0, &noise);
        wire_send(&w, 0, 0, zeros, sizeof(zeros));
        while (wire_hear(&w, 1000000, &h))
            out[h.node][at[h.node]++] = h.value;
        if (round == 1)
            assert_memory_equal(first, again, sizeof(first)); /* the same seed */
        if (round == 2)
            assert_memory_not_equal(first, again, sizeof(first));
    }
    for (size_t i = 0; i < WIRE_QUEUE; i++) {
        wrong[0] += first[1][i] != 0;
        wrong[1] += first[2][i] != 0;
        apart += first[1][i] != first[2][i];
    }
    /* One in ten for each; half of it is the same for both. */
    assert_in_range(wrong[0], 20, 90);
    assert_in_range(wrong[1], 20, 90);
    assert_in_range(apart, 15, 90);
}

static void test_spurious(void **state)
{
    struct wire_config config = {.nodes = 2, .seed = 3, .noise = {.spurious = 100000}};
    struct wire_stats stats;
    struct wire_heard h;
    unsigned heard = 0;

    (void)state;
    assert_true(wire_init(&w, &config));
    wire_part(&w, 1, 1); /* noise is on both sides */
    while (wire_hear(&w, 1000000, &h))
        heard++;
    wire_stats(&w, 1000000, &stats);
    assert_in_range(stats.spurious, 120, 260); /* 192 less those that are on the bus */
    assert_int_equal(stats.characters, 0);
    assert_in_range(heard, 2 * stats.spurious - 2, 2 * stats.spurious);
    wire_noise(&w, 1000000, &(struct wire_noise){0});
    while (wire_hear(&w, 2000000, &h))
        ;
    assert_int_equal(wire_next(&w), WIRE_NEVER);
}

static void test_arguments(void **state)
{
    struct wire_noise loud = {.spurious = WIRE_SPURIOUS_MAX + 1};

    (void)state;
    assert_false(wire_init(&w, &(struct wire_config){.nodes = WIRE_NODES_MAX + 1}));
    assert_false(wire_init(&w, &(struct wire_config){.bits = 17}));
    assert_false(wire_init(&w, &(struct wire_config){.baud = 100000001}));
    assert_false(wire_init(&w, &(struct wire_config){.noise = loud}));
    assert_true(wire_init(&w, &(struct wire_config){.nodes = WIRE_NODES_MAX, .baud = 115200}));
    assert_int_equal(wire_character_us(&w), 87);
    wire_noise(&w, 0, &loud);
    assert_int_equal(wire_next(&w), WIRE_NEVER);
    wire_stick(&w, 0, WIRE_NODES_MAX, WIRE_HELD);
    assert_int_equal(w.held, 0);
}

/* 64 nodes that begin whenever they like: whatever was not garbled is what its sender sent, and
 * everybody hears as much as everybody else. */
static void test_crowd(void **state)
{
    struct wire_heard h;
    uint64_t now = 0, random = 4;
    uint64_t garbled = 0;

    (void)state;
    begin(64, 64);
    for (unsigned round = 0; round < 3000; round++) {
        uint16_t node = (uint16_t)((random = random * 6364136223846793005u + 1) >> 58);
        uint8_t value = (uint8_t)node;
        now += random >> 32 & 2047;
        while (wire_hear(&w, now, &h)) {
            garbled += h.garbled;
            if (!h.garbled)
                assert_in_range(h.value, 0, 63);
        }
        wire_send(&w, now, node, &value, 1);
    }
    while (wire_hear(&w, now + 1000000, &h))
        ;
    assert_true(garbled > 1000);
    for (uint16_t i = 1; i < 64; i++)
        assert_int_equal(wire_node_counts(&w, i)->heard, wire_node_counts(&w, 0)->heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),      cmocka_unit_test(test_answer),
        cmocka_unit_test(test_collision), cmocka_unit_test(test_flush),
        cmocka_unit_test(test_full),      cmocka_unit_test(test_cut),
        cmocka_unit_test(test_stuck),     cmocka_unit_test(test_held_twice),
        cmocka_unit_test(test_noise),     cmocka_unit_test(test_spurious),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
