/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover trust sign | update`: the change from one trust set to the next. The next one counts
 * when both sets' keys have signed it and its generation is higher; update checks that, or has the
 * BMC check it, and only then is the new set in force.
 */
#include "tools/trust.h"

#include <stdio.h>
#include <stdlib.h>

#include <fwrecover/error.h>
#include <fwrecover/keyring.h>
#include <fwrecover/store-dir.h>

#include "tools/artifact.h"
#include "tools/bmc.h"
#include "tools/net.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/signing.h"
#include "tools/trust-bmc.h"

/* Reads a trust set, bare or in an envelope, and checks that it is one. */
static int read_set(const char *path, struct tool_artifact *artifact, struct fwr_trust *trust)
{
    int status = tool_artifact_read(path, artifact);
    int error;

    if (status != TOOL_OK)
        return status;
    error = fwr_trust_decode(artifact->envelope.payload, artifact->envelope.payload_length, trust);
    if (error == FWR_OK)
        return TOOL_OK;
    tool_artifact_free(artifact);
    return tool_error(error, path, "make one with 'fwrecover trust new'");
}

int tool_trust_sign(int argc, char **argv)
{
    static struct tool_signatures signatures;
    static struct fwr_trust trust;
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
    status = read_set(files[0], &artifact, &trust);
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

/* Into a store directory, as the BMC itself would take it. */
static int update_store(const char *path, const struct tool_artifact *artifact, uint32_t max_jump)
{
    static struct fwr_keyring keyring;
    static uint8_t storage[2 * FWR_ENVELOPE_MAX];
    struct fwr_platform platform;
    struct fwr_store_dir dir;
    struct fwr_keyring_config config = {.size = sizeof(config),
                                        .platform = &platform,
                                        .store = &dir.store,
                                        .max_jump = max_jump,
                                        .storage = storage,
                                        .storage_size = sizeof(storage)};
    int error = fwr_store_dir_open(&dir, path);

    if (error != FWR_OK)
        return tool_error(error, path,
                          error == FWR_E_BUSY ? "the BMC is running: use --host" : NULL);
    tool_platform_init(&platform, false);
    error = fwr_keyring_init(&keyring, &config);
    if (error == FWR_OK)
        error = fwr_keyring_propose(&keyring, artifact->file.data, artifact->file.length);
    while (error == FWR_OK && fwr_keyring_step(&keyring, true) == FWR_PENDING)
        ;
    if (error == FWR_OK)
        error = keyring.reason;
    fwr_store_dir_close(&dir);
    return error == FWR_OK ? TOOL_OK : tool_error(error, path, NULL);
}

static int update_bmc(struct tool_bmc *bmc, const struct tool_artifact *artifact,
                      uint32_t generation)
{
    int status = tool_bmc_open(bmc, FWR_PRIVILEGE_ADMIN);

    if (status == TOOL_OK)
        status = tool_trust_push(bmc, artifact, generation);
    tool_bmc_close(bmc);
    return status;
}

int tool_trust_update(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    static struct fwr_trust current, next;
    const char *trust_path = NULL, *output = NULL, *store = NULL;
    struct tool_u32 max_jump = {0, false};
    bool force = false;
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"store", 0, TOOL_TEXT, &store, "DIR", "a BMC's store directory, while it is off", 0, 0},
        {"max-jump", 0, TOOL_U32, &max_jump, "N", "of the generation, with --store [64]", 1, 0},
        {"trust", 't', TOOL_TEXT, &trust_path, "FILE", "the set in force, in a file", 0, 0},
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the set to write, with --trust", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust update",
        "ENVELOPE",
        "Puts the next trust set in force: on a BMC (--host), in a store (--store), or in a file\n"
        "(--trust and --output). The set in force and the next itself must be satisfied by its\n"
        "signatures, and its generation must be higher.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if ((bmc.host != NULL) + (store != NULL) + (trust_path != NULL) != 1 ||
        (trust_path != NULL) != (output != NULL))
        return tool_usage("trust update: one of --host, --store, or --trust and --output");
    if (trust_path != NULL) {
        status = tool_trust_read(trust_path, &current);
        if (status != TOOL_OK)
            return status;
    }
    bmc.slot.value = 0;
    status = read_set(files[0], &artifact, &next);
    if (status != TOOL_OK)
        return status;
    if (!artifact.enveloped)
        status = tool_error(FWR_E_UNTRUSTED, files[0], "it is not signed: 'fwrecover trust sign'");
    else if (bmc.host != NULL)
        status = update_bmc(&bmc, &artifact, next.generation);
    else if (store != NULL)
        status = update_store(store, &artifact, max_jump.value);
    else
        status = update(&current, &artifact, output, force);
    if (status == TOOL_OK && (bmc.host != NULL || store != NULL))
        tool_trust_print(&next, NULL, bmc.json);
    tool_artifact_free(&artifact);
    return status;
}
