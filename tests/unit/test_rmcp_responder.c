/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder: what it tells anybody, which suites and users it lets in, floods of unfinished
 * log-ins, idle sessions, its own commands, and datagrams that are not for it.
 */
#include "rmcp_pair.h"

#include <stdio.h>

#include "link/rmcp/packet.h"

#define PAYLOAD FWR_RMCP_PREFIX_SIZE

struct world {
    struct pair pair;
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    size_t reply_length;
    struct fwr_rmcp_event event;
};

static struct fwr_rmcp_peer peer_number(uint32_t number)
{
    struct fwr_rmcp_peer peer = {.length = 16};

    fwr_rmcp_put32(peer.key + 4, number);
    return peer;
}

static int give(struct world *world, const struct fwr_rmcp_peer *from, const uint8_t *datagram,
                size_t length)
{
    uint8_t copy[FWR_RMCP_DATAGRAM_MAX + 1];

    assert_true(length <= sizeof(copy));
    memcpy(copy, datagram, length);
    return fwr_rmcp_responder_receive(world->pair.responder, world->pair.now, from, copy, length,
                                      &world->event, world->reply, sizeof(world->reply),
                                      &world->reply_length);
}

static size_t outside(uint8_t *datagram, uint8_t type, size_t length)
{
    fwr_rmcp_prefix_encode(datagram, type, 0, 0, length);
    return PAYLOAD + length;
}

static size_t open_request(uint8_t *datagram, uint32_t console, uint8_t privilege,
                           struct fwr_rmcp_algorithms algorithms)
{
    const struct fwr_rmcp_open_request open = {7, privilege, console, algorithms};

    return outside(datagram, FWR_RMCP_PAYLOAD_OPEN_REQUEST,
                   fwr_rmcp_open_request_encode(&open, datagram + PAYLOAD));
}

static const struct fwr_rmcp_algorithms suite_17 = {3, 4, 1};
static const struct fwr_rmcp_algorithms suite_3 = {1, 1, 1};

/* Opens from `from`; returns the session id the responder gave. */
static uint32_t open_from(struct world *world, const struct fwr_rmcp_peer *from, uint32_t console)
{
    uint8_t datagram[64];
    struct fwr_rmcp_open_response response;
    const size_t length = open_request(datagram, console, 0, suite_17);

    assert_int_equal(give(world, from, datagram, length), FWR_OK);
    assert_int_equal(fwr_rmcp_open_response_decode(&response, world->reply + PAYLOAD,
                                                   world->reply_length - PAYLOAD),
                     FWR_OK);
    assert_int_equal(response.code, FWR_RMCP_CODE_OK);
    return response.managed;
}

/* RAKP 1 from `from`; returns the status code of the answer. */
static uint8_t rakp1_from(struct world *world, const struct fwr_rmcp_peer *from, uint32_t managed,
                          uint8_t role, const char *user)
{
    uint8_t datagram[128];
    struct fwr_rmcp_rakp1 rakp1 = {.tag = 8, .managed = managed, .role = role};
    size_t length;

    rakp1.user_length = (uint8_t)strlen(user);
    memcpy(rakp1.user, user, rakp1.user_length);
    length = outside(datagram, FWR_RMCP_PAYLOAD_RAKP1,
                     fwr_rmcp_rakp1_encode(&rakp1, datagram + PAYLOAD));
    assert_int_equal(give(world, from, datagram, length), FWR_OK);
    assert_int_equal(world->reply[5], FWR_RMCP_PAYLOAD_RAKP2);
    return world->reply[PAYLOAD + 1];
}

static struct fwr_rmcp_responder_status status_of(const struct world *world)
{
    struct fwr_rmcp_responder_status status;

    fwr_rmcp_responder_status(world->pair.responder, &status);
    return status;
}

/* ---- What anybody may ask ----------------------------------------------------------------- */

static void ping_gets_pong(void **state)
{
    static const uint8_t ping[] = {6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0x42, 0, 0};
    static const uint8_t pong[] = {6,    0,    0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 0x42, 0, 16, 0, 0,
                                   0x11, 0xbe, 0,    0, 0, 0, 0x81, 0,    0,    0,    0, 0,  0, 0};
    struct world world;
    const struct fwr_rmcp_peer peer = peer_number(1);

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(give(&world, &peer, ping, sizeof(ping)), FWR_OK);
    assert_int_equal(world.reply_length, sizeof(pong));
    assert_memory_equal(world.reply, pong, sizeof(pong));
    for (size_t cut = 0; cut < sizeof(ping); cut++)
        assert_int_equal(give(&world, &peer, ping, cut), FWR_E_MALFORMED);
    assert_int_equal(give(&world, &peer, pong, sizeof(pong)), FWR_E_MALFORMED);
    pair_end(&world.pair);
}

