/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is, drawn from the seed, see box.h: chip and layout, versions of the image and
 * those that nobody may install, BMCs with their boards and settings, consoles, roads, wires
 * and the kinds of mischief. Every BMC has its flash damaged before the world begins.
 */
#include "tests/sim/box.h"

#define FOREIGN_KEY     9
#define FOREIGN_PRODUCT 0x0909
#define SLOW_ROAD       40 /* bytes of reply: then flashes are damaged only a little */

static uint32_t between(struct box *box, uint32_t low, uint32_t high)
{
    return low + box_draw(box, high - low + 1);
}

/* ---- the chip ---- */

static void plan_chip(struct box *box)
{
    bool coarse = box_chance(box, 15);

    box->block_size = box_chance(box, 40) ? 1024 : 4096;
    box->erase_size = coarse ? 65536 : 4096;
    if (coarse)
        box->size = 65536 * between(box, 6, 8);
    else
        box->size = 4096 * between(box, 16, 48);
}

static void add_region(struct box *box, uint32_t length, uint8_t kind, uint8_t flags, uint8_t fill)
{
    struct fwr_region_map *map = &box->map;
    uint32_t offset = 0;

    if (map->count > 0)
        offset = map->regions[map->count - 1].offset + map->regions[map->count - 1].length;
    if (length > 0)
        map->regions[map->count++] = (struct fwr_region){offset, length, kind, flags, fill};
}

/* write, preserve, fill, write with boot; the kept part in whole erase units; or turned round. */
static void plan_map(struct box *box)
{
    uint32_t unit = box->erase_size, units = box->size / unit, block = box->block_size;
    uint32_t body = between(box, 1, units / 2), kept = box_draw(box, units / 4 + 1);
    uint32_t rest = (units - body - kept) * unit;
    uint32_t fill = box_draw(box, rest / block / 2) * block;
    uint8_t value = (uint8_t)(box_chance(box, 50) ? 0xff : box_draw(box, 256));

    if (box_chance(box, 25)) { /* the boot region at the bottom */
        add_region(box, rest - fill, FWR_REGION_WRITE, FWR_REGION_BOOT, 0);
        add_region(box, fill, FWR_REGION_FILL, 0, value);
        add_region(box, kept * unit, FWR_REGION_PRESERVE, 0, 0);
        add_region(box, body * unit, FWR_REGION_WRITE, 0, 0);
        return;
    }
    add_region(box, body * unit, FWR_REGION_WRITE, 0, 0);
    add_region(box, kept * unit, FWR_REGION_PRESERVE, 0, 0);
    add_region(box, fill, FWR_REGION_FILL, 0, value);
    add_region(box, rest - fill, FWR_REGION_WRITE, FWR_REGION_BOOT, 0);
}

/* ---- images ---- */

/* The next version: some blocks new, some moved, some blank, most as they were. */
static void revise(struct box *box, uint8_t *bytes)
{
    uint32_t blocks = box->size / box->block_size;

    for (uint32_t changes = between(box, 1, blocks / 3); changes > 0; changes--) {
        uint8_t *block = bytes + (size_t)box_draw(box, blocks) * box->block_size;
        const uint8_t *other = bytes + (size_t)box_draw(box, blocks) * box->block_size;
        if (box_chance(box, 60))
            seeded_fill(&box->random, block, box->block_size);
        else if (box_chance(box, 70))
            memmove(block, other, box->block_size);
        else
            memset(block, 0xff, box->block_size);
    }
}

/* The block with the reset vector is never blank: an erased one must not look right. */
static void mark_guard(struct box *box, uint8_t *bytes)
{
    for (uint16_t i = 0; i < box->map.count; i++) {
        const struct fwr_region *r = &box->map.regions[i];
        if (r->flags & FWR_REGION_BOOT)
            memcpy(bytes + r->offset + r->length - 16, "the reset vector", 16);
    }
}

