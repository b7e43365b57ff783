/* SPDX-License-Identifier: Apache-2.0 */
/* What both modes share: see frame.h. */
#include "link/serial/frame.h"

#include <string.h>

#define BASIC_REQUEST    FWR_RMCP_MESSAGE_OVERHEAD
#define BASIC_REPLY      (FWR_RMCP_MESSAGE_OVERHEAD + 1)
#define TERMINAL_REQUEST 3
#define TERMINAL_REPLY   4

const char *fwr_serial_mode_name(enum fwr_serial_mode mode)
{
    switch (mode) {
    case FWR_SERIAL_BASIC:
        return "basic";
    case FWR_SERIAL_TERMINAL:
        return "terminal";
    }
    return "unknown";
}

static size_t without(size_t message, size_t overhead)
{
    return message > overhead ? message - overhead : 0;
}

size_t fwr_serial_max_request(enum fwr_serial_mode mode, size_t message)
{
    return without(message, mode == FWR_SERIAL_TERMINAL ? TERMINAL_REQUEST : BASIC_REQUEST);
}

size_t fwr_serial_max_reply(enum fwr_serial_mode mode, size_t message)
{
    return without(message, mode == FWR_SERIAL_TERMINAL ? TERMINAL_REPLY : BASIC_REPLY);
}

void fwr_frame_decoder_init(struct fwr_frame_decoder *decoder, enum fwr_serial_mode mode,
                            struct fwr_serial_counters *counters)
{
    memset(decoder, 0, sizeof(*decoder));
    decoder->mode = (uint8_t)mode;
    decoder->counters = counters;
}

void fwr_frame_decoder_reset(struct fwr_frame_decoder *decoder)
{
    decoder->state = FWR_FRAME_OUTSIDE;
    decoder->length = 0;
}

enum fwr_frame_event fwr_frame_decoder_byte(struct fwr_frame_decoder *decoder, uint8_t byte)
{
    return decoder->mode == FWR_SERIAL_TERMINAL ? fwr_terminal_byte(decoder, byte)
                                                : fwr_basic_byte(decoder, byte);
}

size_t fwr_frame_encode(enum fwr_serial_mode mode, const struct fwr_rmcp_message *message,
                        uint8_t frame[FWR_SERIAL_FRAME_MAX])
{
    return mode == FWR_SERIAL_TERMINAL ? fwr_terminal_encode(message, frame)
                                       : fwr_basic_encode(message, frame);
}
