/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, signatures, thresholds and the trust set's canonical form. Good signatures come from
 * RFC 8032 and from the openssl command as well as from our signer; bad ones are made with EVP
 * directly, because our signer cannot make them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <fwrecover/error.h>
#include <fwrecover/sign.h>
#include <fwrecover/trust.h>

#include "keys.h"

static const char prefix[] = FWR_PREFIX_MANIFEST;

/* The three algorithms: two keys each, and a signature by the first that openssl made. */
static const struct algorithm {
    uint8_t number;
    const char *key;
    const char *other;
    const char *signature;
} algorithms[] = {
    {FWR_KEY_ED25519, "ed25519-1.pem", "ed25519-2.pem", "message.ed25519-1"},
    {FWR_KEY_ECDSA_P384, "p384-1.pem", "p384-2.pem", "message.p384-1"},
    {FWR_KEY_RSA_PSS, "rsa3072-1.pem", "rsa3072-2.pem", "message.rsa3072-1"},
};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

struct message {
    uint8_t bytes[64];
    size_t length;
};

static struct message read_message(void)
{
    struct message message;

    message.length = keys_read("message", message.bytes, sizeof(message.bytes));
    return message;
}

static struct fwr_signature described(const struct fwr_trust_key *key, const uint8_t *bytes,
                                      size_t length)
{
    struct fwr_signature signature = {.signature = bytes, .length = (uint16_t)length};

    memcpy(signature.key_id, key->id, FWR_KEY_ID_SIZE);
    return signature;
}

static int verify(const struct fwr_trust *trust, const struct message *message,
                  const struct fwr_signature *signatures, size_t count)
{
    int error = fwr_trust_verify(trust, prefix, message->bytes, message->length, signatures, count);

    assert_int_equal(ERR_peek_error(), 0); /* nothing left behind for the program to trip over */
    return error;
}

static void openssl_signatures_verify(void **state)
{
    struct message message = read_message();
    size_t i;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        uint8_t bytes[FWR_SIGNATURE_MAX];
        size_t length = keys_read(algorithms[i].signature, bytes, sizeof(bytes));
        struct fwr_signature signature;
        struct fwr_trust trust;

        keys_trust(&trust, 1, &algorithms[i].key, 1);
        assert_int_equal(trust.keys[0].algorithm, algorithms[i].number);
        signature = described(&trust.keys[0], bytes, length);
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_OK);
        message.bytes[0] ^= 1;
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        message.bytes[0] ^= 1;
        message.length--;
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        message.length++;
        assert_int_equal(fwr_trust_verify(&trust, FWR_PREFIX_TRUST, message.bytes, message.length,
                                          &signature, 1),
                         FWR_E_SIGNATURE);
    }
}

/* RFC 8032 section 7.1, TEST 2: the one-byte message is the prefix, and nothing follows it. */
static void rfc_8032_vector(void **state)
{
    static const uint8_t spki[44] = {
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x3d, 0x40, 0x17,
        0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98,
        0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c};
    static const uint8_t bytes[64] = {
        0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
        0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
        0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
        0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
        0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};
    struct fwr_trust trust = {.generation = 1, .group_count = 1, .key_count = 1, .thresholds = {1}};
    struct fwr_signature signature;

    (void)state;
    assert_int_equal(fwr_trust_key_init(&trust.keys[0], 0, spki, sizeof(spki)), FWR_OK);
    signature = described(&trust.keys[0], bytes, sizeof(bytes));
    assert_int_equal(fwr_trust_verify(&trust, "\x72", NULL, 0, &signature, 1), FWR_OK);
    assert_int_equal(fwr_trust_verify(&trust, "\x73", NULL, 0, &signature, 1), FWR_E_SIGNATURE);
}

static void our_signatures_verify(void **state)
{
    struct message message = read_message();
    size_t i;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        uint8_t bytes[FWR_SIGNATURE_MAX], again[FWR_SIGNATURE_MAX];
        struct fwr_signature signature =
            keys_sign(algorithms[i].key, prefix, message.bytes, message.length, bytes);
        struct fwr_trust trust;

        keys_trust(&trust, 1, &algorithms[i].key, 1);
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_OK);
        keys_sign(algorithms[i].key, prefix, message.bytes, message.length, again);
        /* What sign.h says about reproducing. */
        assert_int_equal(memcmp(bytes, again, 64) == 0, algorithms[i].number == FWR_KEY_ED25519);
    }
}

/* Every shorter signature, one that is longer, and one with each byte changed. */
static void damaged_signatures(void **state)
{
    struct message message = read_message();
    size_t i, j;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        uint8_t bytes[FWR_SIGNATURE_MAX + 2];
        size_t length = keys_read(algorithms[i].signature, bytes, sizeof(bytes));
        struct fwr_signature signature;
        struct fwr_trust trust;

        keys_trust(&trust, 1, &algorithms[i].key, 1);
        for (j = 0; j < length; j++) {
            signature = described(&trust.keys[0], bytes, j);
            assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        }
        for (j = 0; j < length; j += 5) {
            signature = described(&trust.keys[0], bytes, length);
            bytes[j] ^= (uint8_t)(1 << (j % 8));
            assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
            bytes[j] ^= (uint8_t)(1 << (j % 8));
        }
        bytes[length] = 0;
        signature = described(&trust.keys[0], bytes, length + 1);
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        signature = described(&trust.keys[0], bytes, FWR_SIGNATURE_MAX + 1);
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        memset(bytes, 0, length);
        signature = described(&trust.keys[0], bytes, length);
        assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
    }
}

