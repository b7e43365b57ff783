/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: in a storm a repaired BMC calls one that still waits ("come and fetch it"), which then
 * need not go on asking everybody in turn. Both ends of such an Offer: a recipient that is done
 * makes calls, as many as its donor has places for; one that waits between two rounds follows
 * them. A call is a hint: it may only make a configured donor be asked now instead of later.
 */
#ifndef FWR_LIB_ENGINE_CALL_H
#define FWR_LIB_ENGINE_CALL_H

#include "engine.h"

/* Forgets whom this run called, and who called it. */
void fwr_call_reset(struct fwr_recipient *r);

/* Somebody calls: the enum fwr_offer_result to answer. A call that is accepted begins a round in
 * which the caller alone is asked. */
uint8_t fwr_call_heard(struct fwr_recipient *r, const struct fwr_caller *caller,
                       const struct fwr_offer_request *offer);
/* Whether the round under way asks a caller alone. */
bool fwr_call_followed(const struct fwr_recipient *r);
/* The caller had nothing after all: waits on, as if it had never called. */
void fwr_call_vain(struct fwr_recipient *r, int reason);

/* The answer to our own call, or the error that there was none. */
void fwr_call_answered(struct fwr_recipient *r, int error, const uint8_t *data, size_t length);

#endif
