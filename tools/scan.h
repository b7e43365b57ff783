/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover scan`: the health of a flash file against a signed image.
 */
#ifndef FWR_TOOLS_SCAN_H
#define FWR_TOOLS_SCAN_H

int tool_scan(int argc, char **argv);

#endif
