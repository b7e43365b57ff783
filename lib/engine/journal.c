/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journal: see journal.h. Records are little-endian, begin with a format version and end with
 * a CRC-32; a version above ours is refused, not guessed.
 */
#include "journal.h"

#include <string.h>

#include <openssl/evp.h>

#include "device.h"
#include "wire/record.h"

#define JOURNAL_FORMAT 1
#define BANKS_FORMAT   2 /* of a board with two banks: a library without them must not guess */
#define FLAG_GUARDED   1u
#define FLAG_ALL       2u
#define FLAG_BANK      4u /* bank 1 */
#define FLAG_FLIPPED   8u
#define POLICY_FORMAT  1
#define POLICY_SIZE    (1 + 4 + 4 + 1 + 4)

static uint8_t journal_format(const struct fwr_recipient *r)
{
    return r->config.banks ? BANKS_FORMAT : JOURNAL_FORMAT;
}

static uint8_t flags(const struct fwr_journal *j)
{
    return (uint8_t)((j->guarded ? FLAG_GUARDED : 0) | (j->all ? FLAG_ALL : 0) |
                     (j->bank ? FLAG_BANK : 0) | (j->flipped ? FLAG_FLIPPED : 0));
}

static int journal_decode(const uint8_t *bytes, size_t length, const struct fwr_recipient *r,
                          struct fwr_journal *j)
{
    const unsigned known =
        FLAG_GUARDED | FLAG_ALL | (r->config.banks ? FLAG_BANK | FLAG_FLIPPED : 0);
    struct fwr_reader reader;
    int error = fwr_record_open(bytes, length, journal_format(r), &reader);

    if (error)
        return error;
    j->type = fwr_reader_u8(&reader);
    uint8_t of_slot = fwr_reader_u8(&reader);
    uint8_t found = fwr_reader_u8(&reader);
    j->guarded = (found & FLAG_GUARDED) != 0;
    j->all = (found & FLAG_ALL) != 0;
    j->bank = (found & FLAG_BANK) != 0;
    j->flipped = (found & FLAG_FLIPPED) != 0;
    j->counter = fwr_reader_u32(&reader);
    j->run = fwr_reader_u32(&reader);
    j->unit_size = fwr_reader_u32(&reader);
    fwr_reader_copy(&reader, j->id, sizeof(j->id));
    fwr_reader_copy(&reader, j->map, sizeof(j->map));
    fwr_reader_copy(&reader, j->guard, sizeof(j->guard));
    j->count = fwr_reader_u16(&reader);
    if (j->count > FWR_REDO_MAX)
        return FWR_E_STORE_CORRUPT;
    for (uint16_t i = 0; i < j->count; i++)
        j->units[i] = fwr_reader_u32(&reader);
    if (!fwr_reader_complete(&reader) || of_slot != r->config.slot || (found & ~known) != 0 ||
        j->unit_size == 0 || (j->unit_size & (j->unit_size - 1)) != 0 ||
        j->type < FWR_JOURNAL_INTENT || j->type > FWR_JOURNAL_CONFIRMED)
        return FWR_E_STORE_CORRUPT;
    return FWR_OK;
}

int fwr_journal_read(struct fwr_recipient *r)
{
    uint8_t bytes[FWR_JOURNAL_MAX];
    size_t length;
    int error = fwr_device_load(r, FWR_STORE_JOURNAL, bytes, sizeof(bytes), &length);

    memset(&r->journal, 0, sizeof(r->journal));
    if (error == FWR_E_NOT_FOUND)
        return FWR_OK;
    if (error == FWR_E_NO_SPACE)
        return FWR_E_STORE_VERSION; /* larger than any record of ours */
    if (!error)
        error = journal_decode(bytes, length, r, &r->journal);
    if (error)
        memset(&r->journal, 0, sizeof(r->journal));
    return error;
}

