/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node's place on the wire: when it may send, whether what it hears is what it sent, and what
 * it does when it is not. Packets wait in a bounded queue. It knows no commands and no addresses.
 *
 * A node sends when the bus has been silent for the gap of the packet's rank, and not inside
 * somebody's frame. It gives its characters away in small portions and compares each one with
 * what comes back: another character means that somebody else sends too. Then it stops at once
 * and tries again after the next gap and a random number of slots, out of more with each loss.
 * Nodes that ask all the time take turns, in the order of their addresses: each hears all others,
 * and leaves as many slots as there are nodes whose turn comes first. So nobody who lost once has
 * to wait for a pair that never pauses, and a busy bus has hardly any collisions.
 */
#ifndef FWR_ICMB_LINE_H
#define FWR_ICMB_LINE_H

#include "link/icmb/frame.h"

/* What goes first. Ranks have different gaps, so that they do not collide with each other. */
enum fwr_icmb_rank {
    FWR_ICMB_RANK_REPLY,
    FWR_ICMB_RANK_REQUEST,
    FWR_ICMB_RANK_BROADCAST,
    FWR_ICMB_RANKS,
};

#define FWR_ICMB_QUEUE_MAX 40

struct fwr_icmb_queued {
    bool used;
    bool contended; /* had to wait for others */
    uint8_t rank;
    uint8_t losses;
    uint8_t deaf;
    uint16_t slots; /* of its own to wait, besides the line's */
    uint32_t token;
    uint32_t order;
    uint64_t deadline;
    struct fwr_icmb_packet packet;
};

/* What tells one of our frames from the same node's others. */
struct fwr_icmb_signature {
    bool used;
    uint16_t source, destination, length;
    uint8_t type, sequence, command;
    uint64_t until;
};
#define FWR_ICMB_SIGNATURES 4

/* A node that asked others lately. */
struct fwr_icmb_asker {
    bool used;
    uint8_t missed; /* turns in a row */
    uint16_t address;
    uint64_t heard;
};

struct fwr_icmb_line_config {
    const struct fwr_platform *platform;
    void *ctx;
    uint32_t bit_rate;
    uint8_t gap[FWR_ICMB_RANKS];
    uint8_t portion;
    uint32_t echo_us;
    uint32_t give_up_us;
    /* A packet that this node did not send, to whomever. */
    void (*packet)(void *ctx, uint64_t now_us, const struct fwr_icmb_packet *packet);
    /* A queued packet is out (FWR_OK), or never will be: FWR_E_BUSY, the bus was never free;
     * FWR_E_IO, the node does not hear itself. */
    void (*sent)(void *ctx, uint64_t now_us, uint32_t token, int error);
};

struct fwr_icmb_line {
    struct fwr_icmb_line_config config;
    struct fwr_icmb_statistics *statistics; /* the bridge's */
    struct fwr_icmb_receiver receiver;
    struct fwr_icmb_packet packet; /* being handed over */

    uint64_t heard_at; /* when the last character came */
    bool reply_due;    /* the last packet was a request, to one node */
    bool owes;         /* this node's last packet, and the bus's, was a reply: now it is the turn of
                          those who listen */
    uint64_t busy_from; /* since then without a pause or a packet */
    uint8_t level;      /* of the back-off */
    uint16_t slots;     /* still to wait */
    uint32_t order;
    uint8_t queued; /* places used */
    struct fwr_icmb_queued queue[FWR_ICMB_QUEUE_MAX];
    struct fwr_icmb_signature signatures[FWR_ICMB_SIGNATURES];
    struct fwr_icmb_asker askers[FWR_ICMB_NODES_MAX];
    uint16_t last_asker; /* whose request was the last on the bus */

    int current; /* queue place being sent; -1: none */
    uint16_t frame_length, handed, echoed;
    uint64_t echo_by;
    bool take_back; /* what is flying is not wanted any more */
    uint8_t frame[FWR_ICMB_FRAME_MAX];
};

void fwr_icmb_line_init(struct fwr_icmb_line *line, const struct fwr_icmb_line_config *config,
                        struct fwr_icmb_statistics *statistics, uint64_t now_us);

/* Characters as microseconds. */
uint64_t fwr_icmb_line_us(const struct fwr_icmb_line *line, uint32_t characters);

struct fwr_icmb_sending {
    uint8_t rank;        /* enum fwr_icmb_rank */
    uint16_t slots;      /* spread over so many; 0: at once */
    uint32_t token;      /* 0: nobody wants to know */
    uint32_t give_up_us; /* 0: the line's */
};

/* Queues a copy. FWR_OK, FWR_E_BUSY (no room for this rank). */
int fwr_icmb_line_queue(struct fwr_icmb_line *line, uint64_t now_us,
                        const struct fwr_icmb_packet *packet,
                        const struct fwr_icmb_sending *sending);
bool fwr_icmb_line_room(const struct fwr_icmb_line *line, uint8_t rank);

/* Takes back what was queued with this token, unless it is being sent. */
void fwr_icmb_line_drop(struct fwr_icmb_line *line, uint32_t token);
/* Takes back everything, also what is being sent. */
void fwr_icmb_line_clear(struct fwr_icmb_line *line);

void fwr_icmb_line_receive(struct fwr_icmb_line *line, uint64_t now_us, const uint8_t *bytes,
                           size_t length);
size_t fwr_icmb_line_next_send(struct fwr_icmb_line *line, uint64_t now_us, uint8_t *bytes,
                               size_t capacity);
uint64_t fwr_icmb_line_next_timeout(const struct fwr_icmb_line *line);
void fwr_icmb_line_timeout(struct fwr_icmb_line *line, uint64_t now_us);

/* Whether somebody does not stop sending. */
bool fwr_icmb_line_stuck(const struct fwr_icmb_line *line, uint64_t now_us);

/* A random number below `limit`, which is not 0; from the platform. */
uint32_t fwr_icmb_random(const struct fwr_platform *platform, uint32_t limit);

#endif
