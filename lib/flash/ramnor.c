/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NOR flash in memory. An operation passes three gates: `admit` refuses what no chip may
 * be asked, `wait` plays a slow chip, `decide` asks the hook whether the power stays. Only then
 * cells change. Called through the flash contract, by tests and simulations; never allocates.
 */
#include <fwrecover/flash-ramnor.h>

#include <string.h>

#include <fwrecover/error.h>

/* What a cut or failed operation leaves behind, drawn from one seed (SplitMix64). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int error_of(enum fwr_fault_operation operation)
{
    switch (operation) {
    case FWR_FAULT_FLASH_READ:
        return FWR_E_FLASH_READ;
    case FWR_FAULT_FLASH_ERASE:
        return FWR_E_FLASH_ERASE;
    case FWR_FAULT_FLASH_PROGRAM:
        return FWR_E_FLASH_PROGRAM;
    default:
        return FWR_E_FLASH_SYNC;
    }
}

/* Takes one from a count of coming faults; true while there was one. */
static bool spend(uint32_t *count)
{
    if (*count == 0)
        return false;
    if (*count != FWR_RAMNOR_ALWAYS)
        (*count)--;
    return true;
}

static bool overlaps(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
    return a < b + b_length && b < a + a_length;
}

/* The part of a range that lies in one erase unit. */
struct part {
    struct fwr_flash_ramnor_unit *unit;
    uint32_t start; /* of the unit */
    uint32_t offset;
    uint32_t length;
};

/* Iterates over the units a range touches; `at` begins at the range's offset. */
static bool next_part(struct fwr_flash_ramnor *nor, uint64_t *at, uint64_t end, struct part *part)
{
    uint32_t erase_size = nor->flash.geometry.erase_size;

    if (*at >= end)
        return false;
    part->unit = &nor->units[*at / erase_size];
    part->start = (uint32_t)(*at - *at % erase_size);
    part->offset = (uint32_t)*at;
    part->length = erase_size - (part->offset - part->start);
    if (part->length > end - *at)
        part->length = (uint32_t)(end - *at);
    *at += part->length;
    return true;
}

static bool is_erased(const struct fwr_flash_ramnor *nor, uint32_t offset, uint32_t length)
{
    const uint8_t *cells = nor->cells + offset;

    return length == 0 || (cells[0] == nor->flash.geometry.erased_value &&
                           memcmp(cells, cells + 1, length - 1) == 0);
}

static int admit(struct fwr_flash_ramnor *nor, enum fwr_fault_operation operation, uint32_t offset,
                 uint32_t length)
{
    const struct fwr_flash_geometry *geometry = &nor->flash.geometry;
    uint32_t grain = 1;

    if (length > geometry->size || offset > geometry->size - length)
        return FWR_E_RANGE;
    if (operation == FWR_FAULT_FLASH_ERASE)
        grain = geometry->erase_size;
    else if (operation == FWR_FAULT_FLASH_PROGRAM)
        grain = geometry->program_size;
    if (offset % grain != 0 || length % grain != 0)
        return FWR_E_FLASH_ALIGNMENT;
    if (grain == 1)
        return FWR_OK;

    for (size_t i = 0; i < nor->preserve_count; i++) {
        if (overlaps(offset, length, nor->preserve[i].offset, nor->preserve[i].length)) {
            nor->counts.trespass++;
            return error_of(operation);
        }
    }
    if (operation == FWR_FAULT_FLASH_PROGRAM && !is_erased(nor, offset, length))
        return FWR_E_FLASH_NOT_ERASED;
    return FWR_OK;
}

/* Everything before cells change. FWR_OK with `event` filled and `verdict` given, or the answer
 * of the whole call. */
static int begin(struct fwr_flash_ramnor *nor, struct fwr_fault_event *event,
                 enum fwr_fault_verdict *verdict, const void *buffer)
{
    int rc;

