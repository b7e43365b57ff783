/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library asks of its surroundings: random bytes and a place for log lines. Time is
 * not here: every engine call takes `now`, milliseconds of a monotonic clock that may start
 * anywhere, so that a simulation replays bit for bit.
 */
#ifndef FWRECOVER_PLATFORM_H
#define FWRECOVER_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The deadline that never comes. */
#define FWR_NEVER UINT64_MAX

enum fwr_log_level {
    FWR_LOG_ERROR,  /* somebody has to act */
    FWR_LOG_NOTICE, /* what happened, for the operator's log */
    FWR_LOG_DEBUG,  /* for the developer */
};

/* The caller's services. Const; must outlive every engine that was given it. */
struct fwr_platform {
    size_t size; /* sizeof(struct fwr_platform), so that it can grow */
    void *ctx;

    /* Fills `buffer` with `length` bytes that nobody can guess. FWR_OK or FWR_E_RANDOM. */
    int (*random)(void *ctx, void *buffer, size_t length);

    /* Takes one line of text without a newline. May be NULL. Must not call the engine back. */
    void (*log)(void *ctx, enum fwr_log_level level, const char *text);
};

/* A platform on libcrypto's random generator and no log; a start for small programs. */
extern const struct fwr_platform fwr_platform_default;

#ifdef __cplusplus
}
#endif

#endif
