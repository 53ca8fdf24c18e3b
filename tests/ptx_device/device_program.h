/* Programs. */
#ifndef TESTS_PTX_DEVICE_PROGRAM_H
#define TESTS_PTX_DEVICE_PROGRAM_H

#include "device_context.h"
#include "ptx.h"

/* Keeps its context. */
struct _cl_program {
    device_object object;
    cl_context context;
    char *source; /* NULL of a program from a binary */
    char *ptx;    /* what was compiled, or the binary */
    ptx_module *module;
    char *options;
    char *log;
    cl_build_status status;
    cl_uint kernels; /* made of it and alive; under the lock */
};

void device_program_release(cl_program program);

#endif
