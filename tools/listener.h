/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening UDP socket with an RMCP+ responder behind it: datagrams in, the dispatcher asked,
 * answers out. Called by `serve`; knows no engine beyond struct fwr_oem.
 */
#ifndef FWR_TOOLS_LISTENER_H
#define FWR_TOOLS_LISTENER_H

#include <fwrecover/oem.h>
#include <fwrecover/rmcp.h>

#include "tools/net.h"

struct tool_listener {
    int fd;
    uint16_t link; /* its number in struct fwr_caller */
    char address[TOOL_ADDRESS_TEXT];
    struct fwr_rmcp_responder_config config;
    struct fwr_rmcp_responder *responder;
    void *storage;
    const struct fwr_oem *oem;
};

/* Binds one address. `config` is copied but for its datagram size; what it points to and `oem`
 * must outlive the listener. Reports its failures. */
int tool_listener_open(struct tool_listener *listener, uint16_t link,
                       const struct addrinfo *address,
                       const struct fwr_rmcp_responder_config *config, const struct fwr_oem *oem);
void tool_listener_close(struct tool_listener *listener);

/* Answers what has arrived, a bounded number of datagrams. */
void tool_listener_readable(struct tool_listener *listener);

uint64_t tool_listener_next_timeout(const struct tool_listener *listener);
void tool_listener_timeout(struct tool_listener *listener, uint64_t now);

#endif
