/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over an image's blocks (RFC 9162 section 2.1.1): leaf H(00 ‖ block), node
 * H(01 ‖ left ‖ right), an only child promoted unhashed. Level 0 are the leaves.
 *
 * Memory is small by splitting the tree at half its height: a *part* is a subtree held in full.
 * The top part has the roots of the segments as its leaves; a segment is a part of
 * fwr_tree_segment_leaves() leaves, hashed again from the flash whenever it is needed. So two
 * parts, 2·√n nodes each, do for a tree of n leaves.
 */
#ifndef FWRECOVER_TREE_H
#define FWRECOVER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/manifest.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A hash context on libcrypto, made once and used for every leaf and node. */
struct fwr_hasher {
    void *digest; /* EVP_MD_CTX */
    uint8_t algorithm;
    uint8_t hash_size;
};

/* FWR_OK, FWR_E_ALGORITHM, FWR_E_CRYPTO. Allocates inside libcrypto; end with _free. */
int fwr_hasher_init(struct fwr_hasher *hasher, uint8_t algorithm);
void fwr_hasher_free(struct fwr_hasher *hasher);

/* Both write hasher->hash_size bytes to `out`, which may be an input. FWR_OK or FWR_E_CRYPTO. */
int fwr_hash_leaf(struct fwr_hasher *hasher, const void *block, size_t length, uint8_t *out);
int fwr_hash_node(struct fwr_hasher *hasher, const uint8_t *left, const uint8_t *right,
                  uint8_t *out);

/* Leaves of the largest chip in the smallest blocks. */
#define FWR_TREE_LEAVES_MAX (1u << 23)
#define FWR_TREE_LEVELS_MAX 24

/* Shape: how many nodes each level has. `leaves` is 1 to FWR_TREE_LEAVES_MAX. */
uint8_t fwr_tree_levels(uint32_t leaves);                /* number of levels: 1 for one leaf */
uint32_t fwr_tree_width(uint32_t leaves, uint8_t level); /* ceil(leaves / 2^level) */
uint32_t fwr_tree_nodes(uint32_t leaves);                /* of all levels together */

/* The tree object is the levels from root to leaves, concatenated. Offsets in bytes. The
 * largest tree is below 1 GiB, so that they fit the wire's 32 bits; 64 bits here let a caller add
 * a length to one without a thought. */
uint64_t fwr_tree_offset(uint32_t leaves, uint8_t hash_size, uint8_t level, uint32_t index);
uint64_t fwr_tree_size(uint32_t leaves, uint8_t hash_size);
/* The node that holds byte `offset` of the tree object: false past its end. */
bool fwr_tree_locate(uint32_t leaves, uint8_t hash_size, uint64_t offset, uint8_t *level,
                     uint32_t *index);

/* How the tree splits: segments of 2^fwr_tree_segment_levels leaves, the last perhaps shorter. */
uint8_t fwr_tree_segment_levels(uint32_t leaves);
uint32_t fwr_tree_segment_leaves(uint32_t leaves);
uint32_t fwr_tree_segment_count(uint32_t leaves);

/* A subtree held in full in the caller's memory: levels from leaves to root. */
struct fwr_tree_part {
    uint32_t leaves;
    uint8_t hash_size;
    uint8_t *nodes; /* fwr_tree_nodes(leaves) × hash_size bytes */
};

/* Bytes of `nodes` that serve any part (top or segment) of a tree of `leaves`. */
size_t fwr_tree_part_size(uint32_t leaves, uint8_t hash_size);

/* Takes `nodes` (fwr_tree_part_size bytes of the caller) for a part of `leaves` leaves. */
void fwr_tree_part_init(struct fwr_tree_part *part, uint32_t leaves, uint8_t hash_size,
                        uint8_t *nodes);
/* The node's place; a level above the part's own root gives the root (an only child is
 * promoted). Index in the part, below its width. */
uint8_t *fwr_tree_part_node(const struct fwr_tree_part *part, uint8_t level, uint32_t index);
uint8_t *fwr_tree_part_root(const struct fwr_tree_part *part);
/* Hashes all levels above the leaves, or only what lies under node (level, index): the nodes of
 * `from_level` are the input, those above it up to and including the node itself are computed.
 * FWR_OK or FWR_E_CRYPTO. */
int fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher);
int fwr_tree_part_build_under(const struct fwr_tree_part *part, struct fwr_hasher *hasher,
                              uint8_t from_level, uint8_t level, uint32_t index);

/* The root of a tree whose leaves come one by one in their order, and its tree object where the
 * caller has room for it. For scans that are cut into steps; the caller's memory, no end call. */
struct fwr_tree_builder {
    struct fwr_hasher *hasher;
    uint8_t *object;
    uint32_t leaves;
    uint32_t next; /* leaves taken so far */
    uint8_t pending[FWR_TREE_LEVELS_MAX][FWR_HASH_MAX];
};

/* `object` is NULL, or takes the fwr_tree_size bytes of the tree object. The hasher must live as
 * long as the builder. FWR_OK; FWR_E_ARGUMENT (number of leaves); FWR_E_NO_SPACE. */
int fwr_tree_builder_init(struct fwr_tree_builder *builder, struct fwr_hasher *hasher,
                          uint32_t leaves, void *object, uint64_t capacity);
/* Adds the next leaf: as a block, or as its hash where that is already known (a waived leaf).
 * FWR_OK; FWR_E_STATE after the last leaf; FWR_E_CRYPTO: begin again. */
int fwr_tree_builder_block(struct fwr_tree_builder *builder, const void *block, size_t length);
int fwr_tree_builder_leaf(struct fwr_tree_builder *builder, const uint8_t *leaf);
/* Copies the root. FWR_OK; FWR_E_STATE while leaves are missing. */
int fwr_tree_builder_root(const struct fwr_tree_builder *builder, uint8_t *root);

/* Where fwr_tree_of_image finds the image. `read` has the shape of the operations of fwr_flash
 * and fwr_source. `buffer` has `capacity` bytes, at least one block; 64 KiB reads well. */
struct fwr_tree_input {
    int (*read)(void *ctx, uint32_t address, void *buffer, uint32_t length);
    void *ctx;
    uint8_t *buffer;
    uint32_t capacity;
};

/* The root over the manifest's `write` regions, read in one go, and the tree object if `object`
 * is not NULL. Uses the manifest's map, block size and hash; its root is neither read nor set,
 * so this serves to make one as well as to check one. FWR_OK; FWR_E_NO_SPACE (buffer or object);
 * FWR_E_ARGUMENT (no `write` region); FWR_E_ALGORITHM; FWR_E_CRYPTO; what `read` returned, but
 * FWR_E_UNSUPPORTED for FWR_PENDING: use a builder there. */
int fwr_tree_of_image(const struct fwr_manifest *manifest, const struct fwr_tree_input *input,
                      void *object, uint64_t capacity, uint8_t *root);

#ifdef __cplusplus
}
#endif

#endif
