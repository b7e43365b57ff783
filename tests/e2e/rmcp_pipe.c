/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real RMCP+ session driven by a script: each line of standard input is one order, each is
 * answered by one line. Orders (numbers in hexadecimal; DATA may be absent):
 *
 *   ask NETFN COMMAND DATA      a request; answered with the reply from the completion code on,
 *                               or "-" when there was none
 *   cut LENGTH NETFN COMMAND DATA       the sealed datagram's first bytes only; answered "."
 *   flip OFFSET MASK NETFN COMMAND DATA one byte of it changed; likewise
 *   grow LENGTH NETFN COMMAND DATA      rubbish behind it; likewise
 *   keys                        the session's secrets: SIK, K1, K2
 *   close                       ends the session; the program then ends as well
 *
 * The first line it prints is "open", or the error's name.
 *
 * usage: rmcp_pipe HOST PORT USER PASSWORD SUITE PRIVILEGE [KG]
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include <openssl/hmac.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "link/rmcp/crypto.h"
#include "udp.h"

#define PATIENCE_MS  10000
#define ORDER_MAX    8192
#define DATAGRAM_TOP 65507

struct client {
    int socket;
    struct fwr_rmcp_initiator *initiator;
    uint64_t token;
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    size_t reply_length;
    unsigned replies; /* to the request just made */
};

static uint8_t sik[FWR_RMCP_DIGEST_MAX];
static const struct fwr_rmcp_suite *suite;

/* The linker lets this see what the library derives its keys from. */
int __real_fwr_rmcp_keys_derive(struct fwr_rmcp_keys *keys, struct fwr_rmcp_mac *mac,
                                const struct fwr_rmcp_suite *which, const uint8_t *from);
int __wrap_fwr_rmcp_keys_derive(struct fwr_rmcp_keys *keys, struct fwr_rmcp_mac *mac,
                                const struct fwr_rmcp_suite *which, const uint8_t *from);
int __wrap_fwr_rmcp_keys_derive(struct fwr_rmcp_keys *keys, struct fwr_rmcp_mac *mac,
                                const struct fwr_rmcp_suite *which, const uint8_t *from)
{
    suite = which;
    memcpy(sik, from, which->digest_size);
    return __real_fwr_rmcp_keys_derive(keys, mac, which, from);
}

static void print_hex(const uint8_t *bytes, size_t length, char end)
{
    for (size_t i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    putchar(end);
}

static void print_keys(void)
{
    uint8_t constant[20], key[FWR_RMCP_DIGEST_MAX];

    print_hex(sik, suite->digest_size, ' ');
    for (uint8_t n = 1; n <= 2; n++) {
        memset(constant, n, sizeof(constant));
        (void)HMAC(suite->digest_size == 20 ? EVP_sha1() : EVP_sha256(), sik, suite->digest_size,
                   constant, sizeof(constant), key, NULL);
        print_hex(key, suite->digest_size, n == 1 ? ' ' : '\n');
    }
}

static void send_due(struct client *client)
{
    uint8_t datagram[256];
    size_t length;

    while (fwr_rmcp_initiator_next_send(client->initiator, udp_now(), datagram, sizeof(datagram),
                                        &length) == FWR_OK &&
           length > 0)
        (void)send(client->socket, datagram, length, 0);
}

static void receive(struct client *client, int wait)
{
    struct pollfd handle = {client->socket, POLLIN, 0};
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX + 1];
    struct fwr_rmcp_response response;
    ssize_t length;

    if (poll(&handle, 1, wait) <= 0)
        return;
    length = recv(client->socket, datagram, sizeof(datagram), 0);
    if (length < 0)
        return;
    if (fwr_rmcp_initiator_receive(client->initiator, udp_now(), datagram, (size_t)length,
                                   &response) != FWR_OK)
        return;
    if (response.kind != FWR_RMCP_EVENT_RESPONSE || response.token != client->token)
        return;
    client->replies++;
    client->reply_length = response.length;
    memcpy(client->reply, response.reply, response.length);
}

static enum fwr_rmcp_state state_of(const struct client *client, int *error)
{
    struct fwr_rmcp_initiator_status status;

    fwr_rmcp_initiator_status(client->initiator, &status);
    *error = status.error;
    return status.state;
}

static bool open_session(struct client *client)
{
    int error;

    if (fwr_rmcp_initiator_start(client->initiator, udp_now()) != FWR_OK)
        return false;
    while (state_of(client, &error) == FWR_RMCP_OPENING) {
        send_due(client);
        receive(client, 20);
        fwr_rmcp_initiator_timeout(client->initiator, udp_now());
    }
    if (state_of(client, &error) == FWR_RMCP_ACTIVE)
        return true;
    puts(fwr_error_name(error));
    return false;
}

static size_t parse_hex(const char *text, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;
    unsigned byte;

    for (; length < capacity && sscanf(text, "%2x", &byte) == 1; text += 2)
        bytes[length++] = (uint8_t)byte;
    return length;
}

