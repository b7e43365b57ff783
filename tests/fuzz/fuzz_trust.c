/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any bytes as a trust set. What is taken encodes to the same bytes (unknown
 * ignorable fields, which come last, aside).
 */
#include <fwrecover/error.h>
#include <fwrecover/trust.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t encoded[FWR_TRUST_MAX];
    static struct fwr_trust trust;
    int length;

    if (fwr_trust_decode(data, size, &trust) != FWR_OK)
        return 0;
    length = fwr_trust_encode(&trust, encoded, sizeof(encoded));
    require(length > 0 && (size_t)length <= size);
    require(memcmp(encoded, data, (size_t)length) == 0);
    return 0;
}
