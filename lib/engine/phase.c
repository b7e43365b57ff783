/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases: see phase.h. The table is the whole machine.
 */
#include "phase.h"

#include <string.h>

#include "bank.h"
#include "call.h"
#include "negotiate.h"
#include "repair.h"
#include "transfer.h"

#define BACKOFF_DOUBLINGS 6

static int rest(struct fwr_recipient *r, bool *progress)
{
    (void)r, (void)progress;
    return FWR_PENDING;
}

static const struct fwr_phase_row phases[FWR_PHASE_COUNT] = {
    [FWR_PHASE_IDLE] = {FWR_STATE_IDLE, true, false, false, rest},
    [FWR_PHASE_CHECK] = {FWR_STATE_CHECKING, false, false, false, fwr_phase_check},
    [FWR_PHASE_ASK] = {FWR_STATE_NEGOTIATING, false, false, false, fwr_phase_ask},
    [FWR_PHASE_JUDGE] = {FWR_STATE_NEGOTIATING, false, false, false, fwr_phase_judge},
    [FWR_PHASE_HOLD] = {FWR_STATE_HOLDING, false, false, false, fwr_phase_hold},
    [FWR_PHASE_TAKE_BUS] = {FWR_STATE_HOLDING, false, false, false, fwr_phase_take_bus},
    [FWR_PHASE_BANK] = {FWR_STATE_HASHING, false, false, false, fwr_phase_bank},
    [FWR_PHASE_WAIVE] = {FWR_STATE_HASHING, false, false, false, fwr_phase_waive},
    [FWR_PHASE_HASH] = {FWR_STATE_HASHING, false, false, false, fwr_phase_hash},
    [FWR_PHASE_TOP] = {FWR_STATE_REPAIRING, false, true, false, fwr_phase_top},
    [FWR_PHASE_GUARD_HASH] = {FWR_STATE_REPAIRING, false, false, false, fwr_phase_segment_hash},
    [FWR_PHASE_GUARD_DESCENT] = {FWR_STATE_REPAIRING, false, true, false, fwr_phase_guard_descent},
    [FWR_PHASE_GUARD_UNIT] = {FWR_STATE_REPAIRING, false, true, false, fwr_phase_guard_unit},
    [FWR_PHASE_GUARD_SAVE] = {FWR_STATE_REPAIRING, false, false, false, fwr_phase_guard_save},
    [FWR_PHASE_POINT] = {FWR_STATE_REPAIRING, false, false, false, fwr_phase_point},
    [FWR_PHASE_CANDIDATE_SAVE] = {FWR_STATE_REPAIRING, false, false, false,
                                  fwr_phase_candidate_save},
    [FWR_PHASE_INTENT] = {FWR_STATE_REPAIRING, false, false, true, fwr_phase_intent},
    [FWR_PHASE_GUARD_ERASE] = {FWR_STATE_REPAIRING, false, false, true, fwr_phase_guard_erase},
    [FWR_PHASE_SEGMENT_HASH] = {FWR_STATE_REPAIRING, false, false, false, fwr_phase_segment_hash},
    [FWR_PHASE_SEGMENT_DESCENT] = {FWR_STATE_REPAIRING, false, true, false,
                                   fwr_phase_segment_descent},
    [FWR_PHASE_UNITS] = {FWR_STATE_REPAIRING, false, true, true, fwr_phase_units},
    [FWR_PHASE_FILL] = {FWR_STATE_REPAIRING, false, false, true, fwr_phase_fill},
    [FWR_PHASE_FILL_UNITS] = {FWR_STATE_REPAIRING, false, false, true, fwr_phase_fill_units},
    [FWR_PHASE_GUARD_LOAD] = {FWR_STATE_REPAIRING, false, false, false, fwr_phase_guard_load},
    [FWR_PHASE_GUARD_WRITE] = {FWR_STATE_REPAIRING, false, false, true, fwr_phase_guard_write},
    [FWR_PHASE_VERIFY] = {FWR_STATE_VERIFYING, false, false, true, fwr_phase_verify},
    [FWR_PHASE_COMMIT] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_commit},
    [FWR_PHASE_FLIP] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_flip},
    [FWR_PHASE_GIVE_BUS] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_give_bus},
    [FWR_PHASE_TRIAL_RECORD] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_trial_record},
    [FWR_PHASE_RELEASE] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_release},
    [FWR_PHASE_TRIAL] = {FWR_STATE_TRIAL, false, false, false, rest},
    [FWR_PHASE_PROVEN] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_proven},
    [FWR_PHASE_CONFIRM_RECORD] = {FWR_STATE_RELEASING, false, false, true,
                                  fwr_phase_confirm_record},
    [FWR_PHASE_CONFIRM_POINTER] = {FWR_STATE_RELEASING, false, false, true,
                                   fwr_phase_confirm_pointer},
    [FWR_PHASE_CONFIRM_FLOOR] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_confirm_floor},
    [FWR_PHASE_CONFIRM_SEQUENCE] = {FWR_STATE_RELEASING, false, false, true,
                                    fwr_phase_confirm_sequence},
    [FWR_PHASE_CONFIRM_ENVELOPE] = {FWR_STATE_RELEASING, false, false, true,
                                    fwr_phase_confirm_envelope},
    [FWR_PHASE_CONFIRM_WAIVED] = {FWR_STATE_RELEASING, false, false, true,
                                  fwr_phase_confirm_waived},
    [FWR_PHASE_CONFIRM_REJECTED] = {FWR_STATE_RELEASING, false, false, true,
                                    fwr_phase_confirm_rejected},
    [FWR_PHASE_CONFIRM_JOURNAL] = {FWR_STATE_RELEASING, false, false, true,
                                   fwr_phase_confirm_journal},
    [FWR_PHASE_DONE] = {FWR_STATE_DONE, true, false, false, rest},
    [FWR_PHASE_BACKOFF] = {FWR_STATE_BACKOFF, false, false, false, rest},
    [FWR_PHASE_BACK_HOLD] = {FWR_STATE_HOLDING, false, false, true, fwr_phase_back_hold},
    [FWR_PHASE_BACK_TAKE_BUS] = {FWR_STATE_HOLDING, false, false, true, fwr_phase_back_take_bus},
    [FWR_PHASE_BACK_LOAD] = {FWR_STATE_VERIFYING, false, false, true, fwr_phase_back_load},
    [FWR_PHASE_BACK_WAIVE] = {FWR_STATE_VERIFYING, false, false, true, fwr_phase_back_waive},
    [FWR_PHASE_BACK_HASH] = {FWR_STATE_VERIFYING, false, false, true, fwr_phase_back_hash},
    [FWR_PHASE_BACK_STAY] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_stay},
    [FWR_PHASE_BACK_POINT] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_point},
    [FWR_PHASE_BACK_GIVE_BUS] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_give_bus},
    [FWR_PHASE_BACK_RECORD] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_record},
    [FWR_PHASE_BACK_RELEASE] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_release},
    [FWR_PHASE_BACK_JOURNAL] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_back_journal},
    [FWR_PHASE_FAIL_GIVE_BUS] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_give_bus},
    [FWR_PHASE_FAIL_RELEASE] = {FWR_STATE_RELEASING, false, false, true, fwr_phase_release},
    [FWR_PHASE_FAILED] = {FWR_STATE_FAILED, true, false, false, rest},
};

