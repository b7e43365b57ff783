/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands and pages against the vectors of tests/vectors, which a second implementation
 * made: fields to bytes, bytes to fields, every prefix, one byte more, and every single-byte
 * mutation. And the rules of doc/WIRE.md that can be said in a sentence, each by its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/link.h>

#include "tests/unit/vectors.h"

enum {
    MEMBERS_MAX = 24,
    MESSAGE_STORAGE = 128,
};

struct member {
    const char *name;
    size_t offset;
    size_t size; /* up to 4: an integer; more: bytes */
};

/* A message as the tests see it: its functions, its members, and its data if it has any. */
struct codec {
    const char *message;
    int (*encode)(const void *message, void *buffer, size_t capacity);
    int (*decode)(const void *bytes, size_t length, void *message);
    struct member members[MEMBERS_MAX];
    const char *data; /* NULL: none */
    size_t pointer;   /* offset in the struct */
    size_t count;
    size_t unit;
};

/* Functions of one type around those of the library, so that a table can hold them. */
#define THUNKS(name, type)                                                                         \
    static int name##_encode(const void *message, void *buffer, size_t capacity)                   \
    {                                                                                              \
        return fwr_##name##_encode(message, buffer, capacity);                                     \
    }                                                                                              \
    static int name##_decode(const void *bytes, size_t length, void *message)                      \
    {                                                                                              \
        _Static_assert(sizeof(struct fwr_##type) <= MESSAGE_STORAGE, "tests keep any message");    \
        return fwr_##name##_decode(bytes, length, message);                                        \
    }

/* clang-format off */
#define EACH_CODEC(X)                                                                              \
    X(get_capabilities_request, get_capabilities_request, P(cookie), NO_DATA)                      \
    X(get_capabilities_reply, get_capabilities_reply,                                              \
      P(cookie) P(wire_version) P(roles) P(max_request) P(max_reply) P(codecs) P(slots) P(window), \
      NO_DATA)                                                                                     \
    X(request_image_request, request_image_request,                                                \
      P(cookie) P(kind) P(key) P(hardware_revision) P(index), NO_DATA)                             \
    X(request_image_reply, request_image_reply,                                                    \
      P(cookie) P(result) P(count) P(flags) P(load) P(retry) P(tag) P(sequence), NO_DATA)          \
    X(read_manifest_request, read_manifest_request,                                                \
      P(cookie) P(tag) P(offset) P(length), NO_DATA)                                               \
    X(data_reply, data_reply, P(cookie), DATA(data, length, 1))                                    \
    X(accept_offer_request, accept_offer_request,                                                  \
      P(cookie) P(tag) P(nonce) P(flags), NO_DATA)                                                 \
    X(accept_offer_reply, accept_offer_reply,                                                      \
      P(cookie) P(result) P(transfer) P(lease) P(max_length) P(window) P(retry) P(codecs),          \
      NO_DATA)                                                                                     \
    X(read_request, read_request,                                                                  \
      P(cookie) P(transfer) P(offset) P(length) P(codec) P(skip), NO_DATA)                         \
    X(end_transfer_request, end_transfer_request, P(cookie) P(transfer) P(result), NO_DATA)        \
    X(empty_reply, empty_reply, P(cookie), NO_DATA)                                                \
    X(offer_request, offer_request, P(cookie) P(slot) P(tag) P(sequence) P(kind), NO_DATA)        \
    X(offer_reply, offer_reply, P(cookie) P(result) P(transfer) P(lease), NO_DATA)                 \
    X(get_wanted_request, get_wanted_request, P(cookie) P(transfer) P(index), NO_DATA)             \
    X(get_wanted_reply, get_wanted_reply,                                                          \
      P(cookie) P(more), DATA(ranges, count, FWR_WANTED_SIZE))                                     \
    X(wanted, wanted, P(object) P(offset) P(length), NO_DATA)                                      \
    X(write_data_request, write_data_request,                                                      \
      P(cookie) P(transfer) P(object) P(offset), DATA(data, length, 1))                            \
    X(block_data, block_data, P(tag) P(address), DATA(data, length, 1))                            \
    X(result_reply, result_reply, P(cookie) P(result), NO_DATA)                                    \
    X(start_request, start_request, P(cookie) P(slot) P(run) P(mode), NO_DATA)                     \
    X(abort_request, start_request, P(cookie) P(slot) P(run) P(mode), NO_DATA)                     \
    X(get_status_request, get_status_request, P(cookie) P(slot), NO_DATA)                          \
    X(get_status_reply, get_status_reply,                                                          \
      P(cookie) P(slot) P(state) P(reason) P(permille) P(fetched) P(reused) P(run), NO_DATA)       \
    X(set_policy_request, set_policy_request,                                                      \
      P(cookie) P(slot) P(generation) P(item), DATA(value, length, 1))                             \
    X(read_page_request, read_page_request,                                                        \
      P(cookie) P(slot) P(page) P(generation) P(offset) P(length), NO_DATA)                        \
    X(read_page_reply, read_page_reply, P(cookie) P(generation), DATA(data, length, 1))            \
    X(status_page, status_page,                                                                    \
      P(state) P(reason) P(mode) P(donors) P(run) P(tag) P(sequence) P(block_size)                 \
      P(blocks_total) P(blocks_wrong) P(blocks_fetched) P(blocks_copied) P(blocks_blank)           \
      P(blocks_repaired) P(blocks_refetched) P(blocks_waived) P(bytes_received)                    \
      P(bytes_preserved) P(bad_block) P(elapsed_ms) P(log_start) P(log_end), NO_DATA)              \
    X(policy_page, policy_page,                                                                    \
      P(min_sequence) P(media) P(generation) P(security_floor) P(sequence_floor), NO_DATA)         \
    X(trust_page, trust_page, P(state) P(reason) P(generation) P(floor) P(length), NO_DATA)        \
    X(peers_page, peers_page, P(count) P(entry_size), NO_DATA)                                     \
    X(peer_entry, peer_entry, P(peer) P(medium) P(reason) P(flags) P(tag) P(bytes)        \
      P(rate) P(round_trip), NO_DATA)
/* clang-format on */

/* The local typedef is what lets the list name a member alone. */
#define P(member) {#member, offsetof(message_type, member), sizeof(((message_type *)0)->member)},
#define NO_DATA   NULL, 0, 0, 0
#define DATA(pointer, count, unit)                                                                 \
#pointer, offsetof(message_type, pointer), offsetof(message_type, count), unit
#define MAKE_CODEC(name, type, members, ...)                                                       \
    THUNKS(name, type)                                                                             \
    static const struct codec *name##_codec(void)                                                  \
    {                                                                                              \
        typedef struct fwr_##type message_type;                                                    \
        static const struct codec codec = {                                                        \
            #name, name##_encode, name##_decode, {members}, __VA_ARGS__};                          \
        return &codec;                                                                             \
    }
EACH_CODEC(MAKE_CODEC)

/* A message in its struct; a union of nothing in particular but large and aligned enough. */
union storage {
    uint8_t bytes[MESSAGE_STORAGE];
    uint64_t align;
    void *pointer;
};

static const struct codec *codec_find(const char *message)
{
#define MATCH_CODEC(name, type, members, ...)                                                      \
    if (strcmp(message, #name) == 0)                                                               \
        return name##_codec();
    EACH_CODEC(MATCH_CODEC)
    fail_msg("no message %s", message);
    return NULL;
}

static uint32_t member_get(const union storage *message, const struct member *member)
{
    const uint8_t *at = message->bytes + member->offset;
    uint16_t u16;
    uint32_t u32;

    if (member->size == 1)
        return *at;
    if (member->size == 2) {
        memcpy(&u16, at, 2);
        return u16;
    }
    assert_int_equal(member->size, 4);
    memcpy(&u32, at, 4);
    return u32;
}

static void member_set(union storage *message, const struct member *member, uint32_t value)
{
    uint8_t *at = message->bytes + member->offset;
    const uint16_t u16 = (uint16_t)value;

    if (member->size == 1) {
        *at = (uint8_t)value;
    } else if (member->size == 2) {
        memcpy(at, &u16, 2);
    } else {
        assert_int_equal(member->size, 4);
        memcpy(at, &value, 4);
    }
}

static const char *optional_value(const struct vector *vector, const char *key)
{
    for (size_t i = 0; i < vector->field_count; i++) {
        if (strcmp(vector->fields[i].key, key) == 0)
            return vector->fields[i].value;
    }
    return NULL;
}

/* The struct that the vector's fields describe. `data` holds what its data pointer shows to.
 * Members that the vector does not name are reserved, and zero. */
static void message_from_text(const struct codec *codec, const struct vector *vector,
                              union storage *message, uint8_t *data, size_t capacity)
{
    size_t named = 0;

    memset(message, 0, sizeof(*message));
    for (const struct member *member = codec->members; member->name; member++) {
        if (!optional_value(vector, member->name))
            continue;
        named++;
        if (member->size > 4) {
            assert_int_equal(
                vector_hex(vector, member->name, message->bytes + member->offset, member->size),
                member->size);
        } else {
            member_set(message, member, (uint32_t)vector_number(vector, member->name));
        }
    }
    if (codec->data) {
        const uint8_t *pointer = data;
        size_t count = vector_hex(vector, codec->data, data, capacity) / codec->unit;

        named++;
        memcpy(message->bytes + codec->pointer, &pointer, sizeof(pointer));
        memcpy(message->bytes + codec->count, &count, sizeof(count));
    }
    assert_int_equal(named, vector->field_count);
}

static void message_same(const struct codec *codec, const union storage *one,
                         const union storage *other)
{
    for (const struct member *member = codec->members; member->name; member++) {
        assert_memory_equal(one->bytes + member->offset, other->bytes + member->offset,
                            member->size);
    }
    if (codec->data) {
        const uint8_t *data[2];
        size_t counts[2];

        memcpy(&data[0], one->bytes + codec->pointer, sizeof(data[0]));
        memcpy(&data[1], other->bytes + codec->pointer, sizeof(data[1]));
        memcpy(&counts[0], one->bytes + codec->count, sizeof(counts[0]));
        memcpy(&counts[1], other->bytes + codec->count, sizeof(counts[1]));
        assert_int_equal(counts[0], counts[1]);
        if (counts[0] > 0)
            assert_memory_equal(data[0], data[1], counts[0] * codec->unit);
    }
}

/* Decodes from a heap buffer of exactly that size, so that sanitizers see a byte too far. The
 * pointer in the message is valid until the next call. */
static int decode_exact(const struct codec *codec, const uint8_t *bytes, size_t length,
                        union storage *message)
{
    static uint8_t *copy;

    free(copy);
    copy = NULL;
    if (length > 0) {
        copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, bytes, length);
    }
    /* What a decoder leaves unset shows. */
    memset(message, 0xee, sizeof(*message));
    return codec->decode(copy, length, message);
}

static void check_both_directions(const struct codec *codec, const struct vector *vector)
{
    union storage wanted, decoded;
    uint8_t data[VECTOR_BYTES_MAX], encoded[VECTOR_BYTES_MAX];

    message_from_text(codec, vector, &wanted, data, sizeof(data));
    assert_int_equal(decode_exact(codec, vector->bytes, vector->length, &decoded), FWR_OK);
    message_same(codec, &wanted, &decoded);

    assert_int_equal(codec->encode(&wanted, encoded, vector->length), vector->length);
    assert_memory_equal(encoded, vector->bytes, vector->length);
    for (size_t room = 0; room < vector->length; room++)
        assert_int_equal(codec->encode(&wanted, encoded, room), FWR_E_NO_SPACE);
}

static void check_lengths(const struct codec *codec, const struct vector *vector)
{
    uint8_t longer[VECTOR_BYTES_MAX + 1] = {0};
    union storage decoded;

    memcpy(longer, vector->bytes, vector->length);
    for (size_t length = 0; length <= vector->length + 1; length++) {
        int expected = vector_takes_length(vector, length) ? FWR_OK : FWR_E_LENGTH;

        assert_int_equal(decode_exact(codec, longer, length, &decoded), expected);
    }
}

/* What is taken encodes to the very bytes it came from: there is one form of each message. */
static void check_mutants(const struct codec *codec, const struct vector *vector)
{
    uint8_t mutant[VECTOR_BYTES_MAX], encoded[VECTOR_BYTES_MAX];
    union storage decoded;
    long taken = 0;

    memcpy(mutant, vector->bytes, vector->length);
    for (size_t at = 0; at < vector->length; at++) {
        for (unsigned value = 0; value < 256; value++) {
            int result;

            if (value == vector->bytes[at])
                continue;
            mutant[at] = (uint8_t)value;
            result = decode_exact(codec, mutant, vector->length, &decoded);
            if (result != FWR_OK) {
                assert_int_equal(result, FWR_E_MALFORMED);
                continue;
            }
            taken++;
            assert_int_equal(codec->encode(&decoded, encoded, sizeof(encoded)), vector->length);
            assert_memory_equal(encoded, mutant, vector->length);
        }
        mutant[at] = vector->bytes[at];
    }
    assert_int_equal(taken, vector->mutants);
}

static void use_vector(const struct vector *vector)
{
    const struct codec *codec = codec_find(vector->message);
    union storage decoded;

    assert_true(vector->has_bytes);
    if (vector->refused) {
        int expected = strcmp(vector->refused, "length") == 0 ? FWR_E_LENGTH : FWR_E_MALFORMED;

        if (expected == FWR_E_MALFORMED)
            assert_string_equal(vector->refused, "malformed");
        assert_int_equal(decode_exact(codec, vector->bytes, vector->length, &decoded), expected);
        return;
    }
    check_both_directions(codec, vector);
    check_lengths(codec, vector);
    check_mutants(codec, vector);
}

static void vectors_of_the_donor(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("donor.txt", use_vector), 26);
}

static void vectors_of_the_recipient(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("recipient.txt", use_vector), 35);
}

static void vectors_of_the_pages(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("pages.txt", use_vector), 6);
}

static void vectors_that_are_refused(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("refused.txt", use_vector), 40);
}

