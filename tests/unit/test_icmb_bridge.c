/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge among others on a bus: requests across it, every command of the table, late and
 * foreign replies, addresses.
 */
#include "icmb_bus.h"

static void test_a_request_crosses_the_bus(void **state)
{
    struct bus *bus = bus_new(2, 1);
    const uint8_t request[] = {0x11, 0x00, 0xc3, 1, 2, 3};
    const uint8_t expected[] = {0x00, 0x00, 1, 2, 3};

    (void)state;
    bus_start_all(bus);
    assert_int_equal(bus->nodes[0].address, 0x10);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0);
    assert_int_equal(bus->nodes[1].served, 1);
    assert_int_equal(bus->nodes[1].command, 0xc3);
    assert_int_equal(bus->nodes[1].source, 0x10);
    assert_int_equal(bus->nodes[0].answer_length, sizeof(expected));
    assert_memory_equal(bus->nodes[0].answer, expected, sizeof(expected));
    bus_free(bus);
}

#define HEAD 0x11, 0x00 /* the address of node 1 */

/* A local command of node 0, and all that it answers. */
#define LOCAL(given, expected, ...)                                                                \
    do {                                                                                           \
        const uint8_t given_data[] = {__VA_ARGS__}, wanted[] = expected;                           \
        bus_local(bus, 0, given, given_data + 1, sizeof(given_data) - 1);                          \
        assert_int_equal(bus->nodes[0].answer_length, sizeof(wanted));                             \
        assert_memory_equal(bus->nodes[0].answer, wanted, sizeof(wanted));                         \
    } while (0)
#define IS(...)                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NONE 0 /* LOCAL's data begin behind their first byte, so that there may be none */

static struct bus *two(uint64_t seed)
{
    struct bus *bus = bus_new(2, seed);

    bus->nodes[1].config.connector = "ICMB 0";
    bus->nodes[1].config.remote_privilege = 3;
    bus_start_all(bus);
    return bus;
}

static void test_state_and_address(void **state)
{
    struct bus *bus = two(2);

    (void)state;
    LOCAL(FWR_ICMB_GET_BRIDGE_STATE, IS(0, 1), NONE);
    LOCAL(FWR_ICMB_GET_ADDRESS, IS(0, 0x10, 0), NONE);
    LOCAL(FWR_ICMB_SET_ADDRESS, IS(0xcc), NONE, 0, 0);
    LOCAL(FWR_ICMB_SET_ADDRESS, IS(0xcc), NONE, 0xff, 0xff);
    LOCAL(FWR_ICMB_SET_ADDRESS, IS(0), NONE, 0x34, 0x12);
    LOCAL(FWR_ICMB_GET_BRIDGE_STATE, IS(0, 2), NONE);
    LOCAL(FWR_ICMB_GET_ADDRESS, IS(0, 0, 0), NONE);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xd5), NONE, HEAD, 0xc0);
    bus_run(bus, 1000000);
    LOCAL(FWR_ICMB_GET_ADDRESS, IS(0, 0x34, 0x12), NONE);
    LOCAL(FWR_ICMB_SET_BRIDGE_STATE, IS(0xcc), NONE, 2);
    LOCAL(FWR_ICMB_SET_BRIDGE_STATE, IS(0), NONE, 0);
    LOCAL(FWR_ICMB_GET_BRIDGE_STATE, IS(0, 0), NONE);
    LOCAL(FWR_ICMB_GET_ADDRESSES, IS(0xd5), NONE);
    bus_run(bus, 1000000);
    LOCAL(FWR_ICMB_GET_BRIDGE_STATE, IS(0, 0), NONE);
    LOCAL(FWR_ICMB_SET_BRIDGE_STATE, IS(0), NONE, 1);
    bus_run(bus, 1000000);
    LOCAL(FWR_ICMB_SET_BRIDGE_STATE, IS(0), NONE, 1);
    LOCAL(FWR_ICMB_GET_ADDRESS, IS(0, 0x34, 0x12), NONE);
    assert_int_equal(bus->nodes[0].address, 0x1234);
    bus_free(bus);
}

