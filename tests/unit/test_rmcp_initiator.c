/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initiator in an active session: the window, tokens and sequence numbers, answers that
 * are late, repeated, foreign or too long, and its end.
 */
#include "rmcp_pair.h"

/* Sends a request and returns what the responder made of it, for a later answer. */
static struct fwr_rmcp_command_id ask(struct pair *pair, uint8_t command, uint64_t token)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    assert_int_equal(pair_request(pair, command, 4, token, datagram, &length), FWR_OK);
    assert_int_equal(pair_deliver(pair, datagram, length), FWR_OK);
    assert_int_equal(pair->event.kind, FWR_RMCP_EVENT_COMMAND);
    return pair->event.id;
}

/* Answers it; the result is the initiator's. */
static int answer(struct pair *pair, const struct fwr_rmcp_command_id *id, size_t data_length)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    memset(&pair->response, 0, sizeof(pair->response));
    pair->event.id = *id;
    assert_int_equal(pair_answer(pair, data_length, datagram, &length), FWR_OK);
    return pair_deliver_back(pair, datagram, length);
}

static unsigned outstanding(const struct pair *pair)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(pair->initiator, &status);
    return status.outstanding;
}

static void window_is_kept(void **state)
{
    (void)state;
    for (uint8_t window = 1; window <= FWR_RMCP_WINDOW_MAX; window += 7) {
        struct fwr_rmcp_command_id ids[FWR_RMCP_WINDOW_MAX];
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
        struct pair pair;
        size_t length;

        pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
        pair.initiator_config.window = window;
        pair_init(&pair);
        pair_open(&pair);
        for (uint8_t i = 0; i < window; i++)
            ids[i] = ask(&pair, (uint8_t)(i + 1), 100 + i);
        assert_int_equal(outstanding(&pair), window);
        assert_int_equal(pair_request(&pair, 1, 4, 1, datagram, &length), FWR_E_BUSY);
        assert_int_equal(length, 0);
        /* Answers in the other order find their tokens. */
        for (uint8_t i = window; i-- > 0;) {
            assert_int_equal(answer(&pair, &ids[i], i), FWR_OK);
            assert_int_equal(pair.response.kind, FWR_RMCP_EVENT_RESPONSE);
            assert_true(pair.response.token == 100u + i);
            assert_int_equal(pair.response.netfn, 0x2e);
            assert_int_equal(pair.response.command, i + 1);
            assert_int_equal(pair.response.length, i + 1u);
        }
        assert_int_equal(outstanding(&pair), 0);
        pair_end(&pair);
    }
}

static void late_and_repeated_answers_are_dropped(void **state)
{
    struct fwr_rmcp_command_id first, second;
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    first = ask(&pair, 1, 1);
    second = ask(&pair, 2, 2);
    assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, 1), FWR_OK);
    assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, 1), FWR_E_NOT_FOUND);
    assert_int_equal(outstanding(&pair), 1);
    assert_int_equal(answer(&pair, &first, 1), FWR_E_STALE);
    assert_int_equal(answer(&pair, &second, 1), FWR_OK);
    assert_int_equal(answer(&pair, &second, 1), FWR_E_STALE); /* answered anew */
    assert_int_equal(pair.response.kind, FWR_RMCP_EVENT_NONE);
    pair_round_trip(&pair, 3);
    pair_end(&pair);
}

static void the_same_datagram_counts_once(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_initiator_status status;
    struct pair pair;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    (void)ask(&pair, 1, 1);
    assert_int_equal(pair_answer(&pair, 4, datagram, &length), FWR_OK);
    assert_int_equal(pair_deliver_back(&pair, datagram, length), FWR_OK);
    assert_int_equal(pair_deliver_back(&pair, datagram, length), FWR_E_STALE);
    fwr_rmcp_initiator_status(pair.initiator, &status);
    assert_int_equal(status.counters.replayed, 1);
    assert_int_equal(status.counters.dropped, 1);
    pair_end(&pair);
}

