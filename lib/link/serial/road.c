/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asking end of a stream as a road: see serial.h. Called by programs that join streams to
 * engines: the command line, the ipmi_sim module.
 */
#include "link/serial/frame.h"

#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#include "link/outstanding.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   60000
#define SILENCE_MS     4000 /* with requests on the road: nobody is there */
#define FORGET_MS      1500 /* whoever asked has asked again by now */
#define HANDSHAKE_MS   100  /* besides the time on the line */
#define BITS           10   /* of a character: start, 8, stop */
#define CC_LENGTH      0xc7
#define DOUBTS         2  /* in a row are put down to the line */
#define TYPICAL        24 /* bytes of most requests, frame included */
#define ERROR_SIZE     5  /* completion code, IANA number, cookie */

struct fwr_serial_road {
    const struct fwr_serial_road_config *config;
    struct fwr_link link;
    struct fwr_link_limits limits;
    enum { UNKNOWN, CLOSED, OPEN } stream;
    bool unready;      /* the peer has not said that it takes the next packet */
    bool refused;      /* and a packet would have gone */
    bool unanswered;   /* something was sent since an answer last came */
    uint64_t sent;     /* when the last packet went */
    uint64_t ready_at; /* when the peer must have said so, or its word was lost */
    uint64_t heard;    /* when an answer last came, or the first packet after it went */
    uint64_t retry_at; /* nobody answered: down until then; 0: not down */
    uint32_t pause;    /* ms, doubled with every failure */
    uint32_t line_ms;  /* what a full window takes on the line, there and back */
    uint8_t doubts;    /* refusals that blame the request, in a row */
    struct fwr_outstanding outstanding;
    struct fwr_serial_counters counters;
    struct fwr_frame_decoder decoder;
};

static enum fwr_serial_mode mode(const struct fwr_serial_road *road)
{
    return (enum fwr_serial_mode)road->config->mode;
}

static uint8_t peer_address(const struct fwr_serial_road *road)
{
    return road->config->address != 0 ? road->config->address : FWR_SERIAL_ADDRESS_BMC;
}

/* ---- limits ---- */

/* Milliseconds that a message's bytes take on the line. Escapes in Basic Mode are few; Terminal
 * Mode sends two characters a byte. */
static uint32_t line_time(enum fwr_serial_mode mode, size_t bytes, uint32_t baud)
{
    uint64_t bits = (uint64_t)bytes * BITS * (mode == FWR_SERIAL_TERMINAL ? 2 : 1);

    return baud == 0 ? 0 : (uint32_t)(bits * 1000 / baud) + 1;
}

struct fwr_link_limits fwr_serial_road_limits(enum fwr_serial_mode mode, size_t message,
                                              uint32_t baud)
{
    struct fwr_link_limits limits = {.window = 1, .medium = FWR_MEDIUM_SERIAL};

    if (message == 0 || message > FWR_SERIAL_MESSAGE_MAX)
        message = FWR_SERIAL_MESSAGE_MAX;
    if (message < FWR_SERIAL_MESSAGE_DEFAULT)
        message = FWR_SERIAL_MESSAGE_DEFAULT;
    limits.max_request = (uint16_t)(fwr_serial_max_request(mode, message) - FWR_IANA_SIZE);
    limits.max_reply = (uint16_t)(fwr_serial_max_reply(mode, message) - FWR_IANA_SIZE);
    limits.round_trip_ms = line_time(mode, TYPICAL + message, baud);
    return limits;
}

static bool are_possible(const struct fwr_link_limits *limits, enum fwr_serial_mode mode)
{
    const struct fwr_link_limits most = fwr_serial_road_limits(mode, 0, 0);

    return limits->max_request >= FWR_LINK_MIN_REQUEST && limits->max_request <= most.max_request &&
           limits->max_reply >= FWR_LINK_MIN_REPLY && limits->max_reply <= most.max_reply &&
           limits->window >= 1 && limits->window <= FWR_SERIAL_WINDOW_MAX;
}

/* ---- up and down ---- */

static void reset(struct fwr_serial_road *road)
{
    /* The stream may lead to someone else next time, who knows nothing of these. */
    memset(&road->outstanding, 0, sizeof(road->outstanding));
    fwr_frame_decoder_reset(&road->decoder);
    road->unready = false;
    road->unanswered = false;
    road->retry_at = 0;
}

void fwr_serial_road_opened(struct fwr_serial_road *road, uint64_t now)
{
    reset(road);
    road->stream = OPEN;
    road->heard = now;
    road->config->state(road->config->ctx, FWR_OK, &road->limits);
}

void fwr_serial_road_closed(struct fwr_serial_road *road, uint64_t now, int error)
{
    (void)now;
    reset(road);
    road->stream = CLOSED;
    road->config->state(road->config->ctx, error, NULL);
}

