/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Negotiate: see negotiate.h. A bad signature condemns the pair of donor and envelope; what a
 * valid manifest says condemns (or admits) its tag, whoever offers it.
 */
#include "negotiate.h"

#include <string.h>

#include "bank.h"
#include "call.h"
#include "fetch.h"
#include "request.h"
#include "roads.h"
#include "scan.h"
#include "transfer.h"

#define SAMPLE_FIRST 2
/* Rounds in a row without a block of an image gained, before another one is preferred. */
#define LOST_MAX (2 * FWR_BUSY_ROUNDS)

static uint32_t draw(struct fwr_recipient *r, uint32_t below)
{
    const struct fwr_platform *platform = r->config.platform;
    uint32_t value = 0;

    if (platform->random(platform->ctx, &value, sizeof(value)) != FWR_OK)
        value = r->fetch_order++;
    return value % below;
}

bool fwr_negotiate_is_spare(const struct fwr_recipient *r, uint8_t peer)
{
    return r->peers[peer].reach == FWR_E_NOT_FOUND;
}

uint8_t fwr_negotiate_donors(const struct fwr_recipient *r)
{
    uint8_t count = 0;

    for (uint8_t i = 0; i < r->config.peer_count; i++)
        count = (uint8_t)(count + !fwr_negotiate_is_spare(r, i));
    return count;
}

/* False when as many requests are on their way as may be. */
static bool ask(struct fwr_recipient *r, uint8_t peer)
{
    fwr_transfer_ask(r, peer, 0);
    if (r->peers[peer].asked == 0)
        return false;
    r->sample++;
    return true;
}

static bool askable(const struct fwr_recipient *r, uint8_t peer, bool busy_too)
{
    return r->peers[peer].asked == 0 && !fwr_negotiate_is_spare(r, peer) &&
           (busy_too || r->peers[peer].not_before <= r->now);
}

/* Asks a donor that has an image, was busy, and said that it would be free by now; the one that
 * is free longest. */
static void ask_promised(struct fwr_recipient *r)
{
    uint8_t best = FWR_NONE;

    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        uint64_t at = r->peers[i].not_before;
        if (at > 0 && at <= r->now && (best == FWR_NONE || at < r->peers[best].not_before))
            best = i;
    }
    if (best != FWR_NONE)
        ask(r, best);
}

/* Asks donors not yet asked, drawn at random, until as many are asked as are wanted. Those that are
 * busy for some time yet are left alone, unless there is nobody else. */
static void ask_sample(struct fwr_recipient *r)
{
    uint8_t total = r->config.peer_count, left = 0;
    bool busy_too = r->sample == 0 && fwr_negotiate_all_busy(r);

    for (uint8_t i = 0; i < total; i++)
        left = (uint8_t)(left + askable(r, i, busy_too));
    for (; r->sample < r->wanted && left > 0; left--) {
        uint8_t i = (uint8_t)draw(r, total);
        while (!askable(r, i, busy_too))
            i = (uint8_t)((i + 1) % total);
        if (!ask(r, i))
            return; /* the rest as requests become free */
    }
    r->wanted = r->sample;
}

/* A few at first. More when they are silent or offer what cannot be taken; all of them before we
 * give up. Those that answer but have no image yet, or are busy (a fleet that fails at once), are
 * no reason to ask ever more. */
static uint8_t sample_size(const struct fwr_recipient *r)
{
    uint8_t total = fwr_negotiate_donors(r);

    if (total <= FWR_ASK_ALL_MAX ||
        (r->config.rounds != UINT8_MAX &&
         r->tries + FWR_BUSY_ROUNDS >= r->config.rounds * FWR_BUSY_ROUNDS))
        return total;
    uint32_t size = SAMPLE_FIRST << (r->escalation < 7 ? r->escalation : 7);
    return (uint8_t)(size < total ? size : total);
}

static void escalate(struct fwr_recipient *r)
{
    bool asked = false;

    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        int answer = r->peers[i].answer;
        if (r->peers[i].asked == 0)
            continue;
        asked = true;
        if (answer == FWR_E_NO_OFFER || answer == FWR_E_DONORS_BUSY)
            return;
    }
    if (asked && r->escalation < UINT8_MAX)
        r->escalation++;
}

