/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store. A record is two files, "KIND-SLOT.a" and ".b", each with a header, a
 * counter and a CRC; the valid one with the higher counter is the record.
 *
 * A write goes to the other file, in place where that file is whole already (one fdatasync, no
 * new metadata), else to ".tmp" and by rename, so that a file which is there was once whole: a
 * record without a valid file is damage, never a first write that was cut.
 *
 * Called through the store contract; never answers PENDING, never allocates, trusts no byte
 * before its CRC.
 *
 * A file: "FWRS", u16 format version, u16 its complement (these eight bytes are the same in
 * all versions), u8 kind, u8 slot, u16 zero, u32 length, u64 counter, u32 CRC-32 of all the
 * bytes before it and of the data, data. Little-endian. What follows the data is left over.
 */
#include "config.h"

#include <fwrecover/store-dir.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "fileio.h"
#include "wire/crc32.h"
#include "wire/cursor.h"

enum {
    FORMAT_VERSION = 1,
    CHECKED_SIZE = 24, /* of the header, before the CRC */
    HEADER_SIZE = 28,
    NAME_SIZE = 24,
};

static const char magic[4] = {'F', 'W', 'R', 'S'};

static const char *const kind_names[] = {
    [FWR_STORE_JOURNAL] = "journal",
    [FWR_STORE_GUARD] = "guard",
    [FWR_STORE_ENVELOPE] = "envelope",
    [FWR_STORE_TRUST] = "trust",
    [FWR_STORE_FLOORS] = "floors",
    [FWR_STORE_POLICY] = "policy",
    [FWR_STORE_CANDIDATE] = "candidate",
    [FWR_STORE_WAIVED] = "waived",
    [FWR_STORE_GENERATION] = "generation",
    [FWR_STORE_REJECTED] = "rejected",
    [FWR_STORE_ICMB] = "icmb",
    [FWR_STORE_DONORS] = "donors",
};

/* A record while one operation looks at it. */
struct record {
    const struct fwr_store_dir *dir;
    enum fwr_store_kind kind;
    uint8_t slot;
    struct copy {
        enum { ABSENT, DAMAGED, NEWER, VALID } state;
        char name[NAME_SIZE];
        uint64_t counter;
        uint32_t length;
        uint32_t crc;
        uint32_t header_crc; /* over the part of the header that counts */
    } copies[2];
};

static int store_error(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FWR_E_STORE_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return FWR_E_STORE_READ_ONLY;
    default:
        return FWR_E_STORE_IO;
    }
}

static void decode_header(const uint8_t *header, size_t available, struct record *record,
                          struct copy *copy)
{
    uint8_t found[sizeof(magic)];
    struct fwr_reader reader;
    uint16_t version, complement;

    copy->state = DAMAGED;
    fwr_reader_init(&reader, header, available);
    fwr_reader_copy(&reader, found, sizeof(found));
    version = fwr_reader_u16(&reader);
    complement = fwr_reader_u16(&reader);
    if (reader.failed || memcmp(found, magic, sizeof(magic)) != 0 ||
        (version ^ complement) != 0xffff)
        return;
    if (version > FORMAT_VERSION) {
        copy->state = NEWER;
        return;
    }
    if (version != FORMAT_VERSION || fwr_reader_u8(&reader) != record->kind ||
        fwr_reader_u8(&reader) != record->slot || fwr_reader_u16(&reader) != 0)
        return;
    copy->length = fwr_reader_u32(&reader);
    copy->counter = fwr_reader_u64(&reader);
    copy->crc = fwr_reader_u32(&reader);
    if (fwr_reader_complete(&reader))
        copy->state = VALID;
}

/* Reads the header and checks all the bytes. Errors are those that say nothing about the file:
 * taking them for damage would bring an older record back. */
