/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor engine against sources in memory and a clock in a variable: what it offers, gives
 * and refuses, and that nothing leaves it which does not hash to the signed root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/donor.h>
#include <fwrecover/error.h>

#include "tests/unit/given_image.h"

enum { REPLY_MAX = 1400, IMAGES = 3 };

struct fixture {
    struct given_image images[IMAGES];
    const struct fwr_source *sources[IMAGES];
    struct fwr_donor_config config;
    struct fwr_platform platform;
    struct fwr_donor *donor;
    void *storage;
    uint64_t now;
    uint64_t random;
    bool random_fails;
    struct fwr_caller caller;
    uint8_t reply[REPLY_MAX];
    uint8_t cookie;
    char log[4096];
};

static int fake_random(void *ctx, void *buffer, size_t length)
{
    struct fixture *f = ctx;

    if (f->random_fails)
        return FWR_E_RANDOM;
    seeded_fill(&f->random, buffer, length);
    return FWR_OK;
}

static void fake_log(void *ctx, enum fwr_log_level level, const char *text)
{
    struct fixture *f = ctx;
    size_t used = strlen(f->log);

    (void)level;
    snprintf(f->log + used, sizeof(f->log) - used, "%s\n", text);
}

/* Steps until the donor is at rest; how many steps that took. */
static unsigned settle(struct fixture *f)
{
    unsigned steps = 0;

    while (fwr_donor_step(f->donor, f->now) == FWR_PENDING)
        assert_true(++steps < 100000);
    return steps;
}

/* A donor of `count` images that the caller has described; verified unless it says otherwise. */
static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->now = 1000;
    f->random = 5;
    f->platform.size = sizeof(f->platform);
    f->platform.ctx = f;
    f->platform.random = fake_random;
    f->platform.log = fake_log;
    f->caller.link = 1;
    f->caller.session = 77;
    f->caller.max_reply = REPLY_MAX;
    f->config.size = sizeof(f->config);
    f->config.platform = &f->platform;
    f->config.max_leaves = 1024;
    f->config.images = f->sources;
    return f;
}

static void donor_make(struct fixture *f, uint8_t count)
{
    size_t size;

    for (uint8_t i = 0; i < count; i++) {
        f->images[i].seed += i;
        assert_int_equal(given_image_make(&f->images[i]), FWR_OK);
        f->sources[i] = &f->images[i].source;
    }
    f->config.image_count = count;
    if (f->config.trust == NULL)
        f->config.trust = &f->images[0].trust;
    size = fwr_donor_storage(&f->config);
    assert_true(size > 0);
    f->storage = malloc(size);
    assert_int_equal(fwr_donor_init(&f->donor, f->storage, size, &f->config, f->now), FWR_OK);
}

static struct fixture *fixture_ready(uint32_t blocks)
{
    struct fixture *f = fixture_new();

    f->images[0].blocks = blocks;
    donor_make(f, 1);
    settle(f);
    return f;
}

static void fixture_free(struct fixture *f)
{
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(f->images[i].broken, 0);
        given_image_free(&f->images[i]);
    }
    if (f->donor != NULL)
        fwr_donor_end(f->donor);
    free(f->storage);
    free(f);
}

static int image_state(const struct fixture *f, uint8_t index)
{
    struct fwr_donor_status status;

    fwr_donor_status(f->donor, &status);
    return status.images[index].state;
}

static uint32_t bad_block(const struct fixture *f)
{
    struct fwr_donor_status status;

    fwr_donor_status(f->donor, &status);
    return status.images[0].bad_block;
}

static uint8_t transfers(const struct fixture *f)
{
    struct fwr_donor_status status;

    fwr_donor_status(f->donor, &status);
    return status.transfers;
}

/* ---- asking ---- */

static int send(struct fixture *f, uint8_t command, const uint8_t *data, int length)
{
    assert_in_range(length, 1, FWR_LINK_MIN_REQUEST);
    return fwr_donor_request(f->donor, f->now, &f->caller, command, data, (size_t)length, f->reply,
                             f->caller.max_reply);
}

static int ask_image(struct fixture *f, const struct fwr_request_image_request *wanted,
                     struct fwr_request_image_reply *reply)
{
    uint8_t data[16];
    int length = fwr_request_image_request_encode(wanted, data, sizeof(data));

    length = send(f, FWR_CMD_REQUEST_IMAGE, data, length);
    if (length < 0)
        return length;
    assert_true(length <= FWR_LINK_MIN_REPLY);
    assert_int_equal(fwr_request_image_reply_decode(f->reply, (size_t)length, reply), FWR_OK);
    assert_int_equal(reply->cookie, wanted->cookie);
    return FWR_OK;
}

static int ask_key(struct fixture *f, uint16_t revision, uint8_t index,
                   struct fwr_request_image_reply *reply)
{
    struct fwr_request_image_request request = {.cookie = ++f->cookie,
                                                .kind = FWR_REQUEST_BY_KEY,
                                                .hardware_revision = revision,
                                                .index = index};

    assert_int_equal(fwr_compatibility_key(f->images[0].manifest.component, GIVEN_MANUFACTURER,
                                           GIVEN_PRODUCT, request.key),
                     FWR_OK);
    return ask_image(f, &request, reply);
}

static int accept_offer(struct fixture *f, uint8_t image, uint32_t nonce,
                        struct fwr_accept_offer_reply *reply)
{
    struct fwr_accept_offer_request request = {.cookie = ++f->cookie, .nonce = nonce};
    uint8_t data[16];
    int length;

    memcpy(request.tag, f->images[image].id, FWR_TAG_SIZE);
    length = fwr_accept_offer_request_encode(&request, data, sizeof(data));
    length = send(f, FWR_CMD_ACCEPT_OFFER, data, length);
    if (length < 0)
        return length;
    assert_true(length <= FWR_LINK_MIN_REPLY);
    assert_int_equal(fwr_accept_offer_reply_decode(f->reply, (size_t)length, reply), FWR_OK);
    return FWR_OK;
}

