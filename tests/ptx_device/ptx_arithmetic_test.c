/* The interpreter's arithmetic, above all what kernels hardly use, against plain C. */
#include "ptx_try.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 64 };

/* What an instruction leaves: %r20, %f20, %rd20 or %fd20. */
typedef enum { WORD, FLOAT, LONG, DOUBLE } kind;

/* An item's operands: %r10, %r11, %r12 are x, y and z; %rd10 is w and x, %rd11 is z and y, the
 * upper half first. %f10, %f11, %fd10 and %fd11 are the same bits. */
typedef struct operands {
    uint32_t x, y, z, w;
} operands;

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* All NaNs are one. */
static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fc00000u : bits;
}

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? (uint64_t)0x7ff8 << 48 : bits;
}

/* Random, but for NaN, -2^32, 0, equal ones, the least number and -1. */
static void choose_operands(operands in[ITEMS])
{
    for (int i = 0; i < ITEMS; i++) {
        in[i] = (operands){random_word(), random_word() >> i % 32, random_word() >> i % 32,
                           random_word()};
    }
    for (int i = 0; i < ITEMS; i += 8) {
        in[i].x = 0x7fc00000u;
        in[i].w = 0x7ff80000u;
        in[i + 1].x = 0xcf800000u;
        in[i + 2].y = in[i + 2].z = 0;
        in[i + 3].y = in[i + 3].x;
        in[i + 3].z = in[i + 3].w;
        in[i + 4] = (operands){.x = 0x80000000u, .y = UINT32_MAX, .z = UINT32_MAX, .w = 1};
        in[i + 5] = (operands){.x = 0, .y = UINT32_MAX, .z = UINT32_MAX, .w = 0x80000000u};
        in[i + 6].x %= 200;
    }
}

static void compute(kind result, const char *instruction, const operands in[ITEMS],
                    uint64_t out[ITEMS])
{
    static const char *const ends[] = {[WORD] = "st.global.u32 [%rd4], %r20;",
                                       [FLOAT] = "st.global.f32 [%rd4], %f20;",
                                       [LONG] = "st.global.u64 [%rd4], %rd20;",
                                       [DOUBLE] = "st.global.f64 [%rd4], %fd20;"};
    char body[1000];
    for (int item = 0; item < ITEMS; item++) {
        memcpy(&words[4 * item], &in[item], sizeof in[item]);
    }
    snprintf(body, sizeof body,
             "shl.b32 %%r9, %%r1, 4; cvt.u64.u32 %%rd4, %%r9; add.s64 %%rd4, %%rd1, %%rd4;"
             "ld.global.v4.u32 {%%r10, %%r11, %%r12, %%r13}, [%%rd4];"
             "mov.b64 %%rd10, {%%r10, %%r13}; mov.b64 %%rd11, {%%r11, %%r12};"
             "mov.b32 %%f10, %%r10; mov.b32 %%f11, %%r11; mov.b32 %%f12, %%r12;"
             "mov.b64 %%fd10, %%rd10; mov.b64 %%fd11, %%rd11; %s %s",
             instruction, ends[result]);
    passes(body);
    for (int item = 0; item < ITEMS; item++) {
        const uint32_t *at = &words[4 * item];
        const uint64_t both = (uint64_t)at[1] << 32 | at[0];
        out[item] = result == WORD     ? at[0]
                    : result == FLOAT  ? bits_of(float_of(at[0]))
                    : result == DOUBLE ? bits_of_double(double_of(both))
                                       : both;
    }
}

/* Asserts that the instruction gives `expected` of the item's operands, which has the type `type`.
 */
#define EVERY(result, type, instruction, expected)                                               \
    {                                                                                            \
        operands in[ITEMS];                                                                      \
        uint64_t out[ITEMS];                                                                     \
        choose_operands(in);                                                                     \
        compute(result, instruction, in, out);                                                   \
        for (int i = 0; i < ITEMS; i++) {                                                        \
            const uint32_t x = in[i].x, y = in[i].y, z = in[i].z;                                \
            const uint64_t wide_x = (uint64_t)in[i].w << 32 | x, wide_y = (uint64_t)z << 32 | y; \
            const float fx = float_of(x), fy = float_of(y);                                      \
            const double dx = double_of(wide_x), dy = double_of(wide_y);                         \
            (void)x, (void)y, (void)z, (void)wide_x, (void)wide_y;                               \
            (void)fx, (void)fy, (void)dx, (void)dy;                                              \
            const type right = (type)(expected);                                                 \
            if (out[i] != right) {                                                               \
                fail_msg("%s: 0x%llx instead of 0x%llx of 0x%llx, 0x%llx", instruction,          \
                         (unsigned long long)out[i], (unsigned long long)right,                  \
                         (unsigned long long)wide_x, (unsigned long long)wide_y);                \
            }                                                                                    \
        }                                                                                        \
    }
