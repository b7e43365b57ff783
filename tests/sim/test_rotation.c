/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rotation drill: a BMC goes from one trust set to the next and on to the one after it, with
 * the power cut at every operation of store and floors. Whatever happens it has exactly one set in
 * force, no older one ever counts again, and what a revoked key has signed is refused from the
 * moment the set that revokes it is in force.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/keyring.h>

#include "tests/sim/world.h"
#include "tests/unit/fake_floors.h"
#include "tests/unit/given_trust.h"

#define SETS      3
#define REASON(e) ((uint8_t) - (e))

static struct world w;
static struct given_image images[SETS]; /* signed by a, b and c */
static struct fwr_trust sets[SETS];
static uint8_t bare[GIVEN_SET_MAX], envelopes[SETS][GIVEN_SET_MAX];
static size_t bare_length, lengths[SETS];
/* Wide apart, so that a raise of a unary counter can stop between. */
static const uint32_t generations[SETS] = {1, 5, 9};

static struct fwr_keyring keyring;
static struct fwr_keyring_config config;
static uint8_t storage[2 * FWR_TRUST_MAX];
static struct fake_floors fuses;
static bool on_fuses; /* else the floors are in the store */

static struct {
    bool armed, happened;
    uint64_t at, operations;
    enum fwr_fault_verdict how;
} cut;

static struct {
    uint64_t cuts, old, new, between;
} seen;

/* ---- the world ---- */

