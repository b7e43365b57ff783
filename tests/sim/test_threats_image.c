/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threats to what is believed: images and manifests that nobody with the right keys has signed,
 * or that say something else than what was signed, or that are for another board.
 */
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include <fwrecover/keyring.h>
#include <fwrecover/sign.h>

#include "tests/sim/threat.h"
#include "tests/unit/given_trust.h"
#include "tests/unit/keys.h"
#include "wire/cursor.h"

#define FIELDS_MAX      16
#define ENVELOPE_HEADER 12
#define REGION_BYTES    7
#define TAG_REGIONS     0x000b

struct field {
    size_t at, length; /* with its header */
};

/* The manifest within the envelope of `from`, and where its fields lie. */
static size_t take_apart(const struct given_image *from, uint8_t *manifest, struct field *fields,
                         size_t *count)
{
    struct fwr_envelope envelope;

    assert_int_equal(fwr_envelope_open(from->envelope, from->envelope_length, &envelope), FWR_OK);
    memcpy(manifest, envelope.payload, envelope.payload_length);
    *count = 0;
    for (size_t at = 0; at < envelope.payload_length; at += fields[(*count)++].length) {
        assert_true(*count < FIELDS_MAX);
        fields[*count].at = at;
        fields[*count].length = 4u + manifest[at + 2] + (size_t)manifest[at + 3] * 256;
    }
    return envelope.payload_length;
}

static int believed(const uint8_t *envelope, size_t length)
{
    static struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];

    threat.attacks++;
    return fwr_envelope_verify_manifest(envelope, length, &image.trust, &manifest, id);
}

/* Changes an envelope in one to four places: bits, bytes, a piece put elsewhere. */
static void mutate(uint64_t *seed, uint8_t *bytes, size_t *length)
{
    uint8_t before[GIVEN_ENVELOPE_MAX];
    size_t before_length = *length;

    memcpy(before, bytes, *length);
    do {
        for (uint32_t n = 1 + seeded_below(seed, 4); n > 0; n--) {
            uint32_t at = seeded_below(seed, (uint32_t)*length);
            uint32_t from = seeded_below(seed, (uint32_t)*length);
            uint32_t room = (uint32_t)*length - (at > from ? at : from);
            switch (seeded_below(seed, 12)) {
            case 1:
                bytes[at] = (uint8_t)seeded_next(seed);
                break;
            case 2:
                memmove(bytes + at, bytes + from, 1 + seeded_below(seed, room));
                break;
            case 3:
                *length -= seeded_below(seed, 3);
                break;
            default:
                bytes[at] ^= (uint8_t)(1u << seeded_below(seed, 8));
                break;
            }
        }
    } while (*length == before_length && memcmp(bytes, before, *length) == 0);
}

/* Every answer but "good", and the flash of those who are offered such things is left alone. */
static void threat_01_arbitrary_image(void **state)
{
    uint8_t bytes[8][GIVEN_ENVELOPE_MAX];
    uint64_t seed = 1, unsigned_image = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        size_t length = image.envelope_length;
        memcpy(bytes[0], image.envelope, length);
        mutate(&seed, bytes[0], &length);
        int verdict = believed(bytes[0], length);
        assert_true(verdict == FWR_E_ENVELOPE || verdict == FWR_E_ENVELOPE_SIZE ||
                    verdict == FWR_E_SIGNATURE || verdict == FWR_E_UNTRUSTED);
        unsigned_image += verdict == FWR_E_SIGNATURE || verdict == FWR_E_UNTRUSTED;
    }
    assert_true(unsigned_image > 50000); /* most get as far as the signature */
    for (uint64_t run = 0; run < 50; run++) {
        threat_begin(run);
        for (int i = 0; i < 8; i++) {
            size_t length = image.envelope_length;
            memcpy(bytes[i], image.envelope, length);
            /* In what is signed, so that the length still says where the envelope ends. */
            bytes[i][ENVELOPE_HEADER + seeded_below(&seed, 150)] ^= 0x20;
            threat_add_liar(bytes[i], length, image.id, 7);
        }
        threat_refused(FWR_E_SIGNATURE);
    }
    threat_nothing_written(1, "arbitrary image");
}

