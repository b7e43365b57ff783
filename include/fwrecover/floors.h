/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors contract: numbers on the BMC that only ever rise. What was signed for less than a
 * floor is refused for good, whoever offers it. The default keeps them in the store; a TPM's NV
 * counters, eMMC RPMB or one-time-programmable fuses can stand behind the same two functions.
 */
#ifndef FWRECOVER_FLOORS_H
#define FWRECOVER_FLOORS_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/manifest.h>
#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_floor {
    FWR_FLOOR_SECURITY_VERSION = 1, /* of a component slot: older images are refused */
    FWR_FLOOR_SEQUENCE = 2,         /* of a component slot: the highest one ever confirmed */
    FWR_FLOOR_GENERATION = 3,       /* of the BMC (slot 0): older trust sets are refused */
};

/* How far one confirmed image, or one trust set, may raise a floor where nothing else is
 * configured. A security version counts closed vulnerabilities, a generation changes of keys: a
 * BMC that slept through 64 of either slept for decades, and an image that asks for more is a
 * mistake or an attack which, once confirmed, would lock every honest image out. */
#define FWR_FLOOR_JUMP_DEFAULT 64

/* Operations return FWR_OK, FWR_PENDING (repeat the same call) or an error. A floor is known by
 * its kind, the slot, and the component in the slot (another component there starts from 0);
 * `component` is NULL and `slot` 0 for the generation.
 *
 * What an implementation has to keep:
 * - A floor never falls, whatever is called and whenever the power fails; a raise that is cut
 *   leaves the old value, the new one, or one between them.
 * - `raise` to a value at or below the floor is FWR_OK and touches nothing.
 * - When `raise` has answered FWR_OK the value is durable.
 *
 * Fuses and NV counters count in ones and wear: the engine raises only at a proven boot or a
 * change of the trust set, only to a value above what it last read, and by at most the configured
 * jump. One that can hold fewer values may map several onto one step, rounding down when it reads;
 * one whose counter is at its end answers FWR_E_FLOOR_SPENT. */
struct fwr_floors {
    size_t size; /* sizeof(struct fwr_floors) */
    void *ctx;

    /* 0 in `value` when nothing was ever raised. An error means that nothing is known of the floor,
     * and then nothing is accepted: FWR_E_FLOOR, or the store's errors. */
    int (*read)(void *ctx, enum fwr_floor floor, uint8_t slot, const uint8_t *component,
                uint32_t *value);
    /* FWR_E_FLOOR: not this time. FWR_E_FLOOR_SPENT: never again. Or the store's errors. The
     * engine goes on without (the boot is proven), says so, and tries again at the next
     * confirmation; until it restarts it refuses what is below the value all the same. */
    int (*raise)(void *ctx, enum fwr_floor floor, uint8_t slot, const uint8_t *component,
                 uint32_t value);
};

/* Floors in the BMC's store: as well protected as the store is, and no better: who can put an
 * older copy of it back has lowered them. Owned by the caller, not to be moved; hand out
 * `&f.floors`. Nothing to close. */
struct fwr_floors_store {
    struct fwr_floors floors;
    const struct fwr_store *store;
    uint8_t record[40]; /* on its way to the store while `length` is not 0 */
    uint8_t length;
};
void fwr_floors_store_init(struct fwr_floors_store *floors, const struct fwr_store *store);

#ifdef __cplusplus
}
#endif

#endif
