/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One seed from beginning to end: see box.h.
 */
#include "tests/sim/box.h"

#include <stdarg.h>

#define LAST_LINES   60
#define LOOK_MS      60000u /* how often it is asked whether there is still hope */
#define LOOKS        5      /* in a row without: donors are at times busy with themselves */
#define AFTERMATH_MS 90000u /* for leases to run out */

uint32_t box_draw(struct box *box, uint32_t below)
{
    return seeded_below(&box->random, below);
}

bool box_chance(struct box *box, uint32_t percent)
{
    return box_draw(box, 100) < percent;
}

void box_post(struct box *box, uint64_t at, enum box_event kind, uint8_t node, void *what)
{
    queue_post(&box->queue, (struct queue_event){.at = at,
                                                 .who = node,
                                                 .life = box->nodes[node].life,
                                                 .kind = (uint8_t)kind,
                                                 .what = what});
}

void box_violate(struct box *box, const struct box_node *n, const char *format, ...)
{
    va_list list;
    size_t length = 0;

    if (box->violated)
        return;
    box->violated = true;
    if (n != NULL)
        length = (size_t)snprintf(box->violation, sizeof(box->violation), "%s ", n->name);
    va_start(list, format);
    vsnprintf(box->violation + length, sizeof(box->violation) - length, format, list);
    va_end(list);
    box_say(box, n, "VIOLATION: %s", box->violation);
}

const char *box_count_text(enum box_count count)
{
    static const char *const texts[] = {
#define TEXT(name, text) [BOX_##name] = (text),
        BOX_COUNTS(TEXT)
#undef TEXT
    };

    return texts[count];
}

/* ---- events ---- */

static void boot(struct box_node *n)
{
    if (n->bmc != NULL) {
        box_bmc_boot(n);
        return;
    }
    n->up = true;
    box_clock_set(n, box_draw(n->box, 1000000));
    n->stopped = false;
    box_donor_boot(n);
    box_wake(n, n->box->now);
    n->console->hand.doing = 0;
    if (n->console->meddles && !n->box->calm)
        box_post(n->box, n->box->now + box_draw(n->box, 5000), BOX_EVENT_HAND, n->index,
                 (void *)(uintptr_t)n->console->hand.serial);
}

static void handle(struct box *box, const struct queue_event *event)
{
    struct box_node *n = &box->nodes[event->who];
    bool alive = n->up && n->life == event->life;

    switch ((enum box_event)event->kind) {
    case BOX_EVENT_WAKE:
        if (n->wake != event->at)
            break; /* an earlier one took its place */
        n->wake = FWR_NEVER;
        box_node_work(n);
        break;
    case BOX_EVENT_ARRIVE:
        box_arrive(box, event->what);
        break;
    case BOX_EVENT_BOOT:
        boot(n);
        break;
    case BOX_EVENT_BOOTED:
        if (alive)
            box_bmc_booted(n);
        break;
    case BOX_EVENT_MISCHIEF:
        if (!box->calm)
            box_mischief(box);
        break;
    case BOX_EVENT_HAND:
        if (alive)
            box_hand_act(n, (uint32_t)(uintptr_t)event->what);
        break;
    case BOX_EVENT_CLOCK:
        if (alive && n->stopped)
            box_clock_stop(n, false);
        box_wake(n, box->now);
        break;
    case BOX_EVENT_BUS:
        box_bus_run(box, event->at);
        break;
    }
}

static bool turn(struct box *box)
{
    if (box->violated || box->queue.count == 0)
        return false;
    struct queue_event event = queue_take(&box->queue);
    box->now = event.at;
    handle(box, &event);
    return true;
}

/* ---- the end ---- */

static bool all_settled(struct box *box)
{
    bool all = true;

    for (uint8_t i = 0; i < box->bmc_count; i++) {
        struct box_bmc *b = box->nodes[i].bmc;
        if (!b->settled && box_bmc_is_settled(&box->nodes[i])) {
            b->settled = true;
            box->longest = box->now - box->calm_since;
            box_say(box, &box->nodes[i], "has finished");
        }
        all &= b->settled;
    }
    return all;
}

static bool acceptable(const struct box_node *n, const struct box_image *image, uint8_t medium)
{
    const struct fwr_policy_rules *rules = &n->bmc->rules;

    return box_fits(n, image) && image->given.manifest.sequence >= rules->min_sequence &&
           !(rules->media_refused >> medium & 1);
}

