/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree against a second, naive implementation written from RFC 9162 section 2.1.1: it
 * recurses on slices of leaves and hashes with one-shot calls, so it shares neither shape nor
 * hashing with lib/image/tree.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include <fwrecover/error.h>
#include <fwrecover/tree.h>

#include "seeded.h"

enum { NAIVE_TEXT = 1 + 2 * FWR_HASH_MAX };

static const EVP_MD *naive_method(uint8_t algorithm)
{
    return algorithm == FWR_HASH_SHA384 ? EVP_sha384() : EVP_sha256();
}

static void naive_leaf(uint8_t algorithm, const uint8_t *block, size_t length, uint8_t *out)
{
    uint8_t *text = malloc(length + 1);

    assert_non_null(text);
    text[0] = 0;
    memcpy(text + 1, block, length);
    assert_int_equal(EVP_Digest(text, length + 1, out, NULL, naive_method(algorithm), NULL), 1);
    free(text);
}

/* MTH(D[n]): split at the largest power of two below n. */
static void naive_root(uint8_t algorithm, const uint8_t *leaves, uint32_t n, uint8_t *out)
{
    size_t size = fwr_hash_size(algorithm);
    uint8_t text[NAIVE_TEXT];
    uint32_t k = 1;

    if (n == 1) {
        memcpy(out, leaves, size);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    text[0] = 1;
    naive_root(algorithm, leaves, k, text + 1);
    naive_root(algorithm, leaves + k * size, n - k, text + 1 + size);
    assert_int_equal(EVP_Digest(text, 1 + 2 * size, out, NULL, naive_method(algorithm), NULL), 1);
}

/* The value of node (level, index) by its definition: the tree of the leaves it covers. */
static void naive_node(uint8_t algorithm, const uint8_t *leaves, uint32_t n, uint8_t level,
                       uint32_t index, uint8_t *out)
{
    uint32_t first = index << level;
    uint32_t count = UINT32_C(1) << level;

    if (count > n - first)
        count = n - first;
    naive_root(algorithm, leaves + first * fwr_hash_size(algorithm), count, out);
}

struct forest {
    struct fwr_hasher hasher;
    uint8_t algorithm;
    uint32_t n;
    uint8_t *leaves;
    uint8_t *nodes;
    uint8_t *object;
    struct fwr_tree_part part;
};

static void forest_make(struct forest *forest, uint8_t algorithm, uint32_t n, uint64_t *seed)
{
    size_t size = fwr_hash_size(algorithm);

    memset(forest, 0, sizeof(*forest));
    assert_int_equal(fwr_hasher_init(&forest->hasher, algorithm), FWR_OK);
    forest->algorithm = algorithm;
    forest->n = n;
    forest->leaves = malloc(n * size);
    forest->nodes = malloc(fwr_tree_nodes(n) * size);
    forest->object = malloc(fwr_tree_nodes(n) * size);
    assert_true(forest->leaves != NULL && forest->nodes != NULL && forest->object != NULL);
    seeded_fill(seed, forest->leaves, n * size);
    fwr_tree_part_init(&forest->part, n, (uint8_t)size, forest->nodes);
    memcpy(fwr_tree_part_node(&forest->part, 0, 0), forest->leaves, n * size);
}

static void forest_free(struct forest *forest)
{
    fwr_hasher_free(&forest->hasher);
    free(forest->leaves);
    free(forest->nodes);
    free(forest->object);
}

static void build_object(struct forest *forest, uint8_t *root)
{
    size_t size = forest->hasher.hash_size;
    struct fwr_tree_builder builder;
    uint32_t i;

    assert_int_equal(fwr_tree_builder_init(&builder, &forest->hasher, forest->n, forest->object,
                                           fwr_tree_size(forest->n, (uint8_t)size)),
                     FWR_OK);
    for (i = 0; i < forest->n; i++) {
        assert_int_equal(fwr_tree_builder_root(&builder, root), FWR_E_STATE);
        assert_int_equal(fwr_tree_builder_leaf(&builder, forest->leaves + i * size), FWR_OK);
    }
    assert_int_equal(fwr_tree_builder_leaf(&builder, forest->leaves), FWR_E_STATE);
    assert_int_equal(fwr_tree_builder_root(&builder, root), FWR_OK);
}

/* Every node, in the part and at its offset in the tree object, is the naive one; the offsets
 * are a gapless walk from root to leaves. */
static void check_every_node(uint8_t algorithm, uint32_t n, uint64_t *seed)
{
    size_t size = fwr_hash_size(algorithm);
    uint8_t root[FWR_HASH_MAX], expected[FWR_HASH_MAX];
    struct forest forest;
    uint64_t offset = 0;
    uint8_t level;

    forest_make(&forest, algorithm, n, seed);
    assert_int_equal(fwr_tree_part_build(&forest.part, &forest.hasher), FWR_OK);
    build_object(&forest, root);
    naive_root(algorithm, forest.leaves, n, expected);
    assert_memory_equal(root, expected, size);
    assert_memory_equal(fwr_tree_part_root(&forest.part), expected, size);
    assert_memory_equal(forest.object, expected, size);
    assert_int_equal(fwr_tree_width(n, (uint8_t)(fwr_tree_levels(n) - 1)), 1);
    for (level = fwr_tree_levels(n); level-- > 0;) {
        uint32_t index;

        for (index = 0; index < fwr_tree_width(n, level); index++, offset += size) {
            uint8_t found_level = 0xff;
            uint32_t found_index = UINT32_MAX;

            naive_node(algorithm, forest.leaves, n, level, index, expected);
            assert_memory_equal(fwr_tree_part_node(&forest.part, level, index), expected, size);
            assert_int_equal(fwr_tree_offset(n, (uint8_t)size, level, index), offset);
            assert_memory_equal(forest.object + offset, expected, size);
            assert_true(fwr_tree_locate(n, (uint8_t)size, offset + index % size, &found_level,
                                        &found_index));
            assert_int_equal(found_level, level);
            assert_int_equal(found_index, index);
        }
    }
    assert_int_equal(fwr_tree_size(n, (uint8_t)size), offset);
    assert_int_equal(fwr_tree_nodes(n), offset / size);
    assert_false(fwr_tree_locate(n, (uint8_t)size, offset, &level, &(uint32_t){0}));
    forest_free(&forest);
}

static void every_node_of_small_trees(void **state)
{
    uint64_t seed = 1;
    uint32_t n;

    (void)state;
    for (n = 1; n <= 70; n++) {
        check_every_node(FWR_HASH_SHA256, n, &seed);
        check_every_node(FWR_HASH_SHA384, n, &seed);
    }
}

static void roots_of_random_sizes(void **state)
{
    uint64_t seed = 2;
    int round;

    (void)state;
    for (round = 0; round < 12; round++) {
        uint8_t algorithm = round % 4 == 3 ? FWR_HASH_SHA384 : FWR_HASH_SHA256;
        uint8_t root[FWR_HASH_MAX], expected[FWR_HASH_MAX];
        struct forest forest;

        forest_make(&forest, algorithm, 1 + seeded_below(&seed, 20000), &seed);
        assert_int_equal(fwr_tree_part_build(&forest.part, &forest.hasher), FWR_OK);
        build_object(&forest, root);
        naive_root(algorithm, forest.leaves, forest.n, expected);
        assert_memory_equal(root, expected, fwr_hash_size(algorithm));
        assert_memory_equal(fwr_tree_part_root(&forest.part), expected, fwr_hash_size(algorithm));
        forest_free(&forest);
    }
}

/* The whole tree recomputed in two parts of the published size, as a recipient does it. */
static void check_small_memory(uint32_t n, uint64_t *seed)
{
    struct fwr_tree_part top, segment;
    uint32_t each = fwr_tree_segment_leaves(n);
    uint32_t count = fwr_tree_segment_count(n);
    uint8_t expected[FWR_HASH_MAX];
    struct forest forest;
    uint8_t *memory[2];
    size_t size, bytes;
    uint32_t i;

    forest_make(&forest, FWR_HASH_SHA256, n, seed);
    size = forest.hasher.hash_size;
    bytes = fwr_tree_part_size(n, (uint8_t)size);
    memory[0] = malloc(bytes);
    memory[1] = malloc(bytes);
    assert_true(memory[0] != NULL && memory[1] != NULL);
    fwr_tree_part_init(&top, count, (uint8_t)size, memory[0]);
    for (i = 0; i < count; i++) {
        uint32_t first = i * each;
        uint32_t leaves = each < n - first ? each : n - first;

        fwr_tree_part_init(&segment, leaves, (uint8_t)size, memory[1]);
        memcpy(fwr_tree_part_node(&segment, 0, 0), forest.leaves + first * size, leaves * size);
        assert_int_equal(fwr_tree_part_build(&segment, &forest.hasher), FWR_OK);
        naive_node(FWR_HASH_SHA256, forest.leaves, n, fwr_tree_segment_levels(n), i, expected);
        assert_memory_equal(fwr_tree_part_root(&segment), expected, size);
        memcpy(fwr_tree_part_node(&top, 0, i), fwr_tree_part_root(&segment), size);
    }
    assert_int_equal(fwr_tree_part_build(&top, &forest.hasher), FWR_OK);
    naive_root(FWR_HASH_SHA256, forest.leaves, n, expected);
    assert_memory_equal(fwr_tree_part_root(&top), expected, size);
    free(memory[0]);
    free(memory[1]);
    forest_free(&forest);
}

static void two_parts_make_the_whole_root(void **state)
{
    uint64_t seed = 3;
    uint32_t n;

    (void)state;
    for (n = 1; n <= 70; n++)
        check_small_memory(n, &seed);
    for (n = 0; n < 6; n++)
        check_small_memory(1 + seeded_below(&seed, 20000), &seed);
}

/* 64 MiB in blocks of 4 KiB: 14 levels above the leaves, so parts of 128 leaves. */
static void small_memory_for_64_mib(void **state)
{
    (void)state;
    assert_int_equal(fwr_tree_levels(16384), 15);
    assert_int_equal(fwr_tree_segment_levels(16384), 7);
    assert_int_equal(fwr_tree_segment_leaves(16384), 128);
    assert_int_equal(fwr_tree_segment_count(16384), 128);
    assert_int_equal(fwr_tree_part_size(16384, 32), 255 * 32);
    assert_int_equal(fwr_tree_part_size(16384, 48), 255 * 48);
    assert_int_equal(fwr_tree_size(16384, 32), 32767 * 32);
    /* an odd height: the segments are the shorter ones */
    assert_int_equal(fwr_tree_segment_levels(8192), 6);
    assert_int_equal(fwr_tree_segment_levels(8193), 7);
}

/* The largest tree that the format allows: nothing may wrap. */
static void shape_at_the_edge(void **state)
{
    uint32_t most = FWR_TREE_LEAVES_MAX;
    uint8_t level;
    uint32_t index;

    (void)state;
    assert_int_equal(most, (UINT64_C(1) << 32) / FWR_BLOCK_SIZE_MIN);
    assert_int_equal(fwr_tree_levels(most), FWR_TREE_LEVELS_MAX);
    assert_int_equal(fwr_tree_levels(most - 1), FWR_TREE_LEVELS_MAX);
    assert_int_equal(fwr_tree_nodes(most), 2 * most - 1);
    assert_int_equal(fwr_tree_width(UINT32_MAX, 0), UINT32_MAX);
    assert_int_equal(fwr_tree_width(UINT32_MAX, 1), UINT32_C(1) << 31);
    assert_int_equal(fwr_tree_width(UINT32_MAX, 31), 2);
    assert_int_equal(fwr_tree_width(UINT32_MAX, 32), 1);
    assert_int_equal(fwr_tree_width(UINT32_MAX, 255), 1);
    assert_int_equal(fwr_tree_size(most, 48), (2 * (uint64_t)most - 1) * 48);
    assert_true(fwr_tree_locate(most, 48, fwr_tree_size(most, 48) - 1, &level, &index));
    assert_int_equal(level, 0);
    assert_int_equal(index, most - 1);
    assert_false(fwr_tree_locate(most, 48, fwr_tree_size(most, 48), &level, &index));
    assert_false(fwr_tree_locate(most, 48, UINT64_MAX, &level, &index));
}

/* A repaired leaf: only what lies under one node is hashed again, and nothing beside it. */
static void rebuilding_under_a_node(void **state)
{
    uint64_t seed = 4;
    uint32_t n;

    (void)state;
    for (n = 1; n <= 70; n++) {
        uint8_t expected[FWR_HASH_MAX], beside[FWR_HASH_MAX];
        uint8_t level = (uint8_t)seeded_below(&seed, fwr_tree_levels(n));
        uint32_t index = seeded_below(&seed, fwr_tree_width(n, level));
        uint32_t leaf = index << level;
        struct forest forest;

        forest_make(&forest, FWR_HASH_SHA256, n, &seed);
        assert_int_equal(fwr_tree_part_build(&forest.part, &forest.hasher), FWR_OK);
        memcpy(beside, fwr_tree_part_root(&forest.part), 32);
        forest.leaves[leaf * 32] ^= 1;
        memcpy(fwr_tree_part_node(&forest.part, 0, leaf), forest.leaves + leaf * 32, 32);
        assert_int_equal(fwr_tree_part_build_under(&forest.part, &forest.hasher, 0, level, index),
                         FWR_OK);
        naive_node(FWR_HASH_SHA256, forest.leaves, n, level, index, expected);
        assert_memory_equal(fwr_tree_part_node(&forest.part, level, index), expected, 32);
        if (level + 1 < fwr_tree_levels(n)) {
            assert_memory_equal(fwr_tree_part_root(&forest.part), beside, 32);
            assert_int_equal(
                fwr_tree_part_build_under(&forest.part, &forest.hasher, level, UINT8_MAX, 0),
                FWR_OK);
        }
        naive_root(FWR_HASH_SHA256, forest.leaves, n, expected);
        assert_memory_equal(fwr_tree_part_root(&forest.part), expected, 32);
        forest_free(&forest);
    }
}

static void hashes_are_prefixed_and_in_place(void **state)
{
    /* SHA-256("\0"), and SHA-256("\1" || 64 zero bytes): from sha256sum. */
    static const uint8_t empty_leaf[32] = {0x6e, 0x34, 0x0b, 0x9c, 0xff, 0xb3, 0x7a, 0x98,
                                           0x9c, 0xa5, 0x44, 0xe6, 0xbb, 0x78, 0x0a, 0x2c,
                                           0x78, 0x90, 0x1d, 0x3f, 0xb3, 0x37, 0x38, 0x76,
                                           0x85, 0x11, 0xa3, 0x06, 0x17, 0xaf, 0xa0, 0x1d};
    struct fwr_hasher hasher;
    uint8_t a[FWR_HASH_MAX] = {0}, b[FWR_HASH_MAX] = {0}, out[FWR_HASH_MAX];

    (void)state;
    assert_int_equal(fwr_hasher_init(&hasher, 0), FWR_E_ALGORITHM);
    assert_int_equal(fwr_hash_leaf(&hasher, a, 1, out), FWR_E_CRYPTO);
    assert_int_equal(fwr_hasher_init(&hasher, 3), FWR_E_ALGORITHM);
    assert_int_equal(fwr_hasher_init(&hasher, FWR_HASH_SHA256), FWR_OK);
    assert_int_equal(fwr_hash_leaf(&hasher, "", 0, out), FWR_OK);
    assert_memory_equal(out, empty_leaf, sizeof(empty_leaf));
    a[0] = 1;
    assert_int_equal(fwr_hash_node(&hasher, a, b, out), FWR_OK);
    assert_int_equal(fwr_hash_node(&hasher, a, b, a), FWR_OK);
    assert_memory_equal(a, out, 32);
    fwr_hasher_free(&hasher);
}

/* A chip in memory, and the faults it can be told to have. */
struct chip {
    uint8_t bytes[64 * 512];
    uint32_t fail_at;
    int error;
};

static int chip_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    struct chip *chip = ctx;

    if (address > sizeof(chip->bytes) || length > sizeof(chip->bytes) - address)
        return FWR_E_RANGE;
    if (chip->error != FWR_OK && chip->fail_at >= address && chip->fail_at < address + length)
        return chip->error;
    memcpy(buffer, chip->bytes + address, length);
    return FWR_OK;
}

