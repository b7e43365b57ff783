/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust set: which release keys count, and how many of them. A trust set is a list of
 * groups, each a threshold over distinct public keys; all groups must be satisfied. The
 * algorithm is a property of the local key record, never of the wire.
 */
#ifndef FWRECOVER_TRUST_H
#define FWRECOVER_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_KEY_ID_SIZE       32   /* SHA-256 over the DER SubjectPublicKeyInfo */
#define FWR_SPKI_MAX          2624 /* DER bytes of one public key: ML-DSA-87 is 2614 */
#define FWR_TRUST_KEYS_MAX    8
#define FWR_TRUST_GROUPS_MAX  4
#define FWR_TRUST_REVOKED_MAX 16
#define FWR_TRUST_MAX         24576 /* bytes of an encoded trust set: 8 of the longest keys */
#define FWR_SIGNATURES_MAX    8
#define FWR_SIGNATURE_MAX     4627 /* bytes of one signature: ML-DSA-87 */

#define FWR_PREFIX_MANIFEST "fwr-manifest-1"
#define FWR_PREFIX_TRUST    "fwr-trust-1"

enum fwr_key_algorithm {
    FWR_KEY_ED25519 = 1,
    FWR_KEY_ECDSA_P384 = 2, /* with SHA-384; signature DER */
    FWR_KEY_RSA_PSS = 3,    /* at least 3072 bits; SHA-384, MGF1 with SHA-384, salt 48 bytes */
    FWR_KEY_ML_DSA_44 = 4,  /* FIPS 204, where libcrypto has it; empty context */
    FWR_KEY_ML_DSA_65 = 5,
    FWR_KEY_ML_DSA_87 = 6,
};

struct fwr_trust_key {
    uint8_t algorithm; /* enum fwr_key_algorithm */
    uint8_t group;     /* index into groups */
    uint8_t id[FWR_KEY_ID_SIZE];
    uint16_t spki_length;
    uint8_t spki[FWR_SPKI_MAX];
};

struct fwr_trust {
    uint32_t generation;
    uint8_t group_count;
    uint8_t key_count;
    uint8_t revoked_count;
    uint8_t thresholds[FWR_TRUST_GROUPS_MAX]; /* distinct keys needed of each group, >= 1 */
    struct fwr_trust_key keys[FWR_TRUST_KEYS_MAX];
    uint8_t revoked[FWR_TRUST_REVOKED_MAX][FWR_KEY_ID_SIZE];
};

/* One signature of an envelope; `signature` points into the envelope. */
struct fwr_signature {
    uint8_t key_id[FWR_KEY_ID_SIZE];
    const uint8_t *signature;
    uint16_t length;
};

/* Reads a trust set (canonical TLV, doc/WIRE.md) and checks every key: parsable, of its stated
 * algorithm, strong enough, no public key twice. FWR_OK, FWR_E_TRUST_SET, FWR_E_CRITICAL_TAG,
 * FWR_E_KEY, FWR_E_ALGORITHM, FWR_E_NO_ML_DSA, FWR_E_CRYPTO. On error `trust` is undefined. */
int fwr_trust_decode(const void *bytes, size_t length, struct fwr_trust *trust);
/* The length, FWR_E_NO_SPACE or what decoding would give; FWR_E_KEY also for a key whose record
 * does not match its SPKI. */
int fwr_trust_encode(const struct fwr_trust *trust, void *buffer, size_t capacity);

/* Fills `key` from a DER SubjectPublicKeyInfo, which must be the one canonical encoding of its
 * key (doc/WIRE.md 11.2): algorithm, DER, id. FWR_OK, FWR_E_KEY, FWR_E_ALGORITHM, FWR_E_CRYPTO;
 * FWR_E_NO_ML_DSA: this libcrypto cannot read the key. */
int fwr_trust_key_init(struct fwr_trust_key *key, uint8_t group, const void *spki, size_t length);

/* Whether this libcrypto can check signatures of an enum fwr_key_algorithm. */
bool fwr_trust_has_algorithm(uint8_t algorithm);

/* The id of a set: SHA-256 over FWR_PREFIX_TRUST ‖ its encoded bytes, 32 bytes. FWR_OK or
 * FWR_E_CRYPTO. */
int fwr_trust_id(const void *bytes, size_t length, uint8_t *id);

/* Whether the signatures over `prefix` ‖ bytes satisfy every group. FWR_OK;
 * FWR_E_UNPROVISIONED (trust is NULL or empty); FWR_E_SIGNATURE (a known key's signature does
 * not verify: the envelope is damaged or forged); FWR_E_REVOKED (it would suffice but for a
 * revoked key); FWR_E_PARTLY_SIGNED (enough of some groups, not of all); FWR_E_UNTRUSTED (too few
 * distinct trusted keys of every group); FWR_E_ARGUMENT (too many signatures); FWR_E_CRYPTO. While
 * it runs, libcrypto's heap holds one copy of the message. */
int fwr_trust_verify(const struct fwr_trust *trust, const char *prefix, const void *bytes,
                     size_t length, const struct fwr_signature *signatures, size_t count);

#ifdef __cplusplus
}
#endif

#endif
