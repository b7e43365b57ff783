/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Active sessions at the managed end: their slots, the commands answered here, the commands handed
 * up to the caller and the caller's replies to them. Called by responder; login fills the slots.
 * IPMI 2.0 sections 13.25 to 13.29 and 22.17 to 22.19.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "answers.h"
#include "responder.h"

#define DEFAULT_IDLE_MS 60000
#define QUIET_MS        15000

static uint32_t idle_ms(const struct fwr_rmcp_responder *responder)
{
    return responder->config->idle_ms > 0 ? responder->config->idle_ms : DEFAULT_IDLE_MS;
}

static size_t datagram_limit(const struct fwr_rmcp_responder *responder)
{
    const uint16_t configured = responder->config->datagram;

    return configured > 0 ? configured : FWR_RMCP_DATAGRAM_IPV6;
}

/* ---- Slots -------------------------------------------------------------------------------- */

struct fwr_rmcp_active *fwr_rmcp_active_find(struct fwr_rmcp_responder *responder, uint32_t id)
{
    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct fwr_rmcp_active *active = &responder->actives[i];

        if (active->used && active->session.local_id == id)
            return active;
    }
    return NULL;
}

struct fwr_rmcp_active *fwr_rmcp_active_free(struct fwr_rmcp_responder *responder)
{
    for (uint8_t i = 0; i < responder->active_count; i++) {
        if (!responder->actives[i].used)
            return &responder->actives[i];
    }
    return NULL;
}

bool fwr_rmcp_active_expire_quiet(struct fwr_rmcp_responder *responder, uint64_t now)
{
    struct fwr_rmcp_active *quietest = responder->actives;

    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct fwr_rmcp_active *active = &responder->actives[i];

        if (active->expired)
            return true;
        if (active->touched < quietest->touched)
            quietest = active;
    }
    if (now - quietest->touched >= QUIET_MS)
        quietest->expired = true;
    return quietest->expired;
}

uint16_t fwr_rmcp_active_count(const struct fwr_rmcp_responder *responder)
{
    uint16_t count = 0;

    for (uint8_t i = 0; i < responder->active_count; i++)
        count = (uint16_t)(count + responder->actives[i].used);
    return count;
}

/* ---- Log and events ----------------------------------------------------------------------- */

void fwr_rmcp_active_note(const struct fwr_rmcp_responder *responder, const char *what,
                          uint8_t user, int error)
{
    const struct fwr_platform *platform = responder->config->platform;
    const struct fwr_rmcp_user *name = &responder->config->users[user];
    char text[160];

    if (platform->log == NULL)
        return;
    snprintf(text, sizeof(text), "rmcp: session of user %.*s %s%s%s", (int)name->name_length,
             name->name, what, error != FWR_OK ? ": " : "",
             error != FWR_OK ? fwr_error_text(error) : "");
    platform->log(platform->ctx, FWR_LOG_NOTICE, text);
}

void fwr_rmcp_active_event(const struct fwr_rmcp_active *active, enum fwr_rmcp_event_kind kind,
                           struct fwr_rmcp_event *event)
{
    event->kind = kind;
    event->session = active->session.local_id;
    event->user = active->user;
    event->privilege = active->privilege;
    event->suite = active->session.keys.suite->id;
}

/* The only way an active session ends. */
static void end_active(const struct fwr_rmcp_responder *responder, struct fwr_rmcp_active *active,
                       int reason, struct fwr_rmcp_event *event)
{
    const uint8_t user = active->user;
    struct fwr_rmcp_session session = active->session;

    fwr_rmcp_active_event(active, FWR_RMCP_EVENT_CLOSED, event);
    event->reason = reason;
    fwr_rmcp_session_end(&session);
    OPENSSL_cleanse(active, sizeof(*active));
    active->session = session; /* libcrypto's contexts, keys gone */
    fwr_rmcp_active_note(responder, "closed", user,
                         reason != FWR_E_SESSION_CLOSED ? reason : FWR_OK);
}

/* ---- Commands ----------------------------------------------------------------------------- */

static size_t set_privilege(struct fwr_rmcp_active *active, const struct fwr_rmcp_message *message,
                            uint8_t *data)
{
    uint8_t wanted;

    data[0] = FWR_IPMI_CC_OK;
    if (message->length != 1) {
        data[0] = FWR_IPMI_CC_LENGTH;
        return 1;
    }
    wanted = message->data[0] & FWR_RMCP_ROLE_PRIVILEGE;
    if (wanted != 0 && !fwr_rmcp_is_level(wanted))
        data[0] = FWR_IPMI_CC_LEVEL_UNAVAILABLE;
    else if (wanted > active->limit)
        data[0] = FWR_IPMI_CC_LEVEL_TOO_HIGH;
    if (data[0] != FWR_IPMI_CC_OK)
        return 1;
    if (wanted != 0)
        active->privilege = wanted;
    data[1] = active->privilege;
    return 2;
}

/* Nobody closes any session but his own. */
static uint8_t check_close(const struct fwr_rmcp_active *active,
                           const struct fwr_rmcp_message *message)
{
    if (message->length != 4)
        return FWR_IPMI_CC_LENGTH;
    return fwr_rmcp_get32(message->data) == active->session.local_id ? FWR_IPMI_CC_OK
                                                                     : FWR_IPMI_CC_SESSION_ID;
}

