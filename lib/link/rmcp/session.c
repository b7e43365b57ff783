/* SPDX-License-Identifier: Apache-2.0 */
/* See session.h. IPMI 2.0 sections 6.12.13, 13.6, 13.28.5 and 13.29. */
#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "session.h"

#define IV_OFFSET      FWR_RMCP_PREFIX_SIZE
#define MESSAGE_OFFSET (IV_OFFSET + FWR_RMCP_BLOCK)
#define TRAILER_SIZE   2 /* pad length and next header */
#define NEXT_HEADER    0x07
#define PAD_BYTE       0xff
#define WINDOW_BEHIND  16
#define AHEAD_MAX      (1 << 20)

int fwr_rmcp_session_init(struct fwr_rmcp_session *session)
{
    memset(session, 0, sizeof(*session));
    return fwr_rmcp_keys_init(&session->keys);
}

void fwr_rmcp_session_free(struct fwr_rmcp_session *session)
{
    fwr_rmcp_keys_free(&session->keys);
    OPENSSL_cleanse(session, sizeof(*session));
}

int fwr_rmcp_session_begin(struct fwr_rmcp_session *session, struct fwr_rmcp_mac *mac,
                           const struct fwr_rmcp_suite *suite, const uint8_t *sik,
                           uint32_t local_id, uint32_t peer_id)
{
    session->local_id = local_id;
    session->peer_id = peer_id;
    session->sent = 0;
    session->newest = 0;
    session->seen = 0;
    return fwr_rmcp_keys_derive(&session->keys, mac, suite, sik);
}

void fwr_rmcp_session_end(struct fwr_rmcp_session *session)
{
    fwr_rmcp_keys_wipe(&session->keys);
    session->local_id = 0;
    session->peer_id = 0;
}

/* Bytes of the encrypted payload (without IV) for a message: its pad length byte included. */
static size_t padded(size_t message)
{
    return (message + 1 + FWR_RMCP_BLOCK - 1) / FWR_RMCP_BLOCK * FWR_RMCP_BLOCK;
}

/* Integrity pad: what is authenticated is a multiple of 4 bytes long. */
static size_t integrity_pad(size_t payload)
{
    return (4 - (FWR_RMCP_SESSION_SIZE + payload + TRAILER_SIZE) % 4) % 4;
}

static size_t sealed_size(const struct fwr_rmcp_suite *suite, size_t message)
{
    const size_t payload = FWR_RMCP_BLOCK + padded(message);

    return FWR_RMCP_PREFIX_SIZE + payload + integrity_pad(payload) + TRAILER_SIZE +
           suite->check_size;
}

size_t fwr_rmcp_session_capacity(const struct fwr_rmcp_suite *suite, size_t datagram)
{
    const size_t around = sealed_size(suite, 0) - FWR_RMCP_BLOCK;

    if (datagram < around + FWR_RMCP_BLOCK)
        return 0;
    return (datagram - around) / FWR_RMCP_BLOCK * FWR_RMCP_BLOCK - 1;
}

size_t fwr_rmcp_max_request(uint8_t suite, size_t datagram)
{
    const struct fwr_rmcp_suite *known = fwr_rmcp_suite_by_id(suite);
    const size_t around = FWR_RMCP_MESSAGE_OVERHEAD + 3; /* IANA number */
    const size_t capacity = known != NULL ? fwr_rmcp_session_capacity(known, datagram) : 0;

    return capacity > around ? capacity - around : 0;
}

size_t fwr_rmcp_max_reply(uint8_t suite, size_t datagram)
{
    const size_t request = fwr_rmcp_max_request(suite, datagram);

    return request > 0 ? request - 1 : 0; /* completion code */
}

/* Encrypted payload, in place behind the prefix: IV, message, pad 1, 2, 3 …, pad length. */
static int seal_payload(struct fwr_rmcp_session *session, struct fwr_rmcp_random *random,
                        const struct fwr_rmcp_message *message, uint8_t *buffer, size_t *length)
{
    const size_t plain = fwr_rmcp_message_encode(message, buffer + MESSAGE_OFFSET);
    const size_t total = padded(plain);
    uint8_t *pad = buffer + MESSAGE_OFFSET + plain;
    uint8_t count = 0;
    int error;

    error = fwr_rmcp_random_draw(random, buffer + IV_OFFSET, FWR_RMCP_BLOCK);
    if (error != FWR_OK)
        return error;
    while (plain + count + 1 < total) {
        pad[count] = (uint8_t)(count + 1);
        count++;
    }
    pad[count] = count;
    *length = FWR_RMCP_BLOCK + total;
    return fwr_rmcp_keys_encrypt(&session->keys, buffer + IV_OFFSET, buffer + MESSAGE_OFFSET,
                                 total);
}

/* Sequence number 0 means "outside a session" and is skipped. */
static uint32_t next_sequence(uint32_t sequence)
{
    return sequence == UINT32_MAX ? 1 : sequence + 1;
}

