/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges on one bus, in virtual time: the wire of ipmi-sim between up to 66 nodes, each with what
 * its callbacks were told. All from one seed.
 */
#ifndef FWR_TEST_ICMB_BUS_H
#define FWR_TEST_ICMB_BUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/icmb-road.h>
#include <fwrecover/icmb.h>

#include "ipmi-sim/wire.h"
#include "link/icmb/bridge.h"
#include "seeded.h"

#define BUS_NODES 67

struct bus_node {
    struct bus *bus;
    uint16_t number;
    struct fwr_platform platform;
    uint64_t random;
    struct fwr_icmb_config config;
    struct fwr_icmb_bridge *bridge;
    void *storage;
    bool dead; /* neither hears nor sends */

    unsigned states;
    enum fwr_icmb_state state;
    uint16_t address;

    unsigned answers;
    uint32_t token;
    size_t answer_length;
    uint8_t answer[FWR_ICMB_REPLY_MAX];

    unsigned served;
    bool late; /* answers are given later */
    uint32_t ticket;
    uint16_t source;
    uint8_t command;
    size_t request_length;
    uint8_t request[FWR_ICMB_DATA_MAX];
    size_t reply_length; /* of what it answers with; 0: echoes the request */
    uint8_t reply[FWR_ICMB_DATA_MAX];

    unsigned broadcasts, events;
    uint8_t event;
};

struct bus {
    struct wire wire;
    uint64_t now;
    unsigned count;
    struct bus_node nodes[BUS_NODES];
    bool flushes; /* the nodes' devices throw away what was not sent yet */
    struct fwr_icmb_discovery *discovery;
    uint64_t (*extra_next)(void *ctx);
    void (*extra_timeout)(void *ctx, uint64_t now_us);
    void *extra;
};

static int bus_random(void *ctx, void *buffer, size_t length)
{
    struct bus_node *node = ctx;

    seeded_fill(&node->random, buffer, length);
    return FWR_OK;
}

static size_t bus_serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *request,
                        uint8_t *reply, size_t capacity)
{
    struct bus_node *node = ctx;

    (void)now_us;
    node->served++;
    node->source = request->source;
    node->command = request->command;
    node->ticket = request->ticket;
    node->request_length = request->length;
    memcpy(node->request, request->data, request->length);
    if (node->late)
        return 0;
    if (node->reply_length > 0) {
        memcpy(reply, node->reply, node->reply_length);
        return node->reply_length;
    }
    reply[0] = 0;
    assert_true(request->length < capacity);
    memcpy(reply + 1, request->data, request->length);
    return 1 + request->length;
}

static void bus_answer(void *ctx, uint32_t token, const uint8_t *reply, size_t length)
{
    struct bus_node *node = ctx;

    node->answers++;
    node->token = token;
    node->answer_length = length;
    memcpy(node->answer, reply, length);
}

static void bus_broadcast(void *ctx, uint64_t now_us, uint16_t source, uint8_t command,
                          const uint8_t *data, size_t length)
{
    struct bus_node *node = ctx;

    (void)now_us;
    node->broadcasts++;
    node->source = source;
    node->command = command;
    node->request_length = length;
    memcpy(node->request, data, length);
}

static void bus_event(void *ctx, uint16_t source, uint8_t event)
{
    struct bus_node *node = ctx;

    node->events++;
    node->source = source;
    node->event = event;
}

static void bus_state(void *ctx, enum fwr_icmb_state state, uint16_t address)
{
    struct bus_node *node = ctx;

    node->states++;
    node->state = state;
    node->address = address;
}

static inline struct bus *bus_new(unsigned count, uint64_t seed)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    const struct wire_config config = {.seed = seed, .nodes = (uint16_t)(count + 1)};

    assert_non_null(bus);
    assert_true(wire_init(&bus->wire, &config));
    bus->count = count;
    bus->flushes = seed % 2 == 0;
    for (unsigned i = 0; i < count; i++) {
        struct bus_node *n = &bus->nodes[i];

        n->bus = bus;
        n->number = (uint16_t)i;
        n->random = seed * 1000 + i;
        n->platform =
            (struct fwr_platform){.size = sizeof(n->platform), .ctx = n, .random = bus_random};
        n->config = (struct fwr_icmb_config){.size = sizeof(n->config),
                                             .platform = &n->platform,
                                             .ctx = n,
                                             .address = (uint16_t)(0x10 + i),
                                             .serve = bus_serve,
                                             .answer = bus_answer,
                                             .broadcast = bus_broadcast,
                                             .event = bus_event,
                                             .state = bus_state};
    }
    return bus;
}

