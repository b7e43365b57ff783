/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest's canonical form, its region map, its leaves, and whether it fits a board. The
 * encoded manifest is built here byte by byte from doc/WIRE.md 11.3, not by our encoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/manifest.h>

/* 4 MiB: 512 KiB write, 64 KiB preserve, 512 KiB fill, the rest write with boot; guard on top. */
#define KIB 1024u
#define MIB (1024u * KIB)

static const uint8_t uuid[FWR_UUID_SIZE] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                            0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

static struct fwr_manifest sample(void)
{
    struct fwr_manifest manifest;

    memset(&manifest, 0, sizeof(manifest));
    memcpy(manifest.component, uuid, sizeof(uuid));
    manifest.manufacturer = 32473;
    manifest.product = 0x1234;
    manifest.hardware_min = 2;
    manifest.hardware_max = 5;
    manifest.flash_size = 4 * MIB;
    strcpy(manifest.version, "2026.11 \"x\"~");
    manifest.sequence = 0x01020304;
    manifest.security_version = 7;
    manifest.hash = FWR_HASH_SHA256;
    manifest.block_size = 4096;
    manifest.guard = 4 * MIB - 4096;
    memset(manifest.root, 0xa5, 32);
    manifest.map.count = 4;
    manifest.map.regions[0] = (struct fwr_region){0, 512 * KIB, FWR_REGION_WRITE, 0, 0};
    manifest.map.regions[1] = (struct fwr_region){512 * KIB, 64 * KIB, FWR_REGION_PRESERVE, 0, 0};
    manifest.map.regions[2] = (struct fwr_region){576 * KIB, 512 * KIB, FWR_REGION_FILL, 0, 0xff};
    manifest.map.regions[3] =
        (struct fwr_region){1088 * KIB, 4 * MIB - 1088 * KIB, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    return manifest;
}

/* One field of the hand-made encoding; tests replace, drop, repeat and re-order them. */
struct field {
    uint16_t tag;
    uint16_t length;
    uint8_t value[256];
};

enum { FIELDS = 13 };

static const struct field sample_fields[FIELDS] = {
    {0x0001,
     16,
     {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30,
      0xc8}},
    {0x0002, 4, {0xd9, 0x7e, 0x00, 0x00}},
    {0x0003, 2, {0x34, 0x12}},
    {0x0004, 4, {0x02, 0x00, 0x05, 0x00}},
    {0x0005, 4, {0x00, 0x00, 0x40, 0x00}},
    {0x0006, 12, "2026.11 \"x\"~"},
    {0x0007, 4, {0x04, 0x03, 0x02, 0x01}},
    {0x0008, 4, {0x07, 0x00, 0x00, 0x00}},
    {0x0009, 1, {0x01}},
    {0x000a, 4, {0x00, 0x10, 0x00, 0x00}},
    {0x000b, 28, {0x00, 0x00, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01,
                  0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x03, 0x00,
                  0xff, 0x00, 0x00, 0x2f, 0x00, 0x01, 0x01, 0x00}},
    {0x000c, 32, {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
                  0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
                  0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5}},
    {0x000d, 4, {0x00, 0xf0, 0x3f, 0x00}},
};

static size_t put_fields(uint8_t *bytes, const struct field *fields, size_t count)
{
    size_t length = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        bytes[length++] = (uint8_t)fields[i].tag;
        bytes[length++] = (uint8_t)(fields[i].tag >> 8);
        bytes[length++] = (uint8_t)fields[i].length;
        bytes[length++] = (uint8_t)(fields[i].length >> 8);
        memcpy(bytes + length, fields[i].value, fields[i].length);
        length += fields[i].length;
    }
    return length;
}

/* Exactly sized memory, so that the sanitizers and valgrind see a read past the end. */
static int decode_exact(const uint8_t *bytes, size_t length, struct fwr_manifest *manifest)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    int error;

    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    error = fwr_manifest_decode(copy, length, manifest);
    free(copy);
    return error;
}

