/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire: see wire.h. Each node has a receiver of its own, as a UART is one: it falls in step
 * with the first edge that it hears, takes in what is driven for the length of a character, and is
 * ready for the next. So two characters that overlap are one or two garbled ones to everybody.
 */
#include "ipmi-sim/wire.h"

#include <string.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_S  UINT64_C(1000000000)

/* splitmix64's finish: all that looks random here is this of the seed and of what it is about. */
static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t draw(struct wire *w)
{
    return mixed(w->random += UINT64_C(0x9e3779b97f4a7c15));
}

/* About one moment: the same for whoever asks. */
static uint64_t omen(const struct wire *w, uint64_t moment, uint64_t about)
{
    return mixed(w->seed ^ mixed(moment ^ mixed(about + UINT64_C(0x9e3779b97f4a7c15))));
}

static uint64_t rounded_up(uint64_t ns)
{
    return ns / NS_PER_US + (ns % NS_PER_US != 0);
}

static struct wire_node *air(struct wire *w)
{
    return &w->nodes[WIRE_NODES_MAX];
}

static bool hears(const struct wire *w, const struct wire_node *a, const struct wire_node *b)
{
    const struct wire_node *nowhere = &w->nodes[WIRE_NODES_MAX];

    return a == nowhere || b == nowhere || a->segment == b->segment;
}

/* Draws when the next character comes from nowhere; on average one in 10^6 / spurious times. */
static void schedule_spurious(struct wire *w, uint64_t from)
{
    uint64_t mean;

    if (w->noise.spurious == 0) {
        w->spurious_at = WIRE_NEVER;
        return;
    }
    mean = w->character * WIRE_NOISE_UNIT / w->noise.spurious;
    w->spurious_at = from + 1 + draw(w) % (2 * mean);
}

static bool noise_is_usable(const struct wire_noise *noise)
{
    return noise->common <= WIRE_NOISE_UNIT && noise->single <= WIRE_NOISE_UNIT &&
           noise->spurious <= WIRE_SPURIOUS_MAX;
}

bool wire_init(struct wire *w, const struct wire_config *config)
{
    uint32_t baud = config->baud ? config->baud : WIRE_BAUD;
    uint32_t bits = config->bits ? config->bits : WIRE_BITS;

    if (config->nodes > WIRE_NODES_MAX || bits > 16 || baud > 100000000 ||
        !noise_is_usable(&config->noise))
        return false;
    memset(w, 0, sizeof(*w));
    w->character = bits * NS_PER_S / baud;
    w->seed = config->seed;
    w->random = mixed(config->seed);
    w->count = config->nodes;
    w->shortest_gap = WIRE_NEVER;
    w->noise = config->noise;
    schedule_spurious(w, 0);
    return true;
}

uint64_t wire_character_us(const struct wire *w)
{
    return rounded_up(w->character);
}

/* ---- sending ---- */

size_t wire_room(const struct wire *w, uint16_t node)
{
    if (node >= w->count || w->nodes[node].stuck != WIRE_FREE)
        return 0;
    return (size_t)(WIRE_QUEUE - w->nodes[node].count);
}

size_t wire_send(struct wire *w, uint64_t now_us, uint16_t node, const void *characters,
                 size_t length)
{
    size_t room = wire_room(w, node);
    struct wire_node *n = &w->nodes[node];

    if (length > room)
        length = room;
    if (length == 0)
        return 0;
    if (n->count == 0 && !n->sending) {
        uint64_t now = now_us * NS_PER_US;
        n->ready_at = now > w->now ? now : w->now;
    }
    for (size_t i = 0; i < length; i++)
        n->queue[(n->head + n->count + i) % WIRE_QUEUE] = ((const uint8_t *)characters)[i];
    n->count = (uint16_t)(n->count + length);
    return length;
}

