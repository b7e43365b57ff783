/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of donors, and the reader of its configuration file:
 *
 *     donor rack7 {
 *         address = "10.0.0.7:623"
 *         user = "fwrecover"
 *         password_file = "rack7.password"
 *         suite = 17
 *     }
 *     donor cellar {
 *         address = "serial:/dev/ttyUSB0:115200"
 *     }
 *     interface wlan0 {
 *         medium = wlan
 *     }
 *     discover {
 *         user = "fwrecover"
 *         password_file = "fleet.password"
 *     }
 */
#include "tools/donors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <confuse.h>

#include <fwrecover/error.h>

#include "tools/say.h"

/* FWR_MEDIUM_COUNT when it is none. */
static uint8_t medium_called(const char *text)
{
    uint8_t medium = FWR_MEDIUM_LAN;

    while (medium < FWR_MEDIUM_COUNT && strcmp(text, fwr_medium_name((enum fwr_medium)medium)) != 0)
        medium++;
    return medium;
}

int tool_donors_interface(struct tool_donors *donors, const char *text)
{
    struct tool_interface *one = &donors->interfaces[donors->interface_count];
    size_t length = strcspn(text, "=");

    if (donors->interface_count == FWR_DISCOVER_INTERFACES_MAX)
        return tool_usage("more than %d interfaces", FWR_DISCOVER_INTERFACES_MAX);
    if (length == 0 || length >= sizeof(one->name))
        return tool_usage("%s: not an interface", text);
    memset(one, 0, sizeof(*one));
    memcpy(one->name, text, length);
    one->medium = text[length] == '=' ? medium_called(text + length + 1) : FWR_MEDIUM_LOCAL;
    if (one->medium == FWR_MEDIUM_COUNT)
        return tool_usage("%s: not a medium: lan, wlan, bluetooth, serial or icmb", text);
    donors->interface_count++;
    return TOOL_OK;
}

/* What was said of an interface holds wherever it is named. */
static uint8_t medium_of(const struct tool_donors *donors, const struct tool_login *login)
{
    for (unsigned i = 0; login->medium == FWR_MEDIUM_LOCAL && login->interface != NULL &&
                         i < donors->interface_count;
         i++)
        if (strcmp(donors->interfaces[i].name, login->interface) == 0)
            return donors->interfaces[i].medium;
    return login->medium;
}

static int add_one(struct tool_donors *donors, const char *name, const struct tool_login *login)
{
    struct tool_donor *donor = &donors->items[donors->count];
    const char *interface = login->interface;

    if (donors->count == TOOL_DONORS_MAX)
        return tool_usage("more than %d donors", TOOL_DONORS_MAX);
    if (login->user[0] == '\0' || strlen(login->user) > FWR_RMCP_USER_MAX)
        return tool_usage("%s: the user's name has 1 to %d characters", login->target,
                          FWR_RMCP_USER_MAX);
    donor->login = *login;
    donor->login.medium = medium_of(donors, login);
    donor->target = strdup(login->target);
    donor->user = strdup(login->user);
    donor->name = strdup(name);
    donor->interface = interface != NULL ? strdup(interface) : NULL;
    donors->count++;
    if (donor->target == NULL || donor->user == NULL || donor->name == NULL ||
        (interface != NULL && donor->interface == NULL))
        return tool_error(FWR_E_MEMORY, login->target, NULL);
    donor->login.target = donor->target;
    donor->login.user = donor->user;
    donor->login.interface = donor->interface;
    return TOOL_OK;
}

int tool_donors_add(struct tool_donors *donors, const char *name, const struct tool_login *login)
{
    struct tool_login over = *login;
    char text[160];
    int status = TOOL_OK;

    if (name == NULL)
        name = login->target;
    if (login->interface != NULL || donors->interface_count == 0 ||
        !tool_road_has_sessions(login->target) || strchr(login->target, '%') != NULL)
        return add_one(donors, name, login);
    for (unsigned i = 0; i < donors->interface_count && status == TOOL_OK; i++) {
        over.interface = donors->interfaces[i].name;
        snprintf(text, sizeof(text), "%s over %s", name, over.interface);
        status = add_one(donors, text, &over);
    }
    tool_secret_wipe(&over.password);
    tool_secret_wipe(&over.kg);
    return status;
}

static bool complained; /* of the file that is read */

__attribute__((format(printf, 2, 0))) static void print_parse_error(cfg_t *cfg, const char *format,
                                                                    va_list values)
{
    complained = true;
    fprintf(stderr, "fwrecover: %s:%d: ", cfg->filename != NULL ? cfg->filename : "?", cfg->line);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
}