static void make_tree(struct box_image *image)
{
    struct given_image *g = &image->given;
    uint8_t *buffer = malloc(65536), root[FWR_HASH_MAX];
    struct fwr_tree_input input = {given_tree_read, g, buffer, 65536};

    image->tree_size =
        fwr_tree_size(fwr_manifest_leaf_count(&g->manifest), (uint8_t)fwr_hash_size(g->hash));
    image->tree = malloc(image->tree_size);
    if (fwr_tree_of_image(&g->manifest, &input, image->tree, image->tree_size, root) != FWR_OK)
        abort();
    free(buffer);
}

static struct box_image *make_image(struct box *box, uint32_t sequence, uint32_t security_version,
                                    uint8_t hash, uint8_t key)
{
    struct box_image *image = &box->images[box->image_count++];
    struct given_image *g = &image->given;

    g->blocks = box->size / box->block_size;
    g->block_size = box->block_size;
    g->sequence = sequence;
    g->security_version = security_version;
    g->hash = hash;
    g->key_seed = key;
    g->hardware_max = 9;
    g->manifest.map = box->map;
    g->bytes = malloc(box->size);
    if (box->image_count > 1)
        memcpy(g->bytes, box->images[box->image_count - 2].given.bytes, box->size);
    else
        seeded_fill(&box->random, g->bytes, box->size);
    revise(box, g->bytes);
    mark_guard(box, g->bytes);
    if (box_chance(box, 15)) /* not for the first revision of the board */
        g->hardware_min = 2;
    if (given_image_make(g) != FWR_OK)
        abort();
    make_tree(image);
    return image;
}

/* Signed by the release key, but for another product. */
static void make_foreign(struct box_image *image)
{
    struct given_image *g = &image->given;
    uint8_t payload[GIVEN_ENVELOPE_MAX];

    g->manifest.product = FOREIGN_PRODUCT;
    int length = fwr_manifest_encode(&g->manifest, payload, sizeof(payload));
    if (length < 0 || fwr_manifest_id(payload, (size_t)length, g->id) != FWR_OK)
        abort();
    int made = given_sign(g->key_seed, payload, (size_t)length, g->envelope, sizeof(g->envelope));
    if (made < 0)
        abort();
    g->envelope_length = (size_t)made;
}

static void plan_images(struct box *box)
{
    uint8_t hash = box_chance(box, 20) ? FWR_HASH_SHA384 : FWR_HASH_SHA256;
    uint32_t security_version = 1, sequence = 4;

    box->good_count = (uint8_t)between(box, 1, BOX_GOOD_MAX);
    for (uint8_t i = 0; i < box->good_count; i++) {
        make_image(box, sequence, security_version, hash, 1)->good = true;
        sequence += between(box, 1, 3);
        security_version += box_draw(box, 2);
    }
    /* The newest must fit every board, or some BMC has no way to finish. */
    if (box->images[box->good_count - 1].given.hardware_min > 1) {
        struct given_image *g = &box->images[box->good_count - 1].given;
        g->hardware_min = 0;
        if (given_image_make(g) != FWR_OK)
            abort();
    }
    make_foreign(make_image(box, sequence + 1, security_version, hash, 1));
    make_image(box, sequence + 2, security_version, hash, FOREIGN_KEY); /* and nobody trusts it */
}

/* ---- BMCs ---- */

/* Some whole units that the image would write and only this board preserves. */
static void plan_local_map(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;
    uint32_t unit = box->erase_size;

    for (uint16_t i = 0; i < box->map.count; i++) {
        const struct fwr_region *r = &box->map.regions[i];
        if (r->kind != FWR_REGION_WRITE || (r->flags & FWR_REGION_BOOT) || r->length < 3 * unit ||
            (uint64_t)unit / box->block_size > 32)
            continue;
        uint32_t at = r->offset + unit * (1 + box_draw(box, r->length / unit - 2));
        b->local.count = 3;
        b->local.regions[0] = (struct fwr_region){0, at, FWR_REGION_WRITE, 0, 0};
        b->local.regions[1] = (struct fwr_region){at, unit, FWR_REGION_PRESERVE, 0, 0};
        b->local.regions[2] =
            (struct fwr_region){at + unit, box->size - at - unit, FWR_REGION_WRITE, 0, 0};
        b->board.local = &b->local;
        b->preserve[b->nor.preserve_count++] = (struct fwr_flash_ramnor_range){at, unit};
        return;
    }
}

