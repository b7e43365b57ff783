/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serial device with a bridge (fwrecover/icmb.h) on it: this program's own node on an ICMB.
 * Called by both ends, road-icmb.c and icmb-listener.c. Nothing here waits.
 */
#ifndef FWR_TOOLS_ICMB_BUS_H
#define FWR_TOOLS_ICMB_BUS_H

#include <stdbool.h>

#include <fwrecover/icmb.h>
#include <fwrecover/tty.h>

#include "tools/line.h"
#include "tools/net.h"

#define TOOL_ICMB_BLOCK_HEADER 8 /* of Block Data: what a packet does not have for data */

/* The caller's memory, zeroed, not to be moved while open. */
struct tool_icmb_bus {
    struct tool_line line;
    struct fwr_tty_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_icmb_config config; /* callbacks, ctx, address and packet are the user's */
    struct fwr_icmb_bridge *bridge;
    void *storage;
};

/* Reads DEVICE[:BAUD]/ADDRESS into a line and an address. Reports mistakes as those of `option`;
 * tool_line_free is due either way. */
int tool_icmb_parse(const char *option, const char *text, struct tool_line *line,
                    uint16_t *address);

/* Opens the device (if it is not there now, when it comes) with a bridge on it; the line and the
 * user's part of `config` are set. Returns an exit status and reports its failures; _end is due
 * either way. */
int tool_icmb_bus_start(struct tool_icmb_bus *bus, const struct fwr_platform *platform);
void tool_icmb_bus_end(struct tool_icmb_bus *bus);

/* Microseconds of the clock of tool_now. */
uint64_t tool_icmb_now(void);

/* Does what is due and sends what is to be sent. Call it after whatever used the bridge. */
void tool_icmb_bus_turn(struct tool_icmb_bus *bus);

/* What to wait for: the handle and the time; and what to do when it is readable. */
struct pollfd tool_icmb_bus_handle(const struct tool_icmb_bus *bus);
uint64_t tool_icmb_bus_next_timeout(const struct tool_icmb_bus *bus);
void tool_icmb_bus_ready(struct tool_icmb_bus *bus);

#endif
