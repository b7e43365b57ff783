/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases: the steps of a recovery, one handler each, and the only functions that move from one
 * to another. The handlers stand in phase-find.c (until it is known what is wrong), phase-write.c
 * (until the flash is right) and phase-finish.c (until the boot is confirmed).
 */
#ifndef FWR_LIB_ENGINE_PHASE_H
#define FWR_LIB_ENGINE_PHASE_H

#include "engine.h"

/* A handler does one slice of its phase's work, at most one slow operation. FWR_OK: it moved on,
 * or has nothing more to do just now. FWR_PENDING: it waits. `progress` is set when it should be
 * called again at once. An error ends the run. */
typedef int fwr_phase_handler(struct fwr_recipient *r, bool *progress);

struct fwr_phase_row {
    enum fwr_state state; /* as peers see it */
    bool rest;
    bool needs_donors; /* waits for bytes of the chosen image */
    bool binding;      /* from the journal's first record to its end: not to be aborted */
    fwr_phase_handler *step;
};
const struct fwr_phase_row *fwr_phase_row(const struct fwr_recipient *r);

/* fwr_recipient_enter that returns FWR_OK: the last line of most handlers. */
int fwr_phase_enter(struct fwr_recipient *r, enum fwr_phase phase);

/* Nothing usable now: pauses, then asks again, a bounded number of rounds. FWR_OK. */
int fwr_phase_back_off(struct fwr_recipient *r, int reason);

/* The run is over with `reason`, FWR_OK included, and there is nothing to give back. FWR_OK. */
int fwr_phase_finish(struct fwr_recipient *r, int reason);

/* Asks the donors. */
void fwr_phase_begin_ask(struct fwr_recipient *r);

/* Begins a pass over the whole flash: phase VERIFY, or HASH, before which what is known of waived
 * leaves is looked up. FWR_OK or an error. */
int fwr_phase_begin_hash(struct fwr_recipient *r, enum fwr_phase phase);

/* The same on a board with two banks: first the pointer says which one is looked at. */
int fwr_phase_begin_look(struct fwr_recipient *r);

/* Goes to the next segment that needs work, or on to the fill regions. FWR_OK. */
int fwr_phase_next_segment(struct fwr_recipient *r);

/* Reads, verifies and takes into use the envelope of a record. FWR_OK or why not. */
int fwr_phase_load_envelope(struct fwr_recipient *r, enum fwr_store_kind kind);

/* Whether the last pass gave the signed root. */
bool fwr_phase_root_matches(const struct fwr_recipient *r);

/* phase-bank.c: turns from the bank that the host boots, which is not right, to the other one.
 * False when there is none, or when it was looked at already. */
bool fwr_phase_bank_switch(struct fwr_recipient *r);
/* Takes the host back to the other bank: its boot was not proven. */
void fwr_phase_fall_back(struct fwr_recipient *r);
/* What is known of a journal of the type TRIAL or above; enters the phase where falling back goes
 * on, if that was cut. */
void fwr_phase_resume_back(struct fwr_recipient *r);
fwr_phase_handler fwr_phase_bank, fwr_phase_point, fwr_phase_flip, fwr_phase_proven,
    fwr_phase_confirm_pointer, fwr_phase_confirm_rejected, fwr_phase_back_hold,
    fwr_phase_back_take_bus, fwr_phase_back_load, fwr_phase_back_waive, fwr_phase_back_hash,
    fwr_phase_back_stay, fwr_phase_back_point, fwr_phase_back_give_bus, fwr_phase_back_record,
    fwr_phase_back_release, fwr_phase_back_journal;
/* phase-find.c */
fwr_phase_handler fwr_phase_check, fwr_phase_ask, fwr_phase_judge, fwr_phase_hold,
    fwr_phase_take_bus, fwr_phase_waive, fwr_phase_hash, fwr_phase_top;
/* phase-write.c */
fwr_phase_handler fwr_phase_segment_hash, fwr_phase_segment_descent, fwr_phase_units,
    fwr_phase_guard_descent, fwr_phase_guard_unit, fwr_phase_guard_save, fwr_phase_candidate_save,
    fwr_phase_intent, fwr_phase_guard_erase, fwr_phase_fill, fwr_phase_fill_units,
    fwr_phase_guard_load, fwr_phase_guard_write;
/* phase-finish.c */
fwr_phase_handler fwr_phase_verify, fwr_phase_commit, fwr_phase_give_bus, fwr_phase_trial_record,
    fwr_phase_release, fwr_phase_confirm_record, fwr_phase_confirm_floor,
    fwr_phase_confirm_sequence, fwr_phase_confirm_envelope, fwr_phase_confirm_waived,
    fwr_phase_confirm_journal;

/* Where writing begins: the guard first where one is wanted. FWR_OK. */
int fwr_phase_begin_writing(struct fwr_recipient *r);

#endif
