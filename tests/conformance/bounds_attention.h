/* How wrong attention may be: the accuracy that ttm/ops.h states for ATTENTION and its backward. */
#ifndef TTM_CONFORMANCE_BOUNDS_ATTENTION_H
#define TTM_CONFORMANCE_BOUNDS_ATTENTION_H

#include "conformance/bounds.h"

/** As bound_compute, for ATTENTION. The units are the round-off of sums and of the output's type.
 */
TTM_CHECKED ttm_status bound_attention(double *bounds, const bound_question *question,
                                       double sum_unit, double output_unit);

/** The same for ATTENTION_BACKWARD. */
TTM_CHECKED ttm_status bound_attention_backward(double *bounds, const bound_question *question,
                                                double sum_unit, double output_unit);

#endif
