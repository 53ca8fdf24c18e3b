/* Which variant of the kernel on matrix units, and how many pieces, are fastest for products. */
#ifndef TTM_OPENCL_MATRIX_UNITS_TUNE_H
#define TTM_OPENCL_MATRIX_UNITS_TUNE_H

#include "opencl/matrix_units_tuned.h"

/** Returns whether the device has matrix units to tune. */
int opencl_units_can_tune(const ttm_backend_device *device);

/** Measures for about `seconds`, one product of `ops` for each class, and adds to *tuned what is
 * fastest. Afterwards the device uses *tuned. */
ttm_status opencl_units_tune(opencl_tuned_units *tuned, ttm_backend_device *device,
                             const ttm_op *ops, size_t op_count, double seconds);

#endif
