/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floors in the store: that they only rise, whatever fails and wherever the power is cut, and
 * that nothing is guessed from a record that is damaged, of a newer version, or of another
 * component.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/floors.h>
#include <fwrecover/store-ram.h>

#include "wire/crc32.h"

#define SLOT 2

static struct fwr_store_ram store;
static struct fwr_store_ram_record records[3];
static uint8_t room[3][64];
static struct fwr_floors_store stored;
static const struct fwr_floors *floors;
static uint8_t component[FWR_UUID_SIZE];

static int set_up(void **state)
{
    (void)state;
    memset(records, 0, sizeof(records));
    for (size_t i = 0; i < 3; i++) {
        records[i].data = room[i];
        records[i].capacity = sizeof(room[i]);
    }
    memset(component, 0xc7, sizeof(component));
    if (fwr_store_ram_open(&store, records, 3) != FWR_OK)
        return 1;
    fwr_floors_store_init(&stored, &store.store);
    floors = &stored.floors;
    return 0;
}

static int read_floor(enum fwr_floor floor, uint32_t *value)
{
    bool slotted = floor != FWR_FLOOR_GENERATION;

    return floors->read(floors->ctx, floor, slotted ? SLOT : 0, slotted ? component : NULL, value);
}

static int raise_floor(enum fwr_floor floor, uint32_t value)
{
    bool slotted = floor != FWR_FLOOR_GENERATION;

    return floors->raise(floors->ctx, floor, slotted ? SLOT : 0, slotted ? component : NULL, value);
}

static uint32_t value_of(enum fwr_floor floor)
{
    uint32_t value = 99;

    assert_int_equal(read_floor(floor, &value), FWR_OK);
    return value;
}

static void test_they_only_rise(void **state)
{
    static const enum fwr_floor all[] = {FWR_FLOOR_SECURITY_VERSION, FWR_FLOOR_SEQUENCE,
                                         FWR_FLOOR_GENERATION};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(value_of(all[i]), 0);
        assert_int_equal(raise_floor(all[i], 0), FWR_OK);
        assert_int_equal(store.counts.writes, i); /* nothing to write */
        assert_int_equal(raise_floor(all[i], 5 + (uint32_t)i), FWR_OK);
        assert_int_equal(store.counts.writes, i + 1);
        assert_int_equal(raise_floor(all[i], 5 + (uint32_t)i), FWR_OK);
        assert_int_equal(raise_floor(all[i], 3), FWR_OK);
        assert_int_equal(store.counts.writes, i + 1);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(value_of(all[i]), 5 + i); /* each of its own */
    assert_int_equal(raise_floor(FWR_FLOOR_SEQUENCE, UINT32_MAX), FWR_OK);
    assert_int_equal(value_of(FWR_FLOOR_SEQUENCE), UINT32_MAX);
    assert_int_equal(value_of(FWR_FLOOR_SECURITY_VERSION), 5);
}

static void test_of_another_component(void **state)
{
    (void)state;
    assert_int_equal(raise_floor(FWR_FLOOR_SECURITY_VERSION, 5), FWR_OK);
    assert_int_equal(raise_floor(FWR_FLOOR_GENERATION, 4), FWR_OK);
    component[3] ^= 1;
    assert_int_equal(value_of(FWR_FLOOR_SECURITY_VERSION), 0);
    assert_int_equal(value_of(FWR_FLOOR_GENERATION), 4); /* of the BMC */
    assert_int_equal(raise_floor(FWR_FLOOR_SECURITY_VERSION, 1), FWR_OK);
    assert_int_equal(value_of(FWR_FLOOR_SECURITY_VERSION), 1);
}

static void test_slow_store(void **state)
{
    uint32_t value;
    int calls = 0;

    (void)state;
    store.pending_calls = 3;
    while (raise_floor(FWR_FLOOR_GENERATION, 9) == FWR_PENDING)
        calls++;
    assert_int_equal(calls, 6); /* a read and a write */
    while (read_floor(FWR_FLOOR_GENERATION, &value) == FWR_PENDING)
        calls++;
    assert_int_equal(value, 9);
    assert_int_equal(calls, 9);
}

static void test_failing_store(void **state)
{
    (void)state;
    assert_int_equal(raise_floor(FWR_FLOOR_SEQUENCE, 5), FWR_OK);
    store.fail_writes = 1;
    store.write_error = FWR_E_STORE_FULL;
    assert_int_equal(raise_floor(FWR_FLOOR_SEQUENCE, 6), FWR_E_STORE_FULL);
    assert_int_equal(value_of(FWR_FLOOR_SEQUENCE), 5);
    assert_int_equal(raise_floor(FWR_FLOOR_SEQUENCE, 6), FWR_OK);
    store.fail_reads = 1;
    assert_int_equal(raise_floor(FWR_FLOOR_SEQUENCE, 7), FWR_E_STORE_IO);
    assert_int_equal(value_of(FWR_FLOOR_SEQUENCE), 6);
}

