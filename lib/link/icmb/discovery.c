/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the nodes on a bus: see icmb.h. Everybody is told to forget that he was found; then
 * those who were not are asked for, eight at a time, and told that they are, until nobody answers.
 */
#include <fwrecover/icmb.h>

#include <string.h>

#include <fwrecover/error.h>

#include "link/icmb/bridge.h"

#define PREPARES     2 /* a broadcast has no answer that would tell that it was heard */
#define EMPTY_ROUNDS 2 /* likewise */
#define ROUNDS_MAX   128
#define TRIES        3
#define AGAIN_US     20000

struct fwr_icmb_discovery {
    struct fwr_icmb_bridge *bridge;
    enum { IDLE, PREPARING, COLLECTING, MARKING } phase;
    bool waiting; /* for the bridge */
    int result;
    uint8_t prepares, empty, rounds;
    uint64_t due;
    uint16_t addresses[FWR_ICMB_NODES_MAX];
    size_t count;
    uint16_t batch[FWR_ICMB_ADDRESSES_MAX];
    uint8_t batch_count, marked;
};

static void step(struct fwr_icmb_discovery *d, uint64_t now_us);

static void finish(struct fwr_icmb_discovery *d, uint64_t now_us, int result)
{
    d->phase = IDLE;
    d->due = FWR_NEVER;
    d->result = result;
    fwr_icmb_bridge_send_event(d->bridge, now_us, FWR_ICMB_EVENT_DISCOVERY_END);
}

/* The bridge refused: busy for now, or not able to at all. */
static void wait(struct fwr_icmb_discovery *d, uint64_t now_us, int error)
{
    if (error == FWR_E_BUSY)
        d->due = now_us + AGAIN_US;
    else
        finish(d, now_us, error);
}

static void add(struct fwr_icmb_discovery *d, uint16_t address)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->addresses[i] == address)
            return;
    if (d->count < FWR_ICMB_NODES_MAX)
        d->addresses[d->count++] = address;
    else
        d->result = FWR_E_NO_SPACE;
}

/* ---- what the bridge brings ---- */

static void prepared(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                     size_t length)
{
    struct fwr_icmb_discovery *d = ctx;

    (void)token, (void)reply, (void)length;
    d->waiting = false;
    if (error != FWR_OK) {
        finish(d, now_us, error);
        return;
    }
    if (++d->prepares >= PREPARES)
        d->phase = COLLECTING;
    step(d, now_us);
}

static void collected(void *ctx, uint64_t now_us, int error, const uint16_t *addresses,
                      uint8_t count)
{
    struct fwr_icmb_discovery *d = ctx;

    d->waiting = false;
    d->empty = count == 0 ? (uint8_t)(d->empty + 1) : 0;
    if (error != FWR_OK) {
        finish(d, now_us, error);
    } else if (d->empty >= EMPTY_ROUNDS || d->result == FWR_E_NO_SPACE) {
        finish(d, now_us, d->result == FWR_E_NO_SPACE ? FWR_E_NO_SPACE : FWR_OK);
    } else if (++d->rounds >= ROUNDS_MAX) {
        finish(d, now_us, FWR_E_TIMEOUT); /* somebody answers that cannot be told to stop */
    } else {
        memcpy(d->batch, addresses, count * sizeof(addresses[0]));
        d->batch_count = count;
        d->marked = 0;
        for (uint8_t i = 0; i < count; i++)
            add(d, addresses[i]);
        d->phase = count > 0 ? MARKING : COLLECTING;
        step(d, now_us);
    }
}

/* Whoever did not hear it answers again in the next round. */
static void marked(void *ctx, uint64_t now_us, uint32_t token, int error, const uint8_t *reply,
                   size_t length)
{
    struct fwr_icmb_discovery *d = ctx;

    (void)token, (void)reply, (void)length;
    d->waiting = false;
    if (error == FWR_E_IO || error == FWR_E_STATE) {
        finish(d, now_us, error);
        return;
    }
    if (++d->marked >= d->batch_count)
        d->phase = COLLECTING;
    step(d, now_us);
}

/* ---- what it asks for ---- */

static int ask(struct fwr_icmb_discovery *d, uint64_t now_us)
{
    struct fwr_icmb_ask request = {.address = d->bridge->broadcast,
                                   .command = FWR_ICMB_PREPARE_FOR_DISCOVERY,
                                   .tries = TRIES,
                                   .timeout_ms = d->bridge->config.reply_timeout_ms,
                                   .ctx = d,
                                   .done = prepared};

    if (d->phase == COLLECTING)
        return fwr_icmb_bridge_collect(d->bridge, now_us, d, collected);
    if (d->phase == MARKING) {
        request.address = d->batch[d->marked];
        request.command = FWR_ICMB_SET_DISCOVERED;
        request.done = marked;
    }
    return fwr_icmb_bridge_ask(d->bridge, now_us, &request);
}

static void step(struct fwr_icmb_discovery *d, uint64_t now_us)
{
    int error;

    if (d->phase == IDLE || d->waiting)
        return;
    d->due = FWR_NEVER;
    error = ask(d, now_us);
    d->waiting = error == FWR_OK;
    if (error != FWR_OK)
        wait(d, now_us, error);
}

int fwr_icmb_discovery_start(struct fwr_icmb_discovery *d, uint64_t now_us)
{
    if (d->phase != IDLE || d->bridge->state != FWR_ICMB_ENABLED)
        return FWR_E_STATE;
    d->phase = PREPARING;
    d->result = FWR_OK;
    d->prepares = d->empty = d->rounds = 0;
    d->count = 0;
    fwr_icmb_bridge_send_event(d->bridge, now_us, FWR_ICMB_EVENT_DISCOVERY_START);
    step(d, now_us);
    return FWR_OK;
}

int fwr_icmb_discovery_state(const struct fwr_icmb_discovery *d, const uint16_t **addresses,
                             size_t *count)
{
    *addresses = d->addresses;
    *count = d->count;
    return d->phase != IDLE ? FWR_PENDING : d->result;
}

uint64_t fwr_icmb_discovery_next_timeout(const struct fwr_icmb_discovery *d)
{
    return d->phase == IDLE ? FWR_NEVER : d->due;
}

void fwr_icmb_discovery_timeout(struct fwr_icmb_discovery *d, uint64_t now_us)
{
    if (d->phase != IDLE && now_us >= d->due)
        step(d, now_us);
}

size_t fwr_icmb_discovery_storage(void)
{
    return sizeof(struct fwr_icmb_discovery);
}

int fwr_icmb_discovery_init(struct fwr_icmb_discovery **discovery, void *storage, size_t size,
                            struct fwr_icmb_bridge *bridge)
{
    struct fwr_icmb_discovery *d = storage;

    *discovery = NULL;
    if (size < sizeof(*d))
        return FWR_E_NO_SPACE;
    memset(d, 0, sizeof(*d));
    d->bridge = bridge;
    d->due = FWR_NEVER;
    d->result = FWR_E_STATE;
    *discovery = d;
    return FWR_OK;
}

void fwr_icmb_discovery_end(struct fwr_icmb_discovery *d)
{
    if (d == NULL)
        return;
    fwr_icmb_bridge_withdraw(d->bridge, d, 0);
    if (d->bridge->collect.active && d->bridge->collect.ctx == d)
        d->bridge->collect.active = false;
    memset(d, 0, sizeof(*d));
}
