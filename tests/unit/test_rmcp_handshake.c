/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an RMCP+ session, initiator against responder: every suite, every wrong credential
 * with its own error, lost, late, repeated, cut and damaged datagrams at every step.
 */
#include "rmcp_pair.h"

#include <stdio.h>

static const uint8_t suites[] = {FWR_RMCP_SUITE_SHA256, FWR_RMCP_SUITE_SHA1};

/* Starts and settles; asserts the error it ends with. */
static void expect_failure(struct pair *pair, int error)
{
    assert_int_equal(fwr_rmcp_initiator_start(pair->initiator, pair->now), FWR_OK);
    pair_settle(pair);
    assert_int_equal(pair_state(pair), FWR_RMCP_FAILED);
    assert_int_equal(pair_error(pair), error);
    assert_int_equal(pair->response.kind, FWR_RMCP_EVENT_CLOSED);
    assert_int_equal(pair->response.reason, error);
    assert_true(fwr_rmcp_initiator_next_timeout(pair->initiator) == FWR_NEVER);
}

static void opens_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(suites); i++) {
        struct pair pair;
        struct fwr_rmcp_responder_status status;

        pair_setup(&pair, suites[i]);
        pair_open(&pair);
        assert_int_equal(pair.response.kind, FWR_RMCP_EVENT_OPENED);
        assert_int_equal(pair.event.kind, FWR_RMCP_EVENT_OPENED);
        assert_int_equal(pair.event.suite, suites[i]);
        assert_int_equal(pair.event.user, 0);
        assert_int_equal(pair.datagrams, 8);
        pair_round_trip(&pair, 77);
        assert_int_equal(pair.event.privilege, FWR_PRIVILEGE_USER);
        fwr_rmcp_responder_status(pair.responder, &status);
        assert_int_equal(status.sessions, 1);
        assert_int_equal(status.half_open, 0);
        assert_int_equal(status.counters.dropped, 0);
        pair_end(&pair);
    }
}

static void opens_with_kg(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(suites); i++) {
        struct pair pair;

        pair_configure(&pair, suites[i]);
        pair.initiator_config.kg = pair.responder_config.kg =
            (const uint8_t *)"01234567890123456789";
        pair.initiator_config.kg_length = pair.responder_config.kg_length = 20;
        pair_init(&pair);
        pair_open(&pair);
        pair_round_trip(&pair, 1);
        pair_end(&pair);
    }
}

static void opens_with_longest_name_and_raises_privilege(void **state)
{
    struct pair pair;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.user = pair.users[1].name;
    pair.initiator_config.user_length = 16;
    pair.initiator_config.password = pair.users[1].password;
    pair.initiator_config.password_length = 1;
    pair.initiator_config.privilege = FWR_PRIVILEGE_ADMIN;
    pair_init(&pair);
    pair_open(&pair);
    assert_int_equal(pair.event.kind, FWR_RMCP_EVENT_OPENED);
    assert_int_equal(pair.event.privilege, FWR_PRIVILEGE_USER); /* before it was raised */
    pair_round_trip(&pair, 1);
    assert_int_equal(pair.event.privilege, FWR_PRIVILEGE_ADMIN);
    assert_int_equal(pair.event.user, 1);
    pair_end(&pair);
}

static void wrong_password_has_its_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(suites); i++) {
        struct pair pair;
        struct fwr_rmcp_responder_status status;

        pair_configure(&pair, suites[i]);
        pair.initiator_config.password = (const uint8_t *)"correct horse battes";
        pair_init(&pair);
        expect_failure(&pair, FWR_E_SESSION_AUTH);
        /* The parting RAKP 3 gave the slot back. */
        fwr_rmcp_responder_status(pair.responder, &status);
        assert_int_equal(status.half_open, 0);
        assert_int_equal(status.sessions, 0);
        assert_int_equal(status.refused, 1);
        pair_end(&pair);
    }
}

static void wrong_user_has_its_error(void **state)
{
    struct pair pair;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.user = "donos";
    pair_init(&pair);
    expect_failure(&pair, FWR_E_SESSION_USER);
    pair_end(&pair);
}

