/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors: many of them, of which few are asked first; fresh ones among stale ones; ones that
 * vanish at every message, are full, lie about their images, or have lost a block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK     4096u
#define HEADER    4
#define HOUR_MS   (3600u * 1000)
#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image image, older;

static bool log_says(const char *text)
{
    static char log[65536];
    struct fwr_caller caller = {.privilege = FWR_PRIVILEGE_ADMIN, .max_reply = 1024};
    size_t length = 0;

    for (uint32_t offset = world_status(&w).log_start; length < sizeof(log) - 1024;) {
        struct fwr_read_page_request request = {.offset = offset, .length = 900};
        uint8_t bytes[32], reply[1024];
        int n = fwr_read_page_request_encode(&request, bytes, sizeof(bytes));
        n = fwr_recipient_request(w.recipient, w.now, &caller, FWR_CMD_READ_PAGE, bytes, (size_t)n,
                                  reply, sizeof(reply));
        if (n <= 2)
            break;
        memcpy(log + length, reply + 2, (size_t)n - 2);
        length += (size_t)n - 2;
        offset += (uint32_t)n - 2;
    }
    log[length] = 0;
    return strstr(log, text) != NULL;
}

static void begin(uint64_t seed)
{
    world_init(&w, seed, &image, 0);
    w.config.log_size = 32768;
    world_damage(&w, 2 * BLOCK, 6 * BLOCK);
    world_damage(&w, 60 * BLOCK, 4 * BLOCK);
}

static uint8_t run(void)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, HOUR_MS);
    return world_status(&w).reason;
}

static void assert_repaired(void)
{
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
}

static uint32_t asked(void)
{
    uint32_t count = 0;

    for (uint8_t i = 0; i < w.donor_count; i++)
        count += w.donors[i].answered > 0;
    return count;
}

/* ---- vanishing ---- */

static void test_vanishing_at_every_message(void **state)
{
    uint32_t most = 0, n = 0;

    (void)state;
    for (bool reached = true; reached; n++) {
        begin(n);
        world_add_donor(&w, &image)->die_after = n + 1;
        world_add_donor(&w, &image);
        assert_int_equal(run(), 0);
        assert_repaired();
        if (world_status(&w).blocks_refetched > most)
            most = world_status(&w).blocks_refetched;
        reached = w.donors[0].answered > n + 1;
        world_free(&w);
    }
    printf("# vanished at %u messages; most blocks fetched twice: %u\n", n, most);
    assert_true(n > 10);
    assert_true(most <= 15); /* the window */
}

static void test_vanishing_with_a_third_of_replies_lost(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 60; n += 5) {
        begin(n);
        w.loss = 300;
        w.config.rounds = 20;
        world_add_donor(&w, &image)->die_after = n;
        world_add_donor(&w, &image);
        assert_int_equal(run(), 0);
        assert_repaired();
        world_free(&w);
    }
}

static void test_stalling_below_the_minimum_rate(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 30; n += 3) {
        begin(n);
        world_add_donor(&w, &image)->stall_after = n;
        world_add_donor(&w, &image);
        assert_int_equal(run(), 0);
        assert_repaired();
        assert_true(world_status(&w).elapsed_ms < 5 * 60 * 1000);
        world_free(&w);
    }
}

/* ---- sampling ---- */

static void add_many(uint8_t count, uint8_t fresh)
{
    for (uint8_t i = 0; i < count; i++)
        world_add_donor(&w, i == fresh ? &image : &older);
}

static void test_one_fresh_among_eight(void **state)
{
    (void)state;
    begin(1);
    add_many(8, 5);
    assert_int_equal(run(), 0);
    assert_repaired();
    assert_int_equal(asked(), 8);
    assert_true(log_says("asking 8 of 8 donors"));
    world_free(&w);
}

static void test_two_of_many_are_asked_first(void **state)
{
    (void)state;
    begin(2);
    for (int i = 0; i < 30; i++)
        world_add_donor(&w, &image);
    assert_int_equal(run(), 0);
    assert_repaired();
    assert_int_equal(asked(), 2);
    assert_true(log_says("asking 2 of 30 donors"));
    world_free(&w);
}

