/* SPDX-License-Identifier: Apache-2.0 */
/* See packet.h. IPMI 2.0 section 13; ASF 2.0 section 3.2.4. */
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "wire/cursor.h"

#include "packet.h"

#define RMCP_VERSION      0x06
#define RMCP_NO_ACK       0xff
#define RMCP_CLASS_ASF    0x06
#define RMCP_CLASS_IPMI   0x07
#define AUTH_TYPE_NONE    0x00
#define AUTH_TYPE_RMCP    0x06
#define ASF_PING          0x80
#define ASF_PONG          0x40
#define PONG_BODY         16   /* bytes behind its header */
#define PONG_IPMI         0x80 /* supported entities: IPMI */
#define BARE_REFUSAL_SIZE 2
#define ALGORITHM_SIZE    8

/* ASF numbers are big-endian, IPMI's are not. */
static const uint8_t asf_iana[4] = {0, 0, 4542 >> 8, 4542 & 0xff};

static int decode_asf(struct fwr_rmcp_packet *packet, struct fwr_reader *reader)
{
    const uint8_t *iana = fwr_reader_bytes(reader, sizeof(asf_iana));
    const uint8_t type = fwr_reader_u8(reader);

    packet->class = FWR_RMCP_CLASS_PING;
    packet->asf_tag = fwr_reader_u8(reader);
    (void)fwr_reader_u8(reader); /* reserved */
    if (fwr_reader_u8(reader) != 0 || !fwr_reader_complete(reader) || type != ASF_PING ||
        memcmp(iana, asf_iana, sizeof(asf_iana)) != 0)
        return FWR_E_MALFORMED;
    return FWR_OK;
}

/* Only the unauthenticated form: IPMI 1.5 sessions do not exist here. */
static int decode_ipmi15(struct fwr_rmcp_packet *packet, struct fwr_reader *reader)
{
    packet->class = FWR_RMCP_CLASS_IPMI15;
    packet->sequence = fwr_reader_u32(reader);
    packet->session = fwr_reader_u32(reader);
    packet->payload_type = FWR_RMCP_PAYLOAD_IPMI;
    packet->length = fwr_reader_u8(reader);
    packet->payload = fwr_reader_bytes(reader, packet->length);
    /* One more byte may come: the pad that old network chips needed (IPMI 2.0 table 13-8). */
    if (packet->payload == NULL || fwr_reader_left(reader) > 1)
        return FWR_E_MALFORMED;
    return FWR_OK;
}

static int decode_ipmi20(struct fwr_rmcp_packet *packet, struct fwr_reader *reader)
{
    const uint8_t type = fwr_reader_u8(reader);

    packet->class = FWR_RMCP_CLASS_IPMI20;
    packet->encrypted = (type & FWR_RMCP_TYPE_ENCRYPTED) != 0;
    packet->authenticated = (type & FWR_RMCP_TYPE_AUTHENTICATED) != 0;
    packet->payload_type = type & 0x3f;
    packet->session = fwr_reader_u32(reader);
    packet->sequence = fwr_reader_u32(reader);
    packet->length = fwr_reader_u16(reader);
    packet->payload = fwr_reader_bytes(reader, packet->length);
    if (packet->payload == NULL || (!packet->authenticated && fwr_reader_left(reader) > 0))
        return FWR_E_MALFORMED;
    return FWR_OK;
}

int fwr_rmcp_packet_decode(struct fwr_rmcp_packet *packet, const uint8_t *datagram, size_t length)
{
    struct fwr_reader reader;
    uint8_t version, class;

    memset(packet, 0, sizeof(*packet));
    if (length > FWR_RMCP_DATAGRAM_MAX)
        return FWR_E_MALFORMED;
    fwr_reader_init(&reader, datagram, length);
    version = fwr_reader_u8(&reader);
    (void)fwr_reader_u16(&reader); /* reserved, RMCP sequence: only for acknowledgements */
    class = fwr_reader_u8(&reader);
    if (version != RMCP_VERSION)
        return FWR_E_MALFORMED;
    if (class == RMCP_CLASS_ASF)
        return decode_asf(packet, &reader);
    if (class != RMCP_CLASS_IPMI)
        return FWR_E_MALFORMED;
    switch (fwr_reader_u8(&reader)) {
    case AUTH_TYPE_RMCP:
        return decode_ipmi20(packet, &reader);
    case AUTH_TYPE_NONE:
        return decode_ipmi15(packet, &reader);
    default:
        return FWR_E_MALFORMED;
    }
}

