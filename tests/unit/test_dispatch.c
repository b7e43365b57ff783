/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher between bytes and engines that are fakes: who is asked for what, and what an
 * answer looks like when nobody is. Every command of the block goes through every check.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/oem.h>

enum {
    IANA = 0x01d97e, /* three different bytes */
    BASE = 0xc0,
    REPLY_MAX = 64,
    CC_COMMAND = 0xc1,
    CC_LENGTH = 0xc7,
    CC_PRIVILEGE = 0xd4,
    CC_NOT_FOUND = 0xcb,
    CC_TRANSFER = 0x81,
    CC_BUSY = 0xc0,
};

/* ---- the engines ---- */

struct fwr_recipient {
    int answer; /* what it returns; a length is filled with `fill` */
    uint8_t fill;
    unsigned asked;
    uint8_t command;
    uint8_t data[256];
    size_t length, capacity;

    unsigned responses;
    uint8_t peer;
    uint64_t askers; /* bit n: peer n asked the donor */
    unsigned offers;
    uint8_t tag[FWR_TAG_SIZE], places; /* of the last offer */
    int error;
    const uint8_t *response;
    size_t response_length;

    struct fwr_outgoing outgoing[4];
    unsigned outgoing_count, sent, unsent;
    int unsent_error;
};

struct fwr_donor {
    struct fwr_recipient engine;
    struct fwr_donor_status status;
};

static int engine_asked(struct fwr_recipient *engine, uint8_t command, const uint8_t *data,
                        size_t length, uint8_t *reply, size_t capacity)
{
    engine->asked++;
    engine->command = command;
    engine->length = length;
    engine->capacity = capacity;
    assert_true(length <= sizeof(engine->data));
    memcpy(engine->data, data, length);
    if (engine->answer > 0) {
        assert_true((size_t)engine->answer <= capacity);
        memset(reply, engine->fill, (size_t)engine->answer);
    }
    return engine->answer;
}

#if FWR_DONOR
int fwr_donor_request(struct fwr_donor *donor, uint64_t now, const struct fwr_caller *caller,
                      uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                      size_t capacity)
{
    assert_int_equal(now, 5000);
    assert_non_null(caller);
    return engine_asked(&donor->engine, command, data, length, reply, capacity);
}

void fwr_donor_status(const struct fwr_donor *donor, struct fwr_donor_status *status)
{
    *status = donor->status;
}
#endif

#if FWR_RECIPIENT
int fwr_recipient_request(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_caller *caller, uint8_t command, const uint8_t *data,
                          size_t length, uint8_t *reply, size_t capacity)
{
    assert_int_equal(now, 5000);
    assert_non_null(caller);
    return engine_asked(recipient, command, data, length, reply, capacity);
}

void fwr_recipient_asked(struct fwr_recipient *recipient, uint8_t peer)
{
    recipient->askers |= 1ull << peer;
}

int fwr_recipient_offer(struct fwr_recipient *recipient, uint64_t now, const uint8_t *tag,
                        uint8_t places)
{
    assert_int_equal(now, 5000);
    recipient->offers++;
    recipient->places = places;
    memcpy(recipient->tag, tag, FWR_TAG_SIZE);
    return recipient->answer;
}

void fwr_recipient_response(struct fwr_recipient *recipient, uint64_t now, uint8_t peer,
                            uint8_t command, int error, const uint8_t *data, size_t length)
{
    assert_int_equal(now, 5000);
    recipient->responses++;
    recipient->peer = peer;
    recipient->command = command;
    recipient->error = error;
    recipient->response = data;
    recipient->response_length = length;
}

bool fwr_recipient_next_send(struct fwr_recipient *recipient, uint64_t now,
                             struct fwr_outgoing *message)
{
    assert_int_equal(now, 5000);
    if (recipient->sent == recipient->outgoing_count)
        return false;
    *message = recipient->outgoing[recipient->sent++];
    return true;
}

void fwr_recipient_unsent(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_outgoing *message, int error)
{
    assert_int_equal(now, 5000);
    assert_non_null(message);
    recipient->unsent++;
    recipient->unsent_error = error;
    if (error == FWR_E_BUSY)
        recipient->sent--; /* an engine that tries again at once */
}
#endif

