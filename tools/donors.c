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

int tool_donors_add(struct tool_donors *donors, const char *name, const struct tool_login *login)
{
    struct tool_donor *donor = &donors->items[donors->count];

    if (donors->count == TOOL_DONORS_MAX)
        return tool_usage("more than %d donors", TOOL_DONORS_MAX);
    if (login->user[0] == '\0' || strlen(login->user) > FWR_RMCP_USER_MAX)
        return tool_usage("%s: the user's name has 1 to %d characters", login->target,
                          FWR_RMCP_USER_MAX);
    donor->login = *login;
    donor->target = strdup(login->target);
    donor->user = strdup(login->user);
    donor->name = strdup(name != NULL ? name : login->target);
    donors->count++;
    if (donor->target == NULL || donor->user == NULL || donor->name == NULL)
        return tool_error(FWR_E_MEMORY, login->target, NULL);
    donor->login.target = donor->target;
    donor->login.user = donor->user;
    return TOOL_OK;
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

static int take_donor(struct tool_donors *donors, const char *path, cfg_t *section,
                      const struct tool_login *defaults)
{
    struct tool_login login = *defaults;
    const char *user = cfg_getstr(section, "user");
    const char *password = cfg_getstr(section, "password_file");
    const char *kg = cfg_getstr(section, "kg_file");
    long suite = cfg_getint(section, "suite");
    int status = TOOL_OK;

    login.target = cfg_getstr(section, "address");
    if (login.target == NULL)
        login.target = cfg_getstr(section, "host"); /* its name in the first version */
    if (login.target == NULL)
        return tool_usage("%s:%d: donor %s has no address", path, section->line,
                          cfg_title(section));
    if (suite != 0 && suite != FWR_RMCP_SUITE_SHA1 && suite != FWR_RMCP_SUITE_SHA256)
        return tool_usage("%s:%d: donor %s: suite %ld is not 3 or 17", path, section->line,
                          cfg_title(section), suite);
    if (suite != 0)
        login.suite = (uint8_t)suite;
    if (user != NULL)
        login.user = user;
    if (password != NULL)
        status = read_secret(path, password, &login.password);
    if (status == TOOL_OK && kg != NULL)
        status = read_secret(path, kg, &login.kg);
    if (status == TOOL_OK && login.password.length == 0 && tool_road_has_sessions(login.target))
        status = tool_usage("%s:%d: donor %s has no password_file, and --password-file is not "
                            "given",
                            path, section->line, cfg_title(section));
    if (status == TOOL_OK)
        status = tool_donors_add(donors, cfg_title(section), &login);
    tool_secret_wipe(&login.password);
    tool_secret_wipe(&login.kg);
    return status;
}

int tool_donors_read(struct tool_donors *donors, const char *path, const struct tool_login *login)
{
    cfg_opt_t donor_options[] = {
        CFG_STR("address", NULL, CFGF_NONE),
        CFG_STR("host", NULL, CFGF_NONE),
        CFG_STR("user", NULL, CFGF_NONE),
        CFG_STR("password_file", NULL, CFGF_NONE),
        CFG_STR("kg_file", NULL, CFGF_NONE),
        CFG_INT("suite", 0, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_SEC("donor", donor_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
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
    }
    donors->count = 0;
}
