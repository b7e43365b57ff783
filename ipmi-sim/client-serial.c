/* SPDX-License-Identifier: Apache-2.0 */
/* Serial lines and Bluetooth (RFCOMM) to donors (fwrecover/serial.h): see client.h. */
#include "ipmi-sim/client.h"

#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/serial.h>

#include "ipmi-sim/port.h"

struct serial {
    struct sim_client *client;
    struct sim_port port;
    struct fwr_tty_port_config port_config;
    struct fwr_serial_road_config config;
    struct fwr_serial_road *road;
    void *storage;
};

/* ---- what the port calls ---- */

static void on_opened(void *ctx, uint64_t now)
{
    fwr_serial_road_opened(((struct serial *)ctx)->road, now);
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    struct serial *own = ctx;

    if (error == FWR_E_IO)
        error = FWR_E_SESSION_CLOSED;
    else if (!own->client->config->bluetooth)
        error = FWR_E_NO_DONOR;
    fwr_serial_road_closed(own->road, now, error);
}

static int on_dial(void *ctx, struct fwr_tty *tty)
{
    return fwr_rfcomm_dial(tty, NULL, &((struct serial *)ctx)->client->config->peer);
}

static void on_closing(void *ctx)
{
    sim_port_closing(&((struct serial *)ctx)->port);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    fwr_serial_road_receive(((struct serial *)ctx)->road, now, bytes, length);
}

/* ---- what the road calls ---- */

static int transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    return sim_port_send(&((struct serial *)ctx)->port, bytes, length);
}

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct sim_client *client = ((struct serial *)ctx)->client;

    client->events->reply(client->ctx, client->peer, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct sim_client *client = ((struct serial *)ctx)->client;

    client->events->state(client->ctx, client->peer, error, limits);
}

/* A call takes a moment: nobody should give the donor up meanwhile. */
static bool on_opening(void *ctx)
{
    return fwr_tty_port_opening(&((struct serial *)ctx)->port.port);
}

/* ---- what client.c calls ---- */

static void serial_retry(struct sim_client *client)
{
    fwr_serial_road_retry(((struct serial *)client->own)->road);
}

static uint64_t serial_next_timeout(const struct sim_client *client)
{
    const struct serial *own = client->own;
    uint64_t port = sim_port_next_timeout(&own->port);
    uint64_t road = fwr_serial_road_next_timeout(own->road);

    return port < road ? port : road;
}

static void serial_timeout(struct sim_client *client, uint64_t now)
{
    struct serial *own = client->own;

    sim_port_timeout(&own->port, now);
    fwr_serial_road_timeout(own->road, now);
}

static void configure(struct sim_client *client)
{
    const struct sim_donor_config *config = client->config;
    struct serial *own = client->own;

    client->limits = fwr_serial_road_limits((enum fwr_serial_mode)config->mode, 0, config->baud);
    client->limits.medium = config->medium;
    client->limits.window = config->window;
    if (config->max_reply < client->limits.max_reply)
        client->limits.max_reply = config->max_reply;
    own->port_config = (struct fwr_tty_port_config){
        .size = sizeof(own->port_config),
        .path = config->device,
        .baud = config->baud,
        .ctx = own,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
        .closing = on_closing,
        .dial = config->bluetooth ? on_dial : NULL,
    };
    own->config = (struct fwr_serial_road_config){
        .size = sizeof(own->config),
        .limits = &client->limits,
        .iana = client->iana,
        .baud = config->baud,
        .command_base = client->command_base,
        .mode = config->mode,
        .no_handshake = config->bluetooth,
        .ctx = own,
        .transmit = transmit,
        .reply = on_reply,
        .state = on_state,
        .opening = config->bluetooth ? on_opening : NULL,
    };
}

static int serial_init(struct sim_client *client, const struct fwr_platform *platform)
{
    struct serial *own = calloc(1, sizeof(*own));
    int error;

    (void)platform;
    client->own = own;
    if (own == NULL)
        return FWR_E_MEMORY;
    own->client = client;
    configure(client);
    sim_port_init(&own->port, client->sys, &own->port_config, client->now, client->events->drained,
                  client->ctx);
    own->storage = calloc(1, fwr_serial_road_storage());
    if (own->storage == NULL)
        return FWR_E_MEMORY;
    error = fwr_serial_road_init(&own->road, own->storage, fwr_serial_road_storage(), &own->config);
    if (error == FWR_OK)
        client->link = fwr_serial_road_link(own->road);
    return error;
}

static void serial_end(struct sim_client *client)
{
    struct serial *own = client->own;

    sim_port_end(&own->port);
    fwr_serial_road_end(own->road);
    free(own->storage);
}

const struct sim_client_kind sim_client_serial = {
    .init = serial_init,
    .end = serial_end,
    .retry = serial_retry,
    .next_timeout = serial_next_timeout,
    .timeout = serial_timeout,
};
