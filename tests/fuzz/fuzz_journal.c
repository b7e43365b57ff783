/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC that starts with any bytes in its store: a recovery is cut somewhere, its records are
 * changed, swapped, cut, made up (their CRC set right or not) and removed, and the power comes
 * back. Whatever is found, the start either is refused with a store's error and touches nothing,
 * or goes on; nothing is programmed that was not signed or there before, nothing inside
 * `preserve`, no floor falls; and with honest donors the flash ends right unless floors or policy
 * in the store forbid these images.
 */
#include <fwrecover/error.h>

#include "lib/wire/crc32.h"
#include "tests/fuzz/small_world.h"

enum { DONORS = 2, EDITS_MAX = 40, RUNS_MAX = 4, BYTES_MAX = 64 };

/* Records as they were earlier, to be put back. */
static struct {
    bool used;
    size_t length;
    uint8_t data[4096];
} earlier[FWR_STORE_WAIVED + 2];

static bool cut;
static uint64_t cut_at;
static uint32_t cut_seed;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    if (cut_at == 0 || --cut_at > 0)
        return FWR_FAULT_NONE;
    event->seed = cut_seed;
    cut = true;
    return cut_seed & 1 ? FWR_FAULT_TORN : FWR_FAULT_AFTER;
}

static void prove_boot(void)
{
    if (world_status(&w).state == FWR_STATE_TRIAL)
        fwr_recipient_boot_proven(w.recipient, w.now);
}

static void turn(void)
{
    world_turn(&w);
}

static void begin(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), damage = fwr_reader_u8(input);

    world_init(&w, 1, &image, choice & 1 ? BLOCK : 2 * BLOCK);
    w.verbose = getenv("FUZZ_VERBOSE") != NULL; /* for a look at one input */
    w.expected[1] = &newer;
    w.config.rounds = 2;
    w.config.boot_proof_ms = choice & 2 ? 60000 : 0;
    w.config.guard = choice & 4 ? FWR_GUARD_UPDATE : FWR_GUARD_ALWAYS;
    w.config.batch = choice & 8 ? 1 : 0;
    world_add_donor(&w, &image);
    world_add_donor(&w, choice & 16 ? &newer : &image);
    for (int i = 0; i < 8; i++)
        if (damage >> i & 1)
            world_damage(&w, (uint32_t)(i < 4 ? i : 8 + i) * BLOCK, BLOCK / 2);
    w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
    cut = false;
    cut_at = 0;
    memset(earlier, 0, sizeof(earlier));
    require(world_boot(&w) == FWR_OK);
}

static void remember(void)
{
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        const struct fwr_store_ram_record *record = &w.records[i];

        if (!record->used || record->kind > FWR_STORE_WAIVED ||
            record->length > sizeof(earlier[0].data))
            continue;
        earlier[record->kind].used = true;
        earlier[record->kind].length = record->length;
        memcpy(earlier[record->kind].data, record->data, record->length);
    }
}

/* A recovery up to an operation of flash, store or host, where the power fails. */
static void live(struct fwr_reader *input)
{
    uint32_t middle = fwr_reader_u8(input);

    cut_at = 1 + fwr_reader_u16(input) % 700;
    cut_seed = fwr_reader_u8(input);
    require(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0) == FWR_OK);
    for (uint32_t turns = 0; turns < TURNS_MAX && !cut; turns++) {
        if (turns == middle)
            remember();
        if (cut_seed & 2)
            prove_boot();
        world_turn(&w);
        if (world_status(&w).state == FWR_STATE_DONE || world_status(&w).state == FWR_STATE_FAILED)
            break;
    }
    cut_at = 0;
    world_cut(&w);
}

static struct fwr_store_ram_record *record_of(uint8_t choice)
{
    enum fwr_store_kind kind = (enum fwr_store_kind)(FWR_STORE_JOURNAL + choice % FWR_STORE_WAIVED);
    struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, kind, w.config.slot);

    if (record != NULL)
        return record;
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        if (w.records[i].used)
            continue;
        w.records[i].used = true;
        w.records[i].kind = kind;
        w.records[i].slot = w.config.slot;
        w.records[i].length = 0;
        w.records[i].read_error = 0;
        return &w.records[i];
    }
    return NULL;
}

/* The CRC-32 that most records end with. */
static void seal(struct fwr_store_ram_record *record)
{
    struct fwr_writer writer;

    if (record->length < 4)
        return;
    fwr_writer_init(&writer, record->data + record->length - 4, 4);
    fwr_writer_u32(&writer, fwr_crc32(0, record->data, record->length - 4));
}

