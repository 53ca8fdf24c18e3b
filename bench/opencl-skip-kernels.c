/* What a launch costs on the host, without what it costs the device: a library to preload that
 * leaves kernels out, and says at the end how many there were.
 *
 *     cc -O2 -shared -fPIC bench/opencl-skip-kernels.c -o skip.so -ldl -Wl,--no-as-needed -lOpenCL
 *     MALLOC_PERTURB_=255 TTM_OPENCL_STYLE=gpu LD_PRELOAD=./skip.so ttm-generate --model DIR
 * --prompt x \
 *         --ignore-end -n 20000 -v --dtype bf16 --tt cached --backend opencl:PoCL
 *
 * Memory must begin as zeros for logits to be numbers at all: MALLOC_PERTURB_=255 sees to that with
 * glibc and PoCL. Tokens a second are then what the host allows, its waiting for each token
 * included. */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long launches;
static unsigned long arguments;

static void *next_of(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "opencl-skip-kernels: no %s\n", name);
        abort();
    }
    return found;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                              const size_t *offset, const size_t *global, const size_t *local,
                              cl_uint count, const cl_event *waited, cl_event *event)
{
    static __typeof__(&clEnqueueNDRangeKernel) real;
    launches++;
    if (event == NULL) {
        return CL_SUCCESS;
    }
    if (real == NULL) {
        *(void **)&real = next_of("clEnqueueNDRangeKernel");
    }
    return real(queue, kernel, dimensions, offset, global, local, count, waited, event);
}

cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t bytes, const void *value)
{
    static __typeof__(&clSetKernelArg) real;
    arguments++;
    if (real == NULL) {
        *(void **)&real = next_of("clSetKernelArg");
    }
    return real(kernel, index, bytes, value);
}

__attribute__((destructor)) static void tell(void)
{
    if (launches > 0) {
        fprintf(stderr, "opencl-skip-kernels: %lu launches left out, %lu arguments\n", launches,
                arguments);
    }
}
