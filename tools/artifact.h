/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and envelopes on disk, told apart by their first bytes, and the raw images they
 * describe. Called by the image commands, scan, serve and push. Failures are reported and come
 * back as the exit status.
 */
#ifndef FWR_TOOLS_ARTIFACT_H
#define FWR_TOOLS_ARTIFACT_H

#include <fwrecover/envelope.h>
#include <fwrecover/tree.h>

#include "tools/files.h"

/* A file that holds an envelope or a bare manifest. */
struct tool_artifact {
    const char *path;
    struct tool_bytes file;
    bool enveloped;
    struct fwr_envelope envelope; /* without signatures when the file is a bare manifest */
    uint8_t id[FWR_ID_SIZE];
};

/* Reads and splits it; the manifest is not parsed. */
int tool_artifact_read(const char *path, struct tool_artifact *artifact);
void tool_artifact_free(struct tool_artifact *artifact);

/* Parses the manifest without looking at any signature: for the side that makes images. */
int tool_artifact_manifest(const struct tool_artifact *artifact, struct fwr_manifest *manifest);

/* Checks the signatures, then parses: in the order every reader keeps. */
int tool_artifact_verify(const struct tool_artifact *artifact, const struct fwr_trust *trust,
                         struct fwr_manifest *manifest);

/* Opens a raw image and checks that it has the size of a chip. */
int tool_raw_open(struct tool_file *raw, const char *path, uint32_t flash_size);

/* The root over a raw image; with `object`, also the tree object (malloc'd, the caller's to
 * free), whose length is fwr_tree_size. */
int tool_raw_root(const struct tool_file *raw, const struct fwr_manifest *manifest,
                  uint8_t root[FWR_HASH_MAX], uint8_t **object);

/* Whether a raw image is the one the manifest was made from; reports FWR_E_ROOT otherwise. */
int tool_raw_matches(const struct tool_file *raw, const struct fwr_manifest *manifest,
                     uint8_t **object);

#endif
