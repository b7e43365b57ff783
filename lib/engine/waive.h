/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waive: leaves that the image would write but this board's own map preserves. They are neither
 * fetched nor written; their hash from the authenticated tree stands in for them wherever the
 * flash is hashed. The hashes are learnt in the descent and kept in the store, so that a later
 * check of the flash can do without a donor. What is remembered needs no trust of its own: only
 * the right hashes give the signed root.
 */
#ifndef FWR_LIB_ENGINE_WAIVE_H
#define FWR_LIB_ENGINE_WAIVE_H

#include "engine.h"

/* FWR_OK, or FWR_E_LOCAL_MAP when the board waives more than FWR_WAIVED_MAX leaves of an image. */
int fwr_waive_fits(const struct fwr_recipient *r, const struct fwr_manifest *m);

/* Takes the image in use: its waived leaves and what the store knows of them. FWR_OK, or
 * FWR_PENDING (call again); a record that cannot be used is learnt anew. */
int fwr_waive_prepare(struct fwr_recipient *r);

/* A leaf's own hash, just computed, becomes the one that stands in for it where it is waived. */
void fwr_waive_replace(struct fwr_recipient *r, uint32_t leaf, uint8_t *hash);

/* Learns from the descent into the segment in work, and takes back the marks of waived leaves. */
void fwr_waive_learn(struct fwr_recipient *r);

/* Remembers the hashes, which the signed root has just proven. FWR_OK, FWR_PENDING or the
 * store's error. Nothing is written where nothing is waived. */
int fwr_waive_save(struct fwr_recipient *r);

/* How many blocks of the image in use are waived, in `write` and `fill` together. */
uint32_t fwr_waive_blocks(const struct fwr_recipient *r);

#endif