size_t wire_flush(struct wire *w, uint16_t node)
{
    size_t dropped;

    if (node >= w->count)
        return 0;
    dropped = w->nodes[node].count;
    w->nodes[node].count = 0;
    return dropped;
}

bool wire_is_idle(const struct wire *w, uint16_t node)
{
    return node >= w->count || (!w->nodes[node].sending && w->nodes[node].count == 0);
}

/* ---- how long the bus is busy ---- */

static void account(struct wire *w, uint64_t from, uint64_t until)
{
    if (w->held > 0 && w->held_from < from)
        from = w->held_from; /* and has been driven ever since */
    if (from > w->busy_until && w->used) {
        uint64_t gap = from - w->busy_until;
        w->stats.gaps++;
        w->gap += gap;
        w->shortest_gap = gap < w->shortest_gap ? gap : w->shortest_gap;
        w->longest_gap = gap > w->longest_gap ? gap : w->longest_gap;
    }
    if (from < w->busy_until)
        from = w->busy_until;
    if (until > from)
        w->busy += until - from;
    if (until > w->busy_until)
        w->busy_until = until;
    w->used = true;
}

/* ---- receiving ---- */

static void take_in(struct wire_node *receiver, uint8_t value)
{
    receiver->talkers++;
    receiver->both &= value;
    receiver->values[value / 32] |= UINT32_C(1) << value % 32;
}

/* Falls in step with what is driven at `at`; by one sender, if it is known to be alone. */
static void begin_hearing(const struct wire *w, struct wire_node *r, uint64_t at,
                          const struct wire_node *alone)
{
    r->hearing = true;
    r->broken = false;
    r->both = 0xff;
    r->talkers = 0;
    memset(r->values, 0, sizeof(r->values));
    r->heard_from = at;
    r->heard_until = at + w->character;
    if (alone != NULL) {
        take_in(r, alone->value);
        return;
    }
    for (size_t i = 0; w->driving > 0 && i <= WIRE_NODES_MAX; i++) {
        const struct wire_node *s = &w->nodes[i];
        if (s->sending && s->ends > at && hears(w, r, s))
            take_in(r, s->value);
    }
}

static bool held_for(const struct wire *w, const struct wire_node *r)
{
    for (uint16_t i = 0; w->held > 0 && i < w->count; i++)
        if (w->nodes[i].stuck == WIRE_HELD && hears(w, r, &w->nodes[i]))
            return true;
    return false;
}

/* What everybody hears of a collision: nothing that anybody sent. */
static uint8_t garbage(const struct wire *w, const struct wire_node *r)
{
    uint64_t random = omen(w, r->heard_from, r->both);

    for (uint32_t i = 0; i < 256; i++) {
        uint8_t value = (uint8_t)((r->both ^ (1 + random % 255)) + i);
        if ((r->values[value / 32] >> value % 32 & 1) == 0)
            return value;
    }
    return r->both;
}

static bool strikes(const struct wire *w, uint64_t moment, uint64_t about, uint32_t chance)
{
    return chance > 0 && omen(w, moment, about) % WIRE_NOISE_UNIT < chance;
}

static uint8_t noisy(const struct wire *w, struct wire_node *r, uint64_t about, uint8_t value)
{
    r->counts.flipped++;
    return value ^ (uint8_t)(1u << omen(w, r->heard_from, about ^ 0x51) % 8);
}

static void finish_hearing(struct wire *w, struct wire_node *r)
{
    uint16_t index = (uint16_t)(r - w->nodes);
    struct wire_heard *h = &w->heard[w->fresh++];

    h->at_us = rounded_up(r->heard_until);
    h->node = index;
    h->garbled = r->broken || r->talkers > 1;
    h->value = h->garbled ? garbage(w, r) : r->both;
    r->hearing = false;
    r->counts.heard++;
    r->counts.garbled += h->garbled;
    if (strikes(w, r->heard_from, 0x10000, w->noise.common))
        h->value = noisy(w, r, 0x10000, h->value);
    if (strikes(w, r->heard_from, 0x20000u + index, w->noise.single))
        h->value = noisy(w, r, 0x20000u + index, h->value);
}

