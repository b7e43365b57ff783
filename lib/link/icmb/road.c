/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads over ICMB: see icmb-road.h. Called by programs that join a bridge to engines.
 */
#include <fwrecover/icmb-road.h>

#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/oem.h>

#include "link/icmb/bridge.h"
#include "wire/cursor.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   60000
#define OPENING_MS     700   /* for the answer to Get Capabilities; */
#define OPENING_TRIES  3     /* asked so often */
#define FORGET_MS      4000  /* a donor with many recipients has a long queue; long packets too */
#define SILENCE_MS     10000 /* with a request unanswered: the peer is gone */
#define BLOCK_HEADER   8     /* of Block Data */
#define CODE_BITS      8     /* of a token: the command; the rest is the cookie, and 1 above it */
#define TOKEN_OPENING  1

struct fwr_icmb_road {
    const struct fwr_icmb_road_config *config;
    struct fwr_link link;
    struct fwr_link_limits limits;
    enum { CLOSED, OPENING, OPEN } state;
    uint64_t silent;   /* since when a request is unanswered; FWR_NEVER: none is */
    uint64_t retry_at; /* down until then; 0: not down */
    uint32_t pause;    /* ms, doubled with every failure */
    uint8_t cookie;    /* of Get Capabilities */
};

static uint32_t token_of(uint8_t command, uint8_t cookie)
{
    return UINT32_C(1) << 2 * CODE_BITS | (uint32_t)cookie << CODE_BITS | command;
}

static void leave(struct fwr_icmb_road *road)
{
    fwr_icmb_bridge_withdraw(road->config->bridge, road, 0);
    road->state = CLOSED;
    road->silent = FWR_NEVER;
}

static void go_down(struct fwr_icmb_road *road, uint64_t now, int error)
{
    leave(road);
    road->pause = road->pause == 0 ? PAUSE_FIRST_MS : road->pause * 2;
    if (road->pause > PAUSE_MAX_MS)
        road->pause = PAUSE_MAX_MS;
    road->retry_at = now + road->pause;
    road->config->state(road->config->ctx, error, NULL);
}

/* ---- limits ---- */

static uint32_t exchange_ms(const struct fwr_icmb_config *config, uint32_t request, uint32_t reply)
{
    uint64_t characters = fwr_icmb_exchange_characters(config, request, reply);

    return (uint32_t)(characters * ICMB_BITS_PER_CHAR * 1000 / config->bit_rate + 1);
}

void fwr_icmb_road_limits(const struct fwr_icmb_bridge *bridge, struct fwr_link_limits *limits)
{
    const struct fwr_icmb_config *c = &bridge->config;

    /* Two bytes less than a packet has: what a 32-byte message leaves where a packet has 24. */
    *limits = (struct fwr_link_limits){
        .max_request = (uint16_t)(c->packet - 2),
        .max_reply = (uint16_t)(c->packet - 1),
        .window = (uint8_t)(c->outstanding > 1 ? c->outstanding - 1 : 1),
        .medium = FWR_MEDIUM_ICMB,
        .round_trip_ms = exchange_ms(c, FWR_LINK_MIN_REQUEST, c->packet),
        .broadcast = (uint16_t)(c->packet - BLOCK_HEADER),
    };
}

