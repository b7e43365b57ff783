/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter to lanserv: see lanserv.h. It takes the requester's identity from lanserv's
 * session, never from the message, and decides nothing about commands: that is the dispatcher's.
 */
#include "oem-cmds/lanserv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <OpenIPMI/ipmi_auth.h>
#include <OpenIPMI/extcmd.h>
#include <OpenIPMI/ipmi_err.h>
#include <OpenIPMI/ipmi_mc.h>
#include <OpenIPMI/mcserv.h>
#include <openssl/crypto.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define SYSTEM_CHANNEL 15
#define IPMB_CHANNEL   0

#define NETFN_APP        0x06
#define NETFN_GROUP      0x2c
#define NETFN_MAX        0x3e
#define CMD_SEND_MESSAGE 0x34

/* The numbers of IPMI 2.0 tables 13-17 to 13-19 that make cipher suite 3. */
#define RAKP_HMAC_SHA1 1
#define HMAC_SHA1_96   1
#define AES_CBC_128    1
#define CLOSER_FOR_US  2 /* 0 and 1 belong to the IPMI and SOL payloads */

/* lanserv's callbacks carry no context. */
static struct fwr_lanserv *attached;

static bool is_our_iana(const struct fwr_oem *oem, const msg_t *message)
{
    return message->netfn == FWR_NETFN_OEM_REQUEST && message->len >= FWR_IANA_SIZE &&
           ((uint32_t)message->data[0] | (uint32_t)message->data[1] << 8 |
            (uint32_t)message->data[2] << 16) == oem->iana;
}

/* ---- messages of our own ---- */

/* lanserv hands the message back and forth by its address, so what belongs to it lies around it. */
struct injected {
    msg_t message; /* first: the block is the message's to lanserv, which frees it */
    struct fwr_caller caller;
    void (*reply)(void *ctx, uint32_t token, const uint8_t *reply, size_t length);
    void *ctx;
    uint32_t token;
    uint8_t data[];
};

static const struct injected *injected_of(const struct fwr_lanserv *adapter,
                                          const channel_t *channel, const msg_t *message)
{
    return channel == &adapter->own ? (const struct injected *)(const void *)message : NULL;
}

static void return_injected(channel_t *channel, msg_t *message, rsp_msg_t *reply)
{
    const struct injected *injected = injected_of(attached, channel, message);

    if (injected != NULL) /* always: nobody else has this channel */
        injected->reply(injected->ctx, injected->token, reply->data, reply->data_len);
}

/* ---- who asks ---- */

static session_t *session_of(const channel_t *channel, const msg_t *message)
{
    lanserv_data_t *lan = channel->chan_info;
    session_t *session;

    if (channel->medium_type != IPMI_CHANNEL_MEDIUM_8023_LAN || lan == NULL || message->sid == 0 ||
        (message->sid & 1) != 0)
        return NULL;
    session = &lan->sessions[(message->sid >> 1) & SESSION_MASK];
    return session->active && session->sid == message->sid ? session : NULL;
}

/* Exactly suite 3, and this very message encrypted and authenticated. */
static bool is_on_suite(const session_t *session, const msg_t *message)
{
    return message->authtype == IPMI_AUTHTYPE_RMCP_PLUS && session->rmcpplus &&
           !session->in_startup && session->auth == RAKP_HMAC_SHA1 &&
           session->integ == HMAC_SHA1_96 && session->conf == AES_CBC_128 &&
           message->rmcpp.encrypted && message->rmcpp.authenticated;
}

struct fwr_caller fwr_lanserv_caller(const struct fwr_lanserv *adapter, const channel_t *channel,
                                     const msg_t *message)
{
    struct fwr_caller caller = {
        .link = (uint16_t)channel->channel_num,
        .medium = FWR_MEDIUM_LOCAL,
        .privilege = FWR_PRIVILEGE_NONE,
        .security = FWR_SECURITY_NONE,
        .max_reply = FWR_LANSERV_REPLY_STOCK,
    };
    const struct injected *injected = injected_of(adapter, channel, message);
    const session_t *session;

    if (injected != NULL)
        return injected->caller;
    session = session_of(channel, message);
    if (channel->channel_num == SYSTEM_CHANNEL) {
        caller.privilege = FWR_PRIVILEGE_ADMIN;
        caller.security = FWR_SECURITY_LOCAL;
        return caller;
    }
    if (session == NULL)
        return caller;
    caller.medium = FWR_MEDIUM_LAN;
    caller.session = session->sid;
    caller.max_reply = session->rmcpplus ? FWR_LANSERV_REPLY_RMCPP : FWR_LANSERV_REPLY_LAN15;
    if (is_on_suite(session, message))
        caller.security = FWR_SECURITY_SUITE;
    else if (!adapter->allow_lan15)
        return caller;
    caller.privilege = session->priv;
    return caller;
}

