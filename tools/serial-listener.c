/* SPDX-License-Identifier: Apache-2.0 */
/* The serial responder on devices: see serial-listener.h. Answers at once or not at all. */
#include "tools/serial-listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/json.h"
#include "tools/say.h"

#define LINK_FIRST    0x100 /* numbers that no UDP listener has */
#define NETFN_APP     0x06
#define GET_DEVICE_ID 0x01
#define CC_UNKNOWN    0xc1

size_t tool_sessionless_answer(const struct fwr_oem *oem, const struct fwr_rmcp_device *device,
                               const struct fwr_caller *caller, uint8_t netfn, uint8_t command,
                               const uint8_t *data, size_t length, uint8_t *reply, size_t capacity)
{
    if (netfn == FWR_NETFN_OEM_REQUEST)
        return fwr_oem_handle(oem, tool_now(), caller, command, data, length, reply, capacity);
    if (netfn == NETFN_APP && command == GET_DEVICE_ID && length == 0)
        return fwr_rmcp_device_answer(device, reply);
    reply[0] = CC_UNKNOWN;
    return 1;
}

void tool_sessionless_allow(struct fwr_oem *oem, enum fwr_serial_mode mode, uint32_t iana)
{
    if (oem->size == 0) {
        oem->size = sizeof(*oem);
        oem->iana = iana;
        oem->command_base = FWR_COMMAND_BASE;
        oem->window = FWR_SERIAL_WINDOW_MAX;
        oem->max_request =
            (uint16_t)(fwr_serial_max_request(mode, FWR_SERIAL_MESSAGE_MAX) - FWR_IANA_SIZE);
    }
    oem->allow_sessionless = true; /* the operator named the line */
}

/* ---- what the responder calls ---- */

static void transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    struct tool_serial_listener *listener = ctx;

    (void)fwr_tty_port_send(&listener->port, bytes, length);
}

static void request(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length)
{
    struct tool_serial_listener *listener = ctx;
    const struct fwr_caller caller = {
        .link = listener->link,
        .medium = FWR_MEDIUM_SERIAL,
        .privilege = FWR_PRIVILEGE_USER,
        .security = FWR_SECURITY_NONE,
        .session = id->stream,
        .max_reply = listener->max_reply,
    };
    uint8_t reply[FWR_SERIAL_MESSAGE_MAX];

    (void)now;
    listener->stream = id->stream;
    length = tool_sessionless_answer(listener->oem, listener->device, &caller, id->netfn,
                                     id->command, data, length, reply, sizeof(reply));
    (void)fwr_serial_responder_reply(listener->responder, id, reply, length);
}

/* ---- what the port calls ---- */

static void on_opened(void *ctx, uint64_t now)
{
    struct tool_serial_listener *listener = ctx;

    (void)now;
    if (listener->down)
        tool_note("%s: open again", listener->line.path);
    listener->down = false;
    fwr_serial_responder_reset(listener->responder);
}

/* A transfer ends with the line: who comes next may be someone else. */
static void on_closed(void *ctx, uint64_t now, int error)
{
    struct tool_serial_listener *listener = ctx;

    (void)now;
    listener->down = true;
    if (listener->oem->donor != NULL)
        fwr_donor_session_closed(listener->oem->donor, listener->link, listener->stream);
    tool_line_lost(&listener->line, error);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    fwr_serial_responder_receive(((struct tool_serial_listener *)ctx)->responder, now, bytes,
                                 length);
}

/* ---- all of them ---- */

static int listener_open(struct tool_serial_listener *listener, const char *text,
                         enum fwr_serial_mode mode, uint32_t message)
{
    int status, error;

