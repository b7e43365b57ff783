/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threats by peers that have a session: transfers of others, more of them than a donor gives,
 * the rights of an administrator, and messages that no honest peer would send.
 */
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "lib/engine/engine.h"
#include "lib/engine/request.h"
#include "tests/sim/threat.h"

static struct fwr_caller caller_of(uint32_t session, uint8_t privilege)
{
    return (struct fwr_caller){.link = 1,
                               .medium = FWR_MEDIUM_LAN,
                               .privilege = privilege,
                               .security = FWR_SECURITY_SUITE,
                               .session = session,
                               .max_reply = 240};
}

/* One command's data to an engine behind its dispatcher: the completion code; the reply's data
 * in `answer` (WORLD_MESSAGE_MAX bytes). */
static uint8_t ask(const struct fwr_oem *oem, const struct fwr_caller *caller, uint8_t command,
                   const uint8_t *data, size_t length, uint8_t *answer, size_t *got)
{
    uint8_t bytes[WORLD_MESSAGE_MAX] = {(uint8_t)oem->iana, (uint8_t)(oem->iana >> 8), 0};
    uint8_t reply[WORLD_MESSAGE_MAX];

    assert_true(length <= sizeof(bytes) - FWR_IANA_SIZE);
    memcpy(bytes + FWR_IANA_SIZE, data, length);
    size_t n = fwr_oem_handle(oem, w.now, caller, (uint8_t)(oem->command_base + command), bytes,
                              length + FWR_IANA_SIZE, reply, sizeof(reply));
    assert_true(n >= 1);
    *got = n > FWR_OEM_HEADER ? n - FWR_OEM_HEADER : 0;
    if (*got > 0)
        memcpy(answer, reply + FWR_OEM_HEADER, *got);
    return reply[0];
}

static uint8_t code(int error)
{
    return fwr_error_completion_code(error);
}

/* ---- 19 and 20: what a donor keeps of its peers ---- */

static struct fwr_accept_offer_reply accept_as(const struct fwr_caller *caller, uint32_t nonce)
{
    struct fwr_accept_offer_request request = {.cookie = 1, .nonce = nonce};
    struct fwr_accept_offer_reply reply;
    uint8_t data[64], answer[WORLD_MESSAGE_MAX];
    size_t got;

