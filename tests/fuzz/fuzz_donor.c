/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a donor behind the dispatcher, in a world that the input directs: messages whole
 * or made up, steps, time, sources that wait, fail and change their bytes, closed sessions.
 * Whatever happens, bytes that leave it are those that were signed, replies fit the road, and
 * the admission limit holds; when all is put right again, the images are offered again.
 */
#include <fwrecover/donor.h>
#include <fwrecover/error.h>
#include <fwrecover/oem.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/given_image.h"

enum { IMAGES = 2, BLOCKS = 40, BLOCK = 512, TRANSFERS = 3, IANA = 32473, STEPS_MAX = 5000 };

struct world {
    struct given_image images[IMAGES];
    uint8_t signed_bytes[IMAGES][BLOCKS * BLOCK];
    uint8_t trees[IMAGES][4096];
    size_t tree_length[IMAGES];
    uint8_t envelopes[IMAGES][GIVEN_ENVELOPE_MAX];
    struct fwr_donor *donor;
    uint64_t now, random;
    uint32_t transfer; /* the last one granted */
    uint8_t image;     /* that it is of */
};

static struct world world;

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    struct world *w = ctx;

    seeded_fill(&w->random, buffer, length);
    return FWR_OK;
}

static void images_make(struct world *w)
{
    uint8_t buffer[BLOCK], root[FWR_HASH_MAX];

    for (uint8_t i = 0; i < IMAGES; i++) {
        struct given_image *g = &w->images[i];
        struct fwr_tree_input input = {given_tree_read, g, buffer, sizeof(buffer)};

        *g = (struct given_image){
            .blocks = BLOCKS, .block_size = BLOCK, .seed = i, .sequence = 5u + i};
        g->hash = i == 0 ? FWR_HASH_SHA256 : FWR_HASH_SHA384;
        require(given_image_make(g) == FWR_OK);
        memcpy(w->signed_bytes[i], g->bytes, BLOCKS * BLOCK);
        memcpy(w->envelopes[i], g->envelope, sizeof(g->envelope));
        w->tree_length[i] = (size_t)fwr_tree_size(fwr_manifest_leaf_count(&g->manifest),
                                                  (uint8_t)fwr_hash_size(g->hash));
        require(fwr_tree_of_image(&g->manifest, &input, w->trees[i], sizeof(w->trees[i]), root) ==
                FWR_OK);
    }
}

static void images_repair(struct world *w)
{
    for (uint8_t i = 0; i < IMAGES; i++) {
        struct given_image *g = &w->images[i];

        memcpy(g->bytes, w->signed_bytes[i], BLOCKS * BLOCK);
        memcpy(g->envelope, w->envelopes[i], sizeof(g->envelope));
        g->pending = g->waited = 0;
        g->fail = g->fail_envelope = 0;
    }
}

/* What was answered to a read of the transfer or manifest we know. */
static void check_data(const struct world *w, uint8_t command, const uint8_t *body,
                       const uint8_t *reply, size_t length)
{
    struct fwr_read_manifest_request manifest;
    struct fwr_read_request read;

    if (command == FWR_CMD_READ_MANIFEST) {
        require(fwr_read_manifest_request_decode(body, 15, &manifest) == FWR_OK);
        for (uint8_t i = 0; i < IMAGES; i++) {
            if (memcmp(manifest.tag, w->images[i].id, FWR_TAG_SIZE) == 0)
                require(manifest.offset + length <= w->images[i].envelope_length &&
                        memcmp(reply, w->envelopes[i] + manifest.offset, length) == 0);
        }
        return;
    }
    require(fwr_read_request_decode(body, 14, &read) == FWR_OK);
    if (read.transfer != w->transfer)
        return; /* granted earlier; which image it is of was not kept */
    require(length <= read.length);
    if (command == FWR_CMD_READ_TREE)
        require(read.offset + length <= w->tree_length[w->image] &&
                memcmp(reply, w->trees[w->image] + read.offset, length) == 0);
    else
        require(length > 0 && read.offset + length <= BLOCKS * BLOCK &&
                memcmp(reply, w->signed_bytes[w->image] + read.offset, length) == 0);
}

static void message(struct world *w, uint8_t command, const uint8_t *body, size_t length,
                    uint16_t road)
{
    const struct fwr_oem oem = {.size = sizeof(oem),
                                .iana = IANA,
                                .command_base = 0xc0,
                                .donor = w->donor,
                                .max_request = 200,
                                .window = 15};
    const struct fwr_caller caller = {.link = 1,
                                      .session = command >> 7,
                                      .privilege = FWR_PRIVILEGE_USER,
                                      .security = FWR_SECURITY_SUITE,
                                      .max_reply = road};
    uint8_t data[64] = {IANA & 0xff, IANA >> 8 & 0xff, 0}, reply[700];
    struct fwr_accept_offer_reply accepted;
    size_t got;

    require(length <= sizeof(data) - FWR_IANA_SIZE);
    command &= 0x1f;
    memcpy(data + FWR_IANA_SIZE, body, length);
    got = fwr_oem_handle(&oem, w->now, &caller, (uint8_t)(0xc0 + command), data,
                         length + FWR_IANA_SIZE, reply, sizeof(reply));
    require(got >= FWR_OEM_HEADER && got <= (size_t)FWR_OEM_HEADER + road);
    require(length == 0 || reply[FWR_OEM_HEADER] == body[0]);
    if (reply[0] != 0)
        return;
    if (command == FWR_CMD_READ_MANIFEST || command == FWR_CMD_READ_TREE ||
        command == FWR_CMD_READ_BLOCKS)
        check_data(w, command, body, reply + FWR_OEM_HEADER + 1, got - FWR_OEM_HEADER - 1);
    if (command != FWR_CMD_ACCEPT_OFFER || caller.session != 0)
        return;
    require(fwr_accept_offer_reply_decode(reply + FWR_OEM_HEADER, got - FWR_OEM_HEADER,
                                          &accepted) == FWR_OK);
    if (accepted.result == FWR_ACCEPT_OK) {
        w->transfer = accepted.transfer;
        w->image = memcmp(body + 1, w->images[0].id, FWR_TAG_SIZE) == 0 ? 0 : 1;
        require(memcmp(body + 1, w->images[w->image].id, FWR_TAG_SIZE) == 0);
    }
}