static uint32_t accepted(struct fixture *f, uint8_t image, uint32_t nonce)
{
    struct fwr_accept_offer_reply reply;

    assert_int_equal(accept_offer(f, image, nonce, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_ACCEPT_OK);
    assert_int_not_equal(reply.transfer, 0);
    return reply.transfer;
}

/* The bytes are then at f->reply + 1: how many, or an error. */
static int ask_read(struct fixture *f, uint8_t command, uint32_t transfer, uint32_t offset,
                    uint16_t want)
{
    struct fwr_read_request request = {
        .cookie = ++f->cookie, .transfer = transfer, .offset = offset, .length = want};
    uint8_t data[16];
    int length = fwr_read_request_encode(&request, data, sizeof(data));

    length = send(f, command, data, length);
    if (length < 0)
        return length;
    assert_int_equal(f->reply[0], f->cookie);
    assert_true(length - 1 <= want);
    return length - 1;
}

static int ask_manifest(struct fixture *f, uint8_t image, uint32_t offset, uint16_t want)
{
    struct fwr_read_manifest_request request = {
        .cookie = ++f->cookie, .offset = offset, .length = want};
    uint8_t data[16];
    int length;

    memcpy(request.tag, f->images[image].id, FWR_TAG_SIZE);
    length = fwr_read_manifest_request_encode(&request, data, sizeof(data));
    length = send(f, FWR_CMD_READ_MANIFEST, data, length);
    return length < 0 ? length : length - 1;
}

static int end_transfer(struct fixture *f, uint32_t transfer)
{
    struct fwr_end_transfer_request request = {.cookie = ++f->cookie, .transfer = transfer};
    uint8_t data[16];
    int length = fwr_end_transfer_request_encode(&request, data, sizeof(data));

    length = send(f, FWR_CMD_END_TRANSFER, data, length);
    return length < 0 ? length : FWR_OK;
}

/* Reads a whole object in slices of `slice` and compares it; busy answers are stepped over. */
static void read_and_compare(struct fixture *f, uint8_t command, uint32_t transfer, uint32_t offset,
                             const uint8_t *expected, uint32_t length, uint16_t slice)
{
    uint32_t done = 0, busy = 0;

    while (done < length) {
        int got = ask_read(f, command, transfer, offset + done, slice);

        if (got == FWR_E_BUSY) {
            assert_true(++busy < 100000);
            fwr_donor_step(f->donor, f->now);
            continue;
        }
        assert_true(got > 0);
        assert_true((uint32_t)got <= length - done);
        assert_memory_equal(f->reply + 1, expected + done, got);
        done += (uint32_t)got;
    }
}

static uint8_t *tree_object(struct given_image *g, uint32_t *length)
{
    uint32_t leaves = fwr_manifest_leaf_count(&g->manifest);
    uint8_t hash_size = (uint8_t)fwr_hash_size(g->manifest.hash);
    uint8_t *buffer = malloc(65536), *object, root[FWR_HASH_MAX];
    struct fwr_tree_input input = {given_tree_read, g, buffer, 65536};

    *length = (uint32_t)fwr_tree_size(leaves, hash_size);
    object = malloc(*length);
    assert_int_equal(fwr_tree_of_image(&g->manifest, &input, object, *length, root), FWR_OK);
    free(buffer);
    return object;
}

static void compare_whole_image(struct fixture *f, uint8_t image, uint32_t transfer, uint16_t slice)
{
    struct given_image *g = &f->images[image];
    uint32_t length;
    uint8_t *object = tree_object(g, &length);

    read_and_compare(f, FWR_CMD_READ_TREE, transfer, 0, object, length, slice);
    free(object);
    for (uint16_t i = 0; i < g->manifest.map.count; i++) {
        const struct fwr_region *region = &g->manifest.map.regions[i];

        if (region->kind == FWR_REGION_WRITE)
            read_and_compare(f, FWR_CMD_READ_BLOCKS, transfer, region->offset,
                             g->bytes + region->offset, region->length, slice);
    }
}

/* ---- tests ---- */

static void test_whole_image(void **state)
{
    static const struct {
        uint32_t blocks, block_size;
        uint8_t hash;
        uint16_t slice;
    } cases[] = {
        {64, 4096, FWR_HASH_SHA256, 1367}, {13, 512, FWR_HASH_SHA256, 18},
        {14, 512, FWR_HASH_SHA256, 240},   {77, 1024, FWR_HASH_SHA384, 100},
        {600, 512, FWR_HASH_SHA256, 1399}, {1030, 512, FWR_HASH_SHA384, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = fixture_new();

        f->images[0].blocks = cases[i].blocks;
        f->images[0].block_size = cases[i].block_size;
        f->images[0].hash = cases[i].hash;
        donor_make(f, 1);
        assert_int_equal(image_state(f, 0), FWR_PENDING);
        settle(f);
        assert_int_equal(image_state(f, 0), FWR_OK);
        compare_whole_image(f, 0, accepted(f, 0, 1), cases[i].slice);
        fixture_free(f);
    }
}

/* A source that lets others wait: everything arrives, each read is repeated until it is done. */
static void test_slow_source(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->images[0].blocks = 80;
    f->images[0].pending = 3;
    donor_make(f, 1);
    assert_true(settle(f) > 3 * 3);
    assert_int_equal(image_state(f, 0), FWR_OK);
    compare_whole_image(f, 0, accepted(f, 0, 1), 1000);
    fixture_free(f);
}

/* Several readers and a verification share one slow source: nobody starves, nothing mixes. */
static void test_slow_source_shared(void **state)
{
    struct fixture *f = fixture_new();
    uint32_t first, second, done[2] = {0, 0}, turns = 0;

    (void)state;
    f->images[0].blocks = 200;
    f->images[0].block_size = 512;
    f->images[1].blocks = 64;
    f->images[1].block_size = 512;
    f->images[1].sequence = 9;
    f->config.segments = 2;
    donor_make(f, 2);
    settle(f);
    first = accepted(f, 0, 1);
    second = accepted(f, 1, 2);
    f->images[0].pending = f->images[1].pending = 2;
    fwr_donor_reverify(f->donor, 0);
    while (done[0] < 40 || done[1] < 20) {
        for (int i = 0; i < 2; i++) {
            uint32_t offset = done[i] % 32 * 512;
            int got = ask_read(f, FWR_CMD_READ_BLOCKS, i == 0 ? first : second, offset, 512);

            if (got == FWR_E_BUSY)
                continue;
            assert_int_equal(got, 512);
            assert_memory_equal(f->reply + 1, f->images[i].bytes + offset, 512);
            done[i]++;
        }
        fwr_donor_step(f->donor, f->now);
        assert_true(++turns < 5000);
    }
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

/* ---- what is not offered, and why ---- */

static void assert_not_offered(struct fixture *f, int reason)
{
    struct fwr_request_image_reply reply;
    struct fwr_accept_offer_reply accept;

    settle(f);
    assert_int_equal(image_state(f, 0), reason);
    assert_int_equal(ask_key(f, 5, 0, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_NONE);
    assert_int_equal(reply.count, 0);
    assert_int_equal(reply.sequence, 0);
    assert_int_equal(ask_manifest(f, 0, 0, 16), FWR_E_NOT_FOUND);
    assert_int_equal(accept_offer(f, 0, 1, &accept), FWR_OK);
    assert_int_equal(accept.result, FWR_ACCEPT_UNKNOWN);
    assert_int_equal(accept.transfer, 0);
}

static void test_not_offered_before_verified(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_request_image_reply reply;

    (void)state;
    donor_make(f, 1);
    assert_int_equal(ask_key(f, 5, 0, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_NONE);
    assert_int_equal(fwr_donor_step(f->donor, f->now), FWR_PENDING);
    assert_int_equal(ask_key(f, 5, 0, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_NONE);
    settle(f);
    assert_int_equal(ask_key(f, 5, 0, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_OFFER);
    assert_int_equal(fwr_donor_step(f->donor, f->now), FWR_OK);
    fixture_free(f);
}

static void test_unprovisioned(void **state)
{
    static const struct fwr_trust nobody;
    struct fixture *f = fixture_new();

    (void)state;
    f->config.trust = &nobody;
    donor_make(f, 1);
    assert_not_offered(f, FWR_E_UNPROVISIONED);
    assert_non_null(strstr(f->log, fwr_error_text(FWR_E_UNPROVISIONED)));
    fixture_free(f);
}

static void test_untrusted(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_trust other;

    (void)state;
    assert_int_equal(given_trust(&other, 9), FWR_OK);
    f->config.trust = &other;
    donor_make(f, 1);
    assert_not_offered(f, FWR_E_UNTRUSTED);
    fixture_free(f);
}

/* What the envelope's bytes may be wrong in. */
static void test_bad_envelope(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->config.max_envelope = 1000;
    donor_make(f, 1);
    f->images[0].envelope[f->images[0].envelope_length - 1] ^= 1;
    assert_not_offered(f, FWR_E_SIGNATURE);
    f->images[0].envelope[f->images[0].envelope_length - 1] ^= 1;
    f->images[0].envelope[20] ^= 1; /* in the manifest */
    fwr_donor_reverify(f->donor, 0);
    assert_not_offered(f, FWR_E_SIGNATURE);
    f->images[0].envelope[20] ^= 1;
    f->images[0].envelope_length--;
    fwr_donor_reverify(f->donor, FWR_DONOR_IMAGES_MAX);
    assert_not_offered(f, FWR_E_ENVELOPE);
    f->images[0].envelope_length += 1000;
    fwr_donor_reverify(f->donor, 0);
    assert_not_offered(f, FWR_E_ENVELOPE_SIZE);
    f->images[0].envelope_length -= 999;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

static void test_corrupt_image(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    donor_make(f, 1);
    f->images[0].bytes[5 * 4096 + 17] ^= 0x10;
    assert_not_offered(f, FWR_E_ROOT);
    /* Only the root is signed: nothing tells which block it is. */
    assert_int_equal(bad_block(f), UINT32_MAX);
    fixture_free(f);
}

/* Bytes that the image does not cover may be anything. */
static void test_preserved_bytes_do_not_count(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    donor_make(f, 1);
    f->images[0].bytes[f->images[0].manifest.map.regions[1].offset] ^= 0xff;
    f->images[0].bytes[f->images[0].manifest.map.regions[2].offset] ^= 0xff;
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

static void test_image_too_large(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->config.max_leaves = 57; /* 58 are needed */
    donor_make(f, 1);
    assert_not_offered(f, FWR_E_NO_SPACE);
    fixture_free(f);

    f = fixture_new();
    f->config.max_leaves = 58;
    f->config.max_block_size = 2048;
    donor_make(f, 1);
    assert_not_offered(f, FWR_E_NO_SPACE);
    fixture_free(f);

    f = fixture_new();
    f->config.max_leaves = 58;
    donor_make(f, 1);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

/* A source that fails is tried again by itself, and not before its time. */
static void test_source_comes_back(void **state)
{
    static const int errors[] = {FWR_E_NOT_HELD, FWR_E_IO, FWR_E_RANGE};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(errors) / sizeof(errors[0]); i++) {
        struct fixture *f = fixture_new();
        int error = errors[i / 2];
        uint64_t due;

        donor_make(f, 1);
        if (i % 2 == 0)
            f->images[0].fail = error;
        else
            f->images[0].fail_envelope = error;
        assert_not_offered(f, error);
        due = fwr_donor_next_timeout(f->donor);
        assert_true(due > f->now && due != FWR_NEVER);
        f->log[0] = '\0';
        f->now = due; /* in vain: no second line in the log */
        fwr_donor_timeout(f->donor, f->now);
        assert_not_offered(f, error);
        assert_string_equal(f->log, "");
        due = fwr_donor_next_timeout(f->donor);
        f->images[0].fail = f->images[0].fail_envelope = 0;
        f->now = due - 1;
        fwr_donor_timeout(f->donor, f->now);
        assert_int_equal(fwr_donor_step(f->donor, f->now), FWR_OK);
        f->now = due;
        fwr_donor_timeout(f->donor, f->now);
        settle(f);
        assert_int_equal(image_state(f, 0), FWR_OK);
        assert_true(fwr_donor_next_timeout(f->donor) == FWR_NEVER);
        fixture_free(f);
    }
}

/* ---- offers ---- */

static void test_offers_in_order(void **state)
{
    static const uint32_t falling[] = {30, 20, 10};
    struct fixture *f = fixture_new();
    struct fwr_request_image_request by_tag = {.cookie = 3, .kind = FWR_REQUEST_BY_TAG};
    struct fwr_request_image_reply reply;

    (void)state;
    f->images[0].sequence = 20;
    f->images[1].sequence = 10;
    f->images[2].sequence = 30;
    f->images[1].hardware_min = 4;
    f->images[2].hardware_max = 5;
    donor_make(f, 3);
    settle(f);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(ask_key(f, 4, i, &reply), FWR_OK);
        assert_int_equal(reply.result, FWR_IMAGE_OFFER);
        assert_int_equal(reply.count, 3);
        assert_int_equal(reply.load, 0);
        assert_int_equal(reply.sequence, falling[i]);
    }
    assert_memory_equal(reply.tag, f->images[1].id, FWR_TAG_SIZE);
    assert_int_equal(ask_key(f, 4, 3, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_NONE);
    assert_int_equal(reply.count, 3);

    /* The edges of the hardware range, both inclusive. */
    assert_int_equal(ask_key(f, 3, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 2);
    assert_int_equal(ask_key(f, 5, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 3);
    assert_int_equal(ask_key(f, 6, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 2);
    assert_int_equal(reply.sequence, 20);
    assert_int_equal(ask_key(f, 10, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 0);

    memcpy(by_tag.key, f->images[1].id, FWR_TAG_SIZE);
    by_tag.hardware_revision = 1000; /* is not looked at */
    assert_int_equal(ask_image(f, &by_tag, &reply), FWR_OK);
    assert_int_equal(reply.count, 1);
    assert_int_equal(reply.sequence, 10);
    by_tag.key[7] ^= 1;
    assert_int_equal(ask_image(f, &by_tag, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_IMAGE_NONE);
    by_tag.kind = FWR_REQUEST_BY_KEY; /* a key of nobody */
    assert_int_equal(ask_image(f, &by_tag, &reply), FWR_OK);
    assert_int_equal(reply.count, 0);
    fixture_free(f);
}

/* One image in two sources is one offer, and survives the loss of either source. */
static void test_same_image_twice(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_request_image_reply reply;

    (void)state;
    f->images[0].seed = 1;
    f->images[1].seed = 0; /* donor_make adds the index */
    donor_make(f, 2);
    settle(f);
    assert_memory_equal(f->images[0].id, f->images[1].id, FWR_ID_SIZE);
    assert_int_equal(ask_key(f, 4, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 1);
    f->images[0].fail = FWR_E_IO;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_E_IO);
    assert_int_equal(ask_key(f, 4, 0, &reply), FWR_OK);
    assert_int_equal(reply.count, 1);
    accepted(f, 0, 1);
    fixture_free(f);
}

static void test_manifest(void **state)
{
    struct fixture *f = fixture_ready(64);
    size_t length = f->images[0].envelope_length, done = 0;
    struct fwr_read_manifest_request request = {.cookie = 1, .length = 8};
    uint8_t data[16];

    (void)state;
    while (done < length) {
        int got = ask_manifest(f, 0, (uint32_t)done, 18);

        assert_true(got > 0 && got <= 18);
        assert_memory_equal(f->reply + 1, f->images[0].envelope + done, got);
        done += (size_t)got;
    }
    assert_int_equal(done, length);
    assert_int_equal(ask_manifest(f, 0, (uint32_t)length, 18), 0);
    assert_int_equal(ask_manifest(f, 0, (uint32_t)length + 1, 18), FWR_E_RANGE);
    assert_int_equal(ask_manifest(f, 0, UINT32_MAX, UINT16_MAX), FWR_E_RANGE);
    f->caller.max_reply = FWR_LINK_MIN_REPLY;
    assert_int_equal(ask_manifest(f, 0, 0, UINT16_MAX), FWR_LINK_MIN_REPLY - 1);
    assert_int_equal(fwr_read_manifest_request_encode(&request, data, sizeof(data)), 15);
    assert_int_equal(send(f, FWR_CMD_READ_MANIFEST, data, 15), FWR_E_NOT_FOUND);
    fixture_free(f);
}

/* Manifests are free for all, so their rate is limited; whoever waits is served again. */
static void test_manifest_rate(void **state)
{
    struct fixture *f = fixture_ready(64);
    unsigned served = 0;
    int got;

    (void)state;
    while ((got = ask_manifest(f, 0, 0, 300)) > 0)
        assert_true(++served < 10000);
    assert_int_equal(got, FWR_E_BUSY);
    assert_true(served > 100);
    f->now += 1;
    ask_manifest(f, 0, 0, 300); /* pays debt */
    f->now += 100;
    assert_true(ask_manifest(f, 0, 0, 300) > 0);
    fixture_free(f);
}

/* ---- transfers ---- */

static void test_accept_again(void **state)
{
    struct fixture *f = fixture_ready(64);
    struct fwr_accept_offer_reply reply;
    uint32_t id = accepted(f, 0, 5);

    (void)state;
    assert_int_equal(accept_offer(f, 0, 5, &reply), FWR_OK);
    assert_int_equal(reply.transfer, id);
    assert_int_equal(reply.lease, 30);
    assert_int_equal(reply.max_length, REPLY_MAX - 1);
    assert_int_equal(reply.window, 15);
    assert_int_equal(transfers(f), 1);
    assert_int_not_equal(accepted(f, 0, 6), id);
    f->caller.session++;
    assert_int_not_equal(accepted(f, 0, 5), id);
    f->caller.session--;
    f->caller.link++;
    assert_int_not_equal(accepted(f, 0, 5), id);
    f->caller.link--;
    assert_int_equal(transfers(f), 4);
    /* All taken: a repetition is still known. */
    assert_int_equal(accepted(f, 0, 5), id);
    f->caller.max_reply = 19;
    assert_int_equal(accept_offer(f, 0, 5, &reply), FWR_OK);
    assert_int_equal(reply.max_length, 18);
    fixture_free(f);
}

static void test_foreign_transfer(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 5);

    (void)state;
    f->caller.session++;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(end_transfer(f, id), FWR_OK);
    f->caller.session--;
    f->caller.link++;
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    f->caller.link--;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id + 1, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, 0, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    fixture_free(f);
}

static void test_end(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 5);

    (void)state;
    assert_int_equal(end_transfer(f, id ^ 1), FWR_OK);
    assert_int_equal(transfers(f), 1);
    assert_int_equal(end_transfer(f, id), FWR_OK);
    assert_int_equal(transfers(f), 0);
    assert_non_null(strstr(f->log, "ends: ok (link 1, session 4dh)"));
    assert_int_equal(end_transfer(f, id), FWR_OK);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    fixture_free(f);
}

static void test_session_closed(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t first = accepted(f, 0, 5), second;

    (void)state;
    f->caller.session = 78;
    second = accepted(f, 0, 5);
    fwr_donor_session_closed(f->donor, f->caller.link, 77);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, second, 0, 16), 16);
    f->caller.session = 77;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, first, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(transfers(f), 1);
    /* After a reconnect the peer accepts again and goes on. */
    f->caller.session = 79;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, accepted(f, 0, 5), 16, 16), 16);
    fixture_free(f);
}

static void test_lease_runs_out(void **state)
{
    struct fixture *f = fixture_new();
    uint32_t id;

    (void)state;
    f->config.lease_seconds = 10;
    donor_make(f, 1);
    settle(f);
    id = accepted(f, 0, 5);
    assert_true(fwr_donor_next_timeout(f->donor) == f->now + 10000);
    f->now += 9999;
    fwr_donor_timeout(f->donor, f->now);
    assert_int_equal(transfers(f), 1);
    f->now += 1;
    fwr_donor_timeout(f->donor, f->now);
    assert_int_equal(transfers(f), 0);
    assert_non_null(strstr(f->log, "forgotten: silent or too slow (link 1, session 4dh)"));
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    /* Nobody need call timeout for a lease to end. */
    id = accepted(f, 0, 6);
    f->now += 10000;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    assert_true(fwr_donor_next_timeout(f->donor) == FWR_NEVER);
    fixture_free(f);
}

/* Reads keep a lease alive above 16 bytes a second, and not below. */
static void test_lease_renewal(void **state)
{
    struct fixture *f = fixture_new();
    uint32_t id;

    (void)state;
    f->config.lease_seconds = 10;
    donor_make(f, 1);
    settle(f);
    id = accepted(f, 0, 5);
    for (int i = 0; i < 50; i++) {
        f->now += 1000;
        assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    }
    for (int i = 0; i < 9; i++) {
        f->now += 1000;
        assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 15), 15);
    }
    f->now += 1000;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 15), FWR_E_UNKNOWN_TRANSFER);
    fixture_free(f);
}

/* ---- admission ---- */

static void test_admission(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_accept_offer_reply accept;
    struct fwr_request_image_reply offer;
    uint16_t lowest = UINT16_MAX, highest = 0;
    uint32_t first;

    (void)state;
    f->config.max_transfers = 2;
    donor_make(f, 1);
    settle(f);
    first = accepted(f, 0, 1);
    assert_int_equal(ask_key(f, 4, 0, &offer), FWR_OK);
    assert_int_equal(offer.load, 50);
    accepted(f, 0, 2);
    for (uint32_t i = 0; i < 40; i++) {
        f->caller.session = 100 + i;
        assert_int_equal(accept_offer(f, 0, 1, &accept), FWR_OK);
        assert_int_equal(accept.result, FWR_ACCEPT_BUSY);
        assert_int_equal(accept.transfer, 0);
        lowest = accept.retry < lowest ? accept.retry : lowest;
        highest = accept.retry > highest ? accept.retry : highest;
    }
    assert_true(lowest >= 10 && highest <= 20 && highest > lowest); /* one to two seconds */
    assert_int_equal(ask_key(f, 4, 0, &offer), FWR_OK);
    assert_int_equal(offer.result, FWR_IMAGE_BUSY);
    assert_int_equal(offer.load, 100);
    assert_int_equal(offer.sequence, 7);
    assert_true(offer.retry >= 10);
    assert_true(ask_manifest(f, 0, 0, 16) == 16); /* manifests can be read all the same */
    f->caller.session = 77;
    assert_int_equal(end_transfer(f, first), FWR_OK);
    f->caller.session = 100;
    accepted(f, 0, 1);
    fixture_free(f);
}

/* The more come in vain, the longer they are told to stay away; and back again. */
static void test_retry_adapts(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_accept_offer_reply accept;
    uint16_t crowded;

    (void)state;
    f->config.max_transfers = 1;
    donor_make(f, 1);
    settle(f);
    accepted(f, 0, 1);
    for (uint32_t i = 0; i < 10000; i++) {
        f->caller.session = 100 + i;
        f->now += i % 5 == 0;
        assert_int_equal(accept_offer(f, 0, 1, &accept), FWR_OK);
        f->caller.session = 77;
        if (i % 100 == 0)
            accepted(f, 0, 1); /* keeps its lease */
    }
    crowded = accept.retry;
    assert_true(crowded >= 20);
    for (int i = 0; i < 20; i++) {
        f->now += 1000;
        f->caller.session = 77;
        accepted(f, 0, 1);
        f->caller.session = 100;
        assert_int_equal(accept_offer(f, 0, 1, &accept), FWR_OK);
    }
    assert_true(accept.retry <= 20);
    fixture_free(f);
}

static void test_bytes_per_second(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t start, bytes = 0;
    uint32_t id, busy = 0;

    (void)state;
    f->config.bytes_per_second = 100000;
    donor_make(f, 1);
    settle(f);
    id = accepted(f, 0, 1);
    start = f->now;
    while (f->now < start + 4000) {
        int got = ask_read(f, FWR_CMD_READ_BLOCKS, id, (uint32_t)(bytes % 4096), 1024);

        if (got == FWR_E_BUSY) {
            busy++;
            f->now += 5;
        } else {
            assert_int_equal(got, 1024);
            bytes += 1024;
        }
    }
    assert_true(busy > 0);
    assert_in_range(bytes, 400000, 400000 + 25000 + 2048); /* the rate, and one burst */
    fixture_free(f);
}

static void test_random_fails(void **state)
{
    struct fixture *f = fixture_ready(64);
    struct fwr_accept_offer_reply reply;

    (void)state;
    f->random_fails = true;
    assert_int_equal(accept_offer(f, 0, 1, &reply), FWR_E_RANDOM);
    assert_int_equal(transfers(f), 0);
    fixture_free(f);
}

/* ---- reads ---- */

static void test_block_bounds(void **state)
{
    struct fixture *f = fixture_ready(64);
    const struct given_image *g = &f->images[0];
    const struct fwr_region *regions = g->manifest.map.regions;
    uint32_t id = accepted(f, 0, 1), last = 64 * 4096 - 1;

    (void)state;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 4095, 1000), 1);
    assert_int_equal(f->reply[1], g->bytes[4095]);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 4000, 1000), 96);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, regions[1].offset - 1, 8), 1);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, regions[1].offset, 8), FWR_E_RANGE);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, regions[2].offset, 8), FWR_E_RANGE);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, regions[3].offset - 1, 8), FWR_E_RANGE);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, regions[3].offset, 8), 8);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, last, UINT16_MAX), 1);
    assert_int_equal(f->reply[1], g->bytes[last]);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, last + 1, 1), FWR_E_RANGE);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, UINT32_MAX, UINT16_MAX), FWR_E_RANGE);
    f->caller.max_reply = FWR_LINK_MIN_REPLY;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, UINT16_MAX), FWR_LINK_MIN_REPLY - 1);
    fixture_free(f);
}

