/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pings by broadcast over one interface, and what answers: the socket of a discovery
 * (discover.h). Answers from addresses that are in none of the interface's networks, and from
 * this machine itself, never come through.
 */
#ifndef FWRECOVER_LAN_PINGER_H
#define FWRECOVER_LAN_PINGER_H

#include <fwrecover/discover.h>
#include <fwrecover/lan.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's memory; `fd` is for poll, -1 when closed. */
struct fwr_lan_pinger {
    int fd;
    unsigned index; /* of the interface, when the socket was made */
    struct fwr_lan_interface interface;
};

/* Makes the socket. FWR_OK, or an error of fwr_lan_open_broadcast; then it is closed. */
int fwr_lan_pinger_open(struct fwr_lan_pinger *pinger, const char *interface);

/* Closing twice is harmless. */
void fwr_lan_pinger_close(struct fwr_lan_pinger *pinger);

/* Whether the interface was taken away, and perhaps put back, since: then close and open. */
bool fwr_lan_pinger_stale(const struct fwr_lan_pinger *pinger);

/* Sends a datagram to `port` at every broadcast address that the interface has now. FWR_OK when one
 * left; FWR_E_INTERFACE: the interface is down, or has no broadcast address; FWR_E_ACCESS,
 * FWR_E_IO. */
int fwr_lan_pinger_send(struct fwr_lan_pinger *pinger, uint16_t port, const uint8_t *ping,
                        size_t length);

/* The next datagram that came: its length, cut at `size`; 0: no more. */
size_t fwr_lan_pinger_receive(struct fwr_lan_pinger *pinger, struct fwr_discover_address *from,
                              uint8_t *buffer, size_t size);

/* "10.0.0.7" of an address. */
#define FWR_LAN_HOST_MAX 16
void fwr_lan_host_text(const struct fwr_discover_address *address, char text[FWR_LAN_HOST_MAX]);

#ifdef __cplusplus
}
#endif

#endif
