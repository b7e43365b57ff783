/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a road and a responder joined by a bad serial line, in either mode. The input is a
 * stream of steps: carry, lose, change or make up bytes, ask, answer at once or later, let time
 * pass, close and open the stream. Whatever happens, neither end hands on what is longer than a
 * message, each request gets at most one reply, the window holds, and time-outs lie ahead; as
 * long as the line was good, requests and replies arrive as they were sent.
 */
#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/platform.h>
#include <fwrecover/serial.h>

#include "tests/fuzz/fuzz.h"

#define IANA    32473
#define QUEUE   8192
#define DELAYED 8

/* One direction of the line. */
struct wire {
    size_t length;
    uint8_t bytes[QUEUE];
};

struct world {
    const uint8_t *input;
    size_t left;
    uint64_t now;
    bool good;     /* nothing was lost, changed or made up since the stream was opened */
    bool open;     /* the stream is */
    bool delaying; /* requests are answered later */
    struct fwr_serial_road *road;
    struct fwr_serial_responder *responder;
    struct fwr_serial_road_config road_config;
    struct fwr_serial_responder_config config;
    struct wire up, down;
    unsigned asked, answered;
    unsigned delayed_count;
    struct {
        struct fwr_serial_command id;
        size_t length;
        uint8_t data[FWR_SERIAL_MESSAGE_MAX];
    } delayed[DELAYED];
};

static uint8_t next(struct world *world)
{
    if (world->left == 0)
        return 0;
    world->left--;
    return *world->input++;
}

static bool put(struct wire *wire, const uint8_t *bytes, size_t length)
{
    require(length > 0 && length <= FWR_SERIAL_FRAME_MAX);
    if (length > QUEUE - wire->length)
        return false;
    memcpy(wire->bytes + wire->length, bytes, length);
    wire->length += length;
    return true;
}

static size_t take(struct wire *wire, size_t most, uint8_t *bytes)
{
    size_t length = most < wire->length ? most : wire->length;

    memcpy(bytes, wire->bytes, length);
    memmove(wire->bytes, wire->bytes + length, wire->length - length);
    wire->length -= length;
    return length;
}

/* ---- the two ends ---- */

/* What follows from a request's cookie and length. */
static void fill(uint8_t *data, size_t length, uint8_t cookie)
{
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(cookie + i * 37);
}

static int road_transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    return put(&((struct world *)ctx)->up, bytes, length) ? FWR_OK : FWR_E_BUSY;
}

static void road_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct world *world = ctx;
    uint8_t wanted[FWR_SERIAL_MESSAGE_MAX];

    require(command < FWR_CMD_COUNT);
    require(length >= 1 && length <= FWR_SERIAL_MESSAGE_MAX);
    require(world->open);
    require(++world->answered <= world->asked);
    if (!world->good || reply[0] != 0)
        return;
    require(length > FWR_IANA_SIZE + 1);
    fill(wanted, length - FWR_IANA_SIZE - 1, reply[FWR_IANA_SIZE + 1]);
    require(memcmp(reply + FWR_IANA_SIZE + 1, wanted, length - FWR_IANA_SIZE - 1) == 0);
}

static void road_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    (void)ctx;
    require(error <= 0 && (error == 0 || limits == NULL));
}

static void transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    struct world *world = ctx;

    if (!put(&world->down, bytes, length))
        world->good = false;
}

static void answer(struct world *world, const struct fwr_serial_command *id, const uint8_t *data,
                   size_t length)
{
    uint8_t reply[1 + FWR_SERIAL_MESSAGE_MAX] = {0};
    size_t most = fwr_serial_max_reply((enum fwr_serial_mode)world->config.mode,
                                       world->config.message != 0 ? world->config.message
                                                                  : FWR_SERIAL_MESSAGE_DEFAULT);
    int error;

    memcpy(reply + 1, data, length);
    error = fwr_serial_responder_reply(world->responder, id, reply, 1 + length);
    if (error == FWR_E_LENGTH) {
        require(length > most);
        reply[0] = 0xca;
        error = fwr_serial_responder_reply(world->responder, id, reply, 1);
    } else {
        require(length <= most || error == FWR_E_SESSION_CLOSED);
    }
    require(error == FWR_OK || error == FWR_E_SESSION_CLOSED);
}

static void request(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length)
{
    struct world *world = ctx;
    uint8_t wanted[FWR_SERIAL_MESSAGE_MAX];

    require(now == world->now);
    require((id->netfn & 1) == 0 && id->netfn < 64 && id->lun < 4 && id->sequence < 64);
    require(length <= FWR_SERIAL_MESSAGE_MAX);
    if (world->good) {
        require(id->netfn == FWR_NETFN_OEM_REQUEST && length > FWR_IANA_SIZE);
        fill(wanted, length - FWR_IANA_SIZE, data[FWR_IANA_SIZE]);
        require(memcmp(data + FWR_IANA_SIZE, wanted, length - FWR_IANA_SIZE) == 0);
    }
    if (!world->delaying) {
        answer(world, id, data, length);
    } else if (world->delayed_count < DELAYED) {
        world->delayed[world->delayed_count].id = *id;
        world->delayed[world->delayed_count].length = length;
        memcpy(world->delayed[world->delayed_count++].data, data, length);
    }
}

/* ---- steps ---- */