/* Every field in every other place, and twice: signed by the release key, and still refused. */
static void threat_02_fields_in_other_places(void **state)
{
    uint8_t manifest[GIVEN_ENVELOPE_MAX], other[GIVEN_ENVELOPE_MAX], envelope[GIVEN_ENVELOPE_MAX];
    struct field fields[FIELDS_MAX];
    uint8_t tag[FWR_TAG_SIZE];
    size_t count, length = take_apart(&image, manifest, fields, &count);

    (void)state;
    for (size_t f = 0; f < count; f++) {
        for (size_t to = 0; to <= count; to++) {
            size_t at = to < count ? fields[to].at : length;
            for (int twice = 0; twice < 2; twice++) {
                size_t n = 0;
                if (!twice && (to == f || to == f + 1))
                    continue;
                for (size_t k = 0; k <= count; k++) {
                    if (k == to) {
                        memcpy(other + n, manifest + fields[f].at, fields[f].length);
                        n += fields[f].length;
                    }
                    if (k == count || (!twice && k == f))
                        continue;
                    memcpy(other + n, manifest + fields[k].at, fields[k].length);
                    n += fields[k].length;
                }
                assert_true(at <= length);
                size_t made = threat_sign(1, other, n, envelope, tag);
                assert_int_equal(believed(envelope, made), FWR_E_MANIFEST);
                if (to != (f + 3) % count)
                    continue;
                threat_begin(f);
                threat_add_liar(envelope, made, tag, 7);
                threat_refused(FWR_E_MANIFEST);
            }
        }
    }
    /* Bytes after the end, and between what is signed and its signature. */
    memcpy(envelope, image.envelope, image.envelope_length);
    envelope[image.envelope_length] = 0;
    assert_int_equal(believed(envelope, image.envelope_length + 1), FWR_E_ENVELOPE);
    size_t end = ENVELOPE_HEADER + length;
    memmove(envelope + end + 1, envelope + end, image.envelope_length - end);
    assert_int_equal(believed(envelope, image.envelope_length + 1), FWR_E_ENVELOPE);
    threat_nothing_written(2, "fields outside their place");
}

/* A value that appears twice, differently; and a tag that is of another image than the envelope
 * that comes under it. */
static void threat_03_signed_one_used_another(void **state)
{
    struct given_image other = {
        .blocks = 24, .sequence = 9, .security_version = 3, .hardware_min = 2, .seed = 5};
    uint8_t manifest[GIVEN_ENVELOPE_MAX], theirs[GIVEN_ENVELOPE_MAX], twice[GIVEN_ENVELOPE_MAX];
    uint8_t envelope[GIVEN_ENVELOPE_MAX], tag[FWR_TAG_SIZE];
    struct field fields[FIELDS_MAX], their_fields[FIELDS_MAX];
    size_t count, length = take_apart(&image, manifest, fields, &count);

    (void)state;
    assert_int_equal(given_image_make(&other), FWR_OK);
    take_apart(&other, theirs, their_fields, &count);
    for (size_t f = 0; f < count; f++) {
        for (int first = 0; first < 2; first++) {
            size_t at = fields[f].at + (first ? 0 : fields[f].length);
            memcpy(twice, manifest, at);
            memcpy(twice + at, theirs + their_fields[f].at, their_fields[f].length);
            memcpy(twice + at + their_fields[f].length, manifest + at, length - at);
            size_t made = threat_sign(1, twice, length + their_fields[f].length, envelope, tag);
            assert_int_equal(believed(envelope, made), FWR_E_MANIFEST);
        }
    }
    threat_begin(3);
    threat_add_liar(other.envelope, other.envelope_length, image.id, 9);
    threat_refused(FWR_E_DONOR_LIED);
    threat_begin(4);
    threat_add_liar(image.envelope, image.envelope_length, other.id, 9);
    threat_refused(FWR_E_DONOR_LIED);
    given_image_free(&other);
    threat_nothing_written(3, "signed one, used another");
}

