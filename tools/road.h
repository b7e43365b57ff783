/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road to one peer, of whatever kind its address says: RMCP+ on a UDP socket, a serial line, or
 * Bluetooth, or a bus. Called by `recover` (donors) and by the commands that talk to a BMC.
 * Requests are sent once; whoever wants an answer repeats them.
 */
#ifndef FWR_TOOLS_ROAD_H
#define FWR_TOOLS_ROAD_H

#include <stdbool.h>

#include <fwrecover/command.h>
#include <fwrecover/link.h>
#include <fwrecover/rmcp.h>

#include "tools/net.h"
#include "tools/secrets.h"

/* Where the peer is and who we are there. */
struct tool_login {
    const char *target;    /* HOST[:PORT], or the prefix of a kind and what it wants behind that */
    const char *interface; /* over this one only; NULL: whichever leads there */
    uint8_t medium; /* enum fwr_medium; FWR_MEDIUM_LOCAL: as the interface or the kind says */
    uint16_t mtu;   /* of the way there; 0: the interface's */
    const char *user;
    struct tool_secret password;
    struct tool_secret kg;
    uint32_t iana;
    uint8_t suite;
    uint8_t privilege; /* enum fwr_privilege */
};

struct tool_road;

struct tool_road_events {
    /* An answer to `command` (enum fwr_command), from the completion code on. */
    void (*reply)(void *ctx, struct tool_road *road, uint8_t command, const uint8_t *reply,
                  size_t length);
    /* The road opened or is worth another try (FWR_OK), or went down. May be NULL. */
    void (*state)(void *ctx, struct tool_road *road, int error);
    /* The body of a Block Data that the peer sent to everybody. May be NULL. */
    void (*heard)(void *ctx, struct tool_road *road, const uint8_t *data, size_t length);
};

struct tool_road_kind;

/* The caller's memory, not to be moved while open. Give `link` to fwr_oem_pump. */
struct tool_road {
    const struct fwr_link *link;
    struct fwr_link_limits limits;
    const struct tool_login *login;
    const struct tool_road_events *events;
    void *ctx;

    const struct tool_road_kind *kind;
    void *own; /* the kind's, from malloc */
};

/* One kind of road. Its row stands in road.c; nothing else knows it. */
struct tool_road_kind {
    const char *prefix; /* of the addresses: "serial:"; NULL: all that have no known prefix */
    bool sessions;      /* user, password and suite count */

    /* Fills in `own`, `limits` and `link`; `address` is what follows the prefix. Returns an exit
     * status and reports its failures; `close` is called either way. */
    int (*open)(struct tool_road *road, const char *address, const struct fwr_platform *platform);
    void (*close)(struct tool_road *road);
    /* What to poll for: fd -1 for nothing. */
    struct pollfd (*handle)(const struct tool_road *road);
    void (*ready)(struct tool_road *road);
    uint64_t (*next_timeout)(const struct tool_road *road);
    void (*timeout)(struct tool_road *road, uint64_t now);
    /* Whether what is sent from now on is gathered, to leave together. May be NULL. */
    void (*gather)(struct tool_road *road, bool on);
};
extern const struct tool_road_kind tool_road_icmb;
extern const struct tool_road_kind tool_road_rmcp;
extern const struct tool_road_kind tool_road_serial;
extern const struct tool_road_kind tool_road_terminal;
extern const struct tool_road_kind tool_road_bluetooth;

/* Whether one has to log in at this address. */
bool tool_road_has_sessions(const char *target);

/* Looks up the address and makes the road, closed. All that is pointed to must outlive it.
 * Reports its failures. */
int tool_road_open(struct tool_road *road, const struct tool_login *login,
                   const struct fwr_platform *platform, const struct tool_road_events *events,
                   void *ctx);

/* Says good-bye to the peer and frees everything. Closing twice is harmless. */
void tool_road_close(struct tool_road *road);

/* As the link's send, for requests of any length. */
int tool_road_send(struct tool_road *road, uint8_t command, const uint8_t *data, size_t length);

/* Between the two, what is sent is gathered, to leave together. */
void tool_road_gather(struct tool_road *road);
void tool_road_flush(struct tool_road *road);

/* What to poll for, and what to do when poll says so. A road that is closed has nothing to do. */
struct pollfd tool_road_handle(const struct tool_road *road);
void tool_road_ready(struct tool_road *road);

uint64_t tool_road_next_timeout(const struct tool_road *road);
void tool_road_timeout(struct tool_road *road, uint64_t now);

#endif
