/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bluetooth's serial port (RFCOMM) as a byte stream between two controllers, on Linux: the
 * addresses, and sockets that never wait. What runs over the stream is the serial road
 * (Basic Mode). A host whose kernel has no Bluetooth, or whose adapter is down, gets an error
 * that says so, and its caller takes the next road.
 *
 * Reading and writing are the caller's: with a port (fwrecover/tty.h), which also calls again when
 * a connection is lost, or with recv(2) and send(2), whose errors fwr_rfcomm_error explains.
 */
#ifndef FWRECOVER_RFCOMM_H
#define FWRECOVER_RFCOMM_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/tty.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_RFCOMM_CHANNEL_MAX     30
#define FWR_RFCOMM_CHANNEL_DEFAULT 1
#define FWR_RFCOMM_TEXT            21 /* AA:BB:CC:DD:EE:FF/30 and the final zero */

struct fwr_rfcomm_address {
    uint8_t octets[6]; /* in the order they are written; all zero: any adapter of this host */
    uint8_t channel;   /* 1 to FWR_RFCOMM_CHANNEL_MAX */
};

/* Reads AA:BB:CC:DD:EE:FF or AA:BB:CC:DD:EE:FF/CHANNEL; without a channel it is
 * FWR_RFCOMM_CHANNEL_DEFAULT. FWR_OK; FWR_E_MALFORMED: it is something else. */
int fwr_rfcomm_address_parse(const char *text, struct fwr_rfcomm_address *address);

/* Writes it as it is read, with the channel, and in upper case. */
void fwr_rfcomm_address_print(const struct fwr_rfcomm_address *address, char text[FWR_RFCOMM_TEXT]);

/* Listens at a channel of the adapter with that address, or of every adapter.
 *
 * FWR_OK with a socket in `fd`, to be polled for reading and closed by the caller; FWR_E_ARGUMENT;
 * FWR_E_NO_BLUETOOTH: this kernel has none; FWR_E_ADAPTER: no adapter has that address;
 * FWR_E_BUSY: the channel is taken; FWR_E_ACCESS, FWR_E_MEMORY, FWR_E_IO. */
int fwr_rfcomm_listen(const struct fwr_rfcomm_address *local, int backlog, int *fd);

/* Takes the next peer that has called, and tells its address.
 *
 * FWR_OK with a socket that does not block, the caller's to close; FWR_PENDING: nobody is there
 * (any more); FWR_E_BUSY: this process has no descriptors left, the peer waits; another error:
 * the listener is broken, close it and listen again. */
int fwr_rfcomm_accept(int listener, struct fwr_rfcomm_address *peer, int *fd);

/* Begins to call a peer, from the adapter with the address `local` (NULL: whichever reaches it;
 * its channel is not looked at).
 *
 * FWR_PENDING with a socket in `fd`: once it can be written to, ask fwr_rfcomm_connected.
 * FWR_OK: it is connected already. Else an error as of fwr_rfcomm_connected or _listen, and
 * nothing to close. */
int fwr_rfcomm_connect(const struct fwr_rfcomm_address *local,
                       const struct fwr_rfcomm_address *peer, int *fd);

/* How a call ended. FWR_OK; FWR_PENDING: it is still under way; FWR_E_ADAPTER: no adapter is up;
 * FWR_E_UNREACHABLE: the peer did not answer; FWR_E_REFUSED: it did, but nobody listens at that
 * channel; FWR_E_ACCESS: it wants to be paired first; FWR_E_TIMEOUT, FWR_E_IO. The socket remains
 * the caller's to close. */
int fwr_rfcomm_connected(int fd);

/* For `dial` of a port (struct fwr_tty_port_config): calls the peer as fwr_rfcomm_connect does, and
 * looks with fwr_rfcomm_connected how it went. Their errors; FWR_OK, FWR_PENDING. */
int fwr_rfcomm_dial(struct fwr_tty *tty, const struct fwr_rfcomm_address *local,
                    const struct fwr_rfcomm_address *peer);

/* The library's error for an errno of a Bluetooth socket. */
int fwr_rfcomm_error(int number);

#ifdef __cplusplus
}
#endif

#endif
