/* Lanes of the interpreter that branch apart, leave, meet again, exchange numbers and load
 * matrices. */
#include "ptx_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 64, LANES = 32 };

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

/* Steps until 3n + 1 comes to 1, and how often the number was odd and beyond 40 on the way. */
static uint32_t steps_of(uint32_t n)
{
    uint32_t steps = 0;
    uint32_t large = 0;
    for (; n != 1; steps++) {
        if (n % 2 == 1) {
            large += n > 40;
            n = 3 * n + 1;
        } else {
            n /= 2;
        }
    }
    return steps << 16 | large;
}

static void branches_nest_in_loops(void **state)
{
    (void)state;
    passes("add.s32 %r5, %r1, 1; mov.u32 %r6, 0; mov.u32 %r7, 0;"
           "turn: setp.eq.u32 %p5, %r5, 1; @%p5 bra done;"
           "and.b32 %r8, %r5, 1; setp.eq.u32 %p6, %r8, 0; @%p6 bra even;"
           "setp.le.u32 %p7, %r5, 40; @%p7 bra small; add.s32 %r7, %r7, 1;"
           "small: mad.lo.s32 %r5, %r5, 3, 1; bra.uni next;"
           "even: shr.u32 %r5, %r5, 1;"
           "next: add.s32 %r6, %r6, 1; bra.uni turn;"
           "done: shl.b32 %r6, %r6, 16; or.b32 %r6, %r6, %r7; shfl.sync.bfly.b32 %r6, %r6, 31, "
           "0x1f, 0xffffffff; st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        assert_int_equal(words[item], steps_of((item ^ 31) + 1));
    }
}

static void lanes_leave(void **state)
{
    (void)state;
    for (uint32_t item = 0; item < ITEMS; item++) {
        words[item] = 99;
    }
    /* Every third by a guard, of the others those below 20 by a branch. */
    passes("rem.u32 %r5, %r1, 3; setp.eq.u32 %p5, %r5, 0; @%p5 ret;"
           "mov.u32 %r6, 1; setp.ge.u32 %p6, %r1, 20; @%p6 bra on; st.global.u32 [%rd2], %r6; ret;"
           "on: @!%p6 mov.u32 %r6, 3; @%p6 mov.u32 %r6, 2; st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        assert_int_equal(words[item], item % 3 == 0 ? 99 : item < 20 ? 1 : 2);
    }
    is_refused("@%p2 ret; shfl.sync.idx.b32 %r5, %r1, 5, 0x1f, 0xffffffff;", "not all 32 lanes");
    is_refused("@%p2 ret; bar.warp.sync 0xffffffff;", "not all lanes of the warp");
    is_refused("@%p2 ret; bar.sync 0;", "not all lanes of the warp");
}

/* Before an instruction for all those wait that come first, once these lanes, once those. */
static void lanes_wait_for_each_other(void **state)
{
    (void)state;
    passes("and.b32 %r5, %r1, 31; setp.lt.u32 %p5, %r5, 16; mov.u32 %r6, %r1; @%p5 bra low;"
           "first: shfl.sync.bfly.b32 %r6, %r6, 16, 0x1f, 0xffffffff; @!%p5 bra high;"
           "second: shfl.sync.bfly.b32 %r6, %r6, 1, 0x1f, 0xffffffff; bra.uni on;"
           "low: add.s32 %r6, %r6, 1000; bra.uni first;"
           "high: add.s32 %r6, %r6, 2000; bra.uni second;"
           "on: st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        const uint32_t lane = item % 32;
        assert_int_equal(words[item], (item ^ 17) + (lane < 16 ? 0 : 3000));
    }
}

