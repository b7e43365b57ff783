/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting one BMC together: see bmc.h. What the store does not have yet is provisioned here from
 * the configured files, once; what it has is never replaced from a file.
 */
#include "ipmi-sim/bmc.h"

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <fwrecover/command.h>
#include <fwrecover/envelope.h>
#include <fwrecover/error.h>
#include <fwrecover/version.h>

/* ---- log and clock ---- */

uint64_t sim_bmc_now(void *ctx)
{
    struct sim_bmc *bmc = ctx;
    struct timeval now;

    if (bmc->sys->get_monotonic_time(bmc->sys, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

static void write_line(struct sim_bmc *bmc, const char *text)
{
    uint64_t now = sim_bmc_now(bmc);

    fprintf(bmc->log, "%llu.%03u %s\n", (unsigned long long)(now / 1000), (unsigned)(now % 1000),
            text);
    fflush(bmc->log);
}

void sim_bmc_log(struct sim_bmc *bmc, const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    write_line(bmc, line);
}

static void engine_log(void *ctx, enum fwr_log_level level, const char *text)
{
    struct sim_bmc *bmc = ctx;

    if (level != FWR_LOG_DEBUG)
        write_line(bmc, text);
}

/* Says why the BMC cannot be built, in both places. */
static bool refuse(struct sim_bmc *bmc, const char *what, const char *where, int error)
{
    fprintf(stderr, "fwrecover_sim: %s: %s: %s (%s)\n", where, what, fwr_error_text(error),
            fwr_error_name(error));
    if (bmc->log != stderr)
        sim_bmc_log(bmc, "%s: %s: %s", where, what, fwr_error_text(error));
    return false;
}

/* ---- trust and provisioning ---- */

/* The set in the store; where there is none that could be used, the configured one. */
static int load_trust(struct sim_bmc *bmc)
{
    struct fwr_keyring_config config = {.size = sizeof(config),
                                        .platform = &bmc->platform,
                                        .store = &bmc->store.store,
                                        .max_jump = bmc->config.max_jump,
                                        .storage_size = (size_t)2 * FWR_ENVELOPE_MAX};
    int error;

    config.storage = bmc->keyring_storage = malloc(config.storage_size);
    if (bmc->keyring_storage == NULL)
        return FWR_E_MEMORY;
    error = fwr_keyring_init(&bmc->keyring, &config);
    if ((error == FWR_E_UNPROVISIONED || error == FWR_E_STORE_CORRUPT) &&
        bmc->config.trust != NULL) {
        bmc->provisioned = malloc(FWR_ENVELOPE_MAX);
        if (bmc->provisioned == NULL)
            return FWR_E_MEMORY;
        error = sim_file_read(bmc->config.trust, false, bmc->provisioned, FWR_ENVELOPE_MAX,
                              &config.provisioned_length);
        config.provisioned = bmc->provisioned;
        if (error == FWR_OK)
            error = fwr_keyring_init(&bmc->keyring, &config);
    }
    bmc->trust = fwr_keyring_trust(&bmc->keyring);
    bmc->generation = bmc->trust != NULL ? bmc->trust->generation : 0;
    return error;
}

/* The envelope of what the flash should hold: into the store, when it is right and the store has
 * none. */
static int load_installed(struct sim_bmc *bmc)
{
    struct fwr_store *store = &bmc->store.store;
    struct fwr_manifest *manifest = malloc(sizeof(*manifest));
    uint8_t *bytes = malloc(FWR_ENVELOPE_CAP_DEFAULT);
    uint8_t id[FWR_ID_SIZE];
    size_t length = 0;
    int error = bytes != NULL && manifest != NULL ? FWR_OK : FWR_E_MEMORY;

    if (error == FWR_OK)
        error = store->read(store->ctx, FWR_STORE_ENVELOPE, 0, bytes, FWR_ENVELOPE_CAP_DEFAULT,
                            &length);
    if (error == FWR_E_NOT_FOUND) {
        error =
            sim_file_read(bmc->config.installed, false, bytes, FWR_ENVELOPE_CAP_DEFAULT, &length);
        if (error == FWR_OK)
            error = fwr_envelope_verify_manifest(bytes, length, bmc->trust, manifest, id);
        if (error == FWR_OK)
            error = store->write(store->ctx, FWR_STORE_ENVELOPE, 0, bytes, length);
        if (error == FWR_OK)
            sim_bmc_log(bmc, "provisioned: image %s, sequence %u, from %s", manifest->version,
                        (unsigned)manifest->sequence, bmc->config.installed);
    }
    free(bytes);
    free(manifest);
    return error;
}

static bool open_store(struct sim_bmc *bmc)
{
    const char *path = bmc->config.store;
    int error;

    /* A new BMC has an empty store; one whose parent folder is missing is a mistake. */
    if (mkdir(path, 0700) == 0)
        sim_bmc_log(bmc, "made an empty store, %s", path);
    error = fwr_store_dir_open(&bmc->store, path);
    if (error != FWR_OK)
        return refuse(bmc, "store", path, error);
    error = load_trust(bmc);
    if (error == FWR_E_UNPROVISIONED)
        sim_bmc_log(bmc, "unprovisioned: no trust set in %s, nothing can be believed yet", path);
    else if (error != FWR_OK)
        return refuse(bmc, "trust set", bmc->config.trust != NULL ? bmc->config.trust : path,
                      error);
    if (bmc->config.installed != NULL && bmc->trust != NULL) {
        error = load_installed(bmc);
        if (error != FWR_OK)
            return refuse(bmc, "installed image", bmc->config.installed, error);
    }
    return true;
}

/* ---- the board ---- */

/* The board's whole map, from the ranges that are preserved. */
static bool build_map(struct sim_bmc *bmc)
{
    const struct fwr_region_map *preserve = &bmc->config.preserve;
    uint32_t size = bmc->flash.flash.geometry.size, at = 0;
    struct fwr_region_map *map = &bmc->map;

    for (unsigned i = 0; i <= preserve->count; i++) {
        uint32_t end = i < preserve->count ? preserve->regions[i].offset : size;

        if (end > at) {
            struct fwr_region *gap = &map->regions[map->count++];

            *gap = (struct fwr_region){.offset = at, .length = end - at, .kind = FWR_REGION_WRITE};
        }
        if (i < preserve->count) {
            map->regions[map->count++] = preserve->regions[i];
            at = preserve->regions[i].offset + preserve->regions[i].length;
        }
    }
    bmc->config.board.local = map;
    return fwr_region_map_check(map, size, FWR_BLOCK_SIZE_MIN) == FWR_OK;
}

static bool open_flash(struct sim_bmc *bmc)
{
    const char *path = bmc->config.flash_file;
    int error =
        fwr_flash_file_open(&bmc->flash, path, &bmc->config.geometry, !bmc->config.recipient);

    if (error != FWR_OK)
        return refuse(bmc, "flash", path, error);
    if (bmc->config.preserve.count > 0 && !build_map(bmc))
        return refuse(bmc, "preserve", path, FWR_E_REGION_MAP);
    return true;
}

/* ---- the bus ---- */

static bool build_icmb(struct sim_bmc *bmc)
{
    int error;

    if (bmc->config.icmb.device == NULL)
        return true;
    bmc->icmb.config = &bmc->config.icmb;
    bmc->icmb.events = &sim_work_icmb_events;
    bmc->icmb.ctx = bmc;
    bmc->icmb.sys = bmc->sys;
    bmc->icmb.lanserv = &bmc->lanserv;
    bmc->icmb.platform = &bmc->platform;
    bmc->icmb.store = &bmc->store.store;
    error = sim_icmb_init(&bmc->icmb);
    return error == FWR_OK || refuse(bmc, "icmb", bmc->config.icmb.device, error);
}

/* ---- the roles ---- */

int sim_bmc_road(struct sim_bmc *bmc, uint8_t peer, const struct sim_donor_config *config)
{
    struct sim_client *client = &bmc->clients[peer];
    int error;

    *client = (struct sim_client){.events = &sim_work_client_events,
                                  .ctx = bmc,
                                  .now = sim_bmc_now,
                                  .peer = peer,
                                  .iana = bmc->config.iana,
                                  .command_base = bmc->config.command_base,
                                  .sys = bmc->sys,
                                  .bridge = bmc->icmb.bridge};
    error = sim_client_init(client, config, &bmc->platform);
    bmc->links[peer] = client->link;
    bmc->peers[peer].name = config->name;
    return error;
}

static bool build_roads(struct sim_bmc *bmc)
{
    int error;

    for (uint8_t i = 0; i < bmc->config.donor_count; i++) {
        error = sim_bmc_road(bmc, i, &bmc->config.donors[i]);
        if (error != FWR_OK)
            return refuse(bmc, "road", bmc->config.donors[i].name, error);
        bmc->peers[i].limits = bmc->clients[i].limits;
    }
    error = sim_discover_init(bmc);
    return error == FWR_OK || refuse(bmc, "discover", "section discover", error);
}

static bool build_recipient(struct sim_bmc *bmc)
{
    const struct sim_config *config = &bmc->config;
    size_t size;
    int error;

    if (!build_roads(bmc))
        return false;
    fwr_policy_default_init(&bmc->policy, &bmc->config.rules);
    bmc->recipient_config = (struct fwr_recipient_config){
        .size = sizeof(bmc->recipient_config),
        .platform = &bmc->platform,
        .flash = &bmc->flash.flash,
        .store = &bmc->store.store,
        .host = &bmc->host.host,
        .policy = &bmc->policy,
        .rules = &bmc->config.rules,
        .board = &config->board,
        .trust = bmc->trust,
        .peer_count = bmc->peer_count,
        .peers = bmc->peers,
        .lanes = config->lanes,
        .guard = config->guard,
        .batch = config->batch,
        .rounds = config->rounds,
        .release_on_failure = config->release_on_failure,
        .gather_ms = config->gather_ms,
        .min_rate = config->min_rate,
        .backoff_ms = config->backoff_ms,
        .start_jitter_ms = config->start_jitter_ms,
        .boot_proof_ms = config->boot_proof_ms,
        .log_size = config->log_size,
        .max_jump = config->max_jump,
    };
    size = fwr_recipient_storage(&bmc->recipient_config);
    bmc->recipient_storage = calloc(1, size > 0 ? size : 1);
    error = size == 0 ? FWR_E_ARGUMENT
            : bmc->recipient_storage == NULL
                ? FWR_E_MEMORY
                : fwr_recipient_init(&bmc->recipient, bmc->recipient_storage, size,
                                     &bmc->recipient_config, sim_bmc_now(bmc));
    if (error != FWR_OK)
        return refuse(bmc, "recipient", config->flash_file, error);
    sim_discover_begin(bmc);
    bmc->slots[0] = bmc->recipient;
    bmc->oem.recipients = bmc->slots;
    bmc->oem.slot_count = 1;
    return true;
}

static bool open_sources(struct sim_bmc *bmc)
{
    const struct sim_config *config = &bmc->config;

    fwr_source_flash_open(&bmc->own, "own flash", &bmc->flash.flash, &bmc->store.store, 0);
    bmc->sources[0] = &bmc->own.source;
    for (unsigned i = 0; i < config->image_count; i++) {
        int error = fwr_source_file_open(&bmc->files[i], config->images[i].image,
                                         config->images[i].envelope);

        if (error != FWR_OK)
            return refuse(bmc, "image", config->images[i].image, error);
        bmc->sources[i + 1] = &bmc->files[i].source;
    }
    return true;
}

static bool build_donor(struct sim_bmc *bmc)
{
    const struct sim_config *config = &bmc->config;
    uint32_t largest = bmc->flash.flash.geometry.size;
    size_t size;
    int error;

    if (!open_sources(bmc))
        return false;
    for (unsigned i = 0; i < config->image_count; i++) {
        if (bmc->files[i].image_size > largest)
            largest = (uint32_t)bmc->files[i].image_size;
    }
    bmc->donor_config = (struct fwr_donor_config){
        .size = sizeof(bmc->donor_config),
        .platform = &bmc->platform,
        .trust = bmc->trust,
        .image_count = (uint8_t)(config->image_count + 1),
        .images = bmc->sources,
        .max_leaves = largest / FWR_BLOCK_SIZE_MIN,
        .max_transfers = config->transfers,
        .bytes_per_second = config->bytes_per_second,
        .codecs = config->codecs,
    };
    size = fwr_donor_storage(&bmc->donor_config);
    bmc->donor_storage = calloc(1, size > 0 ? size : 1);
    error = size == 0                    ? FWR_E_ARGUMENT
            : bmc->donor_storage == NULL ? FWR_E_MEMORY
                                         : fwr_donor_init(&bmc->donor, bmc->donor_storage, size,
                                                          &bmc->donor_config, sim_bmc_now(bmc));
    if (error != FWR_OK)
        return refuse(bmc, "donor", config->flash_file, error);
    bmc->oem.donor = bmc->donor;
    return true;
}

static bool build_roles(struct sim_bmc *bmc)
{
    const struct sim_config *config = &bmc->config;

    bmc->oem = (struct fwr_oem){
        .size = sizeof(bmc->oem),
        .iana = config->iana,
        .command_base = config->command_base,
        .max_request = FWR_LANSERV_REQUEST,
        .max_reply = FWR_LANSERV_REPLY_RMCPP,
        .window = FWR_RMCP_WINDOW_MAX,
        /* Those who are not allowed to have no privilege. */
        .allow_sessionless = config->allow_lan15 || config->allow_ipmb ||
                             config->serial_count > 0 || config->icmb.device != NULL,
        .keyring = &bmc->keyring,
    };
    if (config->recipient && !build_recipient(bmc))
        return false;
    return !config->donor || build_donor(bmc);
}

static bool attach(struct sim_bmc *bmc)
{
    int error;

    bmc->lanserv.oem = &bmc->oem;
    bmc->lanserv.allow_lan15 = bmc->config.allow_lan15;
    bmc->lanserv.allow_ipmb = bmc->config.allow_ipmb;
    bmc->lanserv.ctx = bmc;
    bmc->lanserv.now = sim_bmc_now;
    bmc->lanserv.served = sim_work_kick;
    bmc->lanserv.other = sim_work_other;
    error = fwr_lanserv_attach(&bmc->lanserv, bmc->sys);
    return error == FWR_OK || refuse(bmc, "module", "lan.conf", error);
}

static bool build_serials(struct sim_bmc *bmc)
{
    for (uint16_t i = 0; i < bmc->config.serial_count; i++) {
        int error = sim_serial_init(&bmc->serials[i], bmc, &bmc->config.serials[i],
                                    (uint16_t)(FWR_LANSERV_LINKS + i));

        if (error != FWR_OK)
            return refuse(bmc, "serial", bmc->config.serials[i].name, error);
    }
    return true;
}

bool sim_bmc_init(struct sim_bmc *bmc, sys_data_t *sys, const char *config)
{
    memset(bmc, 0, sizeof(*bmc));
    bmc->sys = sys;
    bmc->log = stderr;
    bmc->flash.fd = -1;
    if (!sim_config_read(&bmc->config, config))
        return false;
    if (bmc->config.log != NULL) {
        FILE *log = fopen(bmc->config.log, "a");

        if (log == NULL) {
            fprintf(stderr, "fwrecover_sim: log: %s: %s\n", bmc->config.log, strerror(errno));
            return false;
        }
        bmc->log = log;
    }
    bmc->platform = fwr_platform_default;
    bmc->platform.ctx = bmc;
    bmc->platform.log = engine_log;
    return open_store(bmc) && open_flash(bmc) &&
           sim_host_init(&bmc->host, sys, bmc->config.host_on) == FWR_OK && build_icmb(bmc) &&
           build_roles(bmc) && build_serials(bmc) && attach(bmc);
}

void sim_bmc_end(struct sim_bmc *bmc)
{
    bmc->ready = false;
    for (unsigned i = 0; i < bmc->config.serial_count; i++)
        sim_serial_end(&bmc->serials[i]);
    if (bmc->recipient != NULL) {
        fwr_recipient_end(bmc->recipient);
        sim_discover_end(bmc);
        for (unsigned i = 0; i < bmc->peer_count; i++)
            sim_client_end(&bmc->clients[i]);
    }
    if (bmc->donor != NULL) {
        fwr_donor_end(bmc->donor);
        for (unsigned i = 0; i < bmc->config.image_count; i++)
            fwr_source_file_close(&bmc->files[i]);
    }
    sim_icmb_end(&bmc->icmb);
    bmc->recipient = NULL;
    bmc->donor = NULL;
    free(bmc->recipient_storage);
    free(bmc->donor_storage);
    free(bmc->keyring_storage);
    free(bmc->provisioned);
    fwr_flash_file_close(&bmc->flash);
    fwr_store_dir_close(&bmc->store);
    sim_config_free(&bmc->config);
    if (bmc->log != stderr)
        fclose(bmc->log);
    bmc->log = stderr;
}
