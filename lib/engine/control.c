/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: the commands a recipient answers: an operator's Start, Abort, Set Policy, Get Status
 * and Read Page, and a console's Offer, Get Wanted and Write Data. Every one may be repeated.
 */
#include <string.h>

#include "call.h"
#include "engine.h"
#include "fetch.h"
#include "journal.h"
#include "negotiate.h"
#include "transfer.h"
#include "wire/cursor.h"

static int on_start(struct fwr_recipient *r, const uint8_t *data, size_t length, uint8_t *reply,
                    size_t capacity)
{
    struct fwr_start_request request;
    struct fwr_result_reply out;
    int error = fwr_start_request_decode(data, length, &request);

    if (error)
        return error;
    out.cookie = request.cookie;
    error = fwr_recipient_start(r, r->now, (enum fwr_start_mode)request.mode, request.run);
    out.result = error == FWR_OK        ? FWR_START_OK
                 : error == FWR_E_BUSY  ? FWR_START_BUSY
                 : error == FWR_E_STALE ? FWR_START_STALE
                                        : FWR_START_REFUSED;
    return fwr_result_reply_encode(&out, reply, capacity);
}

static int on_abort(struct fwr_recipient *r, const uint8_t *data, size_t length, uint8_t *reply,
                    size_t capacity)
{
    struct fwr_start_request request;
    struct fwr_result_reply out;
    int error = fwr_abort_request_decode(data, length, &request);

    if (error)
        return error;
    out.cookie = request.cookie;
    if (request.run != r->run)
        out.result = FWR_START_STALE;
    else
        out.result = fwr_recipient_abort(r, r->now) == FWR_OK ? FWR_START_OK : FWR_START_REFUSED;
    return fwr_result_reply_encode(&out, reply, capacity);
}

static int on_status(struct fwr_recipient *r, const uint8_t *data, size_t length, uint8_t *reply,
                     size_t capacity)
{
    struct fwr_get_status_request request;
    struct fwr_status_page status;
    int error = fwr_get_status_request_decode(data, length, &request);

    if (error)
        return error;
    fwr_recipient_status(r, &status);
    struct fwr_get_status_reply out = {
        .cookie = request.cookie,
        .slot = request.slot,
        .state = status.state,
        .reason = status.reason,
        .permille = fwr_recipient_permille(r),
        .fetched = status.blocks_fetched,
        .reused = status.blocks_copied + status.blocks_blank,
        .run = status.run,
    };
    return fwr_get_status_reply_encode(&out, reply, capacity);
}

static int on_page(struct fwr_recipient *r, const uint8_t *data, size_t length, uint8_t *reply,
                   size_t capacity)
{
    struct fwr_read_page_request request;
    int error = fwr_read_page_request_decode(data, length, &request);

    return error ? error : fwr_report_page(r, &request, reply, capacity);
}

/* ---- policy ---- */

/* Puts what is stored in force; the caller's own rules are never loosened by it. */
static void apply_policy(struct fwr_recipient *r, const struct fwr_policy_record *record)
{
    struct fwr_policy_rules *rules = r->config.rules;

    r->policy_generation = record->generation;
    if (rules && record->min_sequence > rules->min_sequence)
        rules->min_sequence = record->min_sequence;
    if (rules)
        rules->media_refused |= record->media_refused;
}

int fwr_control_load_policy(struct fwr_recipient *r)
{
    struct fwr_policy_record record;
    int error = fwr_policy_read(r, &record);

    if (error)
        return error;
    apply_policy(r, &record);
    return FWR_OK;
}

int fwr_control_save_policy(struct fwr_recipient *r)
{
    int error = fwr_policy_write(r, &r->policy_next);

    if (error == FWR_PENDING)
        return error;
    r->policy_saving = false;
    if (!error)
        apply_policy(r, &r->policy_next);
    return error;
}

/* Tightens `rules` by one item; false when it would loosen them or is unknown. */
static bool tighten(struct fwr_policy_rules *rules, const struct fwr_set_policy_request *request)
{
    struct fwr_reader reader;

    fwr_reader_init(&reader, request->value, request->length);
    if (request->item == FWR_POLICY_MIN_SEQUENCE) {
        uint32_t sequence = fwr_reader_u32(&reader);
        if (!fwr_reader_complete(&reader) || sequence < rules->min_sequence)
            return false;
        rules->min_sequence = sequence;
        return true;
    }
    if (request->item == FWR_POLICY_MEDIA) {
        uint8_t allowed = fwr_reader_u8(&reader);
        if (!fwr_reader_complete(&reader) || (allowed & rules->media_refused))
            return false;
        rules->media_refused = (uint8_t)~allowed;
        return true;
    }
    return false;
}

