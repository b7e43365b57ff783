/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The region map as the command line gives it: --preserve, --fill and --boot ranges, the rest of
 * the chip is `write`; and the guard block. Called by `image create` and, for a board's own map,
 * by `recover`. Mistakes are reported and come back as the exit status.
 */
#ifndef FWR_TOOLS_LAYOUT_H
#define FWR_TOOLS_LAYOUT_H

#include <stdint.h>

#include <fwrecover/manifest.h>

#include "tools/options.h"

struct tool_layout {
    struct tool_list preserve; /* OFFSET:LENGTH */
    struct tool_list fill;     /* OFFSET:LENGTH:BYTE */
    struct tool_list boot;     /* OFFSET:LENGTH */
    const char *guard;         /* "top", "bottom", "none" or an address; NULL: none */
};

/* Fills map and guard. A guard without a --boot range marks the `write` region it lies in. */
int tool_layout_map(const struct tool_layout *layout, uint32_t flash_size, uint32_t block_size,
                    struct fwr_region_map *map, uint32_t *guard);

#endif
