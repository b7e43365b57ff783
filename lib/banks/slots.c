/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot pointer in two slots: see banks-slots.h. Called through the banks contract. It knows
 * nothing of what lies in the banks; that it is whole is the engine's business.
 */
#include <fwrecover/banks-slots.h>

#include <string.h>

#include <fwrecover/error.h>

#include "wire/crc32.h"
#include "wire/cursor.h"

#define FORMAT    1
#define TRIES_MAX 3 /* to erase and program one slot */

static const uint8_t magic[4] = {'F', 'W', 'B', 'P'};

/* Steps of `read` end at READY; those of `write` go on from there, twice. */
enum step {
    STEP_READ, /* slot `turn` */
    STEP_READY,
    STEP_ERASE,
    STEP_PROGRAM,
    STEP_SYNC,
    STEP_READ_BACK,
};

static uint32_t place(const struct fwr_banks_slots *s, uint8_t slot)
{
    return s->offset + slot * s->flash->geometry.erase_size;
}

static uint32_t record_size(const struct fwr_banks_slots *s)
{
    uint32_t page = s->flash->geometry.program_size;

    return page > FWR_BANKS_SLOT_SIZE ? page : FWR_BANKS_SLOT_SIZE;
}

static void decode(struct fwr_banks_slots *s, uint8_t slot)
{
    struct fwr_reader reader;

    fwr_reader_init(&reader, s->found, FWR_BANKS_SLOT_SIZE);
    const uint8_t *found = fwr_reader_bytes(&reader, sizeof(magic));
    uint8_t format = fwr_reader_u8(&reader);
    s->slots[slot].bank = fwr_reader_u8(&reader);
    s->slots[slot].state = fwr_reader_u8(&reader);
    uint8_t reserved = fwr_reader_u8(&reader);
    s->slots[slot].counter = fwr_reader_u32(&reader);
    uint32_t crc = fwr_crc32(0, s->found, FWR_BANKS_SLOT_SIZE - 4);
    s->slots[slot].intact = fwr_reader_u32(&reader) == crc &&
                            memcmp(found, magic, sizeof(magic)) == 0 && format == FORMAT &&
                            reserved == 0 && s->slots[slot].bank <= 1 &&
                            s->slots[slot].state <= FWR_BANK_TRIAL;
}

static void encode(struct fwr_banks_slots *s, const struct fwr_bank_choice *choice,
                   uint32_t counter)
{
    struct fwr_writer writer;

    memset(s->buffer, s->flash->geometry.erased_value, sizeof(s->buffer));
    fwr_writer_init(&writer, s->buffer, FWR_BANKS_SLOT_SIZE);
    fwr_writer_bytes(&writer, magic, sizeof(magic));
    fwr_writer_u8(&writer, FORMAT);
    fwr_writer_u8(&writer, choice->bank);
    fwr_writer_u8(&writer, choice->state);
    fwr_writer_u8(&writer, 0);
    fwr_writer_u32(&writer, counter);
    fwr_writer_u32(&writer, fwr_crc32(0, s->buffer, FWR_BANKS_SLOT_SIZE - 4));
}

/* The slot that counts, or 2 when none is intact. */
static uint8_t newest(const struct fwr_banks_slots *s)
{
    if (s->slots[0].intact && s->slots[1].intact)
        return (int32_t)(s->slots[1].counter - s->slots[0].counter) > 0;
    return s->slots[0].intact ? 0 : s->slots[1].intact ? 1 : 2;
}

/* Both slots into memory. A slot that cannot be read is a damaged one. */
static int load(struct fwr_banks_slots *s)
{
    while (s->step == STEP_READ) {
        int error = s->flash->read(s->flash->ctx, place(s, s->turn), s->found, FWR_BANKS_SLOT_SIZE);
        if (error == FWR_PENDING)
            return error;
        if (error)
            memset(s->found, 0, FWR_BANKS_SLOT_SIZE);
        decode(s, s->turn);
        s->step = s->turn == 0 ? STEP_READ : STEP_READY;
        s->turn ^= 1;
    }
    return FWR_OK;
}

/* The next call begins anew. */
static int end(struct fwr_banks_slots *s, int result)
{
    s->step = STEP_READ;
    s->turn = s->writes = 0;
    return result;
}

