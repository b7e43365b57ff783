/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image formats against the vectors that a second implementation made: manifests, their
 * ids, envelopes, trust sets, verdicts under them, and trees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/manifest.h>
#include <fwrecover/tree.h>
#include <fwrecover/trust.h>

#include "tests/unit/vectors.h"

/* How many strings that differ from the vector's in one byte the reader takes. */
static void check_mutants(const struct vector *vector, int (*read)(const uint8_t *bytes))
{
    uint8_t mutant[VECTOR_BYTES_MAX];
    long taken = 0;

    memcpy(mutant, vector->bytes, vector->length);
    for (size_t at = 0; at < vector->length; at++) {
        for (unsigned value = 0; value < 256; value++) {
            mutant[at] = (uint8_t)value;
            taken += value != vector->bytes[at] && read(mutant) == FWR_OK;
        }
        mutant[at] = vector->bytes[at];
    }
    assert_int_equal(taken, vector->mutants);
}

/* The length of the vector under check, for readers called by check_mutants. */
static size_t current_length;

static int expected_error(const char *refused)
{
    static const int errors[] = {FWR_E_MANIFEST,  FWR_E_CRITICAL_TAG,  FWR_E_REGION_MAP,
                                 FWR_E_ALGORITHM, FWR_E_ENVELOPE,      FWR_E_SIGNATURE,
                                 FWR_E_UNTRUSTED, FWR_E_REVOKED,       FWR_E_TRUST_SET,
                                 FWR_E_KEY,       FWR_E_PARTLY_SIGNED, FWR_OK};

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(refused, fwr_error_name(errors[i])) == 0)
            return errors[i];
    }
    fail_msg("no error is called %s", refused);
    return 0;
}

/* What is taken encodes to the very bytes it came from; but for a guard field whose tag a
 * mutation made ignorable and unknown. */
static int read_manifest(const uint8_t *bytes)
{
    enum { GUARD_FIELD_SIZE = 8 };
    struct fwr_manifest manifest;
    uint8_t encoded[VECTOR_BYTES_MAX];
    size_t kept = current_length;
    int error = fwr_manifest_decode(bytes, current_length, &manifest);

    if (error != FWR_OK)
        return error;
    if (bytes[current_length - GUARD_FIELD_SIZE] == 0x0d &&
        (bytes[current_length - GUARD_FIELD_SIZE + 1] & 0x80))
        kept -= GUARD_FIELD_SIZE;
    assert_int_equal(fwr_manifest_encode(&manifest, encoded, sizeof(encoded)), kept);
    assert_memory_equal(encoded, bytes, kept);
    return FWR_OK;
}

static void regions_from_text(const struct vector *vector, struct fwr_region_map *map)
{
    uint32_t offset = 0;

    for (size_t i = 0; i < vector->field_count; i++) {
        struct fwr_region *region = &map->regions[map->count];
        char *end;

        if (strcmp(vector->fields[i].key, "region") != 0)
            continue;
        assert_true(map->count < FWR_REGIONS_MAX);
        region->offset = offset;
        region->length = (uint32_t)strtoul(vector->fields[i].value, &end, 10);
        region->kind = (uint8_t)strtoul(end, &end, 10);
        region->flags = (uint8_t)strtoul(end, &end, 10);
        region->fill = (uint8_t)strtoul(end, &end, 10);
        assert_int_equal(*end, '\0');
        offset += region->length;
        map->count++;
    }
}

static void manifest_from_text(const struct vector *vector, struct fwr_manifest *manifest)
{
    const char *version = vector_value(vector, "version");
    size_t length = strlen(version);

    memset(manifest, 0, sizeof(*manifest));
    vector_hex(vector, "component", manifest->component, sizeof(manifest->component));
    manifest->manufacturer = (uint32_t)vector_number(vector, "manufacturer");
    manifest->product = (uint16_t)vector_number(vector, "product");
    manifest->hardware_min = (uint16_t)vector_number(vector, "hardware_min");
    manifest->hardware_max = (uint16_t)vector_number(vector, "hardware_max");
    manifest->flash_size = (uint32_t)vector_number(vector, "flash_size");
    assert_true(length >= 2 && length - 2 <= FWR_VERSION_MAX);
    memcpy(manifest->version, version + 1, length - 2); /* without the quotes */
    manifest->sequence = (uint32_t)vector_number(vector, "sequence");
    manifest->security_version = (uint32_t)vector_number(vector, "security_version");
    manifest->hash = (uint8_t)vector_number(vector, "hash");
    manifest->block_size = (uint32_t)vector_number(vector, "block_size");
    vector_hex(vector, "root", manifest->root, sizeof(manifest->root));
    regions_from_text(vector, &manifest->map);
    manifest->guard = FWR_NO_GUARD;
    if (strcmp(vector->fields[vector->field_count - 1].key, "guard") == 0)
        manifest->guard = (uint32_t)vector_number(vector, "guard");
}

