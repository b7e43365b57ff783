/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question at a time to one BMC, by the timing rules of doc/WIRE.md section 9. Called by the
 * commands in bmc.c and push.c; reports nothing by itself once the session is prepared.
 */
#include "tools/bmc.h"

#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/oem.h>

#include "tools/say.h"

#define TRIES         5
#define FIRST_WAIT_MS 400
#define BUSY_FIRST_MS 5
#define BUSY_MOST_MS  500
#define BUSY_GIVE_UP  30000

static void on_reply(void *ctx, struct tool_road *road, uint8_t command, const uint8_t *reply,
                     size_t length)
{
    struct tool_bmc *bmc = ctx;
    uint32_t iana = 0;

    (void)road;
    if (!bmc->waiting || command != bmc->command)
        return;
    bmc->error = fwr_error_from_completion_code(reply[0]);
    bmc->reply_length = 0;
    if (length >= FWR_OEM_HEADER) {
        iana = (uint32_t)reply[1] | (uint32_t)reply[2] << 8 | (uint32_t)reply[3] << 16;
        bmc->reply_length = length - FWR_OEM_HEADER;
        memcpy(bmc->reply, reply + FWR_OEM_HEADER, bmc->reply_length);
    }
    if (bmc->error == FWR_OK) {
        if (iana != bmc->iana.value || bmc->reply_length == 0)
            bmc->error = FWR_E_MALFORMED;
        else if (bmc->reply[0] != bmc->cookie)
            return; /* an answer to something given up */
    }
    bmc->waiting = false;
}

static void on_state(void *ctx, struct tool_road *road, int error)
{
    struct tool_bmc *bmc = ctx;

    (void)road;
    if (error == FWR_OK || !bmc->waiting)
        return;
    bmc->error = error;
    bmc->waiting = false;
}

int tool_bmc_open(struct tool_bmc *bmc, enum fwr_privilege privilege)
{
    static const struct tool_road_events events = {.reply = on_reply, .state = on_state};
    int status = TOOL_OK;

    if (bmc->host == NULL)
        return tool_usage("--host HOST[:PORT] is needed");
    if (bmc->suite.value != FWR_RMCP_SUITE_SHA1 && bmc->suite.value != FWR_RMCP_SUITE_SHA256)
        return tool_usage("--suite: not 3 or 17");
    if (bmc->user[0] == '\0' || strlen(bmc->user) > FWR_RMCP_USER_MAX)
        return tool_usage("--user: 1 to %d characters", FWR_RMCP_USER_MAX);
    bmc->login.target = bmc->host;
    bmc->login.user = bmc->user;
    bmc->login.suite = (uint8_t)bmc->suite.value;
    bmc->login.iana = bmc->iana.value;
    bmc->login.privilege = privilege;
    if (tool_road_has_sessions(bmc->host))
        status =
            tool_secret_password(bmc->password_file, bmc->password_argument, &bmc->login.password);
    if (status == TOOL_OK && bmc->kg_file != NULL)
        status = tool_secret_read(bmc->kg_file, &bmc->login.kg);
    tool_platform_init(&bmc->platform, bmc->verbose);
    if (status == TOOL_OK)
        status = tool_road_open(&bmc->road, &bmc->login, &bmc->platform, &events, bmc);
    bmc->open = status == TOOL_OK;
    tool_stop_init();
    return status;
}

void tool_bmc_close(struct tool_bmc *bmc)
{
    if (bmc->open)
        tool_road_close(&bmc->road);
    bmc->open = false;
    tool_secret_wipe(&bmc->login.password);
    tool_secret_wipe(&bmc->login.kg);
}

