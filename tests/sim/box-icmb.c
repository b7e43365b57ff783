/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A box without a LAN, see box.h: in some worlds what recipients ask and donors answer travels
 * over one ICMB, packet by packet, through the library's roads and bridges on a modelled wire.
 * Partitions are cuts of the wire there, losses are noise, and at times a node holds the bus or
 * babbles. Administrators keep their sessions over a LAN, since ICMB has none.
 */
#include "tests/sim/box.h"

#include <fwrecover/icmb-road.h>

#include "tests/sim/icmb-net.h"

#define EVERY       25 /* worlds */
#define ADDRESS(n)  ((uint16_t)(0x0410 + (n)))
#define SENDS_MAX   64 /* in a row that a road may refuse */
#define PER_LOSS    25 /* in a million characters wrong, where one message in a thousand is lost */
#define WAIT_MS     2000 /* for offers: more than on a LAN */
#define LEAST_RATE  16
#define ROUND_TRIP  40
#define BUS_LINK    BOX_NODES_MAX /* the caller's; the others' are numbers of nodes */
#define REPLY_LATER 0             /* of a bridge's `serve` */

struct box_drop {
    struct box *box;
    uint8_t node, peer; /* whose road, to which of its peers */
    struct fwr_icmb_road_config config;
    void *storage;
    struct fwr_icmb_road *road;
};

struct box_bus {
    struct icmb_net net;
    uint64_t random;
    uint16_t packet;
    uint64_t posted; /* when it is to be looked at (ms) */
    uint8_t stuck;   /* node; BOX_NODES_MAX: none */
    struct box_node *nodes[BOX_NODES_MAX];
    struct box_drop drops[BOX_BMCS_MAX][BOX_NODES_MAX];
};

bool box_bus_wanted(uint64_t seed)
{
    return seed % EVERY == EVERY / 2;
}

void box_bus_limits(const struct box *box, struct fwr_link_limits *limits)
{
    *limits =
        (struct fwr_link_limits){.max_request = (uint16_t)(box->bus->packet - 2),
                                 .max_reply = (uint16_t)(box->bus->packet - 1),
                                 .window = FWR_ICMB_OUTSTANDING_DEFAULT - 1,
                                 .medium = FWR_MEDIUM_ICMB,
                                 .round_trip_ms = ROUND_TRIP,
                                 .broadcast = (uint16_t)(box->bus->packet - FWR_BLOCK_DATA_HEADER)};
}

/* ---- time ---- */

static uint64_t next_event(const struct box *box)
{
    const struct box_bus *bus = box->bus;
    uint64_t next = icmb_net_next(&bus->net);

    for (uint8_t i = 0; i < box->bmc_count; i++) {
        for (uint8_t k = 0; k < BOX_NODES_MAX; k++) {
            const struct fwr_icmb_road *road = bus->drops[i][k].road;
            uint64_t at = road != NULL ? fwr_icmb_road_next_timeout(road) : FWR_NEVER;
            if (at != FWR_NEVER && at * 1000 < next)
                next = at * 1000;
        }
    }
    return next;
}

/* Lets the bus be looked at when something happens there. */
static void post(struct box *box)
{
    uint64_t next = next_event(box), at = next / 1000 + (next % 1000 != 0);

    if (next == WIRE_NEVER)
        return;
    if (at < box->now)
        at = box->now;
    if (box->bus->posted <= at)
        return;
    box->bus->posted = at;
    box_post(box, at, BOX_EVENT_BUS, 0, NULL);
}

