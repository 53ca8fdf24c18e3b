/* Sums and maxima over a work-group of GROUP items in one dimension, by a fixed tree: the same
 * inputs give the same bits. `scratch` holds GROUP floats of local memory; every item of the group
 * calls these, and gets the result. With GROUP 1 nothing is left of them. */

#if GROUP == 1
#define DECLARE_SCRATCH(name) __local float *name = 0
inline float group_sum(float value, __local float *scratch)
{
    return value;
}

inline float group_max(float value, __local float *scratch)
{
    return value;
}
#else
#define DECLARE_SCRATCH(name) __local float name[GROUP]
#define DEFINE_GROUP_FOLD(NAME, COMBINE)                                    \
    inline float NAME(float value, __local float *scratch)                  \
    {                                                                       \
        const int item = get_local_id(0);                                   \
        scratch[item] = value;                                              \
        barrier(CLK_LOCAL_MEM_FENCE);                                       \
        for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {    \
            if (item < half_size) {                                         \
                scratch[item] = COMBINE(scratch[item], scratch[item + half_size]); \
            }                                                               \
            barrier(CLK_LOCAL_MEM_FENCE);                                   \
        }                                                                   \
        const float result = scratch[0];                                    \
        barrier(CLK_LOCAL_MEM_FENCE);                                       \
        return result;                                                      \
    }
#define SUM_OF_TWO(a, b) ((a) + (b))
DEFINE_GROUP_FOLD(group_sum, SUM_OF_TWO)
DEFINE_GROUP_FOLD(group_max, fmax)
#endif

/* Totals of columns over parts [parts, cols]: too few columns to keep a GPU busy, so PART_ITEMS items
 * share one: each adds every PART_ITEMS-th part, and the first of them what they found, in order. A
 * group is (COL_ITEMS, PART_ITEMS); on CPUs PART_ITEMS is 1. Every item of the group calls it. */
#ifdef PART_ITEMS
#if PART_ITEMS == 1
#define DECLARE_COLUMN_SCRATCH(name) __local float *name = 0
inline fvec column_total(fvec value, __local float *scratch)
{
    return value;
}
#else
#define DECLARE_COLUMN_SCRATCH(name) __local float name[PART_ITEMS * COL_ITEMS]
inline float column_total(float value, __local float *scratch)
{
    const int item = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[get_local_id(1) * COL_ITEMS + item] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    float total = scratch[item];
    for (int part = 1; part < PART_ITEMS; part++) {
        total += scratch[part * COL_ITEMS + item];
    }
    return total;
}
#endif
#define COLUMN_KERNEL __kernel __attribute__((reqd_work_group_size(COL_ITEMS, PART_ITEMS, 1)))
#endif

#define ROW_KERNEL __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
