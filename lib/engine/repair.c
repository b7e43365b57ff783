/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: see repair.h. A unit is the larger of an erase unit and a block. A lane takes a unit
 * through load → fetch → ready → erase → program → read back; loading and fetching run ahead of
 * the journal, erasing never does.
 */
#include "repair.h"

#include <assert.h>
#include <string.h>

#include "codec.h"
#include "device.h"
#include "fetch.h"
#include "journal.h"
#include "negotiate.h"
#include "roads.h"
#include "transfer.h"

/* At a slow road a record should not name more than this much waiting. */
#define BATCH_SECONDS 10

void fwr_repair_reset(struct fwr_recipient *r)
{
    r->plan_count = r->plan_next = r->plan_written = r->plan_covered = 0;
    for (uint8_t i = 0; i < r->config.lanes; i++) {
        struct fwr_lane *lane = &r->lanes[i];
        if (lane->state != FWR_LANE_FREE && lane->fetch != FWR_NONE)
            fwr_fetch_free(r, lane->fetch);
        memset(lane, 0, sizeof(*lane));
        lane->fetch = FWR_NONE;
        lane->buffer = r->lane_area + (size_t)i * r->unit_max;
        lane->blocks = r->lane_blocks + (size_t)i * r->lane_blocks_max;
    }
}

static uint32_t unit_of(const struct fwr_recipient *r, uint32_t address)
{
    return address & ~(r->unit_size - 1);
}

static uint16_t unit_blocks(const struct fwr_recipient *r)
{
    assert(fwr_block_size(r) > 0); /* a manifest has been accepted */
    return (uint16_t)(r->unit_size / fwr_block_size(r));
}

/* ---- owed ---- */

void fwr_repair_owe(struct fwr_recipient *r)
{
    const struct fwr_journal *j = &r->journal;

    if (j->type != FWR_JOURNAL_IN_FLIGHT)
        return;
    memcpy(r->redo, j->units, j->count * sizeof(r->redo[0]));
    r->redo_count = j->count;
    r->redo_size = j->unit_size;
}

/* Whether the image in use writes a unit: never both, geometry was checked. */
static bool unit_is_written(const struct fwr_recipient *r, uint32_t unit)
{
    const struct fwr_region *region = fwr_region_map_find(&r->manifest.map, unit);

    return region && region->kind != FWR_REGION_PRESERVE &&
           !fwr_manifest_waived(&r->manifest, r->config.board->local, unit);
}

int fwr_repair_adopt(struct fwr_recipient *r)
{
    uint8_t *old = r->lane_area; /* free, and never smaller: a unit is at least 512 bytes */
    uint16_t count = r->redo_count;

    memcpy(old, r->redo, count * sizeof(r->redo[0]));
    r->redo_count = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint32_t first;
        memcpy(&first, old + i * sizeof(first), sizeof(first));
        uint64_t end = (uint64_t)first + r->redo_size;
        for (uint64_t unit = unit_of(r, first); unit < end; unit += r->unit_size) {
            if (!unit_is_written(r, (uint32_t)unit) || fwr_repair_owed(r, (uint32_t)unit))
                continue;
            if (r->redo_count == FWR_REDO_MAX)
                return FWR_E_GEOMETRY;
            r->redo[r->redo_count++] = (uint32_t)unit;
        }
    }
    r->redo_size = r->unit_size;
    return FWR_OK;
}

/* ---- plan ---- */

bool fwr_repair_owed(const struct fwr_recipient *r, uint32_t unit)
{
    for (uint16_t i = 0; i < r->redo_count; i++)
        if (r->redo[i] == unit)
            return true;
    return false;
}

bool fwr_repair_plan_unit(struct fwr_recipient *r, uint32_t address)
{
    uint32_t unit = unit_of(r, address);

    if (unit == r->guard_unit && r->guard_saved)
        return true;
    if (r->plan_count > 0 && r->plan[r->plan_count - 1] == unit)
        return true;
    if (r->plan_count == fwr_tree_segment_leaves(r->max_leaves))
        return false;
    r->plan[r->plan_count++] = unit;
    return true;
}

bool fwr_repair_plan_owed_fill(struct fwr_recipient *r)
{
    for (uint16_t i = 0; i < r->redo_count; i++) {
        uint32_t leaf;
        bool leaves = false;
        for (uint32_t at = 0; at < r->unit_size && !leaves; at += fwr_block_size(r))
            leaves = fwr_manifest_leaf_at(&r->manifest, r->redo[i] + at, &leaf);
        if (!leaves && !fwr_repair_plan_unit(r, r->redo[i]))
            break;
    }
    return r->plan_count > 0;
}