/* Pings whose senders may be forged must not make a flood of pongs. */
static void pongs_are_few(void **state)
{
    static const uint8_t ping[] = {6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0x42, 0, 0};
    struct world world;
    unsigned pongs = 0;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    for (unsigned second = 0; second < 3; second++) {
        for (unsigned i = 0; i < 100000; i++) {
            const struct fwr_rmcp_peer peer = peer_number((uint8_t)i);
            int error = give(&world, &peer, ping, sizeof(ping));

            assert_true(error == FWR_OK || error == FWR_E_BUSY);
            assert_int_equal(world.reply_length, error == FWR_OK ? 28 : 0);
            pongs += error == FWR_OK;
        }
        assert_int_equal(pongs, (second + 1) * FWR_RMCP_PONGS_A_SECOND);
        world.pair.now += 1000;
    }
    pair_end(&world.pair);
}

/* One sessionless command in the 1.5 or 2.0 form; the reply's message is checked and returned. */
static int ask_anybody(struct world *world, bool form20, uint8_t command, const uint8_t *data,
                       size_t length, struct fwr_rmcp_message *reply)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    const struct fwr_rmcp_message message = {0x20, 6, 0, 0x81, 9, 0, command, data, length};
    const size_t prefix = form20 ? PAYLOAD : FWR_RMCP_PREFIX15_SIZE;
    uint8_t datagram[128];
    const size_t size = fwr_rmcp_message_encode(&message, datagram + prefix);
    int error;

    if (form20)
        (void)outside(datagram, FWR_RMCP_PAYLOAD_IPMI, size);
    else
        fwr_rmcp_prefix15_encode(datagram, size);
    error = give(world, &peer, datagram, prefix + size);
    if (error != FWR_OK)
        return error;
    assert_int_equal(world->reply[4], form20 ? 6 : 0);
    assert_int_equal(
        fwr_rmcp_message_decode(reply, world->reply + prefix, world->reply_length - prefix),
        FWR_OK);
    assert_int_equal(reply->netfn, 7);
    assert_int_equal(reply->sequence, 9);
    assert_int_equal(reply->to, 0x81);
    return FWR_OK;
}

static void anybody_learns_how_to_log_in(void **state)
{
    static const uint8_t auth20[] = {0x8e, 4}, auth15[] = {0x0e, 4};
    static const uint8_t suites[] = {0x0e, 0, 0x80}, more[] = {0x0e, 0, 0x81};
    static const uint8_t sol[] = {0x0e, 1, 0x80};
    static const uint8_t both[] = {0, 1, 0xc0, 17, 3, 0x44, 0x81, 0xc0, 3, 1, 0x41, 0x81};
    struct fwr_rmcp_message reply;
    struct world world;

    (void)state;
    pair_configure(&world.pair, FWR_RMCP_SUITE_SHA256);
    world.pair.responder_config.suite_sha1 = true;
    world.pair.responder_config.kg = (const uint8_t *)"k";
    world.pair.responder_config.kg_length = 1;
    pair_init(&world.pair);
    for (int form20 = 0; form20 < 2; form20++) {
        assert_int_equal(ask_anybody(&world, form20, 0x38, auth20, 2, &reply), FWR_OK);
        assert_int_equal(reply.length, 9);
        assert_memory_equal(reply.data, "\x00\x01\x80\x24\x02\x00\x00\x00\x00", 9);
        assert_int_equal(ask_anybody(&world, form20, 0x38, auth15, 2, &reply), FWR_OK);
        assert_memory_equal(reply.data, "\x00\x01\x00\x24\x00\x00\x00\x00\x00", 9);
        assert_int_equal(ask_anybody(&world, form20, 0x38, auth20, 1, &reply), FWR_OK);
        assert_int_equal(reply.data[0], 0xc7);
        assert_int_equal(ask_anybody(&world, form20, 0x54, suites, 3, &reply), FWR_OK);
        assert_int_equal(reply.length, sizeof(both));
        assert_memory_equal(reply.data, both, sizeof(both));
        assert_int_equal(ask_anybody(&world, form20, 0x54, more, 3, &reply), FWR_OK);
        assert_int_equal(reply.length, 2); /* nothing on the second page */
        assert_int_equal(ask_anybody(&world, form20, 0x54, sol, 3, &reply), FWR_OK);
        assert_int_equal(reply.data[0], 0xcc);
        assert_int_equal(ask_anybody(&world, form20, 0x54, suites, 2, &reply), FWR_OK);
        assert_int_equal(reply.data[0], 0xc7);
    }
    pair_end(&world.pair);
}

