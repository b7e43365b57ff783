/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter to OpenIPMI's connections, see openipmi.h. It carries a recipient's messages to a
 * caller's ipmi_con_t and the replies back. It never opens, starts or closes a connection, and
 * never asks a peer for more than OpenIPMI has room for.
 */
#include <fwrecover/openipmi.h>

#include <string.h>

#include <OpenIPMI/ipmi_addr.h>
#include <OpenIPMI/ipmi_conn.h>
#include <OpenIPMI/ipmi_msgbits.h>
#include <OpenIPMI/ipmi_types.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define WINDOW_DEFAULT 8

static void limits(void *ctx, struct fwr_link_limits *out)
{
    const struct fwr_openipmi *adapter = ctx;

    memset(out, 0, sizeof(*out));
    out->max_request = FWR_OPENIPMI_REQUEST_MAX;
    out->max_reply = adapter->max_reply;
    out->window = adapter->window;
    out->medium = adapter->medium;
    out->round_trip_ms = adapter->round_trip_ms;
}

static void iana_put(const struct fwr_openipmi *adapter, uint8_t *bytes)
{
    bytes[0] = (uint8_t)adapter->oem->iana;
    bytes[1] = (uint8_t)(adapter->oem->iana >> 8);
    bytes[2] = (uint8_t)(adapter->oem->iana >> 16);
}

/* Hands over a refusal. OpenIPMI knows which request it belongs to, whatever the peer put in it:
 * so it gets the cookie that a stack which does not know us leaves out. */
static void refusal(struct fwr_openipmi *adapter, uint8_t command, uint8_t cookie, uint8_t code)
{
    uint8_t reply[FWR_OEM_HEADER + 1] = {code};

    iana_put(adapter, reply + 1);
    reply[FWR_OEM_HEADER] = cookie;
    fwr_oem_response(adapter->oem, adapter->recipient, adapter->now(adapter->ctx), adapter->peer,
                     command, reply, sizeof(reply));
}

/* The place of a request; of no item: a free place. NULL when there is none. */
static struct fwr_openipmi_request *place_find(struct fwr_openipmi *adapter,
                                               const ipmi_msgi_t *item)
{
    for (uint8_t i = 0; i < adapter->window; i++) {
        if (adapter->outstanding[i].item == item)
            return &adapter->outstanding[i];
    }
    return NULL;
}

/* OpenIPMI calls this once for every message it took, also when it gave up on it; the cookie
 * of an old request can thus never meet a reply to a new one. */
static int replied(ipmi_con_t *con, ipmi_msgi_t *item)
{
    struct fwr_openipmi *adapter = item->data1;
    struct fwr_openipmi_request *place;
    uint8_t command, cookie;

    (void)con;
    if (adapter == NULL)
        return IPMI_MSG_ITEM_NOT_USED; /* closed meanwhile */
    place = place_find(adapter, item);
    if (place == NULL)
        return IPMI_MSG_ITEM_NOT_USED;
    command = place->command;
    cookie = place->cookie;
    place->item = NULL;
    if (item->msg.data_len == 0 || item->msg.data_len > FWR_OEM_HEADER + FWR_OPENIPMI_REPLY_MAX)
        refusal(adapter, command, cookie, fwr_error_completion_code(FWR_E_PEER));
    else if (item->msg.data[0] != 0)
        refusal(adapter, command, cookie, item->msg.data[0]);
    else
        fwr_oem_response(adapter->oem, adapter->recipient, adapter->now(adapter->ctx),
                         adapter->peer, command, item->msg.data, item->msg.data_len);
    if (adapter->received != NULL)
        adapter->received(adapter->ctx);
    return IPMI_MSG_ITEM_NOT_USED;
}

static int send_message(void *ctx, uint64_t now, uint8_t command, const uint8_t *data,
                        size_t length)
{
    struct fwr_openipmi *adapter = ctx;
    struct fwr_openipmi_request *place = place_find(adapter, NULL);
    ipmi_system_interface_addr_t bmc = {.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE,
                                        .channel = IPMI_BMC_CHANNEL};
    uint8_t bytes[FWR_IANA_SIZE + FWR_OPENIPMI_REQUEST_MAX];
    ipmi_msg_t message = {.netfn = FWR_NETFN_OEM_REQUEST, .data = bytes};
    ipmi_msgi_t *item;

    (void)now; /* OpenIPMI has a clock of its own */
    if (length == 0 || length > FWR_OPENIPMI_REQUEST_MAX)
        return FWR_E_ARGUMENT;
    if (!adapter->up)
        return FWR_E_SESSION_CLOSED;
    if (place == NULL)
        return FWR_E_BUSY;
    item = ipmi_alloc_msg_item();
    if (item == NULL)
        return FWR_E_BUSY; /* memory may come back; nothing was lost */
    iana_put(adapter, bytes);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    message.cmd = (uint8_t)(adapter->oem->command_base + command);
    message.data_len = (unsigned short)(FWR_IANA_SIZE + length);
    item->data1 = adapter;
    place->item = item;
    place->command = command;
    place->cookie = data[0];
    if (adapter->con->send_command(adapter->con, (ipmi_addr_t *)(void *)&bmc, sizeof(bmc), &message,
                                   replied, item) != 0) {
        place->item = NULL;
        ipmi_free_msg_item(item);
        return FWR_E_SESSION_CLOSED;
    }
    return FWR_OK;
}

static void changed(ipmi_con_t *con, int error, unsigned int port, int any_port_up, void *ctx)
{
    struct fwr_openipmi *adapter = ctx;
    struct fwr_link_limits now_limits;

    (void)con;
    (void)error; /* of one port: what counts is whether any works */
    (void)port;
    adapter->up = any_port_up != 0;
    limits(adapter, &now_limits);
    fwr_recipient_peer(adapter->recipient, adapter->now(adapter->ctx), adapter->peer,
                       adapter->up ? FWR_OK : FWR_E_SESSION_CLOSED, &now_limits);
    if (adapter->received != NULL)
        adapter->received(adapter->ctx);
}

int fwr_openipmi_open(struct fwr_openipmi *adapter)
{
    if (adapter->size < sizeof(*adapter) || adapter->con == NULL || adapter->oem == NULL ||
        adapter->recipient == NULL || adapter->now == NULL ||
        adapter->window > FWR_OPENIPMI_WINDOW_MAX ||
        (adapter->max_reply != 0 && adapter->max_reply < FWR_LINK_MIN_REPLY) ||
        adapter->max_reply > FWR_OPENIPMI_REPLY_MAX)
        return FWR_E_ARGUMENT;
    if (adapter->window == 0)
        adapter->window = WINDOW_DEFAULT;
    if (adapter->max_reply == 0)
        adapter->max_reply = FWR_OPENIPMI_REPLY_MAX;
    adapter->link.size = sizeof(adapter->link);
    adapter->link.ctx = adapter;
    adapter->link.limits = limits;
    adapter->link.send = send_message;
    memset(adapter->outstanding, 0, sizeof(adapter->outstanding));
    if (adapter->con->add_con_change_handler(adapter->con, changed, adapter) != 0)
        return FWR_E_MEMORY;
    return FWR_OK;
}

void fwr_openipmi_close(struct fwr_openipmi *adapter)
{
    (void)adapter->con->remove_con_change_handler(adapter->con, changed, adapter);
    for (uint8_t i = 0; i < adapter->window; i++) {
        if (adapter->outstanding[i].item != NULL)
            adapter->outstanding[i].item->data1 = NULL;
        adapter->outstanding[i].item = NULL;
    }
    adapter->up = false;
}
