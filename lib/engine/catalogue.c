/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor's images: verification by steps, and which of them answer a request. Called by the
 * donor. An image is offered only while its envelope satisfies the trust set and its bytes hash
 * to the signed root; nothing is parsed before its signatures are verified.
 */
#include "engine/catalogue.h"

#include <stdio.h>
#include <string.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>

/* A source that failed is tried again after this long: a stick may come back, a host may give
 * the flash bus back. */
#define FWR_SOURCE_RETRY_MS 10000

size_t fwr_catalogue_storage(const struct fwr_donor_config *config)
{
    size_t top = fwr_tree_part_size(config->max_leaves, FWR_HASH_MAX);

    return fwr_holding_storage(config) + config->image_count * (config->max_envelope + top);
}

int fwr_catalogue_init(struct fwr_catalogue *catalogue, const struct fwr_donor_config *config,
                       uint8_t *storage, uint64_t now)
{
    int error;

    memset(catalogue, 0, sizeof(*catalogue));
    catalogue->config = config;
    catalogue->now = now;
    fwr_holding_init(catalogue, storage);
    storage += fwr_holding_storage(config);
    for (uint8_t i = 0; i < config->image_count; i++) {
        struct fwr_image *image = &catalogue->images[i];

        image->source = config->images[i];
        image->state = FWR_PENDING;
        image->bad_block = FWR_NO_BLOCK;
        image->lost = FWR_NO_SEGMENT;
        image->retry = FWR_NEVER;
        image->envelope = storage;
        storage += config->max_envelope;
        image->top_nodes = storage;
        storage += fwr_tree_part_size(config->max_leaves, FWR_HASH_MAX);
    }
    catalogue->verify.image = FWR_NO_IMAGE;
    catalogue->verified_slot = UINT8_MAX;
    error = fwr_hasher_init(&catalogue->hashers[0], FWR_HASH_SHA256);
    if (error == FWR_OK)
        error = fwr_hasher_init(&catalogue->hashers[1], FWR_HASH_SHA384);
    if (error != FWR_OK)
        fwr_catalogue_end(catalogue);
    return error;
}

void fwr_catalogue_end(struct fwr_catalogue *catalogue)
{
    fwr_hasher_free(&catalogue->hashers[0]);
    fwr_hasher_free(&catalogue->hashers[1]);
}

/* ---- states ---- */

static void image_log(const struct fwr_catalogue *catalogue, const struct fwr_image *image,
                      enum fwr_log_level level, const char *what)
{
    const struct fwr_platform *platform = catalogue->config->platform;
    char text[256];

    if (platform->log == NULL)
        return;
    snprintf(text, sizeof(text), "image %s: %s",
             image->source->name != NULL ? image->source->name : "?", what);
    platform->log(platform->ctx, level, text);
}

/* The only function that changes an image's state. */
static void image_enter(struct fwr_catalogue *catalogue, struct fwr_image *image, int state)
{
    char text[160];

    /* A source that fails every ten seconds fills no log. */
    if (state < 0 && state != image->told) {
        if (state == FWR_E_ROOT && image->bad_block != FWR_NO_BLOCK)
            snprintf(text, sizeof(text), "not offered: %s (block at %08lxh)", fwr_error_text(state),
                     (unsigned long)image->bad_block);
        else
            snprintf(text, sizeof(text), "not offered: %s", fwr_error_text(state));
        image_log(catalogue, image, FWR_LOG_NOTICE, text);
    }
    if (state <= 0)
        image->told = state;
    image->state = state;
    image->retry = FWR_NEVER;
}

void fwr_image_failed(struct fwr_catalogue *catalogue, uint8_t number, int error)
{
    struct fwr_image *image = &catalogue->images[number];

    if (number == catalogue->verify.image) {
        catalogue->restart = true; /* verification will find out by itself */
        return;
    }
    image_enter(catalogue, image, error);
    image->retry = catalogue->now + FWR_SOURCE_RETRY_MS;
}

void fwr_image_doubt(struct fwr_catalogue *catalogue, uint8_t number)
{
    struct fwr_image *image = &catalogue->images[number];

    if (image->state != FWR_OK)
        return; /* known already, or being verified */
    image_log(catalogue, image, FWR_LOG_NOTICE, "changed while it was offered, verifying again");
    image_enter(catalogue, image, FWR_PENDING);
}