static int decode_fields(const struct field *fields, size_t count)
{
    struct fwr_manifest manifest;
    uint8_t bytes[4096];

    return decode_exact(bytes, put_fields(bytes, fields, count), &manifest);
}

static void encodes_and_decodes(void **state)
{
    struct fwr_manifest manifest = sample(), decoded;
    uint8_t expected[1024], bytes[1024];
    size_t length = put_fields(expected, sample_fields, FIELDS);
    size_t room;

    (void)state;
    assert_int_equal(fwr_manifest_encode(&manifest, bytes, sizeof(bytes)), (int)length);
    assert_memory_equal(bytes, expected, length);
    assert_int_equal(decode_exact(expected, length, &decoded), FWR_OK);
    assert_memory_equal(decoded.component, manifest.component, FWR_UUID_SIZE);
    assert_int_equal(decoded.manufacturer, manifest.manufacturer);
    assert_int_equal(decoded.product, manifest.product);
    assert_int_equal(decoded.hardware_min, manifest.hardware_min);
    assert_int_equal(decoded.hardware_max, manifest.hardware_max);
    assert_int_equal(decoded.flash_size, manifest.flash_size);
    assert_string_equal(decoded.version, manifest.version);
    assert_int_equal(decoded.sequence, manifest.sequence);
    assert_int_equal(decoded.security_version, manifest.security_version);
    assert_int_equal(decoded.hash, manifest.hash);
    assert_int_equal(decoded.block_size, manifest.block_size);
    assert_int_equal(decoded.guard, manifest.guard);
    assert_memory_equal(decoded.root, manifest.root, 32);
    assert_int_equal(decoded.map.count, 4);
    assert_int_equal(decoded.map.regions[3].offset, 1088 * KIB);
    assert_int_equal(fwr_manifest_encode(&decoded, bytes, sizeof(bytes)), (int)length);
    assert_memory_equal(bytes, expected, length);
    for (room = 0; room < length; room++)
        assert_int_equal(fwr_manifest_encode(&manifest, bytes, room), FWR_E_NO_SPACE);
}

static void sha384_and_no_guard(void **state)
{
    struct fwr_manifest manifest = sample(), decoded;
    uint8_t bytes[1024];
    int length;

    (void)state;
    manifest.hash = FWR_HASH_SHA384;
    manifest.guard = FWR_NO_GUARD;
    memset(manifest.root, 0x5a, 48);
    length = fwr_manifest_encode(&manifest, bytes, sizeof(bytes));
    assert_true(length > 0);
    assert_int_equal(decode_exact(bytes, (size_t)length, &decoded), FWR_OK);
    assert_int_equal(decoded.guard, FWR_NO_GUARD);
    assert_memory_equal(decoded.root, manifest.root, 48);
}

static void truncated_or_trailing(void **state)
{
    struct fwr_manifest manifest;
    uint8_t bytes[1024];
    size_t length = put_fields(bytes, sample_fields, FIELDS);
    size_t guard = length - 8;
    size_t cut;

    (void)state;
    for (cut = 0; cut < length; cut++) {
        /* Without the optional last field it is whole again. */
        assert_int_equal(decode_exact(bytes, cut, &manifest),
                         cut == guard ? FWR_OK : FWR_E_MANIFEST);
    }
    bytes[length] = 0;
    assert_int_equal(decode_exact(bytes, length + 1, &manifest), FWR_E_MANIFEST);
    assert_int_equal(fwr_manifest_decode(bytes, FWR_MANIFEST_MAX + 1, &manifest), FWR_E_MANIFEST);
}

