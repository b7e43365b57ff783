/* SPDX-License-Identifier: Apache-2.0 */
/* See crypto.h. IPMI 2.0 sections 13.28 to 13.32. */
#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "crypto.h"

#define CIPHER        "AES-128-CBC"
#define CIPHER_KEY    16
#define CONSTANT_SIZE 20 /* K1 and K2 are codes over 20 bytes of 01h and 02h, under any digest */

static const struct fwr_rmcp_suite suites[] = {
    {FWR_RMCP_SUITE_SHA256, {3, 4, 1}, "SHA256", 32, 16},
    {FWR_RMCP_SUITE_SHA1, {1, 1, 1}, "SHA1", 20, 12},
};

const struct fwr_rmcp_suite *fwr_rmcp_suite_by_id(uint8_t id)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (suites[i].id == id)
            return &suites[i];
    }
    return NULL;
}

const struct fwr_rmcp_suite *
fwr_rmcp_suite_by_algorithms(const struct fwr_rmcp_algorithms *algorithms)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        const struct fwr_rmcp_algorithms *known = &suites[i].algorithms;

        if (known->authentication == algorithms->authentication &&
            known->integrity == algorithms->integrity &&
            known->confidentiality == algorithms->confidentiality)
            return &suites[i];
    }
    return NULL;
}

void fwr_rmcp_random_init(struct fwr_rmcp_random *random, const struct fwr_platform *platform)
{
    memset(random, 0, sizeof(*random));
    random->platform = platform;
}

int fwr_rmcp_random_draw(struct fwr_rmcp_random *random, void *out, size_t length)
{
    uint8_t *from;

    assert(length <= sizeof(random->pool));
    if (random->left < length) {
        const struct fwr_platform *platform = random->platform;

        random->left = 0;
        if (platform->random(platform->ctx, random->pool, sizeof(random->pool)) != FWR_OK)
            return FWR_E_RANDOM;
        random->left = sizeof(random->pool);
    }
    from = random->pool + sizeof(random->pool) - random->left;
    memcpy(out, from, length);
    OPENSSL_cleanse(from, length);
    random->left -= length;
    return FWR_OK;
}

static EVP_MAC_CTX *new_mac(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *context = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    return context;
}

static bool set_mac_key(EVP_MAC_CTX *context, const char *digest, const uint8_t *key, size_t length)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_init(context, key, length, parameters) == 1;
}

int fwr_rmcp_mac_init(struct fwr_rmcp_mac *mac)
{
    mac->context = new_mac();
    return mac->context != NULL ? FWR_OK : FWR_E_ALGORITHM;
}

void fwr_rmcp_mac_free(struct fwr_rmcp_mac *mac)
{
    EVP_MAC_CTX_free(mac->context);
    mac->context = NULL;
}

static void wipe_mac_key(EVP_MAC_CTX *context)
{
    static const uint8_t zeros[CIPHER_KEY];

    if (context != NULL)
        (void)set_mac_key(context, suites[0].digest, zeros, sizeof(zeros));
}

void fwr_rmcp_mac_wipe(struct fwr_rmcp_mac *mac)
{
    wipe_mac_key(mac->context);
}

int fwr_rmcp_mac_compute(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_suite *suite,
                         const uint8_t *key, size_t key_length, const struct fwr_rmcp_part *parts,
                         size_t count, uint8_t *out)
{
    size_t written = 0;

    if (!set_mac_key(mac->context, suite->digest, key, key_length))
        return FWR_E_CRYPTO;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length > 0 &&
            EVP_MAC_update(mac->context, parts[i].data, parts[i].length) != 1)
            return FWR_E_CRYPTO;
    }
    if (EVP_MAC_final(mac->context, out, &written, suite->digest_size) != 1 ||
        written != suite->digest_size)
        return FWR_E_CRYPTO;
    return FWR_OK;
}

int fwr_rmcp_mac_probe(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_suite *suite)
{
    static const uint8_t zeros[CIPHER_KEY];

    return set_mac_key(mac->context, suite->digest, zeros, sizeof(zeros)) ? FWR_OK
                                                                          : FWR_E_ALGORITHM;
}