int fwr_rmcp_session_seal(struct fwr_rmcp_session *session, struct fwr_rmcp_random *random,
                          const struct fwr_rmcp_message *message, size_t limit, uint8_t *buffer,
                          size_t size, size_t *length)
{
    const struct fwr_rmcp_suite *suite = session->keys.suite;
    size_t payload, end, pad, total;
    int error;

    *length = 0;
    if (message->length > FWR_RMCP_DATAGRAM_MAX)
        return FWR_E_LENGTH;
    total = sealed_size(suite, message->length + FWR_RMCP_MESSAGE_OVERHEAD);
    if (total > limit)
        return FWR_E_LENGTH;
    if (total > size)
        return FWR_E_NO_SPACE;
    error = seal_payload(session, random, message, buffer, &payload);
    if (error != FWR_OK)
        return error;
    fwr_rmcp_prefix_encode(
        buffer, FWR_RMCP_PAYLOAD_IPMI | FWR_RMCP_TYPE_ENCRYPTED | FWR_RMCP_TYPE_AUTHENTICATED,
        session->peer_id, next_sequence(session->sent), payload);
    end = FWR_RMCP_PREFIX_SIZE + payload;
    pad = integrity_pad(payload);
    memset(buffer + end, PAD_BYTE, pad);
    end += pad;
    buffer[end++] = (uint8_t)pad;
    buffer[end++] = NEXT_HEADER;
    error = fwr_rmcp_keys_check(&session->keys, buffer + FWR_RMCP_HEADER_SIZE,
                                end - FWR_RMCP_HEADER_SIZE, buffer + end);
    if (error != FWR_OK)
        return error;
    assert(end + suite->check_size == total);
    session->sent = next_sequence(session->sent);
    *length = total;
    return FWR_OK;
}

/* The integrity code is looked at before anything inside the packet is believed. */
static int check_trailer(struct fwr_rmcp_session *session, const struct fwr_rmcp_packet *packet,
                         const uint8_t *datagram, size_t length)
{
    const size_t check_size = session->keys.suite->check_size;
    const size_t end = FWR_RMCP_PREFIX_SIZE + packet->length;
    uint8_t code[FWR_RMCP_CHECK_MAX];
    size_t signed_end;
    int error;

    if (length < end + TRAILER_SIZE + check_size)
        return FWR_E_MALFORMED;
    signed_end = length - check_size;
    if (datagram[signed_end - 1] != NEXT_HEADER ||
        end + datagram[signed_end - 2] + TRAILER_SIZE != signed_end)
        return FWR_E_MALFORMED;
    error = fwr_rmcp_keys_check(&session->keys, datagram + FWR_RMCP_HEADER_SIZE,
                                signed_end - FWR_RMCP_HEADER_SIZE, code);
    if (error != FWR_OK)
        return error;
    if (CRYPTO_memcmp(code, datagram + signed_end, check_size) != 0)
        return FWR_E_SESSION_AUTH;
    return FWR_OK;
}

/* How far `sequence` is ahead of (positive) or behind the newest one. */
static int64_t distance(const struct fwr_rmcp_session *session, uint32_t sequence)
{
    return (int32_t)(sequence - session->newest);
}

static bool is_fresh(const struct fwr_rmcp_session *session, uint32_t sequence)
{
    const int64_t ahead = distance(session, sequence);

    if (sequence == 0)
        return false;
    if (ahead > 0)
        return ahead <= AHEAD_MAX;
    return ahead >= -WINDOW_BEHIND && (session->seen >> -ahead & 1) == 0;
}

/* The specification drops packets more than 15 ahead. The sender is proven by now, so a gap
 * only means loss, and dropping would end the session for good: any step ahead that can be loss
 * is taken. One that cannot would let old packets be ahead again, half way round the numbers. */
static void mark_seen(struct fwr_rmcp_session *session, uint32_t sequence)
{
    const int64_t ahead = distance(session, sequence);

    if (ahead > 0) {
        session->seen = ahead < 32 ? session->seen << ahead : 0;
        session->seen |= 1;
        session->newest = sequence;
    } else {
        session->seen |= (uint32_t)1 << -ahead;
    }
}

static int decrypt_payload(struct fwr_rmcp_session *session, uint8_t *payload, size_t length,
                           size_t *plain)
{
    uint8_t *data = payload + FWR_RMCP_BLOCK;
    size_t size, pad;
    int error;

    if (length < (size_t)2 * FWR_RMCP_BLOCK || length % FWR_RMCP_BLOCK != 0)
        return FWR_E_MALFORMED;
    size = length - FWR_RMCP_BLOCK;
    error = fwr_rmcp_keys_decrypt(&session->keys, payload, data, size);
    if (error != FWR_OK)
        return error;
    pad = data[size - 1];
    if (pad >= FWR_RMCP_BLOCK)
        return FWR_E_MALFORMED;
    for (size_t i = 0; i < pad; i++) {
        if (data[size - 1 - pad + i] != i + 1)
            return FWR_E_MALFORMED;
    }
    *plain = size - 1 - pad;
    return FWR_OK;
}

int fwr_rmcp_session_open(struct fwr_rmcp_session *session, const struct fwr_rmcp_packet *packet,
                          uint8_t *datagram, size_t length, struct fwr_rmcp_message *message,
                          struct fwr_rmcp_counters *counters)
{
    uint8_t *payload = datagram + FWR_RMCP_PREFIX_SIZE;
    size_t plain = 0;
    int error;

    if (!packet->encrypted || !packet->authenticated ||
        packet->payload_type != FWR_RMCP_PAYLOAD_IPMI)
        return FWR_E_SESSION_SUITE;
    error = check_trailer(session, packet, datagram, length);
    if (error == FWR_E_SESSION_AUTH)
        counters->forged++;
    if (error != FWR_OK)
        return error;
    if (!is_fresh(session, packet->sequence)) {
        counters->replayed++;
        return FWR_E_STALE;
    }
    mark_seen(session, packet->sequence);
    error = decrypt_payload(session, payload, packet->length, &plain);
    if (error != FWR_OK)
        return error;
    return fwr_rmcp_message_decode(message, payload + FWR_RMCP_BLOCK, plain);
}
