/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust sets on disk: the `trust` command, and reading one for the commands that check images.
 */
#ifndef FWR_TOOLS_TRUST_H
#define FWR_TOOLS_TRUST_H

#include <fwrecover/trust.h>

int tool_trust(int argc, char **argv);
int tool_trust_sign(int argc, char **argv);
int tool_trust_update(int argc, char **argv);

/* Reads and checks a trust set. Refuses a file that others than its owner may write to: who
 * changes it decides what is trusted. Reports its failures. */
int tool_trust_read(const char *path, struct fwr_trust *trust);

#endif
