/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminal devices on pseudo-terminals: every byte comes through as it is, nobody else gets the
 * device, one that is gone is noticed and can be opened again, and every refusal has its error.
 */
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): glibc reads it
#define _GNU_SOURCE /* posix_openpt, ptsname */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/tty.h>

static int far; /* the other side of the wire */
static char path[64];
static struct fwr_tty tty;

static int set_up(void **state)
{
    (void)state;
    far = posix_openpt(O_RDWR | O_NOCTTY);
    if (far < 0 || grantpt(far) != 0 || unlockpt(far) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s", ptsname(far));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fwr_tty_close(&tty);
    if (far >= 0)
        close(far);
    return 0;
}

/* Waits for bytes, or for the end. */
static int await(uint8_t *buffer, size_t capacity, size_t *length)
{
    struct pollfd handle = {.fd = tty.fd, .events = POLLIN};

    assert_int_equal(poll(&handle, 1, 10000), 1);
    return fwr_tty_read(&tty, buffer, capacity, length);
}

static void carries_every_byte(void **state)
{
    uint8_t all[256], got[256];
    size_t taken, have = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    assert_int_equal(fwr_tty_open(&tty, path, 19200, false), FWR_OK);
    assert_true(tty.pty);
    assert_false(tty.rs485);
    assert_int_equal(tty.baud, 19200);
    assert_int_equal(fwr_tty_read(&tty, got, sizeof(got), &taken), FWR_OK);
    assert_int_equal(taken, 0);
    assert_int_equal(fwr_tty_write(&tty, all, sizeof(all), &taken), FWR_OK);
    assert_int_equal(taken, sizeof(all));
    while (have < sizeof(all)) {
        ssize_t count = read(far, got + have, sizeof(got) - have);

        assert_true(count > 0);
        have += (size_t)count;
    }
    assert_memory_equal(got, all, sizeof(all));
    assert_int_equal(write(far, all, sizeof(all)), sizeof(all));
    for (have = 0; have < sizeof(all); have += taken)
        assert_int_equal(await(got + have, sizeof(got) - have, &taken), FWR_OK);
    assert_memory_equal(got, all, sizeof(all));
}

static void belongs_to_one(void **state)
{
    struct fwr_tty other;

    (void)state;
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_OK);
    assert_int_equal(fwr_tty_open(&other, path, FWR_TTY_BAUD_DEFAULT, false), FWR_E_BUSY);
    assert_int_equal(other.fd, -1);
    fwr_tty_close(&other);
    fwr_tty_close(&tty);
    fwr_tty_close(&tty);
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_OK);
}

static void is_noticed_when_it_goes(void **state)
{
    uint8_t byte = 0;
    size_t length;

    (void)state;
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_OK);
    close(far);
    assert_int_equal(await(&byte, 1, &length), FWR_E_IO);
    assert_int_equal(length, 0);
    assert_int_equal(fwr_tty_write(&tty, &byte, 1, &length), FWR_E_IO);
    fwr_tty_close(&tty);
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_E_NOT_FOUND);
    assert_int_equal(set_up(NULL), 0);
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_OK);
}

static void takes_no_more_than_fits(void **state)
{
    static uint8_t much[1 << 20];
    size_t taken, again;

    (void)state;
    assert_int_equal(fwr_tty_open(&tty, path, FWR_TTY_BAUD_DEFAULT, false), FWR_OK);
    assert_int_equal(fwr_tty_write(&tty, much, sizeof(much), &taken), FWR_OK);
    assert_in_range(taken, 1, sizeof(much) - 1);
    do {
        assert_int_equal(fwr_tty_write(&tty, much, sizeof(much), &again), FWR_OK);
    } while (again > 0);
}

static void is_plain_where_the_driver_knows_no_rs485(void **state)
{
    (void)state;
    assert_int_equal(fwr_tty_open(&tty, path, 19200, true), FWR_OK);
    assert_false(tty.rs485);
}

static void refuses(void **state)
{
    char file[] = "/tmp/fwr-tty-XXXXXX";
    int fd = mkstemp(file);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_true(fwr_tty_knows_baud(19200));
    assert_false(fwr_tty_knows_baud(19201));
    assert_int_equal(fwr_tty_open(NULL, path, 9600, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, NULL, 9600, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, path, 9601, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, "/nowhere/tty", 9600, false), FWR_E_NOT_FOUND);
    assert_int_equal(fwr_tty_open(&tty, file, 9600, false), FWR_E_UNSUPPORTED);
    assert_int_equal(fwr_tty_open(&tty, "/dev/null", 9600, false), FWR_E_UNSUPPORTED);
    assert_int_equal(tty.fd, -1);
    unlink(file);
}

/* ---- ports ---- */

static struct {
    unsigned opened, closed, closing;
    int error;
    uint8_t bytes[64];
    size_t length;
} heard;

static void on_opened(void *ctx, uint64_t now)
{
    (void)ctx, (void)now;
    heard.opened++;
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    (void)ctx, (void)now;
    heard.closed++;
    heard.error = error;
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    (void)ctx, (void)now;
    assert_true(heard.length + length <= sizeof(heard.bytes));
    memcpy(heard.bytes + heard.length, bytes, length);
    heard.length += length;
}

static void on_closing(void *ctx)
{
    (void)ctx;
    heard.closing++;
}

static struct fwr_tty_port port;
static const struct fwr_tty_port_config port_config = {.size = sizeof(port_config),
                                                       .path = path,
                                                       .baud = 115200,
                                                       .opened = on_opened,
                                                       .closed = on_closed,
                                                       .received = on_received,
                                                       .closing = on_closing};

