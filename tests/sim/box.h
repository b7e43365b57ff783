/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in a box: whole BMCs (each a recipient and a donor on its own flash, store and host),
 * consoles that give images away, lie or meddle, and a network between them, in one process and
 * on virtual time. One number, the seed, decides what there is and what goes wrong; the same
 * seed gives the same run, message by message.
 *
 * After a random time the faults end. Safety is watched from the first moment to the last;
 * after the faults every BMC that has an honest donor in reach must finish in bounded time.
 *
 * box.c runs a seed; box-plan.c draws what there is; box-node.c is what every node has;
 * box-bmc.c a BMC's life; box-watch.c its devices and the oracles that look at them;
 * box-console.c donors, box-liar.c their lies, box-hand.c operators and consoles that push;
 * box-net.c the wires, box-icmb.c an ICMB in their place, box-mischief.c the faults; box-trace.c
 * what is written down of it. sim.c and test_sim.c are the programs.
 */
#ifndef FWR_TEST_BOX_H
#define FWR_TEST_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <fwrecover/command.h>
#include <fwrecover/donor.h>
#include <fwrecover/flash-ramnor.h>
#include <fwrecover/host-recorder.h>
#include <fwrecover/oem.h>
#include <fwrecover/policy.h>
#include <fwrecover/recipient.h>
#include <fwrecover/source-flash.h>
#include <fwrecover/store-ram.h>

#include "tests/sim/queue.h"
#include "tests/unit/given_image.h"

#define BOX_BMCS_MAX     6
#define BOX_CONSOLES_MAX 6
#define BOX_NODES_MAX    (BOX_BMCS_MAX + BOX_CONSOLES_MAX)
#define BOX_GOOD_MAX     3
#define BOX_IMAGES_MAX   (BOX_GOOD_MAX + 2)
#define BOX_UNITS_MAX    128
#define BOX_RECORDS      8
#define BOX_MESSAGE_MAX  1500
#define BOX_FOREVER_MS   (3600u * 1000) /* after the faults end: then a BMC counts as stuck */

struct box;
struct box_node;

/* ---- what is counted over many seeds: each of these must have happened ---- */

