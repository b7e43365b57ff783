/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfer: see transfer.h. Commands are idempotent, so a lost one is simply sent again under
 * a new cookie; an answer to the old cookie then matches nothing and is dropped.
 */
#include "transfer.h"

#include <string.h>

#include "call.h"
#include "codec.h"
#include "fetch.h"
#include "listen.h"
#include "request.h"
#include "roads.h"

#define TRIES_MAX       20   /* of a peer that answers other requests */
#define SILENCE_MS      3000 /* of a peer that answers nothing: it is gone */
#define SILENCE_TRIES   5
#define BUSY_FIRST_MS   1
#define BUSY_TRIES      100 /* some seconds of "busy" are as good as silence */
#define STALL_PERIOD_MS 10000
#define CALL_TRIES      2 /* a call that does not come through was not worth more */
#define TRY_TRIES       2 /* nor is a road that may still be down */
#define SHARED_LINES    4
#define REOPENS_MAX     3 /* transfers forgotten without a range served in between */
#define START_WINDOW    4

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void fwr_transfer_reset(struct fwr_recipient *r)
{
    memset(r->pending, 0, sizeof(r->pending));
    memset(r->fetches, 0, sizeof(r->fetches[0]) * r->fetch_count);
    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        struct fwr_donor_peer *p = &r->peers[i];
        p->answer = FWR_PENDING;
        p->asked = 0;
        p->transfer_state = FWR_TRANSFER_NONE;
        p->transfer = 0;
        p->in_flight = p->sent = 0;
        p->fetches = 0;
        p->reopened = 0;
        p->acked = 0;
        p->allowed = START_WINDOW;
        p->penalty /= 2;
        p->heard = r->now;
        fwr_cookie_lost_all(&p->cookies, r->now);
    }
}

void fwr_transfer_ask(struct fwr_recipient *r, uint8_t peer, uint8_t index)
{
    struct fwr_pending *q = fwr_request_new(r, peer, FWR_PURPOSE_ASK);

    if (!q)
        return;
    q->command = FWR_CMD_REQUEST_IMAGE;
    q->index = index;
    r->peers[peer].asked = (uint8_t)(index + 1);
}

void fwr_transfer_accept(struct fwr_recipient *r, uint8_t peer)
{
    struct fwr_donor_peer *p = &r->peers[peer];
    struct fwr_pending *q = fwr_request_new(r, peer, FWR_PURPOSE_ACCEPT);

    if (!q)
        return;
    if (p->nonce == 0 &&
        r->config.platform->random(r->config.platform->ctx, &p->nonce, sizeof(p->nonce)) != FWR_OK)
        p->nonce = ++r->fetch_order; /* only told apart from our own other questions */
    p->transfer_state = FWR_TRANSFER_ACCEPTING;
    q->command = FWR_CMD_ACCEPT_OFFER;
    if (p->not_before > r->now)
        q->due = p->not_before;
}

/* Leaves a donor, and tells it where it might still keep a place for us. */
static void close_transfer(struct fwr_recipient *r, uint8_t peer, uint8_t result)
{
    struct fwr_donor_peer *p = &r->peers[peer];
    bool open = p->transfer_state == FWR_TRANSFER_OPEN;

    fwr_request_forget(r, peer);
    p->transfer_state = FWR_TRANSFER_NONE;
    p->nonce = 0;
    if (!open || peer == fwr_push_peer(r) || p->reach != FWR_OK)
        return;
    struct fwr_pending *q = fwr_request_new(r, peer, FWR_PURPOSE_END);
    if (q) {
        q->command = FWR_CMD_END_TRANSFER;
        q->index = result;
    }
}

void fwr_transfer_end_all(struct fwr_recipient *r, uint8_t result)
{
    for (uint8_t i = 0; i < r->fetch_count; i++)
        fwr_fetch_free(r, i);
    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        close_transfer(r, i, result);
    }
}

