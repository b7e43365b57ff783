/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope around a payload and its signatures (doc/WIRE.md 11.1), and the fixed order in
 * which one is believed. Called wherever an image's description enters or leaves. Never looks
 * into a payload whose signatures have not been checked.
 */
#include <fwrecover/envelope.h>

#include <string.h>

#include <fwrecover/error.h>

#include "wire/cursor.h"

enum {
    ENVELOPE_VERSION = 1,
    HEADER_SIZE = 12,
    SIGNATURE_HEADER_SIZE = FWR_KEY_ID_SIZE + 2,
};

static const uint8_t magic[4] = {'F', 'W', 'R', 'E'};

struct header {
    uint8_t count;
    uint32_t payload_length;
};

static int read_header(struct fwr_reader *reader, struct header *header)
{
    const uint8_t *bytes = fwr_reader_bytes(reader, sizeof(magic));
    uint8_t version = fwr_reader_u8(reader);
    uint16_t reserved;

    header->count = fwr_reader_u8(reader);
    reserved = fwr_reader_u16(reader);
    header->payload_length = fwr_reader_u32(reader);
    if (reader->failed || memcmp(bytes, magic, sizeof(magic)) != 0 || version != ENVELOPE_VERSION ||
        reserved != 0 || header->count > FWR_SIGNATURES_MAX || header->payload_length == 0)
        return FWR_E_ENVELOPE;
    if ((uint64_t)HEADER_SIZE + header->payload_length +
            (uint64_t)header->count * (SIGNATURE_HEADER_SIZE + 1) >
        FWR_ENVELOPE_MAX)
        return FWR_E_ENVELOPE_SIZE;
    return FWR_OK;
}

int fwr_envelope_open(const void *bytes, size_t length, struct fwr_envelope *envelope)
{
    struct fwr_reader reader;
    struct header header;
    uint8_t i;
    int error;

    memset(envelope, 0, sizeof(*envelope));
    if (length > FWR_ENVELOPE_MAX)
        return FWR_E_ENVELOPE_SIZE;
    fwr_reader_init(&reader, bytes, length);
    error = read_header(&reader, &header);
    if (error != FWR_OK)
        return error;
    envelope->payload = fwr_reader_bytes(&reader, header.payload_length);
    envelope->payload_length = header.payload_length;
    envelope->signature_count = header.count;
    for (i = 0; i < header.count; i++) {
        struct fwr_signature *signature = &envelope->signatures[i];

        fwr_reader_copy(&reader, signature->key_id, FWR_KEY_ID_SIZE);
        signature->length = fwr_reader_u16(&reader);
        signature->signature = fwr_reader_bytes(&reader, signature->length);
        if (reader.failed || signature->length == 0)
            return FWR_E_ENVELOPE;
        if (i > 0 && memcmp(signature[-1].key_id, signature->key_id, FWR_KEY_ID_SIZE) >= 0)
            return FWR_E_ENVELOPE;
    }
    return fwr_reader_complete(&reader) ? FWR_OK : FWR_E_ENVELOPE;
}

int fwr_envelope_total(const void *bytes, size_t length, size_t *total)
{
    struct fwr_reader reader;
    struct header header;
    size_t end;
    uint8_t i;
    int error;

    *total = HEADER_SIZE;
    if (length < HEADER_SIZE)
        return FWR_E_NO_SPACE;
    fwr_reader_init(&reader, bytes, length);
    error = read_header(&reader, &header);
    if (error != FWR_OK)
        return error;
    end = HEADER_SIZE + header.payload_length;
    for (i = 0; i < header.count; i++) {
        uint16_t size;

        *total = end + SIGNATURE_HEADER_SIZE;
        if (*total > FWR_ENVELOPE_MAX)
            return FWR_E_ENVELOPE_SIZE;
        if (*total > length)
            return FWR_E_NO_SPACE;
        fwr_reader_init(&reader, (const uint8_t *)bytes + end + FWR_KEY_ID_SIZE, 2);
        size = fwr_reader_u16(&reader);
        if (size == 0)
            return FWR_E_ENVELOPE;
        end = *total + size;
    }
    *total = end;
    return end > FWR_ENVELOPE_MAX ? FWR_E_ENVELOPE_SIZE : FWR_OK;
}

