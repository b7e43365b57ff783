/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole recoveries through the engines, in a world in a box.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/world.h"

static void test_one_block(void **state)
{
    struct given_image image = {.blocks = 64};
    static struct world w;

    (void)state;
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 1, &image, 0);
    w.verbose = true;
    world_add_donor(&w, &image);
    world_damage(&w, 5 * 4096 + 100, 1);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
    assert_int_equal(world_status(&w).blocks_fetched, 1);
    assert_int_equal(world_status(&w).blocks_repaired, 1);
    world_free(&w);
    given_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
