/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: see scan.h.
 */
#include "scan.h"

#include <string.h>

#include "device.h"
#include "waive.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void segment_init(struct fwr_recipient *r, uint32_t segment)
{
    uint32_t size = fwr_tree_segment_leaves(r->leaves);

    r->segment = segment;
    r->segment_first = segment * size;
    uint32_t count = min_u32(size, r->leaves - r->segment_first);
    fwr_tree_part_init(&r->local, count, r->hasher.hash_size, r->local_nodes);
    fwr_tree_part_init(&r->remote, count, r->hasher.hash_size, r->remote_nodes);
}

static uint32_t unit_size(const struct fwr_recipient *r, const struct fwr_manifest *m)
{
    uint32_t erase = r->config.flash->geometry.erase_size;

    return erase > m->block_size ? erase : m->block_size;
}

int fwr_scan_fits(const struct fwr_recipient *r, const struct fwr_manifest *m)
{
    uint32_t leaves = fwr_manifest_leaf_count(m), unit = unit_size(r, m);

    if (leaves == 0 || leaves > r->max_leaves || m->block_size > r->config.block_size ||
        unit > r->unit_max || unit / m->block_size > FWR_UNIT_BLOCKS)
        return FWR_E_GEOMETRY;
    return fwr_waive_fits(r, m);
}

int fwr_scan_prepare(struct fwr_recipient *r)
{
    const struct fwr_manifest *m = &r->manifest;
    int error = fwr_scan_fits(r, m);

    if (error)
        return error;
    r->leaves = fwr_manifest_leaf_count(m);
    r->unit_size = unit_size(r, m);
    r->guard_unit = m->guard == FWR_NO_GUARD ? FWR_NO_ADDRESS : m->guard & ~(r->unit_size - 1);

    if (r->hasher.algorithm != m->hash) {
        fwr_hasher_free(&r->hasher);
        error = fwr_hasher_init(&r->hasher, m->hash);
        if (error)
            return error;
    }
    uint32_t segments = fwr_tree_segment_count(r->leaves);
    fwr_tree_part_init(&r->top_local, segments, r->hasher.hash_size, r->top_local_nodes);
    fwr_tree_part_init(&r->top_remote, segments, r->hasher.hash_size, r->top_remote_nodes);
    segment_init(r, 0);
    memset(r->block, r->config.flash->geometry.erased_value, m->block_size);
    return fwr_hash_leaf(&r->hasher, r->block, m->block_size, r->blank);
}

/* Reads and hashes the leaves from r->hash_leaf on that lie together in the flash, as many as
 * the buffer takes, into r->local. */
static int hash_run(struct fwr_recipient *r)
{
    uint32_t block = fwr_block_size(r), leaf = r->hash_leaf;
    uint32_t address = fwr_manifest_leaf_address(&r->manifest, leaf);
    const struct fwr_region *region = fwr_region_map_find(&r->manifest.map, address);
    /* While a lane holds something, only the single block is free. */
    bool free = r->lanes[0].state == FWR_LANE_FREE;
    uint8_t *buffer = free ? r->lane_area : r->block;
    uint32_t room = free ? r->config.lanes * r->unit_max : block;
    uint32_t count = min_u32(room, region->offset + region->length - address) / block;

    count = min_u32(count, r->segment_first + r->local.leaves - leaf);
    int error = fwr_device_read(r, address, buffer, count * block);
    if (error)
        return error;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *node = fwr_tree_part_node(&r->local, 0, leaf + i - r->segment_first);
        error = fwr_hash_leaf(&r->hasher, buffer + (size_t)i * block, block, node);
        if (error)
            return error;
        fwr_waive_replace(r, leaf + i, node);
        r->tags[leaf + i] = (uint16_t)(node[0] | node[1] << 8);
    }
    r->hash_leaf += count;
    return FWR_OK;
}

static bool segment_hashed(const struct fwr_recipient *r)
{
    return r->hash_leaf == r->segment_first + r->local.leaves;
}

void fwr_scan_segment_begin(struct fwr_recipient *r, uint32_t segment)
{
    segment_init(r, segment);
    r->hash_leaf = r->segment_first;
}

int fwr_scan_segment_step(struct fwr_recipient *r)
{
    int error = hash_run(r);

    if (error)
        return error;
    if (!segment_hashed(r))
        return FWR_PENDING;
    return fwr_tree_part_build(&r->local, &r->hasher);
}

void fwr_scan_begin(struct fwr_recipient *r)
{
    fwr_scan_segment_begin(r, 0);
    r->fill_cursor = 0;
    r->fill_wrong = 0;
}

int fwr_scan_step(struct fwr_recipient *r)
{
    uint32_t address;

    if (r->hash_leaf < r->leaves) {
        int error = fwr_scan_segment_step(r);
        if (error)
            return error;
        memcpy(fwr_tree_part_node(&r->top_local, 0, r->segment), fwr_tree_part_root(&r->local),
               r->hasher.hash_size);
        if (r->hash_leaf < r->leaves) {
            fwr_scan_segment_begin(r, r->segment + 1);
            return FWR_PENDING;
        }
        error = fwr_tree_part_build(&r->top_local, &r->hasher);
        return error ? error : FWR_PENDING;
    }
    int error = fwr_scan_fill_step(r, &address);
    if (error)
        return error;
    if (address == FWR_NO_ADDRESS)
        return FWR_OK;
    r->fill_wrong++;
    return FWR_PENDING;
}

static bool filled(const uint8_t *block, uint32_t size, uint8_t value)
{
    return block[0] == value && memcmp(block, block + 1, size - 1) == 0;
}

int fwr_scan_fill_step(struct fwr_recipient *r, uint32_t *address)
{
    const struct fwr_region *region = NULL;
    uint32_t block = fwr_block_size(r);

    while (r->fill_cursor < r->manifest.flash_size) {
        region = fwr_region_map_find(&r->manifest.map, r->fill_cursor);
        if (region->kind == FWR_REGION_FILL)
            break;
        r->fill_cursor = region->offset + region->length;
    }
    *address = FWR_NO_ADDRESS;
    if (region == NULL || r->fill_cursor >= r->manifest.flash_size)
        return FWR_OK;
    int error = fwr_device_read(r, r->fill_cursor, r->block, block);
    if (error)
        return error;
    /* What reads right may be marginal: it is written again, but no pass counts it as wrong. */
    bool again = r->all_owed && r->phase == FWR_PHASE_FILL;
    if ((filled(r->block, block, region->fill) && !again) ||
        fwr_manifest_waived(&r->manifest, r->config.board->local, r->fill_cursor)) {
        r->fill_cursor += block;
        return FWR_PENDING;
    }
    *address = r->fill_cursor;
    r->fill_cursor += block;
    return FWR_OK;
}