static void test_settings(void **state)
{
    struct bus *bus = two(3);

    (void)state;
    LOCAL(FWR_ICMB_SET_PROXY_ADDRESS, IS(0xcc), NONE, 1, 2, 0x31, 0);
    LOCAL(FWR_ICMB_SET_PROXY_ADDRESS, IS(0xcc), NONE, 1, 2, 0x30, 4);
    LOCAL(FWR_ICMB_SET_PROXY_ADDRESS, IS(0), NONE, 1, 2, 0x30, 3);
    LOCAL(FWR_ICMB_GET_PROXY_ADDRESS, IS(0, 1, 2, 0x30, 3), NONE);
    LOCAL(FWR_ICMB_GET_CAPABILITIES, IS(0, 1, 0, 2), NONE);
    LOCAL(FWR_ICMB_GET_CHASSIS_DEVICE_ID, IS(0, 0x20), NONE);
    LOCAL(FWR_ICMB_SET_CHASSIS_DEVICE_ID, IS(0xcc), NONE, 0x23);
    LOCAL(FWR_ICMB_SET_CHASSIS_DEVICE_ID, IS(0), NONE, 0x24);
    LOCAL(FWR_ICMB_GET_CHASSIS_DEVICE_ID, IS(0, 0x24), NONE);
    LOCAL(FWR_ICMB_GET_EVENT_DESTINATION, IS(0, 0xff, 0xff), NONE);
    LOCAL(FWR_ICMB_SET_EVENT_DESTINATION, IS(0xcc), NONE, 0, 0);
    LOCAL(FWR_ICMB_SET_EVENT_DESTINATION, IS(0), NONE, HEAD);
    LOCAL(FWR_ICMB_GET_EVENT_DESTINATION, IS(0, 0x11, 0), NONE);
    LOCAL(FWR_ICMB_GET_EVENT_RECEPTION, IS(0, 1, 0x20, 0), NONE);
    LOCAL(FWR_ICMB_SET_EVENT_RECEPTION, IS(0xcc), NONE, 2, 0x20, 0);
    LOCAL(FWR_ICMB_SET_EVENT_RECEPTION, IS(0), NONE, 0, 0x22, 1);
    LOCAL(FWR_ICMB_GET_EVENT_RECEPTION, IS(0, 0, 0x22, 1), NONE);
    LOCAL(FWR_ICMB_SET_DISCOVERED, IS(0), NONE);
    LOCAL(FWR_ICMB_ERROR_REPORT, IS(0), NONE, 0xc0, 0xff);
    bus_free(bus);
}

static void test_lengths_privileges_and_unknown_commands(void **state)
{
    struct bus *bus = two(4);
    uint8_t reply[FWR_ICMB_REPLY_MAX], data[8] = {0};
    size_t length;

    (void)state;
    LOCAL(0x07, IS(0xc1), NONE);
    LOCAL(0xc0, IS(0xc1), NONE);
    LOCAL(FWR_ICMB_GET_BRIDGE_STATE, IS(0xc7), NONE, 1);
    LOCAL(FWR_ICMB_SET_BRIDGE_STATE, IS(0xc7), NONE);
    LOCAL(FWR_ICMB_SET_ADDRESS, IS(0xc7), NONE, 1);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xc7), NONE, 1, 2);
    LOCAL(FWR_ICMB_GET_STATISTICS, IS(0, 0, 3, 0, 3, 0, 0, 0), NONE, 0);
    for (unsigned command = 0; command < 256; command++) {
        assert_int_equal(fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 1, (uint8_t)command,
                                               data, 0, 1, reply, &length),
                         FWR_OK);
        assert_int_equal(length, 1);
        assert_true(reply[0] == 0xc1 || reply[0] == 0xd4);
    }
    /* Who may only look may not set. */
    fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 2, FWR_ICMB_SET_BRIDGE_STATE, data, 1, 1,
                          reply, &length);
    assert_int_equal(reply[0], 0xd4);
    fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 2, FWR_ICMB_BRIDGE_REQUEST, data, 3, 1,
                          reply, &length);
    assert_int_equal(reply[0], 0xd4);
    fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 2, FWR_ICMB_GET_BRIDGE_STATE, NULL, 0, 1,
                          reply, &length);
    assert_int_equal(reply[0], 0);
    bus_free(bus);
}