    memcpy(request.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_accept_offer_request_encode(&request, data, sizeof(data));
    assert_int_equal(
        ask(&w.donors[0].oem, caller, FWR_CMD_ACCEPT_OFFER, data, (size_t)length, answer, &got), 0);
    assert_int_equal(fwr_accept_offer_reply_decode(answer, got, &reply), FWR_OK);
    return reply;
}

static uint8_t read_as(const struct fwr_caller *caller, uint8_t command, uint32_t transfer)
{
    struct fwr_read_request request = {.cookie = 2, .transfer = transfer, .length = 32};
    uint8_t data[64], answer[WORLD_MESSAGE_MAX], result;
    size_t got;
    int length = fwr_read_request_encode(&request, data, sizeof(data));

    do { /* the donor may have to look first */
        result = ask(&w.donors[0].oem, caller, command, data, (size_t)length, answer, &got);
        w.now++;
    } while (result == code(FWR_E_BUSY) && fwr_donor_step(w.donors[0].engine, w.now) >= 0);
    return result;
}

static uint8_t end_as(const struct fwr_caller *caller, uint32_t transfer)
{
    struct fwr_end_transfer_request request = {.cookie = 3, .transfer = transfer};
    uint8_t data[64], answer[WORLD_MESSAGE_MAX];
    size_t got;
    int length = fwr_end_transfer_request_encode(&request, data, sizeof(data));

    return ask(&w.donors[0].oem, caller, FWR_CMD_END_TRANSFER, data, (size_t)length, answer, &got);
}

static void assert_stranger(const struct fwr_caller *caller, uint32_t transfer)
{
    assert_int_equal(read_as(caller, FWR_CMD_READ_TREE, transfer), code(FWR_E_UNKNOWN_TRANSFER));
    assert_int_equal(read_as(caller, FWR_CMD_READ_BLOCKS, transfer), code(FWR_E_UNKNOWN_TRANSFER));
    assert_int_equal(end_as(caller, transfer), 0);
    threat.attacks += 3;
}

static int order(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

/* All sessions end at the nth message of a recovery: the recipient comes back, and finishes. */
static struct {
    uint64_t seen, at;
} reconnect;

static size_t forget_sessions(struct world *world, const struct world_message *m, uint8_t *reply,
                              size_t length)
{
    (void)m, (void)reply;
    if (reconnect.seen++ == reconnect.at)
        fwr_donor_session_closed(world->donors[0].engine, 1, 7);
    return length;
}

static void threat_19_inherited_state(void **state)
{
    static uint32_t ids[1000];
    struct fwr_caller owner = caller_of(7, FWR_PRIVILEGE_USER);
    struct fwr_caller others[3] = {owner, owner, owner};

    (void)state;
    others[0].session = 8;
    others[1].link = 2;
    others[2].session = 0;
    others[2].privilege = FWR_PRIVILEGE_ADMIN;
    threat_begin(19);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        ids[i] = accept_as(&owner, i + 1).transfer;
        assert_int_not_equal(ids[i], 0);
        if (i % 100 == 0) {
            for (int k = 0; k < 3; k++)
                assert_stranger(&others[k], ids[i]);
            assert_int_equal(read_as(&owner, FWR_CMD_READ_TREE, ids[i]), 0); /* still his */
        }
        fwr_donor_session_closed(w.donors[0].engine, owner.link, owner.session);
        assert_stranger(&owner, ids[i]); /* who comes under the same number is another */
    }
    /* Not counted up, and none twice. */
    uint32_t rising = 0;
    for (uint32_t i = 1; i < 1000; i++)
        rising += ids[i] - ids[i - 1] < 65536;
    assert_true(rising < 10);
    qsort(ids, 1000, sizeof(ids[0]), order);
    for (uint32_t i = 1; i < 1000; i++)
        assert_true(ids[i] != ids[i - 1]);
    threat_end();

    for (reconnect.at = 0;; reconnect.at++) {
        reconnect.seen = 0;
        threat_begin(reconnect.at);
        world_add_donor(&w, &image);
        w.tamper = forget_sessions;
        assert_int_equal(world_boot(&w), FWR_OK);
        assert_int_equal(world_repair(&w), 0);
        assert_true(world_is_right(&w, &image));
        threat_end();
        if (reconnect.seen <= reconnect.at)
            break;
        threat.attacks++;
    }
    threat_nothing_foreign(19, "inherited state");
}

/* A thousand peers in the same moment: so many transfers as are given, and a time to come back
 * for the others, not the same for all; bytes within the cap; and nothing unverified. */
static void threat_20_whole_fleet_at_once(void **state)
{
    static uint16_t retries[1000];
    uint32_t granted = 0, later = 0, different = 0;

    (void)state;
    threat_begin(20);
    world_add_donor(&w, &image)->config.bytes_per_second = 16384;
    assert_int_equal(world_boot(&w), FWR_OK);
    struct fwr_caller first = caller_of(0, FWR_PRIVILEGE_USER);
    uint32_t transfer = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct fwr_caller peer = caller_of(i, FWR_PRIVILEGE_USER);
        struct fwr_accept_offer_reply reply = accept_as(&peer, i + 1);
        threat.attacks++;
        if (reply.result == FWR_ACCEPT_OK) {
            granted++;
            transfer = i == 0 ? reply.transfer : transfer;
            continue;
        }
        assert_int_equal(reply.result, FWR_ACCEPT_BUSY);
        assert_true(reply.retry > 0);
        retries[later++] = reply.retry;
    }
    assert_int_equal(granted, 4);
    for (uint32_t i = 1; i < later; i++)
        different += retries[i] != retries[0];
    assert_true(different > later / 4);
    /* What the first asks for in ten seconds stays within the cap and its burst. */
    struct fwr_donor_status status;
    uint64_t end = w.now + 10000;
    while (w.now < end)
        read_as(&first, FWR_CMD_READ_BLOCKS, transfer);
    fwr_donor_status(w.donors[0].engine, &status);
    assert_true(status.bytes_sent <= 16384 * 11);
    threat_end();

