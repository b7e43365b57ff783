/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipient's memory, shared by its rooms and by nobody else. Each struct below belongs to
 * the room named beside it; the others read it, and change it through that room's functions.
 */
#ifndef FWR_LIB_ENGINE_ENGINE_H
#define FWR_LIB_ENGINE_ENGINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>
#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/recipient.h>
#include <fwrecover/tree.h>

#include "cookie.h"

#define FWR_PENDING_MAX    64 /* requests on their way at once, over all peers */
#define FWR_CANDIDATES_MAX 64 /* offers remembered in one negotiation, or one of every peer */
#define FWR_MATCHES_MAX    4  /* offers asked of one donor */
#define FWR_TREE_FETCHES   8  /* ranges of tree nodes fetched at once */
#define FWR_FETCHES_MAX    (FWR_LANES_MAX + FWR_TREE_FETCHES)
#define FWR_BATCH_MAX      64  /* units begun under one journal record */
#define FWR_REDO_MAX       128 /* units one journal record names: a batch and what is owed */
#define FWR_UNIT_BLOCKS    128 /* blocks in one repair unit at most */
#define FWR_BUSY_ROUNDS    16  /* rounds that found donors busy count as one fruitless one */
#define FWR_NONE           0xff
#define FWR_NO_ADDRESS     UINT32_MAX
#define FWR_WAIVED_MAX     64                    /* leaves that only the board preserves */
#define FWR_WAIVED_HEAD    (1 + FWR_ID_SIZE + 2) /* of their record */

/* ---- transfer: requests, replies, windows ---- */

enum fwr_purpose {
    FWR_PURPOSE_ASK,    /* Request Image */
    FWR_PURPOSE_ACCEPT, /* Accept Offer */
    FWR_PURPOSE_READ,   /* a slice of a fetch */
    FWR_PURPOSE_END,    /* End Transfer */
    FWR_PURPOSE_CALL,   /* Offer, to be fetched */
    FWR_PURPOSE_TRY,    /* Request Image for the image in use, over a better road */
};

enum fwr_pending_state {
    FWR_PENDING_FREE,
    FWR_PENDING_QUEUED,    /* to be sent at `due` */
    FWR_PENDING_SENT,      /* lost at `due` */
    FWR_PENDING_WANTED,    /* a slice whose fetch has no source just now: without a peer */
    FWR_PENDING_LISTENING, /* a slice that is to come by broadcast; asked for again at `due` */
};

/* One request until it is answered. */
struct fwr_pending {
    uint8_t state;
    uint8_t purpose;
    uint8_t peer;
    uint8_t cookie;
    uint8_t command;
    uint8_t tries;
    uint8_t index; /* ASK: which match; READ: which fetch */
    uint8_t busy;  /* so often answered "busy": then it is no measure of the round trip */
    uint8_t ahead; /* of ours on the road, when it was sent, for which it has to wait */
    uint16_t length;
    uint32_t offset;       /* READ: into the fetch, or its stream */
    uint32_t asked_offset; /* these three as they were when it was sent: what was heard meanwhile */
    uint16_t asked_length; /* is not wanted any more */
    bool asked_coded;
    uint64_t sent;
    uint64_t due;
};

enum fwr_fetch_state {
    FWR_FETCH_FREE,
    FWR_FETCH_OPEN,
    FWR_FETCH_DONE,
};

/* A byte range of an object on its way into a buffer. Its bytes come from one source at a time,
 * so that a lie has one author; where a source was lost and another went on, nobody is blamed
 * before all of it was fetched again from one. What was asked for and has not come stays in the
 * table of requests, also while there is no source. */
struct fwr_fetch {
    uint8_t state;
    uint8_t object; /* enum fwr_object */
    uint8_t source; /* peer, or FWR_NONE until one is assigned */
    uint8_t author; /* of the last byte that came */
    uint8_t avoid;  /* the source that failed it last */
    bool mixed;     /* the bytes have several authors, or one that cannot be known */
    bool alone;     /* not to come by broadcast: it was in vain, or wrong */
    bool plain;     /* not to be coded: that was wrong */
    bool coded;     /* the buffer has the beginning of a coded stream, or is to have it … */
    uint32_t total; /* … of so many bytes; 0 = not known yet */
    uint8_t tries;
    uint32_t offset; /* in the object */
    uint32_t length;
    uint32_t asked;
    uint32_t have;
    uint32_t order; /* older fetches are served first */
    int error;      /* DONE without a byte: why */
    uint8_t *buffer;
};

