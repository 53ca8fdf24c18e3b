/* How wrong each element of a result may be: the accuracy that ttm/ops.h states for each op,
 * evaluated on a case's own numbers. */
#ifndef TTM_CONFORMANCE_BOUNDS_H
#define TTM_CONFORMANCE_BOUNDS_H

#include "conformance/case.h"

/** What a bound is computed from. */
typedef struct bound_question {
    const conformance_case *made;
    const case_results *exact;    /**< What the op gives. */
    const case_results *absolute; /**< The same from absolute values: |·|_abs; zeroed for ops whose
                                     bound needs none. */
    const case_results
        *squared;  /**< The root of the same from squares: |·|_rss; zeroed likewise. */
    uint32_t slot; /**< The output concerned. */
} bound_question;

/** Returns whether an op's bound needs case_oracle's absolute results. */
bool bound_needs_absolute(ttm_opcode opcode);

/** The same for the results from squares. */
bool bound_needs_squared(ttm_opcode opcode);

/** bounds[i] = the largest |result − exact| allowed for element i of the slot. */
TTM_CHECKED ttm_status bound_compute(double *bounds, const bound_question *question);

#endif