static int inspect_copy(struct record *record, struct copy *copy)
{
    uint8_t chunk[1024];
    size_t count;
    uint32_t crc;
    int fd = openat(record->dir->fd, copy->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    copy->state = ABSENT;
    if (fd < 0 && errno == ENOENT)
        return FWR_OK;
    copy->state = DAMAGED;
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? FWR_OK : FWR_E_STORE_IO;

    if (fwr_fileio_read(fd, chunk, HEADER_SIZE, 0, &count) == 0)
        decode_header(chunk, count, record, copy);
    if (copy->state == VALID) {
        crc = copy->header_crc = fwr_crc32(0, chunk, CHECKED_SIZE);
        for (uint32_t at = 0; copy->state == VALID && at < copy->length; at += (uint32_t)count) {
            size_t part = copy->length - at < sizeof(chunk) ? copy->length - at : sizeof(chunk);

            if (fwr_fileio_read(fd, chunk, part, HEADER_SIZE + (uint64_t)at, &count) != 0 ||
                count != part) {
                copy->state = DAMAGED;
                break;
            }
            crc = fwr_crc32(crc, chunk, count);
        }
        if (copy->state == VALID && crc != copy->crc)
            copy->state = DAMAGED;
    }
    close(fd);
    return FWR_OK;
}

/* Names and inspects both copies. FWR_E_STORE_VERSION if either is newer than this code: the
 * record may have been rewritten by a newer version before somebody went back to this one. */
static int open_record(const struct fwr_store_dir *dir, enum fwr_store_kind kind, uint8_t slot,
                       struct record *record)
{
    if (dir->fd < 0)
        return FWR_E_STORE_IO;
    if ((size_t)kind >= sizeof(kind_names) / sizeof(kind_names[0]) || !kind_names[kind])
        return FWR_E_ARGUMENT;
    *record = (struct record){.dir = dir, .kind = kind, .slot = slot};
    for (int i = 0; i < 2; i++) {
        struct copy *copy = &record->copies[i];
        int rc;

        snprintf(copy->name, sizeof(copy->name), "%s-%u.%c", kind_names[kind], slot, 'a' + i);
        rc = inspect_copy(record, copy);
        if (rc != FWR_OK)
            return rc;
    }
    if (record->copies[0].state == NEWER || record->copies[1].state == NEWER)
        return FWR_E_STORE_VERSION;
    return FWR_OK;
}

/* The copy that is the record; NULL when there is none. */
static struct copy *newest(struct record *record)
{
    struct copy *a = &record->copies[0];
    struct copy *b = &record->copies[1];

    if (a->state == VALID && (b->state != VALID || a->counter >= b->counter))
        return a;
    return b->state == VALID ? b : NULL;
}

static struct copy *other(struct record *record, const struct copy *copy)
{
    return copy == &record->copies[0] ? &record->copies[1] : &record->copies[0];
}

/* Reads a copy's data and checks it once more: a failing medium may give other bytes each time.
 * FWR_E_STORE_CORRUPT: it did. */
static int read_copy(const struct fwr_store_dir *dir, const struct copy *copy, void *buffer)
{
    size_t count = 0;
    int fd = openat(dir->fd, copy->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int error;

    if (fd < 0)
        return FWR_E_STORE_IO;
    error = fwr_fileio_read(fd, buffer, copy->length, HEADER_SIZE, &count);
    close(fd);
    if (error != 0 || count != copy->length)
        return FWR_E_STORE_IO;
    return fwr_crc32(copy->header_crc, buffer, count) == copy->crc ? FWR_OK : FWR_E_STORE_CORRUPT;
}

static int dir_read(void *ctx, enum fwr_store_kind kind, uint8_t slot, void *buffer,
                    size_t capacity, size_t *length)
{
    const struct fwr_store_dir *dir = ctx;
    struct record record;
    struct copy *copy;
    int rc = open_record(dir, kind, slot, &record);

    if (rc != FWR_OK)
        return rc;
    while ((copy = newest(&record)) != NULL) {
        if (copy->length > capacity)
            return FWR_E_NO_SPACE;
        rc = read_copy(dir, copy, buffer);
        if (rc == FWR_OK)
            *length = copy->length;
        if (rc != FWR_E_STORE_CORRUPT)
            return rc;
        copy->state = DAMAGED;
    }
    return record.copies[0].state == ABSENT && record.copies[1].state == ABSENT
               ? FWR_E_NOT_FOUND
               : FWR_E_STORE_CORRUPT;
}

static int sync_directory(const struct fwr_store_dir *dir)
{
    /* EINVAL: a file system whose directories need no fsync. */
    return fsync(dir->fd) == 0 || errno == EINVAL ? 0 : errno;
}

/* Fills and syncs one open file. 0, or errno. */
static int write_copy(int fd, const struct record *record, uint64_t counter, const void *data,
                      uint32_t length)
{
    uint8_t header[HEADER_SIZE];
    struct fwr_writer writer;
    int error;

    fwr_writer_init(&writer, header, sizeof(header));
    fwr_writer_bytes(&writer, magic, sizeof(magic));
    fwr_writer_u16(&writer, FORMAT_VERSION);
    fwr_writer_u16(&writer, FORMAT_VERSION ^ 0xffff);
    fwr_writer_u8(&writer, (uint8_t)record->kind);
    fwr_writer_u8(&writer, record->slot);
    fwr_writer_u16(&writer, 0);
    fwr_writer_u32(&writer, length);
    fwr_writer_u64(&writer, counter);
    fwr_writer_u32(&writer, fwr_crc32(fwr_crc32(0, header, CHECKED_SIZE), data, length));

    error = fwr_fileio_write(fd, header, sizeof(header), 0);
    if (error == 0)
        error = fwr_fileio_write(fd, data, length, HEADER_SIZE);
    return error != 0 ? error : fwr_fileio_sync(fd);
}

static void temporary_name(const struct copy *copy, char *name)
{
    size_t stem = strlen(copy->name) - 1;

    memcpy(name, copy->name, stem); // NOLINT(bugprone-not-null-terminated-result): by "tmp"
    memcpy(name + stem, "tmp", 4);
}

/* Replaces the file of `copy` by rename. 0, or errno with the file as it was or the new one. */
static int create_copy(const struct record *record, const struct copy *copy, uint64_t counter,
                       const void *data, uint32_t length)
{
    char name[NAME_SIZE];
    int directory = record->dir->fd;
    int error = 0;
    int fd;

    temporary_name(copy, name);
    if (unlinkat(directory, name, 0) != 0 && errno != ENOENT)
        return errno;
    fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    error = write_copy(fd, record, counter, data, length);
    close(fd);
    if (error == 0 && renameat(directory, name, directory, copy->name) != 0)
        error = errno;
    if (error == 0)
        return sync_directory(record->dir);
    unlinkat(directory, name, 0);
    return error;
}

static int overwrite_copy(const struct record *record, const struct copy *copy, uint64_t counter,
                          const void *data, uint32_t length)
{
    int fd = openat(record->dir->fd, copy->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int error;

    if (fd < 0)
        return errno;
    error = write_copy(fd, record, counter, data, length);
    close(fd);
    return error;
}

static int dir_write(void *ctx, enum fwr_store_kind kind, uint8_t slot, const void *data,
                     size_t length)
{
    struct fwr_store_dir *dir = ctx;
    struct record record;
    struct copy *current, *target;
    uint64_t counter;
    int error;
    int rc = open_record(dir, kind, slot, &record);

    if (rc != FWR_OK)
        return rc;
    if (length > UINT32_MAX - HEADER_SIZE)
        return FWR_E_ARGUMENT;
    if (dir->broken)
        return FWR_E_STORE_IO;
    current = newest(&record);
    target = current ? other(&record, current) : &record.copies[0];
    counter = current ? current->counter + 1 : 1;

    /* Without a valid record, no remnant may come back with a higher counter. */
    if (!current && record.copies[1].state != ABSENT &&
        unlinkat(dir->fd, record.copies[1].name, 0) != 0)
        return store_error(errno);

    if (target->state == VALID)
        error = overwrite_copy(&record, target, counter, data, (uint32_t)length);
    else
        error = create_copy(&record, target, counter, data, (uint32_t)length);
    if (error == 0)
        return FWR_OK;

    /* The file may look new and whole without being on the medium; the next write would then
     * go over the only copy that is. So it has to go. Without a current one it was none. */
    if (current && unlinkat(dir->fd, target->name, 0) != 0 && errno != ENOENT && errno != EROFS)
        dir->broken = true;
    return store_error(error);
}

static int dir_remove(void *ctx, enum fwr_store_kind kind, uint8_t slot)
{
    struct fwr_store_dir *dir = ctx;
    struct record record;
    struct copy *last;
    char name[NAME_SIZE];
    int rc = open_record(dir, kind, slot, &record);

    if (rc != FWR_OK)
        return rc;
    temporary_name(&record.copies[0], name);
    if (unlinkat(dir->fd, name, 0) != 0 && errno != ENOENT)
        return store_error(errno);
    /* The older one first, for good: cut in between, the record is still the newer. */
    last = newest(&record);
    if (!last)
        last = &record.copies[1];
    for (int i = 0; i < 2; i++) {
        const struct copy *copy = i == 0 ? other(&record, last) : last;

        if (copy->state == ABSENT)
            continue;
        if (unlinkat(dir->fd, copy->name, 0) != 0 && errno != ENOENT)
            return store_error(errno);
        if (sync_directory(dir) != 0)
            return FWR_E_STORE_IO;
    }
    return FWR_OK;
}

/* Opens the directory itself, never what a link points to. */
static int open_directory(const char *path, int *fd)
{
    char plain[PATH_MAX];
    size_t length = strlen(path);
    struct stat status;

    /* With a slash at its end the system would follow a link. */
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof(plain))
        return FWR_E_ARGUMENT;
    memcpy(plain, path, length);
    plain[length] = '\0';

    if (lstat(plain, &status) != 0)
        return fwr_fileio_open_error(errno);
    if (S_ISLNK(status.st_mode))
        return FWR_E_PERMISSIONS;
    if (!S_ISDIR(status.st_mode))
        return FWR_E_CONFIG;
    *fd = open(plain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd < 0 ? fwr_fileio_open_error(errno) : FWR_OK;
}

static int check_directory(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return FWR_E_IO;
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (status.st_uid != geteuid() && status.st_uid != 0))
        return FWR_E_PERMISSIONS;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? FWR_E_BUSY : FWR_E_IO;
    return FWR_OK;
}

int fwr_store_dir_open(struct fwr_store_dir *dir, const char *path)
{
    int fd = -1;
    int rc;

    if (!dir)
        return FWR_E_ARGUMENT;
    *dir = (struct fwr_store_dir){.fd = -1};
    if (!path)
        return FWR_E_ARGUMENT;
    rc = open_directory(path, &fd);
    if (rc != FWR_OK)
        return rc;
    rc = check_directory(fd);
    if (rc != FWR_OK) {
        close(fd);
        return rc;
    }
    dir->store = (struct fwr_store){
        .size = sizeof(struct fwr_store),
        .ctx = dir,
        .read = dir_read,
        .write = dir_write,
        .remove = dir_remove,
    };
    dir->fd = fd;
    return FWR_OK;
}

void fwr_store_dir_close(struct fwr_store_dir *dir)
{
    if (dir->fd >= 0)
        close(dir->fd);
    dir->fd = -1;
}