void fwr_negotiate_found(struct fwr_recipient *r, uint8_t peer)
{
    struct fwr_donor_peer *p = &r->peers[peer];

    for (size_t i = 0; i < FWR_PENDING_MAX; i++)
        if (r->pending[i].state != FWR_PENDING_FREE && r->pending[i].peer == peer &&
            (r->pending[i].purpose == FWR_PURPOSE_ASK || r->pending[i].purpose == FWR_PURPOSE_TRY))
            fwr_request_free(r, &r->pending[i]); /* its predecessor's */
    *p = (struct fwr_donor_peer){.limits = p->limits,
                                 .answer = FWR_PENDING,
                                 .in_flight = p->in_flight,
                                 .sent = p->sent,
                                 .allowed = p->allowed,
                                 .heard = r->now,
                                 .cookies = p->cookies};
    if (fwr_call_followed(r))
        return;
    if (r->phase == FWR_PHASE_ASK) {
        r->wanted++;
        ask(r, peer); /* if there is room; else as requests become free */
    }
}

void fwr_negotiate_begin(struct fwr_recipient *r)
{
    uint8_t total = fwr_negotiate_donors(r);

    if (!fwr_call_followed(r))
        escalate(r);
    fwr_transfer_reset(r);
    r->candidate_count = 0;
    r->judged = FWR_NONE;
    r->judge_fetch = FWR_NONE;
    r->chosen = -1;
    r->sample = 0;
    r->gathered = false;
    if (fwr_call_followed(r)) {
        r->wanted = 1;
        ask(r, r->called);
        fwr_recipient_log(r, FWR_LOG_NOTICE, "%s calls: asking it", fwr_peer_name(r, r->called));
        return;
    }
    ask_promised(r);
    r->wanted = sample_size(r);
    ask_sample(r);
    fwr_recipient_log(r, FWR_LOG_NOTICE, "asking %u of %u donors for an image", r->wanted, total);
}

int fwr_negotiate_gather(struct fwr_recipient *r)
{
    bool waiting = false;

    if (r->sample < r->wanted)
        ask_sample(r);
    for (size_t i = 0; i < FWR_PENDING_MAX && !waiting; i++)
        waiting =
            r->pending[i].state != FWR_PENDING_FREE && r->pending[i].purpose == FWR_PURPOSE_ASK;
    if (!waiting ||
        (r->gathered && r->sample >= r->wanted && (r->candidate_count > 0 || fwr_call_followed(r))))
        return FWR_OK;
    return FWR_PENDING;
}

/* ---- judging ---- */

static bool same_tag(const struct fwr_candidate *a, const struct fwr_candidate *b)
{
    return memcmp(a->offer.tag, b->offer.tag, FWR_TAG_SIZE) == 0;
}

/* Whoever offered this image failed to bring it, again and again. Its manifest may be genuine
 * (everybody can have that) and nobody there who has its blocks. */
static bool is_lost(const struct fwr_recipient *r, const struct fwr_offer *offer)
{
    return r->lost >= LOST_MAX && memcmp(offer->tag, r->lost_tag, FWR_TAG_SIZE) == 0;
}

/* As the policy's compare; but an image that never came is no better than one that may. */
static int compare(const struct fwr_recipient *r, const struct fwr_offer *a,
                   const struct fwr_offer *b)
{
    const struct fwr_policy *policy = r->config.policy;

    if (is_lost(r, a) != is_lost(r, b))
        return is_lost(r, a) ? 1 : -1;
    return policy->compare(policy->ctx, a, b);
}

void fwr_negotiate_lost(struct fwr_recipient *r, uint8_t worth)
{
    if (r->chosen < 0)
        return;
    if (memcmp(r->lost_tag, r->id, FWR_TAG_SIZE) != 0)
        r->lost = 0;
    memcpy(r->lost_tag, r->id, FWR_TAG_SIZE);
    if (r->lost < LOST_MAX)
        r->lost = (uint8_t)(r->lost + worth);
    if (r->lost >= LOST_MAX)
        r->resumed = false; /* any other good image will do */
}

void fwr_negotiate_gained(struct fwr_recipient *r)
{
    if (memcmp(r->lost_tag, r->id, FWR_TAG_SIZE) == 0)
        r->lost = 0;
}