/* Two of two keys must sign: one key in every disguise is one key. */
static void threat_07_one_key_counted_twice(void **state)
{
    static struct fwr_trust both, second;
    uint8_t envelope[GIVEN_ENVELOPE_MAX], manifest[GIVEN_ENVELOPE_MAX], tag[FWR_TAG_SIZE];
    struct field fields[FIELDS_MAX];
    struct fwr_envelope opened;
    struct fwr_signature pair[2];
    size_t count, length = take_apart(&image, manifest, fields, &count);

    (void)state;
    both = image.trust;
    assert_int_equal(given_trust(&second, 2), FWR_OK);
    both.keys[1] = second.keys[0];
    both.key_count = 2;
    both.thresholds[0] = 2;
    assert_int_equal(fwr_envelope_open(image.envelope, image.envelope_length, &opened), FWR_OK);

    /* One signature; the same under the other key's id; under an id nobody knows. */
    for (int disguise = 0; disguise < 3; disguise++) {
        int made;
        pair[0] = pair[1] = opened.signatures[0];
        if (disguise == 1)
            memcpy(pair[1].key_id, second.keys[0].id, FWR_KEY_ID_SIZE);
        if (disguise == 2)
            pair[1].key_id[0] ^= 1;
        made = fwr_envelope_build(manifest, length, pair, disguise == 0 ? 1 : 2, envelope,
                                  sizeof(envelope));
        assert_true(made > 0);
        threat_begin(70 + (unsigned)disguise);
        w.trust = both;
        threat_add_liar(envelope, (size_t)made, image.id, 7);
        threat_refused(disguise == 1 ? FWR_E_SIGNATURE : FWR_E_UNTRUSTED);
    }
    /* The same signature twice cannot even be put into an envelope; by hand it is refused. */
    pair[0] = pair[1] = opened.signatures[0];
    assert_true(fwr_envelope_build(manifest, length, pair, 2, envelope, sizeof(envelope)) < 0);
    memcpy(envelope, image.envelope, image.envelope_length);
    envelope[5] = 2;
    memcpy(envelope + image.envelope_length, envelope + ENVELOPE_HEADER + length,
           image.envelope_length - ENVELOPE_HEADER - length);
    assert_int_equal(believed(envelope, image.envelope_length * 2 - ENVELOPE_HEADER - length),
                     FWR_E_ENVELOPE);
    assert_int_equal(fwr_trust_verify(&both, FWR_PREFIX_MANIFEST, manifest, length, pair, 2),
                     FWR_E_UNTRUSTED);
    /* Nor can one key stand in a trust set twice. */
    both.keys[1] = both.keys[0];
    uint8_t encoded[FWR_TRUST_MAX];
    assert_true(fwr_trust_encode(&both, encoded, sizeof(encoded)) < 0);
    threat.attacks += 3;
    (void)tag;
    threat_nothing_written(7, "one key counted twice");
}

/* ---- two algorithms ---- */

/* Signs the manifest of `image` with the keys that are named: the envelope's length. */
static size_t sign_by(const char *const *names, size_t count, uint8_t *envelope)
{
    struct fwr_signature signatures[2] = {0};
    static uint8_t bytes[2][FWR_SIGNATURE_MAX];
    struct fwr_envelope opened;

    assert_int_equal(fwr_envelope_open(image.envelope, image.envelope_length, &opened), FWR_OK);
    for (size_t i = 0; i < count; i++) {
        struct fwr_signer signer;

        keys_signer(names[i], &signer);
        int length = fwr_signer_sign(&signer, FWR_PREFIX_MANIFEST, opened.payload,
                                     opened.payload_length, bytes[i]);
        assert_true(length > 0);
        memcpy(signatures[i].key_id, signer.key_id, FWR_KEY_ID_SIZE);
        signatures[i].signature = bytes[i];
        signatures[i].length = (uint16_t)length;
        fwr_signer_free(&signer);
    }
    int made = fwr_envelope_build(opened.payload, opened.payload_length, signatures, count,
                                  envelope, GIVEN_ENVELOPE_MAX);
    assert_true(made > 0);
    return (size_t)made;
}