static void fields_missing_repeated_or_swapped(void **state)
{
    size_t i, j;

    (void)state;
    for (i = 0; i < FIELDS; i++) {
        struct field fields[FIELDS + 1];

        for (j = 0; j < FIELDS - 1; j++)
            fields[j] = sample_fields[j < i ? j : j + 1];
        /* Without the hash, the root's length is not known to be right: still no manifest. */
        assert_int_equal(decode_fields(fields, FIELDS - 1),
                         sample_fields[i].tag == 0x000d ? FWR_OK : FWR_E_MANIFEST);
        for (j = 0; j < FIELDS + 1; j++)
            fields[j] = sample_fields[j <= i ? j : j - 1];
        assert_int_equal(decode_fields(fields, FIELDS + 1), FWR_E_MANIFEST);
        if (i + 1 < FIELDS) {
            memcpy(fields, sample_fields, sizeof(sample_fields));
            fields[i] = sample_fields[i + 1];
            fields[i + 1] = sample_fields[i];
            assert_int_equal(decode_fields(fields, FIELDS), FWR_E_MANIFEST);
        }
    }
}

static void fields_of_wrong_length(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < FIELDS; i++) {
        struct field fields[FIELDS];

        if (sample_fields[i].tag == 0x0006)
            continue;
        memcpy(fields, sample_fields, sizeof(fields));
        fields[i].length--;
        assert_int_equal(decode_fields(fields, FIELDS), FWR_E_MANIFEST);
        fields[i].length = (uint16_t)(fields[i].length + 2);
        assert_int_equal(decode_fields(fields, FIELDS), FWR_E_MANIFEST);
    }
}

static void unknown_tags(void **state)
{
    static const struct field critical[] = {{0x0000, 1, {1}}, {0x000e, 0, {0}}, {0x7fff, 2, {0}}};
    struct field fields[FIELDS + 2];
    size_t i;

    (void)state;
    memcpy(fields + 1, sample_fields, sizeof(sample_fields));
    fields[0] = critical[0];
    assert_int_equal(decode_fields(fields, FIELDS + 1), FWR_E_CRITICAL_TAG);
    memcpy(fields, sample_fields, sizeof(sample_fields));
    for (i = 1; i < 3; i++) {
        fields[FIELDS] = critical[i];
        assert_int_equal(decode_fields(fields, FIELDS + 1), FWR_E_CRITICAL_TAG);
    }
    fields[FIELDS] = (struct field){0x8000, 3, {1, 2, 3}};
    fields[FIELDS + 1] = (struct field){0xffff, 0, {0}};
    assert_int_equal(decode_fields(fields, FIELDS + 2), FWR_OK);
    fields[FIELDS + 1].tag = 0x8000;
    assert_int_equal(decode_fields(fields, FIELDS + 2), FWR_E_MANIFEST);
}

static int decode_with(uint16_t tag, const void *value, uint16_t length)
{
    struct field fields[FIELDS];

    memcpy(fields, sample_fields, sizeof(fields));
    fields[tag - 1].length = length;
    memcpy(fields[tag - 1].value, value, length);
    return decode_fields(fields, FIELDS);
}

