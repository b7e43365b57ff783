/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors over byte strings: every little-endian format of the library is read and written
 * through these and nothing else. A cursor that once ran past its end stays failed, so a
 * decoder may read all its fields and ask once, at the end. They own no memory.
 */
#ifndef FWR_WIRE_CURSOR_H
#define FWR_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fwr_reader {
    const uint8_t *bytes; /* the caller's */
    size_t length;
    size_t position; /* at most length */
    bool failed;
};

/* `bytes` may be NULL only when `length` is 0. */
void fwr_reader_init(struct fwr_reader *reader, const void *bytes, size_t length);

/* The next integer of 1 to 8 bytes; 0, and the reader failed, when fewer bytes are left. */
uint64_t fwr_reader_uint(struct fwr_reader *reader, size_t width);
uint8_t fwr_reader_u8(struct fwr_reader *reader);
uint16_t fwr_reader_u16(struct fwr_reader *reader);
uint32_t fwr_reader_u24(struct fwr_reader *reader);
uint32_t fwr_reader_u32(struct fwr_reader *reader);
uint64_t fwr_reader_u64(struct fwr_reader *reader);

/* The next `length` bytes in place; NULL, and the reader failed, when fewer are left. Never
 * NULL for 0 bytes of a reader that has not failed and has a buffer. */
const uint8_t *fwr_reader_bytes(struct fwr_reader *reader, size_t length);

/* The same, copied to `out`, which is zeroed when they are not there. */
void fwr_reader_copy(struct fwr_reader *reader, void *out, size_t length);

/* Bytes not yet read; 0 once failed. */
size_t fwr_reader_left(const struct fwr_reader *reader);

/* Whether nothing failed and every byte was consumed: a decoder's last question. */
bool fwr_reader_complete(const struct fwr_reader *reader);

struct fwr_writer {
    uint8_t *bytes; /* the caller's */
    size_t capacity;
    size_t length; /* written so far, at most capacity */
    bool failed;
};

/* `buffer` may be NULL only when `capacity` is 0. */
void fwr_writer_init(struct fwr_writer *writer, void *buffer, size_t capacity);

/* Appends the low `width` bytes (1 to 8) of `value`. What does not fit is not written in part:
 * the writer fails and stays failed. */
void fwr_writer_uint(struct fwr_writer *writer, uint64_t value, size_t width);
void fwr_writer_u8(struct fwr_writer *writer, uint8_t value);
void fwr_writer_u16(struct fwr_writer *writer, uint16_t value);
void fwr_writer_u24(struct fwr_writer *writer, uint32_t value);
void fwr_writer_u32(struct fwr_writer *writer, uint32_t value);
void fwr_writer_u64(struct fwr_writer *writer, uint64_t value);
void fwr_writer_bytes(struct fwr_writer *writer, const void *bytes, size_t length);
void fwr_writer_zeros(struct fwr_writer *writer, size_t length);

/* Room for `length` bytes that the caller fills in; NULL, and the writer failed, when there is
 * less. */
uint8_t *fwr_writer_reserve(struct fwr_writer *writer, size_t length);

/* The length written, or FWR_E_NO_SPACE when something did not fit. */
int fwr_writer_finish(const struct fwr_writer *writer);

#endif
