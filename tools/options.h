/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's grammar: subcommand tables, and one table of options for each subcommand
 * from which both the parsing and the --help text come. Called by every subcommand first.
 */
#ifndef FWR_TOOLS_OPTIONS_H
#define FWR_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_LIST_MAX 64

/* The values of an option that may be given several times; they stay argv's. */
struct tool_list {
    const char *items[TOOL_LIST_MAX];
    size_t count;
};

/* A numeric option that knows whether it was given. */
struct tool_u32 {
    uint32_t value;
    bool given;
};

enum tool_option_kind {
    TOOL_FLAG, /* to: bool */
    TOOL_TEXT, /* to: const char * */
    TOOL_U32,  /* to: struct tool_u32, with `min` and `max` as its bounds */
    TOOL_LIST, /* to: struct tool_list */
};

struct tool_option {
    const char *name; /* the long name; NULL ends the table */
    char letter;      /* or 0 */
    enum tool_option_kind kind;
    void *to;
    const char *argument; /* "FILE"; NULL for a flag */
    const char *help;
    uint32_t min;
    uint32_t max; /* 0 means UINT32_MAX */
};

struct tool_usage_text {
    const char *name;     /* "image create" */
    const char *operands; /* "RAW" or "" */
    const char *summary;
    const struct tool_option *options;
    unsigned min_operands;
    unsigned max_operands;
};

/* Parses argv[1] on. True: go on (*status is TOOL_OK), `operands` has the rest, `count` of them,
 * within the bounds. False: return *status, since help was asked for or a mistake was reported. */
bool tool_options(const struct tool_usage_text *usage, int argc, char **argv, char ***operands,
                  unsigned *count, int *status);

struct tool_command {
    const char *name; /* NULL ends the table */
    const char *summary;
    int (*run)(int argc, char **argv);
};

/* Runs the subcommand that argv[1] names; prefix is "" or "image ". Returns its exit status. */
int tool_dispatch(const struct tool_command *table, const char *prefix, int argc, char **argv);

#endif
