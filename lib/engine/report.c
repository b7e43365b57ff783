/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Report: what the recipient tells people and peers: log lines, the status, the pages of Read
 * Page. It reads the engine's memory and changes nothing but the log.
 */
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "roads.h"
#include "transfer.h"

#define LINE_MAX 200

const char *fwr_peer_name(const struct fwr_recipient *r, uint8_t peer)
{
    if (peer == fwr_push_peer(r))
        return "console";
    if (peer > fwr_push_peer(r))
        return "nobody";
    return r->config.peers[peer].name ? r->config.peers[peer].name : "donor";
}

static void log_bytes(struct fwr_recipient *r, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        r->log[(r->log_end + i) % r->config.log_size] = (uint8_t)bytes[i];
    r->log_end += (uint32_t)length;
}

static uint32_t log_start(const struct fwr_recipient *r)
{
    return r->log_end > r->config.log_size ? r->log_end - r->config.log_size : 0;
}

void fwr_recipient_log(struct fwr_recipient *r, enum fwr_log_level level, const char *format, ...)
{
    char line[LINE_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, LINE_MAX, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if (length >= LINE_MAX)
        length = LINE_MAX - 1;
    if (r->config.platform->log)
        r->config.platform->log(r->config.platform->ctx, level, line);
    if (level == FWR_LOG_DEBUG)
        return;
    line[length] = '\n';
    log_bytes(r, line, (size_t)length + 1);
}

static int page_bytes(const struct fwr_read_page_request *request, uint8_t generation,
                      const uint8_t *page, size_t length, uint8_t *reply, size_t capacity)
{
    struct fwr_read_page_reply out = {.cookie = request->cookie, .generation = generation};

    if (request->offset > length)
        return FWR_E_RANGE;
    out.data = page + request->offset;
    out.length = length - request->offset;
    if (out.length > request->length)
        out.length = request->length;
    if (out.length > capacity - 2)
        out.length = capacity - 2;
    return fwr_read_page_reply_encode(&out, reply, capacity);
}

static int log_page(const struct fwr_recipient *r, const struct fwr_read_page_request *request,
                    uint8_t *reply, size_t capacity)
{
    uint32_t start = log_start(r), length = request->length;

    if (request->offset < start || request->offset > r->log_end)
        return FWR_E_RANGE;
    if (length > r->log_end - request->offset)
        length = r->log_end - request->offset;
    if (length > capacity - 2)
        length = (uint32_t)capacity - 2;
    reply[0] = request->cookie;
    reply[1] = r->log_generation;
    for (uint32_t i = 0; i < length; i++)
        reply[2 + i] = r->log[(request->offset + i) % r->config.log_size];
    return (int)length + 2;
}

static int policy_page(const struct fwr_recipient *r, uint8_t *page, size_t capacity)
{
    const struct fwr_policy_rules *rules = r->config.rules;
    struct fwr_policy_page out = {
        .min_sequence = rules ? rules->min_sequence : 0,
        .media = rules ? (uint8_t)~rules->media_refused : UINT8_MAX,
        .generation = r->policy_generation,
        .security_floor = r->floors.security_version,
        .sequence_floor = r->floors.sequence,
    };

    return fwr_policy_page_encode(&out, page, capacity);
}

static struct fwr_peer_entry peer_entry(const struct fwr_recipient *r, uint8_t peer)
{
    const struct fwr_donor_peer *p = &r->peers[peer];
    struct fwr_peer_entry entry = {.peer = peer, .medium = p->limits.medium};

    entry.reason = p->answer < 0 ? (uint8_t)-p->answer : 0;
    if (p->asked > 0)
        entry.flags |= FWR_PEER_ASKED;
    if (p->transfer_state == FWR_TRANSFER_OPEN)
        entry.flags |= FWR_PEER_SERVING;
    for (uint8_t c = 0; c < r->candidate_count; c++) {
        const struct fwr_candidate *candidate = &r->candidates[c];
        if (candidate->offer.peer != peer)
            continue;
        memcpy(entry.tag, candidate->offer.tag, sizeof(entry.tag));
        if (candidate->verdict < 0 && entry.reason == 0)
            entry.reason = (uint8_t)-candidate->verdict;
    }
    if (entry.reason > 0)
        entry.flags |= FWR_PEER_DROPPED;
    if (fwr_roads_carries(r, peer))
        entry.flags |= FWR_PEER_CARRIES;
    entry.bytes = p->bytes;
    entry.rate = fwr_roads_rate(r, peer);
    entry.round_trip = (uint16_t)(p->round_trip / 8 < UINT16_MAX ? p->round_trip / 8 : UINT16_MAX);
    return entry;
}

/* The page is made in pieces, since all of it would be much for a small stack: a head, and the
 * entries, of which those that were asked for are copied. */
static int peers_page(const struct fwr_recipient *r, const struct fwr_read_page_request *request,
                      uint8_t *reply, size_t capacity)
{
    struct fwr_peers_page head = {.count = r->config.peer_count, .entry_size = FWR_PEER_ENTRY_SIZE};
    uint32_t length = FWR_PEERS_PAGE_SIZE + (uint32_t)head.count * FWR_PEER_ENTRY_SIZE;
    uint8_t piece[FWR_PEER_ENTRY_SIZE];
    size_t out = 2, room = capacity - 2 < request->length ? capacity - 2 : request->length;
    uint32_t at = 0;

    if (request->offset > length)
        return FWR_E_RANGE;
    reply[0] = request->cookie;
    reply[1] = 1;
    for (unsigned i = 0; i <= head.count && out - 2 < room; i++) {
        struct fwr_peer_entry entry =
            i > 0 ? peer_entry(r, (uint8_t)(i - 1)) : (struct fwr_peer_entry){0};
        int size = i > 0 ? fwr_peer_entry_encode(&entry, piece, sizeof(piece))
                         : fwr_peers_page_encode(&head, piece, sizeof(piece));
        if (size < 0)
            return size;
        for (uint32_t k = 0; k < (uint32_t)size && out - 2 < room; k++)
            if (at + k >= request->offset)
                reply[out++] = piece[k];
        at += (uint32_t)size;
    }
    return (int)out;
}

int fwr_report_page(struct fwr_recipient *r, const struct fwr_read_page_request *request,
                    uint8_t *reply, size_t capacity)
{
    uint8_t page[FWR_STATUS_PAGE_SIZE];
    struct fwr_status_page status;
    uint8_t generation = request->page == FWR_PAGE_LOG ? r->log_generation : 1;
    int length;

    if (request->generation != 0 && request->generation != generation)
        return FWR_E_STALE;
    switch (request->page) {
    case FWR_PAGE_LOG:
        return log_page(r, request, reply, capacity);
    case FWR_PAGE_POLICY:
        length = policy_page(r, page, sizeof(page));
        break;
    case FWR_PAGE_STATUS:
        fwr_recipient_status(r, &status);
        length = fwr_status_page_encode(&status, page, sizeof(page));
        break;
    case FWR_PAGE_PEERS:
        return peers_page(r, request, reply, capacity);
    default:
        return FWR_E_RANGE;
    }
    if (length < 0)
        return length;
    return page_bytes(request, generation, page, (size_t)length, reply, capacity);
}

void fwr_recipient_status(const struct fwr_recipient *r, struct fwr_status_page *status)
{
    *status = r->status;
    status->state = fwr_phase_state((enum fwr_phase)r->phase);
    status->reason = r->reason < 0 ? (uint8_t)-r->reason : 0;
    status->mode = r->mode;
    status->run = r->run;
    status->donors = fwr_transfer_count(r);
    status->elapsed_ms = fwr_at_rest(r) ? r->elapsed : (uint32_t)(r->now - r->started);
    status->log_start = log_start(r);
    status->log_end = r->log_end;
    memset(status->tag, 0, sizeof(status->tag));
    if (!r->have_manifest)
        return;
    memcpy(status->tag, r->id, FWR_TAG_SIZE);
    status->sequence = r->manifest.sequence;
    status->block_size = r->manifest.block_size;
}
