/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFCOMM addresses as people write them and as the kernel wants them, and every way in which
 * such a socket can fail. The kernel is played by this file, except in the one test that asks
 * the kernel we run on.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>
#include <fwrecover/rfcomm.h>
#include <fwrecover/tty.h>

/* ---- a kernel ---- */

static struct {
    bool real; /* ask the true one */
    int socket_error, bind_error, listen_error, accept_error, connect_error, option_error;
    int open; /* sockets that somebody still has */
    int next; /* the descriptor to give out next, or 0 */
    int backlog;
    uint8_t bound[10], called[10];
    socklen_t length;
} kernel;

int __real_socket(int domain, int type, int protocol);
int __real_close(int fd);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_listen(int fd, int backlog);
int __wrap_accept(int fd, struct sockaddr *address, socklen_t *length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_close(int fd);

static int answer(int error)
{
    errno = error;
    return error == 0 ? 0 : -1;
}

static int any_descriptor(void)
{
    int fd = kernel.next != 0 ? kernel.next : open("/dev/null", O_RDWR);

    kernel.next = 0;
    assert_true(fd >= 0);
    kernel.open++;
    return fd;
}

int __wrap_socket(int domain, int type, int protocol)
{
    if (kernel.real)
        return __real_socket(domain, type, protocol);
    assert_int_equal(domain, 31);
    assert_int_equal(type, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_int_equal(protocol, 3);
    return kernel.socket_error != 0 ? answer(kernel.socket_error) : any_descriptor();
}

static void keep(uint8_t to[10], const struct sockaddr *address, socklen_t length)
{
    assert_int_equal(length, 10);
    memcpy(to, address, 10);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    assert_true(fd >= 0);
    keep(kernel.bound, address, length);
    return answer(kernel.bind_error);
}

int __wrap_listen(int fd, int backlog)
{
    assert_true(fd >= 0);
    kernel.backlog = backlog;
    return answer(kernel.listen_error);
}

int __wrap_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    static const uint8_t peer[10] = {31, 0, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 7, 0};

    assert_true(fd >= 0);
    if (kernel.accept_error != 0)
        return answer(kernel.accept_error);
    keep((uint8_t *)address, (const struct sockaddr *)peer, *length);
    return any_descriptor();
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    assert_true(fd >= 0);
    keep(kernel.called, address, length);
    return answer(kernel.connect_error);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    assert_true(fd >= 0);
    assert_int_equal(level, SOL_SOCKET);
    assert_int_equal(name, SO_ERROR);
    assert_int_equal(*length, sizeof(int));
    memcpy(value, &kernel.option_error, sizeof(int));
    return 0;
}

int __wrap_close(int fd)
{
    kernel.open--;
    return __real_close(fd);
}

static int set_up(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof(kernel));
    return 0;
}

static const struct fwr_rfcomm_address peer = {{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, 7};
static const uint8_t peer_bytes[10] = {31, 0, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 7, 0};

/* ---- addresses ---- */

static void an_address_is_read_and_written(void **state)
{
    struct fwr_rfcomm_address address;
    char text[FWR_RFCOMM_TEXT];

    (void)state;
    assert_int_equal(fwr_rfcomm_address_parse("aa:bB:Cc:09:00:fF/30", &address), FWR_OK);
    fwr_rfcomm_address_print(&address, text);
    assert_string_equal(text, "AA:BB:CC:09:00:FF/30");
    assert_int_equal(strlen(text) + 1, FWR_RFCOMM_TEXT);
    assert_int_equal(fwr_rfcomm_address_parse("00:AA:01:00:00:42", &address), FWR_OK);
    assert_int_equal(address.channel, FWR_RFCOMM_CHANNEL_DEFAULT);
    assert_int_equal(address.octets[1], 0xaa);
    assert_int_equal(address.octets[5], 0x42);
    fwr_rfcomm_address_print(&address, text);
    assert_string_equal(text, "00:AA:01:00:00:42/1");
}

static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "A",
        "AA",
        "AA:BB:CC:DD:EE",
        "AA:BB:CC:DD:EE:",
        "AA:BB:CC:DD:EE:F",
        "AA:BB:CC:DD:EE:FG",
        "AA:BB:CC:DD:EE:G0",
        "AA-BB-CC-DD-EE-FF",
        "AABBCCDDEEFF",
        "AA:BB:CC:DD:EE:FF ",
        " AA:BB:CC:DD:EE:FF",
        "AA:BB:CC:DD:EE:FF:00",
        "AA:BB:CC:DD:EE:FF/",
        "AA:BB:CC:DD:EE:FF/0",
        "AA:BB:CC:DD:EE:FF/31",
        "AA:BB:CC:DD:EE:FF/001",
        "AA:BB:CC:DD:EE:FF/-1",
        "AA:BB:CC:DD:EE:FF/1x",
        "AA:BB:CC:DD:EE:FF/x",
        "A:BB:CC:DD:EE:FF",
        "AA:BBB:CC:DD:EE:FF",
    };
    struct fwr_rfcomm_address address = peer;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (fwr_rfcomm_address_parse(wrong[i], &address) != FWR_E_MALFORMED)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
    assert_memory_equal(&address, &peer, sizeof(peer));
}

