/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An active RMCP+ session by itself: the codes and packets against values made with another
 * implementation (Python's hmac and the openssl command), every length, the sequence window,
 * damaged packets, and that keys are gone afterwards.
 */
#include "rmcp_pair.h"

#include <stdio.h>

#include "link/rmcp/session.h"

#define IANA 0xd9, 0x7e, 0x00

static const uint8_t suites[] = {FWR_RMCP_SUITE_SHA256, FWR_RMCP_SUITE_SHA1};

static int fixed_random(void *ctx, void *buffer, size_t length)
{
    (void)ctx;
    memset(buffer, 0x5a, length);
    return FWR_OK;
}

static int no_random(void *ctx, void *buffer, size_t length)
{
    (void)ctx;
    (void)buffer;
    (void)length;
    return FWR_E_RANDOM;
}

static const struct fwr_platform fixed = {.size = sizeof(fixed), .random = fixed_random};
static const struct fwr_platform none = {.size = sizeof(none), .random = no_random};

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t length = 0;

    for (; text[0] != '\0'; text += 2) {
        const char digits[3] = {text[0], text[1], '\0'};

        out[length++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return length;
}

static void assert_hex(const uint8_t *bytes, const char *text)
{
    uint8_t expected[FWR_RMCP_DATAGRAM_MAX];
    const size_t length = from_hex(text, expected);

    assert_memory_equal(bytes, expected, length);
}

struct known {
    uint8_t suite;
    const char *rakp2;
    const char *rakp3;
    const char *sik;
    const char *rakp4;
    const char *packet;
};

static const struct known known[] = {
    {17, "e8434e82d485c805ecbb5782dd610bcf127a35b9ef1c80783dd3a364a9570b2d",
     "2bd49377a66894c5ab17c33c39a2772867ca9481b87c5c175ef6d7dc7ca06dbe",
     "c769732596fc107cd7a15bd5228562c1a10ac1b88bd3260a3d5896947b4349e5",
     "67f3b3b4e2b0daba866ccd35aa2b31104ea1cf0288711e4a8e8c25c83ddb998f",
     "0600ff0706c0d4c3b2a10100000020005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
     "3921620ddd796f1231a205f45026b905ffff020772191cd1abb53ebaf039a03184ed6ada"},
    {3, "9bccfd8dc42e6137cf30fa89ac569d6bdfeb34e7", "6740ccb066ce3c5720a8c5faf543eccc7b1f0423",
     "03ff219c66fffcdea80930f8b1ad29208b23f712", "efae4db2a2830c4040f4d3d09af7aedac3047619",
     "0600ff0706c0d4c3b2a10100000020005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
     "bbb8725c133aacfa9ff220147b640306ffff02071dfba5f2198378c05d03a435"},
};

static void count_up(uint8_t *bytes, uint8_t first)
{
    for (uint8_t i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(first + i);
}

static void codes_and_packet_are_the_known_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct fwr_rmcp_rakp rakp = {
            .suite = fwr_rmcp_suite_by_id(known[i].suite),
            .console = 0x11223344,
            .managed = 0xa1b2c3d4,
            .role = 0x12,
            .user = (const uint8_t *)"donor",
            .user_length = 5,
            .password = (const uint8_t *)"twenty bytes of key!",
            .password_length = 20,
            .kg = (const uint8_t *)"\1\2\3",
            .kg_length = 3,
        };
        static const uint8_t data[] = {IANA, 0xaa};
        const struct fwr_rmcp_message message = {0x20, 0x2e, 1, 0x81, 5, 0, 0xc0, data, 4};
        struct fwr_rmcp_mac mac;
        struct fwr_rmcp_session session;
        struct fwr_rmcp_random random;
        uint8_t code[FWR_RMCP_DIGEST_MAX], packet[FWR_RMCP_DATAGRAM_MAX];
        size_t length;

        count_up(rakp.console_random, 0x10);
        count_up(rakp.managed_random, 0x80);
        count_up(rakp.guid, 0xf0);
        assert_int_equal(fwr_rmcp_mac_init(&mac), FWR_OK);
        assert_int_equal(fwr_rmcp_rakp2_code(&mac, &rakp, code), FWR_OK);
        assert_hex(code, known[i].rakp2);
        assert_int_equal(fwr_rmcp_rakp3_code(&mac, &rakp, code), FWR_OK);
        assert_hex(code, known[i].rakp3);
        assert_int_equal(fwr_rmcp_rakp_sik(&mac, &rakp, code), FWR_OK);
        assert_hex(code, known[i].sik);
        assert_int_equal(fwr_rmcp_session_init(&session), FWR_OK);
        assert_int_equal(fwr_rmcp_session_begin(&session, &mac, rakp.suite, code, 1, 0xa1b2c3d4),
                         FWR_OK);
        assert_int_equal(fwr_rmcp_rakp4_code(&mac, &rakp, code, packet), FWR_OK);
        assert_hex(packet, known[i].rakp4);
        fwr_rmcp_random_init(&random, &fixed);
        assert_int_equal(fwr_rmcp_session_seal(&session, &random, &message, 1472, packet,
                                               sizeof(packet), &length),
                         FWR_OK);
        assert_int_equal(length, strlen(known[i].packet) / 2);
        assert_hex(packet, known[i].packet);
        fwr_rmcp_session_free(&session);
        fwr_rmcp_mac_free(&mac);
    }
}

/* Two ends of one session, without a handshake. */
struct ends {
    struct fwr_rmcp_session a;
    struct fwr_rmcp_session b;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_random random;
    struct fwr_rmcp_counters counters;
};

static void ends_begin(struct ends *ends, uint8_t suite)
{
    const uint8_t sik[FWR_RMCP_DIGEST_MAX] = "not much of a secret";
    const struct fwr_rmcp_suite *known_suite = fwr_rmcp_suite_by_id(suite);

    memset(ends, 0, sizeof(*ends));
    fwr_rmcp_random_init(&ends->random, &fixed);
    assert_int_equal(fwr_rmcp_mac_init(&ends->mac), FWR_OK);
    assert_int_equal(fwr_rmcp_session_init(&ends->a), FWR_OK);
    assert_int_equal(fwr_rmcp_session_init(&ends->b), FWR_OK);
    assert_int_equal(fwr_rmcp_session_begin(&ends->a, &ends->mac, known_suite, sik, 1, 2), FWR_OK);
    assert_int_equal(fwr_rmcp_session_begin(&ends->b, &ends->mac, known_suite, sik, 2, 1), FWR_OK);
}

static void ends_free(struct ends *ends)
{
    fwr_rmcp_session_free(&ends->a);
    fwr_rmcp_session_free(&ends->b);
    fwr_rmcp_mac_free(&ends->mac);
}

static int ends_seal(struct ends *ends, size_t data_length, size_t limit, uint8_t *datagram,
                     size_t size, size_t *length)
{
    uint8_t data[FWR_RMCP_DATAGRAM_MAX + 16];
    const struct fwr_rmcp_message message = {0x20, 0x2e, 0, 0x81, 7, 0, 0xc1, data, data_length};

    memset(data, 0x33, sizeof(data));
    return fwr_rmcp_session_seal(&ends->a, &ends->random, &message, limit, datagram, size, length);
}

/* Opens a copy, so that the datagram can be used again. */
static int ends_open(struct ends *ends, const uint8_t *datagram, size_t length,
                     struct fwr_rmcp_message *message, uint8_t *copy)
{
    struct fwr_rmcp_packet packet;
    int error;

    memcpy(copy, datagram, length);
    error = fwr_rmcp_packet_decode(&packet, copy, length);
    if (error != FWR_OK)
        return error;
    if (packet.class != FWR_RMCP_CLASS_IPMI20)
        return FWR_E_MALFORMED;
    if (packet.session != ends->b.local_id)
        return FWR_E_SESSION_CLOSED;
    return fwr_rmcp_session_open(&ends->b, &packet, copy, length, message, &ends->counters);
}

static void every_length_travels(void **state)
{
    static const size_t datagrams[] = {FWR_RMCP_DATAGRAM_IPV4, FWR_RMCP_DATAGRAM_IPV6, 576, 128};

    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        for (size_t d = 0; d < sizeof(datagrams) / sizeof(datagrams[0]); d++) {
            const size_t limit = datagrams[d];
            const size_t most = fwr_rmcp_max_request(suites[s], limit) + 3;
            uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], copy[FWR_RMCP_DATAGRAM_MAX];
            struct fwr_rmcp_message message;
            struct ends ends;
            size_t length;

            ends_begin(&ends, suites[s]);
            for (size_t n = 0; n <= most; n++) {
                assert_int_equal(ends_seal(&ends, n, limit, datagram, sizeof(datagram), &length),
                                 FWR_OK);
                assert_true(length <= limit);
                assert_int_equal(ends_seal(&ends, n, limit, copy, length - 1, &length),
                                 FWR_E_NO_SPACE);
                assert_int_equal(ends_seal(&ends, n, limit, datagram, sizeof(datagram), &length),
                                 FWR_OK);
                assert_int_equal(ends_open(&ends, datagram, length, &message, copy), FWR_OK);
                assert_int_equal(message.length, n);
                assert_int_equal(message.command, 0xc1);
                assert_true(n == 0 || message.data[n - 1] == 0x33);
            }
            assert_int_equal(ends_seal(&ends, most + 1, limit, datagram, sizeof(datagram), &length),
                             FWR_E_LENGTH);
            assert_int_equal(length, 0);
            ends_free(&ends);
        }
    }
}