/* Two groups of one key each, of two algorithms: when one of them is broken the other still
 * protects. */
static void threat_07_one_of_two_algorithms(void **state)
{
    static const char *const names[] = {"ed25519-1.pem", "p384-1.pem"};
    static struct fwr_trust hybrid;
    uint8_t envelope[GIVEN_ENVELOPE_MAX];

    (void)state;
    keys_trust(&hybrid, 1, names, 2);
    hybrid.group_count = 2;
    hybrid.thresholds[1] = 1;
    hybrid.keys[1].group = 1;
    for (size_t i = 0; i < 2; i++) {
        size_t length = sign_by(&names[i], 1, envelope);
        threat_begin(70 + i);
        w.trust = hybrid;
        threat_add_liar(envelope, length, image.id, 7);
        threat_refused(FWR_E_PARTLY_SIGNED);
    }
    threat_say(7, "one algorithm broken");
    assert_int_equal(threat.operations, 0);
    size_t length = sign_by(names, 2, envelope);
    threat_begin(72);
    w.trust = hybrid;
    threat_add_liar(envelope, length, image.id, 7); /* no liar this time, but its own envelope */
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    threat_end();
}

/* ---- going from one trust set to the next ---- */

static struct fwr_keyring keyring;

static int go_to(const struct fwr_trust *set, const char *signers)
{
    uint8_t envelope[GIVEN_SET_MAX];
    size_t length = given_set_signed(set, signers, envelope);
    int error = fwr_keyring_propose(&keyring, envelope, length);

    threat.attacks += error != FWR_OK;
    while (!error && fwr_keyring_step(&keyring, true) == FWR_PENDING)
        ;
    return error;
}

/* What the recipient says to what is signed by `signer`, under the set in force. */
static void offered(char signer, int reason)
{
    struct given_image other = {.blocks = 24,
                                .security_version = 3,
                                .hardware_min = 2,
                                .key_seed = (uint8_t)signer,
                                .seed = (uint8_t)signer};

    assert_int_equal(given_image_make(&other), FWR_OK);
    w.config.trust = fwr_keyring_trust(&keyring);
    threat_add_liar(other.envelope, other.envelope_length, other.id, 8);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(reason));
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    threat.attacks++;
    threat_end_donors();
    given_image_free(&other);
}

/* N revokes nobody, N + 1 revokes a: by whom it has to be signed, and that there is no way back,
 * neither by the wire nor by an older copy of the store. */
static void rotate(void)
{
    static uint8_t storage[2 * FWR_TRUST_MAX];
    static struct fwr_trust first, next;
    uint8_t bare[GIVEN_SET_MAX], older[GIVEN_SET_MAX];
    struct fwr_keyring_config config = {.size = sizeof(config),
                                        .platform = &w.platform,
                                        .provisioned = bare,
                                        .storage = storage,
                                        .storage_size = sizeof(storage)};

    given_set(&first, 1, 2, "abc", "");
    given_set(&next, 2, 2, "bcd", "a");
    int length = fwr_trust_encode(&first, bare, sizeof(bare));
    assert_true(length > 0);
    threat_begin(83);
    config.store = &w.store.store;
    config.provisioned_length = (size_t)length;
    assert_int_equal(fwr_keyring_init(&keyring, &config), FWR_OK);
    const struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, FWR_STORE_TRUST, 0);
    memcpy(older, record->data, record->length);
    size_t older_length = record->length;
    assert_int_equal(go_to(&next, "ab"), FWR_E_UNTRUSTED); /* the old keys alone */
    assert_int_equal(go_to(&next, "cd"), FWR_E_UNTRUSTED); /* the new keys alone */
    assert_int_equal(go_to(&next, "d"), FWR_E_UNTRUSTED);
    assert_int_equal(fwr_keyring_trust(&keyring)->generation, 1);
    assert_int_equal(go_to(&next, "bc"), FWR_OK);
    assert_int_equal(fwr_keyring_trust(&keyring)->generation, 2);
    offered('a', FWR_E_UNTRUSTED);
    assert_int_equal(go_to(&first, "abc"), FWR_E_STALE);
    /* The stored set is written first and the floor raised then: an older copy lies below it. */
    assert_int_equal(w.store.store.write(&w.store, FWR_STORE_TRUST, 0, older, older_length),
                     FWR_OK);
    assert_int_equal(fwr_keyring_init(&keyring, &config), FWR_E_STALE);
    assert_null(fwr_keyring_trust(&keyring));
    threat.attacks++;
    threat_end();
}

