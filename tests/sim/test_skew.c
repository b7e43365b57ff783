/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire skew: a recipient of today with a donor of the next version, and the other way round. The
 * next version is played by a shim on the bytes: it has longer fixed replies, a higher version
 * number, new roles and codecs, longer requests, a page, an object and manifest fields that
 * version 1 does not know. Both ways the recovery ends well (doc/WIRE.md, section 4).
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
#define IGNORABLE  0x8001u /* a manifest field that a reader may skip */
#define CRITICAL   0x0042u /* and one that it must know */
#define NEXT_CODEC 1
#define NEXT_PAGE  4
#define CODE(e)    fwr_error_completion_code(e)

static struct world w;
static struct given_image image, extended, critical;
static unsigned grown, probed;

static void begin(uint64_t seed, const struct given_image *of)
{
    world_init(&w, seed, of, 0);
    world_damage(&w, 2 * BLOCK, 5 * BLOCK);
    world_damage(&w, 40 * BLOCK, 2 * BLOCK);
    w.config.rounds = 2;
    grown = probed = 0;
}

static void recovers(const struct given_image *to)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, to));
    assert_int_equal(world_status(&w).sequence, to->sequence);
    world_free(&w);
}

/* One request to a peer as its stack hands it over: the completion code. */
static uint8_t ask(const struct fwr_oem *oem, uint8_t privilege, uint8_t command,
                   const uint8_t *body, size_t length, uint8_t *reply, size_t *got)
{
    const struct fwr_caller caller = {.link = 5,
                                      .medium = FWR_MEDIUM_LAN,
                                      .privilege = privilege,
                                      .security = FWR_SECURITY_SUITE,
                                      .session = 99,
                                      .max_reply = 240};
    uint8_t bytes[300] = {0xd9, 0x7e, 0}, answer[300];

    memcpy(bytes + FWR_IANA_SIZE, body, length);
    size_t n = fwr_oem_handle(oem, w.now, &caller, (uint8_t)(oem->command_base + command), bytes,
                              length + FWR_IANA_SIZE, answer, sizeof(answer));
    *got = n > FWR_OEM_HEADER ? n - FWR_OEM_HEADER : 0;
    memcpy(reply, answer + FWR_OEM_HEADER, *got);
    return answer[0];
}

/* ---- a donor of the next version ---- */

/* Fixed replies are two bytes longer; what carries data is not. */
static size_t grow(struct world *world, const struct world_message *m, uint8_t *reply,
                   size_t length)
{
    uint8_t command = (uint8_t)(m->command - world->oem.command_base);

    if (reply[0] != 0 || command == FWR_CMD_READ_MANIFEST || command == FWR_CMD_READ_TREE ||
        command == FWR_CMD_READ_BLOCKS)
        return length;
    reply[length] = 0x5a;
    reply[length + 1] = 0xa5;
    grown++;
    return length + 2;
}

static void test_longer_replies(void **state)
{
    (void)state;
    begin(1, &image);
    w.tamper = grow;
    world_add_donor(&w, &image);
    world_add_donor(&w, &image);
    recovers(&image);
    assert_true(grown >= 4); /* offers, transfers, ends */
}

static void test_higher_version_in_capabilities(void **state)
{
    const struct fwr_get_capabilities_reply next = {.cookie = 1,
                                                    .wire_version = FWR_WIRE_VERSION + 1,
                                                    .roles = FWR_ROLE_DONOR | 0x8000,
                                                    .max_request = 192,
                                                    .max_reply = 1368,
                                                    .codecs = 1 | 1 << NEXT_CODEC,
                                                    .window = 15};
    struct fwr_get_capabilities_reply read;
    uint8_t bytes[32] = {0};
    int length = fwr_get_capabilities_reply_encode(&next, bytes, sizeof(bytes));

    (void)state;
    assert_true(length > 0);
    assert_int_equal(fwr_get_capabilities_reply_decode(bytes, (size_t)length + 3, &read), FWR_OK);
    assert_int_equal(read.wire_version, FWR_WIRE_VERSION + 1);
    assert_int_equal(read.roles & FWR_ROLE_DONOR, FWR_ROLE_DONOR);
    assert_int_equal(read.window, 15);
}

