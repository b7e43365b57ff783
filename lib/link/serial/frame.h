/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding messages in a stream of bytes, and writing them into one: Basic Mode (basic.c) and
 * Terminal Mode (terminal.c). Called by responder and road; decides nothing about messages.
 */
#ifndef FWR_LINK_SERIAL_FRAME_H
#define FWR_LINK_SERIAL_FRAME_H

#include <fwrecover/serial.h>

#include "link/rmcp/packet.h"

/* Basic Mode's characters. */
#define FWR_BASIC_START     0xa0
#define FWR_BASIC_STOP      0xa5
#define FWR_BASIC_HANDSHAKE 0xa6
#define FWR_BASIC_ESCAPE    0xaa

/* Terminal Mode: two digits and a space for each byte, and as much room for line editing. */
#define FWR_TERMINAL_TEXT_MAX (3 * FWR_SERIAL_MESSAGE_MAX)

/* What a byte brought. */
enum fwr_frame_event {
    FWR_FRAME_NONE,
    FWR_FRAME_MESSAGE,   /* decoder->message */
    FWR_FRAME_BAD,       /* a frame ended that is no message (counted); decoder->code */
    FWR_FRAME_HANDSHAKE, /* Basic Mode: the peer is ready for the next packet */
    FWR_FRAME_COMMAND,   /* Terminal Mode: a text command: decoder->bytes, decoder->length */
};

struct fwr_frame_decoder {
    uint8_t mode; /* enum fwr_serial_mode */
    enum { FWR_FRAME_OUTSIDE, FWR_FRAME_INSIDE, FWR_FRAME_ESCAPED, FWR_FRAME_ENDED } state;
    uint8_t code; /* Terminal Mode: completion code that tells what is wrong with a frame */
    uint8_t last; /* Terminal Mode: the character before this one */
    size_t length;
    struct fwr_rmcp_message message; /* its data lie in `bytes`, until the next byte */
    struct fwr_serial_counters *counters;
    uint8_t bytes[FWR_TERMINAL_TEXT_MAX];
};

void fwr_frame_decoder_init(struct fwr_frame_decoder *decoder, enum fwr_serial_mode mode,
                            struct fwr_serial_counters *counters);

/* Forgets what is half received. */
void fwr_frame_decoder_reset(struct fwr_frame_decoder *decoder);

enum fwr_frame_event fwr_frame_decoder_byte(struct fwr_frame_decoder *decoder, uint8_t byte);

/* Writes the message as a frame and returns its length: at most FWR_SERIAL_FRAME_MAX, if the
 * message is not longer than FWR_SERIAL_MESSAGE_MAX, which the caller has checked. */
size_t fwr_frame_encode(enum fwr_serial_mode mode, const struct fwr_rmcp_message *message,
                        uint8_t frame[FWR_SERIAL_FRAME_MAX]);

/* The two modes; called through the functions above. */
enum fwr_frame_event fwr_basic_byte(struct fwr_frame_decoder *decoder, uint8_t byte);
size_t fwr_basic_encode(const struct fwr_rmcp_message *message, uint8_t *frame);
enum fwr_frame_event fwr_terminal_byte(struct fwr_frame_decoder *decoder, uint8_t byte);
size_t fwr_terminal_encode(const struct fwr_rmcp_message *message, uint8_t *frame);

#endif