/* What an owed unit holds of other segments is written back as it is read now, and may have
 * decayed since the segment was found right: it is looked at again. */
static void look_again(struct fwr_recipient *r, uint32_t unit)
{
    uint32_t per_segment = fwr_tree_segment_leaves(r->leaves), leaf;

    for (uint32_t at = 0; at < r->unit_size; at += fwr_block_size(r)) {
        if (!fwr_manifest_leaf_at(&r->manifest, unit + at, &leaf))
            continue;
        uint8_t *mark = &r->top_marks[leaf / per_segment];
        if (leaf / per_segment != r->segment && *mark == FWR_SEGMENT_RIGHT)
            *mark = FWR_SEGMENT_AGAIN;
    }
}

void fwr_repair_plan_segment(struct fwr_recipient *r)
{
    fwr_repair_reset(r);
    /* What is owed comes first, so that a record always has room for a new batch. */
    for (int owed = 1; owed >= 0; owed--) {
        for (uint32_t i = 0; i < r->local.leaves; i++) {
            uint32_t address = fwr_manifest_leaf_address(&r->manifest, r->segment_first + i);
            bool is_owed = fwr_repair_owed(r, unit_of(r, address));
            bool wanted = r->marks[i] || (r->all_owed && unit_is_written(r, address));
            if (owed && is_owed)
                look_again(r, unit_of(r, address));
            if (owed ? is_owed : !is_owed && wanted)
                fwr_repair_plan_unit(r, address);
        }
    }
}

/* ---- filling a lane ---- */

#define NO_LEAF UINT32_MAX

/* The leaf at a block of a unit, counted in the segment in work, or NO_LEAF. */
static uint32_t segment_leaf(const struct fwr_recipient *r, uint32_t address)
{
    uint32_t leaf;

    if (!fwr_manifest_leaf_at(&r->manifest, address, &leaf) || leaf < r->segment_first ||
        leaf - r->segment_first >= r->local.leaves)
        return NO_LEAF;
    return leaf - r->segment_first;
}

static const uint8_t *expected_hash(const struct fwr_recipient *r, uint32_t in_segment)
{
    /* Where nothing differs, the local hash is the authenticated one. */
    return fwr_tree_part_node(r->marks[in_segment] ? &r->remote : &r->local, 0, in_segment);
}

static int hash_matches(struct fwr_recipient *r, const uint8_t *block, const uint8_t *expected)
{
    uint8_t hash[FWR_HASH_MAX];
    int error = fwr_hash_leaf(&r->hasher, block, fwr_block_size(r), hash);

    if (error)
        return error;
    return memcmp(hash, expected, r->hasher.hash_size) == 0 ? FWR_OK : FWR_E_BLOCK_HASH;
}

static void lane_begin(struct fwr_recipient *r, struct fwr_lane *lane, uint32_t plan)
{
    uint8_t *buffer = lane->buffer, *blocks = lane->blocks;

    memset(lane, 0, sizeof(*lane));
    lane->buffer = buffer;
    lane->blocks = blocks;
    lane->fetch = FWR_NONE;
    lane->state = FWR_LANE_LOAD;
    lane->plan = plan;
    lane->unit = r->plan[plan];
    memset(lane->blocks, FWR_BLOCK_FOREIGN, unit_blocks(r));
}

/* Whether every block of the unit will be made anew, so that nothing need be read. */
static bool all_new(const struct fwr_recipient *r, const struct fwr_lane *lane)
{
    for (uint16_t b = 0; b < unit_blocks(r); b++) {
        uint32_t address = lane->unit + b * fwr_block_size(r);
        uint32_t leaf = segment_leaf(r, address);
        const struct fwr_region *region = fwr_region_map_find(&r->manifest.map, address);
        if (region->kind != FWR_REGION_FILL && (leaf == NO_LEAF || !r->marks[leaf]))
            return false;
    }
    return true;
}