/* Which messages a command consists of. */
static const struct {
    uint8_t command;
    const char *request;
    const char *reply;
} commands[] = {
    {FWR_CMD_GET_CAPABILITIES, "get_capabilities_request", "get_capabilities_reply"},
    {FWR_CMD_REQUEST_IMAGE, "request_image_request", "request_image_reply"},
    {FWR_CMD_READ_MANIFEST, "read_manifest_request", "data_reply"},
    {FWR_CMD_ACCEPT_OFFER, "accept_offer_request", "accept_offer_reply"},
    {FWR_CMD_READ_TREE, "read_request", "data_reply"},
    {FWR_CMD_READ_BLOCKS, "read_request", "data_reply"},
    {FWR_CMD_END_TRANSFER, "end_transfer_request", "empty_reply"},
    {FWR_CMD_OFFER, "offer_request", "offer_reply"},
    {FWR_CMD_GET_WANTED, "get_wanted_request", "get_wanted_reply"},
    {FWR_CMD_WRITE_DATA, "write_data_request", "result_reply"},
    {FWR_CMD_START, "start_request", "result_reply"},
    {FWR_CMD_ABORT, "abort_request", "result_reply"},
    {FWR_CMD_GET_STATUS, "get_status_request", "get_status_reply"},
    {FWR_CMD_SET_POLICY, "set_policy_request", "result_reply"},
    {FWR_CMD_READ_PAGE, "read_page_request", "read_page_reply"},
};

