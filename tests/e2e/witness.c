/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A witness inside somebody else's process, put there with LD_PRELOAD: it counts what the process
 * does to its flash, its store and its donors, looks at every byte that goes to the flash, and
 * stops the process (SIGSTOP) before the operation of a given number, or in the middle of it, or
 * when the process is about to end. Who kills it then, or looks around and lets it go on, is the
 * test's business. The test and the witness share one page, WITNESS_PAGE.
 *
 * WITNESS_FLASH is the flash file, WITNESS_IMAGE the only content that may ever be written to it
 * besides erased bytes. Without WITNESS_PAGE nothing is different from a run without the witness.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_SIZE 4096
#define ERASED    0xff

/* tests/e2e/lab.py knows these by number. */
enum kind { ERASE, PROGRAM, SYNC, RECORD, RECORD_SYNC, RENAME, REMOVE, ASK, KINDS };

struct page {
    uint64_t count;        /* operations so far */
    uint64_t stop_at;      /* stop before operation number stop_at, counted from 1; 0 = never */
    uint64_t torn;         /* do half of that operation first, if it is a write */
    uint64_t at_exit;      /* stop when the process is about to end */
    uint64_t with_sendmsg; /* sendmsg counts as well: ipmi_sim answers with it, the tools ask */
    uint64_t keep_offset;  /* a range of the flash that must not be touched */
    uint64_t keep_length;
    uint64_t last;     /* kind of the operation that it stopped at */
    uint64_t foreign;  /* bytes written to the flash that are neither the image's nor erased */
    uint64_t trespass; /* bytes written inside the range to keep */
    uint64_t kinds[KINDS];
};

static struct page *page;
static struct stat flash;
static const uint8_t *image;
static size_t image_size;

static void *map(const char *variable, int flags, int protection, int sharing, size_t *size)
{
    const char *path = getenv(variable);
    int fd = path != NULL ? open(path, flags | O_CLOEXEC) : -1;
    struct stat status;
    void *at;

    if (fd < 0 || fstat(fd, &status) != 0)
        return NULL;
    at = mmap(NULL, (size_t)status.st_size, protection, sharing, fd, 0);
    close(fd);
    *size = (size_t)status.st_size;
    return at == MAP_FAILED ? NULL : at;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WITNESS_FLASH");
    size_t size = 0;
    struct page *shared = map("WITNESS_PAGE", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, &size);

    if (shared == NULL || size < PAGE_SIZE || path == NULL || stat(path, &flash) != 0)
        return;
    image = map("WITNESS_IMAGE", O_RDONLY, PROT_READ, MAP_PRIVATE, &image_size);
    page = shared;
}

__attribute__((destructor)) static void end(void)
{
    if (page != NULL && page->at_exit != 0)
        raise(SIGSTOP);
}

static bool is_flash(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_dev == flash.st_dev &&
           status.st_ino == flash.st_ino;
}

/* Counts one operation; true when it is the one to stop at. */
static bool is_due(enum kind kind)
{
    page->kinds[kind]++;
    if (++page->count != page->stop_at)
        return false;
    page->last = kind;
    return true;
}

static void stop_before(enum kind kind)
{
    if (page != NULL && is_due(kind))
        raise(SIGSTOP);
}

static void look(const uint8_t *bytes, size_t length, uint64_t offset)
{
    for (size_t i = 0; i < length; i++) {
        const uint64_t at = offset + i;

        page->foreign += bytes[i] != ERASED && (at >= image_size || image[at] != bytes[i]);
        page->trespass += at - page->keep_offset < page->keep_length;
    }
}

/* The number of bytes to write first when the process is to stop half-way, else 0. */
static size_t torn_part(enum kind kind, size_t length)
{
    if (!is_due(kind))
        return 0;
    if (page->torn == 0 || length < 2) {
        raise(SIGSTOP);
        return 0;
    }
    return length / 2;
}

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #name) /* as POSIX says that it is done */

/* glibc's headers give these two names of 64-bit offsets to their callers on every machine. */
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    REAL(pwrite64);
    if (page != NULL) {
        const bool chip = is_flash(fd);
        size_t part;

        if (chip)
            look(data, length, (uint64_t)offset);
        part = torn_part(chip ? PROGRAM : RECORD, length);
        if (part > 0) {
            (void)!real(fd, data, part, offset);
            raise(SIGSTOP);
        }
    }
    return real(fd, data, length, offset);
}

/* Only the flash's erase writes vectors. */
ssize_t pwritev64(int fd, const struct iovec *vector, int count, off64_t offset)
{
    REAL(pwritev64);
    if (page != NULL) {
        uint64_t at = (uint64_t)offset;
        size_t part;

        for (int i = 0; i < count; i++) {
            look(vector[i].iov_base, vector[i].iov_len, at);
            at += vector[i].iov_len;
        }
        part = torn_part(ERASE, (size_t)count);
        if (part > 0) {
            (void)!real(fd, vector, (int)part, offset);
            raise(SIGSTOP);
        }
    }
    return real(fd, vector, count, offset);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    if (page != NULL)
        stop_before(is_flash(fd) ? SYNC : RECORD_SYNC);
    return real(fd);
}

int fsync(int fd)
{
    REAL(fsync);
    stop_before(RECORD_SYNC);
    return real(fd);
}

int renameat(int from, const char *old, int to, const char *new)
{
    REAL(renameat);
    stop_before(RENAME);
    return real(from, old, to, new);
}

int unlinkat(int fd, const char *path, int flags)
{
    REAL(unlinkat);
    stop_before(REMOVE);
    return real(fd, path, flags);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    REAL(send);
    stop_before(ASK);
    return real(fd, data, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    if (page != NULL && page->with_sendmsg != 0)
        stop_before(ASK);
    return real(fd, message, flags);
}