static void limits_are_the_documented_ones(void **state)
{
    (void)state;
    assert_int_equal(fwr_rmcp_max_request(17, FWR_RMCP_DATAGRAM_IPV4), 1397);
    assert_int_equal(fwr_rmcp_max_reply(17, FWR_RMCP_DATAGRAM_IPV4), 1396);
    assert_int_equal(fwr_rmcp_max_request(17, FWR_RMCP_DATAGRAM_IPV6), 1381);
    assert_int_equal(fwr_rmcp_max_reply(17, FWR_RMCP_DATAGRAM_IPV6), 1380);
    assert_int_equal(fwr_rmcp_max_request(2, FWR_RMCP_DATAGRAM_IPV4), 0);
    assert_int_equal(fwr_rmcp_max_request(17, 0), 0);
    assert_int_equal(fwr_rmcp_max_request(17, 63), 0);
    for (size_t datagram = 0; datagram < 100; datagram++)
        assert_true(fwr_rmcp_max_reply(3, datagram) <= datagram);
}

/* A packet with this sequence number. */
static size_t numbered(struct ends *ends, uint32_t sequence, uint8_t *datagram)
{
    size_t length;

    ends->a.sent = sequence - 1;
    assert_int_equal(ends_seal(ends, 4, 1472, datagram, FWR_RMCP_DATAGRAM_MAX, &length), FWR_OK);
    return length;
}

