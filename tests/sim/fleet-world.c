/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storm from its first second to its last repaired BMC, see fleet.h: the event queue, who
 * knows whom, and what is measured. Called by the programs.
 */
#include "tests/sim/fleet.h"

/* Who is in a BMC's list, unless the options say otherwise. */
#define LISTED_SEEDS 4
#define LISTED_NEAR  8
#define LISTED_FAR   12
/* The first pause is a board's to set; here three times as long as a repair takes: who can
 * be helped is called. */
#define BACKOFF_PART_MS  1000
#define BACKOFF_WHOLE_MS 60000
#define GATHER_MS        200
#define LIMIT_S          21600
#define BIN_FIRST_MS     100
#define EGRESS_US        (1000000u / FLEET_EGRESS_BINS)

uint32_t fleet_draw(struct fleet *f, uint32_t below)
{
    return seeded_below(&f->random, below);
}

void fleet_post(struct fleet *f, uint64_t at, enum fleet_event_kind kind, uint32_t node,
                struct fleet_message *message)
{
    queue_post(&f->queue,
               (struct queue_event){.at = at, .who = node, .kind = (uint8_t)kind, .what = message});
}

/* ---- making ---- */

static int platform_random(void *ctx, void *buffer, size_t length)
{
    struct fleet *f = ctx;

    seeded_fill(&f->random, buffer, length);
    return FWR_OK;
}

static void know(struct fleet_node *n, uint32_t other)
{
    for (uint32_t i = 0; i < n->peer_count; i++)
        if (n->peer_numbers[i] == other)
            return;
    if (other != n->number && n->peer_count < FLEET_PEERS_MAX)
        n->peer_numbers[n->peer_count++] = other;
}

/* Draws `count` of the seed donors. */
static void know_seeds(struct fleet_node *n, uint32_t count)
{
    const struct fleet_options *o = &n->fleet->options;
    uint32_t end = n->peer_count + (count < o->seeds ? count : o->seeds);

    while (n->peer_count < end)
        know(n, o->nodes + fleet_draw(n->fleet, o->seeds));
}

/* The next ones in its rack, as many on either side. */
static void know_near(struct fleet_node *n, uint32_t count)
{
    uint32_t rack = n->rack * FLEET_RACK, place = n->number - rack;
    uint32_t size = n->fleet->options.nodes - rack;

    if (size > FLEET_RACK)
        size = FLEET_RACK;
    for (uint32_t i = 1; i <= count / 2; i++) {
        know(n, rack + (place + i) % size);
        know(n, rack + (place + size - i % size) % size);
    }
}

/* Pairs all BMCs off, at random. */
static void know_pairs(struct fleet *f, uint32_t *order)
{
    uint32_t count = f->options.nodes;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = fleet_draw(f, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        know(&f->nodes[order[i]], order[i + 1]);
        know(&f->nodes[order[i + 1]], order[i]);
    }
}

/* Who lists whom is mutual, as a fleet's configuration should have it: who is repaired calls those
 * it knows, and they follow whom they know. */
static void make_lists(struct fleet *f)
{
    const struct fleet_options *o = &f->options;
    uint32_t *order = calloc(o->nodes, sizeof(*order));

    for (uint32_t i = 0; i < o->nodes; i++) {
        know_seeds(&f->nodes[i], o->listed_seeds);
        know_near(&f->nodes[i], o->listed_near);
    }
    for (uint32_t i = 0; i < o->listed_far; i++)
        know_pairs(f, order);
    free(order);
}

static void make_nobody(struct fleet *f)
{
    struct fwr_donor_config config = {.size = sizeof(config),
                                      .platform = &f->platform,
                                      .trust = &f->image.given.trust,
                                      .max_leaves = 1};
    size_t size = fwr_donor_storage(&config);

    f->nobody_storage = malloc(size);
    if (fwr_donor_init(&f->nobody, f->nobody_storage, size, &config, f->now / 1000))
        abort();
}

static void make_board(struct fleet *f)
{
    const struct fwr_manifest *m = &f->image.given.manifest;

    memcpy(f->board.component, m->component, sizeof(f->board.component));
    f->board.manufacturer = m->manufacturer;
    f->board.product = m->product;
    f->board.hardware_revision = m->hardware_min;
    fwr_policy_default_init(&f->policy, &f->rules);
    for (size_t i = 0; i < FLEET_PEERS_MAX; i++)
        f->peers[i] = (struct fwr_peer){
            .name = "peer",
            .limits = {
                .max_request = 192, .max_reply = 1368, .window = 15, .medium = FWR_MEDIUM_LAN}};
}

