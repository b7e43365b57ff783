/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the numbers, UUIDs and ranges of the command line. Numbers mean what they say, and
 * a region map that is made of ranges covers the chip, keeps every byte that was to be preserved,
 * and has its guard where one boots from.
 */
#include <fcntl.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tests/fuzz/fuzz.h"
#include "tools/layout.h"
#include "tools/number.h"
#include "tools/say.h"

static int nowhere = -1; /* for what would be said to a person */

enum { TEXT_MAX = 500, FLASH = 65536, BLOCK = 4096 };

static void check_number(const char *text)
{
    uint64_t value = 0, again;
    char written[32];
    uint8_t uuid[FWR_UUID_SIZE], same[FWR_UUID_SIZE];
    char uuid_text[TOOL_UUID_TEXT];

    if (tool_number(text, UINT32_MAX, &value)) {
        require(value <= UINT32_MAX && text[0] >= '0' && text[0] <= '9');
        snprintf(written, sizeof(written), "0x%llx", (unsigned long long)value);
        require(tool_number(written, value, &again) && again == value);
        require(value == 0 || !tool_number(text, value - 1, &again));
    }
    if (tool_uuid(text, uuid)) {
        tool_uuid_text(uuid, uuid_text);
        require(tool_uuid(uuid_text, same) && memcmp(uuid, same, sizeof(uuid)) == 0);
        require(strlen(text) == TOOL_UUID_TEXT - 1);
    }
}

static void check_map(const struct tool_layout *layout, const struct fwr_region_map *map,
                      uint32_t guard)
{
    uint32_t values[3];

    require(fwr_region_map_check(map, FLASH, BLOCK) == FWR_OK);
    for (size_t i = 0; i < layout->preserve.count; i++) {
        require(tool_numbers(layout->preserve.items[i], 3, values) == 2);
        for (uint32_t at = 0; at < values[1]; at += BLOCK)
            require(fwr_region_map_find(map, values[0] + at)->kind == FWR_REGION_PRESERVE);
    }
    for (size_t i = 0; i < layout->boot.count; i++) {
        require(tool_numbers(layout->boot.items[i], 3, values) == 2);
        for (uint32_t at = 0; at < values[1]; at += BLOCK)
            require(fwr_region_map_find(map, values[0] + at)->flags & FWR_REGION_BOOT);
    }
    require(guard == FWR_NO_GUARD || (guard < FLASH && guard % BLOCK == 0 &&
                                      fwr_region_map_find(map, guard)->flags & FWR_REGION_BOOT));
}

/* Lines: "p" and a range to preserve, "f" one to fill, "b" one to boot from, "g" the guard; others
 * are numbers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX + 1];
    struct tool_layout layout = {0};
    struct fwr_region_map map;
    uint32_t guard;
    char *rest = text, *line;
    int status, standard_error;

    if (size > TEXT_MAX)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        struct tool_list *list = line[0] == 'p'   ? &layout.preserve
                                 : line[0] == 'f' ? &layout.fill
                                 : line[0] == 'b' ? &layout.boot
                                                  : NULL;

        if (list != NULL && list->count < TOOL_LIST_MAX)
            list->items[list->count++] = line + 1;
        else if (line[0] == 'g')
            layout.guard = line + 1;
        else if (list == NULL)
            check_number(line);
    }
    if (nowhere < 0)
        nowhere = open("/dev/null", O_WRONLY);
    standard_error = dup(2);
    require(dup2(nowhere, 2) == 2);
    status = tool_layout_map(&layout, FLASH, BLOCK, &map, &guard);
    require(dup2(standard_error, 2) == 2);
    close(standard_error);
    require(status == TOOL_OK || status == TOOL_USAGE || status == TOOL_UNTRUSTED);
    if (status == TOOL_OK)
        check_map(&layout, &map, guard);
    return 0;
}
