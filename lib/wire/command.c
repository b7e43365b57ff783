/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders and decoders of the commands and pages: one table for each message, in the order
 * and with the limits of doc/WIRE.md, and one function for each direction that walks it.
 * Called by the engines, the dispatcher and the tools. It knows no state and no roles: what a
 * value means together with others is the engines' business.
 */
#include <fwrecover/command.h>

#include <stdbool.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/link.h>

#include "wire/cursor.h"

enum field_type {
    FIELD_UINT,     /* an integer, little-endian on the wire, native in the struct */
    FIELD_BYTES,    /* a byte array of the struct */
    FIELD_RESERVED, /* zero on the wire, not in the struct */
};

struct field {
    enum field_type type;
    uint8_t width;   /* bytes on the wire */
    uint8_t size;    /* bytes in the struct */
    uint16_t offset; /* in the struct */
    uint32_t low;    /* legal values of an integer */
    uint32_t high;
};

/* clang-format off */
/* Rows of the tables below: `message` is the struct that the table is about. */
#define WIDTH(member)  sizeof(((message *)0)->member)
#define MEMBER(member) WIDTH(member), offsetof(message, member)
#define RANGE(member, low, high)   {FIELD_UINT, WIDTH(member), MEMBER(member), low, high}
#define RANGE24(member, low, high) {FIELD_UINT, 3, MEMBER(member), low, high}
#define ANY(member)                RANGE(member, 0, UINT32_MAX >> (32 - 8 * WIDTH(member)))
#define BYTES(member)              {FIELD_BYTES, WIDTH(member), MEMBER(member), 0, 0}
#define RESERVED(width)            {FIELD_RESERVED, width, 0, 0, 0, 0}
/* clang-format on */

/* What follows the fields. */
enum tail_type {
    TAIL_NONE,  /* nothing: requests and entries of a list have exact lengths */
    TAIL_GROWS, /* a reader ignores what a later version added */
    TAIL_DATA,  /* units of data, given in place */
};

struct tail {
    enum tail_type type;
    uint8_t unit;     /* bytes */
    uint16_t pointer; /* in the struct: const uint8_t * */
    uint16_t count;   /* in the struct: size_t, units */
    size_t low;       /* legal counts */
    size_t high;
};

/* clang-format off */
#define EXACT {TAIL_NONE, 0, 0, 0, 0, 0}
#define GROWS {TAIL_GROWS, 0, 0, 0, 0, 0}
#define DATA(pointer, count, unit, low, high) \
    {TAIL_DATA, unit, offsetof(message, pointer), offsetof(message, count), low, high}
/* clang-format on */

struct shape {
    const struct field *fields;
    size_t count;
    struct tail tail;
};

static uint32_t member_load(const uint8_t *member, uint8_t size)
{
    uint16_t u16;
    uint32_t u32;

    switch (size) {
    case 1:
        return *member;
    case 2:
        memcpy(&u16, member, sizeof(u16));
        return u16;
    default:
        memcpy(&u32, member, sizeof(u32));
        return u32;
    }
}

static void member_store(uint8_t *member, uint8_t size, uint32_t value)
{
    const uint8_t u8 = (uint8_t)value;
    const uint16_t u16 = (uint16_t)value;

    switch (size) {
    case 1:
        memcpy(member, &u8, sizeof(u8));
        break;
    case 2:
        memcpy(member, &u16, sizeof(u16));
        break;
    default:
        memcpy(member, &value, sizeof(value));
        break;
    }
}

static int field_encode(const struct field *field, const uint8_t *message,
                        struct fwr_writer *writer)
{
    uint32_t value;

    switch (field->type) {
    case FIELD_RESERVED:
        fwr_writer_zeros(writer, field->width);
        break;
    case FIELD_BYTES:
        fwr_writer_bytes(writer, message + field->offset, field->width);
        break;
    case FIELD_UINT:
        value = member_load(message + field->offset, field->size);
        if (value < field->low || value > field->high)
            return FWR_E_ARGUMENT;
        fwr_writer_uint(writer, value, field->width);
        break;
    }
    return FWR_OK;
}

