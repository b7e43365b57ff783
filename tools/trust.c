/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover trust`: the first provisioning. Builds a trust set from public keys, groups and
 * thresholds. What is written is the payload of doc/WIRE.md section 11.4, which a BMC is given
 * locally; no signature is involved.
 */
#include "tools/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>

#include "tools/files.h"
#include "tools/key.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"

int tool_trust_read(const char *path, struct fwr_trust *trust)
{
    struct tool_bytes bytes;
    struct fwr_envelope envelope;
    struct stat mode;
    int status = tool_file_read(path, FWR_ENVELOPE_MAX, false, &bytes);
    int error = FWR_OK;

    if (status != TOOL_OK)
        return status;
    if (stat(path, &mode) == 0 && (mode.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        tool_bytes_free(&bytes);
        return tool_errorf(FWR_E_PERMISSIONS, path,
                           "others may write to it (mode %04o): chmod go-w %s",
                           (unsigned)(mode.st_mode & 07777), path);
    }
    /* Bare, or in the envelope in which it followed another: the file is ours, so it is believed.
     */
    envelope = (struct fwr_envelope){.payload = bytes.data, .payload_length = bytes.length};
    if (bytes.length >= 4 && memcmp(bytes.data, "FWRE", 4) == 0)
        error = fwr_envelope_open(bytes.data, bytes.length, &envelope);
    if (error == FWR_OK)
        error = fwr_trust_decode(envelope.payload, envelope.payload_length, trust);
    tool_bytes_free(&bytes);
    return error == FWR_OK ? TOOL_OK
                           : tool_error(error, path, "make one with 'fwrecover trust new'");
}

static int add_key(struct fwr_trust *trust, uint8_t group, const char *path)
{
    struct fwr_trust_key *key = &trust->keys[trust->key_count];
    int status;

    if (trust->key_count == FWR_TRUST_KEYS_MAX)
        return tool_usage("%s: a trust set has at most %d keys", path, FWR_TRUST_KEYS_MAX);
    status = tool_key_public(path, group, key);
    if (status != TOOL_OK)
        return status;
    for (uint8_t i = 0; i < trust->key_count; i++) {
        if (memcmp(trust->keys[i].id, key->id, FWR_KEY_ID_SIZE) == 0)
            return tool_usage("%s: this public key is in the trust set already", path);
    }
    trust->key_count++;
    return TOOL_OK;
}

/* Closes the group whose keys began at `first`. */
static int end_group(struct fwr_trust *trust, uint8_t first, uint32_t threshold)
{
    uint8_t keys = (uint8_t)(trust->key_count - first);

    if (threshold < 1 || threshold > keys)
        return tool_usage("a group of %u keys cannot have the threshold %lu", keys,
                          (unsigned long)threshold);
    trust->thresholds[trust->group_count++] = (uint8_t)threshold;
    return TOOL_OK;
}

/* THRESHOLD:FILE[,FILE…] */
static int add_group(struct fwr_trust *trust, const char *text)
{
    const char *colon = strchr(text, ':');
    uint8_t first = trust->key_count;
    uint64_t threshold;
    char *names, *rest, *name;
    int status = TOOL_OK;

    if (colon == NULL || !tool_number_span(text, (size_t)(colon - text), UINT8_MAX, &threshold))
        return tool_usage("--group %s: not THRESHOLD:FILE[,FILE...]", text);
    if (trust->group_count == FWR_TRUST_GROUPS_MAX)
        return tool_usage("a trust set has at most %d groups", FWR_TRUST_GROUPS_MAX);
    names = strdup(colon + 1);
    if (names == NULL)
        return tool_error(FWR_E_MEMORY, "--group", NULL);
    rest = names;
    for (name = strtok_r(names, ",", &rest); name != NULL && status == TOOL_OK;
         name = strtok_r(NULL, ",", &rest))
        status = add_key(trust, trust->group_count, name);
    free(names);
    return status == TOOL_OK ? end_group(trust, first, (uint32_t)threshold) : status;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, FWR_KEY_ID_SIZE);
}

static int add_revoked(struct fwr_trust *trust, const struct tool_list *files)
{
    struct fwr_trust_key key;

    for (size_t i = 0; i < files->count; i++) {
        int status;

        if (trust->revoked_count == FWR_TRUST_REVOKED_MAX)
            return tool_usage("a trust set revokes at most %d keys", FWR_TRUST_REVOKED_MAX);
        status = tool_key_public(files->items[i], 0, &key);
        if (status != TOOL_OK)
            return status;
        memcpy(trust->revoked[trust->revoked_count++], key.id, FWR_KEY_ID_SIZE);
    }
    qsort(trust->revoked, trust->revoked_count, FWR_KEY_ID_SIZE, compare_ids);
    return TOOL_OK;
}

int tool_trust_write(const struct fwr_trust *trust, const char *path, bool force)
{
    uint8_t bytes[FWR_TRUST_MAX];
    int length = fwr_trust_encode(trust, bytes, sizeof(bytes));

    if (length < 0)
        return tool_error(length, path, NULL);
    return tool_file_write(path, bytes, (size_t)length, 0644, force);
}

static int run_new(int argc, char **argv)
{
    struct tool_u32 generation = {1, false}, threshold = {1, false};
    struct tool_list groups = {.count = 0}, revoked = {.count = 0};
    const char *output = NULL;
    bool force = false;
    const struct tool_option options[] = {
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the trust set to write (required)", 0, 0},
        {"threshold", 't', TOOL_U32, &threshold, "N", "distinct keys that must sign [1]", 1,
         FWR_TRUST_KEYS_MAX},
        {"group", 'g', TOOL_LIST, &groups, "N:FILE,...",
         "one more group, N of whose keys must sign too", 0, 0},
        {"generation", 0, TOOL_U32, &generation, "N", "rises with every set [1]", 1, 0},
        {"revoke", 0, TOOL_LIST, &revoked, "FILE", "a public key that no longer counts", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust new",
        "[PUBLIC...]",
        "Builds a trust set: which keys must have signed an image. The operands form the\n"
        "first group, each --group another; every group must be satisfied.",
        options,
        0,
        FWR_TRUST_KEYS_MAX};
    struct fwr_trust trust = {0};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (output == NULL || (count == 0 && groups.count == 0))
        return tool_usage("trust new: public keys and --output FILE are needed");
    trust.generation = generation.value;
    for (unsigned i = 0; i < count && status == TOOL_OK; i++)
        status = add_key(&trust, 0, files[i]);
    if (count > 0 && status == TOOL_OK)
        status = end_group(&trust, 0, threshold.value);
    for (size_t i = 0; i < groups.count && status == TOOL_OK; i++)
        status = add_group(&trust, groups.items[i]);
    if (status == TOOL_OK)
        status = add_revoked(&trust, &revoked);
    return status == TOOL_OK ? tool_trust_write(&trust, output, force) : status;
}

int tool_trust(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"new", "build a trust set from public keys", run_new},
        {"show", "show a trust set: of a file, a store or a BMC", tool_trust_show},
        {"sign", "sign a trust set that is to follow another", tool_trust_sign},
        {"update", "go from one trust set to the next", tool_trust_update},
        {"revoke", "make the next trust set, without a key", tool_trust_revoke},
        {NULL, NULL, NULL},
    };

    return tool_dispatch(commands, "trust ", argc, argv);
}
