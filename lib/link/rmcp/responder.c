/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The managed end of RMCP+ sessions: presence pings, log-ins, and commands of active sessions
 * handed up to the caller. Log-ins and active sessions have slots of their own, so a flood of
 * unfinished log-ins cannot take a session from anybody. Called by whoever owns the socket;
 * never reads a clock. IPMI 2.0 sections 13.14 to 13.23.
 */
#include <assert.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "answers.h"
#include "crypto.h"
#include "packet.h"
#include "session.h"

#define DEFAULT_SESSIONS     8
#define DEFAULT_HALF_OPEN    32
#define DEFAULT_IDLE_MS      60000
#define DEFAULT_HANDSHAKE_MS 5000
#define USERS_MAX            63
#define REFUSAL_LOG_MS       1000
#define QUIET_MS             15000

enum login_stage {
    LOGIN_FREE,
    LOGIN_OPENED, /* Open Session answered */
    LOGIN_PROVEN, /* RAKP 1 answered: the user is known */
};

/* A handshake on its way. */
struct login {
    uint8_t stage; /* enum login_stage */
    uint8_t privilege;
    uint8_t user;
    struct fwr_rmcp_peer peer;
    uint64_t began;
    uint64_t touched;
    struct fwr_rmcp_rakp rakp;
};

/* An active session, or room for one. */
struct active {
    bool used;
    bool spoken;  /* a sealed packet has come: RAKP 4 has arrived */
    bool expired; /* ends at the next timeout, whatever comes until then */
    uint8_t user;
    uint8_t limit;     /* highest privilege */
    uint8_t privilege; /* now */
    uint64_t touched;
    struct fwr_rmcp_peer peer;
    struct fwr_rmcp_session session;
    struct fwr_rmcp_rakp34 rakp3; /* as it came, and our answer, in case that is lost */
    struct fwr_rmcp_rakp34 rakp4;
};

struct fwr_rmcp_responder {
    const struct fwr_rmcp_responder_config *config;
    struct active *actives;
    struct login *logins;
    uint8_t active_count;
    uint8_t login_count;
    uint64_t refusal_logged; /* when last; refusals come in floods */
    bool refusal_seen;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_random random;
    struct fwr_rmcp_responder_status status;
};

/* One received datagram and what becomes of it. */
struct exchange {
    uint64_t now;
    const struct fwr_rmcp_peer *from;
    uint8_t *datagram;
    size_t length;
    struct fwr_rmcp_packet packet;
    struct fwr_rmcp_event *event;
    uint8_t *reply;
    size_t *reply_length;
};

static uint8_t slots_for_sessions(const struct fwr_rmcp_responder_config *config)
{
    return config->sessions > 0 ? config->sessions : DEFAULT_SESSIONS;
}

static uint8_t slots_for_logins(const struct fwr_rmcp_responder_config *config)
{
    return config->half_open > 0 ? config->half_open : DEFAULT_HALF_OPEN;
}

static uint32_t idle_ms(const struct fwr_rmcp_responder *responder)
{
    return responder->config->idle_ms > 0 ? responder->config->idle_ms : DEFAULT_IDLE_MS;
}

static uint32_t handshake_ms(const struct fwr_rmcp_responder *responder)
{
    const uint32_t configured = responder->config->handshake_ms;

    return configured > 0 ? configured : DEFAULT_HANDSHAKE_MS;
}

static size_t datagram_limit(const struct fwr_rmcp_responder *responder)
{
    const uint16_t configured = responder->config->datagram;

    return configured > 0 ? configured : FWR_RMCP_DATAGRAM_IPV6;
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
           aligned(slots_for_sessions(config) * sizeof(struct active)) +
           aligned(slots_for_logins(config) * sizeof(struct login));
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
    self->actives =
        (struct active *)(void *)((uint8_t *)storage + aligned(sizeof(struct fwr_rmcp_responder)));
    self->logins = (struct login *)(void *)((uint8_t *)self->actives +
                                            aligned(self->active_count * sizeof(struct active)));
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

/* ---- Slots -------------------------------------------------------------------------------- */

static bool same_peer(const struct fwr_rmcp_peer *a, const struct fwr_rmcp_peer *b)
{
    return a->length == b->length && memcmp(a->key, b->key, a->length) == 0;
}

static struct active *find_active(struct fwr_rmcp_responder *responder, uint32_t id)
{
    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct active *active = &responder->actives[i];

        if (active->used && active->session.local_id == id)
            return active;
    }
    return NULL;
}

