/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge among others on a bus: requests across it, every command of the table, late and
 * foreign replies, addresses.
 */
#include "icmb_bus.h"

static void test_a_request_crosses_the_bus(void **state)
{
    struct bus *bus = bus_new(2, 1);
    const uint8_t request[] = {0x11, 0x00, 0xc3, 1, 2, 3};
    const uint8_t expected[] = {0x00, 0x00, 1, 2, 3};

    (void)state;
    bus_start_all(bus);
    assert_int_equal(bus->nodes[0].address, 0x10);
    assert_int_equal(bus_local(bus, 0, FWR_ICMB_BRIDGE_REQUEST, request, sizeof(request)), 0);
    assert_int_equal(bus->nodes[1].served, 1);
    assert_int_equal(bus->nodes[1].command, 0xc3);
    assert_int_equal(bus->nodes[1].source, 0x10);
    assert_int_equal(bus->nodes[0].answer_length, sizeof(expected));
    assert_memory_equal(bus->nodes[0].answer, expected, sizeof(expected));
    bus_free(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_crosses_the_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