/* Lets the road work until the answer is there or the deadline has passed. */
static void run_until(struct tool_bmc *bmc, uint64_t deadline)
{
    while (!tool_stopped() && tool_now() < deadline) {
        struct pollfd handle = tool_road_handle(&bmc->road);
        uint64_t next = tool_road_next_timeout(&bmc->road);

        tool_poll(&handle, 1, next < deadline ? next : deadline);
        if (handle.revents != 0)
            tool_road_ready(&bmc->road);
        if (tool_road_next_timeout(&bmc->road) <= tool_now())
            tool_road_timeout(&bmc->road, tool_now());
        if (!bmc->waiting)
            return;
    }
}

void tool_bmc_pause(struct tool_bmc *bmc, unsigned milliseconds)
{
    uint64_t deadline = tool_now() + milliseconds;

    bmc->waiting = true; /* nothing is asked, so nothing ends it */
    bmc->command = FWR_CMD_COUNT;
    bmc->error = FWR_OK;
    run_until(bmc, deadline);
    bmc->waiting = false;
}

/* Sends once, opening the session first if need be. */
static int send_once(struct tool_bmc *bmc, const uint8_t *data, size_t length)
{
    int error = tool_road_send(&bmc->road, bmc->command, data, length);

    while (error == FWR_E_BUSY && !tool_stopped()) {
        uint64_t soon = tool_now() + 10;

        run_until(bmc, soon);
        if (!bmc->waiting)
            return bmc->error; /* the session could not be opened */
        error = tool_road_send(&bmc->road, bmc->command, data, length);
    }
    return error;
}

static int ask_once(struct tool_bmc *bmc, const uint8_t *data, size_t length)
{
    unsigned wait = FIRST_WAIT_MS;

    for (int attempt = 0; attempt < TRIES; attempt++, wait *= 2) {
        int error;

        bmc->waiting = true;
        bmc->error = FWR_E_TIMEOUT;
        error = send_once(bmc, data, length);
        if (error == FWR_OK)
            run_until(bmc, tool_now() + wait);
        if (tool_stopped())
            error = FWR_E_ABORTED;
        else if (error == FWR_OK && bmc->waiting)
            continue;
        bmc->waiting = false;
        return error != FWR_OK ? error : bmc->error;
    }
    bmc->waiting = false;
    return FWR_E_TIMEOUT;
}

int tool_bmc_ask(struct tool_bmc *bmc, uint8_t command, uint8_t *data, size_t length)
{
    uint64_t give_up = tool_now() + BUSY_GIVE_UP;
    unsigned pause = BUSY_FIRST_MS;
    int error;

    for (;;) {
        data[0] = ++bmc->cookie;
        bmc->command = command;
        error = ask_once(bmc, data, length);
        if (error != FWR_E_BUSY || tool_now() >= give_up)
            return error;
        tool_bmc_pause(bmc, pause);
        pause = pause * 2 < BUSY_MOST_MS ? pause * 2 : BUSY_MOST_MS;
    }
}

int tool_bmc_limits(struct tool_bmc *bmc)
{
    struct fwr_get_capabilities_request request = {.cookie = 0};
    struct fwr_get_capabilities_reply reply;
    uint8_t data[FWR_MESSAGE_MAX];
    int length, error;

    if (bmc->max_request != 0)
        return FWR_OK;
    length = fwr_get_capabilities_request_encode(&request, data, sizeof(data));
    error = tool_bmc_ask(bmc, FWR_CMD_GET_CAPABILITIES, data, (size_t)length);
    if (error == FWR_OK)
        error = fwr_get_capabilities_reply_decode(bmc->reply, bmc->reply_length, &reply);
    if (error != FWR_OK)
        return error;
    bmc->max_request = reply.max_request < bmc->road.limits.max_request
                           ? reply.max_request
                           : bmc->road.limits.max_request;
    bmc->max_reply =
        reply.max_reply < bmc->road.limits.max_reply ? reply.max_reply : bmc->road.limits.max_reply;
    return FWR_OK;
}