static void use_manifest(const struct vector *vector)
{
    struct fwr_manifest wanted, decoded;
    uint8_t encoded[VECTOR_BYTES_MAX];

    if (vector->refused) {
        assert_int_equal(fwr_manifest_decode(vector->bytes, vector->length, &decoded),
                         expected_error(vector->refused));
        return;
    }
    manifest_from_text(vector, &wanted);
    assert_int_equal(fwr_manifest_encode(&wanted, encoded, sizeof(encoded)), vector->length);
    assert_memory_equal(encoded, vector->bytes, vector->length);
    assert_int_equal(fwr_manifest_encode(&wanted, encoded, vector->length - 1), FWR_E_NO_SPACE);

    assert_int_equal(fwr_manifest_decode(vector->bytes, vector->length, &decoded), FWR_OK);
    assert_memory_equal(&decoded.map, &wanted.map, sizeof(wanted.map));
    assert_int_equal(decoded.guard, wanted.guard);
    assert_string_equal(decoded.version, wanted.version);
    for (size_t length = 0; length <= vector->length; length++) {
        assert_int_equal(fwr_manifest_decode(vector->bytes, length, &decoded) == FWR_OK,
                         vector_takes_length(vector, length));
    }
    current_length = vector->length;
    check_mutants(vector, read_manifest);
}

static void use_manifest_extended(const struct vector *vector)
{
    uint8_t payload[VECTOR_BYTES_MAX], known[VECTOR_BYTES_MAX], encoded[VECTOR_BYTES_MAX];
    size_t length = vector_hex(vector, "payload", payload, sizeof(payload));
    size_t known_length = vector_hex(vector, "known", known, sizeof(known));
    struct fwr_manifest manifest;

    assert_int_equal(fwr_manifest_decode(payload, length, &manifest), FWR_OK);
    assert_int_equal(fwr_manifest_encode(&manifest, encoded, sizeof(encoded)), known_length);
    assert_memory_equal(encoded, known, known_length);
}

static void use_manifest_id(const struct vector *vector)
{
    uint8_t payload[VECTOR_BYTES_MAX], id[FWR_ID_SIZE], wanted[FWR_ID_SIZE];
    size_t length = vector_hex(vector, "payload", payload, sizeof(payload));

    vector_hex(vector, "id", wanted, sizeof(wanted));
    assert_int_equal(fwr_manifest_id(payload, length, id), FWR_OK);
    assert_memory_equal(id, wanted, sizeof(id));
}

static void use_compatibility_key(const struct vector *vector)
{
    uint8_t component[FWR_UUID_SIZE], key[FWR_KEY_SIZE], wanted[FWR_KEY_SIZE];

    vector_hex(vector, "component", component, sizeof(component));
    vector_hex(vector, "key", wanted, sizeof(wanted));
    assert_int_equal(fwr_compatibility_key(component,
                                           (uint32_t)vector_number(vector, "manufacturer"),
                                           (uint16_t)vector_number(vector, "product"), key),
                     FWR_OK);
    assert_memory_equal(key, wanted, sizeof(key));
}

static void use_leaves(const struct vector *vector)
{
    uint8_t payload[VECTOR_BYTES_MAX];
    size_t length = vector_hex(vector, "payload", payload, sizeof(payload));
    struct fwr_manifest manifest;
    uint32_t leaves, leaf;

    assert_int_equal(fwr_manifest_decode(payload, length, &manifest), FWR_OK);
    leaves = fwr_manifest_leaf_count(&manifest);
    assert_int_equal(leaves, vector_number(vector, "leaves"));
    assert_int_equal(fwr_manifest_leaf_address(&manifest, 0), vector_number(vector, "first"));
    assert_int_equal(fwr_manifest_leaf_address(&manifest, leaves - 1),
                     vector_number(vector, "last"));
    assert_true(fwr_manifest_leaf_at(&manifest, (uint32_t)vector_number(vector, "last"), &leaf));
    assert_int_equal(leaf, leaves - 1);
}

