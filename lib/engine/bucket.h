/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets: how the donor keeps a rate over time. A bucket may go into debt by one
 * request, so that a request larger than the burst is served and then paid off. Called by the
 * donor; it never refuses anything by itself.
 */
#ifndef FWR_LIB_ENGINE_BUCKET_H
#define FWR_LIB_ENGINE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct fwr_bucket {
    uint32_t rate;   /* units a second, 0 = unlimited */
    uint32_t burst;  /* units */
    int64_t level;   /* thousandths of a unit; below zero: in debt */
    uint64_t filled; /* when `level` was right */
};

/* A full bucket. */
void fwr_bucket_init(struct fwr_bucket *bucket, uint32_t rate, uint32_t burst, uint64_t now);

/* Whether anything may be taken now. */
bool fwr_bucket_ready(struct fwr_bucket *bucket, uint64_t now);

void fwr_bucket_take(struct fwr_bucket *bucket, uint32_t units);

#endif
