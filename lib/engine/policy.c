/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: the default filter and order of offers. Signatures, compatibility and the security
 * floor were checked before any offer comes here.
 */
#include <fwrecover/error.h>
#include <fwrecover/link.h>
#include <fwrecover/policy.h>

static int admit(void *ctx, const struct fwr_offer *offer)
{
    const struct fwr_policy_rules *rules = (const struct fwr_policy_rules *)ctx;

    if (offer->medium < 8 && (rules->media_refused >> offer->medium & 1))
        return FWR_E_BELOW_POLICY;
    if (rules->pinned)
        return offer->sequence == rules->pinned_sequence ? FWR_OK : FWR_E_BELOW_POLICY;
    return offer->sequence >= rules->min_sequence ? FWR_OK : FWR_E_BELOW_POLICY;
}

static int order(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

/* How many bits a number has: what is twice as much is one more. */
static uint32_t magnitude(uint32_t value)
{
    uint32_t bits = 0;

    for (; value > 0; value >>= 1)
        bits++;
    return bits;
}

static int compare(void *ctx, const struct fwr_offer *a, const struct fwr_offer *b)
{
    int result = order(b->sequence, a->sequence);

    (void)ctx;
    if (result == 0)
        result = order(a->medium, b->medium);
    if (result == 0)
        result = order(a->load / 25, b->load / 25);
    if (result == 0)
        result = order(magnitude(a->round_trip_ms), magnitude(b->round_trip_ms));
    if (result == 0)
        result = order(magnitude(b->rate), magnitude(a->rate));
    if (result == 0)
        result = order(a->round_trip_ms, b->round_trip_ms);
    return result != 0 ? result : order(a->peer, b->peer);
}

void fwr_policy_default_init(struct fwr_policy *policy, struct fwr_policy_rules *rules)
{
    *policy = (struct fwr_policy){
        .size = sizeof(*policy), .ctx = rules, .admit = admit, .compare = compare};
}
