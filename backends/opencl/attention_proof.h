/* The proof that attention kernels on matrix units must give before their first use on a device and
 * driver (matrix_units_probe.h). A failure ends what is of its kind on its unit, not products. */
#ifndef TTM_OPENCL_ATTENTION_PROOF_H
#define TTM_OPENCL_ATTENTION_PROOF_H

#include "opencl/attention_policy.h"
#include "opencl/attention_shapes.h"
#include "opencl/program.h"

/* Three kernels of two head sizes in each choice of shapes, aligned or not, in three ways of
 * dropout; in two parts of one head size, aligned; by both units; and in three parts in one shape.
 */
enum { OPENCL_MOST_PROVEN = 3 * 3 * (2 * (2 * 2 + 1) * OPENCL_ATTENTION_CHOICES + 1) };

/** A kernel, its shape, and what it is built with. */
typedef struct opencl_attention_chosen {
    const opencl_attention_shape *shape;
    opencl_family family;
    const char *name;
    char options[OPENCL_ATTENTION_OPTIONS_BYTES];
} opencl_attention_chosen;

/** What an op is done with: ATTENTION by one kernel, its backward pass by two. */
typedef struct opencl_attention_pass {
    opencl_unit unit;
    int choice;
    int head_size;
    int aligned; /**< Every row of every tensor begins at a multiple of 16 bytes. */
    int backward;
    int parts;
    opencl_attention_dropout dropout;
    int kernel_count;
    opencl_attention_chosen kernels[2];
} opencl_attention_pass;

/** Kernels that are proven in this process. */
typedef struct opencl_attention_proof {
    int32_t device_index;
    int count;
    opencl_attention_chosen kernels[OPENCL_MOST_PROVEN];
} opencl_attention_proof;

/** Returns what a pass is of. */
opencl_attention_kind opencl_attention_kind_of(int parts, opencl_attention_dropout dropout);

/** Returns whether the kernels of a pass may be used, and finds that out where nobody knows. What
 * fails is no longer usable by *policy. One thread at a time. */
int opencl_attention_is_proven(opencl_attention_proof *proof, opencl_attention_policy *policy,
                               const ttm_backend_device *device, const opencl_attention_pass *pass);

#endif
