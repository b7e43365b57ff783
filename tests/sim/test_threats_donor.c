/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threats by donors: bytes that were never signed, too many of them, too slowly, of another
 * version, or changed between one look and the next. An honest donor beside them is enough.
 */
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "engine/engine.h"
#include "tests/sim/threat.h"

#define DATA 5 /* in a reply: completion code, IANA number and cookie come first */

static struct given_image other; /* another version of the same size */

/* What the bad donors do to their replies. */
static struct {
    uint64_t data_replies; /* of tree nodes and blocks, by bad donors */
    uint64_t from;         /* bad from this one on */
    uint64_t manifests;
    unsigned pattern;
    uint32_t good; /* the honest donor */
} evil;

static char named[WORLD_DONORS_MAX]; /* donors that the log calls liars */

static void listen(void *ctx, enum fwr_log_level level, const char *text)
{
    unsigned donor;

    (void)ctx, (void)level;
    if (sscanf(text, "donor %u sent wrong bytes", &donor) == 1 && donor < WORLD_DONORS_MAX)
        named[donor] = 1;
}

static int set_up(void **state)
{
    int error = threat_set_up(state);

    other = (struct given_image){
        .blocks = 24, .sequence = 7, .security_version = 3, .hardware_min = 2, .seed = 77};
    return error ? error : given_image_make(&other);
}

static int tear_down(void **state)
{
    given_image_free(&other);
    return threat_tear_down(state);
}

static uint8_t command_of(const struct world *world, const struct world_message *m)
{
    return (uint8_t)(m->command - world->oem.command_base);
}

static bool carries_data(uint8_t command)
{
    return command == FWR_CMD_READ_TREE || command == FWR_CMD_READ_BLOCKS;
}

static void begin(uint64_t seed, unsigned donors, uint32_t good, world_tamper *tamper)
{
    memset(&evil, 0, sizeof(evil));
    memset(named, 0, sizeof(named));
    threat_begin(seed);
    world_damage(&w, 0, 12 * BLOCK);
    evil.good = good;
    w.tamper = tamper;
    w.platform.log = listen;
    for (unsigned i = 0; i < donors; i++)
        world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
}

static void end_repaired(void)
{
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_false(w.host.held);
    threat_end();
}

/* ---- 12 ---- */

/* The image changes under the reader: every reply from the nth on is of the other version. */
static size_t swapped(struct world *world, const struct world_message *m, uint8_t *reply,
                      size_t length)
{
    struct fwr_read_request asked;
    uint8_t command = command_of(world, m);

    if (m->peer == evil.good || command != FWR_CMD_READ_BLOCKS || length <= DATA ||
        fwr_read_request_decode(m->bytes + FWR_IANA_SIZE, m->length - FWR_IANA_SIZE, &asked) ||
        evil.data_replies++ < evil.from)
        return length;
    threat.attacks++;
    memcpy(reply + DATA, other.bytes + asked.offset, length - DATA);
    return length;
}

static struct {
    uint64_t reads, at;
} flip;

/* The flash changes just before the nth read of it. */
static enum fwr_fault_verdict flip_bit(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    if (event->operation == FWR_FAULT_FLASH_READ && flip.reads++ == flip.at) {
        const struct fwr_region *r = fwr_region_map_find(&image.manifest.map, event->offset);
        if (r->kind != FWR_REGION_PRESERVE) {
            w.cells[event->offset + 9] ^= 4;
            threat.attacks++;
        }
    }
    return FWR_FAULT_NONE;
}

static void threat_12_checked_here_used_there(void **state)
{
    uint64_t before;

    (void)state;
    for (uint64_t from = 0;; from++) {
        before = threat.attacks;
        begin(from, 2, 1, swapped);
        evil.from = from;
        end_repaired();
        if (threat.attacks == before)
            break;
    }
    for (flip.at = 0;; flip.at++) {
        flip.reads = 0;
        begin(flip.at, 1, 0, NULL);
        w.nor.hook.decide = flip_bit;
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        bool more = flip.reads > flip.at;
        threat_end();
        if (!more)
            break;
    }
    threat_nothing_foreign(12, "checked here, used there");
}

