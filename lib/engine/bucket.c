/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets, see bucket.h. Called by the donor engine only; they own no memory and never
 * look at a clock.
 */
#include "engine/bucket.h"

void fwr_bucket_init(struct fwr_bucket *bucket, uint32_t rate, uint32_t burst, uint64_t now)
{
    bucket->rate = rate;
    bucket->burst = burst;
    bucket->level = (int64_t)burst * 1000;
    bucket->filled = now;
}

bool fwr_bucket_ready(struct fwr_bucket *bucket, uint64_t now)
{
    int64_t full = (int64_t)bucket->burst * 1000;

    if (bucket->rate == 0)
        return true;
    /* A unit a second is a thousandth of a unit a millisecond. */
    if (now > bucket->filled) {
        uint64_t elapsed = now - bucket->filled;

        if (elapsed >= (uint64_t)(full - bucket->level) / bucket->rate + 1)
            bucket->level = full;
        else
            bucket->level += (int64_t)(elapsed * bucket->rate);
        bucket->filled = now;
    }
    return bucket->level > 0;
}

void fwr_bucket_take(struct fwr_bucket *bucket, uint32_t units)
{
    if (bucket->rate != 0)
        bucket->level -= (int64_t)units * 1000;
}
