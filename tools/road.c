/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMCP+ sessions on sockets, from the asking side: see road.h. A peer with several addresses is
 * tried at each of them in turn. Nothing here waits.
 */
#include "tools/road.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define HANDSHAKE_TRIES   4
#define HANDSHAKE_WAIT_MS 300
#define PAUSE_FIRST_MS    1000
#define PAUSE_MAX_MS      60000
#define IDLE_MS           20000 /* lanserv forgets a session after 30 s */
#define SILENCE_MS        4000  /* with requests on the road: the peer is gone */
#define FORGET_MS         1500
#define DATAGRAMS_A_TURN  64
#define CODE_BITS         8 /* of a token: the command; the rest counts */

static void send_datagram(const struct tool_road *road, const uint8_t *datagram, size_t length)
{
    /* A datagram that the kernel refuses is one that was lost. */
    if (length > 0 && road->fd >= 0)
        (void)!send(road->fd, datagram, length, MSG_NOSIGNAL);
}

static void forget(struct tool_road *road, unsigned slot, uint64_t now)
{
    fwr_rmcp_initiator_forget(road->initiator, now, road->waiting[slot].token);
    road->waiting[slot].token = 0;
}

static bool waits(const struct tool_road *road)
{
    for (unsigned i = 0; i < TOOL_ROAD_WAITING; i++) {
        if (road->waiting[i].token != 0)
            return true;
    }
    return false;
}

static void leave(struct tool_road *road, bool farewell)
{
    uint8_t datagram[256];
    size_t length = 0;

    fwr_rmcp_initiator_close(road->initiator, farewell ? datagram : NULL, sizeof(datagram),
                             &length);
    send_datagram(road, datagram, farewell ? length : 0);
    road->state = TOOL_ROAD_CLOSED;
    memset(road->waiting, 0, sizeof(road->waiting));
}

static void tell(struct tool_road *road, int error)
{
    if (road->events->state != NULL)
        road->events->state(road->ctx, road, error);
}

static void drop_socket(struct tool_road *road)
{
    if (road->fd >= 0)
        close(road->fd);
    road->fd = -1;
}

static int begin(struct tool_road *road, uint64_t now);

/* The session failed: tries the peer's next address, or gives up for a while. True: given up. */
static bool lower(struct tool_road *road, uint64_t now, int error)
{
    bool handshake = road->state == TOOL_ROAD_OPENING;

    leave(road, false);
    drop_socket(road);
    road->error = error;
    while (handshake && road->address->ai_next != NULL) {
        road->address = road->address->ai_next;
        if (begin(road, now) == FWR_OK)
            return false;
        drop_socket(road);
    }
    road->address = road->addresses;
    road->pause = road->pause == 0 ? PAUSE_FIRST_MS : road->pause * 2;
    if (road->pause > PAUSE_MAX_MS)
        road->pause = PAUSE_MAX_MS;
    road->retry_at = now + road->pause;
    return true;
}

static void go_down(struct tool_road *road, uint64_t now, int error)
{
    if (lower(road, now, error))
        tell(road, error);
}

static void continue_handshake(struct tool_road *road, uint64_t now)
{
    uint8_t datagram[256];
    size_t length;

    do {
        if (fwr_rmcp_initiator_next_send(road->initiator, now, datagram, sizeof(datagram),
                                         &length) != FWR_OK)
            return;
        send_datagram(road, datagram, length);
    } while (length > 0);
}

/* Opens a socket if there is none, and begins a session. */
static int begin(struct tool_road *road, uint64_t now)
{
    int error;

    if (road->fd < 0)
        road->fd = tool_udp_connect(road->address);
    error = road->fd < 0 ? FWR_E_NO_DONOR : fwr_rmcp_initiator_start(road->initiator, now);
    if (error != FWR_OK)
        return error;
    road->state = TOOL_ROAD_OPENING;
    road->used = road->heard = now;
    continue_handshake(road, now);
    return FWR_OK;
}

