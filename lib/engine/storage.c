/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage: see storage.h. One walk over the pieces both measures and builds, so that the
 * published size cannot differ from what is used.
 */
#include "storage.h"

#include <stdalign.h>
#include <string.h>

#define BLOCK_DEFAULT 4096

/* Cuts the caller's storage into pieces, or only measures when `base` is NULL. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *take(struct arena *arena, size_t size)
{
    size_t at = (arena->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    arena->used = at + size;
    return arena->base ? arena->base + at : NULL;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

void fwr_storage_defaults(struct fwr_recipient_config *c)
{
    c->lanes = c->lanes ? c->lanes : 4;
    c->batch = c->batch ? c->batch : FWR_BATCH_MAX;
    c->flash_retries = c->flash_retries ? c->flash_retries : 3;
    c->block_size = c->block_size ? c->block_size : BLOCK_DEFAULT;
    c->max_envelope = c->max_envelope ? c->max_envelope : FWR_ENVELOPE_CAP_DEFAULT;
    c->gather_ms = c->gather_ms ? c->gather_ms : 1000;
    c->min_rate = c->min_rate ? c->min_rate : 64;
    c->backoff_ms = c->backoff_ms ? c->backoff_ms : 5000;
    c->rounds = c->rounds ? c->rounds : 5;
    c->log_size = c->log_size ? c->log_size : 4096;
    c->max_jump = c->max_jump ? c->max_jump : FWR_FLOOR_JUMP_DEFAULT;
}

static bool usable_banks(const struct fwr_banks *b, const struct fwr_flash_geometry *g)
{
    if (b->size != sizeof(*b) || !b->second || !b->read || !b->write)
        return false;
    const struct fwr_flash_geometry *other = &b->second->geometry;
    return other->size == g->size && other->erase_size == g->erase_size &&
           other->program_size == g->program_size && other->erased_value == g->erased_value;
}

static bool usable(const struct fwr_recipient_config *c)
{
    if (!c || c->size != sizeof(*c) || !c->platform || !c->flash || !c->store || !c->host ||
        !c->policy || !c->board || (c->peer_count > 0 && !c->peers))
        return false;
    if (c->peer_count > FWR_PEERS_MAX || c->lanes > FWR_LANES_MAX || c->batch > FWR_BATCH_MAX ||
        c->max_envelope > FWR_ENVELOPE_MAX)
        return false;
    const struct fwr_flash_geometry *g = &c->flash->geometry;
    uint32_t block = c->block_size ? c->block_size : BLOCK_DEFAULT;
    if ((block & (block - 1)) || block < FWR_BLOCK_SIZE_MIN || block > FWR_BLOCK_SIZE_MAX)
        return false;
    if (g->erase_size == 0 || (g->erase_size & (g->erase_size - 1)) || g->size == 0 ||
        g->size % g->erase_size || g->size % block || g->program_size == 0 ||
        g->erase_size % g->program_size)
        return false;
    if (c->banks && !usable_banks(c->banks, g))
        return false;
    for (uint8_t i = 0; i < c->peer_count; i++) {
        const struct fwr_link_limits *l = &c->peers[i].limits;
        if (l->max_request < FWR_LINK_MIN_REQUEST || l->max_reply < FWR_LINK_MIN_REPLY ||
            l->window == 0)
            return false;
    }
    return true;
}

/* What is worked at, in the numbers that the configuration asks for. */
static void lay_out_work(struct arena *arena, const struct fwr_recipient_config *c,
                         struct fwr_recipient *layout)
{
    uint32_t offers = c->peer_count * (FWR_MATCHES_MAX + 1u) + 1;

