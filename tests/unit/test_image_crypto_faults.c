/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, trust sets, envelopes and trees over a libcrypto of which each call fails once: nothing
 * is ever accepted, everything is given back, and the same work succeeds afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/manifest.h>
#include <fwrecover/sign.h>
#include <fwrecover/tree.h>
#include <fwrecover/trust.h>

#include "tests/unit/crypto_faults.h"
#include "tests/unit/given_image.h"
#include "tests/unit/keys.h"

static const char *const names[] = {"ed25519-1.pem", "p384-1.pem", "rsa3072-1.pem"};
#define NAMES (sizeof(names) / sizeof(names[0]))

static struct given_image image;
static uint8_t pem[NAMES][FWR_PEM_MAX];
static size_t pem_length[NAMES];
static struct fwr_signer signers[NAMES];
static struct fwr_trust trust;
static uint8_t trust_bytes[FWR_TRUST_MAX];
static size_t trust_length;
static uint8_t envelope[FWR_ENVELOPE_MAX];
static size_t envelope_length;

/* ---- Work ----------------------------------------------------------------------------------
 *
 * Each does one thing with its results thrown away: FWR_OK or the library's error. */

static int load_signer(size_t which)
{
    struct fwr_signer signer;
    int error = fwr_signer_load(&signer, pem[which], pem_length[which]);

    assert_true(error == FWR_OK || signer.key == NULL);
    fwr_signer_free(&signer);
    return error;
}

static int generate_signer(size_t which)
{
    struct fwr_signer signer;
    int error = fwr_signer_generate(&signer, which == 0 ? FWR_KEY_ED25519 : FWR_KEY_ECDSA_P384);

    assert_true(error == FWR_OK || signer.key == NULL);
    fwr_signer_free(&signer);
    return error;
}

static int write_signer(size_t which)
{
    uint8_t out[FWR_PEM_MAX];
    int length = fwr_signer_pem(&signers[which], out, sizeof(out));

    return length > 0 ? FWR_OK : length;
}

static int take_public_key(size_t which)
{
    struct fwr_trust_key key;

    return fwr_signer_public_key(&signers[which], 0, &key);
}

static int sign(size_t which)
{
    uint8_t signature[FWR_SIGNATURE_MAX];
    int length = fwr_signer_sign(&signers[which], FWR_PREFIX_MANIFEST, "bytes", 5, signature);

    return length > 0 ? FWR_OK : length;
}

/* Its public half, written and read again. */
static int write_and_read_public_key(size_t which)
{
    uint8_t out[FWR_PEM_MAX];
    struct fwr_trust_key key;
    int length = fwr_trust_key_pem(&trust.keys[which], out, sizeof(out));

    return length > 0 ? fwr_trust_key_load(&key, 0, out, (size_t)length) : length;
}

static int read_trust_set(size_t which)
{
    static struct fwr_trust read;

    (void)which;
    return fwr_trust_decode(trust_bytes, trust_length, &read);
}

static int write_trust_set(size_t which)
{
    uint8_t out[FWR_TRUST_MAX];
    int length = fwr_trust_encode(&trust, out, sizeof(out));

    (void)which;
    return length > 0 ? FWR_OK : length;
}

static int verify_envelope(size_t which)
{
    static struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];

    (void)which;
    return fwr_envelope_verify_manifest(envelope, envelope_length, &trust, &manifest, id);
}

static int hash_image(size_t which)
{
    uint8_t buffer[8192], root[FWR_HASH_MAX];
    const struct fwr_tree_input input = {given_tree_read, &image, buffer, sizeof(buffer)};
    int error = fwr_tree_of_image(&image.manifest, &input, NULL, 0, root);

    (void)which;
    if (error == FWR_OK)
        assert_memory_equal(root, image.manifest.root, fwr_hash_size(image.manifest.hash));
    return error;
}

static int build_part(size_t which)
{
    uint8_t nodes[32 * FWR_HASH_MAX] = {0};
    struct fwr_tree_part part;
    struct fwr_hasher hasher;
    int error = fwr_hasher_init(&hasher, which == 0 ? FWR_HASH_SHA256 : FWR_HASH_SHA384);

    if (error != FWR_OK)
        return error;
    fwr_tree_part_init(&part, 11, hasher.hash_size, nodes);
    error = fwr_tree_part_build(&part, &hasher);
    fwr_hasher_free(&hasher);
    return error;
}

static int make_key(size_t which)
{
    uint8_t key[FWR_KEY_SIZE];

    (void)which;
    return fwr_compatibility_key(image.manifest.component, GIVEN_MANUFACTURER, GIVEN_PRODUCT, key);
}

/* ---- Judgement ---------------------------------------------------------------------------- */

/* What a failing function is told as. libcrypto does not say why it could not read a key, what
 * kind it is, or why a signature is not right: there its failures are refusals. */
static int expected_error(const char *failed)
{
    static const char *const of_keys[] = {"BIO_new_mem_buf",
                                          "d2i_PUBKEY",
                                          "PEM_read_bio_PrivateKey",
                                          "PEM_read_bio_PUBKEY",
                                          "EVP_PKEY_get_raw_public_key",
                                          "EVP_PKEY_get_bits",
                                          "EVP_PKEY_get_bn_param",
                                          "EVP_PKEY_get_octet_string_param",
                                          "EVP_PKEY_get_utf8_string_param"};

    for (size_t i = 0; i < sizeof(of_keys) / sizeof(of_keys[0]); i++) {
        if (strcmp(failed, of_keys[i]) == 0)
            return FWR_E_KEY;
    }
    if (strcmp(failed, "EVP_PKEY_get_group_name") == 0)
        return FWR_E_ALGORITHM;
    if (strcmp(failed, "EVP_DigestVerify") == 0)
        return FWR_E_SIGNATURE;
    return FWR_E_CRYPTO;
}

