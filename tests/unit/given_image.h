/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed image in memory for tests: bytes, manifest, envelope, a trust set of one Ed25519
 * key, and a source with faults. Everything follows from a seed. The layout is fixed: half the
 * blocks `write`, four `preserve`, two `fill`, and the rest `write` with boot and guard block
 * at the top.
 */
#ifndef FWR_TEST_GIVEN_IMAGE_H
#define FWR_TEST_GIVEN_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/manifest.h>
#include <fwrecover/source.h>
#include <fwrecover/tree.h>
#include <fwrecover/trust.h>

#include "tests/unit/seeded.h"

#define GIVEN_MANUFACTURER 0x7ed9
#define GIVEN_PRODUCT      0x0102
#define GIVEN_ENVELOPE_MAX 4096
#define GIVEN_OUTSIDE      6 /* blocks that are not in the tree */

struct given_image {
    uint32_t blocks; /* of the chip, at least 13: set these before given_image_make */
    uint32_t block_size;
    uint32_t sequence;
    uint32_t security_version;
    uint16_t hardware_min, hardware_max;
    uint8_t hash;
    uint8_t key_seed; /* which release key signs */
    uint64_t seed;    /* of the bytes */

    uint8_t *bytes;               /* the chip; made from `seed` unless it was set before */
    struct fwr_manifest manifest; /* with the layout above unless a map was set before: then the
                                    guard is the last block of its boot region */
    uint8_t id[FWR_ID_SIZE];
    uint8_t envelope[GIVEN_ENVELOPE_MAX];
    size_t envelope_length;
    struct fwr_trust trust;
    struct fwr_source source;

    int pending; /* so often does each read answer PENDING before it is done */
    int fail;    /* 0, or what every read answers */
    int fail_envelope;
    unsigned reads;  /* done */
    unsigned broken; /* reads that were not repeated as the contract wants it */
    int waited;
    bool outstanding;
    uint32_t address, length; /* of the outstanding read */
    void *buffer;
};

static inline EVP_PKEY *given_key(uint8_t seed)
{
    uint8_t raw[32];

    memset(raw, seed, sizeof(raw));
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
}

/* A trust set of one group and the one key that `seed` names. */
static inline int given_trust(struct fwr_trust *trust, uint8_t seed)
{
    EVP_PKEY *key = given_key(seed);
    uint8_t *spki = NULL;
    int length = i2d_PUBKEY(key, &spki), error;

    memset(trust, 0, sizeof(*trust));
    trust->generation = 1;
    trust->group_count = 1;
    trust->key_count = 1;
    trust->thresholds[0] = 1;
    error = fwr_trust_key_init(&trust->keys[0], 0, spki, (size_t)length);
    OPENSSL_free(spki);
    EVP_PKEY_free(key);
    return error;
}

/* Signs `payload` and writes the envelope: its length, or an error. */
static inline int given_sign(uint8_t seed, const uint8_t *payload, size_t length, uint8_t *out,
                             size_t capacity)
{
    size_t prefix = strlen(FWR_PREFIX_MANIFEST), signature_length = 64;
    uint8_t *message = malloc(prefix + length), bytes[64];
    struct fwr_signature signature = {.signature = bytes, .length = sizeof(bytes)};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key = given_key(seed);
    struct fwr_trust trust;
    int result = FWR_E_CRYPTO;

    memcpy(message, FWR_PREFIX_MANIFEST, prefix);
    memcpy(message + prefix, payload, length);
    if (given_trust(&trust, seed) == FWR_OK &&
        EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestSign(context, bytes, &signature_length, message, prefix + length) == 1) {
        memcpy(signature.key_id, trust.keys[0].id, FWR_KEY_ID_SIZE);
        result = fwr_envelope_build(payload, length, &signature, 1, out, capacity);
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    free(message);
    return result;
}

static inline int given_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    struct given_image *g = ctx;

    if (g->outstanding && (address != g->address || length != g->length || buffer != g->buffer))
        g->broken++;
    if (g->waited < g->pending) {
        g->waited++;
        g->outstanding = true;
        g->address = address;
        g->length = length;
        g->buffer = buffer;
        return FWR_PENDING;
    }
    g->waited = 0;
    g->outstanding = false;
    if (g->fail != 0)
        return g->fail;
    if ((uint64_t)address + length > (uint64_t)g->blocks * g->block_size)
        return FWR_E_RANGE;
    memcpy(buffer, g->bytes + address, length);
    g->reads++;
    return FWR_OK;
}

