/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host contract: the machine whose flash is being repaired. The recipient holds it in
 * reset (or keeps it off), takes the flash bus, and gives both back after the commit.
 */
#ifndef FWRECOVER_HOST_H
#define FWRECOVER_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_host_power {
    FWR_HOST_OFF,
    FWR_HOST_ON,
    FWR_HOST_UNKNOWN,
};

/* Operations return FWR_OK, FWR_PENDING (call again), or FWR_E_HOST_…. Each may be repeated:
 * holding a held host, releasing a free one and giving a bus that is not taken are FWR_OK. After
 * a BMC restart the engine may call `hold`, or `give_bus` and `release`, before anything else. */
struct fwr_host {
    size_t size; /* sizeof(struct fwr_host) */
    void *ctx;

    enum fwr_host_power (*power)(void *ctx);
    int (*hold)(void *ctx);     /* in reset, or off and refusing to be switched on */
    int (*take_bus)(void *ctx); /* the flash answers to the BMC only */
    int (*give_bus)(void *ctx);
    int (*release)(void *ctx); /* back to the power state found at `hold` */
};

#ifdef __cplusplus
}
#endif

#endif
