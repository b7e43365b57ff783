/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network interfaces and UDP sockets on them: which medium an interface is, its broadcast
 * addresses and MTU, sockets that send and receive over it alone. For Linux; elsewhere sockets
 * bound to no interface work. Whoever puts an RMCP+ road, a responder or a discovery on the network
 * gets its sockets here.
 *
 * A LAN, a wireless LAN and Bluetooth PAN are one kind of road: they differ by the interface.
 */
#ifndef FWRECOVER_LAN_H
#define FWRECOVER_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <fwrecover/link.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_LAN_NAME_MAX     16 /* of an interface's name, with its final zero */
#define FWR_LAN_NETWORKS_MAX 4  /* IPv4 networks of one interface that are looked at */

/* An IPv4 network that an interface is in, everything in network byte order. */
struct fwr_lan_network {
    uint8_t address[4]; /* the interface's own */
    uint8_t mask[4];
    uint8_t broadcast[4]; /* zeros: it has none */
};

/* An interface as it is now. */
struct fwr_lan_interface {
    char name[FWR_LAN_NAME_MAX];
    uint8_t medium; /* enum fwr_medium */
    bool up;        /* switched on, and has a carrier */
    bool loopback;
    uint32_t mtu;
    uint8_t network_count;
    struct fwr_lan_network networks[FWR_LAN_NETWORKS_MAX];
};

/* The medium of an interface, as sysfs (mounted at `sysfs`; NULL: /sys) tells it: wireless, a
 * Bluetooth PAN (bnep), or else a LAN; loopback counts as LAN. One that stands on others (bridge,
 * bond, VLAN) is as bad as the worst of them. FWR_OK; FWR_E_INTERFACE: not known there, *medium is
 * then LAN. */
int fwr_lan_medium(const char *sysfs, const char *interface, enum fwr_medium *medium);

/* Looks an interface up. FWR_OK, also when it is down; FWR_E_INTERFACE: there is none of that name;
 * FWR_E_IO. */
int fwr_lan_interface_get(const char *interface, struct fwr_lan_interface *found);

/* The interface that has this IPv4 address. As fwr_lan_interface_get. */
int fwr_lan_interface_of(const uint8_t address[4], struct fwr_lan_interface *found);

/* Names of up to `capacity` interfaces that are up, can broadcast IPv4 and are not loopback:
 * where donors may be searched for. Their number. */
size_t fwr_lan_broadcasters(char (*names)[FWR_LAN_NAME_MAX], size_t capacity);

/* Whether an IPv4 address lies in one of the interface's networks: that is where a broadcast was
 * heard. */
bool fwr_lan_is_near(const struct fwr_lan_interface *interface, const uint8_t address[4]);

/* A non-blocking UDP socket, closed on exec, with room for a window of replies from many peers;
 * `interface` NULL or "": not bound to one. `fwr_lan_connect` connects it to the address,
 * `fwr_lan_bind` binds it, `fwr_lan_open_broadcast` makes one (IPv4) that is neither, but may send
 * to broadcast addresses. *fd is the caller's to close, and -1 on an error:
 * FWR_E_INTERFACE: there is no such interface, it is down, or nothing leads from there to the
 * address; FWR_E_ACCESS: binding to an interface or port is not permitted; FWR_E_BUSY: the address
 * is in use; FWR_E_ARGUMENT: the name is too long; FWR_E_UNSUPPORTED: sockets cannot be bound to
 * interfaces here, or not of this family; FWR_E_MEMORY, FWR_E_IO. errno is left as the system set
 * it. */
int fwr_lan_connect(int *fd, const struct sockaddr *address, socklen_t length,
                    const char *interface);
int fwr_lan_bind(int *fd, const struct sockaddr *address, socklen_t length, const char *interface);
int fwr_lan_open_broadcast(int *fd, const char *interface);

/* What an errno of a socket means: FWR_E_INTERFACE when there is no way to send at all (no such
 * device, it is down, no route, no source address); then the socket is to be closed, and opened
 * anew when the road is tried again. Else as for the functions above. */
int fwr_lan_error(int number);

/* The largest datagram that travels whole over an interface with this MTU (0: unknown) to or from
 * an address of this family; at most FWR_RMCP_DATAGRAM_IPV4 or _IPV6. */
uint16_t fwr_lan_datagram(int family, uint32_t mtu);

#ifdef __cplusplus
}
#endif

#endif
