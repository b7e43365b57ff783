/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every fuzz target has in common: the entry that libFuzzer, AFL++ and replay.c call, and
 * the way an oracle says that an invariant does not hold. Stateful targets read their input as a
 * control stream, with the library's own cursor: past its end it gives zeros.
 */
#ifndef FWR_TEST_FUZZ_H
#define FWR_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

static inline void fuzz_fail(const char *file, int line, const char *condition)
{
    printf("%s:%d: does not hold: %s\n", file, line, condition);
    fflush(stdout);
    abort();
}

/* At most `most` of the coming bytes of the stream, as many as its next byte says: how many. */
static inline size_t fuzz_bytes(struct fwr_reader *input, uint8_t *bytes, size_t most)
{
    size_t length = fwr_reader_u8(input) % (most + 1);

    if (length > fwr_reader_left(input))
        length = fwr_reader_left(input);
    fwr_reader_copy(input, bytes, length);
    return length;
}

#endif
