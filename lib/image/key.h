/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys and signatures through libcrypto's EVP: shared by the trust set, which checks
 * signatures, and the tools' signer, which makes them.
 */
#ifndef FWR_IMAGE_KEY_H
#define FWR_IMAGE_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <openssl/buffer.h>
#include <openssl/evp.h>

#include <fwrecover/trust.h>

/* Which of our algorithms the key is for: FWR_OK; FWR_E_ALGORITHM for none of them; FWR_E_KEY
 * when it is of the right kind but too weak, too large or of odd parameters. */
int fwr_key_classify(const EVP_PKEY *pkey, uint8_t *algorithm);

/* prefix ‖ bytes in one piece, because Ed25519 cannot be fed in pieces; in libcrypto's memory,
 * because it may be 64 KiB. NULL when libcrypto has none. End with BUF_MEM_free. */
BUF_MEM *fwr_key_message(const char *prefix, const void *bytes, size_t length);

/* Sets up `context` to sign or to check with the algorithm's hash and padding: 1 or an error
 * of libcrypto. */
int fwr_key_begin(EVP_MD_CTX *context, EVP_PKEY *pkey, uint8_t algorithm,
                  int (*init)(EVP_MD_CTX *context, EVP_PKEY_CTX **parameters, const char *hash,
                              OSSL_LIB_CTX *library, const char *properties, EVP_PKEY *pkey,
                              const OSSL_PARAM *settings));

#endif