static int field_decode(const struct field *field, struct fwr_reader *reader, uint8_t *message)
{
    uint32_t value;

    if (field->type == FIELD_BYTES) {
        fwr_reader_copy(reader, message + field->offset, field->width);
        return FWR_OK;
    }
    value = (uint32_t)fwr_reader_uint(reader, field->width);
    if (value < field->low || value > field->high)
        return FWR_E_MALFORMED;
    if (field->type == FIELD_UINT)
        member_store(message + field->offset, field->size, value);
    return FWR_OK;
}

static int tail_encode(const struct tail *tail, const uint8_t *message, struct fwr_writer *writer)
{
    const uint8_t *data;
    size_t count;

    if (tail->type != TAIL_DATA)
        return FWR_OK;
    memcpy(&data, message + tail->pointer, sizeof(data));
    memcpy(&count, message + tail->count, sizeof(count));
    if (count < tail->low || count > tail->high || (!data && count > 0))
        return FWR_E_ARGUMENT;
    fwr_writer_bytes(writer, data, count * tail->unit);
    return FWR_OK;
}

static void tail_decode(const struct tail *tail, struct fwr_reader *reader, uint8_t *message)
{
    const size_t left = fwr_reader_left(reader);
    const uint8_t *data;
    size_t count;

    if (tail->type != TAIL_DATA)
        return;
    data = fwr_reader_bytes(reader, left);
    count = left / tail->unit;
    memcpy(message + tail->pointer, &data, sizeof(data));
    memcpy(message + tail->count, &count, sizeof(count));
}

/* Whether a message of `length` bytes has the right length: all fields, and a tail of the
 * right size. */
static bool shape_fits(const struct shape *shape, size_t length)
{
    const struct tail *tail = &shape->tail;
    size_t rest = length;

    for (size_t i = 0; i < shape->count; i++) {
        if (rest < shape->fields[i].width)
            return false;
        rest -= shape->fields[i].width;
    }
    switch (tail->type) {
    case TAIL_NONE:
        return rest == 0;
    case TAIL_GROWS:
        return true;
    case TAIL_DATA:
        break;
    }
    return rest % tail->unit == 0 && rest / tail->unit >= tail->low &&
           rest / tail->unit <= tail->high;
}

static int message_encode(const struct shape *shape, const void *message, void *buffer,
                          size_t capacity)
{
    struct fwr_writer writer;
    int error = FWR_OK;

    fwr_writer_init(&writer, buffer, capacity);
    for (size_t i = 0; i < shape->count && error == FWR_OK; i++)
        error = field_encode(&shape->fields[i], message, &writer);
    if (error == FWR_OK)
        error = tail_encode(&shape->tail, message, &writer);
    return error == FWR_OK ? fwr_writer_finish(&writer) : error;
}

/* The length is judged before any value, as doc/WIRE.md section 3 wants it. */
static int message_decode(const struct shape *shape, const void *bytes, size_t length,
                          void *message)
{
    struct fwr_reader reader;

    if (!shape_fits(shape, length))
        return FWR_E_LENGTH;
    fwr_reader_init(&reader, bytes, length);
    for (size_t i = 0; i < shape->count; i++) {
        int error = field_decode(&shape->fields[i], &reader, message);

        if (error != FWR_OK)
            return error;
    }
    tail_decode(&shape->tail, &reader, message);
    return FWR_OK;
}

/* The table of a message, and its two functions: name, struct, tail, fields. The local typedef
 * is what lets the rows name a member alone. */
