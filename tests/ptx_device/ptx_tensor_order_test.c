/* The interpreter's tensor maps: who must release and acquire them, and when what they copy has
 * come.
 */
#include "ptx_try_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT = 16384 };

/* ---- Fences ---- */

static void maps_are_released_and_acquired(void **state)
{
    (void)state;
    static char without[TEXT];
    strcpy(without, body(START, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL));
#define RELEASED "who wrote it has not released it"
#define ACQUIRED "this lane has not acquired it"
    /* From launch to launch. */
    make();
    passes(copy_at(0, 0));
    is_refused(without, ACQUIRED);
    memset(words, 0, 128);
    passes(body(make_map(), NULL));
    is_refused(copy_at(0, 0), RELEASED);
    /* Another launch's fence isn't the writer's. */
    passes(RELEASE);
    is_refused(copy_at(0, 0), RELEASED);
    /* Nor is one before the last of its fields. */
    memset(words, 0, 128);
    passes(body(RELEASE, make_map(), NULL));
    is_refused(copy_at(0, 0), RELEASED);
    make();
    passes("@%p2 tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;");
    is_refused(copy_at(0, 0), RELEASED);
    /* In one launch. */
    static char made[TEXT];
    memset(words, 0, 128);
    strcpy(made, make_map());
    passes(body(made, RELEASE, copy_at(0, 0), NULL));
    is_refused(body(made, copy_at(0, 0), NULL), RELEASED);
    is_refused(body(made, RELEASE, without, NULL), ACQUIRED);
    is_refused(body(made, ACQUIRE, RELEASE, without, NULL), ACQUIRED);
    is_refused(body(made, RELEASE, ACQUIRE, made, RELEASE, without, NULL), ACQUIRED);
    passes(body(made, RELEASE, ACQUIRE, made, RELEASE, ACQUIRE, without, NULL));
}

/* Item 32 copies what item 0 has written, or item 1 does. */
#define OTHER(item)    "setp.eq.u32 %p5, %r1, " item ";"
#define BY_OTHER       "@%p5 " PLAIN " [%r6], [%rd1, {%r20, %r21}], [%r3];"
#define OTHER_ACQUIRES "@%p5 fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;"

static void lanes_know_of_releases(void **state)
{
    (void)state;
    static char made[TEXT];
    static char rest[TEXT];
    static const char *const others[] = {OTHER("32"), OTHER("1")};
    static const char *const meetings[] = {"bar.sync 0;", "bar.warp.sync 0xffffffff;"};
    strcpy(made, make_map());
    strcpy(rest, body(expect(box_bytes()), at(0, 0), "bar.sync 0;", BY_OTHER, UNTIL, NULL));
    for (int i = 0; i < 2; i++) {
        memset(words, 0, 128);
        passes(body(START, others[i], made, RELEASE, meetings[i], OTHER_ACQUIRES, rest, NULL));
        is_refused(body(START, others[i], made, RELEASE, LOOP("late"), OTHER_ACQUIRES, rest, NULL),
                   ACQUIRED);
        is_refused(body(START, others[i], made, meetings[i], LOOP("late"), RELEASE, LOOP("later"),
                        OTHER_ACQUIRES, rest, NULL),
                   ACQUIRED);
        is_refused(body(START, others[i], made, RELEASE, meetings[i], ACQUIRE, rest, NULL),
                   ACQUIRED);
        /* Another lane's release, or its warp's. */
        is_refused(body(START, others[i], made, meetings[i],
                        "@%p5 fence.proxy.tensormap::generic.release.gpu;", meetings[i],
                        OTHER_ACQUIRES, rest, NULL),
                   RELEASED);
        /* All lanes fence. */
        memset(words, 0, 128);
        passes(body(START, others[i], made, "fence.proxy.tensormap::generic.release.gpu;",
                    meetings[i], "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 0x80;", rest,
                    NULL));
    }
    /* Two write a map: both release it. */
    static char twice[TEXT];
    strcpy(twice, body(START, OTHER("32"), made, "bar.sync 0;",
                       "@%p5 tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;", NULL));
    passes(body(twice, RELEASE, "@%p5 fence.proxy.tensormap::generic.release.gpu; bar.sync 0;",
                OTHER_ACQUIRES, rest, NULL));
    is_refused(body(twice, RELEASE, "bar.sync 0;", OTHER_ACQUIRES, rest, NULL), RELEASED);
    is_refused(body(twice, "@%p5 fence.proxy.tensormap::generic.release.gpu; bar.sync 0;",
                    OTHER_ACQUIRES, rest, NULL),
               RELEASED);
}

static void groups_dont_share_new_maps(void **state)
{
    (void)state;
    trial.groups = 2;
    is_refused(body(make_map(), RELEASE, ACQUIRE, NULL), "is written by two groups");
    memset(words, 0, 128);
    is_refused(body("mov.u32 %r30, %ctaid.x; setp.eq.u32 %p7, %r30, 1; @%p7 bra acquire;",
                    make_map(), RELEASE, "ret; acquire: ", ACQUIRE, NULL),
               "is read by a group and written by another before");
    memset(words, 0, 128);
    trial.groups = 1;
    make();
    trial.groups = 2;
    passes(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL));
    is_refused(body(START, "mov.u32 %r30, %ctaid.x; setp.eq.u32 %p7, %r30, 1; @%p7 bra on;",
                    ACQUIRE, "on: ", expect(box_bytes()), at(0, 0), COPY, UNTIL, NULL),
               ACQUIRED);
    /* A map for each. */
    memset(words, 0, 256);
    passes(body("mov.u32 %r30, %ctaid.x; mul.wide.u32 %rd6, %r30, 128; add.s64 %rd1, %rd1, %rd6;",
                make_map(), RELEASE, START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, UNTIL,
                NULL));
}

