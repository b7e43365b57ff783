/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node on a bad bus: noise, garbage, endless frames, collisions, neighbours that never stop,
 * cut wires, echoes that come late, replies to nobody; and that it is well again afterwards.
 */
#include "icmb_bus.h"

static const uint8_t request[] = {0x11, 0x00, 0xc3, 1, 2, 3};

static struct bus *two(uint64_t seed)
{
    struct bus *bus = bus_new(2, seed);

    bus_start_all(bus);
    return bus;
}

static void works(struct bus *bus)
{
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0);
    assert_int_equal(bus->nodes[0].answer_length, 5);
}

/* Characters of somebody else, the wire's last node. */
static void noise(struct bus *bus, const uint8_t *bytes, size_t length)
{
    wire_send(&bus->wire, bus->now, (uint16_t)bus->count, bytes, length);
}

static struct fwr_icmb_status status_of(const struct bus *bus, unsigned i)
{
    struct fwr_icmb_status status;

    fwr_icmb_bridge_status(bus->nodes[i].bridge, bus->now, &status);
    return status;
}

static void test_garbage(void **state)
{
    struct bus *bus = two(1);
    uint64_t seed = 5;
    uint8_t bytes[200];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        size_t length = 1 + seeded_below(&seed, sizeof(bytes) - 1);

        seeded_fill(&seed, bytes, length);
        noise(bus, bytes, length);
        bus_run(bus, 1000 + seeded_below(&seed, 200000));
        if (i % 10 == 0)
            works(bus);
    }
    bus_run(bus, 1000000);
    works(bus);
    assert_int_equal(bus->nodes[1].state, FWR_ICMB_ENABLED);
    assert_int_equal(bus->nodes[1].served, 11);
    bus_free(bus);
}

static void test_counts_what_was_wrong(void **state)
{
    struct bus *bus = two(2);
    const uint8_t runt[] = {0xa0, 1, 0xa5}, checksum[] = {0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa5};
    const uint8_t type[] = {0xa0, 0, 0, 0, 0, 0x40, 0, 0, 0xc0, 0xa5}, restart[] = {0xa0, 1, 0xa0};
    const uint8_t other[] = {0xa0, 0x99, 0, 0x98, 0, 0, 1, 2, 0xcc, 0xa5};
    /* Command 20h and its answer, which nobody asked for, of node 98h. */
    const uint8_t spurious[] = {0xa0, 0x11, 0, 0x98, 0, 0x80, 1, 0x20, 0, 0xb6, 0xa5};
    struct fwr_icmb_statistics before = status_of(bus, 1).statistics, after;

    (void)state;
    noise(bus, (const uint8_t[]){7, 8, 9}, 3);
    noise(bus, runt, sizeof(runt));
    noise(bus, checksum, sizeof(checksum));
    noise(bus, type, sizeof(type));
    noise(bus, restart, sizeof(restart));
    noise(bus, other, sizeof(other));
    noise(bus, spurious, sizeof(spurious));
    bus_run(bus, 100000);
    after = status_of(bus, 1).statistics;
    assert_int_equal(after.not_start - before.not_start, 3);
    assert_int_equal(after.runt_packets - before.runt_packets, 1);
    assert_int_equal(after.bad_checksums - before.bad_checksums, 1);
    assert_int_equal(after.unknown_types - before.unknown_types, 1);
    assert_int_equal(after.restarts - before.restarts, 2); /* the next frame ends it too */
    assert_int_equal(after.other_address - before.other_address, 1);
    assert_int_equal(after.spurious - before.spurious, 1);
    assert_int_equal(after.received - before.received, 1);
    works(bus);
    bus_free(bus);
}

/* One character in 100 is wrong for all. */
static void test_noise(void **state)
{
    struct bus *bus = two(3);
    unsigned answered = 0;

    (void)state;
    wire_noise(&bus->wire, bus->now, &(struct wire_noise){.common = 5000, .spurious = 5000});
    for (unsigned i = 0; i < 200; i++)
        answered += bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)) == 0;
    print_message("%u of 200 requests answered\n", answered);
    assert_true(answered >= 190);
    assert_true(status_of(bus, 0).statistics.arbitration_losses > 0);
    wire_noise(&bus->wire, bus->now, &(struct wire_noise){0});
    bus_run(bus, 1000000);
    works(bus);
    bus_free(bus);
}

static void test_an_endless_frame(void **state)
{
    struct bus *bus = two(4);
    uint8_t bytes[400] = {0xa0};

    (void)state;
    noise(bus, bytes, sizeof(bytes));
    bus_run(bus, 250000);
    assert_int_equal(status_of(bus, 1).statistics.runt_packets, 1);
    works(bus);
    /* One that begins and never ends holds the bus for a while only. */
    noise(bus, bytes, 5);
    bus_run(bus, 3000);
    works(bus);
    bus_free(bus);
}

