/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipient engine: one component's recovery, from the first doubt to the confirmed boot.
 *
 * Sans-I/O: the caller feeds requests from peers, responses from donors, time and finished
 * flash operations; the engine says what to send and when to call again. A poll loop is:
 *
 *     while (fwr_recipient_next_send(r, now, &m))  send m.data to m.peer
 *     busy = fwr_recipient_step(r, now) == FWR_PENDING
 *     wait for a message until fwr_recipient_next_timeout(r), not at all while busy
 *     fwr_recipient_response(…) / fwr_recipient_request(…) / fwr_recipient_timeout(r, now)
 *
 * No function calls back into the caller except through the contracts given at init, and none
 * of those may call the engine.
 */
#ifndef FWRECOVER_RECIPIENT_H
#define FWRECOVER_RECIPIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/banks.h>
#include <fwrecover/command.h>
#include <fwrecover/flash.h>
#include <fwrecover/floors.h>
#include <fwrecover/host.h>
#include <fwrecover/link.h>
#include <fwrecover/manifest.h>
#include <fwrecover/platform.h>
#include <fwrecover/policy.h>
#include <fwrecover/store.h>
#include <fwrecover/trust.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_PEERS_MAX   128
#define FWR_LANES_MAX   16
#define FWR_MESSAGE_MAX 64 /* data bytes of any request the recipient sends */

struct fwr_recipient;

/* A configured donor. */
struct fwr_peer {
    const char *name; /* for log lines; the caller's, kept */
    struct fwr_link_limits limits;
};

enum fwr_guard_mode {
    FWR_GUARD_ALWAYS = 0, /* whenever any `write` block will change */
    FWR_GUARD_UPDATE = 1, /* only when the image differs from the one last confirmed */
    FWR_GUARD_NEVER = 2,
};

/* Const; all it points to must outlive the recipient. Zero in a limit means the default in
 * brackets. Required: platform, flash, store, host, policy, board, peers when peer_count > 0. */
struct fwr_recipient_config {
    size_t size; /* sizeof(struct fwr_recipient_config) */
    const struct fwr_platform *platform;
    const struct fwr_flash *flash;
    const struct fwr_store *store;
    const struct fwr_host *host;
    const struct fwr_policy *policy;
    struct fwr_policy_rules *rules; /* what Set Policy tightens; NULL: it is refused */
    const struct fwr_board *board;
    const struct fwr_trust *trust; /* NULL: unprovisioned, every run ends so */
    uint8_t slot;
    uint8_t peer_count;
    const struct fwr_peer *peers;
    uint8_t lanes;            /* units in flight from donors at once [4] */
    uint8_t guard;            /* enum fwr_guard_mode */
    uint8_t batch;            /* units in one journal record, 1 to 64 [64] */
    uint8_t flash_retries;    /* erase and program again before a block counts as worn [3] */
    bool release_on_failure;  /* give the host free although the repair failed */
    uint32_t block_size;      /* largest block the storage is sized for [4096] */
    uint32_t max_envelope;    /* [FWR_ENVELOPE_CAP_DEFAULT] */
    uint32_t gather_ms;       /* how long offers are waited for [1000] */
    uint32_t min_rate;        /* bytes/s below which a donor counts as stalled [64] */
    uint32_t backoff_ms;      /* first pause after a fruitless round, doubled to 64 times [5000] */
    uint32_t start_jitter_ms; /* most random delay before asking [0] */
    uint8_t rounds;           /* fruitless rounds before the run fails; 255 = never [5]; sixteen
                                 times as many where donors are merely busy */
    uint32_t boot_proof_ms;   /* how long to wait for the boot proof; 0 = none is configured */
    uint32_t log_size;        /* bytes of log text kept for Read Page [4096] */
    const struct fwr_banks
        *banks; /* NULL: one bank; else `flash` is bank 0, and no guard is used */
    const struct fwr_floors *floors; /* NULL: in the store */
    uint32_t max_jump; /* how far one image may raise the security version floor at once; what asks
                          for more is refused [FWR_FLOOR_JUMP_DEFAULT]; UINT32_MAX: any way */
};

/* Bytes of storage for a configuration; 0 when the configuration is not usable. */
size_t fwr_recipient_storage(const struct fwr_recipient_config *config);

/* Of fwr_recipient_storage, the bytes that are lanes (one unit buffer each). */
size_t fwr_recipient_lane_storage(const struct fwr_recipient_config *config);

/* Builds the recipient in `storage` (aligned as malloc would, `size` bytes of the caller's,
 * kept until fwr_recipient_end). Reads the journal: a recovery that was cut goes on by itself.
 * Waits for the store: a read that answers FWR_PENDING is repeated at once.
 * FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE, FWR_E_CRYPTO, or the store's error: FWR_E_STORE_VERSION
 * means a newer version's journal is there and nothing will be touched. */