/* The shortest length a decoder does not call wrong, and whether it also takes a longer one. */
static size_t shortest(const struct codec *codec)
{
    static const uint8_t zeros[256];
    union storage decoded;
    size_t length = 0;

    while (decode_exact(codec, zeros, length, &decoded) == FWR_E_LENGTH) {
        length++;
        assert_true(length < sizeof(zeros));
    }
    return length;
}

/* Every command but Block Data, which is reserved, has a row above. A message with data must
 * leave room for at least one unit of it. */
static void fixed_parts_fit_16_request_and_19_reply_bytes(void **state)
{
    unsigned seen = 1u << FWR_CMD_BLOCK_DATA;

    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct codec *request = codec_find(commands[i].request);
        const struct codec *reply = codec_find(commands[i].reply);

        seen |= 1u << commands[i].command;
        assert_true(shortest(request) <= FWR_LINK_MIN_REQUEST);
        assert_true(shortest(reply) + (reply->data ? reply->unit : 0) <= FWR_LINK_MIN_REPLY);
    }
    assert_int_equal(seen, (1u << FWR_CMD_COUNT) - 1);
    /* Write Data starts at one byte of data, Set Policy takes values of 8. */
    assert_true(shortest(codec_find("set_policy_request")) + 7 <= FWR_LINK_MIN_REQUEST);
}

