/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests/e2e/bluetooth needs inside its virtual machine and no small package brings:
 *
 *   up NUMBER | down NUMBER          an adapter on, and to be found; off
 *   deaf NUMBER                      cannot be called, while what is connected remains
 *   cut NUMBER                       ends its connections, as a peer out of range would
 *   echo-listen ADDRESS/CHANNEL      sends one caller's bytes back, through fwrecover/rfcomm.h
 *   echo ADDRESS ADDRESS/CHANNEL N   calls it from an adapter, N times 45 bytes
 *   ask ADDRESS ADDRESS/CHANNEL N    asks for the device id in Basic Mode, prints "answered" or
 *                                    "turned away", and stays for N seconds
 *   noise ADDRESS ADDRESS/CHANNEL N  calls and sends N kilobytes of rubbish
 *   call ADDRESS ADDRESS/CHANNEL     calls and prints how that ended, by name
 *   pan-listen ADDRESS [N]           personal area network (BNEP): waits for a caller (N of them)
 *   pan ADDRESS ADDRESS              calls one from an adapter
 *
 * The last two agree with the other side as the PAN profile wants, hand the connection to the
 * kernel, and print the network interface that it has become; this outlives the program.
 * The kernel's interface is written down here rather than taken from a header.
 */
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): glibc reads it
#define _GNU_SOURCE /* memmem */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/rfcomm.h>

#define PATIENCE_MS 200000
#define ECHO_BYTES  45

enum {
    FAMILY_BLUETOOTH = 31,
    PROTOCOL_L2CAP = 0,
    PROTOCOL_HCI = 1,
    PROTOCOL_BNEP = 4,
    LEVEL_L2CAP = 6,
    L2CAP_OPTIONS = 1,
    SCAN_BOTH = 3, /* can be found, can be called */
    PSM_BNEP = 15,
    BNEP_MTU = 1691, /* an Ethernet frame and BNEP's own header, as the profile wants */
    BNEP_CONTROL = 0x01,
    BNEP_SETUP_REQUEST = 0x01,
    BNEP_SETUP_RESPONSE = 0x02,
    ROLE_USER = 0x1115,         /* PANU */
    ROLE_ACCESS_POINT = 0x1116, /* NAP */
};

#define HCI_UP    _IOW('H', 201, int)
#define HCI_DOWN  _IOW('H', 202, int)
#define HCI_INFO  _IOR('H', 211, int)
#define HCI_LINKS _IOR('H', 212, int)
#define HCI_SCAN  _IOW('H', 221, int)
#define BNEP_ADD  _IOW('B', 200, int)

struct hci_request {
    uint16_t adapter;
    uint32_t option;
};

/* The start of the kernel's answer, and room for the rest. */
struct hci_info {
    uint16_t adapter;
    char name[8];
    uint8_t octets[6];
    uint8_t rest[240];
};

struct hci_link {
    uint16_t handle;
    uint8_t octets[6];
    uint8_t kind, outgoing;
    uint16_t state;
    uint32_t mode;
};

struct hci_links {
    uint16_t adapter, count;
    struct hci_link links[8];
};

struct hci_sockaddr {
    sa_family_t family;
    uint16_t adapter;
    uint16_t channel;
};

struct l2cap_sockaddr {
    sa_family_t family;
    uint16_t psm; /* little-endian */
    uint8_t octets[6];
    uint16_t channel;
    uint8_t kind;
};

struct l2cap_options {
    uint16_t out_mtu, in_mtu, flush_timeout;
    uint8_t mode, checksum, max_transmit;
    uint16_t window;
};

struct bnep_add {
    int socket;
    uint32_t flags;
    uint16_t role;
    char device[16];
};

static int system_failure(const char *doing)
{
    fprintf(stderr, "bluetooth_node: %s: %s\n", doing, strerror(errno));
    return 1;
}

static int library_failure(const char *doing, int error)
{
    fprintf(stderr, "bluetooth_node: %s: %s (%s)\n", doing, fwr_error_text(error),
            fwr_error_name(error));
    return 1;
}

static double now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static bool await(int fd, short events)
{
    struct pollfd handle = {.fd = fd, .events = events};

    return poll(&handle, 1, PATIENCE_MS) == 1;
}

/* ---- adapters ---- */

enum order { UP, DOWN, DEAF };

