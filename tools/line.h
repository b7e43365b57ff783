/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines on the command line: DEVICE[:BAUD] for a serial one, AA:BB:CC:DD:EE:FF[/CHANNEL] for one
 * by Bluetooth, and what to tell people whose device is not there. Called by both ends:
 * road-serial.c, serial-listener.c and bluetooth-listener.c.
 */
#ifndef FWR_TOOLS_LINE_H
#define FWR_TOOLS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include <fwrecover/rfcomm.h>
#include <fwrecover/tty.h>

#include "tools/net.h"

struct tool_line {
    char *path;    /* or the Bluetooth address, to show */
    uint32_t baud; /* 0: Bluetooth */
    struct fwr_rfcomm_address peer;
};

/* Reads DEVICE[:BAUD]. Reports mistakes, returns an exit status; tool_line_free is due either
 * way. Whether there is such a device is not looked at: it may come later. */
int tool_line_parse(struct tool_line *line, const char *text);
/* The same with another speed for lines whose speed is not given. */
int tool_line_parse_at(struct tool_line *line, const char *text, uint32_t baud);
/* The same for AA:BB:CC:DD:EE:FF[/CHANNEL]. */
int tool_line_parse_bluetooth(struct tool_line *line, const char *text);
void tool_line_free(struct tool_line *line);

/* Tells why the line is down and what to do about it, for `closed` of a port. */
void tool_line_lost(struct tool_line *line, int error);

/* What to poll for. */
struct pollfd tool_line_handle(const struct fwr_tty_port *port);

#endif
