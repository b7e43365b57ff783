/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images may come from, as the command line or a configuration file says. Called by
 * `recover`. Mistakes are reported with file, line and reason.
 */
#ifndef FWR_TOOLS_DONORS_H
#define FWR_TOOLS_DONORS_H

#include <fwrecover/discover.h>
#include <fwrecover/lan.h>

#include "tools/options.h"
#include "tools/road.h"

#define TOOL_DONORS_MAX  32
#define TOOL_MTU_MIN     296
#define TOOL_PING_MIN_MS 100
#define TOOL_PING_MAX_MS 60000

/* An interface to go over. */
struct tool_interface {
    char name[FWR_LAN_NAME_MAX];
    uint8_t medium; /* enum fwr_medium; FWR_MEDIUM_LOCAL: what the system says it is */
};

/* Whether and how donors are searched for that nobody named. Zero means the default. */
struct tool_discover {
    bool on;
    uint16_t port;
    uint8_t max;
    uint32_t interval_ms;
    struct tool_login login; /* what the found are asked with */
    char *user;              /* what login.user points to, where it is ours to free */
};

struct tool_donor {
    struct tool_login login;
    char *target; /* what login.target points to, ours to free */
    char *interface;
    char *user;
    char *name;
};

struct tool_donors {
    struct tool_donor items[TOOL_DONORS_MAX];
    unsigned count;
    struct tool_interface interfaces[FWR_DISCOVER_INTERFACES_MAX];
    unsigned interface_count;
    struct tool_discover discover;
};

/* Adds an interface, "NAME" or "NAME=MEDIUM", before the donors are added. */
int tool_donors_interface(struct tool_donors *donors, const char *text);

/* Adds one; the strings and secrets of `login` are copied. `name` NULL: the target. Where
 * interfaces were added, and `login` and the target name none, it is one donor over each. */
int tool_donors_add(struct tool_donors *donors, const char *name, const struct tool_login *login);

/* Adds those of a file, and takes what it says of interfaces and of discovery; `login` has what it
 * leaves out. */
int tool_donors_read(struct tool_donors *donors, const char *path, const struct tool_login *login);

/* Wipes the secrets and frees the strings. */
void tool_donors_free(struct tool_donors *donors);

#endif
