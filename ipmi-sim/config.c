/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration: see config.h. Values are checked while they are parsed, so that a
 * complaint can name the line; a section is checked when it ends. Called by the module once. It
 * opens no flash and no store, and keeps no secret but the passwords in struct sim_config.
 */
#include "ipmi-sim/config.h"

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <confuse.h>
#include <openssl/crypto.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/icmb.h>
#include <fwrecover/lan.h>
#include <fwrecover/recipient.h>
#include <fwrecover/serial.h>
#include <fwrecover/tty.h>
#include <fwrecover/version.h>

#include "fileio.h"
#include "link/icmb/assumed.h"
#include "oem-cmds/lanserv.h"
#include "tools/number.h"

#define IANA_MAX         0xffffff
#define TIME_MAX_S       86400
#define SECRET_MAX       (FWR_RMCP_PASSWORD_MAX + 2) /* and a line's end */
#define BLUETOOTH_WINDOW 8 /* RFCOMM repeats what is lost, and brings all in order */
#define DEFAULT_SCAN     0

/* ---- what may be said ---- */

static cfg_opt_t component_options[] = {
    CFG_STR("uuid", NULL, CFGF_NONE),
    CFG_INT("manufacturer", 0, CFGF_NONE),
    CFG_INT("product", 0, CFGF_NONE),
    CFG_INT("hardware_revision", 0, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t flash_options[] = {
    CFG_STR("file", NULL, CFGF_NONE),
    CFG_INT("size", 0, CFGF_NONE),
    CFG_INT("erase_size", 4096, CFGF_NONE),
    CFG_INT("page_size", 256, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t preserve_options[] = {
    CFG_INT("offset", 0, CFGF_NONE),
    CFG_INT("length", 0, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t donor_options[] = {
    CFG_STR("host", NULL, CFGF_NONE),      CFG_INT("port", FWR_RMCP_PORT, CFGF_NONE),
    CFG_STR("user", NULL, CFGF_NONE),      CFG_STR("password_file", NULL, CFGF_NONE),
    CFG_STR("kg_file", NULL, CFGF_NONE),   CFG_INT("suite", FWR_RMCP_SUITE_SHA256, CFGF_NONE),
    CFG_STR("device", NULL, CFGF_NONE),    CFG_INT("baud", FWR_TTY_BAUD_DEFAULT, CFGF_NONE),
    CFG_STR("mode", "basic", CFGF_NONE),   CFG_INT("icmb", 0, CFGF_NONE),
    CFG_STR("bluetooth", NULL, CFGF_NONE), CFG_STR("interface", NULL, CFGF_NONE),
    CFG_STR("medium", NULL, CFGF_NONE),    CFG_INT("window", 0, CFGF_NONE),
    CFG_INT("max_reply", 0, CFGF_NONE),    CFG_END(),
};

static cfg_opt_t serial_options[] = {
    CFG_STR("device", NULL, CFGF_NONE),
    CFG_INT("baud", FWR_TTY_BAUD_DEFAULT, CFGF_NONE),
    CFG_STR("mode", "basic", CFGF_NONE),
    CFG_STR("privilege", "user", CFGF_NONE),
    CFG_INT("message", FWR_SERIAL_MESSAGE_DEFAULT, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t icmb_options[] = {
    CFG_STR("device", NULL, CFGF_NONE),
    CFG_INT("baud", ICMB_BIT_RATE, CFGF_NONE),
    CFG_INT("speed", 1, CFGF_NONE),
    CFG_INT("address", 0, CFGF_NONE),
    CFG_INT("packet", FWR_ICMB_DATA_DEFAULT, CFGF_NONE),
    CFG_INT("broadcast_address", ICMB_ALL_ONES, CFGF_NONE),
    CFG_INT("outstanding", FWR_ICMB_OUTSTANDING_DEFAULT, CFGF_NONE),
    CFG_INT("gap", ICMB_GAP, CFGF_NONE),
    CFG_INT("portion", 24, CFGF_NONE),
    CFG_STR("privilege", "user", CFGF_NONE),
    CFG_STR("connector", NULL, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t interface_options[] = {
    CFG_STR("medium", NULL, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t discover_options[] = {
    CFG_STR_LIST("interfaces", NULL, CFGF_NONE),
    CFG_INT("port", FWR_RMCP_PORT, CFGF_NONE),
    CFG_STR("user", NULL, CFGF_NONE),
    CFG_STR("password_file", NULL, CFGF_NONE),
    CFG_STR("kg_file", NULL, CFGF_NONE),
    CFG_INT("suite", FWR_RMCP_SUITE_SHA256, CFGF_NONE),
    CFG_INT("max_reply", 0, CFGF_NONE),
    CFG_INT("interval_ms", 0, CFGF_NONE),
    CFG_INT("max", 4, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t image_options[] = {
    CFG_STR("image", NULL, CFGF_NONE),
    CFG_STR("envelope", NULL, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t recovery_options[] = {
    CFG_INT("lanes", 0, CFGF_NONE),
    CFG_STR("guard", "always", CFGF_NONE),
    CFG_INT("batch", 0, CFGF_NONE),
    CFG_INT("rounds", 0, CFGF_NONE),
    CFG_BOOL("release_on_failure", cfg_false, CFGF_NONE),
    CFG_INT("gather_ms", 0, CFGF_NONE),
    CFG_INT("min_rate", 0, CFGF_NONE),
    CFG_INT("backoff_ms", 0, CFGF_NONE),
    CFG_INT("start_jitter_ms", 0, CFGF_NONE),
    CFG_INT("boot_proof", 0, CFGF_NONE),
    CFG_INT("log_size", 16384, CFGF_NONE),
    CFG_INT("max_jump", 64, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t policy_options[] = {
    CFG_INT("min_sequence", 0, CFGF_NONE),
    CFG_INT("pinned_sequence", -1, CFGF_NONE),
    CFG_STR_LIST("refuse", NULL, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t serve_options[] = {
    CFG_INT("transfers", 0, CFGF_NONE),
    CFG_INT("bytes_per_second", 0, CFGF_NONE),
    CFG_STR("coding", NULL, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t start_options[] = {
    CFG_BOOL("scan", cfg_false, CFGF_NONE),
    CFG_INT("interval", DEFAULT_SCAN, CFGF_NONE),
    CFG_BOOL("repair", cfg_false, CFGF_NONE),
    CFG_END(),
};

static cfg_opt_t options[] = {
    CFG_STR_LIST("roles", NULL, CFGF_NONE),
    CFG_INT("iana", FWR_IANA_DEFAULT, CFGF_NONE),
    CFG_INT("command_base", FWR_COMMAND_BASE, CFGF_NONE),
    CFG_STR("log", NULL, CFGF_NONE),
    CFG_STR("store", NULL, CFGF_NONE),
    CFG_STR("trust", NULL, CFGF_NONE),
    CFG_STR("installed", NULL, CFGF_NONE),
    CFG_STR("host", "on", CFGF_NONE),
    CFG_BOOL("allow_weak_sessions", cfg_false, CFGF_NONE),
    CFG_BOOL("allow_ipmb", cfg_false, CFGF_NONE),
    CFG_SEC("component", component_options, CFGF_NONE),
    CFG_SEC("flash", flash_options, CFGF_NONE),
    CFG_SEC("preserve", preserve_options, CFGF_MULTI),
    CFG_SEC("donor", donor_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("icmb", icmb_options, CFGF_NONE),
    CFG_SEC("serial", serial_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("interface", interface_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("discover", discover_options, CFGF_NODEFAULT),
    CFG_SEC("image", image_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("recovery", recovery_options, CFGF_NONE),
    CFG_SEC("policy", policy_options, CFGF_NONE),
    CFG_SEC("serve", serve_options, CFGF_NONE),
    CFG_SEC("start", start_options, CFGF_NONE),
    CFG_END(),
};

static const struct number_rule {
    const char *key;
    long min, max;
    bool power_of_two;
} number_rules[] = {
    {"iana", 1, IANA_MAX, false},
    {"command_base", 0, 0x100 - FWR_CMD_COUNT, false},
    {"component|manufacturer", 0, 0xfffff, false},
    {"component|product", 0, UINT16_MAX, false},
    {"component|hardware_revision", 0, UINT16_MAX, false},
    {"flash|size", 512, INT32_MAX, false},
    {"flash|erase_size", 512, 1 << 20, true},
    {"flash|page_size", 1, 1 << 16, true},
    {"preserve|offset", 0, INT32_MAX, false},
    {"preserve|length", 1, INT32_MAX, false},
    {"donor|port", 1, UINT16_MAX, false},
    {"donor|suite", FWR_RMCP_SUITE_SHA1, FWR_RMCP_SUITE_SHA256, false},
    {"donor|window", 1, FWR_RMCP_WINDOW_MAX, false},
    {"donor|max_reply", FWR_LINK_MIN_REPLY, 1400, false},
    {"donor|icmb", 1, UINT16_MAX - 1, false},
    {"icmb|speed", 1, 1000, false},
    {"icmb|address", 1, UINT16_MAX - 1, false},
    {"icmb|packet", FWR_ICMB_DATA_DEFAULT, FWR_ICMB_DATA_MAX, false},
    {"icmb|outstanding", 1, FWR_ICMB_OUTSTANDING_MAX, false},
    {"icmb|gap", 3, 100, false},
    {"icmb|portion", 1, 64, false},
    {"serial|message", FWR_SERIAL_MESSAGE_DEFAULT, FWR_SERIAL_MESSAGE_MAX, false},
    {"discover|port", 1, UINT16_MAX, false},
    {"discover|suite", FWR_RMCP_SUITE_SHA1, FWR_RMCP_SUITE_SHA256, false},
    {"discover|max_reply", FWR_LINK_MIN_REPLY, 1400, false},
    {"discover|interval_ms", 100, 60000, false},
    {"discover|max", 1, FWR_DISCOVER_SLOTS_MAX, false},
    {"recovery|lanes", 1, FWR_LANES_MAX, false},
    {"recovery|batch", 1, 64, false},
    {"recovery|rounds", 1, UINT8_MAX, false},
    {"recovery|gather_ms", 1, 60000, false},
    {"recovery|min_rate", 1, INT32_MAX, false},
    {"recovery|backoff_ms", 1, 3600000, false},
    {"recovery|start_jitter_ms", 0, 3600000, false},
    {"recovery|boot_proof", 0, TIME_MAX_S, false},
    {"recovery|log_size", 1024, 1 << 20, false},
    {"recovery|max_jump", 1, INT32_MAX, false},
    {"policy|min_sequence", 0, INT32_MAX, false},
    {"policy|pinned_sequence", 0, INT32_MAX, false},
    {"serve|transfers", 1, FWR_DONOR_TRANSFERS_MAX, false},
    {"serve|bytes_per_second", 0, INT32_MAX, false},
    {"start|interval", 0, TIME_MAX_S, false},
};

/* ---- complaints ---- */

/* The file being read: libconfuse tells its name only outside sections. */
static const char *reading;
static bool complained;

__attribute__((format(printf, 2, 0))) static void complain(cfg_t *cfg, const char *format,
                                                           va_list arguments)
{
    complained = true;
    fprintf(stderr, "fwrecover_sim: %s:%d: ", reading, cfg->line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

static const struct number_rule *rule_of(const cfg_t *cfg, const char *key)
{
    for (size_t i = 0; i < sizeof(number_rules) / sizeof(number_rules[0]); i++) {
        const char *bar = strchr(number_rules[i].key, '|');
        size_t section = bar != NULL ? (size_t)(bar - number_rules[i].key) : 0;

        if (bar == NULL ? strcmp(number_rules[i].key, key) == 0 && strcmp(cfg->name, "root") == 0
                        : strcmp(bar + 1, key) == 0 && strlen(cfg->name) == section &&
                              strncmp(cfg->name, number_rules[i].key, section) == 0)
            return &number_rules[i];
    }
    return NULL;
}

static int check_number(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, cfg_opt_size(option) - 1);
    const struct number_rule *rule = rule_of(cfg, option->name);

    if (rule == NULL)
        return 0;
    if (value < rule->min || value > rule->max) {
        cfg_error(cfg, "%s = %ld: must be from %ld to %ld", option->name, value, rule->min,
                  rule->max);
        return -1;
    }
    if (rule->power_of_two && (value & (value - 1)) != 0) {
        cfg_error(cfg, "%s = %ld: must be a power of two", option->name, value);
        return -1;
    }
    return 0;
}

static const char *last_text(cfg_opt_t *option)
{
    return cfg_opt_getnstr(option, cfg_opt_size(option) - 1);
}

/* The index of the value among `names`, or -1 after a complaint. */
static int check_name(cfg_t *cfg, cfg_opt_t *option, const char *const *names)
{
    const char *value = last_text(option);
    char list[120] = "";

    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(value, names[i]) == 0)
            return i;
        if (i > 0)
            strncat(list, ", ", sizeof(list) - strlen(list) - 1);
        strncat(list, names[i], sizeof(list) - strlen(list) - 1);
    }
    cfg_error(cfg, "%s = \"%s\": must be one of %s", option->name, value, list);
    return -1;
}

static const char *const role_names[] = {"recipient", "donor", NULL};
static const char *const host_names[] = {"off", "on", NULL};
static const char *const guard_names[] = {"always", "update", "never", NULL};
static const char *const medium_names[] = {"local",  "lan",  "wlan", "bluetooth",
                                           "serial", "icmb", NULL};

/* As enum fwr_codec. */
static const char *const coding_names[] = {"none", "lz4", NULL};

/* As enum fwr_serial_mode, and as enum fwr_privilege from USER on. */
static const char *const mode_names[] = {"basic", "terminal", NULL};
static const char *const privilege_names[] = {"user", "operator", "admin", NULL};

static int check_mode(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, mode_names) < 0 ? -1 : 0;
}

static int check_privilege(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, privilege_names) < 0 ? -1 : 0;
}

static int check_coding(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, coding_names) < 0 ? -1 : 0;
}

static int check_baud(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, cfg_opt_size(option) - 1);

    if (value > 0 && value <= INT32_MAX && fwr_tty_knows_baud((uint32_t)value))
        return 0;
    cfg_error(cfg, "%s = %ld: terminals do not have this speed", option->name, value);
    return -1;
}

static int check_role(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, role_names) < 0 ? -1 : 0;
}

static int check_host(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, host_names) < 0 ? -1 : 0;
}

static int check_guard(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, guard_names) < 0 ? -1 : 0;
}

static int check_medium(cfg_t *cfg, cfg_opt_t *option)
{
    return check_name(cfg, option, medium_names) < 0 ? -1 : 0;
}

static int check_broadcast(cfg_t *cfg, cfg_opt_t *option)
{
    long address = cfg_opt_getnint(option, cfg_opt_size(option) - 1);

    if (address == ICMB_ALL_ZEROS || address == ICMB_ALL_ONES)
        return 0;
    cfg_error(cfg, "broadcast_address = %ld: must be 0 or 0xffff", address);
    return -1;
}

static int check_connector(cfg_t *cfg, cfg_opt_t *option)
{
    if (strlen(last_text(option)) <= FWR_ICMB_CONNECTOR_MAX)
        return 0;
    cfg_error(cfg, "connector is longer than %d characters", FWR_ICMB_CONNECTOR_MAX);
    return -1;
}

static int check_uuid(cfg_t *cfg, cfg_opt_t *option)
{
    uint8_t uuid[FWR_UUID_SIZE];

    if (tool_uuid(last_text(option), uuid))
        return 0;
    cfg_error(cfg, "uuid = \"%s\": must be 8-4-4-4-12 hexadecimal digits", last_text(option));
    return -1;
}

/* A section that lacks one of `keys`, or has it empty. */
static int check_required(cfg_t *cfg, cfg_opt_t *option, const char *const *keys)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);

    for (int i = 0; keys[i] != NULL; i++) {
        const char *value = cfg_getstr(section, keys[i]);

        if (value == NULL || value[0] == '\0') {
            cfg_error(cfg, "%s%s%s: %s is missing", option->name,
                      cfg_title(section) != NULL ? " " : "",
                      cfg_title(section) != NULL ? cfg_title(section) : "", keys[i]);
            return -1;
        }
    }
    return 0;
}

static int check_component(cfg_t *cfg, cfg_opt_t *option)
{
    return check_required(cfg, option, (const char *const[]){"uuid", NULL});
}

static int check_flash(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *flash = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);

    if (check_required(cfg, option, (const char *const[]){"file", NULL}) != 0)
        return -1;
    if (cfg_getint(flash, "page_size") > cfg_getint(flash, "erase_size")) {
        cfg_error(cfg, "flash: page_size is larger than erase_size");
        return -1;
    }
    if (cfg_getint(flash, "size") % cfg_getint(flash, "erase_size") != 0) {
        cfg_error(cfg, "flash: size is not a multiple of erase_size");
        return -1;
    }
    return 0;
}

static int check_icmb(cfg_t *cfg, cfg_opt_t *option)
{
    return check_required(cfg, option, (const char *const[]){"device", NULL});
}

static int check_image(cfg_t *cfg, cfg_opt_t *option)
{
    return check_required(cfg, option, (const char *const[]){"image", "envelope", NULL});
}

static int check_serial(cfg_t *cfg, cfg_opt_t *option)
{
    return check_required(cfg, option, (const char *const[]){"device", NULL});
}

static int check_preserve(cfg_t *cfg, cfg_opt_t *option)
{
    unsigned count = cfg_opt_size(option);
    cfg_t *last = cfg_opt_getnsec(option, count - 1);
    cfg_t *before = count > 1 ? cfg_opt_getnsec(option, count - 2) : NULL;

    if (cfg_getint(last, "length") == 0) {
        cfg_error(cfg, "preserve: length is missing");
        return -1;
    }
    if (before != NULL &&
        cfg_getint(before, "offset") + cfg_getint(before, "length") >= cfg_getint(last, "offset")) {
        cfg_error(cfg, "preserve: ranges must be in order, with a gap between two");
        return -1;
    }
    return 0;
}

/* Names are refused: asking a name server would stop the BMC. */
static bool is_address(const char *text)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *address;

    if (getaddrinfo(text, NULL, &hints, &address) != 0)
        return false;
    freeaddrinfo(address);
    return true;
}

/* It need not be there yet: interfaces come and go. */
static bool is_interface(const char *text)
{
    return text == NULL || (text[0] != '\0' && strlen(text) < FWR_LAN_NAME_MAX);
}

static int check_donor(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *donor = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    long suite = cfg_getint(donor, "suite");
    bool bus = cfg_getint(donor, "icmb") != 0;
    const char *bluetooth = cfg_getstr(donor, "bluetooth");
    struct fwr_rfcomm_address peer;

    if (bus + (bluetooth != NULL) + (cfg_getstr(donor, "device") != NULL) +
            (cfg_getstr(donor, "host") != NULL) >
        1) {
        cfg_error(
            cfg,
            "donor %s: one of host, device, bluetooth and icmb; a donor with several roads is "
            "several donors here",
            cfg_title(donor));
        return -1;
    }
    if (bluetooth != NULL && fwr_rfcomm_address_parse(bluetooth, &peer) != FWR_OK) {
        cfg_error(cfg, "donor %s: bluetooth = \"%s\": must be AA:BB:CC:DD:EE:FF/CHANNEL",
                  cfg_title(donor), bluetooth);
        return -1;
    }
    if (bus || bluetooth != NULL)
        return 0;
    if (cfg_getstr(donor, "device") != NULL)
        return check_required(cfg, option, (const char *const[]){"device", NULL});
    if (check_required(cfg, option, (const char *const[]){"host", "user", "password_file", NULL}))
        return -1;
    if (suite != FWR_RMCP_SUITE_SHA1 && suite != FWR_RMCP_SUITE_SHA256) {
        cfg_error(cfg, "donor %s: suite = %ld: must be 3 or 17", cfg_title(donor), suite);
        return -1;
    }
    if (!is_address(cfg_getstr(donor, "host"))) {
        cfg_error(cfg, "donor %s: host = \"%s\": must be an IPv4 or IPv6 address", cfg_title(donor),
                  cfg_getstr(donor, "host"));
        return -1;
    }
    if (!is_interface(cfg_getstr(donor, "interface"))) {
        cfg_error(cfg, "donor %s: interface = \"%s\": must be 1 to %d characters", cfg_title(donor),
                  cfg_getstr(donor, "interface"), FWR_LAN_NAME_MAX - 1);
        return -1;
    }
    if (strlen(cfg_getstr(donor, "user")) > FWR_RMCP_USER_MAX) {
        cfg_error(cfg, "donor %s: user is longer than %d bytes", cfg_title(donor),
                  FWR_RMCP_USER_MAX);
        return -1;
    }
    return 0;
}

static int check_title(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);

    if (is_interface(cfg_title(section)))
        return 0;
    cfg_error(cfg, "interface %s: its name must be 1 to %d characters", cfg_title(section),
              FWR_LAN_NAME_MAX - 1);
    return -1;
}

static int check_discover(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    unsigned count = cfg_size(section, "interfaces");
    long suite = cfg_getint(section, "suite");

    if (check_required(cfg, option, (const char *const[]){"user", "password_file", NULL}))
        return -1;
    if (suite != FWR_RMCP_SUITE_SHA1 && suite != FWR_RMCP_SUITE_SHA256) {
        cfg_error(cfg, "discover: suite = %ld: must be 3 or 17", suite);
        return -1;
    }
    if (count == 0 || count > FWR_DISCOVER_INTERFACES_MAX) {
        cfg_error(cfg, "discover: interfaces: must be 1 to %d", FWR_DISCOVER_INTERFACES_MAX);
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!is_interface(cfg_getnstr(section, "interfaces", i))) {
            cfg_error(cfg, "discover: interfaces = \"%s\": must be 1 to %d characters",
                      cfg_getnstr(section, "interfaces", i), FWR_LAN_NAME_MAX - 1);
            return -1;
        }
    }
    if (strlen(cfg_getstr(section, "user")) > FWR_RMCP_USER_MAX) {
        cfg_error(cfg, "discover: user is longer than %d bytes", FWR_RMCP_USER_MAX);
        return -1;
    }
    return 0;
}

static void set_checks(cfg_t *cfg)
{
    for (size_t i = 0; i < sizeof(number_rules) / sizeof(number_rules[0]); i++)
        cfg_set_validate_func(cfg, number_rules[i].key, check_number);
    cfg_set_validate_func(cfg, "roles", check_role);
    cfg_set_validate_func(cfg, "host", check_host);
    cfg_set_validate_func(cfg, "component|uuid", check_uuid);
    cfg_set_validate_func(cfg, "component", check_component);
    cfg_set_validate_func(cfg, "flash", check_flash);
    cfg_set_validate_func(cfg, "preserve", check_preserve);
    cfg_set_validate_func(cfg, "image", check_image);
    cfg_set_validate_func(cfg, "donor|medium", check_medium);
    cfg_set_validate_func(cfg, "interface|medium", check_medium);
    cfg_set_validate_func(cfg, "interface", check_title);
    cfg_set_validate_func(cfg, "discover", check_discover);
    cfg_set_validate_func(cfg, "donor|baud", check_baud);
    cfg_set_validate_func(cfg, "donor|mode", check_mode);
    cfg_set_validate_func(cfg, "serial|baud", check_baud);
    cfg_set_validate_func(cfg, "serial|mode", check_mode);
    cfg_set_validate_func(cfg, "serial|privilege", check_privilege);
    cfg_set_validate_func(cfg, "serial", check_serial);
    cfg_set_validate_func(cfg, "donor", check_donor);
    cfg_set_validate_func(cfg, "icmb", check_icmb);
    cfg_set_validate_func(cfg, "icmb|baud", check_baud);
    cfg_set_validate_func(cfg, "icmb|broadcast_address", check_broadcast);
    cfg_set_validate_func(cfg, "icmb|privilege", check_privilege);
    cfg_set_validate_func(cfg, "icmb|connector", check_connector);
    cfg_set_validate_func(cfg, "recovery|guard", check_guard);
    cfg_set_validate_func(cfg, "policy|refuse", check_medium);
    cfg_set_validate_func(cfg, "serve|coding", check_coding);
}

/* ---- taking what was said ---- */

static int index_of(const char *const *names, const char *value)
{
    int i = 0;

    while (names[i] != NULL && strcmp(names[i], value) != 0)
        i++;
    return i;
}

/* An allocated path, relative to the configuration's folder; NULL for NULL. */
static char *path_of(const char *base, const char *path)
{
    const char *slash = strrchr(base, '/');
    size_t folder = slash != NULL ? (size_t)(slash - base) + 1 : 0;
    char *whole;

    if (path == NULL)
        return NULL;
    if (path[0] == '/')
        folder = 0;
    whole = malloc(folder + strlen(path) + 1);
    if (whole == NULL)
        return NULL;
    memcpy(whole, base, folder);
    memcpy(whole + folder, path, strlen(path) + 1);
    return whole;
}

int sim_file_read(const char *path, bool secret, void *buffer, size_t capacity, size_t *length)
{
    mode_t others = secret ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;
    struct stat status;
    uint64_t size;
    int fd;
    int error = fwr_fileio_open(path, O_RDONLY, &fd, &size);

    if (error != FWR_OK)
        return error;
    if (fstat(fd, &status) != 0)
        error = FWR_E_IO;
    else if ((status.st_mode & others) != 0)
        error = FWR_E_PERMISSIONS;
    else if (size > capacity)
        error = FWR_E_RANGE;
    else if (fwr_fileio_read(fd, buffer, (size_t)size, 0, length) != 0)
        error = FWR_E_IO;
    close(fd);
    return error;
}

/* The first line of a file that only its owner may read. */
static bool read_secret(const char *file, const char *donor, const char *path, uint8_t *secret,
                        size_t max, uint8_t *length)
{
    uint8_t text[SECRET_MAX];
    size_t count = 0;
    int error = sim_file_read(path, true, text, sizeof(text), &count);

    if (error == FWR_OK) {
        if (count > 0 && text[count - 1] == '\n')
            count--;
        if (count == 0 || count > max)
            error = FWR_E_LENGTH;
    }
    if (error == FWR_OK) {
        memcpy(secret, text, count);
        *length = (uint8_t)count;
    } else {
        fprintf(stderr, "fwrecover_sim: %s: donor %s: %s: %s%s\n", file, donor, path,
                error == FWR_E_LENGTH || error == FWR_E_RANGE ? "must hold 1 to 20 bytes"
                                                              : fwr_error_text(error),
                error == FWR_E_PERMISSIONS ? " (chmod 600)" : "");
    }
    OPENSSL_cleanse(text, sizeof(text));
    return error == FWR_OK;
}

static uint16_t max_reply_of(long configured, const struct sim_donor_config *donor)
{
    if (configured > 0)
        return (uint16_t)configured;
    if (donor->device != NULL || donor->bluetooth)
        return UINT16_MAX;                   /* what the line carries */
    if (donor->suite == FWR_RMCP_SUITE_SHA1) /* an ipmi_sim */
        return FWR_LANSERV_REPLY_RMCPP;
    return (uint16_t)(fwr_rmcp_max_reply(donor->suite, FWR_RMCP_DATAGRAM_IPV6));
}

static char *copy_of(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* What a session with the donor needs. */
static bool take_session(struct sim_donor_config *donor, cfg_t *section, const char *file)
{
    char *password = path_of(file, cfg_getstr(section, "password_file"));
    char *kg = path_of(file, cfg_getstr(section, "kg_file"));
    bool good = donor->host != NULL && donor->user != NULL && password != NULL &&
                read_secret(file, donor->name, password, donor->password, sizeof(donor->password),
                            &donor->password_length) &&
                (kg == NULL || read_secret(file, donor->name, kg, donor->kg, sizeof(donor->kg),
                                           &donor->kg_length));

    free(password);
    free(kg);
    return good;
}

/* A donor on the BMC's own bus: the road knows all else. */
static bool take_neighbour(struct sim_donor_config *donor, cfg_t *section)
{
    donor->name = strdup(cfg_title(section));
    donor->icmb = (uint16_t)cfg_getint(section, "icmb");
    donor->medium = FWR_MEDIUM_ICMB;
    return donor->name != NULL;
}

/* What is said of an interface, or FWR_MEDIUM_COUNT. */
static uint8_t interface_medium(cfg_t *cfg, const char *name)
{
    for (unsigned i = 0; name != NULL && i < cfg_size(cfg, "interface"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "interface", i);
        const char *medium = cfg_getstr(section, "medium");

        if (strcmp(cfg_title(section), name) == 0 && medium != NULL)
            return (uint8_t)index_of(medium_names, medium);
    }
    return FWR_MEDIUM_COUNT;
}

/* What is said of the donor, or of its interface; FWR_MEDIUM_COUNT: the system tells. */
static uint8_t donor_medium(cfg_t *cfg, cfg_t *section)
{
    const char *medium = cfg_getstr(section, "medium");

    if (medium != NULL)
        return (uint8_t)index_of(medium_names, medium);
    if (cfg_getstr(section, "device") != NULL)
        return FWR_MEDIUM_SERIAL;
    if (cfg_getstr(section, "bluetooth") != NULL)
        return FWR_MEDIUM_BLUETOOTH;
    return interface_medium(cfg, cfg_getstr(section, "interface"));
}

static bool take_discover(struct sim_config *config, cfg_t *cfg, const char *file)
{
    struct sim_discover_config *discover = &config->discover;
    cfg_t *section = cfg_getsec(cfg, "discover");

    for (unsigned i = 0; i < cfg_size(section, "interfaces"); i++) {
        struct fwr_discover_interface *one = &discover->interfaces[discover->interface_count++];
        const char *name = cfg_getnstr(section, "interfaces", i);
        enum fwr_medium medium;

        memcpy(one->name, name, strlen(name));
        one->medium = interface_medium(cfg, name);
        if (one->medium == FWR_MEDIUM_COUNT) {
            fwr_lan_medium(NULL, name, &medium);
            one->medium = (uint8_t)medium;
        }
    }
    discover->port = (uint16_t)cfg_getint(section, "port");
    discover->interval_ms = (uint32_t)cfg_getint(section, "interval_ms");
    discover->max = (uint8_t)cfg_getint(section, "max");
    discover->login.name = copy_of("discover");
    discover->login.host = copy_of("");
    discover->login.user = copy_of(cfg_getstr(section, "user"));
    discover->login.suite = (uint8_t)cfg_getint(section, "suite");
    discover->login.window = FWR_RMCP_WINDOW_MAX;
    discover->login.max_reply = max_reply_of(cfg_getint(section, "max_reply"), &discover->login);
    return discover->login.name != NULL && take_session(&discover->login, section, file);
}

static bool take_donor(struct sim_donor_config *donor, cfg_t *cfg, cfg_t *section, const char *file)
{
    bool line = cfg_getstr(section, "device") != NULL;
    const char *bluetooth = cfg_getstr(section, "bluetooth");
    long window = cfg_getint(section, "window");

    donor->name = copy_of(cfg_title(section));
    donor->bluetooth =
        bluetooth != NULL && fwr_rfcomm_address_parse(bluetooth, &donor->peer) == FWR_OK;
    donor->device = path_of(file, cfg_getstr(section, "device"));
    donor->baud = (uint32_t)cfg_getint(section, "baud");
    donor->mode = (uint8_t)index_of(mode_names, cfg_getstr(section, "mode"));
    donor->host = copy_of(cfg_getstr(section, "host"));
    donor->interface = copy_of(cfg_getstr(section, "interface"));
    donor->user = copy_of(cfg_getstr(section, "user"));
    donor->port = (uint16_t)cfg_getint(section, "port");
    donor->suite = (uint8_t)cfg_getint(section, "suite");
    donor->medium = donor_medium(cfg, section);
    donor->window = line ? 1 : FWR_RMCP_WINDOW_MAX;
    if (donor->bluetooth) {
        donor->baud = 0;
        donor->mode = FWR_SERIAL_BASIC;
        donor->window = BLUETOOTH_WINDOW;
    }
    if (window > 0)
        donor->window = (uint8_t)window;
    donor->max_reply = max_reply_of(cfg_getint(section, "max_reply"), donor);
    if (donor->name == NULL || (line && donor->device == NULL))
        return false;
    return line || donor->bluetooth || take_session(donor, section, file);
}

static bool take_serial(struct sim_serial_config *serial, cfg_t *section, const char *file)
{
    serial->name = copy_of(cfg_title(section));
    serial->device = path_of(file, cfg_getstr(section, "device"));
    serial->baud = (uint32_t)cfg_getint(section, "baud");
    serial->mode = (uint8_t)index_of(mode_names, cfg_getstr(section, "mode"));
    serial->privilege =
        (uint8_t)(FWR_PRIVILEGE_USER + index_of(privilege_names, cfg_getstr(section, "privilege")));
    serial->message = (uint16_t)cfg_getint(section, "message");
    return serial->name != NULL && serial->device != NULL;
}

static void take_icmb(struct sim_config *config, cfg_t *icmb, const char *file)
{
    const char *connector = cfg_getstr(icmb, "connector");

    config->icmb = (struct sim_icmb_config){
        .device = path_of(file, cfg_getstr(icmb, "device")),
        .baud = (uint32_t)cfg_getint(icmb, "baud"),
        .speed = (uint32_t)cfg_getint(icmb, "speed"),
        .address = (uint16_t)cfg_getint(icmb, "address"),
        .packet = (uint16_t)cfg_getint(icmb, "packet"),
        .broadcast_is_zero = cfg_getint(icmb, "broadcast_address") == ICMB_ALL_ZEROS,
        .outstanding = (uint8_t)cfg_getint(icmb, "outstanding"),
        .gap = (uint8_t)cfg_getint(icmb, "gap"),
        .portion = (uint8_t)cfg_getint(icmb, "portion"),
        .privilege = (uint8_t)(FWR_PRIVILEGE_USER +
                               index_of(privilege_names, cfg_getstr(icmb, "privilege"))),
        .connector = connector != NULL ? strdup(connector) : NULL,
    };
}

static void take_board(struct sim_config *config, cfg_t *cfg, const char *file)
{
    cfg_t *component = cfg_getsec(cfg, "component");
    cfg_t *flash = cfg_getsec(cfg, "flash");

    tool_uuid(cfg_getstr(component, "uuid"), config->board.component);
    config->board.manufacturer = (uint32_t)cfg_getint(component, "manufacturer");
    config->board.product = (uint16_t)cfg_getint(component, "product");
    config->board.hardware_revision = (uint16_t)cfg_getint(component, "hardware_revision");
    config->flash_file = path_of(file, cfg_getstr(flash, "file"));
    config->geometry.size = (uint32_t)cfg_getint(flash, "size");
    config->geometry.erase_size = (uint32_t)cfg_getint(flash, "erase_size");
    config->geometry.program_size = (uint32_t)cfg_getint(flash, "page_size");
    config->geometry.erased_value = 0xff;
    for (unsigned i = 0; i < cfg_size(cfg, "preserve"); i++) {
        cfg_t *range = cfg_getnsec(cfg, "preserve", i);
        struct fwr_region *region = &config->preserve.regions[config->preserve.count++];

        region->offset = (uint32_t)cfg_getint(range, "offset");
        region->length = (uint32_t)cfg_getint(range, "length");
        region->kind = FWR_REGION_PRESERVE;
    }
}

static void take_recovery(struct sim_config *config, cfg_t *cfg)
{
    cfg_t *recovery = cfg_getsec(cfg, "recovery");
    cfg_t *policy = cfg_getsec(cfg, "policy");
    cfg_t *start = cfg_getsec(cfg, "start");
    cfg_t *serve = cfg_getsec(cfg, "serve");

    config->lanes = (uint8_t)cfg_getint(recovery, "lanes");
    config->guard = (uint8_t)index_of(guard_names, cfg_getstr(recovery, "guard"));
    config->batch = (uint8_t)cfg_getint(recovery, "batch");
    config->rounds = (uint8_t)cfg_getint(recovery, "rounds");
    config->release_on_failure = cfg_getbool(recovery, "release_on_failure");
    config->gather_ms = (uint32_t)cfg_getint(recovery, "gather_ms");
    config->min_rate = (uint32_t)cfg_getint(recovery, "min_rate");
    config->backoff_ms = (uint32_t)cfg_getint(recovery, "backoff_ms");
    config->start_jitter_ms = (uint32_t)cfg_getint(recovery, "start_jitter_ms");
    config->boot_proof_ms = (uint32_t)cfg_getint(recovery, "boot_proof") * 1000;
    config->log_size = (uint32_t)cfg_getint(recovery, "log_size");
    config->max_jump = (uint32_t)cfg_getint(recovery, "max_jump");
    config->rules.min_sequence = (uint32_t)cfg_getint(policy, "min_sequence");
    config->rules.pinned = cfg_getint(policy, "pinned_sequence") >= 0;
    if (config->rules.pinned)
        config->rules.pinned_sequence = (uint32_t)cfg_getint(policy, "pinned_sequence");
    for (unsigned i = 0; i < cfg_size(policy, "refuse"); i++)
        config->rules.media_refused |=
            (uint8_t)(1 << index_of(medium_names, cfg_getnstr(policy, "refuse", i)));
    config->scan_at_start = cfg_getbool(start, "scan");
    config->scan_interval = (uint32_t)cfg_getint(start, "interval");
    config->repair_when_damaged = cfg_getbool(start, "repair");
    config->transfers = (uint8_t)cfg_getint(serve, "transfers");
    config->bytes_per_second = (uint32_t)cfg_getint(serve, "bytes_per_second");
}

/* Coding is for the roads on which recipients ask for it, and costs memory: by itself it is there
 * where such a road is. */
static void take_coding(struct sim_config *config, cfg_t *cfg)
{
    const char *coding = cfg_getstr(cfg_getsec(cfg, "serve"), "coding");
    bool slow = config->serial_count > 0 || config->icmb.device != NULL;
    int codec = coding != NULL ? index_of(coding_names, coding)
                : slow         ? FWR_CODEC_LZ4
                               : FWR_CODEC_NONE;

    config->codecs = (uint8_t)(1 << codec);
}

/* What no single line can tell: sections that are not there, and too many of them. */
static bool check_whole(cfg_t *cfg, const char *file)
{
    const char *wrong = NULL;

    if (cfg_getstr(cfg_getsec(cfg, "component"), "uuid") == NULL)
        wrong = "there is no section component";
    else if (cfg_getstr(cfg_getsec(cfg, "flash"), "file") == NULL)
        wrong = "there is no section flash";
    else if (cfg_getstr(cfg, "store") == NULL)
        wrong = "store is missing";
    else if (cfg_size(cfg, "donor") > SIM_DONORS_MAX)
        wrong = "too many sections donor";
    else if (cfg_size(cfg, "serial") > SIM_SERIALS_MAX)
        wrong = "too many sections serial";
    else if (cfg_size(cfg, "image") > SIM_IMAGES_MAX)
        wrong = "too many sections image";
    else if (cfg_size(cfg, "preserve") > FWR_REGIONS_MAX / 2 - 1)
        wrong = "too many sections preserve";
    for (unsigned i = 0; i < cfg_size(cfg, "donor"); i++)
        if (cfg_getint(cfg_getnsec(cfg, "donor", i), "icmb") != 0 &&
            cfg_getstr(cfg_getsec(cfg, "icmb"), "device") == NULL)
            wrong = "a donor has an icmb address, and there is no section icmb";
    if (wrong != NULL)
        fprintf(stderr, "fwrecover_sim: %s: %s\n", file, wrong);
    return wrong == NULL;
}

static bool take(struct sim_config *config, cfg_t *cfg, const char *file)
{
    if (!check_whole(cfg, file))
        return false;
    config->recipient = config->donor = cfg_size(cfg, "roles") == 0;
    for (unsigned i = 0; i < cfg_size(cfg, "roles"); i++) {
        bool donor = index_of(role_names, cfg_getnstr(cfg, "roles", i)) == 1;

        config->donor |= donor;
        config->recipient |= !donor;
    }
    config->iana = (uint32_t)cfg_getint(cfg, "iana");
    config->command_base = (uint8_t)cfg_getint(cfg, "command_base");
    config->log = path_of(file, cfg_getstr(cfg, "log"));
    config->store = path_of(file, cfg_getstr(cfg, "store"));
    config->trust = path_of(file, cfg_getstr(cfg, "trust"));
    config->installed = path_of(file, cfg_getstr(cfg, "installed"));
    config->host_on = index_of(host_names, cfg_getstr(cfg, "host")) == 1;
    config->allow_lan15 = cfg_getbool(cfg, "allow_weak_sessions");
    config->allow_ipmb = cfg_getbool(cfg, "allow_ipmb");
    take_board(config, cfg, file);
    take_recovery(config, cfg);
    take_icmb(config, cfg_getsec(cfg, "icmb"), file);
    for (unsigned i = 0; i < cfg_size(cfg, "image"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "image", i);
        struct sim_image_config *image = &config->images[config->image_count++];

        image->image = path_of(file, cfg_getstr(section, "image"));
        image->envelope = path_of(file, cfg_getstr(section, "envelope"));
    }
    for (unsigned i = 0; i < cfg_size(cfg, "serial"); i++) {
        if (!take_serial(&config->serials[config->serial_count++], cfg_getnsec(cfg, "serial", i),
                         file))
            return false;
    }
    take_coding(config, cfg);
    for (unsigned i = 0; i < cfg_size(cfg, "donor"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "donor", i);
        struct sim_donor_config *donor = &config->donors[config->donor_count++];

        if (cfg_getint(section, "icmb") != 0 ? !take_neighbour(donor, section)
                                             : !take_donor(donor, cfg, section, file))
            return false;
    }
    return cfg_size(cfg, "discover") == 0 || take_discover(config, cfg, file);
}

bool sim_config_read(struct sim_config *config, const char *path)
{
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    int result;
    bool good;

    memset(config, 0, sizeof(*config));
    if (cfg == NULL)
        return false;
    cfg_set_error_function(cfg, complain);
    set_checks(cfg);
    reading = path;
    complained = false;
    result = cfg_parse(cfg, path);
    if (result == CFG_FILE_ERROR)
        fprintf(stderr, "fwrecover_sim: %s: %s\n", path, strerror(errno));
    else if (result != CFG_SUCCESS && !complained) /* a zero byte: libconfuse says nothing */
        fprintf(stderr, "fwrecover_sim: %s:%d: this is not text\n", path, cfg->line);
    good = result == CFG_SUCCESS && take(config, cfg, path);
    cfg_free(cfg);
    return good;
}

static void free_donor(struct sim_donor_config *donor)
{
    OPENSSL_cleanse(donor->password, sizeof(donor->password));
    OPENSSL_cleanse(donor->kg, sizeof(donor->kg));
    free(donor->name);
    free(donor->device);
    free(donor->host);
    free(donor->interface);
    free(donor->user);
}

void sim_config_free(struct sim_config *config)
{
    for (unsigned i = 0; i < config->donor_count; i++)
        free_donor(&config->donors[i]);
    free_donor(&config->discover.login);
    for (unsigned i = 0; i < config->serial_count; i++) {
        free(config->serials[i].name);
        free(config->serials[i].device);
    }
    for (unsigned i = 0; i < config->image_count; i++) {
        free(config->images[i].image);
        free(config->images[i].envelope);
    }
    free(config->icmb.device);
    free(config->icmb.connector);
    free(config->log);
    free(config->flash_file);
    free(config->store);
    free(config->trust);
    free(config->installed);
    memset(config, 0, sizeof(*config));
}
