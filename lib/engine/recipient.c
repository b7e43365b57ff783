/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipient: the states of one recovery. It only knows which part works now: each phase has a
 * handler that calls the room which does the work, and says what comes next. The table at the
 * end of the handlers is the whole machine.
 */
#include <stdalign.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "descent.h"
#include "engine.h"
#include "journal.h"
#include "negotiate.h"
#include "repair.h"
#include "scan.h"
#include "transfer.h"

#define VERIFIES_MAX      3 /* whole passes that may miss the root before the chip is blamed */
#define BACKOFF_DOUBLINGS 6
#define BLOCK_DEFAULT     4096

/* ---- storage ---- */

/* Cuts the caller's storage into pieces, or only measures when `base` is NULL. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *take(struct arena *arena, size_t size)
{
    size_t at = (arena->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    arena->used = at + size;
    return arena->base ? arena->base + at : NULL;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void defaults(struct fwr_recipient_config *c)
{
    c->lanes = c->lanes ? c->lanes : 4;
    c->batch = c->batch ? c->batch : FWR_BATCH_MAX;
    c->flash_retries = c->flash_retries ? c->flash_retries : 3;
    c->block_size = c->block_size ? c->block_size : BLOCK_DEFAULT;
    c->max_envelope = c->max_envelope ? c->max_envelope : FWR_ENVELOPE_CAP_DEFAULT;
    c->gather_ms = c->gather_ms ? c->gather_ms : 1000;
    c->min_rate = c->min_rate ? c->min_rate : 64;
    c->backoff_ms = c->backoff_ms ? c->backoff_ms : 5000;
    c->rounds = c->rounds ? c->rounds : 5;
    c->log_size = c->log_size ? c->log_size : 4096;
}

static bool usable(const struct fwr_recipient_config *c)
{
    if (!c || c->size != sizeof(*c) || !c->platform || !c->flash || !c->store || !c->host ||
        !c->policy || !c->board || (c->peer_count > 0 && !c->peers))
        return false;
    if (c->peer_count > FWR_PEERS_MAX || c->lanes > FWR_LANES_MAX || c->batch > FWR_BATCH_MAX ||
        c->max_envelope > FWR_ENVELOPE_MAX)
        return false;
    const struct fwr_flash_geometry *g = &c->flash->geometry;
    uint32_t block = c->block_size ? c->block_size : BLOCK_DEFAULT;
    if ((block & (block - 1)) || block < FWR_BLOCK_SIZE_MIN || block > FWR_BLOCK_SIZE_MAX)
        return false;
    if (g->erase_size == 0 || (g->erase_size & (g->erase_size - 1)) || g->size == 0 ||
        g->size % g->erase_size || g->size % block || g->program_size == 0 ||
        g->erase_size % g->program_size)
        return false;
    for (uint8_t i = 0; i < c->peer_count; i++) {
        const struct fwr_link_limits *l = &c->peers[i].limits;
        if (l->max_request < FWR_LINK_MIN_REQUEST || l->max_reply < FWR_LINK_MIN_REPLY ||
            l->window == 0)
            return false;
    }
    return true;
}

/* Places every piece; the same walk measures and builds. */
static struct fwr_recipient *lay_out(struct arena *arena, const struct fwr_recipient_config *c)
{
    struct fwr_recipient *r = (struct fwr_recipient *)take(arena, sizeof(*r));
    uint32_t leaves = c->flash->geometry.size / c->block_size;
    uint32_t erase = c->flash->geometry.erase_size;
    uint32_t unit = erase > c->block_size ? erase : c->block_size;
    size_t part = fwr_tree_part_size(leaves, FWR_HASH_MAX);
    size_t segment = fwr_tree_segment_leaves(leaves);
    struct fwr_recipient layout = {0};

    layout.max_leaves = leaves;
    layout.unit_max = unit;
    layout.peers =
        (struct fwr_donor_peer *)take(arena, sizeof(*layout.peers) * (c->peer_count + 1u));
    layout.envelope = (uint8_t *)take(arena, c->max_envelope);
    /* Manifests are judged before anything is hashed: one memory serves both. */
    layout.tags = (uint16_t *)take(arena, max_size(leaves * sizeof(*layout.tags), c->max_envelope));
    layout.scratch = (uint8_t *)layout.tags;
    layout.top_local_nodes = (uint8_t *)take(arena, part);
    layout.top_remote_nodes = (uint8_t *)take(arena, part);
    layout.local_nodes = (uint8_t *)take(arena, part);
    layout.remote_nodes = (uint8_t *)take(arena, part);
    layout.top_marks = (uint8_t *)take(arena, fwr_tree_segment_count(leaves));
    layout.marks = (uint8_t *)take(arena, segment);
    layout.plan = (uint32_t *)take(arena, segment * sizeof(*layout.plan));
    layout.block = (uint8_t *)take(arena, c->block_size);
    layout.log = (uint8_t *)take(arena, c->log_size);
    layout.lane_area = (uint8_t *)take(arena, (size_t)c->lanes * unit);
    if (r)
        *r = layout;
    return r;
}

