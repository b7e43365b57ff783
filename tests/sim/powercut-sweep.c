/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep of power cuts: see powercut.h. The oracles look at the flash before every operation;
 * so that a 16 MiB chip can be looked at thousands of times, they keep for each erase unit
 * whether it is right, and compare again only what an operation touched.
 */
#include "tests/sim/powercut.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tests/sim/disk.h"
#include "tests/sim/icmb-world.h"

#define LIVES_MAX   5
#define TURNS_MAX   2000000u
#define CUTS_MAX    2
#define BODY_BYTE   1 /* block that rots: in the body, not damaged before */
#define JOURNAL_MAX 1024

/* Of a journal's record: the byte behind the version, and where the number of units stands. */
enum { COMMIT = 3, UNITS_AT = 112 };

struct world w;
bool powercut_progress;

static const struct powercut_scenario *now;
static struct fwr_store_dir directory;
static uint8_t *durable;
static struct icmb_world bus;

static struct {
    uint64_t operations;
    struct powercut_cut made[CUTS_MAX];
    unsigned count;
    bool happened; /* in this life */
    bool on_flash, on_store;
    struct powercut_cut planned[CUTS_MAX];
    unsigned planned_count;
    bool branching; /* fork at every operation */
    bool child;
} cut;

static struct {
    uint64_t erases;
    uint64_t bootable_halves;
    uint64_t floors_early;
    uint64_t released_early;
    bool proven; /* the host's boot */
    bool unsaid;
    uint64_t turns;
    uint64_t programs; /* of units */
    uint64_t again;    /* of them, units that had been programmed already */
    uint8_t *programmed;
    uint64_t again_allowed;
} seen;

static struct {
    struct powercut_tally *tally; /* shared with the children */
    unsigned jobs, running;
    time_t said;
    uint64_t total;
} sweep;

static const enum fwr_fault_verdict verdicts[POWERCUT_WAYS] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN,
                                                               FWR_FAULT_AFTER, FWR_FAULT_MARGINAL};

const char *powercut_way_name(unsigned way)
{
    static const char *const names[POWERCUT_WAYS] = {"not done", "torn", "done",
                                                     "done but marginal"};
    return names[way];
}

const char *powercut_violation_name(enum powercut_violation violation)
{
    static const char *const names[POWERCUT_VIOLATIONS] = {
        [POWERCUT_WRONG_BYTES] = "wrong bytes",
        [POWERCUT_TRESPASS] = "operation inside preserve",
        [POWERCUT_FOREIGN_BLOCK] = "foreign block",
        [POWERCUT_BOOTABLE_HALF] = "bootable half",
        [POWERCUT_FLOOR_EARLY] = "floor early",
        [POWERCUT_FLOOR_LOST] = "floor lost",
        [POWERCUT_RELEASED_EARLY] = "released early",
        [POWERCUT_DONE_AGAIN] = "done again",
        [POWERCUT_UNFINISHED] = "not finished",
        [POWERCUT_UNSAID] = "reason unsaid",
        [POWERCUT_MISUSE] = "misuse",
        [POWERCUT_CRASHED] = "crashed",
    };
    return names[violation];
}

/* ---- whether the flash is right, unit by unit ---- */

static struct view {
    const struct given_image *of; /* NULL: not in use */
    uint8_t *wrong;               /* by unit: bit 0 body, bit 1 fill */
    uint32_t body, fill;          /* units with that bit */
} views[2];

static struct {
    uint32_t offset, length; /* what the operation before this one touched */
    uint64_t decayed;
} touched;

static uint8_t unit_state(const struct given_image *of, uint32_t first, uint32_t end)
{
    const struct fwr_region_map *map = &of->manifest.map;
    uint8_t state = 0;

    for (uint16_t i = 0; i < map->count; i++) {
        const struct fwr_region *r = &map->regions[i];
        uint32_t from = r->offset > first ? r->offset : first;
        uint32_t to = r->offset + r->length < end ? r->offset + r->length : end;
        if (from >= to)
            continue;
        if (r->kind == FWR_REGION_WRITE && memcmp(w.cells + from, of->bytes + from, to - from) != 0)
            state |= 1;
        if (r->kind == FWR_REGION_FILL &&
            (w.cells[from] != r->fill || memcmp(w.cells + from, w.cells + from + 1, to - from - 1)))
            state |= 2;
    }
    return state;
}

