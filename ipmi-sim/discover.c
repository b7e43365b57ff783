/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors that are found: see discover.h. An interface that is down now may be up at the next ping.
 */
#include "ipmi-sim/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/recipient.h>

#include "ipmi-sim/bmc.h"

#define CONFIGURED_MS 2000 /* head start of the configured donors */
#define ANSWER_SIZE   64   /* longer ones are malformed */

/* ---- pings and answers ---- */

static void readable(int fd, void *ctx)
{
    struct sim_search *search = ctx;
    struct fwr_discover_address from;
    uint8_t answer[ANSWER_SIZE];
    size_t length;

    (void)fd;
    while ((length = fwr_lan_pinger_receive(&search->pinger, &from, answer, sizeof(answer))) > 0)
        fwr_discover_receive(search->bmc->found.discover, sim_bmc_now(search->bmc), search->number,
                             &from, answer, length);
    sim_work_kick(search->bmc);
}

/* Its selector asserts that every handle it lets go of is still open. */
static void close_search(struct sim_search *search)
{
    if (search->pinger.fd >= 0 && search->io != NULL)
        search->bmc->sys->remove_io_hnd(search->io);
    search->io = NULL;
    fwr_lan_pinger_close(&search->pinger);
}

static int open_search(struct sim_search *search)
{
    sys_data_t *sys = search->bmc->sys;
    int error;

    error = fwr_lan_pinger_open(&search->pinger,
                                search->bmc->found.config.interfaces[search->number].name);
    if (error != FWR_OK)
        return error;
    if (sys->add_io_hnd(sys, search->pinger.fd, readable, search, &search->io) != 0) {
        search->io = NULL;
        fwr_lan_pinger_close(&search->pinger);
        return FWR_E_MEMORY;
    }
    sys->io_set_enables(search->io, 1, 0, 0);
    return FWR_OK;
}

static void ping(struct sim_bmc *bmc, const struct fwr_discover_action *action)
{
    struct sim_search *search = &bmc->found.searches[action->interface];
    int error = FWR_OK;

    if (fwr_lan_pinger_stale(&search->pinger))
        close_search(search);
    if (search->pinger.fd < 0)
        error = open_search(search);
    if (error == FWR_OK)
        error =
            fwr_lan_pinger_send(&search->pinger, action->port, action->ping, sizeof(action->ping));
    if (error != FWR_OK && error != search->error)
        sim_bmc_log(bmc, "%s: no ping: %s", bmc->found.config.interfaces[search->number].name,
                    fwr_error_text(error));
    search->error = error;
}

/* ---- the spare peers ---- */

static unsigned peer_of(const struct sim_bmc *bmc, uint8_t slot)
{
    return (unsigned)bmc->config.donor_count + slot;
}

static void leave(struct sim_bmc *bmc, uint8_t slot)
{
    unsigned peer = peer_of(bmc, slot);

    fwr_recipient_peer(bmc->recipient, sim_bmc_now(bmc), (uint8_t)peer, FWR_E_NOT_FOUND, NULL);
    sim_client_end(&bmc->clients[peer]);
    bmc->links[peer] = NULL;
}

static void take(struct sim_bmc *bmc, const struct fwr_discover_action *action)
{
    const struct fwr_discover_donor *donor = &action->donor;
    const char *interface = bmc->found.config.interfaces[donor->interface].name;
    struct sim_donor_config *config = &bmc->found.donors[action->slot];
    unsigned peer = peer_of(bmc, action->slot);
    int error;

    fwr_lan_host_text(&donor->address, bmc->found.hosts[action->slot]);
    snprintf(bmc->found.names[action->slot], sizeof(bmc->found.names[0]), "%u.%u.%u.%u:%u over %s",
             donor->address.bytes[0], donor->address.bytes[1], donor->address.bytes[2],
             donor->address.bytes[3], donor->address.port, interface);
    *config = bmc->config.discover.login;
    config->name = bmc->found.names[action->slot];
    config->host = bmc->found.hosts[action->slot];
    config->interface = (char *)interface;
    config->port = donor->address.port;
    config->medium = donor->medium;
    sim_bmc_log(bmc, "%s %s (%s): trying it",
                donor->learned ? "known from before:" : "found:", config->name,
                fwr_medium_name((enum fwr_medium)donor->medium));
    error = sim_bmc_road(bmc, (uint8_t)peer, config);
    if (error != FWR_OK) {
        sim_client_end(&bmc->clients[peer]);
        bmc->links[peer] = NULL;
        sim_discover_result(bmc, (uint8_t)peer, error);
        return;
    }
    bmc->clients[peer].limits.round_trip_ms = donor->round_trip_ms;
    fwr_recipient_peer(bmc->recipient, sim_bmc_now(bmc), (uint8_t)peer, FWR_OK,
                       &bmc->clients[peer].limits);
}