#define BOX_COUNTS(X)                                                                              \
    X(CUT_BEFORE, "power cuts: operation not done")                                                \
    X(CUT_TORN, "power cuts: operation torn")                                                      \
    X(CUT_AFTER, "power cuts: operation done, answer lost")                                        \
    X(CUT_MARGINAL, "power cuts: done but marginal")                                               \
    X(CUT_WRITING, "power cuts between first erase and commit")                                    \
    X(DECAYED, "marginal ranges that decayed")                                                     \
    X(RESTART, "restarts of a BMC without a cut")                                                  \
    X(CONSOLE_RESTART, "restarts of a console")                                                    \
    X(RESUMED, "recoveries that went on after a restart")                                          \
    X(DAMAGE, "damage to a flash while its host ran")                                              \
    X(HOST_WROTE, "writes of the host to what is preserved")                                       \
    X(HICCUP_FLASH, "flash operations that failed once")                                           \
    X(HICCUP_STORE, "store operations that failed once")                                           \
    X(LOST, "messages lost")                                                                       \
    X(DOUBLED, "messages doubled")                                                                 \
    X(REORDERED, "messages overtaken")                                                             \
    X(GARBLED, "messages garbled")                                                                 \
    X(SEVERED, "messages into a partition")                                                        \
    X(PARTITION, "partitions")                                                                     \
    X(LATE, "replies to an earlier life")                                                          \
    X(JUMP, "clocks that jumped forward")                                                          \
    X(STOPPED, "clocks that stopped")                                                              \
    X(LIE_BLOCK, "lies: blocks")                                                                   \
    X(LIE_TREE, "lies: tree nodes")                                                                \
    X(LIE_MANIFEST, "lies: manifests")                                                             \
    X(LIE_TRANSFER, "lies: transfer ids")                                                          \
    X(LIE_STALE, "lies: stale replies")                                                            \
    X(LIE_SIZE, "lies: oversized replies")                                                         \
    X(LIE_OFFER, "lies: offers")                                                                   \
    X(LIE_CODE, "lies: completion codes")                                                          \
    X(LIE_MIX, "lies: blocks of another image")                                                    \
    X(SLOW, "replies held back")                                                                   \
    X(NAMED, "liars named with their block")                                                       \
    X(DROPPED, "donors dropped")                                                                   \
    X(REFUSED, "offers refused")                                                                   \
    X(BUSY, "busy answers of donors")                                                              \
    X(BACKED_OFF, "pauses for want of donors")                                                     \
    X(OLDER, "recoveries to an image that is not the newest")                                      \
    X(REPAIRED, "recoveries")                                                                      \
    X(GUARDED, "guard blocks erased first")                                                        \
    X(COPIED, "blocks copied from elsewhere in the flash")                                         \
    X(BLANK, "blocks made by erasing")                                                             \
    X(WAIVED, "recoveries around waived leaves")                                                   \
    X(FROM_BMC, "reads answered by a repaired BMC")                                                \
    X(CHECKED, "checks")                                                                           \
    X(DRY_RUN, "dry runs")                                                                         \
    X(ABORTED, "runs aborted")                                                                     \
    X(POLICY, "policies tightened")                                                                \
    X(POLICY_REFUSED, "policies refused")                                                          \
    X(PAGES, "pages read")                                                                         \
    X(PUSHED, "pushes that ended well")                                                            \
    X(PROVEN, "boots proven")                                                                      \
    X(UNPROVEN, "boots not proven in time")                                                        \
    X(FLOOR, "security floors raised")                                                             \
    X(OVER_ICMB, "answers of donors over ICMB")                                                    \
    X(TOLD_ALL, "blocks broadcast there")                                                          \
    X(COLLIDED, "characters that collided there")                                                  \
    X(BLOCKED, "nodes that blocked it")                                                            \
    X(FAILED, "runs that failed")

enum box_count {
#define BOX_COUNT_ENUM(name, text) BOX_##name,
    BOX_COUNTS(BOX_COUNT_ENUM)
#undef BOX_COUNT_ENUM
        BOX_COUNT_COUNT,
};
/* The text beside a counter. */
const char *box_count_text(enum box_count count);

/* ---- trace ---- */

#define BOX_TRACE_TEXT 168
#define BOX_TRACE_RING 512

struct box_trace {
    FILE *out;          /* every line as it happens, or NULL */
    uint64_t lines;     /* so far */
    void *digest;       /* SHA-256 over all of them */
    uint8_t result[32]; /* of the digest, at the end */
    struct box_trace_line {
        uint64_t at;
        uint32_t numbers[6];
        uint8_t node, kind;
        char text[BOX_TRACE_TEXT];
    } ring[BOX_TRACE_RING];
};

/* ---- images ---- */

struct box_image {
    struct given_image given;
    uint8_t *tree; /* its tree object */
    size_t tree_size;
    bool good; /* signed by the release key, for this board */
};

/* ---- nodes ---- */

enum box_lie {
    BOX_LIES_BLOCK = 1 << 0,
    BOX_LIES_TREE = 1 << 1,
    BOX_LIES_MANIFEST = 1 << 2,
    BOX_LIES_TRANSFER = 1 << 3,
    BOX_LIES_STALE = 1 << 4,
    BOX_LIES_SIZE = 1 << 5,
    BOX_LIES_OFFER = 1 << 6,
    BOX_LIES_CODE = 1 << 7,
    BOX_LIES_MIX = 1 << 8,
    BOX_LIES_SLOW = 1 << 9,
    BOX_LIES_ALL = (1 << 10) - 1,
};

/* One image that a console holds: its own copy of the bytes. */
struct box_held {
    const struct box_image *image;
    struct box_node *owner;
    uint8_t *bytes;
    struct fwr_source source;
};

