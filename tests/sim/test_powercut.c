/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: a recovery is cut at its first, second, third … operation on flash, store or
 * host, in each of four ways, and started again. Whatever was cut, the next start finishes. At
 * every operation the oracles look at the flash: no half of an image is bootable, the host is
 * not released nor a floor raised too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/wire/crc32.h"
#include "tests/sim/world.h"

#define REASON(e) ((uint8_t) - (e))

/* What is recovered, and how. */
struct scenario {
    const char *name;
    const struct given_image *image;
    const struct given_image *other; /* all that can be had after the cut; NULL: the same */
    uint32_t erase_size;
    uint32_t block_size; /* that the storage is sized for; 0 = the image's */
    uint8_t batch, donors;
    uint32_t boot_proof_ms;
    unsigned pending; /* of every operation */
    bool cached;      /* the chip is behind a write cache: what was not synced may fall back */
    uint64_t stride;  /* cut at every so-many-th operation */
};

static struct world w;
static struct given_image image, large, newer, moved, fine, coarse;
static const struct scenario *now_playing;
static uint8_t durable[256 * 512];

static struct {
    uint64_t operations;
    uint64_t at, second; /* the operations that are cut; second 0 = none */
    enum fwr_fault_verdict how;
    bool happened;
} cut;

static struct {
    uint64_t erases;
    uint64_t bootable_halves;
    uint64_t floors_early;
    uint64_t released_early;
    bool proven; /* the host's boot */
} seen;

static bool written_right(const struct given_image *of, bool guard)
{
    const struct fwr_manifest *m = &of->manifest;

    for (uint16_t i = 0; i < m->map.count; i++) {
        const struct fwr_region *r = &m->map.regions[i];
        if (r->kind == FWR_REGION_WRITE &&
            memcmp(w.cells + r->offset, of->bytes + r->offset, r->length) != 0)
            return false;
        for (uint32_t k = 0; guard && r->kind == FWR_REGION_FILL && k < r->length; k++)
            if (w.cells[r->offset + k] != r->fill)
                return false;
    }
    return true;
}

/* A body that is half written must not be bootable: as long as any of it is wrong, so is the
 * guard block. */
static bool half_bootable(const struct given_image *of)
{
    uint32_t guard = of->manifest.guard;

    return memcmp(w.cells + guard, of->bytes + guard, of->block_size) == 0 &&
           !written_right(of, false);
}

