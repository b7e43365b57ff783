/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in a box: see world.h.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#define RECORD_ROOM   (128 * 1024)
#define LIMITS_REPLY  1368 /* of an RMCP+ session on an Ethernet */
#define LIMITS_WINDOW 15

uint32_t world_draw(struct world *w, uint32_t limit)
{
    return seeded_below(&w->seed, limit);
}

static int platform_random(void *ctx, void *buffer, size_t length)
{
    struct world *w = ctx;

    seeded_fill(&w->seed, buffer, length);
    return FWR_OK;
}

static void platform_log(void *ctx, enum fwr_log_level level, const char *text)
{
    const struct world *w = ctx;

    if (w->verbose)
        printf("# %8llu ms %c %s\n", (unsigned long long)w->now, "ENd"[level], text);
}

/* ---- making ---- */

static void make_board(struct world *w, const struct given_image *image)
{
    const struct fwr_manifest *m = &image->manifest;

    memcpy(w->board.component, m->component, sizeof(w->board.component));
    w->board.manufacturer = m->manufacturer;
    w->board.product = m->product;
    w->board.hardware_revision = m->hardware_min;
    w->trust = image->trust;
    fwr_policy_default_init(&w->policy, &w->rules);
    for (uint16_t i = 0; i < m->map.count; i++) {
        if (m->map.regions[i].kind == FWR_REGION_FILL)
            memset(w->cells + m->map.regions[i].offset, m->map.regions[i].fill,
                   m->map.regions[i].length);
        if (m->map.regions[i].kind != FWR_REGION_PRESERVE)
            continue;
        w->preserve[w->nor.preserve_count].offset = m->map.regions[i].offset;
        w->preserve[w->nor.preserve_count++].length = m->map.regions[i].length;
    }
    w->nor.preserve = w->preserve;
}

static bool may_be_written(const struct world *w, uint32_t address, const uint8_t *block,
                           uint32_t length)
{
    if (memcmp(block, w->before + address, length) == 0)
        return true;
    for (size_t i = 0; i < 2; i++) {
        const struct given_image *image = w->expected[i];
        const struct fwr_region *r =
            image ? fwr_region_map_find(&image->manifest.map, address) : NULL;
        if (r && r->kind == FWR_REGION_WRITE && memcmp(block, image->bytes + address, length) == 0)
            return true;
        if (r && r->kind == FWR_REGION_FILL && block[0] == r->fill &&
            memcmp(block, block + 1, length - 1) == 0)
            return true;
    }
    return false;
}

/* The chip's own program, after a look at what is to be written where. */
static int watched_program(void *ctx, uint32_t offset, const void *data, uint32_t length)
{
    struct fwr_flash_ramnor *nor = ctx;
    struct world *w = (struct world *)(void *)((uint8_t *)nor - offsetof(struct world, nor));
    uint32_t block = w->expected[0] ? w->expected[0]->block_size : length;

    if (w->expected[1] && w->expected[1]->block_size < block)
        block = w->expected[1]->block_size;

    for (uint32_t at = 0; w->expected[0] && at < length; at += block)
        w->strangers += !may_be_written(w, offset + at, (const uint8_t *)data + at, block);
    return nor->flash.program(nor, offset, data, length);
}

static void watch(struct world *w, const struct given_image *image)
{
    w->flash = w->nor.flash;
    w->flash.program = watched_program;
    w->expected[0] = image;
}

