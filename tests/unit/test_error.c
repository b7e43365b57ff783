/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every value of enum fwr_error has a row of its own: the values are read from the header's
 * text, so that one added there and forgotten in lib/error.c fails here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>

enum { ERRORS_MAX = 256 };

struct declared {
    char symbol[64];
    int error;
};

static struct declared declared[ERRORS_MAX];
static size_t declared_count;

static int read_header(void **state)
{
    const char *srcdir = getenv("srcdir");
    char path[4096], line[256];
    FILE *header;

    (void)state;
    snprintf(path, sizeof(path), "%s/include/fwrecover/error.h", srcdir ? srcdir : ".");
    header = fopen(path, "r");
    if (!header) {
        perror(path);
        return -1;
    }
    while (fgets(line, sizeof(line), header) && declared_count < ERRORS_MAX) {
        struct declared *next = &declared[declared_count];

        if (sscanf(line, " %63[A-Z_] = %d ,", next->symbol, &next->error) == 2)
            declared_count++;
    }
    fclose(header);
    return declared_count < ERRORS_MAX ? 0 : -1;
}

static void test_every_value_has_a_row(void **state)
{
    (void)state;
    assert_true(declared_count > 70);
    for (size_t i = 0; i < declared_count; i++) {
        const char *name = fwr_error_name(declared[i].error);
        const char *text = fwr_error_text(declared[i].error);

        if (!strcmp(name, "unknown"))
            fail_msg("%s has no row", declared[i].symbol);
        assert_in_range(declared[i].error + 255, 0, 256);
        assert_true(strlen(text) > 0);
        assert_true(text[0] >= 'A' && text[0] <= 'Z');
        assert_int_not_equal(text[strlen(text) - 1], '.');
    }
}

static void test_values_names_and_sentences_are_distinct(void **state)
{
    (void)state;
    for (size_t i = 0; i < declared_count; i++) {
        for (size_t k = i + 1; k < declared_count; k++) {
            int a = declared[i].error, b = declared[k].error;

            assert_int_not_equal(a, b);
            assert_string_not_equal(fwr_error_name(a), fwr_error_name(b));
            assert_string_not_equal(fwr_error_text(a), fwr_error_text(b));
        }
    }
}

static void test_names_are_the_symbols(void **state)
{
    (void)state;
    for (size_t i = 0; i < declared_count; i++) {
        const char *symbol = declared[i].symbol;
        const char *name = fwr_error_name(declared[i].error);

        symbol += strncmp(symbol, "FWR_E_", 6) ? strlen("FWR_") : strlen("FWR_E_");
        assert_int_equal(strlen(name), strlen(symbol));
        for (size_t k = 0; name[k]; k++)
            assert_int_equal(name[k], symbol[k] == '_' ? '-' : symbol[k] - 'A' + 'a');
    }
}

static void test_unknown_values(void **state)
{
    (void)state;
    assert_string_equal(fwr_error_name(-9999), "unknown");
    assert_string_equal(fwr_error_name(2), "unknown");
    assert_int_equal(fwr_error_completion_code(-9999), 0xFF);
    assert_int_equal(fwr_error_from_completion_code(0xFF), FWR_E_PEER);
    assert_int_equal(fwr_error_from_completion_code(0x83), FWR_E_PEER);
}

static void test_completion_codes(void **state)
{
    static const struct {
        int error;
        uint8_t code;
    } expected[] = {
        {FWR_OK, 0x00},          {FWR_E_NOT_HELD, 0x80},        {FWR_E_UNKNOWN_TRANSFER, 0x81},
        {FWR_E_BUSY, 0xC0},      {FWR_E_UNKNOWN_COMMAND, 0xC1}, {FWR_E_LENGTH, 0xC7},
        {FWR_E_RANGE, 0xC9},     {FWR_E_NOT_FOUND, 0xCB},       {FWR_E_MALFORMED, 0xCC},
        {FWR_E_PRIVILEGE, 0xD4}, {FWR_E_STATE, 0xD5},           {FWR_E_BY_BROADCAST, 0x82},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(fwr_error_completion_code(expected[i].error), expected[i].code);
        assert_int_equal(fwr_error_from_completion_code(expected[i].code), expected[i].error);
    }
    assert_int_equal(fwr_error_completion_code(FWR_E_ARGUMENT), 0xCC);
    assert_int_equal(fwr_error_completion_code(FWR_E_STORE_FULL), 0xFF);
}

/* Success is one code only: no failure may look like one, in either direction. */
static void test_only_success_is_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < declared_count; i++) {
        if (declared[i].error != FWR_OK)
            assert_int_not_equal(fwr_error_completion_code(declared[i].error), 0);
    }
    for (int code = 1; code < 256; code++)
        assert_true(fwr_error_from_completion_code((uint8_t)code) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_has_a_row),
        cmocka_unit_test(test_values_names_and_sentences_are_distinct),
        cmocka_unit_test(test_names_are_the_symbols),
        cmocka_unit_test(test_unknown_values),
        cmocka_unit_test(test_completion_codes),
        cmocka_unit_test(test_only_success_is_zero),
    };

    return cmocka_run_group_tests_name("error", tests, read_header, NULL);
}
