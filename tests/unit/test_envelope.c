/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope's form, the order in which one is believed, and a hundred thousand damaged ones.
 * Envelopes are put together here byte by byte from doc/WIRE.md 11.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>

#include "keys.h"
#include "seeded.h"

enum { MUTATIONS = 100000 };

static size_t put_header(uint8_t *bytes, uint8_t count, uint32_t payload_length)
{
    memcpy(bytes, "FWRE\x01", 5);
    bytes[5] = count;
    bytes[6] = bytes[7] = 0;
    bytes[8] = (uint8_t)payload_length;
    bytes[9] = (uint8_t)(payload_length >> 8);
    bytes[10] = (uint8_t)(payload_length >> 16);
    bytes[11] = (uint8_t)(payload_length >> 24);
    return 12;
}

/* A signature whose key id begins with `id` and whose bytes are all `fill`. */
static size_t put_signature(uint8_t *bytes, uint8_t id, uint8_t fill, uint16_t length)
{
    memset(bytes, 0, FWR_KEY_ID_SIZE);
    bytes[0] = id;
    bytes[32] = (uint8_t)length;
    bytes[33] = (uint8_t)(length >> 8);
    memset(bytes + 34, fill, length);
    return 34u + length;
}

/* Exactly sized memory, so that the sanitizers and valgrind see a read past the end. */
static int open_exact(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    struct fwr_envelope envelope;
    size_t total = 0;
    int error;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    error = fwr_envelope_open(copy, length, &envelope);
    if (error == FWR_OK) {
        assert_int_equal(fwr_envelope_total(copy, length, &total), FWR_OK);
        assert_int_equal(total, length);
    }
    free(copy);
    return error;
}

static void opens_and_builds_the_same(void **state)
{
    uint8_t bytes[512], built[512];
    struct fwr_signature signatures[2], swapped[2];
    struct fwr_envelope envelope;
    size_t length = put_header(bytes, 2, 5);
    size_t room;

    (void)state;
    memcpy(bytes + length, "hello", 5);
    length += 5;
    length += put_signature(bytes + length, 3, 0xaa, 64);
    length += put_signature(bytes + length, 4, 0xbb, 100);
    assert_int_equal(fwr_envelope_open(bytes, length, &envelope), FWR_OK);
    assert_ptr_equal(envelope.payload, bytes + 12);
    assert_int_equal(envelope.payload_length, 5);
    assert_int_equal(envelope.signature_count, 2);
    assert_int_equal(envelope.signatures[0].key_id[0], 3);
    assert_int_equal(envelope.signatures[0].length, 64);
    assert_int_equal(envelope.signatures[1].length, 100);
    assert_int_equal(envelope.signatures[1].signature[99], 0xbb);
    memcpy(signatures, envelope.signatures, sizeof(signatures));
    swapped[0] = signatures[1];
    swapped[1] = signatures[0];
    assert_int_equal(fwr_envelope_build("hello", 5, signatures, 2, built, sizeof(built)),
                     (int)length);
    assert_memory_equal(built, bytes, length);
    memset(built, 0, sizeof(built));
    assert_int_equal(fwr_envelope_build("hello", 5, swapped, 2, built, sizeof(built)), (int)length);
    assert_memory_equal(built, bytes, length);
    for (room = 0; room < length; room++)
        assert_int_equal(fwr_envelope_build("hello", 5, swapped, 2, built, room), FWR_E_NO_SPACE);
}

static void unsigned_is_well_formed(void **state)
{
    uint8_t bytes[64];

    (void)state;
    assert_int_equal(fwr_envelope_build("x", 1, NULL, 0, bytes, sizeof(bytes)), 13);
    assert_int_equal(open_exact(bytes, 13), FWR_OK);
}