static void impossible_values(void **state)
{
    char longest[FWR_VERSION_MAX + 1];

    (void)state;
    memset(longest, 'v', sizeof(longest));
    assert_int_equal(decode_with(6, longest, FWR_VERSION_MAX), FWR_OK);
    assert_int_equal(decode_with(6, longest, FWR_VERSION_MAX + 1), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "", 0), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "1\0", 2), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "\0001", 2), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "\x1f", 1), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "\x7f", 1), FWR_E_MANIFEST);
    assert_int_equal(decode_with(6, "\xc3\xa4", 2), FWR_E_MANIFEST);
    assert_int_equal(decode_with(4, "\x05\x00\x05\x00", 4), FWR_OK);
    assert_int_equal(decode_with(4, "\x06\x00\x05\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(9, "\x00", 1), FWR_E_ALGORITHM);
    assert_int_equal(decode_with(9, "\x03", 1), FWR_E_ALGORITHM);
    assert_int_equal(decode_with(9, "\x02", 1), FWR_E_MANIFEST); /* then the root is too short */
    assert_int_equal(decode_with(10, "\x00\x00\x00\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(10, "\x00\x01\x00\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(10, "\x01\x10\x00\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(10, "\x00\x00\x02\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(10, "\x00\x02\x00\x00", 4), FWR_OK);
    assert_int_equal(decode_with(5, "\x00\x00\x00\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(5, "\x01\x00\x40\x00", 4), FWR_E_MANIFEST);
    assert_int_equal(decode_with(5, "\x00\x10\x40\x00", 4), FWR_E_REGION_MAP);
    assert_int_equal(decode_with(5, "\x00\xf0\x3f\x00", 4), FWR_E_REGION_MAP);
}

static void guard_must_be_in_boot(void **state)
{
    (void)state;
    assert_int_equal(decode_with(13, "\x00\x00\x11\x00", 4), FWR_OK);
    assert_int_equal(decode_with(13, "\x00\xf0\x10\x00", 4), FWR_E_REGION_MAP); /* fill */
    assert_int_equal(decode_with(13, "\x00\x00\x00\x00", 4), FWR_E_REGION_MAP); /* no boot */
    assert_int_equal(decode_with(13, "\x00\xf8\x3f\x00", 4), FWR_E_REGION_MAP); /* unaligned */
    assert_int_equal(decode_with(13, "\x00\x00\x40\x00", 4), FWR_E_REGION_MAP); /* past it */
    assert_int_equal(decode_with(13, "\xff\xff\xff\xff", 4), FWR_E_REGION_MAP);
}

/* Maps are given as a list of regions; offsets follow. */
static struct fwr_manifest with_regions(uint32_t flash_size, uint32_t block_size,
                                        const struct fwr_region *regions, uint16_t count)
{
    struct fwr_manifest manifest = sample();
    uint32_t offset = 0;
    uint16_t i;

    manifest.flash_size = flash_size;
    manifest.block_size = block_size;
    manifest.guard = FWR_NO_GUARD;
    manifest.map.count = count;
    for (i = 0; i < count; i++) {
        manifest.map.regions[i] = regions[i];
        manifest.map.regions[i].offset = offset;
        offset += regions[i].length;
    }
    return manifest;
}

static int check_regions(uint32_t flash_size, const struct fwr_region *regions, uint16_t count)
{
    struct fwr_manifest manifest = with_regions(flash_size, 4096, regions, count);
    uint8_t bytes[1024];
    int error = fwr_region_map_check(&manifest.map, flash_size, 4096);
    int encoded = fwr_manifest_encode(&manifest, bytes, sizeof(bytes));

    assert_int_equal(encoded < 0 ? encoded : FWR_OK, error);
    return error;
}

static void region_map_must_cover_the_chip(void **state)
{
    static const struct fwr_region one[] = {{0, 8192, 1, 0, 0}};
    static const struct fwr_region kinds[] = {
        {0, 4096, 1, 1, 0}, {0, 4096, 2, 0, 0}, {0, 4096, 3, 0, 0}, {0, 4096, 3, 0, 0xff}};
    static const struct fwr_region ending_beyond[] = {{0, 0x80000000, 1, 0, 0},
                                                      {0, 0x80002000, 2, 0, 0}};
    static const struct fwr_region wrapping[] = {{0, 0x80000000, 1, 0, 0},
                                                 {0, 0x7ffff000, 2, 0, 0},
                                                 {0, 0x1000, 3, 0, 0},
                                                 {0, 0x2000, 1, 0, 0}};

    (void)state;
    assert_int_equal(check_regions(8192, one, 1), FWR_OK);
    assert_int_equal(check_regions(4096, one, 1), FWR_E_REGION_MAP);
    assert_int_equal(check_regions(12288, one, 1), FWR_E_REGION_MAP);
    assert_int_equal(check_regions(8192, one, 0), FWR_E_REGION_MAP);
    assert_int_equal(check_regions(16384, kinds, 4), FWR_OK);
    /* 2^32 + 8192 bytes of regions: the sum must not be taken for 8192. */
    assert_int_equal(check_regions(8192, wrapping, 4), FWR_E_REGION_MAP);
    assert_int_equal(check_regions(8192, ending_beyond, 2), FWR_E_REGION_MAP);
}

static void region_fields_out_of_their_place(void **state)
{
    static const struct fwr_region bad[][2] = {
        {{0, 4096, 1, 0, 0}, {0, 4096, 0, 0, 0}},    /* kind */
        {{0, 4096, 1, 0, 0}, {0, 4096, 4, 0, 0}},    /* kind */
        {{0, 4096, 1, 0, 0}, {0, 4096, 2, 1, 0}},    /* boot on preserve */
        {{0, 4096, 1, 0, 0}, {0, 4096, 3, 1, 0xff}}, /* boot on fill */
        {{0, 4096, 2, 0, 0}, {0, 4096, 1, 2, 0}},    /* reserved flag */
        {{0, 4096, 2, 0, 0}, {0, 4096, 1, 0, 1}},    /* fill value on write */
        {{0, 4096, 1, 0, 0}, {0, 4096, 2, 0, 1}},    /* fill value on preserve */
        {{0, 4096, 1, 0, 0}, {0, 4096, 1, 0, 0}},    /* neighbours that are one */
        {{0, 2048, 1, 0, 0}, {0, 6144, 2, 0, 0}},    /* border inside a block */
        {{0, 8192, 1, 0, 0}, {0, 0, 2, 0, 0}},       /* empty */
    };
    struct fwr_manifest manifest;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(check_regions(8192, bad[i], 2), FWR_E_REGION_MAP);
    manifest = with_regions(8192, 4096,
                            (const struct fwr_region[]){{0, 4096, 1, 0, 0}, {0, 4096, 2, 0, 0}}, 2);
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 4096), FWR_OK);
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 0), FWR_E_REGION_MAP);
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 3000), FWR_E_REGION_MAP);
    manifest.map.regions[1].offset = 8192; /* a gap */
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 4096), FWR_E_REGION_MAP);
    manifest.map.regions[1].offset = 0; /* an overlap */
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 4096), FWR_E_REGION_MAP);
}

