/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher: bytes to engine to bytes, for every IPMI stack alike. It checks, in this
 * order, that a message is ours, that its sender may send it, and that its length is right
 * (doc/WIRE.md section 3), and puts completion code and IANA number in front of every answer.
 * Called by the adapters. It knows no stack, no socket and no command by name.
 */
#include <fwrecover/oem.h>

#include <config.h>

#include <stdbool.h>
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "oem-cmds/table.h"
#include "wire/cursor.h"

/* The command number of a code, FWR_CMD_COUNT or more when it is outside the block. */
static uint8_t command_number(const struct fwr_oem *oem, uint8_t code)
{
    return (uint8_t)(code - oem->command_base);
}

static bool iana_matches(const struct fwr_oem *oem, const uint8_t *data, size_t length)
{
    struct fwr_reader reader;

    fwr_reader_init(&reader, data, length);
    return fwr_reader_u24(&reader) == oem->iana && !reader.failed;
}

int fwr_oem_is_ours(const struct fwr_oem *oem, uint8_t command, const uint8_t *data, size_t length)
{
    return iana_matches(oem, data, length) && command_number(oem, command) < FWR_CMD_COUNT;
}

uint8_t fwr_oem_privilege(const struct fwr_oem *oem, uint8_t command)
{
    const struct fwr_oem_command *row = fwr_oem_command_find(command_number(oem, command));

    return row != NULL ? row->privilege : 0;
}

static bool caller_may(const struct fwr_oem *oem, const struct fwr_caller *caller,
                       const struct fwr_oem_command *row)
{
    if (caller->security == FWR_SECURITY_NONE && !oem->allow_sessionless)
        return false;
    return caller->privilege >= row->privilege;
}

/* The length of the reply's data, or an error. */
static int request_serve(const struct fwr_oem_request *request, uint8_t code)
{
    const struct fwr_oem *oem = request->oem;
    const struct fwr_oem_command *row = fwr_oem_command_find(command_number(oem, code));

    if (row == NULL || row->handler == NULL)
        return FWR_E_UNKNOWN_COMMAND;
    /* Get Capabilities and Get Status are answered even where no engine is. */
    if (row->roles != (FWR_ROLE_DONOR | FWR_ROLE_RECIPIENT) && !(row->roles & fwr_oem_roles(oem)) &&
        !(row->keyring && oem->keyring != NULL))
        return FWR_E_UNSUPPORTED;
    if (!caller_may(oem, request->caller, row))
        return FWR_E_PRIVILEGE;
    if (request->length < row->shortest || request->length > row->longest)
        return FWR_E_LENGTH;
    return row->handler(request);
}

/* Completion code, IANA number and, where there is room, the cookie: all that an error says. */
static size_t reply_error(const struct fwr_oem_request *request, int error, uint8_t *reply,
                          size_t capacity)
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, reply, capacity);
    fwr_writer_u8(&writer, fwr_error_completion_code(error));
    fwr_writer_u24(&writer, request->oem->iana);
    if (request->length > 0)
        fwr_writer_u8(&writer, request->data[0]);
    return writer.length;
}

size_t fwr_oem_handle(const struct fwr_oem *oem, uint64_t now, const struct fwr_caller *caller,
                      uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                      size_t capacity)
{
    struct fwr_oem_request request = {
        .oem = oem, .caller = caller, .now = now, .command = command_number(oem, command)};
    struct fwr_writer writer;
    int answer;

    if (!iana_matches(oem, data, length)) {
        reply[0] = fwr_error_completion_code(FWR_E_UNKNOWN_COMMAND);
        return 1;
    }
    request.data = data + FWR_IANA_SIZE;
    request.length = length - FWR_IANA_SIZE;
    if (capacity < FWR_OEM_HEADER)
        return reply_error(&request, FWR_E_NO_SPACE, reply, capacity);
    request.reply = reply + FWR_OEM_HEADER;
    request.capacity = capacity - FWR_OEM_HEADER;
    if (request.capacity > caller->max_reply)
        request.capacity = caller->max_reply;
    if (oem->max_reply != 0 && request.capacity > oem->max_reply)
        request.capacity = oem->max_reply;
    answer = request_serve(&request, command);
    if (answer < 0)
        return reply_error(&request, answer, reply, capacity);
    fwr_writer_init(&writer, reply, FWR_OEM_HEADER);
    fwr_writer_u8(&writer, fwr_error_completion_code(FWR_OK));
    fwr_writer_u24(&writer, oem->iana);
    return FWR_OEM_HEADER + (size_t)answer;
}

#if FWR_RECIPIENT
/* Messages that links refuse in one go before the pump leaves the rest for the next one. */
#define UNSENT_MAX 256

void fwr_oem_response(const struct fwr_oem *oem, struct fwr_recipient *recipient, uint64_t now,
                      uint8_t peer, uint8_t command, const uint8_t *reply, size_t length)
{
    int error = length > 0 ? fwr_error_from_completion_code(reply[0]) : FWR_E_MALFORMED;

    if (length >= FWR_OEM_HEADER && iana_matches(oem, reply + 1, length - 1)) {
        fwr_recipient_response(recipient, now, peer, command, error, reply + FWR_OEM_HEADER,
                               length - FWR_OEM_HEADER);
        return;
    }
    /* Not from a stack that knows us: its data means nothing, its refusal may. */
    fwr_recipient_response(recipient, now, peer, command, error == FWR_OK ? FWR_E_MALFORMED : error,
                           NULL, 0);
}

void fwr_oem_pump(struct fwr_recipient *recipient, uint64_t now,
                  const struct fwr_link *const *links, size_t count)
{
    struct fwr_outgoing message;
    size_t unsent = 0;

    while (unsent < UNSENT_MAX && fwr_recipient_next_send(recipient, now, &message)) {
        const struct fwr_link *link = message.peer < count ? links[message.peer] : NULL;
        int error = FWR_E_SESSION_CLOSED;

        if (link != NULL)
            error = link->send(link->ctx, now, message.command, message.data, message.length);
        if (error != FWR_OK) {
            fwr_recipient_unsent(recipient, now, &message, error);
            unsent++;
        }
    }
}
#endif
