/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover serve`: a management console's donor.
 */
#ifndef FWR_TOOLS_SERVE_H
#define FWR_TOOLS_SERVE_H

int tool_serve(int argc, char **argv);

#endif
