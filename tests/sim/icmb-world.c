/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world over ICMB: see icmb-world.h.
 */
#include "tests/sim/icmb-world.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#define RECIPIENT        0 /* station; the donors' are behind it */
#define ADDRESS(station) ((uint16_t)(0x0210 + (station)))
#define PRIVILEGE        FWR_PRIVILEGE_USER

void icmb_world_request(const struct fwr_icmb_request *from, uint32_t iana,
                        struct world_message *request)
{
    memset(request, 0, offsetof(struct world_message, bytes));
    request->command = from->command;
    request->length = (uint16_t)(FWR_IANA_SIZE + from->length);
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        request->bytes[i] = (uint8_t)(iana >> 8 * i);
    if (from->length > 0)
        memcpy(request->bytes + FWR_IANA_SIZE, from->data, from->length);
}

size_t icmb_world_strip(const uint8_t *reply, size_t length, uint8_t *out, size_t capacity)
{
    size_t body = length > FWR_OEM_HEADER ? length - FWR_OEM_HEADER : 0;

    if (length == 0)
        return 0;
    if (body > capacity - 1)
        body = capacity - 1;
    out[0] = reply[0];
    memcpy(out + 1, reply + FWR_OEM_HEADER, body);
    return 1 + body;
}

/* ---- a donor's end ---- */

static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *from, uint8_t *reply,
                    size_t capacity)
{
    const struct icmb_world_end *end = ctx;
    struct icmb_world *iw = end->in;
    struct world_message request;
    uint8_t bytes[WORLD_MESSAGE_MAX];
    struct fwr_caller caller = {.link = 1,
                                .medium = FWR_MEDIUM_ICMB,
                                .privilege = PRIVILEGE,
                                .security = FWR_SECURITY_NONE,
                                .session = from->source,
                                .max_reply = (uint16_t)(capacity - 1)};

    icmb_world_request(from, iw->w->oem.iana, &request);
    request.peer = end->donor;
    iw->called = true;
    iw->w->now = now_us / 1000;
    return icmb_world_strip(bytes, world_serve(iw->w, &caller, &request, bytes), reply, capacity);
}

/* ---- the recipient's end ---- */

static void take_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    const struct icmb_world_end *end = ctx;
    struct icmb_world *iw = end->in;

    iw->called = true;
    iw->w->now = iw->net.now_us / 1000;
    fwr_oem_response(&iw->w->oem, iw->w->recipient, iw->w->now, end->donor, command, reply, length);
}

static void take_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    const struct icmb_world_end *end = ctx;
    struct icmb_world *iw = end->in;

    iw->called = true;
    fwr_recipient_peer(iw->w->recipient, iw->net.now_us / 1000, end->donor, error, limits);
}

static void boot(void *ctx)
{
    struct icmb_world *iw = ctx;
    struct fwr_icmb_config config = {.size = sizeof(config),
                                     .ctx = iw,
                                     .address = ADDRESS(RECIPIENT),
                                     .packet = iw->options.packet};

    icmb_net_on(&iw->net, RECIPIENT, &config);
    for (uint8_t i = 0; i < iw->w->donor_count; i++) {
        struct icmb_world_end *end = &iw->ends[i];
        end->config.bridge = iw->net.stations[RECIPIENT].bridge;
        if (fwr_icmb_road_init(&end->road, end->storage, fwr_icmb_road_storage(), &end->config) !=
            FWR_OK)
            abort();
        iw->links[i] = fwr_icmb_road_link(end->road);
    }
}

static void cut(void *ctx)
{
    struct icmb_world *iw = ctx;

    for (uint8_t i = 0; i < iw->w->donor_count; i++) {
        fwr_icmb_road_end(iw->ends[i].road);
        iw->ends[i].road = NULL;
        iw->links[i] = NULL;
    }
    icmb_net_off(&iw->net, RECIPIENT);
}

/* ---- time ---- */

static void plan_weather(struct icmb_world *iw)
{
    uint32_t mean = iw->apart ? iw->options.cut_ms : iw->options.cut_every_ms;

    if (mean == 0)
        iw->weather_us = WIRE_NEVER;
    else
        iw->weather_us = iw->net.now_us + 1 + seeded_below(&iw->random, 2 * mean) * UINT64_C(1000);
}

