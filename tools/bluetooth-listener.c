/* SPDX-License-Identifier: Apache-2.0 */
/* The serial responder on RFCOMM sockets: see bluetooth-listener.h. Answers at once or not at all.
 */
#include "tools/bluetooth-listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/json.h"
#include "tools/number.h"
#include "tools/say.h"
#include "tools/serial-listener.h"

#define LINK        0x200 /* a number that no other listener has */
#define AGAIN_MS    2000  /* until a channel that broke is opened again */
#define SILENT_MS   30000 /* who has asked nothing for so long gives way to a newcomer */
#define TAKE_A_TURN 4

/* ---- what the responder calls ---- */

static void transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    (void)fwr_tty_port_send(&((struct tool_bluetooth_caller *)ctx)->port, bytes, length);
}

static void request(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length)
{
    struct tool_bluetooth_caller *from = ctx;
    const size_t max_reply = fwr_serial_max_reply(FWR_SERIAL_BASIC, FWR_SERIAL_MESSAGE_MAX);
    const struct fwr_caller caller = {
        .link = LINK,
        .medium = FWR_MEDIUM_BLUETOOTH,
        .privilege = FWR_PRIVILEGE_USER,
        .security = FWR_SECURITY_NONE,
        .session = from->session,
        .max_reply = (uint16_t)(max_reply - FWR_IANA_SIZE),
    };
    uint8_t reply[FWR_SERIAL_MESSAGE_MAX];

    from->heard = now;
    length = tool_sessionless_answer(from->listeners->oem, &from->listeners->device, &caller,
                                     id->netfn, id->command, data, length, reply, sizeof(reply));
    (void)fwr_serial_responder_reply(from->responder, id, reply, length);
}

/* ---- what the port calls ---- */

/* The port opens what has called us, once. */
static int on_dial(void *ctx, struct fwr_tty *tty)
{
    struct tool_bluetooth_caller *caller = ctx;

    if (caller->accepted < 0)
        return FWR_E_IO;
    *tty = (struct fwr_tty){.fd = caller->accepted, .socket = true};
    caller->accepted = -1;
    return FWR_OK;
}

static void on_opened(void *ctx, uint64_t now)
{
    ((struct tool_bluetooth_caller *)ctx)->heard = now;
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    (void)now;
    (void)error;
    ((struct tool_bluetooth_caller *)ctx)->gone = true;
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    fwr_serial_responder_receive(((struct tool_bluetooth_caller *)ctx)->responder, now, bytes,
                                 length);
}

/* ---- callers ---- */

static void dismiss(struct tool_bluetooth_caller *caller)
{
    const struct fwr_oem *oem = caller->listeners->oem;

    if (oem->donor != NULL)
        fwr_donor_session_closed(oem->donor, LINK, caller->session);
    fwr_tty_port_end(&caller->port);
    if (caller->accepted >= 0)
        close(caller->accepted);
    fwr_serial_responder_end(caller->responder);
    free(caller->storage);
    caller->taken = false;
}

/* A free place, or that of somebody who has said nothing for long; NULL. */
static struct tool_bluetooth_caller *find_place(struct tool_bluetooth_listeners *listeners,
                                                uint64_t now)
{
    struct tool_bluetooth_caller *silent = NULL;

    for (int i = 0; i < TOOL_BLUETOOTH_CALLERS_MAX; i++) {
        struct tool_bluetooth_caller *caller = &listeners->callers[i];

        if (!caller->taken)
            return caller;
        if (now - caller->heard >= SILENT_MS && (silent == NULL || caller->heard < silent->heard))
            silent = caller;
    }
    if (silent != NULL)
        dismiss(silent);
    return silent;
}

static void welcome(struct tool_bluetooth_listeners *listeners, int fd,
                    const struct fwr_rfcomm_address *peer)
{
    uint64_t now = tool_now();
    struct tool_bluetooth_caller *caller = find_place(listeners, now);

    if (caller == NULL) { /* it hears that at once, and asks elsewhere */
        close(fd);
        return;
    }
    memset(caller, 0, sizeof(*caller));
    caller->taken = true;
    caller->listeners = listeners;
    caller->accepted = fd;
    caller->session = ++listeners->sessions;
    fwr_rfcomm_address_print(peer, caller->peer);
    caller->port_config = (struct fwr_tty_port_config){
        .size = sizeof(caller->port_config),
        .path = caller->peer,
        .ctx = caller,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
        .dial = on_dial,
    };
    caller->config = (struct fwr_serial_responder_config){
        .size = sizeof(caller->config),
        .mode = FWR_SERIAL_BASIC,
        .message = FWR_SERIAL_MESSAGE_MAX,
        .ctx = caller,
        .transmit = transmit,
        .request = request,
    };
    fwr_tty_port_init(&caller->port, &caller->port_config);
    caller->storage = calloc(1, fwr_serial_responder_storage());
    if (caller->storage == NULL ||
        fwr_serial_responder_init(&caller->responder, caller->storage,
                                  fwr_serial_responder_storage(), &caller->config) != FWR_OK) {
        dismiss(caller);
        return;
    }
    fwr_tty_port_timeout(&caller->port, now);
}