static void wrong_key(void **state)
{
    struct message message = read_message();
    size_t i, j;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        uint8_t bytes[FWR_SIGNATURE_MAX];
        struct fwr_trust trust;

        keys_trust(&trust, 1, &algorithms[i].key, 1);
        for (j = 0; j < ALGORITHMS; j++) {
            struct fwr_signature signature =
                keys_sign(algorithms[j].other, prefix, message.bytes, message.length, bytes);

            /* Under its own id nobody knows it; under the trusted id it is a forgery. */
            assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_UNTRUSTED);
            memcpy(signature.key_id, trust.keys[0].id, FWR_KEY_ID_SIZE);
            assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
        }
    }
}

static EVP_PKEY *private_key(const char *name)
{
    uint8_t pem[FWR_PEM_MAX];
    size_t length = keys_read(name, pem, sizeof(pem));
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    assert_non_null(pkey);
    BIO_free(bio);
    return pkey;
}

/* Signs prefix ‖ message as told, right or wrong; `padding` 0 is the algorithm's own. */
static size_t sign_raw(const char *name, const EVP_MD *hash, int padding, const EVP_MD *mgf1,
                       int salt, const struct message *message, uint8_t *out)
{
    EVP_PKEY *pkey = private_key(name);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    uint8_t text[128];
    size_t length = FWR_SIGNATURE_MAX;

    memcpy(text, prefix, strlen(prefix));
    memcpy(text + strlen(prefix), message->bytes, message->length);
    assert_int_equal(EVP_DigestSignInit(context, &parameters, hash, NULL, pkey), 1);
    if (padding != 0)
        assert_true(EVP_PKEY_CTX_set_rsa_padding(parameters, padding) == 1);
    if (padding == RSA_PKCS1_PSS_PADDING) {
        assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, mgf1) == 1);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt) == 1);
    }
    assert_int_equal(EVP_DigestSign(context, out, &length, text, strlen(prefix) + message->length),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return length;
}

static int verify_raw(const char *name, const EVP_MD *hash, int padding, const EVP_MD *mgf1,
                      int salt)
{
    struct message message = read_message();
    uint8_t bytes[FWR_SIGNATURE_MAX];
    size_t length = sign_raw(name, hash, padding, mgf1, salt, &message, bytes);
    struct fwr_signature signature;
    struct fwr_trust trust;

    keys_trust(&trust, 1, &name, 1);
    signature = described(&trust.keys[0], bytes, length);
    return verify(&trust, &message, &signature, 1);
}

static void wrong_hash_or_padding(void **state)
{
    const EVP_MD *right = EVP_sha384();

    (void)state;
    assert_int_equal(verify_raw("p384-1.pem", right, 0, NULL, 0), FWR_OK);
    assert_int_equal(verify_raw("p384-1.pem", EVP_sha256(), 0, NULL, 0), FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("p384-1.pem", EVP_sha512(), 0, NULL, 0), FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("rsa3072-1.pem", right, RSA_PKCS1_PSS_PADDING, right, 48), FWR_OK);
    assert_int_equal(
        verify_raw("rsa3072-1.pem", EVP_sha256(), RSA_PKCS1_PSS_PADDING, EVP_sha256(), 48),
        FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("rsa3072-1.pem", right, RSA_PKCS1_PSS_PADDING, EVP_sha256(), 48),
                     FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("rsa3072-1.pem", right, RSA_PKCS1_PSS_PADDING, right, 32),
                     FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("rsa3072-1.pem", right, RSA_PKCS1_PSS_PADDING, right, 0),
                     FWR_E_SIGNATURE);
    assert_int_equal(verify_raw("rsa3072-1.pem", right, RSA_PKCS1_PADDING, NULL, 0),
                     FWR_E_SIGNATURE);
}

/* Ed25519 has its hash built in; a signature over the message's hash is one over other bytes. */
static void ed25519_of_a_hash(void **state)
{
    struct message message = read_message(), hashed;
    uint8_t bytes[FWR_SIGNATURE_MAX];
    static const char *const key[] = {"ed25519-1.pem"};
    struct fwr_signature signature;
    struct fwr_trust trust;

    (void)state;
    assert_int_equal(
        EVP_Digest(message.bytes, message.length, hashed.bytes, NULL, EVP_sha512(), NULL), 1);
    hashed.length = 64;
    keys_trust(&trust, 1, key, 1);
    signature = keys_sign(key[0], prefix, hashed.bytes, hashed.length, bytes);
    assert_int_equal(verify(&trust, &hashed, &signature, 1), FWR_OK);
    assert_int_equal(verify(&trust, &message, &signature, 1), FWR_E_SIGNATURE);
}

/* Signatures of all six keys, once, for the tests of thresholds. */
enum { KEYS = 6 };
static const char *const key_names[KEYS] = {"ed25519-1.pem", "ed25519-2.pem", "p384-1.pem",
                                            "p384-2.pem",    "rsa3072-1.pem", "rsa3072-2.pem"};