/* ---- sockets ---- */

static void listening_and_accepting(void **state)
{
    struct fwr_rfcomm_address caller;
    int fd, accepted;

    (void)state;
    assert_int_equal(fwr_rfcomm_listen(&peer, 5, &fd), FWR_OK);
    assert_memory_equal(kernel.bound, peer_bytes, sizeof(peer_bytes));
    assert_int_equal(kernel.backlog, 5);
    assert_int_equal(fwr_rfcomm_accept(fd, &caller, &accepted), FWR_OK);
    assert_memory_equal(&caller, &peer, sizeof(peer));
    assert_true((fcntl(accepted, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(fcntl(accepted, F_GETFD), FD_CLOEXEC);
    close(accepted);
    kernel.accept_error = EAGAIN;
    assert_int_equal(fwr_rfcomm_accept(fd, &caller, &accepted), FWR_PENDING);
    kernel.accept_error = ECONNABORTED; /* it left before it was taken */
    assert_int_equal(fwr_rfcomm_accept(fd, &caller, &accepted), FWR_PENDING);
    kernel.accept_error = EMFILE;
    assert_int_equal(fwr_rfcomm_accept(fd, &caller, &accepted), FWR_E_BUSY);
    kernel.accept_error = EBADFD;
    assert_int_equal(fwr_rfcomm_accept(fd, &caller, &accepted), FWR_E_IO);
    close(fd);
    assert_int_equal(kernel.open, 0);
}

static void calling(void **state)
{
    static const struct fwr_rfcomm_address adapter = {{1, 2, 3, 4, 5, 6}, 0};
    static const uint8_t adapter_bytes[10] = {31, 0, 6, 5, 4, 3, 2, 1, 0, 0};
    int fd;

    (void)state;
    kernel.connect_error = EINPROGRESS;
    assert_int_equal(fwr_rfcomm_connect(&adapter, &peer, &fd), FWR_PENDING);
    assert_memory_equal(kernel.bound, adapter_bytes, sizeof(adapter_bytes));
    assert_memory_equal(kernel.called, peer_bytes, sizeof(peer_bytes));
    assert_int_equal(fwr_rfcomm_connected(fd), FWR_OK);
    kernel.option_error = EHOSTDOWN;
    assert_int_equal(fwr_rfcomm_connected(fd), FWR_E_UNREACHABLE);
    close(fd);
    kernel.bind_error = EIO; /* which is not asked for when any adapter will do */
    kernel.connect_error = 0;
    assert_int_equal(fwr_rfcomm_connect(NULL, &peer, &fd), FWR_OK);
    close(fd);
    assert_int_equal(kernel.open, 0);
}

/* ---- a port that calls ---- */

static struct {
    int opened, closed, error;
    size_t received;
} seen;

static int dial(void *ctx, struct fwr_tty *tty)
{
    (void)ctx;
    return fwr_rfcomm_dial(tty, NULL, &peer);
}

static void on_opened(void *ctx, uint64_t now)
{
    (void)ctx;
    (void)now;
    seen.opened++;
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    (void)ctx;
    (void)now;
    seen.closed++;
    seen.error = error;
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    (void)ctx;
    (void)now;
    (void)bytes;
    seen.received += length;
}

static const struct fwr_tty_port_config port_config = {.size = sizeof(port_config),
                                                       .opened = on_opened,
                                                       .closed = on_closed,
                                                       .received = on_received,
                                                       .dial = dial};

/* The descriptor that the next socket(2) gives is one end of a pair. */
static int next_is_a_pair(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    kernel.next = ends[0];
    return ends[1];
}

static void a_port_calls_again_and_again(void **state)
{
    struct fwr_tty_port port;
    int far;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    fwr_tty_port_init(&port, &port_config);
    assert_true(fwr_tty_port_opening(&port));
    kernel.socket_error = EAFNOSUPPORT;
    fwr_tty_port_timeout(&port, 0);
    assert_int_equal(seen.error, FWR_E_NO_BLUETOOTH);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 100);
    kernel.socket_error = 0;
    kernel.connect_error = EHOSTUNREACH;
    fwr_tty_port_timeout(&port, 100);
    assert_int_equal(seen.closed, 1); /* told once */
    assert_false(fwr_tty_port_opening(&port));
    assert_int_equal(fwr_tty_port_next_timeout(&port), 300);
    kernel.connect_error = EINPROGRESS;
    fwr_tty_port_timeout(&port, 300); /* never answered */
    assert_true(fwr_tty_port_waits(&port));
    assert_true(fwr_tty_port_opening(&port));
    assert_int_equal(fwr_tty_port_send(&port, (const uint8_t *)"x", 1), FWR_E_SESSION_CLOSED);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 20300);
    fwr_tty_port_timeout(&port, 20300);
    assert_false(fwr_tty_port_waits(&port));
    assert_int_equal(fwr_tty_port_next_timeout(&port), 20700);
    fwr_tty_port_timeout(&port, 20700);
    kernel.option_error = EHOSTDOWN; /* answered, badly */
    fwr_tty_port_ready(&port, 21000);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 21800);
    kernel.option_error = 0;
    far = next_is_a_pair();
    fwr_tty_port_timeout(&port, 21800);
    assert_int_equal(seen.opened, 0);
    fwr_tty_port_ready(&port, 21900);
    assert_int_equal(seen.opened, 1);
    assert_false(fwr_tty_port_opening(&port));
    assert_int_equal(fwr_tty_port_next_timeout(&port), FWR_NEVER);
    assert_int_equal(write(far, "abc", 3), 3);
    fwr_tty_port_ready(&port, 22000);
    assert_int_equal(seen.received, 3);
    assert_int_equal(fwr_tty_port_next_timeout(&port), FWR_NEVER);
    __real_close(far); /* lost while sending: no signal */
    assert_int_equal(fwr_tty_port_send(&port, (const uint8_t *)"x", 1), FWR_OK);
    fwr_tty_port_timeout(&port, 23000);
    assert_int_equal(seen.closed, 2);
    assert_int_equal(seen.error, FWR_E_IO);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 23100);
    fwr_tty_port_end(&port);
    assert_int_equal(kernel.open, 0);
}

