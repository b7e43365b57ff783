/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust sets on disk: the `trust` command, and reading one for the commands that check images.
 */
#ifndef FWR_TOOLS_TRUST_H
#define FWR_TOOLS_TRUST_H

#include <stdbool.h>

#include <fwrecover/trust.h>

int tool_trust(int argc, char **argv);
int tool_trust_sign(int argc, char **argv);
int tool_trust_update(int argc, char **argv);
int tool_trust_revoke(int argc, char **argv);
int tool_trust_show(int argc, char **argv);

/* What a store or a BMC says of its set besides the set. */
struct tool_trust_state {
    uint8_t state;  /* enum fwr_trust_state */
    uint8_t reason; /* as on the trust page */
    uint32_t floor;
};
/* Shows a set, in words or as one line of JSON; `state` may be NULL. */
void tool_trust_print(const struct fwr_trust *trust, const struct tool_trust_state *state,
                      bool json);

/* Writes a set as a file, without signatures. */
int tool_trust_write(const struct fwr_trust *trust, const char *path, bool force);

/* Reads and checks a trust set. Refuses a file that others than its owner may write to: who
 * changes it decides what is trusted. Reports its failures. */
int tool_trust_read(const char *path, struct fwr_trust *trust);

#endif