static uint8_t made[KEYS][FWR_SIGNATURE_MAX];
static struct fwr_signature signed_by[KEYS];
static struct message text;

static int sign_with_all(void **state)
{
    size_t i;

    (void)state;
    text = read_message();
    for (i = 0; i < KEYS; i++)
        signed_by[i] = keys_sign(key_names[i], prefix, text.bytes, text.length, made[i]);
    return 0;
}

/* `which` has bit n set for a signature by key n. */
static int verify_by(const struct fwr_trust *trust, unsigned which)
{
    struct fwr_signature signatures[KEYS];
    size_t count = 0;
    unsigned i;

    for (i = 0; i < KEYS; i++) {
        if ((which & (1u << i)) != 0)
            signatures[count++] = signed_by[i];
    }
    return verify(trust, &text, signatures, count);
}

static void thresholds_count_distinct_keys(void **state)
{
    struct fwr_signature twice[3] = {signed_by[0], signed_by[0], signed_by[0]};
    struct fwr_trust trust;
    uint8_t other[FWR_SIGNATURE_MAX];
    unsigned which;
    uint8_t threshold;

    (void)state;
    for (threshold = 1; threshold <= 3; threshold++) {
        keys_trust(&trust, threshold, key_names, 3);
        for (which = 0; which < 1u << 4; which++) { /* the fourth key is a stranger */
            int known = (which & 1) + (which >> 1 & 1) + (which >> 2 & 1);

            assert_int_equal(verify_by(&trust, which),
                             known >= threshold ? FWR_OK : FWR_E_UNTRUSTED);
        }
    }
    keys_trust(&trust, 2, key_names, 3);
    assert_int_equal(verify(&trust, &text, twice, 3), FWR_E_UNTRUSTED);
    /* two different good signatures by one key */
    twice[0] = signed_by[2];
    twice[1] = keys_sign(key_names[2], prefix, text.bytes, text.length, other);
    assert_int_equal(verify(&trust, &text, twice, 2), FWR_E_UNTRUSTED);
}

static void every_group_must_be_satisfied(void **state)
{
    struct fwr_trust trust;
    unsigned which;

    (void)state;
    keys_trust(&trust, 1, key_names, KEYS);
    trust.group_count = 2;
    trust.thresholds[1] = 2;
    trust.keys[4].group = trust.keys[5].group = trust.keys[3].group = 1;
    for (which = 0; which < 1u << KEYS; which += 3) {
        int first = (which & 1) + (which >> 1 & 1) + (which >> 2 & 1);
        int second = (which >> 3 & 1) + (which >> 4 & 1) + (which >> 5 & 1);

        assert_int_equal(verify_by(&trust, which), first >= 1 && second >= 2   ? FWR_OK
                                                   : first >= 1 || second >= 2 ? FWR_E_PARTLY_SIGNED
                                                                               : FWR_E_UNTRUSTED);
    }
}

static void one_bad_signature_condemns(void **state)
{
    struct fwr_signature signatures[2] = {signed_by[0], signed_by[1]};
    uint8_t bad[FWR_SIGNATURE_MAX];
    struct fwr_trust trust;

    (void)state;
    keys_trust(&trust, 1, key_names, 2);
    memcpy(bad, signed_by[1].signature, 64);
    bad[5] ^= 4;
    signatures[1].signature = bad;
    assert_int_equal(verify(&trust, &text, signatures, 2), FWR_E_SIGNATURE);
    trust.key_count = 1; /* by a stranger it is nobody's business */
    assert_int_equal(verify(&trust, &text, signatures, 2), FWR_OK);
}

static void revoked_keys_do_not_count(void **state)
{
    struct fwr_trust trust;

    (void)state;
    keys_trust(&trust, 1, key_names, 2);
    trust.revoked_count = 1;
    memcpy(trust.revoked[0], trust.keys[0].id, FWR_KEY_ID_SIZE);
    assert_int_equal(verify_by(&trust, 1), FWR_E_REVOKED);
    assert_int_equal(verify_by(&trust, 2), FWR_OK);
    assert_int_equal(verify_by(&trust, 3), FWR_OK);
    assert_int_equal(verify_by(&trust, 4), FWR_E_UNTRUSTED);
    trust.thresholds[0] = 2;
    assert_int_equal(verify_by(&trust, 1), FWR_E_UNTRUSTED); /* would not suffice either way */
    assert_int_equal(verify_by(&trust, 3), FWR_E_REVOKED);
}

static void misuse(void **state)
{
    struct fwr_signature nine[FWR_SIGNATURES_MAX + 1];
    static uint8_t huge[60000];
    struct fwr_trust trust;
    size_t i;

    (void)state;
    for (i = 0; i < FWR_SIGNATURES_MAX + 1; i++)
        nine[i] = signed_by[0];
    assert_int_equal(verify_by(NULL, 1), FWR_E_UNPROVISIONED);
    memset(&trust, 0, sizeof(trust));
    assert_int_equal(verify_by(&trust, 1), FWR_E_UNPROVISIONED);
    keys_trust(&trust, 1, key_names, 1);
    assert_int_equal(verify(&trust, &text, nine, FWR_SIGNATURES_MAX), FWR_OK);
    assert_int_equal(verify(&trust, &text, nine, FWR_SIGNATURES_MAX + 1), FWR_E_ARGUMENT);
    assert_int_equal(verify(&trust, &text, NULL, 0), FWR_E_UNTRUSTED);
    /* A stranger's signature may be of any length, as a post-quantum one will be. */
    memset(nine[0].key_id, 0, FWR_KEY_ID_SIZE);
    nine[0].signature = huge;
    nine[0].length = sizeof(huge);
    assert_int_equal(verify(&trust, &text, nine, 2), FWR_OK);
}

