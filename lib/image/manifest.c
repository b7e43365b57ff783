/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: its canonical TLV form, its id, its region map and the numbering of its leaves.
 * Called by the engines, by the envelope's check and by the tools. Decides nothing about
 * boards; that is compatible.c.
 */
#include <fwrecover/manifest.h>

#include <string.h>
#include <openssl/evp.h>

#include <fwrecover/error.h>
#include <fwrecover/trust.h>

#include "image/key.h"
#include "image/tlv.h"

enum tag {
    TAG_COMPONENT = 0x0001,
    TAG_MANUFACTURER = 0x0002,
    TAG_PRODUCT = 0x0003,
    TAG_HARDWARE = 0x0004,
    TAG_FLASH_SIZE = 0x0005,
    TAG_VERSION = 0x0006,
    TAG_SEQUENCE = 0x0007,
    TAG_SECURITY_VERSION = 0x0008,
    TAG_HASH = 0x0009,
    TAG_BLOCK_SIZE = 0x000a,
    TAG_REGIONS = 0x000b,
    TAG_ROOT = 0x000c,
    TAG_GUARD = 0x000d,
};

enum {
    REGION_SIZE = 7,                           /* encoded */
    TAGS_REQUIRED = (1 << (TAG_ROOT + 1)) - 2, /* bit n: tag n; all from 1 to the root */
    MANIFEST_FLAGS = FWR_REGION_BOOT,
};

size_t fwr_hash_size(uint8_t algorithm)
{
    switch (algorithm) {
    case FWR_HASH_SHA256:
        return 32;
    case FWR_HASH_SHA384:
        return 48;
    default:
        return 0;
    }
}

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool region_is_legal(const struct fwr_region *region, uint32_t block_size)
{
    if (region->length == 0 || region->length % block_size != 0)
        return false;
    if ((region->flags & ~MANIFEST_FLAGS) != 0)
        return false;
    switch (region->kind) {
    case FWR_REGION_WRITE:
        return region->fill == 0;
    case FWR_REGION_PRESERVE:
        return region->fill == 0 && region->flags == 0;
    case FWR_REGION_FILL:
        return region->flags == 0;
    default:
        return false;
    }
}

int fwr_region_map_check(const struct fwr_region_map *map, uint32_t flash_size, uint32_t block_size)
{
    uint64_t end = 0;
    uint16_t i;

    if (map->count == 0 || map->count > FWR_REGIONS_MAX || !is_power_of_two(block_size))
        return FWR_E_REGION_MAP;
    for (i = 0; i < map->count; i++) {
        const struct fwr_region *region = &map->regions[i];

        if (region->offset != end || !region_is_legal(region, block_size))
            return FWR_E_REGION_MAP;
        if (i > 0 && region->kind == region[-1].kind && region->flags == region[-1].flags &&
            region->fill == region[-1].fill)
            return FWR_E_REGION_MAP;
        end += region->length;
    }
    return end == flash_size ? FWR_OK : FWR_E_REGION_MAP;
}

const struct fwr_region *fwr_region_map_find(const struct fwr_region_map *map, uint32_t offset)
{
    uint16_t i;

    for (i = 0; i < map->count; i++) {
        const struct fwr_region *region = &map->regions[i];

        if (offset >= region->offset && offset - region->offset < region->length)
            return region;
    }
    return NULL;
}

/* What can be wrong with a manifest as a struct: asked after decoding and before encoding. */
static int check(const struct fwr_manifest *manifest)
{
    const struct fwr_region *region;
    size_t version = strnlen(manifest->version, sizeof(manifest->version));
    size_t i;

    if (fwr_hash_size(manifest->hash) == 0)
        return FWR_E_ALGORITHM;
    if (version == 0 || version > FWR_VERSION_MAX)
        return FWR_E_MANIFEST;
    for (i = 0; i < version; i++) {
        if (manifest->version[i] < 0x20 || manifest->version[i] > 0x7e)
            return FWR_E_MANIFEST;
    }
    if (manifest->hardware_min > manifest->hardware_max)
        return FWR_E_MANIFEST;
    if (!is_power_of_two(manifest->block_size) || manifest->block_size < FWR_BLOCK_SIZE_MIN ||
        manifest->block_size > FWR_BLOCK_SIZE_MAX)
        return FWR_E_MANIFEST;
    if (manifest->flash_size == 0 || manifest->flash_size % manifest->block_size != 0)
        return FWR_E_MANIFEST;
    if (fwr_region_map_check(&manifest->map, manifest->flash_size, manifest->block_size) != FWR_OK)
        return FWR_E_REGION_MAP;
    if (fwr_manifest_leaf_count(manifest) == 0)
        return FWR_E_REGION_MAP;
    if (manifest->guard == FWR_NO_GUARD)
        return FWR_OK;
    region = fwr_region_map_find(&manifest->map, manifest->guard);
    if (region == NULL || region->kind != FWR_REGION_WRITE ||
        (region->flags & FWR_REGION_BOOT) == 0 || manifest->guard % manifest->block_size != 0)
        return FWR_E_REGION_MAP;
    return FWR_OK;
}