enum fwr_transfer_state {
    FWR_TRANSFER_NONE,
    FWR_TRANSFER_ACCEPTING,
    FWR_TRANSFER_OPEN,
};

/* What a recipient knows of one configured donor. */
struct fwr_donor_peer {
    struct fwr_link_limits limits;
    int reach;     /* FWR_OK, or why the road is down */
    int answer;    /* to Request Image: FWR_PENDING, FWR_OK (offers), or why not */
    uint8_t asked; /* matches asked for */
    uint8_t transfer_state;
    uint8_t window;    /* the donor's */
    uint8_t codecs;    /* likewise, with FWR_CODEC_BROADCAST */
    uint8_t in_flight; /* requests queued or sent */
    uint8_t sent;
    uint8_t allowed;    /* congestion window */
    uint8_t acked;      /* replies since it last grew */
    uint8_t fetches;    /* assigned to it */
    uint8_t penalty;    /* lies and stalls, fading */
    uint8_t reopened;   /* transfers forgotten by the donor since it last served a whole range */
    uint8_t calls_vain; /* its calls that led to nothing */
    bool was_called;
    bool asks; /* it asked our donor, so it waits itself */
    bool measured;
    uint16_t max_length;
    uint32_t transfer;
    uint32_t nonce;
    uint32_t round_trip; /* smoothed, in eighths of a millisecond */
    uint32_t variation;  /* in quarters of a millisecond */
    uint32_t bytes;      /* received in this run */
    uint32_t rate;       /* bytes a second, smoothed; 0: not measured */
    uint32_t rate_bytes; /* received since rate_since */
    uint64_t rate_since;
    uint64_t try_at;      /* when the road is tried next, see roads.h */
    uint32_t try_pause;   /* between the last try and that, ms */
    uint32_t tried_bytes; /* received when it was tried last */
    uint64_t heard;       /* when the last answer came */
    uint64_t gained;      /* when the last byte for us came, or the transfer was opened */
    uint64_t not_before;  /* said it was busy until then */
    struct fwr_cookies cookies;
};

/* ---- negotiate: offers ---- */

struct fwr_candidate {
    struct fwr_offer offer;
    uint32_t hint; /* sequence as the donor says */
    int verdict;   /* FWR_PENDING: manifest not seen yet; FWR_OK: admitted; or why not */
};

/* ---- descent: which blocks differ ---- */

struct fwr_descent {
    struct fwr_tree_part *local;
    struct fwr_tree_part *remote; /* authenticated from its root down to `level` */
    uint8_t base_level;           /* of the part's leaves in the whole tree */
    uint32_t base_index;
    uint8_t level; /* the lowest level compared so far */
    uint8_t next;  /* the level being fetched */
    bool fetching;
    uint32_t cursor; /* next node of `level` to ask for */
    uint8_t *marks;  /* by node of `level`: it differs */
    struct {
        uint8_t fetch;       /* index, or FWR_NONE */
        bool presumed;       /* the last node was not asked for but taken from the local part */
        uint32_t first, end; /* nodes of `level` it covers */
    } asks[FWR_TREE_FETCHES];
};

/* ---- repair: lanes, batches, flash ---- */

enum fwr_lane_state {
    FWR_LANE_FREE,
    FWR_LANE_LOAD,  /* reading what is right already */
    FWR_LANE_FETCH, /* waiting for blocks */
    FWR_LANE_READY, /* all of the unit is in the buffer, checked */
    FWR_LANE_ERASE,
    FWR_LANE_PROGRAM,
    FWR_LANE_READ_BACK,
};

enum fwr_block_state {
    FWR_BLOCK_FOREIGN,  /* of another segment: kept as it is */
    FWR_BLOCK_SEARCHED, /* wrong in the flash; looked for elsewhere in this flash */
    FWR_BLOCK_WANTED,   /* to come from a donor */
    FWR_BLOCK_HERE,     /* in the buffer, checked */
};

struct fwr_lane {
    uint8_t state;
    uint8_t fetch;
    uint8_t retries;
    bool loaded;
    uint16_t run_first; /* blocks that `fetch` brings */
    uint16_t run_count;
    uint16_t block;   /* cursor */
    uint16_t changed; /* blocks that were wrong */
    bool crossed;     /* the other bank was looked into for the block */
    uint32_t copy;    /* cursor of the search */
    uint32_t plan;    /* index in the plan */
    uint32_t unit;    /* chip address */
    uint8_t *buffer;
    uint8_t *blocks; /* enum fwr_block_state, of every block in the unit */
};

