/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of threats share: a world under attack, donors that say whatever the test
 * wants them to say, and the line each test prints. A test makes as many worlds as it needs;
 * the flash operations of all of them are counted.
 */
#ifndef FWR_TEST_THREAT_H
#define FWR_TEST_THREAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK     4096u
#define REASON(e) ((uint8_t) - (e))

extern struct world w;
extern struct given_image image; /* the right one: 24 blocks, sequence 7, security version 3 */

/* What happened so far in this test. */
struct threat {
    uint64_t attacks;
    uint64_t operations; /* erases and programs, of worlds that have ended */
    uint64_t strangers;  /* blocks programmed that are of no image the test allows */
};
extern struct threat threat;

/* A donor without scruples: what it offers, whatever its engine holds. */
struct liar {
    bool lies;
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t sequence; /* that it promises */
    const uint8_t *envelope;
    size_t length;
};
extern struct liar liars[WORLD_DONORS_MAX];

/* For cmocka: makes and frees `image` and forgets `threat`. */
int threat_set_up(void **state);
int threat_tear_down(void **state);

/* A world with damage in it, without donors; one fruitless round ends a run. */
void threat_begin(uint64_t seed);

/* Adds a donor that offers `envelope` under `tag`; the bytes stay the caller's. It serves the
 * blocks of `image`. */
void threat_add_liar(const uint8_t *envelope, size_t length, const uint8_t *tag, uint32_t sequence);

/* The donors leave and the BMC stops; the board, its flash and its store stay. */
void threat_end_donors(void);

/* Signs a manifest's bytes with the release key `key`, and makes the tag that names it. */
size_t threat_sign(uint8_t key, const uint8_t *manifest, size_t length,
                   uint8_t envelope[GIVEN_ENVELOPE_MAX], uint8_t tag[FWR_TAG_SIZE]);

/* Counts what the world's flash saw, and frees the world. */
void threat_end(void);

/* Boots, repairs, asserts the reason and that nothing was written or held, and ends. */
void threat_refused(int reason);

/* The line: "threat 04 rollback: 120 attacks, 0 flash operations". */
void threat_say(unsigned number, const char *what);

/* The same, after asserting that nothing was written at all. */
void threat_nothing_written(unsigned number, const char *what);

/* The same where a recovery is meant to succeed: asserts that not one foreign block was
 * written. */
void threat_nothing_foreign(unsigned number, const char *what);

#define THREAT(test) cmocka_unit_test_setup_teardown(test, threat_set_up, threat_tear_down)

#endif
