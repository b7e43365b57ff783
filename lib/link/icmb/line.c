/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's place on the wire: see line.h. Called by the bridge.
 */
#include "link/icmb/line.h"

#include <string.h>

#include <fwrecover/error.h>

#define OPENING_CHARACTERS (1 + 4) /* two senders differ here at the latest: start, addresses */
#define OPENING_PORTION    8       /* until then little is given away */
#define LOSSES_MAX         24      /* then the packet is given up */
#define DEAF_MAX           3
#define MISSED_MAX         3  /* turns, and a node has nothing to ask any more */
#define NEW_SLOTS          16 /* among which those without a turn choose */
#define ROOM               2  /* slots that a newcomer is let in */
#define STUCK_US           2000000
#define ASKER_US           5000000 /* then a node that asked has nothing to ask any more; */
#define ASKER_LATELY_US    1000000 /* so long Block Data leaves it its slot */
#define LATE_ECHO_US       2000000
#define REPLIES_MAX        24
#define BROADCASTS_MAX     2

uint32_t fwr_icmb_random(const struct fwr_platform *platform, uint32_t limit)
{
    uint32_t number = 0;

    /* Without randomness nodes collide more often; that must not stop them. */
    if (platform->random(platform->ctx, &number, sizeof(number)) != FWR_OK)
        return limit / 2;
    return number % limit;
}

uint64_t fwr_icmb_line_us(const struct fwr_icmb_line *line, uint32_t characters)
{
    uint64_t bits = (uint64_t)characters * ICMB_BITS_PER_CHAR * 1000000;

    return (bits + line->config.bit_rate - 1) / line->config.bit_rate;
}

void fwr_icmb_line_init(struct fwr_icmb_line *line, const struct fwr_icmb_line_config *config,
                        struct fwr_icmb_statistics *statistics, uint64_t now_us)
{
    memset(line, 0, sizeof(*line));
    line->config = *config;
    line->statistics = statistics;
    line->heard_at = line->busy_from = now_us;
    line->current = -1;
    fwr_icmb_receiver_init(&line->receiver);
}

/* ---- the queue ---- */

static unsigned count(const struct fwr_icmb_line *line, uint8_t rank)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FWR_ICMB_QUEUE_MAX; i++)
        n += line->queue[i].used && line->queue[i].rank == rank;
    return n;
}

bool fwr_icmb_line_room(const struct fwr_icmb_line *line, uint8_t rank)
{
    static const uint8_t most[FWR_ICMB_RANKS] = {
        REPLIES_MAX, FWR_ICMB_QUEUE_MAX - REPLIES_MAX - BROADCASTS_MAX, BROADCASTS_MAX};

    return count(line, rank) < most[rank];
}

int fwr_icmb_line_queue(struct fwr_icmb_line *line, uint64_t now_us,
                        const struct fwr_icmb_packet *packet,
                        const struct fwr_icmb_sending *sending)
{
    uint32_t give_up = sending->give_up_us > 0 ? sending->give_up_us : line->config.give_up_us;

    if (!fwr_icmb_line_room(line, sending->rank))
        return FWR_E_BUSY;
    for (unsigned i = 0; i < FWR_ICMB_QUEUE_MAX; i++) {
        struct fwr_icmb_queued *q = &line->queue[i];

        if (q->used)
            continue;
        *q = (struct fwr_icmb_queued){.used = true,
                                      .contended = fwr_icmb_receiver_inside(&line->receiver),
                                      .rank = sending->rank,
                                      .token = sending->token,
                                      .order = line->order++,
                                      .deadline = now_us + give_up,
                                      .packet = *packet};
        line->queued++;
        if (sending->slots > 0)
            q->slots = (uint16_t)fwr_icmb_random(line->config.platform, sending->slots);
        return FWR_OK;
    }
    return FWR_E_BUSY;
}

static void take_out(struct fwr_icmb_line *line, int place)
{
    line->queue[place].used = false;
    line->queued--;
    if (line->current == place)
        line->current = -1;
}

