/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road to one peer: an RMCP+ road (fwrecover/rmcp-road.h) on a UDP socket, and the peer's
 * several addresses. Called by `recover` (donors) and by the commands that talk to a BMC.
 * Requests are sent once; whoever wants an answer repeats them.
 */
#ifndef FWR_TOOLS_ROAD_H
#define FWR_TOOLS_ROAD_H

#include <stdbool.h>

#include <fwrecover/command.h>
#include <fwrecover/link.h>
#include <fwrecover/rmcp-road.h>

#include "tools/net.h"
#include "tools/outbox.h"
#include "tools/secrets.h"

/* Where the peer is and who we are there. */
struct tool_login {
    const char *target;    /* HOST:PORT */
    const char *interface; /* over this one only; NULL: whichever leads there */
    uint8_t medium;        /* enum fwr_medium; FWR_MEDIUM_LOCAL: what the interface is */
    uint16_t mtu;          /* of the way there; 0: the interface's */
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
};

/* The caller's memory, not to be moved while open. Give `link` to fwr_oem_pump. */
struct tool_road {
    const struct fwr_link *link;
    struct fwr_link_limits limits;
    const struct tool_login *login;
    const struct tool_road_events *events;
    void *ctx;
    int fd; /* for poll; -1 when there is no socket */

    /* The road's own. */
    char interface[FWR_LAN_NAME_MAX]; /* "": any */
    struct addrinfo *addresses;
    const struct addrinfo *address; /* the one in use */
    bool opened;                    /* a session was opened at this address */
    struct fwr_rmcp_initiator_config session;
    struct fwr_rmcp_road_config config;
    struct fwr_rmcp_road *road;
    void *storage;
    bool gathering;
    struct tool_outbox outbox;
};

/* Looks up the address and makes the session, closed. All that is pointed to must outlive the
 * road. Reports its failures. */
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

/* The socket is readable. */
void tool_road_readable(struct tool_road *road);

uint64_t tool_road_next_timeout(const struct tool_road *road);
void tool_road_timeout(struct tool_road *road, uint64_t now);

#endif
