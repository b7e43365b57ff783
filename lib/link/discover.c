/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery: see discover.h. A place is an address that may be a donor's; a slot is a road that the
 * caller keeps for one place at a time; a line is an interface with its pings. Called by programs
 * that drive a recipient; it sends nothing itself.
 */
#include <fwrecover/discover.h>

#include <stdalign.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/rmcp.h>

#include "link/rmcp/packet.h"
#include "wire/cursor.h"
#include "wire/record.h"

#define NONE          0xff
#define FORMAT        1
#define ENTRY_SIZE    (4 + 2 + 1 + FWR_DISCOVER_NAME_MAX)
#define RECORD_SIZE   (2 + FWR_DISCOVER_LEARNED_MAX * ENTRY_SIZE + 4)
#define AGE_MAX       20     /* searches without a session there until a place is forgotten */
#define SLOT_MS       500    /* a slot takes on somebody at most this often */
#define ROTATE_MS     20000  /* who has not helped by then gives way to others that wait */
#define RETRY_MS      30000  /* who failed is worth another try */
#define DENY_MS       300000 /* who failed and was forgotten since is not taken up again */
#define DENIED        256    /* of those, remembered at most */
#define LOT_EVERY     4      /* every so many choices disregard the medium */
#define DEFAULT_SLOTS 4

enum place_state {
    PLACE_FREE,
    PLACE_READY,  /* to be tried */
    PLACE_TRYING, /* has a slot; no news yet */
    PLACE_GOOD,   /* a session was opened there */
    PLACE_FAILED,
};

struct place {
    uint8_t state; /* enum place_state */
    uint8_t interface;
    uint8_t slot; /* or NONE */
    uint8_t tries;
    uint8_t age;   /* searches since a session was opened there */
    bool kept;     /* in the store, or to be */
    bool answered; /* a ping of this run */
    bool moved;    /* another interface answered than the one that failed */
    struct fwr_discover_address address;
    uint32_t round_trip_ms;
    uint64_t failed_at;
};

struct slot {
    uint8_t place; /* or NONE */
    bool used;     /* ever */
    uint64_t since;
};

/* An address where no session could be opened. */
struct denied {
    uint8_t bytes[4]; /* zeros: nobody's */
    uint64_t at;
};

struct line {
    bool pinged; /* ever */
    uint8_t tag;
    uint32_t pause;
    uint64_t pinged_at;
    uint64_t next;
};

struct fwr_discover {
    struct fwr_discover_config config;
    enum { RESTING, CONFIGURED, LEARNED, PINGING } stage;
    uint64_t until; /* of the stage */
    uint32_t crowd; /* new places that came since the last ping, while there was no room */
    uint8_t choices;
    bool dirty;  /* what is kept has changed */
    bool saving; /* `record` is on its way to the store */
    bool newer;  /* the store has a record of a newer version: not ours to touch */
    struct place places[FWR_DISCOVER_PLACES_MAX];
    struct slot slots[FWR_DISCOVER_SLOTS_MAX];
    struct denied denied[DENIED];
    struct line lines[FWR_DISCOVER_INTERFACES_MAX];
    struct fwr_discover_status status;
    size_t record_length;
    uint8_t record[RECORD_SIZE];
};

static uint32_t draw(const struct fwr_discover *d, uint32_t below)
{
    const struct fwr_platform *platform = d->config.platform;
    uint32_t value = 0;

    platform->random(platform->ctx, &value, sizeof(value)); /* without luck, the first */
    return below > 0 ? value % below : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- places ---- */

/* Whether a single machine can have this address. */
static bool is_host(const struct fwr_discover_address *address)
{
    return address->bytes[0] != 0 && address->bytes[0] < 224 && address->port != 0;
}

static struct place *find(struct fwr_discover *d, const struct fwr_discover_address *address)
{
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->state != PLACE_FREE && p->address.port == address->port &&
            memcmp(p->address.bytes, address->bytes, sizeof(address->bytes)) == 0)
            return p;
    }
    return NULL;
}

static uint8_t medium_of(const struct fwr_discover *d, uint8_t interface)
{
    return d->config.interfaces[interface].medium;
}

/* Whether it may be forgotten for another one. */
static bool expendable(const struct place *p)
{
    return p->slot == NONE && !p->kept && p->state != PLACE_GOOD;
}

/* A place for every host of a network of 256; in larger ones the newest counts. */
static struct denied *denied_of(struct fwr_discover *d, const struct fwr_discover_address *address)
{
    const uint8_t *b = address->bytes;

    return &d->denied[(uint8_t)(b[3] ^ b[2] * 0x9d ^ b[1] * 0x3b)];
}

