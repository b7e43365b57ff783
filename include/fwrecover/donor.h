/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The donor engine: answers recipients from images that it has itself verified. It never
 * sends unasked (what several on a bus asked for it may send once for all of them), holds no
 * continuation state besides leases, and checks every block against its authenticated leaf before
 * it gives it away.
 *
 * Sans-I/O: feed it requests and time, call `step` while it returns FWR_PENDING.
 */
#ifndef FWRECOVER_DONOR_H
#define FWRECOVER_DONOR_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>
#include <fwrecover/link.h>
#include <fwrecover/platform.h>
#include <fwrecover/source.h>
#include <fwrecover/trust.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_DONOR_IMAGES_MAX    16
#define FWR_DONOR_TRANSFERS_MAX 64

struct fwr_donor;

/* Const; all it points to must outlive the donor. Zero in a limit means the default in
 * brackets. */
struct fwr_donor_config {
    size_t size; /* sizeof(struct fwr_donor_config) */
    const struct fwr_platform *platform;
    const struct fwr_trust *trust; /* NULL: unprovisioned, nothing is offered */
    uint8_t image_count;
    const struct fwr_source *const *images;
    uint32_t max_leaves;       /* blocks of the largest image, sizes the storage; required */
    uint32_t max_block_size;   /* [4096] */
    uint32_t max_envelope;     /* [FWR_ENVELOPE_CAP_DEFAULT] */
    uint8_t max_transfers;     /* admission limit [4] */
    uint32_t bytes_per_second; /* admission limit over all transfers, 0 = none */
    uint16_t lease_seconds;    /* [30] */
    uint8_t window;            /* requests a recipient may have outstanding [15] */
    uint8_t codecs;   /* codecs of this build that recipients may ask for, bit n for enum fwr_codec
                         value n; more than FWR_CODEC_NONE costs some 260 KiB of storage [0] */
    uint8_t segments; /* tree segments kept in memory, over all images [transfers + 2] */
};

/* Bytes of storage for a configuration; 0 when the configuration is not usable. */
size_t fwr_donor_storage(const struct fwr_donor_config *config);

/* Builds the donor in `storage` (aligned as malloc would, `size` bytes of the caller's, kept
 * until fwr_donor_end). FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE, FWR_E_CRYPTO. Nothing is
 * offered until `step` has verified it. */
int fwr_donor_init(struct fwr_donor **donor, void *storage, size_t size,
                   const struct fwr_donor_config *config, uint64_t now);

/* Wipes transfer ids and frees libcrypto contexts. */
void fwr_donor_end(struct fwr_donor *donor);

/* Answers one request: `command` is an enum fwr_command, `data` the bytes after the IANA
 * number. The length of the reply data, or an error for fwr_error_completion_code. The
 * dispatcher has checked privilege and lengths; FWR_E_BUSY asks the peer to come again soon, and
 * `step` gets on with what it waits for. May hash half a MiB where the source answers at once. */
int fwr_donor_request(struct fwr_donor *donor, uint64_t now, const struct fwr_caller *caller,
                      uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                      size_t capacity);

/* The next Block Data to send to everybody on a link (its number in struct fwr_caller): call it
 * while the link has room. `data` takes the body, at most `capacity` bytes of it. The body's
 * length; 0 when there is nothing to send now: ask again after a request or a step. */
int fwr_donor_next_broadcast(struct fwr_donor *donor, uint64_t now, uint16_t link, uint8_t *data,
                             size_t capacity);

/* Does at most one slow read and the hashing of it. FWR_PENDING: call again soon. FWR_OK: no
 * work until the next request or timeout. */
int fwr_donor_step(struct fwr_donor *donor, uint64_t now);

/* When `timeout` has to be called; FWR_NEVER when nothing is waiting. */
uint64_t fwr_donor_next_timeout(const struct fwr_donor *donor);
void fwr_donor_timeout(struct fwr_donor *donor, uint64_t now);

/* A session ended: its transfers are wiped. */
void fwr_donor_session_closed(struct fwr_donor *donor, uint16_t link, uint32_t session);

/* The trust set, or the bytes behind an image, changed: verify image `index` again before it
 * is offered (every image with FWR_DONOR_IMAGES_MAX). Transfers go on meanwhile with what hashes
 * to the old root, and end when the image turns out to be another or no longer trusted. A source
 * that failed is tried again by itself. */
void fwr_donor_reverify(struct fwr_donor *donor, uint8_t index);

struct fwr_donor_image_status {
    int state; /* FWR_OK: offered; FWR_PENDING: being verified; an error: why it is not offered */
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t sequence;
    uint32_t bad_block; /* chip address of the first bad block; FFFFFFFFh = none known */
};
struct fwr_donor_status {
    uint8_t transfers;   /* open now */
    uint64_t bytes_sent; /* data bytes, since init */
    uint32_t requests;
    uint32_t refused; /* busy answers */
    struct fwr_donor_image_status images[FWR_DONOR_IMAGES_MAX];
    uint8_t places;           /* for transfers, free now */
    uint64_t bytes_broadcast; /* of bytes_sent, those sent once for several */
};
void fwr_donor_status(const struct fwr_donor *donor, struct fwr_donor_status *status);

#ifdef __cplusplus
}
#endif

#endif
