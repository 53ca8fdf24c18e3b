/* One kernel launch: find the kernel, add its arguments in order, run. The first failure is kept
 * and reported by opencl_call_run, so that callers check once. */
#ifndef TTM_OPENCL_CALL_H
#define TTM_OPENCL_CALL_H

#include "opencl/stream_kernels.h"

/** A launch in the making. */
typedef struct opencl_call {
    ttm_backend_stream *stream;
    cl_kernel kernel; /**< Belongs to the stream. */
    const char *name;
    cl_uint next;
    cl_int error;
    ttm_status status; /**< Failure to find the kernel, with its message set. */
} opencl_call;

/** Starts a launch of kernel `name` of `family`, built with `options` (printf format of %d,
 * %zu and at most one %s: macros; the device's own are added). */
opencl_call opencl_call_start(ttm_backend_stream *stream, opencl_family family, const char *name,
                              const char *options, ...) TTM_PRINTF(4, 5);

/** Returns the device's usual shape. */
opencl_shape opencl_usual_shape(const ttm_backend_device *device);

/** opencl_call_start for a kernel in `shape`. */
opencl_call opencl_call_start_in(ttm_backend_stream *stream, const opencl_shape *shape,
                                 opencl_family family, const char *name, const char *options, ...)
    TTM_PRINTF(5, 6);

/** Adds two arguments: a tensor's buffer, and where its first element lies, in elements (long). An
 * absent tensor passes the buffer of `instead`. */
void opencl_call_tensor(opencl_call *call, const ttm_tensor *tensor, const ttm_tensor *instead);

/** Adds two arguments: a buffer and an offset in elements. */
void opencl_call_buffer(opencl_call *call, cl_mem buffer, int64_t first);

void opencl_call_long(opencl_call *call, int64_t value);
void opencl_call_longs8(opencl_call *call, const int64_t values[8]);
void opencl_call_ulong(opencl_call *call, uint64_t value);
void opencl_call_int(opencl_call *call, int32_t value);
void opencl_call_uint(opencl_call *call, uint32_t value);
void opencl_call_float(opencl_call *call, double value);
void opencl_call_uints8(opencl_call *call, const uint32_t values[8]);
void opencl_call_float8(opencl_call *call, cl_float8 value);

/** Queues the launch of `global` work-items, each dimension rounded up to a multiple of `local`.
 * Nothing happens where an extent is 0. */
ttm_status opencl_call_run(opencl_call *call, int dimensions, const size_t *global,
                           const size_t *local);

#endif