int tool_bmc_status(struct tool_bmc *bmc, struct fwr_get_status_reply *status)
{
    struct fwr_get_status_request request = {.slot = (uint8_t)bmc->slot.value};
    uint8_t data[FWR_MESSAGE_MAX];
    int length = fwr_get_status_request_encode(&request, data, sizeof(data));
    int error = tool_bmc_ask(bmc, FWR_CMD_GET_STATUS, data, (size_t)length);

    return error == FWR_OK ? fwr_get_status_reply_decode(bmc->reply, bmc->reply_length, status)
                           : error;
}

int tool_bmc_page(struct tool_bmc *bmc, uint8_t page, uint32_t offset, uint8_t *buffer,
                  size_t capacity, size_t *got)
{
    uint8_t generation = 0;

    return tool_bmc_page_of(bmc, page, &generation, offset, buffer, capacity, got);
}

int tool_bmc_page_of(struct tool_bmc *bmc, uint8_t page, uint8_t *generation, uint32_t offset,
                     uint8_t *buffer, size_t capacity, size_t *got)
{
    struct fwr_read_page_request request = {.slot = (uint8_t)bmc->slot.value,
                                            .page = page,
                                            .generation = *generation,
                                            .offset = offset};
    struct fwr_read_page_reply reply;
    uint8_t data[FWR_MESSAGE_MAX];
    size_t most;
    int length;
    int error = tool_bmc_limits(bmc);

    if (error != FWR_OK)
        return error;
    most = bmc->max_reply - 2U; /* cookie and generation */
    request.length = (uint16_t)(capacity < most ? capacity : most);
    length = fwr_read_page_request_encode(&request, data, sizeof(data));
    if (length < 0)
        return length;
    error = tool_bmc_ask(bmc, FWR_CMD_READ_PAGE, data, (size_t)length);
    if (error == FWR_OK)
        error = fwr_read_page_reply_decode(bmc->reply, bmc->reply_length, &reply);
    if (error == FWR_OK && reply.length > capacity)
        error = FWR_E_MALFORMED;
    if (error != FWR_OK)
        return error;
    *generation = reply.generation;
    memcpy(buffer, reply.data, reply.length);
    *got = reply.length;
    return FWR_OK;
}

int tool_bmc_status_page(struct tool_bmc *bmc, struct fwr_status_page *page)
{
    uint8_t bytes[FWR_STATUS_PAGE_SIZE];
    size_t have = 0;

    while (have < sizeof(bytes)) {
        size_t got;
        int error = tool_bmc_page(bmc, FWR_PAGE_STATUS, (uint32_t)have, bytes + have,
                                  sizeof(bytes) - have, &got);

        if (error != FWR_OK)
            return error;
        if (got == 0)
            return FWR_E_MALFORMED;
        have += got;
    }
    return fwr_status_page_decode(bytes, sizeof(bytes), page);
}

static int read_peers(void *ctx, uint32_t offset, uint8_t *buffer, size_t capacity, size_t *got)
{
    return tool_bmc_page(ctx, FWR_PAGE_PEERS, offset, buffer, capacity, got);
}

bool tool_bmc_peers(struct tool_bmc *bmc, struct tool_peers *peers)
{
    return tool_peers_read(peers, read_peers, bmc) == FWR_OK;
}

int tool_bmc_error(const struct tool_bmc *bmc, int error)
{
    switch (error) {
    case FWR_E_ABORTED:
        return TOOL_DAMAGED;
    case FWR_E_SESSION_AUTH:
        tool_error(error, bmc->host, "check --user, --password-file and --kg-file");
        return TOOL_NETWORK;
    case FWR_E_SESSION_SUITE:
        tool_error(error, bmc->host, "try --suite 3 if that BMC knows no other");
        return TOOL_NETWORK;
    case FWR_E_UNKNOWN_COMMAND:
        tool_error(error, bmc->host, "does it run libfwrecover, under the same --iana number?");
        return TOOL_NETWORK;
    default:
        tool_error(error, bmc->host, NULL);
        return TOOL_NETWORK;
    }
}
