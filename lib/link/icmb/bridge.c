/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge: requests to other nodes and their replies, requests of others and ours to them.
 * What the single commands do is in table.c. See icmb.h.
 */
#include "link/icmb/bridge.h"

#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/link.h>

#define SERVED_US      5000000 /* how long an answer to somebody else may take */
#define PROBE_TOKEN    UINT32_MAX
#define COLLECT_TOKEN  (UINT32_MAX - 1)
#define GENERATION_BIT 8 /* of a token or ticket: above the place, which counts from 1 */

static const struct fwr_icmb_sending at_once[FWR_ICMB_RANKS] = {
    {.rank = FWR_ICMB_RANK_REPLY},
    {.rank = FWR_ICMB_RANK_REQUEST},
    {.rank = FWR_ICMB_RANK_BROADCAST},
};

static uint32_t pack(uint16_t generation, unsigned place)
{
    return (uint32_t)generation << GENERATION_BIT | (place + 1);
}

/* ---- requests to others ---- */

static bool counts(const struct fwr_icmb_asked *asked)
{
    return asked->state != ICMB_ASK_FREE && !asked->late;
}

/* A place for one more; there are more places than requests that count, for the late ones. */
static struct fwr_icmb_asked *free_place(struct fwr_icmb_bridge *b, bool road)
{
    struct fwr_icmb_asked *free = NULL;
    unsigned used = 0, roads = 0;
    unsigned most = b->config.outstanding;

    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++) {
        struct fwr_icmb_asked *asked = &b->asked[i];

        used += counts(asked);
        roads += counts(asked) && asked->road;
        if (asked->state == ICMB_ASK_FREE)
            free = asked;
        else if (asked->late && (free == NULL || (free->state != ICMB_ASK_FREE &&
                                                  asked->deadline < free->deadline)))
            free = asked;
    }
    /* One place is kept for those who ask at the management interface. */
    if (used >= most || (road && most > 1 && roads >= most - 1))
        return NULL;
    if (free != NULL)
        free->late = false;
    return free;
}

static bool sequence_waits(const struct fwr_icmb_bridge *b, uint8_t sequence)
{
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
        if (b->asked[i].state != ICMB_ASK_FREE && b->asked[i].packet.sequence == sequence)
            return true;
    return false;
}

/* In turn, so that a late reply finds its sequence again only after 250 others. */
static uint8_t next_sequence(struct fwr_icmb_bridge *b)
{
    do
        b->sequence++;
    while (sequence_waits(b, b->sequence));
    return b->sequence;
}

static int queue_asked(struct fwr_icmb_bridge *b, uint64_t now_us, struct fwr_icmb_asked *asked)
{
    struct fwr_icmb_sending sending = {.rank = FWR_ICMB_RANK_REQUEST};

    asked->generation = ++b->generation;
    sending.token = pack(asked->generation, (unsigned)(asked - b->asked));
    asked->state = ICMB_ASK_QUEUED;
    asked->deadline = FWR_NEVER;
    return fwr_icmb_line_queue(&b->line, now_us, &asked->packet, &sending);
}

int fwr_icmb_bridge_ask(struct fwr_icmb_bridge *b, uint64_t now_us, const struct fwr_icmb_ask *ask)
{
    struct fwr_icmb_asked *asked;

    if (b->state != FWR_ICMB_ENABLED)
        return FWR_E_STATE;
    if (ask->length > b->config.packet)
        return FWR_E_LENGTH;
    asked = free_place(b, ask->road);
    if (asked == NULL || !fwr_icmb_line_room(&b->line, FWR_ICMB_RANK_REQUEST))
        return FWR_E_BUSY;
    asked->tries = ask->tries > 0 ? ask->tries : 1;
    asked->road = ask->road;
    asked->timeout_us = ask->timeout_ms * 1000;
    asked->ctx = ask->ctx;
    asked->token = ask->token;
    asked->done = ask->done;
    asked->packet = (struct fwr_icmb_packet){.destination = ask->address,
                                             .source = b->address,
                                             .type = ICMB_TYPE_REQUEST,
                                             .sequence = next_sequence(b),
                                             .command = ask->command,
                                             .length = (uint16_t)ask->length};
    if (ask->length > 0)
        memcpy(asked->packet.data, ask->data, ask->length);
    return queue_asked(b, now_us, asked);
}

