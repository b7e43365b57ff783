/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for tests and simulations: it remembers what was asked in which order, refuses what a
 * board would not survive, and fails or takes its time where it is told to.
 */
#ifndef FWRECOVER_HOST_RECORDER_H
#define FWRECOVER_HOST_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/fault.h>
#include <fwrecover/host.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_host_recorder_call {
    FWR_HOST_RECORDER_HOLD,
    FWR_HOST_RECORDER_TAKE_BUS,
    FWR_HOST_RECORDER_GIVE_BUS,
    FWR_HOST_RECORDER_RELEASE,
    FWR_HOST_RECORDER_CALLS,
};

/* One call that took effect or failed; not those that answered PENDING. */
struct fwr_host_recorder_entry {
    enum fwr_host_recorder_call call;
    int answer;
    uint64_t order; /* from `clock`, so that devices that share one can be compared */
};

/* Owned by the caller and, while open, not to be moved. Hand out `&recorder.host`. */
struct fwr_host_recorder {
    struct fwr_host host;

    /* What happened. The last entry is entries[(count - 1) % entry_count]. */
    struct fwr_host_recorder_entry *entries;
    size_t entry_count;
    size_t count;
    uint64_t calls[FWR_HOST_RECORDER_CALLS]; /* that were answered with FWR_OK */
    uint64_t violations; /* bus taken without hold, host released with the bus: must stay 0 */
    uint64_t pending;

    /* The host as it is. The test may change `power`, as a person at the button would. */
    enum fwr_host_power power;
    bool held;
    bool bus_taken;

    /* To be set by the test at any moment; all zero after open. */
    struct fwr_fault_hook hook; /* decide may be NULL; TORN counts as BEFORE or AFTER, by seed */
    uint64_t *clock;            /* counted up with every entry; NULL: `count` is the order */
    unsigned pending_calls;     /* every operation answers PENDING so many times first */
    uint32_t fail[FWR_HOST_RECORDER_CALLS]; /* coming failures of each; UINT32_MAX: all */

    /* The recorder's own. */
    enum fwr_host_power found; /* at hold */
    unsigned pending_left;
    bool dark;
};

/* Makes a free host in the power state given. `entries` stay the caller's (NULL with a count of
 * 0 is allowed); there is nothing to close. FWR_OK or FWR_E_ARGUMENT. */
int fwr_host_recorder_open(struct fwr_host_recorder *recorder, enum fwr_host_power power,
                           struct fwr_host_recorder_entry *entries, size_t entry_count);

/* The BMC restarts. The board's lines stay as they are; a PENDING operation is forgotten. */
void fwr_host_recorder_power_on(struct fwr_host_recorder *recorder);

#ifdef __cplusplus
}
#endif

#endif