#define CODEC_PAIR(name, type, tail, ...)                                                          \
    static const struct shape *name##_shape(void)                                                  \
    {                                                                                              \
        typedef struct fwr_##type message;                                                         \
        static const struct field fields[] = {__VA_ARGS__};                                        \
        static const struct shape shape = {fields, sizeof(fields) / sizeof(fields[0]), tail};      \
        return &shape;                                                                             \
    }                                                                                              \
    int fwr_##name##_encode(const struct fwr_##type *message, void *buffer, size_t capacity)       \
    {                                                                                              \
        return message_encode(name##_shape(), message, buffer, capacity);                          \
    }                                                                                              \
    int fwr_##name##_decode(const void *bytes, size_t length, struct fwr_##type *message)          \
    {                                                                                              \
        return message_decode(name##_shape(), bytes, length, message);                             \
    }                                                                                              \
    _Static_assert(sizeof(struct fwr_##type) <= UINT16_MAX, "offsets have 16 bits")

/* One field a line, as in doc/WIRE.md. */
/* clang-format off */
CODEC_PAIR(get_capabilities_request, get_capabilities_request, EXACT,
    ANY(cookie));

CODEC_PAIR(get_capabilities_reply, get_capabilities_reply, GROWS,
    ANY(cookie),
    RANGE(wire_version, 1, UINT8_MAX),
    ANY(roles),
    RANGE(max_request, FWR_LINK_MIN_REQUEST, UINT16_MAX),
    RANGE(max_reply, FWR_LINK_MIN_REPLY, UINT16_MAX),
    ANY(codecs),
    ANY(slots),
    RANGE(window, 1, UINT8_MAX));

CODEC_PAIR(request_image_request, request_image_request, EXACT,
    ANY(cookie),
    RANGE(kind, FWR_REQUEST_BY_KEY, FWR_REQUEST_BY_TAG),
    BYTES(key),
    ANY(hardware_revision),
    ANY(index),
    RESERVED(1));

CODEC_PAIR(request_image_reply, request_image_reply, GROWS,
    ANY(cookie),
    RANGE(result, FWR_IMAGE_NONE, FWR_IMAGE_OFFER),
    ANY(count),
    RANGE(flags, 0, 0),
    RANGE(load, 0, 100),
    ANY(retry),
    BYTES(tag),
    ANY(sequence));

CODEC_PAIR(read_manifest_request, read_manifest_request, EXACT,
    ANY(cookie),
    BYTES(tag),
    ANY(offset),
    RANGE(length, 1, UINT16_MAX));

CODEC_PAIR(data_reply, data_reply, DATA(data, length, 1, 0, SIZE_MAX),
    ANY(cookie));

CODEC_PAIR(accept_offer_request, accept_offer_request, EXACT,
    ANY(cookie),
    BYTES(tag),
    ANY(nonce),
    RANGE(flags, 0, 0));

CODEC_PAIR(accept_offer_reply, accept_offer_reply, GROWS,
    ANY(cookie),
    RANGE(result, FWR_ACCEPT_OK, FWR_ACCEPT_UNKNOWN),
    ANY(transfer),
    ANY(lease),
    ANY(max_length),
    ANY(window),
    ANY(retry),
    ANY(codecs));

CODEC_PAIR(read_request, read_request, EXACT,
    ANY(cookie),
    ANY(transfer),
    ANY(offset),
    RANGE(length, 1, UINT16_MAX),
    RANGE(codec, FWR_CODEC_NONE, FWR_CODEC_BROADCAST | FWR_CODEC_LZ4),
    ANY(skip));

CODEC_PAIR(end_transfer_request, end_transfer_request, EXACT,
    ANY(cookie),
    ANY(transfer),
    ANY(result));

CODEC_PAIR(empty_reply, empty_reply, GROWS,
    ANY(cookie));

CODEC_PAIR(offer_request, offer_request, EXACT,
    ANY(cookie),
    ANY(slot),
    BYTES(tag),
    ANY(sequence),
    RANGE(kind, FWR_OFFER_IMAGE, FWR_OFFER_CALL));

CODEC_PAIR(offer_reply, offer_reply, GROWS,
    ANY(cookie),
    RANGE(result, FWR_OFFER_ACCEPTED, FWR_OFFER_BUSY),
    ANY(transfer),
    ANY(lease));

CODEC_PAIR(get_wanted_request, get_wanted_request, EXACT,
    ANY(cookie),
    ANY(transfer),
    ANY(index));

CODEC_PAIR(get_wanted_reply, get_wanted_reply,
    DATA(ranges, count, FWR_WANTED_SIZE, 0, SIZE_MAX / FWR_WANTED_SIZE),
    ANY(cookie),
    RANGE(more, FWR_WANTED_LAST, FWR_WANTED_DONE));

CODEC_PAIR(wanted, wanted, EXACT,
    RANGE(object, FWR_OBJECT_MANIFEST, FWR_OBJECT_PEERS),
    ANY(offset),
    RANGE24(length, 1, 0xffffff));

CODEC_PAIR(write_data_request, write_data_request, DATA(data, length, 1, 1, SIZE_MAX),
    ANY(cookie),
    ANY(transfer),
    RANGE(object, FWR_OBJECT_MANIFEST, FWR_OBJECT_PEERS),
    ANY(offset));

CODEC_PAIR(block_data, block_data, DATA(data, length, 1, 1, SIZE_MAX),
    ANY(tag),
    ANY(address));

CODEC_PAIR(result_reply, result_reply, GROWS,
    ANY(cookie),
    ANY(result));

CODEC_PAIR(start_request, start_request, EXACT,
    ANY(cookie),
    ANY(slot),
    RANGE(run, 1, UINT32_MAX),
    RANGE(mode, FWR_START_CHECK, FWR_START_REPAIR));

CODEC_PAIR(abort_request, start_request, EXACT,
    ANY(cookie),
    ANY(slot),
    RANGE(run, 1, UINT32_MAX),
    RANGE(mode, 0, 0));

CODEC_PAIR(get_status_request, get_status_request, EXACT,
    ANY(cookie),
    ANY(slot));

CODEC_PAIR(get_status_reply, get_status_reply, GROWS,
    ANY(cookie),
    ANY(slot),
    ANY(state),
    ANY(reason),
    RANGE(permille, 0, 1000),
    ANY(fetched),
    ANY(reused),
    ANY(run));

CODEC_PAIR(set_policy_request, set_policy_request, DATA(value, length, 1, 1, 8),
    ANY(cookie),
    ANY(slot),
    ANY(generation),
    ANY(item));

CODEC_PAIR(read_page_request, read_page_request, EXACT,
    ANY(cookie),
    ANY(slot),
    ANY(page),
    ANY(generation),
    ANY(offset),
    RANGE(length, 1, UINT16_MAX));

CODEC_PAIR(read_page_reply, read_page_reply, DATA(data, length, 1, 0, SIZE_MAX),
    ANY(cookie),
    RANGE(generation, 1, UINT8_MAX));

CODEC_PAIR(status_page, status_page, GROWS,
    ANY(state),
    ANY(reason),
    ANY(mode),
    ANY(donors),
    ANY(run),
    BYTES(tag),
    ANY(sequence),
    ANY(block_size),
    ANY(blocks_total),
    ANY(blocks_wrong),
    ANY(blocks_fetched),
    ANY(blocks_copied),
    ANY(blocks_blank),
    ANY(blocks_repaired),
    ANY(blocks_refetched),
    ANY(blocks_waived),
    ANY(bytes_received),
    ANY(bytes_preserved),
    ANY(bad_block),
    ANY(elapsed_ms),
    ANY(log_start),
    ANY(log_end));

CODEC_PAIR(policy_page, policy_page, GROWS,
    ANY(min_sequence),
    ANY(media),
    ANY(generation),
    ANY(security_floor),
    ANY(sequence_floor));

CODEC_PAIR(trust_page, trust_page, GROWS,
    RANGE(state, FWR_TRUST_NONE, FWR_TRUST_WAITING),
    ANY(reason),
    RESERVED(2),
    ANY(generation),
    ANY(floor),
    ANY(length));

CODEC_PAIR(peers_page, peers_page, GROWS,
    ANY(count),
    RANGE(entry_size, FWR_PEER_ENTRY_SIZE, UINT8_MAX),
    RESERVED(2));

CODEC_PAIR(peer_entry, peer_entry, GROWS,
    ANY(peer),
    ANY(medium),
    ANY(reason),
    RANGE(flags, 0, FWR_PEER_ASKED | FWR_PEER_SERVING | FWR_PEER_DROPPED | FWR_PEER_CARRIES),
    BYTES(tag),
    ANY(bytes),
    ANY(rate),
    ANY(round_trip),
    RESERVED(2));
/* clang-format on */