/* The rest of a character that began within the last one looks like one more, if it is long
 * enough. */
static void hear_the_rest(struct wire *w, struct wire_node *r, uint64_t at)
{
    bool more = false;

    for (size_t i = 0; w->driving > 0 && i <= WIRE_NODES_MAX; i++) {
        const struct wire_node *s = &w->nodes[i];
        more |= s->sending && s->ends > at + w->character / 2 && hears(w, r, s);
    }
    if (!more || held_for(w, r))
        return;
    begin_hearing(w, r, at, NULL);
    r->broken = true;
}

/* ---- what happens ---- */

static bool is_ready(const struct wire_node *n)
{
    return !n->sending && (n->stuck == WIRE_BABBLES || n->count > 0);
}

static bool is_driven_for(const struct wire *w, const struct wire_node *r)
{
    for (size_t i = 0; w->driving > 0 && i <= WIRE_NODES_MAX; i++)
        if (w->nodes[i].sending && hears(w, r, &w->nodes[i]))
            return true;
    return false;
}

static void begin_character(struct wire *w, struct wire_node *s, uint8_t value)
{
    w->stats.collisions += is_driven_for(w, s);
    s->sending = true;
    s->value = value;
    s->ends = w->now + w->character;
    w->driving++;
    account(w, w->now, s->ends);
    for (uint16_t i = 0; i < w->count; i++) {
        struct wire_node *r = &w->nodes[i];
        if (!hears(w, r, s))
            continue;
        if (r->hearing)
            take_in(r, value);
        else if (!held_for(w, r))
            begin_hearing(w, r, w->now, w->driving == 1 ? s : NULL);
        else
            w->stats.swallowed += r == s;
    }
}

static void begin_next(struct wire *w, struct wire_node *s)
{
    uint8_t value;

    if (s->stuck == WIRE_BABBLES) {
        value = (uint8_t)(draw(w) >> 32);
    } else {
        value = s->queue[s->head];
        s->head = (uint16_t)((s->head + 1) % WIRE_QUEUE);
        s->count--;
    }
    s->counts.sent++;
    w->stats.characters++;
    begin_character(w, s, value);
}

static uint64_t next_event(const struct wire *w)
{
    const struct wire_node *nowhere = &w->nodes[WIRE_NODES_MAX];
    uint64_t next = nowhere->sending ? nowhere->ends : w->spurious_at;

    for (uint16_t i = 0; i < w->count; i++) {
        const struct wire_node *n = &w->nodes[i];
        if (n->sending && n->ends < next)
            next = n->ends;
        if (n->hearing && n->heard_until < next)
            next = n->heard_until;
        if (is_ready(n) && n->ready_at < next)
            next = n->ready_at;
    }
    return next;
}

static void end_character(struct wire *w, struct wire_node *s)
{
    if (!s->sending || s->ends > w->now)
        return;
    s->sending = false;
    s->ready_at = s->ends;
    w->driving--;
}

/* Everything of one moment: characters end, are heard, and others begin. */
static void happen(struct wire *w)
{
    for (uint16_t i = 0; i < w->count; i++)
        end_character(w, &w->nodes[i]);
    end_character(w, air(w));
    for (uint16_t i = 0; i < w->count; i++) {
        struct wire_node *r = &w->nodes[i];
        if (!r->hearing || r->heard_until > w->now)
            continue;
        finish_hearing(w, r);
        hear_the_rest(w, r, w->now);
    }
    if (w->fresh > 0)
        return; /* the caller may have an answer that begins now */
    for (uint16_t i = 0; i < w->count; i++)
        if (is_ready(&w->nodes[i]) && w->nodes[i].ready_at <= w->now)
            begin_next(w, &w->nodes[i]);
    if (!air(w)->sending && w->spurious_at <= w->now) {
        w->stats.spurious++;
        begin_character(w, air(w), (uint8_t)(draw(w) >> 32));
        schedule_spurious(w, air(w)->ends);
    }
}