static void test_a_node_that_never_stops(void **state)
{
    struct bus *bus = two(5);
    uint64_t begin;

    (void)state;
    wire_stick(&bus->wire, bus->now, 2, WIRE_BABBLES);
    bus_run(bus, 100000);
    begin = bus->now;
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0xc0);
    assert_true(bus->now - begin < 4000000);
    assert_true(status_of(bus, 0).stuck);
    assert_int_equal(status_of(bus, 0).queued, 0);
    assert_int_equal(status_of(bus, 0).statistics.given_up, 1);
    bus_run(bus, 60000000);
    wire_stick(&bus->wire, bus->now, 2, WIRE_FREE);
    bus_run(bus, 100000);
    assert_false(status_of(bus, 0).stuck);
    works(bus);
    bus_free(bus);
}

/* A break: not even the own characters come back. */
static void test_a_bus_that_is_held(void **state)
{
    struct bus *bus = two(6);
    int code;

    (void)state;
    wire_stick(&bus->wire, bus->now, 2, WIRE_HELD);
    bus_run(bus, 100000);
    code = bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request));
    assert_true(code == 0xd3 || code == 0xc0);
    wire_stick(&bus->wire, bus->now, 2, WIRE_FREE);
    bus_run(bus, 1000000);
    works(bus);
    bus_free(bus);
}

/* The transmitter is cut off: the node hears others, but not itself. */
static void test_deaf_for_itself(void **state)
{
    struct bus *bus = two(7);
    uint8_t bytes[64], reply[FWR_ICMB_REPLY_MAX];
    struct fwr_icmb_bridge *bridge = bus->nodes[0].bridge;
    uint64_t now = bus->now + 1000000;
    size_t length;
    unsigned sent = 0;

    (void)state;
    assert_int_equal(fwr_icmb_bridge_local(bridge, now, 4, FWR_ICMB_BRIDGE_REQUEST, request,
                                           sizeof(request), 3, reply, &length),
                     FWR_PENDING);
    while (bus->nodes[0].answers == 0) {
        assert_true(now < bus->now + 5000000);
        if (fwr_icmb_bridge_next_timeout(bridge) <= now)
            fwr_icmb_bridge_timeout(bridge, now);
        sent += (unsigned)fwr_icmb_bridge_next_send(bridge, now, bytes, sizeof(bytes));
        now += 1000;
    }
    assert_int_equal(bus->nodes[0].answer[0], 0xd3);
    assert_int_equal(sent, 3 * 8); /* three attempts, of which only the first portion went out */
    assert_int_equal(status_of(bus, 0).statistics.deaf, 3);
    bus->now = now + 1000000;
    works(bus);
    bus_free(bus);
}

/* The echo of a whole frame comes when the node has given up waiting for it: that is no other
 * node with its address. */
static void test_a_late_echo(void **state)
{
    struct bus *bus = bus_new(1, 8);
    uint8_t bytes[64], reply[FWR_ICMB_REPLY_MAX], echo[64];
    struct fwr_icmb_bridge *bridge;
    size_t length, sent = 0;
    uint64_t now;

    (void)state;
    bus->nodes[0].config.portion = 64;
    bus_start_all(bus);
    bridge = bus->nodes[0].bridge;
    now = bus->now;
    fwr_icmb_bridge_local(bridge, now, 4, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request), 3,
                          reply, &length);
    now += 10000;
    for (unsigned i = 0; i < 10; i++) { /* the beginning is heard in time */
        size_t n = fwr_icmb_bridge_next_send(bridge, now, bytes, sizeof(bytes));

        memcpy(echo + sent, bytes, n);
        if (sent < 5)
            fwr_icmb_bridge_receive(bridge, now, bytes, n);
        sent += n;
    }
    assert_int_equal(echo[sent - 1], 0xa5);
    now += 500000;
    fwr_icmb_bridge_timeout(bridge, now);
    assert_int_equal(status_of(bus, 0).statistics.deaf, 1);
    fwr_icmb_bridge_receive(bridge, now, echo + 8, sent - 8);
    assert_int_equal(status_of(bus, 0).statistics.echoes, 1);
    assert_int_equal(status_of(bus, 0).statistics.conflicts, 0);
    assert_int_equal(bus->nodes[0].address, 0x10);
    bus_free(bus);
}

/* ---- arbitration ---- */

