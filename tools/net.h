/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands that talk share: the clock, the platform with its log on standard error,
 * being asked to stop, and addresses.
 */
#ifndef FWR_TOOLS_NET_H
#define FWR_TOOLS_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <fwrecover/lan.h>
#include <fwrecover/platform.h>

/* Milliseconds of a monotonic clock. */
uint64_t tool_now(void);

/* Log lines go to standard error: errors and notices, with `verbose` debug lines too. */
void tool_platform_init(struct fwr_platform *platform, bool verbose);

/* From here on SIGTERM, SIGINT and SIGHUP only end waiting in tool_poll and set tool_stopped. */
void tool_stop_init(void);
bool tool_stopped(void);

/* Waits for the handles until `deadline` (FWR_NEVER: for ever), not at all when it has passed. */
void tool_poll(struct pollfd *handles, size_t count, uint64_t deadline);

/* HOST, HOST:PORT, [V6]:PORT or a bare IPv6 address, the host followed by %INTERFACE where it
 * matters; the port is 623 by default. The result is getaddrinfo's, to be freed by freeaddrinfo.
 * With `passive`, an empty host or "*" is every address of this machine. Reports its failures. */
int tool_resolve(const char *text, bool passive, struct addrinfo **addresses,
                 char interface[FWR_LAN_NAME_MAX]);

/* HOST:PORT in numbers. */
#define TOOL_ADDRESS_TEXT 80
void tool_address_text(const struct sockaddr *address, socklen_t length,
                       char text[TOOL_ADDRESS_TEXT]);

#endif
