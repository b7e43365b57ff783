/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces and sockets: the medium on a sysfs made up for it, what loopback says of itself, and
 * sockets that are bound to it or to what is not there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/lan.h>
#include <fwrecover/rmcp.h>

#include "scratch.h"

static void put(const char *interface, const char *file, const char *text)
{
    char name[200];
    FILE *out;

    snprintf(name, sizeof(name), "class");
    mkdir(scratch_path(name), 0700);
    snprintf(name, sizeof(name), "class/net");
    mkdir(scratch_path(name), 0700);
    snprintf(name, sizeof(name), "class/net/%s", interface);
    mkdir(scratch_path(name), 0700);
    snprintf(name, sizeof(name), "class/net/%s/%s", interface, file);
    if (text == NULL) {
        assert_int_equal(mkdir(scratch_path(name), 0700), 0);
        return;
    }
    out = fopen(scratch_path(name), "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void assert_medium(const char *interface, enum fwr_medium wanted)
{
    enum fwr_medium medium = FWR_MEDIUM_COUNT;

    assert_int_equal(fwr_lan_medium(scratch_dir, interface, &medium), FWR_OK);
    assert_string_equal(fwr_medium_name(medium), fwr_medium_name(wanted));
}

static void the_medium_is_in_sysfs(void **state)
{
    (void)state;
    put("lo", "type", "772\n");
    put("eth0", "type", "1\n");
    put("eth0", "uevent", "INTERFACE=eth0\nIFINDEX=2\n");
    put("wlan0", "type", "1\n");
    put("wlan0", "wireless", NULL);
    put("wlp3s0", "phy80211", NULL);
    put("wlan1", "uevent", "DEVTYPE=wlan\nINTERFACE=wlan1\n");
    put("mon0", "type", "803\n");
    put("bnep0", "type", "1\n");
    put("bnep0", "uevent", "DEVTYPE=bluetooth\nINTERFACE=bnep0\nIFINDEX=7\n");
    put("pan7", "uevent", "DEVTYPE=bluetooth\nINTERFACE=pan7\n");
    put("bnep1", "type", "1\n");
    put("br7", "uevent", "DEVTYPE=bridge\nINTERFACE=br7\n");
    put("name", "uevent", "INTERFACE=DEVTYPE=bluetoothless\n");
    assert_medium("lo", FWR_MEDIUM_LAN);
    assert_medium("eth0", FWR_MEDIUM_LAN);
    assert_medium("wlan0", FWR_MEDIUM_WLAN);
    assert_medium("wlp3s0", FWR_MEDIUM_WLAN);
    assert_medium("wlan1", FWR_MEDIUM_WLAN);
    assert_medium("mon0", FWR_MEDIUM_WLAN);
    assert_medium("bnep0", FWR_MEDIUM_BLUETOOTH);
    assert_medium("bnep1", FWR_MEDIUM_BLUETOOTH);
    assert_medium("pan7", FWR_MEDIUM_BLUETOOTH);
    assert_medium("br7", FWR_MEDIUM_LAN);
    assert_medium("name", FWR_MEDIUM_LAN);
}

static void what_stands_on_others_is_as_bad_as_the_worst(void **state)
{
    (void)state;
    put("eth0", "type", "1\n");
    put("wlan0", "phy80211", NULL);
    put("bnep0", "type", "1\n");
    put("bond0", "lower_eth0", NULL);
    put("bond0", "lower_wlan0", NULL);
    put("bond0.7", "lower_bond0", NULL);
    put("pan0", "lower_bnep0", NULL);
    put("pan0", "lower_bond0.7", NULL);
    put("self", "lower_self", NULL);
    put("half", "lower_gone", NULL);
    assert_medium("bond0", FWR_MEDIUM_WLAN);
    assert_medium("bond0.7", FWR_MEDIUM_WLAN);
    assert_medium("pan0", FWR_MEDIUM_BLUETOOTH);
    assert_medium("self", FWR_MEDIUM_LAN);
    assert_medium("half", FWR_MEDIUM_LAN);
}

static void what_is_not_there(void **state)
{
    char long_name[1000];
    enum fwr_medium medium = FWR_MEDIUM_COUNT;

    (void)state;
    put("eth0", "type", "1\n");
    assert_int_equal(fwr_lan_medium(scratch_dir, "eth1", &medium), FWR_E_INTERFACE);
    assert_int_equal(medium, FWR_MEDIUM_LAN);
    assert_int_equal(fwr_lan_medium(scratch_dir, "", &medium), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_medium(scratch_dir, "..", &medium), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_medium(scratch_dir, "../net/eth0", &medium), FWR_E_INTERFACE);
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(fwr_lan_medium(scratch_dir, long_name, &medium), FWR_E_INTERFACE);
}

static void loopback(void **state)
{
    struct fwr_lan_interface lo;
    char names[4][FWR_LAN_NAME_MAX];

    (void)state;
    assert_int_equal(fwr_lan_interface_get("lo", &lo), FWR_OK);
    assert_int_equal(lo.medium, FWR_MEDIUM_LAN);
    assert_true(lo.loopback);
    assert_true(lo.mtu >= 1500);
    if (lo.up) {
        const uint8_t near[4] = {127, 200, 3, 4}, far[4] = {10, 0, 0, 1};

        assert_true(lo.network_count > 0);
        assert_memory_equal(lo.networks[0].broadcast, "\0\0\0\0", 4);
        assert_true(fwr_lan_is_near(&lo, near));
        assert_false(fwr_lan_is_near(&lo, far));
    }
    for (size_t i = fwr_lan_broadcasters(names, 4); i-- > 0;)
        assert_string_not_equal(names[i], "lo");
    assert_int_equal(fwr_lan_interface_get("", &lo), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_interface_get("fwr-none", &lo), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_interface_get("a-name-that-is-too-long", &lo), FWR_E_INTERFACE);
}

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void sockets_on_an_interface(void **state)
{
    struct sockaddr_in here = local(0);
    socklen_t length = sizeof(here);
    int server, client, error;
    char byte = 'x';

    (void)state;
    error = fwr_lan_bind(&server, (struct sockaddr *)&here, sizeof(here), "lo");
    if (error == FWR_E_ACCESS)
        skip(); /* an old kernel, and we are not root */
    assert_int_equal(error, FWR_OK);
    assert_true((fcntl(server, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(server, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&here, &length), 0);
    assert_int_equal(fwr_lan_connect(&client, (struct sockaddr *)&here, sizeof(here), "lo"),
                     FWR_OK);
    assert_int_equal(send(client, &byte, 1, 0), 1);
    assert_int_equal(recv(server, &byte, 1, 0), 1);
    close(client);

    assert_int_equal(fwr_lan_bind(&client, (struct sockaddr *)&here, sizeof(here), "lo"),
                     FWR_E_BUSY);
    assert_int_equal(client, -1);
    assert_int_equal(errno, EADDRINUSE);
    close(server);
    assert_int_equal(fwr_lan_connect(&client, (struct sockaddr *)&here, sizeof(here), ""), FWR_OK);
    close(client);
    assert_int_equal(fwr_lan_open_broadcast(&client, "lo"), FWR_OK);
    close(client);
}

static void sockets_on_what_is_not_there(void **state)
{
    struct sockaddr_in here = local(htons(9));
    int fd;

    (void)state;
    assert_int_equal(fwr_lan_connect(&fd, (struct sockaddr *)&here, sizeof(here), "fwr-none"),
                     FWR_E_INTERFACE);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, ENODEV);
    assert_int_equal(fwr_lan_bind(&fd, (struct sockaddr *)&here, sizeof(here), "fwr-none"),
                     FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_open_broadcast(&fd, "fwr-none"), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_open_broadcast(&fd, "a-name-that-is-too-long"), FWR_E_ARGUMENT);
    here.sin_addr.s_addr = htonl(0xc0000201); /* an address that is nobody's */
    assert_int_equal(fwr_lan_bind(&fd, (struct sockaddr *)&here, sizeof(here), NULL),
                     FWR_E_INTERFACE);
    assert_int_equal(errno, EADDRNOTAVAIL);
    /* Bound to loopback, nothing leads there. */
    assert_int_equal(fwr_lan_error(ENETDOWN), FWR_E_INTERFACE);
    assert_int_equal(fwr_lan_error(EPERM), FWR_E_ACCESS);
    assert_int_equal(fwr_lan_error(EAFNOSUPPORT), FWR_E_UNSUPPORTED);
    assert_int_equal(fwr_lan_error(ENOMEM), FWR_E_MEMORY);
    assert_int_equal(fwr_lan_error(EPIPE), FWR_E_IO);
}

static void datagrams_fit_the_mtu(void **state)
{
    (void)state;
    assert_int_equal(fwr_lan_datagram(AF_INET, 0), FWR_RMCP_DATAGRAM_IPV4);
    assert_int_equal(fwr_lan_datagram(AF_INET6, 0), FWR_RMCP_DATAGRAM_IPV6);
    assert_int_equal(fwr_lan_datagram(AF_INET, 65536), FWR_RMCP_DATAGRAM_IPV4);
    assert_int_equal(fwr_lan_datagram(AF_INET, 1500), FWR_RMCP_DATAGRAM_IPV4);
    assert_int_equal(fwr_lan_datagram(AF_INET, 1499), FWR_RMCP_DATAGRAM_IPV4 - 1);
    assert_int_equal(fwr_lan_datagram(AF_INET, 576), 548);
    assert_int_equal(fwr_lan_datagram(AF_INET6, 1280), 1232);
    /* Smaller than any session could do with: the kernel cuts datagrams up then. */
    assert_int_equal(fwr_lan_datagram(AF_INET, 68), 200);
    assert_true(fwr_rmcp_max_reply(FWR_RMCP_SUITE_SHA256, 200) >= FWR_LINK_MIN_REPLY);
    assert_true(fwr_rmcp_max_request(FWR_RMCP_SUITE_SHA256, 200) >= FWR_LINK_MIN_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_medium_is_in_sysfs, scratch_empty),
        cmocka_unit_test_setup(what_stands_on_others_is_as_bad_as_the_worst, scratch_empty),
        cmocka_unit_test_setup(what_is_not_there, scratch_empty),
        cmocka_unit_test(loopback),
        cmocka_unit_test(sockets_on_an_interface),
        cmocka_unit_test(sockets_on_what_is_not_there),
        cmocka_unit_test(datagrams_fit_the_mtu),
    };

    return cmocka_run_group_tests_name("lan", tests, scratch_make, scratch_remove);
}