/* Replies nest: the bridge's own completion code, the remote bridge's, what it says. */
static void test_commands_to_a_remote_bridge(void **state)
{
    struct bus *bus = two(5);

    (void)state;
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 1), NONE, HEAD, FWR_ICMB_GET_BRIDGE_STATE);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 0x11, 0), NONE, HEAD, FWR_ICMB_GET_ADDRESS);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 1, 0, 3), NONE, HEAD, FWR_ICMB_GET_CAPABILITIES);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 0, 1, 0xc6, 'I', 'C', 'M', 'B', ' ', '0'), NONE, HEAD,
          FWR_ICMB_GET_CONNECTOR_INFO, 0);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0xcc), NONE, HEAD, FWR_ICMB_GET_CONNECTOR_INFO, 1);
    LOCAL(FWR_ICMB_GET_CONNECTOR_INFO, IS(0xc1), NONE, 0);
    LOCAL(FWR_ICMB_GET_CONNECTION_ID, IS(0xc1), NONE);
    LOCAL(FWR_ICMB_SEND_CONNECTION_ID, IS(0, 0, 0, 0xc6, 'I', 'C', 'M', 'B', ' ', '0'), NONE, HEAD);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0), NONE, HEAD, FWR_ICMB_SET_CHASSIS_DEVICE_ID, 0x40);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 0x40), NONE, HEAD, FWR_ICMB_GET_CHASSIS_DEVICE_ID);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0xc1), NONE, HEAD, 0x07);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0xc1), NONE, HEAD, FWR_ICMB_GET_ADDRESSES);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0xc7), NONE, HEAD, FWR_ICMB_GET_ADDRESS, 1);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0), NONE, HEAD, FWR_ICMB_CLEAR_STATISTICS);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 0, 0, 0, 0, 0, 0, 0), NONE, HEAD,
          FWR_ICMB_GET_STATISTICS, 0);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0xcc), NONE, HEAD, FWR_ICMB_GET_STATISTICS, 2);
    bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, (const uint8_t[]){HEAD, FWR_ICMB_GET_STATISTICS, 1},
              4);
    assert_int_equal(bus->nodes[0].answer_length, 2 + 1 + 20);
    assert_int_equal(bus->nodes[0].answer[3], 3); /* sent since the counters were cleared */
    bus_free(bus);
}

/* Node 0 grants what comes from the bus only what a user may do. */
static void test_the_bus_has_few_privileges(void **state)
{
    struct bus *bus = two(6);
    const uint8_t set[] = {0x10, 0, FWR_ICMB_SET_BRIDGE_STATE, 0};
    const uint8_t discovered[] = {0x10, 0, FWR_ICMB_SET_DISCOVERED};

    (void)state;
    assert_int_equal(bus_local(bus, 1, FWR_ICMB_BRIDGE_REQUEST, set, sizeof(set)), 0);
    assert_int_equal(bus->nodes[1].answer[1], 0xd4);
    assert_int_equal(bus_local(bus, 1, FWR_ICMB_BRIDGE_REQUEST, discovered, sizeof(discovered)), 0);
    assert_int_equal(bus->nodes[1].answer[1], 0);
    bus_free(bus);
}

static void test_targets_behind_a_bridge(void **state)
{
    struct bus *bus = two(7);
    const uint8_t reply[] = {0x00, 0x00, 0x20, 0x01};

    (void)state;
    memcpy(bus->nodes[1].reply, reply, sizeof(reply));
    bus->nodes[1].reply_length = sizeof(reply);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0, 0, 0x20, 0x01), NONE, HEAD, FWR_ICMB_BRIDGE_REQUEST,
          0x20, 0x18, 0x01);
    assert_int_equal(bus->nodes[1].command, FWR_ICMB_BRIDGE_REQUEST);
    assert_int_equal(bus->nodes[1].request_length, 3);
    bus->nodes[1].reply_length = 1;
    LOCAL(FWR_ICMB_BRIDGE_MESSAGE, IS(0), NONE, HEAD, 0x20, 0x18, 0x01);
    assert_int_equal(bus->nodes[1].command, FWR_ICMB_BRIDGE_MESSAGE);
    assert_int_equal(bus->nodes[1].request_length, 3);
    bus_free(bus);
}