static void set_default(uint32_t *value, uint32_t standard)
{
    if (*value == 0)
        *value = standard;
}

static void make(struct fleet *f, const struct fleet_options *options)
{
    struct fleet_options *o = &f->options;

    *o = *options;
    set_default(&o->limit_s, LIMIT_S);
    set_default(&o->listed_seeds, LISTED_SEEDS);
    set_default(&o->listed_near, LISTED_NEAR);
    set_default(&o->listed_far, LISTED_FAR);
    set_default(&o->backoff_ms, o->whole ? BACKOFF_WHOLE_MS : BACKOFF_PART_MS);
    set_default(&o->gather_ms, GATHER_MS);
    f->now = 1000000;
    f->random = o->seed;
    f->platform =
        (struct fwr_platform){.size = sizeof(f->platform), .ctx = f, .random = platform_random};
    fleet_image_make(&f->image, o->whole);
    make_board(f);
    make_nobody(f);
    f->total = o->nodes + o->seeds;
    f->nodes = calloc(f->total, sizeof(*f->nodes));
    f->uplinks = calloc(f->total / FLEET_RACK + 1, sizeof(*f->uplinks));
    f->downlinks = calloc(f->total / FLEET_RACK + 1, sizeof(*f->downlinks));
    f->asked = calloc(f->total, sizeof(*f->asked));
    for (uint32_t i = 0; i < f->total; i++)
        fleet_node_make(f, i, i >= o->nodes);
    make_lists(f);
    for (uint32_t i = 0; i < o->nodes; i++)
        fleet_post(f, f->now + (i == 0 ? 0 : fleet_draw(f, FLEET_STORM_US)), FLEET_EVENT_FAIL, i,
                   NULL);
}

static void unmake(struct fleet *f)
{
    while (f->queue.count > 0) {
        struct queue_event event = queue_take(&f->queue);
        if (event.what != NULL)
            fleet_message_free(f, event.what);
    }
    queue_free(&f->queue);
    while (f->free != NULL) {
        struct fleet_message *m = f->free;
        f->free = m->next;
        free(m);
    }
    for (uint32_t i = 0; i < f->total; i++)
        fleet_node_free(&f->nodes[i]);
    fwr_donor_end(f->nobody);
    free(f->nobody_storage);
    free(f->nodes);
    free(f->uplinks);
    free(f->downlinks);
    free(f->asked);
    fleet_image_free(&f->image);
}

/* ---- measuring ---- */

/* Halves the resolution when the storm outlasts the bins. */
static void coarsen(struct fleet_result *r)
{
    for (uint32_t i = 0; i < FLEET_BINS_MAX / 2; i++) {
        r->points[i].bytes = r->points[2 * i].bytes + r->points[2 * i + 1].bytes;
        r->points[i].repaired = r->points[2 * i + 1].repaired;
    }
    memset(r->points + FLEET_BINS_MAX / 2, 0, sizeof(r->points) / 2);
    r->point_count = FLEET_BINS_MAX / 2;
    r->bin_ms *= 2;
}

static struct fleet_point *point(struct fleet *f)
{
    struct fleet_result *r = f->result;

    while ((f->now - 1000000) / 1000 / r->bin_ms >= FLEET_BINS_MAX)
        coarsen(r);
    uint32_t i = (uint32_t)((f->now - 1000000) / 1000 / r->bin_ms);
    if (i >= r->point_count)
        r->point_count = i + 1;
    return &r->points[i];
}

void fleet_count_egress(struct fleet_node *n, uint32_t data)
{
    struct fleet *f = n->fleet;
    uint64_t bin = f->now / EGRESS_US, sum = 0;

    if (bin - n->egress_bin >= FLEET_EGRESS_BINS)
        memset(n->egress, 0, sizeof(n->egress));
    else
        for (; n->egress_bin < bin; n->egress_bin++)
            n->egress[(n->egress_bin + 1) % FLEET_EGRESS_BINS] = 0;
    n->egress_bin = bin;
    n->egress[bin % FLEET_EGRESS_BINS] += data;
    for (size_t i = 0; i < FLEET_EGRESS_BINS; i++)
        sum += n->egress[i];
    if (sum > f->result->peak_egress)
        f->result->peak_egress = sum;
    point(f)->bytes += data;
}

