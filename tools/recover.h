/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover recover`: a recipient in the foreground.
 */
#ifndef FWR_TOOLS_RECOVER_H
#define FWR_TOOLS_RECOVER_H

int tool_recover(int argc, char **argv);

#endif
