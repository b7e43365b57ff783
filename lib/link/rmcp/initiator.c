/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console's end of an RMCP+ session: the handshake with its repetitions, then requests
 * matched with their responses. Called by whoever owns the socket; never repeats a command by
 * itself, never reads a clock. IPMI 2.0 sections 13.14 to 13.23.
 */
#include <assert.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "crypto.h"
#include "packet.h"
#include "session.h"

#define SEQUENCES            64 /* 6 bits in an IPMI message */
#define REST_MS              4000
#define DEFAULT_ATTEMPTS     5
#define DEFAULT_TIMEOUT      500
#define TIMEOUT_MAX          8000
#define MEASURED_TRIPS       8   /* round trips, until a repetition in the same handshake */
#define MEASURED_MIN         100 /* ms: a busy single-threaded BMC may need this long */
#define TRIES_BEFORE_RESTART 2

/* Where a handshake stands: what was sent last. */
enum step {
    STEP_NONE,
    STEP_OPEN,
    STEP_RAKP1,
    STEP_RAKP3,
    STEP_PRIVILEGE,
};

enum slot_state {
    SLOT_FREE,
    SLOT_WAITING, /* for its response */
    SLOT_RESTING, /* forgotten: a late response may still come */
};

struct slot {
    uint64_t token;
    uint64_t rest_until;
    uint8_t state; /* enum slot_state */
    uint8_t netfn;
    uint8_t command;
};

struct fwr_rmcp_initiator {
    const struct fwr_rmcp_initiator_config *config;
    const struct fwr_rmcp_suite *suite;
    enum fwr_rmcp_state state;
    enum step step;
    int error;
    uint8_t peer_code;

    uint8_t tag;      /* of the handshake message last sent */
    bool due;         /* next_send has something to build */
    bool parting;     /* FAILED: tell the peer with a last RAKP 3 */
    uint8_t tries;    /* of this step, without an answer */
    uint8_t restarts; /* of this handshake */
    uint64_t sent_at; /* of this step's first datagram */
    uint64_t deadline;
    uint32_t round_trip;

    struct fwr_rmcp_rakp rakp;
    uint8_t sik[FWR_RMCP_DIGEST_MAX];
    struct fwr_rmcp_session session;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_random random;

    uint8_t next_slot;
    uint8_t outstanding;
    uint8_t privilege_sequence;
    struct slot slots[SEQUENCES];
    struct fwr_rmcp_counters counters;
};

size_t fwr_rmcp_initiator_storage(void)
{
    return sizeof(struct fwr_rmcp_initiator);
}

static uint8_t window(const struct fwr_rmcp_initiator *initiator)
{
    const uint8_t configured = initiator->config->window;

    return configured > 0 ? configured : FWR_RMCP_WINDOW_MAX;
}

static size_t datagram_limit(const struct fwr_rmcp_initiator *initiator)
{
    const uint16_t configured = initiator->config->datagram;

    return configured > 0 ? configured : FWR_RMCP_DATAGRAM_IPV6;
}

static uint8_t privilege(const struct fwr_rmcp_initiator *initiator)
{
    const uint8_t configured = initiator->config->privilege;

    return configured > 0 ? configured : FWR_PRIVILEGE_USER;
}

static uint8_t attempts(const struct fwr_rmcp_initiator *initiator)
{
    const uint8_t configured = initiator->config->attempts;

    return configured > 0 ? configured : DEFAULT_ATTEMPTS;
}

static void note(const struct fwr_rmcp_initiator *initiator, enum fwr_log_level level,
                 const char *text)
{
    const struct fwr_platform *platform = initiator->config->platform;

    if (platform->log != NULL)
        platform->log(platform->ctx, level, text);
}

