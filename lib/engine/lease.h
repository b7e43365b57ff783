/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor's transfers: random ids, bound to the caller that was given them, alive while they
 * are read from faster than a minimum rate. Called by the donor; knows nothing of images but
 * their number and epoch.
 */
#ifndef FWR_LIB_ENGINE_LEASE_H
#define FWR_LIB_ENGINE_LEASE_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>
#include <fwrecover/donor.h>
#include <fwrecover/link.h>
#include <fwrecover/platform.h>

/* Bytes a second below which reads do not renew a lease: a quarter of what a recipient itself
 * takes for a stalled donor. */
#define FWR_LEASE_MIN_RATE 16

struct fwr_lease {
    uint32_t transfer; /* 0 = free */
    uint32_t nonce;
    uint32_t session;
    uint32_t epoch; /* of the image when the transfer was granted */
    uint16_t link;
    uint8_t image;
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t bytes; /* read since it was last renewed */
    uint64_t granted;
    uint64_t renewed;
    uint64_t deadline;
};

struct fwr_leases {
    struct fwr_lease leases[FWR_DONOR_TRANSFERS_MAX];
    uint8_t max;
    uint8_t open;
    uint32_t duration_ms;
};

void fwr_leases_init(struct fwr_leases *leases, uint8_t max, uint16_t seconds);

/* The caller's live transfer of that id, or NULL. */
struct fwr_lease *fwr_leases_find(struct fwr_leases *leases, const struct fwr_caller *caller,
                                  uint32_t transfer);
/* The caller's live transfer that an earlier Accept Offer with this tag and nonce gave. */
struct fwr_lease *fwr_leases_find_nonce(struct fwr_leases *leases, const struct fwr_caller *caller,
                                        const uint8_t *tag, uint32_t nonce);

/* A new transfer with `lease` filled in but for id and times; FWR_OK, FWR_E_BUSY when all are
 * taken, FWR_E_RANDOM. */
int fwr_leases_grant(struct fwr_leases *leases, const struct fwr_platform *platform, uint64_t now,
                     struct fwr_lease *lease, struct fwr_lease **granted);

/* `bytes` were read: renews the lease if that keeps the minimum rate. */
void fwr_lease_read(const struct fwr_leases *leases, struct fwr_lease *lease, uint64_t now,
                    uint32_t bytes);
void fwr_lease_renew(const struct fwr_leases *leases, struct fwr_lease *lease, uint64_t now);

/* Wipes one transfer, or those of a session. */
void fwr_leases_wipe(struct fwr_leases *leases, struct fwr_lease *lease);
void fwr_leases_close(struct fwr_leases *leases, uint16_t link, uint32_t session);

/* When the first one runs out; FWR_NEVER when none is open. */
uint64_t fwr_leases_deadline(const struct fwr_leases *leases);

#endif