/* ---- the keyring, which knows the transfer of which id the first byte is 77h ---- */

static unsigned keyring_asked;
static bool keyring_busy;

int fwr_keyring_request(struct fwr_keyring *keyring, uint64_t now, const struct fwr_caller *caller,
                        uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                        size_t capacity)
{
    (void)keyring, (void)now, (void)caller, (void)length;
    keyring_asked++;
    if (command != FWR_CMD_OFFER && command != FWR_CMD_READ_PAGE && data[1] != 0x77)
        return FWR_E_UNKNOWN_TRANSFER;
    assert_true(capacity >= 2);
    memset(reply, 0xee, 2);
    return 2;
}

bool fwr_keyring_busy(const struct fwr_keyring *keyring)
{
    (void)keyring;
    return keyring_busy;
}

/* ---- the dispatcher's caller ---- */

struct fixture {
    struct fwr_donor donor;
    struct fwr_recipient slots[2];
    struct fwr_recipient *recipients[3]; /* the middle one stays empty */
    struct fwr_oem oem;
    struct fwr_caller caller;
    uint8_t reply[REPLY_MAX + 1];
    size_t capacity;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->donor.engine.answer = 3;
    f->donor.engine.fill = 0xd0;
    f->slots[0].answer = f->slots[1].answer = 2;
    f->slots[0].fill = 0xa0;
    f->slots[1].fill = 0xa1;
    f->recipients[0] = &f->slots[0];
    f->recipients[2] = &f->slots[1];
    f->oem.size = sizeof(f->oem);
    f->oem.iana = IANA;
    f->oem.command_base = BASE;
    f->oem.slot_count = 3;
    f->oem.recipients = f->recipients;
    f->oem.donor = &f->donor;
    f->oem.max_request = 200;
    f->oem.max_reply = 40;
    f->oem.window = 15;
    f->caller.privilege = FWR_PRIVILEGE_ADMIN;
    f->caller.security = FWR_SECURITY_SUITE;
    f->caller.max_reply = 30;
    f->capacity = REPLY_MAX;
}

/* Sends `length` bytes behind the IANA number; the first is the cookie 5Ah. */
static size_t say(struct fixture *f, uint8_t command, uint32_t iana, const uint8_t *body,
                  size_t length)
{
    uint8_t data[300] = {iana & 0xff, iana >> 8 & 0xff, iana >> 16 & 0xff};
    size_t got;

    assert_true(length <= sizeof(data) - 3);
    memcpy(data + 3, body, length);
    f->reply[REPLY_MAX] = 0x77;
    got =
        fwr_oem_handle(&f->oem, 5000, &f->caller, command, data, length + 3, f->reply, f->capacity);
    assert_int_equal(f->reply[REPLY_MAX], 0x77);
    assert_in_range(got, 1, f->capacity);
    return got;
}

static const uint8_t body[300] = {0x5a, 0, 1, [14] = FWR_OFFER_CALL};

static void assert_error(const struct fixture *f, size_t got, uint8_t code, bool cookie)
{
    assert_int_equal(f->reply[0], code);
    assert_int_equal(got, cookie ? 5 : 4);
    assert_int_equal(f->reply[1] | f->reply[2] << 8 | f->reply[3] << 16, IANA);
    if (cookie)
        assert_int_equal(f->reply[4], 0x5a);
}

static unsigned asked(const struct fixture *f)
{
    return f->donor.engine.asked + f->slots[0].asked + f->slots[1].asked;
}

