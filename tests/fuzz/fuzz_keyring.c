/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust set of a running BMC, of which the input offers next ones: right, forged, too far
 * ahead, changed, by proposal and in pieces by peers; while the store waits and fails and the
 * power is cut. Whatever happens, the set in force is one that its predecessors signed for, never
 * falls back, and there always is one; when all is put right again, the next right one is taken.
 */
#include <fwrecover/error.h>
#include <fwrecover/keyring.h>
#include <fwrecover/store-ram.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/given_trust.h"

enum { SETS = 7, HONEST = 4, RECORDS = 3, ROOM = 2048, EVENTS_MAX = 300, STEPS_MAX = 200 };

/* 1 to 4 are the BMC's future; the others would be an attacker's. */
static const struct plan {
    uint32_t generation;
    const char *keys, *revoked, *signers;
} plans[SETS + 1] = {
    {0},
    {1, "abc", "", "ab"},
    {2, "abcd", "a", "bc"},
    {3, "bcde", "ab", "cd"},
    {4, "cdef", "b", "de"},
    {5, "xyz", "", "xy"},       /* nobody's of the sets before */
    {6, "axyz", "", "axy"},     /* one of the old keys where two are due */
    {90, "abcde", "", "abcde"}, /* too far ahead */
};
static struct fwr_trust sets[SETS + 1];
static uint8_t bare[ROOM], envelopes[SETS + 1][GIVEN_SET_MAX];
static size_t bare_length, lengths[SETS + 1];

static struct {
    struct fwr_store_ram store;
    struct fwr_store_ram_record records[RECORDS];
    uint8_t room[RECORDS][ROOM];
    struct fwr_keyring keyring;
    struct fwr_keyring_config config;
    struct fwr_platform platform;
    uint64_t now, random;
    uint32_t transfer;
    uint8_t bringing; /* the set that is brought in it */
    uint32_t generation;
    uint64_t cut_at;
    enum fwr_fault_verdict how;
    bool dead;
} world;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx, (void)event;
    if (world.cut_at == 0 || --world.cut_at > 0)
        return FWR_FAULT_NONE;
    world.dead = true;
    return world.how;
}

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    (void)ctx;
    seeded_fill(&world.random, buffer, length);
    return FWR_OK;
}

static void make_sets(void)
{
    for (int i = 1; i <= SETS; i++) {
        given_set(&sets[i], plans[i].generation, 2, plans[i].keys, plans[i].revoked);
        lengths[i] = given_set_signed(&sets[i], plans[i].signers, envelopes[i]);
    }
    int length = fwr_trust_encode(&sets[1], bare, sizeof(bare));
    require(length > 0);
    bare_length = (size_t)length;
}

static void boot(void)
{
    int error;

    fwr_store_ram_power_on(&world.store);
    world.dead = false;
    world.cut_at = 0;
    world.transfer = 0;
    do {
        error = fwr_keyring_init(&world.keyring, &world.config);
    } while (error == FWR_PENDING);
    if (error != FWR_OK) { /* its store could not be read, or not be written: another time */
        require(error == FWR_E_STORE_IO);
        world.store.fail_reads = world.store.fail_writes = 0;
        do {
            error = fwr_keyring_init(&world.keyring, &world.config);
        } while (error == FWR_PENDING);
    }
    require(error == FWR_OK);
}

static void check_always(void)
{
    const struct fwr_trust *trust = fwr_keyring_trust(&world.keyring);

    require(trust != NULL && trust->generation >= world.generation);
    require(trust->generation >= 1 && trust->generation <= HONEST);
    require(memcmp(trust, &sets[trust->generation], sizeof(*trust)) == 0);
    world.generation = trust->generation;
}

static uint8_t set_of(uint8_t choice)
{
    return 1 + choice % SETS;
}

static void propose(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), bytes[GIVEN_SET_MAX];
    uint8_t which = set_of(choice);
    size_t length = lengths[which];

    memcpy(bytes, envelopes[which], length);
    if (choice & 128)
        bytes[fwr_reader_u16(input) % length] ^= fwr_reader_u8(input);
    if (choice & 64)
        length = fwr_reader_u16(input) % (length + 1);
    (void)fwr_keyring_propose(&world.keyring, bytes, length);
}

static int ask(uint8_t command, const uint8_t *data, int length, uint8_t reply[256],
               uint8_t session)
{
    const struct fwr_caller caller = {.link = 1,
                                      .privilege = FWR_PRIVILEGE_ADMIN,
                                      .security = FWR_SECURITY_SUITE,
                                      .session = session,
                                      .max_reply = 256};
    int got;

    require(length >= 0);
    got = fwr_keyring_request(&world.keyring, world.now, &caller, command, data, (size_t)length,
                              reply, 256);
    require(got <= 256);
    return got;
}

static void offer(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), data[32], reply[256], id[FWR_ID_SIZE], payload[ROOM];
    struct fwr_offer_request request = {
        .cookie = 1, .sequence = plans[set_of(choice)].generation, .kind = FWR_OFFER_TRUST};
    struct fwr_offer_reply answer;
    int length = fwr_trust_encode(&sets[set_of(choice)], payload, sizeof(payload));

    require(fwr_trust_id(payload, (size_t)length, id) == FWR_OK);
    memcpy(request.tag, id, FWR_TAG_SIZE);
    length = ask(FWR_CMD_OFFER, data, fwr_offer_request_encode(&request, data, sizeof(data)), reply,
                 choice >> 7);
    if (length < 0)
        return;
    require(fwr_offer_reply_decode(reply, (size_t)length, &answer) == FWR_OK);
    if (answer.result == FWR_OFFER_ACCEPTED) {
        world.transfer = answer.transfer;
        world.bringing = set_of(choice);
    }
}

