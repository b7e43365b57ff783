/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the donor holds of its images' trees and blocks: two caches, filled from the sources
 * and checked against authenticated nodes before anything is given away. Called by the
 * catalogue and the donor's read commands. It never offers, verifies signatures or talks.
 */
#include "engine/catalogue.h"

#include <string.h>

#include <fwrecover/error.h>

/* What a segment is hashed from: reads of this size are as good as larger ones. */
#define FWR_HASH_BUFFER 65536
/* Bytes hashed for a request before the peer is asked to come again. A segment of 128 blocks
 * of 4 KiB takes less than a millisecond, asking again takes at least five. */
#define FWR_HASH_AT_ONCE (512 * 1024)
/* Blocks kept: a recipient reads a few at once, one in each of its lanes. */
#define FWR_BLOCKS_PER_TRANSFER 4
#define FWR_BLOCKS_MAX          64

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t buffer_size(const struct fwr_donor_config *config)
{
    uint64_t image = (uint64_t)config->max_leaves * config->max_block_size;

    return image < FWR_HASH_BUFFER ? (uint32_t)image : FWR_HASH_BUFFER;
}

static uint8_t block_count(const struct fwr_donor_config *config)
{
    uint32_t wanted =
        min_u32((uint32_t)config->max_transfers * FWR_BLOCKS_PER_TRANSFER, config->max_leaves);

    return (uint8_t)min_u32(wanted, FWR_BLOCKS_MAX);
}

size_t fwr_holding_storage(const struct fwr_donor_config *config)
{
    size_t part = fwr_tree_part_size(config->max_leaves, FWR_HASH_MAX);

    return config->segments * (sizeof(struct fwr_segment) + part) +
           block_count(config) * (sizeof(struct fwr_block) + config->max_block_size) +
           buffer_size(config);
}

void fwr_holding_init(struct fwr_catalogue *catalogue, uint8_t *storage)
{
    const struct fwr_donor_config *config = catalogue->config;
    size_t part = fwr_tree_part_size(config->max_leaves, FWR_HASH_MAX);

    /* The structs first: storage is aligned for them, and bytes need no alignment. */
    catalogue->segments = (struct fwr_segment *)(void *)storage;
    storage += config->segments * sizeof(struct fwr_segment);
    catalogue->blocks = (struct fwr_block *)(void *)storage;
    catalogue->block_count = block_count(config);
    storage += catalogue->block_count * sizeof(struct fwr_block);
    for (uint8_t i = 0; i < config->segments; i++) {
        memset(&catalogue->segments[i], 0, sizeof(struct fwr_segment));
        catalogue->segments[i].image = FWR_NO_IMAGE;
        catalogue->segments[i].nodes = storage;
        storage += part;
    }
    for (uint8_t i = 0; i < catalogue->block_count; i++) {
        memset(&catalogue->blocks[i], 0, sizeof(struct fwr_block));
        catalogue->blocks[i].image = FWR_NO_IMAGE;
        catalogue->blocks[i].bytes = storage;
        storage += config->max_block_size;
    }
    catalogue->buffer = storage;
    catalogue->buffer_size = buffer_size(config);
    catalogue->demand.image = FWR_NO_IMAGE;
    catalogue->loading.image = FWR_NO_IMAGE;
}

void fwr_holding_drop(struct fwr_catalogue *catalogue, uint8_t image)
{
    for (uint8_t i = 0; i < catalogue->config->segments; i++) {
        if (catalogue->segments[i].image == image) {
            catalogue->segments[i].image = FWR_NO_IMAGE;
            catalogue->segments[i].busy = false;
        }
    }
    for (uint8_t i = 0; i < catalogue->block_count; i++) {
        if (catalogue->blocks[i].image == image)
            catalogue->blocks[i].image = FWR_NO_IMAGE;
    }
    if (catalogue->demand.image == image)
        catalogue->demand.image = FWR_NO_IMAGE;
}

/* ---- the source ---- */

static int source_read(struct fwr_catalogue *catalogue, enum fwr_reading reader,
                       const struct fwr_image *image, uint32_t address, void *buffer,
                       uint32_t length)
{
    int error;

    if (catalogue->reading != FWR_READING_NONE && catalogue->reading != reader)
        return FWR_PENDING;
    error = image->source->read(image->source->ctx, address, buffer, length);
    catalogue->reading = (uint8_t)(error == FWR_PENDING ? reader : FWR_READING_NONE);
    return error;
}