/* ---- 13 and 23 ---- */

static size_t endless(struct world *world, const struct world_message *m, uint8_t *reply,
                      size_t length)
{
    uint8_t command = command_of(world, m);
    bool data = carries_data(command) || command == FWR_CMD_READ_MANIFEST;

    if (m->peer == evil.good || !data || length < DATA)
        return length;
    threat.attacks++;
    switch (evil.pattern) {
    case 0: /* nothing, for ever */
        return DATA;
    case 1: /* a byte too few */
        return length > DATA ? length - 1 : length;
    case 2: /* a byte too many */
        reply[length] = 0xee;
        return length + 1;
    case 3: /* a byte at a time */
        return length > DATA ? DATA + 1 : length;
    default: /* all that a datagram takes */
        memset(reply + length, 0xee, WORLD_MESSAGE_MAX - length);
        return WORLD_MESSAGE_MAX;
    }
}

static void threat_13_endless_data(void **state)
{
    uint8_t claim[FWR_ENVELOPE_CAP_DEFAULT * 2];
    static const uint32_t claimed[] = {FWR_ENVELOPE_CAP_DEFAULT + 1, 65536, 65537, UINT32_MAX};
    struct fwr_envelope opened;

    (void)state;
    for (evil.pattern = 0; evil.pattern < 4; evil.pattern++) {
        unsigned pattern = evil.pattern;
        begin(pattern, 2, 1, endless);
        evil.pattern = pattern;
        end_repaired();
        evil.pattern = pattern;
    }
    /* Envelopes that claim to be longer than anybody takes. */
    memset(claim, 0x5a, sizeof(claim));
    for (unsigned i = 0; i < 4; i++) {
        memcpy(claim, image.envelope, 12);
        for (unsigned b = 0; b < 4; b++)
            claim[8 + b] = (uint8_t)(claimed[i] >> 8 * b);
        threat_begin(i);
        threat_add_liar(claim, sizeof(claim), image.id, 7);
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), REASON(FWR_E_ENVELOPE_SIZE));
        assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
        assert_true(w.replies[0] < 20); /* no more than the cap holds */
        threat.attacks++;
        threat_end();
    }
    /* An envelope is as long as it says: not a byte more or less. */
    memcpy(claim, image.envelope, image.envelope_length);
    for (size_t length = 0; length < image.envelope_length + 200; length++) {
        int expected = length == image.envelope_length ? FWR_OK : FWR_E_ENVELOPE;
        assert_int_equal(fwr_envelope_open(claim, length, &opened), expected);
        threat.attacks++;
    }
    threat_nothing_foreign(13, "endless data");
}

static void threat_23_oversized_reply(void **state)
{
    (void)state;
    begin(23, 2, 1, endless);
    evil.pattern = 4;
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_true(w.recipient->dropped >= threat.attacks);
    threat_end();
    begin(24, 1, UINT32_MAX, endless);
    evil.pattern = 4;
    assert_int_not_equal(world_repair(&w), 0);
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    assert_true(w.recipient->dropped > 0);
    threat_end();
    threat_nothing_foreign(23, "oversized reply");
}

/* ---- 14 ---- */

/* A byte every 50 ms, once the donor has served some replies well. */
static size_t drip(struct world *world, const struct world_message *m, uint8_t *reply,
                   size_t length)
{
    if (m->peer == evil.good || command_of(world, m) != FWR_CMD_READ_BLOCKS || length <= DATA ||
        evil.data_replies++ < evil.from)
        return length;
    threat.attacks++;
    world_reply(world, m->peer, m->command, reply, DATA + 1, 50);
    return 0;
}

