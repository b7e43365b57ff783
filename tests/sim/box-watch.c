/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC's devices and the oracles that look at them, see box.h. The devices are the library's
 * own emulators; what they are asked to do is looked at on its way: every block that is to be
 * programmed, every record of the floors, every release of the host.
 */
#include "tests/sim/box.h"

/* Types of the journal's records, which stand in their second byte. */
#define COMMIT    3
#define TRIAL     4
#define CONFIRMED 5

/* ---- what is right ---- */

bool box_fits(const struct box_node *n, const struct box_image *image)
{
    const struct fwr_manifest *m = &image->given.manifest;
    uint16_t revision = n->bmc->board.hardware_revision;

    return image->good && m->hardware_min <= revision && m->hardware_max >= revision &&
           m->security_version >= n->bmc->floor;
}

static bool is_waived(const struct box_node *n, uint32_t address)
{
    const struct fwr_region *r =
        n->bmc->board.local ? fwr_region_map_find(n->bmc->board.local, address) : NULL;

    return r != NULL && r->kind == FWR_REGION_PRESERVE;
}

static bool block_is(const struct box_image *image, uint32_t address, const uint8_t *bytes,
                     uint32_t length)
{
    const struct fwr_region *r = fwr_region_map_find(&image->given.manifest.map, address);

    if (r->kind == FWR_REGION_WRITE)
        return memcmp(bytes, image->given.bytes + address, length) == 0;
    return r->kind == FWR_REGION_FILL && bytes[0] == r->fill &&
           memcmp(bytes, bytes + 1, length - 1) == 0;
}

#define NOWHERE UINT32_MAX

/* The first block that is not this image's, outside the erase unit `but`; or NOWHERE. */
static uint32_t first_wrong(const struct box_node *n, const struct box_image *image, uint32_t but)
{
    const struct fwr_region_map *map = &image->given.manifest.map;
    uint32_t block = n->box->block_size;

    for (uint16_t i = 0; i < map->count; i++) {
        const struct fwr_region *r = &map->regions[i];
        for (uint32_t at = r->offset; at < r->offset + r->length; at += block)
            if (r->kind != FWR_REGION_PRESERVE && at / n->box->erase_size != but &&
                !is_waived(n, at) && !block_is(image, at, n->bmc->cells + at, block))
                return at;
    }
    return NOWHERE;
}

bool box_holds(const struct box_node *n, const struct box_image *image)
{
    return first_wrong(n, image, NOWHERE) == NOWHERE;
}

const struct box_image *box_what_it_holds(const struct box_node *n)
{
    for (uint8_t i = 0; i < n->box->good_count; i++)
        if (box_holds(n, &n->box->images[i]))
            return &n->box->images[i];
    return NULL;
}

/* ---- at every operation ---- */

/* A body that is half written must not be bootable: where the guard block is that of an image,
 * the body of one of those images is there as a whole. (The rest of the guard's own unit is
 * programmed with it in one call.) */
static void check_guard(struct box_node *n)
{
    const struct box_bmc *b = n->bmc;
    uint32_t wrong = NOWHERE;

    if (!b->body || b->config.guard != FWR_GUARD_ALWAYS)
        return;
    for (uint8_t i = 0; i < n->box->good_count; i++) {
        const struct box_image *image = &n->box->images[i];
        uint32_t guard = image->given.manifest.guard;
        if (!block_is(image, guard, b->cells + guard, n->box->block_size))
            continue;
        wrong = first_wrong(n, image, guard / n->box->erase_size);
        if (wrong == NOWHERE)
            return;
    }
    if (wrong != NOWHERE)
        box_violate(n->box, n, "half an image is bootable: the guard block is right, %#x is not",
                    (unsigned)wrong);
}

static bool counts_for_cut(const struct box_bmc *b, const struct fwr_fault_event *event)
{
    return !b->only_writes ||
           (event->operation != FWR_FAULT_FLASH_READ && event->operation != FWR_FAULT_STORE_READ);
}

