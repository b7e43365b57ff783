/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link contract and what engines know of a peer. A link carries IPMI messages to one peer
 * over one road (an RMCP+ session, an ICMB bridge, a serial line). It is trusted with nothing:
 * it only carries bytes.
 */
#ifndef FWRECOVER_LINK_H
#define FWRECOVER_LINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Best first: the default policy ranks by this order. */
enum fwr_medium {
    FWR_MEDIUM_LOCAL,
    FWR_MEDIUM_LAN,
    FWR_MEDIUM_WLAN,
    FWR_MEDIUM_BLUETOOTH,
    FWR_MEDIUM_SERIAL,
    FWR_MEDIUM_ICMB,
    FWR_MEDIUM_COUNT,
};

/* "lan", "icmb", …; "unknown" outside the enum. */
const char *fwr_medium_name(enum fwr_medium medium);

/* What one road can carry. Bytes count the data after the IANA number (requests), or after the
 * completion code and the IANA number (replies). */
struct fwr_link_limits {
    uint16_t max_request;   /* at least 16 */
    uint16_t max_reply;     /* at least 19 */
    uint8_t window;         /* requests outstanding at once, at least 1 */
    uint8_t medium;         /* enum fwr_medium */
    uint32_t round_trip_ms; /* estimate to start with; 0 = unknown */
    uint16_t broadcast;     /* data bytes of one Block Data message to everybody on this road at
                               once; 0 = it has no such thing */
};

/* The smallest limits any road has: group OEM bridged over ICMB. */
#define FWR_LINK_MIN_REQUEST 16
#define FWR_LINK_MIN_REPLY   19

/* IPMI privilege levels (IPMI 2.0 section 6.8). */
enum fwr_privilege {
    FWR_PRIVILEGE_NONE = 0,
    FWR_PRIVILEGE_CALLBACK = 1,
    FWR_PRIVILEGE_USER = 2,
    FWR_PRIVILEGE_OPERATOR = 3,
    FWR_PRIVILEGE_ADMIN = 4,
};

/* How a message came: filled in by the adapter from the session, never from the message. */
enum fwr_security {
    FWR_SECURITY_NONE = 0,  /* sessionless, IPMI 1.5, or a bus without sessions */
    FWR_SECURITY_SUITE = 1, /* RMCP+ on a configured cipher suite, authenticated and encrypted */
    FWR_SECURITY_LOCAL = 2, /* the system interface or this very program */
};

/* Who sent a request. Two requests are from the same peer when link and session are equal. */
struct fwr_caller {
    uint16_t link;      /* the adapter's number for the road */
    uint8_t medium;     /* enum fwr_medium */
    uint8_t privilege;  /* enum fwr_privilege */
    uint8_t security;   /* enum fwr_security */
    uint32_t session;   /* the road's handle for the session, or the sender's address */
    uint16_t max_reply; /* longest reply data the road takes now */
    uint8_t peer;       /* 1 + the index of the recipient's configured peer at the sender's
                           address; 0 = none, or not known */
    uint16_t broadcast; /* as in struct fwr_link_limits, of the road the request came over */
};

/* A road to one donor, for programs that drive a recipient with fwr_pump (oem.h). */
struct fwr_link {
    size_t size; /* sizeof(struct fwr_link) */
    void *ctx;

    void (*limits)(void *ctx, struct fwr_link_limits *limits);

    /* Sends one OEM request (network function 2Eh): `command` is an enum fwr_command; the link
     * adds the command base and the IANA number. The reply
     * comes back through the adapter, with the same cookie (data[0]). FWR_OK; FWR_E_BUSY when
     * nothing can be sent now: the engine is told so and tries again; FWR_E_SESSION_… when the
     * road is down. */
    int (*send)(void *ctx, uint64_t now, uint8_t command, const uint8_t *data, size_t length);
};

#ifdef __cplusplus
}
#endif

#endif
