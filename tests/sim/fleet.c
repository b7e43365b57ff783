/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storms of `make fleet`: every load, loss and number of seed donors that it is told, a few at
 * a time, each in a process of its own. Prints the figures and a table of them against the
 * targets, and writes fleet.json and fleet.svg to the folder it runs in. Ends with 1 when a
 * target was missed.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/fleet.h"

#define RUNS_MAX 64
#define LIST_MAX 8

struct list {
    uint32_t values[LIST_MAX];
    size_t count;
};

static bool parse_list(const char *text, struct list *list)
{
    char *end;

    list->count = 0;
    do {
        list->values[list->count++] = (uint32_t)strtoul(text, &end, 10);
        if (end == text)
            return false;
        text = end + 1;
    } while (*end == ',' && list->count < LIST_MAX);
    return *end == '\0';
}

static int usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--nodes N] [--seeds N,…] [--loss PERMILLE,…] [--load 64k|4m|both]\n"
            "       [--random N] [--listed SEEDS,NEAR,FAR] [--backoff MS] [--limit SECONDS]\n"
            "       [--jobs N]\n",
            name);
    return 2;
}

struct plan {
    struct fleet_options options;
    struct list seeds, losses;
    bool loads[2];
    uint32_t jobs;
};

static bool parse_load(const char *value, struct plan *plan)
{
    plan->loads[0] = strcmp(value, "64k") == 0 || strcmp(value, "both") == 0;
    plan->loads[1] = strcmp(value, "4m") == 0 || strcmp(value, "both") == 0;
    return plan->loads[0] || plan->loads[1];
}

static bool parse_option(const char *name, const char *value, struct plan *plan)
{
    struct fleet_options *o = &plan->options;
    struct list list;

    if (strcmp(name, "--load") == 0)
        return parse_load(value, plan);
    if (!parse_list(value, &list))
        return false;
    uint32_t first = list.values[0];
    if (strcmp(name, "--seeds") == 0)
        plan->seeds = list;
    else if (strcmp(name, "--loss") == 0)
        plan->losses = list;
    else if (strcmp(name, "--nodes") == 0)
        o->nodes = first;
    else if (strcmp(name, "--random") == 0)
        o->seed = first;
    else if (strcmp(name, "--backoff") == 0)
        o->backoff_ms = first;
    else if (strcmp(name, "--limit") == 0)
        o->limit_s = first;
    else if (strcmp(name, "--jobs") == 0)
        plan->jobs = first;
    else if (strcmp(name, "--listed") == 0 && list.count == 3) {
        o->listed_seeds = list.values[0];
        o->listed_near = list.values[1];
        o->listed_far = list.values[2];
    } else
        return false;
    return true;
}

/* One storm, in a process of its own. */
static void begin(struct fleet_result *result)
{
    struct fleet_options options = result->options;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        fleet_run(&options, result);
        fleet_print(stdout, result);
        _exit(0);
    }
    if (child < 0) {
        perror("fork");
        exit(1);
    }
}

/* Waits for a storm that is under way. False when its process died. */
static bool end_one(void)
{
    int status = 1;

    return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    struct plan plan = {.options = {.nodes = 10000, .seed = 1},
                        .seeds = {{1, 10, 100}, 3},
                        .losses = {{10, 300}, 2},
                        .loads = {true, true},
                        .jobs = 2};
    struct fleet_result *results = mmap(NULL, RUNS_MAX * sizeof(*results), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t count = 0;
    bool good = results != MAP_FAILED;

    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !parse_option(argv[i], argv[i + 1], &plan))
            return usage(argv[0]);
    if (!good || plan.options.nodes == 0 || plan.options.nodes > 100000 || plan.jobs == 0)
        return usage(argv[0]);
    for (int whole = 0; whole < 2; whole++)
        for (size_t l = 0; l < plan.losses.count && plan.loads[whole]; l++)
            for (size_t s = 0; s < plan.seeds.count && count < RUNS_MAX; s++) {
                if (count >= plan.jobs)
                    good &= end_one();
                plan.options.whole = whole;
                plan.options.loss = plan.losses.values[l];
                plan.options.seeds = plan.seeds.values[s];
                results[count].options = plan.options;
                begin(&results[count++]);
            }
    for (size_t i = 0; i < plan.jobs && i < count; i++)
        good &= end_one();
    fleet_table(stdout, results, count);
    for (size_t i = 0; i < count; i++)
        good &= fleet_good(&results[i]);
    if (!fleet_plot_json("fleet.json", results, count) ||
        !fleet_plot_svg("fleet.svg", results, count)) {
        perror("fleet.json, fleet.svg");
        return 1;
    }
    return good ? 0 : 1;
}