static void put_rmcp(struct fwr_writer *writer, uint8_t class)
{
    fwr_writer_u8(writer, RMCP_VERSION);
    fwr_writer_u8(writer, 0);
    fwr_writer_u8(writer, RMCP_NO_ACK);
    fwr_writer_u8(writer, class);
}

void fwr_rmcp_prefix_encode(uint8_t *at, uint8_t type, uint32_t session, uint32_t sequence,
                            size_t payload_length)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_PREFIX_SIZE);
    put_rmcp(&writer, RMCP_CLASS_IPMI);
    fwr_writer_u8(&writer, AUTH_TYPE_RMCP);
    fwr_writer_u8(&writer, type);
    fwr_writer_u32(&writer, session);
    fwr_writer_u32(&writer, sequence);
    fwr_writer_u16(&writer, (uint16_t)payload_length);
}

void fwr_rmcp_prefix15_encode(uint8_t *at, size_t payload_length)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_PREFIX15_SIZE);
    put_rmcp(&writer, RMCP_CLASS_IPMI);
    fwr_writer_u8(&writer, AUTH_TYPE_NONE);
    fwr_writer_zeros(&writer, 8); /* sequence and session id */
    fwr_writer_u8(&writer, (uint8_t)payload_length);
}

static void put_asf(struct fwr_writer *writer, uint8_t type, uint8_t tag, uint8_t length)
{
    put_rmcp(writer, RMCP_CLASS_ASF);
    fwr_writer_bytes(writer, asf_iana, sizeof(asf_iana));
    fwr_writer_u8(writer, type);
    fwr_writer_u8(writer, tag);
    fwr_writer_u8(writer, 0);
    fwr_writer_u8(writer, length);
}

void fwr_rmcp_ping_encode(uint8_t *at, uint8_t tag)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_PING_SIZE);
    put_asf(&writer, ASF_PING, tag, 0);
}

void fwr_rmcp_pong_encode(uint8_t *at, uint8_t tag)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_PONG_SIZE);
    put_asf(&writer, ASF_PONG, tag, PONG_BODY);
    fwr_writer_bytes(&writer, asf_iana, sizeof(asf_iana));
    fwr_writer_zeros(&writer, 4);
    fwr_writer_u8(&writer, PONG_IPMI | 0x01); /* and ASF version 1 */
    fwr_writer_zeros(&writer, 7);
}

int fwr_rmcp_pong_decode(const uint8_t *datagram, size_t length, uint8_t *tag)
{
    struct fwr_reader reader;
    uint8_t iana[sizeof(asf_iana)], version, class, type, body, entities;

    fwr_reader_init(&reader, datagram, length);
    version = fwr_reader_u8(&reader);
    (void)fwr_reader_u16(&reader); /* as in fwr_rmcp_packet_decode */
    class = fwr_reader_u8(&reader);
    fwr_reader_copy(&reader, iana, sizeof(iana));
    type = fwr_reader_u8(&reader);
    *tag = fwr_reader_u8(&reader);
    (void)fwr_reader_u8(&reader); /* reserved */
    body = fwr_reader_u8(&reader);
    (void)fwr_reader_bytes(&reader, 8); /* the vendor's own */
    entities = fwr_reader_u8(&reader);
    (void)fwr_reader_bytes(&reader, 7); /* interactions, reserved */
    if (!fwr_reader_complete(&reader) || version != RMCP_VERSION || class != RMCP_CLASS_ASF ||
        memcmp(iana, asf_iana, sizeof(iana)) != 0 || type != ASF_PONG || body != PONG_BODY ||
        (entities & PONG_IPMI) == 0)
        return FWR_E_MALFORMED;
    return FWR_OK;
}

