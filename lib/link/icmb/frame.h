/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMB packets as characters: one struct shared by the encoder and the receiver. The receiver
 * takes what is heard one character at a time, finds the next frame after any kind of nonsense,
 * and never keeps more than the longest packet. It knows no time and no addresses.
 */
#ifndef FWR_ICMB_FRAME_H
#define FWR_ICMB_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/icmb.h>

#include "link/icmb/assumed.h"

struct fwr_icmb_packet {
    uint16_t destination;
    uint16_t source;
    uint8_t type; /* ICMB_TYPE_… */
    uint8_t sequence;
    uint8_t command;
    uint16_t length; /* of the data */
    uint8_t data[FWR_ICMB_DATA_MAX];
};

/* A packet without start, stop and escapes. */
#define FWR_ICMB_PACKET_MAX (ICMB_HEADER + FWR_ICMB_DATA_MAX + ICMB_CHECKSUM)
/* Characters on the wire, if every one needs an escape. */
#define FWR_ICMB_FRAME_MAX (2 + 2 * FWR_ICMB_PACKET_MAX)

/* The frame's length, FWR_E_ARGUMENT (data too long) or FWR_E_NO_SPACE. */
int fwr_icmb_frame_encode(const struct fwr_icmb_packet *packet, uint8_t *frame, size_t capacity);

/* What a character meant. */
enum fwr_icmb_heard {
    FWR_ICMB_HEARD_PART,     /* of a frame, so far all is well */
    FWR_ICMB_HEARD_PACKET,   /* the stop of a good one */
    FWR_ICMB_HEARD_NOISE,    /* outside of any frame */
    FWR_ICMB_HEARD_RESTART,  /* a start inside a frame: what there was is lost */
    FWR_ICMB_HEARD_RUNT,     /* the stop of one that is too short */
    FWR_ICMB_HEARD_OVERLONG, /* more than any packet has: the rest is skipped */
    FWR_ICMB_HEARD_ESCAPE,   /* an escape of nothing: the rest is skipped */
    FWR_ICMB_HEARD_CHECKSUM, /* the stop of one that is wrong */
    FWR_ICMB_HEARD_TYPE,     /* the stop of one that is neither request nor response */
};

struct fwr_icmb_receiver {
    enum { ICMB_OUTSIDE, ICMB_INSIDE, ICMB_ESCAPING, ICMB_SKIPPING } state;
    uint16_t length;
    uint8_t bytes[FWR_ICMB_PACKET_MAX];
};

void fwr_icmb_receiver_init(struct fwr_icmb_receiver *receiver);

/* Takes one character. `packet` is filled in with FWR_ICMB_HEARD_PACKET only. */
enum fwr_icmb_heard fwr_icmb_receiver_take(struct fwr_icmb_receiver *receiver, uint8_t character,
                                           struct fwr_icmb_packet *packet);

/* Whether a frame has begun and not ended. */
bool fwr_icmb_receiver_inside(const struct fwr_icmb_receiver *receiver);

#endif
