/* The interpreter of PTX alone: what it must refuse, and what it must let pass. */
#include "ptx.h"
#include "ptx_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    trial.groups = 2;
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
    /* What one target has alone isn't what a later one has. */
    static const char *const others[] = {"sm_90", "sm_100a", "sm_100"};
    for (int i = 0; i < 3; i++) {
        trial.target = others[i];
        is_refused("wgmma.fence.sync.aligned;", "needs the target sm_90a");
    }
}

/* Every beginning of a text ends with a module or with a message. */
static void a_text_that_breaks_off_is_no_crash(void **state)
{
    (void)state;
    char text[8192];
    trial.limits = ".explicitcluster .reqnctapercluster 2, 1, 1";
    const size_t bytes = try_text(
        COPY MBARRIER
        "mov.u32 %r7, 0;" WAIT "ld.global.v2.u32 {%r5, %r6}, [%rd2+8]; "
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r5, %r6}, [%r2];"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r5, %r6, %r7, "
        "%r8}, {%r9, %r10}, {%f1, %f2, %f3, %f4};"
        "{ .reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
        "{%f1, %f2, %f3, %f4}, %rd4, %rd5, p, 1, 1, 0, 1; }"
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd4], %r6, "
        "[%r3]; mapa.shared::cluster.u32 %r5, %r3, %cluster_ctarank;"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5];"
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%r5], [%rd4], %r6, [%r3], 3; barrier.cluster.arrive.relaxed.aligned; @%p1 bra again;",
        text, sizeof text);
    for (size_t length = 0; length < bytes; length++) {
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

/* A module by itself, without what bodies find. */
static void text_is_refused(const char *text, const char *words_of_message)
{
    message[0] = '\0';
    ptx_module *module = ptx_module_new(text, strlen(text), message, sizeof message);
    if (module != NULL) {
        fail_msg("%s: was read", text);
    }
    if (strstr(message, words_of_message) == NULL) {
        fail_msg("%s: no '%s' in '%s'", text, words_of_message, message);
    }
}

#define KERNEL(body) ".version 8.0 .target sm_80 .address_size 64 .visible .entry k() {" body "}"

static void odd_texts_are_refused(void **state)
{
    (void)state;
    text_is_refused(KERNEL(""), "no instruction");
    text_is_refused(KERNEL(".reg .b32 %r<4>;"), "no instruction");
    text_is_refused(KERNEL("over: ret; over: ret;"), "the label over twice");
    text_is_refused(KERNEL("ret; bra over; over:"), "no label over");
    text_is_refused(KERNEL("ret;") "}", "isn't known here");
    text_is_refused(KERNEL("ret; { ret;"), "a kernel has no end");
    text_is_refused(KERNEL("@ ret;"), "no operand");
    text_is_refused(KERNEL("@! ret;"), "no operand");
    text_is_refused(KERNEL("@1"), "no end");
    text_is_refused(KERNEL(": ;"), "");
    text_is_refused(KERNEL(".reg .b32 %r<100001>; ret;"), "too many registers");
    text_is_refused(KERNEL(".reg .b32 %r<-1>; ret;"), "too many registers");
    text_is_refused(KERNEL(".reg .b64 %a<99999>, %b<99999>, %c<99999>; ret;"),
                    "too many registers");
    text_is_refused(KERNEL(".reg .b128 %r; ret;"), ".b128");
    text_is_refused(KERNEL(".reg .b32 %r<4>; mov.u32 %r18446744073709551617, 0; ret;"),
                    "%r18446744073709551617");
    text_is_refused(KERNEL(".reg .b32 %r<4>; mov.u32 5, %r1; ret;"), "isn't a register");
    text_is_refused(KERNEL(".reg .b32 %r<4>; mov.u32 %laneid, %r1; ret;"), "isn't a register");
    text_is_refused(KERNEL(".shared .b8 memory[-1]; ret;"), "too large");
    text_is_refused(KERNEL(".shared .b64 memory[4611686018427387904]; ret;"), "too large");
    text_is_refused(KERNEL(".shared .b8 memory[]; ret;"), "a number is missing");
    text_is_refused(KERNEL(".shared .align 3 .b8 memory[4]; ret;"), "power of two");
    text_is_refused(KERNEL(".shared .align 0 .b8 memory[4]; ret;"), "power of two");
    text_is_refused(KERNEL(".shared .align -8 .b8 memory[4]; ret;"), "power of two");
    text_is_refused(KERNEL(".shared memory[4]; ret;"), "without a type or a name");
    text_is_refused(KERNEL(".local .b8 memory[524289]; ret;"), "too large");
    text_is_refused(".const .align 4 .b8 table[2] = {1, 2, 3};", "'}' is missing");
    text_is_refused(".const .b8 table[2] = {1, };", "a number is missing");
    text_is_refused(".shared .b8 table[2] = {1, 2};", "no values to begin with");
    text_is_refused(".visible .entry k(.param .u64 a", "");
    text_is_refused(".visible .entry k(.param .align 3 .b8 a[8]) { ret; }", "power of two");
    text_is_refused(".visible .entry k(.param .b8 a[999999999999]) { ret; }", "too large");
    text_is_refused(".visible .entry k() .reqntid { ret; }", "a number is missing");
    text_is_refused(".target", "a target");
    text_is_refused(".target sm_", "a target");
    text_is_refused(".target sm_a", "a target");
    text_is_refused(".target sm_90ba", "a target");
    text_is_refused(".target sm_90a0", "a target");
    text_is_refused(";", "isn't known here");
}

static void odd_operands_are_refused(void **state)
{
    (void)state;
    is_refused("st.global.u32 [%rd2], _;", "_ in place of a register");
    is_refused("st.global.v2.u32 [%rd2], {%r1, _};", "_ in place of a register");
    is_refused("mov.b64 %rd4, {%r1, _};", "_ in place of a register");
    is_refused("mov.b64 %rd4, {%r1};", "two halves");
    is_refused("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, _}, {%r1, %r1, "
               "%r1, %r1}, {%r1, %r1}, {%f1, %f2, %f3, %f4};",
               "_ in place of a register");
    is_refused("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {_}, [%r3];", "_ in place of a register");
    is_refused("st.global.u64 [%rd1], %r1;", "narrower than its element");
    is_refused("ld.global.u64 %r5, [%rd1];", "narrower than its element");
    is_refused("ld.global.v2.u32 {%r5, %r6, %r7}, [%rd1];", "2 elements has 3");
    is_refused("ld.global.u32 {, [%rd1];", "");
    is_refused("ld.global.u32 %r5, [];", "an address is missing");
    is_refused("ld.global.u32 %r5, [%rd1+];", "no address that is known");
    is_refused("ld.global.u32 , ;", "");
    is_refused("ld.global.u32 %r5, [memory+9223372036854775807];", "no multiple of 4");
    is_refused("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4}, %rd1, "
               "%rd1, %p1, 1, 1, 0, -1;",
               "is 0 or 1");
    passes("cp.async.wait_group 0; wgmma.wait_group.sync.aligned 0;");
    is_refused("bar.sync 16;", "no such barrier");
    is_refused("bar.sync -1;", "no such barrier");
    is_refused("bar.sync 0, 33;", "no such barrier");
    is_refused("bar.sync 0, -32;", "no such barrier");
    is_refused("bar.sync 0, 4294967328;", "no such barrier");
    is_refused("bar.sync %r1;", "no number");
    is_refused("shfl.sync.bfly.b32 %r5, %r1, 1, 0x0f, 0xffffffff;", "a part of a warp");
    is_refused("shfl.sync.bfly.b32 %r5, %r1, 1, 0x1f, 0xffff;", "a part of a warp");
    is_refused("mbarrier.init.shared.b64 [%r3], 0;", "0 arrivals");
    is_refused("mbarrier.init.shared.b64 [%r3], -1;", "4294967295 arrivals");
    is_refused("cp.async.cg.shared.global [%r3], [%rd1], 8, 8;", "other than 16 bytes");
    is_refused("cp.async.cg.shared.global [%r3], [%rd1], 16, 17;", "17 bytes of 16");
    is_refused("mad.lo.s32 %r5, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1, "
               "%r1, %r1, %r1;",
               "too many operands");
}

/* Sums of an address and a size that are too large for 64 bits. */
static void addresses_do_not_wrap(void **state)
{
    (void)state;
    trial.data = ".const .align 4 .b8 table[8] = {1, 2, 3, 4, 5, 6, 7, 8};";
    passes("mov.u64 %rd4, table; ld.const.u32 %r5, [%rd4+4]; st.global.u32 [%rd2], %r5;");
    assert_int_equal(words[0], 0x08070605);
    is_refused("mov.u64 %rd4, table; ld.const.u32 %r5, [%rd4+8];", "aren't in a live buffer");
    is_refused("mov.u64 %rd4, -4; ld.global.u32 %r5, [%rd4];", "aren't in a live buffer");
    is_refused("mov.u64 %rd4, -4; ld.const.u32 %r5, [%rd4];", "aren't in a live buffer");
    is_refused("ld.param.u32 %r5, [k_param_0+-4];", "no such parameter");
    is_refused("ld.param.u64 %rd4, [k_param_0+8];", "no such parameter");
    passes("ld.param.u32 %r5, [k_param_0+4];");
#define OWN ".local .align 8 .b8 own[16]; mov.u64 %rd4, own; cvta.local.u64 %rd5, %rd4;"
    passes(OWN "st.local.u32 [%rd4+8], %r1; ld.u32 %r5, [%rd5+8]; st.global.u32 [%rd2], %r5;");
    assert_int_equal(words[40], 40);
    passes(OWN "st.u32 [%rd5+8], %r1; ld.local.u32 %r5, [%rd4+8]; st.global.u32 [%rd2], %r5;");
    is_refused(OWN "st.local.u32 [%rd4+16], %r1;", "aren't in the item's own memory");
    is_refused(OWN "st.local.u32 [%rd4+-4], %r1;", "aren't in the item's own memory");
    is_refused(OWN "st.u32 [%rd5+-4], %r1;", "");
    is_refused(OWN "st.local.u32 [%rd4+2], %r1;", "no multiple of 4");
    is_refused(OWN "mov.u64 %rd4, -4; st.local.u32 [%rd4], %r1;", "own memory");
    is_refused("mov.u32 %r5, -4; ld.shared.u32 %r6, [%r5];", "the group's shared memory");
    is_refused("mov.u64 %rd4, -4; ld.shared.u32 %r6, [%rd4];", "the group's shared memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(addresses_are_checked, try_setup),
        cmocka_unit_test_setup(races_are_found, try_setup),
        cmocka_unit_test_setup(groups_keep_apart, try_setup),
        cmocka_unit_test_setup(copies_must_be_waited_for, try_setup),
        cmocka_unit_test_setup(warps_must_be_whole, try_setup),
        cmocka_unit_test_setup(mbarriers_end_phases, try_setup),
        cmocka_unit_test_setup(what_isnt_known_is_said, try_setup),
        cmocka_unit_test_setup(a_text_that_breaks_off_is_no_crash, try_setup),
        cmocka_unit_test_setup(odd_texts_are_refused, try_setup),
        cmocka_unit_test_setup(odd_operands_are_refused, try_setup),
        cmocka_unit_test_setup(addresses_do_not_wrap, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
