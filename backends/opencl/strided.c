/* Merging dimensions, and launch sizes for rows of any length. */
#include "opencl/strided.h"

#include <string.h>

static const ttm_tensor *present_or_first(const ttm_tensor *const *tensors, int index)
{
    return ttm_tensor_present(tensors[index]) ? tensors[index] : tensors[0];
}

void opencl_strided_make(opencl_strided *strided, const ttm_tensor *const *tensors, int count)
{
    const ttm_tensor *first = tensors[0];
    int64_t shape[TTM_MAX_RANK + 1];
    int64_t strides[OPENCL_STRIDED_TENSORS][TTM_MAX_RANK + 1];
    int32_t merged = 0; /* dimensions so far, innermost first */
    memset(strided, 0, sizeof *strided);
    for (int32_t dim = first->rank - 1; dim >= 0; dim--) {
        const int64_t extent = first->shape[dim];
        if (extent == 1) {
            continue;
        }
        int joins = merged > 0;
        for (int t = 0; joins && t < count; t++) {
            joins = present_or_first(tensors, t)->stride[dim] ==
                    strides[t][merged - 1] * shape[merged - 1];
        }
        if (joins) {
            shape[merged - 1] *= extent;
            continue;
        }
        shape[merged] = extent;
        for (int t = 0; t < count; t++) {
            strides[t][merged] = present_or_first(tensors, t)->stride[dim];
        }
        merged++;
    }
    strided->inner = merged > 0 ? shape[0] : 1;
    strided->rows = 1;
    strided->outer_rank = merged > 0 ? merged - 1 : 0;
    for (int t = 0; t < count; t++) {
        strided->inner_strides[t] = merged > 0 ? strides[t][0] : 1;
    }
    for (int32_t k = 1; k < merged; k++) {
        const int32_t place = merged - 1 - k; /* row-major: outermost first */
        strided->shape[place] = shape[k];
        strided->rows *= shape[k];
        for (int t = 0; t < count; t++) {
            strided->strides[t][place] = strides[t][k];
        }
    }
}

int opencl_strided_is_flat(const opencl_strided *strided, int count)
{
    for (int t = 0; t < count; t++) {
        if (strided->inner_strides[t] != 1) {
            return 0;
        }
    }
    return strided->outer_rank == 0;
}

/* Few different shapes of groups: runtimes for CPUs compile a kernel for each. */
void opencl_strided_launch(size_t global[2], size_t local[2], const ttm_backend_device *device,
                           const opencl_strided *strided, int64_t items)
{
    const size_t group = opencl_free_group(device);
    local[0] = group;
    if (items <= 1) {
        local[0] = 1;
    } else if (items <= 4) {
        local[0] = 4;
    } else if (items < (int64_t)group / 2) {
        local[0] = 16;
    }
    local[1] = strided->rows > 1 ? group / local[0] : 1;
    global[0] = (size_t)items;
    /* Some drivers take no more than 65535 groups in the second dimension; kernels loop over rows.
     */
    global[1] = (size_t)opencl_least(strided->rows, (int64_t)local[1] * 32768);
}