/* The signed sequence every further candidate has to promise at least. */
static bool worth_reading(const struct fwr_recipient *r, const struct fwr_candidate *c)
{
    const struct fwr_offer *chosen = r->chosen < 0 ? NULL : &r->candidates[r->chosen].offer;

    if (c->verdict != FWR_PENDING)
        return false;
    return !chosen || is_lost(r, chosen) || c->hint >= chosen->sequence;
}

static uint8_t next_to_read(const struct fwr_recipient *r)
{
    uint8_t best = FWR_NONE;

    for (uint8_t i = 0; i < r->candidate_count; i++) {
        const struct fwr_candidate *c = &r->candidates[i];
        if (!worth_reading(r, c))
            continue;
        if (best == FWR_NONE || c->hint > r->candidates[best].hint ||
            (c->hint == r->candidates[best].hint &&
             c->offer.round_trip_ms < r->candidates[best].offer.round_trip_ms))
            best = i;
    }
    return best;
}

/* Signature, canonical form, tag, compatibility, floors: in this order and all of them. */
static int judge_envelope(struct fwr_recipient *r, const struct fwr_candidate *c, size_t length)
{
    const struct fwr_flash_geometry *g = &r->config.flash->geometry;
    struct fwr_manifest *m = &r->scratch_manifest;
    int error = fwr_envelope_verify_manifest(r->scratch, length, r->config.trust, m, r->scratch_id);

    if (!error && memcmp(r->scratch_id, c->offer.tag, FWR_TAG_SIZE) != 0)
        error = FWR_E_DONOR_LIED;
    if (!error)
        error = fwr_manifest_compatible(m, r->config.board, g->size, g->erase_size);
    if (!error)
        error = fwr_scan_fits(r, m);
    if (!error && m->security_version < r->floors.security_version)
        error = FWR_E_BELOW_FLOOR;
    /* Once confirmed, it would lock out every honest image between. */
    if (!error && m->security_version > r->floors.security_version &&
        m->security_version - r->floors.security_version > r->config.max_jump)
        error = FWR_E_FLOOR_JUMP;
    /* A person at a console may insist; no machine may, run after run. */
    if (!error && fwr_rejected_is(r, r->scratch_id) && !fwr_negotiate_is_pushed(r))
        error = FWR_E_REJECTED;
    return error;
}

/* What a valid manifest says holds for everybody who offers the same tag. */
static bool about_the_image(int verdict)
{
    switch (verdict) {
    case FWR_OK:
    case FWR_E_COMPONENT:
    case FWR_E_BOARD:
    case FWR_E_HARDWARE_REVISION:
    case FWR_E_FLASH_SIZE:
    case FWR_E_GEOMETRY:
    case FWR_E_LOCAL_MAP:
    case FWR_E_BELOW_FLOOR:
    case FWR_E_REJECTED:
    case FWR_E_FLOOR_JUMP:
        return true;
    default:
        return false;
    }
}

static void say_verdict(struct fwr_recipient *r, const struct fwr_candidate *c)
{
    const char *name = fwr_peer_name(r, c->offer.peer);

    if (c->verdict == FWR_OK)
        fwr_recipient_log(r, FWR_LOG_NOTICE, "offer of %s: sequence %u, verified, acceptable", name,
                          (unsigned)c->offer.sequence);
    else
        fwr_recipient_log(r, FWR_LOG_NOTICE, "offer of %s: sequence %u, refused: %s (%s)", name,
                          (unsigned)(c->offer.sequence ? c->offer.sequence : c->hint),
                          fwr_error_text(c->verdict), fwr_error_name(c->verdict));
}

static void settle(struct fwr_recipient *r, struct fwr_candidate *c, int verdict)
{
    if (about_the_image(verdict)) {
        c->offer.sequence = r->scratch_manifest.sequence;
        c->offer.security_version = r->scratch_manifest.security_version;
    }
    if (verdict == FWR_OK)
        verdict = r->config.policy->admit(r->config.policy->ctx, &c->offer);
    c->verdict = verdict;
    say_verdict(r, c);
}

/* Makes the image in the scratch buffer the one in use. */
static void choose_image(struct fwr_recipient *r, size_t length)
{
    memcpy(r->envelope, r->scratch, length);
    r->envelope_length = length;
    r->manifest = r->scratch_manifest;
    memcpy(r->id, r->scratch_id, FWR_ID_SIZE);
    r->have_manifest = true;
}

