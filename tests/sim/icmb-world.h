/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world (world.h) whose messages travel over ICMB: each request and each reply is a packet of
 * the library's bridges on the modelled wire, with its noise and its cuts. The recipient is one
 * station, each donor another.
 */
#ifndef FWR_TEST_ICMB_WORLD_H
#define FWR_TEST_ICMB_WORLD_H

#include <fwrecover/icmb-road.h>

#include "tests/sim/icmb-net.h"
#include "tests/sim/world.h"

#define ICMB_WORLD_DONORS 8

struct icmb_world_options {
    uint64_t seed;
    uint16_t packet; /* data bytes; 0 = the default */
    struct wire_noise noise;
    /* The recipient is cut off from the others for `cut_ms` about every `cut_every_ms`; 0 =
     * never. */
    uint32_t cut_every_ms, cut_ms;
};

struct icmb_world_end {
    struct icmb_world *in;
    uint8_t donor;
    struct fwr_icmb_road_config config;
    void *storage;
    struct fwr_icmb_road *road;
};

struct icmb_world {
    struct world *w;
    struct icmb_world_options options;
    struct world_road road;
    struct icmb_net net;
    struct icmb_world_end ends[ICMB_WORLD_DONORS];
    const struct fwr_link *links[ICMB_WORLD_DONORS];
    bool called; /* an engine was */
    bool apart;
    uint64_t random, weather_us; /* when the next cut begins or ends */
    uint64_t cuts;
};

/* Between world_add_donor and world_boot. */
void icmb_world_attach(struct icmb_world *iw, struct world *w,
                       const struct icmb_world_options *options);
void icmb_world_detach(struct icmb_world *iw);

/* A bridge's request handed to the dispatcher and back: with the IANA number that the bus leaves
 * out. `request` gets command and bytes; the reply's length is that of a packet's data. */
void icmb_world_request(const struct fwr_icmb_request *from, uint32_t iana,
                        struct world_message *request);
size_t icmb_world_strip(const uint8_t *reply, size_t length, uint8_t *out, size_t capacity);

#endif