static void test_tree_bounds(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);
    uint32_t size = (uint32_t)fwr_tree_size(58, 32);

    (void)state;
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, 0, 32), 32);
    assert_memory_equal(f->reply + 1, f->images[0].manifest.root, 32);
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, size - 1, 32), 1);
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, size, 32), 0);
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, size + 1, 32), FWR_E_RANGE);
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, UINT32_MAX, UINT16_MAX), FWR_E_RANGE);
    fixture_free(f);
}

static void test_codec_refused(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);
    uint8_t data[16];
    struct fwr_read_request request = {.cookie = 1, .transfer = id, .length = 16};

    (void)state;
    assert_int_equal(fwr_read_request_encode(&request, data, sizeof(data)), 14);
    for (data[11] = 1; data[11] != 0; data[11]++)
        assert_int_equal(send(f, FWR_CMD_READ_BLOCKS, data, 14), FWR_E_MALFORMED);
    data[12] = 1;
    assert_int_equal(send(f, FWR_CMD_READ_BLOCKS, data, 14), FWR_E_MALFORMED);
    fixture_free(f);
}

/* The slices of a block cost one read of the source, in whatever order they come. */
static void test_slices_cost_one_read(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);
    unsigned before;

    (void)state;
    assert_true(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 18) > 0); /* the segment, too */
    before = f->images[0].reads;
    for (uint32_t slice = 0; slice < 4096 / 16; slice++)
        for (uint32_t lane = 0; lane < 4; lane++)
            assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, lane * 4096 + slice * 16, 16),
                             16);
    assert_int_equal(f->images[0].reads - before, 3);
    fixture_free(f);
}

