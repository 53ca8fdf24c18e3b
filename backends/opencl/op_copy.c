/* COPY and FILL. Elements of one type are moved as bits, whatever they mean; runs of neighbours as
 * flat.h does it. */
#include "common/float_formats.h"
#include "opencl/flat.h"
#include "opencl/strided.h"

#include <string.h>

static int copy_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_dtype to = op->tensors[TTM_COPY_OUT].dtype;
    const ttm_dtype from = op->tensors[TTM_COPY_X].dtype;
    return to == from || (opencl_is_float(to) && opencl_is_float(from));
}

/* Elements of a row that one work-item moves. */
static int elements_each(const ttm_backend_device *device)
{
    return device->tuning.is_cpu ? 64 : 1;
}

static ttm_status copy_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_COPY_OUT];
    const ttm_tensor *x = &op->tensors[TTM_COPY_X];
    const ttm_tensor *tensors[] = {out, x};
    const size_t bytes = ttm_dtype_bytes(out->dtype);
    const int each = elements_each(stream->device);
    opencl_strided strided;
    opencl_call call;
    size_t global[2];
    size_t local[2];
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    opencl_strided_make(&strided, tensors, 2);
    if (out->dtype == x->dtype) {
        /* Drivers differ in what they make of copies within one buffer: not on GPUs. */
        if (opencl_strided_is_flat(&strided, 2) &&
            (stream->device->tuning.is_cpu || out->memory != x->memory)) {
            return opencl_flat_copy(stream, out->memory, out->offset, x->memory, x->offset,
                                    (size_t)strided.inner * bytes);
        }
        call = opencl_call_start(stream, OPENCL_COPY, "copy",
                                 "-DRAW_BYTES=%zu -DEACH=%d -DWIDE_ROWS=%d", bytes, each,
                                 opencl_strided_is_wide(&strided));
    } else {
        call = opencl_call_start(stream, OPENCL_COPY, "copy",
                                 "-DFROM=%d -DTO=%d -DEACH=%d -DWIDE_ROWS=%d", (int)x->dtype,
                                 (int)out->dtype, each, opencl_strided_is_wide(&strided));
    }
    opencl_call_tensor(&call, out, out);
    opencl_call_tensor(&call, x, x);
    opencl_strided_arguments(&call, &strided);
    opencl_call_longs8(&call, strided.strides[0]);
    opencl_call_longs8(&call, strided.strides[1]);
    opencl_call_long(&call, strided.inner_strides[0]);
    opencl_call_long(&call, strided.inner_strides[1]);
    opencl_strided_launch(global, local, stream->device, &strided,
                          opencl_parts(strided.inner, each));
    return opencl_call_run(&call, 2, global, local);
}

static int fill_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return ttm_dtype_bytes(op->tensors[TTM_FILL_OUT].dtype) > 0;
}

/* The value's bits in a type. */
static uint64_t bits_of(ttm_dtype dtype, double value)
{
    uint64_t bits = 0;
    const float single = (float)value;
    const int32_t whole = (int32_t)value;
    switch (dtype) {
    case TTM_F64:
        memcpy(&bits, &value, sizeof value);
        break;
    case TTM_F32:
        memcpy(&bits, &single, sizeof single);
        break;
    case TTM_I32:
        memcpy(&bits, &whole, sizeof whole);
        break;
    case TTM_BF16:
        bits = bf16_from_double(value);
        break;
    case TTM_F16:
        bits = f16_from_double(value);
        break;
    case TTM_TF32:
    case TTM_DTYPE_NONE:
        break;
    }
    return bits;
}

static ttm_status fill_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_fill_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_FILL_OUT];
    const size_t bytes = ttm_dtype_bytes(out->dtype);
    const uint64_t bits = bits_of(out->dtype, params->value);
    const int each = elements_each(stream->device);
    opencl_strided strided;
    size_t global[2];
    size_t local[2];
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    opencl_strided_make(&strided, &out, 1);
    if (opencl_strided_is_flat(&strided, 1)) {
        return opencl_flat_fill(stream, out->memory, out->offset, bits, bytes,
                                (size_t)strided.inner * bytes);
    }
    opencl_call call =
        opencl_call_start(stream, OPENCL_COPY, "fill", "-DRAW_BYTES=%zu -DEACH=%d -DWIDE_ROWS=%d",
                          bytes, each, opencl_strided_is_wide(&strided));
    opencl_call_tensor(&call, out, out);
    opencl_call_ulong(&call, bits);
    opencl_strided_arguments(&call, &strided);
    opencl_call_longs8(&call, strided.strides[0]);
    opencl_call_long(&call, strided.inner_strides[0]);
    opencl_strided_launch(global, local, stream->device, &strided,
                          opencl_parts(strided.inner, each));
    return opencl_call_run(&call, 2, global, local);
}

const opencl_op opencl_op_copy = {copy_supported, NULL, copy_run};
const opencl_op opencl_op_fill = {fill_supported, NULL, fill_run};
