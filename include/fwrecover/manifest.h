/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: the signed description of one image. It says what the image fits, which bytes
 * of the chip it covers, and the Merkle root over them. doc/WIRE.md has its canonical TLV form.
 */
#ifndef FWRECOVER_MANIFEST_H
#define FWRECOVER_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_ID_SIZE        32 /* SHA-256 over the prefix "fwr-manifest-1" and the manifest */
#define FWR_HASH_MAX       48 /* the longest tree hash, SHA-384 */
#define FWR_UUID_SIZE      16
#define FWR_VERSION_MAX    63 /* bytes of the version string, without the final zero */
#define FWR_REGIONS_MAX    32
#define FWR_MANIFEST_MAX   65536
#define FWR_BLOCK_SIZE_MIN 512
#define FWR_BLOCK_SIZE_MAX 65536
#define FWR_NO_GUARD       UINT32_MAX

enum fwr_hash_algorithm {
    FWR_HASH_SHA256 = 1,
    FWR_HASH_SHA384 = 2,
};

enum fwr_region_kind {
    FWR_REGION_WRITE = 1,    /* in the tree, repaired */
    FWR_REGION_PRESERVE = 2, /* never read from a donor, never written */
    FWR_REGION_FILL = 3,     /* every byte is `fill` */
};

#define FWR_REGION_BOOT 0x01 /* flag: the CPU starts here; only on `write` */

struct fwr_region {
    uint32_t offset; /* multiple of the block size */
    uint32_t length; /* multiple of the block size, not zero */
    uint8_t kind;    /* enum fwr_region_kind */
    uint8_t flags;
    uint8_t fill; /* FILL only, else zero */
};

/* A legal map is sorted, without gap or overlap, covers the chip exactly, and has no two
 * neighbours that could be one. */
struct fwr_region_map {
    uint16_t count;
    struct fwr_region regions[FWR_REGIONS_MAX];
};

struct fwr_manifest {
    uint8_t component[FWR_UUID_SIZE]; /* in the order of its text form */
    uint32_t manufacturer;            /* IANA private enterprise number of the board's maker */
    uint16_t product;
    uint16_t hardware_min; /* hardware revisions it fits, inclusive */
    uint16_t hardware_max;
    uint32_t flash_size;
    char version[FWR_VERSION_MAX + 1]; /* printable ASCII, for people */
    uint32_t sequence;                 /* for order: higher is newer */
    uint32_t security_version;         /* for rollback protection */
    uint8_t hash;                      /* enum fwr_hash_algorithm of the tree */
    uint32_t block_size;               /* power of two */
    uint32_t guard;                    /* chip address of the guard block, or FWR_NO_GUARD */
    uint8_t root[FWR_HASH_MAX];
    struct fwr_region_map map;
};

/* What a board is, for the compatibility check. `local` is the board's own map: where it says
 * `preserve` it wins over the manifest; NULL when there is none. */
struct fwr_board {
    uint8_t component[FWR_UUID_SIZE];
    uint32_t manufacturer;
    uint16_t product;
    uint16_t hardware_revision;
    const struct fwr_region_map *local;
};

/* Reads canonical TLV. Only for authenticated bytes. FWR_OK; FWR_E_MANIFEST; FWR_E_CRITICAL_TAG;
 * FWR_E_ALGORITHM (a tree hash that this build does not have); FWR_E_REGION_MAP (the guard block
 * included). On error `manifest` is undefined. */
int fwr_manifest_decode(const void *bytes, size_t length, struct fwr_manifest *manifest);

/* Writes canonical TLV: the length, FWR_E_NO_SPACE, or the error that decoding would give. */
int fwr_manifest_encode(const struct fwr_manifest *manifest, void *buffer, size_t capacity);

/* The manifest id, SHA-256(prefix ‖ bytes); its first FWR_TAG_SIZE bytes are the tag.
 * FWR_OK or FWR_E_CRYPTO. */
int fwr_manifest_id(const void *bytes, size_t length, uint8_t id[FWR_ID_SIZE]);

/* Whether the map is legal for a chip and block size (any power of two: a board's own map may be
 * finer than an image's blocks). FWR_OK or FWR_E_REGION_MAP. */
int fwr_region_map_check(const struct fwr_region_map *map, uint32_t flash_size,
                         uint32_t block_size);

/* The region that holds chip address `offset`, or NULL outside the chip. */
const struct fwr_region *fwr_region_map_find(const struct fwr_region_map *map, uint32_t offset);

/* Whether the image fits the board and its chip; the first that applies: FWR_OK,
 * FWR_E_COMPONENT, FWR_E_BOARD, FWR_E_HARDWARE_REVISION, FWR_E_FLASH_SIZE, FWR_E_LOCAL_MAP (the
 * local map is not legal for this chip, preserves part of a block, or touches a boot region,
 * where the guard block lies), FWR_E_GEOMETRY (an erase unit would mix preserved and written
 * bytes, or does not divide the chip), FWR_E_ARGUMENT (`erase_size` is 0). */
int fwr_manifest_compatible(const struct fwr_manifest *manifest, const struct fwr_board *board,
                            uint32_t flash_size, uint32_t erase_size);

/* Whether the block at chip address `address` is waived: the image would write or fill it, but
 * the board's own map preserves it. It is then neither fetched nor written, and its hash from the
 * authenticated tree stands in for it. For an image that fwr_manifest_compatible has accepted;
 * `local` may be NULL. */
bool fwr_manifest_waived(const struct fwr_manifest *manifest, const struct fwr_region_map *local,
                         uint32_t address);

/* The compatibility key that Request Image asks by: the first FWR_KEY_SIZE bytes of
 * SHA-256("fwr-compat-1" ‖ component ‖ manufacturer ‖ product). FWR_OK or FWR_E_CRYPTO. */
int fwr_compatibility_key(const uint8_t component[FWR_UUID_SIZE], uint32_t manufacturer,
                          uint16_t product, uint8_t *key);

/* Leaves: blocks of the `write` regions in order. */
uint32_t fwr_manifest_leaf_count(const struct fwr_manifest *manifest);
/* Chip address of a leaf; UINT32_MAX for one that does not exist. */
uint32_t fwr_manifest_leaf_address(const struct fwr_manifest *manifest, uint32_t leaf);
/* The leaf at a chip address; false where the address is in no `write` region. */
bool fwr_manifest_leaf_at(const struct fwr_manifest *manifest, uint32_t address, uint32_t *leaf);

/* 32 or 48; 0 for an unknown algorithm. */
size_t fwr_hash_size(uint8_t algorithm);

#ifdef __cplusplus
}
#endif

#endif
