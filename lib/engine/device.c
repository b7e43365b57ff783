/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device: see device.h.
 */
#include "device.h"

#include "bank.h"

static int note(struct fwr_recipient *r, int result)
{
    r->outstanding = result == FWR_PENDING;
    return result;
}

static const struct fwr_flash *flash_of(const struct fwr_recipient *r, uint8_t bank)
{
    return bank == 0 ? r->config.flash : r->config.banks->second;
}

int fwr_device_read(struct fwr_recipient *r, uint32_t offset, void *buffer, uint32_t length)
{
    const struct fwr_flash *flash = flash_of(r, r->bank);

    return note(r, flash->read(flash->ctx, offset, buffer, length));
}

int fwr_device_read_other(struct fwr_recipient *r, uint32_t offset, void *buffer, uint32_t length)
{
    const struct fwr_flash *flash = flash_of(r, FWR_BANK_OTHER(r->bank));

    return note(r, flash->read(flash->ctx, offset, buffer, length));
}

int fwr_device_erase(struct fwr_recipient *r, uint32_t offset, uint32_t length)
{
    const struct fwr_flash *flash = flash_of(r, r->bank);

    return note(r, flash->erase(flash->ctx, offset, length));
}

int fwr_device_program(struct fwr_recipient *r, uint32_t offset, const void *data, uint32_t length)
{
    const struct fwr_flash *flash = flash_of(r, r->bank);

    return note(r, flash->program(flash->ctx, offset, data, length));
}

int fwr_device_sync(struct fwr_recipient *r)
{
    const struct fwr_flash *flash = flash_of(r, r->bank);

    return note(r, flash->sync(flash->ctx));
}

int fwr_device_bank_read(struct fwr_recipient *r, struct fwr_bank_choice *choice)
{
    return note(r, r->config.banks->read(r->config.banks->ctx, choice));
}

int fwr_device_bank_write(struct fwr_recipient *r, const struct fwr_bank_choice *choice)
{
    return note(r, r->config.banks->write(r->config.banks->ctx, choice));
}

int fwr_device_load(struct fwr_recipient *r, enum fwr_store_kind kind, void *buffer,
                    size_t capacity, size_t *length)
{
    const struct fwr_store *store = r->config.store;

    return note(r, store->read(store->ctx, kind, r->config.slot, buffer, capacity, length));
}

int fwr_device_save(struct fwr_recipient *r, enum fwr_store_kind kind, const void *data,
                    size_t length)
{
    const struct fwr_store *store = r->config.store;

    return note(r, store->write(store->ctx, kind, r->config.slot, data, length));
}

int fwr_device_forget(struct fwr_recipient *r, enum fwr_store_kind kind)
{
    const struct fwr_store *store = r->config.store;

    return note(r, store->remove(store->ctx, kind, r->config.slot));
}

int fwr_device_floor_read(struct fwr_recipient *r, enum fwr_floor floor, uint32_t *value)
{
    const struct fwr_floors *floors = r->config.floors;

    return note(
        r, floors->read(floors->ctx, floor, r->config.slot, r->config.board->component, value));
}

int fwr_device_floor_raise(struct fwr_recipient *r, enum fwr_floor floor, uint32_t value)
{
    const struct fwr_floors *floors = r->config.floors;

    return note(
        r, floors->raise(floors->ctx, floor, r->config.slot, r->config.board->component, value));
}

int fwr_device_host(struct fwr_recipient *r, int (*operation)(void *ctx))
{
    return note(r, operation(r->config.host->ctx));
}
