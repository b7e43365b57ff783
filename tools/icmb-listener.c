/* SPDX-License-Identifier: Apache-2.0 */
/* Answering on ICMBs: see icmb-listener.h. Answers at once or not at all. */
#include "tools/icmb-listener.h"

#include <stdio.h>
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/json.h"
#include "tools/say.h"
#include "tools/serial-listener.h"

#define LINK_FIRST     0x300 /* numbers that no other listener has */
#define BMC_ADDRESS    0x20
#define TARGET_HEADER  3 /* rsSA, netFn/rsLUN, command */
#define CC_UNREACHABLE 0xd3

/* ---- what the bridge calls ---- */

static struct fwr_caller caller_at(const struct tool_icmb_listener *listener, uint16_t source)
{
    const uint16_t packet = listener->bus.config.packet;

    return (struct fwr_caller){
        .link = listener->link,
        .medium = FWR_MEDIUM_ICMB,
        .privilege = FWR_PRIVILEGE_USER,
        .security = FWR_SECURITY_NONE,
        .session = source,
        .max_reply = (uint16_t)(packet - 1),
        .broadcast = (uint16_t)(packet - TOOL_ICMB_BLOCK_HEADER),
    };
}

/* Ours, as OEM bridge commands: the bus leaves the IANA number out, both ways. */
static size_t serve_oem(const struct tool_icmb_listener *listener,
                        const struct fwr_icmb_request *request, uint8_t *reply, size_t capacity)
{
    const struct fwr_caller caller = caller_at(listener, request->source);
    uint8_t data[FWR_IANA_SIZE + FWR_ICMB_DATA_MAX], answer[FWR_OEM_HEADER + FWR_ICMB_DATA_MAX];
    size_t length;

    for (unsigned i = 0; i < FWR_IANA_SIZE; i++)
        data[i] = (uint8_t)(listener->oem->iana >> 8 * i);
    memcpy(data + FWR_IANA_SIZE, request->data, request->length);
    length = fwr_oem_handle(listener->oem, tool_now(), &caller, request->command, data,
                            FWR_IANA_SIZE + request->length, answer, sizeof(answer));
    reply[0] = answer[0];
    if (length <= FWR_OEM_HEADER || length - FWR_IANA_SIZE > capacity)
        return 1;
    memcpy(reply + 1, answer + FWR_OEM_HEADER, length - FWR_OEM_HEADER);
    return length - FWR_IANA_SIZE;
}

/* For the controller behind this bridge, which is this program, too. Its own completion code
 * follows the bridge's. */
static size_t serve_target(const struct tool_icmb_listener *listener,
                           const struct fwr_icmb_request *request, uint8_t *reply, size_t capacity)
{
    struct fwr_caller caller = caller_at(listener, request->source);

    if (request->length < TARGET_HEADER || request->data[0] != BMC_ADDRESS) {
        reply[0] = request->length < TARGET_HEADER ? fwr_error_completion_code(FWR_E_LENGTH)
                                                   : CC_UNREACHABLE;
        return 1;
    }
    reply[0] = 0;
    caller.max_reply = (uint16_t)(listener->bus.config.packet - 1 - FWR_OEM_HEADER);
    return 1 + tool_sessionless_answer(listener->oem, listener->device, &caller,
                                       request->data[1] >> 2, request->data[2],
                                       request->data + TARGET_HEADER,
                                       request->length - TARGET_HEADER, reply + 1, capacity - 1);
}

static size_t serve(void *ctx, uint64_t now_us, const struct fwr_icmb_request *request,
                    uint8_t *reply, size_t capacity)
{
    const struct tool_icmb_listener *listener = ctx;

    (void)now_us;
    if (request->command == FWR_ICMB_BRIDGE_REQUEST)
        return serve_target(listener, request, reply, capacity);
    if (request->command != FWR_ICMB_BRIDGE_MESSAGE)
        return serve_oem(listener, request, reply, capacity);
    reply[0] = 0; /* nobody here waits for messages without a reply */
    return 1;
}

static void on_state(void *ctx, enum fwr_icmb_state state, uint16_t address)
{
    const struct tool_icmb_listener *listener = ctx;

    if (state == FWR_ICMB_ENABLED && address != listener->bus.config.address)
        tool_note("%s: another node has address %#06x; this one is %#06x now",
                  listener->bus.line.path, listener->bus.config.address, address);
}

/* ---- all of them ---- */

