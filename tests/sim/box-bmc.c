/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC's life, see box.h: it boots, looks after its flash with both engines, and dies when its
 * power fails. A small supervisor does what every real one does: it scans from time to time,
 * repairs what a scan finds, and tries again after a while when a run failed.
 */
#include "tests/sim/box.h"

#define SCAN_MS  20000 /* between two scans, on average */
#define PATIENCE 5000  /* after a run that failed */
#define DARK_MS  20000 /* longest time without power */
#define BOOT_MS  8000  /* longest time a host takes to prove its boot */

static bool at_rest(uint8_t state)
{
    return state == FWR_STATE_IDLE || state == FWR_STATE_DONE || state == FWR_STATE_FAILED;
}

static bool uses_flash(uint8_t state)
{
    return state == FWR_STATE_CHECKING ||
           (state >= FWR_STATE_HOLDING && state <= FWR_STATE_RELEASING);
}

/* ---- its life ---- */

void box_bmc_boot(struct box_node *n)
{
    struct box_bmc *b = n->bmc;

    n->up = true;
    n->stopped = false;
    box_clock_set(n, box_draw(n->box, 1000000)); /* monotonic since this boot only */
    b->cut = false;
    b->yielded = false;
    b->proof_posted = false;
    b->last_state = UINT8_MAX;
    b->judged_run = 0;
    b->hold++;
    fwr_flash_ramnor_power_on(&b->nor, seeded_next(&n->box->random));
    fwr_store_ram_power_on(&b->ram);
    fwr_host_recorder_power_on(&b->host);
    memset(&b->rules, 0, sizeof(b->rules));
    fwr_policy_default_init(&b->policy, &b->rules);
    if (b->storage == NULL) {
        b->storage_size = fwr_recipient_storage(&b->config);
        b->storage = malloc(b->storage_size);
    }
    if (b->storage_size == 0)
        abort();
    memset(b->storage, 0xa5, b->storage_size);
    box_say(n->box, n, "boots, life %u%s", n->life, b->host.held ? ", its host is held" : "");
    int error =
        fwr_recipient_init(&b->recipient, b->storage, b->storage_size, &b->config, box_clock(n));
    if (error != FWR_OK) {
        b->recipient = NULL;
        box_say(n->box, n, "the recipient does not start: %s", fwr_error_name(error));
        if (!b->cut && error != FWR_E_STORE_IO)
            box_violate(n->box, n, "the recipient does not start: %s", fwr_error_name(error));
        box_bmc_die(n);
        return;
    }
    if (b->rules.min_sequence < b->min_sequence)
        box_violate(n->box, n, "forgot the policy that it had acknowledged");
    b->slots[0] = b->recipient;
    if (fwr_source_flash_open(&b->own, n->name, &b->flash, &b->store, 0) != FWR_OK)
        abort();
    b->sources[0] = &b->own.source;
    box_donor_boot(n);
    b->patience = n->box->now + box_draw(n->box, 3000);
    box_wake(n, n->box->now);
}

void box_bmc_die(struct box_node *n)
{
    struct box_bmc *b = n->bmc;
    uint64_t dark = 10 + box_draw(n->box, n->box->calm ? 100 : DARK_MS);

    if (b->recipient != NULL)
        fwr_recipient_end(b->recipient);
    b->recipient = b->slots[0] = NULL;
    b->armed = false;
    box_node_die(n);
    box_post(n->box, n->box->now + dark, BOX_EVENT_BOOT, n->index, NULL);
}

/* ---- the road ---- */

void box_bmc_road(struct box_node *n, uint8_t to, int error)
{
    struct box_bmc *b = n->bmc;

    for (uint8_t i = 0; n->up && i < b->config.peer_count; i++)
        if (b->peer_nodes[i] == to)
            fwr_recipient_peer(b->recipient, box_clock(n), i, error, &b->peers[i].limits);
}

void box_bmc_reply(struct box_node *n, const struct box_message *m)
{
    fwr_oem_response(&n->oem, n->bmc->recipient, box_clock(n), m->peer, m->command, m->bytes,
                     m->length);
}

