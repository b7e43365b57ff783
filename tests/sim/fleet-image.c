/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the flashes of a fleet hold, see fleet.h: blocks that follow from their numbers, so that
 * no flash needs memory for them, and the memo of their hashes.
 *
 * Ten thousand recipients that hash 16 MiB four times would be 640 GiB of SHA-256. The linker
 * sends fwr_hash_leaf and fwr_tree_part_build through here (--wrap). A block that is byte for
 * byte one that was hashed before gets the same hash, a part whose leaves are all equal to one
 * built before gets the same nodes; everything else goes to the library. Nothing is taken for
 * granted: the bytes are compared each time.
 */
#include "tests/sim/fleet.h"

#define HEADER     16u
#define BODY       (FLEET_BLOCK - HEADER)
#define BLOCKS_MAX 4096u
#define PARTS      4096u

/* A block: 16 bytes that say which, and a body that all blocks of a kind share. */
struct header {
    uint32_t kind;
    uint32_t index;
    uint64_t mark;
};

static uint8_t bodies[2][BODY];
static bool bodies_made;
static struct {
    bool known;
    uint8_t hash[FWR_HASH_MAX];
} leaves[2][BLOCKS_MAX];

static struct part_memo {
    uint32_t leaves;
    uint8_t *nodes; /* of the part, built */
    uint8_t *input; /* its leaves */
} parts[PARTS];

int __real_fwr_hash_leaf(struct fwr_hasher *hasher, const void *block, size_t length, uint8_t *out);
int __wrap_fwr_hash_leaf(struct fwr_hasher *hasher, const void *block, size_t length, uint8_t *out);
int __real_fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher);
int __wrap_fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher);

static void bodies_make(void)
{
    uint64_t random = 20;

    for (unsigned kind = 0; kind < 2 && !bodies_made; kind++)
        seeded_fill(&random, bodies[kind], BODY);
    bodies_made = true;
}

static struct header header_of(uint32_t kind, uint32_t index)
{
    uint64_t random = (uint64_t)kind << 32 | index;
    struct header header = {.kind = kind, .index = index};

    header.mark = seeded_next(&random);
    return header;
}

void fleet_image_block(enum fleet_block state, uint32_t index, uint8_t *out)
{
    if (state == FLEET_BLOCK_ERASED) {
        memset(out, 0xff, FLEET_BLOCK);
        return;
    }
    struct header header = header_of(state, index);

    memcpy(out, &header, HEADER);
    memcpy(out + HEADER, bodies[state], BODY);
}

/* Which block the bytes are, all of them: false when they are none of ours. */
static bool identify(const uint8_t *bytes, struct header *header)
{
    memcpy(header, bytes, HEADER);
    if (header->kind > FLEET_BLOCK_RUBBISH || header->index >= BLOCKS_MAX)
        return false;
    struct header expected = header_of(header->kind, header->index);

    return header->mark == expected.mark && memcmp(bytes + HEADER, bodies[header->kind], BODY) == 0;
}

bool fleet_image_is_base(uint32_t index, const uint8_t *bytes)
{
    struct header header;

    return identify(bytes, &header) && header.kind == FLEET_BLOCK_BASE && header.index == index;
}

void fleet_image_make(struct fleet_image *image, bool whole)
{
    struct given_image *g = &image->given;

    bodies_make();
    memset(image, 0, sizeof(*image));
    image->whole = whole;
    image->blocks = whole ? 1024 : 4096;
    g->blocks = image->blocks;
    g->block_size = FLEET_BLOCK;
    g->bytes = malloc((size_t)g->blocks * FLEET_BLOCK);
    for (uint32_t i = 0; i < g->blocks; i++)
        fleet_image_block(FLEET_BLOCK_BASE, i, g->bytes + (size_t)i * FLEET_BLOCK);
    g->manifest.map.count = 1;
    g->manifest.map.regions[0] =
        (struct fwr_region){0, g->blocks * FLEET_BLOCK, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    if (given_image_make(g) != FWR_OK)
        abort();
}

void fleet_image_free(struct fleet_image *image)
{
    given_image_free(&image->given);
    for (size_t i = 0; i < PARTS; i++) {
        free(parts[i].nodes);
        free(parts[i].input);
    }
    memset(parts, 0, sizeof(parts));
}

/* ---- the memo ---- */

int __wrap_fwr_hash_leaf(struct fwr_hasher *hasher, const void *block, size_t length, uint8_t *out)
{
    struct header header;

    if (length != FLEET_BLOCK || hasher->algorithm != FWR_HASH_SHA256 ||
        !identify((const uint8_t *)block, &header))
        return __real_fwr_hash_leaf(hasher, block, length, out);
    if (!leaves[header.kind][header.index].known) {
        int error =
            __real_fwr_hash_leaf(hasher, block, length, leaves[header.kind][header.index].hash);
        if (error != FWR_OK)
            return error;
        leaves[header.kind][header.index].known = true;
    }
    memcpy(out, leaves[header.kind][header.index].hash, hasher->hash_size);
    return FWR_OK;
}

int __wrap_fwr_tree_part_build(const struct fwr_tree_part *part, struct fwr_hasher *hasher)
{
    const uint8_t *first = fwr_tree_part_node(part, 0, 0);
    size_t size = (size_t)part->leaves * part->hash_size;
    size_t all = (size_t)fwr_tree_nodes(part->leaves) * part->hash_size;
    uint32_t key = (uint32_t)(first[0] | first[1] << 8 | first[2] << 16) % PARTS;
    struct part_memo *memo = &parts[key];

    if (hasher->algorithm != FWR_HASH_SHA256)
        return __real_fwr_tree_part_build(part, hasher);
    if (memo->leaves == part->leaves && memcmp(memo->input, first, size) == 0) {
        memcpy(part->nodes, memo->nodes, all);
        return FWR_OK;
    }
    int error = __real_fwr_tree_part_build(part, hasher);

    if (error != FWR_OK)
        return error;
    memo->leaves = part->leaves;
    memo->input = realloc(memo->input, size);
    memo->nodes = realloc(memo->nodes, all);
    memcpy(memo->input, first, size);
    memcpy(memo->nodes, part->nodes, all);
    return FWR_OK;
}
