/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine behind the BMC: see host.h. Chassis commands and the watchdog both come through
 * here, and while the recipient holds the host neither can start it.
 */
#include "ipmi-sim/host.h"

#include <errno.h>
#include <string.h>

#include <OpenIPMI/mcserv.h>

#include <fwrecover/error.h>

#define BMC_ADDRESS    0x20
#define SYSTEM_CHANNEL 15

/* lanserv's hw_op carries no context. */
static struct sim_host *attached;

static void tell(struct sim_host *host)
{
    if (host->changed != NULL)
        host->changed(host->ctx);
}

/* ---- without a machine: the model ---- */

static int chassis_set(lmc_data_t *mc, int op, unsigned char *value, void *ctx)
{
    struct sim_host *host = ctx;

    (void)mc;
    switch (op) {
    case CHASSIS_CONTROL_POWER:
        if (host->held && *value != 0)
            return EBUSY;
        if (!host->held)
            host->on = *value != 0;
        tell(host);
        return 0;
    case CHASSIS_CONTROL_RESET:
        if (host->held)
            return EBUSY;
        tell(host);
        return 0;
    case CHASSIS_CONTROL_GRACEFUL_SHUTDOWN:
        host->on = false;
        tell(host);
        return 0;
    default:
        return ENOTSUP;
    }
}

static int chassis_get(lmc_data_t *mc, int op, unsigned char *value, void *ctx)
{
    const struct sim_host *host = ctx;

    (void)mc;
    if (op != CHASSIS_CONTROL_POWER)
        return ENOTSUP;
    *value = host->on;
    return 0;
}

/* ---- with a machine ---- */

static int machine_op(channel_t *channel, unsigned int op)
{
    struct sim_host *host = attached;

    if (host->held && (op == HW_OP_POWERON || op == HW_OP_RESET))
        return EBUSY;
    return host->stock_op(channel, op);
}

static bool machine_on(const struct sim_host *host)
{
    return host->system->mc != NULL && host->sys->startcmd != NULL &&
           host->sys->startcmd->vmpid != 0;
}

/* ---- the contract ---- */

static enum fwr_host_power host_power(void *ctx)
{
    const struct sim_host *host = ctx;
    bool on = host->system != NULL ? machine_on(host) : host->on;

    return on ? FWR_HOST_ON : FWR_HOST_OFF;
}

static int host_hold(void *ctx)
{
    struct sim_host *host = ctx;
    bool on = host_power(host) == FWR_HOST_ON;

    if (!host->held) {
        host->found = on;
        host->held = true;
        host->asked = false;
    }
    if (host->system == NULL) {
        host->on = false;
        return FWR_OK;
    }
    if (!on)
        return FWR_OK;
    /* The machine takes a moment to go, and must be gone before its flash is touched. */
    if (!host->asked && host->stock_op(host->system, HW_OP_POWEROFF) != 0)
        return FWR_E_HOST_HOLD;
    host->asked = true;
    return FWR_PENDING;
}

static int host_bus(void *ctx)
{
    (void)ctx;
    return FWR_OK;
}

static int host_release(void *ctx)
{
    struct sim_host *host = ctx;

    if (!host->held)
        return FWR_OK;
    host->held = false;
    if (host->found && host->system != NULL && host->stock_op(host->system, HW_OP_POWERON) != 0)
        return FWR_E_HOST_RELEASE;
    host->on = host->found;
    return FWR_OK;
}

int sim_host_init(struct sim_host *host, sys_data_t *sys, bool on)
{
    lmc_data_t *mc;

    memset(host, 0, sizeof(*host));
    host->host = (struct fwr_host){.size = sizeof(struct fwr_host),
                                   .ctx = host,
                                   .power = host_power,
                                   .hold = host_hold,
                                   .take_bus = host_bus,
                                   .give_bus = host_bus,
                                   .release = host_release};
    host->sys = sys;
    host->on = on;
    attached = host;
    if (sys->startcmd != NULL && sys->startcmd->startcmd != NULL)
        return FWR_OK;
    if (sys->mc_alloc_unconfigured(sys, BMC_ADDRESS, &mc) != 0)
        return FWR_E_IO;
    ipmi_mc_set_chassis_control_func(mc, chassis_set, chassis_get, host);
    return FWR_OK;
}

void sim_host_attach(struct sim_host *host)
{
    channel_t *system = host->sys->chan_set[SYSTEM_CHANNEL];

    if (host->sys->startcmd == NULL || host->sys->startcmd->startcmd == NULL || system == NULL ||
        system->hw_op == NULL)
        return;
    host->system = system;
    host->stock_op = system->hw_op;
    system->hw_op = machine_op;
}
