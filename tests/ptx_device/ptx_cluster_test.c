/* The interpreter's clusters: what groups of one may do to each other's shared memory, and what
 * must be refused. */
#include "ptx_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT = 8192 };

#define PAIR ".explicitcluster .reqnctapercluster 2, 1, 1"

/* A cluster of two groups, each of two warps. */
static int setup(void **state)
{
    try_setup(state);
    trial.limits = PAIR;
    trial.groups = 2;
    trial.word_count = TRY_MOST_WORDS;
    return 0;
}

/* The group's rank in %r10, the other one's in %r11; %p5: the first item of group 0, %p6: of group
 * 1. */
#define RANKS                                                                          \
    "mov.u32 %r10, %cluster_ctarank; xor.b32 %r11, %r10, 1; setp.eq.u32 %p7, %r10, 0;" \
    "and.pred %p5, %p7, %p2; not.pred %p8, %p7; and.pred %p6, %p8, %p2;"
#define ARRIVE  "barrier.cluster.arrive.release.aligned;"
#define RELAXED "barrier.cluster.arrive.relaxed.aligned;"
#define WAIT    "barrier.cluster.wait.acquire.aligned;"
#define MEET    ARRIVE WAIT

/* ---- Shapes and names ---- */

static void groups_know_their_place(void **state)
{
    (void)state;
    static const char *const names[] = {
        "%clusterid.x",     "%clusterid.y",      "%clusterid.z",      "%nclusterid.x",
        "%nclusterid.y",    "%nclusterid.z",     "%cluster_ctaid.x",  "%cluster_ctaid.y",
        "%cluster_ctaid.z", "%cluster_nctaid.x", "%cluster_nctaid.y", "%cluster_nctaid.z",
        "%cluster_ctarank", "%cluster_nctarank"};
    enum { NAMES = sizeof names / sizeof names[0], COLUMNS = 4, ROWS = 6 };
    static char body[TEXT];
    trial.limits = ".reqntid 64, 1, 1 .reqnctapercluster 2, 3 .explicitcluster .maxnreg 128";
    trial.groups = COLUMNS;
    trial.group_rows = ROWS;
    strcpy(body, "mov.u32 %r5, %ctaid.y; mov.u32 %r6, %ctaid.x; shl.b32 %r5, %r5, 2;"
                 "add.s32 %r5, %r5, %r6; mul.wide.u32 %rd4, %r5, 64; add.s64 %rd4, %rd1, %rd4;");
    for (int i = 0; i < NAMES; i++) {
        sprintf(body + strlen(body), "mov.u32 %%r7, %s; @%%p2 st.global.u32 [%%rd4+%d], %%r7;",
                names[i], 4 * i);
    }
    strcat(body, "mov.pred %p3, %is_explicit_cluster; selp.b32 %r7, 1, 0, %p3;"
                 "@%p2 st.global.u32 [%rd4+60], %r7;");
    passes(body);
    for (uint32_t y = 0; y < ROWS; y++) {
        for (uint32_t x = 0; x < COLUMNS; x++) {
            const uint32_t expected[NAMES] = {
                x / 2, y / 3, 0, 2, 2, 1, x % 2, y % 3, 0, 2, 3, 1, y % 3 * 2 + x % 2, 6};
            const uint32_t *found = &words[16 * (y * COLUMNS + x)];
            assert_memory_equal(found, expected, sizeof expected);
            assert_int_equal(found[15], 1);
        }
    }
    trial.limits = "";
    trial.group_rows = 1;
    passes("mov.u32 %r5, %cluster_nctarank; mov.u32 %r6, %cluster_ctarank; mov.u32 %r7, %ctaid.x;"
           "mov.u32 %r8, %clusterid.x; setp.ne.u32 %p3, %r7, 3; @%p3 ret;"
           "@%p2 st.global.v4.u32 [%rd1], {%r5, %r6, %r7, %r8};" MEET);
    const uint32_t alone[] = {1, 0, 3, 3};
    assert_memory_equal(words, alone, sizeof alone);
}

