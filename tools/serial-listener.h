/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial lines that are answered: bytes in, the dispatcher asked, bytes out. There are no
 * sessions on a line: whoever holds its other end may ask what a USER may, because the operator
 * named the device. Called by `serve`; knows no engine beyond struct fwr_oem.
 */
#ifndef FWR_TOOLS_SERIAL_LISTENER_H
#define FWR_TOOLS_SERIAL_LISTENER_H

#include <fwrecover/oem.h>
#include <fwrecover/rmcp.h>
#include <fwrecover/serial.h>
#include <fwrecover/tty.h>

#include "tools/line.h"
#include "tools/net.h"
#include "tools/options.h"

struct tool_serial_listener {
    struct tool_line line;
    uint16_t link; /* its number in struct fwr_caller */
    uint16_t max_reply;
    bool down;       /* and somebody was told */
    uint32_t stream; /* the opening that last brought a request */
    const struct fwr_oem *oem;
    const struct fwr_rmcp_device *device;
    struct fwr_tty_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_serial_responder_config config;
    struct fwr_serial_responder *responder;
    void *storage;
};

#define TOOL_SERIAL_LISTENERS_MAX 8
struct tool_serial_listeners {
    struct tool_serial_listener items[TOOL_SERIAL_LISTENERS_MAX];
    uint16_t count;
    struct fwr_rmcp_device device;
};

/* Opens the devices (DEVICE[:BAUD]); those that are not there now, when they come. `mode` is
 * "basic" or "terminal", `message` the longest message (fwrecover/serial.h). Fills in what Get
 * Capabilities says, unless somebody else has, and must outlive the listeners. Reports its
 * failures. */
int tool_serial_listeners_open(struct tool_serial_listeners *listeners,
                               const struct tool_list *list, const char *mode, uint32_t message,
                               uint32_t iana, struct fwr_oem *oem);
void tool_serial_listeners_close(struct tool_serial_listeners *listeners);

/* Says where, to a person (" DEVICE DEVICE") or into a JSON array. */
void tool_serial_listeners_print(const struct tool_serial_listeners *listeners);
struct json_object;
void tool_serial_listeners_json(const struct tool_serial_listeners *listeners,
                                struct json_object *list);

/* What to wait for: the handles (at most TOOL_SERIAL_LISTENERS_MAX; their number) and the time. */
size_t tool_serial_listeners_handles(const struct tool_serial_listeners *listeners,
                                     struct pollfd *handles);
uint64_t tool_serial_listeners_next_timeout(const struct tool_serial_listeners *listeners);

/* Answers what has arrived, a bounded number of bytes, and opens what was gone. */
void tool_serial_listeners_work(struct tool_serial_listeners *listeners,
                                const struct pollfd *handles);

/* Fills in what Get Capabilities says, unless somebody else has, and lets those be answered who
 * have no session. */
void tool_sessionless_allow(struct fwr_oem *oem, enum fwr_serial_mode mode, uint32_t iana);

/* The answer, from the completion code on, to one message that came over a road without
 * sessions: ours, Get Device ID, C1h to the rest. `capacity` at least FWR_OEM_HEADER +
 * FWR_LINK_MIN_REPLY. */
size_t tool_sessionless_answer(const struct fwr_oem *oem, const struct fwr_rmcp_device *device,
                               const struct fwr_caller *caller, uint8_t netfn, uint8_t command,
                               const uint8_t *data, size_t length, uint8_t *reply, size_t capacity);

#endif
