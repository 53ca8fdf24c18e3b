/* The order in which the cores of a TT-matrix are multiplied when the whole matrix W is built.
 *
 * Joining two neighbouring products needs no permutation: [r_first·…, r_middle] · [r_middle,
 * …·r_last]. Only the order is free, and it decides the cost; this header finds the cheapest order
 * by dynamic programming over intervals (microseconds for 8 cores). The last join is the split W =
 * L·R, which a backend runs as its one big product. It stands alone (C11, C++17) so that plugins,
 * which link nothing of libttm, use the same order as the planner. */
#ifndef TTM_TT_SPLIT_H
#define TTM_TT_SPLIT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most cores that a TT-matrix may have. */
#define TTM_TT_MAX_CORES 8

/** Join of the product of cores first … middle − 1 with the product of cores middle … last − 1
 * (counted from 0). */
typedef struct ttm_tt_join {
    int32_t first;
    int32_t middle;
    int32_t last;
} ttm_tt_join;

/** How W is built. `joins` are in an order that can be run as it stands: parts come before what
 * uses them, and the last one (if there is any) is {0, split, core_count}. */
typedef struct ttm_tt_build_order {
    int32_t core_count;
    int32_t
        split; /**< L = cores 0 … split − 1, R = the rest. 0 with a single core: nothing to join. */
    int32_t join_count; /**< core_count − 1. */
    ttm_tt_join joins[TTM_TT_MAX_CORES - 1];
    double macs; /**< Multiply-accumulates of all joins. */
} ttm_tt_build_order;

/** Returns the elements of the product of cores first … last − 1 without its two ranks: Π
 * in_modes·out_modes. */
static inline double ttm_tt_interval_size(const int64_t *in_modes, const int64_t *out_modes,
                                          int32_t first, int32_t last)
{
    double size = 1.0;
    for (int32_t core = first; core < last; core++) {
        size *= (double)in_modes[core] * (double)out_modes[core];
    }
    return size;
}

/** Finds the cheapest build of cores 0 … core_count − 1, where core k is [ranks[k], in_modes[k],
 * out_modes[k], ranks[k + 1]]. Needs 1 ≤ core_count ≤ TTM_TT_MAX_CORES and positive sizes, as
 * ttm_tt_shape_check ensures; with another core_count `build` is empty (core_count 0). Among equals
 * the leftmost split wins. Thread-safe. */
static inline void ttm_tt_build_split(ttm_tt_build_order *build, int32_t core_count,
                                      const int64_t *in_modes, const int64_t *out_modes,
                                      const int64_t *ranks)
{
    double cost[TTM_TT_MAX_CORES + 1][TTM_TT_MAX_CORES + 1];
    int32_t split[TTM_TT_MAX_CORES + 1][TTM_TT_MAX_CORES + 1];
    ttm_tt_join pending[TTM_TT_MAX_CORES];
    int32_t pending_count = 0;

    build->core_count = 0;
    build->split = 0;
    build->join_count = 0;
    build->macs = 0.0;
    if (core_count < 1 || core_count > TTM_TT_MAX_CORES) {
        return;
    }
    for (int32_t length = 1; length <= core_count; length++) {
        for (int32_t first = 0; first + length <= core_count; first++) {
            const int32_t last = first + length;
            const double result = (double)ranks[first] * (double)ranks[last] *
                                  ttm_tt_interval_size(in_modes, out_modes, first, last);
            cost[first][last] = 0.0;
            split[first][last] = first;
            for (int32_t middle = first + 1; middle < last; middle++) {
                const double macs =
                    cost[first][middle] + cost[middle][last] + result * (double)ranks[middle];
                if (split[first][last] == first || macs < cost[first][last]) {
                    cost[first][last] = macs;
                    split[first][last] = middle;
                }
            }
        }
    }
    build->core_count = core_count;
    build->join_count = core_count - 1;
    build->split = split[0][core_count];
    build->macs = cost[0][core_count];
    /* A join is written from the back, before the joins of its parts: so parts stand in front of
     * what uses them. */
    int32_t place = core_count - 1;
    pending[pending_count].first = 0;
    pending[pending_count].middle = 0;
    pending[pending_count++].last = core_count;
    while (pending_count > 0) {
        const ttm_tt_join part = pending[--pending_count];
        if (part.last - part.first < 2) {
            continue;
        }
        const int32_t middle = split[part.first][part.last];
        place--;
        build->joins[place].first = part.first;
        build->joins[place].middle = middle;
        build->joins[place].last = part.last;
        pending[pending_count].first = part.first;
        pending[pending_count].middle = 0;
        pending[pending_count++].last = middle;
        pending[pending_count].first = middle;
        pending[pending_count].middle = 0;
        pending[pending_count++].last = part.last;
    }
}

#ifdef __cplusplus
}
#endif

#endif
