/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `make icmb`: what a recovery costs on an ICMB at 19,200 bit/s, and discovery on full buses, as
 * a table; icmb.json with --json. Ends with 1 where a flash was not repaired or a target missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/icmb-row.h"

#define KIB UINT32_C(1024)

#define SHARE_LEAST    0.90 /* of what the line allows for the negotiated block */
#define AT_ONCE_MOST   1.0  /* times as long as one by one */
#define BROADCAST_MOST 1.3  /* times the bytes of one chassis, for eight of them */

static struct given_image chip;

static struct scenario {
    const char *name;
    struct row_options options;
    struct row_result result;
} scenarios[] = {
    {.name = "one chassis", .options = {.chassis = 1, .damaged = 64 * KIB}},
    {.name = "one chassis, packets of 64",
     .options = {.chassis = 1, .packet = 64, .damaged = 64 * KIB}},
    {.name = "one chassis, packets of 256",
     .options = {.chassis = 1, .packet = 256, .damaged = 64 * KIB}},
    {.name = "one chassis, 1 in 1,000 characters wrong",
     .options = {.chassis = 1, .damaged = 64 * KIB, .noise = {.single = 1000}}},
    {.name = "8 with the same damage, broadcast", .options = {.chassis = 8, .damaged = 64 * KIB}},
    {.name = "8 with the same damage, asking",
     .options = {.chassis = 8, .damaged = 64 * KIB, .no_broadcast = true}},
    {.name = "8 with different damages, at once",
     .options = {.chassis = 8, .damaged = 64 * KIB, .different = true}},
    {.name = "8 with different damages, one by one",
     .options = {.chassis = 8, .damaged = 64 * KIB, .different = true, .one_by_one = true}},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))
enum { ONE = 0, TOGETHER = 4, AT_ONCE = 6, ONE_BY_ONE = 7 };

static double share(const struct row_result *r)
{
    return r->seconds > 0 ? r->least_seconds / r->seconds : 0;
}

static void print_row(const struct scenario *s)
{
    const struct row_result *r = &s->result;

    char of_limit[16] = "      -"; /* what is sent once for several has no such limit */

    if (r->broadcasts == 0)
        snprintf(of_limit, sizeof(of_limit), "%5.1f %%", 100 * share(r));
    printf("| %-42s | %8.1f | %9llu | %7llu | %5.1f %% | %s | %6llu | %s |\n", s->name, r->seconds,
           (unsigned long long)r->bytes, (unsigned long long)r->packets, 100 * r->busy, of_limit,
           (unsigned long long)r->broadcasts, r->right ? "yes" : "NO");
}

static void json_row(FILE *out, const struct scenario *s)
{
    const struct row_result *r = &s->result;

    fprintf(out,
            "  {\"name\": \"%s\", \"chassis\": %u, \"repaired\": %s, \"seconds\": %.3f, "
            "\"bus_bytes\": %llu, \"packets\": %llu, \"broadcasts\": %llu, \"collisions\": %llu, "
            "\"busy\": %.4f, \"received\": %llu, \"blocks\": %llu, \"block\": %u, "
            "\"least_seconds\": %.3f, \"share\": %.4f}",
            s->name, s->options.chassis, r->right ? "true" : "false", r->seconds,
            (unsigned long long)r->bytes, (unsigned long long)r->packets,
            (unsigned long long)r->broadcasts, (unsigned long long)r->collisions, r->busy,
            (unsigned long long)r->received, (unsigned long long)r->blocks, r->block,
            r->least_seconds, share(r));
}

static bool target(const char *what, double is, double bound, bool at_least)
{
    bool met = at_least ? is >= bound : is <= bound;

    printf("%s: %.3f, at %s %.2f: %s\n", what, is, at_least ? "least" : "most", bound,
           met ? "met" : "MISSED");
    return met;
}

static bool judge(void)
{
    const struct row_result *one = &scenarios[ONE].result;
    bool all = true;

    for (size_t i = 0; i < SCENARIOS; i++)
        all &= scenarios[i].result.right;
    all &= target("share of the limit, one chassis", share(one), SHARE_LEAST, true);
    all &= target("bytes of 8 alike by broadcast, times those of one",
                  (double)scenarios[TOGETHER].result.bytes / (double)one->bytes, BROADCAST_MOST,
                  false);
    all &= target("time of 8 different at once, times one by one",
                  scenarios[AT_ONCE].result.seconds / scenarios[ONE_BY_ONE].result.seconds,
                  AT_ONCE_MOST, false);
    return all;
}

static bool discover(FILE *json)
{
    static const uint16_t sizes[] = {42, 64};
    bool all = true;

    printf(
        "\n| nodes | found | addresses after | discovery | bus bytes |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < 2; i++) {
        struct row_discovery d;
        row_discover(sizes[i], 1 + i, &d);
        all &= d.error == 0 && d.found == sizes[i] - 1 && d.twice == 0;
        printf("| %5u | %5u | %13.1f s | %7.1f s | %9llu |\n", sizes[i], d.found, d.settled,
               d.seconds, (unsigned long long)d.bytes);
        if (json)
            fprintf(json,
                    "%s\n  {\"nodes\": %u, \"found\": %u, \"twice\": %u, \"settled\": %.3f, "
                    "\"seconds\": %.3f, \"bus_bytes\": %llu}",
                    i > 0 ? "," : "", sizes[i], d.found, d.twice, d.settled, d.seconds,
                    (unsigned long long)d.bytes);
    }
    return all;
}

static void run_all(FILE *json)
{
    printf(
        "16 MiB, 64 KiB of it damaged, 19,200 bit/s\n\n"
        "| what                                       | seconds  | bus bytes | packets | busy    "
        "| of limit | to all | repaired |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < SCENARIOS; i++) {
        struct scenario *s = &scenarios[i];
        s->options.image = &chip;
        s->options.seed = 1;
        row_run(&s->options, &s->result);
        print_row(s);
        fflush(stdout);
        if (json) {
            fprintf(json, "%s\n", i > 0 ? "," : "");
            json_row(json, s);
        }
    }
}

int main(int argc, char **argv)
{
    const char *path = argc == 3 && strcmp(argv[1], "--json") == 0 ? argv[2] : NULL;
    FILE *json = path ? fopen(path, "w") : NULL;

    if ((argc > 1 && !path) || (path && !json)) {
        if (path)
            perror(path);
        else
            fputs("usage: icmb [--json FILE]\n", stderr);
        return 2;
    }
    if (json)
        fprintf(json, "{\"scenarios\": [");
    row_image_make(&chip, 4096, 4096);
    run_all(json);
    if (json)
        fprintf(json, "],\n\"discovery\": [");
    bool found = discover(json);
    printf("\n");
    bool met = judge();
    if (json) {
        fprintf(json, "],\n\"met\": %s}\n", found && met ? "true" : "false");
        if (fclose(json) != 0)
            return 2;
    }
    given_image_free(&chip);
    return found && met ? 0 : 1;
}
