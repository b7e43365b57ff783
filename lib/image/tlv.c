/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLV fields: the walk over them and their writing. Called by the manifest's and the trust
 * set's codecs, and only on bytes that are already authenticated.
 */
#include "image/tlv.h"

void fwr_tlv_init(struct fwr_tlv_reader *tlv, const void *bytes, size_t length)
{
    fwr_reader_init(&tlv->reader, bytes, length);
    tlv->lowest = 0;
}

bool fwr_tlv_next(struct fwr_tlv_reader *tlv, struct fwr_tlv_field *field)
{
    const uint8_t *value;
    uint16_t length;

    if (tlv->reader.failed || fwr_reader_left(&tlv->reader) == 0)
        return false;
    field->tag = fwr_reader_u16(&tlv->reader);
    length = fwr_reader_u16(&tlv->reader);
    value = fwr_reader_bytes(&tlv->reader, length);
    if (tlv->reader.failed || field->tag < tlv->lowest) {
        tlv->reader.failed = true;
        return false;
    }
    tlv->lowest = (uint32_t)field->tag + 1;
    fwr_reader_init(&field->value, value, length);
    return true;
}

bool fwr_tlv_complete(const struct fwr_tlv_reader *tlv)
{
    return fwr_reader_complete(&tlv->reader);
}

size_t fwr_tlv_open(struct fwr_writer *writer, uint16_t tag)
{
    fwr_writer_u16(writer, tag);
    fwr_writer_u16(writer, 0);
    return writer->length;
}

void fwr_tlv_close(struct fwr_writer *writer, size_t position)
{
    struct fwr_writer header;

    if (writer->failed)
        return;
    if (writer->length - position > UINT16_MAX) {
        writer->failed = true;
        return;
    }
    fwr_writer_init(&header, writer->bytes + position - 2, 2);
    fwr_writer_u16(&header, (uint16_t)(writer->length - position));
}

void fwr_tlv_uint(struct fwr_writer *writer, uint16_t tag, uint64_t value, size_t width)
{
    size_t position = fwr_tlv_open(writer, tag);

    fwr_writer_uint(writer, value, width);
    fwr_tlv_close(writer, position);
}

void fwr_tlv_bytes(struct fwr_writer *writer, uint16_t tag, const void *bytes, size_t length)
{
    size_t position = fwr_tlv_open(writer, tag);

    fwr_writer_bytes(writer, bytes, length);
    fwr_tlv_close(writer, position);
}
