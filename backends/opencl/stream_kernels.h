/* The kernel objects of a stream: arguments are set on them, so that each stream has its own. */
#ifndef TTM_OPENCL_STREAM_KERNELS_H
#define TTM_OPENCL_STREAM_KERNELS_H

#include "opencl/program.h"
#include "opencl/stream.h"

#include <stdarg.h>

/** How a kernel takes its rows: the device's usual shape, or another. */
typedef struct opencl_shape {
    uint32_t vector; /**< VECTOR in types.cl. */
    uint32_t group;  /**< GROUP. */
    int whole_rows;  /**< WHOLE_ROWS. */
} opencl_shape;

/** *kernel = the stream's object of kernel `name` of `family`, built with `options` (printf format
 * of %d, %zu and at most one %s: macros; those of `shape` are
 * added); made where the stream has
 * none yet. It belongs to the stream. */
ttm_status opencl_stream_kernel_get(cl_kernel *kernel, ttm_backend_stream *stream,
                                    const opencl_shape *shape, opencl_family family,
                                    const char *name, const char *options, va_list arguments);

/** Frees a stream's kernels. */
void opencl_stream_kernels_free(opencl_stream_kernel *kernels);

#endif