static int check_config(const struct fwr_rmcp_initiator_config *config)
{
    if (config == NULL || config->size != sizeof(*config) || config->platform == NULL ||
        config->platform->random == NULL)
        return FWR_E_ARGUMENT;
    if (config->user == NULL || config->user_length < 1 || config->user_length > FWR_RMCP_USER_MAX)
        return FWR_E_ARGUMENT;
    if (config->password == NULL || config->password_length < 1 ||
        config->password_length > FWR_RMCP_PASSWORD_MAX)
        return FWR_E_ARGUMENT;
    if (config->kg_length > FWR_RMCP_KG_MAX || (config->kg == NULL && config->kg_length > 0))
        return FWR_E_ARGUMENT;
    if (config->privilege != 0 &&
        (config->privilege < FWR_PRIVILEGE_USER || config->privilege > FWR_PRIVILEGE_ADMIN))
        return FWR_E_ARGUMENT;
    if (config->window > FWR_RMCP_WINDOW_MAX || config->datagram > FWR_RMCP_DATAGRAM_MAX)
        return FWR_E_ARGUMENT;
    if (config->suite != 0 && fwr_rmcp_suite_by_id(config->suite) == NULL)
        return FWR_E_ARGUMENT;
    return FWR_OK;
}

int fwr_rmcp_initiator_init(struct fwr_rmcp_initiator **initiator, void *storage, size_t size,
                            const struct fwr_rmcp_initiator_config *config)
{
    struct fwr_rmcp_initiator *self = storage;
    int error = check_config(config);

    *initiator = NULL;
    if (error != FWR_OK)
        return error;
    if (storage == NULL || (uintptr_t)storage % alignof(struct fwr_rmcp_initiator) != 0)
        return FWR_E_ARGUMENT;
    if (size < sizeof(*self))
        return FWR_E_NO_SPACE;
    memset(self, 0, sizeof(*self));
    self->config = config;
    self->suite = fwr_rmcp_suite_by_id(config->suite != 0 ? config->suite : FWR_RMCP_SUITE_SHA256);
    self->deadline = FWR_NEVER;
    fwr_rmcp_random_init(&self->random, config->platform);
    error = fwr_rmcp_mac_init(&self->mac);
    if (error == FWR_OK)
        error = fwr_rmcp_mac_probe(&self->mac, self->suite);
    if (error == FWR_OK)
        error = fwr_rmcp_session_init(&self->session);
    if (error != FWR_OK) {
        fwr_rmcp_mac_free(&self->mac);
        return error;
    }
    *initiator = self;
    return FWR_OK;
}

void fwr_rmcp_initiator_end(struct fwr_rmcp_initiator *initiator)
{
    if (initiator == NULL)
        return;
    fwr_rmcp_session_free(&initiator->session);
    fwr_rmcp_mac_free(&initiator->mac);
    OPENSSL_cleanse(initiator, sizeof(*initiator));
}

/* The only way out of OPENING and ACTIVE. */
static void leave(struct fwr_rmcp_initiator *initiator, enum fwr_rmcp_state state, int error)
{
    initiator->state = state;
    initiator->error = error;
    initiator->step = STEP_NONE;
    initiator->due = false;
    initiator->deadline = FWR_NEVER;
    initiator->outstanding = 0;
    memset(initiator->slots, 0, sizeof(initiator->slots));
    OPENSSL_cleanse(initiator->sik, sizeof(initiator->sik));
    OPENSSL_cleanse(&initiator->rakp, sizeof(initiator->rakp));
    fwr_rmcp_mac_wipe(&initiator->mac);
    fwr_rmcp_session_end(&initiator->session);
}

static void fail(struct fwr_rmcp_initiator *initiator, int error)
{
    char text[160];

    leave(initiator, FWR_RMCP_FAILED, error);
    snprintf(text, sizeof(text), "rmcp: no session: %s (peer code %02x)", fwr_error_text(error),
             initiator->peer_code);
    note(initiator, FWR_LOG_NOTICE, text);
}

static void enter(struct fwr_rmcp_initiator *initiator, enum step step, uint64_t now)
{
    initiator->step = step;
    initiator->tag++;
    initiator->tries = 0;
    initiator->due = true;
    initiator->sent_at = now;
}

