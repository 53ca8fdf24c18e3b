/* Runs plans on the host in double: the proof that a plan computes what it says. */
#ifndef TTM_TT_PLAN_EXECUTE_H
#define TTM_TT_PLAN_EXECUTE_H

#include <ttm/tt_plan.h>

/** Runs `plan` step by step.
 * Forward: result [rows, out] = y from x [rows, in]. Input gradient: result [rows, in] = dx, with
 * dy passed as x. Core gradients: core_gradients[k] (like core k) = dG of core k from x and dy
 * [rows, out]. What a direction doesn't use may be NULL. TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_tt_plan_execute_host(double *result, double *const *core_gradients,
                                                const ttm_tt_plan *plan, const double *x,
                                                const double *dy, const double *const *cores);

#endif
