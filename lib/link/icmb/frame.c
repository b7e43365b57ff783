/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMB frames: see frame.h. Called by the line for everything it sends and hears.
 */
#include "link/icmb/frame.h"

#include <string.h>

#include <fwrecover/error.h>

#include "wire/cursor.h"

/* ---- sending ---- */

static bool is_special(uint8_t character)
{
    return character == ICMB_START || character == ICMB_STOP || character == ICMB_HAND ||
           character == ICMB_ESCAPE;
}

static void put(struct fwr_writer *frame, uint8_t character)
{
    if (is_special(character)) {
        fwr_writer_u8(frame, ICMB_ESCAPE);
        character = ICMB_ESCAPED(character);
    }
    fwr_writer_u8(frame, character);
}

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

int fwr_icmb_frame_encode(const struct fwr_icmb_packet *packet, uint8_t *frame, size_t capacity)
{
    uint8_t bytes[FWR_ICMB_PACKET_MAX];
    struct fwr_writer plain, writer;

    if (packet->length > FWR_ICMB_DATA_MAX)
        return FWR_E_ARGUMENT;
    fwr_writer_init(&plain, bytes, sizeof(bytes));
    fwr_writer_u16(&plain, packet->destination);
    fwr_writer_u16(&plain, packet->source);
    fwr_writer_u8(&plain, packet->type);
    fwr_writer_u8(&plain, packet->sequence);
    fwr_writer_u8(&plain, packet->command);
    fwr_writer_bytes(&plain, packet->data, packet->length);
    fwr_writer_u8(&plain, checksum(bytes, plain.length));
    fwr_writer_init(&writer, frame, capacity);
    fwr_writer_u8(&writer, ICMB_START);
    for (size_t i = 0; i < plain.length; i++)
        put(&writer, bytes[i]);
    fwr_writer_u8(&writer, ICMB_STOP);
    return fwr_writer_finish(&writer);
}

/* ---- receiving ---- */

void fwr_icmb_receiver_init(struct fwr_icmb_receiver *receiver)
{
    receiver->state = ICMB_OUTSIDE;
    receiver->length = 0;
}

bool fwr_icmb_receiver_inside(const struct fwr_icmb_receiver *receiver)
{
    return receiver->state != ICMB_OUTSIDE;
}

static enum fwr_icmb_heard start(struct fwr_icmb_receiver *receiver)
{
    bool inside = fwr_icmb_receiver_inside(receiver);

    receiver->state = ICMB_INSIDE;
    receiver->length = 0;
    return inside ? FWR_ICMB_HEARD_RESTART : FWR_ICMB_HEARD_PART;
}

static enum fwr_icmb_heard finish(const struct fwr_icmb_receiver *receiver,
                                  struct fwr_icmb_packet *packet)
{
    struct fwr_reader reader;

    if (receiver->length < ICMB_HEADER + ICMB_CHECKSUM)
        return FWR_ICMB_HEARD_RUNT;
    if (checksum(receiver->bytes, receiver->length) != 0)
        return FWR_ICMB_HEARD_CHECKSUM;
    fwr_reader_init(&reader, receiver->bytes, receiver->length - ICMB_CHECKSUM);
    packet->destination = fwr_reader_u16(&reader);
    packet->source = fwr_reader_u16(&reader);
    packet->type = fwr_reader_u8(&reader);
    packet->sequence = fwr_reader_u8(&reader);
    packet->command = fwr_reader_u8(&reader);
    packet->length = (uint16_t)fwr_reader_left(&reader);
    fwr_reader_copy(&reader, packet->data, packet->length);
    if (packet->type != ICMB_TYPE_REQUEST && packet->type != ICMB_TYPE_RESPONSE)
        return FWR_ICMB_HEARD_TYPE;
    return FWR_ICMB_HEARD_PACKET;
}

/* The character that an escape and this one stand for; 0 when there is none. */
static uint8_t unescaped(uint8_t character)
{
    uint8_t plain = (uint8_t)(character - ICMB_ESCAPED(0));

    return is_special(plain) ? plain : 0;
}

static enum fwr_icmb_heard skip(struct fwr_icmb_receiver *receiver, enum fwr_icmb_heard why)
{
    receiver->state = ICMB_SKIPPING;
    return why;
}

enum fwr_icmb_heard fwr_icmb_receiver_take(struct fwr_icmb_receiver *receiver, uint8_t character,
                                           struct fwr_icmb_packet *packet)
{
    bool escaping = receiver->state == ICMB_ESCAPING;

    if (character == ICMB_START)
        return start(receiver);
    if (receiver->state == ICMB_OUTSIDE)
        return FWR_ICMB_HEARD_NOISE;
    if (character == ICMB_STOP) {
        enum fwr_icmb_heard heard = FWR_ICMB_HEARD_PART;

        if (escaping)
            heard = FWR_ICMB_HEARD_ESCAPE;
        else if (receiver->state == ICMB_INSIDE)
            heard = finish(receiver, packet);
        receiver->state = ICMB_OUTSIDE;
        return heard;
    }
    if (receiver->state == ICMB_SKIPPING)
        return FWR_ICMB_HEARD_PART;
    if (escaping) {
        character = unescaped(character);
        if (character == 0)
            return skip(receiver, FWR_ICMB_HEARD_ESCAPE);
    } else if (character == ICMB_ESCAPE) {
        receiver->state = ICMB_ESCAPING;
        return FWR_ICMB_HEARD_PART;
    }
    if (receiver->length >= sizeof(receiver->bytes))
        return skip(receiver, FWR_ICMB_HEARD_OVERLONG);
    receiver->bytes[receiver->length++] = character;
    receiver->state = ICMB_INSIDE;
    return FWR_ICMB_HEARD_PART;
}
