/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that leave together: a run of equal length to one address, of which the last may be
 * shorter, is one call where the kernel cuts it up itself (UDP_SEGMENT), and a call each where
 * it does not. What the kernel refuses is lost, like any datagram, and `error` says why. Nothing
 * waits here by itself: who puts something in sends it off in the same turn of the loop.
 */
#ifndef FWR_TOOLS_OUTBOX_H
#define FWR_TOOLS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <fwrecover/rmcp.h>

#define TOOL_OUTBOX_DATAGRAMS 16

/* The caller's, zeroed. */
struct tool_outbox {
    bool one_by_one; /* this kernel, or this road, does not cut runs up */
    int error;       /* errno of what the kernel refused last; the caller may clear it */
    int fd;
    struct sockaddr_storage to;
    socklen_t to_length; /* 0: a connected socket */
    size_t each;         /* length of every datagram of the run but the last */
    size_t length;       /* of the run; 0: empty */
    uint8_t bytes[TOOL_OUTBOX_DATAGRAMS * FWR_RMCP_DATAGRAM_MAX];
};

/* `to_length` 0: the socket is connected. Sends what does not go together with it first. */
void tool_outbox_put(struct tool_outbox *outbox, int fd, const void *to, socklen_t to_length,
                     const uint8_t *datagram, size_t length);

void tool_outbox_send(struct tool_outbox *outbox);

#endif
