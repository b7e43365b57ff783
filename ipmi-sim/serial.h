/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial lines at which the BMC answers (fwrecover/serial.h): its own handlers for all that
 * lanserv knows, the dispatcher for ours. Called by the module's work.
 */
#ifndef FWR_IPMI_SIM_SERIAL_H
#define FWR_IPMI_SIM_SERIAL_H

#include <fwrecover/serial.h>

#include "ipmi-sim/config.h"
#include "ipmi-sim/port.h"
#include "oem-cmds/lanserv.h"

/* Requests of one line that wait for their answer; more are answered "busy". */
#define SIM_SERIAL_WAITING 16

struct sim_bmc;

/* One line. The caller's memory, zeroed. */
struct sim_serial {
    const struct sim_serial_config *config;
    struct sim_bmc *bmc;
    uint16_t link;   /* its number in struct fwr_caller */
    uint32_t stream; /* the opening that last brought a request */
    struct sim_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_serial_responder_config responder_config;
    struct fwr_serial_responder *responder;
    void *storage;
    bool waits[SIM_SERIAL_WAITING];
    struct fwr_serial_command waiting[SIM_SERIAL_WAITING];
};

/* FWR_OK, FWR_E_MEMORY. The device is opened by the first _timeout. */
int sim_serial_init(struct sim_serial *serial, struct sim_bmc *bmc,
                    const struct sim_serial_config *config, uint16_t link);
void sim_serial_end(struct sim_serial *serial);

/* Why a device is not open, for the log. */
const char *sim_serial_lost(int error);

uint64_t sim_serial_next_timeout(const struct sim_serial *serial);
void sim_serial_timeout(struct sim_serial *serial, uint64_t now);

#endif
