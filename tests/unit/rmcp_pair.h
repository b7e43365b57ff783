/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initiator and a responder joined in memory, with a clock and a random source of the
 * test's own, and a place where the test can look at, change or lose each datagram. Used by
 * the tests of the RMCP+ layer. Storage is allocated at its exact size, so that a sanitizer or
 * valgrind sees every step beyond it.
 */
#ifndef TESTS_RMCP_PAIR_H
#define TESTS_RMCP_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

struct pair;

/* Sees each datagram on its way (buffer of FWR_RMCP_DATAGRAM_MAX bytes): false loses it. */
typedef bool pair_tap(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length);

struct pair {
    uint64_t now;
    uint64_t seed;
    bool random_fails;
    char last_log[160];
    unsigned logged, secrets_logged; /* lines; those that name a user's password */
    struct fwr_platform platform;
    struct fwr_rmcp_user users[4];
    struct fwr_rmcp_initiator_config initiator_config;
    struct fwr_rmcp_responder_config responder_config;
    struct fwr_rmcp_initiator *initiator;
    struct fwr_rmcp_responder *responder;
    void *initiator_storage;
    void *responder_storage;
    size_t initiator_size;
    size_t responder_size;
    struct fwr_rmcp_peer peer;
    pair_tap *tap;
    void *tap_ctx;
    unsigned datagrams;                     /* carried so far, both ways */
    struct fwr_rmcp_response response;      /* last one that was no NONE */
    struct fwr_rmcp_event event;            /* likewise */
    uint8_t inbox[FWR_RMCP_DATAGRAM_MAX];   /* what response->reply points into */
    uint8_t command[FWR_RMCP_DATAGRAM_MAX]; /* what event->data points into */
};

/* xorshift64*: reproducible, nothing more. */
static inline int pair_random(void *ctx, void *buffer, size_t length)
{
    struct pair *pair = ctx;
    uint8_t *out = buffer;

    if (pair->random_fails)
        return FWR_E_RANDOM;
    while (length-- > 0) {
        pair->seed ^= pair->seed >> 12;
        pair->seed ^= pair->seed << 25;
        pair->seed ^= pair->seed >> 27;
        *out++ = (uint8_t)((pair->seed * UINT64_C(2685821657736338717)) >> 56);
    }
    return FWR_OK;
}

static inline void pair_log(void *ctx, enum fwr_log_level level, const char *text)
{
    struct pair *pair = ctx;

    (void)level;
    pair->logged++;
    pair->secrets_logged += strstr(text, (const char *)pair->users[0].password) != NULL;
    strncpy(pair->last_log, text, sizeof(pair->last_log) - 1);
}

static inline struct fwr_rmcp_user pair_user(const char *name, const char *password,
                                             uint8_t privilege)
{
    const struct fwr_rmcp_user user = {
        .name = name,
        .name_length = (uint8_t)strlen(name),
        .password = (const uint8_t *)password,
        .password_length = (uint8_t)strlen(password),
        .privilege = privilege,
        .suite_sha1 = true,
        .suite_sha256 = true,
    };

    return user;
}

/* Default configurations, both ends agreeing on `suite` alone. */
static inline void pair_configure(struct pair *pair, uint8_t suite)
{
    memset(pair, 0, sizeof(*pair));
    pair->now = 1000;
    pair->seed = 0x9e3779b97f4a7c15;
    pair->platform.size = sizeof(pair->platform);
    pair->platform.ctx = pair;
    pair->platform.random = pair_random;
    pair->platform.log = pair_log;
    pair->users[0] = pair_user("donor", "correct horse batter", FWR_PRIVILEGE_USER);
    pair->users[1] = pair_user("sixteen-bytes-xx", "p", FWR_PRIVILEGE_ADMIN);
    pair->initiator_config.size = sizeof(pair->initiator_config);
    pair->initiator_config.platform = &pair->platform;
    pair->initiator_config.user = pair->users[0].name;
    pair->initiator_config.user_length = pair->users[0].name_length;
    pair->initiator_config.password = pair->users[0].password;
    pair->initiator_config.password_length = pair->users[0].password_length;
    pair->initiator_config.suite = suite;
    pair->responder_config.size = sizeof(pair->responder_config);
    pair->responder_config.platform = &pair->platform;
    pair->responder_config.users = pair->users;
    pair->responder_config.user_count = 2;
    pair->responder_config.suite_sha1 = suite == FWR_RMCP_SUITE_SHA1;
    pair->responder_config.suite_sha256 = suite == FWR_RMCP_SUITE_SHA256;
    memset(pair->responder_config.guid, 0xa5, FWR_RMCP_GUID_SIZE);
    pair->peer.length = 4;
    memcpy(pair->peer.key, "peer", 4);
}

static inline void pair_init(struct pair *pair)
{
    pair->initiator_size = fwr_rmcp_initiator_storage();
    pair->responder_size = fwr_rmcp_responder_storage(&pair->responder_config);
    assert_true(pair->responder_size > 0);
    pair->initiator_storage = malloc(pair->initiator_size);
    pair->responder_storage = malloc(pair->responder_size);
    assert_non_null(pair->initiator_storage);
    assert_non_null(pair->responder_storage);
    assert_int_equal(fwr_rmcp_initiator_init(&pair->initiator, pair->initiator_storage,
                                             pair->initiator_size, &pair->initiator_config),
                     FWR_OK);
    assert_int_equal(fwr_rmcp_responder_init(&pair->responder, pair->responder_storage,
                                             pair->responder_size, &pair->responder_config),
                     FWR_OK);
}

static inline void pair_setup(struct pair *pair, uint8_t suite)
{
    pair_configure(pair, suite);
    pair_init(pair);
}

