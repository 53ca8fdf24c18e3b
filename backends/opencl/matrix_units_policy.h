/* What a device and the environment say of products on matrix units: which unit, which variant, and
 * which f32 products are split. */
#ifndef TTM_OPENCL_MATRIX_UNITS_POLICY_H
#define TTM_OPENCL_MATRIX_UNITS_POLICY_H

#include "opencl/matrix_units.h"

/** What TTM_OPENCL_FP32 says of f32 products. */
typedef enum opencl_split_policy {
    OPENCL_SPLIT_WHERE_FASTER, /**< Where tuning has found that to be faster than all else. */
    OPENCL_SPLIT_ALWAYS,
    OPENCL_SPLIT_IN_PARTS, /**< Always, but never in halves, whose numbers have few exponents. */
    OPENCL_SPLIT_NEVER
} opencl_split_policy;

/** Returns whether it splits without asking what tuning has found. */
int opencl_split_policy_is_sure(opencl_split_policy splits);

/** *splits = what TTM_OPENCL_FP32 says; a probe splits what may be split. TTM_ERROR_ARGUMENT for a
 * value that isn't one. */
ttm_status opencl_split_policy_read(opencl_split_policy *splits, int is_probe);

/** All of it. */
typedef struct opencl_unit_policy {
    opencl_unit unit;    /**< NONE: products go to other kernels. */
    opencl_unit untried; /**< What the device has and isn't used before somebody has tried it. */
    int is_emulated;
    int is_forced; /**< Named by the user: small products too, and kept failures don't count. */
    int only;      /**< The one variant to use, or -1. */
    int pieces;    /**< What TTM_OPENCL_PIECES says, or 0. */
    int is_probe;  /**< In a child: nothing is proven, and nothing is caught. */
    opencl_split_policy splits;
} opencl_unit_policy;

/** *policy = what holds for a device, by its compute capability and TTM_OPENCL_MATRIX_UNITS,
 * TTM_OPENCL_PIECES and TTM_OPENCL_FP32. TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_unit_policy_read(opencl_unit_policy *policy,
                                   const opencl_description *description);

/** Returns whether f32 operands can be split for a unit. */
int opencl_unit_splits(opencl_unit unit);

#endif