/* Room for a place never heard of: a free one, or that of whoever failed longest ago, or, by lot,
 * of one of those not tried yet, so that who comes late has as good a chance as who comes first. */
static struct place *make_room(struct fwr_discover *d)
{
    struct place *failed = NULL, *lot = NULL;
    uint32_t waiting = 0;

    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->state == PLACE_FREE)
            return p;
        if (!expendable(p))
            continue;
        if (p->state == PLACE_FAILED && (!failed || p->failed_at < failed->failed_at))
            failed = p;
        if (draw(d, ++waiting) == 0)
            lot = p;
    }
    if (!failed) {
        d->crowd++;
        if (!lot || draw(d, waiting + d->crowd) >= waiting)
            return NULL;
    }
    d->status.crowded_out++;
    return failed ? failed : lot;
}

static void use_place(struct place *p, const struct fwr_discover_address *address,
                      uint8_t interface)
{
    memset(p, 0, sizeof(*p));
    p->state = PLACE_READY;
    p->address = *address;
    p->interface = interface;
    p->slot = NONE;
}

/* A place known already answered. Over another interface: the better one counts, or the one that
 * works. */
static void heard_again(struct fwr_discover *d, struct place *p, uint8_t interface,
                        uint32_t round_trip_ms)
{
    d->status.duplicates++;
    p->answered = true;
    if (interface == p->interface) {
        p->round_trip_ms = round_trip_ms;
        return;
    }
    if (p->state != PLACE_FAILED &&
        (p->slot != NONE || medium_of(d, interface) >= medium_of(d, p->interface)))
        return;
    p->interface = interface;
    p->round_trip_ms = round_trip_ms;
    if (p->slot != NONE)
        p->moved = true;
    else
        p->state = PLACE_READY;
}

int fwr_discover_receive(struct fwr_discover *d, uint64_t now, uint8_t interface,
                         const struct fwr_discover_address *from, const uint8_t *data,
                         size_t length)
{
    const struct denied *denied;
    const struct line *line;
    struct place *p;
    uint32_t round_trip_ms;
    uint8_t tag;
    int error;

    if (interface >= d->config.interface_count)
        return FWR_E_ARGUMENT;
    line = &d->lines[interface];
    error = fwr_rmcp_pong_decode(data, length, &tag);
    if (error == FWR_OK && (!is_host(from) || from->port != d->config.port))
        error = FWR_E_MALFORMED;
    if (error == FWR_OK &&
        (!line->pinged || tag != line->tag || now - line->pinged_at > d->config.window_ms))
        error = FWR_E_STALE;
    if (error != FWR_OK) {
        d->status.dropped++;
        return error;
    }
    round_trip_ms = (uint32_t)(now - line->pinged_at);
    d->status.answers++;
    p = find(d, from);
    if (p) {
        heard_again(d, p, interface, round_trip_ms);
        return FWR_OK;
    }
    denied = denied_of(d, from);
    p = NULL;
    if (memcmp(denied->bytes, from->bytes, sizeof(denied->bytes)) != 0 ||
        now - denied->at > DENY_MS)
        p = make_room(d);
    if (!p) {
        d->status.crowded_out++;
        return FWR_E_BUSY;
    }
    use_place(p, from, interface);
    p->answered = true;
    p->round_trip_ms = round_trip_ms;
    return FWR_OK;
}

/* ---- what is learned ---- */

static unsigned kept_count(const struct fwr_discover *d)
{
    unsigned count = 0;

    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++)
        count += d->places[i].kept;
    return count;
}

/* Keeps a place where a session was opened, in place of the one of which that is longest ago. */
static void keep(struct fwr_discover *d, struct place *p)
{
    struct place *oldest = NULL;

    d->dirty |= !p->kept || p->age > 0;
    p->age = 0;
    if (p->kept)
        return;
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++)
        if (d->places[i].kept && (!oldest || d->places[i].age > oldest->age))
            oldest = &d->places[i];
    if (oldest && kept_count(d) == FWR_DISCOVER_LEARNED_MAX)
        oldest->kept = false;
    p->kept = true;
}

static void grow_older(struct fwr_discover *d)
{
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        struct place *p = &d->places[i];
        if (!p->kept)
            continue;
        d->dirty = true;
        if (++p->age > AGE_MAX)
            p->kept = false;
    }
}

static void put_name(struct fwr_writer *writer, const char *name)
{
    size_t length = strlen(name);

    fwr_writer_bytes(writer, name, length);
    fwr_writer_zeros(writer, FWR_DISCOVER_NAME_MAX - length);
}

