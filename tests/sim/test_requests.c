/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that reach an engine without the dispatcher, which would have measured them: each
 * engine refuses by itself what is too short, what it does not know, and a reply without room,
 * at rest and at work, and what it was doing goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fwrecover/keyring.h>

#include "oem-cmds/table.h"
#include "tests/sim/world.h"

#define BLOCK  4096u
#define LENGTH 64 /* longer than every fixed request */

typedef int request_function(uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                             size_t capacity);

static struct world w;
static struct given_image image;
static struct fwr_keyring keyring;
static const struct fwr_caller caller = {.link = 3,
                                         .medium = FWR_MEDIUM_LAN,
                                         .privilege = FWR_PRIVILEGE_ADMIN,
                                         .security = FWR_SECURITY_SUITE,
                                         .session = 1,
                                         .max_reply = 240};

static int ask_recipient(uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                         size_t capacity)
{
    return fwr_recipient_request(w.recipient, w.now, &caller, command, data, length, reply,
                                 capacity);
}

static int ask_donor(uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                     size_t capacity)
{
    return fwr_donor_request(w.donors[0].engine, w.now, &caller, command, data, length, reply,
                             capacity);
}

static int ask_keyring(uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                       size_t capacity)
{
    return fwr_keyring_request(&keyring, w.now, &caller, command, data, length, reply, capacity);
}

/* Every command, known or not, with every length below its shortest, and with every room below
 * the smallest reply that a road must take. */
static void annoy(request_function *ask)
{
    static const uint8_t data[LENGTH];
    uint8_t reply[FWR_LINK_MIN_REPLY];

    for (unsigned command = 0; command < 256; command++) {
        const struct fwr_oem_command *row = fwr_oem_command_find((uint8_t)command);
        const size_t shortest = row != NULL ? row->shortest : LENGTH;

        for (size_t length = 0; length < shortest; length++) {
            if (ask((uint8_t)command, data, length, reply, sizeof(reply)) >= 0)
                fail_msg("command %u is answered with %zu of %zu bytes", command, length, shortest);
        }
        for (size_t room = 0; room < sizeof(reply); room++) {
            const int error = ask((uint8_t)command, data, shortest, reply, room);

            if (error >= 0)
                fail_msg("command %u is answered into %zu bytes", command, room);
        }
    }
}

static void assert_repaired(void)
{
    world_run(&w, 24u * 3600 * 1000);
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
}

static void begin(void)
{
    world_init(&w, 1, &image, 0);
    world_add_donor(&w, &image);
    world_damage(&w, 3 * BLOCK, 4 * BLOCK);
    world_damage(&w, 60 * BLOCK, 4 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    annoy(ask_recipient);
    annoy(ask_donor);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
}

static void a_recovery_goes_on(void **state)
{
    (void)state;
    begin();
    for (unsigned turn = 0; world_turn(&w); turn++) {
        if (turn % 16 != 0)
            continue;
        annoy(ask_recipient);
        annoy(ask_donor);
    }
    assert_repaired();
    annoy(ask_recipient);
    world_free(&w);
}

/* What no request is answered with while a console brings the image. */
static void a_push_goes_on(void **state)
{
    struct fwr_offer_request offer = {.cookie = 1, .sequence = 7};
    struct fwr_offer_reply out;
    uint8_t data[LENGTH], reply[240];
    int length;

    (void)state;
    world_init(&w, 2, &image, 0);
    world_damage(&w, 3 * BLOCK, 4 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    memcpy(offer.tag, image.id, FWR_TAG_SIZE);
    length = fwr_offer_request_encode(&offer, data, sizeof(data));
    assert_true(length > 0);
    length = ask_recipient(FWR_CMD_OFFER, data, (size_t)length, reply, sizeof(reply));
    assert_true(length > 0);
    assert_int_equal(fwr_offer_reply_decode(reply, (size_t)length, &out), FWR_OK);
    assert_int_equal(out.result, FWR_OFFER_ACCEPTED);
    annoy(ask_recipient);
    assert_int_not_equal(world_status(&w).state, FWR_STATE_FAILED);
    world_free(&w);
}

static void a_keyring_stays_as_it_is(void **state)
{
    static uint8_t storage[2 * FWR_ENVELOPE_MAX], set[FWR_TRUST_MAX];
    struct fwr_keyring_config config = {.size = sizeof(config),
                                        .provisioned = set,
                                        .storage = storage,
                                        .storage_size = sizeof(storage)};
    int length = fwr_trust_encode(&image.trust, set, sizeof(set));

    (void)state;
    assert_true(length > 0);
    config.provisioned_length = (size_t)length;
    world_init(&w, 3, &image, 0);
    config.platform = &w.platform;
    config.store = w.config.store;
    while ((length = fwr_keyring_init(&keyring, &config)) == FWR_PENDING)
        ;
    assert_int_equal(length, FWR_OK);
    annoy(ask_keyring);
    assert_int_equal(keyring.stage, FWR_KEYRING_IDLE);
    assert_int_equal(fwr_keyring_trust(&keyring)->generation, 1);
    world_free(&w);
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
        cmocka_unit_test(a_recovery_goes_on),
        cmocka_unit_test(a_push_goes_on),
        cmocka_unit_test(a_keyring_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