uint64_t wire_next(const struct wire *w)
{
    uint64_t next;

    if (w->taken < w->fresh)
        return rounded_up(w->now);
    next = next_event(w);
    return next == WIRE_NEVER ? next : rounded_up(next);
}

bool wire_hear(struct wire *w, uint64_t now_us, struct wire_heard *heard)
{
    uint64_t now = now_us * NS_PER_US;

    while (w->taken == w->fresh) {
        uint64_t next = next_event(w);
        w->taken = w->fresh = 0;
        if (next > now || next == WIRE_NEVER) {
            w->now = now > w->now ? now : w->now;
            return false;
        }
        w->now = next > w->now ? next : w->now;
        happen(w);
    }
    *heard = w->heard[w->taken++];
    return true;
}

/* ---- orders ---- */

void wire_part(struct wire *w, uint16_t node, uint8_t segment)
{
    struct wire_node *n = &w->nodes[node];

    if (node >= w->count || n->segment == segment)
        return;
    for (uint16_t i = 0; i < w->count; i++) {
        struct wire_node *r = &w->nodes[i];
        if (r->hearing && r->segment == n->segment && (r == n || n->sending))
            r->broken = true;
    }
    n->segment = segment;
}

/* All who are not in the middle of a character take the falling edge for one. */
static void hold(struct wire *w, struct wire_node *holder)
{
    for (uint16_t i = 0; i < w->count; i++) {
        struct wire_node *r = &w->nodes[i];
        if (!hears(w, r, holder))
            continue;
        if (!r->hearing && !held_for(w, r))
            begin_hearing(w, r, w->now, NULL);
        r->both = 0;
        r->broken = true;
    }
}

void wire_stick(struct wire *w, uint64_t now_us, uint16_t node, enum wire_stuck how)
{
    uint64_t now = now_us * NS_PER_US;
    struct wire_node *n = &w->nodes[node];

    if (node >= w->count || n->stuck == how)
        return;
    w->now = now > w->now ? now : w->now;
    if (how == WIRE_HELD) {
        hold(w, n);
        w->held_from = w->held++ > 0 ? w->held_from : w->now;
    } else if (n->stuck == WIRE_HELD && --w->held == 0) {
        account(w, w->held_from, w->now);
    }
    n->stuck = how;
    n->count = 0;
    n->ready_at = n->sending ? n->ends : w->now;
}

void wire_noise(struct wire *w, uint64_t now_us, const struct wire_noise *noise)
{
    if (!noise_is_usable(noise))
        return;
    w->noise = *noise;
    schedule_spurious(w, now_us * NS_PER_US);
}

void wire_stats(const struct wire *w, uint64_t now_us, struct wire_stats *stats)
{
    uint64_t now = now_us * NS_PER_US, busy = w->busy;

    *stats = w->stats;
    if (w->busy_until > now && busy > w->busy_until - now)
        busy -= w->busy_until - now; /* of a character that is still on its way */
    if (w->held > 0) {
        uint64_t from = w->held_from > w->busy_until ? w->held_from : w->busy_until;
        busy += now > from ? now - from : 0;
    }
    stats->elapsed_us = now_us;
    stats->busy_us = busy / NS_PER_US;
    stats->gap_us = w->gap / NS_PER_US;
    stats->shortest_gap_us = stats->gaps > 0 ? w->shortest_gap / NS_PER_US : 0;
    stats->longest_gap_us = w->longest_gap / NS_PER_US;
}

const struct wire_node_counts *wire_node_counts(const struct wire *w, uint16_t node)
{
    return &w->nodes[node < w->count ? node : WIRE_NODES_MAX].counts;
}
