/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the ranges of the command line into a legal region map: sorted, without gap or overlap,
 * neighbours merged. Keeps no state.
 */
#include "tools/layout.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/number.h"
#include "tools/say.h"

#define PIECES_MAX (2 * TOOL_LIST_MAX)

struct piece {
    struct fwr_region region;
    const char *text;
};

struct pieces {
    struct piece items[PIECES_MAX];
    size_t count;
    uint32_t flash_size;
    uint32_t block_size;
};

/* OFFSET:LENGTH, with BYTE behind it when `fill` is asked for. */
static int read_range(const struct pieces *chip, const char *option, const char *text, bool fill,
                      struct fwr_region *region)
{
    uint32_t values[3] = {0, 0, 0};

    if (tool_numbers(text, 3, values) != (fill ? 3U : 2U) || values[2] > 0xff)
        return tool_usage("--%s %s: not OFFSET:LENGTH%s", option, text, fill ? ":BYTE" : "");
    if (values[1] == 0 || values[0] % chip->block_size != 0 || values[1] % chip->block_size != 0)
        return tool_usage("--%s %s: offset and length must be multiples of the block size %lu",
                          option, text, (unsigned long)chip->block_size);
    if (values[0] >= chip->flash_size || values[1] > chip->flash_size - values[0])
        return tool_usage("--%s %s: reaches past the end of the chip (0x%lx)", option, text,
                          (unsigned long)chip->flash_size);
    region->offset = values[0];
    region->length = values[1];
    region->fill = (uint8_t)values[2];
    return TOOL_OK;
}

static int add_list(struct pieces *chip, const struct tool_list *list, const char *option,
                    uint8_t kind)
{
    for (size_t i = 0; i < list->count; i++) {
        struct piece *piece = &chip->items[chip->count];
        int status;

        memset(piece, 0, sizeof(*piece));
        piece->text = list->items[i];
        piece->region.kind = kind;
        status = read_range(chip, option, piece->text, kind == FWR_REGION_FILL, &piece->region);
        if (status != TOOL_OK)
            return status;
        chip->count++;
    }
    return TOOL_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;

    return (left->region.offset > right->region.offset) -
           (left->region.offset < right->region.offset);
}

/* Appends a region, or lengthens the last one by it. */
static int append(struct fwr_region_map *map, struct fwr_region region)
{
    struct fwr_region *last = map->count > 0 ? &map->regions[map->count - 1] : NULL;

    if (region.length == 0)
        return TOOL_OK;
    if (last != NULL && last->kind == region.kind && last->flags == region.flags &&
        last->fill == region.fill) {
        last->length += region.length;
        return TOOL_OK;
    }
    if (map->count == FWR_REGIONS_MAX)
        return tool_usage("the region map needs more than %d regions", FWR_REGIONS_MAX);
    map->regions[map->count++] = region;
    return TOOL_OK;
}

/* The stretch from `from` to `to` that no range names is `write`, with the boot mark where a
 * --boot range says so. */
static int append_write(struct fwr_region_map *map, const struct pieces *boot, uint32_t from,
                        uint32_t to)
{
    int status = TOOL_OK;

    for (size_t i = 0; i < boot->count && status == TOOL_OK; i++) {
        const struct fwr_region *mark = &boot->items[i].region;
        uint32_t end = mark->offset + mark->length;

        if (end <= from || mark->offset >= to)
            continue;
        if (mark->offset < from || end > to)
            return tool_usage("--boot %s: only written ranges can be booted from",
                              boot->items[i].text);
        status = append(map, (struct fwr_region){.offset = from,
                                                 .length = mark->offset - from,
                                                 .kind = FWR_REGION_WRITE});
        if (status == TOOL_OK)
            status = append(map, (struct fwr_region){.offset = mark->offset,
                                                     .length = mark->length,
                                                     .kind = FWR_REGION_WRITE,
                                                     .flags = FWR_REGION_BOOT});
        from = end;
    }
    if (status == TOOL_OK)
        status = append(map, (struct fwr_region){
                                 .offset = from, .length = to - from, .kind = FWR_REGION_WRITE});
    return status;
}