static void seal(struct fwr_store_ram_record *record)
{
    uint32_t crc = fwr_crc32(0, record->data, record->length - 4);

    for (size_t i = 0; i < 4; i++)
        record->data[record->length - 4 + i] = (uint8_t)(crc >> 8 * i);
}

/* Any bit, a length too short or too long, another version: refused, never 0 or less. */
static void spoil(enum fwr_floor floor, enum fwr_store_kind kind, uint8_t slot)
{
    struct fwr_store_ram_record *record;
    uint32_t value;

    assert_int_equal(raise_floor(floor, 0xfffffffe), FWR_OK);
    record = fwr_store_ram_find(&store, kind, slot);
    assert_non_null(record);
    for (size_t bit = 0; bit < 8 * record->length; bit++) {
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(read_floor(floor, &value), FWR_E_STORE_CORRUPT);
        assert_int_equal(raise_floor(floor, UINT32_MAX), FWR_E_STORE_CORRUPT);
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    size_t whole = record->length;
    uint8_t good[sizeof(room[0])];

    memcpy(good, record->data, sizeof(good));
    for (record->length = 0; record->length < whole; record->length++)
        assert_int_equal(read_floor(floor, &value), FWR_E_STORE_CORRUPT);
    record->length = whole - 1;
    seal(record);
    assert_int_equal(read_floor(floor, &value), FWR_E_STORE_CORRUPT);
    record->length = whole + 1;
    seal(record);
    assert_int_equal(read_floor(floor, &value), FWR_E_STORE_CORRUPT);
    record->length = sizeof(room[0]);
    assert_int_equal(read_floor(floor, &value), FWR_E_STORE_VERSION);
    memcpy(record->data, good, sizeof(good));
    record->length = whole;
    record->data[0] = 2;
    seal(record);
    assert_int_equal(read_floor(floor, &value), FWR_E_STORE_VERSION);
    assert_int_equal(raise_floor(floor, UINT32_MAX), FWR_E_STORE_VERSION);
    record->data[0] = 0;
    seal(record);
    assert_int_equal(read_floor(floor, &value), FWR_E_STORE_CORRUPT);
    record->data[0] = 1;
    seal(record);
    assert_int_equal(value_of(floor), 0xfffffffe);
}

static void test_spoilt_records(void **state)
{
    (void)state;
    spoil(FWR_FLOOR_SECURITY_VERSION, FWR_STORE_FLOORS, SLOT);
    spoil(FWR_FLOOR_GENERATION, FWR_STORE_GENERATION, 0);
}

static struct {
    uint64_t at, count;
    enum fwr_fault_verdict how;
    bool happened;
} cut;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx, (void)event;
    if (cut.happened || cut.count++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

/* From 5 to 9 with the power gone at any operation: 5 or 9, and 9 at the second try. */
static void test_cut_anywhere(void **state)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN,
                                                  FWR_FAULT_AFTER};
    unsigned cuts = 0;

    for (int floor = FWR_FLOOR_SECURITY_VERSION; floor <= FWR_FLOOR_GENERATION; floor++) {
        for (size_t way = 0; way < 3; way++) {
            bool happened = true;

            for (uint64_t at = 0; happened; at++) {
                set_up(state);
                assert_int_equal(raise_floor((enum fwr_floor)floor, 5), FWR_OK);
                cut.at = at;
                cut.count = 0;
                cut.how = ways[way];
                cut.happened = false;
                store.hook.decide = decide;
                int error = raise_floor((enum fwr_floor)floor, 9);
                happened = cut.happened;
                cuts += happened;
                assert_true(happened ? error < 0 : error == FWR_OK);
                store.hook.decide = NULL;
                fwr_store_ram_power_on(&store);
                fwr_floors_store_init(&stored, &store.store);
                uint32_t value = value_of((enum fwr_floor)floor);
                assert_true(value == 5 || value == 9);
                assert_int_equal(raise_floor((enum fwr_floor)floor, 9), FWR_OK);
                assert_int_equal(value_of((enum fwr_floor)floor), 9);
            }
        }
    }
    printf("# floors in the store: %u cuts\n", cuts);
    assert_int_equal(cuts, 3 * 3 * 2);
}

#define FLOORS(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOORS(test_they_only_rise), FLOORS(test_of_another_component), FLOORS(test_slow_store),
        FLOORS(test_failing_store),  FLOORS(test_spoilt_records),       FLOORS(test_cut_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
