/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image file and its envelope file as a source: what a management console gives away, from
 * a disk, a USB stick or a mounted share.
 */
#ifndef FWRECOVER_SOURCE_FILE_H
#define FWRECOVER_SOURCE_FILE_H

#include <stdint.h>

#include <fwrecover/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owned by the caller and, while open, not to be moved. Hand out `&file.source`. */
struct fwr_source_file {
    struct fwr_source source;
    /* The backend's own. */
    int image_fd;
    int envelope_fd; /* -1: there is none */
    uint64_t image_size;
    uint64_t envelope_size;
};

/* Opens both files for reading. `image_path` also becomes the source's name, so the string must
 * outlive the source. `envelope_path` may be NULL: the envelope is then FWR_E_NOT_FOUND.
 *
 * A file replaced by rename goes on being read as it was. One that is cut or grown in place
 * answers FWR_E_NOT_HELD from then on: what it holds is no longer what was opened.
 *
 * FWR_OK; FWR_E_ARGUMENT: NULL; FWR_E_NOT_FOUND: one of the files is not there; FWR_E_ACCESS:
 * may not be read; FWR_E_FLASH_SIZE: the image is empty; FWR_E_ENVELOPE: the envelope is;
 * FWR_E_RANGE: the image has more bytes than 32-bit addresses (4 GiB less one); FWR_E_IO: not a
 * regular file, or another failure. After an error there is nothing to close. */
int fwr_source_file_open(struct fwr_source_file *file, const char *image_path,
                         const char *envelope_path);

/* Closes both files. Closing twice is harmless. */
void fwr_source_file_close(struct fwr_source_file *file);

#ifdef __cplusplus
}
#endif

#endif
