/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory: see disk.h. A file has the bytes its readers see and those that are on the
 * medium; fdatasync makes them equal. The directory's changes since its last fsync are kept in
 * order, to be taken back.
 */
#include "tests/sim/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/wire/crc32.h"
#include "tests/unit/seeded.h"

#define DIRECTORY   30000 /* descriptors that the system does not give out */
#define FIRST_FD    (DIRECTORY + 1)
#define FILES_MAX   64
#define NAMES_MAX   32
#define FDS_MAX     8
#define CHANGES_MAX 32
#define BYTES_MAX   20000
#define HEADER_SIZE 28 /* of the store's files */
#define SECTOR      512

struct file {
    bool used;
    bool unsynced;
    uint32_t length, durable_length;
    uint32_t decay_reads; /* + 1; 0: sound */
    uint64_t decay_seed;
    uint8_t bytes[BYTES_MAX], durable[BYTES_MAX];
};

struct name {
    char text[32]; /* empty: free */
    int file;
};

static struct {
    struct fwr_fault_hook hook;
    bool dark;
    uint64_t operations;
    struct file files[FILES_MAX];
    struct name names[NAMES_MAX], durable[NAMES_MAX];
    struct name history[CHANGES_MAX][NAMES_MAX]; /* before each change since the last fsync */
    int changes;
    int fds[FDS_MAX]; /* file + 1 */
} disk;

static int fail(int error)
{
    errno = error;
    return -1;
}

/* Which record a file belongs to, by its name. */
static uint32_t kind_of(const char *name)
{
    static const char *const stems[] = {"",        "journal-", "guard-",     "envelope-", "trust-",
                                        "floors-", "policy-",  "candidate-", "waived-"};

    for (uint32_t kind = 1; kind < sizeof(stems) / sizeof(stems[0]); kind++)
        if (strncmp(name, stems[kind], strlen(stems[kind])) == 0)
            return kind;
    return 0;
}

static const char *name_of(int file)
{
    for (int i = 0; i < NAMES_MAX; i++)
        if (disk.names[i].text[0] && disk.names[i].file == file)
            return disk.names[i].text;
    return "";
}

/* FWR_FAULT_NONE, or how the power failed here; BEFORE too when it was off already. */
static enum fwr_fault_verdict decide(enum fwr_fault_operation operation, const char *name,
                                     uint32_t length, struct fwr_fault_event *event)
{
    *event = (struct fwr_fault_event){.operation = operation,
                                      .number = disk.operations,
                                      .offset = kind_of(name),
                                      .length = length,
                                      .seed = disk.operations,
                                      .decay_reads = 1};
    if (disk.dark)
        return FWR_FAULT_BEFORE;
    disk.operations++;
    enum fwr_fault_verdict verdict =
        disk.hook.decide ? disk.hook.decide(disk.hook.ctx, event) : FWR_FAULT_NONE;
    disk.dark |= verdict != FWR_FAULT_NONE;
    return verdict;
}

static struct name *find(const char *text)
{
    for (int i = 0; i < NAMES_MAX; i++)
        if (strcmp(disk.names[i].text, text) == 0)
            return &disk.names[i];
    return NULL;
}

/* Before a change of the directory. */
static void remember(void)
{
    if (disk.changes == CHANGES_MAX)
        abort();
    memcpy(disk.history[disk.changes++], disk.names, sizeof(disk.names));
}

/* Files that no directory can name any more, now or after a power cut, and nobody has open. */
static bool in_use(int file)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if ((disk.names[i].text[0] && disk.names[i].file == file) ||
            (disk.durable[i].text[0] && disk.durable[i].file == file))
            return true;
        for (int c = 0; c < disk.changes; c++)
            if (disk.history[c][i].text[0] && disk.history[c][i].file == file)
                return true;
    }
    for (int i = 0; i < FDS_MAX; i++)
        if (disk.fds[i] == file + 1)
            return true;
    return false;
}

static int new_file(void)
{
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f = &disk.files[i];
        if (f->used && in_use(i))
            continue;
        f->used = true;
        f->unsynced = false;
        f->length = f->durable_length = f->decay_reads = 0;
        return i;
    }
    abort();
}