const struct fwr_phase_row *fwr_phase_row(const struct fwr_recipient *r)
{
    return &phases[r->phase];
}

enum fwr_state fwr_phase_state(enum fwr_phase phase)
{
    return phases[phase].state;
}

uint16_t fwr_recipient_permille(const struct fwr_recipient *r)
{
    uint32_t of = r->segments_wrong, done = r->segments_done;

    switch (fwr_phase_state((enum fwr_phase)r->phase)) {
    case FWR_STATE_CHECKING:
    case FWR_STATE_HASHING:
    case FWR_STATE_VERIFYING:
        return r->leaves ? (uint16_t)((uint64_t)r->hash_leaf * 1000 / r->leaves) : 0;
    case FWR_STATE_REPAIRING:
        if (of == 0 || done >= of)
            return of == 0 ? 0 : 1000;
        done = done * 1000 / of;
        if (r->phase == FWR_PHASE_UNITS && r->plan_count > 0)
            done += r->plan_written * 1000 / r->plan_count / of;
        return (uint16_t)(done > 1000 ? 1000 : done);
    case FWR_STATE_DONE:
    case FWR_STATE_RELEASING:
    case FWR_STATE_TRIAL:
        return 1000;
    default:
        return 0;
    }
}

bool fwr_at_rest(const struct fwr_recipient *r)
{
    return fwr_phase_row(r)->rest;
}

void fwr_recipient_enter(struct fwr_recipient *r, enum fwr_phase phase)
{
    bool was_at_rest = fwr_at_rest(r);

    r->phase = (uint8_t)phase;
    r->deadline = FWR_NEVER;
    if (!was_at_rest && fwr_at_rest(r))
        r->elapsed = (uint32_t)(r->now - r->started);
}

