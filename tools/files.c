/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes files for the command line: whole small ones, written under a temporary name
 * first, and large ones by offset. Reports its own failures; keeps no state.
 */
#include "tools/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "tools/say.h"

static int fail(const char *path, const char *doing)
{
    return tool_system_error(errno, path, doing);
}

int tool_file_open(struct tool_file *file, const char *path)
{
    struct stat status;

    file->path = path;
    /* Without O_NONBLOCK a FIFO would hold us here. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return fail(path, "opening it for reading");
    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        tool_file_close(file);
        return tool_error(FWR_E_IO, path, "it is not a regular file");
    }
    file->size = (uint64_t)status.st_size;
    return TOOL_OK;
}

void tool_file_close(struct tool_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int tool_file_at(const struct tool_file *file, uint64_t offset, void *buffer, size_t length)
{
    uint8_t *to = buffer;

    while (length > 0) {
        ssize_t count = pread(file->fd, to, length, (off_t)offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(file->path, "reading it");
        if (count == 0)
            return tool_error(FWR_E_IO, file->path, "it ended early; did something shorten it?");
        to += count;
        offset += (size_t)count;
        length -= (size_t)count;
    }
    return TOOL_OK;
}

static int check_secret(const struct tool_file *file)
{
    struct stat status;

    if (fstat(file->fd, &status) != 0)
        return fail(file->path, "looking at its mode");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return tool_errorf(FWR_E_PERMISSIONS, file->path, "its mode is %04o: chmod 600 %s",
                           (unsigned)(status.st_mode & 07777), file->path);
    return TOOL_OK;
}

int tool_file_read(const char *path, size_t max, bool secret, struct tool_bytes *bytes)
{
    struct tool_file file = {.fd = -1};
    int status = tool_file_open(&file, path);

    bytes->data = NULL;
    bytes->length = 0;
    if (status != TOOL_OK)
        return status;
    if (secret)
        status = check_secret(&file);
    if (status == TOOL_OK && file.size > max)
        status = tool_errorf(FWR_E_RANGE, path, "it has %llu bytes, at most %zu make sense here",
                             (unsigned long long)file.size, max);
    if (status == TOOL_OK) {
        bytes->length = (size_t)file.size;
        bytes->data = malloc(bytes->length + 1);
        status = bytes->data != NULL ? tool_file_at(&file, 0, bytes->data, bytes->length)
                                     : tool_error(FWR_E_MEMORY, path, NULL);
    }
    if (status == TOOL_OK && bytes->data != NULL)
        bytes->data[bytes->length] = '\0';
    else
        tool_bytes_free(bytes);
    tool_file_close(&file);
    return status;
}

void tool_bytes_free(struct tool_bytes *bytes)
{
    if (bytes->data != NULL)
        OPENSSL_cleanse(bytes->data, bytes->length);
    free(bytes->data);
    bytes->data = NULL;
    bytes->length = 0;
}

/* Writes all of it, and waits until it is on the medium where there is one. */
static bool put(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, data, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        data += count;
        length -= (size_t)count;
    }
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

int tool_file_write(const char *path, const void *data, size_t length, unsigned mode, bool replace)
{
    char temporary[4096];
    int written;
    int fd;

    if (strcmp(path, "-") == 0)
        return put(STDOUT_FILENO, data, length) ? TOOL_OK : fail("standard output", "writing");
    if (!replace && access(path, F_OK) == 0)
        return tool_usage("%s: exists already; choose another name or give --force", path);
    written = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (written < 0 || (size_t)written >= sizeof(temporary))
        return tool_usage("%s: the name is too long", path);
    fd = mkstemp(temporary); /* mode 0600: a secret is never readable, not even for a moment */
    if (fd < 0)
        return fail(path, "creating it");
    if (!put(fd, data, length) || fchmod(fd, (mode_t)mode) != 0 || rename(temporary, path) != 0) {
        int status = fail(path, "writing it");

        unlink(temporary);
        close(fd);
        return status;
    }
    close(fd);
    return TOOL_OK;
}