/* What doc/WIRE.md section 5 says of each command. */
static const struct {
    uint8_t command, shortest, longest; /* 255: as long as it fits */
    uint8_t privilege;
    bool donor, recipient, both;
} wire[] = {
    {FWR_CMD_GET_CAPABILITIES, 1, 1, FWR_PRIVILEGE_USER, false, false, true},
    {FWR_CMD_REQUEST_IMAGE, 14, 14, FWR_PRIVILEGE_USER, true, false, false},
    {FWR_CMD_READ_MANIFEST, 15, 15, FWR_PRIVILEGE_USER, true, false, false},
    {FWR_CMD_ACCEPT_OFFER, 14, 14, FWR_PRIVILEGE_USER, true, false, false},
    {FWR_CMD_READ_TREE, 14, 14, FWR_PRIVILEGE_USER, true, false, false},
    {FWR_CMD_READ_BLOCKS, 14, 14, FWR_PRIVILEGE_USER, true, false, false},
    {FWR_CMD_END_TRANSFER, 6, 6, FWR_PRIVILEGE_USER, true, true, false},
    {FWR_CMD_OFFER, 15, 15, FWR_PRIVILEGE_USER, false, true, false},
    {FWR_CMD_GET_WANTED, 7, 7, FWR_PRIVILEGE_ADMIN, false, true, false},
    {FWR_CMD_WRITE_DATA, 11, 255, FWR_PRIVILEGE_ADMIN, false, true, false},
    {FWR_CMD_START, 7, 7, FWR_PRIVILEGE_ADMIN, false, true, false},
    {FWR_CMD_ABORT, 7, 7, FWR_PRIVILEGE_ADMIN, false, true, false},
    {FWR_CMD_GET_STATUS, 2, 2, FWR_PRIVILEGE_USER, false, true, true},
    {FWR_CMD_SET_POLICY, 8, 15, FWR_PRIVILEGE_ADMIN, false, true, false},
    {FWR_CMD_READ_PAGE, 10, 10, FWR_PRIVILEGE_USER, false, true, false},
};
enum { WIRE = sizeof(wire) / sizeof(wire[0]) };

static bool served(size_t i)
{
    return wire[i].both || (wire[i].donor && FWR_DONOR) || (wire[i].recipient && FWR_RECIPIENT);
}

static void test_lengths(void **state)
{
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < WIRE; i++) {
        for (size_t length = 0; length <= 20; length++) {
            size_t got;

            fixture_init(&f);
            got = say(&f, BASE + wire[i].command, IANA, body, length);
            if (!served(i)) {
                assert_error(&f, got, CC_COMMAND, length > 0);
            } else if (length < wire[i].shortest || length > wire[i].longest) {
                assert_error(&f, got, CC_LENGTH, length > 0);
                assert_int_equal(asked(&f), 0);
            } else {
                assert_int_equal(f.reply[0], 0);
            }
        }
    }
}

static void test_privileges(void **state)
{
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < WIRE; i++) {
        if (!served(i))
            continue;
        fixture_init(&f);
        assert_int_equal(fwr_oem_privilege(&f.oem, BASE + wire[i].command), wire[i].privilege);
        f.caller.privilege = wire[i].privilege - 1;
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest),
                     CC_PRIVILEGE, true);
        /* Privilege is checked before length. */
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, body, 0), CC_PRIVILEGE, false);
        assert_int_equal(asked(&f), 0);
        f.caller.privilege = wire[i].privilege;
        say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest);
        assert_int_equal(f.reply[0], 0);
    }
    fixture_init(&f);
    assert_int_equal(fwr_oem_privilege(&f.oem, BASE - 1), 0);
    assert_int_equal(fwr_oem_privilege(&f.oem, BASE + FWR_CMD_COUNT), 0);
}

/* IPMI 1.5 and sessionless messages: not even Get Capabilities, unless configured. */
static void test_security(void **state)
{
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < WIRE; i++) {
        if (!served(i))
            continue;
        fixture_init(&f);
        f.caller.security = FWR_SECURITY_NONE;
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest),
                     CC_PRIVILEGE, true);
        assert_int_equal(asked(&f), 0);
        f.oem.allow_sessionless = 1;
        say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest);
        assert_int_equal(f.reply[0], 0);
        f.caller.privilege = FWR_PRIVILEGE_CALLBACK; /* allowed, but not anybody */
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest),
                     CC_PRIVILEGE, true);
        f.caller.security = FWR_SECURITY_LOCAL;
        f.caller.privilege = FWR_PRIVILEGE_ADMIN;
        f.oem.allow_sessionless = 0;
        say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest);
        assert_int_equal(f.reply[0], 0);
    }
}