static void plan_board(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;
    const struct fwr_manifest *m = &box->images[0].given.manifest;

    memcpy(b->board.component, m->component, sizeof(b->board.component));
    b->board.manufacturer = m->manufacturer;
    b->board.product = m->product;
    b->board.hardware_revision = (uint16_t)between(box, 1, 3);
    for (uint16_t i = 0; i < box->map.count; i++) {
        const struct fwr_region *r = &box->map.regions[i];
        if (r->kind == FWR_REGION_PRESERVE)
            b->preserve[b->nor.preserve_count++] =
                (struct fwr_flash_ramnor_range){r->offset, r->length};
    }
    if (box_chance(box, 15))
        plan_local_map(n);
}

/* Nobody; somebody with an image; as many more as the draw gives. In any order. */
static void plan_peers(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;
    static const uint16_t replies[] = {1368, 1368, 1368, 512, 240, 35};
    static const uint8_t media[] = {FWR_MEDIUM_LAN, FWR_MEDIUM_LAN, FWR_MEDIUM_WLAN,
                                    FWR_MEDIUM_ICMB};
    uint8_t first = box_chance(box, 85) ? box->bmc_count : (uint8_t)box_draw(box, box->node_count);
    uint8_t start = (uint8_t)box_draw(box, box->node_count), count = 0;

    for (uint8_t k = 0; k < box->node_count; k++) {
        uint8_t other = (uint8_t)((start + k) % box->node_count);
        if (other == n->index || (other != first && box_chance(box, 30)))
            continue;
        snprintf(b->peer_names[count], sizeof(b->peer_names[count]), "%s", box->nodes[other].name);
        b->peer_nodes[count] = other;
        b->peers[count] =
            (struct fwr_peer){.name = b->peer_names[count],
                              .limits = {.max_request = 192,
                                         .max_reply = replies[box_draw(box, 6)],
                                         .window = (uint8_t)between(box, 1, 15),
                                         .medium = media[box_draw(box, sizeof(media))]}};
        if (box->bus != NULL)
            box_bus_limits(box, &b->peers[count].limits);
        count++;
    }
    b->config.peer_count = count;
    b->config.peers = b->peers;
}

static void plan_settings(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;

    b->config.size = sizeof(b->config);
    b->config.platform = &n->platform;
    b->config.flash = &b->flash;
    b->config.store = &b->store;
    b->config.host = &b->host.host;
    b->config.policy = &b->policy;
    b->config.rules = &b->rules;
    b->config.board = &b->board;
    b->config.trust = &box->images[0].given.trust;
    b->config.lanes = (uint8_t)between(box, 1, 6);
    b->config.guard = box_chance(box, 75) ? FWR_GUARD_ALWAYS : (uint8_t)box_draw(box, 3);
    b->config.batch = (uint8_t)(box_chance(box, 50) ? between(box, 1, 8) : 64);
    b->config.release_on_failure = box_chance(box, 10);
    b->config.block_size = box->block_size;
    b->config.max_envelope = GIVEN_ENVELOPE_MAX;
    b->config.gather_ms = between(box, 50, 1000);
    b->config.backoff_ms = between(box, 100, 3000);
    b->config.rounds = (uint8_t)(box_chance(box, 50) ? UINT8_MAX : between(box, 1, 5));
    b->config.boot_proof_ms = box_chance(box, 50) ? between(box, 9000, 30000) : 0;
    b->config.start_jitter_ms = box_chance(box, 30) ? 2000 : 0;
    b->config.log_size = 2048;
    b->sick = box_chance(box, 10);
    b->check_first = box_chance(box, 40);
    b->steps_per_ms = (uint8_t)between(box, 1, 30);
    if (box_chance(box, 30)) {
        b->nor.pending_calls = box_draw(box, 3);
        b->ram.pending_calls = box_draw(box, 3);
        b->host.pending_calls = box_draw(box, 3);
    }
}

