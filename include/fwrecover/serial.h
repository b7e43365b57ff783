/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPMI over a stream of bytes (IPMI 2.0 sections 14.4 and 14.7): a serial line, RFCOMM, a
 * pseudo-terminal. Basic Mode frames binary messages, Terminal Mode writes them as text. The
 * responder is the BMC's end, the road the asking end.
 *
 * Streams are the caller's: bytes go in, bytes come out. There are no sessions and nothing is
 * authenticated; whoever holds the other end of the line is whoever it is. Nothing here
 * allocates, waits, or reads a clock; instances share nothing. `now` is the caller's monotonic
 * clock in ms.
 */
#ifndef FWRECOVER_SERIAL_H
#define FWRECOVER_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/link.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_serial_mode {
    FWR_SERIAL_BASIC,
    FWR_SERIAL_TERMINAL,
};

/* "basic", "terminal"; "unknown" outside the enum. */
const char *fwr_serial_mode_name(enum fwr_serial_mode mode);

/* The longest message, in bytes as of Basic Mode: 7 more than a request has data, 8 more than a
 * reply has behind its completion code; in Terminal Mode 3 and 4. Every implementation takes
 * the default, and ipmitool no more than that. */
#define FWR_SERIAL_MESSAGE_DEFAULT 40
#define FWR_SERIAL_MESSAGE_MAX     512
/* What goes out in one call at most. */
#define FWR_SERIAL_FRAME_MAX (2 * FWR_SERIAL_MESSAGE_MAX + 8)

/* The most request data, and reply data behind the completion code, in messages of at most
 * `message` bytes. 33 and 32 for 40 bytes of Basic Mode, 37 and 36 in Terminal Mode; our own
 * messages have 3 of them for the IANA number. */
size_t fwr_serial_max_request(enum fwr_serial_mode mode, size_t message);
size_t fwr_serial_max_reply(enum fwr_serial_mode mode, size_t message);

#define FWR_SERIAL_ADDRESS_BMC     0x20
#define FWR_SERIAL_ADDRESS_CONSOLE 0x81

struct fwr_serial_counters {
    uint64_t received;  /* messages taken */
    uint64_t sent;      /* messages built */
    uint64_t malformed; /* frames with a wrong escape, digit or checksum, or too short */
    uint64_t overlong;  /* frames longer than FWR_SERIAL_MESSAGE_MAX */
    uint64_t restarted; /* a start in the middle of a frame */
    uint64_t foreign;   /* not for us: our own echo, another address, another's reply */
    uint64_t late;      /* road: answers to requests that had been given up, handed on */
    uint64_t stray;     /* road: answers to nothing, dropped */
    uint64_t noise;     /* bytes between frames */
};

/* ---- Responder ---------------------------------------------------------------------------- */

struct fwr_serial_responder;

/* Names one request until it is answered. Copy it to answer later. */
struct fwr_serial_command {
    uint32_t stream; /* which opening of the stream it came on */
    uint8_t netfn;
    uint8_t lun;
    uint8_t command;
    uint8_t requester; /* address, LUN and sequence number of the asking software */
    uint8_t requester_lun;
    uint8_t sequence;
};

/* Const, and kept by the caller until fwr_serial_responder_end. No callback may end the
 * responder or give it bytes. */
struct fwr_serial_responder_config {
    size_t size;      /* sizeof(struct fwr_serial_responder_config) */
    uint8_t mode;     /* enum fwr_serial_mode */
    uint8_t address;  /* ours; 0: FWR_SERIAL_ADDRESS_BMC */
    uint16_t message; /* longest reply, as above; 0: the default. Requests may always have
                         FWR_SERIAL_MESSAGE_MAX bytes */
    bool echo;        /* Terminal Mode: send back what is typed, for a person at the line */
    void *ctx;

    /* Puts bytes on the stream, all or nothing, at most FWR_SERIAL_FRAME_MAX. What the stream
     * does not take is lost; whoever asked asks again. */
    void (*transmit)(void *ctx, const uint8_t *bytes, size_t length);
    /* Somebody asks; answer with fwr_serial_responder_reply in this call, later or never. `data`
     * is valid during the call. What is not known is answered C1h. */
    void (*request)(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length);
};

/* Bytes of storage for one responder, aligned as max_align_t. */
size_t fwr_serial_responder_storage(void);

/* FWR_OK, FWR_E_ARGUMENT (a value out of its range, a callback missing), FWR_E_NO_SPACE. */
int fwr_serial_responder_init(struct fwr_serial_responder **responder, void *storage, size_t size,
                              const struct fwr_serial_responder_config *config);
/* NULL is allowed. */
void fwr_serial_responder_end(struct fwr_serial_responder *responder);

/* The stream was closed, or opened again: what is half received is forgotten, and so are
 * requests that have not been answered, because someone else may be there now. */
void fwr_serial_responder_reset(struct fwr_serial_responder *responder);

