/* SPDX-License-Identifier: Apache-2.0 */
/* Coded blocks: what is made comes apart again, and nothing else does. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/error.h>

#include "engine/codec.h"
#include "tests/unit/seeded.h"

#define BLOCK 4096

static uint8_t block[BLOCK], stream[BLOCK + 2], back[BLOCK];
static void *memory;

static int make(void **state)
{
    (void)state;
    memory = malloc(fwr_codec_storage() + 1);
    return memory == NULL;
}

static int unmake(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

static uint32_t coded_length(void)
{
    return (uint32_t)(stream[0] | stream[1] << 8);
}

static void fill_text(uint64_t seed)
{
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)("the firmware of a board, "[(i + seed) % 25] ^ (i % 511 == seed));
}

static void test_compressible_blocks_shrink(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        fill_text(seed);
        int length = fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, stream);
        assert_in_range(length, 3, BLOCK / 4);
        assert_int_equal(coded_length(), length - 2);
        assert_int_equal(fwr_codec_take(FWR_CODEC_LZ4, stream + 2, (size_t)length - 2, back, BLOCK),
                         FWR_OK);
        assert_memory_equal(back, block, BLOCK);
    }
}

static void test_other_blocks_stay_as_they_are(void **state)
{
    uint64_t random = 3;

    (void)state;
    seeded_fill(&random, block, BLOCK);
    assert_int_equal(fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, stream), BLOCK + 2);
    assert_int_equal(coded_length(), BLOCK);
    assert_memory_equal(stream + 2, block, BLOCK);
}

static void test_the_same_block_gives_the_same_stream(void **state)
{
    uint8_t first[BLOCK + 2];
    uint64_t random = 5;

    (void)state;
    fill_text(1);
    int length = fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, first);
    seeded_fill(&random, block, BLOCK); /* something else in between */
    fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, stream);
    fill_text(1);
    assert_int_equal(fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, stream), length);
    assert_memory_equal(stream, first, (size_t)length);
}

/* Every truncation and every changed byte: refused, or a block that the hash will refuse; never a
 * byte outside. */
static void test_spoilt_streams(void **state)
{
    uint8_t *exact;

    (void)state;
    fill_text(7);
    int length = fwr_codec_make(FWR_CODEC_LZ4, memory, block, BLOCK, stream) - 2;
    exact = malloc((size_t)length);
    for (int cut = 0; cut < length; cut++) {
        memcpy(exact, stream + 2, (size_t)cut);
        int error = fwr_codec_take(FWR_CODEC_LZ4, exact, (size_t)cut, back, BLOCK);
        assert_int_equal(error, FWR_E_MALFORMED);
    }
    for (int at = 0; at < length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(exact, stream + 2, (size_t)length);
            exact[at] ^= (uint8_t)(1u << bit);
            int error = fwr_codec_take(FWR_CODEC_LZ4, exact, (size_t)length, back, BLOCK);
            assert_true(error == FWR_OK || error == FWR_E_MALFORMED);
        }
    }
    free(exact);
    /* A block of another length is not what was coded. */
    assert_int_equal(fwr_codec_take(FWR_CODEC_LZ4, stream + 2, (size_t)length, back, BLOCK / 2),
                     FWR_E_MALFORMED);
}

static void test_unknown_codecs(void **state)
{
    (void)state;
    assert_int_equal(fwr_codec_make(2, memory, block, BLOCK, stream), FWR_E_UNSUPPORTED);
    assert_int_equal(fwr_codec_take(2, stream, 10, back, BLOCK), FWR_E_MALFORMED);
    assert_true(fwr_codec_known() & 1 << FWR_CODEC_NONE);
    assert_int_equal(fwr_codec_known() >> FWR_CODEC_LZ4 & 1, FWR_LZ4);
}

int main(void)
{
    const struct CMUnitTest coded[] = {
        cmocka_unit_test(test_compressible_blocks_shrink),
        cmocka_unit_test(test_other_blocks_stay_as_they_are),
        cmocka_unit_test(test_the_same_block_gives_the_same_stream),
        cmocka_unit_test(test_spoilt_streams),
        cmocka_unit_test(test_unknown_codecs),
    };
    const struct CMUnitTest plain[] = {cmocka_unit_test(test_unknown_codecs)};

    if (!FWR_LZ4)
        return cmocka_run_group_tests(plain, make, unmake);
    return cmocka_run_group_tests(coded, make, unmake);
}
