/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor engine: the commands that a donor answers, and what it admits. Called by the
 * dispatcher and by the program that owns the donor. Images are the catalogue's business,
 * transfers the leases'; nothing here reads a source, a clock or a key.
 */
#include <fwrecover/donor.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>

#include "engine/broadcast.h"
#include "engine/bucket.h"
#include "engine/catalogue.h"
#include "engine/codec.h"
#include "engine/lease.h"
#include "wire/cursor.h"

/* Manifests are read without a lease, by anybody: about as much as a thousand recipients of a
 * fleet that fails at once ask for in ten seconds. */
#define FWR_MANIFEST_RATE  (256 * 1024)
#define FWR_MANIFEST_BURST (128 * 1024)
/* What a read costs besides its data, so that tiny slices are not free. */
#define FWR_READ_COST 32

/* Busy answers a second that the donor aims at, by telling peers to wait for longer or shorter. */
#define FWR_REFUSALS_HIGH   50
#define FWR_REFUSALS_LOW    10
#define FWR_RETRY_MIN_MS    1000
#define FWR_RETRY_MAX_MS    600000
#define FWR_RETRY_PERIOD_MS 1000
#define FWR_CODEC_BITS      8 /* that Get Capabilities has */

/* The coded stream made last: a recipient reads it in slices. */
struct fwr_coded {
    void *memory; /* the codec's; NULL: none is offered */
    uint8_t *block, *stream;
    uint8_t image; /* FWR_NO_IMAGE: nothing is kept */
    uint8_t codec;
    uint32_t epoch;
    uint32_t address;
    uint32_t length; /* of the stream */
};

struct fwr_donor {
    struct fwr_donor_config config; /* defaults filled in */
    struct fwr_catalogue catalogue;
    struct fwr_leases leases;
    struct fwr_bucket manifest_bucket;
    struct fwr_bucket data_bucket;
    struct fwr_broadcasts broadcasts;
    struct fwr_coded coded;
    uint64_t bytes_sent;
    uint64_t bytes_broadcast;
    uint32_t requests;
    uint32_t refused;
    uint32_t transfer_ms;    /* how long transfers take, smoothed; 0: none has ended yet */
    uint64_t promised;       /* until when peers were told to wait */
    uint32_t retry_ms;       /* what peers are told, before the jitter */
    uint32_t period_refused; /* busy answers since `period` */
    uint64_t period;
};

/* ---- storage ---- */

static int config_fill(const struct fwr_donor_config *given, struct fwr_donor_config *config)
{
    if (given == NULL || given->size < sizeof(*given))
        return FWR_E_ARGUMENT;
    *config = *given;
    if (config->max_block_size == 0)
        config->max_block_size = 4096;
    if (config->max_envelope == 0)
        config->max_envelope = FWR_ENVELOPE_CAP_DEFAULT;
    if (config->max_transfers == 0)
        config->max_transfers = 4;
    if (config->lease_seconds == 0)
        config->lease_seconds = 30;
    if (config->window == 0)
        config->window = 15;
    config->codecs &= (uint8_t)(fwr_codec_known() & ~(1u << FWR_CODEC_NONE));
    if (config->segments == 0)
        config->segments = (uint8_t)(config->max_transfers + 2);
    if (config->segments < 2)
        config->segments = 2; /* one for verification, one for requests */
    if (config->platform == NULL || config->platform->random == NULL ||
        config->image_count > FWR_DONOR_IMAGES_MAX ||
        config->max_transfers > FWR_DONOR_TRANSFERS_MAX || config->max_leaves == 0 ||
        config->max_leaves > FWR_TREE_LEAVES_MAX || config->max_envelope > FWR_ENVELOPE_MAX ||
        config->max_block_size < FWR_BLOCK_SIZE_MIN || config->max_block_size > FWR_BLOCK_SIZE_MAX)
        return FWR_E_ARGUMENT;
    for (uint8_t i = 0; i < config->image_count; i++) {
        if (config->images == NULL || config->images[i] == NULL)
            return FWR_E_ARGUMENT;
    }
    return FWR_OK;
}

static size_t aligned(size_t size)
{
    size_t unit = sizeof(max_align_t);

    return (size + unit - 1) / unit * unit;
}