static void wrong_suite_has_its_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(suites); i++) {
        struct pair pair;

        pair_configure(&pair, suites[i]);
        pair.initiator_config.suite = suites[1 - i];
        pair_init(&pair);
        expect_failure(&pair, FWR_E_SESSION_SUITE);
        pair_end(&pair);
    }
}

static void users_suite_is_enforced(void **state)
{
    struct pair pair;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA1);
    pair.users[0].suite_sha1 = false;
    pair_init(&pair);
    expect_failure(&pair, FWR_E_SESSION_SUITE);
    pair_end(&pair);
}

static void wrong_kg_has_its_error(void **state)
{
    static const char *const kgs[][2] = {{"key", NULL}, {NULL, "key"}, {"key", "kex"}};

    (void)state;
    for (size_t i = 0; i < sizeof(kgs) / sizeof(kgs[0]); i++) {
        struct pair pair;

        pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
        pair.initiator_config.kg = (const uint8_t *)kgs[i][0];
        pair.initiator_config.kg_length = kgs[i][0] != NULL ? 3 : 0;
        pair.responder_config.kg = (const uint8_t *)kgs[i][1];
        pair.responder_config.kg_length = kgs[i][1] != NULL ? 3 : 0;
        pair_init(&pair);
        expect_failure(&pair, FWR_E_SESSION_KG);
        pair_end(&pair);
    }
}

static void wrong_privilege_has_its_error(void **state)
{
    struct pair pair;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.privilege = FWR_PRIVILEGE_ADMIN;
    pair_init(&pair);
    expect_failure(&pair, FWR_E_SESSION_PRIVILEGE);
    pair_end(&pair);
}

static void full_responder_has_its_error(void **state)
{
    struct pair pair;
    struct fwr_rmcp_event event;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.responder_config.sessions = 1;
    pair_init(&pair);
    pair_open(&pair);
    /* Leave without a word: the slot stays taken until it is idle for too long. */
    size_t length;
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, NULL, 0, &length), FWR_OK);
    assert_int_equal(length, 0);
    pair.datagrams = 0;
    expect_failure(&pair, FWR_E_SESSION_FULL);
    assert_int_equal(pair.datagrams, 2); /* said at once, not after the whole handshake */
    pair.now += 60000;
    assert_true(fwr_rmcp_responder_next_timeout(pair.responder) <= pair.now);
    fwr_rmcp_responder_timeout(pair.responder, pair.now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_int_equal(event.reason, FWR_E_TIMEOUT);
    fwr_rmcp_responder_timeout(pair.responder, pair.now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_NONE);
    pair_open(&pair);
    pair_end(&pair);
}

/* All slots taken, but one has been quiet for a while: whoever repeats his question gets it. */
static void quiet_session_makes_room(void **state)
{
    struct fwr_rmcp_responder_status status;
    struct fwr_rmcp_event event;
    struct pair pair;
    uint32_t first;
    size_t length;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.responder_config.sessions = 2;
    pair_init(&pair);
    pair_open(&pair);
    first = pair.event.session;
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, NULL, 0, &length), FWR_OK);
    pair.now += 1000;
    pair_open(&pair);
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, NULL, 0, &length), FWR_OK);
    pair.now += 13999;
    expect_failure(&pair, FWR_E_SESSION_FULL); /* 14,999 ms: not long enough */
    pair.now += 1;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle(&pair);
    assert_int_equal(pair_state(&pair), FWR_RMCP_OPENING); /* no answer yet */
    assert_true(fwr_rmcp_responder_next_timeout(pair.responder) <= pair.now);
    fwr_rmcp_responder_timeout(pair.responder, pair.now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_true(event.session == first); /* the one that was quiet for longer */
    fwr_rmcp_responder_timeout(pair.responder, pair.now, &event);
    assert_int_equal(event.kind, FWR_RMCP_EVENT_NONE); /* and only that one */
    pair_settle_in_time(&pair);
    assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
    pair_round_trip(&pair, 1);
    fwr_rmcp_responder_status(pair.responder, &status);
    assert_int_equal(status.sessions, 2);
    pair_end(&pair);
}