/* Only one will do, by policy: the sample doubles until it is found. */
static void test_escalation_over_rounds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        begin(seed);
        add_many(40, (uint8_t)(seed * 4));
        w.rules.min_sequence = image.sequence;
        w.config.rounds = 6;
        assert_int_equal(run(), 0);
        assert_repaired();
        if (asked() > 2)
            assert_true(log_says("asking 4 of 40 donors"));
        world_free(&w);
    }
}

/* Dead ones in every round: those that answered nothing bring the others' turn. */
static void test_all_but_one_of_many_are_dead(void **state)
{
    (void)state;
    begin(4);
    add_many(40, 17);
    for (uint8_t i = 0; i < 40; i++) {
        w.donors[i].die_after = i == 17 ? 0 : 1;
        w.donors[i].answered = i == 17 ? 0 : 1;
    }
    w.config.rounds = 255;
    assert_int_equal(run(), 0);
    assert_repaired();
    world_free(&w);
}

static void set_spare(uint8_t from)
{
    for (uint8_t i = from; i < w.donor_count; i++)
        fwr_recipient_peer(w.recipient, w.now, i, FWR_E_NOT_FOUND, NULL);
}

static void found(uint8_t peer)
{
    const struct fwr_link_limits limits = {.max_request = 64,
                                           .max_reply = 900,
                                           .window = 8,
                                           .medium = FWR_MEDIUM_WLAN,
                                           .round_trip_ms = 3};

    fwr_recipient_peer(w.recipient, w.now, peer, FWR_OK, &limits);
}

/* Places for donors that are not known: nobody asks them, nobody counts them. */
static void test_spare_places_are_not_asked(void **state)
{
    (void)state;
    begin(41);
    add_many(30, 1);
    assert_int_equal(world_boot(&w), FWR_OK);
    set_spare(3);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, HOUR_MS);
    assert_repaired();
    assert_true(log_says("asking 3 of 3 donors"));
    assert_true(log_says("3 of 3 donors were asked"));
    assert_int_equal(asked(), 3);
    world_free(&w);
}

/* Nobody is known at first. Who is found while all wait is asked at once, not after the pause. */
static void test_found_while_waiting(void **state)
{
    uint64_t begun;

    (void)state;
    begin(42);
    add_many(12, 5);
    w.config.backoff_ms = 600000;
    assert_int_equal(world_boot(&w), FWR_OK);
    set_spare(0);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_int_equal(fwr_recipient_step(w.recipient, w.now), FWR_PENDING);
    assert_int_equal(world_status(&w).state, FWR_STATE_BACKOFF);
    assert_true(log_says("asking 0 of 0 donors"));
    begun = w.now;
    found(5);
    found(7);
    world_run(&w, HOUR_MS);
    assert_repaired();
    assert_true(w.now - begun < 60000);
    assert_true(w.donors[7].answered > 0);
    assert_int_equal(asked(), 2);
    world_free(&w);
}

/* A dead donor is waited for; who is found meanwhile is asked in the same round, and one that took
 * its place is a donor like any other. */
static void test_found_in_a_round(void **state)
{
    (void)state;
    begin(43);
    add_many(3, 2);
    w.donors[0].die_after = w.donors[0].answered = 1;
    w.config.rounds = 1;
    assert_int_equal(world_boot(&w), FWR_OK);
    set_spare(1);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, 200);
    assert_int_equal(world_status(&w).state, FWR_STATE_NEGOTIATING);
    found(1);
    fwr_recipient_peer(w.recipient, w.now, 1, FWR_E_NOT_FOUND, NULL);
    found(2);
    world_run(&w, HOUR_MS);
    assert_repaired();
    assert_int_equal(w.donors[1].answered, 0);
    world_free(&w);
}

static size_t four_matches(struct world *world, const struct world_message *request, uint8_t *reply,
                           size_t length)
{
    (void)world;
    if (request->peer == 7 || request->command != FWR_COMMAND_BASE + FWR_CMD_REQUEST_IMAGE ||
        length < HEADER + 19)
        return length;
    reply[HEADER + 1] = FWR_IMAGE_OFFER;
    reply[HEADER + 2] = 255;
    seeded_fill(&world->seed, reply + HEADER + 7, 8);
    memset(reply + HEADER + 15, 0xff, 4);
    return length;
}

/* However many matches the others make up, the one honest offer has its place. */
static void test_made_up_matches_crowd_nobody_out(void **state)
{
    (void)state;
    begin(5);
    add_many(8, 7);
    w.tamper = four_matches;
    w.delay_ms = 5;
    assert_int_equal(run(), 0);
    assert_repaired();
    world_free(&w);
}