static int on_policy(struct fwr_recipient *r, const uint8_t *data, size_t length, uint8_t *reply,
                     size_t capacity)
{
    struct fwr_set_policy_request request;
    struct fwr_result_reply out = {.result = FWR_POLICY_OK};
    struct fwr_policy_rules rules = {0};
    int error = fwr_set_policy_request_decode(data, length, &request);

    if (error)
        return error;
    if (r->outstanding)
        return FWR_E_BUSY; /* the store may be the device that is at work */
    out.cookie = request.cookie;
    if (r->config.rules)
        rules = *r->config.rules;
    if (request.generation <= r->policy_generation) {
        out.result = FWR_POLICY_STALE;
    } else if (!r->config.rules || !tighten(&rules, &request)) {
        out.result = FWR_POLICY_REFUSED;
    } else {
        r->policy_next = (struct fwr_policy_record){.generation = request.generation,
                                                    .min_sequence = rules.min_sequence,
                                                    .media_refused = rules.media_refused};
        r->policy_saving = true;
        error = fwr_control_save_policy(r);
        if (error) /* a slow store goes on by itself; asked again, the generation is in force */
            return error == FWR_PENDING ? FWR_E_BUSY : error;
    }
    return fwr_result_reply_encode(&out, reply, capacity);
}

/* ---- push ---- */

static bool same_caller(const struct fwr_caller *a, const struct fwr_caller *b)
{
    return a->link == b->link && a->session == b->session;
}

static bool push_is(const struct fwr_recipient *r, const struct fwr_caller *caller,
                    uint32_t transfer)
{
    const struct fwr_donor_peer *p = &r->peers[fwr_push_peer(r)];

    return p->transfer != 0 && p->transfer == transfer && same_caller(caller, &r->pusher);
}

/* Begins a run that this console alone brings the image for. */
static int push_begin(struct fwr_recipient *r, const struct fwr_caller *caller,
                      const struct fwr_offer_request *offer)
{
    struct fwr_donor_peer *p = &r->peers[fwr_push_peer(r)];
    const struct fwr_platform *platform = r->config.platform;
    uint32_t transfer = 0;

    while (transfer == 0) {
        int error = platform->random(platform->ctx, &transfer, sizeof(transfer));
        if (error)
            return error;
    }
    r->pusher = *caller;
    fwr_recipient_begin_pushed(r, offer);
    p->transfer = transfer;
    p->limits.medium = caller->medium;
    p->max_length = UINT16_MAX;
    p->window = 1;
    return FWR_OK;
}

/* Whether a console may bring an image now. */
static uint8_t push_verdict(const struct fwr_recipient *r, const struct fwr_offer_request *offer)
{
    switch (r->phase) {
    case FWR_PHASE_IDLE:
    case FWR_PHASE_BACKOFF:
    case FWR_PHASE_FAILED:
        return FWR_OFFER_ACCEPTED;
    case FWR_PHASE_DONE:
        return r->reason == FWR_OK && r->mode == FWR_START_REPAIR &&
                       memcmp(r->id, offer->tag, FWR_TAG_SIZE) == 0
                   ? FWR_OFFER_NOT_WANTED
                   : FWR_OFFER_ACCEPTED;
    default:
        return FWR_OFFER_BUSY;
    }
}

static int on_offer(struct fwr_recipient *r, const struct fwr_caller *caller, const uint8_t *data,
                    size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_offer_request request;
    struct fwr_offer_reply out = {0};
    struct fwr_donor_peer *p = &r->peers[fwr_push_peer(r)];
    int error = fwr_offer_request_decode(data, length, &request);

    if (!error && request.kind == FWR_OFFER_TRUST)
        error = FWR_E_MALFORMED; /* no keyring has taken it */
    if (error)
        return error;
    out.cookie = request.cookie;
    if (request.kind == FWR_OFFER_CALL) {
        out.result = fwr_call_heard(r, caller, &request);
        return fwr_offer_reply_encode(&out, reply, capacity);
    }
    bool again = p->transfer != 0 && p->answer == FWR_OK && same_caller(caller, &r->pusher) &&
                 !fwr_at_rest(r) && r->candidate_count == 1 &&
                 memcmp(r->candidates[0].offer.tag, request.tag, FWR_TAG_SIZE) == 0;
    if (!again) {
        out.result = push_verdict(r, &request);
        if (out.result == FWR_OFFER_ACCEPTED) {
            error = push_begin(r, caller, &request);
            if (error)
                return error;
        }
    }
    if (out.result == FWR_OFFER_ACCEPTED) {
        out.transfer = p->transfer;
        out.lease = FWR_PUSH_LEASE_SECONDS;
    }
    return fwr_offer_reply_encode(&out, reply, capacity);
}

