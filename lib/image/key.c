/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a release key must be, its canonical form, and how each algorithm is set up in EVP.
 * Called by trust.c and sign.c. Holds no keys.
 */
#include "image/key.h"

#include <stdbool.h>
#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <fwrecover/error.h>

enum {
    RSA_BITS_MIN = 3072,
    RSA_BITS_MAX = 4096,
    RSA_EXPONENT_MIN = 65537,
    PSS_SALT = 48,
    ED25519_SIZE = 32,
    P384_POINT_SIZE = 97,
    NAME_SIZE = 32,
};

/* Parameter sets of ML-DSA: libcrypto's names and the object identifiers of RFC 9881. */
static const struct {
    uint8_t algorithm;
    const char *name;
    const char *oid;
} ml_dsa[] = {
    {FWR_KEY_ML_DSA_44, "ML-DSA-44", "2.16.840.1.101.3.4.3.17"},
    {FWR_KEY_ML_DSA_65, "ML-DSA-65", "2.16.840.1.101.3.4.3.18"},
    {FWR_KEY_ML_DSA_87, "ML-DSA-87", "2.16.840.1.101.3.4.3.19"},
};
#define ML_DSA_COUNT (sizeof(ml_dsa) / sizeof(ml_dsa[0]))

/* The one encoding of an Ed25519 public key has its y below p = 2^255 - 19; libcrypto reduces
 * others silently, and one key would count as two. */
static bool ed25519_is_canonical(const EVP_PKEY *pkey)
{
    uint8_t y[ED25519_SIZE];
    size_t length = sizeof(y);
    size_t i;

    if (EVP_PKEY_get_raw_public_key(pkey, y, &length) != 1 || length != sizeof(y))
        return false;
    if (y[0] < 0xed || (y[ED25519_SIZE - 1] & 0x7f) != 0x7f)
        return true;
    for (i = 1; i < ED25519_SIZE - 1; i++) {
        if (y[i] != 0xff)
            return true;
    }
    return false;
}

/* A named curve, and a point that is not compressed: SPKI has other forms of the same key. */
static bool p384_is_canonical(const EVP_PKEY *pkey)
{
    uint8_t point[P384_POINT_SIZE];
    char encoding[NAME_SIZE];
    size_t length = 0;

    return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING, encoding,
                                          sizeof(encoding), NULL) == 1 &&
           strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) == 0 &&
           EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                           &length) == 1 &&
           length == sizeof(point) && point[0] == POINT_CONVERSION_UNCOMPRESSED;
}

static bool rsa_is_strong(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);
    BIGNUM *exponent = NULL;
    bool strong = bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX &&
                  EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                  BN_is_odd(exponent) && BN_get_word(exponent) >= RSA_EXPONENT_MIN;

    BN_free(exponent);
    return strong;
}

int fwr_key_classify(const EVP_PKEY *pkey, uint8_t *algorithm)
{
    char group[NAME_SIZE];
    size_t length;

    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        *algorithm = FWR_KEY_ED25519;
        return ed25519_is_canonical(pkey) ? FWR_OK : FWR_E_KEY;
    }
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *algorithm = FWR_KEY_RSA_PSS;
        return rsa_is_strong(pkey) ? FWR_OK : FWR_E_KEY;
    }
    if (EVP_PKEY_is_a(pkey, "EC")) {
        if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &length) != 1 ||
            strcmp(group, SN_secp384r1) != 0)
            return FWR_E_ALGORITHM;
        *algorithm = FWR_KEY_ECDSA_P384;
        return p384_is_canonical(pkey) ? FWR_OK : FWR_E_KEY;
    }
    for (size_t i = 0; i < ML_DSA_COUNT; i++) {
        if (!EVP_PKEY_is_a(pkey, ml_dsa[i].name))
            continue;
        *algorithm = ml_dsa[i].algorithm;
        return FWR_OK; /* one encoding, and nothing that could be weak */
    }
    return FWR_E_ALGORITHM;
}

const char *fwr_key_ml_dsa(uint8_t algorithm)
{
    for (size_t i = 0; i < ML_DSA_COUNT; i++) {
        if (ml_dsa[i].algorithm == algorithm)
            return ml_dsa[i].name;
    }
    return NULL;
}