/* Keys shorter than a hash block are padded with zeros by HMAC itself, as the specification
 * pads a password to 20 bytes. */
int fwr_rmcp_rakp2_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *out)
{
    uint8_t ids[8];
    const uint8_t tail[2] = {rakp->role, rakp->user_length};
    const struct fwr_rmcp_part parts[] = {
        {ids, sizeof(ids)},
        {rakp->console_random, FWR_RMCP_RANDOM_SIZE},
        {rakp->managed_random, FWR_RMCP_RANDOM_SIZE},
        {rakp->guid, sizeof(rakp->guid)},
        {tail, sizeof(tail)},
        {rakp->user, rakp->user_length},
    };

    fwr_rmcp_put32(ids, rakp->console);
    fwr_rmcp_put32(ids + 4, rakp->managed);
    return fwr_rmcp_mac_compute(mac, rakp->suite, rakp->password, rakp->password_length, parts,
                                sizeof(parts) / sizeof(parts[0]), out);
}

int fwr_rmcp_rakp3_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *out)
{
    uint8_t id[4];
    const uint8_t tail[2] = {rakp->role, rakp->user_length};
    const struct fwr_rmcp_part parts[] = {
        {rakp->managed_random, FWR_RMCP_RANDOM_SIZE},
        {id, sizeof(id)},
        {tail, sizeof(tail)},
        {rakp->user, rakp->user_length},
    };

    fwr_rmcp_put32(id, rakp->console);
    return fwr_rmcp_mac_compute(mac, rakp->suite, rakp->password, rakp->password_length, parts,
                                sizeof(parts) / sizeof(parts[0]), out);
}

int fwr_rmcp_rakp_sik(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *sik)
{
    const bool two_keys = rakp->kg_length > 0;
    const uint8_t tail[2] = {rakp->role, rakp->user_length};
    const struct fwr_rmcp_part parts[] = {
        {rakp->console_random, FWR_RMCP_RANDOM_SIZE},
        {rakp->managed_random, FWR_RMCP_RANDOM_SIZE},
        {tail, sizeof(tail)},
        {rakp->user, rakp->user_length},
    };

    return fwr_rmcp_mac_compute(mac, rakp->suite, two_keys ? rakp->kg : rakp->password,
                                two_keys ? rakp->kg_length : rakp->password_length, parts,
                                sizeof(parts) / sizeof(parts[0]), sik);
}

int fwr_rmcp_rakp4_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp,
                        const uint8_t *sik, uint8_t *out)
{
    uint8_t id[4];
    const struct fwr_rmcp_part parts[] = {
        {rakp->console_random, FWR_RMCP_RANDOM_SIZE},
        {id, sizeof(id)},
        {rakp->guid, sizeof(rakp->guid)},
    };

    fwr_rmcp_put32(id, rakp->managed);
    return fwr_rmcp_mac_compute(mac, rakp->suite, sik, rakp->suite->digest_size, parts,
                                sizeof(parts) / sizeof(parts[0]), out);
}

/* Names the cipher once; every later key or IV goes into the same context. */
static EVP_CIPHER_CTX *new_cipher(int encrypt)
{
    static const uint8_t zeros[CIPHER_KEY];
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, CIPHER, NULL);
    EVP_CIPHER_CTX *context = cipher != NULL ? EVP_CIPHER_CTX_new() : NULL;

    if (context != NULL && (EVP_CipherInit_ex2(context, cipher, zeros, zeros, encrypt, NULL) != 1 ||
                            EVP_CIPHER_CTX_set_padding(context, 0) != 1)) {
        EVP_CIPHER_CTX_free(context);
        context = NULL;
    }
    EVP_CIPHER_free(cipher);
    return context;
}

int fwr_rmcp_keys_init(struct fwr_rmcp_keys *keys)
{
    keys->suite = NULL;
    keys->check = new_mac();
    keys->encrypt = new_cipher(1);
    keys->decrypt = new_cipher(0);
    if (keys->check != NULL && keys->encrypt != NULL && keys->decrypt != NULL)
        return FWR_OK;
    fwr_rmcp_keys_free(keys);
    return FWR_E_ALGORITHM;
}

