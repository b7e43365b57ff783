/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32 against the check values of the CRC catalogue and of zlib.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/crc32.h"

static void known_values(void **state)
{
    static const uint8_t zeros[32];

    (void)state;
    assert_int_equal(fwr_crc32(0, NULL, 0), 0);
    assert_int_equal(fwr_crc32(0, "a", 1), 0xe8b7be43);
    assert_int_equal(fwr_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(fwr_crc32(0, zeros, sizeof(zeros)), 0x190a55ad);
}

static void goes_on_where_it_stopped(void **state)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog";

    (void)state;
    for (size_t cut = 0; cut < sizeof(text); cut++)
        assert_int_equal(fwr_crc32(fwr_crc32(0, text, cut), text + cut, strlen(text) - cut),
                         0x414fa339);
}

static void sees_every_single_bit(void **state)
{
    uint8_t bytes[64] = {0};
    uint32_t whole = fwr_crc32(0, bytes, sizeof(bytes));

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(fwr_crc32(0, bytes, sizeof(bytes)), whole);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(goes_on_where_it_stopped),
        cmocka_unit_test(sees_every_single_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