/* The commands answered here; *length stays 0 for all others. *closing: the session ends. */
static void answer_own(const struct fwr_rmcp_responder *responder, struct fwr_rmcp_active *active,
                       const struct fwr_rmcp_message *message, uint8_t *data, size_t *length,
                       bool *closing)
{
    if (message->netfn != FWR_IPMI_NETFN_APP)
        return;
    switch (message->command) {
    case FWR_IPMI_GET_DEVICE_ID:
        *length = fwr_rmcp_device_answer(&responder->config->device, data);
        break;
    case FWR_IPMI_SET_PRIVILEGE:
        *length = set_privilege(active, message, data);
        break;
    case FWR_IPMI_CLOSE_SESSION:
        data[0] = check_close(active, message);
        *length = 1;
        *closing = data[0] == FWR_IPMI_CC_OK;
        break;
    default:
        (void)fwr_rmcp_answer_anybody(responder->config, message, data, length);
        break;
    }
}

static void hand_up(const struct fwr_rmcp_active *active, const struct fwr_rmcp_message *message,
                    struct fwr_rmcp_event *event)
{
    fwr_rmcp_active_event(active, FWR_RMCP_EVENT_COMMAND, event);
    event->id.session = active->session.local_id;
    event->id.netfn = message->netfn;
    event->id.lun = message->to_lun;
    event->id.command = message->command;
    event->id.requester = message->from;
    event->id.requester_lun = message->from_lun;
    event->id.sequence = message->sequence;
    event->data = message->data;
    event->length = message->length;
}

static int on_message(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                      struct fwr_rmcp_active *active, const struct fwr_rmcp_message *message)
{
    uint8_t data[FWR_RMCP_ANSWER_MAX];
    struct fwr_rmcp_message answer = fwr_rmcp_message_answer(message);
    bool closing = false;
    int error;

    answer_own(responder, active, message, data, &answer.length, &closing);
    if (answer.length == 0) {
        hand_up(active, message, exchange->event);
        return FWR_OK;
    }
    answer.data = data;
    error =
        fwr_rmcp_session_seal(&active->session, &responder->random, &answer, FWR_RMCP_DATAGRAM_MAX,
                              exchange->reply, FWR_RMCP_DATAGRAM_MAX, exchange->reply_length);
    if (error == FWR_OK)
        responder->status.counters.sent++;
    if (closing)
        end_active(responder, active, FWR_E_SESSION_CLOSED, exchange->event);
    return closing ? FWR_OK : error;
}

int fwr_rmcp_active_receive(struct fwr_rmcp_responder *responder,
                            struct fwr_rmcp_exchange *exchange)
{
    struct fwr_rmcp_active *active = fwr_rmcp_active_find(responder, exchange->packet.session);
    struct fwr_rmcp_message message;
    int error;

    if (active == NULL || !fwr_rmcp_same_peer(&active->peer, exchange->from))
        return FWR_E_SESSION_CLOSED;
    error = fwr_rmcp_session_open(&active->session, &exchange->packet, exchange->datagram,
                                  exchange->length, &message, &responder->status.counters);
    if (error != FWR_OK)
        return error;
    active->touched = exchange->now;
    active->spoken = true;
    if (message.to != FWR_RMCP_ADDRESS_BMC || (message.netfn & 1) != 0)
        return FWR_E_MALFORMED;
    return on_message(responder, exchange, active, &message);
}

int fwr_rmcp_responder_reply(struct fwr_rmcp_responder *responder, uint64_t now,
                             const struct fwr_rmcp_command_id *id, const uint8_t *reply,
                             size_t length, struct fwr_rmcp_peer *to, uint8_t *buffer, size_t size,
                             size_t *datagram_length)
{
    struct fwr_rmcp_active *active = fwr_rmcp_active_find(responder, id->session);
    const struct fwr_rmcp_message message = {
        .to = id->requester,
        .netfn = id->netfn | 1,
        .to_lun = id->requester_lun,
        .from = FWR_RMCP_ADDRESS_BMC,
        .sequence = id->sequence,
        .from_lun = id->lun,
        .command = id->command,
        .data = reply,
        .length = length,
    };
    int error;

    *datagram_length = 0;
    if (active == NULL)
        return FWR_E_SESSION_CLOSED;
    if (length < 1)
        return FWR_E_LENGTH;
    error = fwr_rmcp_session_seal(&active->session, &responder->random, &message,
                                  datagram_limit(responder), buffer, size, datagram_length);
    if (error != FWR_OK)
        return error;
    active->touched = now; /* slow work for a quiet peer is not idleness */
    responder->status.counters.sent++;
    if (to != NULL)
        *to = active->peer;
    return FWR_OK;
}

/* ---- Time --------------------------------------------------------------------------------- */

static uint64_t deadline_of(const struct fwr_rmcp_responder *responder,
                            const struct fwr_rmcp_active *active)
{
    return active->expired ? active->touched : active->touched + idle_ms(responder);
}

uint64_t fwr_rmcp_active_next_timeout(const struct fwr_rmcp_responder *responder)
{
    uint64_t next = FWR_NEVER;

    for (uint8_t i = 0; i < responder->active_count; i++) {
        const struct fwr_rmcp_active *active = &responder->actives[i];

        if (active->used && deadline_of(responder, active) < next)
            next = deadline_of(responder, active);
    }
    return next;
}

void fwr_rmcp_active_timeout(struct fwr_rmcp_responder *responder, uint64_t now,
                             struct fwr_rmcp_event *event)
{
    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct fwr_rmcp_active *active = &responder->actives[i];

        if (active->used && now >= deadline_of(responder, active)) {
            end_active(responder, active, FWR_E_TIMEOUT, event);
            return;
        }
    }
}
