/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journal: what a recovery writes down in the BMC's store, so that a power cut loses nothing,
 * and the policy that outlives it. It only encodes, decodes and checks; when to write
 * is the recipient's business.
 */
#ifndef FWR_LIB_ENGINE_JOURNAL_H
#define FWR_LIB_ENGINE_JOURNAL_H

#include "engine.h"

#define FWR_JOURNAL_MAX 640 /* bytes of one encoded record, or a little more */

/* Reads the journal of the configured slot into r->journal. FWR_OK, with type NONE when there
 * is none; FWR_E_STORE_CORRUPT; FWR_E_STORE_VERSION; or the store's error. */
int fwr_journal_read(struct fwr_recipient *r);

/* Writes r->journal with the given type and the next counter. FWR_OK, FWR_PENDING (call again
 * with nothing changed), or the store's error. */
int fwr_journal_write(struct fwr_recipient *r, enum fwr_journal_type type);

/* Forgets the journal. As above. */
int fwr_journal_remove(struct fwr_recipient *r);

/* SHA-256 over the region map as the manifest encodes it: a journal of another map is not
 * ours to follow. FWR_OK or FWR_E_CRYPTO. */
int fwr_journal_map_hash(const struct fwr_region_map *map, uint8_t hash[FWR_ID_SIZE]);

/* What Set Policy tightened: zero when nothing is stored. As above. */
int fwr_policy_read(struct fwr_recipient *r, struct fwr_policy_record *policy);
int fwr_policy_write(struct fwr_recipient *r, const struct fwr_policy_record *policy);

#endif
