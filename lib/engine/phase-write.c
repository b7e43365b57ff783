/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases of writing: the guard block away, segment after segment, the fill regions, the guard
 * block back. The order of store and flash operations here is what survives power cuts.
 */
#include "phase.h"

#include <string.h>

#include <openssl/evp.h>

#include "descent.h"
#include "device.h"
#include "journal.h"
#include "repair.h"
#include "scan.h"
#include "waive.h"

/* ---- segments ---- */

/* The next segment that differs or holds units owed from before a power cut; those first, so
 * that the journal always has room. FWR_NO_ADDRESS at the end. */
static uint32_t next_segment(const struct fwr_recipient *r)
{
    uint32_t per_segment = fwr_tree_segment_leaves(r->leaves);

    for (uint16_t i = 0; i < r->redo_count; i++) {
        for (uint32_t at = 0; at < r->unit_size; at += fwr_block_size(r)) {
            uint32_t leaf;
            if (!(r->guard_saved && r->redo[i] == r->guard_unit) &&
                fwr_manifest_leaf_at(&r->manifest, r->redo[i] + at, &leaf) &&
                r->top_marks[leaf / per_segment] != FWR_SEGMENT_DONE)
                return leaf / per_segment;
        }
    }
    for (uint32_t s = 0; s < r->top_local.leaves; s++)
        if (r->top_marks[s] == FWR_SEGMENT_WRONG || r->top_marks[s] == FWR_SEGMENT_AGAIN ||
            (r->all_owed && r->top_marks[s] == FWR_SEGMENT_RIGHT))
            return s;
    return FWR_NO_ADDRESS;
}

static void begin_segment(struct fwr_recipient *r, uint32_t segment, enum fwr_phase phase)
{
    fwr_repair_reset(r);
    fwr_scan_segment_begin(r, segment);
    fwr_recipient_enter(r, phase);
}

int fwr_phase_segment_hash(struct fwr_recipient *r, bool *progress)
{
    bool guard = r->phase == FWR_PHASE_GUARD_HASH;
    int error = fwr_scan_segment_step(r);
    /* Where the top did not differ, the local root is the authenticated one. */
    bool differs = r->top_marks[r->segment] == FWR_SEGMENT_WRONG;
    const struct fwr_tree_part *top = differs ? &r->top_remote : &r->top_local;

    *progress = true;
    if (error)
        return error;
    memcpy(fwr_tree_part_root(&r->remote), fwr_tree_part_node(top, 0, r->segment),
           r->hasher.hash_size);
    fwr_descent_begin(r, &r->local, &r->remote, r->marks, 0, r->segment_first);
    return fwr_phase_enter(r, guard ? FWR_PHASE_GUARD_DESCENT : FWR_PHASE_SEGMENT_DESCENT);
}

/* Marked leaves, but for those of the guard unit: erased by ourselves, counted when saved. */
static uint32_t count_marks(const struct fwr_recipient *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->local.leaves; i++) {
        uint32_t address = fwr_manifest_leaf_address(&r->manifest, r->segment_first + i);
        bool guard = r->guard_saved && (address & ~(r->unit_size - 1)) == r->guard_unit;
        count += r->marks[i] && !guard;
    }
    return count;
}

/* Units that hold no leaf of the segment in work, nor of any other that is not right yet. */
static int begin_fill_units(struct fwr_recipient *r)
{
    r->segment_first = r->leaves; /* no leaf is this plan's business */
    return fwr_phase_enter(r, FWR_PHASE_FILL_UNITS);
}

int fwr_phase_next_segment(struct fwr_recipient *r)
{
    uint32_t next = next_segment(r);

    /* Owed units without a leaf first: a record has room for a batch of what is new only when
     * what is owed does not fill it. */
    if (r->writing) {
        fwr_repair_reset(r);
        if (fwr_repair_plan_owed_fill(r))
            return begin_fill_units(r);
    }
    if (next != FWR_NO_ADDRESS) {
        begin_segment(r, next, FWR_PHASE_SEGMENT_HASH);
        return FWR_OK;
    }
    if (r->mode == FWR_START_DRY_RUN) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "dry run: %u of %u blocks are wrong",
                          (unsigned)r->status.blocks_wrong, (unsigned)r->status.blocks_total);
        return fwr_phase_finish(r, r->status.blocks_wrong > 0 ? FWR_E_ROOT : FWR_OK);
    }
    fwr_repair_reset(r);
    r->fill_cursor = 0;
    return fwr_phase_enter(r, FWR_PHASE_FILL);
}