size_t fwr_recipient_storage(const struct fwr_recipient_config *config)
{
    struct arena arena = {0};

    if (!usable(config))
        return 0;
    struct fwr_recipient_config filled = *config;
    defaults(&filled);
    lay_out(&arena, &filled);
    return arena.used;
}

size_t fwr_recipient_lane_storage(const struct fwr_recipient_config *config)
{
    if (!usable(config))
        return 0;
    struct fwr_recipient_config filled = *config;
    defaults(&filled);
    uint32_t erase = filled.flash->geometry.erase_size;
    return (size_t)filled.lanes * (erase > filled.block_size ? erase : filled.block_size);
}

/* ---- phases ---- */

struct phase {
    enum fwr_state state;
    bool rest;
    bool needs_donors; /* waits for bytes of the chosen image */
    int (*step)(struct fwr_recipient *r, bool *progress);
};

static const struct phase *phase_of(const struct fwr_recipient *r);

bool fwr_at_rest(const struct fwr_recipient *r)
{
    return phase_of(r)->rest;
}

void fwr_recipient_enter(struct fwr_recipient *r, enum fwr_phase phase)
{
    bool was_at_rest = fwr_at_rest(r);

    r->phase = (uint8_t)phase;
    r->deadline = FWR_NEVER;
    if (!was_at_rest && fwr_at_rest(r))
        r->elapsed = (uint32_t)(r->now - r->started);
}

static int enter(struct fwr_recipient *r, enum fwr_phase phase)
{
    fwr_recipient_enter(r, phase);
    return FWR_OK;
}

void fwr_recipient_fail(struct fwr_recipient *r, int reason)
{
    r->reason = reason;
    fwr_repair_reset(r);
    fwr_transfer_end_all(r, (uint8_t)-reason);
    fwr_recipient_log(r, FWR_LOG_ERROR, "stopped: %s (%s)", fwr_error_text(reason),
                      fwr_error_name(reason));
    if (r->status.bad_block != FWR_NO_ADDRESS)
        fwr_recipient_log(r, FWR_LOG_ERROR, "the block behind it is at %#x",
                          (unsigned)r->status.bad_block);
    /* Half an image must not run unless configuration says that a dark host is worse. */
    if (r->held && (!r->writing || r->config.release_on_failure)) {
        fwr_recipient_enter(r, r->bus ? FWR_PHASE_FAIL_GIVE_BUS : FWR_PHASE_FAIL_RELEASE);
        return;
    }
    if (r->held)
        fwr_recipient_log(r, FWR_LOG_ERROR, "the host stays held: its flash is half written");
    fwr_recipient_enter(r, FWR_PHASE_FAILED);
}

/* Nothing usable now: pause, then ask again, a bounded number of rounds. */
static int back_off(struct fwr_recipient *r, int reason)
{
    if (r->config.rounds != UINT8_MAX && r->rounds + 1 >= r->config.rounds) {
        fwr_recipient_fail(r, reason);
        return FWR_OK;
    }
    uint8_t doublings = r->rounds < BACKOFF_DOUBLINGS ? r->rounds : BACKOFF_DOUBLINGS;
    uint64_t pause = (uint64_t)r->config.backoff_ms << doublings;
    uint32_t jitter = 0;
    uint64_t retry_at = fwr_negotiate_retry_at(r);

    r->config.platform->random(r->config.platform->ctx, &jitter, sizeof(jitter));
    pause += jitter % (pause / 4 + 1);
    /* What was in flight is unknown now: it is owed, as after a power cut. */
    if (r->journal.type == FWR_JOURNAL_IN_FLIGHT) {
        memcpy(r->redo, r->journal.units, r->journal.count * sizeof(r->redo[0]));
        r->redo_count = r->journal.count;
    }
    fwr_repair_reset(r);
    fwr_transfer_end_all(r, (uint8_t)-reason);
    r->reason = reason;
    r->rounds++;
    fwr_recipient_enter(r, FWR_PHASE_BACKOFF);
    r->deadline = r->now + pause;
    if (reason == FWR_E_DONORS_BUSY && retry_at > r->now)
        r->deadline = retry_at;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "nothing usable: %s; asking again in %u ms",
                      fwr_error_text(reason), (unsigned)(r->deadline - r->now));
    return FWR_OK;
}

static int rest(struct fwr_recipient *r, bool *progress)
{
    (void)r, (void)progress;
    return FWR_PENDING;
}

static int store_read_envelope(struct fwr_recipient *r, enum fwr_store_kind kind)
{
    const struct fwr_store *store = r->config.store;
    int error = store->read(store->ctx, kind, r->config.slot, r->envelope, r->config.max_envelope,
                            &r->envelope_length);

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

static int begin_hash(struct fwr_recipient *r, enum fwr_phase phase)
{
    int error = fwr_scan_prepare(r);

    if (error)
        return error;
    fwr_repair_reset(r);
    fwr_scan_begin(r);
    return enter(r, phase);
}

static int check(struct fwr_recipient *r, bool *progress)
{
    int error = store_read_envelope(r, FWR_STORE_ENVELOPE);

    *progress = true;
    if (error)
        return error;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "checking the flash against %s, sequence %u",
                      r->manifest.version, (unsigned)r->manifest.sequence);
    return begin_hash(r, FWR_PHASE_HASH);
}