static void clusters_fit_the_grid(void **state)
{
    (void)state;
    passes("mov.u32 %r5, 0;");
    trial.groups = 3;
    is_refused("mov.u32 %r5, 0;", "3x1x1 groups aren't clusters of 2x1x1 groups");
    trial.limits = ".reqnctapercluster 1, 2";
    is_refused("mov.u32 %r5, 0;", "3x1x1 groups aren't clusters of 1x2x1 groups");
    trial.group_rows = 4;
    passes("mov.u32 %r5, 0;");
    trial.limits = ".reqnctapercluster 3, 3";
    is_refused("mov.u32 %r5, 0;", "a cluster of 3x3x1 groups is more than 8");
    trial.limits = ".reqnctapercluster 65536, 65536, 1";
    is_refused("mov.u32 %r5, 0;", "is more than 8");
    trial.limits = ".reqnctapercluster 0";
    is_refused("mov.u32 %r5, 0;", "without groups");
    trial.limits = ".explicitcluster";
    is_refused("mov.u32 %r5, 0;", ".explicitcluster without .reqnctapercluster");
}

#define PLAIN "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"

static void groups_of_a_cluster_are_groups(void **state)
{
    (void)state;
    is_refused("st.global.u32 [%rd2], %r1;", "is written by two groups");
    is_refused("ld.shared.u32 %r6, [%r2];", "k, group 0,0,0, warp 0");
    /* In the second cluster the second group goes first. */
    trial.groups = 4;
    is_refused("mov.u32 %r5, %clusterid.x; setp.eq.u32 %p3, %r5, 0; @%p3 ret;"
               "ld.shared.u32 %r6, [%r2];",
               "k, group 3,0,0, warp 0");
}

static void clusters_need_their_target(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        ARRIVE,
        WAIT,
        "mapa.shared::cluster.u32 %r5, %r3, 0;",
        "mov.u32 %r5, %cluster_ctarank;",
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r3];",
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r3], %r5;",
        "fence.mbarrier_init.release.cluster;",
        PLAIN " [%r5], [%rd1], %r6, [%r3];",
    };
    trial.target = "sm_80";
    is_refused("mov.u32 %r5, 0;", "clusters need the target sm_90");
    trial.limits = "";
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        is_refused(bodies[i], "clusters need the target sm_90");
    }
    trial.target = "sm_90";
    passes(MEET);
    is_refused("barrier.cluster.arrive.acquire;", "barrier.cluster.arrive.acquire");
    is_refused("barrier.cluster.wait.relaxed;", "barrier.cluster.wait.relaxed");
    is_refused("mbarrier.arrive.release.shared.b64 _, [%r3];", "mbarrier.arrive.release");
    is_refused("mbarrier.try_wait.parity.shared::cluster.b64 %p3, [%r3], %r5;",
               "mbarrier.try_wait");
    is_refused("mapa.shared::cluster.u32 %rd4, %r3, 0;", "this form of mapa");
    is_refused("mapa.shared::cluster.u32 %r5, %r3;", "this form of mapa");
}

/* ---- The barrier of the cluster ---- */

#define LOOP(name) \
    "mov.u32 %r9, 0; " name ": add.s32 %r9, %r9, 1; setp.lt.u32 %p3, %r9, 500; @%p3 bra " name ";"
/* An mbarrier of one arrival at the beginning of shared memory. */
#define MAKE  "@%p2 mbarrier.init.shared.b64 [%r3], 1;"
#define FENCE "@%p2 fence.mbarrier_init.release.cluster;"
#define READY RANKS MAKE FENCE MEET
/* Waits for the mbarrier's first phase. */
#define UNTIL(scope) \
    "mov.u32 %r8, 0; again: mbarrier.try_wait.parity" scope " %p4, [%r3], %r8; @!%p4 bra again;"
#define IN_GROUP   ".shared.b64"
#define IN_CLUSTER ".acquire.cluster.shared::cta.b64"

