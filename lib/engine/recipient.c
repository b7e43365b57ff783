/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipient: the engine's public face: its life, its runs, messages and time. What a run does
 * is the phases' business (phase.h).
 */
#include <stdalign.h>
#include <string.h>

#include <openssl/crypto.h>

#include "call.h"
#include "device.h"
#include "bank.h"
#include "journal.h"
#include "negotiate.h"
#include "phase.h"
#include "repair.h"
#include "roads.h"
#include "storage.h"
#include "transfer.h"

/* The candidate that the journal speaks of, from the store. */
static int load_candidate(struct fwr_recipient *r)
{
    uint8_t map[FWR_ID_SIZE];
    int error;

    do
        error = fwr_phase_load_envelope(r, FWR_STORE_CANDIDATE);
    while (error == FWR_PENDING);
    if (!error)
        error = fwr_journal_map_hash(&r->manifest.map, map);
    if (!error && (memcmp(r->journal.id, r->id, FWR_ID_SIZE) != 0 ||
                   memcmp(r->journal.map, map, sizeof(map)) != 0))
        error = FWR_E_STORE_CORRUPT;
    return error;
}

/* The recipient cannot start: somebody has to know which record is the matter. */
static int unreadable(struct fwr_recipient *r, const char *record, int error)
{
    fwr_recipient_log(r, FWR_LOG_ERROR, "cannot start: stored %s: %s (%s)", record,
                      fwr_error_text(error), fwr_error_name(error));
    return error;
}

/* The host was given the flash back, or was about to be: it is not held again. A later run that
 * was cut before its first record may have taken both once more. */
static void resume_released(struct fwr_recipient *r)
{
    r->held = r->bus = true;
    if (r->config.banks)
        fwr_phase_resume_back(r);
    if (r->phase != FWR_PHASE_IDLE)
        return;
    if (r->resumed)
        fwr_recipient_enter(r, FWR_PHASE_GIVE_BUS);
    else
        fwr_recipient_fail(r, FWR_E_STORE_CORRUPT);
}

/* Goes on where a power cut, or anything else that killed us, left off. */
static int resume(struct fwr_recipient *r)
{
    struct fwr_journal *j = &r->journal;
    int error;

    do
        error = fwr_journal_read(r);
    while (error == FWR_PENDING);
    if (error && error != FWR_E_STORE_CORRUPT)
        return unreadable(r, "journal", error);
    if (!error && j->type == FWR_JOURNAL_NONE)
        return FWR_OK;
    r->mode = FWR_START_REPAIR;
    r->started = r->now;
    r->run = j->run;
    if (error) {
        fwr_recipient_log(r, FWR_LOG_ERROR,
                          "the journal is damaged: repairing from the start, every unit again");
        r->all_owed = true;
    } else {
        r->all_owed = j->all;
        r->resumed = load_candidate(r) == FWR_OK;
        fwr_recipient_log(r, FWR_LOG_NOTICE, "resuming a recovery that was cut%s",
                          r->resumed ? "" : "; its envelope is damaged");
    }
    /* The board may boot the other bank by default: verified and pointed at anew. */
    if (r->pointer.lost && j->type >= FWR_JOURNAL_TRIAL)
        j->type = FWR_JOURNAL_COMMIT;
    if (j->type >= FWR_JOURNAL_TRIAL) {
        resume_released(r);
        return FWR_OK;
    }
    fwr_repair_owe(r);
    r->guard_saved = r->resumed && j->guarded;
    memcpy(r->guard_id, j->id, FWR_ID_SIZE);
    r->writing = true;
    if (!r->resumed && j->type == FWR_JOURNAL_COMMIT) {
        /* Committed to something we do not have: looked at again, but not held for ever. */
        j->type = FWR_JOURNAL_NONE;
        r->writing = false;
    }
    fwr_recipient_enter(r, FWR_PHASE_HOLD);
    return FWR_OK;
}

static int load_floor(struct fwr_recipient *r, enum fwr_floor floor, uint32_t *value)
{
    int error;

    do
        error = fwr_device_floor_read(r, floor, value);
    while (error == FWR_PENDING);
    return error;
}

