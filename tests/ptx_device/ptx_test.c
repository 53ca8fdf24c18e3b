/* The interpreter of PTX alone: what it must refuse, what it must let pass, and arithmetic that
 * today's kernels hardly use. */
#include "ptx.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 64, WORDS = 256, SHARED = 4096, MESSAGE = 600 };

/* A kernel with a buffer of WORDS words: its address is in %rd1, that of the item's own word in
 * %rd2, the item in %r1, its shared word's address in %r2, %p1 whether it is in the first warp, %p2
 * whether it is the first item. */
static const char head[] = ".version 8.0\n"
                           ".target sm_90a\n"
                           ".address_size 64\n"
                           ".visible .entry k(.param .u64 .ptr .global .align 4 k_param_0)\n"
                           "{\n"
                           ".reg .pred %p<10>;\n"
                           ".reg .b16 %rs<10>;\n"
                           ".reg .b32 %r<40>;\n"
                           ".reg .f32 %f<40>;\n"
                           ".reg .b64 %rd<20>;\n"
                           ".shared .align 1024 .b8 memory[4096];\n"
                           "ld.param.u64 %rd1, [k_param_0];\n"
                           "mov.u32 %r1, %tid.x;\n"
                           "mul.wide.u32 %rd3, %r1, 4;\n"
                           "add.s64 %rd2, %rd1, %rd3;\n"
                           "mov.u32 %r3, memory;\n"
                           "shl.b32 %r4, %r1, 2;\n"
                           "add.s32 %r2, %r3, %r4;\n"
                           "setp.lt.u32 %p1, %r1, 32;\n"
                           "setp.eq.u32 %p2, %r1, 0;\n";

static uint32_t words[WORDS];
static char message[MESSAGE];
static uint32_t group_count = 1;

/* Returns what ptx_run does; a text that can't be read is an error, too. */
static int run_items(const char *body, uint32_t items)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s\nret;\n}\n", head, body);
    message[0] = '\0';
    ptx_module *module = ptx_module_new(text, strlen(text), message, sizeof message);
    if (module == NULL) {
        return -1;
    }
    void *arguments = words;
    const ptx_region region = {(uintptr_t)words, (uintptr_t)words + sizeof words};
    const ptx_launch launch = {.kernel = ptx_module_kernel(module, 0),
                               .arguments = &arguments,
                               .groups = {group_count, 1, 1},
                               .items = {items, 1, 1},
                               .shared_bytes = SHARED,
                               .regions = &region,
                               .region_count = 1};
    const int status = ptx_run(&launch, message, sizeof message);
    ptx_module_free(module);
    return status;
}

static void passes(const char *body)
{
    if (run_items(body, ITEMS) != 0) {
        fail_msg("%s: %s", body, message);
    }
}

static void is_refused(const char *body, const char *words_of_message)
{
    if (run_items(body, ITEMS) == 0) {
        fail_msg("%s: passed", body);
    }
    if (strstr(message, words_of_message) == NULL) {
        fail_msg("%s: no '%s' in '%s'", body, words_of_message, message);
    }
}

static void addresses_are_checked(void **state)
{
    (void)state;
    passes("st.global.u32 [%rd2], %r1;");
    is_refused("st.global.u32 [%rd2+1024], %r1;", "aren't in a live buffer");
    is_refused("st.global.u32 [%rd2+-4], %r1;", "aren't in a live buffer");
    is_refused("ld.global.v2.u32 {%r5, %r6}, [%rd2];", "no multiple of 8");
    is_refused("ld.shared.u32 %r5, [%r2+4096];", "aren't in the group's shared memory");
    is_refused("mov.u64 %rd4, 0; ld.shared.u32 %r5, [%rd4];",
               "aren't in the group's shared memory");
    is_refused("ld.shared.u32 %r5, [%r2];", "before it was written");
    passes("st.shared.u32 [%r2], %r1; ld.shared.u32 %r5, [%r2];");
}

static void groups_keep_apart(void **state)
{
    (void)state;
    group_count = 2;
    passes("mov.u32 %r5, %ctaid.x; shl.b32 %r5, %r5, 8; cvt.u64.u32 %rd4, %r5; add.s64 %rd4, %rd4, "
           "%rd2; st.global.u32 [%rd4], %r1;");
    is_refused("st.global.u32 [%rd2], %r1;", "is written by two groups");
    is_refused("mov.u32 %r5, %ctaid.x; shl.b32 %r5, %r5, 8; cvt.u64.u32 %rd4, %r5; add.s64 %rd4, "
               "%rd4, %rd2; st.global.u32 [%rd4], %r1;"
               "ld.global.u32 %r6, [%rd2];",
               "is read by a group and written by another");
    is_refused("ld.global.u32 %r6, [%rd2+256]; mov.u32 %r5, %ctaid.x; shl.b32 %r5, %r5, 8; "
               "cvt.u64.u32 %rd4, %r5; add.s64 %rd4, %rd4, %rd2;"
               "st.global.u32 [%rd4], %r1;",
               "is written by a group and read by another");
    group_count = 1;
}

/* The item's mirror image among all of the group, and within its warp. */
#define OTHER_ITEM "sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r5, %r3, %r5;"
#define OTHER_LANE "xor.b32 %r5, %r1, 31; shl.b32 %r5, %r5, 2; add.s32 %r5, %r3, %r5;"

