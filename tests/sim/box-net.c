/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wires of a box, see box.h: they delay, lose, double, garble and reorder what is sent, and
 * carry nothing across a partition.
 */
#include "tests/sim/box.h"

struct box_message *box_message_new(struct box *box)
{
    struct box_message *m = box->wires.free;

    if (m != NULL)
        box->wires.free = m->next;
    else
        m = malloc(sizeof(*m));
    if (m == NULL)
        abort();
    memset(m, 0, offsetof(struct box_message, bytes));
    return m;
}

void box_message_free(struct box *box, struct box_message *m)
{
    m->next = box->wires.free;
    box->wires.free = m;
}

bool box_severed(const struct box *box, uint8_t a, uint8_t b)
{
    return ((box->wires.apart >> a ^ box->wires.apart >> b) & 1) != 0;
}

static bool draw(struct box *box, uint32_t permille)
{
    return permille > 0 && box_draw(box, 1000) < permille;
}

/* Sessions protect what an administrator sends; whatever a donor says must do no harm. */
static bool may_be_garbled(const struct box_message *m)
{
    return m->command < FWR_CMD_START;
}

static void put(struct box *box, struct box_message *m, uint32_t late_ms)
{
    struct box_wires *w = &box->wires;
    uint64_t due =
        box->now + w->delay_ms + late_ms + (w->jitter_ms ? box_draw(box, w->jitter_ms) : 0);

    box->counts[BOX_REORDERED] += due < w->last_due[m->from][m->to];
    w->last_due[m->from][m->to] = due;
    if (draw(box, w->corruption) && m->length > 0 && may_be_garbled(m)) {
        m->bytes[box_draw(box, m->length)] ^= (uint8_t)(1u << box_draw(box, 8));
        box->counts[BOX_GARBLED]++;
    }
    box_post(box, due, BOX_EVENT_ARRIVE, m->to, m);
}

void box_send(struct box *box, struct box_message *m, uint32_t late_ms)
{
    struct box_wires *w = &box->wires;
    const struct box_node *from = &box->nodes[m->from], *to = &box->nodes[m->to];

    if (!m->reply) {
        m->life = from->life;
        m->session = from->life << 16 | to->life; /* a restart of either end ends a session */
    }
    if (box_severed(box, m->from, m->to) || draw(box, w->loss)) {
        box->counts[box_severed(box, m->from, m->to) ? BOX_SEVERED : BOX_LOST]++;
        box_trace_message(box, BOX_TRACE_LOST, m, 0);
        box_message_free(box, m);
        return;
    }
    box_trace_message(box, BOX_TRACE_SENT, m, 0);
    if (draw(box, w->duplication)) {
        struct box_message *twin = box_message_new(box);
        memcpy(twin, m, offsetof(struct box_message, bytes) + m->length);
        box->counts[BOX_DOUBLED]++;
        put(box, twin, late_ms);
    }
    put(box, m, late_ms);
}

static void answer(struct box_node *n, const struct box_message *m)
{
    struct box *box = n->box;
    struct box_message *reply = box_message_new(box);
    uint32_t late_ms = 0;

    reply->from = m->to;
    reply->to = m->from;
    reply->peer = m->peer;
    reply->command = m->command;
    reply->reply = true;
    reply->life = m->life;
    reply->serial = m->serial;
    reply->length = (uint16_t)box_node_answer(n, m, reply->bytes, &late_ms);
    if (reply->length == 0 || (n->bmc != NULL && n->bmc->cut))
        box_message_free(box, reply);
    else
        box_send(box, reply, late_ms);
}

static void take_reply(struct box_node *n, const struct box_message *m)
{
    bool late = m->life != n->life;

    n->box->counts[BOX_LATE] += late;
    if (late && !n->box->wires.sessionless)
        return;
    if (m->peer == BOX_BY_HAND)
        box_hand_reply(n, m);
    else
        box_bmc_reply(n, m);
}

void box_arrive(struct box *box, struct box_message *m)
{
    struct box_node *n = &box->nodes[m->to];

    if (m->bus) {
        box_bus_answer(box, m);
        box_message_free(box, m);
        return;
    }
    if (n->up && !box_severed(box, m->from, m->to)) {
        box_trace_message(box, BOX_TRACE_CAME, m, 0);
        if (m->reply)
            take_reply(n, m);
        else
            answer(n, m);
        box_wake(n, box->now);
    }
    box_message_free(box, m);
}

/* Whether a recipient hears of it is the road's to say: a session may have closed, or not. */
void box_part(struct box *box, uint64_t apart, bool told)
{
    box->wires.apart = apart;
    if (box->bus != NULL) { /* its roads tell by themselves */
        box_bus_part(box);
        return;
    }
    for (uint8_t i = 0; i < box->bmc_count; i++)
        for (uint8_t k = 0; k < box->node_count; k++) {
            uint16_t bit = (uint16_t)(1u << k), *closed = &box->wires.closed[i];
            if (box_severed(box, i, k) && told) {
                *closed |= bit;
                box_bmc_road(&box->nodes[i], k, FWR_E_SESSION_CLOSED);
            } else if (!box_severed(box, i, k) && (*closed & bit)) {
                *closed &= (uint16_t)~bit;
                box_bmc_road(&box->nodes[i], k, FWR_OK);
            }
        }
}