static int ask(struct fwr_recipient *r, bool *progress)
{
    if (fwr_negotiate_gather(r) == FWR_PENDING)
        return FWR_PENDING;
    *progress = true;
    return enter(r, FWR_PHASE_JUDGE);
}

static void begin_ask(struct fwr_recipient *r)
{
    fwr_negotiate_begin(r);
    fwr_recipient_enter(r, FWR_PHASE_ASK);
    r->deadline = r->now + r->config.gather_ms;
}

static int judge(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_negotiate_judge(r, progress);

    if (error == FWR_PENDING)
        return error;
    if (error == FWR_E_UNPROVISIONED)
        return error;
    if (error && r->resumed) {
        /* Nobody has the image that was begun: any other good one will do. */
        r->resumed = false;
        begin_ask(r);
        return FWR_OK;
    }
    if (error)
        return back_off(r, error);
    r->rounds = 0;
    if (memcmp(r->journal.id, r->id, FWR_ID_SIZE) != 0)
        r->guard_saved = r->guard_done = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "chosen: version %s, sequence %u, security version %u",
                      r->manifest.version, (unsigned)r->manifest.sequence,
                      (unsigned)r->manifest.security_version);
    if (r->held || r->mode == FWR_START_DRY_RUN)
        return begin_hash(r, FWR_PHASE_HASH);
    return enter(r, FWR_PHASE_HOLD);
}

static int hold(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_host *host = r->config.host;
    int error = host->hold(host->ctx);

    *progress = true;
    if (error)
        return error;
    r->held = true;
    return enter(r, FWR_PHASE_TAKE_BUS);
}

static int take_bus(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_host *host = r->config.host;
    int error = host->take_bus(host->ctx);

    *progress = true;
    if (error)
        return error;
    r->bus = true;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "host held, flash bus taken");
    if (r->chosen >= 0 || r->journal.type == FWR_JOURNAL_COMMIT)
        return begin_hash(r, FWR_PHASE_HASH);
    begin_ask(r);
    return FWR_OK;
}

static bool root_matches(const struct fwr_recipient *r)
{
    return memcmp(fwr_tree_part_root(&r->top_local), r->manifest.root, r->hasher.hash_size) == 0;
}

static int finish(struct fwr_recipient *r, int reason)
{
    r->reason = reason;
    fwr_transfer_end_all(r, (uint8_t)-reason);
    return enter(r, FWR_PHASE_DONE);
}

/* Begins the comparison with the donor's tree from the signed root down. */
static int begin_top(struct fwr_recipient *r)
{
    memcpy(fwr_tree_part_root(&r->top_remote), r->manifest.root, r->hasher.hash_size);
    fwr_descent_begin(r, &r->top_local, &r->top_remote, r->top_marks,
                      fwr_tree_segment_levels(r->leaves), 0);
    if (!root_matches(r))
        fwr_negotiate_accept(r);
    return enter(r, FWR_PHASE_TOP);
}

static void count_regions(struct fwr_recipient *r)
{
    r->status.blocks_total = r->status.bytes_preserved = 0;
    for (uint16_t i = 0; i < r->manifest.map.count; i++) {
        const struct fwr_region *region = &r->manifest.map.regions[i];
        if (region->kind == FWR_REGION_PRESERVE)
            r->status.bytes_preserved += region->length;
        else
            r->status.blocks_total += region->length / fwr_block_size(r);
    }
}

static int hash(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_scan_step(r);

    *progress = true;
    if (error)
        return error;
    count_regions(r);
    bool right = root_matches(r) && r->fill_wrong == 0;
    r->status.blocks_wrong = r->status.blocks_repaired + r->fill_wrong;
    fwr_recipient_log(r, FWR_LOG_NOTICE,
                      right ? "flash hashed: it is right" : "flash hashed: damage found");
    if (r->mode == FWR_START_CHECK)
        return finish(r, right ? FWR_OK : FWR_E_ROOT);
    r->healthy = right && r->redo_count == 0 && !r->guard_saved;
    if (r->mode == FWR_START_DRY_RUN && right)
        return finish(r, FWR_OK);
    return begin_top(r);
}

/* ---- segments ---- */

/* The next segment that differs or holds units owed from before a power cut; those first, so
 * that the journal always has room. FWR_NO_ADDRESS at the end. */
static uint32_t next_segment(const struct fwr_recipient *r)
{
    uint32_t per_segment = fwr_tree_segment_leaves(r->leaves);

    for (uint16_t i = 0; i < r->redo_count; i++) {
        for (uint32_t at = 0; at < r->unit_size; at += fwr_block_size(r)) {
            uint32_t leaf;
            if (r->redo[i] != r->guard_unit &&
                fwr_manifest_leaf_at(&r->manifest, r->redo[i] + at, &leaf) &&
                r->top_marks[leaf / per_segment] < 2)
                return leaf / per_segment;
        }
    }
    for (uint32_t s = 0; s < r->top_local.leaves; s++)
        if (r->top_marks[s] == 1)
            return s;
    return FWR_NO_ADDRESS;
}