void fwr_catalogue_reverify(struct fwr_catalogue *catalogue, uint8_t number)
{
    if (number == catalogue->verify.image)
        catalogue->restart = true;
    image_enter(catalogue, &catalogue->images[number], FWR_PENDING);
}

uint64_t fwr_catalogue_next_timeout(const struct fwr_catalogue *catalogue)
{
    uint64_t first = FWR_NEVER;

    for (uint8_t i = 0; i < catalogue->config->image_count; i++) {
        if (catalogue->images[i].retry < first)
            first = catalogue->images[i].retry;
    }
    return first;
}

void fwr_catalogue_timeout(struct fwr_catalogue *catalogue)
{
    for (uint8_t i = 0; i < catalogue->config->image_count; i++) {
        if (catalogue->images[i].retry <= catalogue->now)
            fwr_catalogue_reverify(catalogue, i);
    }
}

/* ---- verification ---- */

/* The image is another one now, or trusted no more: what was known of it ends. */
static void image_forget(struct fwr_catalogue *catalogue, uint8_t number)
{
    struct fwr_image *image = &catalogue->images[number];

    fwr_holding_drop(catalogue, number);
    image->rooted = false;
    image->epoch++;
    image->bad_block = FWR_NO_BLOCK;
    image->lost = FWR_NO_SEGMENT;
}

/* Whether the donor's memory was sized for this image. */
static bool image_fits(const struct fwr_donor_config *config, const struct fwr_manifest *manifest)
{
    uint32_t leaves = fwr_manifest_leaf_count(manifest);
    uint8_t hash_size = (uint8_t)fwr_hash_size(manifest->hash);

    return leaves <= config->max_leaves && manifest->block_size <= config->max_block_size &&
           fwr_tree_part_size(leaves, hash_size) <=
               fwr_tree_part_size(config->max_leaves, FWR_HASH_MAX);
}

static int image_become(struct fwr_catalogue *catalogue, uint8_t number,
                        const struct fwr_manifest *manifest, const uint8_t *id)
{
    struct fwr_image *image = &catalogue->images[number];
    int error;

    image_forget(catalogue, number);
    if (!image_fits(catalogue->config, manifest))
        return FWR_E_NO_SPACE;
    error = fwr_compatibility_key(manifest->component, manifest->manufacturer, manifest->product,
                                  image->key);
    if (error != FWR_OK)
        return error;
    image->manifest = *manifest;
    memcpy(image->id, id, FWR_ID_SIZE);
    image->hasher = manifest->hash == FWR_HASH_SHA384;
    image->leaves = fwr_manifest_leaf_count(manifest);
    image->segment_levels = fwr_tree_segment_levels(image->leaves);
    fwr_tree_part_init(&image->top, fwr_tree_segment_count(image->leaves),
                       (uint8_t)fwr_hash_size(manifest->hash), image->top_nodes);
    return FWR_OK;
}

/* Copies and verifies the envelope. FWR_OK: the manifest is signed. FWR_PENDING: as it says. */
static int envelope_verify(struct fwr_catalogue *catalogue, uint8_t number)
{
    struct fwr_image *image = &catalogue->images[number];
    const struct fwr_donor_config *config = catalogue->config;
    struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];
    size_t length = 0;
    int error =
        image->source->envelope(image->source->ctx, image->envelope, config->max_envelope, &length);

    if (error == FWR_PENDING)
        return FWR_PENDING;
    if (error == FWR_OK && length > config->max_envelope)
        error = FWR_E_NO_SPACE;
    if (error != FWR_OK) {
        if (error == FWR_E_NO_SPACE)
            error = FWR_E_ENVELOPE_SIZE;
        image_enter(catalogue, image, error);
        image->retry = catalogue->now + FWR_SOURCE_RETRY_MS;
        return error;
    }
    image->envelope_length = length;
    error = fwr_envelope_verify_manifest(image->envelope, length, config->trust, &manifest, id);
    if (error != FWR_OK)
        image_forget(catalogue, number);
    else if (!image->rooted || memcmp(id, image->id, FWR_ID_SIZE) != 0)
        error = image_become(catalogue, number, &manifest, id);
    if (error != FWR_OK)
        image_enter(catalogue, image, error);
    return error;
}