int fwr_recipient_init(struct fwr_recipient **recipient, void *storage, size_t size,
                       const struct fwr_recipient_config *config, uint64_t now);

void fwr_recipient_end(struct fwr_recipient *recipient);

/* Begins a run, as the Start command does. `run` rises; 0 takes the next one. FWR_OK,
 * FWR_E_BUSY (another run), FWR_E_STALE. */
int fwr_recipient_start(struct fwr_recipient *recipient, uint64_t now, enum fwr_start_mode mode,
                        uint32_t run);

/* Stops as soon as that is safe: before the first erase when the operation under way has ended;
 * after it the run goes on to its end, since half an image is worse. FWR_OK, FWR_E_STATE. */
int fwr_recipient_abort(struct fwr_recipient *recipient, uint64_t now);

/* The host proved its boot (POST complete). Ignored outside the trial. */
void fwr_recipient_boot_proven(struct fwr_recipient *recipient, uint64_t now);

/* Answers a request of a peer: as fwr_donor_request. */
int fwr_recipient_request(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_caller *caller, uint8_t command, const uint8_t *data,
                          size_t length, uint8_t *reply, size_t capacity);

/* A message to send. */
struct fwr_outgoing {
    uint8_t peer;    /* index into config->peers */
    uint8_t command; /* enum fwr_command */
    uint8_t length;
    uint8_t data[FWR_MESSAGE_MAX]; /* data[0] is the cookie */
};
/* Takes the next message to send: true when there is one. Once taken it counts as sent; when
 * the link could not take it, say so with fwr_recipient_unsent. */
bool fwr_recipient_next_send(struct fwr_recipient *recipient, uint64_t now,
                             struct fwr_outgoing *message);
/* The message was not sent: FWR_E_BUSY (ask again soon), or why the road is down. */
void fwr_recipient_unsent(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_outgoing *message, int error);

/* A repaired BMC that is a donor too calls its peers: those who wait for an image are told, one
 * after the other, that one can be fetched here. `tag` is the image that the donor offers,
 * `places` how many transfers it has room for now. Nothing happens unless the last run repaired
 * this flash with that very image. FWR_PENDING: call again when the donor's places change and
 * when this engine has worked; FWR_OK: there is nobody left to call. */
int fwr_recipient_offer(struct fwr_recipient *recipient, uint64_t now, const uint8_t *tag,
                        uint8_t places);

/* A peer (index) asked this BMC's donor for an image: it waits, and is called before others. */
void fwr_recipient_asked(struct fwr_recipient *recipient, uint8_t peer);

/* A peer's reply to `command`: `error` is FWR_OK or what its completion code stands for
 * (fwr_error_from_completion_code); `data` the bytes after completion code and IANA number.
 * Replies that match nothing are counted and dropped. */
void fwr_recipient_response(struct fwr_recipient *recipient, uint64_t now, uint8_t peer,
                            uint8_t command, int error, const uint8_t *data, size_t length);

/* The body of a Block Data message that was heard on the road of a peer: whatever is lacking is
 * taken from it, and checked like all else. What is of no use is ignored. */
void fwr_recipient_heard(struct fwr_recipient *recipient, uint64_t now, uint8_t peer,
                         const uint8_t *data, size_t length);

/* The road to a peer opened with these limits (error FWR_OK), or went down (FWR_E_…, limits
 * ignored). Peers count as reachable with their configured limits until told otherwise.
 *
 * A peer may also be a spare place for a donor that is not known yet. FWR_E_NOT_FOUND: nobody is
 * there (say so right after init; or, when who was there has gone, later); it is neither asked nor
 * counted. FWR_OK after that: somebody was found, of whom nothing is known but the limits, and who
 * is asked in the round that goes on, or at once if nobody at all had been found. */
void fwr_recipient_peer(struct fwr_recipient *recipient, uint64_t now, uint8_t peer, int error,
                        const struct fwr_link_limits *limits);

/* Does at most one slow flash, store or host operation, or a slice of hashing. FWR_PENDING:
 * call again soon. FWR_OK: nothing to do until a message or the next timeout. */
int fwr_recipient_step(struct fwr_recipient *recipient, uint64_t now);

/* When `timeout` has to be called; FWR_NEVER when nothing is waiting. */
uint64_t fwr_recipient_next_timeout(const struct fwr_recipient *recipient);
void fwr_recipient_timeout(struct fwr_recipient *recipient, uint64_t now);

/* Where things stand: never blocks, any time. */
void fwr_recipient_status(const struct fwr_recipient *recipient, struct fwr_status_page *status);

/* Whether the trust set may change now: nothing goes on that rests on a signature verified under
 * the present one. So at rest, and in the pauses between fruitless rounds: a BMC that finds nothing
 * it trusts has to be able to learn new keys. */
bool fwr_recipient_quiet(const struct fwr_recipient *recipient);

#ifdef __cplusplus
}
#endif

#endif