/* The donor itself, so long that what follows is aligned for any object. */
static size_t donor_size(void)
{
    return aligned(sizeof(struct fwr_donor));
}

/* A codec's memory, a block and its stream. */
static size_t coded_size(const struct fwr_donor_config *config)
{
    return config->codecs == 0
               ? 0
               : aligned(fwr_codec_storage()) + aligned(2 * (size_t)config->max_block_size + 2);
}

static void coded_init(struct fwr_donor *d, uint8_t *storage)
{
    d->coded.image = FWR_NO_IMAGE;
    if (d->config.codecs == 0)
        return;
    d->coded.memory = storage;
    d->coded.block = storage + aligned(fwr_codec_storage());
    d->coded.stream = d->coded.block + d->config.max_block_size;
}

size_t fwr_donor_storage(const struct fwr_donor_config *given)
{
    struct fwr_donor_config config;

    if (config_fill(given, &config) != FWR_OK)
        return 0;
    return donor_size() + coded_size(&config) + fwr_catalogue_storage(&config);
}

int fwr_donor_init(struct fwr_donor **donor, void *storage, size_t size,
                   const struct fwr_donor_config *given, uint64_t now)
{
    struct fwr_donor *d = storage;
    struct fwr_donor_config config;
    int error = config_fill(given, &config);

    if (error != FWR_OK)
        return error;
    size_t before = donor_size() + coded_size(&config);
    if (storage == NULL || size < before + fwr_catalogue_storage(&config))
        return FWR_E_NO_SPACE;
    memset(d, 0, sizeof(*d));
    d->config = config;
    d->retry_ms = FWR_RETRY_MIN_MS;
    d->period = now;
    fwr_leases_init(&d->leases, config.max_transfers, config.lease_seconds);
    fwr_bucket_init(&d->manifest_bucket, FWR_MANIFEST_RATE, FWR_MANIFEST_BURST, now);
    /* A quarter of a second of burst keeps the rate smooth without starving a window. */
    fwr_bucket_init(&d->data_bucket, config.bytes_per_second, config.bytes_per_second / 4 + 1, now);
    coded_init(d, (uint8_t *)storage + donor_size());
    error = fwr_catalogue_init(&d->catalogue, &d->config, (uint8_t *)storage + before, now);
    if (error == FWR_OK)
        *donor = d;
    return error;
}

void fwr_donor_end(struct fwr_donor *d)
{
    fwr_catalogue_end(&d->catalogue);
    OPENSSL_cleanse(&d->leases, sizeof(d->leases));
}

/* ---- admission ---- */

/* Adapts the pause that peers are told to how many of them come: ten thousand that all come
 * back every second would leave no time for those being served. */
static void retry_adapt(struct fwr_donor *d, uint64_t now)
{
    while (now - d->period >= FWR_RETRY_PERIOD_MS) {
        if (d->period_refused > FWR_REFUSALS_HIGH && d->retry_ms < FWR_RETRY_MAX_MS / 2)
            d->retry_ms *= 2;
        else if (d->period_refused < FWR_REFUSALS_LOW && d->retry_ms > FWR_RETRY_MIN_MS)
            d->retry_ms /= 2;
        else if (d->period_refused == 0) {
            d->period = now; /* at rest: nothing to adapt */
            return;
        }
        d->period_refused = 0;
        d->period += FWR_RETRY_PERIOD_MS;
    }
}

static uint32_t draw(const struct fwr_donor *d, uint32_t below)
{
    uint16_t value = 0;

    if (d->config.platform->random(d->config.platform->ctx, &value, sizeof(value)) != FWR_OK)
        value = UINT16_MAX; /* without randomness the longest wait is the polite one */
    return (uint32_t)((uint64_t)below * value / UINT16_MAX);
}

/* Once it is known how long transfers take, those who wait are called one after the other, twice
 * as many as there will be places: some will have found another donor. */
static uint32_t turn_draw(struct fwr_donor *d, uint64_t now)
{
    uint32_t turn = d->transfer_ms / d->leases.max / 2 + 1;

    if (d->promised < now)
        d->promised = now;
    if (d->promised < now + FWR_RETRY_MAX_MS / 2)
        d->promised += turn;
    return (uint32_t)(d->promised - now) + draw(d, turn);
}

