/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See port.h. lanserv is told of a device once each time it is opened, and of writing only while
 * something waits for it.
 */
#include "ipmi-sim/port.h"

#include <fwrecover/error.h>

static void on_readable(int fd, void *ctx);
static void on_writable(int fd, void *ctx);

/* Lets lanserv watch what there is to watch now. */
static void watch(struct sim_port *port)
{
    sys_data_t *sys = port->sys;
    int fd = port->port.tty.fd;

    if (fd >= 0 && port->watched < 0) {
        if (sys->add_io_hnd(sys, fd, on_readable, port, &port->io) != 0)
            return; /* out of memory: nothing is heard from this device */
        sys->io_set_hnds(port->io, on_writable, NULL);
        port->watched = fd;
    }
    if (port->watched >= 0)
        sys->io_set_enables(port->io, 1, fwr_tty_port_waits(&port->port), 0);
}

static void ready(struct sim_port *port)
{
    fwr_tty_port_ready(&port->port, port->now(port->ctx));
    watch(port);
    if (port->drained != NULL)
        port->drained(port->ctx);
}

static void on_readable(int fd, void *ctx)
{
    (void)fd;
    ready(ctx);
}

static void on_writable(int fd, void *ctx)
{
    (void)fd;
    ready(ctx);
}

/* Its selector asserts that every handle it lets go of is still open. */
void sim_port_closing(struct sim_port *port)
{
    if (port->watched >= 0)
        port->sys->remove_io_hnd(port->io);
    port->watched = -1;
}

int sim_port_send(struct sim_port *port, const uint8_t *bytes, size_t length)
{
    int error = fwr_tty_port_send(&port->port, bytes, length);

    if (port->watched >= 0)
        port->sys->io_set_enables(port->io, 1, fwr_tty_port_waits(&port->port), 0);
    return error;
}

uint64_t sim_port_next_timeout(const struct sim_port *port)
{
    return fwr_tty_port_next_timeout(&port->port);
}

void sim_port_timeout(struct sim_port *port, uint64_t now)
{
    if (fwr_tty_port_next_timeout(&port->port) > now)
        return;
    fwr_tty_port_timeout(&port->port, now);
    watch(port);
}

void sim_port_init(struct sim_port *port, sys_data_t *sys, const struct fwr_tty_port_config *config,
                   uint64_t (*now)(void *ctx), void (*drained)(void *ctx), void *ctx)
{
    port->sys = sys;
    port->now = now;
    port->drained = drained;
    port->ctx = ctx;
    port->watched = -1;
    fwr_tty_port_init(&port->port, config);
}

/* At exit: the loop, and with it lanserv's own part, is over. */
void sim_port_end(struct sim_port *port)
{
    port->watched = -1;
    fwr_tty_port_end(&port->port);
}