/* More requests than the window allows are answered like any others. */
static void test_beyond_window(void **state)
{
    struct fixture *f = fixture_ready(64);
    const struct fwr_region *top = &f->images[0].manifest.map.regions[3];
    uint64_t random = 3;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint32_t id = accepted(f, 0, 1 + (uint32_t)i % 4);
        uint32_t offset = top->offset + seeded_below(&random, top->length);
        int got = ask_read(f, FWR_CMD_READ_BLOCKS, id, offset, 700);

        assert_true(got > 0);
        assert_memory_equal(f->reply + 1, f->images[0].bytes + offset, got);
    }
    fixture_free(f);
}

/* A road that carries 16 bytes there and 19 back does for everything. */
static void test_smallest_road(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_request_image_reply offer;
    size_t done = 0;

    (void)state;
    f->images[0].blocks = 20;
    f->images[0].block_size = 512;
    donor_make(f, 1);
    settle(f);
    f->caller.max_reply = FWR_LINK_MIN_REPLY;
    assert_int_equal(ask_key(f, 4, 0, &offer), FWR_OK);
    assert_int_equal(offer.result, FWR_IMAGE_OFFER);
    while (done < f->images[0].envelope_length) {
        int got = ask_manifest(f, 0, (uint32_t)done, UINT16_MAX);

        assert_in_range(got, 1, FWR_LINK_MIN_REPLY - 1);
        done += (size_t)got;
    }
    compare_whole_image(f, 0, accepted(f, 0, 1), UINT16_MAX);
    f->caller.max_reply--; /* less is no road at all */
    assert_int_equal(ask_manifest(f, 0, 0, 1), FWR_E_NO_SPACE);
    fixture_free(f);
}