/* What an operator or a console that pushes is doing: one request at a time. */
struct box_hand {
    uint8_t target; /* node */
    uint8_t doing;  /* enum in box-hand.c */
    uint8_t cookie;
    uint8_t command;
    uint8_t tries;
    const struct box_image *image; /* being pushed */
    uint32_t transfer;
    uint32_t serial; /* of the request outstanding */
    uint32_t writes;
    bool lies;
};

struct box_console {
    uint16_t lies; /* enum box_lie */
    uint8_t often; /* one reply in so many is a lie */
    bool meddles;  /* sends commands to BMCs */
    struct box_held held[BOX_IMAGES_MAX];
    const struct fwr_source *sources[BOX_IMAGES_MAX];
    uint8_t stale[BOX_MESSAGE_MAX]; /* an earlier reply that carried data */
    uint16_t stale_length;
    struct box_hand hand;
};

struct box_bmc {
    /* The board. */
    struct fwr_board board;
    struct fwr_region_map local;
    struct fwr_flash_ramnor nor;
    struct fwr_flash_ramnor_unit units[BOX_UNITS_MAX];
    struct fwr_flash_ramnor_range preserve[4];
    struct fwr_flash flash; /* nor, watched */
    uint8_t *cells, *durable;
    struct fwr_store_ram ram;
    struct fwr_store_ram_record records[BOX_RECORDS];
    struct fwr_store store; /* ram, watched */
    struct fwr_host_recorder host;
    unsigned slow; /* calls that answer PENDING, on the slowest device */

    /* The programs on it. */
    struct fwr_policy policy;
    struct fwr_policy_rules rules;
    struct fwr_peer peers[BOX_NODES_MAX];
    char peer_names[BOX_NODES_MAX][12];
    uint8_t peer_nodes[BOX_NODES_MAX];
    struct fwr_recipient_config config;
    void *storage;
    size_t storage_size;
    struct fwr_recipient *recipient;
    struct fwr_recipient *slots[1];
    struct fwr_source_flash own;
    const struct fwr_source *sources[1];
    bool yielded;
    uint8_t steps_per_ms;

    /* Its supervisor. */
    bool check_first;
    bool unfinished; /* the last repair failed, whatever an operator did since */
    uint32_t judged_run;
    uint64_t patience;  /* box time before which it does nothing */
    uint8_t last_state; /* as the trace knows it */
    bool proof_posted;
    bool sick;    /* its host will not prove the next boot */
    bool settled; /* finished since the faults ended */

    /* The next power cut. */
    bool armed, cut;
    uint32_t countdown; /* operations that count */
    bool only_writes;   /* reads do not count */
    enum fwr_fault_verdict how;

    /* What the oracles remember. */
    uint8_t *kept;                     /* cells, as the host left `preserve` */
    uint8_t *from;                     /* a unit as it was before it was first erased */
    uint32_t erased_in[BOX_UNITS_MAX]; /* in which hold that was */
    uint32_t hold;                     /* counted up with every life and every hold */
    bool touched;                      /* erased anything since the host was held */
    bool body;                         /* anything but the guard's unit */
    bool proven;
    uint32_t floor, sequence;
    uint32_t min_sequence; /* the largest that was set and acknowledged */
};

struct box_node {
    struct box *box;
    uint8_t index;
    char name[12];
    bool up;
    uint32_t life;
    uint64_t clock, clock_at; /* its own time, and the box's when that was read */
    bool stopped;
    uint64_t wake; /* in the queue */
    struct fwr_platform platform;
    struct fwr_oem oem;
    struct fwr_donor_config donor_config;
    void *donor_storage;
    size_t donor_size;
    struct fwr_donor *donor;
    int64_t allowance; /* of its byte cap, in thousandths */
    uint64_t allowance_at;
    struct box_bmc *bmc; /* one of the two is NULL */
    struct box_console *console;
};

/* ---- the network ---- */

#define BOX_BY_HAND 0xff /* `peer` of a message that no recipient sent */

