/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases of a board with two banks: which bank is looked at and written, the pointer moved after
 * the commit, its last word after the boot proof, and the way back when there is none. The order
 * of pointer, store and host operations here is what survives power cuts.
 */
#include "phase.h"

#include "bank.h"
#include "device.h"
#include "journal.h"
#include "repair.h"
#include "scan.h"
#include "waive.h"

int fwr_phase_begin_look(struct fwr_recipient *r)
{
    if (r->config.banks)
        return fwr_phase_enter(r, FWR_PHASE_BANK);
    return fwr_phase_begin_hash(r, FWR_PHASE_HASH);
}

/* First the bank that the host boots: where that is right, nothing need be done. A bank that is
 * half written comes before everything else. */
int fwr_phase_bank(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_journal *j = &r->journal;
    int error = fwr_bank_look(r);

    *progress = true;
    if (error)
        return error;
    if (!r->pointer.lost && r->pointer.state == FWR_BANK_TRIAL)
        r->all_owed = false; /* it was committed, and no other has been begun */
    r->bank = r->pointer.bank;
    if (fwr_bank_half_written(r) || (j->type == FWR_JOURNAL_COMMIT && r->resumed))
        r->bank = j->bank;
    else if (r->all_owed) /* that journal is lost, but it was the other one */
        r->bank = FWR_BANK_OTHER(r->pointer.bank);
    /* Its boot is still to be proven, whoever moved the pointer there. */
    r->flipped = (r->pointer.state == FWR_BANK_TRIAL && r->pointer.bank == r->bank) ||
                 (j->type >= FWR_JOURNAL_COMMIT && j->flipped && j->bank == r->bank);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "the host boots bank %u; looking at bank %u",
                      r->pointer.bank, r->bank);
    return fwr_phase_begin_hash(r, FWR_PHASE_HASH);
}

bool fwr_phase_bank_switch(struct fwr_recipient *r)
{
    if (!r->config.banks || fwr_bank_half_written(r) || r->bank != r->pointer.bank)
        return false;
    r->bank = FWR_BANK_OTHER(r->bank);
    r->flipped = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE,
                      "bank %u is not this image and stays as it is; looking at bank %u",
                      r->pointer.bank, r->bank);
    return true;
}

/* Before the first erase: for certain, the pointer names the other bank; nor is that one on trial
 * any more, so that a pointer on trial says that nothing is half written. */
int fwr_phase_point(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_bank_point(r, FWR_BANK_OTHER(r->bank), FWR_BANK_CONFIRMED);

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_CANDIDATE_SAVE);
}

/* The bank is whole, verified and committed: the host may boot it. */
int fwr_phase_flip(struct fwr_recipient *r, bool *progress)
{
    bool trial = r->flipped && r->config.boot_proof_ms > 0;
    int error = fwr_bank_point(r, r->bank, trial ? FWR_BANK_TRIAL : FWR_BANK_CONFIRMED);

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_GIVE_BUS);
}

/* ---- the boot is proven ---- */

/* A board may have gone back by itself: then it was the other bank that proved its boot. */
int fwr_phase_proven(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_bank_look(r);

    *progress = true;
    if (error)
        return error;
    if (r->pointer.bank == r->bank)
        return fwr_phase_enter(r, FWR_PHASE_CONFIRM_RECORD);
    fwr_recipient_log(r, FWR_LOG_ERROR, "but of bank %u: the board went back by itself",
                      r->pointer.bank);
    return fwr_phase_enter(r, FWR_PHASE_BACK_POINT);
}

int fwr_phase_confirm_pointer(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_bank_point(r, r->bank, FWR_BANK_CONFIRMED);

    *progress = true;
    if (error)
        return error;
    r->flipped = false;
    return fwr_phase_enter(r, FWR_PHASE_CONFIRM_FLOOR);
}

/* An image that was refused for its boot has proven it after all: a person insisted. */
int fwr_phase_confirm_rejected(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_rejected_is(r, r->id) ? fwr_rejected_forget(r) : FWR_OK;

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_CONFIRM_JOURNAL);
}

/* ---- the boot is not proven ---- */

void fwr_phase_fall_back(struct fwr_recipient *r)
{
    fwr_recipient_log(r, FWR_LOG_ERROR, "bank %u did not prove its boot in time", r->bank);
    fwr_recipient_enter(r, FWR_PHASE_BACK_HOLD);
}