static void ask(struct world *world)
{
    uint8_t data[FWR_SERIAL_MESSAGE_MAX];
    struct fwr_link_limits limits;
    const struct fwr_link *link = fwr_serial_road_link(world->road);
    uint8_t command = next(world) % FWR_CMD_COUNT, cookie = next(world);
    size_t length = (size_t)(next(world) * 3);
    int error;

    fill(data, sizeof(data), cookie);
    if (length > sizeof(data))
        length = sizeof(data);
    link->limits(link->ctx, &limits);
    error = link->send(link->ctx, world->now, command, data, length);
    if (error == FWR_OK) {
        require(world->open && length >= 1 && length <= limits.max_request);
        world->asked++;
    } else {
        require(error == FWR_E_BUSY || error == FWR_E_SESSION_CLOSED || error == FWR_E_LENGTH);
        require(world->open || error == FWR_E_SESSION_CLOSED);
    }
}

static void carry(struct world *world, bool up)
{
    uint8_t bytes[1024];
    size_t length = take(up ? &world->up : &world->down, (size_t)next(world) * 4 + 1, bytes);

    if (up)
        fwr_serial_responder_receive(world->responder, world->now, bytes, length);
    else
        fwr_serial_road_receive(world->road, world->now, bytes, length);
}

static void spoil(struct world *world, bool up)
{
    struct wire *wire = up ? &world->up : &world->down;
    uint8_t kind = next(world), bytes[256];
    size_t length = next(world);

    world->good = false;
    switch (kind % 4) {
    case 0: /* lose */
        take(wire, length, bytes);
        break;
    case 1: /* change */
        if (wire->length > 0)
            wire->bytes[length % wire->length] ^= (uint8_t)(kind | 1);
        break;
    case 2: /* make up */
        for (size_t i = 0; i < length; i++)
            bytes[i] = next(world);
        if (length > 0)
            put(wire, bytes, length);
        break;
    default: /* echo */
        length = length < world->up.length ? length : world->up.length;
        if (length > 0)
            put(&world->down, world->up.bytes, length);
    }
}

static void pass(struct world *world)
{
    uint64_t due = fwr_serial_road_next_timeout(world->road);
    uint8_t kind = next(world);

    world->now += (kind & 1) != 0 && due != FWR_NEVER && due > world->now ? due - world->now
                                                                          : (uint64_t)kind * 16;
    fwr_serial_road_timeout(world->road, world->now);
    require(fwr_serial_road_next_timeout(world->road) > world->now);
}

static void toggle(struct world *world)
{
    world->up.length = world->down.length = 0;
    fwr_serial_responder_reset(world->responder);
    if (world->open)
        fwr_serial_road_closed(world->road, world->now, FWR_E_SESSION_CLOSED);
    else
        fwr_serial_road_opened(world->road, world->now);
    world->open = !world->open;
    world->good = world->open;
}

static void answer_one(struct world *world)
{
    if (world->delayed_count == 0)
        return;
    world->delayed_count--;
    answer(world, &world->delayed[world->delayed_count].id,
           world->delayed[world->delayed_count].data, world->delayed[world->delayed_count].length);
}

static void step(struct world *world)
{
    switch (next(world) % 12) {
    case 0:
    case 1:
        ask(world);
        break;
    case 2:
    case 3:
        carry(world, true);
        break;
    case 4:
    case 5:
        carry(world, false);
        break;
    case 6:
        spoil(world, true);
        break;
    case 7:
        spoil(world, false);
        break;
    case 8:
        pass(world);
        break;
    case 9:
        toggle(world);
        break;
    case 10:
        world->delaying = !world->delaying;
        break;
    default:
        answer_one(world);
    }
}

static void begin(struct world *world, void *road_storage, void *storage)
{
    static const uint32_t bauds[] = {0, 1200, 19200, 115200};
    uint8_t options = next(world), limit = next(world);
    uint8_t mode = options & 1;
    uint32_t baud = bauds[options >> 1 & 3];
    struct fwr_link_limits limits =
        fwr_serial_road_limits((enum fwr_serial_mode)mode, (size_t)limit * 2, baud);

    limits.window = (uint8_t)(1 + (options >> 4) % FWR_SERIAL_WINDOW_MAX);
    world->road_config = (struct fwr_serial_road_config){
        .size = sizeof(world->road_config),
        .limits = &limits, /* copied at init */
        .iana = IANA,
        .baud = baud,
        .command_base = FWR_COMMAND_BASE,
        .mode = mode,
        .no_handshake = (options & 8) != 0,
        .ctx = world,
        .transmit = road_transmit,
        .reply = road_reply,
        .state = road_state,
    };
    world->config = (struct fwr_serial_responder_config){
        .size = sizeof(world->config),
        .mode = mode,
        .message = limit < 128 ? 0 : (uint16_t)(limit * 2),
        .ctx = world,
        .transmit = transmit,
        .request = request,
    };
    require(fwr_serial_road_init(&world->road, road_storage, fwr_serial_road_storage(),
                                 &world->road_config) == FWR_OK);
    require(fwr_serial_responder_init(&world->responder, storage, fwr_serial_responder_storage(),
                                      &world->config) == FWR_OK);
    world->road_config.limits = NULL;
    toggle(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    void *road_storage = malloc(fwr_serial_road_storage());
    void *storage = malloc(fwr_serial_responder_storage());

    memset(&world, 0, sizeof(world));
    world.input = data;
    world.left = size;
    world.now = 1;
    require(road_storage != NULL && storage != NULL);
    begin(&world, road_storage, storage);
    while (world.left > 0)
        step(&world);
    fwr_serial_road_end(world.road);
    fwr_serial_responder_end(world.responder);
    free(road_storage);
    free(storage);
    return 0;
}
