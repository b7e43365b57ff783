/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as a chip: what it does, what it refuses, and that each refusal has its own code.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-file.h>

#include "scratch.h"

enum { UNIT = 4096, PAGE = 256, SIZE = 8 * UNIT };

static uint8_t data[SIZE];
static uint8_t buffer[SIZE];
static struct fwr_flash_file file;
static const struct fwr_flash *chip = &file.flash;

static int fresh(void **state)
{
    scratch_empty(state);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    scratch_write(scratch_path("chip"), data, SIZE);
    return 0;
}

static void must_open(bool read_only)
{
    assert_int_equal(fwr_flash_file_open(&file, scratch_path("chip"), NULL, read_only), FWR_OK);
}

static int try_open(const char *name, const struct fwr_flash_geometry *geometry)
{
    struct fwr_flash_file other;
    int rc = fwr_flash_file_open(&other, scratch_path(name), geometry, false);

    if (rc == FWR_OK)
        fwr_flash_file_close(&other);
    else
        assert_int_equal(other.fd, -1);
    return rc;
}

static void is_a_chip(void **state)
{
    (void)state;
    must_open(false);
    assert_int_equal(chip->size, sizeof(*chip));
    assert_int_equal(chip->geometry.size, SIZE);
    assert_int_equal(chip->geometry.erase_size, UNIT);
    assert_int_equal(chip->geometry.program_size, PAGE);
    assert_int_equal(chip->geometry.erased_value, 0xff);
    assert_int_equal(chip->read(chip->ctx, 0, buffer, SIZE), FWR_OK);
    assert_memory_equal(buffer, data, SIZE);
    assert_int_equal(chip->erase(chip->ctx, UNIT, 2 * UNIT), FWR_OK);
    assert_int_equal(chip->program(chip->ctx, UNIT + PAGE, data, PAGE), FWR_OK);
    assert_int_equal(chip->sync(chip->ctx), FWR_OK);
    fwr_flash_file_close(&file);
    fwr_flash_file_close(&file);

    assert_int_equal(scratch_read(scratch_path("chip"), buffer, SIZE), SIZE);
    assert_memory_equal(buffer, data, UNIT);
    assert_memory_equal(buffer + UNIT + PAGE, data, PAGE);
    assert_memory_equal(buffer + 3 * UNIT, data + 3 * UNIT, SIZE - 3 * UNIT);
    memset(buffer + UNIT + PAGE, 0xff, PAGE);
    for (size_t i = UNIT; i < 3 * UNIT; i++)
        assert_int_equal(buffer[i], 0xff);
}

/* More than one pwritev of blank bytes, and a value of its own. */
static void erases_a_large_chip(void **state)
{
    const struct fwr_flash_geometry geometry = {
        .erase_size = 65536, .program_size = 1, .erased_value = 0x5a};
    uint8_t edge[2];

    (void)state;
    assert_int_equal(truncate(scratch_path("chip"), 3 * 65536), 0);
    assert_int_equal(fwr_flash_file_open(&file, scratch_path("chip"), &geometry, false), FWR_OK);
    assert_int_equal(chip->erase(chip->ctx, 65536, 2 * 65536), FWR_OK);
    assert_int_equal(chip->read(chip->ctx, 65535, edge, 2), FWR_OK);
    assert_int_equal(edge[0], 0);
    assert_int_equal(edge[1], 0x5a);
    for (uint32_t at = 65536; at < 3 * 65536; at += SIZE) {
        assert_int_equal(chip->read(chip->ctx, at, buffer, SIZE), FWR_OK);
        for (size_t i = 0; i < SIZE; i++)
            assert_int_equal(buffer[i], 0x5a);
    }
    fwr_flash_file_close(&file);
}

