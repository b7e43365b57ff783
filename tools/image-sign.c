/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover image digest | sign | attach`: signatures, made here or where the key is kept.
 */
#include "tools/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include <fwrecover/error.h>

#include "tools/artifact.h"
#include "tools/json.h"
#include "tools/key.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/signing.h"

/* prefix ‖ manifest: the bytes every signature is over. */
static int signed_message(const struct tool_artifact *artifact, struct tool_bytes *message)
{
    size_t prefix = strlen(FWR_PREFIX_MANIFEST);

    message->length = prefix + artifact->envelope.payload_length;
    message->data = malloc(message->length);
    if (message->data == NULL)
        return tool_error(FWR_E_MEMORY, artifact->path, NULL);
    memcpy(message->data, FWR_PREFIX_MANIFEST, prefix);
    memcpy(message->data + prefix, artifact->envelope.payload, artifact->envelope.payload_length);
    return TOOL_OK;
}

static int print_digests(const struct tool_artifact *artifact, const struct tool_bytes *message,
                         bool json)
{
    uint8_t sha384[48];
    char id[2 * FWR_ID_SIZE + 1], digest[2 * sizeof(sha384) + 1];
    struct json_object *object;

    if (EVP_Digest(message->data, message->length, sha384, NULL, EVP_sha384(), NULL) != 1)
        return tool_error(FWR_E_CRYPTO, artifact->path, NULL);
    tool_hex(artifact->id, sizeof(artifact->id), id);
    tool_hex(sha384, sizeof(sha384), digest);
    if (!json) {
        printf("manifest id  %s\nsha384       %s\n", id, digest);
        return TOOL_OK;
    }
    object = json_object_new_object();
    tool_json_text(object, "manifest_id", id);
    tool_json_text(object, "sha384", digest);
    tool_json_number(object, "message_length", message->length);
    tool_json_print(object);
    return TOOL_OK;
}

int tool_image_digest(int argc, char **argv)
{
    const char *output = NULL;
    bool json = false, force = false;
    const struct tool_option options[] = {
        {"output", 'o', TOOL_TEXT, &output, "FILE",
         "write the bytes to sign: Ed25519 needs them whole", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {"json", 0, TOOL_FLAG, &json, NULL, "report as JSON", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image digest",
        "MANIFEST",
        "Prints the manifest id, and the SHA-384 over the bytes to sign, which is what an HSM\n"
        "signs with ECDSA P-384 or RSA-PSS.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    struct tool_bytes message = {NULL, 0};
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
    if (status == TOOL_OK)
        status = signed_message(&artifact, &message);
    if (status == TOOL_OK && output != NULL)
        status = tool_file_write(output, message.data, message.length, 0644, force);
    /* With "-o -" the message has standard output for itself. */
    if (status == TOOL_OK && (output == NULL || strcmp(output, "-") != 0))
        status = print_digests(&artifact, &message, json);
    tool_bytes_free(&message);
    tool_artifact_free(&artifact);
    return status;
}

/* Reads what is to be signed, and the signatures it has. */
static int open_for_signing(const char *path, struct tool_artifact *artifact,
                            struct tool_signatures *signatures)
{
    struct fwr_manifest manifest;
    int status = tool_artifact_read(path, artifact);

    if (status != TOOL_OK)
        return status;
    status = tool_artifact_manifest(artifact, &manifest);
    if (status == TOOL_OK)
        status = tool_signatures_copy(signatures, &artifact->envelope);
    if (status != TOOL_OK)
        tool_artifact_free(artifact);
    return status;
}

int tool_image_sign(int argc, char **argv)
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
        "image sign",
        "MANIFEST",
        "Signs a manifest, or adds a signature to an envelope. A key's earlier signature is\n"
        "replaced.",
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
        return tool_usage("image sign: --key and --output are needed");
    status = open_for_signing(files[0], &artifact, &signatures);
    if (status != TOOL_OK)
        return status;
    status = tool_signatures_sign(&signatures, &keys, FWR_PREFIX_MANIFEST,
                                  artifact.envelope.payload, artifact.envelope.payload_length);
    if (status == TOOL_OK)
        status = tool_signatures_write(&signatures, artifact.envelope.payload,
                                       artifact.envelope.payload_length, output, force);
    tool_artifact_free(&artifact);
    return status;
}

/* Checks one signature made elsewhere, and takes it. */
static int attach(struct tool_signatures *signatures, const struct tool_artifact *artifact,
                  const char *public_path, const char *signature_path)
{
    struct fwr_trust trust = {.generation = 1, .group_count = 1, .key_count = 1, .thresholds = {1}};
    struct fwr_signature *place;
    struct tool_bytes bytes;
    uint8_t *to;
    int error;
    int status = tool_key_public(public_path, 0, &trust.keys[0]);

    if (status == TOOL_OK)
        status = tool_file_read(signature_path, FWR_SIGNATURE_MAX, false, &bytes);
    if (status != TOOL_OK)
        return status;
    place = tool_signatures_place(signatures, trust.keys[0].id, &to);
    if (place == NULL) {
        tool_bytes_free(&bytes);
        return tool_usage("an envelope has at most %d signatures", FWR_SIGNATURES_MAX);
    }
    memcpy(to, bytes.data, bytes.length);
    place->length = (uint16_t)bytes.length;
    tool_bytes_free(&bytes);
    error = fwr_trust_verify(&trust, FWR_PREFIX_MANIFEST, artifact->envelope.payload,
                             artifact->envelope.payload_length, place, 1);
    if (error == FWR_OK)
        return TOOL_OK;
    return tool_errorf(error, signature_path,
                       "sign the bytes of 'fwrecover image digest -o FILE' with %s as the %s "
                       "format asks",
                       public_path, tool_key_algorithm(trust.keys[0].algorithm));
}

int tool_image_attach(int argc, char **argv)
{
    static struct tool_signatures signatures;
    struct tool_list publics = {.count = 0}, made = {.count = 0};
    const char *output = NULL;
    bool force = false;
    const struct tool_option options[] = {
        {"public", 'p', TOOL_LIST, &publics, "PUBLIC", "the public key; may be repeated", 0, 0},
        {"signature", 's', TOOL_LIST, &made, "FILE",
         "its signature, raw (Ed25519, RSA) or DER (ECDSA)", 0, 0},
        {"output", 'o', TOOL_TEXT, &output, "FILE", "the envelope to write (required)", 0, 0},
        {"force", 0, TOOL_FLAG, &force, NULL, "replace an existing file", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "image attach",
        "MANIFEST",
        "Adds signatures that were made elsewhere, over the bytes that 'image digest -o' gives.\n"
        "Each is checked first.",
        options,
        1,
        1};
    struct tool_artifact artifact;
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (publics.count == 0 || publics.count != made.count || output == NULL)
        return tool_usage("image attach: --public and --signature in pairs, and --output, are "
                          "needed");
    status = open_for_signing(files[0], &artifact, &signatures);
    if (status != TOOL_OK)
        return status;
    for (size_t i = 0; i < publics.count && status == TOOL_OK; i++)
        status = attach(&signatures, &artifact, publics.items[i], made.items[i]);
    if (status == TOOL_OK)
        status = tool_signatures_write(&signatures, artifact.envelope.payload,
                                       artifact.envelope.payload_length, output, force);
    tool_artifact_free(&artifact);
    return status;
}