static void configuration_is_checked(void **state)
{
    struct pair pair;
    struct fwr_rmcp_initiator *initiator;
    struct fwr_rmcp_responder *responder;
    struct fwr_platform no_random;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    no_random = pair.platform;
    no_random.random = NULL;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fwr_rmcp_initiator_config config = pair.initiator_config;                           \
        change;                                                                                    \
        void *storage = malloc(pair.initiator_size);                                               \
        assert_int_equal(                                                                          \
            fwr_rmcp_initiator_init(&initiator, storage, pair.initiator_size, &config),            \
            FWR_E_ARGUMENT);                                                                       \
        assert_null(initiator);                                                                    \
        free(storage);                                                                             \
    } while (0)
    REFUSED(config.size--);
    REFUSED(config.platform = NULL);
    REFUSED(config.platform = &no_random);
    REFUSED(config.user = NULL);
    REFUSED(config.password = NULL);
    REFUSED(config.user_length = 0); /* the null user */
    REFUSED(config.user_length = 17);
    REFUSED(config.password_length = 0);
    REFUSED(config.password_length = 21);
    REFUSED(config.kg_length = 21);
    REFUSED(config.kg_length = 1);
    REFUSED(config.suite = 2);
    REFUSED(config.suite = 1);
    REFUSED(config.privilege = 1);
    REFUSED(config.privilege = 5);
    REFUSED(config.window = 16);
    REFUSED(config.datagram = 1473);
#undef REFUSED
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fwr_rmcp_responder_config config = pair.responder_config;                           \
        struct fwr_rmcp_user user = pair.users[0];                                                 \
        config.users = &user;                                                                      \
        config.user_count = 1;                                                                     \
        change;                                                                                    \
        void *storage = malloc(pair.responder_size);                                               \
        assert_int_equal(fwr_rmcp_responder_storage(&config), 0);                                  \
        assert_int_equal(                                                                          \
            fwr_rmcp_responder_init(&responder, storage, pair.responder_size, &config),            \
            FWR_E_ARGUMENT);                                                                       \
        free(storage);                                                                             \
    } while (0)
    REFUSED(config.size++);
    REFUSED(config.platform = NULL);
    REFUSED(config.platform = &no_random);
    REFUSED(config.users = NULL);
    REFUSED(config.user_count = 0);
    REFUSED(config.user_count = 64);
    REFUSED(config.suite_sha256 = false); /* no suite left */
    REFUSED(config.kg_length = 3);
    REFUSED(config.kg_length = 21);
    REFUSED(config.datagram = 1473);
    REFUSED(user.name = NULL);
    REFUSED(user.name_length = 0);
    REFUSED(user.name_length = 17);
    REFUSED(user.password = NULL);
    REFUSED(user.password_length = 0);
    REFUSED(user.password_length = 21);
    REFUSED(user.privilege = FWR_PRIVILEGE_CALLBACK);
    REFUSED(user.privilege = FWR_PRIVILEGE_ADMIN + 1);
    REFUSED(user.suite_sha1 = user.suite_sha256 = false);
#undef REFUSED
    uint8_t *storage = malloc(pair.responder_size);
    assert_int_equal(fwr_rmcp_initiator_init(&initiator, storage, pair.initiator_size - 1,
                                             &pair.initiator_config),
                     FWR_E_NO_SPACE);
    assert_int_equal(fwr_rmcp_responder_init(&responder, storage, pair.responder_size - 1,
                                             &pair.responder_config),
                     FWR_E_NO_SPACE);
    assert_int_equal(fwr_rmcp_initiator_init(&initiator, storage + 1, pair.initiator_size,
                                             &pair.initiator_config),
                     FWR_E_ARGUMENT);
    assert_int_equal(fwr_rmcp_responder_init(&responder, storage + 1, pair.responder_size,
                                             &pair.responder_config),
                     FWR_E_ARGUMENT);
    free(storage);
    assert_int_equal(
        fwr_rmcp_initiator_init(&initiator, NULL, pair.initiator_size, &pair.initiator_config),
        FWR_E_ARGUMENT);
    assert_int_equal(
        fwr_rmcp_responder_init(&responder, NULL, pair.responder_size, &pair.responder_config),
        FWR_E_ARGUMENT);
    assert_int_equal(fwr_rmcp_initiator_init(&initiator, NULL, 0, NULL), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rmcp_responder_init(&responder, NULL, 0, NULL), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rmcp_responder_storage(NULL), 0);
    fwr_rmcp_initiator_end(NULL);
    fwr_rmcp_responder_end(NULL);
    pair_end(&pair);
}

