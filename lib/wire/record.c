/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record: see record.h.
 */
#include "record.h"

#include <fwrecover/error.h>

#include "wire/crc32.h"

int fwr_record_open(const uint8_t *bytes, size_t length, uint8_t format, struct fwr_reader *reader)
{
    struct fwr_reader tail;

    if (length < 5)
        return FWR_E_STORE_CORRUPT;
    fwr_reader_init(&tail, bytes + length - 4, 4);
    if (fwr_reader_u32(&tail) != fwr_crc32(0, bytes, length - 4))
        return FWR_E_STORE_CORRUPT;
    fwr_reader_init(reader, bytes, length - 4);
    uint8_t found = fwr_reader_u8(reader);
    if (found != format)
        return found > format ? FWR_E_STORE_VERSION : FWR_E_STORE_CORRUPT;
    return FWR_OK;
}

int fwr_record_close(struct fwr_writer *writer)
{
    if (!writer->failed)
        fwr_writer_u32(writer, fwr_crc32(0, writer->bytes, writer->length));
    return fwr_writer_finish(writer);
}
