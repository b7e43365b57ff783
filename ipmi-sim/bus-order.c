/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be asked of the bus program while it runs, on standard input or by an option that
 * says when: see icmb-bus.h. One table has every order, so that checking and obeying agree.
 */
#include "ipmi-sim/icmb-bus.h"

#include <stdlib.h>
#include <string.h>

#include "tools/number.h"

static bool complain(const char *order, const char *what)
{
    fprintf(stderr, "fwrecover_icmb_bus: %s: %s\n", order, what);
    return false;
}

/* Up to `max` numbers with commas between. The count; 0 when the text is not that. */
static unsigned numbers(const char *text, unsigned max, uint64_t limit, uint64_t *values)
{
    unsigned count = 0;

    for (;;) {
        size_t length = strcspn(text, ",");
        if (count == max || !tool_number_span(text, length, limit, &values[count]))
            return 0;
        count++;
        if (text[length] == 0)
            return count;
        text += length + 1;
    }
}

static unsigned node_list(const struct bus *bus, const char *text, uint64_t *nodes)
{
    return numbers(text, BUS_NODES_MAX, (uint64_t)bus->nodes - 1, nodes);
}

/* The nodes named are on one side, all others on the other. */
static bool cut(struct bus *bus, const char *argument, bool obey)
{
    uint64_t nodes[BUS_NODES_MAX];
    unsigned count = node_list(bus, argument, nodes);

    for (unsigned i = 0; obey && i < bus->nodes; i++) {
        bool apart = false;
        for (unsigned k = 0; k < count; k++)
            apart |= nodes[k] == i;
        wire_part(&bus->wire, (uint16_t)i, apart);
    }
    return count > 0;
}

static bool heal(struct bus *bus, const char *argument, bool obey)
{
    for (unsigned i = 0; obey && i < bus->nodes; i++)
        wire_part(&bus->wire, (uint16_t)i, 0);
    return argument[0] == 0;
}

static bool noise(struct bus *bus, const char *argument, bool obey)
{
    uint64_t chances[3] = {0};
    unsigned count = numbers(argument, 3, WIRE_NOISE_UNIT, chances);
    struct wire_noise n = {.common = (uint32_t)chances[0],
                           .single = (uint32_t)chances[1],
                           .spurious = (uint32_t)chances[2]};

    if (count == 0 || n.spurious > WIRE_SPURIOUS_MAX)
        return false;
    if (obey)
        wire_noise(&bus->wire, bus->now_us, &n);
    return true;
}

static bool stick(struct bus *bus, const char *argument, bool obey, enum wire_stuck how)
{
    uint64_t nodes[BUS_NODES_MAX];
    unsigned count = node_list(bus, argument, nodes);

    for (unsigned i = 0; obey && i < count; i++)
        wire_stick(&bus->wire, bus->now_us, (uint16_t)nodes[i], how);
    return count > 0;
}

static bool stuck(struct bus *bus, const char *argument, bool obey)
{
    return stick(bus, argument, obey, WIRE_HELD);
}

static bool babble(struct bus *bus, const char *argument, bool obey)
{
    return stick(bus, argument, obey, WIRE_BABBLES);
}

static bool set_free(struct bus *bus, const char *argument, bool obey)
{
    return stick(bus, argument, obey, WIRE_FREE);
}

static bool stats(struct bus *bus, const char *argument, bool obey)
{
    if (obey)
        bus_report(bus, stdout);
    return argument[0] == 0;
}

static bool quit(struct bus *bus, const char *argument, bool obey)
{
    bus->quit |= obey;
    return argument[0] == 0;
}

static const struct {
    const char *name;
    bool (*carry_out)(struct bus *bus, const char *argument, bool obey);
    const char *argument; /* what it has to be */
} orders[] = {
    {"cut", cut, "numbers of nodes, with commas between"},
    {"heal", heal, "nothing"},
    {"noise", noise, "COMMON[,SINGLE[,SPURIOUS]], in millionths"},
    {"stuck", stuck, "numbers of nodes, with commas between"},
    {"babble", babble, "numbers of nodes, with commas between"},
    {"free", set_free, "numbers of nodes, with commas between"},
    {"stats", stats, "nothing"},
    {"quit", quit, "nothing"},
};

static bool find(struct bus *bus, const char *text, bool obey)
{
    size_t length = strcspn(text, " ");
    const char *argument = text + length + strspn(text + length, " ");

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strlen(orders[i].name) != length || strncmp(orders[i].name, text, length) != 0)
            continue;
        if (orders[i].carry_out(bus, argument, obey))
            return true;
        fprintf(stderr, "fwrecover_icmb_bus: %s: after %s comes %s\n", text, orders[i].name,
                orders[i].argument);
        return false;
    }
    return complain(text, "no such order: cut, heal, noise, stuck, babble, free, stats, quit");
}

bool bus_order_check(struct bus *bus, const char *text)
{
    return find(bus, text, false);
}

bool bus_order_obey(struct bus *bus, const char *text)
{
    return bus_order_check(bus, text) && find(bus, text, true);
}

bool bus_order_later(struct bus *bus, uint64_t at_us, const char *text)
{
    size_t at = bus->order_count;

    if (at == BUS_ORDERS_MAX || strlen(text) >= BUS_ORDER_TEXT)
        return complain(text, "too many orders, or too long a one");
    for (; at > 0 && bus->orders[at - 1].at_us > at_us; at--)
        bus->orders[at] = bus->orders[at - 1];
    bus->orders[at].at_us = at_us;
    memcpy(bus->orders[at].text, text, strlen(text) + 1);
    bus->order_count++;
    return true;
}
