/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC's trust set over LAN: read, and followed by the next one. Called by the trust commands.
 * Failures are reported and come back as the exit status.
 */
#ifndef FWR_TOOLS_TRUST_BMC_H
#define FWR_TOOLS_TRUST_BMC_H

#include "tools/artifact.h"
#include "tools/bmc.h"

/* The trust page and the set that it carries: in its envelope, or bare where it was provisioned. */
int tool_trust_fetch(struct tool_bmc *bmc, struct fwr_trust_page *page, struct tool_bytes *set);

/* Brings the BMC the envelope of its next set, and waits until it is in force. */
int tool_trust_push(struct tool_bmc *bmc, const struct tool_artifact *next, uint32_t generation);

#endif