void fwr_icmb_line_drop(struct fwr_icmb_line *line, uint32_t token)
{
    for (int i = 0; i < FWR_ICMB_QUEUE_MAX; i++)
        if (line->queue[i].used && line->queue[i].token == token && i != line->current)
            take_out(line, i);
}

void fwr_icmb_line_clear(struct fwr_icmb_line *line)
{
    for (int i = 0; i < FWR_ICMB_QUEUE_MAX; i++)
        if (line->queue[i].used)
            take_out(line, i);
}

static void finish(struct fwr_icmb_line *line, uint64_t now_us, int place, int error)
{
    uint32_t token = line->queue[place].token;

    take_out(line, place);
    if (error == FWR_E_BUSY)
        line->statistics->given_up++;
    if (token != 0)
        line->config.sent(line->config.ctx, now_us, token, error);
}

/* ---- when to send ---- */

static uint64_t silent_from(const struct fwr_icmb_line *line)
{
    if (!fwr_icmb_receiver_inside(&line->receiver))
        return line->heard_at;
    return line->heard_at + fwr_icmb_line_us(line, ICMB_ABANDON);
}

static bool asks(const struct fwr_icmb_line *line, const struct fwr_icmb_asker *a, uint64_t us)
{
    return a->used && line->heard_at < a->heard + us;
}

/* Everybody, or nobody: nodes that look for an address. */
static bool stands_for_many(uint16_t address)
{
    return address == ICMB_ALL_ONES || address == ICMB_ALL_ZEROS;
}

static void note_asker(struct fwr_icmb_line *line, const struct fwr_icmb_packet *p, uint64_t now_us)
{
    struct fwr_icmb_asker *place = &line->askers[0];

    line->reply_due = p->type == ICMB_TYPE_REQUEST && !stands_for_many(p->destination);

    if (p->type != ICMB_TYPE_REQUEST || stands_for_many(p->destination) ||
        stands_for_many(p->source))
        return;
    for (unsigned i = 0; i < FWR_ICMB_NODES_MAX; i++) {
        struct fwr_icmb_asker *a = &line->askers[i];

        if (a->used && a->address == p->source) {
            place = a;
            break;
        }
        if (place->used && (!a->used || a->heard < place->heard))
            place = a;
    }
    *place = (struct fwr_icmb_asker){.used = true, .address = p->source, .heard = now_us};
    line->last_asker = p->source;
}

/* Slots to leave to those whose turn comes before this node's: upwards from who asked last. */
static uint32_t turn(const struct fwr_icmb_line *line, uint16_t own)
{
    uint16_t mine = (uint16_t)(own - line->last_asker);
    uint32_t before = 0;

    for (unsigned i = 0; i < FWR_ICMB_NODES_MAX; i++) {
        const struct fwr_icmb_asker *a = &line->askers[i];
        uint16_t theirs = (uint16_t)(a->address - line->last_asker);

        before += asks(line, a, ASKER_US) && theirs != 0 && a->address != own &&
                  (mine == 0 || theirs < mine);
    }
    return before;
}

/* Slots passed in silence: those whose turn they were had nothing to ask. */
static void pass_turns(struct fwr_icmb_line *line, uint64_t slots)
{
    for (; slots > 0 && slots <= FWR_ICMB_NODES_MAX; slots--) {
        struct fwr_icmb_asker *next = NULL;

        for (unsigned i = 0; i < FWR_ICMB_NODES_MAX; i++) {
            struct fwr_icmb_asker *a = &line->askers[i];
            uint16_t theirs = (uint16_t)(a->address - line->last_asker);

            if (asks(line, a, ASKER_US) && theirs != 0 &&
                (next == NULL || theirs < (uint16_t)(next->address - line->last_asker)))
                next = a;
        }
        if (next == NULL)
            return;
        line->last_asker = next->address;
        next->used = ++next->missed < MISSED_MAX;
    }
}

/* Block Data comes after the requests of all, whoever's turn it is. */
static uint32_t askers(const struct fwr_icmb_line *line)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < FWR_ICMB_NODES_MAX; i++)
        count += asks(line, &line->askers[i], ASKER_LATELY_US);
    return count;
}

