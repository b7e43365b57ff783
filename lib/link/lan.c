/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces and UDP sockets: see lan.h. Called by programs that join sockets to links; keeps
 * nothing between two calls, and sends nothing.
 */
#include <fwrecover/lan.h>

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#define SOCKET_BUFFERS   (1 << 20) /* a window of replies to each of many peers */
#define INTERFACES_MAX   32        /* of those that one stands on, looked at */
#define PATH_SIZE        512
#define IPV4_OVERHEAD    28 /* IP and UDP headers */
#define IPV6_OVERHEAD    48
#define DATAGRAM_MIN     200 /* of less, no session could be opened */
#define TYPE_IEEE80211   801 /* interface types (ARPHRD_…) of wireless ones without Ethernet */
#define TYPE_IEEE80211_P 803

/* ---- the medium ---- */

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat status;

    return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
           stat(path, &status) == 0;
}

/* The text of a small file of sysfs; empty when there is none. */
static void read_text(const char *folder, const char *name, char *text, size_t size)
{
    char path[PATH_SIZE];
    FILE *file;
    size_t length = 0;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
        (file = fopen(path, "re")) != NULL) {
        length = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[length] = '\0';
}

/* What the interface itself is, whatever it stands on. */
static enum fwr_medium own_medium(const char *folder, const char *interface)
{
    char text[256];
    long type;

    read_text(folder, "type", text, sizeof(text));
    type = strtol(text, NULL, 10);
    read_text(folder, "uevent", text, sizeof(text));
    if (is_there(folder, "wireless") || is_there(folder, "phy80211") ||
        strstr(text, "DEVTYPE=wlan\n") != NULL ||
        (type >= TYPE_IEEE80211 && type <= TYPE_IEEE80211_P))
        return FWR_MEDIUM_WLAN;
    if (strstr(text, "DEVTYPE=bluetooth\n") != NULL || strncmp(interface, "bnep", 4) == 0)
        return FWR_MEDIUM_BLUETOOTH;
    return FWR_MEDIUM_LAN;
}

/* The interfaces still to be looked at: one, and what it stands on, and so on. */
struct stack {
    unsigned count; /* ever put there */
    char names[INTERFACES_MAX][FWR_LAN_NAME_MAX];
};

static void put(struct stack *stack, const char *name)
{
    size_t length = strlen(name);

    if (stack->count == INTERFACES_MAX || length == 0 || length >= FWR_LAN_NAME_MAX ||
        name[0] == '.' || strchr(name, '/') != NULL)
        return;
    memcpy(stack->names[stack->count++], name, length + 1);
}

/* Puts what the interface stands on, too. */
static int look_at(const char *sysfs, const char *interface, struct stack *stack,
                   enum fwr_medium *worst)
{
    static const char prefix[] = "lower_";
    char folder[PATH_SIZE];
    const struct dirent *entry;
    enum fwr_medium own;
    DIR *dir = NULL;

    if (snprintf(folder, sizeof(folder), "%s/class/net/%s", sysfs, interface) >=
            (int)sizeof(folder) ||
        (dir = opendir(folder)) == NULL)
        return FWR_E_INTERFACE;
    own = own_medium(folder, interface);
    if (own > *worst)
        *worst = own;
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) == 0)
            put(stack, entry->d_name + sizeof(prefix) - 1);
    closedir(dir);
    return FWR_OK;
}

int fwr_lan_medium(const char *sysfs, const char *interface, enum fwr_medium *medium)
{
    struct stack stack = {.count = 0};

    *medium = FWR_MEDIUM_LAN;
    put(&stack, interface);
    if (stack.count == 0 ||
        look_at(sysfs != NULL ? sysfs : "/sys", interface, &stack, medium) != FWR_OK)
        return FWR_E_INTERFACE;
    for (unsigned i = 1; i < stack.count; i++) /* what is not there any more is passed over */
        look_at(sysfs != NULL ? sysfs : "/sys", stack.names[i], &stack, medium);
    return FWR_OK;
}

/* ---- interfaces ---- */

