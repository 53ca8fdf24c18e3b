/* Conversions. Numbers of 8 and 16 bits lie in the lower part of their places, with zeros above. */
#include "ptx_operations.h"
#include "ptx_units.h"

#include <math.h>
#include <string.h>

/* An f32 as an integer: rounded already, cut to its range, NaN as 0. */
static inline int64_t to_signed(double x, int64_t least, int64_t most)
{
    return x != x ? 0 : x <= (double)least ? least : x >= (double)most ? most : (int64_t)x;
}
static inline uint64_t to_unsigned(double x, uint64_t most)
{
    return x != x || x <= 0.0 ? 0 : x >= (double)most ? most : (uint64_t)x;
}

/* The upper half of an f32, rounded to nearest, ties to even; NaN stays one. */
static inline uint32_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* An f16, rounded in the same way; what would come beyond 65504 is infinite. */
static inline uint32_t to_f16(float x)
{
    const float size = fabsf(x);
    uint32_t bits;
    memcpy(&bits, &size, sizeof bits);
    const uint32_t sign = signbit(x) ? 0x8000u : 0;
    if (x != x) {
        return 0x7fffu;
    }
    if (size >= 65520.0f) {
        return sign | 0x7c00u;
    }
    if (size < 0x1p-14f) { /* subnormal: so many steps of 2^-24 */
        return sign | (uint32_t)rintf(size * 0x1p24f);
    }
    /* The exponent counts from -15 instead of -127. */
    return sign | (bits - (112u << 23) + 0xfffu + (bits >> 13 & 1u)) >> 13;
}

UNARY(u32_u16, uint32_t, uint32_t, uint16_t, x)
UNARY(u32_s16, uint32_t, uint32_t, int16_t, (int32_t)x)
UNARY(u32_s8, uint32_t, uint32_t, int8_t, (int32_t)x)
UNARY(u32_u8, uint32_t, uint32_t, uint8_t, x)
UNARY(u16_s8, uint32_t, uint32_t, int8_t, (uint16_t)x)
UNARY(u32_u64, uint32_t, uint64_t, uint32_t, x)
UNARY(u16_u64, uint32_t, uint64_t, uint16_t, x)
UNARY(u8_u64, uint32_t, uint64_t, uint8_t, x)
UNARY(u64_u32, uint64_t, uint32_t, uint32_t, x)
UNARY(u64_s32, uint64_t, int32_t, int32_t, (int64_t)x)
/* Of a register of 64 bits that holds a narrower number. */
UNARY(u64_low_u32, uint64_t, uint64_t, uint32_t, x)
UNARY(u64_low_s32, uint64_t, uint64_t, int32_t, (int64_t)x)
UNARY(u64_low_u16, uint64_t, uint64_t, uint16_t, x)
UNARY(u64_low_s16, uint64_t, uint64_t, int16_t, (int64_t)x)
UNARY(u64_low_u8, uint64_t, uint64_t, uint8_t, x)
UNARY(u64_low_s8, uint64_t, uint64_t, int8_t, (int64_t)x)
UNARY(u64_u16, uint64_t, uint32_t, uint16_t, x)
UNARY(u64_s16, uint64_t, uint32_t, int16_t, (int64_t)x)
UNARY(u64_u8, uint64_t, uint32_t, uint8_t, x)
UNARY(u64_s8, uint64_t, uint32_t, int8_t, (int64_t)x)
UNARY(f32_u16, float, uint32_t, uint16_t, x)
UNARY(f32_s16, float, uint32_t, int16_t, x)
UNARY(f32_u32, float, uint32_t, uint32_t, x)
UNARY(f32_s32, float, int32_t, int32_t, x)
UNARY(f32_u64, float, uint64_t, uint64_t, x)
UNARY(f32_s64, float, int64_t, int64_t, x)
UNARY(f64_u32, double, uint32_t, uint32_t, x)
UNARY(f64_s32, double, int32_t, int32_t, x)
UNARY(f64_f32, double, float, float, x)
UNARY(f32_f64, float, double, double, x)
UNARY(s32_f32_zero, uint32_t, float, float, (uint32_t)to_signed(truncf(x), INT32_MIN, INT32_MAX))
UNARY(s32_f32_near, uint32_t, float, float, (uint32_t)to_signed(rintf(x), INT32_MIN, INT32_MAX))
UNARY(s32_f32_down, uint32_t, float, float, (uint32_t)to_signed(floorf(x), INT32_MIN, INT32_MAX))
UNARY(u32_f32_zero, uint32_t, float, float, to_unsigned(truncf(x), UINT32_MAX))
UNARY(s64_f32_zero, uint64_t, float, float, (uint64_t)to_signed(truncf(x), INT64_MIN, INT64_MAX))
UNARY(u64_f32_zero, uint64_t, float, float, to_unsigned(truncf(x), UINT64_MAX))
UNARY(u16_f32_zero, uint32_t, float, float, to_unsigned(truncf(x), UINT16_MAX))
UNARY(f32_up, float, float, float, ceilf(x))
UNARY(f32_down, float, float, float, floorf(x))
UNARY(f32_zero, float, float, float, truncf(x))
UNARY(f32_near, float, float, float, rintf(x))
BINARY(pair_of_bf16, uint32_t, float, float, to_bf16(x) << 16 | to_bf16(y))
BINARY(pair_of_f16, uint32_t, float, float, to_f16(x) << 16 | to_f16(y))
UNARY(f16_f32, uint32_t, float, float, to_f16(x))
UNARY(f32_f16, float, uint32_t, uint16_t, ptx_half_value(PTX_F16, x))

