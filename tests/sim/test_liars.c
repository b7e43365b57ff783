/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All donors but one lie. The recovery completes, not one byte is written that was not signed,
 * and the log names each liar with the very block it lied about. And where the liars alone have
 * the newest image, an older one that an honest donor has will do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "tests/sim/world.h"

#define BLOCK      4096u
#define UNIT       (8 * BLOCK)
#define BLOCKS     128u
#define DONORS_MAX 8
#define DATA       5 /* in a reply: completion code, IANA number and cookie come first */

static struct world w;
static struct given_image image, newer;
static uint8_t honest;
static bool lied[DONORS_MAX][BLOCKS]; /* about which blocks */
static bool named[DONORS_MAX], named_rightly[DONORS_MAX];

static void listen(void *ctx, enum fwr_log_level level, const char *text)
{
    unsigned donor, at;

    (void)ctx, (void)level;
    if (sscanf(text, "donor %u sent wrong bytes (block-hash at %x)", &donor, &at) != 2)
        return;
    assert_true(donor < DONORS_MAX && at % BLOCK == 0 && at / BLOCK < BLOCKS);
    named[donor] = true;
    named_rightly[donor] |= lied[donor][at / BLOCK];
}

/* Liars flip a bit in one block of four. */
static size_t lie(struct world *world, const struct world_message *m, uint8_t *reply, size_t length)
{
    struct fwr_read_request asked;

    if (m->peer == honest || m->command != world->oem.command_base + FWR_CMD_READ_BLOCKS ||
        length <= DATA ||
        fwr_read_request_decode(m->bytes + FWR_IANA_SIZE, m->length - FWR_IANA_SIZE, &asked))
        return length;
    for (size_t i = DATA; i < length; i++) {
        uint32_t block = (asked.offset + (uint32_t)i - DATA) / BLOCK;
        if (block % 4 != 3 || lied[m->peer][block])
            continue;
        reply[i] ^= 1;
        lied[m->peer][block] = true;
    }
    return length;
}

static void begin(uint64_t seed)
{
    world_init(&w, seed, &image, UNIT);
    memset(lied, 0, sizeof(lied));
    memset(named, 0, sizeof(named));
    memset(named_rightly, 0, sizeof(named_rightly));
    world_damage(&w, 0, 40 * BLOCK);
    world_damage(&w, 120 * BLOCK, 8 * BLOCK);
}

static void test_all_but_one_lie(void **state)
{
    unsigned runs = 0, liars = 0;

    (void)state;
    for (uint8_t donors = 2; donors <= DONORS_MAX; donors++) {
        for (honest = 0; honest < donors; honest++) {
            begin(donors * 100u + honest);
            w.platform.log = listen;
            w.tamper = lie;
            w.config.lanes = DONORS_MAX;
            for (uint8_t i = 0; i < donors; i++)
                world_add_donor(&w, &image);
            assert_int_equal(world_boot(&w), FWR_OK);
            assert_int_equal(world_repair(&w), 0);
            assert_true(world_is_right(&w, &image)); /* and no foreign block on the way */
            for (uint8_t i = 0; i < donors; i++) {
                bool lies = memchr(lied[i], 1, sizeof(lied[i])) != NULL;
                assert_int_equal(named[i], lies);
                assert_int_equal(named_rightly[i], lies);
                liars += lies;
            }
            assert_false(named[honest]);
            runs++;
            world_free(&w);
        }
    }
    printf("# %u recoveries, %u liars, each named with a block it lied about, 0 foreign blocks\n",
           runs, liars);
    assert_true(liars >= 2 * runs);
}

/* ---- a genuine manifest, and nobody who has its blocks ---- */

static size_t always_lie(struct world *world, const struct world_message *m, uint8_t *reply,
                         size_t length)
{
    if (m->peer != honest && m->command == world->oem.command_base + FWR_CMD_READ_BLOCKS &&
        length > DATA)
        reply[DATA] ^= 1;
    return length;
}

/* The liar brings the tree, so that writing begins; runs of one round each, as many as it takes. */
static void against_a_lone_liar(uint64_t seed, bool cut)
{
    begin(seed);
    w.config.rounds = 1;
    w.expected[1] = &newer;
    w.tamper = always_lie;
    honest = 0;
    world_add_donor(&w, &image);
    world_add_donor(&w, &newer);
    assert_int_equal(world_boot(&w), FWR_OK);
    for (int runs = 0; runs < 4 && world_repair(&w) != 0; runs++) {
        if (!cut)
            continue;
        world_cut(&w);
        assert_int_equal(world_boot(&w), FWR_OK);
        world_run(&w, 3600000);
        cut = false; /* what it knew of the image is forgotten once */
    }
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_int_equal(world_status(&w).sequence, image.sequence);
    assert_true(world_is_right(&w, &image));
    world_free(&w);
}

static void test_lone_liar_with_the_newest_image(void **state)
{
    (void)state;
    against_a_lone_liar(31, false);
}

static void test_lone_liar_after_a_power_cut(void **state)
{
    (void)state;
    against_a_lone_liar(32, true);
}

/* It is no grudge for ever: where the newest image can be had, the next run takes it. */
static void test_newest_image_is_wanted_again(void **state)
{
    (void)state;
    begin(33);
    w.expected[1] = &newer;
    w.tamper = always_lie;
    honest = 0;
    world_add_donor(&w, &image);
    world_add_donor(&w, &newer);
    w.config.rounds = 9;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    w.tamper = NULL;
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(world_status(&w).sequence, newer.sequence);
    assert_true(world_is_right(&w, &newer));
    world_free(&w);
}

static int set_up(void **state)
{
    static const struct fwr_region regions[] = {
        {0, 8 * UNIT, FWR_REGION_WRITE, 0, 0},
        {8 * UNIT, 2 * UNIT, FWR_REGION_PRESERVE, 0, 0},
        {10 * UNIT, 6 * UNIT, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    struct given_image *const both[] = {&image, &newer};

    (void)state;
    for (int i = 0; i < 2; i++) {
        both[i]->blocks = BLOCKS;
        both[i]->sequence = 7 + (uint32_t)i;
        both[i]->seed = (uint64_t)i;
        both[i]->manifest.map.count = 3;
        memcpy(both[i]->manifest.map.regions, regions, sizeof(regions));
        if (given_image_make(both[i]))
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&newer);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_but_one_lie),
        cmocka_unit_test(test_lone_liar_with_the_newest_image),
        cmocka_unit_test(test_lone_liar_after_a_power_cut),
        cmocka_unit_test(test_newest_image_is_wanted_again),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