/* ---- bytes that change under the donor ---- */

static void test_block_changes(void **state)
{
    struct fixture *f = fixture_ready(64);
    struct given_image *g = &f->images[0];
    struct fwr_request_image_reply offer;
    uint32_t id = accepted(f, 0, 1);

    (void)state;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    g->bytes[3 * 4096] ^= 1;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 3 * 4096, 16), FWR_E_NOT_HELD);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 3 * 4096, 16), FWR_E_NOT_HELD);
    assert_int_equal(image_state(f, 0), FWR_PENDING);
    assert_int_equal(ask_key(f, 4, 0, &offer), FWR_OK);
    assert_int_equal(offer.result, FWR_IMAGE_NONE);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_E_ROOT);
    assert_int_equal(bad_block(f), 3 * 4096);
    assert_non_null(strstr(f->log, "00003000h"));
    /* What was checked and kept can still be given, and so can intact segments. */
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 63 * 4096, 16), 16);
    assert_memory_equal(f->reply + 1, g->bytes + 63 * 4096, 16);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 3 * 4096, 16), FWR_E_NOT_HELD);
    /* Put right and verified again, the same transfer goes on. */
    g->bytes[3 * 4096] ^= 1;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    assert_int_equal(bad_block(f), UINT32_MAX);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 3 * 4096, 16), 16);
    assert_int_equal(f->reply[1], g->bytes[3 * 4096]);
    fixture_free(f);
}

