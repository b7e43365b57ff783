/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bluetooth channels (RFCOMM) at which recipients are answered, in Basic Mode, several of them at
 * once. There are no sessions: whoever may connect, by what the system's pairing allows, may ask
 * what a USER may, because the operator named the channel. Called by `serve`; knows no engine
 * beyond struct fwr_oem.
 */
#ifndef FWR_TOOLS_BLUETOOTH_LISTENER_H
#define FWR_TOOLS_BLUETOOTH_LISTENER_H

#include <fwrecover/oem.h>
#include <fwrecover/rfcomm.h>
#include <fwrecover/rmcp.h>
#include <fwrecover/serial.h>
#include <fwrecover/tty.h>

#include "tools/net.h"
#include "tools/options.h"

#define TOOL_BLUETOOTH_CHANNELS_MAX 8
#define TOOL_BLUETOOTH_CALLERS_MAX  7 /* as many as a controller has at once */
#define TOOL_BLUETOOTH_HANDLES_MAX  (TOOL_BLUETOOTH_CHANNELS_MAX + TOOL_BLUETOOTH_CALLERS_MAX)

struct tool_bluetooth_listeners;

/* Somebody who is connected. */
struct tool_bluetooth_caller {
    const struct tool_bluetooth_listeners *listeners;
    bool taken;   /* this place */
    bool gone;    /* the connection is lost: the place is free when the port's call has returned */
    int accepted; /* until the port takes it */
    uint32_t session;
    uint64_t heard; /* when a request last came */
    char peer[FWR_RFCOMM_TEXT];
    struct fwr_tty_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_serial_responder_config config;
    struct fwr_serial_responder *responder;
    void *storage;
};

struct tool_bluetooth_channel {
    struct fwr_rfcomm_address local;
    int fd;           /* -1: to be opened again at `open_at` */
    uint64_t open_at; /* or, with a socket, when to look at it again; 0: whenever it is readable */
};

struct tool_bluetooth_listeners {
    struct tool_bluetooth_channel channels[TOOL_BLUETOOTH_CHANNELS_MAX];
    uint16_t count;
    struct tool_bluetooth_caller callers[TOOL_BLUETOOTH_CALLERS_MAX];
    uint32_t sessions; /* the last number given out */
    const struct fwr_oem *oem;
    struct fwr_rmcp_device device;
};

/* Listens at [ADDRESS/]CHANNEL of the list: the adapter with that address, or every one. Fills in
 * what Get Capabilities says, unless somebody else has, and must outlive the listeners. Reports
 * its failures; with `alone` one that this kernel has no Bluetooth, else only a remark is made and
 * the other ways of reaching this donor go on. */
int tool_bluetooth_listeners_open(struct tool_bluetooth_listeners *listeners,
                                  const struct tool_list *list, uint32_t iana, struct fwr_oem *oem,
                                  bool alone);
void tool_bluetooth_listeners_close(struct tool_bluetooth_listeners *listeners);

/* Says where, to a person (" bluetooth:ADDRESS/CHANNEL") or into a JSON array. */
void tool_bluetooth_listeners_print(const struct tool_bluetooth_listeners *listeners);
struct json_object;
void tool_bluetooth_listeners_json(const struct tool_bluetooth_listeners *listeners,
                                   struct json_object *list);

/* What to wait for: the handles (at most TOOL_BLUETOOTH_HANDLES_MAX; their number) and the time. */
size_t tool_bluetooth_listeners_handles(const struct tool_bluetooth_listeners *listeners,
                                        struct pollfd *handles);
uint64_t tool_bluetooth_listeners_next_timeout(const struct tool_bluetooth_listeners *listeners);

/* Answers what has arrived, a bounded number of bytes, and takes who calls. */
void tool_bluetooth_listeners_work(struct tool_bluetooth_listeners *listeners,
                                   const struct pollfd *handles);

#endif
