/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shapes of RMCP datagrams: RMCP and ASF headers, the IPMI 1.5 and 2.0 session headers, the
 * handshake payloads and the IPMI message inside. Encoders and decoders share one struct each;
 * decoders check every length before they read. Knows no keys and no state; called by session,
 * initiator and responder.
 */
#ifndef FWR_LINK_RMCP_PACKET_H
#define FWR_LINK_RMCP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RMCP header, then authentication type, payload type, session id, sequence, payload length. */
#define FWR_RMCP_HEADER_SIZE  4
#define FWR_RMCP_SESSION_SIZE 12
#define FWR_RMCP_PREFIX_SIZE  (FWR_RMCP_HEADER_SIZE + FWR_RMCP_SESSION_SIZE)

#define FWR_RMCP_RANDOM_SIZE 16
#define FWR_RMCP_DIGEST_MAX  32

enum fwr_rmcp_payload {
    FWR_RMCP_PAYLOAD_IPMI = 0x00,
    FWR_RMCP_PAYLOAD_OPEN_REQUEST = 0x10,
    FWR_RMCP_PAYLOAD_OPEN_RESPONSE = 0x11,
    FWR_RMCP_PAYLOAD_RAKP1 = 0x12,
    FWR_RMCP_PAYLOAD_RAKP2 = 0x13,
    FWR_RMCP_PAYLOAD_RAKP3 = 0x14,
    FWR_RMCP_PAYLOAD_RAKP4 = 0x15,
};

/* RMCP+ status codes (IPMI 2.0 table 13-15). */
enum fwr_rmcp_code {
    FWR_RMCP_CODE_OK = 0x00,
    FWR_RMCP_CODE_RESOURCES = 0x01,
    FWR_RMCP_CODE_SESSION_ID = 0x02,
    FWR_RMCP_CODE_AUTH_ALGORITHM = 0x04,
    FWR_RMCP_CODE_INTEGRITY_ALGORITHM = 0x05,
    FWR_RMCP_CODE_AUTH_PAYLOAD = 0x06,
    FWR_RMCP_CODE_INTEGRITY_PAYLOAD = 0x07,
    FWR_RMCP_CODE_ROLE = 0x09,
    FWR_RMCP_CODE_PRIVILEGE = 0x0a,
    FWR_RMCP_CODE_ROLE_RESOURCES = 0x0b,
    FWR_RMCP_CODE_NAME_LENGTH = 0x0c,
    FWR_RMCP_CODE_NAME = 0x0d,
    FWR_RMCP_CODE_INTEGRITY_CHECK = 0x0f,
    FWR_RMCP_CODE_CONFIDENTIALITY_ALGORITHM = 0x10,
    FWR_RMCP_CODE_SUITE = 0x11,
    FWR_RMCP_CODE_PARAMETER = 0x12,
};

/* The role byte's bit that asks for a look-up by name alone. */
#define FWR_RMCP_ROLE_NAME_ONLY 0x10
#define FWR_RMCP_ROLE_PRIVILEGE 0x0f

/* IPMI software addresses and the commands that belong to sessions. */
#define FWR_RMCP_ADDRESS_BMC       0x20
#define FWR_RMCP_ADDRESS_CONSOLE   0x81
#define FWR_IPMI_NETFN_APP         0x06
#define FWR_IPMI_GET_DEVICE_ID     0x01
#define FWR_IPMI_GET_CHANNEL_AUTH  0x38
#define FWR_IPMI_SET_PRIVILEGE     0x3b
#define FWR_IPMI_CLOSE_SESSION     0x3c
#define FWR_IPMI_GET_CIPHER_SUITES 0x54

/* Message bytes around the data: addresses, LUNs, sequence, command and two checksums. */
#define FWR_RMCP_MESSAGE_HEADER   6
#define FWR_RMCP_MESSAGE_OVERHEAD 7

static inline void fwr_rmcp_put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
}

static inline uint32_t fwr_rmcp_get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

enum fwr_rmcp_class {
    FWR_RMCP_CLASS_PING, /* ASF presence ping */
    FWR_RMCP_CLASS_IPMI15,
    FWR_RMCP_CLASS_IPMI20,
};

/* One datagram's outer layers. Offsets are checked: payload lies inside the datagram. For an
 * authenticated IPMI 2.0 packet what follows the payload is the integrity trailer. */
struct fwr_rmcp_packet {
    enum fwr_rmcp_class class;
    uint8_t asf_tag;      /* PING */
    uint8_t payload_type; /* IPMI20: enum fwr_rmcp_payload, IPMI15: always IPMI */
    bool encrypted;
    bool authenticated;
    uint32_t session; /* recipient's session id, 0 outside sessions */
    uint32_t sequence;
    const uint8_t *payload;
    size_t length;
};

/* FWR_OK or FWR_E_MALFORMED. */
int fwr_rmcp_packet_decode(struct fwr_rmcp_packet *packet, const uint8_t *datagram, size_t length);

/* Writes the outer layers of an IPMI 2.0 packet: FWR_RMCP_PREFIX_SIZE bytes, the payload comes
 * behind them. `type` carries the encrypted and authenticated bits. */