static void build_refuses(void **state)
{
    static uint8_t payload[FWR_ENVELOPE_MAX + 1], built[FWR_ENVELOPE_MAX + 1];
    struct fwr_signature many[FWR_SIGNATURES_MAX + 1];
    size_t i;

    (void)state;
    for (i = 0; i < FWR_SIGNATURES_MAX + 1; i++) {
        memset(&many[i], 0, sizeof(many[i]));
        many[i].key_id[31] = (uint8_t)i;
        many[i].signature = payload;
        many[i].length = 1;
    }
    assert_int_equal(fwr_envelope_build(payload, 1, many, FWR_SIGNATURES_MAX, built, sizeof(built)),
                     13 + FWR_SIGNATURES_MAX * 35);
    assert_int_equal(open_exact(built, 13 + FWR_SIGNATURES_MAX * 35), FWR_OK);
    assert_int_equal(
        fwr_envelope_build(payload, 1, many, FWR_SIGNATURES_MAX + 1, built, sizeof(built)),
        FWR_E_ARGUMENT);
    assert_int_equal(fwr_envelope_build(payload, 0, many, 1, built, sizeof(built)), FWR_E_ARGUMENT);
    many[1].key_id[31] = 0;
    assert_int_equal(fwr_envelope_build(payload, 1, many, 2, built, sizeof(built)), FWR_E_ARGUMENT);
    many[0].length = 0;
    assert_int_equal(fwr_envelope_build(payload, 1, many, 1, built, sizeof(built)), FWR_E_ARGUMENT);
    assert_int_equal(
        fwr_envelope_build(payload, FWR_ENVELOPE_MAX - 12, NULL, 0, built, sizeof(built)),
        FWR_ENVELOPE_MAX);
    assert_int_equal(open_exact(built, FWR_ENVELOPE_MAX), FWR_OK);
    assert_int_equal(
        fwr_envelope_build(payload, FWR_ENVELOPE_MAX - 11, NULL, 0, built, sizeof(built)),
        FWR_E_NO_SPACE);
    assert_int_equal(
        fwr_envelope_build(payload, FWR_ENVELOPE_MAX + 1, NULL, 0, built, sizeof(built)),
        FWR_E_ARGUMENT);
}

static void truncated_extended_or_of_another_form(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 'f'}, {3, 'F'}, {4, 0},  {4, 2},  {5, 0},   {5, 1},  {5, 3},  {5, 9},
        {6, 1},   {7, 1},   {8, 4},  {8, 6},  {8, 0},   {9, 1},  {10, 1}, {11, 0x80},
        {17, 4},  {17, 5},  {49, 0}, {49, 9}, {49, 65}, {50, 1},
    };
    uint8_t bytes[512];
    size_t length = put_header(bytes, 2, 5);
    size_t i;

    (void)state;
    memcpy(bytes + length, "hello", 5);
    length += 5;
    length += put_signature(bytes + length, 3, 0xaa, 64);
    length += put_signature(bytes + length, 4, 0xbb, 100);
    assert_int_equal(open_exact(bytes, length), FWR_OK);
    for (i = 0; i < length; i++)
        assert_int_equal(open_exact(bytes, i), FWR_E_ENVELOPE);
    bytes[length] = 0;
    assert_int_equal(open_exact(bytes, length + 1), FWR_E_ENVELOPE);
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t old = bytes[changes[i].at];
        int error;

        bytes[changes[i].at] = changes[i].value;
        error = open_exact(bytes, length);
        /* byte 10 and 11 alone make the length stated more than any envelope has */
        assert_int_equal(error, changes[i].at >= 10 && changes[i].at < 12 ? FWR_E_ENVELOPE_SIZE
                                                                          : FWR_E_ENVELOPE);
        bytes[changes[i].at] = old;
    }
    assert_int_equal(open_exact(bytes, length), FWR_OK);
}

static void empty_parts(void **state)
{
    uint8_t bytes[64];
    size_t length = put_header(bytes, 0, 0);

    (void)state;
    assert_int_equal(open_exact(bytes, length), FWR_E_ENVELOPE);
    length = put_header(bytes, 1, 1) + 1;
    length += put_signature(bytes + length, 3, 0, 0);
    assert_int_equal(open_exact(bytes, length), FWR_E_ENVELOPE);
}

