/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy contract: which offers a recipient may take, and which it prefers. Ranking uses
 * signed fields and what the recipient measured itself; what a donor merely says orders only
 * which manifests are read first.
 */
#ifndef FWRECOVER_POLICY_H
#define FWRECOVER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One offer whose manifest has been verified and fits the board. */
struct fwr_offer {
    uint8_t peer;              /* index into the recipient's peers */
    uint8_t medium;            /* enum fwr_medium, known from the local link */
    uint8_t load;              /* percent, as the donor says */
    uint32_t round_trip_ms;    /* measured */
    uint32_t rate;             /* bytes a second: as measured, else as the road should bring;
                                  0 = nothing is known */
    uint8_t tag[FWR_TAG_SIZE]; /* of the signed manifest */
    uint32_t sequence;         /* signed */
    uint32_t security_version; /* signed */
};

struct fwr_policy {
    size_t size; /* sizeof(struct fwr_policy) */
    void *ctx;

    /* FWR_OK, or why the offer may not be taken (FWR_E_BELOW_POLICY, …). Never asked to excuse
     * a signature or the security floor: those were checked before. */
    int (*admit)(void *ctx, const struct fwr_offer *offer);

    /* Negative when `a` is preferred, positive when `b` is, 0 when they are equal. A total
     * order on admitted offers. */
    int (*compare)(void *ctx, const struct fwr_offer *a, const struct fwr_offer *b);
};

/* The default policy's rules. Zeroed rules admit everything over every medium. */
struct fwr_policy_rules {
    uint32_t min_sequence;
    bool pinned;              /* only `pinned_sequence` will do */
    uint32_t pinned_sequence; /* may lie below min_sequence: local configuration only */
    uint8_t media_refused;    /* bit n: enum fwr_medium value n */
};

/* The default policy: the pinned or else the newest signed sequence, then the better medium,
 * then the lower load in quarters, then the shorter round trip and the higher rate, each where they
 * differ by a factor of two or so. `rules` stays the caller's and
 * may change between recoveries. */
void fwr_policy_default_init(struct fwr_policy *policy, struct fwr_policy_rules *rules);

#ifdef __cplusplus
}
#endif

#endif