int fwr_phase_segment_descent(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_waive_learn(r);
    r->status.blocks_wrong += count_marks(r);
    if (r->mode == FWR_START_DRY_RUN) {
        r->top_marks[r->segment] = FWR_SEGMENT_DONE;
        r->segments_done++;
        return fwr_phase_next_segment(r);
    }
    fwr_repair_plan_segment(r);
    return fwr_phase_enter(r, FWR_PHASE_UNITS);
}

int fwr_phase_units(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_repair_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_repair_settle(r);
    r->top_marks[r->segment] = FWR_SEGMENT_DONE;
    r->segments_done++;
    return fwr_phase_next_segment(r);
}

/* ---- guard ---- */

static bool guard_wanted(const struct fwr_recipient *r)
{
    if (r->guard_unit == FWR_NO_ADDRESS || r->healthy || r->config.guard == FWR_GUARD_NEVER)
        return false;
    return r->config.guard == FWR_GUARD_ALWAYS || memcmp(r->id, r->confirmed_id, FWR_ID_SIZE) != 0;
}

/* The segments that the guard unit has blocks in. */
static void guard_segments(const struct fwr_recipient *r, uint32_t *first, uint32_t *last)
{
    uint32_t per_segment = fwr_tree_segment_leaves(r->leaves), leaf;

    *first = *last = r->top_local.leaves;
    for (uint32_t at = 0; at < r->unit_size; at += fwr_block_size(r)) {
        if (!fwr_manifest_leaf_at(&r->manifest, r->guard_unit + at, &leaf))
            continue;
        if (*first == r->top_local.leaves)
            *first = leaf / per_segment;
        *last = leaf / per_segment;
    }
}

int fwr_phase_begin_writing(struct fwr_recipient *r)
{
    uint32_t first, last;

    /* Where there is another bank, the pointer keeps the host from half an image. */
    if (r->config.banks)
        return fwr_phase_enter(r, r->healthy ? FWR_PHASE_CANDIDATE_SAVE : FWR_PHASE_POINT);
    if (!guard_wanted(r) || r->guard_done)
        return fwr_phase_enter(r, FWR_PHASE_CANDIDATE_SAVE);
    if (r->guard_saved)
        return fwr_phase_enter(r, FWR_PHASE_GUARD_LOAD);
    guard_segments(r, &first, &last);
    fwr_guard_begin(r);
    fwr_scan_segment_begin(r, first);
    return fwr_phase_enter(r, FWR_PHASE_GUARD_HASH);
}

int fwr_phase_guard_descent(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_waive_learn(r);
    return fwr_phase_enter(r, FWR_PHASE_GUARD_UNIT);
}

int fwr_phase_guard_unit(struct fwr_recipient *r, bool *progress)
{
    uint32_t first, last;
    int error = fwr_guard_step(r, progress);

    if (error)
        return error;
    *progress = true;
    guard_segments(r, &first, &last);
    if (r->segment < last) {
        fwr_scan_segment_begin(r, r->segment + 1);
        return fwr_phase_enter(r, FWR_PHASE_GUARD_HASH);
    }
    return fwr_phase_enter(r, FWR_PHASE_GUARD_SAVE);
}

static int digest(const void *bytes, size_t length, uint8_t out[FWR_ID_SIZE])
{
    return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) == 1 ? FWR_OK : FWR_E_CRYPTO;
}

int fwr_phase_guard_save(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_save(r, FWR_STORE_GUARD, r->lanes[0].buffer, r->unit_size);

    *progress = true;
    if (!error)
        error = digest(r->lanes[0].buffer, r->unit_size, r->journal.guard);
    if (error)
        return error;
    /* The journal may still speak of another image: its next record can fail. */
    memcpy(r->guard_id, r->id, FWR_ID_SIZE);
    r->guard_saved = true;
    r->guard_changed = r->lanes[0].changed;
    r->status.blocks_wrong += r->guard_changed;
    return fwr_phase_enter(r, FWR_PHASE_CANDIDATE_SAVE);
}

/* The guard of an earlier life, or of this one when the body is done: from the store to lane 0,
 * and only if it is what the journal says. */