/* Counts a busy answer; the tenths of a second that it tells, at least one. */
static uint16_t retry_draw(struct fwr_donor *d, uint64_t now)
{
    uint32_t wait;

    retry_adapt(d, now);
    d->refused++;
    d->period_refused++;
    wait = d->transfer_ms > 0 ? turn_draw(d, now) : d->retry_ms + draw(d, d->retry_ms);
    return (uint16_t)(wait < 100 ? 1 : wait / 100);
}

static void measure_transfer(struct fwr_donor *d, const struct fwr_lease *lease, uint64_t now)
{
    uint64_t took = now - lease->granted;

    if (took > FWR_RETRY_MAX_MS)
        took = FWR_RETRY_MAX_MS;
    d->transfer_ms =
        (uint32_t)(d->transfer_ms == 0 ? took + 1 : (3 * (uint64_t)d->transfer_ms + took) / 4 + 1);
}

static int refuse(struct fwr_donor *d)
{
    d->refused++;
    return FWR_E_BUSY;
}

static bool image_current(const struct fwr_donor *d, const struct fwr_lease *lease)
{
    const struct fwr_image *image = &d->catalogue.images[lease->image];

    return image->rooted && image->epoch == lease->epoch;
}

static void transfer_log(const struct fwr_donor *d, const struct fwr_lease *lease, const char *what)
{
    const struct fwr_platform *platform = d->config.platform;
    char text[160];

    if (platform->log == NULL)
        return;
    snprintf(text, sizeof(text), "transfer of sequence %lu %s (link %u, session %lxh)",
             (unsigned long)d->catalogue.images[lease->image].manifest.sequence, what,
             (unsigned)lease->link, (unsigned long)lease->session);
    platform->log(platform->ctx, FWR_LOG_NOTICE, text);
}

/* Transfers end when their time is up, and when their image became another. */
static void leases_sweep(struct fwr_donor *d, uint64_t now)
{
    for (uint8_t i = 0; i < d->leases.max; i++) {
        struct fwr_lease *lease = &d->leases.leases[i];

        if (lease->transfer == 0)
            continue;
        if (lease->deadline <= now)
            transfer_log(d, lease, "forgotten: silent or too slow");
        else if (!image_current(d, lease))
            transfer_log(d, lease, "ended: its image is no longer offered");
        else
            continue;
        fwr_leases_wipe(&d->leases, lease);
    }
}

/* ---- commands ---- */

static int answer_request_image(struct fwr_donor *d, uint64_t now,
                                const struct fwr_request_image_request *request, uint8_t *reply,
                                size_t capacity)
{
    struct fwr_request_image_reply answer = {.cookie = request->cookie};
    uint8_t number = fwr_catalogue_match(&d->catalogue, request, &answer.count);

    answer.load = (uint8_t)(d->leases.open * 100 / d->leases.max);
    if (number != FWR_NO_IMAGE) {
        const struct fwr_image *image = &d->catalogue.images[number];

        answer.result = FWR_IMAGE_OFFER;
        memcpy(answer.tag, image->id, FWR_TAG_SIZE);
        answer.sequence = image->manifest.sequence;
        if (d->leases.open == d->leases.max) {
            answer.result = FWR_IMAGE_BUSY;
            answer.retry = retry_draw(d, now);
        }
    }
    return fwr_request_image_reply_encode(&answer, reply, capacity);
}

static int answer_read_manifest(struct fwr_donor *d, uint64_t now,
                                const struct fwr_read_manifest_request *request, uint8_t *reply,
                                size_t capacity)
{
    uint8_t number = fwr_catalogue_find(&d->catalogue, request->tag);
    struct fwr_data_reply answer = {.cookie = request->cookie};
    const struct fwr_image *image;

    if (number == FWR_NO_IMAGE)
        return FWR_E_NOT_FOUND;
    image = &d->catalogue.images[number];
    if (request->offset > image->envelope_length)
        return FWR_E_RANGE;
    if (!fwr_bucket_ready(&d->manifest_bucket, now))
        return refuse(d);
    answer.data = image->envelope + request->offset;
    answer.length = image->envelope_length - request->offset;
    if (answer.length > request->length)
        answer.length = request->length;
    if (answer.length > capacity - 1)
        answer.length = capacity - 1;
    fwr_bucket_take(&d->manifest_bucket, (uint32_t)answer.length + FWR_READ_COST);
    d->bytes_sent += answer.length;
    return fwr_data_reply_encode(&answer, reply, capacity);
}

