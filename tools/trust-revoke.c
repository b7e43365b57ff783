/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover trust revoke`: makes the set that is to follow another one, without a key that must
 * not count any more. A key that is revoked stays in its group, so that what it signed is refused
 * by that name; in a later set it may be left out, which makes room.
 */
#include "tools/trust.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/key.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"

#define ID_DIGITS_MIN 8

static bool is_revoked(const struct fwr_trust *trust, const uint8_t *id)
{
    for (uint8_t i = 0; i < trust->revoked_count; i++) {
        if (memcmp(trust->revoked[i], id, FWR_KEY_ID_SIZE) == 0)
            return true;
    }
    return false;
}

/* Digits of a key id, as `trust show` prints it: the beginning is enough. */
static bool is_id(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");

    return text[digits] == '\0' && digits >= ID_DIGITS_MIN && digits <= (size_t)2 * FWR_KEY_ID_SIZE;
}

static bool id_begins(const uint8_t *id, const char *digits)
{
    char text[2 * FWR_KEY_ID_SIZE + 1];

    tool_hex(id, FWR_KEY_ID_SIZE, text);
    for (size_t i = 0; digits[i] != '\0'; i++) {
        if (text[i] != tolower((unsigned char)digits[i]))
            return false;
    }
    return true;
}

/* The place of the key that is named, by its file or its id. */
static int find(const struct fwr_trust *trust, const char *name, uint8_t *place)
{
    struct fwr_trust_key key;
    unsigned found = 0;

    if (!is_id(name)) {
        int status = tool_key_public(name, 0, &key);

        if (status != TOOL_OK)
            return status;
    }
    for (uint8_t i = 0; i < trust->key_count; i++) {
        if (is_id(name) ? !id_begins(trust->keys[i].id, name)
                        : memcmp(trust->keys[i].id, key.id, FWR_KEY_ID_SIZE) != 0)
            continue;
        *place = i;
        found++;
    }
    if (found == 1)
        return TOOL_OK;
    return found == 0 ? tool_usage("%s: no such key in the set", name)
                      : tool_usage("%s: begins the ids of several keys", name);
}

static int revoke(struct fwr_trust *trust, uint8_t place)
{
    const uint8_t *id = trust->keys[place].id;
    uint8_t at = trust->revoked_count;

    if (is_revoked(trust, id))
        return tool_usage("this key is revoked already; --remove leaves it out altogether");
    if (at == FWR_TRUST_REVOKED_MAX)
        return tool_usage("a trust set revokes at most %d keys; --remove long revoked ones first",
                          FWR_TRUST_REVOKED_MAX);
    for (; at > 0 && memcmp(trust->revoked[at - 1], id, FWR_KEY_ID_SIZE) > 0; at--)
        memcpy(trust->revoked[at], trust->revoked[at - 1], FWR_KEY_ID_SIZE);
    memcpy(trust->revoked[at], id, FWR_KEY_ID_SIZE);
    trust->revoked_count++;
    return TOOL_OK;
}

/* The key's record goes, and with it what was said of it. */
static void leave_out(struct fwr_trust *trust, uint8_t place)
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < trust->revoked_count; i++) {
        if (memcmp(trust->revoked[i], trust->keys[place].id, FWR_KEY_ID_SIZE) != 0)
            memmove(trust->revoked[kept++], trust->revoked[i], FWR_KEY_ID_SIZE);
    }
    trust->revoked_count = kept;
    trust->key_count--;
    memmove(&trust->keys[place], &trust->keys[place + 1],
            (size_t)(trust->key_count - place) * sizeof(trust->keys[0]));
}

/* "G:REST" or "REST", which is about group 1. */
static int split_group(const struct fwr_trust *trust, const char *text, uint8_t *group,
                       const char **rest)
{
    const char *colon = strchr(text, ':');
    uint64_t number = 1;

    *rest = colon != NULL ? colon + 1 : text;
    if (colon != NULL && !tool_number_span(text, (size_t)(colon - text), UINT8_MAX, &number))
        return tool_usage("%s: the number of a group belongs in front of the colon", text);
    if (number < 1 || number > trust->group_count)
        return tool_usage("%s: the set has %u groups", text, trust->group_count);
    *group = (uint8_t)(number - 1);
    return TOOL_OK;
}

static int add(struct fwr_trust *trust, const char *text)
{
    struct fwr_trust_key *key = &trust->keys[trust->key_count];
    const char *path = text;
    uint8_t group = 0;
    int status = split_group(trust, text, &group, &path);

    if (status == TOOL_OK && trust->key_count == FWR_TRUST_KEYS_MAX)
        status = tool_usage("%s: a trust set has at most %d keys; --remove a revoked one", path,
                            FWR_TRUST_KEYS_MAX);
    if (status == TOOL_OK)
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

static int set_threshold(struct fwr_trust *trust, const char *text)
{
    const char *rest = text;
    uint64_t number;
    uint8_t group = 0;
    int status = split_group(trust, text, &group, &rest);

    if (status != TOOL_OK)
        return status;
    if (!tool_number_span(rest, strlen(rest), FWR_TRUST_KEYS_MAX, &number) || number == 0)
        return tool_usage("--threshold %s: 1 to %d", text, FWR_TRUST_KEYS_MAX);
    trust->thresholds[group] = (uint8_t)number;
    return TOOL_OK;
}

/* A set that nobody could satisfy would be the last one: no image and no other set follows it. */
static int check_thresholds(const struct fwr_trust *trust)
{
    for (uint8_t g = 0; g < trust->group_count; g++) {
        unsigned left = 0;

        for (uint8_t k = 0; k < trust->key_count; k++)
            left += trust->keys[k].group == g && !is_revoked(trust, trust->keys[k].id);
        if (left < trust->thresholds[g])
            return tool_usage("group %u needs %u keys and would be left with %u that count: add "
                              "one with --add %u:PUBLIC, or lower it with --threshold %u:%u",
                              g + 1U, trust->thresholds[g], left, g + 1U, g + 1U,
                              left > 0 ? left : 1U);
    }
    return TOOL_OK;
}

/* Applies the command line's changes, in the order in which they can meet each other's needs. */
static int change(struct fwr_trust *trust, char **names, unsigned count, bool remove,
                  const struct tool_list *added, const struct tool_list *thresholds)
{
    int status = TOOL_OK;

    for (unsigned i = 0; i < count && status == TOOL_OK; i++) {
        uint8_t place = 0;

        status = find(trust, names[i], &place);
        if (status == TOOL_OK && remove)
            leave_out(trust, place);
        else if (status == TOOL_OK)
            status = revoke(trust, place);
    }
    for (size_t i = 0; i < added->count && status == TOOL_OK; i++)
        status = add(trust, added->items[i]);
    for (size_t i = 0; i < thresholds->count && status == TOOL_OK; i++)
        status = set_threshold(trust, thresholds->items[i]);
    return status == TOOL_OK ? check_thresholds(trust) : status;
}

int tool_trust_revoke(int argc, char **argv)
{
    static struct fwr_trust trust;
    struct tool_u32 generation = {0, false};
    struct tool_list added = {.count = 0}, thresholds = {.count = 0};
    const char *output = NULL;
    bool force = false, json = false, remove = false;
    const struct tool_option options[] = {
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the next set to write (required)", 0, 0},
        {"remove", 0, TOOL_FLAG, &remove, NULL, "leave the keys out instead, which makes room", 0,
         0},
        {"add", 'a', TOOL_LIST, &added, "[G:]PUBLIC", "a key that joins group G [1]", 0, 0},
        {"threshold", 't', TOOL_LIST, &thresholds, "[G:]N", "keys of group G that must sign", 0, 0},
        {"generation", 0, TOOL_U32, &generation, "N", "of the next set [one more]", 1, 0},
        {"json", 0, TOOL_FLAG, &json, NULL, "show the next set as JSON", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "trust revoke",
        "SET KEY...",
        "Makes the set that follows another, in which the keys (files, or the first digits of\n"
        "their ids) count no more. It is to be signed then: 'fwrecover trust sign'.",
        options,
        2,
        1 + FWR_TRUST_KEYS_MAX};
    char **operands;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &operands, &count, &status))
        return status;
    if (output == NULL)
        return tool_usage("trust revoke: --output FILE is needed");
    status = tool_trust_read(operands[0], &trust);
    if (status != TOOL_OK)
        return status;
    if (generation.given && generation.value <= trust.generation)
        return tool_usage("--generation: above %lu, which is the present one",
                          (unsigned long)trust.generation);
    trust.generation = generation.given ? generation.value : trust.generation + 1;
    status = change(&trust, operands + 1, count - 1, remove, &added, &thresholds);
    if (status == TOOL_OK)
        status = tool_trust_write(&trust, output, force);
    if (status == TOOL_OK)
        tool_trust_print(&trust, NULL, json);
    return status;
}