uint8_t fwr_transfer_count(const struct fwr_recipient *r)
{
    uint8_t count = 0;

    for (uint8_t i = 0; i <= r->config.peer_count; i++)
        count = (uint8_t)(count + (r->peers[i].transfer_state != FWR_TRANSFER_NONE));
    return count;
}

uint32_t fwr_transfer_rate(const struct fwr_recipient *r)
{
    uint64_t rate = 0;

    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        const struct fwr_donor_peer *p = &r->peers[i];
        if (p->transfer_state != FWR_TRANSFER_OPEN || !p->measured)
            continue;
        uint64_t in_window = (uint64_t)p->max_length * fwr_request_window(r, p);
        rate += in_window * 8000 / (p->round_trip + 8);
    }
    return rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

/* Takes the ranges from a peer. What a liar sent is not worth keeping. */
static void hand_over(struct fwr_recipient *r, uint8_t peer, int reason)
{
    for (uint8_t i = 0; i < r->fetch_count; i++) {
        struct fwr_fetch *f = &r->fetches[i];
        if (f->state != FWR_FETCH_OPEN || f->source != peer)
            continue;
        if (f->object == FWR_OBJECT_MANIFEST) {
            fwr_fetch_fail(r, f, peer, reason);
            continue;
        }
        if (reason == FWR_E_DONOR_LIED)
            fwr_fetch_restart(r, f);
        else
            fwr_fetch_release(r, f);
        f->avoid = peer;
    }
}

void fwr_transfer_drop(struct fwr_recipient *r, uint8_t peer, int reason)
{
    struct fwr_donor_peer *p = &r->peers[peer];

    if (p->transfer_state != FWR_TRANSFER_NONE)
        fwr_recipient_log(r, FWR_LOG_NOTICE, "%s dropped: %s", fwr_peer_name(r, peer),
                          fwr_error_text(reason));
    if (reason == FWR_E_UNKNOWN_TRANSFER)
        p->transfer_state = FWR_TRANSFER_NONE; /* there is nothing left to end */
    p->answer = reason;
    fwr_roads_lost(r, peer);
    hand_over(r, peer, reason);
    close_transfer(r, peer, (uint8_t)-reason);
    fwr_fetch_assign_all(r);
}

void fwr_transfer_leave(struct fwr_recipient *r, uint8_t peer)
{
    hand_over(r, peer, FWR_OK);
    close_transfer(r, peer, 0);
}

/* ---- sending ---- */

static int encode_read(const struct fwr_recipient *r, const struct fwr_pending *q, uint8_t cookie,
                       struct fwr_outgoing *m)
{
    const struct fwr_fetch *f = &r->fetches[q->index];

    if (f->object == FWR_OBJECT_MANIFEST) {
        struct fwr_read_manifest_request request = {
            .cookie = cookie, .offset = q->offset, .length = q->length};
        memcpy(request.tag, r->candidates[r->judged].offer.tag, FWR_TAG_SIZE);
        return fwr_read_manifest_request_encode(&request, m->data, sizeof(m->data));
    }
    struct fwr_read_request request = {.cookie = cookie,
                                       .transfer = r->peers[q->peer].transfer,
                                       .offset = f->offset + (f->coded ? 0 : q->offset),
                                       .length = q->length,
                                       .codec = f->coded ? FWR_CODEC_LZ4 : FWR_CODEC_NONE,
                                       .skip = f->coded ? (uint16_t)q->offset : 0};
    if (fwr_listen_may(r, f))
        request.codec |= FWR_CODEC_BROADCAST;
    return fwr_read_request_encode(&request, m->data, sizeof(m->data));
}

static int encode_ask(const struct fwr_recipient *r, const struct fwr_pending *q, uint8_t cookie,
                      struct fwr_outgoing *m)
{
    const struct fwr_board *board = r->config.board;
    struct fwr_request_image_request request = {
        .cookie = cookie, .hardware_revision = board->hardware_revision, .index = q->index};

