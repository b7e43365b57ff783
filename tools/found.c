/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors that are found: see found.h. An interface that is down now may be up at the next ping.
 */
#include "tools/found.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define CONFIGURED_MS 2000 /* head start of the donors that are named */
#define ANSWER_SIZE   64   /* longer ones are malformed */

static void say(const struct tool_found *found, const char *text)
{
    const struct fwr_platform *platform = found->config.platform;

    if (platform->log != NULL)
        platform->log(platform->ctx, FWR_LOG_NOTICE, text);
}

static int add_interface(struct tool_found *found, const char *name, uint8_t medium)
{
    struct fwr_discover_interface *one = &found->interfaces[found->config.interface_count];
    enum fwr_medium detected;

    if (found->config.interface_count == FWR_DISCOVER_INTERFACES_MAX)
        return tool_usage("more than %d interfaces to search", FWR_DISCOVER_INTERFACES_MAX);
    fwr_lan_medium(NULL, name, &detected);
    snprintf(one->name, sizeof(one->name), "%s", name);
    one->medium = medium != FWR_MEDIUM_LOCAL ? medium : (uint8_t)detected;
    found->pingers[found->config.interface_count++].fd = -1;
    return TOOL_OK;
}

static int add_interfaces(struct tool_found *found, const struct tool_donors *donors)
{
    char names[FWR_DISCOVER_INTERFACES_MAX][FWR_LAN_NAME_MAX];
    size_t count = 0;
    int status = TOOL_OK;

    for (unsigned i = 0; i < donors->interface_count && status == TOOL_OK; i++)
        status = add_interface(found, donors->interfaces[i].name, donors->interfaces[i].medium);
    if (donors->interface_count == 0)
        count = fwr_lan_broadcasters(names, FWR_DISCOVER_INTERFACES_MAX);
    for (size_t i = 0; i < count && status == TOOL_OK; i++)
        status = add_interface(found, names[i], FWR_MEDIUM_LOCAL);
    if (status == TOOL_OK && found->config.interface_count == 0)
        return tool_error(FWR_E_INTERFACE, "--discover", "name one with --interface");
    return status;
}

int tool_found_init(struct tool_found *found, const struct tool_donors *donors,
                    const struct fwr_store *store, const struct fwr_platform *platform,
                    const struct tool_found_events *events, void *ctx)
{
    const struct tool_discover *options = &donors->discover;
    int status, error;

    if (!options->on)
        return TOOL_OK;
    found->login = &options->login;
    found->events = events;
    found->ctx = ctx;
    found->config = (struct fwr_discover_config){.size = sizeof(found->config),
                                                 .platform = platform,
                                                 .store = store,
                                                 .interfaces = found->interfaces,
                                                 .slots = options->max,
                                                 .port = options->port,
                                                 .interval_ms = options->interval_ms};
    found->config.configured_ms = donors->count > 0 ? CONFIGURED_MS : 0;
    status = add_interfaces(found, donors);
    if (status != TOOL_OK)
        return status;
    found->storage = malloc(fwr_discover_storage());
    error = found->storage == NULL
                ? FWR_E_MEMORY
                : fwr_discover_init(&found->discover, found->storage, fwr_discover_storage(),
                                    &found->config, tool_now());
    return error == FWR_OK ? TOOL_OK : tool_error(error, "--discover", NULL);
}

void tool_found_end(struct tool_found *found)
{
    if (found->discover != NULL) {
        fwr_discover_search(found->discover, tool_now(), false);
        while (fwr_discover_step(found->discover) == FWR_PENDING)
            continue;
    }
    for (uint8_t i = 0; i < found->config.interface_count; i++)
        fwr_lan_pinger_close(&found->pingers[i]);
    free(found->storage);
    found->discover = NULL;
    found->storage = NULL;
    found->config.interface_count = 0;
}

void tool_found_result(struct tool_found *found, uint8_t slot, int error)
{
    if (found->discover != NULL)
        fwr_discover_result(found->discover, tool_now(), slot, error);
}

size_t tool_found_handles(const struct tool_found *found, struct pollfd *handles)
{
    for (uint8_t i = 0; i < found->config.interface_count; i++)
        handles[i] = (struct pollfd){.fd = found->pingers[i].fd, .events = POLLIN};
    return found->config.interface_count;
}

uint64_t tool_found_next_timeout(const struct tool_found *found)
{
    return found->discover != NULL ? fwr_discover_next_timeout(found->discover) : FWR_NEVER;
}

/* ---- the work ---- */

static void receive(struct tool_found *found, uint8_t interface)
{
    struct fwr_discover_address from;
    uint8_t answer[ANSWER_SIZE];
    size_t length;

    while ((length = fwr_lan_pinger_receive(&found->pingers[interface], &from, answer,
                                            sizeof(answer))) > 0)
        fwr_discover_receive(found->discover, tool_now(), interface, &from, answer, length);
}

static void ping(struct tool_found *found, const struct fwr_discover_action *action)
{
    struct fwr_lan_pinger *pinger = &found->pingers[action->interface];
    const char *name = found->interfaces[action->interface].name;
    char line[160];
    int error = FWR_OK;

    if (fwr_lan_pinger_stale(pinger))
        fwr_lan_pinger_close(pinger);
    if (pinger->fd < 0)
        error = fwr_lan_pinger_open(pinger, name);
    if (error == FWR_OK)
        error = fwr_lan_pinger_send(pinger, action->port, action->ping, sizeof(action->ping));
    if (error != FWR_OK && error != found->errors[action->interface]) {
        snprintf(line, sizeof(line), "%s: no ping: %s", name, fwr_error_text(error));
        say(found, line);
    }
    found->errors[action->interface] = error;
}

static void open_slot(struct tool_found *found, const struct fwr_discover_action *action)
{
    const struct fwr_discover_donor *donor = &action->donor;
    const struct fwr_discover_interface over = found->interfaces[donor->interface];
    struct tool_login *login = &found->logins[action->slot];
    char host[FWR_LAN_HOST_MAX], line[160];

    fwr_lan_host_text(&donor->address, host);
    snprintf(found->targets[action->slot], sizeof(found->targets[0]), "%s:%u", host,
             donor->address.port);
    snprintf(found->names[action->slot], sizeof(found->names[0]), "%s:%u over %s", host,
             donor->address.port, over.name);
    *login = *found->login;
    login->target = found->targets[action->slot];
    login->interface = found->interfaces[donor->interface].name;
    login->medium = donor->medium;
    snprintf(line, sizeof(line), "%s %s (%s): trying it",
             donor->learned ? "known from before:" : "found:", found->names[action->slot],
             fwr_medium_name((enum fwr_medium)donor->medium));
    say(found, line);
    found->events->open(found->ctx, action->slot, login, found->names[action->slot],
                        donor->round_trip_ms);
}

void tool_found_work(struct tool_found *found, bool wanted)
{
    struct fwr_discover_action action;

    if (found->discover == NULL)
        return;
    for (uint8_t i = 0; i < found->config.interface_count; i++)
        receive(found, i);
    fwr_discover_search(found->discover, tool_now(), wanted);
    while (fwr_discover_next(found->discover, tool_now(), &action)) {
        if (action.kind == FWR_DISCOVER_PING)
            ping(found, &action);
        else if (action.kind == FWR_DISCOVER_OPEN)
            open_slot(found, &action);
        else
            found->events->close(found->ctx, action.slot);
    }
    fwr_discover_step(found->discover);
}
