/* Flat copies and fills. A GPU's driver knows best how. A runtime for CPUs, PoCL, copies in one
 * thread and fills in one, element by element: copy_flat.cl is two to five times as fast, but that
 * a launch costs 1.5 µs more than a command. */
#include "opencl/flat.h"

#include "opencl/call.h"

/* What a group of copy_flat.cl takes: several for each thread of a large copy, and few enough that
 * starting them costs nothing. */
#define STRETCH_BYTES ((size_t)64 * 1024)

/* Less is left to the driver everywhere. */
#define LEAST_BYTES ((size_t)16 * 1024)

/* Whether the driver's own command is to do it. */
static int is_the_drivers(const ttm_backend_stream *stream, size_t bytes)
{
    return !stream->device->tuning.is_cpu || bytes < LEAST_BYTES;
}

/* Largest power of two, up to `most`, that divides all three. */
static size_t common_unit(size_t a, size_t b, size_t c, size_t most)
{
    size_t unit = most;
    while (unit > 1 && (a | b | c) % unit != 0) {
        unit /= 2;
    }
    return unit;
}

static opencl_call start(ttm_backend_stream *stream, const char *kernel, size_t unit)
{
    return opencl_call_start(stream, OPENCL_COPY_FLAT, kernel, "-DRAW_BYTES=%zu", unit);
}

/* Adds the arguments that both kernels end with, and runs. `touched` bytes are read and written:
 * where they are more than the caches hold twice over, what is written wouldn't stay there anyway,
 * and goes past them. */
static ttm_status run(opencl_call *call, size_t unit, size_t bytes, size_t touched)
{
    const uint64_t cache_bytes = call->stream->device->description->limits.cache_bytes;
    const size_t groups = (bytes + STRETCH_BYTES - 1) / STRETCH_BYTES;
    const size_t group = 1;
    opencl_call_long(call, (int64_t)(bytes / unit));
    opencl_call_long(call, (int64_t)(STRETCH_BYTES / unit));
    opencl_call_int(call, touched > 2 * cache_bytes);
    return opencl_call_run(call, 1, &groups, &group);
}

ttm_status opencl_flat_copy(ttm_backend_stream *stream, const ttm_memory *target,
                            size_t target_offset, const ttm_memory *source, size_t source_offset,
                            size_t bytes)
{
    if (is_the_drivers(stream, bytes)) {
        const cl_int error =
            clEnqueueCopyBuffer(stream->queue, source->buffer, target->buffer, source_offset,
                                target_offset, bytes, 0, NULL, NULL);
        return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "copy memory");
    }
    const size_t unit = common_unit(target_offset, source_offset, bytes, 4);
    opencl_call call = start(stream, "copy_flat", unit);
    opencl_call_buffer(&call, target->buffer, (int64_t)(target_offset / unit));
    opencl_call_buffer(&call, source->buffer, (int64_t)(source_offset / unit));
    return run(&call, unit, bytes, 2 * bytes);
}

ttm_status opencl_flat_fill(ttm_backend_stream *stream, const ttm_memory *target, size_t offset,
                            uint64_t bits, size_t element_bytes, size_t bytes)
{
    if (is_the_drivers(stream, bytes)) {
        const cl_int error = clEnqueueFillBuffer(stream->queue, target->buffer, &bits,
                                                 element_bytes, offset, bytes, 0, NULL, NULL);
        return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "fill memory");
    }
    /* Small elements are written several at a time. */
    size_t unit = element_bytes;
    while (unit < 4 && (offset | bytes) % (2 * unit) == 0) {
        bits |= bits << (8 * unit);
        unit *= 2;
    }
    opencl_call call = start(stream, "fill_flat", unit);
    opencl_call_buffer(&call, target->buffer, (int64_t)(offset / unit));
    opencl_call_ulong(&call, bits);
    return run(&call, unit, bytes, bytes);
}
