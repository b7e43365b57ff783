/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ sessions over a libcrypto, or a source of random bytes, of which each call fails once or
 * every call fails from some moment on: no session that should not be, nothing leaked, and the
 * same two ends open one as soon as the failures stop.
 */
#include <stdio.h>

#include "crypto_faults.h"
#include "rmcp_pair.h"

#include "lib/link/rmcp/packet.h"

static const uint8_t suites[] = {FWR_RMCP_SUITE_SHA256, FWR_RMCP_SUITE_SHA1};

#define TYPE_OFFSET  5 /* of the payload's type in a datagram of a handshake */
#define ROUND_TRIPS  3
#define RANDOM_TRIPS 40 /* enough to empty each pool of random bytes */

/* The source of random bytes, with a fault of its own. */
static unsigned draws, fail_draw;
static bool fail_draws_on;

static int failing_random(void *ctx, void *buffer, size_t length)
{
    draws++;
    if (fail_draw != 0 && (draws == fail_draw || (draws > fail_draw && fail_draws_on)))
        return FWR_E_RANDOM;
    return pair_random(ctx, buffer, length);
}

/* ---- One conversation --------------------------------------------------------------------- */

struct outcome {
    int error;       /* the first that either end told its caller, or FWR_OK */
    bool finished;   /* every round trip has been made */
    unsigned opened; /* sessions at the responder */
};

static int make_ends(struct pair *pair)
{
    int error;

    pair->initiator_size = fwr_rmcp_initiator_storage();
    pair->responder_size = fwr_rmcp_responder_storage(&pair->responder_config);
    pair->initiator_storage = malloc(pair->initiator_size);
    pair->responder_storage = malloc(pair->responder_size);
    error = fwr_rmcp_initiator_init(&pair->initiator, pair->initiator_storage, pair->initiator_size,
                                    &pair->initiator_config);
    if (error != FWR_OK) {
        assert_null(pair->initiator);
        return error;
    }
    error = fwr_rmcp_responder_init(&pair->responder, pair->responder_storage, pair->responder_size,
                                    &pair->responder_config);
    if (error != FWR_OK)
        assert_null(pair->responder);
    return error;
}

/* As pair_round_trip, but whatever fails ends it: FWR_OK or the first error. */
static int try_round_trip(struct pair *pair, uint64_t token)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;
    int error = pair_request(pair, 0x42, 9, token, datagram, &length);

    memset(&pair->event, 0, sizeof(pair->event));
    memset(&pair->response, 0, sizeof(pair->response));
    if (error == FWR_OK)
        error = pair_deliver(pair, datagram, length);
    if (error == FWR_OK) {
        assert_int_equal(pair->event.kind, FWR_RMCP_EVENT_COMMAND);
        error = pair_answer(pair, 5, datagram, &length);
    }
    if (error == FWR_OK)
        error = pair_deliver_back(pair, datagram, length);
    if (error == FWR_OK)
        assert_int_equal(pair->response.kind, FWR_RMCP_EVENT_RESPONSE);
    return error;
}

static int open_session(struct pair *pair)
{
    int error = fwr_rmcp_initiator_start(pair->initiator, pair->now);

    if (error != FWR_OK)
        return error;
    pair_settle_in_time(pair);
    return pair_state(pair) == FWR_RMCP_ACTIVE ? FWR_OK : pair_error(pair);
}

static int close_session(struct pair *pair)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;
    int error = fwr_rmcp_initiator_close(pair->initiator, datagram, sizeof(datagram), &length);

    assert_int_equal(pair_state(pair), FWR_RMCP_CLOSED);
    if (error != FWR_OK) {
        assert_int_equal(length, 0);
        return error;
    }
    return length > 0 ? pair_deliver(pair, datagram, length) : FWR_OK;
}

/* Both ends are made, a session is opened, used, closed, and all is given back. Where something
 * failed once, everything must go well after it. */
static struct outcome converse(uint8_t suite, pair_tap *tap, unsigned round_trips, bool heals)
{
    struct outcome outcome = {FWR_OK, false, 0};
    struct pair pair;
    unsigned made = 0;

    pair_configure(&pair, suite);
    pair.platform.random = failing_random;
    pair.responder_config.sessions = 2;
    pair.responder_config.half_open = 2;
    pair.tap = tap;
    outcome.error = make_ends(&pair);
    if (outcome.error == FWR_OK)
        outcome.error = open_session(&pair);
    while (outcome.error == FWR_OK && made < round_trips)
        outcome.error = try_round_trip(&pair, ++made);
    outcome.finished = outcome.error == FWR_OK;
    if (outcome.finished)
        outcome.error = close_session(&pair);
    if (heals && outcome.error != FWR_OK && pair.initiator != NULL && pair.responder != NULL) {
        if (pair_state(&pair) != FWR_RMCP_ACTIVE)
            assert_int_equal(open_session(&pair), FWR_OK);
        pair_round_trip(&pair, 1000);
    }
    if (pair.responder != NULL) {
        struct fwr_rmcp_responder_status status;

        fwr_rmcp_responder_status(pair.responder, &status);
        outcome.opened = (unsigned)status.opened;
    }
    pair_end(&pair);
    return outcome;
}

/* ---- libcrypto ---------------------------------------------------------------------------- */

/* While the ends are made, libcrypto may turn out not to have what is needed; and a responder
 * that cannot answer for good is silence to the initiator. */
static bool is_expected(int error, bool forever)
{
    return error == FWR_OK || error == FWR_E_CRYPTO || error == FWR_E_ALGORITHM ||
           (forever && error == FWR_E_TIMEOUT);
}