bool fwr_key_available(uint8_t algorithm)
{
    const char *name = fwr_key_ml_dsa(algorithm);
    EVP_SIGNATURE *signature;

    if (name == NULL)
        return algorithm >= FWR_KEY_ED25519 && algorithm <= FWR_KEY_RSA_PSS;
    ERR_set_mark();
    signature = EVP_SIGNATURE_fetch(NULL, name, NULL);
    ERR_pop_to_mark();
    EVP_SIGNATURE_free(signature);
    return signature != NULL;
}

static bool names_ml_dsa(const ASN1_OBJECT *object)
{
    char oid[NAME_SIZE];

    if (object == NULL || OBJ_obj2txt(oid, sizeof(oid), object, 1) <= 0)
        return false;
    for (size_t i = 0; i < ML_DSA_COUNT; i++) {
        if (strcmp(oid, ml_dsa[i].oid) == 0)
            return !fwr_key_available(ml_dsa[i].algorithm);
    }
    return false;
}

int fwr_key_unreadable(const uint8_t *der, size_t length, bool private_key)
{
    const ASN1_OBJECT *algorithm = NULL;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    ASN1_OBJECT *of_public = NULL;
    X509_PUBKEY *key = NULL;
    bool missing;

    ERR_set_mark();
    if (private_key) {
        info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, (long)length);
        if (info != NULL)
            PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info);
    } else {
        key = d2i_X509_PUBKEY(NULL, &der, (long)length);
        if (key != NULL && X509_PUBKEY_get0_param(&of_public, NULL, NULL, NULL, key) == 1)
            algorithm = of_public;
    }
    missing = names_ml_dsa(algorithm);
    PKCS8_PRIV_KEY_INFO_free(info);
    X509_PUBKEY_free(key);
    ERR_pop_to_mark();
    return missing ? FWR_E_NO_ML_DSA : FWR_E_KEY;
}

BUF_MEM *fwr_key_message(const char *prefix, const void *bytes, size_t length)
{
    size_t prefix_length = strlen(prefix);
    BUF_MEM *message = BUF_MEM_new();

    if (message == NULL || length > SIZE_MAX - prefix_length ||
        BUF_MEM_grow(message, prefix_length + length) == 0) {
        BUF_MEM_free(message);
        return NULL;
    }
    memcpy(message->data, prefix, prefix_length);
    if (length > 0)
        memcpy(message->data + prefix_length, bytes, length);
    return message;
}

int fwr_key_payload_id(const char *prefix, const void *bytes, size_t length, uint8_t *id)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int ok = digest != NULL && EVP_DigestInit_ex2(digest, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(digest, prefix, strlen(prefix)) == 1 &&
             EVP_DigestUpdate(digest, bytes, length) == 1 &&
             EVP_DigestFinal_ex(digest, id, NULL) == 1;

    EVP_MD_CTX_free(digest);
    return ok ? FWR_OK : FWR_E_CRYPTO;
}

int fwr_key_begin(EVP_MD_CTX *context, EVP_PKEY *pkey, uint8_t algorithm,
                  int (*init)(EVP_MD_CTX *context, EVP_PKEY_CTX **parameters, const char *hash,
                              OSSL_LIB_CTX *library, const char *properties, EVP_PKEY *pkey,
                              const OSSL_PARAM *settings))
{
    int salt = PSS_SALT;
    char padding[] = OSSL_PKEY_RSA_PAD_MODE_PSS;
    char mgf1[] = "SHA2-384";
    const OSSL_PARAM pss[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, padding, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, mgf1, 0),
        OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt),
        OSSL_PARAM_construct_end(),
    };
    bool whole = algorithm == FWR_KEY_ED25519 || fwr_key_ml_dsa(algorithm) != NULL;
    const char *hash = whole ? NULL : "SHA2-384"; /* those hash by themselves */

    return init(context, NULL, hash, NULL, NULL, pkey, algorithm == FWR_KEY_RSA_PSS ? pss : NULL);
}