void world_init(struct world *w, uint64_t seed, const struct given_image *image,
                uint32_t erase_size)
{
    uint32_t size = image->manifest.flash_size, erase = erase_size ? erase_size : 4096;
    struct fwr_flash_geometry geometry = {
        .size = size, .erase_size = erase, .program_size = 256, .erased_value = 0xff};

    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->now = 1000;
    w->delay_ms = 1;
    w->platform = (struct fwr_platform){
        .size = sizeof(w->platform), .ctx = w, .random = platform_random, .log = platform_log};
    w->cells = malloc(size);
    w->before = malloc(size);
    memcpy(w->cells, image->bytes, size);
    w->units = calloc(size / erase, sizeof(*w->units));
    if (fwr_flash_ramnor_open(&w->nor, &geometry, w->cells, w->units, size / erase))
        abort();
    watch(w, image);
    make_board(w, image);
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        w->records[i].data = malloc(RECORD_ROOM);
        w->records[i].capacity = RECORD_ROOM;
    }
    if (fwr_store_ram_open(&w->store, w->records, WORLD_RECORDS) ||
        fwr_host_recorder_open(&w->host, FWR_HOST_ON, NULL, 0))
        abort();
    w->config = (struct fwr_recipient_config){
        .size = sizeof(w->config),
        .platform = &w->platform,
        .flash = &w->flash,
        .store = &w->store.store,
        .host = &w->host.host,
        .policy = &w->policy,
        .rules = &w->rules,
        .board = &w->board,
        .trust = &w->trust,
        .peers = w->peers,
        .block_size = image->manifest.block_size,
    };
    w->oem = (struct fwr_oem){.size = sizeof(w->oem),
                              .iana = 32473,
                              .command_base = FWR_COMMAND_BASE,
                              .slot_count = 1,
                              .recipients = w->slots,
                              .max_request = 192,
                              .max_reply = LIMITS_REPLY,
                              .window = LIMITS_WINDOW};
}

static int donor_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    const struct world_donor *d = ctx;

    memcpy(buffer, d->image.bytes + address, length);
    return FWR_OK;
}

static int donor_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    const struct world_donor *d = ctx;

    if (d->image.envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, d->image.envelope, d->image.envelope_length);
    *length = d->image.envelope_length;
    return FWR_OK;
}

struct world_donor *world_add_donor(struct world *w, const struct given_image *image)
{
    uint8_t index = w->donor_count++;
    struct world_donor *d = &w->donors[index];
    uint32_t size = image->manifest.flash_size;

    d->world = w;
    snprintf(d->name, sizeof(d->name), "donor %u", index);
    d->image = *image;
    d->image.bytes = malloc(size);
    memcpy(d->image.bytes, image->bytes, size);
    d->source = (struct fwr_source){.size = sizeof(d->source),
                                    .ctx = d,
                                    .name = d->name,
                                    .envelope = donor_envelope,
                                    .read = donor_read};
    d->sources[0] = &d->source;
    d->config = (struct fwr_donor_config){
        .size = sizeof(d->config),
        .platform = &w->platform,
        .trust = &d->image.trust,
        .image_count = 1,
        .images = d->sources,
        .max_leaves = size / image->manifest.block_size,
        .max_block_size = image->manifest.block_size,
    };
    w->peers[index] = (struct fwr_peer){.name = d->name,
                                        .limits = {.max_request = 192,
                                                   .max_reply = LIMITS_REPLY,
                                                   .window = LIMITS_WINDOW,
                                                   .medium = FWR_MEDIUM_LAN}};
    w->config.peer_count = w->donor_count;
    return d;
}

static int more_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    const struct given_image *image = ctx;

    memcpy(buffer, image->bytes + address, length);
    return FWR_OK;
}

static int more_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    const struct given_image *image = ctx;

    if (image->envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, image->envelope, image->envelope_length);
    *length = image->envelope_length;
    return FWR_OK;
}

void world_add_image(struct world_donor *d, const struct given_image *image)
{
    uint8_t n = d->config.image_count++;
    struct given_image *copy = &d->more[n - 1];

    *copy = *image;
    copy->bytes = malloc(image->manifest.flash_size);
    memcpy(copy->bytes, image->bytes, image->manifest.flash_size);
    d->more_sources[n - 1] = (struct fwr_source){.size = sizeof(struct fwr_source),
                                                 .ctx = copy,
                                                 .name = d->name,
                                                 .envelope = more_envelope,
                                                 .read = more_read};
    d->sources[n] = &d->more_sources[n - 1];
}

