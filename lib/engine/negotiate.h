/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Negotiate: from "who has an image that fits me?" to one chosen image and the donors that
 * have it. Manifests are read and verified before anything is accepted; what a donor merely
 * says decides only whose manifest is read first.
 */
#ifndef FWR_LIB_ENGINE_NEGOTIATE_H
#define FWR_LIB_ENGINE_NEGOTIATE_H

#include "engine.h"

#define FWR_ASK_ALL_MAX 8 /* up to this many donors, all are asked */

/* Whether nobody is known for this peer's place; and how many peers are somebody. */
bool fwr_negotiate_is_spare(const struct fwr_recipient *r, uint8_t peer);
uint8_t fwr_negotiate_donors(const struct fwr_recipient *r);

/* Somebody was found for a spare place: asks it too, if the donors are being asked. */
void fwr_negotiate_found(struct fwr_recipient *r, uint8_t peer);

/* Asks the donors, a sample of them when there are many. */
void fwr_negotiate_begin(struct fwr_recipient *r);

/* FWR_OK: every donor asked has answered or given up, or the time to gather is over and there
 * are offers. FWR_PENDING: still gathering. */
int fwr_negotiate_gather(struct fwr_recipient *r);

/* Reads and judges manifests, best hint first. FWR_OK: r->chosen is the best admitted offer and
 * r->manifest, r->id, r->envelope are its. FWR_PENDING: waiting for bytes. Else why there is
 * none: FWR_E_NO_DONOR, FWR_E_NO_OFFER, FWR_E_DONORS_BUSY, FWR_E_NO_COMPATIBLE,
 * FWR_E_UNPROVISIONED, FWR_E_BELOW_FLOOR … (the one reason all offers share). */
int fwr_negotiate_judge(struct fwr_recipient *r, bool *progress);

/* A round ended without a block of the chosen image gained, `worth` of FWR_BUSY_ROUNDS-ths. After
 * two such rounds in a row, also of runs that failed, any other acceptable image is preferred. */
void fwr_negotiate_lost(struct fwr_recipient *r, uint8_t worth);
/* A block of the image in use was gained. */
void fwr_negotiate_gained(struct fwr_recipient *r);

/* Opens transfers with the donors of the chosen image, best first, up to the number of lanes.
 * Returns how many are open or being opened. */
uint8_t fwr_negotiate_accept(struct fwr_recipient *r);

/* A peer has the image in use as well: makes it one of those that may be accepted. False when the
 * policy does not admit it. */
bool fwr_negotiate_known(struct fwr_recipient *r, uint8_t peer);

/* A console offers an image: takes it as the only candidate. */
void fwr_negotiate_pushed(struct fwr_recipient *r, const struct fwr_offer_request *offer);

/* Whether a console's is the only offer. */
bool fwr_negotiate_is_pushed(const struct fwr_recipient *r);

/* When the donors that were busy may be asked again; 0 when none was. */
uint64_t fwr_negotiate_retry_at(const struct fwr_recipient *r);

/* Whether every donor said that it is busy for some time yet. */
bool fwr_negotiate_all_busy(const struct fwr_recipient *r);

#endif
