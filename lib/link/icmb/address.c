/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address assignment: see address.h. Called by the bridge.
 */
#include "link/icmb/address.h"

#include <fwrecover/error.h>

#include "link/icmb/bridge.h"

#define PROBES        2
#define SPREAD_US     300000  /* a rack whose power comes back does not ask all at once */
#define PROBE_WAIT_US 80000   /* for an answer, under some contention */
#define RIVAL_WAIT_US 400000  /* two that probe one address: who comes back first has it */
#define AGAIN_US      1000000 /* the bus could not be had */
#define MOVES_MAX     8       /* in MOVES_US; then a rest of REST_US */
#define MOVES_US      60000000
#define REST_US       60000000

static uint16_t random_address(const struct fwr_icmb_bridge *bridge)
{
    /* Neither of the two that mean everybody and nobody. */
    return (uint16_t)(1 + fwr_icmb_random(bridge->config.platform, 0xfffe));
}

static void try_candidate(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint16_t candidate)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;

    a->candidate = candidate;
    a->probes = PROBES;
    a->probing = false;
    a->due = now_us;
}

void fwr_icmb_address_begin(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint16_t wanted)
{
    fwr_icmb_bridge_enter(bridge, now_us, FWR_ICMB_ASSIGNING, bridge->nobody);
    try_candidate(bridge, now_us, wanted != 0 ? wanted : random_address(bridge));
    bridge->assignment.due = now_us + fwr_icmb_random(bridge->config.platform, SPREAD_US);
}

void fwr_icmb_address_stop(struct fwr_icmb_bridge *bridge)
{
    bridge->assignment.due = FWR_NEVER;
    bridge->assignment.probing = false;
}

/* The address is somebody else's. */
static void move(struct fwr_icmb_bridge *bridge, uint64_t now_us)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;

    if (now_us - a->moves_since > MOVES_US) {
        a->moves_since = now_us;
        a->moves = 0;
    }
    if (++a->moves > MOVES_MAX) {
        fwr_icmb_bridge_enter(bridge, now_us, FWR_ICMB_ERROR, bridge->nobody);
        a->probing = false;
        a->due = now_us + REST_US;
        return;
    }
    fwr_icmb_address_begin(bridge, now_us, 0);
}

static void probe(struct fwr_icmb_bridge *bridge, uint64_t now_us)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;
    const struct fwr_icmb_packet packet = {.destination = a->candidate,
                                           .source = bridge->nobody,
                                           .type = ICMB_TYPE_REQUEST,
                                           .sequence = ++bridge->sequence,
                                           .command = FWR_ICMB_GET_ADDRESS};
    const struct fwr_icmb_sending sending = {.rank = FWR_ICMB_RANK_REQUEST, .token = UINT32_MAX};

    if (fwr_icmb_line_queue(&bridge->line, now_us, &packet, &sending) != FWR_OK) {
        a->due = now_us + AGAIN_US;
        return;
    }
    a->probing = true;
    a->due = FWR_NEVER;
}

void fwr_icmb_address_sent(struct fwr_icmb_bridge *bridge, uint64_t now_us, int error)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;

    if (!a->probing || bridge->state != FWR_ICMB_ASSIGNING)
        return;
    a->probing = false;
    if (error != FWR_OK) {
        a->due = now_us + AGAIN_US;
        return;
    }
    a->probes--;
    a->due = now_us + PROBE_WAIT_US;
}

bool fwr_icmb_address_heard(struct fwr_icmb_bridge *bridge, uint64_t now_us,
                            const struct fwr_icmb_packet *packet)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;

    if (bridge->address != bridge->nobody && packet->source == bridge->address) {
        bridge->statistics.conflicts++;
        move(bridge, now_us);
        return true;
    }
    if (bridge->state != FWR_ICMB_ASSIGNING)
        return false;
    if (packet->source == a->candidate) {
        bridge->statistics.conflicts++;
        move(bridge, now_us);
        return packet->destination == bridge->nobody;
    }
    /* Somebody else looks for the same address at the same time. */
    if (packet->destination == a->candidate && packet->source == bridge->nobody &&
        packet->type == ICMB_TYPE_REQUEST) {
        fwr_icmb_line_drop(&bridge->line, UINT32_MAX);
        try_candidate(bridge, now_us, a->candidate);
        a->due = now_us + PROBE_WAIT_US + fwr_icmb_random(bridge->config.platform, RIVAL_WAIT_US);
        return true;
    }
    return false;
}

void fwr_icmb_address_timeout(struct fwr_icmb_bridge *bridge, uint64_t now_us)
{
    struct fwr_icmb_assignment *a = &bridge->assignment;

    if (now_us < a->due)
        return;
    a->due = FWR_NEVER;
    if (bridge->state == FWR_ICMB_ERROR) {
        fwr_icmb_address_begin(bridge, now_us, 0);
    } else if (a->probes > 0) {
        probe(bridge, now_us);
    } else {
        fwr_icmb_bridge_enter(bridge, now_us, FWR_ICMB_ENABLED, a->candidate);
        fwr_icmb_bridge_send_event(bridge, now_us, FWR_ICMB_EVENT_ONLINE);
    }
}
