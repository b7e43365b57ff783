/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the kinds of roads, and the way to them: see road.h. */
#include "tools/road.h"

#include <stdlib.h>
#include <string.h>

static const struct tool_road_kind *const kinds[] = {
    &tool_road_serial, &tool_road_terminal, &tool_road_bluetooth,
    &tool_road_icmb,   &tool_road_rmcp, /* last: it takes what nobody else has taken */
};

/* Gives what follows the prefix, too. */
static const struct tool_road_kind *kind_of(const char *target, const char **address)
{
    size_t i = 0;

    *address = target;
    while (kinds[i]->prefix != NULL) {
        size_t length = strlen(kinds[i]->prefix);

        if (strncmp(target, kinds[i]->prefix, length) == 0) {
            *address = target + length;
            break;
        }
        i++;
    }
    return kinds[i];
}

bool tool_road_has_sessions(const char *target)
{
    const char *address;

    return kind_of(target, &address)->sessions;
}

int tool_road_open(struct tool_road *road, const struct tool_login *login,
                   const struct fwr_platform *platform, const struct tool_road_events *events,
                   void *ctx)
{
    const char *address;
    int status;

    memset(road, 0, sizeof(*road));
    road->login = login;
    road->events = events;
    road->ctx = ctx;
    road->kind = kind_of(login->target, &address);
    status = road->kind->open(road, address, platform);
    if (status != 0)
        tool_road_close(road);
    return status;
}

void tool_road_close(struct tool_road *road)
{
    if (road->own != NULL)
        road->kind->close(road);
    free(road->own);
    road->own = NULL;
    road->link = NULL;
}

int tool_road_send(struct tool_road *road, uint8_t command, const uint8_t *data, size_t length)
{
    return road->link->send(road->link->ctx, tool_now(), command, data, length);
}

void tool_road_gather(struct tool_road *road)
{
    if (road->own != NULL && road->kind->gather != NULL)
        road->kind->gather(road, true);
}

void tool_road_flush(struct tool_road *road)
{
    if (road->own != NULL && road->kind->gather != NULL)
        road->kind->gather(road, false);
}

struct pollfd tool_road_handle(const struct tool_road *road)
{
    return road->own != NULL ? road->kind->handle(road) : (struct pollfd){.fd = -1};
}

void tool_road_ready(struct tool_road *road)
{
    if (road->own != NULL)
        road->kind->ready(road);
}

uint64_t tool_road_next_timeout(const struct tool_road *road)
{
    return road->own != NULL ? road->kind->next_timeout(road) : FWR_NEVER;
}

void tool_road_timeout(struct tool_road *road, uint64_t now)
{
    if (road->own != NULL)
        road->kind->timeout(road, now);
}