/* The stream is open, but nobody is at its other end. */
static void go_silent(struct fwr_serial_road *road, uint64_t now)
{
    fwr_outstanding_expire(&road->outstanding, now, now);
    road->unready = false;
    road->unanswered = false;
    road->pause = road->pause == 0 ? PAUSE_FIRST_MS : road->pause * 2;
    if (road->pause > PAUSE_MAX_MS)
        road->pause = PAUSE_MAX_MS;
    road->retry_at = now + road->pause;
    road->config->state(road->config->ctx, FWR_E_TIMEOUT, NULL);
}

void fwr_serial_road_retry(struct fwr_serial_road *road)
{
    if (road->retry_at == 0)
        return;
    road->retry_at = 0;
    road->config->state(road->config->ctx, FWR_OK, NULL);
}

/* ---- requests ---- */

static bool expects_handshake(const struct fwr_serial_road *road)
{
    return mode(road) == FWR_SERIAL_BASIC && !road->config->no_handshake;
}

/* The frame of a request under `sequence`. */
static size_t build(const struct fwr_serial_road *road, uint8_t sequence, uint8_t command,
                    const uint8_t *data, size_t length, uint8_t frame[FWR_SERIAL_FRAME_MAX])
{
    uint8_t bytes[FWR_SERIAL_MESSAGE_MAX];
    const struct fwr_rmcp_message message = {
        .to = peer_address(road),
        .netfn = FWR_NETFN_OEM_REQUEST,
        .from = FWR_SERIAL_ADDRESS_CONSOLE,
        .sequence = sequence,
        .command = (uint8_t)(road->config->command_base + command),
        .data = bytes,
        .length = FWR_IANA_SIZE + length,
    };

    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        bytes[i] = (uint8_t)(road->config->iana >> 8 * i);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    return fwr_frame_encode(mode(road), &message, frame);
}

int fwr_serial_road_send(struct fwr_serial_road *road, uint64_t now, uint8_t command,
                         const uint8_t *data, size_t length)
{
    uint8_t frame[FWR_SERIAL_FRAME_MAX];
    uint8_t sequence;
    size_t size;
    int error;

    if (road->stream == UNKNOWN)
        return FWR_E_BUSY;
    if (road->stream == CLOSED && road->config->opening != NULL &&
        road->config->opening(road->config->ctx))
        return FWR_E_BUSY;
    if (road->stream == CLOSED || road->retry_at > now)
        return FWR_E_SESSION_CLOSED;
    if (length < 1 || length > road->limits.max_request)
        return FWR_E_LENGTH;
    road->refused = road->unready && now < road->ready_at;
    if (road->refused)
        return FWR_E_BUSY;
    sequence = fwr_outstanding_add(&road->outstanding, now, road->limits.window, command, data[0]);
    size = build(road, sequence, command, data, length, frame);
    error = road->config->transmit(road->config->ctx, frame, size);
    if (error != FWR_OK) {
        fwr_outstanding_undo(&road->outstanding, sequence);
        return error;
    }
    if (!road->unanswered || now >= road->sent + SILENCE_MS + road->line_ms)
        road->heard = now;
    road->sent = now;
    road->unanswered = true;
    road->unready = expects_handshake(road);
    road->ready_at = now + HANDSHAKE_MS + line_time(FWR_SERIAL_BASIC, 2 * size, road->config->baud);
    road->counters.sent++;
    return FWR_OK;
}

/* ---- replies ---- */

/* Refusals that blame the request: unknown, too short or too long, out of range. A zero that was
 * lost or made up on the way leaves the checksum as it was, and requests have many; so whoever
 * says such a thing should see the request again before it means anything. */
static bool is_doubtful(struct fwr_serial_road *road, uint8_t code)
{
    bool blames = code == 0xc1 || code == 0xc7 || code == 0xc9 || code == 0xcc;

    road->doubts = blames && road->doubts < DOUBTS ? (uint8_t)(road->doubts + 1) : 0;
    return road->doubts > 0;
}

/* A stack that refuses may do so without our number and cookie; the sequence number says which
 * request it means. */
static void hand_over(struct fwr_serial_road *road, const struct fwr_outstanding_request *request,
                      const struct fwr_rmcp_message *message)
{
    uint8_t error[ERROR_SIZE] = {message->data[0]};
    const uint8_t command = request->command;

    if (message->data[0] == 0) {
        road->config->reply(road->config->ctx, command, message->data, message->length);
        return;
    }
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        error[1 + i] = (uint8_t)(road->config->iana >> 8 * i);
    error[1 + FWR_IANA_SIZE] = request->cookie;
    road->config->reply(road->config->ctx, command, error, sizeof(error));
}