static void session_closed(lmc_data_t *mc, uint32_t id, void *ctx)
{
    const struct fwr_lanserv_road *road = ctx;
    struct fwr_lanserv *adapter = road->adapter;

    (void)mc;
    if (adapter->oem->donor != NULL)
        fwr_donor_session_closed(adapter->oem->donor, road->number, id);
}

/* Transfers end with the session they were opened in. */
static void watch_session(struct fwr_lanserv *adapter, const channel_t *channel,
                          const msg_t *message)
{
    session_t *session = session_of(channel, message);
    struct fwr_lanserv_road *road = &adapter->roads[channel->channel_num % IPMI_MAX_CHANNELS];

    if (session == NULL || session->closers[CLOSER_FOR_US].close_cb != NULL)
        return;
    road->adapter = adapter;
    road->number = (uint16_t)channel->channel_num;
    session->closers[CLOSER_FOR_US].mc = channel->mc;
    session->closers[CLOSER_FOR_US].close_cb_data = road;
    session->closers[CLOSER_FOR_US].close_cb = session_closed;
}

/* ---- messages ---- */

static size_t answer(struct fwr_lanserv *adapter, const channel_t *channel, const msg_t *message)
{
    struct fwr_caller caller = fwr_lanserv_caller(adapter, channel, message);

    return fwr_oem_handle(adapter->oem, adapter->now(adapter->ctx), &caller, message->cmd,
                          message->data, message->len, adapter->reply, sizeof(adapter->reply));
}

/* Keeps a request that found the engine busy; false when there is no room. */
static bool defer(struct fwr_lanserv *adapter, channel_t *channel, msg_t *message)
{
    for (unsigned i = 0; i < FWR_LANSERV_DEFERRED; i++) {
        struct fwr_lanserv_deferred *slot = &adapter->deferred[i];

        if (slot->message != NULL)
            continue;
        slot->channel = channel;
        slot->message = message;
        slot->until = adapter->now(adapter->ctx) + FWR_LANSERV_DEFER_MS;
        return true;
    }
    return false;
}

static void serve(struct fwr_lanserv *adapter, channel_t *channel, msg_t *message)
{
    size_t length = answer(adapter, channel, message);

    watch_session(adapter, channel, message);
    if (adapter->reply[0] != IPMI_NODE_BUSY_CC || !defer(adapter, channel, message))
        ipmi_handle_smi_rsp(channel, message, adapter->reply, (int)length);
    adapter->served(adapter->ctx);
}

bool fwr_lanserv_waits(const struct fwr_lanserv *adapter, channel_t *channel, const msg_t *message)
{
    return channel->channel_num == SYSTEM_CHANNEL || channel == &adapter->own ||
           session_of(channel, message) != NULL;
}

void fwr_lanserv_answer(const struct fwr_lanserv *adapter, channel_t *channel, msg_t *message,
                        uint8_t *reply, size_t length)
{
    /* Without its session an answer would go out in the clear. */
    if (fwr_lanserv_waits(adapter, channel, message))
        ipmi_handle_smi_rsp(channel, message, reply, (int)length);
    else
        channel->free(channel, message);
}

void fwr_lanserv_again(struct fwr_lanserv *adapter)
{
    for (unsigned i = 0; i < FWR_LANSERV_DEFERRED; i++) {
        struct fwr_lanserv_deferred *slot = &adapter->deferred[i];
        msg_t *message = slot->message;
        size_t length;

        if (message == NULL)
            continue;
        if (!fwr_lanserv_waits(adapter, slot->channel, message)) {
            slot->message = NULL;
            slot->channel->free(slot->channel, message);
            continue;
        }
        length = answer(adapter, slot->channel, message);
        if (adapter->reply[0] == IPMI_NODE_BUSY_CC && adapter->now(adapter->ctx) < slot->until)
            continue;
        slot->message = NULL;
        ipmi_handle_smi_rsp(slot->channel, message, adapter->reply, (int)length);
    }
}

uint64_t fwr_lanserv_next_timeout(const struct fwr_lanserv *adapter)
{
    uint64_t next = FWR_NEVER;

    for (unsigned i = 0; i < FWR_LANSERV_DEFERRED; i++) {
        if (adapter->deferred[i].message != NULL && adapter->deferred[i].until < next)
            next = adapter->deferred[i].until;
    }
    return next;
}

