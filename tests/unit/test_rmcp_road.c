/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road: when it opens and closes, how long it rests after a failure, which answers it hands
 * on, and when it takes a peer for gone. The peer is a responder in the same memory.
 */
#include "rmcp_pair.h"

#include <fwrecover/command.h>
#include <fwrecover/rmcp-road.h>

#define IANA      32473u
#define SENT_MAX  64
#define IDLE_MS   20000u
#define SILENCE   4000u
#define FORGET    1500u
#define PAUSE     1000u
#define PAUSE_MAX 60000u

struct world {
    struct pair pair; /* for its responder, configurations and clock */
    struct fwr_link_limits limits;
    struct fwr_rmcp_road_config config;
    struct fwr_rmcp_road *road;
    void *storage;

    int transmit_error;
    unsigned sent, carried; /* datagrams of the road; those that reached the responder */
    struct {
        size_t length;
        uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
    } out[SENT_MAX];

    unsigned states, replies;
    int error; /* of the last state */
    bool with_limits;
    struct fwr_link_limits seen;
    uint8_t command;
    uint8_t reply[64];
    size_t reply_length;
};

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    struct world *world = ctx;

    if (world->transmit_error)
        return world->transmit_error;
    assert_true(world->sent < SENT_MAX);
    world->out[world->sent].length = length;
    memcpy(world->out[world->sent++].bytes, datagram, length);
    return FWR_OK;
}

static void reply(void *ctx, uint8_t command, const uint8_t *bytes, size_t length)
{
    struct world *world = ctx;

    world->replies++;
    world->command = command;
    world->reply_length = length;
    memcpy(world->reply, bytes, length < sizeof(world->reply) ? length : sizeof(world->reply));
}

static void state_changed(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct world *world = ctx;

    world->states++;
    world->error = error;
    world->with_limits = limits != NULL;
    if (limits)
        world->seen = *limits;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    pair_setup(&world->pair, FWR_RMCP_SUITE_SHA256);
    world->limits = (struct fwr_link_limits){
        .max_request = 100, .max_reply = 200, .window = 8, .medium = FWR_MEDIUM_LAN};
    world->config = (struct fwr_rmcp_road_config){.size = sizeof(world->config),
                                                  .session = &world->pair.initiator_config,
                                                  .limits = &world->limits,
                                                  .iana = IANA,
                                                  .command_base = FWR_COMMAND_BASE,
                                                  .ctx = world,
                                                  .transmit = transmit,
                                                  .reply = reply,
                                                  .state = state_changed};
    world->storage = malloc(fwr_rmcp_road_storage());
    assert_int_equal(
        fwr_rmcp_road_init(&world->road, world->storage, fwr_rmcp_road_storage(), &world->config),
        FWR_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    fwr_rmcp_road_end(world->road);
    pair_end(&world->pair);
    free(world->storage);
    free(world);
    return 0;
}

/* Gives the responder what the road has sent, and the road the answers. */
static void carry(struct world *world)
{
    struct pair *pair = &world->pair;

    for (; world->carried < world->sent; world->carried++) {
        uint8_t answer[FWR_RMCP_DATAGRAM_MAX];
        struct fwr_rmcp_event event;
        size_t length = world->out[world->carried].length, answer_length = 0;

        memcpy(pair->command, world->out[world->carried].bytes, length);
        assert_int_equal(fwr_rmcp_responder_receive(pair->responder, pair->now, &pair->peer,
                                                    pair->command, length, &event, answer,
                                                    sizeof(answer), &answer_length),
                         FWR_OK);
        if (event.kind != FWR_RMCP_EVENT_NONE)
            pair->event = event;
        if (answer_length > 0)
            fwr_rmcp_road_receive(world->road, pair->now, answer, answer_length);
    }
    world->sent = world->carried = 0;
}

static int ask(struct world *world, uint8_t command, uint8_t cookie)
{
    const uint8_t data[2] = {cookie, 0};

    return fwr_rmcp_road_send(world->road, world->pair.now, command, data, sizeof(data));
}

/* The responder answers the command it was handed last. */
static void answer(struct world *world, const struct fwr_rmcp_command_id *id)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    world->pair.event.id = *id;
    assert_int_equal(pair_answer(&world->pair, 5, datagram, &length), FWR_OK);
    fwr_rmcp_road_receive(world->road, world->pair.now, datagram, length);
}

static void open_road(struct world *world)
{
    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
    carry(world);
    assert_int_equal(world->error, FWR_OK);
    assert_true(world->with_limits);
}

