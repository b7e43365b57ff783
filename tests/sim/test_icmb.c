/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recoveries over ICMB, where there is no LAN: what they cost of the bus, alone and with others,
 * on a bus that is noisy, cut or blocked for a while; and full buses. All on virtual time and real
 * bridges; the larger figures are those of `make icmb`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/icmb-row.h"
#include "tests/sim/icmb-world.h"

#define KIB     UINT32_C(1024)
#define BLOCK   UINT32_C(4096)
#define HOUR_MS (3600u * 1000)

static struct given_image image, small;

static struct row_result play(const char *what, struct row_options options)
{
    struct row_result r;

    options.image = options.image ? options.image : &image;
    options.seed = options.seed ? options.seed : 1;
    row_run(&options, &r);
    printf("# %s: %.1f s, %llu bytes on the bus, busy %.1f %%, %.1f %% of the limit, %llu "
           "collisions\n",
           what, r.seconds, (unsigned long long)r.bytes, 100 * r.busy,
           100 * r.least_seconds / r.seconds, (unsigned long long)r.collisions);
    assert_true(r.right);
    return r;
}

static void test_one_chassis_uses_what_the_line_allows(void **state)
{
    static const uint16_t packets[] = {0, 64, 256};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct row_result r =
            play("32 KiB",
                 (struct row_options){.chassis = 1, .damaged = 32 * KIB, .packet = packets[i]});
        assert_true(r.least_seconds >= 0.9 * r.seconds);
        assert_int_equal(r.blocks, 32 * KIB);
    }
}

/* Whatever several want goes over the bus once. */
static void test_the_same_damage_by_broadcast(void **state)
{
    struct row_options o = {.chassis = 8, .damaged = 48 * KIB};

    (void)state;
    struct row_result eight = play("8 alike", o);
    o.noise = (struct wire_noise){.single = 500};
    struct row_result noisy = play("8 alike, each missing something else", o);
    o.noise.single = 0;
    o.chassis = 1;
    struct row_result one = play("one of them", o);
    assert_true(eight.broadcasts > 0);
    assert_true((double)eight.bytes <= 1.3 * (double)one.bytes);
    assert_true((double)noisy.bytes <= 3 * (double)one.bytes);
}

/* Not one byte of it is written, and all are repaired all the same. */
static void test_a_corrupt_broadcast(void **state)
{
    struct row_options o = {.image = &small, .chassis = 3, .damaged = 4 * KIB, .lie_every = 25};

    (void)state;
    struct row_result r = play("every 25th Block Data corrupt", o);
    printf("# %llu blocks were fetched again\n", (unsigned long long)r.refetched);
    assert_true(r.broadcasts > 25);
    assert_true(r.refetched > 0);
}

/* It is missed, and asked for again; nothing of it is taken for ours. */
static void test_a_broadcast_of_another_image(void **state)
{
    struct row_options o = {.image = &small, .chassis = 3, .damaged = 4 * KIB, .foreign_every = 10};

    (void)state;
    struct row_result r = play("every 10th Block Data another image's", o);
    assert_true(r.broadcasts > 10);
    assert_int_equal(r.refetched, 0);
}

/* Never worse than one after the other. */
static void test_different_damages_at_once(void **state)
{
    struct row_options o = {.image = &small, .chassis = 8, .damaged = 6 * KIB, .different = true};

    (void)state;
    struct row_result at_once = play("8 different, at once", o);
    o.one_by_one = true;
    struct row_result one_by_one = play("8 different, one by one", o);
    assert_true(at_once.seconds <= one_by_one.seconds);
    assert_true(at_once.bytes <= one_by_one.bytes + one_by_one.bytes / 20);
}

/* Those who ask take turns: a node hears when it is its own, and they hardly ever collide. */
static void test_nobody_is_left_out(void **state)
{
    struct row_options o = {.image = &small, .damaged = 2 * KIB, .different = true};

    (void)state;
    o.no_broadcast = true;
    for (o.chassis = 4; o.chassis <= 16; o.chassis = (uint8_t)(o.chassis * 2)) {
        struct row_result r = play("4, 8, 16 who ask for themselves", o);
        assert_true(r.collisions < r.bytes / 25);
    }
}

static void test_noise(void **state)
{
    (void)state;
    struct row_options o = {.image = &small, .chassis = 1, .damaged = 8 * KIB};
    struct row_result calm = play("8 KiB, calm", o);
    o.noise = (struct wire_noise){.common = 500, .single = 500, .spurious = 200};
    struct row_result noisy = play("8 KiB, one character in 1,000 wrong", o);
    assert_true(noisy.seconds < 2 * calm.seconds);
    o.noise = (struct wire_noise){.single = 10000};
    play("8 KiB, one in 100", o);
}

