/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and discovery: nodes that find themselves an address, nodes that want the same one,
 * and the search for all of a full bus.
 */
#include "icmb_bus.h"

static uint64_t discovery_next(void *ctx)
{
    struct bus *bus = ctx;

    return fwr_icmb_discovery_next_timeout(bus->discovery);
}

static void discovery_timeout(void *ctx, uint64_t now_us)
{
    struct bus *bus = ctx;

    fwr_icmb_discovery_timeout(bus->discovery, now_us);
}

static bool discovered(struct bus *bus)
{
    const uint16_t *addresses;
    size_t count;

    return fwr_icmb_discovery_state(bus->discovery, &addresses, &count) != FWR_PENDING;
}

/* The addresses in use differ, and each node knows its own. */
static void all_differ(const struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        assert_int_equal(bus->nodes[i].state, FWR_ICMB_ENABLED);
        assert_true(bus->nodes[i].address != 0 && bus->nodes[i].address != 0xffff);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(bus->nodes[i].address, bus->nodes[j].address);
    }
}

static void discover(unsigned nodes, bool random_addresses, uint32_t noise)
{
    struct bus *bus = bus_new(nodes, nodes);
    void *storage = malloc(fwr_icmb_discovery_storage());
    const uint16_t *found;
    size_t count;
    uint64_t begin;

    for (unsigned i = 0; random_addresses && i < nodes; i++)
        bus->nodes[i].config.address = 0;
    for (unsigned i = 0; i < nodes; i++)
        bus_start(bus, i);
    bus_run(bus, 20000000);
    all_differ(bus);
    wire_noise(&bus->wire, bus->now, &(struct wire_noise){.common = noise});
    assert_int_equal(fwr_icmb_discovery_init(&bus->discovery, storage, fwr_icmb_discovery_storage(),
                                             bus->nodes[0].bridge),
                     FWR_OK);
    bus->extra = bus;
    bus->extra_next = discovery_next;
    bus->extra_timeout = discovery_timeout;
    begin = bus->now;
    assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
    assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_E_STATE);
    assert_true(bus_run_until(bus, 120000000, discovered));
    assert_int_equal(fwr_icmb_discovery_state(bus->discovery, &found, &count), FWR_OK);
    print_message("%u nodes found in %.2f s of bus time\n", (unsigned)count,
                  (double)(bus->now - begin) / 1e6);
    assert_int_equal(count, nodes - 1);
    for (unsigned i = 1; i < nodes; i++) {
        unsigned times = 0;

        for (size_t k = 0; k < count; k++)
            times += found[k] == bus->nodes[i].address;
        assert_int_equal(times, 1);
    }
    assert_int_equal(bus->nodes[1].events > 0, 1);
    fwr_icmb_discovery_end(bus->discovery);
    free(storage);
    bus_free(bus);
}

static void test_two(void **state)
{
    (void)state;
    discover(2, false, 0);
}

static void test_42_nodes(void **state)
{
    (void)state;
    discover(1 + 42, true, 0);
}

static void test_64_nodes(void **state)
{
    (void)state;
    discover(1 + 64, true, 0);
}

/* A bus of `nodes` and a discovery by the first of them. */
static struct bus *discovering(unsigned nodes)
{
    struct bus *bus = bus_new(nodes, nodes);

    for (unsigned i = 0; i < nodes; i++)
        bus_start(bus, i);
    bus_run(bus, 20000000);
    assert_int_equal(fwr_icmb_discovery_init(&bus->discovery, malloc(fwr_icmb_discovery_storage()),
                                             fwr_icmb_discovery_storage(), bus->nodes[0].bridge),
                     FWR_OK);
    bus->extra = bus;
    bus->extra_next = discovery_next;
    bus->extra_timeout = discovery_timeout;
    return bus;
}

static int discovery_ends(struct bus *bus, size_t *count)
{
    const uint16_t *found;

    assert_true(bus_run_until(bus, 300000000, discovered));
    return fwr_icmb_discovery_state(bus->discovery, &found, count);
}

static void end_discovery(struct bus *bus)
{
    void *storage = bus->discovery;

    fwr_icmb_discovery_end(bus->discovery);
    free(storage);
    bus_free(bus);
}

