/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what people type: numbers, ranges, UUIDs. Strict: the whole text must be the value,
 * signs and blanks are refused, and nothing wraps around. Called by the option parser and the
 * configuration reader; prints nothing.
 */
#ifndef FWR_TOOLS_NUMBER_H
#define FWR_TOOLS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/manifest.h>

/* Decimal, or hexadecimal after 0x; a final k, M or G multiplies by 2^10, 2^20, 2^30. False
 * when `text` is anything else, or above `max`. */
bool tool_number(const char *text, uint64_t max, uint64_t *value);

/* The same over `length` characters, which need no end. */
bool tool_number_span(const char *text, size_t length, uint64_t max, uint64_t *value);

/* Up to `max` numbers with colons between, each at most UINT32_MAX; the count, 0 when the text
 * is not that. */
unsigned tool_numbers(const char *text, unsigned max, uint32_t *values);

/* 8-4-4-4-12 hexadecimal digits, to bytes in the order of the text. */
bool tool_uuid(const char *text, uint8_t uuid[FWR_UUID_SIZE]);
#define TOOL_UUID_TEXT 37
void tool_uuid_text(const uint8_t uuid[FWR_UUID_SIZE], char text[TOOL_UUID_TEXT]);

/* Bytes as lower-case hexadecimal with a final zero: `text` holds 2 × length + 1. */
void tool_hex(const void *bytes, size_t length, char *text);

#endif