static void change_weather(struct icmb_world *iw)
{
    iw->apart = !iw->apart;
    iw->cuts += iw->apart;
    wire_part(&iw->net.wire, RECIPIENT, iw->apart);
    plan_weather(iw);
}

static uint64_t next_event(const struct icmb_world *iw)
{
    uint64_t next = icmb_net_next(&iw->net);

    for (uint8_t i = 0; i < iw->w->donor_count; i++) {
        uint64_t at = iw->ends[i].road ? fwr_icmb_road_next_timeout(iw->ends[i].road) : FWR_NEVER;
        if (at != FWR_NEVER && at * 1000 < next)
            next = at * 1000;
    }
    return iw->weather_us < next ? iw->weather_us : next;
}

static void happen(struct icmb_world *iw, uint64_t at)
{
    icmb_net_run(&iw->net, at);
    if (iw->weather_us <= iw->net.now_us)
        change_weather(iw);
    for (uint8_t i = 0; i < iw->w->donor_count; i++) {
        struct fwr_icmb_road *road = iw->ends[i].road;
        if (road && fwr_icmb_road_next_timeout(road) <= iw->net.now_us / 1000)
            fwr_icmb_road_timeout(road, iw->net.now_us / 1000);
    }
}

static uint64_t run(void *ctx, uint64_t until)
{
    struct icmb_world *iw = ctx;
    uint64_t end = until == FWR_NEVER ? WIRE_NEVER : until * 1000, next;

    iw->called = false;
    icmb_net_touch(&iw->net, RECIPIENT); /* what the engine has just sent */
    while ((next = next_event(iw)) <= end && next != WIRE_NEVER) {
        happen(iw, next);
        if (iw->called)
            return iw->net.now_us / 1000;
    }
    if (end == WIRE_NEVER)
        return FWR_NEVER;
    icmb_net_run(&iw->net, end);
    return until;
}

/* ---- making ---- */

static void donor_on(struct icmb_world *iw, uint8_t donor)
{
    struct icmb_world_end *end = &iw->ends[donor];
    uint16_t station = (uint16_t)(1 + donor);
    struct fwr_icmb_config config = {.size = sizeof(config),
                                     .ctx = end,
                                     .address = ADDRESS(station),
                                     .packet = iw->options.packet,
                                     .serve = serve};

    end->in = iw;
    end->donor = donor;
    end->storage = malloc(fwr_icmb_road_storage());
    end->config = (struct fwr_icmb_road_config){.size = sizeof(end->config),
                                                .address = ADDRESS(station),
                                                .iana = iw->w->oem.iana,
                                                .command_base = iw->w->oem.command_base,
                                                .ctx = end,
                                                .reply = take_reply,
                                                .state = take_state};
    icmb_net_on(&iw->net, station, &config);
    fwr_icmb_road_limits(iw->net.stations[station].bridge, &iw->w->peers[donor].limits);
    iw->w->oem.max_request = iw->w->peers[donor].limits.max_request;
    iw->w->oem.max_reply = iw->w->peers[donor].limits.max_reply;
    iw->w->oem.window = iw->w->peers[donor].limits.window;
}

void icmb_world_attach(struct icmb_world *iw, struct world *w,
                       const struct icmb_world_options *options)
{
    struct wire_config wire = {.seed = options->seed, .noise = options->noise};

    memset(iw, 0, sizeof(*iw));
    if (w->donor_count > ICMB_WORLD_DONORS)
        abort();
    iw->w = w;
    iw->options = *options;
    iw->random = options->seed;
    iw->road =
        (struct world_road){.ctx = iw, .links = iw->links, .run = run, .boot = boot, .cut = cut};
    icmb_net_init(&iw->net, &wire, (uint16_t)(1 + w->donor_count));
    icmb_net_run(&iw->net, w->now * 1000);
    w->oem.allow_sessionless = 1;
    for (uint8_t i = 0; i < w->donor_count; i++)
        donor_on(iw, i);
    plan_weather(iw);
    w->road = &iw->road;
}

void icmb_world_detach(struct icmb_world *iw)
{
    cut(iw);
    for (uint8_t i = 0; i < iw->w->donor_count; i++)
        free(iw->ends[i].storage);
    icmb_net_free(&iw->net);
    iw->w->road = NULL;
}