static int init_from_pem(const char *name, struct fwr_trust_key *key)
{
    uint8_t pem[FWR_PEM_MAX];
    size_t length = keys_read(name, pem, sizeof(pem));

    return fwr_trust_key_load(key, 0, pem, length);
}

/* The SPKI of a PEM file as it stands there, not made canonical. */
static size_t spki_of(const char *name, uint8_t *spki)
{
    uint8_t pem[FWR_PEM_MAX];
    size_t length = keys_read(name, pem, sizeof(pem));
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    unsigned char *data = NULL;
    char *type = NULL, *header = NULL;
    long size = 0;

    assert_int_equal(PEM_read_bio(bio, &type, &header, &data, &size), 1);
    memcpy(spki, data, (size_t)size);
    OPENSSL_free(type);
    OPENSSL_free(header);
    OPENSSL_free(data);
    BIO_free(bio);
    return (size_t)size;
}

static void keys_that_will_not_do(void **state)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {
        {"rsa4096.pem", FWR_OK},
        {"weak-rsa2048.pem", FWR_E_KEY},
        {"weak-rsa3072-e3.pem", FWR_E_KEY},
        {"large-rsa4104.pem", FWR_E_KEY},
        {"other-p256.pem", FWR_E_ALGORITHM},
        {"other-ed448.pem", FWR_E_ALGORITHM},
        {"other-x25519.pem", FWR_E_ALGORITHM},
        {"other-rsa-pss.pem", FWR_E_ALGORITHM},
        {"message", FWR_E_KEY},
    };
    struct fwr_trust_key key;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t spki[1024];

        assert_int_equal(init_from_pem(cases[i].name, &key), cases[i].error);
        if (strcmp(cases[i].name, "message") == 0)
            continue;
        assert_int_equal(fwr_trust_key_init(&key, 0, spki, spki_of(cases[i].name, spki)),
                         cases[i].error);
    }
    assert_int_equal(fwr_trust_key_init(&key, 0, "", 0), FWR_E_KEY);
    assert_int_equal(ERR_peek_error(), 0);
}

/* One key, one encoding: whatever else libcrypto would take for the same key is refused. */
static void only_the_canonical_encoding(void **state)
{
    static const char *const other_forms[] = {"p384-1-compressed.pem", "p384-1-explicit.pem"};
    struct fwr_trust_key key, canonical;
    struct fwr_signer signer;
    uint8_t spki[1024];
    size_t length, i;

    (void)state;
    keys_signer("p384-1.pem", &signer);
    assert_int_equal(fwr_signer_public_key(&signer, 0, &canonical), FWR_OK);
    assert_int_equal(canonical.spki_length, 120);
    for (i = 0; i < 2; i++) {
        length = spki_of(other_forms[i], spki);
        assert_int_equal(fwr_trust_key_init(&key, 0, spki, length), FWR_E_KEY);
        /* the tools' reader brings it to the canonical form */
        assert_int_equal(init_from_pem(other_forms[i], &key), FWR_OK);
        assert_memory_equal(key.id, canonical.id, sizeof(key.id));
        assert_memory_equal(key.spki, canonical.spki, canonical.spki_length);
    }
    memcpy(spki, canonical.spki, 120);
    spki[23] = (uint8_t)(6 + (spki[119] & 1)); /* hybrid point */
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, 120), FWR_E_KEY);
    spki[23] = 4;
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, 120), FWR_OK);
    spki[119] ^= 1; /* not on the curve */
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, 120), FWR_E_KEY);
    fwr_signer_free(&signer);
}

/* BER where DER is asked for, bytes after the end, and every shorter prefix. */
static void loose_encodings(void **state)
{
    size_t i, j;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        struct fwr_trust_key key, good;
        struct fwr_signer signer;
        uint8_t spki[FWR_SPKI_MAX + 1];

        keys_signer(algorithms[i].key, &signer);
        assert_int_equal(fwr_signer_public_key(&signer, 0, &good), FWR_OK);
        memcpy(spki, good.spki, good.spki_length);
        for (j = 0; j < good.spki_length; j += 7)
            assert_int_equal(fwr_trust_key_init(&key, 0, spki, j), FWR_E_KEY);
        spki[good.spki_length] = 0;
        assert_int_equal(fwr_trust_key_init(&key, 0, spki, (size_t)good.spki_length + 1),
                         FWR_E_KEY);
        assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_E_KEY);
        if (good.spki_length < 0x80) { /* outer length in its long form: BER, not DER */
            memmove(spki + 3, spki + 2, (size_t)good.spki_length - 2);
            spki[2] = spki[1];
            spki[1] = 0x81;
            assert_int_equal(fwr_trust_key_init(&key, 0, spki, (size_t)good.spki_length + 1),
                             FWR_E_KEY);
        }
        fwr_signer_free(&signer);
    }
}

