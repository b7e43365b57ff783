/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC on an ICMB: see icmb.h. Requests from the bus go the way of injected messages
 * (oem-cmds/lanserv.h), so that they meet the same handlers and the same table of privileges as
 * those of any other road; the bus has no sessions, so its privilege is what the configuration
 * says.
 */
#include "ipmi-sim/icmb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define ECHO_MS 500 /* a process on a busy machine hears itself late */

#define BMC_ADDRESS    0x20
#define TARGET_HEADER  3 /* rsSA, netFn/rsLUN, command */
#define IDLE_US        1000000
#define BLOCK_HEADER   8
#define CC_UNREACHABLE 0xd3
#define CC_TOO_LONG    0xca
#define CC_FIELD       0xcc
#define CC_BUSY        0xc0
#define PORTION_MAX    64
#define SECOND_US      UINT64_C(1000000)

static uint64_t now_us(const struct sim_icmb *icmb)
{
    struct timeval now;

    if (icmb->sys->get_monotonic_time(icmb->sys, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_usec;
}

static void set_timer(struct sim_icmb *icmb, uint64_t wait)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(wait / SECOND_US),
                                           .tv_nsec = (long)(wait % SECOND_US) * 1000}};

    if (wait == 0)
        when.it_value.tv_nsec = 1; /* nothing would stop it */
    if (icmb->begun)
        (void)timerfd_settime(icmb->timer, 0, &when, NULL);
}

/* ---- requests from the bus ---- */

/* The BMC's answer to a command of ours: on the bus it has no IANA number. */
static void oem_answered(void *ctx, uint32_t ticket, const uint8_t *reply, size_t length)
{
    struct sim_icmb *icmb = ctx;
    uint8_t bytes[FWR_ICMB_DATA_MAX];
    size_t rest = length > FWR_OEM_HEADER ? length - FWR_OEM_HEADER : 0;

    if (length == 0 || 1 + rest > sizeof(bytes))
        return;
    bytes[0] = reply[0];
    memcpy(bytes + 1, reply + FWR_OEM_HEADER, rest);
    (void)fwr_icmb_bridge_answer(icmb->bridge, now_us(icmb), ticket, bytes, 1 + rest);
}

/* The answer of a controller behind this bridge, whose own completion code comes first. */
static void target_answered(void *ctx, uint32_t ticket, const uint8_t *reply, size_t length)
{
    struct sim_icmb *icmb = ctx;
    uint8_t bytes[FWR_ICMB_DATA_MAX] = {0x00};

    if (1 + length > icmb->config->packet) {
        bytes[1] = CC_TOO_LONG;
        length = 1;
    } else {
        memcpy(bytes + 1, reply, length);
    }
    (void)fwr_icmb_bridge_answer(icmb->bridge, now_us(icmb), ticket, bytes, 1 + length);
}

static void not_waited_for(void *ctx, uint32_t ticket, const uint8_t *reply, size_t length)
{
    (void)ctx, (void)ticket, (void)reply, (void)length;
}

static struct fwr_lanserv_message message_from(struct sim_icmb *icmb,
                                               const struct fwr_icmb_request *request)
{
    const struct sim_icmb_config *config = icmb->config;

    return (struct fwr_lanserv_message){
        .caller = {.link = SIM_ICMB_LINK,
                   .medium = FWR_MEDIUM_ICMB,
                   .privilege = config->privilege,
                   .security = FWR_SECURITY_NONE,
                   .session = request->source,
                   .peer = icmb->events->peer(icmb->ctx, request->source),
                   .broadcast = (uint16_t)(config->packet - BLOCK_HEADER)},
        .ctx = icmb,
        .token = request->ticket,
    };
}

/* Completion code for the asker, or -1: the answer comes. */
static int pass_on(struct sim_icmb *icmb, const struct fwr_lanserv_message *message)
{
    switch (fwr_lanserv_inject(icmb->lanserv, message)) {
    case FWR_OK:
        return -1;
    case FWR_E_NOT_FOUND:
        return CC_UNREACHABLE;
    case FWR_E_MEMORY:
        return CC_BUSY;
    default:
        return CC_FIELD;
    }
}