static void await_port(short events)
{
    struct pollfd handle = {.fd = port.tty.fd, .events = events};

    assert_int_equal(poll(&handle, 1, 10000), 1);
}

static int set_up_port(void **state)
{
    memset(&heard, 0, sizeof(heard));
    fwr_tty_port_init(&port, &port_config);
    return set_up(state);
}

static int tear_down_port(void **state)
{
    fwr_tty_port_end(&port);
    fwr_tty_port_end(&port);
    return tear_down(state);
}

static void a_port_carries_both_ways(void **state)
{
    uint8_t got[5] = {0};

    (void)state;
    assert_int_equal(fwr_tty_port_send(&port, got, 5), FWR_E_SESSION_CLOSED);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 0);
    fwr_tty_port_timeout(&port, 0);
    assert_int_equal(heard.opened, 1);
    assert_true(fwr_tty_port_next_timeout(&port) == UINT64_MAX);
    assert_int_equal(fwr_tty_port_send(&port, (const uint8_t *)"hello", 5), FWR_OK);
    assert_int_equal(read(far, got, 5), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(write(far, "world", 5), 5);
    await_port(POLLIN);
    fwr_tty_port_ready(&port, 1);
    assert_int_equal(heard.length, 5);
    assert_memory_equal(heard.bytes, "world", 5);
}

static void a_port_opens_what_comes_back(void **state)
{
    static const unsigned pauses[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    uint64_t now = 0;

    (void)state;
    fwr_tty_port_timeout(&port, now);
    close(far);
    await_port(POLLIN);
    fwr_tty_port_ready(&port, now);
    assert_int_equal(heard.closed, 1);
    assert_int_equal(heard.closing, 1);
    assert_int_equal(heard.error, FWR_E_IO);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        assert_int_equal(fwr_tty_port_next_timeout(&port), now + pauses[i]);
        now += pauses[i];
        fwr_tty_port_timeout(&port, now - 1); /* too early */
        fwr_tty_port_timeout(&port, now);
    }
    assert_int_equal(heard.closed, 1); /* said once */
    assert_int_equal(heard.closing, 1);
    assert_int_equal(set_up(NULL), 0);
    now += 5000;
    fwr_tty_port_timeout(&port, now);
    assert_int_equal(heard.opened, 2);
    /* Gone again at once: the pause is still long. After a while that was good: short. */
    close(far);
    await_port(POLLIN);
    fwr_tty_port_ready(&port, now);
    assert_int_equal(heard.closed, 2);
    assert_int_equal(fwr_tty_port_next_timeout(&port), now + 5000);
    assert_int_equal(set_up(NULL), 0);
    now += 5000;
    fwr_tty_port_timeout(&port, now);
    assert_int_equal(heard.opened, 3);
    close(far);
    far = -1;
    await_port(POLLIN);
    fwr_tty_port_ready(&port, now + 5000);
    assert_int_equal(fwr_tty_port_next_timeout(&port), now + 5100);
}

static void a_port_says_what_keeps_it_closed(void **state)
{
    (void)state;
    assert_int_equal(fwr_tty_open(&tty, path, 9600, false), FWR_OK);
    fwr_tty_port_timeout(&port, 0);
    assert_int_equal(heard.closed, 1);
    assert_int_equal(heard.error, FWR_E_BUSY);
    fwr_tty_close(&tty);
    fwr_tty_port_timeout(&port, 100);
    assert_int_equal(heard.opened, 1);
}

static void a_port_keeps_what_does_not_fit(void **state)
{
    static uint8_t block[1000], got[1 << 16];
    size_t sent = 0, have = 0;
    int error;

    (void)state;
    fwr_tty_port_timeout(&port, 0);
    while ((error = fwr_tty_port_send(&port, block, sizeof(block))) == FWR_OK) {
        sent += sizeof(block);
        memset(block, (int)(sent / sizeof(block)), sizeof(block));
    }
    assert_int_equal(error, FWR_E_BUSY);
    assert_true(fwr_tty_port_waits(&port));
    while (have < sent) {
        ssize_t count = read(far, got + have, sizeof(got) - have);

        assert_true(count > 0);
        have += (size_t)count;
        fwr_tty_port_ready(&port, 1);
    }
    assert_false(fwr_tty_port_waits(&port));
    for (size_t i = 0; i < sent; i++)
        assert_int_equal(got[i], (uint8_t)(i / sizeof(block)));
}

static void a_port_that_breaks_while_sending_says_so_later(void **state)
{
    (void)state;
    fwr_tty_port_timeout(&port, 0);
    close(far);
    far = -1;
    assert_int_equal(fwr_tty_port_send(&port, (const uint8_t *)"x", 1), FWR_OK);
    assert_int_equal(heard.closed, 0);
    assert_int_equal(fwr_tty_port_next_timeout(&port), 0);
    assert_int_equal(fwr_tty_port_send(&port, (const uint8_t *)"x", 1), FWR_E_SESSION_CLOSED);
    fwr_tty_port_timeout(&port, 1);
    assert_int_equal(heard.closed, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(carries_every_byte),
        TEST(belongs_to_one),
        TEST(is_noticed_when_it_goes),
        TEST(takes_no_more_than_fits),
        TEST(is_plain_where_the_driver_knows_no_rs485),
        TEST(refuses),
#define PORT(name) cmocka_unit_test_setup_teardown(name, set_up_port, tear_down_port)
        PORT(a_port_carries_both_ways),
        PORT(a_port_opens_what_comes_back),
        PORT(a_port_says_what_keeps_it_closed),
        PORT(a_port_keeps_what_does_not_fit),
        PORT(a_port_that_breaks_while_sending_says_so_later),
    };

    return cmocka_run_group_tests_name("tty", tests, NULL, NULL);
}