/* A manifest of the next version that says more, and can be used without knowing what. */
static void test_manifest_with_an_unknown_field(void **state)
{
    (void)state;
    begin(2, &extended);
    world_add_donor(&w, &extended); /* a donor of today gives it away as well */
    recovers(&extended);
}

/* The second donor's engine of the next version offers what today's would not. */
static size_t offers_critical(struct world *world, const struct world_message *m, uint8_t *reply,
                              size_t length)
{
    const uint8_t *body = m->bytes + FWR_IANA_SIZE;
    uint8_t command = (uint8_t)(m->command - world->oem.command_base);
    struct fwr_request_image_reply offer = {
        .cookie = body[0], .result = FWR_IMAGE_OFFER, .count = 1, .sequence = critical.sequence};
    struct fwr_read_manifest_request asked;
    int made = -1;

    if (m->peer == 0)
        return length;
    if (command == FWR_CMD_REQUEST_IMAGE) {
        memcpy(offer.tag, critical.id, FWR_TAG_SIZE);
        made = fwr_request_image_reply_encode(&offer, reply + FWR_OEM_HEADER, 64);
    } else if (command == FWR_CMD_READ_MANIFEST &&
               fwr_read_manifest_request_decode(body, m->length - (size_t)FWR_IANA_SIZE, &asked) ==
                   FWR_OK) {
        size_t left = critical.envelope_length - asked.offset;
        struct fwr_data_reply slice = {.cookie = body[0],
                                       .data = critical.envelope + asked.offset,
                                       .length = left < asked.length ? left : asked.length};
        made = fwr_data_reply_encode(&slice, reply + FWR_OEM_HEADER,
                                     WORLD_MESSAGE_MAX - FWR_OEM_HEADER);
        grown++;
    }
    if (made < 0)
        return length;
    reply[0] = 0;
    memcpy(reply + 1, m->bytes, FWR_IANA_SIZE);
    return FWR_OEM_HEADER + (size_t)made;
}

/* One that cannot: a donor of today does not offer it, a recipient of today refuses it, and the
 * older image is taken. */
static void test_manifest_with_an_unknown_critical_field(void **state)
{
    (void)state;
    begin(3, &image);
    world_add_donor(&w, &image);
    struct world_donor *d = world_add_donor(&w, &critical);
    assert_int_equal(world_boot(&w), FWR_OK);
    struct fwr_donor_status status;
    fwr_donor_status(d->engine, &status);
    assert_int_equal(status.images[0].state, FWR_E_CRITICAL_TAG);
    w.tamper = offers_critical;
    recovers(&image);
    assert_true(grown > 0); /* its manifest was read */
}

static void test_longer_pages(void **state)
{
    struct fwr_status_page status = {.state = FWR_STATE_DONE, .run = 7}, read_status;
    struct fwr_policy_page policy = {.min_sequence = 5, .generation = 2}, read_policy;
    struct fwr_peers_page peers = {.count = 2, .entry_size = FWR_PEER_ENTRY_SIZE + 4}, read_peers;
    struct fwr_peer_entry entry = {.peer = 1, .medium = FWR_MEDIUM_WLAN}, read_entry;
    uint8_t bytes[128] = {0};

    (void)state;
    assert_true(fwr_status_page_encode(&status, bytes, sizeof(bytes)) > 0);
    assert_int_equal(fwr_status_page_decode(bytes, FWR_STATUS_PAGE_SIZE + 8, &read_status), FWR_OK);
    assert_int_equal(read_status.run, 7);
    assert_true(fwr_policy_page_encode(&policy, bytes, sizeof(bytes)) > 0);
    assert_int_equal(fwr_policy_page_decode(bytes, FWR_POLICY_PAGE_SIZE + 8, &read_policy), FWR_OK);
    assert_int_equal(read_policy.min_sequence, 5);
    assert_true(fwr_peers_page_encode(&peers, bytes, sizeof(bytes)) > 0);
    assert_int_equal(fwr_peers_page_decode(bytes, sizeof(bytes), &read_peers), FWR_OK);
    assert_true(fwr_peer_entry_encode(&entry, bytes, sizeof(bytes)) > 0);
    assert_int_equal(fwr_peer_entry_decode(bytes, read_peers.entry_size, &read_entry), FWR_OK);
    assert_int_equal(read_entry.medium, FWR_MEDIUM_WLAN);
}

