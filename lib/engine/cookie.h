/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies of requests to one peer (doc/WIRE.md section 2): which are on their way, and which
 * went unanswered and must rest, so that a late reply is never taken for another's. Used by
 * the recipient's transfers. It knows no message.
 */
#ifndef FWR_ENGINE_COOKIE_H
#define FWR_ENGINE_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

/* An unanswered cookie rests at least one period and at most two. */
#define FWR_COOKIE_PERIOD_MS 10000

enum { FWR_COOKIE_BYTES = 256 / 8 };

/* Zeroed is a legal start. */
struct fwr_cookies {
    uint8_t last;
    uint8_t live[FWR_COOKIE_BYTES];       /* bit n: a request with cookie n is on its way */
    uint8_t resting[2][FWR_COOKIE_BYTES]; /* unanswered in this period, in the one before */
    uint64_t period;                      /* when this one began */
};

/* A cookie for the next request: in turn, neither live nor resting. When all that are not live
 * rest (a road that loses nearly everything), the next in turn that is not live: there must be
 * one. */
uint8_t fwr_cookie_take(struct fwr_cookies *cookies, uint64_t now);

/* Its request was answered, or never left. */
void fwr_cookie_answered(struct fwr_cookies *cookies, uint8_t cookie);

/* Its request goes unanswered: given up, or repeated under another cookie. Nothing happens to a
 * cookie that is not live. */
void fwr_cookie_lost(struct fwr_cookies *cookies, uint8_t cookie, uint64_t now);

/* Whether its request went unanswered not long ago: then an answer to it is a late one. */
bool fwr_cookie_rests(const struct fwr_cookies *cookies, uint8_t cookie);

/* All live ones are lost. */
void fwr_cookie_lost_all(struct fwr_cookies *cookies, uint64_t now);

#endif
