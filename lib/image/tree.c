/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 9162 section 2.1.1: its shape, its hashes, subtrees held in memory,
 * and the root of a whole image. Called by both engines, by the donor's scan and by the tools.
 * Never does I/O of its own; the only memory it does not get from the caller is the hash
 * context inside libcrypto.
 */
#include <fwrecover/tree.h>

#include <assert.h>
#include <string.h>
#include <openssl/evp.h>

#include <fwrecover/error.h>

int fwr_hasher_init(struct fwr_hasher *hasher, uint8_t algorithm)
{
    const char *name = algorithm == FWR_HASH_SHA384 ? "SHA2-384" : "SHA2-256";
    EVP_MD_CTX *digest;
    EVP_MD *method;
    int ok;

    memset(hasher, 0, sizeof(*hasher));
    if (fwr_hash_size(algorithm) == 0)
        return FWR_E_ALGORITHM;
    /* Fetched here, once: an implicit fetch per hash costs more than hashing a node. */
    method = EVP_MD_fetch(NULL, name, NULL);
    digest = EVP_MD_CTX_new();
    ok = method != NULL && digest != NULL && EVP_DigestInit_ex2(digest, method, NULL) == 1;
    EVP_MD_free(method); /* the context holds its own reference */
    if (!ok) {
        EVP_MD_CTX_free(digest);
        return FWR_E_CRYPTO;
    }
    hasher->digest = digest;
    hasher->algorithm = algorithm;
    hasher->hash_size = (uint8_t)fwr_hash_size(algorithm);
    return FWR_OK;
}

void fwr_hasher_free(struct fwr_hasher *hasher)
{
    EVP_MD_CTX_free(hasher->digest);
    memset(hasher, 0, sizeof(*hasher));
}

/* Measured on x86-64 with SHA-NI: initialising the context again with the method it has takes
 * as long as copying a prepared one, and needs no second context. */
static int hash_two(struct fwr_hasher *hasher, uint8_t prefix, const void *a, size_t a_length,
                    const void *b, size_t b_length, uint8_t *out)
{
    EVP_MD_CTX *digest = hasher->digest;

    if (digest == NULL || EVP_DigestInit_ex2(digest, NULL, NULL) != 1 ||
        EVP_DigestUpdate(digest, &prefix, 1) != 1 || EVP_DigestUpdate(digest, a, a_length) != 1 ||
        EVP_DigestUpdate(digest, b, b_length) != 1 || EVP_DigestFinal_ex(digest, out, NULL) != 1)
        return FWR_E_CRYPTO;
    return FWR_OK;
}

int fwr_hash_leaf(struct fwr_hasher *hasher, const void *block, size_t length, uint8_t *out)
{
    return hash_two(hasher, 0x00, block, length, NULL, 0, out);
}

int fwr_hash_node(struct fwr_hasher *hasher, const uint8_t *left, const uint8_t *right,
                  uint8_t *out)
{
    return hash_two(hasher, 0x01, left, hasher->hash_size, right, hasher->hash_size, out);
}

uint32_t fwr_tree_width(uint32_t leaves, uint8_t level)
{
    if (level >= 32)
        return 1;
    return (uint32_t)(((uint64_t)leaves + (UINT64_C(1) << level) - 1) >> level);
}

uint8_t fwr_tree_levels(uint32_t leaves)
{
    uint8_t levels = 1;

    while (fwr_tree_width(leaves, (uint8_t)(levels - 1)) > 1)
        levels++;
    return levels;
}

/* Nodes of the levels from `first` to `last`, which is not included. */
static uint64_t nodes_between(uint32_t leaves, uint8_t first, uint8_t last)
{
    uint64_t nodes = 0;
    uint8_t level;

    for (level = first; level < last; level++)
        nodes += fwr_tree_width(leaves, level);
    return nodes;
}

uint32_t fwr_tree_nodes(uint32_t leaves)
{
    return (uint32_t)nodes_between(leaves, 0, fwr_tree_levels(leaves));
}

uint64_t fwr_tree_offset(uint32_t leaves, uint8_t hash_size, uint8_t level, uint32_t index)
{
    uint64_t above = nodes_between(leaves, (uint8_t)(level + 1), fwr_tree_levels(leaves));

    return (above + index) * hash_size;
}

