/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover image create`: describes a raw image in a manifest, and the table of the image
 * subcommands.
 */
#include "tools/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/artifact.h"
#include "tools/layout.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/signing.h"

#define PIECE_SIZE 65536

struct create {
    const char *output, *component, *revision, *version, *hash, *tree;
    struct tool_u32 manufacturer, product, sequence, security, block_size, flash_size;
    struct tool_layout layout;
    struct tool_list keys;
    bool force;
};

/* A byte of a fill range that is not what the range promises. */
static int check_fill(const struct tool_file *raw, const struct fwr_region *region)
{
    uint8_t piece[PIECE_SIZE];

    for (uint32_t done = 0; done < region->length;) {
        uint32_t length = region->length - done < PIECE_SIZE ? region->length - done : PIECE_SIZE;
        int status = tool_file_at(raw, region->offset + done, piece, length);

        if (status != TOOL_OK)
            return status;
        for (uint32_t i = 0; i < length; i++) {
            if (piece[i] != region->fill)
                return tool_usage("--fill: %s has 0x%02x at 0x%lx, not 0x%02x", raw->path, piece[i],
                                  (unsigned long)region->offset + done + i, region->fill);
        }
        done += length;
    }
    return TOOL_OK;
}

static int read_facts(const struct create *create, struct fwr_manifest *manifest)
{
    uint32_t revisions[2] = {0, UINT16_MAX};
    unsigned count = 2;

    if (create->component == NULL || !create->manufacturer.given || !create->product.given ||
        !create->sequence.given || create->version == NULL || create->output == NULL)
        return tool_usage("image create: --component, --manufacturer, --product, --version, "
                          "--sequence and --output are needed");
    if (!tool_uuid(create->component, manifest->component))
        return tool_usage("--component %s: not a UUID", create->component);
    if (create->revision != NULL)
        count = tool_numbers(create->revision, 2, revisions);
    if (count == 1)
        revisions[1] = revisions[0];
    if (count == 0 || revisions[0] > revisions[1] || revisions[1] > UINT16_MAX)
        return tool_usage("--revision %s: not LOWEST:HIGHEST, each at most 65535",
                          create->revision);
    if (create->version[0] == '\0' || strlen(create->version) > FWR_VERSION_MAX ||
        strspn(create->version, " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^"
                                "_`abcdefghijklmnopqrstuvwxyz{|}~") != strlen(create->version))
        return tool_usage("--version: 1 to %d printable ASCII characters", FWR_VERSION_MAX);
    memcpy(manifest->version, create->version, strlen(create->version) + 1);
    manifest->manufacturer = create->manufacturer.value;
    manifest->product = (uint16_t)create->product.value;
    manifest->hardware_min = (uint16_t)revisions[0];
    manifest->hardware_max = (uint16_t)revisions[1];
    manifest->sequence = create->sequence.value;
    manifest->security_version = create->security.value;
    return TOOL_OK;
}

/* Everything that follows from the raw image itself. */
static int read_raw(const struct create *create, const char *path, struct fwr_manifest *manifest,
                    struct tool_file *raw)
{
    int status;

    if (strcmp(create->hash, "sha256") == 0)
        manifest->hash = FWR_HASH_SHA256;
    else if (strcmp(create->hash, "sha384") == 0)
        manifest->hash = FWR_HASH_SHA384;
    else
        return tool_usage("--hash %s: not sha256 or sha384", create->hash);
    manifest->block_size = create->block_size.value;
    if ((manifest->block_size & (manifest->block_size - 1)) != 0)
        return tool_usage("--block-size %lu: not a power of two",
                          (unsigned long)manifest->block_size);
    status = tool_file_open(raw, path);
    if (status != TOOL_OK)
        return status;
    if (create->flash_size.given && raw->size != create->flash_size.value)
        return tool_errorf(FWR_E_FLASH_SIZE, path,
                           "it has %llu bytes, --flash-size says %lu: the image is the whole chip",
                           (unsigned long long)raw->size, (unsigned long)create->flash_size.value);
    if (raw->size == 0 || raw->size > UINT32_MAX || raw->size % manifest->block_size != 0)
        return tool_errorf(FWR_E_FLASH_SIZE, path,
                           "it has %llu bytes: a chip has a multiple of the block size (%lu), "
                           "below 4 GiB",
                           (unsigned long long)raw->size, (unsigned long)manifest->block_size);
    manifest->flash_size = (uint32_t)raw->size;
    status = tool_layout_map(&create->layout, manifest->flash_size, manifest->block_size,
                             &manifest->map, &manifest->guard);
    if (status == TOOL_OK && fwr_manifest_leaf_count(manifest) == 0)
        status = tool_usage("region map: at least one range of the chip must be written");
    return status;
}

static int hash_raw(const struct create *create, const struct tool_file *raw,
                    struct fwr_manifest *manifest)
{
    uint8_t *object = NULL;
    int status = TOOL_OK;