static void look(const struct fwr_fault_event *event)
{
    const struct given_image *a = now_playing->image, *b = now_playing->other;
    bool right = written_right(a, true) || (b && written_right(b, true));

    if (seen.erases > 0 && (half_bootable(a) || (b && half_bootable(b))))
        seen.bootable_halves++;
    seen.released_early += event->operation == FWR_FAULT_HOST_RELEASE && seen.erases > 0 && !right;
    seen.floors_early += event->operation == FWR_FAULT_STORE_WRITE &&
                         event->offset == FWR_STORE_FLOORS &&
                         !(right && (seen.proven || !now_playing->boot_proof_ms));
    seen.erases += event->operation == FWR_FAULT_FLASH_ERASE;
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at * 4 + cut.how;
    event->decay_reads = 2;
    look(event);
    uint64_t operation = cut.operations++;
    if (operation != cut.at && (cut.second == 0 || operation != cut.second))
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static void damage(const struct given_image *of, uint32_t first, uint32_t count)
{
    world_damage(&w, first * of->block_size, count * of->block_size);
}

static void begin(const struct scenario *s)
{
    uint32_t blocks = s->image->blocks;

    now_playing = s;
    memset(&seen, 0, sizeof(seen));
    world_init(&w, 77, s->image, s->erase_size);
    w.expected[1] = s->other;
    w.config.rounds = 3;
    w.config.batch = s->batch;
    if (s->block_size)
        w.config.block_size = s->block_size;
    w.config.boot_proof_ms = s->boot_proof_ms;
    w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = s->pending;
    for (uint8_t i = 0; i < s->donors; i++)
        world_add_donor(&w, s->image);
    if (s->other) {
        struct world_donor *d = world_add_donor(&w, s->other);
        d->die_after = d->answered = 1;
    }
    damage(s->image, 2, 3);
    damage(s->image, blocks / 2 - 3, 1);
    if (!s->cached) /* whose repair would sync what was written before it */
        damage(s->image, blocks / 2 + 5, 1); /* in the fill region */
    damage(s->image, blocks - 2, 2);         /* with the guard block */
    if (blocks > 24)
        damage(s->image, blocks / 4, blocks / 8);
    w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
    if (s->cached) {
        assert_true(w.nor.flash.geometry.size <= sizeof(durable));
        memcpy(durable, w.cells, w.nor.flash.geometry.size);
        w.nor.durable = durable;
    }
}

/* Only the donor of the other image is left, and its map is the one to keep to. */
static void turn_to_the_other(const struct given_image *other)
{
    const struct fwr_region_map *map = &other->manifest.map;

    for (uint8_t i = 0; i < w.donor_count; i++)
        w.donors[i].die_after = w.donors[i].answered = i + 1 < w.donor_count;
    for (uint16_t i = 0; i < map->count; i++) {
        if (map->regions[i].kind != FWR_REGION_PRESERVE)
            continue;
        w.preserve[w.nor.preserve_count].offset = map->regions[i].offset;
        w.preserve[w.nor.preserve_count++].length = map->regions[i].length;
    }
}

static void run_on(void)
{
    while (!cut.happened) {
        if (world_status(&w).state == FWR_STATE_TRIAL) {
            seen.proven = true;
            fwr_recipient_boot_proven(w.recipient, w.now);
        }
        uint8_t state = world_status(&w).state;
        if (state == FWR_STATE_DONE || state == FWR_STATE_FAILED || state == FWR_STATE_IDLE ||
            !world_turn(&w))
            break;
    }
}

static void run_through_the_cut(void)
{
    if (world_boot(&w) != FWR_OK) {
        assert_true(cut.happened);
        return;
    }
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    run_on();
}

/* Starts again, as often as it was cut, and once more where nothing had been written down. */
static void finish(void)
{
    static uint8_t block[65536];
    uint32_t size = w.nor.flash.geometry.erase_size;

    for (int life = 0; life < 4; life++) {
        cut.happened = false;
        w.seed += cut.at * 8 + cut.how; /* so that each cut loses other units */
        world_cut(&w);
        if (life == 0 && now_playing->other)
            turn_to_the_other(now_playing->other);
        if (world_boot(&w) == FWR_OK) {
            run_on();
            if (!cut.happened &&
                (world_status(&w).state != FWR_STATE_DONE || world_status(&w).reason != 0)) {
                fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0);
                run_on();
            }
        }
        if (!cut.happened)
            break;
    }
    w.nor.pending_calls = 0;
    for (int reads = 0; reads < 4; reads++) /* whatever was left marginal decays now */
        for (uint32_t at = 0; at < w.nor.flash.geometry.size; at += size)
            w.nor.flash.read(w.nor.flash.ctx, at, block, size);
}

static bool all_is_well(void)
{
    const struct given_image *other = now_playing->other;
    bool right = world_is_right(&w, now_playing->image) ||
                 (other && written_right(other, true) && w.nor.counts.trespass == 0 &&
                  w.nor.counts.refused == 0 && w.strangers == 0);

    return right && !w.host.held && seen.bootable_halves == 0 && seen.floors_early == 0 &&
           seen.released_early == 0 && w.host.violations == 0 && w.nor.counts.deserted == 0 &&
           world_status(&w).state == FWR_STATE_DONE;
}