/* Begins a handshake with ids and a random number never used before. */
static int begin(struct fwr_rmcp_initiator *initiator, uint64_t now)
{
    const struct fwr_rmcp_initiator_config *config = initiator->config;
    struct fwr_rmcp_rakp *rakp = &initiator->rakp;
    uint8_t id[4];
    int error;

    memset(rakp, 0, sizeof(*rakp));
    do {
        error = fwr_rmcp_random_draw(&initiator->random, id, sizeof(id));
        rakp->console = fwr_rmcp_get32(id);
    } while (error == FWR_OK && rakp->console == 0);
    if (error == FWR_OK)
        error = fwr_rmcp_random_draw(&initiator->random, rakp->console_random,
                                     sizeof(rakp->console_random));
    if (error == FWR_OK)
        error = fwr_rmcp_random_draw(&initiator->random, &initiator->tag, 1);
    if (error != FWR_OK)
        return error;
    rakp->suite = initiator->suite;
    rakp->role = privilege(initiator) | FWR_RMCP_ROLE_NAME_ONLY;
    rakp->user = (const uint8_t *)config->user;
    rakp->user_length = config->user_length;
    rakp->password = config->password;
    rakp->password_length = config->password_length;
    rakp->kg = config->kg;
    rakp->kg_length = config->kg_length;
    enter(initiator, STEP_OPEN, now);
    return FWR_OK;
}

int fwr_rmcp_initiator_start(struct fwr_rmcp_initiator *initiator, uint64_t now)
{
    int error;

    if (initiator->state == FWR_RMCP_OPENING || initiator->state == FWR_RMCP_ACTIVE)
        return FWR_E_STATE;
    error = begin(initiator, now);
    if (error != FWR_OK)
        return error;
    initiator->state = FWR_RMCP_OPENING;
    initiator->error = FWR_OK;
    initiator->peer_code = 0;
    initiator->parting = false;
    initiator->restarts = 0;
    initiator->round_trip = 0;
    return FWR_OK;
}

/* A half-open session may have been pushed out, or the peer may believe the handshake done:
 * only a new one helps. Bounded, else a peer that answers nothing but Open Session would keep
 * us busy for ever. */
static void restart(struct fwr_rmcp_initiator *initiator, uint64_t now, int reason)
{
    int error;

    if (++initiator->restarts >= attempts(initiator)) {
        fail(initiator, reason);
        return;
    }
    fwr_rmcp_session_end(&initiator->session);
    error = begin(initiator, now);
    if (error != FWR_OK)
        fail(initiator, error);
}

/* ---- Requests and sequence numbers -------------------------------------------------------- */

/* The sequence number that was used longest ago, so that a late answer meets no newcomer. */
static int take_slot(struct fwr_rmcp_initiator *initiator, uint64_t now, uint8_t *sequence)
{
    for (uint8_t i = 0; i < SEQUENCES; i++) {
        const uint8_t candidate = (uint8_t)((initiator->next_slot + i) % SEQUENCES);
        const struct slot *slot = &initiator->slots[candidate];

        if (slot->state == SLOT_FREE || (slot->state == SLOT_RESTING && now >= slot->rest_until)) {
            initiator->next_slot = (uint8_t)((candidate + 1) % SEQUENCES);
            *sequence = candidate;
            return FWR_OK;
        }
    }
    return FWR_E_BUSY;
}

static int seal_request(struct fwr_rmcp_initiator *initiator, uint64_t now,
                        const struct fwr_rmcp_request *request, uint8_t *buffer, size_t size,
                        size_t *length, uint8_t *sequence)
{
    struct fwr_rmcp_message message = {
        .to = FWR_RMCP_ADDRESS_BMC,
        .netfn = request->netfn,
        .to_lun = request->lun,
        .from = FWR_RMCP_ADDRESS_CONSOLE,
        .command = request->command,
        .data = request->data,
        .length = request->length,
    };
    int error = take_slot(initiator, now, sequence);

    if (error != FWR_OK)
        return error;
    message.sequence = *sequence;
    error = fwr_rmcp_session_seal(&initiator->session, &initiator->random, &message,
                                  datagram_limit(initiator), buffer, size, length);
    if (error == FWR_OK)
        initiator->counters.sent++;
    return error;
}