static void opened(struct tool_road *road)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(road->initiator, &status);
    road->state = TOOL_ROAD_OPEN;
    road->pause = 0;
    road->limits.round_trip_ms = status.round_trip_ms;
    tell(road, FWR_OK);
}

static void take_reply(struct tool_road *road, const struct fwr_rmcp_response *response)
{
    for (unsigned i = 0; i < TOOL_ROAD_WAITING; i++) {
        if (road->waiting[i].token != response->token)
            continue;
        road->waiting[i].token = 0;
        road->events->reply(road->ctx, road, road->waiting[i].command, response->reply,
                            response->length);
        return;
    }
}

static void take_datagram(struct tool_road *road, uint8_t *datagram, size_t length)
{
    struct fwr_rmcp_response response;
    uint64_t now = tool_now();

    if (fwr_rmcp_initiator_receive(road->initiator, now, datagram, length, &response) != FWR_OK)
        return;
    road->used = road->heard = now;
    switch (response.kind) {
    case FWR_RMCP_EVENT_OPENED:
        opened(road);
        break;
    case FWR_RMCP_EVENT_CLOSED:
        go_down(road, now, response.reason);
        break;
    case FWR_RMCP_EVENT_RESPONSE:
        take_reply(road, &response);
        break;
    default:
        continue_handshake(road, now);
        break;
    }
}

void tool_road_readable(struct tool_road *road)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];

    for (int i = 0; i < DATAGRAMS_A_TURN && road->fd >= 0; i++) {
        ssize_t length = recv(road->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

        if (length >= 0 && (size_t)length <= FWR_RMCP_DATAGRAM_MAX) {
            take_datagram(road, datagram, (size_t)length);
        } else if (length < 0) {
            /* Nobody listens there, or nobody any more. */
            if (errno == ECONNREFUSED && road->state != TOOL_ROAD_CLOSED)
                go_down(road, tool_now(),
                        road->state == TOOL_ROAD_OPEN ? FWR_E_SESSION_CLOSED : FWR_E_NO_DONOR);
            return;
        }
    }
}

/* A place for one more request. A repetition takes over the place of what it repeats. */
static int find_slot(struct tool_road *road, uint8_t command, uint8_t cookie, uint64_t now)
{
    int slot = -1;

    for (int i = 0; i < TOOL_ROAD_WAITING; i++) {
        if (road->waiting[i].token != 0 && road->waiting[i].command == command &&
            road->waiting[i].cookie == cookie)
            forget(road, (unsigned)i, now);
        if (road->waiting[i].token == 0)
            slot = i;
    }
    return slot;
}

int tool_road_send(struct tool_road *road, uint8_t command, const uint8_t *data, size_t length)
{
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX], datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_request request = {.netfn = FWR_NETFN_OEM_REQUEST,
                                       .command = (uint8_t)(FWR_COMMAND_BASE + command),
                                       .data = bytes,
                                       .length = FWR_IANA_SIZE + length};
    uint64_t now = tool_now();
    uint64_t token;
    size_t sealed;
    int slot, error;

    if (road->retry_at > now)
        return FWR_E_SESSION_CLOSED;
    if (road->state == TOOL_ROAD_CLOSED) {
        error = begin(road, now);
        if (error == FWR_OK)
            return FWR_E_BUSY;
        /* The caller hears it from us; the events are for what happens by itself. */
        road->state = TOOL_ROAD_OPENING;
        return lower(road, now, error) ? error : FWR_E_BUSY;
    }
    if (road->state != TOOL_ROAD_OPEN)
        return FWR_E_BUSY;
    if (length < 1 || length > sizeof(bytes) - FWR_IANA_SIZE)
        return FWR_E_LENGTH;
    slot = find_slot(road, command, data[0], now);
    if (slot < 0)
        return FWR_E_BUSY;
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        bytes[i] = (uint8_t)(road->login->iana >> 8 * i);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    token = ++road->counter << CODE_BITS | command;
    error = fwr_rmcp_initiator_request(road->initiator, now, &request, token, datagram,
                                       sizeof(datagram), &sealed);
    if (error != FWR_OK)
        return error;
    if (!waits(road))
        road->heard = now;
    road->used = now;
    road->waiting[slot].token = token;
    road->waiting[slot].sent = now;
    road->waiting[slot].command = command;
    road->waiting[slot].cookie = data[0];
    send_datagram(road, datagram, sealed);
    return FWR_OK;
}

