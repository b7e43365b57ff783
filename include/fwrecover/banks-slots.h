/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot pointer in two slots of a small flash, each an erase unit of its own with a counter and
 * a CRC. It is kept in raw flash and not in the store, because it has a second reader: the boot
 * ROM, CPLD or boot loader that chooses the bank knows nothing of a BMC's files.
 *
 * A slot, little-endian, 16 bytes, the rest of its erase unit erased:
 *
 *     0  magic     46h 57h 42h 50h, "FWBP"
 *     4  format    u8, 1
 *     5  bank      u8, 0 or 1
 *     6  state     u8, enum fwr_bank_state
 *     7  reserved  u8, 0
 *     8  counter   u32, one more than that of the slot written before
 *    12  CRC-32    u32, of the bytes before it
 *
 * A reader takes the intact slot with the higher counter (compared as a signed difference); with
 * none, the bank that the board boots by default. A writer changes the slots one after the other,
 * the damaged or newer one first, so that at every moment one is intact, and when it has ended
 * both say the same: no single worn or decayed slot takes the host back to the other bank.
 */
#ifndef FWRECOVER_BANKS_SLOTS_H
#define FWRECOVER_BANKS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/banks.h>
#include <fwrecover/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_BANKS_SLOT_SIZE    16
#define FWR_BANKS_PROGRAM_SIZE 512 /* largest program size of the pointer's flash */

/* Owned by the caller and, while open, not to be moved. Hand out `&slots.banks`. */
struct fwr_banks_slots {
    struct fwr_banks banks;

    /* The pointer's own. */
    const struct fwr_flash *flash;
    uint32_t offset;
    uint8_t default_bank;
    uint8_t step;   /* of the operation under way */
    uint8_t turn;   /* the slot it is at */
    uint8_t writes; /* slots finished */
    uint8_t tries;
    struct {
        bool intact;
        uint8_t bank;
        uint8_t state;
        uint32_t counter;
    } slots[2];
    uint8_t found[FWR_BANKS_SLOT_SIZE];
    uint8_t buffer[FWR_BANKS_PROGRAM_SIZE];
};

/* Puts the pointer into the two erase units of `flash` from `offset` on, which must not share the
 * chip's erase units with anything else. `second` is bank 1; `default_bank` what the board boots
 * when no slot is intact. All must outlive the pointer; there is nothing to close. A chip that
 * was never written reads as lost, and the first `write` makes both slots. FWR_OK; FWR_E_ARGUMENT
 * for a NULL, a bank above 1 or a place outside the chip; FWR_E_UNSUPPORTED when its program size
 * is above FWR_BANKS_PROGRAM_SIZE. */
int fwr_banks_slots_open(struct fwr_banks_slots *slots, const struct fwr_flash *second,
                         const struct fwr_flash *flash, uint32_t offset, uint8_t default_bank);

#ifdef __cplusplus
}
#endif

#endif
