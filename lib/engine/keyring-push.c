/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyring's commands: an administrator brings the next trust set by the commands of a push,
 * and anybody with a session reads the one in force. What is brought counts by its signatures.
 */
#include "keyring.h"

#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "transfer.h" /* FWR_PUSH_LEASE_SECONDS */
#include "wire/cursor.h"

static bool same_caller(const struct fwr_caller *a, const struct fwr_caller *b)
{
    return a->link == b->link && a->session == b->session;
}

static bool is_ours(const struct fwr_keyring *k, const struct fwr_caller *caller, uint32_t transfer)
{
    return k->transfer != 0 && k->transfer == transfer && same_caller(caller, &k->caller);
}

/* The first bytes of the id of the set in force: what an offer of it again would say. */
static bool in_force(const struct fwr_keyring *k, const uint8_t *tag)
{
    struct fwr_envelope envelope;
    uint8_t id[FWR_ID_SIZE];

    return k->current_length > 0 &&
           fwr_keyring_open(k->current, k->current_length, &envelope) == FWR_OK &&
           fwr_trust_id(envelope.payload, envelope.payload_length, id) == FWR_OK &&
           memcmp(id, tag, FWR_TAG_SIZE) == 0;
}

/* ---- push ---- */

/* One at a time; whoever goes silent with half a set gives way after the lease. */
static uint8_t verdict(const struct fwr_keyring *k, uint64_t now, const uint8_t *tag)
{
    if (k->stage > FWR_KEYRING_RECEIVING ||
        (k->stage == FWR_KEYRING_RECEIVING && now < k->deadline))
        return FWR_OFFER_BUSY;
    return in_force(k, tag) ? FWR_OFFER_NOT_WANTED : FWR_OFFER_ACCEPTED;
}

static int begin(struct fwr_keyring *k, const struct fwr_caller *caller, const uint8_t *tag)
{
    const struct fwr_platform *platform = k->config.platform;
    uint32_t transfer = 0;

    while (transfer == 0) {
        int error = platform->random(platform->ctx, &transfer, sizeof(transfer));
        if (error)
            return error;
    }
    k->transfer = transfer;
    k->caller = *caller;
    memcpy(k->tag, tag, FWR_TAG_SIZE);
    k->incoming_length = k->incoming_total = 0;
    k->stage = FWR_KEYRING_RECEIVING;
    return FWR_OK;
}

static void renew(struct fwr_keyring *k, uint64_t now)
{
    k->deadline = now + FWR_PUSH_LEASE_SECONDS * UINT64_C(1000);
}

static int on_offer(struct fwr_keyring *k, uint64_t now, const struct fwr_caller *caller,
                    const uint8_t *data, size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_offer_request request;
    struct fwr_offer_reply out = {.result = FWR_OFFER_ACCEPTED};
    int error = fwr_offer_request_decode(data, length, &request);

    if (error)
        return error;
    out.cookie = request.cookie;
    if (!(k->stage != FWR_KEYRING_IDLE && is_ours(k, caller, k->transfer) &&
          memcmp(k->tag, request.tag, FWR_TAG_SIZE) == 0)) {
        out.result = verdict(k, now, request.tag);
        error = out.result == FWR_OFFER_ACCEPTED ? begin(k, caller, request.tag) : FWR_OK;
        if (error)
            return error;
    }
    if (out.result == FWR_OFFER_ACCEPTED) {
        renew(k, now);
        out.transfer = k->transfer;
        out.lease = FWR_PUSH_LEASE_SECONDS;
    }
    return fwr_offer_reply_encode(&out, reply, capacity);
}

/* What is still missing; before the length is known, all that there is room for. */
static int on_wanted(struct fwr_keyring *k, const struct fwr_caller *caller, const uint8_t *data,
                     size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_get_wanted_request request;
    struct fwr_get_wanted_reply out = {.more = FWR_WANTED_LAST};
    uint8_t range[FWR_WANTED_SIZE];
    int error = fwr_get_wanted_request_decode(data, length, &request);

    if (error)
        return error;
    if (!is_ours(k, caller, request.transfer))
        return FWR_E_UNKNOWN_TRANSFER;
    out.cookie = request.cookie;
    out.ranges = range;
    if (k->stage == FWR_KEYRING_IDLE)
        out.more = FWR_WANTED_DONE;
    if (k->stage == FWR_KEYRING_RECEIVING && request.index == 0) {
        size_t total = k->incoming_total > 0 ? k->incoming_total : k->half;
        struct fwr_wanted wanted = {.object = FWR_OBJECT_TRUST,
                                    .offset = (uint32_t)k->incoming_length,
                                    .length = (uint32_t)(total - k->incoming_length)};
        error = fwr_wanted_encode(&wanted, range, sizeof(range));
        if (error < 0)
            return error;
        out.count = 1;
    }
    return fwr_get_wanted_reply_encode(&out, reply, capacity);
}