struct box_message {
    struct box_message *next; /* in the list of free ones */
    uint8_t from, to;
    uint8_t peer; /* in the asking recipient's list */
    uint8_t command;
    bool reply;
    bool bus;         /* over ICMB */
    uint32_t life;    /* of the asking node */
    uint32_t session; /* between the two when it was sent; the sender's address on a bus */
    uint32_t serial;  /* of a hand's request; a bridge's ticket */
    uint16_t length;
    uint8_t bytes[BOX_MESSAGE_MAX];
};

struct box_wires {
    uint32_t delay_ms, jitter_ms;
    uint32_t loss, duplication, corruption; /* permille */
    bool sessionless;                       /* a reply to an earlier life still arrives */
    uint64_t apart;                         /* bit n: node n is on the other side */
    uint16_t closed[BOX_BMCS_MAX]; /* bit n: this BMC was told that its road to n is down */
    uint64_t last_due[BOX_NODES_MAX][BOX_NODES_MAX];
    struct box_message *free;
};

/* ---- the box ---- */

enum box_event {
    BOX_EVENT_WAKE,     /* a node has work */
    BOX_EVENT_ARRIVE,   /* a message */
    BOX_EVENT_BOOT,     /* a node starts again */
    BOX_EVENT_BOOTED,   /* a host proves its boot */
    BOX_EVENT_MISCHIEF, /* something goes wrong */
    BOX_EVENT_HAND,     /* an operator or a pushing console acts, or waited too long */
    BOX_EVENT_CLOCK,    /* a clock goes on */
    BOX_EVENT_BUS,      /* something happens on the ICMB */
};

struct box {
    uint64_t seed;
    uint64_t now;
    uint64_t random;
    struct queue queue;
    struct box_wires wires;
    struct box_bus *bus; /* NULL: there is a LAN */
    struct box_trace trace;
    uint64_t counts[BOX_COUNT_COUNT];

    /* The plan. */
    uint32_t block_size, erase_size, size;
    struct fwr_region_map map;
    uint8_t image_count, good_count;
    struct box_image images[BOX_IMAGES_MAX]; /* the good ones first, oldest first */
    uint8_t bmc_count, node_count;           /* BMCs come first */
    struct box_node nodes[BOX_NODES_MAX];
    uint64_t calm_at;
    uint16_t weights[16]; /* of the kinds of mischief */
    uint32_t mischief_ms;
    bool calm;
    uint64_t calm_since, longest; /* until the last BMC finished that could */

    bool violated;
    char violation[256];
};