/* Opens, and builds again: the same bytes. */
static int read_envelope(const uint8_t *bytes)
{
    struct fwr_envelope envelope;
    uint8_t built[VECTOR_BYTES_MAX];
    int error = fwr_envelope_open(bytes, current_length, &envelope);

    if (error == FWR_OK) {
        assert_int_equal(fwr_envelope_build(envelope.payload, envelope.payload_length,
                                            envelope.signatures, envelope.signature_count, built,
                                            sizeof(built)),
                         current_length);
        assert_memory_equal(built, bytes, current_length);
    }
    return error;
}

/* Asked with ever more bytes, fwr_envelope_total never says more than the truth. */
static void check_total(const struct vector *vector)
{
    for (size_t length = 0; length <= vector->length; length++) {
        size_t total = 0;
        int error = fwr_envelope_total(vector->bytes, length, &total);

        assert_true(total <= vector->length);
        if (error == FWR_OK) {
            assert_int_equal(total, vector->length);
        } else {
            assert_int_equal(error, FWR_E_NO_SPACE);
            assert_true(total > length);
        }
    }
}

static void use_envelope(const struct vector *vector)
{
    struct fwr_envelope envelope;
    uint8_t payload[VECTOR_BYTES_MAX];
    size_t length, count = 0;
    int error = fwr_envelope_open(vector->bytes, vector->length, &envelope);

    if (vector->refused) {
        /* One that announces more than any envelope may hold has an error of its own. */
        if (error != FWR_E_ENVELOPE_SIZE)
            assert_int_equal(error, expected_error(vector->refused));
        return;
    }
    assert_int_equal(error, FWR_OK);
    length = vector_hex(vector, "payload", payload, sizeof(payload));
    assert_int_equal(envelope.payload_length, length);
    assert_memory_equal(envelope.payload, payload, length);
    for (size_t i = 0; i < vector->field_count; i++) {
        const struct fwr_signature *signature = &envelope.signatures[count];
        uint8_t key_id[FWR_KEY_ID_SIZE], bytes[FWR_SIGNATURE_MAX];
        const char *rest;

        if (strcmp(vector->fields[i].key, "signature") != 0)
            continue;
        vector_parse_hex(vector->fields[i].value, key_id, sizeof(key_id), &rest);
        length = vector_parse_hex(rest, bytes, sizeof(bytes), NULL);
        assert_true(count++ < envelope.signature_count);
        assert_memory_equal(signature->key_id, key_id, sizeof(key_id));
        assert_int_equal(signature->length, length);
        assert_memory_equal(signature->signature, bytes, length);
    }
    assert_int_equal(envelope.signature_count, count);
    for (size_t cut = 0; cut < vector->length; cut++)
        assert_int_equal(fwr_envelope_open(vector->bytes, cut, &envelope), FWR_E_ENVELOPE);
    check_total(vector);
    current_length = vector->length;
    check_mutants(vector, read_envelope);
}

static void use_trust_set(const struct vector *vector)
{
    struct fwr_trust trust;
    uint8_t encoded[VECTOR_BYTES_MAX];
    size_t keys = 0, groups = 0, revoked = 0;

    if (vector->refused) {
        assert_int_equal(fwr_trust_decode(vector->bytes, vector->length, &trust),
                         expected_error(vector->refused));
        return;
    }
    assert_int_equal(fwr_trust_decode(vector->bytes, vector->length, &trust), FWR_OK);
    assert_int_equal(trust.generation, vector_number(vector, "generation"));
    for (size_t i = 0; i < vector->field_count; i++) {
        const char *key = vector->fields[i].key, *value = vector->fields[i].value;
        uint8_t id[FWR_KEY_ID_SIZE], spki[FWR_SPKI_MAX];

        if (strcmp(key, "threshold") == 0) {
            assert_int_equal(trust.thresholds[groups++], strtoul(value, NULL, 10));
        } else if (strcmp(key, "key") == 0) {
            const struct fwr_trust_key *have = &trust.keys[keys++];
            char *rest;
            size_t length;

            assert_int_equal(have->algorithm, strtoul(value, &rest, 10));
            assert_int_equal(have->group, groups - 1);
            vector_parse_hex(rest + 1, id, sizeof(id), &value);
            length = vector_parse_hex(value, spki, sizeof(spki), NULL);
            assert_memory_equal(have->id, id, sizeof(id));
            assert_int_equal(have->spki_length, length);
            assert_memory_equal(have->spki, spki, length);
        } else if (strcmp(key, "revoked") == 0) {
            vector_parse_hex(value, id, sizeof(id), NULL);
            assert_memory_equal(trust.revoked[revoked++], id, sizeof(id));
        }
    }
    assert_int_equal(trust.group_count, groups);
    assert_int_equal(trust.key_count, keys);
    assert_int_equal(trust.revoked_count, revoked);
    assert_int_equal(fwr_trust_encode(&trust, encoded, sizeof(encoded)), vector->length);
    assert_memory_equal(encoded, vector->bytes, vector->length);
    for (size_t length = 0; length <= vector->length; length++) {
        assert_int_equal(fwr_trust_decode(vector->bytes, length, &trust) == FWR_OK,
                         vector_takes_length(vector, length));
    }
}

