/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donors that lie, see box.h: an honest engine's reply goes in, and something else comes out.
 * A liar has genuine images, so that it is listened to.
 */
#include "tests/sim/box.h"

#define DATA (FWR_OEM_HEADER + 1) /* behind the cookie */

struct speech {
    struct box_node *n;
    const struct box_message *asked;
    uint8_t *reply;
    size_t length;
    uint32_t *late_ms;
};

static bool is_data(const struct speech *s, uint8_t command)
{
    return s->asked->command == command && s->length > DATA && s->reply[0] == 0;
}

static void flip(struct speech *s)
{
    s->reply[DATA + box_draw(s->n->box, (uint32_t)(s->length - DATA))] ^=
        (uint8_t)(1u << box_draw(s->n->box, 8));
}

static bool block(struct speech *s)
{
    if (!is_data(s, FWR_CMD_READ_BLOCKS))
        return false;
    flip(s);
    return true;
}

static bool tree(struct speech *s)
{
    if (!is_data(s, FWR_CMD_READ_TREE))
        return false;
    flip(s);
    return true;
}

/* Another image's bytes of the same place. */
static bool mix(struct speech *s)
{
    struct fwr_read_request asked;
    struct box *box = s->n->box;
    const struct given_image *other = &box->images[box_draw(box, box->image_count)].given;

    if (!is_data(s, FWR_CMD_READ_BLOCKS) ||
        fwr_read_request_decode(s->asked->bytes + FWR_IANA_SIZE,
                                (size_t)s->asked->length - FWR_IANA_SIZE, &asked) != FWR_OK ||
        asked.offset + s->length - DATA > box->size)
        return false;
    memcpy(s->reply + DATA, other->bytes + asked.offset, s->length - DATA);
    return true;
}

/* Another envelope under the same tag, or a damaged one. */
static bool manifest(struct speech *s)
{
    struct fwr_read_manifest_request asked;
    struct box *box = s->n->box;
    const struct given_image *other = &box->images[box_draw(box, box->image_count)].given;

    if (!is_data(s, FWR_CMD_READ_MANIFEST))
        return false;
    if (box_chance(box, 50) ||
        fwr_read_manifest_request_decode(s->asked->bytes + FWR_IANA_SIZE,
                                         (size_t)s->asked->length - FWR_IANA_SIZE,
                                         &asked) != FWR_OK ||
        asked.offset + s->length - DATA > other->envelope_length)
        flip(s);
    else
        memcpy(s->reply + DATA, other->envelope + asked.offset, s->length - DATA);
    return true;
}

/* An id that is not the one it knows, or limits of nothing. */
static bool transfer(struct speech *s)
{
    if (s->asked->command != FWR_CMD_ACCEPT_OFFER || s->length < DATA + 12 || s->reply[0] != 0)
        return false;
    if (box_chance(s->n->box, 70))
        s->reply[DATA + 1 + box_draw(s->n->box, 4)] ^= 0x55;
    else
        memset(s->reply + DATA + 1 + box_draw(s->n->box, 8), 0, 3);
    return true;
}

/* What it said before, with the old cookie or with the one that is wanted now. */
static bool stale(struct speech *s)
{
    struct box_console *c = s->n->console;
    uint8_t cookie = s->reply[FWR_OEM_HEADER];

    if (s->length <= DATA || s->reply[0] != 0)
        return false;
    if (c->stale_length == 0 || box_chance(s->n->box, 20)) {
        memcpy(c->stale, s->reply, s->length);
        c->stale_length = (uint16_t)s->length;
        return false;
    }
    memcpy(s->reply, c->stale, c->stale_length);
    s->length = c->stale_length;
    if (box_chance(s->n->box, 70))
        s->reply[FWR_OEM_HEADER] = cookie;
    return true;
}

static bool size(struct speech *s)
{
    size_t more = 1 + box_draw(s->n->box, (uint32_t)(BOX_MESSAGE_MAX - s->length));

    if (s->reply[0] != 0)
        return false;
    seeded_fill(&s->n->box->random, s->reply + s->length, more);
    s->length += more;
    return true;
}

/* Newer than anything, under a tag of nothing; or more matches than anybody can have. */
static bool offer(struct speech *s)
{
    struct fwr_request_image_reply reply;

    if (!is_data(s, FWR_CMD_REQUEST_IMAGE) ||
        fwr_request_image_reply_decode(s->reply + FWR_OEM_HEADER, s->length - FWR_OEM_HEADER,
                                       &reply) != FWR_OK)
        return false;
    reply.result = FWR_IMAGE_OFFER;
    reply.sequence += box_draw(s->n->box, 1000);
    reply.count = (uint8_t)box_draw(s->n->box, 256);
    if (box_chance(s->n->box, 40))
        seeded_fill(&s->n->box->random, reply.tag, sizeof(reply.tag));
    int made = fwr_request_image_reply_encode(&reply, s->reply + FWR_OEM_HEADER, 64);
    if (made > 0)
        s->length = FWR_OEM_HEADER + (size_t)made;
    return true;
}

static bool code(struct speech *s)
{
    static const uint8_t codes[] = {0x80, 0x81, 0xc0, 0xc1, 0xc7, 0xc9,
                                    0xcb, 0xcc, 0xd4, 0xd5, 0xff, 0xc3};

    s->reply[0] = codes[box_draw(s->n->box, sizeof(codes))];
    return true;
}

static bool slow(struct speech *s)
{
    *s->late_ms = 200 + box_draw(s->n->box, 15000);
    return true;
}

size_t box_lie(struct box_node *n, const struct box_message *m, uint8_t *reply, size_t length,
               uint32_t *late_ms)
{
    static const struct {
        bool (*tell)(struct speech *s);
        enum box_count count;
    } lies[] = {{block, BOX_LIE_BLOCK},       {tree, BOX_LIE_TREE},
                {manifest, BOX_LIE_MANIFEST}, {transfer, BOX_LIE_TRANSFER},
                {stale, BOX_LIE_STALE},       {size, BOX_LIE_SIZE},
                {offer, BOX_LIE_OFFER},       {code, BOX_LIE_CODE},
                {mix, BOX_LIE_MIX},           {slow, BOX_SLOW}};
    struct speech s = {n, m, reply, length, late_ms};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (!(n->console->lies >> i & 1) || box_draw(n->box, n->console->often) > 0)
            continue;
        if (lies[i].tell(&s))
            n->box->counts[lies[i].count]++;
    }
    return s.length;
}