static void all_of_a_cluster_meet(void **state)
{
    (void)state;
    passes(MEET MEET MEET);
    passes("barrier.cluster.arrive; barrier.cluster.wait; barrier.cluster.arrive.release;"
           "barrier.cluster.wait.acquire; barrier.cluster.arrive.relaxed; barrier.cluster.wait;");
    /* Who has exited counts as arrived, whole groups, warps and lanes. */
    passes(RANKS "@%p8 ret;" MEET MEET);
    passes("@!%p1 ret;" MEET MEET);
    passes("@%p2 ret;" MEET MEET);
    passes(RANKS "@%p7 bra over;" ARRIVE "ret; over: " MEET);
    is_refused(RANKS "@%p7 bra over;" MAKE "bar.sync 0;" UNTIL(IN_GROUP) "over: bar.sync 0;" MEET,
               "waits for ever");
    is_refused(RANKS "@%p7 bra over; @!%p1 bra over; bar.sync 0; over: " MEET,
               "others of the cluster don't come to this barrier");
    is_refused("@%p2 bra over;" MEET "over: bar.warp.sync 0xffffffff;",
               "not all lanes of the warp");
    is_refused("@%p2 " ARRIVE WAIT, "not all lanes of the warp");
    is_refused(ARRIVE ARRIVE WAIT, "twice without a wait");
    is_refused(WAIT, "without having arrived");
    is_refused(MEET WAIT, "without having arrived");
    /* Of a group's own warps as well. */
#define OTHER "sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r5, %r3, %r5;"
    passes(OTHER "st.shared.u32 [%r2], %r1;" MEET "ld.shared.u32 %r6, [%r5];");
    is_refused(OTHER "st.shared.u32 [%r2], %r1;" RELAXED WAIT "ld.shared.u32 %r6, [%r5];", "race");
}

/* ---- Arrivals on another group's mbarrier ---- */

#define MAP(rank) "mapa.shared::cluster.u32 %r12, %r3, " rank ";"
#define SEND      "@%p5 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r12];"
/* Group 1 waits. */
#define RECEIVE "@%p7 bra over;" UNTIL(IN_CLUSTER) "over: "

static void arrivals_reach_other_groups(void **state)
{
    (void)state;
    passes(READY MAP("%r11") SEND RECEIVE);
    passes(READY "mapa.shared::cluster.u32 %r12, %r3, 1;" SEND RECEIVE);
    /* By 64 bits; at the own group, where an address is what it is. */
    passes(READY "cvt.u64.u32 %rd4, %r3; mapa.shared::cluster.u64 %rd5, %rd4, %r11;"
                 "@%p5 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%rd5];" RECEIVE);
    passes(READY MAP(
        "%r10") "setp.ne.u32 %p3, %r12, %r3; @%p3 bra out;"
                "@%p2 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r12];" UNTIL(
                    IN_GROUP) "out: ");
    passes(READY
           "@%p2 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r3];" UNTIL(IN_GROUP));
    /* From there and back. */
    passes(
        READY MAP("%r11") "mapa.shared::cluster.u32 %r12, %r12, %r10; setp.ne.u32 %p3, %r12, %r3;"
                          "@%p3 bra out; mov.u32 %r8, 16; @%p5 mbarrier.arrive.expect_tx.release."
                          "cluster.shared::cluster.b64 _, [%r12], %r8; out: ");
    is_refused(READY MAP("2") SEND, "group 2 of a cluster of 2");
    is_refused(READY MAP("-1") SEND, "of a cluster of 2");
    is_refused(READY MAP("%r11") "add.s32 %r12, %r12, 0x2000000;" SEND,
               "in no group's shared memory");
    is_refused(READY MAP("%r11") "@%p5 mbarrier.arrive.shared.b64 _, [%r12];",
               "there is no mbarrier");
    is_refused(READY MAP("%r11") "add.s32 %r12, %r12, 8;" SEND RECEIVE, "there is no mbarrier at");
    is_refused(READY MAP("%r11") SEND SEND RECEIVE, "waits for ever");
    is_refused(READY MAP("%r11") RECEIVE, "waits for ever");
}

static void others_must_have_started(void **state)
{
    (void)state;
    /* Whoever comes first, and however late. */
    is_refused(RANKS MAKE FENCE MAP("%r11") SEND RECEIVE, "may not have started");
    is_refused(RANKS MAKE FENCE MAP("%r11") LOOP("late") SEND RECEIVE, "may not have started");
    is_refused(RANKS MAKE FENCE ARRIVE MAP("%r11") LOOP("late") SEND RECEIVE WAIT,
               "may not have started");
    is_refused(RANKS MEET MAP("%r11") SEND MAKE FENCE RECEIVE, "there is no mbarrier");
    is_refused(RANKS MEET MAKE FENCE MAP("%r11") LOOP("late") SEND RECEIVE,
               "a race with the mbarrier's initialisation");
    /* A relaxed arrival makes known what fence.mbarrier_init has released, no more. */
    passes(RANKS MAKE FENCE RELAXED WAIT MAP("%r11") SEND RECEIVE);
    is_refused(RANKS MAKE RELAXED WAIT MAP("%r11") SEND RECEIVE,
               "a race with the mbarrier's initialisation");
    is_refused(RANKS MAKE RELAXED FENCE WAIT MAP("%r11") SEND RECEIVE,
               "a race with the mbarrier's initialisation");
    is_refused(RANKS MAKE "fence.proxy.async;" RELAXED WAIT MAP("%r11") SEND RECEIVE,
               "a race with the mbarrier's initialisation");
}

