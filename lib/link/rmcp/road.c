/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads: see rmcp-road.h. Called by programs that join sockets to engines: the command line,
 * the ipmi_sim module, the example.
 */
#include <fwrecover/rmcp-road.h>

#include <stdalign.h>
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   60000
#define IDLE_MS        20000 /* lanserv forgets a session after 30 s */
#define SILENCE_MS     4000  /* with requests on the road: the peer is gone */
#define FORGET_MS      1500  /* whoever asked has asked again by now */
#define WAITING_MAX    16    /* requests on the road; at least FWR_RMCP_WINDOW_MAX */
#define CODE_BITS      8     /* of a token: the command; the rest counts */

struct waiting {
    uint64_t token; /* 0: free */
    uint64_t sent;
    uint8_t cookie;
};

struct fwr_rmcp_road {
    const struct fwr_rmcp_road_config *config;
    struct fwr_link link;
    struct fwr_link_limits limits;
    struct fwr_rmcp_initiator *initiator;
    enum { CLOSED, OPENING, OPEN } state;
    uint64_t used;     /* when something last came or went */
    uint64_t heard;    /* when something last came, or went while nothing was waited for */
    uint64_t retry_at; /* down until then; 0: not down */
    uint32_t pause;    /* ms, doubled with every failure */
    uint64_t counter;  /* of tokens */
    struct waiting waiting[WAITING_MAX];
};

static uint8_t command_of(uint64_t token)
{
    return (uint8_t)(token & ((1u << CODE_BITS) - 1));
}

static bool waits(const struct fwr_rmcp_road *road)
{
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (road->waiting[i].token != 0)
            return true;
    return false;
}

static void forget(struct fwr_rmcp_road *road, struct waiting *waiting, uint64_t now)
{
    fwr_rmcp_initiator_forget(road->initiator, now, waiting->token);
    waiting->token = 0;
}

static int transmit(struct fwr_rmcp_road *road, const uint8_t *datagram, size_t length)
{
    return length > 0 ? road->config->transmit(road->config->ctx, datagram, length) : FWR_OK;
}

/* Leaves the session, with a word to the peer if it may still listen. */
static void leave(struct fwr_rmcp_road *road, bool farewell)
{
    uint8_t datagram[256];
    size_t length = 0;

    fwr_rmcp_initiator_close(road->initiator, farewell ? datagram : NULL, sizeof(datagram),
                             &length);
    if (farewell)
        transmit(road, datagram, length);
    road->state = CLOSED;
    memset(road->waiting, 0, sizeof(road->waiting));
}

static void go_down(struct fwr_rmcp_road *road, uint64_t now, int error)
{
    leave(road, false);
    road->pause = road->pause == 0 ? PAUSE_FIRST_MS : road->pause * 2;
    if (road->pause > PAUSE_MAX_MS)
        road->pause = PAUSE_MAX_MS;
    road->retry_at = now + road->pause;
    road->config->state(road->config->ctx, error, NULL);
}

static int continue_handshake(struct fwr_rmcp_road *road, uint64_t now)
{
    uint8_t datagram[256];
    size_t length;
    int error;

    do {
        error =
            fwr_rmcp_initiator_next_send(road->initiator, now, datagram, sizeof(datagram), &length);
        if (!error)
            error = transmit(road, datagram, length);
    } while (!error && length > 0);
    return error;
}

static void opened(struct fwr_rmcp_road *road)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(road->initiator, &status);
    road->state = OPEN;
    road->pause = 0;
    road->limits.round_trip_ms = status.round_trip_ms;
    road->config->state(road->config->ctx, FWR_OK, &road->limits);
}

static void take_reply(struct fwr_rmcp_road *road, const struct fwr_rmcp_response *response)
{
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        if (road->waiting[i].token != response->token)
            continue;
        road->waiting[i].token = 0;
        road->config->reply(road->config->ctx, command_of(response->token), response->reply,
                            response->length);
        return;
    }
}

void fwr_rmcp_road_receive(struct fwr_rmcp_road *road, uint64_t now, uint8_t *datagram,
                           size_t length)
{
    struct fwr_rmcp_response response;

    if (road->state == CLOSED ||
        fwr_rmcp_initiator_receive(road->initiator, now, datagram, length, &response) != FWR_OK)
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
        continue_handshake(road, now); /* what fails here is repeated, and times out */
    }
}

void fwr_rmcp_road_unreachable(struct fwr_rmcp_road *road, uint64_t now)
{
    if (road->state != CLOSED)
        go_down(road, now, road->state == OPEN ? FWR_E_SESSION_CLOSED : FWR_E_NO_DONOR);
}

int fwr_rmcp_road_open(struct fwr_rmcp_road *road, uint64_t now)
{
    int error;

    if (road->state != CLOSED)
        return FWR_E_STATE;
    error = fwr_rmcp_initiator_start(road->initiator, now);
    if (error)
        return error;
    road->state = OPENING;
    road->retry_at = 0;
    road->used = road->heard = now;
    error = continue_handshake(road, now);
    if (error)
        go_down(road, now, error);
    return error;
}

/* A place for one more request. A repetition takes over the place of what it repeats. */
static struct waiting *find_place(struct fwr_rmcp_road *road, uint8_t command, uint8_t cookie,
                                  uint64_t now)
{
    struct waiting *free = NULL;

    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting *w = &road->waiting[i];
        if (w->token != 0 && command_of(w->token) == command && w->cookie == cookie)
            forget(road, w, now);
        if (w->token == 0)
            free = w;
    }
    return free;
}

