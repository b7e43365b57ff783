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

/* Shape: how many nodes each level has. `leaves` is at least 1. */
uint8_t fwr_tree_levels(uint32_t leaves); /* number of levels: 1 for one leaf */
uint32_t fwr_tree_width(uint32_t leaves, uint8_t level); /* ceil(leaves / 2^level) */
uint32_t fwr_tree_nodes(uint32_t leaves); /* of all levels together */

/* The tree object is the levels from root to leaves, concatenated. Offsets in bytes; 64 bits
 * because a 4 GiB chip of 512-byte blocks has a larger tree than 32 bits address: the wire
 * carries offsets below 4 GiB only. */
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
/* Hashes all levels from the leaves up, or only what lies under node (level, index), from
 * `from_level` up to and including `level`. FWR_OK or FWR_E_CRYPTO. */
int fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher);
int fwr_tree_part_build_under(const struct fwr_tree_part *part, struct fwr_hasher *hasher,
                              uint8_t from_level, uint8_t level, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
