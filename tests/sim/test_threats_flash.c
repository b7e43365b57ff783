/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threats to the flash: regions that are not the image's, whatever the image says. Power cuts
 * (21) are in test_powercut.c.
 */
#include <string.h>

#include <fwrecover/error.h>

#include "tests/sim/threat.h"

/* A whole chip's worth of damage, in erase units of this size: repaired or refused, and in
 * either case the preserved region is as it was. */
static void recover(uint32_t erase_size, bool fits, uint64_t seed)
{
    world_init(&w, seed, &image, erase_size);
    w.config.rounds = 1;
    for (uint16_t i = 0; i < image.manifest.map.count; i++) {
        const struct fwr_region *r = &image.manifest.map.regions[i];
        world_damage(&w, r->offset, r->length); /* what is preserved is not the donor's either */
    }
    world_add_donor(&w, &image);
    threat.attacks++;
    if (!fits) {
        threat_refused(FWR_E_GEOMETRY);
        return;
    }
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image)); /* compares `preserve` with what was there */
    assert_int_equal(w.strangers, 0);
    threat_end();
}

/* The board itself preserves blocks 2 and 3, and a block of what is filled: the image says that
 * all of it is to be written. */
static void recover_around(uint64_t seed)
{
    static const struct fwr_region_map local = {
        .count = 5,
        .regions = {{0, 2 * BLOCK, FWR_REGION_WRITE, 0, 0},
                    {2 * BLOCK, 2 * BLOCK, FWR_REGION_PRESERVE, 0, 0},
                    {4 * BLOCK, 12 * BLOCK, FWR_REGION_WRITE, 0, 0},
                    {16 * BLOCK, BLOCK, FWR_REGION_PRESERVE, 0, 0},
                    {17 * BLOCK, 7 * BLOCK, FWR_REGION_WRITE, 0, 0}}};
    static uint8_t own[3 * BLOCK];

    world_init(&w, seed, &image, 0);
    w.board.local = &local;
    for (uint16_t i = 1; i < 4; i += 2) {
        w.preserve[w.nor.preserve_count].offset = local.regions[i].offset;
        w.preserve[w.nor.preserve_count++].length = local.regions[i].length;
    }
    world_damage(&w, 0, 12 * BLOCK);
    world_damage(&w, 16 * BLOCK, 8 * BLOCK);
    memcpy(own, w.cells + 2 * BLOCK, 2 * BLOCK);
    memcpy(own + 2 * BLOCK, w.cells + 16 * BLOCK, BLOCK);
    world_add_donor(&w, &image);
    threat.attacks++;
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_memory_equal(own, w.cells + 2 * BLOCK, 2 * BLOCK);
    assert_memory_equal(own + 2 * BLOCK, w.cells + 16 * BLOCK, BLOCK);
    assert_memory_equal(image.bytes + 4 * BLOCK, w.cells + 4 * BLOCK, 8 * BLOCK);
    assert_memory_equal(image.bytes + 18 * BLOCK, w.cells + 18 * BLOCK, 6 * BLOCK);
    threat_end();
}

static void threat_11_preserved_region(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        recover_around(seed);
    for (uint64_t seed = 0; seed < 20; seed++) {
        recover(4096, true, seed);
        recover(8192, true, seed);
        recover(16384, true, seed);
    }
    recover(32768, false, 1); /* a unit would hold both */
    threat_nothing_foreign(11, "preserved region");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        THREAT(threat_11_preserved_region),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
