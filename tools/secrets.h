/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords and BMC keys for sessions: where they come from, and that they are wiped. They are
 * never printed. Called by everything that opens or answers a session.
 */
#ifndef FWR_TOOLS_SECRETS_H
#define FWR_TOOLS_SECRETS_H

#include <stdint.h>

#include <fwrecover/rmcp.h>

#define TOOL_SECRET_MAX 20 /* of a password and of K_g alike */

struct tool_secret {
    uint8_t bytes[TOOL_SECRET_MAX];
    uint8_t length; /* 0: none */
};

/* The first line of a file that only its owner may read; 0x and hexadecimal digits stand for
 * bytes. Reports its failures. */
int tool_secret_read(const char *path, struct tool_secret *secret);

/* The password: from the file, or else from the argument (which is overwritten, so that it leaves
 * the process list), or else from FWRECOVER_PASSWORD. Reports its failures. */
int tool_secret_password(const char *path, const char *argument, struct tool_secret *secret);

void tool_secret_wipe(struct tool_secret *secret);

#endif
