/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journal: its records and the policy's: written and read back, cut short, with every byte
 * changed, from other slots and versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/store-ram.h>

#include "engine/journal.h"
#include "tests/unit/seeded.h"
#include "wire/crc32.h"

#define ROOM 2048
#define SLOT 2

static struct fwr_recipient r;
static struct fwr_board board;
static struct fwr_store_ram store;
static struct fwr_store_ram_record records[4];
static uint8_t room[4][ROOM];

static int set_up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof(r));
    memset(records, 0, sizeof(records));
    for (size_t i = 0; i < 4; i++) {
        records[i].data = room[i];
        records[i].capacity = ROOM;
    }
    memset(board.component, 0xc7, sizeof(board.component));
    r.config.board = &board;
    r.config.slot = SLOT;
    r.config.store = &store.store;
    return fwr_store_ram_open(&store, records, 4);
}

static struct fwr_store_ram_record *stored(enum fwr_store_kind kind)
{
    struct fwr_store_ram_record *record = fwr_store_ram_find(&store, kind, SLOT);

    assert_non_null(record);
    return record;
}

static void seal(struct fwr_store_ram_record *record)
{
    uint32_t crc = fwr_crc32(0, record->data, record->length - 4);

    for (size_t i = 0; i < 4; i++)
        record->data[record->length - 4 + i] = (uint8_t)(crc >> 8 * i);
}

static void fill_journal(uint16_t count)
{
    uint64_t seed = count;

    memset(&r.journal, 0, sizeof(r.journal));
    r.journal.counter = 41;
    r.journal.run = 0xfedcba98;
    r.journal.unit_size = 8192;
    r.journal.guarded = count % 64 != 0;
    r.journal.all = count % 128 != 0;
    r.journal.count = count;
    seeded_fill(&seed, r.journal.id, sizeof(r.journal.id));
    seeded_fill(&seed, r.journal.map, sizeof(r.journal.map));
    seeded_fill(&seed, r.journal.guard, sizeof(r.journal.guard));
    for (uint16_t i = 0; i < count; i++)
        r.journal.units[i] = UINT32_MAX - 8192u * i;
}

static void test_round_trip_of_every_type_and_count(void **state)
{
    (void)state;
    for (int type = FWR_JOURNAL_INTENT; type <= FWR_JOURNAL_CONFIRMED; type++) {
        for (uint16_t count = 0; count <= FWR_REDO_MAX; count += 32) {
            fill_journal(count);
            assert_int_equal(fwr_journal_write(&r, (enum fwr_journal_type)type), FWR_OK);
            struct fwr_journal written = r.journal;
            assert_int_equal(written.type, type);
            assert_int_equal(written.counter, 42);
            memset(&r.journal, 0xee, sizeof(r.journal));
            assert_int_equal(fwr_journal_read(&r), FWR_OK);
            assert_int_equal(r.journal.type, type);
            assert_int_equal(r.journal.guarded, written.guarded);
            assert_int_equal(r.journal.all, written.all);
            assert_int_equal(r.journal.counter, 42);
            assert_int_equal(r.journal.run, written.run);
            assert_int_equal(r.journal.unit_size, 8192);
            assert_memory_equal(r.journal.id, written.id, FWR_ID_SIZE);
            assert_memory_equal(r.journal.map, written.map, FWR_ID_SIZE);
            assert_memory_equal(r.journal.guard, written.guard, FWR_ID_SIZE);
            assert_int_equal(r.journal.count, count);
            assert_memory_equal(r.journal.units, written.units, count * sizeof(uint32_t));
        }
    }
}

static void test_no_journal(void **state)
{
    (void)state;
    r.journal.type = FWR_JOURNAL_COMMIT;
    assert_int_equal(fwr_journal_read(&r), FWR_OK);
    assert_int_equal(r.journal.type, FWR_JOURNAL_NONE);
    assert_int_equal(fwr_journal_remove(&r), FWR_OK);
}

static int read_journal(void)
{
    int error = fwr_journal_read(&r);

    if (error)
        assert_int_equal(r.journal.type, FWR_JOURNAL_NONE); /* nothing half read is left */
    return error;
}

static int read_policy(void)
{
    struct fwr_policy_record policy = {7, 7, 7};
    int error = fwr_policy_read(&r, &policy);

    if (error)
        assert_int_equal(policy.generation, 0);
    return error;
}

/* All truncations and all changes of one byte are a corrupt record; one byte more, well sealed,
 * too; and what is longer than any of ours is a newer version's. */
static void spoil(enum fwr_store_kind kind, int (*read)(void))
{
    struct fwr_store_ram_record *record = stored(kind);
    size_t length = record->length;
    uint8_t good[ROOM];

    memcpy(good, record->data, length);
    for (record->length = 0; record->length < length; record->length++)
        assert_int_equal(read(), FWR_E_STORE_CORRUPT);
    for (size_t at = 0; at < length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            record->data[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(read(), FWR_E_STORE_CORRUPT);
            record->data[at] = good[at];
        }
    }
    assert_int_equal(read(), FWR_OK);
    for (record->length = 5; record->length < length; record->length++) { /* sealed again */
        seal(record);
        assert_int_equal(read(), FWR_E_STORE_CORRUPT);
        memcpy(record->data, good, length);
    }
    record->length = length;
    record->data[0]++;
    seal(record);
    assert_int_equal(read(), FWR_E_STORE_VERSION);
    record->data[0] = 0;
    seal(record);
    assert_int_equal(read(), FWR_E_STORE_CORRUPT);
    memcpy(record->data, good, length);
    memset(record->data + length, 0, ROOM - length);
    record->length = ROOM;
    assert_int_equal(read(), FWR_E_STORE_VERSION);
    record->length = length;
    record->read_error = FWR_E_STORE_IO;
    assert_int_equal(read(), FWR_E_STORE_IO);
    record->read_error = 0;
    assert_int_equal(read(), FWR_OK);
}