/* What a donor has for everybody goes out as fast as the bus takes it; a liar's, changed. */
static void tell_all(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bus *bus = box->bus;
    struct fwr_icmb_bridge *bridge = bus->net.stations[n->index].bridge;
    uint8_t data[FWR_ICMB_DATA_MAX];

    while (n->up && n->donor != NULL && fwr_icmb_bridge_can_broadcast(bridge)) {
        int length = fwr_donor_next_broadcast(n->donor, box_clock(n), BUS_LINK, data, bus->packet);
        if (length <= 0)
            return;
        if (n->console != NULL && (n->console->lies & BOX_LIES_BLOCK) &&
            seeded_below(&bus->random, n->console->often) == 0) {
            data[length - 1] ^= 0x10;
            box->counts[BOX_LIE_BLOCK]++;
        }
        box->counts[BOX_TOLD_ALL]++;
        fwr_icmb_bridge_broadcast(bridge, box->now * 1000,
                                  (uint8_t)(n->oem.command_base + FWR_CMD_BLOCK_DATA), data,
                                  (size_t)length);
        icmb_net_touch(&bus->net, n->index);
    }
}

void box_bus_run(struct box *box, uint64_t at)
{
    struct box_bus *bus = box->bus;

    if (bus->posted == at)
        bus->posted = FWR_NEVER;
    icmb_net_run(&bus->net, box->now * 1000);
    for (uint8_t i = 0; i < box->bmc_count; i++) {
        for (uint8_t k = 0; k < BOX_NODES_MAX; k++) {
            struct fwr_icmb_road *road = bus->drops[i][k].road;
            if (road != NULL && fwr_icmb_road_next_timeout(road) <= box->now)
                fwr_icmb_road_timeout(road, box->now);
        }
    }
    for (uint8_t i = 0; i < box->node_count; i++)
        tell_all(&box->nodes[i]);
    post(box);
}

/* ---- what donors are asked ---- */

static bool find_sender(const struct box_bus *bus, uint16_t address, uint8_t *node)
{
    for (uint16_t i = 0; i < bus->net.count; i++) {
        if (bus->net.stations[i].address != address)
            continue;
        *node = (uint8_t)i;
        return true;
    }
    return false;
}

static size_t strip(const struct box_message *m, uint8_t *reply, size_t capacity)
{
    size_t body = m->length > FWR_OEM_HEADER ? m->length - (size_t)FWR_OEM_HEADER : 0;

    if (m->length == 0)
        return REPLY_LATER;
    if (body > capacity - 1)
        body = capacity - 1;
    reply[0] = m->bytes[0];
    memcpy(reply + 1, m->bytes + FWR_OEM_HEADER, body);
    return 1 + body;
}

static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *from, uint8_t *reply,
                    size_t capacity)
{
    struct box_node *n = ctx;
    struct box *box = n->box;
    struct box_message *m = box_message_new(box), *answer = box_message_new(box);
    uint32_t late_ms = 0;
    size_t length = REPLY_LATER;

    (void)now_us;
    m->to = answer->from = n->index;
    m->bus = true;
    m->command = answer->command = (uint8_t)(from->command - n->oem.command_base);
    m->session = from->source;
    m->length = (uint16_t)(FWR_IANA_SIZE + from->length);
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        m->bytes[i] = (uint8_t)(n->oem.iana >> 8 * i);
    if (from->length > 0)
        memcpy(m->bytes + FWR_IANA_SIZE, from->data, from->length);
    if (find_sender(box->bus, from->source, &m->from)) {
        box_trace_message(box, BOX_TRACE_CAME, m, 0);
        answer->to = m->from;
        answer->reply = answer->bus = true;
        answer->life = n->life;
        answer->serial = from->ticket;
        answer->length = (uint16_t)box_node_answer(n, m, answer->bytes, &late_ms);
        if (answer->length > 0 && n->bmc != NULL && n->bmc->cut)
            answer->length = 0;
        box_wake(n, box->now);
        box_trace_message(box, BOX_TRACE_SENT, answer, 0);
        box->counts[BOX_OVER_ICMB]++;
        length = late_ms > 0 ? REPLY_LATER : strip(answer, reply, capacity);
    }
    box_message_free(box, m);
    if (late_ms > 0 && answer->length > 0)
        box_post(box, box->now + late_ms, BOX_EVENT_ARRIVE, n->index, answer);
    else
        box_message_free(box, answer);
    return length;
}

