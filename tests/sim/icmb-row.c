/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of chassis: see icmb-row.h.
 */
#include "tests/sim/icmb-row.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tests/sim/icmb-world.h"

#define DAY_MS           (24u * 3600 * 1000)
#define SETTLE_US        UINT64_C(60000000)
#define ADDRESS(station) ((uint16_t)(0x0310 + (station)))
#define READ_REQUEST     14 /* bytes of Read Tree and Read Blocks */
#define STEPS_MAX        10000000u
#define DONOR_LINK       1

struct row;

struct row_chassis {
    struct row *row;
    uint16_t station;
    struct world *w;
    struct fwr_icmb_road_config config;
    void *storage;
    struct fwr_icmb_road *road;
    const struct fwr_link *link;
    bool started, finished;
    bool woken; /* its engine was called */
    uint64_t next_ms;
};

struct row {
    const struct row_options *options;
    struct icmb_net net;
    struct row_chassis chassis[ROW_CHASSIS_MAX];
    struct world *source; /* whose donor it is */
    bool asked;           /* the donor was */
    uint64_t donor_ms;
    uint64_t broadcasts;
};

static uint64_t now_ms(const struct row *row)
{
    return row->net.now_us / 1000;
}

void row_image_make(struct given_image *image, uint32_t blocks, uint32_t block_size)
{
    memset(image, 0, sizeof(*image));
    image->blocks = blocks;
    image->block_size = block_size;
    image->sequence = 3;
    image->seed = blocks;
    image->manifest.map.count = 1;
    image->manifest.map.regions[0] =
        (struct fwr_region){0, blocks * block_size, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    if (given_image_make(image))
        abort();
}

/* ---- the donor ---- */

static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *from, uint8_t *reply,
                    size_t capacity)
{
    struct row *row = ctx;
    struct world_message request;
    uint8_t bytes[WORLD_MESSAGE_MAX];
    struct fwr_link_limits limits;

    fwr_icmb_road_limits(row->net.stations[row->options->chassis].bridge, &limits);
    struct fwr_caller caller = {.link = DONOR_LINK,
                                .medium = FWR_MEDIUM_ICMB,
                                .privilege = FWR_PRIVILEGE_USER,
                                .security = FWR_SECURITY_NONE,
                                .session = from->source,
                                .max_reply = limits.max_reply,
                                .broadcast = row->options->no_broadcast ? 0 : limits.broadcast};

    icmb_world_request(from, row->source->oem.iana, &request);
    request.peer = 0;
    row->asked = true;
    row->source->now = now_us / 1000;
    return icmb_world_strip(bytes, world_serve(row->source, &caller, &request, bytes), reply,
                            capacity);
}

/* What several asked for goes to all of them, as fast as the bus takes it. */
static void tell_all(struct row *row)
{
    struct icmb_station *station = &row->net.stations[row->options->chassis];
    struct fwr_donor *donor = row->source->donors[0].engine;
    uint8_t command = (uint8_t)(row->source->oem.command_base + FWR_CMD_BLOCK_DATA);
    struct fwr_link_limits limits;
    uint8_t data[FWR_ICMB_DATA_MAX];

    fwr_icmb_road_limits(station->bridge, &limits);
    while (fwr_icmb_bridge_can_broadcast(station->bridge)) {
        int length = fwr_donor_next_broadcast(donor, now_ms(row), DONOR_LINK, data,
                                              FWR_BLOCK_DATA_HEADER + limits.broadcast);
        if (length == 0 && fwr_donor_step(donor, now_ms(row)) == FWR_OK)
            break;
        if (length == 0)
            continue;
        if (row->options->lie_every > 0 && row->broadcasts % row->options->lie_every == 0)
            data[length - 1] ^= 0x40;
        if (row->options->foreign_every > 0 && row->broadcasts % row->options->foreign_every == 0) {
            data[0] ^= 0x40;
            data[length - 1] ^= 0x40;
        }
        if (fwr_icmb_bridge_broadcast(station->bridge, row->net.now_us, command, data,
                                      (size_t)length) != FWR_OK)
            abort();
        row->broadcasts++;
        icmb_net_touch(&row->net, row->options->chassis);
    }
}