static void ask_done(struct fwr_icmb_asked *asked, uint64_t now_us, int error, const uint8_t *reply,
                     size_t length)
{
    asked->state = ICMB_ASK_FREE;
    if (asked->done != NULL)
        asked->done(asked->ctx, now_us, asked->token, error, reply, length);
}

void fwr_icmb_bridge_withdraw(struct fwr_icmb_bridge *b, const void *ctx, uint32_t token)
{
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++) {
        struct fwr_icmb_asked *asked = &b->asked[i];

        if (asked->state == ICMB_ASK_FREE || asked->ctx != ctx ||
            (token != 0 && asked->token != token))
            continue;
        fwr_icmb_line_drop(&b->line, pack(asked->generation, i));
        asked->state = ICMB_ASK_FREE;
    }
}

void fwr_icmb_bridge_late(struct fwr_icmb_bridge *b, const void *ctx, unsigned most)
{
    struct fwr_icmb_asked *oldest = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++) {
        struct fwr_icmb_asked *asked = &b->asked[i];

        if (!counts(asked) || asked->ctx != ctx)
            continue;
        count++;
        if (asked->state == ICMB_ASK_SENT && (oldest == NULL || asked->deadline < oldest->deadline))
            oldest = asked;
    }
    if (count >= most && oldest != NULL)
        oldest->late = true;
}

bool fwr_icmb_bridge_unsent(const struct fwr_icmb_bridge *b, const void *ctx, uint32_t token)
{
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
        if (b->asked[i].state == ICMB_ASK_QUEUED && b->asked[i].ctx == ctx &&
            b->asked[i].token == token)
            return true;
    return false;
}

static void take_response(struct fwr_icmb_bridge *b, uint64_t now_us,
                          const struct fwr_icmb_packet *packet)
{
    struct fwr_icmb_collect *c = &b->collect;

    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++) {
        struct fwr_icmb_asked *asked = &b->asked[i];

        if (asked->state == ICMB_ASK_SENT && asked->packet.destination == packet->source &&
            asked->packet.sequence == packet->sequence &&
            asked->packet.command == packet->command && packet->length > 0) {
            ask_done(asked, now_us, FWR_OK, packet->data, packet->length);
            return;
        }
    }
    if (!c->active || packet->command != FWR_ICMB_GET_ADDRESS || packet->sequence != c->sequence ||
        packet->length < 3 || packet->data[0] != ICMB_CC_OK) {
        b->statistics.spurious++;
        return;
    }
    for (uint8_t i = 0; i < c->count; i++)
        if (c->addresses[i] == packet->source)
            return;
    if (c->count < FWR_ICMB_ADDRESSES_MAX)
        c->addresses[c->count++] = packet->source;
    if (c->count == FWR_ICMB_ADDRESSES_MAX)
        c->until = now_us;
}

/* ---- who has not been discovered ---- */

int fwr_icmb_bridge_collect(struct fwr_icmb_bridge *b, uint64_t now_us, void *ctx,
                            void (*done)(void *ctx, uint64_t now_us, int error,
                                         const uint16_t *addresses, uint8_t count))
{
    const struct fwr_icmb_sending sending = {.rank = FWR_ICMB_RANK_REQUEST, .token = COLLECT_TOKEN};
    struct fwr_icmb_packet packet = {.destination = b->broadcast,
                                     .source = b->address,
                                     .type = ICMB_TYPE_REQUEST,
                                     .command = FWR_ICMB_GET_ADDRESS};
    int error;

    if (b->state != FWR_ICMB_ENABLED)
        return FWR_E_STATE;
    if (b->collect.active)
        return FWR_E_BUSY;
    packet.sequence = next_sequence(b);
    error = fwr_icmb_line_queue(&b->line, now_us, &packet, &sending);
    if (error != FWR_OK)
        return error;
    b->collect = (struct fwr_icmb_collect){
        .active = true, .sequence = packet.sequence, .until = FWR_NEVER, .ctx = ctx, .done = done};
    return FWR_OK;
}

static void collect_done(struct fwr_icmb_bridge *b, uint64_t now_us, int error)
{
    struct fwr_icmb_collect c = b->collect;

    b->collect.active = false;
    if (c.active)
        c.done(c.ctx, now_us, error, c.addresses, c.count);
}

/* ---- requests of others ---- */

