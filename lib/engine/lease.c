/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor's transfers, see lease.h. Called by the donor engine only. It never looks at an
 * image and never sends anything.
 */
#include "engine/lease.h"

#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/error.h>

/* Draws of an id before the random source counts as stuck. */
#define FWR_LEASE_TRIES 16

void fwr_leases_init(struct fwr_leases *leases, uint8_t max, uint16_t seconds)
{
    memset(leases, 0, sizeof(*leases));
    leases->max = max;
    leases->duration_ms = (uint32_t)seconds * 1000;
}

static int same_peer(const struct fwr_lease *lease, const struct fwr_caller *caller)
{
    return lease->transfer != 0 && lease->link == caller->link && lease->session == caller->session;
}

struct fwr_lease *fwr_leases_find(struct fwr_leases *leases, const struct fwr_caller *caller,
                                  uint32_t transfer)
{
    for (uint8_t i = 0; transfer != 0 && i < leases->max; i++) {
        struct fwr_lease *lease = &leases->leases[i];

        if (lease->transfer == transfer && same_peer(lease, caller))
            return lease;
    }
    return NULL;
}

struct fwr_lease *fwr_leases_find_nonce(struct fwr_leases *leases, const struct fwr_caller *caller,
                                        const uint8_t *tag, uint32_t nonce)
{
    for (uint8_t i = 0; i < leases->max; i++) {
        struct fwr_lease *lease = &leases->leases[i];

        if (same_peer(lease, caller) && lease->nonce == nonce &&
            memcmp(lease->tag, tag, FWR_TAG_SIZE) == 0)
            return lease;
    }
    return NULL;
}

/* Whether another transfer, of whatever peer, has this id. */
static int id_taken(const struct fwr_leases *leases, uint32_t transfer)
{
    for (uint8_t i = 0; i < leases->max; i++) {
        if (leases->leases[i].transfer == transfer)
            return 1;
    }
    return 0;
}

int fwr_leases_grant(struct fwr_leases *leases, const struct fwr_platform *platform, uint64_t now,
                     struct fwr_lease *lease, struct fwr_lease **granted)
{
    uint8_t i = 0, tries = 0;
    int error;

    while (i < leases->max && leases->leases[i].transfer != 0)
        i++;
    if (i == leases->max)
        return FWR_E_BUSY;
    do {
        if (tries++ == FWR_LEASE_TRIES)
            return FWR_E_RANDOM;
        error = platform->random(platform->ctx, &lease->transfer, sizeof(lease->transfer));
        if (error != FWR_OK)
            return error;
    } while (lease->transfer == 0 || id_taken(leases, lease->transfer));
    lease->granted = now;
    fwr_lease_renew(leases, lease, now);
    leases->leases[i] = *lease;
    leases->open++;
    *granted = &leases->leases[i];
    return FWR_OK;
}

void fwr_lease_renew(const struct fwr_leases *leases, struct fwr_lease *lease, uint64_t now)
{
    lease->bytes = 0;
    lease->renewed = now;
    lease->deadline = now + leases->duration_ms;
}

void fwr_lease_read(const struct fwr_leases *leases, struct fwr_lease *lease, uint64_t now,
                    uint32_t bytes)
{
    lease->bytes += bytes;
    if ((uint64_t)lease->bytes * 1000 >= (now - lease->renewed) * FWR_LEASE_MIN_RATE)
        fwr_lease_renew(leases, lease, now);
}

void fwr_leases_wipe(struct fwr_leases *leases, struct fwr_lease *lease)
{
    OPENSSL_cleanse(lease, sizeof(*lease));
    leases->open--;
}

void fwr_leases_close(struct fwr_leases *leases, uint16_t link, uint32_t session)
{
    for (uint8_t i = 0; i < leases->max; i++) {
        struct fwr_lease *lease = &leases->leases[i];

        if (lease->transfer != 0 && lease->link == link && lease->session == session)
            fwr_leases_wipe(leases, lease);
    }
}

uint64_t fwr_leases_deadline(const struct fwr_leases *leases)
{
    uint64_t first = FWR_NEVER;

    for (uint8_t i = 0; i < leases->max; i++) {
        if (leases->leases[i].transfer != 0 && leases->leases[i].deadline < first)
            first = leases->leases[i].deadline;
    }
    return first;
}