/* write 3 blocks, preserve 5, write 33, fill 2, write 21. */
static const struct fwr_manifest chip_manifest = {
    .flash_size = 64 * 512,
    .block_size = 512,
    .hash = FWR_HASH_SHA256,
    .guard = FWR_NO_GUARD,
    .map = {.count = 5,
            .regions = {{0, 3 * 512, FWR_REGION_WRITE, 0, 0},
                        {3 * 512, 5 * 512, FWR_REGION_PRESERVE, 0, 0},
                        {8 * 512, 33 * 512, FWR_REGION_WRITE, 0, 0},
                        {41 * 512, 2 * 512, FWR_REGION_FILL, 0, 0xff},
                        {43 * 512, 21 * 512, FWR_REGION_WRITE, 0, 0}}}};

static void tree_of_an_image(void **state)
{
    static struct chip chip;
    uint8_t buffer[7 * 512 + 100], leaves[57 * 32], object[200 * 32];
    uint8_t root[FWR_HASH_MAX], expected[FWR_HASH_MAX];
    struct fwr_tree_input input = {chip_read, &chip, buffer, sizeof(buffer)};
    uint64_t seed = 5;
    uint32_t leaf;

    (void)state;
    seeded_fill(&seed, chip.bytes, sizeof(chip.bytes));
    assert_int_equal(fwr_manifest_leaf_count(&chip_manifest), 57);
    for (leaf = 0; leaf < 57; leaf++)
        naive_leaf(FWR_HASH_SHA256, chip.bytes + fwr_manifest_leaf_address(&chip_manifest, leaf),
                   512, leaves + leaf * 32);
    naive_root(FWR_HASH_SHA256, leaves, 57, expected);
    assert_int_equal(fwr_tree_of_image(&chip_manifest, &input, object, sizeof(object), root),
                     FWR_OK);
    assert_memory_equal(root, expected, 32);
    assert_memory_equal(object, expected, 32);
    assert_memory_equal(object + fwr_tree_offset(57, 32, 0, 0), leaves, sizeof(leaves));

    chip.bytes[3 * 512] ^= 1;  /* preserved */
    chip.bytes[41 * 512] ^= 1; /* fill */
    input.capacity = 512;
    assert_int_equal(fwr_tree_of_image(&chip_manifest, &input, NULL, 0, root), FWR_OK);
    assert_memory_equal(root, expected, 32);
    chip.bytes[64 * 512 - 1] ^= 0x80;
    assert_int_equal(fwr_tree_of_image(&chip_manifest, &input, NULL, 0, root), FWR_OK);
    assert_memory_not_equal(root, expected, 32);
}

