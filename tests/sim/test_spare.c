/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board with two banks: the one the host does not boot is written, verified and pointed at, its
 * boot is watched, and where that is not proven the host goes back. Every scenario is also cut at
 * its every operation on both banks, pointer, store and host, in four ways; at every operation
 * the oracles look at what the host would boot at that moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/banks-slots.h>
#include <fwrecover/error.h>

#include "tests/sim/world.h"

#define BLOCK          4096u
#define BLOCKS         24u
#define CHIP           (BLOCKS * BLOCK)
#define CHANGED_BLOCKS 4 /* from the old image to the new one */
#define REASON(e)      ((uint8_t) - (e))

enum content {
    OLD,     /* the image that was confirmed last, whole */
    DAMAGED, /* the same with wrong blocks, among them the one the CPU starts in */
    NEW,     /* the image that donors have, whole */
    PARTLY,  /* of which some blocks are wrong */
    RUBBISH,
};

/* What the two banks hold, and what the host makes of it. */
struct scenario {
    const char *name;
    uint8_t active; /* the bank that the host boots at first */
    enum content boots, spare;
    bool same;    /* the image confirmed last is the one that donors have */
    bool unknown; /* there is no record of the image confirmed last */
    bool lost;    /* the pointer was never written: the board boots `active` by default */
    bool no_mark; /* the board's pointer cannot keep the trial mark */
    bool hangs;   /* what is new does not boot */
    uint32_t boot_proof_ms;
    unsigned pending; /* of every operation */
    bool cached;      /* both banks and the pointer are behind write caches */
    uint8_t reason;   /* how the run ends */
    uint8_t ends;     /* the bank that the host boots then */
};

static struct world w;
static struct given_image old, new;
static const struct scenario *now_playing;

static uint8_t first_durable[CHIP], second_durable[CHIP], pointer_durable[4 * BLOCK];
static uint8_t second_cells[CHIP], before[2][CHIP];
static struct fwr_flash_ramnor second;
static struct fwr_flash_ramnor_unit second_units[BLOCKS];
static uint8_t pointer_cells[4 * BLOCK];
static struct fwr_flash_ramnor pointer;
static struct fwr_flash_ramnor_unit pointer_units[4];
static struct fwr_banks_slots slots;
static struct fwr_banks banks;

static struct {
    uint64_t operations;
    uint64_t at, second; /* the operations that are cut; second 0 = none */
    enum fwr_fault_verdict how;
    bool happened;
} cut;

static struct {
    uint64_t named_written; /* erased or programmed what the host would boot */
    uint64_t named_half;    /* the pointer named a bank that is neither untouched nor whole */
    uint64_t released_bad;  /* let go with a damaged bank although the other one was whole */
    uint64_t floors_early;
    uint64_t erases;
    bool proven;
    bool committed; /* the new bank was pointed at, whole */
} seen;

/* ---- what the host would boot ---- */

static uint8_t *bank_cells(unsigned bank)
{
    return bank == 0 ? w.cells : second_cells;
}

static bool is_whole(unsigned bank, const struct given_image *image)
{
    for (uint16_t i = 0; i < image->manifest.map.count; i++) {
        const struct fwr_region *r = &image->manifest.map.regions[i];
        const uint8_t *cells = bank_cells(bank) + r->offset;

        if (r->kind == FWR_REGION_WRITE && memcmp(cells, image->bytes + r->offset, r->length) != 0)
            return false;
        if (r->kind == FWR_REGION_PRESERVE && memcmp(cells, before[bank] + r->offset, r->length))
            return false;
        for (uint32_t k = 0; r->kind == FWR_REGION_FILL && k < r->length; k++)
            if (cells[k] != r->fill)
                return false;
    }
    return true;
}

static bool untouched(unsigned bank)
{
    return memcmp(bank_cells(bank), before[bank], CHIP) == 0;
}

/* The pointer as the boot ROM reads it: from the cells, without a fault. */
static int rom_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    (void)ctx;
    memcpy(buffer, pointer_cells + offset, length);
    return FWR_OK;
}