static inline int given_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    struct given_image *g = ctx;

    if (g->fail_envelope != 0)
        return g->fail_envelope;
    if (g->envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, g->envelope, g->envelope_length);
    *length = g->envelope_length;
    return FWR_OK;
}

static inline int given_tree_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    const struct given_image *g = ctx;

    memcpy(buffer, g->bytes + address, length);
    return FWR_OK;
}

static inline void given_manifest(struct given_image *g)
{
    struct fwr_manifest *m = &g->manifest;
    uint32_t half = g->blocks / 2, rest = g->blocks - half - GIVEN_OUTSIDE;
    const struct {
        uint32_t blocks;
        uint8_t kind, flags, fill;
    } layout[] = {{half, FWR_REGION_WRITE, 0, 0},
                  {4, FWR_REGION_PRESERVE, 0, 0},
                  {2, FWR_REGION_FILL, 0, 0xa5},
                  {rest, FWR_REGION_WRITE, FWR_REGION_BOOT, 0}};
    uint32_t offset = 0;

    memset(m->component, 0xc0, sizeof(m->component));
    m->manufacturer = GIVEN_MANUFACTURER;
    m->product = GIVEN_PRODUCT;
    m->hardware_min = g->hardware_min;
    m->hardware_max = g->hardware_max;
    m->flash_size = g->blocks * g->block_size;
    strcpy(m->version, "1.2.3");
    m->sequence = g->sequence;
    m->security_version = g->security_version;
    m->hash = g->hash;
    m->block_size = g->block_size;
    m->guard = (g->blocks - 1) * g->block_size;
    if (m->map.count > 0) {
        for (int i = 0; i < m->map.count; i++)
            if (m->map.regions[i].flags & FWR_REGION_BOOT)
                m->guard = m->map.regions[i].offset + m->map.regions[i].length - g->block_size;
        return;
    }
    m->map.count = 4;
    for (int i = 0; i < 4; i++) {
        m->map.regions[i].offset = offset;
        m->map.regions[i].length = layout[i].blocks * g->block_size;
        m->map.regions[i].kind = layout[i].kind;
        m->map.regions[i].flags = layout[i].flags;
        m->map.regions[i].fill = layout[i].fill;
        offset += m->map.regions[i].length;
    }
}

/* Makes everything from what was set in `g`; zeros there mean an image of 64 blocks. FWR_OK or
 * the error of the library. End with given_image_free. */
static inline int given_image_make(struct given_image *g)
{
    uint8_t payload[GIVEN_ENVELOPE_MAX], *block;
    struct fwr_tree_input input = {given_tree_read, g, NULL, 65536};
    uint64_t random;
    int error, length;

    if (g->blocks == 0)
        g->blocks = 64;
    if (g->block_size == 0)
        g->block_size = 4096;
    if (g->sequence == 0)
        g->sequence = 7;
    if (g->hardware_max == 0)
        g->hardware_max = 9;
    if (g->hash == 0)
        g->hash = FWR_HASH_SHA256;
    if (g->key_seed == 0)
        g->key_seed = 1;
    random = g->seed + 1;
    if (g->bytes == NULL) {
        g->bytes = malloc((size_t)g->blocks * g->block_size);
        seeded_fill(&random, g->bytes, (size_t)g->blocks * g->block_size);
    }
    given_manifest(g);
    block = malloc(65536);
    input.buffer = block;
    error = fwr_tree_of_image(&g->manifest, &input, NULL, 0, g->manifest.root);
    free(block);
    if (error != FWR_OK)
        return error;
    length = fwr_manifest_encode(&g->manifest, payload, sizeof(payload));
    if (length < 0)
        return length;
    error = fwr_manifest_id(payload, (size_t)length, g->id);
    if (error != FWR_OK)
        return error;
    length = given_sign(g->key_seed, payload, (size_t)length, g->envelope, sizeof(g->envelope));
    if (length < 0)
        return length;
    g->envelope_length = (size_t)length;
    g->source.size = sizeof(g->source);
    g->source.ctx = g;
    g->source.name = "ram";
    g->source.envelope = given_envelope;
    g->source.read = given_read;
    return given_trust(&g->trust, g->key_seed);
}

static inline void given_image_free(struct given_image *g)
{
    free(g->bytes);
    g->bytes = NULL;
}

#endif