/* ---- segments ---- */

struct fwr_segment *fwr_segment_find(struct fwr_catalogue *catalogue, uint8_t image, uint32_t index)
{
    for (uint8_t i = 0; i < catalogue->config->segments; i++) {
        struct fwr_segment *segment = &catalogue->segments[i];

        if (segment->image == image && segment->index == index && segment->authentic) {
            segment->used = ++catalogue->tick;
            return segment;
        }
    }
    return NULL;
}

/* A free slot, else the preferred one, else the one not used for longest. */
static struct fwr_segment *slot_choose(struct fwr_catalogue *catalogue, uint8_t preferred)
{
    struct fwr_segment *oldest = NULL;

    for (uint8_t i = 0; i < catalogue->config->segments; i++) {
        struct fwr_segment *segment = &catalogue->segments[i];

        if (segment->image == FWR_NO_IMAGE)
            return segment;
        if (!segment->busy && (oldest == NULL || segment->used < oldest->used))
            oldest = segment;
    }
    if (preferred < catalogue->config->segments && !catalogue->segments[preferred].busy)
        return &catalogue->segments[preferred];
    return oldest;
}

struct fwr_segment *fwr_segment_take(struct fwr_catalogue *catalogue, uint8_t image, uint32_t index,
                                     uint8_t preferred)
{
    const struct fwr_image *owner = &catalogue->images[image];
    struct fwr_segment *segment = slot_choose(catalogue, preferred);
    uint32_t length = UINT32_C(1) << owner->segment_levels;

    if (segment == NULL)
        return NULL;
    segment->image = image;
    segment->index = index;
    segment->busy = true;
    segment->authentic = false;
    segment->used = ++catalogue->tick;
    fwr_tree_part_init(&segment->part, min_u32(length, owner->leaves - index * length),
                       (uint8_t)fwr_hash_size(owner->manifest.hash), segment->nodes);
    return segment;
}

int fwr_hashing_advance(struct fwr_catalogue *catalogue, enum fwr_reading reader,
                        struct fwr_hashing *hashing)
{
    const struct fwr_image *image = &catalogue->images[hashing->image];
    const struct fwr_segment *segment = &catalogue->segments[hashing->slot];
    const struct fwr_manifest *manifest = &image->manifest;
    struct fwr_hasher *hasher = &catalogue->hashers[image->hasher];
    uint32_t leaf = (segment->index << image->segment_levels) + hashing->next;
    uint32_t address = fwr_manifest_leaf_address(manifest, leaf);
    const struct fwr_region *region = fwr_region_map_find(&manifest->map, address);
    uint32_t count = (region->length - (address - region->offset)) / manifest->block_size;
    int error;

    count = min_u32(count, segment->part.leaves - hashing->next);
    count = min_u32(count, catalogue->buffer_size / manifest->block_size);
    error = source_read(catalogue, reader, image, address, catalogue->buffer,
                        count * manifest->block_size);
    for (uint32_t i = 0; error == FWR_OK && i < count; i++) {
        error = fwr_hash_leaf(hasher, catalogue->buffer + (size_t)i * manifest->block_size,
                              manifest->block_size,
                              fwr_tree_part_node(&segment->part, 0, hashing->next + i));
    }
    if (error != FWR_OK)
        return error;
    hashing->next += count;
    if (hashing->next < segment->part.leaves)
        return FWR_PENDING;
    return fwr_tree_part_build(&segment->part, hasher);
}

/* One read towards the segment that a request waits for. FWR_PENDING; FWR_OK: it is there. */
static int demand_step(struct fwr_catalogue *catalogue)
{
    struct fwr_hashing *demand = &catalogue->demand;
    struct fwr_segment *segment = &catalogue->segments[demand->slot];
    struct fwr_image *image = &catalogue->images[demand->image];
    uint8_t number = demand->image;
    int error = fwr_hashing_advance(catalogue, FWR_READING_SEGMENT, demand);

    if (error == FWR_PENDING)
        return FWR_PENDING;
    demand->image = FWR_NO_IMAGE;
    segment->busy = false;
    if (error == FWR_OK &&
        memcmp(fwr_tree_part_root(&segment->part),
               fwr_tree_part_node(&image->top, 0, segment->index), image->top.hash_size) == 0) {
        segment->authentic = true;
        return FWR_OK;
    }
    segment->image = FWR_NO_IMAGE;
    image->lost = segment->index;
    if (error == FWR_OK)
        fwr_image_doubt(catalogue, number);
    else
        fwr_image_failed(catalogue, number, error);
    return FWR_E_NOT_HELD;
}

