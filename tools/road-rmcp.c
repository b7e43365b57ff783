/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ roads (fwrecover/rmcp-road.h) on UDP sockets, from the asking side. A peer with several
 * addresses is tried at each of them in turn. Nothing here waits.
 */
#include "tools/road.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/lan.h>
#include <fwrecover/rmcp-road.h>

#include "tools/outbox.h"
#include "tools/say.h"

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define DATAGRAMS_A_TURN  64

struct rmcp {
    struct tool_road *road;
    int fd;
    char interface[FWR_LAN_NAME_MAX]; /* "": any */
    struct addrinfo *addresses;
    const struct addrinfo *address; /* the one in use */
    bool opened;                    /* a session was opened at this address */
    struct fwr_rmcp_initiator_config session;
    struct fwr_rmcp_road_config config;
    struct fwr_rmcp_road *rmcp;
    void *storage;
    bool gathering;
    struct tool_outbox outbox;
};

static void drop_socket(struct rmcp *own)
{
    if (own->fd >= 0)
        close(own->fd);
    own->fd = -1;
    own->outbox.length = 0;
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    struct rmcp *own = ctx;
    int error = FWR_OK;

    if (fwr_lan_error(own->outbox.error) == FWR_E_INTERFACE) {
        own->outbox.error = 0;
        drop_socket(own);
        return FWR_E_INTERFACE; /* of what was sent before: nothing goes out there any more */
    }
    if (own->fd < 0)
        error = fwr_lan_connect(&own->fd, own->address->ai_addr, own->address->ai_addrlen,
                                own->interface);
    if (error != FWR_OK)
        return error;
    tool_outbox_put(&own->outbox, own->fd, NULL, 0, datagram, length);
    if (!own->gathering)
        tool_outbox_send(&own->outbox);
    return FWR_OK;
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct tool_road *road = ((struct rmcp *)ctx)->road;

    road->events->reply(road->ctx, road, command, reply, length);
}

/* Down: tries the peer's next address before anybody is told, unless this one has worked. */
static bool next_address(struct rmcp *own)
{
    drop_socket(own);
    if (own->opened || own->address->ai_next == NULL) {
        own->address = own->addresses;
        own->opened = false;
        return false;
    }
    own->address = own->address->ai_next;
    return fwr_rmcp_road_open(own->rmcp, tool_now()) == FWR_OK;
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct rmcp *own = ctx;
    struct tool_road *road = own->road;

    if (error != FWR_OK && next_address(own))
        return;
    if (limits != NULL) {
        road->limits = *limits;
        own->opened = true;
    }
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

/* ---- what road.c calls ---- */

static struct pollfd rmcp_handle(const struct tool_road *road)
{
    const struct rmcp *own = road->own;

    return (struct pollfd){.fd = own->fd, .events = POLLIN};
}

static void rmcp_ready(struct tool_road *road)
{
    struct rmcp *own = road->own;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_TURN && own->fd >= 0; i++) {
        ssize_t length = recv(own->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

        if (length >= 0) { /* one that is too large is dropped there, and counted */
            fwr_rmcp_road_receive(own->rmcp, tool_now(), datagram, (size_t)length);
        } else {
            if (errno == ECONNREFUSED)
                fwr_rmcp_road_unreachable(own->rmcp, tool_now());
            return;
        }
    }
}

static void rmcp_gather(struct tool_road *road, bool on)
{
    struct rmcp *own = road->own;

    own->gathering = on;
    if (!on)
        tool_outbox_send(&own->outbox);
}

static uint64_t rmcp_next_timeout(const struct tool_road *road)
{
    return fwr_rmcp_road_next_timeout(((const struct rmcp *)road->own)->rmcp);
}

static void rmcp_timeout(struct tool_road *road, uint64_t now)
{
    fwr_rmcp_road_timeout(((struct rmcp *)road->own)->rmcp, now);
}

/* The road's limits before anybody has said more: what one datagram carries, over what. */
static void set_limits(struct tool_road *road)
{
    struct rmcp *own = road->own;
    const struct tool_login *login = road->login;
    struct fwr_lan_interface interface = {.medium = FWR_MEDIUM_LAN};
    uint8_t suite = login->suite;

    if (own->interface[0] != '\0')
        fwr_lan_interface_get(own->interface, &interface); /* what is wrong shows in use */
    own->session.datagram =
        fwr_lan_datagram(own->address->ai_family, login->mtu > 0 ? login->mtu : interface.mtu);
    road->limits.max_request = (uint16_t)fwr_rmcp_max_request(suite, own->session.datagram);
    road->limits.max_reply = (uint16_t)fwr_rmcp_max_reply(suite, own->session.datagram);
    road->limits.window = FWR_RMCP_WINDOW_MAX;
    road->limits.medium = login->medium != FWR_MEDIUM_LOCAL ? login->medium : interface.medium;
}

static void configure(struct tool_road *road, const struct fwr_platform *platform)
{
    const struct tool_login *login = road->login;
    struct rmcp *own = road->own;

    own->session = (struct fwr_rmcp_initiator_config){
        .size = sizeof(own->session),
        .platform = platform,
        .user = login->user,
        .user_length = (uint8_t)strlen(login->user),
        .password = login->password.bytes,
        .password_length = login->password.length,
        .kg = login->kg.length > 0 ? login->kg.bytes : NULL,
        .kg_length = login->kg.length,
        .suite = login->suite,
        .privilege = login->privilege,
        .attempts = HANDSHAKE_TRIES,
        .first_timeout = HANDSHAKE_WAIT_MS,
    };
    set_limits(road);
    own->config = (struct fwr_rmcp_road_config){
        .size = sizeof(own->config),
        .session = &own->session,
        .limits = &road->limits,
        .iana = login->iana,
        .command_base = FWR_COMMAND_BASE,
        .ctx = own,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
    };
}

static int rmcp_open(struct tool_road *road, const char *address,
                     const struct fwr_platform *platform)
{
    struct rmcp *own = calloc(1, sizeof(*own));
    int status, error;

    road->own = own;
    if (own == NULL)
        return tool_error(FWR_E_MEMORY, address, NULL);
    own->road = road;
    own->fd = -1;
    status = tool_resolve(address, false, &own->addresses, own->interface);
    if (status != TOOL_OK)
        return status;
    if (road->login->interface != NULL)
        snprintf(own->interface, sizeof(own->interface), "%s", road->login->interface);
    own->address = own->addresses;
    configure(road, platform);
    own->storage = calloc(1, fwr_rmcp_road_storage());
    error = own->storage == NULL ? FWR_E_MEMORY
                                 : fwr_rmcp_road_init(&own->rmcp, own->storage,
                                                      fwr_rmcp_road_storage(), &own->config);
    if (error != FWR_OK)
        return tool_error(error, address, NULL);
    road->link = fwr_rmcp_road_link(own->rmcp);
    return TOOL_OK;
}

static void rmcp_close(struct tool_road *road)
{
    struct rmcp *own = road->own;

    fwr_rmcp_road_end(own->rmcp);
    free(own->storage);
    if (own->addresses != NULL)
        freeaddrinfo(own->addresses);
    drop_socket(own);
}

const struct tool_road_kind tool_road_rmcp = {
    .sessions = true,
    .open = rmcp_open,
    .close = rmcp_close,
    .handle = rmcp_handle,
    .ready = rmcp_ready,
    .next_timeout = rmcp_next_timeout,
    .timeout = rmcp_timeout,
    .gather = rmcp_gather,
};