/* Lets time pass up to `until`, with every timeout on the way. */
static void wait_until(struct world *world, uint64_t until)
{
    for (;;) {
        uint64_t next = fwr_rmcp_road_next_timeout(world->road);
        if (next > until)
            break;
        if (next > world->pair.now)
            world->pair.now = next;
        fwr_rmcp_road_timeout(world->road, world->pair.now);
    }
    world->pair.now = until;
}

static void opens_when_there_is_something_to_send(void **state)
{
    struct world *world = *state;

    assert_true(fwr_rmcp_road_next_timeout(world->road) == FWR_NEVER);
    assert_int_equal(world->sent, 0);
    open_road(world);
    assert_int_equal(world->states, 1);
    assert_int_equal(world->seen.max_reply, 200);
    assert_int_equal(world->seen.window, 8);

    assert_int_equal(ask(world, 3, 0x55), FWR_OK);
    carry(world);
    assert_int_equal(world->pair.event.kind, FWR_RMCP_EVENT_COMMAND);
    assert_int_equal(world->pair.event.id.netfn, FWR_NETFN_OEM_REQUEST);
    assert_int_equal(world->pair.event.id.command, FWR_COMMAND_BASE + 3);
    assert_int_equal(world->pair.event.length, 5);
    assert_int_equal(world->pair.event.data[0], IANA & 0xff);
    assert_int_equal(world->pair.event.data[1], IANA >> 8 & 0xff);
    assert_int_equal(world->pair.event.data[2], IANA >> 16);
    assert_int_equal(world->pair.event.data[3], 0x55);
    answer(world, &world->pair.event.id);
    assert_int_equal(world->replies, 1);
    assert_int_equal(world->command, 3);
    assert_int_equal(world->reply_length, 6);
    assert_int_equal(world->reply[0], 0);
}

static void keeps_requests_back_while_it_opens(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
    assert_int_equal(world->sent, 1); /* the handshake's first step */
    for (uint8_t i = 0; i < 10; i++)
        assert_int_equal(ask(world, 1, i), FWR_E_BUSY);
    assert_int_equal(world->sent, 1);
    assert_int_equal(fwr_rmcp_road_open(world->road, world->pair.now), FWR_E_STATE);
    carry(world);
    assert_int_equal(fwr_rmcp_road_open(world->road, world->pair.now), FWR_E_STATE);
    assert_int_equal(world->replies, 0); /* nothing was sent by itself */
}

static void closes_when_it_is_idle(void **state)
{
    struct world *world = *state;

    open_road(world);
    uint64_t last = world->pair.now;
    assert_true(fwr_rmcp_road_next_timeout(world->road) == last + IDLE_MS);
    wait_until(world, last + IDLE_MS - 1);
    assert_int_equal(world->sent, 0);
    wait_until(world, last + IDLE_MS);
    assert_int_equal(world->sent, 1); /* good-bye */
    memset(&world->pair.event, 0, sizeof(world->pair.event));
    carry(world);
    assert_int_equal(world->pair.event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_int_equal(world->states, 1); /* that is no failure */
    assert_true(fwr_rmcp_road_next_timeout(world->road) == FWR_NEVER);
    open_road(world); /* and no pause */
    assert_int_equal(world->states, 2);
}

static void use_keeps_it_open(void **state)
{
    struct world *world = *state;

    open_road(world);
    for (uint8_t i = 0; i < 5; i++) {
        wait_until(world, world->pair.now + IDLE_MS - 1000);
        assert_int_equal(ask(world, 2, i), FWR_OK);
        carry(world);
        answer(world, &world->pair.event.id);
    }
    assert_int_equal(world->replies, 5);
    assert_int_equal(world->states, 1);
}

static void rests_longer_after_every_failure(void **state)
{
    struct world *world = *state;
    uint64_t pause = PAUSE;

    for (int i = 0; i < 10; i++) {
        unsigned states = world->states;
        assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
        fwr_rmcp_road_unreachable(world->road, world->pair.now);
        assert_int_equal(world->states, states + 1);
        assert_int_equal(world->error, FWR_E_NO_DONOR);
        assert_false(world->with_limits);
        assert_true(fwr_rmcp_road_next_timeout(world->road) == world->pair.now + pause);
        assert_int_equal(ask(world, 1, 1), FWR_E_SESSION_CLOSED);
        wait_until(world, world->pair.now + pause - 1);
        assert_int_equal(world->states, states + 1);
        assert_int_equal(ask(world, 1, 1), FWR_E_SESSION_CLOSED);
        wait_until(world, world->pair.now + 1);
        assert_int_equal(world->states, states + 2); /* worth another try */
        assert_int_equal(world->error, FWR_OK);
        assert_false(world->with_limits);
        pause = pause * 2 > PAUSE_MAX ? PAUSE_MAX : pause * 2;
    }
    assert_int_equal(pause, PAUSE_MAX);
    world->sent = 0;
    open_road(world);
    fwr_rmcp_road_unreachable(world->road, world->pair.now);
    assert_int_equal(world->error, FWR_E_SESSION_CLOSED);
    /* It did open: the pause starts from its first length. */
    assert_true(fwr_rmcp_road_next_timeout(world->road) == world->pair.now + PAUSE);
}

static void may_be_hurried(void **state)
{
    struct world *world = *state;

    fwr_rmcp_road_retry(world->road); /* not down: nothing */
    fwr_rmcp_road_unreachable(world->road, world->pair.now);
    assert_int_equal(world->states, 0);
    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
    fwr_rmcp_road_unreachable(world->road, world->pair.now);
    fwr_rmcp_road_retry(world->road);
    assert_int_equal(world->states, 2);
    assert_int_equal(world->error, FWR_OK);
    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY); /* begins at once */
    fwr_rmcp_road_unreachable(world->road, world->pair.now);
    assert_true(fwr_rmcp_road_next_timeout(world->road) == world->pair.now + 2 * PAUSE);
    /* Another address is known: whatever is left of the pause. */
    world->sent = 0;
    assert_int_equal(fwr_rmcp_road_open(world->road, world->pair.now), FWR_OK);
    carry(world);
    assert_int_equal(world->error, FWR_OK);
    assert_true(world->with_limits);
}

