/* Merging dimensions, and launch sizes for rows of any length. */
#include "opencl/strided.h"

#include <string.h>

static const ttm_tensor *present_or_first(const ttm_tensor *const *tensors, int index)
{
    return ttm_tensor_present(tensors[index]) ? tensors[index] : tensors[0];
}

/* See DIVIDE in strided.cl. An extent of 2^31 or more is only met among as many rows. */
static void choose_divisor(uint32_t *multiplier, uint32_t *shift, int64_t extent)
{
    *shift = 0;
    while (*shift < 31 && (INT64_C(1) << *shift) < extent) {
        (*shift)++;
    }
    *multiplier =
        (uint32_t)((UINT64_C(1) << (31 + *shift)) / (uint64_t)(extent > 0 ? extent : 1)) + 1;
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
        const int32_t place = k - 1;
        strided->shape[place] = shape[k];
        strided->rows *= shape[k];
        choose_divisor(&strided->multipliers[place], &strided->shifts[place], shape[k]);
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

void opencl_strided_arguments(opencl_call *call, const opencl_strided *strided)
{
    opencl_call_long(call, strided->inner);
    opencl_call_long(call, strided->rows);
    opencl_call_int(call, strided->outer_rank);
    opencl_call_longs8(call, strided->shape);
    opencl_call_uints8(call, strided->multipliers);
    opencl_call_uints8(call, strided->shifts);
}

int opencl_strided_is_wide(const opencl_strided *strided)
{
    return strided->rows > INT32_MAX;
}

/* On GPUs as many work-items along a row as it has use for, up to the next power of two; on CPUs
 * few different shapes of groups, since their runtimes compile a kernel for each. */
void opencl_strided_launch(size_t global[2], size_t local[2], const ttm_backend_device *device,
                           const opencl_strided *strided, int64_t items)
{
    const size_t group = opencl_free_group(device);
    local[0] = group;
    if (!device->tuning.is_cpu) {
        while (local[0] > 1 && items <= (int64_t)local[0] / 2) {
            local[0] /= 2;
        }
    } else if (items <= 1) {
        local[0] = 1;
    } else if (items <= 4) {
        local[0] = 4;
    } else if (items < (int64_t)group / 2) {
        local[0] = 16;
    }
    local[1] = strided->rows > 1 ? group / local[0] : 1;
    global[0] = (size_t)items;
    global[1] = (size_t)opencl_least(strided->rows, (int64_t)local[1] * OPENCL_MOST_ROW_GROUPS);
}