static void reply_to(struct fwr_icmb_bridge *b, uint64_t now_us, uint16_t destination,
                     uint8_t sequence, uint8_t command, const uint8_t *data, size_t length)
{
    struct fwr_icmb_packet packet = {.destination = destination,
                                     .source = b->address,
                                     .type = ICMB_TYPE_RESPONSE,
                                     .sequence = sequence,
                                     .command = command,
                                     .length = (uint16_t)length};

    memcpy(packet.data, data, length);
    /* Without room it is lost, and asked for again. */
    fwr_icmb_line_queue(&b->line, now_us, &packet, &at_once[FWR_ICMB_RANK_REPLY]);
}

static bool already_served(const struct fwr_icmb_bridge *b, const struct fwr_icmb_packet *packet)
{
    for (unsigned i = 0; i < FWR_ICMB_SERVED_MAX; i++)
        if (b->served[i].used && b->served[i].source == packet->source &&
            b->served[i].sequence == packet->sequence && b->served[i].command == packet->command)
            return true;
    return false;
}

static struct fwr_icmb_served *served_place(struct fwr_icmb_bridge *b)
{
    for (unsigned i = 0; i < FWR_ICMB_SERVED_MAX; i++)
        if (!b->served[i].used)
            return &b->served[i];
    return NULL;
}

/* A request that goes beyond the bridge. */
static void serve_beyond(struct fwr_icmb_bridge *b, uint64_t now_us,
                         const struct fwr_icmb_packet *packet)
{
    struct fwr_icmb_served *served = served_place(b);
    struct fwr_icmb_request request = {.source = packet->source,
                                       .command = packet->command,
                                       .data = packet->data,
                                       .length = packet->length};
    uint8_t reply[FWR_ICMB_DATA_MAX] = {ICMB_CC_BUSY};
    size_t length = 1;

    if (already_served(b, packet))
        return;
    if (served != NULL) {
        *served = (struct fwr_icmb_served){.used = true,
                                           .generation = ++b->generation,
                                           .source = packet->source,
                                           .sequence = packet->sequence,
                                           .command = packet->command,
                                           .until = now_us + SERVED_US};
        request.ticket = pack(served->generation, (unsigned)(served - b->served));
        reply[0] = ICMB_CC_COMMAND;
        if (b->config.serve != NULL)
            length = b->config.serve(b->config.ctx, now_us, &request, reply, b->config.packet);
        if (length == 0)
            return;
        served->used = false;
    }
    reply_to(b, now_us, packet->source, packet->sequence, packet->command, reply,
             length < b->config.packet ? length : b->config.packet);
}

int fwr_icmb_bridge_answer(struct fwr_icmb_bridge *b, uint64_t now_us, uint32_t ticket,
                           const uint8_t *reply, size_t length)
{
    unsigned place = (ticket & ((1u << GENERATION_BIT) - 1)) - 1;
    struct fwr_icmb_served *served;

    if (place >= FWR_ICMB_SERVED_MAX)
        return FWR_E_NOT_FOUND;
    served = &b->served[place];
    if (!served->used || served->generation != ticket >> GENERATION_BIT)
        return FWR_E_NOT_FOUND;
    if (length < 1 || length > b->config.packet)
        return FWR_E_LENGTH;
    if (!fwr_icmb_line_room(&b->line, FWR_ICMB_RANK_REPLY))
        return FWR_E_BUSY;
    served->used = false;
    reply_to(b, now_us, served->source, served->sequence, served->command, reply, length);
    return FWR_OK;
}

static bool goes_beyond(uint8_t command)
{
    return command == FWR_ICMB_BRIDGE_REQUEST || command == FWR_ICMB_BRIDGE_MESSAGE ||
           (command >= FWR_ICMB_OEM_FIRST && command <= FWR_ICMB_OEM_LAST);
}

/* A bridge command that came over the bus. */
static struct fwr_icmb_call call_of(struct fwr_icmb_bridge *b, uint64_t now_us,
                                    const struct fwr_icmb_packet *packet, uint8_t *reply,
                                    size_t capacity)
{
    return (struct fwr_icmb_call){.bridge = b,
                                  .now_us = now_us,
                                  .privilege = b->config.remote_privilege,
                                  .source = packet->source,
                                  .command = packet->command,
                                  .sequence = packet->sequence,
                                  .data = packet->data,
                                  .length = packet->length,
                                  .reply = reply,
                                  .capacity = capacity};
}

