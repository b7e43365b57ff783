/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of one BMC on lanserv's loop. There are no threads: a timer of length zero gives the
 * engines a slice of a few milliseconds, then the loop serves its sockets, then the next slice.
 * It also decides when to scan, and believes the host's boot proof.
 */
#include "ipmi-sim/bmc.h"

#include <OpenIPMI/ipmi_msgbits.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define SLICE_MS           2
#define WAIT_MAX_MS        1000 /* longest sleep: a new scan may be due */
#define NETFN_EVENT        0x04
#define NETFN_STORE        0x0a
#define CMD_PLATFORM_EVENT 0x02
#define CMD_ADD_SEL        0x44

/* ---- the boot proof ---- */

#define SENSOR_FIRMWARE_PROGRESS 0x0f
#define SENSOR_OS_BOOT           0x1f
#define EVENT_SENSOR_SPECIFIC    0x6f
#define OFFSET_PROGRESS          0x02
#define PROGRESS_OS_BOOT         0x13

/* Sensor type, number, direction and event type, event data: IPMI 2.0 table 29-5. */
static bool is_boot(const uint8_t *event)
{
    uint8_t offset = event[3] & 0x0f;

    if ((event[2] & 0x7f) != EVENT_SENSOR_SPECIFIC || (event[2] & 0x80) != 0)
        return false;
    if (event[0] == SENSOR_FIRMWARE_PROGRESS)
        return offset == OFFSET_PROGRESS && event[4] == PROGRESS_OS_BOOT;
    return event[0] == SENSOR_OS_BOOT;
}

/* Only the host itself, or an administrator, is believed. */
static void take_boot(struct sim_bmc *bmc, const channel_t *channel, const msg_t *message)
{
    struct fwr_caller caller = fwr_lanserv_caller(&bmc->lanserv, channel, message);

    if (bmc->recipient == NULL || caller.security == FWR_SECURITY_NONE ||
        caller.privilege < FWR_PRIVILEGE_ADMIN)
        return;
    fwr_recipient_boot_proven(bmc->recipient, sim_bmc_now(bmc));
    sim_work_kick(bmc);
}

bool sim_work_other(void *ctx, channel_t *channel, msg_t *message)
{
    struct sim_bmc *bmc = ctx;

    /* A SEL record of type 02h has 10 bytes before the sensor type. */
    if (message->netfn == NETFN_STORE && message->cmd == CMD_ADD_SEL && message->len == 16 &&
        message->data[2] == 0x02 && is_boot(message->data + 10))
        take_boot(bmc, channel, message);
    if (message->netfn == NETFN_BRIDGE && bmc->icmb.bridge != NULL) {
        sim_icmb_command(&bmc->icmb, channel, message);
        return true;
    }
    /* lanserv does not know this command. Over the system interface a generator comes first. */
    if (message->netfn == NETFN_EVENT && message->cmd == CMD_PLATFORM_EVENT &&
        (message->len == 7 || message->len == 8)) {
        uint8_t done = 0;

        if (is_boot(message->data + (message->len - 7) + 1))
            take_boot(bmc, channel, message);
        ipmi_handle_smi_rsp(channel, message, &done, sizeof(done));
        return true;
    }
    return false;
}

/* ---- the roads' news ---- */

static void on_reply(void *ctx, uint8_t peer, uint8_t command, const uint8_t *reply, size_t length)
{
    struct sim_bmc *bmc = ctx;

    bmc->icmb.fresh = true; /* if it came over the bus; over others no harm */
    sim_discover_result(bmc, peer, FWR_OK);
    fwr_oem_response(&bmc->oem, bmc->recipient, sim_bmc_now(bmc), peer, command, reply, length);
}

static void on_state(void *ctx, uint8_t peer, int error, const struct fwr_link_limits *limits)
{
    struct sim_bmc *bmc = ctx;

    if (error != FWR_OK) {
        sim_bmc_log(bmc, "%s: no road: %s", bmc->peers[peer].name, fwr_error_text(error));
        sim_discover_result(bmc, peer, error);
    }
    fwr_recipient_peer(bmc->recipient, sim_bmc_now(bmc), peer, error, limits);
    sim_work_kick(bmc);
}

static void work(void *ctx);

/* What came in is worked on at once: a turn of the loop only for that would cost as much. */
static void on_drained(void *ctx)
{
    struct sim_bmc *bmc = ctx;

    if (bmc->recipient != NULL)
        fwr_oem_pump(bmc->recipient, sim_bmc_now(bmc), bmc->links, bmc->peer_count);
    work(bmc);
}

