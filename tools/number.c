/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict readers for numbers, ranges and UUIDs as people type them, and their text forms. No
 * state, no output.
 */
#include "tools/number.h"

#include <string.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The power of two a unit stands for; 0 when it is none. */
static unsigned shift_of(char unit)
{
    switch (unit) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    default:
        return 0;
    }
}

bool tool_number_span(const char *text, size_t length, uint64_t max, uint64_t *value)
{
    unsigned base = 10;
    unsigned shift = length > 0 ? shift_of(text[length - 1]) : 0;
    uint64_t total = 0;

    if (shift != 0)
        length--;
    if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
        length -= 2;
    }
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        int digit = digit_of(text[i]);

        if (digit < 0 || (unsigned)digit >= base || total > (UINT64_MAX - (unsigned)digit) / base)
            return false;
        total = total * base + (unsigned)digit;
    }
    if (total > max >> shift)
        return false;
    *value = total << shift;
    return true;
}

bool tool_number(const char *text, uint64_t max, uint64_t *value)
{
    return tool_number_span(text, strlen(text), max, value);
}

unsigned tool_numbers(const char *text, unsigned max, uint32_t *values)
{
    for (unsigned count = 0; count < max; count++) {
        size_t length = strcspn(text, ":");
        uint64_t value;

        if (!tool_number_span(text, length, UINT32_MAX, &value))
            return 0;
        values[count] = (uint32_t)value;
        if (text[length] == '\0')
            return count + 1;
        text += length + 1;
    }
    return 0;
}

bool tool_uuid(const char *text, uint8_t uuid[FWR_UUID_SIZE])
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t digits = 0;

    if (strlen(text) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        int digit = digit_of(text[i]);

        if (shape[i] == '-') {
            if (text[i] != '-')
                return false;
            continue;
        }
        if (digit < 0)
            return false;
        if (digits % 2 == 0)
            uuid[digits / 2] = (uint8_t)(digit << 4);
        else
            uuid[digits / 2] |= (uint8_t)digit;
        digits++;
    }
    return true;
}

void tool_hex(const void *bytes, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < length; i++) {
        *text++ = digits[byte[i] >> 4];
        *text++ = digits[byte[i] & 15];
    }
    *text = '\0';
}

void tool_uuid_text(const uint8_t uuid[FWR_UUID_SIZE], char text[TOOL_UUID_TEXT])
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};

    for (size_t i = 0; i < sizeof(groups); i++) {
        tool_hex(uuid, groups[i], text);
        uuid += groups[i];
        text += (size_t)2 * groups[i];
        *text++ = '-';
    }
    text[-1] = '\0';
}
