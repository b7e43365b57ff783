/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as roads (fwrecover/serial.h): serial ones in Basic Mode and in Terminal Mode, and
 * Bluetooth's (RFCOMM), which carry Basic Mode. A line that is gone is opened again as often as it
 * takes. Nothing here waits.
 */
#include "tools/road.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/serial.h>

#include "tools/line.h"
#include "tools/say.h"

/* RFCOMM repeats what is lost and brings all in order, so several requests may be on their way. */
#define BLUETOOTH_WINDOW        8
#define BLUETOOTH_ROUND_TRIP_MS 50

struct serial {
    struct tool_road *road;
    struct tool_line line;
    struct fwr_tty_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_serial_road_config config;
    struct fwr_serial_road *serial;
    void *storage;
};

/* ---- what the port calls ---- */

static void on_opened(void *ctx, uint64_t now)
{
    struct serial *own = ctx;

    fwr_serial_road_opened(own->serial, now);
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    struct serial *own = ctx;

    tool_line_lost(&own->line, error);
    if (error == FWR_E_IO)
        error = FWR_E_SESSION_CLOSED;
    else if (own->line.baud != 0)
        error = FWR_E_NO_DONOR;
    fwr_serial_road_closed(own->serial, now, error);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    fwr_serial_road_receive(((struct serial *)ctx)->serial, now, bytes, length);
}

static int on_dial(void *ctx, struct fwr_tty *tty)
{
    return fwr_rfcomm_dial(tty, NULL, &((struct serial *)ctx)->line.peer);
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    return fwr_tty_port_send(&((struct serial *)ctx)->port, bytes, length);
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct tool_road *road = ((struct serial *)ctx)->road;

    road->events->reply(road->ctx, road, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct tool_road *road = ((struct serial *)ctx)->road;

    if (limits != NULL)
        road->limits = *limits;
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

/* A call takes a moment: nobody should give the peer up meanwhile. */
static bool on_opening(void *ctx)
{
    return fwr_tty_port_opening(&((struct serial *)ctx)->port);
}

/* ---- what road.c calls ---- */

static struct pollfd serial_handle(const struct tool_road *road)
{
    return tool_line_handle(&((const struct serial *)road->own)->port);
}

static void serial_ready(struct tool_road *road)
{
    fwr_tty_port_ready(&((struct serial *)road->own)->port, tool_now());
}

static uint64_t serial_next_timeout(const struct tool_road *road)
{
    const struct serial *own = road->own;
    uint64_t port = fwr_tty_port_next_timeout(&own->port);
    uint64_t serial = fwr_serial_road_next_timeout(own->serial);

    return port < serial ? port : serial;
}

static void serial_timeout(struct tool_road *road, uint64_t now)
{
    struct serial *own = road->own;

    if (fwr_tty_port_next_timeout(&own->port) <= now)
        fwr_tty_port_timeout(&own->port, now);
    if (fwr_serial_road_next_timeout(own->serial) <= now)
        fwr_serial_road_timeout(own->serial, now);
}

/* Of a line that has been parsed. */
static int line_open(struct tool_road *road, enum fwr_serial_mode mode)
{
    struct serial *own = road->own;
    bool bluetooth = own->line.baud == 0;
    int error;

    road->limits = fwr_serial_road_limits(mode, 0, own->line.baud);
    if (bluetooth) {
        road->limits.medium = FWR_MEDIUM_BLUETOOTH;
        road->limits.window = BLUETOOTH_WINDOW;
        road->limits.round_trip_ms = BLUETOOTH_ROUND_TRIP_MS;
    }
    own->port_config = (struct fwr_tty_port_config){
        .size = sizeof(own->port_config),
        .path = own->line.path,
        .baud = own->line.baud,
        .ctx = own,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
        .dial = bluetooth ? on_dial : NULL,
    };
    own->config = (struct fwr_serial_road_config){
        .size = sizeof(own->config),
        .limits = &road->limits,
        .iana = road->login->iana,
        .baud = own->line.baud,
        .command_base = FWR_COMMAND_BASE,
        .mode = (uint8_t)mode,
        .no_handshake = bluetooth,
        .ctx = own,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
        .opening = bluetooth ? on_opening : NULL,
    };
    own->storage = calloc(1, fwr_serial_road_storage());
    error = own->storage == NULL ? FWR_E_MEMORY
                                 : fwr_serial_road_init(&own->serial, own->storage,
                                                        fwr_serial_road_storage(), &own->config);
    if (error != FWR_OK)
        return tool_error(error, own->line.path, NULL);
    road->link = fwr_serial_road_link(own->serial);
    fwr_tty_port_init(&own->port, &own->port_config);
    return TOOL_OK;
}

static int serial_open(struct tool_road *road, const char *address, enum fwr_serial_mode mode,
                       int (*parse)(struct tool_line *line, const char *text))
{
    struct serial *own = calloc(1, sizeof(*own));
    int status;

    road->own = own;
    if (own == NULL)
        return tool_error(FWR_E_MEMORY, address, NULL);
    own->road = road;
    own->port.tty.fd = -1;
    status = parse(&own->line, address);
    return status == TOOL_OK ? line_open(road, mode) : status;
}

static int basic_open(struct tool_road *road, const char *address,
                      const struct fwr_platform *platform)
{
    (void)platform;
    return serial_open(road, address, FWR_SERIAL_BASIC, tool_line_parse);
}

static int terminal_open(struct tool_road *road, const char *address,
                         const struct fwr_platform *platform)
{
    (void)platform;
    return serial_open(road, address, FWR_SERIAL_TERMINAL, tool_line_parse);
}

static int bluetooth_open(struct tool_road *road, const char *address,
                          const struct fwr_platform *platform)
{
    (void)platform;
    return serial_open(road, address, FWR_SERIAL_BASIC, tool_line_parse_bluetooth);
}

static void serial_close(struct tool_road *road)
{
    struct serial *own = road->own;

    fwr_tty_port_end(&own->port);
    fwr_serial_road_end(own->serial);
    free(own->storage);
    tool_line_free(&own->line);
}

#define SERIAL(of_prefix, of_open)                                                                 \
    {                                                                                              \
        .prefix = (of_prefix), .open = (of_open), .close = serial_close, .handle = serial_handle,  \
        .ready = serial_ready, .next_timeout = serial_next_timeout, .timeout = serial_timeout,     \
    }

const struct tool_road_kind tool_road_serial = SERIAL("serial:", basic_open);
const struct tool_road_kind tool_road_terminal = SERIAL("terminal:", terminal_open);
const struct tool_road_kind tool_road_bluetooth = SERIAL("bluetooth:", bluetooth_open);
