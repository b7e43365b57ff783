/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bank: see bank.h.
 */
#include "bank.h"

#include <string.h>

#include "device.h"
#include "wire/record.h"
#include "wire/cursor.h"

#define REJECTED_FORMAT 1
#define REJECTED_SIZE   (1 + FWR_ID_SIZE + 4)

int fwr_bank_look(struct fwr_recipient *r)
{
    struct fwr_bank_choice choice = {0};
    int error = fwr_device_bank_read(r, &choice);

    if (error)
        return error;
    if (choice.bank > 1)
        return FWR_E_IO;
    if (choice.lost)
        fwr_recipient_log(r, FWR_LOG_ERROR,
                          "the boot pointer is unreadable: the board boots bank %u by default",
                          choice.bank);
    r->pointer = choice;
    return FWR_OK;
}

int fwr_bank_point(struct fwr_recipient *r, uint8_t bank, uint8_t state)
{
    const struct fwr_bank_choice choice = {.bank = bank, .state = state};
    bool moves = r->pointer.lost || r->pointer.bank != bank || r->pointer.state != state;
    int error = fwr_device_bank_write(r, &choice);

    if (error)
        return error;
    r->pointer = choice;
    if (moves)
        fwr_recipient_log(r, FWR_LOG_NOTICE, "the boot pointer names bank %u%s", bank,
                          state == FWR_BANK_TRIAL ? ", on trial" : "");
    return FWR_OK;
}

bool fwr_bank_half_written(const struct fwr_recipient *r)
{
    return r->journal.type == FWR_JOURNAL_INTENT || r->journal.type == FWR_JOURNAL_IN_FLIGHT;
}

bool fwr_bank_spared(const struct fwr_recipient *r)
{
    if (!r->config.banks || (r->all_owed && r->pointer.lost))
        return false;
    return !fwr_bank_half_written(r) || r->journal.bank != r->pointer.bank;
}

int fwr_rejected_load(struct fwr_recipient *r)
{
    uint8_t bytes[REJECTED_SIZE];
    struct fwr_reader reader;
    size_t length;
    int error = fwr_device_load(r, FWR_STORE_REJECTED, bytes, sizeof(bytes), &length);

    if (error == FWR_PENDING)
        return error;
    if (error == FWR_E_NO_SPACE)
        return FWR_E_STORE_VERSION;
    if (!error)
        error = fwr_record_open(bytes, length, REJECTED_FORMAT, &reader);
    if (!error) {
        fwr_reader_copy(&reader, r->rejected, sizeof(r->rejected));
        r->have_rejected = fwr_reader_complete(&reader);
    }
    /* Damaged, it costs another trial at most. */
    return error == FWR_E_NOT_FOUND || error == FWR_E_STORE_CORRUPT ? FWR_OK : error;
}

int fwr_rejected_save(struct fwr_recipient *r, const uint8_t id[FWR_ID_SIZE])
{
    uint8_t bytes[REJECTED_SIZE];
    struct fwr_writer writer;

    fwr_writer_init(&writer, bytes, sizeof(bytes));
    fwr_writer_u8(&writer, REJECTED_FORMAT);
    fwr_writer_bytes(&writer, id, FWR_ID_SIZE);
    int length = fwr_record_close(&writer);
    if (length < 0)
        return length;
    int error = fwr_device_save(r, FWR_STORE_REJECTED, bytes, sizeof(bytes));
    if (!error) {
        memcpy(r->rejected, id, FWR_ID_SIZE);
        r->have_rejected = true;
    }
    return error;
}

int fwr_rejected_forget(struct fwr_recipient *r)
{
    int error = fwr_device_forget(r, FWR_STORE_REJECTED);

    if (!error)
        r->have_rejected = false;
    return error;
}

bool fwr_rejected_is(const struct fwr_recipient *r, const uint8_t id[FWR_ID_SIZE])
{
    return r->have_rejected && memcmp(r->rejected, id, FWR_ID_SIZE) == 0;
}
