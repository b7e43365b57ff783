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
    assert_int_equal(fwr_tty_open(NULL, path, 9600, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, NULL, 9600, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, path, 9601, false), FWR_E_ARGUMENT);
    assert_int_equal(fwr_tty_open(&tty, "/nowhere/tty", 9600, false), FWR_E_NOT_FOUND);
    assert_int_equal(fwr_tty_open(&tty, file, 9600, false), FWR_E_UNSUPPORTED);
    assert_int_equal(fwr_tty_open(&tty, "/dev/null", 9600, false), FWR_E_UNSUPPORTED);
    assert_int_equal(tty.fd, -1);
    unlink(file);
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
    };

    return cmocka_run_group_tests_name("tty", tests, NULL, NULL);
}