static void refuses_misalignment_and_range(void **state)
{
    (void)state;
    must_open(false);
    assert_int_equal(chip->erase(chip->ctx, PAGE, UNIT), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip->erase(chip->ctx, 0, PAGE), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip->program(chip->ctx, 1, data, PAGE), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip->program(chip->ctx, 0, data, PAGE - 1), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip->read(chip->ctx, SIZE - 1, buffer, 2), FWR_E_RANGE);
    assert_int_equal(chip->read(chip->ctx, SIZE, buffer, 0), FWR_OK);
    assert_int_equal(chip->read(chip->ctx, UINT32_MAX, buffer, 2), FWR_E_RANGE);
    assert_int_equal(chip->erase(chip->ctx, SIZE, UNIT), FWR_E_RANGE);
    assert_int_equal(chip->erase(chip->ctx, 2 * UNIT, UINT32_MAX - UNIT + 1), FWR_E_RANGE);
    assert_int_equal(chip->program(chip->ctx, UINT32_MAX - PAGE + 1, data, PAGE), FWR_E_RANGE);
    fwr_flash_file_close(&file);
    assert_int_equal(scratch_read(scratch_path("chip"), buffer, SIZE), SIZE);
    assert_memory_equal(buffer, data, SIZE);
}

static void each_failure_to_open_has_its_code(void **state)
{
    struct fwr_flash_geometry geometry = fwr_flash_file_geometry;

    (void)state;
    assert_int_equal(fwr_flash_file_open(NULL, "x", NULL, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_flash_file_open(&file, NULL, NULL, false), FWR_E_ARGUMENT);
    fwr_flash_file_close(&file);
    assert_int_equal(try_open("missing", NULL), FWR_E_NOT_FOUND);
    assert_int_equal(try_open("chip/below", NULL), FWR_E_NOT_FOUND);
    assert_int_equal(try_open("", NULL), FWR_E_IO);
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_int_equal(try_open("pipe", NULL), FWR_E_IO);
    geometry.size = SIZE;
    assert_int_equal(try_open("chip", &geometry), FWR_OK);
    geometry.size = 2 * SIZE;
    assert_int_equal(try_open("chip", &geometry), FWR_E_FLASH_SIZE);
    assert_int_equal(truncate(scratch_path("chip"), SIZE - 1), 0);
    assert_int_equal(try_open("chip", NULL), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(truncate(scratch_path("chip"), 0), 0);
    assert_int_equal(try_open("chip", NULL), FWR_E_FLASH_ALIGNMENT);
    geometry.program_size = 2 * UNIT;
    assert_int_equal(try_open("chip", &geometry), FWR_E_ARGUMENT);
    geometry.program_size = 0;
    assert_int_equal(try_open("chip", &geometry), FWR_E_ARGUMENT);
    geometry.program_size = 1;
    geometry.erase_size = 12288;
    assert_int_equal(try_open("chip", &geometry), FWR_E_ARGUMENT);
}

static void forbidden_is_not_missing(void **state)
{
    uid_t user = geteuid();

    (void)state;
    assert_int_equal(chmod(scratch_dir, 0755), 0);
    assert_int_equal(chmod(scratch_path("chip"), 0444), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_int_equal(try_open("chip", NULL), FWR_E_ACCESS);
    must_open(true);
    fwr_flash_file_close(&file);
    assert_int_equal(seteuid(user), 0);
}

static void a_second_writer_is_refused(void **state)
{
    struct fwr_flash_file reader;

    (void)state;
    must_open(false);
    assert_int_equal(try_open("chip", NULL), FWR_E_BUSY);
    assert_int_equal(fwr_flash_file_open(&reader, scratch_path("chip"), NULL, true), FWR_OK);
    fwr_flash_file_close(&file);
    assert_int_equal(try_open("chip", NULL), FWR_OK);
    fwr_flash_file_close(&reader);
}

static void read_only_writes_nothing(void **state)
{
    (void)state;
    must_open(true);
    assert_int_equal(chip->read(chip->ctx, 0, buffer, SIZE), FWR_OK);
    assert_int_equal(chip->erase(chip->ctx, 0, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip->program(chip->ctx, 0, buffer + 1, PAGE), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip->sync(chip->ctx), FWR_OK);
    fwr_flash_file_close(&file);
    assert_int_equal(scratch_read(scratch_path("chip"), buffer, SIZE), SIZE);
    assert_memory_equal(buffer, data, SIZE);
}

static void a_file_cut_behind_our_back_is_a_read_error(void **state)
{
    (void)state;
    must_open(false);
    assert_int_equal(truncate(scratch_path("chip"), 2 * UNIT + 1), 0);
    assert_int_equal(chip->read(chip->ctx, 0, buffer, 2 * UNIT), FWR_OK);
    assert_int_equal(chip->read(chip->ctx, 2 * UNIT, buffer, UNIT), FWR_E_FLASH_READ);
    assert_int_equal(chip->read(chip->ctx, 4 * UNIT, buffer, UNIT), FWR_E_FLASH_READ);
    fwr_flash_file_close(&file);
}

static void a_failed_write_says_so(void **state)
{
    struct rlimit old, limit;

    (void)state;
    must_open(false);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 2 * UNIT;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(chip->program(chip->ctx, UNIT, data, UNIT), FWR_OK);
    assert_int_equal(chip->program(chip->ctx, UNIT, data, 2 * UNIT), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip->erase(chip->ctx, UNIT, 2 * UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(chip->erase(chip->ctx, UNIT, 2 * UNIT), FWR_OK);
    fwr_flash_file_close(&file);
}

/* A pipe in the descriptor's place fails every operation as a broken device would. */
static void a_failed_sync_is_never_forgotten(void **state)
{
    int ends[2];
    int kept;

    (void)state;
    must_open(false);
    assert_int_equal(pipe(ends), 0);
    kept = dup(file.fd);
    assert_true(dup2(ends[0], file.fd) >= 0);
    assert_int_equal(chip->read(chip->ctx, 0, buffer, UNIT), FWR_E_FLASH_READ);
    assert_int_equal(chip->erase(chip->ctx, 0, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip->program(chip->ctx, 0, data, UNIT), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip->sync(chip->ctx), FWR_E_FLASH_SYNC);
    assert_true(dup2(kept, file.fd) >= 0);
    assert_int_equal(chip->program(chip->ctx, 0, data, UNIT), FWR_OK);
    assert_int_equal(chip->sync(chip->ctx), FWR_E_FLASH_SYNC);
    close(kept);
    close(ends[0]);
    close(ends[1]);
    fwr_flash_file_close(&file);
    must_open(false);
    assert_int_equal(chip->sync(chip->ctx), FWR_OK);
    fwr_flash_file_close(&file);
}

static void works_up_to_the_last_address(void **state)
{
    const uint32_t size = UINT32_MAX - UNIT + 1;

    (void)state;
    if (truncate(scratch_path("chip"), (off_t)size) != 0) {
        print_message("no sparse file of 4 GiB here\n");
        skip();
    }
    must_open(false);
    assert_int_equal(chip->geometry.size, size);
    assert_int_equal(chip->erase(chip->ctx, size - UNIT, UNIT), FWR_OK);
    assert_int_equal(chip->program(chip->ctx, size - PAGE, data, PAGE), FWR_OK);
    assert_int_equal(chip->read(chip->ctx, size - PAGE, buffer, PAGE), FWR_OK);
    assert_memory_equal(buffer, data, PAGE);
    assert_int_equal(chip->read(chip->ctx, size - PAGE, buffer, PAGE + 1), FWR_E_RANGE);
    assert_int_equal(chip->erase(chip->ctx, size, UNIT), FWR_E_RANGE);
    /* Offset and length that add up to 2^32 and to 2^32 + 1 unit. */
    assert_int_equal(chip->erase(chip->ctx, size - UNIT, 2 * UNIT), FWR_E_RANGE);
    assert_int_equal(chip->read(chip->ctx, size - UNIT, buffer, 3 * UNIT), FWR_E_RANGE);
    fwr_flash_file_close(&file);
    assert_int_equal(truncate(scratch_path("chip"), (off_t)size + UNIT), 0);
    assert_int_equal(try_open("chip", NULL), FWR_E_RANGE);
}

#define FILE_TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(is_a_chip),
        FILE_TEST(erases_a_large_chip),
        FILE_TEST(refuses_misalignment_and_range),
        FILE_TEST(each_failure_to_open_has_its_code),
        FILE_TEST(forbidden_is_not_missing),
        FILE_TEST(a_second_writer_is_refused),
        FILE_TEST(read_only_writes_nothing),
        FILE_TEST(a_file_cut_behind_our_back_is_a_read_error),
        FILE_TEST(a_failed_write_says_so),
        FILE_TEST(a_failed_sync_is_never_forgotten),
        FILE_TEST(works_up_to_the_last_address),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