static void each_call_fails_once(void **state)
{
    unsigned repaired = 0, told = 0;

    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        const int held = crypto_faults_held();
        unsigned calls;

        crypto_faults_arm(0, false);
        assert_int_equal(converse(suites[s], NULL, ROUND_TRIPS, false).error, FWR_OK);
        calls = crypto_faults_calls();
        for (unsigned call = 1; call <= calls; call++) {
            struct outcome outcome;

            crypto_faults_arm(call, false);
            outcome = converse(suites[s], NULL, ROUND_TRIPS, true);
            if (crypto_faults_struck() == NULL)
                fail_msg("suite %u: call %u of %u never came", suites[s], call, calls);
            else if (!is_expected(outcome.error, false))
                fail_msg("suite %u: call %u, %s, failed: %s", suites[s], call,
                         crypto_faults_struck(), fwr_error_name(outcome.error));
            if (crypto_faults_held() != held)
                fail_msg("suite %u: call %u, %s, failed: %d objects leaked", suites[s], call,
                         crypto_faults_struck(), crypto_faults_held() - held);
            repaired += outcome.error == FWR_OK;
            told += outcome.error != FWR_OK;
        }
    }
    crypto_faults_arm(0, false);
    printf("%u calls failed: %u told to the caller, %u made good by repetition\n", repaired + told,
           told, repaired);
}

static void libcrypto_fails_for_good(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        const int held = crypto_faults_held();
        unsigned calls;

        crypto_faults_arm(0, false);
        assert_int_equal(converse(suites[s], NULL, ROUND_TRIPS, false).error, FWR_OK);
        calls = crypto_faults_calls();
        for (unsigned call = 1; call <= calls; call++) {
            struct outcome outcome;

            crypto_faults_arm(call, true);
            outcome = converse(suites[s], NULL, ROUND_TRIPS, false);
            assert_non_null(crypto_faults_struck());
            if (!is_expected(outcome.error, true) || (outcome.error == FWR_OK && !outcome.finished))
                fail_msg("suite %u: from call %u, %s: %s", suites[s], call, crypto_faults_struck(),
                         fwr_error_name(outcome.error));
            if (crypto_faults_held() != held)
                fail_msg("suite %u: from call %u, %s: %d objects leaked", suites[s], call,
                         crypto_faults_struck(), crypto_faults_held() - held);
        }
    }
    crypto_faults_arm(0, false);
}

/* ---- Impostors ---------------------------------------------------------------------------- */

static uint8_t garbled_type;
static unsigned garbled;

/* The proof at the end of one message of the handshake is wrong, as from somebody who does not
 * know the password. */
static bool garble_proof(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    (void)pair;
    (void)to_responder;
    if (datagram[TYPE_OFFSET] == garbled_type) {
        datagram[*length - 1] ^= 1;
        garbled++;
    }
    return true;
}

/* Who sends RAKP 4 has been let in by the responder already: that end only ever gets as far as
 * the initiator proved. */
static const struct impostor {
    uint8_t type;
    int error;
    unsigned opened;
} impostors[] = {
    {FWR_RMCP_PAYLOAD_RAKP2, FWR_E_SESSION_AUTH, 0},
    {FWR_RMCP_PAYLOAD_RAKP3, FWR_E_SESSION_AUTH, 0},
    {FWR_RMCP_PAYLOAD_RAKP4, FWR_E_SESSION_KG, 1},
};

static void assert_kept_out(uint8_t suite, const struct impostor *impostor)
{
    unsigned calls;

    garbled_type = impostor->type;
    garbled = 0;
    crypto_faults_arm(0, false);
    assert_int_equal(converse(suite, garble_proof, 0, false).error, impostor->error);
    assert_true(garbled > 0);
    calls = crypto_faults_calls();
    for (unsigned call = 1; call <= 2 * calls; call++) {
        struct outcome outcome;

        crypto_faults_arm(call <= calls ? call : call - calls, call > calls);
        outcome = converse(suite, garble_proof, 0, false);
        assert_non_null(crypto_faults_struck());
        if (outcome.error == FWR_OK || outcome.opened > impostor->opened)
            fail_msg("suite %u, payload type %02x: let in when %s fails", suite, garbled_type,
                     crypto_faults_struck());
    }
    crypto_faults_arm(0, false);
}

static void no_failure_lets_an_impostor_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(impostors) / sizeof(impostors[0]); i++) {
        for (size_t s = 0; s < sizeof(suites); s++)
            assert_kept_out(suites[s], &impostors[i]);
    }
}

/* ---- Random bytes ------------------------------------------------------------------------- */

static void each_draw_of_random_bytes_fails(void **state)
{
    unsigned all;

    (void)state;
    draws = fail_draw = 0;
    assert_int_equal(converse(suites[0], NULL, RANDOM_TRIPS, false).error, FWR_OK);
    all = draws;
    assert_true(all >= 4);
    for (unsigned i = 0; i < 2 * all; i++) {
        struct outcome outcome;

        draws = 0;
        fail_draw = i / 2 + 1;
        fail_draws_on = i % 2 == 1;
        outcome = converse(suites[0], NULL, RANDOM_TRIPS, !fail_draws_on);
        assert_true(draws >= fail_draw);
        if (fail_draws_on)
            assert_false(outcome.finished);
        /* A responder without random bytes is silent, which the initiator sees as that. */
        if (outcome.error != FWR_E_RANDOM && outcome.error != FWR_E_TIMEOUT &&
            (outcome.error != FWR_OK || fail_draws_on))
            fail_msg("draw %u: %s", fail_draw, fwr_error_name(outcome.error));
    }
    fail_draw = 0;
    printf("%u draws failed, once and for good\n", all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails_once),
        cmocka_unit_test(libcrypto_fails_for_good),
        cmocka_unit_test(no_failure_lets_an_impostor_in),
        cmocka_unit_test(each_draw_of_random_bytes_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