/* Get Device ID, Get Session Challenge, Activate Session, Set Session Privilege Level, and every
 * other command: no answer at all, no event. */
static void anybody_learns_nothing_else(void **state)
{
    static const uint8_t data[16] = {0};
    struct fwr_rmcp_message reply;
    struct world world;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    for (unsigned command = 0; command < 256; command++) {
        if (command == 0x38 || command == 0x54)
            continue;
        for (int form20 = 0; form20 < 2; form20++) {
            assert_int_equal(
                ask_anybody(&world, form20, (uint8_t)command, data, sizeof(data), &reply),
                FWR_E_STATE);
            assert_int_equal(world.reply_length, 0);
            assert_int_equal(world.event.kind, FWR_RMCP_EVENT_NONE);
        }
    }
    pair_end(&world.pair);
}

static void ipmi15_sessions_do_not_exist(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    const struct fwr_rmcp_message message = {
        0x20, 6, 0, 0x81, 9, 0, 0x38, (const uint8_t *)"\x8e\x04", 2};
    uint8_t datagram[64];
    struct world world;
    size_t length;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    length = FWR_RMCP_PREFIX15_SIZE +
             fwr_rmcp_message_encode(&message, datagram + FWR_RMCP_PREFIX15_SIZE);
    fwr_rmcp_prefix15_encode(datagram, length - FWR_RMCP_PREFIX15_SIZE);
    assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
    for (size_t at = FWR_RMCP_PREFIX15_SIZE; at < length; at++) { /* both checksums matter */
        datagram[at] ^= 0x04;
        assert_int_equal(give(&world, &peer, datagram, length), FWR_E_MALFORMED);
        datagram[at] ^= 0x04;
    }
    datagram[length] = 0; /* the pad some network chips needed */
    assert_int_equal(give(&world, &peer, datagram, length + 1), FWR_OK);
    assert_int_equal(give(&world, &peer, datagram, length + 2), FWR_E_MALFORMED);
    datagram[9] = 1; /* in a session */
    assert_int_equal(give(&world, &peer, datagram, length), FWR_E_STATE);
    datagram[9] = 0;
    for (unsigned type = 1; type < 256; type++) { /* MD2, MD5, password, OEM, unknown */
        datagram[4] = (uint8_t)type;
        assert_int_equal(give(&world, &peer, datagram, length), FWR_E_MALFORMED);
        assert_int_equal(world.reply_length, 0);
    }
    pair_end(&world.pair);
}

/* ---- Suites and users --------------------------------------------------------------------- */

/* Row 17 of doc/SECURITY.md: cipher suite 0, every mix of suites, nobody's name. */
static void threat_17_weak_session_security(void **state)
{
    static const bool offers[][2] = {{false, true}, {true, false}, {true, true}};
    const struct fwr_rmcp_peer peer = peer_number(1);
    unsigned attacks = 0;

    (void)state;
    for (size_t o = 0; o < 3; o++) {
        struct world world;

        pair_configure(&world.pair, FWR_RMCP_SUITE_SHA256);
        world.pair.responder_config.suite_sha1 = offers[o][0];
        world.pair.responder_config.suite_sha256 = offers[o][1];
        pair_init(&world.pair);
        for (unsigned i = 0; i < 6 * 6 * 6; i++) {
            const struct fwr_rmcp_algorithms triple = {(uint8_t)(i % 6), (uint8_t)(i / 6 % 6),
                                                       (uint8_t)(i / 36)};
            const bool good = (offers[o][0] && memcmp(&triple, &suite_3, sizeof(triple)) == 0) ||
                              (offers[o][1] && memcmp(&triple, &suite_17, sizeof(triple)) == 0);
            uint8_t datagram[64];
            const size_t length = open_request(datagram, i + 1, 4, triple);

            assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
            assert_int_equal(world.reply[PAYLOAD + 1], good ? 0 : FWR_RMCP_CODE_SUITE);
            assert_int_equal(world.reply_length, PAYLOAD + (good ? 36u : 8u));
            if (good) /* echoes exactly what was asked */
                assert_memory_equal(world.reply + PAYLOAD + 12, datagram + PAYLOAD + 8, 24);
            attacks += !good;
        }
        if (offers[o][1]) { /* the null user does not exist */
            const uint32_t managed = open_from(&world, &peer, 1000);

            assert_int_not_equal(rakp1_from(&world, &peer, managed, 0x12, ""), 0);
            attacks++;
        }
        assert_int_equal(status_of(&world).sessions, 0);
        pair_end(&world.pair);
    }
    printf("# threat 17 weak session security: %u attacks, 0 sessions\n", attacks);
}

