/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyring: the trust set in force and its change. The store is written first, which is atomic;
 * then the set is in force; then the floor is raised. So a cut leaves the old set or the new one,
 * and a floor that it had kept from rising rises at the next start. The commands that concern it
 * are in keyring-push.c.
 */
#include "keyring.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <fwrecover/error.h>

#define FLOOR_TRIES 3

void fwr_keyring_log(const struct fwr_keyring *k, enum fwr_log_level level, const char *format, ...)
{
    const struct fwr_platform *platform = k->config.platform;
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (platform->log)
        platform->log(platform->ctx, level, text);
}

void fwr_keyring_changed(struct fwr_keyring *k)
{
    k->page_generation = k->page_generation == UINT8_MAX ? 1 : k->page_generation + 1;
}

/* ---- at start ---- */

int fwr_keyring_open(const uint8_t *bytes, size_t length, struct fwr_envelope *envelope)
{
    if (length >= 4 && memcmp(bytes, "FWRE", 4) == 0)
        return fwr_envelope_open(bytes, length, envelope);
    *envelope = (struct fwr_envelope){.payload = bytes, .payload_length = length};
    return FWR_OK;
}

/* A set as it lies in the store. What its own keys have not signed was damaged there. */
static int decode_stored(const uint8_t *bytes, size_t length, struct fwr_trust *trust)
{
    struct fwr_envelope envelope;
    int error = fwr_keyring_open(bytes, length, &envelope);

    if (!error)
        error = fwr_trust_decode(envelope.payload, envelope.payload_length, trust);
    if (!error && envelope.payload != bytes) /* a bare one was never signed */
        error = fwr_trust_verify(trust, FWR_PREFIX_TRUST, envelope.payload, envelope.payload_length,
                                 envelope.signatures, envelope.signature_count);
    return error;
}

static int read_floor(struct fwr_keyring *k)
{
    const struct fwr_floors *floors = k->config.floors;
    int error;

    do
        error = floors->read(floors->ctx, FWR_FLOOR_GENERATION, 0, NULL, &k->floor);
    while (error == FWR_PENDING);
    return error;
}

static int read_store(struct fwr_keyring *k)
{
    const struct fwr_store *store = k->config.store;
    int error;

    do
        error =
            store->read(store->ctx, FWR_STORE_TRUST, 0, k->current, k->half, &k->current_length);
    while (error == FWR_PENDING);
    return error;
}

/* The set in the store, if it can be used. */
static int load_stored(struct fwr_keyring *k)
{
    int error = read_store(k);

    if (!error)
        error = decode_stored(k->current, k->current_length, &k->in_force);
    if (!error && k->in_force.generation < k->floor)
        error = FWR_E_STALE;
    return error;
}

/* Whether the provisioned set may stand in: not where the store could only not be read now, or
 * belongs to a newer version. */
static bool may_fall_back(int error)
{
    return error != FWR_E_STORE_IO && error != FWR_E_STORE_VERSION && error != FWR_E_NO_SPACE;
}

static int load_provisioned(struct fwr_keyring *k)
{
    const struct fwr_store *store = k->config.store;
    int error;

    if (k->config.provisioned_length > k->half)
        return FWR_E_ENVELOPE_SIZE;
    memcpy(k->current, k->config.provisioned, k->config.provisioned_length);
    k->current_length = k->config.provisioned_length;
    error = decode_stored(k->current, k->current_length, &k->in_force);
    if (!error && k->in_force.generation < k->floor)
        error = FWR_E_STALE;
    if (error)
        return error;
    do
        error = store->write(store->ctx, FWR_STORE_TRUST, 0, k->current, k->current_length);
    while (error == FWR_PENDING);
    if (!error)
        fwr_keyring_log(k, FWR_LOG_NOTICE, "provisioned: trust set, generation %u",
                        (unsigned)k->in_force.generation);
    return error;
}

/* Raises the floor to the generation in force. FWR_PENDING or, whatever came of it, FWR_OK. */
static int raise_floor(struct fwr_keyring *k)
{
    const struct fwr_floors *floors = k->config.floors;
    uint32_t generation = k->in_force.generation;
    int error = FWR_OK;

    if (generation > k->floor)
        error = floors->raise(floors->ctx, FWR_FLOOR_GENERATION, 0, NULL, generation);
    if (error == FWR_PENDING)
        return error;
    if (error && error != FWR_E_FLOOR_SPENT && ++k->tries < FLOOR_TRIES)
        return FWR_PENDING;
    k->tries = 0;
    if (error)
        fwr_keyring_log(k, FWR_LOG_ERROR,
                        "the generation floor stays below %u: %s (%s); an older trust set put back "
                        "into the store would count",
                        (unsigned)generation, fwr_error_text(error), fwr_error_name(error));
    if (generation > k->floor)
        k->floor = generation;
    return FWR_OK;
}

static int load(struct fwr_keyring *k)
{
    int error = read_floor(k);

    if (error)
        return error;
    error = load_stored(k);
    if (error && error != FWR_E_NOT_FOUND)
        fwr_keyring_log(k, FWR_LOG_ERROR, "the trust set in the store cannot be used: %s (%s)",
                        fwr_error_text(error), fwr_error_name(error));
    if (error && may_fall_back(error) && k->config.provisioned)
        error = load_provisioned(k);
    if (error) {
        memset(&k->in_force, 0, sizeof(k->in_force));
        k->current_length = 0;
        return error == FWR_E_NOT_FOUND ? FWR_E_UNPROVISIONED : error;
    }
    while (raise_floor(k) == FWR_PENDING)
        ;
    return FWR_OK;
}

