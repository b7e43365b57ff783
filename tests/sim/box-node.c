/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BMCs and consoles have in common, see box.h: a clock of their own, a donor engine, the
 * dispatcher. The donor's caps are checked here, on what it says and before any lie.
 */
#include "tests/sim/box.h"

#define REPLY_LONGEST 1368 /* of an RMCP+ session on an Ethernet */
#define WINDOW        15

/* ---- time ---- */

uint64_t box_clock(const struct box_node *n)
{
    return n->stopped ? n->clock : n->clock + (n->box->now - n->clock_at);
}

void box_clock_set(struct box_node *n, uint64_t clock)
{
    n->clock = clock;
    n->clock_at = n->box->now;
}

void box_clock_stop(struct box_node *n, bool stop)
{
    box_clock_set(n, box_clock(n));
    n->stopped = stop;
}

uint64_t box_when(const struct box_node *n, uint64_t deadline)
{
    uint64_t clock = box_clock(n);

    if (deadline == FWR_NEVER || (n->stopped && deadline > clock))
        return FWR_NEVER;
    return deadline <= clock ? n->box->now : n->box->now + (deadline - clock);
}

void box_wake(struct box_node *n, uint64_t at)
{
    if (at < n->box->now)
        at = n->box->now;
    if (at >= n->wake)
        return;
    n->wake = at;
    box_post(n->box, at, BOX_EVENT_WAKE, n->index, NULL);
}

/* ---- making ---- */

static int platform_random(void *ctx, void *buffer, size_t length)
{
    struct box_node *n = ctx;

    seeded_fill(&n->box->random, buffer, length);
    return FWR_OK;
}

/* Log lines are part of the trace, and what some of them say is counted. */
static void platform_log(void *ctx, enum fwr_log_level level, const char *text)
{
    static const struct {
        const char *part;
        enum box_count count;
    } known[] = {
        {"resuming a recovery", BOX_RESUMED},
        {"sent wrong bytes", BOX_NAMED},
        {"dropped:", BOX_DROPPED},
        {"refused:", BOX_REFUSED},
        {"nothing usable", BOX_BACKED_OFF},
        {"guard block erased first", BOX_GUARDED},
        {"dry run:", BOX_DRY_RUN},
        {"checking the flash", BOX_CHECKED},
        {"stopped:", BOX_FAILED},
    };
    struct box_node *n = ctx;

    (void)level;
    box_say(n->box, n, "%s", text);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        n->box->counts[known[i].count] += strstr(text, known[i].part) != NULL;
}

void box_node_make(struct box *box, uint8_t index)
{
    struct box_node *n = &box->nodes[index];
    bool bmc = index < box->bmc_count;

    n->box = box;
    n->index = index;
    snprintf(n->name, sizeof(n->name), "%s %u", bmc ? "bmc" : "console",
             (unsigned)(bmc ? index : index - box->bmc_count));
    n->wake = FWR_NEVER;
    n->life = 1;
    n->platform = (struct fwr_platform){
        .size = sizeof(n->platform), .ctx = n, .random = platform_random, .log = platform_log};
    n->donor_config = (struct fwr_donor_config){
        .size = sizeof(n->donor_config),
        .platform = &n->platform,
        .max_leaves = box->size / box->block_size,
        .max_block_size = box->block_size,
        .max_envelope = GIVEN_ENVELOPE_MAX,
        .max_transfers = (uint8_t)(1 + box_draw(box, 4)),
        .bytes_per_second = box_chance(box, 30) ? 30000 + box_draw(box, 400000) : 0,
        .lease_seconds = (uint16_t)(5 + box_draw(box, 26)),
        .window = (uint8_t)(1 + box_draw(box, WINDOW)),
    };
    n->oem = (struct fwr_oem){.size = sizeof(n->oem),
                              .iana = 32473,
                              .command_base = FWR_COMMAND_BASE,
                              .max_request = 192,
                              .max_reply = REPLY_LONGEST,
                              .window = WINDOW};
    if (bmc)
        n->bmc = calloc(1, sizeof(*n->bmc));
    else
        n->console = calloc(1, sizeof(*n->console));
}

void box_donor_boot(struct box_node *n)
{
    n->donor_size = fwr_donor_storage(&n->donor_config);
    if (n->donor_storage == NULL)
        n->donor_storage = malloc(n->donor_size);
    memset(n->donor_storage, 0xa5, n->donor_size);
    if (n->donor_size == 0 || fwr_donor_init(&n->donor, n->donor_storage, n->donor_size,
                                             &n->donor_config, box_clock(n)) != FWR_OK)
        abort();
    n->oem.donor = n->donor;
    if (n->box->bus != NULL)
        box_bus_on(n);
    n->allowance = INT64_MAX; /* a full burst */
    n->allowance_at = box_clock(n);
}

static void donor_end(struct box_node *n)
{
    if (n->donor != NULL)
        fwr_donor_end(n->donor);
    n->donor = n->oem.donor = NULL;
}

