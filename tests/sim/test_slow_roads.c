/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done for slow roads: blocks that come as coded streams, and blocks that a donor sends
 * once for everybody. That all of it works together on a bus is test_icmb's business; here is what
 * may go wrong with each.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/broadcast.h"
#include "engine/engine.h"
#include "tests/sim/world.h"

#define BLOCK 4096u
#define LINK  3

static struct world w;
static struct given_image image;

/* An image in which every second block is text, as programs are; the others do not shrink. */
static int make(void **state)
{
    uint64_t random = 99;

    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 64;
    image.bytes = malloc(64 * BLOCK);
    seeded_fill(&random, image.bytes, 64 * BLOCK);
    for (uint32_t b = 0; b < 64; b += 2)
        for (uint32_t i = 0; i < BLOCK; i++)
            image.bytes[b * BLOCK + i] =
                (uint8_t)("what a BIOS says, again and again: "[i % 35] + (i % 97 == 0) * (int)b);
    return given_image_make(&image);
}

static int unmake(void **state)
{
    (void)state;
    given_image_free(&image);
    return 0;
}

static void slow_peer(uint8_t peer, uint16_t broadcast)
{
    w.peers[peer].limits = (struct fwr_link_limits){.max_request = 22,
                                                    .max_reply = 65,
                                                    .window = 3,
                                                    .medium = FWR_MEDIUM_ICMB,
                                                    .round_trip_ms = 60,
                                                    .broadcast = broadcast};
    w.donors[peer].far_ms = 20;
    w.donors[peer].config.codecs = 1 << FWR_CODEC_LZ4;
}

static void begin(uint64_t seed)
{
    world_init(&w, seed, &image, 0);
    world_add_donor(&w, &image);
    slow_peer(0, 0);
    w.config.rounds = 50;
}

/* Blocks `first` to `first + count` - 1 are wrong. */
static void damage(uint32_t first, uint32_t count)
{
    world_damage(&w, first * BLOCK, count * BLOCK);
}

static void repaired(uint32_t blocks)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(world_status(&w).blocks_fetched, blocks);
}

static void test_coded_blocks_cost_less(void **state)
{
    uint32_t coded, plain;

    (void)state;
    begin(31);
    damage(10, 8);
    repaired(8);
    coded = world_status(&w).bytes_received;
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    world_free(&w);
    begin(31);
    w.donors[0].config.codecs = 0;
    damage(10, 8);
    repaired(8);
    plain = world_status(&w).bytes_received;
    printf("# 8 blocks, half of them text: %u bytes coded, %u plain\n", (unsigned)coded,
           (unsigned)plain);
    assert_true(plain >= 8 * BLOCK);
    assert_true(FWR_LZ4 ? coded < 5 * BLOCK : coded == plain);
    world_free(&w);
}

/* On a fast road nothing is coded: it would only cost time. */
static void test_fast_roads_are_plain(void **state)
{
    (void)state;
    begin(32);
    w.peers[0].limits.medium = FWR_MEDIUM_LAN;
    damage(10, 4);
    repaired(4);
    assert_true(world_status(&w).bytes_received >= 4 * BLOCK);
    world_free(&w);
}

/* Coded or not, lost, doubled, overtaken or garbled: it comes out right. */
static void test_coded_on_a_bad_road(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        begin(40 + seed);
        w.loss = 200;
        w.duplication = 100;
        w.jitter_ms = 30;
        w.corruption = seed % 2 ? 20 : 0;
        damage(6, 12);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        world_free(&w);
    }
}

/* What a hostile donor makes of a stream: its length, its bytes, its end. */
static uint32_t lies;
static uint32_t lie_kind;