/* ---- a recipient of the next version ---- */

static uint8_t transfers_of(const struct world_donor *d)
{
    struct fwr_donor_status status;

    fwr_donor_status(d->engine, &status);
    return status.transfers;
}

/* Sends a changed form of a request first: it gets the code that tells what to do, and has
 * changed nothing. */
static void probe(struct world *world, const struct world_message *m, size_t length, size_t at,
                  uint8_t value, int expected)
{
    struct world_donor *d = &world->donors[m->peer];
    uint8_t body[64], reply[300], transfers = transfers_of(d);
    size_t got, given = m->length - (size_t)FWR_IANA_SIZE;

    memset(body, 0, sizeof(body));
    memcpy(body, m->bytes + FWR_IANA_SIZE, given);
    if (at < given)
        body[at] = value;
    assert_int_equal(ask(&d->oem, FWR_PRIVILEGE_USER,
                         (uint8_t)(m->command - world->oem.command_base), body, length, reply,
                         &got),
                     CODE(expected));
    assert_int_equal(transfers_of(d), transfers);
    probed++;
}

/* Every request of the recovery comes in its new forms first; then as version 1 has it. */
static size_t with_probes(struct world *world, const struct world_message *m, uint8_t *reply,
                          size_t length)
{
    size_t given = m->length - (size_t)FWR_IANA_SIZE;

    (void)reply;
    probe(world, m, given + 1, SIZE_MAX, 0, FWR_E_LENGTH);
    switch (m->command - world->oem.command_base) {
    case FWR_CMD_REQUEST_IMAGE:
        probe(world, m, given, 1, 2, FWR_E_MALFORMED);  /* a new kind of key */
        probe(world, m, given, 13, 1, FWR_E_MALFORMED); /* a flag */
        break;
    case FWR_CMD_ACCEPT_OFFER:
        probe(world, m, given, 13, 1, FWR_E_MALFORMED);
        break;
    case FWR_CMD_READ_BLOCKS:
        probe(world, m, given, 1, m->bytes[FWR_IANA_SIZE + 1] ^ 1, FWR_E_UNKNOWN_TRANSFER);
        break;
    default:
        break;
    }
    return length;
}

static void test_longer_requests_and_new_values(void **state)
{
    (void)state;
    begin(4, &image);
    w.tamper = with_probes;
    world_add_donor(&w, &image);
    recovers(&image);
    printf("# %u probes\n", probed);
    assert_true(probed > 20);
}

/* Commands outside the block of 16 codes are nobody's. */
static void test_new_commands(void **state)
{
    uint8_t body[20] = {1}, reply[300];
    size_t got;

    (void)state;
    begin(5, &image);
    struct world_donor *d = world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    for (uint8_t command = FWR_CMD_COUNT; command < FWR_CMD_COUNT + 16; command++) {
        assert_int_equal(ask(&d->oem, FWR_PRIVILEGE_ADMIN, command, body, 14, reply, &got),
                         CODE(FWR_E_UNKNOWN_COMMAND));
        assert_int_equal(ask(&w.oem, FWR_PRIVILEGE_ADMIN, command, body, 14, reply, &got),
                         CODE(FWR_E_UNKNOWN_COMMAND));
    }
    recovers(&image);
}

static void test_new_page(void **state)
{
    struct fwr_read_page_request request = {.cookie = 1, .page = NEXT_PAGE, .length = 80};
    struct fwr_read_page_reply reply;
    uint8_t body[32], bytes[300];
    size_t got;

    (void)state;
    begin(6, &image);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    int length = fwr_read_page_request_encode(&request, body, sizeof(body));
    if (length < 0) { /* today's encoder does not know it either */
        request.page = FWR_PAGE_STATUS;
        length = fwr_read_page_request_encode(&request, body, sizeof(body));
        body[2] = NEXT_PAGE;
    }
    assert_int_equal(
        ask(&w.oem, FWR_PRIVILEGE_USER, FWR_CMD_READ_PAGE, body, (size_t)length, bytes, &got),
        CODE(FWR_E_RANGE));
    body[2] = FWR_PAGE_STATUS;
    assert_int_equal(
        ask(&w.oem, FWR_PRIVILEGE_USER, FWR_CMD_READ_PAGE, body, (size_t)length, bytes, &got), 0);
    assert_int_equal(fwr_read_page_reply_decode(bytes, got, &reply), FWR_OK);
    recovers(&image);
}

