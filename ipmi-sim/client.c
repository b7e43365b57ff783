/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads to donors: see client.h. Each has a connected UDP socket whose readiness lanserv's loop
 * reports. Requests are sent once: the engine repeats what it still wants. Nothing here waits.
 */
#include "ipmi-sim/client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/platform.h>
#include <fwrecover/recipient.h>

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define PAUSE_FIRST_MS    1000
#define PAUSE_MAX_MS      60000
#define IDLE_MS           20000 /* lanserv forgets a session after 30 s */
#define SILENCE_MS        4000  /* with requests on the road: the donor is gone */
#define FORGET_MS         3000  /* the engine has given a request up long before */
#define DATAGRAMS_A_CALL  32    /* then the rest of the BMC has its turn */

static void send_datagram(struct sim_client *client, const uint8_t *datagram, size_t length)
{
    /* A datagram that the kernel refuses is one that was lost; but the refusal may be the news,
     * from an earlier one, that nobody listens there. */
    if (length > 0 && client->fd >= 0 && send(client->fd, datagram, length, MSG_NOSIGNAL) < 0)
        client->refused = errno == ECONNREFUSED;
}

static unsigned outstanding(const struct sim_client *client)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SIM_TOKENS; i++)
        count += client->waiting[i].token != 0;
    return count;
}

/* Leaves the session, with a word to the donor if it may still listen. */
static void leave(struct sim_client *client, bool farewell)
{
    uint8_t datagram[256];
    size_t length = 0;

    fwr_rmcp_initiator_close(client->initiator, farewell ? datagram : NULL, sizeof(datagram),
                             &length);
    if (farewell)
        send_datagram(client, datagram, length);
    client->state = SIM_CLIENT_CLOSED;
    client->refused = false;
    memset(client->waiting, 0, sizeof(client->waiting));
}

static void go_down(struct sim_client *client, uint64_t now, int error)
{
    leave(client, false);
    client->pause = client->pause == 0 ? PAUSE_FIRST_MS : client->pause * 2;
    if (client->pause > PAUSE_MAX_MS)
        client->pause = PAUSE_MAX_MS;
    client->retry_at = now + client->pause;
    client->events->state(client->ctx, client->peer, error, NULL);
}

/* ---- receiving ---- */

static void take_reply(struct sim_client *client, const struct fwr_rmcp_response *response)
{
    for (unsigned i = 0; i < SIM_TOKENS; i++) {
        if (client->waiting[i].token != response->token)
            continue;
        client->waiting[i].token = 0;
        client->events->reply(client->ctx, client->peer, client->waiting[i].command,
                              response->reply, response->length);
        return;
    }
}

static void continue_handshake(struct sim_client *client, uint64_t now)
{
    uint8_t datagram[256];
    size_t length;

    do {
        if (fwr_rmcp_initiator_next_send(client->initiator, now, datagram, sizeof(datagram),
                                         &length) != FWR_OK)
            return;
        send_datagram(client, datagram, length);
    } while (length > 0);
}

static void take_datagram(struct sim_client *client, uint8_t *datagram, size_t length)
{
    struct fwr_rmcp_initiator_status status;
    struct fwr_rmcp_response response;
    uint64_t now = client->now(client->ctx);

    if (fwr_rmcp_initiator_receive(client->initiator, now, datagram, length, &response) != FWR_OK)
        return;
    client->used = client->heard = now;
    switch (response.kind) {
    case FWR_RMCP_EVENT_OPENED:
        client->state = SIM_CLIENT_OPEN;
        client->pause = 0;
        fwr_rmcp_initiator_status(client->initiator, &status);
        client->limits.round_trip_ms = status.round_trip_ms;
        client->events->state(client->ctx, client->peer, FWR_OK, &client->limits);
        break;
    case FWR_RMCP_EVENT_CLOSED:
        go_down(client, now, response.reason);
        break;
    case FWR_RMCP_EVENT_RESPONSE:
        take_reply(client, &response);
        break;
    default:
        continue_handshake(client, now);
        break;
    }
}

/* The socket is kept from session to session: lanserv leaks a little for each it is told of. */
static void readable(int fd, void *ctx)
{
    struct sim_client *client = ctx;
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_CALL; i++) {
        ssize_t length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);

        if (length >= 0 && (size_t)length <= FWR_RMCP_DATAGRAM_MAX) {
            take_datagram(client, datagram, (size_t)length);
        } else if (length < 0) {
            /* Nobody listens there (any more). */
            if (errno == ECONNREFUSED && client->state != SIM_CLIENT_CLOSED)
                go_down(client, client->now(client->ctx), FWR_E_SESSION_CLOSED);
            return;
        }
    }
}

/* ---- sending ---- */

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

/* Begins a session; FWR_E_BUSY while it is being opened. */
static int begin(struct sim_client *client, uint64_t now)
{
    int error = client->fd < 0 ? open_socket(client) : FWR_OK;

    if (error == FWR_OK)
        error = fwr_rmcp_initiator_start(client->initiator, now);
    if (error != FWR_OK) {
        client->retry_at = now + PAUSE_MAX_MS;
        return error;
    }
    client->state = SIM_CLIENT_OPENING;
    client->used = client->heard = now;
    continue_handshake(client, now);
    return FWR_E_BUSY;
}

