/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that know the password and misbehave: a console and a BMC made by hand from the codecs,
 * whose handshakes succeed and whose packets are authentic. What they say wrongly is dropped or
 * refused; it never becomes a command, an answer, or a session that should not be.
 */
#include "rmcp_pair.h"

#include "link/rmcp/crypto.h"
#include "link/rmcp/packet.h"
#include "link/rmcp/session.h"

#define PAYLOAD FWR_RMCP_PREFIX_SIZE
#define CONSOLE 0x11223344u /* session ids that the hand-made ends choose */
#define MANAGED 0x55667788u

/* One hand-made end. */
struct insider {
    struct pair pair;
    struct fwr_rmcp_rakp rakp;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_random random;
    struct fwr_rmcp_session session;
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    size_t reply_length;
    struct fwr_rmcp_event event;
};

static void insider_begin(struct insider *insider, uint8_t suite)
{
    struct pair *pair = &insider->pair;

    pair_setup(pair, suite);
    memset(&insider->rakp, 0, sizeof(insider->rakp));
    insider->rakp.suite = fwr_rmcp_suite_by_id(suite);
    insider->rakp.user = (const uint8_t *)pair->users[0].name;
    insider->rakp.user_length = pair->users[0].name_length;
    insider->rakp.password = pair->users[0].password;
    insider->rakp.password_length = pair->users[0].password_length;
    fwr_rmcp_random_init(&insider->random, &pair->platform);
    assert_int_equal(fwr_rmcp_mac_init(&insider->mac), FWR_OK);
    assert_int_equal(fwr_rmcp_session_init(&insider->session), FWR_OK);
}

static void insider_end(struct insider *insider)
{
    fwr_rmcp_session_free(&insider->session);
    fwr_rmcp_mac_free(&insider->mac);
    pair_end(&insider->pair);
}

/* Both proofs have been given: the keys follow. */
static void insider_keys(struct insider *insider, uint32_t local, uint32_t peer)
{
    uint8_t sik[FWR_RMCP_DIGEST_MAX];

    assert_int_equal(fwr_rmcp_rakp_sik(&insider->mac, &insider->rakp, sik), FWR_OK);
    assert_int_equal(fwr_rmcp_session_begin(&insider->session, &insider->mac, insider->rakp.suite,
                                            sik, local, peer),
                     FWR_OK);
}

/* Seals `plain`, whatever it is, as a payload's content: only the outside is as it should be. */
static size_t seal_raw(struct insider *insider, const uint8_t *plain, size_t size,
                       uint8_t *datagram)
{
    const size_t payload = FWR_RMCP_BLOCK + size;
    size_t end = PAYLOAD + payload;
    size_t pad = (4 - (FWR_RMCP_SESSION_SIZE + payload + 2) % 4) % 4;

    fwr_rmcp_prefix_encode(datagram, FWR_RMCP_TYPE_ENCRYPTED | FWR_RMCP_TYPE_AUTHENTICATED,
                           insider->session.peer_id, ++insider->session.sent, payload);
    memset(datagram + PAYLOAD, 0x77, FWR_RMCP_BLOCK);
    memcpy(datagram + PAYLOAD + FWR_RMCP_BLOCK, plain, size);
    if (size % FWR_RMCP_BLOCK == 0 && size > 0)
        assert_int_equal(fwr_rmcp_keys_encrypt(&insider->session.keys, datagram + PAYLOAD,
                                               datagram + PAYLOAD + FWR_RMCP_BLOCK, size),
                         FWR_OK);
    memset(datagram + end, 0xff, pad);
    end += pad;
    datagram[end++] = (uint8_t)pad;
    datagram[end++] = 0x07;
    assert_int_equal(fwr_rmcp_keys_check(&insider->session.keys, datagram + FWR_RMCP_HEADER_SIZE,
                                         end - FWR_RMCP_HEADER_SIZE, datagram + end),
                     FWR_OK);
    return end + insider->rakp.suite->check_size;
}