static void requests_refuse_a_byte_more_and_replies_ignore_it(void **state)
{
    static const uint8_t zeros[256];
    union storage decoded;

    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct codec *request = codec_find(commands[i].request);
        const struct codec *reply = codec_find(commands[i].reply);

        if (!request->data) {
            assert_int_equal(decode_exact(request, zeros, shortest(request) + 1, &decoded),
                             FWR_E_LENGTH);
        }
        if (!reply->data) {
            assert_int_not_equal(decode_exact(reply, zeros, shortest(reply) + 1, &decoded),
                                 FWR_E_LENGTH);
        }
    }
}

/* Bytes of a message that is right otherwise. */
struct refusal {
    const char *message;
    uint8_t length;
    uint8_t bytes[24];
    uint8_t at; /* the reserved byte */
    uint8_t mask;
};

static void every_reserved_bit_is_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"request_image_request", 14, {0}, 13, 0xff},
        {"accept_offer_request", 14, {0}, 13, 0xff},
        {"offer_request", 15, {0}, 14, 0xfc},
        {"abort_request", 7, {0, 0, 1}, 6, 0xff},
        {"peers_page", 4, {0, 24}, 2, 0xff},
        {"peers_page", 4, {0, 24}, 3, 0xff},
        {"peer_entry", 24, {0}, 3, 0xf0},
        {"peer_entry", 24, {0}, 22, 0xff},
        {"trust_page", 16, {0}, 2, 0xff},
        {"trust_page", 16, {0}, 3, 0xff},
    };
    uint8_t offer[19] = {0};
    union storage decoded;

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        const struct codec *codec = codec_find(r->message);
        uint8_t bytes[24];

        memcpy(bytes, r->bytes, sizeof(bytes));
        assert_int_equal(decode_exact(codec, bytes, r->length, &decoded), FWR_OK);
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            int expected = (r->mask & bit) ? FWR_E_MALFORMED : FWR_OK;

            bytes[r->at] = (uint8_t)bit;
            assert_int_equal(decode_exact(codec, bytes, r->length, &decoded), expected);
        }
    }
    for (unsigned bit = 1; bit < 256; bit <<= 1) {
        offer[3] = (uint8_t)bit;
        assert_int_equal(
            decode_exact(codec_find("request_image_reply"), offer, sizeof(offer), &decoded),
            FWR_E_MALFORMED);
    }
}

