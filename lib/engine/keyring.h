/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyring: what its two files, the set itself and its commands, share.
 */
#ifndef FWR_LIB_ENGINE_KEYRING_H
#define FWR_LIB_ENGINE_KEYRING_H

#include <fwrecover/keyring.h>

/* What is in the store: an envelope, or a bare set that was provisioned. */
int fwr_keyring_open(const uint8_t *bytes, size_t length, struct fwr_envelope *envelope);

/* Judges the envelope in k->incoming, and lets it wait for its turn. FWR_OK or why not. */
int fwr_keyring_judge(struct fwr_keyring *k, size_t length);

/* The trust page is another one now: who reads it has to begin again. */
void fwr_keyring_changed(struct fwr_keyring *k);

void fwr_keyring_log(const struct fwr_keyring *k, enum fwr_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