static size_t seal(struct insider *insider, const struct fwr_rmcp_message *message,
                   uint8_t *datagram)
{
    size_t length;

    assert_int_equal(fwr_rmcp_session_seal(&insider->session, &insider->random, message,
                                           FWR_RMCP_DATAGRAM_MAX, datagram, FWR_RMCP_DATAGRAM_MAX,
                                           &length),
                     FWR_OK);
    return length;
}

/* ---- A console against the responder ------------------------------------------------------ */

static int tell_responder(struct insider *insider, uint8_t *datagram, size_t length)
{
    struct pair *pair = &insider->pair;

    return fwr_rmcp_responder_receive(pair->responder, pair->now, &pair->peer, datagram, length,
                                      &insider->event, insider->reply, sizeof(insider->reply),
                                      &insider->reply_length);
}

static void log_in(struct insider *insider)
{
    const struct fwr_rmcp_open_request open = {1, 0, CONSOLE, insider->rakp.suite->algorithms};
    struct fwr_rmcp_rakp1 rakp1 = {.tag = 2, .role = 0x10 | FWR_PRIVILEGE_USER};
    struct fwr_rmcp_rakp34 rakp3 = {.tag = 3};
    struct fwr_rmcp_rakp *rakp = &insider->rakp;
    struct fwr_rmcp_open_response opened;
    struct fwr_rmcp_rakp2 rakp2;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length = fwr_rmcp_open_request_encode(&open, datagram + PAYLOAD);

    fwr_rmcp_prefix_encode(datagram, FWR_RMCP_PAYLOAD_OPEN_REQUEST, 0, 0, length);
    assert_int_equal(tell_responder(insider, datagram, PAYLOAD + length), FWR_OK);
    assert_int_equal(fwr_rmcp_open_response_decode(&opened, insider->reply + PAYLOAD,
                                                   insider->reply_length - PAYLOAD),
                     FWR_OK);
    rakp->console = CONSOLE;
    rakp->managed = rakp1.managed = rakp3.session = opened.managed;
    rakp->role = rakp1.role;
    rakp1.user_length = rakp->user_length;
    memcpy(rakp1.user, rakp->user, rakp->user_length);
    length = fwr_rmcp_rakp1_encode(&rakp1, datagram + PAYLOAD);
    fwr_rmcp_prefix_encode(datagram, FWR_RMCP_PAYLOAD_RAKP1, 0, 0, length);
    assert_int_equal(tell_responder(insider, datagram, PAYLOAD + length), FWR_OK);
    assert_int_equal(
        fwr_rmcp_rakp2_decode(&rakp2, insider->reply + PAYLOAD, insider->reply_length - PAYLOAD),
        FWR_OK);
    memcpy(rakp->managed_random, rakp2.random, sizeof(rakp2.random));
    memcpy(rakp->guid, rakp2.guid, sizeof(rakp2.guid));
    assert_int_equal(fwr_rmcp_rakp3_code(&insider->mac, rakp, rakp3.check), FWR_OK);
    rakp3.check_length = rakp->suite->digest_size;
    length = fwr_rmcp_rakp34_encode(&rakp3, datagram + PAYLOAD);
    fwr_rmcp_prefix_encode(datagram, FWR_RMCP_PAYLOAD_RAKP3, 0, 0, length);
    assert_int_equal(tell_responder(insider, datagram, PAYLOAD + length), FWR_OK);
    assert_int_equal(insider->event.kind, FWR_RMCP_EVENT_OPENED);
    insider_keys(insider, CONSOLE, opened.managed);
}

static struct fwr_rmcp_message command_of(uint8_t command)
{
    const struct fwr_rmcp_message message = {
        FWR_RMCP_ADDRESS_BMC, 0x2e, 0, FWR_RMCP_ADDRESS_CONSOLE, 5, 0, command, NULL, 0};