static void others_must_not_have_exited(void **state)
{
    (void)state;
    passes(READY MAP("%r11") SEND MEET);
    is_refused(READY MAP("%r11") SEND, "exit");
    is_refused(READY "@%p8 ret;" MAP("%r11") LOOP("late") SEND,
               "group 1 of the cluster has exited");
    is_refused(READY MAP("%r11") SEND "@%p7 ret;" LOOP("late"),
               "the group exits, and an arrival by warp 0 of the cluster's group 0");
    is_refused(READY MAP("%r11") SEND RELAXED WAIT, "the group exits, and an arrival");
    /* One of the group's warps is enough. */
    passes(READY MAP("%r11") SEND "@%p7 ret; @%p1 ret;" UNTIL(IN_CLUSTER));
}

/* ---- Copies ---- */

#define MULTICAST PLAIN ".multicast::cluster"
/* Each group expects bytes at 1024; group 0 copies 256 of them. */
#define EXPECT(bytes)                                                   \
    "mov.u32 %r7, " bytes "; mov.u32 %r6, 256; add.s32 %r5, %r3, 1024;" \
    "@%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r7;"
#define TO(mask) "mov.u16 %rs1, " mask "; @%p5 " MULTICAST " [%r5], [%rd1], %r6, [%r3], %rs1;"
/* Each item's word, to 4096 and, for group 1, 256 bytes further. */
#define TAKE                                                                                      \
    "ld.shared.u32 %r9, [%r2+1024]; shl.b32 %r13, %r10, 8; cvt.u64.u32 %rd4, %r13; add.s64 %rd4," \
    "%rd4, %rd2; st.global.u32 [%rd4+4096], %r9;"

static void copies_reach_several_groups(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) {
        words[i] = random_word();
    }
    passes(READY EXPECT("256") TO("3") UNTIL(IN_GROUP) TAKE);
    assert_memory_equal(words, words + 1024, 256);
    assert_memory_equal(words, words + 1024 + 64, 256);
    memset(words + 1024, 0, 512);
    passes(READY EXPECT("256") "@%p5 " MULTICAST " [%r5], [%rd1], %r6, [%r3], 3;" UNTIL(IN_GROUP)
               TAKE);
    assert_memory_equal(words, words + 1024 + 64, 256);
    /* To the other one alone, both ways of saying so. */
#define GROUP_1 "@%p7 bra over; " EXPECT("256") UNTIL(IN_GROUP) TAKE "over: ret;"
#define SET     "mov.u32 %r6, 256; add.s32 %r5, %r3, 1024;"
    passes(READY SET TO("2") GROUP_1);
    passes(READY SET MAP("1") "mapa.shared::cluster.u32 %r14, %r5, 1; @%p5 " PLAIN
                              " [%r14], [%rd1], %r6, [%r12];" GROUP_1);
    is_refused(READY SET MAP("1") "@%p5 " PLAIN " [%r5], [%rd1], %r6, [%r12];" GROUP_1,
               "a copy to group 0 that completes on an mbarrier of group 1");
    is_refused(READY EXPECT("256") TO("7"), "a copy to the groups 0x7 of a cluster of 2");
    is_refused(READY EXPECT("256") TO("32768"), "a copy to the groups 0x8000");
    is_refused(READY EXPECT("256") TO("0"), "a copy to the groups 0x0");
    is_refused(READY EXPECT("256") TO("1") UNTIL(IN_GROUP), "waits for ever");
    is_refused(READY EXPECT("272") TO("3") UNTIL(IN_GROUP), "waits for ever");
    is_refused(READY EXPECT("256") TO("3") TAKE, "is read");
    is_refused(READY EXPECT("256") TO("3") MEET TAKE, "is read in a race with a write");
    is_refused(READY EXPECT("256") "@%p5 " MULTICAST " [%r5], [%rd1], %r6, [%r3];",
               "with 4 operands");
    is_refused(READY EXPECT("256") "@%p5 " PLAIN " [%r5], [%rd1], %r6, [%r3], 3;",
               "with 5 operands");
    is_refused(RANKS MAKE MEET EXPECT("256") TO("3") UNTIL(IN_GROUP),
               "initialisation wasn't fenced");
    is_refused(RANKS MAKE MEET FENCE EXPECT("256") TO("3") UNTIL(IN_GROUP),
               "initialisation wasn't fenced");
    is_refused(RANKS MAKE FENCE "bar.sync 0;" EXPECT("256") TO("3") UNTIL(IN_GROUP),
               "may not have started");
    is_refused(RANKS MAKE FENCE RELAXED WAIT "@%p8 ret;" SET LOOP("late") TO("2"),
               "group 1 of the cluster has exited");
    is_refused(READY EXPECT("256") TO("3") LOOP("late") "@%p8 ret;" UNTIL(IN_GROUP),
               "exits with a copy under way");
}

