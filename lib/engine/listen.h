/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening: bytes of blocks that a donor sends once for everybody on a bus. Whatever of them a
 * fetch lacks is taken, whoever asked for it; what passed by is asked for again. Nobody is
 * blamed for what came so: the sender of a broadcast cannot be known.
 */
#ifndef FWR_LIB_ENGINE_LISTEN_H
#define FWR_LIB_ENGINE_LISTEN_H

#include "engine.h"

/* Whether a fetch may be served by broadcast over its source's road. */
bool fwr_listen_may(const struct fwr_recipient *r, const struct fwr_fetch *f);

/* The donor will send what a request asked for to everybody. */
void fwr_listen_await(struct fwr_recipient *r, struct fwr_pending *q);

/* Nothing was heard for a while: asks again. */
void fwr_listen_timeout(struct fwr_recipient *r, struct fwr_pending *q);

#endif
