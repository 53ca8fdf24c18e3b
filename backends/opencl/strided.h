/* Strided tensors of one shape, with neighbouring dimensions merged: what elementwise kernels walk
 * over. */
#ifndef TTM_OPENCL_STRIDED_H
#define TTM_OPENCL_STRIDED_H

#include "opencl/op.h"

enum { OPENCL_STRIDED_TENSORS = 3 };

/** One shape, and the strides of up to three tensors. The inner dimension is apart; dimensions 0 …
 * outer_rank − 1 are around it, the innermost first. */
typedef struct opencl_strided {
    int64_t inner; /**< Extent of the inner dimension. */
    int64_t rows;  /**< Product of the outer extents. */
    int32_t outer_rank;
    int64_t shape[8];
    uint32_t multipliers[8]; /**< What strided.cl divides by an extent with. */
    uint32_t shifts[8];
    int64_t strides[OPENCL_STRIDED_TENSORS][8];
    int64_t inner_strides[OPENCL_STRIDED_TENSORS];
} opencl_strided;

/** Merges what can be merged in all `count` tensors at once; absent ones count as the first. */
void opencl_strided_make(opencl_strided *strided, const ttm_tensor *const *tensors, int count);

/** Returns whether all tensors are one run of neighbours. */
int opencl_strided_is_flat(const opencl_strided *strided, int count);

/** Adds the arguments ROWS_PARAMETERS of strided.cl. */
void opencl_strided_arguments(opencl_call *call, const opencl_strided *strided);

/** Returns the kernels' macro WIDE_ROWS: whether there are more rows than 31 bits count. */
int opencl_strided_is_wide(const opencl_strided *strided);

/** Global and local size of a launch with `items` work-items along the inner dimension. */
void opencl_strided_launch(size_t global[2], size_t local[2], const ttm_backend_device *device,
                           const opencl_strided *strided, int64_t items);

#endif
