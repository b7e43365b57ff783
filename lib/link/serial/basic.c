/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Basic Mode (IPMI 2.0 section 14.4): an IPMB message between a start and a stop character,
 * five characters escaped, each packet acknowledged by a handshake character.
 */
#include "link/serial/frame.h"

#include <fwrecover/error.h>

static const struct {
    uint8_t plain, escaped;
} escapes[] = {
    {FWR_BASIC_START, 0xb0},  {FWR_BASIC_STOP, 0xb5}, {FWR_BASIC_HANDSHAKE, 0xb6},
    {FWR_BASIC_ESCAPE, 0xba}, {0x1b, 0x3b},
};

#define ESCAPES (sizeof(escapes) / sizeof(escapes[0]))

static enum fwr_frame_event abandon(struct fwr_frame_decoder *decoder, uint64_t *counter)
{
    (*counter)++;
    fwr_frame_decoder_reset(decoder);
    return FWR_FRAME_NONE;
}

static enum fwr_frame_event put(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    if (decoder->length == FWR_SERIAL_MESSAGE_MAX)
        return abandon(decoder, &decoder->counters->overlong);
    decoder->bytes[decoder->length++] = byte;
    return FWR_FRAME_NONE;
}

static enum fwr_frame_event put_escaped(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    decoder->state = FWR_FRAME_INSIDE;
    for (size_t i = 0; i < ESCAPES; i++) {
        if (escapes[i].escaped == byte)
            return put(decoder, escapes[i].plain);
    }
    return abandon(decoder, &decoder->counters->malformed);
}

static enum fwr_frame_event finish(struct fwr_frame_decoder *decoder)
{
    int error = fwr_rmcp_message_decode(&decoder->message, decoder->bytes, decoder->length);

    fwr_frame_decoder_reset(decoder);
    if (error == FWR_OK)
        return FWR_FRAME_MESSAGE;
    decoder->counters->malformed++;
    return FWR_FRAME_BAD;
}

enum fwr_frame_event fwr_basic_byte(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    /* These two are never part of a message, so they count wherever they stand. */
    if (byte == FWR_BASIC_START) {
        if (decoder->state != FWR_FRAME_OUTSIDE)
            decoder->counters->restarted++;
        decoder->state = FWR_FRAME_INSIDE;
        decoder->length = 0;
        return FWR_FRAME_NONE;
    }
    if (byte == FWR_BASIC_HANDSHAKE)
        return FWR_FRAME_HANDSHAKE;
    if (decoder->state == FWR_FRAME_OUTSIDE) {
        decoder->counters->noise++;
        return FWR_FRAME_NONE;
    }
    if (decoder->state == FWR_FRAME_ESCAPED)
        return put_escaped(decoder, byte);
    if (byte == FWR_BASIC_STOP)
        return finish(decoder);
    if (byte != FWR_BASIC_ESCAPE)
        return put(decoder, byte);
    decoder->state = FWR_FRAME_ESCAPED;
    return FWR_FRAME_NONE;
}

static uint8_t *put_byte(uint8_t *at, uint8_t byte)
{
    for (size_t i = 0; i < ESCAPES; i++) {
        if (escapes[i].plain == byte) {
            *at++ = FWR_BASIC_ESCAPE;
            byte = escapes[i].escaped;
            break;
        }
    }
    *at++ = byte;
    return at;
}

size_t fwr_basic_encode(const struct fwr_rmcp_message *message, uint8_t *frame)
{
    uint8_t bytes[FWR_SERIAL_MESSAGE_MAX];
    size_t length = fwr_rmcp_message_encode(message, bytes);
    uint8_t *at = frame;

    *at++ = FWR_BASIC_START;
    for (size_t i = 0; i < length; i++)
        at = put_byte(at, bytes[i]);
    *at++ = FWR_BASIC_STOP;
    return (size_t)(at - frame);
}