/* ---- images ---- */

static void test_pinned_sequence_behind_a_newer_one(void **state)
{
    (void)state;
    begin(6);
    world_add_image(world_add_donor(&w, &image), &older);
    w.expected[0] = &older;
    w.rules.pinned = true;
    w.rules.pinned_sequence = older.sequence;
    assert_int_equal(run(), 0);
    assert_int_equal(world_status(&w).sequence, older.sequence);
    assert_true(world_is_right(&w, &older));
    world_free(&w);
}

static size_t hint_high(struct world *world, const struct world_message *request, uint8_t *reply,
                        size_t length)
{
    (void)world;
    if (request->peer == 0 && request->command == FWR_COMMAND_BASE + FWR_CMD_REQUEST_IMAGE &&
        length >= HEADER + 19)
        memset(reply + HEADER + 15, 0xff, 4);
    return length;
}

static void test_high_hint_but_lower_signature(void **state)
{
    (void)state;
    begin(7);
    world_add_donor(&w, &older);
    world_add_donor(&w, &image);
    w.tamper = hint_high;
    assert_int_equal(run(), 0);
    assert_repaired();
    assert_int_equal(world_status(&w).sequence, image.sequence);
    world_free(&w);
}

static uint8_t liar; /* the peer that changes its manifest */
static int change;

static size_t change_manifest(struct world *world, const struct world_message *request,
                              uint8_t *reply, size_t length)
{
    uint8_t command = (uint8_t)(request->command - FWR_COMMAND_BASE);
    uint8_t *bytes = reply + HEADER + 1;
    size_t count = length - HEADER - 1;

    (void)world;
    if (request->peer != liar || command != FWR_CMD_READ_MANIFEST || length < HEADER + 100)
        return length;
    switch (change) {
    case 0: /* the signature at the end */
        bytes[count - 7] ^= 1;
        return length;
    case 1: /* the manifest itself */
        bytes[40] ^= 1;
        return length;
    case 2: /* another image's manifest, well signed, under this tag */
        memcpy(bytes, older.envelope, older.envelope_length);
        return HEADER + 1 + older.envelope_length;
    case 3: /* halves exchanged */
        for (size_t i = 0; i < count / 2; i++) {
            uint8_t b = bytes[i];
            bytes[i] = bytes[count - 1 - i];
            bytes[count - 1 - i] = b;
        }
        return length;
    case 4: /* the head names the largest lengths */
        memset(bytes + 4, 0xff, 12);
        return length;
    default: /* ends early */
        return HEADER + 1 + count / 2;
    }
}

/* Junk signatures on a good manifest, too, condemn the donor's envelope and not the image. */
static void test_changed_manifests_condemn_only_their_donor(void **state)
{
    (void)state;
    for (change = 0; change <= 5; change++) {
        for (liar = 0; liar < 2; liar++) {
            begin(9);
            world_add_donor(&w, &image);
            world_add_donor(&w, &image);
            w.tamper = change_manifest;
            assert_int_equal(run(), 0);
            assert_repaired();
            world_free(&w);
        }
    }
}

static void test_changed_manifest_of_the_only_donor(void **state)
{
    static const int reasons[] = {FWR_E_SIGNATURE, FWR_E_SIGNATURE, FWR_E_DONOR_LIED,
                                  FWR_E_ENVELOPE};

    (void)state;
    liar = 0;
    for (change = 0; change <= 3; change++) {
        begin(9);
        w.config.rounds = 1;
        world_add_donor(&w, &image);
        w.tamper = change_manifest;
        assert_int_equal(run(), REASON(reasons[change]));
        assert_int_equal(w.host.calls[FWR_HOST_RECORDER_HOLD], 0);
        world_free(&w);
    }
}

/* ---- trees and blocks ---- */

static uint32_t lie_at; /* byte of the tree object, or chip address */
static uint8_t lie_command;
static uint32_t lies;