static int serve_oem(struct sim_icmb *icmb, const struct fwr_icmb_request *request)
{
    struct fwr_lanserv_message message = message_from(icmb, request);
    uint8_t data[FWR_IANA_SIZE + FWR_ICMB_DATA_MAX];
    uint32_t iana = icmb->lanserv->oem->iana;

    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        data[i] = (uint8_t)(iana >> 8 * i);
    memcpy(data + FWR_IANA_SIZE, request->data, request->length);
    message.caller.max_reply = (uint16_t)(icmb->config->packet - 1);
    message.target = BMC_ADDRESS;
    message.netfn = FWR_NETFN_OEM_REQUEST;
    message.command = request->command;
    message.data = data;
    message.length = FWR_IANA_SIZE + request->length;
    message.reply = oem_answered;
    return pass_on(icmb, &message);
}

/* For a controller behind this bridge: the BMC or another one on its IPMB. */
static int serve_target(struct sim_icmb *icmb, const struct fwr_icmb_request *request, bool replies)
{
    struct fwr_lanserv_message message = message_from(icmb, request);

    if (request->length < TARGET_HEADER)
        return fwr_error_completion_code(FWR_E_LENGTH);
    message.caller.max_reply = (uint16_t)(icmb->config->packet - 1 - FWR_OEM_HEADER);
    message.target = request->data[0];
    message.netfn = request->data[1] >> 2;
    message.lun = request->data[1] & 3;
    message.command = request->data[2];
    message.data = request->data + TARGET_HEADER;
    message.length = request->length - TARGET_HEADER;
    message.reply = replies ? target_answered : not_waited_for;
    return pass_on(icmb, &message);
}

static size_t serve(void *ctx, uint64_t at, const struct fwr_icmb_request *request, uint8_t *reply,
                    size_t capacity)
{
    struct sim_icmb *icmb = ctx;
    int code;

    (void)at, (void)capacity;
    icmb->fresh = true;
    if (request->command == FWR_ICMB_BRIDGE_REQUEST)
        code = serve_target(icmb, request, true);
    else if (request->command == FWR_ICMB_BRIDGE_MESSAGE)
        code = serve_target(icmb, request, false);
    else
        code = serve_oem(icmb, request);
    if (code < 0 && request->command != FWR_ICMB_BRIDGE_MESSAGE)
        return 0;
    reply[0] = code < 0 ? 0 : (uint8_t)code;
    return 1;
}

static void heard_by_all(void *ctx, uint64_t at, uint16_t source, uint8_t command,
                         const uint8_t *data, size_t length)
{
    struct sim_icmb *icmb = ctx;

    (void)at;
    if (command != icmb->lanserv->oem->command_base + FWR_CMD_BLOCK_DATA)
        return;
    icmb->fresh = true;
    icmb->events->heard(icmb->ctx, source, data, length);
}

/* ---- commands of the BMC ---- */

static void answered(void *ctx, uint32_t token, const uint8_t *reply, size_t length)
{
    struct sim_icmb *icmb = ctx;
    msg_t *message = icmb->pending[token].message;
    uint8_t bytes[FWR_ICMB_REPLY_MAX];

    memcpy(bytes, reply, length);
    icmb->pending[token].message = NULL;
    fwr_lanserv_answer(icmb->lanserv, icmb->pending[token].channel, message, bytes, length);
}

void sim_icmb_command(struct sim_icmb *icmb, channel_t *channel, msg_t *message)
{
    const struct fwr_caller caller = fwr_lanserv_caller(icmb->lanserv, channel, message);
    uint8_t reply[FWR_ICMB_REPLY_MAX] = {CC_BUSY};
    size_t length = 1;
    uint32_t token = 0;

    while (token < SIM_ICMB_PENDING && icmb->pending[token].message != NULL)
        token++;
    if (token < SIM_ICMB_PENDING &&
        fwr_icmb_bridge_local(icmb->bridge, now_us(icmb), caller.privilege, message->cmd,
                              message->data, message->len, token, reply, &length) == FWR_PENDING) {
        icmb->pending[token].channel = channel;
        icmb->pending[token].message = message;
    } else {
        ipmi_handle_smi_rsp(channel, message, reply, (int)length);
    }
    /* Not at once: the message may have come out of the bridge itself. */
    set_timer(icmb, 0);
}

