/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads over ICMB (fwrecover/icmb-road.h): DEVICE[:BAUD]/ADDRESS. All roads on one device share
 * one bridge, which is a node of its own on the bus, at an address that it finds itself. Nothing
 * here waits.
 */
#include "tools/road.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/icmb-road.h>

#include "tools/icmb-bus.h"
#include "tools/say.h"

/* A node on a bus, and the roads from it. The first polls for all. */
struct bus {
    struct bus *next;
    struct icmb *roads;
    struct tool_icmb_bus icmb;
};

struct icmb {
    struct icmb *next; /* on this bus */
    struct tool_road *road;
    struct bus *bus;
    struct fwr_icmb_road_config config;
    struct fwr_icmb_road *icmb;
    void *storage;
};

static struct bus *buses;

/* ---- the bus ---- */

/* A block that somebody sent to everybody, for the roads that lead to it. */
static void heard(void *ctx, uint64_t now, uint16_t source, uint8_t command, const uint8_t *data,
                  size_t length)
{
    const struct bus *bus = ctx;

    (void)now;
    if (command != FWR_COMMAND_BASE + FWR_CMD_BLOCK_DATA)
        return;
    for (struct icmb *own = bus->roads; own != NULL; own = own->next)
        if (own->config.address == source && own->road->events->heard != NULL)
            own->road->events->heard(own->road->ctx, own->road, data, length);
}

static void leave_bus(struct icmb *own)
{
    struct bus *bus = own->bus, **link = &buses;
    struct icmb **road;

    if (bus == NULL)
        return;
    for (road = &bus->roads; *road != NULL && *road != own; road = &(*road)->next)
        continue;
    if (*road != NULL)
        *road = own->next;
    own->bus = NULL;
    if (bus->roads != NULL)
        return;
    while (*link != bus)
        link = &(*link)->next;
    *link = bus->next;
    tool_icmb_bus_end(&bus->icmb);
    free(bus);
}

static void add_to(struct icmb *own, struct bus *bus)
{
    struct icmb **end = &bus->roads;

    while (*end != NULL)
        end = &(*end)->next;
    *end = own;
    own->bus = bus;
}

/* The bus on this device, which an earlier road may have brought up. */
static int join_bus(struct icmb *own, const char *address, const struct fwr_platform *platform)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    int status;

    if (bus == NULL)
        return tool_error(FWR_E_MEMORY, address, NULL);
    bus->next = buses;
    buses = bus;
    add_to(own, bus);
    status = tool_icmb_parse("icmb:", address, &bus->icmb.line, &own->config.address);
    if (status != TOOL_OK)
        return status;
    for (struct bus *other = bus->next; other != NULL; other = other->next) {
        if (strcmp(other->icmb.line.path, bus->icmb.line.path) != 0)
            continue;
        leave_bus(own);
        add_to(own, other);
        return TOOL_OK;
    }
    bus->icmb.config.ctx = bus;
    bus->icmb.config.packet = FWR_ICMB_DATA_MAX; /* each peer says how much of it it takes */
    bus->icmb.config.broadcast = heard;
    return tool_icmb_bus_start(&bus->icmb, platform);
}

/* ---- what the road calls ---- */

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct tool_road *road = ((struct icmb *)ctx)->road;

    road->events->reply(road->ctx, road, command, reply, length);
}

/* Who does not listen to what all are sent is not to be promised it. */
static void take_limits(struct tool_road *road, const struct fwr_link_limits *limits)
{
    road->limits = *limits;
    if (road->events->heard == NULL)
        road->limits.broadcast = 0;
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct tool_road *road = ((struct icmb *)ctx)->road;

    if (limits != NULL)
        take_limits(road, limits);
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

/* ---- what road.c calls ---- */

static struct pollfd icmb_handle(const struct tool_road *road)
{
    const struct icmb *own = road->own;

    if (own->bus->roads != own)
        return (struct pollfd){.fd = -1};
    return tool_icmb_bus_handle(&own->bus->icmb);
}

static void icmb_ready(struct tool_road *road)
{
    tool_icmb_bus_ready(&((struct icmb *)road->own)->bus->icmb);
}

static uint64_t icmb_next_timeout(const struct tool_road *road)
{
    const struct icmb *own = road->own;
    uint64_t bus = tool_icmb_bus_next_timeout(&own->bus->icmb);
    uint64_t next = fwr_icmb_road_next_timeout(own->icmb);

    return bus < next ? bus : next;
}

static void icmb_timeout(struct tool_road *road, uint64_t now)
{
    struct icmb *own = road->own;

    if (fwr_icmb_road_next_timeout(own->icmb) <= now)
        fwr_icmb_road_timeout(own->icmb, now);
    tool_icmb_bus_turn(&own->bus->icmb);
}

static void icmb_gather(struct tool_road *road, bool on)
{
    if (!on)
        tool_icmb_bus_turn(&((struct icmb *)road->own)->bus->icmb);
}

static int make_road(struct icmb *own, const char *address)
{
    struct fwr_link_limits limits;
    int error;

    own->config.size = sizeof(own->config);
    own->config.bridge = own->bus->icmb.bridge;
    own->config.command_base = FWR_COMMAND_BASE;
    own->config.iana = own->road->login->iana;
    own->config.ctx = own;
    own->config.reply = on_reply;
    own->config.state = on_state;
    fwr_icmb_road_limits(own->bus->icmb.bridge, &limits);
    take_limits(own->road, &limits);
    own->storage = calloc(1, fwr_icmb_road_storage());
    error = own->storage == NULL ? FWR_E_MEMORY
                                 : fwr_icmb_road_init(&own->icmb, own->storage,
                                                      fwr_icmb_road_storage(), &own->config);
    if (error != FWR_OK)
        return tool_error(error, address, NULL);
    own->road->link = fwr_icmb_road_link(own->icmb);
    return TOOL_OK;
}

static int icmb_open(struct tool_road *road, const char *address,
                     const struct fwr_platform *platform)
{
    struct icmb *own = calloc(1, sizeof(*own));
    int status;

    road->own = own;
    if (own == NULL)
        return tool_error(FWR_E_MEMORY, address, NULL);
    own->road = road;
    status = join_bus(own, address, platform);
    return own->bus != NULL && status == TOOL_OK ? make_road(own, address) : status;
}

static void icmb_close(struct tool_road *road)
{
    struct icmb *own = road->own;

    fwr_icmb_road_end(own->icmb);
    leave_bus(own);
    free(own->storage);
}

const struct tool_road_kind tool_road_icmb = {
    .prefix = "icmb:",
    .open = icmb_open,
    .close = icmb_close,
    .handle = icmb_handle,
    .ready = icmb_ready,
    .next_timeout = icmb_next_timeout,
    .timeout = icmb_timeout,
    .gather = icmb_gather,
};
