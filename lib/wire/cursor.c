/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cursors of cursor.h. Called by every encoder and decoder; the bounds check of the whole
 * library's formats is in fwr_reader_bytes and fwr_writer_reserve.
 */
#include "wire/cursor.h"

#include <limits.h>
#include <string.h>

#include <fwrecover/error.h>

void fwr_reader_init(struct fwr_reader *reader, const void *bytes, size_t length)
{
    reader->bytes = bytes;
    reader->length = length;
    reader->position = 0;
    reader->failed = false;
}

const uint8_t *fwr_reader_bytes(struct fwr_reader *reader, size_t length)
{
    const uint8_t *bytes;

    if (reader->failed || length > reader->length - reader->position) {
        reader->failed = true;
        return NULL;
    }
    /* Adding 0 to a null pointer is undefined, and an empty reader may hold one. */
    bytes = reader->bytes ? reader->bytes + reader->position : NULL;
    reader->position += length;
    return bytes;
}

uint64_t fwr_reader_uint(struct fwr_reader *reader, size_t width)
{
    const uint8_t *bytes = fwr_reader_bytes(reader, width);
    uint64_t value = 0;

    if (!bytes)
        return 0;
    for (size_t i = width; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

uint8_t fwr_reader_u8(struct fwr_reader *reader)
{
    return (uint8_t)fwr_reader_uint(reader, 1);
}

uint16_t fwr_reader_u16(struct fwr_reader *reader)
{
    return (uint16_t)fwr_reader_uint(reader, 2);
}

uint32_t fwr_reader_u24(struct fwr_reader *reader)
{
    return (uint32_t)fwr_reader_uint(reader, 3);
}

uint32_t fwr_reader_u32(struct fwr_reader *reader)
{
    return (uint32_t)fwr_reader_uint(reader, 4);
}

uint64_t fwr_reader_u64(struct fwr_reader *reader)
{
    return fwr_reader_uint(reader, 8);
}

void fwr_reader_copy(struct fwr_reader *reader, void *out, size_t length)
{
    const uint8_t *bytes = fwr_reader_bytes(reader, length);

    if (bytes)
        memcpy(out, bytes, length);
    else if (length > 0)
        memset(out, 0, length);
}

size_t fwr_reader_left(const struct fwr_reader *reader)
{
    return reader->failed ? 0 : reader->length - reader->position;
}

bool fwr_reader_complete(const struct fwr_reader *reader)
{
    return !reader->failed && reader->position == reader->length;
}

void fwr_writer_init(struct fwr_writer *writer, void *buffer, size_t capacity)
{
    writer->bytes = buffer;
    writer->capacity = capacity;
    writer->length = 0;
    writer->failed = false;
}

uint8_t *fwr_writer_reserve(struct fwr_writer *writer, size_t length)
{
    uint8_t *bytes;

    if (writer->failed || length > writer->capacity - writer->length) {
        writer->failed = true;
        return NULL;
    }
    bytes = writer->bytes ? writer->bytes + writer->length : NULL;
    writer->length += length;
    return bytes;
}

void fwr_writer_uint(struct fwr_writer *writer, uint64_t value, size_t width)
{
    uint8_t *bytes = fwr_writer_reserve(writer, width);

    if (!bytes)
        return;
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

void fwr_writer_u8(struct fwr_writer *writer, uint8_t value)
{
    fwr_writer_uint(writer, value, 1);
}

void fwr_writer_u16(struct fwr_writer *writer, uint16_t value)
{
    fwr_writer_uint(writer, value, 2);
}

void fwr_writer_u24(struct fwr_writer *writer, uint32_t value)
{
    fwr_writer_uint(writer, value, 3);
}

void fwr_writer_u32(struct fwr_writer *writer, uint32_t value)
{
    fwr_writer_uint(writer, value, 4);
}

void fwr_writer_u64(struct fwr_writer *writer, uint64_t value)
{
    fwr_writer_uint(writer, value, 8);
}

void fwr_writer_bytes(struct fwr_writer *writer, const void *bytes, size_t length)
{
    uint8_t *room = fwr_writer_reserve(writer, length);

    if (room && length > 0)
        memcpy(room, bytes, length);
}

void fwr_writer_zeros(struct fwr_writer *writer, size_t length)
{
    uint8_t *room = fwr_writer_reserve(writer, length);

    if (room && length > 0)
        memset(room, 0, length);
}

int fwr_writer_finish(const struct fwr_writer *writer)
{
    if (writer->failed || writer->length > INT_MAX)
        return FWR_E_NO_SPACE;
    return (int)writer->length;
}