static void assert_all_is_well(void)
{
    if (all_is_well())
        return;
    fail_msg(
        "%s: cut at %llu (and %llu) in way %d: right %d, held %d, bootable halves %llu, floors "
        "early %llu, released early %llu, trespass %llu, strangers %u, state %u, reason %u",
        now_playing->name, (unsigned long long)cut.at, (unsigned long long)cut.second, cut.how,
        world_is_right(&w, now_playing->image), w.host.held,
        (unsigned long long)seen.bootable_halves, (unsigned long long)seen.floors_early,
        (unsigned long long)seen.released_early, (unsigned long long)w.nor.counts.trespass,
        w.strangers, world_status(&w).state, world_status(&w).reason);
}

static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                              FWR_FAULT_MARGINAL};

/* One recovery, cut as `cut` says. Whether there was a cut at all. */
static bool play(const struct scenario *s)
{
    begin(s);
    run_through_the_cut();
    bool happened = cut.happened;
    if (happened) {
        finish();
        assert_all_is_well();
    }
    world_free(&w);
    return happened;
}

static void sweep(const struct scenario *s)
{
    uint64_t cuts = 0;

    for (size_t way = 0; way < 4; way++) {
        for (uint64_t at = way % s->stride;; at += s->stride) {
            memset(&cut, 0, sizeof(cut));
            cut.at = at;
            cut.how = ways[way];
            if (!play(s))
                break;
            cuts++;
        }
    }
    printf("# threat 21 power cut (%s): %llu cuts, every one finished\n", s->name,
           (unsigned long long)cuts);
    assert_true(cuts > 40);
}

/* Row 21 of doc/SECURITY.md; the sweeps below it are the same in other worlds. */
static void threat_21_power_cut_anywhere(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "small",
                             .image = &image,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
}

static void test_cut_at_every_operation_of_larger_units(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "two blocks a unit",
                             .image = &image,
                             .erase_size = 8192,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
}

static void test_cut_with_several_segments(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "several segments",
                             .image = &large,
                             .erase_size = 4096,
                             .batch = 3,
                             .donors = 1,
                             .stride = 5});
}

static void test_cut_with_a_batch_for_all_and_two_donors(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "one batch, two donors",
                             .image = &image,
                             .erase_size = 4096,
                             .batch = 64,
                             .donors = 2,
                             .stride = 1});
}

static void test_cut_with_a_boot_proof(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "boot proof",
                             .image = &image,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .boot_proof_ms = 60000,
                             .stride = 1});
}

static void test_cut_with_slow_devices(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "slow devices",
                             .image = &image,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .pending = 2,
                             .stride = 2});
}

static void test_cut_behind_a_write_cache(void **state)
{
    (void)state;
    for (uint8_t batch = 1; batch <= 16; batch = (uint8_t)(batch * 4))
        sweep(&(struct scenario){.name = "write cache",
                                 .image = &image,
                                 .erase_size = 4096,
                                 .batch = batch,
                                 .donors = 1,
                                 .cached = true,
                                 .stride = 1});
    sweep(&(struct scenario){.name = "write cache, another image",
                             .image = &image,
                             .other = &moved,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .cached = true,
                             .stride = 1});
}

