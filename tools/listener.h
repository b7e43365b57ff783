/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening UDP sockets with an RMCP+ responder behind each: datagrams in, the dispatcher asked,
 * answers out. Called by `serve`, and by `recover` for a console; knows no engine beyond struct
 * fwr_oem.
 */
#ifndef FWR_TOOLS_LISTENER_H
#define FWR_TOOLS_LISTENER_H

#include <fwrecover/oem.h>
#include <fwrecover/rmcp.h>

#include "tools/net.h"
#include "tools/outbox.h"
#include "tools/options.h"
#include "tools/secrets.h"

/* Who may come in, and how. */
struct tool_sessions {
    struct tool_secret password; /* to be read before init */
    struct tool_secret kg;       /* likewise; may be empty */
    struct fwr_rmcp_user user;
    struct fwr_rmcp_responder_config config; /* limits may be changed after init */
};

/* `suites` lists "17" and "3"; empty means 17. Reports mistakes. */
int tool_sessions_init(struct tool_sessions *sessions, const char *user,
                       const struct tool_list *suites, uint32_t iana,
                       const struct fwr_platform *platform);
void tool_sessions_wipe(struct tool_sessions *sessions);

struct tool_listener {
    int fd;
    int broadcast_fd; /* presence pings to everybody come here; -1: they come to `fd`, or not */
    uint16_t link;    /* its number in struct fwr_caller */
    uint8_t medium;   /* enum fwr_medium */
    char address[TOOL_ADDRESS_TEXT];
    struct fwr_rmcp_responder_config config;
    struct fwr_rmcp_responder *responder;
    void *storage;
    const struct fwr_oem *oem;
    struct tool_outbox outbox;
};

#define TOOL_LISTENERS_MAX     8
#define TOOL_LISTENERS_HANDLES (2 * TOOL_LISTENERS_MAX)
struct tool_listeners {
    struct tool_listener items[TOOL_LISTENERS_MAX];
    uint16_t count;
};

/* Binds the addresses (every one of this machine, if `list` is empty), each on every interface of
 * `interfaces` (NULL or empty: any, but for ADDRESS%INTERFACE), and fills in what Get Capabilities
 * says of the road. Presence pings are answered also when they came by broadcast. `sessions` and
 * `oem` must outlive the listeners. Reports its failures. */
int tool_listeners_open(struct tool_listeners *listeners, const struct tool_list *list,
                        const struct tool_list *interfaces, const struct tool_sessions *sessions,
                        struct fwr_oem *oem);
void tool_listeners_close(struct tool_listeners *listeners);

/* Says where, to a person (" ADDRESS ADDRESS") or as a JSON array for the caller to own. */
void tool_listeners_print(const struct tool_listeners *listeners);
struct json_object *tool_listeners_json(const struct tool_listeners *listeners);

/* What to wait for: the handles (at most TOOL_LISTENERS_HANDLES; their number) and the time. */
size_t tool_listeners_handles(const struct tool_listeners *listeners, struct pollfd *handles);
uint64_t tool_listeners_next_timeout(const struct tool_listeners *listeners);

/* Answers what has arrived, a bounded number of datagrams, and ends what has expired. */
void tool_listeners_work(struct tool_listeners *listeners, const struct pollfd *handles);

#endif