static enum fwr_fault_verdict power(struct box_node *n, struct fwr_fault_event *event)
{
    static const enum box_count counts[] = {
        [FWR_FAULT_BEFORE] = BOX_CUT_BEFORE,
        [FWR_FAULT_TORN] = BOX_CUT_TORN,
        [FWR_FAULT_AFTER] = BOX_CUT_AFTER,
        [FWR_FAULT_MARGINAL] = BOX_CUT_MARGINAL,
    };
    struct box_bmc *b = n->bmc;

    if (b->cut)
        return FWR_FAULT_BEFORE;
    if (!b->armed || !counts_for_cut(b, event) || b->countdown-- > 0)
        return FWR_FAULT_NONE;
    b->armed = false;
    b->cut = true;
    event->seed = seeded_next(&n->box->random);
    event->decay_reads = 1 + box_draw(n->box, 6);
    n->box->counts[counts[b->how]]++;
    n->box->counts[BOX_CUT_WRITING] += b->touched;
    box_say(n->box, n, "power fails at operation %d of its devices, at %#x: way %d",
            event->operation, (unsigned)event->offset, b->how);
    return b->how;
}

static void say_operation(struct box_node *n, const struct fwr_fault_event *event)
{
    static const char *const names[] = {
        [FWR_FAULT_FLASH_ERASE] = "erases",        [FWR_FAULT_FLASH_PROGRAM] = "programs",
        [FWR_FAULT_STORE_WRITE] = "writes record", [FWR_FAULT_STORE_REMOVE] = "removes record",
        [FWR_FAULT_HOST_HOLD] = "holds its host",  [FWR_FAULT_HOST_RELEASE] = "releases its host",
    };
    size_t i = event->operation;

    if (i < sizeof(names) / sizeof(names[0]) && names[i] != NULL)
        box_say(n->box, n, "%s %#x", names[i], (unsigned)event->offset);
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    struct box_node *n = ctx;
    struct box_bmc *b = n->bmc;

    check_guard(n);
    if (event->operation == FWR_FAULT_HOST_HOLD && !b->host.held) {
        b->hold++;
        b->touched = b->body = false;
    }
    if (event->operation == FWR_FAULT_HOST_RELEASE && b->touched && !b->config.release_on_failure &&
        box_what_it_holds(n) == NULL)
        box_violate(n->box, n, "the host is released with half an image");
    if (event->operation == FWR_FAULT_FLASH_ERASE && !b->host.bus_taken)
        box_violate(n->box, n, "erases a flash that its host may be reading");
    say_operation(n, event);
    return power(n, event);
}

/* ---- the flash ---- */

static int watched_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    struct box_bmc *b = ((struct box_node *)ctx)->bmc;

    return b->nor.flash.read(&b->nor, offset, buffer, length);
}

static int watched_erase(void *ctx, uint32_t offset, uint32_t length)
{
    struct box_node *n = ctx;
    struct box_bmc *b = n->bmc;
    uint32_t size = n->box->erase_size;
    uint32_t guard = n->box->images[0].given.manifest.guard / size;

    for (uint32_t unit = offset / size; unit < (offset + length) / size; unit++) {
        if (b->erased_in[unit] != b->hold)
            memcpy(b->from + (size_t)unit * size, b->cells + (size_t)unit * size, size);
        b->erased_in[unit] = b->hold;
        b->body |= unit != guard;
    }
    b->touched = true;
    return b->nor.flash.erase(&b->nor, offset, length);
}

/* Of an image that the board may run, or what was there before; or blank, which is what is left
 * of a unit that was erased when its donors were lost. */
static bool may_be_written(const struct box_node *n, uint32_t address, const uint8_t *bytes)
{
    uint32_t block = n->box->block_size;

    if (bytes[0] == 0xff && memcmp(bytes, bytes + 1, block - 1) == 0)
        return true;
    for (uint8_t i = 0; i < n->box->good_count; i++)
        if (box_fits(n, &n->box->images[i]) && block_is(&n->box->images[i], address, bytes, block))
            return true;
    return memcmp(bytes, n->bmc->from + address, block) == 0;
}

static int watched_program(void *ctx, uint32_t offset, const void *data, uint32_t length)
{
    struct box_node *n = ctx;
    struct box_bmc *b = n->bmc;

    for (uint32_t at = 0; at < length; at += n->box->block_size)
        if (!may_be_written(n, offset + at, (const uint8_t *)data + at))
            box_violate(n->box, n, "programs a block at %#x that is of no image it may run",
                        (unsigned)(offset + at));
    return b->nor.flash.program(&b->nor, offset, data, length);
}