static int on_wanted(struct fwr_recipient *r, const struct fwr_caller *caller, const uint8_t *data,
                     size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_get_wanted_request request;
    struct fwr_get_wanted_reply out = {0};
    struct fwr_wanted wanted;
    uint8_t ranges[FWR_FETCHES_MAX * FWR_WANTED_SIZE];
    int error = fwr_get_wanted_request_decode(data, length, &request);

    if (error)
        return error;
    if (!push_is(r, caller, request.transfer))
        return FWR_E_UNKNOWN_TRANSFER;
    out.cookie = request.cookie;
    out.ranges = ranges;
    uint16_t all = fwr_fetch_wanted(r, UINT16_MAX, &wanted);
    size_t room = (capacity - 2) / FWR_WANTED_SIZE;
    for (uint16_t i = request.index; i < all && out.count < room; i++) {
        fwr_fetch_wanted(r, i, &wanted);
        error = fwr_wanted_encode(&wanted, ranges + out.count * FWR_WANTED_SIZE, FWR_WANTED_SIZE);
        if (error < 0)
            return error;
        out.count++;
    }
    out.more = request.index + out.count < all ? FWR_WANTED_MORE : FWR_WANTED_LAST;
    if (fwr_at_rest(r))
        out.more = FWR_WANTED_DONE;
    return fwr_get_wanted_reply_encode(&out, reply, capacity);
}

static int on_write(struct fwr_recipient *r, const struct fwr_caller *caller, const uint8_t *data,
                    size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_write_data_request request;
    struct fwr_result_reply out;
    int error = fwr_write_data_request_decode(data, length, &request);

    if (error)
        return error;
    if (!push_is(r, caller, request.transfer))
        return FWR_E_UNKNOWN_TRANSFER;
    out.cookie = request.cookie;
    out.result = fwr_fetch_write(r, request.object, request.offset, request.data, request.length);
    return fwr_result_reply_encode(&out, reply, capacity);
}

/* The console goes away; the ranges it was to bring wait for somebody else. */
static int on_end(struct fwr_recipient *r, const struct fwr_caller *caller, const uint8_t *data,
                  size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_end_transfer_request request;
    struct fwr_empty_reply out;
    int error = fwr_end_transfer_request_decode(data, length, &request);

    if (error)
        return error;
    out.cookie = request.cookie;
    if (push_is(r, caller, request.transfer)) {
        fwr_transfer_drop(r, fwr_push_peer(r), FWR_E_SESSION_CLOSED);
        r->peers[fwr_push_peer(r)].transfer = 0;
    }
    return fwr_empty_reply_encode(&out, reply, capacity);
}

int fwr_recipient_request(struct fwr_recipient *r, uint64_t now, const struct fwr_caller *caller,
                          uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                          size_t capacity)
{
    if (capacity < FWR_LINK_MIN_REPLY)
        return FWR_E_NO_SPACE;
    r->now = now;
    switch (command) {
    case FWR_CMD_START:
        return on_start(r, data, length, reply, capacity);
    case FWR_CMD_ABORT:
        return on_abort(r, data, length, reply, capacity);
    case FWR_CMD_GET_STATUS:
        return on_status(r, data, length, reply, capacity);
    case FWR_CMD_READ_PAGE:
        return on_page(r, data, length, reply, capacity);
    case FWR_CMD_SET_POLICY:
        return on_policy(r, data, length, reply, capacity);
    case FWR_CMD_OFFER:
        return on_offer(r, caller, data, length, reply, capacity);
    case FWR_CMD_GET_WANTED:
        return on_wanted(r, caller, data, length, reply, capacity);
    case FWR_CMD_WRITE_DATA:
        return on_write(r, caller, data, length, reply, capacity);
    case FWR_CMD_END_TRANSFER:
        return on_end(r, caller, data, length, reply, capacity);
    default:
        return FWR_E_UNKNOWN_COMMAND;
    }
}
