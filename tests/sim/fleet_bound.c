/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the capacity bounds of the fleet's storms: what fleet-bound.c computes, by load and
 * number of seed donors. Run by `make fleet`, and by hand: fleet_bound [recipients].
 */
#include "tests/sim/fleet.h"

int main(int argc, char **argv)
{
    static const uint32_t seeds[] = {1, 10, 100};
    struct fleet_options options = {.nodes = 10000};
    double p50, p99, p100;

    if (argc > 1)
        options.nodes = (uint32_t)strtoul(argv[1], NULL, 10);
    if (options.nodes == 0 || options.nodes > 100000) {
        fprintf(stderr, "usage: %s [recipients, 1 to 100000]\n", argv[0]);
        return 2;
    }
    printf("# capacity bound, %u recipients: an ideal scheduler with full knowledge, 4 transfers "
           "and 2 MB/s a donor\n",
           (unsigned)options.nodes);
    for (int whole = 0; whole < 2; whole++)
        for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
            options.whole = whole;
            options.seeds = seeds[i];
            fleet_bound(&options, &p50, &p99, &p100);
            printf("# %-22s %3u seeds: 50 %% in %7.2f s, 99 %% in %7.2f s, all in %7.2f s\n",
                   whole ? "a whole 4 MiB image" : "64 KiB of 16 MiB", (unsigned)seeds[i], p50, p99,
                   p100);
        }
    return 0;
}
