/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust set: its canonical form, and whether signatures satisfy it. Called by the
 * envelope's check and by the tools. Never learns an algorithm from what it checks: that is a
 * property of the local key.
 */
#include <fwrecover/trust.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <fwrecover/error.h>

#include "image/key.h"
#include "image/tlv.h"

enum tag {
    TAG_GENERATION = 0x0001,
    TAG_GROUPS = 0x0002,
    TAG_REVOKED = 0x0003,
};

static EVP_PKEY *parse_spki(const uint8_t *spki, size_t length)
{
    const unsigned char *end = spki;
    EVP_PKEY *pkey;

    if (length == 0 || length > FWR_SPKI_MAX)
        return NULL;
    ERR_set_mark(); /* a bad key is an answer here, not an error left for the caller to find */
    pkey = d2i_PUBKEY(NULL, &end, (long)length);
    ERR_pop_to_mark();
    return pkey;
}

/* libcrypto reads other encodings of a key, and bytes after it, than the one it writes. */
static int check_canonical(EVP_PKEY *pkey, const uint8_t *spki, size_t length)
{
    unsigned char *written = NULL;
    int written_length = i2d_PUBKEY(pkey, &written);
    bool same = written_length == (int)length && memcmp(written, spki, length) == 0;

    OPENSSL_free(written);
    if (written_length <= 0)
        return FWR_E_CRYPTO;
    return same ? FWR_OK : FWR_E_KEY;
}

int fwr_trust_key_init(struct fwr_trust_key *key, uint8_t group, const void *spki, size_t length)
{
    EVP_PKEY *pkey = parse_spki(spki, length);
    int error;

    memset(key, 0, sizeof(*key));
    if (pkey == NULL)
        return length == 0 || length > FWR_SPKI_MAX ? FWR_E_KEY
                                                    : fwr_key_unreadable(spki, length, false);
    error = check_canonical(pkey, spki, length);
    if (error == FWR_OK)
        error = fwr_key_classify(pkey, &key->algorithm);
    EVP_PKEY_free(pkey);
    if (error != FWR_OK)
        return error;
    key->group = group;
    key->spki_length = (uint16_t)length;
    memcpy(key->spki, spki, length);
    return EVP_Digest(spki, length, key->id, NULL, EVP_sha256(), NULL) == 1 ? FWR_OK : FWR_E_CRYPTO;
}

/* Everything about a set that is not about a single key. */
static int check(const struct fwr_trust *trust)
{
    uint8_t members[FWR_TRUST_GROUPS_MAX] = {0};
    size_t i, j;

    if (trust->generation == 0 || trust->group_count == 0 ||
        trust->group_count > FWR_TRUST_GROUPS_MAX || trust->key_count > FWR_TRUST_KEYS_MAX ||
        trust->revoked_count > FWR_TRUST_REVOKED_MAX)
        return FWR_E_TRUST_SET;
    for (i = 0; i < trust->key_count; i++) {
        if (trust->keys[i].group >= trust->group_count)
            return FWR_E_TRUST_SET;
        members[trust->keys[i].group]++;
        /* Encodings are canonical, so keys are the same exactly if their ids are. */
        for (j = 0; j < i; j++) {
            if (memcmp(trust->keys[i].id, trust->keys[j].id, FWR_KEY_ID_SIZE) == 0)
                return FWR_E_TRUST_SET;
        }
    }
    for (i = 0; i < trust->group_count; i++) {
        if (trust->thresholds[i] == 0 || trust->thresholds[i] > members[i])
            return FWR_E_TRUST_SET;
    }
    for (i = 1; i < trust->revoked_count; i++) {
        if (memcmp(trust->revoked[i - 1], trust->revoked[i], FWR_KEY_ID_SIZE) >= 0)
            return FWR_E_TRUST_SET;
    }
    return FWR_OK;
}

static int decode_key(struct fwr_reader *reader, struct fwr_trust *trust, uint8_t group)
{
    uint8_t algorithm = fwr_reader_u8(reader);
    uint16_t length = fwr_reader_u16(reader);
    const uint8_t *spki = fwr_reader_bytes(reader, length);
    struct fwr_trust_key *key;
    int error;

    if (reader->failed || trust->key_count == FWR_TRUST_KEYS_MAX)
        return FWR_E_TRUST_SET;
    if (algorithm < FWR_KEY_ED25519 || algorithm > FWR_KEY_ML_DSA_87)
        return FWR_E_ALGORITHM;
    if (!fwr_key_available(algorithm))
        return FWR_E_NO_ML_DSA;
    key = &trust->keys[trust->key_count++];
    error = fwr_trust_key_init(key, group, spki, length);
    if (error != FWR_OK)
        return error;
    return key->algorithm == algorithm ? FWR_OK : FWR_E_KEY;
}