static void nobody_answers_the_handshake(void **state)
{
    struct world *world = *state;
    uint64_t started = world->pair.now;

    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
    while (world->states == 0) {
        assert_true(world->pair.now < started + 60000);
        wait_until(world, world->pair.now + 100);
    }
    assert_true(world->sent > 1); /* it was tried more than once */
    assert_int_not_equal(world->error, FWR_OK);
    assert_int_equal(ask(world, 1, 1), FWR_E_SESSION_CLOSED);
}

/* The peer says no: that is told at once, with its reason, and the road rests. */
static void a_refusal_takes_it_down(void **state)
{
    struct world *world = *state;

    world->pair.users[0].suite_sha256 = false;
    assert_int_equal(ask(world, 1, 1), FWR_E_BUSY);
    carry(world);
    assert_int_equal(world->states, 1);
    assert_int_equal(world->error, FWR_E_SESSION_SUITE);
    assert_false(world->with_limits);
    assert_int_equal(ask(world, 1, 1), FWR_E_SESSION_CLOSED);
    world->pair.users[0].suite_sha256 = true;
    wait_until(world, world->pair.now + PAUSE);
    open_road(world);
}

/* To the engines a road is a link like any other. */
static void it_is_a_link(void **state)
{
    struct world *world = *state;
    const struct fwr_link *link = fwr_rmcp_road_link(world->road);
    const uint8_t data[] = {7, 0};
    struct fwr_link_limits limits;

    link->limits(link->ctx, &limits);
    assert_int_equal(limits.max_request, world->limits.max_request);
    assert_int_equal(limits.medium, FWR_MEDIUM_LAN);
    assert_int_equal(link->send(link->ctx, world->pair.now, 2, data, sizeof(data)), FWR_E_BUSY);
    carry(world);
    assert_int_equal(link->send(link->ctx, world->pair.now, 2, data, sizeof(data)), FWR_OK);
    carry(world);
    assert_int_equal(world->pair.event.id.command, FWR_COMMAND_BASE + 2);
    answer(world, &world->pair.event.id);
    assert_int_equal(world->replies, 1);
    assert_int_equal(world->command, 2);
}

static void no_way_to_send_takes_it_down(void **state)
{
    struct world *world = *state;

    world->transmit_error = FWR_E_IO;
    assert_int_equal(ask(world, 1, 1), FWR_E_IO);
    assert_int_equal(world->states, 1);
    assert_int_equal(world->error, FWR_E_IO);
    assert_int_equal(ask(world, 1, 1), FWR_E_SESSION_CLOSED);
}