static void test_spoilt_journal(void **state)
{
    (void)state;
    fill_journal(5);
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_IN_FLIGHT), FWR_OK);
    spoil(FWR_STORE_JOURNAL, read_journal);
}

static void test_spoilt_policy(void **state)
{
    const struct fwr_policy_record policy = {3, 0xfffffffe, 0x5a};

    (void)state;
    assert_int_equal(fwr_policy_write(&r, &policy), FWR_OK);
    spoil(FWR_STORE_POLICY, read_policy);
}

/* One byte of a journal changed and sealed again: what its CRC does not protect from. */
static int with_byte(size_t at, uint8_t value)
{
    fill_journal(5);
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_IN_FLIGHT), FWR_OK);
    stored(FWR_STORE_JOURNAL)->data[at] = value;
    seal(stored(FWR_STORE_JOURNAL));
    return read_journal();
}

static void test_impossible_values(void **state)
{
    (void)state;
    assert_int_equal(with_byte(1, FWR_JOURNAL_NONE), FWR_E_STORE_CORRUPT);
    assert_int_equal(with_byte(1, FWR_JOURNAL_CONFIRMED + 1), FWR_E_STORE_CORRUPT);
    assert_int_equal(with_byte(1, FWR_JOURNAL_COMMIT), FWR_OK);
    assert_int_equal(with_byte(2, SLOT + 1), FWR_E_STORE_CORRUPT);
    assert_int_equal(with_byte(3, 3), FWR_OK);
    assert_int_equal(with_byte(3, 4), FWR_E_STORE_CORRUPT);
    assert_int_equal(with_byte(13, 0), FWR_E_STORE_CORRUPT);  /* unit size 0 */
    assert_int_equal(with_byte(12, 1), FWR_E_STORE_CORRUPT);  /* 8193 */
    assert_int_equal(with_byte(112, 4), FWR_E_STORE_CORRUPT); /* units */
    assert_int_equal(with_byte(112, 6), FWR_E_STORE_CORRUPT);
    assert_int_equal(with_byte(113, 1), FWR_E_STORE_CORRUPT);
}

static void test_map_hash_knows_every_field(void **state)
{
    struct fwr_region_map map = {
        .count = 2,
        .regions = {{0, 4096, FWR_REGION_WRITE, 1, 0}, {4096, 8192, FWR_REGION_FILL, 0, 0x11}}};
    uint8_t first[FWR_ID_SIZE], other[FWR_ID_SIZE];

    (void)state;
    assert_int_equal(fwr_journal_map_hash(&map, first), FWR_OK);
    map.regions[1].fill = 0x12;
    assert_int_equal(fwr_journal_map_hash(&map, other), FWR_OK);
    assert_memory_not_equal(first, other, FWR_ID_SIZE);
    map.regions[1].fill = 0x11;
    map.regions[0].flags = 0;
    assert_int_equal(fwr_journal_map_hash(&map, other), FWR_OK);
    assert_memory_not_equal(first, other, FWR_ID_SIZE);
    map.regions[0].flags = 1;
    map.regions[0].kind = FWR_REGION_PRESERVE;
    assert_int_equal(fwr_journal_map_hash(&map, other), FWR_OK);
    assert_memory_not_equal(first, other, FWR_ID_SIZE);
    map.regions[0].kind = FWR_REGION_WRITE;
    map.count = 1;
    assert_int_equal(fwr_journal_map_hash(&map, other), FWR_OK);
    assert_memory_not_equal(first, other, FWR_ID_SIZE);
}

static void test_failed_write_changes_nothing(void **state)
{
    (void)state;
    fill_journal(1);
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_INTENT), FWR_OK);
    store.fail_writes = 1;
    store.write_error = FWR_E_STORE_FULL;
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_COMMIT), FWR_E_STORE_FULL);
    assert_int_equal(r.journal.type, FWR_JOURNAL_INTENT);
    store.pending_calls = 1;
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_COMMIT), FWR_PENDING);
    assert_true(r.outstanding);
    assert_int_equal(r.journal.counter, 42);
    assert_int_equal(fwr_journal_write(&r, FWR_JOURNAL_COMMIT), FWR_OK);
    assert_false(r.outstanding);
    assert_int_equal(r.journal.counter, 43);
}

#define JOURNAL(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL(test_round_trip_of_every_type_and_count),
        JOURNAL(test_no_journal),
        JOURNAL(test_spoilt_journal),
        JOURNAL(test_spoilt_policy),
        JOURNAL(test_impossible_values),
        JOURNAL(test_map_hash_knows_every_field),
        JOURNAL(test_failed_write_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
