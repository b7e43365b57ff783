/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threats to which version runs: older images that are signed all right, fresh ones withheld,
 * and floors that rise before a boot was proven.
 */
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "tests/sim/threat.h"

static struct given_image older, newer; /* security versions 2 and 4 */

static int set_up(void **state)
{
    int error = threat_set_up(state);

    older = (struct given_image){
        .blocks = 24, .sequence = 9, .security_version = 2, .hardware_min = 2, .seed = 2};
    newer = (struct given_image){
        .blocks = 24, .sequence = 8, .security_version = 4, .hardware_min = 2, .seed = 4};
    if (!error)
        error = given_image_make(&older);
    return error ? error : given_image_make(&newer);
}

static int tear_down(void **state)
{
    given_image_free(&older);
    given_image_free(&newer);
    return threat_tear_down(state);
}

/* ---- cuts ---- */

static struct {
    bool armed;
    uint64_t operations, at;
    enum fwr_fault_verdict how;
    bool happened;
    uint32_t highest; /* allowed floor */
    uint64_t early;   /* operations that found a higher one */
} cut;

/* The security version floor as the store has it: the u32 after format and component. */
static uint32_t stored_floor(void)
{
    const struct fwr_store_ram_record *record = fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, 0);
    const uint8_t *at = record && record->used ? record->data + 1 + FWR_UUID_SIZE : NULL;

    return at ? at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24 : 0;
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at;
    cut.early += stored_floor() > cut.highest;
    if (!cut.armed || cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return cut.how;
}

/* A board that was confirmed at security version 3, and then damaged. */
static void begin_confirmed(uint64_t seed)
{
    threat_begin(seed);
    world_add_donor(&w, &image);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(stored_floor(), 3);
    threat_end_donors();
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
    world_damage(&w, 0, 12 * BLOCK);
    world_damage(&w, 18 * BLOCK, 6 * BLOCK);
    w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
}

/* Another donor takes the place of the only one; the BMC starts again. */
static int boot_with(const struct given_image *offered)
{
    threat_end_donors();
    world_add_donor(&w, offered);
    w.expected[0] = &image;
    w.expected[1] = offered == &older ? NULL : offered;
    return world_boot(&w);
}

/* A recovery to the newer version is cut at an operation; then only the older one is offered. */
static bool cut_and_offer_older(uint64_t at, enum fwr_fault_verdict how)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.how = how;
    cut.highest = 4;
    begin_confirmed(at);
    assert_int_equal(boot_with(&newer), FWR_OK);
    cut.armed = true;
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, 600000);
    bool happened = cut.happened;
    cut.armed = false;
    threat.attacks += happened;
    world_cut(&w);
    assert_int_equal(boot_with(&older), FWR_OK);
    w.expected[1] = &newer;
    world_run(&w, 600000);
    if (world_status(&w).state == FWR_STATE_IDLE)
        world_repair(&w);
    /* Done is only what was committed before the cut; all else ends without the older image. */
    if (world_status(&w).state == FWR_STATE_DONE)
        assert_true(world_is_right(&w, &newer));
    else
        assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_true(stored_floor() >= 3);
    assert_false(world_is_right(&w, &older));
    threat_end();
    return happened;
}