    for (uint16_t i = 0; i < manifest->map.count && status == TOOL_OK; i++) {
        if (manifest->map.regions[i].kind == FWR_REGION_FILL)
            status = check_fill(raw, &manifest->map.regions[i]);
    }
    if (status == TOOL_OK)
        status =
            tool_raw_root(raw, manifest, manifest->root, create->tree != NULL ? &object : NULL);
    if (status == TOOL_OK && create->tree != NULL)
        status = tool_file_write(create->tree, object,
                                 (size_t)fwr_tree_size(fwr_manifest_leaf_count(manifest),
                                                       (uint8_t)fwr_hash_size(manifest->hash)),
                                 0644, create->force);
    free(object);
    return status;
}

static int write_result(const struct create *create, const struct fwr_manifest *manifest)
{
    static struct tool_signatures signatures;
    uint8_t payload[FWR_REGIONS_MAX * 8 + 512];
    int length = fwr_manifest_encode(manifest, payload, sizeof(payload));
    int status;

    if (length < 0)
        return tool_error(length, create->output, NULL);
    if (create->keys.count == 0)
        return tool_file_write(create->output, payload, (size_t)length, 0644, create->force);
    status = tool_signatures_sign(&signatures, &create->keys, FWR_PREFIX_MANIFEST, payload,
                                  (size_t)length);
    if (status != TOOL_OK)
        return status;
    return tool_signatures_write(&signatures, payload, (size_t)length, create->output,
                                 create->force);
}

static int run(const struct create *create, const char *path)
{
    struct fwr_manifest manifest = {0};
    struct tool_file raw = {.fd = -1};
    int status = read_facts(create, &manifest);

    if (status == TOOL_OK)
        status = read_raw(create, path, &manifest, &raw);
    if (status == TOOL_OK)
        status = hash_raw(create, &raw, &manifest);
    if (status == TOOL_OK)
        status = write_result(create, &manifest);
    tool_file_close(&raw);
    return status;
}

static int run_create(int argc, char **argv)
{
    struct create create = {
        .hash = "sha256", .block_size = {4096, false}, .layout = {.guard = "top"}};
    const struct tool_option options[] = {
        {"output", 'o', TOOL_TEXT, &create.output, "FILE",
         "the manifest to write, or the envelope if a key is given", 0, 0},
        {"key", 'k', TOOL_LIST, &create.keys, "PRIVATE", "sign at once; may be repeated", 0, 0},
        {"component", 'c', TOOL_TEXT, &create.component, "UUID", "what is being updated", 0, 0},
        {"manufacturer", 'm', TOOL_U32, &create.manufacturer, "N",
         "the board maker's enterprise number", 0, 0},
        {"product", 'p', TOOL_U32, &create.product, "N", "the board's product id", 0, UINT16_MAX},
        {"revision", 'r', TOOL_TEXT, &create.revision, "LOW:HIGH",
         "hardware revisions it fits [all]", 0, 0},
        {"version", 0, TOOL_TEXT, &create.version, "TEXT", "for people", 0, 0},
        {"sequence", 0, TOOL_U32, &create.sequence, "N", "for order: higher is newer", 0, 0},
        {"security-version", 0, TOOL_U32, &create.security, "N", "for rollback protection [0]", 0,
         0},
        {"flash-size", 0, TOOL_U32, &create.flash_size, "N", "refuse RAW if it has another", 1, 0},
        {"preserve", 0, TOOL_LIST, &create.layout.preserve, "OFFSET:LENGTH",
         "never read from a donor, never written", 0, 0},
        {"fill", 0, TOOL_LIST, &create.layout.fill, "OFFSET:LENGTH:BYTE",
         "every byte there is BYTE", 0, 0},
        {"boot", 0, TOOL_LIST, &create.layout.boot, "OFFSET:LENGTH",
         "the CPU starts there [the range around the guard]", 0, 0},
        {"guard", 0, TOOL_TEXT, &create.layout.guard, "WHERE",
         "the block with the reset vector: top (default), bottom, ADDRESS or none", 0, 0},
        {"block-size", 0, TOOL_U32, &create.block_size, "N", "a power of two [4096]",
         FWR_BLOCK_SIZE_MIN, FWR_BLOCK_SIZE_MAX},
        {"hash", 0, TOOL_TEXT, &create.hash, "NAME", "sha256 (default) or sha384", 0, 0},
        {"tree", 0, TOOL_TEXT, &create.tree, "FILE", "write the tree of hashes too", 0, 0},
        {"force", 0, TOOL_FLAG, &create.force, NULL, "replace existing files", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image create",
        "RAW",
        "Describes RAW, the whole content of a chip, in a manifest. What no option names is\n"
        "written and verified; the same inputs give the same bytes.",
        options,
        1,
        1};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    return run(&create, files[0]);
}

int tool_image(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"create", "describe a raw image in a manifest", run_create},
        {"digest", "print what is to be signed, for a key kept elsewhere", tool_image_digest},
        {"sign", "add a signature with a private key", tool_image_sign},
        {"attach", "add a signature that was made elsewhere", tool_image_attach},
        {"inspect", "show a manifest or an envelope", tool_image_inspect},
        {"verify", "check signatures, and the raw image", tool_image_verify},
        {"diff", "compare two images", tool_image_diff},
        {NULL, NULL, NULL},
    };

    return tool_dispatch(commands, "image ", argc, argv);
}
