/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery in a small world of virtual time: donors that answer pings, roads to them that open or
 * fail, forgers by the hundred; what is learned, and what becomes of the record of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/discover.h>
#include <fwrecover/error.h>
#include <fwrecover/store-ram.h>

#include "link/rmcp/packet.h"
#include "wire/crc32.h"

#include "seeded.h"

enum {
    PORT = 6623,
    WORKS_MS = 20,     /* until a session is open */
    SILENCE_MS = 4500, /* until one is given up */
    MINUTE = 60000,
    HOUR = 60 * MINUTE,
    HOSTS_MAX = 32,
    RECORD_MAX = 1024,
};

static const struct fwr_discover_interface lines[3] = {
    {"eth0", FWR_MEDIUM_LAN}, {"wlan0", FWR_MEDIUM_WLAN}, {"wlan1", FWR_MEDIUM_WLAN}};

/* Somebody who answers, on the interfaces of `on` (bit n: number n). */
struct host {
    uint8_t number; /* last byte of its address */
    uint8_t on;
    bool works;   /* sessions can be opened */
    uint8_t mute; /* over these interfaces they cannot */
};

static struct world {
    uint64_t now, seed;
    struct fwr_platform platform;
    struct fwr_discover_config config;
    struct fwr_discover *discover;
    struct host hosts[HOSTS_MAX];
    unsigned host_count;
    uint32_t forged; /* answers to each ping from addresses where nobody is */
    uint32_t pings[3], opens, closes;
    uint64_t last_ping[3], first_ping;
    struct {
        bool open;
        struct fwr_discover_donor donor;
        uint64_t due; /* of its result; FWR_NEVER */
        int result;
    } slots[FWR_DISCOVER_SLOTS_MAX];
    struct fwr_discover_donor last; /* opened */
    struct fwr_store_ram store;
    struct fwr_store_ram_record record;
    uint8_t bytes[RECORD_MAX];
} w;

static max_align_t storage[4096];

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    seeded_fill(&((struct world *)ctx)->seed, buffer, length);
    return FWR_OK;
}

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.seed = 42;
    w.now = 1000;
    w.platform =
        (struct fwr_platform){.size = sizeof(w.platform), .ctx = &w, .random = random_bytes};
    w.config = (struct fwr_discover_config){.size = sizeof(w.config),
                                            .platform = &w.platform,
                                            .interfaces = lines,
                                            .interface_count = 2,
                                            .port = PORT};
    w.record.data = w.bytes;
    w.record.capacity = sizeof(w.bytes);
    return fwr_store_ram_open(&w.store, &w.record, 1);
}

static void begin(void)
{
    memset(w.slots, 0, sizeof(w.slots));
    assert_true(fwr_discover_storage() <= sizeof(storage));
    assert_int_equal(fwr_discover_init(&w.discover, storage, sizeof(storage), &w.config, w.now),
                     FWR_OK);
}

static void add_host(uint8_t number, uint8_t on, bool works)
{
    w.hosts[w.host_count++] = (struct host){.number = number, .on = on, .works = works};
}

static struct fwr_discover_address address_of(uint8_t number)
{
    return (struct fwr_discover_address){{10, 0, 0, number}, PORT};
}

static int answer(uint8_t interface, struct fwr_discover_address from, const uint8_t *ping)
{
    uint8_t pong[FWR_RMCP_PONG_SIZE];

    fwr_rmcp_pong_encode(pong, ping[9]);
    return fwr_discover_receive(w.discover, w.now, interface, &from, pong, sizeof(pong));
}

static const struct host *host_of(const struct fwr_discover_donor *donor)
{
    for (unsigned i = 0; i < w.host_count; i++)
        if (donor->address.bytes[3] == w.hosts[i].number && donor->address.bytes[2] == 0)
            return &w.hosts[i];
    return NULL;
}