static int adapter(const char *number, enum order order)
{
    struct hci_info info = {.adapter = (uint16_t)strtoul(number, NULL, 10)};
    struct hci_request scan = {info.adapter, order == DEAF ? 0 : SCAN_BOTH};
    int fd = socket(FAMILY_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, PROTOCOL_HCI);

    if (fd < 0)
        return system_failure("the adapters' socket");
    if (order == DOWN)
        return ioctl(fd, HCI_DOWN, (unsigned long)info.adapter) == 0
                   ? 0
                   : system_failure("switching an adapter off");
    if (order == UP && ioctl(fd, HCI_UP, (unsigned long)info.adapter) != 0 && errno != EALREADY)
        return system_failure("switching an adapter on");
    if (ioctl(fd, HCI_SCAN, &scan) != 0 || ioctl(fd, HCI_INFO, &info) != 0)
        return system_failure("setting an adapter up");
    for (int i = 5; i >= 0; i--)
        printf("%02X%s", info.octets[i], i > 0 ? ":" : "\n");
    return 0;
}

/* Gives the controller an order of its own, beside the kernel's. */
static int disconnect(int fd, uint16_t handle)
{
    const uint8_t order[] = {1, 0x06, 0x04, 3, handle & 255, (uint8_t)(handle >> 8), 0x13};

    return write(fd, order, sizeof(order)) == sizeof(order) ? 0 : -1;
}

static int cut(const char *number)
{
    struct hci_sockaddr address = {FAMILY_BLUETOOTH, (uint16_t)strtoul(number, NULL, 10), 0};
    int fd = socket(FAMILY_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, PROTOCOL_HCI);
    struct hci_links links = {.count = 1};
    double end = now_ms() + PATIENCE_MS;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return system_failure("the adapter's socket");
    for (bool told = false; now_ms() < end; told = true, usleep(10000)) {
        links = (struct hci_links){.adapter = address.adapter, .count = 8};
        if (ioctl(fd, HCI_LINKS, &links) != 0)
            return system_failure("asking for the adapter's connections");
        if (links.count == 0)
            return 0;
        for (uint16_t i = 0; i < links.count && !told; i++) {
            if (disconnect(fd, links.links[i].handle) != 0)
                return system_failure("ending a connection");
        }
    }
    fprintf(stderr, "bluetooth_node: the connections do not end\n");
    return 1;
}

/* ---- RFCOMM, through the library ---- */

static int send_all(int fd, const char *data, ssize_t length)
{
    while (length > 0) {
        ssize_t sent = await(fd, POLLOUT) ? send(fd, data, (size_t)length, MSG_NOSIGNAL) : -1;

        if (sent < 0 && errno != EAGAIN)
            return -1;
        data += sent > 0 ? sent : 0;
        length -= sent > 0 ? sent : 0;
    }
    return 0;
}

