/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Release keys on disk: the `key` command, and reading keys for the commands that sign or build
 * a trust set.
 */
#ifndef FWR_TOOLS_KEY_H
#define FWR_TOOLS_KEY_H

#include <fwrecover/sign.h>

int tool_key(int argc, char **argv);

/* Reads a private key; its file must be readable by its owner only. Reports its failures. */
int tool_key_private(const char *path, struct fwr_signer *signer);

/* Reads a public key for group `group`. Reports its failures. */
int tool_key_public(const char *path, uint8_t group, struct fwr_trust_key *key);

/* "ed25519", "ecdsa-p384", "rsa-pss"; "unknown" outside the enum. */
const char *tool_key_algorithm(uint8_t algorithm);

#endif