/* Eight bytes at a time where there are many: every packet's data goes through here. */
static uint8_t checksum(const uint8_t *at, size_t length)
{
    const uint64_t every_other = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t sums = 0, word;
    uint8_t sum = 0;

    /* 128 times at most 2 * 255 fit the 16 bits that each of the four sums has. */
    for (; length >= sizeof(word); length -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sums += (word & every_other) + (word >> 8 & every_other);
        if (length / sizeof(word) % 128 == 1) {
            sum = (uint8_t)(sum + sums + (sums >> 16) + (sums >> 32) + (sums >> 48));
            sums = 0;
        }
    }
    while (length-- > 0)
        sum = (uint8_t)(sum + *at++);
    return (uint8_t)(0x100 - sum);
}

int fwr_rmcp_message_decode(struct fwr_rmcp_message *message, const uint8_t *payload, size_t length)
{
    struct fwr_reader reader;
    uint8_t netfn, sequence;

    if (length < FWR_RMCP_MESSAGE_OVERHEAD || checksum(payload, 3) != 0 ||
        checksum(payload + 3, length - 3) != 0)
        return FWR_E_MALFORMED;
    fwr_reader_init(&reader, payload, length);
    message->to = fwr_reader_u8(&reader);
    netfn = fwr_reader_u8(&reader);
    (void)fwr_reader_u8(&reader); /* checksum */
    message->from = fwr_reader_u8(&reader);
    sequence = fwr_reader_u8(&reader);
    message->command = fwr_reader_u8(&reader);
    message->netfn = netfn >> 2;
    message->to_lun = netfn & 3;
    message->sequence = sequence >> 2;
    message->from_lun = sequence & 3;
    message->length = length - FWR_RMCP_MESSAGE_OVERHEAD;
    message->data = fwr_reader_bytes(&reader, message->length);
    return FWR_OK;
}

size_t fwr_rmcp_message_encode(const struct fwr_rmcp_message *message, uint8_t *at)
{
    const size_t total = message->length + FWR_RMCP_MESSAGE_OVERHEAD;
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, total);
    fwr_writer_u8(&writer, message->to);
    fwr_writer_u8(&writer, (uint8_t)(message->netfn << 2 | message->to_lun));
    fwr_writer_u8(&writer, checksum(at, 2));
    fwr_writer_u8(&writer, message->from);
    fwr_writer_u8(&writer, (uint8_t)(message->sequence << 2 | message->from_lun));
    fwr_writer_u8(&writer, message->command);
    fwr_writer_bytes(&writer, message->data, message->length);
    fwr_writer_u8(&writer, checksum(at + 3, total - 4));
    return total;
}

struct fwr_rmcp_message fwr_rmcp_message_answer(const struct fwr_rmcp_message *request)
{
    struct fwr_rmcp_message answer = {
        .to = request->from,
        .netfn = request->netfn | 1,
        .to_lun = request->from_lun,
        .from = request->to,
        .sequence = request->sequence,
        .from_lun = request->to_lun,
        .command = request->command,
    };

    return answer;
}

static void put_algorithms(struct fwr_writer *writer, const struct fwr_rmcp_algorithms *algorithms)
{
    const uint8_t values[3] = {algorithms->authentication, algorithms->integrity,
                               algorithms->confidentiality};

    for (uint8_t kind = 0; kind < 3; kind++) {
        fwr_writer_u8(writer, kind);
        fwr_writer_zeros(writer, 2);
        fwr_writer_u8(writer, ALGORITHM_SIZE);
        fwr_writer_u8(writer, values[kind]);
        fwr_writer_zeros(writer, 3);
    }
}

/* Each payload must name one algorithm: a length of 0 leaves the choice to the peer, and we
 * leave none. */
