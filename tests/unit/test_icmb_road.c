/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads over ICMB: opening and what is agreed on, replies with what the bus leaves out, silence,
 * several roads on one bridge, and how much of the line a pull gets.
 */
#include "icmb_bus.h"

#include <fwrecover/command.h>
#include <fwrecover/oem.h>

#define IANA 32473u

struct peer {
    struct fwr_icmb_road *road;
    struct fwr_icmb_road_config config;
    void *storage;
    unsigned states, replies;
    int error;
    bool with_limits;
    struct fwr_link_limits limits;
    uint8_t command;
    size_t length;
    uint8_t reply[FWR_OEM_HEADER + FWR_ICMB_DATA_MAX];

    bool pulling;
    uint8_t cookie;
    unsigned in_flight;
    uint64_t bytes;
};

struct world {
    struct bus *bus;
    struct peer peers[3];
    unsigned count;
    uint16_t max_request, max_reply; /* what the donors say; 0: do not answer */
    uint8_t window;
    uint8_t refusal; /* 0: none */
    bool little;     /* the donors say less than there may be */
    uint64_t seed;
};

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct peer *peer = ctx;

    peer->replies++;
    peer->command = command;
    peer->length = length;
    memcpy(peer->reply, reply, length);
    if (peer->pulling) {
        peer->in_flight--;
        peer->bytes += length - FWR_OEM_HEADER - 1;
    }
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct peer *peer = ctx;

    peer->states++;
    peer->error = error;
    peer->with_limits = limits != NULL;
    if (limits != NULL)
        peer->limits = *limits;
}

/* A donor: capabilities, and blocks of random bytes as long as they fit. */
static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *request,
                    uint8_t *reply, size_t capacity)
{
    struct bus_node *node = ctx;
    struct world *world = node->bus->extra;
    struct fwr_get_capabilities_reply capabilities = {
        .cookie = request->data[0],
        .wire_version = 1,
        .roles = FWR_ROLE_DONOR,
        .max_request = world->max_request,
        .max_reply = (uint16_t)(capacity - 1 < world->max_reply ? capacity - 1 : world->max_reply),
        .codecs = 1,
        .window = world->window};

    (void)now_us;
    node->served++;
    node->request_length = request->length;
    reply[0] = 0;
    if (world->max_reply == 0)
        return 0;
    if (world->refusal != 0) {
        reply[0] = world->refusal;
        return 1;
    }
    if (request->command == FWR_COMMAND_BASE + FWR_CMD_GET_CAPABILITIES) {
        int length = fwr_get_capabilities_reply_encode(&capabilities, reply + 1, capacity - 1);

        assert_true(length > 7);
        if (world->little)
            reply[1 + 6] = FWR_LINK_MIN_REPLY - 1;
        return 1 + (size_t)length;
    }
    if (request->command == FWR_COMMAND_BASE + FWR_CMD_GET_STATUS) {
        reply[0] = 0xd5;
        return 1;
    }
    reply[1] = request->data[0];
    seeded_fill(&world->seed, reply + 2, capacity - 2);
    return capacity;
}

static void pull(struct world *world, uint64_t now)
{
    for (unsigned i = 0; i < world->count; i++) {
        struct peer *peer = &world->peers[i];
        uint8_t request[14] = {0};

        if (fwr_icmb_road_next_timeout(peer->road) <= now)
            fwr_icmb_road_timeout(peer->road, now);
        while (peer->pulling && peer->in_flight < peer->limits.window) {
            request[0] = ++peer->cookie;
            if (fwr_icmb_road_send(peer->road, now, FWR_CMD_READ_BLOCKS, request,
                                   sizeof(request)) != FWR_OK)
                break;
            peer->in_flight++;
        }
    }
}

static void extra_timeout(void *ctx, uint64_t now_us)
{
    pull(ctx, now_us / 1000);
}

static uint64_t extra_next(void *ctx)
{
    struct world *world = ctx;
    uint64_t next = FWR_NEVER;

    for (unsigned i = 0; i < world->count; i++) {
        uint64_t at = fwr_icmb_road_next_timeout(world->peers[i].road);

        if (at < next)
            next = at;
    }
    return next == FWR_NEVER ? next : next * 1000;
}

/* A recipient, node 0, with a road to each of `donors` others. */
static struct world *world_new(unsigned donors, uint16_t packet)
{
    struct world *world = calloc(1, sizeof(*world));
    struct bus *bus = bus_new(donors + 1, 20);

