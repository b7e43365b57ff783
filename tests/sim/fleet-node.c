/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BMC of a fleet, see fleet.h: its flash, its recipient until it is repaired, its donor from
 * then on. Called by the world with events; it sends through the network.
 */
#include <fwrecover/host-null.h>

#include "tests/sim/fleet.h"

#define RECORD_ROOM 4608 /* one erase unit and its frame */
#define MAX_REPLY   1368 /* of an RMCP+ session on an Ethernet */
#define WINDOW      15
/* While a session opens the engine asks every millisecond whether its message can go now; the
 * end of it is an event of its own, so that asking less often changes nothing. */
#define OPENING_US 50000u

static uint64_t ms(const struct fleet *f)
{
    return f->now / 1000;
}

/* ---- flash ---- */

/* True while the operation takes its time; the engine repeats the call. */
static bool flash_busy(struct fleet_node *n, uint64_t cost)
{
    if (n->flash_done == 0)
        n->flash_done = n->fleet->now + cost;
    if (n->fleet->now < n->flash_done)
        return true;
    n->flash_done = 0;
    return false;
}

static int flash_read(void *ctx, uint32_t offset, void *buffer, uint32_t length)
{
    const struct fleet_node *n = ctx;

    if (offset % FLEET_BLOCK || length % FLEET_BLOCK)
        abort(); /* the engine reads whole blocks; this flash has nothing else */
    for (uint32_t i = 0; i < length / FLEET_BLOCK; i++) {
        uint32_t block = offset / FLEET_BLOCK + i;
        fleet_image_block((enum fleet_block)n->blocks[block], block,
                          (uint8_t *)buffer + (size_t)i * FLEET_BLOCK);
    }
    return FWR_OK;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t length)
{
    struct fleet_node *n = ctx;
    uint32_t blocks = length / FLEET_BLOCK;

    if (flash_busy(n, (uint64_t)blocks * FLEET_FLASH_US * 2 / 3))
        return FWR_PENDING;
    memset(n->blocks + offset / FLEET_BLOCK, FLEET_BLOCK_ERASED, blocks);
    return FWR_OK;
}

/* Right bytes alone are ever programmed: anything else is counted, and reads as rubbish. */
static int flash_program(void *ctx, uint32_t offset, const void *data, uint32_t length)
{
    struct fleet_node *n = ctx;
    uint32_t first = offset / FLEET_BLOCK, blocks = length / FLEET_BLOCK;

    if (offset % FLEET_BLOCK || length % FLEET_BLOCK)
        abort();
    if (flash_busy(n, (uint64_t)blocks * FLEET_FLASH_US / 3))
        return FWR_PENDING;
    for (uint32_t i = 0; i < blocks; i++) {
        bool right = n->blocks[first + i] == FLEET_BLOCK_ERASED &&
                     fleet_image_is_base(first + i, (const uint8_t *)data + i * FLEET_BLOCK);
        n->blocks[first + i] = right ? FLEET_BLOCK_BASE : FLEET_BLOCK_RUBBISH;
        n->fleet->result->wrong += !right;
    }
    return FWR_OK;
}

static int flash_sync(void *ctx)
{
    (void)ctx;
    return FWR_OK;
}

static bool flash_is_right(const struct fleet_node *n)
{
    for (uint32_t i = 0; i < n->fleet->image.blocks; i++)
        if (n->blocks[i] != FLEET_BLOCK_BASE)
            return false;
    return true;
}

/* ---- making ---- */

static int source_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    const struct given_image *g = &((const struct fleet_node *)ctx)->fleet->image.given;

    if (g->envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, g->envelope, g->envelope_length);
    *length = g->envelope_length;
    return FWR_OK;
}

static void donor_make(struct fleet_node *n)
{
    struct fleet *f = n->fleet;

    n->source = (struct fwr_source){.size = sizeof(n->source),
                                    .ctx = n,
                                    .name = "flash",
                                    .envelope = source_envelope,
                                    .read = flash_read};
    n->sources[0] = &n->source;
    struct fwr_donor_config config = {.size = sizeof(config),
                                      .platform = &f->platform,
                                      .trust = &f->image.given.trust,
                                      .image_count = 1,
                                      .images = n->sources,
                                      .max_leaves = f->image.blocks,
                                      .max_envelope = GIVEN_ENVELOPE_MAX,
                                      .max_transfers = FLEET_CAP_TRANSFERS,
                                      .bytes_per_second = FLEET_CAP_BYTES};
    size_t size = fwr_donor_storage(&config);

    n->donor_storage = malloc(size);
    if (fwr_donor_init(&n->donor, n->donor_storage, size, &config, ms(f)) != FWR_OK)
        abort();
    while (fwr_donor_step(n->donor, ms(f)) == FWR_PENDING)
        ;
    n->oem.donor = n->donor;
}

