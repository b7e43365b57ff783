/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pings by broadcast: see lan-pinger.h. Called by programs that drive a discovery.
 */
#include <fwrecover/lan-pinger.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>

#define STRANGERS_MAX 64 /* datagrams that are passed over in one call */

int fwr_lan_pinger_open(struct fwr_lan_pinger *pinger, const char *interface)
{
    int error;

    memset(pinger, 0, sizeof(*pinger));
    error = fwr_lan_open_broadcast(&pinger->fd, interface);
    if (error == FWR_OK)
        error = fwr_lan_interface_get(interface, &pinger->interface);
    if (error != FWR_OK) {
        fwr_lan_pinger_close(pinger);
        return error;
    }
    pinger->index = if_nametoindex(interface);
    return FWR_OK;
}

void fwr_lan_pinger_close(struct fwr_lan_pinger *pinger)
{
    if (pinger->fd >= 0)
        close(pinger->fd);
    pinger->fd = -1;
}

bool fwr_lan_pinger_stale(const struct fwr_lan_pinger *pinger)
{
    return pinger->fd >= 0 && if_nametoindex(pinger->interface.name) != pinger->index;
}

int fwr_lan_pinger_send(struct fwr_lan_pinger *pinger, uint16_t port, const uint8_t *ping,
                        size_t length)
{
    static const uint8_t none[4];
    struct fwr_lan_interface now;
    int error = fwr_lan_interface_get(pinger->interface.name, &now);
    bool left = false;

    if (error != FWR_OK)
        return error;
    pinger->interface = now; /* addresses come and go */
    if (!now.up)
        return FWR_E_INTERFACE;
    error = FWR_E_INTERFACE;
    for (uint8_t i = 0; i < now.network_count; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};

        if (memcmp(now.networks[i].broadcast, none, sizeof(none)) == 0)
            continue;
        memcpy(&to.sin_addr, now.networks[i].broadcast, sizeof(to.sin_addr));
        if (sendto(pinger->fd, ping, length, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                   sizeof(to)) >= 0)
            left = true;
        else
            error = fwr_lan_error(errno);
    }
    return left ? FWR_OK : error;
}

/* Who can have heard the ping, and is not this machine. */
static bool may_answer(const struct fwr_lan_pinger *pinger, const uint8_t address[4])
{
    for (uint8_t i = 0; i < pinger->interface.network_count; i++)
        if (memcmp(pinger->interface.networks[i].address, address, 4) == 0 ||
            memcmp(pinger->interface.networks[i].broadcast, address, 4) == 0)
            return false;
    return fwr_lan_is_near(&pinger->interface, address);
}

size_t fwr_lan_pinger_receive(struct fwr_lan_pinger *pinger, struct fwr_discover_address *from,
                              uint8_t *buffer, size_t size)
{
    for (int i = 0; i < STRANGERS_MAX && pinger->fd >= 0; i++) {
        struct sockaddr_in address = {0};
        socklen_t length = sizeof(address);
        ssize_t got =
            recvfrom(pinger->fd, buffer, size, MSG_DONTWAIT, (struct sockaddr *)&address, &length);

        if (got < 0)
            return 0;
        memcpy(from->bytes, &address.sin_addr, sizeof(from->bytes));
        from->port = ntohs(address.sin_port);
        if (got > 0 && length == sizeof(address) && may_answer(pinger, from->bytes))
            return (size_t)got;
    }
    return 0;
}

void fwr_lan_host_text(const struct fwr_discover_address *address, char text[FWR_LAN_HOST_MAX])
{
    snprintf(text, FWR_LAN_HOST_MAX, "%u.%u.%u.%u", address->bytes[0], address->bytes[1],
             address->bytes[2], address->bytes[3]);
}
