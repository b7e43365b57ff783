/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RMCP+ responder on a socket. Answers at once or not at all: nothing is queued here, a
 * peer that hears nothing asks again.
 */
#include "tools/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <openssl/evp.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/json.h"
#include "tools/say.h"

#define DATAGRAMS_A_TURN  64 /* then the donor has its step */
#define CC_UNKNOWN        0xc1
#define DATAGRAM_CAPACITY 2048 /* longer ones are cut, and then not authentic */

/* The same for the same machine, and tells nothing about it. */
static void machine_guid(uint8_t guid[FWR_RMCP_GUID_SIZE])
{
    char seed[128] = "fwrecover-guid-1";
    uint8_t digest[32];
    FILE *file = fopen("/etc/machine-id", "r");

    if (file != NULL) {
        size_t used = strlen(seed);

        seed[used + fread(seed + used, 1, sizeof(seed) - used - 1, file)] = '\0';
        fclose(file);
    }
    if (EVP_Digest(seed, strlen(seed), digest, NULL, EVP_sha256(), NULL) != 1)
        memset(digest, 0, sizeof(digest));
    memcpy(guid, digest, FWR_RMCP_GUID_SIZE);
}

int tool_sessions_init(struct tool_sessions *sessions, const char *user,
                       const struct tool_list *suites, uint32_t iana,
                       const struct fwr_platform *platform)
{
    struct fwr_rmcp_responder_config *config = &sessions->config;

    config->suite_sha256 = suites->count == 0;
    for (size_t i = 0; i < suites->count; i++) {
        if (strcmp(suites->items[i], "17") == 0)
            config->suite_sha256 = true;
        else if (strcmp(suites->items[i], "3") == 0)
            config->suite_sha1 = true;
        else
            return tool_usage("--suite %s: not 3 or 17", suites->items[i]);
    }
    if (user[0] == '\0' || strlen(user) > FWR_RMCP_USER_MAX)
        return tool_usage("--user: 1 to %d characters", FWR_RMCP_USER_MAX);
    sessions->user = (struct fwr_rmcp_user){
        .name = user,
        .name_length = (uint8_t)strlen(user),
        .password = sessions->password.bytes,
        .password_length = sessions->password.length,
        /* ipmitool asks for ADMIN unless told otherwise, and whoever runs this is the one. */
        .privilege = FWR_PRIVILEGE_ADMIN,
        .suite_sha1 = config->suite_sha1,
        .suite_sha256 = config->suite_sha256,
    };
    config->size = sizeof(*config);
    config->platform = platform;
    config->users = &sessions->user;
    config->user_count = 1;
    config->kg = sessions->kg.length > 0 ? sessions->kg.bytes : NULL;
    config->kg_length = sessions->kg.length;
    config->device.firmware_major = FWR_VERSION_MAJOR;
    config->device.firmware_minor = FWR_VERSION_MINOR;
    config->device.manufacturer = iana;
    machine_guid(config->guid);
    return TOOL_OK;
}

void tool_sessions_wipe(struct tool_sessions *sessions)
{
    tool_secret_wipe(&sessions->password);
    tool_secret_wipe(&sessions->kg);
}

static void listener_close(struct tool_listener *listener)
{
    fwr_rmcp_responder_end(listener->responder);
    free(listener->storage);
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->broadcast_fd >= 0)
        close(listener->broadcast_fd);
    listener->responder = NULL;
    listener->storage = NULL;
    listener->fd = listener->broadcast_fd = -1;
}

/* A socket bound to one address hears no broadcasts; so another one listens for presence pings at
 * the broadcast address of that network. */