/* Changes one node, or one block, whenever peer 0 sends it. */
static size_t lie(struct world *world, const struct world_message *request, uint8_t *reply,
                  size_t length)
{
    const uint8_t *asked_for = request->bytes + FWR_IANA_SIZE + 5;
    uint32_t offset = (uint32_t)asked_for[0] | (uint32_t)asked_for[1] << 8 |
                      (uint32_t)asked_for[2] << 16 | (uint32_t)asked_for[3] << 24;

    (void)world;
    if (request->peer != 0 || request->command != FWR_COMMAND_BASE + lie_command || reply[0] != 0 ||
        lie_at < offset || lie_at >= offset + (length - HEADER - 1))
        return length;
    reply[HEADER + 1 + lie_at - offset] ^= 0x80;
    lies++;
    return length;
}

static void test_a_lie_in_every_tree_node(void **state)
{
    uint32_t leaves = fwr_manifest_leaf_count(&image.manifest);
    uint32_t told = 0;

    (void)state;
    lie_command = FWR_CMD_READ_TREE;
    for (lie_at = 0; lie_at < fwr_tree_size(leaves, 32); lie_at += 32) {
        begin(10);
        world_damage(&w, 2 * BLOCK, 20 * BLOCK);
        world_add_donor(&w, &image);
        world_add_donor(&w, &image)->stall_after = 0;
        w.tamper = lie;
        lies = 0;
        assert_int_equal(run(), 0);
        assert_repaired();
        told += lies;
        world_free(&w);
    }
    printf("# %u lies about %u nodes\n", told, fwr_tree_nodes(leaves));
    assert_true(told > 0);
}

static void test_a_lie_in_a_block_of_the_only_donor(void **state)
{
    (void)state;
    lie_command = FWR_CMD_READ_BLOCKS;
    lie_at = 4 * BLOCK + 17;
    begin(11);
    w.config.rounds = 2;
    world_add_donor(&w, &image);
    w.tamper = lie;
    assert_int_equal(run(), REASON(FWR_E_DONORS_LOST));
    assert_true(w.host.held); /* something was written: half an image */
    assert_int_equal(w.strangers, 0);
    w.tamper = NULL;
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    assert_int_equal(world_status(&w).bad_block, UINT32_MAX);
    world_free(&w);
}

static size_t swap_blocks(struct world *world, const struct world_message *request, uint8_t *reply,
                          size_t length)
{
    (void)world;
    if (request->peer == 0 && request->command == FWR_COMMAND_BASE + FWR_CMD_READ_BLOCKS &&
        reply[0] == 0 && length > HEADER + 1)
        memcpy(reply + HEADER + 1, image.bytes + 13 * BLOCK, length - HEADER - 1);
    return length;
}

static void test_swapped_blocks(void **state)
{
    (void)state;
    begin(12);
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    w.tamper = swap_blocks;
    assert_int_equal(run(), 0);
    assert_repaired();
    world_free(&w);
}

/* Each donor has lost another block: together they have the image. */
static void test_blocks_that_only_the_other_holds(void **state)
{
    (void)state;
    begin(13);
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    memset(w.donors[0].image.bytes + 3 * BLOCK, 0, BLOCK); /* after its own check */
    memset(w.donors[1].image.bytes + 6 * BLOCK, 0, BLOCK);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    assert_true(world_status(&w).elapsed_ms < 5000); /* without a pause */
    world_free(&w);
}

/* ---- full donors ---- */

static void hold_places(struct world_donor *d, uint8_t count)
{
    struct fwr_caller caller = {.link = 2, .privilege = FWR_PRIVILEGE_USER, .max_reply = 200};
    uint8_t bytes[32], reply[64];

    for (uint8_t i = 0; i < count; i++) {
        struct fwr_accept_offer_request request = {.nonce = i + 1u};
        memcpy(request.tag, d->image.id, FWR_TAG_SIZE);
        int n = fwr_accept_offer_request_encode(&request, bytes, sizeof(bytes));
        caller.session = 100u + i;
        assert_true(fwr_donor_request(d->engine, w.now, &caller, FWR_CMD_ACCEPT_OFFER, bytes,
                                      (size_t)n, reply, sizeof(reply)) > 0);
    }
}

static void test_donor_at_its_limit_is_asked_again_when_it_says(void **state)
{
    (void)state;
    begin(14);
    world_add_donor(&w, &image)->config.max_transfers = 2;
    assert_int_equal(world_boot(&w), FWR_OK);
    hold_places(&w.donors[0], 2);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_true(world_turn(&w));
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_DONORS_BUSY));
    world_run(&w, HOUR_MS); /* the leases of the others run out */
    assert_int_equal(world_status(&w).reason, 0);
    assert_repaired();
    world_free(&w);
}

