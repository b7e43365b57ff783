/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pread and pwrite until done. Owns nothing, keeps nothing.
 */
#include "config.h"

#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <fwrecover/error.h>

/* A chip has up to 4 GiB, so offsets need more than 32 bits on every machine. */
_Static_assert(sizeof(off_t) == 8, "configure's large file support is missing");

int fwr_fileio_read(int fd, void *buffer, size_t length, uint64_t offset, size_t *count)
{
    uint8_t *at = buffer;

    *count = 0;
    while (*count < length) {
        ssize_t n = pread(fd, at + *count, length - *count, (off_t)(offset + *count));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        *count += (size_t)n;
    }
    return 0;
}

int fwr_fileio_write(int fd, const void *data, size_t length, uint64_t offset)
{
    const uint8_t *at = data;
    size_t done = 0;

    while (done < length) {
        ssize_t n = pwrite(fd, at + done, length - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        done += (size_t)n;
    }
    return 0;
}

int fwr_fileio_sync(int fd)
{
    while (fdatasync(fd) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

int fwr_fileio_open_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return FWR_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
        return FWR_E_ACCESS;
    case ENOMEM:
    case ENFILE:
    case EMFILE:
        return FWR_E_MEMORY;
    default:
        return FWR_E_IO;
    }
}

int fwr_fileio_open(const char *path, int flags, int *fd, uint64_t *size)
{
    struct stat status;

    /* O_NONBLOCK: opening a pipe by mistake must not hang. It changes nothing for a file. */
    *fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0)
        return fwr_fileio_open_error(errno);
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(*fd);
        *fd = -1;
        return FWR_E_IO;
    }
    *size = (uint64_t)status.st_size;
    return FWR_OK;
}
