/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descent: finds which leaves of one part of the tree differ, by reading the donor's nodes
 * only under nodes that differ. Every node is checked against its authenticated parent before
 * it is believed.
 */
#ifndef FWR_LIB_ENGINE_DESCENT_H
#define FWR_LIB_ENGINE_DESCENT_H

#include "engine.h"

/* Begins on a part whose remote root is in place and authenticated and whose local nodes are
 * all hashed. `marks` holds one byte for each leaf of the part. The part's leaves are nodes
 * base_index… of level base_level of the whole tree. */
void fwr_descent_begin(struct fwr_recipient *r, struct fwr_tree_part *local,
                       struct fwr_tree_part *remote, uint8_t *marks, uint8_t base_level,
                       uint32_t base_index);

/* Goes on as far as it can. FWR_OK: `marks` says which leaves differ, and their hashes stand in
 * the remote part. FWR_PENDING: waiting for nodes; `progress` is set when something happened.
 * FWR_E_DONORS_LOST: nobody is left to tell the truth. FWR_E_CRYPTO. */
int fwr_descent_step(struct fwr_recipient *r, bool *progress);

#endif