static void foreign_answers_are_dropped(void **state)
{
    struct fwr_rmcp_command_id id, wrong;
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    id = ask(&pair, 1, 1);
    wrong = id;
    wrong.command = 2;
    assert_int_equal(answer(&pair, &wrong, 4), FWR_E_STALE);
    wrong = id;
    wrong.netfn = 0x2c;
    assert_int_equal(answer(&pair, &wrong, 4), FWR_E_STALE);
    wrong = id;
    wrong.sequence = (uint8_t)((id.sequence + 1) % 64);
    assert_int_equal(answer(&pair, &wrong, 4), FWR_E_STALE);
    wrong = id;
    wrong.requester = 0x83;
    assert_int_equal(answer(&pair, &wrong, 4), FWR_E_MALFORMED);
    assert_int_equal(outstanding(&pair), 1);
    assert_int_equal(answer(&pair, &id, 4), FWR_OK);
    assert_true(pair.response.token == 1);
    pair_end(&pair);
}

/* A forgotten request's number rests for 4 s, an answered one is the last to come again. */
static void sequence_numbers_rest(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    unsigned used[64] = {0};
    struct pair pair;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    for (unsigned i = 0; i < 64; i++) {
        const struct fwr_rmcp_command_id id = ask(&pair, 1, i);

        used[id.sequence]++;
        assert_int_equal(used[id.sequence], 1);
        if (i % 2 == 0)
            assert_int_equal(answer(&pair, &id, 1), FWR_OK);
        else
            assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, i), FWR_OK);
    }
    for (unsigned i = 0; i < 32; i++) { /* only the answered half may be used now */
        const struct fwr_rmcp_command_id id = ask(&pair, 1, i);

        assert_int_equal(++used[id.sequence], 2);
        assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, i), FWR_OK);
    }
    assert_int_equal(pair_request(&pair, 1, 4, 1, datagram, &length), FWR_E_BUSY);
    pair.now += 3999;
    assert_int_equal(pair_request(&pair, 1, 4, 1, datagram, &length), FWR_E_BUSY);
    pair.now += 1;
    assert_int_equal(pair_request(&pair, 1, 4, 1, datagram, &length), FWR_OK);
    pair_end(&pair);
}

static void lengths_have_limits(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];
    struct fwr_rmcp_initiator_status status;
    struct fwr_rmcp_response response;
    struct pair pair;
    size_t length, most;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.datagram = FWR_RMCP_DATAGRAM_IPV4;
    pair.responder_config.datagram = FWR_RMCP_DATAGRAM_IPV4;
    pair_init(&pair);
    pair_open(&pair);
    fwr_rmcp_initiator_status(pair.initiator, &status);
    most = status.max_request + 3; /* the IANA number is data here */
    assert_int_equal(pair_request(&pair, 1, most + 1, 1, datagram, &length), FWR_E_LENGTH);
    assert_int_equal(outstanding(&pair), 0);
    assert_int_equal(pair_request(&pair, 1, most, 1, datagram, &length), FWR_OK);
    assert_true(length <= FWR_RMCP_DATAGRAM_IPV4);
    assert_int_equal(pair_deliver(&pair, datagram, length), FWR_OK);
    assert_int_equal(pair.event.length, most);
    most = fwr_rmcp_max_reply(FWR_RMCP_SUITE_SHA256, FWR_RMCP_DATAGRAM_IPV4) + 3;
    assert_int_equal(pair_answer(&pair, most + 1, datagram, &length), FWR_E_LENGTH);
    assert_int_equal(pair_answer(&pair, most, datagram, &length), FWR_OK);
    assert_true(length <= FWR_RMCP_DATAGRAM_IPV4);
    assert_int_equal(pair_deliver_back(&pair, datagram, length), FWR_OK);
    assert_int_equal(pair.response.length, most + 1);
    /* More than any datagram we know. */
    memset(datagram, 0, sizeof(datagram));
    memcpy(datagram, "\x06\x00\xff\x07\x06\xc0", 6);
    assert_int_equal(
        fwr_rmcp_initiator_receive(pair.initiator, pair.now, datagram, sizeof(datagram), &response),
        FWR_E_MALFORMED);
    pair_end(&pair);
}

