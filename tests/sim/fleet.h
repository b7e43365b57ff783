/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet in a box: thousands of BMCs whose flashes fail in the same second, and a few donors,
 * on the library's own engines and dispatcher, in one process and on virtual time. fleet-node.c
 * is a BMC, fleet-net.c the wires between them, fleet-image.c what their flashes hold,
 * fleet-world.c the event queue and the measuring, fleet-plot.c the drawing, fleet.c and
 * test_fleet.c the programs. The same options give the same run, event by event.
 *
 * The model: racks of 40; NIC 100 Mb/s, rack uplink 1 Gb/s, round trip 0.2 ms inside a rack and
 * 1 ms across; 100 bytes of overhead a message; 5 round trips to open a session; a donor admits
 * 4 transfers and 2 MB/s; erasing and programming take 0.3 s per 64 KiB, reading and hashing no
 * time. Every BMC lists some seed donors, some neighbours of its rack and some others; who lists
 * whom is mutual but for the seeds. A discovery message is a ping, a Request Image or a call.
 */
#ifndef FWR_TEST_FLEET_H
#define FWR_TEST_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <fwrecover/donor.h>
#include <fwrecover/oem.h>
#include <fwrecover/policy.h>
#include <fwrecover/recipient.h>
#include <fwrecover/store-ram.h>

#include "tests/sim/queue.h"
#include "tests/unit/given_image.h"

#define FLEET_BLOCK          4096u
#define FLEET_RACK           40u
#define FLEET_OVERHEAD       100u /* bytes a message besides its data */
#define FLEET_SESSION_TRIPS  5u
#define FLEET_CAP_TRANSFERS  4u
#define FLEET_CAP_BYTES      2000000u /* a second */
#define FLEET_TRIP_NEAR_US   200u
#define FLEET_TRIP_FAR_US    1000u
#define FLEET_NIC_BITS_US    100u /* bits a microsecond */
#define FLEET_UPLINK_BITS_US 1000u
#define FLEET_FLASH_US       (300000u / 16) /* one block: two thirds erase, one third program */
#define FLEET_STORM_US       1000000u       /* all fail within the first second */
#define FLEET_PEERS_MAX      64
#define FLEET_DAMAGE_BLOCKS  16u /* of the load that is not the whole image */
#define FLEET_BINS_MAX       1200
#define FLEET_EGRESS_BINS    20 /* of 50 ms: the second over which a donor's cap is measured */

/* ---- the image, and what a flash holds of it ---- */

enum fleet_block {
    FLEET_BLOCK_BASE,    /* as in the image */
    FLEET_BLOCK_RUBBISH, /* damaged; what it is follows from the block's number */
    FLEET_BLOCK_ERASED,
};

struct fleet_image {
    struct given_image given;
    bool whole; /* the load: a whole 4 MiB image, or 64 KiB of 16 MiB */
    uint32_t blocks;
};

/* Makes and signs the image of a load. Aborts when the library refuses. */
void fleet_image_make(struct fleet_image *image, bool whole);
void fleet_image_free(struct fleet_image *image);
/* Writes the bytes of block `index` in a state. */
void fleet_image_block(enum fleet_block state, uint32_t index, uint8_t *out);
/* Whether `bytes` are the image's block `index`. */
bool fleet_image_is_base(uint32_t index, const uint8_t *bytes);

/* ---- a BMC ---- */

struct fleet;
struct fleet_message;

struct fleet_session {
    uint64_t open; /* from when on it carries messages */
    uint64_t used; /* 0: never opened */
};

struct fleet_node {
    struct fleet *fleet;
    uint32_t number;
    uint32_t rack;
    uint32_t peer_count;
    uint32_t peer_numbers[FLEET_PEERS_MAX];
    struct fleet_session sessions[FLEET_PEERS_MAX];

    struct fwr_flash flash;
    uint8_t *blocks;     /* enum fleet_block, by block */
    uint64_t flash_done; /* when the operation under way ends; 0 = none */
    struct fwr_store_ram store;
    struct fwr_store_ram_record records[6];
    uint8_t *record_room;
    void *recipient_storage;
    struct fwr_recipient *recipient;

    struct fwr_source source;
    const struct fwr_source *sources[1];
    void *donor_storage;
    struct fwr_donor *donor;
    struct fwr_oem oem;

    uint32_t opening;         /* sessions */
    uint64_t wake;            /* the earliest wake-up in the queue */
    uint64_t nic_out, nic_in; /* when the wire is free again */
    uint64_t done;            /* 0: not repaired yet */
    uint64_t egress[FLEET_EGRESS_BINS];
    uint64_t egress_bin; /* number of the newest bin */
    bool seed;
    bool failed;
    bool calling; /* repaired, and not yet done with calling others */
};

/* Makes node `number`: a seed donor, or a BMC with its damage. */
void fleet_node_make(struct fleet *f, uint32_t number, bool seed);
void fleet_node_free(struct fleet_node *n);
/* The host's flash fails. */
void fleet_node_start(struct fleet_node *n);
/* Lets the engines do all that they can do now, and sets the next wake-up. */
void fleet_node_work(struct fleet_node *n);
/* A session that it opened carries messages from now on. */
void fleet_node_opened(struct fleet_node *n);
/* A request or a reply arrived. */
void fleet_node_receive(struct fleet_node *n, const struct fleet_message *m);