/* Makes sure that a segment is in memory: FWR_OK, FWR_E_BUSY, FWR_E_NOT_HELD. */
static int segment_need(struct fwr_catalogue *catalogue, uint8_t image, uint32_t index)
{
    const struct fwr_segment *segment;
    uint32_t bytes = 0;
    int error;

    if (catalogue->images[image].lost == index)
        return FWR_E_NOT_HELD;
    if (catalogue->demand.image != FWR_NO_IMAGE || catalogue->reading != FWR_READING_NONE)
        return FWR_E_BUSY;
    segment = fwr_segment_take(catalogue, image, index, UINT8_MAX);
    if (segment == NULL)
        return FWR_E_BUSY;
    catalogue->demand.image = image;
    catalogue->demand.slot = (uint8_t)(segment - catalogue->segments);
    catalogue->demand.next = 0;
    do {
        error = demand_step(catalogue);
        bytes += catalogue->buffer_size;
    } while (error == FWR_PENDING && catalogue->reading == FWR_READING_NONE &&
             bytes < FWR_HASH_AT_ONCE);
    return error == FWR_PENDING ? FWR_E_BUSY : error;
}

/* The authenticated node (level, index) and how many follow it in memory; NULL when its segment
 * is not there. */
static const uint8_t *nodes_find(struct fwr_catalogue *catalogue, uint8_t number, uint8_t level,
                                 uint32_t index, uint32_t *run)
{
    const struct fwr_image *image = &catalogue->images[number];
    const struct fwr_segment *segment;
    uint8_t up;

    if (level >= image->segment_levels) {
        level = (uint8_t)(level - image->segment_levels);
        *run = fwr_tree_width(image->top.leaves, level) - index;
        return fwr_tree_part_node(&image->top, level, index);
    }
    up = (uint8_t)(image->segment_levels - level);
    segment = fwr_segment_find(catalogue, number, index >> up);
    if (segment == NULL)
        return NULL;
    index -= segment->index << up;
    *run = fwr_tree_width(segment->part.leaves, level) - index;
    return fwr_tree_part_node(&segment->part, level, index);
}

int fwr_catalogue_read_tree(struct fwr_catalogue *catalogue, uint8_t number, uint32_t offset,
                            uint8_t *buffer, size_t length)
{
    const struct fwr_image *image = &catalogue->images[number];
    uint8_t hash_size = image->top.hash_size;
    size_t done = 0;
    uint8_t level;
    uint32_t index;

    if (offset > fwr_tree_size(image->leaves, hash_size))
        return FWR_E_RANGE;
    while (done < length &&
           fwr_tree_locate(image->leaves, hash_size, (uint64_t)offset + done, &level, &index)) {
        size_t skip = ((uint64_t)offset + done) % hash_size, bytes;
        uint32_t run;
        const uint8_t *node = nodes_find(catalogue, number, level, index, &run);

        if (node == NULL) {
            int error;

            if (done > 0)
                break; /* what is there goes out now; the reader comes again for the rest */
            error = segment_need(catalogue, number, index >> (image->segment_levels - level));
            if (error != FWR_OK)
                return error;
            continue;
        }
        bytes = (size_t)run * hash_size - skip;
        if (bytes > length - done)
            bytes = length - done;
        memcpy(buffer + done, node + skip, bytes);
        done += bytes;
    }
    return (int)done;
}

/* ---- blocks ---- */

static struct fwr_block *block_find(struct fwr_catalogue *catalogue, uint8_t image, uint32_t leaf)
{
    for (uint8_t i = 0; i < catalogue->block_count; i++) {
        if (catalogue->blocks[i].leaf == leaf && catalogue->blocks[i].image == image) {
            catalogue->blocks[i].used = ++catalogue->tick;
            return &catalogue->blocks[i];
        }
    }
    return NULL;
}

static uint8_t block_choose(const struct fwr_catalogue *catalogue)
{
    uint8_t oldest = 0;

    for (uint8_t i = 0; i < catalogue->block_count; i++) {
        if (catalogue->blocks[i].image == FWR_NO_IMAGE)
            return i;
        if (catalogue->blocks[i].used < catalogue->blocks[oldest].used)
            oldest = i;
    }
    return oldest;
}