/* What the kernel tells by ioctl: flags and MTU. */
static int ask_kernel(struct fwr_lan_interface *interface)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request;
    int error = FWR_OK;

    if (fd < 0)
        return FWR_E_IO;
    memset(&request, 0, sizeof(request));
    memcpy(request.ifr_name, interface->name, sizeof(interface->name));
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        const unsigned flags = (unsigned short)request.ifr_flags;

        interface->up = (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
        interface->loopback = (flags & IFF_LOOPBACK) != 0;
    } else {
        error = errno == ENODEV ? FWR_E_INTERFACE : FWR_E_IO;
    }
    if (error == FWR_OK && ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0)
        interface->mtu = (uint32_t)request.ifr_mtu;
    close(fd);
    return error;
}

static void take_ipv4(uint8_t bytes[4], const struct sockaddr *address)
{
    struct sockaddr_in ipv4;

    if (address == NULL)
        return;
    memcpy(&ipv4, address, sizeof(ipv4));
    memcpy(bytes, &ipv4.sin_addr, 4);
}

static bool is_ipv4(const struct ifaddrs *one)
{
    return one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET;
}

static void take_networks(struct fwr_lan_interface *interface, const struct ifaddrs *all)
{
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        struct fwr_lan_network *network = &interface->networks[interface->network_count];
        /* An address under another label is the interface's all the same. */
        size_t length = strcspn(one->ifa_name, ":");

        if (!is_ipv4(one) || interface->network_count == FWR_LAN_NETWORKS_MAX ||
            length != strlen(interface->name) ||
            memcmp(one->ifa_name, interface->name, length) != 0)
            continue;
        take_ipv4(network->address, one->ifa_addr);
        take_ipv4(network->mask, one->ifa_netmask);
        if ((one->ifa_flags & IFF_BROADCAST) != 0)
            take_ipv4(network->broadcast, one->ifa_broadaddr);
        interface->network_count++;
    }
}

int fwr_lan_interface_get(const char *name, struct fwr_lan_interface *found)
{
    enum fwr_medium medium;
    struct ifaddrs *all;
    int error;

    memset(found, 0, sizeof(*found));
    if (name[0] == '\0' || strlen(name) >= sizeof(found->name))
        return FWR_E_INTERFACE;
    memcpy(found->name, name, strlen(name));
    error = ask_kernel(found);
    if (error != FWR_OK)
        return error;
    fwr_lan_medium(NULL, name, &medium);
    found->medium = (uint8_t)medium;
    if (getifaddrs(&all) != 0)
        return FWR_E_IO;
    take_networks(found, all);
    freeifaddrs(all);
    return FWR_OK;
}

int fwr_lan_interface_of(const uint8_t address[4], struct fwr_lan_interface *found)
{
    char name[FWR_LAN_NAME_MAX] = "";
    struct ifaddrs *all;

    if (getifaddrs(&all) != 0)
        return FWR_E_IO;
    for (const struct ifaddrs *one = all; one != NULL && name[0] == '\0'; one = one->ifa_next) {
        size_t length = strcspn(one->ifa_name, ":");
        uint8_t own[4];

        if (!is_ipv4(one) || length >= sizeof(name))
            continue;
        take_ipv4(own, one->ifa_addr);
        if (memcmp(own, address, sizeof(own)) == 0)
            memcpy(name, one->ifa_name, length);
    }
    freeifaddrs(all);
    return fwr_lan_interface_get(name, found);
}

size_t fwr_lan_broadcasters(char (*names)[FWR_LAN_NAME_MAX], size_t capacity)
{
    const unsigned wanted = IFF_UP | IFF_RUNNING | IFF_BROADCAST;
    struct ifaddrs *all;
    size_t count = 0;

    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *one = all; one != NULL && count < capacity; one = one->ifa_next) {
        size_t length = strcspn(one->ifa_name, ":");
        bool known = false;

        if (!is_ipv4(one) || length >= FWR_LAN_NAME_MAX ||
            (one->ifa_flags & (wanted | IFF_LOOPBACK)) != wanted)
            continue;
        for (size_t i = 0; i < count; i++)
            known |= strlen(names[i]) == length && memcmp(names[i], one->ifa_name, length) == 0;
        if (known)
            continue;
        memset(names[count], 0, FWR_LAN_NAME_MAX);
        memcpy(names[count++], one->ifa_name, length);
    }
    freeifaddrs(all);
    return count;
}