/* Files are named relative to the configuration that names them. */
static int read_secret(const char *config, const char *path, struct tool_secret *secret)
{
    const char *slash = strrchr(config, '/');
    size_t folder = slash != NULL && path[0] != '/' ? (size_t)(slash - config) + 1 : 0;
    size_t length = strlen(path);
    char *whole = malloc(folder + length + 1);
    int status;

    if (whole == NULL)
        return tool_error(FWR_E_MEMORY, path, NULL);
    memcpy(whole, config, folder);
    memcpy(whole + folder, path, length + 1);
    status = tool_secret_read(whole, secret);
    free(whole);
    return status;
}

/* What donors and a discovery have in common. */
static int take_login(struct tool_login *login, const char *path, cfg_t *section, const char *what)
{
    const char *user = cfg_getstr(section, "user");
    const char *password = cfg_getstr(section, "password_file");
    const char *kg = cfg_getstr(section, "kg_file");
    long suite = cfg_getint(section, "suite");
    int status = TOOL_OK;

    if (suite != 0 && suite != FWR_RMCP_SUITE_SHA1 && suite != FWR_RMCP_SUITE_SHA256)
        return tool_usage("%s:%d: %s: suite %ld is not 3 or 17", path, section->line, what, suite);
    if (suite != 0)
        login->suite = (uint8_t)suite;
    if (user != NULL)
        login->user = user;
    if (password != NULL)
        status = read_secret(path, password, &login->password);
    if (status == TOOL_OK && kg != NULL)
        status = read_secret(path, kg, &login->kg);
    return status;
}

static int take_way(struct tool_login *login, const char *path, cfg_t *section, const char *what)
{
    const char *medium = cfg_getstr(section, "medium");
    long mtu = cfg_getint(section, "mtu");

    login->interface = cfg_getstr(section, "interface");
    if (login->interface != NULL &&
        (login->interface[0] == '\0' || strlen(login->interface) >= FWR_LAN_NAME_MAX))
        return tool_usage("%s:%d: %s: %s is not an interface", path, section->line, what,
                          login->interface);
    if (medium != NULL)
        login->medium = medium_called(medium);
    if (login->medium == FWR_MEDIUM_COUNT)
        return tool_usage("%s:%d: %s: %s is not a medium: lan, wlan, bluetooth, serial or icmb",
                          path, section->line, what, medium);
    if (mtu != 0 && (mtu < TOOL_MTU_MIN || mtu > UINT16_MAX))
        return tool_usage("%s:%d: %s: mtu %ld is not %d to %d", path, section->line, what, mtu,
                          TOOL_MTU_MIN, UINT16_MAX);
    if (mtu != 0)
        login->mtu = (uint16_t)mtu;
    return TOOL_OK;
}

static int take_donor(struct tool_donors *donors, const char *path, cfg_t *section,
                      const struct tool_login *defaults)
{
    struct tool_login login = *defaults;
    char what[80];
    int status;

    snprintf(what, sizeof(what), "donor %s", cfg_title(section));
    login.target = cfg_getstr(section, "address");
    if (login.target == NULL)
        login.target = cfg_getstr(section, "host"); /* its name in the first version */
    if (login.target == NULL)
        return tool_usage("%s:%d: %s has no address", path, section->line, what);
    status = take_login(&login, path, section, what);
    if (status == TOOL_OK)
        status = take_way(&login, path, section, what);
    if (status == TOOL_OK && login.password.length == 0 && tool_road_has_sessions(login.target))
        status = tool_usage("%s:%d: %s has no password_file, and --password-file is not given",
                            path, section->line, what);
    if (status == TOOL_OK)
        status = tool_donors_add(donors, cfg_title(section), &login);
    tool_secret_wipe(&login.password);
    tool_secret_wipe(&login.kg);
    return status;
}

static int take_discover(struct tool_donors *donors, const char *path, cfg_t *section,
                         const struct tool_login *defaults)
{
    struct tool_discover *discover = &donors->discover;
    long port = cfg_getint(section, "port"), max = cfg_getint(section, "max");
    long interval = cfg_getint(section, "interval_ms");
    int status;

    discover->on = true;
    discover->login = *defaults;
    status = take_login(&discover->login, path, section, "discover");
    if (status != TOOL_OK)
        return status;
    discover->user = strdup(discover->login.user);
    if (discover->user == NULL)
        return tool_error(FWR_E_MEMORY, path, NULL);
    discover->login.user = discover->user;
    if (discover->login.password.length == 0)
        return tool_usage("%s:%d: discover has no password_file, and --password-file is not given",
                          path, section->line);
    if (port < 0 || port > UINT16_MAX || max < 0 || max > FWR_DISCOVER_SLOTS_MAX || interval < 0 ||
        (interval > 0 && interval < TOOL_PING_MIN_MS) || interval > TOOL_PING_MAX_MS)
        return tool_usage("%s:%d: discover: port is at most %d, max %d, interval_ms %d to %d", path,
                          section->line, UINT16_MAX, FWR_DISCOVER_SLOTS_MAX, TOOL_PING_MIN_MS,
                          TOOL_PING_MAX_MS);
    discover->port = (uint16_t)port;
    discover->max = (uint8_t)max;
    discover->interval_ms = (uint32_t)interval;
    return TOOL_OK;
}

