/* The shapes of the attention kernels on matrix units (kernels_cl/attention_units.cl). */
#ifndef TTM_OPENCL_ATTENTION_SHAPES_H
#define TTM_OPENCL_ATTENTION_SHAPES_H

#include "opencl/matrix_units.h"

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
    opencl_unit unit; /**< MMA or WGMMA. */
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

/** What a shape is looked for by: choice 0 is for many groups, 1 for few. */
typedef struct opencl_attention_request {
    opencl_unit unit;
    opencl_attention_kernel kernel;
    int parts;
    int head_size;
    int choice;
    opencl_attention_dropout dropout;
} opencl_attention_request;

/** All shapes; *count says how many. */
const opencl_attention_shape *opencl_attention_shapes(int *count);

/** Returns the shape that is asked for, of MMA where WGMMA has none. NULL: there is none for these
 * parts, this head size and dropout. */
const opencl_attention_shape *opencl_attention_find(const opencl_attention_request *request);

/** Returns whether the kernel works in this shape: divisors, work-items, 48 KiB of local memory. */
int opencl_attention_shape_is_valid(const opencl_attention_shape *shape);

/** Returns the work-items of a group. */
int opencl_attention_shape_items(const opencl_attention_shape *shape);

/** Returns the bytes of local memory of a group. */
int opencl_attention_shape_bytes(const opencl_attention_shape *shape);

/** Returns options for the compiler of the unit's own instructions, not of their emulation; each
 * with a blank in front. */
const char *opencl_attention_shape_compiler(const opencl_attention_shape *shape,
                                            opencl_attention_dropout dropout);

/** Writes the shape's build options. */
void opencl_attention_shape_options(char options[OPENCL_ATTENTION_OPTIONS_BYTES],
                                    const opencl_attention_shape *shape,
                                    opencl_attention_dropout dropout);

#endif
