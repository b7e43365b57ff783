/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as a chip. Called through the flash contract; never answers PENDING, never grows the
 * file, never allocates.
 */
#include "config.h"

#include <fwrecover/flash-file.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "fileio.h"

const struct fwr_flash_geometry fwr_flash_file_geometry = {
    .erase_size = 4096,
    .program_size = 256,
    .erased_value = 0xff,
};

static bool inside(const struct fwr_flash_file *file, uint32_t offset, uint32_t length)
{
    return length <= file->flash.geometry.size && offset <= file->flash.geometry.size - length;
}

static int file_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    struct fwr_flash_file *file = ctx;
    size_t count;

    if (!inside(file, offset, length))
        return FWR_E_RANGE;
    /* A short count is a file that somebody has cut since it was opened. */
    if (fwr_fileio_read(file->fd, buffer, length, offset, &count) != 0 || count != length)
        return FWR_E_FLASH_READ;
    return FWR_OK;
}

static int file_erase(void *ctx, uint32_t offset, uint32_t length)
{
    struct fwr_flash_file *file = ctx;
    uint32_t unit = file->flash.geometry.erase_size;
    uint64_t at = offset;
    uint64_t end = (uint64_t)offset + length;
    uint8_t blank[1024];
    struct iovec vector[64];

    if (!inside(file, offset, length))
        return FWR_E_RANGE;
    if (offset % unit != 0 || length % unit != 0)
        return FWR_E_FLASH_ALIGNMENT;
    if (file->read_only)
        return FWR_E_FLASH_ERASE;

    /* One small buffer written many times a call: neither a large stack nor a call a page. */
    memset(blank, file->flash.geometry.erased_value, sizeof(blank));
    while (at < end) {
        uint64_t planned = at;
        int count = 0;
        ssize_t n;

        while (planned < end && count < 64) {
            size_t length_here = end - planned < sizeof(blank) ? end - planned : sizeof(blank);

            vector[count++] = (struct iovec){.iov_base = blank, .iov_len = length_here};
            planned += length_here;
        }
        n = pwritev(file->fd, vector, count, (off_t)at);
        if (n < 0 && errno != EINTR)
            return FWR_E_FLASH_ERASE;
        if (n > 0)
            at += (uint64_t)n;
    }
    return FWR_OK;
}

static int file_program(void *ctx, uint32_t offset, const void *data, uint32_t length)
{
    struct fwr_flash_file *file = ctx;
    uint32_t page = file->flash.geometry.program_size;

    if (!inside(file, offset, length))
        return FWR_E_RANGE;
    if (offset % page != 0 || length % page != 0)
        return FWR_E_FLASH_ALIGNMENT;
    if (file->read_only || fwr_fileio_write(file->fd, data, length, offset) != 0)
        return FWR_E_FLASH_PROGRAM;
    return FWR_OK;
}

static int file_sync(void *ctx)
{
    struct fwr_flash_file *file = ctx;

    if (file->read_only)
        return FWR_OK;
    if (!file->sync_failed && fwr_fileio_sync(file->fd) != 0)
        file->sync_failed = true;
    return file->sync_failed ? FWR_E_FLASH_SYNC : FWR_OK;
}

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* What of the geometry can be wrong once the file's size is known. */
static int check_size(const struct fwr_flash_geometry *geometry, uint64_t size)
{
    if (geometry->size != 0 && geometry->size != size)
        return FWR_E_FLASH_SIZE;
    if (size == 0 || size % geometry->erase_size != 0)
        return FWR_E_FLASH_ALIGNMENT;
    return size > UINT32_MAX ? FWR_E_RANGE : FWR_OK;
}

int fwr_flash_file_open(struct fwr_flash_file *file, const char *path,
                        const struct fwr_flash_geometry *geometry, bool read_only)
{
    uint64_t size;
    int fd, rc;

    if (!file)
        return FWR_E_ARGUMENT;
    *file = (struct fwr_flash_file){.fd = -1};
    if (!geometry)
        geometry = &fwr_flash_file_geometry;
    if (!path || !is_power_of_two(geometry->erase_size) ||
        !is_power_of_two(geometry->program_size) || geometry->program_size > geometry->erase_size)
        return FWR_E_ARGUMENT;
    rc = fwr_fileio_open(path, read_only ? O_RDONLY : O_RDWR, &fd, &size);
    if (rc != FWR_OK)
        return rc;
    if (!read_only && flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? FWR_E_BUSY : FWR_E_IO;
    if (rc == FWR_OK)
        rc = check_size(geometry, size);
    if (rc != FWR_OK) {
        close(fd);
        return rc;
    }

    file->flash = (struct fwr_flash){
        .size = sizeof(struct fwr_flash),
        .ctx = file,
        .geometry = *geometry,
        .read = file_read,
        .erase = file_erase,
        .program = file_program,
        .sync = file_sync,
    };
    file->flash.geometry.size = (uint32_t)size;
    file->fd = fd;
    file->read_only = read_only;
    return FWR_OK;
}

void fwr_flash_file_close(struct fwr_flash_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
