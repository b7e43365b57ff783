/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go: see tty.h. Called by programs that keep a line for as long as they
 * run.
 */
#include <fwrecover/tty.h>

#include <string.h>
#include <termios.h>

#include <fwrecover/error.h>
#include <fwrecover/platform.h>

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   5000
#define DIAL_MS        20000
#define READS_A_TURN   16
#define READ_SIZE      1024

static void shut(struct fwr_tty_port *port)
{
    if (port->tty.fd >= 0 && port->config->closing != NULL)
        port->config->closing(port->config->ctx);
    fwr_tty_close(&port->tty);
    port->broken = port->dialing = false;
    port->start = port->length = 0;
}

static void lose(struct fwr_tty_port *port, uint64_t now, int error)
{
    /* One that opens and is gone at once, again and again, gets longer and longer pauses. */
    if (port->tty.fd >= 0 && !port->dialing && now >= port->opened_at + PAUSE_MAX_MS)
        port->pause = PAUSE_FIRST_MS;
    shut(port);
    port->open_at = now + port->pause;
    port->pause = port->pause * 2 < PAUSE_MAX_MS ? port->pause * 2 : PAUSE_MAX_MS;
    if (port->told)
        return;
    port->told = true;
    port->config->closed(port->config->ctx, now, error);
}

void fwr_tty_port_init(struct fwr_tty_port *port, const struct fwr_tty_port_config *config)
{
    memset(port, 0, sizeof(*port));
    port->tty.fd = -1;
    port->config = config;
    port->pause = PAUSE_FIRST_MS;
}

void fwr_tty_port_end(struct fwr_tty_port *port)
{
    shut(port);
    port->open_at = FWR_NEVER;
}

bool fwr_tty_port_waits(const struct fwr_tty_port *port)
{
    return port->length > 0 || port->dialing;
}

bool fwr_tty_port_opening(const struct fwr_tty_port *port)
{
    return port->dialing || (port->tty.fd < 0 && port->open_at == 0);
}

static int drain(struct fwr_tty_port *port)
{
    while (port->length > 0) {
        size_t taken;
        int error = fwr_tty_write(&port->tty, port->out + port->start, port->length, &taken);

        if (error != FWR_OK || taken == 0)
            return error;
        port->start += taken;
        port->length -= taken;
    }
    port->start = 0;
    return FWR_OK;
}

int fwr_tty_port_send(struct fwr_tty_port *port, const uint8_t *bytes, size_t length)
{
    if (port->tty.fd < 0 || port->broken || port->dialing)
        return FWR_E_SESSION_CLOSED;
    if (length > sizeof(port->out) - port->length)
        return FWR_E_BUSY;
    memmove(port->out, port->out + port->start, port->length);
    memcpy(port->out + port->length, bytes, length);
    port->start = 0;
    port->length += length;
    /* Whoever sends must not be told in the middle of it that the line is gone. */
    port->broken = drain(port) != FWR_OK;
    return FWR_OK;
}

void fwr_tty_port_flush(struct fwr_tty_port *port)
{
    port->length = 0;
    if (port->tty.fd >= 0)
        (void)tcflush(port->tty.fd, TCOFLUSH);
}

/* Opens it, or goes on with that. */
static void try_open(struct fwr_tty_port *port, uint64_t now)
{
    const struct fwr_tty_port_config *config = port->config;
    int error = config->dial != NULL
                    ? config->dial(config->ctx, &port->tty)
                    : fwr_tty_open(&port->tty, config->path, config->baud, config->rs485);

    if (error < FWR_OK) {
        lose(port, now, error);
    } else if (error == FWR_PENDING) {
        if (!port->dialing)
            port->open_at = now + DIAL_MS;
        port->dialing = true;
    } else {
        port->dialing = false;
        port->open_at = FWR_NEVER;
        port->opened_at = now;
        port->told = false;
        config->opened(config->ctx, now);
    }
}

void fwr_tty_port_ready(struct fwr_tty_port *port, uint64_t now)
{
    uint8_t bytes[READ_SIZE];

    if (port->dialing)
        try_open(port, now);
    if (port->dialing)
        return;
    for (int i = 0; i < READS_A_TURN && port->tty.fd >= 0; i++) {
        size_t length;
        int error = fwr_tty_read(&port->tty, bytes, sizeof(bytes), &length);

        if (error != FWR_OK) {
            lose(port, now, error);
            return;
        }
        if (length == 0)
            break;
        port->pause = PAUSE_FIRST_MS;
        port->config->received(port->config->ctx, now, bytes, length);
    }
    if (port->tty.fd >= 0 && (port->broken || drain(port) != FWR_OK))
        lose(port, now, FWR_E_IO);
}

uint64_t fwr_tty_port_next_timeout(const struct fwr_tty_port *port)
{
    return port->broken ? 0 : port->open_at;
}

void fwr_tty_port_timeout(struct fwr_tty_port *port, uint64_t now)
{
    if (port->broken)
        lose(port, now, FWR_E_IO);
    if (now < port->open_at)
        return;
    if (port->dialing)
        lose(port, now, FWR_E_TIMEOUT);
    else
        try_open(port, now);
}
