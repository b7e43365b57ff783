/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any bytes into any command or page decoder. The first byte of the input chooses
 * the message. What a decoder takes must encode to the very bytes it read, and to nothing at
 * all in a buffer one byte shorter.
 */
#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "tests/fuzz/fuzz.h"

static uint8_t encoded[65536];

/* Whether a message may have bytes behind it that a reader does not know. */
enum growth {
    EXACT,
    GROWS,
};

/* `length` is what the encoder returned for a message that was decoded from `bytes`. */
static void check_same(int length, const uint8_t *bytes, size_t size, enum growth growth)
{
    require(length > 0 && (size_t)length <= size);
    require(growth == GROWS || (size_t)length == size);
    require(memcmp(encoded, bytes, (size_t)length) == 0);
}

#define MESSAGE(name, type, growth)                                                                \
    static void try_##name(const uint8_t *bytes, size_t size)                                      \
    {                                                                                              \
        struct fwr_##type message;                                                                 \
        int error = fwr_##name##_decode(bytes, size, &message);                                    \
        int length;                                                                                \
                                                                                                   \
        if (error != FWR_OK) {                                                                     \
            require(error == FWR_E_LENGTH || error == FWR_E_MALFORMED);                            \
            return;                                                                                \
        }                                                                                          \
        length = fwr_##name##_encode(&message, encoded, sizeof(encoded));                          \
        check_same(length, bytes, size, growth);                                                   \
        require(fwr_##name##_encode(&message, encoded, (size_t)length - 1) == FWR_E_NO_SPACE);     \
    }

/* clang-format off */
#define EACH_MESSAGE(X)                                                                            \
    X(get_capabilities_request, get_capabilities_request, EXACT)                                   \
    X(get_capabilities_reply, get_capabilities_reply, GROWS)                                       \
    X(request_image_request, request_image_request, EXACT)                                         \
    X(request_image_reply, request_image_reply, GROWS)                                             \
    X(read_manifest_request, read_manifest_request, EXACT)                                         \
    X(data_reply, data_reply, EXACT)                                                               \
    X(accept_offer_request, accept_offer_request, EXACT)                                           \
    X(accept_offer_reply, accept_offer_reply, GROWS)                                               \
    X(read_request, read_request, EXACT)                                                           \
    X(end_transfer_request, end_transfer_request, EXACT)                                           \
    X(empty_reply, empty_reply, GROWS)                                                             \
    X(offer_request, offer_request, EXACT)                                                         \
    X(offer_reply, offer_reply, GROWS)                                                             \
    X(get_wanted_request, get_wanted_request, EXACT)                                               \
    X(get_wanted_reply, get_wanted_reply, EXACT)                                                   \
    X(wanted, wanted, EXACT)                                                                       \
    X(write_data_request, write_data_request, EXACT)                                               \
    X(result_reply, result_reply, GROWS)                                                           \
    X(start_request, start_request, EXACT)                                                         \
    X(abort_request, start_request, EXACT)                                                         \
    X(get_status_request, get_status_request, EXACT)                                               \
    X(get_status_reply, get_status_reply, GROWS)                                                   \
    X(set_policy_request, set_policy_request, EXACT)                                               \
    X(read_page_request, read_page_request, EXACT)                                                 \
    X(read_page_reply, read_page_reply, EXACT)                                                     \
    X(status_page, status_page, GROWS)                                                             \
    X(policy_page, policy_page, GROWS)                                                             \
    X(peers_page, peers_page, GROWS)                                                               \
    X(peer_entry, peer_entry, GROWS)
/* clang-format on */

EACH_MESSAGE(MESSAGE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#define TRY(name, type, growth) try_##name,
    static void (*const tries[])(const uint8_t *bytes, size_t size) = {EACH_MESSAGE(TRY)};

    if (size > 0 && size - 1 <= sizeof(encoded))
        tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1, size - 1);
    return 0;
}
