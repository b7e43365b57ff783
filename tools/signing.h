/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting signatures on a manifest or a trust set. Called by `image create`, `image sign`, `image
 * attach` and `trust sign`.
 */
#ifndef FWR_TOOLS_SIGNING_H
#define FWR_TOOLS_SIGNING_H

#include <fwrecover/envelope.h>

#include "tools/options.h"

struct tool_signatures {
    struct fwr_signature items[FWR_SIGNATURES_MAX];
    uint8_t bytes[FWR_SIGNATURES_MAX][FWR_SIGNATURE_MAX];
    size_t count;
};

/* A place for a signature of `key_id`: the one it had, or a new one; NULL when all are taken. */
struct fwr_signature *tool_signatures_place(struct tool_signatures *signatures,
                                            const uint8_t key_id[FWR_KEY_ID_SIZE], uint8_t **bytes);

/* Takes over those an envelope has. */
int tool_signatures_copy(struct tool_signatures *signatures, const struct fwr_envelope *envelope);

/* Signs prefix ‖ payload with each private key file. */
int tool_signatures_sign(struct tool_signatures *signatures, const struct tool_list *keys,
                         const char *prefix, const void *payload, size_t length);

/* Writes the envelope. */
int tool_signatures_write(const struct tool_signatures *signatures, const void *payload,
                          size_t length, const char *path, bool force);

#endif