/* Reads the block that a request waits for. FWR_PENDING; FWR_OK: it is there, checked. */
static int load_step(struct fwr_catalogue *catalogue)
{
    struct fwr_image *image = &catalogue->images[catalogue->loading.image];
    struct fwr_block *block = &catalogue->blocks[catalogue->loading.slot];
    uint32_t size = image->manifest.block_size;
    uint32_t address = fwr_manifest_leaf_address(&image->manifest, catalogue->loading.leaf);
    uint8_t hash[FWR_HASH_MAX], number = catalogue->loading.image;
    int error = source_read(catalogue, FWR_READING_BLOCK, image, address, block->bytes, size);

    if (error == FWR_PENDING)
        return FWR_PENDING;
    catalogue->loading.image = FWR_NO_IMAGE;
    if (error == FWR_OK)
        error = fwr_hash_leaf(&catalogue->hashers[image->hasher], block->bytes, size, hash);
    if (error != FWR_OK) {
        image->lost = catalogue->loading.leaf >> image->segment_levels;
        fwr_image_failed(catalogue, number, error);
        return FWR_E_NOT_HELD;
    }
    if (memcmp(hash, catalogue->loading.expected, image->top.hash_size) != 0) {
        image->lost = catalogue->loading.leaf >> image->segment_levels;
        image->bad_block = address;
        fwr_image_doubt(catalogue, number);
        return FWR_E_NOT_HELD;
    }
    block->image = number;
    block->leaf = catalogue->loading.leaf;
    block->used = ++catalogue->tick;
    return FWR_OK;
}

/* Makes sure that a block is in memory: FWR_OK, FWR_E_BUSY, FWR_E_NOT_HELD. */
static int block_need(struct fwr_catalogue *catalogue, uint8_t number, uint32_t leaf)
{
    const struct fwr_image *image = &catalogue->images[number];
    uint32_t segment = leaf >> image->segment_levels, run;
    const uint8_t *node;
    int error;

    if (image->lost == segment)
        return FWR_E_NOT_HELD;
    if (catalogue->reading != FWR_READING_NONE)
        return FWR_E_BUSY;
    node = nodes_find(catalogue, number, 0, leaf, &run);
    if (node == NULL) {
        error = segment_need(catalogue, number, segment);
        if (error != FWR_OK)
            return error;
        node = nodes_find(catalogue, number, 0, leaf, &run);
        if (node == NULL)
            return FWR_E_BUSY;
    }
    memcpy(catalogue->loading.expected, node, image->top.hash_size);
    catalogue->loading.image = number;
    catalogue->loading.leaf = leaf;
    catalogue->loading.slot = block_choose(catalogue);
    catalogue->blocks[catalogue->loading.slot].image = FWR_NO_IMAGE;
    error = load_step(catalogue);
    return error == FWR_PENDING ? FWR_E_BUSY : error;
}

int fwr_catalogue_read_block(struct fwr_catalogue *catalogue, uint8_t number, uint32_t address,
                             uint8_t *buffer, size_t length)
{
    const struct fwr_image *image = &catalogue->images[number];
    uint32_t size = image->manifest.block_size, within = address & (size - 1), leaf;
    const struct fwr_block *block;

    if (!fwr_manifest_leaf_at(&image->manifest, address, &leaf))
        return FWR_E_RANGE;
    block = block_find(catalogue, number, leaf);
    if (block == NULL) {
        int error = block_need(catalogue, number, leaf);

        if (error != FWR_OK)
            return error;
        block = block_find(catalogue, number, leaf);
        if (block == NULL)
            return FWR_E_BUSY;
    }
    if (length > size - within)
        length = size - within;
    memcpy(buffer, block->bytes + within, length);
    return (int)length;
}

int fwr_holding_step(struct fwr_catalogue *catalogue)
{
    if (catalogue->loading.image != FWR_NO_IMAGE)
        return load_step(catalogue) == FWR_PENDING ? FWR_PENDING : FWR_OK;
    if (catalogue->demand.image != FWR_NO_IMAGE)
        return demand_step(catalogue) == FWR_PENDING ? FWR_PENDING : FWR_OK;
    return FWR_OK;
}