const struct sim_client_events sim_work_client_events = {
    .reply = on_reply, .state = on_state, .drained = on_drained};

/* ---- the bus's news ---- */

static void log_line(void *ctx, const char *text)
{
    sim_bmc_log(ctx, "%s", text);
}

static uint8_t peer_at(void *ctx, uint16_t source)
{
    const struct sim_bmc *bmc = ctx;

    for (uint8_t i = 0; i < bmc->config.donor_count; i++)
        if (bmc->config.donors[i].icmb == source)
            return (uint8_t)(i + 1);
    return 0;
}

static void on_heard(void *ctx, uint16_t source, const uint8_t *data, size_t length)
{
    struct sim_bmc *bmc = ctx;
    uint8_t peer = peer_at(ctx, source);

    if (peer != 0 && bmc->recipient != NULL)
        fwr_recipient_heard(bmc->recipient, sim_bmc_now(bmc), (uint8_t)(peer - 1), data, length);
}

static size_t speak(void *ctx, uint8_t *data, size_t capacity)
{
    struct sim_bmc *bmc = ctx;
    int length = bmc->donor != NULL ? fwr_donor_next_broadcast(bmc->donor, sim_bmc_now(bmc),
                                                               SIM_ICMB_LINK, data, capacity)
                                    : 0;

    return length > 0 ? (size_t)length : 0;
}

const struct sim_icmb_events sim_work_icmb_events = {
    .log = log_line, .news = on_drained, .heard = on_heard, .speak = speak, .peer = peer_at};

/* ---- scans and repairs by themselves ---- */

static bool holds_flash(uint8_t state)
{
    return state >= FWR_STATE_HOLDING && state <= FWR_STATE_RELEASING;
}

/* The donor looks away from a flash that is being written, and looks again afterwards. */
static void share_flash(struct sim_bmc *bmc, uint8_t state)
{
    bool ours = holds_flash(state);

    if (bmc->donor == NULL || ours == bmc->yielded)
        return;
    if (fwr_source_flash_yield(&bmc->own, ours) != FWR_OK)
        return;
    bmc->yielded = ours;
    if (!ours)
        fwr_donor_reverify(bmc->donor, 0);
}

static bool at_rest(uint8_t state)
{
    return state == FWR_STATE_IDLE || state == FWR_STATE_DONE || state == FWR_STATE_FAILED;
}

/* What a check found, or did not have to compare with. */
static bool asks_for_repair(const struct fwr_status_page *status)
{
    return status->mode == FWR_START_CHECK &&
           (status->reason == -FWR_E_ROOT || status->reason == -FWR_E_NOT_FOUND);
}

static void look_after(struct sim_bmc *bmc, uint64_t now)
{
    struct fwr_status_page status;

    if (bmc->recipient == NULL)
        return;
    fwr_recipient_status(bmc->recipient, &status);
    share_flash(bmc, status.state);
    if (!at_rest(status.state))
        return;
    if (status.run != bmc->judged_run && asks_for_repair(&status) &&
        bmc->config.repair_when_damaged) {
        fwr_recipient_start(bmc->recipient, now, FWR_START_REPAIR, 0);
    } else if (now >= bmc->next_scan) {
        fwr_recipient_start(bmc->recipient, now, FWR_START_CHECK, 0);
        bmc->next_scan = bmc->config.scan_interval > 0
                             ? now + (uint64_t)bmc->config.scan_interval * 1000
                             : FWR_NEVER;
    }
    bmc->judged_run = status.run;
}

/* ---- the loop's slices ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_timeout(const struct sim_bmc *bmc)
{
    uint64_t next = earlier(bmc->next_scan, fwr_lanserv_next_timeout(&bmc->lanserv));

    next = earlier(next, sim_discover_next_timeout(bmc));
    if (bmc->donor != NULL)
        next = earlier(next, fwr_donor_next_timeout(bmc->donor));
    if (bmc->recipient != NULL)
        next = earlier(next, fwr_recipient_next_timeout(bmc->recipient));
    for (unsigned i = 0; i < bmc->config.serial_count; i++)
        next = earlier(next, sim_serial_next_timeout(&bmc->serials[i]));
    for (unsigned i = 0; bmc->recipient != NULL && i < bmc->peer_count; i++)
        next = earlier(next, sim_client_next_timeout(&bmc->clients[i]));
    return next;
}

/* When the recipient begins to ask, every road gets its chance, also one that was down of late. */
static void open_roads(struct sim_bmc *bmc)
{
    struct fwr_status_page status;
    bool asking;

    fwr_recipient_status(bmc->recipient, &status);
    asking = status.state == FWR_STATE_NEGOTIATING;
    for (unsigned i = 0; asking && !bmc->asking && i < bmc->peer_count; i++)
        sim_client_retry(&bmc->clients[i]);
    bmc->asking = asking;
}