#define EACH(instruction, expected)       EVERY(WORD, uint32_t, instruction, expected)
#define EACH_FLOAT(instruction, expected) EVERY(FLOAT, uint32_t, instruction, bits_of(expected))
#define EACH_LONG(instruction, expected)  EVERY(LONG, uint64_t, instruction, expected)
#define EACH_DOUBLE(instruction, expected) \
    EVERY(DOUBLE, uint64_t, instruction, bits_of_double(expected))

static void integers_are_those_of_c(void **state)
{
    (void)state;
    EACH("mul.hi.u32 %r20, %r10, %r11;", (uint64_t)x * y >> 32)
    EACH("mul.hi.s32 %r20, %r10, %r11;", ((int64_t)(int32_t)x * (int32_t)y) >> 32)
    EACH("mul.wide.s32 %rd5, %r10, %r11; shr.u64 %rd5, %rd5, 16; cvt.u32.u64 %r20, %rd5;",
         (uint64_t)((int64_t)(int32_t)x * (int32_t)y) >> 16)
    EACH("div.u32 %r20, %r10, %r11;", y == 0 ? UINT32_MAX : x / y)
    EACH("div.s32 %r20, %r10, %r11;", (int32_t)y == 0 ? -1 : (int64_t)(int32_t)x / (int32_t)y)
    EACH("rem.s32 %r20, %r10, %r11;", (int32_t)y == 0 ? -1 : (int64_t)(int32_t)x % (int32_t)y)
    EACH("ld.global.s8 %r20, [%rd4+1];", (int8_t)(x >> 8))
    EACH("and.b32 %r11, %r11, 63; shl.b32 %r20, %r10, %r11;", (y & 63) > 31 ? 0 : x << (y & 31))
    EACH("and.b32 %r11, %r11, 63; shr.s32 %r20, %r10, %r11;",
         (int32_t)x >> ((y & 63) > 31 ? 31 : (y & 31)))
    EACH("and.b32 %r11, %r11, 31; and.b32 %r12, %r12, 31; bfe.u32 %r20, %r10, %r11, %r12;",
         x >> (y & 31) & ((1u << (z & 31)) - 1))
    EACH("shf.l.wrap.b32 %r20, %r10, %r11, %r12;", ((uint64_t)y << 32 | x) << (z & 31) >> 32)
    EACH("shf.r.wrap.b32 %r20, %r10, %r11, %r12;", ((uint64_t)y << 32 | x) >> (z & 31))
    EACH("prmt.b32 %r20, %r10, %r11, 0x6543;", ((uint64_t)y << 32 | x) >> 24)
    EACH("prmt.b32 %r20, %r10, %r11, 0xba98;", (x >> 7 & 1) * 255u | (x >> 15 & 1) * 0xff00u |
                                                   (x >> 23 & 1) * 0xff0000u |
                                                   (x >> 31) * 0xff000000u)
    EACH("and.b32 %r12, %r12, 63; bfe.u32 %r20, %r10, 5, %r12;",
         x >> 5 & ((z & 63) > 31 ? UINT32_MAX : (1u << (z & 63)) - 1))
    EACH("mul.wide.u32 %rd5, %r10, %r11; shr.u64 %rd5, %rd5, 9; cvt.u32.u64 %r20, %rd5;",
         (uint64_t)x * y >> 9)
    EACH("rem.u32 %r20, %r10, %r11;", y == 0 ? UINT32_MAX : x % y)
    EACH("cvt.u16.u32 %rs1, %r10; cvt.s32.s16 %r20, %rs1;", (int16_t)x)
    EACH("setp.lt.s32 %p5, %r10, %r11; selp.b32 %r20, %r10, %r11, %p5;",
         (int32_t)x < (int32_t)y ? x : y)
    EACH("mov.b64 %rd5, {%r10, %r11}; mov.b64 {%r13, %r20}, %rd5;", y)
}

