/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers over json-c for the --json reports. No state.
 */
#include "tools/json.h"

#include <stdio.h>
#include <stdlib.h>

#include <fwrecover/error.h>

#include "tools/number.h"

void tool_json_text(struct json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

void tool_json_number(struct json_object *object, const char *key, uint64_t value)
{
    json_object_object_add(object, key, json_object_new_uint64(value));
}

void tool_json_flag(struct json_object *object, const char *key, bool value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

void tool_json_hex(struct json_object *object, const char *key, const void *bytes, size_t length)
{
    char *text = malloc(2 * length + 1);

    if (text == NULL)
        return;
    tool_hex(bytes, length, text);
    tool_json_text(object, key, text);
    free(text);
}

struct json_object *tool_json_list(struct json_object *object, const char *key)
{
    struct json_object *list = json_object_new_array();

    json_object_object_add(object, key, list);
    return list;
}

void tool_json_error(struct json_object *object, int error)
{
    tool_json_number(object, "error", error < 0 ? (uint64_t)-error : 0);
    tool_json_text(object, "error_name", fwr_error_name(error));
    tool_json_text(object, "error_text", fwr_error_text(error));
}

void tool_json_print(struct json_object *object)
{
    puts(json_object_to_json_string_ext(object,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
    json_object_put(object);
}
