/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A multi-drop half-duplex bus, modelled as the wire it is: characters take their time, everybody
 * hears every character and its sender too, and what is sent at overlapping times is garbled for
 * all. Noise, cuts and stuck nodes come from one seed and the caller's orders; the same calls give
 * the same characters. The caller passes the time in; there is no clock, heap or I/O here. Used by
 * the bus program between ptys, and by the simulations on virtual time.
 */
#ifndef FWR_IPMI_SIM_WIRE_H
#define FWR_IPMI_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_NODES_MAX    128
#define WIRE_QUEUE        512 /* characters a node may have waiting */
#define WIRE_NEVER        UINT64_MAX
#define WIRE_BAUD         19200
#define WIRE_BITS         10 /* of a character: start, 8 data, stop */
#define WIRE_NOISE_UNIT   1000000
#define WIRE_SPURIOUS_MAX 500000

/* Chances in a million. */
struct wire_noise {
    uint32_t common;   /* of a character to be wrong for all who hear it */
    uint32_t single;   /* of a character to be wrong for one receiver only */
    uint32_t spurious; /* of a character from nowhere, in a character's time; at most half */
};

/* Zero means the default: 19,200 bit/s, 10 bits to a character. */
struct wire_config {
    uint32_t baud;
    uint32_t bits;
    uint64_t seed;
    uint16_t nodes; /* at most WIRE_NODES_MAX */
    struct wire_noise noise;
};

enum wire_stuck {
    WIRE_FREE = 0,
    WIRE_HELD = 1,    /* drives the bus for ever: a break, and then nothing passes */
    WIRE_BABBLES = 2, /* sends without end */
};

struct wire_node_counts {
    uint64_t sent;    /* characters */
    uint64_t heard;   /* its own among them */
    uint64_t garbled; /* of those heard: by a collision, a break or a cut */
    uint64_t flipped; /* of those heard: by noise */
};

struct wire_stats {
    uint64_t elapsed_us;
    uint64_t busy_us;    /* somebody drove the bus */
    uint64_t characters; /* sent, by all */
    uint64_t collisions; /* characters that began while another was on the bus */
    uint64_t swallowed;  /* characters sent while the bus was held */
    uint64_t spurious;   /* characters from nowhere */
    uint64_t gaps;       /* times the bus fell silent between two characters */
    uint64_t gap_us;     /* all of them together, */
    uint64_t shortest_gap_us, longest_gap_us;
};

/* The rest of this struct is wire.c's. Times in ns. */
struct wire_node {
    uint8_t queue[WIRE_QUEUE];
    uint16_t head, count;
    uint64_t ready_at; /* when what waits may begin */
    bool sending;
    uint8_t value; /* being sent */
    uint64_t ends;
    enum wire_stuck stuck;
    uint8_t segment;

    /* What its receiver is in the middle of. */
    bool hearing, broken;
    uint8_t both; /* all that is driven, where a 0 wins */
    uint16_t talkers;
    uint32_t values[8]; /* the set of them: none of these is heard after a collision */
    uint64_t heard_from, heard_until;

    struct wire_node_counts counts;
};

/* One more character of one node's receiver. */
struct wire_heard {
    uint64_t at_us;
    uint16_t node;
    uint8_t value;
    bool garbled; /* what a receiver would call a framing error */
};

struct wire {
    uint64_t character; /* ns */
    uint64_t seed, random;
    struct wire_noise noise;
    uint16_t count;
    uint64_t now;
    uint64_t spurious_at;
    uint16_t driving; /* nodes that send a character now */
    uint16_t held;    /* nodes that hold the bus */
    uint64_t held_from;
    uint64_t busy, busy_until, gap, shortest_gap, longest_gap;
    bool used;
    struct wire_stats stats;
    struct wire_node nodes[WIRE_NODES_MAX + 1]; /* the last one is the air, heard by all */
    uint16_t fresh, taken;                      /* of those just heard */
    struct wire_heard heard[WIRE_NODES_MAX];
};

/* All nodes idle on one whole bus, at time 0. False when a value of `config` is out of range. */
bool wire_init(struct wire *w, const struct wire_config *config);

/* A node sends these characters, one behind the other, after those that wait already. How many
 * there was room for. A node that is stuck sends nothing of its own. */
size_t wire_send(struct wire *w, uint64_t now_us, uint16_t node, const void *characters,
                 size_t length);

/* How many characters wire_send would take. */
size_t wire_room(const struct wire *w, uint16_t node);

/* A node thinks better of what it has not begun to send. How many characters that were. */
size_t wire_flush(struct wire *w, uint16_t node);

/* Whether a node has nothing on the bus and nothing waiting. */
bool wire_is_idle(const struct wire *w, uint16_t node);

/* When something happens next: WIRE_NEVER, or a time for wire_hear. */
uint64_t wire_next(const struct wire *w);

/* Takes the next character that some node has heard until `now_us`, in the order of time; false
 * when there is none. Answers may be sent between two calls. */
bool wire_hear(struct wire *w, uint64_t now_us, struct wire_heard *heard);

/* How long a character takes, rounded up. */
uint64_t wire_character_us(const struct wire *w);

/* The orders below belong after wire_hear has given everything until now. */

/* Nodes hear each other when they are in the same segment; all begin in 0. */
void wire_part(struct wire *w, uint16_t node, uint8_t segment);

void wire_stick(struct wire *w, uint64_t now_us, uint16_t node, enum wire_stuck how);

void wire_noise(struct wire *w, uint64_t now_us, const struct wire_noise *noise);

void wire_stats(const struct wire *w, uint64_t now_us, struct wire_stats *stats);

const struct wire_node_counts *wire_node_counts(const struct wire *w, uint16_t node);

#endif