/* Seals a request; 0 when it is too long. */
static size_t seal(struct client *client, unsigned netfn, unsigned command, const char *data,
                   uint8_t *datagram)
{
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
    const struct fwr_rmcp_request request = {
        .netfn = (uint8_t)netfn,
        .command = (uint8_t)command,
        .data = bytes,
        .length = parse_hex(data, bytes, sizeof(bytes)),
    };
    size_t length = 0;

    client->replies = 0;
    if (fwr_rmcp_initiator_request(client->initiator, udp_now(), &request, ++client->token,
                                   datagram, FWR_RMCP_DATAGRAM_MAX, &length) != FWR_OK)
        return 0;
    return length;
}

static void ask(struct client *client, unsigned netfn, unsigned command, const char *data)
{
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    const size_t length = seal(client, netfn, command, data, datagram);
    const uint64_t end = udp_now() + PATIENCE_MS;

    (void)send(client->socket, datagram, length, 0);
    while (length > 0 && client->replies == 0 && udp_now() < end)
        receive(client, 50);
    if (client->replies > 0) {
        print_hex(client->reply, client->reply_length, '\n');
        return;
    }
    (void)fwr_rmcp_initiator_forget(client->initiator, udp_now(), client->token);
    puts("-");
}

/* The datagram changed on its way; nobody should answer, and nobody waits. */
static void spoil(struct client *client, const char *how, unsigned first, unsigned second,
                  unsigned netfn, unsigned command, const char *data)
{
    static uint8_t datagram[DATAGRAM_TOP];
    size_t length = seal(client, netfn, command, data, datagram);

    if (strcmp(how, "flip") == 0 && length > 0)
        datagram[first % length] ^= (uint8_t)second;
    else if (strcmp(how, "grow") == 0)
        length = first < sizeof(datagram) ? first : sizeof(datagram);
    else
        length = first < length ? first : length;
    (void)send(client->socket, datagram, length, 0);
    (void)fwr_rmcp_initiator_forget(client->initiator, udp_now(), client->token);
    puts(".");
}

static void obey(struct client *client, const char *line)
{
    unsigned a, b, netfn, command;
    char data[ORDER_MAX] = "";

    if (sscanf(line, "ask %x %x %8191s", &netfn, &command, data) >= 2)
        ask(client, netfn, command, data);
    else if (sscanf(line, "cut %x %x %x %8191s", &a, &netfn, &command, data) >= 3)
        spoil(client, "cut", a, 0, netfn, command, data);
    else if (sscanf(line, "grow %x %x %x %8191s", &a, &netfn, &command, data) >= 3)
        spoil(client, "grow", a, 0, netfn, command, data);
    else if (sscanf(line, "flip %x %x %x %x %8191s", &a, &b, &netfn, &command, data) >= 4)
        spoil(client, "flip", a, b, netfn, command, data);
    else if (strncmp(line, "keys", 4) == 0)
        print_keys();
    else
        puts("?");
}

static void serve(struct client *client)
{
    char line[ORDER_MAX];
    uint8_t datagram[256];
    size_t length;

    while (fgets(line, sizeof(line), stdin) != NULL && strncmp(line, "close", 5) != 0) {
        obey(client, line);
        fflush(stdout);
    }
    (void)fwr_rmcp_initiator_close(client->initiator, datagram, sizeof(datagram), &length);
    (void)send(client->socket, datagram, length, 0);
}

int main(int argc, char **argv)
{
    struct fwr_rmcp_initiator_config config = {
        .size = sizeof(config),
        .platform = &fwr_platform_default,
        .first_timeout = 300,
        .attempts = 6,
    };
    struct client client = {0};
    int result = 1;

    if (argc < 7) {
        fprintf(stderr, "usage: %s HOST PORT USER PASSWORD SUITE PRIVILEGE [KG]\n", argv[0]);
        return 2;
    }
    void *storage = malloc(fwr_rmcp_initiator_storage());
    config.user = argv[3];
    config.user_length = (uint8_t)strlen(argv[3]);
    config.password = (const uint8_t *)argv[4];
    config.password_length = (uint8_t)strlen(argv[4]);
    config.suite = (uint8_t)atoi(argv[5]);
    config.privilege = (uint8_t)atoi(argv[6]);
    if (argc > 7) {
        config.kg = (const uint8_t *)argv[7];
        config.kg_length = (uint8_t)strlen(argv[7]);
    }
    client.socket = udp_connect(argv[1], argv[2]);
    if (client.socket < 0 || storage == NULL ||
        fwr_rmcp_initiator_init(&client.initiator, storage, fwr_rmcp_initiator_storage(),
                                &config) != FWR_OK)
        return 2;
    if (open_session(&client)) {
        puts("open");
        fflush(stdout);
        serve(&client);
        result = 0;
    }
    fwr_rmcp_initiator_end(client.initiator);
    free(storage);
    close(client.socket);
    return result;
}