void fwr_rmcp_keys_free(struct fwr_rmcp_keys *keys)
{
    EVP_MAC_CTX_free(keys->check);
    EVP_CIPHER_CTX_free(keys->encrypt);
    EVP_CIPHER_CTX_free(keys->decrypt);
    memset(keys, 0, sizeof(*keys));
}

int fwr_rmcp_keys_derive(struct fwr_rmcp_keys *keys, struct fwr_rmcp_mac *mac,
                         const struct fwr_rmcp_suite *suite, const uint8_t *sik)
{
    uint8_t constant[CONSTANT_SIZE];
    uint8_t derived[FWR_RMCP_DIGEST_MAX];
    const struct fwr_rmcp_part part = {constant, sizeof(constant)};
    int error;

    memset(constant, 1, sizeof(constant));
    error = fwr_rmcp_mac_compute(mac, suite, sik, suite->digest_size, &part, 1, derived);
    if (error == FWR_OK && !set_mac_key(keys->check, suite->digest, derived, suite->digest_size))
        error = FWR_E_CRYPTO;
    if (error == FWR_OK) {
        memset(constant, 2, sizeof(constant));
        error = fwr_rmcp_mac_compute(mac, suite, sik, suite->digest_size, &part, 1, derived);
    }
    if (error == FWR_OK && (EVP_CipherInit_ex2(keys->encrypt, NULL, derived, NULL, -1, NULL) != 1 ||
                            EVP_CipherInit_ex2(keys->decrypt, NULL, derived, NULL, -1, NULL) != 1))
        error = FWR_E_CRYPTO;
    OPENSSL_cleanse(derived, sizeof(derived));
    keys->suite = suite;
    if (error != FWR_OK)
        fwr_rmcp_keys_wipe(keys);
    return error;
}

void fwr_rmcp_keys_wipe(struct fwr_rmcp_keys *keys)
{
    static const uint8_t zeros[CIPHER_KEY];

    keys->suite = NULL;
    wipe_mac_key(keys->check);
    if (keys->encrypt != NULL)
        (void)EVP_CipherInit_ex2(keys->encrypt, NULL, zeros, zeros, -1, NULL);
    if (keys->decrypt != NULL)
        (void)EVP_CipherInit_ex2(keys->decrypt, NULL, zeros, zeros, -1, NULL);
}

static int run_cipher(EVP_CIPHER_CTX *context, const uint8_t *iv, uint8_t *data, size_t length)
{
    int written = 0;

    if (EVP_CipherInit_ex2(context, NULL, NULL, iv, -1, NULL) != 1 ||
        EVP_CipherUpdate(context, data, &written, data, (int)length) != 1 ||
        (size_t)written != length)
        return FWR_E_CRYPTO;
    return FWR_OK;
}

int fwr_rmcp_keys_encrypt(struct fwr_rmcp_keys *keys, const uint8_t *iv, uint8_t *data,
                          size_t length)
{
    return run_cipher(keys->encrypt, iv, data, length);
}

int fwr_rmcp_keys_decrypt(struct fwr_rmcp_keys *keys, const uint8_t *iv, uint8_t *data,
                          size_t length)
{
    return run_cipher(keys->decrypt, iv, data, length);
}

int fwr_rmcp_keys_check(struct fwr_rmcp_keys *keys, const uint8_t *data, size_t length,
                        uint8_t out[FWR_RMCP_CHECK_MAX])
{
    uint8_t code[FWR_RMCP_DIGEST_MAX];
    size_t written = 0;

    /* Without a key: back to the start under the key it has. */
    if (EVP_MAC_init(keys->check, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(keys->check, data, length) != 1 ||
        EVP_MAC_final(keys->check, code, &written, sizeof(code)) != 1)
        return FWR_E_CRYPTO;
    memcpy(out, code, keys->suite->check_size);
    return FWR_OK;
}
