/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads: which of the roads with a transfer carries the blocks, and when a better one is tried.
 * The best medium carries, over as many donors as serve on it. When its last road is lost the
 * negotiation takes the next best (negotiate.h); from then on the better ones are asked, ever
 * more rarely, whether they are back.
 */
#ifndef FWR_LIB_ENGINE_ROADS_H
#define FWR_LIB_ENGINE_ROADS_H

#include "engine.h"

/* Whether blocks are to be fetched from a peer: its transfer is open, its road is up, and no
 * better medium has both. */
bool fwr_roads_carries(const struct fwr_recipient *r, uint8_t peer);

/* Whether a transfer with a peer would be of use: nothing better is open or being opened. */
bool fwr_roads_useful(const struct fwr_recipient *r, uint8_t peer);

/* A transfer was opened: those on worse media are left, and what is on its way goes over. */
void fwr_roads_opened(struct fwr_recipient *r, uint8_t peer);

/* A transfer came to a bad end: its road rests for a while before it is tried again. */
void fwr_roads_lost(struct fwr_recipient *r, uint8_t peer);

/* A road came up, or is worth another try. */
void fwr_roads_came(struct fwr_recipient *r, uint8_t peer);

/* Asks the better roads that are due. For phases that need donors, while a transfer is open. */
void fwr_roads_look_up(struct fwr_recipient *r);
uint64_t fwr_roads_next_timeout(const struct fwr_recipient *r);

/* What a road that was tried answered: FWR_OK when it has the image, or why not. */
void fwr_roads_tried(struct fwr_recipient *r, uint8_t peer, int error);

/* Bytes a second that a peer's road brings: as measured, else as its window, its replies and its
 * round trip allow; 0 = nothing is known. */
uint32_t fwr_roads_rate(const struct fwr_recipient *r, uint8_t peer);

#endif
