/* Running a contraction plan on a device. */
#ifndef TTM_TT_PLAN_RUN_H
#define TTM_TT_PLAN_RUN_H

#include <ttm/compute.h>
#include <ttm/tt_plan.h>

/** The tensors of a plan. Cores are [1, r, n, m, r'] with contiguous inner dimensions, x, dy and
 * results [rows, …] with any row stride. */
typedef struct ttm_tt_plan_tensors {
    const ttm_tensor *x;      /**< x; dy in the input gradient. */
    const ttm_tensor *dy;     /**< Core gradients only. */
    const ttm_tensor *cores;  /**< core_count cores. */
    const ttm_tensor *result; /**< y or dx, written; NULL for core gradients. */
    const ttm_tensor *dcores; /**< core_count gradients, added to; NULL otherwise. */
} ttm_tt_plan_tensors;

/** Runs a plan's steps on `stream`, with scratch from ttm_scratch_take (so it must be inside an
 * op). A permutation that needs more than TTM_MAX_RANK dimensions, as with five cores or more, is
 * several copies. */
TTM_CHECKED ttm_status ttm_tt_plan_run(ttm_stream *stream, const ttm_tt_plan *plan,
                                       const ttm_tt_plan_tensors *tensors);

#endif