/* ---- mbarriers, stages, clusters ---- */

static void boxes_come_late(void **state)
{
    (void)state;
    make();
    is_refused(body(START, ACQUIRE, expect(box_bytes() - 16), at(0, 0), COPY, UNTIL, NULL),
               "waits for ever");
    is_refused(body(START, ACQUIRE, expect(box_bytes() + 16), at(0, 0), COPY, UNTIL, NULL),
               "waits for ever");
    /* What lies outside counts. */
    passes(body(START, ACQUIRE, expect(box_bytes()), at(-1000, 0), COPY, UNTIL, NULL));
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, take(), NULL), "is read");
    is_refused(
        body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, "bar.sync 0;", take(), NULL),
        "is read in a race with a write");
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
               "exits with a copy under way");
    is_refused(body("@%p2 mbarrier.init.shared.b64 [%r3], 1; bar.sync 0; add.s32 %r6, %r3, 1024;",
                    ACQUIRE, expect(box_bytes()), at(0, 0), COPY, NULL),
               "initialisation wasn't fenced");
    /* A stage that is still read. */
    static char first[TEXT];
    strcpy(first, copy_at(0, 0));
#define SECOND                                                      \
    "@%p2 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], %r7;" COPY \
    "mov.u32 %r8, 1; more: mbarrier.try_wait.parity.shared.b64 %p4, [%r3], %r8; @!%p4 bra more;"
    passes(body(first, "bar.sync 0;", SECOND, NULL));
    is_refused(body(first, LOOP("late"), SECOND, NULL), "is written in a race with a read");
    is_refused(body(START, ACQUIRE, expect(box_bytes()), at(0, 0),
                    "st.shared.u32 [%r2+1024], %r1; bar.sync 0;", COPY, UNTIL, NULL),
               "the write before wasn't fenced for the asynchronous proxy");
}

#define PAIR ".explicitcluster .reqnctapercluster 2, 1, 1"
#define RANKS                                                                          \
    "mov.u32 %r30, %cluster_ctarank; xor.b32 %r31, %r30, 1; setp.eq.u32 %p7, %r30, 0;" \
    "and.pred %p5, %p7, %p2; not.pred %p8, %p7;"
#define MEET "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;"
#define READY                                              \
    RANKS "@%p2 mbarrier.init.shared.b64 [%r3], 1;"        \
          "@%p2 fence.mbarrier_init.release.cluster;" MEET \
          "add.s32 %r6, %r3, 1024; mov.u32 %r8, 0;"
#define MULTICAST(mask)                                                                       \
    "mov.u16 %rs1, " mask "; @%p5 " PLAIN ".multicast::cluster [%r6], [%rd1, {%r20, %r21}], " \
    "[%r3], %rs1;"

static void boxes_reach_several_groups(void **state)
{
    (void)state;
    make();
    trial.limits = PAIR;
    trial.groups = 2;
    /* Group 1 stores what group 0 has copied. */
    passes(body(READY, ACQUIRE, expect(box_bytes()), at(9, -2), MULTICAST("3"), UNTIL, "@%p7 ret;",
                take(), NULL));
    box_is_right(9, -2);
    memset(words + TRY_STAGE, 0, box_bytes());
    passes(body(READY, ACQUIRE, at(5, 30), MULTICAST("2"), "@%p7 ret;", expect(box_bytes()), UNTIL,
                take(), NULL));
    box_is_right(5, 30);
    memset(words + TRY_STAGE, 0, box_bytes());
    passes(body(READY, ACQUIRE, at(7, 7),
                "mapa.shared::cluster.u32 %r14, %r6, 1; mapa.shared::cluster.u32 %r15, %r3, 1;"
                "@%p5 " PLAIN " [%r14], [%rd1, {%r20, %r21}], [%r15]; @%p7 ret;",
                expect(box_bytes()), UNTIL, take(), NULL));
    box_is_right(7, 7);
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("1"), UNTIL, NULL),
               "waits for ever");
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("4"), UNTIL, NULL),
               "a copy to the groups 0x4 of a cluster of 2");
    is_refused(body(READY, at(0, 0), MULTICAST("3"), NULL), ACQUIRED);
    is_refused(body(READY, ACQUIRE, expect(box_bytes()), at(0, 0), "ld.shared.u32 %r9, [%r6];",
                    MULTICAST("3"), UNTIL, NULL),
               "is read before it was written");
    is_refused(body(READY,
                    "st.shared.u32 [%r2+1024], %r1; fence.proxy.async;" MEET
                    "ld.shared.u32 %r9, [%r2+1024]; bar.sync 0;" LOOP("late"),
                    ACQUIRE, expect(box_bytes()), at(0, 0), MULTICAST("3"), UNTIL, NULL),
               "of group 1 of the cluster is written in a race with a read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(maps_are_released_and_acquired, try_map_setup),
        cmocka_unit_test_setup(lanes_know_of_releases, try_map_setup),
        cmocka_unit_test_setup(groups_dont_share_new_maps, try_map_setup),
        cmocka_unit_test_setup(boxes_come_late, try_map_setup),
        cmocka_unit_test_setup(boxes_reach_several_groups, try_map_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