    if (nor->dark) {
        nor->counts.dead++;
        return error_of(event->operation);
    }
    if (nor->pending_left > 0 &&
        (nor->under_way.operation != (int)event->operation ||
         nor->under_way.offset != event->offset || nor->under_way.length != event->length ||
         nor->under_way.buffer != buffer)) {
        nor->counts.deserted++;
        return FWR_E_STATE;
    }
    rc = admit(nor, event->operation, event->offset, event->length);
    if (rc != FWR_OK) {
        nor->counts.refused++;
        nor->pending_left = 0;
        return rc;
    }
    /* One more than the calls to come, so that 0 means that nothing is under way. */
    if (nor->pending_left == 0) {
        nor->pending_left = nor->pending_calls + 1;
        nor->under_way.operation = (int)event->operation;
        nor->under_way.offset = event->offset;
        nor->under_way.length = event->length;
        nor->under_way.buffer = buffer;
    }
    if (--nor->pending_left > 0) {
        nor->counts.pending++;
        return FWR_PENDING;
    }
    event->number = nor->counts.operations++;
    event->seed = event->number;
    event->decay_reads = 1;
    *verdict = FWR_FAULT_NONE;
    if (nor->hook.decide)
        *verdict = nor->hook.decide(nor->hook.ctx, event);
    return FWR_OK;
}

/* The answer of an operation that was carried out: none if the power failed after it. */
static int answer(struct fwr_flash_ramnor *nor, const struct fwr_fault_event *event,
                  enum fwr_fault_verdict verdict, int rc)
{
    if (verdict == FWR_FAULT_NONE)
        return rc;
    nor->dark = true;
    return error_of(event->operation);
}

/* Some of the bits that `data` (NULL: an erase) would have changed have changed. */
static void tear(struct fwr_flash_ramnor *nor, uint32_t offset, uint32_t length,
                 const uint8_t *data, uint64_t *seed)
{
    uint8_t erased = nor->flash.geometry.erased_value;
    unsigned style = draw(seed) % 4;
    /* Style 3: done up to a byte, untouched from there on. */
    uint32_t edge = style == 3 ? (uint32_t)(draw(seed) % length) : length;

    for (uint32_t i = 0; i < edge; i++) {
        uint8_t *cell = &nor->cells[offset + i];
        uint8_t programmed = (uint8_t)((data ? data[i] : *cell) ^ erased);
        uint64_t noise = style == 3 ? 0 : draw(seed);
        uint8_t chance = (uint8_t)noise;

        if (style == 0)
            chance &= (uint8_t)(noise >> 8);
        else if (style == 1)
            chance |= (uint8_t)(noise >> 8);
        if (style == 3)
            *cell = data ? data[i] : erased;
        else if (style == 2 && !data)
            /* Many chips program a unit to zero before they erase it. */
            *cell = (uint8_t)(erased ^ (programmed | chance));
        else
            *cell = (uint8_t)(erased ^ (programmed & chance));
    }
}

static void weaken(struct fwr_flash_ramnor *nor, const struct fwr_fault_event *event)
{
    uint64_t at = event->offset;
    uint64_t seed = event->seed;
    struct part part;

    while (next_part(nor, &at, (uint64_t)event->offset + event->length, &part)) {
        struct fwr_flash_ramnor_unit *unit = part.unit;

        if (unit->weak_length > 0) {
            unit->weak_offset = 0;
            unit->weak_length = nor->flash.geometry.erase_size;
        } else {
            unit->weak_offset = part.offset - part.start;
            unit->weak_length = part.length;
        }
        unit->weak_reads = event->decay_reads;
        unit->weak_seed = draw(&seed);
    }
}

/* A marginal range that has been read often enough loses bits, at least one. */
static void decay(struct fwr_flash_ramnor *nor, const struct part *part)
{
    struct fwr_flash_ramnor_unit *unit = part->unit;
    uint32_t certain = (uint32_t)(draw(&unit->weak_seed) % unit->weak_length);

    for (uint32_t i = 0; i < unit->weak_length; i++) {
        uint64_t noise = draw(&unit->weak_seed);

        if (i == certain || noise % 64 == 0)
            nor->cells[part->start + unit->weak_offset + i] ^= (uint8_t)(1u << ((noise >> 8) % 8));
    }
    unit->weak_length = 0;
    nor->counts.decayed++;
}

