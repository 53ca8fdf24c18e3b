/* The interpreter's arithmetic that kernels hardly use, and lanes that branch apart, against plain
 * C.
 */
#include "ptx_try.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 64 };

/* Runs an instruction of two or three operands on each item's words; the first of them comes as
 * %r10, the next as %r11, %r12. */
static void compute(const char *instruction, uint32_t (*in)[3], uint32_t *out)
{
    char body[600];
    for (int item = 0; item < ITEMS; item++) {
        memcpy(&words[3 * item], in[item], sizeof in[item]);
    }
    snprintf(body, sizeof body,
             "mul.wide.u32 %%rd4, %%r1, 12; add.s64 %%rd4, %%rd1, %%rd4; ld.global.u32 %%r10, "
             "[%%rd4]; ld.global.u32 %%r11, [%%rd4+4];"
             "ld.global.u32 %%r12, [%%rd4+8]; mov.b32 %%f10, %%r10; mov.b32 %%f11, %%r11; %s "
             "st.global.u32 [%%rd4], %%r20;",
             instruction);
    passes(body);
    for (int item = 0; item < ITEMS; item++) {
        out[item] = words[3 * item];
    }
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Asserts that the instruction gives `expected` of the item's x, y and z. */
#define EACH(instruction, expected)                                                         \
    {                                                                                       \
        uint32_t in[ITEMS][3];                                                              \
        uint32_t out[ITEMS];                                                                \
        for (int i = 0; i < ITEMS; i++) {                                                   \
            in[i][0] = i % 8 == 0 ? 0x7fc00000u : i % 8 == 1 ? 0xcf800000u : random_word(); \
            in[i][1] = i % 8 == 2 ? 0 : i % 8 == 3 ? in[i][0] : random_word() >> i % 32;    \
            in[i][2] = random_word() >> i % 32;                                             \
        }                                                                                   \
        compute(instruction, in, out);                                                      \
        for (int i = 0; i < ITEMS; i++) {                                                   \
            const uint32_t x = in[i][0];                                                    \
            const uint32_t y = in[i][1];                                                    \
            const uint32_t z = in[i][2];                                                    \
            (void)x;                                                                        \
            (void)y;                                                                        \
            (void)z;                                                                        \
            assert_int_equal(out[i], (uint32_t)(expected));                                 \
        }                                                                                   \
    }

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

/* All NaNs are one. */
static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fc00000u : bits;
}

static void fractions_are_those_of_c(void **state)
{
    (void)state;
    EACH("setp.lt.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", float_of(x) < float_of(y))
    EACH("setp.ltu.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", !(float_of(x) >= float_of(y)))
    EACH("setp.neu.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;", float_of(x) != float_of(y))
    EACH("setp.nan.f32 %p5, %f10, %f11; selp.b32 %r20, 1, 0, %p5;",
         isnan(float_of(x)) || isnan(float_of(y)))
    EACH("cvt.rn.bf16x2.f32 %r20, %f10, %f11;", to_bfloat16(x) << 16 | to_bfloat16(y))
    EACH("cvt.rzi.u32.f32 %r20, %f10;", to_unsigned_int(float_of(x)))
    EACH("min.f32 %f12, %f10, %f11; add.rn.f32 %f12, %f12, %f12; mov.b32 %r20, %f12;",
         bits_of(2.0f * fminf(float_of(x), float_of(y))))
    EACH("max.f32 %f12, %f10, %f11; add.rn.f32 %f12, %f12, %f12; mov.b32 %r20, %f12;",
         bits_of(2.0f * fmaxf(float_of(x), float_of(y))))
    EACH("cvt.rzi.s32.f32 %r20, %f10;", to_int(float_of(x)))
    EACH(
        "cvt.rn.f32.s32 %f12, %r10; mul.rn.f32 %f12, %f12, 0f3F000000; cvt.rzi.s32.f32 %r20, %f12;",
        to_int((float)(int32_t)x * 0.5f))
    EACH("max.f32 %f12, %f10, %f11; setp.num.f32 %p5, %f12, %f12; selp.b32 %r20, 1, 0, %p5;",
         !isnan(float_of(x)) || !isnan(float_of(y)))
}

static void lanes_part_and_meet(void **state)
{
    (void)state;
    /* A loop of as many turns as the lane's number says, by a guard in its middle. */
    passes("and.b32 %r5, %r1, 31; mov.u32 %r6, 0; mov.u32 %r7, 0;"
           "turn: setp.gt.u32 %p5, %r6, 2; @%p5 add.s32 %r7, %r7, 10; add.s32 %r6, %r6, 1; "
           "setp.le.u32 %p6, %r6, %r5; @%p6 bra turn;"
           "bar.warp.sync 0xffffffff; st.global.u32 [%rd2], %r7;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        const uint32_t lane = item % 32;
        assert_int_equal(words[item], lane < 3 ? 0 : 10 * (lane - 2));
    }
    passes("shfl.sync.idx.b32 %r5, %r1, 5, 0x1f, 0xffffffff; shfl.sync.down.b32 %r6, %r1, 1, 0x1f, "
           "0xffffffff;"
           "shfl.sync.bfly.b32 %r7, %r1, 3, 0x1f, 0xffffffff; mad.lo.s32 %r8, %r5, 256, %r6; "
           "mad.lo.s32 %r8, %r8, 256, %r7; st.global.u32 [%rd2], %r8;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        const uint32_t next = item % 32 == 31 ? item : item + 1;
        assert_int_equal(words[item], ((item / 32 * 32 + 5) * 256 + next) * 256 + (item ^ 3));
    }
    trial.items = 40;
    passes("st.global.u32 [%rd2], %r1;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(integers_are_those_of_c, try_setup),
        cmocka_unit_test_setup(fractions_are_those_of_c, try_setup),
        cmocka_unit_test_setup(lanes_part_and_meet, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
