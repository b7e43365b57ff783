/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bank: on a board with two banks, which one is written, what the pointer says, and which image
 * did not boot here. The pointer never names a bank that is being written. When to move it is the
 * business of phase-bank.c. Without config.banks none of this is called.
 */
#ifndef FWR_LIB_ENGINE_BANK_H
#define FWR_LIB_ENGINE_BANK_H

#include "engine.h"

#define FWR_BANK_OTHER(bank) ((uint8_t)((bank) ^ 1u))

/* Reads the pointer into r->pointer. FWR_OK, FWR_PENDING or the pointer's error. */
int fwr_bank_look(struct fwr_recipient *r);

/* Makes the pointer name `bank`, in an enum fwr_bank_state. As above. */
int fwr_bank_point(struct fwr_recipient *r, uint8_t bank, uint8_t state);

/* Whether the journal is in the middle of writing a bank. */
bool fwr_bank_half_written(const struct fwr_recipient *r);

/* Whether the bank that the host would boot was left as it was found: then a failed run may let
 * the host go. False on a board with one bank. */
bool fwr_bank_spared(const struct fwr_recipient *r);

/* The image whose boot was not proven: read at init, remembered when the host was taken back to
 * the other bank, forgotten when the same image proves its boot after all. FWR_OK, FWR_PENDING or
 * the store's error. */
int fwr_rejected_load(struct fwr_recipient *r);
int fwr_rejected_save(struct fwr_recipient *r, const uint8_t id[FWR_ID_SIZE]);
int fwr_rejected_forget(struct fwr_recipient *r);
bool fwr_rejected_is(const struct fwr_recipient *r, const uint8_t id[FWR_ID_SIZE]);

#endif