/* By the ISA's own loop over bits. */
static uint32_t bit_field(uint32_t a, uint32_t first, uint32_t count)
{
    uint32_t d = 0;
    for (uint32_t i = 0; i <= 31; i++) {
        const uint32_t bit = i < count && first + i <= 31 ? a >> (first + i) & 1 : 0;
        d |= bit << i;
    }
    return d;
}

static uint32_t permuted(uint32_t a, uint32_t b, uint32_t selection)
{
    uint8_t bytes[8];
    memcpy(bytes, &a, 4);
    memcpy(bytes + 4, &b, 4);
    uint8_t chosen[4];
    for (int i = 0; i < 4; i++) {
        const uint32_t s = selection / (1u << 4 * i) % 16;
        chosen[i] = s < 8 ? bytes[s] : (int8_t)bytes[s - 8] < 0 ? 255 : 0;
    }
    uint32_t result;
    memcpy(&result, chosen, 4);
    return result;
}

static int count_bits(uint32_t x)
{
    int count = 0;
    for (; x != 0; x &= x - 1) {
        count++;
    }
    return count;
}

static int leading_zeros(uint32_t x)
{
    int count = 0;
    for (uint32_t bit = 1u << 31; bit != 0 && !(x & bit); bit >>= 1) {
        count++;
    }
    return count;
}

static void words_are_those_of_c(void **state)
{
    (void)state;
    EACH("add.s32 %r20, %r10, %r11;", x + y)
    EACH("sub.s32 %r20, %r10, %r11;", x - y)
    EACH("mul.lo.s32 %r20, %r10, %r11;", x * y)
    EACH("mad.lo.s32 %r20, %r10, %r11, %r12;", x * y + z)
    EACH("min.s32 %r20, %r10, %r11;", (int32_t)x < (int32_t)y ? x : y)
    EACH("max.s32 %r20, %r10, %r11;", (int32_t)x > (int32_t)y ? x : y)
    EACH("min.u32 %r20, %r10, %r11;", x < y ? x : y)
    EACH("max.u32 %r20, %r10, %r11;", x > y ? x : y)
    EACH("xor.b32 %r20, %r10, %r11; not.b32 %r20, %r20;", ~(x ^ y))
    EACH("neg.s32 %r20, %r10;", 0 - x)
    EACH("abs.s32 %r20, %r10;", (int32_t)x < 0 ? 0 - x : x)
    EACH("popc.b32 %r20, %r12;", count_bits(z))
    EACH("clz.b32 %r20, %r11;", leading_zeros(y))
    EACH("shl.b32 %r20, %r10, %r12;", z > 31 ? 0 : x << z)
    EACH("shr.u32 %r20, %r10, %r12;", z > 31 ? 0 : x >> z)
    EACH("shr.s32 %r20, %r10, %r12;", (int64_t)(int32_t)x >> (z > 31 ? 31 : z))
    EACH("and.b32 %r12, %r12, 63; shl.b32 %r20, %r10, %r12;", (uint64_t)x << (z & 63))
    EACH("bfe.u32 %r20, %r10, %r11, %r12;", bit_field(x, y & 255, z & 255))
    EACH("and.b32 %r11, %r11, 31; bfe.u32 %r20, %r10, %r11, %r12;", bit_field(x, y & 31, z & 255))
    EACH("prmt.b32 %r20, %r10, %r11, %r12;", permuted(x, y, z))
}