static int deliver(struct ends *ends, uint32_t sequence)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], copy[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message message;
    const size_t length = numbered(ends, sequence, datagram);

    return ends_open(ends, datagram, length, &message, copy);
}

static void window_has_exact_edges(void **state)
{
    struct ends ends;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(deliver(&ends, 100), FWR_OK);
    assert_int_equal(deliver(&ends, 100), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 84), FWR_OK); /* 16 behind */
    assert_int_equal(deliver(&ends, 84), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 83), FWR_E_STALE); /* 17 behind */
    for (uint32_t sequence = 99; sequence > 84; sequence--)
        assert_int_equal(deliver(&ends, sequence), FWR_OK);
    for (uint32_t sequence = 80; sequence <= 100; sequence++)
        assert_int_equal(deliver(&ends, sequence), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 115), FWR_OK); /* 15 ahead */
    assert_int_equal(deliver(&ends, 100), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 101), FWR_OK);
    assert_int_equal(deliver(&ends, 131), FWR_OK); /* 16 ahead: loss, not an attack */
    assert_int_equal(deliver(&ends, 115), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 131 + 32), FWR_OK);
    assert_int_equal(deliver(&ends, 131 + 31), FWR_OK);
    assert_int_equal(deliver(&ends, 131), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 1000000), FWR_OK);
    assert_int_equal(deliver(&ends, 131 + 32), FWR_E_STALE);
    assert_true(ends.counters.replayed > 20);
    assert_true(ends.counters.forged == 0);
    ends_free(&ends);
}

/* Else numbers seen long ago would be ahead again after two such steps. */
static void no_step_goes_half_way_round(void **state)
{
    struct ends ends;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(deliver(&ends, 7), FWR_OK);
    assert_int_equal(deliver(&ends, 7 + (1 << 20) + 1), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 7u + 0x7fffffff), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 7 + (1 << 20)), FWR_OK);
    assert_int_equal(deliver(&ends, 7), FWR_E_STALE);
    ends_free(&ends);
}

