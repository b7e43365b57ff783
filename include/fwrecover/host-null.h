/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host that is not there: for a flash file on a bench, or a chip that only the BMC reaches.
 */
#ifndef FWRECOVER_HOST_NULL_H
#define FWRECOVER_HOST_NULL_H

#include <fwrecover/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every operation is FWR_OK at once; the power state is unknown. */
extern const struct fwr_host fwr_host_null;

#ifdef __cplusplus
}
#endif

#endif
