/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-ins at the managed end: the slots of handshakes on their way, and what Open Session, RAKP 1
 * and RAKP 3 are answered. A log-in that is proven becomes an active session. Called by responder;
 * IPMI 2.0 sections 13.17 to 13.24.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "responder.h"

#define DEFAULT_HANDSHAKE_MS 5000
#define REFUSAL_LOG_MS       1000

static uint32_t handshake_ms(const struct fwr_rmcp_responder *responder)
{
    const uint32_t configured = responder->config->handshake_ms;

    return configured > 0 ? configured : DEFAULT_HANDSHAKE_MS;
}

/* ---- Slots -------------------------------------------------------------------------------- */

static struct fwr_rmcp_login *find_login(struct fwr_rmcp_responder *responder, uint32_t id,
                                         const struct fwr_rmcp_peer *from)
{
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct fwr_rmcp_login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && login->rakp.managed == id &&
            fwr_rmcp_same_peer(&login->peer, from))
            return login;
    }
    return NULL;
}

static void drop_login(struct fwr_rmcp_login *login)
{
    OPENSSL_cleanse(login, sizeof(*login));
}

static unsigned count_logins_of(const struct fwr_rmcp_responder *responder,
                                const struct fwr_rmcp_peer *peer)
{
    unsigned count = 0;

    for (uint8_t i = 0; i < responder->login_count; i++) {
        const struct fwr_rmcp_login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && fwr_rmcp_same_peer(&login->peer, peer))
            count++;
    }
    return count;
}

/* A free slot, or the oldest log-in of the peer that has the most of them: a flood from one
 * address pushes out only itself, a flood from everywhere the oldest. */
static struct fwr_rmcp_login *take_login(struct fwr_rmcp_responder *responder)
{
    struct fwr_rmcp_login *victim = &responder->logins[0];
    unsigned most = 0;

    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct fwr_rmcp_login *login = &responder->logins[i];
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

uint16_t fwr_rmcp_login_count(const struct fwr_rmcp_responder *responder)
{
    uint16_t count = 0;

    for (uint8_t i = 0; i < responder->login_count; i++)
        count = (uint16_t)(count + (responder->logins[i].stage != LOGIN_FREE));
    return count;
}

uint64_t fwr_rmcp_login_next_timeout(const struct fwr_rmcp_responder *responder)
{
    uint64_t next = FWR_NEVER;

    for (uint8_t i = 0; i < responder->login_count; i++) {
        const struct fwr_rmcp_login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && login->touched + handshake_ms(responder) < next)
            next = login->touched + handshake_ms(responder);
    }
    return next;
}

void fwr_rmcp_login_timeout(struct fwr_rmcp_responder *responder, uint64_t now)
{
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct fwr_rmcp_login *login = &responder->logins[i];

        if (login->stage != LOGIN_FREE && now >= login->touched + handshake_ms(responder))
            drop_login(login);
    }
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

/* ---- Open Session ------------------------------------------------------------------------- */

static bool offers_suite(const struct fwr_rmcp_responder_config *config,
                         const struct fwr_rmcp_suite *suite)
{
    return suite->id == FWR_RMCP_SUITE_SHA256 ? config->suite_sha256 : config->suite_sha1;
}

/* An id that names nothing else here. */
static int draw_id(struct fwr_rmcp_responder *responder, uint32_t *id)
{
    uint8_t bytes[4];
    bool taken;
    int error;

    do {
        error = fwr_rmcp_random_draw(&responder->random, bytes, sizeof(bytes));
        if (error != FWR_OK)
            return error;
        *id = fwr_rmcp_get32(bytes);
        taken = *id == 0 || fwr_rmcp_active_find(responder, *id) != NULL;
        for (uint8_t i = 0; i < responder->login_count; i++)
            taken = taken || responder->logins[i].rakp.managed == *id;
    } while (taken);
    return FWR_OK;
}

/* The log-in that a repeated Open Session belongs to. */
static struct fwr_rmcp_login *find_repeated(struct fwr_rmcp_responder *responder,
                                            const struct fwr_rmcp_peer *from,
                                            const struct fwr_rmcp_open_request *open,
                                            const struct fwr_rmcp_suite *suite)
{
    for (uint8_t i = 0; i < responder->login_count; i++) {
        struct fwr_rmcp_login *login = &responder->logins[i];

        if (login->stage == LOGIN_OPENED && login->rakp.console == open->console &&
            login->rakp.suite == suite && login->privilege == open->privilege &&
            fwr_rmcp_same_peer(&login->peer, from))
            return login;
    }
    return NULL;
}

