/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as the command line needs them: small ones read and written whole, large ones read in
 * pieces. Called by the subcommands. Functions that fail have reported it and return the exit
 * status; 0 is success.
 */
#ifndef FWR_TOOLS_FILES_H
#define FWR_TOOLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tool_bytes {
    uint8_t *data; /* malloc'd; tool_bytes_free wipes it */
    size_t length;
};

/* Reads a regular file of at most `max` bytes. A longer one is refused with FWR_E_RANGE. With
 * `secret`, a file that others than its owner may read is refused with FWR_E_PERMISSIONS. */
int tool_file_read(const char *path, size_t max, bool secret, struct tool_bytes *bytes);
void tool_bytes_free(struct tool_bytes *bytes);

/* Writes a whole file under its final name only when it is complete; "-" is standard output.
 * An existing file is replaced only with `replace`. */
int tool_file_write(const char *path, const void *data, size_t length, unsigned mode, bool replace);

/* A large file, opened for reading. */
struct tool_file {
    const char *path;
    int fd;
    uint64_t size;
};
int tool_file_open(struct tool_file *file, const char *path);
void tool_file_close(struct tool_file *file);
/* Reads exactly `length` bytes; the end of the file is an error. */
int tool_file_at(const struct tool_file *file, uint64_t offset, void *buffer, size_t length);

#endif
