/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover serve`: gives images in files to whoever has the password, until it is told to
 * stop. Runs in the foreground, one thread, one loop: sockets, the donor's steps, time.
 */
#include "tools/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/donor.h>
#include <fwrecover/error.h>
#include <fwrecover/source-file.h>
#include <fwrecover/version.h>

#include "tools/artifact.h"
#include "tools/bluetooth-listener.h"
#include "tools/icmb-listener.h"
#include "tools/json.h"
#include "tools/listener.h"
#include "tools/net.h"
#include "tools/options.h"
#include "tools/say.h"
#include "tools/secrets.h"
#include "tools/serial-listener.h"
#include "tools/trust.h"

struct server {
    /* the command line */
    struct tool_list listen, interfaces, serial, bluetooth, icmb, suites;
    const char *user, *password_file, *kg_file, *trust_path;
    const char *password_argument, *serial_mode, *coding;
    struct tool_u32 serial_message, icmb_packet, transfers, rate, session_limit, idle, iana;
    bool json, verbose;

    struct fwr_platform platform;
    struct fwr_trust trust;
    struct fwr_source_file files[FWR_DONOR_IMAGES_MAX];
    const struct fwr_source *sources[FWR_DONOR_IMAGES_MAX];
    unsigned image_count;
    struct fwr_donor_config donor_config;
    void *donor_storage;
    struct fwr_oem oem;
    struct tool_sessions sessions;
    struct tool_listeners listeners;
    struct tool_serial_listeners lines;
    struct tool_bluetooth_listeners channels;
    struct tool_icmb_listeners buses;
};

/* Opens one image, and learns how much memory the donor will need for it. */
static int open_image(struct server *server, const char *envelope, const char *raw)
{
    struct fwr_source_file *file = &server->files[server->image_count];
    struct tool_artifact artifact;
    struct fwr_manifest manifest;
    int error;
    int status = tool_artifact_read(envelope, &artifact);

    if (status != TOOL_OK)
        return status;
    status = tool_artifact_verify(&artifact, &server->trust, &manifest);
    if (status == TOOL_OK && artifact.file.length > server->donor_config.max_envelope)
        server->donor_config.max_envelope = (uint32_t)artifact.file.length;
    tool_artifact_free(&artifact);
    if (status != TOOL_OK)
        return status;
    error = fwr_source_file_open(file, raw, envelope);
    if (error != FWR_OK)
        return tool_error(error, raw, NULL);
    server->sources[server->image_count++] = &file->source;
    if (file->image_size != manifest.flash_size)
        return tool_errorf(FWR_E_FLASH_SIZE, raw, "it has %llu bytes, %s describes %lu",
                           (unsigned long long)file->image_size, envelope,
                           (unsigned long)manifest.flash_size);
    if (fwr_manifest_leaf_count(&manifest) > server->donor_config.max_leaves)
        server->donor_config.max_leaves = fwr_manifest_leaf_count(&manifest);
    if (manifest.block_size > server->donor_config.max_block_size)
        server->donor_config.max_block_size = manifest.block_size;
    return TOOL_OK;
}

/* Recipients ask for coded blocks on slow roads only, and coding costs memory. */
static int choose_codecs(struct server *server)
{
    bool slow = server->serial.count + server->bluetooth.count + server->icmb.count > 0;
    int codec = slow ? FWR_CODEC_LZ4 : FWR_CODEC_NONE;

    if (server->coding != NULL && strcmp(server->coding, "lz4") == 0)
        codec = FWR_CODEC_LZ4;
    else if (server->coding != NULL && strcmp(server->coding, "none") == 0)
        codec = FWR_CODEC_NONE;
    else if (server->coding != NULL)
        return tool_usage("--coding %s: not lz4 or none", server->coding);
    server->donor_config.codecs = (uint8_t)(1 << codec);
    return TOOL_OK;
}

static int start_donor(struct server *server)
{
    struct fwr_donor_config *config = &server->donor_config;
    size_t size;
    int error;

    config->size = sizeof(*config);
    config->platform = &server->platform;
    config->trust = &server->trust;
    config->image_count = (uint8_t)server->image_count;
    config->images = server->sources;
    config->max_transfers = (uint8_t)server->transfers.value;
    config->bytes_per_second = server->rate.value;
    size = fwr_donor_storage(config);
    if (size == 0)
        return tool_usage("serve: the images are too large for this build");
    server->donor_storage = malloc(size);
    error =
        server->donor_storage == NULL
            ? FWR_E_MEMORY
            : fwr_donor_init(&server->oem.donor, server->donor_storage, size, config, tool_now());
    return error == FWR_OK ? TOOL_OK : tool_error(error, "serve", NULL);
}

/* Lets the donor check every image. All must be good: who starts a donor wants to know now. */
static int verify_images(struct server *server)
{
    struct fwr_donor_status status;

    while (!tool_stopped() && fwr_donor_step(server->oem.donor, tool_now()) == FWR_PENDING)
        continue;
    fwr_donor_status(server->oem.donor, &status);
    for (unsigned i = 0; i < server->image_count && !tool_stopped(); i++) {
        const struct fwr_donor_image_status *image = &status.images[i];

        if (image->state == FWR_OK)
            continue;
        if (image->bad_block != UINT32_MAX)
            return tool_errorf(image->state, server->sources[i]->name, "first bad block at 0x%lx",
                               (unsigned long)image->bad_block);
        return tool_error(image->state, server->sources[i]->name,
                          "its envelope describes another image");
    }
    return TOOL_OK;
}

static int open_sockets(struct server *server)
{
    struct tool_sessions *sessions = &server->sessions;
    int status;

    status =
        tool_secret_password(server->password_file, server->password_argument, &sessions->password);
    if (status == TOOL_OK && server->kg_file != NULL)
        status = tool_secret_read(server->kg_file, &sessions->kg);
    if (status == TOOL_OK)
        status = tool_sessions_init(sessions, server->user, &server->suites, server->iana.value,
                                    &server->platform);
    sessions->config.sessions = (uint8_t)server->session_limit.value;
    sessions->config.idle_ms = server->idle.value * 1000;
    if (status == TOOL_OK)
        status = tool_listeners_open(&server->listeners, &server->listen, &server->interfaces,
                                     sessions, &server->oem);
    return status;
}

/* Where lines, channels or buses are named, sockets are opened only if they are, too. */
static int open_listeners(struct server *server)
{
    bool lines = server->serial.count > 0, buses = server->icmb.count > 0;
    bool sockets = server->listen.count > 0 || server->interfaces.count > 0;
    int status = TOOL_OK;

    if (sockets || (!lines && !buses && server->bluetooth.count == 0))
        status = open_sockets(server);
    if (status == TOOL_OK && lines)
        status = tool_serial_listeners_open(&server->lines, &server->serial, server->serial_mode,
                                            server->serial_message.value, server->iana.value,
                                            &server->oem);
    if (status == TOOL_OK && buses)
        status = tool_icmb_listeners_open(&server->buses, &server->icmb, server->icmb_packet.value,
                                          server->iana.value, &server->platform, &server->oem);
    if (status == TOOL_OK && server->bluetooth.count > 0)
        status =
            tool_bluetooth_listeners_open(&server->channels, &server->bluetooth, server->iana.value,
                                          &server->oem, !lines && !buses && !sockets);
    return status;
}

/* The one line that says that recipients may come now. */
static void print_ready(const struct server *server)
{
    struct json_object *object, *list;

    if (!server->json) {
        printf("serving %u image%s on", server->image_count, server->image_count == 1 ? "" : "s");
        tool_listeners_print(&server->listeners);
        tool_serial_listeners_print(&server->lines);
        tool_bluetooth_listeners_print(&server->channels);
        tool_icmb_listeners_print(&server->buses);
        printf("\n");
        fflush(stdout);
        return;
    }
    object = json_object_new_object();
    tool_json_number(object, "images", server->image_count);
    list = tool_listeners_json(&server->listeners);
    tool_serial_listeners_json(&server->lines, list);
    tool_bluetooth_listeners_json(&server->channels, list);
    tool_icmb_listeners_json(&server->buses, list);
    json_object_object_add(object, "listening", list);
    tool_json_print(object);
}

static void loop(struct server *server)
{
    struct pollfd handles[TOOL_LISTENERS_HANDLES + TOOL_SERIAL_LISTENERS_MAX +
                          TOOL_BLUETOOTH_HANDLES_MAX + TOOL_ICMB_LISTENERS_MAX];
    struct fwr_donor *donor = server->oem.donor;

    while (!tool_stopped()) {
        bool busy = fwr_donor_step(donor, tool_now()) == FWR_PENDING;

        tool_icmb_listeners_speak(&server->buses);

        uint64_t next = busy ? 0 : fwr_donor_next_timeout(donor);
        uint64_t due = tool_listeners_next_timeout(&server->listeners);
        size_t sockets = tool_listeners_handles(&server->listeners, handles);
        size_t lines = tool_serial_listeners_handles(&server->lines, handles + sockets);
        struct pollfd *channels = handles + sockets + lines;
        size_t others = tool_bluetooth_listeners_handles(&server->channels, channels);
        struct pollfd *buses = channels + others;
        size_t count =
            sockets + lines + others + tool_icmb_listeners_handles(&server->buses, buses);

        next = due < next ? due : next;
        due = tool_serial_listeners_next_timeout(&server->lines);
        next = due < next ? due : next;
        due = tool_bluetooth_listeners_next_timeout(&server->channels);
        next = due < next ? due : next;
        due = tool_icmb_listeners_next_timeout(&server->buses);
        tool_poll(handles, count, due < next ? due : next);
        tool_listeners_work(&server->listeners, handles);
        tool_serial_listeners_work(&server->lines, handles + sockets);
        tool_bluetooth_listeners_work(&server->channels, channels);
        tool_icmb_listeners_work(&server->buses, buses);
        if (fwr_donor_next_timeout(donor) <= tool_now())
            fwr_donor_timeout(donor, tool_now());
    }
}

/* What was given away, when it is over. */
static void print_end(const struct server *server)
{
    struct fwr_donor_status status;
    struct json_object *object;

    fwr_donor_status(server->oem.donor, &status);
    if (!server->json) {
        printf("stopped: %llu bytes sent in %lu requests, %lu refused as busy",
               (unsigned long long)status.bytes_sent, (unsigned long)status.requests,
               (unsigned long)status.refused);
        if (server->icmb.count > 0)
            printf("; %llu bytes to everybody at once", (unsigned long long)status.bytes_broadcast);
        printf("\n");
        return;
    }
    object = json_object_new_object();
    tool_json_number(object, "bytes_sent", status.bytes_sent);
    tool_json_number(object, "requests", status.requests);
    tool_json_number(object, "refused", status.refused);
    tool_json_number(object, "bytes_broadcast", status.bytes_broadcast);
    tool_json_print(object);
}

static int run(struct server *server, char **files, unsigned count)
{
    int status = choose_codecs(server);

    if (status == TOOL_OK)
        status = tool_trust_read(server->trust_path, &server->trust);
    for (unsigned i = 0; i < count && status == TOOL_OK; i += 2)
        status = open_image(server, files[i], files[i + 1]);
    if (status == TOOL_OK)
        status = start_donor(server);
    tool_stop_init();
    if (status == TOOL_OK)
        status = verify_images(server);
    if (status == TOOL_OK)
        status = open_listeners(server);
    if (status == TOOL_OK && !tool_stopped()) {
        print_ready(server);
        loop(server);
        print_end(server);
    }
    return status;
}

static void end(struct server *server)
{
    tool_listeners_close(&server->listeners);
    tool_serial_listeners_close(&server->lines);
    tool_bluetooth_listeners_close(&server->channels);
    tool_icmb_listeners_close(&server->buses);
    if (server->oem.donor != NULL)
        fwr_donor_end(server->oem.donor);
    free(server->donor_storage);
    for (unsigned i = 0; i < server->image_count; i++)
        fwr_source_file_close(&server->files[i]);
    tool_sessions_wipe(&server->sessions);
}

int tool_serve(int argc, char **argv)
{
    static struct server server = {.user = "fwrecover",
                                   .serial_mode = "basic",
                                   .serial_message = {FWR_SERIAL_MESSAGE_DEFAULT, false},
                                   .icmb_packet = {FWR_ICMB_DATA_MAX, false},
                                   .iana = {FWR_IANA_DEFAULT, false}};
    const struct tool_option options[] = {
        {"listen", 'l', TOOL_LIST, &server.listen, "HOST[:PORT]",
         "where to listen [every address, port 623]; port 0 takes a free one", 0, 0},
        {"serial", 0, TOOL_LIST, &server.serial, "DEVICE[:BAUD]",
         "answer on this serial line [115200], without a session and as to a USER; UDP only with "
         "--listen",
         0, 0},
        {"bluetooth", 0, TOOL_LIST, &server.bluetooth, "[ADDRESS/]CHANNEL",
         "answer on this Bluetooth channel of one adapter or all, as on a serial line", 0, 0},
        {"icmb", 0, TOOL_LIST, &server.icmb, "DEVICE[:BAUD]/ADDRESS",
         "answer as this node of the bus on a serial device [19200], as on a serial line", 0, 0},
        {"icmb-packet", 0, TOOL_U32, &server.icmb_packet, "BYTES",
         "most data of a packet on the bus [256; 24 is what every node takes]",
         FWR_ICMB_DATA_DEFAULT, FWR_ICMB_DATA_MAX},
        {"serial-mode", 0, TOOL_TEXT, &server.serial_mode, "MODE",
         "of the lines: basic (default) or terminal", 0, 0},
        {"serial-message", 0, TOOL_U32, &server.serial_message, "BYTES",
         "longest message on the lines [40, as ipmitool takes]", FWR_SERIAL_MESSAGE_DEFAULT,
         FWR_SERIAL_MESSAGE_MAX},
        {"interface", 'i', TOOL_LIST, &server.interfaces, "NAME",
         "listen on this network interface only; may be repeated", 0, 0},
        {"trust", 't', TOOL_TEXT, &server.trust_path, "FILE", "the trust set (required)", 0, 0},
        {"user", 'U', TOOL_TEXT, &server.user, "NAME", "the user recipients log in as [fwrecover]",
         0, 0},
        {"password-file", 'f', TOOL_TEXT, &server.password_file, "FILE",
         "its password; else FWRECOVER_PASSWORD", 0, 0},
        {"password", 'P', TOOL_TEXT, &server.password_argument, "TEXT",
         "its password, for all on this machine to see", 0, 0},
        {"kg-file", 'k', TOOL_TEXT, &server.kg_file, "FILE", "the BMC key K_g, if there is one", 0,
         0},
        {"suite", 'C', TOOL_LIST, &server.suites, "N", "cipher suite 17 (default) or 3", 0, 0},
        {"transfers", 0, TOOL_U32, &server.transfers, "N", "at once [4]", 1,
         FWR_DONOR_TRANSFERS_MAX},
        {"rate", 0, TOOL_U32, &server.rate, "BYTES", "most bytes per second of all transfers [any]",
         1, 0},
        {"coding", 0, TOOL_TEXT, &server.coding, "CODEC",
         "of blocks for slow roads: lz4 (default where such a road is) or none", 0, 0},
        {"sessions", 0, TOOL_U32, &server.session_limit, "N", "at once [8]", 1, UINT8_MAX},
        {"idle", 0, TOOL_U32, &server.idle, "SECONDS", "until a silent session ends [60]", 1,
         86400},
        {"iana", 0, TOOL_U32, &server.iana, "N", "enterprise number of the commands", 1, 0xffffff},
        {"json", 0, TOOL_FLAG, &server.json, NULL, "report as JSON", 0, 0},
        {"verbose", 'v', TOOL_FLAG, &server.verbose, NULL, "log more", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "serve",
        "ENVELOPE RAW [ENVELOPE RAW...]",
        "Gives signed images to recipients over IPMI LAN (RMCP+), serial lines,\n"
        "Bluetooth and ICMB, in the foreground, until SIGTERM or SIGINT.",
        options,
        2,
        2 * FWR_DONOR_IMAGES_MAX};
    char **files;
    unsigned count;
    int status;

    if (!tool_options(&usage, argc, argv, &files, &count, &status))
        return status;
    if (count % 2 != 0)
        return tool_usage("serve: envelopes and raw images come in pairs; %s is alone",
                          files[count - 1]);
    if (server.trust_path == NULL)
        return tool_usage("serve: --trust is needed");
    tool_platform_init(&server.platform, server.verbose);
    status = run(&server, files, count);
    end(&server);
    return status;
}
