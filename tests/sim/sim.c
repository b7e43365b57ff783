/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs worlds in a box (box.h), one for each seed, in parallel processes; says what they went
 * through, and prints every seed that broke a rule.
 */
#include "tests/sim/box.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#define JOBS_MAX     64
#define COUNTS_ASKED 500 /* from so many seeds on, everything must have happened */

struct options {
    uint64_t first, seeds;
    unsigned jobs;
    bool trace;
};

/* What a worker tells; in memory that parent and workers share. */
struct report {
    uint64_t seed; /* in work */
    uint64_t done, violated;
    uint64_t longest; /* ms from the end of the faults to the last BMC that finished */
    uint64_t counts[BOX_COUNT_COUNT];
};

static void play(struct report *report, uint64_t seed, uint8_t *digest)
{
    report->seed = seed;
    struct box *box = box_run(seed, NULL);
    memcpy(digest, box->trace.result, 32);
    for (int i = 0; i < BOX_COUNT_COUNT; i++)
        report->counts[i] += box->counts[i];
    report->done++;
    if (box->longest > report->longest)
        report->longest = box->longest;
    if (box->violated) {
        report->violated++;
        box_report(box, stdout);
        fflush(stdout);
    }
    box_free(box);
}

static void work(const struct options *o, unsigned job, struct report *report, uint8_t *digests)
{
    for (uint64_t i = job; i < o->seeds; i += o->jobs)
        play(report, o->first + i, digests + 32 * i);
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return memory;
}

/* Starts the workers and waits for them. False when one of them died. */
static bool run(const struct options *o, struct report *reports, uint8_t *digests)
{
    pid_t workers[JOBS_MAX];
    bool fine = true;

    fflush(stdout);
    for (unsigned job = 0; job < o->jobs; job++) {
        workers[job] = fork();
        if (workers[job] < 0) {
            perror("fork");
            exit(2);
        }
        if (workers[job] == 0) {
            work(o, job, &reports[job], digests);
            fflush(stdout);
            _exit(0);
        }
    }
    for (unsigned job = 0; job < o->jobs; job++) {
        int status = 0;
        waitpid(workers[job], &status, 0);
        if (status == 0)
            continue;
        fine = false;
        printf("seed %llu: the program died (status %#x)\nto see it: make sim SEED=%llu\n",
               (unsigned long long)reports[job].seed, (unsigned)status,
               (unsigned long long)reports[job].seed);
    }
    return fine;
}

/* False when something never happened that should have. */
static bool say_counts(const struct report *total, bool asked)
{
    bool all = true;

    for (int i = 0; i < BOX_COUNT_COUNT; i++) {
        printf("%12llu  %s\n", (unsigned long long)total->counts[i],
               box_count_text((enum box_count)i));
        all &= total->counts[i] > 0;
    }
    if (!all && asked)
        printf("something above never happened: the simulation does not do what it claims\n");
    return all || !asked;
}

static int sweep(const struct options *o)
{
    struct report *reports = shared(sizeof(*reports) * o->jobs), total = {0};
    uint8_t *digests = shared(32 * o->seeds), digest[32];
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    bool fine = run(o, reports, digests);
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (unsigned job = 0; job < o->jobs; job++) {
        total.done += reports[job].done;
        total.violated += reports[job].violated;
        if (reports[job].longest > total.longest)
            total.longest = reports[job].longest;
        for (int i = 0; i < BOX_COUNT_COUNT; i++)
            total.counts[i] += reports[job].counts[i];
    }
    fine &= say_counts(&total, o->seeds >= COUNTS_ASKED);
    printf("%12.1f  seconds at most from the last fault until all had finished who could\n",
           (double)total.longest / 1000);
    if (EVP_Digest(digests, 32 * o->seeds, digest, NULL, EVP_sha256(), NULL) != 1)
        return 2;
    printf("%llu seeds from %llu: %llu violations, %.1f s on %u processes, digest of all traces ",
           (unsigned long long)total.done, (unsigned long long)o->first,
           (unsigned long long)total.violated,
           (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9,
           o->jobs);
    for (int i = 0; i < 8; i++)
        printf("%02x", digest[i]);
    printf("\n");
    return fine && total.violated == 0 && total.done == o->seeds ? 0 : 1;
}

static int one(uint64_t seed, bool trace)
{
    struct box *box = box_run(seed, trace ? stdout : NULL);
    bool violated = box->violated;

    if (violated)
        box_report(box, stdout);
    printf("seed %llu: %s, %llu events, digest ", (unsigned long long)seed,
           violated ? "VIOLATED" : "no violation", (unsigned long long)box->trace.lines);
    for (int i = 0; i < 32; i++)
        printf("%02x", box->trace.result[i]);
    printf("\n");
    box_free(box);
    return violated;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void usage(void)
{
    puts("usage: sim [--seeds N] [--first SEED] [--jobs N]   many seeds\n"
         "       sim --seed SEED [--trace]                   one, with every event");
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"seeds", required_argument, NULL, 'n'},
                                          {"first", required_argument, NULL, 'f'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"trace", no_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options o = {.first = 1, .seeds = 100, .jobs = cores > 0 ? (unsigned)cores : 1};
    bool single = false;
    uint64_t seed = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'n')
            o.seeds = number(optarg);
        else if (c == 'f')
            o.first = number(optarg);
        else if (c == 'j')
            o.jobs = (unsigned)number(optarg);
        else if (c == 's') {
            single = true;
            seed = number(optarg);
        } else if (c == 't')
            o.trace = true;
        else {
            usage();
            return c == 'h' ? 0 : 2;
        }
    }
    if (o.seeds == 0 || o.jobs == 0) {
        usage();
        return 2;
    }
    if (o.jobs > JOBS_MAX)
        o.jobs = JOBS_MAX;
    return single ? one(seed, o.trace) : sweep(&o);
}
