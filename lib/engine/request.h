/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: the table of requests on their way, and what is known of the roads they take:
 * windows, round trips, time-outs. Used by transfer.c and fetch.c.
 */
#ifndef FWR_LIB_ENGINE_REQUEST_H
#define FWR_LIB_ENGINE_REQUEST_H

#include "engine.h"

#define FWR_TIMEOUT_MAX_MS 10000

/* A new request to a peer, queued to be sent now; NULL when the table is full. */
struct fwr_pending *fwr_request_new(struct fwr_recipient *r, uint8_t peer, uint8_t purpose);
void fwr_request_free(struct fwr_recipient *r, struct fwr_pending *q);

/* The steps of a request's life; nothing else changes its state. It is (again) to be sent, by
 * this peer, when `due`; it was sent, and counts as lost after a time-out; its slice is wanted, but
 * nobody is there to be asked; or its slice will be sent to everybody. */
void fwr_request_queue(struct fwr_recipient *r, struct fwr_pending *q, uint8_t peer, uint64_t due);
void fwr_request_sent(struct fwr_recipient *r, struct fwr_pending *q);
void fwr_request_want(struct fwr_recipient *r, struct fwr_pending *q);
void fwr_request_listen(struct fwr_recipient *r, struct fwr_pending *q, uint64_t due);

/* Forgets all that a peer was asked; that a transfer ended is still said. */
void fwr_request_forget(struct fwr_recipient *r, uint8_t peer);

/* The request that a reply answers, or NULL. */
struct fwr_pending *fwr_request_find(struct fwr_recipient *r, uint8_t peer, uint8_t command,
                                     uint8_t cookie);

/* How many requests a peer may have on their way: what road, donor and congestion allow. */
uint8_t fwr_request_window(const struct fwr_recipient *r, const struct fwr_donor_peer *p);

/* Whether a road carries one message at a time, of ours and of others on it. */
bool fwr_request_is_line(const struct fwr_donor_peer *p);

/* Whether the road takes another request now. */
bool fwr_request_room(const struct fwr_recipient *r, uint8_t peer);

/* How long the answer to a request alone on the road is waited for, ms. */
uint32_t fwr_request_timeout(const struct fwr_donor_peer *p);
/* An answer came: a round trip to learn from, unless it is not known which sending it answers. */
void fwr_request_answered(struct fwr_recipient *r, const struct fwr_pending *q);
/* An answer came after it had been waited for: it took that long at least. */
void fwr_request_late(struct fwr_donor_peer *p);

/* Learns a peer's rate from what came since rate_since, and begins to count anew. */
void fwr_request_measure_rate(struct fwr_recipient *r, struct fwr_donor_peer *p);

#endif
