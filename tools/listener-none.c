/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listener.h promises in a build without the session responder: nobody can listen, and it
 * says so. Chosen by module.mk in place of listener.c.
 */
#include "tools/listener.h"

#include "tools/json.h"
#include "tools/say.h"

int tool_sessions_init(struct tool_sessions *sessions, const char *user,
                       const struct tool_list *suites, uint32_t iana,
                       const struct fwr_platform *platform)
{
    (void)sessions, (void)user, (void)suites, (void)iana, (void)platform;
    return tool_usage("--listen: this build was configured with --disable-donor");
}

void tool_sessions_wipe(struct tool_sessions *sessions)
{
    tool_secret_wipe(&sessions->password);
    tool_secret_wipe(&sessions->kg);
}

int tool_listeners_open(struct tool_listeners *listeners, const struct tool_list *list,
                        const struct tool_list *interfaces, const struct tool_sessions *sessions,
                        struct fwr_oem *oem)
{
    (void)listeners, (void)list, (void)interfaces, (void)sessions, (void)oem;
    return TOOL_USAGE;
}

void tool_listeners_close(struct tool_listeners *listeners)
{
    (void)listeners;
}

void tool_listeners_print(const struct tool_listeners *listeners)
{
    (void)listeners;
}

struct json_object *tool_listeners_json(const struct tool_listeners *listeners)
{
    (void)listeners;
    return json_object_new_array();
}

size_t tool_listeners_handles(const struct tool_listeners *listeners, struct pollfd *handles)
{
    (void)listeners, (void)handles;
    return 0;
}

uint64_t tool_listeners_next_timeout(const struct tool_listeners *listeners)
{
    (void)listeners;
    return FWR_NEVER;
}

void tool_listeners_work(struct tool_listeners *listeners, const struct pollfd *handles)
{
    (void)listeners, (void)handles;
}
