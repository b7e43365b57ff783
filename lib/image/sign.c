/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Release keys for the tools: generated, read from PEM, written, and signed with. Never opens a
 * file, never asks for a passphrase, and is not part of what a BMC calls.
 */
#include <fwrecover/sign.h>

#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fwrecover/error.h>

#include "image/key.h"

#define RSA_BITS 3072

/* Without this libcrypto would ask for a passphrase on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

/* Fills `key` from any key that holds a public half. */
static int public_half(EVP_PKEY *pkey, uint8_t group, struct fwr_trust_key *key)
{
    unsigned char *spki = NULL;
    int length;
    int error;

    if (EVP_PKEY_is_a(pkey, "EC") &&
        (EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING,
                                        OSSL_PKEY_EC_ENCODING_GROUP) != 1 ||
         EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                        OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1))
        return FWR_E_CRYPTO;
    length = i2d_PUBKEY(pkey, &spki);
    if (length <= 0)
        return FWR_E_CRYPTO;
    error = fwr_trust_key_init(key, group, spki, (size_t)length);
    OPENSSL_free(spki);
    return error;
}

/* Takes the key over, or frees it. */
static int adopt(struct fwr_signer *signer, EVP_PKEY *pkey)
{
    struct fwr_trust_key public_key;
    int error = public_half(pkey, 0, &public_key);

    if (error != FWR_OK) {
        EVP_PKEY_free(pkey);
        return error;
    }
    signer->key = pkey;
    signer->algorithm = public_key.algorithm;
    memcpy(signer->key_id, public_key.id, sizeof(signer->key_id));
    return FWR_OK;
}

int fwr_signer_generate(struct fwr_signer *signer, uint8_t algorithm)
{
    EVP_PKEY *pkey = NULL;

    memset(signer, 0, sizeof(*signer));
    switch (algorithm) {
    case FWR_KEY_ED25519:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case FWR_KEY_ECDSA_P384:
        pkey = EVP_EC_gen("P-384");
        break;
    case FWR_KEY_RSA_PSS:
        pkey = EVP_RSA_gen(RSA_BITS);
        break;
    default:
        if (fwr_key_ml_dsa(algorithm) == NULL)
            return FWR_E_ALGORITHM;
        if (!fwr_key_available(algorithm))
            return FWR_E_NO_ML_DSA;
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, fwr_key_ml_dsa(algorithm));
    }
    return pkey != NULL ? adopt(signer, pkey) : FWR_E_CRYPTO;
}

/* One key from PEM bytes, by libcrypto's reader for private or for public ones. */
static EVP_PKEY *read_pem(const void *pem, size_t length,
                          EVP_PKEY *(*read)(BIO *bio, EVP_PKEY **pkey, pem_password_cb *passphrase,
                                            void *ctx))
{
    EVP_PKEY *pkey = NULL;
    BIO *bio;

    if (length == 0 || length > FWR_PEM_MAX)
        return NULL;
    ERR_set_mark(); /* a bad key is an answer, not an error left for the caller to find */
    bio = BIO_new_mem_buf(pem, (int)length);
    if (bio != NULL)
        pkey = read(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_pop_to_mark();
    return pkey;
}

/* Why there is no key in it. */
static int unreadable(const void *pem, size_t length, bool private_key)
{
    BIO *bio = length > 0 && length <= FWR_PEM_MAX ? BIO_new_mem_buf(pem, (int)length) : NULL;
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_length = 0;
    int error = FWR_E_KEY;

    ERR_set_mark();
    if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &der_length) == 1)
        error = fwr_key_unreadable(der, (size_t)der_length, private_key);
    ERR_pop_to_mark();
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)der_length);
    BIO_free(bio);
    return error;
}

/* What a memory BIO has collected, copied to the caller: the length or an error. */
static int copy_out(BIO *bio, void *buffer, size_t capacity)
{
    char *text;
    long length = BIO_get_mem_data(bio, &text);

    if (length <= 0)
        return FWR_E_CRYPTO;
    if ((size_t)length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, text, (size_t)length);
    return (int)length;
}

int fwr_signer_load(struct fwr_signer *signer, const void *pem, size_t length)
{
    EVP_PKEY *pkey = read_pem(pem, length, PEM_read_bio_PrivateKey);

    memset(signer, 0, sizeof(*signer));
    return pkey != NULL ? adopt(signer, pkey) : unreadable(pem, length, true);
}

void fwr_signer_free(struct fwr_signer *signer)
{
    EVP_PKEY_free(signer->key);
    memset(signer, 0, sizeof(*signer));
}

int fwr_signer_pem(const struct fwr_signer *signer, void *buffer, size_t capacity)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int result = FWR_E_CRYPTO;

    if (bio != NULL && signer->key != NULL &&
        PEM_write_bio_PKCS8PrivateKey(bio, signer->key, NULL, NULL, 0, NULL, NULL) == 1)
        result = copy_out(bio, buffer, capacity);
    BIO_free(bio); /* wipes what it held */
    return result;
}

int fwr_signer_public_key(const struct fwr_signer *signer, uint8_t group, struct fwr_trust_key *key)
{
    return signer->key != NULL ? public_half(signer->key, group, key) : FWR_E_CRYPTO;
}

int fwr_signer_sign(const struct fwr_signer *signer, const char *prefix, const void *bytes,
                    size_t length, uint8_t *signature)
{
    BUF_MEM *message = fwr_key_message(prefix, bytes, length);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t signature_length = FWR_SIGNATURE_MAX;
    int ok = message != NULL && context != NULL && signer->key != NULL &&
             fwr_key_begin(context, signer->key, signer->algorithm, EVP_DigestSignInit_ex) == 1 &&
             EVP_DigestSign(context, signature, &signature_length,
                            (const unsigned char *)message->data, message->length) == 1;

    EVP_MD_CTX_free(context);
    BUF_MEM_free(message);
    return ok ? (int)signature_length : FWR_E_CRYPTO;
}

int fwr_trust_key_load(struct fwr_trust_key *key, uint8_t group, const void *pem, size_t length)
{
    EVP_PKEY *pkey = read_pem(pem, length, PEM_read_bio_PUBKEY);
    int error;

    if (pkey == NULL)
        return unreadable(pem, length, false);
    error = public_half(pkey, group, key);
    EVP_PKEY_free(pkey);
    return error;
}

int fwr_trust_key_pem(const struct fwr_trust_key *key, void *buffer, size_t capacity)
{
    const unsigned char *spki = key->spki;
    EVP_PKEY *pkey;
    BIO *bio;
    int result = FWR_E_CRYPTO;

    if (key->spki_length > FWR_SPKI_MAX)
        return FWR_E_KEY;
    ERR_set_mark();
    pkey = d2i_PUBKEY(NULL, &spki, key->spki_length);
    ERR_pop_to_mark();
    if (pkey == NULL)
        return FWR_E_KEY;
    bio = BIO_new(BIO_s_mem());
    if (bio != NULL && PEM_write_bio_PUBKEY(bio, pkey) == 1)
        result = copy_out(bio, buffer, capacity);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return result;
}