/* Without a suite in the configuration it is the strong one; without a log nobody minds. */
static void defaults_are_the_strong_ones(void **state)
{
    struct pair pair;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.suite = 0;
    pair.initiator_config.attempts = 2;
    pair.responder_config.idle_ms = 5000;
    pair.responder_config.half_open = 1;
    pair.platform.log = NULL;
    pair_init(&pair);
    pair_open(&pair);
    assert_int_equal(pair.event.suite, FWR_RMCP_SUITE_SHA256);
    pair_round_trip(&pair, 1);
    assert_true(fwr_rmcp_responder_next_timeout(pair.responder) == pair.now + 5000);
    pair_end(&pair);
}

/* ---- Lost datagrams ----------------------------------------------------------------------- */

struct loss {
    unsigned first; /* number of the first datagram to lose */
    unsigned count;
};

static bool lose(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    const struct loss *loss = pair->tap_ctx;

    (void)to_responder;
    (void)datagram;
    (void)length;
    return pair->datagrams <= loss->first || pair->datagrams > loss->first + loss->count;
}

/* Any one, two or three in a row of the handshake's datagrams are lost: it still opens. */
static void lost_datagrams_are_repeated(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 8; first++) {
        for (unsigned count = 1; count <= 3; count++) {
            struct pair pair;
            struct loss loss = {first, count};

            pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
            pair.tap = lose;
            pair.tap_ctx = &loss;
            assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
            pair_settle_in_time(&pair);
            assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
            pair_round_trip(&pair, 5);
            pair_end(&pair);
        }
    }
}

static void repeats_the_same_answers(void **state)
{
    struct pair pair;
    struct loss loss = {1, 1}; /* the answer to Open Session */
    struct fwr_rmcp_responder_status status;

    (void)state;
    for (; loss.first < 7; loss.first += 2) {
        pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
        pair.tap = lose;
        pair.tap_ctx = &loss;
        assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
        pair_settle_in_time(&pair);
        assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
        /* One repetition was enough, and took no second slot. */
        assert_int_equal(pair.datagrams, 10);
        fwr_rmcp_responder_status(pair.responder, &status);
        assert_int_equal(status.half_open, 0);
        assert_int_equal(status.opened, 1);
        pair_end(&pair);
    }
}

static void silence_ends_in_timeout(void **state)
{
    struct pair pair;
    struct loss loss = {0, 1000};
    uint64_t last = 0;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.tap = lose;
    pair.tap_ctx = &loss;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle(&pair);
    while (pair_state(&pair) == FWR_RMCP_OPENING) {
        const uint64_t deadline = fwr_rmcp_initiator_next_timeout(pair.initiator);
        const uint64_t wait = deadline - pair.now;

        fwr_rmcp_initiator_timeout(pair.initiator, deadline - 1); /* early: harmless */
        assert_true(fwr_rmcp_initiator_next_timeout(pair.initiator) == deadline);
        assert_true(wait > last); /* backs off */
        last = wait;
        pair.now = deadline;
        fwr_rmcp_initiator_timeout(pair.initiator, pair.now);
        pair_settle(&pair);
    }
    assert_int_equal(pair.datagrams, 5);
    assert_int_equal(pair_error(&pair), FWR_E_TIMEOUT);
    pair_end(&pair);
}

/* Answers Open Session for ever, and nothing else. */
static bool open_only(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    (void)pair;
    (void)length;
    return !to_responder || datagram[5] == 0x10;
}

/* Once an answer came, and soon, a lost datagram is repeated as soon as that allows. */
static void a_measured_peer_is_asked_again_sooner(void **state)
{
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.tap = open_only;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle(&pair);
    assert_in_range(fwr_rmcp_initiator_next_timeout(pair.initiator) - pair.now, 75, 125);
    pair_end(&pair);
    /* Never sooner than a busy BMC needs, unless the configuration says so. */
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.first_timeout = 40;
    pair.tap = open_only;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle(&pair);
    assert_in_range(fwr_rmcp_initiator_next_timeout(pair.initiator) - pair.now, 30, 50);
    pair_end(&pair);
}