static struct fwr_bank_choice host_boots(void)
{
    struct fwr_flash rom = pointer.flash;
    struct fwr_banks_slots reader;
    struct fwr_bank_choice choice;

    rom.read = rom_read;
    assert_int_equal(fwr_banks_slots_open(&reader, &second.flash, &rom, 0, now_playing->active),
                     FWR_OK);
    assert_int_equal(reader.banks.read(reader.banks.ctx, &choice), FWR_OK);
    return choice;
}

static void look(unsigned device, const struct fwr_fault_event *event)
{
    const struct scenario *s = now_playing;
    struct fwr_bank_choice choice = host_boots();
    bool whole = is_whole(choice.bank, &new) || is_whole(choice.bank, &old);
    bool writes =
        event->operation == FWR_FAULT_FLASH_ERASE || event->operation == FWR_FAULT_FLASH_PROGRAM;

    seen.erases += device < 2 && event->operation == FWR_FAULT_FLASH_ERASE;
    seen.named_written += device < 2 && writes && device == choice.bank;
    seen.named_half += !whole && !(choice.bank == s->active && untouched(s->active));
    seen.committed |= choice.bank != s->active && is_whole(choice.bank, &new);
    /* Once there is a whole bank, the host must not run from the damaged one again. */
    seen.released_bad += event->operation == FWR_FAULT_HOST_RELEASE && seen.committed && !whole;
    seen.floors_early += event->operation == FWR_FAULT_STORE_WRITE &&
                         event->offset == FWR_STORE_FLOORS &&
                         !(is_whole(choice.bank, &new) && (seen.proven || !s->boot_proof_ms) &&
                           (choice.state == FWR_BANK_CONFIRMED || s->no_mark));
}

