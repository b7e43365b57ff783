/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust set of a BMC: read page by page, and pushed (doc/WIRE.md sections 7 and 8). The BMC
 * judges by the set it has; nothing that is said here makes it believe more.
 */
#include "tools/trust-bmc.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define WRITE_HEADER  10
#define IDLE_MS       100
#define REREADS_MAX   8 /* of a page that changes while it is read */
#define NOTE_AFTER_MS 2000
#define PAGE_SIZE_MAX (FWR_TRUST_PAGE_SIZE + FWR_ENVELOPE_MAX)

/* ---- reading ---- */

/* The page as it stands, or FWR_E_STATE when it changed under our hands. */
static int read_once(struct tool_bmc *bmc, uint8_t *bytes, size_t *length)
{
    uint8_t generation = 0;
    size_t got = 1;
    int error = FWR_OK;

    for (*length = 0; error == FWR_OK && got > 0; *length += got) {
        if (*length == PAGE_SIZE_MAX)
            return FWR_E_ENVELOPE_SIZE;
        error = tool_bmc_page_of(bmc, FWR_PAGE_TRUST, &generation, (uint32_t)*length,
                                 bytes + *length, PAGE_SIZE_MAX - *length, &got);
        if (error != FWR_OK)
            got = 0;
    }
    return error;
}

static int read_page(struct tool_bmc *bmc, struct fwr_trust_page *page, uint8_t *bytes)
{
    size_t length = 0;
    int error = FWR_E_STATE;

    for (int i = 0; i < REREADS_MAX && error == FWR_E_STATE; i++)
        error = read_once(bmc, bytes, &length);
    if (error == FWR_OK && length < FWR_TRUST_PAGE_SIZE)
        error = FWR_E_MALFORMED;
    if (error == FWR_OK)
        error = fwr_trust_page_decode(bytes, FWR_TRUST_PAGE_SIZE, page);
    if (error == FWR_OK && page->length != length - FWR_TRUST_PAGE_SIZE)
        error = FWR_E_MALFORMED;
    return error;
}

static int report(const struct tool_bmc *bmc, int error)
{
    if (error != FWR_E_RANGE && error != FWR_E_MALFORMED)
        return tool_bmc_error(bmc, error);
    tool_error(error, bmc->host, "it keeps no trust set that could be read or changed over LAN");
    return TOOL_NETWORK;
}

int tool_trust_fetch(struct tool_bmc *bmc, struct fwr_trust_page *page, struct tool_bytes *set)
{
    uint8_t *bytes = malloc(PAGE_SIZE_MAX);
    int error;

    *set = (struct tool_bytes){0};
    if (bytes == NULL)
        return tool_error(FWR_E_MEMORY, bmc->host, NULL);
    error = read_page(bmc, page, bytes);
    if (error != FWR_OK) {
        free(bytes);
        return report(bmc, error);
    }
    memmove(bytes, bytes + FWR_TRUST_PAGE_SIZE, page->length);
    set->data = bytes;
    set->length = page->length;
    return TOOL_OK;
}

/* ---- pushing ---- */

static int offer(struct tool_bmc *bmc, const struct tool_artifact *next, uint32_t generation,
                 struct fwr_offer_reply *reply)
{
    struct fwr_offer_request request = {.kind = FWR_OFFER_TRUST, .sequence = generation};
    uint8_t data[FWR_MESSAGE_MAX], id[FWR_ID_SIZE];
    int error = fwr_trust_id(next->envelope.payload, next->envelope.payload_length, id);
    int length;

    if (error != FWR_OK)
        return error;
    memcpy(request.tag, id, FWR_TAG_SIZE);
    length = fwr_offer_request_encode(&request, data, sizeof(data));
    error = tool_bmc_ask(bmc, FWR_CMD_OFFER, data, (size_t)length);
    return error == FWR_OK ? fwr_offer_reply_decode(bmc->reply, bmc->reply_length, reply) : error;
}

/* FWR_PENDING with *range, FWR_WANTED_… in *more; the range's length is 0 when there is none. */
static int ask_wanted(struct tool_bmc *bmc, uint32_t transfer, struct fwr_wanted *range,
                      uint8_t *more)
{
    struct fwr_get_wanted_request request = {.transfer = transfer};
    struct fwr_get_wanted_reply reply;
    uint8_t data[FWR_MESSAGE_MAX];
    int length = fwr_get_wanted_request_encode(&request, data, sizeof(data));
    int error = tool_bmc_ask(bmc, FWR_CMD_GET_WANTED, data, (size_t)length);

    if (error == FWR_OK)
        error = fwr_get_wanted_reply_decode(bmc->reply, bmc->reply_length, &reply);
    if (error != FWR_OK)
        return error;
    *more = reply.more;
    range->length = 0;
    return reply.count > 0 ? fwr_wanted_decode(reply.ranges, FWR_WANTED_SIZE, range) : FWR_OK;
}