static void test_cut_and_another_image_on_resume(void **state)
{
    (void)state;
    sweep(&(struct scenario){.name = "newer image",
                             .image = &image,
                             .other = &newer,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
    sweep(&(struct scenario){.name = "image of another map",
                             .image = &image,
                             .other = &moved,
                             .erase_size = 4096,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
    sweep(&(struct scenario){.name = "image of larger blocks",
                             .image = &fine,
                             .other = &coarse,
                             .erase_size = 4096,
                             .block_size = 8192,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
    sweep(&(struct scenario){.name = "image of smaller blocks",
                             .image = &coarse,
                             .other = &fine,
                             .erase_size = 4096,
                             .block_size = 8192,
                             .batch = 4,
                             .donors = 1,
                             .stride = 1});
}

static void test_two_cuts(void **state)
{
    const struct scenario s = {.name = "two cuts",
                               .image = &image,
                               .erase_size = 4096,
                               .batch = 4,
                               .donors = 1,
                               .boot_proof_ms = 1000,
                               .stride = 1};
    uint64_t random = 2026;

    (void)state;
    for (int i = 0; i < 400; i++) {
        memset(&cut, 0, sizeof(cut));
        cut.at = seeded_below(&random, 80);
        cut.second = cut.at + 1 + seeded_below(&random, 80);
        cut.how = ways[seeded_below(&random, 4)];
        play(&s);
    }
}

/* ---- what the store may have become ---- */

static const struct scenario plain = {.name = "damaged records",
                                      .image = &image,
                                      .erase_size = 4096,
                                      .batch = 4,
                                      .donors = 1,
                                      .stride = 1};

/* Cuts at each operation; then damages one record, or makes it unreadable. */
static void sweep_with_damaged(enum fwr_store_kind kind, int read_error)
{
    uint32_t met = 0;

    for (uint64_t at = 1;; at++) {
        memset(&cut, 0, sizeof(cut));
        cut.at = at;
        cut.how = FWR_FAULT_TORN;
        begin(&plain);
        run_through_the_cut();
        bool happened = cut.happened;
        struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, kind, 0);
        if (happened && record) {
            met++;
            if (read_error)
                record->read_error = read_error;
            else
                record->data[record->length / 2] ^= 4;
            finish();
            assert_all_is_well();
        }
        world_free(&w);
        if (!happened)
            break;
    }
    printf("# record %d: damaged after %u cuts\n", kind, met);
    assert_true(met > 10);
}

static void test_damaged_journal(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_JOURNAL, 0);
    sweep_with_damaged(FWR_STORE_JOURNAL, FWR_E_STORE_CORRUPT);
}

/* Cut in the middle of writing. */
static void cut_in_the_middle(void)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = 40;
    cut.how = FWR_FAULT_TORN;
    begin(&plain);
    run_through_the_cut();
    assert_true(cut.happened && seen.erases > 0);
    assert_false(world_is_right(&w, &image));
    world_cut(&w);
    cut.happened = false;
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
}

static unsigned damage_noticed;

static void listen(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx, (void)level;
    damage_noticed += strstr(text, "journal is damaged") != NULL;
}

/* Nothing but the CRC notices some of them: a unit's address, COMMIT for INTENT. */
static void test_any_bit_of_the_journal(void **state)
{
    (void)state;
    cut_in_the_middle();
    w.platform.log = listen;
    struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
    assert_non_null(record);
    damage_noticed = 0;
    for (size_t bit = 0; bit < record->length * 8; bit++) {
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(world_boot(&w), FWR_OK);
        world_cut(&w);
        assert_int_equal(damage_noticed, bit + 1);
        record->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    printf("# a journal of %zu bytes, every bit of it wrong in turn\n", record->length);
    world_free(&w);
}

static void test_damaged_guard(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_GUARD, 0);
    sweep_with_damaged(FWR_STORE_GUARD, FWR_E_STORE_CORRUPT);
}

static void test_damaged_candidate(void **state)
{
    (void)state;
    sweep_with_damaged(FWR_STORE_CANDIDATE, 0);
    sweep_with_damaged(FWR_STORE_CANDIDATE, FWR_E_STORE_CORRUPT);
}

static void test_journal_of_a_newer_version_is_not_touched(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        uint8_t before[1024];
        cut_in_the_middle();
        struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
        assert_non_null(r);
        if (way == 0) {
            r->read_error = FWR_E_STORE_VERSION;
        } else if (way == 1) { /* longer than any of ours */
            memset(r->data + r->length, 0, 4096);
            r->length += 4096;
        } else {
            r->data[0]++;
            uint32_t crc = fwr_crc32(0, r->data, r->length - 4);
            for (int i = 0; i < 4; i++)
                r->data[r->length - 4 + (size_t)i] = (uint8_t)(crc >> 8 * i);
        }
        memcpy(before, r->data, 640);
        assert_int_equal(world_boot(&w), FWR_E_STORE_VERSION);
        assert_memory_equal(before, r->data, 640);
        assert_int_equal(w.nor.counts.operations, 0);
        assert_true(w.host.held);
        world_free(&w);
    }
}

/* The journal says COMMIT, of an earlier run; the flash is not right. */
static void test_old_commit_is_not_trusted(void **state)
{
    uint8_t old[1024];
    size_t length = 0;

    (void)state;
    for (cut.at = 20;; cut.at++) { /* find the COMMIT record of a whole run */
        uint64_t at = cut.at;
        memset(&cut, 0, sizeof(cut));
        cut.at = at;
        cut.how = FWR_FAULT_AFTER;
        begin(&plain);
        run_through_the_cut();
        assert_true(cut.happened);
        struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
        bool commit = r && r->data[1] == 3;
        if (commit)
            memcpy(old, r->data, length = r->length);
        world_free(&w);
        if (commit)
            break;
    }
    cut_in_the_middle();
    struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
    memcpy(r->data, old, length);
    r->length = length;
    seen.erases = 0; /* that half was lost on purpose */
    finish();
    assert_true(world_is_right(&w, &image));
    assert_int_equal(seen.released_early + seen.floors_early, 0);
    world_free(&w);
}

static int make(struct given_image *g, uint32_t blocks, uint32_t block_size, uint32_t sequence)
{
    g->blocks = blocks;
    g->block_size = block_size;
    g->sequence = sequence;
    g->seed = sequence;
    return given_image_make(g);
}

static int set_up(void **state)
{
    static const struct fwr_region elsewhere[] = {
        {0, 3 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {3 * 4096, 9 * 4096, FWR_REGION_FILL, 0, 0x77},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    static const struct fwr_region halves[] = {
        {0, 12 * 4096, FWR_REGION_WRITE, 0, 0},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };

    static const struct fwr_region few[] = {
        {0, 4 * 4096, FWR_REGION_WRITE, 0, 0},
        {4 * 4096, 8 * 4096, FWR_REGION_FILL, 0, 0x77},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    static const struct fwr_region small[] = {
        {0, 128 * 512, FWR_REGION_WRITE, 0, 0},
        {128 * 512, 8 * 512, FWR_REGION_FILL, 0, 0xa5},
        {136 * 512, 8 * 512, FWR_REGION_PRESERVE, 0, 0},
        {144 * 512, 112 * 512, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };

    (void)state;
    large.manifest.map.count = 4;
    memcpy(large.manifest.map.regions, small, sizeof(small));
    fine.manifest.map.count = 4;
    memcpy(fine.manifest.map.regions, few, sizeof(few));
    moved.manifest.map.count = 4;
    memcpy(moved.manifest.map.regions, elsewhere, sizeof(elsewhere));
    coarse.manifest.map.count = 3;
    memcpy(coarse.manifest.map.regions, halves, sizeof(halves));
    return make(&image, 24, 4096, 7) || make(&large, 256, 512, 7) || make(&newer, 24, 4096, 8) ||
           make(&moved, 24, 4096, 9) || make(&fine, 24, 4096, 9) || make(&coarse, 12, 8192, 10);
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&large);
    given_image_free(&newer);
    given_image_free(&moved);
    given_image_free(&fine);
    given_image_free(&coarse);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threat_21_power_cut_anywhere),
        cmocka_unit_test(test_cut_at_every_operation_of_larger_units),
        cmocka_unit_test(test_cut_with_several_segments),
        cmocka_unit_test(test_cut_with_a_batch_for_all_and_two_donors),
        cmocka_unit_test(test_cut_with_a_boot_proof),
        cmocka_unit_test(test_cut_with_slow_devices),
        cmocka_unit_test(test_cut_behind_a_write_cache),
        cmocka_unit_test(test_cut_and_another_image_on_resume),
        cmocka_unit_test(test_two_cuts),
        cmocka_unit_test(test_damaged_journal),
        cmocka_unit_test(test_any_bit_of_the_journal),
        cmocka_unit_test(test_damaged_guard),
        cmocka_unit_test(test_damaged_candidate),
        cmocka_unit_test(test_journal_of_a_newer_version_is_not_touched),
        cmocka_unit_test(test_old_commit_is_not_trusted),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
