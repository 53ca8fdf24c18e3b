/* Conversions between binary32/binary64 and the two 16-bit float types, bf16 and f16.
 *
 * Every conversion rounds once, to nearest with ties to even, whatever it starts from; overflow
 * gives an infinity, subnormals are kept, and a NaN stays a (quiet) NaN. Plain integer code: a
 * backend with F16C or AVX512-BF16 replaces these inside its own loops and gets the same bits. */
#ifndef TTM_COMMON_FLOAT_FORMATS_H
#define TTM_COMMON_FLOAT_FORMATS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/** Rounds to binary32 so that rounding the result again to a shorter format is as good as rounding
 * `value` once: inexact results get an odd last bit ("round to odd"). */
static inline float float_from_double_odd(double value)
{
    const float nearest = (float)value;
    if ((double)nearest == value || value != value) {
        return nearest;
    }
    uint32_t bits = float_bits(nearest);
    const double magnitude = value < 0 ? -value : value;
    if ((double)float_of_bits(bits & 0x7fffffffu) > magnitude) {
        bits -= 1; /* one step towards zero; from infinity to the largest finite number */
    }
    return float_of_bits(bits | 1u);
}

static inline float bf16_to_float(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

static inline uint16_t bf16_from_float(float value)
{
    const uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((bits >> 16) | 0x0040u); /* a NaN whose payload might be cut to 0 */
    }
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline uint16_t bf16_from_double(double value)
{
    return bf16_from_float(float_from_double_odd(value));
}

static inline float f16_to_float(uint16_t value)
{
    const uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    const uint32_t exponent = (value >> 10) & 0x1fu;
    const uint32_t mantissa = value & 0x3ffu;
    if (exponent == 0) { /* zero or subnormal: a whole number of 2^-24 */
        const float magnitude = (float)mantissa * 0x1p-24F;
        return float_of_bits(sign | float_bits(magnitude));
    }
    if (exponent == 0x1f) {
        return float_of_bits(sign | 0x7f800000u | (mantissa << 13));
    }
    return float_of_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

static inline uint16_t f16_from_float(float value)
{
    const uint32_t bits = float_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
    }
    if (magnitude >= 0x477ff000u) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: one ulp of 0.5 is one ulp of an f16 subnormal */
        const float shifted = float_of_bits(magnitude) + 0.5F;
        return (uint16_t)(sign | (float_bits(shifted) - 0x3f000000u));
    }
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

static inline uint16_t f16_from_double(double value)
{
    return f16_from_float(float_from_double_odd(value));
}

#endif
