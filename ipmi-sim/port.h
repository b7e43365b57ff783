/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal device (fwrecover/tty.h) on lanserv's own loop. Called by the serial lines of the
 * module, both those that answer and those that ask.
 */
#ifndef FWR_IPMI_SIM_PORT_H
#define FWR_IPMI_SIM_PORT_H

#include <stdint.h>

#include <OpenIPMI/lanserv.h>

#include <fwrecover/tty.h>

/* The caller's memory, zeroed. */
struct sim_port {
    struct fwr_tty_port port;

    sys_data_t *sys;
    uint64_t (*now)(void *ctx);
    void (*drained)(void *ctx); /* all that had arrived was handed over; may be NULL */
    void *ctx;                  /* of `now` and `drained` */
    ipmi_io_t *io;
    int watched; /* the handle that lanserv watches; -1: none */
};

/* A port that is closed; the first _timeout opens it. */
void sim_port_init(struct sim_port *port, sys_data_t *sys, const struct fwr_tty_port_config *config,
                   uint64_t (*now)(void *ctx), void (*drained)(void *ctx), void *ctx);
void sim_port_end(struct sim_port *port);

/* For `closing` of the port's configuration: lanserv must not watch a handle that is closed. */
void sim_port_closing(struct sim_port *port);

/* As fwr_tty_port_send. */
int sim_port_send(struct sim_port *port, const uint8_t *bytes, size_t length);

uint64_t sim_port_next_timeout(const struct sim_port *port);
void sim_port_timeout(struct sim_port *port, uint64_t now);

#endif
