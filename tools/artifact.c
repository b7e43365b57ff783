/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads manifests and envelopes, and hashes raw images against them. Large images are read in
 * pieces of 64 KiB. No state.
 */
#include "tools/artifact.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/say.h"

#define PIECE_SIZE 65536

static const uint8_t magic[] = {'F', 'W', 'R', 'E'};

int tool_artifact_read(const char *path, struct tool_artifact *artifact)
{
    int status = tool_file_read(path, FWR_ENVELOPE_MAX, false, &artifact->file);
    int error = FWR_OK;

    artifact->path = path;
    if (status != TOOL_OK)
        return status;
    artifact->enveloped = artifact->file.length >= sizeof(magic) &&
                          memcmp(artifact->file.data, magic, sizeof(magic)) == 0;
    if (artifact->enveloped) {
        error = fwr_envelope_open(artifact->file.data, artifact->file.length, &artifact->envelope);
    } else {
        artifact->envelope.payload = artifact->file.data;
        artifact->envelope.payload_length = artifact->file.length;
        artifact->envelope.signature_count = 0;
    }
    if (error == FWR_OK)
        error = fwr_manifest_id(artifact->envelope.payload, artifact->envelope.payload_length,
                                artifact->id);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_artifact_free(artifact);
    return tool_error(error, path, "is it complete? Fetch or make it again");
}

void tool_artifact_free(struct tool_artifact *artifact)
{
    tool_bytes_free(&artifact->file);
}

int tool_artifact_manifest(const struct tool_artifact *artifact, struct fwr_manifest *manifest)
{
    int error = fwr_manifest_decode(artifact->envelope.payload, artifact->envelope.payload_length,
                                    manifest);

    return error == FWR_OK
               ? TOOL_OK
               : tool_error(error, artifact->path, "neither a manifest nor an envelope of one");
}

int tool_artifact_verify(const struct tool_artifact *artifact, const struct fwr_trust *trust,
                         struct fwr_manifest *manifest)
{
    uint8_t id[FWR_ID_SIZE];
    int error;

    if (!artifact->enveloped)
        return tool_error(FWR_E_UNTRUSTED, artifact->path,
                          "it is a bare manifest; sign it with 'fwrecover image sign'");
    error = fwr_envelope_verify_manifest(artifact->file.data, artifact->file.length, trust,
                                         manifest, id);
    switch (error) {
    case FWR_OK:
        return TOOL_OK;
    case FWR_E_UNTRUSTED:
    case FWR_E_PARTLY_SIGNED:
        return tool_error(error, artifact->path,
                          "compare its signatures ('fwrecover image inspect') with the keys "
                          "('fwrecover trust show')");
    case FWR_E_SIGNATURE:
        return tool_error(error, artifact->path, "it is damaged or forged: get it again");
    default:
        return tool_error(error, artifact->path, NULL);
    }
}

int tool_raw_open(struct tool_file *raw, const char *path, uint32_t flash_size)
{
    int status = tool_file_open(raw, path);

    if (status != TOOL_OK)
        return status;
    if (raw->size == flash_size)
        return TOOL_OK;
    tool_file_close(raw);
    return tool_errorf(FWR_E_FLASH_SIZE, path, "it has %llu bytes, the chip has %lu",
                       (unsigned long long)raw->size, (unsigned long)flash_size);
}

/* The shape of fwr_flash's and fwr_source's read; the failure is reported where it happens. */
static int read_raw(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    return tool_file_at(ctx, address, buffer, length) == TOOL_OK ? FWR_OK : FWR_E_IO;
}

int tool_raw_root(const struct tool_file *raw, const struct fwr_manifest *manifest,
                  uint8_t root[FWR_HASH_MAX], uint8_t **object)
{
    struct tool_file file = *raw; /* the contract's ctx is not const */
    uint8_t piece[PIECE_SIZE];
    struct fwr_tree_input input = {read_raw, &file, piece, sizeof(piece)};
    uint64_t size = 0;
    int error;

    if (object != NULL) {
        size = fwr_tree_size(fwr_manifest_leaf_count(manifest),
                             (uint8_t)fwr_hash_size(manifest->hash));
        *object = size <= SIZE_MAX ? malloc((size_t)size) : NULL;
        if (*object == NULL)
            return tool_error(FWR_E_MEMORY, raw->path, "its tree of hashes does not fit");
    }
    error = fwr_tree_of_image(manifest, &input, object != NULL ? *object : NULL, size, root);
    if (error == FWR_OK)
        return TOOL_OK;
    if (object != NULL) {
        free(*object);
        *object = NULL;
    }
    /* FWR_E_IO has been reported with its cause. */
    return error == FWR_E_IO ? TOOL_IO : tool_error(error, raw->path, NULL);
}

int tool_raw_matches(const struct tool_file *raw, const struct fwr_manifest *manifest,
                     uint8_t **object)
{
    uint8_t root[FWR_HASH_MAX];
    int status = tool_raw_root(raw, manifest, root, object);

    if (status != TOOL_OK || memcmp(root, manifest->root, fwr_hash_size(manifest->hash)) == 0)
        return status;
    if (object != NULL) {
        free(*object);
        *object = NULL;
    }
    return tool_error(FWR_E_ROOT, raw->path, "this is not the image that was described");
}