void box_bus_answer(struct box *box, struct box_message *m)
{
    struct box_node *n = &box->nodes[m->from];
    uint8_t reply[FWR_ICMB_DATA_MAX];
    size_t length = strip(m, reply, box->bus->packet);

    if (n->up && n->life == m->life && length > 0) {
        fwr_icmb_bridge_answer(box->bus->net.stations[n->index].bridge, box->now * 1000, m->serial,
                               reply, length);
        icmb_net_touch(&box->bus->net, n->index);
        post(box);
    }
}

/* ---- what recipients hear ---- */

static void take_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct box_drop *d = ctx;
    struct box_node *n = &d->box->nodes[d->node];
    struct box_message *m = box_message_new(d->box);

    m->from = n->bmc->peer_nodes[d->peer];
    m->to = d->node;
    m->peer = d->peer;
    m->command = command;
    m->reply = m->bus = true;
    m->length = (uint16_t)length;
    memcpy(m->bytes, reply, length);
    box_trace_message(d->box, BOX_TRACE_CAME, m, 0);
    box_bmc_reply(n, m);
    box_wake(n, d->box->now);
    box_message_free(d->box, m);
}

/* Heard from whom it names as its source, which may be anybody. */
static void take_block(void *ctx, uint64_t now_us, uint16_t source, uint8_t command,
                       const uint8_t *data, size_t length)
{
    struct box_node *n = ctx;
    struct box_bmc *b = n->bmc;

    (void)now_us;
    if (command != n->oem.command_base + FWR_CMD_BLOCK_DATA)
        return;
    for (uint8_t k = 0; k < b->config.peer_count; k++)
        if (source == ADDRESS(b->peer_nodes[k]))
            fwr_recipient_heard(b->recipient, box_clock(n), k, data, length);
    box_wake(n, n->box->now);
}

static void take_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct box_drop *d = ctx;
    struct box_node *n = &d->box->nodes[d->node];

    box_say(d->box, n, "its road to %s: %s", n->bmc->peer_names[d->peer], fwr_error_name(error));
    fwr_recipient_peer(n->bmc->recipient, box_clock(n), d->peer, error,
                       limits != NULL ? limits : &n->bmc->peers[d->peer].limits);
    box_wake(n, d->box->now);
}

void box_bus_pump(struct box_node *n)
{
    struct box *box = n->box;
    struct fwr_outgoing out;
    unsigned refused = 0;

    while (refused < SENDS_MAX && fwr_recipient_next_send(n->bmc->recipient, box_clock(n), &out)) {
        int error = fwr_icmb_road_send(box->bus->drops[n->index][out.peer].road, box->now,
                                       out.command, out.data, out.length);
        if (error == FWR_OK)
            continue;
        fwr_recipient_unsent(n->bmc->recipient, box_clock(n), &out, error);
        refused++;
    }
    icmb_net_touch(&box->bus->net, n->index);
    post(box);
}

/* ---- who is there ---- */

void box_bus_on(struct box_node *n)
{
    struct box_bus *bus = n->box->bus;
    struct fwr_icmb_config config = {.size = sizeof(config),
                                     .ctx = n,
                                     .address = ADDRESS(n->index),
                                     .packet = bus->packet,
                                     .serve = serve,
                                     .broadcast = n->bmc != NULL ? take_block : NULL};

    icmb_net_run(&bus->net, n->box->now * 1000);
    icmb_net_on(&bus->net, n->index, &config);
    for (uint8_t k = 0; n->bmc != NULL && k < n->bmc->config.peer_count; k++) {
        struct box_drop *d = &bus->drops[n->index][k];
        d->box = n->box;
        d->node = n->index;
        d->peer = k;
        d->config = (struct fwr_icmb_road_config){
            .size = sizeof(d->config),
            .bridge = bus->net.stations[n->index].bridge,
            .address = ADDRESS(n->bmc->peer_nodes[k]),
            .iana = n->oem.iana,
            .command_base = n->oem.command_base,
            .ctx = d,
            .reply = take_reply,
            .state = take_state,
        };
        if (d->storage == NULL)
            d->storage = malloc(fwr_icmb_road_storage());
        if (fwr_icmb_road_init(&d->road, d->storage, fwr_icmb_road_storage(), &d->config) != FWR_OK)
            abort();
    }
    post(n->box);
}

