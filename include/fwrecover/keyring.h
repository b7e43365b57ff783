/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyring: the trust set in force on one BMC, and how the next one takes its place. There is
 * one for all engines of a BMC: they are given its trust set at init and see every change of it.
 *
 * Sans-I/O like the engines: the dispatcher brings it the requests that concern it; the owner
 * calls `step` in its loop.
 */
#ifndef FWRECOVER_KEYRING_H
#define FWRECOVER_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>
#include <fwrecover/envelope.h>
#include <fwrecover/floors.h>
#include <fwrecover/link.h>
#include <fwrecover/platform.h>
#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Const; all it points to must outlive the keyring. Required: platform, store, storage. */
struct fwr_keyring_config {
    size_t size; /* sizeof(struct fwr_keyring_config) */
    const struct fwr_platform *platform;
    const struct fwr_store *store;
    const struct fwr_floors *floors; /* NULL: in the store */
    /* What the BMC was made with: a trust set as `fwrecover trust new` writes it. It counts where
     * the store has none, and is then put there. NULL: none. */
    const void *provisioned;
    size_t provisioned_length;
    uint32_t max_jump; /* how far one set may raise the generation [FWR_FLOOR_JUMP_DEFAULT] */
    void *storage;     /* two envelopes: half of it is the longest one taken */
    size_t storage_size;
};

enum fwr_keyring_stage {
    FWR_KEYRING_IDLE,
    FWR_KEYRING_RECEIVING, /* a peer brings an envelope */
    FWR_KEYRING_WAITING,   /* verified; until nothing goes on that was begun under the old set */
    FWR_KEYRING_WRITING,   /* on its way to the store */
    FWR_KEYRING_RAISING,   /* in force; its generation on its way to the floor */
};

/* Owned by the caller, not to be moved; its members are the library's. About 50 KiB. */
struct fwr_keyring {
    struct fwr_keyring_config config;
    struct fwr_floors_store floors_store;
    struct fwr_trust in_force, next;
    uint32_t floor;
    int reason; /* why the last set that was offered is not in force; FWR_OK */
    uint8_t stage;
    bool outstanding;
    uint8_t tries;
    uint8_t page_generation;
    uint8_t *current, *incoming; /* envelopes (a provisioned set has none and is bare) */
    size_t current_length, incoming_length, incoming_total, half;
    uint32_t transfer;
    uint8_t tag[FWR_TAG_SIZE]; /* of the envelope that is brought */
    struct fwr_caller caller;  /* who brings it */
    uint64_t deadline;
};

/* Finds the set in force: the one in the store, or else the provisioned one; raises the floor to
 * its generation when a power cut had prevented that. A set below the generation floor is not
 * taken from either. Waits for store and floors: a call that answers FWR_PENDING is repeated at
 * once. FWR_OK; FWR_E_UNPROVISIONED: there is none, and the keyring can be used all the same;
 * FWR_E_ARGUMENT; FWR_E_STALE: what there is lies below the floor; FWR_E_STORE_…, FWR_E_FLOOR, or
 * what is wrong with the set: then the keyring must not be used. */
int fwr_keyring_init(struct fwr_keyring *keyring, const struct fwr_keyring_config *config);

/* The set in force, for the configuration of engines: the pointer stays, what it points to changes
 * in `step`. NULL when there is none. */
const struct fwr_trust *fwr_keyring_trust(const struct fwr_keyring *keyring);

/* The envelope in force as it was signed, to pass on; a bare set where it was provisioned. NULL and
 * 0 when there is none. Valid until the next step. */
const uint8_t *fwr_keyring_envelope(const struct fwr_keyring *keyring, size_t *length);

/* Takes the envelope of the next set: signed as the set in force and the next itself demand, its
 * generation above the one in force and the floor by no more than the configured jump. (What lies
 * between may be skipped: each set names all its keys.) FWR_OK: `step` puts it in force.
 * FWR_E_BUSY: another one is on its way. FWR_E_ENVELOPE_SIZE, FWR_E_FLOOR_JUMP, or what
 * fwr_envelope_verify_trust says: the set in force stays. */
int fwr_keyring_propose(struct fwr_keyring *keyring, const void *envelope, size_t length);

/* Goes on with what was proposed. `quiet`: nothing goes on that was begun under the set in force
 * (fwr_recipient_quiet of every recipient). FWR_PENDING: call again soon. FWR_OK: nothing to do,
 * or not quiet. While fwr_keyring_busy, nobody else may use the store or the floors. When the
 * generation in force has changed, call fwr_donor_reverify(donor, FWR_DONOR_IMAGES_MAX). */
int fwr_keyring_step(struct fwr_keyring *keyring, bool quiet);

/* An operation on store or floors is under way. */
bool fwr_keyring_busy(const struct fwr_keyring *keyring);

/* Answers Offer (of a trust set), Get Wanted, Write Data, End Transfer and Read Page (of the trust
 * set) as fwr_donor_request does. FWR_E_UNKNOWN_TRANSFER: the transfer is not one of ours. */
int fwr_keyring_request(struct fwr_keyring *keyring, uint64_t now, const struct fwr_caller *caller,
                        uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                        size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
