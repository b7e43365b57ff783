/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot pointer in two slots: whatever is cut, torn, worn or flipped, it names a bank that it
 * was told to name, and at every operation one slot is intact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/banks-slots.h>
#include <fwrecover/error.h>
#include <fwrecover/flash-ramnor.h>

enum { UNIT = 4096, PAGE = 256, UNITS = 4, SIZE = UNIT * UNITS, OFFSET = UNIT, SLOTS = 2 };

static const struct fwr_flash_geometry geometry = {SIZE, UNIT, PAGE, 0xff};

static struct fwr_flash_ramnor nor;
static struct fwr_flash_ramnor_unit units[UNITS];
static uint8_t cells[SIZE];
static struct fwr_flash second;
static struct fwr_banks_slots slots;

static struct {
    uint64_t operations, at;
    enum fwr_fault_verdict how;
    uint64_t seed;
    bool happened;
} cut;

/* What the pointer may say while it is written. */
static struct fwr_bank_choice before, after;
static unsigned looks;

static bool same(const struct fwr_bank_choice *a, const struct fwr_bank_choice *b)
{
    return !a->lost && a->bank == b->bank && a->state == b->state;
}

/* Reads without the chip, as the boot ROM would. */
static int copy_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    (void)ctx;
    memcpy(buffer, cells + offset, length);
    return FWR_OK;
}

static struct fwr_bank_choice rom_reads(void)
{
    struct fwr_flash copy = {.size = sizeof(copy), .geometry = geometry, .read = copy_read};
    struct fwr_banks_slots rom;
    struct fwr_bank_choice choice;

    assert_int_equal(fwr_banks_slots_open(&rom, &second, &copy, OFFSET, 0), FWR_OK);
    assert_int_equal(rom.banks.read(rom.banks.ctx, &choice), FWR_OK);
    return choice;
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    struct fwr_bank_choice choice = rom_reads();

    (void)ctx;
    looks++;
    assert_true(same(&choice, &before) || same(&choice, &after));
    event->seed = cut.seed;
    event->decay_reads = (uint32_t)(cut.seed % 3);
    if (cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static void power_on(void)
{
    fwr_flash_ramnor_power_on(&nor, cut.seed);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &nor.flash, OFFSET, 0), FWR_OK);
}

static int read_choice(struct fwr_bank_choice *choice)
{
    int error;

    do
        error = slots.banks.read(slots.banks.ctx, choice);
    while (error == FWR_PENDING);
    return error;
}

static int write_choice(uint8_t bank, uint8_t state)
{
    const struct fwr_bank_choice choice = {.bank = bank, .state = state};
    int error;

    do
        error = slots.banks.write(slots.banks.ctx, &choice);
    while (error == FWR_PENDING);
    return error;
}

static void expect(uint8_t bank, uint8_t state, bool lost)
{
    struct fwr_bank_choice choice;

    assert_int_equal(read_choice(&choice), FWR_OK);
    assert_int_equal(choice.bank, bank);
    assert_int_equal(choice.state, state);
    assert_int_equal(choice.lost, lost);
}

static int fresh(void **state)
{
    (void)state;
    memset(cells, 0xff, sizeof(cells));
    memset(&cut, 0, sizeof(cut));
    assert_int_equal(fwr_flash_ramnor_open(&nor, &geometry, cells, units, UNITS), FWR_OK);
    second.geometry = geometry;
    power_on();
    return 0;
}

static uint8_t *slot(unsigned which)
{
    return cells + OFFSET + which * UNIT;
}

static uint32_t counter(unsigned which)
{
    const uint8_t *c = slot(which) + 8;

    return c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24;
}

static void a_chip_that_was_never_written_reads_as_lost(void **state)
{
    (void)state;
    expect(0, FWR_BANK_CONFIRMED, true);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &nor.flash, OFFSET, 1), FWR_OK);
    expect(1, FWR_BANK_CONFIRMED, true);
    assert_int_equal(write_choice(0, FWR_BANK_CONFIRMED), FWR_OK);
    expect(0, FWR_BANK_CONFIRMED, false);
    for (unsigned i = 0; i < UNIT; i++) /* nothing beside the slots */
        assert_int_equal(cells[i] & cells[3 * UNIT + i], 0xff);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        uint8_t bank = i % 3 == 0, trial = i % 2;
        assert_int_equal(write_choice(bank, trial), FWR_OK);
        expect(bank, trial, false);
        power_on();
        expect(bank, trial, false);
        /* Both slots say it, with counters of their own. */
        assert_memory_equal(slot(0), slot(1), 8);
        assert_true(counter(0) + 1 == counter(1) || counter(1) + 1 == counter(0));
    }
    uint64_t erases = nor.counts.erases;
    assert_int_equal(write_choice(0, 1), FWR_OK); /* as it is: no wear */
    assert_int_equal(nor.counts.erases, erases);
}

