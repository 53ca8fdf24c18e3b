/* Which attention of f32 tensors is faster split over matrix units. */
#ifndef TTM_OPENCL_ATTENTION_TUNE_H
#define TTM_OPENCL_ATTENTION_TUNE_H

#include "opencl/attention_tuned.h"

/** Measures each class of ATTENTION and ATTENTION_BACKWARD of f32 tensors among `ops` that could be
 * split both ways, for at most about `seconds`, and says in *tuned which way is faster.
 * Afterwards the device uses *tuned. */
ttm_status opencl_attention_tune(opencl_tuned_attention *tuned, ttm_backend_device *device,
                                 const ttm_op *ops, size_t op_count, double seconds);

#endif