static int sort(struct pieces *chip)
{
    qsort(chip->items, chip->count, sizeof(chip->items[0]), by_offset);
    for (size_t i = 1; i < chip->count; i++) {
        const struct fwr_region *before = &chip->items[i - 1].region;

        if (chip->items[i].region.offset - before->offset < before->length)
            return tool_usage("%s and %s overlap", chip->items[i - 1].text, chip->items[i].text);
    }
    return TOOL_OK;
}

/* Every --boot range must lie in `write` entirely; those inside another range were never met. */
static int check_boot(const struct pieces *boot, const struct fwr_region_map *map)
{
    for (size_t i = 0; i < boot->count; i++) {
        const struct fwr_region *at = fwr_region_map_find(map, boot->items[i].region.offset);

        if (at == NULL || (at->flags & FWR_REGION_BOOT) == 0)
            return tool_usage("--boot %s: only written ranges can be booted from",
                              boot->items[i].text);
    }
    return TOOL_OK;
}

static int place_guard(const struct tool_layout *layout, const struct pieces *boot,
                       struct fwr_region_map *map, uint32_t *guard)
{
    uint32_t last = boot->flash_size - boot->block_size;
    struct fwr_region *region;
    uint64_t address;

    if (layout->guard == NULL || strcmp(layout->guard, "none") == 0) {
        *guard = FWR_NO_GUARD;
        return TOOL_OK;
    }
    if (strcmp(layout->guard, "top") == 0)
        address = last;
    else if (strcmp(layout->guard, "bottom") == 0)
        address = 0;
    else if (!tool_number(layout->guard, UINT32_MAX, &address))
        return tool_usage("--guard %s: not top, bottom, none or an address", layout->guard);
    if (address % boot->block_size != 0 || address > last)
        return tool_usage("--guard %s: not the address of a block of this chip", layout->guard);
    /* The map is ours; find gives it back const. */
    region = map->regions + (fwr_region_map_find(map, (uint32_t)address) - map->regions);
    if (region->kind != FWR_REGION_WRITE)
        return tool_usage("--guard %s: that block is not in a written range", layout->guard);
    if (boot->count == 0)
        region->flags |= FWR_REGION_BOOT;
    if ((region->flags & FWR_REGION_BOOT) == 0)
        return tool_usage("--guard %s: that block is in no --boot range", layout->guard);
    *guard = (uint32_t)address;
    return TOOL_OK;
}

int tool_layout_map(const struct tool_layout *layout, uint32_t flash_size, uint32_t block_size,
                    struct fwr_region_map *map, uint32_t *guard)
{
    struct pieces chip = {.flash_size = flash_size, .block_size = block_size};
    struct pieces boot = {.flash_size = flash_size, .block_size = block_size};
    uint32_t at = 0;
    int status = add_list(&chip, &layout->preserve, "preserve", FWR_REGION_PRESERVE);

    map->count = 0;
    if (status == TOOL_OK)
        status = add_list(&chip, &layout->fill, "fill", FWR_REGION_FILL);
    if (status == TOOL_OK)
        status = add_list(&boot, &layout->boot, "boot", FWR_REGION_WRITE);
    if (status == TOOL_OK)
        status = sort(&chip);
    if (status == TOOL_OK)
        status = sort(&boot);
    for (size_t i = 0; i < chip.count && status == TOOL_OK; i++) {
        const struct fwr_region *region = &chip.items[i].region;

        status = append_write(map, &boot, at, region->offset);
        if (status == TOOL_OK)
            status = append(map, *region);
        at = region->offset + region->length;
    }
    if (status == TOOL_OK)
        status = append_write(map, &boot, at, flash_size);
    if (status == TOOL_OK)
        status = check_boot(&boot, map);
    if (status == TOOL_OK)
        status = place_guard(layout, &boot, map, guard);
    if (status == TOOL_OK && fwr_region_map_check(map, flash_size, block_size) != FWR_OK)
        status = tool_error(FWR_E_REGION_MAP, "region map", NULL);
    return status;
}
