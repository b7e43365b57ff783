/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The own flash as a source: reads, both kinds of envelope, and giving the flash away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-ramnor.h>
#include <fwrecover/source-flash.h>
#include <fwrecover/store-ram.h>

enum { UNIT = 4096, SIZE = 2 * UNIT };

static const struct fwr_flash_geometry geometry = {SIZE, UNIT, 256, 0xff};
static struct fwr_flash_ramnor nor;
static struct fwr_flash_ramnor_unit units[2];
static uint8_t cells[SIZE];
static struct fwr_store_ram ram;
static uint8_t record_bytes[16];
static struct fwr_store_ram_record record;
static struct fwr_source_flash own;
static const struct fwr_source *source = &own.source;
static uint8_t buffer[UNIT];
static size_t length;

static int fresh(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        cells[i] = (uint8_t)(i * 7 + i / 256);
    record = (struct fwr_store_ram_record){.data = record_bytes, .capacity = 16};
    if (fwr_flash_ramnor_open(&nor, &geometry, cells, units, 2) != FWR_OK ||
        fwr_store_ram_open(&ram, &record, 1) != FWR_OK)
        return -1;
    return fwr_source_flash_open(&own, "own flash", &nor.flash, &ram.store, 3);
}

static void reads_the_flash(void **state)
{
    (void)state;
    assert_int_equal(source->size, sizeof(*source));
    assert_string_equal(source->name, "own flash");
    assert_int_equal(source->read(source->ctx, 100, buffer, 1000), FWR_OK);
    assert_memory_equal(buffer, cells + 100, 1000);
    assert_int_equal(source->read(source->ctx, SIZE - 1, buffer, 2), FWR_E_RANGE);
    units[0].fail_reads = 1;
    assert_int_equal(source->read(source->ctx, 0, buffer, 1), FWR_E_IO);
    assert_int_equal(nor.counts.erases + nor.counts.programs, 0);
}

static void the_envelope_is_the_stores_latest(void **state)
{
    const struct fwr_store *store = &ram.store;

    (void)state;
    assert_int_equal(source->envelope(source->ctx, buffer, 16, &length), FWR_E_NOT_FOUND);
    assert_int_equal(store->write(store->ctx, FWR_STORE_ENVELOPE, 3, "first", 5), FWR_OK);
    assert_int_equal(source->envelope(source->ctx, buffer, 16, &length), FWR_OK);
    assert_int_equal(length, 5);
    assert_memory_equal(buffer, "first", 5);
    assert_int_equal(store->write(store->ctx, FWR_STORE_ENVELOPE, 3, "second", 6), FWR_OK);
    assert_int_equal(source->envelope(source->ctx, buffer, 5, &length), FWR_E_NO_SPACE);
    ram.pending_calls = 1;
    assert_int_equal(source->envelope(source->ctx, buffer, 6, &length), FWR_PENDING);
    assert_int_equal(source->envelope(source->ctx, buffer, 6, &length), FWR_OK);
    assert_memory_equal(buffer, "second", 6);
    ram.pending_calls = 0;
    record.read_error = FWR_E_STORE_CORRUPT;
    assert_int_equal(source->envelope(source->ctx, buffer, 6, &length), FWR_E_STORE_CORRUPT);
}

static void the_envelope_can_be_the_callers(void **state)
{
    (void)state;
    assert_int_equal(fwr_source_flash_open_bytes(&own, "x", &nor.flash, "bytes", 5), FWR_OK);
    assert_int_equal(source->envelope(source->ctx, buffer, 4, &length), FWR_E_NO_SPACE);
    assert_int_equal(source->envelope(source->ctx, buffer, 5, &length), FWR_OK);
    assert_int_equal(length, 5);
    assert_memory_equal(buffer, "bytes", 5);
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_OK);
    assert_memory_equal(buffer, cells, 8);
}

static void a_yielded_flash_is_not_touched(void **state)
{
    (void)state;
    assert_int_equal(fwr_source_flash_yield(&own, true), FWR_OK);
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_E_NOT_HELD);
    assert_int_equal(nor.counts.operations, 0);
    assert_int_equal(fwr_source_flash_yield(&own, false), FWR_OK);
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_OK);
}

/* Giving the flash away in the middle of a read would desert the chip. */
static void yielding_waits_for_a_pending_read(void **state)
{
    (void)state;
    nor.pending_calls = 2;
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_PENDING);
    assert_int_equal(fwr_source_flash_yield(&own, true), FWR_E_BUSY);
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_PENDING);
    assert_int_equal(fwr_source_flash_yield(&own, true), FWR_E_BUSY);
    assert_int_equal(source->read(source->ctx, 0, buffer, 8), FWR_OK);
    assert_int_equal(fwr_source_flash_yield(&own, true), FWR_OK);
    assert_int_equal(nor.counts.deserted, 0);
}

static void open_checks_its_arguments(void **state)
{
    struct fwr_source_flash other;

    (void)state;
    assert_int_equal(fwr_source_flash_open(NULL, "x", &nor.flash, &ram.store, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_source_flash_open(&other, NULL, &nor.flash, &ram.store, 0),
                     FWR_E_ARGUMENT);
    assert_int_equal(fwr_source_flash_open(&other, "x", NULL, &ram.store, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_source_flash_open(&other, "x", &nor.flash, NULL, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_source_flash_open_bytes(&other, "x", &nor.flash, NULL, 0), FWR_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_the_flash, fresh),
        cmocka_unit_test_setup(the_envelope_is_the_stores_latest, fresh),
        cmocka_unit_test_setup(the_envelope_can_be_the_callers, fresh),
        cmocka_unit_test_setup(a_yielded_flash_is_not_touched, fresh),
        cmocka_unit_test_setup(yielding_waits_for_a_pending_read, fresh),
        cmocka_unit_test_setup(open_checks_its_arguments, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
