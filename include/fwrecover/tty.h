/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal device as a line of bytes: a UART, an RS-485 transceiver, a USB adapter, a
 * pseudo-terminal, an RFCOMM device. Opens it raw and for this process alone; knows no framing,
 * and never waits. A port is a device that may disappear and return, with what waits to be sent.
 */
#ifndef FWRECOVER_TTY_H
#define FWRECOVER_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's memory; `fd` is for poll, the fields are read-only. */
struct fwr_tty {
    int fd;          /* -1: closed */
    uint32_t baud;   /* bits per second */
    bool rs485;      /* the driver switches the direction */
    bool pty;        /* a pseudo-terminal: no wire, no speed */
    bool socket;     /* no terminal at all: a stream as of fwr_rfcomm_dial */
    uint64_t device; /* which device it is, whatever the path */
};

#define FWR_TTY_BAUD_DEFAULT 115200

/* Whether terminals have this speed. */
bool fwr_tty_knows_baud(uint32_t baud);

/* Opens `path` raw, 8 data bits, no parity, 1 stop bit, no flow control, at `baud`. With `rs485`
 * the driver is asked to switch the transceiver's direction and to let us hear what we send;
 * one that cannot is used plain (see `rs485` in the struct), as is right where the transceiver
 * switches by itself.
 *
 * FWR_OK; FWR_E_ARGUMENT: NULL, or a speed that terminals do not have; FWR_E_NOT_FOUND: no such
 * device, or nothing is plugged into it: try again later; FWR_E_ACCESS: the system forbids it;
 * FWR_E_BUSY: another process has it; FWR_E_UNSUPPORTED: not a terminal; FWR_E_IO: anything
 * else. After an error there is nothing to close. */
int fwr_tty_open(struct fwr_tty *tty, const char *path, uint32_t baud, bool rs485);

/* Closing twice is harmless, and so is closing what could not be opened. */
void fwr_tty_close(struct fwr_tty *tty);

/* Takes what has arrived, at most `capacity` bytes; *length 0: nothing yet. FWR_OK, or FWR_E_IO
 * when the device is gone: close it, and open it again later. */
int fwr_tty_read(struct fwr_tty *tty, uint8_t *buffer, size_t capacity, size_t *length);

/* Gives the system as much as it takes now; *taken may be less than `length`, even 0: the rest
 * goes when poll says POLLOUT. FWR_OK, or FWR_E_IO as above. */
int fwr_tty_write(struct fwr_tty *tty, const uint8_t *data, size_t length, size_t *taken);

/* ---- A device that comes and goes ---------------------------------------------------------- */

/* What waits to be sent. */
#define FWR_TTY_PORT_OUT 8192

/* Const, and kept by the caller while the port is used. No callback may end the port. */
struct fwr_tty_port_config {
    size_t size; /* sizeof(struct fwr_tty_port_config) */
    const char *path;
    uint32_t baud;
    bool rs485;
    void *ctx;

    /* The device is open. */
    void (*opened)(void *ctx, uint64_t now);
    /* It is gone, or could not be opened, for the first time since it was open (or since init):
     * FWR_E_IO, or an error of fwr_tty_open. The port goes on trying. */
    void (*closed)(void *ctx, uint64_t now, int error);
    void (*received)(void *ctx, uint64_t now, const uint8_t *bytes, size_t length);
    /* `fd` is about to be closed: an event loop must let go of it now. May be NULL. */
    void (*closing)(void *ctx);
    /* Opens a stream that is no terminal; NULL: the terminal at `path`. First called with no
     * descriptor in `tty`. FWR_OK: it is open; FWR_PENDING: with a descriptor, call again once
     * that can be written to; or an error, and the descriptor, if there is one, is closed by the
     * port. See fwr_rfcomm_dial. */
    int (*dial)(void *ctx, struct fwr_tty *tty);
};

/* The caller's memory. A device that is opened again by itself, after pauses that grow from a
 * tenth of a second to 5 s, with room for what it does not take at once. */
struct fwr_tty_port {
    struct fwr_tty tty; /* its `fd` is for poll */

    /* The port's own. */
    const struct fwr_tty_port_config *config;
    uint64_t open_at; /* when to try to open it; FWR_NEVER while it is open */
    uint64_t opened_at;
    uint32_t pause; /* ms, until the next try */
    bool told;      /* that it is closed */
    bool broken;    /* found out while sending */
    bool dialing;   /* it has a descriptor that is not connected yet, until open_at at most */
    size_t start, length;
    uint8_t out[FWR_TTY_PORT_OUT];
};

/* A port that is closed; the first _timeout opens it. */
void fwr_tty_port_init(struct fwr_tty_port *port, const struct fwr_tty_port_config *config);

/* Closes the device, with no call back but `closing`. Ending twice is harmless. */
void fwr_tty_port_end(struct fwr_tty_port *port);

/* Sends, or keeps until the device takes it; all or nothing. FWR_OK; FWR_E_BUSY: no room left;
 * FWR_E_SESSION_CLOSED: the device is not open. */
int fwr_tty_port_send(struct fwr_tty_port *port, const uint8_t *bytes, size_t length);

/* Throws away what is not on the wire yet, here and in the device, as far as it can. */
void fwr_tty_port_flush(struct fwr_tty_port *port);

/* Whether something, or a call that is under way, waits for POLLOUT. */
bool fwr_tty_port_waits(const struct fwr_tty_port *port);

/* Whether it has not been tried yet, or a call is under way: who wants to send may wait for that.
 */
bool fwr_tty_port_opening(const struct fwr_tty_port *port);

/* The device is readable or writable, or poll says that it is gone. A bounded number of bytes is
 * handed over in one call. */
void fwr_tty_port_ready(struct fwr_tty_port *port, uint64_t now);

/* When _timeout wants to be called; FWR_NEVER. */
uint64_t fwr_tty_port_next_timeout(const struct fwr_tty_port *port);
void fwr_tty_port_timeout(struct fwr_tty_port *port, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