static void test_free_donor_beside_a_full_one(void **state)
{
    (void)state;
    begin(15);
    world_add_donor(&w, &image)->config.max_transfers = 1;
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    hold_places(&w.donors[0], 1);
    assert_int_equal(world_repair(&w), 0);
    assert_repaired();
    assert_true(world_status(&w).elapsed_ms < 3000);
    world_free(&w);
}

/* ---- time ---- */

static void test_pauses_double_within_their_bounds(void **state)
{
    uint64_t pause = 1000;

    (void)state;
    begin(16);
    w.config.backoff_ms = 1000;
    w.config.rounds = 10;
    assert_int_equal(world_boot(&w), FWR_OK); /* no donor at all */
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    for (int round = 0; round < 9; round++) {
        while (world_status(&w).state != FWR_STATE_BACKOFF)
            assert_true(world_turn(&w));
        uint64_t wait = fwr_recipient_next_timeout(w.recipient) - w.now;
        assert_in_range(wait, pause, pause + pause / 4);
        while (world_status(&w).state == FWR_STATE_BACKOFF)
            assert_true(world_turn(&w));
        pause = pause < 64000 ? pause * 2 : 64000;
    }
    world_run(&w, HOUR_MS);
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_NO_DONOR));
    world_free(&w);
}

static void test_rounds_without_end(void **state)
{
    (void)state;
    begin(17);
    w.config.rounds = 255;
    w.config.backoff_ms = 10;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, 600 * 1000); /* some 800 rounds */
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_true(world_turn(&w));
    assert_true(fwr_recipient_next_timeout(w.recipient) - w.now <= 640 + 160);
    assert_int_equal(fwr_recipient_abort(w.recipient, w.now), FWR_OK);
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    world_free(&w);
}

static void test_start_jitter(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        begin(seed * 7919 + 1);
        w.config.start_jitter_ms = 5000;
        world_add_donor(&w, &image);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        uint64_t begun = w.now;
        while (w.payload == 0)
            assert_true(world_turn(&w));
        least = w.now - begun < least ? w.now - begun : least;
        most = w.now - begun > most ? w.now - begun : most;
        world_run(&w, HOUR_MS);
        assert_repaired();
        world_free(&w);
    }
    assert_true(most < 5000);
    assert_true(least < 1000 && most > 4000);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    image.sequence = 9;
    assert_int_equal(given_image_make(&image), FWR_OK);
    memset(&older, 0, sizeof(older));
    older.sequence = 8;
    older.seed = 5;
    return given_image_make(&older);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&older);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vanishing_at_every_message),
        cmocka_unit_test(test_vanishing_with_a_third_of_replies_lost),
        cmocka_unit_test(test_stalling_below_the_minimum_rate),
        cmocka_unit_test(test_one_fresh_among_eight),
        cmocka_unit_test(test_two_of_many_are_asked_first),
        cmocka_unit_test(test_escalation_over_rounds),
        cmocka_unit_test(test_all_but_one_of_many_are_dead),
        cmocka_unit_test(test_spare_places_are_not_asked),
        cmocka_unit_test(test_found_while_waiting),
        cmocka_unit_test(test_found_in_a_round),
        cmocka_unit_test(test_made_up_matches_crowd_nobody_out),
        cmocka_unit_test(test_pinned_sequence_behind_a_newer_one),
        cmocka_unit_test(test_high_hint_but_lower_signature),
        cmocka_unit_test(test_changed_manifests_condemn_only_their_donor),
        cmocka_unit_test(test_changed_manifest_of_the_only_donor),
        cmocka_unit_test(test_a_lie_in_every_tree_node),
        cmocka_unit_test(test_a_lie_in_a_block_of_the_only_donor),
        cmocka_unit_test(test_swapped_blocks),
        cmocka_unit_test(test_blocks_that_only_the_other_holds),
        cmocka_unit_test(test_donor_at_its_limit_is_asked_again_when_it_says),
        cmocka_unit_test(test_free_donor_beside_a_full_one),
        cmocka_unit_test(test_pauses_double_within_their_bounds),
        cmocka_unit_test(test_rounds_without_end),
        cmocka_unit_test(test_start_jitter),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