void box_node_free(struct box_node *n)
{
    donor_end(n);
    free(n->donor_storage);
    if (n->console != NULL)
        box_console_free(n);
    free(n->bmc);
    free(n->console);
}

void box_node_die(struct box_node *n)
{
    if (n->box->bus != NULL)
        box_bus_off(n);
    donor_end(n);
    n->up = false;
    n->life++;
}

/* ---- the donor's caps ---- */

/* A bucket beside the donor's own: what it may give now, of data and not of manifests. */
static void check_bytes(struct box_node *n, const struct box_message *m, size_t length)
{
    int64_t rate = n->donor_config.bytes_per_second, full = (rate / 4 + 1) * 1000;
    uint64_t clock = box_clock(n), elapsed = clock - n->allowance_at;

    if (rate == 0 || (m->command != FWR_CMD_READ_TREE && m->command != FWR_CMD_READ_BLOCKS))
        return;
    if (n->allowance > full || elapsed >= (uint64_t)(full - n->allowance) / (uint64_t)rate + 1)
        n->allowance = full;
    else
        n->allowance += (int64_t)elapsed * rate;
    n->allowance_at = clock;
    n->allowance -= (int64_t)(length - FWR_OEM_HEADER - 1) * 1000;
    if (n->allowance < -(int64_t)REPLY_LONGEST * 1000)
        box_violate(n->box, n, "gave %lld bytes more than its cap allows",
                    (long long)-n->allowance / 1000);
}

static void check_caps(struct box_node *n, const struct box_message *m, const uint8_t *reply,
                       size_t length)
{
    struct fwr_donor_status status;

    if (n->donor == NULL)
        return;
    fwr_donor_status(n->donor, &status);
    if (status.transfers > n->donor_config.max_transfers)
        box_violate(n->box, n, "%u transfers, its cap is %u", status.transfers,
                    n->donor_config.max_transfers);
    if (length > FWR_OEM_HEADER && reply[0] == 0) {
        check_bytes(n, m, length);
        n->box->counts[BOX_FROM_BMC] += n->bmc && m->command == FWR_CMD_READ_BLOCKS;
    }
}

/* ---- messages ---- */

/* Who this message comes from, as the session says. */
static struct fwr_caller caller_of(const struct box_node *n, const struct box_message *m)
{
    const struct box_node *from = &n->box->nodes[m->from];
    bool by_hand = m->peer == BOX_BY_HAND && from->console != NULL;
    struct fwr_link_limits limits;

    if (m->bus) {
        box_bus_limits(n->box, &limits);
        return (struct fwr_caller){.link = BOX_NODES_MAX,
                                   .medium = FWR_MEDIUM_ICMB,
                                   .privilege = FWR_PRIVILEGE_USER,
                                   .security = FWR_SECURITY_NONE,
                                   .session = m->session,
                                   .max_reply = limits.max_reply,
                                   .broadcast = limits.broadcast};
    }
    return (struct fwr_caller){
        .link = m->from,
        .medium = FWR_MEDIUM_LAN,
        .privilege = by_hand ? FWR_PRIVILEGE_ADMIN : FWR_PRIVILEGE_USER,
        .security = FWR_SECURITY_SUITE,
        .session = m->session,
        .max_reply = REPLY_LONGEST,
    };
}

size_t box_node_answer(struct box_node *n, const struct box_message *m, uint8_t *reply,
                       uint32_t *late_ms)
{
    struct fwr_caller caller = caller_of(n, m);
    const struct box_node *from = &n->box->nodes[m->from];

    if (from->bmc != NULL && m->peer != BOX_BY_HAND && !m->bus)
        caller.max_reply = from->bmc->peers[m->peer].limits.max_reply;
    size_t length =
        fwr_oem_handle(&n->oem, box_clock(n), &caller, (uint8_t)(n->oem.command_base + m->command),
                       m->bytes, m->length, reply, BOX_MESSAGE_MAX);
    check_caps(n, m, reply, length);
    n->box->counts[BOX_BUSY] += reply[0] == fwr_error_completion_code(FWR_E_BUSY);
    *late_ms = 0;
    if (n->console != NULL && n->console->lies)
        length = box_lie(n, m, reply, length, late_ms);
    return length;
}

/* ---- work ---- */

/* The donor alone; a console has nothing else to do. */
static void donor_work(struct box_node *n)
{
    uint64_t clock = box_clock(n);

    if (fwr_donor_next_timeout(n->donor) <= clock)
        fwr_donor_timeout(n->donor, clock);
    for (int steps = 0; fwr_donor_step(n->donor, clock) == FWR_PENDING; steps++)
        if (steps == 8) {
            box_wake(n, n->box->now + 1);
            return;
        }
    box_wake(n, box_when(n, fwr_donor_next_timeout(n->donor)));
}

void box_node_work(struct box_node *n)
{
    if (!n->up)
        return;
    if (n->bmc != NULL)
        box_bmc_work(n);
    else
        donor_work(n);
}