/* A key that is revoked, alone and with others; and the trust set before and after. */
static void threat_08_revoked_key(void **state)
{
    static struct fwr_trust trust, second;

    (void)state;
    rotate();
    trust = image.trust;
    assert_int_equal(given_trust(&second, 2), FWR_OK);
    trust.keys[1] = second.keys[0];
    trust.key_count = 2;
    trust.revoked_count = 1;
    memcpy(trust.revoked[0], trust.keys[0].id, FWR_KEY_ID_SIZE);
    threat_begin(80);
    w.trust = trust;
    threat_add_liar(image.envelope, image.envelope_length, image.id, 7);
    threat_refused(FWR_E_REVOKED);

    /* A donor that has heard of it does not even offer the image. */
    threat_begin(81);
    w.trust = trust;
    world_add_donor(&w, &image)->image.trust = trust;
    threat_refused(FWR_E_NO_OFFER);

    /* Revoked by name only, without the key in the set: a stranger. */
    threat_begin(82);
    w.trust = second;
    w.trust.revoked_count = 1;
    memcpy(w.trust.revoked[0], trust.keys[0].id, FWR_KEY_ID_SIZE);
    threat_add_liar(image.envelope, image.envelope_length, image.id, 7);
    threat_refused(FWR_E_UNTRUSTED);
    threat_nothing_written(8, "revoked key");
}

/* Signed images of neighbouring boards, offered by donors that claim they fit. */
static void refuse_neighbour(struct given_image *other, int reason)
{
    assert_int_equal(given_image_make(other), FWR_OK);
    threat_begin(threat.attacks);
    threat_add_liar(other->envelope, other->envelope_length, other->id, 8);
    threat_refused(reason);
    given_image_free(other);
}

static void refuse_on_board(uint16_t revision, int reason)
{
    threat_begin(threat.attacks);
    w.board.hardware_revision = revision;
    threat_add_liar(image.envelope, image.envelope_length, image.id, 8);
    threat_refused(reason);
}

static void threat_09_wrong_board(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < FWR_UUID_SIZE; byte++) {
        threat_begin(byte);
        w.board.component[byte] = (uint8_t)(w.board.component[byte] + (byte % 2 ? 1 : -1));
        threat_add_liar(image.envelope, image.envelope_length, image.id, 8);
        threat_refused(FWR_E_COMPONENT);
    }
    for (int step = -1; step <= 1; step += 2) {
        threat_begin(100);
        w.board.manufacturer += (uint32_t)step;
        threat_add_liar(image.envelope, image.envelope_length, image.id, 8);
        threat_refused(FWR_E_BOARD);
        threat_begin(101);
        w.board.product = (uint16_t)(w.board.product + step);
        threat_add_liar(image.envelope, image.envelope_length, image.id, 8);
        threat_refused(FWR_E_BOARD);
        refuse_neighbour(&(struct given_image){.blocks = (uint32_t)(24 + step),
                                               .security_version = 3,
                                               .hardware_min = 2},
                         FWR_E_FLASH_SIZE);
    }
    refuse_on_board(1, FWR_E_HARDWARE_REVISION); /* it says 2 to 9 */
    refuse_on_board(10, FWR_E_HARDWARE_REVISION);
    threat_nothing_written(9, "wrong board");
}

