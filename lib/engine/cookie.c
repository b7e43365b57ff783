/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies, see cookie.h: three bitmaps for each peer. Called by transfer.c only.
 */
#include "engine/cookie.h"

#include <string.h>

static bool has(const uint8_t *bits, uint8_t cookie)
{
    return (bits[cookie / 8] >> (cookie % 8) & 1) != 0;
}

static void set(uint8_t *bits, uint8_t cookie)
{
    bits[cookie / 8] |= (uint8_t)(1u << (cookie % 8));
}

static void clear(uint8_t *bits, uint8_t cookie)
{
    bits[cookie / 8] &= (uint8_t) ~(1u << (cookie % 8));
}

static void turn_period(struct fwr_cookies *cookies, uint64_t now)
{
    const uint64_t passed = (now - cookies->period) / FWR_COOKIE_PERIOD_MS;

    if (passed == 0)
        return;
    if (passed == 1)
        memcpy(cookies->resting[1], cookies->resting[0], FWR_COOKIE_BYTES);
    else
        memset(cookies->resting[1], 0, FWR_COOKIE_BYTES);
    memset(cookies->resting[0], 0, FWR_COOKIE_BYTES);
    cookies->period += passed * FWR_COOKIE_PERIOD_MS;
}

uint8_t fwr_cookie_take(struct fwr_cookies *cookies, uint64_t now)
{
    uint8_t cookie = cookies->last;
    unsigned tries = 0;

    turn_period(cookies, now);
    do {
        cookie++;
    } while (++tries < 256 && (has(cookies->live, cookie) || has(cookies->resting[0], cookie) ||
                               has(cookies->resting[1], cookie)));
    if (tries == 256) {
        cookie = cookies->last;
        do {
            cookie++;
        } while (has(cookies->live, cookie) && cookie != cookies->last);
    }
    cookies->last = cookie;
    set(cookies->live, cookie);
    return cookie;
}

void fwr_cookie_answered(struct fwr_cookies *cookies, uint8_t cookie)
{
    clear(cookies->live, cookie);
}

void fwr_cookie_lost(struct fwr_cookies *cookies, uint8_t cookie, uint64_t now)
{
    if (!has(cookies->live, cookie))
        return;
    turn_period(cookies, now);
    clear(cookies->live, cookie);
    set(cookies->resting[0], cookie);
}

bool fwr_cookie_rests(const struct fwr_cookies *cookies, uint8_t cookie)
{
    return has(cookies->resting[0], cookie) || has(cookies->resting[1], cookie);
}

void fwr_cookie_lost_all(struct fwr_cookies *cookies, uint64_t now)
{
    turn_period(cookies, now);
    for (unsigned i = 0; i < FWR_COOKIE_BYTES; i++)
        cookies->resting[0][i] |= cookies->live[i];
    memset(cookies->live, 0, sizeof(cookies->live));
}