/* From a few blocks to all of it. */
static void plan_damage(struct box_node *n)
{
    struct box *box = n->box;
    uint32_t blocks = box->size / box->block_size;
    bool slow = box->bus != NULL;

    for (uint8_t i = 0; i < n->bmc->config.peer_count; i++)
        slow |= n->bmc->peers[i].limits.max_reply <= SLOW_ROAD;
    if (!slow && box_chance(box, 10)) {
        box_damage(n, 0, box->size);
        return;
    }
    for (uint32_t holes = between(box, 0, 6); holes > 0; holes--)
        box_damage(n, box_draw(box, blocks) * box->block_size,
                   box->block_size * between(box, 1, slow ? 2 : blocks / 6));
}

/* It ran some version; the store remembers which, or is empty. */
static void plan_past(struct box_node *n)
{
    struct box *box = n->box;
    struct box_bmc *b = n->bmc;
    const struct given_image *g = &box->images[box_draw(box, box->good_count)].given;

    memcpy(b->cells, g->bytes, box->size);
    for (uint16_t i = 0; i < box->map.count; i++) {
        const struct fwr_region *r = &box->map.regions[i];
        if (r->kind == FWR_REGION_FILL)
            memset(b->cells + r->offset, r->fill, r->length);
    }
    for (size_t i = 0; i < b->nor.preserve_count; i++)
        seeded_fill(&box->random, b->cells + b->preserve[i].offset, b->preserve[i].length);
    memcpy(b->kept, b->cells, box->size);
    if (box_chance(box, 60)) {
        struct fwr_store_ram_record *r = &b->records[0];
        r->used = true;
        r->kind = FWR_STORE_ENVELOPE;
        r->length = g->envelope_length;
        memcpy(r->data, g->envelope, g->envelope_length);
    }
    plan_damage(n);
    if (box_chance(box, 25)) { /* a chip behind a write cache */
        b->durable = malloc(box->size);
        memcpy(b->durable, b->cells, box->size);
        b->nor.durable = b->durable;
    }
}

static void plan_bmc(struct box_node *n)
{
    box_watch_open(n);
    plan_board(n);
    plan_settings(n);
    plan_peers(n);
    plan_past(n);
    n->donor_config.trust = &n->box->images[0].given.trust;
    n->donor_config.image_count = 1;
    n->donor_config.images = n->bmc->sources;
    n->oem.recipients = n->bmc->slots;
    n->oem.slot_count = 1;
}

/* ---- consoles ---- */

/* The first is honest and has a good image, often the newest; the others are what the draw gives.
 * Then the newest may be had of liars only. */
static void plan_console(struct box_node *n)
{
    struct box *box = n->box;
    struct box_console *c = n->console;
    bool first = n->index == box->bmc_count;
    uint32_t newest = 1u << (box->good_count - 1), good = 2 * newest - 1;
    uint32_t images = box_draw(box, 1u << box->image_count);

    c->meddles = box_chance(box, 50);
    c->often = (uint8_t)(box_chance(box, 30) ? 1 : between(box, 2, 12));
    n->donor_config.trust = &box->images[0].given.trust;
    if (first) {
        images &= good;
        box_console_make(n, images == 0 || box_chance(box, 60) ? images | newest : images, false);
        return;
    }
    if (box_chance(box, 55)) {
        for (int kinds = (int)between(box, 1, 3); kinds > 0; kinds--)
            c->lies |= (uint16_t)(1u << box_draw(box, 10));
        images |= newest; /* that is what a liar is asked for */
    } else if (box_chance(box, 20)) {
        images = 1u << (box->image_count - 1);
        n->donor_config.trust = &box->images[box->image_count - 1].given.trust;
    }
    box_console_make(n, images, box_chance(box, 10));
}

