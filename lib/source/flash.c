/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's flash as a source. Called through the source contract, by the donor of the same
 * BMC; never writes, and never starts a read while somebody else has the flash.
 */
#include <fwrecover/source-flash.h>

#include <string.h>

#include <fwrecover/error.h>

static int source_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    struct fwr_source_flash *own = ctx;

    if (own->store)
        return own->store->read(own->store->ctx, FWR_STORE_ENVELOPE, own->slot, buffer, capacity,
                                length);
    if (own->envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, own->envelope, own->envelope_length);
    *length = own->envelope_length;
    return FWR_OK;
}

static int source_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    struct fwr_source_flash *own = ctx;
    int rc;

    if (own->yielded)
        return FWR_E_NOT_HELD;
    rc = own->flash->read(own->flash->ctx, address, buffer, length);
    own->reading = rc == FWR_PENDING;
    if (rc == FWR_PENDING || rc == FWR_OK || rc == FWR_E_RANGE)
        return rc;
    return FWR_E_IO;
}

static void fill(struct fwr_source_flash *own, const char *name, const struct fwr_flash *flash)
{
    *own = (struct fwr_source_flash){
        .source =
            {
                .size = sizeof(struct fwr_source),
                .ctx = own,
                .name = name,
                .envelope = source_envelope,
                .read = source_read,
            },
        .flash = flash,
    };
}

int fwr_source_flash_open(struct fwr_source_flash *own, const char *name,
                          const struct fwr_flash *flash, const struct fwr_store *store,
                          uint8_t slot)
{
    if (!own || !name || !flash || !store)
        return FWR_E_ARGUMENT;
    fill(own, name, flash);
    own->store = store;
    own->slot = slot;
    return FWR_OK;
}

int fwr_source_flash_open_bytes(struct fwr_source_flash *own, const char *name,
                                const struct fwr_flash *flash, const void *envelope, size_t length)
{
    if (!own || !name || !flash || !envelope)
        return FWR_E_ARGUMENT;
    fill(own, name, flash);
    own->envelope = envelope;
    own->envelope_length = length;
    return FWR_OK;
}

int fwr_source_flash_yield(struct fwr_source_flash *own, bool yield)
{
    if (own->reading)
        return FWR_E_BUSY;
    own->yielded = yield;
    return FWR_OK;
}
