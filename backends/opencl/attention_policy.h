/* What a device and the environment say of attention on matrix units: by which unit, in which
 * choice of shapes, and which f32 tensors are split. */
#ifndef TTM_OPENCL_ATTENTION_POLICY_H
#define TTM_OPENCL_ATTENTION_POLICY_H

#include "opencl/matrix_units_policy.h"

/** What fails by itself: attention of these tensors, by each unit. */
typedef enum opencl_attention_kind {
    OPENCL_ATTENTION_KEEPING_ALL,
    OPENCL_ATTENTION_DROPPING,
    OPENCL_ATTENTION_SPLIT,
    OPENCL_ATTENTION_SPLIT_DROPPING,
    OPENCL_ATTENTION_TF32,
    OPENCL_ATTENTION_TF32_DROPPING,
    OPENCL_ATTENTION_KINDS
} opencl_attention_kind;

/** The units that attention has kernels for are those below this one, without NONE. */
enum { OPENCL_ATTENTION_UNITS_END = OPENCL_UNIT_WGMMA + 1 };

/** All of it. */
typedef struct opencl_attention_policy {
    /** By unit and kind: until a failure. */
    int usable[OPENCL_ATTENTION_UNITS_END][OPENCL_ATTENTION_KINDS];
    opencl_split_policy splits; /**< Which f32 tensors are taken. */
    int is_emulated;
    int only;      /**< The one choice of shapes to use, or -1. */
    int is_forced; /**< Named by the user: few queries too, and kept failures don't count. */
    int is_probe;  /**< In a child: nothing is proven. */
} opencl_attention_policy;

/** *policy = what holds for a device, by its compute capability, TTM_OPENCL_ATTENTION,
 * TTM_OPENCL_MATRIX_UNITS and TTM_OPENCL_FP32. TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_attention_policy_read(opencl_attention_policy *policy,
                                        const opencl_description *description);

/** Returns whether any unit may be used for attention of a kind. */
int opencl_attention_policy_allows(const opencl_attention_policy *policy,
                                   opencl_attention_kind kind);

/** Returns what the environment calls a unit: "wgmma", "emulated", … */
const char *opencl_attention_unit_name(const opencl_attention_policy *policy, opencl_unit unit);

#endif