/* One that everybody heard: nobody answers, but to Get ICMB Address, at a time of his own. */
static void serve_for_all(struct fwr_icmb_bridge *b, uint64_t now_us,
                          const struct fwr_icmb_packet *packet)
{
    struct fwr_icmb_packet answer = {
        .destination = packet->source,
        .source = b->address,
        .type = ICMB_TYPE_RESPONSE,
        .sequence = packet->sequence,
        .command = packet->command,
        .length = 3,
        .data = {ICMB_CC_OK, (uint8_t)b->address, (uint8_t)(b->address >> 8)}};
    const struct fwr_icmb_sending spread = {.rank = FWR_ICMB_RANK_REPLY,
                                            .slots = ICMB_SPREAD,
                                            .give_up_us = b->config.collect_ms * UINT32_C(1000)};
    uint8_t nothing[FWR_ICMB_DATA_MAX];
    struct fwr_icmb_call call = call_of(b, now_us, packet, nothing, sizeof(nothing));

    if (packet->command == FWR_ICMB_GET_ADDRESS && !b->discovered)
        fwr_icmb_line_queue(&b->line, now_us, &answer, &spread);
    else if (packet->command >= FWR_ICMB_OEM_FIRST && packet->command <= FWR_ICMB_OEM_LAST &&
             b->config.broadcast != NULL)
        b->config.broadcast(b->config.ctx, now_us, packet->source, packet->command, packet->data,
                            packet->length);
    else if (fwr_icmb_table_for_all(packet->command))
        fwr_icmb_table_serve(&call);
}

/* What a node says of something that it was sent: the oldest such request ends with it. */
static void take_report(struct fwr_icmb_bridge *b, uint64_t now_us,
                        const struct fwr_icmb_packet *packet)
{
    for (unsigned i = 0; packet->length == 2 && i < FWR_ICMB_OUTSTANDING_MAX; i++) {
        struct fwr_icmb_asked *asked = &b->asked[i];
        uint8_t code = packet->data[1] != ICMB_CC_OK ? packet->data[1] : ICMB_CC_OTHER;

        if (asked->state != ICMB_ASK_SENT || asked->packet.destination != packet->source ||
            asked->packet.command != packet->data[0])
            continue;
        ask_done(asked, now_us, FWR_OK, &code, 1);
        return;
    }
}

static void take_request(struct fwr_icmb_bridge *b, uint64_t now_us,
                         const struct fwr_icmb_packet *packet)
{
    uint8_t reply[FWR_ICMB_DATA_MAX];
    struct fwr_icmb_call call = call_of(b, now_us, packet, reply + 1, (size_t)b->config.packet - 1);
    int code;

    if (goes_beyond(packet->command)) {
        serve_beyond(b, now_us, packet);
        return;
    }
    if (packet->command == FWR_ICMB_ERROR_REPORT) {
        take_report(b, now_us, packet);
        return; /* no answer: reports about reports would never end */
    }
    code = fwr_icmb_table_serve(&call);
    if (code == FWR_ICMB_LATER || b->state != FWR_ICMB_ENABLED)
        return;
    reply[0] = (uint8_t)code;
    reply_to(b, now_us, packet->source, packet->sequence, packet->command, reply,
             1 + call.reply_length);
}

static void on_packet(void *ctx, uint64_t now_us, const struct fwr_icmb_packet *packet)
{
    struct fwr_icmb_bridge *b = ctx;
    bool for_all = packet->destination == b->broadcast;

    if (b->state == FWR_ICMB_DISABLED)
        return;
    if (fwr_icmb_address_heard(b, now_us, packet))
        return;
    if (!for_all && packet->destination != b->address) {
        b->statistics.other_address++;
        return;
    }
    b->statistics.received++;
    /* Nobody is answered who could not be told apart. */
    if (b->state != FWR_ICMB_ENABLED || packet->source == b->broadcast)
        return;
    if (for_all && packet->type == ICMB_TYPE_REQUEST)
        serve_for_all(b, now_us, packet);
    else if (packet->type == ICMB_TYPE_REQUEST)
        take_request(b, now_us, packet);
    else
        take_response(b, now_us, packet);
}

