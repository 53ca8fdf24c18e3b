/* The arithmetic of matrix units. */
#ifndef TESTS_PTX_DEVICE_PTX_UNITS_H
#define TESTS_PTX_DEVICE_PTX_UNITS_H

#include "ptx_reader.h"

enum { PTX_UNIT_DEPTH = 8 };

/* sum + Σ a·b of eight numbers each, as badly as units are known to add: all nine are aligned to
 * the largest, what lies below its last bit is cut off, and so is the sum. (Fasi, Higham, Mikaitis
 * and Pranesh, Numerical behavior of NVIDIA tensor cores, 2021.) */
float ptx_add_products(float sum, const float *a, const float *b);

/* What the 16 bits of an operand are. */
typedef enum ptx_half { PTX_BF16, PTX_F16 } ptx_half;

/* The f32 that is the same number: each bf16 and each f16 is one. */
static inline float ptx_half_value(ptx_half type, uint16_t half)
{
    const uint32_t bits = half;
    union {
        uint32_t bits;
        float value;
    } wide = {.bits = bits << 16};
    if (type == PTX_F16) {
        const int is_finite = (bits & 0x7c00u) != 0x7c00u;
        wide.bits = (bits & 0x8000u) << 16 | (bits & 0x7fffu) << 13;
        wide.bits |= is_finite ? 0 : 0x7f800000u;
        /* The exponent counts from -15 instead of -127; subnormal numbers come right, too. */
        wide.value = is_finite ? wide.value * 0x1p112f : wide.value;
    }
    return wide.value;
}

/* A register's two, the lower half first. */
static inline void ptx_half_pair(ptx_half type, uint32_t pair, float two[2])
{
    two[0] = ptx_half_value(type, (uint16_t)pair);
    two[1] = ptx_half_value(type, (uint16_t)(pair >> 16));
}

/* Takes ".bf16.bf16" or ".f16.f16", a's type and b's, off the beginning of what is left of a name.
 */
int ptx_take_halves(ptx_span *rest, ptx_half *type);

#endif
