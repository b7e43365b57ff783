/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover scan`: hashes a flash file once and says whether it holds the image. Which blocks
 * are bad can be told with the image's tree of hashes or the raw image at hand; both are checked
 * against the signed root before they are believed. Writes nothing.
 */
#include "tools/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/artifact.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/trust.h"

#define PIECE_SIZE 65536

struct scan {
    const char *image_path, *trust_path, *tree_path, *raw_path;
    bool json;
    const char *flash_path;
    struct fwr_trust trust;
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    struct tool_file flash;
    uint8_t *found;  /* the flash's tree object */
    uint8_t *wanted; /* the image's; NULL: not at hand */
    bool healthy;
    bool located; /* the bad ranges are known */
    uint32_t blocks, bad_blocks;
    struct json_object *bad;   /* ranges, as in the report */
    uint32_t bad_from, bad_to; /* the range being collected; empty when equal */
};

static uint8_t hash_size(const struct scan *scan)
{
    return (uint8_t)fwr_hash_size(scan->manifest.hash);
}

/* The image's tree from its file, believed when it leads to the signed root. */
static int read_tree(struct scan *scan)
{
    uint32_t leaves = fwr_manifest_leaf_count(&scan->manifest);
    uint64_t size = fwr_tree_size(leaves, hash_size(scan));
    struct fwr_tree_builder builder;
    struct fwr_hasher hasher;
    struct tool_bytes bytes;
    uint8_t root[FWR_HASH_MAX];
    const uint8_t *leaf;
    int error;
    int status = tool_file_read(scan->tree_path, (size_t)size, false, &bytes);

    if (status != TOOL_OK)
        return status;
    error = bytes.length == size ? fwr_hasher_init(&hasher, scan->manifest.hash) : FWR_E_TREE_NODE;
    if (error == FWR_OK) {
        leaf = bytes.data + fwr_tree_offset(leaves, hash_size(scan), 0, 0);
        error = fwr_tree_builder_init(&builder, &hasher, leaves, NULL, 0);
        for (uint32_t i = 0; i < leaves && error == FWR_OK; i++)
            error = fwr_tree_builder_leaf(&builder, leaf + (size_t)i * hash_size(scan));
        if (error == FWR_OK)
            error = fwr_tree_builder_root(&builder, root);
        fwr_hasher_free(&hasher);
    }
    if (error == FWR_OK && memcmp(root, scan->manifest.root, hash_size(scan)) != 0)
        error = FWR_E_TREE_NODE;
    if (error != FWR_OK) {
        tool_bytes_free(&bytes);
        return tool_error(error, scan->tree_path, "it is not the tree of this image");
    }
    scan->wanted = bytes.data;
    return TOOL_OK;
}

static int read_wanted(struct scan *scan)
{
    struct tool_file raw;
    int status;

    if (scan->tree_path != NULL)
        return read_tree(scan);
    if (scan->raw_path == NULL)
        return TOOL_OK;
    status = tool_raw_open(&raw, scan->raw_path, scan->manifest.flash_size);
    if (status != TOOL_OK)
        return status;
    status = tool_raw_matches(&raw, &scan->manifest, &scan->wanted);
    tool_file_close(&raw);
    return status;
}

/* ---- collecting bad blocks, neighbours as one range ---- */

static void end_range(struct scan *scan)
{
    struct json_object *range;

    if (scan->bad_from == scan->bad_to)
        return;
    range = json_object_new_object();
    tool_json_number(range, "offset", scan->bad_from);
    tool_json_number(range, "length", scan->bad_to - scan->bad_from);
    json_object_array_add(scan->bad, range);
    scan->bad_from = scan->bad_to;
}

static void add_bad(struct scan *scan, uint32_t address)
{
    scan->bad_blocks++;
    if (address != scan->bad_to || scan->bad_from == scan->bad_to) {
        end_range(scan);
        scan->bad_from = address;
    }
    scan->bad_to = address + scan->manifest.block_size;
}

/* A block of a fill region is right when it begins with the value and equals itself shifted. */
static int scan_fill(struct scan *scan, const struct fwr_region *region)
{
    uint8_t piece[FWR_BLOCK_SIZE_MAX];
    uint32_t size = scan->manifest.block_size;

    for (uint32_t done = 0; done < region->length; done += size) {
        int status = tool_file_at(&scan->flash, region->offset + done, piece, size);

        if (status != TOOL_OK)
            return status;
        if (piece[0] != region->fill || memcmp(piece, piece + 1, size - 1) != 0)
            add_bad(scan, region->offset + done);
    }
    return TOOL_OK;
}

static void compare_write(struct scan *scan, const struct fwr_region *region)
{
    uint32_t leaves = fwr_manifest_leaf_count(&scan->manifest);
    size_t base = (size_t)fwr_tree_offset(leaves, hash_size(scan), 0, 0);
    uint32_t leaf = 0;

    if (!fwr_manifest_leaf_at(&scan->manifest, region->offset, &leaf))
        return;
    for (uint32_t i = 0; i < region->length / scan->manifest.block_size; i++, leaf++) {
        size_t at = base + (size_t)leaf * hash_size(scan);

        if (memcmp(scan->found + at, scan->wanted + at, hash_size(scan)) != 0)
            add_bad(scan, region->offset + i * scan->manifest.block_size);
    }
}

static int compare(struct scan *scan)
{
    uint8_t root[FWR_HASH_MAX];
    bool same;
    bool locate = scan->tree_path != NULL || scan->raw_path != NULL;
    int status = tool_raw_root(&scan->flash, &scan->manifest, root, locate ? &scan->found : NULL);

    if (status != TOOL_OK)
        return status;
    same = memcmp(root, scan->manifest.root, hash_size(scan)) == 0;
    if (!same)
        status = read_wanted(scan);
    scan->located = same || scan->wanted != NULL;
    for (uint16_t i = 0; i < scan->manifest.map.count && status == TOOL_OK; i++) {
        const struct fwr_region *region = &scan->manifest.map.regions[i];

        if (region->kind != FWR_REGION_PRESERVE)
            scan->blocks += region->length / scan->manifest.block_size;
        if (region->kind == FWR_REGION_FILL)
            status = scan_fill(scan, region);
        else if (region->kind == FWR_REGION_WRITE && !same && scan->wanted != NULL)
            compare_write(scan, region);
    }
    end_range(scan);
    scan->healthy = same && scan->bad_blocks == 0;
    return status;
}

/* ---- reporting ---- */

static void report_json(struct scan *scan)
{
    struct json_object *object = json_object_new_object();

    tool_json_flag(object, "healthy", scan->healthy);
    tool_json_text(object, "version", scan->manifest.version);
    tool_json_number(object, "sequence", scan->manifest.sequence);
    tool_json_hex(object, "manifest_id", scan->artifact.id, FWR_ID_SIZE);
    tool_json_number(object, "block_size", scan->manifest.block_size);
    tool_json_number(object, "blocks", scan->blocks);
    tool_json_flag(object, "located", scan->located);
    if (scan->located)
        tool_json_number(object, "blocks_bad", scan->bad_blocks);
    json_object_object_add(object, "bad", json_object_get(scan->bad));
    tool_json_print(object);
}

static void report_text(const struct scan *scan)
{
    if (scan->healthy) {
        printf("%s: healthy: %lu blocks as in version %s, sequence %lu\n", scan->flash_path,
               (unsigned long)scan->blocks, scan->manifest.version,
               (unsigned long)scan->manifest.sequence);
        return;
    }
    if (!scan->located)
        printf("%s: damaged: not version %s, sequence %lu; --tree or --raw tells where\n",
               scan->flash_path, scan->manifest.version, (unsigned long)scan->manifest.sequence);
    else
        printf("%s: damaged: %lu of %lu blocks are not those of version %s, sequence %lu\n",
               scan->flash_path, (unsigned long)scan->bad_blocks, (unsigned long)scan->blocks,
               scan->manifest.version, (unsigned long)scan->manifest.sequence);
    for (size_t i = 0; i < json_object_array_length(scan->bad); i++) {
        struct json_object *range = json_object_array_get_idx(scan->bad, i);
        uint64_t length = json_object_get_uint64(json_object_object_get(range, "length"));

        printf("  0x%08llx  %llu block%s\n",
               (unsigned long long)json_object_get_uint64(json_object_object_get(range, "offset")),
               (unsigned long long)length / scan->manifest.block_size,
               length == scan->manifest.block_size ? "" : "s");
    }
}

static int run(struct scan *scan)
{
    int status = tool_trust_read(scan->trust_path, &scan->trust);

    if (status == TOOL_OK)
        status = tool_artifact_read(scan->image_path, &scan->artifact);
    if (status == TOOL_OK)
        status = tool_artifact_verify(&scan->artifact, &scan->trust, &scan->manifest);
    if (status == TOOL_OK)
        status = tool_raw_open(&scan->flash, scan->flash_path, scan->manifest.flash_size);
    if (status == TOOL_OK)
        status = compare(scan);
    if (status != TOOL_OK)
        return status;
    if (scan->json)
        report_json(scan);
    else
        report_text(scan);
    return scan->healthy ? TOOL_OK : TOOL_DAMAGED;
}

int tool_scan(int argc, char **argv)
{
    static struct scan scan = {.flash = {.fd = -1}};
    const struct tool_option options[] = {
        {"image", 'i', TOOL_TEXT, &scan.image_path, "ENVELOPE", "what it should hold (required)", 0,
         0},
        {"trust", 't', TOOL_TEXT, &scan.trust_path, "FILE", "the trust set (required)", 0, 0},
        {"tree", 0, TOOL_TEXT, &scan.tree_path, "FILE",
         "the image's tree of hashes: tells which blocks are bad", 0, 0},
        {"raw", 0, TOOL_TEXT, &scan.raw_path, "FILE", "the raw image: the same, but slower", 0, 0},
        {"json", 0, TOOL_FLAG, &scan.json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "scan",
        "FLASH",
        "Says whether a flash file holds an image intact; preserved ranges do not count. Exit\n"
        "status 0: healthy; 1: damaged.",
        options,
        1,
        1};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (scan.image_path == NULL || scan.trust_path == NULL)
        return tool_usage("scan: --image and --trust are needed");
    if (scan.tree_path != NULL && scan.raw_path != NULL)
        return tool_usage("scan: one of --tree and --raw is enough");
    scan.flash_path = files[0];
    scan.bad = json_object_new_array();
    status = run(&scan);
    json_object_put(scan.bad);
    free(scan.found);
    free(scan.wanted);
    tool_file_close(&scan.flash);
    tool_artifact_free(&scan.artifact);
    return status;
}