static void test_not_ours(void **state)
{
    static const uint32_t others[] = {IANA ^ 1, IANA ^ 0x100, IANA ^ 0x10000, 0, 0xffffff};
    struct fixture f;
    uint8_t data[3] = {IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16};

    (void)state;
    fixture_init(&f);
    for (unsigned code = 0; code < 256; code++) {
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            /* Another vendor's number: the code alone, our number is none of its business. */
            assert_int_equal(say(&f, (uint8_t)code, others[i], body, 14), 1);
            assert_int_equal(f.reply[0], CC_COMMAND);
        }
        for (size_t length = 0; length < 3; length++) {
            assert_int_equal(fwr_oem_handle(&f.oem, 5000, &f.caller, (uint8_t)code, data, length,
                                            f.reply, REPLY_MAX),
                             1);
            assert_int_equal(f.reply[0], CC_COMMAND);
            assert_false(fwr_oem_is_ours(&f.oem, (uint8_t)code, data, length));
        }
        assert_int_equal(fwr_oem_is_ours(&f.oem, (uint8_t)code, data, 3),
                         code >= BASE && code < BASE + FWR_CMD_COUNT);
        if (code < BASE || code >= BASE + FWR_CMD_COUNT || code == BASE + FWR_CMD_BLOCK_DATA)
            assert_error(&f, say(&f, (uint8_t)code, IANA, body, 14), CC_COMMAND, true);
    }
    assert_int_equal(asked(&f), 0);
}

/* A block at the very end of the codes does not wrap around to the first ones. */
static void test_base_at_the_end(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.oem.command_base = 0xf0;
    say(&f, 0xf0, IANA, body, 1);
    assert_int_equal(f.reply[0], 0);
    assert_error(&f, say(&f, 0x00, IANA, body, 1), CC_COMMAND, true);
    assert_error(&f, say(&f, BASE, IANA, body, 1), CC_COMMAND, true);
}

static void test_capabilities(void **state)
{
    struct fwr_get_capabilities_reply reply;
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(say(&f, BASE, IANA, body, 1), 4 + 11);
    assert_int_equal(fwr_get_capabilities_reply_decode(f.reply + 4, 11, &reply), FWR_OK);
    assert_int_equal(reply.cookie, 0x5a);
    assert_int_equal(reply.wire_version, 1);
    assert_int_equal(reply.roles,
                     (FWR_DONOR ? FWR_ROLE_DONOR : 0) | (FWR_RECIPIENT ? FWR_ROLE_RECIPIENT : 0));
    assert_int_equal(reply.max_request, 200);
    assert_int_equal(reply.max_reply, 30); /* of this road */
    assert_int_equal(reply.codecs, 1);
    assert_int_equal(reply.slots, FWR_RECIPIENT ? 3 : 0);
    assert_int_equal(reply.window, 15);
    f.caller.max_reply = 500;
    f.oem.recipients = NULL;
    f.oem.window = 0;
    say(&f, BASE, IANA, body, 1);
    assert_int_equal(fwr_get_capabilities_reply_decode(f.reply + 4, 11, &reply), FWR_OK);
    assert_int_equal(reply.max_reply, 40); /* of this program */
    assert_int_equal(reply.roles, FWR_DONOR ? FWR_ROLE_DONOR : 0);
    assert_int_equal(reply.slots, 0);
    assert_int_equal(reply.window, 1);
}

/* A role that is not there: C1h, but Get Capabilities and Get Status always answer. */
static void test_missing_roles(void **state)
{
    struct fwr_get_status_reply status;
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.oem.recipients = NULL;
    f.oem.donor = NULL;
    for (size_t i = 0; i < WIRE; i++) {
        size_t got = say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest);

        if (wire[i].both)
            assert_int_equal(f.reply[0], 0);
        else
            assert_error(&f, got, CC_COMMAND, true);
    }
    assert_int_equal(say(&f, BASE + FWR_CMD_GET_STATUS, IANA, body, 2), 4 + 18);
    assert_int_equal(fwr_get_status_reply_decode(f.reply + 4, 18, &status), FWR_OK);
    assert_int_equal(status.cookie, 0x5a);
    assert_int_equal(status.state, FWR_STATE_NO_RECIPIENT);
    assert_int_equal(status.slot, 0);
    assert_int_equal(status.run, 0);
}

