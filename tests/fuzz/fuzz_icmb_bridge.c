/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bridge on a hostile bus: frames with any field, garbage, its own characters back or not, time
 * that jumps, commands of its own BMC, a road, answers that come late or twice. Whatever happens,
 * it gives away no more characters than its portion before it hears them, sends whole frames of
 * its own address or stops in the middle, keeps to its bounds, answers each pending command
 * exactly once, hands out no reply that was not asked for; and on a quiet bus it ends with an
 * address, nothing queued and nothing pending.
 */
#include "tests/fuzz/fuzz.h"

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/icmb-road.h>
#include <fwrecover/oem.h>

#include "link/icmb/frame.h"
#include "tests/unit/seeded.h"

enum { TOKENS = 64, EVENTS_MAX = 400, ADDRESS = 0x10, PEER = 0x22, PORTION = 8, OUTSTANDING = 4 };

static struct world {
    uint64_t now, random;
    struct fwr_icmb_bridge *bridge;
    struct fwr_icmb_road *road;
    bool pending[TOKENS]; /* local commands */
    uint32_t token;
    unsigned asked, answered; /* on the road */
    uint32_t ticket;
    bool late;
    /* Own characters on their way back. */
    uint8_t flying[FWR_ICMB_FRAME_MAX];
    size_t count;
    struct fwr_icmb_receiver monitor; /* hears all the bridge sends */
    struct fwr_icmb_packet last;      /* request that it sent */
    bool busy;                        /* inside a callback */
} world;

static int next_random(void *ctx, void *buffer, size_t length)
{
    (void)ctx;
    seeded_fill(&world.random, buffer, length);
    return FWR_OK;
}

static const struct fwr_platform platform = {.size = sizeof(platform), .random = next_random};

static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *request,
                    uint8_t *reply, size_t capacity)
{
    (void)ctx, (void)now_us;
    require(capacity >= FWR_ICMB_DATA_DEFAULT && request->length <= FWR_ICMB_DATA_MAX);
    require(request->command >= FWR_ICMB_OEM_FIRST || request->command == FWR_ICMB_BRIDGE_REQUEST ||
            request->command == FWR_ICMB_BRIDGE_MESSAGE);
    world.ticket = request->ticket;
    if (world.late)
        return 0;
    reply[0] = 0;
    memset(reply + 1, ICMB_START, capacity - 1);
    return 1 + request->length % capacity;
}

static void answer(void *ctx, uint32_t token, const uint8_t *reply, size_t length)
{
    (void)ctx, (void)reply;
    require(token < TOKENS && world.pending[token]);
    require(length >= 1 && length <= FWR_ICMB_REPLY_MAX);
    world.pending[token] = false;
}

static void broadcast(void *ctx, uint64_t now_us, uint16_t source, uint8_t command,
                      const uint8_t *data, size_t length)
{
    (void)ctx, (void)now_us, (void)source, (void)data;
    require(command >= FWR_ICMB_OEM_FIRST && command <= FWR_ICMB_OEM_LAST);
    require(length <= FWR_ICMB_DATA_MAX);
}

static void event(void *ctx, uint16_t source, uint8_t what)
{
    (void)ctx, (void)source;
    require(what <= FWR_ICMB_EVENT_DISCOVERY_END);
}

static void road_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    (void)ctx, (void)reply;
    require(command < FWR_CMD_COUNT && length >= FWR_OEM_HEADER + 1);
    require(length <= FWR_OEM_HEADER + FWR_ICMB_DATA_MAX);
    world.answered++;
    require(world.answered <= world.asked);
}

static void road_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    (void)ctx;
    if (error != FWR_OK || limits == NULL)
        return;
    require(limits->max_request >= FWR_LINK_MIN_REQUEST && limits->max_request <= 62);
    require(limits->max_reply >= FWR_LINK_MIN_REPLY && limits->max_reply <= 63);
    require(limits->window >= 1 && limits->window < OUTSTANDING && limits->broadcast <= 56);
}

/* ---- the wire ---- */

static void watch(uint8_t character)
{
    struct fwr_icmb_packet packet;
    struct fwr_icmb_status status;

    if (fwr_icmb_receiver_take(&world.monitor, character, &packet) != FWR_ICMB_HEARD_PACKET)
        return;
    fwr_icmb_bridge_status(world.bridge, world.now, &status);
    require(packet.source == status.address || packet.source == ICMB_ALL_ZEROS);
    require(packet.length <= 64);
    if (packet.type == ICMB_TYPE_REQUEST)
        world.last = packet;
}