static void a_call_that_is_under_way(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (send(ends[0], "x", 1, MSG_NOSIGNAL) == 1) {
    }
    assert_int_equal(fwr_rfcomm_connected(ends[0]), FWR_PENDING);
    __real_close(ends[1]);
    assert_int_equal(fwr_rfcomm_connected(ends[0]), FWR_E_UNREACHABLE);
    __real_close(ends[0]);
}

static void errors_have_names_and_leave_nothing_open(void **state)
{
    static const struct {
        int number, error;
    } rows[] = {
        {0, FWR_OK},
        {EINPROGRESS, FWR_PENDING},
        {EAFNOSUPPORT, FWR_E_NO_BLUETOOTH},
        {EPROTONOSUPPORT, FWR_E_NO_BLUETOOTH},
        {ESOCKTNOSUPPORT, FWR_E_NO_BLUETOOTH},
        {EHOSTUNREACH, FWR_E_ADAPTER},
        {ENETDOWN, FWR_E_ADAPTER},
        {EADDRNOTAVAIL, FWR_E_ADAPTER},
        {EHOSTDOWN, FWR_E_UNREACHABLE},
        {ECONNRESET, FWR_E_UNREACHABLE},
        {EPIPE, FWR_E_UNREACHABLE},
        {ECONNREFUSED, FWR_E_REFUSED},
        {ETIMEDOUT, FWR_E_TIMEOUT},
        {EADDRINUSE, FWR_E_BUSY},
        {EACCES, FWR_E_ACCESS},
        {ENOMEM, FWR_E_MEMORY},
        {EXDEV, FWR_E_IO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd;

        assert_int_equal(fwr_rfcomm_error(rows[i].number), rows[i].error);
        if (rows[i].error >= FWR_OK)
            continue;
        kernel.socket_error = rows[i].number;
        assert_int_equal(fwr_rfcomm_listen(&peer, 1, &fd), rows[i].error);
        assert_int_equal(fwr_rfcomm_connect(NULL, &peer, &fd), rows[i].error);
        kernel.socket_error = 0;
        kernel.bind_error = rows[i].number;
        assert_int_equal(fwr_rfcomm_listen(&peer, 1, &fd), rows[i].error);
        assert_int_equal(fwr_rfcomm_connect(&peer, &peer, &fd), rows[i].error);
        kernel.bind_error = 0;
        kernel.listen_error = kernel.connect_error = rows[i].number;
        assert_int_equal(fwr_rfcomm_listen(&peer, 1, &fd), rows[i].error);
        assert_int_equal(fwr_rfcomm_connect(NULL, &peer, &fd), rows[i].error);
        kernel.listen_error = kernel.connect_error = 0;
    }
    assert_int_equal(kernel.open, 0);
}

static void misuse(void **state)
{
    struct fwr_rfcomm_address no_channel = peer, high_channel = peer;
    int fd;

    (void)state;
    no_channel.channel = 0;
    high_channel.channel = FWR_RFCOMM_CHANNEL_MAX + 1;
    assert_int_equal(fwr_rfcomm_listen(NULL, 1, &fd), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_listen(&peer, 0, &fd), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_listen(&peer, 1, NULL), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_listen(&no_channel, 1, &fd), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_connect(NULL, NULL, &fd), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_connect(NULL, &peer, NULL), FWR_E_ARGUMENT);
    assert_int_equal(fwr_rfcomm_connect(NULL, &high_channel, &fd), FWR_E_ARGUMENT);
    assert_int_equal(kernel.open, 0);
}

/* The kernel we run on: with no Bluetooth, which is usual, exactly that is said. One that has it
 * is not called from here: `make check-bluetooth` brings a kernel of its own. */
static void this_kernel(void **state)
{
    int fd;

    (void)state;
    kernel.real = true;
    fd = __real_socket(31, SOCK_STREAM, 3);
    if (fd >= 0) {
        __real_close(fd);
        print_message("this kernel has Bluetooth: its absence cannot be seen here\n");
        skip();
    }
    print_message("this kernel has no Bluetooth: %s\n", strerror(errno));
    assert_int_equal(fwr_rfcomm_listen(&peer, 1, &fd), FWR_E_NO_BLUETOOTH);
    assert_int_equal(fwr_rfcomm_connect(NULL, &peer, &fd), FWR_E_NO_BLUETOOTH);
    assert_string_equal(fwr_error_text(FWR_E_NO_BLUETOOTH), "This kernel has no Bluetooth");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_address_is_read_and_written, set_up),
        cmocka_unit_test_setup(anything_else_is_refused, set_up),
        cmocka_unit_test_setup(listening_and_accepting, set_up),
        cmocka_unit_test_setup(calling, set_up),
        cmocka_unit_test_setup(a_port_calls_again_and_again, set_up),
        cmocka_unit_test_setup(a_call_that_is_under_way, set_up),
        cmocka_unit_test_setup(errors_have_names_and_leave_nothing_open, set_up),
        cmocka_unit_test_setup(misuse, set_up),
        cmocka_unit_test_setup(this_kernel, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