static void on_ping(const struct fwr_discover_action *action)
{
    uint8_t wanted[FWR_RMCP_PING_SIZE];

    fwr_rmcp_ping_encode(wanted, action->ping[9]);
    assert_memory_equal(action->ping, wanted, sizeof(wanted));
    assert_in_range(action->ping[9], 1, 254);
    assert_int_equal(action->port, PORT);
    if (w.first_ping == 0)
        w.first_ping = w.now;
    w.pings[action->interface]++;
    w.last_ping[action->interface] = w.now;
    for (uint32_t i = 0; i < w.forged; i++) {
        struct fwr_discover_address from = {{10, 0, 1, (uint8_t)(1 + i % 250)}, PORT};
        int error = answer(action->interface, from, action->ping);

        assert_true(error == FWR_OK || error == FWR_E_BUSY);
    }
    w.now += 3;
    for (unsigned i = 0; i < w.host_count; i++)
        if ((w.hosts[i].on >> action->interface & 1) != 0)
            answer(action->interface, address_of(w.hosts[i].number), action->ping);
}

static void on_open(const struct fwr_discover_action *action)
{
    const struct host *host = host_of(&action->donor);
    bool works = host && host->works && (host->mute >> action->donor.interface & 1) == 0;

    assert_true(action->slot < w.config.slots || (w.config.slots == 0 && action->slot < 4));
    assert_false(w.slots[action->slot].open);
    assert_int_equal(action->donor.medium, lines[action->donor.interface].medium);
    assert_int_equal(action->donor.address.port, PORT);
    w.opens++;
    w.last = action->donor;
    w.slots[action->slot].open = true;
    w.slots[action->slot].donor = action->donor;
    w.slots[action->slot].due = w.now + (works ? WORKS_MS : SILENCE_MS);
    w.slots[action->slot].result = works ? FWR_OK : FWR_E_TIMEOUT;
}

static void act(void)
{
    struct fwr_discover_action action;

    for (int i = 0; fwr_discover_next(w.discover, w.now, &action); i++) {
        assert_true(i < 1000);
        switch (action.kind) {
        case FWR_DISCOVER_PING:
            on_ping(&action);
            break;
        case FWR_DISCOVER_OPEN:
            on_open(&action);
            break;
        case FWR_DISCOVER_CLOSE:
            assert_true(w.slots[action.slot].open);
            w.slots[action.slot].open = false;
            w.closes++;
        }
    }
}

/* Whether a slot has an open session with this host. */
static bool serves(uint8_t number)
{
    for (unsigned i = 0; i < FWR_DISCOVER_SLOTS_MAX; i++)
        if (w.slots[i].open && w.slots[i].due == FWR_NEVER && w.slots[i].result == FWR_OK &&
            w.slots[i].donor.address.bytes[3] == number && w.slots[i].donor.address.bytes[2] == 0)
            return true;
    return false;
}

/* Lets time pass; until the host has a session, if one is named. */
static void run(uint64_t ms, uint8_t until)
{
    uint64_t end = w.now + ms;

    while (w.now < end && (until == 0 || !serves(until))) {
        uint64_t next;

        act();
        while (fwr_discover_step(w.discover) == FWR_PENDING)
            continue;
        next = fwr_discover_next_timeout(w.discover);
        for (unsigned i = 0; i < FWR_DISCOVER_SLOTS_MAX; i++)
            if (w.slots[i].open && w.slots[i].due < next)
                next = w.slots[i].due;
        assert_true(next >= w.now || w.now - next < 10); /* nothing is left undone */
        if (next > w.now)
            w.now = next < end ? next : end;
        for (uint8_t i = 0; i < FWR_DISCOVER_SLOTS_MAX; i++) {
            if (!w.slots[i].open || w.slots[i].due > w.now)
                continue;
            w.slots[i].due = FWR_NEVER;
            fwr_discover_result(w.discover, w.now, i, w.slots[i].result);
        }
    }
}

static void search(bool wanted)
{
    fwr_discover_search(w.discover, w.now, wanted);
    while (!wanted && fwr_discover_step(w.discover) == FWR_PENDING)
        continue;
}

static struct fwr_discover_status status(void)
{
    struct fwr_discover_status s;

    fwr_discover_status(w.discover, &s);
    return s;
}

/* ---- finding ---- */

static void found_by_a_ping_on_its_interface(void **state)
{
    (void)state;
    add_host(7, 2, true);
    begin();
    run(MINUTE, 0);
    assert_int_equal(w.pings[0] + w.pings[1], 0); /* nobody looks for a donor */
    search(true);
    run(MINUTE, 7);
    assert_true(serves(7));
    assert_int_equal(w.last.interface, 1);
    assert_int_equal(w.last.medium, FWR_MEDIUM_WLAN);
    assert_int_equal(w.last.round_trip_ms, 3);
    assert_false(w.last.learned);
    assert_true(w.now < MINUTE + 4000);
    assert_int_equal(status().opened, 1);
    assert_int_equal(status().pings, w.pings[0] + w.pings[1]);
}