static uint16_t lower(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

/* What both ends carry. The peer's longest reply says how long its packets are, either way. */
static void agree(struct fwr_icmb_road *road, const struct fwr_get_capabilities_reply *peer)
{
    struct fwr_link_limits *l = &road->limits;

    fwr_icmb_road_limits(road->config->bridge, l);
    l->max_reply = lower(l->max_reply, peer->max_reply);
    l->max_request = lower(lower(l->max_request, peer->max_request), (uint16_t)(l->max_reply - 1));
    if (peer->window < l->window)
        l->window = peer->window;
    l->broadcast = lower(l->broadcast, (uint16_t)(l->max_reply + 1 - BLOCK_HEADER));
    l->round_trip_ms =
        exchange_ms(&road->config->bridge->config, FWR_LINK_MIN_REQUEST, l->max_reply + 1u);
}

/* ---- opening ---- */

static void opened(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                   size_t length)
{
    struct fwr_icmb_road *road = ctx;
    struct fwr_get_capabilities_reply peer;

    (void)token;
    if (road->state != OPENING)
        return;
    if (error == FWR_OK)
        error = fwr_error_from_completion_code(reply[0]);
    if (error == FWR_OK && (fwr_get_capabilities_reply_decode(reply + 1, length - 1, &peer) != 0 ||
                            peer.cookie != road->cookie))
        error = FWR_E_MALFORMED;
    if (error != FWR_OK) {
        go_down(road, now_us / 1000, error == FWR_E_TIMEOUT ? FWR_E_NO_DONOR : error);
        return;
    }
    agree(road, &peer);
    road->state = OPEN;
    road->pause = 0;
    road->silent = FWR_NEVER;
    road->config->state(road->config->ctx, FWR_OK, &road->limits);
}

/* FWR_E_BUSY: under way, or not possible just now. */
static int open_road(struct fwr_icmb_road *road, uint64_t now)
{
    struct fwr_icmb_ask ask = {.address = road->config->address,
                               .command =
                                   (uint8_t)(road->config->command_base + FWR_CMD_GET_CAPABILITIES),
                               .tries = OPENING_TRIES,
                               .road = true,
                               .timeout_ms = OPENING_MS,
                               .data = &road->cookie,
                               .length = 1,
                               .ctx = road,
                               .token = TOKEN_OPENING,
                               .done = opened};

    road->cookie++;
    if (fwr_icmb_bridge_ask(road->config->bridge, now * 1000, &ask) == FWR_OK) {
        road->retry_at = 0;
        road->state = OPENING;
    }
    return FWR_E_BUSY;
}

/* ---- messages ---- */

/* What the bus leaves out is put back in: the IANA number, and the cookie of a refusal. */
static void take_reply(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                       size_t length)
{
    struct fwr_icmb_road *road = ctx;
    uint8_t bytes[FWR_OEM_HEADER + FWR_ICMB_DATA_MAX];
    struct fwr_writer writer;
    uint64_t now = now_us / 1000;

    if (error != FWR_OK) {
        if (error == FWR_E_IO)
            go_down(road, now, FWR_E_IO);
        return; /* lost: whoever asked asks again */
    }
    road->silent = FWR_NEVER;
    fwr_writer_init(&writer, bytes, sizeof(bytes));
    fwr_writer_u8(&writer, reply[0]);
    fwr_writer_u24(&writer, road->config->iana);
    if (length > 1)
        fwr_writer_bytes(&writer, reply + 1, length - 1);
    else
        fwr_writer_u8(&writer, (uint8_t)(token >> CODE_BITS));
    road->config->reply(road->config->ctx, (uint8_t)token, bytes, writer.length);
}

int fwr_icmb_road_send(struct fwr_icmb_road *road, uint64_t now, uint8_t command,
                       const uint8_t *data, size_t length)
{
    struct fwr_icmb_bridge *bridge = road->config->bridge;
    struct fwr_icmb_ask ask = {.address = road->config->address,
                               .command = (uint8_t)(road->config->command_base + command),
                               .road = true,
                               .timeout_ms = FORGET_MS,
                               .data = data,
                               .length = length,
                               .ctx = road,
                               .done = take_reply};
    int error;

    if (road->retry_at > now)
        return FWR_E_SESSION_CLOSED;
    if (road->state == CLOSED)
        return open_road(road, now);
    if (road->state != OPEN)
        return FWR_E_BUSY;
    if (length < 1 || length > road->limits.max_request)
        return FWR_E_LENGTH;
    ask.token = token_of(command, data[0]);
    if (fwr_icmb_bridge_unsent(bridge, road, ask.token))
        return FWR_OK;
    /* More than the window: one of those on the bus was given up. */
    fwr_icmb_bridge_late(bridge, road, road->limits.window);
    error = fwr_icmb_bridge_ask(bridge, now * 1000, &ask);
    if (error != FWR_OK)
        return error == FWR_E_STATE ? FWR_E_BUSY : error;
    if (road->silent == FWR_NEVER)
        road->silent = now;
    return FWR_OK;
}

static int link_send(void *ctx, uint64_t now, uint8_t command, const uint8_t *data, size_t length)
{
    return fwr_icmb_road_send((struct fwr_icmb_road *)ctx, now, command, data, length);
}

static void link_limits(void *ctx, struct fwr_link_limits *limits)
{
    *limits = ((const struct fwr_icmb_road *)ctx)->limits;
}

const struct fwr_link *fwr_icmb_road_link(const struct fwr_icmb_road *road)
{
    return &road->link;
}

/* ---- time ---- */

uint64_t fwr_icmb_road_next_timeout(const struct fwr_icmb_road *road)
{
    if (road->retry_at != 0)
        return road->retry_at;
    return road->state == OPEN && road->silent != FWR_NEVER ? road->silent + SILENCE_MS : FWR_NEVER;
}

void fwr_icmb_road_retry(struct fwr_icmb_road *road)
{
    if (road->retry_at == 0)
        return;
    road->retry_at = 0;
    road->config->state(road->config->ctx, FWR_OK, NULL);
}

void fwr_icmb_road_timeout(struct fwr_icmb_road *road, uint64_t now)
{
    if (now >= road->retry_at)
        fwr_icmb_road_retry(road);
    if (road->state == OPEN && road->silent != FWR_NEVER && now >= road->silent + SILENCE_MS)
        go_down(road, now, FWR_E_TIMEOUT);
}

/* ---- life ---- */

size_t fwr_icmb_road_storage(void)
{
    return sizeof(struct fwr_icmb_road);
}

int fwr_icmb_road_init(struct fwr_icmb_road **road, void *storage, size_t size,
                       const struct fwr_icmb_road_config *config)
{
    struct fwr_icmb_road *r = storage;

    *road = NULL;
    if (config->size != sizeof(*config) || config->bridge == NULL || config->address == 0 ||
        config->address == UINT16_MAX || config->reply == NULL || config->state == NULL)
        return FWR_E_ARGUMENT;
    if (size < sizeof(*r))
        return FWR_E_NO_SPACE;
    memset(r, 0, sizeof(*r));
    r->config = config;
    r->silent = FWR_NEVER;
    r->link = (struct fwr_link){
        .size = sizeof(r->link), .ctx = r, .limits = link_limits, .send = link_send};
    fwr_icmb_road_limits(config->bridge, &r->limits);
    *road = r;
    return FWR_OK;
}

void fwr_icmb_road_end(struct fwr_icmb_road *road)
{
    if (road == NULL)
        return;
    leave(road);
    memset(road, 0, sizeof(*road));
}
