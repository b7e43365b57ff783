/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter to lanserv: see lanserv.h. It takes the requester's identity from lanserv's
 * session, never from the message, and decides nothing about commands: that is the dispatcher's.
 */
#include "oem-cmds/lanserv.h"

#include <errno.h>
#include <string.h>

#include <OpenIPMI/ipmi_auth.h>
#include <OpenIPMI/ipmi_err.h>
#include <OpenIPMI/ipmi_mc.h>
#include <OpenIPMI/mcserv.h>
#include <openssl/crypto.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define SYSTEM_CHANNEL 15
#define IPMB_CHANNEL   0

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
    const session_t *session = session_of(channel, message);

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

void fwr_lanserv_again(struct fwr_lanserv *adapter)
{
    for (unsigned i = 0; i < FWR_LANSERV_DEFERRED; i++) {
        struct fwr_lanserv_deferred *slot = &adapter->deferred[i];
        msg_t *message = slot->message;
        size_t length;

        if (message == NULL)
            continue;
        /* Without its session an answer would go out in the clear. */
        if (slot->channel->channel_num != SYSTEM_CHANNEL &&
            session_of(slot->channel, message) == NULL) {
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