#if FWR_DONOR
static void test_donor_asked(void **state)
{
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < WIRE; i++) {
        if (!wire[i].donor)
            continue;
        fixture_init(&f);
        f.oem.recipients = NULL;
        assert_int_equal(say(&f, BASE + wire[i].command, IANA, body, wire[i].shortest), 4 + 3);
        assert_int_equal(f.reply[0], 0);
        assert_int_equal(f.reply[1] | f.reply[2] << 8 | f.reply[3] << 16, IANA);
        assert_int_equal(f.reply[4], 0xd0);
        assert_int_equal(f.donor.engine.asked, 1);
        assert_int_equal(f.donor.engine.command, wire[i].command);
        assert_int_equal(f.donor.engine.length, wire[i].shortest);
        assert_memory_equal(f.donor.engine.data, body, wire[i].shortest);
        assert_int_equal(f.donor.engine.capacity, 30);
    }
}

/* What an engine refuses becomes its completion code, with number and cookie. */
static void test_engine_errors(void **state)
{
    static const int errors[] = {FWR_E_BUSY,      FWR_E_NOT_HELD, FWR_E_UNKNOWN_TRANSFER,
                                 FWR_E_MALFORMED, FWR_E_RANGE,    FWR_E_RANDOM};
    static const uint8_t codes[] = {0xc0, 0x80, 0x81, 0xcc, 0xc9, 0xff};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof(codes); i++) {
        f.donor.engine.answer = errors[i];
        assert_error(&f, say(&f, BASE + FWR_CMD_READ_TREE, IANA, body, 14), codes[i], true);
    }
}

/* The reply's room is the least of what buffer, road and program have. */
static void test_room(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.capacity = FWR_OEM_HEADER + FWR_LINK_MIN_REPLY;
    say(&f, BASE + FWR_CMD_READ_TREE, IANA, body, 14);
    assert_int_equal(f.donor.engine.capacity, FWR_LINK_MIN_REPLY);
    f.capacity = REPLY_MAX;
    f.oem.max_reply = 25;
    say(&f, BASE + FWR_CMD_READ_TREE, IANA, body, 14);
    assert_int_equal(f.donor.engine.capacity, 25);
    f.oem.max_reply = 0; /* not limited by the program */
    f.caller.max_reply = 1000;
    say(&f, BASE + FWR_CMD_READ_TREE, IANA, body, 14);
    assert_int_equal(f.donor.engine.capacity, REPLY_MAX - FWR_OEM_HEADER);
    for (f.capacity = 1; f.capacity < FWR_OEM_HEADER; f.capacity++) {
        f.reply[f.capacity] = 0x66;
        say(&f, BASE + FWR_CMD_READ_TREE, IANA, body, 14);
        assert_int_equal(f.reply[0], 0xff);
        assert_int_equal(f.reply[f.capacity], 0x66);
    }
}
#endif

#if FWR_RECIPIENT
/* Any peer may call; only an administrator may push. */
static void test_offers(void **state)
{
    uint8_t push[15] = {0x5a, 0}, odd[15] = {0x5a, 0, [14] = FWR_OFFER_CALL + 1};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.caller.privilege = FWR_PRIVILEGE_OPERATOR;
    assert_error(&f, say(&f, BASE + FWR_CMD_OFFER, IANA, push, 15), CC_PRIVILEGE, true);
    assert_error(&f, say(&f, BASE + FWR_CMD_OFFER, IANA, odd, 15), CC_PRIVILEGE, true);
    assert_int_equal(asked(&f), 0);
    say(&f, BASE + FWR_CMD_OFFER, IANA, body, 15);
    assert_int_equal(f.reply[0], 0);
    f.caller.privilege = FWR_PRIVILEGE_ADMIN;
    say(&f, BASE + FWR_CMD_OFFER, IANA, push, 15);
    assert_int_equal(f.reply[0], 0);
    assert_int_equal(f.slots[0].asked, 2);
}