/* What a node wants to send goes to the wire as a tty's driver would take it. */
static inline void bus_flush(struct bus *bus, struct bus_node *node)
{
    uint8_t bytes[64];
    size_t length;

    while (!node->dead &&
           (length = fwr_icmb_bridge_next_send(node->bridge, bus->now, bytes, sizeof(bytes))) > 0)
        assert_int_equal(wire_send(&bus->wire, bus->now, node->number, bytes, length), length);
}

static inline void bus_start(struct bus *bus, unsigned i)
{
    struct bus_node *n = &bus->nodes[i];

    n->storage = malloc(fwr_icmb_bridge_storage());
    assert_non_null(n->storage);
    assert_int_equal(fwr_icmb_bridge_init(&n->bridge, n->storage, fwr_icmb_bridge_storage(),
                                          &n->config, bus->now),
                     FWR_OK);
}

static inline void bus_free(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        fwr_icmb_bridge_end(bus->nodes[i].bridge);
        free(bus->nodes[i].storage);
    }
    free(bus);
}

static inline uint64_t bus_next(struct bus *bus)
{
    uint64_t next = wire_next(&bus->wire), at;

    for (unsigned i = 0; i < bus->count; i++) {
        if (bus->nodes[i].bridge == NULL || bus->nodes[i].dead)
            continue;
        at = fwr_icmb_bridge_next_timeout(bus->nodes[i].bridge);
        next = at < next ? at : next;
    }
    if (bus->extra_next != NULL && (at = bus->extra_next(bus->extra)) < next)
        next = at;
    return next;
}

static inline void bus_turn(struct bus *bus)
{
    struct wire_heard heard;

    while (wire_hear(&bus->wire, bus->now, &heard)) {
        struct bus_node *n = &bus->nodes[heard.node];

        if (heard.node < bus->count && n->bridge != NULL && !n->dead) {
            fwr_icmb_bridge_receive(n->bridge, bus->now, &heard.value, 1);
            if (fwr_icmb_bridge_take_back(n->bridge) && bus->flushes)
                wire_flush(&bus->wire, n->number);
            bus_flush(bus, n);
        }
    }
    if (bus->extra_timeout != NULL)
        bus->extra_timeout(bus->extra, bus->now);
    for (unsigned i = 0; i < bus->count; i++) {
        struct bus_node *n = &bus->nodes[i];

        if (n->bridge == NULL || n->dead)
            continue;
        if (fwr_icmb_bridge_next_timeout(n->bridge) <= bus->now)
            fwr_icmb_bridge_timeout(n->bridge, bus->now);
        bus_flush(bus, n);
    }
}

/* Lets time pass, at most `us`, or until `done` holds. Whether it did. */
static inline bool bus_run_until(struct bus *bus, uint64_t us, bool (*done)(struct bus *bus))
{
    uint64_t end = bus->now + us;

    bus_turn(bus);
    while (bus->now < end) {
        uint64_t next;

        if (done != NULL && done(bus))
            return true;
        next = bus_next(bus);
        /* Something due at once was not done: it must not be due for ever. */
        bus->now = next <= bus->now ? bus->now + 1 : next < end ? next : end;
        bus_turn(bus);
    }
    return done != NULL && done(bus);
}

static inline void bus_run(struct bus *bus, uint64_t us)
{
    bus_run_until(bus, us, NULL);
}

/* All nodes at their configured addresses. */
static inline void bus_start_all(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        bus_start(bus, i);
    bus_run(bus, 4000000);
    for (unsigned i = 0; i < bus->count; i++)
        assert_int_equal(bus->nodes[i].state, FWR_ICMB_ENABLED);
}

/* A local command that is answered at once: its completion code, the rest in the node's answer. */
static inline int bus_local(struct bus *bus, unsigned i, uint8_t command, const void *data,
                            size_t length)
{
    struct bus_node *n = &bus->nodes[i];
    unsigned answers = n->answers;
    int result = fwr_icmb_bridge_local(n->bridge, bus->now, 4, command, data, length, 77, n->answer,
                                       &n->answer_length);

    if (result == FWR_PENDING) {
        for (int tries = 0; tries < 200 && n->answers == answers; tries++)
            bus_run(bus, 50000);
        assert_int_equal(n->answers, answers + 1);
        assert_int_equal(n->token, 77);
    }
    assert_true(n->answer_length >= 1);
    return n->answer[0];
}

#endif