/* Decides what becomes of one block: it is right, can be made, or has to be found. */
static int sort_block(struct fwr_recipient *r, struct fwr_lane *lane, uint16_t b)
{
    uint32_t size = fwr_block_size(r), address = lane->unit + b * size;
    uint32_t leaf = segment_leaf(r, address);
    const struct fwr_region *region = fwr_region_map_find(&r->manifest.map, address);
    uint8_t *block = lane->buffer + (size_t)b * size;

    if (region->kind == FWR_REGION_FILL) {
        memset(block, region->fill, size);
        lane->blocks[b] = FWR_BLOCK_HERE;
        return FWR_OK;
    }
    if (leaf == NO_LEAF)
        return FWR_OK;
    const uint8_t *expected = expected_hash(r, leaf);
    if (!r->marks[leaf]) {
        int error = hash_matches(r, block, expected);
        if (error != FWR_E_BLOCK_HASH) {
            lane->blocks[b] = FWR_BLOCK_HERE;
            return error;
        }
    }
    lane->changed++;
    lane->blocks[b] = FWR_BLOCK_SEARCHED;
    if (memcmp(expected, r->blank, r->hasher.hash_size) == 0) {
        memset(block, r->config.flash->geometry.erased_value, size);
        lane->blocks[b] = FWR_BLOCK_HERE;
        r->status.blocks_blank++;
    }
    return FWR_OK;
}

/* The first leaf from `leaf` on with this tag, or r->leaves. Looks at four at a time: with
 * everything damaged, every block of the chip comes here and finds nothing. */
static uint32_t next_tagged(const struct fwr_recipient *r, uint32_t leaf, uint16_t tag)
{
    const uint64_t ones = UINT64_C(0x0001000100010001), pattern = ones * tag;
    uint64_t four;

    for (; r->leaves - leaf >= 4; leaf += 4) {
        memcpy(&four, r->tags + leaf, sizeof(four));
        four ^= pattern;
        if ((four - ones) & ~four & ones << 15) /* one of the four became 0 */
            break;
    }
    while (leaf < r->leaves && r->tags[leaf] != tag)
        leaf++;
    return leaf;
}

/* The same place in the other bank: what an update leaves alone is there. Other places there are
 * not searched, since only this bank's hashes are in memory. */
static int search_across(struct fwr_recipient *r, struct fwr_lane *lane, uint16_t b)
{
    uint32_t size = fwr_block_size(r), address = lane->unit + b * size;
    uint8_t *block = lane->buffer + (size_t)b * size;
    int error = fwr_device_read_other(r, address, block, size);

    if (error == FWR_PENDING)
        return error;
    lane->crossed = true;
    if (!error)
        error = hash_matches(r, block, expected_hash(r, segment_leaf(r, address)));
    if (error)
        return FWR_PENDING; /* not there, or not readable: then elsewhere */
    lane->blocks[b] = FWR_BLOCK_HERE;
    r->status.blocks_copied++;
    return FWR_OK;
}

/* Looks for one searched block elsewhere in this flash; one read a call. */
static int search_block(struct fwr_recipient *r, struct fwr_lane *lane, uint16_t b)
{
    uint32_t size = fwr_block_size(r), own = segment_leaf(r, lane->unit + b * size);
    uint8_t *block = lane->buffer + (size_t)b * size;
    const uint8_t *expected = expected_hash(r, own);
    uint16_t tag = (uint16_t)(expected[0] | expected[1] << 8);

    lane->copy = next_tagged(r, lane->copy, tag);
    if (lane->copy == own + r->segment_first)
        lane->copy = next_tagged(r, lane->copy + 1, tag);
    if (lane->copy == r->leaves) {
        lane->blocks[b] = FWR_BLOCK_WANTED;
        lane->copy = 0;
        return FWR_OK;
    }
    int error =
        fwr_device_read(r, fwr_manifest_leaf_address(&r->manifest, lane->copy), block, size);
    if (error)
        return error;
    error = hash_matches(r, block, expected);
    lane->copy++;
    if (error == FWR_E_BLOCK_HASH)
        return FWR_PENDING;
    if (!error) {
        lane->blocks[b] = FWR_BLOCK_HERE;
        lane->copy = 0;
        r->status.blocks_copied++;
    }
    return error;
}

/* Load: the unit as it is, then each block in turn. FWR_OK when the lane may fetch. */
static int load_step(struct fwr_recipient *r, struct fwr_lane *lane)
{
    if (!lane->loaded) {
        if (!all_new(r, lane)) {
            int error = fwr_device_read(r, lane->unit, lane->buffer, r->unit_size);
            if (error)
                return error;
        }
        lane->loaded = true;
    }
    while (lane->block < unit_blocks(r)) {
        uint16_t b = lane->block;
        int error = FWR_OK;
        if (lane->blocks[b] == FWR_BLOCK_FOREIGN)
            error = sort_block(r, lane, b);
        if (!error && lane->blocks[b] == FWR_BLOCK_SEARCHED)
            error = r->config.banks && !lane->crossed ? search_across(r, lane, b)
                                                      : search_block(r, lane, b);
        if (error)
            return error;
        lane->crossed = false;
        lane->block++;
    }
    lane->block = 0;
    lane->state = FWR_LANE_FETCH;
    return FWR_OK;
}

