/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFCOMM sockets: see rfcomm.h. The kernel's interface is a few numbers and one struct, which
 * are written down here, so that no header beyond the C library's is needed. Nothing here waits
 * or keeps any state.
 */
#include "config.h"

#include <fwrecover/rfcomm.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fwrecover/error.h>

/* Linux's numbers: part of its interface to programs, so they stay. */
#define FAMILY_BLUETOOTH 31
#define PROTOCOL_RFCOMM  3

/* The kernel's address of an RFCOMM socket: the last octet as it is written comes first. */
struct rfcomm_sockaddr {
    sa_family_t family;
    uint8_t octets[6];
    uint8_t channel;
};

/* ---- addresses ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One or two decimal digits and nothing behind them. */
static bool parse_channel(const char *text, uint8_t *channel)
{
    unsigned value = 0;
    size_t length = strlen(text);

    if (length < 1 || length > 2)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *channel = (uint8_t)value;
    return value >= 1 && value <= FWR_RFCOMM_CHANNEL_MAX;
}

int fwr_rfcomm_address_parse(const char *text, struct fwr_rfcomm_address *address)
{
    struct fwr_rfcomm_address read = {.channel = FWR_RFCOMM_CHANNEL_DEFAULT};

    for (size_t i = 0; i < sizeof(read.octets); i++) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);

        if (low < 0)
            return FWR_E_MALFORMED;
        read.octets[i] = (uint8_t)(high << 4 | low);
        text += 2;
        if (i + 1 < sizeof(read.octets) && *text++ != ':')
            return FWR_E_MALFORMED;
    }
    if (*text == '/' ? !parse_channel(text + 1, &read.channel) : *text != '\0')
        return FWR_E_MALFORMED;
    *address = read;
    return FWR_OK;
}

void fwr_rfcomm_address_print(const struct fwr_rfcomm_address *address, char text[FWR_RFCOMM_TEXT])
{
    const uint8_t *octet = address->octets;

    snprintf(text, FWR_RFCOMM_TEXT, "%02X:%02X:%02X:%02X:%02X:%02X/%u", octet[0], octet[1],
             octet[2], octet[3], octet[4], octet[5], address->channel % 100U);
}

static struct rfcomm_sockaddr to_kernel(const struct fwr_rfcomm_address *address)
{
    struct rfcomm_sockaddr kernel;

    memset(&kernel, 0, sizeof(kernel)); /* the padding too: it goes to the kernel */
    kernel.family = FAMILY_BLUETOOTH;
    kernel.channel = address->channel;
    for (size_t i = 0; i < sizeof(kernel.octets); i++)
        kernel.octets[i] = address->octets[sizeof(kernel.octets) - 1 - i];
    return kernel;
}

static void from_kernel(const struct rfcomm_sockaddr *kernel, struct fwr_rfcomm_address *address)
{
    address->channel = kernel->channel;
    for (size_t i = 0; i < sizeof(kernel->octets); i++)
        address->octets[i] = kernel->octets[sizeof(kernel->octets) - 1 - i];
}

/* ---- sockets ---- */

int fwr_rfcomm_error(int number)
{
    switch (number) {
    case 0:
        return FWR_OK;
    case EINPROGRESS:
    case EALREADY:
    case EAGAIN:
    case EINTR:
        return FWR_PENDING;
    case EAFNOSUPPORT: /* no Bluetooth at all; a container has none either */
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
        return FWR_E_NO_BLUETOOTH;
    case EHOSTUNREACH: /* what Linux says when no adapter that is up leads there */
    case EADDRNOTAVAIL:
    case ENETDOWN:
    case ENODEV:
        return FWR_E_ADAPTER;
    case EHOSTDOWN: /* the peer does not answer pages */
    case ECONNRESET:
    case ECONNABORTED:
    case ENETRESET:
    case ENOTCONN:
    case EPIPE:
    case ENOLINK:
        return FWR_E_UNREACHABLE;
    case ECONNREFUSED:
        return FWR_E_REFUSED;
    case ETIMEDOUT:
        return FWR_E_TIMEOUT;
    case EADDRINUSE:
    case EBUSY:
    case EMLINK:
    case EMFILE:
    case ENFILE:
        return FWR_E_BUSY;
    case EACCES:
    case EPERM:
        return FWR_E_ACCESS;
    case ENOMEM:
    case ENOBUFS:
        return FWR_E_MEMORY;
    default:
        return FWR_E_IO;
    }
}

