/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures that are promised: bytes moved for known damage, memory for a 64 MiB flash, no
 * allocation after init. And the push, which moves the same bytes the other way.
 */
#include <config.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#define BLOCK 4096u
#define KIB   1024u

static struct world w;
static struct given_image image;

/* A chip of random bytes, all of it `write`: what the promised figures are about. */
static void make_random(uint32_t blocks)
{
    uint64_t random = blocks;

    memset(&image, 0, sizeof(image));
    image.blocks = blocks;
    image.block_size = BLOCK;
    image.bytes = malloc((size_t)blocks * BLOCK);
    seeded_fill(&random, image.bytes, (size_t)blocks * BLOCK);
    image.manifest.map.count = 1;
    image.manifest.map.regions[0] =
        (struct fwr_region){0, blocks * BLOCK, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    assert_int_equal(given_image_make(&image), FWR_OK);
    world_init(&w, 5, &image, 0);
    world_add_donor(&w, &image);
}

static void clean(void)
{
    world_free(&w);
    given_image_free(&image);
}

static void assert_payload(const char *what, uint64_t most)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), 0);
    assert_true(world_is_right(&w, &image));
    printf("# %s: %llu bytes of network function data, at most %llu\n", what,
           (unsigned long long)w.payload, (unsigned long long)most);
    assert_true(w.payload <= most);
}

static void test_payload_64_kib_in_16_mib(void **state)
{
    (void)state;
    make_random(4096);
    world_damage(&w, 1000 * BLOCK, 16 * BLOCK);
    assert_payload("64 KiB in one piece in 16 MiB", 72000);
    clean();
}

static void test_payload_16_scattered_blocks_in_16_mib(void **state)
{
    (void)state;
    make_random(4096);
    for (uint32_t i = 0; i < 16; i++)
        world_damage(&w, (i * 256 + world_draw(&w, 256)) * BLOCK, BLOCK);
    assert_payload("16 scattered blocks in 16 MiB", 76000);
    clean();
}

static void test_payload_4_kib_in_64_mib(void **state)
{
    (void)state;
    make_random(16384);
    world_damage(&w, 9999 * BLOCK, BLOCK);
    assert_payload("4 KiB in 64 MiB", 6 * KIB);
    clean();
}

/* ---- memory ---- */

#define STACK_SIZE (512 * KIB)
#define STACK_MARK 0xa7

/* The loop that drives the recipient, on a stack of its own; the network's and the donor's
 * frames are on it too, so the figure is a little too large. */
static void *drive(void *unused)
{
    (void)unused;
    while (world_status(&w).state != FWR_STATE_DONE && world_turn(&w))
        ;
    return NULL;
}

/* Runs `drive` and returns the most stack that was in use. */
static size_t measure_stack(void)
{
    uint8_t *stack = aligned_alloc(4 * KIB, STACK_SIZE);
    pthread_attr_t attributes;
    pthread_t thread;
    size_t untouched = 0;

    memset(stack, STACK_MARK, STACK_SIZE);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, drive, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    while (stack[untouched] == STACK_MARK)
        untouched++;
    free(stack);
    return STACK_SIZE - untouched;
}

static void test_memory_of_a_64_mib_recovery(void **state)
{
    (void)state;
    make_random(16384);
    world_damage(&w, 100 * BLOCK, 40 * BLOCK);
    world_damage(&w, 12345 * BLOCK, BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    size_t stack = measure_stack();
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, &image));
    size_t lanes = fwr_recipient_lane_storage(&w.config);
    size_t rest = fwr_recipient_storage(&w.config) - lanes;
    printf("# 64 MiB: storage %zu + stack %zu = %zu bytes, lanes %zu%s\n", rest, stack,
           rest + stack, lanes, FWR_INSTRUMENTED ? "; an instrumented stack says nothing" : "");
    if (FWR_INSTRUMENTED)
        stack = 0;
    assert_true(rest + stack <= 128 * KIB);
    assert_int_equal(lanes, 4 * BLOCK);
    clean();
}

/* ---- allocations ---- */

/* The linker sends every allocation of this program's own objects, the library's among them,
 * through here (--wrap); those of libcrypto and libc go their own way. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool trap;
static unsigned trapped;

void *__wrap_malloc(size_t size)
{
    trapped += trap;
    return trap ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    trapped += trap;
    return trap ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    trapped += trap;
    return trap ? NULL : __real_realloc(old, size);
}

static void test_no_allocation_after_init(void **state)
{
    void *volatile control;

    (void)state;
    make_random(256);
    world_damage(&w, 20 * BLOCK, 40 * BLOCK);
    assert_int_equal(world_boot(&w), FWR_OK);
    trap = true;
    control = malloc(1);
    assert_int_equal(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0), FWR_OK);
    world_run(&w, 600000);
    trap = false;
    printf("# allocations refused: %u, one of them the test's own\n", trapped);
    assert_null(control);
    assert_int_equal(trapped, 1);
    assert_int_equal(world_status(&w).reason, 0);
    assert_true(world_is_right(&w, &image));
    clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_64_kib_in_16_mib),
        cmocka_unit_test(test_payload_16_scattered_blocks_in_16_mib),
        cmocka_unit_test(test_payload_4_kib_in_64_mib),
        cmocka_unit_test(test_memory_of_a_64_mib_recovery),
        cmocka_unit_test(test_no_allocation_after_init),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