static void look_at(uint32_t offset, uint32_t length)
{
    uint32_t size = w.nor.flash.geometry.erase_size;

    for (struct view *v = views; v < views + 2 && v->of; v++) {
        for (uint32_t unit = offset / size; unit * size < offset + length; unit++) {
            uint8_t state = unit_state(v->of, unit * size, (unit + 1) * size);
            v->body += (uint32_t)(state & 1) - (v->wrong[unit] & 1u);
            v->fill += (uint32_t)(state >> 1) - (uint32_t)(v->wrong[unit] >> 1);
            v->wrong[unit] = state;
        }
    }
}

static void look_at_all(void)
{
    look_at(0, w.nor.flash.geometry.size);
    touched.length = 0;
}

static void views_make(const struct given_image *a, const struct given_image *b)
{
    uint32_t units = w.nor.flash.geometry.size / w.nor.flash.geometry.erase_size;

    views[0] = (struct view){.of = a, .wrong = calloc(units, 1)};
    views[1] = (struct view){.of = b, .wrong = b ? calloc(units, 1) : NULL};
    look_at_all();
}

static bool right(const struct view *v)
{
    return v->of && v->body == 0 && v->fill == 0;
}

/* A body that is half written must not be bootable: as long as any of it is wrong, so is the
 * guard block. */
static bool half_bootable(const struct view *v)
{
    uint32_t guard;

    if (!v->of || v->body == 0)
        return false;
    guard = v->of->manifest.guard;
    return memcmp(w.cells + guard, v->of->bytes + guard, v->of->block_size) == 0;
}

/* ---- the records, as they lie in the store ---- */

static long record(enum fwr_store_kind kind, uint8_t *buffer, size_t capacity)
{
    if (now->disk)
        return disk_record(kind, 0, false, buffer, capacity);
    const struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, kind, 0);
    if (!r || r->length > capacity)
        return -1;
    memcpy(buffer, r->data, r->length);
    return (long)r->length;
}

static uint8_t journal_type(void)
{
    uint8_t bytes[JOURNAL_MAX];

    return record(FWR_STORE_JOURNAL, bytes, sizeof(bytes)) > 2 ? bytes[1] : 0;
}

/* How many units the journal says are in flight; its other slot may come back when this one
 * decays. */
static uint32_t units_in_flight(void)
{
    uint8_t bytes[JOURNAL_MAX];
    uint32_t most = 0;

    for (int older = 0; older <= (now->disk ? 1 : 0); older++) {
        long length = older ? disk_record(FWR_STORE_JOURNAL, 0, true, bytes, sizeof(bytes))
                            : record(FWR_STORE_JOURNAL, bytes, sizeof(bytes));
        uint32_t count = bytes[UNITS_AT] | (uint32_t)bytes[UNITS_AT + 1] << 8;
        if (length >= UNITS_AT + 2 && count > most)
            most = count;
    }
    return most;
}