    /* A donor whose own flash is damaged gives nothing. */
    threat_begin(21);
    world_add_donor(&w, &image)->image.bytes[5] ^= 1;
    threat_refused(FWR_E_NO_OFFER);
    threat_nothing_written(20, "the whole fleet at once (one donor's side)");
}

/* ---- 18: an administrator's session in the wrong hands ---- */

static struct given_image forged; /* signed by a key of the attacker's own */

static uint8_t admin(uint8_t command, const uint8_t *data, int length, uint8_t *answer, size_t *got)
{
    struct fwr_caller caller = caller_of(66, FWR_PRIVILEGE_ADMIN);

    assert_true(length > 0);
    threat.attacks++;
    return ask(&w.oem, &caller, command, data, (size_t)length, answer, got);
}

static void work(void)
{
    for (int i = 0; i < 2000 && fwr_recipient_step(w.recipient, w.now) == FWR_PENDING; i++)
        ;
    w.now += 10;
    if (fwr_recipient_next_timeout(w.recipient) <= w.now)
        fwr_recipient_timeout(w.recipient, w.now);
}

static uint32_t push_offer(const uint8_t *tag)
{
    struct fwr_offer_request request = {.cookie = 1, .sequence = 99};
    struct fwr_offer_reply reply;
    uint8_t data[64], answer[WORLD_MESSAGE_MAX];
    size_t got;

    memcpy(request.tag, tag, FWR_TAG_SIZE);
    assert_int_equal(admin(FWR_CMD_OFFER, data,
                           fwr_offer_request_encode(&request, data, sizeof(data)), answer, &got),
                     0);
    assert_int_equal(fwr_offer_reply_decode(answer, got, &reply), FWR_OK);
    assert_int_equal(reply.result, FWR_OFFER_ACCEPTED);
    return reply.transfer;
}

/* Brings whatever is wanted: the envelope of `from`, and rubbish for the rest. */
static void push_rubbish(uint32_t transfer, const struct given_image *from)
{
    uint8_t data[300], answer[WORLD_MESSAGE_MAX], rubbish[180];
    size_t got;

    memset(rubbish, 0x66, sizeof(rubbish));
    for (int round = 0; round < 600; round++) {
        struct fwr_get_wanted_request wanted = {.cookie = 2, .transfer = transfer};
        struct fwr_get_wanted_reply reply;
        struct fwr_wanted range;
        work();
        if (admin(FWR_CMD_GET_WANTED, data,
                  fwr_get_wanted_request_encode(&wanted, data, sizeof(data)), answer, &got) != 0)
            return;
        assert_int_equal(fwr_get_wanted_reply_decode(answer, got, &reply), FWR_OK);
        if (reply.more == FWR_WANTED_DONE)
            return;
        if (reply.count == 0)
            continue;
        assert_int_equal(fwr_wanted_decode(reply.ranges, FWR_WANTED_SIZE, &range), FWR_OK);
        struct fwr_write_data_request write = {.cookie = 3,
                                               .transfer = transfer,
                                               .object = range.object,
                                               .offset = range.offset,
                                               .data = rubbish,
                                               .length = sizeof(rubbish)};
        if (range.object == FWR_OBJECT_MANIFEST && range.offset < from->envelope_length) {
            write.data = from->envelope + range.offset;
            write.length = from->envelope_length - range.offset;
        }
        if (write.length > sizeof(rubbish))
            write.length = sizeof(rubbish);
        if (write.length > range.length)
            write.length = range.length;
        admin(FWR_CMD_WRITE_DATA, data, fwr_write_data_request_encode(&write, data, sizeof(data)),
              answer, &got);
    }
}

static uint8_t set_policy(uint32_t generation, uint8_t item, uint32_t value, size_t size)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    struct fwr_set_policy_request request = {
        .cookie = 4, .generation = generation, .item = item, .value = bytes, .length = size};
    struct fwr_result_reply reply;
    uint8_t data[64], answer[WORLD_MESSAGE_MAX];
    size_t got;

    assert_int_equal(admin(FWR_CMD_SET_POLICY, data,
                           fwr_set_policy_request_encode(&request, data, sizeof(data)), answer,
                           &got),
                     0);
    assert_int_equal(fwr_result_reply_decode(answer, got, &reply), FWR_OK);
    return reply.result;
}

