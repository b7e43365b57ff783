/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust sets for tests, made of the Ed25519 keys that single bytes name (given_image.h), and the
 * envelopes that take a BMC from one to the next.
 */
#ifndef FWR_TEST_GIVEN_TRUST_H
#define FWR_TEST_GIVEN_TRUST_H

#include <stdlib.h>

#include "tests/unit/given_image.h"

#define GIVEN_SET_MAX 2048 /* bytes of a set in its envelope */

/* A set of one group: `threshold` of the keys named in `keys`, of which those in `revoked` no
 * longer count. Both are strings of key seeds. */
static inline void given_set(struct fwr_trust *trust, uint32_t generation, uint8_t threshold,
                             const char *keys, const char *revoked)
{
    struct fwr_trust one;

    memset(trust, 0, sizeof(*trust));
    trust->generation = generation;
    trust->group_count = 1;
    trust->thresholds[0] = threshold;
    for (; *keys; keys++) {
        if (given_trust(&one, (uint8_t)*keys) != FWR_OK)
            abort();
        trust->keys[trust->key_count++] = one.keys[0];
    }
    for (; *revoked; revoked++) {
        if (given_trust(&one, (uint8_t)*revoked) != FWR_OK)
            abort();
        uint8_t at = trust->revoked_count++;
        for (; at > 0 && memcmp(trust->revoked[at - 1], one.keys[0].id, FWR_KEY_ID_SIZE) > 0; at--)
            memcpy(trust->revoked[at], trust->revoked[at - 1], FWR_KEY_ID_SIZE);
        memcpy(trust->revoked[at], one.keys[0].id, FWR_KEY_ID_SIZE);
    }
}

/* prefix ‖ payload signed by each of `keys`, in an envelope: its length. */
static inline size_t given_envelope_of(const char *prefix, const uint8_t *payload, size_t length,
                                       const char *keys, uint8_t *out, size_t capacity)
{
    struct fwr_signature signatures[FWR_SIGNATURES_MAX] = {0};
    uint8_t bytes[FWR_SIGNATURES_MAX][64];
    size_t prefix_length = strlen(prefix), count = 0;
    uint8_t *message = malloc(prefix_length + length);
    struct fwr_trust one;

    memcpy(message, prefix, prefix_length);
    memcpy(message + prefix_length, payload, length);
    for (; *keys; keys++, count++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY *key = given_key((uint8_t)*keys);
        size_t signature_length = sizeof(bytes[0]);

        if (given_trust(&one, (uint8_t)*keys) != FWR_OK ||
            EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
            EVP_DigestSign(context, bytes[count], &signature_length, message,
                           prefix_length + length) != 1)
            abort();
        memcpy(signatures[count].key_id, one.keys[0].id, FWR_KEY_ID_SIZE);
        signatures[count].signature = bytes[count];
        signatures[count].length = (uint16_t)signature_length;
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(key);
    }
    int made = fwr_envelope_build(payload, length, signatures, count, out, capacity);
    free(message);
    if (made < 0)
        abort();
    return (size_t)made;
}

/* The set signed by each of `keys`: the envelope's length. */
static inline size_t given_set_signed(const struct fwr_trust *trust, const char *keys,
                                      uint8_t out[GIVEN_SET_MAX])
{
    uint8_t payload[GIVEN_SET_MAX];
    int length = fwr_trust_encode(trust, payload, sizeof(payload));

    if (length < 0)
        abort();
    return given_envelope_of(FWR_PREFIX_TRUST, payload, (size_t)length, keys, out, GIVEN_SET_MAX);
}

#endif