static void send_all(void)
{
    uint8_t bytes[PORTION + 4];
    size_t length;

    while ((length = fwr_icmb_bridge_next_send(world.bridge, world.now, bytes, sizeof(bytes))) >
           0) {
        require(length <= PORTION);
        if (world.count + length > PORTION)
            world.count = 0; /* a new attempt: what was still flying counts no more */
        for (size_t i = 0; i < length; i++) {
            watch(bytes[i]);
            world.flying[world.count++] = bytes[i];
        }
        require(world.count <= PORTION);
    }
}

static void hear(const uint8_t *bytes, size_t length)
{
    fwr_icmb_bridge_receive(world.bridge, world.now, bytes, length);
    if (fwr_icmb_bridge_take_back(world.bridge) && world.now % 2 == 0)
        world.count = 0;
    send_all();
}

/* The own characters come back. */
static void echo(size_t most)
{
    uint8_t bytes[PORTION];

    while (world.count > 0 && most > 0) {
        size_t length = world.count < most ? world.count : most;

        memcpy(bytes, world.flying, length);
        memmove(world.flying, world.flying + length, world.count - length);
        world.count -= length;
        most -= length;
        world.now += 521 * length;
        hear(bytes, length);
    }
}

static void pass(uint64_t us)
{
    world.now += us;
    if (fwr_icmb_bridge_next_timeout(world.bridge) <= world.now)
        fwr_icmb_bridge_timeout(world.bridge, world.now);
    if (fwr_icmb_road_next_timeout(world.road) <= world.now / 1000)
        fwr_icmb_road_timeout(world.road, world.now / 1000);
    send_all();
}

/* A frame with any field; often an answer to what the bridge asked last. */
static void frame(struct fwr_reader *input)
{
    struct fwr_icmb_packet packet = {.type = ICMB_TYPE_REQUEST};
    uint8_t bytes[FWR_ICMB_FRAME_MAX], how = fwr_reader_u8(input);
    int length;

    if (how & 1) {
        packet.destination = world.last.source;
        packet.source = world.last.destination;
        packet.type = ICMB_TYPE_RESPONSE;
        packet.sequence = (uint8_t)(world.last.sequence + (how & 2 ? fwr_reader_u8(input) : 0));
        packet.command = world.last.command;
    } else {
        packet.destination = how & 2 ? 0xffff : how & 4 ? fwr_reader_u16(input) : ADDRESS;
        packet.source = how & 8 ? fwr_reader_u16(input) : PEER;
        packet.type = how & 16 ? ICMB_TYPE_RESPONSE : ICMB_TYPE_REQUEST;
        packet.sequence = fwr_reader_u8(input);
        packet.command = fwr_reader_u8(input);
    }
    packet.length = (uint16_t)fuzz_bytes(input, packet.data, 80);
    length = fwr_icmb_frame_encode(&packet, bytes, sizeof(bytes));
    hear(bytes, (size_t)length);
}

/* ---- what the BMC does ---- */

static void local(struct fwr_reader *input)
{
    uint8_t data[64], reply[FWR_ICMB_REPLY_MAX], command = fwr_reader_u8(input);
    uint8_t privilege = (uint8_t)(fwr_reader_u8(input) % 5);
    size_t length = fuzz_bytes(input, data, sizeof(data)), reply_length = 0;
    uint32_t token = world.token++ % TOKENS;
    int result;

    if (world.pending[token])
        return;
    world.pending[token] = true; /* before: the answer may not come from inside, but soon */
    result = fwr_icmb_bridge_local(world.bridge, world.now, privilege, command, data, length, token,
                                   reply, &reply_length);
    require(result == FWR_OK || result == FWR_PENDING);
    if (result == FWR_OK) {
        require(world.pending[token] && reply_length >= 1 && reply_length <= FWR_ICMB_REPLY_MAX);
        world.pending[token] = false;
    }
    send_all();
}

static void forget(uint8_t token)
{
    fwr_icmb_bridge_forget(world.bridge, token % TOKENS);
    world.pending[token % TOKENS] = false;
}

static void ask_on_road(struct fwr_reader *input)
{
    uint8_t data[64], command = (uint8_t)(fwr_reader_u8(input) % FWR_CMD_COUNT);
    size_t length = fuzz_bytes(input, data, sizeof(data));

    if (fwr_icmb_road_send(world.road, world.now / 1000, command, data, length) == FWR_OK)
        world.asked++;
    send_all();
}

