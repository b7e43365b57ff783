/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node on an ICMB: a bridge on a multi-drop, half-duplex RS-485 bus that every chassis shares.
 * It shares the bus with others, finds itself an address, answers the bridge commands (network
 * function 02h) from its own BMC and from the bus, and carries requests to other nodes.
 *
 * Sans-I/O: characters in, characters out. Since a character lasts about half a millisecond, the
 * bridge counts time in microseconds of a monotonic clock, `now_us`; where engines are joined to
 * it their `now` is now_us / 1000. Nothing on the bus is authenticated: an address proves nothing.
 *
 * What was assumed about ICMB stands in lib/link/icmb/assumed.h.
 */
#ifndef FWRECOVER_ICMB_H
#define FWRECOVER_ICMB_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_NETFN_BRIDGE_REQUEST 0x02
#define FWR_NETFN_BRIDGE_REPLY   0x03

/* Data bytes of a packet. 24 is what leaves 22 request and 23 reply bytes (after the completion
 * code) where both ends have 32-byte IPMB messages; more where both are configured for it. */
#define FWR_ICMB_DATA_DEFAULT 24
#define FWR_ICMB_DATA_MAX     256

#define FWR_ICMB_BIT_RATE 19200 /* 8N1, unless configured */

#define FWR_ICMB_OUTSTANDING_DEFAULT 4
#define FWR_ICMB_OUTSTANDING_MAX     16
#define FWR_ICMB_NODES_MAX           64 /* chassis on one bus */
#define FWR_ICMB_ADDRESSES_MAX       8  /* in one reply to Get Addresses */
#define FWR_ICMB_CONNECTOR_MAX       16 /* characters of a connector's name */

/* Longest reply to a local bridge command: completion code and what a remote node's packet had. */
#define FWR_ICMB_REPLY_MAX (1 + FWR_ICMB_DATA_MAX)

enum fwr_icmb_command {
    FWR_ICMB_GET_BRIDGE_STATE = 0x00,
    FWR_ICMB_SET_BRIDGE_STATE = 0x01,
    FWR_ICMB_GET_ADDRESS = 0x02,
    FWR_ICMB_SET_ADDRESS = 0x03,
    FWR_ICMB_SET_PROXY_ADDRESS = 0x04,
    FWR_ICMB_GET_STATISTICS = 0x05,
    FWR_ICMB_GET_CAPABILITIES = 0x06,
    FWR_ICMB_CLEAR_STATISTICS = 0x08,
    FWR_ICMB_GET_PROXY_ADDRESS = 0x09,
    FWR_ICMB_GET_CONNECTOR_INFO = 0x0a,
    FWR_ICMB_GET_CONNECTION_ID = 0x0b,
    FWR_ICMB_SEND_CONNECTION_ID = 0x0c,
    FWR_ICMB_PREPARE_FOR_DISCOVERY = 0x10,
    FWR_ICMB_GET_ADDRESSES = 0x11,
    FWR_ICMB_SET_DISCOVERED = 0x12,
    FWR_ICMB_GET_CHASSIS_DEVICE_ID = 0x13,
    FWR_ICMB_SET_CHASSIS_DEVICE_ID = 0x14,
    FWR_ICMB_BRIDGE_REQUEST = 0x20,
    FWR_ICMB_BRIDGE_MESSAGE = 0x21,
    FWR_ICMB_GET_EVENT_COUNT = 0x30,
    FWR_ICMB_SET_EVENT_DESTINATION = 0x31,
    FWR_ICMB_SET_EVENT_RECEPTION = 0x32,
    FWR_ICMB_SEND_EVENT = 0x33,
    FWR_ICMB_GET_EVENT_DESTINATION = 0x34,
    FWR_ICMB_GET_EVENT_RECEPTION = 0x35,
    FWR_ICMB_OEM_FIRST = 0xc0,
    FWR_ICMB_OEM_LAST = 0xfe,
    FWR_ICMB_ERROR_REPORT = 0xff,
};

enum fwr_icmb_state {
    FWR_ICMB_DISABLED = 0,
    FWR_ICMB_ENABLED = 1,
    FWR_ICMB_ASSIGNING = 2, /* looks for an address that nobody has */
    FWR_ICMB_ERROR = 3,     /* lost its address too often; tries again after a while */
};

enum fwr_icmb_event {
    FWR_ICMB_EVENT_ONLINE = 0,
    FWR_ICMB_EVENT_ATTENTION = 1,
    FWR_ICMB_EVENT_DISCOVERY_START = 2,
    FWR_ICMB_EVENT_DISCOVERY_END = 3,
};

/* Bits of the features in Get ICMB Capabilities. */
enum fwr_icmb_feature {
    FWR_ICMB_FEATURE_CONNECTOR = 1 << 0,
    FWR_ICMB_FEATURE_MANAGEMENT = 1 << 1,
    FWR_ICMB_FEATURE_PERIPHERAL = 1 << 2,
    FWR_ICMB_FEATURE_CHASSIS = 1 << 3,
};

