/* Numbers of 16 bits with fractions: each of them, as conversions and units read it, and how f32 is
 * rounded to them, against a model that knows no bits of f32. */
#include "ptx_try.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { AT_ONCE = TRY_MOST_WORDS, ITEMS = 128, LANES = 32, HALVES = 65536, SIGN = 0x8000 };

typedef struct half {
    const char *name;
    int digits; /* behind the first one */
    int exponent_of_one;
} half;

static const half f16 = {"f16", 10, 15};
static const half bf16 = {"bf16", 7, 127};

/* Sizes are all bits but the sign; from this one on there are no numbers. */
static int infinity_of(const half *of)
{
    return SIGN - (1 << of->digits);
}

/* What the size counts for; infinity for one step more than the largest number. */
static double value_of_size(const half *of, int size)
{
    const int exponent = size >> of->digits;
    const int digits = size & ((1 << of->digits) - 1);
    const int scale = (exponent == 0 ? 1 : exponent) - of->exponent_of_one - of->digits;
    return ldexp(exponent == 0 ? digits : digits + (1 << of->digits), scale);
}

static float value_of(const half *of, int bits)
{
    const int size = bits & ~SIGN;
    const double value = size > infinity_of(of)    ? (double)NAN
                         : size == infinity_of(of) ? (double)INFINITY
                                                   : value_of_size(of, size);
    return (float)(bits == size ? value : -value);
}

/* By halving: the largest number that isn't larger, or the next one, or the even one of both. */
static int nearest_to(const half *of, float x)
{
    if (isnan(x)) {
        return 0x7fff;
    }
    const double size = fabs((double)x);
    int low = 0;
    int high = infinity_of(of);
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(value_of_size(of, middle) <= size ? &low : &high) = middle;
    }
    const double between = (value_of_size(of, low) + value_of_size(of, high)) / 2;
    const int nearest = size < between || (size <= between && low % 2 == 0) ? low : high;
    return nearest | (signbit(x) ? SIGN : 0);
}

/* An item's word is at %rd4, its number in %r5. */
static void run_for_words(const char *body)
{
    char whole[1000];
    trial.items = ITEMS;
    trial.groups = AT_ONCE / ITEMS;
    trial.word_count = AT_ONCE;
    snprintf(whole, sizeof whole,
             "mov.u32 %%r5, %%ctaid.x; mad.lo.s32 %%r5, %%r5, %d, %%r1; mul.wide.u32 %%rd4, %%r5, "
             "4; add.s64 %%rd4, %%rd1, %%rd4; %s",
             ITEMS, body);
    passes(whole);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fc00000u : bits;
}

static float float_at(int word)
{
    float value;
    memcpy(&value, &words[word], sizeof value);
    return value;
}

/* ---- From halves ---- */

/* Asserts that words are the numbers of the halves from `first` on. */
static void check_values(const half *of, int first)
{
    for (int i = 0; i < AT_ONCE; i++) {
        const int bits = first + i;
        const float found = float_at(i);
        if (bits_of(found) != bits_of(value_of(of, bits))) {
            fail_msg("%s: 0x%x is %g", of->name, bits, (double)found);
        }
    }
}

static void halves_become_f32(void **state)
{
    (void)state;
    for (int first = 0; first < HALVES; first += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++) {
            words[i] = (uint32_t)(first + i) | random_word() << 16;
        }
        run_for_words("ld.global.b16 %rs1, [%rd4]; cvt.f32.f16 %f1, %rs1;"
                      "st.global.f32 [%rd4], %f1;");
        check_values(&f16, first);
    }
}

/* Each by 1: a row of a has it first, and zeros behind it, so that a column of sums is a column of
 * a. -0 comes as 0, as sums do. */
static void multiply_every_half(const half *of)
{
    char body[1000];
    trial.items = LANES;
    trial.groups = AT_ONCE / 16;
    trial.word_count = AT_ONCE;
    for (int first = 0; first < HALVES; first += AT_ONCE) {
        /* Lanes 0, 4, 8, … have the first numbers of rows, and the first sums. */
        sprintf(body,
                "mov.u32 %%r5, %%ctaid.x; shr.u32 %%r6, %%r1, 2; mad.lo.s32 %%r5, %%r5, 16, %%r6;"
                "and.b32 %%r7, %%r1, 3; setp.eq.u32 %%p5, %%r7, 0; add.s32 %%r10, %%r5, %d;"
                "add.s32 %%r11, %%r10, 8; selp.b32 %%r10, %%r10, 0, %%p5;"
                "selp.b32 %%r11, %%r11, 0, %%p5; mov.u32 %%r12, 0; mov.u32 %%r13, 0;"
                "mov.u32 %%r14, %d; mov.u32 %%r15, %%r14; mov.b32 %%f1, %%r12;"
                "mma.sync.aligned.m16n8k16.row.col.f32.%s.%s.f32 {%%f5, %%f6, %%f7, %%f8}, {%%r10, "
                "%%r11, %%r12, %%r13}, {%%r14, %%r15}, {%%f1, %%f1, %%f1, %%f1};"
                "mul.wide.u32 %%rd4, %%r5, 4; add.s64 %%rd4, %%rd1, %%rd4;"
                "@%%p5 st.global.f32 [%%rd4], %%f5; @%%p5 st.global.f32 [%%rd4+32], %%f7;",
                first, 0x10001 * (of->exponent_of_one << of->digits), of->name, of->name);
        passes(body);
        if (first == SIGN) {
            assert_int_equal(words[0], 0);
            words[0] = bits_of(-0.0f);
        }
        check_values(of, first);
    }
}

