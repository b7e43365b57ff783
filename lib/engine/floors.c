/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floors in the BMC's store: the default behind the floors contract. One record for each slot
 * with what concerns its component, one for the BMC with the trust generation. Called through the
 * contract by the recipient and the keyring; decides nothing.
 */
#include <fwrecover/floors.h>

#include <stdbool.h>
#include <string.h>

#include <fwrecover/error.h>

#include "wire/record.h"

#define SLOT_FORMAT       1
#define GENERATION_FORMAT 1

/* What a record says. */
struct values {
    uint32_t security_version;
    uint32_t sequence;
    uint32_t generation;
};

static enum fwr_store_kind kind_of(enum fwr_floor floor)
{
    return floor == FWR_FLOOR_GENERATION ? FWR_STORE_GENERATION : FWR_STORE_FLOORS;
}

static uint32_t *value_of(struct values *values, enum fwr_floor floor)
{
    switch (floor) {
    case FWR_FLOOR_SECURITY_VERSION:
        return &values->security_version;
    case FWR_FLOOR_SEQUENCE:
        return &values->sequence;
    default:
        return &values->generation;
    }
}

static int decode_slot(struct fwr_reader *reader, const uint8_t *component, struct values *values)
{
    uint8_t found[FWR_UUID_SIZE];

    fwr_reader_copy(reader, found, sizeof(found));
    uint32_t security_version = fwr_reader_u32(reader);
    uint32_t sequence = fwr_reader_u32(reader);
    if (!fwr_reader_complete(reader))
        return FWR_E_STORE_CORRUPT;
    if (memcmp(found, component, sizeof(found)) != 0)
        return FWR_OK; /* another part sat in this slot: its floors are not ours */
    values->security_version = security_version;
    values->sequence = sequence;
    return FWR_OK;
}

static int decode_generation(struct fwr_reader *reader, struct values *values)
{
    uint32_t generation = fwr_reader_u32(reader);

    if (!fwr_reader_complete(reader))
        return FWR_E_STORE_CORRUPT;
    values->generation = generation;
    return FWR_OK;
}

/* All that the floor's record says; zeros when there is none. */
static int load(const struct fwr_floors_store *f, enum fwr_floor floor, uint8_t slot,
                const uint8_t *component, struct values *values)
{
    bool generation = floor == FWR_FLOOR_GENERATION;
    uint8_t bytes[sizeof(f->record)];
    struct fwr_reader reader;
    size_t length;
    int error = f->store->read(f->store->ctx, kind_of(floor), slot, bytes, sizeof(bytes), &length);

    memset(values, 0, sizeof(*values));
    if (error == FWR_E_NOT_FOUND)
        return FWR_OK;
    if (error)
        return error == FWR_E_NO_SPACE ? FWR_E_STORE_VERSION : error;
    error = fwr_record_open(bytes, length, generation ? GENERATION_FORMAT : SLOT_FORMAT, &reader);
    if (error)
        return error;
    return generation ? decode_generation(&reader, values)
                      : decode_slot(&reader, component, values);
}

/* Puts the record together that has to be written. */
static int encode(struct fwr_floors_store *f, enum fwr_floor floor, const uint8_t *component,
                  const struct values *values)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, f->record, sizeof(f->record));
    if (floor == FWR_FLOOR_GENERATION) {
        fwr_writer_u8(&writer, GENERATION_FORMAT);
        fwr_writer_u32(&writer, values->generation);
    } else {
        fwr_writer_u8(&writer, SLOT_FORMAT);
        fwr_writer_bytes(&writer, component, FWR_UUID_SIZE);
        fwr_writer_u32(&writer, values->security_version);
        fwr_writer_u32(&writer, values->sequence);
    }
    int length = fwr_record_close(&writer);
    if (length < 0)
        return length;
    f->length = (uint8_t)length;
    return FWR_OK;
}

static int read_floor(void *ctx, enum fwr_floor floor, uint8_t slot, const uint8_t *component,
                      uint32_t *value)
{
    struct values values;
    int error = load(ctx, floor, slot, component, &values);

    *value = *value_of(&values, floor);
    return error;
}

static int raise_floor(void *ctx, enum fwr_floor floor, uint8_t slot, const uint8_t *component,
                       uint32_t value)
{
    struct fwr_floors_store *f = ctx;
    struct values values;
    int error;

    /* A store at work wants the same call again: then the record is there already. */
    if (f->length == 0) {
        error = load(f, floor, slot, component, &values);
        if (error || value <= *value_of(&values, floor))
            return error;
        *value_of(&values, floor) = value;
        error = encode(f, floor, component, &values);
        if (error)
            return error;
    }
    error = f->store->write(f->store->ctx, kind_of(floor), slot, f->record, f->length);
    if (error != FWR_PENDING)
        f->length = 0;
    return error;
}

void fwr_floors_store_init(struct fwr_floors_store *floors, const struct fwr_store *store)
{
    memset(floors, 0, sizeof(*floors));
    floors->floors.size = sizeof(floors->floors);
    floors->floors.ctx = floors;
    floors->floors.read = read_floor;
    floors->floors.raise = raise_floor;
    floors->store = store;
}
