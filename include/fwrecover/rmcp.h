/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ sessions (IPMI 2.0 over LAN), both ends, without sockets: datagrams go in and come
 * out, the caller owns the socket (IPv4 or IPv6 alike) and the clock.
 *
 * The initiator is the recipient's way to a donor. The responder is a donor or a console
 * without another IPMI stack. Both accept exactly the configured cipher suites, and after
 * activation only packets that are encrypted and authenticated; IPMI 1.5 sessions, cipher
 * suite 0 and the null user do not exist here.
 *
 * No function allocates memory after init (libcrypto's own aside) or calls back, except into
 * fwr_platform for random bytes and log lines. Instances share nothing; one instance is used
 * by one thread at a time. `now` is the caller's monotonic clock in ms.
 */
#ifndef FWRECOVER_RMCP_H
#define FWRECOVER_RMCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/link.h>
#include <fwrecover/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_RMCP_PORT 623

/* Cipher suites (IPMI 2.0 table 22-20). */
#define FWR_RMCP_SUITE_SHA256 17 /* RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128: the default */
#define FWR_RMCP_SUITE_SHA1   3  /* RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128: on request only */

#define FWR_RMCP_USER_MAX     16
#define FWR_RMCP_PASSWORD_MAX 20
#define FWR_RMCP_KG_MAX       20
#define FWR_RMCP_GUID_SIZE    16

/* The largest UDP payloads that travel unfragmented over an MTU of 1500. */
#define FWR_RMCP_DATAGRAM_IPV4 1472
#define FWR_RMCP_DATAGRAM_IPV6 1452
#define FWR_RMCP_DATAGRAM_MAX  FWR_RMCP_DATAGRAM_IPV4

/* Presence pings a second that a responder answers, whoever sends them. */
#define FWR_RMCP_PONGS_A_SECOND 50

/* Requests outstanding at once: lanserv drops what is more than 15 ahead of its newest. */
#define FWR_RMCP_WINDOW_MAX 15

/* The longest request data after command and IANA number, and the longest reply data after
 * completion code and IANA number, that a datagram of `datagram` bytes carries under `suite`.
 * 0 for an unknown suite or a datagram too small to carry anything. What the peer takes may be
 * less (ipmi_sim: 197 and 964). Suite 17: 1397 and 1396 (IPv4), 1381 and 1380 (IPv6). */
size_t fwr_rmcp_max_request(uint8_t suite, size_t datagram);
size_t fwr_rmcp_max_reply(uint8_t suite, size_t datagram);

/* ---- Initiator ---------------------------------------------------------------------------- */

struct fwr_rmcp_initiator;

/* Const, and like everything it points to kept by the caller until fwr_rmcp_initiator_end:
 * the instance holds no copy of the password or of K_g. Zero means the default where one is
 * named. */
struct fwr_rmcp_initiator_config {
    size_t size; /* sizeof(struct fwr_rmcp_initiator_config) */
    const struct fwr_platform *platform;
    const char *user; /* not necessarily terminated */
    const uint8_t *password;
    const uint8_t *kg;       /* the BMC key; NULL: the BMC has none */
    uint8_t user_length;     /* 1 to 16 */
    uint8_t password_length; /* 1 to 20 */
    uint8_t kg_length;       /* 0 to 20 */
    uint8_t suite;     /* FWR_RMCP_SUITE_…; default 17; the peer must take exactly this one */
    uint8_t privilege; /* enum fwr_privilege, USER to ADMIN; default USER */
    uint8_t window;    /* requests outstanding, 1 to 15; default 15 */
    uint8_t attempts;  /* datagrams sent in a handshake before giving up on a silent peer,
                          per step; default 5 */
    uint16_t first_timeout; /* ms until the first repetition, doubled each time; default 500 */
    uint16_t datagram;      /* largest datagram to send; default FWR_RMCP_DATAGRAM_IPV6 */
};

enum fwr_rmcp_state {
    FWR_RMCP_CLOSED,
    FWR_RMCP_OPENING, /* handshake under way */
    FWR_RMCP_ACTIVE,  /* requests may be sent */
    FWR_RMCP_FAILED,  /* see fwr_rmcp_initiator_status.error; start again after a pause */
};

struct fwr_rmcp_counters {
    uint64_t sent;     /* datagrams built */
    uint64_t received; /* datagrams accepted */
    uint64_t dropped;  /* datagrams refused, for whatever reason */
    uint64_t replayed; /* of those: authentic, but seen before or too old */
    uint64_t forged;   /* of those: wrong integrity check */
};

struct fwr_rmcp_initiator_status {
    enum fwr_rmcp_state state;
    int error;              /* why FAILED, FWR_OK otherwise */
    uint8_t peer_code;      /* RMCP+ status or completion code behind the error, 0 if none */
    uint8_t outstanding;    /* requests that wait for their response */
    uint8_t window;         /* as configured */
    uint32_t round_trip_ms; /* of the handshake's first answered, unrepeated exchange */
    size_t max_request;     /* as fwr_rmcp_max_request */
    struct fwr_rmcp_counters counters;
};

struct fwr_rmcp_request {
    uint8_t netfn; /* even */
    uint8_t lun;
    uint8_t command;
    const uint8_t *data; /* everything after the command, the IANA number included */
    size_t length;
};

/* What a received datagram meant. */
enum fwr_rmcp_event_kind {
    FWR_RMCP_EVENT_NONE,     /* nothing to do, but perhaps something to send */
    FWR_RMCP_EVENT_OPENED,   /* the session is active now */
    FWR_RMCP_EVENT_CLOSED,   /* the session is gone: closed, failed or expired (`reason`) */
    FWR_RMCP_EVENT_RESPONSE, /* initiator: an outstanding request was answered */
    FWR_RMCP_EVENT_COMMAND,  /* responder: a peer asks; answer with fwr_rmcp_responder_reply */
};

struct fwr_rmcp_response {
    enum fwr_rmcp_event_kind kind; /* NONE, OPENED, CLOSED or RESPONSE */
    int reason;                    /* CLOSED: the error */
    uint64_t token;                /* RESPONSE: as given to fwr_rmcp_initiator_request */
    uint8_t netfn;                 /* of the request */
    uint8_t command;
    const uint8_t *reply; /* from the completion code on; inside the caller's datagram */
    size_t length;        /* at least 1 */
};

/* Bytes of storage one initiator needs, aligned as max_align_t. */
size_t fwr_rmcp_initiator_storage(void);

/* Makes an initiator in `storage`, state CLOSED. FWR_E_NO_SPACE: storage too small.
 * FWR_E_ARGUMENT: a configuration value out of its range. FWR_E_ALGORITHM: libcrypto lacks the
 * suite. FWR_E_CRYPTO. On an error *initiator is NULL and nothing is held. */
int fwr_rmcp_initiator_init(struct fwr_rmcp_initiator **initiator, void *storage, size_t size,
                            const struct fwr_rmcp_initiator_config *config);

/* Wipes everything and gives libcrypto's contexts back. The storage is the caller's again.
 * NULL is allowed. */
void fwr_rmcp_initiator_end(struct fwr_rmcp_initiator *initiator);

/* Begins a handshake from CLOSED or FAILED (FWR_E_STATE otherwise). Then ask next_send.
 * FWR_E_RANDOM: no random bytes; the state is unchanged. */
int fwr_rmcp_initiator_start(struct fwr_rmcp_initiator *initiator, uint64_t now);

/* Takes one datagram from the peer (of the peer's address: the caller has checked that, or has
 * a connected socket). It is decrypted in place, so `response->reply` lives as long as
 * `datagram`. FWR_OK: `response` says what happened; call next_send afterwards. An error tells
 * why the datagram was dropped (counted, nothing else to do):
 * FWR_E_MALFORMED, FWR_E_SESSION_AUTH (forged), FWR_E_STALE (replayed, or the answer to nothing
 * that waits), FWR_E_STATE (not expected now). */
int fwr_rmcp_initiator_receive(struct fwr_rmcp_initiator *initiator, uint64_t now,
                               uint8_t *datagram, size_t length,
                               struct fwr_rmcp_response *response);

/* The next handshake datagram that is due, into `buffer` (of `size` bytes; 256 suffice):
 * *length is 0 when there is none. Call until then, after start, receive and timeout.
 * FWR_E_NO_SPACE: buffer too small, nothing changed. FWR_E_CRYPTO or FWR_E_RANDOM: the
 * handshake has failed with it. */
int fwr_rmcp_initiator_next_send(struct fwr_rmcp_initiator *initiator, uint64_t now,
                                 uint8_t *buffer, size_t size, size_t *length);

/* When to call _timeout, or FWR_NEVER. Only handshakes have deadlines: how long a request may
 * take is its sender's affair. */
uint64_t fwr_rmcp_initiator_next_timeout(const struct fwr_rmcp_initiator *initiator);

/* Repeats a handshake datagram (ask next_send), or gives up: state FAILED, FWR_E_TIMEOUT.
 * Harmless when called early. */
void fwr_rmcp_initiator_timeout(struct fwr_rmcp_initiator *initiator, uint64_t now);

/* Seals one request into `buffer`, ready to be sent once. It is never repeated from here: who
 * wants it again forgets the token and sends a new request. Tokens are the caller's, and are
 * best unique. FWR_E_STATE: not active. FWR_E_BUSY: the window is full, or every sequence
 * number is in use or in quarantine; wait for a response or a moment. FWR_E_LENGTH: longer than
 * a datagram. FWR_E_NO_SPACE: buffer too small. FWR_E_ARGUMENT: odd network function. */
int fwr_rmcp_initiator_request(struct fwr_rmcp_initiator *initiator, uint64_t now,
                               const struct fwr_rmcp_request *request, uint64_t token,
                               uint8_t *buffer, size_t size, size_t *length);

/* No longer wait for this request. A late response is dropped; its sequence number rests
 * for a few seconds first, so that it cannot pass for another's. FWR_E_NOT_FOUND. */
int fwr_rmcp_initiator_forget(struct fwr_rmcp_initiator *initiator, uint64_t now, uint64_t token);

/* Ends the session: *length bytes of a Close Session request to send once (0 when none was
 * active; `buffer` may be NULL to leave without a word). Keys are wiped, tokens forgotten, state
 * CLOSED, whatever is returned. */
int fwr_rmcp_initiator_close(struct fwr_rmcp_initiator *initiator, uint8_t *buffer, size_t size,
                             size_t *length);

void fwr_rmcp_initiator_status(const struct fwr_rmcp_initiator *initiator,
                               struct fwr_rmcp_initiator_status *status);

/* ---- Responder ---------------------------------------------------------------------------- */

struct fwr_rmcp_responder;

/* A peer's address, opaque: compared byte for byte. A sockaddr_in or sockaddr_in6 fits (with
 * its padding zeroed). */
#define FWR_RMCP_PEER_MAX 28
struct fwr_rmcp_peer {
    uint8_t length;
    uint8_t key[FWR_RMCP_PEER_MAX];
};

struct fwr_rmcp_user {
    const char *name; /* not necessarily terminated */
    const uint8_t *password;
    uint8_t name_length;     /* 1 to 16 */
    uint8_t password_length; /* 1 to 20 */
    uint8_t privilege;       /* most this user may have: USER to ADMIN */
    bool suite_sha1;         /* may use suite 3, if the responder offers it at all */
    bool suite_sha256;       /* may use suite 17, likewise */
};

/* What Get Device ID answers (IPMI 2.0 section 20.1). */
struct fwr_rmcp_device {
    uint8_t id;
    uint8_t revision;       /* 0 to 15 */
    uint8_t firmware_major; /* 0 to 127 */
    uint8_t firmware_minor; /* 0 to 99 */
    uint16_t product;
    uint32_t manufacturer; /* IANA private enterprise number, 20 bits */
};

/* Get Device ID's answer, from the completion code on, for those who answer it over another
 * road; the responder does so by itself. Returns its length. */
#define FWR_RMCP_DEVICE_ANSWER 16
size_t fwr_rmcp_device_answer(const struct fwr_rmcp_device *device,
                              uint8_t at[FWR_RMCP_DEVICE_ANSWER]);

/* Const, and like everything it points to kept by the caller until fwr_rmcp_responder_end. */
struct fwr_rmcp_responder_config {
    size_t size; /* sizeof(struct fwr_rmcp_responder_config) */
    const struct fwr_platform *platform;
    const struct fwr_rmcp_user *users;
    const uint8_t *kg;                /* NULL: none */
    uint8_t guid[FWR_RMCP_GUID_SIZE]; /* any, but stable for the machine */
    struct fwr_rmcp_device device;
    uint8_t user_count;    /* 1 to 63 */
    uint8_t kg_length;     /* 0 to 20 */
    bool suite_sha1;       /* offer suite 3 */
    bool suite_sha256;     /* offer suite 17; at least one of the two */
    uint8_t sessions;      /* slots for active sessions, 1 to 255; default 8. When all are
                              taken, one that has been quiet for 15 s makes room */
    uint8_t half_open;     /* handshakes kept at once, 1 to 255; default 32 */
    uint32_t idle_ms;      /* an active session without a packet ends; default 60000 */
    uint32_t handshake_ms; /* a handshake that stands still ends; default 5000 */
    uint16_t datagram;     /* largest datagram to send; default FWR_RMCP_DATAGRAM_IPV6 */
};

/* Names one command until it is answered. Copy it to answer later. */
struct fwr_rmcp_command_id {
    uint32_t session;
    uint8_t netfn;
    uint8_t lun;
    uint8_t command;
    uint8_t requester; /* address, LUN and sequence number of the asking software */
    uint8_t requester_lun;
    uint8_t sequence;
};

struct fwr_rmcp_event {
    enum fwr_rmcp_event_kind kind; /* NONE, OPENED, CLOSED or COMMAND */
    uint32_t session;              /* handle; random, not used again soon */
    int reason;        /* CLOSED: FWR_E_SESSION_CLOSED (by the peer) or FWR_E_TIMEOUT (idle) */
    uint8_t user;      /* index into config->users */
    uint8_t privilege; /* now in force, enum fwr_privilege */
    uint8_t suite;
    struct fwr_rmcp_command_id id; /* COMMAND */
    const uint8_t *data;           /* COMMAND: after the command byte; inside the datagram */
    size_t length;
};

struct fwr_rmcp_responder_status {
    uint16_t sessions;  /* active now */
    uint16_t half_open; /* handshakes now */
    uint64_t opened;    /* sessions since init */
    uint64_t refused;   /* handshakes answered with an error */
    uint64_t evicted;   /* handshakes pushed out by newer ones */
    struct fwr_rmcp_counters counters;
};

/* Bytes of storage a responder with this configuration needs (sessions and half_open count),
 * aligned as max_align_t. */
size_t fwr_rmcp_responder_storage(const struct fwr_rmcp_responder_config *config);

/* As fwr_rmcp_initiator_init. */
int fwr_rmcp_responder_init(struct fwr_rmcp_responder **responder, void *storage, size_t size,
                            const struct fwr_rmcp_responder_config *config);

/* Wipes everything, gives libcrypto's contexts back. NULL is allowed. */
void fwr_rmcp_responder_end(struct fwr_rmcp_responder *responder);

/* Takes one datagram from `from`, decrypted in place. FWR_OK: when *reply_length is not 0 send
 * `reply` back to `from`; then look at `event`, which may come with a reply or without one.
 * `reply` needs FWR_RMCP_DATAGRAM_MAX bytes (FWR_E_NO_SPACE) and must not overlap `datagram`.
 * Get Device ID, Get Channel Authentication Capabilities, Get Channel Cipher Suites, Set Session
 * Privilege Level and Close Session are answered here; any other command of an active session is
 * handed up. So are presence pings, at most FWR_RMCP_PONGS_A_SECOND (FWR_E_BUSY for more), also
 * when they came to a broadcast address: the answer must leave from a unicast one, of course. Any
 * other error: dropped and counted, no answer. */
int fwr_rmcp_responder_receive(struct fwr_rmcp_responder *responder, uint64_t now,
                               const struct fwr_rmcp_peer *from, uint8_t *datagram, size_t length,
                               struct fwr_rmcp_event *event, uint8_t *reply, size_t reply_size,
                               size_t *reply_length);

/* Answers a command, at once or later, at most once. `reply` starts with the completion code.
 * The datagram to send is built in `buffer`, its destination put in `to` (may be NULL).
 * FWR_E_SESSION_CLOSED: the session is gone; drop the answer. FWR_E_LENGTH: empty, or more than
 * fwr_rmcp_max_reply allows: answer with less or an error. FWR_E_NO_SPACE. */
int fwr_rmcp_responder_reply(struct fwr_rmcp_responder *responder, uint64_t now,
                             const struct fwr_rmcp_command_id *id, const uint8_t *reply,
                             size_t length, struct fwr_rmcp_peer *to, uint8_t *buffer, size_t size,
                             size_t *datagram_length);

/* When to call _timeout, or FWR_NEVER. */
uint64_t fwr_rmcp_responder_next_timeout(const struct fwr_rmcp_responder *responder);

/* Ends what has expired, one active session a call: call until event->kind is NONE. */
void fwr_rmcp_responder_timeout(struct fwr_rmcp_responder *responder, uint64_t now,
                                struct fwr_rmcp_event *event);

void fwr_rmcp_responder_status(const struct fwr_rmcp_responder *responder,
                               struct fwr_rmcp_responder_status *status);

#ifdef __cplusplus
}
#endif

#endif