static void work_donor(struct row *row)
{
    struct fwr_donor *donor = row->source->donors[0].engine;
    uint64_t now = now_ms(row);

    if (fwr_donor_next_timeout(donor) <= now)
        fwr_donor_timeout(donor, now);
    while (fwr_donor_step(donor, now) == FWR_PENDING)
        ;
    row->donor_ms = fwr_donor_next_timeout(donor);
    row->asked = false;
}

/* ---- a chassis ---- */

static void take_block(void *ctx, uint64_t now_us, uint16_t source, uint8_t command,
                       const uint8_t *data, size_t length)
{
    struct row_chassis *c = ctx;

    if (source != ADDRESS(c->row->options->chassis) ||
        command != c->w->oem.command_base + FWR_CMD_BLOCK_DATA)
        return;
    c->woken = true;
    fwr_recipient_heard(c->w->recipient, now_us / 1000, 0, data, length);
}

static void take_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct row_chassis *c = ctx;

    c->woken = true;
    c->w->now = now_ms(c->row);
    fwr_oem_response(&c->w->oem, c->w->recipient, c->w->now, 0, command, reply, length);
}

static void take_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct row_chassis *c = ctx;

    c->woken = true;
    fwr_recipient_peer(c->w->recipient, now_ms(c->row), 0, error, limits);
}

static void work(struct row_chassis *c)
{
    struct world *w = c->w;
    uint32_t steps = 0;

    w->now = now_ms(c->row);
    if (fwr_icmb_road_next_timeout(c->road) <= w->now)
        fwr_icmb_road_timeout(c->road, w->now);
    if (fwr_recipient_next_timeout(w->recipient) <= w->now)
        fwr_recipient_timeout(w->recipient, w->now);
    do {
        fwr_oem_pump(w->recipient, w->now, &c->link, 1);
        if (++steps > STEPS_MAX)
            abort();
    } while (fwr_recipient_step(w->recipient, w->now) == FWR_PENDING);
    fwr_oem_pump(w->recipient, w->now, &c->link, 1);
    icmb_net_touch(&c->row->net, c->station);
    c->woken = false;
    c->next_ms = fwr_recipient_next_timeout(w->recipient);
    if (fwr_icmb_road_next_timeout(c->road) < c->next_ms)
        c->next_ms = fwr_icmb_road_next_timeout(c->road);
    uint8_t state = world_status(w).state;
    c->finished = c->started && (state == FWR_STATE_DONE || state == FWR_STATE_FAILED);
}

static void start(struct row_chassis *c)
{
    if (fwr_recipient_start(c->w->recipient, now_ms(c->row), FWR_START_REPAIR, 0) != FWR_OK)
        abort();
    c->started = true;
    work(c);
}

/* ---- making ---- */

static void switch_on(struct row *row, uint16_t station, void *ctx)
{
    struct fwr_icmb_config config = {.size = sizeof(config),
                                     .ctx = ctx,
                                     .address = ADDRESS(station),
                                     .packet = row->options->packet,
                                     .serve = station == row->options->chassis ? serve : NULL,
                                     .broadcast =
                                         station == row->options->chassis ? NULL : take_block};

    icmb_net_on(&row->net, station, &config);
}

static struct world *make_world(struct row *row, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));

    world_init(w, seed, row->options->image,
               row->options->image->block_size < 4096 ? row->options->image->block_size : 0);
    w->now = now_ms(row);
    w->oem.allow_sessionless = 1;
    w->verbose = row->options->verbose;
    return w;
}

static void make_source(struct row *row)
{
    const struct row_options *o = row->options;
    struct fwr_link_limits limits;

    switch_on(row, o->chassis, row);
    row->source = make_world(row, o->seed);
    fwr_icmb_road_limits(row->net.stations[o->chassis].bridge, &limits);
    row->source->oem.max_request = limits.max_request;
    row->source->oem.max_reply = limits.max_reply;
    row->source->oem.window = limits.window;
    struct world_donor *d = world_add_donor(row->source, o->image);
    d->config.max_transfers = ROW_CHASSIS_MAX;
    if (world_boot(row->source) != FWR_OK)
        abort();
    work_donor(row);
}

