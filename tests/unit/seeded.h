/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeatable random numbers for the unit tests of the image: splitmix64, from a seed that the
 * test prints or fixes. Not for anything secret.
 */
#ifndef FWR_TEST_SEEDED_H
#define FWR_TEST_SEEDED_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t seeded_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `limit`, which is not 0. */
static inline uint32_t seeded_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((seeded_next(state) >> 32) % limit);
}

static inline void seeded_fill(uint64_t *state, uint8_t *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seeded_next(state) >> 56);
}

#endif