static int get_algorithms(struct fwr_reader *reader, struct fwr_rmcp_algorithms *algorithms)
{
    uint8_t values[3];
    bool known = true;

    for (uint8_t kind = 0; kind < 3; kind++) {
        const uint8_t type = fwr_reader_u8(reader);

        (void)fwr_reader_u16(reader);
        known = fwr_reader_u8(reader) == ALGORITHM_SIZE && type == kind && known;
        values[kind] = fwr_reader_u8(reader) & 0x3f;
        (void)fwr_reader_u24(reader);
    }
    algorithms->authentication = values[0];
    algorithms->integrity = values[1];
    algorithms->confidentiality = values[2];
    return known ? FWR_OK : FWR_E_SESSION_SUITE;
}

int fwr_rmcp_open_request_decode(struct fwr_rmcp_open_request *out, const uint8_t *at,
                                 size_t length)
{
    struct fwr_reader reader;
    int error;

    fwr_reader_init(&reader, at, length);
    out->tag = fwr_reader_u8(&reader);
    out->privilege = fwr_reader_u8(&reader) & FWR_RMCP_ROLE_PRIVILEGE;
    (void)fwr_reader_u16(&reader);
    out->console = fwr_reader_u32(&reader);
    error = get_algorithms(&reader, &out->algorithms);
    return fwr_reader_complete(&reader) ? error : FWR_E_MALFORMED;
}

size_t fwr_rmcp_open_request_encode(const struct fwr_rmcp_open_request *in, uint8_t *at)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_HANDSHAKE_MAX);
    fwr_writer_u8(&writer, in->tag);
    fwr_writer_u8(&writer, in->privilege);
    fwr_writer_zeros(&writer, 2);
    fwr_writer_u32(&writer, in->console);
    put_algorithms(&writer, &in->algorithms);
    return writer.length;
}

/* What every answer begins with: tag, code, a byte of its own, a reserved one, session id. An
 * answer with a code other than OK ends there, or what follows means nothing. */
static void get_answer(struct fwr_reader *reader, uint8_t *tag, uint8_t *code, uint8_t *own,
                       uint32_t *session)
{
    *tag = fwr_reader_u8(reader);
    *code = fwr_reader_u8(reader);
    *own = fwr_reader_u8(reader);
    (void)fwr_reader_u8(reader);
    *session = fwr_reader_u32(reader);
}

static void put_answer(struct fwr_writer *writer, uint8_t tag, uint8_t code, uint8_t own,
                       uint32_t session)
{
    fwr_writer_u8(writer, tag);
    fwr_writer_u8(writer, code);
    fwr_writer_u8(writer, own);
    fwr_writer_u8(writer, 0);
    fwr_writer_u32(writer, session);
}

int fwr_rmcp_open_response_decode(struct fwr_rmcp_open_response *out, const uint8_t *at,
                                  size_t length)
{
    struct fwr_reader reader;

    memset(out, 0, sizeof(*out));
    fwr_reader_init(&reader, at, length);
    get_answer(&reader, &out->tag, &out->code, &out->privilege, &out->console);
    out->privilege &= FWR_RMCP_ROLE_PRIVILEGE;
    out->bare = reader.failed;
    if (out->code != FWR_RMCP_CODE_OK)
        return length < BARE_REFUSAL_SIZE ? FWR_E_MALFORMED : FWR_OK;
    out->managed = fwr_reader_u32(&reader);
    if (get_algorithms(&reader, &out->algorithms) != FWR_OK)
        memset(&out->algorithms, 0xff, sizeof(out->algorithms)); /* equal to no suite's */
    return fwr_reader_complete(&reader) ? FWR_OK : FWR_E_MALFORMED;
}

size_t fwr_rmcp_open_response_encode(const struct fwr_rmcp_open_response *in, uint8_t *at)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_HANDSHAKE_MAX);
    put_answer(&writer, in->tag, in->code, in->privilege, in->console);
    if (in->code == FWR_RMCP_CODE_OK) {
        fwr_writer_u32(&writer, in->managed);
        put_algorithms(&writer, &in->algorithms);
    }
    return writer.length;
}