static void requests_are_checked(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_request request = {.netfn = 0x2e, .command = 1};
    struct pair pair;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
#define TRY()                                                                                      \
    fwr_rmcp_initiator_request(pair.initiator, pair.now, &request, 1, datagram, sizeof(datagram),  \
                               &length)
    assert_int_equal(TRY(), FWR_E_STATE);
    pair_open(&pair);
    request.netfn = 0x2f;
    assert_int_equal(TRY(), FWR_E_ARGUMENT);
    request.netfn = 0x40;
    assert_int_equal(TRY(), FWR_E_ARGUMENT);
    request.netfn = 0x2e;
    request.lun = 4;
    assert_int_equal(TRY(), FWR_E_ARGUMENT);
    request.lun = 3;
    request.length = 1;
    assert_int_equal(TRY(), FWR_E_ARGUMENT);
    request.length = 0;
    pair.random_fails = true;
    int error = FWR_OK;
    for (unsigned i = 0; i < 32 && error == FWR_OK; i++) { /* until the pool is empty */
        error = TRY();
        if (error == FWR_OK)
            assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, 1), FWR_OK);
    }
    assert_int_equal(error, FWR_E_RANDOM);
    assert_int_equal(outstanding(&pair), 0);
    pair.random_fails = false;
    assert_int_equal(TRY(), FWR_OK);
#undef TRY
    pair_end(&pair);
}

static void close_says_goodbye_once(void **state)
{
    uint8_t datagram[256], late[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_command_id id;
    struct pair pair;
    size_t length, late_length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    id = ask(&pair, 1, 1);
    (void)id;
    assert_int_equal(pair_answer(&pair, 4, late, &late_length), FWR_OK);
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, datagram, sizeof(datagram), &length),
                     FWR_OK);
    assert_true(length > 0);
    assert_int_equal(pair_state(&pair), FWR_RMCP_CLOSED);
    assert_int_equal(pair_deliver(&pair, datagram, length), FWR_OK);
    assert_int_equal(pair.event.kind, FWR_RMCP_EVENT_CLOSED);
    assert_int_equal(pair.event.reason, FWR_E_SESSION_CLOSED);
    assert_int_equal(pair_deliver_back(&pair, late, late_length), FWR_E_STATE);
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, datagram, sizeof(datagram), &length),
                     FWR_OK);
    assert_int_equal(length, 0);
    assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, 1), FWR_E_NOT_FOUND);
    pair_open(&pair); /* and it works again */
    pair_round_trip(&pair, 8);
    pair_end(&pair);
}

static void close_without_room_still_closes(void **state)
{
    uint8_t datagram[256];
    struct pair pair;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    assert_int_equal(fwr_rmcp_initiator_close(pair.initiator, datagram, 10, &length),
                     FWR_E_NO_SPACE);
    assert_int_equal(pair_state(&pair), FWR_RMCP_CLOSED);
    pair_end(&pair);
}

static void handshake_needs_its_room(void **state)
{
    uint8_t datagram[256];
    struct pair pair;
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    assert_int_equal(fwr_rmcp_initiator_next_send(pair.initiator, pair.now, datagram, 50, &length),
                     FWR_E_NO_SPACE);
    assert_int_equal(length, 0);
    pair_settle(&pair);
    assert_int_equal(pair_state(&pair), FWR_RMCP_ACTIVE);
    pair_end(&pair);
}

/* Whatever else comes to that port is dropped and counted, in every state. */
static void strangers_are_dropped(void **state)
{
    static const char *const strangers[] = {
        "\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x00\x00\x00",         /* presence ping */
        "\x06\x00\xff\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", /* empty IPMI 1.5 */
        "\x05\x00\xff\x07\x06\x00\x00\x00\x00\x00\x00\x00",
        "\x06\x00\xff\x07\x02\x00\x00\x00\x00\x00\x00\x00",
    };
    static const size_t lengths[] = {12, 14, 12, 12};
    struct fwr_rmcp_initiator_status status;
    struct fwr_rmcp_response response;
    uint8_t datagram[64];
    struct pair pair;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 4; i++) {
            memcpy(datagram, strangers[i], lengths[i]);
            assert_true(fwr_rmcp_initiator_receive(pair.initiator, pair.now, datagram, lengths[i],
                                                   &response) < 0);
            assert_int_equal(response.kind, FWR_RMCP_EVENT_NONE);
        }
        if (round == 0)
            pair_open(&pair);
    }
    fwr_rmcp_initiator_status(pair.initiator, &status);
    assert_int_equal(status.counters.dropped, 8);
    pair_end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_is_kept),
        cmocka_unit_test(late_and_repeated_answers_are_dropped),
        cmocka_unit_test(the_same_datagram_counts_once),
        cmocka_unit_test(foreign_answers_are_dropped),
        cmocka_unit_test(sequence_numbers_rest),
        cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(close_says_goodbye_once),
        cmocka_unit_test(close_without_room_still_closes),
        cmocka_unit_test(handshake_needs_its_room),
        cmocka_unit_test(strangers_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
