/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program fwrecover_icmb_bus: ptys joined by the wire of wire.h. icmb-bus.c is its options,
 * clock and loop, bus-port.c the ptys, bus-order.c what may be asked of the wire while it runs,
 * bus-report.c the statistics.
 */
#ifndef FWR_IPMI_SIM_ICMB_BUS_H
#define FWR_IPMI_SIM_ICMB_BUS_H

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ipmi-sim/wire.h"

#define BUS_NODES_MAX  (WIRE_NODES_MAX - 1) /* one more node listens for the statistics */
#define BUS_ORDERS_MAX 64
#define BUS_ORDER_TEXT 256
#define BUS_PORT_OUT   256

/* As fwrecover(1) has them. */
enum bus_exit {
    BUS_OK = 0,
    BUS_USAGE = 2,
    BUS_IO = 3,
};

/* A pty. A node is there while somebody has its slave open. */
struct bus_port {
    int master;
    char slave[64];
    char link[PATH_MAX]; /* "" = none */
    bool open;
    uint64_t openings;
    uint64_t overruns; /* characters that nobody read in time */
    uint8_t out[BUS_PORT_OUT];
    size_t waiting; /* in `out` */
};

/* An order for later. */
struct bus_order {
    uint64_t at_us;
    char text[BUS_ORDER_TEXT];
};

struct bus {
    struct wire wire;
    struct wire_config config;
    uint16_t nodes;
    const char *link; /* folder of the links, or NULL */
    struct bus_port ports[BUS_NODES_MAX];

    /* The clock: wire time is `speed` times real time, or passes with the characters only. */
    bool virtual_time;
    double speed;
    double started; /* seconds of the monotonic clock */
    uint64_t now_us;
    uint64_t latest_us; /* the longest that a character came behind its time, in real time */

    struct bus_order orders[BUS_ORDERS_MAX]; /* in the order of time */
    size_t order_count;

    /* What the listening node saw. */
    bool in_packet;
    uint64_t packets, restarts;

    bool json;
    bool quit;
};

/* bus-port.c. False: said why on standard error. */
bool bus_ports_open(struct bus *bus);
void bus_ports_close(struct bus *bus);
/* What ppoll has to watch; with `fds` of BUS_NODES_MAX. */
nfds_t bus_ports_watch(const struct bus *bus, struct pollfd *fds);
/* Takes what was written into ptys, and notices who came and went. */
void bus_ports_read(struct bus *bus);
/* Whether nobody has one of them open, so that its opening has to be looked for. */
bool bus_ports_missing(const struct bus *bus);
void bus_port_heard(struct bus *bus, const struct wire_heard *heard);
void bus_ports_write(struct bus *bus);

/* bus-order.c */
/* Whether the text is an order; says what is wrong with it on standard error. */
bool bus_order_check(struct bus *bus, const char *text);
/* Carries it out at bus->now_us; false as above. */
bool bus_order_obey(struct bus *bus, const char *text);
/* Puts it down for later; false when there are too many. */
bool bus_order_later(struct bus *bus, uint64_t at_us, const char *text);

/* bus-report.c */
void bus_listen(struct bus *bus, const struct wire_heard *heard);
void bus_report(const struct bus *bus, FILE *out);

#endif