static int watched_sync(void *ctx)
{
    struct box_bmc *b = ((struct box_node *)ctx)->bmc;

    return b->nor.flash.sync(&b->nor);
}

/* ---- the store ---- */

static uint32_t u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* 0 without a journal. */
static uint8_t journal_type(const struct box_node *n)
{
    const struct fwr_store_ram_record *r = fwr_store_ram_find(&n->bmc->ram, FWR_STORE_JOURNAL, 0);

    return r != NULL ? r->data[1] : 0;
}

static bool is_known(const struct box_node *n, uint32_t floor, uint32_t sequence)
{
    bool floor_known = floor == n->bmc->floor, sequence_known = sequence == n->bmc->sequence;

    for (uint8_t i = 0; i < n->box->good_count; i++) {
        const struct fwr_manifest *m = &n->box->images[i].given.manifest;
        floor_known |= m->security_version == floor;
        sequence_known |= m->sequence == sequence;
    }
    return floor_known && sequence_known;
}

/* A record of the floors: format, component, security version, sequence, CRC. */
static void check_floors(struct box_node *n, const uint8_t *record)
{
    struct box_bmc *b = n->bmc;
    uint32_t floor = u32(record + 1 + FWR_UUID_SIZE), sequence = u32(record + 5 + FWR_UUID_SIZE);

    if (floor < b->floor || sequence < b->sequence)
        box_violate(n->box, n, "a floor falls: %u to %u, sequence %u to %u", b->floor, floor,
                    b->sequence, sequence);
    if (!is_known(n, floor, sequence))
        box_violate(n->box, n, "floors of no image: %u, sequence %u", floor, sequence);
    if (journal_type(n) != CONFIRMED || (b->config.boot_proof_ms > 0 && !b->proven))
        box_violate(n->box, n, "a floor is raised before the image is confirmed");
    n->box->counts[BOX_FLOOR] += floor > b->floor;
}

static int watched_store_read(void *ctx, enum fwr_store_kind kind, uint8_t slot, void *buffer,
                              size_t capacity, size_t *length)
{
    struct box_bmc *b = ((struct box_node *)ctx)->bmc;

    return b->ram.store.read(&b->ram, kind, slot, buffer, capacity, length);
}

static int watched_store_write(void *ctx, enum fwr_store_kind kind, uint8_t slot, const void *data,
                               size_t length)
{
    struct box_node *n = ctx;
    struct box_bmc *b = n->bmc;
    const uint8_t *bytes = data;
    bool journal = kind == FWR_STORE_JOURNAL;

    if (kind == FWR_STORE_FLOORS)
        check_floors(n, bytes);
    if (journal && bytes[1] == COMMIT && box_what_it_holds(n) == NULL)
        box_violate(n->box, n, "commits to what is not there");
    if (journal && bytes[1] == TRIAL)
        b->proven = false;
    int error = b->ram.store.write(&b->ram, kind, slot, data, length);
    if (error == FWR_PENDING)
        return error;
    const struct fwr_store_ram_record *r = fwr_store_ram_find(&b->ram, FWR_STORE_FLOORS, 0);
    if (kind == FWR_STORE_FLOORS && r != NULL) {
        b->floor = u32(r->data + 1 + FWR_UUID_SIZE);
        b->sequence = u32(r->data + 5 + FWR_UUID_SIZE);
    }
    if (journal && journal_type(n) >= COMMIT)
        b->touched = b->body = false;
    return error;
}

static int watched_store_remove(void *ctx, enum fwr_store_kind kind, uint8_t slot)
{
    struct box_bmc *b = ((struct box_node *)ctx)->bmc;

    return b->ram.store.remove(&b->ram, kind, slot);
}

/* ---- making and ending ---- */