/* The lowered privileges hold for command codes, whatever the IANA number: here the ones that
 * are not ours get lanserv's own rule back. */
static bool needs_admin(const struct fwr_lanserv *adapter, const channel_t *channel,
                        const msg_t *message)
{
    const session_t *session = session_of(channel, message);

    return message->netfn == FWR_NETFN_OEM_REQUEST && session != NULL &&
           session->priv < FWR_PRIVILEGE_ADMIN &&
           fwr_oem_privilege(adapter->oem, message->cmd) != 0;
}

static int adapter_send(channel_t *channel, msg_t *message)
{
    struct fwr_lanserv *adapter = attached;
    bool to_bmc = channel->mc == adapter->sys->ipmb_addrs[adapter->sys->bmc_ipmb];

    if (to_bmc && is_our_iana(adapter->oem, message)) {
        serve(adapter, channel, message);
        return 0;
    }
    if (needs_admin(adapter, channel, message)) {
        uint8_t refused = IPMI_INSUFFICIENT_PRIVILEGE_CC;

        ipmi_handle_smi_rsp(channel, message, &refused, sizeof(refused));
        return 0;
    }
    if (to_bmc && adapter->other != NULL && adapter->other(adapter->ctx, channel, message))
        return 0;
    return adapter->stock_send(channel, message);
}

/* lanserv asks its table of privileges where a LAN session's messages come in. */
static bool is_permitted(const struct injected *injected)
{
    return ipmi_cmd_permitted(injected->caller.privilege, injected->message.netfn,
                              injected->message.cmd) == IPMI_PRIV_PERMITTED;
}

/* What this channel does not have: a queue for the replies that Send Message brings, and the
 * group extensions that ipmitool looks for before it does anything else. */
static bool is_unknown(const struct injected *injected)
{
    const msg_t *message = &injected->message;

    return (message->netfn == NETFN_APP && message->cmd == CMD_SEND_MESSAGE) ||
           (message->netfn == NETFN_GROUP && !is_permitted(injected));
}

static void route_injected(struct fwr_lanserv *adapter, channel_t *channel,
                           struct injected *injected)
{
    msg_t *message = &injected->message;
    bool to_bmc = channel->mc == adapter->sys->ipmb_addrs[adapter->sys->bmc_ipmb];
    uint8_t refused = IPMI_INSUFFICIENT_PRIVILEGE_CC;

    if (to_bmc && is_our_iana(adapter->oem, message)) {
        serve(adapter, channel, message);
        return;
    }
    if (is_unknown(injected))
        refused = IPMI_INVALID_CMD_CC;
    else if (is_permitted(injected)) {
        if (to_bmc && adapter->other != NULL && adapter->other(adapter->ctx, channel, message))
            return;
        if (adapter->stock_send(channel, message) == 0)
            return;
        refused = IPMI_UNKNOWN_ERR_CC;
    }
    ipmi_handle_smi_rsp(channel, message, &refused, sizeof(refused));
}

int fwr_lanserv_inject(struct fwr_lanserv *adapter, const struct fwr_lanserv_message *message)
{
    channel_t *channel = &adapter->own;
    struct injected *injected;

    if (message->reply == NULL || message->netfn > NETFN_MAX || (message->netfn & 1) != 0)
        return FWR_E_ARGUMENT;
    if (message->length > IPMI_SIM_MAX_MSG_LENGTH)
        return FWR_E_LENGTH;
    if (adapter->sys->ipmb_addrs[message->target] == NULL)
        return FWR_E_NOT_FOUND;
    channel->mc = adapter->sys->ipmb_addrs[message->target];
    injected = channel->alloc(channel, (int)(sizeof(*injected) + message->length));
    if (injected == NULL)
        return FWR_E_MEMORY;
    memset(injected, 0, sizeof(*injected));
    injected->caller = message->caller;
    injected->reply = message->reply;
    injected->ctx = message->ctx;
    injected->token = message->token;
    injected->message.orig_channel = channel;
    injected->message.channel = IPMB_CHANNEL; /* one that every controller has */
    injected->message.netfn = message->netfn;
    injected->message.rs_addr = message->target;
    injected->message.rs_lun = message->lun;
    injected->message.cmd = message->command;
    injected->message.data = injected->data;
    injected->message.len = (unsigned int)message->length;
    if (message->length > 0)
        memcpy(injected->data, message->data, message->length);
    route_injected(adapter, channel, injected);
    return FWR_OK;
}