/* ---- the world ---- */

static void plan_wires(struct box *box)
{
    box->wires.delay_ms = between(box, 1, 15);
    box->wires.jitter_ms = box_chance(box, 60) ? between(box, 1, 40) : 0;
    box->wires.loss = box_chance(box, 60) ? between(box, 5, 300) : 0;
    box->wires.duplication = box_chance(box, 50) ? between(box, 5, 150) : 0;
    box->wires.corruption = box_chance(box, 40) ? between(box, 2, 60) : 0;
    box->wires.sessionless = box_chance(box, 25);
}

/* The first lines of a trace. */
static void say_plan(struct box *box)
{
    static const char *const kinds[] = {"", "write", "preserve", "fill"};

    box_say(box, NULL, "chip of %u KiB, blocks of %u, erase units of %u; %u images",
            box->size / 1024, box->block_size, box->erase_size, box->image_count);
    for (uint16_t i = 0; i < box->map.count; i++) {
        const struct fwr_region *r = &box->map.regions[i];
        box_say(box, NULL, "%#x to %#x: %s%s", r->offset, r->offset + r->length, kinds[r->kind],
                r->flags & FWR_REGION_BOOT ? ", boot" : "");
    }
    for (uint8_t i = 0; i < box->node_count; i++) {
        const struct box_node *n = &box->nodes[i];
        const struct box_bmc *b = n->bmc;
        if (b != NULL)
            box_say(box, n, "revision %u, guard mode %u, batches of %u, %u lanes, %u donors%s%s%s",
                    b->board.hardware_revision, b->config.guard, b->config.batch, b->config.lanes,
                    b->config.peer_count, b->durable ? ", write cache" : "",
                    b->board.local ? ", waives leaves" : "",
                    b->config.boot_proof_ms ? ", wants a boot proof" : "");
        else
            box_say(box, n, "%u images%s%s", n->donor_config.image_count,
                    n->console->lies ? ", lies" : "", n->console->meddles ? ", meddles" : "");
    }
}

void box_plan(struct box *box)
{
    plan_chip(box);
    plan_map(box);
    plan_images(box);
    plan_wires(box);
    if (box_bus_wanted(box->seed))
        box_bus_make(box);
    box->bmc_count = (uint8_t)between(box, 2, BOX_BMCS_MAX);
    box->node_count = (uint8_t)(box->bmc_count + between(box, 1, BOX_CONSOLES_MAX));
    for (uint8_t i = 0; i < box->node_count; i++)
        box_node_make(box, i);
    for (uint8_t i = 0; i < box->node_count; i++)
        if (box->nodes[i].bmc != NULL)
            plan_bmc(&box->nodes[i]);
        else
            plan_console(&box->nodes[i]);
    for (size_t i = 0; i < sizeof(box->weights) / sizeof(box->weights[0]); i++)
        box->weights[i] = (uint16_t)(box_chance(box, 30) ? 0 : between(box, 1, 10));
    box->mischief_ms = between(box, 100, 3000);
    box->calm_at = box->now + 5000 + box_draw(box, 90000);
    say_plan(box);
    if (box->bus != NULL)
        box_bus_begin(box);
}

void box_plan_free(struct box *box)
{
    if (box->bus != NULL)
        box_bus_free(box);
    for (uint8_t i = 0; i < box->node_count; i++) {
        if (box->nodes[i].bmc != NULL)
            box_watch_close(&box->nodes[i]);
        box_node_free(&box->nodes[i]);
    }
    for (uint8_t i = 0; i < box->image_count; i++) {
        given_image_free(&box->images[i].given);
        free(box->images[i].tree);
    }
}