static void sequence_wraps_past_zero(void **state)
{
    struct ends ends;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    ends.b.newest = 0xfffffff0; /* after some days */
    assert_int_equal(deliver(&ends, 0xfffffffd), FWR_OK);
    assert_int_equal(deliver(&ends, 0xffffffff), FWR_OK);
    ends.a.sent = 0xffffffff;
    assert_int_equal(ends_seal(&ends, 0, 1472, datagram, sizeof(datagram), &length), FWR_OK);
    assert_int_equal(ends.a.sent, 1); /* 0 belongs to no session */
    assert_int_equal(deliver(&ends, 1), FWR_OK);
    assert_int_equal(deliver(&ends, 0xfffffffe), FWR_OK);
    assert_int_equal(deliver(&ends, 0xfffffffd), FWR_E_STALE);
    assert_int_equal(deliver(&ends, 2), FWR_OK);
    ends_free(&ends);
}

/* Sequence number 0 belongs to no session, not even with a right integrity code. */
static void number_zero_is_refused(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], copy[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message message;
    struct ends ends;
    size_t length;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    length = numbered(&ends, 5, datagram);
    for (uint32_t sequence = 0; sequence < 2; sequence++) {
        fwr_rmcp_put32(datagram + 10, sequence);
        assert_int_equal(fwr_rmcp_keys_check(&ends.a.keys, datagram + 4, length - 4 - 16,
                                             datagram + length - 16),
                         FWR_OK);
        assert_int_equal(ends_open(&ends, datagram, length, &message, copy),
                         sequence == 0 ? FWR_E_STALE : FWR_OK);
    }
    ends_free(&ends);
}

/* Authentic but longer than any datagram we take. */
static void oversized_packet_is_refused(void **state)
{
    uint8_t datagram[2048], copy[2048];
    struct fwr_rmcp_message message;
    struct ends ends;
    size_t length;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    assert_int_equal(ends_seal(&ends, 1440, 2048, datagram, sizeof(datagram), &length), FWR_OK);
    assert_true(length > FWR_RMCP_DATAGRAM_MAX);
    assert_int_equal(ends_open(&ends, datagram, length, &message, copy), FWR_E_MALFORMED);
    ends_free(&ends);
}

static void every_damage_is_noticed(void **state)
{
    static const uint8_t flips[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff};

    (void)state;
    for (size_t s = 0; s < sizeof(suites); s++) {
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], copy[FWR_RMCP_DATAGRAM_MAX];
        struct fwr_rmcp_message message;
        struct ends ends;
        size_t length;

        ends_begin(&ends, suites[s]);
        length = numbered(&ends, 5, datagram);
        for (size_t at = 0; at < length; at++) {
            for (size_t f = 0; f < sizeof(flips); f++) {
                if (at == 1 || at == 2)
                    continue; /* RMCP's own sequence number: outside what is protected */
                datagram[at] ^= flips[f];
                assert_int_not_equal(ends_open(&ends, datagram, length, &message, copy), FWR_OK);
                datagram[at] ^= flips[f];
            }
        }
        for (size_t cut = 0; cut < length; cut++)
            assert_int_not_equal(ends_open(&ends, datagram, cut, &message, copy), FWR_OK);
        datagram[length] = 0;
        assert_int_not_equal(ends_open(&ends, datagram, length + 1, &message, copy), FWR_OK);
        assert_true(ends.counters.forged > 100);
        assert_int_equal(ends.b.newest, 0); /* nothing moved */
        assert_int_equal(ends_open(&ends, datagram, length, &message, copy), FWR_OK);
        ends_free(&ends);
    }
}

static void unprotected_packets_are_refused(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], copy[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message message;
    struct ends ends;
    size_t length;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    length = numbered(&ends, 5, datagram);
    datagram[5] = FWR_RMCP_TYPE_AUTHENTICATED;
    assert_int_equal(ends_open(&ends, datagram, length, &message, copy), FWR_E_SESSION_SUITE);
    datagram[5] = FWR_RMCP_TYPE_ENCRYPTED;
    assert_int_equal(ends_open(&ends, datagram, FWR_RMCP_PREFIX_SIZE + 32, &message, copy),
                     FWR_E_SESSION_SUITE);
    datagram[5] = 0;
    assert_int_equal(ends_open(&ends, datagram, FWR_RMCP_PREFIX_SIZE + 32, &message, copy),
                     FWR_E_SESSION_SUITE);
    datagram[5] = FWR_RMCP_TYPE_ENCRYPTED | FWR_RMCP_TYPE_AUTHENTICATED | 1; /* serial over LAN */
    assert_int_equal(ends_open(&ends, datagram, length, &message, copy), FWR_E_SESSION_SUITE);
    ends_free(&ends);
}