uint64_t fwr_tree_size(uint32_t leaves, uint8_t hash_size)
{
    return nodes_between(leaves, 0, fwr_tree_levels(leaves)) * hash_size;
}

bool fwr_tree_locate(uint32_t leaves, uint8_t hash_size, uint64_t offset, uint8_t *level,
                     uint32_t *index)
{
    uint64_t node = offset / hash_size;
    uint8_t at;

    for (at = fwr_tree_levels(leaves); at-- > 0;) {
        uint32_t width = fwr_tree_width(leaves, at);

        if (node < width) {
            *level = at;
            *index = (uint32_t)node;
            return true;
        }
        node -= width;
    }
    return false;
}

/* Half the height, rounded down: of two splits that need the same memory the one with the
 * shorter segments, because segments are hashed again and again. */
uint8_t fwr_tree_segment_levels(uint32_t leaves)
{
    return (uint8_t)((fwr_tree_levels(leaves) - 1) / 2);
}

uint32_t fwr_tree_segment_leaves(uint32_t leaves)
{
    return UINT32_C(1) << fwr_tree_segment_levels(leaves);
}

uint32_t fwr_tree_segment_count(uint32_t leaves)
{
    return fwr_tree_width(leaves, fwr_tree_segment_levels(leaves));
}

size_t fwr_tree_part_size(uint32_t leaves, uint8_t hash_size)
{
    uint32_t segment = fwr_tree_nodes(fwr_tree_segment_leaves(leaves));
    uint32_t top = fwr_tree_nodes(fwr_tree_segment_count(leaves));

    return (size_t)(segment > top ? segment : top) * hash_size;
}

void fwr_tree_part_init(struct fwr_tree_part *part, uint32_t leaves, uint8_t hash_size,
                        uint8_t *nodes)
{
    part->leaves = leaves;
    part->hash_size = hash_size;
    part->nodes = nodes;
}

uint8_t *fwr_tree_part_node(const struct fwr_tree_part *part, uint8_t level, uint32_t index)
{
    uint8_t levels = fwr_tree_levels(part->leaves);
    uint64_t below;

    if (level >= levels) {
        level = (uint8_t)(levels - 1);
        index = 0;
    }
    assert(index < fwr_tree_width(part->leaves, level));
    below = nodes_between(part->leaves, 0, level);
    return part->nodes + (size_t)(below + index) * part->hash_size;
}

uint8_t *fwr_tree_part_root(const struct fwr_tree_part *part)
{
    return fwr_tree_part_node(part, UINT8_MAX, 0);
}

int fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher)
{
    return fwr_tree_part_build_under(part, hasher, 0, UINT8_MAX, 0);
}

/* The nodes `first` to `last`, not included, of `level` from the level below it. */
static int build_level(const struct fwr_tree_part *part, struct fwr_hasher *hasher, uint8_t level,
                       uint32_t first, uint32_t last)
{
    uint32_t below = fwr_tree_width(part->leaves, (uint8_t)(level - 1));
    const uint8_t *child = fwr_tree_part_node(part, (uint8_t)(level - 1), 2 * first);
    uint8_t *node = fwr_tree_part_node(part, level, first);
    uint32_t index;
    int error;

    for (index = first; index < last; index++) {
        if (2 * index + 1 < below) {
            error = fwr_hash_node(hasher, child, child + part->hash_size, node);
            if (error != FWR_OK)
                return error;
        } else {
            memcpy(node, child, part->hash_size);
        }
        child += (size_t)2 * part->hash_size;
        node += part->hash_size;
    }
    return FWR_OK;
}

int fwr_tree_part_build_under(const struct fwr_tree_part *part, struct fwr_hasher *hasher,
                              uint8_t from_level, uint8_t level, uint32_t index)
{
    uint8_t top = (uint8_t)(fwr_tree_levels(part->leaves) - 1);
    uint8_t at;

    if (level > top) {
        level = top;
        index = 0;
    }
    for (at = (uint8_t)(from_level + 1); at <= level; at++) {
        uint64_t first = (uint64_t)index << (level - at);
        uint64_t last = ((uint64_t)index + 1) << (level - at);
        uint32_t width = fwr_tree_width(part->leaves, at);
        int error;

        if (last > width)
            last = width;
        error = build_level(part, hasher, at, (uint32_t)first, (uint32_t)last);
        if (error != FWR_OK)
            return error;
    }
    return FWR_OK;
}