static void races_are_found(void **state)
{
    (void)state;
    is_refused(OTHER_ITEM
               "st.shared.u32 [%r2], %r1; bar.warp.sync 0xffffffff; ld.shared.u32 %r6, [%r5];",
               "before it was written");
    is_refused(
        "@!%p1 bra read; st.shared.u32 [%r2], %r1; ret; read: ld.shared.u32 %r6, [%r2+-128];",
        "in a race with a write");
    passes(OTHER_ITEM "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r6, [%r5];");
    is_refused(OTHER_LANE "st.shared.u32 [%r2], %r1; ld.shared.u32 %r6, [%r5];",
               "in a race with a write");
    passes(OTHER_LANE
           "st.shared.u32 [%r2], %r1; bar.warp.sync 0xffffffff; ld.shared.u32 %r6, [%r5];");
    is_refused(
        OTHER_ITEM
        "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r6, [%r5]; st.shared.u32 [%r2], %r1;",
        "in a race with a");
    is_refused("st.shared.u32 [%r3], %r1;", "in a race with another write");
}

#define COPY                                                                                   \
    "mul.wide.u32 %rd4, %r1, 16; add.s64 %rd4, %rd1, %rd4; shl.b32 %r5, %r1, 4; add.s32 %r5, " \
    "%r3, %r5;"                                                                                \
    "cp.async.cg.shared.global [%r5], [%rd4], 16, 16; cp.async.commit_group;"

static void copies_must_be_waited_for(void **state)
{
    (void)state;
    is_refused(COPY "ld.shared.u32 %r6, [%r5];", "asynchronous copy that was not waited for");
    is_refused(COPY "cp.async.wait_group 1; ld.shared.u32 %r6, [%r5];",
               "asynchronous copy that was not waited for");
    passes(COPY "cp.async.wait_group 0; ld.shared.u32 %r6, [%r5];");
    is_refused(COPY "cp.async.wait_group 0;" OTHER_LANE "ld.shared.u32 %r6, [%r5];",
               "in a race with a write");
}

static void warps_must_be_whole(void **state)
{
    (void)state;
    is_refused("@%p1 bra over; bar.sync 0; over:", "waits for ever");
    is_refused("setp.lt.u32 %p3, %r1, 7; @%p3 bra over; bar.sync 0; over:", "not all lanes");
    is_refused("setp.lt.u32 %p3, %r1, 7; @%p3 bra over; shfl.sync.bfly.b32 %r5, %r1, 1, 0x1f, "
               "0xffffffff; over:",
               "not all 32 lanes");
    is_refused("@%p1 bra over; ret; over: bar.sync 0;", "waits for ever");
    passes("setp.lt.u32 %p3, %r1, 7; @%p3 bra low; mov.u32 %r5, 1; bra over; low: mov.u32 %r5, 2; "
           "over: bar.sync 0;");
}

#define MBARRIER                                                                               \
    "@!%p2 bra made; mbarrier.init.shared.b64 [%r3], 1; fence.mbarrier_init.release.cluster; " \
    "made: bar.sync 0;"
#define WAIT "again: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r7; @!%p4 bra again;"

static void mbarriers_end_phases(void **state)
{
    (void)state;
    passes(MBARRIER "mov.u32 %r7, 0; @!%p2 bra on; mbarrier.arrive.shared.b64 _, [%r3]; on: " WAIT);
    is_refused(MBARRIER "mov.u32 %r7, 0;" WAIT, "waits for ever");
    is_refused(MBARRIER "mov.u32 %r7, 0; @!%p2 bra on; mov.u32 %r8, 16; "
                        "mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r8; on: " WAIT,
               "waits for ever");
    is_refused(MBARRIER "mov.u32 %r8, 16; mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r8;",
               "more arrivals");
    is_refused("mbarrier.arrive.shared.b64 _, [%r3];", "there is no mbarrier");
}

static void what_isnt_known_is_said(void **state)
{
    (void)state;
    is_refused("frobnicate.u32 %r5, %r6;", "frobnicate.u32");
    is_refused("bra nowhere;", "no label nowhere");
    is_refused("add.s32 %r5, %r6, %r99;", "%r99");
    is_refused("add.s64 %rd4, %r5, %rd4;", "add.s64");
    is_refused("mov.u32 %r5, {%r1, %r2", "");
}

/* Every beginning of a text ends with a module or with a message. */
static void a_text_that_breaks_off_is_no_crash(void **state)
{
    (void)state;
    char text[8192];
    snprintf(
        text, sizeof text, "%s%s\nret;\n}\n", head,
        COPY MBARRIER
        "mov.u32 %r7, 0;" WAIT "ld.global.v2.u32 {%r5, %r6}, [%rd2+8]; "
                               "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r5, %r6}, [%r2];"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r5, %r6, %r7, "
        "%r8}, {%r9, %r10}, {%f1, %f2, %f3, %f4};"
        "{ .reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
        "{%f1, %f2, %f3, %f4}, %rd4, %rd5, p, 1, 1, 0, 1; }"
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd4], %r6, "
        "[%r3]; @%p1 bra again;");
    for (size_t length = 0; length < strlen(text); length++) {
        char *beginning = malloc(length + 1);
        assert_non_null(beginning);
        memcpy(beginning, text, length);
        message[0] = '\0';
        ptx_module *module = ptx_module_new(beginning, length, message, sizeof message);
        assert_true(module != NULL || message[0] != '\0');
        ptx_module_free(module);
        free(beginning);
    }
}

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

static uint32_t random_word(void)
{
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
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
    assert_int_equal(run_items("st.global.u32 [%rd2], %r1;", 40), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(races_are_found),
        cmocka_unit_test(groups_keep_apart),
        cmocka_unit_test(copies_must_be_waited_for),
        cmocka_unit_test(warps_must_be_whole),
        cmocka_unit_test(mbarriers_end_phases),
        cmocka_unit_test(what_isnt_known_is_said),
        cmocka_unit_test(a_text_that_breaks_off_is_no_crash),
        cmocka_unit_test(integers_are_those_of_c),
        cmocka_unit_test(fractions_are_those_of_c),
        cmocka_unit_test(lanes_part_and_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