/* A payload that leaves the choice to us, or that is not of the known form, gets none. */
static void wildcards_are_refused(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    struct world world;
    uint8_t datagram[64];

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    for (size_t kind = 0; kind < 3; kind++) {
        size_t length = open_request(datagram, 1, 4, suite_17);

        datagram[PAYLOAD + 8 + 8 * kind + 3] = 0;
        assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
        assert_int_equal(world.reply[PAYLOAD + 1], FWR_RMCP_CODE_SUITE);
        length = open_request(datagram, 1, 4, suite_17);
        datagram[PAYLOAD + 8 + 8 * kind] = 3;
        assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
        assert_int_equal(world.reply[PAYLOAD + 1], FWR_RMCP_CODE_SUITE);
    }
    assert_int_equal(status_of(&world).half_open, 0);
    pair_end(&world.pair);
}

static void users_are_looked_up_both_ways(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    struct world world;
    uint32_t console = 1;

    (void)state;
    pair_configure(&world.pair, FWR_RMCP_SUITE_SHA256);
    world.pair.users[0] = pair_user("same", "a", FWR_PRIVILEGE_USER);
    world.pair.users[1] = pair_user("same", "b", FWR_PRIVILEGE_ADMIN);
    pair_init(&world.pair);
#define RAKP1(role, user)                                                                          \
    rakp1_from(&world, &peer, open_from(&world, &peer, ++console), (role), (user))
    assert_int_equal(RAKP1(0x12, "same"), 0);
    assert_int_equal(RAKP1(0x10, "same"), 0);
    assert_int_equal(RAKP1(0x14, "same"), FWR_RMCP_CODE_PRIVILEGE); /* the first of that name */
    assert_int_equal(RAKP1(0x04, "same"), 0);                       /* that name and privilege */
    assert_int_equal(RAKP1(0x02, "same"), 0);
    assert_int_equal(RAKP1(0x12, "sam"), FWR_RMCP_CODE_NAME);
    assert_int_equal(RAKP1(0x12, "samey"), FWR_RMCP_CODE_NAME);
    assert_int_equal(RAKP1(0x14, ""), FWR_RMCP_CODE_NAME); /* the null user */
    assert_int_equal(RAKP1(0x11, "same"), FWR_RMCP_CODE_ROLE);
    assert_int_equal(RAKP1(0x15, "same"), FWR_RMCP_CODE_ROLE);
#undef RAKP1
    pair_end(&world.pair);
}

static void open_request_is_checked(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    uint8_t datagram[64];
    struct world world;
    size_t length;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    length = open_request(datagram, 0, 4, suite_17); /* session id 0 */
    assert_int_equal(give(&world, &peer, datagram, length), FWR_E_MALFORMED);
    for (uint8_t privilege = 0; privilege < 16; privilege++) {
        const bool good = privilege == 0 || (privilege >= 2 && privilege <= 4);

        length = open_request(datagram, 9, privilege, suite_17);
        assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
        assert_int_equal(world.reply[PAYLOAD + 1], good ? 0 : FWR_RMCP_CODE_ROLE);
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(give(&world, &peer, datagram, cut), FWR_E_MALFORMED);
    pair_end(&world.pair);
}

static void steps_cannot_be_skipped(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1), other = peer_number(2);
    struct fwr_rmcp_rakp34 rakp3 = {.tag = 1, .check_length = 32};
    struct fwr_rmcp_rakp1 rakp1 = {.tag = 1, .role = 0x12, .user_length = 5, .user = "donor"};
    uint8_t datagram[128];
    struct world world;
    size_t length;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    rakp3.session = rakp1.managed = open_from(&world, &peer, 77);
    length = outside(datagram, FWR_RMCP_PAYLOAD_RAKP3,
                     fwr_rmcp_rakp34_encode(&rakp3, datagram + PAYLOAD));
    assert_int_equal(give(&world, &peer, datagram, length), FWR_E_STATE);
    assert_int_equal(world.reply_length, 0);
    /* Another address cannot go on with it. */
    length = outside(datagram, FWR_RMCP_PAYLOAD_RAKP1,
                     fwr_rmcp_rakp1_encode(&rakp1, datagram + PAYLOAD));
    assert_int_equal(give(&world, &other, datagram, length), FWR_E_SESSION_CLOSED);
    assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
    /* A wrong proof ends it. */
    length = outside(datagram, FWR_RMCP_PAYLOAD_RAKP3,
                     fwr_rmcp_rakp34_encode(&rakp3, datagram + PAYLOAD));
    assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
    assert_int_equal(world.reply[PAYLOAD + 1], FWR_RMCP_CODE_INTEGRITY_CHECK);
    assert_int_equal(give(&world, &peer, datagram, length), FWR_E_SESSION_CLOSED);
    assert_int_equal(status_of(&world).sessions, 0);
    assert_int_equal(status_of(&world).half_open, 0);
    pair_end(&world.pair);
}