static int slots_read(void *ctx, struct fwr_bank_choice *choice)
{
    struct fwr_banks_slots *s = (struct fwr_banks_slots *)ctx;

    if (load(s) == FWR_PENDING)
        return FWR_PENDING;
    uint8_t slot = newest(s);
    choice->lost = slot == 2;
    choice->bank = choice->lost ? s->default_bank : s->slots[slot].bank;
    choice->state = choice->lost ? FWR_BANK_CONFIRMED : s->slots[slot].state;
    return end(s, FWR_OK);
}

static bool says(const struct fwr_banks_slots *s, uint8_t slot,
                 const struct fwr_bank_choice *choice)
{
    return s->slots[slot].intact && s->slots[slot].bank == choice->bank &&
           s->slots[slot].state == choice->state;
}

/* Which slot is written next. One that is damaged: the other is all there is. Else the newer: a
 * write that was cut may have left it reading right for now only, while the other is certain. */
static void choose(struct fwr_banks_slots *s, const struct fwr_bank_choice *choice)
{
    uint8_t last = newest(s);
    uint32_t counter = last == 2 ? 1 : s->slots[last].counter + 1;

    if (s->writes == 1)
        s->turn ^= 1;
    else
        s->turn = s->slots[0].intact && s->slots[1].intact ? last : s->slots[0].intact;
    encode(s, choice, counter);
    s->step = STEP_ERASE;
    s->tries = 0;
}

/* One operation on the slot whose turn it is. FWR_OK when it is written and read back. */
static int write_step(struct fwr_banks_slots *s)
{
    const struct fwr_flash *flash = s->flash;
    uint32_t at = place(s, s->turn);
    int error = FWR_OK;

    switch (s->step) {
    case STEP_ERASE:
        error = flash->erase(flash->ctx, at, flash->geometry.erase_size);
        break;
    case STEP_PROGRAM:
        error = flash->program(flash->ctx, at, s->buffer, record_size(s));
        break;
    case STEP_SYNC:
        error = flash->sync(flash->ctx);
        break;
    default:
        error = flash->read(flash->ctx, at, s->found, FWR_BANKS_SLOT_SIZE);
        break;
    }
    if (error)
        return error;
    if (s->step < STEP_READ_BACK) {
        s->step++;
        return FWR_PENDING;
    }
    decode(s, s->turn);
    return memcmp(s->found, s->buffer, FWR_BANKS_SLOT_SIZE) == 0 ? FWR_OK : FWR_E_FLASH_WORN;
}

static int slots_write(void *ctx, const struct fwr_bank_choice *choice)
{
    struct fwr_banks_slots *s = (struct fwr_banks_slots *)ctx;

    if (choice->bank > 1 || choice->state > FWR_BANK_TRIAL)
        return FWR_E_ARGUMENT;
    if (load(s) == FWR_PENDING)
        return FWR_PENDING;
    if (s->step == STEP_READY) {
        if (s->writes == 2 || (s->writes == 0 && says(s, 0, choice) && says(s, 1, choice)))
            return end(s, FWR_OK);
        choose(s, choice);
        return FWR_PENDING;
    }
    int error = write_step(s);
    if (error == FWR_PENDING)
        return error;
    if (error && ++s->tries < TRIES_MAX) {
        s->step = STEP_ERASE;
        return FWR_PENDING;
    }
    if (error)
        return end(s, error);
    s->writes++;
    s->step = STEP_READY;
    return FWR_PENDING;
}

int fwr_banks_slots_open(struct fwr_banks_slots *slots, const struct fwr_flash *second,
                         const struct fwr_flash *flash, uint32_t offset, uint8_t default_bank)
{
    if (!slots || !second || !flash || default_bank > 1)
        return FWR_E_ARGUMENT;
    const struct fwr_flash_geometry *g = &flash->geometry;
    if (g->erase_size < FWR_BANKS_SLOT_SIZE || offset % g->erase_size != 0 ||
        g->size < 2 * (uint64_t)g->erase_size || offset > g->size - 2 * g->erase_size)
        return FWR_E_ARGUMENT;
    if (g->program_size > FWR_BANKS_PROGRAM_SIZE)
        return FWR_E_UNSUPPORTED;
    memset(slots, 0, sizeof(*slots));
    slots->banks = (struct fwr_banks){.size = sizeof(struct fwr_banks),
                                      .ctx = slots,
                                      .second = second,
                                      .read = slots_read,
                                      .write = slots_write};
    slots->flash = flash;
    slots->offset = offset;
    slots->default_bank = default_bank;
    return FWR_OK;
}