static void threat_18_stolen_credentials(void **state)
{
    static uint8_t junk[64];
    uint8_t answer[WORLD_MESSAGE_MAX];
    uint64_t seed = 18;
    size_t got;

    (void)state;
    forged = (struct given_image){.blocks = 24,
                                  .sequence = 99,
                                  .security_version = 9,
                                  .hardware_min = 2,
                                  .key_seed = 66,
                                  .seed = 66};
    assert_int_equal(given_image_make(&forged), FWR_OK);
    threat_begin(18);
    w.rules.min_sequence = 5;
    w.rules.media_refused = 1 << FWR_MEDIUM_ICMB;
    assert_int_equal(world_boot(&w), FWR_OK);

    push_rubbish(push_offer(forged.id), &forged); /* his own image */
    work();
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_UNTRUSTED));
    push_rubbish(push_offer(image.id), &image); /* a good one's name, rubbish for bytes */
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);

    /* Policy may be tightened, never loosened. */
    assert_int_equal(set_policy(1, FWR_POLICY_MIN_SEQUENCE, 4, 4), FWR_POLICY_REFUSED);
    assert_int_equal(set_policy(2, FWR_POLICY_MEDIA, 0xff, 1), FWR_POLICY_REFUSED);
    for (uint8_t item = 3; item < 200; item++)
        assert_int_equal(set_policy(3, item, 0, 4), FWR_POLICY_REFUSED);
    assert_int_equal(w.rules.min_sequence, 5);

    /* Anything at all, in any order. */
    for (int i = 0; i < 20000; i++) {
        seeded_fill(&seed, junk, sizeof(junk));
        junk[1] = 0; /* the slot that is there */
        uint32_t length = 1 + seeded_below(&seed, sizeof(junk) - 1);
        admin((uint8_t)seeded_below(&seed, FWR_CMD_COUNT), junk, (int)length, answer, &got);
        if (i % 16 == 0)
            work();
    }
    assert_true(w.rules.min_sequence >= 5);
    assert_true(w.rules.media_refused & 1 << FWR_MEDIUM_ICMB);
    assert_true(memcmp(&w.trust, &image.trust, sizeof(w.trust)) == 0);
    threat_end();
    given_image_free(&forged);
    threat_nothing_written(18, "stolen credentials");
}

/* ---- 22: malformed messages ---- */

static struct {
    uint8_t data[64];
    size_t length;
} samples[FWR_CMD_COUNT];

/* A good request of every command; the donor's are for the image and `transfer`. */
static void make_samples(uint32_t transfer)
{
    uint32_t read = FWR_CMD_READ_TREE;
    struct fwr_request_image_request request = {.cookie = 9, .hardware_revision = 2};
    struct fwr_read_manifest_request manifest = {.cookie = 9, .length = 64};
    struct fwr_accept_offer_request accept = {.cookie = 9, .nonce = 77};
    struct fwr_read_request slice = {.cookie = 9, .transfer = transfer, .length = 32};
    struct fwr_end_transfer_request end = {.cookie = 9, .transfer = 1};
    struct fwr_offer_request offer = {.cookie = 9, .sequence = 7};
    struct fwr_get_wanted_request wanted = {.cookie = 9, .transfer = 1};
    struct fwr_write_data_request write = {
        .cookie = 9, .transfer = 1, .data = image.bytes, .length = 16};
    struct fwr_start_request start = {.cookie = 9, .run = 1, .mode = FWR_START_DRY_RUN};
    struct fwr_start_request stop = {.cookie = 9, .run = 1};
    struct fwr_set_policy_request policy = {.cookie = 9,
                                            .generation = 1,
                                            .item = FWR_POLICY_MIN_SEQUENCE,
                                            .value = image.id,
                                            .length = 4};
    struct fwr_read_page_request page = {.cookie = 9, .page = FWR_PAGE_STATUS, .length = 64};

    fwr_compatibility_key(image.manifest.component, image.manifest.manufacturer,
                          image.manifest.product, request.key);
    memcpy(manifest.tag, image.id, FWR_TAG_SIZE);
    memcpy(accept.tag, image.id, FWR_TAG_SIZE);
    memcpy(offer.tag, image.id, FWR_TAG_SIZE);
#define SAMPLE(command, type, from)                                                                \
    samples[command].length =                                                                      \
        (size_t)fwr_##type##_encode(&from, samples[command].data, sizeof(samples[command].data))
    memset(samples, 0, sizeof(samples));
    samples[FWR_CMD_GET_CAPABILITIES].length = 1;
    samples[FWR_CMD_GET_STATUS].length = 2;
    SAMPLE(FWR_CMD_REQUEST_IMAGE, request_image_request, request);
    SAMPLE(FWR_CMD_READ_MANIFEST, read_manifest_request, manifest);
    SAMPLE(FWR_CMD_ACCEPT_OFFER, accept_offer_request, accept);
    for (; read <= FWR_CMD_READ_BLOCKS; read++)
        SAMPLE(read, read_request, slice);
    SAMPLE(FWR_CMD_END_TRANSFER, end_transfer_request, end);
    SAMPLE(FWR_CMD_OFFER, offer_request, offer);
    SAMPLE(FWR_CMD_GET_WANTED, get_wanted_request, wanted);
    SAMPLE(FWR_CMD_WRITE_DATA, write_data_request, write);
    SAMPLE(FWR_CMD_START, start_request, start);
    SAMPLE(FWR_CMD_ABORT, abort_request, stop);
    SAMPLE(FWR_CMD_SET_POLICY, set_policy_request, policy);
    SAMPLE(FWR_CMD_READ_PAGE, read_page_request, page);
#undef SAMPLE
}