static bool roads_are_slow(const struct fwr_recipient *r)
{
    for (uint8_t i = 0; i < r->config.peer_count; i++)
        if (fwr_roads_carries(r, i) && fwr_transfer_codes(r, i))
            return true;
    return false;
}

/* Begins to fetch the next run of wanted blocks; READY when there is none. */
static void fetch_next(struct fwr_recipient *r, struct fwr_lane *lane)
{
    uint32_t size = fwr_block_size(r);
    uint16_t first = 0, end;

    while (first < unit_blocks(r) && lane->blocks[first] != FWR_BLOCK_WANTED)
        first++;
    if (first == unit_blocks(r)) {
        lane->state = FWR_LANE_READY;
        return;
    }
    /* A slow road's blocks come coded, which is done one by one. */
    for (end = first; end < unit_blocks(r) && lane->blocks[end] == FWR_BLOCK_WANTED;)
        if (end++ == first && roads_are_slow(r))
            break;
    lane->run_first = first;
    lane->run_count = (uint16_t)(end - first);
    lane->fetch =
        fwr_fetch_begin(r, FWR_OBJECT_BLOCKS, lane->unit + first * size, lane->run_count * size,
                        lane->buffer + (size_t)first * size, FWR_NONE);
}

/* Takes a coded block apart, in its place. Nothing is under way at the flash, so that the buffer
 * for reading back is free. */
static int unpack(struct fwr_recipient *r, const struct fwr_fetch *f)
{
    memcpy(r->block, f->buffer, f->total);
    return fwr_codec_take(FWR_CODEC_LZ4, r->block + FWR_STREAM_HEAD, f->total - FWR_STREAM_HEAD,
                          f->buffer, f->length);
}

/* Checks a finished run block by block against the authenticated leaves. */
static int take_run(struct fwr_recipient *r, struct fwr_lane *lane)
{
    uint32_t size = fwr_block_size(r);
    const struct fwr_fetch *f = &r->fetches[lane->fetch];

    if (f->coded && unpack(r, f) != FWR_OK) {
        bool again = fwr_fetch_wrong(r, lane->fetch, FWR_E_MALFORMED, f->offset);
        return again ? FWR_PENDING : FWR_E_DONORS_LOST;
    }

    for (uint16_t i = 0; i < lane->run_count; i++) {
        uint16_t b = (uint16_t)(lane->run_first + i);
        uint32_t address = lane->unit + b * size, leaf = segment_leaf(r, address);
        int error = hash_matches(r, lane->buffer + (size_t)b * size, expected_hash(r, leaf));
        if (error == FWR_E_BLOCK_HASH) {
            bool again = fwr_fetch_wrong(r, lane->fetch, error, address);
            return again ? FWR_PENDING : FWR_E_DONORS_LOST;
        }
        if (error)
            return error;
    }
    memset(lane->blocks + lane->run_first, FWR_BLOCK_HERE, lane->run_count);
    r->status.blocks_fetched += lane->run_count;
    fwr_fetch_free(r, lane->fetch);
    lane->fetch = FWR_NONE;
    return FWR_OK;
}

static int fetch_step(struct fwr_recipient *r, struct fwr_lane *lane, bool *progress)
{
    if (lane->fetch != FWR_NONE && r->fetches[lane->fetch].state == FWR_FETCH_DONE) {
        int error = take_run(r, lane);
        *progress = true;
        if (error)
            return error == FWR_PENDING ? FWR_OK : error;
    }
    if (lane->fetch == FWR_NONE) {
        fetch_next(r, lane);
        *progress |= lane->fetch != FWR_NONE || lane->state == FWR_LANE_READY;
    }
    return FWR_OK;
}

/* ---- writing a lane ---- */

/* What was programmed is not what reads back, or the chip said so. Again, a bounded number of
 * times; then the block is worn and the host stays held. */