/* Names the first block of a segment that is not what an authenticated copy says. */
static void bad_block_find(struct fwr_catalogue *catalogue, uint8_t number,
                           const struct fwr_segment *wrong)
{
    struct fwr_image *image = &catalogue->images[number];
    const struct fwr_segment *right = fwr_segment_find(catalogue, number, wrong->index);

    image->lost = wrong->index;
    if (right == NULL)
        return; /* what was named when it was found out stays */
    for (uint32_t i = 0; i < right->part.leaves; i++) {
        if (memcmp(fwr_tree_part_node(&right->part, 0, i), fwr_tree_part_node(&wrong->part, 0, i),
                   right->part.hash_size) != 0) {
            image->bad_block = fwr_manifest_leaf_address(
                &image->manifest, (wrong->index << image->segment_levels) + i);
            return;
        }
    }
}

/* A segment has been hashed: into the top part, or compared with it when that is known. */
static int segment_verified(struct fwr_catalogue *catalogue)
{
    uint8_t number = catalogue->verify.image;
    struct fwr_image *image = &catalogue->images[number];
    struct fwr_segment *segment = &catalogue->segments[catalogue->verify.slot];
    uint8_t *known = fwr_tree_part_node(&image->top, 0, catalogue->verified);
    const uint8_t *root = fwr_tree_part_root(&segment->part);

    if (!image->rooted) {
        memcpy(known, root, image->top.hash_size);
    } else if (memcmp(known, root, image->top.hash_size) != 0) {
        bad_block_find(catalogue, number, segment);
        return FWR_E_ROOT;
    } else if (fwr_segment_find(catalogue, number, segment->index) != NULL) {
        segment->image = FWR_NO_IMAGE; /* one copy is enough */
    } else {
        segment->authentic = true;
    }
    segment->busy = false;
    catalogue->verified++;
    return FWR_OK;
}

/* Ends the verification under way, with whatever result. Segments hashed on the way to a root
 * that turned out right are authentic; the others never happened. */
static void verify_end(struct fwr_catalogue *catalogue)
{
    uint8_t number = catalogue->verify.image;

    for (uint8_t i = 0; i < catalogue->config->segments; i++) {
        struct fwr_segment *segment = &catalogue->segments[i];
        bool demanded = catalogue->demand.image != FWR_NO_IMAGE && catalogue->demand.slot == i;

        if (segment->image != number || segment->authentic || demanded)
            continue;
        segment->busy = false;
        segment->authentic = catalogue->images[number].state == FWR_OK;
        if (!segment->authentic)
            segment->image = FWR_NO_IMAGE;
    }
    catalogue->verify.image = FWR_NO_IMAGE;
    catalogue->verified_slot = UINT8_MAX;
    catalogue->restart = false;
}

static int root_verify(struct fwr_catalogue *catalogue)
{
    struct fwr_image *image = &catalogue->images[catalogue->verify.image];
    int error = fwr_tree_part_build(&image->top, &catalogue->hashers[image->hasher]);

    if (error != FWR_OK)
        return error;
    if (memcmp(fwr_tree_part_root(&image->top), image->manifest.root, image->top.hash_size) != 0)
        return FWR_E_ROOT;
    image->rooted = true;
    return FWR_OK;
}

/* The whole image hashes to its root. */
static void image_held(struct fwr_catalogue *catalogue)
{
    struct fwr_image *image = &catalogue->images[catalogue->verify.image];
    char text[FWR_VERSION_MAX + 80];

    image->bad_block = FWR_NO_BLOCK;
    image->lost = FWR_NO_SEGMENT;
    image_enter(catalogue, image, FWR_OK);
    snprintf(text, sizeof(text), "verified and offered: version %s, sequence %lu",
             image->manifest.version, (unsigned long)image->manifest.sequence);
    image_log(catalogue, image, FWR_LOG_NOTICE, text);
}

/* Takes the slot for the next segment: FWR_PENDING, there is a read to be done. */
static int segment_begin(struct fwr_catalogue *catalogue)
{
    struct fwr_segment *segment = fwr_segment_take(catalogue, catalogue->verify.image,
                                                   catalogue->verified, catalogue->verified_slot);

    if (segment == NULL)
        return FWR_PENDING; /* cannot be: there are two at least, and one request at most */
    catalogue->verify.slot = (uint8_t)(segment - catalogue->segments);
    catalogue->verified_slot = catalogue->verify.slot;
    catalogue->verify.next = 0;
    return FWR_PENDING;
}