static void larger_than_any(void **state)
{
    static uint8_t bytes[FWR_ENVELOPE_MAX + 1];
    struct fwr_envelope envelope;
    size_t total;

    (void)state;
    put_header(bytes, 0, FWR_ENVELOPE_MAX - 11);
    assert_int_equal(fwr_envelope_open(bytes, sizeof(bytes), &envelope), FWR_E_ENVELOPE_SIZE);
    assert_int_equal(fwr_envelope_open(bytes, 100, &envelope), FWR_E_ENVELOPE_SIZE);
    assert_int_equal(fwr_envelope_total(bytes, 12, &total), FWR_E_ENVELOPE_SIZE);
    put_header(bytes, 0, UINT32_MAX);
    assert_int_equal(fwr_envelope_open(bytes, 100, &envelope), FWR_E_ENVELOPE_SIZE);
    assert_int_equal(fwr_envelope_total(bytes, 100, &total), FWR_E_ENVELOPE_SIZE);
    put_header(bytes, 8, FWR_ENVELOPE_MAX - 12 - 8 * 35 + 1);
    assert_int_equal(fwr_envelope_total(bytes, 12, &total), FWR_E_ENVELOPE_SIZE);
    put_header(bytes, 8, UINT32_MAX - 12 - 8 * 35 + 2);
    assert_int_equal(fwr_envelope_total(bytes, 12, &total), FWR_E_ENVELOPE_SIZE);
}

/* A reader that only ever fetches what `total` asks for arrives at the end, and sees endless
 * signatures coming before it has read them. */
static void total_from_the_first_bytes(void **state)
{
    static uint8_t bytes[FWR_ENVELOPE_MAX];
    size_t length = put_header(bytes, 3, 5);
    size_t have, total = 0;
    int asked = 0;

    (void)state;
    memset(bytes + length, 'p', 5);
    length += 5;
    length += put_signature(bytes + length, 3, 0xaa, 64);
    length += put_signature(bytes + length, 4, 0xbb, 100);
    length += put_signature(bytes + length, 5, 0xcc, 1);
    for (have = 0; have < length; have++) {
        int error = fwr_envelope_total(bytes, have, &total);

        /* known as soon as the last signature's header is there */
        assert_int_equal(error, have < length - 1 ? FWR_E_NO_SPACE : FWR_OK);
        assert_true(total > have && total <= length);
    }
    for (have = 0; fwr_envelope_total(bytes, have, &total) == FWR_E_NO_SPACE; have = total)
        asked++;
    assert_int_equal(total, length);
    assert_int_equal(asked, 4); /* header, then each signature's header */

    length = put_header(bytes, 2, 5) + 5;
    length += put_signature(bytes + length, 3, 0, 65000);
    assert_int_equal(fwr_envelope_total(bytes, length, &total), FWR_E_NO_SPACE);
    bytes[17 + 32] = bytes[17 + 33] = 0xff;
    assert_int_equal(fwr_envelope_total(bytes, 51, &total), FWR_E_ENVELOPE_SIZE);
    bytes[17 + 32] = bytes[17 + 33] = 0;
    assert_int_equal(fwr_envelope_total(bytes, 51, &total), FWR_E_ENVELOPE);
    put_header(bytes, 1, 5);
    bytes[17 + 32] = bytes[17 + 33] = 0xff;
    assert_int_equal(fwr_envelope_total(bytes, 51, &total), FWR_E_ENVELOPE_SIZE);
    bytes[0] = 0;
    assert_int_equal(fwr_envelope_total(bytes, 51, &total), FWR_E_ENVELOPE);
}

/* A signed manifest, threshold 2 of 2, as every test below starts from. Ed25519, so that the
 * bytes are the same in every run. */
