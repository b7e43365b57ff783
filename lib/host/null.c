/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host that is not there. Called through the host contract; does nothing.
 */
#include <fwrecover/host-null.h>

#include <stddef.h>

#include <fwrecover/error.h>

static enum fwr_host_power power(void *ctx)
{
    (void)ctx;
    return FWR_HOST_UNKNOWN;
}

static int succeed(void *ctx)
{
    (void)ctx;
    return FWR_OK;
}

const struct fwr_host fwr_host_null = {
    .size = sizeof(struct fwr_host),
    .power = power,
    .hold = succeed,
    .take_bus = succeed,
    .give_bus = succeed,
    .release = succeed,
};