/* Lane by lane another source; those without one keep their own. */
static void lanes_exchange(void **state)
{
    (void)state;
    for (int by = 0; by < 32; by += 7) {
        for (int way = 0; way < 4; way++) {
            static const char *const ways[] = {"bfly", "idx", "down", "up"};
            char body[300];
            snprintf(body, sizeof body,
                     "and.b32 %%r5, %%r1, 3; add.s32 %%r5, %%r5, %d; add.s32 %%r6, %%r1, 100;"
                     "shfl.sync.%s.b32 %%r6, %%r6, %%r5, %s, 0xffffffff; st.global.u32 [%%rd2], "
                     "%%r6;",
                     by, ways[way], way == 3 ? "0" : "0x1f");
            passes(body);
            for (int item = 0; item < ITEMS; item++) {
                const int lane = item % 32;
                const int shift = (by + lane % 4) % 32;
                const int sources[] = {lane ^ shift, shift, lane + shift, lane - shift};
                const int is_there = sources[way] >= 0 && sources[way] < 32;
                assert_int_equal(words[item], 100 + item - lane + (is_there ? sources[way] : lane));
            }
        }
    }
}

/* 32 rows of eight numbers lie in shared memory; the lanes name them out of order, so that no
 * order is right by chance. */
static void matrices_load(int count, int is_transposed)
{
    static const char *const registers[] = {"", "{%r10}", "{%r10, %r11}", "",
                                            "{%r10, %r11, %r12, %r13}"};
    char body[2000];
    trial.items = LANES;
    trial.word_count = 1024;
    for (int i = 0; i < 256; i++) {
        words[i] = random_word();
    }
    uint16_t numbers[512];
    memcpy(numbers, words, sizeof numbers);
    /* Lane l names the row at 16·((7·l + 3) mod 32) bytes. */
    snprintf(body, sizeof body,
             "mul.wide.u32 %%rd4, %%r1, 32; add.s64 %%rd4, %%rd1, %%rd4; shl.b32 %%r5, %%r1, 5;"
             "add.s32 %%r5, %%r3, %%r5; ld.global.v4.u32 {%%r20, %%r21, %%r22, %%r23}, [%%rd4];"
             "ld.global.v4.u32 {%%r24, %%r25, %%r26, %%r27}, [%%rd4+16];"
             "st.shared.v4.u32 [%%r5], {%%r20, %%r21, %%r22, %%r23};"
             "st.shared.v4.u32 [%%r5+16], {%%r24, %%r25, %%r26, %%r27};"
             "bar.warp.sync 0xffffffff; mad.lo.s32 %%r6, %%r1, 7, 3; and.b32 %%r6, %%r6, 31;"
             "shl.b32 %%r6, %%r6, 4; add.s32 %%r6, %%r3, %%r6;"
             "mov.u32 %%r11, 0; mov.u32 %%r12, 0; mov.u32 %%r13, 0;"
             "ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%r6];"
             "mul.wide.u32 %%rd5, %%r1, 16; add.s64 %%rd5, %%rd1, %%rd5;"
             "st.global.v4.u32 [%%rd5+2048], {%%r10, %%r11, %%r12, %%r13};",
             count, is_transposed ? ".trans" : "", registers[count]);
    passes(body);
    for (int lane = 0; lane < LANES; lane++) {
        for (int matrix = 0; matrix < count; matrix++) {
            uint32_t pair = 0;
            for (int half = 0; half < 2; half++) {
                int row = lane / 4;
                int col = lane % 4 * 2 + half;
                if (is_transposed) {
                    const int other = row;
                    row = col;
                    col = other;
                }
                const int from = (7 * (8 * matrix + row) + 3) % 32;
                pair |= (uint32_t)numbers[8 * from + col] << 16 * half;
            }
            assert_int_equal(words[512 + 4 * lane + matrix], pair);
        }
    }
}

static void ldmatrix_gives_fragments(void **state)
{
    (void)state;
    for (int count = 1; count <= 4; count *= 2) {
        matrices_load(count, 0);
        matrices_load(count, 1);
    }
}

