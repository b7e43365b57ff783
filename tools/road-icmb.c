/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads over ICMB (fwrecover/icmb-road.h): DEVICE[:BAUD]/ADDRESS. All roads on one device share
 * one bridge, which is a node of its own on the bus, at an address that it finds itself. Nothing
 * here waits.
 */
#include "tools/road.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fwrecover/error.h>
#include <fwrecover/icmb-road.h>

#include "tools/line.h"
#include "tools/number.h"
#include "tools/say.h"

/* A device with a bridge on it. */
struct bus {
    struct bus *next;
    unsigned users;
    const struct tool_road *first; /* which polls for all */
    struct tool_line line;
    struct fwr_tty_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_icmb_config config;
    struct fwr_icmb_bridge *bridge;
    void *storage;
};

struct icmb {
    struct tool_road *road;
    struct bus *bus;
    struct fwr_icmb_road_config config;
    struct fwr_icmb_road *icmb;
    void *storage;
};

static struct bus *buses;

static uint64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* ---- the bus ---- */

/* Does what is due, and gives away what is to be sent. What no device takes is lost. */
static void turn(struct bus *bus)
{
    uint64_t now = now_us();
    uint8_t bytes[64];
    size_t length;

    if (fwr_tty_port_next_timeout(&bus->port) <= now / 1000)
        fwr_tty_port_timeout(&bus->port, now / 1000);
    if (fwr_icmb_bridge_next_timeout(bus->bridge) <= now)
        fwr_icmb_bridge_timeout(bus->bridge, now);
    while ((length = fwr_icmb_bridge_next_send(bus->bridge, now, bytes, sizeof(bytes))) > 0)
        (void)fwr_tty_port_send(&bus->port, bytes, length);
}

static void on_opened(void *ctx, uint64_t now)
{
    (void)ctx, (void)now;
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    (void)now;
    tool_line_lost(&((struct bus *)ctx)->line, error);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    struct bus *bus = ctx;

    (void)now;
    fwr_icmb_bridge_receive(bus->bridge, now_us(), bytes, length);
    if (fwr_icmb_bridge_take_back(bus->bridge))
        fwr_tty_port_flush(&bus->port);
}

/* The bridge's list has it from here on, also when this fails. */
static int start_bus(struct bus *bus, const struct fwr_platform *platform)
{
    int error;

    bus->port_config = (struct fwr_tty_port_config){
        .size = sizeof(bus->port_config),
        .path = bus->line.path,
        .baud = bus->line.baud,
        .rs485 = true,
        .ctx = bus,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
    };
    bus->config = (struct fwr_icmb_config){
        .size = sizeof(bus->config),
        .platform = platform,
        .ctx = bus,
        .bit_rate = bus->line.baud,
        .packet = FWR_ICMB_DATA_MAX, /* each peer says how much of it it takes */
    };
    bus->storage = calloc(1, fwr_icmb_bridge_storage());
    error = bus->storage == NULL
                ? FWR_E_MEMORY
                : fwr_icmb_bridge_init(&bus->bridge, bus->storage, fwr_icmb_bridge_storage(),
                                       &bus->config, now_us());
    if (error == FWR_OK)
        fwr_tty_port_init(&bus->port, &bus->port_config);
    return error;
}

static void leave_bus(struct bus *bus)
{
    struct bus **link = &buses;

    if (bus == NULL || --bus->users > 0)
        return;
    while (*link != bus)
        link = &(*link)->next;
    *link = bus->next;
    fwr_tty_port_end(&bus->port);
    fwr_icmb_bridge_end(bus->bridge);
    free(bus->storage);
    tool_line_free(&bus->line);
    free(bus);
}