static uint64_t send_at(const struct fwr_icmb_line *line, const struct fwr_icmb_queued *q)
{
    uint32_t slots = (uint32_t)line->slots + q->slots;
    uint32_t gap = line->config.gap[q->rank];

    /* Those who ask without a pause must not keep Block Data from those who listen. */
    if (q->rank == FWR_ICMB_RANK_BROADCAST && line->owes)
        return silent_from(line) +
               fwr_icmb_line_us(line, line->config.gap[FWR_ICMB_RANK_REPLY] + q->slots * ICMB_SLOT);
    if (q->rank == FWR_ICMB_RANK_REQUEST)
        slots += turn(line, q->packet.source);
    else if (q->rank == FWR_ICMB_RANK_BROADCAST)
        slots += askers(line);
    if (line->reply_due && q->rank != FWR_ICMB_RANK_REPLY)
        gap += ICMB_REPLY_WAIT;
    return silent_from(line) + fwr_icmb_line_us(line, gap + slots * ICMB_SLOT);
}

/* The packet that may go first, and when; -1: none. */
static int next(const struct fwr_icmb_line *line, uint64_t *when)
{
    int best = -1;

    for (int i = 0; line->queued > 0 && i < FWR_ICMB_QUEUE_MAX; i++) {
        const struct fwr_icmb_queued *q = &line->queue[i];
        uint64_t at;

        if (!q->used)
            continue;
        at = send_at(line, q);
        if (best >= 0 &&
            (at != *when ? at > *when : (int32_t)(q->order - line->queue[best].order) > 0))
            continue;
        best = i;
        *when = at;
    }
    return best;
}

static uint16_t less(uint16_t slots, uint64_t passed)
{
    return passed < slots ? (uint16_t)(slots - passed) : 0;
}

static uint64_t slots_since(const struct fwr_icmb_line *line, uint64_t now_us)
{
    uint64_t begin =
        silent_from(line) + fwr_icmb_line_us(line, line->config.gap[FWR_ICMB_RANK_REQUEST]);

    return now_us > begin ? (now_us - begin) / fwr_icmb_line_us(line, ICMB_SLOT) : 0;
}

/* The bus is busy again: the slots that passed since it fell silent need not be waited for a
 * second time. After a long silence nobody is left to contend with. */
static void count_down(struct fwr_icmb_line *line, uint64_t now_us)
{
    uint64_t passed = slots_since(line, now_us);

    if (now_us <= line->heard_at + fwr_icmb_line_us(line, 2))
        return; /* in the middle of something */
    pass_turns(line, passed);
    /* A place that somebody took counts as one: on a bus that is never silent for long there are
     * no others. */
    line->slots = less(line->slots, passed + 1);
    if (passed > 1u << ICMB_LEVEL_MAX)
        line->level = 0;
    for (unsigned i = 0; line->queued > 0 && i < FWR_ICMB_QUEUE_MAX; i++) {
        line->queue[i].contended = true;
        line->queue[i].slots = less(line->queue[i].slots, passed);
    }
}

/* ---- sending ---- */

static void back_off(struct fwr_icmb_line *line)
{
    line->slots =
        line->level == 0 ? 0 : (uint16_t)fwr_icmb_random(line->config.platform, 1u << line->level);
}

static void begin(struct fwr_icmb_line *line, uint64_t now_us, int place)
{
    int length =
        fwr_icmb_frame_encode(&line->queue[place].packet, line->frame, sizeof(line->frame));

    pass_turns(line, slots_since(line, now_us));
    line->current = place;
    line->frame_length = (uint16_t)length; /* what is queued always fits */
    line->handed = line->echoed = 0;
    line->take_back = false;
}

/* What is given away and not yet heard may be sent by the hardware whatever we do. */
static size_t portion(const struct fwr_icmb_line *line)
{
    size_t window = line->config.portion, flying = line->handed - line->echoed;

    if (line->echoed < OPENING_CHARACTERS && window > OPENING_PORTION)
        window = OPENING_PORTION;
    if (flying > window / 2)
        return 0;
    window -= flying;
    return window < (size_t)(line->frame_length - line->handed)
               ? window
               : (size_t)(line->frame_length - line->handed);
}

