/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyring: which trust set a BMC finds at start, what makes it go on to the next one, and that
 * it has one in force whatever fails and wherever the power is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/command.h>
#include <fwrecover/keyring.h>
#include <fwrecover/store-ram.h>

#include "tests/unit/fake_floors.h"
#include "tests/unit/given_trust.h"

#define ROOM    2048
#define STORAGE (2 * FWR_TRUST_MAX)

static struct fwr_store_ram store;
static struct fwr_store_ram_record records[2];
static uint8_t room[2][ROOM];
static struct fake_floors floors;
static struct fwr_platform platform;
static struct fwr_keyring_config config;
static struct fwr_keyring keyring;
static uint8_t storage[STORAGE];
static char said[4096];

/* Sets 1 to 3: a key leaves and another joins each time. */
static struct fwr_trust sets[4];
static uint8_t bare[ROOM], envelopes[4][GIVEN_SET_MAX];
static size_t bare_length, lengths[4];

static int give_random(void *ctx, void *buffer, size_t length)
{
    static uint8_t next;

    (void)ctx;
    memset(buffer, ++next, length);
    return FWR_OK;
}

static void take_line(void *ctx, enum fwr_log_level level, const char *text)
{
    size_t used = strlen(said);

    (void)ctx, (void)level;
    snprintf(said + used, sizeof(said) - used, "%s\n", text);
}

static int set_up(void **state)
{
    (void)state;
    memset(records, 0, sizeof(records));
    for (size_t i = 0; i < 2; i++) {
        records[i].data = room[i];
        records[i].capacity = ROOM;
    }
    if (fwr_store_ram_open(&store, records, 2) != FWR_OK)
        return 1;
    fake_floors_init(&floors);
    said[0] = '\0';
    platform =
        (struct fwr_platform){.size = sizeof(platform), .random = give_random, .log = take_line};
    given_set(&sets[1], 1, 2, "abc", "");
    given_set(&sets[2], 2, 2, "abcd", "a");
    given_set(&sets[3], 3, 2, "bcde", "ab");
    int length = fwr_trust_encode(&sets[1], bare, sizeof(bare));
    if (length < 0)
        return 1;
    bare_length = (size_t)length;
    lengths[1] = given_set_signed(&sets[1], "ab", envelopes[1]);
    lengths[2] = given_set_signed(&sets[2], "bc", envelopes[2]);
    lengths[3] = given_set_signed(&sets[3], "cd", envelopes[3]);
    config = (struct fwr_keyring_config){.size = sizeof(config),
                                         .platform = &platform,
                                         .store = &store.store,
                                         .floors = &floors.floors,
                                         .provisioned = bare,
                                         .provisioned_length = bare_length,
                                         .storage = storage,
                                         .storage_size = sizeof(storage)};
    return 0;
}

static int boot(void)
{
    return fwr_keyring_init(&keyring, &config);
}

static uint32_t in_force(void)
{
    const struct fwr_trust *trust = fwr_keyring_trust(&keyring);

    return trust ? trust->generation : 0;
}

static int propose(int number)
{
    return fwr_keyring_propose(&keyring, envelopes[number], lengths[number]);
}

static void settle(void)
{
    while (fwr_keyring_step(&keyring, true) == FWR_PENDING)
        ;
}

/* ---- at start ---- */

static void test_provisioned_once(void **state)
{
    size_t length;

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(in_force(), 1);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 1);
    assert_int_equal(store.counts.writes, 1);
    assert_non_null(fwr_keyring_envelope(&keyring, &length));
    assert_int_equal(length, bare_length);
    config.provisioned = NULL; /* it is in the store now */
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(in_force(), 1);
    assert_int_equal(store.counts.writes, 1);
}

static void test_unprovisioned(void **state)
{
    size_t length = 9;

    (void)state;
    config.provisioned = NULL;
    assert_int_equal(boot(), FWR_E_UNPROVISIONED);
    assert_null(fwr_keyring_trust(&keyring));
    assert_null(fwr_keyring_envelope(&keyring, &length));
    assert_int_equal(length, 0);
    assert_int_equal(propose(2), FWR_E_UNPROVISIONED); /* the first one is installed locally */
    settle();
    assert_int_equal(in_force(), 0);
    assert_int_equal(store.counts.writes, 0);
}