static bool has_shorter_form(uint8_t command)
{
    return command == FWR_CMD_WRITE_DATA || command == FWR_CMD_SET_POLICY;
}

/* Every length but the right one, of every command: the code for a wrong length or, where the
 * engine is not there, for an unserved command; and nothing has changed. */
static void try_lengths(const struct fwr_oem *oem)
{
    struct fwr_caller caller = caller_of(5, FWR_PRIVILEGE_ADMIN);
    uint8_t answer[WORLD_MESSAGE_MAX], bytes[128];
    struct fwr_status_page before = world_status(&w), after;
    size_t got;

    for (uint8_t command = 0; command < FWR_CMD_COUNT; command++) {
        if (samples[command].length == 0 || has_shorter_form(command))
            continue;
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, samples[command].data, samples[command].length);
        for (size_t length = 0; length < sizeof(bytes); length++) {
            if (length == samples[command].length)
                continue;
            uint8_t result = ask(oem, &caller, command, bytes, length, answer, &got);
            assert_true(result == code(FWR_E_LENGTH) || result == code(FWR_E_UNSUPPORTED));
            assert_true(got <= 1); /* the cookie, where there was one */
            threat.attacks++;
        }
    }
    after = world_status(&w);
    assert_memory_equal(&before, &after, sizeof(before));
}

/* What a byte of a request may be: the sample's value and these; any other is answered with this
 * code. Bytes that no rule names may be anything. From doc/WIRE.md, sections 3 and 5. */
struct rule {
    uint8_t command, first, last; /* bytes */
    uint8_t low, high;            /* allowed too; low > high: nothing is */
    uint8_t code;
};
#define ONLY_THE_SAMPLE 1, 0

