/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cursors: byte order, bounds at every width, and that a failure stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>

#include "wire/cursor.h"

static const uint8_t counting[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

static void reads_little_endian(void **state)
{
    struct fwr_reader reader;

    (void)state;
    fwr_reader_init(&reader, counting, sizeof(counting));
    assert_int_equal(fwr_reader_u8(&reader), 0x01);
    assert_int_equal(fwr_reader_u16(&reader), 0x0302);
    assert_int_equal(fwr_reader_u24(&reader), 0x060504);
    assert_int_equal(fwr_reader_u32(&reader), 0x0a090807);
    assert_false(fwr_reader_complete(&reader));
    assert_int_equal(fwr_reader_left(&reader), 8);
    assert_true(fwr_reader_u64(&reader) == UINT64_C(0x1211100f0e0d0c0b));
    assert_true(fwr_reader_complete(&reader));
}

static void writes_little_endian(void **state)
{
    struct fwr_writer writer;
    uint8_t buffer[sizeof(counting)];

    (void)state;
    fwr_writer_init(&writer, buffer, sizeof(buffer));
    fwr_writer_u8(&writer, 0x01);
    fwr_writer_u16(&writer, 0x0302);
    fwr_writer_u24(&writer, 0xff060504); /* the top byte has no place */
    fwr_writer_u32(&writer, 0x0a090807);
    fwr_writer_u64(&writer, UINT64_C(0x1211100f0e0d0c0b));
    assert_int_equal(fwr_writer_finish(&writer), sizeof(counting));
    assert_memory_equal(buffer, counting, sizeof(counting));
}

static void short_input_fails_at_every_width(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 8; width++) {
        for (size_t length = 0; length <= width; length++) {
            struct fwr_reader reader;

            fwr_reader_init(&reader, counting, length);
            (void)fwr_reader_uint(&reader, width);
            assert_int_equal(reader.failed, length < width);
            assert_int_equal(fwr_reader_complete(&reader), length == width);
        }
    }
}

static void a_failed_reader_stays_failed(void **state)
{
    struct fwr_reader reader;
    uint8_t copy[2] = {0xaa, 0xaa};

    (void)state;
    fwr_reader_init(&reader, counting, 3);
    assert_int_equal(fwr_reader_u32(&reader), 0);
    assert_int_equal(fwr_reader_left(&reader), 0);
    /* Three bytes are there, but nothing more is given out. */
    assert_int_equal(fwr_reader_u8(&reader), 0);
    assert_null(fwr_reader_bytes(&reader, 0));
    fwr_reader_copy(&reader, copy, sizeof(copy));
    assert_int_equal(copy[0] | copy[1], 0);
    assert_false(fwr_reader_complete(&reader));
}

static void huge_lengths_do_not_wrap(void **state)
{
    struct fwr_reader reader;
    struct fwr_writer writer;
    uint8_t buffer[4];

    (void)state;
    fwr_reader_init(&reader, counting, 8);
    (void)fwr_reader_u8(&reader);
    assert_null(fwr_reader_bytes(&reader, SIZE_MAX));
    assert_true(reader.failed);

    fwr_writer_init(&writer, buffer, sizeof(buffer));
    fwr_writer_u8(&writer, 1);
    assert_null(fwr_writer_reserve(&writer, SIZE_MAX));
    assert_int_equal(fwr_writer_finish(&writer), FWR_E_NO_SPACE);
}

static void empty_reader_is_complete(void **state)
{
    struct fwr_reader reader;

    (void)state;
    fwr_reader_init(&reader, NULL, 0);
    assert_true(fwr_reader_complete(&reader));
    fwr_reader_copy(&reader, NULL, 0);
    assert_true(fwr_reader_complete(&reader));
    assert_int_equal(fwr_reader_u8(&reader), 0);
    assert_false(fwr_reader_complete(&reader));
}

static void bytes_are_given_in_place(void **state)
{
    struct fwr_reader reader;
    uint8_t copy[4];

    (void)state;
    fwr_reader_init(&reader, counting, 9);
    assert_ptr_equal(fwr_reader_bytes(&reader, 5), counting);
    fwr_reader_copy(&reader, copy, sizeof(copy));
    assert_memory_equal(copy, counting + 5, sizeof(copy));
    assert_true(fwr_reader_complete(&reader));
}

static void a_full_writer_writes_nothing_in_part(void **state)
{
    struct fwr_writer writer;
    uint8_t buffer[6] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee};

    (void)state;
    fwr_writer_init(&writer, buffer, 5);
    fwr_writer_u16(&writer, 0x2211);
    fwr_writer_u32(&writer, 0x66554433);
    assert_int_equal(fwr_writer_finish(&writer), FWR_E_NO_SPACE);
    assert_int_equal(buffer[2], 0xee);
    /* One byte would fit; but the record is broken already. */
    fwr_writer_u8(&writer, 0x77);
    assert_int_equal(buffer[2], 0xee);
    assert_int_equal(fwr_writer_finish(&writer), FWR_E_NO_SPACE);

    fwr_writer_init(&writer, buffer, 5);
    fwr_writer_bytes(&writer, counting, 3);
    fwr_writer_zeros(&writer, 2);
    assert_int_equal(fwr_writer_finish(&writer), 5);
    assert_memory_equal(buffer, ((const uint8_t[]){1, 2, 3, 0, 0, 0xee}), 6);
}

static void a_writer_of_nothing_takes_nothing(void **state)
{
    struct fwr_writer writer;

    (void)state;
    fwr_writer_init(&writer, NULL, 0);
    fwr_writer_bytes(&writer, NULL, 0);
    fwr_writer_zeros(&writer, 0);
    assert_int_equal(fwr_writer_finish(&writer), 0);
    fwr_writer_u8(&writer, 1);
    assert_int_equal(fwr_writer_finish(&writer), FWR_E_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_little_endian),
        cmocka_unit_test(writes_little_endian),
        cmocka_unit_test(short_input_fails_at_every_width),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(empty_reader_is_complete),
        cmocka_unit_test(bytes_are_given_in_place),
        cmocka_unit_test(a_full_writer_writes_nothing_in_part),
        cmocka_unit_test(a_writer_of_nothing_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