static void failed_seal_uses_no_number(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct ends ends;
    size_t length;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    fwr_rmcp_random_init(&ends.random, &none);
    assert_int_equal(ends_seal(&ends, 4, 1472, datagram, sizeof(datagram), &length), FWR_E_RANDOM);
    assert_int_equal(length, 0);
    assert_int_equal(ends.a.sent, 0);
    ends_free(&ends);
}

static void ivs_do_not_repeat(void **state)
{
    struct pair pair;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    uint8_t ivs[64][FWR_RMCP_BLOCK];
    size_t length;

    (void)state;
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair_open(&pair);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(pair_request(&pair, 1, 4, i, datagram, &length), FWR_OK);
        assert_int_equal(fwr_rmcp_initiator_forget(pair.initiator, pair.now, i), FWR_OK);
        pair.now += 5000;
        memcpy(ivs[i], datagram + FWR_RMCP_PREFIX_SIZE, FWR_RMCP_BLOCK);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(ivs[i], ivs[j], FWR_RMCP_BLOCK);
    }
    pair_end(&pair);
}

/* ---- Wiping ------------------------------------------------------------------------------- */

/* What passes by in a handshake is enough to compute the secrets, for one who has the password. */
struct spy {
    struct fwr_rmcp_rakp rakp;
    uint8_t sik[FWR_RMCP_DIGEST_MAX];
};

static bool listen(struct pair *pair, bool to_responder, uint8_t *datagram, size_t *length)
{
    struct spy *spy = pair->tap_ctx;
    struct fwr_rmcp_packet packet;
    struct fwr_rmcp_open_response open;
    struct fwr_rmcp_rakp1 rakp1;
    struct fwr_rmcp_rakp2 rakp2;

    (void)to_responder;
    assert_int_equal(fwr_rmcp_packet_decode(&packet, datagram, *length), FWR_OK);
    if (packet.payload_type == FWR_RMCP_PAYLOAD_OPEN_RESPONSE) {
        fwr_rmcp_open_response_decode(&open, packet.payload, packet.length);
        spy->rakp.console = open.console;
        spy->rakp.managed = open.managed;
    } else if (packet.payload_type == FWR_RMCP_PAYLOAD_RAKP1) {
        fwr_rmcp_rakp1_decode(&rakp1, packet.payload, packet.length);
        memcpy(spy->rakp.console_random, rakp1.random, sizeof(rakp1.random));
        spy->rakp.role = rakp1.role;
    } else if (packet.payload_type == FWR_RMCP_PAYLOAD_RAKP2) {
        fwr_rmcp_rakp2_decode(&rakp2, packet.payload, packet.length);
        memcpy(spy->rakp.managed_random, rakp2.random, sizeof(rakp2.random));
    }
    return true;
}

static bool holds(const void *storage, size_t size, const void *secret, size_t length)
{
    const uint8_t *bytes = storage;

    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(bytes + i, secret, length) == 0)
            return true;
    }
    return false;
}