size_t fwr_icmb_line_next_send(struct fwr_icmb_line *line, uint64_t now_us, uint8_t *bytes,
                               size_t capacity)
{
    size_t length;

    if (line->current < 0) {
        uint64_t at = FWR_NEVER;
        int place = next(line, &at);

        if (place < 0 || at > now_us)
            return 0;
        begin(line, now_us, place);
    }
    length = portion(line);
    if (length > capacity)
        length = capacity;
    if (length == 0)
        return 0;
    memcpy(bytes, line->frame + line->handed, length);
    line->handed = (uint16_t)(line->handed + length);
    line->echo_by = now_us + line->config.echo_us +
                    fwr_icmb_line_us(line, (uint32_t)(line->handed - line->echoed));
    return length;
}

static void sign(struct fwr_icmb_line *line, const struct fwr_icmb_packet *p, uint64_t now_us)
{
    struct fwr_icmb_signature *oldest = &line->signatures[0];

    for (unsigned i = 1; i < FWR_ICMB_SIGNATURES; i++)
        if (line->signatures[i].until < oldest->until)
            oldest = &line->signatures[i];
    *oldest = (struct fwr_icmb_signature){.used = true,
                                          .source = p->source,
                                          .destination = p->destination,
                                          .length = p->length,
                                          .type = p->type,
                                          .sequence = p->sequence,
                                          .command = p->command,
                                          .until = now_us + LATE_ECHO_US};
}

/* A collision where turns are taken means that somebody is new, whom nobody has heard and who
 * therefore has no turn: it tries again at once, or soon, since those who have one let it in. */
static void make_room(struct fwr_icmb_line *line, const struct fwr_icmb_queued *q)
{
    bool others = false, known = false;

    for (unsigned i = 0; i < FWR_ICMB_NODES_MAX; i++) {
        const struct fwr_icmb_asker *a = &line->askers[i];

        known |= asks(line, a, ASKER_US) && a->address == q->packet.source;
        others |= asks(line, a, ASKER_US) && a->address != q->packet.source;
    }
    if (others && line->slots > NEW_SLOTS)
        line->slots = (uint16_t)fwr_icmb_random(line->config.platform, NEW_SLOTS);
    if (known)
        line->slots = (uint16_t)(line->slots + ROOM);
    else if (others && q->losses == 0)
        line->slots = 0;
}

/* The attempt failed: somebody else sends too, or the node does not hear itself. */
static void lose(struct fwr_icmb_line *line, uint64_t now_us, bool deaf)
{
    int place = line->current;
    struct fwr_icmb_queued *q = &line->queue[place];

    sign(line, &q->packet, now_us);
    line->take_back = line->handed > line->echoed;
    line->current = -1;
    if (line->level < ICMB_LEVEL_MAX)
        line->level++;
    back_off(line);
    if (q->rank == FWR_ICMB_RANK_REQUEST)
        make_room(line, q);
    q->contended = true;
    if (deaf) {
        line->statistics->deaf++;
        if (++q->deaf >= DEAF_MAX)
            finish(line, now_us, place, FWR_E_IO);
        return;
    }
    line->statistics->arbitration_losses++;
    if (++q->losses >= LOSSES_MAX)
        finish(line, now_us, place, FWR_E_BUSY);
}

static void win(struct fwr_icmb_line *line, uint64_t now_us)
{
    int place = line->current;

    line->statistics->sent++;
    if (line->queue[place].contended)
        line->statistics->arbitration_wins++;
    if (line->level > 0)
        line->level--;
    back_off(line);
    line->owes = line->queue[place].rank == FWR_ICMB_RANK_REPLY;
    note_asker(line, &line->queue[place].packet, now_us);
    finish(line, now_us, place, FWR_OK);
}

/* ---- hearing ---- */

