/* SPDX-License-Identifier: Apache-2.0 */
/* A node of our own on an ICMB: see icmb-bus.h. */
#include "tools/icmb-bus.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fwrecover/error.h>

#include "tools/number.h"
#include "tools/say.h"

#define ECHO_MS 500 /* a process on a busy machine hears itself late */

uint64_t tool_icmb_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* A device's path has slashes, too. */
int tool_icmb_parse(const char *option, const char *text, struct tool_line *line, uint16_t *address)
{
    const char *slash = strrchr(text, '/');
    uint64_t number = 0;
    char *device;
    int status;

    if (slash == NULL || slash == text || !tool_number(slash + 1, UINT16_MAX - 1, &number) ||
        number == 0)
        return tool_usage("%s%s: not DEVICE[:BAUD]/ADDRESS with an address from 1 to 0xfffe",
                          option, text);
    *address = (uint16_t)number;
    device = strndup(text, (size_t)(slash - text));
    if (device == NULL)
        return tool_error(FWR_E_MEMORY, text, NULL);
    status = tool_line_parse_at(line, device, FWR_ICMB_BIT_RATE);
    free(device);
    return status;
}

/* ---- what the port calls ---- */

static void on_opened(void *ctx, uint64_t now)
{
    (void)ctx, (void)now;
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    (void)now;
    tool_line_lost(&((struct tool_icmb_bus *)ctx)->line, error);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    struct tool_icmb_bus *bus = ctx;

    (void)now;
    fwr_icmb_bridge_receive(bus->bridge, tool_icmb_now(), bytes, length);
    if (fwr_icmb_bridge_take_back(bus->bridge))
        fwr_tty_port_flush(&bus->port);
}

/* ---- life ---- */

int tool_icmb_bus_start(struct tool_icmb_bus *bus, const struct fwr_platform *platform)
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
    bus->config.size = sizeof(bus->config);
    bus->config.platform = platform;
    bus->config.bit_rate = bus->line.baud;
    bus->config.echo_timeout_ms = ECHO_MS;
    bus->storage = calloc(1, fwr_icmb_bridge_storage());
    error = bus->storage == NULL
                ? FWR_E_MEMORY
                : fwr_icmb_bridge_init(&bus->bridge, bus->storage, fwr_icmb_bridge_storage(),
                                       &bus->config, tool_icmb_now());
    if (error != FWR_OK)
        return tool_error(error, bus->line.path, NULL);
    fwr_tty_port_init(&bus->port, &bus->port_config);
    return TOOL_OK;
}

void tool_icmb_bus_end(struct tool_icmb_bus *bus)
{
    if (bus->bridge != NULL) {
        fwr_tty_port_end(&bus->port);
        fwr_icmb_bridge_end(bus->bridge);
    }
    free(bus->storage);
    tool_line_free(&bus->line);
    bus->bridge = NULL;
    bus->storage = NULL;
}

/* ---- the work ---- */

/* What no device takes is lost, as on a wire that is cut. */
void tool_icmb_bus_turn(struct tool_icmb_bus *bus)
{
    uint64_t now = tool_icmb_now();
    uint8_t bytes[64];
    size_t length;

    if (fwr_tty_port_next_timeout(&bus->port) <= now / 1000)
        fwr_tty_port_timeout(&bus->port, now / 1000);
    if (fwr_icmb_bridge_next_timeout(bus->bridge) <= now)
        fwr_icmb_bridge_timeout(bus->bridge, now);
    while ((length = fwr_icmb_bridge_next_send(bus->bridge, now, bytes, sizeof(bytes))) > 0)
        (void)fwr_tty_port_send(&bus->port, bytes, length);
}

struct pollfd tool_icmb_bus_handle(const struct tool_icmb_bus *bus)
{
    return tool_line_handle(&bus->port);
}

uint64_t tool_icmb_bus_next_timeout(const struct tool_icmb_bus *bus)
{
    uint64_t bridge = fwr_icmb_bridge_next_timeout(bus->bridge);
    uint64_t port = fwr_tty_port_next_timeout(&bus->port);

    bridge = bridge == FWR_NEVER ? bridge : (bridge + 999) / 1000; /* not before it is due */
    return bridge < port ? bridge : port;
}

void tool_icmb_bus_ready(struct tool_icmb_bus *bus)
{
    fwr_tty_port_ready(&bus->port, tool_now());
    tool_icmb_bus_turn(bus);
}
