/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cryptography of the two cipher suites on libcrypto's EVP: RAKP codes, key derivation,
 * payload encryption and packet integrity, and a pool of random bytes. libcrypto's contexts are
 * made once and re-keyed; a packet costs no key schedule. Knows nothing of packets' shapes.
 */
#ifndef FWR_LINK_RMCP_CRYPTO_H
#define FWR_LINK_RMCP_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include <fwrecover/platform.h>

#include "packet.h"

#define FWR_RMCP_BLOCK     16 /* AES block and IV */
#define FWR_RMCP_CHECK_MAX 16 /* longest packet integrity code */

struct fwr_rmcp_suite {
    uint8_t id;
    struct fwr_rmcp_algorithms algorithms;
    const char *digest;
    uint8_t digest_size; /* RAKP 2 and 3 codes, SIK, K1, K2 */
    uint8_t check_size;  /* RAKP 4 code and packet integrity code */
};

/* NULL: not one of ours. */
const struct fwr_rmcp_suite *fwr_rmcp_suite_by_id(uint8_t id);
const struct fwr_rmcp_suite *
fwr_rmcp_suite_by_algorithms(const struct fwr_rmcp_algorithms *algorithms);

/* Random bytes drawn from the platform in batches. */
struct fwr_rmcp_random {
    const struct fwr_platform *platform;
    size_t left;
    uint8_t pool[16 * FWR_RMCP_BLOCK];
};

void fwr_rmcp_random_init(struct fwr_rmcp_random *random, const struct fwr_platform *platform);
/* At most one pool at a time. FWR_OK or FWR_E_RANDOM. Bytes given out are wiped from the pool. */
int fwr_rmcp_random_draw(struct fwr_rmcp_random *random, void *out, size_t length);

struct fwr_rmcp_part {
    const void *data;
    size_t length;
};

/* Keyed hashing with changing keys (handshakes). */
struct fwr_rmcp_mac {
    EVP_MAC_CTX *context;
};

int fwr_rmcp_mac_init(struct fwr_rmcp_mac *mac); /* FWR_OK, FWR_E_ALGORITHM, FWR_E_CRYPTO */
void fwr_rmcp_mac_free(struct fwr_rmcp_mac *mac);
/* Overwrites the key held inside libcrypto. */
void fwr_rmcp_mac_wipe(struct fwr_rmcp_mac *mac);
/* Whether libcrypto has the suite's hash: FWR_OK or FWR_E_ALGORITHM. */
int fwr_rmcp_mac_probe(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_suite *suite);
/* HMAC over the parts, suite->digest_size bytes to `out`. FWR_OK or FWR_E_CRYPTO. */
int fwr_rmcp_mac_compute(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_suite *suite,
                         const uint8_t *key, size_t key_length, const struct fwr_rmcp_part *parts,
                         size_t count, uint8_t *out);

/* What both ends know when the RAKP codes are made (names as in IPMI 2.0 section 13.31). */
struct fwr_rmcp_rakp {
    const struct fwr_rmcp_suite *suite;
    uint32_t console;
    uint32_t managed;
    uint8_t console_random[FWR_RMCP_RANDOM_SIZE];
    uint8_t managed_random[FWR_RMCP_RANDOM_SIZE];
    uint8_t guid[16];
    uint8_t role; /* as sent, with its look-up bit */
    const uint8_t *user;
    uint8_t user_length;
    const uint8_t *password;
    uint8_t password_length;
    const uint8_t *kg;
    uint8_t kg_length;
};

/* The codes of RAKP 2, 3 and 4 (suite->digest_size bytes are written, of the last one
 * suite->check_size travel) and the session integrity key. FWR_OK or FWR_E_CRYPTO. */
int fwr_rmcp_rakp2_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *out);
int fwr_rmcp_rakp3_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *out);
int fwr_rmcp_rakp_sik(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp, uint8_t *sik);
int fwr_rmcp_rakp4_code(struct fwr_rmcp_mac *mac, const struct fwr_rmcp_rakp *rakp,
                        const uint8_t *sik, uint8_t *out);

/* The keys of one active session, inside libcrypto only. */
struct fwr_rmcp_keys {
    EVP_MAC_CTX *check;
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt;
    const struct fwr_rmcp_suite *suite;
};

int fwr_rmcp_keys_init(struct fwr_rmcp_keys *keys); /* FWR_OK, FWR_E_ALGORITHM, FWR_E_CRYPTO */
void fwr_rmcp_keys_free(struct fwr_rmcp_keys *keys);
/* Derives K1 and K2 from the session integrity key. */
int fwr_rmcp_keys_derive(struct fwr_rmcp_keys *keys, struct fwr_rmcp_mac *mac,
                         const struct fwr_rmcp_suite *suite, const uint8_t *sik);
/* Overwrites them; init's contexts stay for the next session. */
void fwr_rmcp_keys_wipe(struct fwr_rmcp_keys *keys);

/* AES-CBC in place over whole blocks. FWR_OK or FWR_E_CRYPTO. */
int fwr_rmcp_keys_encrypt(struct fwr_rmcp_keys *keys, const uint8_t *iv, uint8_t *data,
                          size_t length);
int fwr_rmcp_keys_decrypt(struct fwr_rmcp_keys *keys, const uint8_t *iv, uint8_t *data,
                          size_t length);
/* The packet integrity code, suite->check_size bytes to `out`. FWR_OK or FWR_E_CRYPTO. */
int fwr_rmcp_keys_check(struct fwr_rmcp_keys *keys, const uint8_t *data, size_t length,
                        uint8_t out[FWR_RMCP_CHECK_MAX]);

#endif