static void begin_segment(struct fwr_recipient *r, uint32_t segment, enum fwr_phase phase)
{
    fwr_repair_reset(r);
    fwr_scan_segment_begin(r, segment);
    fwr_recipient_enter(r, phase);
}

static int segment_hash(struct fwr_recipient *r, bool *progress)
{
    bool guard = r->phase == FWR_PHASE_GUARD_HASH;
    int error = fwr_scan_segment_step(r);
    /* Where the top did not differ, the local root is the authenticated one. */
    const struct fwr_tree_part *top = r->top_marks[r->segment] ? &r->top_remote : &r->top_local;

    *progress = true;
    if (error)
        return error;
    memcpy(fwr_tree_part_root(&r->remote), fwr_tree_part_node(top, 0, r->segment),
           r->hasher.hash_size);
    fwr_descent_begin(r, &r->local, &r->remote, r->marks, 0, r->segment_first);
    return enter(r, guard ? FWR_PHASE_GUARD_DESCENT : FWR_PHASE_SEGMENT_DESCENT);
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

static int begin_next_segment(struct fwr_recipient *r)
{
    uint32_t next = next_segment(r);

    if (next != FWR_NO_ADDRESS) {
        begin_segment(r, next, FWR_PHASE_SEGMENT_HASH);
        return FWR_OK;
    }
    if (r->mode == FWR_START_DRY_RUN) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "dry run: %u of %u blocks are wrong",
                          (unsigned)r->status.blocks_wrong, (unsigned)r->status.blocks_total);
        return finish(r, r->status.blocks_wrong > 0 ? FWR_E_ROOT : FWR_OK);
    }
    fwr_repair_reset(r);
    r->fill_cursor = 0;
    return enter(r, FWR_PHASE_FILL);
}

static int segment_descent(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);

    if (error)
        return error;
    *progress = true;
    r->status.blocks_wrong += count_marks(r);
    if (r->mode == FWR_START_DRY_RUN) {
        r->top_marks[r->segment] = 2;
        r->segments_done++;
        return begin_next_segment(r);
    }
    fwr_repair_plan_segment(r);
    return enter(r, FWR_PHASE_UNITS);
}

static int units(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_repair_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_repair_settle(r);
    r->top_marks[r->segment] = 2; /* done */
    r->segments_done++;
    return begin_next_segment(r);
}

/* ---- guard ---- */

static bool guard_wanted(const struct fwr_recipient *r)
{
    if (r->guard_unit == FWR_NO_ADDRESS || r->healthy || r->config.guard == FWR_GUARD_NEVER)
        return false;
    return r->config.guard == FWR_GUARD_ALWAYS || r->manifest.sequence != r->floors.sequence;
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

static int top(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);
    uint32_t first, last;

    if (error)
        return error;
    *progress = true;
    r->segments_wrong = 0;
    r->segments_done = 0;
    for (uint32_t s = 0; s < r->top_local.leaves; s++)
        r->segments_wrong += r->top_marks[s];
    if (r->mode == FWR_START_DRY_RUN)
        return begin_next_segment(r);
    if (r->healthy || !guard_wanted(r) || r->guard_done)
        return enter(r, FWR_PHASE_CANDIDATE_SAVE);
    if (r->guard_saved)
        return enter(r, FWR_PHASE_GUARD_LOAD);
    guard_segments(r, &first, &last);
    fwr_guard_begin(r);
    fwr_scan_segment_begin(r, first);
    return enter(r, FWR_PHASE_GUARD_HASH);
}

static int guard_descent(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_descent_step(r, progress);

    if (error)
        return error;
    *progress = true;
    return enter(r, FWR_PHASE_GUARD_UNIT);
}

static int guard_unit(struct fwr_recipient *r, bool *progress)
{
    uint32_t first, last;
    int error = fwr_guard_step(r, progress);

    if (error)
        return error;
    *progress = true;
    guard_segments(r, &first, &last);
    if (r->segment < last) {
        fwr_scan_segment_begin(r, r->segment + 1);
        return enter(r, FWR_PHASE_GUARD_HASH);
    }
    return enter(r, FWR_PHASE_GUARD_SAVE);
}

static int digest(const void *bytes, size_t length, uint8_t out[FWR_ID_SIZE])
{
    return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) == 1 ? FWR_OK : FWR_E_CRYPTO;
}

static int guard_save(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_store *store = r->config.store;
    int error =
        store->write(store->ctx, FWR_STORE_GUARD, r->config.slot, r->lanes[0].buffer, r->unit_size);

    *progress = true;
    if (!error)
        error = digest(r->lanes[0].buffer, r->unit_size, r->journal.guard);
    if (error)
        return error;
    r->guard_saved = true;
    r->guard_changed = r->lanes[0].changed;
    r->status.blocks_wrong += r->guard_changed;
    return enter(r, FWR_PHASE_CANDIDATE_SAVE);
}

/* The guard of an earlier life, or of this one when the body is done: from the store to lane 0,
 * and only if it is what the journal says. */
