/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The managed end of RMCP+ sessions: presence pings, what anybody may ask, log-ins (login.c), and
 * commands of active sessions (active.c) handed up to the caller. Called by whoever owns the
 * socket; never reads a clock. IPMI 2.0 sections 13.14 to 13.23.
 */
#include <stdalign.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "answers.h"
#include "responder.h"

#define DEFAULT_SESSIONS  8
#define DEFAULT_HALF_OPEN 32
#define USERS_MAX         63

static uint8_t slots_for_sessions(const struct fwr_rmcp_responder_config *config)
{
    return config->sessions > 0 ? config->sessions : DEFAULT_SESSIONS;
}

static uint8_t slots_for_logins(const struct fwr_rmcp_responder_config *config)
{
    return config->half_open > 0 ? config->half_open : DEFAULT_HALF_OPEN;
}

static bool check_user(const struct fwr_rmcp_user *user)
{
    return user->name != NULL && user->name_length >= 1 && user->name_length <= FWR_RMCP_USER_MAX &&
           user->password != NULL && user->password_length >= 1 &&
           user->password_length <= FWR_RMCP_PASSWORD_MAX &&
           user->privilege >= FWR_PRIVILEGE_USER && user->privilege <= FWR_PRIVILEGE_ADMIN &&
           (user->suite_sha1 || user->suite_sha256);
}

static bool check_config(const struct fwr_rmcp_responder_config *config)
{
    if (config == NULL || config->size != sizeof(*config) || config->platform == NULL ||
        config->platform->random == NULL)
        return false;
    if (config->users == NULL || config->user_count < 1 || config->user_count > USERS_MAX)
        return false;
    for (uint8_t i = 0; i < config->user_count; i++) {
        if (!check_user(&config->users[i]))
            return false;
    }
    return config->kg_length <= FWR_RMCP_KG_MAX && (config->kg != NULL || config->kg_length == 0) &&
           (config->suite_sha1 || config->suite_sha256) &&
           config->datagram <= FWR_RMCP_DATAGRAM_MAX;
}

/* The slots stand behind the responder, each array aligned for any type. */
static size_t aligned(size_t size)
{
    const size_t unit = alignof(max_align_t);

    return (size + unit - 1) / unit * unit;
}

size_t fwr_rmcp_responder_storage(const struct fwr_rmcp_responder_config *config)
{
    if (!check_config(config))
        return 0;
    return aligned(sizeof(struct fwr_rmcp_responder)) +
           aligned(slots_for_sessions(config) * sizeof(struct fwr_rmcp_active)) +
           aligned(slots_for_logins(config) * sizeof(struct fwr_rmcp_login));
}

int fwr_rmcp_responder_init(struct fwr_rmcp_responder **responder, void *storage, size_t size,
                            const struct fwr_rmcp_responder_config *config)
{
    struct fwr_rmcp_responder *self = storage;
    const size_t needed = fwr_rmcp_responder_storage(config);
    int error;

    *responder = NULL;
    if (needed == 0 || storage == NULL || (uintptr_t)storage % alignof(max_align_t) != 0)
        return FWR_E_ARGUMENT;
    if (size < needed)
        return FWR_E_NO_SPACE;
    memset(storage, 0, needed);
    self->config = config;
    self->active_count = slots_for_sessions(config);
    self->login_count = slots_for_logins(config);
    self->actives = (struct fwr_rmcp_active *)(void *)((uint8_t *)storage +
                                                       aligned(sizeof(struct fwr_rmcp_responder)));
    self->logins = (struct fwr_rmcp_login *)(void *)((uint8_t *)self->actives +
                                                     aligned(self->active_count *
                                                             sizeof(struct fwr_rmcp_active)));
    fwr_rmcp_random_init(&self->random, config->platform);
    error = fwr_rmcp_mac_init(&self->mac);
    if (error == FWR_OK && config->suite_sha256)
        error = fwr_rmcp_mac_probe(&self->mac, fwr_rmcp_suite_by_id(FWR_RMCP_SUITE_SHA256));
    if (error == FWR_OK && config->suite_sha1)
        error = fwr_rmcp_mac_probe(&self->mac, fwr_rmcp_suite_by_id(FWR_RMCP_SUITE_SHA1));
    for (uint8_t i = 0; error == FWR_OK && i < self->active_count; i++)
        error = fwr_rmcp_session_init(&self->actives[i].session);
    if (error != FWR_OK) {
        fwr_rmcp_responder_end(self);
        return error;
    }
    *responder = self;
    return FWR_OK;
}

void fwr_rmcp_responder_end(struct fwr_rmcp_responder *responder)
{
    if (responder == NULL)
        return;
    for (uint8_t i = 0; i < responder->active_count; i++)
        fwr_rmcp_session_free(&responder->actives[i].session);
    fwr_rmcp_mac_free(&responder->mac);
    OPENSSL_cleanse(responder, fwr_rmcp_responder_storage(responder->config));
}

bool fwr_rmcp_same_peer(const struct fwr_rmcp_peer *a, const struct fwr_rmcp_peer *b)
{
    return a->length == b->length && memcmp(a->key, b->key, a->length) == 0;
}

bool fwr_rmcp_is_level(uint8_t privilege)
{
    return privilege >= FWR_PRIVILEGE_USER && privilege <= FWR_PRIVILEGE_ADMIN;
}

/* ---- Answers outside sessions ------------------------------------------------------------- */

void fwr_rmcp_send_outside(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                           enum fwr_rmcp_payload type, size_t length)
{
    fwr_rmcp_prefix_encode(exchange->reply, (uint8_t)type, 0, 0, length);
    *exchange->reply_length = FWR_RMCP_PREFIX_SIZE + length;
    responder->status.counters.sent++;
}