/* Takes the next bytes. An enum fwr_write_result. */
static uint8_t take(struct fwr_keyring *k, const struct fwr_write_data_request *request)
{
    size_t total;

    if (k->stage != FWR_KEYRING_RECEIVING || request->object != FWR_OBJECT_TRUST ||
        request->offset != k->incoming_length || request->length > k->half - k->incoming_length)
        return FWR_WRITE_NOT_WANTED;
    memcpy(k->incoming + k->incoming_length, request->data, request->length);
    size_t have = k->incoming_length + request->length;
    int error = fwr_envelope_total(k->incoming, have, &total);
    if (error == FWR_E_NO_SPACE || (!error && have < total && total <= k->half)) {
        k->incoming_total = error ? 0 : total;
        k->incoming_length = have;
        return FWR_WRITE_OK;
    }
    /* Whole, or beyond help: what came after its end is judged with it, and refused. */
    return fwr_keyring_judge(k, !error && total > k->half ? total : have) == FWR_OK
               ? FWR_WRITE_OK
               : FWR_WRITE_WRONG;
}

static int on_write(struct fwr_keyring *k, uint64_t now, const struct fwr_caller *caller,
                    const uint8_t *data, size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_write_data_request request;
    struct fwr_result_reply out;
    int error = fwr_write_data_request_decode(data, length, &request);

    if (error)
        return error;
    if (!is_ours(k, caller, request.transfer))
        return FWR_E_UNKNOWN_TRANSFER;
    renew(k, now);
    out.cookie = request.cookie;
    out.result = take(k, &request);
    return fwr_result_reply_encode(&out, reply, capacity);
}

/* Half a set is forgotten; a whole one goes its way without who brought it. */
static int on_end(struct fwr_keyring *k, const struct fwr_caller *caller, const uint8_t *data,
                  size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_end_transfer_request request;
    struct fwr_empty_reply out;
    int error = fwr_end_transfer_request_decode(data, length, &request);

    if (error)
        return error;
    if (!is_ours(k, caller, request.transfer))
        return FWR_E_UNKNOWN_TRANSFER;
    if (k->stage == FWR_KEYRING_RECEIVING)
        k->stage = FWR_KEYRING_IDLE;
    k->transfer = 0;
    out.cookie = request.cookie;
    return fwr_empty_reply_encode(&out, reply, capacity);
}

/* ---- page ---- */

static int on_page(struct fwr_keyring *k, const uint8_t *data, size_t length, uint8_t *reply,
                   size_t capacity)
{
    struct fwr_trust_page head = {.generation = k->in_force.generation,
                                  .floor = k->floor,
                                  .length = (uint32_t)k->current_length};
    struct fwr_read_page_request request;
    uint8_t bytes[FWR_TRUST_PAGE_SIZE];
    struct fwr_writer writer;
    int error = fwr_read_page_request_decode(data, length, &request);

    if (error)
        return error;
    if (request.generation != 0 && request.generation != k->page_generation)
        return FWR_E_STALE;
    head.state = k->stage > FWR_KEYRING_RECEIVING && k->stage < FWR_KEYRING_RAISING
                     ? FWR_TRUST_WAITING
                 : fwr_keyring_trust(k) ? FWR_TRUST_IN_FORCE
                                        : FWR_TRUST_NONE;
    head.reason = k->reason < 0 ? (uint8_t)-k->reason : 0;
    error = fwr_trust_page_encode(&head, bytes, sizeof(bytes));
    if (error < 0)
        return error;
    size_t whole = sizeof(bytes) + k->current_length, at = request.offset;
    if (at > whole)
        return FWR_E_RANGE;
    fwr_writer_init(&writer, reply, capacity);
    fwr_writer_u8(&writer, request.cookie);
    fwr_writer_u8(&writer, k->page_generation);
    for (size_t left = request.length; left > 0 && at < whole && writer.length < capacity; left--) {
        fwr_writer_u8(&writer, at < sizeof(bytes) ? bytes[at] : k->current[at - sizeof(bytes)]);
        at++;
    }
    return fwr_writer_finish(&writer);
}

int fwr_keyring_request(struct fwr_keyring *k, uint64_t now, const struct fwr_caller *caller,
                        uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                        size_t capacity)
{
    if (capacity < FWR_LINK_MIN_REPLY)
        return FWR_E_NO_SPACE;
    switch (command) {
    case FWR_CMD_OFFER:
        return on_offer(k, now, caller, data, length, reply, capacity);
    case FWR_CMD_GET_WANTED:
        return on_wanted(k, caller, data, length, reply, capacity);
    case FWR_CMD_WRITE_DATA:
        return on_write(k, now, caller, data, length, reply, capacity);
    case FWR_CMD_END_TRANSFER:
        return on_end(k, caller, data, length, reply, capacity);
    case FWR_CMD_READ_PAGE:
        return on_page(k, data, length, reply, capacity);
    default:
        return FWR_E_UNKNOWN_COMMAND;
    }
}
