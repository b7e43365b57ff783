/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Showing how far a recovery has come, on standard error: a bar that is drawn over on a terminal,
 * else a line for each step. Called by `recover` and `status --watch`.
 */
#ifndef FWR_TOOLS_PROGRESS_H
#define FWR_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <fwrecover/command.h>

#include "tools/peers.h"

struct tool_progress {
    bool terminal;
    bool drawn; /* a bar stands on the last line */
    int state;
    int percent;
    uint32_t fetched;
    char roads[TOOL_ROADS_TEXT]; /* that carried last */
};

void tool_progress_init(struct tool_progress *progress);

/* Shows the state if it has changed visibly, with the roads that carry (tool_peers_carrying; empty:
 * none, NULL: nobody knows), and says when others do than before. */
void tool_progress_show(struct tool_progress *progress, const struct fwr_get_status_reply *status,
                        const char *roads);

/* Wipes the bar, so that other text may follow. */
void tool_progress_clear(struct tool_progress *progress);

/* A run's status page as a closing table, or as JSON. */
void tool_progress_table(const struct fwr_status_page *page);
struct json_object;
struct json_object *tool_progress_json(const struct fwr_status_page *page);

#endif