/* ---- the network ---- */

struct fleet_message {
    uint32_t from, to;
    uint8_t peer; /* of the asking recipient */
    uint8_t command;
    bool reply;
    uint16_t length;
    struct fleet_message *next; /* in the list of free ones */
    uint8_t bytes[1400];
};

/* Takes a free message; sending or dropping gives it back. */
struct fleet_message *fleet_message_new(struct fleet *f);
void fleet_message_free(struct fleet *f, struct fleet_message *m);
/* Puts a message on the wire at `at`, or loses it. */
void fleet_net_send(struct fleet *f, struct fleet_message *m, uint64_t at);
/* Whether a session from `n` to its peer carries messages now. Opens it when it does not: a
 * FLEET_EVENT_OPEN comes when it will. */
bool fleet_net_session(struct fleet_node *n, uint8_t peer);

/* ---- the world ---- */

enum fleet_event_kind {
    FLEET_EVENT_FAIL,
    FLEET_EVENT_WAKE,
    FLEET_EVENT_ARRIVE,
    FLEET_EVENT_OPEN, /* a session */
};

struct fleet_options {
    uint32_t nodes; /* that fail */
    uint32_t seeds; /* donors from the start */
    uint32_t loss;  /* permille of messages, each way */
    bool whole;
    uint64_t seed;
    uint32_t limit_s;      /* of virtual time; 0 = 21600 */
    uint32_t listed_seeds; /* in each BMC's list; 0 = the defaults of fleet-world.c */
    uint32_t listed_near, listed_far;
    uint32_t backoff_ms, gather_ms;
};

struct fleet_point {
    uint32_t repaired; /* at the end of the bin */
    uint64_t bytes;    /* donors' data in the bin */
};

struct fleet_result {
    struct fleet_options options;
    uint32_t repaired, failed;
    double p50, p99, p100; /* seconds from the first failure; p100 0 when not all are repaired */
    double bound50, bound99, bound100;
    double discovery; /* pings, Request Image and calls, per recipient */
    double calls;     /* of those, the calls of repaired BMCs */
    uint32_t discovery_most;
    double sessions;      /* opened, per recipient */
    uint64_t peak_egress; /* most bytes that one donor gave in a second: data of replies */
    uint32_t peak_transfers;
    uint64_t busy;    /* busy answers of donors */
    uint64_t bytes;   /* on the wire, all of them */
    uint64_t payload; /* without overhead and sessions */
    uint64_t floor;   /* damaged bytes × recipients */
    uint64_t wrong;   /* blocks programmed with anything but the image: must be 0 */
    uint64_t events;
    uint32_t bin_ms;
    uint32_t point_count;
    struct fleet_point points[FLEET_BINS_MAX];
};

struct fleet {
    struct fleet_options options;
    struct fleet_image image;
    uint64_t now; /* µs */
    uint64_t random;
    struct fwr_platform platform;
    struct fwr_board board;
    struct fwr_policy policy;
    struct fwr_policy_rules rules;
    struct fwr_peer peers[FLEET_PEERS_MAX];
    struct fwr_donor *nobody; /* answers for BMCs that hold nothing */
    void *nobody_storage;

    uint32_t total;
    struct fleet_node *nodes; /* the seeds come last */
    uint64_t *uplinks, *downlinks;
    uint32_t *asked; /* discovery messages, by node */

    struct queue queue; /* times in µs */
    struct fleet_message *free;

    uint64_t sessions, calls;
    uint32_t resting; /* recipients that ended */
    struct fleet_result *result;
};

uint32_t fleet_draw(struct fleet *f, uint32_t below);
void fleet_post(struct fleet *f, uint64_t at, enum fleet_event_kind kind, uint32_t node,
                struct fleet_message *message);
/* Counts a donor's reply: `data` bytes of it. */
void fleet_count_egress(struct fleet_node *n, uint32_t data);

/* Runs a storm to its end or its limit. */
void fleet_run(const struct fleet_options *options, struct fleet_result *result);

/* Whether everybody was repaired, with nothing but the image, and no donor went over its cap. */
bool fleet_safe(const struct fleet_result *result);
/* The same, and, where hardly anything is lost, soon enough and without asking too often. */
#define FLEET_LOSS_JUDGED   10 /* permille: above it the storm has only to pass */
#define FLEET_TARGET_BOUND  2.0
#define FLEET_TARGET_ASKING 10.0
bool fleet_good(const struct fleet_result *result);

/* What an ideal scheduler needs, see fleet-bound.c: seconds until 50, 99 and 100 %. */
void fleet_bound(const struct fleet_options *options, double *p50, double *p99, double *p100);

/* Writes fleet.json and fleet.svg. False when a file cannot be written. */
bool fleet_plot_json(const char *path, const struct fleet_result *results, size_t count);
bool fleet_plot_svg(const char *path, const struct fleet_result *results, size_t count);
/* A few lines per run for people, and one table of all runs against the targets. */
void fleet_print(FILE *out, const struct fleet_result *result);
void fleet_table(FILE *out, const struct fleet_result *results, size_t count);

#endif
