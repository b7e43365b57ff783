/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A responder on a real UDP socket for the interoperability tests. Binds ADDRESS on a free port,
 * prints that port, and answers until its standard input ends, so that it never outlives the
 * test. Network function 2Eh: command 01h echoes its data, 02h gives as many bytes as the 16-bit
 * number behind the IANA number says.
 *
 * usage: rmcp_respond ADDRESS SUITES [KG], SUITES = 3, 17 or both
 */
#include <poll.h>
#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "udp.h"

#define IANA_SIZE 3

static const struct fwr_rmcp_user users[] = {
    {"ipmiusr", (const uint8_t *)"test", 7, 4, FWR_PRIVILEGE_ADMIN, true, true},
    {"donor", (const uint8_t *)"twenty bytes of key!", 5, 20, FWR_PRIVILEGE_USER, true, true},
};

struct server {
    int socket;
    struct fwr_rmcp_responder *responder;
};

static void send_to(const struct server *server, const struct fwr_rmcp_peer *peer,
                    const uint8_t *datagram, size_t length)
{
    struct sockaddr_storage address;

    memcpy(&address, peer->key, peer->length);
    if (length > 0)
        (void)sendto(server->socket, datagram, length, 0, (struct sockaddr *)&address,
                     peer->length);
}

static void reply(const struct server *server, const struct fwr_rmcp_command_id *id,
                  const uint8_t *data, size_t length)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_peer peer;
    size_t size;
    const int error = fwr_rmcp_responder_reply(server->responder, udp_now(), id, data, length,
                                               &peer, datagram, sizeof(datagram), &size);

    if (error == FWR_OK)
        send_to(server, &peer, datagram, size);
    else
        fprintf(stderr, "reply: %s\n", fwr_error_text(error));
}

static void on_command(const struct server *server, const struct fwr_rmcp_event *event)
{
    uint8_t data[FWR_RMCP_DATAGRAM_MAX] = {0};
    size_t length = 1;

    if (event->id.netfn != 0x2e || event->length < IANA_SIZE) {
        data[0] = 0xc1;
    } else if (event->id.command == 0x01) {
        memcpy(data + 1, event->data, event->length);
        length += event->length;
    } else if (event->id.command == 0x02 && event->length == IANA_SIZE + 2) {
        length += IANA_SIZE + (size_t)event->data[3] + (size_t)event->data[4] * 256;
        if (length > sizeof(data))
            length = 1;
        memcpy(data + 1, event->data, IANA_SIZE);
        for (size_t i = 1 + IANA_SIZE; i < length; i++)
            data[i] = (uint8_t)(i - 1 - IANA_SIZE);
        data[0] = length > 1 ? 0 : 0xc8;
    } else {
        data[0] = 0xc1;
    }
    reply(server, &event->id, data, length);
}

static void on_datagram(const struct server *server)
{
    uint8_t datagram[2048], answer[FWR_RMCP_DATAGRAM_MAX];
    struct sockaddr_storage address;
    socklen_t address_length = sizeof(address);
    struct fwr_rmcp_peer peer;
    struct fwr_rmcp_event event;
    size_t answer_length;
    ssize_t length;
    int error;

    memset(&address, 0, sizeof(address));
    length = recvfrom(server->socket, datagram, sizeof(datagram), 0, (struct sockaddr *)&address,
                      &address_length);
    if (length < 0 || address_length > FWR_RMCP_PEER_MAX)
        return;
    memset(&peer, 0, sizeof(peer));
    peer.length = (uint8_t)address_length;
    memcpy(peer.key, &address, address_length);
    error =
        fwr_rmcp_responder_receive(server->responder, udp_now(), &peer, datagram, (size_t)length,
                                   &event, answer, sizeof(answer), &answer_length);
    send_to(server, &peer, answer, answer_length);
    if (error != FWR_OK)
        fprintf(stderr, "dropped %zd bytes: %s\n", length, fwr_error_text(error));
    else if (event.kind == FWR_RMCP_EVENT_COMMAND)
        on_command(server, &event);
}

static int serve(const struct server *server)
{
    for (;;) {
        struct pollfd handles[] = {{server->socket, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        const uint64_t next = fwr_rmcp_responder_next_timeout(server->responder);
        const uint64_t now = udp_now();
        struct fwr_rmcp_event event;

        if (poll(handles, 2, next == FWR_NEVER ? -1 : next > now ? (int)(next - now) : 0) < 0)
            return 1;
        if ((handles[1].revents & (POLLIN | POLLHUP)) != 0)
            return 0;
        if ((handles[0].revents & POLLIN) != 0)
            on_datagram(server);
        do {
            fwr_rmcp_responder_timeout(server->responder, udp_now(), &event);
        } while (event.kind != FWR_RMCP_EVENT_NONE);
    }
}

static void log_line(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    struct fwr_platform platform = fwr_platform_default;
    struct fwr_rmcp_responder_config config = {
        .size = sizeof(config),
        .platform = &platform,
        .users = users,
        .user_count = sizeof(users) / sizeof(users[0]),
        .guid = "rmcp-test-device",
        .device = {.id = 0x23, .firmware_major = 1, .firmware_minor = 42, .manufacturer = 32473},
    };
    struct server server = {0};
    void *storage;
    unsigned port = 0;
    int result;

    if (argc < 3) {
        fprintf(stderr, "usage: %s ADDRESS SUITES [KG]\n", argv[0]);
        return 2;
    }
    platform.log = log_line;
    config.suite_sha1 = strcmp(argv[2], "17") != 0;
    config.suite_sha256 = strcmp(argv[2], "3") != 0;
    if (argc > 3) {
        config.kg = (const uint8_t *)argv[3];
        config.kg_length = (uint8_t)strlen(argv[3]);
    }
    storage = malloc(fwr_rmcp_responder_storage(&config));
    if (storage == NULL ||
        fwr_rmcp_responder_init(&server.responder, storage, fwr_rmcp_responder_storage(&config),
                                &config) != FWR_OK)
        return 2;
    server.socket = udp_bind(argv[1], &port);
    printf("%u\n", port);
    fflush(stdout);
    result = server.socket < 0 ? 2 : serve(&server);
    fwr_rmcp_responder_end(server.responder);
    free(storage);
    return result;
}