static void most_regions_and_one_more(void **state)
{
    struct fwr_region regions[FWR_REGIONS_MAX];
    struct field fields[FIELDS];
    uint16_t i;

    (void)state;
    for (i = 0; i < FWR_REGIONS_MAX; i++)
        regions[i] = (struct fwr_region){0, 4096, i % 2 == 0 ? 1 : 2, 0, 0};
    assert_int_equal(check_regions(4096 * FWR_REGIONS_MAX, regions, FWR_REGIONS_MAX), FWR_OK);
    memcpy(fields, sample_fields, sizeof(fields));
    memset(fields[10].value, 0, sizeof(fields[10].value));
    fields[10].length = 7 * (FWR_REGIONS_MAX + 1);
    assert_int_equal(decode_fields(fields, FIELDS), FWR_E_REGION_MAP);
    fields[10].length = 0;
    assert_int_equal(decode_fields(fields, FIELDS), FWR_E_REGION_MAP);
}

/* A signed image without a single leaf has no root: there is nothing to repair by it. */
static void nothing_to_write(void **state)
{
    struct fwr_manifest manifest =
        with_regions(8192, 4096, (const struct fwr_region[]){{0, 8192, 2, 0, 0}}, 1);
    uint8_t bytes[1024];

    (void)state;
    assert_int_equal(fwr_region_map_check(&manifest.map, 8192, 4096), FWR_OK);
    assert_int_equal(fwr_manifest_encode(&manifest, bytes, sizeof(bytes)), FWR_E_REGION_MAP);
}

static void leaves_and_addresses(void **state)
{
    struct fwr_manifest manifest = sample();
    uint32_t leaf = 0, address, count;

    (void)state;
    count = fwr_manifest_leaf_count(&manifest);
    assert_int_equal(count, (4 * MIB - 576 * KIB) / 4096);
    for (address = 0; address < manifest.flash_size; address += 4096) {
        const struct fwr_region *region = fwr_region_map_find(&manifest.map, address);
        uint32_t at = UINT32_MAX;

        assert_non_null(region);
        assert_int_equal(fwr_manifest_leaf_at(&manifest, address + 4095, &at),
                         region->kind == FWR_REGION_WRITE);
        if (region->kind != FWR_REGION_WRITE)
            continue;
        assert_int_equal(at, leaf);
        assert_int_equal(fwr_manifest_leaf_address(&manifest, leaf), address);
        leaf++;
    }
    assert_int_equal(leaf, count);
    assert_int_equal(fwr_manifest_leaf_address(&manifest, count), UINT32_MAX);
    assert_null(fwr_region_map_find(&manifest.map, manifest.flash_size));
    assert_null(fwr_region_map_find(&manifest.map, UINT32_MAX));
    assert_false(fwr_manifest_leaf_at(&manifest, manifest.flash_size, &leaf));
}