static void test_answers_come_late(void **state)
{
    struct bus *bus = two(8);
    struct bus_node *node = &bus->nodes[1];
    const uint8_t request[] = {HEAD, 0xc5, 1};
    const uint8_t answer[] = {0x00, 0x77};
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;

    (void)state;
    node->late = true;
    assert_int_equal(fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4,
                                           FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request), 5,
                                           reply, &length),
                     FWR_PENDING);
    bus_run(bus, 300000);
    assert_int_equal(node->served, 1);
    assert_int_equal(bus->nodes[0].answers, 0);
    assert_int_equal(fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket ^ 0x100, answer,
                                            sizeof(answer)),
                     FWR_E_NOT_FOUND);
    assert_int_equal(fwr_icmb_bridge_answer(node->bridge, bus->now, 0, answer, sizeof(answer)),
                     FWR_E_NOT_FOUND);
    assert_int_equal(fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket, answer, 25),
                     FWR_E_LENGTH);
    assert_int_equal(
        fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket, answer, sizeof(answer)),
        FWR_OK);
    assert_int_equal(
        fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket, answer, sizeof(answer)),
        FWR_E_NOT_FOUND);
    bus_run(bus, 300000);
    assert_int_equal(bus->nodes[0].answers, 1);
    assert_int_equal(bus->nodes[0].token, 5);
    assert_int_equal(bus->nodes[0].answer_length, 3);
    assert_int_equal(bus->nodes[0].answer[2], 0x77);
    bus_free(bus);
}

/* Asked twice, then given up; what comes after that is counted and dropped. */
static void test_replies_after_the_time_out(void **state)
{
    struct bus *bus = two(9);
    struct bus_node *node = &bus->nodes[1];
    const uint8_t request[] = {HEAD, 0xc5, 1};
    const uint8_t answer[] = {0x00, 0x77};

    (void)state;
    node->late = true;
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0xc3);
    assert_int_equal(bus->nodes[0].answer_length, 1);
    assert_int_equal(node->served, 1); /* the second one is known to be under way */
    assert_int_equal(
        fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket, answer, sizeof(answer)),
        FWR_OK);
    bus_run(bus, 300000);
    LOCAL(FWR_ICMB_GET_STATISTICS, IS(0, 0, 0, 0, 0, 0, 1, 0), NONE, 0);
    /* A ticket ends too. */
    bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request));
    bus_run(bus, 6000000);
    assert_int_equal(
        fwr_icmb_bridge_answer(node->bridge, bus->now, node->ticket, answer, sizeof(answer)),
        FWR_E_NOT_FOUND);
    bus_free(bus);
}

/* A reply counts only from whom was asked, to this command and under this sequence number. */
static void test_replies_to_something_else(void **state)
{
    struct bus *bus = two(13);
    struct bus_node *asker = &bus->nodes[0], *node = &bus->nodes[1];
    const uint8_t request[] = {HEAD, 0xc5, 1};
    uint8_t reply[FWR_ICMB_REPLY_MAX], frame[FWR_ICMB_FRAME_MAX];
    size_t length;

    (void)state;
    node->late = true;
    assert_int_equal(fwr_icmb_bridge_local(asker->bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST,
                                           request, sizeof(request), 5, reply, &length),
                     FWR_PENDING);
    bus_run(bus, 50000);
    assert_int_equal(node->served, 1);
    node->dead = true; /* it would hear others use its address */
    const struct fwr_icmb_packet right = {.destination = 0x10,
                                          .source = 0x11,
                                          .type = ICMB_TYPE_RESPONSE,
                                          .sequence = node->bridge->served[0].sequence,
                                          .command = 0xc5,
                                          .length = 2,
                                          .data = {0x00, 0x77}};
    for (unsigned i = 0; i < 4; i++) {
        struct fwr_icmb_packet packet = right;
        packet.source = i == 0 ? 0x55 : right.source;
        packet.sequence = (uint8_t)(right.sequence + (i == 1));
        packet.command = (uint8_t)(right.command + (i == 2));
        int size = fwr_icmb_frame_encode(&packet, frame, sizeof(frame));
        wire_send(&bus->wire, bus->now, (uint16_t)bus->count, frame, (size_t)size);
        bus_run(bus, 30000);
        assert_int_equal(asker->answers, i == 3);
    }
    bus_free(bus);
}

static void test_nobody_there(void **state)
{
    struct bus *bus = two(10);
    uint64_t begin = bus->now;

    (void)state;
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xc3), NONE, 0x77, 0x00, 0xc0);
    assert_true(bus->now - begin < 1500000);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xcc), NONE, 0x10, 0x00, 0xc0); /* itself */
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xcc), NONE, 0x00, 0x00, 0xc0); /* nobody */
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0), NONE, 0xff, 0xff, 0xc0, 1); /* everybody: no reply */
    assert_int_equal(bus->nodes[1].broadcasts, 1);
    bus_free(bus);
}

