/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NOR flash in memory: that it is as strict, as fragile and as countable as it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-ramnor.h>

enum { UNIT = 4096, PAGE = 256, UNITS = 8, SIZE = UNIT * UNITS };

static const struct fwr_flash_geometry geometry = {SIZE, UNIT, PAGE, 0xff};

static struct fwr_flash_ramnor nor;
static struct fwr_flash_ramnor_unit units[UNITS];
static uint8_t cells[SIZE];
static uint8_t durable[SIZE];
static uint8_t data[SIZE];
static uint8_t buffer[SIZE];

static const struct fwr_flash *chip = &nor.flash;

static int fresh(void **state)
{
    (void)state;
    memset(cells, 0xff, sizeof(cells));
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    return fwr_flash_ramnor_open(&nor, &geometry, cells, units, UNITS);
}

static int chip_read(uint32_t offset, uint32_t length)
{
    return chip->read(chip->ctx, offset, buffer, length);
}

static int chip_erase(uint32_t offset, uint32_t length)
{
    return chip->erase(chip->ctx, offset, length);
}

static int chip_program(uint32_t offset, uint32_t length)
{
    return chip->program(chip->ctx, offset, data + offset, length);
}

static size_t differing(const uint8_t *a, const uint8_t *b, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += a[i] != b[i];
    return count;
}

static void programs_erases_and_reads(void **state)
{
    (void)state;
    assert_int_equal(chip_program(PAGE, UNIT), FWR_OK);
    assert_int_equal(chip_read(0, SIZE), FWR_OK);
    assert_memory_equal(buffer + PAGE, data + PAGE, UNIT);
    assert_int_equal(buffer[PAGE - 1], 0xff);
    assert_int_equal(buffer[PAGE + UNIT], 0xff);
    assert_int_equal(chip_erase(0, 2 * UNIT), FWR_OK);
    assert_int_equal(chip_read(0, SIZE), FWR_OK);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(buffer[i], 0xff);
    assert_int_equal(chip->sync(chip->ctx), FWR_OK);
    assert_int_equal(nor.counts.operations, 5);
    assert_int_equal(nor.counts.reads, 2);
    assert_int_equal(nor.counts.read_bytes, 2 * SIZE);
    assert_int_equal(nor.counts.programs, 1);
    assert_int_equal(nor.counts.pages_programmed, UNIT / PAGE);
    assert_int_equal(nor.counts.erases, 1);
    assert_int_equal(nor.counts.units_erased, 2);
    assert_int_equal(nor.counts.syncs, 1);
    assert_int_equal(nor.counts.refused, 0);
    assert_int_equal(units[1].erases, 1);
    assert_int_equal(units[2].erases, 0);
}