static void encode(struct fwr_discover *d)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, d->record, sizeof(d->record));
    fwr_writer_u8(&writer, FORMAT);
    fwr_writer_u8(&writer, (uint8_t)kept_count(d));
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        const struct place *p = &d->places[i];
        if (!p->kept)
            continue;
        fwr_writer_bytes(&writer, p->address.bytes, sizeof(p->address.bytes));
        fwr_writer_u16(&writer, p->address.port);
        fwr_writer_u8(&writer, p->age);
        put_name(&writer, d->config.interfaces[p->interface].name);
    }
    d->record_length = (size_t)fwr_record_close(&writer);
}

static uint8_t interface_of(const struct fwr_discover *d, const char *name)
{
    for (uint8_t i = 0; i < d->config.interface_count; i++)
        if (strncmp(d->config.interfaces[i].name, name, FWR_DISCOVER_NAME_MAX) == 0)
            return i;
    return NONE;
}

/* One entry. What is on an interface that is not searched any more is left out. */
static void decode_entry(struct fwr_discover *d, struct fwr_reader *reader, struct place *p)
{
    struct fwr_discover_address address;
    char name[FWR_DISCOVER_NAME_MAX];
    uint8_t age, interface;

    fwr_reader_copy(reader, address.bytes, sizeof(address.bytes));
    address.port = fwr_reader_u16(reader);
    age = fwr_reader_u8(reader);
    fwr_reader_copy(reader, name, sizeof(name));
    interface = interface_of(d, name);
    if (reader->failed || interface == NONE || age > AGE_MAX || !is_host(&address) ||
        find(d, &address))
        return;
    use_place(p, &address, interface);
    p->kept = true;
    p->age = age;
}

static int decode(struct fwr_discover *d, const uint8_t *bytes, size_t length)
{
    struct fwr_reader reader;
    uint8_t count;
    int error = fwr_record_open(bytes, length, FORMAT, &reader);

    if (error)
        return error;
    count = fwr_reader_u8(&reader);
    if (count > FWR_DISCOVER_LEARNED_MAX)
        return FWR_E_STORE_CORRUPT;
    for (uint8_t i = 0; i < count; i++)
        decode_entry(d, &reader, &d->places[i]);
    if (fwr_reader_complete(&reader))
        return FWR_OK;
    memset(d->places, 0, sizeof(d->places));
    return FWR_E_STORE_CORRUPT;
}

static void load(struct fwr_discover *d)
{
    const struct fwr_store *store = d->config.store;
    size_t length = 0;
    int error;

    if (!store)
        return;
    do
        error = store->read(store->ctx, FWR_STORE_DONORS, 0, d->record, sizeof(d->record), &length);
    while (error == FWR_PENDING);
    if (error == FWR_OK)
        error = decode(d, d->record, length);
    d->newer = error == FWR_E_STORE_VERSION || error == FWR_E_NO_SPACE;
    if (error != FWR_E_NOT_FOUND)
        d->status.learned_error = error;
}

int fwr_discover_step(struct fwr_discover *d)
{
    const struct fwr_store *store = d->config.store;
    int error;

    if (!d->saving) {
        if (!d->dirty || !store || d->newer || d->status.searching)
            return FWR_OK;
        encode(d);
        d->dirty = false;
        d->saving = true;
    }
    error = store->write(store->ctx, FWR_STORE_DONORS, 0, d->record, d->record_length);
    if (error == FWR_PENDING)
        return FWR_PENDING;
    d->saving = false;
    d->status.learned_error = error;
    return FWR_OK;
}

/* ---- the search ---- */

void fwr_discover_search(struct fwr_discover *d, uint64_t now, bool wanted)
{
    if (wanted == d->status.searching)
        return;
    d->status.searching = wanted;
    d->stage = wanted ? CONFIGURED : RESTING;
    d->until = now + d->config.configured_ms;
    if (!wanted)
        return;
    grow_older(d);
    for (uint8_t i = 0; i < d->config.slots; i++)
        if (d->slots[i].place != NONE && d->places[d->slots[i].place].state != PLACE_FAILED)
            d->slots[i].since = now; /* who is there already has a new chance */
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++)
        if (d->places[i].state == PLACE_FAILED && d->places[i].slot == NONE)
            d->places[i].state = PLACE_READY;
}

static bool anybody_ready(const struct fwr_discover *d)
{
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++)
        if (d->places[i].state == PLACE_READY)
            return true;
    return false;
}

/* The first ping waits a little, drawn at random: where a whole fleet fails at once, it shall not
 * call at once. And a search that begins again and again pings no more often than one that goes
 * on. */
