/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLV fields of manifests and trust sets (doc/WIRE.md 11.3): tag u16, length u16, value, tags
 * strictly ascending. Knows no tag by itself.
 */
#ifndef FWR_IMAGE_TLV_H
#define FWR_IMAGE_TLV_H

#include "wire/cursor.h"

/* Set in tags that a reader may skip when it does not know them. */
#define FWR_TLV_IGNORABLE 0x8000

struct fwr_tlv_reader {
    struct fwr_reader reader;
    uint32_t lowest; /* the next tag must not be below */
};

struct fwr_tlv_field {
    uint16_t tag;
    struct fwr_reader value;
};

void fwr_tlv_init(struct fwr_tlv_reader *tlv, const void *bytes, size_t length);

/* True with the next field; false at the end and at anything malformed, which
 * fwr_tlv_complete tells apart. */
bool fwr_tlv_next(struct fwr_tlv_reader *tlv, struct fwr_tlv_field *field);
bool fwr_tlv_complete(const struct fwr_tlv_reader *tlv);

/* Begins a field; the position returned goes to _close when its value has been written. */
size_t fwr_tlv_open(struct fwr_writer *writer, uint16_t tag);
void fwr_tlv_close(struct fwr_writer *writer, size_t position);

/* A whole field of one little-endian integer. */
void fwr_tlv_uint(struct fwr_writer *writer, uint16_t tag, uint64_t value, size_t width);
void fwr_tlv_bytes(struct fwr_writer *writer, uint16_t tag, const void *bytes, size_t length);

#endif