static void on_sent(void *ctx, uint64_t now_us, uint32_t token, int error)
{
    struct fwr_icmb_bridge *b = ctx;
    unsigned place = (token & ((1u << GENERATION_BIT) - 1)) - 1;
    struct fwr_icmb_asked *asked;

    if (token == PROBE_TOKEN) {
        fwr_icmb_address_sent(b, now_us, error);
        return;
    }
    if (token == COLLECT_TOKEN) {
        if (error != FWR_OK)
            collect_done(b, now_us, error);
        else
            b->collect.until = now_us + b->config.collect_ms * UINT64_C(1000);
        return;
    }
    if (place >= FWR_ICMB_OUTSTANDING_MAX)
        return;
    asked = &b->asked[place];
    if (asked->state != ICMB_ASK_QUEUED || asked->generation != token >> GENERATION_BIT)
        return;
    if (error != FWR_OK || asked->packet.destination == b->broadcast) {
        ask_done(asked, now_us, error, NULL, 0);
        return;
    }
    asked->state = ICMB_ASK_SENT;
    asked->deadline = now_us + asked->timeout_us;
}

/* ---- what the node sends by itself ---- */

void fwr_icmb_bridge_send_event(struct fwr_icmb_bridge *b, uint64_t now_us, uint8_t event)
{
    const struct fwr_icmb_ask ask = {.address = b->event_destination,
                                     .command = FWR_ICMB_SEND_EVENT,
                                     .timeout_ms = b->config.reply_timeout_ms,
                                     .data = &event,
                                     .length = 1};

    if (b->event_destination != b->address)
        (void)fwr_icmb_bridge_ask(b, now_us, &ask);
}

int fwr_icmb_bridge_can_broadcast(const struct fwr_icmb_bridge *b)
{
    return b->state == FWR_ICMB_ENABLED && fwr_icmb_line_room(&b->line, FWR_ICMB_RANK_BROADCAST);
}

static int send_unasked(struct fwr_icmb_bridge *b, uint64_t now_us, uint16_t destination,
                        uint8_t rank, uint8_t command, const uint8_t *data, size_t length)
{
    struct fwr_icmb_packet packet = {.destination = destination,
                                     .source = b->address,
                                     .type = ICMB_TYPE_REQUEST,
                                     .command = command,
                                     .length = (uint16_t)length};

    if (b->state != FWR_ICMB_ENABLED)
        return FWR_E_STATE;
    if (length > b->config.packet)
        return FWR_E_LENGTH;
    packet.sequence = next_sequence(b);
    if (length > 0)
        memcpy(packet.data, data, length);
    return fwr_icmb_line_queue(&b->line, now_us, &packet, &at_once[rank]);
}

int fwr_icmb_bridge_broadcast(struct fwr_icmb_bridge *b, uint64_t now_us, uint8_t command,
                              const uint8_t *data, size_t length)
{
    return send_unasked(b, now_us, b->broadcast, FWR_ICMB_RANK_BROADCAST, command, data, length);
}

int fwr_icmb_bridge_report(struct fwr_icmb_bridge *b, uint64_t now_us, uint16_t address,
                           uint8_t command, uint8_t code)
{
    const uint8_t data[2] = {command, code};

    return send_unasked(b, now_us, address, FWR_ICMB_RANK_REQUEST, FWR_ICMB_ERROR_REPORT, data,
                        sizeof(data));
}

/* ---- commands of the own BMC ---- */

int fwr_icmb_bridge_local(struct fwr_icmb_bridge *b, uint64_t now_us, uint8_t privilege,
                          uint8_t command, const uint8_t *data, size_t data_length, uint32_t token,
                          uint8_t *reply, size_t *length)
{
    struct fwr_icmb_call call = {.bridge = b,
                                 .now_us = now_us,
                                 .local = true,
                                 .privilege = privilege,
                                 .token = token,
                                 .command = command,
                                 .data = data,
                                 .length = data_length,
                                 .reply = reply + 1,
                                 .capacity = FWR_ICMB_REPLY_MAX - 1};
    int code = fwr_icmb_table_serve(&call);

    if (code == FWR_ICMB_LATER)
        return FWR_PENDING;
    reply[0] = (uint8_t)code;
    *length = 1 + call.reply_length;
    return FWR_OK;
}

void fwr_icmb_bridge_forget(struct fwr_icmb_bridge *b, uint32_t token)
{
    for (unsigned i = 0; i < FWR_ICMB_LOCAL_MAX; i++) {
        struct fwr_icmb_local *local = &b->locals[i];

        if (!local->used || local->token != token)
            continue;
        fwr_icmb_bridge_withdraw(b, local, 0);
        if (b->collect.active && b->collect.ctx == local)
            b->collect.active = false;
        local->used = false;
    }
}

