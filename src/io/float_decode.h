/* Decoding of the two 16-bit float types that files hold. */
#ifndef TTM_IO_FLOAT_DECODE_H
#define TTM_IO_FLOAT_DECODE_H

#include <stdint.h>
#include <string.h>

static inline float ttm_float_from_bits(uint32_t bits)
{
    float value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/** bfloat16 is the upper half of a binary32. */
static inline float ttm_decode_bf16(uint16_t stored)
{
    return ttm_float_from_bits((uint32_t)stored << 16);
}

/** IEEE 754 binary16. Exact for every value, subnormals included; NaNs keep their payload's upper
 * bits. */
static inline float ttm_decode_f16(uint16_t stored)
{
    uint32_t sign = (uint32_t)(stored & 0x8000u) << 16;
    uint32_t magnitude = stored & 0x7FFFu;
    if (magnitude >= 0x7C00u) {
        return ttm_float_from_bits(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
    }
    if (magnitude >= 0x0400u) {
        return ttm_float_from_bits(sign | ((magnitude << 13) + (112u << 23)));
    }
    float value = (float)magnitude * 0x1p-24f; /* subnormal: magnitude · 2^-24 */
    return sign != 0 ? -value : value;
}

#endif