static void test_outstanding_requests_are_bounded(void **state)
{
    struct bus *bus = two(11);
    const uint8_t request[] = {HEAD, 0xc5, 1};
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;

    (void)state;
    bus->nodes[1].late = true;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4,
                                               FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request), i,
                                               reply, &length),
                         FWR_PENDING);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0xc0), NONE, HEAD, 0xc5);
    fwr_icmb_bridge_forget(bus->nodes[0].bridge, 2);
    assert_int_equal(fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4,
                                           FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request), 9,
                                           reply, &length),
                     FWR_PENDING);
    bus_run(bus, 3000000);
    assert_int_equal(bus->nodes[0].answers, 4); /* not the one that was forgotten */
    bus_free(bus);
}

/* ---- everybody ---- */

static void test_block_data_for_everybody(void **state)
{
    struct bus *bus = bus_new(4, 12);
    uint8_t data[25] = {1, 2, 3, 4};

    (void)state;
    bus_start_all(bus);
    assert_int_equal(fwr_icmb_bridge_broadcast(bus->nodes[0].bridge, bus->now, 0xca, data, 25),
                     FWR_E_LENGTH);
    while (fwr_icmb_bridge_can_broadcast(bus->nodes[0].bridge))
        assert_int_equal(fwr_icmb_bridge_broadcast(bus->nodes[0].bridge, bus->now, 0xca, data, 24),
                         FWR_OK);
    assert_int_equal(fwr_icmb_bridge_broadcast(bus->nodes[0].bridge, bus->now, 0xca, data, 24),
                     FWR_E_BUSY);
    bus_run(bus, 200000);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(bus->nodes[i].broadcasts, 2);
        assert_int_equal(bus->nodes[i].command, 0xca);
        assert_int_equal(bus->nodes[i].source, 0x10);
        assert_int_equal(bus->nodes[i].request_length, 24);
    }
    assert_int_equal(bus->nodes[0].broadcasts, 0);
    assert_true(fwr_icmb_bridge_can_broadcast(bus->nodes[0].bridge));
    bus_free(bus);
}

static void test_events(void **state)
{
    struct bus *bus = two(13);

    (void)state;
    /* Both were online within the first second; who was first heard the other. */
    assert_true(bus->nodes[0].events + bus->nodes[1].events >= 1);
    bus->nodes[1].events = 0;
    LOCAL(FWR_ICMB_SEND_EVENT, IS(0xcc), NONE, 4);
    LOCAL(FWR_ICMB_SEND_EVENT, IS(0), NONE, FWR_ICMB_EVENT_ATTENTION);
    assert_int_equal(bus->nodes[1].events, 1);
    assert_int_equal(bus->nodes[1].event, FWR_ICMB_EVENT_ATTENTION);
    LOCAL(FWR_ICMB_SET_EVENT_DESTINATION, IS(0), NONE, HEAD);
    LOCAL(FWR_ICMB_SEND_EVENT, IS(0), NONE, FWR_ICMB_EVENT_ATTENTION);
    assert_int_equal(bus->nodes[1].events, 2);
    LOCAL(FWR_ICMB_BRIDGE_REQUEST, IS(0, 0), NONE, HEAD, FWR_ICMB_SET_EVENT_RECEPTION, 0, 0x20, 0);
    LOCAL(FWR_ICMB_SEND_EVENT, IS(0xd5), NONE, FWR_ICMB_EVENT_ATTENTION);
    assert_int_equal(bus->nodes[1].events, 2);
    bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, (const uint8_t[]){HEAD, FWR_ICMB_GET_EVENT_COUNT},
              3);
    assert_true(bus->nodes[0].answer[2] >= 2);
    bus_free(bus);
}

static void test_error_reports(void **state)
{
    struct bus *bus = two(14);
    const uint8_t request[] = {HEAD, 0xc5, 1};
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;

    (void)state;
    bus->nodes[1].late = true;
    fwr_icmb_bridge_local(bus->nodes[0].bridge, bus->now, 4, FWR_ICMB_BRIDGE_REQUEST, request,
                          sizeof(request), 5, reply, &length);
    bus_run(bus, 100000);
    assert_int_equal(fwr_icmb_bridge_report(bus->nodes[1].bridge, bus->now, 0x10, 0xc4, 0xd3),
                     FWR_OK); /* of another command: nobody's */
    bus_run(bus, 100000);
    assert_int_equal(bus->nodes[0].answers, 0);
    assert_int_equal(fwr_icmb_bridge_report(bus->nodes[1].bridge, bus->now, 0x10, 0xc5, 0xd3),
                     FWR_OK);
    bus_run(bus, 100000);
    assert_int_equal(bus->nodes[0].answers, 1);
    assert_int_equal(bus->nodes[0].answer_length, 2);
    assert_int_equal(bus->nodes[0].answer[1], 0xd3);
    bus_free(bus);
}