/* The largest chip: one block short of 4 GiB. */
static void addresses_at_32_bits(void **state)
{
    static const struct fwr_region regions[] = {{0, 0x80000000, 1, 0, 0}, {0, 0x7ffffe00, 1, 1, 0}};
    struct fwr_manifest manifest = with_regions(0xfffffe00, 512, regions, 2), decoded;
    uint8_t bytes[1024];
    uint32_t leaf;
    int length;

    (void)state;
    manifest.guard = 0xfffffc00;
    length = fwr_manifest_encode(&manifest, bytes, sizeof(bytes));
    assert_true(length > 0);
    assert_int_equal(decode_exact(bytes, (size_t)length, &decoded), FWR_OK);
    assert_int_equal(decoded.map.regions[1].offset, 0x80000000);
    assert_int_equal(fwr_manifest_leaf_count(&decoded), 0x7fffff);
    assert_int_equal(fwr_manifest_leaf_address(&decoded, 0x7ffffe), 0xfffffc00);
    assert_true(fwr_manifest_leaf_at(&decoded, 0xfffffdff, &leaf));
    assert_int_equal(leaf, 0x7ffffe);
    assert_false(fwr_manifest_leaf_at(&decoded, 0xfffffe00, &leaf));
    assert_false(fwr_manifest_leaf_at(&decoded, 0xffffffff, &leaf));
    manifest.guard = FWR_NO_GUARD;
    manifest.map.regions[1].length = 0x80000000; /* 4 GiB in all: more than the size can say */
    assert_int_equal(fwr_manifest_encode(&manifest, bytes, sizeof(bytes)), FWR_E_REGION_MAP);
}

static void ids_and_keys(void **state)
{
    static const char text[] = "fwr-manifest-1hello";
    uint8_t id[FWR_ID_SIZE], expected[EVP_MAX_MD_SIZE], key[FWR_KEY_SIZE];
    uint8_t compat[34] = "fwr-compat-1";

    (void)state;
    assert_int_equal(EVP_Digest(text, sizeof(text) - 1, expected, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(fwr_manifest_id("hello", 5, id), FWR_OK);
    assert_memory_equal(id, expected, sizeof(id));
    memcpy(compat + 12, uuid, sizeof(uuid));
    memcpy(compat + 28, "\x04\x03\x02\x01\x06\x05", 6);
    assert_int_equal(EVP_Digest(compat, sizeof(compat), expected, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(fwr_compatibility_key(uuid, 0x01020304, 0x0506, key), FWR_OK);
    assert_memory_equal(key, expected, sizeof(key));
}

static struct fwr_board board_of(const struct fwr_region_map *local)
{
    struct fwr_board board = {
        .manufacturer = 32473, .product = 0x1234, .hardware_revision = 3, .local = local};

    memcpy(board.component, uuid, sizeof(uuid));
    return board;
}

static void compatible_field_by_field(void **state)
{
    struct fwr_manifest manifest = sample();
    struct fwr_board board = board_of(NULL);
    size_t i;

    (void)state;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_OK);
    for (i = 0; i < FWR_UUID_SIZE; i++) {
        board.component[i] ^= 1;
        assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096),
                         FWR_E_COMPONENT);
        board.component[i] ^= 1;
    }
    for (i = 0; i < 2; i++) {
        board = board_of(NULL);
        board.manufacturer += i == 0 ? 1 : UINT32_MAX;
        assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_E_BOARD);
        board = board_of(NULL);
        board.product = (uint16_t)(board.product + (i == 0 ? 1 : 0xffff));
        assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_E_BOARD);
    }
    board = board_of(NULL);
    for (i = 0; i <= 7; i++) {
        board.hardware_revision = (uint16_t)i;
        assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096),
                         i >= 2 && i <= 5 ? FWR_OK : FWR_E_HARDWARE_REVISION);
    }
    board = board_of(NULL);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB - 1, 4096),
                     FWR_E_FLASH_SIZE);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB + 1, 4096),
                     FWR_E_FLASH_SIZE);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 0, 4096), FWR_E_FLASH_SIZE);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, UINT32_MAX, 4096),
                     FWR_E_FLASH_SIZE);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 0), FWR_E_ARGUMENT);
}

