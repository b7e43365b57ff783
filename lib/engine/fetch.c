/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches: see fetch.h.
 */
#include "fetch.h"

#include <string.h>

#include "request.h"
#include "roads.h"
#include "transfer.h"

#define PENALTY_MAX     200
#define FETCH_TRIES_MAX 16

static bool usable(const struct fwr_recipient *r, uint8_t peer)
{
    return r->peers[peer].transfer_state == FWR_TRANSFER_OPEN && r->peers[peer].reach == FWR_OK;
}

/* Of the transfers on the best medium the one with the fewest ranges; among equals the one that
 * lied least, then the nearest. The one that failed this fetch comes last. */
static uint8_t fetch_choose(const struct fwr_recipient *r, const struct fwr_fetch *f)
{
    uint8_t best = FWR_NONE;

    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        if (!fwr_roads_carries(r, i))
            continue;
        if (best == FWR_NONE || best == f->avoid) {
            best = i;
            continue;
        }
        if (i == f->avoid)
            continue;
        const struct fwr_donor_peer *a = &r->peers[i], *b = &r->peers[best];
        if (a->fetches != b->fetches   ? a->fetches < b->fetches
            : a->penalty != b->penalty ? a->penalty < b->penalty
                                       : a->round_trip < b->round_trip)
            best = i;
    }
    return best;
}

static bool is_slice(const struct fwr_recipient *r, const struct fwr_pending *q,
                     const struct fwr_fetch *f)
{
    return q->state != FWR_PENDING_FREE && q->purpose == FWR_PURPOSE_READ &&
           q->index == (uint8_t)(f - r->fetches);
}

/* A console writes in order, without gaps: what has some is begun again. */
static bool has_gaps(const struct fwr_recipient *r, const struct fwr_fetch *f)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (is_slice(r, &r->pending[i], f))
            return true;
    return false;
}

static void assign_to(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer)
{
    bool odd = f->coded && !(r->peers[peer].codecs >> FWR_CODEC_LZ4 & 1);

    if (odd || (peer == fwr_push_peer(r) && (f->coded || has_gaps(r, f))))
        fwr_fetch_restart(r, f);
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (is_slice(r, &r->pending[i], f))
            fwr_request_queue(r, &r->pending[i], peer, r->now);
    f->source = peer;
    if (r->peers[peer].fetches++ == 0) {
        r->peers[peer].rate_since = r->now;
        r->peers[peer].rate_bytes = 0;
    }
}

void fwr_fetch_assign(struct fwr_recipient *r, struct fwr_fetch *f)
{
    uint8_t peer = fetch_choose(r, f);

    if (peer != FWR_NONE)
        assign_to(r, f, peer);
}

void fwr_fetch_release(struct fwr_recipient *r, struct fwr_fetch *f)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (is_slice(r, &r->pending[i], f))
            fwr_request_want(r, &r->pending[i]);
    if (f->source == FWR_NONE)
        return;
    if (--r->peers[f->source].fetches == 0)
        fwr_request_measure_rate(r, &r->peers[f->source]);
    if (f->source == fwr_push_peer(r))
        f->asked = f->have;
    f->source = FWR_NONE;
}

void fwr_fetch_restart(struct fwr_recipient *r, struct fwr_fetch *f)
{
    fwr_fetch_release(r, f);
    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (is_slice(r, &r->pending[i], f))
            fwr_request_free(r, &r->pending[i]);
    if (f->have > 0 && f->object == FWR_OBJECT_BLOCKS)
        r->status.blocks_refetched += (f->have + fwr_block_size(r) - 1) / fwr_block_size(r);
    f->asked = f->have = f->total = 0;
    f->mixed = f->coded = false;
}

void fwr_fetch_take(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer, uint32_t at,
                    const uint8_t *data, size_t length)
{
    memcpy(f->buffer + at, data, length);
    f->mixed |= f->have > 0 && f->author != peer;
    f->author = peer;
    f->have += (uint32_t)length;
    r->status.bytes_received += (uint32_t)length;
    r->peers[peer].gained = r->now;
    r->peers[peer].bytes += (uint32_t)length;
    r->peers[peer].rate_bytes += (uint32_t)length;
}

