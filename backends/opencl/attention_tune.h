/* By which unit attention is fastest, or by other kernels. */
#ifndef TTM_OPENCL_ATTENTION_TUNE_H
#define TTM_OPENCL_ATTENTION_TUNE_H

#include "opencl/attention_tuned.h"

/** Measures each class of ATTENTION and ATTENTION_BACKWARD among `ops` in all ways that the device
 * has for it, for at most about `seconds`, and says in *tuned which is fastest. Afterwards the
 * device uses *tuned. */
ttm_status opencl_attention_tune(opencl_tuned_attention *tuned, ttm_backend_device *device,
                                 const ttm_op *ops, size_t op_count, double seconds);

#endif
