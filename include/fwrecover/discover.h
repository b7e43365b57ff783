/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding donors that nobody configured, without sockets and without a clock. When a recovery
 * looks for donors, the configured ones have a head start; then come the places where donors were
 * found before; then presence pings (RMCP, ASF 2.0 section 3.2.4.3), by broadcast on each
 * interface, ever less often. Who answers is a hint and nothing more: a place to try, with the
 * credentials that the operator set for donors that are found. What such a donor then gives is
 * believed as little as anybody's.
 *
 * Found donors fill slots, a few at a time, next to the configured ones and never in their place.
 * A loop is:
 *
 *     fwr_discover_search(d, now, the recipient looks for donors)
 *     while (fwr_discover_next(d, now, &action))
 *         send action.ping / open or close the road of action.slot
 *     fwr_discover_step(d)
 *     wait until fwr_discover_next_timeout(d), then all over again
 *
 * with fwr_discover_receive for what comes in, and fwr_discover_result for what became of a road.
 * Forged answers are bounded: the memory is fixed, a source has one place in it, a flood displaces
 * only what has not proved itself yet, by lot, and a slot takes on somebody else only so often.
 */
#ifndef FWRECOVER_DISCOVER_H
#define FWRECOVER_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/link.h>
#include <fwrecover/platform.h>
#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_DISCOVER_INTERFACES_MAX 8
#define FWR_DISCOVER_SLOTS_MAX      16
#define FWR_DISCOVER_PLACES_MAX     64 /* remembered at once, tried or not */
#define FWR_DISCOVER_LEARNED_MAX    16 /* kept in the store */
#define FWR_DISCOVER_NAME_MAX       16 /* of an interface, with its final zero */
#define FWR_DISCOVER_PING_SIZE      12

struct fwr_discover;

struct fwr_discover_interface {
    char name[FWR_DISCOVER_NAME_MAX];
    uint8_t medium; /* enum fwr_medium */
};

/* Const, and like all that it points to kept by the caller until the end. Zero in a limit means the
 * default in brackets. */
struct fwr_discover_config {
    size_t size; /* sizeof(struct fwr_discover_config) */
    const struct fwr_platform *platform;
    const struct fwr_store *store; /* NULL: nothing is learned */
    const struct fwr_discover_interface *interfaces;
    uint8_t interface_count;  /* at least 1 */
    uint8_t slots;            /* found donors at once [4] */
    uint16_t port;            /* where donors are pinged and asked [623] */
    uint32_t configured_ms;   /* head start of configured donors; 0: there are none */
    uint32_t learned_ms;      /* head start of places known from before [1500] */
    uint32_t interval_ms;     /* between the first two pings on an interface [1000], then ... */
    uint32_t interval_max_ms; /* ... twice as long each time, up to this [60000] */
    uint32_t window_ms;       /* how long after a ping its answers count [1500] */
};

/* An IPv4 address, in network byte order, and a port, in the host's. */
struct fwr_discover_address {
    uint8_t bytes[4];
    uint16_t port;
};

/* Where there may be a donor. */
struct fwr_discover_donor {
    struct fwr_discover_address address;
    uint8_t interface;      /* index into the configuration's */
    uint8_t medium;         /* the interface's */
    bool learned;           /* from the store, not yet from an answer */
    uint32_t round_trip_ms; /* of ping and answer; 0: not known */
};

enum fwr_discover_action_kind {
    FWR_DISCOVER_PING,  /* send `ping` to every broadcast address of `interface`, port `port` */
    FWR_DISCOVER_OPEN,  /* slot `slot` is for `donor` now; its road is to be used */
    FWR_DISCOVER_CLOSE, /* slot `slot` is nobody's any more; its road is to be closed */
};

struct fwr_discover_action {
    enum fwr_discover_action_kind kind;
    uint8_t interface;
    uint16_t port;
    uint8_t ping[FWR_DISCOVER_PING_SIZE];
    uint8_t slot;
    struct fwr_discover_donor donor;
};

struct fwr_discover_status {
    bool searching;
    uint8_t places;       /* remembered now */
    uint8_t learned;      /* of them, in the store, or to be put there */
    int learned_error;    /* why what was learned could not be read or written; FWR_OK */
    uint32_t pings;       /* sent, each a discovery message */
    uint32_t answers;     /* taken */
    uint32_t duplicates;  /* of those, from a place known already, perhaps over another interface */
    uint32_t dropped;     /* malformed, or not an answer to a ping of ours, or from no host */
    uint32_t crowded_out; /* places forgotten, or not taken, because there were too many */
    uint32_t tried;       /* times that a slot was given to somebody */
    uint32_t opened;      /* times that a session was opened there */
};

/* Bytes of storage, aligned as max_align_t. */
size_t fwr_discover_storage(void);

/* Reads what was learned. A record that is damaged, or written by a newer version, is as good as
 * none (status tells; a newer one is left alone). FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE. */
int fwr_discover_init(struct fwr_discover **discover, void *storage, size_t size,
                      const struct fwr_discover_config *config, uint64_t now);

/* Whether donors are being looked for. Searching begins when this becomes true; when it is false
 * again, nobody is pinged and no slot changes hands any more. */
void fwr_discover_search(struct fwr_discover *discover, uint64_t now, bool wanted);

/* The next thing to do; false: none. */
bool fwr_discover_next(struct fwr_discover *discover, uint64_t now,
                       struct fwr_discover_action *action);

/* A datagram came in over this interface, where pings are sent from. It is the caller who knows
 * whether its source is in one of that interface's networks: others cannot have heard a broadcast.
 * FWR_OK: a place to try, or one already known; FWR_E_MALFORMED; FWR_E_STALE: it answers no ping of
 * late; FWR_E_BUSY: others were there before. Only counted, there is nothing to be done. */
int fwr_discover_receive(struct fwr_discover *discover, uint64_t now, uint8_t interface,
                         const struct fwr_discover_address *from, const uint8_t *data,
                         size_t length);

/* What became of the road of a slot: FWR_OK, a session was opened; else why it went down. */
void fwr_discover_result(struct fwr_discover *discover, uint64_t now, uint8_t slot, int error);

/* Writes what was learned, while nothing is searched for. FWR_PENDING: the store is at work, call
 * again, and let nobody else use it; FWR_OK: nothing to write. Failures are in the status. */
int fwr_discover_step(struct fwr_discover *discover);

/* When fwr_discover_next will have something new to say; FWR_NEVER. */
uint64_t fwr_discover_next_timeout(const struct fwr_discover *discover);

void fwr_discover_status(const struct fwr_discover *discover, struct fwr_discover_status *status);

#ifdef __cplusplus
}
#endif

#endif
