/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile end of an RMCP+ session has that knows the password: sealing anything at all
 * under the session's keys, and a memory of what it has sent, so that it can send it again. The
 * memory is the oracle's as well: whatever the end under test accepts must be one of these, byte
 * for byte, and for the first time.
 */
#ifndef FWR_TEST_FUZZ_RMCP_HOSTILE_H
#define FWR_TEST_FUZZ_RMCP_HOSTILE_H

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "lib/link/rmcp/crypto.h"
#include "lib/link/rmcp/packet.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/seeded.h"

#define HOSTILE_MEMORY    24
#define HOSTILE_PLAIN_MAX 256

enum sent_kind {
    SENT_ANYTHING, /* must open nothing and reach nobody */
    SENT_PROOF,    /* the right proof of a handshake */
    SENT_MESSAGE,  /* sealed, and known by what it says */
    SENT_RAW,      /* sealed, whatever is inside */
};

struct sent {
    enum sent_kind kind;
    bool accepted;
    uint8_t owner; /* the target's own number for whose it is */
    uint32_t session;
    uint8_t netfn, command, sequence;
    uint8_t data[64];
    size_t data_length;
    size_t length;
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
};

struct hostile {
    uint64_t random;
    struct sent memory[HOSTILE_MEMORY];
    unsigned next;
};

static inline int hostile_random(void *ctx, void *buffer, size_t length)
{
    seeded_fill(ctx, buffer, length);
    return FWR_OK;
}

/* Room for the next datagram; the oldest is forgotten. */
static inline struct sent *hostile_new(struct hostile *hostile, enum sent_kind kind)
{
    struct sent *sent = &hostile->memory[hostile->next++ % HOSTILE_MEMORY];

    memset(sent, 0, offsetof(struct sent, bytes));
    sent->kind = kind;
    return sent;
}

/* The datagram that these bytes are, if we remember it. */
static inline struct sent *hostile_find(struct hostile *hostile, const uint8_t *bytes,
                                        size_t length)
{
    for (unsigned i = 0; i < HOSTILE_MEMORY; i++) {
        struct sent *sent = &hostile->memory[i];

        if (sent->length == length && length > 0 && memcmp(sent->bytes, bytes, length) == 0)
            return sent;
    }
    return NULL;
}

/* Seals `plain`, whole blocks, under the keys: right in everything the receiver can check
 * before it looks inside, but for `trailer`, which is added to the length of the padding. */
static inline void hostile_seal(struct hostile *hostile, struct fwr_rmcp_keys *keys,
                                uint32_t session, uint32_t sequence, const uint8_t *plain,
                                size_t length, uint8_t trailer, struct sent *sent)
{
    uint8_t *at = sent->bytes + FWR_RMCP_PREFIX_SIZE;
    size_t payload = FWR_RMCP_BLOCK + length;
    size_t end = FWR_RMCP_PREFIX_SIZE + payload;
    size_t pad = (4 - (FWR_RMCP_SESSION_SIZE + payload + 2) % 4) % 4;

    require(length % FWR_RMCP_BLOCK == 0 && length <= HOSTILE_PLAIN_MAX);
    seeded_fill(&hostile->random, at, FWR_RMCP_BLOCK);
    memcpy(at + FWR_RMCP_BLOCK, plain, length);
    require(length == 0 || fwr_rmcp_keys_encrypt(keys, at, at + FWR_RMCP_BLOCK, length) == FWR_OK);
    fwr_rmcp_prefix_encode(
        sent->bytes, FWR_RMCP_PAYLOAD_IPMI | FWR_RMCP_TYPE_ENCRYPTED | FWR_RMCP_TYPE_AUTHENTICATED,
        session, sequence, payload);
    memset(sent->bytes + end, 0xff, pad);
    end += pad;
    sent->bytes[end++] = (uint8_t)(pad + trailer);
    sent->bytes[end++] = 0x07;
    require(fwr_rmcp_keys_check(keys, sent->bytes + FWR_RMCP_HEADER_SIZE,
                                end - FWR_RMCP_HEADER_SIZE, sent->bytes + end) == FWR_OK);
    sent->length = end + keys->suite->check_size;
    sent->session = session;
}

/* The same around a message, with the padding that belongs there. */
static inline void hostile_seal_message(struct hostile *hostile, struct fwr_rmcp_keys *keys,
                                        uint32_t session, uint32_t sequence,
                                        const struct fwr_rmcp_message *message, struct sent *sent)
{
    uint8_t plain[HOSTILE_PLAIN_MAX], count = 0;
    size_t length;

    require(message->length <= sizeof(sent->data));
    length = fwr_rmcp_message_encode(message, plain);
    while ((length + 1) % FWR_RMCP_BLOCK != 0)
        plain[length++] = ++count;
    plain[length++] = count;
    hostile_seal(hostile, keys, session, sequence, plain, length, 0, sent);
    sent->netfn = message->netfn;
    sent->command = message->command;
    sent->sequence = message->sequence;
    sent->data_length = message->length;
    if (message->length > 0)
        memcpy(sent->data, message->data, message->length);
}

/* A remembered datagram as it was, or harmed; false when nothing is remembered there. */
static inline bool hostile_repeat(struct hostile *hostile, struct fwr_reader *input,
                                  uint8_t bytes[FWR_RMCP_DATAGRAM_MAX], size_t *length)
{
    const struct sent *sent = &hostile->memory[fwr_reader_u8(input) % HOSTILE_MEMORY];
    uint8_t how = fwr_reader_u8(input);

    if (sent->length == 0)
        return false;
    memcpy(bytes, sent->bytes, sent->length);
    *length = sent->length;
    if (how & 1)
        bytes[fwr_reader_u8(input) % *length] ^= fwr_reader_u8(input);
    if (how & 2)
        *length = fwr_reader_u8(input) % *length;
    return true;
}

#endif