static void send_all(struct box_node *n)
{
    struct box_bmc *b = n->bmc;
    struct fwr_outgoing out;

    if (n->box->bus != NULL) {
        box_bus_pump(n);
        return;
    }
    while (fwr_recipient_next_send(b->recipient, box_clock(n), &out)) {
        struct box_message *m = box_message_new(n->box);
        m->from = n->index;
        m->to = b->peer_nodes[out.peer];
        m->peer = out.peer;
        m->command = out.command;
        m->length = (uint16_t)(FWR_IANA_SIZE + out.length);
        for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
            m->bytes[i] = (uint8_t)(n->oem.iana >> 8 * i);
        memcpy(m->bytes + FWR_IANA_SIZE, out.data, out.length);
        box_send(n->box, m, 0);
    }
}

/* ---- the host ---- */

static void watch_trial(struct box_node *n)
{
    struct box_bmc *b = n->bmc;

    if (b->last_state != FWR_STATE_TRIAL) {
        b->proof_posted = false;
        return;
    }
    if (b->proof_posted)
        return;
    b->proof_posted = true;
    if (b->sick || box_what_it_holds(n) == NULL) {
        box_say(n->box, n, "its host hangs");
        b->sick = false;
        n->box->counts[BOX_UNPROVEN]++;
        return;
    }
    box_post(n->box, n->box->now + 1 + box_draw(n->box, BOOT_MS), BOX_EVENT_BOOTED, n->index, NULL);
}

void box_bmc_booted(struct box_node *n)
{
    struct box_bmc *b = n->bmc;

    b->proof_posted = false;
    if (b->last_state != FWR_STATE_TRIAL || b->host.held || box_what_it_holds(n) == NULL)
        return;
    b->proven = true;
    n->box->counts[BOX_PROVEN]++;
    fwr_recipient_boot_proven(b->recipient, box_clock(n));
    box_wake(n, n->box->now);
}

/* ---- the supervisor ---- */

static void start(struct box_node *n, enum fwr_start_mode mode)
{
    struct box_bmc *b = n->bmc;

    b->patience = n->box->now + SCAN_MS / 2 + box_draw(n->box, SCAN_MS);
    if (n->box->calm) /* nothing is damaged any more: less to do for us */
        b->patience += 5 * SCAN_MS;
    fwr_recipient_start(b->recipient, box_clock(n), mode, 0);
    box_wake(n, n->box->now);
}

static bool asks_for_repair(const struct fwr_status_page *status)
{
    return status->mode == FWR_START_CHECK && status->reason != 0 &&
           status->reason != (uint8_t)-FWR_E_ABORTED;
}

/* Looks at what a run that ended says, and at the time. */
static void supervise(struct box_node *n, const struct fwr_status_page *status)
{
    struct box_bmc *b = n->bmc;

    if (!at_rest(status->state))
        return;
    if (status->run != b->judged_run && status->state != FWR_STATE_IDLE) {
        b->judged_run = status->run;
        if (status->mode == FWR_START_REPAIR)
            b->unfinished = status->state == FWR_STATE_FAILED;
        if (asks_for_repair(status)) {
            start(n, FWR_START_REPAIR);
            return;
        }
        if (status->state == FWR_STATE_FAILED)
            b->patience = n->box->now + PATIENCE / 2 + box_draw(n->box, PATIENCE);
    }
    if (n->box->now < b->patience) {
        box_wake(n, b->patience);
        return;
    }
    start(n, b->unfinished || b->host.held || !b->check_first ? FWR_START_REPAIR : FWR_START_CHECK);
    b->check_first = true;
}

/* ---- work ---- */

/* The donor looks away from a flash that is in use, and looks again afterwards. False while it
 * is in the middle of a read: then it goes first. */