uint8_t fwr_fetch_begin(struct fwr_recipient *r, uint8_t object, uint32_t offset, uint32_t length,
                        uint8_t *buffer, uint8_t source)
{
    for (uint8_t i = 0; i < r->fetch_count; i++) {
        struct fwr_fetch *f = &r->fetches[i];
        if (f->state != FWR_FETCH_FREE)
            continue;
        memset(f, 0, sizeof(*f));
        f->state = FWR_FETCH_OPEN;
        f->object = object;
        f->offset = offset;
        f->length = length;
        f->buffer = buffer;
        f->order = r->fetch_order++;
        f->avoid = FWR_NONE;
        f->source = FWR_NONE;
        if (source != FWR_NONE && (object == FWR_OBJECT_MANIFEST || usable(r, source)))
            assign_to(r, f, source);
        else
            fwr_fetch_assign(r, f);
        return i;
    }
    return FWR_NONE;
}

void fwr_fetch_free(struct fwr_recipient *r, uint8_t fetch)
{
    struct fwr_fetch *f = &r->fetches[fetch];

    if (f->state == FWR_FETCH_FREE)
        return;
    if (f->state == FWR_FETCH_DONE)
        f->have = 0;
    fwr_fetch_restart(r, f);
    f->state = FWR_FETCH_FREE;
}

bool fwr_fetch_wrong(struct fwr_recipient *r, uint8_t fetch, int reason, uint32_t at)
{
    struct fwr_fetch *f = &r->fetches[fetch];
    uint8_t liar = f->source;
    struct fwr_donor_peer *p = &r->peers[liar];

    if (f->mixed) {
        fwr_recipient_log(r, FWR_LOG_NOTICE, "what several donors sent is wrong (%s at %#x): again",
                          fwr_error_name(reason), (unsigned)at);
        fwr_fetch_restart(r, f);
        f->state = FWR_FETCH_OPEN;
        f->alone = f->plain = true;
        if (++f->tries >= FETCH_TRIES_MAX)
            return false;
        if (usable(r, liar)) /* all of it from one: then a lie has an author */
            assign_to(r, f, liar);
        else
            fwr_fetch_assign(r, f);
        return true;
    }
    fwr_recipient_log(r, FWR_LOG_NOTICE, "%s sent wrong bytes (%s at %#x)", fwr_peer_name(r, liar),
                      fwr_error_name(reason), (unsigned)at);
    if (p->penalty < PENALTY_MAX)
        p->penalty = (uint8_t)(p->penalty + 20);
    fwr_fetch_restart(r, f);
    f->state = FWR_FETCH_OPEN;
    f->plain = true;
    f->avoid = liar;
    f->tries++;
    /* A second lie, or a lie while others can serve: its word is not needed any more. */
    if (f->tries > 1 || fwr_transfer_count(r) > 1)
        fwr_transfer_drop(r, liar, FWR_E_DONOR_LIED);
    if (f->tries >= FETCH_TRIES_MAX)
        return false;
    if (f->source == FWR_NONE)
        fwr_fetch_assign(r, f);
    return true;
}

void fwr_fetch_assign_all(struct fwr_recipient *r)
{
    for (uint8_t i = 0; i < r->fetch_count; i++)
        if (r->fetches[i].state == FWR_FETCH_OPEN && r->fetches[i].source == FWR_NONE)
            fwr_fetch_assign(r, &r->fetches[i]);
}

/* The oldest fetch that may ask for another slice now. */
struct fwr_fetch *fwr_fetch_next(struct fwr_recipient *r)
{
    struct fwr_fetch *best = NULL;

    for (uint8_t i = 0; i < r->fetch_count; i++) {
        struct fwr_fetch *f = &r->fetches[i];
        if (f->state != FWR_FETCH_OPEN || f->asked >= f->length || f->source == FWR_NONE ||
            f->source == fwr_push_peer(r))
            continue;
        const struct fwr_donor_peer *p = &r->peers[f->source];
        /* The length of a manifest, or of a stream, is known only from its beginning: one slice at
         * a time. */
        if ((f->object == FWR_OBJECT_MANIFEST || f->coded) && f->asked > f->have)
            continue;
        if (p->reach != FWR_OK || p->in_flight >= fwr_request_window(r, p))
            continue;
        if (!best || (int32_t)(f->order - best->order) < 0)
            best = f;
    }
    return best;
}