/* A new trust set counts at once: the donor asks itself again what it may give. */
static bool step_keyring(struct sim_bmc *bmc)
{
    bool quiet = bmc->recipient == NULL || fwr_recipient_quiet(bmc->recipient);
    bool busy = fwr_keyring_step(&bmc->keyring, quiet) == FWR_PENDING;

    if (bmc->trust != NULL && bmc->trust->generation != bmc->generation) {
        bmc->generation = bmc->trust->generation;
        if (bmc->donor != NULL)
            fwr_donor_reverify(bmc->donor, FWR_DONOR_IMAGES_MAX);
    }
    return busy;
}

/* One step of each engine; true while one of them has more to do. */
static bool step(struct sim_bmc *bmc, uint64_t now)
{
    bool busy = step_keyring(bmc);

    if (fwr_keyring_busy(&bmc->keyring))
        return true; /* the store is the keyring's until it answers */
    if (bmc->donor != NULL) {
        if (fwr_donor_next_timeout(bmc->donor) <= now)
            fwr_donor_timeout(bmc->donor, now);
        busy |= fwr_donor_step(bmc->donor, now) == FWR_PENDING;
    }
    for (unsigned i = 0; i < bmc->config.serial_count; i++)
        sim_serial_timeout(&bmc->serials[i], now);
    if (bmc->recipient == NULL)
        return busy;
    open_roads(bmc);
    for (unsigned i = 0; i < bmc->peer_count; i++) {
        if (sim_client_next_timeout(&bmc->clients[i]) <= now)
            sim_client_timeout(&bmc->clients[i], now);
    }
    if (fwr_recipient_next_timeout(bmc->recipient) <= now)
        fwr_recipient_timeout(bmc->recipient, now);
    busy |= fwr_recipient_step(bmc->recipient, now) == FWR_PENDING;
    fwr_oem_pump(bmc->recipient, now, bmc->links, bmc->peer_count);
    look_after(bmc, now);
    return busy;
}

static void rearm(struct sim_bmc *bmc, uint64_t wait)
{
    struct timeval timeout = {.tv_sec = (time_t)(wait / 1000),
                              .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

    /* A running timer cannot be started again; stopping one that is not running is harmless. */
    bmc->sys->stop_timer(bmc->timer);
    bmc->sys->start_timer(bmc->timer, &timeout);
}

static void work(void *ctx)
{
    struct sim_bmc *bmc = ctx;
    uint64_t begin = sim_bmc_now(bmc), now = begin;
    bool busy;

    do {
        busy = step(bmc, now);
        now = sim_bmc_now(bmc);
    } while (busy && now < begin + SLICE_MS);
    fwr_lanserv_again(&bmc->lanserv);
    if (busy) {
        rearm(bmc, 0);
    } else {
        uint64_t next = next_timeout(bmc);

        rearm(bmc, next <= now ? 1 : earlier(next - now, WAIT_MAX_MS));
    }
    if (bmc->icmb.bridge != NULL)
        sim_icmb_turn(&bmc->icmb);
}

static void on_timer(void *ctx)
{
    sim_discover_work((struct sim_bmc *)ctx);
    work(ctx);
}

void sim_work_kick(void *ctx)
{
    struct sim_bmc *bmc = ctx;

    if (bmc->ready)
        rearm(bmc, 0);
}

int sim_work_begin(struct sim_bmc *bmc)
{
    if (bmc->sys->alloc_timer(bmc->sys, on_timer, bmc, &bmc->timer) != 0)
        return FWR_E_MEMORY;
    bmc->next_scan = bmc->config.scan_at_start ? sim_bmc_now(bmc) : FWR_NEVER;
    if (!bmc->config.scan_at_start && bmc->config.scan_interval > 0)
        bmc->next_scan = sim_bmc_now(bmc) + (uint64_t)bmc->config.scan_interval * 1000;
    bmc->ready = true;
    rearm(bmc, 0);
    return bmc->icmb.bridge != NULL ? sim_icmb_begin(&bmc->icmb) : FWR_OK;
}