static int guard_load(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_store *store = r->config.store;
    uint8_t found[FWR_ID_SIZE];
    size_t length = 0;
    int error;

    fwr_repair_reset(r);
    error = store->read(store->ctx, FWR_STORE_GUARD, r->config.slot, r->lanes[0].buffer,
                        r->unit_max, &length);
    *progress = true;
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
        r->guard_saved = false;
        return begin_hash(r, FWR_PHASE_HASH);
    }
    if (!r->guard_done)
        return enter(r, FWR_PHASE_CANDIDATE_SAVE);
    fwr_guard_write_begin(r);
    return enter(r, FWR_PHASE_GUARD_WRITE);
}

static int guard_erase(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_flash *flash = r->config.flash;
    int error;

    *progress = true;
    if (!r->dirty) {
        error = flash->erase(flash->ctx, r->guard_unit, r->unit_size);
        if (error)
            return error;
        r->dirty = true;
        return FWR_OK;
    }
    error = flash->sync(flash->ctx);
    if (error)
        return error;
    r->dirty = false;
    r->guard_done = true;
    return begin_next_segment(r);
}

static int guard_write(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_guard_write_step(r);

    *progress = true;
    if (error)
        return error;
    r->status.blocks_repaired += r->guard_changed;
    r->guard_changed = 0;
    return begin_hash(r, FWR_PHASE_VERIFY);
}

/* ---- journal ---- */

static int candidate_save(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_store *store = r->config.store;
    int error = store->write(store->ctx, FWR_STORE_CANDIDATE, r->config.slot, r->envelope,
                             r->envelope_length);

    *progress = true;
    if (error)
        return error;
    return enter(r, r->healthy ? FWR_PHASE_COMMIT : FWR_PHASE_INTENT);
}

static int intent(struct fwr_recipient *r, bool *progress)
{
    struct fwr_journal *j = &r->journal;
    int error = fwr_journal_map_hash(&r->manifest.map, j->map);

    *progress = true;
    if (error)
        return error;
    memcpy(j->id, r->id, FWR_ID_SIZE);
    j->run = r->run;
    j->guarded = r->guard_saved;
    memcpy(j->units, r->redo, r->redo_count * sizeof(r->redo[0]));
    j->count = r->redo_count;
    error = fwr_journal_write(r, r->redo_count > 0 ? FWR_JOURNAL_IN_FLIGHT : FWR_JOURNAL_INTENT);
    if (error)
        return error;
    r->writing = true;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "writing begins%s",
                      j->guarded ? ", guard block erased first" : "");
    if (j->guarded)
        return enter(r, FWR_PHASE_GUARD_ERASE);
    return begin_next_segment(r);
}

static int fill(struct fwr_recipient *r, bool *progress)
{
    uint32_t address;

    *progress = true;
    /* Units owed that hold no leaf at all. */
    for (uint16_t i = 0; r->fill_cursor == 0 && i < r->redo_count; i++)
        if (r->redo[i] != r->guard_unit)
            fwr_repair_plan_unit(r, r->redo[i]);
    int error = fwr_scan_fill_step(r, &address);
    if (error)
        return error;
    bool end = address == FWR_NO_ADDRESS;
    if (!end) {
        r->status.blocks_blank++;
        r->status.blocks_repaired++;
        if (fwr_repair_plan_unit(r, address))
            return FWR_OK;
        r->fill_cursor = address; /* the plan is full: first do that much */
        r->status.blocks_blank--;
        r->status.blocks_repaired--;
    }
    if (r->plan_count > 0) {
        r->segment_first = r->leaves; /* no leaf is this plan's business */
        return enter(r, FWR_PHASE_FILL_UNITS);
    }
    if (r->guard_done)
        return enter(r, FWR_PHASE_GUARD_LOAD);
    return begin_hash(r, FWR_PHASE_VERIFY);
}

static int fill_units(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_repair_step(r, progress);

    if (error)
        return error;
    *progress = true;
    fwr_repair_settle(r);
    fwr_repair_reset(r);
    return enter(r, FWR_PHASE_FILL);
}

static int verify(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_scan_step(r);

    *progress = true;
    if (error)
        return error;
    if (root_matches(r) && r->fill_wrong == 0) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "whole flash read back: root verified");
        return enter(r, FWR_PHASE_COMMIT);
    }
    if (++r->verifies >= VERIFIES_MAX)
        return FWR_E_ROOT;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "the flash does not give the signed root yet: again");
    r->guard_done = false;
    return begin_hash(r, FWR_PHASE_HASH);
}

static int commit(struct fwr_recipient *r, bool *progress)
{
    *progress = true;
    int error = fwr_repair_sync(r);
    if (error)
        return error;
    memcpy(r->journal.id, r->id, FWR_ID_SIZE);
    r->journal.count = 0;
    r->journal.guarded = false;
    error = fwr_journal_map_hash(&r->manifest.map, r->journal.map);
    if (!error)
        error = fwr_journal_write(r, FWR_JOURNAL_COMMIT);
    if (error)
        return error;
    r->writing = false;
    r->redo_count = 0;
    r->guard_saved = r->guard_done = false;
    fwr_transfer_end_all(r, 0);
    return enter(r, FWR_PHASE_GIVE_BUS);
}

