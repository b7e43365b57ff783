/* SPDX-License-Identifier: Apache-2.0 */
/* See line.h. */
#include "tools/line.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/number.h"
#include "tools/say.h"

int tool_line_parse(struct tool_line *line, const char *text, uint32_t default_baud)
{
    const char *colon = strrchr(text, ':');
    uint64_t baud = default_baud;

    *line = (struct tool_line){.path = NULL};
    /* A device's name may have colons, as those under /dev/serial/by-path do. */
    if (colon != NULL && strchr(colon, '/') != NULL)
        colon = NULL;
    if (colon != NULL && !tool_number(colon + 1, UINT32_MAX, &baud))
        return tool_usage("%s: not DEVICE or DEVICE:BAUD; if the device's name ends like that, "
                          "give the speed, too",
                          text);
    line->baud = (uint32_t)baud;
    line->path = strdup(text);
    if (line->path == NULL)
        return tool_error(FWR_E_MEMORY, text, NULL);
    if (colon != NULL)
        line->path[colon - text] = '\0';
    if (line->path[0] == '\0')
        return tool_usage("%s: a device is needed", text);
    if (!fwr_tty_knows_baud(line->baud))
        return tool_usage("%s: terminals do not have this speed; 9600, 19200 and 115200 are usual",
                          text);
    return TOOL_OK;
}

void tool_line_free(struct tool_line *line)
{
    free(line->path);
    line->path = NULL;
}

void tool_line_lost(struct tool_line *line, int error)
{
    const char *why;

    switch (error) {
    case FWR_E_NOT_FOUND:
        why = "there is no such device now; it is opened when it comes";
        break;
    case FWR_E_ACCESS:
        why = "the system forbids access (serial devices are often the group dialout's); it is "
              "tried again";
        break;
    case FWR_E_BUSY:
        why = "another program has this device; it is tried again";
        break;
    case FWR_E_UNSUPPORTED:
        why = "this is not a terminal";
        break;
    default:
        why = "the device is gone; it is opened again when it comes back";
    }
    tool_note("%s: %s", line->path, why);
}

struct pollfd tool_line_handle(const struct fwr_tty_port *port)
{
    short events = POLLIN;

    if (fwr_tty_port_waits(port))
        events |= POLLOUT;
    return (struct pollfd){.fd = port->tty.fd, .events = events};
}
