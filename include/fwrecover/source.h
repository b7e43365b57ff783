/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source contract: a predetermined location that holds one image. It gives the image's
 * envelope and random-access reads by chip address; nothing it says is trusted before the
 * signatures and hashes are checked, so a source may be a file, a USB stick or a web server.
 */
#ifndef FWRECOVER_SOURCE_H
#define FWRECOVER_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fwr_source {
    size_t size; /* sizeof(struct fwr_source) */
    void *ctx;
    const char *name; /* for log lines: a path, a URL; owned by the source */

    /* Copies the whole envelope to `buffer` and its length to `length`.
     * FWR_OK; FWR_PENDING (repeat the same call); FWR_E_NO_SPACE when it is longer than
     * `capacity`; FWR_E_NOT_FOUND; FWR_E_NOT_HELD when it has changed; FWR_E_IO or the error of
     * the store it comes from. */
    int (*envelope)(void *ctx, void *buffer, size_t capacity, size_t *length);

    /* Reads `length` bytes at chip address `address`. FWR_OK, FWR_PENDING (repeat the same
     * call), FWR_E_RANGE, FWR_E_NOT_HELD while somebody else owns the bytes, FWR_E_IO. */
    int (*read)(void *ctx, uint32_t address, void *buffer, uint32_t length);
};

#ifdef __cplusplus
}
#endif

#endif
