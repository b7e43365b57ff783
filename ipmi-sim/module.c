/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwrecover_sim.so: the entry points that ipmi_sim looks for in a module. A line in lan.conf
 *
 *     loadlib "/usr/local/lib/fwrecover/fwrecover_sim.so" "/etc/ipmi/board.conf"
 *
 * makes the simulated BMC a recipient, a donor, or both, as board.conf says
 * (fwrecover_sim.conf(5)).
 */
#include <stdio.h>
#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "ipmi-sim/bmc.h"
#include "ipmi-sim/module.h"

/* ipmi_sim gives its modules no context of their own. */
static struct sim_bmc bmc;

static void at_exit(void)
{
    sim_bmc_end(&bmc);
}

int ipmi_sim_module_init(sys_data_t *sys, const char *argument)
{
    if (!sim_bmc_init(&bmc, sys, argument)) {
        fputs("fwrecover_sim: not started\n", stderr);
        return -1;
    }
    /* After the engines, so that libcrypto, which they brought up, is still there. */
    return atexit(at_exit);
}

int ipmi_sim_module_post_init(sys_data_t *sys)
{
    (void)sys;
    sim_host_attach(&bmc.host);
    fwr_lanserv_permit(&bmc.lanserv);
    return sim_work_begin(&bmc) == FWR_OK ? 0 : -1;
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *argument)
{
    (void)sys, (void)argument;
    printf("fwrecover_sim %s\n", FWR_VERSION);
    return 0;
}