static void units_know_each_half(void **state)
{
    (void)state;
    multiply_every_half(&bf16);
    multiply_every_half(&f16);
}

/* ---- To halves ---- */

/* Numbers of 32 bits that are yet to be converted. */
static float waiting[AT_ONCE];
static int waiting_count;

/* A pair, the first operand in its upper half, and, of f16, one by itself. */
static void convert_waiting(const half *to)
{
    char body[200];
    memcpy(words, waiting, sizeof waiting);
    snprintf(body, sizeof body,
             "ld.global.f32 %%f1, [%%rd4]; neg.f32 %%f2, %%f1; cvt.rn.%sx2.f32 %%r6, %%f2, %%f1;"
             "st.global.u32 [%%rd4], %%r6;",
             to->name);
    run_for_words(body);
    for (int i = 0; i < waiting_count; i++) {
        const uint32_t right =
            (uint32_t)nearest_to(to, waiting[i]) | (uint32_t)nearest_to(to, -waiting[i]) << 16;
        if (words[i] != right) {
            fail_msg("%s: %a is 0x%x, not 0x%x", to->name, (double)waiting[i], words[i], right);
        }
    }
    if (to == &f16) {
        memcpy(words, waiting, sizeof waiting);
        run_for_words("ld.global.f32 %f1, [%rd4]; cvt.rn.f16.f32 %rs1, %f1; cvt.u32.u16 %r6, %rs1;"
                      "st.global.u32 [%rd4], %r6; st.global.b16 [%rd4+2], %rs1;");
        for (int i = 0; i < waiting_count; i++) {
            assert_int_equal(words[i], 0x10001u * (uint32_t)nearest_to(to, waiting[i]));
        }
    }
    waiting_count = 0;
}

static void convert_later(const half *to, float x)
{
    waiting[waiting_count++] = x;
    if (waiting_count == AT_ONCE) {
        convert_waiting(to);
    }
}

/* Numbers of the type, what is between two of them, and what is next to that. */
static void convert_ties(const half *to)
{
    for (int size = 0; size < infinity_of(to); size++) {
        const float sign = random_word() % 2 == 0 ? 1.0f : -1.0f;
        const double low = value_of_size(to, size);
        const float between = (float)((low + value_of_size(to, size + 1)) / 2);
        convert_later(to, sign * (float)low);
        convert_later(to, sign * between);
        convert_later(to, sign * nextafterf(between, 0.0f));
        convert_later(to, sign * nextafterf(between, INFINITY));
    }
}

static void f32_is_rounded(void **state)
{
    (void)state;
    static const half *const types[] = {&f16, &bf16};
    for (int type = 0; type < 2; type++) {
        convert_ties(types[type]);
        convert_later(types[type], INFINITY);
        convert_later(types[type], -INFINITY);
        convert_later(types[type], NAN);
        for (int i = 0; i < 2 * AT_ONCE; i++) {
            /* Any number, and one that is about as large as those of f16. */
            const uint32_t bits = random_word();
            float x;
            memcpy(&x, &bits, sizeof x);
            convert_later(types[type], x);
            convert_later(types[type],
                          ldexpf((float)(int32_t)random_word(), (int)(random_word() % 48) - 62));
        }
        convert_waiting(types[type]);
    }
}

static void other_conversions_are_refused(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "cvt.f16.f32 %rs1, %f1;",          "cvt.rn.f32.f16 %f1, %rs1;",
        "cvt.rn.f16x2.f32 %r5, %f1;",      "cvt.rn.f16.f32 %rs1, %f1, %f2;",
        "cvt.rz.f16x2.f32 %r5, %f1, %f2;", "cvt.rn.f16.f32 %rs1, %fd1;",
        "cvt.f32.f16 %fd1, %rs1;"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        is_refused(unknown[i], "isn't known");
    }
    trial.target = "sm_75";
    passes("cvt.rn.f16.f32 %rs1, %f1; cvt.f32.f16 %f1, %rs1;");
    is_refused("cvt.rn.f16x2.f32 %r5, %f1, %f2;", "needs the target sm_80");
    is_refused("cvt.rn.bf16x2.f32 %r5, %f1, %f2;", "needs the target sm_80");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(halves_become_f32, try_setup),
        cmocka_unit_test_setup(units_know_each_half, try_setup),
        cmocka_unit_test_setup(f32_is_rounded, try_setup),
        cmocka_unit_test_setup(other_conversions_are_refused, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