    layout->peers =
        (struct fwr_donor_peer *)take(arena, sizeof(*layout->peers) * (c->peer_count + 1u));
    layout->fetch_count = (uint8_t)(c->lanes + FWR_TREE_FETCHES);
    layout->fetches =
        (struct fwr_fetch *)take(arena, sizeof(*layout->fetches) * layout->fetch_count);
    uint32_t most = c->peer_count < FWR_CANDIDATES_MAX ? FWR_CANDIDATES_MAX : c->peer_count + 1u;
    layout->candidate_max = (uint8_t)(offers < most ? offers : most);
    layout->candidates =
        (struct fwr_candidate *)take(arena, sizeof(*layout->candidates) * layout->candidate_max);
    layout->lanes = (struct fwr_lane *)take(arena, sizeof(*layout->lanes) * c->lanes);
    uint32_t blocks = layout->unit_max / FWR_BLOCK_SIZE_MIN;
    layout->lane_blocks_max = (uint16_t)(blocks < FWR_UNIT_BLOCKS ? blocks : FWR_UNIT_BLOCKS);
    layout->lane_blocks = (uint8_t *)take(arena, (size_t)c->lanes * layout->lane_blocks_max);
}

/* Places every piece; the same walk measures and builds. */
static struct fwr_recipient *lay_out(struct arena *arena, const struct fwr_recipient_config *c)
{
    struct fwr_recipient *r = (struct fwr_recipient *)take(arena, sizeof(*r));
    uint32_t leaves = c->flash->geometry.size / c->block_size;
    uint32_t erase = c->flash->geometry.erase_size;
    uint32_t unit = erase > c->block_size ? erase : c->block_size;
    size_t part = fwr_tree_part_size(leaves, FWR_HASH_MAX);
    size_t segment = fwr_tree_segment_leaves(leaves);
    struct fwr_recipient layout = {0};

    layout.max_leaves = leaves;
    layout.unit_max = unit;
    lay_out_work(arena, c, &layout);
    layout.envelope = (uint8_t *)take(arena, c->max_envelope);
    /* Manifests are judged before anything is hashed: one memory serves both. */
    layout.tags = (uint16_t *)take(arena, max_size(leaves * sizeof(*layout.tags), c->max_envelope));
    layout.scratch = (uint8_t *)layout.tags;
    layout.top_local_nodes = (uint8_t *)take(arena, part);
    layout.top_remote_nodes = (uint8_t *)take(arena, part);
    layout.local_nodes = (uint8_t *)take(arena, part);
    layout.remote_nodes = (uint8_t *)take(arena, part);
    /* A smaller image may have more segments, never more than this. */
    layout.top_marks = (uint8_t *)take(arena, 2 * segment);
    layout.marks = (uint8_t *)take(arena, segment);
    layout.plan = (uint32_t *)take(arena, segment * sizeof(*layout.plan));
    if (c->board->local)
        layout.waived = (struct fwr_waived *)take(arena, sizeof(*layout.waived));
    layout.block = (uint8_t *)take(arena, c->block_size);
    layout.log = (uint8_t *)take(arena, c->log_size);
    layout.lane_area = (uint8_t *)take(arena, (size_t)c->lanes * unit);
    if (r)
        *r = layout;
    return r;
}

size_t fwr_recipient_storage(const struct fwr_recipient_config *config)
{
    struct arena arena = {0};

    if (!usable(config))
        return 0;
    struct fwr_recipient_config filled = *config;
    fwr_storage_defaults(&filled);
    lay_out(&arena, &filled);
    return arena.used;
}

size_t fwr_recipient_lane_storage(const struct fwr_recipient_config *config)
{
    if (!usable(config))
        return 0;
    struct fwr_recipient_config filled = *config;
    fwr_storage_defaults(&filled);
    uint32_t erase = filled.flash->geometry.erase_size;
    return (size_t)filled.lanes * (erase > filled.block_size ? erase : filled.block_size);
}

struct fwr_recipient *fwr_storage_build(void *storage, const struct fwr_recipient_config *config)
{
    struct arena arena = {.base = (uint8_t *)storage};

    memset(storage, 0, fwr_recipient_storage(config));
    struct fwr_recipient *r = lay_out(&arena, config);
    r->config = *config;
    if (!r->config.floors) {
        fwr_floors_store_init(&r->floors_store, config->store);
        r->config.floors = &r->floors_store.floors;
    }
    return r;
}