static struct active *free_active(struct fwr_rmcp_responder *responder)
{
    for (uint8_t i = 0; i < responder->active_count; i++) {
        if (!responder->actives[i].used)
            return &responder->actives[i];
    }
    return NULL;
}

/* When every slot is taken, the session that has been quiet for longest makes room, if it has
 * been quiet for QUIET_MS: it expires at the next timeout, and who repeats his question then gets
 * in. A fleet that holds its sessions open without using them must not lock the others out.
 * False: all are in use. */
static bool expire_quiet(struct fwr_rmcp_responder *responder, uint64_t now)
{
    struct active *quietest = responder->actives;

    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct active *active = &responder->actives[i];

        if (active->expired)
            return true;
        if (active->touched < quietest->touched)
            quietest = active;
    }
    if (now - quietest->touched >= QUIET_MS)
        quietest->expired = true;
    return quietest->expired;
}

static struct login *find_login(struct fwr_rmcp_responder *responder, uint32_t id,
                                const struct fwr_rmcp_peer *from)
{
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && login->rakp.managed == id &&
            same_peer(&login->peer, from))
            return login;
    }
    return NULL;
}

static void drop_login(struct login *login)
{
    OPENSSL_cleanse(login, sizeof(*login));
}

static unsigned count_logins_of(const struct fwr_rmcp_responder *responder,
                                const struct fwr_rmcp_peer *peer)
{
    unsigned count = 0;

    for (uint8_t i = 0; i < responder->login_count; i++) {
        const struct login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && same_peer(&login->peer, peer))
            count++;
    }
    return count;
}

/* A free slot, or the oldest log-in of the peer that has the most of them: a flood from one
 * address pushes out only itself, a flood from everywhere the oldest. */
static struct login *take_login(struct fwr_rmcp_responder *responder)
{
    struct login *victim = &responder->logins[0];
    unsigned most = 0;

    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct login *login = &responder->logins[i];
        unsigned count;

        if (login->stage == LOGIN_FREE)
            return login;
        count = count_logins_of(responder, &login->peer);
        if (count > most || (count == most && login->began < victim->began)) {
            most = count;
            victim = login;
        }
    }
    drop_login(victim);
    responder->status.evicted++;
    return victim;
}

static void count_slots(const struct fwr_rmcp_responder *responder,
                        struct fwr_rmcp_responder_status *status)
{
    status->sessions = 0;
    status->half_open = 0;
    for (uint8_t i = 0; i < responder->active_count; i++)
        status->sessions = (uint16_t)(status->sessions + responder->actives[i].used);
    for (uint8_t i = 0; i < responder->login_count; i++)
        status->half_open =
            (uint16_t)(status->half_open + (responder->logins[i].stage != LOGIN_FREE));
}

/* ---- Log and events ----------------------------------------------------------------------- */

static void note(const struct fwr_rmcp_responder *responder, const char *what, uint8_t user,
                 int error)
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

/* At most one line a second, which says how many there were: names that do not exist are not
 * printed, they may be anything. */
static void note_refusal(struct fwr_rmcp_responder *responder, uint64_t now, uint8_t code)
{
    const struct fwr_platform *platform = responder->config->platform;
    char text[120];

    responder->status.refused++;
    if (platform->log == NULL ||
        (responder->refusal_seen && now - responder->refusal_logged < REFUSAL_LOG_MS))
        return;
    responder->refusal_seen = true;
    responder->refusal_logged = now;
    snprintf(text, sizeof(text), "rmcp: log-in refused, status code %02xh (%llu since start)", code,
             (unsigned long long)responder->status.refused);
    platform->log(platform->ctx, FWR_LOG_NOTICE, text);
}

static void fill_event(const struct active *active, enum fwr_rmcp_event_kind kind,
                       struct fwr_rmcp_event *event)
{
    event->kind = kind;
    event->session = active->session.local_id;
    event->user = active->user;
    event->privilege = active->privilege;
    event->suite = active->session.keys.suite->id;
}