/* A repeated RAKP 1 or 3 gets the same answer, a changed one does not, and RAKP 3 only until
 * the session has been used. */
struct tape {
    uint8_t rakp1[128], rakp3[128];
    size_t rakp1_length, rakp3_length;
};

static bool record(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    struct tape *tape = pair->tap_ctx;

    if (to_responder && datagram[5] == FWR_RMCP_PAYLOAD_RAKP1) {
        memcpy(tape->rakp1, datagram, *length);
        tape->rakp1_length = *length;
    } else if (to_responder && datagram[5] == FWR_RMCP_PAYLOAD_RAKP3) {
        memcpy(tape->rakp3, datagram, *length);
        tape->rakp3_length = *length;
        return false; /* the test delivers it */
    }
    return true;
}

static void repeated_steps_get_the_same_answer(void **state)
{
    const struct fwr_rmcp_peer other = peer_number(3);
    uint8_t answer[FWR_RMCP_DATAGRAM_MAX];
    struct world world;
    struct tape tape;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    world.pair.tap = record;
    world.pair.tap_ctx = &tape;
    assert_int_equal(fwr_rmcp_initiator_start(world.pair.initiator, world.pair.now), FWR_OK);
    pair_settle(&world.pair);
    world.pair.tap = NULL;
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp1, tape.rakp1_length), FWR_OK);
    memcpy(answer, world.reply, world.reply_length);
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp1, tape.rakp1_length), FWR_OK);
    assert_memory_equal(answer, world.reply, world.reply_length);
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp3, tape.rakp3_length), FWR_OK);
    assert_int_equal(world.event.kind, FWR_RMCP_EVENT_OPENED);
    memcpy(answer, world.reply, world.reply_length);
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp3, tape.rakp3_length), FWR_OK);
    assert_int_equal(world.event.kind, FWR_RMCP_EVENT_NONE); /* opened once */
    assert_memory_equal(answer, world.reply, world.reply_length);
    assert_int_equal(give(&world, &other, tape.rakp3, tape.rakp3_length), FWR_E_SESSION_CLOSED);
    tape.rakp3[tape.rakp3_length - 1] ^= 1;
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp3, tape.rakp3_length),
                     FWR_E_SESSION_CLOSED);
    tape.rakp3[tape.rakp3_length - 1] ^= 1;
    assert_int_equal(pair_deliver_back(&world.pair, answer, PAYLOAD + 8 + 16), FWR_OK);
    pair_settle(&world.pair); /* Set Session Privilege Level */
    assert_int_equal(pair_state(&world.pair), FWR_RMCP_ACTIVE);
    assert_int_equal(give(&world, &world.pair.peer, tape.rakp3, tape.rakp3_length),
                     FWR_E_SESSION_CLOSED);
    pair_round_trip(&world.pair, 1);
    pair_end(&world.pair);
}

/* ---- Floods ------------------------------------------------------------------------------- */

struct flood {
    struct world *world;
    uint32_t next;
    uint32_t per_datagram;
    bool one_address;
    bool with_name; /* goes on to RAKP 1 */
};

static void flood_once(struct flood *flood)
{
    const struct fwr_rmcp_peer peer = peer_number(flood->one_address ? 5 : flood->next);
    const uint32_t managed = open_from(flood->world, &peer, ++flood->next);

    if (flood->with_name)
        (void)rakp1_from(flood->world, &peer, managed, 0x12, "donor");
}

/* Before each datagram of the real client. */
static bool flood_tap(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    struct flood *flood = pair->tap_ctx;

    (void)datagram;
    (void)length;
    for (uint32_t i = 0; to_responder && i < flood->per_datagram; i++)
        flood_once(flood);
    return true;
}