/* What group 1 has read may be written by group 0 when that knows. */
#define FILLED RANKS MAKE FENCE "st.shared.u32 [%r2+1024], %r1; fence.proxy.async; bar.sync 0;"
#define READ   "ld.shared.u32 %r9, [%r2+1024];"

static void copies_race_with_other_groups(void **state)
{
    (void)state;
    passes(FILLED READ MEET SET TO("2") GROUP_1);
    is_refused(FILLED READ RELAXED WAIT SET TO("2") GROUP_1, "is written in a race with a");
    is_refused(FILLED MEET READ SET LOOP("late") TO("2") GROUP_1,
               "of group 1 of the cluster is written in a race with a read");
    /* Nor when group 0's own warps have met more often. */
    is_refused(FILLED MEET READ SET "@%p8 bra on; bar.sync 0; bar.sync 0; on: " LOOP("late") TO("2")
                   GROUP_1,
               "of group 1 of the cluster is written in a race with a read");
    is_refused(FILLED ARRIVE READ WAIT SET LOOP("late") TO("2") GROUP_1,
               "of group 1 of the cluster is written in a race with a read");
    is_refused(RANKS MAKE FENCE "st.shared.u32 [%r2+1024], %r1;" MEET SET TO("2") GROUP_1,
               "wasn't fenced for the asynchronous proxy");
}

/* ---- A ring of two stages ---- */

/* Each group copies its half of 512 bytes to both, five times. [0] and [8] tell of what has come,
 * [16] and [24] of what has been read, by both warps of both groups. */
#define RING_MAKE \
    RANKS "@%p2 mbarrier.init.shared.b64 [%r3], 1; @%p2 mbarrier.init.shared.b64 [%r3+8], 1;"
#define RING_EMPTY(count)                                \
    "@%p2 mbarrier.init.shared.b64 [%r3+16], " count ";" \
    "@%p2 mbarrier.init.shared.b64 [%r3+24], " count ";"
/* In this step: the stage's mbarriers in %r15 and %r16, the stage in %r17, the own half in %r18 and
 * %rd5. */
#define RING_STEP                                                                                 \
    "mov.u32 %r12, 0; mov.u32 %r30, 0; step: and.b32 %r13, %r12, 1; shr.u32 %r14, %r12, 1;"       \
    "and.b32 %r14, %r14, 1; shl.b32 %r15, %r13, 3; add.s32 %r15, %r3, %r15; add.s32 %r16, %r15, " \
    "16; shl.b32 %r17, %r13, 9; add.s32 %r17, %r3, %r17; add.s32 %r17, %r17, 1024;"               \
    "shl.b32 %r18, %r10, 8; shl.b32 %r19, %r12, 9; add.s32 %r19, %r19, %r18;"                     \
    "cvt.u64.u32 %rd5, %r19; add.s64 %rd5, %rd1, %rd5; add.s32 %r18, %r17, %r18;"
#define RING_FREE(scope)                                                             \
    "@!%p2 bra consume; xor.b32 %r20, %r14, 1; free: mbarrier.try_wait.parity" scope \
    " %p3, [%r16], "                                                                 \
    "%r20; @!%p3 bra free;"
