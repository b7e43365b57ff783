/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes on ICMBs that are answered: requests in, the dispatcher asked, answers out, and the blocks
 * that several want to everybody at once. A bus has no sessions: every node on it may ask what a
 * USER may, because the operator named the device. Called by `serve`.
 */
#ifndef FWR_TOOLS_ICMB_LISTENER_H
#define FWR_TOOLS_ICMB_LISTENER_H

#include <fwrecover/oem.h>
#include <fwrecover/rmcp.h>

#include "tools/icmb-bus.h"
#include "tools/options.h"

struct tool_icmb_listener {
    struct tool_icmb_bus bus;
    uint16_t link; /* its number in struct fwr_caller */
    const struct fwr_oem *oem;
    const struct fwr_rmcp_device *device;
};

#define TOOL_ICMB_LISTENERS_MAX 4
struct tool_icmb_listeners {
    struct tool_icmb_listener items[TOOL_ICMB_LISTENERS_MAX];
    uint16_t count;
    struct fwr_rmcp_device device;
};

/* Opens the devices (DEVICE[:BAUD]/ADDRESS); those that are not there now, when they come. `packet`
 * is the longest packet's data. Fills in what Get Capabilities says, unless somebody else has, and
 * must outlive the listeners. Reports its failures. */
int tool_icmb_listeners_open(struct tool_icmb_listeners *listeners, const struct tool_list *list,
                             uint32_t packet, uint32_t iana, const struct fwr_platform *platform,
                             struct fwr_oem *oem);
void tool_icmb_listeners_close(struct tool_icmb_listeners *listeners);

/* Says where, to a person (" DEVICE/ADDRESS") or into a JSON array. */
void tool_icmb_listeners_print(const struct tool_icmb_listeners *listeners);
struct json_object;
void tool_icmb_listeners_json(const struct tool_icmb_listeners *listeners,
                              struct json_object *list);

/* What the donor has for everybody, as far as there is room for it. After its steps. */
void tool_icmb_listeners_speak(struct tool_icmb_listeners *listeners);

/* What to wait for: the handles (at most TOOL_ICMB_LISTENERS_MAX; their number) and the time. */
size_t tool_icmb_listeners_handles(const struct tool_icmb_listeners *listeners,
                                   struct pollfd *handles);
uint64_t tool_icmb_listeners_next_timeout(const struct tool_icmb_listeners *listeners);

/* Answers what has arrived, a bounded number of bytes, and does what is due. */
void tool_icmb_listeners_work(struct tool_icmb_listeners *listeners, const struct pollfd *handles);

#endif
