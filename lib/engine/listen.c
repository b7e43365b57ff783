/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening: see listen.h. What a fetch lacks is what stands in the table of requests and what was
 * not asked for yet; each Block Data is held against that. A donor sends a range in order, so
 * that bytes before the ones heard are taken for missed.
 */
#include "listen.h"

#include <string.h>

#include "fetch.h"
#include "request.h"
#include "roads.h"

#define SILENCE_MIN_MS 3000   /* without a word of this image: asked again */
#define LISTEN_MOST_MS 60000  /* while others are served: asked again all the same */
#define PATIENCE_MS    180000 /* without a byte of ours: whoever it serves, it is stalled */
#define VAIN_MAX       8      /* then this fetch does without broadcasts */

bool fwr_listen_may(const struct fwr_recipient *r, const struct fwr_fetch *f)
{
    if (f->source >= r->config.peer_count) /* a console's, or nobody's */
        return false;
    return f->object == FWR_OBJECT_BLOCKS && !f->alone && !(f->coded && f->have > 0) &&
           r->peers[f->source].limits.broadcast > 0 &&
           (r->peers[f->source].codecs & FWR_CODEC_BROADCAST) != 0;
}

static uint64_t silence(const struct fwr_recipient *r, uint8_t peer)
{
    uint64_t wait = 2 * (uint64_t)fwr_request_timeout(&r->peers[peer]);

    return r->now + (wait > SILENCE_MIN_MS ? wait : SILENCE_MIN_MS);
}

void fwr_listen_await(struct fwr_recipient *r, struct fwr_pending *q)
{
    fwr_request_listen(r, q, silence(r, q->peer));
}

void fwr_listen_timeout(struct fwr_recipient *r, struct fwr_pending *q)
{
    if (++q->tries >= VAIN_MAX)
        r->fetches[q->index].alone = true;
    fwr_request_queue(r, q, q->peer, r->now);
}

/* A slice of a fetch that is wanted but for what was just heard. */
struct gap {
    struct fwr_fetch *f;
    uint32_t from, end; /* wanted */
    uint32_t at, upto;  /* heard of it */
};

static struct fwr_pending *new_slice(struct fwr_recipient *r, const struct fwr_fetch *f,
                                     uint32_t from, uint32_t end)
{
    struct fwr_pending *q = fwr_request_new(r, f->source, FWR_PURPOSE_READ);

    if (!q)
        return NULL;
    q->command = FWR_CMD_READ_BLOCKS;
    q->index = (uint8_t)(f - r->fetches);
    q->offset = from;
    q->length = (uint16_t)(end - from);
    return q;
}

/* What follows the bytes heard is on its way now. */
static bool await_rest(struct fwr_recipient *r, const struct gap *g)
{
    struct fwr_pending *q = new_slice(r, g->f, g->upto, g->end);

    if (q)
        fwr_listen_await(r, q);
    return q != NULL;
}

/* Takes from a request what was heard of it. False when there is no room to remember the rest. */
static bool fill_request(struct fwr_recipient *r, struct fwr_pending *q, const struct gap *g)
{
    if (g->at > g->from) { /* the beginning was missed */
        if (g->upto < g->end && !await_rest(r, g))
            return false;
        q->length = (uint16_t)(g->at - g->from);
        if (q->state == FWR_PENDING_LISTENING)
            fwr_request_queue(r, q, q->peer, r->now);
        return true;
    }
    if (g->upto == g->end) {
        fwr_request_free(r, q);
        return true;
    }
    q->offset = g->upto;
    q->length = (uint16_t)(g->end - g->upto);
    if (q->state == FWR_PENDING_QUEUED)
        fwr_listen_await(r, q);
    return true;
}

/* The same for what was not asked for yet. */
static bool fill_unasked(struct fwr_recipient *r, const struct gap *g)
{
    struct fwr_pending *missed = NULL;

    if (g->end - g->from > UINT16_MAX)
        return false;
    if (g->at > g->from) {
        missed = new_slice(r, g->f, g->from, g->at);
        if (!missed)
            return false;
    }
    if (g->upto < g->end && !await_rest(r, g)) {
        if (missed)
            fwr_request_free(r, missed);
        return false;
    }
    g->f->asked = g->end;
    return true;
}

static bool overlap(struct gap *g, uint32_t from, uint32_t end, uint32_t at, uint32_t upto)
{
    g->from = from;
    g->end = end;
    g->at = at > from ? at : from;
    g->upto = upto < end ? upto : end;
    return g->at < g->upto;
}

static void take(struct fwr_recipient *r, const struct gap *g, uint8_t peer, uint32_t at,
                 const uint8_t *data)
{
    fwr_fetch_take(r, g->f, peer, g->at, data + (g->at - at), g->upto - g->at);
    g->f->mixed = true;
}

/* Bytes at … upto - 1 of a fetch were heard. */
static void fill(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer, uint32_t at,
                 uint32_t upto, const uint8_t *data)
{
    uint8_t index = (uint8_t)(f - r->fetches);
    uint32_t asked = f->asked;
    struct gap g = {.f = f};

    f->coded = false; /* nothing of a stream has come yet */
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->state == FWR_PENDING_FREE || q->purpose != FWR_PURPOSE_READ || q->index != index ||
            !overlap(&g, q->offset, q->offset + q->length, at, upto))
            continue;
        if (fill_request(r, q, &g))
            take(r, &g, peer, at, data);
    }
    if (asked < f->length && overlap(&g, asked, f->length, at, upto) && fill_unasked(r, &g))
        take(r, &g, peer, at, data);
    fwr_fetch_progress(r, f, peer);
}

/* Whoever is heard is there, and brings what others wait for before us; for a while. */
static void hear(struct fwr_recipient *r, uint8_t peer, size_t length)
{
    struct fwr_donor_peer *p = &r->peers[peer];

    p->heard = r->now;
    if (r->now - p->gained < PATIENCE_MS)
        p->rate_bytes += (uint32_t)length;
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->state != FWR_PENDING_LISTENING || q->peer != peer)
            continue;
        q->due = silence(r, peer);
        if (q->due > q->sent + LISTEN_MOST_MS)
            q->due = q->sent + LISTEN_MOST_MS;
    }
}

void fwr_recipient_heard(struct fwr_recipient *r, uint64_t now, uint8_t peer, const uint8_t *data,
                         size_t length)
{
    struct fwr_block_data message;
    uint32_t tag = 0;

    r->now = now;
    for (unsigned i = 0; i < sizeof(tag); i++)
        tag |= (uint32_t)r->id[i] << 8 * i;
    if (peer >= r->config.peer_count || r->peers[peer].transfer_state != FWR_TRANSFER_OPEN ||
        fwr_block_data_decode(data, length, &message) != FWR_OK || message.tag != tag)
        return;
    hear(r, peer, message.length);
    for (uint8_t i = 0; i < r->fetch_count; i++) {
        struct fwr_fetch *f = &r->fetches[i];
        uint64_t from = message.address, end = from + message.length;
        if (f->state != FWR_FETCH_OPEN || f->source == FWR_NONE || !fwr_listen_may(r, f) ||
            from >= (uint64_t)f->offset + f->length || end <= f->offset)
            continue;
        uint32_t skip = from < f->offset ? (uint32_t)(f->offset - from) : 0;
        uint64_t at = from + skip - f->offset, upto = end - f->offset;
        fill(r, f, peer, (uint32_t)at, (uint32_t)(upto < f->length ? upto : f->length),
             message.data + skip);
    }
}
