/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record: the frame of every small record in the BMC's store: a format version in front, a CRC-32
 * over all before it at the end. A version above ours is refused, not guessed.
 */
#ifndef FWR_WIRE_RECORD_H
#define FWR_WIRE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/cursor.h"

/* FWR_OK with `reader` behind the version and before the CRC; FWR_E_STORE_CORRUPT;
 * FWR_E_STORE_VERSION when it is newer than `format`. */
int fwr_record_open(const uint8_t *bytes, size_t length, uint8_t format, struct fwr_reader *reader);

/* Appends the CRC. The record's length, or FWR_E_NO_SPACE. */
int fwr_record_close(struct fwr_writer *writer);

#endif
