/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox of the command: whatever goes in comes out as the same datagrams, in order, whether
 * the kernel cuts a run up or each is sent alone.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/outbox.h"

#define DATAGRAMS 40

static struct tool_outbox outbox;
static int from, to[2];
static struct sockaddr_in address[2];

static void fill(uint8_t *bytes, size_t length, unsigned number)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(number + i);
}

static void put(int peer, unsigned number, size_t length)
{
    uint8_t bytes[2 * FWR_RMCP_DATAGRAM_MAX];

    fill(bytes, length, number);
    tool_outbox_put(&outbox, from, &address[peer], sizeof(address[peer]), bytes, length);
}

static void assert_arrives(int peer, unsigned number, size_t length)
{
    uint8_t bytes[2 * FWR_RMCP_DATAGRAM_MAX], wanted[2 * FWR_RMCP_DATAGRAM_MAX];

    fill(wanted, length, number);
    assert_int_equal(recv(to[peer], bytes, sizeof(bytes), 0), (int)length);
    assert_memory_equal(bytes, wanted, length);
}

static void assert_nothing_arrived(int peer)
{
    uint8_t byte;

    assert_int_equal(recv(to[peer], &byte, 1, MSG_DONTWAIT), -1);
}

static int set_up(void **state)
{
    const struct timeval wait = {.tv_sec = 10};

    memset(&outbox, 0, sizeof(outbox));
    outbox.one_by_one = *state != NULL;
    from = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 2; i++) {
        socklen_t length = sizeof(address[i]);

        address[i] = (struct sockaddr_in){.sin_family = AF_INET};
        address[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(to[i], (struct sockaddr *)&address[i], sizeof(address[i])) != 0 ||
            getsockname(to[i], (struct sockaddr *)&address[i], &length) != 0 ||
            setsockopt(to[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(from);
    close(to[0]);
    close(to[1]);
    return 0;
}

static void test_nothing_leaves_before_it_is_sent(void **state)
{
    (void)state;
    put(0, 1, 100);
    put(0, 2, 100);
    assert_nothing_arrived(0);
    tool_outbox_send(&outbox);
    assert_arrives(0, 1, 100);
    assert_arrives(0, 2, 100);
    tool_outbox_send(&outbox);
    assert_nothing_arrived(0);
}

static void test_a_shorter_one_ends_the_run(void **state)
{
    (void)state;
    put(0, 1, 1408);
    put(0, 2, 1408);
    put(0, 3, 1392);
    assert_arrives(0, 1, 1408);
    assert_arrives(0, 2, 1408);
    assert_arrives(0, 3, 1392);
}

static void test_a_longer_one_or_another_address_begins_a_run(void **state)
{
    (void)state;
    put(0, 1, 84);
    put(0, 2, 100);
    assert_arrives(0, 1, 84);
    put(1, 3, 100);
    assert_arrives(0, 2, 100);
    tool_outbox_send(&outbox);
    assert_arrives(1, 3, 100);
    assert_nothing_arrived(0);
}

static void test_more_than_a_run_holds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DATAGRAMS; i++)
        put(0, i, FWR_RMCP_DATAGRAM_MAX);
    tool_outbox_send(&outbox);
    for (unsigned i = 0; i < DATAGRAMS; i++)
        assert_arrives(0, i, FWR_RMCP_DATAGRAM_MAX);
    for (unsigned i = 0; i < DATAGRAMS; i++)
        put(0, i, 16);
    tool_outbox_send(&outbox);
    for (unsigned i = 0; i < DATAGRAMS; i++)
        assert_arrives(0, i, 16);
}

static void test_what_is_no_datagram_of_ours_stays_out(void **state)
{
    (void)state;
    put(0, 1, 0);
    put(0, 2, FWR_RMCP_DATAGRAM_MAX + 1);
    tool_outbox_send(&outbox);
    assert_nothing_arrived(0);
}

/* A socket that refuses everything: nothing is kept for later, and nothing breaks. */
static void test_a_kernel_that_refuses(void **state)
{
    int socket = from;

    (void)state;
    from = -1;
    put(0, 1, 100);
    put(0, 2, 100);
    tool_outbox_send(&outbox);
    from = socket;
    assert_true(outbox.one_by_one);
    put(0, 3, 100);
    tool_outbox_send(&outbox);
    assert_arrives(0, 3, 100);
    assert_nothing_arrived(0);
}

#define TOGETHER(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define ONE_BY_ONE(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &outbox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOGETHER(test_nothing_leaves_before_it_is_sent),
        ONE_BY_ONE(test_nothing_leaves_before_it_is_sent),
        TOGETHER(test_a_shorter_one_ends_the_run),
        ONE_BY_ONE(test_a_shorter_one_ends_the_run),
        TOGETHER(test_a_longer_one_or_another_address_begins_a_run),
        ONE_BY_ONE(test_a_longer_one_or_another_address_begins_a_run),
        TOGETHER(test_more_than_a_run_holds),
        ONE_BY_ONE(test_more_than_a_run_holds),
        TOGETHER(test_what_is_no_datagram_of_ours_stays_out),
        TOGETHER(test_a_kernel_that_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
