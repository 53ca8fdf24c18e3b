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
}

/* Every beginning of a text ends with a module or with a message. */
static void a_text_that_breaks_off_is_no_crash(void **state)
{
    (void)state;
    char text[8192];
    const size_t bytes = try_text(
        COPY MBARRIER
        "mov.u32 %r7, 0;" WAIT "ld.global.v2.u32 {%r5, %r6}, [%rd2+8]; "
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r5, %r6}, [%r2];"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r5, %r6, %r7, "
        "%r8}, {%r9, %r10}, {%f1, %f2, %f3, %f4};"
        "{ .reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
        "{%f1, %f2, %f3, %f4}, %rd4, %rd5, p, 1, 1, 0, 1; }"
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd4], %r6, "
        "[%r3]; @%p1 bra again;",
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