/* Sets each integer of a message to many values: what the encoder takes, the decoder gives
 * back; what it does not take is FWR_E_ARGUMENT. */
static void try_values(const struct vector *vector)
{
    static const uint32_t values[] = {0,   1,    2,    3,     4,        5,        7,         8,
                                      11,  12,   15,   16,    18,       19,       100,       101,
                                      255, 1000, 1001, 65535, 0xffffff, 1u << 24, UINT32_MAX};
    const struct codec *codec = codec_find(vector->message);
    uint8_t data[VECTOR_BYTES_MAX], encoded[VECTOR_BYTES_MAX];
    union storage message, decoded;

    for (const struct member *member = codec->members; member->name; member++) {
        if (member->size > 4)
            continue;
        message_from_text(codec, vector, &message, data, sizeof(data));
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            int length;

            member_set(&message, member, values[i]);
            if (member_get(&message, member) != values[i])
                continue;
            length = codec->encode(&message, encoded, sizeof(encoded));
            if (length < 0) {
                assert_int_equal(length, FWR_E_ARGUMENT);
                continue;
            }
            assert_int_equal(decode_exact(codec, encoded, (size_t)length, &decoded), FWR_OK);
            message_same(codec, &message, &decoded);
        }
    }
}

static void encoders_write_only_what_decoders_take(void **state)
{
    (void)state;
    vectors_each("donor.txt", try_values);
    vectors_each("recipient.txt", try_values);
    vectors_each("pages.txt", try_values);
}

