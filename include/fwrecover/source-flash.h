/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BMC's own host flash as a source: how a peer server is a donor of what it runs itself.
 *
 * A flash has one operation under way at a time. Where it answers PENDING, the recipient's
 * steps must not come between those of this source: yield the flash before a recovery or a
 * scan starts, and take it back afterwards.
 */
#ifndef FWRECOVER_SOURCE_FLASH_H
#define FWRECOVER_SOURCE_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/flash.h>
#include <fwrecover/source.h>
#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owned by the caller and, while open, not to be moved. Hand out `&own.source`. */
struct fwr_source_flash {
    struct fwr_source source;
    /* The backend's own. */
    const struct fwr_flash *flash;
    const struct fwr_store *store; /* NULL: the envelope is the bytes below */
    uint8_t slot;
    const void *envelope;
    size_t envelope_length;
    bool yielded; /* the bytes are somebody else's now */
    bool reading; /* the flash answered PENDING */
};

/* A source of `flash` whose envelope is the store's record (FWR_STORE_ENVELOPE, `slot`), read
 * anew each time, so that it is the one of the image last repaired to. `name` (for log lines),
 * `flash` and `store` stay the caller's and must outlive the source; there is nothing to close.
 * FWR_OK, or FWR_E_ARGUMENT for a NULL. */
int fwr_source_flash_open(struct fwr_source_flash *own, const char *name,
                          const struct fwr_flash *flash, const struct fwr_store *store,
                          uint8_t slot);

/* The same with an envelope of `length` bytes in the caller's memory. */
int fwr_source_flash_open_bytes(struct fwr_source_flash *own, const char *name,
                                const struct fwr_flash *flash, const void *envelope, size_t length);

/* Gives the flash away (`yield` true: to the host that owns the bus, or to a recovery) or takes
 * it back. Meanwhile reads answer FWR_E_NOT_HELD, which costs the donor nothing. FWR_OK;
 * FWR_E_BUSY while the flash is in the middle of a read that answered PENDING: let the donor
 * step until that read is over, then ask again. */
int fwr_source_flash_yield(struct fwr_source_flash *own, bool yield);

#ifdef __cplusplus
}
#endif

#endif
