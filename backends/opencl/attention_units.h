/* Attention on a GPU's matrix units (mma.sync; bf16, or TF32 and f32 in bf16 parts): the shapes of
 * the kernels, whether a device's may be used, and their launch.
 *
 * Kernels are used only after they have been proven on this device and driver
 * (matrix_units_probe.h). A failure ends attention on matrix units, not products. */
#ifndef TTM_OPENCL_ATTENTION_UNITS_H
#define TTM_OPENCL_ATTENTION_UNITS_H

#include "opencl/attention_tuned.h"
#include "opencl/matrix_units_policy.h"

/** The kernels. */
typedef enum opencl_attention_kernel {
    OPENCL_ATTENTION_FORWARD, /**< Owns queries, walks over keys. */
    OPENCL_ATTENTION_DQ,      /**< Likewise. */
    OPENCL_ATTENTION_DKDV     /**< Owns keys, walks over queries. */
} opencl_attention_kernel;

/** What a kernel knows of dropout: the macro DROPOUT of kernels_cl/attention_units_dropout.cl. */
typedef enum opencl_attention_dropout {
    OPENCL_ATTENTION_KEEPS_ALL,
    OPENCL_ATTENTION_DROPS_OF_FOURS, /**< The number of keys is a multiple of 4. */
    OPENCL_ATTENTION_DROPS           /**< Any number. */
} opencl_attention_dropout;

/** A shape of a kernel: the macros of kernels_cl/attention_units.cl. */
typedef struct opencl_attention_shape {
    opencl_attention_kernel kernel;
    int parts; /**< 1: bf16 tensors; 2, 3: split TF32 and f32 tensors of aligned rows. */
    int head_size;
    int tile_rows;
    int warp_rows;
    int tile_cols;
    int slice;
    int kept;
    int takes_dropout; /**< 1: it has registers left for it; 2: it is for that alone. */
} opencl_attention_shape;

enum { OPENCL_ATTENTION_CHOICES = 2, OPENCL_ATTENTION_OPTIONS_BYTES = 256 };

/** All shapes; *count says how many. */
const opencl_attention_shape *opencl_attention_shapes(int *count);

/** Returns the shape of a kernel: choice 0 is for many groups, 1 for few. NULL: there is none for
 * these parts, this head size and dropout. */
const opencl_attention_shape *opencl_attention_find(opencl_attention_kernel kernel, int parts,
                                                    int head_size, int choice,
                                                    opencl_attention_dropout dropout);

/** Returns whether the kernel works in this shape: divisors, work-items, 48 KiB of local memory. */
int opencl_attention_shape_is_valid(const opencl_attention_shape *shape);

/** Returns the work-items of a group. */
int opencl_attention_shape_items(const opencl_attention_shape *shape);

/** Returns the bytes of local memory of a group. */
int opencl_attention_shape_bytes(const opencl_attention_shape *shape);

/** Writes the shape's build options. */
void opencl_attention_shape_options(char options[OPENCL_ATTENTION_OPTIONS_BYTES],
                                    const opencl_attention_shape *shape,
                                    opencl_attention_dropout dropout);

/** Decides what a device that is being opened may use, from its compute capability,
 * TTM_OPENCL_ATTENTION and TTM_OPENCL_FP32. TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_attention_units_open(opencl_attention_units **units,
                                       const ttm_backend_device *device, int32_t device_index);

/** Returns whether attention of TF32 tensors is to come as such, not as that of f32. Always the
 * same for a device that is open, even if its units have failed. */
int opencl_attention_takes_tf32(const opencl_attention_units *units);

/** Returns whether there is attention of f32 tensors that the device could split. */
int opencl_attention_splits(const opencl_attention_units *units);

/** Returns whether the device could split the op, attention of f32 tensors, and *what = its class
 * then. */
int opencl_attention_can_split(opencl_attention_class *what, const opencl_attention_units *units,
                               const ttm_op *op);

/** Uses what was tuned from now on, in place of what was tuned before. */
void opencl_attention_use(opencl_attention_units *units, const opencl_tuned_attention *tuned);

/** Splits attention of f32 tensors as a trial says, until the next one. */
void opencl_attention_try_split(opencl_attention_units *units, opencl_split_trial trial);

/** Frees it; NULL is allowed. */
void opencl_attention_units_close(opencl_attention_units *units);

/** Returns the bytes of scratch that ATTENTION_BACKWARD wants here; 0 where matrix units don't take
 * it. */
size_t opencl_attention_units_workspace(const ttm_backend_device *device, const ttm_op *op);

/** Queues ATTENTION or ATTENTION_BACKWARD on matrix units where the device has any that take it and
 * are proven; *done says whether. */
ttm_status opencl_attention_by_matrix_units(int *done, ttm_backend_stream *stream,
                                            const ttm_op *op);

#endif
