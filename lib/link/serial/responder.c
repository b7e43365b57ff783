/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BMC's end of a stream: see serial.h. It remembers no request: what names one goes with it
 * and comes back with the answer, so there is nothing that a flood of requests could fill.
 */
#include "link/serial/frame.h"

#include <stdio.h>
#include <string.h>

#include <fwrecover/error.h>

#define CC_UNKNOWN 0xc1

struct fwr_serial_responder {
    const struct fwr_serial_responder_config *config;
    uint32_t stream; /* counts the openings */
    struct fwr_serial_counters counters;
    struct fwr_frame_decoder decoder;
};

static enum fwr_serial_mode mode(const struct fwr_serial_responder *responder)
{
    return (enum fwr_serial_mode)responder->config->mode;
}

static uint8_t address(const struct fwr_serial_responder *responder)
{
    return responder->config->address != 0 ? responder->config->address : FWR_SERIAL_ADDRESS_BMC;
}

static size_t message_limit(const struct fwr_serial_responder *responder)
{
    return responder->config->message != 0 ? responder->config->message
                                           : FWR_SERIAL_MESSAGE_DEFAULT;
}

static void transmit(struct fwr_serial_responder *responder, const void *bytes, size_t length)
{
    responder->config->transmit(responder->config->ctx, bytes, length);
}

/* ---- Terminal Mode's text commands ---- */

static void say(struct fwr_serial_responder *responder, const char *text)
{
    transmit(responder, text, strlen(text));
}

static void say_error(struct fwr_serial_responder *responder, uint8_t code)
{
    char text[16];

    snprintf(text, sizeof(text), "[ERR %02X]\r\n", code);
    say(responder, text);
}

static bool is_command(const struct fwr_frame_decoder *decoder, const char *text)
{
    size_t length = decoder->length;

    while (length > 0 && decoder->bytes[length - 1] == ' ')
        length--;
    return length == strlen(text) && memcmp(decoder->bytes, text, length) == 0;
}

/* There is no session to log in to, and so no password that would be asked for: the command that
 * brings one is refused rather than believed. What switches power or sets boot options has its
 * IPMI messages. */
static void text_command(struct fwr_serial_responder *responder)
{
    if (is_command(&responder->decoder, "SYS TMODE"))
        say(responder, "[OK TMODE]\r\n");
    else if (is_command(&responder->decoder, "SYS PWD -X"))
        say(responder, "[OK]\r\n");
    else
        say_error(responder, CC_UNKNOWN);
}

/* ---- messages ---- */

/* Our own replies, when the line echoes them, have an odd network function. */
static void take(struct fwr_serial_responder *responder, uint64_t now)
{
    const struct fwr_rmcp_message *message = &responder->decoder.message;
    const struct fwr_serial_command id = {
        .stream = responder->stream,
        .netfn = message->netfn,
        .lun = message->to_lun,
        .command = message->command,
        .requester = message->from,
        .requester_lun = message->from_lun,
        .sequence = message->sequence,
    };

    if ((message->netfn & 1) != 0 ||
        (mode(responder) == FWR_SERIAL_BASIC && message->to != address(responder))) {
        responder->counters.foreign++;
        return;
    }
    responder->counters.received++;
    responder->config->request(responder->config->ctx, now, &id, message->data, message->length);
}

static void handle(struct fwr_serial_responder *responder, uint64_t now, enum fwr_frame_event event)
{
    static const uint8_t handshake = FWR_BASIC_HANDSHAKE;
    bool basic = mode(responder) == FWR_SERIAL_BASIC;

    if (basic && (event == FWR_FRAME_MESSAGE || event == FWR_FRAME_BAD))
        transmit(responder, &handshake, sizeof(handshake));
    if (event == FWR_FRAME_MESSAGE)
        take(responder, now);
    else if (event == FWR_FRAME_COMMAND)
        text_command(responder);
    else if (event == FWR_FRAME_BAD && !basic)
        say_error(responder, responder->decoder.code);
}

/* What a terminal shows of a character that was typed. */
static void echo(struct fwr_serial_responder *responder, uint8_t byte)
{
    switch (byte) {
    case '\r':
        say(responder, "\r\n");
        break;
    case '\b':
    case 0x7f:
        say(responder, "\b \b");
        break;
    case '\n':
    case 0x1b:
        break;
    default:
        transmit(responder, &byte, sizeof(byte));
    }
}

void fwr_serial_responder_receive(struct fwr_serial_responder *responder, uint64_t now,
                                  const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (responder->config->echo && mode(responder) == FWR_SERIAL_TERMINAL)
            echo(responder, bytes[i]);
        handle(responder, now, fwr_frame_decoder_byte(&responder->decoder, bytes[i]));
    }
}

int fwr_serial_responder_reply(struct fwr_serial_responder *responder,
                               const struct fwr_serial_command *id, const uint8_t *reply,
                               size_t length)
{
    const struct fwr_rmcp_message message = {
        .to = id->requester,
        .netfn = id->netfn | 1,
        .to_lun = mode(responder) == FWR_SERIAL_TERMINAL ? id->lun : id->requester_lun,
        .from = address(responder),
        .sequence = id->sequence,
        .from_lun = id->lun,
        .command = id->command,
        .data = reply,
        .length = length,
    };
    uint8_t frame[FWR_SERIAL_FRAME_MAX];

    if (id->stream != responder->stream)
        return FWR_E_SESSION_CLOSED;
    if (length < 1 || length > 1 + fwr_serial_max_reply(mode(responder), message_limit(responder)))
        return FWR_E_LENGTH;
    responder->counters.sent++;
    transmit(responder, frame, fwr_frame_encode(mode(responder), &message, frame));
    return FWR_OK;
}

/* ---- life ---- */

void fwr_serial_responder_reset(struct fwr_serial_responder *responder)
{
    responder->stream++;
    fwr_frame_decoder_reset(&responder->decoder);
}

void fwr_serial_responder_status(const struct fwr_serial_responder *responder,
                                 struct fwr_serial_counters *counters)
{
    *counters = responder->counters;
}

size_t fwr_serial_responder_storage(void)
{
    return sizeof(struct fwr_serial_responder);
}

int fwr_serial_responder_init(struct fwr_serial_responder **responder, void *storage, size_t size,
                              const struct fwr_serial_responder_config *config)
{
    struct fwr_serial_responder *r = storage;

    *responder = NULL;
    if (config->size != sizeof(*config) || config->mode > FWR_SERIAL_TERMINAL ||
        config->transmit == NULL || config->request == NULL ||
        config->message > FWR_SERIAL_MESSAGE_MAX ||
        (config->message != 0 && config->message < FWR_SERIAL_MESSAGE_DEFAULT))
        return FWR_E_ARGUMENT;
    if (storage == NULL || size < sizeof(*r))
        return FWR_E_NO_SPACE;
    memset(r, 0, sizeof(*r));
    r->config = config;
    fwr_frame_decoder_init(&r->decoder, mode(r), &r->counters);
    *responder = r;
    return FWR_OK;
}

void fwr_serial_responder_end(struct fwr_serial_responder *responder)
{
    if (responder != NULL)
        memset(responder, 0, sizeof(*responder));
}