static int echo_listen(const char *text)
{
    struct fwr_rfcomm_address local, peer;
    char buffer[1024], caller[FWR_RFCOMM_TEXT];
    int listener, fd, error = fwr_rfcomm_address_parse(text, &local);
    ssize_t length;

    if (error == FWR_OK)
        error = fwr_rfcomm_listen(&local, 1, &listener);
    if (error == FWR_OK)
        error = await(listener, POLLIN) ? fwr_rfcomm_accept(listener, &peer, &fd) : FWR_E_TIMEOUT;
    if (error != FWR_OK)
        return library_failure("listening", error);
    fwr_rfcomm_address_print(&peer, caller);
    printf("called by %s\n", caller);
    while (await(fd, POLLIN) && (length = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
        if (send_all(fd, buffer, length) != 0)
            return system_failure("answering");
    }
    return 0;
}

static int call(const char *from, const char *to, int *fd)
{
    struct fwr_rfcomm_address local, peer;
    int error = fwr_rfcomm_address_parse(from, &local);

    if (error == FWR_OK)
        error = fwr_rfcomm_address_parse(to, &peer);
    if (error == FWR_OK)
        error = fwr_rfcomm_connect(&local, &peer, fd);
    while (error == FWR_PENDING)
        error = await(*fd, POLLOUT) ? fwr_rfcomm_connected(*fd) : FWR_E_TIMEOUT;
    return error;
}

static int echo(const char *from, const char *to, const char *times)
{
    unsigned count = (unsigned)strtoul(times, NULL, 10);
    double begun = now_ms(), connected;
    int fd, error = call(from, to, &fd);

    if (error != FWR_OK)
        return library_failure("calling", error);
    connected = now_ms();
    for (unsigned i = 0; i < count; i++) {
        char out[ECHO_BYTES], in[ECHO_BYTES];
        size_t have = 0;

        for (size_t at = 0; at < sizeof(out); at++)
            out[at] = (char)(i * 7 + at * 11);
        if (send_all(fd, out, sizeof(out)) != 0)
            return system_failure("sending");
        while (have < sizeof(in)) {
            ssize_t length = await(fd, POLLIN) ? recv(fd, in + have, sizeof(in) - have, 0) : -1;

            if (length <= 0)
                return system_failure("receiving");
            have += (size_t)length;
        }
        if (memcmp(in, out, sizeof(in)) != 0) {
            fprintf(stderr, "bluetooth_node: echo %u differs\n", i);
            return 1;
        }
    }
    printf("connected in %.1f ms, %u echoes of %d bytes, %.2f ms each\n", connected - begun, count,
           ECHO_BYTES, (now_ms() - connected) / count);
    return 0;
}

static int ask(const char *from, const char *to, const char *seconds)
{
    static const uint8_t request[] = {0xa0, 0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7a, 0xa5};
    static const uint8_t answer[] = {0xa0, 0x81, 0x1c, 0x63, 0x20, 0x04, 0x01, 0x00};
    char got[256];
    size_t have = 0;
    int fd, error = call(from, to, &fd);

    if (error == FWR_E_UNREACHABLE) { /* so quickly that the call was not seen to succeed */
        printf("turned away\n");
        return 0;
    }
    if (error != FWR_OK)
        return library_failure("calling", error);
    (void)send_all(fd, (const char *)request, sizeof(request));
    while (have < sizeof(got)) {
        ssize_t length = await(fd, POLLIN) ? recv(fd, got + have, sizeof(got) - have, 0) : -1;

        if (length <= 0) {
            printf("turned away\n");
            return 0;
        }
        have += (size_t)length;
        if (memmem(got, have, answer, sizeof(answer)) != NULL) {
            printf("answered\n");
            sleep((unsigned)strtoul(seconds, NULL, 10));
            return 0;
        }
    }
    fprintf(stderr, "bluetooth_node: this is no answer\n");
    return 1;
}

static int noise(const char *from, const char *to, const char *kilobytes)
{
    unsigned long left = strtoul(kilobytes, NULL, 10);
    int fd, error = call(from, to, &fd);
    uint32_t state = 1;

    for (; error == FWR_OK && left > 0; left--) {
        char rubbish[1024];

        for (size_t i = 0; i < sizeof(rubbish); i++) {
            state = state * 1664525 + 1013904223;
            /* Starts of frames, escapes and ends are many, so that some look like frames. */
            rubbish[i] = (char)(state >> 28 == 0 ? 0xa0 + (state >> 24) % 12 : state >> 20);
        }
        if (send_all(fd, rubbish, sizeof(rubbish)) != 0)
            return system_failure("sending rubbish");
    }
    return error == FWR_OK ? 0 : library_failure("calling", error);
}

static int call_only(const char *from, const char *to)
{
    int fd = -1;

    printf("%s\n", fwr_error_name(call(from, to, &fd)));
    return 0;
}

/* ---- personal area network ---- */

static struct l2cap_sockaddr bnep_address(const char *text)
{
    struct fwr_rfcomm_address read = {.channel = 0};
    struct l2cap_sockaddr address;

    memset(&address, 0, sizeof(address));
    address.family = FAMILY_BLUETOOTH;
    if (fwr_rfcomm_address_parse(text, &read) != FWR_OK)
        fprintf(stderr, "bluetooth_node: %s: not an address\n", text);
    for (int i = 0; i < 6; i++)
        address.octets[i] = read.octets[5 - i];
    return address;
}

static int bnep_socket(const char *local, uint16_t psm)
{
    struct l2cap_sockaddr address = bnep_address(local);
    struct l2cap_options options;
    socklen_t size = sizeof(options);
    int fd = socket(FAMILY_BLUETOOTH, SOCK_SEQPACKET | SOCK_CLOEXEC, PROTOCOL_L2CAP);

    address.psm = psm;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockopt(fd, LEVEL_L2CAP, L2CAP_OPTIONS, &options, &size) != 0)
        return -1;
    options.in_mtu = options.out_mtu = BNEP_MTU;
    return setsockopt(fd, LEVEL_L2CAP, L2CAP_OPTIONS, &options, size) == 0 ? fd : -1;
}