static int answer_accept_offer(struct fwr_donor *d, uint64_t now, const struct fwr_caller *caller,
                               const struct fwr_accept_offer_request *request, uint8_t *reply,
                               size_t capacity)
{
    struct fwr_accept_offer_reply answer = {.cookie = request->cookie};
    struct fwr_lease *lease =
        fwr_leases_find_nonce(&d->leases, caller, request->tag, request->nonce);
    size_t longest = capacity - 1;
    int error = FWR_OK;

    if (lease != NULL) {
        fwr_lease_renew(&d->leases, lease, now);
    } else {
        struct fwr_lease wanted = {
            .nonce = request->nonce, .link = caller->link, .session = caller->session};

        wanted.image = fwr_catalogue_find(&d->catalogue, request->tag);
        memcpy(wanted.tag, request->tag, FWR_TAG_SIZE);
        if (wanted.image == FWR_NO_IMAGE) {
            answer.result = FWR_ACCEPT_UNKNOWN;
            return fwr_accept_offer_reply_encode(&answer, reply, capacity);
        }
        wanted.epoch = d->catalogue.images[wanted.image].epoch;
        error = fwr_leases_grant(&d->leases, d->config.platform, now, &wanted, &lease);
        if (error == FWR_OK)
            transfer_log(d, lease, "begins");
    }
    if (error == FWR_E_BUSY) {
        answer.result = FWR_ACCEPT_BUSY;
        answer.retry = retry_draw(d, now);
        return fwr_accept_offer_reply_encode(&answer, reply, capacity);
    }
    if (error != FWR_OK)
        return error;
    answer.result = FWR_ACCEPT_OK;
    answer.transfer = lease->transfer;
    answer.lease = d->config.lease_seconds;
    answer.max_length = (uint16_t)(longest < UINT16_MAX ? longest : UINT16_MAX);
    answer.window = d->config.window;
    answer.codecs = (uint8_t)(1 << FWR_CODEC_NONE | d->config.codecs);
    if (caller->broadcast > 0) {
        fwr_broadcasts_join(&d->broadcasts, now);
        answer.codecs |= FWR_CODEC_BROADCAST;
    }
    return fwr_accept_offer_reply_encode(&answer, reply, capacity);
}

/* ---- reads ---- */

/* Makes the stream of a block ready. FWR_OK, FWR_E_BUSY or why not. */
static int make_stream(struct fwr_donor *d, const struct fwr_lease *lease, uint8_t codec,
                       uint32_t address)
{
    const struct fwr_image *image = &d->catalogue.images[lease->image];
    uint32_t size = image->manifest.block_size;
    struct fwr_coded *c = &d->coded;
    int got, length;

    if (c->image == lease->image && c->epoch == image->epoch && c->address == address &&
        c->codec == codec)
        return FWR_OK;
    if (address % size != 0)
        return FWR_E_RANGE;
    got = fwr_catalogue_read_block(&d->catalogue, lease->image, address, c->block, size);
    if (got < 0)
        return got;
    length = fwr_codec_make(codec, c->memory, c->block, size, c->stream);
    if (length < 0)
        return length;
    c->image = lease->image;
    c->epoch = image->epoch;
    c->address = address;
    c->codec = codec;
    c->length = (uint32_t)length;
    return FWR_OK;
}

/* A slice of a block's coded stream. */
static int read_coded(struct fwr_donor *d, const struct fwr_lease *lease, uint8_t codec,
                      const struct fwr_read_request *request, uint8_t *data, size_t length)
{
    int error = make_stream(d, lease, codec, request->offset);

    if (error != FWR_OK)
        return error;
    if (request->skip >= d->coded.length)
        return FWR_E_RANGE;
    if (length > d->coded.length - request->skip)
        length = d->coded.length - request->skip;
    memcpy(data, d->coded.stream + request->skip, length);
    return (int)length;
}

