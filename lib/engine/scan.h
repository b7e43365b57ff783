/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: hashes the flash, the whole chip or one segment of the tree, a slice at a time, and
 * compares the fill regions. It reads through the lanes' buffers, so no lane may be in use.
 */
#ifndef FWR_LIB_ENGINE_SCAN_H
#define FWR_LIB_ENGINE_SCAN_H

#include "engine.h"

/* Whether the storage was sized for an image: FWR_OK; FWR_E_GEOMETRY (too many leaves, too large
 * a unit); FWR_E_LOCAL_MAP (the board waives more leaves than can be remembered). */
int fwr_scan_fits(const struct fwr_recipient *r, const struct fwr_manifest *m);

/* Takes r->manifest into use: shape of the tree, parts, unit size, guard unit. FWR_OK, or
 * FWR_E_GEOMETRY when the image needs more memory than the storage was sized for. */
int fwr_scan_prepare(struct fwr_recipient *r);

/* A pass over all of `write` and `fill`. After FWR_OK, r->top_local is complete, r->tags knows
 * every block and r->fill_wrong counts wrong blocks. FWR_PENDING: call again. */
void fwr_scan_begin(struct fwr_recipient *r);
int fwr_scan_step(struct fwr_recipient *r);

/* The same for one segment: after FWR_OK, r->local is complete. */
void fwr_scan_segment_begin(struct fwr_recipient *r, uint32_t segment);
int fwr_scan_segment_step(struct fwr_recipient *r);

/* Looks for the next wrong block of a fill region from r->fill_cursor on (in phase FILL with
 * everything owed: the next block): FWR_OK with
 * `address` set, or FWR_NO_ADDRESS at the end; FWR_PENDING: call again. */
int fwr_scan_fill_step(struct fwr_recipient *r, uint32_t *address);

#endif
