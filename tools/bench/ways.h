/* Orders of contraction of a TT-matrix: which there are, and which are worth measuring. */
#ifndef TTM_TOOLS_BENCH_WAYS_H
#define TTM_TOOLS_BENCH_WAYS_H

#include <ttm/device.h>
#include <ttm/tt_plan.h>

enum { BENCH_MOST_WAYS = 24 };

/** One order. */
typedef struct bench_way {
    ttm_tt_plan plan;
    double seconds; /**< What it should take. */
} bench_way;

/** ways[0 … *count − 1] = the orders that should be fastest for `rows` rows, fastest first, at most
 * `most` of them; *considered = how many there are. Of matrices of more than five cores not every
 * grouping of cores is considered. */
ttm_status bench_ways_find(bench_way *ways, size_t *count, size_t *considered, size_t most,
                           const ttm_tt_shape *shape, int64_t rows, ttm_tt_direction direction,
                           const ttm_tt_cost_model *model);

/** Returns "forward", "input gradient" or "core gradients". */
const char *bench_direction_name(ttm_tt_direction direction);

#endif