int fwr_journal_write(struct fwr_recipient *r, enum fwr_journal_type type)
{
    const struct fwr_journal *j = &r->journal;
    uint8_t bytes[FWR_JOURNAL_MAX];
    struct fwr_writer writer;

    fwr_writer_init(&writer, bytes, sizeof(bytes));
    fwr_writer_u8(&writer, journal_format(r));
    fwr_writer_u8(&writer, (uint8_t)type);
    fwr_writer_u8(&writer, r->config.slot);
    fwr_writer_u8(&writer, flags(j));
    fwr_writer_u32(&writer, j->counter + 1);
    fwr_writer_u32(&writer, j->run);
    fwr_writer_u32(&writer, j->unit_size);
    fwr_writer_bytes(&writer, j->id, sizeof(j->id));
    fwr_writer_bytes(&writer, j->map, sizeof(j->map));
    fwr_writer_bytes(&writer, j->guard, sizeof(j->guard));
    fwr_writer_u16(&writer, j->count);
    for (uint16_t i = 0; i < j->count; i++)
        fwr_writer_u32(&writer, j->units[i]);
    int length = fwr_record_close(&writer);
    if (length < 0)
        return length;
    int error = fwr_device_save(r, FWR_STORE_JOURNAL, bytes, (size_t)length);
    if (error == FWR_OK) {
        r->journal.type = (uint8_t)type;
        r->journal.counter++;
    }
    return error;
}

int fwr_journal_remove(struct fwr_recipient *r)
{
    int error = fwr_device_forget(r, FWR_STORE_JOURNAL);

    if (error == FWR_OK)
        memset(&r->journal, 0, sizeof(r->journal));
    return error;
}

int fwr_journal_map_hash(const struct fwr_region_map *map, uint8_t hash[FWR_ID_SIZE])
{
    uint8_t bytes[FWR_REGIONS_MAX * 7];
    struct fwr_writer writer;

    fwr_writer_init(&writer, bytes, sizeof(bytes));
    for (uint16_t i = 0; i < map->count; i++) {
        fwr_writer_u32(&writer, map->regions[i].length);
        fwr_writer_u8(&writer, map->regions[i].kind);
        fwr_writer_u8(&writer, map->regions[i].flags);
        fwr_writer_u8(&writer, map->regions[i].fill);
    }
    int length = fwr_writer_finish(&writer);
    if (length < 0)
        return length;
    return EVP_Digest(bytes, (size_t)length, hash, NULL, EVP_sha256(), NULL) == 1 ? FWR_OK
                                                                                  : FWR_E_CRYPTO;
}

/* The record's fields, behind its format version; one longer than ours is a newer version's. */
static int load_record(struct fwr_recipient *r, enum fwr_store_kind kind, uint8_t format,
                       uint8_t *bytes, size_t capacity, struct fwr_reader *reader)
{
    size_t length;
    int error = fwr_device_load(r, kind, bytes, capacity, &length);

    if (error)
        return error == FWR_E_NO_SPACE ? FWR_E_STORE_VERSION : error;
    return fwr_record_open(bytes, length, format, reader);
}

int fwr_policy_read(struct fwr_recipient *r, struct fwr_policy_record *policy)
{
    uint8_t bytes[POLICY_SIZE];
    struct fwr_reader reader;
    int error = load_record(r, FWR_STORE_POLICY, POLICY_FORMAT, bytes, sizeof(bytes), &reader);

    memset(policy, 0, sizeof(*policy));
    if (error)
        return error == FWR_E_NOT_FOUND ? FWR_OK : error;
    struct fwr_policy_record found = {.generation = fwr_reader_u32(&reader)};
    found.min_sequence = fwr_reader_u32(&reader);
    found.media_refused = fwr_reader_u8(&reader);
    if (!fwr_reader_complete(&reader))
        return FWR_E_STORE_CORRUPT;
    *policy = found;
    return FWR_OK;
}

int fwr_policy_write(struct fwr_recipient *r, const struct fwr_policy_record *policy)
{
    uint8_t bytes[POLICY_SIZE];
    struct fwr_writer writer;

    fwr_writer_init(&writer, bytes, sizeof(bytes));
    fwr_writer_u8(&writer, POLICY_FORMAT);
    fwr_writer_u32(&writer, policy->generation);
    fwr_writer_u32(&writer, policy->min_sequence);
    fwr_writer_u8(&writer, policy->media_refused);
    int length = fwr_record_close(&writer);
    if (length < 0)
        return length;
    return fwr_device_save(r, FWR_STORE_POLICY, bytes, (size_t)length);
}