static const struct rule donor_rules[] = {
    {FWR_CMD_REQUEST_IMAGE, 1, 1, 0, 1, 0xcc},              /* kind */
    {FWR_CMD_REQUEST_IMAGE, 13, 13, ONLY_THE_SAMPLE, 0xcc}, /* reserved */
    {FWR_CMD_READ_MANIFEST, 1, 8, ONLY_THE_SAMPLE, 0xcb},   /* tag */
    {FWR_CMD_READ_MANIFEST, 10, 10, 0, 1, 0xc9},            /* the envelope has some 270 bytes */
    {FWR_CMD_READ_MANIFEST, 11, 12, ONLY_THE_SAMPLE, 0xc9}, /* offset */
    {FWR_CMD_READ_MANIFEST, 13, 13, 1, 255, 0xcc},          /* length 0 */
    {FWR_CMD_ACCEPT_OFFER, 13, 13, ONLY_THE_SAMPLE, 0xcc},  /* reserved */
    {FWR_CMD_READ_TREE, 1, 4, ONLY_THE_SAMPLE, 0x81},       /* transfer */
    {FWR_CMD_READ_TREE, 6, 6, 0, 4, 0xc9},                  /* 39 nodes of 32 bytes */
    {FWR_CMD_READ_TREE, 7, 8, ONLY_THE_SAMPLE, 0xc9},       /* offset */
    {FWR_CMD_READ_TREE, 9, 9, 1, 255, 0xcc},                /* length 0 */
    {FWR_CMD_READ_TREE, 11, 13, ONLY_THE_SAMPLE, 0xcc},     /* codec, skip */
    {FWR_CMD_READ_BLOCKS, 1, 4, ONLY_THE_SAMPLE, 0x81},     /* transfer */
    {FWR_CMD_READ_BLOCKS, 6, 6, 0, 0xbf, 0xc9},             /* half of the chip is `write` */
    {FWR_CMD_READ_BLOCKS, 7, 8, ONLY_THE_SAMPLE, 0xc9},     /* address */
    {FWR_CMD_READ_BLOCKS, 9, 9, 1, 255, 0xcc},              /* length 0 */
    {FWR_CMD_READ_BLOCKS, 11, 13, ONLY_THE_SAMPLE, 0xcc},   /* codec, skip */
};
static const struct rule recipient_rules[] = {
    {FWR_CMD_OFFER, 1, 1, ONLY_THE_SAMPLE, 0xcb},      /* slot */
    {FWR_CMD_OFFER, 14, 14, 2, 2, 0xcc},               /* kind: no keyring; a call */
    {FWR_CMD_GET_WANTED, 0, 6, 1, 0, 0x81},            /* there is no transfer */
    {FWR_CMD_WRITE_DATA, 5, 5, 0, 4, 0xcc},            /* object */
    {FWR_CMD_START, 1, 1, ONLY_THE_SAMPLE, 0xcb},      /* slot */
    {FWR_CMD_START, 2, 2, 1, 255, 0xcc},               /* run 0 */
    {FWR_CMD_START, 6, 6, 0, 2, 0xcc},                 /* mode */
    {FWR_CMD_ABORT, 1, 1, ONLY_THE_SAMPLE, 0xcb},      /* slot */
    {FWR_CMD_ABORT, 2, 2, 1, 255, 0xcc},               /* run 0 */
    {FWR_CMD_ABORT, 6, 6, ONLY_THE_SAMPLE, 0xcc},      /* reserved */
    {FWR_CMD_GET_STATUS, 1, 1, ONLY_THE_SAMPLE, 0xcb}, /* slot */
    {FWR_CMD_SET_POLICY, 1, 1, ONLY_THE_SAMPLE, 0xcb}, /* slot */
    {FWR_CMD_READ_PAGE, 1, 1, ONLY_THE_SAMPLE, 0xcb},  /* slot */
    {FWR_CMD_READ_PAGE, 2, 2, 0, 3, 0xc9},             /* page */
    {FWR_CMD_READ_PAGE, 3, 3, 0, 1, 0xd5},             /* generation */
    {FWR_CMD_READ_PAGE, 4, 4, 0, 80, 0xc9},            /* offset, within the page */
    {FWR_CMD_READ_PAGE, 5, 7, ONLY_THE_SAMPLE, 0xc9},  /* offset */
    {FWR_CMD_READ_PAGE, 8, 8, 1, 255, 0xcc},           /* length 0 */
};

static bool served(bool donor, uint8_t command)
{
    if (command == FWR_CMD_GET_CAPABILITIES || command == FWR_CMD_END_TRANSFER ||
        command == FWR_CMD_GET_STATUS)
        return true;
    return (command < FWR_CMD_END_TRANSFER) == donor;
}

static uint8_t expected_code(bool donor, uint8_t command, size_t at, uint8_t value)
{
    const struct rule *rules = donor ? donor_rules : recipient_rules;
    size_t count = donor ? sizeof(donor_rules) / sizeof(donor_rules[0])
                         : sizeof(recipient_rules) / sizeof(recipient_rules[0]);
    bool transfer = command == FWR_CMD_GET_WANTED || command == FWR_CMD_WRITE_DATA;

    if (!served(donor, command))
        return 0xc1;
    for (size_t i = 0; i < count; i++) {
        const struct rule *r = &rules[i];
        if (r->command == command && at >= r->first && at <= r->last &&
            value != samples[command].data[at] && (value < r->low || value > r->high))
            return r->code;
    }
    return transfer ? 0x81 : 0; /* there is none */
}