/* Whether others on the same road have this image's transfers too. */
static bool has_company(const struct fwr_donor *d, const struct fwr_lease *lease)
{
    for (uint8_t i = 0; i < d->leases.max; i++) {
        const struct fwr_lease *other = &d->leases.leases[i];

        if (other != lease && other->transfer != 0 && other->link == lease->link &&
            other->image == lease->image && other->epoch == lease->epoch &&
            other->session != lease->session)
            return true;
    }
    return false;
}

/* Queues what was asked for, or the block of which a coded stream was. */
static int queue_broadcast(struct fwr_donor *d, uint64_t now, struct fwr_lease *lease,
                           const struct fwr_read_request *request, uint8_t codec)
{
    const struct fwr_manifest *manifest = &d->catalogue.images[lease->image].manifest;
    struct fwr_broadcast range = {.at = request->offset,
                                  .end = (uint64_t)request->offset + request->length,
                                  .epoch = lease->epoch,
                                  .link = lease->link,
                                  .image = lease->image};
    uint32_t leaf;
    int error;

    if (codec != FWR_CODEC_NONE)
        range.end = (uint64_t)request->offset + manifest->block_size;
    if (!fwr_manifest_leaf_at(manifest, request->offset, &leaf))
        return FWR_E_RANGE;
    error = fwr_broadcasts_add(&d->broadcasts, now, &range);
    if (error != FWR_OK)
        return error;
    fwr_lease_renew(&d->leases, lease, now);
    return FWR_E_BY_BROADCAST;
}

/* The data goes where the reply has it: behind the cookie. */
static int read_data(struct fwr_donor *d, uint64_t now, const struct fwr_caller *caller,
                     struct fwr_lease *lease, uint8_t command,
                     const struct fwr_read_request *request, uint8_t *data, size_t length)
{
    uint8_t codec = request->codec & (uint8_t)~FWR_CODEC_BROADCAST;

    if (command == FWR_CMD_READ_TREE && caller->broadcast > 0)
        fwr_broadcasts_join(&d->broadcasts, now);
    if (command == FWR_CMD_READ_TREE)
        return fwr_catalogue_read_tree(&d->catalogue, lease->image, request->offset, data, length);
    if (request->codec != codec && caller->broadcast > 0 && has_company(d, lease)) {
        int queued = queue_broadcast(d, now, lease, request, codec);
        if (queued != FWR_E_BUSY) /* no room in the queue: as if nobody else were there */
            return queued;
    }
    if (codec == FWR_CODEC_NONE)
        return fwr_catalogue_read_block(&d->catalogue, lease->image, request->offset, data, length);
    return read_coded(d, lease, codec, request, data, length);
}

/* Tree nodes come as they are; codecs and broadcasts only where they are offered, and a place in a
 * stream only with a codec. */
static bool is_legal_read(const struct fwr_donor *d, const struct fwr_caller *caller,
                          uint8_t command, const struct fwr_read_request *request)
{
    uint8_t codec = request->codec & (uint8_t)~FWR_CODEC_BROADCAST;

    if (request->codec != codec && caller->broadcast == 0)
        return false;
    if (command == FWR_CMD_READ_TREE)
        return request->codec == FWR_CODEC_NONE && request->skip == 0;
    if (codec == FWR_CODEC_NONE)
        return request->skip == 0;
    return codec < FWR_CODEC_BITS && (d->config.codecs >> codec & 1) != 0;
}

