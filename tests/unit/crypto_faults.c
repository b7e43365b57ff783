/* SPDX-License-Identifier: Apache-2.0 */
/* See crypto_faults.h. */
#include "tests/unit/crypto_faults.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/buffer.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static unsigned fail_at;
static bool fail_on;
static unsigned calls;
static const char *struck;
static int held;

void crypto_faults_arm(unsigned call, bool forever)
{
    fail_at = call;
    fail_on = forever;
    calls = 0;
    struck = NULL;
}

unsigned crypto_faults_calls(void)
{
    return calls;
}

const char *crypto_faults_struck(void)
{
    return struck;
}

int crypto_faults_held(void)
{
    return held;
}

static bool strikes(const char *name)
{
    calls++;
    if (fail_at == 0 || calls < fail_at || (calls > fail_at && !fail_on))
        return false;
    if (struck == NULL)
        struck = name;
    return true;
}

/* A function that answers `failure` when it fails and leaves its results alone. */
#define FAILS(type, failure, name, parameters, arguments)                                          \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return strikes(#name) ? (failure) : __real_##name arguments;                               \
    }

/* One that gives out an object, and one that takes it back. */
#define GIVES(type, name, parameters, arguments)                                                   \
    type *__real_##name parameters;                                                                \
    type *__wrap_##name parameters;                                                                \
    type *__wrap_##name parameters                                                                 \
    {                                                                                              \
        type *object = strikes(#name) ? NULL : __real_##name arguments;                            \
                                                                                                   \
        held += object != NULL;                                                                    \
        return object;                                                                             \
    }

#define TAKES(type, name)                                                                          \
    void __real_##name(type *object);                                                              \
    void __wrap_##name(type *object);                                                              \
    void __wrap_##name(type *object)                                                               \
    {                                                                                              \
        held -= object != NULL;                                                                    \
        __real_##name(object);                                                                     \
    }

/* ---- Hashes and signatures ---------------------------------------------------------------- */

FAILS(int, 0, EVP_Digest,
      (const void *data, size_t count, unsigned char *md, unsigned int *size, const EVP_MD *type,
       ENGINE *impl),
      (data, count, md, size, type, impl))
FAILS(int, 0, EVP_DigestInit_ex2, (EVP_MD_CTX * ctx, const EVP_MD *type, const OSSL_PARAM params[]),
      (ctx, type, params))
FAILS(int, 0, EVP_DigestUpdate, (EVP_MD_CTX * ctx, const void *data, size_t count),
      (ctx, data, count))
FAILS(int, 0, EVP_DigestFinal_ex, (EVP_MD_CTX * ctx, unsigned char *md, unsigned int *size),
      (ctx, md, size))
FAILS(int, 0, EVP_DigestSignInit_ex,
      (EVP_MD_CTX * ctx, EVP_PKEY_CTX **pctx, const char *mdname, OSSL_LIB_CTX *libctx,
       const char *props, EVP_PKEY *pkey, const OSSL_PARAM params[]),
      (ctx, pctx, mdname, libctx, props, pkey, params))
FAILS(int, 0, EVP_DigestSign,
      (EVP_MD_CTX * ctx, unsigned char *signature, size_t *length, const unsigned char *data,
       size_t size),
      (ctx, signature, length, data, size))
FAILS(int, 0, EVP_DigestVerifyInit_ex,
      (EVP_MD_CTX * ctx, EVP_PKEY_CTX **pctx, const char *mdname, OSSL_LIB_CTX *libctx,
       const char *props, EVP_PKEY *pkey, const OSSL_PARAM params[]),
      (ctx, pctx, mdname, libctx, props, pkey, params))
FAILS(int, -1, EVP_DigestVerify,
      (EVP_MD_CTX * ctx, const unsigned char *signature, size_t length, const unsigned char *data,
       size_t size),
      (ctx, signature, length, data, size))
GIVES(EVP_MD, EVP_MD_fetch, (OSSL_LIB_CTX * ctx, const char *algorithm, const char *properties),
      (ctx, algorithm, properties))
TAKES(EVP_MD, EVP_MD_free)
GIVES(EVP_MD_CTX, EVP_MD_CTX_new, (void), ())
TAKES(EVP_MD_CTX, EVP_MD_CTX_free)

/* ---- Codes and ciphers -------------------------------------------------------------------- */

GIVES(EVP_MAC, EVP_MAC_fetch, (OSSL_LIB_CTX * ctx, const char *algorithm, const char *properties),
      (ctx, algorithm, properties))
TAKES(EVP_MAC, EVP_MAC_free)
GIVES(EVP_MAC_CTX, EVP_MAC_CTX_new, (EVP_MAC * mac), (mac))
TAKES(EVP_MAC_CTX, EVP_MAC_CTX_free)
FAILS(int, 0, EVP_MAC_init,
      (EVP_MAC_CTX * ctx, const unsigned char *key, size_t size, const OSSL_PARAM params[]),
      (ctx, key, size, params))
FAILS(int, 0, EVP_MAC_update, (EVP_MAC_CTX * ctx, const unsigned char *data, size_t size),
      (ctx, data, size))
FAILS(int, 0, EVP_MAC_final, (EVP_MAC_CTX * ctx, unsigned char *out, size_t *length, size_t size),
      (ctx, out, length, size))
GIVES(EVP_CIPHER, EVP_CIPHER_fetch,
      (OSSL_LIB_CTX * ctx, const char *algorithm, const char *properties),
      (ctx, algorithm, properties))
TAKES(EVP_CIPHER, EVP_CIPHER_free)
GIVES(EVP_CIPHER_CTX, EVP_CIPHER_CTX_new, (void), ())
TAKES(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
FAILS(int, 0, EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX * ctx, int pad), (ctx, pad))
FAILS(int, 0, EVP_CipherInit_ex2,
      (EVP_CIPHER_CTX * ctx, const EVP_CIPHER *cipher, const unsigned char *key,
       const unsigned char *iv, int encrypt, const OSSL_PARAM params[]),
      (ctx, cipher, key, iv, encrypt, params))
FAILS(int, 0, EVP_CipherUpdate,
      (EVP_CIPHER_CTX * ctx, unsigned char *out, int *length, const unsigned char *in, int size),
      (ctx, out, length, in, size))

/* ---- Keys --------------------------------------------------------------------------------- */

GIVES(EVP_PKEY, d2i_PUBKEY, (EVP_PKEY * *key, const unsigned char **at, long length),
      (key, at, length))
GIVES(EVP_PKEY, PEM_read_bio_PUBKEY,
      (BIO * bio, EVP_PKEY **key, pem_password_cb *passphrase, void *ctx),
      (bio, key, passphrase, ctx))
GIVES(EVP_PKEY, PEM_read_bio_PrivateKey,
      (BIO * bio, EVP_PKEY **key, pem_password_cb *passphrase, void *ctx),
      (bio, key, passphrase, ctx))
TAKES(EVP_PKEY, EVP_PKEY_free)
FAILS(int, 0, EVP_PKEY_get_raw_public_key,
      (const EVP_PKEY *key, unsigned char *out, size_t *length), (key, out, length))
FAILS(int, 0, EVP_PKEY_get_bits, (const EVP_PKEY *key), (key))
FAILS(int, 0, EVP_PKEY_get_group_name,
      (const EVP_PKEY *key, char *name, size_t size, size_t *length), (key, name, size, length))
FAILS(int, 0, EVP_PKEY_get_octet_string_param,
      (const EVP_PKEY *key, const char *name, unsigned char *out, size_t size, size_t *length),
      (key, name, out, size, length))
FAILS(int, 0, EVP_PKEY_get_utf8_string_param,
      (const EVP_PKEY *key, const char *name, char *out, size_t size, size_t *length),
      (key, name, out, size, length))
FAILS(int, 0, EVP_PKEY_set_utf8_string_param, (EVP_PKEY * key, const char *name, const char *value),
      (key, name, value))
FAILS(int, 0, PEM_write_bio_PUBKEY, (BIO * bio, const EVP_PKEY *key), (bio, key))
FAILS(int, 0, PEM_write_bio_PKCS8PrivateKey,
      (BIO * bio, const EVP_PKEY *key, const EVP_CIPHER *cipher, const char *passphrase, int size,
       pem_password_cb *ask, void *ctx),
      (bio, key, cipher, passphrase, size, ask, ctx))

/* The caller's argument is one string for EC, one number for RSA and none otherwise. */
EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *properties, const char *type,
                                   ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *properties, const char *type,
                                   ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *properties, const char *type, ...)
{
    EVP_PKEY *key = NULL;
    va_list arguments;

    va_start(arguments, type);
    if (strikes("EVP_PKEY_Q_keygen"))
        key = NULL;
    else if (strcmp(type, "EC") == 0)
        key = __real_EVP_PKEY_Q_keygen(ctx, properties, type, va_arg(arguments, char *));
    else if (strcmp(type, "RSA") == 0)
        key = __real_EVP_PKEY_Q_keygen(ctx, properties, type, va_arg(arguments, size_t));
    else
        key = __real_EVP_PKEY_Q_keygen(ctx, properties, type);
    va_end(arguments);
    held += key != NULL;
    return key;
}