#if FWR_DONOR
/* The recipients hear which of their peers asked the donor, where that is known. */
static void test_askers(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    say(&f, BASE + FWR_CMD_REQUEST_IMAGE, IANA, body, 14);
    assert_int_equal(f.slots[0].askers | f.slots[1].askers, 0);
    f.caller.peer = 6;
    say(&f, BASE + FWR_CMD_READ_MANIFEST, IANA, body, 15);
    assert_int_equal(f.slots[0].askers | f.slots[1].askers, 0);
    say(&f, BASE + FWR_CMD_REQUEST_IMAGE, IANA, body, 14);
    assert_int_equal(f.slots[0].askers, 1u << 5);
    assert_int_equal(f.slots[1].askers, 1u << 5);
    assert_int_equal(f.donor.engine.asked, 3);
    f.oem.recipients = NULL;
    say(&f, BASE + FWR_CMD_REQUEST_IMAGE, IANA, body, 14);
    assert_int_equal(f.reply[0], 0);
}

/* What the donor has verified, and nothing else, is what recipients may call for. */
static void test_calls(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < FWR_DONOR_IMAGES_MAX; i++) {
        f.donor.status.images[i].state = i == 3 ? FWR_OK : FWR_PENDING;
        memset(f.donor.status.images[i].tag, (int)i, FWR_TAG_SIZE);
    }
    f.donor.status.places = 7;
    f.slots[0].answer = f.slots[1].answer = FWR_OK;
    assert_int_equal(fwr_oem_offer(&f.oem, 5000), FWR_OK);
    f.slots[1].answer = FWR_PENDING;
    assert_int_equal(fwr_oem_offer(&f.oem, 5000), FWR_PENDING);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(f.slots[i].offers, 2);
        assert_int_equal(f.slots[i].places, 7);
        assert_int_equal(f.slots[i].tag[0], 3);
    }
    f.oem.donor = NULL;
    assert_int_equal(fwr_oem_offer(&f.oem, 5000), FWR_OK);
    f.oem.donor = &f.donor;
    f.oem.recipients = NULL;
    assert_int_equal(fwr_oem_offer(&f.oem, 5000), FWR_OK);
    assert_int_equal(f.slots[0].offers, 2);
}
#endif

static void test_slots(void **state)
{
    struct fixture f;
    uint8_t request[16] = {0x5a};

    (void)state;
    for (size_t i = 0; i < WIRE; i++) {
        if (!wire[i].recipient || wire[i].command == FWR_CMD_END_TRANSFER ||
            wire[i].command == FWR_CMD_GET_WANTED || wire[i].command == FWR_CMD_WRITE_DATA)
            continue;
        fixture_init(&f);
        request[1] = 0;
        assert_int_equal(say(&f, BASE + wire[i].command, IANA, request, wire[i].shortest), 4 + 2);
        assert_int_equal(f.reply[4], 0xa0);
        request[1] = 2;
        assert_int_equal(say(&f, BASE + wire[i].command, IANA, request, wire[i].shortest), 4 + 2);
        assert_int_equal(f.reply[4], 0xa1);
        assert_int_equal(f.slots[1].command, wire[i].command);
        request[1] = 1; /* an empty slot */
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, request, wire[i].shortest),
                     CC_NOT_FOUND, true);
        request[1] = 3;
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, request, wire[i].shortest),
                     CC_NOT_FOUND, true);
        request[1] = 255;
        assert_error(&f, say(&f, BASE + wire[i].command, IANA, request, wire[i].shortest),
                     CC_NOT_FOUND, true);
        assert_int_equal(asked(&f), 2);
    }
}

/* A transfer is looked for in every slot; the first that knows it answers. */
static void test_transfers(void **state)
{
    static const uint8_t commands[] = {FWR_CMD_GET_WANTED, FWR_CMD_WRITE_DATA};
    static const uint8_t lengths[] = {7, 200};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fixture_init(&f);
        f.slots[0].answer = FWR_E_UNKNOWN_TRANSFER;
        assert_int_equal(say(&f, BASE + commands[i], IANA, body, lengths[i]), 4 + 2);
        assert_int_equal(f.reply[4], 0xa1);
        assert_int_equal(f.slots[1].length, lengths[i]);
        f.slots[0].answer = FWR_E_MALFORMED;
        assert_error(&f, say(&f, BASE + commands[i], IANA, body, lengths[i]), 0xcc, true);
        f.slots[0].answer = f.slots[1].answer = FWR_E_UNKNOWN_TRANSFER;
        assert_error(&f, say(&f, BASE + commands[i], IANA, body, lengths[i]), CC_TRANSFER, true);
    }
}