static enum fwr_fault_verdict decide(unsigned device, struct fwr_fault_event *event)
{
    event->seed = cut.at * 4 + cut.how;
    event->decay_reads = 2;
    look(device, event);
    uint64_t operation = cut.operations++;
    if (operation != cut.at && (cut.second == 0 || operation != cut.second))
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static enum fwr_fault_verdict decide_first(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    return decide(0, event);
}

static enum fwr_fault_verdict decide_second(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    return decide(1, event);
}

static enum fwr_fault_verdict decide_others(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    return decide(2, event);
}

/* ---- making ---- */

/* A board whose pointer is a latch: the bank and nothing else. */
static int forgetful_read(void *ctx, struct fwr_bank_choice *choice)
{
    int error = slots.banks.read(ctx, choice);

    choice->state = FWR_BANK_CONFIRMED;
    return error;
}

static int forgetful_write(void *ctx, const struct fwr_bank_choice *choice)
{
    const struct fwr_bank_choice kept = {.bank = choice->bank};

    return slots.banks.write(ctx, &kept);
}

static void open_pointer(void)
{
    const struct scenario *s = now_playing;

    assert_int_equal(fwr_banks_slots_open(&slots, &second.flash, &pointer.flash, 0, s->active),
                     FWR_OK);
    banks = slots.banks;
    if (s->no_mark) {
        banks.read = forgetful_read;
        banks.write = forgetful_write;
    }
}

static void fill_bank(unsigned bank, enum content content)
{
    const struct given_image *image = content == NEW || content == PARTLY ? &new : &old;
    uint8_t *cells = bank_cells(bank);
    uint64_t random = 5 + bank;

    memcpy(cells, image->bytes, CHIP);
    for (uint16_t i = 0; i < image->manifest.map.count; i++) {
        const struct fwr_region *r = &image->manifest.map.regions[i];
        if (r->kind == FWR_REGION_FILL)
            memset(cells + r->offset, r->fill, r->length);
        if (r->kind == FWR_REGION_PRESERVE) /* each bank has its own */
            seeded_fill(&random, cells + r->offset, r->length);
    }
    if (content == DAMAGED || content == PARTLY) {
        seeded_fill(&random, cells + 2 * BLOCK, 3 * BLOCK);
        seeded_fill(&random, cells + (BLOCKS / 2 + 5) * BLOCK, BLOCK); /* in the fill region */
        seeded_fill(&random, cells + (BLOCKS - 1) * BLOCK, BLOCK);     /* where the CPU starts */
    }
    if (content == RUBBISH)
        seeded_fill(&random, cells, CHIP);
    memcpy(before[bank], cells, CHIP);
}

static void make_caches(void)
{
    memcpy(first_durable, w.cells, CHIP);
    memcpy(second_durable, second_cells, CHIP);
    memcpy(pointer_durable, pointer_cells, sizeof(pointer_cells));
    w.nor.durable = first_durable;
    second.durable = second_durable;
    pointer.durable = pointer_durable;
}

static void begin(const struct scenario *s)
{
    const struct fwr_flash_geometry small = {4 * BLOCK, BLOCK, 256, 0xff};
    const struct given_image *known = s->same ? &new : &old;

    now_playing = s;
    memset(&seen, 0, sizeof(seen));
    world_init(&w, 77, &new, BLOCK);
    w.expected[1] = &old;
    memset(pointer_cells, 0xff, sizeof(pointer_cells));
    assert_int_equal(
        fwr_flash_ramnor_open(&second, &w.nor.flash.geometry, second_cells, second_units, BLOCKS),
        FWR_OK);
    second.preserve = w.preserve;
    second.preserve_count = w.nor.preserve_count;
    assert_int_equal(fwr_flash_ramnor_open(&pointer, &small, pointer_cells, pointer_units, 4),
                     FWR_OK);
    fill_bank(s->active, s->boots);
    fill_bank(s->active ^ 1u, s->spare);
    open_pointer();
    const struct fwr_bank_choice choice = {.bank = s->active};
    while (!s->lost && banks.write(banks.ctx, &choice) == FWR_PENDING)
        ;
    if (!s->unknown)
        assert_int_equal(w.store.store.write(w.store.store.ctx, FWR_STORE_ENVELOPE, 0,
                                             known->envelope, known->envelope_length),
                         FWR_OK);
    w.config.banks = &banks;
    w.config.batch = 4;
    w.config.rounds = 2;
    w.config.boot_proof_ms = s->boot_proof_ms;
    w.nor.pending_calls = second.pending_calls = pointer.pending_calls = s->pending;
    w.store.pending_calls = w.host.pending_calls = s->pending;
    world_add_donor(&w, &new);
    if (s->cached)
        make_caches();
    w.nor.hook.decide = decide_first;
    second.hook.decide = decide_second;
    pointer.hook.decide = w.store.hook.decide = w.host.hook.decide = decide_others;
}

/* ---- running ---- */

static void run_on(void)
{
    while (!cut.happened) {
        uint8_t state = world_status(&w).state;
        if (state == FWR_STATE_TRIAL && !now_playing->hangs) {
            seen.proven = true;
            fwr_recipient_boot_proven(w.recipient, w.now);
        }
        state = world_status(&w).state;
        if (state == FWR_STATE_DONE || state == FWR_STATE_FAILED || state == FWR_STATE_IDLE ||
            !world_turn(&w))
            break;
    }
}

static void start(void)
{
    if (world_boot(&w) != FWR_OK) {
        assert_true(cut.happened);
        return;
    }
    run_on();
    if (!cut.happened && world_status(&w).state == FWR_STATE_IDLE) {
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        run_on();
    }
}

/* Power comes back, as often as it was cut. */
static void finish(void)
{
    for (int life = 0; life < 4 && cut.happened; life++) {
        cut.happened = false;
        w.seed += cut.at * 8 + cut.how; /* so that each cut loses other units */
        world_cut(&w);
        fwr_flash_ramnor_power_on(&second, w.seed + 1);
        fwr_flash_ramnor_power_on(&pointer, w.seed + 2);
        open_pointer();
        start();
    }
}

/* Whatever was left marginal decays now. */
static void wear_on(void)
{
    struct fwr_flash_ramnor *chips[] = {&w.nor, &second, &pointer};
    uint8_t bytes[BLOCK];

    for (size_t i = 0; i < 3; i++) {
        chips[i]->hook.decide = NULL;
        chips[i]->pending_calls = 0;
        for (int reads = 0; reads < 4; reads++)
            for (uint32_t at = 0; at < chips[i]->flash.geometry.size; at += BLOCK)
                chips[i]->flash.read(chips[i]->flash.ctx, at, bytes, BLOCK);
    }
}

static bool floors_raised(void)
{
    return fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, 0) != NULL;
}