#define RING_COPY                                                                         \
    "mov.u32 %r21, 512; mov.u32 %r22, 256; mov.u16 %rs1, 3;"                              \
    "mbarrier.arrive.expect_tx.shared.b64 _, [%r15], %r21;" MULTICAST " [%r18], [%rd5], " \
    "%r22, [%r15], %rs1; consume: "
#define RING_READ                                                                            \
    "full: mbarrier.try_wait.parity.shared.b64 %p4, [%r15], %r14; @!%p4 bra full;"           \
    "shl.b32 %r23, %r1, 3; add.s32 %r23, %r17, %r23; ld.shared.v2.u32 {%r24, %r25}, [%r23];" \
    "mad.lo.s32 %r30, %r30, 3, %r24; add.s32 %r30, %r30, %r25; bar.warp.sync 0xffffffff;"    \
    "and.b32 %r26, %r1, 31; setp.eq.u32 %p9, %r26, 0;"
#define RING_SAY(rank, form) \
    "mapa.shared::cluster.u32 %r27, %r16, " rank "; @%p9 mbarrier.arrive" form " _, [%r27];"
#define RING_SAY_BOTH RING_SAY("0", BY_CLUSTER) RING_SAY("1", BY_CLUSTER)
#define BY_CLUSTER    ".release.cluster.shared::cluster.b64"
#define RING_NEXT     "add.s32 %r12, %r12, 1; setp.lt.u32 %p0, %r12, 5; @%p0 bra step;"
#define RING_STORE                                                                            \
    "shl.b32 %r31, %r10, 8; cvt.u64.u32 %rd6, %r31; add.s64 %rd6, %rd6, %rd2; st.global.u32 " \
    "[%rd6+16384], %r30;"
#define RING_LOOP                   \
    RING_STEP RING_FREE(IN_CLUSTER) \
    RING_COPY RING_READ RING_SAY_BOTH RING_NEXT RING_STORE

static void a_ring_of_copies_runs(void **state)
{
    (void)state;
    enum { STEPS = 5, CLUSTERS = 3 };
    for (int i = 0; i < 128 * STEPS; i++) {
        words[i] = random_word();
    }
    passes(RING_MAKE RING_EMPTY("4") FENCE MEET RING_LOOP MEET);
    for (int item = 0; item < 128; item++) {
        uint32_t sum = 0;
        for (int step = 0; step < STEPS; step++) {
            const uint32_t *from = &words[128 * step + 2 * (item % 64)];
            sum = 3 * sum + from[0] + from[1];
        }
        assert_int_equal(words[4096 + item], sum);
    }
    passes(RING_MAKE RING_EMPTY("4") FENCE RELAXED WAIT RING_LOOP MEET);
    /* Other clusters, other groups first; nobody stores. */
    trial.groups = 2 * CLUSTERS;
    passes(RING_MAKE RING_EMPTY("4") FENCE MEET RING_STEP RING_FREE(IN_CLUSTER)
               RING_COPY RING_READ RING_SAY_BOTH RING_NEXT MEET);
}

#define RING_START RING_MAKE RING_EMPTY("4") FENCE MEET