static int listener_open(struct tool_icmb_listener *listener, const char *text, uint32_t packet,
                         const struct fwr_platform *platform)
{
    struct tool_icmb_bus *bus = &listener->bus;
    int status;

    bus->config.ctx = listener;
    bus->config.packet = (uint16_t)packet;
    bus->config.serve = serve;
    bus->config.state = on_state;
    status = tool_icmb_parse("--icmb ", text, &bus->line, &bus->config.address);
    if (status == TOOL_OK)
        status = tool_icmb_bus_start(bus, platform);
    if (status == TOOL_OK)
        tool_icmb_bus_turn(bus);
    return status;
}

int tool_icmb_listeners_open(struct tool_icmb_listeners *listeners, const struct tool_list *list,
                             uint32_t packet, uint32_t iana, const struct fwr_platform *platform,
                             struct fwr_oem *oem)
{
    int status = TOOL_OK;

    if (list->count > TOOL_ICMB_LISTENERS_MAX)
        return tool_usage("--icmb: more than %d devices", TOOL_ICMB_LISTENERS_MAX);
    listeners->device = (struct fwr_rmcp_device){.firmware_major = FWR_VERSION_MAJOR,
                                                 .firmware_minor = FWR_VERSION_MINOR,
                                                 .manufacturer = iana};
    tool_sessionless_allow(oem, FWR_SERIAL_BASIC, iana);
    for (size_t i = 0; i < list->count && status == TOOL_OK; i++) {
        struct tool_icmb_listener *listener = &listeners->items[listeners->count++];

        listener->link = (uint16_t)(LINK_FIRST + i);
        listener->oem = oem;
        listener->device = &listeners->device;
        status = listener_open(listener, list->items[i], packet, platform);
    }
    return status;
}

void tool_icmb_listeners_close(struct tool_icmb_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        tool_icmb_bus_end(&listeners->items[i].bus);
    listeners->count = 0;
}

static void address_text(const struct tool_icmb_listener *listener, char *text, size_t capacity)
{
    snprintf(text, capacity, "%s/%#06x", listener->bus.line.path, listener->bus.config.address);
}

void tool_icmb_listeners_print(const struct tool_icmb_listeners *listeners)
{
    char text[256];

    for (uint16_t i = 0; i < listeners->count; i++) {
        address_text(&listeners->items[i], text, sizeof(text));
        printf(" %s", text);
    }
}

void tool_icmb_listeners_json(const struct tool_icmb_listeners *listeners, struct json_object *list)
{
    char text[256];

    for (uint16_t i = 0; i < listeners->count; i++) {
        address_text(&listeners->items[i], text, sizeof(text));
        json_object_array_add(list, json_object_new_string(text));
    }
}

void tool_icmb_listeners_speak(struct tool_icmb_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        struct tool_icmb_listener *listener = &listeners->items[i];
        struct fwr_icmb_bridge *bridge = listener->bus.bridge;
        uint8_t data[FWR_ICMB_DATA_MAX];
        int length;

        while (fwr_icmb_bridge_can_broadcast(bridge) &&
               (length = fwr_donor_next_broadcast(listener->oem->donor, tool_now(), listener->link,
                                                  data, listener->bus.config.packet)) > 0)
            (void)fwr_icmb_bridge_broadcast(
                bridge, tool_icmb_now(),
                (uint8_t)(listener->oem->command_base + FWR_CMD_BLOCK_DATA), data, (size_t)length);
        tool_icmb_bus_turn(&listener->bus);
    }
}

size_t tool_icmb_listeners_handles(const struct tool_icmb_listeners *listeners,
                                   struct pollfd *handles)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        handles[i] = tool_icmb_bus_handle(&listeners->items[i].bus);
    return listeners->count;
}

uint64_t tool_icmb_listeners_next_timeout(const struct tool_icmb_listeners *listeners)
{
    uint64_t next = FWR_NEVER;

    for (uint16_t i = 0; i < listeners->count; i++) {
        uint64_t due = tool_icmb_bus_next_timeout(&listeners->items[i].bus);

        next = due < next ? due : next;
    }
    return next;
}

void tool_icmb_listeners_work(struct tool_icmb_listeners *listeners, const struct pollfd *handles)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        if (handles[i].revents != 0)
            tool_icmb_bus_ready(&listeners->items[i].bus);
        else
            tool_icmb_bus_turn(&listeners->items[i].bus);
    }
}