/* A manifest whose region lengths are set by hand, signed. */
static void try_map(const uint8_t *manifest, size_t length, size_t at, const uint32_t *lengths,
                    size_t regions, bool in_world)
{
    uint8_t other[GIVEN_ENVELOPE_MAX], envelope[GIVEN_ENVELOPE_MAX], tag[FWR_TAG_SIZE];
    struct fwr_writer writer;

    memcpy(other, manifest, length);
    for (size_t i = 0; i < regions; i++) {
        fwr_writer_init(&writer, other + at + i * REGION_BYTES, 4);
        fwr_writer_u32(&writer, lengths[i]);
    }
    size_t made = threat_sign(1, other, length, envelope, tag);
    assert_int_equal(believed(envelope, made), FWR_E_REGION_MAP);
    if (!in_world)
        return;
    threat_begin(threat.attacks);
    threat_add_liar(envelope, made, tag, 7);
    threat_refused(FWR_E_REGION_MAP);
}

/* What the board itself preserves is not written, whatever is signed. Whole blocks outside the
 * boot region are waived: see test_waived. */
static void refuse_local_map(uint32_t from, uint32_t to)
{
    static struct fwr_region_map local;
    uint32_t size = 24 * BLOCK;
    uint16_t n = 0;

    local = (struct fwr_region_map){.count = 0};
    if (from > 0)
        local.regions[n++] = (struct fwr_region){0, from, FWR_REGION_WRITE, 0, 0};
    local.regions[n++] = (struct fwr_region){from, to - from, FWR_REGION_PRESERVE, 0, 0};
    if (to < size)
        local.regions[n++] = (struct fwr_region){to, size - to, FWR_REGION_WRITE, 0, 0};
    local.count = n;
    threat_begin(from + to);
    w.board.local = &local;
    w.preserve[w.nor.preserve_count].offset = from;
    w.preserve[w.nor.preserve_count++].length = to - from;
    world_add_donor(&w, &image);
    threat_refused(FWR_E_LOCAL_MAP);
}

static void threat_10_region_map(void **state)
{
    static const uint32_t wild[] = {0,     1,        BLOCK - 1,  BLOCK + 1,
                                    BLOCK, 1u << 31, UINT32_MAX, UINT32_MAX - BLOCK + 1};
    uint8_t manifest[GIVEN_ENVELOPE_MAX];
    struct field fields[FIELDS_MAX];
    size_t count, at = 0, length = take_apart(&image, manifest, fields, &count);
    uint32_t right[4], lengths[4];

    (void)state;
    for (size_t f = 0; f < count; f++)
        if (manifest[fields[f].at] == TAG_REGIONS)
            at = fields[f].at + 4;
    for (size_t i = 0; i < 4; i++)
        right[i] = image.manifest.map.regions[i].length;
    /* One boundary wild, then two of them, so that sums overflow and wrap around. */
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++) {
            for (size_t i = 0; i < 8; i++) {
                for (size_t k = 0; k < 8; k++) {
                    memcpy(lengths, right, sizeof(right));
                    lengths[a] = wild[i];
                    lengths[b] = right[b] + wild[k];
                    uint64_t sum = 0;
                    bool whole = true;
                    for (size_t r = 0; r < 4; r++) {
                        sum += lengths[r];
                        whole &= lengths[r] > 0 && lengths[r] % BLOCK == 0;
                    }
                    if (whole && sum == 24 * BLOCK)
                        continue; /* another map, and a legal one */
                    try_map(manifest, length, at, lengths, 4, (i + k) % 8 == a);
                }
            }
        }
    }
    refuse_local_map(2 * BLOCK + 1, 4 * BLOCK); /* across a block */
    refuse_local_map(20 * BLOCK, 24 * BLOCK);   /* the boot block */
    refuse_local_map(0, 24 * BLOCK);
    threat_nothing_written(10, "region map");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        THREAT(threat_01_arbitrary_image),
        THREAT(threat_02_fields_in_other_places),
        THREAT(threat_03_signed_one_used_another),
        THREAT(threat_07_one_key_counted_twice),
        THREAT(threat_07_one_of_two_algorithms),
        THREAT(threat_08_revoked_key),
        THREAT(threat_09_wrong_board),
        THREAT(threat_10_region_map),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