/* End Transfer reaches whoever issued the id: all are asked, one answers. */
static void test_end_transfer(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.donor.engine.answer = f.slots[0].answer = f.slots[1].answer = 1;
    assert_int_equal(say(&f, BASE + FWR_CMD_END_TRANSFER, IANA, body, 6), 4 + 1);
    assert_int_equal(f.reply[0], 0);
    assert_int_equal(f.donor.engine.asked, FWR_DONOR);
    assert_int_equal(f.slots[0].asked, 1);
    assert_int_equal(f.slots[1].asked, 1);
}

static void test_response(void **state)
{
    uint8_t reply[] = {0x00, IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x5a, 1, 2};
    struct fwr_recipient r = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, sizeof(reply));
    assert_int_equal(r.responses, 1);
    assert_int_equal(r.peer, 3);
    assert_int_equal(r.command, FWR_CMD_READ_TREE);
    assert_int_equal(r.error, FWR_OK);
    assert_ptr_equal(r.response, reply + 4);
    assert_int_equal(r.response_length, 3);
    reply[0] = 0xc0;
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, 5);
    assert_int_equal(r.error, FWR_E_BUSY);
    assert_int_equal(r.response_length, 1);
    /* A stack that does not know us: its refusal counts, its bytes do not. */
    reply[0] = 0xc1;
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, 1);
    assert_int_equal(r.error, FWR_E_UNKNOWN_COMMAND);
    assert_int_equal(r.response_length, 0);
    reply[1] ^= 1;
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, sizeof(reply));
    assert_int_equal(r.error, FWR_E_UNKNOWN_COMMAND);
    assert_int_equal(r.response_length, 0);
    /* Success without our number, or no completion code at all, is no answer. */
    reply[0] = 0x00;
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, sizeof(reply));
    assert_int_equal(r.error, FWR_E_MALFORMED);
    fwr_oem_response(&f.oem, &r, 5000, 3, FWR_CMD_READ_TREE, reply, 0);
    assert_int_equal(r.error, FWR_E_MALFORMED);
    assert_int_equal(r.response_length, 0);
    assert_int_equal(r.responses, 6);
}

struct road {
    int answer;
    unsigned sent;
    uint8_t command;
    uint8_t data[64];
    size_t length;
};

static int road_send(void *ctx, uint64_t now, uint8_t command, const uint8_t *data, size_t length)
{
    struct road *road = ctx;

    assert_int_equal(now, 5000);
    road->sent++;
    road->command = command;
    road->length = length;
    memcpy(road->data, data, length);
    return road->answer;
}

static void test_pump(void **state)
{
    struct road roads[2] = {{0}};
    struct fwr_link links[2];
    const struct fwr_link *table[3];
    struct fwr_recipient r = {0};

    (void)state;
    for (int i = 0; i < 2; i++)
        links[i] = (struct fwr_link){.size = sizeof(links[i]), .ctx = &roads[i], .send = road_send};
    table[0] = &links[0];
    table[1] = NULL;
    table[2] = &links[1];
    r.outgoing_count = 4;
    for (uint8_t i = 0; i < 4; i++)
        r.outgoing[i] = (struct fwr_outgoing){
            .peer = i, .command = FWR_CMD_READ_TREE, .length = 2, .data = {0x5a, i}};
    fwr_oem_pump(&r, 5000, table, 3);
    assert_int_equal(roads[0].sent, 1);
    assert_int_equal(roads[0].command, FWR_CMD_READ_TREE);
    assert_int_equal(roads[0].length, 2);
    assert_int_equal(roads[1].sent, 1);
    assert_int_equal(roads[1].data[1], 2);
    assert_int_equal(r.unsent, 2); /* no road, and no such peer */
    assert_int_equal(r.unsent_error, FWR_E_SESSION_CLOSED);

    /* A full link and an engine that insists: the pump gives up for now. */
    memset(roads, 0, sizeof(roads));
    r.sent = r.unsent = 0;
    roads[0].answer = FWR_E_BUSY;
    fwr_oem_pump(&r, 5000, table, 3);
    assert_int_equal(r.unsent_error, FWR_E_BUSY);
    assert_in_range(roads[0].sent, 1, 1000);
    assert_int_equal(roads[1].sent, 0);
}
#endif