/* y = p + 4 is the same point as y = 4: libcrypto takes both. */
static void ed25519_not_reduced(void **state)
{
    uint8_t spki[44] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    struct fwr_trust_key key;
    const unsigned char *end = spki;
    EVP_PKEY *pkey;

    (void)state;
    memset(spki + 12, 0xff, 32);
    spki[12] = 0xed + 4;
    spki[43] = 0x7f;
    pkey = d2i_PUBKEY(NULL, &end, sizeof(spki));
    assert_non_null(pkey);
    EVP_PKEY_free(pkey);
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_E_KEY);
    spki[43] = 0xff;
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_E_KEY);
    spki[12] = 0xed; /* p itself, for 0 */
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_E_KEY);
    spki[12] = 0xec;
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_OK);
    spki[12] = 0xed;
    spki[20] = 0xfe;
    assert_int_equal(fwr_trust_key_init(&key, 0, spki, sizeof(spki)), FWR_OK);
}

/* A trust set by hand, from doc/WIRE.md 11.4: generation 0x01020304, one group, one revoked. */
static size_t put_trust(uint8_t *bytes, uint8_t threshold, uint8_t count, const uint8_t *keys,
                        size_t length, const uint8_t *revoked, size_t revoked_length)
{
    size_t at = 0;

    memcpy(bytes, "\x01\x00\x04\x00\x04\x03\x02\x01\x02\x00", 10);
    at = 10;
    bytes[at++] = (uint8_t)(length + 2);
    bytes[at++] = (uint8_t)((length + 2) >> 8);
    bytes[at++] = threshold;
    bytes[at++] = count;
    memcpy(bytes + at, keys, length);
    at += length;
    if (revoked != NULL) {
        bytes[at++] = 3;
        bytes[at++] = 0;
        bytes[at++] = (uint8_t)revoked_length;
        bytes[at++] = (uint8_t)(revoked_length >> 8);
        memcpy(bytes + at, revoked, revoked_length);
        at += revoked_length;
    }
    return at;
}

static size_t put_key(uint8_t *bytes, uint8_t algorithm, const struct fwr_trust_key *key)
{
    bytes[0] = algorithm;
    bytes[1] = (uint8_t)key->spki_length;
    bytes[2] = (uint8_t)(key->spki_length >> 8);
    memcpy(bytes + 3, key->spki, key->spki_length);
    return 3u + key->spki_length;
}

static int decode_exact(const uint8_t *bytes, size_t length)
{
    static struct fwr_trust trust;
    uint8_t *copy = malloc(length > 0 ? length : 1);
    int error;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    error = fwr_trust_decode(copy, length, &trust);
    free(copy);
    return error;
}

static void trust_set_by_hand(void **state)
{
    static struct fwr_trust trust, decoded;
    uint8_t bytes[4096], encoded[4096], keys[2048], revoked[64];
    size_t keys_length, length, cut;

    (void)state;
    keys_trust(&trust, 1, key_names, 3);
    keys_length = put_key(keys, FWR_KEY_ED25519, &trust.keys[0]);
    keys_length += put_key(keys + keys_length, FWR_KEY_ECDSA_P384, &trust.keys[2]);
    memset(revoked, 1, 32);
    memset(revoked + 32, 2, 32);
    length = put_trust(bytes, 2, 2, keys, keys_length, revoked, 64);
    assert_int_equal(fwr_trust_decode(bytes, length, &decoded), FWR_OK);
    assert_int_equal(decoded.generation, 0x01020304);
    assert_int_equal(decoded.group_count, 1);
    assert_int_equal(decoded.thresholds[0], 2);
    assert_int_equal(decoded.key_count, 2);
    assert_int_equal(decoded.revoked_count, 2);
    assert_memory_equal(decoded.keys[1].id, trust.keys[2].id, FWR_KEY_ID_SIZE);
    assert_memory_equal(decoded.revoked[1], revoked + 32, 32);
    assert_int_equal(fwr_trust_encode(&decoded, encoded, sizeof(encoded)), (int)length);
    assert_memory_equal(encoded, bytes, length);
    for (cut = 0; cut < length; cut++) {
        int whole = cut == length - 68; /* without the revocations */

        assert_int_equal(decode_exact(bytes, cut), whole ? FWR_OK : FWR_E_TRUST_SET);
        assert_int_equal(fwr_trust_encode(&decoded, encoded, cut), FWR_E_NO_SPACE);
    }
    bytes[length] = 0;
    assert_int_equal(decode_exact(bytes, length + 1), FWR_E_TRUST_SET);
    assert_int_equal(fwr_trust_decode(bytes, FWR_TRUST_MAX + 1, &decoded), FWR_E_TRUST_SET);
}