static bool chip_well(const struct fwr_flash_ramnor *chip)
{
    return chip->counts.trespass == 0 && chip->counts.refused == 0 && chip->counts.deserted == 0;
}

static bool all_is_well(void)
{
    const struct scenario *s = now_playing;
    struct fwr_status_page status = world_status(&w);
    struct fwr_bank_choice choice = host_boots();
    bool good = s->reason == 0;
    /* A cut behind the very last record leaves nothing but the refusal of the image. */
    bool reason = status.reason == s->reason ||
                  (s->reason == REASON(FWR_E_FELL_BACK) && status.reason == REASON(FWR_E_REJECTED));

    return reason && status.state == (good ? FWR_STATE_DONE : FWR_STATE_FAILED) &&
           choice.bank == s->ends && (s->no_mark || !good || choice.state == FWR_BANK_CONFIRMED) &&
           (s->ends == s->active ? untouched(s->active) : is_whole(s->ends, &new)) &&
           untouched(s->active) && floors_raised() == good && !w.host.held &&
           w.host.violations == 0 && w.strangers == 0 && chip_well(&w.nor) && chip_well(&second) &&
           chip_well(&pointer) && seen.named_written + seen.named_half == 0 &&
           seen.released_bad + seen.floors_early == 0;
}

static void assert_all_is_well(void)
{
    struct fwr_bank_choice choice = host_boots();

    if (all_is_well())
        return;
    fail_msg("%s: cut at %llu (and %llu) in way %d: state %u, reason %u, boots bank %u state %u, "
             "whole %d, active untouched %d, held %d, floors %d, named bank written %llu, half "
             "named %llu, released bad %llu, floors early %llu, trespass %llu %llu, strangers %u",
             now_playing->name, (unsigned long long)cut.at, (unsigned long long)cut.second, cut.how,
             world_status(&w).state, world_status(&w).reason, choice.bank, choice.state,
             is_whole(choice.bank, &new), untouched(now_playing->active), w.host.held,
             floors_raised(), (unsigned long long)seen.named_written,
             (unsigned long long)seen.named_half, (unsigned long long)seen.released_bad,
             (unsigned long long)seen.floors_early, (unsigned long long)w.nor.counts.trespass,
             (unsigned long long)second.counts.trespass, w.strangers);
}

/* ---- scenarios ---- */

static const struct scenario update = {
    .name = "update", .boots = OLD, .spare = RUBBISH, .boot_proof_ms = 60000, .ends = 1};
static const struct scenario repair = {.name = "damaged, the spare nearly right",
                                       .active = 1,
                                       .boots = DAMAGED,
                                       .spare = PARTLY,
                                       .same = true,
                                       .boot_proof_ms = 60000,
                                       .ends = 0};
static const struct scenario back = {.name = "no boot, back",
                                     .boots = OLD,
                                     .spare = PARTLY,
                                     .hangs = true,
                                     .boot_proof_ms = 60000,
                                     .reason = REASON(FWR_E_FELL_BACK),
                                     .ends = 0};

