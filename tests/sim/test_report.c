/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recipient says of itself: which configurations it takes, how far a run has come, what
 * it thinks of each donor.
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
#define HOUR_MS   (3600u * 1000)
#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image image;
static const struct fwr_caller caller = {.link = 3,
                                         .medium = FWR_MEDIUM_LAN,
                                         .privilege = FWR_PRIVILEGE_ADMIN,
                                         .security = FWR_SECURITY_SUITE,
                                         .session = 1,
                                         .max_reply = 240};
static uint8_t reply[256];

/* ---- Configuration ---- */

static void a_configuration_is_checked(void **state)
{
    struct fwr_recipient *recipient;
    struct fwr_peer peers[2];
    struct fwr_flash flash;
    uint8_t *storage;
    size_t size;

    (void)state;
    world_init(&w, 1, &image, 0);
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    size = fwr_recipient_storage(&w.config);
    assert_true(size > 0);
    storage = malloc(size + 1);
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fwr_recipient_config config = w.config;                                             \
        memcpy(peers, w.config.peers, sizeof(peers));                                              \
        flash = *w.config.flash;                                                                   \
        config.peers = peers;                                                                      \
        config.flash = &flash;                                                                     \
        change;                                                                                    \
        assert_int_equal(fwr_recipient_storage(&config), 0);                                       \
        assert_int_equal(fwr_recipient_init(&recipient, storage, size, &config, 0),                \
                         FWR_E_ARGUMENT);                                                          \
    } while (0)
    REFUSED(config.size--);
    REFUSED(config.platform = NULL);
    REFUSED(config.flash = NULL);
    REFUSED(config.store = NULL);
    REFUSED(config.host = NULL);
    REFUSED(config.policy = NULL);
    REFUSED(config.board = NULL);
    REFUSED(config.peers = NULL);
    REFUSED(config.peer_count = FWR_PEERS_MAX + 1);
    REFUSED(config.lanes = FWR_LANES_MAX + 1);
    REFUSED(config.batch = 65);
    REFUSED(config.max_envelope = FWR_ENVELOPE_MAX + 1);
    REFUSED(config.block_size = 3000);
    REFUSED(config.block_size = FWR_BLOCK_SIZE_MIN / 2);
    REFUSED(config.block_size = FWR_BLOCK_SIZE_MAX * 2);
    REFUSED(flash.geometry.erase_size = 0);
    REFUSED(flash.geometry.erase_size = 3 * BLOCK);
    REFUSED(flash.geometry.size = 0);
    REFUSED(flash.geometry.size += 1);
    REFUSED(flash.geometry.program_size = 0);
    REFUSED(flash.geometry.program_size = 3);
    REFUSED(flash.geometry.erase_size = 2048; flash.geometry.size = 3 * 2048); /* half a block */
    REFUSED(peers[1].limits.max_request = FWR_LINK_MIN_REQUEST - 1);
    REFUSED(peers[1].limits.max_reply = FWR_LINK_MIN_REPLY - 1);
    REFUSED(peers[1].limits.window = 0);
#undef REFUSED
    assert_int_equal(fwr_recipient_storage(NULL), 0);
    assert_int_equal(fwr_recipient_init(&recipient, storage, size - 1, &w.config, 0),
                     FWR_E_NO_SPACE);
    assert_int_equal(fwr_recipient_init(&recipient, storage + 1, size, &w.config, 0),
                     FWR_E_ARGUMENT);
    assert_int_equal(fwr_recipient_init(&recipient, NULL, size, &w.config, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_recipient_init(NULL, storage, size, &w.config, 0), FWR_E_ARGUMENT);
    free(storage);
    world_free(&w);
}

/* A donor's configuration likewise; a donor without images is one: it offers nothing. */
static void a_donors_configuration_is_checked(void **state)
{
    struct fwr_donor_config good;
    struct fwr_donor *donor;
    uint8_t *storage;
    size_t size;

    (void)state;
    world_init(&w, 1, &image, 0);
    good = world_add_donor(&w, &image)->config;
    size = fwr_donor_storage(&good);
    assert_true(size > 0);
    storage = malloc(size);
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fwr_donor_config config = good;                                                     \
        change;                                                                                    \
        assert_int_equal(fwr_donor_storage(&config), 0);                                           \
        assert_int_equal(fwr_donor_init(&donor, storage, size, &config, 0), FWR_E_ARGUMENT);       \
    } while (0)
    REFUSED(config.size--);
    REFUSED(config.platform = NULL);
    REFUSED(config.images = NULL);
    REFUSED(config.max_leaves = 0);
    REFUSED(config.max_block_size = FWR_BLOCK_SIZE_MIN / 2);
    REFUSED(config.max_block_size = FWR_BLOCK_SIZE_MAX * 2);
    REFUSED(config.max_envelope = FWR_ENVELOPE_MAX + 1);
#undef REFUSED
    assert_int_equal(fwr_donor_storage(NULL), 0);
    free(storage);
    world_free(&w);
}

/* ---- Progress ---- */

static struct fwr_get_status_reply get_status(void)
{
    const struct fwr_get_status_request request = {.cookie = 1};
    struct fwr_get_status_reply out;
    uint8_t data[8];
    int length = fwr_get_status_request_encode(&request, data, sizeof(data));

    assert_true(length > 0);
    length = fwr_recipient_request(w.recipient, w.now, &caller, FWR_CMD_GET_STATUS, data,
                                   (size_t)length, reply, sizeof(reply));
    assert_true(length > 0);
    assert_int_equal(fwr_get_status_reply_decode(reply, (size_t)length, &out), FWR_OK);
    return out;
}

