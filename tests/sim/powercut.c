/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `make powercut`: every scenario, every cut, every pair; a table, and powercut.json with
 * --json. Ends with 1 where anything was violated. A violation names the command that plays it
 * again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/powercut.h"

static const char usage[] =
    "usage: powercut [--quick] [--jobs N] [--json FILE] [--scenario NAME]... [--list]\n"
    "       powercut --scenario NAME --cut AT:WAY[:VARIANT] [--cut ...]\n"
    "Cuts the power at every operation of recoveries and looks at what becomes of them.\n"
    "--quick: the strides of the everyday suite. --cut: plays one recovery and prints its log;\n"
    "WAY is 0 (not done), 1 (torn), 2 (done) or 3 (done but marginal).\n";

static struct {
    bool quick;
    unsigned jobs;
    const char *json;
    const char *chosen[64];
    unsigned chosen_count;
    struct powercut_cut cuts[2];
    unsigned cut_count;
} options = {.jobs = 2};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool wanted(const char *name)
{
    for (unsigned i = 0; i < options.chosen_count; i++)
        if (strcmp(options.chosen[i], name) == 0)
            return true;
    return options.chosen_count == 0;
}

static void print_row(const char *name, const struct powercut_tally *t, double took)
{
    printf("%-32s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %10" PRIu64 " %7.1f\n", name,
           t->operations, t->cuts, t->pairs, t->all_violations, took);
    if (t->first[0])
        printf("  first: %s\n", t->first);
}

static void json_row(FILE *out, const char *name, const struct powercut_tally *t, double took)
{
    fprintf(out,
            "{\"name\": \"%s\", \"operations\": %" PRIu64 ", \"cuts\": %" PRIu64
            ", \"pairs\": %" PRIu64 ", \"seconds\": %.1f,\n    \"outcomes\": {",
            name, t->operations, t->cuts, t->pairs, took);
    for (unsigned i = 0; i < POWERCUT_WAYS; i++)
        fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", powercut_way_name(i), t->ways[i]);
    fprintf(out,
            "},\n    \"on\": {\"flash\": %" PRIu64 ", \"store\": %" PRIu64 ", \"host\": %" PRIu64
            "}, \"most_units_done_again\": %" PRIu64 ",\n    \"violations\": {\"all\": %" PRIu64,
            t->on_flash, t->on_store, t->on_host, t->again, t->all_violations);
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        fprintf(out, ", \"%s\": %" PRIu64, powercut_violation_name((enum powercut_violation)i),
                t->violations[i]);
    fprintf(out, "}}");
}

static void add_up(struct powercut_tally *all, const struct powercut_tally *t)
{
    all->operations += t->operations;
    all->cuts += t->cuts;
    all->pairs += t->pairs;
    for (unsigned i = 0; i < POWERCUT_WAYS; i++)
        all->ways[i] += t->ways[i];
    all->on_flash += t->on_flash;
    all->on_store += t->on_store;
    all->on_host += t->on_host;
    all->again = t->again > all->again ? t->again : all->again;
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        all->violations[i] += t->violations[i];
    all->all_violations += t->all_violations;
}

static void print_all(const struct powercut_tally *all)
{
    printf("\noutcomes:");
    for (unsigned i = 0; i < POWERCUT_WAYS; i++)
        printf(" %s %" PRIu64 "%s", powercut_way_name(i), all->ways[i],
               i + 1 < POWERCUT_WAYS ? "," : "\n");
    printf("last cut on: flash %" PRIu64 ", store %" PRIu64 ", host %" PRIu64 "\n", all->on_flash,
           all->on_store, all->on_host);
    for (unsigned i = 0; i < POWERCUT_VIOLATIONS; i++)
        printf("%-28s %" PRIu64 "\n", powercut_violation_name((enum powercut_violation)i),
               all->violations[i]);
}

static int sweep_all(void)
{
    struct powercut_tally all = {0};
    double began = seconds();
    FILE *json = options.json ? fopen(options.json, "w") : NULL;
    bool first = true;

    if (options.json && !json) {
        perror(options.json);
        return 2;
    }
    printf("%-32s %9s %9s %9s %10s %7s\n", "scenario", "operations", "cuts", "pairs", "violations",
           "s");
    if (json)
        fprintf(json, "{\"scenarios\": [\n  ");
    for (unsigned i = 0; i < powercut_scenario_count; i++) {
        struct powercut_scenario s = powercut_scenarios[i];
        struct powercut_tally t = {0};
        double start = seconds();
        if (!wanted(s.name))
            continue;
        if (!options.quick) {
            s.stride = s.full_stride;
            s.pair_stride = s.full_pair_stride;
        }
        powercut_sweep(&s, options.jobs, &t);
        print_row(s.name, &t, seconds() - start);
        if (json) {
            fprintf(json, "%s", first ? "" : ",\n  ");
            json_row(json, s.name, &t, seconds() - start);
        }
        first = false;
        add_up(&all, &t);
    }
    print_row("all", &all, seconds() - began);
    print_all(&all);
    if (json) {
        fprintf(json, "],\n\"all\": ");
        json_row(json, "all", &all, seconds() - began);
        fprintf(json, "}\n");
        if (fclose(json) != 0) {
            perror(options.json);
            return 2;
        }
    }
    return all.all_violations > 0 || all.cuts == 0;
}

static int replay(void)
{
    const struct powercut_scenario *s =
        options.chosen_count == 1 ? powercut_scenario(options.chosen[0]) : NULL;
    struct powercut_tally t = {0};

    if (!s) {
        fputs(usage, stderr);
        return 2;
    }
    powercut_replay(s, options.cuts, options.cut_count, &t);
    printf("%s\n", t.first[0] ? t.first : "all is well");
    return t.all_violations > 0;
}

static bool take_cut(const char *text)
{
    struct powercut_cut *c = &options.cuts[options.cut_count];
    unsigned way = 0, variant = 0;

    if (options.cut_count == 2 || sscanf(text, "%" SCNu64 ":%u:%u", &c->at, &way, &variant) < 2 ||
        way >= POWERCUT_WAYS || variant > UINT8_MAX)
        return false;
    c->way = (uint8_t)way;
    c->variant = (uint8_t)variant;
    options.cut_count++;
    return true;
}

static bool take_option(const char *name, const char *value, int *used)
{
    *used = 1;
    if (strcmp(name, "--quick") == 0)
        return options.quick = true;
    *used = 2;
    if (!value)
        return false;
    if (strcmp(name, "--jobs") == 0)
        return (options.jobs = (unsigned)atoi(value)) > 0;
    if (strcmp(name, "--json") == 0)
        return (options.json = value) != NULL;
    if (strcmp(name, "--scenario") == 0 && options.chosen_count < 64)
        return (options.chosen[options.chosen_count++] = value) && powercut_scenario(value);
    return strcmp(name, "--cut") == 0 && take_cut(value);
}

int main(int argc, char **argv)
{
    int used;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (unsigned i = 0; i < powercut_scenario_count; i++)
            puts(powercut_scenarios[i].name);
        return 0;
    }
    for (int i = 1; i < argc; i += used) {
        if (!take_option(argv[i], argv[i + 1], &used)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    powercut_progress = true;
    powercut_images_make();
    int status = options.cut_count > 0 ? replay() : sweep_all();
    powercut_images_free();
    return status;
}