static int decode_groups(struct fwr_reader *reader, struct fwr_trust *trust)
{
    while (fwr_reader_left(reader) > 0) {
        uint8_t group = trust->group_count;
        uint8_t count, i;

        if (group == FWR_TRUST_GROUPS_MAX)
            return FWR_E_TRUST_SET;
        trust->group_count++;
        trust->thresholds[group] = fwr_reader_u8(reader);
        count = fwr_reader_u8(reader);
        for (i = 0; i < count; i++) {
            int error = decode_key(reader, trust, group);

            if (error != FWR_OK)
                return error;
        }
    }
    return FWR_OK;
}

static int decode_revoked(struct fwr_reader *reader, struct fwr_trust *trust)
{
    size_t count = fwr_reader_left(reader) / FWR_KEY_ID_SIZE;
    size_t i;

    if (count == 0 || count > FWR_TRUST_REVOKED_MAX)
        return FWR_E_TRUST_SET;
    trust->revoked_count = (uint8_t)count;
    for (i = 0; i < count; i++)
        fwr_reader_copy(reader, trust->revoked[i], FWR_KEY_ID_SIZE);
    return FWR_OK;
}

static int decode_field(uint16_t tag, struct fwr_reader *value, struct fwr_trust *trust)
{
    switch (tag) {
    case TAG_GENERATION:
        trust->generation = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_GROUPS:
        return decode_groups(value, trust);
    case TAG_REVOKED:
        return decode_revoked(value, trust);
    default:
        return FWR_E_CRITICAL_TAG;
    }
}

int fwr_trust_decode(const void *bytes, size_t length, struct fwr_trust *trust)
{
    struct fwr_tlv_reader tlv;
    struct fwr_tlv_field field;

    memset(trust, 0, sizeof(*trust));
    if (length > FWR_TRUST_MAX)
        return FWR_E_TRUST_SET;
    fwr_tlv_init(&tlv, bytes, length);
    while (fwr_tlv_next(&tlv, &field)) {
        int error;

        if ((field.tag & FWR_TLV_IGNORABLE) != 0)
            continue;
        error = decode_field(field.tag, &field.value, trust);
        if (error != FWR_OK)
            return error;
        if (!fwr_reader_complete(&field.value))
            return FWR_E_TRUST_SET;
    }
    /* A field that is missing has left its zero behind, which is not legal. */
    return fwr_tlv_complete(&tlv) ? check(trust) : FWR_E_TRUST_SET;
}

/* Whether a key's record says what its SPKI says. */
static int check_key(const struct fwr_trust_key *key)
{
    struct fwr_trust_key fresh;
    int error = fwr_trust_key_init(&fresh, key->group, key->spki, key->spki_length);

    if (error != FWR_OK)
        return error;
    return key->algorithm == fresh.algorithm && memcmp(key->id, fresh.id, sizeof(key->id)) == 0
               ? FWR_OK
               : FWR_E_KEY;
}

static void encode_group(struct fwr_writer *writer, const struct fwr_trust *trust, uint8_t group)
{
    uint8_t count = 0;
    uint8_t i;

    for (i = 0; i < trust->key_count; i++)
        count = (uint8_t)(count + (trust->keys[i].group == group));
    fwr_writer_u8(writer, trust->thresholds[group]);
    fwr_writer_u8(writer, count);
    for (i = 0; i < trust->key_count; i++) {
        if (trust->keys[i].group != group)
            continue;
        fwr_writer_u8(writer, trust->keys[i].algorithm);
        fwr_writer_u16(writer, trust->keys[i].spki_length);
        fwr_writer_bytes(writer, trust->keys[i].spki, trust->keys[i].spki_length);
    }
}

int fwr_trust_encode(const struct fwr_trust *trust, void *buffer, size_t capacity)
{
    struct fwr_writer writer;
    size_t position;
    uint8_t i;
    int error = check(trust);

    for (i = 0; error == FWR_OK && i < trust->key_count; i++)
        error = check_key(&trust->keys[i]);
    if (error != FWR_OK)
        return error;
    fwr_writer_init(&writer, buffer, capacity);
    fwr_tlv_uint(&writer, TAG_GENERATION, trust->generation, 4);
    position = fwr_tlv_open(&writer, TAG_GROUPS);
    for (i = 0; i < trust->group_count; i++)
        encode_group(&writer, trust, i);
    fwr_tlv_close(&writer, position);
    if (trust->revoked_count > 0)
        fwr_tlv_bytes(&writer, TAG_REVOKED, trust->revoked,
                      (size_t)trust->revoked_count * FWR_KEY_ID_SIZE);
    return fwr_writer_finish(&writer);
}

