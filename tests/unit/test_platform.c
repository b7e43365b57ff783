/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default platform: it fills exactly what it is asked to, and never twice the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

static void random_fills_the_buffer(void **state)
{
    const struct fwr_platform *platform = &fwr_platform_default;
    uint8_t one[66] = {0}, two[66] = {0};

    (void)state;
    assert_int_equal(platform->size, sizeof(*platform));
    assert_null(platform->log);
    assert_int_equal(platform->random(platform->ctx, one + 1, 64), FWR_OK);
    assert_int_equal(platform->random(platform->ctx, two + 1, 64), FWR_OK);
    assert_memory_not_equal(one + 1, two + 1, 64);
    /* 32 zero bytes on end come once in 2^256. */
    assert_memory_not_equal(one + 33, (uint8_t[32]){0}, 32);
    assert_int_equal(one[0] | one[65] | two[0] | two[65], 0);
    assert_int_equal(platform->random(platform->ctx, one, 0), FWR_OK);
    assert_int_equal(one[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_fills_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