static void make_chassis(struct row *row, uint8_t index)
{
    const struct row_options *o = row->options;
    struct row_chassis *c = &row->chassis[index];

    c->row = row;
    c->station = index;
    switch_on(row, index, c);
    c->w = make_world(row, o->seed + 1 + index);
    fwr_icmb_road_limits(row->net.stations[index].bridge, &c->w->peers[0].limits);
    if (o->no_broadcast)
        c->w->peers[0].limits.broadcast = 0;
    c->w->peers[0].name = "donor";
    c->w->config.peer_count = 1;
    c->w->config.min_rate = 16; /* what the slowest road may need: many share it */
    /* Different pieces do not touch; none has the guard block, which is the last one. */
    uint32_t pieces = o->different ? index : 0;
    world_damage(c->w, o->image->block_size * 3 + pieces * (o->damaged + o->image->block_size),
                 o->damaged);
    if (world_boot(c->w) != FWR_OK)
        abort();
    c->config = (struct fwr_icmb_road_config){.size = sizeof(c->config),
                                              .bridge = row->net.stations[index].bridge,
                                              .address = ADDRESS(o->chassis),
                                              .iana = c->w->oem.iana,
                                              .command_base = c->w->oem.command_base,
                                              .ctx = c,
                                              .reply = take_reply,
                                              .state = take_state};
    c->storage = malloc(fwr_icmb_road_storage());
    if (fwr_icmb_road_init(&c->road, c->storage, fwr_icmb_road_storage(), &c->config) != FWR_OK)
        abort();
    c->link = fwr_icmb_road_link(c->road);
    c->next_ms = FWR_NEVER;
}

static void clean(struct row *row)
{
    for (uint8_t i = 0; i < row->options->chassis; i++) {
        struct row_chassis *c = &row->chassis[i];
        fwr_icmb_road_end(c->road);
        free(c->storage);
        world_free(c->w);
        free(c->w);
    }
    world_free(row->source);
    free(row->source);
    icmb_net_free(&row->net);
}

/* ---- running ---- */

static uint64_t next_event(const struct row *row)
{
    uint64_t next = icmb_net_next(&row->net);

    for (uint8_t i = 0; i < row->options->chassis; i++) {
        uint64_t at = row->chassis[i].next_ms;
        if (at != FWR_NEVER && at * 1000 < next)
            next = at * 1000;
    }
    if (row->donor_ms != FWR_NEVER && row->donor_ms * 1000 < next)
        next = row->donor_ms * 1000;
    return next;
}

static bool all_finished(const struct row *row)
{
    for (uint8_t i = 0; i < row->options->chassis; i++)
        if (!row->chassis[i].finished)
            return false;
    return true;
}

static void start_next(struct row *row)
{
    for (uint8_t i = 0; i < row->options->chassis; i++) {
        struct row_chassis *c = &row->chassis[i];
        if (!c->started)
            start(c);
        if (row->options->one_by_one && !c->finished)
            return;
    }
}

static void turn(struct row *row, uint64_t at)
{
    icmb_net_run(&row->net, at);
    if (row->asked || row->donor_ms <= now_ms(row))
        work_donor(row);
    tell_all(row);
    for (uint8_t i = 0; i < row->options->chassis; i++) {
        struct row_chassis *c = &row->chassis[i];
        if (!c->finished && (c->woken || c->next_ms <= now_ms(row)))
            work(c);
        if (c->finished)
            c->next_ms = FWR_NEVER;
    }
    start_next(row);
}

/* ---- figures ---- */

/* What the wire counts since `before`. */
static void count(const struct row *row, const struct wire_stats *before, uint64_t packets,
                  struct row_result *result)
{
    struct wire_stats after;

    wire_stats(&row->net.wire, row->net.now_us, &after);
    result->seconds = (double)(after.elapsed_us - before->elapsed_us) / 1e6;
    result->bytes = after.characters - before->characters;
    result->collisions = after.collisions - before->collisions;
    result->busy = (double)(after.busy_us - before->busy_us) / 1e6 / result->seconds;
    result->packets = row->net.packets - packets;
    result->broadcasts = row->broadcasts;
}

