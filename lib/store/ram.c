/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in memory. Called through the store contract, by tests and simulations. A write
 * that loses power leaves the old record or the new one, as the contract promises; never
 * allocates.
 */
#include <fwrecover/store-ram.h>

#include <string.h>

#include <fwrecover/error.h>

static bool spend(uint32_t *count)
{
    if (*count == 0)
        return false;
    if (*count != UINT32_MAX)
        (*count)--;
    return true;
}

struct fwr_store_ram_record *fwr_store_ram_find(struct fwr_store_ram *ram, enum fwr_store_kind kind,
                                                uint8_t slot)
{
    for (size_t i = 0; i < ram->record_count; i++) {
        struct fwr_store_ram_record *record = &ram->records[i];

        if (record->used && record->kind == kind && record->slot == slot)
            return record;
    }
    return NULL;
}

/* FWR_OK when the operation may take effect (as `verdict` says), or the call's answer. */
static int begin(struct fwr_store_ram *ram, struct fwr_fault_event *event,
                 enum fwr_fault_verdict *verdict)
{
    if (ram->dark) {
        ram->counts.dead++;
        return FWR_E_STORE_IO;
    }
    if (ram->pending_left == 0)
        ram->pending_left = ram->pending_calls + 1;
    if (--ram->pending_left > 0) {
        ram->counts.pending++;
        return FWR_PENDING;
    }
    event->number = ram->counts.operations++;
    event->seed = event->number;
    event->decay_reads = 1;
    *verdict = FWR_FAULT_NONE;
    if (ram->hook.decide)
        *verdict = ram->hook.decide(ram->hook.ctx, event);
    if (*verdict == FWR_FAULT_TORN)
        *verdict = event->seed % 2 == 0 ? FWR_FAULT_BEFORE : FWR_FAULT_AFTER;
    if (*verdict != FWR_FAULT_NONE)
        ram->dark = true;
    return *verdict == FWR_FAULT_BEFORE ? FWR_E_STORE_IO : FWR_OK;
}

static int ram_read(void *ctx, enum fwr_store_kind kind, uint8_t slot, void *buffer,
                    size_t capacity, size_t *length)
{
    struct fwr_store_ram *ram = ctx;
    struct fwr_fault_event event = {.operation = FWR_FAULT_STORE_READ, .offset = kind};
    enum fwr_fault_verdict verdict;
    const struct fwr_store_ram_record *record;
    int rc = begin(ram, &event, &verdict);

    if (rc != FWR_OK)
        return rc;
    ram->counts.reads++;
    record = fwr_store_ram_find(ram, kind, slot);
    if (verdict != FWR_FAULT_NONE || spend(&ram->fail_reads))
        return FWR_E_STORE_IO;
    if (!record)
        return FWR_E_NOT_FOUND;
    if (record->read_error != 0)
        return record->read_error;
    if (record->length > capacity)
        return FWR_E_NO_SPACE;
    if (record->length > 0)
        memcpy(buffer, record->data, record->length);
    *length = record->length;
    return FWR_OK;
}

static struct fwr_store_ram_record *place_for(struct fwr_store_ram *ram, enum fwr_store_kind kind,
                                              uint8_t slot, size_t length)
{
    struct fwr_store_ram_record *record = fwr_store_ram_find(ram, kind, slot);

    for (size_t i = 0; !record && i < ram->record_count; i++) {
        if (!ram->records[i].used && ram->records[i].capacity >= length)
            record = &ram->records[i];
    }
    return record && record->capacity >= length ? record : NULL;
}

static int ram_write(void *ctx, enum fwr_store_kind kind, uint8_t slot, const void *data,
                     size_t length)
{
    struct fwr_store_ram *ram = ctx;
    struct fwr_fault_event event = {
        .operation = FWR_FAULT_STORE_WRITE, .offset = kind, .length = (uint32_t)length};
    enum fwr_fault_verdict verdict;
    struct fwr_store_ram_record *record;
    int rc = begin(ram, &event, &verdict);

    if (rc != FWR_OK)
        return rc;
    ram->counts.writes++;
    if (spend(&ram->fail_writes))
        return ram->write_error;
    record = place_for(ram, kind, slot, length);
    if (!record)
        return FWR_E_STORE_FULL;
    if (record->used && record->read_error == FWR_E_STORE_VERSION)
        return FWR_E_STORE_VERSION;
    if (length > 0)
        memcpy(record->data, data, length);
    record->used = true;
    record->kind = kind;
    record->slot = slot;
    record->length = length;
    record->read_error = 0;
    return verdict == FWR_FAULT_NONE ? FWR_OK : FWR_E_STORE_IO;
}

static int ram_remove(void *ctx, enum fwr_store_kind kind, uint8_t slot)
{
    struct fwr_store_ram *ram = ctx;
    struct fwr_fault_event event = {.operation = FWR_FAULT_STORE_REMOVE, .offset = kind};
    enum fwr_fault_verdict verdict;
    struct fwr_store_ram_record *record;
    int rc = begin(ram, &event, &verdict);

    if (rc != FWR_OK)
        return rc;
    ram->counts.removes++;
    if (spend(&ram->fail_writes))
        return ram->write_error;
    record = fwr_store_ram_find(ram, kind, slot);
    if (record && record->read_error == FWR_E_STORE_VERSION)
        return FWR_E_STORE_VERSION;
    if (record)
        record->used = false;
    return verdict == FWR_FAULT_NONE ? FWR_OK : FWR_E_STORE_IO;
}

void fwr_store_ram_power_on(struct fwr_store_ram *ram)
{
    ram->pending_left = 0;
    ram->dark = false;
}

int fwr_store_ram_open(struct fwr_store_ram *ram, struct fwr_store_ram_record *records,
                       size_t record_count)
{
    if (!ram || (!records && record_count > 0))
        return FWR_E_ARGUMENT;
    *ram = (struct fwr_store_ram){
        .store =
            {
                .size = sizeof(struct fwr_store),
                .ctx = ram,
                .read = ram_read,
                .write = ram_write,
                .remove = ram_remove,
            },
        .write_error = FWR_E_STORE_IO,
        .records = records,
        .record_count = record_count,
    };
    return FWR_OK;
}