int fwr_rmcp_rakp1_decode(struct fwr_rmcp_rakp1 *out, const uint8_t *at, size_t length)
{
    struct fwr_reader reader;

    memset(out, 0, sizeof(*out));
    fwr_reader_init(&reader, at, length);
    out->tag = fwr_reader_u8(&reader);
    (void)fwr_reader_u24(&reader);
    out->managed = fwr_reader_u32(&reader);
    fwr_reader_copy(&reader, out->random, sizeof(out->random));
    out->role = fwr_reader_u8(&reader);
    (void)fwr_reader_u16(&reader);
    out->user_length = fwr_reader_u8(&reader);
    if (out->user_length > sizeof(out->user))
        return FWR_E_MALFORMED;
    fwr_reader_copy(&reader, out->user, out->user_length);
    return fwr_reader_complete(&reader) ? FWR_OK : FWR_E_MALFORMED;
}

size_t fwr_rmcp_rakp1_encode(const struct fwr_rmcp_rakp1 *in, uint8_t *at)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_HANDSHAKE_MAX);
    fwr_writer_u8(&writer, in->tag);
    fwr_writer_zeros(&writer, 3);
    fwr_writer_u32(&writer, in->managed);
    fwr_writer_bytes(&writer, in->random, sizeof(in->random));
    fwr_writer_u8(&writer, in->role);
    fwr_writer_zeros(&writer, 2);
    fwr_writer_u8(&writer, in->user_length);
    fwr_writer_bytes(&writer, in->user, in->user_length);
    return writer.length;
}

/* The rest of a message is a code whose length the suite decides. */
static int get_check(struct fwr_reader *reader, uint8_t *check, size_t *length)
{
    *length = fwr_reader_left(reader);
    if (*length > FWR_RMCP_DIGEST_MAX)
        return FWR_E_MALFORMED;
    fwr_reader_copy(reader, check, *length);
    return fwr_reader_complete(reader) ? FWR_OK : FWR_E_MALFORMED;
}

int fwr_rmcp_rakp2_decode(struct fwr_rmcp_rakp2 *out, const uint8_t *at, size_t length)
{
    struct fwr_reader reader;
    uint8_t reserved;

    memset(out, 0, sizeof(*out));
    fwr_reader_init(&reader, at, length);
    get_answer(&reader, &out->tag, &out->code, &reserved, &out->console);
    if (out->code != FWR_RMCP_CODE_OK)
        return reader.failed ? FWR_E_MALFORMED : FWR_OK;
    fwr_reader_copy(&reader, out->random, sizeof(out->random));
    fwr_reader_copy(&reader, out->guid, sizeof(out->guid));
    return get_check(&reader, out->check, &out->check_length);
}

size_t fwr_rmcp_rakp2_encode(const struct fwr_rmcp_rakp2 *in, uint8_t *at)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_HANDSHAKE_MAX);
    put_answer(&writer, in->tag, in->code, 0, in->console);
    if (in->code == FWR_RMCP_CODE_OK) {
        fwr_writer_bytes(&writer, in->random, sizeof(in->random));
        fwr_writer_bytes(&writer, in->guid, sizeof(in->guid));
        fwr_writer_bytes(&writer, in->check, in->check_length);
    }
    return writer.length;
}

int fwr_rmcp_rakp34_decode(struct fwr_rmcp_rakp34 *out, const uint8_t *at, size_t length)
{
    struct fwr_reader reader;
    uint8_t reserved;

    memset(out, 0, sizeof(*out));
    fwr_reader_init(&reader, at, length);
    get_answer(&reader, &out->tag, &out->code, &reserved, &out->session);
    if (out->code != FWR_RMCP_CODE_OK)
        return reader.failed ? FWR_E_MALFORMED : FWR_OK;
    return get_check(&reader, out->check, &out->check_length);
}

size_t fwr_rmcp_rakp34_encode(const struct fwr_rmcp_rakp34 *in, uint8_t *at)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_HANDSHAKE_MAX);
    put_answer(&writer, in->tag, in->code, 0, in->session);
    if (in->code == FWR_RMCP_CODE_OK)
        fwr_writer_bytes(&writer, in->check, in->check_length);
    return writer.length;
}
