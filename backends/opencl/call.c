/* Arguments of kernels, and launches. */
#include "opencl/call.h"

#include <stdarg.h>
#include <stdio.h>

/* Launches until the driver is told to begin: often enough that the device never waits. */
#define FLUSH_EVERY 16u

static opencl_call start(ttm_backend_stream *stream, const opencl_shape *shape,
                         opencl_family family, const char *name, const char *options,
                         va_list arguments)
{
    opencl_call call = {.stream = stream, .name = name};
    call.status =
        opencl_stream_kernel_get(&call.kernel, stream, shape, family, name, options, arguments);
    return call;
}

opencl_shape opencl_usual_shape(const ttm_backend_device *device)
{
    return (opencl_shape){.vector = device->tuning.vector, .group = device->tuning.group};
}

opencl_call opencl_call_start_in(ttm_backend_stream *stream, const opencl_shape *shape,
                                 opencl_family family, const char *name, const char *options, ...)
{
    va_list arguments;
    va_start(arguments, options);
    const opencl_call call = start(stream, shape, family, name, options, arguments);
    va_end(arguments);
    return call;
}

opencl_call opencl_call_start(ttm_backend_stream *stream, opencl_family family, const char *name,
                              const char *options, ...)
{
    const opencl_shape shape = opencl_usual_shape(stream->device);
    va_list arguments;
    va_start(arguments, options);
    const opencl_call call = start(stream, &shape, family, name, options, arguments);
    va_end(arguments);
    return call;
}

static void add(opencl_call *call, size_t bytes, const void *value)
{
    if (call->status == TTM_OK && call->error == CL_SUCCESS) {
        call->error = clSetKernelArg(call->kernel, call->next++, bytes, value);
    }
}

void opencl_call_buffer(opencl_call *call, cl_mem buffer, int64_t first)
{
    add(call, sizeof(cl_mem), (const void *)&buffer);
    opencl_call_long(call, first);
}

void opencl_call_tensor(opencl_call *call, const ttm_tensor *tensor, const ttm_tensor *instead)
{
    /* A tensor without elements may have no memory either; it is never looked at. */
    const ttm_tensor *passed =
        ttm_tensor_present(tensor) && tensor->memory != NULL ? tensor : instead;
    const size_t element_bytes = ttm_dtype_bytes(passed->dtype);
    opencl_call_buffer(call, passed->memory != NULL ? passed->memory->buffer : NULL,
                       element_bytes > 0 ? (int64_t)(passed->offset / element_bytes) : 0);
}

void opencl_call_long(opencl_call *call, int64_t value)
{
    const cl_long argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_longs8(opencl_call *call, const int64_t values[8])
{
    cl_long8 argument;
    for (int i = 0; i < 8; i++) {
        argument.s[i] = values[i];
    }
    add(call, sizeof argument, &argument);
}

void opencl_call_ulong(opencl_call *call, uint64_t value)
{
    const cl_ulong argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_int(opencl_call *call, int32_t value)
{
    const cl_int argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_uint(opencl_call *call, uint32_t value)
{
    const cl_uint argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_uints8(opencl_call *call, const uint32_t values[8])
{
    cl_uint8 argument;
    for (int i = 0; i < 8; i++) {
        argument.s[i] = values[i];
    }
    add(call, sizeof argument, &argument);
}

void opencl_call_float(opencl_call *call, double value)
{
    const cl_float argument = (cl_float)value;
    add(call, sizeof argument, &argument);
}

void opencl_call_float8(opencl_call *call, cl_float8 value)
{
    add(call, sizeof value, &value);
}

ttm_status opencl_call_run(opencl_call *call, int dimensions, const size_t *global,
                           const size_t *local)
{
    size_t rounded[3] = {0};
    if (call->status != TTM_OK) {
        return call->status;
    }
    for (int i = 0; i < dimensions; i++) {
        rounded[i] = (global[i] + local[i] - 1) / local[i] * local[i];
        if (rounded[i] == 0) {
            return TTM_OK;
        }
    }
    ttm_backend_stream *stream = call->stream;
    cl_int error = call->error;
    if (error == CL_SUCCESS) {
        error = clEnqueueNDRangeKernel(stream->queue, call->kernel, (cl_uint)dimensions, NULL,
                                       rounded, local, 0, NULL, NULL);
    }
    if (error == CL_SUCCESS && ++stream->unflushed >= FLUSH_EVERY) {
        stream->unflushed = 0;
        error = clFlush(stream->queue);
    }
    if (error != CL_SUCCESS) {
        char doing[96];
        snprintf(doing, sizeof doing, "queue kernel %s", call->name);
        return opencl_stream_fail(stream, error, doing);
    }
    return TTM_OK;
}