static void configured_donors_have_a_head_start(void **state)
{
    (void)state;
    w.config.configured_ms = 2000;
    add_host(7, 1, true);
    begin();
    search(true);
    run(1999, 0);
    assert_int_equal(w.pings[0], 0);
    search(false); /* they were enough */
    run(HOUR, 0);
    assert_int_equal(w.pings[0] + w.pings[1], 0);
    search(true);
    run(MINUTE, 7);
    assert_true(serves(7));
    assert_true(w.first_ping >= HOUR + 1999 + 2000);
}

static void the_same_over_several_interfaces_is_one(void **state)
{
    (void)state;
    w.config.interface_count = 3;
    add_host(7, 7, true);
    add_host(8, 6, true);
    begin();
    search(true);
    run(5 * MINUTE, 0);
    assert_true(serves(7) && serves(8));
    assert_int_equal(status().places, 2);
    assert_true(status().duplicates > 0);
    assert_int_equal(w.opens, 2);
}

/* Of two that answer before a slot is free, the one over the better medium is asked first. */
static void the_better_medium_comes_first(void **state)
{

    struct fwr_discover_action action;
    uint8_t ping[2][FWR_DISCOVER_PING_SIZE];

    (void)state;
    w.config.slots = 1;
    begin();
    search(true);
    for (unsigned seen = 0; seen != 3;) {
        while (!fwr_discover_next(w.discover, w.now, &action))
            w.now = fwr_discover_next_timeout(w.discover);
        assert_int_equal(action.kind, FWR_DISCOVER_PING);
        memcpy(ping[action.interface], action.ping, sizeof(ping[0]));
        seen |= 1u << action.interface;
    }
    assert_int_equal(answer(1, address_of(9), ping[1]), FWR_OK);
    assert_int_equal(answer(1, address_of(8), ping[1]), FWR_OK);
    assert_int_equal(answer(0, address_of(8), ping[0]), FWR_OK);
    assert_true(fwr_discover_next(w.discover, w.now, &action));
    assert_int_equal(action.kind, FWR_DISCOVER_OPEN);
    assert_int_equal(action.donor.address.bytes[3], 8);
    assert_int_equal(action.donor.interface, 0);
}

static void another_interface_when_the_first_fails(void **state)
{
    (void)state;
    add_host(7, 3, true);
    w.hosts[0].mute = 1;
    begin();
    search(true);
    run(5 * MINUTE, 7);
    assert_true(serves(7));
    assert_int_equal(w.last.interface, 1);
}

/* ---- what is no answer ---- */

static void next_ping(uint8_t ping[FWR_DISCOVER_PING_SIZE], uint8_t *interface)
{
    struct fwr_discover_action action;

    do {
        while (!fwr_discover_next(w.discover, w.now, &action))
            w.now = fwr_discover_next_timeout(w.discover);
    } while (action.kind != FWR_DISCOVER_PING);
    memcpy(ping, action.ping, sizeof(action.ping));
    *interface = action.interface;
}

static void forged_answers_are_dropped(void **state)
{
    static const uint8_t nobody[][4] = {
        {0, 1, 2, 3}, {224, 0, 0, 1}, {255, 255, 255, 255}, {240, 1, 1, 1}};
    uint8_t ping[FWR_DISCOVER_PING_SIZE], pong[FWR_RMCP_PONG_SIZE + 1], interface;
    struct fwr_discover_address from = address_of(7);

    (void)state;
    begin();
    fwr_rmcp_pong_encode(pong, 1);
    assert_int_equal(fwr_discover_receive(w.discover, w.now, 0, &from, pong, FWR_RMCP_PONG_SIZE),
                     FWR_E_STALE);
    search(true);
    next_ping(ping, &interface);
    for (unsigned tag = 0; tag < 256; tag++) {
        fwr_rmcp_pong_encode(pong, (uint8_t)tag);
        if (tag != ping[9])
            assert_int_equal(
                fwr_discover_receive(w.discover, w.now, interface, &from, pong, FWR_RMCP_PONG_SIZE),
                FWR_E_STALE);
    }
    assert_int_equal(answer(!interface, from, ping), FWR_E_STALE);
    assert_int_equal(answer(2, from, ping), FWR_E_ARGUMENT);
    from.port++;
    assert_int_equal(answer(interface, from, ping), FWR_E_MALFORMED);
    for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        from = (struct fwr_discover_address){.port = PORT};
        memcpy(from.bytes, nobody[i], 4);
        assert_int_equal(answer(interface, from, ping), FWR_E_MALFORMED);
    }
    w.now += 1501;
    assert_int_equal(answer(interface, address_of(7), ping), FWR_E_STALE);
    assert_int_equal(status().places, 0);
    assert_int_equal(status().answers, 0);
    assert_true(status().dropped > 256);
}