static void late_answers_are_dropped(void **state)
{
    struct world *world = *state;

    open_road(world);
    assert_int_equal(ask(world, 2, 1), FWR_OK);
    carry(world);
    struct fwr_rmcp_command_id id = world->pair.event.id;
    wait_until(world, world->pair.now + FORGET - 1);
    assert_int_equal(ask(world, 2, 2), FWR_OK);
    carry(world);
    struct fwr_rmcp_command_id in_time = world->pair.event.id;
    wait_until(world, world->pair.now + 1);
    answer(world, &id);
    assert_int_equal(world->replies, 0);
    answer(world, &in_time);
    assert_int_equal(world->replies, 1);
}

static void silence_means_that_the_peer_is_gone(void **state)
{
    struct world *world = *state;

    open_road(world);
    uint64_t asked = world->pair.now + 5000;
    wait_until(world, asked); /* silence counts from the first request on */
    for (uint8_t i = 0; world->pair.now < asked + SILENCE - 100; i++) {
        assert_int_equal(ask(world, 2, i), FWR_OK);
        wait_until(world, world->pair.now + 1000 < asked + SILENCE ? world->pair.now + 1000
                                                                   : asked + SILENCE - 1);
    }
    assert_int_equal(world->states, 1);
    wait_until(world, asked + SILENCE);
    assert_int_equal(world->states, 2);
    assert_int_equal(world->error, FWR_E_TIMEOUT);
    assert_true(fwr_rmcp_road_next_timeout(world->road) == asked + SILENCE + PAUSE);
}

static void a_repetition_takes_the_place_of_what_it_repeats(void **state)
{
    struct world *world = *state;
    struct fwr_rmcp_command_id first;
    unsigned taken = 0;

    open_road(world);
    assert_int_equal(ask(world, 2, 9), FWR_OK);
    carry(world);
    first = world->pair.event.id;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(world, 2, 9), FWR_OK);
        carry(world);
    }
    answer(world, &first);
    assert_int_equal(world->replies, 0); /* it is not waited for any more */
    /* One place is in use: of the others there are as many as ever. */
    for (uint8_t i = 10; i < 60 && ask(world, 2, i) == FWR_OK; i++) {
        taken++;
        carry(world);
    }
    assert_true(taken >= world->limits.window - 1u);
    assert_true(taken < 50);
    assert_int_equal(ask(world, 2, 100), FWR_E_BUSY);
}

static void arguments_are_checked(void **state)
{
    struct world *world = *state;
    struct fwr_rmcp_road *road;
    uint8_t data[FWR_RMCP_DATAGRAM_MAX] = {0};

    for (int i = 0; i < 6; i++) {
        struct fwr_rmcp_road_config config = world->config;
        if (i == 0)
            config.size--;
        else if (i == 1)
            config.session = NULL;
        else if (i == 2)
            config.limits = NULL;
        else if (i == 3)
            config.transmit = NULL;
        else if (i == 4)
            config.reply = NULL;
        else
            config.state = NULL;
        void *storage = malloc(fwr_rmcp_road_storage());
        assert_int_equal(fwr_rmcp_road_init(&road, storage, fwr_rmcp_road_storage(), &config),
                         FWR_E_ARGUMENT);
        assert_null(road);
        assert_int_equal(
            fwr_rmcp_road_init(&road, storage, fwr_rmcp_road_storage() - 1, &world->config),
            FWR_E_NO_SPACE);
        free(storage);
    }
    fwr_rmcp_road_end(NULL);
    open_road(world);
    assert_int_equal(fwr_rmcp_road_send(world->road, world->pair.now, 1, data, 0), FWR_E_LENGTH);
    assert_int_equal(fwr_rmcp_road_send(world->road, world->pair.now, 1, data, sizeof(data)),
                     FWR_E_LENGTH);
}

#define ROAD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROAD(opens_when_there_is_something_to_send),
        ROAD(keeps_requests_back_while_it_opens),
        ROAD(closes_when_it_is_idle),
        ROAD(use_keeps_it_open),
        ROAD(rests_longer_after_every_failure),
        ROAD(may_be_hurried),
        ROAD(nobody_answers_the_handshake),
        ROAD(a_refusal_takes_it_down),
        ROAD(it_is_a_link),
        ROAD(no_way_to_send_takes_it_down),
        ROAD(late_answers_are_dropped),
        ROAD(silence_means_that_the_peer_is_gone),
        ROAD(a_repetition_takes_the_place_of_what_it_repeats),
        ROAD(arguments_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