    if (r->resumed || q->purpose == FWR_PURPOSE_TRY) {
        request.kind = FWR_REQUEST_BY_TAG;
        memcpy(request.key, r->id, FWR_KEY_SIZE);
    } else {
        request.kind = FWR_REQUEST_BY_KEY;
        int error = fwr_compatibility_key(board->component, board->manufacturer, board->product,
                                          request.key);
        if (error)
            return error;
    }
    return fwr_request_image_request_encode(&request, m->data, sizeof(m->data));
}

static int encode(const struct fwr_recipient *r, const struct fwr_pending *q, uint8_t cookie,
                  struct fwr_outgoing *m)
{
    const struct fwr_donor_peer *p = &r->peers[q->peer];

    switch (q->purpose) {
    case FWR_PURPOSE_ASK:
    case FWR_PURPOSE_TRY:
        return encode_ask(r, q, cookie, m);
    case FWR_PURPOSE_ACCEPT: {
        struct fwr_accept_offer_request request = {.cookie = cookie, .nonce = p->nonce};
        memcpy(request.tag, r->id, FWR_TAG_SIZE);
        return fwr_accept_offer_request_encode(&request, m->data, sizeof(m->data));
    }
    case FWR_PURPOSE_END: {
        struct fwr_end_transfer_request request = {
            .cookie = cookie, .transfer = p->transfer, .result = q->index};
        return fwr_end_transfer_request_encode(&request, m->data, sizeof(m->data));
    }
    case FWR_PURPOSE_CALL: {
        struct fwr_offer_request request = {.cookie = cookie,
                                            .slot = r->config.slot,
                                            .sequence = r->manifest.sequence,
                                            .kind = FWR_OFFER_CALL};
        memcpy(request.tag, r->id, FWR_TAG_SIZE);
        return fwr_offer_request_encode(&request, m->data, sizeof(m->data));
    }
    default:
        return encode_read(r, q, cookie, m);
    }
}

static bool send_pending(struct fwr_recipient *r, struct fwr_pending *q, struct fwr_outgoing *m)
{
    struct fwr_donor_peer *p = &r->peers[q->peer];
    uint8_t cookie = fwr_cookie_take(&p->cookies, r->now);
    int length = encode(r, q, cookie, m);

    if (length < 0) {
        fwr_cookie_answered(&p->cookies, cookie);
        fwr_request_free(r, q);
        return false;
    }
    m->peer = q->peer;
    m->command = q->command;
    m->length = (uint8_t)length;
    q->cookie = cookie;
    q->asked_offset = q->offset;
    q->asked_length = q->length;
    q->asked_coded = q->purpose == FWR_PURPOSE_READ && r->fetches[q->index].coded;
    fwr_request_sent(r, q);
    return true;
}

/* The longest slice a peer may be asked for; one byte of the reply is the cookie. */
static uint32_t slice_max(const struct fwr_recipient *r, const struct fwr_fetch *f)
{
    const struct fwr_donor_peer *p = &r->peers[f->source];
    uint32_t max = p->limits.max_reply - 1u;

    /* Where it may come by broadcast all of it is named: one answer then stands for many. */
    if (fwr_listen_may(r, f))
        return UINT16_MAX;
    if (f->object != FWR_OBJECT_MANIFEST && p->max_length < max)
        max = p->max_length;
    return max;
}

bool fwr_transfer_codes(const struct fwr_recipient *r, uint8_t peer)
{
    const struct fwr_donor_peer *p = &r->peers[peer];

    return p->limits.medium >= FWR_MEDIUM_BLUETOOTH &&
           (p->codecs & fwr_codec_known() & 1 << FWR_CODEC_LZ4) != 0;
}

/* A block of which nothing was asked for yet comes as a coded stream where that is better. */
static void begin_coded(const struct fwr_recipient *r, struct fwr_fetch *f)
{
    f->coded |= f->object == FWR_OBJECT_BLOCKS && f->asked == 0 && !f->plain &&
                f->length == fwr_block_size(r) && fwr_transfer_codes(r, f->source);
}

