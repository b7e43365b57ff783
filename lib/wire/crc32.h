/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32 as in Ethernet, zlib and PNG (reflected polynomial EDB88320h): what the records of the
 * journal and of the store carry. It finds torn and decayed bytes; it is no defence against
 * anybody.
 */
#ifndef FWR_LIB_WIRE_CRC32_H
#define FWR_LIB_WIRE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `length` more bytes after those that gave `crc`; begin with 0. */
uint32_t fwr_crc32(uint32_t crc, const void *data, size_t length);

#endif