/* Whether this peer is honest, offers something, and n may take it. */
static bool could_help(const struct box_node *n, uint8_t peer)
{
    const struct box_node *donor = &n->box->nodes[n->bmc->peer_nodes[peer]];
    struct fwr_donor_status status;

    if (!donor->up || (donor->console != NULL && donor->console->lies))
        return false;
    if (donor->bmc != NULL && !donor->bmc->settled)
        return false;
    fwr_donor_status(donor->donor, &status);
    for (uint8_t i = 0; i < donor->donor_config.image_count; i++)
        for (uint8_t k = 0; k < n->box->good_count; k++)
            if (status.images[i].state == FWR_OK &&
                memcmp(status.images[i].tag, n->box->images[k].given.id, FWR_TAG_SIZE) == 0 &&
                acceptable(n, &n->box->images[k], n->bmc->peers[peer].limits.medium))
                return true;
    return false;
}

/* A BMC that has not finished, and a donor that could help it: NULL when there is none. */
static const struct box_node *hope(const struct box *box, uint8_t *peer)
{
    for (uint8_t i = 0; i < box->bmc_count; i++) {
        const struct box_node *n = &box->nodes[i];
        for (*peer = 0; *peer < n->bmc->config.peer_count && !n->bmc->settled; ++*peer)
            if (could_help(n, *peer))
                return n;
    }
    return NULL;
}

/* Until everybody has finished who can, and not for ever. */
static void wait_for_all(struct box *box)
{
    uint64_t end = box->now + BOX_FOREVER_MS, look = box->now;
    const struct box_node *n = NULL;
    uint8_t peer, hopeless = 0;

    while (!all_settled(box) && box->now < end && hopeless < LOOKS && turn(box)) {
        if (box->now < look)
            continue;
        look = box->now + LOOK_MS;
        n = hope(box, &peer);
        hopeless = (uint8_t)(n == NULL ? hopeless + 1 : 0);
    }
    n = hope(box, &peer);
    if (box->now >= end && n != NULL)
        box_violate(box, n, "has not finished in %u minutes, and %s could help",
                    BOX_FOREVER_MS / 60000, n->bmc->peer_names[peer]);
}

static void check_leases(struct box *box)
{
    for (uint8_t i = 0; i < box->node_count; i++) {
        const struct box_node *n = &box->nodes[i];
        struct fwr_donor_status status;
        if (!n->up || !all_settled(box))
            continue;
        fwr_donor_status(n->donor, &status);
        if (status.transfers > 0)
            box_violate(box, n, "still keeps %u transfers", status.transfers);
    }
}

static void finish(struct box *box)
{
    box_calm(box);
    wait_for_all(box);
    uint64_t end = box->now + AFTERMATH_MS;
    while (box->now < end && turn(box))
        ;
    if (!box->violated)
        check_leases(box);
    for (uint8_t i = 0; i < box->bmc_count && !box->violated; i++)
        if (box->nodes[i].bmc->settled && !box_bmc_is_settled(&box->nodes[i]))
            box_say(box, &box->nodes[i], "is at work again");
}

struct box *box_run(uint64_t seed, FILE *trace)
{
    struct box *box = calloc(1, sizeof(*box));

    box->seed = seed;
    box->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    box_trace_begin(box, trace);
    box_plan(box);
    for (uint8_t i = 0; i < box->node_count; i++)
        box_post(box, box_draw(box, 2000), BOX_EVENT_BOOT, i, NULL);
    box_post(box, box_draw(box, 3000), BOX_EVENT_MISCHIEF, 0, NULL);
    while (box->now < box->calm_at && turn(box))
        ;
    finish(box);
    for (uint8_t i = 0; i < box->bmc_count; i++)
        box_watch_verdict(&box->nodes[i]);
    if (box->bus != NULL)
        box_bus_count(box);
    box_trace_end(box);
    return box;
}

void box_free(struct box *box)
{
    while (box->queue.count > 0) {
        struct queue_event event = queue_take(&box->queue);
        if (event.kind == BOX_EVENT_ARRIVE)
            box_message_free(box, event.what);
    }
    queue_free(&box->queue);
    while (box->wires.free != NULL) {
        struct box_message *m = box->wires.free;
        box->wires.free = m->next;
        free(m);
    }
    box_plan_free(box);
    free(box);
}

void box_report(const struct box *box, FILE *out)
{
    fprintf(out, "seed %llu: %s\n", (unsigned long long)box->seed, box->violation);
    fprintf(out, "the last lines of its trace:\n");
    box_trace_print(box, out, LAST_LINES);
    fprintf(out, "to see it all: make sim SEED=%llu\n", (unsigned long long)box->seed);
}
