/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover trust sign | update`: the change from one trust set to the next. The next one counts
 * when both sets' keys have signed it and its generation is higher; update checks that and only
 * then writes the new set.
 */
#include "tools/trust.h"

#include <stdio.h>
#include <stdlib.h>

#include <fwrecover/error.h>

#include "tools/artifact.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/signing.h"

/* Reads a trust set, bare or in an envelope, and checks that it is one. */
static int read_set(const char *path, struct tool_artifact *artifact)
{
    static struct fwr_trust trust;
    int status = tool_artifact_read(path, artifact);
    int error;

    if (status != TOOL_OK)
        return status;
    error = fwr_trust_decode(artifact->envelope.payload, artifact->envelope.payload_length, &trust);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_artifact_free(artifact);
    return tool_error(error, path, "make one with 'fwrecover trust new'");
}

int tool_trust_sign(int argc, char **argv)
{
    static struct tool_signatures signatures;
    struct tool_list keys = {.count = 0};
    const char *output = NULL;
    bool force = false;
    const struct tool_option options[] = {
        {"key", 'k', TOOL_LIST, &keys, "PRIVATE", "the private key; may be repeated", 0, 0},
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the envelope to write (required)", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust sign",
        "FILE",
        "Signs a trust set that is to follow another, or adds signatures. Keys of both sets must\n"
        "sign.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (keys.count == 0 || output == NULL)
        return tool_usage("trust sign: --key and --output are needed");
    status = read_set(files[0], &artifact);
    if (status != TOOL_OK)
        return status;
    status = tool_signatures_copy(&signatures, &artifact.envelope);
    if (status == TOOL_OK)
        status = tool_signatures_sign(&signatures, &keys, FWR_PREFIX_TRUST,
                                      artifact.envelope.payload, artifact.envelope.payload_length);
    if (status == TOOL_OK)
        status = tool_signatures_write(&signatures, artifact.envelope.payload,
                                       artifact.envelope.payload_length, output, force);
    tool_artifact_free(&artifact);
    return status;
}

static int update(const struct fwr_trust *current, const struct tool_artifact *artifact,
                  const char *output, bool force)
{
    static struct fwr_trust next;
    int error =
        fwr_envelope_verify_trust(artifact->file.data, artifact->file.length, current, &next);

    if (error == FWR_E_STALE)
        return tool_errorf(error, artifact->path, "its generation is not above %lu",
                           (unsigned long)current->generation);
    if (error != FWR_OK) {
        tool_error(error, artifact->path,
                   "the keys of the present set and those of the next must have signed it");
        return TOOL_UNTRUSTED;
    }
    return tool_file_write(output, artifact->envelope.payload, artifact->envelope.payload_length,
                           0644, force);
}

int tool_trust_update(int argc, char **argv)
{
    static struct fwr_trust current;
    const char *trust_path = NULL, *output = NULL;
    bool force = false;
    const struct tool_option options[] = {
        {"trust", 't', TOOL_TEXT, &trust_path, "FILE", "the set in force (required)", 0, 0},
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the set to write (required)", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust update",
        "ENVELOPE",
        "Takes the next trust set out of its envelope, if the set in force and the next itself\n"
        "are satisfied by its signatures and its generation is higher.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (trust_path == NULL || output == NULL)
        return tool_usage("trust update: --trust and --output are needed");
    status = tool_trust_read(trust_path, &current);
    if (status == TOOL_OK)
        status = tool_artifact_read(files[0], &artifact);
    if (status != TOOL_OK)
        return status;
    status = artifact.enveloped ? update(&current, &artifact, output, force)
                                : tool_error(FWR_E_UNTRUSTED, files[0],
                                             "it is not signed: 'fwrecover trust sign'");
    tool_artifact_free(&artifact);
    return status;
}