static void half_a_handshake_ends_too(void **state)
{
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.tap = open_only;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle_in_time(&pair);
    assert_int_equal(pair_error(&pair), FWR_E_TIMEOUT);
    assert_true(pair.datagrams < 40);
    pair_end(&pair);
}

static void evicted_handshake_starts_over(void **state)
{
    struct pair pair;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_event event;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    assert_int_equal(
        fwr_rmcp_initiator_next_send(pair.initiator, pair.now, datagram, sizeof(datagram), &length),
        FWR_OK);
    assert_int_equal(pair_deliver(&pair, datagram, length), FWR_OK);
    /* The responder forgets the half-open session before RAKP 1 comes. */
    fwr_rmcp_responder_timeout(pair.responder, pair.now + 6000, &event);
    pair_settle_in_time(&pair);
    assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
    pair_round_trip(&pair, 3);
    pair_end(&pair);
}

/* The responder answers one step with "no such session": only a new handshake helps. */
static bool forget_session(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    uint8_t *type = pair->tap_ctx;

    if (!to_responder && datagram[5] == *type) {
        *type = 0;
        datagram[16 + 1] = 0x02;
        datagram[14] = 8;
        *length = 16 + 8;
    }
    return true;
}

static void unknown_session_starts_over(void **state)
{
    (void)state;
    for (uint8_t type = 0x13; type <= 0x15; type += 2) {
        struct pair pair;
        uint8_t once = type;

        pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
        pair.tap = forget_session;
        pair.tap_ctx = &once;
        pair_open(&pair);
        assert_int_equal(once, 0);
        pair_round_trip(&pair, 1);
        pair_end(&pair);
    }
}

/* Other refusals, RAKP 2's and 4's alike, have the error they mean. */
struct refusal {
    uint8_t type;
    uint8_t code;
};

static bool refuse(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    const struct refusal *refusal = pair->tap_ctx;

    if (!to_responder && datagram[5] == refusal->type) {
        datagram[16 + 1] = refusal->code;
        datagram[14] = 8;
        *length = 16 + 8;
    }
    return true;
}

static void refusals_are_told_apart(void **state)
{
    static const struct {
        uint8_t code;
        int error;
    } codes[] = {
        {0x01, FWR_E_SESSION_FULL},      {0x02, FWR_E_SESSION_REFUSED},
        {0x03, FWR_E_SESSION_REFUSED},   {0x04, FWR_E_SESSION_SUITE},
        {0x05, FWR_E_SESSION_SUITE},     {0x09, FWR_E_SESSION_PRIVILEGE},
        {0x0a, FWR_E_SESSION_PRIVILEGE}, {0x0b, FWR_E_SESSION_FULL},
        {0x0c, FWR_E_SESSION_USER},      {0x0d, FWR_E_SESSION_USER},
        {0x0f, FWR_E_SESSION_AUTH},      {0x10, FWR_E_SESSION_SUITE},
        {0x11, FWR_E_SESSION_SUITE},     {0xff, FWR_E_SESSION_REFUSED},
    };

    (void)state;
    for (uint8_t type = 0x11; type <= 0x15; type += 2) {
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
            struct refusal refusal = {type, codes[i].code};
            struct fwr_rmcp_initiator_status status;
            struct pair pair;

            pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
            pair.tap = refuse;
            pair.tap_ctx = &refusal;
            expect_failure(&pair, codes[i].error);
            fwr_rmcp_initiator_status(pair.initiator, &status);
            assert_int_equal(status.peer_code, codes[i].code);
            pair_end(&pair);
        }
    }
}

/* As lanserv refuses: tag and code, nothing more. */
static bool refuse_barely(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    (void)pair;
    if (!to_responder) {
        datagram[16 + 1] = 0x04;
        datagram[14] = 2;
        *length = 16 + 2;
    }
    return true;
}

static void bare_refusal_is_understood(void **state)
{
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.tap = refuse_barely;
    expect_failure(&pair, FWR_E_SESSION_SUITE);
    pair_end(&pair);
}