static void begin_pings(struct fwr_discover *d, uint64_t now)
{
    for (uint8_t i = 0; i < d->config.interface_count; i++) {
        struct line *line = &d->lines[i];
        uint64_t soonest = line->pinged ? line->pinged_at + d->config.interval_ms : 0;

        line->pause = d->config.interval_ms;
        line->next = now + draw(d, d->config.interval_ms);
        if (line->next < soonest)
            line->next = soonest;
    }
}

static void advance(struct fwr_discover *d, uint64_t now)
{
    if (d->stage == CONFIGURED && now >= d->until) {
        d->stage = LEARNED;
        d->until = anybody_ready(d) ? now + d->config.learned_ms : now;
    }
    if (d->stage == LEARNED && now >= d->until) {
        d->stage = PINGING;
        begin_pings(d, now);
    }
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->state == PLACE_FAILED && p->slot == NONE && now >= p->failed_at + RETRY_MS)
            p->state = PLACE_READY;
    }
}

/* When a slot may be given to somebody else. */
static uint64_t changes_at(const struct fwr_discover *d, const struct slot *slot)
{
    const struct place *p = slot->place == NONE ? NULL : &d->places[slot->place];

    if (!slot->used)
        return 0;
    return slot->since + (p && p->state != PLACE_FAILED ? ROTATE_MS : SLOT_MS);
}

/* Takes a slot from whoever failed, or did not help, where others wait for it. */
static bool close_one(struct fwr_discover *d, uint64_t now, struct fwr_discover_action *action)
{
    bool others = anybody_ready(d);

    for (uint8_t i = 0; i < d->config.slots; i++) {
        struct slot *slot = &d->slots[i];
        struct place *p = slot->place == NONE ? NULL : &d->places[slot->place];

        if (!p || now < changes_at(d, slot) || !(others || p->moved))
            continue;
        if (p->state != PLACE_FAILED || p->moved)
            p->state = PLACE_READY;
        p->moved = false;
        p->slot = NONE;
        slot->place = NONE;
        action->kind = FWR_DISCOVER_CLOSE;
        action->slot = i;
        return true;
    }
    return false;
}

/* Of those tried least, the one over the best medium, and now and then any of them: a flood on one
 * medium must not keep all the others waiting. */
static struct place *choose(struct fwr_discover *d)
{
    bool lot = ++d->choices % LOT_EVERY == 0;
    struct place *best = NULL;
    uint32_t equals = 0;

    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->state != PLACE_READY)
            continue;
        int order = !best                     ? -1
                    : p->tries != best->tries ? (int)p->tries - best->tries
                    : lot                     ? 0
                          : (int)medium_of(d, p->interface) - (int)medium_of(d, best->interface);
        equals = order < 0 ? 1 : equals + (order == 0);
        if (order < 0 || (order == 0 && draw(d, equals) == 0))
            best = p;
    }
    return best;
}

static bool open_one(struct fwr_discover *d, uint64_t now, struct fwr_discover_action *action)
{
    for (uint8_t i = 0; i < d->config.slots; i++) {
        struct slot *slot = &d->slots[i];
        struct place *p;

        if (slot->place != NONE || now < changes_at(d, slot))
            continue;
        p = choose(d);
        if (!p)
            return false;
        p->state = PLACE_TRYING;
        p->slot = i;
        p->tries = p->tries < UINT8_MAX ? p->tries + 1 : UINT8_MAX;
        *slot = (struct slot){.place = (uint8_t)(p - d->places), .used = true, .since = now};
        d->status.tried++;
        action->kind = FWR_DISCOVER_OPEN;
        action->slot = i;
        action->donor = (struct fwr_discover_donor){.address = p->address,
                                                    .interface = p->interface,
                                                    .medium = medium_of(d, p->interface),
                                                    .learned = !p->answered,
                                                    .round_trip_ms = p->round_trip_ms};
        return true;
    }
    return false;
}

static bool ping_one(struct fwr_discover *d, uint64_t now, struct fwr_discover_action *action)
{
    for (uint8_t i = 0; i < d->config.interface_count; i++) {
        struct line *line = &d->lines[i];

        if (now < line->next)
            continue;
        line->tag = (uint8_t)(1 + draw(d, 254));
        line->pinged = true;
        line->pinged_at = now;
        d->crowd = 0;
        line->next = now + line->pause / 2 + draw(d, line->pause);
        line->pause = line->pause < d->config.interval_max_ms / 2 ? line->pause * 2
                                                                  : d->config.interval_max_ms;
        d->status.pings++;
        action->kind = FWR_DISCOVER_PING;
        action->interface = i;
        action->port = d->config.port;
        fwr_rmcp_ping_encode(action->ping, line->tag);
        return true;
    }
    return false;
}

