/* Which cases there are, in which order, and what they are called. */
#ifndef TTM_CONFORMANCE_PLAN_H
#define TTM_CONFORMANCE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Kinds of cases, in the order of a run. */
typedef enum plan_section {
    PLAN_DEVICE = 0,   /* "memory/zero_bytes": a promise of ttm/backend.h besides ops */
    PLAN_OPS = 1,      /* "matmul/3": an op of the plugin */
    PLAN_LIBTTM = 2,   /* "libttm/matmul/3": an op that it lacks, through libttm */
    PLAN_REFUSALS = 3, /* "errors/matmul": descriptors that nobody may accept */
    PLAN_CLOSE = 4,    /* "device/close": how the process that ran the others ended */
    PLAN_END = 5
} plan_section;

/** A case: a section, a test or opcode in it, and its number. Zeroed: where a run begins. */
typedef struct plan_position {
    int32_t section;
    int32_t item;
    uint64_t index;
} plan_position;

enum { PLAN_NAME_BYTES = 96 };

/** Writes a case's name. */
void plan_name(char name[PLAN_NAME_BYTES], const plan_position *position);

/** Writes the name of the group that a case is counted in: "memory", "matmul", "libttm", "errors".
 */
void plan_group(char name[PLAN_NAME_BYTES], const plan_position *position);

/** Returns whether `filter` selects a name: it is the name, a folder of it, or a shell pattern that
 * fits it. NULL selects all. */
bool plan_selects(const char *filter, const char *name);

/** Moves *position on to the next case that `filter` selects, itself included; false after the
 * last. Ops have `cases` cases each. */
bool plan_find(plan_position *position, const char *filter, uint64_t cases);

#endif