static void boot_donor(struct world *w, struct world_donor *d)
{
    size_t size = fwr_donor_storage(&d->config);

    d->storage = malloc(size);
    if (fwr_donor_init(&d->engine, d->storage, size, &d->config, w->now))
        abort();
    while (fwr_donor_step(d->engine, w->now) == FWR_PENDING)
        ;
    d->oem = w->oem;
    d->oem.recipients = NULL;
    d->oem.slot_count = 0;
    d->oem.donor = d->engine;
}

void world_free(struct world *w)
{
    if (w->recipient)
        fwr_recipient_end(w->recipient);
    for (uint8_t i = 0; i < w->donor_count; i++) {
        if (w->donors[i].engine)
            fwr_donor_end(w->donors[i].engine);
        free(w->donors[i].storage);
        free(w->donors[i].image.bytes);
        for (uint8_t k = 0; k + 1 < w->donors[i].config.image_count; k++)
            free(w->donors[i].more[k].bytes);
    }
    for (size_t i = 0; i < WORLD_RECORDS; i++)
        free(w->records[i].data);
    free(w->storage);
    free(w->cells);
    free(w->before);
    free(w->units);
}

void world_damage(struct world *w, uint32_t offset, uint32_t length)
{
    seeded_fill(&w->seed, w->cells + offset, length);
}

int world_boot(struct world *w)
{
    for (uint8_t i = 0; i < w->donor_count; i++)
        if (!w->donors[i].engine)
            boot_donor(w, &w->donors[i]);
    if (!w->storage) {
        memcpy(w->before, w->cells, w->nor.flash.geometry.size);
        w->storage_size = fwr_recipient_storage(&w->config);
        w->storage = malloc(w->storage_size);
    }
    w->recipient = NULL;
    int error = fwr_recipient_init(&w->recipient, w->storage, w->storage_size, &w->config, w->now);
    w->slots[0] = w->recipient;
    if (w->road && !error)
        w->road->boot(w->road->ctx);
    return error;
}

void world_cut(struct world *w)
{
    if (w->recipient)
        fwr_recipient_end(w->recipient);
    w->recipient = w->slots[0] = NULL;
    if (w->road)
        w->road->cut(w->road->ctx);
    memset(w->messages, 0, w->message_top * sizeof(w->messages[0]));
    w->message_top = 0;
    w->in_flight = 0;
    fwr_flash_ramnor_power_on(&w->nor, w->seed);
    fwr_store_ram_power_on(&w->store);
    fwr_host_recorder_power_on(&w->host);
}

/* ---- network ---- */

static bool chance(struct world *w, uint32_t permille)
{
    return permille > 0 && world_draw(w, 1000) < permille;
}

static void post_once(struct world *w, uint8_t peer, uint8_t command, bool reply,
                      const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < WORLD_MESSAGES_MAX; i++) {
        struct world_message *m = &w->messages[i];
        if (m->used)
            continue;
        if (i >= w->message_top)
            w->message_top = i + 1;
        m->used = true;
        m->at = w->now + w->delay_ms + w->donors[peer].far_ms +
                (w->jitter_ms ? world_draw(w, w->jitter_ms) : 0);
        m->order = w->order++;
        m->peer = peer;
        m->command = command;
        m->reply = reply;
        m->length = (uint16_t)length;
        memcpy(m->bytes, bytes, length);
        if (chance(w, w->corruption) && length > 0)
            m->bytes[world_draw(w, (uint32_t)length)] ^= (uint8_t)(1u << world_draw(w, 8));
        return;
    }
    abort(); /* the engine has too much on its way */
}

static void post(struct world *w, uint8_t peer, uint8_t command, bool reply, const uint8_t *bytes,
                 size_t length)
{
    size_t header = reply ? FWR_OEM_HEADER : FWR_IANA_SIZE;
    size_t *longest = reply ? &w->longest_reply : &w->longest_request;

    w->payload += length;
    if (length > header && length - header > *longest)
        *longest = length - header;
    if (chance(w, w->loss))
        return;
    post_once(w, peer, command, reply, bytes, length);
    if (chance(w, w->duplication))
        post_once(w, peer, command, reply, bytes, length);
}

