/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the bridge: what its parts (address.c, table.c, discovery.c, road.c) share. The bridge
 * keeps which requests are on the bus, and hands each reply to who asked.
 */
#ifndef FWR_ICMB_BRIDGE_H
#define FWR_ICMB_BRIDGE_H

#include "link/icmb/address.h"
#include "link/icmb/line.h"

#define FWR_ICMB_SERVED_MAX 32
#define FWR_ICMB_LOCAL_MAX  8

/* A request to another node. */
struct fwr_icmb_ask {
    uint16_t address; /* the broadcast address: done when it is out */
    uint8_t command;
    uint8_t tries;       /* times it is sent; 0: once */
    bool road;           /* one of many; a place is kept free for others */
    uint32_t timeout_ms; /* for the reply, from when it is out */
    const uint8_t *data;
    size_t length;
    void *ctx;
    uint32_t token;
    /* FWR_OK with the reply, completion code first; FWR_E_TIMEOUT; FWR_E_BUSY, the bus was never
     * free; FWR_E_IO, the node does not hear itself; FWR_E_STATE, it lost its address. An Error
     * Report comes as a reply of its completion code alone. May be NULL. */
    void (*done)(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                 size_t length);
};

struct fwr_icmb_asked {
    enum { ICMB_ASK_FREE, ICMB_ASK_QUEUED, ICMB_ASK_SENT } state;
    bool late; /* does not count any more; an answer is still welcome */
    uint16_t generation;
    uint8_t tries;
    bool road;
    uint32_t timeout_us;
    uint64_t deadline;
    void *ctx;
    uint32_t token;
    void (*done)(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                 size_t length);
    struct fwr_icmb_packet packet;
};

/* A request of another node that waits for its answer. */
struct fwr_icmb_served {
    bool used;
    uint16_t generation;
    uint16_t source;
    uint8_t sequence, command;
    uint64_t until;
};

/* A command of the node's own BMC that waits for the bus. */
struct fwr_icmb_local {
    struct fwr_icmb_bridge *bridge;
    bool used;
    uint8_t command;
    uint32_t token;
};

/* Get Addresses: who has not been discovered? */
struct fwr_icmb_collect {
    bool active, sent;
    uint8_t sequence, count;
    uint64_t until;
    uint16_t addresses[FWR_ICMB_ADDRESSES_MAX];
    void *ctx;
    void (*done)(void *ctx, uint64_t now_us, int error, const uint16_t *addresses, uint8_t count);
};

struct fwr_icmb_bridge {
    struct fwr_icmb_config config; /* with its defaults filled in */
    uint16_t broadcast, nobody;    /* addresses */
    uint64_t now_us;
    enum fwr_icmb_state state;
    uint16_t address; /* `nobody` without one */
    struct fwr_icmb_assignment assignment;

    bool discovered;
    uint8_t chassis_device;
    uint16_t proxy_address;
    uint8_t proxy_slave, proxy_lun;
    uint8_t events; /* heard, modulo 256 */
    uint16_t event_destination;
    uint8_t event_reception, event_slave, event_lun;

    uint8_t sequence;
    uint16_t generation;
    struct fwr_icmb_asked asked[FWR_ICMB_OUTSTANDING_MAX];
    struct fwr_icmb_served served[FWR_ICMB_SERVED_MAX];
    struct fwr_icmb_local locals[FWR_ICMB_LOCAL_MAX];
    struct fwr_icmb_collect collect;
    struct fwr_icmb_statistics statistics;
    struct fwr_icmb_line line;
};

/* FWR_OK: `done` will be called, not before this returns. FWR_E_BUSY: too many are on the bus.
 * FWR_E_STATE: no address. FWR_E_LENGTH. */
int fwr_icmb_bridge_ask(struct fwr_icmb_bridge *bridge, uint64_t now_us,
                        const struct fwr_icmb_ask *ask);
/* `done` is not called any more for this context, and this token or any (0). */
void fwr_icmb_bridge_withdraw(struct fwr_icmb_bridge *bridge, const void *ctx, uint32_t token);

/* Where this context has as many requests on the bus as `most`, who asked has given one of them
 * up: the oldest no longer counts as outstanding, though its answer may still come. */
void fwr_icmb_bridge_late(struct fwr_icmb_bridge *bridge, const void *ctx, unsigned most);

/* Whether a request with this context and token has not gone out yet. */
bool fwr_icmb_bridge_unsent(const struct fwr_icmb_bridge *bridge, const void *ctx, uint32_t token);

/* FWR_E_BUSY: somebody else collects. `done` gets at most FWR_ICMB_ADDRESSES_MAX addresses. */
int fwr_icmb_bridge_collect(struct fwr_icmb_bridge *bridge, uint64_t now_us, void *ctx,
                            void (*done)(void *ctx, uint64_t now_us, int error,
                                         const uint16_t *addresses, uint8_t count));

/* An event for the event destination. */
void fwr_icmb_bridge_send_event(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint8_t event);

/* The one function that changes the state. Without an address all that waits ends. */
void fwr_icmb_bridge_enter(struct fwr_icmb_bridge *bridge, uint64_t now_us,
                           enum fwr_icmb_state state, uint16_t address);

/* ---- table.c ---- */

struct fwr_icmb_call {
    struct fwr_icmb_bridge *bridge;
    uint64_t now_us;
    bool local;
    uint8_t privilege;
    uint16_t source; /* from the bus */
    uint32_t token;  /* local */
    uint8_t command, sequence;
    const uint8_t *data;
    size_t length;
    uint8_t *reply; /* behind the completion code */
    size_t capacity, reply_length;
};
#define FWR_ICMB_LATER (-1)

/* The completion code, or FWR_ICMB_LATER. */
int fwr_icmb_table_serve(struct fwr_icmb_call *call);
/* Whether the command may be addressed to everybody. */
bool fwr_icmb_table_for_all(uint8_t command);

#define ICMB_CC_OK          0x00
#define ICMB_CC_BUSY        0xc0
#define ICMB_CC_COMMAND     0xc1
#define ICMB_CC_TIMEOUT     0xc3
#define ICMB_CC_LENGTH      0xc7
#define ICMB_CC_RANGE       0xc9
#define ICMB_CC_FIELD       0xcc
#define ICMB_CC_UNREACHABLE 0xd3
#define ICMB_CC_PRIVILEGE   0xd4
#define ICMB_CC_STATE       0xd5
#define ICMB_CC_OTHER       0xff

#endif