/* Bridged over IPMB: lanserv has taken the IANA number off and puts it back on. */
static void bridged(lmc_data_t *mc, msg_t *message, unsigned char *reply,
                    unsigned int *reply_length, void *ctx)
{
    struct fwr_lanserv *adapter = ctx;
    const struct fwr_caller caller = {
        .link = IPMB_CHANNEL,
        .medium = FWR_MEDIUM_LOCAL,
        .privilege = adapter->allow_ipmb ? FWR_PRIVILEGE_USER : FWR_PRIVILEGE_NONE,
        .security = FWR_SECURITY_NONE,
        .max_reply = FWR_LANSERV_REPLY_STOCK,
    };
    uint8_t request[FWR_IANA_SIZE + IPMI_SIM_MAX_MSG_LENGTH];
    uint8_t answer[FWR_OEM_HEADER + FWR_LANSERV_REPLY_STOCK];
    size_t length;

    if (mc != adapter->sys->ipmb_addrs[adapter->sys->bmc_ipmb] ||
        message->len > IPMI_SIM_MAX_MSG_LENGTH) {
        reply[0] = IPMI_INVALID_CMD_CC;
        *reply_length = 1;
        return;
    }
    for (int i = 0; i < FWR_IANA_SIZE; i++)
        request[i] = (uint8_t)(adapter->oem->iana >> 8 * i);
    memcpy(request + FWR_IANA_SIZE, message->data, message->len);
    length = fwr_oem_handle(adapter->oem, adapter->now(adapter->ctx), &caller, message->cmd,
                            request, FWR_IANA_SIZE + message->len, answer, sizeof(answer));
    reply[0] = answer[0];
    *reply_length = 1;
    if (length > FWR_OEM_HEADER) {
        memcpy(reply + 1, answer + FWR_OEM_HEADER, length - FWR_OEM_HEADER);
        *reply_length += (unsigned int)(length - FWR_OEM_HEADER);
    }
    adapter->served(adapter->ctx);
}

static int permitted(unsigned char privilege, unsigned char netfn, unsigned char command)
{
    uint8_t needed = netfn == FWR_NETFN_OEM_REQUEST ? fwr_oem_privilege(attached->oem, command) : 0;

    return needed != 0 && privilege >= needed ? IPMI_PRIV_PERMITTED : IPMI_PRIV_INVALID;
}

int fwr_lanserv_attach(struct fwr_lanserv *adapter, sys_data_t *sys)
{
    int error;

    if (attached != NULL)
        return FWR_E_STATE;
    error = ipmi_emu_register_iana_handler(adapter->oem->iana, bridged, adapter);
    if (error != 0)
        return error == ENOMEM ? FWR_E_MEMORY : FWR_E_BUSY;
    adapter->sys = sys;
    adapter->stock_send = sys->csmi_send;
    adapter->own = (channel_t){
        .medium_type = IPMI_CHANNEL_MEDIUM_RS232,
        .channel_num = FWR_LANSERV_LINKS,
        .log = sys->clog,
        .alloc = sys->calloc,
        .free = sys->cfree,
        .return_rsp = return_injected,
        .oem = {.user_data = sys->info},
    };
    attached = adapter;
    sys->csmi_send = adapter_send;
    return FWR_OK;
}

/* Session ids, challenges and IVs. Bytes that were given out are wiped here. */
static int random_bytes(lanserv_data_t *lan, void *data, int size)
{
    struct fwr_lanserv *adapter = attached;
    size_t length = (size_t)size;
    uint8_t *from;

    if (size < 0 || length > sizeof(adapter->random))
        return adapter->stock_random(lan, data, size);
    if (length > adapter->random_left) {
        int error = adapter->stock_random(lan, adapter->random, (int)sizeof(adapter->random));

        if (error != 0)
            return error;
        adapter->random_left = sizeof(adapter->random);
    }
    adapter->random_left -= length;
    from = adapter->random + adapter->random_left;
    memcpy(data, from, length);
    OPENSSL_cleanse(from, length);
    return 0;
}

void fwr_lanserv_permit(struct fwr_lanserv *adapter)
{
    for (unsigned i = 0; i < IPMI_MAX_CHANNELS; i++) {
        channel_t *channel = adapter->sys->chan_set[i];
        lanserv_data_t *lan;

        if (channel == NULL || channel->medium_type != IPMI_CHANNEL_MEDIUM_8023_LAN)
            continue;
        channel->oem.oem_check_permitted = permitted;
        lan = channel->chan_info;
        if (lan == NULL || lan->gen_rand == NULL || lan->gen_rand == random_bytes)
            continue;
        adapter->stock_random = lan->gen_rand;
        lan->gen_rand = random_bytes;
    }
}
