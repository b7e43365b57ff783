/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of an active session share: ids, sequence numbers, replay window, and turning
 * an IPMI message into a sealed datagram and back. The initiator and each responder slot have
 * one. Makes no decisions about commands.
 */
#ifndef FWR_LINK_RMCP_SESSION_H
#define FWR_LINK_RMCP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/rmcp.h>

#include "crypto.h"
#include "packet.h"

struct fwr_rmcp_session {
    uint32_t local_id; /* in packets to us */
    uint32_t peer_id;  /* in packets from us */
    uint32_t sent;     /* sequence number of our last packet */
    uint32_t newest;   /* newest sequence number received */
    uint32_t seen;     /* bit n: newest - n was received */
    struct fwr_rmcp_keys keys;
};

/* FWR_OK, FWR_E_ALGORITHM, FWR_E_CRYPTO. Allocates libcrypto's contexts. */
int fwr_rmcp_session_init(struct fwr_rmcp_session *session);
void fwr_rmcp_session_free(struct fwr_rmcp_session *session);

/* Starts with fresh sequence numbers and the keys that follow from `sik`. */
int fwr_rmcp_session_begin(struct fwr_rmcp_session *session, struct fwr_rmcp_mac *mac,
                           const struct fwr_rmcp_suite *suite, const uint8_t *sik,
                           uint32_t local_id, uint32_t peer_id);
/* Wipes keys and ids. */
void fwr_rmcp_session_end(struct fwr_rmcp_session *session);

/* The longest IPMI message, headers and checksums included, that a datagram carries; 0: none. */
size_t fwr_rmcp_session_capacity(const struct fwr_rmcp_suite *suite, size_t datagram);

/* Encodes, encrypts and authenticates `message` into `buffer`. `limit` is the largest datagram
 * allowed on the road. FWR_E_LENGTH: does not fit `limit`. FWR_E_NO_SPACE: does not fit `size`.
 * FWR_E_RANDOM, FWR_E_CRYPTO. A sequence number is used only on FWR_OK. */
int fwr_rmcp_session_seal(struct fwr_rmcp_session *session, struct fwr_rmcp_random *random,
                          const struct fwr_rmcp_message *message, size_t limit, uint8_t *buffer,
                          size_t size, size_t *length);

/* Checks, decrypts in place and decodes a packet that was decoded from `datagram`.
 * FWR_E_MALFORMED; FWR_E_SESSION_SUITE: not encrypted and authenticated; FWR_E_SESSION_AUTH:
 * wrong integrity code; FWR_E_STALE: replayed or too old; FWR_E_CRYPTO; also counted. */
int fwr_rmcp_session_open(struct fwr_rmcp_session *session, const struct fwr_rmcp_packet *packet,
                          uint8_t *datagram, size_t length, struct fwr_rmcp_message *message,
                          struct fwr_rmcp_counters *counters);

#endif
