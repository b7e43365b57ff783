/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in a box: one recipient and up to a hundred donors in one process, on virtual time and
 * one seed, with the library's own engines, codecs and dispatcher between them. The network
 * delays, loses, repeats and garbles as it is told; the same seed gives the same run.
 */
#ifndef FWR_TEST_WORLD_H
#define FWR_TEST_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/donor.h>
#include <fwrecover/flash-ramnor.h>
#include <fwrecover/host-recorder.h>
#include <fwrecover/oem.h>
#include <fwrecover/policy.h>
#include <fwrecover/recipient.h>
#include <fwrecover/store-ram.h>

#include "tests/unit/given_image.h"

#define WORLD_DONORS_MAX   100
#define WORLD_IMAGES_MAX   3 /* of one donor */
#define WORLD_RECORDS      8
#define WORLD_MESSAGES_MAX 512
#define WORLD_MESSAGE_MAX  1500

struct world;

struct world_donor {
    struct world *world;
    struct given_image image; /* its own copy: `bytes` may be damaged by the test */
    struct fwr_source source;
    const struct fwr_source *sources[WORLD_IMAGES_MAX];
    struct given_image more[WORLD_IMAGES_MAX - 1]; /* see world_add_image */
    struct fwr_source more_sources[WORLD_IMAGES_MAX - 1];
    char name[16];
    struct fwr_donor_config config;
    void *storage;
    struct fwr_donor *engine;
    struct fwr_oem oem;
    bool severed;         /* its road is cut: nothing passes, and nobody says so */
    uint32_t far_ms;      /* one way, besides the world's delay */
    uint32_t answered;    /* requests */
    uint32_t die_after;   /* answers nothing after so many; 0 = lives for ever */
    uint32_t stall_after; /* from then on answers one request in a hundred */
    /* Lies: garbles every so many-th reply that carries blocks or tree nodes; 0 = honest. */
    uint32_t lie_every;
    uint32_t lies;
};

struct world_message {
    uint64_t at;
    uint8_t peer;
    uint8_t command;
    bool used;
    bool reply;
    uint16_t length;
    uint32_t order;
    uint8_t bytes[WORLD_MESSAGE_MAX];
};

/* What a donor's reply becomes on its way: `reply` has WORLD_MESSAGE_MAX bytes, completion code
 * first. The new length; 0 = silence. */
typedef size_t world_tamper(struct world *w, const struct world_message *request, uint8_t *reply,
                            size_t length);

/* What carries messages instead of the plain network; see icmb-world.h. */
struct world_road {
    void *ctx;
    const struct fwr_link *const *links; /* by donor */
    /* Everything until then happens, or until an engine was called, which it does at w->now. The
     * time reached; FWR_NEVER: nothing will ever happen. */
    uint64_t (*run)(void *ctx, uint64_t until);
    void (*boot)(void *ctx); /* the recipient's end, after its engine was made */
    void (*cut)(void *ctx);
};

struct world {
    uint64_t seed;
    uint64_t now;
    bool verbose; /* print the recipient's log */
    struct fwr_platform platform;

    struct fwr_board board;
    struct fwr_trust trust;
    struct fwr_policy policy;
    struct fwr_policy_rules rules;

    /* The network; chances in permille. */
    uint32_t delay_ms, jitter_ms;
    uint32_t loss, duplication, corruption;
    world_tamper *tamper; /* NULL: replies stay as they are */
    struct world_message messages[WORLD_MESSAGES_MAX];
    size_t message_top; /* none from here on is used */
    uint32_t order;
    size_t longest_request, longest_reply; /* data bytes after the IANA number */
    uint64_t payload; /* bytes after the network function and command, both directions */
    uint32_t in_flight, most_in_flight; /* requests on their way */
    uint8_t peers_in_flight;            /* most donors with a request on its way at once */
    uint32_t replies[WORLD_DONORS_MAX]; /* sent by each donor */

    /* The recipient and its board. */
    struct fwr_recipient_config config;
    struct fwr_peer peers[WORLD_DONORS_MAX];
    uint8_t *cells, *before;
    struct fwr_flash_ramnor nor;
    struct fwr_flash flash;                /* the chip, watched: see `strangers` */
    const struct given_image *expected[2]; /* the images that may be written; NULL = none */
    uint32_t strangers; /* blocks programmed that are of no such image and were not there */
    struct fwr_flash_ramnor_unit *units;
    struct fwr_flash_ramnor_range preserve[FWR_REGIONS_MAX];
    struct fwr_store_ram store;
    struct fwr_store_ram_record records[WORLD_RECORDS];
    struct fwr_host_recorder host;
    void *storage;
    size_t storage_size;
    struct fwr_recipient *recipient;
    struct fwr_recipient *slots[1];
    struct fwr_oem oem;
    uint64_t steps;

    uint8_t donor_count;
    struct world_donor donors[WORLD_DONORS_MAX];
    const struct world_road *road; /* NULL: the plain network */
};

/* A number below `limit` that follows from the seed. */
uint32_t world_draw(struct world *w, uint32_t limit);

/* A world whose board fits `image`, and whose flash holds it intact; `erase_size` 0 = 4096.
 * Change w->config, w->peers[].limits and the network before world_boot. */
void world_init(struct world *w, uint64_t seed, const struct given_image *image,
                uint32_t erase_size);
void world_free(struct world *w);

/* Adds a donor that holds a copy of the image, on a LAN. */
struct world_donor *world_add_donor(struct world *w, const struct given_image *image);

/* Gives a donor one more image of the same chip; its bytes are copied. */
void world_add_image(struct world_donor *donor, const struct given_image *image);

/* What a donor answers to a request that came over a road: the reply's length, 0 = silence. */
size_t world_serve(struct world *w, const struct fwr_caller *caller,
                   const struct world_message *request, uint8_t *reply);

/* Lets a reply (completion code first) of a donor arrive after `delay_ms`, asked for or not. */
void world_reply(struct world *w, uint8_t donor, uint8_t command, const uint8_t *bytes,
                 size_t length, uint32_t delay_ms);

/* Sets `length` bytes from `offset` of the flash to rubbish that follows from the seed. */
void world_damage(struct world *w, uint32_t offset, uint32_t length);

/* The BMC starts, or starts again after world_cut: makes the recipient from what the store
 * holds. What fwr_recipient_init says. */
int world_boot(struct world *w);

/* Power cut: the recipient and all messages on their way are gone; devices have power again. */
void world_cut(struct world *w);

/* Runs until the recipient rests or `limit_ms` of virtual time have passed. The state. */
uint8_t world_run(struct world *w, uint64_t limit_ms);

/* One round: deliver what is due, work, send. False when nothing can happen any more. */
bool world_turn(struct world *w);

/* Starts a repair and runs it to its end. The reason byte of the status. */
uint8_t world_repair(struct world *w);

/* Whether the flash equals `image` in `write` and `fill` and what was there in `preserve`. */
bool world_is_right(const struct world *w, const struct given_image *image);

struct fwr_status_page world_status(const struct world *w);

#endif
