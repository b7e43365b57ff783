/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of road leads to a donor, and the way to it: see client.h. */
#include "ipmi-sim/client.h"

#include <stdlib.h>

static const struct sim_client_kind *kind_of(const struct sim_donor_config *config)
{
    if (config->icmb != 0)
        return &sim_client_icmb;
    return config->device != NULL || config->bluetooth ? &sim_client_serial : &sim_client_rmcp;
}

int sim_client_init(struct sim_client *client, const struct sim_donor_config *config,
                    const struct fwr_platform *platform)
{
    client->config = config;
    client->kind = kind_of(config);
    return client->kind->init(client, platform);
}

void sim_client_end(struct sim_client *client)
{
    if (client->own != NULL)
        client->kind->end(client);
    free(client->own);
    client->own = NULL;
    client->link = NULL;
}

void sim_client_retry(struct sim_client *client)
{
    if (client->own != NULL)
        client->kind->retry(client);
}

uint64_t sim_client_next_timeout(const struct sim_client *client)
{
    return client->own != NULL ? client->kind->next_timeout(client) : FWR_NEVER;
}

void sim_client_timeout(struct sim_client *client, uint64_t now)
{
    client->kind->timeout(client, now);
}
