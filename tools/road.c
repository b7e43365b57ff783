/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ roads on sockets, from the asking side: see road.h. A peer with several addresses is
 * tried at each of them in turn. Nothing here waits.
 */
#include "tools/road.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define DATAGRAMS_A_TURN  64

static void drop_socket(struct tool_road *road)
{
    if (road->fd >= 0)
        close(road->fd);
    road->fd = -1;
    road->outbox.length = 0;
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    struct tool_road *road = ctx;
    int error = FWR_OK;

    if (fwr_lan_error(road->outbox.error) == FWR_E_INTERFACE) {
        road->outbox.error = 0;
        drop_socket(road);
        return FWR_E_INTERFACE; /* of what was sent before: nothing goes out there any more */
    }
    if (road->fd < 0)
        error = fwr_lan_connect(&road->fd, road->address->ai_addr, road->address->ai_addrlen,
                                road->interface);
    if (error != FWR_OK)
        return error;
    tool_outbox_put(&road->outbox, road->fd, NULL, 0, datagram, length);
    if (!road->gathering)
        tool_outbox_send(&road->outbox);
    return FWR_OK;
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct tool_road *road = ctx;

    road->events->reply(road->ctx, road, command, reply, length);
}

/* Down: tries the peer's next address before anybody is told, unless this one has worked. */
static bool next_address(struct tool_road *road)
{
    drop_socket(road);
    if (road->opened || road->address->ai_next == NULL) {
        road->address = road->addresses;
        road->opened = false;
        return false;
    }
    road->address = road->address->ai_next;
    return fwr_rmcp_road_open(road->road, tool_now()) == FWR_OK;
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct tool_road *road = ctx;

    if (error != FWR_OK && next_address(road))
        return;
    if (limits != NULL) {
        road->limits = *limits;
        road->opened = true;
    }
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

/* ---- what the program calls ---- */

void tool_road_readable(struct tool_road *road)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_TURN && road->fd >= 0; i++) {
        ssize_t length = recv(road->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

        if (length >= 0) { /* one that is too large is dropped there, and counted */
            fwr_rmcp_road_receive(road->road, tool_now(), datagram, (size_t)length);
        } else {
            if (errno == ECONNREFUSED)
                fwr_rmcp_road_unreachable(road->road, tool_now());
            return;
        }
    }
}

int tool_road_send(struct tool_road *road, uint8_t command, const uint8_t *data, size_t length)
{
    return fwr_rmcp_road_send(road->road, tool_now(), command, data, length);
}

void tool_road_gather(struct tool_road *road)
{
    road->gathering = true;
}

void tool_road_flush(struct tool_road *road)
{
    road->gathering = false;
    tool_outbox_send(&road->outbox);
}

uint64_t tool_road_next_timeout(const struct tool_road *road)
{
    return fwr_rmcp_road_next_timeout(road->road);
}

void tool_road_timeout(struct tool_road *road, uint64_t now)
{
    fwr_rmcp_road_timeout(road->road, now);
}

/* The road's limits before anybody has said more: what one datagram carries, over what. */
static void set_limits(struct tool_road *road)
{
    const struct tool_login *login = road->login;
    struct fwr_lan_interface interface = {.medium = FWR_MEDIUM_LAN};
    uint8_t suite = login->suite;
    uint32_t mtu;

    if (road->interface[0] != '\0')
        fwr_lan_interface_get(road->interface, &interface); /* what is wrong shows in use */
    mtu = login->mtu > 0 ? login->mtu : interface.mtu;
    road->session.datagram = fwr_lan_datagram(road->address->ai_family, mtu);

    road->limits.max_request = (uint16_t)fwr_rmcp_max_request(suite, road->session.datagram);
    road->limits.max_reply = (uint16_t)fwr_rmcp_max_reply(suite, road->session.datagram);
    road->limits.window = FWR_RMCP_WINDOW_MAX;
    road->limits.medium =
        login->medium != FWR_MEDIUM_LOCAL ? login->medium : (uint8_t)interface.medium;
}

int tool_road_open(struct tool_road *road, const struct tool_login *login,
                   const struct fwr_platform *platform, const struct tool_road_events *events,
                   void *ctx)
{
    int status, error;

    memset(road, 0, sizeof(*road));
    road->fd = -1;
    road->login = login;
    road->events = events;
    road->ctx = ctx;
    status = tool_resolve(login->target, false, &road->addresses, road->interface);
    if (status != TOOL_OK)
        return status;
    if (login->interface != NULL)
        snprintf(road->interface, sizeof(road->interface), "%s", login->interface);
    road->address = road->addresses;
    road->session = (struct fwr_rmcp_initiator_config){
        .size = sizeof(road->session),
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
    road->config = (struct fwr_rmcp_road_config){
        .size = sizeof(road->config),
        .session = &road->session,
        .limits = &road->limits,
        .iana = login->iana,
        .command_base = FWR_COMMAND_BASE,
        .ctx = road,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
    };
    road->storage = calloc(1, fwr_rmcp_road_storage());
    error = road->storage == NULL ? FWR_E_MEMORY
                                  : fwr_rmcp_road_init(&road->road, road->storage,
                                                       fwr_rmcp_road_storage(), &road->config);
    if (error == FWR_OK)
        road->link = fwr_rmcp_road_link(road->road);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_road_close(road);
    return tool_error(error, login->target, NULL);
}

void tool_road_close(struct tool_road *road)
{
    fwr_rmcp_road_end(road->road);
    free(road->storage);
    if (road->addresses != NULL)
        freeaddrinfo(road->addresses);
    drop_socket(road);
    road->road = NULL;
    road->storage = NULL;
    road->addresses = NULL;
}