/* All that the engines remember. */
static struct {
    uint8_t *recipient, *donor;
} memory;

static void remember(void)
{
    size_t donor = fwr_donor_storage(&w.donors[0].config);

    if (!memory.recipient)
        memory.recipient = malloc(w.storage_size);
    if (!memory.donor)
        memory.donor = malloc(donor);
    memcpy(memory.recipient, w.storage, w.storage_size);
    memcpy(memory.donor, w.donors[0].storage, donor);
}

/* Nothing but the donor's count of requests: one number, and that by one. */
static bool nothing_changed(void)
{
    const uint8_t *donor = w.donors[0].storage;
    size_t words = fwr_donor_storage(&w.donors[0].config) / 4;
    unsigned changed = 0;

    for (size_t i = 0; i < words; i++) {
        uint32_t before, after;
        memcpy(&before, memory.donor + 4 * i, 4);
        memcpy(&after, donor + 4 * i, 4);
        if (after == before)
            continue;
        if (after != before + 1)
            return false;
        changed++;
    }
    return changed <= 1 && memcmp(memory.recipient, w.storage, w.storage_size) == 0;
}

static void forget(void)
{
    free(memory.recipient);
    free(memory.donor);
    memset(&memory, 0, sizeof(memory));
}

/* Every value in every byte of every command: the code of the rule, and where it is a refusal
 * nothing has changed in either engine. */
static void try_values(const struct fwr_oem *oem)
{
    struct fwr_caller caller = caller_of(5, FWR_PRIVILEGE_ADMIN);
    uint8_t answer[WORLD_MESSAGE_MAX], bytes[64];
    bool donor = oem == &w.donors[0].oem;
    size_t got;

    for (uint8_t command = 0; command < FWR_CMD_COUNT; command++) {
        for (size_t at = 0; at < samples[command].length; at++) {
            for (unsigned value = 0; value < 256; value++) {
                memcpy(bytes, samples[command].data, samples[command].length);
                bytes[at] = (uint8_t)value;
                if (value == 0)
                    ask(oem, &caller, command, bytes, samples[command].length, answer, &got);
                remember();
                uint8_t result =
                    ask(oem, &caller, command, bytes, samples[command].length, answer, &got);
                if (result != expected_code(donor, command, at, (uint8_t)value))
                    fail_msg("command %u, byte %zu = %02x: %02x", command, at, value, result);
                if (result != 0 && !nothing_changed())
                    fail_msg("command %u, byte %zu = %02x: refused, but something changed", command,
                             at, value);
                threat.attacks++;
            }
            work();
            fwr_donor_step(w.donors[0].engine, w.now);
        }
    }
}

/* ---- 22: replies ---- */

static struct {
    bool seen[FWR_CMD_COUNT];
    uint64_t dropped, taken;
} replies;

/* One variant of a reply, in an engine that is put back afterwards: nothing is done to the board,
 * the run stands where it stood; with a wrong cookie it counts as dropped and no bit changes. */
static void deliver_variant(const struct world_message *m, const uint8_t *bytes, size_t length,
                            bool wrong_cookie, bool cut_short)
{
    struct fwr_recipient *r = w.recipient;
    struct fwr_status_page before = world_status(&w), after;
    uint64_t operations = w.nor.counts.operations + w.store.counts.operations + w.host.count;
    uint8_t candidates = r->candidate_count;
    uint32_t dropped = r->dropped;
    uint8_t command = (uint8_t)(m->command - w.oem.command_base);

    fwr_oem_response(&w.oem, r, w.now, m->peer, command, bytes, length);
    after = world_status(&w);
    assert_int_equal(w.nor.counts.operations + w.store.counts.operations + w.host.count,
                     operations);
    assert_int_equal(after.state, before.state);
    assert_int_equal(after.reason, before.reason);
    assert_int_equal(after.run, before.run);
    if (cut_short) {
        assert_int_equal(r->candidate_count, candidates);
        assert_int_not_equal(r->peers[m->peer].transfer_state, FWR_TRANSFER_OPEN);
    }
    replies.taken += r->dropped == dropped;
    replies.dropped += r->dropped - dropped;
    if (wrong_cookie) {
        assert_int_equal(r->dropped, dropped + 1);
        r->dropped = dropped;
        assert_memory_equal(w.storage, memory.recipient, w.storage_size);
    }
    memcpy(w.storage, memory.recipient, w.storage_size);
    threat.attacks++;
}

