/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images may come from, as the command line or a configuration file says. Called by
 * `recover`. Mistakes are reported with file, line and reason.
 */
#ifndef FWR_TOOLS_DONORS_H
#define FWR_TOOLS_DONORS_H

#include "tools/options.h"
#include "tools/road.h"

#define TOOL_DONORS_MAX 32

struct tool_donor {
    struct tool_login login;
    char *target; /* what login.target points to, ours to free */
    char *user;
    char *name;
};

struct tool_donors {
    struct tool_donor items[TOOL_DONORS_MAX];
    unsigned count;
};

/* Adds one; the strings and secrets of `login` are copied. `name` NULL: the target. */
int tool_donors_add(struct tool_donors *donors, const char *name, const struct tool_login *login);

/* Adds those of a file; `login` has what it leaves out. */
int tool_donors_read(struct tool_donors *donors, const char *path, const struct tool_login *login);

/* Wipes the secrets and frees the strings. */
void tool_donors_free(struct tool_donors *donors);

#endif