const ptx_operation ptx_convert_operations[] = {
    {"cvt.u32.u16", "44", u32_u16},
    {"cvt.s32.u16", "44", u32_u16},
    {"cvt.u32.s16", "44", u32_s16},
    {"cvt.s32.s16", "44", u32_s16},
    {"cvt.s32.s8", "44", u32_s8},
    {"cvt.u32.s8", "44", u32_s8},
    {"cvt.u32.u8", "44", u32_u8},
    {"cvt.s16.s8", "44", u16_s8},
    {"cvt.u16.u8", "44", u32_u8},
    {"cvt.u16.u32", "44", u32_u16},
    {"cvt.u8.u32", "44", u32_u8},
    {"cvt.u8.u16", "44", u32_u8},
    {"cvt.u32.u64", "48", u32_u64},
    {"cvt.u16.u64", "48", u16_u64},
    {"cvt.u8.u64", "48", u8_u64},
    {"cvt.u64.u32", "84", u64_u32},
    {"cvt.s64.s32", "84", u64_s32},
    {"cvt.u64.u16", "84", u64_u16},
    {"cvt.s64.s16", "84", u64_s16},
    {"cvt.u64.u8", "84", u64_u8},
    {"cvt.s64.s8", "84", u64_s8},
    {"cvt.u64.u32", "88", u64_low_u32},
    {"cvt.s64.s32", "88", u64_low_s32},
    {"cvt.u64.u16", "88", u64_low_u16},
    {"cvt.s64.s16", "88", u64_low_s16},
    {"cvt.u64.u8", "88", u64_low_u8},
    {"cvt.s64.s8", "88", u64_low_s8},
    {"cvt.rn.f32.u16", "44", f32_u16},
    {"cvt.rn.f32.s16", "44", f32_s16},
    {"cvt.rn.f32.u32", "44", f32_u32},
    {"cvt.rn.f32.s32", "44", f32_s32},
    {"cvt.rn.f32.u64", "48", f32_u64},
    {"cvt.rn.f32.s64", "48", f32_s64},
    {"cvt.rn.f64.u32", "84", f64_u32},
    {"cvt.rn.f64.s32", "84", f64_s32},
    {"cvt.f64.f32", "84", f64_f32},
    {"cvt.rn.f32.f64", "48", f32_f64},
    {"cvt.rzi.s32.f32", "44", s32_f32_zero},
    {"cvt.rni.s32.f32", "44", s32_f32_near},
    {"cvt.rmi.s32.f32", "44", s32_f32_down},
    {"cvt.rzi.u32.f32", "44", u32_f32_zero},
    {"cvt.rzi.s64.f32", "84", s64_f32_zero},
    {"cvt.rzi.u64.f32", "84", u64_f32_zero},
    {"cvt.rzi.u16.f32", "44", u16_f32_zero},
    {"cvt.rpi.f32.f32", "44", f32_up},
    {"cvt.rmi.f32.f32", "44", f32_down},
    {"cvt.rzi.f32.f32", "44", f32_zero},
    {"cvt.rni.f32.f32", "44", f32_near},
    {"cvt.rn.bf16x2.f32", "444", pair_of_bf16},
    {"cvt.rn.f16x2.f32", "444", pair_of_f16},
    {"cvt.rn.f16.f32", "44", f16_f32},
    {"cvt.f32.f16", "44", f32_f16},
    {NULL, NULL, NULL},
};