static int write_again(struct fwr_recipient *r, struct fwr_lane *lane, int error)
{
    if (lane->retries++ < r->config.flash_retries) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "unit %#x: %s, trying again", (unsigned)lane->unit,
                          fwr_error_name(error));
        lane->state = FWR_LANE_ERASE;
        lane->block = 0;
        return FWR_PENDING;
    }
    r->status.bad_block = lane->unit + lane->block * fwr_block_size(r);
    return error;
}

static bool is_erased(const struct fwr_recipient *r, const uint8_t *bytes)
{
    uint8_t value = r->config.flash->geometry.erased_value;

    return bytes[0] == value && memcmp(bytes, bytes + 1, r->unit_size - 1) == 0;
}

static int read_back(struct fwr_recipient *r, struct fwr_lane *lane)
{
    uint32_t size = fwr_block_size(r), offset = lane->block * size;
    int error = fwr_device_read(r, lane->unit + offset, r->block, size);

    if (error)
        return error == FWR_PENDING ? error : write_again(r, lane, error);
    if (memcmp(r->block, lane->buffer + offset, size) != 0)
        return write_again(r, lane, FWR_E_FLASH_WORN);
    return ++lane->block == unit_blocks(r) ? FWR_OK : FWR_PENDING;
}

/* One operation on the unit. FWR_OK: it is in the flash and read back right. */
static int write_step(struct fwr_recipient *r, struct fwr_lane *lane)
{
    int error = FWR_OK;

    r->dirty = true;
    switch (lane->state) {
    case FWR_LANE_READY:
    case FWR_LANE_ERASE:
        lane->state = FWR_LANE_ERASE;
        lane->block = 0;
        error = fwr_device_erase(r, lane->unit, r->unit_size);
        if (!error)
            lane->state = FWR_LANE_PROGRAM;
        break;
    case FWR_LANE_PROGRAM:
        if (!is_erased(r, lane->buffer))
            error = fwr_device_program(r, lane->unit, lane->buffer, r->unit_size);
        if (!error)
            lane->state = FWR_LANE_READ_BACK;
        break;
    default:
        return read_back(r, lane);
    }
    if (error < 0)
        return write_again(r, lane, error);
    return FWR_PENDING;
}

static void update_tags(struct fwr_recipient *r, const struct fwr_lane *lane)
{
    for (uint16_t b = 0; b < unit_blocks(r); b++) {
        uint32_t leaf = segment_leaf(r, lane->unit + b * fwr_block_size(r));
        if (leaf == NO_LEAF)
            continue;
        const uint8_t *hash = expected_hash(r, leaf);
        r->tags[r->segment_first + leaf] = (uint16_t)(hash[0] | hash[1] << 8);
    }
}

/* ---- records ---- */

static uint32_t batch_size(const struct fwr_recipient *r)
{
    uint64_t rate = fwr_transfer_rate(r);
    uint64_t units = r->config.batch;

    if (rate > 0 && rate * BATCH_SECONDS / r->unit_size < units)
        units = rate * BATCH_SECONDS / r->unit_size;
    return units > 0 ? (uint32_t)units : 1;
}

/* Units of the last batch are on the chip for good: they are owed no more. */
void fwr_repair_settle(struct fwr_recipient *r)
{
    uint16_t kept = 0;

    for (uint16_t i = 0; i < r->redo_count; i++) {
        bool done = false;
        for (uint32_t k = 0; k < r->plan_covered && !done; k++)
            done = r->plan[k] == r->redo[i];
        if (!done)
            r->redo[kept++] = r->redo[i];
    }
    r->redo_count = kept;
}

int fwr_repair_sync(struct fwr_recipient *r)
{
    int error = r->dirty ? fwr_device_sync(r) : FWR_OK;

    if (!error)
        r->dirty = false;
    return error;
}

/* Makes the record of the next batch: what was in flight before is done, and was synced. */
static void name_next(struct fwr_recipient *r)
{
    struct fwr_journal *j = &r->journal;
    uint32_t end = r->plan_written, room;

    fwr_repair_settle(r);
    memcpy(j->units, r->redo, r->redo_count * sizeof(r->redo[0]));
    j->count = r->redo_count;
    room = FWR_REDO_MAX - j->count;
    for (uint32_t left = batch_size(r); left > 0 && end < r->plan_count; left--, end++) {
        if (fwr_repair_owed(r, r->plan[end]))
            continue;
        if (room == 0)
            break;
        room--;
        j->units[j->count++] = r->plan[end];
    }
    r->plan_named = end;
}