static void test_misuse(void **state)
{
    (void)state;
    config.storage_size = 2 * FWR_TRUST_MAX - 2;
    assert_int_equal(boot(), FWR_E_ARGUMENT);
    config.storage_size = STORAGE;
    config.size--;
    assert_int_equal(boot(), FWR_E_ARGUMENT);
    assert_int_equal(fwr_keyring_init(&keyring, NULL), FWR_E_ARGUMENT);
}

static void go_to(int number)
{
    assert_int_equal(propose(number), FWR_OK);
    settle();
    assert_int_equal(in_force(), number);
}

static struct fwr_store_ram_record *stored(void)
{
    struct fwr_store_ram_record *record = fwr_store_ram_find(&store, FWR_STORE_TRUST, 0);

    assert_non_null(record);
    return record;
}

/* An older copy of the store put back, or the factory's set after the store was wiped. */
static void test_nothing_below_the_floor(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    uint8_t old[ROOM];
    size_t old_length = stored()->length;
    memcpy(old, stored()->data, old_length);
    go_to(2);
    memcpy(stored()->data, old, old_length);
    stored()->length = old_length;
    assert_int_equal(boot(), FWR_E_STALE);
    assert_int_equal(in_force(), 0);
    stored()->used = false;
    assert_int_equal(boot(), FWR_E_STALE);
    assert_int_equal(in_force(), 0);
    assert_null(fwr_store_ram_find(&store, FWR_STORE_TRUST, 0)); /* and is not put there */
}

static void test_damaged_store(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    stored()->read_error = FWR_E_STORE_CORRUPT; /* the factory's set is not below the floor */
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(in_force(), 1);
    assert_non_null(strstr(said, "cannot be used"));
    go_to(2);
    stored()->data[20] ^= 1; /* inside the payload: its own keys have not signed it */
    assert_true(boot() < 0);
    assert_int_equal(in_force(), 0);
    stored()->data[20] ^= 1;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(in_force(), 2);
    /* What could not be read now, or is a newer version's, is not replaced by what is older. */
    floors.values[FWR_FLOOR_GENERATION] = 0;
    stored()->read_error = FWR_E_STORE_VERSION;
    assert_int_equal(boot(), FWR_E_STORE_VERSION);
    stored()->read_error = FWR_E_STORE_IO;
    assert_int_equal(boot(), FWR_E_STORE_IO);
    assert_int_equal(in_force(), 0);
    stored()->read_error = 0;
    floors.fail_reads = 1;
    assert_int_equal(boot(), FWR_E_FLOOR); /* without a floor nothing is believed */
    assert_int_equal(in_force(), 0);
}

static void test_slow_devices(void **state)
{
    (void)state;
    store.pending_calls = 2;
    floors.pending = 3;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(propose(2), FWR_OK);
    assert_false(fwr_keyring_busy(&keyring));
    int busy = 0, calls = 0;
    do {
        busy += fwr_keyring_busy(&keyring);
        calls++;
    } while (fwr_keyring_step(&keyring, calls == 1) == FWR_PENDING); /* begun is begun */
    assert_int_equal(busy, 2 + 3);
    assert_int_equal(in_force(), 2);
    assert_int_equal(floors.broken, 0);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 2);
}

/* ---- the next set ---- */

static int refused(const struct fwr_trust *set, const char *signers)
{
    lengths[0] = given_set_signed(set, signers, envelopes[0]);
    int error = propose(0);
    settle();
    assert_int_equal(in_force(), 1);
    return error;
}