static const struct scenario scenarios[] = {
    {.name = "no boot proof configured", .active = 1, .boots = OLD, .spare = PARTLY, .ends = 0},
    {.name = "a latch for a pointer",
     .boots = OLD,
     .spare = PARTLY,
     .no_mark = true,
     .boot_proof_ms = 60000,
     .ends = 1},
    {.name = "a pointer never written",
     .active = 1,
     .boots = OLD,
     .spare = PARTLY,
     .lost = true,
     .boot_proof_ms = 60000,
     .ends = 0},
    {.name = "slow devices",
     .boots = OLD,
     .spare = PARTLY,
     .boot_proof_ms = 60000,
     .pending = 2,
     .ends = 1},
    {.name = "write caches",
     .boots = OLD,
     .spare = PARTLY,
     .boot_proof_ms = 60000,
     .cached = true,
     .ends = 1},
    {.name = "damaged, the spare right: flip only",
     .boots = DAMAGED,
     .spare = NEW,
     .same = true,
     .boot_proof_ms = 60000,
     .ends = 1},
    {.name = "no boot, a latch, back",
     .active = 1,
     .boots = OLD,
     .spare = PARTLY,
     .no_mark = true,
     .hangs = true,
     .boot_proof_ms = 60000,
     .reason = REASON(FWR_E_FELL_BACK),
     .ends = 1},
    {.name = "no boot, back to a bank without a record",
     .boots = OLD,
     .spare = PARTLY,
     .unknown = true,
     .hangs = true,
     .boot_proof_ms = 60000,
     .reason = REASON(FWR_E_FELL_BACK),
     .ends = 0},
};

/* Nothing to go back to: the host stays with what is whole. Cut here, it is tried anew. */
static const struct scenario stay = {.name = "no boot, the other bank damaged",
                                     .boots = DAMAGED,
                                     .spare = PARTLY,
                                     .hangs = true,
                                     .boot_proof_ms = 60000,
                                     .reason = REASON(FWR_E_BOOT_PROOF),
                                     .ends = 1};

static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                              FWR_FAULT_MARGINAL};

static void no_cut(void)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = UINT64_MAX;
}

/* One recovery, cut as `cut` says. Whether there was a cut at all. */
static bool play(const struct scenario *s)
{
    begin(s);
    start();
    bool happened = cut.happened;
    finish();
    wear_on();
    assert_all_is_well();
    world_free(&w);
    return happened;
}

static void sweep(const struct scenario *s, uint64_t stride)
{
    uint64_t cuts = 0;

    no_cut();
    play(s);
    for (size_t way = 0; way < 4; way++) {
        for (uint64_t at = way % stride;; at += stride) {
            memset(&cut, 0, sizeof(cut));
            cut.at = at;
            cut.how = ways[way];
            if (!play(s))
                break;
            cuts++;
        }
    }
    printf("# threat 21 power cut (two banks, %s): %llu cuts, every one finished\n", s->name,
           (unsigned long long)cuts);
    assert_true(cuts * stride > 80);
}

static void threat_21_power_cut_with_a_spare_bank(void **state)
{
    (void)state;
    sweep(&update, 1);
    sweep(&repair, 1);
}

static void threat_21_power_cut_while_falling_back(void **state)
{
    (void)state;
    sweep(&back, 1);
}

static void test_cuts_on_other_boards(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        sweep(&scenarios[i], 3);
    sweep(&stay, 3);
}

static void test_two_cuts(void **state)
{
    const struct scenario *all[] = {&update, &repair, &back, &scenarios[1], &scenarios[4]};
    uint64_t random = 2026;

    (void)state;
    for (int i = 0; i < 600; i++) {
        memset(&cut, 0, sizeof(cut));
        cut.at = seeded_below(&random, 150);
        cut.second = cut.at + 1 + seeded_below(&random, i % 2 ? 20 : 150);
        cut.how = ways[seeded_below(&random, 4)];
        play(all[i % 5]);
    }
}

/* ---- the journal or the pointer is lost as well ---- */

/* Cuts a scenario, and says whether it was cut at all. */
static bool cut_at(const struct scenario *s, uint64_t at)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.how = ways[at / 2 % 4];
    begin(s);
    start();
    return cut.happened;
}

