/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs: blocks made smaller for slow roads, one at a time and from memory of the caller's. Used
 * by the donor (to make a stream) and the recipient (to take one apart). What comes out is
 * trusted no more than what came in: it still has to hash.
 */
#ifndef FWR_LIB_ENGINE_CODEC_H
#define FWR_LIB_ENGINE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/command.h>

/* The codecs of this build, bit n for enum fwr_codec value n; FWR_CODEC_NONE is always there. */
uint8_t fwr_codec_known(void);

/* Bytes of working memory for fwr_codec_make; 0 where there are no codecs. */
size_t fwr_codec_storage(void);

/* Makes the stream of a block (doc/WIRE.md section 5.6): its length as u16, then that many coded
 * bytes, or the block itself where coding does not make it smaller. `stream` takes length + 2
 * bytes. The stream's length, or FWR_E_UNSUPPORTED. */
int fwr_codec_make(uint8_t codec, void *memory, const uint8_t *block, uint32_t length,
                   uint8_t *stream);

/* Takes coded bytes (a stream without its length) apart into exactly `length` bytes. FWR_OK, or
 * FWR_E_MALFORMED. */
int fwr_codec_take(uint8_t codec, const uint8_t *coded, size_t coded_length, uint8_t *block,
                   uint32_t length);

#endif