static void refuses_what_a_chip_cannot_do(void **state)
{
    (void)state;
    assert_int_equal(chip_program(0, PAGE), FWR_OK);
    memcpy(buffer, cells, SIZE);
    assert_int_equal(chip_program(0, PAGE), FWR_E_FLASH_NOT_ERASED);
    cells[2 * PAGE - 1] = 0xfe;
    assert_int_equal(chip_program(PAGE, PAGE), FWR_E_FLASH_NOT_ERASED);
    cells[2 * PAGE - 1] = 0xff;
    assert_int_equal(chip_program(PAGE / 2, PAGE), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip_program(PAGE, PAGE + 1), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip_erase(PAGE, UNIT), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(chip_erase(0, UNIT - 1), FWR_E_FLASH_ALIGNMENT);
    assert_int_equal(nor.counts.refused, 6);
    assert_int_equal(nor.counts.operations, 1);
    assert_memory_equal(buffer, cells, SIZE);
}

static void stays_inside_32_bits(void **state)
{
    (void)state;
    assert_int_equal(chip_read(SIZE, 0), FWR_OK);
    assert_int_equal(chip_read(SIZE, 1), FWR_E_RANGE);
    assert_int_equal(chip_read(SIZE - 1, 2), FWR_E_RANGE);
    assert_int_equal(chip->read(chip->ctx, UINT32_MAX, buffer, 2), FWR_E_RANGE);
    assert_int_equal(chip->read(chip->ctx, 2, buffer, UINT32_MAX), FWR_E_RANGE);
    assert_int_equal(chip->erase(chip->ctx, UINT32_MAX - UNIT + 1, UNIT), FWR_E_RANGE);
    assert_int_equal(chip->erase(chip->ctx, UNIT, UINT32_MAX - UNIT + 1), FWR_E_RANGE);
    assert_int_equal(chip->program(chip->ctx, UINT32_MAX - PAGE + 1, data, PAGE), FWR_E_RANGE);
    assert_int_equal(chip->program(chip->ctx, SIZE, data, PAGE), FWR_E_RANGE);
}

static void pending_takes_its_calls(void **state)
{
    (void)state;
    nor.pending_calls = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(chip_program(0, PAGE), FWR_PENDING);
    assert_int_equal(cells[0] & cells[1] & cells[2], 0xff);
    assert_int_equal(chip_program(0, PAGE), FWR_OK);
    assert_memory_equal(cells, data, PAGE);
    assert_int_equal(chip->sync(chip->ctx), FWR_PENDING);
    assert_int_equal(nor.counts.pending, 4);
    assert_int_equal(nor.counts.operations, 1);
}

static void deserting_a_pending_operation_is_noticed(void **state)
{
    (void)state;
    nor.pending_calls = 1;
    assert_int_equal(chip_erase(0, UNIT), FWR_PENDING);
    assert_int_equal(chip_erase(UNIT, UNIT), FWR_E_STATE);
    assert_int_equal(chip_read(0, UNIT), FWR_E_STATE);
    assert_int_equal(nor.counts.deserted, 2);
    assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(chip->read(chip->ctx, 0, buffer, 4), FWR_PENDING);
    assert_int_equal(chip->read(chip->ctx, 0, buffer + 1, 4), FWR_E_STATE);
}

static void failures_hit_the_unit_they_are_set_for(void **state)
{
    (void)state;
    units[1].fail_reads = 1;
    units[1].fail_erases = 1;
    units[1].fail_programs = FWR_RAMNOR_ALWAYS;
    nor.fail_syncs = 1;
    assert_int_equal(chip_read(0, UNIT), FWR_OK);
    assert_int_equal(chip_read(0, UNIT + 1), FWR_E_FLASH_READ);
    assert_int_equal(chip_read(0, UNIT + 1), FWR_OK);
    assert_int_equal(chip_erase(0, 2 * UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip_erase(0, 2 * UNIT), FWR_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(chip_program(UNIT, PAGE), FWR_E_FLASH_PROGRAM);
        assert_memory_not_equal(cells + UNIT, data + UNIT, PAGE);
        assert_int_equal(chip_erase(UNIT, UNIT), FWR_OK);
    }
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
    assert_int_equal(chip->sync(chip->ctx), FWR_E_FLASH_SYNC);
    assert_int_equal(chip->sync(chip->ctx), FWR_OK);
}

static void a_failed_read_gives_no_bytes(void **state)
{
    (void)state;
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
    units[0].fail_reads = 1;
    assert_int_equal(chip_read(0, UNIT), FWR_E_FLASH_READ);
    assert_memory_not_equal(buffer, data, UNIT);
}

static void a_worn_unit_never_programs_right(void **state)
{
    (void)state;
    units[2].misprograms = FWR_RAMNOR_ALWAYS;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(chip_program(2 * UNIT, UNIT), FWR_OK);
        assert_int_equal(differing(cells + 2 * UNIT, data + 2 * UNIT, UNIT), 1);
        assert_int_equal(chip_erase(2 * UNIT, UNIT), FWR_OK);
    }
    assert_int_equal(chip_program(3 * UNIT, UNIT), FWR_OK);
    assert_memory_equal(cells + 3 * UNIT, data + 3 * UNIT, UNIT);
}

static void endurance_ends(void **state)
{
    (void)state;
    units[0].endurance = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(chip_erase(0, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip_erase(0, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(units[0].erases, 5);
}

static void preserved_ranges_are_guarded(void **state)
{
    static const struct fwr_flash_ramnor_range preserve[] = {{UNIT, UNIT}, {SIZE - 10, 10}};

    (void)state;
    nor.preserve = preserve;
    nor.preserve_count = 2;
    assert_int_equal(chip_erase(0, 2 * UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip_program(2 * UNIT - PAGE, PAGE), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip_erase(SIZE - UNIT, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(nor.counts.trespass, 3);
    assert_int_equal(nor.counts.units_erased + nor.counts.pages_programmed, 0);
    assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(chip_program(2 * UNIT, UNIT), FWR_OK);
    assert_int_equal(chip_read(0, SIZE), FWR_OK);
    assert_int_equal(nor.counts.trespass, 3);
}

/* A hook that cuts the power once, at a numbered operation. */
struct cut {
    uint64_t at;
    enum fwr_fault_verdict verdict;
    uint64_t seed;
    uint32_t decay_reads;
    struct fwr_fault_event seen;
    unsigned asked;
};

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    struct cut *cut = ctx;

    assert_int_equal(event->number, cut->asked++);
    if (event->number != cut->at)
        return FWR_FAULT_NONE;
    event->seed = cut->seed;
    event->decay_reads = cut->decay_reads;
    cut->seen = *event;
    return cut->verdict;
}

static void set_cut(struct cut *cut)
{
    nor.hook.decide = decide;
    nor.hook.ctx = cut;
}

static void the_hook_sees_each_operation_once(void **state)
{
    struct cut cut = {.at = 2, .verdict = FWR_FAULT_BEFORE};

    (void)state;
    set_cut(&cut);
    nor.pending_calls = 1;
    assert_int_equal(chip_erase(0, UNIT), FWR_PENDING);
    assert_int_equal(cut.asked, 0);
    assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(chip_erase(UNIT + 1, UNIT), FWR_E_FLASH_ALIGNMENT);
    nor.pending_calls = 0;
    assert_int_equal(chip_read(0, UNIT), FWR_OK);
    assert_int_equal(chip_program(UNIT, 2 * PAGE), FWR_E_FLASH_PROGRAM);
    assert_int_equal(cut.asked, 3);
    assert_int_equal(cut.seen.operation, FWR_FAULT_FLASH_PROGRAM);
    assert_int_equal(cut.seen.offset, UNIT);
    assert_int_equal(cut.seen.length, 2 * PAGE);
}

static void a_dead_chip_does_nothing(void **state)
{
    struct cut cut = {.at = 0, .verdict = FWR_FAULT_BEFORE};

    (void)state;
    set_cut(&cut);
    nor.pending_calls = 1;
    assert_int_equal(chip_program(0, PAGE), FWR_PENDING);
    assert_int_equal(chip_program(0, PAGE), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip_program(0, PAGE), FWR_E_FLASH_PROGRAM);
    assert_int_equal(chip_erase(0, UNIT), FWR_E_FLASH_ERASE);
    assert_int_equal(chip_read(0, UNIT), FWR_E_FLASH_READ);
    assert_int_equal(chip->sync(chip->ctx), FWR_E_FLASH_SYNC);
    assert_int_equal(nor.counts.dead, 4);
    assert_int_equal(cells[0], 0xff);
    fwr_flash_ramnor_power_on(&nor, 0);
    nor.pending_calls = 0;
    assert_int_equal(chip_program(0, PAGE), FWR_OK);
}

static void after_is_done_but_unheard(void **state)
{
    struct cut cut = {.at = 0, .verdict = FWR_FAULT_AFTER};

    (void)state;
    set_cut(&cut);
    assert_int_equal(chip_program(0, UNIT), FWR_E_FLASH_PROGRAM);
    assert_memory_equal(cells, data, UNIT);
    assert_int_equal(chip_read(0, UNIT), FWR_E_FLASH_READ);
}

/* Over many seeds a torn operation must show each of: nothing, part of a page, whole pages. It
 * never touches what is outside its range and repeats itself for a seed. */
static void torn_programs_are_partial_and_repeatable(void **state)
{
    static uint8_t first[SIZE];
    int untouched = 0, partial_page = 0, whole_page = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct cut cut = {.at = 0, .verdict = FWR_FAULT_TORN, .seed = seed};

        for (int again = 0; again < 2; again++) {
            fresh(state);
            cut.asked = 0;
            set_cut(&cut);
            assert_int_equal(chip_program(UNIT, UNIT), FWR_E_FLASH_PROGRAM);
            if (again == 0)
                memcpy(first, cells, SIZE);
        }
        assert_memory_equal(first, cells, SIZE);
        for (size_t i = 0; i < SIZE; i++) {
            /* Programming turns erased bits towards the data, and no others. */
            if (i / UNIT == 1)
                assert_int_equal(cells[i] & data[i], data[i]);
            else
                assert_int_equal(cells[i], 0xff);
        }
        for (size_t page = UNIT; page < 2 * UNIT; page += PAGE) {
            memset(buffer, 0xff, PAGE);
            if (memcmp(cells + page, data + page, PAGE) == 0)
                whole_page++;
            else if (memcmp(cells + page, buffer, PAGE) == 0)
                untouched++;
            else
                partial_page++;
        }
    }
    assert_in_range(untouched, 100, 200 * UNIT / PAGE);
    assert_in_range(whole_page, 100, 200 * UNIT / PAGE);
    assert_in_range(partial_page, 150, 200);
}

static void torn_erases_are_partial(void **state)
{
    int partial = 0, stopped = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct cut cut = {.at = 0, .verdict = FWR_FAULT_TORN, .seed = seed};

        fresh(state);
        memcpy(cells, data, SIZE);
        set_cut(&cut);
        assert_int_equal(chip_erase(UNIT, 3 * UNIT), FWR_E_FLASH_ERASE);
        assert_memory_equal(cells, data, UNIT);
        assert_memory_equal(cells + 4 * UNIT, data + 4 * UNIT, SIZE - 4 * UNIT);
        memset(buffer, 0xff, UNIT);
        for (size_t unit = 1; unit < 4; unit++) {
            if (memcmp(cells + unit * UNIT, data + unit * UNIT, UNIT) == 0)
                stopped++;
            else if (memcmp(cells + unit * UNIT, buffer, UNIT) != 0)
                partial++;
        }
    }
    assert_in_range(partial, 190, 200);
    assert_in_range(stopped, 100, 400);
}

static void marginal_reads_right_and_then_decays(void **state)
{
    struct cut cut = {.at = 0, .verdict = FWR_FAULT_MARGINAL, .decay_reads = 3};

    (void)state;
    set_cut(&cut);
    assert_int_equal(chip_program(UNIT, UNIT), FWR_E_FLASH_PROGRAM);
    fwr_flash_ramnor_power_on(&nor, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chip_read(UNIT, UNIT), FWR_OK);
        assert_memory_equal(buffer, data + UNIT, UNIT);
        /* Reads elsewhere do not count. */
        assert_int_equal(chip_read(0, UNIT), FWR_OK);
    }
    assert_int_equal(nor.counts.decayed, 0);
    assert_int_equal(chip_read(UNIT, UNIT), FWR_OK);
    assert_memory_not_equal(buffer, data + UNIT, UNIT);
    assert_int_equal(nor.counts.decayed, 1);
    assert_int_equal(cells[UNIT - 1] & cells[2 * UNIT], 0xff);
}

static void erasing_again_cures_a_marginal_unit(void **state)
{
    struct cut cut = {.at = 0, .verdict = FWR_FAULT_MARGINAL, .decay_reads = 0};

    (void)state;
    set_cut(&cut);
    assert_int_equal(chip_erase(0, UNIT), FWR_E_FLASH_ERASE);
    fwr_flash_ramnor_power_on(&nor, 0);
    assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
    assert_int_equal(chip_read(0, UNIT), FWR_OK);
    assert_memory_equal(buffer, data, UNIT);
    assert_int_equal(nor.counts.decayed, 0);
}

/* Programming into a unit whose erase was marginal does not make it sound. */
static void a_marginal_erase_decays_under_data(void **state)
{
    struct cut cut = {.at = 0, .verdict = FWR_FAULT_MARGINAL, .decay_reads = 1};

    (void)state;
    set_cut(&cut);
    assert_int_equal(chip_erase(0, UNIT), FWR_E_FLASH_ERASE);
    fwr_flash_ramnor_power_on(&nor, 0);
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
    assert_int_equal(chip_read(0, UNIT), FWR_OK);
    assert_memory_equal(buffer, data, UNIT);
    assert_int_equal(chip_read(0, UNIT), FWR_OK);
    assert_memory_not_equal(buffer, data, UNIT);
}

static void unsynced_units_may_fall_back(void **state)
{
    int kept = 0, lost = 0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct cut cut = {.at = 3, .verdict = FWR_FAULT_BEFORE};

        fresh(state);
        memcpy(durable, cells, SIZE);
        nor.durable = durable;
        set_cut(&cut);
        assert_int_equal(chip_program(0, UNIT), FWR_OK);
        assert_int_equal(chip->sync(chip->ctx), FWR_OK);
        assert_int_equal(chip_program(UNIT, UNIT), FWR_OK);
        assert_int_equal(chip->sync(chip->ctx), FWR_E_FLASH_SYNC);
        fwr_flash_ramnor_power_on(&nor, seed);
        assert_memory_equal(cells, data, UNIT);
        assert_memory_equal(cells, durable, SIZE);
        memset(buffer, 0xff, UNIT);
        if (memcmp(cells + UNIT, data + UNIT, UNIT) == 0)
            kept++;
        else if (memcmp(cells + UNIT, buffer, UNIT) == 0)
            lost++;
    }
    assert_int_equal(kept + lost, 50);
    assert_in_range(kept, 10, 40);
}

static void open_checks_its_arguments(void **state)
{
    struct fwr_flash_ramnor chip_too;
    struct fwr_flash_geometry bad = geometry;

    (void)state;
    assert_int_equal(fwr_flash_ramnor_open(NULL, &bad, cells, units, UNITS), FWR_E_ARGUMENT);
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, NULL, cells, units, UNITS), FWR_E_ARGUMENT);
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, NULL, units, UNITS), FWR_E_ARGUMENT);
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, NULL, UNITS), FWR_E_ARGUMENT);
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, units, UNITS - 1),
                     FWR_E_NO_SPACE);
    bad.size = SIZE - PAGE;
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, units, UNITS), FWR_E_ARGUMENT);
    bad = geometry;
    bad.erase_size = 3 * UNIT;
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, units, UNITS), FWR_E_ARGUMENT);
    bad.erase_size = PAGE / 2;
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, units, UNITS), FWR_E_ARGUMENT);
    bad = geometry;
    bad.program_size = 0;
    assert_int_equal(fwr_flash_ramnor_open(&chip_too, &bad, cells, units, UNITS), FWR_E_ARGUMENT);
}

