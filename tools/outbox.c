/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outbox: see outbox.h.
 */
#include "tools/outbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

static ssize_t send_bytes(struct tool_outbox *outbox, const uint8_t *bytes, size_t length,
                          size_t each)
{
    struct iovec part = {.iov_base = (uint8_t *)bytes, .iov_len = length};
    struct msghdr message = {.msg_name = outbox->to_length > 0 ? &outbox->to : NULL,
                             .msg_namelen = outbox->to_length,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
#ifdef UDP_SEGMENT
    const uint16_t size = (uint16_t)each;
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(size))];
    } control = {{0}};

    if (each < length) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.bytes);
        control.header.cmsg_level = IPPROTO_UDP;
        control.header.cmsg_type = UDP_SEGMENT;
        control.header.cmsg_len = CMSG_LEN(sizeof(size));
        memcpy(CMSG_DATA(&control.header), &size, sizeof(size));
    }
#else
    (void)each;
#endif
    ssize_t sent = sendmsg(outbox->fd, &message, MSG_NOSIGNAL);

    if (sent < 0)
        outbox->error = errno;
    return sent;
}

static void send_one_by_one(struct tool_outbox *outbox)
{
    for (size_t at = 0; at < outbox->length; at += outbox->each) {
        size_t left = outbox->length - at;
        size_t length = left < outbox->each ? left : outbox->each;

        (void)send_bytes(outbox, outbox->bytes + at, length, length);
    }
}

void tool_outbox_send(struct tool_outbox *outbox)
{
    if (outbox->length == 0)
        return;
    if (outbox->one_by_one || outbox->length <= outbox->each) {
        send_one_by_one(outbox);
    } else if (send_bytes(outbox, outbox->bytes, outbox->length, outbox->each) < 0 &&
               errno != EAGAIN && errno != ECONNREFUSED && errno != ENOBUFS) {
        outbox->one_by_one = true;
        send_one_by_one(outbox);
    }
    outbox->length = 0;
}

static bool goes_with(const struct tool_outbox *outbox, int fd, const void *to, socklen_t to_length,
                      size_t length)
{
    return outbox->fd == fd && outbox->to_length == to_length && length <= outbox->each &&
           outbox->length + length <= TOOL_OUTBOX_DATAGRAMS * outbox->each &&
           (to_length == 0 || memcmp(&outbox->to, to, to_length) == 0);
}

void tool_outbox_put(struct tool_outbox *outbox, int fd, const void *to, socklen_t to_length,
                     const uint8_t *datagram, size_t length)
{
    if (length == 0 || length > FWR_RMCP_DATAGRAM_MAX || to_length > sizeof(outbox->to))
        return;
    if (outbox->length > 0 && !goes_with(outbox, fd, to, to_length, length))
        tool_outbox_send(outbox);
    if (outbox->length == 0) {
        outbox->fd = fd;
        outbox->to_length = to_length;
        if (to_length > 0)
            memcpy(&outbox->to, to, to_length);
        outbox->each = length;
    }
    memcpy(outbox->bytes + outbox->length, datagram, length);
    outbox->length += length;
    if (length < outbox->each)
        tool_outbox_send(outbox);
}