/* An answer with another tag or another session id is not an answer. */
static void answers_to_others_are_dropped(void **state)
{
    static const uint8_t bytes[] = {16, 16 + 4, 16 + 7};

    (void)state;
    for (unsigned datagram = 2; datagram <= 6; datagram += 2) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            struct fwr_rmcp_initiator_status status;
            struct pair pair;
            uint8_t changed[FWR_RMCP_DATAGRAM_MAX];
            uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
            struct fwr_rmcp_response response;
            struct fwr_rmcp_event event;
            size_t length;

            pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
            assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
            for (unsigned step = 2; step < datagram; step += 2) {
                assert_int_equal(fwr_rmcp_initiator_next_send(pair.initiator, pair.now, changed,
                                                              sizeof(changed), &length),
                                 FWR_OK);
                assert_int_equal(pair_deliver(&pair, changed, length), FWR_OK);
            }
            assert_int_equal(fwr_rmcp_initiator_next_send(pair.initiator, pair.now, changed,
                                                          sizeof(changed), &length),
                             FWR_OK);
            assert_int_equal(fwr_rmcp_responder_receive(pair.responder, pair.now, &pair.peer,
                                                        changed, length, &event, reply,
                                                        sizeof(reply), &length),
                             FWR_OK);
            memcpy(changed, reply, length);
            changed[bytes[i]] ^= 0x10;
            assert_int_equal(
                fwr_rmcp_initiator_receive(pair.initiator, pair.now, changed, length, &response),
                FWR_E_STALE);
            assert_int_equal(pair_deliver_back(&pair, reply, length), FWR_OK);
            pair_settle(&pair);
            assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
            fwr_rmcp_initiator_status(pair.initiator, &status);
            assert_int_equal(status.counters.dropped, 1);
            pair_end(&pair);
        }
    }
}

/* ---- Damaged datagrams -------------------------------------------------------------------- */

struct damage {
    unsigned datagram; /* which of the handshake's, from 1 */
    size_t byte;
    uint8_t flip; /* 0: cut before this byte; else changed there */
    bool grow;    /* one byte more at the end */
    bool done;
    size_t length; /* of the datagram hit */
};

static bool harm(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    struct damage *damage = pair->tap_ctx;

    (void)to_responder;
    if (damage->done || pair->datagrams != damage->datagram)
        return true;
    damage->done = true;
    damage->length = *length;
    if (damage->grow)
        datagram[(*length)++] = 0;
    else if (damage->byte >= *length)
        return true;
    else if (damage->flip == 0)
        *length = damage->byte;
    else
        datagram[damage->byte] ^= damage->flip;
    return true;
}

/* Runs one handshake with one damaged datagram. It ends open and working, or failed with one of
 * the session errors; never open with ends that disagree, never stuck. */
static int run_damaged(struct damage *damage, uint8_t suite)
{
    struct pair pair;
    int error;

    pair_setup(&pair, suite);
    pair.tap = harm;
    pair.tap_ctx = damage;
    damage->done = false;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle_in_time(&pair);
    assert_true(damage->done);
    error = pair_error(&pair);
    if (pair_state(&pair) == FWR_RMCP_ACTIVE)
        pair_round_trip(&pair, 9);
    else
        assert_true(error <= FWR_E_SESSION_REFUSED && error >= FWR_E_SESSION_PRIVILEGE);
    pair_end(&pair);
    return error;
}

static void every_byte_of_every_step_damaged(void **state)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    unsigned opened = 0;
    unsigned failed = 0;

    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        for (unsigned step = 1; step <= 8; step++) {
            struct damage damage = {.datagram = step, .length = 1};

            for (damage.byte = 0; damage.byte < damage.length; damage.byte++) {
                damage.flip = flips[damage.byte % sizeof(flips)];
                if (run_damaged(&damage, suites[s]) == FWR_OK)
                    opened++;
                else
                    failed++;
            }
        }
    }
    print_message("%u handshakes survived, %u refused\n", opened, failed);
    assert_true(opened > 300);
    assert_true(failed > 100);
}