/* Whichever bank it was about, a whole one is named at the end, and the host runs from it. */
static void test_a_lost_journal(void **state)
{
    static const struct scenario *const all[] = {&update, &repair, &back};
    uint64_t met = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (uint64_t at = 1; cut_at(all[i], at); at += 3) {
            struct fwr_store_ram_record *record =
                fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
            if (record) {
                met++;
                record->data[record->length / 2] ^= 4;
            }
            finish();
            wear_on();
            uint8_t bank = host_boots().bank;
            assert_true(is_whole(bank, &new) || is_whole(bank, &old));
            assert_false(w.host.held);
            assert_int_equal(seen.named_written + seen.named_half, 0);
            assert_int_equal(seen.released_bad + seen.floors_early, 0);
            assert_true(chip_well(&w.nor) && chip_well(&second) && chip_well(&pointer));
            world_free(&w);
        }
        world_free(&w);
    }
    printf("# the journal damaged after %llu cuts\n", (unsigned long long)met);
    assert_true(met > 60);
}

/* Both slots of the pointer: by default the board boots the very bank that is half written. The
 * host stays held until one is whole, and the pointer is made again. */
static void test_a_lost_pointer(void **state)
{
    static const struct scenario *const all[] = {&update, &repair};
    uint64_t met = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t at = 1; cut_at(all[i], at); at += 3) {
            const struct fwr_store_ram_record *record =
                fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
            struct scenario other = *all[i];
            memset(pointer_cells, 0, 2 * BLOCK);
            if (record && record->data[1] < 3) { /* INTENT or IN_FLIGHT */
                other.active ^= 1u;
                met++;
            }
            now_playing = &other;
            finish();
            now_playing = all[i];
            assert_true(is_whole(host_boots().bank, &new));
            assert_false(host_boots().lost || w.host.held);
            assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
            world_free(&w);
        }
        world_free(&w);
    }
    printf("# the pointer lost in the middle of writing, after %llu cuts\n",
           (unsigned long long)met);
    assert_true(met > 40);
}

/* ---- without a cut ---- */

static void begin_uncut(const struct scenario *s)
{
    no_cut();
    begin(s);
    assert_int_equal(world_boot(&w), FWR_OK);
}

static void boot_again(void)
{
    world_cut(&w);
    open_pointer();
    assert_int_equal(world_boot(&w), FWR_OK);
}

static void begin_repair(void)
{
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
}

static void run_to(uint8_t state)
{
    while (world_status(&w).state != state)
        assert_true(world_turn(&w));
}

static void test_what_is_right_stays(void **state)
{
    const struct scenario s = {.name = "right", .boots = NEW, .spare = RUBBISH, .same = true};

    (void)state;
    begin_uncut(&s);
    assert_int_equal(world_repair(&w), 0);
    assert_true(untouched(0) && untouched(1));
    assert_int_equal(host_boots().bank, 0);
    assert_int_equal(seen.erases, 0);
    world_free(&w);
}

static void test_check_and_dry_run_move_nothing(void **state)
{
    static const struct {
        enum content boots, spare;
        uint8_t mode, reason;
        uint32_t wrong;
    } rows[] = {
        {NEW, RUBBISH, FWR_START_CHECK, 0, 0},
        {DAMAGED, NEW, FWR_START_CHECK, REASON(FWR_E_ROOT), 0},
        {NEW, RUBBISH, FWR_START_DRY_RUN, 0, 0},
        {OLD, PARTLY, FWR_START_DRY_RUN, REASON(FWR_E_ROOT), 5},
        {OLD, NEW, FWR_START_DRY_RUN, REASON(FWR_E_ROOT), 0}, /* the pointer would be moved */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct scenario s = {
            .name = "look", .boots = rows[i].boots, .spare = rows[i].spare, .same = true};
        begin_uncut(&s);
        uint64_t programs = pointer.counts.programs;
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, rows[i].mode, 0), FWR_OK);
        world_run(&w, 600000);
        assert_int_equal(world_status(&w).reason, rows[i].reason);
        if (rows[i].mode == FWR_START_DRY_RUN)
            assert_int_equal(world_status(&w).blocks_wrong, rows[i].wrong);
        assert_true(untouched(0) && untouched(1) && !w.host.held);
        assert_int_equal(pointer.counts.programs, programs);
        world_free(&w);
    }
}

/* An update of a spare that holds rubbish fetches what is new, and takes the rest from the bank
 * beside it. */