int fwr_rmcp_initiator_request(struct fwr_rmcp_initiator *initiator, uint64_t now,
                               const struct fwr_rmcp_request *request, uint64_t token,
                               uint8_t *buffer, size_t size, size_t *length)
{
    uint8_t sequence;
    struct slot *slot;
    int error;

    *length = 0;
    if (initiator->state != FWR_RMCP_ACTIVE)
        return FWR_E_STATE;
    if ((request->netfn & 1) != 0 || request->netfn > 0x3f || request->lun > 3 ||
        (request->data == NULL && request->length > 0))
        return FWR_E_ARGUMENT;
    if (initiator->outstanding >= window(initiator))
        return FWR_E_BUSY;
    error = seal_request(initiator, now, request, buffer, size, length, &sequence);
    if (error != FWR_OK)
        return error;
    slot = &initiator->slots[sequence];
    slot->state = SLOT_WAITING;
    slot->token = token;
    slot->netfn = request->netfn;
    slot->command = request->command;
    initiator->outstanding++;
    return FWR_OK;
}

int fwr_rmcp_initiator_forget(struct fwr_rmcp_initiator *initiator, uint64_t now, uint64_t token)
{
    for (size_t i = 0; i < SEQUENCES; i++) {
        struct slot *slot = &initiator->slots[i];

        if (slot->state == SLOT_WAITING && slot->token == token) {
            slot->state = SLOT_RESTING;
            slot->rest_until = now + REST_MS;
            initiator->outstanding--;
            return FWR_OK;
        }
    }
    return FWR_E_NOT_FOUND;
}

int fwr_rmcp_initiator_close(struct fwr_rmcp_initiator *initiator, uint8_t *buffer, size_t size,
                             size_t *length)
{
    uint8_t id[4];
    uint8_t sequence;
    const struct fwr_rmcp_request request = {
        .netfn = FWR_IPMI_NETFN_APP,
        .command = FWR_IPMI_CLOSE_SESSION,
        .data = id,
        .length = sizeof(id),
    };
    int error = FWR_OK;

    *length = 0;
    if (initiator->state == FWR_RMCP_ACTIVE && buffer != NULL) {
        fwr_rmcp_put32(id, initiator->session.peer_id);
        /* Nobody waits for the answer, so a resting number does as well as any. */
        error = seal_request(initiator, FWR_NEVER, &request, buffer, size, length, &sequence);
    }
    leave(initiator, FWR_RMCP_CLOSED, FWR_OK);
    return error;
}

/* ---- Handshake, outgoing ------------------------------------------------------------------ */

static size_t build_open(struct fwr_rmcp_initiator *initiator, uint8_t *at)
{
    const struct fwr_rmcp_open_request open = {
        .tag = initiator->tag,
        .privilege = privilege(initiator),
        .console = initiator->rakp.console,
        .algorithms = initiator->suite->algorithms,
    };

    return fwr_rmcp_open_request_encode(&open, at);
}

static size_t build_rakp1(struct fwr_rmcp_initiator *initiator, uint8_t *at)
{
    const struct fwr_rmcp_rakp *rakp = &initiator->rakp;
    struct fwr_rmcp_rakp1 message = {
        .tag = initiator->tag,
        .managed = rakp->managed,
        .role = rakp->role,
        .user_length = rakp->user_length,
    };

    memcpy(message.random, rakp->console_random, sizeof(message.random));
    memcpy(message.user, rakp->user, rakp->user_length);
    return fwr_rmcp_rakp1_encode(&message, at);
}

static int build_rakp3(struct fwr_rmcp_initiator *initiator, uint8_t *at, size_t *length)
{
    struct fwr_rmcp_rakp34 message = {
        .tag = initiator->tag,
        .session = initiator->rakp.managed,
        .check_length = initiator->suite->digest_size,
    };
    const int error = fwr_rmcp_rakp3_code(&initiator->mac, &initiator->rakp, message.check);

    if (error == FWR_OK)
        *length = fwr_rmcp_rakp34_encode(&message, at);
    return error;
}

static int build_privilege(struct fwr_rmcp_initiator *initiator, uint64_t now, uint8_t *buffer,
                           size_t size, size_t *length)
{
    const uint8_t level = privilege(initiator);
    const struct fwr_rmcp_request request = {
        .netfn = FWR_IPMI_NETFN_APP,
        .command = FWR_IPMI_SET_PRIVILEGE,
        .data = &level,
        .length = 1,
    };

    return seal_request(initiator, now, &request, buffer, size, length,
                        &initiator->privilege_sequence);
}