/* Row 25 of doc/SECURITY.md; the files are tests/unit/test_store_dir.c's and tool_serve's. */
static void threat_25_secrets(void **state)
{
    struct spy spy = {.sik = {0}};
    struct fwr_rmcp_mac mac;
    struct pair pair;
    uint8_t datagram[256];
    size_t length;

    (void)state;
    pair_configure(&pair, FWR_RMCP_SUITE_SHA256);
    pair.initiator_config.password = (const uint8_t *)"incorrect horse ....";
    pair_init(&pair);
    assert_int_equal(fwr_rmcp_initiator_start(pair.initiator, pair.now), FWR_OK);
    pair_settle_in_time(&pair); /* refused, and logged */
    assert_int_equal(pair_error(&pair), FWR_E_SESSION_AUTH);
    pair_end(&pair);
    const unsigned logged = pair.logged;
    assert_int_equal(pair.secrets_logged, 0);
    pair_setup(&pair, FWR_RMCP_SUITE_SHA256);
    pair.logged = logged;
    pair.tap = listen;
    pair.tap_ctx = &spy;
    pair_open(&pair);
    spy.rakp.suite = fwr_rmcp_suite_by_id(FWR_RMCP_SUITE_SHA256);
    spy.rakp.user = (const uint8_t *)pair.users[0].name;
    spy.rakp.user_length = pair.users[0].name_length;
    spy.rakp.password = pair.users[0].password;
    spy.rakp.password_length = pair.users[0].password_length;
    assert_int_equal(fwr_rmcp_mac_init(&mac), FWR_OK);
    assert_int_equal(fwr_rmcp_rakp_sik(&mac, &spy.rakp, spy.sik), FWR_OK);
    fwr_rmcp_mac_free(&mac);
    /* The search does find what is there: our session id. */
    assert_true(holds(pair.initiator_storage, pair.initiator_size, &spy.rakp.console, 4) ||
                holds(pair.initiator_storage, pair.initiator_size, &spy.rakp.managed, 4));
    for (int round = 0; round < 2; round++) {
        assert_false(holds(pair.initiator_storage, pair.initiator_size, spy.sik, 8));
        assert_false(holds(pair.responder_storage, pair.responder_size, spy.sik, 8));
        assert_false(holds(pair.initiator_storage, pair.initiator_size, pair.users[0].password, 8));
        assert_false(holds(pair.responder_storage, pair.responder_size, pair.users[0].password, 8));
        assert_int_equal(
            fwr_rmcp_initiator_close(pair.initiator, datagram, sizeof(datagram), &length), FWR_OK);
    }
    assert_false(holds(pair.initiator_storage, pair.initiator_size, &spy.rakp.console, 4));
    fwr_rmcp_initiator_end(pair.initiator);
    fwr_rmcp_responder_end(pair.responder);
    for (size_t i = 0; i < pair.initiator_size; i++)
        assert_int_equal(((uint8_t *)pair.initiator_storage)[i], 0);
    for (size_t i = 0; i < pair.responder_size; i++)
        assert_int_equal(((uint8_t *)pair.responder_storage)[i], 0);
    printf("# threat 25 secrets: %zu bytes of memory and %u lines of log searched, none found\n",
           pair.initiator_size + pair.responder_size, pair.logged);
    assert_true(pair.logged > 0);
    assert_int_equal(pair.secrets_logged, 0);
    free(pair.initiator_storage);
    free(pair.responder_storage);
}

/* After the end of a session its contexts know another key. */
static void ended_session_opens_nothing(void **state)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX], code[FWR_RMCP_CHECK_MAX], again[FWR_RMCP_CHECK_MAX];
    uint8_t block[FWR_RMCP_BLOCK] = {0}, same[FWR_RMCP_BLOCK] = {0};
    const uint8_t iv[FWR_RMCP_BLOCK] = {0};
    struct ends ends;

    (void)state;
    ends_begin(&ends, FWR_RMCP_SUITE_SHA256);
    (void)numbered(&ends, 1, datagram);
    assert_int_equal(fwr_rmcp_keys_check(&ends.b.keys, datagram, 32, code), FWR_OK);
    assert_int_equal(fwr_rmcp_keys_encrypt(&ends.b.keys, iv, block, sizeof(block)), FWR_OK);
    fwr_rmcp_session_end(&ends.b);
    assert_int_equal(ends.b.local_id, 0);
    ends.b.keys.suite = fwr_rmcp_suite_by_id(FWR_RMCP_SUITE_SHA256);
    assert_int_equal(fwr_rmcp_keys_check(&ends.b.keys, datagram, 32, again), FWR_OK);
    assert_memory_not_equal(code, again, sizeof(code));
    assert_int_equal(fwr_rmcp_keys_encrypt(&ends.b.keys, iv, same, sizeof(same)), FWR_OK);
    assert_memory_not_equal(block, same, sizeof(block));
    ends_free(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_packet_are_the_known_ones),
        cmocka_unit_test(every_length_travels),
        cmocka_unit_test(limits_are_the_documented_ones),
        cmocka_unit_test(window_has_exact_edges),
        cmocka_unit_test(no_step_goes_half_way_round),
        cmocka_unit_test(sequence_wraps_past_zero),
        cmocka_unit_test(number_zero_is_refused),
        cmocka_unit_test(oversized_packet_is_refused),
        cmocka_unit_test(every_damage_is_noticed),
        cmocka_unit_test(unprotected_packets_are_refused),
        cmocka_unit_test(failed_seal_uses_no_number),
        cmocka_unit_test(ivs_do_not_repeat),
        cmocka_unit_test(threat_25_secrets),
        cmocka_unit_test(ended_session_opens_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