/* ---- release and confirmation ---- */

static int give_bus(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_host *host = r->config.host;
    int error = host->give_bus(host->ctx);

    *progress = true;
    if (error)
        return error;
    r->bus = false;
    if (r->phase == FWR_PHASE_FAIL_GIVE_BUS)
        return enter(r, FWR_PHASE_FAIL_RELEASE);
    return enter(r, r->config.boot_proof_ms ? FWR_PHASE_TRIAL_RECORD : FWR_PHASE_RELEASE);
}

static int trial_record(struct fwr_recipient *r, bool *progress)
{
    int error = fwr_journal_write(r, FWR_JOURNAL_TRIAL);

    *progress = true;
    if (error)
        return error;
    return enter(r, FWR_PHASE_RELEASE);
}

static int release(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_host *host = r->config.host;
    int error = host->release(host->ctx);

    *progress = true;
    if (error)
        return error;
    r->held = false;
    if (r->phase == FWR_PHASE_FAIL_RELEASE)
        return enter(r, FWR_PHASE_FAILED);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "host released");
    if (r->config.boot_proof_ms == 0)
        return enter(r, FWR_PHASE_CONFIRM_FLOORS);
    fwr_recipient_enter(r, FWR_PHASE_TRIAL);
    r->deadline = r->now + r->config.boot_proof_ms;
    return FWR_OK;
}

static int confirm_floors(struct fwr_recipient *r, bool *progress)
{
    struct fwr_floors floors = r->floors;

    *progress = true;
    if (r->manifest.security_version > floors.security_version)
        floors.security_version = r->manifest.security_version;
    floors.sequence = r->manifest.sequence;
    int error = fwr_floors_write(r, &floors);
    if (error)
        return error;
    r->floors = floors;
    return enter(r, FWR_PHASE_CONFIRM_ENVELOPE);
}

static int confirm_envelope(struct fwr_recipient *r, bool *progress)
{
    const struct fwr_store *store = r->config.store;
    int error = store->write(store->ctx, FWR_STORE_ENVELOPE, r->config.slot, r->envelope,
                             r->envelope_length);

    *progress = true;
    if (error)
        return error;
    return enter(r, FWR_PHASE_CONFIRM_JOURNAL);
}

static int confirm_journal(struct fwr_recipient *r, bool *progress)
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
    return finish(r, FWR_OK);
}

static const struct phase phases[FWR_PHASE_COUNT] = {
    [FWR_PHASE_IDLE] = {FWR_STATE_IDLE, true, false, rest},
    [FWR_PHASE_CHECK] = {FWR_STATE_CHECKING, false, false, check},
    [FWR_PHASE_ASK] = {FWR_STATE_NEGOTIATING, false, false, ask},
    [FWR_PHASE_JUDGE] = {FWR_STATE_NEGOTIATING, false, false, judge},
    [FWR_PHASE_HOLD] = {FWR_STATE_HOLDING, false, false, hold},
    [FWR_PHASE_TAKE_BUS] = {FWR_STATE_HOLDING, false, false, take_bus},
    [FWR_PHASE_HASH] = {FWR_STATE_HASHING, false, false, hash},
    [FWR_PHASE_TOP] = {FWR_STATE_REPAIRING, false, true, top},
    [FWR_PHASE_GUARD_HASH] = {FWR_STATE_REPAIRING, false, false, segment_hash},
    [FWR_PHASE_GUARD_DESCENT] = {FWR_STATE_REPAIRING, false, true, guard_descent},
    [FWR_PHASE_GUARD_UNIT] = {FWR_STATE_REPAIRING, false, true, guard_unit},
    [FWR_PHASE_GUARD_SAVE] = {FWR_STATE_REPAIRING, false, false, guard_save},
    [FWR_PHASE_CANDIDATE_SAVE] = {FWR_STATE_REPAIRING, false, false, candidate_save},
    [FWR_PHASE_INTENT] = {FWR_STATE_REPAIRING, false, false, intent},
    [FWR_PHASE_GUARD_ERASE] = {FWR_STATE_REPAIRING, false, false, guard_erase},
    [FWR_PHASE_SEGMENT_HASH] = {FWR_STATE_REPAIRING, false, false, segment_hash},
    [FWR_PHASE_SEGMENT_DESCENT] = {FWR_STATE_REPAIRING, false, true, segment_descent},
    [FWR_PHASE_UNITS] = {FWR_STATE_REPAIRING, false, true, units},
    [FWR_PHASE_FILL] = {FWR_STATE_REPAIRING, false, false, fill},
    [FWR_PHASE_FILL_UNITS] = {FWR_STATE_REPAIRING, false, false, fill_units},
    [FWR_PHASE_GUARD_LOAD] = {FWR_STATE_REPAIRING, false, false, guard_load},
    [FWR_PHASE_GUARD_WRITE] = {FWR_STATE_REPAIRING, false, false, guard_write},
    [FWR_PHASE_VERIFY] = {FWR_STATE_VERIFYING, false, false, verify},
    [FWR_PHASE_COMMIT] = {FWR_STATE_RELEASING, false, false, commit},
    [FWR_PHASE_GIVE_BUS] = {FWR_STATE_RELEASING, false, false, give_bus},
    [FWR_PHASE_TRIAL_RECORD] = {FWR_STATE_RELEASING, false, false, trial_record},
    [FWR_PHASE_RELEASE] = {FWR_STATE_RELEASING, false, false, release},
    [FWR_PHASE_TRIAL] = {FWR_STATE_TRIAL, false, false, rest},
    [FWR_PHASE_CONFIRM_FLOORS] = {FWR_STATE_RELEASING, false, false, confirm_floors},
    [FWR_PHASE_CONFIRM_ENVELOPE] = {FWR_STATE_RELEASING, false, false, confirm_envelope},
    [FWR_PHASE_CONFIRM_JOURNAL] = {FWR_STATE_RELEASING, false, false, confirm_journal},
    [FWR_PHASE_DONE] = {FWR_STATE_DONE, true, false, rest},
    [FWR_PHASE_BACKOFF] = {FWR_STATE_BACKOFF, false, false, rest},
    [FWR_PHASE_FAIL_GIVE_BUS] = {FWR_STATE_RELEASING, false, false, give_bus},
    [FWR_PHASE_FAIL_RELEASE] = {FWR_STATE_RELEASING, false, false, release},
    [FWR_PHASE_FAILED] = {FWR_STATE_FAILED, true, false, rest},
};