static void run_flood(bool one_address, bool with_name, uint32_t meanwhile)
{
    struct world world;
    struct flood flood = {&world, 0, meanwhile, one_address, with_name};
    struct fwr_rmcp_responder_status status;

    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    for (uint32_t i = 0; i < 10000; i++)
        flood_once(&flood);
    status = status_of(&world);
    assert_int_equal(status.half_open, 32);
    assert_int_equal(status.evicted, 10000 - 32);
    world.pair.tap = flood_tap;
    world.pair.tap_ctx = &flood;
    assert_int_equal(fwr_rmcp_initiator_start(world.pair.initiator, world.pair.now), FWR_OK);
    pair_settle_in_time(&world.pair);
    assert_int_equal(pair_state(&world.pair), FWR_RMCP_ACTIVE);
    pair_round_trip(&world.pair, 1);
    pair_end(&world.pair);
}

/* Row 24 of doc/SECURITY.md; each run is 10,000 log-ins that nobody finishes. */
static void threat_24_session_exhaustion(void **state)
{
    (void)state;
    run_flood(false, false, 0);
    run_flood(false, true, 0);
    run_flood(false, false, 31); /* that many between any two datagrams of the client */
    run_flood(false, true, 31);
    printf("# threat 24 session exhaustion: 40000 attacks, a real client got in 4 times of 4\n");
}

static void flood_from_one_address_hurts_only_itself(void **state)
{
    (void)state;
    run_flood(true, false, 5000);
    run_flood(true, true, 1000);
}

static void half_open_sessions_end_by_themselves(void **state)
{
    struct world world;
    struct fwr_rmcp_event event;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    assert_true(fwr_rmcp_responder_next_timeout(world.pair.responder) == FWR_NEVER);
    for (uint32_t i = 0; i < 3; i++) {
        const struct fwr_rmcp_peer peer = peer_number(i);

        (void)open_from(&world, &peer, i + 1);
    }
    assert_true(fwr_rmcp_responder_next_timeout(world.pair.responder) == world.pair.now + 5000);
    fwr_rmcp_responder_timeout(world.pair.responder, world.pair.now + 4999, &event);
    assert_int_equal(status_of(&world).half_open, 3);
    fwr_rmcp_responder_timeout(world.pair.responder, world.pair.now + 5000, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_NONE);
    assert_int_equal(status_of(&world).half_open, 0);
    pair_end(&world.pair);
}

static void repeated_open_takes_one_slot(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    struct world world;
    uint32_t first;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    first = open_from(&world, &peer, 5);
    for (int i = 0; i < 10; i++)
        assert_int_equal(open_from(&world, &peer, 5), first);
    assert_int_equal(status_of(&world).half_open, 1);
    assert_int_not_equal(open_from(&world, &peer, 6), first);
    assert_int_equal(status_of(&world).half_open, 2);
    pair_end(&world.pair);
}

/* ---- Sessions ----------------------------------------------------------------------------- */

/* A standard command in the pair's session; the reply is in pair->response. */
static void standard(struct world *world, uint8_t command, const void *data, size_t length)
{
    const struct fwr_rmcp_request request = {
        .netfn = 6, .command = command, .data = data, .length = length};
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct pair *pair = &world->pair;
    size_t size;

    memset(&pair->response, 0, sizeof(pair->response));
    assert_int_equal(fwr_rmcp_initiator_request(pair->initiator, pair->now, &request, command,
                                                datagram, sizeof(datagram), &size),
                     FWR_OK);
    assert_int_equal(pair_deliver(pair, datagram, size), FWR_OK);
    assert_int_equal(pair->response.kind, FWR_RMCP_EVENT_RESPONSE);
    assert_true(pair->response.token == command);
}