static void halves_are_those_of_c(void **state)
{
    (void)state;
#define HALVES(instruction) "cvt.u16.u32 %rs1, %r10; cvt.u16.u32 %rs2, %r11;" instruction
#define EXTEND              "cvt.u32.u16 %r20, %rs3;"
    EACH(HALVES("add.s16 %rs3, %rs1, %rs2;" EXTEND), (uint16_t)(x + y))
    EACH(HALVES("sub.s16 %rs3, %rs1, %rs2;" EXTEND), (uint16_t)(x - y))
    EACH(HALVES("mul.lo.s16 %rs3, %rs1, %rs2;" EXTEND), (uint16_t)(x * y))
    EACH(HALVES("mul.hi.u16 %rs3, %rs1, %rs2;" EXTEND), (x & 0xffff) * (y & 0xffff) >> 16)
    EACH(HALVES("mul.wide.u16 %r20, %rs1, %rs2;"), (x & 0xffff) * (y & 0xffff))
    EACH(HALVES("mul.wide.s16 %r20, %rs1, %rs2;"), (int16_t)x * (int16_t)y)
    EACH(HALVES("not.b16 %rs3, %rs1;" EXTEND), (uint16_t)~x)
    EACH(HALVES("shl.b16 %rs3, %rs1, %r12;" EXTEND), z > 15 ? 0 : (uint16_t)(x << z))
    EACH(HALVES("shr.u16 %rs3, %rs1, %r12;" EXTEND), z > 15 ? 0 : (uint16_t)x >> z)
    EACH(HALVES("shr.s16 %rs3, %rs1, %r12;" EXTEND), (uint16_t)((int16_t)x >> (z > 15 ? 15 : z)))
    EACH(HALVES("mov.b32 %r20, {%rs2, %rs1};"), x << 16 | (y & 0xffff))
    EACH("mov.b32 {%rs1, %rs2}, %r10; mov.b32 %r20, {%rs2, %rs1};", x << 16 | x >> 16)
    EACH("mov.b32 {_, %rs2}, %r10; cvt.s32.s16 %r20, %rs2;", (int16_t)(x >> 16))
    /* A half that was loaded with its sign counts as a half only. */
    EACH("ld.global.s8 %rs1, [%rd4]; mov.b32 %r20, {%rs1, %rs1};",
         (uint32_t)(uint16_t)(int8_t)x * 0x10001u)
    EACH("ld.global.s16 %rs1, [%rd4]; shr.u16 %rs3, %rs1, 1;" EXTEND, (x & 0xffff) >> 1)
    EACH("ld.global.s16 %rs1, [%rd4]; setp.gt.u16 %p5, %rs1, 5; selp.b32 %r20, 1, 0, %p5;",
         (x & 0xffff) > 5)
}

static void longs_are_those_of_c(void **state)
{
    (void)state;
    const int64_t least = INT64_MIN;
    EACH_LONG("add.s64 %rd20, %rd10, %rd11;", wide_x + wide_y)
    EACH_LONG("sub.s64 %rd20, %rd10, %rd11;", wide_x - wide_y)
    EACH_LONG("mul.lo.s64 %rd20, %rd10, %rd11;", wide_x * wide_y)
    EACH_LONG("mul.hi.u64 %rd20, %rd10, %rd11;", (unsigned __int128)wide_x * wide_y >> 64)
    EACH_LONG("mul.hi.s64 %rd20, %rd10, %rd11;", (__int128)(int64_t)wide_x * (int64_t)wide_y >> 64)
    EACH_LONG("mad.lo.s64 %rd20, %rd10, %rd11, %rd10;", wide_x * wide_y + wide_x)
    EACH_LONG("mul.wide.u32 %rd20, %r10, %r11;", (uint64_t)x * y)
    EACH_LONG("mul.wide.s32 %rd20, %r10, %r11;", (int64_t)(int32_t)x * (int32_t)y)
    EACH_LONG("mad.wide.u32 %rd20, %r10, %r11, %rd11;", (uint64_t)x * y + wide_y)
    EACH_LONG("mad.wide.s32 %rd20, %r10, %r11, %rd11;",
              (uint64_t)((int64_t)(int32_t)x * (int32_t)y) + wide_y)
    EACH_LONG("div.u64 %rd20, %rd10, %rd11;", wide_y == 0 ? UINT64_MAX : wide_x / wide_y)
    EACH_LONG("rem.u64 %rd20, %rd10, %rd11;", wide_y == 0 ? UINT64_MAX : wide_x % wide_y)
    EACH_LONG("div.s64 %rd20, %rd10, %rd11;", wide_y == 0 ? -1
                                              : (int64_t)wide_x == least && (int64_t)wide_y == -1
                                                  ? least
                                                  : (int64_t)wide_x / (int64_t)wide_y)
    EACH_LONG("rem.s64 %rd20, %rd10, %rd11;", wide_y == 0 ? -1
                                              : (int64_t)wide_y == -1
                                                  ? 0
                                                  : (int64_t)wide_x % (int64_t)wide_y)
    EACH_LONG("min.s64 %rd20, %rd10, %rd11;", (int64_t)wide_x < (int64_t)wide_y ? wide_x : wide_y)
    EACH_LONG("max.u64 %rd20, %rd10, %rd11;", wide_x > wide_y ? wide_x : wide_y)
    EACH_LONG("neg.s64 %rd20, %rd10; xor.b64 %rd20, %rd20, %rd11;", (0 - wide_x) ^ wide_y)
    EACH_LONG("shl.b64 %rd20, %rd10, %r12;", z > 63 ? 0 : wide_x << z)
    EACH_LONG("shr.u64 %rd20, %rd10, %r12;", z > 63 ? 0 : wide_x >> z)
    EACH_LONG("shr.s64 %rd20, %rd10, %r12;", (int64_t)wide_x >> (z > 63 ? 63 : z))
    EACH_LONG("setp.lt.u32 %p5, %r10, %r11; selp.b64 %rd20, %rd10, %rd11, %p5;",
              x < y ? wide_x : wide_y)
    EACH("mov.b64 {%r20, _}, %rd10;", x)
}

