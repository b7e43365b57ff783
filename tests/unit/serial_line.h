/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the serial line share: a stream that keeps what was put on it. */
#ifndef FWR_TESTS_SERIAL_LINE_H
#define FWR_TESTS_SERIAL_LINE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "link/serial/frame.h"

struct line {
    uint8_t bytes[1 << 16];
    size_t length;
};

static inline void line_put(struct line *line, const uint8_t *bytes, size_t length)
{
    assert_true(length <= FWR_SERIAL_FRAME_MAX);
    assert_true(line->length + length <= sizeof(line->bytes));
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

/* What is on the line is exactly this, and is taken off. */
static inline void line_is(struct line *line, const void *bytes, size_t length)
{
    assert_int_equal(line->length, length);
    assert_memory_equal(line->bytes, bytes, length);
    line->length = 0;
}

static inline void line_says(struct line *line, const char *text)
{
    line_is(line, text, strlen(text));
}

#endif