static struct file *file_of(int fd)
{
    if (fd < FIRST_FD || fd >= FIRST_FD + FDS_MAX || disk.fds[fd - FIRST_FD] == 0)
        return NULL;
    return &disk.files[disk.fds[fd - FIRST_FD] - 1];
}

static void decay(struct file *f)
{
    f->decay_reads = 0;
    for (uint32_t i = 0; i < 1 + f->length / 64 && f->length > 0; i++) {
        uint32_t at = seeded_below(&f->decay_seed, f->length);
        uint8_t bit = (uint8_t)(1u << seeded_below(&f->decay_seed, 8));
        f->bytes[at] ^= bit;
        f->durable[at] ^= bit;
    }
}

/* What a cut sync leaves: each sector new, old, or with bits of both. */
static void tear(struct file *f, uint64_t seed)
{
    uint32_t length = f->length > f->durable_length ? f->length : f->durable_length;

    if (f->durable_length < f->length)
        memset(f->durable + f->durable_length, 0, f->length - f->durable_length);
    for (uint32_t sector = 0; sector < length; sector += SECTOR) {
        uint32_t way = seeded_below(&seed, 4);
        uint32_t end = sector + SECTOR < length ? sector + SECTOR : length;
        uint32_t edge = sector + seeded_below(&seed, end - sector);
        for (uint32_t i = sector; i < end; i++) {
            if (way == 0 || (way >= 2 && i < edge))
                f->durable[i] = f->bytes[i];
            else if (way == 3 && i == edge)
                f->durable[i] ^= (uint8_t)seeded_next(&seed);
        }
    }
    f->durable_length = f->length;
}

/* ---- the system calls ---- */

int __real_openat(int dir, const char *name, int flags, mode_t mode);
int __real_openat64(int dir, const char *name, int flags, mode_t mode);
int __real_close(int fd);
ssize_t __real_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __real_pread64(int fd, void *buffer, size_t length, off_t offset);
ssize_t __real_pwrite(int fd, const void *data, size_t length, off_t offset);
ssize_t __real_pwrite64(int fd, const void *data, size_t length, off_t offset);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dir, const char *name, int flags, mode_t mode);
int __wrap_close(int fd);
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *name, int flags);

static int open_file(const char *text, int flags)
{
    struct name *name = find(text);
    int fd = 0;

    if (disk.dark)
        return fail(EIO);
    if (!name && !(flags & O_CREAT))
        return fail(ENOENT);
    if (name && (flags & O_EXCL))
        return fail(EEXIST);
    while (fd < FDS_MAX && disk.fds[fd] != 0)
        fd++;
    if (fd == FDS_MAX)
        return fail(EMFILE);
    if (!name) {
        remember();
        name = find("");
        if (!name)
            abort();
        name->file = new_file();
        snprintf(name->text, sizeof(name->text), "%s", text);
    }
    disk.fds[fd] = name->file + 1;
    return FIRST_FD + fd;
}

int __wrap_openat(int dir, const char *name, int flags, mode_t mode)
{
    return dir == DIRECTORY ? open_file(name, flags) : __real_openat(dir, name, flags, mode);
}

int __wrap_openat64(int dir, const char *name, int flags, mode_t mode)
{
    return dir == DIRECTORY ? open_file(name, flags) : __real_openat64(dir, name, flags, mode);
}

int __wrap_close(int fd)
{
    if (fd < DIRECTORY || fd >= FIRST_FD + FDS_MAX)
        return __real_close(fd);
    if (fd >= FIRST_FD)
        disk.fds[fd - FIRST_FD] = 0;
    return 0;
}

static ssize_t read_file(struct file *f, void *buffer, size_t length, off_t offset)
{
    struct fwr_fault_event event;
    uint32_t at = (uint32_t)offset;

    if (decide(FWR_FAULT_STORE_READ, name_of((int)(f - disk.files)), (uint32_t)length, &event))
        return fail(EIO);
    if (f->decay_reads > 0 && --f->decay_reads == 0)
        decay(f);
    if (at >= f->length)
        return 0;
    if (length > f->length - at)
        length = f->length - at;
    memcpy(buffer, f->bytes + at, length);
    return (ssize_t)length;
}

ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset)
{
    struct file *f = file_of(fd);

    return f ? read_file(f, buffer, length, offset) : __real_pread(fd, buffer, length, offset);
}

