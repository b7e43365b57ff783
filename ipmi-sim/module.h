/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ipmi_sim calls in a module, declared nowhere in its own headers.
 */
#ifndef FWR_IPMI_SIM_MODULE_H
#define FWR_IPMI_SIM_MODULE_H

#include <OpenIPMI/lanserv.h>

/* Before the simulator's own set-up; not 0 stops it. */
int ipmi_sim_module_init(sys_data_t *sys, const char *argument);
/* When all channels exist, just before the loop. */
int ipmi_sim_module_post_init(sys_data_t *sys);
/* For ipmi_sim -v. */
int ipmi_sim_module_print_version(sys_data_t *sys, char *argument);

#endif
