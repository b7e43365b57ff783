/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bus program says of its wire, as lines for people or as one line of JSON: see
 * icmb-bus.h.
 */
#include "ipmi-sim/icmb-bus.h"

#include <inttypes.h>

/* Of the data link's framing (lib/link/icmb): what a packet begins and ends with. */
#define PACKET_START 0xa0
#define PACKET_STOP  0xa5

void bus_listen(struct bus *bus, const struct wire_heard *heard)
{
    if (heard->garbled)
        bus->in_packet = false;
    else if (heard->value == PACKET_START) {
        bus->restarts += bus->in_packet;
        bus->in_packet = true;
    } else if (heard->value == PACKET_STOP) {
        bus->packets += bus->in_packet;
        bus->in_packet = false;
    }
}

/* As often as a node heard a wrong character. */
static uint64_t flipped(const struct bus *bus)
{
    uint64_t sum = 0;

    for (uint16_t i = 0; i < bus->nodes; i++)
        sum += wire_node_counts(&bus->wire, i)->flipped;
    return sum;
}

static double share(uint64_t part, uint64_t of)
{
    return of > 0 ? (double)part / (double)of : 0;
}

static void report_json(const struct bus *bus, const struct wire_stats *s, FILE *out)
{
    fprintf(out,
            "{\"seconds\": %.6f, \"baud\": %u, \"speed\": %g, \"seed\": %" PRIu64
            ", \"characters\": %" PRIu64 ", \"packets\": %" PRIu64 ", \"restarts\": %" PRIu64
            ", \"busy_seconds\": %.6f, \"busy_share\": %.4f, \"collisions\": %" PRIu64
            ", \"swallowed\": %" PRIu64 ", \"flipped\": %" PRIu64 ", \"spurious\": %" PRIu64
            ", \"gaps\": {\"count\": %" PRIu64 ", \"seconds\": %.6f, \"shortest_us\": %" PRIu64
            ", \"longest_us\": %" PRIu64 "}, \"latest_us\": %" PRIu64 ", \"nodes\": [",
            (double)s->elapsed_us / 1e6, bus->config.baud, bus->virtual_time ? 0 : bus->speed,
            bus->config.seed, s->characters, bus->packets, bus->restarts, (double)s->busy_us / 1e6,
            share(s->busy_us, s->elapsed_us), s->collisions, s->swallowed, flipped(bus),
            s->spurious, s->gaps, (double)s->gap_us / 1e6, s->shortest_gap_us, s->longest_gap_us,
            bus->latest_us);
    for (uint16_t i = 0; i < bus->nodes; i++) {
        const struct wire_node_counts *c = wire_node_counts(&bus->wire, i);
        const struct bus_port *port = &bus->ports[i];
        fprintf(out,
                "%s{\"sent\": %" PRIu64 ", \"heard\": %" PRIu64 ", \"garbled\": %" PRIu64
                ", \"flipped\": %" PRIu64 ", \"overruns\": %" PRIu64 ", \"openings\": %" PRIu64
                ", \"open\": %s}",
                i > 0 ? ", " : "", c->sent, c->heard, c->garbled, c->flipped, port->overruns,
                port->openings, port->open ? "true" : "false");
    }
    fprintf(out, "]}\n");
}

static void report_text(const struct bus *bus, const struct wire_stats *s, FILE *out)
{
    fprintf(out,
            "%.3f s on the wire, %" PRIu64 " characters, %" PRIu64
            " packets, busy %.1f %%, %" PRIu64 " collisions\n",
            (double)s->elapsed_us / 1e6, s->characters, bus->packets,
            100 * share(s->busy_us, s->elapsed_us), s->collisions);
    fprintf(out,
            "noise: %" PRIu64 " characters changed, %" PRIu64 " from nowhere; held: %" PRIu64
            " lost; gaps: %" PRIu64 ", %.3f s, from %" PRIu64 " to %" PRIu64 " us\n",
            flipped(bus), s->spurious, s->swallowed, s->gaps, (double)s->gap_us / 1e6,
            s->shortest_gap_us, s->longest_gap_us);
    for (uint16_t i = 0; i < bus->nodes; i++) {
        const struct wire_node_counts *c = wire_node_counts(&bus->wire, i);
        fprintf(out, "node%u: sent %" PRIu64 ", heard %" PRIu64 ", garbled %" PRIu64 "%s\n", i,
                c->sent, c->heard, c->garbled, bus->ports[i].open ? "" : ", away");
    }
}

void bus_report(const struct bus *bus, FILE *out)
{
    struct wire_stats s;

    wire_stats(&bus->wire, bus->now_us, &s);
    if (bus->json)
        report_json(bus, &s, out);
    else
        report_text(bus, &s, out);
    fflush(out);
}
