/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a BMC's own two engines meet: what its donor has to give is what its repaired recipients
 * may call others for. Called by the programs, between two turns of the engines.
 */
#include <fwrecover/oem.h>

#include <config.h>

#include <fwrecover/error.h>

#if FWR_RECIPIENT
int fwr_oem_offer(const struct fwr_oem *oem, uint64_t now)
{
    int more = FWR_OK;
#if FWR_DONOR
    struct fwr_donor_status status;

    if (oem->donor == NULL || oem->recipients == NULL)
        return FWR_OK;
    fwr_donor_status(oem->donor, &status);
    for (uint8_t slot = 0; slot < oem->slot_count; slot++)
        for (uint8_t i = 0; i < FWR_DONOR_IMAGES_MAX && oem->recipients[slot] != NULL; i++)
            if (status.images[i].state == FWR_OK &&
                fwr_recipient_offer(oem->recipients[slot], now, status.images[i].tag,
                                    status.places) == FWR_PENDING)
                more = FWR_PENDING;
#else
    (void)oem;
    (void)now;
#endif
    return more;
}
#endif
