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

static void threat_11_preserved_region(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        recover(4096, true, seed);
        recover(8192, true, seed);
        recover(16384, true, seed);
    }
    recover(32768, false, 1); /* a unit would hold both */
    threat_say(11, "preserved region");
    assert_int_equal(threat.strangers, 0);
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