/* Which image was confirmed last; not knowing it means that the guard is wanted. */
static void load_confirmed(struct fwr_recipient *r)
{
    int error;

    do
        error = fwr_phase_load_envelope(r, FWR_STORE_ENVELOPE);
    while (error == FWR_PENDING);
    if (!error)
        memcpy(r->confirmed_id, r->id, FWR_ID_SIZE);
    r->have_manifest = false;
}

static int load_banks(struct fwr_recipient *r)
{
    int error;

    do
        error = fwr_bank_look(r);
    while (error == FWR_PENDING);
    if (error)
        return unreadable(r, "boot pointer", error);
    do
        error = fwr_rejected_load(r);
    while (error == FWR_PENDING);
    return error ? unreadable(r, "rejected image", error) : FWR_OK;
}

/* What outlives a boot. The store is waited for: until it has answered nothing can be said. */
static int load_records(struct fwr_recipient *r)
{
    int error;

    error = load_floor(r, FWR_FLOOR_SECURITY_VERSION, &r->floors.security_version);
    if (!error)
        error = load_floor(r, FWR_FLOOR_SEQUENCE, &r->floors.sequence);
    if (error)
        return unreadable(r, "floors", error);
    if (r->config.guard == FWR_GUARD_UPDATE)
        load_confirmed(r);
    do
        error = fwr_control_load_policy(r);
    while (error == FWR_PENDING);
    if (error)
        return unreadable(r, "policy", error);
    if (r->config.banks)
        error = load_banks(r);
    return error ? error : resume(r);
}

int fwr_recipient_init(struct fwr_recipient **recipient, void *storage, size_t size,
                       const struct fwr_recipient_config *config, uint64_t now)
{
    size_t needed = fwr_recipient_storage(config);

    if (needed == 0 || !recipient || !storage || (uintptr_t)storage % alignof(max_align_t) != 0)
        return FWR_E_ARGUMENT;
    if (size < needed)
        return FWR_E_NO_SPACE;
    struct fwr_recipient_config filled = *config;
    fwr_storage_defaults(&filled);
    struct fwr_recipient *r = fwr_storage_build(storage, &filled);
    r->now = r->started = now;
    r->chosen = -1;
    r->judged = FWR_NONE;
    r->called = FWR_NONE;
    r->deadline = FWR_NEVER;
    r->status.bad_block = FWR_NO_ADDRESS;
    r->log_generation = 1;
    r->guard_unit = FWR_NO_ADDRESS;
    for (uint8_t i = 0; i < filled.peer_count; i++)
        r->peers[i].limits = filled.peers[i].limits;
    fwr_transfer_reset(r);
    fwr_repair_reset(r);
    int error = fwr_hasher_init(&r->hasher, FWR_HASH_SHA256);
    if (!error)
        error = load_records(r);
    if (error) {
        fwr_recipient_end(r);
        return error;
    }
    *recipient = r;
    return FWR_OK;
}

void fwr_recipient_end(struct fwr_recipient *r)
{
    fwr_hasher_free(&r->hasher);
    OPENSSL_cleanse(r->peers, sizeof(*r->peers) * (r->config.peer_count + 1u));
}

static uint32_t next_run(const struct fwr_recipient *r)
{
    return r->run == UINT32_MAX ? 1 : r->run + 1;
}

static void begin_run(struct fwr_recipient *r, enum fwr_start_mode mode, uint32_t run)
{
    r->mode = (uint8_t)mode;
    r->run = run;
    r->reason = FWR_OK;
    r->started = r->now;
    r->rounds = r->escalation = 0;
    fwr_call_reset(r);
    r->tries = 0;
    r->verifies = 0;
    r->chosen = -1;
    r->healthy = false;
    r->aborting = false;
    r->resumed = r->resumed && r->writing;
    memset(&r->status, 0, sizeof(r->status));
    r->status.bad_block = FWR_NO_ADDRESS;
    r->segments_wrong = r->segments_done = 0;
    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        struct fwr_donor_peer *p = &r->peers[i];
        p->bytes = p->tried_bytes = p->try_pause = 0;
        p->try_at = 0;
    }
}