static void test_what_the_other_bank_has_is_not_fetched(void **state)
{
    (void)state;
    begin_uncut(&update);
    begin_repair();
    run_on();
    struct fwr_status_page status = world_status(&w);
    assert_int_equal(status.blocks_fetched, CHANGED_BLOCKS);
    assert_true(status.blocks_copied >= 10);
    assert_all_is_well();
    world_free(&w);
}

/* The same image is not tried twice; a newer one is. */
static void test_an_image_that_did_not_boot_is_refused(void **state)
{
    struct given_image newer = {.sequence = 9, .seed = 9, .blocks = BLOCKS, .block_size = BLOCK};

    (void)state;
    begin_uncut(&back);
    assert_int_equal(world_repair(&w), REASON(FWR_E_FELL_BACK));
    uint64_t erases = seen.erases;
    for (int life = 0; life < 3; life++) {
        assert_int_equal(world_repair(&w), REASON(FWR_E_REJECTED));
        assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
        boot_again();
    }
    assert_int_equal(world_repair(&w), REASON(FWR_E_REJECTED));
    assert_int_equal(seen.erases, erases);
    assert_all_is_well();

    assert_int_equal(given_image_make(&newer), FWR_OK);
    world_add_donor(&w, &newer);
    w.expected[0] = &newer;
    free(w.storage);
    w.storage = NULL;
    fwr_recipient_end(w.recipient);
    assert_int_equal(world_boot(&w), FWR_OK);
    begin_repair();
    run_to(FWR_STATE_TRIAL);
    fwr_recipient_boot_proven(w.recipient, w.now);
    run_to(FWR_STATE_DONE);
    assert_int_equal(host_boots().bank, 1);
    assert_true(is_whole(1, &newer));
    world_free(&w);
    given_image_free(&newer);
}

/* A watchdog in hardware may be quicker than we are: what proves its boot is the other bank. */
static void test_a_board_that_goes_back_by_itself(void **state)
{
    const struct fwr_bank_choice other = {.bank = 0};

    (void)state;
    begin_uncut(&back);
    begin_repair();
    run_to(FWR_STATE_TRIAL);
    assert_int_equal(host_boots().bank, 1);
    while (banks.write(banks.ctx, &other) == FWR_PENDING)
        ;
    fwr_recipient_boot_proven(w.recipient, w.now);
    run_to(FWR_STATE_FAILED);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_FELL_BACK));
    assert_all_is_well();
    world_free(&w);
}

/* A restart in the trial goes on watching: a proof still counts, and none still goes back. */
static void test_restart_in_the_trial(void **state)
{
    (void)state;
    for (int proves = 0; proves < 2; proves++) {
        begin_uncut(&back);
        begin_repair();
        for (int life = 0; life < 3; life++) {
            run_to(FWR_STATE_TRIAL);
            boot_again();
        }
        run_to(FWR_STATE_TRIAL);
        assert_false(floors_raised());
        if (proves) {
            seen.proven = true;
            fwr_recipient_boot_proven(w.recipient, w.now);
        }
        run_to(proves ? FWR_STATE_DONE : FWR_STATE_FAILED);
        assert_int_equal(host_boots().bank, proves);
        assert_int_equal(host_boots().state, FWR_BANK_CONFIRMED);
        assert_int_equal(floors_raised(), proves);
        assert_int_equal(seen.floors_early, 0);
        world_free(&w);
    }
}

/* Without the pointer nothing is erased and nothing named; the host goes on as it was. */
static void test_a_pointer_that_fails(void **state)
{
    (void)state;
    begin_uncut(&update);
    pointer_cells[0] = 0; /* a slot that has to be mended, and cannot be */
    pointer_units[0].fail_programs = FWR_RAMNOR_ALWAYS;
    assert_int_equal(world_repair(&w), REASON(FWR_E_FLASH_PROGRAM));
    assert_true(untouched(0) && untouched(1) && !w.host.held);
    assert_int_equal(seen.erases, 0);
    world_free(&w);
}

