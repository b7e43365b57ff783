/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases of finding out: from the first doubt to the list of segments that differ. Nothing here
 * writes to the flash.
 */
#include "phase.h"

#include <string.h>

#include "call.h"
#include "descent.h"
#include "device.h"
#include "negotiate.h"
#include "repair.h"
#include "scan.h"
#include "transfer.h"
#include "waive.h"

int fwr_phase_load_envelope(struct fwr_recipient *r, enum fwr_store_kind kind)
{
    int error = fwr_device_load(r, kind, r->envelope, r->config.max_envelope, &r->envelope_length);

    r->have_manifest = false;
    if (!error)
        error = fwr_envelope_verify_manifest(r->envelope, r->envelope_length, r->config.trust,
                                             &r->manifest, r->id);
    if (!error)
        error =
            fwr_manifest_compatible(&r->manifest, r->config.board, r->config.flash->geometry.size,
                                    r->config.flash->geometry.erase_size);
    r->have_manifest = error == FWR_OK;
    return error;
}

int fwr_phase_begin_hash(struct fwr_recipient *r, enum fwr_phase phase)
{
    int error = fwr_scan_prepare(r);

    if (error)
        return error;
    fwr_repair_reset(r);
    fwr_scan_begin(r);
    error = fwr_repair_adopt(r);
    if (error)
        return error;
    return fwr_phase_enter(r, phase == FWR_PHASE_HASH ? FWR_PHASE_WAIVE : phase);
}

int fwr_phase_waive(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_waive_prepare(r);

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_HASH);
}

int fwr_phase_check(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_phase_load_envelope(r, FWR_STORE_ENVELOPE);

    *progress = true;
    if (error)
        return error;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "checking the flash against %s, sequence %u",
                      r->manifest.version, (unsigned)r->manifest.sequence);
    return fwr_phase_begin_look(r);
}

int fwr_phase_ask(struct fwr_recipient *r, bool *progress)
{
    if (fwr_negotiate_gather(r) == FWR_PENDING)
        return FWR_PENDING;
    *progress = true;
    return fwr_phase_enter(r, FWR_PHASE_JUDGE);
}

void fwr_phase_begin_ask(struct fwr_recipient *r)
{
    fwr_negotiate_begin(r);
    fwr_recipient_enter(r, FWR_PHASE_ASK);
    r->deadline = r->now + r->config.gather_ms;
}

int fwr_phase_judge(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_negotiate_judge(r, progress);

    if (error == FWR_PENDING)
        return error;
    /* A console that offered what cannot be taken is told so; nobody else was to be asked. */
    if (error == FWR_E_UNPROVISIONED || (error && fwr_negotiate_is_pushed(r) && !r->writing))
        return error;
    if (error && r->resumed && !fwr_call_followed(r)) {
        /* Nobody has the image that was begun: any other good one will do. */
        r->resumed = false;
        fwr_phase_begin_ask(r);
        return FWR_OK;
    }
    if (error)
        return fwr_phase_back_off(r, error);
    r->called = FWR_NONE;
    if (memcmp(r->guard_id, r->id, FWR_ID_SIZE) != 0)
        r->guard_saved = r->guard_done = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE,
                      "chosen: version %s, sequence %u, security version %u; %u of %u donors were "
                      "asked, the highest sequence confirmed so far is %u",
                      r->manifest.version, (unsigned)r->manifest.sequence,
                      (unsigned)r->manifest.security_version, r->sample, fwr_negotiate_donors(r),
                      (unsigned)r->floors.sequence);
    if (r->bus || r->mode == FWR_START_DRY_RUN)
        return fwr_phase_begin_look(r);
    return fwr_phase_enter(r, FWR_PHASE_HOLD);
}

int fwr_phase_hold(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->hold);

    *progress = true;
    if (error)
        return error;
    r->held = true;
    return fwr_phase_enter(r, FWR_PHASE_TAKE_BUS);
}

int fwr_phase_take_bus(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->take_bus);

    *progress = true;
    if (error)
        return error;
    r->bus = true;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "host held, flash bus taken");
    if (r->chosen >= 0 || r->journal.type == FWR_JOURNAL_COMMIT)
        return fwr_phase_begin_look(r);
    fwr_phase_begin_ask(r);
    return FWR_OK;
}

bool fwr_phase_root_matches(const struct fwr_recipient *r)
{
    return memcmp(fwr_tree_part_root(&r->top_local), r->manifest.root, r->hasher.hash_size) == 0;
}

/* Begins the comparison with the donor's tree from the signed root down. */
static int begin_top(struct fwr_recipient *r)
{
    memcpy(fwr_tree_part_root(&r->top_remote), r->manifest.root, r->hasher.hash_size);
    fwr_descent_begin(r, &r->top_local, &r->top_remote, r->top_marks,
                      fwr_tree_segment_levels(r->leaves), 0);
    if (!fwr_phase_root_matches(r))
        fwr_negotiate_accept(r);
    return fwr_phase_enter(r, FWR_PHASE_TOP);
}

static void count_regions(struct fwr_recipient *r)
{
    r->status.blocks_total = r->status.bytes_preserved = 0;
    r->status.blocks_waived = fwr_waive_blocks(r);
    for (uint16_t i = 0; i < r->manifest.map.count; i++) {
        const struct fwr_region *region = &r->manifest.map.regions[i];
        if (region->kind == FWR_REGION_PRESERVE)
            r->status.bytes_preserved += region->length;
        else
            r->status.blocks_total += region->length / fwr_block_size(r);
    }
}

int fwr_phase_hash(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_scan_step(r);

    *progress = true;
    if (error)
        return error;
    count_regions(r);
    bool right = fwr_phase_root_matches(r) && r->fill_wrong == 0;
    r->status.blocks_wrong = r->status.blocks_repaired + r->fill_wrong;
    fwr_recipient_log(r, FWR_LOG_NOTICE,
                      right ? "flash hashed: it is right" : "flash hashed: damage found");
    if (r->mode == FWR_START_CHECK)
        return fwr_phase_finish(r, right ? FWR_OK : FWR_E_ROOT);
    if (!right && fwr_phase_bank_switch(r))
        return fwr_phase_begin_hash(r, FWR_PHASE_HASH);
    r->healthy = right && r->redo_count == 0 && !r->guard_saved && !r->all_owed;
    if (r->mode == FWR_START_DRY_RUN && right)
        return fwr_phase_finish(r, r->bank == r->pointer.bank ? FWR_OK : FWR_E_ROOT);
    return begin_top(r);
}

int fwr_phase_top(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);

    if (error)
        return error;
    *progress = true;
    r->segments_wrong = 0;
    r->segments_done = 0;
    for (uint32_t s = 0; s < r->top_local.leaves; s++)
        r->segments_wrong += r->top_marks[s] || r->all_owed;
    if (r->mode == FWR_START_DRY_RUN)
        return fwr_phase_next_segment(r);
    return fwr_phase_begin_writing(r);
}