static const char *const signers[] = {"ed25519-1.pem", "ed25519-2.pem"};
static struct fwr_trust trust;
static uint8_t good[2048];
static size_t good_length;
static uint8_t payload[512];
static size_t payload_length;

static struct fwr_manifest small_manifest(void)
{
    struct fwr_manifest manifest = {.flash_size = 8192,
                                    .hash = FWR_HASH_SHA256,
                                    .block_size = 4096,
                                    .version = "1",
                                    .guard = 4096};

    manifest.map.count = 2;
    manifest.map.regions[0] = (struct fwr_region){0, 4096, FWR_REGION_PRESERVE, 0, 0};
    manifest.map.regions[1] = (struct fwr_region){4096, 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    return manifest;
}

/* Signs the payload with both keys; `count` of the signatures go into the envelope. */
static size_t seal(const char *prefix, const uint8_t *text, size_t length, size_t count,
                   uint8_t *out, size_t capacity)
{
    uint8_t bytes[2][FWR_SIGNATURE_MAX];
    struct fwr_signature signatures[2];
    int built;
    size_t i;

    for (i = 0; i < 2; i++)
        signatures[i] = keys_sign(signers[i], prefix, text, length, bytes[i]);
    built = fwr_envelope_build(text, length, signatures, count, out, capacity);
    assert_true(built > 0);
    return (size_t)built;
}

static int make_good(void **state)
{
    struct fwr_manifest manifest = small_manifest();
    int length = fwr_manifest_encode(&manifest, payload, sizeof(payload));

    (void)state;
    assert_true(length > 0);
    payload_length = (size_t)length;
    keys_trust(&trust, 2, signers, 2);
    good_length = seal(FWR_PREFIX_MANIFEST, payload, payload_length, 2, good, sizeof(good));
    return 0;
}

static int verify(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];
    int error;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    error = fwr_envelope_verify_manifest(copy, length, &trust, &manifest, id);
    free(copy);
    return error;
}

static void verifies_in_order(void **state)
{
    static const char prefix[] = FWR_PREFIX_MANIFEST;
    uint8_t bytes[2048], broken[sizeof(payload)], id[FWR_ID_SIZE], expected[FWR_ID_SIZE];
    struct fwr_manifest manifest;
    size_t length;

    (void)state;
    assert_int_equal(fwr_envelope_verify_manifest(good, good_length, &trust, &manifest, id),
                     FWR_OK);
    assert_int_equal(manifest.guard, 4096);
    assert_int_equal(fwr_manifest_id(payload, payload_length, expected), FWR_OK);
    assert_memory_equal(id, expected, sizeof(id));
    assert_int_equal(fwr_envelope_verify_manifest(good, good_length, NULL, &manifest, id),
                     FWR_E_UNPROVISIONED);
    assert_int_equal(fwr_envelope_verify_manifest(good, good_length - 1, NULL, &manifest, id),
                     FWR_E_ENVELOPE);
    length = seal(prefix, payload, payload_length, 1, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_UNTRUSTED);
    length = seal(prefix, payload, payload_length, 0, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_UNTRUSTED);
    length = seal(FWR_PREFIX_TRUST, payload, payload_length, 2, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_SIGNATURE);
    /* Properly signed nonsense gets as far as the parser, and no further. */
    memcpy(broken, payload, payload_length);
    broken[2]++;
    length = seal(prefix, broken, payload_length, 2, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_MANIFEST);
    length = seal(prefix, broken, payload_length, 1, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_UNTRUSTED);
    broken[0] = 0x7e;
    broken[2]--;
    length = seal(prefix, broken, payload_length, 2, bytes, sizeof(bytes));
    assert_int_equal(verify(bytes, length), FWR_E_CRITICAL_TAG);
}

