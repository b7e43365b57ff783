/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an image fits a board: identity, chip, erase units, and the board's own region map,
 * which wins where it preserves. Called after a manifest has been authenticated and decoded,
 * before anything is written.
 */
#include <fwrecover/manifest.h>

#include <string.h>
#include <openssl/evp.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "wire/cursor.h"

#define COMPATIBILITY_PREFIX "fwr-compat-1"

/* One past a region's last byte: 64 bits, because it may be 4 GiB. */
static uint64_t region_end(const struct fwr_region *region)
{
    return (uint64_t)region->offset + region->length;
}

static bool is_preserved(const struct fwr_region_map *map, uint32_t address)
{
    const struct fwr_region *region = fwr_region_map_find(map, address);

    return region != NULL && region->kind == FWR_REGION_PRESERVE;
}

bool fwr_manifest_waived(const struct fwr_manifest *manifest, const struct fwr_region_map *local,
                         uint32_t address)
{
    return local != NULL && fwr_region_map_find(&manifest->map, address) != NULL &&
           !is_preserved(&manifest->map, address) && is_preserved(local, address);
}

/* What a locally preserved region may not do to a region that the image would write. */
static bool overlap_is_legal(const struct fwr_manifest *manifest, const struct fwr_region *region,
                             const struct fwr_region *kept)
{
    uint64_t start = region->offset > kept->offset ? region->offset : kept->offset;
    uint64_t end = region_end(region) < region_end(kept) ? region_end(region) : region_end(kept);

    if (start >= end || region->kind == FWR_REGION_PRESERVE)
        return true;
    /* The guard block lies in a region with this flag, so it is covered too. */
    if ((region->flags & FWR_REGION_BOOT) != 0)
        return false;
    return start % manifest->block_size == 0 && end % manifest->block_size == 0;
}

static int check_local(const struct fwr_manifest *manifest, const struct fwr_region_map *local)
{
    uint16_t i, j;

    if (fwr_region_map_check(local, manifest->flash_size, 1) != FWR_OK)
        return FWR_E_LOCAL_MAP;
    for (i = 0; i < local->count; i++) {
        if (local->regions[i].kind != FWR_REGION_PRESERVE)
            continue;
        for (j = 0; j < manifest->map.count; j++) {
            if (!overlap_is_legal(manifest, &manifest->map.regions[j], &local->regions[i]))
                return FWR_E_LOCAL_MAP;
        }
    }
    return FWR_OK;
}

static bool is_kept(const struct fwr_manifest *manifest, const struct fwr_region_map *local,
                    uint32_t address)
{
    return is_preserved(&manifest->map, address) || (local != NULL && is_preserved(local, address));
}

/* An erase unit mixes kept and written bytes where the one turns into the other inside it. That
 * happens at borders of regions only, so those of `borders` are all that has to be looked at. */
static bool borders_are_legal(const struct fwr_manifest *manifest,
                              const struct fwr_region_map *local,
                              const struct fwr_region_map *borders, uint32_t erase_size)
{
    uint16_t i;

    for (i = 1; i < borders->count; i++) {
        uint32_t border = borders->regions[i].offset;

        if (border % erase_size != 0 &&
            is_kept(manifest, local, border - 1) != is_kept(manifest, local, border))
            return false;
    }
    return true;
}

int fwr_manifest_compatible(const struct fwr_manifest *manifest, const struct fwr_board *board,
                            uint32_t flash_size, uint32_t erase_size)
{
    int error;

    if (erase_size == 0)
        return FWR_E_ARGUMENT;
    if (memcmp(manifest->component, board->component, FWR_UUID_SIZE) != 0)
        return FWR_E_COMPONENT;
    if (manifest->manufacturer != board->manufacturer || manifest->product != board->product)
        return FWR_E_BOARD;
    if (board->hardware_revision < manifest->hardware_min ||
        board->hardware_revision > manifest->hardware_max)
        return FWR_E_HARDWARE_REVISION;
    if (manifest->flash_size != flash_size)
        return FWR_E_FLASH_SIZE;
    if (board->local != NULL) {
        error = check_local(manifest, board->local);
        if (error != FWR_OK)
            return error;
    }
    if (flash_size % erase_size != 0 ||
        !borders_are_legal(manifest, board->local, &manifest->map, erase_size) ||
        (board->local != NULL &&
         !borders_are_legal(manifest, board->local, board->local, erase_size)))
        return FWR_E_GEOMETRY;
    return FWR_OK;
}

int fwr_compatibility_key(const uint8_t component[FWR_UUID_SIZE], uint32_t manufacturer,
                          uint16_t product, uint8_t *key)
{
    uint8_t input[sizeof(COMPATIBILITY_PREFIX) - 1 + FWR_UUID_SIZE + 4 + 2];
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct fwr_writer writer;

    fwr_writer_init(&writer, input, sizeof(input));
    fwr_writer_bytes(&writer, COMPATIBILITY_PREFIX, sizeof(COMPATIBILITY_PREFIX) - 1);
    fwr_writer_bytes(&writer, component, FWR_UUID_SIZE);
    fwr_writer_u32(&writer, manufacturer);
    fwr_writer_u16(&writer, product);
    if (EVP_Digest(input, sizeof(input), digest, NULL, EVP_sha256(), NULL) != 1)
        return FWR_E_CRYPTO;
    memcpy(key, digest, FWR_KEY_SIZE);
    return FWR_OK;
}