static bool share_flash(struct box_node *n, uint8_t state)
{
    struct box_bmc *b = n->bmc;
    bool ours = uses_flash(state);

    if (ours == b->yielded)
        return true;
    if (fwr_source_flash_yield(&b->own, ours) != FWR_OK)
        return false;
    b->yielded = ours;
    if (!ours)
        fwr_donor_reverify(n->donor, 0);
    return true;
}

static void count_run(struct box_node *n, const struct fwr_status_page *status)
{
    struct box *box = n->box;

    if (status->state != FWR_STATE_DONE || status->reason != 0 || status->mode != FWR_START_REPAIR)
        return;
    box->counts[BOX_REPAIRED]++;
    box->counts[BOX_COPIED] += status->blocks_copied;
    box->counts[BOX_BLANK] += status->blocks_blank;
    box->counts[BOX_WAIVED] += status->blocks_waived > 0;
    box->counts[BOX_OLDER] +=
        status->sequence < box->images[box->good_count - 1].given.manifest.sequence;
}

static void follow_state(struct box_node *n, const struct fwr_status_page *status)
{
    struct box_bmc *b = n->bmc;

    if (status->state == b->last_state)
        return;
    if (b->last_state != UINT8_MAX)
        box_say(n->box, n, "%s -> %s (run %u%s%s)", fwr_state_name(b->last_state),
                fwr_state_name(status->state), (unsigned)status->run, status->reason ? ", " : "",
                status->reason ? fwr_error_name(-status->reason) : "");
    b->last_state = status->state;
    if (at_rest(status->state))
        count_run(n, status);
    box_watch_look(n);
}

/* One step of either engine. True while there is more to do. */
static bool step(struct box_node *n)
{
    struct box_bmc *b = n->bmc;
    struct fwr_status_page status;
    bool busy = fwr_donor_step(n->donor, box_clock(n)) == FWR_PENDING;
    bool yielded = b->yielded;

    fwr_recipient_status(b->recipient, &status);
    if (!share_flash(n, status.state))
        return true;
    busy |= b->yielded != yielded;
    busy |= fwr_recipient_step(b->recipient, box_clock(n)) == FWR_PENDING;
    if (b->cut)
        return false;
    send_all(n);
    fwr_recipient_status(b->recipient, &status);
    follow_state(n, &status);
    return busy;
}

static uint64_t next_moment(const struct box_node *n)
{
    uint64_t recipient = box_when(n, fwr_recipient_next_timeout(n->bmc->recipient));
    uint64_t donor = box_when(n, fwr_donor_next_timeout(n->donor));

    return recipient < donor ? recipient : donor;
}

void box_bmc_work(struct box_node *n)
{
    struct box_bmc *b = n->bmc;
    uint64_t clock = box_clock(n);
    struct fwr_status_page status;
    bool busy = true;

    if (fwr_donor_next_timeout(n->donor) <= clock)
        fwr_donor_timeout(n->donor, clock);
    if (fwr_recipient_next_timeout(b->recipient) <= clock)
        fwr_recipient_timeout(b->recipient, clock);
    send_all(n);
    for (int i = 0; busy && i < b->steps_per_ms && !b->cut && !n->box->violated; i++)
        busy = step(n);
    if (b->cut) {
        box_say(n->box, n, "power lost");
        box_bmc_die(n);
        return;
    }
    fwr_recipient_status(b->recipient, &status);
    follow_state(n, &status);
    watch_trial(n);
    supervise(n, &status);
    busy |= b->yielded != uses_flash(status.state); /* the donor's turn */
    uint64_t next = busy ? n->box->now + 1 : next_moment(n);
    if (next != FWR_NEVER)
        box_wake(n, next <= n->box->now ? n->box->now + 1 : next);
}

bool box_bmc_is_settled(struct box_node *n)
{
    struct box_bmc *b = n->bmc;
    struct fwr_status_page status;

    if (!n->up || b->host.held || fwr_store_ram_find(&b->ram, FWR_STORE_JOURNAL, 0) != NULL)
        return false;
    fwr_recipient_status(b->recipient, &status);
    return status.state == FWR_STATE_DONE && status.reason == 0 && box_what_it_holds(n) != NULL;
}