/* ---- what the work calls ---- */

void sim_discover_result(struct sim_bmc *bmc, uint8_t peer, int error)
{
    if (bmc->found.discover != NULL && peer >= bmc->config.donor_count)
        fwr_discover_result(bmc->found.discover, sim_bmc_now(bmc),
                            (uint8_t)(peer - bmc->config.donor_count), error);
}

uint64_t sim_discover_next_timeout(const struct sim_bmc *bmc)
{
    return bmc->found.discover != NULL ? fwr_discover_next_timeout(bmc->found.discover) : FWR_NEVER;
}

void sim_discover_work(struct sim_bmc *bmc)
{
    struct fwr_discover_action action;
    struct fwr_status_page status;
    uint64_t now = sim_bmc_now(bmc);

    if (bmc->found.discover == NULL)
        return;
    fwr_recipient_status(bmc->recipient, &status);
    fwr_discover_search(bmc->found.discover, now,
                        status.state == FWR_STATE_NEGOTIATING || status.state == FWR_STATE_BACKOFF);
    while (fwr_discover_next(bmc->found.discover, now, &action)) {
        if (action.kind == FWR_DISCOVER_PING)
            ping(bmc, &action);
        else if (action.kind == FWR_DISCOVER_OPEN)
            take(bmc, &action);
        else
            leave(bmc, action.slot);
    }
    fwr_discover_step(bmc->found.discover); /* a store in a directory never answers later */
}

int sim_discover_init(struct sim_bmc *bmc)
{
    const struct sim_discover_config *config = &bmc->config.discover;
    struct sim_discover *found = &bmc->found;

    bmc->peer_count = bmc->config.donor_count;
    if (!bmc->config.recipient || config->interface_count == 0)
        return FWR_OK;
    found->config = (struct fwr_discover_config){.size = sizeof(found->config),
                                                 .platform = &bmc->platform,
                                                 .store = &bmc->store.store,
                                                 .interfaces = config->interfaces,
                                                 .interface_count = config->interface_count,
                                                 .slots = config->max,
                                                 .port = config->port,
                                                 .interval_ms = config->interval_ms};
    found->config.configured_ms = bmc->config.donor_count > 0 ? CONFIGURED_MS : 0;
    for (uint8_t i = 0; i < config->interface_count; i++) {
        found->searches[i].bmc = bmc;
        found->searches[i].number = i;
        found->searches[i].pinger.fd = -1;
    }
    for (uint8_t slot = 0; slot < config->max; slot++) {
        struct fwr_peer *peer = &bmc->peers[bmc->peer_count++];

        peer->name = "";
        peer->limits = (struct fwr_link_limits){.max_request = FWR_LINK_MIN_REQUEST,
                                                .max_reply = FWR_LINK_MIN_REPLY,
                                                .window = 1,
                                                .medium = FWR_MEDIUM_LAN};
    }
    found->storage = malloc(fwr_discover_storage());
    if (found->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_discover_init(&found->discover, found->storage, fwr_discover_storage(),
                             &found->config, sim_bmc_now(bmc));
}

void sim_discover_begin(struct sim_bmc *bmc)
{
    for (unsigned peer = bmc->config.donor_count; peer < bmc->peer_count; peer++)
        fwr_recipient_peer(bmc->recipient, sim_bmc_now(bmc), (uint8_t)peer, FWR_E_NOT_FOUND, NULL);
}

/* At exit: the loop is over, and nobody has to be told of sockets. */
void sim_discover_end(struct sim_bmc *bmc)
{
    if (bmc->found.discover != NULL) {
        fwr_discover_search(bmc->found.discover, sim_bmc_now(bmc), false);
        fwr_discover_step(bmc->found.discover);
    }
    for (uint8_t i = 0; i < bmc->found.config.interface_count; i++)
        fwr_lan_pinger_close(&bmc->found.searches[i].pinger);
    free(bmc->found.storage);
    bmc->found.discover = NULL;
    bmc->found.storage = NULL;
}
