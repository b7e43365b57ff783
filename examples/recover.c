/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole integration on one page: a flash in a file, a store in a folder, one donor over
 * RMCP+, and a poll loop. A BMC does the same with its chip, its reset line and its own loop.
 *
 *     recover HOST PORT USER TRUST-SET FLASH STORE COMPONENT-UUID-AS-32-HEX-DIGITS
 *
 * The password is in FWRECOVER_PASSWORD; the board is product 7 of manufacturer 32473. Exits with 0
 * when the flash is right.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netdb.h>
#include <sys/socket.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-file.h>
#include <fwrecover/host-null.h>
#include <fwrecover/lan.h>
#include <fwrecover/oem.h>
#include <fwrecover/recipient.h>
#include <fwrecover/rmcp-road.h>
#include <fwrecover/store-dir.h>

#define IANA 32473

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void check(int error, const char *what)
{
    if (error == FWR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, fwr_error_text(error));
    exit(1);
}

static void log_line(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx;
    if (level != FWR_LOG_DEBUG)
        puts(text);
}

/* ---- the road to the donor: a session on a connected socket ---- */

static struct fwr_recipient *recipient;
static struct fwr_oem oem = {.size = sizeof(oem), .iana = IANA, .command_base = FWR_COMMAND_BASE};
static int fd;

static int transmit(void *ctx, const uint8_t *datagram, size_t length)
{
    (void)ctx;
    (void)!send(fd, datagram, length, 0); /* what is lost will be repeated */
    return FWR_OK;
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    (void)ctx;
    fwr_oem_response(&oem, recipient, now_ms(), 0, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    (void)ctx;
    fwr_recipient_peer(recipient, now_ms(), 0, error, limits);
}

static struct fwr_rmcp_road *make_road(void *storage, char *arguments[],
                                       const struct fwr_platform *platform,
                                       const struct fwr_link_limits *limits)
{
    static struct fwr_rmcp_initiator_config session = {.size = sizeof(session)};
    static struct fwr_rmcp_road_config config = {.size = sizeof(config),
                                                 .session = &session,
                                                 .iana = IANA,
                                                 .command_base = FWR_COMMAND_BASE,
                                                 .transmit = transmit,
                                                 .reply = on_reply,
                                                 .state = on_state};
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *address;
    const char *password = getenv("FWRECOVER_PASSWORD");
    struct fwr_rmcp_road *road;

    check(password ? FWR_OK : FWR_E_SESSION_AUTH, "FWRECOVER_PASSWORD");
    if (getaddrinfo(arguments[1], arguments[2], &hints, &address) != 0)
        check(FWR_E_NO_DONOR, arguments[1]);
    check(fwr_lan_connect(&fd, address->ai_addr, address->ai_addrlen, NULL), arguments[1]);
    freeaddrinfo(address);
    session.platform = platform;
    session.user = arguments[3];
    session.user_length = (uint8_t)strlen(arguments[3]);
    session.password = (const uint8_t *)password;
    session.password_length = (uint8_t)strlen(password);
    config.limits = limits;
    check(fwr_rmcp_road_init(&road, storage, fwr_rmcp_road_storage(), &config), "session");
    return road;
}

/* ---- the BMC ---- */

static void load_trust(const char *path, struct fwr_trust *trust)
{
    static uint8_t bytes[FWR_TRUST_MAX];
    FILE *file = fopen(path, "rb");

    check(file ? FWR_OK : FWR_E_UNPROVISIONED, path);
    check(fwr_trust_decode(bytes, fread(bytes, 1, sizeof(bytes), file), trust), path);
    fclose(file);
}

/* Until the run has ended: send, work, wait, receive. */
static void run(struct fwr_rmcp_road *road)
{
    const struct fwr_link *links[] = {fwr_rmcp_road_link(road)};
    uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_status_page status;
    ssize_t length;

    do {
        fwr_oem_pump(recipient, now_ms(), links, 1);
        bool busy = fwr_recipient_step(recipient, now_ms()) == FWR_PENDING;
        uint64_t next = fwr_recipient_next_timeout(recipient), now = now_ms();
        if (fwr_rmcp_road_next_timeout(road) < next)
            next = fwr_rmcp_road_next_timeout(road);
        uint64_t wait = next <= now ? 0 : next - now;
        struct pollfd handle = {.fd = fd, .events = POLLIN};
        poll(&handle, 1, busy ? 0 : wait > 1000 ? 1000 : (int)wait);
        while ((length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT)) > 0)
            fwr_rmcp_road_receive(road, now_ms(), datagram, (size_t)length);
        fwr_rmcp_road_timeout(road, now_ms());
        fwr_recipient_timeout(recipient, now_ms());
        fwr_recipient_status(recipient, &status);
    } while (status.state != FWR_STATE_DONE && status.state != FWR_STATE_FAILED);
    check(-status.reason, "not recovered");
}

int main(int count, char *arguments[])
{
    struct fwr_platform platform = fwr_platform_default;
    struct fwr_flash_file flash;
    struct fwr_store_dir store;
    struct fwr_board board = {.manufacturer = IANA, .product = 7};
    struct fwr_policy_rules rules = {0};
    struct fwr_policy policy;
    struct fwr_trust trust;

    if (count != 8 || strlen(arguments[7]) != (size_t)2 * FWR_UUID_SIZE) {
        fprintf(stderr, "usage: recover HOST PORT USER TRUST FLASH STORE UUID-OF-32-DIGITS\n");
        return 2;
    }
    platform.log = log_line;
    load_trust(arguments[4], &trust);
    check(fwr_flash_file_open(&flash, arguments[5], &fwr_flash_file_geometry, false), arguments[5]);
    check(fwr_store_dir_open(&store, arguments[6]), arguments[6]);
    for (size_t i = 0; i < FWR_UUID_SIZE; i++)
        if (sscanf(arguments[7] + 2 * i, "%2hhx", &board.component[i]) != 1)
            check(FWR_E_ARGUMENT, arguments[7]);
    fwr_policy_default_init(&policy, &rules);

    struct fwr_peer donor = {
        .name = "donor",
        .limits = {.max_request = (uint16_t)fwr_rmcp_max_request(17, FWR_RMCP_DATAGRAM_IPV6),
                   .max_reply = (uint16_t)fwr_rmcp_max_reply(17, FWR_RMCP_DATAGRAM_IPV6),
                   .window = FWR_RMCP_WINDOW_MAX,
                   .medium = FWR_MEDIUM_LAN}};
    struct fwr_recipient_config config = {.size = sizeof(config),
                                          .platform = &platform,
                                          .flash = &flash.flash,
                                          .store = &store.store,
                                          .host = &fwr_host_null,
                                          .policy = &policy,
                                          .board = &board,
                                          .trust = &trust,
                                          .peer_count = 1,
                                          .peers = &donor};
    void *road_storage = malloc(fwr_rmcp_road_storage());
    struct fwr_rmcp_road *road = make_road(road_storage, arguments, &platform, &donor.limits);
    size_t size = fwr_recipient_storage(&config);
    void *storage = malloc(size);
    check(fwr_recipient_init(&recipient, storage, size, &config, now_ms()), "recipient");
    check(fwr_recipient_start(recipient, now_ms(), FWR_START_REPAIR, 0), "start");
    run(road);
    fwr_rmcp_road_end(road);
    fwr_recipient_end(recipient);
    free(road_storage);
    free(storage);
    fwr_store_dir_close(&store);
    fwr_flash_file_close(&flash);
    close(fd);
    return 0;
}