static void serve_caller(struct tool_bluetooth_caller *caller, bool ready)
{
    uint64_t now = tool_now();

    if (ready)
        fwr_tty_port_ready(&caller->port, now);
    if (!caller->gone && fwr_tty_port_next_timeout(&caller->port) <= now)
        fwr_tty_port_timeout(&caller->port, now);
    if (caller->gone)
        dismiss(caller);
}

/* ---- channels ---- */

static void take_callers(struct tool_bluetooth_listeners *listeners,
                         struct tool_bluetooth_channel *channel)
{
    for (int i = 0; i < TAKE_A_TURN; i++) {
        struct fwr_rfcomm_address peer;
        int fd, error = fwr_rfcomm_accept(channel->fd, &peer, &fd);

        if (error == FWR_OK) {
            welcome(listeners, fd, &peer);
            continue;
        }
        if (error < FWR_OK) {
            channel->open_at = tool_now() + AGAIN_MS;
            if (error != FWR_E_BUSY) {
                close(channel->fd);
                channel->fd = -1;
            }
        }
        return;
    }
}

static void listen_again(struct tool_bluetooth_channel *channel)
{
    int error = FWR_OK;

    if (channel->fd < 0)
        error = fwr_rfcomm_listen(&channel->local, TOOL_BLUETOOTH_CALLERS_MAX, &channel->fd);
    channel->open_at = error == FWR_OK ? 0 : tool_now() + AGAIN_MS;
}

/* [ADDRESS/]CHANNEL. */
static int parse_channel(const char *text, struct fwr_rfcomm_address *local)
{
    uint64_t number;

    memset(local, 0, sizeof(*local));
    if (strchr(text, '/') != NULL) {
        if (fwr_rfcomm_address_parse(text, local) == FWR_OK)
            return TOOL_OK;
    } else if (tool_number(text, FWR_RFCOMM_CHANNEL_MAX, &number) && number > 0) {
        local->channel = (uint8_t)number;
        return TOOL_OK;
    }
    return tool_usage("--bluetooth %s: not CHANNEL or AA:BB:CC:DD:EE:FF/CHANNEL, with a channel of "
                      "1 to %d",
                      text, FWR_RFCOMM_CHANNEL_MAX);
}

static int channel_open(struct tool_bluetooth_listeners *listeners, const char *text, bool alone)
{
    struct tool_bluetooth_channel *channel = &listeners->channels[listeners->count];
    int status = parse_channel(text, &channel->local);
    int error;

    if (status != TOOL_OK)
        return status;
    error = fwr_rfcomm_listen(&channel->local, TOOL_BLUETOOTH_CALLERS_MAX, &channel->fd);
    if (error == FWR_E_NO_BLUETOOTH && !alone) {
        tool_note("--bluetooth %s: %s (%s), left out", text, fwr_error_text(error),
                  fwr_error_name(error));
        return TOOL_OK;
    }
    if (error == FWR_E_BUSY)
        return tool_error(error, text, "another program listens at this channel");
    if (error != FWR_OK)
        return tool_error(error, text, NULL);
    channel->open_at = 0;
    listeners->count++;
    return TOOL_OK;
}

int tool_bluetooth_listeners_open(struct tool_bluetooth_listeners *listeners,
                                  const struct tool_list *list, uint32_t iana, struct fwr_oem *oem,
                                  bool alone)
{
    int status = TOOL_OK;

    if (list->count > TOOL_BLUETOOTH_CHANNELS_MAX)
        return tool_usage("--bluetooth: more than %d channels", TOOL_BLUETOOTH_CHANNELS_MAX);
    listeners->oem = oem;
    listeners->device = (struct fwr_rmcp_device){.firmware_major = FWR_VERSION_MAJOR,
                                                 .firmware_minor = FWR_VERSION_MINOR,
                                                 .manufacturer = iana};
    for (size_t i = 0; i < list->count && status == TOOL_OK; i++)
        status = channel_open(listeners, list->items[i], alone);
    if (listeners->count > 0)
        tool_sessionless_allow(oem, FWR_SERIAL_BASIC, iana);
    return status;
}