/* Tells a peer whose proof was wrong that this handshake is over, so that it need not wait. */
static size_t build_parting(struct fwr_rmcp_initiator *initiator, uint8_t *at)
{
    const struct fwr_rmcp_rakp34 message = {
        .tag = initiator->tag,
        .code = FWR_RMCP_CODE_INTEGRITY_CHECK,
        .session = initiator->rakp.managed,
    };

    return fwr_rmcp_rakp34_encode(&message, at);
}

static int build_step(struct fwr_rmcp_initiator *initiator, uint64_t now, uint8_t *buffer,
                      size_t size, size_t *length)
{
    uint8_t *at = buffer + FWR_RMCP_PREFIX_SIZE;
    uint8_t type = FWR_RMCP_PAYLOAD_RAKP3;
    size_t payload = 0;
    int error = FWR_OK;

    switch (initiator->step) {
    case STEP_OPEN:
        type = FWR_RMCP_PAYLOAD_OPEN_REQUEST;
        payload = build_open(initiator, at);
        break;
    case STEP_RAKP1:
        type = FWR_RMCP_PAYLOAD_RAKP1;
        payload = build_rakp1(initiator, at);
        break;
    case STEP_RAKP3:
        error = build_rakp3(initiator, at, &payload);
        break;
    case STEP_PRIVILEGE:
        return build_privilege(initiator, now, buffer, size, length);
    case STEP_NONE:
        payload = build_parting(initiator, at);
        break;
    }
    if (error != FWR_OK)
        return error;
    fwr_rmcp_prefix_encode(buffer, type, 0, 0, payload);
    initiator->counters.sent++;
    *length = FWR_RMCP_PREFIX_SIZE + payload;
    return FWR_OK;
}

/* Doubles with every try, spread by a quarter either way: machines that fail together must
 * not come back together. */
static uint64_t patience(struct fwr_rmcp_initiator *initiator)
{
    const uint16_t configured = initiator->config->first_timeout;
    uint32_t first = configured > 0 ? configured : DEFAULT_TIMEOUT;
    uint32_t measured = initiator->round_trip * MEASURED_TRIPS;
    uint64_t wait;
    uint8_t jitter = 128;

    if (measured < MEASURED_MIN)
        measured = MEASURED_MIN;
    /* A peer that was heard of is waited for as long as it needs, not as anybody might. */
    if (initiator->round_trip > 0 && measured < first)
        first = measured;
    wait = (uint64_t)first << initiator->tries;
    if (wait > TIMEOUT_MAX)
        wait = TIMEOUT_MAX;
    (void)fwr_rmcp_random_draw(&initiator->random, &jitter, 1);
    return wait - wait / 4 + wait * jitter / 512;
}

int fwr_rmcp_initiator_next_send(struct fwr_rmcp_initiator *initiator, uint64_t now,
                                 uint8_t *buffer, size_t size, size_t *length)
{
    int error;

    *length = 0;
    if (!initiator->due && !initiator->parting)
        return FWR_OK;
    if (size < FWR_RMCP_PREFIX_SIZE + FWR_RMCP_HANDSHAKE_MAX + FWR_RMCP_BLOCK)
        return FWR_E_NO_SPACE;
    error = build_step(initiator, now, buffer, size, length);
    if (initiator->parting) {
        initiator->parting = false;
        OPENSSL_cleanse(&initiator->rakp, sizeof(initiator->rakp));
        return error;
    }
    initiator->due = false;
    if (error != FWR_OK) {
        fail(initiator, error);
        return error;
    }
    initiator->deadline = now + patience(initiator);
    return FWR_OK;
}

uint64_t fwr_rmcp_initiator_next_timeout(const struct fwr_rmcp_initiator *initiator)
{
    return initiator->deadline;
}

void fwr_rmcp_initiator_timeout(struct fwr_rmcp_initiator *initiator, uint64_t now)
{
    if (initiator->state != FWR_RMCP_OPENING || now < initiator->deadline)
        return;
    initiator->deadline = FWR_NEVER;
    initiator->tries++;
    if (initiator->step != STEP_OPEN && initiator->tries >= TRIES_BEFORE_RESTART)
        restart(initiator, now, FWR_E_TIMEOUT);
    else if (initiator->tries >= attempts(initiator))
        fail(initiator, FWR_E_TIMEOUT);
    else
        initiator->due = true;
}