int fwr_phase_enter(struct fwr_recipient *r, enum fwr_phase phase)
{
    fwr_recipient_enter(r, phase);
    return FWR_OK;
}

void fwr_recipient_fail(struct fwr_recipient *r, int reason)
{
    r->reason = reason;
    r->aborting = false;
    fwr_repair_owe(r);
    fwr_repair_reset(r);
    fwr_transfer_end_all(r, (uint8_t)-reason);
    fwr_recipient_log(r, FWR_LOG_ERROR, "stopped: %s (%s)", fwr_error_text(reason),
                      fwr_error_name(reason));
    if (r->status.bad_block != FWR_NO_ADDRESS)
        fwr_recipient_log(r, FWR_LOG_ERROR, "the block behind it is at %#x",
                          (unsigned)r->status.bad_block);
    /* Half an image must not run unless configuration says that a dark host is worse. */
    if (r->held && (!r->writing || r->config.release_on_failure || fwr_bank_spared(r))) {
        fwr_recipient_enter(r, r->bus ? FWR_PHASE_FAIL_GIVE_BUS : FWR_PHASE_FAIL_RELEASE);
        return;
    }
    if (r->held)
        fwr_recipient_log(r, FWR_LOG_ERROR, "the host stays held: its flash is half written");
    fwr_recipient_enter(r, FWR_PHASE_FAILED);
}

/* What a fruitless round counts. That a few of many answered, but have no image, says little about
 * the others, and they may soon have one. */
static uint8_t worth(const struct fwr_recipient *r, int reason)
{
    if (reason == FWR_E_DONORS_BUSY)
        return 1;
    if (reason == FWR_E_NO_OFFER && r->sample < fwr_negotiate_donors(r))
        return FWR_BUSY_ROUNDS / 2;
    return FWR_BUSY_ROUNDS;
}

/* Nothing usable now: pause, then ask again, a bounded number of rounds. */
int fwr_phase_back_off(struct fwr_recipient *r, int reason)
{
    bool busy = reason == FWR_E_DONORS_BUSY;

    if (fwr_call_followed(r)) {
        fwr_call_vain(r, reason);
        return FWR_OK;
    }
    uint16_t tries = (uint16_t)(r->tries + worth(r, reason));

    fwr_negotiate_lost(r, worth(r, reason));
    if (r->config.rounds != UINT8_MAX && tries >= r->config.rounds * FWR_BUSY_ROUNDS) {
        fwr_recipient_fail(r, reason);
        return FWR_OK;
    }
    uint8_t doublings = (uint8_t)(r->tries / FWR_BUSY_ROUNDS);
    if (doublings > BACKOFF_DOUBLINGS)
        doublings = BACKOFF_DOUBLINGS;
    uint64_t pause = (uint64_t)r->config.backoff_ms << doublings;
    uint64_t retry_at = fwr_negotiate_retry_at(r);
    uint32_t jitter = 0;

    r->config.platform->random(r->config.platform->ctx, &jitter, sizeof(jitter));
    pause += jitter % (pause / 4 + 1);
    fwr_repair_owe(r);
    fwr_repair_reset(r);
    fwr_transfer_end_all(r, (uint8_t)-reason);
    r->reason = reason;
    r->rounds = r->rounds < UINT8_MAX ? r->rounds + 1 : UINT8_MAX;
    r->tries = tries < UINT8_MAX * FWR_BUSY_ROUNDS ? tries : UINT8_MAX * FWR_BUSY_ROUNDS;
    fwr_recipient_enter(r, FWR_PHASE_BACKOFF);
    /* The donors know when they are free again; meanwhile others may be asked, if there are any.
     * But nobody may put us off for ever. Where there are many donors it may be any of them that
     * is free first, and it calls: coming back to a few ever sooner would only keep them busy. */
    if (busy && fwr_negotiate_all_busy(r))
        pause = (uint64_t)r->config.backoff_ms << BACKOFF_DOUBLINGS;
    r->deadline = r->now + pause;
    if (busy && fwr_negotiate_donors(r) <= FWR_ASK_ALL_MAX && retry_at > r->now &&
        retry_at < r->deadline)
        r->deadline = retry_at;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "nothing usable: %s; asking again in %u ms",
                      fwr_error_text(reason), (unsigned)(r->deadline - r->now));
    return FWR_OK;
}

int fwr_phase_finish(struct fwr_recipient *r, int reason)
{
    r->reason = reason;
    if (reason == FWR_OK && r->mode == FWR_START_REPAIR)
        r->lost = 0; /* the next run begins without a grudge */
    fwr_transfer_end_all(r, (uint8_t)-reason);
    return fwr_phase_enter(r, FWR_PHASE_DONE);
}
