/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand of an administrator, see box.h: sends BMCs commands that make sense and commands
 * that do not, or pushes an image. One request at a time; what is not answered is sent again a
 * few times.
 */
#include "tests/sim/box.h"

#define WAIT_MS   1500
#define TRIES     4
#define WRITE_MAX 170 /* data bytes of one Write Data */
#define WRITES    4000

enum doing {
    IDLE,
    COMMAND, /* one command, answered or not */
    OFFER,
    WANTED,
    WRITE,
};

static void send(struct box_node *n, uint8_t command, const uint8_t *data, int length)
{
    struct box_hand *h = &n->console->hand;
    struct box_message *m = box_message_new(n->box);

    if (length <= 0)
        abort();
    m->from = n->index;
    m->to = h->target;
    m->peer = BOX_BY_HAND;
    m->command = h->command = command;
    m->serial = ++h->serial;
    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        m->bytes[i] = (uint8_t)(n->oem.iana >> 8 * i);
    memcpy(m->bytes + FWR_IANA_SIZE, data, (size_t)length);
    m->length = (uint16_t)(FWR_IANA_SIZE + length);
    box_send(n->box, m, 0);
    box_post(n->box, n->box->now + WAIT_MS, BOX_EVENT_HAND, n->index, (void *)(uintptr_t)h->serial);
}

/* ---- commands ---- */

static uint32_t some_run(struct box_node *n)
{
    return box_chance(n->box, 80) ? 1 + box_draw(n->box, 12) : box_draw(n->box, 3);
}

static int make_start(struct box_node *n, uint8_t *out, size_t capacity)
{
    struct fwr_start_request r = {.cookie = n->console->hand.cookie,
                                  .run = 1 + some_run(n),
                                  .mode = (uint8_t)box_draw(n->box, 3)};

    return fwr_start_request_encode(&r, out, capacity);
}

static int make_abort(struct box_node *n, uint8_t *out, size_t capacity)
{
    struct fwr_start_request r = {.cookie = n->console->hand.cookie, .run = 1 + some_run(n)};

    return fwr_abort_request_encode(&r, out, capacity);
}

/* Never above the newest good image: then nobody could finish, and rightly so. */
static int make_policy(struct box_node *n, uint8_t *out, size_t capacity)
{
    struct box *box = n->box;
    uint8_t value[4] = {(uint8_t)box->images[box_draw(box, box->good_count)].given.sequence};
    struct fwr_set_policy_request r = {.cookie = n->console->hand.cookie,
                                       .generation = 1 + box_draw(box, 6),
                                       .item = FWR_POLICY_MIN_SEQUENCE,
                                       .value = value,
                                       .length = box_chance(box, 90) ? 4 : 3};

    if (box_chance(box, 30)) {
        r.item = FWR_POLICY_MEDIA;
        r.length = 1;
        value[0] =
            (uint8_t) ~(box_chance(box, 20) ? 1u << FWR_MEDIUM_WLAN : 1u << FWR_MEDIUM_SERIAL);
    }
    return fwr_set_policy_request_encode(&r, out, capacity);
}

static int make_page(struct box_node *n, uint8_t *out, size_t capacity)
{
    struct fwr_read_page_request r = {.cookie = n->console->hand.cookie,
                                      .page = (uint8_t)box_draw(n->box, 5),
                                      .generation = (uint8_t)box_draw(n->box, 3),
                                      .offset = box_draw(n->box, 3000),
                                      .length = (uint16_t)(1 + box_draw(n->box, 400))};

    return fwr_read_page_request_encode(&r, out, capacity);
}

static int make_status(struct box_node *n, uint8_t *out, size_t capacity)
{
    struct fwr_get_status_request r = {.cookie = n->console->hand.cookie,
                                       .slot = (uint8_t)box_chance(n->box, 10)};

    return fwr_get_status_request_encode(&r, out, capacity);
}