static int write_piece(struct tool_bmc *bmc, uint32_t transfer, const struct tool_artifact *next,
                       uint32_t offset)
{
    size_t left = next->file.length - offset, most = bmc->max_request - WRITE_HEADER;
    struct fwr_write_data_request request = {.transfer = transfer,
                                             .object = FWR_OBJECT_TRUST,
                                             .offset = offset,
                                             .data = next->file.data + offset,
                                             .length = left < most ? left : most};
    uint8_t data[FWR_RMCP_DATAGRAM_MAX];
    int length = fwr_write_data_request_encode(&request, data, sizeof(data));

    if (length < 0)
        return length;
    /* Whatever it says, what it wants next tells where to go on. */
    return tool_bmc_ask(bmc, FWR_CMD_WRITE_DATA, data, (size_t)length);
}

/* Brings what is wanted until the BMC has done with it. */
static int serve(struct tool_bmc *bmc, uint32_t transfer, const struct tool_artifact *next)
{
    uint64_t since = tool_now();
    struct fwr_wanted range;
    uint8_t more = FWR_WANTED_LAST;
    bool told = false;
    int error;

    while ((error = ask_wanted(bmc, transfer, &range, &more)) == FWR_OK &&
           more != FWR_WANTED_DONE) {
        if (range.length > 0 &&
            (range.object != FWR_OBJECT_TRUST || range.offset >= next->file.length))
            return FWR_E_MALFORMED;
        if (range.length > 0) {
            error = write_piece(bmc, transfer, next, range.offset);
            if (error != FWR_OK)
                return error;
            continue;
        }
        if (!told && tool_now() > since + NOTE_AFTER_MS) {
            tool_note("%s: verified; it takes it when the run under way has ended", bmc->host);
            told = true;
        }
        tool_bmc_pause(bmc, IDLE_MS);
        if (tool_stopped())
            return FWR_E_ABORTED;
    }
    return error;
}

static void end(struct tool_bmc *bmc, uint32_t transfer)
{
    struct fwr_end_transfer_request request = {.transfer = transfer};
    uint8_t data[FWR_MESSAGE_MAX];
    int length = fwr_end_transfer_request_encode(&request, data, sizeof(data));

    if (length > 0)
        tool_bmc_ask(bmc, FWR_CMD_END_TRANSFER, data, (size_t)length);
}

/* What the BMC says of itself afterwards. */
static int conclude(struct tool_bmc *bmc, uint32_t generation)
{
    struct fwr_trust_page page = {0};
    struct tool_bytes set;
    int status = tool_trust_fetch(bmc, &page, &set);

    if (status != TOOL_OK)
        return status;
    tool_bytes_free(&set);
    if (page.generation == generation && page.reason == 0)
        return TOOL_OK;
    status = tool_errorf(page.reason != 0 ? -page.reason : FWR_E_STATE, bmc->host,
                         "generation %lu stays in force", (unsigned long)page.generation);
    return page.reason != 0 && status == TOOL_USAGE ? TOOL_UNTRUSTED : status;
}

int tool_trust_push(struct tool_bmc *bmc, const struct tool_artifact *next, uint32_t generation)
{
    struct fwr_offer_reply reply;
    int error = tool_bmc_limits(bmc);

    if (error == FWR_OK)
        error = offer(bmc, next, generation, &reply);
    if (error != FWR_OK)
        return report(bmc, error);
    if (reply.result == FWR_OFFER_BUSY) {
        tool_error(FWR_E_BUSY, bmc->host, "another trust set is on its way to it");
        return TOOL_NETWORK;
    }
    if (reply.result == FWR_OFFER_ACCEPTED) {
        error = serve(bmc, reply.transfer, next);
        if (error != FWR_OK && error != FWR_E_UNKNOWN_TRANSFER) {
            end(bmc, reply.transfer);
            return report(bmc, error);
        }
        end(bmc, reply.transfer);
    }
    return conclude(bmc, generation);
}