    world->bus = bus;
    world->count = donors;
    world->max_request = world->max_reply = 255;
    world->window = 15;
    for (unsigned i = 0; i <= donors; i++) {
        bus->nodes[i].config.packet = packet;
        bus->nodes[i].config.serve = serve;
    }
    bus->extra = world;
    bus_start_all(bus);
    for (unsigned i = 0; i < donors; i++) {
        struct peer *peer = &world->peers[i];

        peer->storage = malloc(fwr_icmb_road_storage());
        peer->config = (struct fwr_icmb_road_config){.size = sizeof(peer->config),
                                                     .bridge = bus->nodes[0].bridge,
                                                     .address = (uint16_t)(0x11 + i),
                                                     .command_base = FWR_COMMAND_BASE,
                                                     .iana = IANA,
                                                     .ctx = peer,
                                                     .reply = on_reply,
                                                     .state = on_state};
        assert_int_equal(
            fwr_icmb_road_init(&peer->road, peer->storage, fwr_icmb_road_storage(), &peer->config),
            FWR_OK);
    }
    bus->extra_next = extra_next;
    bus->extra_timeout = extra_timeout;
    return world;
}

static void world_free(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++) {
        fwr_icmb_road_end(world->peers[i].road);
        free(world->peers[i].storage);
    }
    bus_free(world->bus);
    free(world);
}

static int send(struct world *world, unsigned i, uint8_t command, uint8_t cookie, size_t length)
{
    uint8_t bytes[FWR_ICMB_DATA_MAX] = {cookie};

    return fwr_icmb_road_send(world->peers[i].road, world->bus->now / 1000, command, bytes, length);
}

static void open_road(struct world *world, unsigned i)
{
    assert_int_equal(send(world, i, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
    assert_int_equal(send(world, i, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
    bus_run(world->bus, 200000);
    assert_int_equal(world->peers[i].error, FWR_OK);
    assert_true(world->peers[i].with_limits);
}

static void test_opens_and_answers(void **state)
{
    struct world *world = world_new(1, 0);
    struct peer *peer = &world->peers[0];
    const uint8_t head[] = {0x00, 0xd9, 0x7e, 0x00, 0x21};
    const uint8_t refusal[] = {0xd5, 0xd9, 0x7e, 0x00, 0x22};

    (void)state;
    open_road(world, 0);
    assert_int_equal(peer->limits.max_request, 22);
    assert_int_equal(peer->limits.max_reply, 23);
    assert_int_equal(peer->limits.window, 3);
    assert_int_equal(peer->limits.medium, FWR_MEDIUM_ICMB);
    assert_int_equal(peer->limits.broadcast, 16);
    assert_true(peer->limits.round_trip_ms >= 30 && peer->limits.round_trip_ms <= 45);
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 0x21, 23), FWR_E_LENGTH);
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 0x21, 14), FWR_OK);
    bus_run(world->bus, 100000);
    assert_int_equal(peer->replies, 1);
    assert_int_equal(peer->command, FWR_CMD_READ_BLOCKS);
    assert_int_equal(peer->length, FWR_OEM_HEADER + 23);
    assert_memory_equal(peer->reply, head, sizeof(head));
    /* A refusal has the cookie, which the bus need not carry. */
    assert_int_equal(send(world, 0, FWR_CMD_GET_STATUS, 0x22, 2), FWR_OK);
    bus_run(world->bus, 100000);
    assert_int_equal(peer->replies, 2);
    assert_int_equal(peer->length, sizeof(refusal));
    assert_memory_equal(peer->reply, refusal, sizeof(refusal));
    world_free(world);
}

/* The smaller of both ends counts, also where the peer says only how long its replies are. */
static void test_agrees_on_the_smaller(void **state)
{
    struct world *world = world_new(1, 200);

    (void)state;
    world->max_reply = 99;
    world->window = 2;
    open_road(world, 0);
    assert_int_equal(world->peers[0].limits.max_reply, 99);
    assert_int_equal(world->peers[0].limits.max_request, 98);
    assert_int_equal(world->peers[0].limits.window, 2);
    assert_int_equal(world->peers[0].limits.broadcast, 92);
    world_free(world);
}

/* A peer that says less than any road has is none. */
static void test_agrees_on_no_less_than_there_is(void **state)
{
    struct world *world = world_new(1, 200);

    (void)state;
    world->little = true;
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
    bus_run(world->bus, 200000);
    assert_int_equal(world->peers[0].error, FWR_E_MALFORMED);
    bus_run(world->bus, 1000000);
    world->little = false;
    world->max_reply = FWR_LINK_MIN_REPLY;
    open_road(world, 0);
    assert_int_equal(world->peers[0].limits.max_reply, FWR_LINK_MIN_REPLY);
    assert_int_equal(world->peers[0].limits.max_request, FWR_LINK_MIN_REPLY - 1);
    world_free(world);
}

