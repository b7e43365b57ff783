/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files as a source. Called through the source contract, by a donor; never answers
 * PENDING, never writes, believes nothing it reads.
 */
#include "config.h"

#include <fwrecover/source-file.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "fileio.h"

/* Reads from a file that must still be as long as it was when it was opened. */
static int read_unchanged(int fd, uint64_t size, void *buffer, size_t length, uint64_t offset)
{
    struct stat status;
    size_t count;

    if (fstat(fd, &status) != 0)
        return FWR_E_IO;
    if ((uint64_t)status.st_size != size)
        return FWR_E_NOT_HELD;
    if (fwr_fileio_read(fd, buffer, length, offset, &count) != 0)
        return FWR_E_IO;
    return count == length ? FWR_OK : FWR_E_NOT_HELD;
}

static int source_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    struct fwr_source_file *file = ctx;
    int rc;

    if (file->envelope_fd < 0)
        return FWR_E_NOT_FOUND;
    if (file->envelope_size > capacity)
        return FWR_E_NO_SPACE;
    rc = read_unchanged(file->envelope_fd, file->envelope_size, buffer, (size_t)file->envelope_size,
                        0);
    if (rc == FWR_OK)
        *length = (size_t)file->envelope_size;
    return rc;
}

static int source_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    struct fwr_source_file *file = ctx;

    if (length > file->image_size || address > file->image_size - length)
        return FWR_E_RANGE;
    return read_unchanged(file->image_fd, file->image_size, buffer, length, address);
}

int fwr_source_file_open(struct fwr_source_file *file, const char *image_path,
                         const char *envelope_path)
{
    int rc;

    if (!file)
        return FWR_E_ARGUMENT;
    *file = (struct fwr_source_file){.image_fd = -1, .envelope_fd = -1};
    if (!image_path)
        return FWR_E_ARGUMENT;
    rc = fwr_fileio_open(image_path, O_RDONLY, &file->image_fd, &file->image_size);
    if (rc == FWR_OK && envelope_path)
        rc = fwr_fileio_open(envelope_path, O_RDONLY, &file->envelope_fd, &file->envelope_size);
    if (rc == FWR_OK && file->image_size == 0)
        rc = FWR_E_FLASH_SIZE;
    if (rc == FWR_OK && file->image_size > UINT32_MAX)
        rc = FWR_E_RANGE;
    if (rc == FWR_OK && envelope_path && file->envelope_size == 0)
        rc = FWR_E_ENVELOPE;
    if (rc != FWR_OK) {
        fwr_source_file_close(file);
        return rc;
    }
    file->source = (struct fwr_source){
        .size = sizeof(struct fwr_source),
        .ctx = file,
        .name = image_path,
        .envelope = source_envelope,
        .read = source_read,
    };
    return FWR_OK;
}

void fwr_source_file_close(struct fwr_source_file *file)
{
    if (file->image_fd >= 0)
        close(file->image_fd);
    if (file->envelope_fd >= 0)
        close(file->envelope_fd);
    file->image_fd = -1;
    file->envelope_fd = -1;
}