/* ---- what else the bridge tells ---- */

static const char *const event_names[] = {"is online", "wants attention", "begins a discovery",
                                          "has ended its discovery"};

static void on_event(void *ctx, uint16_t source, uint8_t event)
{
    struct sim_icmb *icmb = ctx;
    char line[64];

    snprintf(line, sizeof(line), "icmb: node %#06x %s", source, event_names[event]);
    icmb->events->log(icmb->ctx, line);
}

static void on_state(void *ctx, enum fwr_icmb_state state, uint16_t address)
{
    struct sim_icmb *icmb = ctx;
    const uint8_t bytes[2] = {(uint8_t)address, (uint8_t)(address >> 8)};
    char line[64];

    icmb->fresh = true;
    if (state == FWR_ICMB_ASSIGNING)
        return;
    snprintf(line, sizeof(line),
             state == FWR_ICMB_ENABLED    ? "icmb: this is node %#06x"
             : state == FWR_ICMB_DISABLED ? "icmb: off"
                                          : "icmb: others take every address",
             address);
    icmb->events->log(icmb->ctx, line);
    /* An address is a convenience: without a store another one is found. */
    if (state == FWR_ICMB_ENABLED && address != icmb->saved &&
        icmb->store->write(icmb->store->ctx, FWR_STORE_ICMB, 0, bytes, sizeof(bytes)) == FWR_OK)
        icmb->saved = address;
}

/* ---- the device ---- */

static void opened(void *ctx, uint64_t now)
{
    struct sim_icmb *icmb = ctx;
    char line[64];

    (void)now;
    snprintf(line, sizeof(line), "icmb: on the bus at %u bit/s%s",
             (unsigned)(icmb->config->baud * icmb->config->speed),
             icmb->port.port.tty.rs485 ? ", RS-485" : "");
    icmb->events->log(icmb->ctx, line);
}

static void closed(void *ctx, uint64_t now, int error)
{
    struct sim_icmb *icmb = ctx;
    char line[256];

    (void)now;
    snprintf(line, sizeof(line), "icmb: %s: %s", icmb->config->device, fwr_error_text(error));
    icmb->events->log(icmb->ctx, line);
}

static void received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    struct sim_icmb *icmb = ctx;

    (void)now;
    fwr_icmb_bridge_receive(icmb->bridge, now_us(icmb), bytes, length);
    if (fwr_icmb_bridge_take_back(icmb->bridge))
        fwr_tty_port_flush(&icmb->port.port);
}

/* lanserv must not watch a handle that is closed. */
static void closing(void *ctx)
{
    sim_port_closing(&((struct sim_icmb *)ctx)->port);
}

/* ---- the loop ---- */

static void rearm(struct sim_icmb *icmb, uint64_t now)
{
    uint64_t next = fwr_icmb_bridge_next_timeout(icmb->bridge);
    uint64_t port = sim_port_next_timeout(&icmb->port);
    uint64_t wait = IDLE_US;

    if (port < FWR_NEVER / 1000 && port * 1000 < next)
        next = port * 1000;
    if (icmb->fresh || next <= now)
        wait = 0;
    else if (next - now < wait)
        wait = next - now;
    set_timer(icmb, wait);
}

/* What the donor has for everybody, as far as there is room for it. */
static void speak(struct sim_icmb *icmb, uint64_t now)
{
    uint8_t command = (uint8_t)(icmb->lanserv->oem->command_base + FWR_CMD_BLOCK_DATA);
    uint8_t data[FWR_ICMB_DATA_MAX];
    size_t length;

    while (fwr_icmb_bridge_can_broadcast(icmb->bridge) &&
           (length = icmb->events->speak(icmb->ctx, data, icmb->config->packet)) > 0)
        (void)fwr_icmb_bridge_broadcast(icmb->bridge, now, command, data, length);
}