/* `came`: the length of the envelope in the scratch buffer, or why there is none. */
static void judge(struct fwr_recipient *r, int came)
{
    struct fwr_candidate *judged = &r->candidates[r->judged];
    int verdict = came > 0 ? judge_envelope(r, judged, (size_t)came) : came;
    int best = -1;

    for (uint8_t i = 0; i < r->candidate_count; i++) {
        struct fwr_candidate *c = &r->candidates[i];
        if (c->verdict != FWR_PENDING ||
            !(c == judged || (about_the_image(verdict) && same_tag(c, judged))))
            continue;
        settle(r, c, verdict);
        if (c->verdict == FWR_OK &&
            (best < 0 || compare(r, &c->offer, &r->candidates[best].offer) < 0))
            best = i;
    }
    if (best < 0 || (r->chosen >= 0 &&
                     compare(r, &r->candidates[r->chosen].offer, &r->candidates[best].offer) <= 0))
        return;
    r->chosen = best;
    choose_image(r, (size_t)came);
}

/* Why nothing can be chosen: the newest refused offer speaks for the others. */
static int no_choice(const struct fwr_recipient *r)
{
    const struct fwr_candidate *worst = NULL;
    bool busy = false, heard = false;

    for (uint8_t i = 0; i < r->candidate_count; i++) {
        const struct fwr_candidate *c = &r->candidates[i];
        if (!worst || c->hint > worst->hint)
            worst = c;
    }
    if (worst) {
        for (uint8_t i = 0; i < r->candidate_count; i++)
            if (r->candidates[i].verdict != worst->verdict)
                return FWR_E_NO_COMPATIBLE;
        return worst->verdict;
    }
    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        busy |= r->peers[i].answer == FWR_E_DONORS_BUSY;
        heard |= r->peers[i].answer == FWR_E_NO_OFFER;
    }
    return busy ? FWR_E_DONORS_BUSY : heard ? FWR_E_NO_OFFER : FWR_E_NO_DONOR;
}

/* The donors whose manifests were not read: what they promise is older, or they promise nothing. */
static void say_others(struct fwr_recipient *r)
{
    for (uint8_t i = 0; i < r->candidate_count; i++) {
        const struct fwr_candidate *c = &r->candidates[i];
        if (c->verdict == FWR_OK && r->chosen >= 0 && is_lost(r, &c->offer) &&
            !is_lost(r, &r->candidates[r->chosen].offer))
            fwr_recipient_log(r, FWR_LOG_NOTICE,
                              "offer of %s: sequence %u, passed over: nobody could bring it",
                              fwr_peer_name(r, c->offer.peer), (unsigned)c->offer.sequence);
        if (c->verdict == FWR_PENDING)
            fwr_recipient_log(r, FWR_LOG_NOTICE,
                              "offer of %s: sequence %u, passed over: the chosen one is newer",
                              fwr_peer_name(r, c->offer.peer), (unsigned)c->hint);
    }
    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        int answer = r->peers[i].answer;
        if (r->peers[i].asked > 0 && answer != FWR_OK)
            fwr_recipient_log(r, FWR_LOG_NOTICE, "%s: no offer: %s", fwr_peer_name(r, i),
                              fwr_error_text(answer == FWR_PENDING ? FWR_E_TIMEOUT : answer));
    }
}

int fwr_negotiate_judge(struct fwr_recipient *r, bool *progress)
{
    if (!r->config.trust)
        return FWR_E_UNPROVISIONED;
    if (r->judged != FWR_NONE) {
        struct fwr_fetch *f = &r->fetches[r->judge_fetch];
        if (f->state != FWR_FETCH_DONE)
            return FWR_PENDING;
        int came = f->error ? f->error : (int)f->have;
        fwr_fetch_free(r, r->judge_fetch);
        judge(r, came);
        r->judged = FWR_NONE;
        *progress = true;
    }
    uint8_t next = next_to_read(r);
    if (next != FWR_NONE) {
        r->judge_fetch = fwr_fetch_begin(r, FWR_OBJECT_MANIFEST, 0, r->config.max_envelope,
                                         r->scratch, r->candidates[next].offer.peer);
        if (r->judge_fetch != FWR_NONE)
            r->judged = next;
        *progress = true;
        return FWR_PENDING;
    }
    say_others(r);
    return r->chosen >= 0 ? FWR_OK : no_choice(r);
}

/* ---- accepting ---- */

