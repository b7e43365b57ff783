/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfer: the recipient's conversation with its donors: asking, accepting, reading in slices,
 * ending; sending, repeating and giving up. It never looks into the bytes it brings.
 */
#ifndef FWR_LIB_ENGINE_TRANSFER_H
#define FWR_LIB_ENGINE_TRANSFER_H

#include "engine.h"

/* A console that pushes and brings nothing for so long is gone. */
#define FWR_PUSH_LEASE_SECONDS 60

/* Forgets everything but the configured limits and what was measured of the roads. */
void fwr_transfer_reset(struct fwr_recipient *r);

/* Queues Request Image for match `index` to a peer, by key or, where `tag` is given, by tag. */
void fwr_transfer_ask(struct fwr_recipient *r, uint8_t peer, uint8_t index);

/* Opens a transfer of the chosen image with a peer, or repeats the question after a loss. */
void fwr_transfer_accept(struct fwr_recipient *r, uint8_t peer);

/* Ends every transfer, telling the donors `result`, a positive reason byte. */
void fwr_transfer_end_all(struct fwr_recipient *r, uint8_t result);

/* Stops using a peer: its ranges go to others. `reason` is logged and kept as its answer. */
void fwr_transfer_drop(struct fwr_recipient *r, uint8_t peer, int reason);

/* Ends the transfer with a peer that did nothing wrong: a better road carries from now on. What it
 * brought is kept. */
void fwr_transfer_leave(struct fwr_recipient *r, uint8_t peer);

/* Whether blocks from a peer are better coded: its road is slow, and it can. */
bool fwr_transfer_codes(const struct fwr_recipient *r, uint8_t peer);

/* How many transfers are open or about to be. */
uint8_t fwr_transfer_count(const struct fwr_recipient *r);

/* Estimated bytes per second of all open transfers together; 0 = unknown. */
uint32_t fwr_transfer_rate(const struct fwr_recipient *r);

bool fwr_transfer_next_send(struct fwr_recipient *r, struct fwr_outgoing *message);
void fwr_transfer_unsent(struct fwr_recipient *r, const struct fwr_outgoing *message, int error);
void fwr_transfer_response(struct fwr_recipient *r, uint8_t peer, uint8_t command, int error,
                           const uint8_t *data, size_t length);
uint64_t fwr_transfer_next_timeout(const struct fwr_recipient *r);
void fwr_transfer_timeout(struct fwr_recipient *r);

#endif