    return message;
}

/* The session still takes a command that is right. */
static void assert_still_heard(struct insider *insider)
{
    const struct fwr_rmcp_message message = command_of(0xc0);
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    const size_t length = seal(insider, &message, datagram);

    assert_int_equal(tell_responder(insider, datagram, length), FWR_OK);
    assert_int_equal(insider->event.kind, FWR_RMCP_EVENT_COMMAND);
    assert_int_equal(insider->event.id.command, 0xc0);
}

static void assert_dropped(struct insider *insider, uint8_t *datagram, size_t length)
{
    assert_int_equal(tell_responder(insider, datagram, length), FWR_E_MALFORMED);
    assert_int_equal(insider->event.kind, FWR_RMCP_EVENT_NONE);
    assert_int_equal(insider->reply_length, 0);
}

static void messages_to_others_are_dropped(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message message;
    struct insider insider;

    (void)state;
    insider_begin(&insider, FWR_RMCP_SUITE_SHA256);
    log_in(&insider);
    message = command_of(0xc0);
    message.to = 0x82; /* another controller on the bus */
    assert_dropped(&insider, datagram, seal(&insider, &message, datagram));
    message = command_of(0xc0);
    message.netfn |= 1; /* a response to nothing that was asked */
    assert_dropped(&insider, datagram, seal(&insider, &message, datagram));
    assert_still_heard(&insider);
    insider_end(&insider);
}

/* Every pad that is not 1, 2, 3 ... and every length that is not whole blocks. */
static void payloads_of_wrong_shape_are_dropped(void **state)
{
    static const uint8_t suites[] = {FWR_RMCP_SUITE_SHA256, FWR_RMCP_SUITE_SHA1};
    const struct fwr_rmcp_message message = command_of(0xc1);

    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], plain[3 * FWR_RMCP_BLOCK] = {0}, good[16];
        struct insider insider;

        insider_begin(&insider, suites[s]);
        log_in(&insider);
        assert_int_equal(fwr_rmcp_message_encode(&message, good), 7);
        for (uint8_t i = 0; i < 8; i++)
            good[7 + i] = (uint8_t)(i + 1);
        good[15] = 8;
        assert_int_equal(
            tell_responder(&insider, datagram, seal_raw(&insider, good, sizeof(good), datagram)),
            FWR_OK);
        assert_int_equal(insider.event.kind, FWR_RMCP_EVENT_COMMAND);
        for (unsigned pad = 16; pad < 256; pad++) {
            memcpy(plain, good, sizeof(good));
            plain[15] = (uint8_t)pad;
            assert_dropped(&insider, datagram, seal_raw(&insider, plain, 16, datagram));
        }
        for (size_t at = 7; at < 15; at++) {
            memcpy(plain, good, sizeof(good));
            plain[at] ^= 0x40;
            assert_dropped(&insider, datagram, seal_raw(&insider, plain, 16, datagram));
        }
        for (size_t size = 0; size < sizeof(plain); size++) {
            if (size == 0 || size % FWR_RMCP_BLOCK != 0)
                assert_dropped(&insider, datagram, seal_raw(&insider, plain, size, datagram));
        }
        memset(plain, 0, sizeof(plain)); /* no pad, and no message either */
        assert_dropped(&insider, datagram, seal_raw(&insider, plain, 16, datagram));
        assert_still_heard(&insider);
        insider_end(&insider);
    }
}

/* ---- A BMC against the initiator ---------------------------------------------------------- */

static int tell_initiator(struct insider *insider, uint8_t *datagram, size_t length)
{
    struct pair *pair = &insider->pair;

    return fwr_rmcp_initiator_receive(pair->initiator, pair->now, datagram, length,
                                      &pair->response);
}