/* A first donor is needed. More of them only where nobody else needs them. */
static bool generous(const struct fwr_candidate *c, uint8_t count)
{
    return count == 0 || c->offer.load == 0;
}

static bool acceptable(const struct fwr_recipient *r, const struct fwr_candidate *c)
{
    const struct fwr_donor_peer *p = &r->peers[c->offer.peer];

    return c->verdict == FWR_OK && memcmp(c->offer.tag, r->id, FWR_TAG_SIZE) == 0 &&
           p->transfer_state == FWR_TRANSFER_NONE && p->reach == FWR_OK && p->answer == FWR_OK &&
           fwr_roads_useful(r, c->offer.peer);
}

uint8_t fwr_negotiate_accept(struct fwr_recipient *r)
{
    const struct fwr_policy *policy = r->config.policy;
    uint8_t count = fwr_transfer_count(r);

    while (count < r->config.lanes) {
        const struct fwr_candidate *best = NULL;
        for (uint8_t i = 0; i < r->candidate_count; i++) {
            const struct fwr_candidate *c = &r->candidates[i];
            if (acceptable(r, c) && generous(c, count) &&
                (!best || policy->compare(policy->ctx, &c->offer, &best->offer) < 0))
                best = c;
        }
        if (!best)
            break;
        fwr_recipient_log(r, FWR_LOG_NOTICE, "accepting %s: sequence %u, %s",
                          fwr_peer_name(r, best->offer.peer), (unsigned)best->offer.sequence,
                          fwr_medium_name((enum fwr_medium)best->offer.medium));
        if (best->offer.peer == fwr_push_peer(r))
            r->peers[best->offer.peer].transfer_state = FWR_TRANSFER_OPEN;
        else
            fwr_transfer_accept(r, best->offer.peer);
        count++;
    }
    return count;
}

bool fwr_negotiate_known(struct fwr_recipient *r, uint8_t peer)
{
    struct fwr_candidate *c = NULL;

    for (uint8_t i = 0; i < r->candidate_count && !c; i++)
        if (r->candidates[i].offer.peer == peer &&
            memcmp(r->candidates[i].offer.tag, r->id, FWR_TAG_SIZE) == 0)
            c = &r->candidates[i];
    if (!c && (r->chosen < 0 || r->candidate_count == r->candidate_max))
        return false;
    if (!c) {
        c = &r->candidates[r->candidate_count++];
        *c = r->candidates[r->chosen];
    }
    c->offer.peer = peer;
    c->offer.medium = r->peers[peer].limits.medium;
    c->offer.round_trip_ms = r->peers[peer].round_trip / 8;
    c->offer.rate = fwr_roads_rate(r, peer);
    c->verdict = r->config.policy->admit(r->config.policy->ctx, &c->offer);
    return c->verdict == FWR_OK;
}

void fwr_negotiate_pushed(struct fwr_recipient *r, const struct fwr_offer_request *offer)
{
    uint8_t peer = fwr_push_peer(r);
    struct fwr_candidate *c = &r->candidates[0];

    fwr_transfer_reset(r);
    r->judged = FWR_NONE;
    r->chosen = -1;
    r->candidate_count = 1;
    memset(c, 0, sizeof(*c));
    c->offer.peer = peer;
    c->offer.medium = r->pusher.medium;
    memcpy(c->offer.tag, offer->tag, FWR_TAG_SIZE);
    c->hint = offer->sequence;
    c->verdict = FWR_PENDING;
    r->peers[peer].answer = FWR_OK;
    r->peers[peer].asked = 1;
}

bool fwr_negotiate_is_pushed(const struct fwr_recipient *r)
{
    return r->candidate_count == 1 && r->candidates[0].offer.peer == fwr_push_peer(r);
}

uint64_t fwr_negotiate_retry_at(const struct fwr_recipient *r)
{
    uint64_t at = 0;

    for (uint8_t i = 0; i < r->config.peer_count; i++) {
        const struct fwr_donor_peer *p = &r->peers[i];
        if (p->not_before > r->now && (at == 0 || p->not_before < at))
            at = p->not_before;
    }
    return at;
}

bool fwr_negotiate_all_busy(const struct fwr_recipient *r)
{
    for (uint8_t i = 0; i < r->config.peer_count; i++)
        if (r->peers[i].not_before <= r->now && !fwr_negotiate_is_spare(r, i))
            return false;
    return true;
}
