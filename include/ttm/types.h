/* Element types and tensors: what libttm, its users and backend plugins agree on.
 *
 * A tensor is a plain value that describes elements inside a device allocation. Copying it copies
 * the description, never the data, and a slice or a transposed view is another such value. */
#ifndef TTM_TYPES_H
#define TTM_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types. The numbers are part of the plugin ABI. */
typedef enum ttm_dtype {
    TTM_DTYPE_NONE = 0, /**< No type: a tensor of this type is absent. */
    TTM_F32 = 1,        /**< IEEE 754 binary32. */
    TTM_BF16 = 2, /**< The upper half of a binary32. Conversion rounds to nearest, ties to even. */
    TTM_F16 = 3,  /**< IEEE 754 binary16. */
    TTM_I32 = 4,  /**< Signed 32-bit integers: token ids, targets. */
    TTM_F64 = 5,  /**< IEEE 754 binary64. For checking; few backends compute in it. */
    TTM_TF32 = 6  /**< Since minor version 5. In memory an f32. As an operand of MATMUL, and since
                     minor version 6 of ATTENTION and ATTENTION_BACKWARD, the only places where it
                     is allowed, it says that elements may be rounded to 11 significant bits before
                     they are multiplied. */
} ttm_dtype;

/** Returns the size of one element in bytes, 0 for TTM_DTYPE_NONE and unknown types. */
static inline size_t ttm_dtype_bytes(ttm_dtype dtype)
{
    switch (dtype) {
    case TTM_F64:
        return 8;
    case TTM_F32:
    case TTM_I32:
    case TTM_TF32:
        return 4;
    case TTM_BF16:
    case TTM_F16:
        return 2;
    case TTM_DTYPE_NONE:
        break;
    }
    return 0;
}

/** Returns the type's name as the tools and files spell it: "f32", "bf16", "f16", "i32", "f64",
 * "tf32", "none". */
static inline const char *ttm_dtype_name(ttm_dtype dtype)
{
    switch (dtype) {
    case TTM_F32:
        return "f32";
    case TTM_BF16:
        return "bf16";
    case TTM_F16:
        return "f16";
    case TTM_I32:
        return "i32";
    case TTM_F64:
        return "f64";
    case TTM_TF32:
        return "tf32";
    case TTM_DTYPE_NONE:
        break;
    }
    return "none";
}

/** A device allocation. Opaque: its content belongs to the backend that made it. */
typedef struct ttm_memory ttm_memory;

/** The most dimensions that a tensor has. */
#define TTM_MAX_RANK 8

/** The layout of a plain strided tensor. Every other value belongs to the backend that owns the
 * memory. */
#define TTM_LAYOUT_STRIDED 0u

/** Elements inside a device allocation.
 *
 * Element (i_0, …, i_{rank-1}) lies at byte offset + bytes(dtype) · Σ i_k · stride[k] of `memory`.
 * Strides are counted in elements and are never negative; 0 repeats an element (broadcast) and is
 * allowed in inputs only. A zeroed struct is an absent tensor, as passed for an optional slot of an
 * op. */
typedef struct ttm_tensor {
    ttm_memory *memory;  /**< The allocation. NULL in questions that only concern shapes. */
    size_t memory_bytes; /**< Size of the whole allocation. */
    size_t offset; /**< Where element (0, …, 0) lies, in bytes; a multiple of the element size. */
    ttm_dtype dtype;             /**< Type of the elements; TTM_DTYPE_NONE means absent. */
    uint32_t layout;             /**< TTM_LAYOUT_STRIDED or the backend's own. */
    int32_t rank;                /**< Number of dimensions, 0 to TTM_MAX_RANK. */
    int32_t reserved;            /**< 0. */
    int64_t shape[TTM_MAX_RANK]; /**< Extent of each dimension. */
    int64_t
        stride[TTM_MAX_RANK]; /**< Distance between neighbours of each dimension, in elements. */
} ttm_tensor;

/** Returns 1 when the tensor is there, 0 when it is absent. */
static inline int ttm_tensor_present(const ttm_tensor *tensor)
{
    return tensor->dtype != TTM_DTYPE_NONE;
}

#ifdef __cplusplus
}
#endif

#endif
