/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover image inspect | verify | diff`: looking at images. Only verify says anything about
 * trust; inspect and diff read what they are given and say so.
 */
#include "tools/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/artifact.h"
#include "tools/json.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/trust.h"

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"?", "write", "preserve", "fill"};

    return kind <= FWR_REGION_FILL ? names[kind] : names[0];
}

static const char *hash_name(uint8_t hash)
{
    return hash == FWR_HASH_SHA384 ? "sha384" : "sha256";
}

static void show_regions(const struct fwr_region_map *map)
{
    for (uint16_t i = 0; i < map->count; i++) {
        const struct fwr_region *region = &map->regions[i];

        printf("region             0x%08lx 0x%08lx %s%s", (unsigned long)region->offset,
               (unsigned long)region->length, kind_name(region->kind),
               (region->flags & FWR_REGION_BOOT) != 0 ? " boot" : "");
        if (region->kind == FWR_REGION_FILL)
            printf(" 0x%02x", region->fill);
        printf("\n");
    }
}

static void show_text(const struct tool_artifact *artifact, const struct fwr_manifest *manifest)
{
    char component[TOOL_UUID_TEXT];
    char hex[2 * FWR_HASH_MAX + 1];

    tool_uuid_text(manifest->component, component);
    printf("component          %s\n", component);
    printf("manufacturer       %lu\n", (unsigned long)manifest->manufacturer);
    printf("product            %u\n", manifest->product);
    printf("hardware revision  %u to %u\n", manifest->hardware_min, manifest->hardware_max);
    printf("version            %s\n", manifest->version);
    printf("sequence           %lu\n", (unsigned long)manifest->sequence);
    printf("security version   %lu\n", (unsigned long)manifest->security_version);
    printf("flash size         %lu\n", (unsigned long)manifest->flash_size);
    printf("block size         %lu\n", (unsigned long)manifest->block_size);
    printf("blocks             %lu\n", (unsigned long)fwr_manifest_leaf_count(manifest));
    tool_hex(manifest->root, fwr_hash_size(manifest->hash), hex);
    printf("root               %s (%s)\n", hex, hash_name(manifest->hash));
    tool_hex(artifact->id, FWR_ID_SIZE, hex);
    printf("manifest id        %s\n", hex);
    if (manifest->guard != FWR_NO_GUARD)
        printf("guard block        0x%lx\n", (unsigned long)manifest->guard);
    show_regions(&manifest->map);
    for (uint8_t i = 0; i < artifact->envelope.signature_count; i++) {
        tool_hex(artifact->envelope.signatures[i].key_id, FWR_KEY_ID_SIZE, hex);
        printf("signature          %s %u bytes\n", hex, artifact->envelope.signatures[i].length);
    }
}

static void add_regions(struct json_object *object, const struct fwr_region_map *map)
{
    struct json_object *list = tool_json_list(object, "regions");

    for (uint16_t i = 0; i < map->count; i++) {
        const struct fwr_region *region = &map->regions[i];
        struct json_object *item = json_object_new_object();

        tool_json_number(item, "offset", region->offset);
        tool_json_number(item, "length", region->length);
        tool_json_text(item, "kind", kind_name(region->kind));
        tool_json_flag(item, "boot", (region->flags & FWR_REGION_BOOT) != 0);
        if (region->kind == FWR_REGION_FILL)
            tool_json_number(item, "fill", region->fill);
        json_object_array_add(list, item);
    }
}

static struct json_object *as_json(const struct tool_artifact *artifact,
                                   const struct fwr_manifest *manifest)
{
    struct json_object *object = json_object_new_object();
    char component[TOOL_UUID_TEXT];
    struct json_object *signatures;

    tool_uuid_text(manifest->component, component);
    tool_json_text(object, "component", component);
    tool_json_number(object, "manufacturer", manifest->manufacturer);
    tool_json_number(object, "product", manifest->product);
    tool_json_number(object, "hardware_min", manifest->hardware_min);
    tool_json_number(object, "hardware_max", manifest->hardware_max);
    tool_json_text(object, "version", manifest->version);
    tool_json_number(object, "sequence", manifest->sequence);
    tool_json_number(object, "security_version", manifest->security_version);
    tool_json_number(object, "flash_size", manifest->flash_size);
    tool_json_number(object, "block_size", manifest->block_size);
    tool_json_number(object, "blocks", fwr_manifest_leaf_count(manifest));
    tool_json_text(object, "hash", hash_name(manifest->hash));
    tool_json_hex(object, "root", manifest->root, fwr_hash_size(manifest->hash));
    tool_json_hex(object, "manifest_id", artifact->id, FWR_ID_SIZE);
    if (manifest->guard != FWR_NO_GUARD)
        tool_json_number(object, "guard", manifest->guard);
    add_regions(object, &manifest->map);
    signatures = tool_json_list(object, "signatures");
    for (uint8_t i = 0; i < artifact->envelope.signature_count; i++) {
        struct json_object *item = json_object_new_object();

        tool_json_hex(item, "key_id", artifact->envelope.signatures[i].key_id, FWR_KEY_ID_SIZE);
        tool_json_number(item, "length", artifact->envelope.signatures[i].length);
        json_object_array_add(signatures, item);
    }
    return object;
}

int tool_image_inspect(int argc, char **argv)
{
    bool json = false;
    const struct tool_option options[] = {
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image inspect",
        "FILE",
        "Shows a manifest or an envelope as it claims to be: no signature is checked.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    status = tool_artifact_read(files[0], &artifact);
    if (status != TOOL_OK)
        return status;
    status = tool_artifact_manifest(&artifact, &manifest);
    if (status == TOOL_OK && json)
        tool_json_print(as_json(&artifact, &manifest));
    else if (status == TOOL_OK)
        show_text(&artifact, &manifest);
    tool_artifact_free(&artifact);
    return status;
}

int tool_image_verify(int argc, char **argv)
{
    const char *trust_path = NULL, *raw_path = NULL;
    bool json = false;
    const struct tool_option options[] = {
        {"trust", 't', TOOL_TEXT, &trust_path, "FILE", "the trust set (required)", 0, 0},
        {"raw", 0, TOOL_TEXT, &raw_path, "FILE", "check that this is the image described", 0, 0},
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image verify",
        "ENVELOPE",
        "Checks an envelope's signatures against a trust set, and the raw image against it.",
        options,
        1,
        1};
    static struct fwr_trust trust;
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    struct tool_file raw;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (trust_path == NULL)
        return tool_usage("image verify: --trust is needed");
    status = tool_trust_read(trust_path, &trust);
    if (status == TOOL_OK)
        status = tool_artifact_read(files[0], &artifact);
    if (status != TOOL_OK)
        return status;
    status = tool_artifact_verify(&artifact, &trust, &manifest);
    if (status == TOOL_OK && raw_path != NULL) {
        status = tool_raw_open(&raw, raw_path, manifest.flash_size);
        if (status == TOOL_OK) {
            status = tool_raw_matches(&raw, &manifest, NULL);
            tool_file_close(&raw);
        }
    }
    if (status == TOOL_OK && json)
        tool_json_print(as_json(&artifact, &manifest));
    else if (status == TOOL_OK)
        printf("%s: trusted: version %s, sequence %lu%s\n", files[0], manifest.version,
               (unsigned long)manifest.sequence, raw_path != NULL ? ", image intact" : "");
    tool_artifact_free(&artifact);
    return status;
}

/* ---- diff ---- */

struct side {
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    const char *raw_path;
    uint8_t *tree; /* NULL without a raw image */
};

static int open_side(struct side *side, const char *path)
{
    struct tool_file raw;
    int status = tool_artifact_read(path, &side->artifact);

    if (status != TOOL_OK)
        return status;
    status = tool_artifact_manifest(&side->artifact, &side->manifest);
    if (status != TOOL_OK || side->raw_path == NULL)
        return status;
    status = tool_raw_open(&raw, side->raw_path, side->manifest.flash_size);
    if (status == TOOL_OK) {
        status = tool_raw_matches(&raw, &side->manifest, &side->tree);
        tool_file_close(&raw);
    }
    return status;
}

static void close_side(struct side *side)
{
    free(side->tree);
    tool_artifact_free(&side->artifact);
}

static const uint8_t *leaf_hash(const struct side *side, uint32_t leaf)
{
    return side->tree + fwr_tree_offset(fwr_manifest_leaf_count(&side->manifest),
                                        (uint8_t)fwr_hash_size(side->manifest.hash), 0, leaf);
}

/* Blocks of `to` that `from` has not at the same place. */
static uint32_t count_blocks(const struct side *from, const struct side *to)
{
    uint32_t leaves = fwr_manifest_leaf_count(&to->manifest);
    size_t size = fwr_hash_size(to->manifest.hash);
    uint32_t different = 0;

    for (uint32_t leaf = 0; leaf < leaves; leaf++) {
        uint32_t other;

        if (!fwr_manifest_leaf_at(&from->manifest, fwr_manifest_leaf_address(&to->manifest, leaf),
                                  &other) ||
            memcmp(leaf_hash(from, other), leaf_hash(to, leaf), size) != 0)
            different++;
    }
    return different;
}

/* The fields that differ: what `image inspect --json` shows under the same names, signatures
 * aside. Returns how many. */
static unsigned compare_fields(const struct side *from, const struct side *to,
                               struct json_object *changes)
{
    struct json_object *before = as_json(&from->artifact, &from->manifest);
    struct json_object *after = as_json(&to->artifact, &to->manifest);
    unsigned count = 0;

    json_object_object_add(before, "guard", json_object_new_int64(from->manifest.guard));
    json_object_object_add(after, "guard", json_object_new_int64(to->manifest.guard));
    json_object_object_foreach(after, key, value)
    {
        struct json_object *old = json_object_object_get(before, key);
        struct json_object *change;

        if (strcmp(key, "signatures") == 0 || json_object_equal(old, value))
            continue;
        change = json_object_new_object();
        json_object_object_add(change, "from", json_object_get(old));
        json_object_object_add(change, "to", json_object_get(value));
        json_object_object_add(changes, key, change);
        count++;
    }
    json_object_put(before);
    json_object_put(after);
    return count;
}

static void print_changes(struct json_object *changes)
{
    json_object_object_foreach(changes, key, change)
    {
        printf("%s: %s -> %s\n", key,
               json_object_to_json_string_ext(json_object_object_get(change, "from"),
                                              JSON_C_TO_STRING_PLAIN),
               json_object_to_json_string_ext(json_object_object_get(change, "to"),
                                              JSON_C_TO_STRING_PLAIN));
    }
}

static int report_diff(const struct side *from, const struct side *to, bool json)
{
    struct json_object *report = json_object_new_object();
    struct json_object *changes = json_object_new_object();
    unsigned count = compare_fields(from, to, changes);
    bool blocks = from->tree != NULL && to->tree != NULL;
    uint32_t different = blocks ? count_blocks(from, to) : 0;
    uint32_t total = fwr_manifest_leaf_count(&to->manifest);

    if (!json) {
        print_changes(changes);
        if (blocks)
            printf("blocks: %lu of %lu differ\n", (unsigned long)different, (unsigned long)total);
    }
    json_object_object_add(report, "changes", changes);
    if (blocks) {
        tool_json_number(report, "blocks", total);
        tool_json_number(report, "blocks_different", different);
    }
    if (json)
        tool_json_print(report);
    else
        json_object_put(report);
    return count > 0 ? TOOL_DAMAGED : TOOL_OK;
}

int tool_image_diff(int argc, char **argv)
{
    struct side from = {.raw_path = NULL}, to = {.raw_path = NULL};
    bool json = false;
    const struct tool_option options[] = {
        {"from-raw", 0, TOOL_TEXT, &from.raw_path, "FILE", "the raw image of FROM", 0, 0},
        {"to-raw", 0, TOOL_TEXT, &to.raw_path, "FILE",
         "the raw image of TO; with both, blocks are compared too", 0, 0},
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image diff",
        "FROM TO",
        "Compares two manifests or envelopes, without their signatures. Exit status 1 when\n"
        "they differ.",
        options,
        2,
        2};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    status = open_side(&from, files[0]);
    if (status == TOOL_OK)
        status = open_side(&to, files[1]);
    if (status == TOOL_OK && from.tree != NULL && to.tree != NULL &&
        (from.manifest.hash != to.manifest.hash ||
         from.manifest.block_size != to.manifest.block_size))
        status = tool_usage("image diff: blocks of different size or hash cannot be compared");
    if (status == TOOL_OK)
        status = report_diff(&from, &to, json);
    close_side(&from);
    close_side(&to);
    return status;
}