int fwr_tree_builder_init(struct fwr_tree_builder *builder, struct fwr_hasher *hasher,
                          uint32_t leaves, void *object, uint64_t capacity)
{
    if (leaves == 0 || leaves > FWR_TREE_LEAVES_MAX)
        return FWR_E_ARGUMENT;
    if (object != NULL && capacity < fwr_tree_size(leaves, hasher->hash_size))
        return FWR_E_NO_SPACE;
    builder->hasher = hasher;
    builder->object = object;
    builder->leaves = leaves;
    builder->next = 0;
    return FWR_OK;
}

int fwr_tree_builder_block(struct fwr_tree_builder *builder, const void *block, size_t length)
{
    uint8_t leaf[FWR_HASH_MAX];
    int error = fwr_hash_leaf(builder->hasher, block, length, leaf);

    return error == FWR_OK ? fwr_tree_builder_leaf(builder, leaf) : error;
}

/* Carries the new leaf up as far as it completes nodes: a left child waits for its sibling in
 * `pending`, a right child joins it, and a last one without a sibling is promoted. */
int fwr_tree_builder_leaf(struct fwr_tree_builder *builder, const uint8_t *leaf)
{
    uint8_t hash_size = builder->hasher->hash_size;
    uint8_t top = (uint8_t)(fwr_tree_levels(builder->leaves) - 1);
    uint32_t index = builder->next;
    uint8_t node[FWR_HASH_MAX];
    uint8_t level;

    if (index >= builder->leaves)
        return FWR_E_STATE;
    memcpy(node, leaf, hash_size);
    for (level = 0;; level++, index /= 2) {
        if (builder->object != NULL)
            memcpy(builder->object +
                       (size_t)fwr_tree_offset(builder->leaves, hash_size, level, index),
                   node, hash_size);
        if (level == top)
            break;
        if (index % 2 == 1) {
            int error = fwr_hash_node(builder->hasher, builder->pending[level], node, node);

            if (error != FWR_OK)
                return error;
        } else if (index + 1 < fwr_tree_width(builder->leaves, level)) {
            break;
        }
    }
    memcpy(builder->pending[level], node, hash_size);
    builder->next++;
    return FWR_OK;
}

int fwr_tree_builder_root(const struct fwr_tree_builder *builder, uint8_t *root)
{
    if (builder->next != builder->leaves)
        return FWR_E_STATE;
    memcpy(root, builder->pending[fwr_tree_levels(builder->leaves) - 1],
           builder->hasher->hash_size);
    return FWR_OK;
}

/* One `write` region in reads of at most the buffer. */
static int build_region(struct fwr_tree_builder *builder, const struct fwr_region *region,
                        uint32_t block_size, const struct fwr_tree_input *input)
{
    uint32_t chunk = input->capacity - input->capacity % block_size;
    uint32_t done, at;
    int error;

    for (done = 0; done < region->length; done += chunk) {
        if (chunk > region->length - done)
            chunk = region->length - done;
        error = input->read(input->ctx, region->offset + done, input->buffer, chunk);
        if (error != FWR_OK)
            return error == FWR_PENDING ? FWR_E_UNSUPPORTED : error;
        for (at = 0; at < chunk; at += block_size) {
            error = fwr_tree_builder_block(builder, input->buffer + at, block_size);
            if (error != FWR_OK)
                return error;
        }
    }
    return FWR_OK;
}

int fwr_tree_of_image(const struct fwr_manifest *manifest, const struct fwr_tree_input *input,
                      void *object, uint64_t capacity, uint8_t *root)
{
    struct fwr_tree_builder builder;
    struct fwr_hasher hasher;
    uint16_t i;
    int error;

    if (input->capacity < manifest->block_size)
        return FWR_E_NO_SPACE;
    error = fwr_hasher_init(&hasher, manifest->hash);
    if (error != FWR_OK)
        return error;
    error = fwr_tree_builder_init(&builder, &hasher, fwr_manifest_leaf_count(manifest), object,
                                  capacity);
    for (i = 0; i < manifest->map.count && error == FWR_OK; i++) {
        if (manifest->map.regions[i].kind == FWR_REGION_WRITE)
            error = build_region(&builder, &manifest->map.regions[i], manifest->block_size, input);
    }
    if (error == FWR_OK)
        error = fwr_tree_builder_root(&builder, root);
    fwr_hasher_free(&hasher);
    return error;
}