/* The sequence that was last confirmed; 0: no whole record. */
static uint32_t floor_sequence(void)
{
    uint8_t bytes[64];
    const uint8_t *at = bytes + 1 + FWR_UUID_SIZE + 4;

    if (record(FWR_STORE_FLOORS, bytes, sizeof(bytes)) < 1 + FWR_UUID_SIZE + 8)
        return 0;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- before each operation ---- */

static void count_programs(const struct fwr_fault_event *event)
{
    uint32_t size = w.nor.flash.geometry.erase_size;

    for (uint32_t unit = event->offset / size; unit * size < event->offset + event->length;
         unit++) {
        seen.programs++;
        seen.again += seen.programmed[unit];
        seen.programmed[unit] = 1;
    }
}

static void look(const struct fwr_fault_event *event)
{
    if (touched.length > 0)
        look_at(touched.offset, touched.length);
    else if (w.nor.counts.decayed != touched.decayed)
        look_at_all();
    touched.length = 0;
    touched.decayed = w.nor.counts.decayed;
    bool any = right(&views[0]) || right(&views[1]);

    if (seen.erases > 0 && (half_bootable(&views[0]) || half_bootable(&views[1])))
        seen.bootable_halves++;
    switch (event->operation) {
    case FWR_FAULT_HOST_RELEASE:
        seen.released_early += seen.erases > 0 && (!any || journal_type() < COMMIT);
        break;
    case FWR_FAULT_STORE_WRITE:
        seen.floors_early +=
            event->offset == FWR_STORE_FLOORS && !(any && (seen.proven || !now->boot_proof_ms));
        break;
    case FWR_FAULT_FLASH_PROGRAM:
        count_programs(event);
        /* fallthrough */
    case FWR_FAULT_FLASH_ERASE:
        seen.erases += event->operation == FWR_FAULT_FLASH_ERASE;
        touched.offset = event->offset;
        touched.length = event->length;
        break;
    default:
        break;
    }
}

/* ---- cutting ---- */

static void add(uint64_t *counter, uint64_t value)
{
    __atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static void reap(void)
{
    int status = 0;

    if (wait(&status) < 0)
        abort();
    sweep.running--;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    add(&sweep.tally->violations[POWERCUT_CRASHED], 1);
    add(&sweep.tally->all_violations, 1);
}

/* True in the child. Its own children follow one another. */
static bool branch(void)
{
    while (sweep.running >= (cut.child ? 1 : sweep.jobs))
        reap();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid > 0) {
        sweep.running++;
        return false;
    }
    sweep.running = 0;
    cut.child = true;
    return true;
}

static bool due(uint64_t at, unsigned way, unsigned variant)
{
    uint64_t key = at + way + variant;

    if (cut.count == 0)
        return now->stride < 2 || key % now->stride == 0;
    key += (cut.made[0].at * POWERCUT_WAYS + cut.made[0].way) * 31 + at * 3;
    return now->pair_stride < 2 || key % now->pair_stride == 0;
}

static enum fwr_fault_verdict make_cut(struct fwr_fault_event *event, struct powercut_cut c)
{
    uint64_t seed =
        c.at * POWERCUT_WAYS + c.way + ((uint64_t)c.variant << 32) + ((uint64_t)cut.count << 48);

    cut.made[cut.count++] = c;
    if (event->operation == FWR_FAULT_FLASH_ERASE && verdicts[c.way] == FWR_FAULT_BEFORE)
        seen.erases--; /* counted by look() */
    cut.happened = true;
    cut.on_flash = event->operation <= FWR_FAULT_FLASH_SYNC;
    cut.on_store = !cut.on_flash && event->operation <= FWR_FAULT_FLOOR_RAISE;
    event->seed = seed;
    event->decay_reads = 1 + (uint32_t)((c.at + c.variant) % 4);
    return verdicts[c.way];
}

static void say_progress(void)
{
    time_t second = time(NULL);

    if (!powercut_progress || cut.child || second - sweep.said < 10)
        return;
    sweep.said = second;
    fprintf(stderr, "%s: operation %llu of %llu, %llu cuts, %llu pairs, %llu violations\n",
            now->name, (unsigned long long)cut.operations, (unsigned long long)sweep.total,
            (unsigned long long)sweep.tally->cuts, (unsigned long long)sweep.tally->pairs,
            (unsigned long long)sweep.tally->all_violations);
}

static void say_operation(uint64_t at, const struct fwr_fault_event *event)
{
    static const char *const names[] = {
        [FWR_FAULT_FLASH_READ] = "read",           [FWR_FAULT_FLASH_ERASE] = "erase",
        [FWR_FAULT_FLASH_PROGRAM] = "program",     [FWR_FAULT_FLASH_SYNC] = "sync",
        [FWR_FAULT_STORE_READ] = "store read",     [FWR_FAULT_STORE_WRITE] = "store write",
        [FWR_FAULT_STORE_REMOVE] = "store remove", [FWR_FAULT_FLOOR_READ] = "floor read",
        [FWR_FAULT_FLOOR_RAISE] = "floor raise",   [FWR_FAULT_HOST_HOLD] = "hold",
        [FWR_FAULT_HOST_TAKE_BUS] = "take bus",    [FWR_FAULT_HOST_GIVE_BUS] = "give bus",
        [FWR_FAULT_HOST_RELEASE] = "release",
    };

    printf("# %8llu %s %#x, %u bytes\n", (unsigned long long)at, names[event->operation],
           event->offset, event->length);
}

static bool may_fail(const struct fwr_fault_event *event)
{
    return event->operation == FWR_FAULT_STORE_WRITE || event->operation == FWR_FAULT_STORE_REMOVE;
}

static enum fwr_fault_verdict fail_store(struct powercut_cut c)
{
    cut.made[cut.count++] = c;
    cut.on_store = true;
    w.store.write_error = now->store_fails;
    w.store.fail_writes = c.way == 0 ? 1 : UINT32_MAX;
    return FWR_FAULT_NONE;
}

/* The power is cut, or the store fails. */
static enum fwr_fault_verdict strike(struct fwr_fault_event *event, struct powercut_cut c)
{
    return now->store_fails && cut.count == 0 ? fail_store(c) : make_cut(event, c);
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    bool failing = now->store_fails && cut.count == 0;
    unsigned ways = failing ? 2 : POWERCUT_WAYS;
    unsigned variants = now->variants ? now->variants : 1;

    (void)ctx;
    look(event);
    uint64_t at = cut.operations++;

    if (w.verbose)
        say_operation(at, event);
    if (cut.happened)
        return FWR_FAULT_NONE;
    say_progress();
    if (cut.count < cut.planned_count && cut.planned[cut.count].at == at)
        return strike(event, cut.planned[cut.count]);
    if (!cut.branching || cut.count >= now->cuts || (failing && !may_fail(event)))
        return FWR_FAULT_NONE;
    for (unsigned i = 0; i < ways * variants; i++) {
        struct powercut_cut c = {
            .at = at, .way = (uint8_t)(i % ways), .variant = (uint8_t)(i / ways)};
        if (due(at, c.way, c.variant) && branch())
            return strike(event, c);
    }
    return FWR_FAULT_NONE;
}

/* ---- one recovery ---- */

static void damage(const struct given_image *of, uint32_t first, uint32_t count)
{
    world_damage(&w, first * of->block_size, count * of->block_size);
}

static void damage_groups(const struct powercut_scenario *s)
{
    uint32_t blocks = s->image->blocks;

    damage(s->image, 2, 3);
    damage(s->image, blocks / 2 - 3, 1);
    if (!s->cached) /* whose repair would sync what was written before it */
        damage(s->image, blocks / 2 + 5, 1);              /* in the fill region */
    damage(s->image, blocks - 2, s->sound_guard ? 1 : 2); /* the last is the guard block */
    if (blocks > 24)
        damage(s->image, blocks / 4, blocks / 8);
}

/* In the `write` regions only, the guard block among them; half of it side by side, so that a
 * batch is full. */
static void damage_scattered(const struct powercut_scenario *s)
{
    const struct fwr_manifest *m = &s->image->manifest;
    uint32_t leaves = fwr_manifest_leaf_count(m);

    for (uint32_t i = 0; i < s->scatter; i++) {
        uint32_t leaf = i < s->scatter / 2
                            ? leaves / 3 + i
                            : (uint32_t)((uint64_t)(i + 1) * leaves / s->scatter) - 1;
        world_damage(&w, fwr_manifest_leaf_address(m, leaf), s->image->block_size);
    }
}

static void attach_store(const struct powercut_scenario *s)
{
    struct fwr_fault_hook hook = {.decide = decide};

    w.nor.hook = w.store.hook = w.host.hook = hook;
    if (!s->disk)
        return;
    if (!disk_open(&directory, hook))
        abort();
    w.config.store = &directory.store;
}

static void begin(const struct powercut_scenario *s)
{
    now = s;
    memset(&seen, 0, sizeof(seen));
    memset(&cut, 0, sizeof(cut));
    memset(&touched, 0, sizeof(touched));
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
    if (s->scatter)
        damage_scattered(s);
    else
        damage_groups(s);
    attach_store(s);
    if (s->cached) {
        durable = malloc(w.nor.flash.geometry.size);
        memcpy(durable, w.cells, w.nor.flash.geometry.size);
        w.nor.durable = durable;
    }
    if (s->icmb) {
        struct icmb_world_options options = {.seed = 77,
                                             .noise = {.single = 500, .spurious = 200},
                                             .cut_every_ms = 10000,
                                             .cut_ms = 2000};
        icmb_world_attach(&bus, &w, &options);
    }
    seen.programmed = calloc(w.nor.flash.geometry.size / w.nor.flash.geometry.erase_size, 1);
    views_make(s->image, s->other);
}

void powercut_end(void)
{
    if (now->icmb)
        icmb_world_detach(&bus);
    world_free(&w);
    free(durable);
    durable = NULL;
    free(seen.programmed);
    free(views[0].wrong);
    free(views[1].wrong);
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
    while (!cut.happened && seen.turns++ < TURNS_MAX) {
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

bool powercut_run(void)
{
    if (world_boot(&w) != FWR_OK)
        return cut.happened;
    if (fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0))
        abort();
    run_on();
    return cut.happened;
}

/* What else befalls the board while the power is off. */
static void befall(void)
{
    uint64_t random = cut.made[0].at * 64 + cut.made[0].way * 16u + cut.made[0].variant;
    uint8_t type = journal_type();

    if (now->after == POWERCUT_ROT && type <= COMMIT) {
        w.cells[BODY_BYTE * now->image->block_size + seeded_below(&random, 64)] ^= 0x20;
        powercut_forgive();
    }
    if (now->after != POWERCUT_JOURNAL_BIT && now->after != POWERCUT_JOURNAL_LOST)
        return;
    if (now->disk) {
        disk_spoil(FWR_STORE_JOURNAL, 0);
        return;
    }
    struct fwr_store_ram_record *r = fwr_store_ram_find(&w.store, FWR_STORE_JOURNAL, 0);
    if (r && now->after == POWERCUT_JOURNAL_LOST)
        r->read_error = FWR_E_STORE_CORRUPT;
    else if (r)
        r->data[seeded_below(&random, (uint32_t)r->length)] ^=
            (uint8_t)(1u << seeded_below(&random, 8));
}

/* Whatever was left marginal decays now. */
static void age(void)
{
    static uint8_t block[65536];
    uint32_t size = w.nor.flash.geometry.erase_size;

    w.nor.hook.decide = NULL;
    w.nor.pending_calls = 0;
    for (int reads = 0; reads < 6; reads++)
        for (uint32_t unit = 0; unit < w.nor.flash.geometry.size / size; unit++)
            if (w.nor.units[unit].weak_length > 0)
                w.nor.flash.read(w.nor.flash.ctx, unit * size, block, size);
    if (now->disk)
        disk_age();
    look_at_all();
}

static bool finished(void)
{
    return world_status(&w).state == FWR_STATE_DONE && world_status(&w).reason == 0;
}

/* Somebody sees the failure, makes the store work again if it does not, and says Start. */
static void help(void)
{
    uint8_t reason = world_status(&w).reason;

    if (now->store_fails && reason != 0) {
        seen.unsaid |= reason != (uint8_t)-now->store_fails;
        seen.again_allowed += units_in_flight() + 1;
    }
    w.store.fail_writes = 0;
    fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0);
    run_on();
}

/* Starts again, as often as it was cut, and once more where nothing had been written down. */
void powercut_finish(void)
{
    for (int life = 0; life < LIVES_MAX; life++) {
        cut.happened = false;
        w.seed += cut.made[0].at * 8 + cut.made[0].way; /* so that each loses other units */
        world_cut(&w);
        if (now->disk)
            disk_power_on(&directory, w.seed);
        if (life == 0 && now->other)
            turn_to_the_other(now->other);
        seen.again_allowed += units_in_flight() + 1; /* the guard */
        if (life == 0)
            befall();
        look_at_all();
        if (world_boot(&w) == FWR_OK) {
            run_on();
            if (!cut.happened && !finished())
                help();
        }
        if (!cut.happened)
            break;
    }
    age();
}

/* Another image's map may preserve what the first one was right to write: only trespass counts. */
static bool preserved(const struct given_image *of)
{
    const struct fwr_region_map *map = &of->manifest.map;

    for (uint16_t i = 0; i < map->count; i++)
        if (map->regions[i].kind == FWR_REGION_PRESERVE &&
            memcmp(w.cells + map->regions[i].offset, w.before + map->regions[i].offset,
                   map->regions[i].length) != 0)
            return false;
    return true;
}

static bool too_often(void)
{
    if (now->other || now->after >= POWERCUT_JOURNAL_BIT)
        return false;
    return seen.again > seen.again_allowed + (now->after == POWERCUT_ROT ? 2 : 0);
}

uint32_t powercut_judge(void)
{
    const struct given_image *is = right(&views[0])   ? views[0].of
                                   : right(&views[1]) ? views[1].of
                                                      : NULL;
    const struct fwr_flash_ramnor_counts *counts = &w.nor.counts;
    bool done = w.recipient && world_status(&w).state == FWR_STATE_DONE &&
                world_status(&w).reason == 0 && !w.host.held;
    uint32_t found = 0;

    found |= (uint32_t)(!is || (is == now->image && !preserved(is))) << POWERCUT_WRONG_BYTES;
    found |= (uint32_t)(counts->trespass > 0) << POWERCUT_TRESPASS;
    found |= (uint32_t)(w.strangers > 0) << POWERCUT_FOREIGN_BLOCK;
    found |= (uint32_t)(seen.bootable_halves > 0) << POWERCUT_BOOTABLE_HALF;
    found |= (uint32_t)(seen.floors_early > 0) << POWERCUT_FLOOR_EARLY;
    found |= (uint32_t)(done && is && floor_sequence() < is->sequence) << POWERCUT_FLOOR_LOST;
    found |= (uint32_t)(seen.released_early > 0) << POWERCUT_RELEASED_EARLY;
    found |= (uint32_t)too_often() << POWERCUT_DONE_AGAIN;
    found |= (uint32_t)!done << POWERCUT_UNFINISHED;
    found |= (uint32_t)seen.unsaid << POWERCUT_UNSAID;
    found |= (uint32_t)(counts->refused + counts->deserted + w.host.violations > 0)
             << POWERCUT_MISUSE;
    return found;
}

/* ---- counting ---- */

static void describe(uint32_t found, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "%s:", now->name);

    for (unsigned i = 0; i < cut.count && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s cut at %llu (%s, variant %u)",
                               i ? "," : "", (unsigned long long)cut.made[i].at,
                               i == 0 && now->store_fails ? "store fails"
                                                          : powercut_way_name(cut.made[i].way),
                               cut.made[i].variant);
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS && at < room; i++)
        if (found >> i & 1)
            at += (size_t)snprintf(text + at, room - at, "; %s",
                                   powercut_violation_name((enum powercut_violation)i));
    if (at < room && w.recipient)
        snprintf(text + at, room - at, "; state %u, reason %u, done again %llu of %llu",
                 world_status(&w).state, world_status(&w).reason, (unsigned long long)seen.again,
                 (unsigned long long)seen.programs);
}