static void identity_at_32_bits(void **state)
{
    struct fwr_manifest manifest = sample();
    struct fwr_board board = board_of(NULL);

    (void)state;
    manifest.manufacturer = board.manufacturer = UINT32_MAX;
    manifest.product = board.product = UINT16_MAX;
    manifest.hardware_min = 0;
    manifest.hardware_max = UINT16_MAX;
    board.hardware_revision = UINT16_MAX;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_OK);
    board.hardware_revision = 0;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_OK);
    board.manufacturer = 0;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_E_BOARD);
}

/* preserve is at 512 KiB to 576 KiB: units of 64 KiB fit, larger ones mix. */
static void erase_units_must_not_mix(void **state)
{
    struct fwr_manifest manifest = sample();
    struct fwr_board board = board_of(NULL);

    (void)state;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 1), FWR_OK);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 64 * KIB), FWR_OK);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 128 * KIB),
                     FWR_E_GEOMETRY);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4 * MIB), FWR_E_GEOMETRY);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 3 * 4096),
                     FWR_E_GEOMETRY); /* does not divide the chip */
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, UINT32_MAX),
                     FWR_E_GEOMETRY);
    manifest.map.count = 1;
    manifest.map.regions[0].length = 4 * MIB;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 3 * 4096), FWR_E_GEOMETRY);
    manifest = sample();
    /* write beside fill in one unit is no mixture */
    manifest.map.regions[1].kind = FWR_REGION_FILL;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4 * MIB), FWR_OK);
}

/* A local map that preserves [start, end) and would write the rest. */
static struct fwr_region_map preserving(uint32_t start, uint32_t end, uint32_t size)
{
    struct fwr_region_map map;

    memset(&map, 0, sizeof(map));
    if (start > 0)
        map.regions[map.count++] = (struct fwr_region){0, start, FWR_REGION_WRITE, 0, 0};
    map.regions[map.count++] = (struct fwr_region){start, end - start, FWR_REGION_PRESERVE, 0, 0};
    if (end < size)
        map.regions[map.count++] = (struct fwr_region){end, size - end, FWR_REGION_WRITE, 0, 0};
    return map;
}

static int compatible_with_local(uint32_t start, uint32_t end, uint32_t erase_size)
{
    struct fwr_manifest manifest = sample();
    struct fwr_region_map local = preserving(start, end, 4 * MIB);
    struct fwr_board board = board_of(&local);

    return fwr_manifest_compatible(&manifest, &board, 4 * MIB, erase_size);
}

