/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sweep of power cuts plays: see powercut.h. A scenario's strides are those of the
 * everyday suite; `make powercut` does all, except where one says that a part is enough.
 */
#include "tests/sim/powercut.h"

#include <string.h>

#include <fwrecover/error.h>

#define SMALL_WORLD .image = &image, .erase_size = 4096, .batch = 4, .donors = 1

static struct given_image image, tiny, large, newer, moved, fine, coarse, chip, little;

const struct powercut_scenario powercut_scenarios[] = {
    {.name = "small", SMALL_WORLD, .cuts = 1},
    {.name = "two blocks a unit",
     .image = &image,
     .erase_size = 8192,
     .batch = 4,
     .donors = 1,
     .cuts = 1},
    {.name = "several segments",
     .image = &large,
     .erase_size = 4096,
     .batch = 3,
     .donors = 1,
     .cuts = 1,
     .stride = 5},
    {.name = "one batch, two donors",
     .image = &image,
     .erase_size = 4096,
     .batch = 64,
     .donors = 2,
     .stride = 2,
     .cuts = 1},
    {.name = "sound guard", SMALL_WORLD, .sound_guard = true, .cuts = 1},
    {.name = "boot proof", SMALL_WORLD, .boot_proof_ms = 60000, .cuts = 1},
    {.name = "slow devices", SMALL_WORLD, .pending = 2, .cuts = 1, .stride = 2},
    {.name = "write cache, batch of 1",
     .image = &image,
     .erase_size = 4096,
     .batch = 1,
     .donors = 1,
     .cached = true,
     .stride = 3,
     .cuts = 1},
    {.name = "write cache", SMALL_WORLD, .cached = true, .cuts = 1},
    {.name = "write cache, batch of 16",
     .image = &image,
     .erase_size = 4096,
     .batch = 16,
     .donors = 1,
     .cached = true,
     .stride = 3,
     .cuts = 1},
    {.name = "write cache, another image",
     SMALL_WORLD,
     .other = &moved,
     .cached = true,
     .stride = 2,
     .cuts = 1},
    {.name = "newer image", SMALL_WORLD, .other = &newer, .cuts = 1},
    {.name = "image of another map", SMALL_WORLD, .other = &moved, .stride = 3, .cuts = 1},
    {.name = "image of larger blocks",
     .image = &fine,
     .other = &coarse,
     .erase_size = 4096,
     .block_size = 8192,
     .batch = 4,
     .donors = 1,
     .stride = 3,
     .cuts = 1},
    {.name = "image of smaller blocks",
     .image = &coarse,
     .other = &fine,
     .erase_size = 4096,
     .block_size = 8192,
     .batch = 4,
     .donors = 1,
     .stride = 3,
     .cuts = 1},
    /* The journal's own medium is cut, torn and marginal as well. */
    {.name = "directory store",
     SMALL_WORLD,
     .boot_proof_ms = 60000,
     .disk = true,
     .cuts = 1,
     .variants = 2,
     .stride = 2},
    {.name = "rot while the power is off", SMALL_WORLD, .after = POWERCUT_ROT, .cuts = 1},
    {.name = "a bit of the journal wrong",
     SMALL_WORLD,
     .after = POWERCUT_JOURNAL_BIT,
     .cuts = 1,
     .variants = 16,
     .stride = 11},
    {.name = "the journal lost",
     .image = &tiny,
     .erase_size = 4096,
     .batch = 2,
     .donors = 1,
     .after = POWERCUT_JOURNAL_LOST,
     .cuts = 2,
     .pair_stride = 131,
     .full_pair_stride = 7},
    {.name = "both slots of the journal torn",
     SMALL_WORLD,
     .disk = true,
     .after = POWERCUT_JOURNAL_LOST,
     .cuts = 1,
     .stride = 3},
    /* Every write fails, once or until somebody helps; then a cut as well. */
    {.name = "the store fails",
     SMALL_WORLD,
     .store_fails = FWR_E_STORE_IO,
     .boot_proof_ms = 60000,
     .cuts = 2,
     .pair_stride = 23},
    {.name = "the store is full",
     SMALL_WORLD,
     .store_fails = FWR_E_STORE_FULL,
     .cuts = 2,
     .pair_stride = 29},
    {.name = "very slow devices", SMALL_WORLD, .pending = 50, .cuts = 1, .stride = 19},
    {.name = "every pair",
     .image = &tiny,
     .erase_size = 4096,
     .batch = 2,
     .donors = 1,
     .boot_proof_ms = 60000,
     .cuts = 2,
     .pair_stride = 157},
    {.name = "pairs, directory store",
     .image = &tiny,
     .erase_size = 4096,
     .batch = 2,
     .donors = 1,
     .disk = true,
     .cuts = 2,
     .stride = 7,
     .pair_stride = 499,
     .full_pair_stride = 5},
    /* The bus goes on while the power is off; what is cut there is cut at other places each time.
     */
    {.name = "over ICMB",
     .image = &little,
     .erase_size = 512,
     .block_size = 512,
     .batch = 4,
     .donors = 2,
     .boot_proof_ms = 60000,
     .icmb = true,
     .cuts = 2,
     .stride = 5,
     .pair_stride = 401,
     .full_pair_stride = 17},
    {.name = "16 MiB, 64 KiB of it damaged",
     .image = &chip,
     .erase_size = 4096,
     .batch = 4,
     .donors = 1,
     .scatter = 16,
     .cuts = 1,
     .stride = 397},
    {.name = "16 MiB, 1 MiB of it damaged",
     .image = &chip,
     .erase_size = 65536,
     .batch = 16,
     .donors = 2,
     .scatter = 256,
     .cuts = 1,
     .stride = 997,
     .full_stride = 5},
};
const unsigned powercut_scenario_count = sizeof(powercut_scenarios) / sizeof(powercut_scenarios[0]);