int fwr_recipient_start(struct fwr_recipient *r, uint64_t now, enum fwr_start_mode mode,
                        uint32_t run)
{
    uint32_t jitter = 0;

    r->now = now;
    if (run == 0)
        run = next_run(r);
    else if (run == r->run && mode == r->mode)
        return FWR_OK;
    else if (run <= r->run)
        return FWR_E_STALE;
    if (!fwr_at_rest(r) && r->phase != FWR_PHASE_BACKOFF)
        return FWR_E_BUSY;
    if ((r->writing || r->held) && mode != FWR_START_REPAIR)
        return FWR_E_BUSY; /* a half-written flash or a held host comes before anything else */
    begin_run(r, mode, run);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "run %u: %s", (unsigned)run,
                      mode == FWR_START_CHECK     ? "check"
                      : mode == FWR_START_DRY_RUN ? "dry run"
                                                  : "repair");
    if (!r->config.trust) {
        fwr_recipient_fail(r, FWR_E_UNPROVISIONED);
        return FWR_OK;
    }
    if (mode == FWR_START_CHECK) {
        fwr_recipient_enter(r, FWR_PHASE_CHECK);
        return FWR_OK;
    }
    if (r->config.start_jitter_ms > 0 &&
        r->config.platform->random(r->config.platform->ctx, &jitter, sizeof(jitter)) == FWR_OK &&
        (jitter %= r->config.start_jitter_ms) > 0) {
        fwr_recipient_enter(r, FWR_PHASE_BACKOFF);
        r->deadline = now + jitter;
        return FWR_OK;
    }
    fwr_phase_begin_ask(r);
    return FWR_OK;
}

void fwr_recipient_begin_pushed(struct fwr_recipient *r, const struct fwr_offer_request *offer)
{
    begin_run(r, FWR_START_REPAIR, next_run(r));
    r->resumed = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "run %u: a console offers an image", (unsigned)r->run);
    fwr_negotiate_pushed(r, offer);
    fwr_recipient_enter(r, FWR_PHASE_JUDGE);
}

int fwr_recipient_abort(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    if (r->writing || fwr_phase_row(r)->binding)
        return FWR_E_STATE;
    r->aborting = !fwr_at_rest(r);
    if (r->aborting && !r->outstanding)
        fwr_recipient_fail(r, FWR_E_ABORTED);
    return FWR_OK;
}

void fwr_recipient_boot_proven(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    if (r->phase != FWR_PHASE_TRIAL)
        return;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "the host proved its boot");
    fwr_recipient_enter(r, r->config.banks ? FWR_PHASE_PROVEN : FWR_PHASE_CONFIRM_RECORD);
}

bool fwr_recipient_quiet(const struct fwr_recipient *r)
{
    return (fwr_at_rest(r) || r->phase == FWR_PHASE_BACKOFF) && !r->outstanding &&
           !r->policy_saving;
}

/* ---- messages and time ---- */

bool fwr_recipient_next_send(struct fwr_recipient *r, uint64_t now, struct fwr_outgoing *message)
{
    r->now = now;
    return fwr_transfer_next_send(r, message);
}

void fwr_recipient_unsent(struct fwr_recipient *r, uint64_t now, const struct fwr_outgoing *message,
                          int error)
{
    r->now = now;
    fwr_transfer_unsent(r, message, error);
}

void fwr_recipient_response(struct fwr_recipient *r, uint64_t now, uint8_t peer, uint8_t command,
                            int error, const uint8_t *data, size_t length)
{
    r->now = now;
    if (peer < r->config.peer_count)
        fwr_transfer_response(r, peer, command, error, data, length);
}

