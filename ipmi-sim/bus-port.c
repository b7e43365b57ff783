/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptys of the bus program, see icmb-bus.h. Each is a UART with a long queue: what is written
 * is taken from the kernel at once, because a flush by its owner reaches our queue only; what
 * nobody reads is lost. While nobody has it open the node is away: it sends and hears nothing.
 */
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): glibc reads it
#define _GNU_SOURCE /* ptsname_r */
#include "ipmi-sim/icmb-bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool fail(const char *what)
{
    fprintf(stderr, "fwrecover_icmb_bus: %s: %s\n", what, strerror(errno));
    return false;
}

/* Raw, and empty: for the next one to open it. */
static bool make_ready(const struct bus_port *port)
{
    struct termios t;
    int fd = open(port->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
    bool ok;

    if (fd < 0)
        return fail(port->slave);
    ok = tcgetattr(fd, &t) == 0;
    cfmakeraw(&t);
    t.c_cflag |= CLOCAL | CREAD;
    ok = ok && tcsetattr(fd, TCSANOW, &t) == 0 && tcflush(fd, TCIFLUSH) == 0;
    if (!ok)
        fail(port->slave);
    close(fd);
    return ok;
}

static bool make_link(struct bus *bus, struct bus_port *port, unsigned node)
{
    struct stat status;

    if (bus->link == NULL)
        return true;
    int length = snprintf(port->link, sizeof(port->link), "%s/node%u", bus->link, node);
    if (length < 0 || (size_t)length >= sizeof(port->link)) {
        port->link[0] = 0;
        errno = ENAMETOOLONG;
        return fail(bus->link);
    }
    /* One that an earlier run left; anything else is not ours to remove. */
    if (lstat(port->link, &status) == 0 && S_ISLNK(status.st_mode))
        unlink(port->link);
    if (symlink(port->slave, port->link) == 0)
        return true;
    fail(port->link);
    port->link[0] = 0;
    return false;
}

static bool port_open(struct bus *bus, unsigned node)
{
    struct bus_port *port = &bus->ports[node];
    int on = 1;

    port->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (port->master < 0)
        return fail("a pty");
    if (grantpt(port->master) != 0 || unlockpt(port->master) != 0 ||
        ptsname_r(port->master, port->slave, sizeof(port->slave)) != 0)
        return fail("a pty");
    /* In packet mode we are told of a flush. */
    if (ioctl(port->master, TIOCPKT, &on) != 0)
        return fail("a pty");
    if (!make_ready(port) || !make_link(bus, port, node))
        return false;
    printf("node%u %s%s%s\n", node, port->slave, port->link[0] ? " " : "", port->link);
    return true;
}

bool bus_ports_open(struct bus *bus)
{
    if (bus->link != NULL && mkdir(bus->link, 0755) != 0 && errno != EEXIST)
        return fail(bus->link);
    for (unsigned i = 0; i < bus->nodes; i++)
        bus->ports[i].master = -1;
    for (unsigned i = 0; i < bus->nodes; i++)
        if (!port_open(bus, i))
            return false;
    return true;
}

void bus_ports_close(struct bus *bus)
{
    char target[sizeof(bus->ports[0].slave)];

    for (unsigned i = 0; i < bus->nodes; i++) {
        struct bus_port *port = &bus->ports[i];
        ssize_t length = port->link[0] ? readlink(port->link, target, sizeof(target)) : -1;
        if (length > 0 && (size_t)length == strlen(port->slave) &&
            memcmp(target, port->slave, (size_t)length) == 0)
            unlink(port->link);
        if (port->master >= 0)
            close(port->master);
    }
}

static bool wants_more(const struct bus *bus, unsigned node)
{
    return wire_room(&bus->wire, (uint16_t)node) > 0 || bus->wire.nodes[node].stuck != WIRE_FREE;
}

nfds_t bus_ports_watch(const struct bus *bus, struct pollfd *fds)
{
    nfds_t count = 0;

    for (unsigned i = 0; i < bus->nodes; i++)
        if (bus->ports[i].open)
            fds[count++] =
                (struct pollfd){.fd = bus->ports[i].master,
                                .events = wants_more(bus, i) ? POLLIN | POLLPRI : POLLPRI};
    return count;
}

bool bus_ports_missing(const struct bus *bus)
{
    for (unsigned i = 0; i < bus->nodes; i++)
        if (!bus->ports[i].open)
            return true;
    return false;
}

/* One read: a byte that says what happened, or 0 and characters, of which a stuck node sends
 * none. False when there is no more. */
static bool take(struct bus *bus, unsigned node)
{
    uint8_t bytes[1 + WIRE_QUEUE];
    bool stuck = bus->wire.nodes[node].stuck != WIRE_FREE;
    size_t most = stuck ? WIRE_QUEUE : wire_room(&bus->wire, (uint16_t)node);
    ssize_t length = read(bus->ports[node].master, bytes, 1 + most);

    if (length < 1)
        return false;
    if (bytes[0] & TIOCPKT_FLUSHWRITE)
        wire_flush(&bus->wire, (uint16_t)node);
    else if (bytes[0] == TIOCPKT_DATA && length > 1)
        wire_send(&bus->wire, bus->now_us, (uint16_t)node, bytes + 1, (size_t)length - 1);
    return true;
}

/* What was written before the closing is still sent. */
static void go_away(struct bus *bus, unsigned node)
{
    struct bus_port *port = &bus->ports[node];

    while (wants_more(bus, node) && take(bus, node))
        ;
    port->open = false;
    port->waiting = 0;
    make_ready(port);
}

void bus_ports_read(struct bus *bus)
{
    struct pollfd fds[BUS_NODES_MAX];

    for (unsigned i = 0; i < bus->nodes; i++)
        fds[i] = (struct pollfd){.fd = bus->ports[i].master, .events = POLLIN | POLLPRI};
    if (poll(fds, bus->nodes, 0) < 0)
        return;
    for (unsigned i = 0; i < bus->nodes; i++) {
        struct bus_port *port = &bus->ports[i];
        bool hung = (fds[i].revents & POLLHUP) != 0;
        if (!hung && !port->open) {
            port->open = true;
            port->openings++;
        }
        if (hung && port->open)
            go_away(bus, i);
        else if ((fds[i].revents & POLLPRI) || ((fds[i].revents & POLLIN) && wants_more(bus, i)))
            take(bus, i);
    }
}

void bus_port_heard(struct bus *bus, const struct wire_heard *heard)
{
    struct bus_port *port = &bus->ports[heard->node];

    if (!port->open)
        return;
    if (port->waiting == sizeof(port->out))
        bus_ports_write(bus);
    port->out[port->waiting++] = heard->value;
}

void bus_ports_write(struct bus *bus)
{
    for (unsigned i = 0; i < bus->nodes; i++) {
        struct bus_port *port = &bus->ports[i];
        if (port->waiting == 0)
            continue;
        ssize_t length = write(port->master, port->out, port->waiting);
        port->overruns += port->waiting - (length > 0 ? (size_t)length : 0);
        port->waiting = 0;
    }
}
