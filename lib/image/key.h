/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys and signatures through libcrypto's EVP: shared by the trust set, which checks
 * signatures, and the tools' signer, which makes them.
 */
#ifndef FWR_IMAGE_KEY_H
#define FWR_IMAGE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/buffer.h>
#include <openssl/evp.h>

#include <fwrecover/trust.h>

/* Which of our algorithms the key is for: FWR_OK; FWR_E_ALGORITHM for none of them; FWR_E_KEY
 * when it is of the right kind but too weak, too large or of odd parameters. */
int fwr_key_classify(const EVP_PKEY *pkey, uint8_t *algorithm);

/* libcrypto's name of the parameter set; NULL when the algorithm is not ML-DSA. */
const char *fwr_key_ml_dsa(uint8_t algorithm);

/* Whether libcrypto has the algorithm. */
bool fwr_key_available(uint8_t algorithm);

/* Why libcrypto could not read a key: FWR_E_NO_ML_DSA when its DER (SubjectPublicKeyInfo, or
 * PKCS#8 with `private`) names an algorithm that this libcrypto does not have, else FWR_E_KEY. */
int fwr_key_unreadable(const uint8_t *der, size_t length, bool private_key);

/* prefix ‖ bytes in one piece, because Ed25519 cannot be fed in pieces; in libcrypto's memory,
 * because it may be 64 KiB. NULL when libcrypto has none. End with BUF_MEM_free. */
BUF_MEM *fwr_key_message(const char *prefix, const void *bytes, size_t length);

/* SHA-256 over prefix ‖ bytes: what a payload is known by. FWR_OK or FWR_E_CRYPTO. */
int fwr_key_payload_id(const char *prefix, const void *bytes, size_t length, uint8_t *id);

/* Sets up `context` to sign or to check with the algorithm's hash and padding: 1 or an error
 * of libcrypto. */
int fwr_key_begin(EVP_MD_CTX *context, EVP_PKEY *pkey, uint8_t algorithm,
                  int (*init)(EVP_MD_CTX *context, EVP_PKEY_CTX **parameters, const char *hash,
                              OSSL_LIB_CTX *library, const char *properties, EVP_PKEY *pkey,
                              const OSSL_PARAM *settings));

#endif