/* The only way an active session ends. */
static void end_active(const struct fwr_rmcp_responder *responder, struct active *active,
                       int reason, struct fwr_rmcp_event *event)
{
    const uint8_t user = active->user;
    struct fwr_rmcp_session session = active->session;

    fill_event(active, FWR_RMCP_EVENT_CLOSED, event);
    event->reason = reason;
    fwr_rmcp_session_end(&session);
    OPENSSL_cleanse(active, sizeof(*active));
    active->session = session; /* libcrypto's contexts, keys gone */
    note(responder, "closed", user, reason != FWR_E_SESSION_CLOSED ? reason : FWR_OK);
}

/* ---- Answers outside sessions ------------------------------------------------------------- */

static void send_handshake(struct fwr_rmcp_responder *responder, struct exchange *exchange,
                           enum fwr_rmcp_payload type, size_t length)
{
    fwr_rmcp_prefix_encode(exchange->reply, (uint8_t)type, 0, 0, length);
    *exchange->reply_length = FWR_RMCP_PREFIX_SIZE + length;
    responder->status.counters.sent++;
}

static int on_ping(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    fwr_rmcp_pong_encode(exchange->reply, exchange->packet.asf_tag);
    *exchange->reply_length = FWR_RMCP_PONG_SIZE;
    responder->status.counters.sent++;
    return FWR_OK;
}

/* What anybody may ask: how to log in. FWR_E_STATE for everything else. */
static int answer_anybody(const struct fwr_rmcp_responder *responder,
                          const struct fwr_rmcp_message *message, uint8_t *data, size_t *length)
{
    if (message->netfn != FWR_IPMI_NETFN_APP)
        return FWR_E_STATE;
    if (message->command == FWR_IPMI_GET_CHANNEL_AUTH)
        *length =
            fwr_rmcp_answer_channel_auth(responder->config, message->data, message->length, data);
    else if (message->command == FWR_IPMI_GET_CIPHER_SUITES)
        *length =
            fwr_rmcp_answer_cipher_suites(responder->config, message->data, message->length, data);
    else
        return FWR_E_STATE;
    return FWR_OK;
}

/* Answered in the form it was asked in. */
static int on_sessionless(struct fwr_rmcp_responder *responder, struct exchange *exchange)
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
    error = answer_anybody(responder, &message, data, &answer.length);
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
        send_handshake(responder, exchange, FWR_RMCP_PAYLOAD_IPMI, length);
    }
    return FWR_OK;
}

/* ---- Handshake ---------------------------------------------------------------------------- */

static bool offers_suite(const struct fwr_rmcp_responder_config *config,
                         const struct fwr_rmcp_suite *suite)
{
    return suite->id == FWR_RMCP_SUITE_SHA256 ? config->suite_sha256 : config->suite_sha1;
}

static bool is_level(uint8_t privilege)
{
    return privilege >= FWR_PRIVILEGE_USER && privilege <= FWR_PRIVILEGE_ADMIN;
}

/* An id that names nothing else here. */
static int draw_id(struct fwr_rmcp_responder *responder, uint32_t *id)
{
    uint8_t bytes[4];
    bool taken;
    int error;

    do {
        error = fwr_rmcp_random_draw(&responder->random, bytes, sizeof(bytes));
        *id = fwr_rmcp_get32(bytes);
        taken = *id == 0 || find_active(responder, *id) != NULL;
        for (uint8_t i = 0; i < responder->login_count; i++)
            taken = taken || responder->logins[i].rakp.managed == *id;
    } while (error == FWR_OK && taken);
    return error;
}

/* The log-in that a repeated Open Session belongs to. */
static struct login *find_repeated(struct fwr_rmcp_responder *responder,
                                   const struct fwr_rmcp_peer *from,
                                   const struct fwr_rmcp_open_request *open,
                                   const struct fwr_rmcp_suite *suite)
{
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct login *login = &responder->logins[i];

        if (login->stage == LOGIN_OPENED && login->rakp.console == open->console &&
            login->rakp.suite == suite && login->privilege == open->privilege &&
            same_peer(&login->peer, from))
            return login;
    }
    return NULL;
}