/* The piece that is wanted, or another. */
static void bring(struct fwr_reader *input)
{
    struct fwr_get_wanted_request question = {.cookie = 2, .transfer = world.transfer};
    struct fwr_write_data_request request = {.cookie = 3, .transfer = world.transfer};
    uint8_t choice = fwr_reader_u8(input), data[256], reply[256], bytes[200];
    struct fwr_get_wanted_reply wanted;
    struct fwr_wanted range;
    int got = ask(FWR_CMD_GET_WANTED, data,
                  fwr_get_wanted_request_encode(&question, data, sizeof(data)), reply, choice >> 7);

    if (got < 0)
        return;
    require(fwr_get_wanted_reply_decode(reply, (size_t)got, &wanted) == FWR_OK);
    if (wanted.count == 0)
        return;
    require(fwr_wanted_decode(wanted.ranges, FWR_WANTED_SIZE, &range) == FWR_OK);
    memset(bytes, choice, sizeof(bytes));
    request.object = range.object;
    request.offset = range.offset + (choice & 1 ? choice : 0);
    request.data = bytes;
    request.length = 1 + (choice & 2 ? choice / 2 : sizeof(bytes) - 1);
    if (request.length > range.length && !(choice & 4))
        request.length = range.length;
    if (range.offset < lengths[world.bringing])
        memcpy(bytes, envelopes[world.bringing] + range.offset,
               lengths[world.bringing] - range.offset < sizeof(bytes)
                   ? lengths[world.bringing] - range.offset
                   : sizeof(bytes));
    if (choice & 8)
        bytes[choice % request.length] ^= 1;
    (void)ask(FWR_CMD_WRITE_DATA, data, fwr_write_data_request_encode(&request, data, sizeof(data)),
              reply, choice >> 7);
}

static void any_request(struct fwr_reader *input)
{
    uint8_t command = fwr_reader_u8(input), data[48], reply[256];
    size_t length = fuzz_bytes(input, data, sizeof(data));

    if (command & 128 && length >= 5)
        memcpy(data + 1, &world.transfer, 4);
    (void)ask(command % 32, data, (int)length, reply, command >> 6 & 1);
}

static void event(struct fwr_reader *input)
{
    uint8_t what = fwr_reader_u8(input), count;

    switch (what % 10) {
    case 0:
    case 1:
        (void)fwr_keyring_step(&world.keyring, what & 16 ? false : true);
        break;
    case 2:
        propose(input);
        break;
    case 3:
        offer(input);
        break;
    case 4:
    case 5:
        bring(input);
        break;
    case 6:
        any_request(input);
        break;
    case 7:
        world.now += (uint64_t)fwr_reader_u8(input) * 1000;
        break;
    case 8:
        count = fwr_reader_u8(input);
        if (count & 128)
            world.store.fail_writes = count % 4;
        else if (count & 64)
            world.store.fail_reads = count % 2;
        else
            world.store.pending_calls = count % 3;
        break;
    default:
        world.cut_at = 1 + what / 16;
        world.how = what & 1 ? FWR_FAULT_BEFORE : FWR_FAULT_AFTER;
    }
    if (world.dead)
        boot();
}

static void settle(void)
{
    int steps = 0;

    while (fwr_keyring_step(&world.keyring, true) == FWR_PENDING)
        require(++steps < STEPS_MAX);
}

static void finish(void)
{
    world.store.fail_reads = world.store.fail_writes = world.store.pending_calls = 0;
    world.cut_at = 0;
    settle();
    check_always();
    while (world.generation < HONEST) {
        uint32_t next = world.generation + 1;

        require(fwr_keyring_propose(&world.keyring, envelopes[next], lengths[next]) == FWR_OK);
        settle();
        check_always();
        require(world.generation == next);
    }
    boot();
    check_always();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t storage[2 * FWR_TRUST_MAX];
    struct fwr_reader input;

    if (bare_length == 0)
        make_sets();
    memset(&world.records, 0, sizeof(world.records));
    for (size_t i = 0; i < RECORDS; i++) {
        world.records[i].data = world.room[i];
        world.records[i].capacity = ROOM;
    }
    require(fwr_store_ram_open(&world.store, world.records, RECORDS) == FWR_OK);
    world.store.hook.decide = decide;
    world.now = 1000;
    world.random = 3;
    world.transfer = 0;
    world.generation = 0;
    world.bringing = 1;
    world.cut_at = 0;
    world.platform = (struct fwr_platform){.size = sizeof(world.platform), .random = random_bytes};
    world.config = (struct fwr_keyring_config){.size = sizeof(world.config),
                                               .platform = &world.platform,
                                               .store = &world.store.store,
                                               .provisioned = bare,
                                               .provisioned_length = bare_length,
                                               .storage = storage,
                                               .storage_size = sizeof(storage)};
    boot();
    fwr_reader_init(&input, data, size);
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        event(&input);
        check_always();
    }
    finish();
    return 0;
}