/* What the initiator sends next; fails the test when it is silent. */
static void hear_initiator(struct insider *insider, uint8_t type, uint8_t *datagram)
{
    struct pair *pair = &insider->pair;
    size_t length;

    assert_int_equal(fwr_rmcp_initiator_next_send(pair->initiator, pair->now, datagram,
                                                  FWR_RMCP_DATAGRAM_MAX, &length),
                     FWR_OK);
    assert_true(length > 0);
    assert_int_equal(datagram[5] & 0x3f, type);
}

static int answer_outside(struct insider *insider, uint8_t type, uint8_t *datagram, size_t length)
{
    fwr_rmcp_prefix_encode(datagram, type, 0, 0, length);
    return tell_initiator(insider, datagram, PAYLOAD + length);
}

/* The handshake up to `until`, the payload that the initiator waits for then. The message that
 * answers it rightly is in `datagram`, without its prefix; its length. */
static size_t play_bmc(struct insider *insider, uint8_t until, uint8_t *datagram)
{
    struct fwr_rmcp_open_response opened = {.managed = MANAGED,
                                            .algorithms = insider->rakp.suite->algorithms};
    struct fwr_rmcp_rakp2 rakp2 = {.check_length = insider->rakp.suite->digest_size};
    struct fwr_rmcp_rakp34 rakp4 = {.check_length = insider->rakp.suite->check_size};
    struct fwr_rmcp_rakp *rakp = &insider->rakp;
    uint8_t asked[FWR_RMCP_DATAGRAM_MAX], sik[FWR_RMCP_DIGEST_MAX];
    struct fwr_rmcp_open_request open;
    struct fwr_rmcp_rakp1 rakp1;
    size_t length;

    hear_initiator(insider, FWR_RMCP_PAYLOAD_OPEN_REQUEST, asked);
    assert_int_equal(fwr_rmcp_open_request_decode(&open, asked + PAYLOAD, 32), FWR_OK);
    opened.tag = open.tag;
    opened.console = rakp2.console = rakp4.session = rakp->console = open.console;
    rakp->managed = MANAGED;
    length = fwr_rmcp_open_response_encode(&opened, datagram + PAYLOAD);
    if (until == FWR_RMCP_PAYLOAD_OPEN_RESPONSE)
        return length;
    assert_int_equal(answer_outside(insider, FWR_RMCP_PAYLOAD_OPEN_RESPONSE, datagram, length),
                     FWR_OK);
    hear_initiator(insider, FWR_RMCP_PAYLOAD_RAKP1, asked);
    assert_int_equal(fwr_rmcp_rakp1_decode(&rakp1, asked + PAYLOAD, 28u + rakp->user_length),
                     FWR_OK);
    memcpy(rakp->console_random, rakp1.random, sizeof(rakp1.random));
    rakp->role = rakp1.role;
    rakp2.tag = rakp1.tag;
    assert_int_equal(fwr_rmcp_rakp2_code(&insider->mac, rakp, rakp2.check), FWR_OK);
    length = fwr_rmcp_rakp2_encode(&rakp2, datagram + PAYLOAD);
    if (until == FWR_RMCP_PAYLOAD_RAKP2)
        return length;
    assert_int_equal(answer_outside(insider, FWR_RMCP_PAYLOAD_RAKP2, datagram, length), FWR_OK);
    hear_initiator(insider, FWR_RMCP_PAYLOAD_RAKP3, asked);
    rakp4.tag = asked[PAYLOAD];
    assert_int_equal(fwr_rmcp_rakp_sik(&insider->mac, rakp, sik), FWR_OK);
    assert_int_equal(fwr_rmcp_rakp4_code(&insider->mac, rakp, sik, rakp4.check), FWR_OK);
    return fwr_rmcp_rakp34_encode(&rakp4, datagram + PAYLOAD);
}

static void start(struct insider *insider)
{
    assert_int_equal(fwr_rmcp_initiator_start(insider->pair.initiator, insider->pair.now), FWR_OK);
}

static uint64_t dropped(const struct insider *insider)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(insider->pair.initiator, &status);
    return status.counters.dropped;
}