static void own_commands_are_answered(void **state)
{
    static const uint8_t device[] = {0,    0x23, 1,    2,    0x34, 2, 0, 0xd9,
                                     0x7e, 0,    0xcd, 0xab, 0,    0, 0, 0};
    struct world world;
    const uint8_t *reply;

    (void)state;
    pair_configure(&world.pair, FWR_RMCP_SUITE_SHA256);
    world.pair.users[0].privilege = FWR_PRIVILEGE_OPERATOR;
    world.pair.initiator_config.privilege = FWR_PRIVILEGE_OPERATOR;
    world.pair.responder_config.device = (struct fwr_rmcp_device){0x23, 1, 2, 34, 0xabcd, 32473};
    pair_init(&world.pair);
    pair_open(&world.pair);
    standard(&world, 0x01, NULL, 0);
    assert_int_equal(world.pair.response.length, sizeof(device));
    assert_memory_equal(world.pair.response.reply, device, sizeof(device));
    standard(&world, 0x38, "\x8e\x04", 2);
    assert_int_equal(world.pair.response.length, 9);
    standard(&world, 0x54, "\x0e\x00\x80", 3);
    assert_int_equal(world.pair.response.length, 7);
#define LEVEL(level, code)                                                                         \
    standard(&world, 0x3b, level, 1);                                                              \
    reply = world.pair.response.reply;                                                             \
    assert_int_equal(reply[0], code)
    LEVEL("\x00", 0);
    assert_int_equal(reply[1], FWR_PRIVILEGE_OPERATOR);
    LEVEL("\x04", 0x81);
    LEVEL("\x01", 0x80);
    LEVEL("\x05", 0x80);
    LEVEL("\x02", 0);
    assert_int_equal(reply[1], FWR_PRIVILEGE_USER);
    pair_round_trip(&world.pair, 1);
    assert_int_equal(world.pair.event.privilege, FWR_PRIVILEGE_USER);
    LEVEL("\x03", 0);
    pair_round_trip(&world.pair, 2);
    assert_int_equal(world.pair.event.privilege, FWR_PRIVILEGE_OPERATOR);
#undef LEVEL
    standard(&world, 0x3b, "\x02\x02", 2);
    assert_int_equal(world.pair.response.reply[0], 0xc7);
    standard(&world, 0x3c, "\x01\x02\x03\x04", 4); /* somebody else's session */
    assert_int_equal(world.pair.response.reply[0], 0x87);
    standard(&world, 0x3c, "\x01", 1);
    assert_int_equal(world.pair.response.reply[0], 0xc7);
    pair_round_trip(&world.pair, 3); /* still there */
    pair_end(&world.pair);
}

static void close_is_answered_and_reported(void **state)
{
    struct world world;
    uint8_t id[4];
    uint32_t session;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&world.pair);
    session = world.pair.event.session;
    fwr_rmcp_put32(id, session);
    standard(&world, 0x3c, id, 4);
    assert_int_equal(world.pair.response.reply[0], 0);
    assert_int_equal(world.pair.event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_true(world.pair.event.session == session);
    assert_int_equal(status_of(&world).sessions, 0);
    pair_end(&world.pair);
}

static void answers_may_come_later_but_not_too_late(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_command_id early;
    struct fwr_rmcp_event event;
    struct fwr_rmcp_peer to;
    struct world world;
    struct pair *pair = &world.pair;
    size_t length;

    (void)state;
    pair_setup(pair, FWR_RMCP_SUITE_SHA256);
    pair_open(pair);
    assert_int_equal(pair_request(pair, 1, 4, 11, datagram, &length), FWR_OK);
    assert_int_equal(pair_deliver(pair, datagram, length), FWR_OK);
    early = pair->event.id;
    pair_round_trip(pair, 12);
    pair->now += 59999; /* the answer itself keeps the session alive */
    assert_int_equal(fwr_rmcp_responder_reply(pair->responder, pair->now, &early,
                                              (const uint8_t *)"\0", 0, &to, datagram,
                                              sizeof(datagram), &length),
                     FWR_E_LENGTH);
    assert_int_equal(fwr_rmcp_responder_reply(pair->responder, pair->now, &early,
                                              (const uint8_t *)"\0", 1, &to, datagram, 20, &length),
                     FWR_E_NO_SPACE);
    assert_int_equal(fwr_rmcp_responder_reply(pair->responder, pair->now, &early,
                                              (const uint8_t *)"\0", 1, &to, datagram,
                                              sizeof(datagram), &length),
                     FWR_OK);
    assert_memory_equal(&to, &pair->peer, sizeof(to));
    assert_int_equal(pair_deliver_back(pair, datagram, length), FWR_OK);
    assert_true(pair->response.token == 11);
    pair->now += 59999;
    fwr_rmcp_responder_timeout(pair->responder, pair->now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_NONE);
    pair->now += 1;
    fwr_rmcp_responder_timeout(pair->responder, pair->now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_int_equal(event.reason, FWR_E_TIMEOUT);
    assert_int_equal(fwr_rmcp_responder_reply(pair->responder, pair->now, &early,
                                              (const uint8_t *)"\0", 1, &to, datagram,
                                              sizeof(datagram), &length),
                     FWR_E_SESSION_CLOSED);
    pair_end(pair);
}

static void replays_and_other_addresses_are_dropped(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    const struct fwr_rmcp_peer other = peer_number(9);
    struct world world;
    size_t length;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&world.pair);
    assert_int_equal(pair_request(&world.pair, 1, 4, 11, datagram, &length), FWR_OK);
    assert_int_equal(give(&world, &other, datagram, length), FWR_E_SESSION_CLOSED);
    assert_int_equal(give(&world, &world.pair.peer, datagram, length), FWR_OK);
    assert_int_equal(world.event.kind, FWR_RMCP_EVENT_COMMAND);
    assert_int_equal(give(&world, &world.pair.peer, datagram, length), FWR_E_STALE);
    assert_int_equal(world.event.kind, FWR_RMCP_EVENT_NONE);
    assert_int_equal(status_of(&world).counters.replayed, 1);
    pair_end(&world.pair);
}

