/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover key`: makes release keys and says what a key file holds. A private key is written
 * for its owner's eyes only and never printed.
 */
#include "tools/key.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "tools/files.h"
#include "tools/json.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"

static const struct {
    const char *name;
    uint8_t algorithm;
} algorithms[] = {
    {"ed25519", FWR_KEY_ED25519},     {"ecdsa-p384", FWR_KEY_ECDSA_P384},
    {"rsa-pss", FWR_KEY_RSA_PSS},     {"ml-dsa-44", FWR_KEY_ML_DSA_44},
    {"ml-dsa-65", FWR_KEY_ML_DSA_65}, {"ml-dsa-87", FWR_KEY_ML_DSA_87},
};
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

const char *tool_key_algorithm(uint8_t algorithm)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (algorithms[i].algorithm == algorithm)
            return algorithms[i].name;
    }
    return "unknown";
}

int tool_key_private(const char *path, struct fwr_signer *signer)
{
    struct tool_bytes pem;
    int status = tool_file_read(path, FWR_PEM_MAX, true, &pem);
    int error;

    memset(signer, 0, sizeof(*signer));
    if (status != TOOL_OK)
        return status;
    error = fwr_signer_load(signer, pem.data, pem.length);
    tool_bytes_free(&pem);
    return error == FWR_OK ? TOOL_OK
                           : tool_error(error, path,
                                        "an unencrypted Ed25519, P-384 or RSA (3072 bits and "
                                        "more) private key in PEM is needed");
}

int tool_key_public(const char *path, uint8_t group, struct fwr_trust_key *key)
{
    struct tool_bytes pem;
    int status = tool_file_read(path, FWR_PEM_MAX, false, &pem);
    int error;

    if (status != TOOL_OK)
        return status;
    error = fwr_trust_key_load(key, group, pem.data, pem.length);
    tool_bytes_free(&pem);
    return error == FWR_OK ? TOOL_OK
                           : tool_error(error, path,
                                        "an Ed25519, P-384 or RSA (3072 to 4096 bits) public "
                                        "key in PEM is needed");
}

static void report(const struct fwr_trust_key *key, const char *path, bool json)
{
    struct json_object *object;
    char id[2 * FWR_KEY_ID_SIZE + 1];

    tool_hex(key->id, FWR_KEY_ID_SIZE, id);
    if (!json) {
        printf("%s  %s  %s\n", id, tool_key_algorithm(key->algorithm), path);
        return;
    }
    object = json_object_new_object();
    tool_json_text(object, "file", path);
    tool_json_text(object, "algorithm", tool_key_algorithm(key->algorithm));
    tool_json_text(object, "key_id", id);
    tool_json_print(object);
}

/* Writes both halves: the private one first, for without it the other is of no use. */
static int write_pair(const struct fwr_signer *signer, const char *private_path,
                      const char *public_path, bool force, struct fwr_trust_key *key)
{
    char pem[FWR_PEM_MAX];
    int error = fwr_signer_public_key(signer, 0, key);
    int length = error == FWR_OK ? fwr_signer_pem(signer, pem, sizeof(pem)) : error;
    int status;

    if (length < 0)
        return tool_error(length, private_path, NULL);
    status = tool_file_write(private_path, pem, (size_t)length, 0600, force);
    OPENSSL_cleanse(pem, sizeof(pem));
    if (status != TOOL_OK)
        return status;
    length = fwr_trust_key_pem(key, pem, sizeof(pem));
    if (length < 0)
        return tool_error(length, public_path, NULL);
    return tool_file_write(public_path, pem, (size_t)length, 0644, force);
}

static int run_new(int argc, char **argv)
{
    const char *name = "ed25519";
    bool json = false, force = false;
    const struct tool_option options[] = {
        {"algorithm", 'a', TOOL_TEXT, &name, "NAME",
         "ed25519 (default), ecdsa-p384 or rsa-pss (3072 bits)", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace existing files", 0, 0},
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "key new",
        "PRIVATE PUBLIC",
        "Makes a release key: PRIVATE (mode 0600) and PUBLIC, both in PEM.",
        options,
        2,
        2};
    struct fwr_signer signer = {0};
    struct fwr_trust_key key;
    char **files;
    unsigned count;
    int status;
    size_t which = 0;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    while (which < ALGORITHM_COUNT && strcmp(algorithms[which].name, name) != 0)
        which++;
    if (which == ALGORITHM_COUNT)
        return tool_usage("key new: --algorithm %s: not ed25519, ecdsa-p384 or rsa-pss", name);
    if (!force && access(files[1], F_OK) == 0)
        return tool_usage("%s: exists already; choose another name or give --force", files[1]);
    status = fwr_signer_generate(&signer, algorithms[which].algorithm);
    if (status != FWR_OK)
        return tool_error(status, "key new", NULL);
    status = write_pair(&signer, files[0], files[1], force, &key);
    fwr_signer_free(&signer);
    if (status == TOOL_OK)
        report(&key, files[1], json);
    return status;
}

static int run_show(int argc, char **argv)
{
    bool json = false;
    const struct tool_option options[] = {
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "key show", "PUBLIC", "Prints a public key's id and algorithm.", options, 1, 1};
    struct fwr_trust_key key;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    status = tool_key_public(files[0], 0, &key);
    if (status == TOOL_OK)
        report(&key, files[0], json);
    return status;
}

int tool_key(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"new", "make a release key", run_new},
        {"show", "print a public key's id", run_show},
        {NULL, NULL, NULL},
    };

    return tool_dispatch(commands, "key ", argc, argv);
}