static void hear_broadcasts(struct tool_listener *listener, const struct sockaddr_storage *bound,
                            const char *interface)
{
    struct fwr_lan_interface found;
    struct sockaddr_in at;
    uint8_t own[4];

    if (bound->ss_family != AF_INET)
        return;
    memcpy(&at, bound, sizeof(at));
    memcpy(own, &at.sin_addr, sizeof(own));
    if (at.sin_addr.s_addr == htonl(INADDR_ANY) || fwr_lan_interface_of(own, &found) != FWR_OK)
        return;
    for (uint8_t i = 0; i < found.network_count; i++) {
        const struct fwr_lan_network *network = &found.networks[i];

        if (memcmp(network->address, own, sizeof(own)) != 0 ||
            memcmp(network->broadcast, "\0\0\0\0", sizeof(own)) == 0)
            continue;
        memcpy(&at.sin_addr, network->broadcast, sizeof(at.sin_addr));
        if (fwr_lan_bind(&listener->broadcast_fd, (struct sockaddr *)&at, sizeof(at), interface) !=
            FWR_OK)
            tool_note("%s: no answer to pings by broadcast: %s", listener->address,
                      strerror(errno));
        return;
    }
}

/* Puts the socket where it belongs. */
static int listen_at(struct tool_listener *listener, const struct addrinfo *address,
                     const char *interface)
{
    struct fwr_lan_interface found = {.medium = FWR_MEDIUM_LAN};
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);

    tool_address_text(address->ai_addr, address->ai_addrlen, listener->address);
    if (fwr_lan_bind(&listener->fd, address->ai_addr, address->ai_addrlen, interface) != FWR_OK)
        return tool_system_error(errno, interface[0] != '\0' ? interface : listener->address,
                                 "listening");
    if (interface[0] != '\0')
        fwr_lan_interface_get(interface, &found);
    listener->medium = found.medium;
    listener->config.datagram = fwr_lan_datagram(address->ai_family, found.mtu);
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) == 0) {
        tool_address_text((struct sockaddr *)&bound, length, listener->address);
        hear_broadcasts(listener, &bound, interface);
    }
    return TOOL_OK;
}

static int listener_open(struct tool_listener *listener, uint16_t link,
                         const struct addrinfo *address, const char *interface,
                         const struct fwr_rmcp_responder_config *config, const struct fwr_oem *oem)
{
    size_t size;
    int status, error;

    memset(listener, 0, sizeof(*listener));
    listener->fd = listener->broadcast_fd = -1;
    listener->link = link;
    listener->oem = oem;
    listener->config = *config;
    status = listen_at(listener, address, interface);
    if (status != TOOL_OK)
        return status;
    size = fwr_rmcp_responder_storage(&listener->config);
    listener->storage = calloc(1, size > 0 ? size : 1);
    error = listener->storage == NULL
                ? FWR_E_MEMORY
                : fwr_rmcp_responder_init(&listener->responder, listener->storage, size,
                                          &listener->config);
    if (error == FWR_OK)
        return TOOL_OK;
    listener_close(listener);
    return tool_error(error, listener->address, NULL);
}

static void send_to(struct tool_listener *listener, const struct fwr_rmcp_peer *peer,
                    const uint8_t *datagram, size_t length)
{
    tool_outbox_put(&listener->outbox, listener->fd, peer->key, peer->length, datagram, length);
}

static void answer(struct tool_listener *listener, const struct fwr_rmcp_event *event)
{
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX], datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_caller caller = {
        .link = listener->link,
        .medium = listener->medium,
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

/* What was sent to everybody is answered only if it is a presence ping (RMCP class ASF): who wants
 * a session asks one of us. */
static bool is_for_all(const uint8_t *datagram, ssize_t length)
{
    return length > 3 && datagram[3] == 0x06;
}

static void readable(struct tool_listener *listener, int fd)
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
        length = recvfrom(fd, datagram, sizeof(datagram), MSG_DONTWAIT, (struct sockaddr *)&address,
                          &address_length);
        if (length < 0)
            break;
        if (address_length > FWR_RMCP_PEER_MAX ||
            (fd == listener->broadcast_fd && !is_for_all(datagram, length)))
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
    tool_outbox_send(&listener->outbox);
}

static void timeout(struct tool_listener *listener, uint64_t now)
{
    struct fwr_rmcp_event event;

    while (fwr_rmcp_responder_next_timeout(listener->responder) <= now) {
        fwr_rmcp_responder_timeout(listener->responder, now, &event);
        if (event.kind == FWR_RMCP_EVENT_NONE)
            return;
        session_closed(listener, &event);
    }
}

