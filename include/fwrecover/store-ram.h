/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory for tests and simulations: it keeps the contract exactly, and fails, fills
 * up, decays and loses power where it is told to.
 */
#ifndef FWRECOVER_STORE_RAM_H
#define FWRECOVER_STORE_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/fault.h>
#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One place for one record. `data` and `capacity` are the caller's to set before open. */
struct fwr_store_ram_record {
    uint8_t *data;
    size_t capacity;

    bool used;
    enum fwr_store_kind kind;
    uint8_t slot;
    size_t length;
    int read_error; /* 0, or what reading answers: FWR_E_STORE_CORRUPT, FWR_E_STORE_VERSION… */
};

struct fwr_store_ram_counts {
    uint64_t operations; /* that took effect; calls that answered PENDING are not */
    uint64_t pending;
    uint64_t reads, writes, removes;
    uint64_t dead; /* calls while the power was off */
};

/* Owned by the caller and, while open, not to be moved. Hand out `&ram.store`. */
struct fwr_store_ram {
    struct fwr_store store;
    struct fwr_store_ram_counts counts;

    /* To be set by the test at any moment; all zero after open. */
    struct fwr_fault_hook hook; /* decide may be NULL; MARGINAL counts as AFTER */
    unsigned pending_calls;     /* every operation answers PENDING so many times first */
    uint32_t fail_reads;        /* coming reads that answer FWR_E_STORE_IO; UINT32_MAX: all */
    uint32_t fail_writes;       /* coming writes and removes that answer `write_error` */
    int write_error;            /* FWR_E_STORE_IO (after open), …_FULL, …_READ_ONLY */

    /* The store's own. */
    struct fwr_store_ram_record *records;
    size_t record_count;
    bool dark;
    unsigned pending_left;
};

/* Makes a store of `records`, whose `used` ones are its content already: so it can be opened
 * again after a simulated restart. They stay the caller's; there is nothing to close.
 * FWR_OK; FWR_E_ARGUMENT for a NULL. */
int fwr_store_ram_open(struct fwr_store_ram *ram, struct fwr_store_ram_record *records,
                       size_t record_count);

/* The place of a record, or NULL: for tests to look into, damage or set `read_error`. */
struct fwr_store_ram_record *fwr_store_ram_find(struct fwr_store_ram *ram, enum fwr_store_kind kind,
                                                uint8_t slot);

/* Gives a dead store its power back; an operation that was PENDING is forgotten. */
void fwr_store_ram_power_on(struct fwr_store_ram *ram);

#ifdef __cplusplus
}
#endif

#endif