static const struct phase *phase_of(const struct fwr_recipient *r)
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

/* ---- life ---- */

/* Goes on where a power cut, or anything else that killed us, left off. */
static int resume(struct fwr_recipient *r)
{
    struct fwr_journal *j = &r->journal;
    int error = fwr_journal_read(r);
    uint8_t map[FWR_ID_SIZE];

    if (error && error != FWR_E_STORE_CORRUPT)
        return error;
    if (!error && j->type == FWR_JOURNAL_NONE)
        return FWR_OK;
    r->mode = FWR_START_REPAIR;
    r->started = r->now;
    r->run = j->run;
    r->writing = true;
    if (error) {
        fwr_recipient_log(r, FWR_LOG_ERROR, "the journal is damaged: repairing from the start");
    } else {
        error = store_read_envelope(r, FWR_STORE_CANDIDATE);
        if (!error)
            error = fwr_journal_map_hash(&r->manifest.map, map);
        if (!error &&
            (memcmp(j->id, r->id, FWR_ID_SIZE) != 0 || memcmp(j->map, map, sizeof(map)) != 0))
            error = FWR_E_STORE_CORRUPT;
        r->resumed = error == FWR_OK;
        fwr_recipient_log(r, FWR_LOG_NOTICE, "resuming a recovery that was cut");
    }
    if (j->type == FWR_JOURNAL_IN_FLIGHT) {
        memcpy(r->redo, j->units, j->count * sizeof(r->redo[0]));
        r->redo_count = j->count;
    }
    r->guard_saved = r->resumed && j->guarded;
    if (r->resumed && j->type == FWR_JOURNAL_TRIAL) {
        r->writing = false;
        fwr_recipient_enter(r, FWR_PHASE_RELEASE);
        return FWR_OK;
    }
    if (!r->resumed && j->type == FWR_JOURNAL_COMMIT)
        j->type = FWR_JOURNAL_NONE; /* committed to something we do not have: from the start */
    fwr_recipient_enter(r, FWR_PHASE_HOLD);
    return FWR_OK;
}

