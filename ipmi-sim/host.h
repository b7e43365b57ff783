/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine behind the BMC: its power, held off while the flash is being repaired. Where
 * lan.conf starts a virtual machine, power commands go on to that; else the power is a model.
 */
#ifndef FWR_IPMI_SIM_HOST_H
#define FWR_IPMI_SIM_HOST_H

#include <stdbool.h>

#include <OpenIPMI/lanserv.h>

#include <fwrecover/host.h>

/* The caller's memory; fields are the host's own but for `held` and `on`, which may be read. */
struct sim_host {
    struct fwr_host host;
    sys_data_t *sys;
    channel_t *system; /* with a machine: the channel its operations go through */
    int (*stock_op)(channel_t *channel, unsigned int op);
    void (*changed)(void *ctx); /* the power was switched; may be NULL */
    void *ctx;
    bool held;
    bool on;    /* the model's power */
    bool found; /* at hold */
    bool asked; /* the machine, to go off */
};

/* From ipmi_sim_module_init: chassis control is answered by the model. lanserv's machine
 * operations carry no context, so there is one host in a process. FWR_OK or FWR_E_IO. */
int sim_host_init(struct sim_host *host, sys_data_t *sys, bool on);

/* From ipmi_sim_module_post_init: with a machine, takes its operations over from the model. */
void sim_host_attach(struct sim_host *host);

#endif
