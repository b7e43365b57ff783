/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys for the unit tests, from tests/unit/keys: fixed ones, because making an RSA key takes
 * seconds on an emulated machine. They protect nothing.
 */
#ifndef FWR_TEST_KEYS_H
#define FWR_TEST_KEYS_H

#include <stdio.h>
#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/sign.h>

/* Reads tests/unit/keys/NAME: its length; fails the test when it is not there or too long. */
static inline size_t keys_read(const char *name, uint8_t *buffer, size_t capacity)
{
    const char *top = getenv("srcdir");
    char path[1024];
    size_t length;
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/unit/keys/%s", top != NULL ? top : ".", name);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is missing: run from the source folder or set srcdir", path);
    length = fread(buffer, 1, capacity, file);
    assert_true(length < capacity);
    fclose(file);
    return length;
}

static inline void keys_signer(const char *name, struct fwr_signer *signer)
{
    uint8_t pem[FWR_PEM_MAX];
    size_t length = keys_read(name, pem, sizeof(pem));

    assert_int_equal(fwr_signer_load(signer, pem, length), FWR_OK);
}

/* A trust set of one group over the public halves of the named keys. */
static inline void keys_trust(struct fwr_trust *trust, uint8_t threshold, const char *const *names,
                              uint8_t count)
{
    uint8_t i;

    memset(trust, 0, sizeof(*trust));
    trust->generation = 1;
    trust->group_count = 1;
    trust->thresholds[0] = threshold;
    trust->key_count = count;
    for (i = 0; i < count; i++) {
        struct fwr_signer signer;

        keys_signer(names[i], &signer);
        assert_int_equal(fwr_signer_public_key(&signer, 0, &trust->keys[i]), FWR_OK);
        fwr_signer_free(&signer);
    }
}

/* Signs into `bytes` (FWR_SIGNATURE_MAX) and describes the result. */
static inline struct fwr_signature keys_sign(const char *name, const char *prefix,
                                             const void *message, size_t length, uint8_t *bytes)
{
    struct fwr_signature signature;
    struct fwr_signer signer;
    int made;

    keys_signer(name, &signer);
    made = fwr_signer_sign(&signer, prefix, message, length, bytes);
    assert_true(made > 0);
    memcpy(signature.key_id, signer.key_id, FWR_KEY_ID_SIZE);
    signature.signature = bytes;
    signature.length = (uint16_t)made;
    fwr_signer_free(&signer);
    return signature;
}

#endif