int fwr_recipient_init(struct fwr_recipient **recipient, void *storage, size_t size,
                       const struct fwr_recipient_config *config, uint64_t now)
{
    size_t needed = fwr_recipient_storage(config);
    struct arena arena = {.base = (uint8_t *)storage};

    if (needed == 0 || !recipient || !storage || (uintptr_t)storage % alignof(max_align_t) != 0)
        return FWR_E_ARGUMENT;
    if (size < needed)
        return FWR_E_NO_SPACE;
    memset(storage, 0, needed);
    struct fwr_recipient_config filled = *config;
    defaults(&filled);
    struct fwr_recipient *r = lay_out(&arena, &filled);
    r->config = filled;
    r->now = r->started = now;
    r->chosen = -1;
    r->judged = FWR_NONE;
    r->deadline = FWR_NEVER;
    r->fetch_count = (uint8_t)(filled.lanes + FWR_TREE_FETCHES);
    r->status.bad_block = FWR_NO_ADDRESS;
    r->log_generation = 1;
    r->guard_unit = FWR_NO_ADDRESS;
    for (uint8_t i = 0; i < filled.peer_count; i++)
        r->peers[i].limits = filled.peers[i].limits;
    fwr_transfer_reset(r);
    fwr_repair_reset(r);
    int error = fwr_hasher_init(&r->hasher, FWR_HASH_SHA256);
    if (!error)
        error = fwr_floors_read(r, &r->floors);
    if (!error)
        error = fwr_control_load_policy(r);
    if (!error)
        error = resume(r);
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

static void begin_run(struct fwr_recipient *r, enum fwr_start_mode mode, uint32_t run)
{
    r->mode = (uint8_t)mode;
    r->run = run;
    r->reason = FWR_OK;
    r->started = r->now;
    r->rounds = 0;
    r->verifies = 0;
    r->chosen = -1;
    r->healthy = false;
    memset(&r->status, 0, sizeof(r->status));
    r->status.bad_block = FWR_NO_ADDRESS;
    r->segments_wrong = r->segments_done = 0;
}

int fwr_recipient_start(struct fwr_recipient *r, uint64_t now, enum fwr_start_mode mode,
                        uint32_t run)
{
    uint32_t jitter = 0;

    r->now = now;
    if (run == 0)
        run = r->run + 1;
    if (run == r->run && mode == r->mode)
        return FWR_OK;
    if (run <= r->run)
        return FWR_E_STALE;
    if (!fwr_at_rest(r) && r->phase != FWR_PHASE_BACKOFF)
        return FWR_E_BUSY;
    if (r->writing && mode != FWR_START_REPAIR)
        return FWR_E_BUSY; /* a half-written flash is repaired before anything else */
    begin_run(r, mode, run);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "run %u: %s", (unsigned)run,
                      mode == FWR_START_CHECK     ? "check"
                      : mode == FWR_START_DRY_RUN ? "dry run"
                                                  : "repair");
    if (mode == FWR_START_CHECK) {
        fwr_recipient_enter(r, FWR_PHASE_CHECK);
        return FWR_OK;
    }
    if (!r->config.trust) {
        fwr_recipient_fail(r, FWR_E_UNPROVISIONED);
        return FWR_OK;
    }
    if (r->config.start_jitter_ms > 0 &&
        r->config.platform->random(r->config.platform->ctx, &jitter, sizeof(jitter)) == FWR_OK &&
        (jitter %= r->config.start_jitter_ms) > 0) {
        fwr_recipient_enter(r, FWR_PHASE_BACKOFF);
        r->deadline = now + jitter;
        return FWR_OK;
    }
    begin_ask(r);
    return FWR_OK;
}

void fwr_recipient_begin_pushed(struct fwr_recipient *r, const struct fwr_offer_request *offer)
{
    begin_run(r, FWR_START_REPAIR, r->run + 1);
    r->resumed = false;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "run %u: a console offers an image", (unsigned)r->run);
    fwr_negotiate_pushed(r, offer);
    fwr_recipient_enter(r, FWR_PHASE_JUDGE);
}

int fwr_recipient_abort(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    if (r->writing)
        return FWR_E_STATE;
    if (!fwr_at_rest(r))
        fwr_recipient_fail(r, FWR_E_ABORTED);
    return FWR_OK;
}

void fwr_recipient_boot_proven(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    if (r->phase != FWR_PHASE_TRIAL)
        return;
    fwr_recipient_log(r, FWR_LOG_NOTICE, "the host proved its boot");
    fwr_recipient_enter(r, FWR_PHASE_CONFIRM_FLOORS);
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
    r->peers[peer].reach = error;
    if (error == FWR_OK && limits && limits->max_reply >= FWR_LINK_MIN_REPLY && limits->window > 0)
        r->peers[peer].limits = *limits;
    if (error && r->peers[peer].transfer_state != FWR_TRANSFER_NONE)
        fwr_transfer_drop(r, peer, error);
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

int fwr_recipient_step(struct fwr_recipient *r, uint64_t now)
{
    bool progress = false;
    uint8_t phase = r->phase;

    r->now = now;
    int error = phase_of(r)->step(r, &progress);
    if (error >= 0 && phase_of(r)->needs_donors) {
        int lost = keep_donors(r);
        error = lost ? lost : error;
    }
    if (error == FWR_E_DONORS_LOST || error == FWR_E_DONORS_BUSY) {
        back_off(r, error);
        progress = true;
    } else if (error < 0) {
        /* Giving back is tried only once: what fails then is already the failure. */
        if (phase == FWR_PHASE_FAIL_GIVE_BUS || phase == FWR_PHASE_FAIL_RELEASE) {
            fwr_recipient_log(r, FWR_LOG_ERROR, "could not release the host: %s",
                              fwr_error_text(error));
            fwr_recipient_enter(r, FWR_PHASE_FAILED);
        } else {
            fwr_recipient_fail(r, error);
        }
        progress = true;
    }
    return progress || (error == FWR_OK && r->phase != phase) ? FWR_PENDING : FWR_OK;
}

uint64_t fwr_recipient_next_timeout(const struct fwr_recipient *r)
{
    uint64_t next = fwr_transfer_next_timeout(r);

    return r->deadline < next ? r->deadline : next;
}

void fwr_recipient_timeout(struct fwr_recipient *r, uint64_t now)
{
    r->now = now;
    fwr_transfer_timeout(r);
    if (now < r->deadline)
        return;
    if (r->phase == FWR_PHASE_BACKOFF) {
        begin_ask(r);
    } else if (r->phase == FWR_PHASE_ASK) {
        r->gathered = true;
        r->deadline = FWR_NEVER;
    } else if (r->phase == FWR_PHASE_TRIAL) {
        fwr_recipient_fail(r, FWR_E_BOOT_PROOF);
    }
}
