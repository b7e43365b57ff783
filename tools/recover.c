/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover recover`: repairs a flash file from donors, without any BMC. One thread, one loop:
 * the roads to the donors, the recipient's steps, time. Being killed costs nothing: the journal
 * in the store directory lets the next start go on.
 */
#include "tools/recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-file.h>
#include <fwrecover/host-null.h>
#include <fwrecover/oem.h>
#include <fwrecover/recipient.h>
#include <fwrecover/store-dir.h>
#include <fwrecover/version.h>

#include "tools/donors.h"
#include "tools/found.h"
#include "tools/json.h"
#include "tools/layout.h"
#include "tools/listener.h"
#include "tools/number.h"
#include "tools/options.h"
#include "tools/peers.h"
#include "tools/progress.h"
#include "tools/say.h"
#include "tools/trust.h"

#define STORE_ADVICE "make it once with 'mkdir -m 700 DIR': it keeps the journal and the floors"
#define ROADS_MAX    (TOOL_DONORS_MAX + TOOL_FOUND_MAX) /* the last ones are for who is found */

#define STEPS_A_TURN 32
#define PAGE_PIECE   1024
#define ROADS_MS     200 /* between looks at which roads carry, */
#define NO_ROADS_MS  10  /* as long as none does */

struct recovery {
    /* the command line */
    const char *component, *trust_path, *store_path, *config_path, *guard;
    const char *password_file, *password_argument, *kg_file;
    struct tool_list targets, listen, interfaces;
    struct tool_u32 manufacturer, product, revision, erase_size, program_size, suite, lanes, rounds;
    struct tool_u32 min_sequence, pinned_sequence, block_size, iana, mtu;
    struct tool_u32 discover_port, discover_max;
    bool discover;
    struct tool_layout local;
    bool dry_run, json, quiet, verbose;

    struct tool_login login; /* what the donors have in common */
    struct tool_donors donors;
    struct tool_found found;
    struct tool_road roads[ROADS_MAX];
    unsigned road_count; /* open or not */
    struct tool_sessions sessions;
    struct tool_listeners listeners;
    const struct fwr_link *links[ROADS_MAX];
    struct fwr_peer peers[ROADS_MAX];

    struct fwr_platform platform;
    struct fwr_trust trust;
    struct fwr_flash_file flash;
    bool flash_open;
    struct fwr_store_dir store;
    bool store_open;
    struct fwr_board board;
    struct fwr_region_map map;
    struct fwr_policy policy;
    struct fwr_policy_rules rules;
    struct fwr_recipient_config config;
    struct fwr_recipient *recipient;
    void *storage;
    struct fwr_oem oem;
    struct tool_progress progress;
    char carrying[TOOL_ROADS_TEXT]; /* the roads, as looked at last: */
    uint64_t looked_at;
    uint8_t looked_state;
};

/* Log lines and the progress bar share a terminal. */
static void log_line(void *ctx, enum fwr_log_level level, const char *text)
{
    struct recovery *recovery = ctx;

    if (recovery->quiet ? level != FWR_LOG_ERROR : level == FWR_LOG_DEBUG && !recovery->verbose)
        return;
    tool_progress_clear(&recovery->progress);
    fprintf(stderr, "%s%s\n", level == FWR_LOG_ERROR ? "error: " : "", text);
}

/* ---- setting up ---- */

static int open_flash(struct recovery *recovery, const char *path)
{
    struct fwr_flash_geometry geometry = fwr_flash_file_geometry;
    uint32_t guard;
    int error;

    if (recovery->erase_size.given)
        geometry.erase_size = recovery->erase_size.value;
    if (recovery->program_size.given)
        geometry.program_size = recovery->program_size.value;
    error = fwr_flash_file_open(&recovery->flash, path, &geometry, recovery->dry_run);
    if (error == FWR_E_BUSY)
        return tool_error(error, path, "another process is writing to it");
    if (error != FWR_OK)
        return tool_error(error, path, NULL);
    recovery->flash_open = true;
    if (recovery->local.preserve.count == 0)
        return TOOL_OK;
    recovery->board.local = &recovery->map;
    return tool_layout_map(&recovery->local, recovery->flash.flash.geometry.size,
                           geometry.erase_size, &recovery->map, &guard);
}

static int open_store(struct recovery *recovery)
{
    int error = fwr_store_dir_open(&recovery->store, recovery->store_path);

    recovery->store_open = error == FWR_OK;
    switch (error) {
    case FWR_OK:
        return TOOL_OK;
    case FWR_E_BUSY:
        return tool_error(error, recovery->store_path, "another recovery is using it");
    case FWR_E_PERMISSIONS:
        return tool_error(error, recovery->store_path,
                          "it must be a directory of yours that nobody else can write to");
    default:
        return tool_error(error, recovery->store_path, STORE_ADVICE);
    }
}

static int read_board(struct recovery *recovery)
{
    if (recovery->component == NULL || !recovery->manufacturer.given || !recovery->product.given ||
        recovery->trust_path == NULL || recovery->store_path == NULL)
        return tool_usage("recover: --component, --manufacturer, --product, --trust and --store "
                          "are needed");
    if (!tool_uuid(recovery->component, recovery->board.component))
        return tool_usage("--component %s: not a UUID", recovery->component);
    recovery->board.manufacturer = recovery->manufacturer.value;
    recovery->board.product = (uint16_t)recovery->product.value;
    recovery->board.hardware_revision = (uint16_t)recovery->revision.value;
    return tool_trust_read(recovery->trust_path, &recovery->trust);
}

/* What the command line says of discovery counts more than the file. */
static void set_discover(struct recovery *recovery)
{
    struct tool_discover *discover = &recovery->donors.discover;

    if (recovery->discover && !discover->on)
        discover->login = recovery->login;
    discover->on |= recovery->discover;
    if (recovery->discover_port.given)
        discover->port = (uint16_t)recovery->discover_port.value;
    if (recovery->discover_max.given)
        discover->max = (uint8_t)recovery->discover_max.value;
}

static int read_donors(struct recovery *recovery)
{
    struct tool_login *login = &recovery->login;
    bool have_password = recovery->password_file != NULL || recovery->password_argument != NULL ||
                         getenv("FWRECOVER_PASSWORD") != NULL;
    bool need_password = recovery->listen.count > 0;
    int status = TOOL_OK;

    for (size_t i = 0; i < recovery->targets.count; i++)
        need_password |= tool_road_has_sessions(recovery->targets.items[i]);
    need_password |= recovery->discover;
    if (recovery->targets.count == 0 && recovery->config_path == NULL &&
        recovery->listen.count == 0 && !recovery->discover)
        return tool_usage("recover: name a donor with --donor ADDRESS or --config FILE, or let "
                          "some be found with --discover");
    if (recovery->suite.value != FWR_RMCP_SUITE_SHA1 &&
        recovery->suite.value != FWR_RMCP_SUITE_SHA256)
        return tool_usage("--suite: not 3 or 17");
    login->suite = (uint8_t)recovery->suite.value;
    login->iana = recovery->iana.value;
    login->privilege = FWR_PRIVILEGE_USER;
    login->mtu = (uint16_t)recovery->mtu.value;
    for (size_t i = 0; i < recovery->interfaces.count && status == TOOL_OK; i++)
        status = tool_donors_interface(&recovery->donors, recovery->interfaces.items[i]);
    if (status == TOOL_OK && (have_password || need_password))
        status = tool_secret_password(recovery->password_file, recovery->password_argument,
                                      &login->password);
    if (status == TOOL_OK && recovery->kg_file != NULL)
        status = tool_secret_read(recovery->kg_file, &login->kg);
    for (size_t i = 0; i < recovery->targets.count && status == TOOL_OK; i++) {
        login->target = recovery->targets.items[i];
        status = tool_donors_add(&recovery->donors, NULL, login);
    }
    if (status == TOOL_OK && recovery->config_path != NULL)
        status = tool_donors_read(&recovery->donors, recovery->config_path, login);
    if (status == TOOL_OK)
        set_discover(recovery);
    if (status == TOOL_OK && recovery->donors.count == 0 && recovery->listen.count == 0 &&
        !recovery->donors.discover.on)
        status = tool_usage("%s: names no donor", recovery->config_path);
    return status;
}

/* ---- between the roads and the engine ---- */

static uint8_t peer_of(const struct recovery *recovery, const struct tool_road *road)
{
    return (uint8_t)(road - recovery->roads);
}

static bool is_found(const struct recovery *recovery, const struct tool_road *road)
{
    return peer_of(recovery, road) >= recovery->donors.count;
}

static uint8_t slot_of(const struct recovery *recovery, const struct tool_road *road)
{
    return (uint8_t)(peer_of(recovery, road) - recovery->donors.count);
}

static void on_reply(void *ctx, struct tool_road *road, uint8_t command, const uint8_t *reply,
                     size_t length)
{
    struct recovery *recovery = ctx;

    if (is_found(recovery, road))
        tool_found_result(&recovery->found, slot_of(recovery, road), FWR_OK);
    fwr_oem_response(&recovery->oem, recovery->recipient, tool_now(), peer_of(recovery, road),
                     command, reply, length);
}

static void on_state(void *ctx, struct tool_road *road, int error)
{
    struct recovery *recovery = ctx;

    if (is_found(recovery, road) && error != FWR_OK)
        tool_found_result(&recovery->found, slot_of(recovery, road), error);
    fwr_recipient_peer(recovery->recipient, tool_now(), peer_of(recovery, road), error,
                       &road->limits);
}

static void on_heard(void *ctx, struct tool_road *road, const uint8_t *data, size_t length)
{
    struct recovery *recovery = ctx;

    fwr_recipient_heard(recovery->recipient, tool_now(), peer_of(recovery, road), data, length);
}

static const struct tool_road_events road_events = {on_reply, on_state, on_heard};

/* ---- who is found ---- */

static void on_found(void *ctx, uint8_t slot, const struct tool_login *login, const char *name,
                     uint32_t round_trip_ms)
{
    struct recovery *recovery = ctx;
    unsigned peer = recovery->donors.count + slot;
    struct tool_road *road = &recovery->roads[peer];

    if (tool_road_open(road, login, &recovery->platform, &road_events, recovery) != TOOL_OK) {
        tool_found_result(&recovery->found, slot, FWR_E_NO_DONOR);
        return;
    }
    road->limits.round_trip_ms = round_trip_ms;
    recovery->links[peer] = road->link;
    recovery->peers[peer].name = name;
    fwr_recipient_peer(recovery->recipient, tool_now(), (uint8_t)peer, FWR_OK, &road->limits);
}

static void on_gone(void *ctx, uint8_t slot)
{
    struct recovery *recovery = ctx;
    unsigned peer = recovery->donors.count + slot;

    fwr_recipient_peer(recovery->recipient, tool_now(), (uint8_t)peer, FWR_E_NOT_FOUND, NULL);
    tool_road_close(&recovery->roads[peer]);
    recovery->links[peer] = NULL;
}

/* Prepares the search, and places for who is found. */
static int init_found(struct recovery *recovery)
{
    static const struct tool_found_events events = {on_found, on_gone};
    int status = tool_found_init(&recovery->found, &recovery->donors, &recovery->store.store,
                                 &recovery->platform, &events, recovery);

    if (status != TOOL_OK || recovery->found.discover == NULL)
        return status;
    for (unsigned slot = 0; slot < TOOL_FOUND_MAX; slot++) {
        struct fwr_peer *peer = &recovery->peers[recovery->road_count++];

        peer->name = "";
        peer->limits = (struct fwr_link_limits){.max_request = FWR_LINK_MIN_REQUEST,
                                                .max_reply = FWR_LINK_MIN_REPLY,
                                                .window = 1,
                                                .medium = FWR_MEDIUM_LAN};
    }
    return TOOL_OK;
}

/* Whether donors are being looked for. */
static bool is_looking(const struct recovery *recovery)
{
    struct fwr_status_page page;

    fwr_recipient_status(recovery->recipient, &page);
    return page.state == FWR_STATE_NEGOTIATING || page.state == FWR_STATE_BACKOFF;
}

/* ---- setting up the roads ---- */

static int open_roads(struct recovery *recovery)
{

    for (unsigned i = 0; i < recovery->donors.count; i++) {
        struct tool_donor *donor = &recovery->donors.items[i];
        int status = tool_road_open(&recovery->roads[i], &donor->login, &recovery->platform,
                                    &road_events, recovery);

        if (status != TOOL_OK)
            return status;
        recovery->road_count++;
        recovery->links[i] = recovery->roads[i].link;
        recovery->peers[i].name = donor->name;
        recovery->peers[i].limits = recovery->roads[i].limits;
    }
    return TOOL_OK;
}

/* For a console that watches, steers or pushes: with the credentials that donors are asked with. */
static int open_listeners(struct recovery *recovery)
{
    struct tool_list suites = {.items = {recovery->suite.value == FWR_RMCP_SUITE_SHA1 ? "3" : "17"},
                               .count = 1};
    int status;

    recovery->oem = (struct fwr_oem){.size = sizeof(recovery->oem),
                                     .iana = recovery->iana.value,
                                     .command_base = FWR_COMMAND_BASE,
                                     .slot_count = 1,
                                     .recipients = &recovery->recipient};
    if (recovery->listen.count == 0)
        return TOOL_OK;
    recovery->sessions.password = recovery->login.password;
    recovery->sessions.kg = recovery->login.kg;
    status = tool_sessions_init(&recovery->sessions, recovery->login.user, &suites,
                                recovery->iana.value, &recovery->platform);
    if (status == TOOL_OK)
        status = tool_listeners_open(&recovery->listeners, &recovery->listen, NULL,
                                     &recovery->sessions, &recovery->oem);
    if (status != TOOL_OK)
        return status;
    if (recovery->json) {
        struct json_object *object = json_object_new_object();

        json_object_object_add(object, "listening", tool_listeners_json(&recovery->listeners));
        tool_json_print(object);
        return TOOL_OK;
    }
    printf("listening on");
    tool_listeners_print(&recovery->listeners);
    printf("\n");
    fflush(stdout);
    return TOOL_OK;
}

static int guard_mode(const char *name, uint8_t *mode)
{
    static const char *const names[] = {"always", "update", "never"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (uint8_t)i;
            return TOOL_OK;
        }
    }
    return tool_usage("--guard %s: not always, update or never", name);
}

static int init_recipient(struct recovery *recovery)
{
    struct fwr_recipient_config *config = &recovery->config;
    size_t size;
    int status, error;

    config->size = sizeof(*config);
    config->platform = &recovery->platform;
    config->flash = &recovery->flash.flash;
    config->store = &recovery->store.store;
    config->host = &fwr_host_null;
    config->policy = &recovery->policy;
    config->rules = &recovery->rules;
    config->board = &recovery->board;
    config->trust = &recovery->trust;
    config->peer_count = (uint8_t)recovery->road_count;
    config->peers = recovery->peers;
    config->lanes = (uint8_t)recovery->lanes.value;
    config->rounds = (uint8_t)recovery->rounds.value;
    config->block_size = recovery->block_size.value;
    status = guard_mode(recovery->guard, &config->guard);
    if (status != TOOL_OK)
        return status;
    recovery->rules.min_sequence = recovery->min_sequence.value;
    recovery->rules.pinned = recovery->pinned_sequence.given;
    recovery->rules.pinned_sequence = recovery->pinned_sequence.value;
    fwr_policy_default_init(&recovery->policy, &recovery->rules);
    size = fwr_recipient_storage(config);
    if (size == 0)
        return tool_usage("recover: this flash and these options do not go together");
    recovery->storage = malloc(size);
    error = recovery->storage == NULL ? FWR_E_MEMORY
                                      : fwr_recipient_init(&recovery->recipient, recovery->storage,
                                                           size, config, tool_now());
    if (error != FWR_OK)
        return tool_error(error, recovery->store_path, NULL);
    for (unsigned i = recovery->donors.count; i < recovery->road_count; i++)
        fwr_recipient_peer(recovery->recipient, tool_now(), (uint8_t)i, FWR_E_NOT_FOUND, NULL);
    return TOOL_OK;
}

/* ---- running ---- */

static const struct fwr_caller local_caller = {
    .privilege = FWR_PRIVILEGE_ADMIN, .security = FWR_SECURITY_LOCAL, .max_reply = PAGE_PIECE};

/* The peers page as a peer would read it. */
static int read_page(void *ctx, uint32_t offset, uint8_t *buffer, size_t capacity, size_t *got)
{
    struct recovery *recovery = ctx;
    const struct fwr_read_page_request request = {
        .cookie = 1,
        .page = FWR_PAGE_PEERS,
        .offset = offset,
        .length = (uint16_t)(capacity < PAGE_PIECE ? capacity : PAGE_PIECE)};
    struct fwr_read_page_reply page;
    uint8_t data[FWR_MESSAGE_MAX], reply[PAGE_PIECE];
    int length = fwr_read_page_request_encode(&request, data, sizeof(data));
    int error;

    length = fwr_recipient_request(recovery->recipient, tool_now(), &local_caller,
                                   FWR_CMD_READ_PAGE, data, (size_t)length, reply, sizeof(reply));
    if (length < 0)
        return length;
    error = fwr_read_page_reply_decode(reply, (size_t)length, &page);
    if (error != FWR_OK)
        return error;
    memcpy(buffer, page.data, page.length);
    *got = page.length;
    return FWR_OK;
}

static const char *peer_name(const void *ctx, uint8_t peer)
{
    return peer < ROADS_MAX ? ((const struct recovery *)ctx)->peers[peer].name : NULL;
}

/* Which roads carry now: looked at when the state changes, and every while. */
static const char *roads(struct recovery *recovery, uint8_t state)
{
    struct tool_peers peers;
    uint64_t now = tool_now();
    uint64_t pause = recovery->carrying[0] != '\0' ? ROADS_MS : NO_ROADS_MS;

    if (state == recovery->looked_state && now < recovery->looked_at + pause)
        return recovery->carrying;
    recovery->looked_state = state;
    recovery->looked_at = now;
    (void)tool_peers_read(&peers, read_page, recovery);
    tool_peers_carrying(&peers, recovery->carrying, sizeof(recovery->carrying));
    return recovery->carrying;
}

/* Get Status in the same way: it knows the share of work done. */
static void show_progress(struct recovery *recovery)
{
    const struct fwr_get_status_request request = {.cookie = 1};
    struct fwr_get_status_reply status;
    uint8_t data[FWR_MESSAGE_MAX], reply[FWR_MESSAGE_MAX];
    int length;

    if (recovery->quiet)
        return;
    length = fwr_get_status_request_encode(&request, data, sizeof(data));
    length = fwr_recipient_request(recovery->recipient, tool_now(), &local_caller,
                                   FWR_CMD_GET_STATUS, data, (size_t)length, reply, sizeof(reply));
    if (length > 0 && fwr_get_status_reply_decode(reply, (size_t)length, &status) == FWR_OK)
        tool_progress_show(&recovery->progress, &status, roads(recovery, status.state));
}

/* The first signal asks the engine to stop; it goes on if stopping would be worse. */
static void stop(struct recovery *recovery, bool *asked)
{
    if (!*asked && fwr_recipient_abort(recovery->recipient, tool_now()) == FWR_E_STATE)
        tool_note("writing has begun and goes on to its end: half an image is worse");
    *asked = true;
}

/* What to wait for, in the order listeners, searches, roads: the handles and the time. */
static uint64_t waiting_for(const struct recovery *recovery, struct pollfd *handles, size_t *count)
{
    uint64_t next = fwr_recipient_next_timeout(recovery->recipient);
    uint64_t due = tool_listeners_next_timeout(&recovery->listeners);

    next = due < next ? due : next;
    due = tool_found_next_timeout(&recovery->found);
    next = due < next ? due : next;
    for (unsigned i = 0; i < recovery->road_count; i++) {
        due = tool_road_next_timeout(&recovery->roads[i]);
        handles[(*count)++] = tool_road_handle(&recovery->roads[i]);
        next = due < next ? due : next;
    }
    return next;
}

static void wait_and_receive(struct recovery *recovery, bool busy)
{
    struct pollfd handles[TOOL_LISTENERS_HANDLES + FWR_DISCOVER_INTERFACES_MAX + ROADS_MAX];
    size_t listening = tool_listeners_handles(&recovery->listeners, handles);
    size_t first = listening + tool_found_handles(&recovery->found, handles + listening);
    size_t count = first;
    uint64_t next = waiting_for(recovery, handles, &count);
    uint64_t now;

    tool_poll(handles, count, busy ? 0 : next);
    tool_listeners_work(&recovery->listeners, handles);
    for (unsigned i = 0; i < recovery->road_count; i++) {
        if (handles[first + i].revents != 0)
            tool_road_ready(&recovery->roads[i]);
        now = tool_now();
        if (tool_road_next_timeout(&recovery->roads[i]) <= now)
            tool_road_timeout(&recovery->roads[i], now);
    }
    now = tool_now();
    if (fwr_recipient_next_timeout(recovery->recipient) <= now)
        fwr_recipient_timeout(recovery->recipient, now);
}

/* Some steps before the sockets have their turn. What a step asks for goes out at once, so that
 * the donors are at work meanwhile. */
static bool work(struct recovery *recovery)
{
    bool busy = true;

    for (int i = 0; i < STEPS_A_TURN && busy; i++) {
        uint64_t now = tool_now();

        busy = fwr_recipient_step(recovery->recipient, now) == FWR_PENDING;
        for (unsigned road = 0; road < recovery->road_count; road++)
            tool_road_gather(&recovery->roads[road]);
        fwr_oem_pump(recovery->recipient, now, recovery->links, recovery->road_count);
        for (unsigned road = 0; road < recovery->road_count; road++)
            tool_road_flush(&recovery->roads[road]);
    }
    return busy;
}

/* A run is over; with --listen the next may come until we are told to stop. */
static bool ended(const struct recovery *recovery, const struct fwr_status_page *page)
{
    bool rest = page->state == FWR_STATE_DONE || page->state == FWR_STATE_FAILED ||
                page->state == FWR_STATE_IDLE;

    return rest && (recovery->listen.count == 0 || tool_stopped());
}

static void loop(struct recovery *recovery, struct fwr_status_page *page)
{
    bool asked = false;

    for (;;) {
        bool busy = work(recovery);

        tool_found_work(&recovery->found, is_looking(recovery));
        show_progress(recovery);
        fwr_recipient_status(recovery->recipient, page);
        if (ended(recovery, page))
            break;
        if (tool_stopped() && !asked) {
            stop(recovery, &asked);
            busy = true;
        }
        wait_and_receive(recovery, busy);
    }
    tool_progress_clear(&recovery->progress);
}

static int report(struct recovery *recovery, const struct fwr_status_page *page)
{
    struct json_object *object;
    struct tool_peers peers;
    bool healthy = page->blocks_wrong == page->blocks_repaired;

    if (recovery->listen.count > 0)
        return TOOL_OK; /* each run's end was for the console that asked for it */
    (void)tool_peers_read(&peers, read_page, recovery);
    if (recovery->json) {
        object = tool_progress_json(page);
        tool_peers_json(&peers, object, peer_name, recovery);
        tool_json_print(object);
    } else {
        tool_progress_table(page);
        tool_peers_table(&peers, recovery->verbose, peer_name, recovery);
    }
    if (page->state != FWR_STATE_DONE)
        return page->reason != 0 ? tool_exit_of(-page->reason) : TOOL_DAMAGED;
    return recovery->dry_run && !healthy ? TOOL_DAMAGED : TOOL_OK;
}

static int run(struct recovery *recovery, const char *path)
{
    struct fwr_status_page page;
    int status = read_board(recovery);
    int error;

    if (status == TOOL_OK)
        status = read_donors(recovery);
    if (status == TOOL_OK)
        status = open_flash(recovery, path);
    if (status == TOOL_OK)
        status = open_store(recovery);
    if (status == TOOL_OK)
        status = open_roads(recovery);
    if (status == TOOL_OK)
        status = init_found(recovery);
    tool_stop_init();
    if (status == TOOL_OK)
        status = init_recipient(recovery);
    if (status != TOOL_OK)
        return status;
    status = open_listeners(recovery);
    if (status != TOOL_OK)
        return status;
    error = FWR_OK;
    if (recovery->listen.count == 0)
        error = fwr_recipient_start(recovery->recipient, tool_now(),
                                    recovery->dry_run ? FWR_START_DRY_RUN : FWR_START_REPAIR, 0);
    /* Busy: a recovery that was cut goes on by itself, and must, whatever was asked for. */
    if (error == FWR_E_BUSY && recovery->dry_run)
        return tool_error(error, path, "a repair was cut here; run without --dry-run to end it");
    if (error != FWR_OK && error != FWR_E_BUSY)
        return tool_error(error, path, NULL);
    loop(recovery, &page);
    return report(recovery, &page);
}

static void end(struct recovery *recovery)
{
    if (recovery->recipient != NULL)
        fwr_recipient_end(recovery->recipient);
    free(recovery->storage);
    tool_found_end(&recovery->found);
    for (unsigned i = 0; i < recovery->road_count; i++)
        tool_road_close(&recovery->roads[i]);
    tool_listeners_close(&recovery->listeners);
    tool_sessions_wipe(&recovery->sessions);
    tool_donors_free(&recovery->donors);
    tool_secret_wipe(&recovery->login.password);
    tool_secret_wipe(&recovery->login.kg);
    if (recovery->store_open)
        fwr_store_dir_close(&recovery->store);
    if (recovery->flash_open)
        fwr_flash_file_close(&recovery->flash);
}

int tool_recover(int argc, char **argv)
{
    static struct recovery r = {.guard = "always",
                                .login = {.user = "fwrecover"},
                                .suite = {FWR_RMCP_SUITE_SHA256, false},
                                .iana = {FWR_IANA_DEFAULT, false},
                                .rounds = {3, false}};
    const struct tool_option options[] = {
        {"donor", 'd', TOOL_LIST, &r.targets, "ADDRESS",
         "ask this donor; may be repeated: HOST[:PORT], serial:DEVICE[:BAUD], "
         "terminal:DEVICE[:BAUD], bluetooth:AA:BB:CC:DD:EE:FF[/CHANNEL] or "
         "icmb:DEVICE[:BAUD]/ADDRESS",
         0, 0},
        {"config", 'c', TOOL_TEXT, &r.config_path, "FILE", "a file that names donors", 0, 0},
        {"interface", 'i', TOOL_LIST, &r.interfaces, "NAME[=MEDIUM]",
         "go over this network interface only; may be repeated", 0, 0},
        {"mtu", 0, TOOL_U32, &r.mtu, "N", "of the way to the donors [the interface's]",
         TOOL_MTU_MIN, UINT16_MAX},
        {"discover", 'D', TOOL_FLAG, &r.discover, NULL, "find donors by broadcast", 0, 0},
        {"discover-port", 0, TOOL_U32, &r.discover_port, "N", "where they listen [623]", 1,
         UINT16_MAX},
        {"discover-max", 0, TOOL_U32, &r.discover_max, "N", "found donors at once [4]", 1,
         TOOL_FOUND_MAX},
        {"trust", 't', TOOL_TEXT, &r.trust_path, "FILE", "the trust set (required)", 0, 0},
        {"store", 's', TOOL_TEXT, &r.store_path, "DIR", "journal and floors (required)", 0, 0},
        {"component", 0, TOOL_TEXT, &r.component, "UUID", "what the flash holds (required)", 0, 0},
        {"manufacturer", 'm', TOOL_U32, &r.manufacturer, "N",
         "the board maker's enterprise number (required)", 0, 0},
        {"product", 'p', TOOL_U32, &r.product, "N", "the board's product id (required)", 0,
         UINT16_MAX},
        {"revision", 'r', TOOL_U32, &r.revision, "N", "the board's hardware revision [0]", 0,
         UINT16_MAX},
        {"preserve", 0, TOOL_LIST, &r.local.preserve, "OFFSET:LENGTH",
         "never write here, whatever an image says", 0, 0},
        {"listen", 'l', TOOL_LIST, &r.listen, "HOST[:PORT]",
         "start nothing; let a console start, watch and push until SIGTERM", 0, 0},
        {"dry-run", 'n', TOOL_FLAG, &r.dry_run, NULL, "find what differs; write nothing", 0, 0},
        {"user", 'U', TOOL_TEXT, &r.login.user, "NAME", "the user at the donors [fwrecover]", 0, 0},
        {"password-file", 'f', TOOL_TEXT, &r.password_file, "FILE",
         "its password; else FWRECOVER_PASSWORD", 0, 0},
        {"password", 'P', TOOL_TEXT, &r.password_argument, "TEXT",
         "its password, for all on this machine to see", 0, 0},
        {"kg-file", 'k', TOOL_TEXT, &r.kg_file, "FILE", "the donors' BMC key K_g", 0, 0},
        {"suite", 'C', TOOL_U32, &r.suite, "N", "cipher suite 17 (default) or 3", 3, 17},
        {"min-sequence", 0, TOOL_U32, &r.min_sequence, "N", "refuse older images", 0, 0},
        {"pin", 0, TOOL_U32, &r.pinned_sequence, "N", "take only this sequence", 0, 0},
        {"guard", 0, TOOL_TEXT, &r.guard, "MODE", "boot guard: always (default), update, never", 0,
         0},
        {"lanes", 0, TOOL_U32, &r.lanes, "N", "blocks in flight from donors at once [4]", 1,
         FWR_LANES_MAX},
        {"rounds", 0, TOOL_U32, &r.rounds, "N", "fruitless rounds before giving up [3]", 1, 254},
        {"erase-size", 0, TOOL_U32, &r.erase_size, "N", "of the flash [4096]", 1, 0},
        {"program-size", 0, TOOL_U32, &r.program_size, "N", "of the flash [256]", 1, 0},
        {"block-size", 0, TOOL_U32, &r.block_size, "N", "largest block of an image [4096]",
         FWR_BLOCK_SIZE_MIN, FWR_BLOCK_SIZE_MAX},
        {"iana", 0, TOOL_U32, &r.iana, "N", "enterprise number of the commands", 1, 0xffffff},
        {"json", 0, TOOL_FLAG, &r.json, NULL, "report as JSON", 0, 0},
        {"quiet", 'q', TOOL_FLAG, &r.quiet, NULL, "no progress, no log", 0, 0},
        {"verbose", 'v', TOOL_FLAG, &r.verbose, NULL, "log more", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "recover",
        "FLASH",
        "Repairs a flash file from donors: finds what is wrong, fetches only that, checks every\n"
        "byte before it is written. Killed in the middle, it goes on when run again.",
        options,
        1,
        1};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    tool_progress_init(&r.progress);
    r.platform = fwr_platform_default;
    r.platform.ctx = &r;
    r.platform.log = log_line;
    status = run(&r, files[0]);
    end(&r);
    return status;
}
