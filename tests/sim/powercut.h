/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep of power cuts, for test_powercut (a stride, every day) and for `make powercut` (all
 * of it). A recovery is cut at its operation 0, 1, 2 … on flash, store and host, in each of four
 * ways, started again and finished; with two cuts, each of these is cut again at every later
 * operation. One process plays the recovery and forks at every operation: the child is cut, the
 * parent goes on. What must never be is counted, see enum powercut_violation.
 */
#ifndef FWR_TEST_POWERCUT_H
#define FWR_TEST_POWERCUT_H

#include "tests/sim/world.h"

/* What else befalls the board while the power is off, after the first cut. */
enum powercut_after {
    POWERCUT_NOTHING,
    POWERCUT_ROT,         /* a block of the body loses bits before the next start, if it is ours */
    POWERCUT_JOURNAL_BIT, /* one bit of the journal's record is wrong, and the store says nothing */
    POWERCUT_JOURNAL_LOST, /* no copy of the journal's record is intact */
};

/* What is recovered, and how. */
struct powercut_scenario {
    const char *name;
    const struct given_image *image;
    const struct given_image *other; /* all that can be had after the cut; NULL: the same */
    uint32_t erase_size;
    uint32_t block_size; /* that the storage is sized for; 0 = the image's */
    uint32_t scatter;    /* so many single blocks are damaged, evenly spread; 0: a few groups */
    uint8_t batch, donors;
    uint32_t boot_proof_ms;
    unsigned pending; /* of every operation */
    bool sound_guard; /* the guard block is right from the start */
    bool cached;      /* the chip is behind a write cache: what was not synced may fall back */
    bool icmb;        /* messages travel over a noisy ICMB that is cut from time to time */
    bool disk;        /* the store is a directory on a disk, and each of its calls may be cut */
    enum powercut_after after;
    int store_fails;      /* the first cut is none, but a store's write or removal that answers
                             this; way 0: once, way 1: and all from there until somebody helps */
    uint8_t cuts;         /* 1, or 2: every pair */
    uint8_t variants;     /* so many different torn and decayed states of each cut; 0 = 1 */
    uint32_t stride;      /* every so-many-th of the cuts; 0 = 1 */
    uint32_t full_stride; /* the same two in `make powercut` */
    uint32_t full_pair_stride;
    uint32_t pair_stride; /* every so-many-th of the pairs; 0 = 1 */
};

/* Counted by recovery, not by how often in one. */
enum powercut_violation {
    POWERCUT_WRONG_BYTES,    /* in `write` or `fill`, or changed in `preserve` */
    POWERCUT_TRESPASS,       /* an erase or program inside `preserve` */
    POWERCUT_FOREIGN_BLOCK,  /* programmed what is of no image it may write */
    POWERCUT_BOOTABLE_HALF,  /* the guard block right while any of the body is wrong */
    POWERCUT_FLOOR_EARLY,    /* a floor raised before the boot was confirmed */
    POWERCUT_FLOOR_LOST,     /* a floor lower than what was confirmed, at the end */
    POWERCUT_RELEASED_EARLY, /* the host released without a commit or with a wrong flash */
    POWERCUT_DONE_AGAIN,     /* more units programmed again than the journal named */
    POWERCUT_UNFINISHED,     /* not done, or the host still held */
    POWERCUT_UNSAID,         /* a failing store, and the run ended with another reason */
    POWERCUT_MISUSE,         /* of the flash or the host: unerased, misaligned, out of turn */
    POWERCUT_CRASHED,
    POWERCUT_VIOLATIONS,
};

const char *powercut_violation_name(enum powercut_violation violation);

/* The four ways, and their names. */
enum { POWERCUT_WAYS = 4 };
const char *powercut_way_name(unsigned way);

/* Where a cut was, or is to be. */
struct powercut_cut {
    uint64_t at;     /* operation, counted from the first start on */
    uint8_t way;     /* 0 to 3 */
    uint8_t variant; /* of what it leaves */
};

struct powercut_tally {
    uint64_t operations; /* of the recoveries when nothing is cut */
    uint64_t cuts;       /* recoveries cut once */
    uint64_t pairs;      /* and twice */
    uint64_t ways[POWERCUT_WAYS];
    uint64_t on_flash, on_store, on_host; /* where the last cut was */
    uint64_t again;                       /* most units programmed again in one recovery */
    uint64_t violations[POWERCUT_VIOLATIONS];
    uint64_t all_violations;
    char first[512]; /* the first violation in words; empty: none */
};

extern struct world w;
extern bool powercut_progress; /* print how far a sweep is, every few seconds */

/* The scenarios, with the strides of the everyday suite, and the images they need. */
extern const struct powercut_scenario powercut_scenarios[];
extern const unsigned powercut_scenario_count;
const struct powercut_scenario *powercut_scenario(const char *name);
void powercut_images_make(void);
void powercut_images_free(void);

/* Plays the scenario with every cut, in so many processes at once, and adds to the tally. */
void powercut_sweep(const struct powercut_scenario *s, unsigned jobs, struct powercut_tally *tally);

/* Plays it once with these cuts and without forking, printing the recipient's log. */
void powercut_replay(const struct powercut_scenario *s, const struct powercut_cut *cuts,
                     unsigned count, struct powercut_tally *tally);

/* One recovery step by step, for tests that meddle with what the cut left: begin, run to the
 * first cut (false: it was never reached), finish, look. */
void powercut_begin(const struct powercut_scenario *s, uint64_t at, unsigned way);
bool powercut_run(void);
void powercut_finish(void);
/* Bit n: violation n. */
uint32_t powercut_judge(void);
void powercut_end(void);
/* What was broken on purpose is no violation: forget that anything was erased so far. */
void powercut_forgive(void);
bool powercut_has_erased(void);
void powercut_no_cut(void); /* the power stays from here on */

#endif
