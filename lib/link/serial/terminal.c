/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminal Mode (IPMI 2.0 section 14.7): messages as hexadecimal text between brackets on a
 * line, so that a person can type them, edit the line, and give it up.
 */
#include "link/serial/frame.h"

#include <string.h>

#define HEADER      3 /* network function and LUN, sequence and bridge, command */
#define BACKSPACE   0x08
#define DELETE      0x7f
#define ESCAPE      0x1b
#define BRIDGE_BITS 0x03 /* a message of a bus behind the BMC: not ours */

#define CC_LENGTH 0xc7
#define CC_FIELD  0xcc

static int digit(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    character |= 0x20;
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool is_text(const struct fwr_frame_decoder *decoder, const char *word)
{
    size_t length = strlen(word);

    return decoder->length >= length && memcmp(decoder->bytes, word, length) == 0;
}

static enum fwr_frame_event bad(struct fwr_frame_decoder *decoder, uint8_t code)
{
    decoder->counters->malformed++;
    decoder->code = code;
    return FWR_FRAME_BAD;
}

/* Digits in pairs, spaces between them; in place, because two characters become one byte. */
static bool decode_digits(struct fwr_frame_decoder *decoder)
{
    size_t length = 0;

    for (size_t i = 0; i < decoder->length; i++) {
        int high = digit(decoder->bytes[i]), low;

        if (decoder->bytes[i] == ' ')
            continue;
        low = i + 1 < decoder->length ? digit(decoder->bytes[++i]) : -1;
        if (high < 0 || low < 0)
            return false;
        decoder->bytes[length++] = (uint8_t)(high << 4 | low);
    }
    decoder->length = length;
    return true;
}

static enum fwr_frame_event finish(struct fwr_frame_decoder *decoder)
{
    struct fwr_rmcp_message *message = &decoder->message;
    const uint8_t *at = decoder->bytes;

    decoder->state = FWR_FRAME_OUTSIDE;
    if (is_text(decoder, "SYS"))
        return FWR_FRAME_COMMAND;
    /* What a BMC says of such commands is no message, and must not be answered. */
    if (is_text(decoder, "OK") || is_text(decoder, "ERR")) {
        decoder->counters->foreign++;
        return FWR_FRAME_NONE;
    }
    if (!decode_digits(decoder))
        return bad(decoder, CC_FIELD);
    if (decoder->length < HEADER || decoder->length > FWR_SERIAL_MESSAGE_MAX)
        return bad(decoder, CC_LENGTH);
    if ((at[1] & BRIDGE_BITS) != 0) {
        decoder->counters->foreign++;
        return FWR_FRAME_NONE;
    }
    *message = (struct fwr_rmcp_message){
        .netfn = at[0] >> 2,
        .to_lun = at[0] & 3,
        .sequence = at[1] >> 2,
        .command = at[2],
        .data = at + HEADER,
        .length = decoder->length - HEADER,
    };
    return FWR_FRAME_MESSAGE;
}

static enum fwr_frame_event inside(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    switch (byte) {
    case ']':
        decoder->state = FWR_FRAME_ENDED;
        break;
    case BACKSPACE:
    case DELETE:
        if (decoder->length > 0)
            decoder->length--;
        break;
    case '\r':
    case '\n':
        /* A line may go on behind a backslash; otherwise it was given up. */
        if (byte == '\n' && decoder->last == '\r')
            break;
        if (decoder->length > 0 && decoder->bytes[decoder->length - 1] == '\\')
            decoder->length--;
        else
            fwr_frame_decoder_reset(decoder);
        break;
    default:
        if (decoder->length == sizeof(decoder->bytes)) {
            decoder->counters->overlong++;
            fwr_frame_decoder_reset(decoder);
            break;
        }
        decoder->bytes[decoder->length++] = byte;
    }
    return FWR_FRAME_NONE;
}

static enum fwr_frame_event take(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    if (byte == '[' || byte == ESCAPE) {
        if (decoder->state != FWR_FRAME_OUTSIDE)
            decoder->counters->restarted++;
        fwr_frame_decoder_reset(decoder);
        if (byte == '[')
            decoder->state = FWR_FRAME_INSIDE;
        return FWR_FRAME_NONE;
    }
    if (decoder->state == FWR_FRAME_INSIDE)
        return inside(decoder, byte);
    if (decoder->state == FWR_FRAME_ENDED) {
        if (byte == '\r' || byte == '\n')
            return finish(decoder);
        if (byte == BACKSPACE || byte == DELETE)
            decoder->state = FWR_FRAME_INSIDE; /* the bracket is what was deleted */
        return FWR_FRAME_NONE;
    }
    if (byte != '\r' && byte != '\n')
        decoder->counters->noise++;
    return FWR_FRAME_NONE;
}

enum fwr_frame_event fwr_terminal_byte(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    enum fwr_frame_event event = take(decoder, byte);

    decoder->last = byte;
    return event;
}

static uint8_t *put_byte(uint8_t *at, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";

    *at++ = (uint8_t)digits[byte >> 4];
    *at++ = (uint8_t)digits[byte & 15];
    return at;
}

size_t fwr_terminal_encode(const struct fwr_rmcp_message *message, uint8_t *frame)
{
    uint8_t *at = frame;

    *at++ = '[';
    at = put_byte(at, (uint8_t)(message->netfn << 2 | message->to_lun));
    at = put_byte(at, (uint8_t)(message->sequence << 2));
    at = put_byte(at, message->command);
    for (size_t i = 0; i < message->length; i++)
        at = put_byte(at, message->data[i]);
    *at++ = ']';
    *at++ = '\r';
    *at++ = '\n';
    return (size_t)(at - frame);
}