int fwr_rmcp_road_send(struct fwr_rmcp_road *road, uint64_t now, uint8_t command,
                       const uint8_t *data, size_t length)
{
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX], datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_request request = {.netfn = FWR_NETFN_OEM_REQUEST,
                                       .command = (uint8_t)(road->config->command_base + command),
                                       .data = bytes,
                                       .length = FWR_IANA_SIZE + length};
    size_t sealed;

    if (road->retry_at > now)
        return FWR_E_SESSION_CLOSED;
    if (road->state == CLOSED) {
        int error = fwr_rmcp_road_open(road, now);
        return error ? error : FWR_E_BUSY;
    }
    if (road->state != OPEN)
        return FWR_E_BUSY;
    if (length < 1 || length > sizeof(bytes) - FWR_IANA_SIZE)
        return FWR_E_LENGTH;
    struct waiting *place = find_place(road, command, data[0], now);
    if (!place)
        return FWR_E_BUSY;
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        bytes[i] = (uint8_t)(road->config->iana >> 8 * i);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    uint64_t token = ++road->counter << CODE_BITS | command;
    int error = fwr_rmcp_initiator_request(road->initiator, now, &request, token, datagram,
                                           sizeof(datagram), &sealed);
    if (error)
        return error;
    if (!waits(road))
        road->heard = now;
    road->used = now;
    *place = (struct waiting){.token = token, .sent = now, .cookie = data[0]};
    error = transmit(road, datagram, sealed);
    if (error)
        go_down(road, now, error);
    return error;
}

static int link_send(void *ctx, uint64_t now, uint8_t command, const uint8_t *data, size_t length)
{
    return fwr_rmcp_road_send((struct fwr_rmcp_road *)ctx, now, command, data, length);
}

static void link_limits(void *ctx, struct fwr_link_limits *limits)
{
    *limits = ((const struct fwr_rmcp_road *)ctx)->limits;
}

const struct fwr_link *fwr_rmcp_road_link(const struct fwr_rmcp_road *road)
{
    return &road->link;
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t fwr_rmcp_road_next_timeout(const struct fwr_rmcp_road *road)
{
    uint64_t next = fwr_rmcp_initiator_next_timeout(road->initiator);

    if (road->retry_at != 0)
        return road->retry_at;
    if (road->state == OPEN)
        next = earlier(next, road->used + IDLE_MS);
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (road->waiting[i].token != 0)
            next = earlier(next, road->waiting[i].sent + FORGET_MS);
    return waits(road) ? earlier(next, road->heard + SILENCE_MS) : next;
}

static void handshake_timeout(struct fwr_rmcp_road *road, uint64_t now)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_timeout(road->initiator, now);
    fwr_rmcp_initiator_status(road->initiator, &status);
    if (status.state == FWR_RMCP_FAILED)
        go_down(road, now, status.error);
    else
        continue_handshake(road, now);
}

void fwr_rmcp_road_retry(struct fwr_rmcp_road *road)
{
    if (road->retry_at == 0)
        return;
    road->retry_at = 0;
    road->config->state(road->config->ctx, FWR_OK, NULL);
}

void fwr_rmcp_road_timeout(struct fwr_rmcp_road *road, uint64_t now)
{
    if (now >= road->retry_at)
        fwr_rmcp_road_retry(road);
    if (road->state == OPENING)
        handshake_timeout(road, now);
    if (road->state != OPEN)
        return;
    if (waits(road) && now >= road->heard + SILENCE_MS) {
        go_down(road, now, FWR_E_TIMEOUT);
        return;
    }
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (road->waiting[i].token != 0 && now >= road->waiting[i].sent + FORGET_MS)
            forget(road, &road->waiting[i], now);
    if (now >= road->used + IDLE_MS)
        leave(road, true);
}

/* ---- life ---- */

/* The initiator's storage follows the road's own, aligned. */
static size_t own_size(void)
{
    size_t align = alignof(max_align_t);

    return (sizeof(struct fwr_rmcp_road) + align - 1) / align * align;
}

size_t fwr_rmcp_road_storage(void)
{
    return own_size() + fwr_rmcp_initiator_storage();
}

int fwr_rmcp_road_init(struct fwr_rmcp_road **road, void *storage, size_t size,
                       const struct fwr_rmcp_road_config *config)
{
    struct fwr_rmcp_road *r = (struct fwr_rmcp_road *)storage;

    *road = NULL;
    if (config->size != sizeof(*config) || !config->session || !config->limits ||
        !config->transmit || !config->reply || !config->state)
        return FWR_E_ARGUMENT;
    if (size < fwr_rmcp_road_storage())
        return FWR_E_NO_SPACE;
    memset(r, 0, sizeof(*r));
    r->config = config;
    r->limits = *config->limits;
    r->link = (struct fwr_link){
        .size = sizeof(r->link), .ctx = r, .limits = link_limits, .send = link_send};
    int error = fwr_rmcp_initiator_init(&r->initiator, (uint8_t *)storage + own_size(),
                                        size - own_size(), config->session);
    if (!error)
        *road = r;
    return error;
}

void fwr_rmcp_road_end(struct fwr_rmcp_road *road)
{
    if (!road)
        return;
    leave(road, road->state == OPEN);
    fwr_rmcp_initiator_end(road->initiator);
    memset(road, 0, sizeof(*road));
}