ssize_t __wrap_pread64(int fd, void *buffer, size_t length, off_t offset)
{
    struct file *f = file_of(fd);

    return f ? read_file(f, buffer, length, offset) : __real_pread64(fd, buffer, length, offset);
}

static ssize_t write_file(struct file *f, const void *data, size_t length, off_t offset)
{
    if (disk.dark)
        return fail(EIO);
    if ((size_t)offset + length > BYTES_MAX)
        return fail(ENOSPC);
    if ((uint32_t)offset > f->length)
        memset(f->bytes + f->length, 0, (uint32_t)offset - f->length);
    memcpy(f->bytes + offset, data, length);
    if ((uint32_t)offset + length > f->length)
        f->length = (uint32_t)((size_t)offset + length);
    f->unsynced = true;
    return (ssize_t)length;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t offset)
{
    struct file *f = file_of(fd);

    return f ? write_file(f, data, length, offset) : __real_pwrite(fd, data, length, offset);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset)
{
    struct file *f = file_of(fd);

    return f ? write_file(f, data, length, offset) : __real_pwrite64(fd, data, length, offset);
}

int __wrap_fdatasync(int fd)
{
    struct file *f = file_of(fd);
    struct fwr_fault_event event;

    if (!f)
        return __real_fdatasync(fd);
    enum fwr_fault_verdict verdict =
        decide(FWR_FAULT_STORE_WRITE, name_of((int)(f - disk.files)), f->length, &event);

    if (verdict == FWR_FAULT_TORN) {
        tear(f, event.seed);
        memcpy(f->bytes, f->durable, sizeof(f->bytes));
        f->unsynced = false;
    }
    if (verdict == FWR_FAULT_BEFORE || verdict == FWR_FAULT_TORN)
        return fail(EIO);
    memcpy(f->durable, f->bytes, f->length);
    f->durable_length = f->length;
    f->unsynced = false;
    f->decay_reads = verdict == FWR_FAULT_MARGINAL ? event.decay_reads + 1 : 0;
    f->decay_seed = event.seed;
    return verdict ? fail(EIO) : 0;
}

int __wrap_fsync(int fd)
{
    struct fwr_fault_event event;

    if (fd != DIRECTORY)
        return __real_fsync(fd);
    enum fwr_fault_verdict verdict = decide(FWR_FAULT_STORE_WRITE, "", 0, &event);

    /* A torn one leaves the choice to disk_power_on, as if there had been none. */
    if (verdict == FWR_FAULT_BEFORE || verdict == FWR_FAULT_TORN)
        return fail(EIO);
    memcpy(disk.durable, disk.names, sizeof(disk.names));
    disk.changes = 0;
    return verdict ? fail(EIO) : 0;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    struct fwr_fault_event event;

    if (from_dir != DIRECTORY)
        return __real_renameat(from_dir, from, to_dir, to);
    struct name *source = find(from), *target = find(to);
    if (!source)
        return fail(ENOENT);
    enum fwr_fault_verdict verdict = decide(FWR_FAULT_STORE_WRITE, to, 0, &event);

    if (verdict == FWR_FAULT_BEFORE || (verdict == FWR_FAULT_TORN && event.seed % 2 == 0))
        return fail(EIO);
    remember();
    if (target)
        target->text[0] = '\0';
    snprintf(source->text, sizeof(source->text), "%s", to);
    return verdict ? fail(EIO) : 0;
}

int __wrap_unlinkat(int dir, const char *text, int flags)
{
    struct fwr_fault_event event;
    struct name *name = find(text);

    if (dir != DIRECTORY)
        return __real_unlinkat(dir, text, flags);
    if (disk.dark)
        return fail(EIO);
    if (!name)
        return fail(ENOENT);
    enum fwr_fault_verdict verdict = decide(FWR_FAULT_STORE_REMOVE, text, 0, &event);

    if (verdict == FWR_FAULT_BEFORE || (verdict == FWR_FAULT_TORN && event.seed % 2 == 0))
        return fail(EIO);
    remember();
    name->text[0] = '\0';
    return verdict ? fail(EIO) : 0;
}

