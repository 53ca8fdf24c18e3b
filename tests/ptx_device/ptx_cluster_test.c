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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(groups_know_their_place, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