static int open_login(struct fwr_rmcp_responder *responder, struct exchange *exchange,
                      const struct fwr_rmcp_open_request *open, const struct fwr_rmcp_suite *suite,
                      uint32_t *managed)
{
    struct login *login = find_repeated(responder, exchange->from, open, suite);
    int error;

    if (login == NULL) {
        error = draw_id(responder, managed);
        if (error != FWR_OK)
            return error;
        login = take_login(responder);
        login->stage = LOGIN_OPENED;
        login->privilege = open->privilege;
        login->peer = *exchange->from;
        login->began = exchange->now;
        login->rakp.suite = suite;
        login->rakp.console = open->console;
        login->rakp.managed = *managed;
    }
    login->touched = exchange->now;
    *managed = login->rakp.managed;
    return FWR_OK;
}

static int on_open_request(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    struct fwr_rmcp_open_request open;
    struct fwr_rmcp_open_response answer;
    const struct fwr_rmcp_suite *suite = NULL;
    int error =
        fwr_rmcp_open_request_decode(&open, exchange->packet.payload, exchange->packet.length);

    if (error == FWR_E_MALFORMED || open.console == 0)
        return FWR_E_MALFORMED;
    if (error == FWR_OK)
        suite = fwr_rmcp_suite_by_algorithms(&open.algorithms);
    memset(&answer, 0, sizeof(answer));
    answer.tag = open.tag;
    answer.console = open.console;
    answer.privilege = open.privilege != 0 ? open.privilege : FWR_PRIVILEGE_ADMIN;
    answer.algorithms = open.algorithms;
    if (suite == NULL || !offers_suite(responder->config, suite))
        answer.code = FWR_RMCP_CODE_SUITE;
    else if (open.privilege != 0 && !is_level(open.privilege))
        answer.code = FWR_RMCP_CODE_ROLE;
    else if (free_active(responder) == NULL)
        answer.code = FWR_RMCP_CODE_RESOURCES;
    if (answer.code == FWR_RMCP_CODE_RESOURCES && expire_quiet(responder, exchange->now))
        return FWR_E_SESSION_FULL; /* unanswered, so that it is repeated */
    if (answer.code == FWR_RMCP_CODE_OK) {
        error = open_login(responder, exchange, &open, suite, &answer.managed);
        if (error != FWR_OK)
            return error;
    } else {
        note_refusal(responder, exchange->now, answer.code);
    }
    send_handshake(responder, exchange, FWR_RMCP_PAYLOAD_OPEN_RESPONSE,
                   fwr_rmcp_open_response_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

/* Looks up by name alone or by name and privilege, as the role's bit says; checks what the user
 * may have. Returns an RMCP+ status code. */
static uint8_t find_user(const struct fwr_rmcp_responder_config *config, const struct login *login,
                         const struct fwr_rmcp_rakp1 *rakp1, uint8_t *found)
{
    const uint8_t wanted = rakp1->role & FWR_RMCP_ROLE_PRIVILEGE;
    const bool name_only = (rakp1->role & FWR_RMCP_ROLE_NAME_ONLY) != 0;
    uint8_t code = FWR_RMCP_CODE_NAME;

    if (wanted != 0 && !is_level(wanted))
        return FWR_RMCP_CODE_ROLE;
    for (uint8_t i = 0; i < config->user_count; i++) {
        const struct fwr_rmcp_user *user = &config->users[i];

        if (user->name_length != rakp1->user_length ||
            memcmp(user->name, rakp1->user, user->name_length) != 0)
            continue;
        *found = i;
        if (login->rakp.suite->id == FWR_RMCP_SUITE_SHA256 ? !user->suite_sha256
                                                           : !user->suite_sha1)
            code = FWR_RMCP_CODE_SUITE;
        else if (wanted > user->privilege)
            code = FWR_RMCP_CODE_PRIVILEGE;
        else
            return FWR_RMCP_CODE_OK;
        if (name_only)
            return code;
    }
    return code;
}

static int answer_rakp1(struct fwr_rmcp_responder *responder, struct login *login,
                        const struct fwr_rmcp_rakp1 *rakp1, uint8_t user,
                        struct fwr_rmcp_rakp2 *answer)
{
    const struct fwr_rmcp_responder_config *config = responder->config;
    const struct fwr_rmcp_user *known = &config->users[user];
    struct fwr_rmcp_rakp *rakp = &login->rakp;
    /* A repeated RAKP 1 gets the same answer. */
    const bool repeated = login->stage == LOGIN_PROVEN &&
                          memcmp(rakp->console_random, rakp1->random, sizeof(rakp1->random)) == 0;
    int error = FWR_OK;

    memcpy(rakp->console_random, rakp1->random, sizeof(rakp1->random));
    memcpy(rakp->guid, config->guid, sizeof(rakp->guid));
    rakp->role = rakp1->role;
    rakp->user = (const uint8_t *)known->name;
    rakp->user_length = known->name_length;
    rakp->password = known->password;
    rakp->password_length = known->password_length;
    rakp->kg = config->kg;
    rakp->kg_length = config->kg_length;
    if (!repeated)
        error = fwr_rmcp_random_draw(&responder->random, rakp->managed_random,
                                     sizeof(rakp->managed_random));
    if (error == FWR_OK)
        error = fwr_rmcp_rakp2_code(&responder->mac, rakp, answer->check);
    fwr_rmcp_mac_wipe(&responder->mac);
    if (error != FWR_OK)
        return error;
    login->stage = LOGIN_PROVEN;
    login->user = user;
    memcpy(answer->random, rakp->managed_random, sizeof(answer->random));
    memcpy(answer->guid, rakp->guid, sizeof(answer->guid));
    answer->check_length = rakp->suite->digest_size;
    return FWR_OK;
}

static int on_rakp1(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    struct fwr_rmcp_rakp1 rakp1;
    struct fwr_rmcp_rakp2 answer;
    struct login *login;
    uint8_t user = 0;
    int error = fwr_rmcp_rakp1_decode(&rakp1, exchange->packet.payload, exchange->packet.length);

    if (error != FWR_OK)
        return error;
    login = find_login(responder, rakp1.managed, exchange->from);
    if (login == NULL)
        return FWR_E_SESSION_CLOSED;
    login->touched = exchange->now;
    memset(&answer, 0, sizeof(answer));
    answer.tag = rakp1.tag;
    answer.console = login->rakp.console;
    answer.code = find_user(responder->config, login, &rakp1, &user);
    if (answer.code == FWR_RMCP_CODE_OK) {
        error = answer_rakp1(responder, login, &rakp1, user, &answer);
        if (error != FWR_OK)
            return error;
    } else {
        note_refusal(responder, exchange->now, answer.code);
        drop_login(login);
    }
    send_handshake(responder, exchange, FWR_RMCP_PAYLOAD_RAKP2,
                   fwr_rmcp_rakp2_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

/* Moves a proven log-in into a session slot. */
static int activate(struct fwr_rmcp_responder *responder, struct exchange *exchange,
                    struct login *login, struct active *active, const struct fwr_rmcp_rakp34 *rakp3,
                    struct fwr_rmcp_rakp34 *answer)
{
    const struct fwr_rmcp_rakp *rakp = &login->rakp;
    const uint8_t wanted = rakp->role & FWR_RMCP_ROLE_PRIVILEGE;
    uint8_t sik[FWR_RMCP_DIGEST_MAX];
    int error = fwr_rmcp_rakp_sik(&responder->mac, rakp, sik);

    if (error == FWR_OK)
        error = fwr_rmcp_rakp4_code(&responder->mac, rakp, sik, answer->check);
    if (error == FWR_OK)
        error = fwr_rmcp_session_begin(&active->session, &responder->mac, rakp->suite, sik,
                                       rakp->managed, rakp->console);
    OPENSSL_cleanse(sik, sizeof(sik));
    if (error != FWR_OK)
        return error;
    answer->check_length = rakp->suite->check_size;
    active->used = true;
    active->spoken = false;
    active->expired = false;
    active->user = login->user;
    active->limit = wanted != 0 ? wanted : responder->config->users[login->user].privilege;
    active->privilege = FWR_PRIVILEGE_USER; /* until it is raised (section 6.8) */
    active->touched = exchange->now;
    active->peer = login->peer;
    active->rakp3 = *rakp3;
    active->rakp4 = *answer;
    responder->status.opened++;
    fill_event(active, FWR_RMCP_EVENT_OPENED, exchange->event);
    note(responder, "opened", active->user, FWR_OK);
    return FWR_OK;
}

/* The answer to a RAKP 3 may be lost: the same question from the same peer gets it again. */
static int repeat_rakp4(struct fwr_rmcp_responder *responder, struct exchange *exchange,
                        const struct fwr_rmcp_rakp34 *rakp3)
{
    const struct active *active = find_active(responder, rakp3->session);

    if (active == NULL || active->spoken || !same_peer(&active->peer, exchange->from) ||
        rakp3->tag != active->rakp3.tag || rakp3->code != FWR_RMCP_CODE_OK ||
        rakp3->check_length != active->rakp3.check_length ||
        CRYPTO_memcmp(rakp3->check, active->rakp3.check, rakp3->check_length) != 0)
        return FWR_E_SESSION_CLOSED;
    send_handshake(responder, exchange, FWR_RMCP_PAYLOAD_RAKP4,
                   fwr_rmcp_rakp34_encode(&active->rakp4, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

static int check_rakp3(struct fwr_rmcp_responder *responder, const struct login *login,
                       const struct fwr_rmcp_rakp34 *rakp3, uint8_t *code)
{
    uint8_t expected[FWR_RMCP_DIGEST_MAX];
    const int error = fwr_rmcp_rakp3_code(&responder->mac, &login->rakp, expected);

    *code = FWR_RMCP_CODE_OK;
    if (rakp3->check_length != login->rakp.suite->digest_size ||
        CRYPTO_memcmp(expected, rakp3->check, rakp3->check_length) != 0)
        *code = FWR_RMCP_CODE_INTEGRITY_CHECK;
    else if (free_active(responder) == NULL)
        *code = FWR_RMCP_CODE_RESOURCES;
    OPENSSL_cleanse(expected, sizeof(expected));
    return error;
}

static int on_rakp3(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    struct fwr_rmcp_rakp34 rakp3, answer;
    struct login *login;
    int error = fwr_rmcp_rakp34_decode(&rakp3, exchange->packet.payload, exchange->packet.length);

    if (error != FWR_OK)
        return error;
    login = find_login(responder, rakp3.session, exchange->from);
    if (login == NULL)
        return repeat_rakp4(responder, exchange, &rakp3);
    if (login->stage != LOGIN_PROVEN)
        return FWR_E_STATE;
    if (rakp3.code != FWR_RMCP_CODE_OK) {
        note_refusal(responder, exchange->now, rakp3.code);
        drop_login(login);
        return FWR_OK;
    }
    memset(&answer, 0, sizeof(answer));
    answer.tag = rakp3.tag;
    answer.session = login->rakp.console;
    error = check_rakp3(responder, login, &rakp3, &answer.code);
    if (error == FWR_OK && answer.code == FWR_RMCP_CODE_OK)
        error = activate(responder, exchange, login, free_active(responder), &rakp3, &answer);
    else if (error == FWR_OK)
        note_refusal(responder, exchange->now, answer.code);
    drop_login(login);
    fwr_rmcp_mac_wipe(&responder->mac);
    if (error != FWR_OK)
        return error;
    send_handshake(responder, exchange, FWR_RMCP_PAYLOAD_RAKP4,
                   fwr_rmcp_rakp34_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

static int on_outside(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    if (exchange->packet.encrypted || exchange->packet.authenticated)
        return FWR_E_MALFORMED;
    switch (exchange->packet.payload_type) {
    case FWR_RMCP_PAYLOAD_IPMI:
        return on_sessionless(responder, exchange);
    case FWR_RMCP_PAYLOAD_OPEN_REQUEST:
        return on_open_request(responder, exchange);
    case FWR_RMCP_PAYLOAD_RAKP1:
        return on_rakp1(responder, exchange);
    case FWR_RMCP_PAYLOAD_RAKP3:
        return on_rakp3(responder, exchange);
    default:
        return FWR_E_MALFORMED;
    }
}

/* ---- Sessions ----------------------------------------------------------------------------- */

static size_t set_privilege(struct active *active, const struct fwr_rmcp_message *message,
                            uint8_t *data)
{
    uint8_t wanted;

    data[0] = FWR_IPMI_CC_OK;
    if (message->length != 1) {
        data[0] = FWR_IPMI_CC_LENGTH;
        return 1;
    }
    wanted = message->data[0] & FWR_RMCP_ROLE_PRIVILEGE;
    if (wanted != 0 && !is_level(wanted))
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
static uint8_t check_close(const struct active *active, const struct fwr_rmcp_message *message)
{
    if (message->length != 4)
        return FWR_IPMI_CC_LENGTH;
    return fwr_rmcp_get32(message->data) == active->session.local_id ? FWR_IPMI_CC_OK
                                                                     : FWR_IPMI_CC_SESSION_ID;
}

/* The commands answered here; *length stays 0 for all others. *closing: the session ends. */
static void answer_own(const struct fwr_rmcp_responder *responder, struct active *active,
                       const struct fwr_rmcp_message *message, uint8_t *data, size_t *length,
                       bool *closing)
{
    if (message->netfn != FWR_IPMI_NETFN_APP)
        return;
    switch (message->command) {
    case FWR_IPMI_GET_DEVICE_ID:
        *length = fwr_rmcp_answer_device_id(responder->config, data);
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
        (void)answer_anybody(responder, message, data, length);
        break;
    }
}

static void hand_up(const struct active *active, const struct fwr_rmcp_message *message,
                    struct fwr_rmcp_event *event)
{
    fill_event(active, FWR_RMCP_EVENT_COMMAND, event);
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

static int on_message(struct fwr_rmcp_responder *responder, struct exchange *exchange,
                      struct active *active, const struct fwr_rmcp_message *message)
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

static int on_session(struct fwr_rmcp_responder *responder, struct exchange *exchange)
{
    struct active *active = find_active(responder, exchange->packet.session);
    struct fwr_rmcp_message message;
    int error;

    if (active == NULL || !same_peer(&active->peer, exchange->from))
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

int fwr_rmcp_responder_receive(struct fwr_rmcp_responder *responder, uint64_t now,
                               const struct fwr_rmcp_peer *from, uint8_t *datagram, size_t length,
                               struct fwr_rmcp_event *event, uint8_t *reply, size_t reply_size,
                               size_t *reply_length)
{
    struct exchange exchange = {
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
            error = on_session(responder, &exchange);
    }
    if (error == FWR_OK)
        responder->status.counters.received++;
    else
        responder->status.counters.dropped++;
    return error;
}

int fwr_rmcp_responder_reply(struct fwr_rmcp_responder *responder, uint64_t now,
                             const struct fwr_rmcp_command_id *id, const uint8_t *reply,
                             size_t length, struct fwr_rmcp_peer *to, uint8_t *buffer, size_t size,
                             size_t *datagram_length)
{
    struct active *active = find_active(responder, id->session);
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

/* ---- Time and status ---------------------------------------------------------------------- */

static uint64_t deadline_of(const struct fwr_rmcp_responder *responder, const struct active *active)
{
    return active->expired ? active->touched : active->touched + idle_ms(responder);
}

uint64_t fwr_rmcp_responder_next_timeout(const struct fwr_rmcp_responder *responder)
{
    uint64_t next = FWR_NEVER;

    for (uint8_t i = 0; i < responder->active_count; i++) {
        const struct active *active = &responder->actives[i];

        if (active->used && deadline_of(responder, active) < next)
            next = deadline_of(responder, active);
    }
    for (uint8_t i = 0; i < responder->login_count; i++) {
        const struct login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && login->touched + handshake_ms(responder) < next)
            next = login->touched + handshake_ms(responder);
    }
    return next;
}

void fwr_rmcp_responder_timeout(struct fwr_rmcp_responder *responder, uint64_t now,
                                struct fwr_rmcp_event *event)
{
    memset(event, 0, sizeof(*event));
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && now >= login->touched + handshake_ms(responder))
            drop_login(login);
    }
    for (uint8_t i = 0; i < responder->active_count; i++) {
        struct active *active = &responder->actives[i];

        if (active->used && now >= deadline_of(responder, active)) {
            end_active(responder, active, FWR_E_TIMEOUT, event);
            return;
        }
    }
}

void fwr_rmcp_responder_status(const struct fwr_rmcp_responder *responder,
                               struct fwr_rmcp_responder_status *status)
{
    *status = responder->status;
    count_slots(responder, status);
}
