/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ICMB of the simulations: see icmb-net.h.
 */
#include "tests/sim/icmb-net.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "link/icmb/assumed.h"
#include "tests/unit/seeded.h"

#define PORTION  64
#define SPINNING 10000 /* moments at one time: something never rests */

static int platform_random(void *ctx, void *buffer, size_t length)
{
    struct icmb_station *s = ctx;

    seeded_fill(&s->random, buffer, length);
    return FWR_OK;
}

static void platform_log(void *ctx, enum fwr_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

void icmb_net_init(struct icmb_net *net, const struct wire_config *config, uint16_t count)
{
    struct wire_config c = *config;
    uint64_t random = config->seed;

    memset(net, 0, sizeof(*net));
    c.nodes = (uint16_t)(count + 1);
    if (!wire_init(&net->wire, &c))
        abort();
    net->count = count;
    for (uint16_t i = 0; i < count; i++) {
        struct icmb_station *s = &net->stations[i];
        s->net = net;
        s->index = i;
        s->random = seeded_next(&random);
        s->next_us = WIRE_NEVER;
        s->platform = (struct fwr_platform){
            .size = sizeof(s->platform), .ctx = s, .random = platform_random, .log = platform_log};
    }
}

void icmb_net_free(struct icmb_net *net)
{
    for (uint16_t i = 0; i < net->count; i++) {
        icmb_net_off(net, i);
        free(net->stations[i].storage);
    }
}

void icmb_net_on(struct icmb_net *net, uint16_t station, const struct fwr_icmb_config *config)
{
    struct icmb_station *s = &net->stations[station];

    s->config = *config;
    s->config.platform = &s->platform;
    if (s->storage == NULL)
        s->storage = malloc(fwr_icmb_bridge_storage());
    if (fwr_icmb_bridge_init(&s->bridge, s->storage, fwr_icmb_bridge_storage(), &s->config,
                             net->now_us) != FWR_OK)
        abort();
    s->up = true;
    icmb_net_touch(net, station);
}

void icmb_net_off(struct icmb_net *net, uint16_t station)
{
    struct icmb_station *s = &net->stations[station];

    if (!s->up)
        return;
    fwr_icmb_bridge_end(s->bridge);
    s->bridge = NULL;
    s->up = false;
    s->next_us = WIRE_NEVER;
    s->address = 0;
    wire_flush(&net->wire, station);
}

static void look_at_address(struct icmb_net *net, struct icmb_station *s)
{
    struct fwr_icmb_status status;

    fwr_icmb_bridge_status(s->bridge, net->now_us, &status);
    uint16_t address = status.state == FWR_ICMB_ENABLED ? status.address : 0;
    s->assignments += address != 0 && address != s->address;
    s->address = address;
}

void icmb_net_touch(struct icmb_net *net, uint16_t station)
{
    struct icmb_station *s = &net->stations[station];
    uint8_t bytes[PORTION];
    size_t length;

    if (!s->up)
        return;
    while ((length = fwr_icmb_bridge_next_send(s->bridge, net->now_us, bytes, sizeof(bytes))) > 0)
        if (wire_send(&net->wire, net->now_us, station, bytes, length) != length &&
            net->wire.nodes[station].stuck == WIRE_FREE)
            abort(); /* it gives more away than it may */
    s->next_us = fwr_icmb_bridge_next_timeout(s->bridge);
    look_at_address(net, s);
}

uint64_t icmb_net_next(const struct icmb_net *net)
{
    uint64_t next = wire_next(&net->wire);

    for (uint16_t i = 0; i < net->count; i++)
        if (net->stations[i].next_us < next)
            next = net->stations[i].next_us;
    return next;
}

static void listen(struct icmb_net *net, const struct wire_heard *h)
{
    if (h->garbled)
        net->in_packet = false;
    else if (h->value == ICMB_ESCAPE)
        net->escapes++;
    else if (h->value == ICMB_START)
        net->in_packet = true;
    else if (h->value == ICMB_STOP) {
        net->packets += net->in_packet;
        net->in_packet = false;
    }
}

static void happen(struct icmb_net *net)
{
    struct wire_heard h;

    while (wire_hear(&net->wire, net->now_us, &h)) {
        if (h.node == net->count) {
            listen(net, &h);
            continue;
        }
        struct icmb_station *s = &net->stations[h.node];
        if (!s->up)
            continue;
        fwr_icmb_bridge_receive(s->bridge, net->now_us, &h.value, 1);
        icmb_net_touch(net, h.node);
    }
    for (uint16_t i = 0; i < net->count; i++) {
        struct icmb_station *s = &net->stations[i];
        if (!s->up || s->next_us > net->now_us)
            continue;
        fwr_icmb_bridge_timeout(s->bridge, net->now_us);
        icmb_net_touch(net, i);
    }
}

void icmb_net_run(struct icmb_net *net, uint64_t until_us)
{
    uint64_t next;
    unsigned spins = 0;

    while ((next = icmb_net_next(net)) <= until_us && next != WIRE_NEVER) {
        spins = next > net->now_us ? 0 : spins + 1;
        if (spins > SPINNING)
            abort();
        net->now_us = next > net->now_us ? next : net->now_us;
        happen(net);
    }
    if (until_us > net->now_us && until_us != WIRE_NEVER)
        net->now_us = until_us;
}

bool icmb_net_settle(struct icmb_net *net, uint64_t limit_us)
{
    uint64_t end = net->now_us + limit_us;

    while (net->now_us < end) {
        bool all = true;
        for (uint16_t i = 0; i < net->count; i++)
            all &= !net->stations[i].up || net->stations[i].address != 0;
        if (all)
            return true;
        uint64_t next = icmb_net_next(net);
        icmb_net_run(net, next < end ? next : end);
    }
    return false;
}
