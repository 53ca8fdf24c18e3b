/* ADD, GELU, GELU_BACKWARD and DROPOUT: one launch each of a kernel of elementwise.cl. */
#include "opencl/strided.h"

/* On CPUs an item takes so many vectors of a long row: finding them costs about as much as moving
 * one. Rows are long that still make some hundred groups. */
enum { VECTORS_OF_LONG_ROW = 64, LONG_ROW = 1 << 22 };

static int vectors_each(const ttm_backend_device *device, const opencl_strided *strided)
{
    return device->tuning.is_cpu && strided->inner >= LONG_ROW ? VECTORS_OF_LONG_ROW : 1;
}

static int elementwise_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return opencl_all_floats(op);
}

/* A launch over out, a and b (which may be absent), with the arguments that all kernels share. */
typedef struct elementwise {
    opencl_call call;
    opencl_strided strided;
} elementwise;

static elementwise start(ttm_backend_stream *stream, const char *name, const ttm_tensor *out,
                         const ttm_tensor *a, const ttm_tensor *b)
{
    const ttm_tensor *tensors[] = {out, a, b};
    elementwise made;
    opencl_strided_make(&made.strided, tensors, 3);
    made.call = opencl_call_start(stream, OPENCL_ELEMENTWISE, name,
                                  "-DDATA=%d -DEACH=%d -DHAS_B=%d -DWIDE_ROWS=%d", (int)out->dtype,
                                  vectors_each(stream->device, &made.strided),
                                  ttm_tensor_present(b), opencl_strided_is_wide(&made.strided));
    opencl_call_tensor(&made.call, out, out);
    opencl_call_tensor(&made.call, a, a);
    opencl_call_tensor(&made.call, b, a);
    opencl_strided_arguments(&made.call, &made.strided);
    for (int t = 0; t < 3; t++) {
        opencl_call_longs8(&made.call, made.strided.strides[t]);
    }
    for (int t = 0; t < 3; t++) {
        opencl_call_long(&made.call, made.strided.inner_strides[t]);
    }
    return made;
}

static ttm_status run(elementwise *made)
{
    const ttm_backend_device *device = made->call.stream->device;
    size_t global[2];
    size_t local[2];
    opencl_strided_launch(global, local, device, &made->strided,
                          opencl_parts(made->strided.inner, vectors_each(device, &made->strided) *
                                                                (int64_t)device->tuning.vector));
    return opencl_call_run(&made->call, 2, global, local);
}

static ttm_status add_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_add_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_ADD_OUT];
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    elementwise made = start(stream, "add", out, &op->tensors[TTM_ADD_A], &op->tensors[TTM_ADD_B]);
    opencl_call_float(&made.call, params->alpha);
    opencl_call_float(&made.call, params->beta);
    return run(&made);
}

static ttm_status gelu_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_tensor absent = {0};
    const ttm_tensor *out = &op->tensors[TTM_GELU_OUT];
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    elementwise made = start(stream, "gelu_forward", out, &op->tensors[TTM_GELU_X], &absent);
    return run(&made);
}

static ttm_status gelu_backward_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_tensor *dx = &op->tensors[TTM_GELU_BACKWARD_DX];
    if (opencl_count(dx) == 0) {
        return TTM_OK;
    }
    elementwise made = start(stream, "gelu_backward", dx, &op->tensors[TTM_GELU_BACKWARD_DY],
                             &op->tensors[TTM_GELU_BACKWARD_X]);
    return run(&made);
}

static ttm_status dropout_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_dropout_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_DROPOUT_OUT];
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    elementwise made = start(stream, "dropout", out, &op->tensors[TTM_DROPOUT_X],
                             &op->tensors[TTM_DROPOUT_RESIDUAL]);
    opencl_call_ulong(&made.call, params->seed);
    opencl_call_ulong(&made.call, params->start);
    opencl_call_uint(&made.call, opencl_dropout_threshold(params->probability));
    opencl_call_float(&made.call, 1.0 / (1.0 - params->probability));
    return run(&made);
}

const opencl_op opencl_op_add = {elementwise_supported, NULL, add_run};
const opencl_op opencl_op_gelu = {elementwise_supported, NULL, gelu_run};
const opencl_op opencl_op_gelu_backward = {elementwise_supported, NULL, gelu_backward_run};
const opencl_op opencl_op_dropout = {elementwise_supported, NULL, dropout_run};