bool fwr_transfer_next_send(struct fwr_recipient *r, struct fwr_outgoing *message)
{
    fwr_fetch_assign_all(r);
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->state == FWR_PENDING_QUEUED && q->due <= r->now &&
            r->peers[q->peer].reach == FWR_OK && fwr_request_room(r, q->peer) &&
            send_pending(r, q, message))
            return true;
    }
    struct fwr_fetch *f = fwr_fetch_next(r);
    if (!f)
        return false;
    struct fwr_pending *q = fwr_request_new(r, f->source, FWR_PURPOSE_READ);
    if (!q)
        return false;
    begin_coded(r, f);
    uint32_t length = (f->total > 0 ? f->total : f->length) - f->asked;
    uint32_t max = slice_max(r, f);
    q->command = f->object == FWR_OBJECT_MANIFEST ? FWR_CMD_READ_MANIFEST
                 : f->object == FWR_OBJECT_TREE   ? FWR_CMD_READ_TREE
                                                  : FWR_CMD_READ_BLOCKS;
    q->index = (uint8_t)(f - r->fetches);
    q->offset = f->asked;
    q->length = (uint16_t)(length < max ? length : max);
    f->asked += q->length;
    return send_pending(r, q, message);
}

void fwr_transfer_unsent(struct fwr_recipient *r, const struct fwr_outgoing *message, int error)
{
    struct fwr_pending *q = fwr_request_find(r, message->peer, message->command, message->data[0]);

    if (q) {
        fwr_cookie_answered(&r->peers[q->peer].cookies, q->cookie);
        fwr_request_queue(r, q, q->peer, r->now + BUSY_FIRST_MS);
    }
    if (error != FWR_E_BUSY)
        r->peers[message->peer].reach = error;
}

/* ---- replies ---- */

static void grow(struct fwr_donor_peer *p)
{
    if (++p->acked < p->allowed || p->allowed == UINT8_MAX)
        return;
    p->acked = 0;
    p->allowed++;
}

/* A peer that is busy just now is asked again, a little later each time. False when it has been
 * for too long. */
static bool again_later(struct fwr_recipient *r, struct fwr_pending *q)
{
    if (q->busy == BUSY_TRIES)
        return false;
    fwr_request_queue(r, q, q->peer,
                      r->now + ((uint32_t)BUSY_FIRST_MS << (q->busy < 6 ? q->busy : 6)));
    q->busy++;
    return true;
}

static void candidate_add(struct fwr_recipient *r, uint8_t peer, uint8_t index,
                          const struct fwr_request_image_reply *reply)
{
    struct fwr_candidate *c;

    /* Nobody's further matches may take the place of another's first. */
    if (r->candidate_count + (index > 0 ? r->sample : 0) >= r->candidate_max)
        return;
    for (uint8_t i = 0; i < r->candidate_count; i++) {
        c = &r->candidates[i];
        if (c->offer.peer == peer && memcmp(c->offer.tag, reply->tag, FWR_TAG_SIZE) == 0)
            return;
    }
    c = &r->candidates[r->candidate_count++];
    memset(c, 0, sizeof(*c));
    c->offer.peer = peer;
    c->offer.medium = r->peers[peer].limits.medium;
    c->offer.load = reply->load;
    c->offer.round_trip_ms = r->peers[peer].round_trip / 8;
    c->offer.rate = fwr_roads_rate(r, peer);
    memcpy(c->offer.tag, reply->tag, FWR_TAG_SIZE);
    c->hint = reply->sequence;
    c->verdict = FWR_PENDING;
}