/* Everybody asks everybody at once. */
static void test_many_at_once(void **state)
{
    struct bus *bus = bus_new(16, 9);
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;
    unsigned good = 0;
    uint32_t losses = 0;

    (void)state;
    bus_start_all(bus);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 16; i++) {
            const uint8_t data[] = {(uint8_t)(0x10 + (i + 1) % 16), 0, 0xc0, (uint8_t)i};

            bus->nodes[i].answers = 0;
            assert_int_equal(fwr_icmb_bridge_local(bus->nodes[i].bridge, bus->now, 4,
                                                   FWR_ICMB_BRIDGE_REQUEST, data, sizeof(data), i,
                                                   reply, &length),
                             FWR_PENDING);
        }
        bus_run(bus, 1500000);
        for (unsigned i = 0; i < 16; i++)
            good += bus->nodes[i].answers == 1 && bus->nodes[i].answer[0] == 0;
    }
    for (unsigned i = 0; i < 16; i++)
        losses += status_of(bus, i).statistics.arbitration_losses;
    print_message("%u of 320 answered, %u arbitrations lost\n", good, (unsigned)losses);
    assert_true(good >= 316);
    assert_true(losses > 0);
    bus_free(bus);
}

/* A reply goes before a request that has waited longer. */
static void test_replies_go_first(void **state)
{
    struct bus *bus = bus_new(3, 10);
    const uint8_t first[] = {0x11, 0, 0xc0, 1}, second[] = {0x11, 0, 0xc0, 2};
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;

    (void)state;
    bus_start_all(bus);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t losses = status_of(bus, 0).statistics.arbitration_losses +
                          status_of(bus, 2).statistics.arbitration_losses;

        fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST, first,
                              sizeof(first), 1, reply, &length);
        bus_run(bus, 3000);
        fwr_icmb_bridge_local(bus->nodes[2].bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST, second,
                              sizeof(second), 2, reply, &length);
        bus_run(bus, 12500); /* both packets are short */
        assert_int_equal(bus->nodes[0].answers, i + 1);
        bus_run(bus, 100000);
        assert_int_equal(bus->nodes[2].answers, i + 1);
        assert_int_equal(status_of(bus, 0).statistics.arbitration_losses +
                             status_of(bus, 2).statistics.arbitration_losses,
                         losses);
    }
    bus_free(bus);
}

/* A node with a lot for everybody lets others ask. */
static void test_block_data_lets_others_ask(void **state)
{
    struct bus *bus = bus_new(3, 11);
    uint8_t data[24] = {0};
    uint64_t end;

    (void)state;
    bus_start_all(bus);
    end = bus->now + 10000000;
    while (bus->now < end) {
        while (fwr_icmb_bridge_can_broadcast(bus->nodes[0].bridge))
            fwr_icmb_bridge_broadcast(bus->nodes[0].bridge, bus->now, 0xca, data, sizeof(data));
        bus_run(bus, 5000);
        if (bus->nodes[2].answers == bus->nodes[2].broadcasts / 4) {
            uint8_t reply[FWR_ICMB_REPLY_MAX];
            size_t length;

            fwr_icmb_bridge_local(bus->nodes[2].bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST,
                                  request, sizeof(request), 1, reply, &length);
        }
    }
    print_message("%u broadcasts, %u requests answered\n", bus->nodes[1].broadcasts,
                  bus->nodes[2].answers);
    assert_true(bus->nodes[2].answers >= 40);
    assert_int_equal(bus->nodes[2].answer[0], 0);
    bus_free(bus);
}

/* What a node is asked without end does not pile up. */
static void test_a_flood_of_requests(void **state)
{
    struct bus *bus = two(12);
    uint8_t frame[FWR_ICMB_FRAME_MAX];
    struct fwr_icmb_packet packet = {
        .destination = 0x11, .source = 0x55, .command = 0xc0, .length = 1};

    (void)state;
    bus->nodes[1].late = true;
    for (unsigned i = 0; i < 200; i++) {
        int length;

        packet.sequence = (uint8_t)i;
        length = fwr_icmb_frame_encode(&packet, frame, sizeof(frame));
        noise(bus, frame, (size_t)length);
        bus_run(bus, 6000);
        assert_true(status_of(bus, 1).queued <= 24);
    }
    assert_int_equal(bus->nodes[1].served, FWR_ICMB_SERVED_MAX);
    bus->nodes[1].late = false;
    bus_run(bus, 6000000);
    works(bus);
    bus_free(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_counts_what_was_wrong),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_an_endless_frame),
        cmocka_unit_test(test_a_node_that_never_stops),
        cmocka_unit_test(test_a_bus_that_is_held),
        cmocka_unit_test(test_deaf_for_itself),
        cmocka_unit_test(test_a_late_echo),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_replies_go_first),
        cmocka_unit_test(test_block_data_lets_others_ask),
        cmocka_unit_test(test_a_flood_of_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
