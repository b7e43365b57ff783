/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waive: see waive.h. The record is kept as it is stored: format, manifest id, hash size, count,
 * the hashes in the order of their leaves, CRC-32.
 */
#include "waive.h"

#include <string.h>

#include "device.h"
#include "wire/record.h"
#include "wire/crc32.h"
#include "wire/cursor.h"

#define WAIVE_FORMAT 1

/* Calls `visit` with every block that the board preserves and the image would write or fill. */
static void each_block(const struct fwr_recipient *r, const struct fwr_manifest *m,
                       void (*visit)(void *ctx, const struct fwr_manifest *m, uint32_t address),
                       void *ctx)
{
    const struct fwr_region_map *local = r->config.board->local;

    for (uint16_t i = 0; local && i < local->count; i++) {
        const struct fwr_region *kept = &local->regions[i];
        /* A block that is preserved in part only was refused, or the image preserves it too. */
        uint64_t at = kept->offset & ~(uint64_t)(m->block_size - 1);
        for (; at < (uint64_t)kept->offset + kept->length; at += m->block_size)
            if (fwr_manifest_waived(m, local, (uint32_t)at))
                visit(ctx, m, (uint32_t)at);
    }
}

static void count_block(void *ctx, const struct fwr_manifest *m, uint32_t address)
{
    uint32_t *count = (uint32_t *)ctx;

    (void)m, (void)address;
    ++*count;
}

static void count_leaf(void *ctx, const struct fwr_manifest *m, uint32_t address)
{
    uint32_t *count = (uint32_t *)ctx, leaf;

    *count += fwr_manifest_leaf_at(m, address, &leaf);
}

static void list_leaf(void *ctx, const struct fwr_manifest *m, uint32_t address)
{
    struct fwr_waived *w = (struct fwr_waived *)ctx;

    if (w->count < FWR_WAIVED_MAX)
        w->count = (uint8_t)(w->count + fwr_manifest_leaf_at(m, address, &w->leaves[w->count]));
}

uint32_t fwr_waive_blocks(const struct fwr_recipient *r)
{
    uint32_t count = 0;

    each_block(r, &r->manifest, count_block, &count);
    return count;
}

int fwr_waive_fits(const struct fwr_recipient *r, const struct fwr_manifest *m)
{
    uint32_t count = 0;

    each_block(r, m, count_leaf, &count);
    return count <= FWR_WAIVED_MAX ? FWR_OK : FWR_E_LOCAL_MAP;
}

static size_t record_length(const struct fwr_waived *w, uint8_t hash_size)
{
    return FWR_WAIVED_HEAD + (size_t)w->count * hash_size + 4;
}

/* The head of the record that the image in use would have. */
static void make_head(const struct fwr_recipient *r, uint8_t head[FWR_WAIVED_HEAD])
{
    head[0] = WAIVE_FORMAT;
    memcpy(head + 1, r->id, FWR_ID_SIZE);
    head[1 + FWR_ID_SIZE] = (uint8_t)fwr_hash_size(r->manifest.hash);
    head[2 + FWR_ID_SIZE] = r->waived->count;
}

int fwr_waive_prepare(struct fwr_recipient *r)
{
    struct fwr_waived *w = r->waived;
    uint8_t head[FWR_WAIVED_HEAD];
    struct fwr_reader reader;
    size_t length = 0;

    if (!w || memcmp(w->id, r->id, FWR_ID_SIZE) == 0)
        return FWR_OK;
    w->count = 0;
    w->known = 0;
    each_block(r, &r->manifest, list_leaf, w);
    if (w->count > 0) {
        int error = fwr_device_load(r, FWR_STORE_WAIVED, w->record, sizeof(w->record), &length);
        if (error == FWR_PENDING)
            return error;
        make_head(r, head);
        if (!error && length == record_length(w, head[1 + FWR_ID_SIZE]) &&
            fwr_record_open(w->record, length, WAIVE_FORMAT, &reader) == FWR_OK &&
            memcmp(w->record, head, sizeof(head)) == 0)
            w->known = UINT64_MAX;
    }
    memcpy(w->id, r->id, FWR_ID_SIZE);
    return FWR_OK;
}

static uint8_t *slot(const struct fwr_recipient *r, uint8_t which)
{
    return r->waived->record + FWR_WAIVED_HEAD + (size_t)which * r->hasher.hash_size;
}

void fwr_waive_replace(struct fwr_recipient *r, uint32_t leaf, uint8_t *hash)
{
    struct fwr_waived *w = r->waived;

    for (uint8_t i = 0; w && i < w->count; i++) {
        if (w->leaves[i] != leaf)
            continue;
        if (w->known >> i & 1)
            memcpy(hash, slot(r, i), r->hasher.hash_size);
        else
            memcpy(slot(r, i), hash, r->hasher.hash_size);
        return;
    }
}

void fwr_waive_learn(struct fwr_recipient *r)
{
    struct fwr_waived *w = r->waived;

    for (uint8_t i = 0; w && i < w->count; i++) {
        uint32_t at = w->leaves[i] - r->segment_first;
        if (w->leaves[i] < r->segment_first || at >= r->local.leaves || !r->marks[at])
            continue;
        memcpy(slot(r, i), fwr_tree_part_node(&r->remote, 0, at), r->hasher.hash_size);
        w->known |= UINT64_C(1) << i;
        r->marks[at] = 0;
    }
}

int fwr_waive_save(struct fwr_recipient *r)
{
    struct fwr_waived *w = r->waived;
    struct fwr_writer writer;

    if (!w || w->count == 0)
        return FWR_OK;
    size_t length = record_length(w, r->hasher.hash_size);
    make_head(r, w->record);
    fwr_writer_init(&writer, w->record + length - 4, 4);
    fwr_writer_u32(&writer, fwr_crc32(0, w->record, length - 4));
    w->known = UINT64_MAX;
    return fwr_device_save(r, FWR_STORE_WAIVED, w->record, length);
}
