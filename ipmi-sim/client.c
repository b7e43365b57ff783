/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads to donors: see client.h. One over RMCP+ has a connected UDP socket whose readiness
 * lanserv's loop reports; it is kept from session to session, since lanserv leaks a little for each
 * it is told of. Nothing here waits.
 */
#include "ipmi-sim/client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>
#include <fwrecover/recipient.h>

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define DATAGRAMS_A_CALL  32 /* then the rest of the BMC has its turn */

static void readable(int fd, void *ctx)
{
    struct sim_client *client = ctx;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_CALL; i++) {
        ssize_t length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
        uint64_t now = client->now(client->ctx);

        if (length >= 0) { /* one that is too large is dropped there, and counted */
            fwr_rmcp_road_receive(client->road, now, datagram, (size_t)length);
        } else {
            if (errno == ECONNREFUSED)
                fwr_rmcp_road_unreachable(client->road, now);
            break;
        }
    }
    client->events->drained(client->ctx);
}

static int open_socket(struct sim_client *client)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *address;
    char port[8];

    snprintf(port, sizeof(port), "%u", client->config->port);
    if (getaddrinfo(client->config->host, port, &hints, &address) != 0)
        return FWR_E_NO_DONOR;
    client->fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd >= 0 && connect(client->fd, address->ai_addr, address->ai_addrlen) != 0) {
        close(client->fd);
        client->fd = -1;
    }
    freeaddrinfo(address);
    if (client->fd < 0)
        return FWR_E_NO_DONOR;
    if (client->sys->add_io_hnd(client->sys, client->fd, readable, client, &client->io) != 0) {
        close(client->fd);
        client->fd = -1;
        return FWR_E_MEMORY;
    }
    client->sys->io_set_enables(client->io, 1, 0, 0);
    return FWR_OK;
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    struct sim_client *client = ctx;
    int error = client->fd < 0 ? open_socket(client) : FWR_OK;

    /* A datagram that the kernel refuses is one that was lost; but the refusal may be the news,
     * from an earlier one, that nobody listens there. */
    if (error == FWR_OK && send(client->fd, datagram, length, MSG_NOSIGNAL) < 0)
        client->refused = errno == ECONNREFUSED;
    return error;
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct sim_client *client = ctx;

    client->events->reply(client->ctx, client->peer, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct sim_client *client = ctx;

    client->events->state(client->ctx, client->peer, error, limits);
}

/* ---- time and life ---- */

void sim_client_retry(struct sim_client *client)
{
    if (client->icmb != NULL)
        fwr_icmb_road_retry(client->icmb);
    else
        fwr_rmcp_road_retry(client->road);
}

uint64_t sim_client_next_timeout(const struct sim_client *client)
{
    if (client->icmb != NULL)
        return fwr_icmb_road_next_timeout(client->icmb);
    return client->refused ? 0 : fwr_rmcp_road_next_timeout(client->road);
}

void sim_client_timeout(struct sim_client *client, uint64_t now)
{
    if (client->icmb != NULL) {
        fwr_icmb_road_timeout(client->icmb, now);
        return;
    }
    if (client->refused) {
        client->refused = false;
        fwr_rmcp_road_unreachable(client->road, now);
    }
    fwr_rmcp_road_timeout(client->road, now);
}

const struct fwr_link *sim_client_link(const struct sim_client *client)
{
    return client->icmb != NULL ? fwr_icmb_road_link(client->icmb)
                                : fwr_rmcp_road_link(client->road);
}

/* A donor on the same bus. */
static int init_icmb(struct sim_client *client)
{
    client->icmb_config = (struct fwr_icmb_road_config){
        .size = sizeof(client->icmb_config),
        .bridge = client->bridge,
        .address = client->config->icmb,
        .command_base = client->command_base,
        .iana = client->iana,
        .ctx = client,
        .reply = on_reply,
        .state = on_state,
    };
    fwr_icmb_road_limits(client->bridge, &client->limits);
    client->storage = calloc(1, fwr_icmb_road_storage());
    if (client->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_icmb_road_init(&client->icmb, client->storage, fwr_icmb_road_storage(),
                              &client->icmb_config);
}

int sim_client_init(struct sim_client *client, const struct sim_donor_config *config,
                    const struct fwr_platform *platform)
{
    client->config = config;
    client->fd = -1;
    if (config->icmb != 0)
        return init_icmb(client);
    client->session = (struct fwr_rmcp_initiator_config){
        .size = sizeof(client->session),
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
    client->limits = (struct fwr_link_limits){.max_request = FWR_MESSAGE_MAX,
                                              .max_reply = config->max_reply,
                                              .window = config->window,
                                              .medium = config->medium};
    client->road_config = (struct fwr_rmcp_road_config){
        .size = sizeof(client->road_config),
        .session = &client->session,
        .limits = &client->limits,
        .iana = client->iana,
        .command_base = client->command_base,
        .ctx = client,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
    };
    client->storage = calloc(1, fwr_rmcp_road_storage());
    if (client->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_rmcp_road_init(&client->road, client->storage, fwr_rmcp_road_storage(),
                              &client->road_config);
}

void sim_client_end(struct sim_client *client)
{
    fwr_icmb_road_end(client->icmb);
    fwr_rmcp_road_end(client->road);
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->road = NULL;
    client->icmb = NULL;
    free(client->storage);
    client->storage = NULL;
}
