/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases of finishing: the whole flash against the signed root, commit, host released, boot
 * proven, floors raised; in this order.
 */
#include "phase.h"

#include <string.h>

#include "device.h"
#include "journal.h"
#include "repair.h"
#include "scan.h"
#include "transfer.h"
#include "waive.h"

#define FLOOR_TRIES  3
#define VERIFIES_MAX 3 /* whole passes that may miss the root before the chip is blamed */

int fwr_phase_verify(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_scan_step(r);

    *progress = true;
    if (error)
        return error;
    if (fwr_phase_root_matches(r) && r->fill_wrong == 0) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "whole flash read back: root verified");
        return fwr_phase_enter(r, FWR_PHASE_COMMIT);
    }
    if (++r->verifies >= VERIFIES_MAX)
        return FWR_E_ROOT;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "the flash does not give the signed root yet: again");
    r->guard_done = false;
    return fwr_phase_begin_hash(r, FWR_PHASE_HASH);
}

int fwr_phase_commit(struct fwr_recipient *r, bool *progress)
{
    *progress = true;
    int error = fwr_repair_sync(r);
    if (error)
        return error;
    memcpy(r->journal.id, r->id, FWR_ID_SIZE);
    r->journal.run = r->run; /* a healthy flash needed no INTENT */
    r->journal.count = 0;
    r->journal.unit_size = r->unit_size;
    r->journal.guarded = r->journal.all = false;
    r->journal.bank = r->bank;
    r->flipped |= r->bank != r->pointer.bank;
    r->journal.flipped = r->flipped;
    error = fwr_journal_map_hash(&r->manifest.map, r->journal.map);
    if (!error)
        error = fwr_journal_write(r, FWR_JOURNAL_COMMIT);
    if (error)
        return error;
    r->writing = r->all_owed = false;
    r->redo_count = 0;
    r->guard_saved = r->guard_done = false;
    fwr_transfer_end_all(r, 0);
    return fwr_phase_enter(r, r->config.banks ? FWR_PHASE_FLIP : FWR_PHASE_GIVE_BUS);
}

/* ---- release and confirmation ---- */

int fwr_phase_give_bus(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->give_bus);

    *progress = true;
    if (error)
        return error;
    r->bus = false;
    if (r->phase == FWR_PHASE_FAIL_GIVE_BUS)
        return fwr_phase_enter(r, FWR_PHASE_FAIL_RELEASE);
    if (r->journal.type >= FWR_JOURNAL_TRIAL) /* in an earlier life */
        return fwr_phase_enter(r, FWR_PHASE_RELEASE);
    return fwr_phase_enter(r, FWR_PHASE_TRIAL_RECORD);
}

int fwr_phase_trial_record(struct fwr_recipient *r, bool *progress)
{
    /* Without a boot proof nothing is open any more: a restart must not hold the host again. */
    int error =
        fwr_journal_write(r, r->config.boot_proof_ms ? FWR_JOURNAL_TRIAL : FWR_JOURNAL_CONFIRMED);

    *progress = true;
    if (error)
        return error;
    return fwr_phase_enter(r, FWR_PHASE_RELEASE);
}

/* From here on the boot counts as proven. */
static int begin_confirm(struct fwr_recipient *r)
{
    return fwr_phase_enter(r,
                           r->config.banks ? FWR_PHASE_CONFIRM_POINTER : FWR_PHASE_CONFIRM_FLOOR);
}

int fwr_phase_release(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->release);

    *progress = true;
    if (error)
        return error;
    r->held = false;
    if (r->phase == FWR_PHASE_FAIL_RELEASE)
        return fwr_phase_enter(r, FWR_PHASE_FAILED);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "host released");
    if (r->journal.type == FWR_JOURNAL_CONFIRMED)
        return begin_confirm(r);
    if (r->config.boot_proof_ms == 0)
        return fwr_phase_enter(r, FWR_PHASE_CONFIRM_RECORD);
    fwr_recipient_enter(r, FWR_PHASE_TRIAL);
    r->deadline = r->now + r->config.boot_proof_ms;
    return FWR_OK;
}

int fwr_phase_confirm_record(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_journal_write(r, FWR_JOURNAL_CONFIRMED);

    *progress = true;
    if (error)
        return error;
    return begin_confirm(r);
}

/* Raises a floor to what the image says. The boot is proven: a floor that cannot be raised is no
 * reason to stop, but one to say so; in this life it counts as raised all the same. */
static int raise_floor(struct fwr_recipient *r, enum fwr_floor floor, uint32_t *known,
                       uint32_t value, enum fwr_phase next)
{
    bool due = value > *known || r->floors_owed;
    int error = due ? fwr_device_floor_raise(r, floor, value) : FWR_OK;

    if (error == FWR_PENDING)
        return error;
    if (error && error != FWR_E_FLOOR_SPENT && ++r->floor_tries < FLOOR_TRIES)
        return FWR_OK;
    if (error) {
        r->floor_error = error;
        r->floors_owed = true;
        fwr_recipient_log(r, FWR_LOG_ERROR,
                          "the %s floor stays below %u: %s (%s); older images are not kept out "
                          "after a restart",
                          floor == FWR_FLOOR_SEQUENCE ? "sequence" : "security version",
                          (unsigned)value, fwr_error_text(error), fwr_error_name(error));
    }
    if (value > *known)
        *known = value;
    r->floor_tries = 0;
    return fwr_phase_enter(r, next);
}

int fwr_phase_confirm_floor(struct fwr_recipient *r, bool *progress)
{
    *progress = true;
    if (r->floor_tries == 0)
        r->floor_error = FWR_OK; /* of an earlier run that got no further */
    return raise_floor(r, FWR_FLOOR_SECURITY_VERSION, &r->floors.security_version,
                       r->manifest.security_version, FWR_PHASE_CONFIRM_SEQUENCE);
}

int fwr_phase_confirm_sequence(struct fwr_recipient *r, bool *progress)
{
    *progress = true;
    return raise_floor(r, FWR_FLOOR_SEQUENCE, &r->floors.sequence, r->manifest.sequence,
                       FWR_PHASE_CONFIRM_ENVELOPE);
}

int fwr_phase_confirm_envelope(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_save(r, FWR_STORE_ENVELOPE, r->envelope, r->envelope_length);

    *progress = true;
    if (error)
        return error;
    memcpy(r->confirmed_id, r->id, FWR_ID_SIZE);
    r->floors_owed = r->floor_error != FWR_OK;
    return fwr_phase_enter(r, FWR_PHASE_CONFIRM_WAIVED);
}

int fwr_phase_confirm_waived(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_waive_save(r);

    *progress = true;
    if (error)
        return error;
    return fwr_phase_enter(r, FWR_PHASE_CONFIRM_REJECTED);
}

int fwr_phase_confirm_journal(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_journal_remove(r);

    *progress = true;
    if (error)
        return error;
    fwr_recipient_log(
        r, FWR_LOG_NOTICE,
        "done: %u blocks repaired, %u fetched, %u copied, %u blank, %u bytes received",
        (unsigned)r->status.blocks_repaired, (unsigned)r->status.blocks_fetched,
        (unsigned)r->status.blocks_copied, (unsigned)r->status.blocks_blank,
        (unsigned)r->status.bytes_received);
    r->resumed = false;
    fwr_phase_finish(r, FWR_OK);
    r->reason = r->floor_error;
    r->floor_error = FWR_OK;
    return FWR_OK;
}
