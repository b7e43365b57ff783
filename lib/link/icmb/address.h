/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's address: the saved one or a random one is probed; who answers has it already, and
 * another one is tried. An address that somebody else is heard to use is given up, and looked for
 * anew; a node that loses its address again and again rests for a while (state ERROR).
 *
 * Probes come from the address that stands for none, so that they take nobody's away.
 */
#ifndef FWR_ICMB_ADDRESS_H
#define FWR_ICMB_ADDRESS_H

#include "link/icmb/frame.h"

struct fwr_icmb_bridge;

struct fwr_icmb_assignment {
    uint16_t candidate; /* being probed */
    uint8_t probes;     /* still to send */
    uint8_t moves;      /* addresses given up since moves_since */
    bool probing;       /* one is in the line's queue */
    uint64_t moves_since;
    uint64_t due; /* FWR_NEVER: nothing */
};

/* Looks for an address, `wanted` first; 0: a random one. */
void fwr_icmb_address_begin(struct fwr_icmb_bridge *bridge, uint64_t now_us, uint16_t wanted);
void fwr_icmb_address_stop(struct fwr_icmb_bridge *bridge);

/* Looks at a packet of somebody else. True: it was about addresses, and nobody else's business. */
bool fwr_icmb_address_heard(struct fwr_icmb_bridge *bridge, uint64_t now_us,
                            const struct fwr_icmb_packet *packet);
/* A probe is out, or could not be sent. */
void fwr_icmb_address_sent(struct fwr_icmb_bridge *bridge, uint64_t now_us, int error);
void fwr_icmb_address_timeout(struct fwr_icmb_bridge *bridge, uint64_t now_us);

#endif