static bool is_channel(uint8_t channel)
{
    return channel >= 1 && channel <= FWR_RFCOMM_CHANNEL_MAX;
}

static int bind_to(int fd, const struct fwr_rfcomm_address *local, uint8_t channel)
{
    struct rfcomm_sockaddr kernel = to_kernel(local);

    kernel.channel = channel;
    return bind(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) == 0 ? 0 : errno;
}

static int open_socket(int *fd)
{
    *fd = socket(FAMILY_BLUETOOTH, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, PROTOCOL_RFCOMM);
    return *fd >= 0 ? 0 : errno;
}

/* What began and did not work is undone here. */
static int finish(int number, int *fd)
{
    if (fwr_rfcomm_error(number) < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return fwr_rfcomm_error(number);
}

int fwr_rfcomm_listen(const struct fwr_rfcomm_address *local, int backlog, int *fd)
{
    int number;

    if (local == NULL || fd == NULL || !is_channel(local->channel) || backlog < 1)
        return FWR_E_ARGUMENT;
    number = open_socket(fd);
    if (number == 0)
        number = bind_to(*fd, local, local->channel);
    if (number == 0 && listen(*fd, backlog) != 0)
        number = errno;
    return finish(number, fd);
}

int fwr_rfcomm_accept(int listener, struct fwr_rfcomm_address *peer, int *fd)
{
    struct rfcomm_sockaddr kernel;
    socklen_t length = sizeof(kernel);

    memset(&kernel, 0, sizeof(kernel));
    *fd = accept(listener, (struct sockaddr *)&kernel, &length);
    if (*fd < 0) /* a peer that has left before it was taken is nobody */
        return errno == ECONNABORTED ? FWR_PENDING : fwr_rfcomm_error(errno);
    if (fcntl(*fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(*fd, F_SETFD, FD_CLOEXEC) != 0)
        return finish(errno, fd);
    from_kernel(&kernel, peer);
    return FWR_OK;
}

int fwr_rfcomm_connect(const struct fwr_rfcomm_address *local,
                       const struct fwr_rfcomm_address *peer, int *fd)
{
    struct rfcomm_sockaddr kernel;
    int number;

    if (peer == NULL || fd == NULL || !is_channel(peer->channel))
        return FWR_E_ARGUMENT;
    kernel = to_kernel(peer);
    number = open_socket(fd);
    if (number == 0 && local != NULL)
        number = bind_to(*fd, local, 0);
    if (number == 0 && connect(*fd, (const struct sockaddr *)&kernel, sizeof(kernel)) != 0)
        number = errno;
    return finish(number, fd);
}

int fwr_rfcomm_connected(int fd)
{
    struct pollfd handle = {.fd = fd, .events = POLLOUT};
    socklen_t length = sizeof(int);
    int number = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &length) != 0)
        return fwr_rfcomm_error(errno);
    if (number != 0)
        return fwr_rfcomm_error(number);
    if (poll(&handle, 1, 0) < 1)
        return FWR_PENDING;
    return handle.revents & (POLLERR | POLLHUP | POLLNVAL) ? FWR_E_UNREACHABLE : FWR_OK;
}

int fwr_rfcomm_dial(struct fwr_tty *tty, const struct fwr_rfcomm_address *local,
                    const struct fwr_rfcomm_address *peer)
{
    if (tty->fd >= 0)
        return fwr_rfcomm_connected(tty->fd);
    *tty = (struct fwr_tty){.fd = -1, .socket = true};
    return fwr_rfcomm_connect(local, peer, &tty->fd);
}
