/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses options with getopt_long from a table, prints help from the same table, and finds
 * subcommands. Owns no memory beyond a call.
 */
#include "tools/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/number.h"
#include "tools/say.h"

#define OPTIONS_MAX 48
#define CODE_BASE   256 /* getopt codes of long names, above every letter */
#define CODE_HELP   (CODE_BASE + OPTIONS_MAX)

static void print_help(const struct tool_usage_text *usage)
{
    const struct tool_option *option;

    printf("usage: fwrecover %s [options]%s%s\n\n%s\n\noptions:\n", usage->name,
           usage->operands[0] != '\0' ? " " : "", usage->operands, usage->summary);
    for (option = usage->options; option->name != NULL; option++) {
        char head[64];
        int length;

        length =
            snprintf(head, sizeof(head), "%c%c%s --%s%s%s", option->letter != 0 ? '-' : ' ',
                     option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ",
                     option->name, option->argument != NULL ? " " : "",
                     option->argument != NULL ? option->argument : "");
        if (length > 28)
            printf("  %s\n%32s%s\n", head, "", option->help);
        else
            printf("  %-28s  %s\n", head, option->help);
    }
    printf("      --help                    print this and exit\n");
}

static bool store_value(const struct tool_usage_text *usage, const struct tool_option *option,
                        char *value)
{
    switch (option->kind) {
    case TOOL_FLAG:
        *(bool *)option->to = true;
        return true;
    case TOOL_TEXT:
        *(const char **)option->to = value;
        return true;
    case TOOL_LIST: {
        struct tool_list *list = option->to;

        if (list->count == TOOL_LIST_MAX) {
            tool_usage("%s: --%s given more than %d times", usage->name, option->name,
                       TOOL_LIST_MAX);
            return false;
        }
        list->items[list->count++] = value;
        return true;
    }
    case TOOL_U32: {
        struct tool_u32 *number = option->to;
        uint32_t max = option->max != 0 ? option->max : UINT32_MAX;
        uint64_t wide;

        if (!tool_number(value, max, &wide) || wide < option->min) {
            tool_usage("%s: --%s %s: not a number from %lu to %lu", usage->name, option->name,
                       value, (unsigned long)option->min, (unsigned long)max);
            return false;
        }
        number->value = (uint32_t)wide;
        number->given = true;
        return true;
    }
    }
    return false;
}

/* Fills getopt's tables; the code of a long name is its place in ours. */
static void fill_tables(const struct tool_option *options, struct option *names, char *letters)
{
    size_t count = 0;
    char *letter = letters;

    *letter++ = ':';
    for (; count < OPTIONS_MAX && options[count].name != NULL; count++) {
        names[count].name = options[count].name;
        names[count].has_arg = options[count].kind == TOOL_FLAG ? no_argument : required_argument;
        names[count].flag = NULL;
        names[count].val = CODE_BASE + (int)count;
        if (options[count].letter != 0) {
            *letter++ = options[count].letter;
            if (options[count].kind != TOOL_FLAG)
                *letter++ = ':';
        }
    }
    *letter = '\0';
    names[count] = (struct option){"help", no_argument, NULL, CODE_HELP};
    names[count + 1] = (struct option){NULL, 0, NULL, 0};
}

static const struct tool_option *option_of(const struct tool_option *options, int code)
{
    if (code >= CODE_BASE)
        return &options[code - CODE_BASE];
    while (options->letter != code)
        options++;
    return options;
}

static int complain(const struct tool_usage_text *usage, const char *what, const char *about)
{
    return tool_usage("%s: %s %s; see 'fwrecover %s --help'", usage->name, what, about,
                      usage->name);
}

bool tool_options(const struct tool_usage_text *usage, int argc, char **argv, char ***operands,
                  unsigned *count, int *status)
{
    struct option names[OPTIONS_MAX + 2];
    char letters[2 * OPTIONS_MAX + 2];
    int code;

    fill_tables(usage->options, names, letters);
    optind = 1;
    opterr = 0;
    *status = TOOL_USAGE;
    while ((code = getopt_long(argc, argv, letters, names, NULL)) != -1) {
        if (code == CODE_HELP) {
            print_help(usage);
            *status = TOOL_OK;
            return false;
        }
        if (code == '?' || code == ':') {
            complain(usage, code == '?' ? "unknown or ambiguous option" : "no value for option",
                     argv[optind - 1]);
            return false;
        }
        if (!store_value(usage, option_of(usage->options, code), optarg))
            return false;
    }
    *operands = argv + optind;
    *count = (unsigned)(argc - optind);
    if (*count < usage->min_operands) {
        complain(usage, "missing", usage->operands);
        return false;
    }
    if (*count > usage->max_operands) {
        complain(usage, "too many operands, first", argv[optind + (int)usage->max_operands]);
        return false;
    }
    *status = TOOL_OK;
    return true;
}

int tool_dispatch(const struct tool_command *table, const char *prefix, int argc, char **argv)
{
    const struct tool_command *command;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        FILE *out = argc < 2 ? stderr : stdout;

        fprintf(out, "usage: fwrecover %sCOMMAND [options]\n\ncommands:\n", prefix);
        for (command = table; command->name != NULL; command++)
            fprintf(out, "  %-10s  %s\n", command->name, command->summary);
        fprintf(out, "\n'fwrecover %sCOMMAND --help' tells more.\n", prefix);
        return argc < 2 ? TOOL_USAGE : TOOL_OK;
    }
    for (command = table; command->name != NULL; command++) {
        if (strcmp(command->name, argv[1]) == 0)
            return command->run(argc - 1, argv + 1);
    }
    return tool_usage("'%s%s' is no command; see 'fwrecover %s--help'", prefix, argv[1], prefix);
}