/* ---- journal ---- */

enum fwr_journal_type {
    FWR_JOURNAL_NONE = 0,
    FWR_JOURNAL_INTENT = 1,
    FWR_JOURNAL_IN_FLIGHT = 2,
    FWR_JOURNAL_COMMIT = 3,
    FWR_JOURNAL_TRIAL = 4,     /* the host may be running the new image, unproven */
    FWR_JOURNAL_CONFIRMED = 5, /* the boot is proven, or none need be: only records are left */
};

struct fwr_journal {
    uint8_t type;
    bool guarded; /* the guard unit is in the store and erased in the flash */
    bool all;     /* an earlier journal was lost: any unit may have been in flight */
    uint8_t bank; /* that the rest is about */
    bool flipped; /* the pointer was moved to it, and its boot is not proven */
    uint32_t counter;
    uint32_t run;
    uint32_t unit_size;         /* of `units` */
    uint8_t id[FWR_ID_SIZE];    /* of the manifest */
    uint8_t map[FWR_ID_SIZE];   /* SHA-256 over the region map */
    uint8_t guard[FWR_ID_SIZE]; /* SHA-256 over the guard unit's content */
    uint16_t count;
    uint32_t units[FWR_REDO_MAX]; /* chip addresses in flight */
};

/* What is known of a segment, in `top_marks`. */
enum fwr_segment_mark {
    FWR_SEGMENT_RIGHT = 0,
    FWR_SEGMENT_WRONG = 1, /* differs from the donor's tree */
    FWR_SEGMENT_DONE = 2,
    FWR_SEGMENT_AGAIN = 3, /* was right, but a unit of it was written without a look at it */
};

/* ---- recipient ---- */

/* ---- waive: leaves that the board's own map preserves ---- */

struct fwr_waived {
    uint8_t id[FWR_ID_SIZE]; /* of the image this is about */
    uint8_t count;
    uint64_t known; /* bit n: the hash of leaves[n] is the tree's */
    uint32_t leaves[FWR_WAIVED_MAX];
    uint8_t record[FWR_WAIVED_HEAD + FWR_WAIVED_MAX * FWR_HASH_MAX + 4]; /* the hashes, as stored */
};

enum fwr_phase {
    FWR_PHASE_IDLE,
    FWR_PHASE_CHECK,
    FWR_PHASE_ASK,
    FWR_PHASE_JUDGE,
    FWR_PHASE_HOLD,
    FWR_PHASE_TAKE_BUS,
    FWR_PHASE_BANK,
    FWR_PHASE_WAIVE,
    FWR_PHASE_HASH,
    FWR_PHASE_TOP,
    FWR_PHASE_GUARD_HASH,
    FWR_PHASE_GUARD_DESCENT,
    FWR_PHASE_GUARD_UNIT,
    FWR_PHASE_GUARD_SAVE,
    FWR_PHASE_POINT,
    FWR_PHASE_CANDIDATE_SAVE,
    FWR_PHASE_INTENT,
    FWR_PHASE_GUARD_ERASE,
    FWR_PHASE_SEGMENT_HASH,
    FWR_PHASE_SEGMENT_DESCENT,
    FWR_PHASE_UNITS,
    FWR_PHASE_FILL,
    FWR_PHASE_FILL_UNITS,
    FWR_PHASE_GUARD_LOAD,
    FWR_PHASE_GUARD_WRITE,
    FWR_PHASE_VERIFY,
    FWR_PHASE_COMMIT,
    FWR_PHASE_FLIP,
    FWR_PHASE_GIVE_BUS,
    FWR_PHASE_TRIAL_RECORD,
    FWR_PHASE_RELEASE,
    FWR_PHASE_TRIAL,
    FWR_PHASE_PROVEN,
    FWR_PHASE_CONFIRM_RECORD,
    FWR_PHASE_CONFIRM_POINTER,
    FWR_PHASE_CONFIRM_FLOOR,
    FWR_PHASE_CONFIRM_SEQUENCE,
    FWR_PHASE_CONFIRM_ENVELOPE,
    FWR_PHASE_CONFIRM_WAIVED,
    FWR_PHASE_CONFIRM_REJECTED,
    FWR_PHASE_CONFIRM_JOURNAL,
    FWR_PHASE_DONE,
    FWR_PHASE_BACKOFF,
    FWR_PHASE_BACK_HOLD,
    FWR_PHASE_BACK_TAKE_BUS,
    FWR_PHASE_BACK_LOAD,
    FWR_PHASE_BACK_WAIVE,
    FWR_PHASE_BACK_HASH,
    FWR_PHASE_BACK_STAY,
    FWR_PHASE_BACK_POINT,
    FWR_PHASE_BACK_GIVE_BUS,
    FWR_PHASE_BACK_RECORD,
    FWR_PHASE_BACK_RELEASE,
    FWR_PHASE_BACK_JOURNAL,
    FWR_PHASE_FAIL_GIVE_BUS,
    FWR_PHASE_FAIL_RELEASE,
    FWR_PHASE_FAILED,
    FWR_PHASE_COUNT,
};