static void on_ask(struct fwr_recipient *r, struct fwr_pending *q, int error, const uint8_t *data,
                   size_t length)
{
    struct fwr_donor_peer *p = &r->peers[q->peer];
    struct fwr_request_image_reply reply = {0};

    if (!error)
        error = fwr_request_image_reply_decode(data, length, &reply);
    if (error) {
        p->answer = p->answer == FWR_OK ? FWR_OK : error;
    } else if (reply.result == FWR_IMAGE_OFFER) {
        p->answer = FWR_OK;
        candidate_add(r, q->peer, q->index, &reply);
        p->not_before = 0;
        if (q->index + 1 < reply.count && q->index + 1 < FWR_MATCHES_MAX)
            fwr_transfer_ask(r, q->peer, (uint8_t)(q->index + 1));
    } else if (reply.result == FWR_IMAGE_BUSY) {
        p->answer = FWR_E_DONORS_BUSY;
        p->not_before = r->now + reply.retry * UINT64_C(100);
    } else if (p->answer != FWR_OK) {
        p->answer = FWR_E_NO_OFFER;
        p->not_before = 0;
    }
    fwr_request_free(r, q);
}

static void on_accept(struct fwr_recipient *r, struct fwr_pending *q, int error,
                      const uint8_t *data, size_t length)
{
    uint8_t peer = q->peer;
    struct fwr_donor_peer *p = &r->peers[peer];
    struct fwr_accept_offer_reply reply = {0};

    if (!error)
        error = fwr_accept_offer_reply_decode(data, length, &reply);
    if (!error && reply.result == FWR_ACCEPT_BUSY) {
        p->not_before = r->now + (reply.retry ? reply.retry * 100u : 1000u);
        error = FWR_E_DONORS_BUSY;
    }
    if (!error && reply.result != FWR_ACCEPT_OK)
        error = FWR_E_NO_OFFER;
    if (!error && (reply.max_length == 0 || reply.window == 0))
        error = FWR_E_MALFORMED;
    if (error) {
        fwr_transfer_drop(r, peer, error);
        return;
    }
    p->transfer_state = FWR_TRANSFER_OPEN;
    p->transfer = reply.transfer;
    p->max_length = reply.max_length;
    p->window = reply.window;
    p->codecs = reply.codecs;
    p->gained = r->now;
    fwr_request_free(r, q);
    fwr_roads_opened(r, peer);
}

static void on_try(struct fwr_recipient *r, struct fwr_pending *q, int error, const uint8_t *data,
                   size_t length)
{
    struct fwr_request_image_reply reply = {0};
    uint8_t peer = q->peer;

    if (!error)
        error = fwr_request_image_reply_decode(data, length, &reply);
    if (!error && (reply.result != FWR_IMAGE_OFFER || memcmp(reply.tag, r->id, FWR_TAG_SIZE) != 0))
        error = FWR_E_NO_OFFER;
    fwr_request_free(r, q);
    fwr_roads_tried(r, peer, error);
}

/* Bytes of a slice, or as many of it as the road carried: the rest is asked for next. */
static void take_slice(struct fwr_recipient *r, struct fwr_pending *q,
                       const struct fwr_data_reply *reply)
{
    struct fwr_fetch *f = &r->fetches[q->index];
    uint32_t skip = q->offset - q->asked_offset, got = 0;
    uint8_t peer = q->peer;

    /* Not what was heard since it was asked for, nor a stream that is none any more. */
    if (reply->length > skip && q->asked_coded == f->coded)
        got = (uint32_t)reply->length - skip;
    if (got > q->length)
        got = q->length;
    if (got > 0)
        fwr_fetch_take(r, f, peer, q->offset, reply->data + skip, got);
    if (got < q->length && f->object != FWR_OBJECT_MANIFEST && !f->coded) {
        q->offset += got;
        q->length = (uint16_t)(q->length - got);
        fwr_request_queue(r, q, peer, r->now);
        q->tries = q->busy = 0;
        return;
    }
    if (f->object == FWR_OBJECT_MANIFEST)
        f->asked = f->have;
    fwr_request_free(r, q);
    fwr_fetch_progress(r, f, peer);
}

