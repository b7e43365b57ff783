/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people type at the command line: numbers at the edges of 32 and 64 bits, UUIDs, ranges and
 * the region maps made of them. Complaints go to standard error and are not looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/error.h>

#include "tools/layout.h"
#include "tools/number.h"
#include "tools/say.h"

static void numbers_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", 0, true, 0},
        {"1", 0, false, 0},
        {"4294967295", UINT32_MAX, true, UINT32_MAX},
        {"4294967296", UINT32_MAX, false, 0},
        {"0xffffffff", UINT32_MAX, true, UINT32_MAX},
        {"0x100000000", UINT32_MAX, false, 0},
        {"0XfF", UINT32_MAX, true, 255},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"0xffffffffffffffff", UINT64_MAX, true, UINT64_MAX},
        {"0x10000000000000000", UINT64_MAX, false, 0},
        {"4k", UINT32_MAX, true, 4096},
        {"0x10K", UINT32_MAX, true, 16384},
        {"3M", UINT32_MAX, true, 3145728},
        {"3G", UINT32_MAX, true, 3221225472},
        {"4G", UINT32_MAX, false, 0},
        {"4194303k", UINT32_MAX, true, 4294966272},
        {"4194304k", UINT32_MAX, false, 0},
        {"17179869184G", UINT64_MAX, false, 0}, /* 2^64: would wrap around to 0 */
        {"", UINT32_MAX, false, 0},
        {"k", UINT32_MAX, false, 0},
        {"0x", UINT32_MAX, false, 0},
        {"0xk", UINT32_MAX, false, 0},
        {"-1", UINT32_MAX, false, 0},
        {"+1", UINT32_MAX, false, 0},
        {" 1", UINT32_MAX, false, 0},
        {"1 ", UINT32_MAX, false, 0},
        {"1kk", UINT32_MAX, false, 0},
        {"12a", UINT32_MAX, false, 0},
        {"1e3", UINT32_MAX, false, 0},
        {"0x1g0", UINT32_MAX, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 12345;
        bool good = tool_number(rows[i].text, rows[i].max, &value);

        if (good != rows[i].good || value != (good ? rows[i].value : 12345))
            fail_msg("\"%s\" was read as %d, %llu", rows[i].text, good, (unsigned long long)value);
    }
}

static void lists_of_numbers(void **state)
{
    uint32_t values[3];

    (void)state;
    assert_int_equal(tool_numbers("1:0x2:3k", 3, values), 3);
    assert_int_equal(values[0], 1);
    assert_int_equal(values[1], 2);
    assert_int_equal(values[2], 3072);
    assert_int_equal(tool_numbers("7", 3, values), 1);
    assert_int_equal(tool_numbers("1:2:3:4", 3, values), 0);
    assert_int_equal(tool_numbers("1:", 3, values), 0);
    assert_int_equal(tool_numbers(":1", 3, values), 0);
    assert_int_equal(tool_numbers("1::2", 3, values), 0);
    assert_int_equal(tool_numbers("", 3, values), 0);
    assert_int_equal(tool_numbers("1:4294967296", 3, values), 0);
}

static void uuids(void **state)
{
    static const char text[] = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    uint8_t uuid[FWR_UUID_SIZE];
    char again[TOOL_UUID_TEXT];

    (void)state;
    assert_true(tool_uuid(text, uuid));
    assert_int_equal(uuid[0], 0x8b);
    assert_int_equal(uuid[15], 0x8c);
    tool_uuid_text(uuid, again);
    assert_string_equal(again, text);
    assert_true(tool_uuid("8BE4DF61-93CA-11D2-AA0D-00E098032B8C", uuid));
    tool_uuid_text(uuid, again);
    assert_string_equal(again, text);
    assert_false(tool_uuid("8be4df61-93ca-11d2-aa0d-00e098032b8", uuid));
    assert_false(tool_uuid("8be4df61-93ca-11d2-aa0d-00e098032b8cc", uuid));
    assert_false(tool_uuid("8be4df6193ca11d2aa0d00e098032b8c", uuid));
    assert_false(tool_uuid("8be4df61-93ca-11d2-aa0d+00e098032b8c", uuid));
    assert_false(tool_uuid("8be4df61-93ca-11d2-aa0d-00e098032b8g", uuid));
}

/* One --preserve range on a chip just below 4 GiB. */
static int preserve(const char *range, struct fwr_region_map *map)
{
    struct tool_layout layout = {.preserve = {.items = {range}, .count = 1}, .guard = "none"};
    uint32_t guard;

    return tool_layout_map(&layout, 0xfffff000, 0x1000, map, &guard);
}

