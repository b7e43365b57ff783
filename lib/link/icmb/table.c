/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge commands: who may send which, how long it is, and what it does. Called by the
 * bridge, for its own BMC and for other nodes. The commands that go beyond the bridge are not
 * served here when they come from the bus.
 */
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/link.h>

#include "link/icmb/bridge.h"
#include "wire/cursor.h"

enum {
    LOCAL = 1 << 0, /* the node's own BMC may send it */
    BUS = 1 << 1,   /* another node may, with the privilege that nodes have; */
    OPEN = 1 << 2,  /* with any */
    ALL = 1 << 3,   /* to everybody */
};

struct row {
    uint8_t command;
    uint8_t shortest, longest; /* data bytes; 255: what a packet carries */
    uint8_t privilege;
    uint8_t from;
    int (*serve)(struct fwr_icmb_call *call);
};

static void put(struct fwr_icmb_call *call, uint64_t value, size_t width)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, call->reply, call->capacity);
    writer.length = call->reply_length;
    fwr_writer_uint(&writer, value, width);
    call->reply_length = writer.length;
}

static uint16_t get16(const struct fwr_icmb_call *call, size_t at)
{
    return (uint16_t)(call->data[at] | call->data[at + 1] << 8);
}

/* ---- state and address ---- */

static int get_state(struct fwr_icmb_call *call)
{
    put(call, call->bridge->state, 1);
    return ICMB_CC_OK;
}

static int set_state(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;

    if (call->data[0] > FWR_ICMB_ENABLED)
        return ICMB_CC_FIELD;
    if (call->data[0] == FWR_ICMB_DISABLED) {
        b->config.address = b->address != b->nobody ? b->address : b->config.address;
        fwr_icmb_address_stop(b);
        fwr_icmb_bridge_enter(b, call->now_us, FWR_ICMB_DISABLED, b->nobody);
    } else if (b->state == FWR_ICMB_DISABLED || b->state == FWR_ICMB_ERROR) {
        fwr_icmb_address_begin(b, call->now_us, b->config.address);
    }
    return ICMB_CC_OK;
}

static int get_address(struct fwr_icmb_call *call)
{
    const struct fwr_icmb_bridge *b = call->bridge;

    put(call, b->address, 2);
    return ICMB_CC_OK;
}

static int set_address(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;
    uint16_t address = get16(call, 0);

    if (address == b->broadcast || address == b->nobody)
        return ICMB_CC_FIELD;
    b->config.address = address;
    if (address != b->address && b->state != FWR_ICMB_DISABLED)
        fwr_icmb_address_begin(b, call->now_us, address);
    return ICMB_CC_OK;
}

static int set_proxy(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;

    if ((call->data[2] & 1) != 0 || call->data[3] > 3)
        return ICMB_CC_FIELD;
    b->proxy_address = get16(call, 0);
    b->proxy_slave = call->data[2];
    b->proxy_lun = call->data[3];
    return ICMB_CC_OK;
}

static int get_proxy(struct fwr_icmb_call *call)
{
    put(call, call->bridge->proxy_address, 2);
    put(call, call->bridge->proxy_slave, 1);
    put(call, call->bridge->proxy_lun, 1);
    return ICMB_CC_OK;
}

/* ---- statistics and capabilities ---- */

static void put_counters(struct fwr_icmb_call *call, const uint32_t *counters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(call, counters[i] < UINT16_MAX ? counters[i] : UINT16_MAX, 2);
}

static int get_statistics(struct fwr_icmb_call *call)
{
    const struct fwr_icmb_statistics *s = &call->bridge->statistics;
    const uint32_t commands[] = {s->runt_commands, s->bad_commands, s->spurious};
    const uint32_t line[] = {s->sent,
                             s->received,
                             s->other_address,
                             s->runt_packets,
                             s->bad_checksums,
                             s->unknown_types,
                             s->not_start,
                             s->restarts,
                             s->arbitration_wins,
                             s->arbitration_losses};

    if (call->data[0] > 1)
        return ICMB_CC_FIELD;
    put(call, call->data[0], 1);
    if (call->data[0] == 0)
        put_counters(call, commands, 3);
    else
        put_counters(call, line, 10);
    return ICMB_CC_OK;
}

static int clear_statistics(struct fwr_icmb_call *call)
{
    memset(&call->bridge->statistics, 0, sizeof(call->bridge->statistics));
    return ICMB_CC_OK;
}

