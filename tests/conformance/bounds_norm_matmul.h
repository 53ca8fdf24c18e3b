/* The bound of NORM_MATMUL. */
#ifndef TTM_CONFORMANCE_BOUNDS_NORM_MATMUL_H
#define TTM_CONFORMANCE_BOUNDS_NORM_MATMUL_H

#include "conformance/bounds.h"

/** Units of round-off: of sums, of the output's type, and of n's where that may be rounded, else 0.
 */
typedef struct norm_matmul_units {
    double sum;
    double output;
    double normed;
} norm_matmul_units;

/** As bound_compute, for the only output. */
TTM_CHECKED ttm_status bound_norm_matmul(double *bounds, const bound_question *q,
                                         const norm_matmul_units *units);

#endif