#define FWR_RMCP_TYPE_ENCRYPTED     0x80
#define FWR_RMCP_TYPE_AUTHENTICATED 0x40
void fwr_rmcp_prefix_encode(uint8_t *at, uint8_t type, uint32_t session, uint32_t sequence,
                            size_t payload_length);

/* The IPMI 1.5 form, used only outside sessions: 14 bytes. */
#define FWR_RMCP_PREFIX15_SIZE 14
void fwr_rmcp_prefix15_encode(uint8_t *at, size_t payload_length);

/* Presence ping (ASF 2.0 section 3.2.4.3): 12 bytes. Tag 255 would ask for no answer. */
#define FWR_RMCP_PING_SIZE 12
void fwr_rmcp_ping_encode(uint8_t *at, uint8_t tag);

/* Presence pong that answers the ping with this tag: 28 bytes. */
#define FWR_RMCP_PONG_SIZE 28
void fwr_rmcp_pong_encode(uint8_t *at, uint8_t tag);

/* A pong of something that speaks IPMI. FWR_OK with its tag, or FWR_E_MALFORMED. */
int fwr_rmcp_pong_decode(const uint8_t *datagram, size_t length, uint8_t *tag);

/* One IPMI message, request or response (then data[0] is the completion code). */
struct fwr_rmcp_message {
    uint8_t to;
    uint8_t netfn;
    uint8_t to_lun;
    uint8_t from;
    uint8_t sequence; /* 6 bits */
    uint8_t from_lun;
    uint8_t command;
    const uint8_t *data;
    size_t length;
};

/* FWR_OK or FWR_E_MALFORMED (too short, wrong checksum). */
int fwr_rmcp_message_decode(struct fwr_rmcp_message *message, const uint8_t *payload,
                            size_t length);

/* Writes message->length + FWR_RMCP_MESSAGE_OVERHEAD bytes; the caller has made room. */
size_t fwr_rmcp_message_encode(const struct fwr_rmcp_message *message, uint8_t *at);

/* The answer to `request`, without data. */
struct fwr_rmcp_message fwr_rmcp_message_answer(const struct fwr_rmcp_message *request);

struct fwr_rmcp_algorithms {
    uint8_t authentication;
    uint8_t integrity;
    uint8_t confidentiality;
};

/* Handshake payloads. Error answers end after the console's session id. */
struct fwr_rmcp_open_request {
    uint8_t tag;
    uint8_t privilege; /* 0: the highest that fits */
    uint32_t console;  /* session id chosen by the console */
    struct fwr_rmcp_algorithms algorithms;
};
struct fwr_rmcp_open_response {
    uint8_t tag;
    uint8_t code;
    bool bare; /* decoded from a refusal that is only tag and code, as lanserv sends it */
    uint8_t privilege;
    uint32_t console;
    uint32_t managed; /* session id chosen by the managed system */
    struct fwr_rmcp_algorithms algorithms;
};
struct fwr_rmcp_rakp1 {
    uint8_t tag;
    uint32_t managed;
    uint8_t random[FWR_RMCP_RANDOM_SIZE];
    uint8_t role;
    uint8_t user_length;
    uint8_t user[16];
};
struct fwr_rmcp_rakp2 {
    uint8_t tag;
    uint8_t code;
    uint32_t console;
    uint8_t random[FWR_RMCP_RANDOM_SIZE];
    uint8_t guid[16];
    uint8_t check[FWR_RMCP_DIGEST_MAX];
    size_t check_length;
};
/* RAKP 3 and 4 look alike; the id is the receiver's. */
struct fwr_rmcp_rakp34 {
    uint8_t tag;
    uint8_t code;
    uint32_t session;
    uint8_t check[FWR_RMCP_DIGEST_MAX];
    size_t check_length;
};

/* The largest handshake payload: RAKP 2 with SHA-256. */
#define FWR_RMCP_HANDSHAKE_MAX 72

/* Decoders: FWR_OK or FWR_E_MALFORMED, and for the open request FWR_E_SESSION_SUITE when an
 * algorithm payload is a wildcard or not the form we know. Encoders write at most
 * FWR_RMCP_HANDSHAKE_MAX bytes and return how many. */
int fwr_rmcp_open_request_decode(struct fwr_rmcp_open_request *out, const uint8_t *at,
                                 size_t length);
size_t fwr_rmcp_open_request_encode(const struct fwr_rmcp_open_request *in, uint8_t *at);
int fwr_rmcp_open_response_decode(struct fwr_rmcp_open_response *out, const uint8_t *at,
                                  size_t length);
size_t fwr_rmcp_open_response_encode(const struct fwr_rmcp_open_response *in, uint8_t *at);
int fwr_rmcp_rakp1_decode(struct fwr_rmcp_rakp1 *out, const uint8_t *at, size_t length);
size_t fwr_rmcp_rakp1_encode(const struct fwr_rmcp_rakp1 *in, uint8_t *at);
int fwr_rmcp_rakp2_decode(struct fwr_rmcp_rakp2 *out, const uint8_t *at, size_t length);
size_t fwr_rmcp_rakp2_encode(const struct fwr_rmcp_rakp2 *in, uint8_t *at);
int fwr_rmcp_rakp34_decode(struct fwr_rmcp_rakp34 *out, const uint8_t *at, size_t length);
size_t fwr_rmcp_rakp34_encode(const struct fwr_rmcp_rakp34 *in, uint8_t *at);

#endif