/* A segment that has to be hashed again, and no longer comes out as it was. */
static void test_segment_changes(void **state)
{
    struct fixture *f = fixture_new();
    struct given_image *g = &f->images[0];
    uint32_t id, leaves, per_segment, level0;

    (void)state;
    g->blocks = 512;
    g->block_size = 512;
    f->config.segments = 2;
    donor_make(f, 1);
    settle(f);
    id = accepted(f, 0, 1);
    leaves = fwr_manifest_leaf_count(&g->manifest);
    per_segment = fwr_tree_segment_leaves(leaves);
    level0 = (uint32_t)fwr_tree_offset(leaves, 32, 0, 0);
    assert_true(fwr_tree_segment_count(leaves) > 8);
    for (uint32_t i = 0; i < 8; i++) /* push segment 0 out */
        assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, level0 + i * per_segment * 32, 32), 32);
    g->bytes[512] ^= 1;
    assert_int_equal(ask_read(f, FWR_CMD_READ_TREE, id, level0, 32), FWR_E_NOT_HELD);
    assert_int_equal(image_state(f, 0), FWR_PENDING);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 32), FWR_E_NOT_HELD);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_E_ROOT);
    assert_int_equal(bad_block(f), UINT32_MAX); /* no copy of that segment: not known */
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 9 * per_segment * 512, 32), 32);
    fixture_free(f);
}

