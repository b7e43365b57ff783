/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any bytes as an envelope, as a donor may send them. One that opens must build
 * again to the same bytes, and fwr_envelope_total, given any prefix, must never ask for more
 * than there is.
 */
#include <fwrecover/envelope.h>
#include <fwrecover/error.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t built[FWR_ENVELOPE_MAX];
    struct fwr_envelope envelope;
    size_t total, have = 0;
    int error;

    /* As a reader does it: ask, read as far as told, ask again. */
    while ((error = fwr_envelope_total(data, have, &total)) == FWR_E_NO_SPACE) {
        require(total > have);
        if (total > size)
            break;
        have = total;
    }
    if (fwr_envelope_open(data, size, &envelope) != FWR_OK)
        return 0;
    require(error == FWR_OK && total == size);
    require(fwr_envelope_build(envelope.payload, envelope.payload_length, envelope.signatures,
                               envelope.signature_count, built, sizeof(built)) == (int)size);
    require(memcmp(built, data, size) == 0);
    return 0;
}