static void answer_ticket(struct fwr_reader *input)
{
    uint8_t data[80];
    size_t length = fuzz_bytes(input, data, sizeof(data));

    (void)fwr_icmb_bridge_answer(world.bridge, world.now, world.ticket, data, length);
    send_all();
}

static void step(struct fwr_reader *input)
{
    uint8_t bytes[64];

    switch (fwr_reader_u8(input) % 12) {
    case 0:
        hear(bytes, fuzz_bytes(input, bytes, sizeof(bytes)));
        break;
    case 1:
    case 2:
        frame(input);
        break;
    case 3:
        echo(fwr_reader_u8(input));
        break;
    case 4:
        pass(fwr_reader_u8(input) * UINT64_C(1000));
        break;
    case 5:
        pass(fwr_reader_u16(input) * UINT64_C(10000));
        break;
    case 6:
        local(input);
        break;
    case 7:
        forget(fwr_reader_u8(input));
        break;
    case 8:
        ask_on_road(input);
        break;
    case 9:
        world.late = !world.late;
        answer_ticket(input);
        break;
    case 10:
        (void)fwr_icmb_bridge_broadcast(world.bridge, world.now, 0xca, bytes,
                                        fuzz_bytes(input, bytes, sizeof(bytes)));
        send_all();
        break;
    default:
        if (world.count > 0) /* one of the own characters comes back as another */
            world.flying[0] ^= (uint8_t)(1 + fwr_reader_u8(input) % 255);
        echo(PORTION);
    }
}

static void check(void)
{
    struct fwr_icmb_status status;

    fwr_icmb_bridge_status(world.bridge, world.now, &status);
    require(status.waiting <= OUTSTANDING && status.queued <= 40);
    require((status.address != 0) == (status.state == FWR_ICMB_ENABLED));
}

static bool is_quiet(const struct fwr_icmb_status *status)
{
    for (unsigned i = 0; i < TOKENS; i++)
        if (world.pending[i])
            return false;
    return status->state == FWR_ICMB_ENABLED && status->queued == 0 && status->waiting == 0;
}

/* A quiet bus on which everything comes back: all ends well, unless it was switched off. */
static void settle(void)
{
    struct fwr_icmb_status status = {.queued = 1};
    const uint8_t on = 1;
    uint8_t reply[FWR_ICMB_REPLY_MAX];
    size_t length;

    (void)fwr_icmb_bridge_local(world.bridge, world.now, 4, FWR_ICMB_SET_BRIDGE_STATE, &on, 1,
                                TOKENS, reply, &length);
    for (unsigned i = 0; i < 4000 && !is_quiet(&status); i++) {
        echo(SIZE_MAX);
        pass(50000);
        fwr_icmb_bridge_status(world.bridge, world.now, &status);
    }
    require(is_quiet(&status));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(max_align_t) uint8_t bridge[65536], road[1024];
    const struct fwr_icmb_config config = {.size = sizeof(config),
                                           .platform = &platform,
                                           .address = ADDRESS,
                                           .packet = 64,
                                           .portion = PORTION,
                                           .outstanding = OUTSTANDING,
                                           .remote_privilege = 3,
                                           .connector = "J1",
                                           .serve = serve,
                                           .answer = answer,
                                           .broadcast = broadcast,
                                           .event = event};
    struct fwr_icmb_road_config road_config = {.size = sizeof(road_config),
                                               .address = PEER,
                                               .command_base = FWR_COMMAND_BASE,
                                               .iana = 32473,
                                               .reply = road_reply,
                                               .state = road_state};
    struct fwr_reader input;

    memset(&world, 0, sizeof(world));
    world.random = 1;
    fwr_icmb_receiver_init(&world.monitor);
    fwr_reader_init(&input, data, size);
    require(fwr_icmb_bridge_storage() <= sizeof(bridge) && fwr_icmb_road_storage() <= sizeof(road));
    require(fwr_icmb_bridge_init(&world.bridge, bridge, sizeof(bridge), &config, 0) == FWR_OK);
    road_config.bridge = world.bridge;
    require(fwr_icmb_road_init(&world.road, road, sizeof(road), &road_config) == FWR_OK);
    for (unsigned i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        step(&input);
        check();
    }
    settle();
    fwr_icmb_road_end(world.road);
    fwr_icmb_bridge_end(world.bridge);
    return 0;
}