/* Manifests say their length themselves; nothing may be larger than the cap. */
static int manifest_progress(struct fwr_recipient *r, struct fwr_fetch *f)
{
    size_t total;
    int error = fwr_envelope_total(f->buffer, f->have, &total);

    if (error == FWR_E_NO_SPACE)
        return f->have < r->config.max_envelope ? FWR_OK : FWR_E_ENVELOPE_SIZE;
    if (error)
        return error;
    if (total > r->config.max_envelope)
        return FWR_E_ENVELOPE_SIZE;
    f->length = (uint32_t)total;
    if (f->have > f->length)
        f->have = f->length;
    return FWR_OK;
}

static bool others_usable(const struct fwr_recipient *r, uint8_t peer)
{
    for (uint8_t i = 0; i <= r->config.peer_count; i++)
        if (i != peer && usable(r, i))
            return true;
    return false;
}

void fwr_fetch_fail(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer, int error)
{
    if (f->object == FWR_OBJECT_MANIFEST) {
        fwr_fetch_restart(r, f);
        f->state = FWR_FETCH_DONE;
        f->error = error;
        return;
    }
    /* What one donor does not hold another may; it is none the worse for that. */
    if (error == FWR_E_NOT_HELD && others_usable(r, peer) && ++f->tries < FETCH_TRIES_MAX) {
        fwr_fetch_release(r, f);
        f->avoid = peer;
        fwr_fetch_assign(r, f);
        return;
    }
    fwr_transfer_drop(r, peer, error);
}

/* The beginning of a stream says how long it is. One that is no shorter than the block is the block
 * itself, and goes on like any other bytes. FWR_OK or FWR_E_MALFORMED. */
static int stream_progress(struct fwr_fetch *f)
{
    uint32_t length;

    f->asked = f->have;
    if (f->total > 0 || f->have < FWR_STREAM_HEAD)
        return f->total > 0 && f->have > f->total ? FWR_E_MALFORMED : FWR_OK;
    length = (uint32_t)(f->buffer[0] | f->buffer[1] << 8);
    if (length == f->length) {
        f->coded = false;
        f->plain = true; /* also where nothing but the head has come */
        f->have -= FWR_STREAM_HEAD;
        f->asked = f->have;
        memmove(f->buffer, f->buffer + FWR_STREAM_HEAD, f->have);
        return FWR_OK;
    }
    f->total = length + FWR_STREAM_HEAD;
    return length == 0 || f->total > f->length || f->have > f->total ? FWR_E_MALFORMED : FWR_OK;
}

void fwr_fetch_progress(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer)
{
    if (f->object == FWR_OBJECT_MANIFEST) {
        int error = manifest_progress(r, f);
        if (error) {
            fwr_fetch_fail(r, f, peer, error);
            return;
        }
    }
    if (f->coded) {
        int error = stream_progress(f);
        if (error) {
            fwr_fetch_restart(r, f);
            f->plain = true;
            fwr_transfer_drop(r, peer, error);
            return;
        }
    }
    if (f->have == (f->coded ? f->total : f->length)) {
        f->state = FWR_FETCH_DONE;
        r->peers[peer].reopened = 0;
    }
}

uint16_t fwr_fetch_wanted(const struct fwr_recipient *r, uint16_t index, struct fwr_wanted *wanted)
{
    uint16_t seen = 0;

    for (uint8_t i = 0; i < r->fetch_count; i++) {
        const struct fwr_fetch *f = &r->fetches[i];
        if (f->state != FWR_FETCH_OPEN || f->source != fwr_push_peer(r))
            continue;
        if (seen++ == index) {
            wanted->object = f->object;
            wanted->offset = f->offset + f->have;
            wanted->length = f->length - f->have;
        }
    }
    return seen;
}

uint8_t fwr_fetch_write(struct fwr_recipient *r, uint8_t object, uint32_t offset,
                        const uint8_t *data, size_t length)
{
    uint8_t peer = fwr_push_peer(r);

    for (uint8_t i = 0; i < r->fetch_count; i++) {
        struct fwr_fetch *f = &r->fetches[i];
        if (f->state != FWR_FETCH_OPEN || f->source != peer || f->object != object ||
            offset != f->offset + f->have || length > f->length - f->have)
            continue;
        fwr_fetch_take(r, f, peer, f->have, data, length);
        fwr_fetch_progress(r, f, peer);
        return FWR_WRITE_OK;
    }
    return FWR_WRITE_NOT_WANTED;
}