static void test_the_same_seed_gives_the_same_bus(void **state)
{
    struct row_options o = {.image = &small,
                            .chassis = 3,
                            .damaged = 2 * KIB,
                            .seed = 7,
                            .noise = {.single = 2000, .spurious = 1000}};
    struct row_result first, again;

    (void)state;
    first = play("once", o);
    again = play("again", o);
    assert_memory_equal(&first, &again, sizeof(first));
    o.seed = 8;
    again = play("another seed", o);
    assert_memory_not_equal(&first, &again, sizeof(first));
}

static void test_full_buses(void **state)
{
    static const uint16_t nodes[] = {42, 64};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct row_discovery d;
        row_discover(nodes[i], 1, &d);
        printf("# %u nodes: addresses after %.1f s, %u found in %.1f s, %llu bytes\n", nodes[i],
               d.settled, d.found, d.seconds, (unsigned long long)d.bytes);
        assert_int_equal(d.error, 0);
        assert_int_equal(d.found, nodes[i] - 1);
        assert_int_equal(d.twice, 0);
    }
}

/* ---- a bus that fails for a while ---- */

static struct world w;
static struct icmb_world iw;

static void begin(const struct icmb_world_options *options, uint32_t damaged)
{
    world_init(&w, options->seed, &small, 1024);
    world_add_donor(&w, &small);
    world_add_donor(&w, &small);
    w.config.rounds = UINT8_MAX;
    world_damage(&w, 3 * small.block_size, damaged);
    icmb_world_attach(&iw, &w, options);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
}

static void end(void)
{
    struct fwr_status_page status;

    world_run(&w, HOUR_MS);
    status = world_status(&w);
    assert_int_equal(status.state, FWR_STATE_DONE);
    assert_int_equal(status.reason, 0);
    assert_true(world_is_right(&w, &small));
    assert_int_equal(status.blocks_refetched, 0);
    icmb_world_detach(&iw);
    world_free(&w);
}

static void run_to_the_middle(void)
{
    while (world_status(&w).blocks_fetched < 4)
        assert_true(world_turn(&w));
}

static void test_a_cut_in_the_middle(void **state)
{
    (void)state;
    begin(&(struct icmb_world_options){.seed = 3}, 8 * KIB);
    run_to_the_middle();
    wire_part(&iw.net.wire, 0, 1);
    uint64_t cut_at = w.now;
    while (w.now < cut_at + 60000)
        assert_true(world_turn(&w));
    assert_true(world_status(&w).state != FWR_STATE_DONE);
    wire_part(&iw.net.wire, 0, 0);
    end();
}

static void test_cut_again_and_again(void **state)
{
    (void)state;
    begin(&(struct icmb_world_options){.seed = 4, .cut_every_ms = 4000, .cut_ms = 3000}, 8 * KIB);
    world_run(&w, HOUR_MS);
    assert_true(iw.cuts > 2);
    printf("# %llu cuts, done after %.1f s\n", (unsigned long long)iw.cuts, (double)w.now / 1e3);
    end();
}

/* A node that holds the bus, or does not stop sending, and is pulled out after a while. */
static void test_a_stuck_node(void **state)
{
    static const enum wire_stuck ways[] = {WIRE_HELD, WIRE_BABBLES};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(&(struct icmb_world_options){.seed = 5 + i}, 8 * KIB);
        run_to_the_middle();
        wire_stick(&iw.net.wire, iw.net.now_us, 2, ways[i]);
        uint64_t from = w.now;
        while (w.now < from + 30000)
            assert_true(world_turn(&w));
        assert_true(world_status(&w).state != FWR_STATE_DONE);
        wire_stick(&iw.net.wire, iw.net.now_us, 2, WIRE_FREE);
        end();
    }
}

static void test_a_power_cut_resumes(void **state)
{
    (void)state;
    begin(&(struct icmb_world_options){.seed = 6}, 8 * KIB);
    run_to_the_middle();
    uint32_t before = world_status(&w).blocks_fetched;
    world_cut(&w);
    w.now += 3 * HOUR_MS; /* hours later */
    icmb_net_run(&iw.net, w.now * 1000);
    assert_int_equal(world_boot(&w), FWR_OK);
    world_run(&w, HOUR_MS);
    printf("# %u blocks before the cut, %u after it\n", before, world_status(&w).blocks_fetched);
    assert_true(world_status(&w).blocks_fetched < 9);
    end();
}

static int set_up(void **state)
{
    (void)state;
    row_image_make(&image, 512, BLOCK);
    row_image_make(&small, 128, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    given_image_free(&small);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_chassis_uses_what_the_line_allows),
        cmocka_unit_test(test_the_same_damage_by_broadcast),
        cmocka_unit_test(test_a_corrupt_broadcast),
        cmocka_unit_test(test_a_broadcast_of_another_image),
        cmocka_unit_test(test_different_damages_at_once),
        cmocka_unit_test(test_nobody_is_left_out),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_the_same_seed_gives_the_same_bus),
        cmocka_unit_test(test_full_buses),
        cmocka_unit_test(test_a_cut_in_the_middle),
        cmocka_unit_test(test_cut_again_and_again),
        cmocka_unit_test(test_a_stuck_node),
        cmocka_unit_test(test_a_power_cut_resumes),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
