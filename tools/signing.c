/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects signatures over a manifest or a trust set and writes the envelope. Private keys live
 * here only for the time of one signature.
 */
#include "tools/signing.h"

#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>

#include "tools/files.h"
#include "tools/key.h"
#include "tools/say.h"

struct fwr_signature *tool_signatures_place(struct tool_signatures *signatures,
                                            const uint8_t key_id[FWR_KEY_ID_SIZE], uint8_t **bytes)
{
    size_t i = 0;

    while (i < signatures->count &&
           memcmp(signatures->items[i].key_id, key_id, FWR_KEY_ID_SIZE) != 0)
        i++;
    if (i == FWR_SIGNATURES_MAX)
        return NULL;
    if (i == signatures->count)
        signatures->count++;
    memcpy(signatures->items[i].key_id, key_id, FWR_KEY_ID_SIZE);
    signatures->items[i].signature = signatures->bytes[i];
    *bytes = signatures->bytes[i];
    return &signatures->items[i];
}

int tool_signatures_copy(struct tool_signatures *signatures, const struct fwr_envelope *envelope)
{
    signatures->count = 0;
    for (uint8_t i = 0; i < envelope->signature_count; i++) {
        const struct fwr_signature *from = &envelope->signatures[i];
        struct fwr_signature *to;
        uint8_t *bytes;

        if (from->length > FWR_SIGNATURE_MAX)
            return tool_usage("a signature of %u bytes is longer than any this program knows",
                              from->length);
        to = tool_signatures_place(signatures, from->key_id, &bytes);
        if (to == NULL)
            return tool_usage("an envelope has at most %d signatures", FWR_SIGNATURES_MAX);
        memcpy(bytes, from->signature, from->length);
        to->length = from->length;
    }
    return TOOL_OK;
}

int tool_signatures_sign(struct tool_signatures *signatures, const struct tool_list *keys,
                         const char *prefix, const void *payload, size_t length)
{
    int status = TOOL_OK;

    for (size_t i = 0; i < keys->count && status == TOOL_OK; i++) {
        struct fwr_signer signer;
        struct fwr_signature *place;
        uint8_t *bytes;
        int written;

        status = tool_key_private(keys->items[i], &signer);
        if (status != TOOL_OK)
            return status;
        place = tool_signatures_place(signatures, signer.key_id, &bytes);
        if (place == NULL) {
            status = tool_usage("an envelope has at most %d signatures", FWR_SIGNATURES_MAX);
        } else {
            written = fwr_signer_sign(&signer, prefix, payload, length, bytes);
            if (written < 0)
                status = tool_error(written, keys->items[i], NULL);
            else
                place->length = (uint16_t)written;
        }
        fwr_signer_free(&signer);
    }
    return status;
}

int tool_signatures_write(const struct tool_signatures *signatures, const void *payload,
                          size_t length, const char *path, bool force)
{
    uint8_t *envelope = malloc(FWR_ENVELOPE_MAX);
    int written;
    int status;

    if (envelope == NULL)
        return tool_error(FWR_E_MEMORY, path, NULL);
    written = fwr_envelope_build(payload, length, signatures->items, signatures->count, envelope,
                                 FWR_ENVELOPE_MAX);
    status = written < 0 ? tool_error(written, path, NULL)
                         : tool_file_write(path, envelope, (size_t)written, 0644, force);
    free(envelope);
    return status;
}