static void count_in_flight(struct world *w)
{
    uint32_t count = 0;
    bool peers[WORLD_DONORS_MAX] = {false};
    uint8_t many = 0;

    for (size_t i = 0; i < w->message_top; i++) {
        if (!w->messages[i].used)
            continue;
        count++;
        many = (uint8_t)(many + !peers[w->messages[i].peer]);
        peers[w->messages[i].peer] = true;
    }
    w->in_flight = count;
    if (count > w->most_in_flight)
        w->most_in_flight = count;
    if (many > w->peers_in_flight)
        w->peers_in_flight = many;
}

static void send_all(struct world *w)
{
    struct fwr_outgoing m;
    uint8_t bytes[FWR_IANA_SIZE + FWR_MESSAGE_MAX] = {
        (uint8_t)w->oem.iana, (uint8_t)(w->oem.iana >> 8), (uint8_t)(w->oem.iana >> 16)};

    if (w->road) {
        fwr_oem_pump(w->recipient, w->now, w->road->links, w->donor_count);
        return;
    }
    while (fwr_recipient_next_send(w->recipient, w->now, &m)) {
        memcpy(bytes + FWR_IANA_SIZE, m.data, m.length);
        post(w, m.peer, (uint8_t)(w->oem.command_base + m.command), false, bytes,
             (size_t)m.length + FWR_IANA_SIZE);
        count_in_flight(w);
    }
}

static bool donor_silent(struct world *w, struct world_donor *d)
{
    d->answered++;
    if (d->die_after && d->answered > d->die_after)
        return true;
    return d->stall_after && d->answered > d->stall_after && world_draw(w, 100) > 0;
}

size_t world_serve(struct world *w, const struct fwr_caller *caller, const struct world_message *m,
                   uint8_t *reply)
{
    struct world_donor *d = &w->donors[m->peer];

    if (d->severed || donor_silent(w, d))
        return 0;
    size_t length = fwr_oem_handle(&d->oem, w->now, caller, m->command, m->bytes, m->length, reply,
                                   WORLD_MESSAGE_MAX);
    uint8_t command = (uint8_t)(m->command - w->oem.command_base);
    bool data = command == FWR_CMD_READ_TREE || command == FWR_CMD_READ_BLOCKS;
    if (d->lie_every && data && length > 8 && d->answered % d->lie_every == 0) {
        reply[5 + world_draw(w, (uint32_t)length - 5)] ^= 0x10;
        d->lies++;
    }
    if (w->tamper)
        length = w->tamper(w, m, reply, length);
    w->replies[m->peer] += length > 0;
    return length;
}

static void at_donor(struct world *w, const struct world_message *m)
{
    struct fwr_caller caller = {.link = 1,
                                .medium = w->peers[m->peer].limits.medium,
                                .privilege = FWR_PRIVILEGE_USER,
                                .security = FWR_SECURITY_SUITE,
                                .session = 7,
                                .max_reply = w->peers[m->peer].limits.max_reply};
    uint8_t reply[WORLD_MESSAGE_MAX];
    size_t length = world_serve(w, &caller, m, reply);

    if (length > 0)
        post(w, m->peer, m->command, true, reply, length);
}

void world_reply(struct world *w, uint8_t donor, uint8_t command, const uint8_t *bytes,
                 size_t length, uint32_t delay_ms)
{
    w->now += delay_ms; /* post counts from now */
    post_once(w, donor, command, true, bytes, length);
    w->now -= delay_ms;
}

static struct world_message *next_message(struct world *w)
{
    struct world_message *best = NULL;

    for (size_t i = 0; i < w->message_top; i++) {
        struct world_message *m = &w->messages[i];
        if (m->used && (!best || m->at < best->at || (m->at == best->at && m->order < best->order)))
            best = m;
    }
    return best;
}