static int nor_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    struct fwr_flash_ramnor *nor = ctx;
    struct fwr_fault_event event = {
        .operation = FWR_FAULT_FLASH_READ, .offset = offset, .length = length};
    enum fwr_fault_verdict verdict;
    uint64_t at = offset;
    struct part part;
    int rc = begin(nor, &event, &verdict, buffer);

    if (rc != FWR_OK)
        return rc;
    nor->counts.reads++;
    nor->counts.read_bytes += length;
    if (length == 0)
        return answer(nor, &event, verdict, FWR_OK);
    while (next_part(nor, &at, (uint64_t)offset + length, &part)) {
        struct fwr_flash_ramnor_unit *unit = part.unit;

        if (spend(&unit->fail_reads))
            rc = FWR_E_FLASH_READ;
        if (unit->weak_length > 0 &&
            overlaps(part.offset - part.start, part.length, unit->weak_offset, unit->weak_length) &&
            !spend(&unit->weak_reads))
            decay(nor, &part);
    }
    /* Nobody may use what a failed read gives. */
    if (rc != FWR_OK || verdict != FWR_FAULT_NONE)
        memset(buffer, 0xa5, length);
    else
        memcpy(buffer, nor->cells + offset, length);
    return answer(nor, &event, verdict, rc);
}

static bool erase_unit(struct fwr_flash_ramnor *nor, const struct part *part, uint64_t *seed)
{
    struct fwr_flash_ramnor_unit *unit = part->unit;
    bool worn;

    unit->erases++;
    worn = unit->endurance != 0 && unit->erases > unit->endurance;
    if (spend(&unit->fail_erases) || worn) {
        tear(nor, part->offset, part->length, NULL, seed);
        return false;
    }
    memset(nor->cells + part->offset, nor->flash.geometry.erased_value, part->length);
    unit->weak_length = 0;
    nor->counts.units_erased++;
    return true;
}

static int nor_erase(void *ctx, uint32_t offset, uint32_t length)
{
    struct fwr_flash_ramnor *nor = ctx;
    struct fwr_fault_event event = {
        .operation = FWR_FAULT_FLASH_ERASE, .offset = offset, .length = length};
    enum fwr_fault_verdict verdict;
    uint64_t at = offset;
    uint64_t end = (uint64_t)offset + length;
    struct part part;
    int rc = begin(nor, &event, &verdict, NULL);

    if (rc != FWR_OK)
        return rc;
    nor->counts.erases++;
    if (length == 0 || verdict == FWR_FAULT_BEFORE)
        return answer(nor, &event, verdict, FWR_OK);
    if (verdict == FWR_FAULT_TORN) {
        uint32_t units = length / nor->flash.geometry.erase_size;

        end = offset + draw(&event.seed) % units * nor->flash.geometry.erase_size;
    }
    while (rc == FWR_OK && next_part(nor, &at, end, &part)) {
        part.unit->unsynced = true;
        if (!erase_unit(nor, &part, &event.seed))
            rc = FWR_E_FLASH_ERASE;
    }
    if (verdict == FWR_FAULT_TORN && rc == FWR_OK &&
        next_part(nor, &at, end + nor->flash.geometry.erase_size, &part)) {
        part.unit->unsynced = true;
        part.unit->erases++;
        tear(nor, part.offset, part.length, NULL, &event.seed);
    }
    if (verdict == FWR_FAULT_MARGINAL)
        weaken(nor, &event);
    return answer(nor, &event, verdict, rc);
}

static bool program_part(struct fwr_flash_ramnor *nor, const struct part *part, const uint8_t *data,
                         uint64_t *seed)
{
    struct fwr_flash_ramnor_unit *unit = part->unit;

    if (spend(&unit->fail_programs)) {
        tear(nor, part->offset, part->length, data, seed);
        return false;
    }
    memcpy(nor->cells + part->offset, data, part->length);
    if (spend(&unit->misprograms))
        nor->cells[part->offset + draw(seed) % part->length] ^= (uint8_t)(1u << draw(seed) % 8);
    nor->counts.pages_programmed += part->length / nor->flash.geometry.program_size;
    return true;
}