static void threat_14_slow_retrieval(void **state)
{
    (void)state;
    for (uint64_t from = 0; from < 24; from += 4) {
        begin(from, 2, 1, drip);
        evil.from = from;
        w.recipient->peers[0].limits.window = 1;
        uint64_t started = w.now;
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        assert_true(w.now - started < 60000);
        assert_true(world_status(&w).blocks_refetched <= w.recipient->config.lanes);
        threat_end();
    }
    begin(99, 1, UINT32_MAX, drip);
    w.recipient->peers[0].limits.window = 1;
    uint64_t started = w.now;
    assert_int_equal(world_repair(&w), REASON(FWR_E_DONORS_LOST));
    assert_true(w.now - started < 60000);
    threat_end();
    threat_nothing_foreign(14, "slow retrieval");
}

/* ---- 15 ---- */

static size_t flipped(struct world *world, const struct world_message *m, uint8_t *reply,
                      size_t length)
{
    if (m->peer == evil.good || !carries_data(command_of(world, m)) || length <= DATA)
        return length;
    threat.attacks++;
    reply[DATA + world_draw(world, (uint32_t)length - DATA)] ^=
        (uint8_t)(1u << world_draw(world, 8));
    return length;
}

static void threat_15_corrupt_block(void **state)
{
    unsigned liars_named = 0;

    (void)state;
    for (unsigned donors = 2; donors <= 8; donors++) {
        for (uint32_t good = 0; good < donors; good++) {
            begin(donors * 10 + good, donors, good, flipped);
            end_repaired();
            assert_int_equal(named[good], 0);
            for (unsigned i = 0; i < donors; i++)
                liars_named += (unsigned)named[i];
        }
    }
    printf("# %u liars named in the log\n", liars_named);
    assert_true(liars_named > 0);
    threat_nothing_foreign(15, "corrupt block");
}

/* ---- 16 ---- */

/* Blocks of two versions, turn by turn, as the pattern has it. */
static size_t mixed(struct world *world, const struct world_message *m, uint8_t *reply,
                    size_t length)
{
    struct fwr_read_request asked;

    if (m->peer == evil.good || command_of(world, m) != FWR_CMD_READ_BLOCKS || length <= DATA ||
        fwr_read_request_decode(m->bytes + FWR_IANA_SIZE, m->length - FWR_IANA_SIZE, &asked) ||
        !(evil.pattern >> asked.offset / BLOCK % 4 & 1))
        return length;
    threat.attacks++;
    memcpy(reply + DATA, other.bytes + asked.offset, length - DATA);
    return length;
}

static void threat_16_two_images_mixed(void **state)
{
    (void)state;
    for (unsigned pattern = 1; pattern < 16; pattern++) {
        begin(pattern, 2, 1, mixed);
        evil.pattern = pattern;
        end_repaired();
    }
    /* Cut in the middle of one image, and only the other is there afterwards: all of that. */
    for (unsigned turns = 20; turns < 400; turns += 20) {
        begin(turns, 1, 0, NULL);
        w.config.rounds = 2;
        assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        for (unsigned i = 0; i < turns && world_status(&w).state != FWR_STATE_DONE; i++)
            world_turn(&w);
        world_cut(&w);
        threat_end_donors();
        world_add_donor(&w, &other);
        w.expected[1] = &other;
        assert_int_equal(world_boot(&w), FWR_OK);
        world_run(&w, 600000);
        if (world_status(&w).state == FWR_STATE_IDLE)
            world_repair(&w);
        assert_int_equal(world_status(&w).reason, 0);
        assert_true(world_is_right(&w, &image) || world_is_right(&w, &other));
        threat.attacks++;
        threat_end();
    }
    threat_nothing_foreign(16, "two images mixed");
}

#define DONORS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DONORS(threat_12_checked_here_used_there), DONORS(threat_13_endless_data),
        DONORS(threat_14_slow_retrieval),          DONORS(threat_15_corrupt_block),
        DONORS(threat_16_two_images_mixed),        DONORS(threat_23_oversized_reply),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