/* Verified again while the segment is in memory: the block can be named. */
static void test_reverify_names_block(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->config.segments = 64;
    donor_make(f, 1);
    settle(f);
    f->images[0].bytes[40 * 4096 + 5] ^= 4;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_E_ROOT);
    assert_int_equal(bad_block(f), 40 * 4096);
    fixture_free(f);
}

/* The host takes its flash bus: not held, no lie, and back when the host is done. */
static void test_bus_taken(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);

    (void)state;
    f->images[0].fail = FWR_E_NOT_HELD;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_NOT_HELD);
    assert_int_equal(image_state(f, 0), FWR_E_NOT_HELD);
    f->images[0].fail = 0;
    f->now = fwr_donor_next_timeout(f->donor);
    fwr_donor_timeout(f->donor, f->now);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    fixture_free(f);
}

/* A slow source that then fails: the waiting reader is told, and does not wait for ever. */
static void test_slow_source_fails(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);
    int got;

    (void)state;
    f->images[0].pending = 2;
    f->images[0].fail = FWR_E_IO;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_BUSY);
    for (int i = 0; i < 10; i++) {
        fwr_donor_step(f->donor, f->now);
        got = ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16);
        if (got != FWR_E_BUSY)
            break;
    }
    assert_int_equal(got, FWR_E_NOT_HELD);
    assert_int_equal(image_state(f, 0), FWR_E_IO);
    fixture_free(f);
}

/* Another image behind the same source: what was accepted is gone, nothing of it is mixed. */
static void test_image_replaced(void **state)
{
    struct fixture *f = fixture_ready(64);
    struct given_image other = {.seed = 99, .blocks = 64, .sequence = 8};
    uint32_t id = accepted(f, 0, 1);
    struct fwr_request_image_reply offer;

    (void)state;
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), 16);
    assert_int_equal(given_image_make(&other), FWR_OK);
    memcpy(f->images[0].bytes, other.bytes, 64 * 4096);
    memcpy(f->images[0].envelope, other.envelope, other.envelope_length);
    f->images[0].envelope_length = other.envelope_length;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(transfers(f), 0);
    assert_int_equal(ask_key(f, 4, 0, &offer), FWR_OK);
    assert_int_equal(offer.sequence, 8);
    memcpy(f->images[0].id, other.id, FWR_ID_SIZE);
    f->images[0].manifest = other.manifest;
    compare_whole_image(f, 0, accepted(f, 0, 2), 1300);
    given_image_free(&other);
    fixture_free(f);
}

/* Trust is taken away: offers and transfers end with it, whatever the bytes. */
static void test_trust_changes(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint32_t id = accepted(f, 0, 1);

    (void)state;
    f->images[0].trust.revoked_count = 1;
    memcpy(f->images[0].trust.revoked[0], f->images[0].trust.keys[0].id, FWR_KEY_ID_SIZE);
    fwr_donor_reverify(f->donor, FWR_DONOR_IMAGES_MAX);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_E_REVOKED);
    assert_int_equal(ask_read(f, FWR_CMD_READ_BLOCKS, id, 0, 16), FWR_E_UNKNOWN_TRANSFER);
    f->images[0].trust.revoked_count = 0;
    fwr_donor_reverify(f->donor, 0);
    settle(f);
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

/* Asked to verify again in the middle of verifying: it begins anew and ends right. */
static void test_reverify_in_between(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 40; at++) {
        struct fixture *f = fixture_new();

        f->images[0].pending = (int)(at % 3);
        donor_make(f, 1);
        for (unsigned i = 0; i < at; i++)
            fwr_donor_step(f->donor, f->now);
        f->images[0].bytes[100] ^= 1; /* perhaps already hashed */
        fwr_donor_reverify(f->donor, 0);
        settle(f);
        assert_int_equal(image_state(f, 0), FWR_E_ROOT);
        fixture_free(f);
    }
}

/* ---- bad input ---- */

/* One request of each command, right in every byte. */
static int valid_request(struct fixture *f, uint8_t command, uint32_t id, uint8_t *data)
{
    struct fwr_request_image_request image = {.cookie = 1, .hardware_revision = 4};
    struct fwr_read_manifest_request manifest = {.cookie = 1, .length = 64};
    struct fwr_accept_offer_request accept = {.cookie = 1, .nonce = 1};
    struct fwr_read_request read = {.cookie = 1, .transfer = id, .offset = 40, .length = 64};
    struct fwr_end_transfer_request end = {.cookie = 1, .transfer = id};

    memcpy(manifest.tag, f->images[0].id, FWR_TAG_SIZE);
    memcpy(accept.tag, f->images[0].id, FWR_TAG_SIZE);
    switch (command) {
    case FWR_CMD_REQUEST_IMAGE:
        return fwr_request_image_request_encode(&image, data, 16);
    case FWR_CMD_READ_MANIFEST:
        return fwr_read_manifest_request_encode(&manifest, data, 16);
    case FWR_CMD_ACCEPT_OFFER:
        return fwr_accept_offer_request_encode(&accept, data, 16);
    case FWR_CMD_END_TRANSFER:
        return fwr_end_transfer_request_encode(&end, data, 16);
    default:
        return fwr_read_request_encode(&read, data, 16);
    }
}

static void assert_sane(int result)
{
    switch (result) {
    case FWR_E_MALFORMED:
    case FWR_E_RANGE:
    case FWR_E_NOT_FOUND:
    case FWR_E_UNKNOWN_TRANSFER:
    case FWR_E_BUSY:
        return;
    default:
        assert_in_range(result, 1, REPLY_MAX);
    }
}