static void ldmatrix_is_refused(void **state)
{
    (void)state;
    trial.items = LANES;
#define WRITTEN \
    "shl.b32 %r5, %r1, 4; add.s32 %r5, %r3, %r5; st.shared.v4.u32 [%r5], {%r1, %r1, %r1, %r1};"
#define LOAD "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r5];"
    passes(WRITTEN "bar.warp.sync 0xffffffff;" LOAD);
    is_refused(WRITTEN LOAD, "in a race with a write");
    is_refused(WRITTEN "bar.warp.sync 0xffffffff; add.s32 %r5, %r5, 8;" LOAD, "no multiple of 16");
    is_refused(WRITTEN "bar.warp.sync 0xffffffff; add.s32 %r5, %r5, 4096;" LOAD,
               "aren't in the group's shared memory");
    is_refused(WRITTEN "bar.warp.sync 0xffffffff; @%p2 bra over;" LOAD " over: ",
               "not all 32 lanes");
    is_refused(WRITTEN "bar.warp.sync 0xffffffff; @!%p2"
                       " " LOAD,
               "not all 32 lanes");
    is_refused(WRITTEN "bar.warp.sync 0xffffffff;"
                       "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r10, %r11, %r12}, [%r5];",
               "2 matrices to 3 registers");
    trial.items = 31;
    is_refused(WRITTEN "bar.warp.sync 0xffffffff;" LOAD, "not all 32 lanes");
}

static void barriers_have_numbers(void **state)
{
    (void)state;
    trial.items = 128;
    /* Two pairs of warps, each at its own barrier. */
#define PAIRS                                                                                 \
    "setp.lt.u32 %p5, %r1, 64; st.shared.u32 [%r2], %r1; xor.b32 %r5, %r1, 63; shl.b32 %r5, " \
    "%r5, 2; add.s32 %r5, %r3, %r5; @%p5 bra low; bar.sync 2, 64; bra.uni over; low: "
    passes(PAIRS "bar.sync 1, 64; over: ld.shared.u32 %r6, [%r5]; st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < 128; item++) {
        assert_int_equal(words[item], item ^ 63);
    }
    is_refused(PAIRS "bar.sync 1, 96; over: ld.shared.u32 %r6, [%r5];", "waits for ever");
    is_refused("bar.sync 1, 160;", "waits for ever");
    is_refused("@%p1 bra low; bar.sync 1, 128; ret; low: bar.sync 1, 64;",
               "wait for different numbers");
}

#define HUNDRED_TURNS \
    "mov.u32 %r5, 0; turn: add.s32 %r5, %r5, 1; setp.lt.u32 %p5, %r5, 100; @%p5 bra turn;"

/* Of two warps: the head that all bodies have, the loop and ret. */
enum { INSTRUCTIONS = 2 * (9 + 1 + 3 * 100 + 1) };

static void what_never_ends_is_ended(void **state)
{
    (void)state;
    is_refused("turn: bra turn;", "line 23 of the PTX, 'bra turn': doesn't end: its group has "
                                  "executed 100000000 instructions");
    assert_non_null(strstr(message, "k, group 0,0,0, warp "));
    trial.groups = 3;
    trial.most_instructions = INSTRUCTIONS;
    passes(HUNDRED_TURNS);
    trial.most_instructions--;
    is_refused(HUNDRED_TURNS, "'ret': doesn't end");
    trial.most_instructions = 10000;
    /* One lane, or one warp: the others wait for it. */
    is_refused("@!%p2 bra over; turn: bra.uni turn; over: bar.sync 0;", "'bra.uni turn'");
    is_refused("@!%p1 bra over; turn: bra.uni turn; over: bar.sync 0;", "warp 0, line 23");
    /* What another group would have to write. */
    is_refused("turn: ld.global.u32 %r5, [%rd1]; setp.ne.u32 %p5, %r5, 12345; @%p5 bra turn;",
               "doesn't end");
}

/* The first lane asks an mbarrier while the others of its warp already stand at the warp's barrier.
 */