    listener->port.tty.fd = -1;
    status = tool_line_parse(&listener->line, text);
    if (status != TOOL_OK)
        return status;
    listener->max_reply = (uint16_t)(fwr_serial_max_reply(mode, message) - FWR_IANA_SIZE);
    listener->port_config = (struct fwr_tty_port_config){
        .size = sizeof(listener->port_config),
        .path = listener->line.path,
        .baud = listener->line.baud,
        .ctx = listener,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
    };
    listener->config = (struct fwr_serial_responder_config){
        .size = sizeof(listener->config),
        .mode = (uint8_t)mode,
        .message = (uint16_t)message,
        .ctx = listener,
        .transmit = transmit,
        .request = request,
    };
    listener->storage = calloc(1, fwr_serial_responder_storage());
    error = listener->storage == NULL
                ? FWR_E_MEMORY
                : fwr_serial_responder_init(&listener->responder, listener->storage,
                                            fwr_serial_responder_storage(), &listener->config);
    if (error != FWR_OK)
        return tool_error(error, text, NULL);
    fwr_tty_port_init(&listener->port, &listener->port_config);
    fwr_tty_port_timeout(&listener->port, tool_now());
    return TOOL_OK;
}

int tool_serial_listeners_open(struct tool_serial_listeners *listeners,
                               const struct tool_list *list, const char *mode, uint32_t message,
                               uint32_t iana, struct fwr_oem *oem)
{
    enum fwr_serial_mode which = FWR_SERIAL_BASIC;
    int status = TOOL_OK;

    if (strcmp(mode, fwr_serial_mode_name(FWR_SERIAL_TERMINAL)) == 0)
        which = FWR_SERIAL_TERMINAL;
    else if (strcmp(mode, fwr_serial_mode_name(which)) != 0)
        return tool_usage("--serial-mode %s: not basic or terminal", mode);
    if (list->count > TOOL_SERIAL_LISTENERS_MAX)
        return tool_usage("--serial: more than %d devices", TOOL_SERIAL_LISTENERS_MAX);
    listeners->device = (struct fwr_rmcp_device){.firmware_major = FWR_VERSION_MAJOR,
                                                 .firmware_minor = FWR_VERSION_MINOR,
                                                 .manufacturer = iana};
    tool_sessionless_allow(oem, which, iana);
    for (size_t i = 0; i < list->count && status == TOOL_OK; i++) {
        struct tool_serial_listener *listener = &listeners->items[listeners->count++];

        listener->link = (uint16_t)(LINK_FIRST + i);
        listener->oem = oem;
        listener->device = &listeners->device;
        status = listener_open(listener, list->items[i], which, message);
    }
    return status;
}

void tool_serial_listeners_close(struct tool_serial_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        struct tool_serial_listener *listener = &listeners->items[i];

        fwr_tty_port_end(&listener->port);
        fwr_serial_responder_end(listener->responder);
        free(listener->storage);
        tool_line_free(&listener->line);
    }
    listeners->count = 0;
}

void tool_serial_listeners_print(const struct tool_serial_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        printf(" %s", listeners->items[i].line.path);
}

void tool_serial_listeners_json(const struct tool_serial_listeners *listeners,
                                struct json_object *list)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        json_object_array_add(list, json_object_new_string(listeners->items[i].line.path));
}

size_t tool_serial_listeners_handles(const struct tool_serial_listeners *listeners,
                                     struct pollfd *handles)
{
    for (uint16_t i = 0; i < listeners->count; i++)
        handles[i] = tool_line_handle(&listeners->items[i].port);
    return listeners->count;
}

uint64_t tool_serial_listeners_next_timeout(const struct tool_serial_listeners *listeners)
{
    uint64_t next = FWR_NEVER;

    for (uint16_t i = 0; i < listeners->count; i++) {
        uint64_t due = fwr_tty_port_next_timeout(&listeners->items[i].port);

        next = due < next ? due : next;
    }
    return next;
}

void tool_serial_listeners_work(struct tool_serial_listeners *listeners,
                                const struct pollfd *handles)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        struct fwr_tty_port *port = &listeners->items[i].port;
        uint64_t now = tool_now();

        if (handles[i].revents != 0)
            fwr_tty_port_ready(port, now);
        if (fwr_tty_port_next_timeout(port) <= now)
            fwr_tty_port_timeout(port, now);
    }
}
