/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw file as a flash chip: what ipmi_sim's BMCs and the command line repair. For Linux, or
 * any POSIX system with flock.
 */
#ifndef FWRECOVER_FLASH_FILE_H
#define FWRECOVER_FLASH_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <fwrecover/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owned by the caller and, while open, not to be moved. Hand out `&file.flash`. */
struct fwr_flash_file {
    struct fwr_flash flash;
    /* The backend's own. */
    int fd;
    bool read_only;
    bool sync_failed;
};

/* A usual SPI NOR: sectors of 4096, pages of 256, erased FFh. The size is left to the file. */
extern const struct fwr_flash_geometry fwr_flash_file_geometry;

/* Opens an existing file as a chip.
 *
 * `geometry` may be NULL for the one above; a size of 0 takes that of the file. Unless
 * `read_only`, the file is locked against other writers (an advisory flock, held until close);
 * a reader takes no lock, so it may look at a chip that is being repaired.
 *
 * Erasing writes the erased value. Programming writes the data as it is, without looking at
 * what was there: quick, and right for an engine that keeps the contract; flash-ramnor.h is
 * the chip that checks it. Nothing is on the medium before sync; once a sync has failed, so
 * does every later one, because the kernel no longer knows what it has dropped.
 *
 * FWR_OK; FWR_E_ARGUMENT: path is NULL, or the geometry impossible; FWR_E_NOT_FOUND: no such
 * file; FWR_E_ACCESS: the system forbids it; FWR_E_BUSY: another writer has it;
 * FWR_E_FLASH_SIZE: not of geometry's size; FWR_E_FLASH_ALIGNMENT: empty or not a multiple of
 * the erase size; FWR_E_RANGE: larger than a chip can be (4 GiB less one unit); FWR_E_IO: not a
 * regular file, or another failure. After an error there is nothing to close. */
int fwr_flash_file_open(struct fwr_flash_file *file, const char *path,
                        const struct fwr_flash_geometry *geometry, bool read_only);

/* Gives up the lock and the file. What was not synced may be lost. Closing twice is harmless. */
void fwr_flash_file_close(struct fwr_flash_file *file);

#ifdef __cplusplus
}
#endif

#endif
