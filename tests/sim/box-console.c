/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console that gives images away, see box.h: the library's donor engine on copies in memory.
 */
#include "tests/sim/box.h"

static int held_read(void *ctx, uint32_t address, void *buffer, uint32_t length)
{
    const struct box_held *held = ctx;

    memcpy(buffer, held->bytes + address, length);
    return FWR_OK;
}

static int held_envelope(void *ctx, void *buffer, size_t capacity, size_t *length)
{
    const struct given_image *g = &((const struct box_held *)ctx)->image->given;

    if (g->envelope_length > capacity)
        return FWR_E_NO_SPACE;
    memcpy(buffer, g->envelope, g->envelope_length);
    *length = g->envelope_length;
    return FWR_OK;
}

void box_console_make(struct box_node *n, uint32_t images, bool damaged)
{
    struct box_console *c = n->console;
    struct box *box = n->box;
    uint8_t count = 0;

    for (uint8_t i = 0; i < box->image_count; i++) {
        struct box_held *held = &c->held[count];
        if (!(images >> i & 1))
            continue;
        held->image = &box->images[i];
        held->owner = n;
        held->bytes = malloc(box->size);
        memcpy(held->bytes, held->image->given.bytes, box->size);
        if (damaged) /* its disk is not what it was */
            seeded_fill(&box->random, held->bytes + box_draw(box, box->size - 64), 64);
        held->source = (struct fwr_source){.size = sizeof(held->source),
                                           .ctx = held,
                                           .name = n->name,
                                           .envelope = held_envelope,
                                           .read = held_read};
        c->sources[count++] = &held->source;
    }
    n->donor_config.image_count = count;
    n->donor_config.images = c->sources;
}

void box_console_free(struct box_node *n)
{
    for (uint8_t i = 0; i < BOX_IMAGES_MAX; i++)
        free(n->console->held[i].bytes);
}
