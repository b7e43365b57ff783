/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initiator on a real UDP socket for the interoperability tests: opens a session, sends
 * COUNT times Get Device ID with up to WINDOW outstanding, checks every answer, closes, opens
 * and closes once more, and prints what it saw. Exit code 1 with the error's name on stdout when
 * the session fails.
 *
 * usage: rmcp_ask HOST PORT USER PASSWORD SUITE PRIVILEGE COUNT WINDOW [KG]
 */
#include <poll.h>
#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "udp.h"

#define PATIENCE_MS 2000

struct client {
    int socket;
    struct fwr_rmcp_initiator *initiator;
    unsigned wanted;
    unsigned asked;
    unsigned answered;
    uint64_t last_progress;
};

static void send_due(struct client *client)
{
    uint8_t datagram[256];
    size_t length;

    while (fwr_rmcp_initiator_next_send(client->initiator, udp_now(), datagram, sizeof(datagram),
                                        &length) == FWR_OK &&
           length > 0)
        (void)send(client->socket, datagram, length, 0);
}

static void send_requests(struct client *client)
{
    static const struct fwr_rmcp_request request = {.netfn = 0x06, .command = 0x01};
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length;

    while (client->asked < client->wanted &&
           fwr_rmcp_initiator_request(client->initiator, udp_now(), &request, client->asked,
                                      datagram, sizeof(datagram), &length) == FWR_OK) {
        (void)send(client->socket, datagram, length, 0);
        client->asked++;
    }
}

static void on_datagram(struct client *client)
{
    uint8_t datagram[2048];
    struct fwr_rmcp_response response;
    const ssize_t length = recv(client->socket, datagram, sizeof(datagram), 0);

    if (length < 0)
        return;
    if (fwr_rmcp_initiator_receive(client->initiator, udp_now(), datagram, (size_t)length,
                                   &response) != FWR_OK ||
        response.kind != FWR_RMCP_EVENT_RESPONSE)
        return;
    client->last_progress = udp_now();
    if (response.reply[0] == 0 && response.length >= 12)
        client->answered++;
}

/* Runs until nothing is left to do: every request answered or given up, or no session. */
static void run(struct client *client)
{
    client->last_progress = udp_now();
    for (;;) {
        struct fwr_rmcp_initiator_status status;
        struct pollfd handle = {client->socket, POLLIN, 0};

        send_due(client);
        fwr_rmcp_initiator_status(client->initiator, &status);
        if (status.state == FWR_RMCP_ACTIVE)
            send_requests(client);
        else if (status.state != FWR_RMCP_OPENING)
            return;
        if (status.state == FWR_RMCP_ACTIVE &&
            (client->answered == client->wanted || udp_now() > client->last_progress + PATIENCE_MS))
            return;
        if (poll(&handle, 1, 20) > 0)
            on_datagram(client);
        fwr_rmcp_initiator_timeout(client->initiator, udp_now());
    }
}

static int session(struct client *client, unsigned count)
{
    uint8_t datagram[256];
    struct fwr_rmcp_initiator_status status;
    size_t length;

    client->wanted = count;
    client->asked = client->answered = 0;
    if (fwr_rmcp_initiator_start(client->initiator, udp_now()) != FWR_OK)
        return 2;
    run(client);
    fwr_rmcp_initiator_status(client->initiator, &status);
    if (status.state != FWR_RMCP_ACTIVE) {
        printf("%s code %02x\n", fwr_error_name(status.error), status.peer_code);
        return 1;
    }
    printf("answered %u of %u, dropped %llu\n", client->answered, client->wanted,
           (unsigned long long)status.counters.dropped);
    (void)fwr_rmcp_initiator_close(client->initiator, datagram, sizeof(datagram), &length);
    (void)send(client->socket, datagram, length, 0);
    return client->answered == client->wanted ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct fwr_rmcp_initiator_config config = {
        .size = sizeof(config),
        .platform = &fwr_platform_default,
        .first_timeout = 300,
        .attempts = 3,
    };
    struct client client = {0};
    void *storage;
    int result;

    if (argc < 9) {
        fprintf(stderr, "usage: %s HOST PORT USER PASSWORD SUITE PRIVILEGE COUNT WINDOW [KG]\n",
                argv[0]);
        return 2;
    }
    config.user = argv[3];
    config.user_length = (uint8_t)strlen(argv[3]);
    config.password = (const uint8_t *)argv[4];
    config.password_length = (uint8_t)strlen(argv[4]);
    config.suite = (uint8_t)atoi(argv[5]);
    config.privilege = (uint8_t)atoi(argv[6]);
    config.window = (uint8_t)atoi(argv[8]);
    if (argc > 9) {
        config.kg = (const uint8_t *)argv[9];
        config.kg_length = (uint8_t)strlen(argv[9]);
    }
    client.socket = udp_connect(argv[1], argv[2]);
    storage = malloc(fwr_rmcp_initiator_storage());
    if (client.socket < 0 || storage == NULL ||
        fwr_rmcp_initiator_init(&client.initiator, storage, fwr_rmcp_initiator_storage(),
                                &config) != FWR_OK)
        return 2;
    result = session(&client, (unsigned)atoi(argv[7]));
    if (result == 0)
        result = session(&client, 1);
    fwr_rmcp_initiator_end(client.initiator);
    free(storage);
    close(client.socket);
    return result;
}