static int nor_program(void *ctx, uint32_t offset, const void *data, uint32_t length)
{
    struct fwr_flash_ramnor *nor = ctx;
    uint32_t page = nor->flash.geometry.program_size;
    struct fwr_fault_event event = {
        .operation = FWR_FAULT_FLASH_PROGRAM, .offset = offset, .length = length};
    enum fwr_fault_verdict verdict;
    const uint8_t *bytes = data;
    uint64_t at = offset;
    uint64_t end = (uint64_t)offset + length;
    struct part part;
    int rc = begin(nor, &event, &verdict, data);

    if (rc != FWR_OK)
        return rc;
    nor->counts.programs++;
    if (length == 0 || verdict == FWR_FAULT_BEFORE)
        return answer(nor, &event, verdict, FWR_OK);
    if (verdict == FWR_FAULT_TORN)
        end = offset + draw(&event.seed) % (length / page) * page;
    while (rc == FWR_OK && next_part(nor, &at, end, &part)) {
        part.unit->unsynced = true;
        if (!program_part(nor, &part, bytes + (part.offset - offset), &event.seed))
            rc = FWR_E_FLASH_PROGRAM;
    }
    if (verdict == FWR_FAULT_TORN && rc == FWR_OK && next_part(nor, &at, end + page, &part)) {
        part.unit->unsynced = true;
        tear(nor, part.offset, part.length, bytes + (part.offset - offset), &event.seed);
    }
    if (verdict == FWR_FAULT_MARGINAL)
        weaken(nor, &event);
    return answer(nor, &event, verdict, rc);
}

static size_t unit_count_of(const struct fwr_flash_geometry *geometry)
{
    return geometry->size / geometry->erase_size;
}

static int nor_sync(void *ctx)
{
    struct fwr_flash_ramnor *nor = ctx;
    struct fwr_fault_event event = {.operation = FWR_FAULT_FLASH_SYNC};
    enum fwr_fault_verdict verdict;
    uint32_t erase_size = nor->flash.geometry.erase_size;
    int rc = begin(nor, &event, &verdict, NULL);

    if (rc != FWR_OK)
        return rc;
    nor->counts.syncs++;
    if (spend(&nor->fail_syncs))
        return answer(nor, &event, verdict, FWR_E_FLASH_SYNC);
    /* A torn sync leaves the choice to power_on, as if there had been none. */
    if (verdict == FWR_FAULT_BEFORE || verdict == FWR_FAULT_TORN || !nor->durable)
        return answer(nor, &event, verdict, FWR_OK);
    for (size_t i = 0; i < unit_count_of(&nor->flash.geometry); i++) {
        if (nor->units[i].unsynced)
            memcpy(nor->durable + i * erase_size, nor->cells + i * erase_size, erase_size);
        nor->units[i].unsynced = false;
    }
    return answer(nor, &event, verdict, FWR_OK);
}

void fwr_flash_ramnor_power_on(struct fwr_flash_ramnor *nor, uint64_t seed)
{
    uint32_t erase_size = nor->flash.geometry.erase_size;

    for (size_t i = 0; nor->durable && i < unit_count_of(&nor->flash.geometry); i++) {
        uint8_t *cells = nor->cells + i * erase_size;
        uint8_t *durable = nor->durable + i * erase_size;

        if (!nor->units[i].unsynced)
            continue;
        if (draw(&seed) % 2 == 0)
            memcpy(durable, cells, erase_size);
        else
            memcpy(cells, durable, erase_size);
        nor->units[i].unsynced = false;
    }
    nor->pending_left = 0;
    nor->dark = false;
}

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

int fwr_flash_ramnor_open(struct fwr_flash_ramnor *nor, const struct fwr_flash_geometry *geometry,
                          uint8_t *cells, struct fwr_flash_ramnor_unit *units, size_t unit_count)
{
    if (!nor || !geometry || !cells || !units)
        return FWR_E_ARGUMENT;
    if (!is_power_of_two(geometry->erase_size) || !is_power_of_two(geometry->program_size) ||
        geometry->program_size > geometry->erase_size || geometry->size == 0 ||
        geometry->size % geometry->erase_size != 0)
        return FWR_E_ARGUMENT;
    if (unit_count < unit_count_of(geometry))
        return FWR_E_NO_SPACE;

    memset(units, 0, unit_count * sizeof(*units));
    *nor = (struct fwr_flash_ramnor){
        .flash =
            {
                .size = sizeof(struct fwr_flash),
                .ctx = nor,
                .geometry = *geometry,
                .read = nor_read,
                .erase = nor_erase,
                .program = nor_program,
                .sync = nor_sync,
            },
        .cells = cells,
        .units = units,
    };
    return FWR_OK;
}