static void on_read(struct fwr_recipient *r, struct fwr_pending *q, int error, const uint8_t *data,
                    size_t length)
{
    struct fwr_fetch *f = &r->fetches[q->index];
    struct fwr_data_reply reply;
    uint8_t peer = q->peer;

    if (!error)
        error = fwr_data_reply_decode(data, length, &reply);
    if (error == FWR_E_UNKNOWN_TRANSFER && f->object != FWR_OBJECT_MANIFEST) {
        uint8_t reopened = r->peers[peer].reopened;
        fwr_transfer_drop(r, peer, error);
        if (reopened < REOPENS_MAX) {
            r->peers[peer].reopened = (uint8_t)(reopened + 1);
            fwr_transfer_accept(r, peer);
        }
        return;
    }
    if (error == FWR_E_BY_BROADCAST && fwr_listen_may(r, f)) {
        f->coded = false;
        fwr_listen_await(r, q);
        return;
    }
    if (!error && reply.length == 0)
        error = FWR_E_NOT_HELD;
    if (error) {
        fwr_request_want(r, q);
        fwr_fetch_fail(r, f, peer, error);
        return;
    }
    take_slice(r, q, &reply);
}

/* More bytes than were asked for are no answer: the cookie is all that they share with one. */
static bool answers_too_much(const struct fwr_pending *q, int error, size_t length)
{
    return error == FWR_OK && q->purpose == FWR_PURPOSE_READ && length > q->asked_length + 1u;
}

void fwr_transfer_response(struct fwr_recipient *r, uint8_t peer, uint8_t command, int error,
                           const uint8_t *data, size_t length)
{
    struct fwr_pending *q = NULL;

    if (length > 0) {
        q = fwr_request_find(r, peer, command, data[0]);
    } else if (error) { /* error replies carry no cookie: the oldest of that command */
        for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
            struct fwr_pending *other = &r->pending[i];
            if (other->state == FWR_PENDING_SENT && other->peer == peer &&
                other->command == command && (!q || other->sent < q->sent))
                q = other;
        }
    }
    if (!q || answers_too_much(q, error, length)) {
        r->dropped++;
        if (!q && length > 0 && fwr_cookie_rests(&r->peers[peer].cookies, data[0]))
            fwr_request_late(&r->peers[peer]);
        return;
    }
    struct fwr_donor_peer *p = &r->peers[peer];
    p->heard = r->now;
    fwr_cookie_answered(&p->cookies, q->cookie);
    fwr_request_answered(r, q);
    if (error == FWR_E_BUSY) {
        if (q->purpose != FWR_PURPOSE_END && again_later(r, q))
            return;
        error = FWR_E_DONORS_BUSY;
    } else {
        grow(p);
    }
    switch (q->purpose) {
    case FWR_PURPOSE_ASK:
        on_ask(r, q, error, data, length);
        break;
    case FWR_PURPOSE_ACCEPT:
        on_accept(r, q, error, data, length);
        break;
    case FWR_PURPOSE_TRY:
        on_try(r, q, error, data, length);
        break;
    case FWR_PURPOSE_END:
        fwr_request_free(r, q);
        break;
    case FWR_PURPOSE_CALL:
        fwr_request_free(r, q);
        fwr_call_answered(r, error, data, length);
        break;
    default:
        on_read(r, q, error, data, length);
    }
}

/* ---- time ---- */

static void give_up(struct fwr_recipient *r, struct fwr_pending *q)
{
    uint8_t peer = q->peer, purpose = q->purpose, index = q->index;

    if (purpose == FWR_PURPOSE_READ)
        fwr_request_want(r, q);
    else
        fwr_request_free(r, q);
    if (purpose == FWR_PURPOSE_END)
        return;
    if (purpose == FWR_PURPOSE_TRY) {
        fwr_roads_tried(r, peer, FWR_E_TIMEOUT);
        return;
    }
    if (purpose == FWR_PURPOSE_CALL) {
        fwr_call_answered(r, FWR_E_TIMEOUT, NULL, 0);
        return;
    }
    if (purpose == FWR_PURPOSE_ASK) {
        r->peers[peer].not_before = 0;
        if (r->peers[peer].answer == FWR_PENDING)
            r->peers[peer].answer = r->peers[peer].reach ? r->peers[peer].reach : FWR_E_TIMEOUT;
        return;
    }
    if (purpose == FWR_PURPOSE_READ && r->fetches[index].object == FWR_OBJECT_MANIFEST)
        fwr_fetch_fail(r, &r->fetches[index], peer, FWR_E_TIMEOUT);
    else
        fwr_transfer_drop(r, peer, FWR_E_TIMEOUT);
}