static int open_login(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                      const struct fwr_rmcp_open_request *open, const struct fwr_rmcp_suite *suite,
                      uint32_t *managed)
{
    struct fwr_rmcp_login *login = find_repeated(responder, exchange->from, open, suite);
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

int fwr_rmcp_login_open(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
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
    else if (open.privilege != 0 && !fwr_rmcp_is_level(open.privilege))
        answer.code = FWR_RMCP_CODE_ROLE;
    else if (fwr_rmcp_active_free(responder) == NULL)
        answer.code = FWR_RMCP_CODE_RESOURCES;
    if (answer.code == FWR_RMCP_CODE_RESOURCES &&
        fwr_rmcp_active_expire_quiet(responder, exchange->now))
        return FWR_E_SESSION_FULL; /* unanswered, so that it is repeated */
    if (answer.code == FWR_RMCP_CODE_OK) {
        error = open_login(responder, exchange, &open, suite, &answer.managed);
        if (error != FWR_OK)
            return error;
    } else {
        note_refusal(responder, exchange->now, answer.code);
    }
    fwr_rmcp_send_outside(
        responder, exchange, FWR_RMCP_PAYLOAD_OPEN_RESPONSE,
        fwr_rmcp_open_response_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

/* ---- RAKP --------------------------------------------------------------------------------- */

/* Looks up by name alone or by name and privilege, as the role's bit says; checks what the user
 * may have. Returns an RMCP+ status code. */
static uint8_t find_user(const struct fwr_rmcp_responder_config *config,
                         const struct fwr_rmcp_login *login, const struct fwr_rmcp_rakp1 *rakp1,
                         uint8_t *found)
{
    const uint8_t wanted = rakp1->role & FWR_RMCP_ROLE_PRIVILEGE;
    const bool name_only = (rakp1->role & FWR_RMCP_ROLE_NAME_ONLY) != 0;
    uint8_t code = FWR_RMCP_CODE_NAME;

    if (wanted != 0 && !fwr_rmcp_is_level(wanted))
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

static int answer_rakp1(struct fwr_rmcp_responder *responder, struct fwr_rmcp_login *login,
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

int fwr_rmcp_login_rakp1(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
{
    struct fwr_rmcp_rakp1 rakp1;
    struct fwr_rmcp_rakp2 answer;
    struct fwr_rmcp_login *login;
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
    fwr_rmcp_send_outside(responder, exchange, FWR_RMCP_PAYLOAD_RAKP2,
                          fwr_rmcp_rakp2_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

/* Moves a proven log-in into a session slot. */
static int activate(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                    struct fwr_rmcp_login *login, struct fwr_rmcp_active *active,
                    const struct fwr_rmcp_rakp34 *rakp3, struct fwr_rmcp_rakp34 *answer)
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
    fwr_rmcp_active_event(active, FWR_RMCP_EVENT_OPENED, exchange->event);
    fwr_rmcp_active_note(responder, "opened", active->user, FWR_OK);
    return FWR_OK;
}

/* The answer to a RAKP 3 may be lost: the same question from the same peer gets it again. */
static int repeat_rakp4(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                        const struct fwr_rmcp_rakp34 *rakp3)
{
    const struct fwr_rmcp_active *active = fwr_rmcp_active_find(responder, rakp3->session);

    if (active == NULL || active->spoken || !fwr_rmcp_same_peer(&active->peer, exchange->from) ||
        rakp3->tag != active->rakp3.tag || rakp3->code != FWR_RMCP_CODE_OK ||
        rakp3->check_length != active->rakp3.check_length ||
        CRYPTO_memcmp(rakp3->check, active->rakp3.check, rakp3->check_length) != 0)
        return FWR_E_SESSION_CLOSED;
    fwr_rmcp_send_outside(
        responder, exchange, FWR_RMCP_PAYLOAD_RAKP4,
        fwr_rmcp_rakp34_encode(&active->rakp4, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}

static int check_rakp3(struct fwr_rmcp_responder *responder, const struct fwr_rmcp_login *login,
                       const struct fwr_rmcp_rakp34 *rakp3, uint8_t *code)
{
    uint8_t expected[FWR_RMCP_DIGEST_MAX];
    const int error = fwr_rmcp_rakp3_code(&responder->mac, &login->rakp, expected);

    *code = FWR_RMCP_CODE_OK;
    if (error != FWR_OK)
        return error;
    if (rakp3->check_length != login->rakp.suite->digest_size ||
        CRYPTO_memcmp(expected, rakp3->check, rakp3->check_length) != 0)
        *code = FWR_RMCP_CODE_INTEGRITY_CHECK;
    else if (fwr_rmcp_active_free(responder) == NULL)
        *code = FWR_RMCP_CODE_RESOURCES;
    OPENSSL_cleanse(expected, sizeof(expected));
    return FWR_OK;
}

int fwr_rmcp_login_rakp3(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange)
{
    struct fwr_rmcp_rakp34 rakp3, answer;
    struct fwr_rmcp_login *login;
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
        error =
            activate(responder, exchange, login, fwr_rmcp_active_free(responder), &rakp3, &answer);
    else if (error == FWR_OK)
        note_refusal(responder, exchange->now, answer.code);
    drop_login(login);
    fwr_rmcp_mac_wipe(&responder->mac);
    if (error != FWR_OK)
        return error;
    fwr_rmcp_send_outside(responder, exchange, FWR_RMCP_PAYLOAD_RAKP4,
                          fwr_rmcp_rakp34_encode(&answer, exchange->reply + FWR_RMCP_PREFIX_SIZE));
    return FWR_OK;
}
