/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds in a box (box.h): that a seed replays bit for bit, and a few dozen worlds. The everyday
 * suite plays a thousand by sim_first_half and sim_second_half; here they are few enough for the
 * faults of tests/mutants, each of which the oracles must see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/box.h"

#define REPLAYED 12
#define FIRST    1
#define WORLDS   400 /* a fault is seen within so many, or it is not seen */

static void a_seed_replays_bit_for_bit(void **state)
{
    uint8_t digests[REPLAYED][32];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < REPLAYED; i++) {
            struct box *box = box_run(FIRST + i, NULL);
            if (turn == 0)
                memcpy(digests[i], box->trace.result, 32);
            assert_memory_equal(box->trace.result, digests[i], 32);
            box_free(box);
        }
    }
    for (unsigned i = 1; i < REPLAYED; i++)
        assert_memory_not_equal(digests[i], digests[0], 32);
    printf("# %d seeds played twice: the same SHA-256 over all events and messages\n", REPLAYED);
}

static void worlds_break_no_rule(void **state)
{
    (void)state;
    for (uint64_t seed = FIRST; seed < FIRST + WORLDS; seed++) {
        struct box *box = box_run(seed, NULL);
        bool violated = box->violated;
        char violation[sizeof(box->violation)];
        memcpy(violation, box->violation, sizeof(violation));
        box_free(box);
        if (violated)
            fail_msg("seed %llu: %s; to see it: make sim SEED=%llu", (unsigned long long)seed,
                     violation, (unsigned long long)seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_replays_bit_for_bit),
        cmocka_unit_test(worlds_break_no_rule),
    };

    /* Without an argument only what is not played elsewhere. */
    cmocka_set_test_filter(argc > 1 ? argv[1] : "a_seed_replays_bit_for_bit");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