static void malformed_answers_are_dropped(void **state)
{
    /* Bytes of a pong that must be as they are: version, class, IANA, type, length, entities. */
    static const uint8_t fixed[] = {0, 3, 4, 5, 6, 7, 8, 11};
    uint8_t ping[FWR_DISCOVER_PING_SIZE], pong[FWR_RMCP_PONG_SIZE + 1], interface;
    const struct fwr_discover_address from = address_of(7);

    (void)state;
    begin();
    search(true);
    next_ping(ping, &interface);
    for (size_t length = 0; length <= sizeof(pong); length++) {
        memset(pong, 0, sizeof(pong));
        fwr_rmcp_pong_encode(pong, ping[9]);
        if (length != FWR_RMCP_PONG_SIZE)
            assert_int_equal(
                fwr_discover_receive(w.discover, w.now, interface, &from, pong, length),
                FWR_E_MALFORMED);
    }
    for (size_t i = 0; i < sizeof(fixed); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            fwr_rmcp_pong_encode(pong, ping[9]);
            pong[fixed[i]] ^= (uint8_t)(1u << bit);
            assert_int_equal(
                fwr_discover_receive(w.discover, w.now, interface, &from, pong, FWR_RMCP_PONG_SIZE),
                FWR_E_MALFORMED);
        }
    }
    fwr_rmcp_pong_encode(pong, ping[9]);
    pong[20] &= 0x7f; /* it speaks no IPMI */
    assert_int_equal(
        fwr_discover_receive(w.discover, w.now, interface, &from, pong, FWR_RMCP_PONG_SIZE),
        FWR_E_MALFORMED);
    assert_int_equal(fwr_discover_receive(w.discover, w.now, interface, &from, ping, sizeof(ping)),
                     FWR_E_MALFORMED);
    assert_int_equal(status().places, 0);
}

/* ---- how often ---- */

static void pings_grow_rare(void **state)
{
    uint64_t last = 0, gap, longest = 0;

    (void)state;
    w.config.interface_count = 1;
    begin();
    search(true);
    for (uint64_t end = w.now + HOUR; w.now < end; last = w.last_ping[0]) {
        run(fwr_discover_next_timeout(w.discover) - w.now + 1, 0);
        if (last == 0 || w.last_ping[0] == last)
            continue;
        gap = w.last_ping[0] - last;
        assert_in_range(gap, 500, 90000);
        longest = gap > longest ? gap : longest;
    }
    assert_true(longest > 40000);
    assert_in_range(w.pings[0], 50, 80);
}

/* Runs that begin and fail in quick succession must not ping more often than one that goes on. */
static void a_search_again_and_again_pings_no_more(void **state)
{
    (void)state;
    w.config.interface_count = 1;
    begin();
    for (unsigned i = 0; i < 6000; i++) {
        search(true);
        run(9, 0);
        search(false);
        run(1, 0);
    }
    assert_true(w.pings[0] <= MINUTE / 1000);
}

static void first_pings_of_a_fleet_are_spread(void **state)
{
    uint32_t early = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        set_up(state);
        w.seed = seed * 977;
        w.config.interface_count = 1;
        begin();
        search(true);
        run(1001, 0);
        assert_true(w.pings[0] >= 1);
        early += w.first_ping < 1500;
    }
    assert_in_range(early, 60, 140);
}

/* ---- floods ---- */

