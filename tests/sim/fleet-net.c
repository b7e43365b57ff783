/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wires of a fleet, see fleet.h: a message waits for the sender's NIC, its rack's uplink,
 * the other rack's and the receiver's NIC, each as long as it takes; half a round trip comes on
 * top. A lost message has used the sender's NIC. Called by the nodes; it knows no engine.
 */
#include "tests/sim/fleet.h"

#define HANDSHAKE_BYTES 60u /* of data in a message that opens a session */
/* As the library's own initiator does it, with the settings of ipmi_sim's module: */
#define HANDSHAKE_FIRST_US 300000u  /* until the first repetition, doubled each time */
#define HANDSHAKE_RETRY_US 100000u  /* the same, once the first exchange was measured */
#define HANDSHAKE_ATTEMPTS 4        /* of the first exchange, and of a handshake */
#define HANDSHAKE_TRIES    2        /* of a later exchange */
#define HANDSHAKE_PAUSE_US 1000000u /* after a handshake that failed, doubled each time */
#define SESSION_IDLE_US    20000000u

struct fleet_message *fleet_message_new(struct fleet *f)
{
    struct fleet_message *m = f->free;

    if (m == NULL)
        m = malloc(sizeof(*m));
    else
        f->free = m->next;
    if (m == NULL)
        abort();
    return m;
}

void fleet_message_free(struct fleet *f, struct fleet_message *m)
{
    m->next = f->free;
    f->free = m;
}

/* Waits for a wire that is free at `*wire`, then uses it. */
static uint64_t pass(uint64_t at, uint64_t *wire, uint32_t bits, uint32_t bits_us)
{
    if (*wire > at)
        at = *wire;
    *wire = at + (bits + bits_us - 1) / bits_us;
    return *wire;
}

static uint32_t round_trip(const struct fleet *f, uint32_t a, uint32_t b)
{
    return f->nodes[a].rack == f->nodes[b].rack ? FLEET_TRIP_NEAR_US : FLEET_TRIP_FAR_US;
}

static bool lost(struct fleet *f)
{
    return f->options.loss > 0 && fleet_draw(f, 1000) < f->options.loss;
}

void fleet_net_send(struct fleet *f, struct fleet_message *m, uint64_t at)
{
    struct fleet_node *from = &f->nodes[m->from], *to = &f->nodes[m->to];
    uint32_t bytes = m->length + FLEET_OVERHEAD, bits = bytes * 8;

    f->result->bytes += bytes;
    f->result->payload += m->length;
    at = pass(at, &from->nic_out, bits, FLEET_NIC_BITS_US);
    if (lost(f)) {
        fleet_message_free(f, m);
        return;
    }
    if (from->rack != to->rack) {
        at = pass(at, &f->uplinks[from->rack], bits, FLEET_UPLINK_BITS_US);
        at = pass(at, &f->downlinks[to->rack], bits, FLEET_UPLINK_BITS_US);
    }
    at = pass(at + round_trip(f, m->from, m->to) / 2, &to->nic_in, bits, FLEET_NIC_BITS_US);
    fleet_post(f, at, FLEET_EVENT_ARRIVE, m->to, m);
}

/* One exchange of a handshake, of so many tries: false when all of them were lost. */
static bool exchange(struct fleet *f, uint32_t trip_us, uint32_t retry_us, unsigned tries,
                     uint64_t *took)
{
    for (unsigned i = 0; i < tries; i++) {
        f->result->bytes += 2 * (HANDSHAKE_BYTES + FLEET_OVERHEAD);
        if (!lost(f) && !lost(f)) {
            *took += trip_us;
            return true;
        }
        *took += (uint64_t)retry_us << i;
    }
    return false;
}

/* A handshake, begun anew where one of its later steps is lost twice; false when it failed. */
static bool handshake(struct fleet *f, uint32_t trip_us, uint64_t *took)
{
    for (unsigned i = 0; i < HANDSHAKE_ATTEMPTS; i++) {
        unsigned trip = 1;

        if (!exchange(f, trip_us, HANDSHAKE_FIRST_US, HANDSHAKE_ATTEMPTS, took))
            return false;
        while (trip < FLEET_SESSION_TRIPS &&
               exchange(f, trip_us, HANDSHAKE_RETRY_US, HANDSHAKE_TRIES, took))
            trip++;
        if (trip == FLEET_SESSION_TRIPS)
            return true;
    }
    return false;
}

bool fleet_net_session(struct fleet_node *n, uint8_t peer)
{
    struct fleet *f = n->fleet;
    struct fleet_session *s = &n->sessions[peer];
    uint32_t trip_us = round_trip(f, n->number, n->peer_numbers[peer]);
    uint64_t took = 0;

    if (s->used != 0 && (f->now < s->open || f->now < s->used + SESSION_IDLE_US)) {
        if (f->now < s->open)
            return false;
        s->used = f->now;
        return true;
    }
    f->sessions++;
    for (unsigned i = 0; !handshake(f, trip_us, &took); i++) {
        took += (uint64_t)HANDSHAKE_PAUSE_US << (i < 6 ? i : 6);
        f->sessions++;
    }
    s->used = s->open = f->now + took;
    n->opening++;
    fleet_post(f, s->open, FLEET_EVENT_OPEN, n->number, NULL);
    return false;
}