static void every_step_cut_and_grown(void **state)
{
    (void)state;
    for (unsigned step = 1; step <= 8; step++) {
        struct damage damage = {.datagram = step, .length = 1};

        for (damage.byte = 0; damage.byte < damage.length; damage.byte++)
            assert_int_equal(run_damaged(&damage, FWR_RMCP_SUITE_SHA256), FWR_OK);
        damage.grow = true;
        run_damaged(&damage, FWR_RMCP_SUITE_SHA256);
    }
}

/* A peer's proof that differs in any bit is never believed, and says which secret is wrong. */
static void changed_proofs_are_named(void **state)
{
    struct damage damage = {.flip = 1};

    (void)state;
    for (damage.datagram = 4, damage.byte = 16 + 40; damage.byte < 16 + 72; damage.byte++)
        assert_int_equal(run_damaged(&damage, FWR_RMCP_SUITE_SHA256), FWR_E_SESSION_AUTH);
    for (damage.datagram = 5, damage.byte = 16 + 8; damage.byte < 16 + 40; damage.byte++)
        assert_int_equal(run_damaged(&damage, FWR_RMCP_SUITE_SHA256), FWR_E_SESSION_AUTH);
    for (damage.datagram = 6, damage.byte = 16 + 8; damage.byte < 16 + 24; damage.byte++)
        assert_int_equal(run_damaged(&damage, FWR_RMCP_SUITE_SHA256), FWR_E_SESSION_KG);
}

/* The peer answers Open Session with every other triple of algorithms. */
struct triple {
    uint8_t values[3];
};

static bool other_triple(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    const struct triple *triple = pair->tap_ctx;

    (void)length;
    if (to_responder || datagram[5] != 0x11)
        return true;
    for (size_t i = 0; i < 3; i++)
        datagram[16 + 12 + 8 * i + 4] = triple->values[i];
    return true;
}

static void only_our_suite_is_accepted_back(void **state)
{
    struct triple triple;

    (void)state;
    for (unsigned i = 0; i < 5 * 6 * 5; i++) {
        struct pair pair;

        triple.values[0] = (uint8_t)(i % 5);
        triple.values[1] = (uint8_t)(i / 5 % 6);
        triple.values[2] = (uint8_t)(i / 30);
        pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
        pair.tap = other_triple;
        pair.tap_ctx = &triple;
        assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
        pair_settle(&pair);
        if (triple.values[0] == 3 && triple.values[1] == 4 && triple.values[2] == 1)
            assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
        else
            assert_int_equal(pair_error(&pair), FWR_E_SESSION_SUITE);
        pair_end(&pair);
    }
}

static void random_failure_is_reported(void **state)
{
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.random_fails = true;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_E_RANDOM);
    assert_int_equal(pair_state(&pair), FWR_RMCP_CLOSED);
    pair.random_fails = false;
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_E_STATE);
    pair_end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_with_each_suite),
        cmocka_unit_test(opens_with_kg),
        cmocka_unit_test(opens_with_longest_name_and_raises_privilege),
        cmocka_unit_test(wrong_password_has_its_error),
        cmocka_unit_test(wrong_user_has_its_error),
        cmocka_unit_test(wrong_suite_has_its_error),
        cmocka_unit_test(users_suite_is_enforced),
        cmocka_unit_test(wrong_kg_has_its_error),
        cmocka_unit_test(wrong_privilege_has_its_error),
        cmocka_unit_test(full_responder_has_its_error),
        cmocka_unit_test(quiet_session_makes_room),
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(defaults_are_the_strong_ones),
        cmocka_unit_test(lost_datagrams_are_repeated),
        cmocka_unit_test(repeats_the_same_answers),
        cmocka_unit_test(silence_ends_in_timeout),
        cmocka_unit_test(a_measured_peer_is_asked_again_sooner),
        cmocka_unit_test(half_a_handshake_ends_too),
        cmocka_unit_test(evicted_handshake_starts_over),
        cmocka_unit_test(unknown_session_starts_over),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(bare_refusal_is_understood),
        cmocka_unit_test(answers_to_others_are_dropped),
        cmocka_unit_test(every_byte_of_every_step_damaged),
        cmocka_unit_test(every_step_cut_and_grown),
        cmocka_unit_test(changed_proofs_are_named),
        cmocka_unit_test(only_our_suite_is_accepted_back),
        cmocka_unit_test(random_failure_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
