/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line says to a person when something is wrong, and the exit status that a
 * script reads. Every message goes to standard error and has the shape
 *     fwrecover: where: what is wrong (error-name); what to do
 * Called by every subcommand; prints nothing else and never ends the program by itself.
 */
#ifndef FWR_TOOLS_SAY_H
#define FWR_TOOLS_SAY_H

/* The exit statuses, documented in fwrecover(1). */
enum tool_exit {
    TOOL_OK = 0,        /* done, healthy, the same */
    TOOL_DAMAGED = 1,   /* damaged, not repaired, different */
    TOOL_USAGE = 2,     /* usage, configuration, keys and their permissions */
    TOOL_IO = 3,        /* a file, the flash or the store failed */
    TOOL_UNTRUSTED = 4, /* the image is not trusted, malformed, or refused */
    TOOL_NETWORK = 5,   /* no donor, no answer, no session, or the peer refused */
};

#if defined(__GNUC__)
#define TOOL_PRINTF(text, values) __attribute__((format(printf, text, values)))
#else
#define TOOL_PRINTF(text, values)
#endif

/* The exit status for an enum fwr_error. */
int tool_exit_of(int error);

/* Reports `error` at `where` (a file, a host); `advice` says what to do and may be NULL.
 * Returns the exit status. */
int tool_error(int error, const char *where, const char *advice);

/* As tool_error with advice that is put together. */
int tool_errorf(int error, const char *where, const char *format, ...) TOOL_PRINTF(3, 4);

/* Reports a failed system call by the value of errno after it: what was being done, and where.
 * Returns the exit status. */
int tool_system_error(int number, const char *where, const char *doing);

/* Reports a mistake on the command line or in a configuration. Returns TOOL_USAGE. */
int tool_usage(const char *format, ...) TOOL_PRINTF(1, 2);

/* A remark that changes nothing. */
void tool_note(const char *format, ...) TOOL_PRINTF(1, 2);

#endif