static int get_capabilities(struct fwr_icmb_call *call)
{
    const struct fwr_icmb_config *c = &call->bridge->config;

    put(call, ICMB_VERSION, 1);
    put(call, ICMB_REVISION, 1);
    put(call, c->features | (c->connector != NULL ? FWR_ICMB_FEATURE_CONNECTOR : 0u), 1);
    return ICMB_CC_OK;
}

/* ---- connectors ---- */

static void put_name(struct fwr_icmb_call *call, const char *name)
{
    size_t length = strlen(name);

    put(call, ICMB_TYPE_ASCII | length, 1);
    for (size_t i = 0; i < length; i++)
        put(call, (uint8_t)name[i], 1);
}

static int get_connector_info(struct fwr_icmb_call *call)
{
    const char *name = call->bridge->config.connector;

    if (name == NULL)
        return ICMB_CC_COMMAND;
    if (call->data[0] != 0)
        return ICMB_CC_FIELD;
    put(call, 0, 1); /* flags: no connector type follows */
    put(call, 1, 1); /* connectors */
    put_name(call, name);
    return ICMB_CC_OK;
}

static int get_connection(struct fwr_icmb_call *call)
{
    const char *name = call->bridge->config.connector;

    if (name == NULL)
        return ICMB_CC_COMMAND;
    put(call, 0, 1);
    put_name(call, name);
    return ICMB_CC_OK;
}

/* ---- commands that ask other nodes ---- */

static int completion_code(int error)
{
    switch (error) {
    case FWR_OK:
        return ICMB_CC_OK;
    case FWR_E_TIMEOUT:
        return ICMB_CC_TIMEOUT;
    case FWR_E_BUSY:
        return ICMB_CC_BUSY;
    case FWR_E_LENGTH:
        return ICMB_CC_LENGTH;
    case FWR_E_STATE:
        return ICMB_CC_STATE;
    default:
        return ICMB_CC_UNREACHABLE;
    }
}

static struct fwr_icmb_local *local_place(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;

    for (unsigned i = 0; i < FWR_ICMB_LOCAL_MAX; i++) {
        if (b->locals[i].used)
            continue;
        b->locals[i].command = call->command;
        b->locals[i].token = call->token;
        return &b->locals[i];
    }
    return NULL;
}

static void local_done(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                       size_t length)
{
    struct fwr_icmb_local *local = ctx;
    const struct fwr_icmb_config *c = &local->bridge->config;
    uint8_t answer[FWR_ICMB_REPLY_MAX];

    (void)now_us, (void)token;
    answer[0] = (uint8_t)completion_code(error);
    if (length > FWR_ICMB_REPLY_MAX - 1)
        length = FWR_ICMB_REPLY_MAX - 1;
    if (local->command == FWR_ICMB_BRIDGE_MESSAGE || local->command == FWR_ICMB_SEND_EVENT) {
        if (error == FWR_OK && length > 0)
            answer[0] = reply[0];
        length = 0;
    }
    if (length > 0)
        memcpy(answer + 1, reply, length);
    local->used = false;
    if (c->answer != NULL)
        c->answer(c->ctx, local->token, answer, 1 + length);
}

static int ask(struct fwr_icmb_call *call, uint16_t address, uint8_t command, const uint8_t *data,
               size_t length)
{
    struct fwr_icmb_bridge *b = call->bridge;
    struct fwr_icmb_local *local = local_place(call);
    struct fwr_icmb_ask request = {.address = address,
                                   .command = command,
                                   .tries = 2,
                                   .timeout_ms = b->config.reply_timeout_ms,
                                   .data = data,
                                   .length = length,
                                   .ctx = local,
                                   .done = local_done};
    int error;

    if (address == b->address || address == b->nobody)
        return ICMB_CC_FIELD;
    if (local == NULL)
        return ICMB_CC_BUSY;
    if (command == FWR_ICMB_BRIDGE_REQUEST)
        request.timeout_ms += b->config.target_timeout_ms;
    error = fwr_icmb_bridge_ask(b, call->now_us, &request);
    if (error != FWR_OK)
        return completion_code(error);
    local->used = true;
    return FWR_ICMB_LATER;
}

static int bridge_request(struct fwr_icmb_call *call)
{
    return ask(call, get16(call, 0), call->data[2], call->data + 3, call->length - 3);
}

static int bridge_message(struct fwr_icmb_call *call)
{
    return ask(call, get16(call, 0), FWR_ICMB_BRIDGE_MESSAGE, call->data + 2, call->length - 2);
}