static int answer_read(struct fwr_donor *d, uint64_t now, const struct fwr_caller *caller,
                       uint8_t command, const struct fwr_read_request *request, uint8_t *reply,
                       size_t capacity)
{
    struct fwr_lease *lease = fwr_leases_find(&d->leases, caller, request->transfer);
    size_t length = request->length < capacity - 1 ? request->length : capacity - 1;
    int got;

    if (lease == NULL)
        return FWR_E_UNKNOWN_TRANSFER;
    if (!is_legal_read(d, caller, command, request))
        return FWR_E_MALFORMED;
    if (!fwr_bucket_ready(&d->data_bucket, now))
        return refuse(d);
    got = read_data(d, now, caller, lease, command, request, reply + 1, length);
    if (got == FWR_E_BUSY)
        return refuse(d);
    if (got < 0)
        return got;
    reply[0] = request->cookie;
    fwr_bucket_take(&d->data_bucket, (uint32_t)got);
    fwr_lease_read(&d->leases, lease, now, (uint32_t)got);
    d->bytes_sent += (uint32_t)got;
    return got + 1;
}

/* Everybody who listens keeps its transfer. */
static void renew_listeners(struct fwr_donor *d, uint64_t now, const struct fwr_broadcast *range)
{
    for (uint8_t i = 0; i < d->leases.max; i++) {
        struct fwr_lease *lease = &d->leases.leases[i];

        if (lease->transfer != 0 && lease->link == range->link && lease->image == range->image)
            fwr_lease_renew(&d->leases, lease, now);
    }
}

int fwr_donor_next_broadcast(struct fwr_donor *d, uint64_t now, uint16_t link, uint8_t *data,
                             size_t capacity)
{
    struct fwr_broadcast *range;

    d->catalogue.now = now;
    if (capacity <= FWR_BLOCK_DATA_HEADER || fwr_broadcasts_begin(&d->broadcasts) > now ||
        !fwr_bucket_ready(&d->data_bucket, now))
        return 0;
    while ((range = fwr_broadcasts_first(&d->broadcasts, link)) != NULL) {
        const struct fwr_image *image = &d->catalogue.images[range->image];
        size_t length = capacity - FWR_BLOCK_DATA_HEADER;
        uint8_t *bytes = data + FWR_BLOCK_DATA_HEADER;
        uint32_t address = (uint32_t)range->at;
        struct fwr_writer head;
        int got = FWR_E_NOT_HELD;

        if (length > range->end - range->at)
            length = (size_t)(range->end - range->at);
        if (image->rooted && image->epoch == range->epoch)
            got = fwr_catalogue_read_block(&d->catalogue, range->image, address, bytes, length);
        if (got == FWR_E_BUSY)
            return 0;
        if (got < 0) { /* who asked will ask again, and be told why */
            fwr_broadcasts_sent(&d->broadcasts, range, UINT64_MAX);
            continue;
        }
        /* As fwr_block_data_encode, with the data in its place already. */
        fwr_writer_init(&head, data, FWR_BLOCK_DATA_HEADER);
        fwr_writer_bytes(&head, image->id, sizeof(uint32_t));
        fwr_writer_u32(&head, address);
        renew_listeners(d, now, range);
        fwr_broadcasts_sent(&d->broadcasts, range, (uint64_t)got);
        fwr_bucket_take(&d->data_bucket, (uint32_t)got);
        d->bytes_sent += (uint32_t)got;
        d->bytes_broadcast += (uint32_t)got;
        return FWR_BLOCK_DATA_HEADER + got;
    }
    return 0;
}

static int answer_end_transfer(struct fwr_donor *d, uint64_t now, const struct fwr_caller *caller,
                               const struct fwr_end_transfer_request *request, uint8_t *reply,
                               size_t capacity)
{
    struct fwr_lease *lease = fwr_leases_find(&d->leases, caller, request->transfer);
    struct fwr_empty_reply answer = {.cookie = request->cookie};

    if (lease != NULL) {
        char text[64];

        snprintf(text, sizeof(text), "ends: %s", fwr_error_name(-(int)request->result));
        transfer_log(d, lease, text);
        measure_transfer(d, lease, now);
        fwr_leases_wipe(&d->leases, lease);
    }
    return fwr_empty_reply_encode(&answer, reply, capacity);
}