static int find_key(const struct fwr_trust *trust, const uint8_t *id)
{
    int i;

    for (i = 0; i < trust->key_count; i++) {
        if (memcmp(trust->keys[i].id, id, FWR_KEY_ID_SIZE) == 0)
            return i;
    }
    return -1;
}

static bool is_revoked(const struct fwr_trust *trust, const uint8_t *id)
{
    uint8_t i;

    for (i = 0; i < trust->revoked_count; i++) {
        if (memcmp(trust->revoked[i], id, FWR_KEY_ID_SIZE) == 0)
            return true;
    }
    return false;
}

/* `keys` has bit n set for key n: how many groups have enough of theirs? */
static uint8_t groups_satisfied(const struct fwr_trust *trust, uint32_t keys)
{
    uint8_t counts[FWR_TRUST_GROUPS_MAX] = {0};
    uint8_t satisfied = 0;
    uint8_t i;

    for (i = 0; i < trust->key_count; i++) {
        if ((keys & (UINT32_C(1) << i)) != 0)
            counts[trust->keys[i].group]++;
    }
    for (i = 0; i < trust->group_count; i++) {
        if (counts[i] < trust->thresholds[i])
            continue;
        satisfied++;
    }
    return satisfied;
}

static int verify_one(const struct fwr_trust_key *key, const BUF_MEM *message,
                      const struct fwr_signature *signature)
{
    EVP_PKEY *pkey;
    EVP_MD_CTX *context;
    int error = FWR_E_CRYPTO;

    if (signature->length > FWR_SIGNATURE_MAX)
        return FWR_E_SIGNATURE;
    pkey = parse_spki(key->spki, key->spki_length);
    if (pkey == NULL)
        return FWR_E_KEY;
    ERR_set_mark();
    context = EVP_MD_CTX_new();
    if (context != NULL &&
        fwr_key_begin(context, pkey, key->algorithm, EVP_DigestVerifyInit_ex) == 1)
        /* libcrypto says 0 or a negative number for a bad signature, by its form. */
        error = EVP_DigestVerify(context, signature->signature, signature->length,
                                 (const unsigned char *)message->data, message->length) == 1
                    ? FWR_OK
                    : FWR_E_SIGNATURE;
    ERR_pop_to_mark();
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return error;
}

int fwr_trust_verify(const struct fwr_trust *trust, const char *prefix, const void *bytes,
                     size_t length, const struct fwr_signature *signatures, size_t count)
{
    uint32_t good = 0;
    uint32_t in_force = 0;
    BUF_MEM *message;
    int error = FWR_OK;
    size_t i;

    if (trust == NULL || trust->group_count == 0)
        return FWR_E_UNPROVISIONED;
    if (count > FWR_SIGNATURES_MAX || trust->group_count > FWR_TRUST_GROUPS_MAX ||
        trust->key_count > FWR_TRUST_KEYS_MAX)
        return FWR_E_ARGUMENT;
    message = fwr_key_message(prefix, bytes, length);
    if (message == NULL)
        return FWR_E_CRYPTO;
    for (i = 0; i < count && error == FWR_OK; i++) {
        int key = find_key(trust, signatures[i].key_id);

        if (key < 0)
            continue;
        error = verify_one(&trust->keys[key], message, &signatures[i]);
        good |= UINT32_C(1) << key; /* a key that signed twice is still one key */
        if (!is_revoked(trust, signatures[i].key_id))
            in_force |= UINT32_C(1) << key;
    }
    BUF_MEM_free(message);
    if (error != FWR_OK)
        return error;
    /* Every one of them: a second algorithm beside the first is a group of its own. */
    if (groups_satisfied(trust, in_force) == trust->group_count)
        return FWR_OK;
    if (groups_satisfied(trust, good) == trust->group_count)
        return FWR_E_REVOKED;
    return groups_satisfied(trust, in_force) > 0 ? FWR_E_PARTLY_SIGNED : FWR_E_UNTRUSTED;
}

bool fwr_trust_has_algorithm(uint8_t algorithm)
{
    return fwr_key_available(algorithm);
}

int fwr_trust_id(const void *bytes, size_t length, uint8_t *id)
{
    return fwr_key_payload_id(FWR_PREFIX_TRUST, bytes, length, id);
}
