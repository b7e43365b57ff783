/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial lines on the command line: DEVICE[:BAUD], and what to tell people whose device is not
 * there. Called by both ends, road-serial.c and listener-serial.c.
 */
#ifndef FWR_TOOLS_LINE_H
#define FWR_TOOLS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include <fwrecover/tty.h>

#include "tools/net.h"

struct tool_line {
    char *path;
    uint32_t baud;
};

/* Reads DEVICE[:BAUD]. Reports mistakes, returns an exit status; tool_line_free is due either
 * way. Whether there is such a device is not looked at: it may come later. */
int tool_line_parse(struct tool_line *line, const char *text, uint32_t default_baud);
void tool_line_free(struct tool_line *line);

/* Tells why the line is down and what to do about it, for `closed` of a port. */
void tool_line_lost(struct tool_line *line, int error);

/* What to poll for. */
struct pollfd tool_line_handle(const struct fwr_tty_port *port);

#endif
