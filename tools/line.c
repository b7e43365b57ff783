/* SPDX-License-Identifier: Apache-2.0 */
/* See line.h. */
#include "tools/line.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/number.h"
#include "tools/say.h"

int tool_line_parse_at(struct tool_line *line, const char *text, uint32_t default_baud)
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

int tool_line_parse(struct tool_line *line, const char *text)
{
    return tool_line_parse_at(line, text, FWR_TTY_BAUD_DEFAULT);
}

int tool_line_parse_bluetooth(struct tool_line *line, const char *text)
{
    char shown[FWR_RFCOMM_TEXT];

    *line = (struct tool_line){.path = NULL};
    if (fwr_rfcomm_address_parse(text, &line->peer) != FWR_OK)
        return tool_usage(
            "bluetooth:%s: not AA:BB:CC:DD:EE:FF or AA:BB:CC:DD:EE:FF/CHANNEL, with a "
            "channel of 1 to %d",
            text, FWR_RFCOMM_CHANNEL_MAX);
    fwr_rfcomm_address_print(&line->peer, shown);
    line->path = strdup(shown);
    return line->path != NULL ? TOOL_OK : tool_error(FWR_E_MEMORY, text, NULL);
}

void tool_line_free(struct tool_line *line)
{
    free(line->path);
    line->path = NULL;
}

static const char *device_lost(int error)
{
    switch (error) {
    case FWR_E_NOT_FOUND:
        return "there is no such device now; it is opened when it comes";
    case FWR_E_ACCESS:
        return "the system forbids access (serial devices are often the group dialout's); it is "
               "tried again";
    case FWR_E_BUSY:
        return "another program has this device; it is tried again";
    case FWR_E_UNSUPPORTED:
        return "this is not a terminal";
    default:
        return "the device is gone; it is opened again when it comes back";
    }
}

static const char *bluetooth_lost(int error)
{
    switch (error) {
    case FWR_E_NO_BLUETOOTH:
        return "this kernel has no Bluetooth (or this is a container)";
    case FWR_E_ADAPTER:
        return "no Bluetooth adapter is switched on; the donor is called when one is";
    case FWR_E_UNREACHABLE:
    case FWR_E_TIMEOUT:
        return "it does not answer, or is out of range; it is called again";
    case FWR_E_REFUSED:
        return "it answers, but nothing listens at this channel; it is called again";
    case FWR_E_BUSY:
        return "another program of this machine has this channel; it is called again";
    case FWR_E_ACCESS:
        return "the two must be paired first (bluetoothctl pair); it is called again";
    default:
        return "the connection broke; it is called again";
    }
}

void tool_line_lost(struct tool_line *line, int error)
{
    const char *why = line->baud != 0 ? device_lost(error) : bluetooth_lost(error);

    tool_note("%s: %s", line->path, why);
}

struct pollfd tool_line_handle(const struct fwr_tty_port *port)
{
    short events = POLLIN;

    if (fwr_tty_port_waits(port))
        events |= POLLOUT;
    return (struct pollfd){.fd = port->tty.fd, .events = events};
}