static void every_damaged_command_is_dropped(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct world world;
    size_t length;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA1);
    pair_open(&world.pair);
    assert_int_equal(pair_request(&world.pair, 1, 40, 11, datagram, &length), FWR_OK);
    for (size_t at = 0; at < length; at++) {
        for (unsigned flip = 1; flip < 256 && at != 1 && at != 2; flip += flip) {
            datagram[at] ^= (uint8_t)flip;
            assert_int_not_equal(give(&world, &world.pair.peer, datagram, length), FWR_OK);
            assert_int_equal(world.event.kind, FWR_RMCP_EVENT_NONE);
            assert_int_equal(world.reply_length, 0);
            datagram[at] ^= (uint8_t)flip;
        }
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_int_not_equal(give(&world, &world.pair.peer, datagram, cut), FWR_OK);
    assert_int_equal(give(&world, &world.pair.peer, datagram, length), FWR_OK);
    assert_int_equal(world.event.kind, FWR_RMCP_EVENT_COMMAND);
    pair_end(&world.pair);
}

static void oversized_datagrams_are_dropped(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1] = {6, 0, 0xff, 7, 6};
    struct world world;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(give(&world, &world.pair.peer, datagram, sizeof(datagram)), FWR_E_MALFORMED);
    assert_int_equal(status_of(&world).counters.dropped, 1);
    assert_int_equal(fwr_rmcp_responder_receive(world.pair.responder, 0, &world.pair.peer, datagram,
                                                20, &world.event, world.reply,
                                                sizeof(world.reply) - 1, &world.reply_length),
                     FWR_E_NO_SPACE);
    world.pair.peer.length = FWR_RMCP_PEER_MAX + 1;
    assert_int_equal(give(&world, &world.pair.peer, datagram, 20), FWR_E_ARGUMENT);
    pair_end(&world.pair);
}

static void refusals_do_not_flood_the_log(void **state)
{
    const struct fwr_rmcp_peer peer = peer_number(1);
    uint8_t datagram[64];
    struct world world;

    (void)state;
    pair_setup(&world.pair, FWR_RMCP_SUITE_SHA256);
    const size_t length = open_request(datagram, 1, 4, suite_3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(give(&world, &peer, datagram, length), FWR_OK);
        assert_int_equal(world.pair.last_log[0] != '\0', i == 0 || i == 2);
        world.pair.last_log[0] = '\0';
        world.pair.now += i == 1 ? 1000 : 1;
    }
    assert_int_equal(status_of(&world).refused, 3);
    pair_end(&world.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_gets_pong),
        cmocka_unit_test(pongs_are_few),
        cmocka_unit_test(anybody_learns_how_to_log_in),
        cmocka_unit_test(anybody_learns_nothing_else),
        cmocka_unit_test(ipmi15_sessions_do_not_exist),
        cmocka_unit_test(threat_17_weak_session_security),
        cmocka_unit_test(wildcards_are_refused),
        cmocka_unit_test(users_are_looked_up_both_ways),
        cmocka_unit_test(open_request_is_checked),
        cmocka_unit_test(steps_cannot_be_skipped),
        cmocka_unit_test(repeated_steps_get_the_same_answer),
        cmocka_unit_test(threat_24_session_exhaustion),
        cmocka_unit_test(flood_from_one_address_hurts_only_itself),
        cmocka_unit_test(half_open_sessions_end_by_themselves),
        cmocka_unit_test(repeated_open_takes_one_slot),
        cmocka_unit_test(own_commands_are_answered),
        cmocka_unit_test(close_is_answered_and_reported),
        cmocka_unit_test(answers_may_come_later_but_not_too_late),
        cmocka_unit_test(replays_and_other_addresses_are_dropped),
        cmocka_unit_test(every_damaged_command_is_dropped),
        cmocka_unit_test(oversized_datagrams_are_dropped),
        cmocka_unit_test(refusals_do_not_flood_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