static void test_get_addresses(void **state)
{
    struct bus *bus = bus_new(4, 15);
    const uint8_t expected[] = {0x00};

    (void)state;
    bus_start_all(bus);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_PREPARE_FOR_DISCOVERY, NULL, 0), 0);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_GET_ADDRESSES, NULL, 0), 0);
    assert_int_equal(bus->nodes[0].answer_length, 1 + 2 * 3);
    for (uint8_t i = 1; i < 4; i++) {
        const uint8_t set[] = {(uint8_t)(0x10 + i), 0, FWR_ICMB_SET_DISCOVERED};

        assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, set, sizeof(set)), 0);
    }
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_GET_ADDRESSES, NULL, 0), 0);
    assert_int_equal(bus->nodes[0].answer_length, 1);
    assert_memory_equal(bus->nodes[0].answer, expected, 1);
    bus_local(bus, 0, FWR_ICMB_PREPARE_FOR_DISCOVERY, NULL, 0);
    bus_local(bus, 0, FWR_ICMB_GET_ADDRESSES, NULL, 0);
    assert_int_equal(bus->nodes[0].answer_length, 1 + 2 * 3);
    bus_free(bus);
}

/* ---- what must not be ---- */

static void test_configurations_that_cannot_be(void **state)
{
    struct bus *bus = bus_new(1, 16);
    struct fwr_icmb_config config = bus->nodes[0].config;
    struct fwr_icmb_bridge *bridge;
    size_t size = fwr_icmb_bridge_storage();
    void *storage = malloc(size);

    (void)state;
#define REFUSED(field, value, error)                                                               \
    do {                                                                                           \
        struct fwr_icmb_config wrong = config;                                                     \
        wrong.field = value;                                                                       \
        assert_int_equal(fwr_icmb_bridge_init(&bridge, storage, size, &wrong, 0), error);          \
        assert_null(bridge);                                                                       \
    } while (0)
    REFUSED(size, 1, FWR_E_ARGUMENT);
    REFUSED(platform, NULL, FWR_E_ARGUMENT);
    REFUSED(packet, 23, FWR_E_ARGUMENT);
    REFUSED(packet, FWR_ICMB_DATA_MAX + 1, FWR_E_ARGUMENT);
    REFUSED(outstanding, FWR_ICMB_OUTSTANDING_MAX + 1, FWR_E_ARGUMENT);
    REFUSED(bit_rate, 299, FWR_E_ARGUMENT);
    REFUSED(address, 0xffff, FWR_E_ARGUMENT);
    REFUSED(connector, "seventeen letters", FWR_E_ARGUMENT);
    assert_int_equal(fwr_icmb_bridge_init(&bridge, storage, size - 1, &config, 0), FWR_E_NO_SPACE);
    fwr_icmb_bridge_end(NULL);
    free(storage);
    bus_free(bus);
}

/* Everybody at 0000h, nobody at FFFFh. */
static void test_the_other_broadcast_address(void **state)
{
    struct bus *bus = bus_new(3, 17);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        bus->nodes[i].config.broadcast_is_zero = 1;
    bus_start_all(bus);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_GET_ADDRESSES, NULL, 0), 0);
    assert_int_equal(bus->nodes[0].answer_length, 1 + 2 * 2);
    LOCAL(FWR_ICMB_GET_EVENT_DESTINATION, IS(0, 0, 0), NONE);
    bus_free(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_crosses_the_bus),
        cmocka_unit_test(test_state_and_address),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_lengths_privileges_and_unknown_commands),
        cmocka_unit_test(test_commands_to_a_remote_bridge),
        cmocka_unit_test(test_the_bus_has_few_privileges),
        cmocka_unit_test(test_targets_behind_a_bridge),
        cmocka_unit_test(test_answers_come_late),
        cmocka_unit_test(test_replies_after_the_time_out),
        cmocka_unit_test(test_replies_to_something_else),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_outstanding_requests_are_bounded),
        cmocka_unit_test(test_block_data_for_everybody),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_error_reports),
        cmocka_unit_test(test_get_addresses),
        cmocka_unit_test(test_configurations_that_cannot_be),
        cmocka_unit_test(test_the_other_broadcast_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
