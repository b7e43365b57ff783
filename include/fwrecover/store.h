/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store contract: small crash-safe records on the BMC, never in the host's flash. The
 * journal, the boot guard, the confirmed envelope, the trust set, the floors, the policy and the
 * donors found before live here.
 */
#ifndef FWRECOVER_STORE_H
#define FWRECOVER_STORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A record is named by its kind and the component slot it belongs to. */
enum fwr_store_kind {
    FWR_STORE_JOURNAL = 1,  /* the recovery under way */
    FWR_STORE_GUARD = 2,    /* checked content of the guard block's erase unit */
    FWR_STORE_ENVELOPE = 3, /* envelope of the image last repaired to: what health checks against */
    FWR_STORE_TRUST = 4,    /* trust set; slot 0 */
    FWR_STORE_FLOORS = 5,   /* floors of the slot's component (floors.h) */
    FWR_STORE_POLICY = 6,   /* what Set Policy tightened */
    FWR_STORE_CANDIDATE = 7,  /* envelope of the image being written, until it is confirmed */
    FWR_STORE_WAIVED = 8,     /* hashes of leaves that only the board's own map preserves */
    FWR_STORE_GENERATION = 9, /* trust generation floor; slot 0 */
    FWR_STORE_REJECTED = 10,  /* with two banks: the image whose boot was not proven */
    FWR_STORE_ICMB = 11,      /* the BMC's address on an ICMB, u16; slot 0 */
    FWR_STORE_DONORS = 12,    /* where donors were found before (discover.h); slot 0 */
};

/* Operations return FWR_OK, FWR_PENDING (repeat the same call) or FWR_E_STORE_….
 * `write` is atomic and durable: when it has returned FWR_OK the new content survives a power
 * failure; when it is cut, the old or the new content is read back, never a mixture. The store
 * takes records of at least one erase unit of the flash. */
struct fwr_store {
    size_t size; /* sizeof(struct fwr_store) */
    void *ctx;

    /* FWR_E_NOT_FOUND: no such record. FWR_E_NO_SPACE: longer than `capacity`.
     * FWR_E_STORE_CORRUPT: there was one, no copy is intact. FWR_E_STORE_VERSION: newer. */
    int (*read)(void *ctx, enum fwr_store_kind kind, uint8_t slot, void *buffer, size_t capacity,
                size_t *length);
    int (*write)(void *ctx, enum fwr_store_kind kind, uint8_t slot, const void *data,
                 size_t length);
    /* Removing what is not there is FWR_OK. */
    int (*remove)(void *ctx, enum fwr_store_kind kind, uint8_t slot);
};

#ifdef __cplusplus
}
#endif

#endif