static int earlier(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Seconds until `permille` of those that fail are repaired; 0 when that never was. */
static double moment(const struct fleet *f, const uint64_t *done, uint32_t permille)
{
    uint32_t needed = (uint32_t)(((uint64_t)f->options.nodes * permille + 999) / 1000);

    return needed > f->result->repaired ? 0 : (double)(done[needed - 1] - 1000000) / 1e6;
}

static void measure(struct fleet *f)
{
    struct fleet_result *r = f->result;
    uint64_t *done = calloc(f->options.nodes, sizeof(*done)), asked = 0;
    uint32_t count = 0, next = 0;

    for (uint32_t i = 0; i < f->options.nodes; i++) {
        asked += f->asked[i];
        if (f->asked[i] > r->discovery_most)
            r->discovery_most = f->asked[i];
        if (f->nodes[i].done)
            done[count++] = f->nodes[i].done;
    }
    qsort(done, count, sizeof(*done), earlier);
    r->p50 = moment(f, done, 500);
    r->p99 = moment(f, done, 990);
    r->p100 = moment(f, done, 1000);
    r->discovery = (double)asked / f->options.nodes;
    r->calls = (double)f->calls / f->options.nodes;
    r->sessions = (double)f->sessions / f->options.nodes;
    r->floor = (uint64_t)f->options.nodes * FLEET_BLOCK *
               (f->image.whole ? f->image.blocks : FLEET_DAMAGE_BLOCKS);
    for (uint32_t i = 0; i < r->point_count; i++) {
        uint64_t end = 1000000 + (uint64_t)(i + 1) * r->bin_ms * 1000;
        while (next < count && done[next] < end)
            next++;
        r->points[i].repaired = next;
    }
    for (uint32_t i = 0; i < f->total; i++) {
        struct fwr_donor_status status;
        if (f->nodes[i].donor == NULL)
            continue;
        fwr_donor_status(f->nodes[i].donor, &status);
        r->busy += status.refused;
    }
    fleet_bound(&f->options, &r->bound50, &r->bound99, &r->bound100);
    free(done);
}

/* ---- running ---- */

static void handle(struct fleet *f, const struct queue_event *event)
{
    struct fleet_node *n = &f->nodes[event->who];
    struct fleet_message *m = event->what;
    struct fwr_donor_status status;

    switch ((enum fleet_event_kind)event->kind) {
    case FLEET_EVENT_FAIL:
        fleet_node_start(n);
        break;
    case FLEET_EVENT_WAKE:
        if (n->wake != event->at)
            break; /* an earlier one took its place */
        fleet_node_work(n);
        break;
    case FLEET_EVENT_OPEN:
        fleet_node_opened(n);
        break;
    case FLEET_EVENT_ARRIVE:
        fleet_node_receive(n, m);
        if (m->command == FWR_CMD_ACCEPT_OFFER && n->donor != NULL) {
            fwr_donor_status(n->donor, &status);
            if (status.transfers > f->result->peak_transfers)
                f->result->peak_transfers = status.transfers;
        }
        fleet_message_free(f, m);
        break;
    }
}

void fleet_run(const struct fleet_options *options, struct fleet_result *result)
{
    struct fleet *f = calloc(1, sizeof(*f));

    memset(result, 0, sizeof(*result));
    result->bin_ms = BIN_FIRST_MS;
    f->result = result;
    make(f, options);
    uint64_t limit = f->now + (uint64_t)f->options.limit_s * 1000000;
    while (f->queue.count > 0 && f->resting < f->options.nodes) {
        struct queue_event event = queue_take(&f->queue);
        if (event.at > limit)
            break;
        f->now = event.at;
        result->events++;
        handle(f, &event);
    }
    result->options = f->options;
    measure(f);
    unmake(f);
    free(f);
}

bool fleet_safe(const struct fleet_result *r)
{
    return r->repaired == r->options.nodes && r->wrong == 0 && r->peak_egress <= FLEET_CAP_BYTES &&
           r->peak_transfers <= FLEET_CAP_TRANSFERS;
}

bool fleet_good(const struct fleet_result *r)
{
    return fleet_safe(r) &&
           (r->options.loss > FLEET_LOSS_JUDGED ||
            (r->p99 <= r->bound99 * FLEET_TARGET_BOUND && r->discovery <= FLEET_TARGET_ASKING));
}
