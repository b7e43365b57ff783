/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads that die and come back in the middle of a recovery: it goes on over the next best one,
 * moves up when a better one is back, and fetches nothing twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "tests/sim/world.h"

#define BLOCK 4096u
#define HOUR  (3600u * 1000)

static struct world w;

static void make(struct given_image *image, uint32_t blocks)
{
    memset(image, 0, sizeof(*image));
    image->blocks = blocks;
    assert_int_equal(given_image_make(image), FWR_OK);
}

/* The same donor twice: over LAN, and over ICMB, slow and in small slices. */
static void begin(const struct given_image *image, uint64_t seed)
{
    world_init(&w, seed, image, 0);
    world_add_donor(&w, image);
    world_add_donor(&w, image);
    w.peers[0].limits.medium = FWR_MEDIUM_LAN;
    w.peers[1].limits = (struct fwr_link_limits){.max_request = 22,
                                                 .max_reply = 23,
                                                 .window = 2,
                                                 .medium = FWR_MEDIUM_ICMB,
                                                 .round_trip_ms = 60};
    w.donors[1].far_ms = 30;
    w.config.rounds = 100;
}

static void damage(const struct given_image *image, uint32_t first, uint32_t count)
{
    (void)image;
    for (uint32_t b = first; b < first + count; b++)
        world_damage(&w, b * BLOCK, BLOCK);
}

static uint32_t bytes_over(uint8_t peer)
{
    uint8_t data[10] = {7, 0, FWR_PAGE_PEERS}, reply[512];
    struct fwr_caller caller = {.privilege = FWR_PRIVILEGE_USER, .max_reply = sizeof(reply)};
    struct fwr_peer_entry entry;

    data[8] = 200;
    int length = fwr_recipient_request(w.recipient, w.now, &caller, FWR_CMD_READ_PAGE, data,
                                       sizeof(data), reply, sizeof(reply));
    assert_int_equal(length, 2 + FWR_PEERS_PAGE_SIZE + w.config.peer_count * FWR_PEER_ENTRY_SIZE);
    const uint8_t *at = reply + 2 + FWR_PEERS_PAGE_SIZE + peer * FWR_PEER_ENTRY_SIZE;
    assert_int_equal(fwr_peer_entry_decode(at, FWR_PEER_ENTRY_SIZE, &entry), FWR_OK);
    return entry.bytes;
}

/* Runs until so many blocks were written, or the end. */
static void run_to(uint32_t blocks)
{
    while (world_status(&w).blocks_repaired < blocks && world_turn(&w))
        assert_int_not_equal(world_status(&w).state, FWR_STATE_FAILED);
}

static void finish(const struct given_image *image)
{
    world_run(&w, 24 * HOUR);
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, image));
}

static void test_only_the_best_road_carries(void **state)
{
    struct given_image image;

    (void)state;
    make(&image, 256);
    begin(&image, 21);
    damage(&image, 10, 40);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_true(bytes_over(0) >= 40 * BLOCK);
    assert_int_equal(bytes_over(1), 0);
    world_free(&w);
    given_image_free(&image);
}

/* LAN cut at 30 %, ICMB carries on, LAN back at 60 %, done. The cut is silent, or the road says so;
 * at whatever moment it comes. */
static void change_roads(uint64_t seed, uint32_t cut_at, uint32_t back_at, bool told)
{
    struct given_image image;
    uint32_t total = 100;

    make(&image, 256);
    begin(&image, seed);
    damage(&image, 10, total);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    run_to(cut_at);
    w.donors[0].severed = true;
    if (told)
        fwr_recipient_peer(w.recipient, w.now, 0, FWR_E_SESSION_CLOSED, NULL);
    uint32_t over_lan = bytes_over(0);
    run_to(back_at);
    assert_true(bytes_over(1) > 0);
    w.donors[0].severed = false;
    if (told)
        fwr_recipient_peer(w.recipient, w.now, 0, FWR_OK, NULL);
    finish(&image);
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    assert_true(bytes_over(0) > over_lan);
    assert_true(world_status(&w).bytes_received < total * BLOCK + 16384);
    if (seed < 23)
        printf("# %s: %u bytes over LAN, %u over ICMB, blocks fetched twice: %u, %u ms\n",
               told ? "told" : "silent", (unsigned)bytes_over(0), (unsigned)bytes_over(1),
               (unsigned)world_status(&w).blocks_refetched, (unsigned)world_status(&w).elapsed_ms);
    world_free(&w);
    given_image_free(&image);
}

static void test_road_change(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        change_roads(seed + 20, 24 + (uint32_t)seed, 55 + (uint32_t)seed, seed % 2);
}