/* One that answers, but does not know us; and the pause grows to a minute. */
static void test_refused(void **state)
{
    struct world *world = world_new(1, 0);
    struct peer *peer = &world->peers[0];
    uint64_t pause = 1000;

    (void)state;
    world->refusal = 0xc1;
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
        bus_run(world->bus, 100000);
        assert_int_equal(peer->error, FWR_E_UNKNOWN_COMMAND);
        assert_in_range(fwr_icmb_road_next_timeout(peer->road) - world->bus->now / 1000,
                        pause - 100, pause);
        bus_run(world->bus, pause * 1000);
        assert_int_equal(peer->error, FWR_OK);
        pause = pause * 2 < 60000 ? pause * 2 : 60000;
    }
    world->refusal = 0;
    open_road(world, 0);
    world_free(world);
}

static void test_a_malformed_answer(void **state)
{
    struct world *world = world_new(1, 0);

    (void)state;
    world->bus->nodes[1].config.serve = NULL;
    fwr_icmb_bridge_end(world->bus->nodes[1].bridge);
    world->bus->nodes[1].config.serve = bus_serve; /* echoes the cookie: far too short */
    assert_int_equal(fwr_icmb_bridge_init(&world->bus->nodes[1].bridge,
                                          world->bus->nodes[1].storage, fwr_icmb_bridge_storage(),
                                          &world->bus->nodes[1].config, world->bus->now),
                     FWR_OK);
    bus_run(world->bus, 2000000);
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
    bus_run(world->bus, 200000);
    assert_int_equal(world->peers[0].error, FWR_E_MALFORMED);
    world_free(world);
}

/* The node does not hear itself: there is no road at all. */
static void test_no_line(void **state)
{
    struct world *world = world_new(1, 0);
    struct fwr_icmb_bridge *bridge = world->bus->nodes[0].bridge;
    uint8_t bytes[64];
    uint64_t now;

    (void)state;
    open_road(world, 0);
    now = world->bus->now;
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 5, 14), FWR_OK);
    for (unsigned i = 0; i < 5000 && world->peers[0].states < 2; i++) {
        now += 1000;
        if (fwr_icmb_bridge_next_timeout(bridge) <= now)
            fwr_icmb_bridge_timeout(bridge, now);
        fwr_icmb_bridge_next_send(bridge, now, bytes, sizeof(bytes));
    }
    assert_int_equal(world->peers[0].error, FWR_E_IO);
    world->bus->now = now;
    world_free(world);
}

static void test_as_a_link(void **state)
{
    struct world *world = world_new(1, 0);
    const struct fwr_link *link = fwr_icmb_road_link(world->peers[0].road);
    struct fwr_link_limits limits;
    uint8_t bytes[14] = {9};

    (void)state;
    open_road(world, 0);
    link->limits(link->ctx, &limits);
    assert_int_equal(limits.max_reply, 23);
    assert_int_equal(link->send(link->ctx, world->bus->now / 1000, FWR_CMD_READ_BLOCKS, bytes, 14),
                     FWR_OK);
    bus_run(world->bus, 100000);
    assert_int_equal(world->peers[0].replies, 1);
    world_free(world);
}

static void test_configurations_that_cannot_be(void **state)
{
    struct world *world = world_new(1, 0);
    struct fwr_icmb_road_config good = world->peers[0].config;
    struct fwr_icmb_road *road;
    size_t size = fwr_icmb_road_storage();
    void *storage = malloc(size);

    (void)state;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        struct fwr_icmb_road_config wrong = good;                                                  \
        wrong.field = value;                                                                       \
        assert_int_equal(fwr_icmb_road_init(&road, storage, size, &wrong), FWR_E_ARGUMENT);        \
        assert_null(road);                                                                         \
    } while (0)
    REFUSED(size, 1);
    REFUSED(bridge, NULL);
    REFUSED(address, 0);
    REFUSED(address, 0xffff);
    REFUSED(reply, NULL);
    REFUSED(state, NULL);
    assert_int_equal(fwr_icmb_road_init(&road, storage, size - 1, &good), FWR_E_NO_SPACE);
    fwr_icmb_road_end(NULL);
    free(storage);
    world_free(world);
}