static int send_connection(struct fwr_icmb_call *call)
{
    return ask(call, get16(call, 0), FWR_ICMB_GET_CONNECTION_ID, NULL, 0);
}

static void addresses_done(void *ctx, uint64_t now_us, int error, const uint16_t *addresses,
                           uint8_t count)
{
    uint8_t bytes[2 * FWR_ICMB_ADDRESSES_MAX];
    struct fwr_writer writer;

    fwr_writer_init(&writer, bytes, sizeof(bytes));
    for (uint8_t i = 0; i < count; i++)
        fwr_writer_u16(&writer, addresses[i]);
    local_done(ctx, now_us, 0, error, bytes, writer.length);
}

static int get_addresses(struct fwr_icmb_call *call)
{
    struct fwr_icmb_local *local = local_place(call);
    int error;

    if (local == NULL)
        return ICMB_CC_BUSY;
    error = fwr_icmb_bridge_collect(call->bridge, call->now_us, local, addresses_done);
    if (error != FWR_OK)
        return completion_code(error);
    local->used = true;
    return FWR_ICMB_LATER;
}

/* ---- discovery ---- */

static int prepare(struct fwr_icmb_call *call)
{
    if (call->local)
        return ask(call, call->bridge->broadcast, FWR_ICMB_PREPARE_FOR_DISCOVERY, NULL, 0);
    call->bridge->discovered = false;
    return ICMB_CC_OK;
}

static int set_discovered(struct fwr_icmb_call *call)
{
    call->bridge->discovered = true;
    return ICMB_CC_OK;
}

static int get_chassis_device(struct fwr_icmb_call *call)
{
    put(call, call->bridge->chassis_device, 1);
    return ICMB_CC_OK;
}

static int set_chassis_device(struct fwr_icmb_call *call)
{
    if ((call->data[0] & 1) != 0)
        return ICMB_CC_FIELD;
    call->bridge->chassis_device = call->data[0];
    return ICMB_CC_OK;
}

/* ---- events ---- */

static int get_event_count(struct fwr_icmb_call *call)
{
    put(call, call->bridge->events, 1);
    return ICMB_CC_OK;
}

static int set_event_destination(struct fwr_icmb_call *call)
{
    uint16_t address = get16(call, 0);

    if (address == call->bridge->nobody)
        return ICMB_CC_FIELD;
    call->bridge->event_destination = address;
    return ICMB_CC_OK;
}

static int get_event_destination(struct fwr_icmb_call *call)
{
    put(call, call->bridge->event_destination, 2);
    return ICMB_CC_OK;
}

static int set_event_reception(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;

    if (call->data[0] > 1 || (call->data[1] & 1) != 0 || call->data[2] > 3)
        return ICMB_CC_FIELD;
    b->event_reception = call->data[0];
    b->event_slave = call->data[1];
    b->event_lun = call->data[2];
    return ICMB_CC_OK;
}

static int get_event_reception(struct fwr_icmb_call *call)
{
    put(call, call->bridge->event_reception, 1);
    put(call, call->bridge->event_slave, 1);
    put(call, call->bridge->event_lun, 1);
    return ICMB_CC_OK;
}

/* From the own BMC: to be sent. From the bus: heard. */
static int event(struct fwr_icmb_call *call)
{
    struct fwr_icmb_bridge *b = call->bridge;

    if (call->data[0] > ICMB_EVENT_LAST)
        return ICMB_CC_FIELD;
    if (call->local)
        return ask(call, b->event_destination, FWR_ICMB_SEND_EVENT, call->data, 1);
    if (b->event_reception == 0)
        return ICMB_CC_STATE;
    b->events++;
    if (b->config.event != NULL)
        b->config.event(b->config.ctx, call->source, call->data[0]);
    return ICMB_CC_OK;
}

/* From the own BMC: somebody told it so. There is nothing to do about it here. */
static int error_report(struct fwr_icmb_call *call)
{
    (void)call;
    return ICMB_CC_OK;
}

#define USER     FWR_PRIVILEGE_USER
#define OPERATOR FWR_PRIVILEGE_OPERATOR