void sim_icmb_turn(struct sim_icmb *icmb)
{
    uint64_t now = now_us(icmb);
    uint8_t bytes[PORTION_MAX];
    size_t length;

    if (!icmb->begun)
        return;
    sim_port_timeout(&icmb->port, now / 1000);
    if (fwr_icmb_bridge_next_timeout(icmb->bridge) <= now)
        fwr_icmb_bridge_timeout(icmb->bridge, now);
    speak(icmb, now);
    /* What no device takes is lost, as on a wire that is cut. */
    while ((length = fwr_icmb_bridge_next_send(icmb->bridge, now, bytes, sizeof(bytes))) > 0)
        (void)sim_port_send(&icmb->port, bytes, length);
    rearm(icmb, now);
}

/* The engines' work ends with a turn. */
static void go_on(void *ctx)
{
    struct sim_icmb *icmb = ctx;

    if (icmb->fresh) {
        icmb->fresh = false;
        icmb->events->news(icmb->ctx);
    } else {
        sim_icmb_turn(icmb);
    }
}

static uint64_t now_ms(void *ctx)
{
    return now_us(ctx) / 1000;
}

static void timed(int fd, void *ctx)
{
    struct sim_icmb *icmb = ctx;
    uint64_t times;

    (void)!read(fd, &times, sizeof(times)); /* or it was set anew meanwhile */
    if (!icmb->fresh)
        sim_icmb_turn(icmb);
    if (icmb->fresh)
        go_on(icmb);
}

/* ---- life ---- */

/* The configured address, else the one it had last. */
static uint16_t first_address(struct sim_icmb *icmb)
{
    uint8_t bytes[2];
    size_t length = 0;

    if (icmb->store->read(icmb->store->ctx, FWR_STORE_ICMB, 0, bytes, sizeof(bytes), &length) ==
            FWR_OK &&
        length == sizeof(bytes))
        icmb->saved = (uint16_t)(bytes[0] | bytes[1] << 8);
    if (icmb->saved == UINT16_MAX)
        icmb->saved = 0;
    return icmb->config->address != 0 ? icmb->config->address : icmb->saved;
}

int sim_icmb_init(struct sim_icmb *icmb)
{
    const struct sim_icmb_config *config = icmb->config;
    const struct fwr_icmb_config bridge = {
        .size = sizeof(bridge),
        .platform = icmb->platform,
        .ctx = icmb,
        .bit_rate = config->baud * config->speed,
        .address = first_address(icmb),
        .broadcast_is_zero = config->broadcast_is_zero,
        .packet = config->packet,
        .echo_timeout_ms = ECHO_MS,
        .outstanding = config->outstanding,
        .gap = config->gap,
        .portion = config->portion,
        .remote_privilege = config->privilege,
        .features = FWR_ICMB_FEATURE_MANAGEMENT | FWR_ICMB_FEATURE_CHASSIS,
        .connector = config->connector,
        .serve = serve,
        .answer = answered,
        .broadcast = heard_by_all,
        .event = on_event,
        .state = on_state,
    };

    icmb->port_config = (struct fwr_tty_port_config){
        .size = sizeof(icmb->port_config),
        .path = config->device,
        .baud = config->baud,
        .rs485 = true,
        .ctx = icmb,
        .opened = opened,
        .closed = closed,
        .received = received,
        .closing = closing,
    };
    sim_port_init(&icmb->port, icmb->sys, &icmb->port_config, now_ms, go_on, icmb);
    icmb->storage = calloc(1, fwr_icmb_bridge_storage());
    if (icmb->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_icmb_bridge_init(&icmb->bridge, icmb->storage, fwr_icmb_bridge_storage(), &bridge,
                                now_us(icmb));
}

int sim_icmb_begin(struct sim_icmb *icmb)
{
    ipmi_io_t *io;

    icmb->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (icmb->timer < 0)
        return FWR_E_IO;
    icmb->begun = true;
    if (icmb->sys->add_io_hnd(icmb->sys, icmb->timer, timed, icmb, &io) != 0)
        return FWR_E_MEMORY;
    sim_icmb_turn(icmb);
    return FWR_OK;
}

void sim_icmb_end(struct sim_icmb *icmb)
{
    if (icmb->storage == NULL)
        return;
    fwr_icmb_bridge_end(icmb->bridge);
    sim_port_end(&icmb->port);
    if (icmb->begun)
        close(icmb->timer);
    icmb->begun = false;
    free(icmb->storage);
    icmb->bridge = NULL;
    icmb->storage = NULL;
}