static void test_more_nodes_than_there_may_be(void **state)
{
    struct bus *bus = discovering(1 + 66);
    size_t count;

    (void)state;
    assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
    assert_int_equal(discovery_ends(bus, &count), FWR_E_NO_SPACE);
    assert_int_equal(count, FWR_ICMB_NODES_MAX);
    end_discovery(bus);
}

/* A node that does not take notice of being found does not keep it going for ever. */
static void test_a_node_that_always_answers(void **state)
{
    struct bus *bus = discovering(3);
    size_t count;

    (void)state;
    assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
    for (unsigned i = 0; i < 3000 && !discovered(bus); i++) {
        bus->nodes[2].bridge->discovered = false;
        bus_run(bus, 100000);
    }
    assert_int_equal(discovery_ends(bus, &count), FWR_E_TIMEOUT);
    assert_int_equal(count, 2);
    end_discovery(bus);
}

static void test_discovery_while_others_want_the_bridge(void **state)
{
    struct bus *bus = discovering(4);
    const uint8_t request[] = {0x77, 0x00, 0xc0};
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length, count;

    (void)state;
    /* Somebody else collects, and somebody asks for nodes that are not there. */
    assert_int_equal(fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4,
                                           FWR_ICMB_GET_ADDRESSES, NULL, 0, 1, reply, &length),
                     FWR_PENDING);
    assert_int_equal(bus_local(bus, 1, FWR_ICMB_GET_ADDRESSES, NULL, 0), 0);
    for (uint32_t i = 0; i < 4; i++)
        fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST, request,
                              sizeof(request), 2 + i, reply, &length);
    assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
    assert_int_equal(discovery_ends(bus, &count), FWR_OK);
    assert_int_equal(count, 3);
    end_discovery(bus);
}

/* The bridge loses its address, or its line, in each part of the search. */
static void test_discovery_that_loses_its_bridge(void **state)
{
    const uint8_t off = 0;

    (void)state;
    for (unsigned ms = 0; ms < 1200; ms += 17) {
        struct bus *bus = discovering(6);
        uint8_t reply[FWR_ICMB_REPLY_MAX];
        size_t length, count;

        assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
        bus_run(bus, ms * UINT64_C(1000));
        fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4, FWR_ICMB_SET_BRIDGE_STATE, &off, 1,
                              1, reply, &length);
        assert_int_equal(discovery_ends(bus, &count), FWR_E_STATE);
        assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_E_STATE);
        end_discovery(bus);
    }
    for (unsigned ms = 0; ms < 800; ms += 97) {
        struct bus *bus = discovering(6);
        size_t count;

        assert_int_equal(fwr_icmb_discovery_start(bus->discovery, bus->now), FWR_OK);
        bus_run(bus, ms * UINT64_C(1000));
        wire_stick(&bus->wire, bus->now, 6, WIRE_HELD);
        assert_int_not_equal(discovery_ends(bus, &count), FWR_OK);
        end_discovery(bus);
    }
}

/* Ended in the middle, it calls nobody any more. */
static void test_discovery_that_is_ended(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 1200; ms += 40) {
        struct bus *bus = discovering(6);
        struct fwr_icmb_discovery *discovery = bus->discovery;

        fwr_icmb_discovery_start(discovery, bus->now);
        bus_run(bus, ms * UINT64_C(1000));
        bus->extra_next = NULL;
        bus->extra_timeout = NULL;
        fwr_icmb_discovery_end(discovery);
        memset(discovery, 0xee, fwr_icmb_discovery_storage());
        bus_run(bus, 3000000);
        free(discovery);
        bus_free(bus);
    }
    fwr_icmb_discovery_end(NULL);
}

static void test_too_little_storage(void **state)
{
    struct bus *bus = bus_new(1, 3);
    struct fwr_icmb_discovery *discovery;
    uint8_t storage[8];

    (void)state;
    bus_start(bus, 0);
    assert_int_equal(
        fwr_icmb_discovery_init(&discovery, storage, sizeof(storage), bus->nodes[0].bridge),
        FWR_E_NO_SPACE);
    bus_free(bus);
}

