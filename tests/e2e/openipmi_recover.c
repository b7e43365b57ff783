/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recovery over somebody else's connection: repairs a flash file from one donor through an
 * ipmi_con_t of OpenIPMI's, with nothing but the public headers and both installed libraries.
 * Prints the recipient's log, and at the end what came over the road. Exit code 0: done.
 *
 * usage: openipmi_recover ADDRESS PORT USER PASSWORD TRUST FLASH [WINDOW [MAX-REPLY]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <OpenIPMI/ipmi_auth.h>
#include <OpenIPMI/ipmi_conn.h>
#include <OpenIPMI/ipmi_lan.h>
#include <OpenIPMI/ipmi_log.h>
#include <OpenIPMI/ipmi_posix.h>
#include <OpenIPMI/ipmiif.h>
#include <OpenIPMI/os_handler.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-file.h>
#include <fwrecover/host-null.h>
#include <fwrecover/openipmi.h>
#include <fwrecover/policy.h>
#include <fwrecover/store-ram.h>
#include <fwrecover/trust.h>
#include <fwrecover/version.h>

enum { RECORDS = 8, RECORD_SIZE = 65536 + 1024, PATIENCE_MS = 60000 };

/* The board of the laboratory in lab.py. */
static const struct fwr_board board = {
    .component = {0x8c, 0x3f, 0xd1, 0xa5, 0x2f, 0x31, 0x4c, 0x0e, 0x9b, 0x6d, 0x6f, 0x76, 0x6d,
                  0x66, 0x00, 0x01},
    .manufacturer = 4753,
    .product = 3842,
    .hardware_revision = 1,
};

struct program {
    struct fwr_recipient *recipient;
    void *storage;
    struct fwr_openipmi adapter;
    unsigned replies;
};

static uint64_t now_ms(void *ctx)
{
    struct timespec time;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void print_log(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx;
    if (level != FWR_LOG_DEBUG)
        printf("log: %s\n", text);
}

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    (void)ctx;
    return fwr_platform_default.random(fwr_platform_default.ctx, buffer, length);
}

static void received(void *ctx)
{
    struct program *p = ctx;

    p->replies++;
}

/* Where OpenIPMI's own complaints go. */
static void vlog(os_handler_t *handler, const char *format, enum ipmi_log_type_e type, va_list ap)
{
    (void)handler;
    (void)type;
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

static int connection_open(os_handler_t *os, char *const argv[], ipmi_con_t **con)
{
    char *address[1] = {argv[1]}, *port[1] = {argv[2]};
    ipmi_lanp_parm_t parms[] = {
        {IPMI_LANP_PARMID_AUTHTYPE, (int)IPMI_AUTHTYPE_RMCP_PLUS, NULL, 0},
        {IPMI_LANP_PARMID_PRIVILEGE, IPMI_PRIVILEGE_USER, NULL, 0},
        {IPMI_LANP_PARMID_USERNAME, 0, argv[3], (unsigned)strlen(argv[3])},
        {IPMI_LANP_PARMID_PASSWORD, 0, argv[4], (unsigned)strlen(argv[4])},
        {IPMI_LANP_PARMID_ADDRS, 0, address, 1},
        {IPMI_LANP_PARMID_PORTS, 0, port, 1},
        {IPMI_LANP_AUTHENTICATION_ALGORITHM, IPMI_LANP_AUTHENTICATION_ALGORITHM_RAKP_HMAC_SHA1,
         NULL, 0},
        {IPMI_LANP_INTEGRITY_ALGORITHM, IPMI_LANP_INTEGRITY_ALGORITHM_HMAC_SHA1_96, NULL, 0},
        {IPMI_LANP_CONFIDENTIALITY_ALGORITHM, IPMI_LANP_CONFIDENTIALITY_ALGORITHM_AES_CBC_128, NULL,
         0},
        {IPMI_LANP_MAX_OUTSTANDING_MSG_COUNT, FWR_OPENIPMI_WINDOW_MAX, NULL, 0},
    };

    return ipmi_lanp_setup_con(parms, sizeof(parms) / sizeof(parms[0]), os, NULL, con);
}

static int trust_read(const char *path, struct fwr_trust *trust)
{
    static uint8_t bytes[FWR_TRUST_MAX];
    FILE *file = fopen(path, "rb");
    size_t length;

    if (file == NULL)
        return FWR_E_NOT_FOUND;
    length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return fwr_trust_decode(bytes, length, trust);
}

static int recipient_make(struct program *p, const struct fwr_trust *trust,
                          const struct fwr_flash *flash, struct fwr_peer *peer)
{
    static const struct fwr_platform platform = {
        .size = sizeof(platform), .random = random_bytes, .log = print_log};
    static struct fwr_store_ram_record records[RECORDS];
    static uint8_t contents[RECORDS][RECORD_SIZE];
    static struct fwr_store_ram store;
    static struct fwr_policy_rules rules;
    static struct fwr_policy policy;
    struct fwr_recipient_config config = {.size = sizeof(config),
                                          .platform = &platform,
                                          .flash = flash,
                                          .store = &store.store,
                                          .host = &fwr_host_null,
                                          .policy = &policy,
                                          .board = &board,
                                          .trust = trust,
                                          .peer_count = 1,
                                          .peers = peer,
                                          .backoff_ms = 200,
                                          .rounds = 3};
    size_t size;

    for (size_t i = 0; i < RECORDS; i++) {
        records[i].data = contents[i];
        records[i].capacity = RECORD_SIZE;
    }
    fwr_policy_default_init(&policy, &rules);
    if (fwr_store_ram_open(&store, records, RECORDS) != FWR_OK)
        return FWR_E_ARGUMENT;
    size = fwr_recipient_storage(&config);
    p->storage = malloc(size);
    return fwr_recipient_init(&p->recipient, p->storage, size, &config, now_ms(NULL));
}

/* Until the run is over, or nothing has moved for a minute. */
static void run(struct program *p, os_handler_t *os, struct fwr_status_page *status)
{
    const struct fwr_link *links[1] = {&p->adapter.link};
    uint64_t last = now_ms(NULL);
    unsigned replies = 0;

    do {
        uint64_t now = now_ms(NULL), due;
        struct timeval wait = {0, 0};

        if (fwr_recipient_next_timeout(p->recipient) <= now)
            fwr_recipient_timeout(p->recipient, now);
        if (fwr_recipient_step(p->recipient, now) != FWR_PENDING) {
            fwr_oem_pump(p->recipient, now, links, 1);
            due = fwr_recipient_next_timeout(p->recipient);
            due = due <= now ? 0 : due - now < 1000 ? due - now : 1000;
            wait.tv_usec = (suseconds_t)(due * 1000 % 1000000);
            wait.tv_sec = (time_t)(due / 1000);
        }
        os->perform_one_op(os, &wait);
        if (p->replies != replies) {
            replies = p->replies;
            last = now_ms(NULL);
        }
        fwr_recipient_status(p->recipient, status);
    } while (status->state != FWR_STATE_DONE && status->state != FWR_STATE_FAILED &&
             now_ms(NULL) - last < PATIENCE_MS);
    fwr_oem_pump(p->recipient, now_ms(NULL), links, 1); /* the end of the transfer */
}

static void closed(ipmi_con_t *con, void *ctx)
{
    (void)con;
    *(int *)ctx = 1;
}

int main(int argc, char *argv[])
{
    struct fwr_oem oem = {
        .size = sizeof(oem), .iana = FWR_IANA_DEFAULT, .command_base = FWR_COMMAND_BASE};
    struct program p = {.adapter = {.size = sizeof(p.adapter), .medium = FWR_MEDIUM_LAN}};
    struct fwr_peer peer = {.name = "openipmi"};
    struct fwr_flash_file flash;
    struct fwr_status_page status;
    struct fwr_trust trust;
    os_handler_t *os = ipmi_posix_setup_os_handler();
    int gone = 0, error;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 7 || os == NULL)
        return 2;
    os->set_log_handler(os, vlog);
    error = trust_read(argv[5], &trust);
    if (error == FWR_OK)
        error = fwr_flash_file_open(&flash, argv[6], NULL, false);
    if (error != FWR_OK || ipmi_init(os) != 0 || connection_open(os, argv, &p.adapter.con) != 0) {
        printf("cannot begin: %s\n", fwr_error_text(error));
        return 2;
    }
    peer.limits.max_request = FWR_OPENIPMI_REQUEST_MAX;
    peer.limits.max_reply = FWR_LINK_MIN_REPLY; /* until the connection says more */
    peer.limits.window = 1;
    peer.limits.medium = FWR_MEDIUM_LAN;
    error = recipient_make(&p, &trust, &flash.flash, &peer);
    p.adapter.oem = &oem;
    p.adapter.recipient = p.recipient;
    p.adapter.window = argc > 7 ? (uint8_t)atoi(argv[7]) : 0;
    p.adapter.max_reply = argc > 8 ? (uint16_t)atoi(argv[8]) : 0;
    p.adapter.ctx = &p;
    p.adapter.now = now_ms;
    p.adapter.received = received;
    if (error == FWR_OK)
        error = fwr_openipmi_open(&p.adapter);
    if (error != FWR_OK || p.adapter.con->start_con(p.adapter.con) != 0) {
        printf("cannot start: %s\n", fwr_error_text(error));
        return 2;
    }
    while (!p.adapter.up && now_ms(NULL) > 0 && p.replies == 0) /* the first change */
        os->perform_one_op(os, NULL);
    error = fwr_recipient_start(p.recipient, now_ms(NULL), FWR_START_REPAIR, 0);
    if (error != FWR_OK)
        printf("not started: %s\n", fwr_error_text(error));
    run(&p, os, &status);
    printf("result: %s, %s: %" PRIu32 " blocks repaired, %" PRIu32 " fetched, %" PRIu32
           " bytes in %u replies\n",
           fwr_state_name(status.state), fwr_error_name(-(int)status.reason),
           status.blocks_repaired, status.blocks_fetched, status.bytes_received, p.replies);
    fwr_openipmi_close(&p.adapter);
    p.adapter.con->close_connection_done(p.adapter.con, closed, &gone);
    while (!gone)
        os->perform_one_op(os, NULL);
    fwr_recipient_end(p.recipient);
    free(p.storage);
    fwr_flash_file_close(&flash);
    ipmi_shutdown();
    os->free_os_handler(os);
    return status.state == FWR_STATE_DONE ? 0 : 1;
}