static void threat_04_rollback(void **state)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN,
                                                  FWR_FAULT_AFTER};

    (void)state;
    /* One below, at, and above the floor. */
    memset(&cut, 0, sizeof(cut));
    cut.highest = 4;
    begin_confirmed(1);
    assert_int_equal(boot_with(&older), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(FWR_E_BELOW_FLOOR));
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    threat.attacks++;
    assert_int_equal(boot_with(&image), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(stored_floor(), 3);
    assert_int_equal(boot_with(&newer), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(stored_floor(), 4);
    /* What was at the floor is below it now; a promised sequence does not help. */
    assert_int_equal(boot_with(&image), FWR_OK);
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
    assert_int_equal(world_repair(&w), REASON(FWR_E_BELOW_FLOOR));
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    threat.attacks++;
    threat_end();

    for (size_t way = 0; way < 3; way++)
        for (uint64_t at = 0; cut_and_offer_older(at, ways[way]); at++)
            ;
    threat_nothing_foreign(4, "rollback");
}

/* ---- freeze ---- */

/* What the log reports of the search. */
static struct {
    unsigned rounds, asked, of, chosen;
} report;

static void listen(void *ctx, enum fwr_log_level level, const char *text)
{
    unsigned asked = 0, of = 0;

    (void)ctx, (void)level;
    report.rounds += sscanf(text, "asking %u of %u donors", &asked, &of) == 2;
    sscanf(text, "chosen: version %*s sequence %u, security version %*u; %u of %u donors",
           &report.chosen, &report.asked, &report.of);
}

static void freeze(uint64_t seed, unsigned donors, unsigned fresh, uint32_t promised,
                   uint8_t rounds)
{
    threat_begin(seed);
    w.config.rounds = rounds;
    w.config.gather_ms = 200;
    for (unsigned i = 0; i < donors; i++) {
        if (i == fresh)
            world_add_donor(&w, &newer);
        else
            threat_add_liar(image.envelope, image.envelope_length, image.id, promised);
    }
    threat.attacks += donors - 1;
    w.expected[0] = &newer;
    if (donors > 8)
        w.rules.min_sequence = 8; /* the last confirmed one: what is older is stale */
    memset(&report, 0, sizeof(report));
    w.platform.log = listen;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_in_range(report.rounds, 1, donors > 8 ? rounds : 1);
    assert_int_equal(report.of, donors);
    assert_in_range(report.asked, donors > 8 ? 2 : donors, donors);
    assert_int_equal(report.chosen, 8);
    assert_int_equal(world_status(&w).sequence, 8);
    assert_true(world_is_right(&w, &newer));
    threat_end();
}

/* Up to eight donors are all asked, more are sampled, and more and more of them while what is
 * found is stale; whatever the others promise, the highest signed sequence is taken. */
static void threat_05_freeze(void **state)
{
    (void)state;
    for (unsigned fresh = 0; fresh < 8; fresh++) {
        freeze(fresh, 8, fresh, 7, 8);
        freeze(fresh, 8, fresh, UINT32_MAX, 8);
    }
    /* 2, 4, 8 … are asked, and in the last round all. */
    for (unsigned fresh = 0; fresh < 100; fresh += 11) {
        freeze(100 + fresh, 100, fresh, 7, 5);
        freeze(200 + fresh, 100, fresh, UINT32_MAX, 8);
    }
    threat_nothing_foreign(5, "freeze");
}

/* ---- fast-forward ---- */

/* One run to the trial, cut on its way; the boot is then proven, or not. */
static bool forward(uint64_t at, bool proven)
{
    memset(&cut, 0, sizeof(cut));
    cut.at = at;
    cut.how = FWR_FAULT_AFTER;
    cut.highest = 3;
    begin_confirmed(at);
    w.config.boot_proof_ms = 10000;
    assert_int_equal(boot_with(&newer), FWR_OK);
    cut.armed = true;
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    while (world_status(&w).state != FWR_STATE_TRIAL && !cut.happened)
        assert_true(world_turn(&w));
    bool happened = cut.happened;
    cut.armed = false;
    threat.attacks += happened;
    if (happened) {
        world_cut(&w);
        assert_int_equal(world_boot(&w), FWR_OK);
        if (world_status(&w).state == FWR_STATE_IDLE)
            assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
        while (world_status(&w).state != FWR_STATE_TRIAL)
            assert_true(world_turn(&w));
    }
    assert_int_equal(cut.early, 0);
    assert_int_equal(stored_floor(), 3);
    if (proven) {
        cut.highest = 4;
        fwr_recipient_boot_proven(w.recipient, w.now);
        assert_int_equal(world_run(&w, 60000), FWR_STATE_DONE);
        assert_int_equal(stored_floor(), 4);
    } else {
        world_run(&w, 60000);
        assert_int_equal(world_status(&w).reason, REASON(FWR_E_BOOT_PROOF));
        assert_int_equal(stored_floor(), 3);
    }
    assert_int_equal(cut.early, 0);
    threat_end();
    return happened;
}

/* Signed all right, and for a security version that would lock every other image out. */
static void jump(uint32_t security_version, uint32_t max_jump, int reason)
{
    struct given_image far = {.blocks = 24,
                              .sequence = 10,
                              .security_version = security_version,
                              .hardware_min = 2,
                              .seed = 6};

    assert_int_equal(given_image_make(&far), FWR_OK);
    memset(&cut, 0, sizeof(cut));
    cut.highest = UINT32_MAX;
    begin_confirmed(security_version);
    w.config.max_jump = max_jump;
    assert_int_equal(boot_with(&far), FWR_OK);
    memset(&w.nor.counts, 0, sizeof(w.nor.counts));
    assert_int_equal(world_repair(&w), REASON(reason));
    assert_int_equal(stored_floor(), reason ? 3 : security_version);
    if (reason) {
        assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
        threat.attacks++;
    } else {
        assert_true(world_is_right(&w, &far));
    }
    threat_end();
    given_image_free(&far);
}

static void threat_06_fast_forward(void **state)
{
    (void)state;
    jump(3 + FWR_FLOOR_JUMP_DEFAULT, 0, 0);
    jump(3 + FWR_FLOOR_JUMP_DEFAULT + 1, 0, FWR_E_FLOOR_JUMP);
    jump(UINT32_MAX, 0, FWR_E_FLOOR_JUMP);
    jump(4, 1, 0);
    jump(5, 1, FWR_E_FLOOR_JUMP);
    jump(UINT32_MAX, UINT32_MAX, 0); /* what the board's own configuration allows */
    for (uint64_t at = 0; forward(at, at % 2 == 0); at++)
        ;
    forward(UINT64_MAX, false);
    threat_nothing_foreign(6, "fast-forward");
}

#define VERSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        VERSION(threat_04_rollback),
        VERSION(threat_05_freeze),
        VERSION(threat_06_fast_forward),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
