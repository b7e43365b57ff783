/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The banks contract: a board with two flash banks and a pointer that says which of them the
 * host boots. The recipient then never touches the bank that the pointer names: it makes the
 * other one right, verifies it, moves the pointer, and watches the boot.
 *
 * The pointer may live where the board has it: in a CPLD, in the latch of a multiplexer, in two
 * slots of a small flash (banks-slots.h).
 */
#ifndef FWRECOVER_BANKS_H
#define FWRECOVER_BANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_bank_state {
    FWR_BANK_CONFIRMED = 0,
    FWR_BANK_TRIAL = 1, /* whole and verified, but it has not proved its boot yet */
};

/* What the pointer says. */
struct fwr_bank_choice {
    uint8_t bank;  /* 0 or 1: the host boots it from its next reset on */
    uint8_t state; /* enum fwr_bank_state */
    bool lost;     /* read: the pointer was unreadable; `bank` is the one the board boots then */
};

/* Operations return FWR_OK, FWR_PENDING (repeat the same call) or an error of the device behind
 * them, FWR_E_FLASH_… or FWR_E_IO. Called only while the recipient holds the host, but for the
 * last word after a proven boot: `read`, then `write` of the same bank, confirmed.
 *
 * `write` is atomic and durable: once it has returned FWR_OK the choice survives a power failure;
 * cut or failed, either the old or the new choice is read back. A cut `write` is called again with
 * the same choice after the restart. A board that cannot keep `state` ignores it and reads
 * CONFIRMED. */
struct fwr_banks {
    size_t size; /* sizeof(struct fwr_banks) */
    void *ctx;
    const struct fwr_flash *second; /* bank 1, of the same geometry as bank 0 */

    int (*read)(void *ctx, struct fwr_bank_choice *choice);
    int (*write)(void *ctx, const struct fwr_bank_choice *choice);
};

#ifdef __cplusplus
}
#endif

#endif
