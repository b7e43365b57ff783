/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs: see codec.h. LZ4's block format: liblz4 needs no heap and, to take apart, no memory. */
#include "engine/codec.h"

#include <config.h>

#include <string.h>

#include <fwrecover/error.h>

#if FWR_LZ4
#include <lz4.h>
#include <lz4hc.h>
#endif

uint8_t fwr_codec_known(void)
{
    return 1 << FWR_CODEC_NONE | (FWR_LZ4 ? 1 << FWR_CODEC_LZ4 : 0);
}

#if FWR_LZ4
size_t fwr_codec_storage(void)
{
    return (size_t)LZ4_sizeofStateHC();
}

int fwr_codec_make(uint8_t codec, void *memory, const uint8_t *block, uint32_t length,
                   uint8_t *stream)
{
    int made;

    if (codec != FWR_CODEC_LZ4)
        return FWR_E_UNSUPPORTED;
    made = LZ4_compress_HC_extStateHC(memory, (const char *)block, (char *)stream + 2, (int)length,
                                      (int)length - 3, LZ4HC_CLEVEL_MAX);
    if (made <= 0) { /* not smaller */
        made = (int)length;
        memcpy(stream + 2, block, length);
    }
    stream[0] = (uint8_t)made;
    stream[1] = (uint8_t)(made >> 8);
    return made + 2;
}

int fwr_codec_take(uint8_t codec, const uint8_t *coded, size_t coded_length, uint8_t *block,
                   uint32_t length)
{
    if (codec != FWR_CODEC_LZ4 || coded_length > length)
        return FWR_E_MALFORMED;
    int got =
        LZ4_decompress_safe((const char *)coded, (char *)block, (int)coded_length, (int)length);
    return got == (int)length ? FWR_OK : FWR_E_MALFORMED;
}
#else
size_t fwr_codec_storage(void)
{
    return 0;
}

int fwr_codec_make(uint8_t codec, void *memory, const uint8_t *block, uint32_t length,
                   uint8_t *stream)
{
    (void)codec, (void)memory, (void)block, (void)length, (void)stream;
    return FWR_E_UNSUPPORTED;
}

int fwr_codec_take(uint8_t codec, const uint8_t *coded, size_t coded_length, uint8_t *block,
                   uint32_t length)
{
    (void)codec, (void)coded, (void)coded_length, (void)block, (void)length;
    return FWR_E_MALFORMED;
}
#endif