static void a_flood_neither_grows_nor_starves(void **state)
{
    (void)state;
    add_host(7, 2, true);
    w.forged = 400;
    begin();
    search(true);
    run(HOUR, 7);
    print_message("found after %u s: %u pings, %u answers, %u tried, %u crowded out\n",
                  (unsigned)(w.now / 1000), w.pings[0] + w.pings[1], status().answers, w.opens,
                  status().crowded_out);
    assert_true(serves(7));
    assert_true(status().places <= FWR_DISCOVER_PLACES_MAX);
    assert_true(status().crowded_out > 100);
    /* Each of 250 is tried once, by four at a time for 4.5 s each; not much more. */
    assert_true(w.now < 15 * MINUTE);
    assert_true(w.opens <= 4 + 4 * w.now / SILENCE_MS);
}

static void who_works_is_not_displaced_by_a_flood(void **state)
{
    (void)state;
    add_host(7, 2, true);
    w.config.slots = 2;
    begin();
    search(true);
    run(MINUTE, 7);
    search(false);
    w.forged = 1000;
    for (unsigned i = 0; i < 20; i++) {
        search(true);
        run(10000, 0);
        assert_true(serves(7));
        search(false);
    }
}

/* Roads that fail at once must not make us knock at a hundred doors a second. */
static void slots_change_hands_only_so_often(void **state)
{
    uint64_t begun;

    (void)state;
    w.forged = 250;
    begin();
    search(true);
    begun = w.now;
    while (w.now < begun + MINUTE) {
        act();
        w.now++;
        for (uint8_t i = 0; i < 4; i++) {
            if (!w.slots[i].open || w.slots[i].due == FWR_NEVER)
                continue;
            w.slots[i].due = FWR_NEVER;
            fwr_discover_result(w.discover, w.now, i, FWR_E_NO_DONOR);
        }
    }
    assert_true(w.opens <= 4 * (MINUTE / 500 + 1));
    assert_true(w.opens > 60);
}

/* Many work, but cannot help: each has its turn. */
static void everybody_has_a_turn(void **state)
{
    uint32_t seen = 0;

    (void)state;
    for (uint8_t i = 1; i <= 20; i++)
        add_host(i, 1 + i % 2, true);
    begin();
    search(true);
    for (uint64_t end = w.now + 5 * MINUTE; w.now < end;) {
        run(5, 0);
        for (unsigned i = 0; i < 4; i++)
            if (w.slots[i].open)
                seen |= 1u << w.slots[i].donor.address.bytes[3];
    }
    assert_int_equal(seen, 0x1ffffe);
}

static void who_failed_is_tried_again(void **state)
{
    (void)state;
    add_host(7, 1, false);
    for (uint8_t i = 1; i <= 6; i++)
        add_host(i, 1, false);
    begin();
    search(true);
    run(2 * MINUTE, 0);
    assert_false(serves(7));
    w.hosts[0].works = true;
    run(5 * MINUTE, 7);
    assert_true(serves(7));
}

/* ---- what is learned ---- */

/* As after a restart of the BMC. */
static void restart(void)
{
    memset(w.pings, 0, sizeof(w.pings));
    w.first_ping = 0;
    w.opens = 0;
    begin();
}

static void learn(uint8_t number)
{
    w.config.store = &w.store.store;
    add_host(number, 2, true);
    restart();
    search(true);
    run(MINUTE, number);
    assert_true(serves(number));
    search(false);
    assert_int_equal(status().learned_error, FWR_OK);
}

static void what_worked_is_tried_first(void **state)
{
    (void)state;
    learn(7);
    assert_int_equal(w.store.counts.writes, 1);
    w.hosts[0].on = 0; /* it does not answer pings any more */
    w.store.pending_calls = 3;
    restart();
    assert_int_equal(status().learned, 1);
    search(true);
    run(MINUTE, 7);
    assert_true(serves(7));
    assert_true(w.last.learned);
    assert_int_equal(w.last.interface, 1);
    assert_int_equal(w.last.medium, FWR_MEDIUM_WLAN);
    assert_int_equal(w.pings[0] + w.pings[1], 0);
    search(false);
    assert_true(w.store.counts.writes >= 2);
}