static void ranges_at_the_end_of_32_bits(void **state)
{
    struct fwr_region_map map;

    (void)state;
    assert_int_equal(preserve("0xffffe000:0x1000", &map), TOOL_OK);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.regions[1].offset, 0xffffe000);
    assert_int_equal(map.regions[1].kind, FWR_REGION_PRESERVE);
    assert_int_equal(preserve("0xffffe000:0x2000", &map), TOOL_USAGE);
    assert_int_equal(preserve("0xfffff000:0x1000", &map), TOOL_USAGE);
    assert_int_equal(preserve("0xffffe000:0xfffff000", &map), TOOL_USAGE);
    assert_int_equal(preserve("0:0", &map), TOOL_USAGE);
    assert_int_equal(preserve("1:0x1000", &map), TOOL_USAGE);
}

static void maps_are_sorted_filled_and_merged(void **state)
{
    struct tool_layout layout = {
        .preserve = {.items = {"0x6000:0x1000", "0x5000:0x1000"}, .count = 2},
        .fill = {.items = {"0x1000:0x1000:0xff", "0x2000:0x1000:0xff"}, .count = 2},
        .boot = {.items = {"0xf000:0x1000", "0xe000:0x1000"}, .count = 2},
        .guard = "top",
    };
    static const struct fwr_region expected[] = {
        {0, 0x1000, FWR_REGION_WRITE, 0, 0},
        {0x1000, 0x2000, FWR_REGION_FILL, 0, 0xff},
        {0x3000, 0x2000, FWR_REGION_WRITE, 0, 0},
        {0x5000, 0x2000, FWR_REGION_PRESERVE, 0, 0},
        {0x7000, 0x7000, FWR_REGION_WRITE, 0, 0},
        {0xe000, 0x2000, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    struct fwr_region_map map;
    uint32_t guard;

    (void)state;
    assert_int_equal(tool_layout_map(&layout, 0x10000, 0x1000, &map, &guard), TOOL_OK);
    assert_int_equal(guard, 0xf000);
    assert_int_equal(map.count, sizeof(expected) / sizeof(expected[0]));
    for (uint16_t i = 0; i < map.count; i++) {
        assert_int_equal(map.regions[i].offset, expected[i].offset);
        assert_int_equal(map.regions[i].length, expected[i].length);
        assert_int_equal(map.regions[i].kind, expected[i].kind);
        assert_int_equal(map.regions[i].flags, expected[i].flags);
        assert_int_equal(map.regions[i].fill, expected[i].fill);
    }
    assert_int_equal(fwr_region_map_check(&map, 0x10000, 0x1000), FWR_OK);
}

static void errors_have_their_exit_status(void **state)
{
    (void)state;
    assert_int_equal(tool_exit_of(FWR_OK), TOOL_OK);
    assert_int_equal(tool_exit_of(FWR_E_FLASH_WORN), TOOL_DAMAGED);
    assert_int_equal(tool_exit_of(FWR_E_ROOT), TOOL_DAMAGED);
    assert_int_equal(tool_exit_of(FWR_E_PERMISSIONS), TOOL_USAGE);
    assert_int_equal(tool_exit_of(FWR_E_UNPROVISIONED), TOOL_USAGE);
    assert_int_equal(tool_exit_of(FWR_E_NOT_FOUND), TOOL_IO);
    assert_int_equal(tool_exit_of(FWR_E_FLASH_READ), TOOL_IO);
    assert_int_equal(tool_exit_of(FWR_E_STORE_FULL), TOOL_IO);
    assert_int_equal(tool_exit_of(FWR_E_UNTRUSTED), TOOL_UNTRUSTED);
    assert_int_equal(tool_exit_of(FWR_E_BELOW_FLOOR), TOOL_UNTRUSTED);
    assert_int_equal(tool_exit_of(FWR_E_NO_COMPATIBLE), TOOL_UNTRUSTED);
    assert_int_equal(tool_exit_of(FWR_E_NO_DONOR), TOOL_NETWORK);
    assert_int_equal(tool_exit_of(FWR_E_SESSION_AUTH), TOOL_NETWORK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(lists_of_numbers),
        cmocka_unit_test(uuids),
        cmocka_unit_test(ranges_at_the_end_of_32_bits),
        cmocka_unit_test(maps_are_sorted_filled_and_merged),
        cmocka_unit_test(errors_have_their_exit_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