/* Every call of `work` fails once. How many there were. */
static unsigned fail_each(const char *what, int (*work)(size_t which), size_t which)
{
    const int held = crypto_faults_held();
    unsigned calls;

    crypto_faults_arm(0, false);
    if (work(which) != FWR_OK)
        fail_msg("%s %zu: fails by itself", what, which);
    calls = crypto_faults_calls();
    for (unsigned call = 1; call <= calls; call++) {
        const char *failed;
        int error;

        crypto_faults_arm(call, false);
        error = work(which);
        failed = crypto_faults_struck();
        if (failed == NULL)
            fail_msg("%s %zu: call %u of %u never came", what, which, call, calls);
        else if (error != expected_error(failed))
            fail_msg("%s %zu: call %u, %s, failed: %s (%d)", what, which, call, failed,
                     fwr_error_name(error), error);
        if (crypto_faults_held() != held)
            fail_msg("%s %zu: call %u, %s, failed: %d objects leaked", what, which, call, failed,
                     crypto_faults_held() - held);
    }
    crypto_faults_arm(0, false);
    if (work(which) != FWR_OK)
        fail_msg("%s %zu: does not work again", what, which);
    assert_int_equal(crypto_faults_held(), held);
    return calls;
}

static void keys_survive_a_failing_libcrypto(void **state)
{
    unsigned calls = 0;

    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        calls += fail_each("load", load_signer, i);
        calls += fail_each("public key", take_public_key, i);
        calls += fail_each("write", write_signer, i);
        calls += fail_each("sign", sign, i);
        calls += fail_each("write and read", write_and_read_public_key, i);
    }
    for (size_t i = 0; i < 2; i++)
        calls += fail_each("generate", generate_signer, i);
    printf("keys: %u calls failed\n", calls);
}

static void trust_survives_a_failing_libcrypto(void **state)
{
    unsigned calls = 0;

    (void)state;
    calls += fail_each("read", read_trust_set, 0);
    calls += fail_each("write", write_trust_set, 0);
    calls += fail_each("verify", verify_envelope, 0);
    printf("trust: %u calls failed\n", calls);
}

static void trees_survive_a_failing_libcrypto(void **state)
{
    unsigned calls = 0;

    (void)state;
    calls += fail_each("image", hash_image, 0);
    calls += fail_each("part", build_part, 0);
    calls += fail_each("part", build_part, 1);
    calls += fail_each("component key", make_key, 0);
    printf("trees: %u calls failed\n", calls);
}

/* An envelope whose signatures are not those of its payload: whatever fails, the answer is no. */
static void no_failure_makes_a_forgery_good(void **state)
{
    unsigned calls;

    (void)state;
    envelope[envelope_length - 1] ^= 1; /* in the last signature; all three are needed */
    crypto_faults_arm(0, false);
    assert_int_equal(verify_envelope(0), FWR_E_SIGNATURE);
    calls = crypto_faults_calls();
    for (unsigned call = 1; call <= 2 * calls; call++) {
        crypto_faults_arm(call <= calls ? call : call - calls, call > calls);
        assert_int_not_equal(verify_envelope(0), FWR_OK);
        assert_non_null(crypto_faults_struck());
    }
    crypto_faults_arm(0, false);
    envelope[envelope_length - 1] ^= 1;
    assert_int_equal(verify_envelope(0), FWR_OK);
}

/* ---- What is worked on -------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct fwr_signature signatures[NAMES];
    static uint8_t bytes[NAMES][FWR_SIGNATURE_MAX];
    uint8_t payload[4096];
    int length;

    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 19;
    image.block_size = 512;
    assert_int_equal(given_image_make(&image), FWR_OK);
    for (size_t i = 0; i < NAMES; i++) {
        pem_length[i] = keys_read(names[i], pem[i], sizeof(pem[i]));
        keys_signer(names[i], &signers[i]);
    }
    keys_trust(&trust, NAMES, names, NAMES);
    length = fwr_trust_encode(&trust, trust_bytes, sizeof(trust_bytes));
    assert_true(length > 0);
    trust_length = (size_t)length;
    length = fwr_manifest_encode(&image.manifest, payload, sizeof(payload));
    assert_true(length > 0);
    for (size_t i = 0; i < NAMES; i++)
        signatures[i] = keys_sign(names[i], FWR_PREFIX_MANIFEST, payload, (size_t)length, bytes[i]);
    length =
        fwr_envelope_build(payload, (size_t)length, signatures, NAMES, envelope, sizeof(envelope));
    assert_true(length > 0);
    envelope_length = (size_t)length;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        fwr_signer_free(&signers[i]);
    given_image_free(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_survive_a_failing_libcrypto),
        cmocka_unit_test(trust_survives_a_failing_libcrypto),
        cmocka_unit_test(trees_survive_a_failing_libcrypto),
        cmocka_unit_test(no_failure_makes_a_forgery_good),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