/* Within one state the share of the work done never falls, and never passes the whole. */
static void progress_only_grows(void **state)
{
    uint16_t highest[16] = {0};
    unsigned steps[16] = {0};
    uint8_t before = FWR_STATE_IDLE;

    (void)state;
    world_init(&w, 3, &image, 0);
    world_add_donor(&w, &image);
    world_damage(&w, 0, 24 * BLOCK);
    world_damage(&w, 50 * BLOCK, 14 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(get_status().permille, 0);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    do {
        const struct fwr_get_status_reply now = get_status();

        assert_true(now.state < 16);
        assert_true(now.permille <= 1000);
        if (now.state != before)
            highest[now.state] = 0; /* hashing comes more than once */
        if (now.permille < highest[now.state])
            fail_msg("state %u: from %u to %u permille", now.state, highest[now.state],
                     now.permille);
        steps[now.state] += now.permille > highest[now.state];
        highest[now.state] = now.permille;
        before = now.state;
    } while (world_turn(&w) && world_status(&w).state != FWR_STATE_DONE);
    assert_true(steps[FWR_STATE_HASHING] > 2);
    assert_true(steps[FWR_STATE_REPAIRING] > 2);
    assert_true(steps[FWR_STATE_VERIFYING] > 2);
    assert_int_equal(get_status().permille, 1000);
    assert_int_equal(get_status().fetched + get_status().reused, 38);
    world_free(&w);
}

/* ---- Donors ---- */

static struct fwr_peer_entry entry_of(uint8_t peer)
{
    struct fwr_read_page_request request = {.cookie = 1, .page = FWR_PAGE_PEERS, .length = 200};
    struct fwr_read_page_reply out;
    struct fwr_peers_page head;
    struct fwr_peer_entry entry;
    uint8_t data[16];
    int length = fwr_read_page_request_encode(&request, data, sizeof(data));

    assert_true(length > 0);
    length = fwr_recipient_request(w.recipient, w.now, &caller, FWR_CMD_READ_PAGE, data,
                                   (size_t)length, reply, sizeof(reply));
    assert_true(length > 0);
    assert_int_equal(fwr_read_page_reply_decode(reply, (size_t)length, &out), FWR_OK);
    assert_int_equal(fwr_peers_page_decode(out.data, FWR_PEERS_PAGE_SIZE, &head), FWR_OK);
    assert_true(peer < head.count);
    assert_int_equal(out.length, FWR_PEERS_PAGE_SIZE + head.count * head.entry_size);
    assert_int_equal(
        fwr_peer_entry_decode(out.data + FWR_PEERS_PAGE_SIZE + (size_t)peer * head.entry_size,
                              head.entry_size, &entry),
        FWR_OK);
    assert_int_equal(entry.peer, peer);
    return entry;
}

/* One donor serves, one signs with a key that nobody trusts, one has nothing that fits, one
 * lies about the blocks. */
static void the_peers_page_names_each_donor(void **state)
{
    static const uint8_t nothing[FWR_TAG_SIZE];
    struct given_image foreign = {.blocks = 64, .sequence = 8, .key_seed = 9};
    bool serving = false;

    (void)state;
    assert_int_equal(given_image_make(&foreign), FWR_OK);
    world_init(&w, 4, &image, 0);
    world_add_donor(&w, &image);
    world_add_donor(&w, &foreign);
    world_add_donor(&w, &image)->config.image_count = 0;
    world_add_donor(&w, &image)->lie_every = 1;
    world_damage(&w, 0, 24 * BLOCK);
    world_damage(&w, 50 * BLOCK, 14 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    for (uint8_t peer = 0; peer < 4; peer++) {
        assert_int_equal(entry_of(peer).flags, 0);
        assert_int_equal(entry_of(peer).medium, FWR_MEDIUM_LAN);
        assert_memory_equal(entry_of(peer).tag, nothing, sizeof(nothing));
    }
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_turn(&w) && world_status(&w).state != FWR_STATE_DONE)
        serving = serving || (entry_of(0).flags & FWR_PEER_SERVING) != 0;
    assert_true(world_is_right(&w, &image));
    assert_true(serving);
    assert_int_equal(entry_of(0).flags & (FWR_PEER_ASKED | FWR_PEER_DROPPED), FWR_PEER_ASKED);
    assert_int_equal(entry_of(0).reason, 0);
    assert_memory_equal(entry_of(0).tag, image.id, FWR_TAG_SIZE);
    assert_int_equal(entry_of(1).flags & FWR_PEER_DROPPED, FWR_PEER_DROPPED);
    assert_int_equal(entry_of(1).reason, REASON(FWR_E_UNTRUSTED));
    assert_memory_equal(entry_of(1).tag, foreign.id, FWR_TAG_SIZE);
    assert_int_equal(entry_of(2).flags & FWR_PEER_ASKED, FWR_PEER_ASKED);
    assert_memory_equal(entry_of(2).tag, nothing, sizeof(nothing));
    assert_int_equal(entry_of(3).flags & FWR_PEER_DROPPED, FWR_PEER_DROPPED);
    assert_int_not_equal(entry_of(3).reason, 0);
    world_free(&w);
    given_image_free(&foreign);
}

static int set_up(void **state)
{
    (void)state;
    memset(&image, 0, sizeof(image));
    return given_image_make(&image);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_checked),
        cmocka_unit_test(a_donors_configuration_is_checked),
        cmocka_unit_test(progress_only_grows),
        cmocka_unit_test(the_peers_page_names_each_donor),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