static bool is_late_echo(struct fwr_icmb_line *line, const struct fwr_icmb_packet *p,
                         uint64_t now_us)
{
    for (unsigned i = 0; i < FWR_ICMB_SIGNATURES; i++) {
        struct fwr_icmb_signature *s = &line->signatures[i];

        if (s->used && now_us <= s->until && s->source == p->source &&
            s->destination == p->destination && s->length == p->length && s->type == p->type &&
            s->sequence == p->sequence && s->command == p->command) {
            s->used = false;
            return true;
        }
    }
    return false;
}

/* A node sends a frame with its own address as its source only. */
static void take_packet(struct fwr_icmb_line *line, uint64_t now_us)
{
    line->busy_from = now_us;
    line->owes = false;
    note_asker(line, &line->packet, now_us);
    if (is_late_echo(line, &line->packet, now_us))
        line->statistics->echoes++;
    else
        line->config.packet(line->config.ctx, now_us, &line->packet);
}

static void take_frame(struct fwr_icmb_line *line, uint64_t now_us, uint8_t character, bool own)
{
    struct fwr_icmb_statistics *s = line->statistics;

    switch (fwr_icmb_receiver_take(&line->receiver, character, &line->packet)) {
    case FWR_ICMB_HEARD_PACKET:
        if (!own)
            take_packet(line, now_us);
        break;
    case FWR_ICMB_HEARD_NOISE:
        s->not_start++;
        break;
    case FWR_ICMB_HEARD_RESTART:
        s->restarts++;
        break;
    case FWR_ICMB_HEARD_RUNT:
    case FWR_ICMB_HEARD_OVERLONG:
        s->runt_packets++;
        break;
    case FWR_ICMB_HEARD_ESCAPE:
    case FWR_ICMB_HEARD_CHECKSUM:
        s->bad_checksums++;
        break;
    case FWR_ICMB_HEARD_TYPE:
        s->unknown_types++;
        break;
    case FWR_ICMB_HEARD_PART:
        break;
    }
}

static void take(struct fwr_icmb_line *line, uint64_t now_us, uint8_t character)
{
    bool own = false;

    if (line->current >= 0) {
        own = line->echoed < line->handed && line->frame[line->echoed] == character;
        if (own)
            line->echoed++;
        else
            lose(line, now_us, false);
    } else {
        count_down(line, now_us);
    }
    if (now_us > line->heard_at + fwr_icmb_line_us(line, ICMB_ABANDON))
        line->busy_from = now_us;
    line->heard_at = now_us;
    take_frame(line, now_us, character, own);
    if (own && line->echoed == line->frame_length)
        win(line, now_us);
}

void fwr_icmb_line_receive(struct fwr_icmb_line *line, uint64_t now_us, const uint8_t *bytes,
                           size_t length)
{
    for (size_t i = 0; i < length; i++)
        take(line, now_us, bytes[i]);
}

bool fwr_icmb_line_stuck(const struct fwr_icmb_line *line, uint64_t now_us)
{
    return now_us <= line->heard_at + fwr_icmb_line_us(line, ICMB_ABANDON) &&
           now_us >= line->busy_from + STUCK_US;
}

/* ---- time ---- */

uint64_t fwr_icmb_line_next_timeout(const struct fwr_icmb_line *line)
{
    uint64_t at = FWR_NEVER;

    if (line->current >= 0)
        return portion(line) > 0 ? line->heard_at : line->echo_by;
    next(line, &at);
    for (unsigned i = 0; line->queued > 0 && i < FWR_ICMB_QUEUE_MAX; i++)
        if (line->queue[i].used && line->queue[i].deadline < at)
            at = line->queue[i].deadline;
    return at;
}

void fwr_icmb_line_timeout(struct fwr_icmb_line *line, uint64_t now_us)
{
    if (line->current >= 0 && line->handed > line->echoed && now_us >= line->echo_by)
        lose(line, now_us, true);
    for (int i = 0; line->queued > 0 && i < FWR_ICMB_QUEUE_MAX; i++)
        if (line->queue[i].used && i != line->current && now_us >= line->queue[i].deadline)
            finish(line, now_us, i, FWR_E_BUSY);
}
