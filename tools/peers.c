/* SPDX-License-Identifier: Apache-2.0 */
/* The peers page for people and programs: see peers.h. What it says is another machine's word. */
#include "tools/peers.h"

#include <stdio.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/link.h>

#include "tools/json.h"

#define ENTRY_SIZE_FIRST 12 /* up to the tag: what the first recipients told */
#define FLAGS_AT         3
#define FLAGS_KNOWN      (FWR_PEER_ASKED | FWR_PEER_SERVING | FWR_PEER_DROPPED | FWR_PEER_CARRIES)
#define PAGE_MAX         (FWR_PEERS_PAGE_SIZE + TOOL_PEERS_MAX * UINT8_MAX)

/* ---- reading ---- */

/* What is lacking is zero, and what is not known is dropped, before the strict decoder sees it. */
static bool take_entry(struct tool_peers *peers, const uint8_t *bytes, size_t size)
{
    uint8_t entry[FWR_PEER_ENTRY_SIZE] = {0};

    memcpy(entry, bytes, size < sizeof(entry) ? size : sizeof(entry));
    entry[FLAGS_AT] &= FLAGS_KNOWN;
    memset(entry + sizeof(entry) - 2, 0, 2);
    return fwr_peer_entry_decode(entry, sizeof(entry), &peers->items[peers->count]) == FWR_OK;
}

static void take_page(struct tool_peers *peers, const uint8_t *page, size_t length)
{
    size_t size = page[1];

    if (size < ENTRY_SIZE_FIRST)
        return;
    peers->measured = size >= FWR_PEER_ENTRY_SIZE;
    for (size_t at = FWR_PEERS_PAGE_SIZE; peers->count < page[0] && at + size <= length; at += size)
        peers->count += take_entry(peers, page + at, size);
}

int tool_peers_read(struct tool_peers *peers,
                    int (*read)(void *ctx, uint32_t offset, uint8_t *buffer, size_t capacity,
                                size_t *got),
                    void *ctx)
{
    uint8_t page[PAGE_MAX];
    size_t have = 0, wanted = FWR_PEERS_PAGE_SIZE, got = 1;

    memset(peers, 0, sizeof(*peers));
    while (have < wanted && got > 0) {
        /* All of it is asked for, though nobody knows yet how much that is. */
        size_t room = have < FWR_PEERS_PAGE_SIZE ? sizeof(page) : wanted;
        int error = read(ctx, (uint32_t)have, page + have, room - have, &got);

        if (error != FWR_OK)
            return error;
        have += got;
        if (have >= FWR_PEERS_PAGE_SIZE)
            wanted = FWR_PEERS_PAGE_SIZE + (size_t)page[0] * page[1];
    }
    if (have >= FWR_PEERS_PAGE_SIZE)
        take_page(peers, page, have);
    return FWR_OK;
}

/* ---- in words ---- */

static const char *medium_of(const struct fwr_peer_entry *entry)
{
    return fwr_medium_name((enum fwr_medium)entry->medium);
}

/* In "state", for people; programs get the flags, too. */
static const char *state_of(const struct fwr_peer_entry *entry)
{
    if (entry->flags & FWR_PEER_CARRIES)
        return "carries";
    if (entry->flags & FWR_PEER_SERVING)
        return "standing by";
    if (entry->flags & FWR_PEER_DROPPED)
        return "dropped";
    if (entry->bytes > 0)
        return "used";
    return entry->flags & FWR_PEER_ASKED ? "asked" : "not asked";
}

