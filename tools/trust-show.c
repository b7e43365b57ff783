/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover trust show`: the trust set in a file, in a BMC's store directory, or in force on a
 * BMC over LAN; and a copy of it as it was signed, to be passed on.
 */
#include "tools/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/floors.h>
#include <fwrecover/store-dir.h>

#include "tools/bmc.h"
#include "tools/files.h"
#include "tools/json.h"
#include "tools/key.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/trust-bmc.h"

static bool is_revoked(const struct fwr_trust *trust, const uint8_t *id)
{
    for (uint8_t i = 0; i < trust->revoked_count; i++) {
        if (memcmp(trust->revoked[i], id, FWR_KEY_ID_SIZE) == 0)
            return true;
    }
    return false;
}

static void show_json(const struct fwr_trust *trust, const struct tool_trust_state *state)
{
    struct json_object *object = json_object_new_object();
    struct json_object *groups, *revoked;

    tool_json_number(object, "generation", trust->generation);
    groups = tool_json_list(object, "groups");
    for (uint8_t g = 0; g < trust->group_count; g++) {
        struct json_object *group = json_object_new_object();
        struct json_object *keys;

        tool_json_number(group, "threshold", trust->thresholds[g]);
        keys = tool_json_list(group, "keys");
        for (uint8_t k = 0; k < trust->key_count; k++) {
            struct json_object *key;

            if (trust->keys[k].group != g)
                continue;
            key = json_object_new_object();
            tool_json_text(key, "algorithm", tool_key_algorithm(trust->keys[k].algorithm));
            tool_json_hex(key, "key_id", trust->keys[k].id, FWR_KEY_ID_SIZE);
            tool_json_flag(key, "revoked", is_revoked(trust, trust->keys[k].id));
            json_object_array_add(keys, key);
        }
        json_object_array_add(groups, group);
    }
    revoked = tool_json_list(object, "revoked");
    for (uint8_t r = 0; r < trust->revoked_count; r++) {
        char id[2 * FWR_KEY_ID_SIZE + 1];

        tool_hex(trust->revoked[r], FWR_KEY_ID_SIZE, id);
        json_object_array_add(revoked, json_object_new_string(id));
    }
    if (state != NULL) {
        tool_json_number(object, "generation_floor", state->floor);
        tool_json_flag(object, "next_waits", state->state == FWR_TRUST_WAITING);
        if (state->reason != 0)
            tool_json_error(object, -state->reason);
    }
    tool_json_print(object);
}

static void show_text(const struct fwr_trust *trust, const struct tool_trust_state *state)
{
    char id[2 * FWR_KEY_ID_SIZE + 1];

    printf("generation %lu\n", (unsigned long)trust->generation);
    for (uint8_t g = 0; g < trust->group_count; g++) {
        printf("group %u: %u of\n", g + 1U, trust->thresholds[g]);
        for (uint8_t k = 0; k < trust->key_count; k++) {
            if (trust->keys[k].group != g)
                continue;
            tool_hex(trust->keys[k].id, FWR_KEY_ID_SIZE, id);
            printf("  %s  %s%s\n", id, tool_key_algorithm(trust->keys[k].algorithm),
                   is_revoked(trust, trust->keys[k].id) ? "  revoked" : "");
        }
    }
    for (uint8_t r = 0; r < trust->revoked_count; r++) {
        tool_hex(trust->revoked[r], FWR_KEY_ID_SIZE, id);
        printf("revoked: %s\n", id);
    }
    if (state == NULL)
        return;
    printf("generations below %lu are refused\n", (unsigned long)state->floor);
    if (state->state == FWR_TRUST_WAITING)
        printf("the next set is verified and waits for the end of a run\n");
    if (state->reason != 0)
        printf("the last set that was offered was refused: %s (%s)\n",
               fwr_error_text(-state->reason), fwr_error_name(-state->reason));
}

void tool_trust_print(const struct fwr_trust *trust, const struct tool_trust_state *state,
                      bool json)
{
    (json ? show_json : show_text)(trust, state);
}

/* A set bare or in its envelope. */
static int decode(const struct tool_bytes *set, struct fwr_trust *trust)
{
    struct fwr_envelope envelope = {.payload = set->data, .payload_length = set->length};
    int error = FWR_OK;

    if (set->length >= 4 && memcmp(set->data, "FWRE", 4) == 0)
        error = fwr_envelope_open(set->data, set->length, &envelope);
    return error == FWR_OK ? fwr_trust_decode(envelope.payload, envelope.payload_length, trust)
                           : error;
}

static int from_file(const char *path, struct fwr_trust *trust, struct tool_bytes *set)
{
    int status = tool_trust_read(path, trust);

    return status == TOOL_OK ? tool_file_read(path, FWR_ENVELOPE_MAX, false, set) : status;
}

static int read_store(struct fwr_store_dir *dir, struct tool_bytes *set,
                      struct tool_trust_state *state)
{
    struct fwr_floors_store floors;
    int error;

    set->data = malloc(FWR_ENVELOPE_MAX);
    if (set->data == NULL)
        return FWR_E_MEMORY;
    fwr_floors_store_init(&floors, &dir->store);
    error = dir->store.read(dir->store.ctx, FWR_STORE_TRUST, 0, set->data, FWR_ENVELOPE_MAX,
                            &set->length);
    if (error == FWR_OK)
        error = floors.floors.read(floors.floors.ctx, FWR_FLOOR_GENERATION, 0, NULL, &state->floor);
    state->state = FWR_TRUST_IN_FORCE;
    return error == FWR_E_NOT_FOUND ? FWR_E_UNPROVISIONED : error;
}

static int from_store(const char *path, struct fwr_trust *trust, struct tool_bytes *set,
                      struct tool_trust_state *state)
{
    struct fwr_store_dir dir;
    int error = fwr_store_dir_open(&dir, path);

    if (error != FWR_OK)
        return tool_error(error, path,
                          error == FWR_E_BUSY ? "the BMC is running: ask it with --host" : NULL);
    error = read_store(&dir, set, state);
    if (error == FWR_OK)
        error = decode(set, trust);
    fwr_store_dir_close(&dir);
    return error == FWR_OK ? TOOL_OK : tool_error(error, path, NULL);
}

static int from_bmc(struct tool_bmc *bmc, struct fwr_trust *trust, struct tool_bytes *set,
                    struct tool_trust_state *state)
{
    int status = tool_bmc_open(bmc, FWR_PRIVILEGE_USER);
    struct fwr_trust_page page;
    int error;

    if (status == TOOL_OK)
        status = tool_trust_fetch(bmc, &page, set);
    if (status != TOOL_OK)
        return status;
    *state = (struct tool_trust_state){page.state, page.reason, page.floor};
    error = page.length > 0 ? decode(set, trust) : FWR_E_UNPROVISIONED;
    return error == FWR_OK ? TOOL_OK : tool_error(error, bmc->host, NULL);
}

int tool_trust_show(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    static struct fwr_trust trust;
    const char *output = NULL;
    bool force = false;
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"output", 'o', TOOL_TEXT, &output, "FILE", "keep a copy of the set as it was signed", 0,
         0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust show",
        "[FILE|STORE]",
        "Shows a trust set: of a file, of a BMC's store directory, or with --host of a BMC.",
        options,
        0,
        1};
    struct tool_trust_state state = {0};
    struct tool_bytes set = {0};
    struct stat kind;
    char **operands;
    unsigned count;
    bool stored;
    int status;

    if (!tool_options(&usage, argc, argv, &operands, &count, &status))
        return status;
    if ((count == 1) == (bmc.host != NULL))
        return tool_usage("trust show: a FILE, a STORE directory, or --host");
    bmc.slot.value = 0;
    stored = count == 1 && stat(operands[0], &kind) == 0 && S_ISDIR(kind.st_mode);
    if (count == 0)
        status = from_bmc(&bmc, &trust, &set, &state);
    else if (stored)
        status = from_store(operands[0], &trust, &set, &state);
    else
        status = from_file(operands[0], &trust, &set);
    if (status == TOOL_OK)
        tool_trust_print(&trust, count == 0 || stored ? &state : NULL, bmc.json);
    if (status == TOOL_OK && output != NULL)
        status = tool_file_write(output, set.data, set.length, 0644, force);
    tool_bytes_free(&set);
    tool_bmc_close(&bmc);
    return status;
}