/* An interface of the command line keeps what was said there. */
static int take_interface(struct tool_donors *donors, const char *path, cfg_t *section)
{
    const char *medium = cfg_getstr(section, "medium");
    char text[80];

    for (unsigned i = 0; i < donors->interface_count; i++)
        if (strcmp(donors->interfaces[i].name, cfg_title(section)) == 0)
            return TOOL_OK;
    if (snprintf(text, sizeof(text), "%s%s%s", cfg_title(section), medium != NULL ? "=" : "",
                 medium != NULL ? medium : "") >= (int)sizeof(text))
        return tool_usage("%s:%d: not an interface", path, section->line);
    return tool_donors_interface(donors, text);
}

int tool_donors_read(struct tool_donors *donors, const char *path, const struct tool_login *login)
{
    cfg_opt_t donor_options[] = {
        CFG_STR("address", NULL, CFGF_NONE),   CFG_STR("host", NULL, CFGF_NONE),
        CFG_STR("user", NULL, CFGF_NONE),      CFG_STR("password_file", NULL, CFGF_NONE),
        CFG_STR("kg_file", NULL, CFGF_NONE),   CFG_INT("suite", 0, CFGF_NONE),
        CFG_STR("interface", NULL, CFGF_NONE), CFG_STR("medium", NULL, CFGF_NONE),
        CFG_INT("mtu", 0, CFGF_NONE),          CFG_END(),
    };
    cfg_opt_t interface_options[] = {
        CFG_STR("medium", NULL, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t discover_options[] = {
        CFG_STR("user", NULL, CFGF_NONE),     CFG_STR("password_file", NULL, CFGF_NONE),
        CFG_STR("kg_file", NULL, CFGF_NONE),  CFG_INT("suite", 0, CFGF_NONE),
        CFG_INT("port", 0, CFGF_NONE),        CFG_INT("max", 0, CFGF_NONE),
        CFG_INT("interval_ms", 0, CFGF_NONE), CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_SEC("donor", donor_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_SEC("interface", interface_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_SEC("discover", discover_options, CFGF_NODEFAULT),
        CFG_END(),
    };
    cfg_t *cfg;
    int status = TOOL_OK;

    if (access(path, R_OK) != 0)
        return tool_system_error(errno, path, "opening it for reading");
    cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL)
        return tool_error(FWR_E_MEMORY, path, NULL);
    cfg_set_error_function(cfg, print_parse_error);
    complained = false;
    if (cfg_parse(cfg, path) != CFG_SUCCESS)
        status = complained ? TOOL_USAGE /* of a zero byte libconfuse says nothing */
                            : tool_usage("%s:%d: this is not text", path, cfg->line);
    for (unsigned i = 0; i < cfg_size(cfg, "interface") && status == TOOL_OK; i++)
        status = take_interface(donors, path, cfg_getnsec(cfg, "interface", i));
    if (status == TOOL_OK && cfg_size(cfg, "discover") > 0)
        status = take_discover(donors, path, cfg_getsec(cfg, "discover"), login);
    for (unsigned i = 0; i < cfg_size(cfg, "donor") && status == TOOL_OK; i++)
        status = take_donor(donors, path, cfg_getnsec(cfg, "donor", i), login);
    cfg_free(cfg);
    return status;
}

void tool_donors_free(struct tool_donors *donors)
{
    for (unsigned i = 0; i < donors->count; i++) {
        struct tool_donor *donor = &donors->items[i];

        tool_secret_wipe(&donor->login.password);
        tool_secret_wipe(&donor->login.kg);
        free(donor->target);
        free(donor->user);
        free(donor->name);
        free(donor->interface);
    }
    donors->count = 0;
    tool_secret_wipe(&donors->discover.login.password);
    tool_secret_wipe(&donors->discover.login.kg);
    free(donors->discover.user);
    donors->discover = (struct tool_discover){.on = false};
}