/* A request from another node which is not the bridge's own business: Bridge Request (data: rsSA,
 * netFn/rsLUN, command, its data), Bridge Message, or an OEM bridge command. */
struct fwr_icmb_request {
    uint16_t source;
    uint8_t command;
    const uint8_t *data;
    size_t length;
    uint32_t ticket; /* for fwr_icmb_bridge_answer */
};

/* Const in all that is set by the caller; all it points to must outlive the bridge. Zero means
 * the default in brackets. */
struct fwr_icmb_config {
    size_t size; /* sizeof(struct fwr_icmb_config) */
    const struct fwr_platform *platform;
    void *ctx;

    uint32_t bit_rate;          /* [19200] 8N1 */
    uint16_t address;           /* to try first: the saved or configured one [random] */
    uint8_t broadcast_is_zero;  /* everybody is 0000h instead of FFFFh */
    uint16_t packet;            /* data bytes of a packet, [24] to FWR_ICMB_DATA_MAX */
    uint8_t outstanding;        /* requests on the bus at once [4] */
    uint8_t gap;                /* characters of silence before a request [4], */
    uint8_t gap_reply;          /* before a reply, [2] */
    uint8_t gap_broadcast;      /* and before Block Data [6] */
    uint8_t portion;            /* characters given away before they are heard again [24] */
    uint16_t reply_timeout_ms;  /* of a Bridge Request, twice [500] */
    uint16_t target_timeout_ms; /* what a remote request (20h) may take beyond it [500] */
    uint16_t echo_timeout_ms;   /* after which a node is deaf for itself [100] */
    uint16_t give_up_ms;        /* how long a packet waits for the bus at most [3000] */
    uint16_t collect_ms;        /* how long Get Addresses listens [400] */
    uint8_t remote_privilege;   /* enum fwr_privilege of bridge commands that come from the bus
                                   [USER]; discovery and events need none */
    uint8_t features;           /* enum fwr_icmb_feature bits [MANAGEMENT] */
    uint8_t chassis_device;     /* slave address of the chassis device [20h] */
    const char *connector;      /* name of the only connector; NULL: none is known */

    /* Serves a request from the bus. Writes the reply, completion code first, at most `capacity`
     * bytes, and returns its length; or 0: fwr_icmb_bridge_answer comes later. The data is valid
     * during the call. NULL: C1h. */
    size_t (*serve)(void *ctx, uint64_t now_us, const struct fwr_icmb_request *request,
                    uint8_t *reply, size_t capacity);
    /* The reply to a command of fwr_icmb_bridge_local that was pending. */
    void (*answer)(void *ctx, uint32_t token, const uint8_t *reply, size_t length);
    /* An OEM bridge command for everybody. May be NULL. */
    void (*broadcast)(void *ctx, uint64_t now_us, uint16_t source, uint8_t command,
                      const uint8_t *data, size_t length);
    /* A node sent an event (enum fwr_icmb_event) and reception is on. May be NULL. */
    void (*event)(void *ctx, uint16_t source, uint8_t event);
    /* The bridge's state changed, with the address it has now: save it when it is ENABLED.
     * May be NULL. */
    void (*state)(void *ctx, enum fwr_icmb_state state, uint16_t address);
};

struct fwr_icmb_bridge;

/* Bytes of storage for one bridge, aligned as max_align_t. */
size_t fwr_icmb_bridge_storage(void);

/* Makes a bridge that begins to look for an address. FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE,
 * FWR_E_RANDOM. The configuration is copied. */
int fwr_icmb_bridge_init(struct fwr_icmb_bridge **bridge, void *storage, size_t size,
                         const struct fwr_icmb_config *config, uint64_t now_us);

/* Forgets everything; no callback comes any more. NULL is allowed. */
void fwr_icmb_bridge_end(struct fwr_icmb_bridge *bridge);

/* Characters were heard, the node's own among them. Callbacks come from here; they may call the
 * bridge, but neither this function nor the end. */
void fwr_icmb_bridge_receive(struct fwr_icmb_bridge *bridge, uint64_t now_us, const uint8_t *bytes,
                             size_t length);

/* Characters to put on the wire now: how many; 0: none before the next timeout or the next
 * characters. Ask after every call that may have brought something to send. */
size_t fwr_icmb_bridge_next_send(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint8_t *bytes,
                                 size_t capacity);

/* Whether what was given away and is not on the wire yet is not wanted any more, because others
 * send too: then throw it away (tcflush), if the device can. True once. Ask after _receive. */
int fwr_icmb_bridge_take_back(struct fwr_icmb_bridge *bridge);

/* When _timeout and then _next_send have to be called (us); FWR_NEVER. */
uint64_t fwr_icmb_bridge_next_timeout(const struct fwr_icmb_bridge *bridge);
void fwr_icmb_bridge_timeout(struct fwr_icmb_bridge *bridge, uint64_t now_us);