#define ONE_LANE_ASKS(arrival)                                                               \
    "mov.u32 %r5, 1; mov.u32 %r6, 0; @%p2 mbarrier.init.shared.b64 [%r3], %r5; bar.sync 0; " \
    "@!%p1 bra second; @!%p2 bra meet; "                                                     \
    "ask: mbarrier.try_wait.parity.shared.b64 %p5, [%r3], %r6; @!%p5 bra ask; "              \
    "meet: bar.warp.sync 0xffffffff; bra over; "                                             \
    "second: mov.u32 %r7, 0; turn: add.s32 %r7, %r7, 1; setp.lt.u32 %p6, %r7, 1000; "        \
    "@%p6 bra turn; setp.eq.u32 %p7, %r1, 32; " arrival "over: st.global.u32 [%rd2], %r1;"

static void lanes_that_ask_are_waited_for(void **state)
{
    (void)state;
    passes(ONE_LANE_ASKS("@%p7 mbarrier.arrive.shared.b64 _, [%r3]; "));
    for (uint32_t item = 0; item < ITEMS; item++) {
        assert_int_equal(words[item], item);
    }
    is_refused(ONE_LANE_ASKS(""), "this mbarrier's phase doesn't end");
}

/* A loop that counts to 3 in %r6, as a compiler would put it into a kernel several times. */
#define COUNT_TO_3                                                                     \
    "{ .reg .pred p; mov.u32 %r5, 0; turn: add.s32 %r5, %r5, 1; add.s32 %r6, %r6, 1; " \
    "setp.lt.u32 p, %r5, 3; @p bra turn; @!p bra done; add.s32 %r6, %r6, 1000; done: }"

static void labels_belong_to_their_blocks(void **state)
{
    (void)state;
    passes("mov.u32 %r6, 0;" COUNT_TO_3 COUNT_TO_3 "{" COUNT_TO_3 "}"
           "st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        assert_int_equal(words[item], 9);
    }
    /* Of two with one name it is the nearer block's, wherever in it; else the block's around it. */
    passes("mov.u32 %r6, 0; bra over; back: add.s32 %r6, %r6, 100; bra out;"
           "over: add.s32 %r6, %r6, 1; { bra over; add.s32 %r6, %r6, 10; { over: bra back; } "
           "over: add.s32 %r6, %r6, 2; { bra back; } back: add.s32 %r6, %r6, 4; }"
           "bra back; out: st.global.u32 [%rd2], %r6;");
    for (uint32_t item = 0; item < ITEMS; item++) {
        assert_int_equal(words[item], 107);
    }
    is_refused("bra in; { in: add.s32 %r5, %r1, 1; }", "no label in that this branch sees");
    is_refused("{ in: add.s32 %r5, %r1, 1; } { bra in; }", "no label in that this branch sees");
    is_refused("{ in: } { in: } bra in;", "PTX, line 23: there is no label in");
    is_refused("{ in: add.s32 %r5, %r1, 1; { in: } in: }", "the label in twice");
    passes("{ { bra out; } } { out: } out: { out: }");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lanes_part_and_meet, try_setup),
        cmocka_unit_test_setup(branches_nest_in_loops, try_setup),
        cmocka_unit_test_setup(lanes_leave, try_setup),
        cmocka_unit_test_setup(lanes_wait_for_each_other, try_setup),
        cmocka_unit_test_setup(lanes_that_ask_are_waited_for, try_setup),
        cmocka_unit_test_setup(lanes_exchange, try_setup),
        cmocka_unit_test_setup(barriers_have_numbers, try_setup),
        cmocka_unit_test_setup(what_never_ends_is_ended, try_setup),
        cmocka_unit_test_setup(ldmatrix_gives_fragments, try_setup),
        cmocka_unit_test_setup(ldmatrix_is_refused, try_setup),
        cmocka_unit_test_setup(labels_belong_to_their_blocks, try_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
