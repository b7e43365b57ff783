/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of vector files: see vectors.h. It works on lines and keeps one vector at a time.
 */
#include "tests/unit/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *read_file(const char *file)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    FILE *stream;
    long size;
    char *text;

    snprintf(path, sizeof(path), "%s/tests/vectors/%s", srcdir ? srcdir : ".", file);
    stream = fopen(path, "rb");
    if (!stream)
        fail_msg("cannot open %s (is srcdir in the environment?)", path);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    size = ftell(stream);
    assert_true(size > 0);
    rewind(stream);
    text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, stream), size);
    text[size] = '\0';
    fclose(stream);
    return text;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    fail_msg("'%c' is no lower-case hex digit", c);
    return 0;
}

size_t vector_parse_hex(const char *text, uint8_t *out, size_t capacity, const char **end)
{
    size_t length = 0;

    while (*text && *text != ' ') {
        if (length == capacity || !text[1])
            fail_msg("too long, or an odd number of hex digits");
        out[length++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        text += 2;
    }
    if (end)
        *end = *text == ' ' ? text + 1 : text;
    return length;
}

/* The bytes of a "bytes:" line or of one that continues it. */
static void bytes_append(struct vector *vector, const char *text)
{
    while (*text) {
        vector->length += vector_parse_hex(text, vector->bytes + vector->length,
                                           sizeof(vector->bytes) - vector->length, &text);
    }
}

static void line_add(struct vector *vector, char *line)
{
    static const struct {
        const char *head;
        size_t member;
    } heads[] = {
        {"name", offsetof(struct vector, name)},
        {"direction", offsetof(struct vector, direction)},
        {"command", offsetof(struct vector, command)},
        {"message", offsetof(struct vector, message)},
        {"refused", offsetof(struct vector, refused)},
        {"lengths", offsetof(struct vector, lengths)},
    };
    char *colon = strchr(line, ':'), *equals = strstr(line, " = ");

    if (line[0] == ' ' && vector->has_bytes) {
        bytes_append(vector, line + 2);
        return;
    }
    if (equals && (!colon || equals < colon)) {
        assert_true(vector->field_count < VECTOR_FIELDS_MAX);
        *equals = '\0';
        vector->fields[vector->field_count++] = (struct vector_field){line, equals + 3};
        return;
    }
    if (!colon)
        fail_msg("a line of no known form: %s", line);
    *colon = '\0';
    colon += colon[1] ? 2 : 1;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        if (strcmp(line, heads[i].head) == 0) {
            const char *value = colon;

            memcpy((char *)vector + heads[i].member, &value, sizeof(value));
            return;
        }
    }
    if (strcmp(line, "mutants") == 0) {
        vector->mutants = strtol(colon, NULL, 10);
    } else if (strcmp(line, "bytes") == 0) {
        vector->has_bytes = true;
        bytes_append(vector, colon);
    } else {
        fail_msg("a line of no known form: %s", line);
    }
}

size_t vectors_each(const char *file, void (*use)(const struct vector *vector))
{
    struct vector *vector = calloc(1, sizeof(*vector));
    char *text = read_file(file), *line = text;
    size_t count = 0;

    assert_non_null(vector);
    while (line) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = '\0';
        if (line[0] != '\0' && line[0] != '#') {
            if (!vector->name)
                vector->mutants = -1;
            line_add(vector, line);
        } else if (vector->name) {
            use(vector);
            count++;
            memset(vector, 0, sizeof(*vector));
        }
        line = next;
    }
    assert_null(vector->name); /* the file ends with a newline, so the last one was used */
    free(vector);
    free(text);
    return count;
}

const char *vector_value(const struct vector *vector, const char *key)
{
    for (size_t i = 0; i < vector->field_count; i++) {
        if (strcmp(vector->fields[i].key, key) == 0)
            return vector->fields[i].value;
    }
    fail_msg("%s has no %s", vector->name, key);
    return NULL;
}

uint64_t vector_number(const struct vector *vector, const char *key)
{
    const char *value = vector_value(vector, key);
    char *end;
    uint64_t number = strtoull(value, &end, 10);

    if (end == value || *end)
        fail_msg("%s: %s is not a number", vector->name, key);
    return number;
}

size_t vector_hex(const struct vector *vector, const char *key, uint8_t *out, size_t capacity)
{
    const char *end;
    size_t length = vector_parse_hex(vector_value(vector, key), out, capacity, &end);

    assert_int_equal(*end, '\0');
    return length;
}

bool vector_takes_length(const struct vector *vector, size_t length)
{
    char *end;

    assert_non_null(vector->lengths);
    for (const char *at = vector->lengths; *at; at = end) {
        if (strtoul(at, &end, 10) == length)
            return true;
        assert_ptr_not_equal(at, end);
    }
    return false;
}
