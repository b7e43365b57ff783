/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: an RMCP+ initiator and a responder joined by a bad network. The input is a stream of
 * steps: carry, change, cut, lose or repeat a datagram, let time pass, ask, answer, forget,
 * close, start, or hand either end any bytes at all. Whatever happens, a command arrives as it
 * was sent and at most once, an answer belongs to the request it is given for, and neither end
 * holds more than it was configured for.
 */
#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "tests/fuzz/fuzz.h"

#define REQUESTS  256
#define QUEUE     16
#define SESSIONS  2
#define HALF_OPEN 4
#define NETFN     0x2e

struct datagram {
    size_t length;
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
};

/* One direction of the network; carried datagrams stay in their place to be repeated. */
struct wire {
    unsigned first;
    unsigned count;
    struct datagram slots[QUEUE];
};

struct world {
    const uint8_t *input;
    size_t left;
    uint64_t now;
    uint64_t seed;
    struct fwr_rmcp_initiator *initiator;
    struct fwr_rmcp_responder *responder;
    struct wire up;   /* to the responder */
    struct wire down; /* to the initiator */
    unsigned asked;   /* requests so far, each with its number in its data and as its token */
    bool arrived[REQUESTS];
    bool answered[REQUESTS];
    bool waiting; /* for an answer from us: */
    struct fwr_rmcp_command_id command;
    uint8_t number;
};

static uint8_t next(struct world *world)
{
    if (world->left == 0)
        return 0;
    world->left--;
    return *world->input++;
}

static int reproducible(void *ctx, void *buffer, size_t length)
{
    struct world *world = ctx;
    uint8_t *out = buffer;

    while (length-- > 0) {
        world->seed = world->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        *out++ = (uint8_t)(world->seed >> 56);
    }
    return FWR_OK;
}

static void push(struct wire *wire, const uint8_t *bytes, size_t length)
{
    struct datagram *slot = &wire->slots[(wire->first + wire->count) % QUEUE];

    if (length == 0 || wire->count == QUEUE)
        return; /* lost */
    memcpy(slot->bytes, bytes, length);
    slot->length = length;
    wire->count++;
}

static bool pop(struct wire *wire, struct datagram *datagram)
{
    if (wire->count == 0)
        return false;
    *datagram = wire->slots[wire->first];
    wire->first = (wire->first + 1) % QUEUE;
    wire->count--;
    return true;
}

/* Number, then bytes that follow from it. */
static size_t fill(uint8_t *data, uint8_t number)
{
    const size_t length = 1 + number % 40u;

    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(number + i * 7);
    return length;
}

static void on_command(struct world *world, const struct fwr_rmcp_event *event)
{
    uint8_t expected[64];
    const uint8_t number = event->length > 0 ? event->data[0] : 0;
    const size_t length = fill(expected, number);

    require(event->id.netfn == NETFN && event->id.command == number);
    require(event->length == length && memcmp(event->data, expected, length) == 0);
    require(number < world->asked && !world->arrived[number]);
    world->arrived[number] = true;
    world->waiting = true;
    world->command = event->id;
    world->number = number;
}

static void to_responder(struct world *world, struct datagram *datagram)
{
    static const struct fwr_rmcp_peer peer = {.length = 4, .key = "peer"};
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_event event;
    size_t length;

    if (fwr_rmcp_responder_receive(world->responder, world->now, &peer, datagram->bytes,
                                   datagram->length, &event, reply, sizeof(reply),
                                   &length) != FWR_OK) {
        require(length == 0 && event.kind == FWR_RMCP_EVENT_NONE);
        return;
    }
    push(&world->down, reply, length);
    if (event.kind == FWR_RMCP_EVENT_COMMAND)
        on_command(world, &event);
}

static void send_due(struct world *world)
{
    uint8_t bytes[256];
    size_t length;

    while (fwr_rmcp_initiator_next_send(world->initiator, world->now, bytes, sizeof(bytes),
                                        &length) == FWR_OK &&
           length > 0)
        push(&world->up, bytes, length);
}

static void to_initiator(struct world *world, struct datagram *datagram)
{
    struct fwr_rmcp_response response;
    uint8_t expected[64];

    if (fwr_rmcp_initiator_receive(world->initiator, world->now, datagram->bytes, datagram->length,
                                   &response) != FWR_OK)
        require(response.kind == FWR_RMCP_EVENT_NONE);
    if (response.kind == FWR_RMCP_EVENT_RESPONSE) {
        const uint8_t number = (uint8_t)response.token;
        const size_t length = fill(expected, number);

        require(world->arrived[number] && !world->answered[number]);
        world->answered[number] = true;
        require(response.command == number && response.length == length + 1);
        require(memcmp(response.reply + 1, expected, length) == 0);
    }
    send_due(world);
}

static void ask(struct world *world)
{
    uint8_t data[64], bytes[FWR_RMCP_DATAGRAM_MAX];
    const struct fwr_rmcp_request request = {
        .netfn = NETFN,
        .command = (uint8_t)world->asked,
        .data = data,
        .length = fill(data, (uint8_t)world->asked),
    };
    size_t length;

    if (world->asked == REQUESTS ||
        fwr_rmcp_initiator_request(world->initiator, world->now, &request, world->asked, bytes,
                                   sizeof(bytes), &length) != FWR_OK)
        return;
    world->asked++;
    push(&world->up, bytes, length);
}

static void answer(struct world *world)
{
    uint8_t reply[65] = {0}, bytes[FWR_RMCP_DATAGRAM_MAX];
    const size_t size = 1 + fill(reply + 1, world->number);
    size_t length;

    if (world->waiting &&
        fwr_rmcp_responder_reply(world->responder, world->now, &world->command, reply, size, NULL,
                                 bytes, sizeof(bytes), &length) == FWR_OK)
        push(&world->down, bytes, length);
    world->waiting = false;
}

