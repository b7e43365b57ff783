/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and reading release keys, and signing with them: for the tools of whoever releases
 * images. No BMC needs any of this; checking signatures is trust.h.
 */
#ifndef FWRECOVER_SIGN_H
#define FWRECOVER_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/trust.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_PEM_MAX 8192 /* bytes of a key as PEM; RSA-4096 has 3,300 */

/* A private key in memory: filled by _generate or _load, which ask for nothing before and leave
 * it empty when they fail; ended by _free. */
struct fwr_signer {
    void *key; /* EVP_PKEY */
    uint8_t algorithm;
    uint8_t key_id[FWR_KEY_ID_SIZE];
};

/* Makes a new key (RSA with 3072 bits, which takes a second or so). FWR_OK; FWR_E_ALGORITHM;
 * FWR_E_NO_ML_DSA; FWR_E_CRYPTO. */
int fwr_signer_generate(struct fwr_signer *signer, uint8_t algorithm);

/* Reads an unencrypted private key from PEM. FWR_OK; FWR_E_KEY (no such key, or too weak);
 * FWR_E_ALGORITHM (a key of a kind that no BMC would accept); FWR_E_NO_ML_DSA (this libcrypto
 * cannot read it); FWR_E_CRYPTO. */
int fwr_signer_load(struct fwr_signer *signer, const void *pem, size_t length);

/* Wipes and releases the key; may be called twice. */
void fwr_signer_free(struct fwr_signer *signer);

/* Writes the private key as PKCS#8 PEM without a final zero. Where it goes, and that only its
 * owner can read it there, is the caller's business. The length, FWR_E_NO_SPACE (FWR_PEM_MAX
 * bytes always do), FWR_E_CRYPTO. */
int fwr_signer_pem(const struct fwr_signer *signer, void *buffer, size_t capacity);

/* Its public half as a trust set takes it. FWR_OK; FWR_E_CRYPTO. */
int fwr_signer_public_key(const struct fwr_signer *signer, uint8_t group,
                          struct fwr_trust_key *key);

/* Signs `prefix` ‖ bytes into `signature`, which has room for FWR_SIGNATURE_MAX bytes. Ed25519
 * gives the same signature every time; ECDSA and RSA-PSS draw random numbers, so there only a
 * kept signature, attached again, makes the same envelope again. The length, or FWR_E_CRYPTO. */
int fwr_signer_sign(const struct fwr_signer *signer, const char *prefix, const void *bytes,
                    size_t length, uint8_t *signature);

/* Public keys from and to PEM (SubjectPublicKeyInfo, "PUBLIC KEY"). Other
 * encodings of an EC key are brought to the canonical one, from which its id follows. FWR_OK,
 * FWR_E_KEY, FWR_E_ALGORITHM, FWR_E_NO_ML_DSA, FWR_E_CRYPTO; and the length, FWR_E_NO_SPACE,
 * FWR_E_KEY, FWR_E_CRYPTO. */
int fwr_trust_key_load(struct fwr_trust_key *key, uint8_t group, const void *pem, size_t length);
int fwr_trust_key_pem(const struct fwr_trust_key *key, void *buffer, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