/* ---- Handshake, incoming ------------------------------------------------------------------ */

static int error_of_code(uint8_t code)
{
    switch (code) {
    case FWR_RMCP_CODE_RESOURCES:
    case FWR_RMCP_CODE_ROLE_RESOURCES:
        return FWR_E_SESSION_FULL;
    case FWR_RMCP_CODE_AUTH_ALGORITHM:
    case FWR_RMCP_CODE_INTEGRITY_ALGORITHM:
    case FWR_RMCP_CODE_AUTH_PAYLOAD:
    case FWR_RMCP_CODE_INTEGRITY_PAYLOAD:
    case FWR_RMCP_CODE_CONFIDENTIALITY_ALGORITHM:
    case FWR_RMCP_CODE_SUITE:
        return FWR_E_SESSION_SUITE;
    case FWR_RMCP_CODE_ROLE:
    case FWR_RMCP_CODE_PRIVILEGE:
        return FWR_E_SESSION_PRIVILEGE;
    case FWR_RMCP_CODE_NAME_LENGTH:
    case FWR_RMCP_CODE_NAME:
        return FWR_E_SESSION_USER;
    case FWR_RMCP_CODE_INTEGRITY_CHECK:
        return FWR_E_SESSION_AUTH;
    default:
        return FWR_E_SESSION_REFUSED;
    }
}

/* The peer answered with a code instead of the next step. */
static void refused(struct fwr_rmcp_initiator *initiator, uint64_t now, uint8_t code)
{
    initiator->peer_code = code;
    if (code == FWR_RMCP_CODE_SESSION_ID)
        restart(initiator, now, FWR_E_SESSION_REFUSED);
    else
        fail(initiator, error_of_code(code));
}

static void answered(struct fwr_rmcp_initiator *initiator, uint64_t now)
{
    initiator->deadline = FWR_NEVER;
    if (initiator->round_trip == 0 && initiator->tries == 0)
        initiator->round_trip = (uint32_t)(now > initiator->sent_at ? now - initiator->sent_at : 1);
}

static int on_open_response(struct fwr_rmcp_initiator *initiator, uint64_t now,
                            const struct fwr_rmcp_packet *packet)
{
    const struct fwr_rmcp_algorithms *ours = &initiator->suite->algorithms;
    struct fwr_rmcp_open_response open;
    int error = fwr_rmcp_open_response_decode(&open, packet->payload, packet->length);

    if (error != FWR_OK)
        return error;
    if (open.tag != initiator->tag || (!open.bare && open.console != initiator->rakp.console))
        return FWR_E_STALE;
    if (open.code == FWR_RMCP_CODE_OK && open.managed == 0)
        return FWR_E_MALFORMED;
    answered(initiator, now);
    if (open.code != FWR_RMCP_CODE_OK) {
        refused(initiator, now, open.code);
    } else if (open.algorithms.authentication != ours->authentication ||
               open.algorithms.integrity != ours->integrity ||
               open.algorithms.confidentiality != ours->confidentiality) {
        fail(initiator, FWR_E_SESSION_SUITE);
    } else {
        initiator->rakp.managed = open.managed;
        enter(initiator, STEP_RAKP1, now);
    }
    return FWR_OK;
}

/* Fails because the peer's proof is wrong, and lets it know. */
static void reject_proof(struct fwr_rmcp_initiator *initiator, int error)
{
    const uint32_t managed = initiator->rakp.managed;

    fail(initiator, error);
    initiator->rakp.managed = managed;
    initiator->tag++;
    initiator->parting = true;
}