/* Every shorter and longer form of each answer is dropped, and the right one still taken. */
static void answers_of_wrong_length_are_dropped(void **state)
{
    static const uint8_t types[] = {FWR_RMCP_PAYLOAD_OPEN_RESPONSE, FWR_RMCP_PAYLOAD_RAKP2,
                                    FWR_RMCP_PAYLOAD_RAKP4};
    static const uint8_t suites[] = {FWR_RMCP_SUITE_SHA256, FWR_RMCP_SUITE_SHA1};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(types); i++) {
        const uint8_t type = types[i / 2];
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX] = {0};
        struct insider insider;
        size_t length;

        insider_begin(&insider, suites[i % 2]);
        start(&insider);
        length = play_bmc(&insider, type, datagram);
        for (size_t other = 0; other < length + 40; other++) {
            const uint64_t before = dropped(&insider);

            if (other == length)
                continue;
            if (answer_outside(&insider, type, datagram, other) != FWR_E_MALFORMED)
                fail_msg("payload type %02x with %zu bytes instead of %zu is taken", type, other,
                         length);
            assert_true(dropped(&insider) == before + 1);
            assert_int_equal(pair_state(&insider.pair), FWR_RMCP_OPENING);
        }
        assert_int_equal(answer_outside(&insider, type, datagram, length), FWR_OK);
        insider_end(&insider);
    }
}

/* Session id 0 is nobody's: with it every later packet would be outside sessions. */
static void no_session_id_is_dropped(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct insider insider;
    size_t length;

    (void)state;
    insider_begin(&insider, FWR_RMCP_SUITE_SHA256);
    start(&insider);
    length = play_bmc(&insider, FWR_RMCP_PAYLOAD_OPEN_RESPONSE, datagram);
    fwr_rmcp_put32(datagram + PAYLOAD + 8, 0);
    assert_int_equal(answer_outside(&insider, FWR_RMCP_PAYLOAD_OPEN_RESPONSE, datagram, length),
                     FWR_E_MALFORMED);
    insider_end(&insider);
}

/* In each step every payload type but the one that is due is dropped, and so is that one as a
 * packet that calls itself sealed. */
static void answers_out_of_turn_are_dropped(void **state)
{
    static const uint8_t types[] = {FWR_RMCP_PAYLOAD_OPEN_RESPONSE, FWR_RMCP_PAYLOAD_RAKP2,
                                    FWR_RMCP_PAYLOAD_RAKP4};

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
        struct insider insider;
        size_t length;

        insider_begin(&insider, FWR_RMCP_SUITE_SHA256);
        start(&insider);
        length = play_bmc(&insider, types[i], datagram);
        for (uint8_t type = 0; type < 0x40; type++) {
            if (type != types[i])
                assert_int_equal(answer_outside(&insider, type, datagram, length), FWR_E_STATE);
        }
        for (unsigned sealed = 0x40; sealed < 0x100; sealed += 0x40)
            assert_true(answer_outside(&insider, (uint8_t)(types[i] | sealed), datagram, length) <
                        0);
        assert_int_equal(answer_outside(&insider, types[i], datagram, length), FWR_OK);
        insider_end(&insider);
    }
}

/* The whole handshake; the initiator has asked for its privilege, whose answer is returned. */
static struct fwr_rmcp_message play_until_privilege(struct insider *insider)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message request;
    struct fwr_rmcp_packet packet;
    struct pair *pair = &insider->pair;
    size_t length;

    start(insider);
    length = play_bmc(insider, FWR_RMCP_PAYLOAD_RAKP4, datagram);
    assert_int_equal(answer_outside(insider, FWR_RMCP_PAYLOAD_RAKP4, datagram, length), FWR_OK);
    insider_keys(insider, MANAGED, insider->rakp.console);
    assert_int_equal(fwr_rmcp_initiator_next_send(pair->initiator, pair->now, datagram,
                                                  sizeof(datagram), &length),
                     FWR_OK);
    assert_int_equal(fwr_rmcp_packet_decode(&packet, datagram, length), FWR_OK);
    assert_int_equal(fwr_rmcp_session_open(&insider->session, &packet, datagram, length, &request,
                                           &(struct fwr_rmcp_counters){0}),
                     FWR_OK);
    assert_int_equal(request.command, FWR_IPMI_SET_PRIVILEGE);
    return fwr_rmcp_message_answer(&request);
}