bool fwr_discover_next(struct fwr_discover *d, uint64_t now, struct fwr_discover_action *action)
{
    memset(action, 0, sizeof(*action));
    if (!d->status.searching)
        return false;
    advance(d, now);
    if (d->stage != CONFIGURED && (close_one(d, now, action) || open_one(d, now, action)))
        return true;
    return d->stage == PINGING && ping_one(d, now, action);
}

void fwr_discover_result(struct fwr_discover *d, uint64_t now, uint8_t slot, int error)
{
    struct place *p;

    if (slot >= d->config.slots || d->slots[slot].place == NONE)
        return;
    p = &d->places[d->slots[slot].place];
    if (error == FWR_OK) {
        if (p->state != PLACE_GOOD)
            d->status.opened++;
        p->state = PLACE_GOOD;
        p->moved = false;
        keep(d, p);
    } else {
        struct denied *denied = denied_of(d, &p->address);

        p->state = PLACE_FAILED;
        p->failed_at = now;
        memcpy(denied->bytes, p->address.bytes, sizeof(denied->bytes));
        denied->at = now;
    }
}

uint64_t fwr_discover_next_timeout(const struct fwr_discover *d)
{
    uint64_t next = FWR_NEVER;
    bool others = anybody_ready(d);

    if (!d->status.searching)
        return FWR_NEVER;
    if (d->stage != PINGING)
        next = d->until;
    if (d->stage == CONFIGURED)
        return next;
    for (uint8_t i = 0; i < d->config.interface_count && d->stage == PINGING; i++)
        next = earlier(next, d->lines[i].next);
    for (uint8_t i = 0; i < d->config.slots; i++) {
        const struct slot *slot = &d->slots[i];
        if (others || (slot->place != NONE && d->places[slot->place].moved))
            next = earlier(next, changes_at(d, slot));
    }
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++) {
        const struct place *p = &d->places[i];
        if (p->state == PLACE_FAILED && p->slot == NONE)
            next = earlier(next, p->failed_at + RETRY_MS);
    }
    return next;
}

void fwr_discover_status(const struct fwr_discover *d, struct fwr_discover_status *status)
{
    *status = d->status;
    status->places = 0;
    for (size_t i = 0; i < FWR_DISCOVER_PLACES_MAX; i++)
        status->places = (uint8_t)(status->places + (d->places[i].state != PLACE_FREE));
    status->learned = (uint8_t)kept_count(d);
}

/* ---- life ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static bool usable(const struct fwr_discover_config *c)
{
    if (c->size != sizeof(*c) || !c->platform || !c->interfaces || c->interface_count == 0 ||
        c->interface_count > FWR_DISCOVER_INTERFACES_MAX || c->slots > FWR_DISCOVER_SLOTS_MAX)
        return false;
    for (uint8_t i = 0; i < c->interface_count; i++) {
        const char *name = c->interfaces[i].name;
        if (name[0] == '\0' || name[FWR_DISCOVER_NAME_MAX - 1] != '\0' ||
            c->interfaces[i].medium >= FWR_MEDIUM_COUNT)
            return false;
    }
    return true;
}

size_t fwr_discover_storage(void)
{
    return sizeof(struct fwr_discover);
}

int fwr_discover_init(struct fwr_discover **discover, void *storage, size_t size,
                      const struct fwr_discover_config *config, uint64_t now)
{
    struct fwr_discover *d = (struct fwr_discover *)storage;

    *discover = NULL;
    if (!storage || (uintptr_t)storage % alignof(max_align_t) != 0 || !usable(config))
        return FWR_E_ARGUMENT;
    if (size < sizeof(*d))
        return FWR_E_NO_SPACE;
    memset(d, 0, sizeof(*d));
    d->config = *config;
    d->config.slots = (uint8_t)or_default(config->slots, DEFAULT_SLOTS);
    d->config.port = (uint16_t)or_default(config->port, FWR_RMCP_PORT);
    d->config.learned_ms = or_default(config->learned_ms, 1500);
    d->config.interval_ms = or_default(config->interval_ms, 1000);
    d->config.interval_max_ms = or_default(config->interval_max_ms, 60000);
    d->config.window_ms = or_default(config->window_ms, 1500);
    d->until = now;
    for (size_t i = 0; i < FWR_DISCOVER_SLOTS_MAX; i++)
        d->slots[i].place = NONE;
    load(d);
    *discover = d;
    return FWR_OK;
}
