/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test programs on real UDP sockets have in common: the time, a socket (lan.h) on a free
 * port whose number the test reads from standard output, and a socket that is connected.
 */
#ifndef FWR_TESTS_E2E_UDP_H
#define FWR_TESTS_E2E_UDP_H

#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/lan.h>

static inline uint64_t udp_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* A socket on a free port of the numeric address, its number in *port; -1. */
static inline int udp_bind(const char *address, unsigned *port)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_DGRAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICHOST,
    };
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    struct addrinfo *found;
    int handle;

    if (getaddrinfo(address, "0", &hints, &found) != 0)
        return -1;
    memset(&bound, 0, sizeof(bound));
    if (fwr_lan_bind(&handle, found->ai_addr, found->ai_addrlen, NULL) != FWR_OK ||
        getsockname(handle, (struct sockaddr *)&bound, &length) != 0)
        return -1;
    freeaddrinfo(found);
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    return handle;
}

/* A socket connected to the numeric address and port; -1. */
static inline int udp_connect(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    int handle;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    fwr_lan_connect(&handle, found->ai_addr, found->ai_addrlen, NULL); /* -1 when it fails */
    freeaddrinfo(found);
    return handle;
}

#endif