static void test_64_nodes_in_noise(void **state)
{
    (void)state;
    discover(1 + 64, false, 1000);
}

/* ---- addresses ---- */

static void test_two_want_one_address(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct bus *bus = bus_new(2, seed);

        bus->nodes[1].config.address = bus->nodes[0].config.address;
        bus_start(bus, 0);
        bus_start(bus, 1);
        bus_run(bus, 5000000);
        all_differ(bus);
        assert_true(bus->nodes[0].address == 0x10 || bus->nodes[1].address == 0x10);
        bus_free(bus);
    }
}

static void test_eight_want_one_address(void **state)
{
    struct bus *bus = bus_new(8, 5);

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        bus->nodes[i].config.address = 0x42;
    for (unsigned i = 0; i < 8; i++)
        bus_start(bus, i);
    bus_run(bus, 20000000);
    all_differ(bus);
    bus_free(bus);
}

static void test_a_second_one_later(void **state)
{
    struct bus *bus = bus_new(2, 9);

    (void)state;
    bus->nodes[1].config.address = 0x10;
    bus_start(bus, 0);
    bus_run(bus, 3000000);
    bus_start(bus, 1);
    bus_run(bus, 3000000);
    all_differ(bus);
    assert_int_equal(bus->nodes[0].address, 0x10);
    bus_free(bus);
}

/* Two halves of a bus had a node each with one address, and are joined. */
static void test_joined_halves(void **state)
{
    struct bus *bus = bus_new(3, 10);
    const uint8_t request[] = {0x12, 0x00, 0xc0, 9};

    (void)state;
    bus->nodes[1].config.address = 0x10;
    wire_part(&bus->wire, 1, 1);
    for (unsigned i = 0; i < 3; i++)
        bus_start(bus, i);
    bus_run(bus, 3000000);
    assert_int_equal(bus->nodes[0].address, 0x10);
    assert_int_equal(bus->nodes[1].address, 0x10);
    wire_part(&bus->wire, 1, 0);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0);
    bus_run(bus, 3000000);
    all_differ(bus);
    assert_int_equal(bus->nodes[0].address, 0x10);
    bus_free(bus);
}

/* Somebody who sends under this node's address again and again does not make it move for ever. */
static void test_a_forger(void **state)
{
    struct bus *bus = bus_new(1, 11);
    unsigned moves = 0;
    uint8_t frame[FWR_ICMB_FRAME_MAX];

    (void)state;
    bus_start(bus, 0);
    bus_run(bus, 1000000);
    while (moves < 40 && bus->nodes[0].state != FWR_ICMB_ERROR) {
        const struct fwr_icmb_packet packet = {
            .destination = 0x99, .source = bus->nodes[0].address, .sequence = 0xee, .command = 1};
        int length = fwr_icmb_frame_encode(&packet, frame, sizeof(frame));

        wire_send(&bus->wire, bus->now, 1, frame, (size_t)length);
        bus_run(bus, 500000);
        moves++;
    }
    assert_int_equal(bus->nodes[0].state, FWR_ICMB_ERROR);
    assert_true(moves < 20);
    bus_run(bus, 70000000);
    assert_int_equal(bus->nodes[0].state, FWR_ICMB_ENABLED);
    bus_free(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_42_nodes),
        cmocka_unit_test(test_64_nodes),
        cmocka_unit_test(test_64_nodes_in_noise),
        cmocka_unit_test(test_more_nodes_than_there_may_be),
        cmocka_unit_test(test_a_node_that_always_answers),
        cmocka_unit_test(test_discovery_while_others_want_the_bridge),
        cmocka_unit_test(test_discovery_that_loses_its_bridge),
        cmocka_unit_test(test_discovery_that_is_ended),
        cmocka_unit_test(test_too_little_storage),
        cmocka_unit_test(test_two_want_one_address),
        cmocka_unit_test(test_eight_want_one_address),
        cmocka_unit_test(test_a_second_one_later),
        cmocka_unit_test(test_joined_halves),
        cmocka_unit_test(test_a_forger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
