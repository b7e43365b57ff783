/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device: every operation of the recipient on flash, store and host goes through here, so that
 * it is known whether one is still under way. As long as one is, the engine does nothing but
 * repeat that very call: devices have one operation at a time (flash.h, store.h, host.h).
 */
#ifndef FWR_LIB_ENGINE_DEVICE_H
#define FWR_LIB_ENGINE_DEVICE_H

#include "engine.h"

/* All return what the contract's operation returned, and set r->outstanding on FWR_PENDING. */
/* The flash is that of r->bank. */
int fwr_device_read(struct fwr_recipient *r, uint32_t offset, void *buffer, uint32_t length);
int fwr_device_read_other(struct fwr_recipient *r, uint32_t offset, void *buffer, uint32_t length);
int fwr_device_erase(struct fwr_recipient *r, uint32_t offset, uint32_t length);
int fwr_device_program(struct fwr_recipient *r, uint32_t offset, const void *data, uint32_t length);
int fwr_device_sync(struct fwr_recipient *r);

/* The pointer of a board with two banks. */
int fwr_device_bank_read(struct fwr_recipient *r, struct fwr_bank_choice *choice);
int fwr_device_bank_write(struct fwr_recipient *r, const struct fwr_bank_choice *choice);

/* Records of the configured slot. */
int fwr_device_load(struct fwr_recipient *r, enum fwr_store_kind kind, void *buffer,
                    size_t capacity, size_t *length);
int fwr_device_save(struct fwr_recipient *r, enum fwr_store_kind kind, const void *data,
                    size_t length);
int fwr_device_forget(struct fwr_recipient *r, enum fwr_store_kind kind);

/* Floors of the configured slot and the board's component. */
int fwr_device_floor_read(struct fwr_recipient *r, enum fwr_floor floor, uint32_t *value);
int fwr_device_floor_raise(struct fwr_recipient *r, enum fwr_floor floor, uint32_t value);

/* One of the operations of r->config.host. */
int fwr_device_host(struct fwr_recipient *r, int (*operation)(void *ctx));

#endif