/* Every byte of every request through all its values: a right answer each time, and the
 * transfer of an honest peer goes on as if nothing had been. */
static void test_mutations(void **state)
{
    struct fixture *f = fixture_ready(64);
    struct fwr_caller honest = f->caller;
    uint32_t id = accepted(f, 0, 1), other;

    (void)state;
    f->caller.session = 666;
    other = accepted(f, 0, 1);
    for (uint8_t command = FWR_CMD_REQUEST_IMAGE; command <= FWR_CMD_END_TRANSFER; command++) {
        uint8_t data[16];
        int length = valid_request(f, command, other, data);

        assert_true(length > 0);
        for (int at = 0; at < length; at++) {
            uint8_t right = data[at];

            for (int value = 0; value < 256; value++) {
                data[at] = (uint8_t)value;
                f->now += 1;
                assert_sane(send(f, command, data, length));
            }
            data[at] = right;
        }
        for (int cut = 0; cut < 16; cut++) {
            if (cut != length)
                assert_int_equal(fwr_donor_request(f->donor, f->now, &f->caller, command, data,
                                                   (size_t)cut, f->reply, REPLY_MAX),
                                 FWR_E_LENGTH);
        }
        f->caller = honest;
        assert_int_equal(accepted(f, 0, 1), id);
        compare_whole_image(f, 0, id, 1024);
        f->caller.session = 666;
        fwr_donor_session_closed(f->donor, f->caller.link, 666);
        other = accepted(f, 0, 1);
    }
    assert_int_equal(image_state(f, 0), FWR_OK);
    fixture_free(f);
}

static void test_noise(void **state)
{
    struct fixture *f = fixture_ready(64);
    uint64_t random = 11;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t data[32];
        uint32_t length = seeded_below(&random, sizeof(data));
        int result;

        seeded_fill(&random, data, sizeof(data));
        result = fwr_donor_request(f->donor, f->now, &f->caller, (uint8_t)seeded_below(&random, 20),
                                   data, length, f->reply, REPLY_MAX);
        if (result < 0)
            assert_true(result == FWR_E_LENGTH || result == FWR_E_UNKNOWN_COMMAND ||
                        result == FWR_E_MALFORMED || result == FWR_E_NOT_FOUND ||
                        result == FWR_E_UNKNOWN_TRANSFER);
    }
    assert_int_equal(transfers(f), 0);
    fixture_free(f);
}

/* ---- setting up ---- */

static void test_init(void **state)
{
    struct fixture *f = fixture_new();
    struct fwr_donor *donor = NULL;
    struct fwr_donor_config config;
    size_t size;
    void *storage;

    (void)state;
    f->config.image_count = 1;
    f->sources[0] = &f->images[0].source;
    size = fwr_donor_storage(&f->config);
    assert_true(size > 0);
    storage = malloc(size);
    assert_int_equal(fwr_donor_init(&donor, storage, size - 1, &f->config, 0), FWR_E_NO_SPACE);
    assert_int_equal(fwr_donor_init(&donor, NULL, size, &f->config, 0), FWR_E_NO_SPACE);
    assert_null(donor);
    assert_int_equal(fwr_donor_storage(NULL), 0);
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        config = f->config;                                                                        \
        config.member = value;                                                                     \
        assert_int_equal(fwr_donor_storage(&config), 0);                                           \
        assert_int_equal(fwr_donor_init(&donor, storage, size, &config, 0), FWR_E_ARGUMENT);       \
    } while (0)
    REFUSED(size, sizeof(config) - 1);
    REFUSED(platform, NULL);
    REFUSED(max_leaves, 0);
    REFUSED(max_leaves, FWR_TREE_LEAVES_MAX + 1);
    REFUSED(image_count, FWR_DONOR_IMAGES_MAX + 1);
    REFUSED(images, NULL);
    REFUSED(max_transfers, FWR_DONOR_TRANSFERS_MAX + 1);
    REFUSED(max_envelope, FWR_ENVELOPE_MAX + 1);
    REFUSED(max_block_size, 100);
    REFUSED(max_block_size, 131072);
#undef REFUSED
    config = f->config; /* a donor of nothing is a donor all the same */
    config.image_count = 0;
    assert_int_equal(fwr_donor_init(&donor, storage, size, &config, 0), FWR_OK);
    assert_int_equal(fwr_donor_step(donor, 0), FWR_OK);
    fwr_donor_end(donor);
    free(storage);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_image),
        cmocka_unit_test(test_slow_source),
        cmocka_unit_test(test_slow_source_shared),
        cmocka_unit_test(test_not_offered_before_verified),
        cmocka_unit_test(test_unprovisioned),
        cmocka_unit_test(test_untrusted),
        cmocka_unit_test(test_bad_envelope),
        cmocka_unit_test(test_corrupt_image),
        cmocka_unit_test(test_preserved_bytes_do_not_count),
        cmocka_unit_test(test_image_too_large),
        cmocka_unit_test(test_source_comes_back),
        cmocka_unit_test(test_offers_in_order),
        cmocka_unit_test(test_same_image_twice),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_manifest_rate),
        cmocka_unit_test(test_accept_again),
        cmocka_unit_test(test_foreign_transfer),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_session_closed),
        cmocka_unit_test(test_lease_runs_out),
        cmocka_unit_test(test_lease_renewal),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_retry_adapts),
        cmocka_unit_test(test_bytes_per_second),
        cmocka_unit_test(test_random_fails),
        cmocka_unit_test(test_block_bounds),
        cmocka_unit_test(test_tree_bounds),
        cmocka_unit_test(test_codec_refused),
        cmocka_unit_test(test_slices_cost_one_read),
        cmocka_unit_test(test_beyond_window),
        cmocka_unit_test(test_smallest_road),
        cmocka_unit_test(test_block_changes),
        cmocka_unit_test(test_segment_changes),
        cmocka_unit_test(test_reverify_names_block),
        cmocka_unit_test(test_bus_taken),
        cmocka_unit_test(test_slow_source_fails),
        cmocka_unit_test(test_image_replaced),
        cmocka_unit_test(test_trust_changes),
        cmocka_unit_test(test_reverify_in_between),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_init),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
