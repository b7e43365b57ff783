/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches: byte ranges of objects on their way into buffers, from donors that are asked for
 * slices or from a console that writes them. It owns who brings which range; it looks into no
 * byte but the lengths of a manifest.
 */
#ifndef FWR_LIB_ENGINE_FETCH_H
#define FWR_LIB_ENGINE_FETCH_H

#include "engine.h"

/* A coded stream begins with its length. */
#define FWR_STREAM_HEAD 2

/* Begins a fetch of `length` bytes at `offset` of an object into `buffer`; `source` is a peer
 * or FWR_NONE for whichever transfer has room. Returns its index, or FWR_NONE when all are in
 * use. The fetch is FWR_FETCH_DONE when all bytes are there; free it then. */
uint8_t fwr_fetch_begin(struct fwr_recipient *r, uint8_t object, uint32_t offset, uint32_t length,
                        uint8_t *buffer, uint8_t source);
void fwr_fetch_free(struct fwr_recipient *r, uint8_t fetch);

/* The bytes of a finished fetch were wrong, first at offset `at` of the object: blames its source,
 * and fetches again, from another if there is one. Returns false when it was tried too often. */
bool fwr_fetch_wrong(struct fwr_recipient *r, uint8_t fetch, int reason, uint32_t at);

/* For transfer.c. Gives a fetch, or all that have no source, to an open transfer. Takes it away,
 * and keeps what came: what was asked for besides will be asked of the next source. Takes it away
 * and forgets what came. */
void fwr_fetch_assign(struct fwr_recipient *r, struct fwr_fetch *f);
void fwr_fetch_assign_all(struct fwr_recipient *r);
void fwr_fetch_release(struct fwr_recipient *r, struct fwr_fetch *f);
void fwr_fetch_restart(struct fwr_recipient *r, struct fwr_fetch *f);
/* Bytes came from `peer`, for offset `at` of the fetch. */
void fwr_fetch_take(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer, uint32_t at,
                    const uint8_t *data, size_t length);
/* The oldest fetch that may ask for another slice now, or NULL. */
struct fwr_fetch *fwr_fetch_next(struct fwr_recipient *r);
/* More bytes have come from `peer`; or it cannot bring them. */
void fwr_fetch_progress(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer);
void fwr_fetch_fail(struct fwr_recipient *r, struct fwr_fetch *f, uint8_t peer, int error);

/* Push. How many ranges are wanted of the console, and the one at `index`, if there is one. */
uint16_t fwr_fetch_wanted(const struct fwr_recipient *r, uint16_t index, struct fwr_wanted *wanted);
/* Takes what the console wrote: an enum fwr_write_result. */
uint8_t fwr_fetch_write(struct fwr_recipient *r, uint8_t object, uint32_t offset,
                        const uint8_t *data, size_t length);

#endif
