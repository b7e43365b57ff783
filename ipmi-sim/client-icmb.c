/* SPDX-License-Identifier: Apache-2.0 */
/* Roads to donors on the BMC's own ICMB (fwrecover/icmb-road.h): see client.h. */
#include "ipmi-sim/client.h"

#include <stdlib.h>

#include <fwrecover/error.h>

struct neighbour {
    struct fwr_icmb_road_config config;
    struct fwr_icmb_road *road;
    void *storage;
};

static void on_reply(void *ctx, uint8_t command, const uint8_t *reply, size_t length)
{
    struct sim_client *client = ctx;

    client->events->reply(client->ctx, client->peer, command, reply, length);
}

static void on_state(void *ctx, int error, const struct fwr_link_limits *limits)
{
    struct sim_client *client = ctx;

    client->events->state(client->ctx, client->peer, error, limits);
}

static void icmb_retry(struct sim_client *client)
{
    fwr_icmb_road_retry(((struct neighbour *)client->own)->road);
}

static uint64_t icmb_next_timeout(const struct sim_client *client)
{
    return fwr_icmb_road_next_timeout(((const struct neighbour *)client->own)->road);
}

static void icmb_timeout(struct sim_client *client, uint64_t now)
{
    fwr_icmb_road_timeout(((struct neighbour *)client->own)->road, now);
}

static int icmb_init(struct sim_client *client, const struct fwr_platform *platform)
{
    struct neighbour *own = calloc(1, sizeof(*own));
    int error;

    (void)platform;
    client->own = own;
    if (own == NULL)
        return FWR_E_MEMORY;
    own->config = (struct fwr_icmb_road_config){
        .size = sizeof(own->config),
        .bridge = client->bridge,
        .address = client->config->icmb,
        .command_base = client->command_base,
        .iana = client->iana,
        .ctx = client,
        .reply = on_reply,
        .state = on_state,
    };
    fwr_icmb_road_limits(client->bridge, &client->limits);
    own->storage = calloc(1, fwr_icmb_road_storage());
    if (own->storage == NULL)
        return FWR_E_MEMORY;
    error = fwr_icmb_road_init(&own->road, own->storage, fwr_icmb_road_storage(), &own->config);
    if (error == FWR_OK)
        client->link = fwr_icmb_road_link(own->road);
    return error;
}

static void icmb_end(struct sim_client *client)
{
    struct neighbour *own = client->own;

    fwr_icmb_road_end(own->road);
    free(own->storage);
}

const struct sim_client_kind sim_client_icmb = {
    .init = icmb_init,
    .end = icmb_end,
    .retry = icmb_retry,
    .next_timeout = icmb_next_timeout,
    .timeout = icmb_timeout,
};