void fwr_phase_resume_back(struct fwr_recipient *r)
{
    const struct fwr_journal *j = &r->journal;

    r->bank = j->bank;
    r->flipped = j->flipped;
    if (j->type != FWR_JOURNAL_TRIAL || !j->flipped)
        return;
    if (r->pointer.bank != j->bank)
        fwr_recipient_enter(r, FWR_PHASE_BACK_POINT);
    else if (!r->resumed)
        fwr_recipient_enter(r, FWR_PHASE_BACK_HOLD);
}

int fwr_phase_back_hold(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->hold);

    *progress = true;
    if (error)
        return error;
    r->held = true;
    return fwr_phase_enter(r, FWR_PHASE_BACK_TAKE_BUS);
}

int fwr_phase_back_take_bus(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->take_bus);

    *progress = true;
    if (error)
        return error;
    r->bus = true;
    return fwr_phase_enter(r, FWR_PHASE_BACK_LOAD);
}

/* What the other bank should hold: the image confirmed last. Where that is not known, it is still
 * the bank that the host ran before, and nothing was written to it. */
int fwr_phase_back_load(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_phase_load_envelope(r, FWR_STORE_ENVELOPE);

    *progress = true;
    if (error == FWR_PENDING)
        return error;
    if (!error)
        error = fwr_scan_prepare(r);
    if (error) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "what bank %u should hold is not known (%s)",
                          FWR_BANK_OTHER(r->bank), fwr_error_name(error));
        return fwr_phase_enter(r, FWR_PHASE_BACK_POINT);
    }
    r->bank = FWR_BANK_OTHER(r->journal.bank);
    fwr_repair_reset(r);
    fwr_scan_begin(r);
    return fwr_phase_enter(r, FWR_PHASE_BACK_WAIVE);
}

int fwr_phase_back_waive(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_waive_prepare(r);

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_BACK_HASH);
}

int fwr_phase_back_hash(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_scan_step(r);

    *progress = true;
    if (error == FWR_PENDING)
        return error;
    if (!error && fwr_phase_root_matches(r) && r->fill_wrong == 0)
        return fwr_phase_enter(r, FWR_PHASE_BACK_POINT);
    fwr_recipient_log(r, FWR_LOG_ERROR,
                      "bank %u is damaged: the host stays with bank %u, whole and verified",
                      r->bank, r->journal.bank);
    r->bank = r->journal.bank;
    return fwr_phase_enter(r, FWR_PHASE_BACK_STAY);
}

/* There is nothing to go back to; a restart must not try it again. */
int fwr_phase_back_stay(struct fwr_recipient *r, bool *progress)
{
    r->journal.flipped = false;
    int error = fwr_journal_write(r, FWR_JOURNAL_TRIAL);

    *progress = true;
    if (error)
        return error;
    r->flipped = false;
    return FWR_E_BOOT_PROOF;
}

int fwr_phase_back_point(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_bank_point(r, FWR_BANK_OTHER(r->journal.bank), FWR_BANK_CONFIRMED);

    *progress = true;
    if (error)
        return error;
    r->bank = r->pointer.bank;
    return fwr_phase_enter(r, FWR_PHASE_BACK_GIVE_BUS);
}

int fwr_phase_back_give_bus(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->give_bus);

    *progress = true;
    if (error)
        return error;
    r->bus = false;
    return fwr_phase_enter(r, FWR_PHASE_BACK_RECORD);
}

/* Or the next run would try the same image again, and so for ever. */
int fwr_phase_back_record(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_rejected_save(r, r->journal.id);

    *progress = true;
    return error ? error : fwr_phase_enter(r, FWR_PHASE_BACK_RELEASE);
}

int fwr_phase_back_release(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_device_host(r, r->config.host->release);

    *progress = true;
    if (error)
        return error;
    r->held = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "host released, with bank %u", r->bank);
    return fwr_phase_enter(r, FWR_PHASE_BACK_JOURNAL);
}

int fwr_phase_back_journal(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_journal_remove(r);

    *progress = true;
    if (error)
        return error;
    r->resumed = r->flipped = false;
    return FWR_E_FELL_BACK;
}