static size_t lie_about_stream(struct world *world, const struct world_message *request,
                               uint8_t *reply, size_t length)
{
    uint8_t *data = reply + FWR_OEM_HEADER + 1;
    bool first = request->bytes[FWR_IANA_SIZE + 12] == 0 && request->bytes[FWR_IANA_SIZE + 13] == 0;

    if (request->peer != 0 || request->command != world->oem.command_base + FWR_CMD_READ_BLOCKS ||
        request->bytes[FWR_IANA_SIZE + 11] != FWR_CODEC_LZ4 || length < FWR_OEM_HEADER + 4)
        return length;
    lies++;
    if (lie_kind == 0 && first)
        data[0] = data[1] = 0; /* of no length */
    else if (lie_kind == 1 && first)
        data[1] = 0xff; /* longer than the block */
    else if (lie_kind == 2 && first)
        data[0] = (uint8_t)(data[0] - 3); /* too short */
    else if (lie_kind == 3 && !first)
        data[0] ^= 0x55;
    else if (lie_kind == 4 && first)
        data[0] = 0, data[1] = (uint8_t)(BLOCK >> 8); /* "the block itself" */
    else if (lie_kind == 5 && first) {
        data[0] = 0, data[1] = (uint8_t)(BLOCK >> 8);
        length = FWR_OEM_HEADER + 1 + 2; /* and not a byte of it */
    } else
        lies--;
    return length;
}

static void test_lies_about_streams(void **state)
{
    (void)state;
    if (!FWR_LZ4)
        return;
    for (lie_kind = 0; lie_kind < 6; lie_kind++) {
        begin(50 + lie_kind);
        world_add_donor(&w, &image);
        slow_peer(1, 0);
        w.tamper = lie_about_stream;
        lies = 0;
        damage(8, 5);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        assert_true(lies > 0);
        printf("# kind %u: %u lies\n", (unsigned)lie_kind, (unsigned)lies);
        world_free(&w);
    }
}

/* A stream begun by one donor goes on with another's; where that one cannot, it begins again. */
static void test_streams_go_over(void **state)
{
    (void)state;
    if (!FWR_LZ4)
        return;
    for (unsigned coded = 0; coded < 2; coded++) {
        begin(60 + coded);
        world_add_donor(&w, &image);
        slow_peer(1, 0);
        if (!coded)
            w.donors[1].config.codecs = 0;
        w.donors[0].die_after = 60;
        w.config.lanes = 1;
        damage(11, 1); /* does not shrink */
        damage(12, 1);
        repaired(2);
        assert_true(world_status(&w).blocks_refetched <= (coded ? 0 : 1));
        world_free(&w);
    }
}

/* ---- the donor's side of broadcasts ---- */

static uint8_t reply[80];

static int ask(uint8_t command, uint32_t session, uint16_t broadcast, const void *data,
               size_t length)
{
    const struct fwr_caller caller = {.link = LINK,
                                      .medium = FWR_MEDIUM_ICMB,
                                      .privilege = FWR_PRIVILEGE_USER,
                                      .session = session,
                                      .max_reply = sizeof(reply),
                                      .broadcast = broadcast};

    return fwr_donor_request(w.donors[0].engine, w.now, &caller, command, data, length, reply,
                             sizeof(reply));
}