static void take(struct fwr_serial_road *road, uint64_t now)
{
    const struct fwr_rmcp_message *message = &road->decoder.message;
    const struct fwr_outstanding_request *request =
        &road->outstanding.requests[message->sequence % FWR_OUTSTANDING_SEQUENCES];
    bool late;

    if (message->netfn != FWR_NETFN_OEM_REPLY ||
        (mode(road) == FWR_SERIAL_BASIC &&
         (message->to != FWR_SERIAL_ADDRESS_CONSOLE || message->from != peer_address(road)))) {
        road->counters.foreign++;
        return;
    }
    if (message->length < 1 ||
        message->command != (uint8_t)(road->config->command_base + request->command) ||
        !fwr_outstanding_take(&road->outstanding, message->sequence, &late)) {
        road->counters.stray++;
        return;
    }
    /* One that comes late is handed on, too: the engine knows it by its cookie, and learns how
     * slow the road is. */
    road->counters.late += late;
    road->unready = false;
    road->unanswered = false;
    road->heard = now;
    road->pause = 0;
    road->counters.received++;
    if (!is_doubtful(road, message->data[0]))
        hand_over(road, request, message);
}

void fwr_serial_road_receive(struct fwr_serial_road *road, uint64_t now, const uint8_t *bytes,
                             size_t length)
{
    for (size_t i = 0; i < length && road->stream == OPEN; i++) {
        switch (fwr_frame_decoder_byte(&road->decoder, bytes[i])) {
        case FWR_FRAME_MESSAGE:
            take(road, now);
            break;
        case FWR_FRAME_HANDSHAKE:
            road->unready = false;
            break;
        case FWR_FRAME_COMMAND:
            road->counters.foreign++;
            break;
        default:
            break;
        }
    }
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t fwr_serial_road_next_timeout(const struct fwr_serial_road *road)
{
    uint64_t next;

    if (road->stream != OPEN)
        return FWR_NEVER;
    if (road->retry_at != 0)
        return road->retry_at;
    /* Who was refused wants to know when to ask again. */
    next = road->unready && road->refused ? road->ready_at : FWR_NEVER;
    if (road->outstanding.waiting == 0)
        return next;
    next = earlier(next, fwr_outstanding_oldest(&road->outstanding) + FORGET_MS + road->line_ms);
    return earlier(next, road->heard + SILENCE_MS + road->line_ms);
}

void fwr_serial_road_timeout(struct fwr_serial_road *road, uint64_t now)
{
    uint64_t patience = (uint64_t)FORGET_MS + road->line_ms;

    if (road->stream != OPEN)
        return;
    if (road->retry_at != 0 && now >= road->retry_at)
        fwr_serial_road_retry(road);
    if (now >= road->ready_at)
        road->unready = false;
    if (road->outstanding.waiting == 0)
        return;
    if (now >= road->heard + SILENCE_MS + road->line_ms)
        go_silent(road, now);
    else if (now >= patience)
        fwr_outstanding_expire(&road->outstanding, now, now - patience);
}

/* ---- life ---- */

void fwr_serial_road_status(const struct fwr_serial_road *road,
                            struct fwr_serial_counters *counters)
{
    *counters = road->counters;
}

static int link_send(void *ctx, uint64_t now, uint8_t command, const uint8_t *data, size_t length)
{
    return fwr_serial_road_send((struct fwr_serial_road *)ctx, now, command, data, length);
}

static void link_limits(void *ctx, struct fwr_link_limits *limits)
{
    *limits = ((const struct fwr_serial_road *)ctx)->limits;
}

const struct fwr_link *fwr_serial_road_link(const struct fwr_serial_road *road)
{
    return &road->link;
}

size_t fwr_serial_road_storage(void)
{
    return sizeof(struct fwr_serial_road);
}

int fwr_serial_road_init(struct fwr_serial_road **road, void *storage, size_t size,
                         const struct fwr_serial_road_config *config)
{
    struct fwr_serial_road *r = storage;
    struct fwr_link_limits limits;

    *road = NULL;
    if (config->size != sizeof(*config) || config->mode > FWR_SERIAL_TERMINAL ||
        config->transmit == NULL || config->reply == NULL || config->state == NULL)
        return FWR_E_ARGUMENT;
    limits = config->limits != NULL
                 ? *config->limits
                 : fwr_serial_road_limits((enum fwr_serial_mode)config->mode, 0, config->baud);
    if (!are_possible(&limits, (enum fwr_serial_mode)config->mode))
        return FWR_E_ARGUMENT;
    if (storage == NULL || size < sizeof(*r))
        return FWR_E_NO_SPACE;
    memset(r, 0, sizeof(*r));
    r->config = config;
    r->limits = limits;
    r->line_ms = line_time(mode(r), (size_t)limits.window * (limits.max_request + limits.max_reply),
                           config->baud);
    r->link = (struct fwr_link){
        .size = sizeof(r->link), .ctx = r, .limits = link_limits, .send = link_send};
    fwr_frame_decoder_init(&r->decoder, mode(r), &r->counters);
    *road = r;
    return FWR_OK;
}

void fwr_serial_road_end(struct fwr_serial_road *road)
{
    if (road != NULL)
        memset(road, 0, sizeof(*road));
}