void tool_peers_carrying(const struct tool_peers *peers, char *text, size_t capacity)
{
    size_t length = 0;

    text[0] = '\0';
    for (unsigned medium = 0; medium < FWR_MEDIUM_COUNT; medium++) {
        unsigned carrying = 0;
        int added;

        for (unsigned i = 0; i < peers->count; i++)
            carrying +=
                peers->items[i].medium == medium && (peers->items[i].flags & FWR_PEER_CARRIES) != 0;
        if (carrying == 0)
            continue;
        added = snprintf(text + length, capacity - length, "%s%s", length > 0 ? "+" : "",
                         fwr_medium_name((enum fwr_medium)medium));
        length += added > 0 ? (size_t)added : 0;
        if (length >= capacity)
            return;
    }
}

/* ---- the table ---- */

#define NUMBER_TEXT 24

static void rate_text(uint32_t rate, char text[NUMBER_TEXT])
{
    if (rate == 0)
        snprintf(text, NUMBER_TEXT, "-");
    else if (rate < 10000)
        snprintf(text, NUMBER_TEXT, "%lu B/s", (unsigned long)rate);
    else if (rate < 10000000)
        snprintf(text, NUMBER_TEXT, "%lu kB/s", (unsigned long)rate / 1000);
    else
        snprintf(text, NUMBER_TEXT, "%lu MB/s", (unsigned long)rate / 1000000);
}

static void row(const struct tool_peers *peers, const struct fwr_peer_entry *entry,
                const char *name)
{
    char bytes[NUMBER_TEXT] = "-", rate[NUMBER_TEXT] = "-", trip[NUMBER_TEXT] = "-";
    char number[NUMBER_TEXT];

    snprintf(number, sizeof(number), "%u", entry->peer);
    if (peers->measured) {
        snprintf(bytes, sizeof(bytes), "%lu", (unsigned long)entry->bytes);
        rate_text(entry->rate, rate);
    }
    if (entry->round_trip > 0)
        snprintf(trip, sizeof(trip), "%u ms", entry->round_trip);
    printf("  %4s  %-10s%-12s%12s%11s%12s", number, medium_of(entry), state_of(entry), bytes, rate,
           trip);
    if (name != NULL && name[0] != '\0')
        printf("  %s", name);
    if (strcmp(state_of(entry), "dropped") == 0 && entry->reason != 0)
        printf("%s%s (%s)", name != NULL && name[0] != '\0' ? ": " : "  ",
               fwr_error_text(-entry->reason), fwr_error_name(-entry->reason));
    printf("\n");
}

void tool_peers_table(const struct tool_peers *peers, bool all,
                      const char *(*name)(const void *ctx, uint8_t peer), const void *ctx)
{
    bool begun = false;

    for (unsigned i = 0; i < peers->count; i++) {
        const struct fwr_peer_entry *entry = &peers->items[i];

        if (!all && entry->flags == 0 && entry->bytes == 0)
            continue;
        if (!begun)
            printf("  %4s  %-10s%-12s%12s%11s%12s\n", "road", "medium", "state", "bytes", "rate",
                   "round trip");
        begun = true;
        row(peers, entry, name != NULL ? name(ctx, entry->peer) : NULL);
    }
}

void tool_peers_json(const struct tool_peers *peers, struct json_object *object,
                     const char *(*name)(const void *ctx, uint8_t peer), const void *ctx)
{
    struct json_object *list = tool_json_list(object, "roads");

    for (unsigned i = 0; i < peers->count; i++) {
        const struct fwr_peer_entry *entry = &peers->items[i];
        struct json_object *road = json_object_new_object();

        tool_json_number(road, "road", entry->peer);
        if (name != NULL)
            tool_json_text(road, "name", name(ctx, entry->peer));
        tool_json_text(road, "medium", medium_of(entry));
        tool_json_text(road, "state", state_of(entry));
        tool_json_error(road, -entry->reason);
        tool_json_hex(road, "tag", entry->tag, sizeof(entry->tag));
        if (peers->measured) {
            tool_json_number(road, "bytes", entry->bytes);
            tool_json_number(road, "rate", entry->rate);
            tool_json_number(road, "round_trip_ms", entry->round_trip);
        }
        json_object_array_add(list, road);
    }
}