/* What is loaded widens to its register, what is stored is its register's lower part. */
static void memory_has_widths(void **state)
{
    (void)state;
    EACH("ld.global.u8 %r20, [%rd4+3];", x >> 24)
    EACH("ld.global.s8 %r20, [%rd4+3];", (int8_t)(x >> 24))
    EACH("ld.global.u16 %r20, [%rd4+2];", x >> 16)
    EACH("ld.global.s16 %r20, [%rd4+2];", (int16_t)(x >> 16))
    EACH_LONG("ld.global.u8 %rd20, [%rd4];", (uint8_t)x)
    EACH_LONG("ld.global.s8 %rd20, [%rd4];", (int8_t)x)
    EACH_LONG("ld.global.s16 %rd20, [%rd4];", (int16_t)x)
    EACH_LONG("ld.global.u32 %rd20, [%rd4];", x)
    EACH_LONG("ld.global.s32 %rd20, [%rd4];", (int32_t)x)
    EACH_LONG("ld.global.v2.s32 {%rd19, %rd20}, [%rd4];", (int32_t)y)
    EACH("st.global.u32 [%rd4+8], %rd11; ld.global.u32 %r20, [%rd4+8];", y)
    EACH("st.global.u16 [%rd4+8], %rd11; ld.global.u32 %r20, [%rd4+8];",
         (z & 0xffff0000u) | (y & 0xffffu))
    EACH("st.global.v2.u8 [%rd4+8], {%rd11, %rd10}; ld.global.u32 %r20, [%rd4+8];",
         (z & 0xffff0000u) | (y & 255) | (x & 255) << 8)
    EACH("st.global.u8 [%rd4+8], 300; ld.global.u32 %r20, [%rd4+8];", (z & 0xffffff00u) | 44)
}