/* A bridge command from the node's own BMC, network function 02h. FWR_OK: `reply` has the reply
 * from the completion code on, *length bytes. FWR_PENDING: it comes through `answer` with this
 * token. `reply` must have room for FWR_ICMB_REPLY_MAX bytes. */
int fwr_icmb_bridge_local(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint8_t privilege,
                          uint8_t command, const uint8_t *data, size_t data_length, uint32_t token,
                          uint8_t *reply, size_t *length);

/* Nobody waits for the answer with this token any more. */
void fwr_icmb_bridge_forget(struct fwr_icmb_bridge *bridge, uint32_t token);

/* The late reply to a request given to `serve`, from the completion code on. FWR_OK,
 * FWR_E_NOT_FOUND (it came too late), FWR_E_LENGTH (more than a packet carries), FWR_E_BUSY. */
int fwr_icmb_bridge_answer(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint32_t ticket,
                           const uint8_t *reply, size_t length);

/* Sends an OEM bridge command to everybody, without a reply. FWR_OK, FWR_E_BUSY (not before the
 * last one is out: fwr_icmb_bridge_can_broadcast), FWR_E_LENGTH, FWR_E_STATE. */
int fwr_icmb_bridge_broadcast(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint8_t command,
                              const uint8_t *data, size_t length);
int fwr_icmb_bridge_can_broadcast(const struct fwr_icmb_bridge *bridge);

/* Tells another node that something it sent could not be served (Error Report). */
int fwr_icmb_bridge_report(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint16_t address,
                           uint8_t command, uint8_t code);

/* All since init or Clear Bridge Statistics. */
struct fwr_icmb_statistics {
    uint32_t sent;
    uint32_t received;         /* packets for this node, or for everybody */
    uint32_t other_address;    /* packets for others */
    uint32_t runt_packets;     /* shorter than any packet, or longer */
    uint32_t bad_checksums;    /* or escapes */
    uint32_t unknown_types;    /* neither request nor response */
    uint32_t not_start;        /* characters outside of any frame */
    uint32_t restarts;         /* a start inside a frame */
    uint32_t arbitration_wins; /* packets sent although others wanted to send too */
    uint32_t arbitration_losses;
    uint32_t runt_commands; /* bridge commands with too few bytes */
    uint32_t bad_commands;  /* unknown ones, or with bytes that they cannot have */
    uint32_t spurious;      /* responses that nobody waited for any more */
    uint32_t echoes;        /* own packets that came back late */
    uint32_t deaf;          /* own characters that never came back */
    uint32_t given_up;      /* packets that never had the bus */
    uint32_t conflicts;     /* packets of others with this node's address as their source */
};

struct fwr_icmb_status {
    enum fwr_icmb_state state;
    uint16_t address; /* 0: none yet */
    uint8_t stuck;    /* somebody does not stop sending */
    uint8_t waiting;  /* requests on the bus */
    uint8_t queued;   /* packets that wait for the bus */
    struct fwr_icmb_statistics statistics;
};
void fwr_icmb_bridge_status(const struct fwr_icmb_bridge *bridge, uint64_t now_us,
                            struct fwr_icmb_status *status);

/* Characters that a request packet and its reply take on the wire with `request` and `reply` data
 * bytes (the reply's completion code among them), without escapes, with the gaps of `config`. */
uint32_t fwr_icmb_exchange_characters(const struct fwr_icmb_config *config, uint32_t request,
                                      uint32_t reply);

/* ---- discovery ---- */

/* Finds the nodes on the bus: Prepare For Discovery, then Get Addresses and Set Discovered until
 * nobody answers any more. One at a time on a bridge. */
struct fwr_icmb_discovery;

size_t fwr_icmb_discovery_storage(void);
int fwr_icmb_discovery_init(struct fwr_icmb_discovery **discovery, void *storage, size_t size,
                            struct fwr_icmb_bridge *bridge);
void fwr_icmb_discovery_end(struct fwr_icmb_discovery *discovery);

/* Begins anew. FWR_OK, FWR_E_STATE (under way, or the bridge has no address yet). */
int fwr_icmb_discovery_start(struct fwr_icmb_discovery *discovery, uint64_t now_us);

/* FWR_PENDING: under way. FWR_OK: done. An error: why it ended early. The addresses found so far
 * are valid until the next start, FWR_ICMB_NODES_MAX at most; FWR_E_NO_SPACE: there are more. */
int fwr_icmb_discovery_state(const struct fwr_icmb_discovery *discovery, const uint16_t **addresses,
                             size_t *count);

uint64_t fwr_icmb_discovery_next_timeout(const struct fwr_icmb_discovery *discovery);
void fwr_icmb_discovery_timeout(struct fwr_icmb_discovery *discovery, uint64_t now_us);

#ifdef __cplusplus
}
#endif

#endif