static void edit(struct fwr_reader *input)
{
    uint8_t what = fwr_reader_u8(input), bytes[BYTES_MAX];
    struct fwr_store_ram_record *record = record_of(fwr_reader_u8(input));
    uint16_t at = fwr_reader_u8(input);
    size_t length;

    if (record == NULL)
        return;
    switch (what % 8) {
    case 0:
        if (record->length > 0)
            record->data[at % record->length] ^= fwr_reader_u8(input);
        break;
    case 1: /* some bytes of it */
        length = fuzz_bytes(input, bytes, sizeof(bytes));
        if (at + length <= record->length)
            memcpy(record->data + at, bytes, length);
        break;
    case 2:
        record->length = at % (record->length + 1);
        break;
    case 3: /* all of it, and a CRC */
        record->length = fuzz_bytes(input, record->data, BYTES_MAX) + 4;
        break;
    case 4: /* longer */
        length = fuzz_bytes(input, bytes, sizeof(bytes));
        memcpy(record->data + record->length, bytes, length);
        record->length += length;
        break;
    case 5: /* as it was earlier */
        if (earlier[record->kind].used) {
            record->length = earlier[record->kind].length;
            memcpy(record->data, earlier[record->kind].data, record->length);
        } else {
            record->used = false;
        }
        break;
    case 6:
        if (at & 1)
            record->used = false;
        else
            record->read_error = at & 2 ? FWR_E_STORE_VERSION : FWR_E_STORE_CORRUPT;
        break;
    default: /* what another record says */
        if (earlier[at % (FWR_STORE_WAIVED + 1)].used) {
            record->length = earlier[at % (FWR_STORE_WAIVED + 1)].length;
            memcpy(record->data, earlier[at % (FWR_STORE_WAIVED + 1)].data, record->length);
        }
    }
    if (what & 128)
        seal(record);
}

/* The floors as an intact record says them; zeros otherwise. */
static void read_floors(uint32_t *security_version, uint32_t *sequence)
{
    const struct fwr_store_ram_record *record =
        fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, w.config.slot);
    uint8_t component[FWR_UUID_SIZE];
    struct fwr_reader reader;

    *security_version = *sequence = 0;
    if (record == NULL || record->read_error != 0 || record->length < 4)
        return;
    fwr_reader_init(&reader, record->data + record->length - 4, 4);
    if (fwr_reader_u32(&reader) != fwr_crc32(0, record->data, record->length - 4))
        return;
    fwr_reader_init(&reader, record->data, record->length - 4);
    if (fwr_reader_u8(&reader) != 1)
        return;
    fwr_reader_copy(&reader, component, sizeof(component));
    uint32_t values[2] = {fwr_reader_u32(&reader), fwr_reader_u32(&reader)};
    if (!fwr_reader_complete(&reader) ||
        memcmp(component, w.board.component, sizeof(component)) != 0)
        return;
    *security_version = values[0];
    *sequence = values[1];
}

/* Until the start is not refused: then somebody removes the record that is to blame. */
static void boot(void)
{
    uint64_t writes = w.nor.counts.erases + w.nor.counts.programs;
    size_t holds = w.host.count;
    int error;

    while ((error = world_boot(&w)) != FWR_OK) {
        size_t i = 0;

        require(error == FWR_E_STORE_CORRUPT || error == FWR_E_STORE_VERSION ||
                error == FWR_E_STORE_IO);
        require(w.nor.counts.erases + w.nor.counts.programs == writes);
        require(w.host.count == holds);
        while (i < WORLD_RECORDS && !w.records[i].used)
            i++;
        require(i < WORLD_RECORDS); /* an empty store is never refused */
        w.records[i].used = false;
        w.records[i].read_error = 0;
    }
}

static bool ended_right(void)
{
    struct fwr_status_page status = world_status(&w);

    return status.state == FWR_STATE_DONE && status.reason == 0 && !w.host.held &&
           (all_right(&image) || all_right(&newer));
}

static bool repair(void)
{
    for (int i = 0; i < RUNS_MAX; i++) {
        require(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0) == FWR_OK);
        run_to_rest(turn, prove_boot);
        if (ended_right())
            return true;
    }
    return false;
}

/* A record that is not ours to read, or whose loss is not ours to judge, ends a run by name. */
static bool store_is_to_blame(void)
{
    uint8_t reason = world_status(&w).reason;

    return reason == (uint8_t)-FWR_E_STORE_VERSION || reason == (uint8_t)-FWR_E_STORE_CORRUPT;
}

/* What somebody then does who cannot wait; the floors stay. */
static void remove_all(void)
{
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        if (w.records[i].kind == FWR_STORE_FLOORS && w.records[i].read_error == 0)
            continue;
        w.records[i].used = false;
        w.records[i].read_error = 0;
    }
}

static void finish(void)
{
    uint32_t floors[2], after[2];
    bool right = false;

    boot();
    read_floors(&floors[0], &floors[1]);
    run_to_rest(turn, prove_boot);
    right = repair();
    if (!right && store_is_to_blame()) {
        world_cut(&w);
        remove_all();
        boot();
        run_to_rest(turn, prove_boot);
        right = repair();
    }
    read_floors(&after[0], &after[1]);
    require(after[0] >= floors[0]);
    require(w.strangers == 0);
    require(w.nor.counts.trespass == 0);
    require(w.nor.counts.refused == 0);
    require(w.nor.counts.deserted == 0);
    require(w.host.violations == 0);
    require(memcmp(w.cells + 8 * BLOCK, w.before + 8 * BLOCK, 4 * BLOCK) == 0);
    require(right || policy_forbids() || floors[0] > image.security_version ||
            floors[1] > image.sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fwr_reader input;

    if (image.bytes == NULL)
        make_images();
    fwr_reader_init(&input, data, size);
    begin(&input);
    live(&input);
    for (int i = 0; i < EDITS_MAX && fwr_reader_left(&input) > 0; i++)
        edit(&input);
    finish();
    world_free(&w);
    return 0;
}
