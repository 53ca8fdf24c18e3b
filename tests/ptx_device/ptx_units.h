/* The arithmetic of matrix units. */
#ifndef TESTS_PTX_DEVICE_PTX_UNITS_H
#define TESTS_PTX_DEVICE_PTX_UNITS_H

#include <stdint.h>

enum { PTX_UNIT_DEPTH = 8 };

/* sum + Σ a·b of eight numbers each, as badly as units are known to add: all nine are aligned to
 * the largest, what lies below its last bit is cut off, and so is the sum. (Fasi, Higham, Mikaitis
 * and Pranesh, Numerical behavior of NVIDIA tensor cores, 2021.) */
float ptx_add_products(float sum, const float *a, const float *b);

static inline float ptx_bf16_value(uint16_t bits)
{
    union {
        uint32_t bits;
        float value;
    } wide = {.bits = (uint32_t)bits << 16};
    return wide.value;
}

#endif
