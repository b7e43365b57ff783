/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor's images: their envelopes, what is authenticated of their trees, and the blocks
 * that were read and checked lately. Called by the donor. Everything that leaves this room
 * hashes up to a signed root; it knows nothing of peers, transfers or messages.
 *
 * An image's top part is kept; segments of the tree and blocks are cached, hashed again from
 * the source when they are missing. Authenticated nodes stay right whatever happens to the
 * source, so they are kept until the image itself changes.
 *
 * A source may answer PENDING, and then wants the same call again before any other: so one
 * read is outstanding at a time, and `reading` says whose it is.
 */
#ifndef FWR_LIB_ENGINE_CATALOGUE_H
#define FWR_LIB_ENGINE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/donor.h>
#include <fwrecover/manifest.h>
#include <fwrecover/tree.h>

#define FWR_NO_IMAGE   0xff
#define FWR_NO_SEGMENT UINT32_MAX
#define FWR_NO_BLOCK   UINT32_MAX

struct fwr_image {
    const struct fwr_source *source;
    int state;      /* as in struct fwr_donor_image_status */
    int told;       /* the last state that the log was told of */
    bool rooted;    /* `manifest` is signed and `top` hashes to its root */
    uint8_t hasher; /* index into the catalogue's */
    uint8_t segment_levels;
    uint8_t id[FWR_ID_SIZE];
    uint8_t key[FWR_KEY_SIZE];
    uint32_t epoch; /* counts the times that the image became another, or lost its trust */
    uint32_t leaves;
    uint32_t bad_block; /* chip address, FWR_NO_BLOCK */
    uint32_t lost;      /* the segment that could not be had lately, FWR_NO_SEGMENT */
    uint64_t retry;     /* when a source that failed is tried again, FWR_NEVER */
    uint8_t *envelope;
    size_t envelope_length;
    uint8_t *top_nodes;
    struct fwr_tree_part top;
    struct fwr_manifest manifest;
};

/* A cached segment of an image's tree. */
struct fwr_segment {
    uint8_t image;  /* FWR_NO_IMAGE: free */
    bool busy;      /* being hashed */
    bool authentic; /* its root is an authenticated leaf of the top part */
    uint32_t index;
    uint64_t used;
    uint8_t *nodes;
    struct fwr_tree_part part;
};

/* A cached block that hashed to its authenticated leaf. */
struct fwr_block {
    uint8_t image; /* FWR_NO_IMAGE: free */
    uint32_t leaf;
    uint64_t used;
    uint8_t *bytes;
};

/* A segment on its way from the source, one read at a time. */
struct fwr_hashing {
    uint8_t image; /* FWR_NO_IMAGE: none */
    uint8_t slot;
    uint32_t next; /* leaf of the segment */
};

enum fwr_reading {
    FWR_READING_NONE,
    FWR_READING_VERIFY,
    FWR_READING_SEGMENT,
    FWR_READING_BLOCK,
};

struct fwr_catalogue {
    const struct fwr_donor_config *config; /* the donor's copy, defaults filled in */
    uint64_t now;                          /* of the call under way */
    uint64_t tick;                         /* orders uses for the caches */
    struct fwr_hasher hashers[2];          /* SHA-256, SHA-384 */
    struct fwr_image images[FWR_DONOR_IMAGES_MAX];
    struct fwr_segment *segments;
    struct fwr_block *blocks;
    uint8_t block_count;
    uint8_t *buffer; /* what segments are hashed from */
    uint32_t buffer_size;

    uint8_t reading;           /* enum fwr_reading: whose read has answered PENDING */
    bool restart;              /* the image being verified has to be begun anew */
    uint8_t verified_slot;     /* the last one that verification filled */
    uint32_t verified;         /* segments of `verify.image` done */
    struct fwr_hashing verify; /* for the whole of an image */
    struct fwr_hashing demand; /* for a request */
    struct {
        uint8_t image; /* FWR_NO_IMAGE: none */
        uint8_t slot;
        uint32_t leaf;
        uint8_t expected[FWR_HASH_MAX];
    } loading; /* a block for a request */
};

/* Bytes that fwr_catalogue_init will want, for a checked configuration. */
size_t fwr_catalogue_storage(const struct fwr_donor_config *config);

/* FWR_OK, FWR_E_CRYPTO. Every image starts unverified. */
int fwr_catalogue_init(struct fwr_catalogue *catalogue, const struct fwr_donor_config *config,
                       uint8_t *storage, uint64_t now);
void fwr_catalogue_end(struct fwr_catalogue *catalogue);

/* At most one slow read: FWR_PENDING while there is more to do, else FWR_OK. */
int fwr_catalogue_step(struct fwr_catalogue *catalogue);
uint64_t fwr_catalogue_next_timeout(const struct fwr_catalogue *catalogue);
void fwr_catalogue_timeout(struct fwr_catalogue *catalogue);
void fwr_catalogue_reverify(struct fwr_catalogue *catalogue, uint8_t image);

/* The `index`-th offered image that matches, by falling sequence, then rising tag;
 * FWR_NO_IMAGE behind the last. `count` is how many match. */
uint8_t fwr_catalogue_match(const struct fwr_catalogue *catalogue,
                            const struct fwr_request_image_request *request, uint8_t *count);
/* The offered image of that tag, or FWR_NO_IMAGE. */
uint8_t fwr_catalogue_find(const struct fwr_catalogue *catalogue, const uint8_t *tag);

/* Copies bytes of the tree object, or of the block at a chip address up to the block's end:
 * the number of bytes, FWR_E_RANGE, FWR_E_BUSY (being fetched: ask again), FWR_E_NOT_HELD,
 * FWR_E_CRYPTO. The image must be rooted. */
int fwr_catalogue_read_tree(struct fwr_catalogue *catalogue, uint8_t image, uint32_t offset,
                            uint8_t *buffer, size_t length);
int fwr_catalogue_read_block(struct fwr_catalogue *catalogue, uint8_t image, uint32_t address,
                             uint8_t *buffer, size_t length);

/* ---- holding.c, for catalogue.c ---- */

/* Sets up the caches in `storage`, of which fwr_holding_storage bytes are used. */
size_t fwr_holding_storage(const struct fwr_donor_config *config);
void fwr_holding_init(struct fwr_catalogue *catalogue, uint8_t *storage);
/* Forgets all that is cached of an image. Nothing may be outstanding at a source. */
void fwr_holding_drop(struct fwr_catalogue *catalogue, uint8_t image);
/* One read for the request that waits for one: FWR_PENDING while there is more to do. */
int fwr_holding_step(struct fwr_catalogue *catalogue);

/* A slot for a segment of an image: `preferred` if it is not in use and the cache is full. NULL
 * when all are being hashed. */
struct fwr_segment *fwr_segment_take(struct fwr_catalogue *catalogue, uint8_t image, uint32_t index,
                                     uint8_t preferred);
struct fwr_segment *fwr_segment_find(struct fwr_catalogue *catalogue, uint8_t image,
                                     uint32_t index);
/* One read and the hashing of it: FWR_PENDING until the segment is complete. */
int fwr_hashing_advance(struct fwr_catalogue *catalogue, enum fwr_reading reader,
                        struct fwr_hashing *hashing);

/* ---- catalogue.c, for holding.c ---- */

/* The source failed to give bytes, or gave others than it should: the image is not offered
 * until it has been verified again. */
void fwr_image_failed(struct fwr_catalogue *catalogue, uint8_t image, int error);
void fwr_image_doubt(struct fwr_catalogue *catalogue, uint8_t image);

#endif
