/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC's place on an ICMB: a bridge (fwrecover/icmb.h) on a serial device, on lanserv's own loop.
 * It answers the bridge commands that reach the BMC (network function 02h), hands what comes from
 * the bus to the BMC's own handlers, and carries the roads to donors. Nothing here waits.
 */
#ifndef FWR_IPMI_SIM_ICMB_H
#define FWR_IPMI_SIM_ICMB_H

#include <stdbool.h>
#include <stdint.h>

#include <OpenIPMI/lanserv.h>

#include <fwrecover/icmb.h>
#include <fwrecover/oem.h>
#include <fwrecover/store.h>

#include "ipmi-sim/config.h"
#include "ipmi-sim/port.h"
#include "oem-cmds/lanserv.h"

#define NETFN_BRIDGE     0x02
#define SIM_ICMB_PENDING 16
/* The number of this road in struct fwr_caller. */
#define SIM_ICMB_LINK (FWR_LANSERV_LINKS + 1)

/* Where the bridge brings its news. Calls must not end it. */
struct sim_icmb_events {
    void (*log)(void *ctx, const char *text);
    /* Something was handed over: the engines may have work, and sim_icmb_turn is due after it. */
    void (*news)(void *ctx);
    /* A Block Data body that everybody heard. */
    void (*heard)(void *ctx, uint16_t source, const uint8_t *data, size_t length);
    /* The next such body for everybody: its length; 0: none now. */
    size_t (*speak)(void *ctx, uint8_t *data, size_t capacity);
    /* 1 + the index of the donor at this address; 0: none. */
    uint8_t (*peer)(void *ctx, uint16_t source);
};

/* The caller's memory, zeroed; the first fields are set before init. */
struct sim_icmb {
    const struct sim_icmb_config *config;
    const struct sim_icmb_events *events;
    void *ctx;
    sys_data_t *sys;
    struct fwr_lanserv *lanserv;
    const struct fwr_platform *platform;
    const struct fwr_store *store; /* keeps the address */

    struct fwr_icmb_bridge *bridge; /* NULL: not on a bus */
    void *storage;
    uint16_t saved; /* address in the store */
    bool fresh;     /* something came that the engines should hear of */
    struct sim_port port;
    struct fwr_tty_port_config port_config;
    bool begun;
    int timer; /* a timerfd: lanserv's own timers round up to milliseconds, two characters */
    struct {
        channel_t *channel;
        msg_t *message;          /* NULL: free */
    } pending[SIM_ICMB_PENDING]; /* bridge commands that wait for the bus */
};

/* Makes a bridge that looks for its address from sim_icmb_begin on. FWR_OK, FWR_E_MEMORY, or an
 * error of fwr_icmb_bridge_init. */
int sim_icmb_init(struct sim_icmb *icmb);
/* From post_init: opens the device, as soon as there is one. */
int sim_icmb_begin(struct sim_icmb *icmb);
void sim_icmb_end(struct sim_icmb *icmb);

/* A message of network function 02h to the BMC; answered now or later. */
void sim_icmb_command(struct sim_icmb *icmb, channel_t *channel, msg_t *message);

/* Sends what is to be sent and does what is due. Call it after anything that used the bridge. */
void sim_icmb_turn(struct sim_icmb *icmb);

#endif