/* The id is the payload's: signatures, good or bad, do not move it. */
static void junk_signatures_do_not_move_the_id(void **state)
{
    uint8_t bytes[2048];
    struct fwr_envelope envelope;
    uint8_t id[FWR_ID_SIZE], again[FWR_ID_SIZE];

    (void)state;
    memcpy(bytes, good, good_length);
    bytes[good_length - 1] ^= 1;
    assert_int_equal(verify(bytes, good_length), FWR_E_SIGNATURE);
    assert_int_equal(fwr_envelope_open(bytes, good_length, &envelope), FWR_OK);
    assert_int_equal(fwr_manifest_id(envelope.payload, envelope.payload_length, id), FWR_OK);
    assert_int_equal(fwr_manifest_id(payload, payload_length, again), FWR_OK);
    assert_memory_equal(id, again, sizeof(id));
}

/* One seeded change to `bytes`, which has `length` of `capacity`; returns the new length. */
static size_t mutate(uint64_t *seed, uint8_t *bytes, size_t length, size_t capacity)
{
    size_t at = seeded_below(seed, (uint32_t)length);
    size_t count = 1 + seeded_below(seed, 40);

    switch (seeded_below(seed, 7)) {
    case 0: /* one bit */
        bytes[at] ^= (uint8_t)(1u << seeded_below(seed, 8));
        return length;
    case 1: /* one byte, at the places where a value at the edge does most */
        bytes[at] = (uint8_t)(0xff00ff7f8001u >> 8 * seeded_below(seed, 6));
        return length;
    case 2: /* cut */
        return at;
    case 3: /* a hole */
        if (count > length - at)
            count = length - at;
        memmove(bytes + at, bytes + at + count, length - at - count);
        return length - count;
    case 4: /* an insertion */
        if (count > capacity - length)
            count = capacity - length;
        memmove(bytes + at + count, bytes + at, length - at);
        seeded_fill(seed, bytes + at, count);
        return length + count;
    case 5: /* a piece copied over another */
        if (count > length - at)
            count = length - at;
        memmove(bytes + at, bytes + seeded_below(seed, (uint32_t)(length - count + 1)), count);
        return length;
    default: /* the header, which is where lengths and counts are */
        bytes[seeded_below(seed, 12)] = (uint8_t)seeded_next(seed);
        return length;
    }
}

/* Fewer where every instruction is emulated: valgrind, other machines. */
static int mutations(void)
{
    const char *rounds = getenv("FWR_TEST_ROUNDS");

    return rounds != NULL ? atoi(rounds) : MUTATIONS;
}

/* None is accepted, none gets as far as the parser, and each refusal has one of four reasons. */
static void mutated_envelopes(void **state)
{
    static const int reasons[] = {FWR_E_ENVELOPE, FWR_E_ENVELOPE_SIZE, FWR_E_SIGNATURE,
                                  FWR_E_UNTRUSTED};
    int seen[4] = {0};
    uint64_t seed = 20261122;
    int rounds = mutations();
    int round, i;

    (void)state;
    for (round = 0; round < rounds; round++) {
        uint8_t bytes[2048];
        size_t length = good_length;
        int error;

        memcpy(bytes, good, good_length);
        do {
            length = mutate(&seed, bytes, length, sizeof(bytes));
        } while (length > 0 && (seeded_below(&seed, 4) == 0 ||
                                (length == good_length && memcmp(bytes, good, length) == 0)));
        error = verify(bytes, length);
        for (i = 0; i < 4 && reasons[i] != error; i++)
            ;
        if (i == 4)
            fail_msg("round %d: %s", round, fwr_error_name(error));
        else
            seen[i]++;
    }
    for (i = 0; i < 4; i++)
        print_message("%s %d\n", fwr_error_name(reasons[i]), seen[i]);
    for (i = 0; i < 4; i++)
        assert_true(seen[i] > 0);
}

/* What is signed but mutated reaches the parser, which must take it or refuse it, never crash;
 * and what it takes, it writes back byte for byte. */
