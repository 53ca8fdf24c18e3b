/* Kernels and their arguments. */
#ifndef TESTS_PTX_DEVICE_KERNEL_H
#define TESTS_PTX_DEVICE_KERNEL_H

#include "device_program.h"

typedef struct device_argument {
    int is_set;
    size_t local_bytes; /* of a __local one */
} device_argument;

/* Keeps its program. Buffers that are arguments it doesn't keep, as OpenCL has it. */
struct _cl_kernel {
    device_object object;
    cl_program program;
    const ptx_kernel *code;
    unsigned char *block; /* the arguments' values, but for the addresses of __local ones */
    device_argument *arguments;
};

/* Gives each __local argument its address in `block`, behind the kernel's own shared memory, and
 * says in *shared_bytes how much a group needs in all. `block` may be NULL. */
void device_kernel_place_local(size_t *shared_bytes, unsigned char *block, cl_kernel kernel);

#endif
