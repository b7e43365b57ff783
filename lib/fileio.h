/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes at an offset of a file, shared by the backends on files. A signal or
 * a short count is no reason to stop; the end of the file is.
 */
#ifndef FWR_LIB_FILEIO_H
#define FWR_LIB_FILEIO_H

#include <stddef.h>
#include <stdint.h>

/* Reads up to `length` bytes and gives their number in `count`: less only at the end of the
 * file. 0, or errno. */
int fwr_fileio_read(int fd, void *buffer, size_t length, uint64_t offset, size_t *count);

/* Writes all of `length` bytes. 0, or errno; a part may have been written. */
int fwr_fileio_write(int fd, const void *data, size_t length, uint64_t offset);

/* Waits until the file's bytes, and the size that leads to them, are on the medium. 0, or
 * errno; after an error the kernel may have dropped what it could not write. */
int fwr_fileio_sync(int fd);

/* The library's error for an errno of open(2): FWR_E_NOT_FOUND, FWR_E_ACCESS, FWR_E_MEMORY or
 * FWR_E_IO. */
int fwr_fileio_open_error(int error);

/* Opens a regular file without ever waiting for it. FWR_OK with the size and, when `fd` is the
 * caller's to close; else an error as above, FWR_E_IO for what is not a regular file, and
 * nothing to close. */
int fwr_fileio_open(const char *path, int flags, int *fd, uint64_t *size);

#endif