static void any_bit_of_a_slot_may_be_wrong(void **state)
{
    (void)state;
    for (uint8_t bank = 0; bank < 2; bank++) {
        assert_int_equal(write_choice(bank, bank), FWR_OK);
        for (unsigned bit = 0; bit < FWR_BANKS_SLOT_SIZE * 8; bit++) {
            for (unsigned which = 0; which < SLOTS; which++) {
                slot(which)[bit / 8] ^= (uint8_t)(1u << bit % 8);
                expect(bank, bank, false);
                slot(which)[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            for (unsigned other = 0; other < FWR_BANKS_SLOT_SIZE * 8; other++) {
                slot(0)[bit / 8] ^= (uint8_t)(1u << bit % 8);
                slot(1)[other / 8] ^= (uint8_t)(1u << other % 8);
                expect(0, FWR_BANK_CONFIRMED, true);
                slot(0)[bit / 8] ^= (uint8_t)(1u << bit % 8);
                slot(1)[other / 8] ^= (uint8_t)(1u << other % 8);
            }
        }
    }
}

static void a_damaged_slot_is_mended_by_the_next_write(void **state)
{
    (void)state;
    for (unsigned which = 0; which < SLOTS; which++) {
        assert_int_equal(write_choice(1, FWR_BANK_CONFIRMED), FWR_OK);
        slot(which)[5] ^= 1;
        assert_int_equal(write_choice(1, FWR_BANK_CONFIRMED), FWR_OK);
        slot(!which)[5] ^= 1;
        expect(1, FWR_BANK_CONFIRMED, false);
    }
}

static void the_counter_may_wrap(void **state)
{
    (void)state;
    assert_int_equal(write_choice(0, FWR_BANK_CONFIRMED), FWR_OK);
    /* As after four thousand million writes: FFFFFFFEh and FFFFFFFFh. */
    static const uint8_t old[2][16] = {
        {'F', 'W', 'B', 'P', 1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x2b, 0xcd, 0xbe, 0xb7},
        {'F', 'W', 'B', 'P', 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfa, 0xa1, 0x75, 0xa9},
    };
    memcpy(slot(0), old[0], 16);
    memcpy(slot(1), old[1], 16);
    expect(1, FWR_BANK_CONFIRMED, false);
    assert_int_equal(write_choice(0, FWR_BANK_TRIAL), FWR_OK);
    assert_int_equal(counter(1), 0);
    assert_int_equal(counter(0), 1);
    expect(0, FWR_BANK_TRIAL, false);
}

/* ---- power cuts ---- */

static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                              FWR_FAULT_MARGINAL};

/* Lets what was left marginal decay. */
static void wear_on(void)
{
    uint8_t bytes[UNIT];

    nor.hook.decide = NULL;
    for (int reads = 0; reads < 4; reads++)
        for (uint32_t at = 0; at < SIZE; at += UNIT)
            nor.flash.read(nor.flash.ctx, at, bytes, UNIT);
    nor.hook.decide = decide;
}

/* A write cut at one operation. Whether it was. */
static bool write_and_cut(uint8_t bank, uint8_t state, uint64_t at, int way, uint64_t seed)
{
    cut.operations = 0;
    cut.at = at;
    cut.how = ways[way];
    cut.seed = seed;
    cut.happened = false;
    after = (struct fwr_bank_choice){.bank = bank, .state = state};
    nor.hook.decide = decide;
    int error = write_choice(bank, state);
    assert_int_equal(error == FWR_OK, !cut.happened);
    power_on();
    cut.at = UINT64_MAX;
    return cut.happened;
}

/* As the engine does after a restart: the same choice again, also cut; then in peace. What was
 * said before the first of them may still come back. */
static void write_again(uint8_t bank, uint8_t state, uint64_t at, int way, uint64_t seed)
{
    write_and_cut(bank, state, at, way, seed);
    wear_on();
    struct fwr_bank_choice choice = rom_reads();
    assert_true(same(&choice, &before) || same(&choice, &after));
    power_on();
    assert_int_equal(write_choice(bank, state), FWR_OK);
    wear_on();
    expect(bank, state, false);
}

static void cut_anywhere_it_says_the_old_or_the_new(void **state)
{
    unsigned cuts = 0;

    (void)state;
    looks = 0;
    for (int way = 0; way < 4; way++) {
        for (uint64_t at = 0;; at++) {
            bool happened = false;
            for (uint64_t seed = 0; seed < 60; seed++) {
                fresh(NULL);
                assert_int_equal(write_choice(0, FWR_BANK_CONFIRMED), FWR_OK);
                before = rom_reads();
                happened = write_and_cut(1, FWR_BANK_TRIAL, at, way, seed);
                if (!happened)
                    break;
                cuts++;
                wear_on();
                struct fwr_bank_choice choice = rom_reads();
                assert_true(same(&choice, &before) || same(&choice, &after));
            }
            if (!happened)
                break;
        }
    }
    printf("# the pointer: %u cuts, looked at %u times: the old bank or the new one\n", cuts,
           looks);
    assert_true(cuts > 60 * 4 * 8 - 60);
}

static void cut_twice_it_says_the_old_or_the_new(void **state)
{
    unsigned cuts = 0;

    (void)state;
    for (unsigned ways_of_both = 0; ways_of_both < 16; ways_of_both++) {
        for (uint64_t first = 0; first < 12; first++) {
            for (uint64_t second_at = 0; second_at < 12; second_at++) {
                uint64_t seed = first * 31 + second_at;
                fresh(NULL);
                assert_int_equal(write_choice(0, FWR_BANK_CONFIRMED), FWR_OK);
                before = rom_reads();
                cuts += write_and_cut(1, FWR_BANK_TRIAL, first, ways_of_both & 3, seed);
                write_again(1, FWR_BANK_TRIAL, second_at, (int)ways_of_both >> 2, seed + 1);
            }
        }
    }
    printf("# the pointer: %u writes cut and cut again\n", cuts);
}

static void slow_and_worn_chips(void **state)
{
    (void)state;
    nor.pending_calls = 2;
    assert_int_equal(write_choice(1, FWR_BANK_TRIAL), FWR_OK);
    expect(1, FWR_BANK_TRIAL, false);
    units[1].misprograms = 1;
    units[2].fail_erases = 2;
    assert_int_equal(write_choice(0, FWR_BANK_CONFIRMED), FWR_OK);
    expect(0, FWR_BANK_CONFIRMED, false);
    assert_int_equal(nor.counts.deserted, 0);
    /* A slot that cannot be written any more: said, and the other one is not touched. What the
     * chip calls failed may read right all the same. */
    for (unsigned which = 0; which < SLOTS; which++) {
        fresh(NULL);
        assert_int_equal(write_choice(1, FWR_BANK_CONFIRMED), FWR_OK);
        units[1 + which].fail_programs = FWR_RAMNOR_ALWAYS;
        slot(which)[0] = 0;
        uint32_t other = counter(!which);
        assert_int_equal(write_choice(1, FWR_BANK_TRIAL), FWR_E_FLASH_PROGRAM);
        assert_int_equal(counter(!which), other);
        slot(which)[0] = 0;
        expect(1, FWR_BANK_CONFIRMED, false);
    }
    /* One that cannot be read counts as damaged. */
    fresh(NULL);
    assert_int_equal(write_choice(1, FWR_BANK_TRIAL), FWR_OK);
    units[2].fail_reads = 1;
    expect(1, FWR_BANK_TRIAL, false);
    units[1].fail_reads = units[2].fail_reads = 1;
    expect(0, FWR_BANK_CONFIRMED, true);
}

static void misuse_is_refused(void **state)
{
    struct fwr_flash coarse = nor.flash;

    (void)state;
    assert_int_equal(fwr_banks_slots_open(NULL, &second, &nor.flash, 0, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_banks_slots_open(&slots, NULL, &nor.flash, 0, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, NULL, 0, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &nor.flash, 0, 2), FWR_E_ARGUMENT);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &nor.flash, 100, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &nor.flash, SIZE - UNIT, 0),
                     FWR_E_ARGUMENT);
    coarse.geometry.program_size = 1024;
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &coarse, 0, 0), FWR_E_UNSUPPORTED);
    coarse.geometry = geometry;
    coarse.geometry.size = UNIT;
    assert_int_equal(fwr_banks_slots_open(&slots, &second, &coarse, 0, 0), FWR_E_ARGUMENT);
    power_on();
    assert_int_equal(write_choice(2, FWR_BANK_CONFIRMED), FWR_E_ARGUMENT);
    assert_int_equal(write_choice(0, 2), FWR_E_ARGUMENT);
    assert_int_equal(nor.counts.erases, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_chip_that_was_never_written_reads_as_lost, fresh),
        cmocka_unit_test_setup(what_was_written_is_read, fresh),
        cmocka_unit_test_setup(any_bit_of_a_slot_may_be_wrong, fresh),
        cmocka_unit_test_setup(a_damaged_slot_is_mended_by_the_next_write, fresh),
        cmocka_unit_test_setup(the_counter_may_wrap, fresh),
        cmocka_unit_test_setup(cut_anywhere_it_says_the_old_or_the_new, fresh),
        cmocka_unit_test_setup(cut_twice_it_says_the_old_or_the_new, fresh),
        cmocka_unit_test_setup(slow_and_worn_chips, fresh),
        cmocka_unit_test_setup(misuse_is_refused, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