static void nothing_unproved_is_learned(void **state)
{
    (void)state;
    w.config.store = &w.store.store;
    w.forged = 200;
    begin();
    search(true);
    run(10 * MINUTE, 0);
    search(false);
    assert_int_equal(status().learned, 0);
    assert_int_equal(w.store.counts.writes, 0);
}

static void what_does_not_work_any_more_is_forgotten(void **state)
{
    (void)state;
    learn(7);
    w.host_count = 0;
    for (unsigned i = 0; i < 20; i++) {
        restart();
        assert_int_equal(status().learned, 1);
        search(true);
        run(6000, 0);
        search(false);
    }
    restart();
    search(true);
    search(false);
    restart();
    assert_int_equal(status().learned, 0);
}

static void only_so_many_are_kept(void **state)
{
    (void)state;
    w.config.store = &w.store.store;
    for (uint8_t i = 1; i <= 30; i++)
        add_host(i, 1, true);
    begin();
    search(true);
    run(20 * MINUTE, 0);
    search(false);
    restart();
    assert_int_equal(status().learned, FWR_DISCOVER_LEARNED_MAX);
    assert_int_equal(status().places, FWR_DISCOVER_LEARNED_MAX);
}

static void interfaces_that_are_not_searched_are_left_out(void **state)
{
    (void)state;
    learn(7); /* over wlan0 */
    w.config.interface_count = 1;
    restart();
    assert_int_equal(status().learned, 0);
}

static void a_damaged_record_is_as_good_as_none(void **state)
{
    uint8_t good[RECORD_MAX];
    size_t length;

    (void)state;
    learn(7);
    length = w.record.length;
    memcpy(good, w.bytes, length);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        w.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        restart();
        assert_int_equal(status().learned, 0);
        assert_int_equal(status().learned_error, FWR_E_STORE_CORRUPT);
        memcpy(w.bytes, good, length);
    }
    for (w.record.length = 0; w.record.length < length; w.record.length++) {
        restart();
        assert_int_equal(status().learned_error, FWR_E_STORE_CORRUPT);
    }
    restart();
    assert_int_equal(status().learned, 1);
    w.record.read_error = FWR_E_STORE_CORRUPT;
    restart();
    assert_int_equal(status().learned, 0);
    /* It is replaced by the next that is learned. */
    w.record.read_error = 0;
    w.bytes[3] ^= 1;
    learn(8);
    restart();
    assert_int_equal(status().learned, 2);
}

static void seal(size_t length)
{
    uint32_t crc = fwr_crc32(0, w.bytes, length - 4);

    for (unsigned i = 0; i < 4; i++)
        w.bytes[length - 4 + i] = (uint8_t)(crc >> 8 * i);
    w.record.length = length;
}

/* Whoever can write the store could do worse; but nothing in it is believed beyond reason. */
static void made_up_records(void **state)
{
    size_t length;

    (void)state;
    learn(7);
    length = w.record.length;
    w.bytes[2] = 230; /* no host's address */
    seal(length);
    restart();
    assert_int_equal(status().learned, 0);
    learn(7);
    w.bytes[8] = 99; /* older than anything gets */
    seal(length);
    restart();
    assert_int_equal(status().learned, 0);
    learn(7);
    memset(w.bytes + 9, 'x', 16); /* a name without an end */
    seal(length);
    restart();
    assert_int_equal(status().learned, 0);
    learn(7);
    w.bytes[1] = 2; /* more entries than there are */
    seal(length);
    restart();
    assert_int_equal(status().learned_error, FWR_E_STORE_CORRUPT);
    assert_int_equal(status().places, 0);
    w.bytes[1] = 200;
    seal(length);
    restart();
    assert_int_equal(status().learned_error, FWR_E_STORE_CORRUPT);
    learn(7);
    memmove(w.bytes + 2 + 23, w.bytes + 2, 23); /* the same twice */
    w.bytes[1] = 2;
    seal(length + 23);
    restart();
    assert_int_equal(status().learned, 1);
}

static void a_newer_record_is_left_alone(void **state)
{
    (void)state;
    learn(7);
    w.bytes[0] = 2;
    seal(w.record.length);
    restart();
    assert_int_equal(status().learned_error, FWR_E_STORE_VERSION);
    search(true);
    run(MINUTE, 7);
    assert_true(serves(7));
    search(false);
    assert_int_equal(w.bytes[0], 2);
    /* One that does not even fit is of a newer version too. */
    w.record.length = sizeof(w.bytes);
    restart();
    assert_int_equal(status().learned_error, FWR_E_NO_SPACE);
    search(true);
    run(MINUTE, 7);
    search(false);
    assert_int_equal(w.record.length, sizeof(w.bytes));
}

