/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors that are found (fwrecover/discover.h), on lanserv's loop: pings, answers, and the
 * recipient's spare peers for who answers. Called by the module's work.
 */
#ifndef FWR_IPMI_SIM_DISCOVER_H
#define FWR_IPMI_SIM_DISCOVER_H

#include <OpenIPMI/lanserv.h>

#include <fwrecover/discover.h>
#include <fwrecover/lan-pinger.h>

#include "ipmi-sim/config.h"

struct sim_bmc;

/* An interface that is searched. */
struct sim_search {
    struct sim_bmc *bmc;
    struct fwr_lan_pinger pinger;
    ipmi_io_t *io;
    uint8_t number;
    int error; /* of the last ping */
};

/* The BMC's part, zeroed. */
struct sim_discover {
    struct fwr_discover *discover; /* NULL: nobody is searched for */
    struct fwr_discover_config config;
    struct sim_search searches[FWR_DISCOVER_INTERFACES_MAX];
    struct sim_donor_config donors[FWR_DISCOVER_SLOTS_MAX]; /* who has the slots */
    char hosts[FWR_DISCOVER_SLOTS_MAX][FWR_LAN_HOST_MAX];
    char names[FWR_DISCOVER_SLOTS_MAX][FWR_LAN_HOST_MAX + 8 + FWR_LAN_NAME_MAX + 8];
    void *storage;
};

/* Prepares the search, where the configuration has one, and the spare peers behind those of the
 * configured donors. FWR_OK, FWR_E_MEMORY, or an error of the discovery. */
int sim_discover_init(struct sim_bmc *bmc);
/* When the recipient is there: its spare peers are nobody yet. */
void sim_discover_begin(struct sim_bmc *bmc);
void sim_discover_end(struct sim_bmc *bmc);

/* What became of a peer's road: FWR_OK, an answer came; else why it is down. Configured donors are
 * none of its business. */
void sim_discover_result(struct sim_bmc *bmc, uint8_t peer, int error);

uint64_t sim_discover_next_timeout(const struct sim_bmc *bmc);
/* Does what is due; from the loop only, since roads may be opened and closed. */
void sim_discover_work(struct sim_bmc *bmc);

#endif