int fwr_phase_guard_load(struct fwr_recipient *r, bool *progress)
{
    uint8_t found[FWR_ID_SIZE];
    size_t length = 0;

    *progress = true;
    /* The guard must not be on the chip for certain before the body is. */
    int error = fwr_repair_sync(r);
    if (error)
        return error;
    fwr_repair_reset(r);
    error = fwr_device_load(r, FWR_STORE_GUARD, r->lanes[0].buffer, r->unit_max, &length);
    if (error == FWR_PENDING)
        return error;
    if (!error && length != r->unit_size)
        error = FWR_E_STORE_CORRUPT;
    if (!error)
        error = digest(r->lanes[0].buffer, length, found);
    if (!error && memcmp(found, r->journal.guard, sizeof(found)) != 0)
        error = FWR_E_STORE_CORRUPT;
    if (error) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "saved guard unusable (%s), fetching it again",
                          fwr_error_name(error));
        r->guard_saved = r->guard_done = false;
        return fwr_phase_begin_hash(r, FWR_PHASE_HASH);
    }
    if (!r->guard_done)
        return fwr_phase_enter(r, FWR_PHASE_CANDIDATE_SAVE);
    fwr_guard_write_begin(r);
    return fwr_phase_enter(r, FWR_PHASE_GUARD_WRITE);
}

int fwr_phase_guard_erase(struct fwr_recipient *r, bool *progress)
{
    int error;

    *progress = true;
    if (!r->dirty) {
        error = fwr_device_erase(r, r->guard_unit, r->unit_size);
        if (error < 0 && r->lanes[0].retries++ < r->config.flash_retries)
            return FWR_PENDING;
        if (error < 0)
            r->status.bad_block = r->guard_unit;
        if (error)
            return error;
        r->dirty = true;
        return FWR_OK;
    }
    error = fwr_repair_sync(r);
    if (error)
        return error;
    r->guard_done = true;
    return fwr_phase_next_segment(r);
}

int fwr_phase_guard_write(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_guard_write_step(r);

    *progress = true;
    if (error)
        return error;
    r->status.blocks_repaired += r->guard_changed;
    r->guard_changed = 0;
    return fwr_phase_begin_hash(r, FWR_PHASE_VERIFY);
}

/* ---- journal ---- */

int fwr_phase_candidate_save(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_save(r, FWR_STORE_CANDIDATE, r->envelope, r->envelope_length);

    *progress = true;
    if (error)
        return error;
    return fwr_phase_enter(r, r->healthy ? FWR_PHASE_COMMIT : FWR_PHASE_INTENT);
}

int fwr_phase_intent(struct fwr_recipient *r, bool *progress)
{
    struct fwr_journal *j = &r->journal;

    *progress = true;
    /* A record says that what the one before it named is done: not before it is certain. */
    int error = fwr_repair_sync(r);
    if (!error)
        error = fwr_journal_map_hash(&r->manifest.map, j->map);
    if (error)
        return error;
    memcpy(j->id, r->id, FWR_ID_SIZE);
    j->run = r->run;
    j->unit_size = r->unit_size;
    j->guarded = r->guard_saved;
    j->all = r->all_owed;
    j->bank = r->bank;
    j->flipped = false;
    memcpy(j->units, r->redo, r->redo_count * sizeof(r->redo[0]));
    j->count = r->redo_count;
    error = fwr_journal_write(r, r->redo_count > 0 ? FWR_JOURNAL_IN_FLIGHT : FWR_JOURNAL_INTENT);
    if (error)
        return error;
    r->writing = true;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "writing begins%s",
                      j->guarded ? ", guard block erased first" : "");
    if (j->guarded)
        return fwr_phase_enter(r, FWR_PHASE_GUARD_ERASE);
    return fwr_phase_next_segment(r);
}

int fwr_phase_fill(struct fwr_recipient *r, bool *progress)
{
    uint32_t address;
    int error = fwr_scan_fill_step(r, &address);

    *progress = true;
    if (error)
        return error;
    if (address != FWR_NO_ADDRESS && fwr_repair_plan_unit(r, address))
        return FWR_OK;
    if (address != FWR_NO_ADDRESS)
        r->fill_cursor = address; /* the plan is full: first do that much */
    if (r->plan_count > 0)
        return begin_fill_units(r);
    /* What the pass before found wrong is right now, here or with the leaves beside it. */
    r->status.blocks_blank += r->fill_wrong;
    r->status.blocks_repaired += r->fill_wrong;
    r->fill_wrong = 0;
    if (r->guard_done)
        return fwr_phase_enter(r, FWR_PHASE_GUARD_LOAD);
    return fwr_phase_begin_hash(r, FWR_PHASE_VERIFY);
}

int fwr_phase_fill_units(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_repair_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_repair_settle(r);
    fwr_repair_reset(r);
    if (r->redo_count > 0 || next_segment(r) != FWR_NO_ADDRESS)
        return fwr_phase_next_segment(r);
    return fwr_phase_enter(r, FWR_PHASE_FILL);
}