static uint32_t accept(uint32_t session, uint16_t broadcast, uint8_t codecs)
{
    struct fwr_accept_offer_request request = {.cookie = 1, .nonce = session};
    struct fwr_accept_offer_reply answer;
    uint8_t data[16];

    memcpy(request.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_accept_offer_request_encode(&request, data, sizeof(data));
    length = ask(FWR_CMD_ACCEPT_OFFER, session, broadcast, data, (size_t)length);
    assert_true(length > 0);
    assert_int_equal(fwr_accept_offer_reply_decode(reply, (size_t)length, &answer), FWR_OK);
    assert_int_equal(answer.result, FWR_ACCEPT_OK);
    assert_int_equal(answer.codecs, codecs);
    return answer.transfer;
}

static int read_blocks(uint32_t session, uint16_t broadcast, uint32_t transfer, uint32_t offset,
                       uint16_t length, uint8_t codec, uint16_t skip)
{
    struct fwr_read_request request = {.cookie = 9,
                                       .transfer = transfer,
                                       .offset = offset,
                                       .length = length,
                                       .codec = codec,
                                       .skip = skip};
    uint8_t data[16];
    int size = fwr_read_request_encode(&request, data, sizeof(data)), got;

    while ((got = ask(FWR_CMD_READ_BLOCKS, session, broadcast, data, (size_t)size)) == FWR_E_BUSY)
        fwr_donor_step(w.donors[0].engine, w.now);
    return got;
}

static int next_broadcast(uint16_t link, uint8_t *data, size_t capacity)
{
    int length;

    while ((length = fwr_donor_next_broadcast(w.donors[0].engine, w.now, link, data, capacity)) ==
               0 &&
           fwr_donor_step(w.donors[0].engine, w.now) == FWR_PENDING)
        ;
    return length;
}

static void test_donor_sends_once_for_several(void **state)
{
    uint8_t codecs = FWR_LZ4 ? 0x83 : 0x81, data[64], seen[2 * BLOCK] = {0};
    struct fwr_donor_status status;
    struct fwr_block_data heard;

    (void)state;
    begin(70);
    assert_int_equal(world_boot(&w), FWR_OK);
    uint32_t one = accept(11, 48, codecs);
    /* Alone it is answered like anybody else. */
    assert_int_equal(read_blocks(11, 48, one, 0, 48, FWR_CODEC_BROADCAST, 0), 49);
    uint32_t two = accept(12, 48, codecs);
    uint32_t lan = accept(13, 0, codecs & 0x7f);
    assert_int_equal(read_blocks(11, 48, one, 0, BLOCK, FWR_CODEC_BROADCAST, 0),
                     FWR_E_BY_BROADCAST);
    assert_int_equal(read_blocks(12, 48, two, 0, 2 * BLOCK, FWR_CODEC_BROADCAST, 0),
                     FWR_E_BY_BROADCAST);
    /* Not without the flag, and not on a road without broadcasts. */
    assert_int_equal(read_blocks(12, 48, two, 0, 32, FWR_CODEC_NONE, 0), 33);
    assert_int_equal(read_blocks(13, 0, lan, 0, 32, FWR_CODEC_BROADCAST, 0), FWR_E_MALFORMED);
    /* Those who come are waited for; then everything comes once, in order. */
    assert_int_equal(next_broadcast(LINK, data, sizeof(data)), 0);
    w.now += 1000;
    /* A link that has no room does not keep us busy. */
    assert_true(fwr_donor_next_timeout(w.donors[0].engine) <= w.now);
    fwr_donor_timeout(w.donors[0].engine, w.now);
    assert_true(fwr_donor_next_timeout(w.donors[0].engine) > w.now);
    assert_int_equal(next_broadcast(LINK + 1, data, sizeof(data)), 0);
    assert_int_equal(next_broadcast(LINK, data, FWR_BLOCK_DATA_HEADER), 0);
    uint32_t expected = 0;
    for (int length; (length = next_broadcast(LINK, data, sizeof(data))) > 0;) {
        assert_int_equal(fwr_block_data_decode(data, (size_t)length, &heard), FWR_OK);
        assert_int_equal(heard.address, expected);
        assert_memory_equal(&heard.tag, image.id, sizeof(heard.tag));
        memcpy(seen + heard.address, heard.data, heard.length);
        expected += (uint32_t)heard.length;
    }
    assert_int_equal(expected, 2 * BLOCK);
    assert_memory_equal(seen, image.bytes, sizeof(seen));
    fwr_donor_status(w.donors[0].engine, &status);
    assert_int_equal(status.bytes_broadcast, 2 * BLOCK);
    world_free(&w);
}

static void test_donor_refuses_what_is_wrong(void **state)
{
    uint8_t data[64];

    (void)state;
    begin(71);
    assert_int_equal(world_boot(&w), FWR_OK);
    uint32_t one = accept(11, 48, FWR_LZ4 ? 0x83 : 0x81);
    accept(12, 48, FWR_LZ4 ? 0x83 : 0x81);
    /* Outside of what may be read. */
    assert_int_equal(read_blocks(11, 48, one, 33 * BLOCK, 16, FWR_CODEC_BROADCAST, 0), FWR_E_RANGE);
    assert_int_equal(read_blocks(11, 48, one, 0, 16, FWR_CODEC_NONE, 1), FWR_E_MALFORMED);
    if (FWR_LZ4) {
        assert_int_equal(read_blocks(11, 48, one, 16, 16, FWR_CODEC_LZ4, 0), FWR_E_RANGE);
        assert_int_equal(read_blocks(11, 48, one, 0, 16, FWR_CODEC_LZ4, BLOCK + 2), FWR_E_RANGE);
        int length = read_blocks(11, 48, one, BLOCK, 16, FWR_CODEC_LZ4, 0);
        assert_int_equal(length, 17); /* does not shrink: the block itself follows its length */
        assert_int_equal(reply[1] | reply[2] << 8, BLOCK);
        assert_memory_equal(reply + 3, image.bytes + BLOCK, 14);
        assert_int_equal(read_blocks(11, 48, one, BLOCK, 70, FWR_CODEC_LZ4, BLOCK), 3);
    } else {
        assert_int_equal(read_blocks(11, 48, one, 0, 16, FWR_CODEC_LZ4, 0), FWR_E_MALFORMED);
    }
    /* What is queued when the image changes is not sent. */
    assert_int_equal(read_blocks(11, 48, one, 0, BLOCK, FWR_CODEC_BROADCAST, 0),
                     FWR_E_BY_BROADCAST);
    w.now += 1000;
    assert_true(next_broadcast(LINK, data, sizeof(data)) > 0);
    w.donors[0].image.bytes[100] ^= 1;
    w.donors[0].image.bytes[BLOCK * 2] ^= 1;
    fwr_donor_reverify(w.donors[0].engine, 0);
    for (unsigned i = 0; i < 100000 && fwr_donor_step(w.donors[0].engine, w.now) == FWR_PENDING;)
        i++;
    for (int length; (length = next_broadcast(LINK, data, sizeof(data))) > 0;)
        assert_memory_equal(data + FWR_BLOCK_DATA_HEADER,
                            image.bytes + (data[4] | data[5] << 8 | data[6] << 16),
                            (size_t)length - FWR_BLOCK_DATA_HEADER);
    world_free(&w);
}

/* ---- the recipient's side ---- */

/* Answers every request that allows it by broadcast, as a donor would: a piece of `piece` bytes
 * every 40 ms; so many in a hundred pieces are lost, spoilt, or sent twice. */
static struct {
    struct fwr_broadcasts queue;
    uint32_t piece, lost, spoilt, doubled;
    uint64_t next;
    uint32_t told, sent;
} air;

static size_t by_broadcast(struct world *world, const struct world_message *request, uint8_t *bytes,
                           size_t length)
{
    struct fwr_read_request read;

    if (request->command != world->oem.command_base + FWR_CMD_READ_BLOCKS ||
        fwr_read_request_decode(request->bytes + FWR_IANA_SIZE, request->length - FWR_IANA_SIZE,
                                &read) != FWR_OK ||
        !(read.codec & FWR_CODEC_BROADCAST))
        return length;
    struct fwr_broadcast range = {.at = read.offset, .end = (uint64_t)read.offset + read.length};
    if (air.queue.count == 0)
        air.next = world->now + 40;
    assert_int_equal(fwr_broadcasts_add(&air.queue, world->now, &range), FWR_OK);
    air.told++;
    bytes[0] = 0x82;
    return FWR_OEM_HEADER + 1;
}

static void send_piece(void)
{
    uint8_t data[FWR_BLOCK_DATA_HEADER + 256];
    struct fwr_broadcast *range = fwr_broadcasts_first(&air.queue, 0);
    struct fwr_block_data message = {.address = (uint32_t)range->at,
                                     .data = image.bytes + range->at};

    memcpy(&message.tag, image.id, sizeof(message.tag));
    message.length = range->end - range->at < air.piece ? range->end - range->at : air.piece;
    int length = fwr_block_data_encode(&message, data, sizeof(data));
    assert_true(length > 0);
    fwr_broadcasts_sent(&air.queue, range, message.length);
    air.next = w.now + 40;
    air.sent++;
    if (world_draw(&w, 100) < air.spoilt)
        data[length - 1] ^= 4;
    for (unsigned i = 0; i < 1 + (world_draw(&w, 100) < air.doubled); i++)
        if (world_draw(&w, 100) >= air.lost)
            fwr_recipient_heard(w.recipient, w.now, 0, data, (size_t)length);
}

static bool messages_wait(void)
{
    for (size_t i = 0; i < w.message_top; i++)
        if (w.messages[i].used && w.messages[i].at <= air.next)
            return true;
    return false;
}

static void listen(uint64_t seed, uint32_t blocks)
{
    begin(seed);
    slow_peer(0, 100);
    w.donors[0].config.codecs = 0;
    w.tamper = by_broadcast;
    damage(4, blocks);
    assert_int_equal(world_boot(&w), FWR_OK);
    memset(&air.queue, 0, sizeof(air.queue));
    air.told = air.sent = 0;
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    /* The donor's Accept does not offer broadcasts in this world: the engine is told. */
    while (world_status(&w).state != FWR_STATE_DONE && w.now < 4000000) {
        w.recipient->peers[0].codecs |= FWR_CODEC_BROADCAST;
        if (air.queue.count > 0 && air.next <= w.now)
            send_piece();
        if (air.queue.count > 0 && fwr_recipient_step(w.recipient, w.now) != FWR_PENDING &&
            fwr_recipient_next_timeout(w.recipient) > air.next && w.now < air.next &&
            !messages_wait())
            w.now = air.next; /* the next thing that happens */
        else
            world_turn(&w);
        assert_int_not_equal(world_status(&w).state, FWR_STATE_FAILED);
    }
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    printf("# %u blocks: %u times told to listen, %u pieces, %u blocks fetched twice\n",
           (unsigned)blocks, (unsigned)air.told, (unsigned)air.sent,
           (unsigned)world_status(&w).blocks_refetched);
}

static void test_listens(void **state)
{
    (void)state;
    memset(&air, 0, sizeof(air));
    air.piece = 100;
    listen(80, 1);
    assert_int_equal(air.told, 1);
    assert_int_equal(air.sent, 41);
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    world_free(&w);
}

static void test_asks_again_for_what_passed_by(void **state)
{
    (void)state;
    memset(&air, 0, sizeof(air));
    air.piece = 100;
    air.lost = 20;
    air.doubled = 20;
    listen(81, 2);
    assert_true(air.told > 2);
    printf("# %u ms\n", (unsigned)world_status(&w).elapsed_ms);
    assert_true(world_status(&w).elapsed_ms < 20000); /* silence is waited for at an end only */
    assert_int_equal(world_status(&w).blocks_refetched, 0);
    world_free(&w);
}

/* Spoilt pieces: the block is fetched again from the donor itself, who is not blamed. */
static void test_a_spoilt_broadcast_blames_nobody(void **state)
{
    (void)state;
    memset(&air, 0, sizeof(air));
    air.piece = 100;
    air.spoilt = 10;
    listen(82, 2);
    assert_true(world_status(&w).blocks_refetched > 0);
    assert_int_equal(w.recipient->peers[0].penalty, 0);
    world_free(&w);
}

/* What is no Block Data, is of another image, or comes when nothing is wanted changes nothing. */
static void test_rubbish_in_the_air(void **state)
{
    uint8_t data[40] = {0};

    (void)state;
    begin(83);
    slow_peer(0, 100);
    damage(5, 1);
    assert_int_equal(world_boot(&w), FWR_OK);
    fwr_recipient_heard(w.recipient, w.now, 0, data, sizeof(data));
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_DONE && world_turn(&w)) {
        memcpy(data, image.id, 4);
        data[0] ^= (uint8_t)(w.steps & 1);
        data[5] = (uint8_t)(world_draw(&w, 256));
        data[6] = (uint8_t)(world_draw(&w, 4));
        fwr_recipient_heard(w.recipient, w.now, (uint8_t)(w.steps % 3), data, w.steps % 41);
    }
    assert_true(world_is_right(&w, &image));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coded_blocks_cost_less),
        cmocka_unit_test(test_fast_roads_are_plain),
        cmocka_unit_test(test_coded_on_a_bad_road),
        cmocka_unit_test(test_lies_about_streams),
        cmocka_unit_test(test_streams_go_over),
        cmocka_unit_test(test_donor_sends_once_for_several),
        cmocka_unit_test(test_donor_refuses_what_is_wrong),
        cmocka_unit_test(test_listens),
        cmocka_unit_test(test_asks_again_for_what_passed_by),
        cmocka_unit_test(test_a_spoilt_broadcast_blames_nobody),
        cmocka_unit_test(test_rubbish_in_the_air),
    };

    return cmocka_run_group_tests(tests, make, unmake);
}
