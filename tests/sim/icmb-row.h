/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of damaged chassis and one donor on an ICMB, without a LAN: the library's engines, roads
 * and bridges on the modelled wire (icmb-net.h) and on virtual time. Flashes take no time; the bus
 * is what is looked at. For the figures of `make icmb` and for the tests that guard them.
 */
#ifndef FWR_TEST_ICMB_ROW_H
#define FWR_TEST_ICMB_ROW_H

#include <fwrecover/icmb-road.h>

#include "tests/sim/icmb-net.h"
#include "tests/sim/world.h"

#define ROW_CHASSIS_MAX 16

struct row_options {
    const struct given_image *image;
    uint8_t chassis;
    uint64_t seed;
    uint16_t packet;        /* data bytes of a packet; 0 = the default */
    uint32_t damaged;       /* bytes, in one piece of each chassis' flash */
    bool different;         /* not the same blocks in each */
    bool one_by_one;        /* the next one begins when the last has finished */
    bool no_broadcast;      /* everybody asks for itself */
    uint32_t lie_every;     /* so many-th Block Data is corrupt, its checksum right; 0 = none */
    uint32_t foreign_every; /* so many-th is another image's; 0 = none */
    struct wire_noise noise;
    uint64_t limit_ms; /* 0: as long as it takes, a day */
    bool verbose;
};

struct row_result {
    bool right;       /* every flash is what it should be, and nothing was misused */
    double seconds;   /* from the start until the last one had finished */
    uint64_t bytes;   /* characters on the wire in that time, */
    uint64_t packets; /* and whole packets */
    uint64_t collisions;
    double busy;       /* share of that time */
    uint64_t received; /* data bytes that the recipients took: manifests, trees, blocks */
    uint64_t blocks;   /* of them, bytes of blocks */
    uint32_t block;    /* data bytes of one reply, as negotiated */
    /* How long those data bytes take at best, one exchange behind the other: request, reply, the
     * escapes that there were, the gaps that there have to be. */
    double least_seconds;
    uint64_t broadcasts; /* packets for everybody */
    uint64_t refetched;  /* blocks that were wrong at first */
};

void row_run(const struct row_options *options, struct row_result *result);

/* An image for it: random bytes in a `write` region, nothing blank. */
void row_image_make(struct given_image *image, uint32_t blocks, uint32_t block_size);

/* `nodes` stations on one bus, each with a random address at first, one of which discovers the
 * others. How many it found; `seconds` and characters it took after all had an address. */
struct row_discovery {
    uint16_t found, twice; /* addresses that two stations have at the end */
    uint32_t assignments;  /* addresses that were taken, in all */
    double settled, seconds;
    uint64_t bytes;
    int error;
};
void row_discover(uint16_t nodes, uint64_t seed, struct row_discovery *result);

#endif