static void tree_of_an_image_that_fails(void **state)
{
    static struct chip chip;
    struct fwr_manifest manifest = chip_manifest;
    uint8_t buffer[1024], object[116 * 32], root[FWR_HASH_MAX];
    struct fwr_tree_input input = {chip_read, &chip, buffer, sizeof(buffer)};

    (void)state;
    chip.fail_at = 40 * 512;
    chip.error = FWR_E_FLASH_READ;
    assert_int_equal(fwr_tree_of_image(&manifest, &input, NULL, 0, root), FWR_E_FLASH_READ);
    chip.error = FWR_PENDING;
    assert_int_equal(fwr_tree_of_image(&manifest, &input, NULL, 0, root), FWR_E_UNSUPPORTED);
    chip.fail_at = 3 * 512; /* a preserved block is never asked for */
    assert_int_equal(fwr_tree_of_image(&manifest, &input, object, sizeof(object), root), FWR_OK);
    assert_int_equal(fwr_tree_size(57, 32), 116 * 32);
    assert_int_equal(fwr_tree_of_image(&manifest, &input, object, 116 * 32 - 1, root),
                     FWR_E_NO_SPACE);
    input.capacity = 511;
    assert_int_equal(fwr_tree_of_image(&manifest, &input, NULL, 0, root), FWR_E_NO_SPACE);
    input.capacity = sizeof(buffer);
    manifest.hash = 9;
    assert_int_equal(fwr_tree_of_image(&manifest, &input, NULL, 0, root), FWR_E_ALGORITHM);
    manifest.hash = FWR_HASH_SHA384;
    manifest.map.count = 0;
    assert_int_equal(fwr_tree_of_image(&manifest, &input, NULL, 0, root), FWR_E_ARGUMENT);
}