/* ---- all of them ---- */

static int listen_on(struct tool_listeners *listeners, const char *text, const char *over,
                     const struct tool_sessions *sessions, const struct fwr_oem *oem)
{
    char interface[FWR_LAN_NAME_MAX];
    struct addrinfo *addresses;
    int status = tool_resolve(text, true, &addresses, interface);

    if (status != TOOL_OK)
        return status;
    for (struct addrinfo *address = addresses; address != NULL && status == TOOL_OK;
         address = address->ai_next) {
        if (listeners->count == TOOL_LISTENERS_MAX) {
            status = tool_usage("--listen: more than %d addresses", TOOL_LISTENERS_MAX);
            break;
        }
        status = listener_open(&listeners->items[listeners->count], listeners->count, address,
                               over != NULL ? over : interface, &sessions->config, oem);
        if (status == TOOL_OK)
            listeners->count++;
    }
    freeaddrinfo(addresses);
    return status;
}

int tool_listeners_open(struct tool_listeners *listeners, const struct tool_list *list,
                        const struct tool_list *interfaces, const struct tool_sessions *sessions,
                        struct fwr_oem *oem)
{
    uint8_t suite = sessions->config.suite_sha256 ? FWR_RMCP_SUITE_SHA256 : FWR_RMCP_SUITE_SHA1;
    const size_t over = interfaces != NULL ? interfaces->count : 0;
    int status = TOOL_OK;

    oem->size = sizeof(*oem);
    oem->iana = sessions->config.device.manufacturer;
    oem->command_base = FWR_COMMAND_BASE;
    oem->window = FWR_RMCP_WINDOW_MAX;
    oem->max_request = (uint16_t)fwr_rmcp_max_request(suite, FWR_RMCP_DATAGRAM_IPV6);
    oem->max_reply = (uint16_t)fwr_rmcp_max_reply(suite, FWR_RMCP_DATAGRAM_IPV6);
    for (size_t i = 0; (i < list->count || i == 0) && status == TOOL_OK; i++) {
        const char *text = list->count > 0 ? list->items[i] : "*";

        if (over == 0)
            status = listen_on(listeners, text, NULL, sessions, oem);
        for (size_t k = 0; k < over && status == TOOL_OK; k++)
            status = listen_on(listeners, text, interfaces->items[k], sessions, oem);
    }
    return status;
}

void tool_listeners_print(const struct tool_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        printf(" %s", listeners->items[i].address);
}

struct json_object *tool_listeners_json(const struct tool_listeners *listeners)
{
    struct json_object *list = json_object_new_array();

    for (uint16_t i = 0; i < listeners->count; i++)
        json_object_array_add(list, json_object_new_string(listeners->items[i].address));
    return list;
}

void tool_listeners_close(struct tool_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        listener_close(&listeners->items[i]);
    listeners->count = 0;
}

size_t tool_listeners_handles(const struct tool_listeners *listeners, struct pollfd *handles)
{
    size_t count = 0;

    for (uint16_t i = 0; i < listeners->count; i++) {
        const struct tool_listener *listener = &listeners->items[i];

        handles[count++] = (struct pollfd){.fd = listener->fd, .events = POLLIN};
        handles[count++] = (struct pollfd){.fd = listener->broadcast_fd, .events = POLLIN};
    }
    return count;
}

uint64_t tool_listeners_next_timeout(const struct tool_listeners *listeners)
{
    uint64_t next = FWR_NEVER;

    for (uint16_t i = 0; i < listeners->count; i++) {
        uint64_t due = fwr_rmcp_responder_next_timeout(listeners->items[i].responder);

        next = due < next ? due : next;
    }
    return next;
}

void tool_listeners_work(struct tool_listeners *listeners, const struct pollfd *handles)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        struct tool_listener *listener = &listeners->items[i];

        if (handles++->revents != 0)
            readable(listener, listener->fd);
        if (handles++->revents != 0)
            readable(listener, listener->broadcast_fd);
        timeout(listener, tool_now());
    }
}