static void command(struct box_node *n)
{
    static const struct {
        uint8_t command;
        int (*make)(struct box_node *n, uint8_t *out, size_t capacity);
    } commands[] = {{FWR_CMD_START, make_start},
                    {FWR_CMD_ABORT, make_abort},
                    {FWR_CMD_SET_POLICY, make_policy},
                    {FWR_CMD_READ_PAGE, make_page},
                    {FWR_CMD_GET_STATUS, make_status}};
    uint32_t i = box_draw(n->box, sizeof(commands) / sizeof(commands[0]));
    uint8_t bytes[64];

    n->console->hand.doing = COMMAND;
    n->console->hand.cookie++;
    send(n, commands[i].command, bytes, commands[i].make(n, bytes, sizeof(bytes)));
}

/* ---- push ---- */

static void push_offer(struct box_node *n)
{
    struct box_hand *h = &n->console->hand;
    struct fwr_offer_request r = {.cookie = ++h->cookie,
                                  .sequence = h->image->given.manifest.sequence};
    uint8_t bytes[64];

    h->doing = OFFER;
    memcpy(r.tag, h->image->given.id, FWR_TAG_SIZE);
    send(n, FWR_CMD_OFFER, bytes, fwr_offer_request_encode(&r, bytes, sizeof(bytes)));
}

static void push_ask(struct box_node *n)
{
    struct box_hand *h = &n->console->hand;
    struct fwr_get_wanted_request r = {.cookie = ++h->cookie, .transfer = h->transfer};
    uint8_t bytes[64];

    h->doing = WANTED;
    send(n, FWR_CMD_GET_WANTED, bytes, fwr_get_wanted_request_encode(&r, bytes, sizeof(bytes)));
}

static void push_end(struct box_node *n, uint8_t result)
{
    struct box_hand *h = &n->console->hand;
    struct fwr_end_transfer_request r = {
        .cookie = ++h->cookie, .transfer = h->transfer, .result = result};
    uint8_t bytes[64];

    h->doing = COMMAND;
    send(n, FWR_CMD_END_TRANSFER, bytes, fwr_end_transfer_request_encode(&r, bytes, sizeof(bytes)));
}

static void push_write(struct box_node *n, const struct fwr_wanted *range)
{
    struct box_hand *h = &n->console->hand;
    const struct given_image *g = &h->image->given;
    const uint8_t *object = range->object == FWR_OBJECT_MANIFEST ? g->envelope
                            : range->object == FWR_OBJECT_TREE   ? h->image->tree
                                                                 : g->bytes;
    size_t size = range->object == FWR_OBJECT_MANIFEST ? g->envelope_length
                  : range->object == FWR_OBJECT_TREE   ? h->image->tree_size
                                                       : n->box->size;
    uint8_t data[WRITE_MAX], bytes[256];
    struct fwr_write_data_request r = {.cookie = ++h->cookie,
                                       .transfer = h->transfer,
                                       .object = range->object,
                                       .offset = range->offset,
                                       .data = data};

    if (range->offset >= size || ++h->writes > WRITES) {
        push_end(n, (uint8_t)-FWR_E_ABORTED);
        return;
    }
    r.length = range->length < WRITE_MAX ? range->length : WRITE_MAX;
    if (r.length > size - range->offset)
        r.length = size - range->offset;
    memcpy(data, object + range->offset, r.length);
    if (h->lies && box_chance(n->box, 10))
        data[box_draw(n->box, (uint32_t)r.length)] ^= 1;
    h->doing = WRITE;
    send(n, FWR_CMD_WRITE_DATA, bytes, fwr_write_data_request_encode(&r, bytes, sizeof(bytes)));
}

static void push(struct box_node *n)
{
    struct box_hand *h = &n->console->hand;
    struct box *box = n->box;

    h->image = &box->images[box_chance(box, 80) ? box_draw(box, box->good_count)
                                                : box_draw(box, box->image_count)];
    h->lies = box_chance(box, 30);
    h->writes = 0;
    push_offer(n);
}

/* ---- acting ---- */