static void test_what_is_refused(void **state)
{
    struct fwr_trust set = sets[2];

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(refused(&set, "b"), FWR_E_UNTRUSTED);  /* too few of the old */
    assert_int_equal(refused(&set, "bd"), FWR_E_UNTRUSTED); /* enough of the new only */
    assert_int_equal(refused(&set, "ab"), FWR_E_REVOKED);   /* enough of the old only */
    set = sets[1];
    assert_int_equal(refused(&set, "abc"), FWR_E_STALE); /* the one in force */
    set = sets[3]; /* skipping is allowed, where the keys meet both */
    assert_int_equal(refused(&set, "bc"), FWR_E_REVOKED);
    assert_int_equal(refused(&set, "de"), FWR_E_UNTRUSTED);
    set = sets[2];
    set.generation = 2 + FWR_FLOOR_JUMP_DEFAULT;
    assert_int_equal(refused(&set, "bc"), FWR_E_FLOOR_JUMP);
    set.generation = UINT32_MAX;
    assert_int_equal(refused(&set, "bc"), FWR_E_FLOOR_JUMP);
    lengths[0] = given_set_signed(&sets[2], "bc", envelopes[0]);
    envelopes[0][lengths[0] - 1] ^= 1;
    assert_int_equal(propose(0), FWR_E_SIGNATURE);
    assert_int_equal(fwr_keyring_propose(&keyring, bare, bare_length), FWR_E_ENVELOPE);
    assert_int_equal(fwr_keyring_propose(&keyring, envelopes[2], 0), FWR_E_ENVELOPE);
    assert_int_equal(fwr_keyring_propose(&keyring, envelopes[2], STORAGE), FWR_E_ENVELOPE_SIZE);
    settle();
    assert_int_equal(in_force(), 1);
    assert_int_equal(store.counts.writes, 1);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 1);
    config.max_jump = UINT32_MAX; /* a local configuration lets it through */
    assert_int_equal(boot(), FWR_OK);
    set.generation = UINT32_MAX;
    lengths[0] = given_set_signed(&set, "bc", envelopes[0]);
    assert_int_equal(propose(0), FWR_OK);
    settle();
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], UINT32_MAX);
}

static void test_skipping_a_generation(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    given_set(&sets[3], 3, 2, "bcde", "a");
    lengths[3] = given_set_signed(&sets[3], "bc", envelopes[3]);
    go_to(3);
    assert_int_equal(propose(2), FWR_E_STALE); /* b and c count in both: but older */
}

static void test_old_sets_again(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    go_to(2);
    assert_int_equal(propose(2), FWR_E_STALE);
    assert_int_equal(propose(1), FWR_E_REVOKED);
    go_to(3);
    assert_true(propose(2) < 0);
    assert_true(propose(1) < 0);
    settle();
    assert_int_equal(in_force(), 3);
}

static void test_waits_for_quiet(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(propose(2), FWR_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fwr_keyring_step(&keyring, false), FWR_OK);
    assert_int_equal(in_force(), 1);
    assert_int_equal(store.counts.writes, 1);
    assert_int_equal(propose(2), FWR_E_BUSY);
    settle();
    assert_int_equal(in_force(), 2);
}

static void test_store_fails(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(propose(2), FWR_OK);
    store.fail_writes = 1;
    store.write_error = FWR_E_STORE_FULL;
    settle();
    assert_int_equal(in_force(), 1);
    assert_int_equal(keyring.reason, FWR_E_STORE_FULL);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 1);
    go_to(2);
}

/* In force although the floor did not rise; said so; tried again at the next start. */
static void test_floor_fails(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    floors.fail_raises = 2;
    go_to(2);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 2); /* the third try */
    assert_null(strstr(said, "stays below"));
    floors.fail_raises = UINT32_MAX;
    go_to(3);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 2);
    assert_non_null(strstr(said, "stays below 3"));
    assert_true(propose(2) < 0); /* in this life it counts as raised */
    floors.fail_raises = 0;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 3);
    assert_int_equal(in_force(), 3);
}