static int decode_version(struct fwr_reader *value, struct fwr_manifest *manifest)
{
    size_t length = fwr_reader_left(value);

    /* A zero byte would end the string early and then encode as something shorter. */
    if (length == 0 || length > FWR_VERSION_MAX)
        return FWR_E_MANIFEST;
    fwr_reader_copy(value, manifest->version, length);
    return strlen(manifest->version) == length ? FWR_OK : FWR_E_MANIFEST;
}

static int decode_regions(struct fwr_reader *value, struct fwr_manifest *manifest)
{
    size_t length = fwr_reader_left(value);
    uint32_t offset = 0;
    uint16_t i;

    if (length % REGION_SIZE != 0)
        return FWR_E_MANIFEST;
    if (length == 0 || length / REGION_SIZE > FWR_REGIONS_MAX)
        return FWR_E_REGION_MAP;
    manifest->map.count = (uint16_t)(length / REGION_SIZE);
    for (i = 0; i < manifest->map.count; i++) {
        struct fwr_region *region = &manifest->map.regions[i];

        region->offset = offset; /* where the sum has wrapped, check() finds a gap */
        region->length = fwr_reader_u32(value);
        region->kind = fwr_reader_u8(value);
        region->flags = fwr_reader_u8(value);
        region->fill = fwr_reader_u8(value);
        offset += region->length;
    }
    return FWR_OK;
}

static int decode_root(struct fwr_reader *value, struct fwr_manifest *manifest)
{
    /* The hash has the lower tag, so it is known by now. */
    fwr_reader_copy(value, manifest->root, fwr_hash_size(manifest->hash));
    return FWR_OK;
}

static int decode_field(uint16_t tag, struct fwr_reader *value, struct fwr_manifest *manifest)
{
    switch (tag) {
    case TAG_COMPONENT:
        fwr_reader_copy(value, manifest->component, FWR_UUID_SIZE);
        return FWR_OK;
    case TAG_MANUFACTURER:
        manifest->manufacturer = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_PRODUCT:
        manifest->product = fwr_reader_u16(value);
        return FWR_OK;
    case TAG_HARDWARE:
        manifest->hardware_min = fwr_reader_u16(value);
        manifest->hardware_max = fwr_reader_u16(value);
        return FWR_OK;
    case TAG_FLASH_SIZE:
        manifest->flash_size = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_VERSION:
        return decode_version(value, manifest);
    case TAG_SEQUENCE:
        manifest->sequence = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_SECURITY_VERSION:
        manifest->security_version = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_HASH:
        manifest->hash = fwr_reader_u8(value);
        return fwr_hash_size(manifest->hash) != 0 || value->failed ? FWR_OK : FWR_E_ALGORITHM;
    case TAG_BLOCK_SIZE:
        manifest->block_size = fwr_reader_u32(value);
        return FWR_OK;
    case TAG_REGIONS:
        return decode_regions(value, manifest);
    case TAG_ROOT:
        return decode_root(value, manifest);
    case TAG_GUARD:
        manifest->guard = fwr_reader_u32(value);
        return manifest->guard == FWR_NO_GUARD ? FWR_E_REGION_MAP : FWR_OK;
    default:
        return FWR_E_CRITICAL_TAG;
    }
}

int fwr_manifest_decode(const void *bytes, size_t length, struct fwr_manifest *manifest)
{
    struct fwr_tlv_reader tlv;
    struct fwr_tlv_field field;
    uint32_t seen = 0;

    memset(manifest, 0, sizeof(*manifest));
    manifest->guard = FWR_NO_GUARD;
    if (length > FWR_MANIFEST_MAX)
        return FWR_E_MANIFEST;
    fwr_tlv_init(&tlv, bytes, length);
    while (fwr_tlv_next(&tlv, &field)) {
        int error;

        if ((field.tag & FWR_TLV_IGNORABLE) != 0)
            continue;
        error = decode_field(field.tag, &field.value, manifest);
        if (error != FWR_OK)
            return error;
        if (!fwr_reader_complete(&field.value))
            return FWR_E_MANIFEST;
        seen |= UINT32_C(1) << field.tag;
    }
    if (!fwr_tlv_complete(&tlv) || (seen & TAGS_REQUIRED) != TAGS_REQUIRED)
        return FWR_E_MANIFEST;
    return check(manifest);
}

