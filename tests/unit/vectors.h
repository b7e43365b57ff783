/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the vector files of tests/vectors (their heads explain the format) for unit tests.
 * It knows no message: it gives names, values as text, and bytes. A file that does not follow
 * the format fails the test that reads it.
 */
#ifndef FWR_TESTS_VECTORS_H
#define FWR_TESTS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VECTOR_FIELDS_MAX = 40,
    VECTOR_BYTES_MAX = 4096,
};

struct vector_field {
    const char *key;
    const char *value;
};

struct vector {
    const char *name;
    const char *direction;
    const char *command;
    const char *message;
    const char *refused; /* NULL where a reader takes the bytes */
    const char *lengths; /* NULL where the vector does not say */
    long mutants;        /* -1 where the vector does not say */
    size_t field_count;
    struct vector_field fields[VECTOR_FIELDS_MAX];
    bool has_bytes;
    size_t length;
    uint8_t bytes[VECTOR_BYTES_MAX];
};

/* Calls `use` for every vector of tests/vectors/FILE; returns how many there were. The vector
 * and its strings live until `use` returns. */
size_t vectors_each(const char *file, void (*use)(const struct vector *vector));

/* The value of a field that occurs once; the test fails when there is none. */
const char *vector_value(const struct vector *vector, const char *key);
uint64_t vector_number(const struct vector *vector, const char *key);
/* The same, of a byte string: its length. */
size_t vector_hex(const struct vector *vector, const char *key, uint8_t *out, size_t capacity);

/* Whether a reader takes that many bytes of (the vector's bytes and one byte 00h). */
bool vector_takes_length(const struct vector *vector, size_t length);

/* Text to bytes, up to its end or the next space; `*end` is then behind that space. */
size_t vector_parse_hex(const char *text, uint8_t *out, size_t capacity, const char **end);

#endif