/* Names the next batch in the journal. */
static int cover_next(struct fwr_recipient *r)
{
    if (!r->outstanding)
        name_next(r);
    int error = fwr_journal_write(r, FWR_JOURNAL_IN_FLIGHT);
    if (!error)
        r->plan_covered = r->plan_named;
    return error;
}

/* ---- the plan, step by step ---- */

static void assign_lanes(struct fwr_recipient *r, bool *progress)
{
    for (uint8_t i = 0; i < r->config.lanes && r->plan_next < r->plan_count; i++) {
        if (r->lanes[i].state != FWR_LANE_FREE)
            continue;
        lane_begin(r, &r->lanes[i], r->plan_next++);
        *progress = true;
    }
}

/* The lane whose turn it is at the flash, or NULL: one whose unit is being written; else one to
 * load, so that what it asks for is on its way while the flash is busy; else the first in the
 * plan that is ready, unless the batch before it has to end first. */
static struct fwr_lane *lane_in_turn(struct fwr_recipient *r)
{
    struct fwr_lane *ready = NULL, *load = NULL;

    for (uint8_t i = 0; i < r->config.lanes; i++) {
        struct fwr_lane *lane = &r->lanes[i];
        if (lane->state > FWR_LANE_READY)
            return lane;
        if (lane->state == FWR_LANE_READY && (!ready || lane->plan < ready->plan))
            ready = lane;
        if (lane->state == FWR_LANE_LOAD && (!load || lane->plan < load->plan))
            load = lane;
    }
    if (load || !ready)
        return load;
    return ready->plan < r->plan_covered || r->plan_written == r->plan_covered ? ready : NULL;
}

static int write_lane(struct fwr_recipient *r, struct fwr_lane *lane)
{
    if (lane->plan >= r->plan_covered) {
        int error = r->dirty ? fwr_repair_sync(r) : cover_next(r);
        return error ? error : FWR_PENDING;
    }
    int error = write_step(r, lane);
    if (error)
        return error;
    update_tags(r, lane);
    r->status.blocks_repaired += lane->changed;
    r->plan_written++;
    if (lane->changed > 0) { /* not a fruitless round */
        r->rounds = r->tries = 0;
        fwr_negotiate_gained(r);
    }
    lane->state = FWR_LANE_FREE;
    return FWR_PENDING;
}

int fwr_repair_step(struct fwr_recipient *r, bool *progress)
{
    if (!r->outstanding) {
        assign_lanes(r, progress);
        for (uint8_t i = 0; i < r->config.lanes; i++) {
            int error = FWR_OK;
            if (r->lanes[i].state == FWR_LANE_FETCH)
                error = fetch_step(r, &r->lanes[i], progress);
            if (error)
                return error;
        }
        r->turn = lane_in_turn(r);
    }
    if (!r->turn)
        return r->plan_written == r->plan_count ? FWR_OK : FWR_PENDING;
    *progress = true;
    int error = r->turn->state == FWR_LANE_LOAD ? load_step(r, r->turn) : write_lane(r, r->turn);
    return error < 0 ? error : FWR_PENDING;
}

/* ---- guard ---- */

void fwr_guard_begin(struct fwr_recipient *r)
{
    fwr_repair_reset(r);
    r->plan[0] = r->guard_unit;
    r->plan_count = 1;
    lane_begin(r, &r->lanes[0], 0);
}

int fwr_guard_step(struct fwr_recipient *r, bool *progress)
{
    struct fwr_lane *lane = &r->lanes[0];

    if (lane->state == FWR_LANE_READY) { /* another segment of the same unit */
        lane->state = FWR_LANE_LOAD;
        lane->block = 0;
    }
    if (lane->state == FWR_LANE_LOAD) {
        int error = load_step(r, lane);
        *progress = true;
        if (error)
            return error;
    }
    int error = fetch_step(r, lane, progress);
    if (error)
        return error;
    return lane->state == FWR_LANE_READY ? FWR_OK : FWR_PENDING;
}

void fwr_guard_write_begin(struct fwr_recipient *r)
{
    r->lanes[0].unit = r->guard_unit;
    r->lanes[0].state = FWR_LANE_ERASE;
    r->lanes[0].retries = 0;
    r->lanes[0].block = 0;
}

int fwr_guard_write_step(struct fwr_recipient *r)
{
    if (r->lanes[0].state != FWR_LANE_FREE) {
        int error = write_step(r, &r->lanes[0]);
        if (error)
            return error;
        r->lanes[0].state = FWR_LANE_FREE;
    }
    return fwr_repair_sync(r);
}