static void test_fuses_run_out(void **state)
{
    (void)state;
    floors.fuses = 2;
    assert_int_equal(boot(), FWR_OK);
    go_to(2);
    assert_int_equal(floors.fuses, 0);
    uint64_t raises = floors.raises;
    go_to(3);
    assert_int_equal(floors.raises, raises + 1); /* for good: not tried again and again */
    assert_int_equal(floors.values[FWR_FLOOR_GENERATION], 2);
    assert_non_null(strstr(said, "floor-spent"));
}

/* ---- commands ---- */

static struct fwr_caller caller = {.link = 2, .session = 5, .max_reply = 64};
static uint8_t reply[256];

static int ask(uint8_t command, const uint8_t *data, int length)
{
    assert_true(length > 0);
    assert_true(command == FWR_CMD_WRITE_DATA || length <= 16);
    return fwr_keyring_request(&keyring, 1000, &caller, command, data, (size_t)length, reply, 19);
}

static uint8_t offer(int number, uint32_t *transfer)
{
    struct fwr_offer_request request = {.cookie = 1, .kind = FWR_OFFER_TRUST};
    struct fwr_envelope envelope;
    struct fwr_offer_reply out;
    uint8_t data[16], id[FWR_ID_SIZE];

    assert_int_equal(fwr_envelope_open(envelopes[number], lengths[number], &envelope), FWR_OK);
    assert_int_equal(fwr_trust_id(envelope.payload, envelope.payload_length, id), FWR_OK);
    memcpy(request.tag, id, FWR_TAG_SIZE);
    int n = ask(FWR_CMD_OFFER, data, fwr_offer_request_encode(&request, data, sizeof(data)));
    assert_true(n > 0);
    assert_int_equal(fwr_offer_reply_decode(reply, (size_t)n, &out), FWR_OK);
    *transfer = out.transfer;
    return out.result;
}

static int wanted(uint32_t transfer, struct fwr_wanted *range, uint8_t *more)
{
    struct fwr_get_wanted_request request = {.cookie = 1, .transfer = transfer};
    struct fwr_get_wanted_reply out;
    uint8_t data[16];
    int n =
        ask(FWR_CMD_GET_WANTED, data, fwr_get_wanted_request_encode(&request, data, sizeof(data)));

    if (n < 0)
        return n;
    assert_int_equal(fwr_get_wanted_reply_decode(reply, (size_t)n, &out), FWR_OK);
    *more = out.more;
    if (out.count > 0)
        assert_int_equal(fwr_wanted_decode(out.ranges, FWR_WANTED_SIZE, range), FWR_OK);
    return (int)out.count;
}

static int put(uint32_t transfer, uint8_t object, uint32_t offset, const uint8_t *bytes,
               size_t length)
{
    struct fwr_write_data_request request = {.cookie = 1,
                                             .transfer = transfer,
                                             .object = object,
                                             .offset = offset,
                                             .data = bytes,
                                             .length = length};
    struct fwr_result_reply out;
    uint8_t data[ROOM];
    int n =
        ask(FWR_CMD_WRITE_DATA, data, fwr_write_data_request_encode(&request, data, sizeof(data)));

    if (n < 0)
        return n;
    assert_int_equal(fwr_result_reply_decode(reply, (size_t)n, &out), FWR_OK);
    return out.result;
}

/* By pieces of 6 bytes, as ICMB has them: 16 bytes of request. Each twice, the second time late. */
static int push(int number, uint32_t transfer)
{
    int result = FWR_WRITE_OK;

    for (size_t at = 0; at < lengths[number] && result == FWR_WRITE_OK; at += 6) {
        size_t part = lengths[number] - at < 6 ? lengths[number] - at : 6;
        result = put(transfer, FWR_OBJECT_TRUST, (uint32_t)at, envelopes[number] + at, part);
        assert_int_equal(
            put(transfer, FWR_OBJECT_TRUST, (uint32_t)at, envelopes[number] + at, part),
            FWR_WRITE_NOT_WANTED);
    }
    return result;
}