/* Whether the keyring answered, and nobody else. */
static bool by_keyring(struct fixture *f, uint8_t command, const uint8_t *request, size_t length)
{
    unsigned before = keyring_asked, others = asked(f);
    size_t got = say(f, BASE + command, IANA, request, length);

    return got == 6 && f->reply[0] == 0 && f->reply[4] == 0xee && keyring_asked == before + 1 &&
           asked(f) == others;
}

/* A trust set's offer, its transfer and its page go to the keyring, on a peer of any role; what
 * is about images and slots does not. */
static void test_keyring(void **state)
{
    uint8_t offer[15] = {0x5a, [14] = FWR_OFFER_TRUST}, page[10] = {0x5a, 0, FWR_PAGE_TRUST};
    uint8_t moved[15] = {0x5a, 0x77};
    struct fwr_keyring *keyring = test_malloc(sizeof(*keyring));
    struct fixture f;

    (void)state;
    for (int only_donor = 0; only_donor < 2; only_donor++) {
        fixture_init(&f);
        if (only_donor) {
            f.oem.recipients = NULL;
            f.oem.slot_count = 0;
        }
        assert_false(by_keyring(&f, FWR_CMD_OFFER, offer, 15)); /* there is none */
        assert_false(by_keyring(&f, FWR_CMD_READ_PAGE, page, 10));
        f.oem.keyring = keyring;
        assert_true(by_keyring(&f, FWR_CMD_OFFER, offer, 15));
        assert_true(by_keyring(&f, FWR_CMD_READ_PAGE, page, 10));
        assert_true(by_keyring(&f, FWR_CMD_GET_WANTED, moved, 7));
        assert_true(by_keyring(&f, FWR_CMD_WRITE_DATA, moved, 12));
        assert_true(by_keyring(&f, FWR_CMD_END_TRANSFER, moved, 6));
        assert_false(by_keyring(&f, FWR_CMD_OFFER, body, 15));
        assert_false(by_keyring(&f, FWR_CMD_READ_PAGE, body, 10));
        assert_false(by_keyring(&f, FWR_CMD_GET_WANTED, body, 7));
        page[1] = 1; /* it is the BMC's, which goes by slot 0 */
        assert_error(&f, say(&f, BASE + FWR_CMD_READ_PAGE, IANA, page, 10), CC_NOT_FOUND, true);
        page[1] = 0;
        if (only_donor || !FWR_RECIPIENT) {
            assert_error(&f, say(&f, BASE + FWR_CMD_OFFER, IANA, body, 15), CC_COMMAND, true);
            assert_error(&f, say(&f, BASE + FWR_CMD_READ_PAGE, IANA, body, 10), CC_COMMAND, true);
            assert_error(&f, say(&f, BASE + FWR_CMD_START, IANA, body, 7), CC_COMMAND, true);
            assert_error(&f, say(&f, BASE + FWR_CMD_SET_POLICY, IANA, body, 8), CC_COMMAND, true);
        } else {
            /* The store is not asked two things at once. */
            keyring_busy = true;
            assert_error(&f, say(&f, BASE + FWR_CMD_SET_POLICY, IANA, body, 8), CC_BUSY, true);
            keyring_busy = false;
            say(&f, BASE + FWR_CMD_SET_POLICY, IANA, body, 8);
            assert_int_equal(f.reply[0], 0);
        }
        f.caller.privilege = FWR_PRIVILEGE_USER;
        assert_error(&f, say(&f, BASE + FWR_CMD_OFFER, IANA, offer, 15), CC_PRIVILEGE, true);
        assert_true(by_keyring(&f, FWR_CMD_READ_PAGE, page, 10));
    }
    test_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyring),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_security),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_base_at_the_end),
        cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_missing_roles),
#if FWR_DONOR
        cmocka_unit_test(test_donor_asked),
        cmocka_unit_test(test_engine_errors),
        cmocka_unit_test(test_room),
#endif
#if FWR_RECIPIENT
        cmocka_unit_test(test_offers),
#if FWR_DONOR
        cmocka_unit_test(test_askers),
        cmocka_unit_test(test_calls),
#endif
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_end_transfer),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_pump),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