/* The floors of our slot as last read or raised. */
struct fwr_floor_values {
    uint32_t security_version;
    uint32_t sequence;
};

/* What Set Policy tightened. */
struct fwr_policy_record {
    uint32_t generation;
    uint32_t min_sequence;
    uint8_t media_refused;
};

struct fwr_recipient {
    struct fwr_recipient_config config; /* defaults filled in */
    uint8_t phase;
    uint8_t mode; /* enum fwr_start_mode */
    int reason;   /* behind the last return to rest */
    bool held;
    bool bus;         /* the flash bus is ours */
    bool outstanding; /* a device answered FWR_PENDING: the same call comes next */
    bool aborting;    /* as soon as no operation is outstanding */
    bool writing;     /* the first erase of this run may have happened */
    bool resumed;     /* the journal of an earlier life is open */
    bool all_owed;    /* that journal was lost: every unit is written again */
    bool guard_done;  /* nothing left to do for the guard before the first batch */
    uint8_t lost;     /* rounds in which nothing of `lost_tag` came, see negotiate.h */
    uint8_t lost_tag[FWR_TAG_SIZE];
    bool gathered;      /* the time to wait for offers is over */
    bool healthy;       /* the pass found nothing wrong */
    uint8_t rounds;     /* fruitless ones */
    uint8_t escalation; /* rounds after which the sample was doubled */
    uint16_t tries;     /* the same in FWR_BUSY_ROUNDS-ths: a busy one counts one, see phase.c */
    uint8_t verifies;   /* full passes that did not give the root */
    uint32_t run;
    uint64_t now; /* of the call under way */
    uint64_t started;
    uint64_t deadline; /* of the phase */
    uint32_t elapsed;  /* ms, of the run when it ended */

    /* transfer */
    struct fwr_donor_peer *peers; /* peer_count + 1: the last is the console that pushes */
    struct fwr_pending pending[FWR_PENDING_MAX];
    struct fwr_fetch *fetches; /* one a lane, and those of the tree */
    uint8_t fetch_count;
    uint32_t fetch_order;
    uint32_t dropped; /* replies that matched nothing */
    struct fwr_caller pusher;
    uint64_t look_up_at; /* when a better road is tried */