/* Donors gone in the middle: the host runs from the untouched bank meanwhile. */
static void test_a_failed_run_lets_the_host_go(void **state)
{
    (void)state;
    begin_uncut(&back);
    begin_repair();
    while (seen.erases == 0)
        assert_true(world_turn(&w));
    w.donors[0].die_after = 1;
    world_run(&w, 24u * 3600 * 1000);
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_true(untouched(0) && !w.host.held);
    assert_int_equal(host_boots().bank, 0);
    assert_false(is_whole(1, &new));
    w.donors[0].die_after = 0;
    begin_repair();
    run_to(FWR_STATE_TRIAL);
    seen.proven = true;
    fwr_recipient_boot_proven(w.recipient, w.now);
    run_to(FWR_STATE_DONE);
    assert_true(is_whole(1, &new) && untouched(0));
    assert_int_equal(host_boots().bank, 1);
    assert_int_equal(seen.named_written + seen.named_half + seen.floors_early, 0);
    world_free(&w);
}

static void test_banks_must_be_alike(void **state)
{
    struct fwr_flash unlike;

    (void)state;
    no_cut();
    begin(&update);
    assert_true(fwr_recipient_storage(&w.config) > 0);
    unlike = second.flash;
    banks.second = &unlike;
    unlike.geometry.size /= 2;
    assert_int_equal(fwr_recipient_storage(&w.config), 0);
    unlike.geometry = second.flash.geometry;
    unlike.geometry.erase_size *= 2;
    assert_int_equal(fwr_recipient_storage(&w.config), 0);
    banks.second = NULL;
    assert_int_equal(fwr_recipient_storage(&w.config), 0);
    banks.second = &second.flash;
    banks.write = NULL;
    assert_int_equal(fwr_recipient_storage(&w.config), 0);
    world_free(&w);
}

/* A library that knows nothing of the second bank must not guess at its journal. */
static void test_a_journal_of_two_banks_where_there_is_one(void **state)
{
    (void)state;
    assert_true(cut_at(&update, 60));
    assert_true(seen.erases > 0);
    world_cut(&w);
    no_cut();
    w.config.banks = NULL;
    assert_int_equal(world_boot(&w), FWR_E_STORE_VERSION);
    assert_true(untouched(0));
    world_free(&w);
}

static int make(struct given_image *g, uint32_t sequence)
{
    g->blocks = BLOCKS;
    g->block_size = BLOCK;
    g->sequence = sequence;
    g->seed = sequence;
    return given_image_make(g);
}

static int set_up(void **state)
{
    (void)state;
    if (make(&old, 7))
        return -1;
    /* The next version: most blocks are the same. */
    new.bytes = malloc(CHIP);
    memcpy(new.bytes, old.bytes, CHIP);
    uint64_t random = 1008;
    seeded_fill(&random, new.bytes + 3 * BLOCK, 2 * BLOCK);
    seeded_fill(&random, new.bytes + (BLOCKS - 2) * BLOCK, 2 * BLOCK);
    return make(&new, 8);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&old);
    given_image_free(&new);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threat_21_power_cut_with_a_spare_bank),
        cmocka_unit_test(threat_21_power_cut_while_falling_back),
        cmocka_unit_test(test_cuts_on_other_boards),
        cmocka_unit_test(test_two_cuts),
        cmocka_unit_test(test_a_lost_journal),
        cmocka_unit_test(test_a_lost_pointer),
        cmocka_unit_test(test_what_is_right_stays),
        cmocka_unit_test(test_check_and_dry_run_move_nothing),
        cmocka_unit_test(test_what_the_other_bank_has_is_not_fetched),
        cmocka_unit_test(test_an_image_that_did_not_boot_is_refused),
        cmocka_unit_test(test_a_board_that_goes_back_by_itself),
        cmocka_unit_test(test_restart_in_the_trial),
        cmocka_unit_test(test_a_pointer_that_fails),
        cmocka_unit_test(test_a_failed_run_lets_the_host_go),
        cmocka_unit_test(test_banks_must_be_alike),
        cmocka_unit_test(test_a_journal_of_two_banks_where_there_is_one),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
