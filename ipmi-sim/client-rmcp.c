/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ roads to donors (fwrecover/rmcp-road.h): see client.h. Each has a connected UDP socket
 * whose readiness lanserv's loop reports; it is kept from session to session, since lanserv leaks
 * a little for each it is told of. Nothing here waits.
 */
#include "ipmi-sim/client.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/lan.h>
#include <fwrecover/recipient.h>
#include <fwrecover/rmcp-road.h>

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define DATAGRAMS_A_CALL  32 /* then the rest of the BMC has its turn */

struct rmcp {
    struct sim_client *client;
    int fd;         /* -1: no socket yet */
    bool refused;   /* the kernel says that nobody listens */
    bool stale;     /* the road went down: is the socket still the right one? */
    unsigned index; /* of the interface, when the socket was made */
    ipmi_io_t *io;
    struct fwr_rmcp_initiator_config session;
    struct fwr_rmcp_road_config config;
    struct fwr_rmcp_road *road;
    void *storage;
};

static void readable(int fd, void *ctx)
{
    struct rmcp *own = ctx;
    struct sim_client *client = own->client;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_CALL; i++) {
        ssize_t length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
        uint64_t now = client->now(client->ctx);

        if (length >= 0) { /* one that is too large is dropped there, and counted */
            fwr_rmcp_road_receive(own->road, now, datagram, (size_t)length);
        } else {
            if (errno == ECONNREFUSED)
                fwr_rmcp_road_unreachable(own->road, now);
            break;
        }
    }
    client->events->drained(client->ctx);
}

/* Another socket to the donor, or the error that says why there is none. */
static int connect_socket(const struct rmcp *own, int *fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *address;
    char port[8];
    int error;

    *fd = -1;
    snprintf(port, sizeof(port), "%u", own->client->config->port);
    if (getaddrinfo(own->client->config->host, port, &hints, &address) != 0)
        return FWR_E_NO_DONOR;
    error =
        fwr_lan_connect(fd, address->ai_addr, address->ai_addrlen, own->client->config->interface);
    freeaddrinfo(address);
    return error;
}

/* Whether two sockets send from the same address of the same interface. */
static bool alike(const struct rmcp *own, int fd)
{
    const char *interface = own->client->config->interface;
    struct sockaddr_storage one, other;
    socklen_t length = sizeof(one), other_length = sizeof(other);

    memset(&one, 0, sizeof(one));
    memset(&other, 0, sizeof(other));
    if (getsockname(fd, (struct sockaddr *)&one, &length) != 0 ||
        getsockname(own->fd, (struct sockaddr *)&other, &other_length) != 0)
        return false;
    if (one.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&one)->sin6_port = ((struct sockaddr_in6 *)&other)->sin6_port;
    else
        ((struct sockaddr_in *)&one)->sin_port = ((struct sockaddr_in *)&other)->sin_port;
    return length == other_length && memcmp(&one, &other, length) == 0 &&
           (interface == NULL || own->index == if_nametoindex(interface));
}

static void drop_socket(struct rmcp *own)
{
    if (own->fd < 0)
        return;
    own->client->sys->remove_io_hnd(own->io);
    close(own->fd);
    own->fd = -1;
}

/* A socket to send with. One that is there stays, unless the interface went away in between or has
 * another address now. */