const struct powercut_scenario *powercut_scenario(const char *name)
{
    for (unsigned i = 0; i < powercut_scenario_count; i++)
        if (strcmp(powercut_scenarios[i].name, name) == 0)
            return &powercut_scenarios[i];
    return NULL;
}

static void make(struct given_image *g, uint32_t blocks, uint32_t block_size, uint32_t sequence)
{
    g->blocks = blocks;
    g->block_size = block_size;
    g->sequence = sequence;
    g->seed = sequence;
    if (given_image_make(g))
        abort();
}

static void lay_out(struct given_image *g, const struct fwr_region *regions, uint16_t count)
{
    g->manifest.map.count = count;
    memcpy(g->manifest.map.regions, regions, count * sizeof(regions[0]));
}

void powercut_images_make(void)
{
    static const struct fwr_region elsewhere[] = {
        {0, 3 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {3 * 4096, 9 * 4096, FWR_REGION_FILL, 0, 0x77},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    static const struct fwr_region halves[] = {
        {0, 12 * 4096, FWR_REGION_WRITE, 0, 0},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    static const struct fwr_region few[] = {
        {0, 4 * 4096, FWR_REGION_WRITE, 0, 0},
        {4 * 4096, 8 * 4096, FWR_REGION_FILL, 0, 0x77},
        {12 * 4096, 4 * 4096, FWR_REGION_PRESERVE, 0, 0},
        {16 * 4096, 8 * 4096, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    static const struct fwr_region small[] = {
        {0, 128 * 512, FWR_REGION_WRITE, 0, 0},
        {128 * 512, 8 * 512, FWR_REGION_FILL, 0, 0xa5},
        {136 * 512, 8 * 512, FWR_REGION_PRESERVE, 0, 0},
        {144 * 512, 112 * 512, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };
    /* A chip of 64 KiB erase units: variables and serial numbers in the middle. */
    static const struct fwr_region whole[] = {
        {0, 0x7e0000, FWR_REGION_WRITE, 0, 0},
        {0x7e0000, 0x20000, FWR_REGION_PRESERVE, 0, 0},
        {0x800000, 0x10000, FWR_REGION_FILL, 0, 0xff},
        {0x810000, 0x7f0000, FWR_REGION_WRITE, FWR_REGION_BOOT, 0},
    };

    lay_out(&large, small, 4);
    lay_out(&fine, few, 4);
    lay_out(&moved, elsewhere, 4);
    lay_out(&coarse, halves, 3);
    lay_out(&chip, whole, 4);
    make(&image, 24, 4096, 7);
    make(&tiny, 16, 4096, 7);
    make(&large, 256, 512, 7);
    make(&newer, 24, 4096, 8);
    make(&moved, 24, 4096, 9);
    make(&fine, 24, 4096, 9);
    make(&coarse, 12, 8192, 10);
    make(&chip, 4096, 4096, 7);
    make(&little, 24, 512, 7);
}

void powercut_images_free(void)
{
    given_image_free(&image);
    given_image_free(&tiny);
    given_image_free(&large);
    given_image_free(&newer);
    given_image_free(&moved);
    given_image_free(&fine);
    given_image_free(&coarse);
    given_image_free(&chip);
    given_image_free(&little);
}