/* The signature with the lowest key id above `after`, or NULL when there is no more. */
static const struct fwr_signature *next_signature(const struct fwr_signature *signatures,
                                                  size_t count, const uint8_t *after)
{
    const struct fwr_signature *next = NULL;
    size_t i;

    for (i = 0; i < count; i++) {
        if (after != NULL && memcmp(signatures[i].key_id, after, FWR_KEY_ID_SIZE) <= 0)
            continue;
        if (next == NULL || memcmp(signatures[i].key_id, next->key_id, FWR_KEY_ID_SIZE) < 0)
            next = &signatures[i];
    }
    return next;
}

int fwr_envelope_build(const void *payload, size_t payload_length,
                       const struct fwr_signature *signatures, size_t count, void *buffer,
                       size_t capacity)
{
    const struct fwr_signature *signature = NULL;
    struct fwr_writer writer;
    size_t i;

    if (payload_length == 0 || payload_length > FWR_ENVELOPE_MAX || count > FWR_SIGNATURES_MAX)
        return FWR_E_ARGUMENT;
    fwr_writer_init(&writer, buffer, capacity < FWR_ENVELOPE_MAX ? capacity : FWR_ENVELOPE_MAX);
    fwr_writer_bytes(&writer, magic, sizeof(magic));
    fwr_writer_u8(&writer, ENVELOPE_VERSION);
    fwr_writer_u8(&writer, (uint8_t)count);
    fwr_writer_u16(&writer, 0);
    fwr_writer_u32(&writer, (uint32_t)payload_length);
    fwr_writer_bytes(&writer, payload, payload_length);
    for (i = 0; i < count; i++) {
        signature = next_signature(signatures, count, signature ? signature->key_id : NULL);
        if (signature == NULL || signature->length == 0)
            return FWR_E_ARGUMENT; /* fewer distinct key ids than signatures */
        fwr_writer_bytes(&writer, signature->key_id, FWR_KEY_ID_SIZE);
        fwr_writer_u16(&writer, signature->length);
        fwr_writer_bytes(&writer, signature->signature, signature->length);
    }
    return fwr_writer_finish(&writer);
}

int fwr_envelope_verify_manifest(const void *bytes, size_t length, const struct fwr_trust *trust,
                                 struct fwr_manifest *manifest, uint8_t id[FWR_ID_SIZE])
{
    struct fwr_envelope envelope;
    int error = fwr_envelope_open(bytes, length, &envelope);

    if (error == FWR_OK)
        error =
            fwr_trust_verify(trust, FWR_PREFIX_MANIFEST, envelope.payload, envelope.payload_length,
                             envelope.signatures, envelope.signature_count);
    if (error == FWR_OK)
        error = fwr_manifest_id(envelope.payload, envelope.payload_length, id);
    if (error == FWR_OK)
        error = fwr_manifest_decode(envelope.payload, envelope.payload_length, manifest);
    return error;
}

int fwr_envelope_verify_trust(const void *bytes, size_t length, const struct fwr_trust *in_force,
                              struct fwr_trust *next)
{
    struct fwr_envelope envelope;
    int error = fwr_envelope_open(bytes, length, &envelope);

    if (error == FWR_OK)
        error =
            fwr_trust_verify(in_force, FWR_PREFIX_TRUST, envelope.payload, envelope.payload_length,
                             envelope.signatures, envelope.signature_count);
    if (error == FWR_OK)
        error = fwr_trust_decode(envelope.payload, envelope.payload_length, next);
    if (error == FWR_OK && next->generation <= in_force->generation)
        error = FWR_E_STALE;
    if (error == FWR_OK)
        error = fwr_trust_verify(next, FWR_PREFIX_TRUST, envelope.payload, envelope.payload_length,
                                 envelope.signatures, envelope.signature_count);
    return error;
}
