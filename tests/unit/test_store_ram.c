/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in memory: the contract, its failures, and what a power failure leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/store-ram.h>

enum { RECORDS = 3, CAPACITY = 32 };

static struct fwr_store_ram ram;
static const struct fwr_store *store = &ram.store;
static struct fwr_store_ram_record records[RECORDS];
static uint8_t bytes[RECORDS][CAPACITY];

static int fresh(void **state)
{
    (void)state;
    memset(records, 0, sizeof(records));
    for (size_t i = 0; i < RECORDS; i++) {
        records[i].data = bytes[i];
        records[i].capacity = CAPACITY;
    }
    return fwr_store_ram_open(&ram, records, RECORDS);
}

static int put(uint8_t slot, const char *text)
{
    return store->write(store->ctx, FWR_STORE_JOURNAL, slot, text, strlen(text));
}

static const char *get(uint8_t slot)
{
    static char text[CAPACITY + 1];
    size_t length = 0;
    int rc = store->read(store->ctx, FWR_STORE_JOURNAL, slot, text, CAPACITY, &length);

    if (rc != FWR_OK)
        return fwr_error_name(rc);
    text[length] = '\0';
    return text;
}

static int drop(uint8_t slot)
{
    return store->remove(store->ctx, FWR_STORE_JOURNAL, slot);
}

static void keeps_the_contract(void **state)
{
    char text[2];
    size_t length;

    (void)state;
    assert_string_equal(get(0), "not-found");
    assert_int_equal(drop(0), FWR_OK);
    assert_int_equal(put(0, "zero"), FWR_OK);
    assert_int_equal(put(1, "one"), FWR_OK);
    assert_int_equal(store->write(store->ctx, FWR_STORE_FLOORS, 0, "f", 1), FWR_OK);
    assert_string_equal(get(0), "zero");
    assert_string_equal(get(1), "one");
    assert_int_equal(store->read(store->ctx, FWR_STORE_JOURNAL, 1, text, 2, &length),
                     FWR_E_NO_SPACE);
    assert_int_equal(put(2, "no place"), FWR_E_STORE_FULL);
    assert_int_equal(put(0, "longer than the 32 bytes it can have"), FWR_E_STORE_FULL);
    assert_string_equal(get(0), "zero");
    assert_int_equal(drop(1), FWR_OK);
    assert_string_equal(get(1), "not-found");
    assert_int_equal(put(2, "now"), FWR_OK);
    assert_int_equal(put(2, ""), FWR_OK);
    assert_string_equal(get(2), "");
    /* A restart finds what was there. */
    assert_int_equal(fwr_store_ram_open(&ram, records, RECORDS), FWR_OK);
    assert_string_equal(get(0), "zero");
    assert_int_equal(fwr_store_ram_open(NULL, records, RECORDS), FWR_E_ARGUMENT);
    assert_int_equal(fwr_store_ram_open(&ram, NULL, 1), FWR_E_ARGUMENT);
}

static void fails_as_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(put(0, "kept"), FWR_OK);
    ram.fail_writes = 1;
    assert_int_equal(put(0, "lost"), FWR_E_STORE_IO);
    ram.write_error = FWR_E_STORE_READ_ONLY;
    ram.fail_writes = UINT32_MAX;
    assert_int_equal(put(0, "lost"), FWR_E_STORE_READ_ONLY);
    assert_int_equal(drop(0), FWR_E_STORE_READ_ONLY);
    ram.fail_writes = 0;
    ram.fail_reads = 1;
    assert_string_equal(get(0), "store-io");
    assert_string_equal(get(0), "kept");
    fwr_store_ram_find(&ram, FWR_STORE_JOURNAL, 0)->read_error = FWR_E_STORE_CORRUPT;
    assert_string_equal(get(0), "store-corrupt");
    assert_int_equal(put(0, "whole"), FWR_OK);
    assert_string_equal(get(0), "whole");
    fwr_store_ram_find(&ram, FWR_STORE_JOURNAL, 0)->read_error = FWR_E_STORE_VERSION;
    assert_string_equal(get(0), "store-version");
    assert_int_equal(put(0, "older"), FWR_E_STORE_VERSION);
    assert_int_equal(drop(0), FWR_E_STORE_VERSION);
    assert_null(fwr_store_ram_find(&ram, FWR_STORE_TRUST, 0));
}

static void pending_takes_its_calls(void **state)
{
    (void)state;
    ram.pending_calls = 2;
    assert_int_equal(put(0, "x"), FWR_PENDING);
    assert_int_equal(put(0, "x"), FWR_PENDING);
    assert_null(fwr_store_ram_find(&ram, FWR_STORE_JOURNAL, 0));
    assert_int_equal(put(0, "x"), FWR_OK);
    assert_int_equal(ram.counts.pending, 2);
    assert_int_equal(ram.counts.operations, 1);
    assert_int_equal(ram.counts.writes, 1);
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    const struct fwr_fault_event *wanted = ctx;

    if (event->number != wanted->number)
        return FWR_FAULT_NONE;
    assert_int_equal(event->operation, wanted->operation);
    assert_int_equal(event->offset, FWR_STORE_JOURNAL);
    event->seed = wanted->seed;
    return (enum fwr_fault_verdict)wanted->length;
}

static void a_cut_leaves_old_or_new(void **state)
{
    static const struct {
        enum fwr_fault_verdict verdict;
        uint64_t seed;
        const char *left;
    } cases[] = {
        {FWR_FAULT_BEFORE, 0, "old"}, {FWR_FAULT_AFTER, 0, "new"}, {FWR_FAULT_MARGINAL, 0, "new"},
        {FWR_FAULT_TORN, 0, "old"},   {FWR_FAULT_TORN, 1, "new"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fwr_fault_event wanted = {.operation = FWR_FAULT_STORE_WRITE,
                                         .number = 1,
                                         .length = (uint32_t)cases[i].verdict,
                                         .seed = cases[i].seed};

        fresh(state);
        ram.hook.decide = decide;
        ram.hook.ctx = &wanted;
        assert_int_equal(put(0, "old"), FWR_OK);
        assert_int_equal(put(0, "new"), FWR_E_STORE_IO);
        assert_string_equal(get(0), "store-io");
        assert_int_equal(put(0, "dead"), FWR_E_STORE_IO);
        assert_int_equal(ram.counts.dead, 2);
        fwr_store_ram_power_on(&ram);
        assert_string_equal(get(0), cases[i].left);
    }
}

static void a_cut_remove_leaves_all_or_nothing(void **state)
{
    struct fwr_fault_event wanted = {
        .operation = FWR_FAULT_STORE_REMOVE, .number = 1, .length = FWR_FAULT_BEFORE};

    (void)state;
    ram.hook.decide = decide;
    ram.hook.ctx = &wanted;
    assert_int_equal(put(0, "old"), FWR_OK);
    assert_int_equal(drop(0), FWR_E_STORE_IO);
    fwr_store_ram_power_on(&ram);
    assert_string_equal(get(0), "old");
    wanted.number = 3;
    wanted.length = FWR_FAULT_AFTER;
    assert_int_equal(drop(0), FWR_E_STORE_IO);
    fwr_store_ram_power_on(&ram);
    assert_string_equal(get(0), "not-found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keeps_the_contract, fresh),
        cmocka_unit_test_setup(fails_as_it_is_told, fresh),
        cmocka_unit_test_setup(pending_takes_its_calls, fresh),
        cmocka_unit_test_setup(a_cut_leaves_old_or_new, fresh),
        cmocka_unit_test_setup(a_cut_remove_leaves_all_or_nothing, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
