/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage: how the caller's memory becomes a recipient. Used by recipient.c at init.
 */
#ifndef FWR_LIB_ENGINE_STORAGE_H
#define FWR_LIB_ENGINE_STORAGE_H

#include "engine.h"

/* Fills in the documented default of every limit that is zero. */
void fwr_storage_defaults(struct fwr_recipient_config *config);

/* Zeroes `storage` (fwr_recipient_storage bytes) and places a recipient and all its pieces in
 * it; `config` has its defaults. */
struct fwr_recipient *fwr_storage_build(void *storage, const struct fwr_recipient_config *config);

#endif