/* One value on each side of every limit of doc/WIRE.md section 5. */
static void encoders_know_the_limits(void **state)
{
    static const struct {
        const char *message;
        const char *member;
        uint32_t taken;
        uint32_t refused;
    } limits[] = {
        {"get_capabilities_reply", "wire_version", 1, 0},
        {"get_capabilities_reply", "max_request", 16, 15},
        {"get_capabilities_reply", "max_reply", 19, 18},
        {"get_capabilities_reply", "window", 1, 0},
        {"request_image_request", "kind", 1, 2},
        {"request_image_reply", "result", 2, 3},
        {"request_image_reply", "flags", 0, 1},
        {"request_image_reply", "load", 100, 101},
        {"read_manifest_request", "length", 1, 0},
        {"accept_offer_request", "flags", 0, 1},
        {"accept_offer_reply", "result", 2, 3},
        {"read_request", "length", 1, 0},
        {"read_request", "codec", 0x81, 0x82},
        {"offer_request", "kind", 2, 3},
        {"offer_reply", "result", 2, 3},
        {"get_wanted_reply", "more", 2, 3},
        {"wanted", "object", 4, 5},
        {"wanted", "length", 1, 0},
        {"wanted", "length", 0xffffff, 0x1000000},
        {"write_data_request", "object", 4, 5},
        {"start_request", "run", 1, 0},
        {"start_request", "mode", 2, 3},
        {"abort_request", "run", 1, 0},
        {"abort_request", "mode", 0, 1},
        {"get_status_reply", "permille", 1000, 1001},
        {"read_page_request", "length", 1, 0},
        {"read_page_reply", "generation", 1, 0},
        {"trust_page", "state", 2, 3},
        {"peers_page", "entry_size", 24, 23},
        {"peer_entry", "flags", 15, 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct codec *codec = codec_find(limits[i].message);
        const struct member *member = codec->members;
        const uint8_t data[8] = {0}, *pointer = data;
        const size_t count = 1;
        uint8_t encoded[256];
        union storage message;

        while (strcmp(member->name, limits[i].member) != 0) {
            member++;
            assert_non_null(member->name);
        }
        /* Zero is legal where the table has no row. */
        memset(&message, 0, sizeof(message));
        for (const struct member *other = codec->members; other->name; other++) {
            for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
                if (strcmp(limits[k].message, codec->message) == 0 &&
                    strcmp(limits[k].member, other->name) == 0)
                    member_set(&message, other, limits[k].taken);
            }
        }
        if (codec->data) {
            memcpy(message.bytes + codec->pointer, &pointer, sizeof(pointer));
            memcpy(message.bytes + codec->count, &count, sizeof(count));
        }
        member_set(&message, member, limits[i].taken);
        assert_true(codec->encode(&message, encoded, sizeof(encoded)) > 0);
        member_set(&message, member, limits[i].refused);
        assert_int_equal(codec->encode(&message, encoded, sizeof(encoded)), FWR_E_ARGUMENT);
    }
}