static void the_erased_value_is_the_chips(void **state)
{
    struct fwr_flash_geometry zero = geometry;

    (void)state;
    zero.erased_value = 0;
    memset(cells, 0, SIZE);
    assert_int_equal(fwr_flash_ramnor_open(&nor, &zero, cells, units, UNITS), FWR_OK);
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
    assert_int_equal(chip_program(0, UNIT), FWR_E_FLASH_NOT_ERASED);
    assert_int_equal(chip_erase(0, UNIT), FWR_OK);
    assert_int_equal(cells[1], 0);
    assert_int_equal(chip_program(0, UNIT), FWR_OK);
}

#define CHIP_TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHIP_TEST(programs_erases_and_reads),
        CHIP_TEST(refuses_what_a_chip_cannot_do),
        CHIP_TEST(stays_inside_32_bits),
        CHIP_TEST(pending_takes_its_calls),
        CHIP_TEST(deserting_a_pending_operation_is_noticed),
        CHIP_TEST(failures_hit_the_unit_they_are_set_for),
        CHIP_TEST(a_failed_read_gives_no_bytes),
        CHIP_TEST(a_worn_unit_never_programs_right),
        CHIP_TEST(endurance_ends),
        CHIP_TEST(preserved_ranges_are_guarded),
        CHIP_TEST(the_hook_sees_each_operation_once),
        CHIP_TEST(a_dead_chip_does_nothing),
        CHIP_TEST(after_is_done_but_unheard),
        CHIP_TEST(torn_programs_are_partial_and_repeatable),
        CHIP_TEST(torn_erases_are_partial),
        CHIP_TEST(marginal_reads_right_and_then_decays),
        CHIP_TEST(erasing_again_cures_a_marginal_unit),
        CHIP_TEST(a_marginal_erase_decays_under_data),
        CHIP_TEST(unsynced_units_may_fall_back),
        CHIP_TEST(open_checks_its_arguments),
        CHIP_TEST(the_erased_value_is_the_chips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
