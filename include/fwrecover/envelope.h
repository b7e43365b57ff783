/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope: a manifest (or a trust set) and its signatures, as it is stored, published and
 * sent. Opening one checks lengths only; nothing inside is parsed before fwr_envelope_verify
 * has said FWR_OK.
 */
#ifndef FWRECOVER_ENVELOPE_H
#define FWRECOVER_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/manifest.h>
#include <fwrecover/trust.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_ENVELOPE_MAX         65536
#define FWR_ENVELOPE_CAP_DEFAULT 16384 /* a recipient's default cap */

/* A view into the caller's bytes, which must stay unchanged while it is used. */
struct fwr_envelope {
    const uint8_t *payload; /* the signed bytes, without the domain prefix */
    size_t payload_length;
    uint8_t signature_count;
    struct fwr_signature signatures[FWR_SIGNATURES_MAX];
};

/* Splits an envelope. FWR_OK, FWR_E_ENVELOPE, FWR_E_ENVELOPE_SIZE (longer than FWR_ENVELOPE_MAX).
 */
int fwr_envelope_open(const void *bytes, size_t length, struct fwr_envelope *envelope);

/* Reads how long the whole envelope is from its first bytes: FWR_E_NO_SPACE when more bytes
 * are needed to tell (`total` then says how many to have before asking again), FWR_E_ENVELOPE,
 * FWR_E_ENVELOPE_SIZE, or FWR_OK with `total` set. Lets a reader refuse endless data before it
 * has read it: whatever `total` says, the envelope is no shorter. */
int fwr_envelope_total(const void *bytes, size_t length, size_t *total);

/* Writes an envelope; the signatures are sorted by key id so that the bytes are reproducible.
 * Attaching the same signatures always gives the same envelope; signing again does so with
 * Ed25519 only. `buffer` must not overlap the inputs. The length, FWR_E_NO_SPACE (also above
 * FWR_ENVELOPE_MAX), FWR_E_ARGUMENT (too many, empty, or a key id twice). */
int fwr_envelope_build(const void *payload, size_t payload_length,
                       const struct fwr_signature *signatures, size_t count, void *buffer,
                       size_t capacity);

/* The whole check in its fixed order: open, signatures over prefix ‖ payload, manifest id,
 * canonical parse. `bytes` must be the caller's private copy. FWR_OK or the first error of
 * fwr_envelope_open, fwr_trust_verify, fwr_manifest_decode. Compatibility and floors come after,
 * and are the caller's. */
int fwr_envelope_verify_manifest(const void *bytes, size_t length, const struct fwr_trust *trust,
                                 struct fwr_manifest *manifest, uint8_t id[FWR_ID_SIZE]);

/* The same for a trust set that is to follow the one `in_force`: signed as both of them demand,
 * and of a higher generation. The first set of all is not for this: it is installed locally.
 * FWR_OK and `next`, or the first error of fwr_envelope_open, fwr_trust_verify (by the set in
 * force), fwr_trust_decode; FWR_E_STALE (generation); fwr_trust_verify (by the new set). On
 * error `next` is undefined. */
int fwr_envelope_verify_trust(const void *bytes, size_t length, const struct fwr_trust *in_force,
                              struct fwr_trust *next);

#ifdef __cplusplus
}
#endif

#endif
