/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NOR flash in memory, as strict as the worst chip: for tests and simulations. It refuses
 * what a chip would silently get wrong, counts everything, wears out, fails and loses power
 * where it is told to.
 */
#ifndef FWRECOVER_FLASH_RAMNOR_H
#define FWRECOVER_FLASH_RAMNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/fault.h>
#include <fwrecover/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For the counts below: every time, for ever. */
#define FWR_RAMNOR_ALWAYS UINT32_MAX

/* One erase unit. The first group is the test's to set at any moment; each count goes down by
 * one with every operation that touches the unit, unless it is FWR_RAMNOR_ALWAYS. */
struct fwr_flash_ramnor_unit {
    uint32_t fail_reads;    /* coming reads that answer FWR_E_FLASH_READ */
    uint32_t fail_erases;   /* coming erases that leave rubbish and answer FWR_E_FLASH_ERASE */
    uint32_t fail_programs; /* coming programs that leave rubbish, FWR_E_FLASH_PROGRAM */
    uint32_t misprograms;   /* coming programs that say FWR_OK and leave one bit wrong */
    uint32_t endurance;     /* erases until every erase fails; 0: never wears out */

    uint32_t erases; /* erases begun, for wear and for tests to read */

    /* The emulator's own. */
    uint32_t weak_offset; /* marginal range within the unit */
    uint32_t weak_length; /* 0: none */
    uint32_t weak_reads;  /* reads of it that are still right */
    uint64_t weak_seed;
    bool unsynced;
};

/* A range nobody may erase or program: a `preserve` region of the test's board. */
struct fwr_flash_ramnor_range {
    uint32_t offset;
    uint32_t length;
};

struct fwr_flash_ramnor_counts {
    uint64_t operations; /* that took effect, of any kind; calls that answered PENDING are not */
    uint64_t pending;    /* calls that answered PENDING */
    uint64_t reads, read_bytes;
    uint64_t erases, units_erased;
    uint64_t programs, pages_programmed;
    uint64_t syncs;
    uint64_t refused;  /* not erased, misaligned, outside the chip */
    uint64_t trespass; /* erase or program calls inside `preserve`: refused, must stay 0 */
    uint64_t deserted; /* another call came while one was PENDING: refused, must stay 0 */
    uint64_t decayed;  /* marginal ranges that have decayed */
    uint64_t dead;     /* calls while the power was off */
};

/* Owned by the caller and, while open, not to be moved. Hand out `&nor.flash`. */
struct fwr_flash_ramnor {
    struct fwr_flash flash;
    struct fwr_flash_ramnor_counts counts;

    /* To be set by the test at any moment; all zero after open. */
    struct fwr_fault_hook hook;                    /* decide may be NULL */
    const struct fwr_flash_ramnor_range *preserve; /* `preserve_count` of them */
    size_t preserve_count;
    unsigned pending_calls; /* every operation answers PENDING so many times first */
    uint32_t fail_syncs;    /* coming syncs that answer FWR_E_FLASH_SYNC */
    uint8_t *durable;       /* `size` bytes, or NULL: see fwr_flash_ramnor_power_on */

    /* The emulator's own. */
    uint8_t *cells;
    struct fwr_flash_ramnor_unit *units;
    bool dark; /* the power has failed */
    unsigned pending_left;
    struct {
        int operation;
        uint32_t offset;
        uint32_t length;
        const void *buffer;
    } under_way;
};

/* Makes a chip of `cells`, geometry->size bytes whose content it keeps, and `units`, one per
 * erase unit, which it zeroes. Both stay the caller's and must outlive the chip; there is
 * nothing to close. FWR_OK; FWR_E_ARGUMENT for a NULL or an impossible geometry; FWR_E_NO_SPACE
 * when `unit_count` is too small. */
int fwr_flash_ramnor_open(struct fwr_flash_ramnor *nor, const struct fwr_flash_geometry *geometry,
                          uint8_t *cells, struct fwr_flash_ramnor_unit *units, size_t unit_count);

/* Gives a dead chip its power back; an operation that was PENDING is forgotten.
 *
 * With `durable` set (to a copy of the cells, made by the test), the chip behaves as one behind
 * a write cache: units erased or programmed since the last sync fall back, each or not as the
 * seed says, to what they were at that sync. */
void fwr_flash_ramnor_power_on(struct fwr_flash_ramnor *nor, uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif
