/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recipient's roads to its donors, as its peers page tells them: read, drawn as a table, put into
 * a JSON report, and named in one word for the progress line. Called by `recover` (its own engine's
 * page) and `status` (a BMC's); asks nobody anything.
 */
#ifndef FWR_TOOLS_PEERS_H
#define FWR_TOOLS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>

#define TOOL_PEERS_MAX  UINT8_MAX
#define TOOL_ROADS_TEXT 64 /* more than all media together */

struct tool_peers {
    unsigned count;
    bool measured; /* the page tells bytes, rate and round trip */
    struct fwr_peer_entry items[TOOL_PEERS_MAX];
};

/* Reads the page. `read` gets at most `capacity` bytes of it from an offset and says how many in
 * `got`; 0 is the end. FWR_OK, or the error of `read`; then there are no peers. Entries of older
 * recipients are shorter, those of newer ones longer: what is not known is left out. */
int tool_peers_read(struct tool_peers *peers,
                    int (*read)(void *ctx, uint32_t offset, uint8_t *buffer, size_t capacity,
                                size_t *got),
                    void *ctx);

/* The media of the roads that carry, best first: "lan", "serial+icmb", ""; at most capacity - 1
 * characters. */
void tool_peers_carrying(const struct tool_peers *peers, char *text, size_t capacity);

/* Prints the roads of this run, or `all`; `name` says what a peer is called, NULL: nobody knows. */
void tool_peers_table(const struct tool_peers *peers, bool all,
                      const char *(*name)(const void *ctx, uint8_t peer), const void *ctx);

/* Adds "roads", all of them. */
struct json_object;
void tool_peers_json(const struct tool_peers *peers, struct json_object *object,
                     const char *(*name)(const void *ctx, uint8_t peer), const void *ctx);

#endif
