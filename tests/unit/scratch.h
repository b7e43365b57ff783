/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of a test's own, for tests of what lives in files: made in the group's set-up,
 * emptied before each test, gone at the end.
 */
#ifndef FWR_TESTS_SCRATCH_H
#define FWR_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[256];

/* The path of a file in the folder; two live at a time. */
static inline const char *scratch_path(const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
    return path;
}

static inline void scratch_clear(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        char below[1024];
        struct stat status;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >= (int)sizeof(below))
            continue;
        if (lstat(below, &status) == 0 && S_ISDIR(status.st_mode)) {
            chmod(below, 0700);
            scratch_clear(below);
            rmdir(below);
        } else {
            unlink(below);
        }
    }
    if (dir)
        closedir(dir);
}

static inline int scratch_make(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    snprintf(scratch_dir, sizeof(scratch_dir), "%s/fwrecover-test-XXXXXX",
             parent && *parent && strlen(parent) < 200 ? parent : "/tmp");
    return mkdtemp(scratch_dir) ? 0 : -1;
}

static inline int scratch_empty(void **state)
{
    (void)state;
    scratch_clear(scratch_dir);
    return 0;
}

static inline int scratch_remove(void **state)
{
    scratch_empty(state);
    return rmdir(scratch_dir);
}

/* Whole files. A missing one has the length -1. */
static inline void scratch_write(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), length);
    close(fd);
}

static inline long scratch_read(const char *path, void *buffer, size_t capacity)
{
    int fd = open(path, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = read(fd, buffer, capacity);
    close(fd);
    return n;
}

#endif