static void judge(struct row *row, uint64_t escapes, struct row_result *result)
{
    const struct row_options *o = row->options;
    struct fwr_icmb_config config = row->net.stations[0].config;
    struct fwr_link_limits limits;
    double exchanges = 0, characters = 0, of_all;

    result->right = true;
    fwr_icmb_road_limits(row->net.stations[0].bridge, &limits);
    result->block = limits.max_reply - 1u;
    for (uint8_t i = 0; i < o->chassis; i++) {
        const struct world *w = row->chassis[i].w;
        struct fwr_status_page status = world_status(w);
        result->right &= row->chassis[i].finished && status.state == FWR_STATE_DONE &&
                         status.reason == 0 && world_is_right(w, o->image);
        result->received += status.bytes_received;
        result->refetched += status.blocks_refetched;
        result->blocks += (uint64_t)status.blocks_fetched * o->image->block_size;
    }
    exchanges = (double)result->received / result->block;
    characters = exchanges * fwr_icmb_exchange_characters(&config, READ_REQUEST, result->block + 2);
    of_all = result->packets > 0 ? 2 * exchanges / (double)result->packets : 0;
    characters += (double)escapes * (of_all < 1 ? of_all : 1);
    result->least_seconds = characters * WIRE_BITS / WIRE_BAUD;
}

void row_run(const struct row_options *options, struct row_result *result)
{
    struct row *row = calloc(1, sizeof(*row));
    struct wire_config wire = {.seed = options->seed, .noise = options->noise};
    struct wire_stats before;
    uint64_t end, next;

    memset(result, 0, sizeof(*result));
    row->options = options;
    icmb_net_init(&row->net, &wire, (uint16_t)(options->chassis + 1));
    icmb_net_run(&row->net, 1000);
    make_source(row);
    for (uint8_t i = 0; i < options->chassis; i++)
        make_chassis(row, i);
    if (!icmb_net_settle(&row->net, SETTLE_US))
        abort();
    wire_stats(&row->net.wire, row->net.now_us, &before);
    uint64_t packets = row->net.packets, escapes = row->net.escapes;
    end = row->net.now_us + (options->limit_ms ? options->limit_ms : DAY_MS) * 1000;
    start_next(row);
    while (!all_finished(row) && (next = next_event(row)) <= end && next != WIRE_NEVER)
        turn(row, next);
    count(row, &before, packets, result);
    judge(row, row->net.escapes - escapes, result);
    clean(row);
    free(row);
}

/* ---- discovery ---- */

static void count_twice(const struct icmb_net *net, struct row_discovery *result)
{
    for (uint16_t i = 0; i < net->count; i++) {
        result->assignments += net->stations[i].assignments;
        for (uint16_t k = 0; k < i; k++)
            result->twice += net->stations[i].address == net->stations[k].address;
    }
}

void row_discover(uint16_t nodes, uint64_t seed, struct row_discovery *result)
{
    struct icmb_net *net = calloc(1, sizeof(*net));
    struct wire_config wire = {.seed = seed};
    struct fwr_icmb_config config = {.size = sizeof(config)};
    struct fwr_icmb_discovery *discovery;
    void *storage = malloc(fwr_icmb_discovery_storage());
    const uint16_t *addresses;
    struct wire_stats before, after;
    size_t count = 0;

    memset(result, 0, sizeof(*result));
    icmb_net_init(net, &wire, nodes);
    for (uint16_t i = 0; i < nodes; i++)
        icmb_net_on(net, i, &config);
    if (!icmb_net_settle(net, 10 * SETTLE_US) ||
        fwr_icmb_discovery_init(&discovery, storage, fwr_icmb_discovery_storage(),
                                net->stations[0].bridge) != FWR_OK)
        abort();
    wire_stats(&net->wire, net->now_us, &before);
    result->settled = (double)net->now_us / 1e6;
    result->error = fwr_icmb_discovery_start(discovery, net->now_us);
    icmb_net_touch(net, 0);
    while (result->error == FWR_OK && (result->error = fwr_icmb_discovery_state(
                                           discovery, &addresses, &count)) == FWR_PENDING) {
        uint64_t next = icmb_net_next(net), own = fwr_icmb_discovery_next_timeout(discovery);
        if (own < next)
            next = own;
        icmb_net_run(net, next);
        fwr_icmb_discovery_timeout(discovery, net->now_us);
        icmb_net_touch(net, 0);
        result->error = FWR_OK;
    }
    wire_stats(&net->wire, net->now_us, &after);
    result->found = (uint16_t)count;
    result->seconds = (double)(after.elapsed_us - before.elapsed_us) / 1e6;
    result->bytes = after.characters - before.characters;
    count_twice(net, result);
    fwr_icmb_discovery_end(discovery);
    free(storage);
    icmb_net_free(net);
    free(net);
}
