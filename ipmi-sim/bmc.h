/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One BMC: the engines with all that they stand on, put together from a configuration, and the
 * work that keeps them going on lanserv's loop. Called by the module's entry points.
 */
#ifndef FWR_IPMI_SIM_BMC_H
#define FWR_IPMI_SIM_BMC_H

#include <stdio.h>

#include <fwrecover/donor.h>
#include <fwrecover/flash-file.h>
#include <fwrecover/keyring.h>
#include <fwrecover/oem.h>
#include <fwrecover/policy.h>
#include <fwrecover/recipient.h>
#include <fwrecover/source-file.h>
#include <fwrecover/source-flash.h>
#include <fwrecover/store-dir.h>

#include "ipmi-sim/client.h"
#include "ipmi-sim/config.h"
#include "ipmi-sim/discover.h"
#include "ipmi-sim/host.h"
#include "ipmi-sim/icmb.h"
#include "ipmi-sim/serial.h"
#include "oem-cmds/lanserv.h"

struct sim_bmc {
    sys_data_t *sys;
    struct sim_config config;
    FILE *log;
    struct fwr_platform platform;

    /* What the engines stand on. */
    struct fwr_flash_file flash;
    struct fwr_store_dir store;
    struct fwr_keyring keyring;
    uint8_t *keyring_storage;
    uint8_t *provisioned;          /* the configured trust set, where the store had none */
    const struct fwr_trust *trust; /* the keyring's; NULL: unprovisioned */
    uint32_t generation;           /* of the set under which the donor verified its images */
    struct fwr_region_map map;     /* the board's own, where ranges are configured */
    struct sim_host host;
    struct fwr_policy policy;
    struct fwr_source_flash own;
    struct fwr_source_file files[SIM_IMAGES_MAX];
    const struct fwr_source *sources[FWR_DONOR_IMAGES_MAX];
    struct sim_icmb icmb;
    struct sim_discover found;
    struct sim_client clients[SIM_PEERS_MAX]; /* first the configured donors */
    const struct fwr_link *links[SIM_PEERS_MAX];
    struct fwr_peer peers[SIM_PEERS_MAX];
    uint8_t peer_count;

    /* The engines. */
    struct fwr_recipient_config recipient_config;
    struct fwr_donor_config donor_config;
    struct fwr_recipient *recipient; /* NULL: not in this role */
    struct fwr_recipient *slots[1];
    struct fwr_donor *donor;
    void *recipient_storage;
    void *donor_storage;

    struct fwr_oem oem;
    struct fwr_lanserv lanserv;
    struct sim_serial serials[SIM_SERIALS_MAX];

    /* The work. */
    ipmi_timer_t *timer;
    uint64_t next_scan;
    uint32_t judged_run; /* the last run whose end led to what it had to */
    bool asking;         /* the recipient was, when last seen */
    bool yielded;        /* the donor does without the flash that is being repaired */
    bool ready;          /* the loop may call us */
};

/* Builds everything; false after a complaint on standard error and in the log. */
bool sim_bmc_init(struct sim_bmc *bmc, sys_data_t *sys, const char *config);
/* Ends the sessions and wipes what is secret. */
void sim_bmc_end(struct sim_bmc *bmc);

/* Milliseconds of lanserv's monotonic clock. */
uint64_t sim_bmc_now(void *bmc);
/* One line for the log, with the time in front. */
void sim_bmc_log(struct sim_bmc *bmc, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes the road of a peer. As sim_client_init. */
int sim_bmc_road(struct sim_bmc *bmc, uint8_t peer, const struct sim_donor_config *config);

/* work.c: from post_init on the work goes on by itself; call `kick` when a message may have
 * brought something to do. */
int sim_work_begin(struct sim_bmc *bmc);
void sim_work_kick(void *bmc);
/* Messages to the BMC that may be a sign of life of its host: the boot proof. */
bool sim_work_other(void *bmc, channel_t *channel, msg_t *message);
extern const struct sim_client_events sim_work_client_events;
extern const struct sim_icmb_events sim_work_icmb_events;

#endif
