/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power failures for the devices that live in memory (flash-ramnor.h, store-ram.h,
 * host-recorder.h). A test gives all of them one hook; it is asked before every operation and
 * says whether the power fails there, and how. Only tests and simulations need this header.
 */
#ifndef FWRECOVER_FAULT_H
#define FWRECOVER_FAULT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_fault_operation {
    FWR_FAULT_FLASH_READ,
    FWR_FAULT_FLASH_ERASE,
    FWR_FAULT_FLASH_PROGRAM,
    FWR_FAULT_FLASH_SYNC,
    FWR_FAULT_STORE_READ,
    FWR_FAULT_STORE_WRITE,
    FWR_FAULT_STORE_REMOVE,
    FWR_FAULT_FLOOR_READ,
    FWR_FAULT_FLOOR_RAISE,
    FWR_FAULT_HOST_HOLD,
    FWR_FAULT_HOST_TAKE_BUS,
    FWR_FAULT_HOST_GIVE_BUS,
    FWR_FAULT_HOST_RELEASE,
};

/* What happens to an operation. All but NONE end in a power failure: the device answers with
 * its own error and is dead, changing nothing, until it is switched on again. */
enum fwr_fault_verdict {
    FWR_FAULT_NONE,     /* carried out, the power stays */
    FWR_FAULT_BEFORE,   /* not done */
    FWR_FAULT_TORN,     /* begun; what it leaves follows from the event's seed */
    FWR_FAULT_AFTER,    /* done, but nobody hears the answer */
    FWR_FAULT_MARGINAL, /* done; the flash reads right `decay_reads` times, then decays */
};

struct fwr_fault_event {
    enum fwr_fault_operation operation;
    uint64_t number; /* how many operations this device has finished before this one */
    uint32_t offset; /* flash: first byte; store: record kind; else 0 */
    uint32_t length; /* flash and store write: bytes; else 0 */
    /* For the hook to set: */
    uint64_t seed;        /* what a torn or decayed range looks like; preset from `number` */
    uint32_t decay_reads; /* preset to 1 */
};

/* Asked once an operation, when it takes effect (so not while it answers FWR_PENDING). `ctx`
 * is the hook's own. */
struct fwr_fault_hook {
    enum fwr_fault_verdict (*decide)(void *ctx, struct fwr_fault_event *event);
    void *ctx;
};

#ifdef __cplusplus
}
#endif

#endif