int fwr_donor_request(struct fwr_donor *d, uint64_t now, const struct fwr_caller *caller,
                      uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                      size_t capacity)
{
    union {
        struct fwr_request_image_request image;
        struct fwr_read_manifest_request manifest;
        struct fwr_accept_offer_request accept;
        struct fwr_read_request read;
        struct fwr_end_transfer_request end;
    } request;
    int error;

    if (capacity < FWR_LINK_MIN_REPLY)
        return FWR_E_NO_SPACE;
    d->requests++;
    d->catalogue.now = now;
    leases_sweep(d, now);
    switch (command) {
    case FWR_CMD_REQUEST_IMAGE:
        error = fwr_request_image_request_decode(data, length, &request.image);
        return error != FWR_OK ? error
                               : answer_request_image(d, now, &request.image, reply, capacity);
    case FWR_CMD_READ_MANIFEST:
        error = fwr_read_manifest_request_decode(data, length, &request.manifest);
        return error != FWR_OK ? error
                               : answer_read_manifest(d, now, &request.manifest, reply, capacity);
    case FWR_CMD_ACCEPT_OFFER:
        error = fwr_accept_offer_request_decode(data, length, &request.accept);
        return error != FWR_OK
                   ? error
                   : answer_accept_offer(d, now, caller, &request.accept, reply, capacity);
    case FWR_CMD_READ_TREE:
    case FWR_CMD_READ_BLOCKS:
        error = fwr_read_request_decode(data, length, &request.read);
        return error != FWR_OK
                   ? error
                   : answer_read(d, now, caller, command, &request.read, reply, capacity);
    case FWR_CMD_END_TRANSFER:
        error = fwr_end_transfer_request_decode(data, length, &request.end);
        return error != FWR_OK ? error
                               : answer_end_transfer(d, now, caller, &request.end, reply, capacity);
    default:
        return FWR_E_UNKNOWN_COMMAND;
    }
}

/* ---- time and state ---- */

int fwr_donor_step(struct fwr_donor *d, uint64_t now)
{
    d->catalogue.now = now;
    return fwr_catalogue_step(&d->catalogue);
}

uint64_t fwr_donor_next_timeout(const struct fwr_donor *d)
{
    uint64_t lease = fwr_leases_deadline(&d->leases);
    uint64_t image = fwr_catalogue_next_timeout(&d->catalogue);
    uint64_t broadcast = d->broadcasts.begun ? FWR_NEVER : fwr_broadcasts_begin(&d->broadcasts);

    if (broadcast < image)
        image = broadcast;
    return lease < image ? lease : image;
}

void fwr_donor_timeout(struct fwr_donor *d, uint64_t now)
{
    d->catalogue.now = now;
    leases_sweep(d, now);
    fwr_catalogue_timeout(&d->catalogue);
    /* Whether the link has room now is its caller's affair: no second deadline for that. */
    if (fwr_broadcasts_begin(&d->broadcasts) <= now)
        d->broadcasts.begun = true;
}

void fwr_donor_session_closed(struct fwr_donor *d, uint16_t link, uint32_t session)
{
    fwr_leases_close(&d->leases, link, session);
}

void fwr_donor_reverify(struct fwr_donor *d, uint8_t index)
{
    for (uint8_t i = 0; i < d->config.image_count; i++) {
        if (index == i || index == FWR_DONOR_IMAGES_MAX)
            fwr_catalogue_reverify(&d->catalogue, i);
    }
}

void fwr_donor_status(const struct fwr_donor *d, struct fwr_donor_status *status)
{
    memset(status, 0, sizeof(*status));
    status->transfers = d->leases.open;
    status->places = (uint8_t)(d->leases.max - d->leases.open);
    status->bytes_sent = d->bytes_sent;
    status->bytes_broadcast = d->bytes_broadcast;
    status->requests = d->requests;
    status->refused = d->refused;
    for (uint8_t i = 0; i < FWR_DONOR_IMAGES_MAX; i++) {
        const struct fwr_image *image = &d->catalogue.images[i];

        status->images[i].state = FWR_E_NOT_FOUND;
        status->images[i].bad_block = FWR_NO_BLOCK;
        if (i >= d->config.image_count)
            continue;
        status->images[i].state = image->state;
        status->images[i].bad_block = image->bad_block;
        if (image->rooted || image->state == FWR_E_ROOT) {
            memcpy(status->images[i].tag, image->id, FWR_TAG_SIZE);
            status->images[i].sequence = image->manifest.sequence;
        }
    }
}
