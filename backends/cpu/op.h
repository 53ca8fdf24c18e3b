/* How an op of the cpu plugin is written: three functions each, collected in ops.c. */
#ifndef TTM_CPU_OP_H
#define TTM_CPU_OP_H

#include "common/host_plugin.h"
#include "cpu/device.h"

#include <ttm/ops.h>

#include <math.h>

typedef struct ttm_cpu_op {
    /** Returns whether `run` takes the op. Looks at no memory. */
    int (*supported)(const ttm_backend_device *device, const ttm_op *op);
    /** Returns the bytes of scratch that `run` wants. NULL: none. */
    size_t (*workspace_bytes)(const ttm_backend_device *device, const ttm_op *op);
    void (*run)(const ttm_backend_device *device, const ttm_op *op);
} ttm_cpu_op;

extern const ttm_cpu_op ttm_cpu_op_copy;
extern const ttm_cpu_op ttm_cpu_op_fill;
extern const ttm_cpu_op ttm_cpu_op_add;
extern const ttm_cpu_op ttm_cpu_op_matmul;
extern const ttm_cpu_op ttm_cpu_op_reduce_rows;
extern const ttm_cpu_op ttm_cpu_op_sum_of_squares;
extern const ttm_cpu_op ttm_cpu_op_gelu;
extern const ttm_cpu_op ttm_cpu_op_gelu_backward;
extern const ttm_cpu_op ttm_cpu_op_dropout;
extern const ttm_cpu_op ttm_cpu_op_softmax;
extern const ttm_cpu_op ttm_cpu_op_layer_norm;
extern const ttm_cpu_op ttm_cpu_op_layer_norm_backward;
extern const ttm_cpu_op ttm_cpu_op_attention;
extern const ttm_cpu_op ttm_cpu_op_attention_backward;
extern const ttm_cpu_op ttm_cpu_op_cross_entropy;
extern const ttm_cpu_op ttm_cpu_op_embedding;
extern const ttm_cpu_op ttm_cpu_op_embedding_backward;
extern const ttm_cpu_op ttm_cpu_op_adamw;
extern const ttm_cpu_op ttm_cpu_op_tt_build;
extern const ttm_cpu_op ttm_cpu_op_tt_gradient;
extern const ttm_cpu_op ttm_cpu_op_sample;
extern const ttm_cpu_op ttm_cpu_op_norm_matmul;

/** Floats of a tensor, NULL when it is absent. */
static inline float *floats(const ttm_tensor *tensor)
{
    return ttm_tensor_present(tensor) ? host_tensor_data(tensor) : NULL;
}

/** Returns whether the tensor is absent or f32. */
static inline int is_f32_or_absent(const ttm_tensor *tensor)
{
    return !ttm_tensor_present(tensor) || tensor->dtype == TTM_F32;
}

/** Returns whether every tensor of the op from `first` to `last` is absent or f32. */
static inline int all_f32(const ttm_op *op, int first, int last)
{
    for (int i = first; i <= last; i++) {
        if (!is_f32_or_absent(&op->tensors[i])) {
            return 0;
        }
    }
    return 1;
}

/** Returns whether the op's tensors from `first` to `last` are absent, or all f32, or all bf16. */
static inline int one_element_type(const ttm_op *op, int first, int last)
{
    ttm_dtype type = TTM_DTYPE_NONE;
    for (int i = first; i <= last; i++) {
        const ttm_dtype dtype = op->tensors[i].dtype;
        if (dtype == TTM_DTYPE_NONE) {
            continue;
        }
        if ((dtype != TTM_F32 && dtype != TTM_BF16) || (type != TTM_DTYPE_NONE && dtype != type)) {
            return 0;
        }
        type = dtype;
    }
    return 1;
}

/** Returns the kernels for tensors of such elements. */
static inline const ttm_cpu_kernels *kernels_for(const ttm_backend_device *device, ttm_dtype dtype)
{
    return dtype == TTM_BF16 ? device->kernels->bf16 : device->kernels;
}

/** Returns data moved on by `count` elements of `bytes` bytes; NULL stays NULL. */
static inline void *moved(const void *data, int64_t count, size_t bytes)
{
    return data == NULL ? NULL : (unsigned char *)data + count * (int64_t)bytes;
}

/** Returns the data of a tensor, NULL when it is absent. */
static inline void *data_of(const ttm_tensor *tensor)
{
    return ttm_tensor_present(tensor) ? host_tensor_data(tensor) : NULL;
}

/** Returns whether neighbours of the last dimension are neighbours in memory (or the tensor is
 * absent). */
static inline int unit_last(const ttm_tensor *tensor)
{
    return !ttm_tensor_present(tensor) || tensor->rank == 0 ||
           tensor->shape[tensor->rank - 1] <= 1 || tensor->stride[tensor->rank - 1] == 1;
}

/** Returns unit_last for every tensor of the op from `first` to `last`. */
static inline int all_unit_last(const ttm_op *op, int first, int last)
{
    for (int i = first; i <= last; i++) {
        if (!unit_last(&op->tensors[i])) {
            return 0;
        }
    }
    return 1;
}

/** Returns the product of the extents of dimensions first … last − 1. */
static inline int64_t extent(const ttm_tensor *tensor, int first, int last)
{
    int64_t product = 1;
    for (int i = first; i < last; i++) {
        product *= tensor->shape[i];
    }
    return product;
}

/** Returns the kernels' form of a dropout rule: word/2^32 ≥ probability where word is at least the
 * threshold. */
static inline ttm_cpu_dropout ttm_cpu_dropout_rule(double probability, uint64_t seed,
                                                   uint64_t start)
{
    return (ttm_cpu_dropout){.seed = seed,
                             .start = start,
                             .threshold = (uint64_t)ceil(probability * 0x1p32),
                             .scale = (float)(1.0 / (1.0 - probability))};
}

/** Returns the address of a thread's part of the workspace, `floats_each` floats long. */
static inline float *thread_scratch(const ttm_op *op, int thread, size_t floats_each)
{
    return floats(&op->workspace) + (size_t)thread * floats_each;
}

#endif