static const struct row rows[] = {
    {FWR_ICMB_GET_BRIDGE_STATE, 0, 0, USER, LOCAL | BUS, get_state},
    {FWR_ICMB_SET_BRIDGE_STATE, 1, 1, OPERATOR, LOCAL | BUS, set_state},
    {FWR_ICMB_GET_ADDRESS, 0, 0, USER, LOCAL | BUS | OPEN, get_address},
    {FWR_ICMB_SET_ADDRESS, 2, 2, OPERATOR, LOCAL | BUS, set_address},
    {FWR_ICMB_SET_PROXY_ADDRESS, 4, 4, OPERATOR, LOCAL | BUS, set_proxy},
    {FWR_ICMB_GET_STATISTICS, 1, 1, USER, LOCAL | BUS, get_statistics},
    {FWR_ICMB_GET_CAPABILITIES, 0, 0, USER, LOCAL | BUS, get_capabilities},
    {FWR_ICMB_CLEAR_STATISTICS, 0, 0, OPERATOR, LOCAL | BUS, clear_statistics},
    {FWR_ICMB_GET_PROXY_ADDRESS, 0, 0, USER, LOCAL | BUS, get_proxy},
    {FWR_ICMB_GET_CONNECTOR_INFO, 1, 1, USER, LOCAL | BUS, get_connector_info},
    {FWR_ICMB_GET_CONNECTION_ID, 0, 0, USER, LOCAL | BUS, get_connection},
    {FWR_ICMB_SEND_CONNECTION_ID, 2, 2, USER, LOCAL, send_connection},
    {FWR_ICMB_PREPARE_FOR_DISCOVERY, 0, 0, OPERATOR, LOCAL | BUS | OPEN | ALL, prepare},
    {FWR_ICMB_GET_ADDRESSES, 0, 0, OPERATOR, LOCAL, get_addresses},
    {FWR_ICMB_SET_DISCOVERED, 0, 0, OPERATOR, LOCAL | BUS | OPEN, set_discovered},
    {FWR_ICMB_GET_CHASSIS_DEVICE_ID, 0, 0, USER, LOCAL | BUS, get_chassis_device},
    {FWR_ICMB_SET_CHASSIS_DEVICE_ID, 1, 1, OPERATOR, LOCAL | BUS, set_chassis_device},
    {FWR_ICMB_BRIDGE_REQUEST, 3, UINT8_MAX, OPERATOR, LOCAL, bridge_request},
    {FWR_ICMB_BRIDGE_MESSAGE, 3, UINT8_MAX, OPERATOR, LOCAL, bridge_message},
    {FWR_ICMB_GET_EVENT_COUNT, 0, 0, USER, LOCAL | BUS, get_event_count},
    {FWR_ICMB_SET_EVENT_DESTINATION, 2, 2, OPERATOR, LOCAL | BUS, set_event_destination},
    {FWR_ICMB_SET_EVENT_RECEPTION, 3, 3, OPERATOR, LOCAL | BUS, set_event_reception},
    {FWR_ICMB_SEND_EVENT, 1, 1, OPERATOR, LOCAL | BUS | OPEN | ALL, event},
    {FWR_ICMB_GET_EVENT_DESTINATION, 0, 0, USER, LOCAL | BUS, get_event_destination},
    {FWR_ICMB_GET_EVENT_RECEPTION, 0, 0, USER, LOCAL | BUS, get_event_reception},
    {FWR_ICMB_ERROR_REPORT, 2, 2, OPERATOR, LOCAL, error_report},
};

static const struct row *find(uint8_t command)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].command == command)
            return &rows[i];
    return NULL;
}

bool fwr_icmb_table_for_all(uint8_t command)
{
    const struct row *row = find(command);

    return row != NULL && (row->from & ALL) != 0;
}

static int check(const struct fwr_icmb_call *call, const struct row *row)
{
    bool open = !call->local && row->from & OPEN;

    if (!open && call->privilege < row->privilege)
        return ICMB_CC_PRIVILEGE;
    if (call->length < row->shortest) {
        call->bridge->statistics.runt_commands++;
        return ICMB_CC_LENGTH;
    }
    if (call->length > row->longest && row->longest != UINT8_MAX) {
        call->bridge->statistics.bad_commands++;
        return ICMB_CC_LENGTH;
    }
    return ICMB_CC_OK;
}

int fwr_icmb_table_serve(struct fwr_icmb_call *call)
{
    const struct row *row = find(call->command);
    int code;

    call->reply_length = 0;
    if (row == NULL || (row->from & (call->local ? LOCAL : BUS)) == 0) {
        call->bridge->statistics.bad_commands++;
        return ICMB_CC_COMMAND;
    }
    code = check(call, row);
    if (code == ICMB_CC_OK)
        code = row->serve(call);
    if (code == ICMB_CC_FIELD)
        call->bridge->statistics.bad_commands++;
    if (code != ICMB_CC_OK)
        call->reply_length = 0;
    return code;
}