static void encode_regions(struct fwr_writer *writer, const struct fwr_region_map *map)
{
    size_t position = fwr_tlv_open(writer, TAG_REGIONS);
    uint16_t i;

    for (i = 0; i < map->count; i++) {
        fwr_writer_u32(writer, map->regions[i].length);
        fwr_writer_u8(writer, map->regions[i].kind);
        fwr_writer_u8(writer, map->regions[i].flags);
        fwr_writer_u8(writer, map->regions[i].fill);
    }
    fwr_tlv_close(writer, position);
}

int fwr_manifest_encode(const struct fwr_manifest *manifest, void *buffer, size_t capacity)
{
    struct fwr_writer writer;
    size_t position;
    int error = check(manifest);

    if (error != FWR_OK)
        return error;
    fwr_writer_init(&writer, buffer, capacity);
    fwr_tlv_bytes(&writer, TAG_COMPONENT, manifest->component, FWR_UUID_SIZE);
    fwr_tlv_uint(&writer, TAG_MANUFACTURER, manifest->manufacturer, 4);
    fwr_tlv_uint(&writer, TAG_PRODUCT, manifest->product, 2);
    position = fwr_tlv_open(&writer, TAG_HARDWARE);
    fwr_writer_u16(&writer, manifest->hardware_min);
    fwr_writer_u16(&writer, manifest->hardware_max);
    fwr_tlv_close(&writer, position);
    fwr_tlv_uint(&writer, TAG_FLASH_SIZE, manifest->flash_size, 4);
    fwr_tlv_bytes(&writer, TAG_VERSION, manifest->version, strlen(manifest->version));
    fwr_tlv_uint(&writer, TAG_SEQUENCE, manifest->sequence, 4);
    fwr_tlv_uint(&writer, TAG_SECURITY_VERSION, manifest->security_version, 4);
    fwr_tlv_uint(&writer, TAG_HASH, manifest->hash, 1);
    fwr_tlv_uint(&writer, TAG_BLOCK_SIZE, manifest->block_size, 4);
    encode_regions(&writer, &manifest->map);
    fwr_tlv_bytes(&writer, TAG_ROOT, manifest->root, fwr_hash_size(manifest->hash));
    if (manifest->guard != FWR_NO_GUARD)
        fwr_tlv_uint(&writer, TAG_GUARD, manifest->guard, 4);
    return fwr_writer_finish(&writer);
}

int fwr_manifest_id(const void *bytes, size_t length, uint8_t id[FWR_ID_SIZE])
{
    return fwr_key_payload_id(FWR_PREFIX_MANIFEST, bytes, length, id);
}

uint32_t fwr_manifest_leaf_count(const struct fwr_manifest *manifest)
{
    uint32_t count = 0;
    uint16_t i;

    for (i = 0; i < manifest->map.count; i++) {
        if (manifest->map.regions[i].kind == FWR_REGION_WRITE)
            count += manifest->map.regions[i].length / manifest->block_size;
    }
    return count;
}

uint32_t fwr_manifest_leaf_address(const struct fwr_manifest *manifest, uint32_t leaf)
{
    uint16_t i;

    for (i = 0; i < manifest->map.count; i++) {
        const struct fwr_region *region = &manifest->map.regions[i];
        uint32_t blocks = region->length / manifest->block_size;

        if (region->kind != FWR_REGION_WRITE)
            continue;
        if (leaf < blocks)
            return region->offset + leaf * manifest->block_size;
        leaf -= blocks;
    }
    return UINT32_MAX; /* no such leaf: an address that no chip has */
}

bool fwr_manifest_leaf_at(const struct fwr_manifest *manifest, uint32_t address, uint32_t *leaf)
{
    uint32_t before = 0;
    uint16_t i;

    for (i = 0; i < manifest->map.count; i++) {
        const struct fwr_region *region = &manifest->map.regions[i];

        if (region->kind != FWR_REGION_WRITE)
            continue;
        if (address >= region->offset && address - region->offset < region->length) {
            *leaf = before + (address - region->offset) / manifest->block_size;
            return true;
        }
        before += region->length / manifest->block_size;
    }
    return false;
}