static void pass_time(struct world *world)
{
    struct fwr_rmcp_event event;

    world->now += (uint64_t)next(world) * 256;
    fwr_rmcp_initiator_timeout(world->initiator, world->now);
    do {
        fwr_rmcp_responder_timeout(world->responder, world->now, &event);
    } while (event.kind != FWR_RMCP_EVENT_NONE);
    require(fwr_rmcp_responder_next_timeout(world->responder) > world->now);
    send_due(world);
}

static void finish_session(struct world *world, bool politely)
{
    uint8_t bytes[256];
    size_t length;

    (void)fwr_rmcp_initiator_close(world->initiator, politely ? bytes : NULL, sizeof(bytes),
                                   &length);
    push(&world->up, bytes, length);
}

static void deliver(struct world *world, bool up, struct datagram *datagram)
{
    if (up)
        to_responder(world, datagram);
    else
        to_initiator(world, datagram);
}

/* The next datagram, as it is or harmed. */
static void carry(struct world *world, bool up, unsigned harm)
{
    struct datagram datagram;

    if (!pop(up ? &world->up : &world->down, &datagram))
        return;
    if (harm == 1)
        datagram.bytes[next(world) % datagram.length] ^= next(world);
    else if (harm == 2)
        datagram.length = next(world) % datagram.length;
    deliver(world, up, &datagram);
}

static void carry_everything(struct world *world)
{
    for (unsigned i = 0; i < 2 * QUEUE && world->up.count + world->down.count > 0; i++)
        carry(world, world->up.count > 0, 0);
}

static void repeat(struct world *world, bool up)
{
    struct datagram datagram = (up ? &world->up : &world->down)->slots[next(world) % QUEUE];

    if (datagram.length > 0)
        deliver(world, up, &datagram);
}

static void inject(struct world *world, bool up)
{
    struct datagram datagram = {.length = next(world)};

    for (size_t i = 0; i < datagram.length; i++)
        datagram.bytes[i] = next(world);
    deliver(world, up, &datagram);
}

static void step(struct world *world)
{
    const uint8_t choice = next(world);
    const bool up = choice & 0x80;
    struct datagram lost;

    switch (choice & 0x0f) {
    case 0:
    case 1:
    case 2:
        carry(world, up, choice & 0x0f);
        break;
    case 3:
        (void)pop(up ? &world->up : &world->down, &lost);
        break;
    case 4:
        repeat(world, up);
        break;
    case 5:
        pass_time(world);
        break;
    case 6:
        ask(world);
        break;
    case 7:
        answer(world);
        break;
    case 8:
        (void)fwr_rmcp_initiator_forget(world->initiator, world->now, next(world));
        break;
    case 9:
        finish_session(world, up);
        break;
    case 10:
        (void)fwr_rmcp_initiator_start(world->initiator, world->now);
        send_due(world);
        break;
    case 11:
        inject(world, up);
        break;
    default:
        carry_everything(world);
        break;
    }
}

static void check_bounds(const struct world *world)
{
    struct fwr_rmcp_initiator_status initiator;
    struct fwr_rmcp_responder_status responder;

    fwr_rmcp_initiator_status(world->initiator, &initiator);
    fwr_rmcp_responder_status(world->responder, &responder);
    require(initiator.outstanding <= initiator.window);
    require(initiator.state == FWR_RMCP_ACTIVE || initiator.outstanding == 0);
    require(responder.sessions <= SESSIONS && responder.half_open <= HALF_OPEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t password[] = "password";
    static struct world world;
    const struct fwr_platform platform = {sizeof(platform), &world, reproducible, NULL};
    const uint8_t suite =
        size > 0 && data[0] % 2 != 0 ? FWR_RMCP_SUITE_SHA1 : FWR_RMCP_SUITE_SHA256;
    const struct fwr_rmcp_user user = {"user", password, 4, 8, FWR_PRIVILEGE_USER, true, true};
    const struct fwr_rmcp_initiator_config initiator = {
        .size = sizeof(initiator),
        .platform = &platform,
        .user = user.name,
        .password = password,
        .user_length = user.name_length,
        .password_length = user.password_length,
        .suite = suite,
    };
    const struct fwr_rmcp_responder_config responder = {
        .size = sizeof(responder),
        .platform = &platform,
        .users = &user,
        .user_count = 1,
        .suite_sha1 = true,
        .suite_sha256 = true,
        .sessions = SESSIONS,
        .half_open = HALF_OPEN,
    };
    void *storages[2] = {malloc(fwr_rmcp_initiator_storage()),
                         malloc(fwr_rmcp_responder_storage(&responder))};

    memset(&world, 0, sizeof(world));
    world.input = data;
    world.left = size;
    (void)next(&world);
    require(fwr_rmcp_initiator_init(&world.initiator, storages[0], fwr_rmcp_initiator_storage(),
                                    &initiator) == FWR_OK);
    require(fwr_rmcp_responder_init(&world.responder, storages[1],
                                    fwr_rmcp_responder_storage(&responder), &responder) == FWR_OK);
    require(fwr_rmcp_initiator_start(world.initiator, world.now) == FWR_OK);
    send_due(&world);
    if (size > 0 && (data[0] & 2) != 0)
        carry_everything(&world); /* into an open session at once */
    while (world.left > 0) {
        step(&world);
        check_bounds(&world);
    }
    fwr_rmcp_initiator_end(world.initiator);
    fwr_rmcp_responder_end(world.responder);
    free(storages[0]);
    free(storages[1]);
    return 0;
}