static inline void pair_end(struct pair *pair)
{
    fwr_rmcp_initiator_end(pair->initiator);
    fwr_rmcp_responder_end(pair->responder);
    free(pair->initiator_storage);
    free(pair->responder_storage);
}

static inline enum fwr_rmcp_state pair_state(const struct pair *pair)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(pair->initiator, &status);
    return status.state;
}

static inline int pair_error(const struct pair *pair)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(pair->initiator, &status);
    return status.error;
}

/* Responder to initiator. */
static inline int pair_deliver_back(struct pair *pair, const uint8_t *datagram, size_t length)
{
    struct fwr_rmcp_response response;
    int error;

    memcpy(pair->inbox, datagram, length);
    pair->datagrams++;
    if (pair->tap != NULL && !pair->tap(pair, false, pair->inbox, &length))
        return FWR_OK;
    error = fwr_rmcp_initiator_receive(pair->initiator, pair->now, pair->inbox, length, &response);
    if (error == FWR_OK && response.kind != FWR_RMCP_EVENT_NONE)
        pair->response = response;
    return error;
}

/* Initiator to responder, and its immediate reply back. The result is the responder's. */
static inline int pair_deliver(struct pair *pair, const uint8_t *datagram, size_t length)
{
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_event event;
    size_t reply_length;
    int error;

    memcpy(pair->command, datagram, length);
    pair->datagrams++;
    if (pair->tap != NULL && !pair->tap(pair, true, pair->command, &length))
        return FWR_OK;
    error = fwr_rmcp_responder_receive(pair->responder, pair->now, &pair->peer, pair->command,
                                       length, &event, reply, sizeof(reply), &reply_length);
    if (error == FWR_OK && event.kind != FWR_RMCP_EVENT_NONE)
        pair->event = event;
    if (reply_length > 0)
        (void)pair_deliver_back(pair, reply, reply_length);
    return error;
}

/* Carries handshake datagrams until neither side has more to say. */
static inline void pair_settle(struct pair *pair)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    for (;;) {
        if (fwr_rmcp_initiator_next_send(pair->initiator, pair->now, datagram, sizeof(datagram),
                                         &length) != FWR_OK ||
            length == 0)
            return;
        (void)pair_deliver(pair, datagram, length);
    }
}

/* The same with time passing, until the initiator has decided. */
static inline void pair_settle_in_time(struct pair *pair)
{
    pair_settle(pair);
    for (unsigned i = 0; i < 200 && pair_state(pair) == FWR_RMCP_OPENING; i++) {
        pair->now = fwr_rmcp_initiator_next_timeout(pair->initiator);
        assert_true(pair->now != FWR_NEVER);
        fwr_rmcp_initiator_timeout(pair->initiator, pair->now);
        pair_settle(pair);
    }
    assert_int_not_equal(pair_state(pair), FWR_RMCP_OPENING);
}

static inline void pair_open(struct pair *pair)
{
    assert_int_equal(fwr_rmcp_initiator_start(pair->initiator, pair->now), FWR_OK);
    pair_settle(pair);
    assert_int_equal(pair_state(pair), FWR_RMCP_ACTIVE);
}

/* Seals a request with `length` counting bytes of data. */
static inline int pair_request(struct pair *pair, uint8_t command, size_t data_length,
                               uint64_t token, uint8_t *datagram, size_t *length)
{
    uint8_t data[FWR_RMCP_DATAGRAM_MAX];
    const struct fwr_rmcp_request request = {
        .netfn = 0x2e,
        .command = command,
        .data = data,
        .length = data_length,
    };

    for (size_t i = 0; i < data_length; i++)
        data[i] = (uint8_t)i;
    return fwr_rmcp_initiator_request(pair->initiator, pair->now, &request, token, datagram,
                                      FWR_RMCP_DATAGRAM_MAX, length);
}

/* Answers the last command handed up: completion code 0 and `data_length` bytes of EEh. */
static inline int pair_answer(struct pair *pair, size_t data_length, uint8_t *datagram,
                              size_t *length)
{
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX] = {0};

    memset(reply + 1, 0xee, data_length);
    return fwr_rmcp_responder_reply(pair->responder, pair->now, &pair->event.id, reply,
                                    data_length + 1, NULL, datagram, FWR_RMCP_DATAGRAM_MAX, length);
}

/* One command there and back; asserts that it arrives as it was sent. */
static inline void pair_round_trip(struct pair *pair, uint64_t token)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    memset(&pair->event, 0, sizeof(pair->event));
    memset(&pair->response, 0, sizeof(pair->response));
    assert_int_equal(pair_request(pair, 0x42, 9, token, datagram, &length), FWR_OK);
    assert_int_equal(pair_deliver(pair, datagram, length), FWR_OK);
    assert_int_equal(pair->event.kind, FWR_RMCP_EVENT_COMMAND);
    assert_int_equal(pair->event.id.netfn, 0x2e);
    assert_int_equal(pair->event.id.command, 0x42);
    assert_int_equal(pair->event.length, 9);
    assert_int_equal(pair->event.data[8], 8);
    assert_int_equal(pair_answer(pair, 5, datagram, &length), FWR_OK);
    assert_int_equal(pair_deliver_back(pair, datagram, length), FWR_OK);
    assert_int_equal(pair->response.kind, FWR_RMCP_EVENT_RESPONSE);
    assert_true(pair->response.token == token);
    assert_int_equal(pair->response.command, 0x42);
    assert_int_equal(pair->response.length, 6);
    assert_int_equal(pair->response.reply[0], 0);
    assert_int_equal(pair->response.reply[5], 0xee);
}

#endif