static void trust_sets_that_are_none(void **state)
{
    static struct fwr_trust trust;
    uint8_t bytes[4096], keys[2048], revoked[64];
    size_t one, two, length;

    (void)state;
    keys_trust(&trust, 1, key_names, 2);
    one = put_key(keys, FWR_KEY_ED25519, &trust.keys[0]);
    length = put_trust(bytes, 1, 1, keys, one, NULL, 0);
    assert_int_equal(decode_exact(bytes, length), FWR_OK);
    memset(bytes + 4, 0, 4);
    assert_int_equal(decode_exact(bytes, length), FWR_E_TRUST_SET); /* generation 0 */
    assert_int_equal(decode_exact(bytes, 8), FWR_E_TRUST_SET);      /* no groups */
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 0, 1, keys, one, NULL, 0)),
                     FWR_E_TRUST_SET);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 2, 1, keys, one, NULL, 0)),
                     FWR_E_TRUST_SET);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 0, 0, keys, 0, NULL, 0)),
                     FWR_E_TRUST_SET);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 2, keys, one, NULL, 0)),
                     FWR_E_TRUST_SET);
    two = one + put_key(keys + one, FWR_KEY_ED25519, &trust.keys[0]); /* one key twice */
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 2, keys, two, NULL, 0)),
                     FWR_E_TRUST_SET);
    two = one + put_key(keys + one, FWR_KEY_ED25519, &trust.keys[1]);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 2, 2, keys, two, NULL, 0)), FWR_OK);
    memset(revoked, 7, sizeof(revoked));
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, revoked, 64)),
                     FWR_E_TRUST_SET); /* one twice */
    revoked[0] = 8;
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, revoked, 64)),
                     FWR_E_TRUST_SET); /* not ascending */
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, revoked, 0)),
                     FWR_E_TRUST_SET);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, revoked, 33)),
                     FWR_E_TRUST_SET);
    put_key(keys, FWR_KEY_ECDSA_P384, &trust.keys[0]); /* says P-384, is Ed25519 */
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, NULL, 0)), FWR_E_KEY);
    put_key(keys, 0, &trust.keys[0]);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, NULL, 0)),
                     FWR_E_ALGORITHM);
    put_key(keys, FWR_KEY_ML_DSA_87 + 1, &trust.keys[0]);
    assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, NULL, 0)),
                     FWR_E_ALGORITHM);
    assert_int_equal(decode_exact((const uint8_t *)"\x04\x00\x00\x00", 4), FWR_E_CRITICAL_TAG);
}

/* The SPKI of an ML-DSA key of any bytes: all of them are keys. */
static size_t ml_dsa_spki(uint8_t algorithm, uint8_t *spki)
{
    static const uint16_t sizes[] = {1312, 1952, 2592};
    const uint16_t size = sizes[algorithm - FWR_KEY_ML_DSA_44], inner = (uint16_t)(size + 1);
    const uint16_t outer = (uint16_t)(13 + 4 + inner);
    const uint8_t head[] = {0x30,
                            0x82,
                            (uint8_t)(outer >> 8),
                            (uint8_t)outer,
                            0x30,
                            0x0b,
                            0x06,
                            0x09,
                            0x60,
                            0x86,
                            0x48,
                            0x01,
                            0x65,
                            0x03,
                            0x04,
                            0x03,
                            (uint8_t)(17 + algorithm - FWR_KEY_ML_DSA_44),
                            0x03,
                            0x82,
                            (uint8_t)(inner >> 8),
                            (uint8_t)inner,
                            0x00};

    memcpy(spki, head, sizeof(head));
    memset(spki + sizeof(head), algorithm, size);
    return sizeof(head) + size;
}

/* Where libcrypto has ML-DSA a set may have such keys; where not, it says that, and not that the
 * key is bad; in a set, as a key, and as PEM of either half. */
static void ml_dsa_where_there_is_none(void **state)
{
    static const char public_pem[] =
        "-----BEGIN PUBLIC KEY-----\nMBIwCwYJYIZIAWUDBAMSAwMAAAA=\n-----END PUBLIC KEY-----\n";
    static const char private_pem[] =
        "-----BEGIN PRIVATE KEY-----\nMBUCAQAwCwYJYIZIAWUDBAMSBAMEAQA=\n-----END PRIVATE "
        "KEY-----\n";
    static struct fwr_trust trust;
    static uint8_t bytes[FWR_TRUST_MAX], keys[FWR_SPKI_MAX + 3];
    struct fwr_trust_key key = {0}, loaded;
    struct fwr_signer signer;

    (void)state;
    if (fwr_trust_has_algorithm(FWR_KEY_ML_DSA_65)) {
        print_message("# this libcrypto has ML-DSA\n");
        skip();
    }
    keys_trust(&trust, 1, key_names, 1);
    for (uint8_t algorithm = FWR_KEY_ML_DSA_44; algorithm <= FWR_KEY_ML_DSA_87; algorithm++) {
        key.spki_length = (uint16_t)ml_dsa_spki(algorithm, key.spki);
        assert_int_equal(fwr_trust_key_init(&loaded, 0, key.spki, key.spki_length),
                         FWR_E_NO_ML_DSA);
        size_t one = put_key(keys, algorithm, &key);
        assert_int_equal(decode_exact(bytes, put_trust(bytes, 1, 1, keys, one, NULL, 0)),
                         FWR_E_NO_ML_DSA);
        assert_int_equal(fwr_signer_generate(&signer, algorithm), FWR_E_NO_ML_DSA);
    }
    assert_int_equal(fwr_trust_key_load(&loaded, 0, public_pem, strlen(public_pem)),
                     FWR_E_NO_ML_DSA);
    assert_int_equal(fwr_signer_load(&signer, private_pem, strlen(private_pem)), FWR_E_NO_ML_DSA);
    assert_int_equal(ERR_peek_error(), 0);
}