static int answer_privilege(struct insider *insider, const struct fwr_rmcp_message *message)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];

    return tell_initiator(insider, datagram, seal(insider, message, datagram));
}

static void answers_to_another_question_are_dropped(void **state)
{
    static const uint8_t granted[] = {0, FWR_PRIVILEGE_USER};
    struct fwr_rmcp_message right, wrong;
    struct insider insider;

    (void)state;
    insider_begin(&insider, FWR_RMCP_SUITE_SHA256);
    right = play_until_privilege(&insider);
    right.data = granted;
    right.length = sizeof(granted);
#define DROPPED(change, error)                                                                     \
    do {                                                                                           \
        wrong = right;                                                                             \
        change;                                                                                    \
        assert_int_equal(answer_privilege(&insider, &wrong), error);                               \
        assert_int_equal(pair_state(&insider.pair), FWR_RMCP_OPENING);                             \
    } while (0)
    DROPPED(wrong.netfn = 0x2f, FWR_E_STALE);
    DROPPED(wrong.netfn = 0x06, FWR_E_STALE);
    DROPPED(wrong.command = FWR_IPMI_CLOSE_SESSION, FWR_E_STALE);
    DROPPED(wrong.sequence ^= 1, FWR_E_STALE);
    DROPPED(wrong.to = FWR_RMCP_ADDRESS_BMC, FWR_E_MALFORMED);
    DROPPED(wrong.length = 0, FWR_E_MALFORMED); /* not even a completion code */
#undef DROPPED
    assert_int_equal(answer_privilege(&insider, &right), FWR_OK);
    assert_int_equal(pair_state(&insider.pair), FWR_RMCP_ACTIVE);
    insider_end(&insider);
}

/* A session with less than was asked for is none. */
static void less_privilege_ends_it(void **state)
{
    static const struct {
        uint8_t bytes[2];
        uint8_t length;
    } answers[] = {
        {{0x81, FWR_PRIVILEGE_USER}, 2},
        {{0x81, 0}, 1},
        {{0, FWR_PRIVILEGE_CALLBACK}, 2},
        {{0, 0x10}, 2},
        {{0, 0}, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct fwr_rmcp_initiator_status status;
        struct fwr_rmcp_message answer;
        struct insider insider;

        insider_begin(&insider, FWR_RMCP_SUITE_SHA256);
        answer = play_until_privilege(&insider);
        answer.data = answers[i].bytes;
        answer.length = answers[i].length;
        assert_int_equal(answer_privilege(&insider, &answer), FWR_OK);
        fwr_rmcp_initiator_status(insider.pair.initiator, &status);
        assert_int_equal(status.state, FWR_RMCP_FAILED);
        assert_int_equal(status.error, FWR_E_SESSION_PRIVILEGE);
        assert_int_equal(status.peer_code, answers[i].bytes[0]);
        assert_int_equal(insider.pair.response.kind, FWR_RMCP_EVENT_CLOSED);
        insider_end(&insider);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_to_others_are_dropped),
        cmocka_unit_test(payloads_of_wrong_shape_are_dropped),
        cmocka_unit_test(answers_of_wrong_length_are_dropped),
        cmocka_unit_test(no_session_id_is_dropped),
        cmocka_unit_test(answers_out_of_turn_are_dropped),
        cmocka_unit_test(answers_to_another_question_are_dropped),
        cmocka_unit_test(less_privilege_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