void box_watch_open(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;
    struct fwr_flash_geometry geometry = {.size = box->size,
                                          .erase_size = box->erase_size,
                                          .program_size = 256,
                                          .erased_value = 0xff};

    b->cells = malloc(box->size);
    b->kept = malloc(box->size);
    b->from = calloc(1, box->size);
    for (size_t i = 0; i < BOX_RECORDS; i++) {
        b->records[i].capacity = 70000;
        b->records[i].data = malloc(b->records[i].capacity);
    }
    if (fwr_flash_ramnor_open(&b->nor, &geometry, b->cells, b->units, BOX_UNITS_MAX) ||
        fwr_store_ram_open(&b->ram, b->records, BOX_RECORDS) ||
        fwr_host_recorder_open(&b->host, FWR_HOST_ON, NULL, 0))
        abort();
    b->nor.preserve = b->preserve;
    b->nor.hook = b->ram.hook = b->host.hook = (struct fwr_fault_hook){decide, n};
    b->flash = (struct fwr_flash){.size = sizeof(b->flash),
                                  .ctx = n,
                                  .geometry = geometry,
                                  .read = watched_read,
                                  .erase = watched_erase,
                                  .program = watched_program,
                                  .sync = watched_sync};
    b->store = (struct fwr_store){.size = sizeof(b->store),
                                  .ctx = n,
                                  .read = watched_store_read,
                                  .write = watched_store_write,
                                  .remove = watched_store_remove};
}

static bool is_preserved(const struct box_node *n, uint32_t address)
{
    const struct fwr_region *r = fwr_region_map_find(&n->box->map, address);

    return r->kind == FWR_REGION_PRESERVE || is_waived(n, address);
}

/* The host and the dark change cells behind the BMC's back, a write cache included. */
static void poke(struct box_node *n, uint32_t offset, uint32_t length)
{
    struct box_bmc *b = n->bmc;

    seeded_fill(&n->box->random, b->cells + offset, length);
    if (b->durable)
        memcpy(b->durable + offset, b->cells + offset, length);
}

void box_host_writes(struct box_node *n)
{
    struct box_bmc *b = n->bmc;

    for (size_t i = 0; i < b->nor.preserve_count; i++) {
        const struct fwr_flash_ramnor_range *r = &b->nor.preserve[i];
        uint32_t offset = r->offset + box_draw(n->box, r->length / 16) * 16;
        poke(n, offset, 16);
        memcpy(b->kept + offset, b->cells + offset, 16);
        n->box->counts[BOX_HOST_WROTE]++;
    }
}

void box_damage(struct box_node *n, uint32_t offset, uint32_t length)
{
    uint32_t block = n->box->block_size;

    for (uint32_t at = offset; at < offset + length && at < n->box->size; at += block)
        if (!is_preserved(n, at))
            poke(n, at, block);
    n->bmc->touched = n->bmc->body = false; /* the BMC is not the last who wrote */
}

void box_watch_look(struct box_node *n)
{
    const struct box_bmc *b = n->bmc;
    const struct fwr_flash_ramnor_counts *c = &b->nor.counts;

    check_guard(n);
    if (c->trespass > 0)
        box_violate(n->box, n, "touched what is preserved");
    if (c->refused > 0 || c->deserted > 0)
        box_violate(n->box, n, "asked of its flash what no chip can do");
    if (b->host.violations > 0)
        box_violate(n->box, n, "fought with its host over the flash");
}

static void check_preserved(struct box_node *n)
{
    const struct box_bmc *b = n->bmc;

    for (size_t i = 0; i < b->nor.preserve_count; i++)
        if (memcmp(b->cells + b->nor.preserve[i].offset, b->kept + b->nor.preserve[i].offset,
                   b->nor.preserve[i].length) != 0)
            box_violate(n->box, n, "what is preserved at %#x is not what the host left there",
                        (unsigned)b->nor.preserve[i].offset);
}

void box_watch_verdict(struct box_node *n)
{
    box_watch_look(n);
    check_preserved(n);
    n->box->counts[BOX_DECAYED] += n->bmc->nor.counts.decayed;
}

void box_watch_close(struct box_node *n)
{
    struct box_bmc *b = n->bmc;

    if (b->recipient != NULL)
        fwr_recipient_end(b->recipient);
    for (size_t i = 0; i < BOX_RECORDS; i++)
        free(b->records[i].data);
    free(b->cells);
    free(b->durable);
    free(b->kept);
    free(b->from);
    free(b->storage);
}