static void lost(struct fwr_recipient *r, struct fwr_pending *q)
{
    struct fwr_donor_peer *p = &r->peers[q->peer];
    uint8_t limit = q->purpose == FWR_PURPOSE_END    ? 3
                    : q->purpose == FWR_PURPOSE_CALL ? CALL_TRIES
                    : q->purpose == FWR_PURPOSE_TRY  ? TRY_TRIES
                                                     : TRIES_MAX;
    uint64_t silence = 8 * (uint64_t)fwr_request_timeout(p);

    if (silence < SILENCE_MS)
        silence = SILENCE_MS;
    if (r->now - p->heard >= silence && limit > SILENCE_TRIES)
        limit = SILENCE_TRIES;
    if (p->reach == FWR_OK && p->allowed > 1 && q->tries == 0)
        p->allowed = (uint8_t)(p->allowed / 2);
    if (++q->tries >= limit) {
        give_up(r, q);
        return;
    }
    fwr_request_queue(r, q, q->peer, r->now);
}

/* A donor below the minimum rate only wastes our time; a console may be a person who types, so
 * that its lease alone counts. */
static uint32_t stall_period(const struct fwr_recipient *r, uint8_t peer)
{
    return peer == fwr_push_peer(r) ? FWR_PUSH_LEASE_SECONDS * 1000u : STALL_PERIOD_MS;
}

static void check_rate(struct fwr_recipient *r, uint8_t peer)
{
    struct fwr_donor_peer *p = &r->peers[peer];

    if (p->fetches == 0 || r->now - p->rate_since < stall_period(r, peer))
        return;
    uint64_t needed = (uint64_t)r->config.min_rate * (r->now - p->rate_since) / 1000;
    if (fwr_request_is_line(p)) /* others are on the bus too */
        needed /= SHARED_LINES;
    bool slow = p->rate_bytes < (peer == fwr_push_peer(r) ? 1 : needed);
    fwr_request_measure_rate(r, p);
    if (slow)
        fwr_transfer_drop(r, peer, FWR_E_DONOR_STALLED);
}

uint64_t fwr_transfer_next_timeout(const struct fwr_recipient *r)
{
    uint64_t next = FWR_NEVER;

    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        const struct fwr_pending *q = &r->pending[i];
        if (q->state == FWR_PENDING_FREE)
            continue;
        /* What finds no room on its road waits for those before it, not for a time. */
        if (q->state != FWR_PENDING_QUEUED || r->peers[q->peer].reach != FWR_OK ||
            fwr_request_room(r, q->peer))
            next = min_u64(next, q->due);
    }
    for (uint8_t i = 0; i <= r->config.peer_count; i++) {
        const struct fwr_donor_peer *p = &r->peers[i];
        if (p->fetches > 0)
            next = min_u64(next, p->rate_since + stall_period(r, i));
    }
    return next;
}

void fwr_transfer_timeout(struct fwr_recipient *r)
{
    for (size_t i = 0; i < FWR_PENDING_MAX; i++) {
        struct fwr_pending *q = &r->pending[i];
        if (q->due > r->now)
            continue;
        /* A request that cannot even be sent is lost as well: the road is down. */
        if (q->state == FWR_PENDING_SENT)
            lost(r, q);
        else if (q->state == FWR_PENDING_LISTENING)
            fwr_listen_timeout(r, q);
        else if (q->state == FWR_PENDING_QUEUED && r->peers[q->peer].reach != FWR_OK)
            give_up(r, q);
    }
    for (uint8_t i = 0; i <= r->config.peer_count; i++)
        check_rate(r, i);
}