static void test_nobody_there(void **state)
{
    struct world *world = world_new(1, 0);
    struct peer *peer = &world->peers[0];

    (void)state;
    world->bus->nodes[1].dead = true;
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_BUSY);
    bus_run(world->bus, 2500000);
    assert_int_equal(peer->states, 1);
    assert_int_equal(peer->error, FWR_E_NO_DONOR);
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_SESSION_CLOSED);
    bus_run(world->bus, 1000000);
    assert_int_equal(peer->states, 2);
    assert_int_equal(peer->error, FWR_OK);
    assert_false(peer->with_limits);
    world->bus->nodes[1].dead = false;
    open_road(world, 0);
    world_free(world);
}

static void test_silence(void **state)
{
    struct world *world = world_new(1, 0);
    struct peer *peer = &world->peers[0];

    (void)state;
    open_road(world, 0);
    world->bus->nodes[1].dead = true;
    peer->pulling = true;
    bus_run(world->bus, 10500000);
    assert_int_equal(peer->error, FWR_E_TIMEOUT);
    assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 1, 14), FWR_E_SESSION_CLOSED);
    fwr_icmb_road_retry(peer->road);
    assert_int_equal(peer->error, FWR_OK);
    world_free(world);
}

/* One that waits for the bus is not sent a second time because its asker is impatient. */
static void test_a_repetition_is_sent_once(void **state)
{
    struct world *world = world_new(1, 0);
    unsigned served;

    (void)state;
    open_road(world, 0);
    served = world->bus->nodes[1].served;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, 7, 14), FWR_OK);
    bus_run(world->bus, 300000);
    assert_int_equal(world->bus->nodes[1].served, served + 1);
    assert_int_equal(world->peers[0].replies, 1);
    world_free(world);
}

static void test_places_are_shared(void **state)
{
    struct world *world = world_new(2, 0);
    const uint8_t request[] = {0x12, 0x00, 0xc0, 9};

    (void)state;
    open_road(world, 0);
    open_road(world, 1);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(send(world, 0, FWR_CMD_READ_BLOCKS, i, 14), FWR_OK);
    assert_int_equal(send(world, 1, FWR_CMD_READ_BLOCKS, 3, 14), FWR_E_BUSY);
    /* The BMC's own Bridge Request still has a place. */
    assert_int_equal(bus_local(world->bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)),
                     0);
    bus_run(world->bus, 400000);
    assert_int_equal(world->peers[0].replies, 3);
    assert_int_equal(send(world, 1, FWR_CMD_READ_BLOCKS, 3, 14), FWR_OK);
    bus_run(world->bus, 400000);
    assert_int_equal(world->peers[1].replies, 1);
    world_free(world);
}

/* ---- how much of the line is used ---- */

static void share(uint16_t packet, unsigned donors, double least)
{
    struct world *world = world_new(donors, packet);
    const struct fwr_icmb_config config = {.packet = packet};
    uint64_t bytes = 0, begin;
    double limit, rate;
    uint16_t data;

    for (unsigned i = 0; i < donors; i++) {
        open_road(world, i);
        world->peers[i].pulling = true;
    }
    data = (uint16_t)(world->peers[0].limits.max_reply - 1);
    begin = world->bus->now;
    bus_run(world->bus, 60000000);
    for (unsigned i = 0; i < donors; i++)
        bytes += world->peers[i].bytes;
    rate = (double)bytes * 1e6 / (double)(world->bus->now - begin);
    /* Four characters of 256 need an escape. */
    limit =
        1920.0 * data /
        (fwr_icmb_exchange_characters(&config, 14, 1 + (uint32_t)world->peers[0].limits.max_reply) +
         (2 * 8 + 14 + data) * 4 / 256.0 * 0.5);
    print_message("%u-byte blocks from %u donors: %.0f B/s of %.0f: %.1f %%\n", data, donors, rate,
                  limit, 100 * rate / limit);
    assert_true(rate >= least * limit);
    world_free(world);
}

static void test_share_of_the_line(void **state)
{
    (void)state;
    share(24, 1, 0.95);
    share(64, 1, 0.95);
    share(256, 1, 0.95);
    share(24, 2, 0.90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_and_answers),
        cmocka_unit_test(test_agrees_on_the_smaller),
        cmocka_unit_test(test_agrees_on_no_less_than_there_is),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_malformed_answer),
        cmocka_unit_test(test_no_line),
        cmocka_unit_test(test_as_a_link),
        cmocka_unit_test(test_configurations_that_cannot_be),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_a_repetition_is_sent_once),
        cmocka_unit_test(test_places_are_shared),
        cmocka_unit_test(test_share_of_the_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