void box_bus_off(struct box_node *n)
{
    struct box_bus *bus = n->box->bus;

    for (uint8_t k = 0; n->bmc != NULL && k < BOX_NODES_MAX; k++) {
        fwr_icmb_road_end(bus->drops[n->index][k].road);
        bus->drops[n->index][k].road = NULL;
    }
    icmb_net_off(&bus->net, n->index);
}

/* ---- what goes wrong ---- */

void box_bus_part(struct box *box)
{
    icmb_net_run(&box->bus->net, box->now * 1000);
    for (uint8_t i = 0; i < box->node_count; i++)
        wire_part(&box->bus->net.wire, i, box->wires.apart >> i & 1);
    post(box);
}

static void set_free(struct box_bus *bus)
{
    if (bus->stuck < BOX_NODES_MAX)
        wire_stick(&bus->net.wire, bus->net.now_us, bus->stuck, WIRE_FREE);
    bus->stuck = BOX_NODES_MAX;
}

/* The noise follows the losses of the other wires; now and then somebody blocks the bus. */
void box_bus_weather(struct box *box)
{
    struct box_bus *bus = box->bus;
    struct wire_noise noise = {.single = box->wires.loss * PER_LOSS,
                               .common = box->wires.corruption * PER_LOSS,
                               .spurious = box->wires.duplication * PER_LOSS};

    icmb_net_run(&bus->net, box->now * 1000);
    wire_noise(&bus->net.wire, bus->net.now_us, &noise);
    set_free(bus);
    if (!box->calm && seeded_below(&bus->random, 4) == 0) {
        bus->stuck = (uint8_t)seeded_below(&bus->random, box->node_count);
        enum wire_stuck how = seeded_below(&bus->random, 2) ? WIRE_HELD : WIRE_BABBLES;
        box->counts[BOX_BLOCKED]++;
        box_say(box, &box->nodes[bus->stuck], how == WIRE_HELD ? "holds the bus" : "babbles");
        wire_stick(&bus->net.wire, bus->net.now_us, bus->stuck, how);
    }
    post(box);
}

/* ---- making ---- */

/* Before the BMCs are planned. */
void box_bus_make(struct box *box)
{
    static const uint16_t packets[] = {24, 64, 128};
    struct box_bus *bus = calloc(1, sizeof(*bus));

    bus->random = box->seed;
    bus->packet = packets[seeded_below(&bus->random, 3)];
    bus->posted = FWR_NEVER;
    bus->stuck = BOX_NODES_MAX;
    box->bus = bus;
}

void box_bus_count(struct box *box)
{
    struct wire_stats stats;

    wire_stats(&box->bus->net.wire, box->bus->net.now_us, &stats);
    box->counts[BOX_COLLIDED] += stats.collisions;
    box_say(box, NULL, "%llu characters on the bus", (unsigned long long)stats.characters);
}

/* When all is planned. */
void box_bus_begin(struct box *box)
{
    struct wire_config wire = {.seed = box->seed};

    icmb_net_init(&box->bus->net, &wire, box->node_count);
    for (uint8_t i = 0; i < box->bmc_count; i++) {
        struct fwr_recipient_config *c = &box->nodes[i].bmc->config;
        c->min_rate = LEAST_RATE;
        c->gather_ms += WAIT_MS;
    }
    for (uint8_t i = 0; i < box->node_count; i++)
        box->nodes[i].oem.allow_sessionless = 1;
    box_say(box, NULL, "no LAN: an ICMB with packets of %u bytes", box->bus->packet);
    box_bus_weather(box);
}

void box_bus_free(struct box *box)
{
    struct box_bus *bus = box->bus;

    for (uint8_t i = 0; i < box->bmc_count; i++) {
        for (uint8_t k = 0; k < BOX_NODES_MAX; k++) {
            fwr_icmb_road_end(bus->drops[i][k].road);
            free(bus->drops[i][k].storage);
        }
    }
    icmb_net_free(&bus->net);
    free(bus);
    box->bus = NULL;
}