int __real_i2d_PUBKEY(const EVP_PKEY *key, unsigned char **out);
int __wrap_i2d_PUBKEY(const EVP_PKEY *key, unsigned char **out);
int __wrap_i2d_PUBKEY(const EVP_PKEY *key, unsigned char **out)
{
    int length = strikes("i2d_PUBKEY") ? -1 : __real_i2d_PUBKEY(key, out);

    held += length > 0; /* the library always lets libcrypto allocate */
    return length;
}

void __real_CRYPTO_free(void *memory, const char *file, int line);
void __wrap_CRYPTO_free(void *memory, const char *file, int line);
void __wrap_CRYPTO_free(void *memory, const char *file, int line)
{
    held -= memory != NULL;
    __real_CRYPTO_free(memory, file, line);
}

int __real_EVP_PKEY_get_bn_param(const EVP_PKEY *key, const char *name, BIGNUM **number);
int __wrap_EVP_PKEY_get_bn_param(const EVP_PKEY *key, const char *name, BIGNUM **number);
int __wrap_EVP_PKEY_get_bn_param(const EVP_PKEY *key, const char *name, BIGNUM **number)
{
    int ok = strikes("EVP_PKEY_get_bn_param") ? 0 : __real_EVP_PKEY_get_bn_param(key, name, number);

    held += ok == 1;
    return ok;
}