static int verify_begin(struct fwr_catalogue *catalogue)
{
    uint8_t number = 0;
    int error;

    while (number < catalogue->config->image_count &&
           catalogue->images[number].state != FWR_PENDING)
        number++;
    if (number == catalogue->config->image_count)
        return FWR_OK;
    if (catalogue->reading != FWR_READING_NONE)
        return FWR_PENDING;
    error = envelope_verify(catalogue, number);
    if (error != FWR_OK)
        return FWR_PENDING; /* perhaps another image waits */
    catalogue->verify.image = number;
    catalogue->verified = 0;
    return segment_begin(catalogue);
}

static int verify_step(struct fwr_catalogue *catalogue)
{
    struct fwr_image *image;
    int error;

    if (catalogue->verify.image == FWR_NO_IMAGE)
        return verify_begin(catalogue);
    image = &catalogue->images[catalogue->verify.image];
    error = fwr_hashing_advance(catalogue, FWR_READING_VERIFY, &catalogue->verify);
    if (catalogue->restart && catalogue->reading != FWR_READING_VERIFY) {
        verify_end(catalogue);
        return FWR_PENDING;
    }
    if (error == FWR_PENDING)
        return FWR_PENDING;
    if (error != FWR_OK) {
        image_enter(catalogue, image, error);
        image->retry = catalogue->now + FWR_SOURCE_RETRY_MS;
        verify_end(catalogue);
        return FWR_PENDING;
    }
    error = segment_verified(catalogue);
    if (error == FWR_OK && catalogue->verified < image->top.leaves)
        return segment_begin(catalogue);
    if (error == FWR_OK && !image->rooted)
        error = root_verify(catalogue);
    if (error == FWR_OK)
        image_held(catalogue);
    else
        image_enter(catalogue, image, error);
    verify_end(catalogue);
    return FWR_PENDING;
}

int fwr_catalogue_step(struct fwr_catalogue *catalogue)
{
    /* Requests first, unless verification is in the middle of a read. */
    if (catalogue->reading != FWR_READING_VERIFY &&
        (catalogue->loading.image != FWR_NO_IMAGE || catalogue->demand.image != FWR_NO_IMAGE)) {
        (void)fwr_holding_step(catalogue);
        return FWR_PENDING;
    }
    return verify_step(catalogue);
}

/* ---- matching ---- */

uint8_t fwr_catalogue_find(const struct fwr_catalogue *catalogue, const uint8_t *tag)
{
    for (uint8_t i = 0; i < catalogue->config->image_count; i++) {
        if (catalogue->images[i].state == FWR_OK &&
            memcmp(catalogue->images[i].id, tag, FWR_TAG_SIZE) == 0)
            return i;
    }
    return FWR_NO_IMAGE;
}

static bool image_matches(const struct fwr_catalogue *catalogue, uint8_t number,
                          const struct fwr_request_image_request *request)
{
    const struct fwr_image *image = &catalogue->images[number];

    if (image->state != FWR_OK)
        return false;
    /* Two sources may hold the same image; the first speaks for both. */
    if (fwr_catalogue_find(catalogue, image->id) != number)
        return false;
    if (request->kind == FWR_REQUEST_BY_TAG)
        return memcmp(image->id, request->key, FWR_TAG_SIZE) == 0;
    return memcmp(image->key, request->key, FWR_KEY_SIZE) == 0 &&
           image->manifest.hardware_min <= request->hardware_revision &&
           image->manifest.hardware_max >= request->hardware_revision;
}

static bool image_before(const struct fwr_image *a, const struct fwr_image *b)
{
    if (a->manifest.sequence != b->manifest.sequence)
        return a->manifest.sequence > b->manifest.sequence;
    return memcmp(a->id, b->id, FWR_TAG_SIZE) < 0;
}

uint8_t fwr_catalogue_match(const struct fwr_catalogue *catalogue,
                            const struct fwr_request_image_request *request, uint8_t *count)
{
    uint8_t matches[FWR_DONOR_IMAGES_MAX];
    uint8_t found = 0;

    for (uint8_t i = 0; i < catalogue->config->image_count; i++) {
        uint8_t at;

        if (!image_matches(catalogue, i, request))
            continue;
        for (at = found++; at > 0; at--) {
            if (!image_before(&catalogue->images[i], &catalogue->images[matches[at - 1]]))
                break;
            matches[at] = matches[at - 1];
        }
        matches[at] = i;
    }
    *count = found;
    return request->index < found ? matches[request->index] : FWR_NO_IMAGE;
}
