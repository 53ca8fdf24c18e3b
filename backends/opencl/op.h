/* How an op of the opencl plugin is written: three functions each, collected in ops.c. */
#ifndef TTM_OPENCL_OP_H
#define TTM_OPENCL_OP_H

#include "opencl/call.h"

#include <ttm/ops.h>

/** One op. */
typedef struct opencl_op {
    /** Returns whether `run` takes the op. Looks at no memory. */
    int (*supported)(const ttm_backend_device *device, const ttm_op *op);
    /** Returns the bytes of scratch that `run` wants. NULL: none. */
    size_t (*workspace_bytes)(const ttm_backend_device *device, const ttm_op *op);
    /** Queues the op. */
    ttm_status (*run)(ttm_backend_stream *stream, const ttm_op *op);
} opencl_op;

extern const opencl_op opencl_op_copy;
extern const opencl_op opencl_op_fill;
extern const opencl_op opencl_op_add;
extern const opencl_op opencl_op_matmul;
extern const opencl_op opencl_op_norm_matmul;
extern const opencl_op opencl_op_reduce_rows;
extern const opencl_op opencl_op_sum_of_squares;
extern const opencl_op opencl_op_gelu;
extern const opencl_op opencl_op_gelu_backward;
extern const opencl_op opencl_op_dropout;
extern const opencl_op opencl_op_softmax;
extern const opencl_op opencl_op_layer_norm;
extern const opencl_op opencl_op_layer_norm_backward;
extern const opencl_op opencl_op_attention;
extern const opencl_op opencl_op_attention_backward;
extern const opencl_op opencl_op_cross_entropy;
extern const opencl_op opencl_op_embedding;
extern const opencl_op opencl_op_embedding_backward;
extern const opencl_op opencl_op_adamw;
extern const opencl_op opencl_op_tt_build;
extern const opencl_op opencl_op_tt_gradient;
extern const opencl_op opencl_op_sample;

/** Returns whether the kernels compute with a type: f32, bf16 and f16. */
static inline int opencl_is_float(ttm_dtype dtype)
{
    return dtype == TTM_F32 || dtype == TTM_BF16 || dtype == TTM_F16;
}

/** Returns the bytes of an element of such a type, or of tf32. */
static inline int opencl_float_bytes(ttm_dtype dtype)
{
    return dtype == TTM_BF16 || dtype == TTM_F16 ? 2 : 4;
}

/** Returns whether all tensors of the op but integer ones are absent or of such types. */
static inline int opencl_all_floats(const ttm_op *op)
{
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        const ttm_dtype dtype = op->tensors[i].dtype;
        if (dtype != TTM_DTYPE_NONE && dtype != TTM_I32 && !opencl_is_float(dtype)) {
            return 0;
        }
    }
    return 1;
}

/** Returns the power of two that a value of 1 or more reaches: tuned sizes are told apart by it. */
static inline int opencl_power_of_two(int64_t value)
{
    int power = 0;
    while (value > 1) {
        value /= 2;
        power++;
    }
    return power;
}

/** Returns the number of elements. */
static inline int64_t opencl_count(const ttm_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        count *= tensor->shape[dim];
    }
    return count;
}

/** Returns the quotient, rounded up. */
static inline int64_t opencl_parts(int64_t count, int64_t part)
{
    return (count + part - 1) / part;
}

/** Returns the smaller number. */
static inline int64_t opencl_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Groups in the second and third dimension: some drivers, CUDA's among them, take no more than
 * 65535; kernels loop over the rest. */
#define OPENCL_MOST_ROW_GROUPS 32768

/** Returns the work-items of a group of kernels that don't share rows: one loop of some length on a
 * CPU. */
static inline size_t opencl_free_group(const ttm_backend_device *device)
{
    return device->tuning.is_cpu ? 64 : device->tuning.group;
}

/** Queues a kernel that adds up parts of `cols` columns, as group_reduce.cl says. Its options end
 * in OPENCL_COLUMN_OPTIONS with the two numbers of opencl_column_group. */
#define OPENCL_COLUMN_OPTIONS "-DCOL_ITEMS=%zu -DPART_ITEMS=%zu"
static inline void opencl_column_group(size_t group[2], const ttm_backend_device *device)
{
    group[1] = device->tuning.is_cpu ? 1 : (device->tuning.group >= 256 ? 8 : 2);
    group[0] = opencl_free_group(device) / group[1];
}

static inline ttm_status opencl_run_columns(opencl_call *call, int64_t cols)
{
    const ttm_backend_device *device = call->stream->device;
    size_t group[2];
    opencl_column_group(group, device);
    const size_t global[2] = {(size_t)opencl_parts(cols, device->tuning.vector), group[1]};
    return opencl_call_run(call, 2, global, group);
}

/** Returns 1 where the dropout probability keeps every element. */
static inline int opencl_keeps_all(double probability)
{
    return probability <= 0.0;
}

/** Returns the smallest Philox word that is kept: word/2^32 ≥ probability. */
static inline uint32_t opencl_dropout_threshold(double probability)
{
    const double scaled = probability * 4294967296.0;
    const uint64_t whole = (uint64_t)scaled;
    const uint64_t threshold = (double)whole < scaled ? whole + 1 : whole;
    return threshold > UINT32_MAX ? UINT32_MAX : (uint32_t)threshold;
}

#endif
