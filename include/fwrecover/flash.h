/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flash contract: what a chip (or a file that stands for one) can do. The recipient
 * repairs through it and hashes through it; a donor reads its own image through it.
 */
#ifndef FWRECOVER_FLASH_H
#define FWRECOVER_FLASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All sizes in bytes; erase_size and program_size are powers of two, program_size <= erase_size,
 * size is a multiple of erase_size. */
struct fwr_flash_geometry {
    uint32_t size;
    uint32_t erase_size;   /* smallest unit that can be erased */
    uint32_t program_size; /* page: one program call never crosses it on a real chip */
    uint8_t erased_value;  /* what an erased byte reads as, FFh on NOR */
};

/* Operations return FWR_OK, FWR_PENDING or an error of their own kind (FWR_E_FLASH_…).
 * After FWR_PENDING the engine repeats the very same call, with the same buffer, until it gets
 * another answer; it has one operation under way at a time.
 *
 * Rules that hold for every backend:
 * - programming needs erased bytes: it may only turn erased bits, a second program of a byte
 *   without an erase between is refused or undefined;
 * - erase offset and length are multiples of erase_size, program offset and length are
 *   multiples of program_size, or FWR_E_FLASH_ALIGNMENT; any program length is split into
 *   pages by the backend;
 * - outside the chip: FWR_E_RANGE, nothing done;
 * - an operation cut by a power failure may leave its range untouched, done, or anything
 *   between, and what it leaves may read right now and decay later;
 * - what was programmed survives a power failure for certain only after sync. */
struct fwr_flash {
    size_t size; /* sizeof(struct fwr_flash) */
    void *ctx;
    struct fwr_flash_geometry geometry;

    int (*read)(void *ctx, uint32_t offset, void *buffer, uint32_t length);
    int (*erase)(void *ctx, uint32_t offset, uint32_t length);
    int (*program)(void *ctx, uint32_t offset, const void *data, uint32_t length);
    int (*sync)(void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