static void data_may_be_absent_only_where_it_may_be_empty(void **state)
{
    struct fwr_data_reply reply = {.cookie = 7, .data = NULL, .length = 0};
    struct fwr_write_data_request write = {.cookie = 7, .transfer = 1};
    struct fwr_set_policy_request policy = {.cookie = 7, .value = (const uint8_t *)"123456789"};
    struct fwr_get_wanted_reply wanted = {.cookie = 7};
    uint8_t buffer[64];

    (void)state;
    assert_int_equal(fwr_data_reply_encode(&reply, buffer, sizeof(buffer)), 1);
    reply.length = 1;
    assert_int_equal(fwr_data_reply_encode(&reply, buffer, sizeof(buffer)), FWR_E_ARGUMENT);
    assert_int_equal(fwr_write_data_request_encode(&write, buffer, sizeof(buffer)), FWR_E_ARGUMENT);
    policy.length = 9;
    assert_int_equal(fwr_set_policy_request_encode(&policy, buffer, sizeof(buffer)),
                     FWR_E_ARGUMENT);
    policy.length = 8;
    assert_int_equal(fwr_set_policy_request_encode(&policy, buffer, sizeof(buffer)), 15);
    assert_int_equal(fwr_get_wanted_reply_encode(&wanted, buffer, sizeof(buffer)), 2);
    /* More ranges than size_t can count bytes of. */
    wanted.ranges = buffer;
    wanted.count = SIZE_MAX / 4;
    assert_int_equal(fwr_get_wanted_reply_encode(&wanted, buffer, sizeof(buffer)), FWR_E_ARGUMENT);
}

static void pages_have_their_published_sizes(void **state)
{
    (void)state;
    assert_int_equal(shortest(codec_find("status_page")), FWR_STATUS_PAGE_SIZE);
    assert_int_equal(shortest(codec_find("policy_page")), FWR_POLICY_PAGE_SIZE);
    assert_int_equal(shortest(codec_find("trust_page")), FWR_TRUST_PAGE_SIZE);
    assert_int_equal(shortest(codec_find("peers_page")), FWR_PEERS_PAGE_SIZE);
    assert_int_equal(shortest(codec_find("peer_entry")), FWR_PEER_ENTRY_SIZE);
    assert_int_equal(shortest(codec_find("wanted")), FWR_WANTED_SIZE);
}

static void numbers_have_names(void **state)
{
    (void)state;
    for (unsigned command = 0; command < 256; command++) {
        assert_int_equal(strcmp(fwr_command_name((uint8_t)command), "?") != 0,
                         command < FWR_CMD_COUNT);
    }
    assert_string_equal(fwr_command_name(FWR_CMD_REQUEST_IMAGE), "Request Image");
    assert_string_equal(fwr_command_name(FWR_CMD_READ_PAGE), "Read Page");
    for (unsigned state_number = 0; state_number < 256; state_number++) {
        assert_int_equal(strcmp(fwr_state_name((uint8_t)state_number), "unknown") != 0,
                         state_number <= FWR_STATE_FAILED ||
                             state_number == FWR_STATE_NO_RECIPIENT);
    }
    assert_string_equal(fwr_state_name(FWR_STATE_REPAIRING), "repairing");
    for (int medium = 0; medium < FWR_MEDIUM_COUNT; medium++)
        assert_string_not_equal(fwr_medium_name((enum fwr_medium)medium), "unknown");
    assert_string_equal(fwr_medium_name(FWR_MEDIUM_ICMB), "icmb");
    assert_string_equal(fwr_medium_name(FWR_MEDIUM_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_donor),
        cmocka_unit_test(vectors_of_the_recipient),
        cmocka_unit_test(vectors_of_the_pages),
        cmocka_unit_test(vectors_that_are_refused),
        cmocka_unit_test(fixed_parts_fit_16_request_and_19_reply_bytes),
        cmocka_unit_test(requests_refuse_a_byte_more_and_replies_ignore_it),
        cmocka_unit_test(every_reserved_bit_is_refused),
        cmocka_unit_test(encoders_write_only_what_decoders_take),
        cmocka_unit_test(encoders_know_the_limits),
        cmocka_unit_test(data_may_be_absent_only_where_it_may_be_empty),
        cmocka_unit_test(pages_have_their_published_sizes),
        cmocka_unit_test(numbers_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