static int link_send(void *ctx, uint8_t command, const uint8_t *data, size_t length)
{
    return tool_road_send(ctx, command, data, length);
}

static void link_limits(void *ctx, struct fwr_link_limits *limits)
{
    const struct tool_road *road = ctx;

    *limits = road->limits;
}

uint64_t tool_road_next_timeout(const struct tool_road *road)
{
    uint64_t next = fwr_rmcp_initiator_next_timeout(road->initiator);

    if (road->retry_at != 0)
        return road->retry_at;
    if (road->state == TOOL_ROAD_OPEN && road->used + IDLE_MS < next)
        next = road->used + IDLE_MS;
    for (unsigned i = 0; i < TOOL_ROAD_WAITING; i++) {
        if (road->waiting[i].token != 0 && road->waiting[i].sent + FORGET_MS < next)
            next = road->waiting[i].sent + FORGET_MS;
    }
    if (waits(road) && road->heard + SILENCE_MS < next)
        next = road->heard + SILENCE_MS;
    return next;
}

static void handshake_timeout(struct tool_road *road, uint64_t now)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_timeout(road->initiator, now);
    fwr_rmcp_initiator_status(road->initiator, &status);
    if (status.state == FWR_RMCP_FAILED)
        go_down(road, now, status.error);
    else
        continue_handshake(road, now);
}

void tool_road_timeout(struct tool_road *road, uint64_t now)
{
    if (road->retry_at != 0 && now >= road->retry_at) {
        road->retry_at = 0;
        tell(road, FWR_OK);
    }
    if (road->state == TOOL_ROAD_OPENING) {
        handshake_timeout(road, now);
        return;
    }
    if (road->state == TOOL_ROAD_CLOSED)
        return;
    if (waits(road) && now >= road->heard + SILENCE_MS) {
        go_down(road, now, FWR_E_TIMEOUT);
        return;
    }
    for (unsigned i = 0; i < TOOL_ROAD_WAITING; i++) {
        if (road->waiting[i].token != 0 && now >= road->waiting[i].sent + FORGET_MS)
            forget(road, i, now);
    }
    if (now >= road->used + IDLE_MS)
        leave(road, true);
}

/* The road's limits before anybody has said more: what one datagram carries. */
static void set_limits(struct tool_road *road)
{
    uint8_t suite = road->login->suite;

    road->limits.max_request = (uint16_t)fwr_rmcp_max_request(suite, road->session.datagram);
    road->limits.max_reply = (uint16_t)fwr_rmcp_max_reply(suite, road->session.datagram);
    road->limits.window = FWR_RMCP_WINDOW_MAX;
    road->limits.medium = FWR_MEDIUM_LAN;
    road->link = (struct fwr_link){sizeof(road->link), road, link_limits, link_send};
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
    status = tool_resolve(login->target, false, &road->addresses);
    if (status != TOOL_OK)
        return status;
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
        .datagram = tool_datagram_size(road->address->ai_family),
    };
    set_limits(road);
    road->storage = calloc(1, fwr_rmcp_initiator_storage());
    error = road->storage == NULL
                ? FWR_E_MEMORY
                : fwr_rmcp_initiator_init(&road->initiator, road->storage,
                                          fwr_rmcp_initiator_storage(), &road->session);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_road_close(road);
    return tool_error(error, login->target, NULL);
}

void tool_road_close(struct tool_road *road)
{
    if (road->initiator != NULL) {
        leave(road, true);
        fwr_rmcp_initiator_end(road->initiator);
    }
    free(road->storage);
    if (road->addresses != NULL)
        freeaddrinfo(road->addresses);
    drop_socket(road);
    road->initiator = NULL;
    road->storage = NULL;
    road->addresses = NULL;
}