/* The first reply of each command: cut short to every length, and every value in every byte. */
static size_t every_variant(struct world *world, const struct world_message *m, uint8_t *reply,
                            size_t length)
{
    uint8_t command = (uint8_t)(m->command - world->oem.command_base);
    bool fixed = command == FWR_CMD_REQUEST_IMAGE || command == FWR_CMD_ACCEPT_OFFER;
    uint8_t bytes[WORLD_MESSAGE_MAX];

    if (replies.seen[command])
        return length;
    replies.seen[command] = true;
    world->recipient->now = world->now; /* as any call would */
    remember();
    for (size_t shorter = 0; shorter < length; shorter++)
        deliver_variant(m, reply, shorter, false, fixed);
    for (size_t at = 0; at < length; at++) {
        memcpy(bytes, reply, length);
        for (unsigned value = 0; value < 256; value++) {
            bytes[at] = (uint8_t)value;
            bool foreign = at == FWR_OEM_HEADER &&
                           !fwr_request_find(world->recipient, m->peer, command, bytes[at]);
            if (value != reply[at])
                deliver_variant(m, bytes, length, foreign, false);
        }
    }
    return length;
}

static void try_replies(void)
{
    memset(&replies, 0, sizeof(replies));
    threat_begin(23);
    world_add_donor(&w, &image);
    w.peers[0].limits.max_reply = 240;
    w.tamper = every_variant;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    for (uint8_t command = FWR_CMD_REQUEST_IMAGE; command <= FWR_CMD_READ_BLOCKS; command++)
        assert_true(replies.seen[command]);
    assert_true(replies.dropped > 1000 && replies.taken > 1000);
    threat_end();
    forget();
}

static struct {
    uint64_t at, seen; /* the reply that is damaged */
    unsigned way;
} damage;

static size_t damaged(struct world *world, const struct world_message *m, uint8_t *reply,
                      size_t length)
{
    if (m->peer != 0 || damage.seen++ != damage.at)
        return length;
    threat.attacks++;
    if (damage.way == 0)
        return world_draw(world, (uint32_t)length); /* cut short, to nothing at times */
    reply[world_draw(world, (uint32_t)length)] = (uint8_t)world_draw(world, 256);
    return length;
}

static void threat_22_malformed_message(void **state)
{
    (void)state;
    threat_begin(22);
    world_add_donor(&w, &image);
    w.config.peer_count = 0; /* nobody to repair from: whatever is begun writes nothing */
    assert_int_equal(world_boot(&w), FWR_OK);
    struct fwr_caller owner = caller_of(5, FWR_PRIVILEGE_USER);
    make_samples(accept_as(&owner, 1).transfer);
    try_lengths(&w.oem);
    try_lengths(&w.donors[0].oem);
    try_values(&w.oem);
    try_values(&w.donors[0].oem);
    threat_end();
    forget();
    assert_int_equal(threat.operations, 0);
    try_replies();

    /* And replies: one of a hostile donor is damaged, each in turn. */
    for (damage.way = 0; damage.way < 4; damage.way++) {
        for (damage.at = 0;; damage.at++) {
            damage.seen = 0;
            threat_begin(damage.at * 4 + damage.way);
            world_add_donor(&w, &image);
            world_add_donor(&w, &image);
            w.tamper = damaged;
            w.config.rounds = 3;
            assert_int_equal(world_boot(&w), FWR_OK);
            assert_int_equal(world_repair(&w), 0);
            assert_true(world_is_right(&w, &image));
            threat_end();
            if (damage.seen <= damage.at)
                break;
        }
    }
    threat_nothing_foreign(22, "malformed message");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        THREAT(threat_18_stolen_credentials),
        THREAT(threat_19_inherited_state),
        THREAT(threat_20_whole_fleet_at_once),
        THREAT(threat_22_malformed_message),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