void tool_bluetooth_listeners_close(struct tool_bluetooth_listeners *listeners)
{
    for (int i = 0; i < TOOL_BLUETOOTH_CALLERS_MAX; i++) {
        if (listeners->callers[i].taken)
            dismiss(&listeners->callers[i]);
    }
    for (uint16_t i = 0; i < listeners->count; i++) {
        if (listeners->channels[i].fd >= 0)
            close(listeners->channels[i].fd);
    }
    listeners->count = 0;
}

/* ---- all of them ---- */

#define SHOWN_MAX (FWR_RFCOMM_TEXT + 16)

/* As --bluetooth takes it, with a prefix. */
static void show(const struct tool_bluetooth_channel *channel, char text[SHOWN_MAX])
{
    static const uint8_t any[sizeof(channel->local.octets)];
    char address[FWR_RFCOMM_TEXT];

    fwr_rfcomm_address_print(&channel->local, address);
    if (memcmp(channel->local.octets, any, sizeof(any)) == 0)
        snprintf(text, SHOWN_MAX, "bluetooth:%u", channel->local.channel);
    else
        snprintf(text, SHOWN_MAX, "bluetooth:%s", address);
}

void tool_bluetooth_listeners_print(const struct tool_bluetooth_listeners *listeners)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        char text[SHOWN_MAX];

        show(&listeners->channels[i], text);
        printf(" %s", text);
    }
}

void tool_bluetooth_listeners_json(const struct tool_bluetooth_listeners *listeners,
                                   struct json_object *list)
{
    for (uint16_t i = 0; i < listeners->count; i++) {
        char text[SHOWN_MAX];

        show(&listeners->channels[i], text);
        json_object_array_add(list, json_object_new_string(text));
    }
}

size_t tool_bluetooth_listeners_handles(const struct tool_bluetooth_listeners *listeners,
                                        struct pollfd *handles)
{
    if (listeners->count == 0)
        return 0;
    for (uint16_t i = 0; i < listeners->count; i++) {
        const struct tool_bluetooth_channel *channel = &listeners->channels[i];

        *handles++ =
            (struct pollfd){.fd = channel->open_at == 0 ? channel->fd : -1, .events = POLLIN};
    }
    for (int i = 0; i < TOOL_BLUETOOTH_CALLERS_MAX; i++) {
        const struct tool_bluetooth_caller *caller = &listeners->callers[i];

        *handles++ = caller->taken ? tool_line_handle(&caller->port) : (struct pollfd){.fd = -1};
    }
    return (size_t)listeners->count + TOOL_BLUETOOTH_CALLERS_MAX;
}

uint64_t tool_bluetooth_listeners_next_timeout(const struct tool_bluetooth_listeners *listeners)
{
    uint64_t next = FWR_NEVER;

    for (uint16_t i = 0; i < listeners->count; i++) {
        uint64_t due = listeners->channels[i].open_at;

        next = due != 0 && due < next ? due : next;
    }
    for (int i = 0; i < TOOL_BLUETOOTH_CALLERS_MAX; i++) {
        const struct tool_bluetooth_caller *caller = &listeners->callers[i];
        uint64_t due = caller->taken ? fwr_tty_port_next_timeout(&caller->port) : FWR_NEVER;

        next = due < next ? due : next;
    }
    return next;
}

void tool_bluetooth_listeners_work(struct tool_bluetooth_listeners *listeners,
                                   const struct pollfd *handles)
{
    const struct pollfd *callers = handles + listeners->count;

    if (listeners->count == 0)
        return;
    for (int i = 0; i < TOOL_BLUETOOTH_CALLERS_MAX; i++) {
        if (listeners->callers[i].taken)
            serve_caller(&listeners->callers[i], callers[i].revents != 0);
    }
    for (uint16_t i = 0; i < listeners->count; i++) {
        struct tool_bluetooth_channel *channel = &listeners->channels[i];

        if (channel->open_at != 0 && channel->open_at <= tool_now())
            listen_again(channel);
        else if (handles[i].revents != 0)
            take_callers(listeners, channel);
    }
}