static int make_all(void **state)
{
    static const char *const keys[] = {"ab", "abc", "bcd"}, *const revoked[] = {"", "a", "ab"};
    static const char *const signers[] = {"a", "b", "c"};

    (void)state;
    for (size_t i = 0; i < SETS; i++) {
        images[i] = (struct given_image){.blocks = 24,
                                         .security_version = 3,
                                         .sequence = 7 + (uint32_t)i,
                                         .key_seed = (uint8_t)signers[i][0],
                                         .seed = i};
        if (given_image_make(&images[i]) != FWR_OK)
            return 1;
        given_set(&sets[i], generations[i], 1, keys[i], revoked[i]);
        lengths[i] = given_set_signed(&sets[i], signers[i], envelopes[i]);
    }
    int length = fwr_trust_encode(&sets[0], bare, sizeof(bare));
    bare_length = (size_t)length;
    return length < 0;
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETS; i++)
        given_image_free(&images[i]);
    return 0;
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at + event->number;
    if (!cut.armed || cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

static void begin(void)
{
    world_init(&w, cut.at, &images[0], 0);
    w.expected[0] = NULL;
    fake_floors_init(&fuses);
    w.store.hook.decide = fuses.hook.decide = decide;
    config = (struct fwr_keyring_config){.size = sizeof(config),
                                         .platform = &w.platform,
                                         .store = &w.store.store,
                                         .floors = on_fuses ? &fuses.floors : NULL,
                                         .provisioned = bare,
                                         .provisioned_length = bare_length,
                                         .storage = storage,
                                         .storage_size = sizeof(storage)};
    w.config.floors = config.floors;
    w.config.rounds = 1;
}

static uint32_t in_force(void)
{
    const struct fwr_trust *trust = fwr_keyring_trust(&keyring);

    return trust ? trust->generation : 0;
}

static uint32_t floor_now(void)
{
    const struct fwr_floors *floors = keyring.config.floors;
    uint32_t value = UINT32_MAX;

    assert_int_equal(floors->read(floors->ctx, FWR_FLOOR_GENERATION, 0, NULL, &value), FWR_OK);
    return value;
}

static int settle(void)
{
    while (fwr_keyring_step(&keyring, true) == FWR_PENDING)
        if (cut.happened)
            return FWR_E_STORE_IO;
    return cut.happened ? FWR_E_STORE_IO : FWR_OK;
}

static int go_to(size_t number)
{
    int error = fwr_keyring_propose(&keyring, envelopes[number], lengths[number]);

    return error ? error : settle();
}

/* ---- what has to hold ---- */

static int believed(size_t number)
{
    static struct fwr_manifest manifest;
    uint8_t id[FWR_ID_SIZE];

    return fwr_envelope_verify_manifest(images[number].envelope, images[number].envelope_length,
                                        fwr_keyring_trust(&keyring), &manifest, id);
}

static size_t number_of(uint32_t generation)
{
    for (size_t i = 0; i < SETS; i++)
        if (generations[i] == generation)
            return i;
    fail_msg("no set of generation %u is in force", (unsigned)generation);
    return 0;
}

/* Revoked by name in the next set, and left out of the one after it. */
static int gone(size_t n, size_t i)
{
    return i + 1 == n ? FWR_E_REVOKED : FWR_E_UNTRUSTED;
}

/* With set n in force: its keys and no others, and no way back. */
static void check_set(size_t n)
{
    for (size_t i = 0; i < SETS; i++) {
        int expected = i < n ? gone(n, i) : i <= n + 1 ? FWR_OK : FWR_E_UNTRUSTED;
        assert_int_equal(believed(i), expected);
    }
    for (size_t i = 0; i <= n; i++) {
        assert_true(go_to(i) < 0);
        assert_int_equal(in_force(), generations[n]);
    }
}

/* A whole repair of what each key has signed: only what is still trusted is written. */
static void check_repairs(size_t n)
{
    for (size_t i = 0; i <= n && i < SETS; i++) {
        world_damage(&w, 2 * 4096, 4096);
        memcpy(w.before, w.cells, w.nor.flash.geometry.size);
        w.config.trust = fwr_keyring_trust(&keyring);
        w.donor_count = w.config.peer_count = 0;
        free(w.storage);
        w.storage = NULL;
        world_add_donor(&w, &images[i])->image.trust = images[i].trust;
        assert_int_equal(world_boot(&w), FWR_OK);
        memset(&w.nor.counts, 0, sizeof(w.nor.counts));
        assert_int_equal(world_repair(&w), i < n ? REASON(gone(n, i)) : 0);
        if (i < n)
            assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
        fwr_recipient_end(w.recipient);
        fwr_donor_end(w.donors[0].engine);
        free(w.donors[0].storage);
        free(w.donors[0].image.bytes);
        memset(&w.donors[0], 0, sizeof(w.donors[0]));
        w.recipient = w.slots[0] = NULL;
    }
    w.donor_count = w.config.peer_count = 0;
}

/* ---- the drill ---- */

/* From the first start over set 1 to set 2, until the power fails: how many sets were reached. */
static size_t live(void)
{
    size_t reached = 0;

    if (fwr_keyring_init(&keyring, &config) != FWR_OK)
        return reached;
    for (reached = 1; reached < SETS && go_to(reached) == FWR_OK; reached++)
        ;
    return reached;
}

static bool drill(uint64_t at, enum fwr_fault_verdict how)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.how = how;
    begin();
    cut.armed = true;
    size_t reached = live();
    bool happened = cut.happened;
    memset(&cut, 0, sizeof(cut));
    fwr_store_ram_power_on(&w.store);
    fake_floors_power_on(&fuses);
    /* The next start: never none, never an older one than was reached. */
    uint32_t floor = floor_now();
    assert_int_equal(fwr_keyring_init(&keyring, &config), FWR_OK);
    size_t n = number_of(in_force());
    assert_true(n + 1 >= reached && n <= reached);
    assert_true(floor <= generations[n]); /* the set was durable before the floor rose to it */
    assert_int_equal(floor_now(), generations[n]);
    seen.cuts += happened;
    seen.old += happened && n + 1 == reached;
    seen.new += happened &&n == reached;
    seen.between += n > 0 && floor > generations[n - 1] && floor < generations[n];
    check_set(n);
    if (at % 4 == 0)
        check_repairs(n);
    /* And on to the end of the drill. */
    for (size_t next = n + 1; next < SETS; next++) {
        assert_int_equal(go_to(next), FWR_OK);
        assert_int_equal(in_force(), generations[next]);
        assert_int_equal(floor_now(), generations[next]);
        check_set(next);
    }
    assert_int_equal(fuses.broken, 0);
    world_free(&w);
    return happened;
}