int fwr_keyring_init(struct fwr_keyring *k, const struct fwr_keyring_config *config)
{
    memset(k, 0, sizeof(*k));
    if (!config || config->size != sizeof(*config) || !config->platform || !config->store ||
        !config->storage || config->storage_size / 2 < FWR_TRUST_MAX)
        return FWR_E_ARGUMENT;
    k->config = *config;
    if (!k->config.floors) {
        fwr_floors_store_init(&k->floors_store, config->store);
        k->config.floors = &k->floors_store.floors;
    }
    if (k->config.max_jump == 0)
        k->config.max_jump = FWR_FLOOR_JUMP_DEFAULT;
    k->half = config->storage_size / 2;
    k->current = (uint8_t *)config->storage;
    k->incoming = k->current + k->half;
    k->page_generation = 1;
    return load(k);
}

/* ---- in force ---- */

const struct fwr_trust *fwr_keyring_trust(const struct fwr_keyring *k)
{
    return k->in_force.group_count > 0 ? &k->in_force : NULL;
}

const uint8_t *fwr_keyring_envelope(const struct fwr_keyring *k, size_t *length)
{
    *length = k->current_length;
    return k->current_length > 0 ? k->current : NULL;
}

bool fwr_keyring_busy(const struct fwr_keyring *k)
{
    return k->outstanding;
}

/* ---- the next one ---- */

static int judge(struct fwr_keyring *k, size_t length)
{
    const struct fwr_trust *in_force = fwr_keyring_trust(k);
    int error;

    if (!in_force)
        return FWR_E_UNPROVISIONED;
    if (length > k->half)
        return FWR_E_ENVELOPE_SIZE;
    error = fwr_envelope_verify_trust(k->incoming, length, in_force, &k->next);
    if (!error && k->next.generation <= k->floor)
        error = FWR_E_STALE;
    if (!error && k->next.generation - k->floor > k->config.max_jump)
        error = FWR_E_FLOOR_JUMP;
    return error;
}

int fwr_keyring_judge(struct fwr_keyring *k, size_t length)
{
    int error = judge(k, length);

    k->reason = error;
    fwr_keyring_changed(k);
    if (error) {
        k->stage = FWR_KEYRING_IDLE;
        fwr_keyring_log(k, FWR_LOG_ERROR, "a trust set was offered and refused: %s (%s)",
                        fwr_error_text(error), fwr_error_name(error));
        return error;
    }
    k->incoming_length = length;
    k->stage = FWR_KEYRING_WAITING;
    fwr_keyring_log(k, FWR_LOG_NOTICE, "trust set, generation %u: verified",
                    (unsigned)k->next.generation);
    return FWR_OK;
}

int fwr_keyring_propose(struct fwr_keyring *k, const void *envelope, size_t length)
{
    if (k->stage > FWR_KEYRING_RECEIVING)
        return FWR_E_BUSY;
    if (length > k->half)
        return FWR_E_ENVELOPE_SIZE;
    k->transfer = 0; /* whoever was bringing one has lost the race */
    memcpy(k->incoming, envelope, length);
    return fwr_keyring_judge(k, length);
}

static void put_in_force(struct fwr_keyring *k)
{
    uint8_t *old = k->current;

    k->in_force = k->next;
    k->current = k->incoming;
    k->current_length = k->incoming_length;
    k->incoming = old;
    fwr_keyring_changed(k);
    fwr_keyring_log(k, FWR_LOG_NOTICE, "trust set, generation %u: in force",
                    (unsigned)k->in_force.generation);
}

/* The atomic step: from here on the next start finds the new set. */
static int write_next(struct fwr_keyring *k)
{
    const struct fwr_store *store = k->config.store;
    int error = store->write(store->ctx, FWR_STORE_TRUST, 0, k->incoming, k->incoming_length);

    k->outstanding = error == FWR_PENDING;
    if (error == FWR_PENDING)
        return error;
    k->stage = FWR_KEYRING_IDLE;
    if (error) {
        k->reason = error;
        fwr_keyring_changed(k);
        fwr_keyring_log(k, FWR_LOG_ERROR, "the trust set could not be kept: %s (%s)",
                        fwr_error_text(error), fwr_error_name(error));
        return FWR_OK;
    }
    put_in_force(k);
    k->stage = FWR_KEYRING_RAISING;
    return FWR_PENDING;
}

int fwr_keyring_step(struct fwr_keyring *k, bool quiet)
{
    switch (k->stage) {
    case FWR_KEYRING_WAITING:
        if (!quiet)
            return FWR_OK;
        k->stage = FWR_KEYRING_WRITING;
        return write_next(k);
    case FWR_KEYRING_WRITING:
        return write_next(k);
    case FWR_KEYRING_RAISING:
        k->outstanding = raise_floor(k) == FWR_PENDING;
        if (k->outstanding)
            return FWR_PENDING;
        k->stage = FWR_KEYRING_IDLE;
        fwr_keyring_changed(k); /* the page shows the floor */
        return FWR_OK;
    default:
        return FWR_OK;
    }
}