static int client_send(void *ctx, uint8_t command, const uint8_t *data, size_t length)
{
    struct sim_client *client = ctx;
    uint64_t now = client->now(client->ctx);
    uint8_t bytes[FWR_IANA_SIZE + FWR_MESSAGE_MAX];
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_request request = {.netfn = FWR_NETFN_OEM_REQUEST,
                                       .command = (uint8_t)(client->command_base + command),
                                       .data = bytes};
    unsigned slot = 0;
    size_t sealed;
    int error;

    if (client->retry_at > now)
        return FWR_E_SESSION_CLOSED;
    if (client->state == SIM_CLIENT_CLOSED)
        return begin(client, now);
    while (slot < SIM_TOKENS && client->waiting[slot].token != 0)
        slot++;
    if (client->state != SIM_CLIENT_OPEN || slot == SIM_TOKENS)
        return FWR_E_BUSY;
    if (length > sizeof(bytes) - FWR_IANA_SIZE)
        return FWR_E_LENGTH;
    for (int i = 0; i < FWR_IANA_SIZE; i++)
        bytes[i] = (uint8_t)(client->iana >> 8 * i);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    request.length = FWR_IANA_SIZE + length;
    error = fwr_rmcp_initiator_request(client->initiator, now, &request, client->next_token,
                                       datagram, sizeof(datagram), &sealed);
    if (error != FWR_OK)
        return error;
    if (outstanding(client) == 0)
        client->heard = now;
    client->waiting[slot].token = client->next_token++;
    client->waiting[slot].sent = now;
    client->waiting[slot].command = command;
    client->used = now;
    send_datagram(client, datagram, sealed);
    return FWR_OK;
}

static void client_limits(void *ctx, struct fwr_link_limits *limits)
{
    const struct sim_client *client = ctx;

    *limits = client->limits;
}

/* ---- time ---- */

uint64_t sim_client_next_timeout(const struct sim_client *client)
{
    uint64_t next = fwr_rmcp_initiator_next_timeout(client->initiator);

    if (client->refused)
        return 0;
    if (client->retry_at != 0)
        return client->retry_at;
    if (client->state == SIM_CLIENT_OPEN && client->used + IDLE_MS < next)
        next = client->used + IDLE_MS;
    for (unsigned i = 0; i < SIM_TOKENS; i++) {
        if (client->waiting[i].token != 0 && client->waiting[i].sent + FORGET_MS < next)
            next = client->waiting[i].sent + FORGET_MS;
    }
    return next;
}

static void forget_lost(struct sim_client *client, uint64_t now)
{
    for (unsigned i = 0; i < SIM_TOKENS; i++) {
        if (client->waiting[i].token == 0 || now < client->waiting[i].sent + FORGET_MS)
            continue;
        fwr_rmcp_initiator_forget(client->initiator, now, client->waiting[i].token);
        client->waiting[i].token = 0;
    }
}

void sim_client_retry(struct sim_client *client)
{
    if (client->retry_at == 0)
        return;
    client->retry_at = 0;
    client->events->state(client->ctx, client->peer, FWR_OK, &client->limits);
}

void sim_client_timeout(struct sim_client *client, uint64_t now)
{
    struct fwr_rmcp_initiator_status status;

    if (now >= client->retry_at)
        sim_client_retry(client);
    if (client->state == SIM_CLIENT_CLOSED) {
        client->refused = false;
        return;
    }
    if (client->refused) {
        go_down(client, now, FWR_E_SESSION_CLOSED);
        return;
    }
    if (client->state == SIM_CLIENT_OPENING) {
        fwr_rmcp_initiator_timeout(client->initiator, now);
        fwr_rmcp_initiator_status(client->initiator, &status);
        if (status.state == FWR_RMCP_FAILED)
            go_down(client, now, status.error);
        else
            continue_handshake(client, now);
        return;
    }
    if (outstanding(client) > 0 && now >= client->heard + SILENCE_MS) {
        go_down(client, now, FWR_E_TIMEOUT);
        return;
    }
    forget_lost(client, now);
    if (now >= client->used + IDLE_MS)
        leave(client, true);
}

/* ---- life ---- */

int sim_client_init(struct sim_client *client, const struct sim_donor_config *config,
                    const struct fwr_platform *platform)
{
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

    client->link = (struct fwr_link){.size = sizeof(struct fwr_link),
                                     .ctx = client,
                                     .limits = client_limits,
                                     .send = client_send};
    client->limits = (struct fwr_link_limits){.max_request = FWR_MESSAGE_MAX,
                                              .max_reply = config->max_reply,
                                              .window = config->window,
                                              .medium = config->medium};
    client->config = config;
    client->fd = -1;
    client->next_token = 1;
    client->storage = calloc(1, fwr_rmcp_initiator_storage());
    if (client->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_rmcp_initiator_init(&client->initiator, client->storage,
                                   fwr_rmcp_initiator_storage(), &client->session);
}

void sim_client_end(struct sim_client *client)
{
    if (client->initiator != NULL) {
        leave(client, client->state == SIM_CLIENT_OPEN);
        fwr_rmcp_initiator_end(client->initiator);
    }
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->initiator = NULL;
    free(client->storage);
    client->storage = NULL;
}