/* ---- state and time ---- */

void fwr_icmb_bridge_enter(struct fwr_icmb_bridge *b, uint64_t now_us, enum fwr_icmb_state state,
                           uint16_t address)
{
    bool lost = b->address != address && b->address != b->nobody;
    bool changed = b->state != state || b->address != address;

    b->state = state;
    b->address = address;
    fwr_icmb_line_clear(&b->line);
    if (lost) {
        memset(b->served, 0, sizeof(b->served));
        b->discovered = false;
        for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
            if (b->asked[i].state != ICMB_ASK_FREE)
                ask_done(&b->asked[i], now_us, FWR_E_STATE, NULL, 0);
        collect_done(b, now_us, FWR_E_STATE);
    }
    if (changed && b->config.state != NULL)
        b->config.state(b->config.ctx, state, address != b->nobody ? address : 0);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t fwr_icmb_bridge_next_timeout(const struct fwr_icmb_bridge *b)
{
    uint64_t next = fwr_icmb_line_next_timeout(&b->line);

    if (b->state == FWR_ICMB_ASSIGNING || b->state == FWR_ICMB_ERROR)
        next = earlier(next, b->assignment.due);
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
        if (b->asked[i].state == ICMB_ASK_SENT)
            next = earlier(next, b->asked[i].deadline);
    for (unsigned i = 0; i < FWR_ICMB_SERVED_MAX; i++)
        if (b->served[i].used)
            next = earlier(next, b->served[i].until);
    return b->collect.active ? earlier(next, b->collect.until) : next;
}

static void repeat_or_end(struct fwr_icmb_bridge *b, uint64_t now_us, struct fwr_icmb_asked *asked)
{
    if (--asked->tries > 0 && queue_asked(b, now_us, asked) == FWR_OK)
        return;
    ask_done(asked, now_us, FWR_E_TIMEOUT, NULL, 0);
}

void fwr_icmb_bridge_timeout(struct fwr_icmb_bridge *b, uint64_t now_us)
{
    fwr_icmb_line_timeout(&b->line, now_us);
    if (b->state == FWR_ICMB_ASSIGNING || b->state == FWR_ICMB_ERROR)
        fwr_icmb_address_timeout(b, now_us);
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
        if (b->asked[i].state == ICMB_ASK_SENT && now_us >= b->asked[i].deadline)
            repeat_or_end(b, now_us, &b->asked[i]);
    for (unsigned i = 0; i < FWR_ICMB_SERVED_MAX; i++)
        if (b->served[i].used && now_us >= b->served[i].until)
            b->served[i].used = false;
    if (b->collect.active && now_us >= b->collect.until)
        collect_done(b, now_us, FWR_OK);
}

void fwr_icmb_bridge_receive(struct fwr_icmb_bridge *b, uint64_t now_us, const uint8_t *bytes,
                             size_t length)
{
    fwr_icmb_line_receive(&b->line, now_us, bytes, length);
}

size_t fwr_icmb_bridge_next_send(struct fwr_icmb_bridge *b, uint64_t now_us, uint8_t *bytes,
                                 size_t capacity)
{
    return fwr_icmb_line_next_send(&b->line, now_us, bytes, capacity);
}

int fwr_icmb_bridge_take_back(struct fwr_icmb_bridge *b)
{
    bool wanted = b->line.take_back;

    b->line.take_back = false;
    return wanted;
}

void fwr_icmb_bridge_status(const struct fwr_icmb_bridge *b, uint64_t now_us,
                            struct fwr_icmb_status *status)
{
    *status = (struct fwr_icmb_status){.state = b->state,
                                       .address = b->address != b->nobody ? b->address : 0,
                                       .stuck = fwr_icmb_line_stuck(&b->line, now_us),
                                       .queued = b->line.queued,
                                       .statistics = b->statistics};
    for (unsigned i = 0; i < FWR_ICMB_OUTSTANDING_MAX; i++)
        status->waiting = (uint8_t)(status->waiting + counts(&b->asked[i]));
}

/* ---- life ---- */

static void fill(uint8_t *value, uint8_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void fill16(uint16_t *value, uint16_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void fill_defaults(struct fwr_icmb_config *c)
{
    if (c->bit_rate == 0)
        c->bit_rate = ICMB_BIT_RATE;
    fill16(&c->packet, FWR_ICMB_DATA_DEFAULT);
    fill(&c->outstanding, FWR_ICMB_OUTSTANDING_DEFAULT);
    fill(&c->gap, ICMB_GAP);
    fill(&c->gap_reply, ICMB_GAP_REPLY);
    fill(&c->gap_broadcast, ICMB_GAP_BROADCAST);
    fill(&c->portion, 24);
    fill16(&c->reply_timeout_ms, 500);
    fill16(&c->target_timeout_ms, 500);
    fill16(&c->echo_timeout_ms, 100);
    fill16(&c->give_up_ms, 3000);
    fill16(&c->collect_ms, 400);
    fill(&c->remote_privilege, FWR_PRIVILEGE_USER);
    fill(&c->features, FWR_ICMB_FEATURE_MANAGEMENT);
    fill(&c->chassis_device, 0x20);
}

static bool usable(const struct fwr_icmb_config *c)
{
    return c->packet >= FWR_ICMB_DATA_DEFAULT && c->packet <= FWR_ICMB_DATA_MAX &&
           c->outstanding <= FWR_ICMB_OUTSTANDING_MAX && c->bit_rate >= 300 &&
           c->bit_rate <= 10000000 && c->address != UINT16_MAX &&
           (c->connector == NULL || strlen(c->connector) <= FWR_ICMB_CONNECTOR_MAX);
}

size_t fwr_icmb_bridge_storage(void)
{
    return sizeof(struct fwr_icmb_bridge);
}

static void init_line(struct fwr_icmb_bridge *b, uint64_t now_us)
{
    const struct fwr_icmb_config *c = &b->config;
    const struct fwr_icmb_line_config line = {
        .platform = c->platform,
        .ctx = b,
        .bit_rate = c->bit_rate,
        .gap = {c->gap_reply, c->gap, c->gap_broadcast},
        .portion = c->portion,
        .echo_us = c->echo_timeout_ms * UINT32_C(1000),
        .give_up_us = c->give_up_ms * UINT32_C(1000),
        .packet = on_packet,
        .sent = on_sent,
    };

    fwr_icmb_line_init(&b->line, &line, &b->statistics, now_us);
}

int fwr_icmb_bridge_init(struct fwr_icmb_bridge **bridge, void *storage, size_t size,
                         const struct fwr_icmb_config *config, uint64_t now_us)
{
    struct fwr_icmb_bridge *b = storage;
    struct fwr_icmb_config filled = *config;

    *bridge = NULL;
    if (config->size != sizeof(*config) || config->platform == NULL)
        return FWR_E_ARGUMENT;
    fill_defaults(&filled);
    if (!usable(&filled))
        return FWR_E_ARGUMENT;
    if (size < sizeof(*b))
        return FWR_E_NO_SPACE;
    memset(b, 0, sizeof(*b));
    b->config = filled;
    b->broadcast = filled.broadcast_is_zero ? ICMB_ALL_ZEROS : ICMB_ALL_ONES;
    b->nobody = filled.broadcast_is_zero ? ICMB_ALL_ONES : ICMB_ALL_ZEROS;
    b->address = b->nobody;
    b->event_destination = b->broadcast;
    b->event_reception = 1;
    b->event_slave = 0x20;
    b->chassis_device = filled.chassis_device;
    for (unsigned i = 0; i < FWR_ICMB_LOCAL_MAX; i++)
        b->locals[i].bridge = b;
    if (filled.platform->random(filled.platform->ctx, &b->sequence, 1) != FWR_OK)
        return FWR_E_RANDOM;
    init_line(b, now_us);
    fwr_icmb_address_begin(b, now_us, filled.address);
    *bridge = b;
    return FWR_OK;
}

void fwr_icmb_bridge_end(struct fwr_icmb_bridge *bridge)
{
    if (bridge != NULL)
        memset(bridge, 0, sizeof(*bridge));
}

uint32_t fwr_icmb_exchange_characters(const struct fwr_icmb_config *config, uint32_t request,
                                      uint32_t reply)
{
    struct fwr_icmb_config c = *config;

    fill_defaults(&c);
    return 2 * (2 + ICMB_HEADER + ICMB_CHECKSUM) + request + reply + c.gap + c.gap_reply;
}
