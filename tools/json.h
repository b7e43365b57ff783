/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short names for building the --json reports on json-c. Keys are part of the interface: they
 * are documented in fwrecover(1) and never change their meaning.
 */
#ifndef FWR_TOOLS_JSON_H
#define FWR_TOOLS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

void tool_json_text(struct json_object *object, const char *key, const char *value);
void tool_json_number(struct json_object *object, const char *key, uint64_t value);
void tool_json_flag(struct json_object *object, const char *key, bool value);
/* Lower-case hexadecimal. */
void tool_json_hex(struct json_object *object, const char *key, const void *bytes, size_t length);
/* Adds an empty array and returns it; it stays the object's. */
struct json_object *tool_json_list(struct json_object *object, const char *key);
/* "error" (number), "error_name" and "error_text" of an enum fwr_error. */
void tool_json_error(struct json_object *object, int error);

/* Prints one line to standard output and frees the object. */
void tool_json_print(struct json_object *object);

#endif
