/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole messages through the dispatcher, against the vectors that a second implementation
 * made: NetFn data with IANA number in, completion code, IANA number and body out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/oem.h>

#include "tests/unit/vectors.h"

static const struct fwr_oem without_roles = {
    .size = sizeof(struct fwr_oem),
    .iana = 32473,
    .command_base = FWR_COMMAND_BASE,
    .max_request = 197,
    .max_reply = 240,
    .window = 15,
};

static void use_exchange(const struct vector *vector)
{
    const struct fwr_caller caller = {
        .security = FWR_SECURITY_SUITE,
        .privilege = (uint8_t)vector_number(vector, "privilege"),
        .max_reply = 964,
    };
    const uint8_t code = (uint8_t)vector_number(vector, "code");
    uint8_t request[256], wanted[256], reply[FWR_OEM_HEADER + 964];
    size_t length = vector_hex(vector, "request", request, sizeof(request));
    size_t wanted_length = vector_hex(vector, "reply", wanted, sizeof(wanted));

    print_message("%s\n", vector->name);
    assert_int_equal(
        fwr_oem_handle(&without_roles, 0, &caller, code, request, length, reply, sizeof(reply)),
        wanted_length);
    assert_memory_equal(reply, wanted, wanted_length);
    assert_int_equal(fwr_oem_is_ours(&without_roles, code, request, length), code < 0xd0);
}

static void vectors_of_exchanges(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("exchange.txt", use_exchange), 10);
}

/* Another vendor's message is not for us, whatever its code. */
static void another_iana_number_is_not_ours(void **state)
{
    const struct fwr_caller caller = {.security = FWR_SECURITY_SUITE, .privilege = 4};
    const uint8_t request[] = {0xd9, 0x7f, 0x00, 0x11};
    uint8_t reply[64];

    (void)state;
    for (size_t length = 0; length <= sizeof(request); length++) {
        assert_false(fwr_oem_is_ours(&without_roles, 0xc0, request, length));
        assert_true(fwr_oem_handle(&without_roles, 0, &caller, 0xc0, request, length, reply,
                                   sizeof(reply)) >= 1);
        assert_int_equal(reply[0], 0xc1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_exchanges),
        cmocka_unit_test(another_iana_number_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
