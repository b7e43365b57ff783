/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one RMCP+ packet costs: seals and opens messages of 256 data bytes in one process, without
 * sockets. Called by the benchmark; prints one line: suite, data bytes, microseconds to seal and
 * to open.
 *
 * usage: packets SUITE COUNT
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#include "link/rmcp/session.h"

#define DATA 256

static double seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(int error, const char *what)
{
    if (error == FWR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, fwr_error_text(error));
    exit(1);
}

struct ends {
    struct fwr_rmcp_session from, to;
    struct fwr_rmcp_random random;
    struct fwr_rmcp_mac mac;
};

static void begin(struct ends *ends, const struct fwr_rmcp_suite *suite)
{
    static const uint8_t sik[FWR_RMCP_DIGEST_MAX] = {1, 2, 3};

    fwr_rmcp_random_init(&ends->random, &fwr_platform_default);
    must(fwr_rmcp_mac_init(&ends->mac), "HMAC");
    must(fwr_rmcp_session_init(&ends->from), "session");
    must(fwr_rmcp_session_init(&ends->to), "session");
    must(fwr_rmcp_session_begin(&ends->from, &ends->mac, suite, sik, 1, 2), "keys");
    must(fwr_rmcp_session_begin(&ends->to, &ends->mac, suite, sik, 2, 1), "keys");
}

static void end(struct ends *ends)
{
    fwr_rmcp_session_free(&ends->from);
    fwr_rmcp_session_free(&ends->to);
    fwr_rmcp_mac_free(&ends->mac);
}

int main(int argc, char **argv)
{
    const struct fwr_rmcp_suite *suite =
        argc == 3 ? fwr_rmcp_suite_by_id((uint8_t)atoi(argv[1])) : NULL;
    const unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    static uint8_t data[DATA], datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_message message = {.netfn = 0x2f, .data = data, .length = sizeof(data)}, opened;
    struct fwr_rmcp_counters counters = {0};
    struct fwr_rmcp_packet packet;
    double sealing = 0, opening = 0;
    struct ends ends = {0};
    size_t length;

    if (suite == NULL || count == 0) {
        fprintf(stderr, "usage: %s 3|17 COUNT\n", argv[0]);
        return 2;
    }
    begin(&ends, suite);
    for (unsigned long i = 0; i < count; i++) {
        double began = seconds(), sealed;

        must(fwr_rmcp_session_seal(&ends.from, &ends.random, &message, sizeof(datagram), datagram,
                                   sizeof(datagram), &length),
             "seal");
        sealed = seconds();
        must(fwr_rmcp_packet_decode(&packet, datagram, length), "decode");
        must(fwr_rmcp_session_open(&ends.to, &packet, datagram, length, &opened, &counters),
             "open");
        opening += seconds() - sealed;
        sealing += sealed - began;
    }
    printf("suite=%d data=%d seal_us=%.3f open_us=%.3f\n", suite->id, DATA,
           sealing / (double)count * 1e6, opening / (double)count * 1e6);
    end(&ends);
    return 0;
}