static void a_store_that_fails_costs_only_what_is_learned(void **state)
{
    (void)state;
    w.config.store = &w.store.store;
    w.store.fail_reads = UINT32_MAX;
    w.store.fail_writes = UINT32_MAX;
    add_host(7, 1, true);
    begin();
    search(true);
    run(MINUTE, 7);
    assert_true(serves(7));
    search(false);
    assert_int_equal(status().learned_error, FWR_E_STORE_IO);
}

/* ---- misuse ---- */

static void bad_configurations(void **state)
{
    struct fwr_discover *discover;
    struct fwr_discover_interface nameless[1] = {{"", FWR_MEDIUM_LAN}};
    const struct fwr_discover_config good = w.config;

    (void)state;
    w.config.size--;
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    assert_null(discover);
    w.config = good;
    w.config.interface_count = 0;
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    w.config.interface_count = FWR_DISCOVER_INTERFACES_MAX + 1;
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    w.config = good;
    w.config.slots = FWR_DISCOVER_SLOTS_MAX + 1;
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    w.config = good;
    w.config.interfaces = nameless;
    w.config.interface_count = 1;
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    memset(nameless[0].name, 'x', sizeof(nameless[0].name));
    assert_int_equal(fwr_discover_init(&discover, storage, sizeof(storage), &w.config, 0),
                     FWR_E_ARGUMENT);
    w.config = good;
    assert_int_equal(
        fwr_discover_init(&discover, storage, fwr_discover_storage() - 1, &w.config, 0),
        FWR_E_NO_SPACE);
    begin();
    fwr_discover_result(w.discover, w.now, 200, FWR_OK);
    fwr_discover_result(w.discover, w.now, 0, FWR_OK); /* nobody has it */
    assert_int_equal(status().opened, 0);
    assert_int_equal(fwr_discover_next_timeout(w.discover), FWR_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(found_by_a_ping_on_its_interface, set_up),
        cmocka_unit_test_setup(configured_donors_have_a_head_start, set_up),
        cmocka_unit_test_setup(the_same_over_several_interfaces_is_one, set_up),
        cmocka_unit_test_setup(the_better_medium_comes_first, set_up),
        cmocka_unit_test_setup(another_interface_when_the_first_fails, set_up),
        cmocka_unit_test_setup(forged_answers_are_dropped, set_up),
        cmocka_unit_test_setup(malformed_answers_are_dropped, set_up),
        cmocka_unit_test_setup(pings_grow_rare, set_up),
        cmocka_unit_test_setup(a_search_again_and_again_pings_no_more, set_up),
        cmocka_unit_test_setup(first_pings_of_a_fleet_are_spread, set_up),
        cmocka_unit_test_setup(a_flood_neither_grows_nor_starves, set_up),
        cmocka_unit_test_setup(who_works_is_not_displaced_by_a_flood, set_up),
        cmocka_unit_test_setup(slots_change_hands_only_so_often, set_up),
        cmocka_unit_test_setup(everybody_has_a_turn, set_up),
        cmocka_unit_test_setup(who_failed_is_tried_again, set_up),
        cmocka_unit_test_setup(what_worked_is_tried_first, set_up),
        cmocka_unit_test_setup(nothing_unproved_is_learned, set_up),
        cmocka_unit_test_setup(what_does_not_work_any_more_is_forgotten, set_up),
        cmocka_unit_test_setup(only_so_many_are_kept, set_up),
        cmocka_unit_test_setup(interfaces_that_are_not_searched_are_left_out, set_up),
        cmocka_unit_test_setup(a_damaged_record_is_as_good_as_none, set_up),
        cmocka_unit_test_setup(made_up_records, set_up),
        cmocka_unit_test_setup(a_newer_record_is_left_alone, set_up),
        cmocka_unit_test_setup(a_store_that_fails_costs_only_what_is_learned, set_up),
        cmocka_unit_test_setup(bad_configurations, set_up),
    };

    return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