static void mutated_manifests(void **state)
{
    uint64_t seed = 7;
    int rounds = mutations();
    int round, accepted = 0;

    (void)state;
    for (round = 0; round < rounds; round++) {
        uint8_t bytes[sizeof(payload)], again[sizeof(payload)];
        struct fwr_manifest manifest;
        size_t length = payload_length;
        uint8_t *copy;
        int error;

        memcpy(bytes, payload, payload_length);
        length = mutate(&seed, bytes, length, sizeof(bytes));
        copy = malloc(length > 0 ? length : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, length);
        error = fwr_manifest_decode(copy, length, &manifest);
        free(copy);
        if (error == FWR_OK) {
            int encoded = fwr_manifest_encode(&manifest, again, sizeof(again));

            /* Fields that are skipped as unknown have the highest tags: they are missing at the
             * end, and nowhere else. */
            accepted++;
            assert_in_range(encoded, 1, length);
            assert_memory_equal(again, bytes, (size_t)encoded);
            assert_true((size_t)encoded == length || bytes[encoded + 1] >= 0x80);
        } else {
            assert_true(error == FWR_E_MANIFEST || error == FWR_E_CRITICAL_TAG ||
                        error == FWR_E_REGION_MAP || error == FWR_E_ALGORITHM);
        }
    }
    assert_in_range(accepted, 1, rounds - 1);
}

/* A trust set of `generation` over the named keys, all of them needed, sealed by both signers. */
static size_t seal_trust(uint32_t generation, const char *const *names, uint8_t count,
                         size_t signatures, uint8_t *out, size_t capacity)
{
    static struct fwr_trust set;
    uint8_t text[2048];
    int length;

    keys_trust(&set, count, names, count);
    set.generation = generation;
    length = fwr_trust_encode(&set, text, sizeof(text));
    assert_true(length > 0);
    return seal(FWR_PREFIX_TRUST, text, (size_t)length, signatures, out, capacity);
}

static void trust_sets_follow_each_other(void **state)
{
    static const char *const stranger[] = {"p384-1.pem"};
    static struct fwr_trust next;
    uint8_t bytes[4096];
    size_t length;

    (void)state;
    length = seal_trust(2, signers, 1, 2, bytes, sizeof(bytes));
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, &trust, &next), FWR_OK);
    assert_int_equal(next.generation, 2);
    assert_int_equal(next.key_count, 1);
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, NULL, &next), FWR_E_UNPROVISIONED);
    bytes[length - 1] ^= 1;
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, &trust, &next), FWR_E_SIGNATURE);
    /* the set in force demands both */
    length = seal_trust(2, signers, 1, 1, bytes, sizeof(bytes));
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, &trust, &next), FWR_E_UNTRUSTED);
    /* the new one must be signed by its own */
    length = seal_trust(2, stranger, 1, 2, bytes, sizeof(bytes));
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, &trust, &next), FWR_E_UNTRUSTED);
    length = seal_trust(1, signers, 2, 2, bytes, sizeof(bytes));
    assert_int_equal(fwr_envelope_verify_trust(bytes, length, &trust, &next), FWR_E_STALE);
    /* a manifest is no trust set, and its signatures are not for one */
    assert_int_equal(fwr_envelope_verify_trust(good, good_length, &trust, &next), FWR_E_SIGNATURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_builds_the_same),
        cmocka_unit_test(unsigned_is_well_formed),
        cmocka_unit_test(build_refuses),
        cmocka_unit_test(truncated_extended_or_of_another_form),
        cmocka_unit_test(empty_parts),
        cmocka_unit_test(larger_than_any),
        cmocka_unit_test(total_from_the_first_bytes),
        cmocka_unit_test(verifies_in_order),
        cmocka_unit_test(junk_signatures_do_not_move_the_id),
        cmocka_unit_test(mutated_envelopes),
        cmocka_unit_test(mutated_manifests),
        cmocka_unit_test(trust_sets_follow_each_other),
    };

    return cmocka_run_group_tests(tests, make_good, NULL);
}