static void deliver(struct world *w, struct world_message *m)
{
    struct world_message copy = *m;

    m->used = false;
    if (copy.reply && w->donors[copy.peer].severed)
        return;
    if (!copy.reply) {
        at_donor(w, &copy);
        return;
    }
    fwr_oem_response(&w->oem, w->recipient, w->now, copy.peer,
                     (uint8_t)(copy.command - w->oem.command_base), copy.bytes, copy.length);
}

/* ---- time ---- */

static uint64_t next_moment(const struct world *w, const struct world_message *m)
{
    uint64_t next = m ? m->at : FWR_NEVER;
    uint64_t timeout = fwr_recipient_next_timeout(w->recipient);

    if (timeout < next)
        next = timeout;
    for (uint8_t i = 0; i < w->donor_count; i++) {
        timeout = fwr_donor_next_timeout(w->donors[i].engine);
        if (timeout < next)
            next = timeout;
    }
    return next;
}

static void work_donors(struct world *w)
{
    for (uint8_t i = 0; i < w->donor_count; i++) {
        struct world_donor *d = &w->donors[i];
        if (fwr_donor_next_timeout(d->engine) <= w->now)
            fwr_donor_timeout(d->engine, w->now);
        fwr_donor_step(d->engine, w->now);
    }
}

/* The road's time passes until something happens that an engine has to know. */
static bool turn_on_road(struct world *w)
{
    uint64_t next = w->road->run(w->road->ctx, next_moment(w, NULL));

    if (next == FWR_NEVER)
        return false;
    w->now = next > w->now ? next : w->now;
    if (fwr_recipient_next_timeout(w->recipient) <= w->now)
        fwr_recipient_timeout(w->recipient, w->now);
    return true;
}

bool world_turn(struct world *w)
{
    send_all(w);
    work_donors(w);
    w->steps++;
    if (fwr_recipient_step(w->recipient, w->now) == FWR_PENDING)
        return true;
    send_all(w);
    if (w->road)
        return turn_on_road(w);
    struct world_message *m = next_message(w);
    uint64_t next = next_moment(w, m);
    if (next == FWR_NEVER)
        return false;
    if (next > w->now)
        w->now = next;
    if (fwr_recipient_next_timeout(w->recipient) <= w->now)
        fwr_recipient_timeout(w->recipient, w->now);
    else if (m && m->at <= w->now)
        deliver(w, m);
    return true;
}

static bool resting(uint8_t state)
{
    return state == FWR_STATE_IDLE || state == FWR_STATE_DONE || state == FWR_STATE_FAILED;
}

uint8_t world_run(struct world *w, uint64_t limit_ms)
{
    uint64_t end = w->now + limit_ms;

    while (!resting(world_status(w).state) && w->now < end)
        if (!world_turn(w))
            break;
    return world_status(w).state;
}

uint8_t world_repair(struct world *w)
{
    if (fwr_recipient_start(w->recipient, w->now, FWR_START_REPAIR, 0))
        abort();
    world_run(w, 24u * 3600 * 1000);
    return world_status(w).reason;
}

bool world_is_right(const struct world *w, const struct given_image *image)
{
    for (uint16_t i = 0; i < image->manifest.map.count; i++) {
        const struct fwr_region *r = &image->manifest.map.regions[i];
        const uint8_t *cells = w->cells + r->offset;
        if (r->kind == FWR_REGION_WRITE && memcmp(cells, image->bytes + r->offset, r->length) != 0)
            return false;
        if (r->kind == FWR_REGION_PRESERVE && memcmp(cells, w->before + r->offset, r->length) != 0)
            return false;
        for (uint32_t k = 0; r->kind == FWR_REGION_FILL && k < r->length; k++)
            if (cells[k] != r->fill)
                return false;
    }
    return w->nor.counts.trespass == 0 && w->nor.counts.refused == 0 &&
           w->nor.counts.deserted == 0 && w->strangers == 0;
}

struct fwr_status_page world_status(const struct world *w)
{
    struct fwr_status_page status;

    fwr_recipient_status(w->recipient, &status);
    return status;
}
