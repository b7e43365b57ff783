/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roads to donors, of whatever kind their configuration says: RMCP+ on a socket, or a serial
 * line, on lanserv's own loop. Called by the module's work; they know no command.
 */
#ifndef FWR_IPMI_SIM_CLIENT_H
#define FWR_IPMI_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <OpenIPMI/lanserv.h>

#include <fwrecover/icmb-road.h>
#include <fwrecover/link.h>
#include <fwrecover/platform.h>

#include "ipmi-sim/config.h"

struct sim_client;

/* Where a road brings its news. Calls must not end the client. */
struct sim_client_events {
    /* An answer to `command`, from the completion code on. */
    void (*reply)(void *ctx, uint8_t peer, uint8_t command, const uint8_t *reply, size_t length);
    /* The road opened (FWR_OK), went down, or is worth another try (FWR_OK again). */
    void (*state)(void *ctx, uint8_t peer, int error, const struct fwr_link_limits *limits);
    /* All that had arrived was handed over: the time to do something about it. */
    void (*drained)(void *ctx);
};

/* One kind of road. */
struct sim_client_kind {
    /* Fills in `own`, `limits` and `link`. FWR_OK, FWR_E_MEMORY, or an error of the road;
     * `end` is called either way. */
    int (*init)(struct sim_client *client, const struct fwr_platform *platform);
    void (*end)(struct sim_client *client);
    void (*retry)(struct sim_client *client);
    uint64_t (*next_timeout)(const struct sim_client *client);
    void (*timeout)(struct sim_client *client, uint64_t now);
};
extern const struct sim_client_kind sim_client_rmcp;
extern const struct sim_client_kind sim_client_serial;
extern const struct sim_client_kind sim_client_icmb;

/* One road. The caller's memory, zeroed; its fields are the client's own but those that are
 * set before init: events, ctx, peer, iana, command_base, sys, bridge and now. */
struct sim_client {
    const struct sim_donor_config *config;
    const struct sim_client_events *events;
    void *ctx;
    uint8_t peer;
    uint32_t iana;
    uint8_t command_base;
    sys_data_t *sys;
    uint64_t (*now)(void *ctx);
    struct fwr_icmb_bridge *bridge; /* NULL: the BMC is on no bus */

    struct fwr_link_limits limits;
    const struct fwr_link *link;
    const struct sim_client_kind *kind;
    void *own; /* the kind's, from malloc */
};

/* Makes a road that is closed. FWR_OK, FWR_E_MEMORY, or an error of the road. */
int sim_client_init(struct sim_client *client, const struct sim_donor_config *config,
                    const struct fwr_platform *platform);

/* Says good-bye to the donor and frees everything. Ending twice is harmless, and one that has
 * ended has nothing to do; not from its own events. */
void sim_client_end(struct sim_client *client);

/* A road that is down is worth another try now. */
void sim_client_retry(struct sim_client *client);

/* When sim_client_timeout wants to be called; FWR_NEVER. */
uint64_t sim_client_next_timeout(const struct sim_client *client);
void sim_client_timeout(struct sim_client *client, uint64_t now);

#endif
