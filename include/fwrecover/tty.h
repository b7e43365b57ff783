/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal device as a line of bytes: a UART, an RS-485 transceiver, a USB adapter, a
 * pseudo-terminal, an RFCOMM device. Opens it raw and for this process alone; knows no framing,
 * and never waits. A device that disappears is closed and opened again by the caller, who knows
 * how patient to be.
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
    uint64_t device; /* which device it is, whatever the path */
};

#define FWR_TTY_BAUD_DEFAULT 115200

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

#ifdef __cplusplus
}
#endif

#endif