static void a_ring_of_copies_needs_its_order(void **state)
{
    (void)state;
    /* Waits and arrivals that order within a group alone. */
    is_refused(RING_START RING_STEP RING_FREE(IN_GROUP)
                   RING_COPY RING_READ RING_SAY_BOTH RING_NEXT MEET,
               "of the cluster is written in a race with a");
    is_refused(RING_START RING_STEP RING_FREE(".acquire.cta.shared::cta.b64")
                   RING_COPY RING_READ RING_SAY_BOTH RING_NEXT MEET,
               "of the cluster is written in a race with a");
    is_refused(RING_START RING_STEP RING_FREE(IN_CLUSTER)
                   RING_COPY RING_READ RING_SAY("0", ".shared::cluster.b64")
                       RING_SAY("1", ".shared::cluster.b64") RING_NEXT MEET,
               "of the cluster is written in a race with a");
    is_refused(RING_START RING_STEP RING_FREE(IN_CLUSTER)
                   RING_COPY RING_READ RING_SAY("0", ".release.cta.shared::cluster.b64")
                       RING_SAY("1", ".release.cta.shared::cluster.b64") RING_NEXT MEET,
               "of the cluster is written in a race with a");
    /* Nobody tells the other group; one warp for both; without a wait; none for the warp's lanes.
     */
    is_refused(RING_MAKE RING_EMPTY("2") FENCE MEET RING_STEP RING_FREE(IN_CLUSTER)
                   RING_COPY RING_READ RING_SAY("%r10", BY_CLUSTER) RING_NEXT MEET,
               "of the cluster is written in a race with a");
    is_refused(RING_MAKE RING_EMPTY("3") FENCE MEET RING_STEP RING_FREE(IN_CLUSTER)
                   RING_COPY RING_READ RING_SAY_BOTH RING_NEXT MEET,
               "");
    is_refused(RING_START RING_STEP
               "@!%p2 bra consume;" RING_COPY RING_READ RING_SAY_BOTH RING_NEXT MEET,
               "is written in a race with a");
    is_refused(RING_MAKE RING_EMPTY("5") FENCE MEET RING_LOOP MEET,
               "this mbarrier's phase doesn't end");
    /* The beginning and the end. */
    is_refused(RING_MAKE RING_EMPTY("4") FENCE "bar.sync 0;" RING_LOOP MEET,
               "may not have started");
    is_refused(RING_MAKE RING_EMPTY("4") MEET RING_LOOP MEET, "initialisation wasn't fenced");
    is_refused(RING_START RING_LOOP, "exit");
    is_refused(RING_START RING_LOOP RELAXED WAIT, "the group exits, and an arrival");
    trial.groups = 4;
    is_refused(RING_START RING_LOOP, "exit");
}

/* ---- wgmma ---- */

#define PRODUCT                                                                                 \
    "{ .reg .pred p; setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 " \
    "{%f1, %f2, %f3, %f4}, %rd10, %rd11, p, 1, 1, 0, 0; }"
#define OPERANDS                                                                          \
    "mov.u32 %r6, 9216; cvt.u64.u32 %rd10, %r5; shr.u64 %rd10, %rd10, 4; add.s64 %rd11, " \
    "%rd10, 512; or.b64 %rd10, %rd10, 0x4000004000010000; or.b64 %rd11, %rd11, "          \
    "0x4000004000010000;"
#define BEGIN                                                                                 \
    READY EXPECT("9216") OPERANDS TO("3") UNTIL(IN_GROUP) "wgmma.fence.sync.aligned;" PRODUCT \
                                                          "wgmma.commit_group.sync.aligned;"
#define SETTLE "wgmma.wait_group.sync.aligned 0;"
#define AGAIN                                                      \
    "@%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r7;" TO( \
        "3") "mov.u32 %r8, 1;"                                     \
             "more: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra more;"

static void copies_wait_for_others_products(void **state)
{
    (void)state;
    trial.items = 128;
    trial.shared_bytes = 16384;
    passes(BEGIN SETTLE MEET AGAIN);
    is_refused(BEGIN MEET SETTLE AGAIN, "is written");
    /* Group 0 has waited, group 1 hasn't. */
    is_refused(
        BEGIN "@%p8 bra over;" SETTLE "over: " MEET AGAIN SETTLE,
        "of group 1 of the cluster is written while a wgmma that was not waited for reads it");
    is_refused(BEGIN "@%p8 bra over;" SETTLE "over: " MEET SETTLE LOOP("late") AGAIN,
               "of group 1 of the cluster is written in a race with a read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(groups_know_their_place, setup),
        cmocka_unit_test_setup(clusters_fit_the_grid, setup),
        cmocka_unit_test_setup(groups_of_a_cluster_are_groups, setup),
        cmocka_unit_test_setup(clusters_need_their_target, setup),
        cmocka_unit_test_setup(all_of_a_cluster_meet, setup),
        cmocka_unit_test_setup(arrivals_reach_other_groups, setup),
        cmocka_unit_test_setup(others_must_have_started, setup),
        cmocka_unit_test_setup(others_must_not_have_exited, setup),
        cmocka_unit_test_setup(copies_reach_several_groups, setup),
        cmocka_unit_test_setup(copies_race_with_other_groups, setup),
        cmocka_unit_test_setup(a_ring_of_copies_runs, setup),
        cmocka_unit_test_setup(a_ring_of_copies_needs_its_order, setup),
        cmocka_unit_test_setup(copies_wait_for_others_products, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
