/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: brings the planned units into lanes, checked block by block, and alone erases and
 * programs the flash, under the journal's in-flight records.
 */
#ifndef FWR_LIB_ENGINE_REPAIR_H
#define FWR_LIB_ENGINE_REPAIR_H

#include "engine.h"

/* Empties the plan and the lanes. */
void fwr_repair_reset(struct fwr_recipient *r);

/* Plans the units of the segment in r->local / r->remote / r->marks: those with a marked leaf
 * and those owed from before a power cut; the guard unit is left out. */
void fwr_repair_plan_segment(struct fwr_recipient *r);

/* Plans the owed units that hold no leaf. False when there are none. */
bool fwr_repair_plan_owed_fill(struct fwr_recipient *r);

/* Plans one more unit by the address of one of its blocks; a unit already last is not doubled.
 * False when the plan is full. */
bool fwr_repair_plan_unit(struct fwr_recipient *r, uint32_t address);

/* Works on the plan; at most one flash or store operation. FWR_OK: all of it is written and read
 * back. FWR_PENDING, with `progress` set when there is more to do at once. Or an error, with
 * status.bad_block set where a block is behind it. */
int fwr_repair_step(struct fwr_recipient *r, bool *progress);

/* Guard unit. Begin once; then, for each segment it touches, step until FWR_OK: after the last
 * one lane 0 holds the whole unit, checked. */
void fwr_guard_begin(struct fwr_recipient *r);
int fwr_guard_step(struct fwr_recipient *r, bool *progress);
/* Writes the unit in lane 0 to the flash. FWR_OK, FWR_PENDING or an error. */
void fwr_guard_write_begin(struct fwr_recipient *r);
int fwr_guard_write_step(struct fwr_recipient *r);

/* Makes certain that what was programmed stays. FWR_OK, FWR_PENDING or FWR_E_FLASH_SYNC. */
int fwr_repair_sync(struct fwr_recipient *r);

/* What the journal names as in flight is unknown now, after a power cut as after a failure: it
 * is owed, whatever it reads as. */
void fwr_repair_owe(struct fwr_recipient *r);
/* Translates what is owed to the units of the image just chosen; what that image does not write
 * is let go. FWR_OK, or FWR_E_GEOMETRY when there are more of them than a record can name. */
int fwr_repair_adopt(struct fwr_recipient *r);
/* Whether a unit is owed. */
bool fwr_repair_owed(const struct fwr_recipient *r, uint32_t unit);

/* What the finished plan covered is owed no more. */
void fwr_repair_settle(struct fwr_recipient *r);

#endif