/* A console of the next version pushes an object that today's recipient does not want. */
static void test_new_object(void **state)
{
    struct fwr_offer_request offer = {.cookie = 1, .sequence = 7};
    struct fwr_offer_reply accepted;
    struct fwr_result_reply result;
    uint8_t body[64], reply[300];
    size_t got;

    (void)state;
    begin(7, &image);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    memcpy(offer.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_offer_request_encode(&offer, body, sizeof(body));
    assert_int_equal(
        ask(&w.oem, FWR_PRIVILEGE_ADMIN, FWR_CMD_OFFER, body, (size_t)length, reply, &got), 0);
    assert_int_equal(fwr_offer_reply_decode(reply, got, &accepted), FWR_OK);
    assert_int_equal(accepted.result, FWR_OFFER_ACCEPTED);
    for (uint8_t object = FWR_OBJECT_TRUST; object <= FWR_OBJECT_PEERS; object++) {
        struct fwr_write_data_request data = {.cookie = 2,
                                              .transfer = accepted.transfer,
                                              .object = object,
                                              .data = (const uint8_t *)"new",
                                              .length = 3};
        length = fwr_write_data_request_encode(&data, body, sizeof(body));
        assert_true(length > 0);
        assert_int_equal(
            ask(&w.oem, FWR_PRIVILEGE_ADMIN, FWR_CMD_WRITE_DATA, body, (size_t)length, reply, &got),
            0);
        assert_int_equal(fwr_result_reply_decode(reply, got, &result), FWR_OK);
        assert_int_equal(result.result, FWR_WRITE_NOT_WANTED);
    }
    body[5] = FWR_OBJECT_PEERS + 1; /* of no version so far */
    assert_int_equal(
        ask(&w.oem, FWR_PRIVILEGE_ADMIN, FWR_CMD_WRITE_DATA, body, (size_t)length, reply, &got),
        CODE(FWR_E_MALFORMED));
    /* The console goes away; the recipient asks its donors by itself. */
    assert_int_equal(fwr_recipient_abort(w.recipient, w.now), FWR_OK);
    recovers(&image);
}

/* ---- images ---- */

/* Adds a field to a manifest and signs it as it is then. */
static void add_field(struct given_image *g, uint16_t tag)
{
    uint8_t payload[GIVEN_ENVELOPE_MAX];
    int length = fwr_manifest_encode(&g->manifest, payload, sizeof(payload) - 16);
    size_t at = 0;

    assert_true(length > 0);
    while (at < (size_t)length && (payload[at] | payload[at + 1] << 8) < tag)
        at += 4u + (payload[at + 2] | (unsigned)payload[at + 3] << 8);
    memmove(payload + at + 7, payload + at, (size_t)length - at);
    memcpy(payload + at, (const uint8_t[]){(uint8_t)tag, (uint8_t)(tag >> 8), 3, 0, 'n', 'e', 'w'},
           7);
    length += 7;
    assert_int_equal(fwr_manifest_id(payload, (size_t)length, g->id), FWR_OK);
    length = given_sign(g->key_seed, payload, (size_t)length, g->envelope, sizeof(g->envelope));
    assert_true(length > 0);
    g->envelope_length = (size_t)length;
}

static int set_up(void **state)
{
    (void)state;
    extended.sequence = 8;
    critical.sequence = 9;
    if (given_image_make(&image) || given_image_make(&extended) || given_image_make(&critical))
        return -1;
    add_field(&extended, IGNORABLE);
    add_field(&critical, CRITICAL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&extended);
    given_image_free(&critical);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longer_replies),
        cmocka_unit_test(test_higher_version_in_capabilities),
        cmocka_unit_test(test_manifest_with_an_unknown_field),
        cmocka_unit_test(test_manifest_with_an_unknown_critical_field),
        cmocka_unit_test(test_longer_pages),
        cmocka_unit_test(test_longer_requests_and_new_values),
        cmocka_unit_test(test_new_commands),
        cmocka_unit_test(test_new_page),
        cmocka_unit_test(test_new_object),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