static void begin(struct box_node *n)
{
    struct box_hand *h = &n->console->hand;

    h->target = (uint8_t)box_draw(n->box, n->box->bmc_count);
    h->tries = 0;
    if (box_chance(n->box, 20))
        push(n);
    else
        command(n);
}

/* Nobody answered in time: once more, or it is left. */
static void again(struct box_node *n)
{
    struct box_hand *h = &n->console->hand;

    if (h->doing == COMMAND || ++h->tries > TRIES || n->box->calm)
        h->doing = IDLE;
    else if (h->doing == OFFER)
        push_offer(n);
    else
        push_ask(n);
}

void box_hand_act(struct box_node *n, uint32_t serial)
{
    struct box_hand *h = &n->console->hand;

    if (h->doing != IDLE && serial == h->serial)
        again(n);
    if (h->doing == IDLE && !n->box->calm && serial == h->serial) {
        if (box_chance(n->box, 50))
            begin(n);
        else
            box_post(n->box, n->box->now + 100 + box_draw(n->box, 4000), BOX_EVENT_HAND, n->index,
                     (void *)(uintptr_t)h->serial);
    }
}

/* ---- replies ---- */

static void on_offer(struct box_node *n, const uint8_t *data, size_t length)
{
    struct fwr_offer_reply reply;

    if (fwr_offer_reply_decode(data, length, &reply) != FWR_OK ||
        reply.result != FWR_OFFER_ACCEPTED) {
        n->console->hand.doing = IDLE;
        return;
    }
    n->console->hand.transfer = reply.transfer;
    push_ask(n);
}

static void on_wanted(struct box_node *n, const uint8_t *data, size_t length)
{
    struct fwr_get_wanted_reply reply;
    struct fwr_wanted range;

    if (fwr_get_wanted_reply_decode(data, length, &reply) != FWR_OK ||
        reply.more == FWR_WANTED_DONE) {
        n->box->counts[BOX_PUSHED] += reply.more == FWR_WANTED_DONE;
        push_end(n, 0);
    } else if (reply.count > 0 && fwr_wanted_decode(reply.ranges, FWR_WANTED_SIZE, &range) == 0) {
        push_write(n, &range);
    } /* else asked again when the wait is over */
}

static void count_command(struct box_node *n, uint8_t command, uint8_t result)
{
    uint64_t *counts = n->box->counts;

    if (command == FWR_CMD_ABORT)
        counts[BOX_ABORTED] += result == FWR_START_OK;
    if (command == FWR_CMD_SET_POLICY)
        counts[result == FWR_POLICY_OK ? BOX_POLICY : BOX_POLICY_REFUSED]++;
    if (command == FWR_CMD_READ_PAGE)
        counts[BOX_PAGES]++;
}

void box_hand_reply(struct box_node *n, const struct box_message *m)
{
    struct box_hand *h = &n->console->hand;
    const uint8_t *data = m->bytes + FWR_OEM_HEADER;
    size_t length = m->length > FWR_OEM_HEADER ? m->length - FWR_OEM_HEADER : 0;

    if (m->serial != h->serial || h->doing == IDLE || m->from != h->target)
        return;
    if (m->bytes[0] != 0 || length == 0) {
        if (h->doing != COMMAND && m->bytes[0] == fwr_error_completion_code(FWR_E_BUSY))
            return; /* asked again when the wait is over */
        h->doing = IDLE;
    } else if (h->doing == OFFER) {
        on_offer(n, data, length);
    } else if (h->doing == WANTED) {
        on_wanted(n, data, length);
    } else if (h->doing == WRITE) {
        h->tries = 0;
        push_ask(n);
    } else {
        count_command(n, m->command, length > 1 ? data[1] : 0);
        h->doing = IDLE;
    }
    if (h->doing == IDLE)
        box_post(n->box, n->box->now + 50 + box_draw(n->box, 4000), BOX_EVENT_HAND, n->index,
                 (void *)(uintptr_t)h->serial);
}
