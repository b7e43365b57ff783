/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a directory, whose files the input changes, cuts, swaps and makes up between reads,
 * writes and removals. Whatever lies there, the answers are data or a store's error and no other
 * record is touched; what was written is read back; a file that was harmed never makes bytes that
 * nobody wrote, and never hides the other copy; and after a removal a record can be written again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/store-dir.h>

#include "lib/wire/crc32.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS = 2, LENGTH_MAX = 300, EVENTS_MAX = 60, HEADER = 28 };

static const enum fwr_store_kind kinds[RECORDS] = {FWR_STORE_JOURNAL, FWR_STORE_TRUST};
static const char *const names[RECORDS][3] = {{"journal-0.a", "journal-0.b", "journal-0.tmp"},
                                              {"trust-0.a", "trust-0.b", "trust-0.tmp"}};

static char folder[64];
static int folder_fd = -1;
static struct fwr_store_dir dir;

/* What we know of a record. */
static struct {
    bool known;   /* its last write was not disturbed since */
    bool sealed;  /* somebody put files there that are whole: anything may be read */
    bool written; /* since the files were last looked after */
    size_t length;
    uint8_t data[LENGTH_MAX];     /* of the last write */
    uint32_t history[EVENTS_MAX]; /* CRC of every write: what may come back when a copy is harmed */
    size_t count;
} model[RECORDS];

static void remove_folder(void)
{
    for (int r = 0; r < RECORDS; r++)
        for (int i = 0; i < 3; i++)
            (void)unlinkat(folder_fd, names[r][i], 0);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    struct stat status;

    snprintf(folder, sizeof(folder), "%s/fwrecover-fuzz-XXXXXX",
             stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    require(mkdtemp(folder) != NULL);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    require(folder_fd >= 0 && atexit(remove_folder) == 0);
}

static bool is_store_error(int error)
{
    return error == FWR_E_NOT_FOUND || error == FWR_E_NO_SPACE || error == FWR_E_STORE_CORRUPT ||
           error == FWR_E_STORE_VERSION || error == FWR_E_STORE_IO || error == FWR_E_STORE_FULL ||
           error == FWR_E_STORE_READ_ONLY;
}

static void read_record(int r)
{
    uint8_t bytes[LENGTH_MAX];
    size_t length = 0;
    int error = dir.store.read(dir.store.ctx, kinds[r], 0, bytes, sizeof(bytes), &length);

    require(error == FWR_OK || is_store_error(error));
    if (model[r].known) {
        require(error == (model[r].written ? FWR_OK : FWR_E_NOT_FOUND));
        require(error != FWR_OK ||
                (length == model[r].length && memcmp(bytes, model[r].data, length) == 0));
    }
    if (error != FWR_OK || model[r].sealed)
        return;
    size_t i = 0;
    while (i < model[r].count && model[r].history[i] != fwr_crc32(0, bytes, length))
        i++;
    require(i < model[r].count);
}

static void write_record(int r, struct fwr_reader *input)
{
    uint8_t bytes[LENGTH_MAX], seed = fwr_reader_u8(input);
    size_t length = fwr_reader_u16(input) % (LENGTH_MAX + 1);
    int error;

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seed + i);
    error = dir.store.write(dir.store.ctx, kinds[r], 0, bytes, length);
    require(error == FWR_OK || is_store_error(error));
    if (error != FWR_OK) {
        require(!model[r].known);
        return;
    }
    memcpy(model[r].data, bytes, length);
    model[r].length = length;
    model[r].history[model[r].count++] = fwr_crc32(0, bytes, length);
    model[r].known = model[r].written = true;
    read_record(r);
}

static void remove_record(int r)
{
    int error = dir.store.remove(dir.store.ctx, kinds[r], 0);

    require(error == FWR_OK || is_store_error(error));
    if (error != FWR_OK) {
        require(!model[r].known);
        return;
    }
    memset(&model[r], 0, sizeof(model[r]));
    model[r].known = true;
    read_record(r);
}

/* Header and CRC of a whole file, whatever it says. */
static void seal(uint8_t *bytes, size_t length)
{
    struct fwr_writer writer;

    if (length < HEADER)
        return;
    fwr_writer_init(&writer, bytes, length);
    fwr_writer_bytes(&writer, "FWRS", 4);
    fwr_writer_u16(&writer, 1);
    fwr_writer_u16(&writer, 0xfffe);
    fwr_writer_init(&writer, bytes + HEADER - 4, 4);
    fwr_writer_u32(&writer,
                   fwr_crc32(fwr_crc32(0, bytes, HEADER - 4), bytes + HEADER, length - HEADER));
}

static void harm_file(int r, struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), bytes[1024], made[120];
    const char *name = names[r][choice % 3];
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    size_t at = fwr_reader_u8(input), length;
    ssize_t got;

    if (fd < 0) /* a link that we made */
        return;
    got = pread(fd, bytes, sizeof(bytes), 0);
    require(got >= 0);
    length = (size_t)got;
    model[r].known = false;
    switch (choice / 3 % 5) {
    case 0:
        if (length > 0)
            bytes[at % length] ^= fwr_reader_u8(input);
        break;
    case 1:
        length = length > 0 ? at % length : 0;
        break;
    case 2:
        length = fuzz_bytes(input, bytes, sizeof(made));
        break;
    case 3: /* anything behind a right head, with a right CRC */
        length = fuzz_bytes(input, bytes, sizeof(made));
        seal(bytes, length);
        model[r].sealed = true;
        break;
    default: /* gone, or a link, a folder's stead */
        (void)unlinkat(folder_fd, name, 0);
        if (at & 1)
            (void)symlinkat("/etc/passwd", folder_fd, name);
        close(fd);
        return;
    }
    require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, length, 0) == (ssize_t)length);
    close(fd);
}

/* Both copies change places, as if somebody had put an older one back. */
static void swap_files(int r)
{
    (void)renameat(folder_fd, names[r][0], folder_fd, names[r][2]);
    (void)renameat(folder_fd, names[r][1], folder_fd, names[r][0]);
    (void)renameat(folder_fd, names[r][2], folder_fd, names[r][1]);
    model[r].known = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fwr_reader input;

    if (folder_fd < 0)
        make_folder();
    memset(model, 0, sizeof(model));
    for (int r = 0; r < RECORDS; r++) {
        model[r].known = true;
        for (int i = 0; i < 3; i++)
            (void)unlinkat(folder_fd, names[r][i], 0);
    }
    require(fwr_store_dir_open(&dir, folder) == FWR_OK);
    fwr_reader_init(&input, data, size);
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        uint8_t what = fwr_reader_u8(&input);
        int r = what >> 7;

        switch (what % 8) {
        case 0:
        case 1:
            write_record(r, &input);
            break;
        case 2:
        case 3:
        case 4:
            harm_file(r, &input);
            break;
        case 5:
            remove_record(r);
            break;
        case 6:
            swap_files(r);
            break;
        default: /* a restart */
            fwr_store_dir_close(&dir);
            require(fwr_store_dir_open(&dir, folder) == FWR_OK);
        }
        for (r = 0; r < RECORDS; r++)
            read_record(r);
    }
    fwr_store_dir_close(&dir);
    return 0;
}
