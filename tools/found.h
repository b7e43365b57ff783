/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors that are found (fwrecover/discover.h): the sockets that ping, and what is to be done
 * with who answers. Called by `recover`, which has the roads.
 */
#ifndef FWR_TOOLS_FOUND_H
#define FWR_TOOLS_FOUND_H

#include <fwrecover/discover.h>
#include <fwrecover/lan-pinger.h>

#include "tools/donors.h"
#include "tools/net.h"

#define TOOL_FOUND_MAX FWR_DISCOVER_SLOTS_MAX

struct tool_found_events {
    /* Somebody has the slot: `login` and `name` live until it is closed. */
    void (*open)(void *ctx, uint8_t slot, const struct tool_login *login, const char *name,
                 uint32_t round_trip_ms);
    void (*close)(void *ctx, uint8_t slot);
};

/* The caller's memory, zeroed, not to be moved while in use. */
struct tool_found {
    struct fwr_discover *discover; /* NULL: nobody is searched for */
    struct fwr_discover_config config;
    struct fwr_discover_interface interfaces[FWR_DISCOVER_INTERFACES_MAX];
    struct fwr_lan_pinger pingers[FWR_DISCOVER_INTERFACES_MAX];
    int errors[FWR_DISCOVER_INTERFACES_MAX]; /* of the last ping */
    struct tool_login logins[TOOL_FOUND_MAX];
    char targets[TOOL_FOUND_MAX][FWR_LAN_HOST_MAX + 8];
    char names[TOOL_FOUND_MAX][FWR_LAN_HOST_MAX + 8 + FWR_LAN_NAME_MAX + 8];
    const struct tool_login *login;
    const struct tool_found_events *events;
    void *ctx;
    void *storage;
};

/* Where `donors` says that donors are to be searched for: takes its interfaces, or all that can
 * broadcast. `store` has what earlier runs learned. Reports its failures. */
int tool_found_init(struct tool_found *found, const struct tool_donors *donors,
                    const struct fwr_store *store, const struct fwr_platform *platform,
                    const struct tool_found_events *events, void *ctx);
void tool_found_end(struct tool_found *found);

/* What became of a slot's road: FWR_OK, an answer came; else why it is down. */
void tool_found_result(struct tool_found *found, uint8_t slot, int error);

/* What to wait for: handles (at most FWR_DISCOVER_INTERFACES_MAX; their number) and the time. */
size_t tool_found_handles(const struct tool_found *found, struct pollfd *handles);
uint64_t tool_found_next_timeout(const struct tool_found *found);

/* Takes what has arrived and does what is due. `wanted`: donors are being looked for. */
void tool_found_work(struct tool_found *found, bool wanted);

#endif