static uint32_t to_bfloat16(uint32_t bits)
{
    return isnan(float_of(bits)) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static uint32_t to_int(float x)
{
    return x != x                 ? 0
           : x <= (float)INT_MIN  ? (uint32_t)INT_MIN
           : x >= -(float)INT_MIN ? (uint32_t)INT_MAX
                                  : (uint32_t)(int32_t)x;
}

static uint32_t to_unsigned_int(float x)
{
    return x != x || x <= 0.0f ? 0 : x >= 0x1p32f ? UINT32_MAX : (uint32_t)x;
}

static void fractions_are_those_of_c(void **state)
{
    (void)state;
    EACH("setp.lt.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", fx < fy)
    EACH("setp.ltu.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", !(fx >= fy))
    EACH("setp.neu.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", fx != fy)
    EACH("setp.nan.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", isnan(fx) || isnan(fy))
    EACH("cvt.rn.bf16x2.f32 %r20, %f10, %f11;", to_bfloat16(x) << 16 | to_bfloat16(y))
    EACH("cvt.rzi.u32.f32 %r20, %f10;", to_unsigned_int(fx))
    EACH("min.f32 %f12, %f10, %f11; add.rn.f32 %f12, %f12, %f12; mov.b32 %r20, %f12;",
         bits_of(2.0f * fminf(fx, fy)))
    EACH("max.f32 %f12, %f10, %f11; add.rn.f32 %f12, %f12, %f12; mov.b32 %r20, %f12;",
         bits_of(2.0f * fmaxf(fx, fy)))
    EACH("cvt.rzi.s32.f32 %r20, %f10;", to_int(fx))
    EACH(
        "cvt.rn.f32.s32 %f12, %r10; mul.rn.f32 %f12, %f12, 0f3F000000; cvt.rzi.s32.f32 %r20, %f12;",
        to_int((float)(int32_t)x * 0.5f))
    EACH("max.f32 %f12, %f10, %f11; setp.num.f32 %p5, %f12, %f12; selp.b32 %r20, 1, 0, %p5;",
         !isnan(fx) || !isnan(fy))
}

static void integers_convert(void **state)
{
    (void)state;
    EACH("cvt.u16.u32 %rs1, %r10; cvt.u32.u16 %r20, %rs1;", (uint16_t)x)
    EACH("cvt.u8.u32 %rs1, %r10; cvt.u32.u8 %r20, %rs1;", (uint8_t)x)
    EACH("cvt.u16.u32 %rs1, %r10; cvt.u32.s16 %r20, %rs1;", (int16_t)x)
    EACH("cvt.s32.s8 %r20, %r10;", (int8_t)x)
    EACH("cvt.u16.u32 %rs1, %r10; cvt.s16.s8 %rs2, %rs1; cvt.u32.u16 %r20, %rs2;",
         (uint16_t)(int8_t)x)
    EACH("cvt.u32.u64 %r20, %rd11;", y)
    EACH("cvt.u16.u64 %rs1, %rd10; cvt.u32.u16 %r20, %rs1;", (uint16_t)x)
    EACH("cvt.u8.u64 %rs1, %rd10; cvt.u32.u16 %r20, %rs1;", (uint8_t)x)
    EACH_LONG("cvt.u64.u32 %rd20, %r10;", x)
    EACH_LONG("cvt.s64.s32 %rd20, %r10;", (int32_t)x)
    EACH_LONG("cvt.u16.u32 %rs1, %r10; cvt.u64.u16 %rd20, %rs1;", (uint16_t)x)
    EACH_LONG("cvt.u16.u32 %rs1, %r10; cvt.s64.s16 %rd20, %rs1;", (int16_t)x)
    EACH_LONG("cvt.u16.u32 %rs1, %r10; cvt.u64.u8 %rd20, %rs1;", (uint8_t)x)
    EACH_LONG("cvt.u16.u32 %rs1, %r10; cvt.s64.s8 %rd20, %rs1;", (int8_t)x)
    EACH_LONG("cvt.u64.u32 %rd20, %rd10;", x)
    EACH_LONG("cvt.s64.s32 %rd20, %rd10;", (int32_t)x)
    EACH_LONG("cvt.s64.s16 %rd20, %rd10;", (int16_t)x)
    EACH_LONG("cvt.s64.s8 %rd20, %rd10;", (int8_t)x)
    EACH_FLOAT("cvt.u16.u32 %rs1, %r10; cvt.rn.f32.u16 %f20, %rs1;", (float)(uint16_t)x)
    EACH_FLOAT("cvt.u16.u32 %rs1, %r10; cvt.rn.f32.s16 %f20, %rs1;", (float)(int16_t)x)
    EACH_FLOAT("cvt.rn.f32.u32 %f20, %r10;", (float)x)
    EACH_FLOAT("cvt.rn.f32.s32 %f20, %r10;", (float)(int32_t)x)
    EACH_FLOAT("cvt.rn.f32.u64 %f20, %rd10;", (float)wide_x)
    EACH_FLOAT("cvt.rn.f32.s64 %f20, %rd10;", (float)(int64_t)wide_x)
    EACH_DOUBLE("cvt.rn.f64.u32 %fd20, %r10;", (double)x)
    EACH_DOUBLE("cvt.rn.f64.s32 %fd20, %r10;", (double)(int32_t)x)
    EACH_DOUBLE("cvt.f64.f32 %fd20, %f10;", (double)fx)
    EACH_FLOAT("cvt.rn.f32.f64 %f20, %fd10;", (float)dx)
}

/* -8 to 7.5 in steps of a half, in %f13. */
#define HALF_STEPS                                                               \
    "and.b32 %r14, %r10, 31; sub.s32 %r14, %r14, 16; cvt.rn.f32.s32 %f13, %r14;" \
    "mul.rn.f32 %f13, %f13, 0f3F000000;"
static int half_steps(uint32_t x)
{
    return (int)(x & 31) - 16;
}

static int down(int halves)
{
    return (halves - (halves & 1)) / 2;
}

static int to_even(int halves)
{
    const int below = down(halves);
    return below + ((halves & 1) && (below & 1));
}

static int to_zero(int halves)
{
    return halves / 2;
}

static void fractions_round(void **state)
{
    (void)state;
    EACH(HALF_STEPS "cvt.rni.s32.f32 %r20, %f13;", to_even(half_steps(x)))
    EACH(HALF_STEPS "cvt.rmi.s32.f32 %r20, %f13;", down(half_steps(x)))
    EACH(HALF_STEPS "cvt.rzi.s32.f32 %r20, %f13;", to_zero(half_steps(x)))
    EACH(HALF_STEPS "cvt.rzi.u32.f32 %r20, %f13;", half_steps(x) < 0 ? 0 : to_zero(half_steps(x)))
    EACH(HALF_STEPS "cvt.rni.f32.f32 %f13, %f13; cvt.rzi.s32.f32 %r20, %f13;",
         to_even(half_steps(x)))
    EACH(HALF_STEPS "cvt.rmi.f32.f32 %f13, %f13; cvt.rzi.s32.f32 %r20, %f13;", down(half_steps(x)))
    EACH(HALF_STEPS "cvt.rpi.f32.f32 %f13, %f13; cvt.rzi.s32.f32 %r20, %f13;",
         -down(-half_steps(x)))
    EACH(HALF_STEPS "cvt.rzi.f32.f32 %f13, %f13; cvt.rzi.s32.f32 %r20, %f13;",
         to_zero(half_steps(x)))
    EACH_LONG("cvt.rzi.s64.f32 %rd20, %f10;", isnan(fx)        ? 0
                                              : fx >= 0x1p63f  ? INT64_MAX
                                              : fx <= -0x1p63f ? INT64_MIN
                                                               : (int64_t)fx)
    EACH_LONG("cvt.rzi.u64.f32 %rd20, %f10;", isnan(fx) || fx <= 0 ? 0
                                              : fx >= 0x1p64f      ? UINT64_MAX
                                                                   : (uint64_t)fx)
    EACH("cvt.rzi.u16.f32 %rs1, %f10; cvt.u32.u16 %r20, %rs1;", isnan(fx) || fx <= 0 ? 0
                                                                : fx >= 65535.0f     ? 65535
                                                                                     : (uint32_t)fx)
    /* Ties of bf16, whose last bit is bit 16. */
    EACH("or.b32 %r14, %r10, 0x8000; and.b32 %r14, %r14, 0xffff8000; mov.b32 %f13, %r14;"
         "mov.u32 %r15, 0; mov.b32 %f14, %r15; cvt.rn.bf16x2.f32 %r20, %f14, %f13;",
         isnan(float_of((x | 0x8000u) & 0xffff8000u)) ? 0x7fff
                                                      : ((x >> 16) + (x >> 16 & 1)) & 0xffff)
}

static void fractions_add_and_multiply(void **state)
{
    (void)state;
    EACH_FLOAT("add.f32 %f20, %f10, %f11;", fx + fy)
    EACH_FLOAT("sub.rn.f32 %f20, %f10, %f11;", fx - fy)
    EACH_FLOAT("mul.rn.f32 %f20, %f10, %f11;", fx * fy)
    EACH_FLOAT("div.rn.f32 %f20, %f10, %f11;", fx / fy)
    EACH_FLOAT("fma.rn.f32 %f20, %f10, %f11, %f12;", fmaf(fx, fy, float_of(z)))
    EACH_FLOAT("neg.f32 %f20, %f10;", -fx)
    EACH_FLOAT("abs.f32 %f20, %f10;", fabsf(fx))
    EACH_FLOAT("sqrt.rn.f32 %f20, %f10;", sqrtf(fx))
    EACH_FLOAT("min.f32 %f20, %f10, %f11;", isnan(fx) ? fy : isnan(fy) || fx < fy ? fx : fy)
    EACH_FLOAT("max.f32 %f20, %f11, %f10;", isnan(fx) ? fy : isnan(fy) || fx > fy ? fx : fy)
    EACH_DOUBLE("add.rn.f64 %fd20, %fd10, %fd11;", dx + dy)
    EACH_DOUBLE("mul.rn.f64 %fd20, %fd10, %fd11;", dx * dy)
    EACH_DOUBLE("div.rn.f64 %fd20, %fd10, %fd11;", dx / dy)
    EACH_DOUBLE("fma.rn.f64 %fd20, %fd10, %fd11, %fd10;", fma(dx, dy, dx))
}

static const char *const comparisons[] = {"eq", "ne", "lt", "le", "gt", "ge"};

/* `order` is less than, equal to or more than 0 as x is to y. */
static int holds(int comparison, int order)
{
    const int results[] = {order == 0, order != 0, order<0, order <= 0, order> 0, order >= 0};
    return results[comparison];
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static void integers_compare(void **state)
{
    (void)state;
    char text[200];
    for (int c = 0; c < 6; c++) {
#define COMPARE(type, registers, a, b)                                                             \
    snprintf(text, sizeof text,                                                                    \
             "cvt.u16.u32 %%rs10, %%r10; cvt.u16.u32 %%rs11, %%r11;"                               \
             "setp.%s." type " %%p5, %%" registers "10, %%" registers "11; selp.b32 %%r20, 1, 0, " \
             "%%p5;",                                                                              \
             comparisons[c]);                                                                      \
    EACH(text, holds(c, ORDER(a, b)))
        COMPARE("s32", "r", (int32_t)x, (int32_t)y)
        COMPARE("u32", "r", x, y)
        COMPARE("b32", "r", x, y)
        COMPARE("s64", "rd", (int64_t)wide_x, (int64_t)wide_y)
        COMPARE("u64", "rd", wide_x, wide_y)
        COMPARE("s16", "rs", (int16_t)x, (int16_t)y)
        COMPARE("u16", "rs", (uint16_t)x, (uint16_t)y)
    }
}

static void fractions_compare(void **state)
{
    (void)state;
    char text[200];
    for (int c = 0; c < 6; c++) {
        for (int with_nan = 0; with_nan < 2; with_nan++) {
#define COMPARE_FRACTIONS(type, registers, a, b)                                               \
    snprintf(text, sizeof text,                                                                \
             "setp.%s%s." type " %%p5, %%" registers "10, %%" registers "11; selp.b32 %%r20, " \
             "1, 0, %%p5;",                                                                    \
             comparisons[c], with_nan ? "u" : "");                                             \
    EACH(text, isnan(a) || isnan(b) ? with_nan : holds(c, ORDER(a, b)))
            COMPARE_FRACTIONS("f32", "f", fx, fy)
            COMPARE_FRACTIONS("f64", "fd", dx, dy)
        }
    }
    EACH("setp.num.f64 %p5, %fd10, %fd11; selp.b32 %r20, 1, 0, %p5;", !isnan(dx) && !isnan(dy))
    EACH("setp.nan.f64 %p5, %fd10, %fd11; selp.b32 %r20, 1, 0, %p5;", isnan(dx) || isnan(dy))
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(integers_are_those_of_c, try_setup),
        cmocka_unit_test_setup(words_are_those_of_c, try_setup),
        cmocka_unit_test_setup(halves_are_those_of_c, try_setup),
        cmocka_unit_test_setup(longs_are_those_of_c, try_setup),
        cmocka_unit_test_setup(memory_has_widths, try_setup),
        cmocka_unit_test_setup(fractions_are_those_of_c, try_setup),
        cmocka_unit_test_setup(integers_convert, try_setup),
        cmocka_unit_test_setup(fractions_round, try_setup),
        cmocka_unit_test_setup(fractions_add_and_multiply, try_setup),
        cmocka_unit_test_setup(integers_compare, try_setup),
        cmocka_unit_test_setup(fractions_compare, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
