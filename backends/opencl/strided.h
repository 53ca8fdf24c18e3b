/* Strided tensors of one shape, with neighbouring dimensions merged: what elementwise kernels walk
 * over. */
#ifndef TTM_OPENCL_STRIDED_H
#define TTM_OPENCL_STRIDED_H

#include "opencl/op.h"

enum { OPENCL_STRIDED_TENSORS = 3 };

/** One shape, and the strides of up to three tensors. The inner dimension is apart; dimensions 0 …
 * outer_rank − 1 are around it, in row-major order. */
typedef struct opencl_strided {
    int64_t inner; /**< Extent of the inner dimension. */
    int64_t rows;  /**< Product of the outer extents. */
    int32_t outer_rank;
    int64_t shape[8];
    int64_t strides[OPENCL_STRIDED_TENSORS][8];
    int64_t inner_strides[OPENCL_STRIDED_TENSORS];
} opencl_strided;

/** Merges what can be merged in all `count` tensors at once; absent ones count as the first. */
void opencl_strided_make(opencl_strided *strided, const ttm_tensor *const *tensors, int count);

/** Returns whether all tensors are one run of neighbours. */
int opencl_strided_is_flat(const opencl_strided *strided, int count);

/** Global and local size of a launch with `items` work-items along the inner dimension. */
void opencl_strided_launch(size_t global[2], size_t local[2], const ttm_backend_device *device,
                           const opencl_strided *strided, int64_t items);

#endif
