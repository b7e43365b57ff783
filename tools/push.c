/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover push`: brings an image to a BMC that cannot reach a donor (doc/WIRE.md section 8).
 * The BMC says what it wants, piece by piece; nothing it does not want is sent.
 */
#include "tools/bmc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/artifact.h"
#include "tools/json.h"
#include "tools/progress.h"
#include "tools/say.h"

#define IDLE_FIRST_MS 10 /* nothing wanted just now: doc/WIRE.md section 9 */
#define IDLE_MOST_MS  200
#define PROGRESS_MS   500
#define WRONG_MAX     8 /* pieces refused in a row: then it is not the road's fault */
#define WRITE_HEADER  10
#define OFFERS_MAX    5 /* of the same image: a lost session costs one */

struct push {
    struct tool_bmc bmc;
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    struct tool_file raw;
    uint8_t *tree;
    uint64_t tree_size;
    uint32_t transfer;
    uint64_t bytes_sent;
    unsigned wrong;
    unsigned pause; /* before asking again what is wanted */
    uint64_t shown_at;
    struct tool_progress progress;
};

static int offer(struct push *push, uint8_t *result)
{
    struct fwr_offer_request request = {.slot = (uint8_t)push->bmc.slot.value,
                                        .sequence = push->manifest.sequence};
    struct fwr_offer_reply reply;
    uint8_t data[FWR_MESSAGE_MAX];
    int length, error;

    memcpy(request.tag, push->artifact.id, FWR_TAG_SIZE);
    length = fwr_offer_request_encode(&request, data, sizeof(data));
    error = tool_bmc_ask(&push->bmc, FWR_CMD_OFFER, data, (size_t)length);
    if (error == FWR_OK)
        error = fwr_offer_reply_decode(push->bmc.reply, push->bmc.reply_length, &reply);
    if (error != FWR_OK)
        return error;
    *result = reply.result;
    push->transfer = reply.transfer;
    return FWR_OK;
}

static uint64_t object_size(const struct push *push, uint8_t object)
{
    switch (object) {
    case FWR_OBJECT_MANIFEST:
        return push->artifact.file.length;
    case FWR_OBJECT_TREE:
        return push->tree_size;
    case FWR_OBJECT_BLOCKS:
        return push->raw.size;
    default:
        return 0;
    }
}

/* Copies bytes of one of our objects, within its size. */
static int object_bytes(const struct push *push, uint8_t object, uint32_t offset, uint8_t *to,
                        size_t length)
{
    if (object == FWR_OBJECT_BLOCKS)
        return tool_file_at(&push->raw, offset, to, length) == TOOL_OK ? FWR_OK : FWR_E_IO;
    memcpy(to, (object == FWR_OBJECT_TREE ? push->tree : push->artifact.file.data) + offset,
           length);
    return FWR_OK;
}

/* Sends one piece. *taken is false when the BMC does not want it (any more). */
static int write_piece(struct push *push, const struct fwr_wanted *range, uint32_t done,
                       size_t length, bool *taken)
{
    uint8_t piece[FWR_RMCP_DATAGRAM_MAX], data[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_write_data_request request = {.transfer = push->transfer,
                                             .object = range->object,
                                             .offset = range->offset + done,
                                             .data = piece,
                                             .length = length};
    struct fwr_result_reply reply;
    int encoded;
    int error = object_bytes(push, range->object, request.offset, piece, length);

    if (error != FWR_OK)
        return error;
    encoded = fwr_write_data_request_encode(&request, data, sizeof(data));
    if (encoded < 0)
        return encoded;
    error = tool_bmc_ask(&push->bmc, FWR_CMD_WRITE_DATA, data, (size_t)encoded);
    if (error == FWR_OK)
        error = fwr_result_reply_decode(push->bmc.reply, push->bmc.reply_length, &reply);
    if (error != FWR_OK)
        return error;
    *taken = reply.result == FWR_WRITE_OK;
    if (*taken) {
        push->bytes_sent += length;
        push->wrong = 0;
    } else if (reply.result != FWR_WRITE_NOT_WANTED && ++push->wrong >= WRONG_MAX) {
        return FWR_E_BLOCK_HASH;
    }
    return FWR_OK;
}

/* A BMC that does not know the envelope's length yet may want more of it than there is. */
static int write_range(struct push *push, const struct fwr_wanted *range, bool *taken)
{
    uint64_t size = object_size(push, range->object);
    uint32_t most = push->bmc.max_request - WRITE_HEADER;
    uint32_t whole = range->length;

    if (range->offset >= size)
        return FWR_E_RANGE;
    if (whole > size - range->offset)
        whole = (uint32_t)(size - range->offset);
    *taken = true;
    for (uint32_t done = 0; done < whole && *taken;) {
        uint32_t length = whole - done < most ? whole - done : most;
        int error = write_piece(push, range, done, length, taken);

        if (error != FWR_OK)
            return error;
        done += length;
    }
    return FWR_OK;
}

/* Asks what is wanted and brings it. FWR_PENDING: more to do. */
static int serve_wanted(struct push *push)
{
    struct fwr_get_wanted_request request = {.transfer = push->transfer};
    struct fwr_get_wanted_reply reply;
    uint8_t data[FWR_MESSAGE_MAX], ranges[FWR_RMCP_DATAGRAM_MAX];
    bool taken = true;
    int length = fwr_get_wanted_request_encode(&request, data, sizeof(data));
    int error = tool_bmc_ask(&push->bmc, FWR_CMD_GET_WANTED, data, (size_t)length);

    if (error == FWR_OK)
        error = fwr_get_wanted_reply_decode(push->bmc.reply, push->bmc.reply_length, &reply);
    if (error != FWR_OK)
        return error;
    if (reply.more == FWR_WANTED_DONE)
        return FWR_OK;
    push->pause = reply.count > 0 ? IDLE_FIRST_MS : push->pause * 2;
    if (push->pause > IDLE_MOST_MS)
        push->pause = IDLE_MOST_MS;
    if (reply.count == 0)
        tool_bmc_pause(&push->bmc, push->pause);
    /* The next answer overwrites this one. */
    memcpy(ranges, reply.ranges, reply.count * FWR_WANTED_SIZE);
    for (size_t i = 0; i < reply.count && taken; i++) {
        struct fwr_wanted range;

        error = fwr_wanted_decode(ranges + i * FWR_WANTED_SIZE, FWR_WANTED_SIZE, &range);
        if (error == FWR_OK)
            error = write_range(push, &range, &taken);
        if (error != FWR_OK)
            return error;
    }
    return tool_stopped() ? FWR_E_ABORTED : FWR_PENDING;
}

static void show(struct push *push)
{
    struct fwr_get_status_reply status;

    if (tool_now() < push->shown_at + PROGRESS_MS)
        return;
    push->shown_at = tool_now();
    if (tool_bmc_status(&push->bmc, &status) == FWR_OK)
        tool_progress_show(&push->progress, &status, NULL);
}

static void end_transfer(struct push *push, int error)
{
    struct fwr_end_transfer_request request = {.transfer = push->transfer,
                                               .result = (uint8_t)(error < 0 ? -error : 0)};
    uint8_t data[FWR_MESSAGE_MAX];
    int length = fwr_end_transfer_request_encode(&request, data, sizeof(data));

    if (length > 0)
        tool_bmc_ask(&push->bmc, FWR_CMD_END_TRANSFER, data, (size_t)length);
}

/* The BMC no longer knows the transfer: its run has ended, or our session had. */
static int offer_again(struct push *push)
{
    struct fwr_get_status_reply status;
    uint8_t result = FWR_OFFER_BUSY;
    int error = tool_bmc_status(&push->bmc, &status);

    if (error != FWR_OK)
        return error;
    if (status.state == FWR_STATE_DONE || status.state == FWR_STATE_FAILED ||
        status.state == FWR_STATE_IDLE)
        return FWR_E_UNKNOWN_TRANSFER;
    error = offer(push, &result);
    if (error == FWR_OK && result != FWR_OFFER_ACCEPTED)
        error = FWR_E_UNKNOWN_TRANSFER;
    return error == FWR_OK ? FWR_PENDING : error;
}

static int transfer(struct push *push)
{
    int error = FWR_PENDING;
    int offers = 1;

    tool_progress_init(&push->progress);
    while (error == FWR_PENDING) {
        error = serve_wanted(push);
        if (error == FWR_E_UNKNOWN_TRANSFER && offers++ < OFFERS_MAX)
            error = offer_again(push);
        show(push);
    }
    tool_progress_clear(&push->progress);
    end_transfer(push, error);
    return error;
}

/* Waits for the run's end: the last blocks are in, they are still to be verified. */
static int report(struct push *push)
{
    struct fwr_status_page page;
    struct json_object *object;
    int error;

    for (;;) {
        error = tool_bmc_status_page(&push->bmc, &page);
        if (error != FWR_OK)
            return tool_bmc_error(&push->bmc, error);
        if (page.state == FWR_STATE_DONE || page.state == FWR_STATE_FAILED ||
            page.state == FWR_STATE_IDLE)
            break;
        tool_bmc_pause(&push->bmc, IDLE_MOST_MS);
        if (tool_stopped())
            return TOOL_DAMAGED;
    }
    if (push->bmc.json) {
        object = tool_progress_json(&page);
        tool_json_text(object, "offer", "accepted");
        tool_json_number(object, "bytes_sent", push->bytes_sent);
        tool_json_print(object);
    } else {
        tool_progress_table(&page);
        printf("  %-22s%12llu\n", "bytes sent", (unsigned long long)push->bytes_sent);
    }
    if (page.state == FWR_STATE_FAILED || page.reason != 0)
        return page.reason != 0 ? tool_exit_of(-page.reason) : TOOL_DAMAGED;
    return TOOL_OK;
}

static int open_image(struct push *push, const char *envelope, const char *raw)
{
    int status = tool_artifact_read(envelope, &push->artifact);

    if (status == TOOL_OK && !push->artifact.enveloped)
        status = tool_usage("%s: a bare manifest; sign it with 'fwrecover image sign'", envelope);
    if (status == TOOL_OK)
        status = tool_artifact_manifest(&push->artifact, &push->manifest);
    if (status == TOOL_OK)
        status = tool_raw_open(&push->raw, raw, push->manifest.flash_size);
    if (status == TOOL_OK)
        status = tool_raw_matches(&push->raw, &push->manifest, &push->tree);
    push->tree_size = fwr_tree_size(fwr_manifest_leaf_count(&push->manifest),
                                    (uint8_t)fwr_hash_size(push->manifest.hash));
    return status;
}

/* The BMC does not take the offer: that it needs nothing is good, that it is busy is not. */
static int report_refusal(const struct push *push, uint8_t result)
{
    bool healthy = result == FWR_OFFER_NOT_WANTED;
    struct json_object *object;

    if (push->bmc.json) {
        object = json_object_new_object();
        tool_json_text(object, "offer", healthy ? "not-wanted" : "busy");
        tool_json_print(object);
    } else {
        printf("%s: %s\n", push->bmc.host,
               healthy ? "not wanted: healthy, or served already" : "busy with another run");
    }
    return healthy ? TOOL_OK : TOOL_NETWORK;
}

static int run(struct push *push)
{
    uint8_t result = FWR_OFFER_BUSY;
    int status = tool_bmc_open(&push->bmc, FWR_PRIVILEGE_ADMIN);
    int error;

    if (status != TOOL_OK)
        return status;
    error = tool_bmc_limits(&push->bmc);
    if (error == FWR_OK)
        error = offer(push, &result);
    if (error != FWR_OK)
        return tool_bmc_error(&push->bmc, error);
    if (result != FWR_OFFER_ACCEPTED)
        return report_refusal(push, result);
    error = transfer(push);
    if (error == FWR_E_BLOCK_HASH)
        return tool_error(error, push->bmc.host, "it refuses what it is given: another image?");
    if (error != FWR_OK && error != FWR_E_UNKNOWN_TRANSFER)
        return tool_bmc_error(&push->bmc, error);
    /* A transfer that is not known any more has ended with its run, which has the reason. */
    return report(push);
}

int tool_push(int argc, char **argv)
{
    static struct push push = {
        .pause = IDLE_FIRST_MS, .bmc = {TOOL_BMC_DEFAULTS}, .raw = {.fd = -1}};
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&push.bmc),
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "push",
        "ENVELOPE RAW",
        "Offers an image to a BMC and brings it what it wants of it. The BMC checks signatures,\n"
        "hashes and policy as ever.",
        options,
        2,
        2};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    status = open_image(&push, files[0], files[1]);
    if (status == TOOL_OK)
        status = run(&push);
    tool_bmc_close(&push.bmc);
    free(push.tree);
    tool_file_close(&push.raw);
    tool_artifact_free(&push.artifact);
    return status;
}