static void local_map_wins(void **state)
{
    uint32_t guard = 4 * MIB - 4096;

    (void)state;
    /* Inside what the manifest preserves anyway, even without block borders. */
    assert_int_equal(compatible_with_local(512 * KIB, 576 * KIB, 64 * KIB), FWR_OK);
    assert_int_equal(compatible_with_local(512 * KIB + 1, 512 * KIB + 2, 64 * KIB), FWR_OK);
    /* Whole blocks of write and of fill are waived. */
    assert_int_equal(compatible_with_local(0, 4096, 4096), FWR_OK);
    assert_int_equal(compatible_with_local(508 * KIB, 580 * KIB, 4096), FWR_OK);
    assert_int_equal(compatible_with_local(576 * KIB, 1088 * KIB, 4096), FWR_OK);
    /* Parts of blocks are not. */
    assert_int_equal(compatible_with_local(0, 4095, 1), FWR_E_LOCAL_MAP);
    assert_int_equal(compatible_with_local(1, 4096, 1), FWR_E_LOCAL_MAP);
    assert_int_equal(compatible_with_local(512 * KIB - 1, 576 * KIB, 1), FWR_E_LOCAL_MAP);
    assert_int_equal(compatible_with_local(512 * KIB, 576 * KIB + 1, 1), FWR_E_LOCAL_MAP);
    /* Anything of boot, above all the guard block. */
    assert_int_equal(compatible_with_local(1084 * KIB, 1092 * KIB, 4096), FWR_E_LOCAL_MAP);
    assert_int_equal(compatible_with_local(guard, 4 * MIB, 4096), FWR_E_LOCAL_MAP);
    assert_int_equal(compatible_with_local(0, 4 * MIB, 4096), FWR_E_LOCAL_MAP);
    /* Waived blocks beside written ones in an erase unit. */
    assert_int_equal(compatible_with_local(0, 4096, 8192), FWR_E_GEOMETRY);
    assert_int_equal(compatible_with_local(0, 8192, 8192), FWR_OK);
    assert_int_equal(compatible_with_local(448 * KIB, 512 * KIB, 128 * KIB), FWR_E_GEOMETRY);
    assert_int_equal(compatible_with_local(512 * KIB, 640 * KIB, 128 * KIB), FWR_OK);
}

static void local_map_that_is_no_map(void **state)
{
    struct fwr_manifest manifest = sample();
    struct fwr_region_map local = preserving(512 * KIB, 576 * KIB, 8 * MIB);
    struct fwr_board board = board_of(&local);

    (void)state;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_E_LOCAL_MAP);
    local = preserving(512 * KIB, 576 * KIB, 4 * MIB);
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_OK);
    local.count = 2;
    assert_int_equal(fwr_manifest_compatible(&manifest, &board, 4 * MIB, 4096), FWR_E_LOCAL_MAP);
}

static void waived_blocks(void **state)
{
    struct fwr_manifest manifest = sample();
    struct fwr_region_map local = preserving(508 * KIB, 580 * KIB, 4 * MIB);

    (void)state;
    assert_false(fwr_manifest_waived(&manifest, NULL, 508 * KIB));
    assert_false(fwr_manifest_waived(&manifest, &local, 504 * KIB));
    assert_true(fwr_manifest_waived(&manifest, &local, 508 * KIB));  /* write */
    assert_false(fwr_manifest_waived(&manifest, &local, 512 * KIB)); /* the image agrees */
    assert_true(fwr_manifest_waived(&manifest, &local, 576 * KIB));  /* fill */
    assert_false(fwr_manifest_waived(&manifest, &local, 580 * KIB));
    assert_false(fwr_manifest_waived(&manifest, &local, 4 * MIB));
    assert_false(fwr_manifest_waived(&manifest, &local, UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes),
        cmocka_unit_test(sha384_and_no_guard),
        cmocka_unit_test(truncated_or_trailing),
        cmocka_unit_test(fields_missing_repeated_or_swapped),
        cmocka_unit_test(fields_of_wrong_length),
        cmocka_unit_test(unknown_tags),
        cmocka_unit_test(impossible_values),
        cmocka_unit_test(guard_must_be_in_boot),
        cmocka_unit_test(region_map_must_cover_the_chip),
        cmocka_unit_test(region_fields_out_of_their_place),
        cmocka_unit_test(most_regions_and_one_more),
        cmocka_unit_test(nothing_to_write),
        cmocka_unit_test(leaves_and_addresses),
        cmocka_unit_test(addresses_at_32_bits),
        cmocka_unit_test(ids_and_keys),
        cmocka_unit_test(compatible_field_by_field),
        cmocka_unit_test(identity_at_32_bits),
        cmocka_unit_test(erase_units_must_not_mix),
        cmocka_unit_test(local_map_wins),
        cmocka_unit_test(local_map_that_is_no_map),
        cmocka_unit_test(waived_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