bool fwr_lan_is_near(const struct fwr_lan_interface *interface, const uint8_t address[4])
{
    for (uint8_t i = 0; i < interface->network_count; i++) {
        const struct fwr_lan_network *network = &interface->networks[i];
        uint8_t differs = 0;

        for (unsigned byte = 0; byte < 4; byte++)
            differs |= (network->address[byte] ^ address[byte]) & network->mask[byte];
        if (differs == 0)
            return true;
    }
    return false;
}

/* ---- sockets ---- */

int fwr_lan_error(int number)
{
    switch (number) {
    case ENODEV:
    case ENXIO:
    case ENETDOWN:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return FWR_E_INTERFACE;
    case EPERM:
    case EACCES:
        return FWR_E_ACCESS;
    case EADDRINUSE:
        return FWR_E_BUSY;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return FWR_E_UNSUPPORTED;
    case ENOMEM:
    case ENOBUFS:
        return FWR_E_MEMORY;
    default:
        return FWR_E_IO;
    }
}

/* FWR_OK, or an error with errno. */
static int bind_to_interface(int fd, const char *interface)
{
#ifdef SO_BINDTODEVICE
    struct ifreq request;
    size_t length = strlen(interface);

    memset(&request, 0, sizeof(request));
    if (length >= sizeof(request.ifr_name)) {
        errno = ENODEV;
        return FWR_E_ARGUMENT;
    }
    memcpy(request.ifr_name, interface, length);
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)length + 1) != 0)
        return fwr_lan_error(errno);
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0) {
        errno = ENETDOWN;
        return FWR_E_INTERFACE;
    }
    return FWR_OK;
#else
    (void)fd, (void)interface;
    errno = ENOPROTOOPT;
    return FWR_E_UNSUPPORTED;
#endif
}

static void close_quietly(int *fd)
{
    int number = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = number;
}

static int open_socket(int *fd, int family, const char *interface)
{
    int size = SOCKET_BUFFERS, one = 1;
    int error = FWR_OK;

    *fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return fwr_lan_error(errno);
    /* Smaller buffers than asked for only lose a little speed. */
    setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(*fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (family == AF_INET6)
        setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (interface != NULL && interface[0] != '\0')
        error = bind_to_interface(*fd, interface);
    if (error != FWR_OK)
        close_quietly(fd);
    return error;
}

int fwr_lan_connect(int *fd, const struct sockaddr *address, socklen_t length,
                    const char *interface)
{
    int error = open_socket(fd, address->sa_family, interface);

    if (error == FWR_OK && connect(*fd, address, length) != 0) {
        error = fwr_lan_error(errno);
        close_quietly(fd);
    }
    return error;
}

int fwr_lan_bind(int *fd, const struct sockaddr *address, socklen_t length, const char *interface)
{
    int error = open_socket(fd, address->sa_family, interface);

    if (error == FWR_OK && bind(*fd, address, length) != 0) {
        error = fwr_lan_error(errno);
        close_quietly(fd);
    }
    return error;
}

int fwr_lan_open_broadcast(int *fd, const char *interface)
{
    int one = 1;
    int error = open_socket(fd, AF_INET, interface);

    if (error == FWR_OK && setsockopt(*fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) != 0) {
        error = fwr_lan_error(errno);
        close_quietly(fd);
    }
    return error;
}

uint16_t fwr_lan_datagram(int family, uint32_t mtu)
{
    uint32_t overhead = family == AF_INET6 ? IPV6_OVERHEAD : IPV4_OVERHEAD;
    uint16_t most = family == AF_INET6 ? FWR_RMCP_DATAGRAM_IPV6 : FWR_RMCP_DATAGRAM_IPV4;

    if (mtu == 0 || mtu >= most + overhead)
        return most;
    return mtu < DATAGRAM_MIN + overhead ? DATAGRAM_MIN : (uint16_t)(mtu - overhead);
}
