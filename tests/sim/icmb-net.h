/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ICMB in one process and on virtual time: bridges of the library, each on its own drop of one
 * modelled wire (ipmi-sim/wire.h), character by character. One seed decides everything that is
 * random; the same calls give the same bus. Used by the simulations that run over ICMB.
 */
#ifndef FWR_TEST_ICMB_NET_H
#define FWR_TEST_ICMB_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/icmb.h>
#include <fwrecover/platform.h>

#include "ipmi-sim/wire.h"

struct icmb_net;

struct icmb_station {
    struct icmb_net *net;
    uint16_t index;
    bool up;
    uint64_t random;
    struct fwr_platform platform;
    struct fwr_icmb_config config; /* as given, with the station's platform */
    void *storage;
    struct fwr_icmb_bridge *bridge;
    uint64_t next_us;     /* when it wants to be called */
    uint16_t address;     /* it has now; 0 = none */
    uint32_t assignments; /* times it was given one */
};

struct icmb_net {
    struct wire wire;
    uint64_t now_us;
    uint16_t count;
    uint64_t packets; /* seen on the wire, whole ones, */
    uint64_t escapes; /* and characters that are one more for an escape */
    bool in_packet;
    struct icmb_station stations[WIRE_NODES_MAX];
};

/* A wire with `count` stations, all of them off; one more node of the wire listens. */
void icmb_net_init(struct icmb_net *net, const struct wire_config *config, uint16_t count);
void icmb_net_free(struct icmb_net *net);

/* Switches a station on: its bridge begins to look for an address. The callbacks' ctx is the
 * caller's. */
void icmb_net_on(struct icmb_net *net, uint16_t station, const struct fwr_icmb_config *config);
/* Its power is gone, with all that it had begun to send. */
void icmb_net_off(struct icmb_net *net, uint16_t station);

/* After a call of a station's bridge: gives what it wants to send to the wire. */
void icmb_net_touch(struct icmb_net *net, uint16_t station);

/* When something happens next (us); WIRE_NEVER. */
uint64_t icmb_net_next(const struct icmb_net *net);

/* Everything until then happens. Callbacks of the bridges come from here. */
void icmb_net_run(struct icmb_net *net, uint64_t until_us);

/* Runs until every station that is on has an address; false: not within `limit_us`. */
bool icmb_net_settle(struct icmb_net *net, uint64_t limit_us);

#endif