static struct fwr_trust_page read_page(uint8_t *set, uint8_t generation, int *error)
{
    struct fwr_read_page_request request = {
        .cookie = 1, .page = FWR_PAGE_TRUST, .generation = generation, .length = 17};
    uint8_t bytes[FWR_TRUST_PAGE_SIZE + ROOM], data[16];
    struct fwr_read_page_reply out = {.length = 1};
    struct fwr_trust_page page = {0};

    *error = FWR_OK;
    while (out.length > 0) {
        int n = ask(FWR_CMD_READ_PAGE, data,
                    fwr_read_page_request_encode(&request, data, sizeof(data)));
        if (n < 0) {
            *error = n;
            return page;
        }
        assert_int_equal(fwr_read_page_reply_decode(reply, (size_t)n, &out), FWR_OK);
        request.generation = out.generation;
        memcpy(bytes + request.offset, out.data, out.length);
        request.offset += (uint32_t)out.length;
    }
    assert_int_equal(fwr_trust_page_decode(bytes, FWR_TRUST_PAGE_SIZE, &page), FWR_OK);
    assert_int_equal(request.offset, FWR_TRUST_PAGE_SIZE + page.length);
    memcpy(set, bytes + FWR_TRUST_PAGE_SIZE, page.length);
    return page;
}

static void test_push_and_page(void **state)
{
    struct fwr_trust_page page;
    struct fwr_wanted range;
    uint8_t set[ROOM], more;
    uint32_t transfer, again;
    int error;

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    page = read_page(set, 0, &error);
    assert_int_equal(page.state, FWR_TRUST_IN_FORCE);
    assert_int_equal(page.generation, 1);
    assert_int_equal(page.length, bare_length);
    assert_memory_equal(set, bare, bare_length);
    assert_int_equal(offer(2, &transfer), FWR_OFFER_ACCEPTED);
    assert_int_not_equal(transfer, 0);
    assert_int_equal(offer(2, &again), FWR_OFFER_ACCEPTED); /* repeated */
    assert_int_equal(again, transfer);
    assert_int_equal(wanted(transfer, &range, &more), 1);
    assert_int_equal(range.object, FWR_OBJECT_TRUST);
    assert_int_equal(range.offset, 0);
    assert_int_equal(put(transfer, FWR_OBJECT_TREE, 0, envelopes[2], 6), FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 3, envelopes[2], 6), FWR_WRITE_NOT_WANTED);
    assert_int_equal(put(transfer + 1, FWR_OBJECT_TRUST, 0, envelopes[2], 6),
                     FWR_E_UNKNOWN_TRANSFER);
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 0, envelopes[2], 30), FWR_WRITE_OK);
    assert_int_equal(wanted(transfer, &range, &more), 1);
    assert_int_equal(range.offset, 30);
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 30, envelopes[2] + 30, lengths[2] - 30),
                     FWR_WRITE_OK);
    assert_int_equal(wanted(transfer, &range, &more), 0);
    assert_int_equal(more, FWR_WANTED_LAST); /* not yet in force */
    page = read_page(set, 0, &error);
    assert_int_equal(page.state, FWR_TRUST_WAITING);
    assert_int_equal(page.generation, 1);
    settle();
    assert_int_equal(wanted(transfer, &range, &more), 0);
    assert_int_equal(more, FWR_WANTED_DONE);
    assert_int_equal(in_force(), 2);
    read_page(set, 1, &error);
    assert_int_equal(error, FWR_E_STALE); /* the page has changed since */
    page = read_page(set, 0, &error);
    assert_int_equal(page.state, FWR_TRUST_IN_FORCE);
    assert_int_equal(page.reason, 0);
    assert_int_equal(page.generation, 2);
    assert_int_equal(page.floor, 2);
    assert_memory_equal(set, envelopes[2], lengths[2]); /* to be passed on as it was signed */
    assert_int_equal(offer(2, &transfer), FWR_OFFER_NOT_WANTED);
    assert_int_equal(offer(3, &transfer), FWR_OFFER_ACCEPTED);
    assert_int_equal(push(3, transfer), FWR_WRITE_OK);
    settle();
    assert_int_equal(in_force(), 3);
}