TAKES(BIGNUM, BN_free)

/* ---- Memory ------------------------------------------------------------------------------- */

GIVES(BUF_MEM, BUF_MEM_new, (void), ())
TAKES(BUF_MEM, BUF_MEM_free)
FAILS(size_t, 0, BUF_MEM_grow, (BUF_MEM * memory, size_t length), (memory, length))
GIVES(BIO, BIO_new, (const BIO_METHOD *type), (type))
GIVES(BIO, BIO_new_mem_buf, (const void *bytes, int length), (bytes, length))

int __real_BIO_free(BIO *bio);
int __wrap_BIO_free(BIO *bio);
int __wrap_BIO_free(BIO *bio)
{
    held -= bio != NULL;
    return __real_BIO_free(bio);
}

int __real_PEM_read_bio(BIO *bio, char **name, char **header, unsigned char **data, long *length);
int __wrap_PEM_read_bio(BIO *bio, char **name, char **header, unsigned char **data, long *length);
int __wrap_PEM_read_bio(BIO *bio, char **name, char **header, unsigned char **data, long *length)
{
    int ok = strikes("PEM_read_bio") ? 0 : __real_PEM_read_bio(bio, name, header, data, length);

    held += ok == 1 ? 2 : 0; /* name and header; the data are wiped as they are freed */
    return ok;
}

FAILS(long, 0, BIO_ctrl, (BIO * bio, int command, long number, void *pointer),
      (bio, command, number, pointer))