static int on_rakp2(struct fwr_rmcp_initiator *initiator, uint64_t now,
                    const struct fwr_rmcp_packet *packet)
{
    const struct fwr_rmcp_suite *suite = initiator->suite;
    struct fwr_rmcp_rakp *rakp = &initiator->rakp;
    struct fwr_rmcp_rakp2 message;
    uint8_t expected[FWR_RMCP_DIGEST_MAX];
    int error = fwr_rmcp_rakp2_decode(&message, packet->payload, packet->length);

    if (error != FWR_OK)
        return error;
    if (message.tag != initiator->tag || message.console != rakp->console)
        return FWR_E_STALE;
    if (message.code == FWR_RMCP_CODE_OK && message.check_length != suite->digest_size)
        return FWR_E_MALFORMED;
    answered(initiator, now);
    if (message.code != FWR_RMCP_CODE_OK) {
        refused(initiator, now, message.code);
        return FWR_OK;
    }
    memcpy(rakp->managed_random, message.random, sizeof(message.random));
    memcpy(rakp->guid, message.guid, sizeof(message.guid));
    error = fwr_rmcp_rakp2_code(&initiator->mac, rakp, expected);
    if (error != FWR_OK)
        fail(initiator, error);
    else if (CRYPTO_memcmp(expected, message.check, suite->digest_size) != 0)
        reject_proof(initiator, FWR_E_SESSION_AUTH);
    else
        enter(initiator, STEP_RAKP3, now);
    OPENSSL_cleanse(expected, sizeof(expected));
    return FWR_OK;
}

static int on_rakp4(struct fwr_rmcp_initiator *initiator, uint64_t now,
                    const struct fwr_rmcp_packet *packet)
{
    const struct fwr_rmcp_suite *suite = initiator->suite;
    const struct fwr_rmcp_rakp *rakp = &initiator->rakp;
    struct fwr_rmcp_rakp34 message;
    uint8_t expected[FWR_RMCP_DIGEST_MAX];
    int error = fwr_rmcp_rakp34_decode(&message, packet->payload, packet->length);

    if (error != FWR_OK)
        return error;
    if (message.tag != initiator->tag || message.session != rakp->console)
        return FWR_E_STALE;
    if (message.code == FWR_RMCP_CODE_OK && message.check_length != suite->check_size)
        return FWR_E_MALFORMED;
    answered(initiator, now);
    if (message.code != FWR_RMCP_CODE_OK) {
        refused(initiator, now, message.code);
        return FWR_OK;
    }
    error = fwr_rmcp_rakp_sik(&initiator->mac, rakp, initiator->sik);
    if (error == FWR_OK)
        error = fwr_rmcp_rakp4_code(&initiator->mac, rakp, initiator->sik, expected);
    /* RAKP 2 proved the password, so only the BMC key can differ. */
    if (error == FWR_OK && CRYPTO_memcmp(expected, message.check, suite->check_size) != 0)
        error = FWR_E_SESSION_KG;
    if (error == FWR_OK)
        error = fwr_rmcp_session_begin(&initiator->session, &initiator->mac, suite, initiator->sik,
                                       rakp->console, rakp->managed);
    OPENSSL_cleanse(expected, sizeof(expected));
    OPENSSL_cleanse(initiator->sik, sizeof(initiator->sik));
    if (error != FWR_OK)
        fail(initiator, error);
    else
        enter(initiator, STEP_PRIVILEGE, now);
    return FWR_OK;
}

static int on_handshake(struct fwr_rmcp_initiator *initiator, uint64_t now,
                        const struct fwr_rmcp_packet *packet)
{
    if (packet->encrypted || packet->authenticated)
        return FWR_E_MALFORMED;
    if (initiator->step == STEP_OPEN && packet->payload_type == FWR_RMCP_PAYLOAD_OPEN_RESPONSE)
        return on_open_response(initiator, now, packet);
    if (initiator->step == STEP_RAKP1 && packet->payload_type == FWR_RMCP_PAYLOAD_RAKP2)
        return on_rakp2(initiator, now, packet);
    if (initiator->step == STEP_RAKP3 && packet->payload_type == FWR_RMCP_PAYLOAD_RAKP4)
        return on_rakp4(initiator, now, packet);
    return FWR_E_STATE;
}

/* ---- Session, incoming -------------------------------------------------------------------- */

