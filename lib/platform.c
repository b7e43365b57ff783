/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform of small programs: libcrypto's random generator, no log. Real programs copy it
 * and add their own log.
 */
#include <fwrecover/platform.h>

#include <limits.h>

#include <openssl/rand.h>

#include <fwrecover/error.h>

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    uint8_t *at = buffer;

    (void)ctx;
    while (length > 0) {
        int part = length > INT_MAX ? INT_MAX : (int)length;

        if (RAND_bytes(at, part) != 1)
            return FWR_E_RANDOM;
        at += part;
        length -= (size_t)part;
    }
    return FWR_OK;
}

const struct fwr_platform fwr_platform_default = {
    .size = sizeof(struct fwr_platform),
    .random = random_bytes,
};
