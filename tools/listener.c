/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RMCP+ responder on a socket. Answers at once or not at all: nothing is queued here, a
 * peer that hears nothing asks again.
 */
#include "tools/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define DATAGRAMS_A_TURN  64 /* then the donor has its step */
#define CC_UNKNOWN        0xc1
#define DATAGRAM_CAPACITY 2048 /* longer ones are cut, and then not authentic */

int tool_listener_open(struct tool_listener *listener, uint16_t link,
                       const struct addrinfo *address,
                       const struct fwr_rmcp_responder_config *config, const struct fwr_oem *oem)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    size_t size;
    int error;

    memset(listener, 0, sizeof(*listener));
    listener->link = link;
    listener->oem = oem;
    listener->config = *config;
    listener->config.datagram = tool_datagram_size(address->ai_family);
    tool_address_text(address->ai_addr, address->ai_addrlen, listener->address);
    listener->fd = tool_udp_bind(address);
    if (listener->fd < 0)
        return tool_system_error(errno, listener->address, "listening");
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) == 0)
        tool_address_text((struct sockaddr *)&bound, length, listener->address);
    size = fwr_rmcp_responder_storage(&listener->config);
    listener->storage = calloc(1, size > 0 ? size : 1);
    error = listener->storage == NULL
                ? FWR_E_MEMORY
                : fwr_rmcp_responder_init(&listener->responder, listener->storage, size,
                                          &listener->config);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_listener_close(listener);
    return tool_error(error, listener->address, NULL);
}

void tool_listener_close(struct tool_listener *listener)
{
    fwr_rmcp_responder_end(listener->responder);
    free(listener->storage);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->responder = NULL;
    listener->storage = NULL;
    listener->fd = -1;
}

static void send_to(const struct tool_listener *listener, const struct fwr_rmcp_peer *peer,
                    const uint8_t *datagram, size_t length)
{
    struct sockaddr_storage address;

    if (length == 0)
        return;
    memset(&address, 0, sizeof(address));
    memcpy(&address, peer->key, peer->length);
    /* What the kernel cannot take now is lost like any datagram. */
    (void)!sendto(listener->fd, datagram, length, MSG_NOSIGNAL, (struct sockaddr *)&address,
                  peer->length);
}

static void answer(struct tool_listener *listener, const struct fwr_rmcp_event *event)
{
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX], datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_caller caller = {
        .link = listener->link,
        .medium = FWR_MEDIUM_LAN,
        .privilege = event->privilege,
        .security = FWR_SECURITY_SUITE,
        .session = event->session,
        .max_reply = (uint16_t)fwr_rmcp_max_reply(event->suite, listener->config.datagram),
    };
    struct fwr_rmcp_peer to;
    uint64_t now = tool_now();
    size_t length = 1;

    reply[0] = CC_UNKNOWN;
    if (event->id.netfn == FWR_NETFN_OEM_REQUEST)
        length = fwr_oem_handle(listener->oem, now, &caller, event->id.command, event->data,
                                event->length, reply, sizeof(reply));
    if (fwr_rmcp_responder_reply(listener->responder, now, &event->id, reply, length, &to, datagram,
                                 sizeof(datagram), &length) == FWR_OK)
        send_to(listener, &to, datagram, length);
}

static void session_closed(const struct tool_listener *listener, const struct fwr_rmcp_event *event)
{
    if (listener->oem->donor != NULL)
        fwr_donor_session_closed(listener->oem->donor, listener->link, event->session);
}

void tool_listener_readable(struct tool_listener *listener)
{
    uint8_t datagram[DATAGRAM_CAPACITY], reply[FWR_RMCP_DATAGRAM_MAX];

    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t address_length = sizeof(address);
        struct fwr_rmcp_peer from = {0};
        struct fwr_rmcp_event event;
        size_t reply_length = 0;
        ssize_t length;

        memset(&address, 0, sizeof(address));
        length = recvfrom(listener->fd, datagram, sizeof(datagram), MSG_DONTWAIT,
                          (struct sockaddr *)&address, &address_length);
        if (length < 0)
            return;
        if (address_length > FWR_RMCP_PEER_MAX)
            continue;
        from.length = (uint8_t)address_length;
        memcpy(from.key, &address, address_length);
        if (fwr_rmcp_responder_receive(listener->responder, tool_now(), &from, datagram,
                                       (size_t)length, &event, reply, sizeof(reply),
                                       &reply_length) != FWR_OK)
            continue;
        send_to(listener, &from, reply, reply_length);
        if (event.kind == FWR_RMCP_EVENT_COMMAND)
            answer(listener, &event);
        else if (event.kind == FWR_RMCP_EVENT_CLOSED)
            session_closed(listener, &event);
    }
}

uint64_t tool_listener_next_timeout(const struct tool_listener *listener)
{
    return fwr_rmcp_responder_next_timeout(listener->responder);
}

void tool_listener_timeout(struct tool_listener *listener, uint64_t now)
{
    struct fwr_rmcp_event event;

    while (fwr_rmcp_responder_next_timeout(listener->responder) <= now) {
        fwr_rmcp_responder_timeout(listener->responder, now, &event);
        if (event.kind == FWR_RMCP_EVENT_NONE)
            return;
        session_closed(listener, &event);
    }
}