static void tell(struct powercut_tally *t, uint32_t found)
{
    if (cut.count > 0) {
        add(cut.count == 1 ? &t->cuts : &t->pairs, 1);
        if (cut.count > 1 || !now->store_fails)
            add(&t->ways[cut.made[cut.count - 1].way], 1);
        add(cut.on_flash ? &t->on_flash : cut.on_store ? &t->on_store : &t->on_host, 1);
    }
    uint64_t most = __atomic_load_n(&t->again, __ATOMIC_RELAXED);
    while (seen.again > most && !__atomic_compare_exchange_n(&t->again, &most, seen.again, false,
                                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (!found)
        return;
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        add(&t->violations[i], found >> i & 1);
    if (__atomic_fetch_add(&t->all_violations, 1, __ATOMIC_RELAXED) == 0)
        describe(found, t->first, sizeof(t->first));
}

/* Plays to the end of everything; ends the process where it is a child. */
static void play(struct powercut_tally *t)
{
    powercut_run();
    if (!cut.happened && cut.count > 0 && !finished())
        help(); /* it was not cut, but its store failed */
    bool was_cut = cut.count > 0;
    if (cut.happened)
        powercut_finish();
    else
        age();
    if (!cut.child)
        while (sweep.running > 0)
            reap();
    if (was_cut || !cut.branching)
        tell(t, powercut_judge());
    if (!cut.child)
        return;
    while (sweep.running > 0)
        reap();
    _exit(0);
}

static uint64_t play_uncut(const struct powercut_scenario *s, struct powercut_tally *t)
{
    begin(s);
    play(t);
    uint64_t again = seen.again;
    sweep.total = cut.operations;
    t->operations += cut.operations;
    powercut_end();
    return again;
}

static void merge(struct powercut_tally *into, const struct powercut_tally *t)
{
    into->operations += t->operations;
    into->cuts += t->cuts;
    into->pairs += t->pairs;
    for (unsigned i = 0; i < POWERCUT_WAYS; i++)
        into->ways[i] += t->ways[i];
    into->on_flash += t->on_flash;
    into->on_store += t->on_store;
    into->on_host += t->on_host;
    if (t->again > into->again)
        into->again = t->again;
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        into->violations[i] += t->violations[i];
    into->all_violations += t->all_violations;
    if (!into->first[0])
        memcpy(into->first, t->first, sizeof(into->first));
}

void powercut_sweep(const struct powercut_scenario *s, unsigned jobs, struct powercut_tally *tally)
{
    struct powercut_tally *t =
        mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (t == MAP_FAILED)
        abort();
    sweep.tally = t;
    sweep.jobs = jobs ? jobs : 1;
    sweep.running = 0;
    sweep.said = time(NULL);
    uint64_t again = play_uncut(s, t);
    begin(s);
    seen.again_allowed = again;
    cut.branching = true;
    play(t);
    powercut_end();
    merge(tally, t);
    munmap(t, sizeof(*t));
}

void powercut_replay(const struct powercut_scenario *s, const struct powercut_cut *cuts,
                     unsigned count, struct powercut_tally *tally)
{
    sweep.tally = tally;
    sweep.said = time(NULL);
    uint64_t again = play_uncut(s, tally);

    begin(s);
    seen.again_allowed = again;
    w.verbose = true;
    cut.planned_count = count < CUTS_MAX ? count : CUTS_MAX;
    memcpy(cut.planned, cuts, cut.planned_count * sizeof(cuts[0]));
    play(tally);
    printf("# %llu operations, %llu units programmed, %llu of them again\n",
           (unsigned long long)cut.operations, (unsigned long long)seen.programs,
           (unsigned long long)seen.again);
    powercut_end();
}

/* ---- for tests that meddle ---- */

void powercut_begin(const struct powercut_scenario *s, uint64_t at, unsigned way)
{
    begin(s);
    cut.planned[0] = (struct powercut_cut){.at = at, .way = (uint8_t)way};
    cut.planned_count = 1;
}

void powercut_forgive(void)
{
    seen.erases = 0;
}

bool powercut_has_erased(void)
{
    return seen.erases > 0;
}

void powercut_no_cut(void)
{
    cut.happened = false;
}