void fleet_node_make(struct fleet *f, uint32_t number, bool seed)
{
    struct fleet_node *n = &f->nodes[number];
    uint32_t damage = f->image.whole ? f->image.blocks : FLEET_DAMAGE_BLOCKS;

    n->fleet = f;
    n->number = number;
    n->seed = seed;
    n->rack = number / FLEET_RACK;
    n->wake = FWR_NEVER;
    n->blocks = calloc(f->image.blocks, 1);
    n->oem = (struct fwr_oem){.size = sizeof(n->oem),
                              .iana = 32473,
                              .command_base = FWR_COMMAND_BASE,
                              .max_request = 192,
                              .max_reply = MAX_REPLY,
                              .window = WINDOW,
                              .slot_count = 1,
                              .recipients = &n->recipient,
                              .donor = f->nobody};
    n->flash = (struct fwr_flash){.size = sizeof(n->flash),
                                  .ctx = n,
                                  .geometry = {.size = f->image.blocks * FLEET_BLOCK,
                                               .erase_size = FLEET_BLOCK,
                                               .program_size = 256,
                                               .erased_value = 0xff},
                                  .read = flash_read,
                                  .erase = flash_erase,
                                  .program = flash_program,
                                  .sync = flash_sync};
    if (seed) {
        donor_make(n);
        return;
    }
    uint32_t first = damage < f->image.blocks ? fleet_draw(f, f->image.blocks - damage) : 0;
    memset(n->blocks + first, FLEET_BLOCK_RUBBISH, damage);
}

static void recipient_make(struct fleet_node *n)
{
    struct fleet *f = n->fleet;
    struct fwr_recipient_config config = {.size = sizeof(config),
                                          .platform = &f->platform,
                                          .flash = &n->flash,
                                          .store = &n->store.store,
                                          .host = &fwr_host_null,
                                          .policy = &f->policy,
                                          .board = &f->board,
                                          .trust = &f->image.given.trust,
                                          .peer_count = (uint8_t)n->peer_count,
                                          .peers = f->peers,
                                          .max_envelope = GIVEN_ENVELOPE_MAX,
                                          .gather_ms = f->options.gather_ms,
                                          .backoff_ms = f->options.backoff_ms,
                                          .rounds = UINT8_MAX,
                                          .log_size = 512};
    size_t size = fwr_recipient_storage(&config), count = sizeof(n->records) / sizeof(*n->records);

    n->record_room = malloc(count * RECORD_ROOM);
    for (size_t i = 0; i < count; i++) {
        n->records[i].data = n->record_room + i * RECORD_ROOM;
        n->records[i].capacity = RECORD_ROOM;
    }
    n->recipient_storage = malloc(size);
    if (fwr_store_ram_open(&n->store, n->records, count) ||
        fwr_recipient_init(&n->recipient, n->recipient_storage, size, &config, ms(f)))
        abort();
}

static void recipient_free(struct fleet_node *n)
{
    if (n->recipient != NULL)
        fwr_recipient_end(n->recipient);
    free(n->recipient_storage);
    free(n->record_room);
    n->recipient = NULL;
    n->recipient_storage = n->record_room = NULL;
}

void fleet_node_free(struct fleet_node *n)
{
    recipient_free(n);
    if (n->donor != NULL)
        fwr_donor_end(n->donor);
    free(n->donor_storage);
    free(n->blocks);
}

void fleet_node_start(struct fleet_node *n)
{
    recipient_make(n);
    if (fwr_recipient_start(n->recipient, ms(n->fleet), FWR_START_REPAIR, 0) != FWR_OK)
        abort();
    fleet_node_work(n);
}

/* ---- work ---- */

static void send_all(struct fleet_node *n)
{
    struct fleet *f = n->fleet;
    struct fwr_outgoing out;

    while (fwr_recipient_next_send(n->recipient, ms(f), &out)) {
        struct fleet_message *m;

        if (!fleet_net_session(n, out.peer)) {
            fwr_recipient_unsent(n->recipient, ms(f), &out, FWR_E_BUSY);
            continue;
        }
        m = fleet_message_new(f);
        m->from = n->number;
        m->to = n->peer_numbers[out.peer];
        m->peer = out.peer;
        m->command = out.command;
        m->reply = false;
        m->length = (uint16_t)(FWR_IANA_SIZE + out.length);
        for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
            m->bytes[i] = (uint8_t)(n->oem.iana >> 8 * i);
        memcpy(m->bytes + FWR_IANA_SIZE, out.data, out.length);
        f->asked[n->number] += out.command == FWR_CMD_REQUEST_IMAGE ||
                               out.command == FWR_CMD_GET_CAPABILITIES ||
                               out.command == FWR_CMD_OFFER;
        f->calls += out.command == FWR_CMD_OFFER;
        fleet_net_send(f, m, f->now);
    }
}

/* The run ended: a repaired BMC is a donor from now on. */
static void rest(struct fleet_node *n)
{
    struct fleet *f = n->fleet;
    struct fwr_status_page status;

    fwr_recipient_status(n->recipient, &status);
    if (status.state == FWR_STATE_DONE && flash_is_right(n)) {
        n->done = f->now;
        f->result->repaired++;
        donor_make(n);
    } else {
        n->failed = true;
        f->result->failed++;
    }
    f->resting++;
}