/* The hybrid policy: a classical group and an ML-DSA one, both of which must have signed. */
static void ml_dsa_beside_ed25519(void **state)
{
    static struct fwr_trust trust, decoded;
    static uint8_t bytes[FWR_TRUST_MAX], made_here[2][FWR_SIGNATURE_MAX];

    (void)state;
    if (!fwr_trust_has_algorithm(FWR_KEY_ML_DSA_65)) {
        print_message("# this libcrypto has no ML-DSA (OpenSSL 3.5 has)\n");
        skip();
    }
    for (uint8_t algorithm = FWR_KEY_ML_DSA_44; algorithm <= FWR_KEY_ML_DSA_87; algorithm++) {
        struct fwr_signer signers[2];
        struct fwr_signature signatures[2];

        memset(&trust, 0, sizeof(trust));
        trust.generation = 1;
        trust.group_count = trust.key_count = 2;
        trust.thresholds[0] = trust.thresholds[1] = 1;
        assert_int_equal(fwr_signer_generate(&signers[0], FWR_KEY_ED25519), FWR_OK);
        assert_int_equal(fwr_signer_generate(&signers[1], algorithm), FWR_OK);
        for (uint8_t i = 0; i < 2; i++) {
            assert_int_equal(fwr_signer_public_key(&signers[i], i, &trust.keys[i]), FWR_OK);
            int length =
                fwr_signer_sign(&signers[i], FWR_PREFIX_MANIFEST, "message", 7, made_here[i]);
            assert_true(length > 0);
            memcpy(signatures[i].key_id, trust.keys[i].id, FWR_KEY_ID_SIZE);
            signatures[i].signature = made_here[i];
            signatures[i].length = (uint16_t)length;
            fwr_signer_free(&signers[i]);
        }
        int length = fwr_trust_encode(&trust, bytes, sizeof(bytes));
        assert_true(length > 0);
        assert_int_equal(fwr_trust_decode(bytes, (size_t)length, &decoded), FWR_OK);
        assert_int_equal(decoded.keys[1].algorithm, algorithm);
        assert_int_equal(
            fwr_trust_verify(&decoded, FWR_PREFIX_MANIFEST, "message", 7, signatures, 2), FWR_OK);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(
                fwr_trust_verify(&decoded, FWR_PREFIX_MANIFEST, "message", 7, &signatures[i], 1),
                FWR_E_PARTLY_SIGNED);
        made_here[1][100] ^= 1;
        assert_int_equal(
            fwr_trust_verify(&decoded, FWR_PREFIX_MANIFEST, "message", 7, signatures, 2),
            FWR_E_SIGNATURE);
    }
}

static void largest_trust_set_and_beyond(void **state)
{
    static struct fwr_trust trust, decoded;
    uint8_t bytes[FWR_TRUST_MAX];
    struct fwr_signer signer;
    int length;
    uint8_t i;

    (void)state;
    keys_trust(&trust, 1, key_names, KEYS);
    for (i = KEYS; i < FWR_TRUST_KEYS_MAX; i++) {
        assert_int_equal(fwr_signer_generate(&signer, FWR_KEY_ED25519), FWR_OK);
        assert_int_equal(fwr_signer_public_key(&signer, 0, &trust.keys[i]), FWR_OK);
        fwr_signer_free(&signer);
    }
    trust.key_count = FWR_TRUST_KEYS_MAX;
    trust.group_count = FWR_TRUST_GROUPS_MAX;
    for (i = 0; i < FWR_TRUST_KEYS_MAX; i++)
        trust.keys[i].group = i % FWR_TRUST_GROUPS_MAX;
    memset(trust.thresholds, 2, sizeof(trust.thresholds));
    trust.revoked_count = FWR_TRUST_REVOKED_MAX;
    for (i = 0; i < FWR_TRUST_REVOKED_MAX; i++)
        trust.revoked[i][0] = i;
    length = fwr_trust_encode(&trust, bytes, sizeof(bytes));
    assert_true(length > 0);
    assert_int_equal(fwr_trust_decode(bytes, (size_t)length, &decoded), FWR_OK);
    assert_int_equal(decoded.key_count, FWR_TRUST_KEYS_MAX);
    assert_int_equal(decoded.group_count, FWR_TRUST_GROUPS_MAX);
    trust.keys[0].id[0] ^= 1; /* an id that is not its key's would count one key twice */
    assert_int_equal(fwr_trust_encode(&trust, bytes, sizeof(bytes)), FWR_E_KEY);
    trust.keys[0].id[0] ^= 1;
    trust.keys[0].group = FWR_TRUST_GROUPS_MAX;
    assert_int_equal(fwr_trust_encode(&trust, bytes, sizeof(bytes)), FWR_E_TRUST_SET);
    trust.keys[0].group = 0;
    trust.thresholds[0] = 3;
    assert_int_equal(fwr_trust_encode(&trust, bytes, sizeof(bytes)), FWR_E_TRUST_SET);
    trust.thresholds[0] = 2;
    trust.revoked_count++;
    assert_int_equal(fwr_trust_encode(&trust, bytes, sizeof(bytes)), FWR_E_TRUST_SET);
    trust.revoked_count--;
    trust.key_count++;
    assert_int_equal(fwr_trust_encode(&trust, bytes, sizeof(bytes)), FWR_E_TRUST_SET);
}