    /* negotiate */
    struct fwr_candidate *candidates;
    uint8_t candidate_count, candidate_max;
    uint8_t judged; /* the candidate whose manifest is being fetched, or FWR_NONE */
    uint8_t judge_fetch;
    uint8_t sample;   /* peers asked in this round */
    uint8_t wanted;   /* peers to ask in this round, as requests become free */
    int chosen;       /* index of the chosen candidate, or -1 */
    uint8_t *scratch; /* an envelope on its way: shares memory with `tags` */
    struct fwr_manifest scratch_manifest;
    uint8_t scratch_id[FWR_ID_SIZE];
    uint8_t *envelope; /* of the chosen image */
    size_t envelope_length;
    struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];
    bool have_manifest;
    struct fwr_floor_values floors;
    struct fwr_floors_store floors_store; /* behind config.floors where that was NULL */
    int floor_error;                      /* why a floor could not be raised in this run */
    uint8_t floor_tries;
    bool floors_owed; /* one could not be raised in this life: tried again at the next chance */
    uint8_t confirmed_id[FWR_ID_SIZE]; /* with FWR_GUARD_UPDATE: of the image last confirmed */

    /* call */
    uint8_t called;     /* the peer whose call this round follows, or FWR_NONE */
    uint8_t refused;    /* our own calls, in a row */
    uint8_t places;     /* free at our donor when we called last */
    uint64_t resume_at; /* when the wait that a call interrupted would have ended */

    /* hashing and descent */
    struct fwr_hasher hasher;
    struct fwr_tree_part top_local, top_remote, local, remote;
    uint8_t *top_local_nodes, *top_remote_nodes, *local_nodes, *remote_nodes;
    uint8_t *top_marks, *marks;
    uint32_t max_leaves; /* that the storage is sized for */
    uint32_t leaves;
    uint32_t segment;          /* in work */
    uint32_t segment_first;    /* its first leaf */
    uint32_t hash_leaf;        /* cursor of the pass */
    uint32_t fill_cursor;      /* chip address */
    uint32_t fill_wrong;       /* blocks of `fill` regions found wrong in the last pass */
    struct fwr_waived *waived; /* NULL: the board has no map of its own */
    struct fwr_descent descent;
    uint16_t *tags;              /* first two bytes of each leaf's hash, by leaf */
    uint8_t blank[FWR_HASH_MAX]; /* hash of an erased block */

    /* repair */
    uint32_t unit_size;
    uint32_t guard_unit; /* chip address, or FWR_NO_ADDRESS */
    bool guard_saved;
    uint8_t guard_id[FWR_ID_SIZE]; /* of the image that the saved guard is of */
    uint16_t guard_changed;        /* blocks of the guard unit that were wrong */
    uint8_t *lane_area;            /* lanes × unit_max bytes, also the buffer of hashing passes */
    uint32_t unit_max;
    uint8_t *block;         /* one block, for reading back */
    struct fwr_lane *lanes; /* config.lanes */
    uint8_t *lane_blocks;   /* lane_blocks_max of every lane */
    uint16_t lane_blocks_max;
    uint32_t *plan; /* chip addresses of units to repair */
    uint32_t plan_count, plan_next, plan_written, plan_covered;
    uint32_t plan_named;         /* covered when the record on its way is written */
    struct fwr_lane *turn;       /* at the flash */
    bool dirty;                  /* programmed since the last sync */
    uint32_t redo[FWR_REDO_MAX]; /* units in flight when the power went, not yet done again */
    uint32_t redo_size;          /* of one of them */
    uint16_t redo_count;
    struct fwr_journal journal;

    /* bank; all zero on a board with one */
    uint8_t bank; /* that flash operations go to */
    bool flipped; /* the pointer was or will be moved to it, unproven */
    bool have_rejected;
    uint8_t rejected[FWR_ID_SIZE];  /* the image that the host was taken back from */
    struct fwr_bank_choice pointer; /* as last read or written */

    /* report */
    struct fwr_status_page status;
    uint8_t *log;
    uint8_t log_generation;
    uint32_t log_end;
    uint32_t policy_generation;
    bool policy_saving; /* policy_next is on its way to the store */
    struct fwr_policy_record policy_next;
    uint32_t segments_wrong, segments_done; /* progress of the repair */
};

/* The place of the console that pushes among the peers. */
static inline uint8_t fwr_push_peer(const struct fwr_recipient *r)
{
    return r->config.peer_count;
}

static inline uint32_t fwr_block_size(const struct fwr_recipient *r)
{
    return r->manifest.block_size;
}

/* phase.c: the only function that changes the phase; sets the phase's deadline to never. */
void fwr_recipient_enter(struct fwr_recipient *r, enum fwr_phase phase);
/* Ends the run with a reason: gives back what was taken, as configured. */
void fwr_recipient_fail(struct fwr_recipient *r, int reason);

/* What a phase looks like from outside, and whether the engine rests in it. */
enum fwr_state fwr_phase_state(enum fwr_phase phase);
bool fwr_at_rest(const struct fwr_recipient *r);
/* Begins a run of which the console that pushes is the only donor. */
void fwr_recipient_begin_pushed(struct fwr_recipient *r, const struct fwr_offer_request *offer);
/* 0 to 1000, of the work that the phase knows of. */
uint16_t fwr_recipient_permille(const struct fwr_recipient *r);

/* control.c: what Set Policy tightened in an earlier life. FWR_OK or the store's error. */
int fwr_control_load_policy(struct fwr_recipient *r);
/* Goes on writing down r->policy_next and puts it in force. FWR_OK, FWR_PENDING, or the store's
 * error: then nothing is in force. */
int fwr_control_save_policy(struct fwr_recipient *r);

/* report.c: one line for the operator's log and the log page. */
void fwr_recipient_log(struct fwr_recipient *r, enum fwr_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *fwr_peer_name(const struct fwr_recipient *r, uint8_t peer);
/* Reads a slice of the log, status, policy or peers page: as a command handler. */
int fwr_report_page(struct fwr_recipient *r, const struct fwr_read_page_request *request,
                    uint8_t *reply, size_t capacity);

#endif
