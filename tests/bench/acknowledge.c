/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ipmi_sim module whose only command takes whatever it is sent and acknowledges it: what the
 * tools people have today push their blocks to when the benchmark measures them. Keeps nothing.
 * Knows nothing of the library.
 */
#include <stdint.h>
#include <stdio.h>

#include <OpenIPMI/ipmi_mc.h>
#include <OpenIPMI/mcserv.h>
#include <OpenIPMI/serv.h>

#define NETFN_OEM 0x30
#define CMD_TAKE  0x01

int ipmi_sim_module_init(sys_data_t *sys, const char *argument);
int ipmi_sim_module_post_init(sys_data_t *sys);
int ipmi_sim_module_print_version(sys_data_t *sys, char *argument);

static void take(lmc_data_t *mc, msg_t *message, unsigned char *reply, unsigned int *length,
                 void *ctx)
{
    (void)mc, (void)message, (void)ctx;
    reply[0] = 0;
    *length = 1;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *argument)
{
    (void)sys, (void)argument;
    return ipmi_emu_register_cmd_handler(NETFN_OEM, CMD_TAKE, take, NULL);
}

int ipmi_sim_module_post_init(sys_data_t *sys)
{
    (void)sys;
    return 0;
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *argument)
{
    (void)sys, (void)argument;
    puts("acknowledge");
    return 0;
}