void fwr_recipient_peer(struct fwr_recipient *r, uint64_t now, uint8_t peer, int error,
                        const struct fwr_link_limits *limits)
{
    r->now = now;
    if (peer >= r->config.peer_count)
        return;
    bool found = error == FWR_OK && fwr_negotiate_is_spare(r, peer);
    bool opened = error == FWR_OK && limits && r->peers[peer].reach != FWR_OK;
    r->peers[peer].reach = error;
    if (error == FWR_OK && limits && limits->max_reply >= FWR_LINK_MIN_REPLY && limits->window > 0)
        r->peers[peer].limits = *limits;
    if (error && r->peers[peer].transfer_state != FWR_TRANSFER_NONE)
        fwr_transfer_drop(r, peer, error);
    if (found)
        fwr_negotiate_found(r, peer);
    if (error == FWR_OK)
        fwr_roads_came(r, peer);
    /* A road that was down and is open now is what a pause for want of donors waits for. */
    if (opened && r->phase == FWR_PHASE_BACKOFF &&
        (r->reason == FWR_E_DONORS_LOST || r->reason == FWR_E_NO_DONOR))
        r->deadline = now;
}

/* Keeps the chosen image's donors at work: brings in the next best when one was lost. */
static int keep_donors(struct fwr_recipient *r)
{
    bool waiting = false;

    for (uint8_t i = 0; i < r->fetch_count; i++)
        waiting |= r->fetches[i].state == FWR_FETCH_OPEN && r->fetches[i].source == FWR_NONE;
    if (!waiting || fwr_transfer_count(r) > 0)
        return FWR_OK;
    if (fwr_negotiate_accept(r) > 0)
        return FWR_OK;
    return fwr_negotiate_retry_at(r) > 0 ? FWR_E_DONORS_BUSY : FWR_E_DONORS_LOST;
}

/* What a phase's error, or the loss of its donors, leads to. */
static void turn_away(struct fwr_recipient *r, uint8_t phase, int error)
{
    if (error == FWR_E_DONORS_LOST || error == FWR_E_DONORS_BUSY) {
        fwr_phase_back_off(r, error);
    } else if (phase == FWR_PHASE_FAIL_GIVE_BUS || phase == FWR_PHASE_FAIL_RELEASE) {
        /* Giving back is tried only once: what fails then is already the failure. */
        fwr_recipient_log(r, FWR_LOG_ERROR, "could not release the host: %s",
                          fwr_error_text(error));
        fwr_recipient_enter(r, FWR_PHASE_FAILED);
    } else {
        fwr_recipient_fail(r, error);
    }
}

int fwr_recipient_step(struct fwr_recipient *r, uint64_t now)
{
    bool progress = false;
    uint8_t phase = r->phase;

    r->now = now;
    if (r->policy_saving) {
        fwr_control_save_policy(r);
        return FWR_PENDING;
    }
    if (r->aborting && !r->outstanding) {
        fwr_recipient_fail(r, FWR_E_ABORTED);
        return FWR_PENDING;
    }
    int error = fwr_phase_row(r)->step(r, &progress);
    if (error >= 0 && !r->outstanding && fwr_phase_row(r)->needs_donors) {
        int lost = keep_donors(r);
        error = lost ? lost : error;
        fwr_roads_look_up(r);
    }
    if (error < 0) {
        turn_away(r, phase, error);
        return FWR_PENDING;
    }
    return progress || (error == FWR_OK && r->phase != phase) ? FWR_PENDING : FWR_OK;
}

uint64_t fwr_recipient_next_timeout(const struct fwr_recipient *r)
{
    uint64_t next = fwr_transfer_next_timeout(r), better = FWR_NEVER;

    if (fwr_phase_row(r)->needs_donors)
        better = fwr_roads_next_timeout(r);
    if (better < next)
        next = better;
    return r->deadline < next ? r->deadline : next;
}

void fwr_recipient_timeout(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    fwr_transfer_timeout(r);
    if (fwr_phase_row(r)->needs_donors)
        fwr_roads_look_up(r);
    if (now < r->deadline)
        return;
    if (r->phase == FWR_PHASE_BACKOFF) {
        fwr_phase_begin_ask(r);
    } else if (r->phase == FWR_PHASE_ASK) {
        r->gathered = true;
        r->deadline = FWR_NEVER;
    } else if (r->phase == FWR_PHASE_DONE) {
        r->deadline = FWR_NEVER; /* of a call, see call.c */
    } else if (r->phase == FWR_PHASE_TRIAL) {
        if (r->flipped)
            fwr_phase_fall_back(r);
        else
            fwr_recipient_fail(r, FWR_E_BOOT_PROOF);
    }
}