/* The bus on this device, which an earlier road may have brought up. */
static int join_bus(struct icmb *own, const char *device, const struct fwr_platform *platform)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    int status;

    if (bus == NULL)
        return tool_error(FWR_E_MEMORY, device, NULL);
    bus->port.tty.fd = -1;
    bus->users = 1;
    bus->first = own->road;
    bus->next = buses;
    buses = own->bus = bus;
    status = tool_line_parse_at(&bus->line, device, FWR_ICMB_BIT_RATE);
    if (status != TOOL_OK)
        return status;
    for (struct bus *other = bus->next; other != NULL; other = other->next) {
        if (strcmp(other->line.path, bus->line.path) != 0)
            continue;
        leave_bus(bus);
        other->users++;
        own->bus = other;
        return TOOL_OK;
    }
    int error = start_bus(bus, platform);
    return error == FWR_OK ? TOOL_OK : tool_error(error, device, NULL);
}

/* ---- what the road calls ---- */

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct tool_road *road = ((struct icmb *)ctx)->road;

    road->events->reply(road->ctx, road, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct tool_road *road = ((struct icmb *)ctx)->road;

    if (limits != NULL) {
        road->limits = *limits;
        road->limits.broadcast = 0; /* the command does not listen to what others are sent */
    }
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

/* ---- what road.c calls ---- */

static struct pollfd icmb_handle(const struct tool_road *road)
{
    const struct bus *bus = ((const struct icmb *)road->own)->bus;

    if (bus->first != road)
        return (struct pollfd){.fd = -1};
    return tool_line_handle(&bus->port);
}

static void icmb_ready(struct tool_road *road)
{
    struct bus *bus = ((struct icmb *)road->own)->bus;

    fwr_tty_port_ready(&bus->port, tool_now());
    turn(bus);
}

static uint64_t icmb_next_timeout(const struct tool_road *road)
{
    const struct icmb *own = road->own;
    uint64_t bus = fwr_icmb_bridge_next_timeout(own->bus->bridge);
    uint64_t port = fwr_tty_port_next_timeout(&own->bus->port);
    uint64_t next = fwr_icmb_road_next_timeout(own->icmb);

    next = port < next ? port : next;
    bus = bus == FWR_NEVER ? bus : (bus + 999) / 1000; /* not before it is due */
    return bus < next ? bus : next;
}

static void icmb_timeout(struct tool_road *road, uint64_t now)
{
    struct icmb *own = road->own;

    if (fwr_icmb_road_next_timeout(own->icmb) <= now)
        fwr_icmb_road_timeout(own->icmb, now);
    turn(own->bus);
}

static void icmb_gather(struct tool_road *road, bool on)
{
    if (!on)
        turn(((struct icmb *)road->own)->bus);
}

/* DEVICE[:BAUD]/ADDRESS; a device's path has slashes, too. */
static int parse(const char *text, char **device, uint16_t *address)
{
    const char *slash = strrchr(text, '/');
    uint64_t number = 0;

    *device = NULL;
    if (slash == NULL || slash == text || !tool_number(slash + 1, UINT16_MAX - 1, &number) ||
        number == 0)
        return tool_usage("icmb:%s: not DEVICE[:BAUD]/ADDRESS with an address from 1 to 0xfffe",
                          text);
    *address = (uint16_t)number;
    *device = strndup(text, (size_t)(slash - text));
    return *device != NULL ? TOOL_OK : tool_error(FWR_E_MEMORY, text, NULL);
}

static int make_road(struct icmb *own, const char *address)
{
    int error;

    own->config.size = sizeof(own->config);
    own->config.bridge = own->bus->bridge;
    own->config.command_base = FWR_COMMAND_BASE;
    own->config.iana = own->road->login->iana;
    own->config.ctx = own;
    own->config.reply = on_reply;
    own->config.state = on_state;
    fwr_icmb_road_limits(own->bus->bridge, &own->road->limits);
    own->road->limits.broadcast = 0;
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
    char *device = NULL;
    int status;

    road->own = own;
    if (own == NULL)
        return tool_error(FWR_E_MEMORY, address, NULL);
    own->road = road;
    status = parse(address, &device, &own->config.address);
    if (status == TOOL_OK)
        status = join_bus(own, device, platform);
    free(device);
    return own->bus != NULL && status == TOOL_OK ? make_road(own, address) : status;
}

static void icmb_close(struct tool_road *road)
{
    struct icmb *own = road->own;

    fwr_icmb_road_end(own->icmb);
    leave_bus(own->bus);
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
