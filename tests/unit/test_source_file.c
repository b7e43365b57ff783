/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image and envelope files as a source, and what happens when they are not what they were.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/source-file.h>

#include "scratch.h"

static struct fwr_source_file file;
static const struct fwr_source *source = &file.source;
static char image[512], envelope[512];
static uint8_t buffer[64];
static size_t length;

static int fresh(void **state)
{
    scratch_empty(state);
    strcpy(image, scratch_path("image"));
    strcpy(envelope, scratch_path("envelope"));
    scratch_write(image, "0123456789", 10);
    scratch_write(envelope, "signed", 6);
    return fwr_source_file_open(&file, image, envelope);
}

static int closed(void **state)
{
    (void)state;
    fwr_source_file_close(&file);
    fwr_source_file_close(&file);
    return 0;
}

static int try_open(const char *image_path, const char *envelope_path)
{
    struct fwr_source_file other;
    int rc = fwr_source_file_open(&other, image_path, envelope_path);

    if (rc == FWR_OK)
        fwr_source_file_close(&other);
    assert_int_equal(other.image_fd, -1);
    assert_int_equal(other.envelope_fd, -1);
    return rc;
}

static void gives_both_files(void **state)
{
    (void)state;
    assert_int_equal(source->size, sizeof(*source));
    assert_string_equal(source->name, image);
    assert_int_equal(source->envelope(source->ctx, buffer, sizeof(buffer), &length), FWR_OK);
    assert_int_equal(length, 6);
    assert_memory_equal(buffer, "signed", 6);
    assert_int_equal(source->envelope(source->ctx, buffer, 6, &length), FWR_OK);
    assert_int_equal(source->envelope(source->ctx, buffer, 5, &length), FWR_E_NO_SPACE);
    assert_int_equal(source->read(source->ctx, 3, buffer, 4), FWR_OK);
    assert_memory_equal(buffer, "3456", 4);
}

static void stays_inside_the_image(void **state)
{
    (void)state;
    assert_int_equal(source->read(source->ctx, 0, buffer, 10), FWR_OK);
    assert_int_equal(source->read(source->ctx, 10, buffer, 0), FWR_OK);
    assert_int_equal(source->read(source->ctx, 0, buffer, 11), FWR_E_RANGE);
    assert_int_equal(source->read(source->ctx, 9, buffer, 2), FWR_E_RANGE);
    assert_int_equal(source->read(source->ctx, 11, buffer, 0), FWR_E_RANGE);
    assert_int_equal(source->read(source->ctx, UINT32_MAX, buffer, 2), FWR_E_RANGE);
    assert_int_equal(source->read(source->ctx, 2, buffer, UINT32_MAX), FWR_E_RANGE);
}

static void an_envelope_is_optional(void **state)
{
    closed(state);
    assert_int_equal(fwr_source_file_open(&file, image, NULL), FWR_OK);
    assert_int_equal(source->envelope(source->ctx, buffer, sizeof(buffer), &length),
                     FWR_E_NOT_FOUND);
    assert_int_equal(source->read(source->ctx, 0, buffer, 10), FWR_OK);
}

static void each_failure_to_open_has_its_code(void **state)
{
    uid_t user = geteuid();

    (void)state;
    assert_int_equal(fwr_source_file_open(NULL, image, envelope), FWR_E_ARGUMENT);
    assert_int_equal(try_open(NULL, envelope), FWR_E_ARGUMENT);
    assert_int_equal(try_open(scratch_path("missing"), envelope), FWR_E_NOT_FOUND);
    assert_int_equal(try_open(image, scratch_path("missing")), FWR_E_NOT_FOUND);
    assert_int_equal(try_open(scratch_dir, envelope), FWR_E_IO);
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_int_equal(try_open(image, scratch_path("pipe")), FWR_E_IO);
    scratch_write(scratch_path("empty"), "", 0);
    assert_int_equal(try_open(scratch_path("empty"), envelope), FWR_E_FLASH_SIZE);
    assert_int_equal(try_open(image, scratch_path("empty")), FWR_E_ENVELOPE);
    assert_int_equal(chmod(scratch_dir, 0755), 0);
    assert_int_equal(chmod(image, 0), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_int_equal(try_open(image, NULL), FWR_E_ACCESS);
    assert_int_equal(seteuid(user), 0);
}

static void a_changed_file_is_no_longer_held(void **state)
{
    (void)state;
    scratch_write(image, "012345678", 9);
    assert_int_equal(source->read(source->ctx, 0, buffer, 4), FWR_E_NOT_HELD);
    scratch_write(image, "0123456789+", 11);
    assert_int_equal(source->read(source->ctx, 0, buffer, 4), FWR_E_NOT_HELD);
    scratch_write(envelope, "sign", 4);
    assert_int_equal(source->envelope(source->ctx, buffer, sizeof(buffer), &length),
                     FWR_E_NOT_HELD);
    scratch_write(image, "abcdefghij", 10);
    assert_int_equal(source->read(source->ctx, 0, buffer, 4), FWR_OK);
}

static void a_replaced_file_goes_on_as_it_was(void **state)
{
    (void)state;
    scratch_write(scratch_path("next"), "abcdefghijklm", 13);
    assert_int_equal(rename(scratch_path("next"), image), 0);
    assert_int_equal(source->read(source->ctx, 0, buffer, 10), FWR_OK);
    assert_memory_equal(buffer, "0123456789", 10);
}

static void works_up_to_the_last_address(void **state)
{
    closed(state);
    if (truncate(image, (off_t)UINT32_MAX) != 0) {
        print_message("no sparse file of 4 GiB here\n");
        skip();
    }
    assert_int_equal(fwr_source_file_open(&file, image, envelope), FWR_OK);
    assert_int_equal(source->read(source->ctx, UINT32_MAX - 4, buffer, 4), FWR_OK);
    assert_int_equal(source->read(source->ctx, UINT32_MAX - 4, buffer, 5), FWR_E_RANGE);
    assert_int_equal(truncate(image, (off_t)UINT32_MAX + 1), 0);
    assert_int_equal(try_open(image, envelope), FWR_E_RANGE);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, fresh, closed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(gives_both_files),
        FILE_TEST(stays_inside_the_image),
        FILE_TEST(an_envelope_is_optional),
        FILE_TEST(each_failure_to_open_has_its_code),
        FILE_TEST(a_changed_file_is_no_longer_held),
        FILE_TEST(a_replaced_file_goes_on_as_it_was),
        FILE_TEST(works_up_to_the_last_address),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