/* From here on the connection carries Ethernet frames of an interface, which keeps it. */
static int become_interface(int fd, uint16_t role)
{
    struct bnep_add add = {.socket = fd, .role = role};
    int control = socket(FAMILY_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, PROTOCOL_BNEP);

    if (control < 0 || ioctl(control, BNEP_ADD, &add) != 0)
        return system_failure("making an interface of the connection");
    printf("%.16s\n", add.device);
    fflush(stdout);
    close(control);
    close(fd);
    return 0;
}

static int pan_answer(int fd)
{
    static const uint8_t success[] = {BNEP_CONTROL, BNEP_SETUP_RESPONSE, 0, 0};
    uint8_t request[64];
    ssize_t length = await(fd, POLLIN) ? recv(fd, request, sizeof(request), 0) : -1;

    /* Type, order, the length of a service's number, and the two numbers: ours, the caller's. */
    if (length != 7 || request[0] != BNEP_CONTROL || request[1] != BNEP_SETUP_REQUEST ||
        request[2] != 2 || (request[3] << 8 | request[4]) != ROLE_ACCESS_POINT) {
        fprintf(stderr, "bluetooth_node: this is no setup request\n");
        return 1;
    }
    if (send(fd, success, sizeof(success), MSG_NOSIGNAL) != sizeof(success))
        return system_failure("answering the setup request");
    return become_interface(fd, ROLE_ACCESS_POINT);
}

static int pan_listen(const char *local, const char *times)
{
    int listener = bnep_socket(local, PSM_BNEP);

    if (listener < 0 || listen(listener, 1) != 0)
        return system_failure("listening for a network connection");
    for (unsigned long left = strtoul(times, NULL, 10); left > 0; left--) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            return system_failure("taking a network connection");
        if (pan_answer(fd) != 0)
            return 1;
    }
    return 0;
}

static int pan(const char *local, const char *peer)
{
    static const uint8_t request[] = {
        BNEP_CONTROL,   BNEP_SETUP_REQUEST, 2, ROLE_ACCESS_POINT >> 8, ROLE_ACCESS_POINT & 255,
        ROLE_USER >> 8, ROLE_USER & 255};
    struct l2cap_sockaddr address = bnep_address(peer);
    uint8_t answer[64];
    int fd = bnep_socket(local, 0);
    ssize_t length;

    address.psm = PSM_BNEP;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return system_failure("calling for a network connection");
    if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
        return system_failure("asking for a network connection");
    length = await(fd, POLLIN) ? recv(fd, answer, sizeof(answer), 0) : -1;
    if (length != 4 || answer[0] != BNEP_CONTROL || answer[1] != BNEP_SETUP_RESPONSE ||
        (answer[2] << 8 | answer[3]) != 0) {
        fprintf(stderr, "bluetooth_node: the peer does not want a network connection\n");
        return 1;
    }
    return become_interface(fd, ROLE_USER);
}

int main(int argc, char **argv)
{
    const char *order = argc > 1 ? argv[1] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(order, "up") == 0)
        return adapter(argv[2], UP);
    if (argc == 3 && strcmp(order, "down") == 0)
        return adapter(argv[2], DOWN);
    if (argc == 3 && strcmp(order, "deaf") == 0)
        return adapter(argv[2], DEAF);
    if (argc == 3 && strcmp(order, "cut") == 0)
        return cut(argv[2]);
    if (argc == 3 && strcmp(order, "echo-listen") == 0)
        return echo_listen(argv[2]);
    if (argc == 5 && strcmp(order, "echo") == 0)
        return echo(argv[2], argv[3], argv[4]);
    if (argc == 5 && strcmp(order, "ask") == 0)
        return ask(argv[2], argv[3], argv[4]);
    if (argc == 5 && strcmp(order, "noise") == 0)
        return noise(argv[2], argv[3], argv[4]);
    if (argc == 4 && strcmp(order, "call") == 0)
        return call_only(argv[2], argv[3]);
    if (argc >= 3 && strcmp(order, "pan-listen") == 0)
        return pan_listen(argv[2], argc > 3 ? argv[3] : "1");
    if (argc == 4 && strcmp(order, "pan") == 0)
        return pan(argv[2], argv[3]);
    fprintf(stderr, "bluetooth_node: see the head of its source\n");
    return 2;
}