static void keys_to_pem_and_back(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++) {
        uint8_t pem[FWR_PEM_MAX];
        struct fwr_signer signer, again;
        struct fwr_trust_key key, read;
        int length, room;

        keys_signer(algorithms[i].key, &signer);
        assert_int_equal(signer.algorithm, algorithms[i].number);
        length = fwr_signer_pem(&signer, pem, sizeof(pem));
        assert_true(length > 0);
        assert_memory_equal(pem, "-----BEGIN PRIVATE KEY-----", 27);
        assert_int_equal(fwr_signer_load(&again, pem, (size_t)length), FWR_OK);
        assert_memory_equal(again.key_id, signer.key_id, FWR_KEY_ID_SIZE);
        for (room = 0; room < length; room += 50)
            assert_int_equal(fwr_signer_pem(&signer, pem, (size_t)room), FWR_E_NO_SPACE);
        assert_int_equal(fwr_signer_public_key(&signer, 3, &key), FWR_OK);
        assert_int_equal(key.group, 3);
        assert_memory_equal(key.id, signer.key_id, FWR_KEY_ID_SIZE);
        length = fwr_trust_key_pem(&key, pem, sizeof(pem));
        assert_true(length > 0);
        assert_int_equal(fwr_trust_key_pem(&key, pem, (size_t)length - 1), FWR_E_NO_SPACE);
        assert_int_equal(fwr_trust_key_load(&read, 3, pem, (size_t)length), FWR_OK);
        assert_memory_equal(read.spki, key.spki, key.spki_length);
        /* a public key is no private one, nor the other way round */
        fwr_signer_free(&signer);
        assert_int_equal(fwr_signer_load(&signer, pem, (size_t)length), FWR_E_KEY);
        length = fwr_signer_pem(&again, pem, sizeof(pem));
        assert_int_equal(fwr_trust_key_load(&read, 0, pem, (size_t)length), FWR_E_KEY);
        fwr_signer_free(&again);
        fwr_signer_free(&again);
        assert_int_equal(fwr_signer_pem(&again, pem, sizeof(pem)), FWR_E_CRYPTO);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

static void keys_that_cannot_be_loaded(void **state)
{
    uint8_t pem[FWR_PEM_MAX + 1];
    struct fwr_signer signer;
    size_t length;

    (void)state;
    length = keys_read("ed25519-1-encrypted.pem", pem, sizeof(pem));
    assert_int_equal(fwr_signer_load(&signer, pem, length), FWR_E_KEY);
    length = keys_read("ed25519-1.pem", pem, sizeof(pem));
    assert_int_equal(fwr_signer_load(&signer, pem, length / 2), FWR_E_KEY);
    assert_int_equal(fwr_signer_load(&signer, pem, 0), FWR_E_KEY);
    memset(pem + length, '\n', sizeof(pem) - length);
    assert_int_equal(fwr_signer_load(&signer, pem, sizeof(pem)), FWR_E_KEY);
    assert_int_equal(fwr_signer_generate(&signer, 0), FWR_E_ALGORITHM);
    assert_int_equal(fwr_signer_generate(&signer, FWR_KEY_ML_DSA_87 + 1), FWR_E_ALGORITHM);
    assert_int_equal(ERR_peek_error(), 0);
}

static void fresh_keys_differ(void **state)
{
    static const uint8_t kinds[] = {FWR_KEY_ED25519, FWR_KEY_ECDSA_P384};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(kinds); i++) {
        struct fwr_signer a, b;

        assert_int_equal(fwr_signer_generate(&a, kinds[i]), FWR_OK);
        assert_int_equal(fwr_signer_generate(&b, kinds[i]), FWR_OK);
        assert_int_equal(a.algorithm, kinds[i]);
        assert_memory_not_equal(a.key_id, b.key_id, FWR_KEY_ID_SIZE);
        fwr_signer_free(&a);
        fwr_signer_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_signatures_verify),
        cmocka_unit_test(rfc_8032_vector),
        cmocka_unit_test(our_signatures_verify),
        cmocka_unit_test(damaged_signatures),
        cmocka_unit_test(wrong_key),
        cmocka_unit_test(wrong_hash_or_padding),
        cmocka_unit_test(ed25519_of_a_hash),
        cmocka_unit_test(thresholds_count_distinct_keys),
        cmocka_unit_test(every_group_must_be_satisfied),
        cmocka_unit_test(one_bad_signature_condemns),
        cmocka_unit_test(revoked_keys_do_not_count),
        cmocka_unit_test(misuse),
        cmocka_unit_test(keys_that_will_not_do),
        cmocka_unit_test(only_the_canonical_encoding),
        cmocka_unit_test(loose_encodings),
        cmocka_unit_test(ed25519_not_reduced),
        cmocka_unit_test(trust_set_by_hand),
        cmocka_unit_test(trust_sets_that_are_none),
        cmocka_unit_test(ml_dsa_where_there_is_none),
        cmocka_unit_test(ml_dsa_beside_ed25519),
        cmocka_unit_test(largest_trust_set_and_beyond),
        cmocka_unit_test(keys_to_pem_and_back),
        cmocka_unit_test(keys_that_cannot_be_loaded),
        cmocka_unit_test(fresh_keys_differ),
    };

    return cmocka_run_group_tests(tests, sign_with_all, NULL);
}
