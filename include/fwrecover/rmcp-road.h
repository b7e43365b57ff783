/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road to one peer over RMCP+: a session that opens by itself when there is something to send,
 * closes when it is idle, and is tried again, after a growing pause, when it failed. It makes
 * an initiator (rmcp.h) into a struct fwr_link, and knows no socket, no clock and no command.
 *
 * Requests are sent once: whoever wants an answer repeats them.
 */
#ifndef FWRECOVER_RMCP_ROAD_H
#define FWRECOVER_RMCP_ROAD_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/link.h>
#include <fwrecover/rmcp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fwr_rmcp_road;

/* Const, and kept by the caller until fwr_rmcp_road_end. No callback may end the road. */
struct fwr_rmcp_road_config {
    size_t size; /* sizeof(struct fwr_rmcp_road_config) */
    const struct fwr_rmcp_initiator_config *session;
    const struct fwr_link_limits *limits; /* what the road carries; see fwr_rmcp_max_reply */
    uint32_t iana;                        /* 24 bits */
    uint8_t command_base;                 /* FWR_COMMAND_BASE */
    void *ctx;

    /* Sends one datagram to the peer. What the network refuses is lost, and FWR_OK; an error
     * means that there is no way to send at all (no socket), and the road goes down with it. */
    int (*transmit)(void *ctx, const uint8_t *datagram, size_t length);
    /* An answer to `command` (enum fwr_command), from the completion code on. */
    void (*reply)(void *ctx, uint8_t command, const uint8_t *reply, size_t length);
    /* The road opened (FWR_OK, with its limits), is worth another try (FWR_OK, NULL), or went
     * down: pass it on to fwr_recipient_peer. */
    void (*state)(void *ctx, int error, const struct fwr_link_limits *limits);
};

/* Bytes of storage for one road, aligned as max_align_t. */
size_t fwr_rmcp_road_storage(void);

/* Makes a road that is closed. FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE, or an error of
 * fwr_rmcp_initiator_init. */
int fwr_rmcp_road_init(struct fwr_rmcp_road **road, void *storage, size_t size,
                       const struct fwr_rmcp_road_config *config);

/* Says good-bye to the peer and wipes everything. NULL is allowed. */
void fwr_rmcp_road_end(struct fwr_rmcp_road *road);

/* For fwr_oem_pump. */
const struct fwr_link *fwr_rmcp_road_link(const struct fwr_rmcp_road *road);

/* As the link's send. FWR_E_BUSY also while the session is being opened. */
int fwr_rmcp_road_send(struct fwr_rmcp_road *road, uint64_t now, uint8_t command,
                       const uint8_t *data, size_t length);

/* Begins a session at once, whatever pause is under way: for a caller that knows another
 * address. FWR_OK, FWR_E_STATE (one is open or being opened), or an error of transmit. */
int fwr_rmcp_road_open(struct fwr_rmcp_road *road, uint64_t now);

/* A road that is down is worth another try now, whatever is left of its pause. */
void fwr_rmcp_road_retry(struct fwr_rmcp_road *road);

/* A datagram came from the peer; it is decrypted in place. */
void fwr_rmcp_road_receive(struct fwr_rmcp_road *road, uint64_t now, uint8_t *datagram,
                           size_t length);

/* The network says that nobody listens there. */
void fwr_rmcp_road_unreachable(struct fwr_rmcp_road *road, uint64_t now);

/* When _timeout wants to be called; FWR_NEVER. */
uint64_t fwr_rmcp_road_next_timeout(const struct fwr_rmcp_road *road);
void fwr_rmcp_road_timeout(struct fwr_rmcp_road *road, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