static void work_recipient(struct fleet_node *n)
{
    uint64_t now = ms(n->fleet);
    struct fwr_status_page status;
    int answer;

    if (fwr_recipient_next_timeout(n->recipient) <= now)
        fwr_recipient_timeout(n->recipient, now);
    do {
        send_all(n);
        answer = fwr_recipient_step(n->recipient, now);
    } while (answer == FWR_PENDING && n->flash_done == 0);
    send_all(n);
    fwr_recipient_status(n->recipient, &status);
    if (!n->done && !n->failed &&
        (status.state == FWR_STATE_DONE || status.state == FWR_STATE_FAILED))
        rest(n);
    n->calling = fwr_oem_offer(&n->oem, now) == FWR_PENDING;
    send_all(n);
}

static uint64_t next_moment(const struct fleet_node *n)
{
    uint64_t next = FWR_NEVER;

    if (n->recipient != NULL)
        next = fwr_recipient_next_timeout(n->recipient);
    if (n->donor != NULL && fwr_donor_next_timeout(n->donor) < next)
        next = fwr_donor_next_timeout(n->donor);
    if (next != FWR_NEVER)
        next *= 1000;
    if (n->opening > 0 && next < n->fleet->now + OPENING_US)
        next = n->fleet->now + OPENING_US;
    return n->flash_done != 0 && n->flash_done < next ? n->flash_done : next;
}

void fleet_node_work(struct fleet_node *n)
{
    struct fleet *f = n->fleet;

    if (n->donor != NULL) {
        if (fwr_donor_next_timeout(n->donor) <= ms(f))
            fwr_donor_timeout(n->donor, ms(f));
        while (fwr_donor_step(n->donor, ms(f)) == FWR_PENDING)
            ;
    }
    if (n->recipient != NULL)
        work_recipient(n);
    /* Its last messages are answered or given up: what it needed is given back. */
    if (n->done && n->recipient != NULL && !n->calling &&
        fwr_recipient_next_timeout(n->recipient) == FWR_NEVER)
        recipient_free(n);
    uint64_t next = next_moment(n);
    if (next <= f->now)
        next = f->now + 1000;
    if (next < n->wake || n->wake <= f->now) {
        n->wake = next;
        if (next != FWR_NEVER)
            fleet_post(f, next, FLEET_EVENT_WAKE, n->number, NULL);
    }
}

void fleet_node_opened(struct fleet_node *n)
{
    struct fleet *f = n->fleet;

    n->opening--;
    for (uint32_t i = 0; i < n->peer_count && n->recipient != NULL; i++) {
        struct fwr_link_limits limits = f->peers[i].limits;

        if (n->sessions[i].open != f->now)
            continue;
        limits.round_trip_ms = 1; /* of the handshake */
        fwr_recipient_peer(n->recipient, ms(f), (uint8_t)i, FWR_OK, &limits);
    }
    fleet_node_work(n);
}

/* The number by which a recipient's links know a sender; 0 = it is not in its list. */
static uint8_t listed(const struct fleet_node *n, uint32_t other)
{
    for (uint32_t i = 0; i < n->peer_count; i++)
        if (n->peer_numbers[i] == other)
            return (uint8_t)(i + 1);
    return 0;
}

static void answer(struct fleet_node *n, const struct fleet_message *m)
{
    struct fleet *f = n->fleet;
    struct fleet_message *reply = fleet_message_new(f);
    struct fwr_caller caller = {.link = 1,
                                .medium = FWR_MEDIUM_LAN,
                                .privilege = FWR_PRIVILEGE_USER,
                                .security = FWR_SECURITY_SUITE,
                                .session = m->from + 1,
                                .peer = listed(n, m->from),
                                .max_reply = MAX_REPLY};

    reply->length =
        (uint16_t)fwr_oem_handle(&n->oem, ms(f), &caller, (uint8_t)(FWR_COMMAND_BASE + m->command),
                                 m->bytes, m->length, reply->bytes, sizeof(reply->bytes));
    reply->from = n->number;
    reply->to = m->from;
    reply->peer = m->peer;
    reply->command = m->command;
    reply->reply = true;
    if (n->donor != NULL)
        fleet_count_egress(n, reply->length);
    fleet_net_send(f, reply, f->now);
}

void fleet_node_receive(struct fleet_node *n, const struct fleet_message *m)
{
    if (!m->reply) {
        answer(n, m);
        if (n->donor == NULL && m->command != FWR_CMD_OFFER)
            return; /* asked in vain: nothing has changed */
    } else if (n->recipient != NULL) {
        fwr_oem_response(&n->oem, n->recipient, ms(n->fleet), m->peer, m->command, m->bytes,
                         m->length);
    }
    fleet_node_work(n);
}
