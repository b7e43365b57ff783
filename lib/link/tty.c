/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminal devices: see tty.h. The only file of lib/link that calls the operating system, and so
 * one of those that a build without file backends leaves out.
 */
#include "config.h"

#include <fwrecover/tty.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/serial.h>
#include <sys/sysmacros.h>
#endif

#include <fwrecover/error.h>

#define PTY_MAJOR_FIRST 136 /* Linux: UNIX 98 pseudo-terminals, the side that is opened by name */
#define PTY_MAJOR_LAST  143

static const struct speed {
    uint32_t baud;
    speed_t speed;
} speeds[] = {
    {1200, B1200},       {2400, B2400},       {4800, B4800},
    {9600, B9600},       {19200, B19200},     {38400, B38400},
    {57600, B57600},     {115200, B115200},   {230400, B230400},
#ifdef B460800
    {460800, B460800},   {921600, B921600},   {1000000, B1000000},
    {1500000, B1500000}, {2000000, B2000000}, {3000000, B3000000},
#endif
};

static bool find_speed(uint32_t baud, speed_t *speed)
{
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        if (speeds[i].baud == baud) {
            *speed = speeds[i].speed;
            return true;
        }
    }
    return false;
}

bool fwr_tty_knows_baud(uint32_t baud)
{
    speed_t speed;

    return find_speed(baud, &speed);
}

static int open_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
    case EIO: /* a pseudo-terminal whose other side has just closed */
        return FWR_E_NOT_FOUND;
    case EACCES:
    case EPERM:
        return FWR_E_ACCESS;
    case EBUSY:
        return FWR_E_BUSY;
    case ENOMEM:
        return FWR_E_MEMORY;
    default:
        return FWR_E_IO;
    }
}

static bool is_pty(dev_t device)
{
#ifdef __linux__
    return major(device) >= PTY_MAJOR_FIRST && major(device) <= PTY_MAJOR_LAST;
#else
    (void)device;
    return false;
#endif
}

/* Nobody else may have it. The exclusive mode of a pseudo-terminal would outlive us, as long as
 * its other side is open, and keep our own next start out: there the lock has to do. */
static int claim(const struct fwr_tty *tty)
{
    if (flock(tty->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? FWR_E_BUSY : FWR_E_IO;
    if (!tty->pty)
        (void)ioctl(tty->fd, TIOCEXCL);
    return FWR_OK;
}

static int set_raw(const struct fwr_tty *tty, speed_t speed)
{
    struct termios mode;

    if (tcgetattr(tty->fd, &mode) != 0)
        return errno == ENOTTY ? FWR_E_UNSUPPORTED : open_error(errno);
    cfmakeraw(&mode);
    mode.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | CSIZE);
#ifdef CRTSCTS
    mode.c_cflag &= ~(tcflag_t)CRTSCTS;
#endif
    mode.c_cflag |= CS8 | CLOCAL | CREAD;
    mode.c_iflag |= IGNBRK;
    mode.c_cc[VMIN] = 1; /* so that 0 bytes mean that the line was hung up */
    mode.c_cc[VTIME] = 0;
    if (cfsetispeed(&mode, speed) != 0 || cfsetospeed(&mode, speed) != 0 ||
        tcsetattr(tty->fd, TCSANOW, &mode) != 0)
        return errno == EINVAL ? FWR_E_ARGUMENT : open_error(errno);
    return FWR_OK;
}

static bool set_rs485(const struct fwr_tty *tty)
{
#ifdef TIOCSRS485
    struct serial_rs485 mode;

    memset(&mode, 0, sizeof(mode));
    mode.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND | SER_RS485_RX_DURING_TX;
    return ioctl(tty->fd, TIOCSRS485, &mode) == 0;
#else
    (void)tty;
    return false;
#endif
}

int fwr_tty_open(struct fwr_tty *tty, const char *path, uint32_t baud, bool rs485)
{
    struct stat status;
    speed_t speed;
    int error;

    if (tty == NULL)
        return FWR_E_ARGUMENT;
    *tty = (struct fwr_tty){.fd = -1, .baud = baud};
    if (path == NULL || !find_speed(baud, &speed))
        return FWR_E_ARGUMENT;
    tty->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (tty->fd < 0)
        return open_error(errno);
    if (fstat(tty->fd, &status) != 0 || !S_ISCHR(status.st_mode)) {
        close(tty->fd);
        tty->fd = -1;
        return FWR_E_UNSUPPORTED;
    }
    tty->device = (uint64_t)status.st_rdev;
    tty->pty = is_pty(status.st_rdev);
    error = claim(tty);
    if (error == FWR_OK)
        error = set_raw(tty, speed);
    if (error != FWR_OK) {
        fwr_tty_close(tty);
        return error;
    }
    tty->rs485 = rs485 && set_rs485(tty);
    return FWR_OK;
}

void fwr_tty_close(struct fwr_tty *tty)
{
    if (tty->fd >= 0) {
        if (!tty->pty && !tty->socket)
            (void)ioctl(tty->fd, TIOCNXCL);
        close(tty->fd);
    }
    tty->fd = -1;
}

int fwr_tty_read(struct fwr_tty *tty, uint8_t *buffer, size_t capacity, size_t *length)
{
    ssize_t count;

    *length = 0;
    do {
        count = read(tty->fd, buffer, capacity);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        *length = (size_t)count;
    else if (count == 0 || errno != EAGAIN)
        return FWR_E_IO;
    return FWR_OK;
}

int fwr_tty_write(struct fwr_tty *tty, const uint8_t *data, size_t length, size_t *taken)
{
    ssize_t count;

    *taken = 0;
    do {
        count =
            tty->socket ? send(tty->fd, data, length, MSG_NOSIGNAL) : write(tty->fd, data, length);
    } while (count < 0 && errno == EINTR);
    if (count >= 0)
        *taken = (size_t)count;
    else if (errno != EAGAIN)
        return FWR_E_IO;
    return FWR_OK;
}