static void builder_refuses_impossible_sizes(void **state)
{
    struct fwr_tree_builder builder;
    struct fwr_hasher hasher;
    uint8_t object[64];

    (void)state;
    assert_int_equal(fwr_hasher_init(&hasher, FWR_HASH_SHA256), FWR_OK);
    assert_int_equal(fwr_tree_builder_init(&builder, &hasher, 0, NULL, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tree_builder_init(&builder, &hasher, FWR_TREE_LEAVES_MAX + 1, NULL, 0),
                     FWR_E_ARGUMENT);
    assert_int_equal(fwr_tree_builder_init(&builder, &hasher, FWR_TREE_LEAVES_MAX, NULL, 0),
                     FWR_OK);
    assert_int_equal(fwr_tree_builder_init(&builder, &hasher, 2, object, sizeof(object)),
                     FWR_E_NO_SPACE);
    fwr_hasher_free(&hasher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_of_small_trees),
        cmocka_unit_test(roots_of_random_sizes),
        cmocka_unit_test(two_parts_make_the_whole_root),
        cmocka_unit_test(small_memory_for_64_mib),
        cmocka_unit_test(shape_at_the_edge),
        cmocka_unit_test(rebuilding_under_a_node),
        cmocka_unit_test(hashes_are_prefixed_and_in_place),
        cmocka_unit_test(tree_of_an_image),
        cmocka_unit_test(tree_of_an_image_that_fails),
        cmocka_unit_test(builder_refuses_impossible_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
