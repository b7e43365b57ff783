/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock, log, signals and addresses for the commands that talk. The one static
 * variable is the wish to stop, because a signal handler has nowhere else to put it.
 */
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): glibc reads it
#define _GNU_SOURCE /* ppoll */
#include "tools/net.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "tools/number.h"
#include "tools/say.h"

#define HOST_MAX 256

static volatile sig_atomic_t stop_wanted;
static sigset_t waiting_mask;

uint64_t tool_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void log_line(void *ctx, enum fwr_log_level level, const char *text)
{
    const bool *verbose = ctx;

    if (level == FWR_LOG_DEBUG && verbose == NULL)
        return;
    fprintf(stderr, "%s%s\n", level == FWR_LOG_ERROR ? "error: " : "", text);
}

void tool_platform_init(struct fwr_platform *platform, bool verbose)
{
    static bool debug_lines = true;

    *platform = fwr_platform_default;
    platform->log = log_line;
    platform->ctx = verbose ? &debug_lines : NULL;
}

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

void tool_stop_init(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    /* Blocked except while waiting: a signal between a look at the flag and the wait is kept. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigdelset(&waiting_mask, SIGTERM);
    sigdelset(&waiting_mask, SIGINT);
    sigdelset(&waiting_mask, SIGHUP);
}

bool tool_stopped(void)
{
    return stop_wanted != 0;
}

void tool_poll(struct pollfd *handles, size_t count, uint64_t deadline)
{
    struct timespec wait = {0, 0};
    uint64_t now = tool_now();

    if (deadline != FWR_NEVER && deadline > now) {
        wait.tv_sec = (time_t)((deadline - now) / 1000);
        wait.tv_nsec = (long)((deadline - now) % 1000) * 1000000;
    }
    for (size_t i = 0; i < count; i++)
        handles[i].revents = 0;
    ppoll(handles, count, deadline == FWR_NEVER ? NULL : &wait, &waiting_mask);
}

/* Splits HOST and PORT; the default port when there is none. */
static bool split(const char *text, char host[HOST_MAX], char port[8])
{
    const char *colon = strrchr(text, ':');
    const char *end = text + strlen(text);
    uint64_t number = FWR_RMCP_PORT;

    if (*text == '[') {
        const char *bracket = strchr(++text, ']');

        if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':'))
            return false;
        end = bracket;
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        colon = NULL; /* a bare IPv6 address */
    } else if (colon != NULL) {
        end = colon;
    }
    if (colon != NULL && !tool_number(colon + 1, UINT16_MAX, &number))
        return false;
    if ((size_t)(end - text) >= HOST_MAX)
        return false;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    snprintf(port, 8, "%u", (unsigned)number);
    return true;
}

/* Takes %INTERFACE off a host, unless it is a link-local IPv6 address: there it is a part of it,
 * and the address knows its interface already. */
static bool take_interface(char *host, char interface[FWR_LAN_NAME_MAX])
{
    char *percent = strchr(host, '%');

    interface[0] = '\0';
    if (percent == NULL)
        return true;
    if (percent[1] == '\0' || strlen(percent + 1) >= FWR_LAN_NAME_MAX)
        return false;
    memcpy(interface, percent + 1, strlen(percent + 1) + 1);
    if (strncasecmp(host, "fe80:", 5) != 0)
        *percent = '\0';
    return true;
}

int tool_resolve(const char *text, bool passive, struct addrinfo **addresses,
                 char interface[FWR_LAN_NAME_MAX])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
                                   .ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG};
    char host[HOST_MAX], port[8];
    bool any;
    int failure;

    if (!split(text, host, port) || !take_interface(host, interface))
        return tool_usage("%s: not HOST, HOST:PORT or [ADDRESS]:PORT", text);
    any = host[0] == '\0' || strcmp(host, "*") == 0;
    if (any && !passive)
        return tool_usage("%s: a host is needed", text);
    failure = getaddrinfo(any ? NULL : host, port, &hints, addresses);
    if (failure == EAI_SYSTEM)
        return tool_system_error(errno, text, "looking up the address");
    if (failure != 0)
        return tool_errorf(FWR_E_NO_DONOR, text, "%s", gai_strerror(failure));
    return TOOL_OK;
}

void tool_address_text(const struct sockaddr *address, socklen_t length,
                       char text[TOOL_ADDRESS_TEXT])
{
    char host[64], port[8];

    if (getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM) != 0)
        snprintf(text, TOOL_ADDRESS_TEXT, "?");
    else
        snprintf(text, TOOL_ADDRESS_TEXT, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
                 host, port);
}
