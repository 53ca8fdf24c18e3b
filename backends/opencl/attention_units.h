/* Attention on a GPU's matrix units (mma.sync, wgmma; bf16, or TF32 and f32 in bf16 parts): whether
 * a device's may be used, and the kernels' launch.
 *
 * Kernels are used only after they have been proven on this device and driver
 * (attention_proof.h). */
#ifndef TTM_OPENCL_ATTENTION_UNITS_H
#define TTM_OPENCL_ATTENTION_UNITS_H

#include "opencl/attention_tuned.h"
#include "opencl/op.h"

/** Decides what a device that is being opened may use, from its compute capability,
 * TTM_OPENCL_ATTENTION and TTM_OPENCL_FP32. TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_attention_units_open(opencl_attention_units **units,
                                       const ttm_backend_device *device, int32_t device_index);

/** Returns whether attention of TF32 tensors is to come as such, not as that of f32. Always the
 * same for a device that is open, even if its units have failed. */
int opencl_attention_takes_tf32(const opencl_attention_units *units);

/** Returns whether there is attention that could be done in more than one way. */
int opencl_attention_can_tune(const opencl_attention_units *units);

enum { OPENCL_MOST_ATTENTION_WAYS = 3 };

/** The ways in which an op could be done by this device, but for tuning. */
typedef struct opencl_attention_ways {
    opencl_attention_class what;
    int count;
    opencl_unit units[OPENCL_MOST_ATTENTION_WAYS]; /**< NONE, by other kernels, is the first; none
                                                      for TF32. */
} opencl_attention_ways;

/** *ways = those of an op; their number is 0 for what isn't attention, or isn't for matrix units.
 */
void opencl_attention_find_ways(opencl_attention_ways *ways, const opencl_attention_units *units,
                                const ttm_op *op);

/** Uses what was tuned from now on, in place of what was tuned before. */
void opencl_attention_use(opencl_attention_units *units, const opencl_tuned_attention *tuned);

/** Does all attention that can be by this unit alone, NONE by other kernels, until
 * opencl_attention_end_trial. */
void opencl_attention_try(opencl_attention_units *units, opencl_unit unit);

/** Goes back to what is tuned and the rule. */
void opencl_attention_end_trial(opencl_attention_units *units);

/** Frees it; NULL is allowed. */
void opencl_attention_units_close(opencl_attention_units *units);

/** Returns the bytes of scratch that ATTENTION_BACKWARD wants here; 0 where matrix units didn't
 * take it when the device was opened. Never changes. Thread-safe. */
size_t opencl_attention_units_workspace(const ttm_backend_device *device, const ttm_op *op);

/** Queues ATTENTION or ATTENTION_BACKWARD on matrix units where the device has any that take it and
 * are proven; *done says whether. */
ttm_status opencl_attention_by_matrix_units(int *done, ttm_backend_stream *stream,
                                            const ttm_op *op);

#endif