/* A road that comes and goes is tried ever more rarely. */
static void test_road_that_flaps(void **state)
{
    struct given_image image;
    uint32_t flaps = 0;

    (void)state;
    make(&image, 256);
    begin(&image, 9);
    w.donors[0].far_ms = 40;
    damage(&image, 10, 60);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_DONE && world_turn(&w)) {
        bool up = w.now % 3000 < 400;
        if (w.donors[0].severed == up) {
            flaps++;
            w.donors[0].severed = !up;
            if (up)
                fwr_recipient_peer(w.recipient, w.now, 0, FWR_OK, NULL);
        }
    }
    assert_true(world_is_right(&w, &image));
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    printf("# %u changes of the LAN, %u requests reached it, %u bytes over ICMB\n", (unsigned)flaps,
           (unsigned)w.donors[0].answered, (unsigned)bytes_over(1));
    world_free(&w);
    given_image_free(&image);
}

/* Spoils the first blocks that donor 0 sends, and cuts its road after a few. */
static size_t spoil_and_die(struct world *world, const struct world_message *request,
                            uint8_t *reply, size_t length)
{
    if (request->peer != 0 || request->command != world->oem.command_base + FWR_CMD_READ_BLOCKS)
        return length;
    reply[FWR_OEM_HEADER + 1] ^= 1;
    world->donors[0].severed = ++world->donors[0].lies > 5;
    return length;
}

/* What two donors sent together is wrong: nobody is blamed before one sent all of it. */
static void test_mixed_bytes_blame_nobody(void **state)
{
    struct given_image image;

    (void)state;
    make(&image, 64);
    begin(&image, 4);
    w.peers[1].limits = w.peers[0].limits;
    w.peers[1].limits.medium = FWR_MEDIUM_WLAN;
    w.peers[0].limits.max_reply = w.peers[1].limits.max_reply = 201;
    damage(&image, 20, 1);
    w.tamper = spoil_and_die;
    w.config.lanes = 1;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(world_status(&w).blocks_refetched, 1);
    assert_int_equal(w.recipient->peers[1].penalty, 0);
    world_free(&w);
    given_image_free(&image);
}

/* Who lied over a better road is not moved up to again. */
static void test_liar_on_a_better_road(void **state)
{
    struct given_image image;

    (void)state;
    make(&image, 64);
    begin(&image, 4);
    damage(&image, 20, 4);
    w.donors[0].lie_every = 1;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    printf("# %u lies\n", (unsigned)w.donors[0].lies);
    assert_true(w.donors[0].lies <= 4);
    world_free(&w);
    given_image_free(&image);
}

/* Every road is lost, and one opens again: the pause for want of donors is over. */
static void test_a_road_that_opens_ends_the_pause(void **state)
{
    struct given_image image;

    (void)state;
    make(&image, 64);
    begin(&image, 25);
    damage(&image, 8, 10);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    run_to(3);
    for (uint8_t i = 0; i < 2; i++) {
        w.donors[i].severed = true;
        fwr_recipient_peer(w.recipient, w.now, i, FWR_E_SESSION_CLOSED, NULL);
    }
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        world_turn(&w);
    uint64_t since = w.now;
    w.donors[0].severed = false;
    fwr_recipient_peer(w.recipient, w.now, 0, FWR_OK, NULL); /* "worth another try": it goes on */
    assert_true(fwr_recipient_next_timeout(w.recipient) > since + 1000);
    fwr_recipient_peer(w.recipient, w.now, 0, FWR_E_NO_DONOR, NULL);
    fwr_recipient_peer(w.recipient, w.now, 0, FWR_OK, &w.peers[0].limits); /* open */
    finish(&image);
    assert_true(w.now < since + 1000);
    world_free(&w);
    given_image_free(&image);
}

/* A medium that the policy refuses is not moved up to. */
static void test_refused_medium(void **state)
{
    struct given_image image;

    (void)state;
    make(&image, 64);
    begin(&image, 5);
    w.rules.media_refused = 1 << FWR_MEDIUM_LAN;
    damage(&image, 20, 3);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_true(bytes_over(1) > 3 * BLOCK);
    assert_true(bytes_over(0) < BLOCK);
    world_free(&w);
    given_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_best_road_carries),
        cmocka_unit_test(test_road_change),
        cmocka_unit_test(test_road_that_flaps),
        cmocka_unit_test(test_mixed_bytes_blame_nobody),
        cmocka_unit_test(test_liar_on_a_better_road),
        cmocka_unit_test(test_a_road_that_opens_ends_the_pause),
        cmocka_unit_test(test_refused_medium),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