static void use_verdict(const struct vector *vector)
{
    uint8_t set[VECTOR_BYTES_MAX], bytes[VECTOR_BYTES_MAX], id[FWR_ID_SIZE];
    size_t set_length = vector_hex(vector, "trust", set, sizeof(set));
    size_t length = vector_hex(vector, "envelope", bytes, sizeof(bytes));
    struct fwr_manifest manifest;
    struct fwr_trust trust;
    const char *verdict = vector_value(vector, "verdict");
    char word[32];

    assert_int_equal(fwr_trust_decode(set, set_length, &trust), FWR_OK);
    assert_true(strlen(verdict) >= 2 && strlen(verdict) - 2 < sizeof(word));
    memset(word, 0, sizeof(word));
    memcpy(word, verdict + 1, strlen(verdict) - 2);
    assert_int_equal(fwr_envelope_verify_manifest(bytes, length, &trust, &manifest, id),
                     expected_error(word));
}

static void use_tree(const struct vector *vector)
{
    const uint32_t leaves = (uint32_t)vector_number(vector, "leaves");
    uint8_t block[512], root[FWR_HASH_MAX], wanted[FWR_HASH_MAX], object[VECTOR_BYTES_MAX];
    struct fwr_hasher hasher;
    struct fwr_tree_builder builder;

    assert_int_equal(vector_number(vector, "block_size"), sizeof(block));
    assert_int_equal(fwr_hasher_init(&hasher, (uint8_t)vector_number(vector, "hash")), FWR_OK);
    assert_int_equal(fwr_tree_size(leaves, hasher.hash_size), vector->length);
    assert_int_equal(fwr_tree_builder_init(&builder, &hasher, leaves, object, vector->length),
                     FWR_OK);
    for (uint32_t leaf = 0; leaf < leaves; leaf++) {
        memset(block, (int)leaf + 1, sizeof(block));
        assert_int_equal(fwr_tree_builder_block(&builder, block, sizeof(block)), FWR_OK);
    }
    assert_int_equal(fwr_tree_builder_root(&builder, root), FWR_OK);
    assert_int_equal(vector_hex(vector, "root", wanted, sizeof(wanted)), hasher.hash_size);
    assert_memory_equal(root, wanted, hasher.hash_size);
    assert_memory_equal(object, vector->bytes, vector->length);
    fwr_hasher_free(&hasher);
}

static void use_tree_offset(const struct vector *vector)
{
    const uint32_t leaves = (uint32_t)vector_number(vector, "leaves");
    const uint8_t hash_size = (uint8_t)vector_number(vector, "hash_size");
    const uint64_t offset = vector_number(vector, "offset");
    uint32_t index;
    uint8_t level;

    assert_true(fwr_tree_offset(leaves, hash_size, (uint8_t)vector_number(vector, "level"),
                                (uint32_t)vector_number(vector, "index")) == offset);
    assert_true(fwr_tree_size(leaves, hash_size) == vector_number(vector, "size"));
    assert_true(fwr_tree_locate(leaves, hash_size, offset + hash_size - 1, &level, &index));
    assert_int_equal(level, vector_number(vector, "level"));
    assert_int_equal(index, vector_number(vector, "index"));
}

static void use_vector(const struct vector *vector)
{
    static const struct {
        const char *message;
        void (*use)(const struct vector *vector);
    } users[] = {
        {"manifest", use_manifest},
        {"manifest_extended", use_manifest_extended},
        {"manifest_id", use_manifest_id},
        {"compatibility_key", use_compatibility_key},
        {"leaves", use_leaves},
        {"envelope", use_envelope},
        {"trust_set", use_trust_set},
        {"verdict", use_verdict},
        {"tree", use_tree},
        {"tree_offset", use_tree_offset},
    };

    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        if (strcmp(vector->message, users[i].message) == 0) {
            print_message("%s\n", vector->name);
            users[i].use(vector);
            return;
        }
    }
    fail_msg("%s: no such format: %s", vector->name, vector->message);
}

static void vectors_of_images(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("image.txt", use_vector), 96);
}

static void vectors_of_trees(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tree.txt", use_vector), 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_images),
        cmocka_unit_test(vectors_of_trees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