/* box.c: one seed from beginning to end. True when nothing was violated. `trace` may be NULL. */
struct box *box_run(uint64_t seed, FILE *trace);
void box_free(struct box *box);
/* Prints what was violated, the last lines of the trace and the command that replays it. */
void box_report(const struct box *box, FILE *out);
uint32_t box_draw(struct box *box, uint32_t below);
bool box_chance(struct box *box, uint32_t percent);
void box_post(struct box *box, uint64_t at, enum box_event kind, uint8_t node, void *what);
/* Says what rule was broken; the first one counts. */
void box_violate(struct box *box, const struct box_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* box-plan.c */
void box_plan(struct box *box);
void box_plan_free(struct box *box);

/* box-node.c */
uint64_t box_clock(const struct box_node *n);
void box_clock_set(struct box_node *n, uint64_t clock);
void box_clock_stop(struct box_node *n, bool stop);
/* Lets it work at `at` at the latest. */
void box_wake(struct box_node *n, uint64_t at);
/* When one of its own deadlines comes, in the box's time. */
uint64_t box_when(const struct box_node *n, uint64_t deadline);
void box_node_make(struct box *box, uint8_t index);
void box_node_free(struct box_node *n);
void box_donor_boot(struct box_node *n);
void box_node_die(struct box_node *n);
void box_node_work(struct box_node *n);
/* Asks the node what it answers, with lies if it is a liar's: the reply's length, 0 = silence.
 * `late_ms` is how long it holds the reply back. */
size_t box_node_answer(struct box_node *n, const struct box_message *m, uint8_t *reply,
                       uint32_t *late_ms);

/* box-bmc.c */
void box_bmc_boot(struct box_node *n);
/* Its power fails, or its program is restarted: it comes back after a while. */
void box_bmc_die(struct box_node *n);
void box_bmc_work(struct box_node *n);
void box_bmc_reply(struct box_node *n, const struct box_message *m);
void box_bmc_booted(struct box_node *n); /* its host */
void box_bmc_road(struct box_node *n, uint8_t to, int error);
/* Finished, with nothing left open. */
bool box_bmc_is_settled(struct box_node *n);

/* box-watch.c */
void box_watch_open(struct box_node *n);
/* Whether the flash is this image's, but for what is preserved. */
bool box_holds(const struct box_node *n, const struct box_image *image);
/* Whether the board may run it: signed, for this hardware, at or above the floor. */
bool box_fits(const struct box_node *n, const struct box_image *image);
/* The good image it holds, or NULL. */
const struct box_image *box_what_it_holds(const struct box_node *n);
/* What must hold at every moment that no operation asks about. */
void box_watch_look(struct box_node *n);
/* The same at the end, and what was preserved all along. */
void box_watch_verdict(struct box_node *n);
void box_watch_close(struct box_node *n);
/* A host that runs writes its variables. */
void box_host_writes(struct box_node *n);
/* Rubbish, where the host or the dark put it. */
void box_damage(struct box_node *n, uint32_t offset, uint32_t length);

/* box-console.c */
void box_console_make(struct box_node *n, uint32_t images, bool damaged);
void box_console_free(struct box_node *n);

/* box-liar.c: what becomes of an honest reply. */
size_t box_lie(struct box_node *n, const struct box_message *m, uint8_t *reply, size_t length,
               uint32_t *late_ms);

/* box-hand.c */
void box_hand_act(struct box_node *n, uint32_t serial);
void box_hand_reply(struct box_node *n, const struct box_message *m);

/* box-net.c */
struct box_message *box_message_new(struct box *box);
void box_message_free(struct box *box, struct box_message *m);
/* Takes the message, whatever becomes of it. */
void box_send(struct box *box, struct box_message *m, uint32_t late_ms);
void box_arrive(struct box *box, struct box_message *m);
bool box_severed(const struct box *box, uint8_t a, uint8_t b);
void box_part(struct box *box, uint64_t apart, bool told);

/* box-icmb.c */
bool box_bus_wanted(uint64_t seed);
void box_bus_make(struct box *box);
void box_bus_begin(struct box *box);
void box_bus_free(struct box *box);
void box_bus_count(struct box *box); /* at the end */
void box_bus_limits(const struct box *box, struct fwr_link_limits *limits);
void box_bus_run(struct box *box, uint64_t at);
void box_bus_on(struct box_node *n);
void box_bus_off(struct box_node *n);
/* Moves what a recipient has to send to its roads. */
void box_bus_pump(struct box_node *n);
/* A donor's answer that was held back. */
void box_bus_answer(struct box *box, struct box_message *m);
/* The wires have changed: who is apart, what they lose. */
void box_bus_part(struct box *box);
void box_bus_weather(struct box *box);

/* box-mischief.c */
void box_mischief(struct box *box);
/* All faults end: what is broken off is joined again, what is down starts. */
void box_calm(struct box *box);

/* box-trace.c */
enum box_trace_kind {
    BOX_TRACE_TEXT_LINE,
    BOX_TRACE_SENT,
    BOX_TRACE_LOST,
    BOX_TRACE_CAME,
};
void box_trace_begin(struct box *box, FILE *out);
void box_say(struct box *box, const struct box_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void box_trace_message(struct box *box, enum box_trace_kind kind, const struct box_message *m,
                       uint32_t number);
void box_trace_end(struct box *box);
/* The last lines. */
void box_trace_print(const struct box *box, FILE *out, unsigned lines);

#endif