/* ---- for the test ---- */

bool disk_open(struct fwr_store_dir *store, struct fwr_fault_hook hook)
{
    char folder[] = "/tmp/fwrecover-disk-XXXXXX";
    bool opened = mkdtemp(folder) && fwr_store_dir_open(store, folder) == 0;

    rmdir(folder);
    if (!opened)
        return false;
    close(store->fd);
    store->fd = DIRECTORY;
    memset(&disk, 0, offsetof(__typeof__(disk), files));
    for (int i = 0; i < FILES_MAX; i++)
        disk.files[i].used = false;
    memset(disk.names, 0, sizeof(disk.names));
    memset(disk.durable, 0, sizeof(disk.durable));
    memset(disk.fds, 0, sizeof(disk.fds));
    disk.changes = 0;
    disk.hook = hook;
    return true;
}

void disk_power_on(struct fwr_store_dir *store, uint64_t seed)
{
    int kept = disk.changes > 0 ? (int)seeded_below(&seed, (uint32_t)disk.changes + 1) : 0;

    if (kept < disk.changes)
        memcpy(disk.names, disk.history[kept], sizeof(disk.names));
    memcpy(disk.durable, disk.names, sizeof(disk.names));
    disk.changes = 0;
    memset(disk.fds, 0, sizeof(disk.fds));
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f = &disk.files[i];
        if (!f->used || !f->unsynced)
            continue;
        tear(f, seeded_next(&seed));
        memcpy(f->bytes, f->durable, sizeof(f->bytes));
        f->unsynced = false;
    }
    disk.dark = false;
    store->broken = false;
}

static const struct file *copy_of(enum fwr_store_kind kind, uint8_t slot, int copy)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        const char *text = disk.names[i].text;
        const char *dash = strchr(text, '-');
        if (text[0] && dash && kind_of(text) == kind && atoi(dash + 1) == slot &&
            text[strlen(text) - 1] == 'a' + copy)
            return &disk.files[disk.names[i].file];
    }
    return NULL;
}

static uint64_t number(const uint8_t *bytes, int count)
{
    uint64_t value = 0;

    while (count-- > 0)
        value = value << 8 | bytes[count];
    return value;
}

/* The counter of a whole copy, or 0. */
static uint64_t counter_of(const struct file *f)
{
    if (!f || f->length < HEADER_SIZE)
        return 0;
    uint64_t size = number(f->bytes + 12, 4);
    if (size > f->length - HEADER_SIZE ||
        number(f->bytes + 24, 4) !=
            fwr_crc32(fwr_crc32(0, f->bytes, 24), f->bytes + HEADER_SIZE, size))
        return 0;
    return number(f->bytes + 16, 8);
}

long disk_record(enum fwr_store_kind kind, uint8_t slot, bool older, uint8_t *buffer,
                 size_t capacity)
{
    const struct file *a = copy_of(kind, slot, 0), *b = copy_of(kind, slot, 1);
    uint64_t first = counter_of(a), second = counter_of(b);
    const struct file *f = (first > second) != older ? a : b;

    if (counter_of(f) == 0)
        return -1;
    uint64_t size = number(f->bytes + 12, 4);
    if (size > capacity)
        return -1;
    memcpy(buffer, f->bytes + HEADER_SIZE, size);
    return (long)size;
}

bool disk_spoil(enum fwr_store_kind kind, uint8_t slot)
{
    bool any = false;

    for (int i = 0; i < 2; i++) {
        struct file *f = (struct file *)(uintptr_t)copy_of(kind, slot, i);
        uint64_t random = (uint64_t)i + 1;
        if (!f)
            continue;
        any = true;
        seeded_fill(&random, f->bytes + 8, f->length > 8 ? f->length - 8 : 0);
        memcpy(f->durable, f->bytes, f->length);
    }
    return any;
}

void disk_age(void)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (disk.files[i].used && disk.files[i].decay_reads > 0)
            decay(&disk.files[i]);
}