/* A ping is shorter than its pong and its sender may be forged: so there are only so many pongs. */
static bool may_pong(struct fwr_rmcp_responder *responder, uint64_t now)
{
    if (now - responder->pongs_since >= 1000) {
        responder->pongs_since = now;
        responder->pongs = 0;
    }
    if (responder->pongs == FWR_RMCP_PONGS_A_SECOND)
        return false;
    responder->pongs++;
    return true;
}

static int on_ping(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
{
    if (!may_pong(responder, exchange->now))
        return FWR_E_BUSY;
    fwr_rmcp_pong_encode(exchange->reply, exchange->packet.asf_tag);
    *exchange->reply_length = FWR_RMCP_PONG_SIZE;
    responder->status.counters.sent++;
    return FWR_OK;
}

/* Answered in the form it was asked in. */
static int on_sessionless(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
{
    const struct fwr_rmcp_packet *packet = &exchange->packet;
    uint8_t data[FWR_RMCP_ANSWER_MAX];
    struct fwr_rmcp_message message, answer;
    size_t length;
    int error;

    if (packet->session != 0 || packet->encrypted || packet->authenticated)
        return FWR_E_STATE;
    error = fwr_rmcp_message_decode(&message, packet->payload, packet->length);
    if (error == FWR_OK && message.to != FWR_RMCP_ADDRESS_BMC)
        error = FWR_E_MALFORMED;
    if (error != FWR_OK)
        return error;
    answer = fwr_rmcp_message_answer(&message);
    error = fwr_rmcp_answer_anybody(responder->config, &message, data, &answer.length);
    if (error != FWR_OK)
        return error;
    answer.data = data;
    if (packet->class == FWR_RMCP_CLASS_IPMI15) {
        length = fwr_rmcp_message_encode(&answer, exchange->reply + FWR_RMCP_PREFIX15_SIZE);
        fwr_rmcp_prefix15_encode(exchange->reply, length);
        *exchange->reply_length = FWR_RMCP_PREFIX15_SIZE + length;
        responder->status.counters.sent++;
    } else {
        length = fwr_rmcp_message_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE);
        fwr_rmcp_send_outside(responder, exchange, FWR_RMCP_PAYLOAD_IPMI, length);
    }
    return FWR_OK;
}

static int on_outside(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
{
    if (exchange->packet.encrypted || exchange->packet.authenticated)
        return FWR_E_MALFORMED;
    switch (exchange->packet.payload_type) {
    case FWR_RMCP_PAYLOAD_IPMI:
        return on_sessionless(responder, exchange);
    case FWR_RMCP_PAYLOAD_OPEN_REQUEST:
        return fwr_rmcp_login_open(responder, exchange);
    case FWR_RMCP_PAYLOAD_RAKP1:
        return fwr_rmcp_login_rakp1(responder, exchange);
    case FWR_RMCP_PAYLOAD_RAKP3:
        return fwr_rmcp_login_rakp3(responder, exchange);
    default:
        return FWR_E_MALFORMED;
    }
}

int fwr_rmcp_responder_receive(struct fwr_rmcp_responder *responder, uint64_t now,
                               const struct fwr_rmcp_peer *from, uint8_t *datagram, size_t length,
                               struct fwr_rmcp_event *event, uint8_t *reply, size_t reply_size,
                               size_t *reply_length)
{
    struct fwr_rmcp_exchange exchange = {
        .now = now,
        .from = from,
        .datagram = datagram,
        .length = length,
        .event = event,
        .reply = reply,
        .reply_length = reply_length,
    };
    int error;

    memset(event, 0, sizeof(*event));
    *reply_length = 0;
    if (from->length > FWR_RMCP_PEER_MAX)
        return FWR_E_ARGUMENT;
    if (reply_size < FWR_RMCP_DATAGRAM_MAX)
        return FWR_E_NO_SPACE;
    error = fwr_rmcp_packet_decode(&exchange.packet, datagram, length);
    if (error == FWR_OK) {
        if (exchange.packet.class == FWR_RMCP_CLASS_PING)
            error = on_ping(responder, &exchange);
        else if (exchange.packet.class == FWR_RMCP_CLASS_IPMI15)
            error = on_sessionless(responder, &exchange);
        else if (exchange.packet.session == 0)
            error = on_outside(responder, &exchange);
        else
            error = fwr_rmcp_active_receive(responder, &exchange);
    }
    if (error == FWR_OK)
        responder->status.counters.received++;
    else
        responder->status.counters.dropped++;
    return error;
}

/* ---- Time and status ---------------------------------------------------------------------- */

uint64_t fwr_rmcp_responder_next_timeout(const struct fwr_rmcp_responder *responder)
{
    const uint64_t login = fwr_rmcp_login_next_timeout(responder);
    const uint64_t active = fwr_rmcp_active_next_timeout(responder);

    return login < active ? login : active;
}

void fwr_rmcp_responder_timeout(struct fwr_rmcp_responder *responder, uint64_t now,
                                struct fwr_rmcp_event *event)
{
    memset(event, 0, sizeof(*event));
    fwr_rmcp_login_timeout(responder, now);
    fwr_rmcp_active_timeout(responder, now, event);
}

void fwr_rmcp_responder_status(const struct fwr_rmcp_responder *responder,
                               struct fwr_rmcp_responder_status *status)
{
    *status = responder->status;
    status->sessions = fwr_rmcp_active_count(responder);
    status->half_open = fwr_rmcp_login_count(responder);
}