/* Bytes came. Basic Mode: each packet is acknowledged by a handshake character. */
void fwr_serial_responder_receive(struct fwr_serial_responder *responder, uint64_t now,
                                  const uint8_t *bytes, size_t length);

/* Answers a request, at most once. `reply` starts with the completion code.
 * FWR_E_SESSION_CLOSED: the stream was reset; drop the answer. FWR_E_LENGTH: empty, or more than
 * fwr_serial_max_reply allows: answer with less or an error. */
int fwr_serial_responder_reply(struct fwr_serial_responder *responder,
                               const struct fwr_serial_command *id, const uint8_t *reply,
                               size_t length);

void fwr_serial_responder_status(const struct fwr_serial_responder *responder,
                                 struct fwr_serial_counters *counters);

/* ---- Road --------------------------------------------------------------------------------- */

struct fwr_serial_road;

/* Requests outstanding at once, at most. */
#define FWR_SERIAL_WINDOW_MAX 15

/* Const, and kept by the caller until fwr_serial_road_end. No callback may end the road. */
struct fwr_serial_road_config {
    size_t size; /* sizeof(struct fwr_serial_road_config) */
    /* What the road carries: as fwr_serial_road_limits says, changed where the caller knows
     * better (the medium, the window). NULL: just so. */
    const struct fwr_link_limits *limits;
    uint32_t iana;        /* 24 bits */
    uint32_t baud;        /* of the line; 0: it has no speed that counts */
    uint8_t command_base; /* FWR_COMMAND_BASE */
    uint8_t mode;         /* enum fwr_serial_mode */
    uint8_t address;      /* the peer's; 0: FWR_SERIAL_ADDRESS_BMC */
    bool no_handshake;    /* Basic Mode: send the next packet without waiting for the handshake
                             character that follows the last */
    void *ctx;

    /* Puts bytes on the stream, all or nothing, at most FWR_SERIAL_FRAME_MAX: FWR_OK, or
     * FWR_E_BUSY when it takes none now. */
    int (*transmit)(void *ctx, const uint8_t *bytes, size_t length);
    /* An answer to `command` (enum fwr_command), from the completion code on; also one that is
     * late, which the engine knows by its cookie. */
    void (*reply)(void *ctx, uint8_t command, const uint8_t *reply, size_t length);
    /* The road opened (FWR_OK, with its limits), is worth another try (FWR_OK, NULL), or went
     * down: pass it on to fwr_recipient_peer. */
    void (*state)(void *ctx, int error, const struct fwr_link_limits *limits);
    /* Whether the stream is being opened, so that it is worth waiting for (see
     * fwr_tty_port_opening). NULL: never. */
    bool (*opening)(void *ctx);
};

/* The limits of a road with messages of at most `message` bytes (0: as long as they can be; what
 * the peer says in Get Capabilities counts besides) on a line of `baud` bits per second (0: no
 * speed that counts): medium SERIAL, a window of 1, and a round trip as the line allows it. */
struct fwr_link_limits fwr_serial_road_limits(enum fwr_serial_mode mode, size_t message,
                                              uint32_t baud);

/* Bytes of storage for one road, aligned as max_align_t. */
size_t fwr_serial_road_storage(void);

/* Makes a road whose stream is yet to be opened. FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE. */
int fwr_serial_road_init(struct fwr_serial_road **road, void *storage, size_t size,
                         const struct fwr_serial_road_config *config);

/* NULL is allowed. */
void fwr_serial_road_end(struct fwr_serial_road *road);

/* For fwr_oem_pump. */
const struct fwr_link *fwr_serial_road_link(const struct fwr_serial_road *road);

/* The stream is open. Calls `state`. */
void fwr_serial_road_opened(struct fwr_serial_road *road, uint64_t now);

/* The stream is gone, or could not be opened, because of `error`. Calls `state`. */
void fwr_serial_road_closed(struct fwr_serial_road *road, uint64_t now, int error);

/* As the link's send. FWR_E_SESSION_CLOSED: the stream is closed, or nobody answered lately.
 * FWR_E_BUSY: the handshake of the last packet has not come, the stream takes nothing now, is being
 * opened, or nobody has said yet whether it is open. A request beyond the window gives up the
 * oldest. */
int fwr_serial_road_send(struct fwr_serial_road *road, uint64_t now, uint8_t command,
                         const uint8_t *data, size_t length);

/* A road on which nobody answered is worth another try now, whatever is left of its pause. */
void fwr_serial_road_retry(struct fwr_serial_road *road);

/* Bytes came from the stream. */
void fwr_serial_road_receive(struct fwr_serial_road *road, uint64_t now, const uint8_t *bytes,
                             size_t length);

/* When _timeout wants to be called; FWR_NEVER. */
uint64_t fwr_serial_road_next_timeout(const struct fwr_serial_road *road);
void fwr_serial_road_timeout(struct fwr_serial_road *road, uint64_t now);

void fwr_serial_road_status(const struct fwr_serial_road *road,
                            struct fwr_serial_counters *counters);

#ifdef __cplusplus
}
#endif

#endif