static void test_push_of_what_is_refused(void **state)
{
    uint8_t set[ROOM], more;
    struct fwr_wanted range;
    uint32_t transfer;
    int error;

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(offer(3, &transfer), FWR_OFFER_ACCEPTED);
    assert_int_equal(push(3, transfer), FWR_WRITE_WRONG);
    assert_int_equal(wanted(transfer, &range, &more), 0);
    assert_int_equal(more, FWR_WANTED_DONE);
    assert_int_equal(read_page(set, 0, &error).reason, -FWR_E_UNTRUSTED);
    assert_int_equal(in_force(), 1);
    /* Endless, and longer than it says. */
    assert_int_equal(offer(2, &transfer), FWR_OFFER_ACCEPTED);
    uint8_t endless[16] = {'F', 'W', 'R', 'E', 1, 8, 0, 0, 0xff, 0x7f};
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 0, endless, 16), FWR_WRITE_OK);
    uint32_t at = 16;
    uint8_t junk[1024] = {0};
    while (put(transfer, FWR_OBJECT_TRUST, at, junk, sizeof(junk)) == FWR_WRITE_OK)
        at += sizeof(junk);
    assert_true(at <= STORAGE / 2);
    assert_int_equal(in_force(), 1);
    memcpy(envelopes[0], envelopes[2], lengths[2]);
    envelopes[0][lengths[2]] = 0;
    struct fwr_end_transfer_request end = {.cookie = 1, .transfer = transfer};
    uint8_t data[16];
    assert_true(ask(FWR_CMD_END_TRANSFER, data,
                    fwr_end_transfer_request_encode(&end, data, sizeof(data))) > 0);
    assert_int_equal(offer(2, &transfer), FWR_OFFER_ACCEPTED);
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 0, envelopes[0], lengths[2] + 1),
                     FWR_WRITE_WRONG);
    assert_int_equal(store.counts.writes, 1);
}

/* Others wait, until whoever was first has been silent for the lease. */
static void test_two_pushers(void **state)
{
    struct fwr_offer_request request = {.cookie = 1, .kind = FWR_OFFER_TRUST};
    struct fwr_offer_reply out;
    uint32_t transfer, other;
    uint8_t data[16];

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(offer(2, &transfer), FWR_OFFER_ACCEPTED);
    caller.session++;
    assert_int_equal(offer(2, &other), FWR_OFFER_BUSY);
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 0, envelopes[2], 6), FWR_E_UNKNOWN_TRANSFER);
    int length = fwr_offer_request_encode(&request, data, sizeof(data));
    int n = fwr_keyring_request(&keyring, 1000 + 60000, &caller, FWR_CMD_OFFER, data,
                                (size_t)length, reply, 19);
    assert_int_equal(fwr_offer_reply_decode(reply, (size_t)n, &out), FWR_OK);
    assert_int_equal(out.result, FWR_OFFER_ACCEPTED);
    assert_int_not_equal(out.transfer, transfer);
    caller.session--;
    assert_int_equal(put(transfer, FWR_OBJECT_TRUST, 0, envelopes[2], 6), FWR_E_UNKNOWN_TRANSFER);
}

static int no_random(void *ctx, void *buffer, size_t length)
{
    (void)ctx, (void)buffer, (void)length;
    return FWR_E_RANDOM;
}