static void test_rotation_cut_anywhere(void **state)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                                  FWR_FAULT_MARGINAL};

    (void)state;
    memset(&seen, 0, sizeof(seen));
    for (int kind = 0; kind < 2; kind++) {
        on_fuses = kind == 1;
        for (size_t way = 0; way < 4; way++)
            for (uint64_t at = 0; drill(at, ways[way]); at++)
                ;
    }
    printf("# rotation: %llu cuts; the old set in force %llu times, the new one %llu times; "
           "a floor left between %llu times\n",
           (unsigned long long)seen.cuts, (unsigned long long)seen.old,
           (unsigned long long)seen.new, (unsigned long long)seen.between);
    assert_true(seen.cuts >= 4 * (8 + 8));
    assert_true(seen.old > 0 && seen.new > 0 && seen.between > 0);
}

/* ---- in the middle of a run ---- */

static void tend(void)
{
    while (fwr_keyring_step(&keyring, fwr_recipient_quiet(w.recipient)) == FWR_PENDING)
        ;
}

/* What was begun under a set ends under it; then the next one counts. */
static void test_next_set_during_a_run(void **state)
{
    uint8_t held = 0;

    (void)state;
    on_fuses = false;
    memset(&cut, 0, sizeof(cut));
    begin();
    assert_int_equal(fwr_keyring_init(&keyring, &config), FWR_OK);
    w.config.trust = fwr_keyring_trust(&keyring);
    w.expected[0] = &images[0];
    world_damage(&w, 0, 12 * 4096);
    world_add_donor(&w, &images[0]);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_REPAIRING)
        assert_true(world_turn(&w));
    assert_int_equal(fwr_keyring_propose(&keyring, envelopes[1], lengths[1]), FWR_OK);
    while (world_status(&w).state != FWR_STATE_DONE) {
        tend();
        held |= world_status(&w).state != FWR_STATE_DONE;
        assert_int_equal(in_force(), generations[0]);
        assert_true(world_turn(&w));
    }
    assert_true(held);
    assert_true(world_is_right(&w, &images[0]));
    tend();
    assert_int_equal(in_force(), generations[1]);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_CHECK, 0), FWR_OK);
    world_run(&w, 60000);
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_REVOKED));
    world_free(&w);
}

/* A BMC that goes on asking because it trusts nothing it is offered has to learn the new keys. */
static void test_next_set_ends_a_fruitless_wait(void **state)
{
    (void)state;
    on_fuses = false;
    memset(&cut, 0, sizeof(cut));
    begin();
    assert_int_equal(fwr_keyring_init(&keyring, &config), FWR_OK);
    w.config.trust = fwr_keyring_trust(&keyring);
    w.config.rounds = UINT8_MAX;
    w.expected[0] = &images[2];
    world_damage(&w, 0, 12 * 4096);
    world_add_donor(&w, &images[2]);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_BACKOFF)
        assert_true(world_turn(&w));
    assert_int_equal(world_status(&w).reason, REASON(FWR_E_UNTRUSTED));
    assert_int_equal(fwr_keyring_propose(&keyring, envelopes[1], lengths[1]), FWR_OK);
    tend();
    assert_int_equal(in_force(), generations[1]);
    assert_int_equal(world_run(&w, 600000), FWR_STATE_DONE);
    assert_true(world_is_right(&w, &images[2]));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation_cut_anywhere),
        cmocka_unit_test(test_next_set_during_a_run),
        cmocka_unit_test(test_next_set_ends_a_fruitless_wait),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}