static int on_privilege(struct fwr_rmcp_initiator *initiator, uint64_t now,
                        const struct fwr_rmcp_message *message)
{
    if (message->netfn != (FWR_IPMI_NETFN_APP | 1) || message->command != FWR_IPMI_SET_PRIVILEGE ||
        message->sequence != initiator->privilege_sequence)
        return FWR_E_STALE;
    answered(initiator, now);
    initiator->peer_code = message->data[0];
    if (message->data[0] != 0 || message->length < 2 ||
        (message->data[1] & FWR_RMCP_ROLE_PRIVILEGE) < privilege(initiator)) {
        fail(initiator, FWR_E_SESSION_PRIVILEGE);
        return FWR_OK;
    }
    initiator->state = FWR_RMCP_ACTIVE;
    initiator->step = STEP_NONE;
    initiator->due = false;
    OPENSSL_cleanse(&initiator->rakp, sizeof(initiator->rakp));
    fwr_rmcp_mac_wipe(&initiator->mac);
    note(initiator, FWR_LOG_DEBUG, "rmcp: session open");
    return FWR_OK;
}

static int on_response(struct fwr_rmcp_initiator *initiator, const struct fwr_rmcp_message *message,
                       struct fwr_rmcp_response *response)
{
    struct slot *slot = &initiator->slots[message->sequence];

    if (slot->state != SLOT_WAITING || message->netfn != (slot->netfn | 1) ||
        message->command != slot->command)
        return FWR_E_STALE;
    slot->state = SLOT_FREE;
    initiator->outstanding--;
    response->kind = FWR_RMCP_EVENT_RESPONSE;
    response->token = slot->token;
    response->netfn = slot->netfn;
    response->command = slot->command;
    response->reply = message->data;
    response->length = message->length;
    return FWR_OK;
}

static int on_session(struct fwr_rmcp_initiator *initiator, uint64_t now,
                      const struct fwr_rmcp_packet *packet, uint8_t *datagram, size_t length,
                      struct fwr_rmcp_response *response)
{
    struct fwr_rmcp_message message;
    int error;

    if (initiator->state != FWR_RMCP_ACTIVE && initiator->step != STEP_PRIVILEGE)
        return FWR_E_STATE;
    if (packet->session != initiator->session.local_id)
        return FWR_E_STALE;
    error = fwr_rmcp_session_open(&initiator->session, packet, datagram, length, &message,
                                  &initiator->counters);
    if (error != FWR_OK)
        return error;
    if (message.to != FWR_RMCP_ADDRESS_CONSOLE || message.length < 1)
        return FWR_E_MALFORMED;
    if (initiator->step == STEP_PRIVILEGE)
        return on_privilege(initiator, now, &message);
    return on_response(initiator, &message, response);
}

int fwr_rmcp_initiator_receive(struct fwr_rmcp_initiator *initiator, uint64_t now,
                               uint8_t *datagram, size_t length, struct fwr_rmcp_response *response)
{
    const enum fwr_rmcp_state before = initiator->state;
    struct fwr_rmcp_packet packet;
    int error = fwr_rmcp_packet_decode(&packet, datagram, length);

    memset(response, 0, sizeof(*response));
    if (error == FWR_OK && packet.class != FWR_RMCP_CLASS_IPMI20)
        error = FWR_E_STATE;
    if (error == FWR_OK) {
        error = packet.session == 0
                    ? on_handshake(initiator, now, &packet)
                    : on_session(initiator, now, &packet, datagram, length, response);
    }
    if (error != FWR_OK) {
        initiator->counters.dropped++;
        return error;
    }
    initiator->counters.received++;
    if (initiator->state != before) {
        response->kind =
            initiator->state == FWR_RMCP_ACTIVE ? FWR_RMCP_EVENT_OPENED : FWR_RMCP_EVENT_CLOSED;
        response->reason = initiator->error;
    }
    return FWR_OK;
}

void fwr_rmcp_initiator_status(const struct fwr_rmcp_initiator *initiator,
                               struct fwr_rmcp_initiator_status *status)
{
    memset(status, 0, sizeof(*status));
    status->state = initiator->state;
    status->error = initiator->error;
    status->peer_code = initiator->peer_code;
    status->outstanding = initiator->outstanding;
    status->window = window(initiator);
    status->round_trip_ms = initiator->round_trip;
    status->max_request = fwr_rmcp_max_request(initiator->suite->id, datagram_limit(initiator));
    status->counters = initiator->counters;
}