static void test_requests_that_are_none(void **state)
{
    static const uint8_t commands[] = {FWR_CMD_OFFER, FWR_CMD_GET_WANTED, FWR_CMD_WRITE_DATA,
                                       FWR_CMD_END_TRANSFER, FWR_CMD_READ_PAGE};
    struct fwr_read_page_request request = {.cookie = 1, .page = FWR_PAGE_TRUST, .length = 17};
    uint8_t data[16] = {0};
    uint32_t transfer;
    int error;

    (void)state;
    assert_int_equal(boot(), FWR_OK);
    for (size_t i = 0; i < sizeof(commands); i++) {
        assert_true(fwr_keyring_request(&keyring, 0, &caller, commands[i], data, 1, reply, 19) < 0);
        assert_int_equal(
            fwr_keyring_request(&keyring, 0, &caller, commands[i], data, 16, reply, 18),
            FWR_E_NO_SPACE);
    }
    assert_int_equal(fwr_keyring_request(&keyring, 0, &caller, FWR_CMD_START, data, 7, reply, 19),
                     FWR_E_UNKNOWN_COMMAND);
    request.offset = FWR_TRUST_PAGE_SIZE + (uint32_t)bare_length + 1;
    assert_int_equal(
        ask(FWR_CMD_READ_PAGE, data, fwr_read_page_request_encode(&request, data, sizeof(data))),
        FWR_E_RANGE);
    platform.random = no_random;
    struct fwr_offer_request offered = {.cookie = 1, .kind = FWR_OFFER_TRUST};
    assert_int_equal(
        ask(FWR_CMD_OFFER, data, fwr_offer_request_encode(&offered, data, sizeof(data))),
        FWR_E_RANDOM);
    platform.random = give_random;
    config.provisioned = NULL;
    stored()->used = false;
    floors.values[FWR_FLOOR_GENERATION] = 0;
    assert_int_equal(boot(), FWR_E_UNPROVISIONED);
    uint8_t set[ROOM];
    struct fwr_trust_page page = read_page(set, 0, &error);
    assert_int_equal(page.state, FWR_TRUST_NONE);
    assert_int_equal(page.length, 0);
    assert_int_equal(offer(2, &transfer), FWR_OFFER_ACCEPTED);
    assert_int_equal(push(2, transfer), FWR_WRITE_WRONG);
    assert_int_equal(read_page(set, 0, &error).reason, -FWR_E_UNPROVISIONED);
}

/* Its page changes more often than a byte counts: 0 is never one of its generations. */
static void test_page_generations(void **state)
{
    (void)state;
    assert_int_equal(boot(), FWR_OK);
    for (int i = 0; i < 600; i++) {
        assert_true(fwr_keyring_propose(&keyring, bare, bare_length) < 0);
        assert_int_not_equal(keyring.page_generation, 0);
    }
}

static void test_provisioning_fails(void **state)
{
    (void)state;
    platform.log = NULL;
    store.fail_writes = 1;
    assert_int_equal(boot(), FWR_E_STORE_IO);
    assert_int_equal(in_force(), 0);
    config.provisioned_length = STORAGE;
    assert_int_equal(boot(), FWR_E_ENVELOPE_SIZE);
    config.provisioned = "no trust set";
    config.provisioned_length = 12;
    assert_true(boot() < 0);
    config.provisioned = envelopes[2]; /* in an envelope: it has to satisfy itself */
    config.provisioned_length = lengths[2];
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(in_force(), 2);
    set_up(state);
    config.provisioned = "FWRE, but no envelope";
    config.provisioned_length = 21;
    assert_int_equal(boot(), FWR_E_ENVELOPE);
    config.floors = NULL; /* in the store */
    config.provisioned = bare;
    config.provisioned_length = bare_length;
    assert_int_equal(boot(), FWR_OK);
    assert_int_equal(keyring.floor, 1);
}

#define KEYRING(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYRING(test_provisioned_once),
        KEYRING(test_unprovisioned),
        KEYRING(test_misuse),
        KEYRING(test_nothing_below_the_floor),
        KEYRING(test_damaged_store),
        KEYRING(test_slow_devices),
        KEYRING(test_what_is_refused),
        KEYRING(test_skipping_a_generation),
        KEYRING(test_old_sets_again),
        KEYRING(test_waits_for_quiet),
        KEYRING(test_store_fails),
        KEYRING(test_floor_fails),
        KEYRING(test_fuses_run_out),
        KEYRING(test_push_and_page),
        KEYRING(test_push_of_what_is_refused),
        KEYRING(test_two_pushers),
        KEYRING(test_requests_that_are_none),
        KEYRING(test_page_generations),
        KEYRING(test_provisioning_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