static int open_socket(struct rmcp *own)
{
    int fd;
    int error = connect_socket(own, &fd);

    if (error != FWR_OK)
        return error;
    own->stale = false;
    if (own->fd >= 0 && alike(own, fd)) {
        close(fd);
        return FWR_OK;
    }
    drop_socket(own);
    own->fd = fd;
    if (own->client->config->interface != NULL)
        own->index = if_nametoindex(own->client->config->interface);
    if (own->client->sys->add_io_hnd(own->client->sys, own->fd, readable, own, &own->io) != 0) {
        close(own->fd);
        own->fd = -1;
        return FWR_E_MEMORY;
    }
    own->client->sys->io_set_enables(own->io, 1, 0, 0);
    return FWR_OK;
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    struct rmcp *own = ctx;
    int error = own->fd < 0 || own->stale ? open_socket(own) : FWR_OK;

    if (error != FWR_OK || send(own->fd, datagram, length, MSG_NOSIGNAL) >= 0)
        return error;
    /* A datagram that the kernel refuses is one that was lost; but the refusal may be the news,
     * from an earlier one, that nobody listens there, or that nothing leaves here any more. */
    own->refused = errno == ECONNREFUSED;
    return fwr_lan_error(errno) == FWR_E_INTERFACE ? FWR_E_INTERFACE : FWR_OK;
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct sim_client *client = ((struct rmcp *)ctx)->client;

    client->events->reply(client->ctx, client->peer, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct rmcp *own = ctx;
    struct sim_client *client = own->client;

    own->stale |= error != FWR_OK;
    client->events->state(client->ctx, client->peer, error, limits);
}

/* ---- what client.c calls ---- */

static void rmcp_retry(struct sim_client *client)
{
    fwr_rmcp_road_retry(((struct rmcp *)client->own)->road);
}

static uint64_t rmcp_next_timeout(const struct sim_client *client)
{
    const struct rmcp *own = client->own;

    return own->refused ? 0 : fwr_rmcp_road_next_timeout(own->road);
}

static void rmcp_timeout(struct sim_client *client, uint64_t now)
{
    struct rmcp *own = client->own;

    if (own->refused) {
        own->refused = false;
        fwr_rmcp_road_unreachable(own->road, now);
    }
    fwr_rmcp_road_timeout(own->road, now);
}

/* No reply is asked for that is longer than what the interface carries whole. */
static void set_limits(struct sim_client *client, const struct sim_donor_config *config)
{
    const int family = strchr(config->host, ':') != NULL ? AF_INET6 : AF_INET;
    struct fwr_lan_interface interface = {.medium = FWR_MEDIUM_LAN};
    size_t most;

    if (config->interface != NULL)
        fwr_lan_interface_get(config->interface, &interface); /* what is wrong shows in use */
    most = fwr_rmcp_max_reply(config->suite, fwr_lan_datagram(family, interface.mtu));
    client->limits = (struct fwr_link_limits){
        .max_request = FWR_MESSAGE_MAX,
        .max_reply = config->max_reply < most ? config->max_reply : (uint16_t)most,
        .window = config->window,
        .medium = config->medium != FWR_MEDIUM_COUNT ? config->medium : interface.medium};
}

static void configure(struct sim_client *client, const struct fwr_platform *platform)
{
    const struct sim_donor_config *config = client->config;
    struct rmcp *own = client->own;

    own->session = (struct fwr_rmcp_initiator_config){
        .size = sizeof(own->session),
        .platform = platform,
        .user = config->user,
        .user_length = (uint8_t)strlen(config->user),
        .password = config->password,
        .password_length = config->password_length,
        .kg = config->kg_length > 0 ? config->kg : NULL,
        .kg_length = config->kg_length,
        .suite = config->suite,
        .window = config->window,
        .attempts = HANDSHAKE_TRIES,
        .first_timeout = HANDSHAKE_WAIT_MS,
    };
    set_limits(client, config);
    own->config = (struct fwr_rmcp_road_config){
        .size = sizeof(own->config),
        .session = &own->session,
        .limits = &client->limits,
        .iana = client->iana,
        .command_base = client->command_base,
        .ctx = own,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
    };
}

static int rmcp_init(struct sim_client *client, const struct fwr_platform *platform)
{
    struct rmcp *own = calloc(1, sizeof(*own));
    int error;

    client->own = own;
    if (own == NULL)
        return FWR_E_MEMORY;
    own->client = client;
    own->fd = -1;
    configure(client, platform);
    own->storage = calloc(1, fwr_rmcp_road_storage());
    if (own->storage == NULL)
        return FWR_E_MEMORY;
    error = fwr_rmcp_road_init(&own->road, own->storage, fwr_rmcp_road_storage(), &own->config);
    if (error == FWR_OK)
        client->link = fwr_rmcp_road_link(own->road);
    return error;
}

static void rmcp_end(struct sim_client *client)
{
    struct rmcp *own = client->own;

    fwr_rmcp_road_end(own->road);
    drop_socket(own);
    free(own->storage);
}

const struct sim_client_kind sim_client_rmcp = {
    .init = rmcp_init,
    .end = rmcp_end,
    .retry = rmcp_retry,
    .next_timeout = rmcp_next_timeout,
    .timeout = rmcp_timeout,
};