/* A read that gets somewhere: of the transfer we have, at a place the input chooses. */
static void likely_read(struct world *w, struct fwr_reader *input)
{
    struct fwr_read_request request = {.cookie = 1, .transfer = w->transfer};
    uint8_t command = fwr_reader_u8(input) % 2 == 0 ? FWR_CMD_READ_TREE : FWR_CMD_READ_BLOCKS;
    uint8_t body[16];

    request.offset = fwr_reader_u16(input) % (BLOCKS * BLOCK + 8);
    request.length = (uint16_t)(fwr_reader_u16(input) % 1500 + 1);
    message(w, command, body, (size_t)fwr_read_request_encode(&request, body, sizeof(body)), 600);
}

static void likely_accept(struct world *w, struct fwr_reader *input)
{
    struct fwr_accept_offer_request request = {.cookie = 2};
    uint8_t choice = fwr_reader_u8(input), body[16];

    request.nonce = choice / 2 % 4;
    memcpy(request.tag, w->images[choice % IMAGES].id, FWR_TAG_SIZE);
    message(w, FWR_CMD_ACCEPT_OFFER, body,
            (size_t)fwr_accept_offer_request_encode(&request, body, sizeof(body)), 19);
}

static void any_message(struct world *w, struct fwr_reader *input)
{
    uint8_t command = fwr_reader_u8(input), body[40] = {0};
    size_t length = fwr_reader_u8(input) % 24;
    uint16_t road = (uint16_t)(19 + fwr_reader_u8(input) * 2);

    if (length > fwr_reader_left(input))
        length = fwr_reader_left(input);
    fwr_reader_copy(input, body, length);
    message(w, command, body, length, road);
}

static void event(struct world *w, struct fwr_reader *input)
{
    uint8_t what = fwr_reader_u8(input);
    struct given_image *g = &w->images[what >> 7];

    switch (what % 13) {
    case 0:
    case 1:
        likely_read(w, input);
        break;
    case 2:
        likely_accept(w, input);
        break;
    case 3:
        any_message(w, input);
        break;
    case 4:
    case 5:
        fwr_donor_step(w->donor, w->now);
        break;
    case 6:
        w->now += (uint64_t)fwr_reader_u8(input) * 100;
        fwr_donor_timeout(w->donor, w->now);
        break;
    case 7:
        g->bytes[fwr_reader_u16(input) % (BLOCKS * BLOCK)] ^= 1;
        break;
    case 8:
        g->pending = fwr_reader_u8(input) % 3;
        break;
    case 9:
        g->fail = fwr_reader_u8(input) % 2 == 0 ? FWR_E_NOT_HELD : FWR_E_IO;
        break;
    case 10:
        fwr_donor_reverify(w->donor, fwr_reader_u8(input) % (IMAGES + 1));
        break;
    case 11:
        fwr_donor_session_closed(w->donor, 1, fwr_reader_u8(input) % 2);
        break;
    default:
        images_repair(w);
        break;
    }
}

static void settle(struct world *w)
{
    unsigned steps = 0;

    while (fwr_donor_step(w->donor, w->now) == FWR_PENDING)
        require(++steps < STEPS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fwr_platform platform = {
        .size = sizeof(platform), .ctx = &world, .random = random_bytes};
    static uint64_t storage[32768];
    const struct fwr_source *sources[IMAGES] = {&world.images[0].source, &world.images[1].source};
    const struct fwr_donor_config config = {.size = sizeof(config),
                                            .platform = &platform,
                                            .trust = &world.images[0].trust,
                                            .image_count = IMAGES,
                                            .images = sources,
                                            .max_leaves = BLOCKS,
                                            .max_block_size = BLOCK,
                                            .max_transfers = TRANSFERS,
                                            .segments = 2};
    struct fwr_donor_status status;
    struct fwr_reader input;

    if (world.images[0].bytes == NULL)
        images_make(&world);
    images_repair(&world);
    world.images[0].outstanding = world.images[1].outstanding = false;
    world.now = 1000;
    world.random = 1;
    world.transfer = 0;
    require(fwr_donor_init(&world.donor, storage, sizeof(storage), &config, world.now) == FWR_OK);
    fwr_reader_init(&input, data, size);
    if (size > 0 && data[0] % 2 == 0)
        settle(&world); /* most inputs begin with a donor at work */
    while (fwr_reader_left(&input) > 0) {
        event(&world, &input);
        fwr_donor_status(world.donor, &status);
        require(status.transfers <= TRANSFERS);
    }
    images_repair(&world);
    fwr_donor_reverify(world.donor, FWR_DONOR_IMAGES_MAX);
    settle(&world);
    fwr_donor_status(world.donor, &status);
    for (uint8_t i = 0; i < IMAGES; i++) {
        require(status.images[i].state == FWR_OK);
        require(world.images[i].broken == 0);
    }
    fwr_donor_end(world.donor);
    return 0;
}
