/* SOFTMAX, CROSS_ENTROPY, LAYER_NORM and LAYER_NORM_BACKWARD: a group of work-items a row. */
#include "opencl/op.h"

/* A vector of whole rows has so many bytes at most. */
#define WHOLE_BYTES 16

/* On GPUs an item of a layer norm keeps so many vectors of 4 of its row at most. */
enum { NORM_VECTOR = 4, MOST_KEPT = 4, LEAST_NORM_GROUP = 64 };

#define CHUNK_ROWS  64
#define MOST_CHUNKS 256

static int rows_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return opencl_all_floats(op);
}

/* Returns whether the rows of all present tensors are neighbours that begin at multiples of
 * `vector` elements. */
static int has_whole_rows(const ttm_tensor *const *tensors, int count, int64_t vector)
{
    for (int i = 0; i < count; i++) {
        const ttm_tensor *tensor = tensors[i];
        if (ttm_tensor_present(tensor) &&
            (tensor->stride[tensor->rank - 1] != 1 ||
             (tensor->rank > 1 && tensor->stride[0] % vector != 0) ||
             tensor->offset % ((size_t)vector * ttm_dtype_bytes(tensor->dtype)) != 0)) {
            return 0;
        }
    }
    return 1;
}

/* One group a row. */
static ttm_status run_rows(opencl_call *call, int64_t rows, size_t group)
{
    const size_t global = (size_t)rows * group;
    return opencl_call_run(call, 1, &global, &group);
}

/* The stride of a dimension counted from the last; 0 where there is none. */
static int64_t stride_from_last(const ttm_tensor *tensor, int32_t from_last)
{
    return from_last < tensor->rank ? tensor->stride[tensor->rank - 1 - from_last] : 0;
}

static ttm_status softmax_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_softmax_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_SOFTMAX_OUT];
    const ttm_tensor *x = &op->tensors[TTM_SOFTMAX_X];
    const int64_t rows = out->shape[out->rank - 2];
    const int64_t cols = out->shape[out->rank - 1];
    const int64_t strides[8] = {stride_from_last(x, 3),   stride_from_last(x, 2),
                                stride_from_last(x, 1),   stride_from_last(x, 0),
                                stride_from_last(out, 3), stride_from_last(out, 2),
                                stride_from_last(out, 1), stride_from_last(out, 0)};
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    opencl_call call =
        opencl_call_start(stream, OPENCL_SOFTMAX, "softmax", "-DDATA=%d", (int)x->dtype);
    opencl_call_tensor(&call, out, out);
    opencl_call_tensor(&call, x, x);
    opencl_call_long(&call, out->rank > 2 ? out->shape[out->rank - 3] : 1);
    opencl_call_long(&call, rows);
    opencl_call_long(&call, cols);
    opencl_call_longs8(&call, strides);
    opencl_call_float(&call, params->scale);
    opencl_call_int(&call, params->causal != 0);
    return run_rows(&call, opencl_count(out) / cols, stream->device->tuning.group);
}

static ttm_status cross_entropy_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_cross_entropy_params *params = op->params;
    const ttm_tensor *loss = &op->tensors[TTM_CROSS_ENTROPY_LOSS];
    const ttm_tensor *logits = &op->tensors[TTM_CROSS_ENTROPY_LOGITS];
    const ttm_tensor *targets = &op->tensors[TTM_CROSS_ENTROPY_TARGETS];
    const ttm_tensor *dlogits = &op->tensors[TTM_CROSS_ENTROPY_DLOGITS];
    const int64_t strides[8] = {logits->stride[0],  logits->stride[1],  dlogits->stride[0],
                                dlogits->stride[1], targets->stride[0], loss->stride[0]};
    const ttm_tensor *rows[] = {logits, dlogits};
    const uint32_t vector = WHOLE_BYTES / (uint32_t)opencl_float_bytes(logits->dtype);
    opencl_shape shape = opencl_usual_shape(stream->device);
    if (shape.group > 1 && has_whole_rows(rows, 2, vector)) {
        shape.vector = vector;
        shape.whole_rows = 1;
    }
    opencl_call call = opencl_call_start_in(stream, &shape, OPENCL_CROSS_ENTROPY, "cross_entropy",
                                            "-DDATA=%d", (int)logits->dtype);
    opencl_call_tensor(&call, loss, loss);
    opencl_call_tensor(&call, logits, logits);
    opencl_call_tensor(&call, targets, targets);
    opencl_call_tensor(&call, dlogits, logits);
    opencl_call_long(&call, logits->shape[1]);
    opencl_call_longs8(&call, strides);
    opencl_call_float(&call, params->gradient_scale);
    opencl_call_int(&call, ttm_tensor_present(dlogits));
    return run_rows(&call, logits->shape[0], shape.group);
}

/* The shape of kernels for a row of `cols`, and how many vectors an item keeps (EACH in
 * layer_norm.cl). Rows of whole vectors have groups of few items, which keep what they read. */
static opencl_shape norm_shape(int *each, const ttm_backend_device *device,
                               const ttm_tensor *const *tensors, int count, int64_t cols)
{
    opencl_shape shape = opencl_usual_shape(device);
    *each = 0;
    if (shape.group == 1 || cols % NORM_VECTOR != 0 ||
        cols > (int64_t)shape.group * NORM_VECTOR * MOST_KEPT ||
        !has_whole_rows(tensors, count, NORM_VECTOR)) {
        return shape;
    }
    while (shape.group > LEAST_NORM_GROUP &&
           cols <= (int64_t)shape.group / 2 * NORM_VECTOR * MOST_KEPT) {
        shape.group /= 2;
    }
    shape.vector = NORM_VECTOR;
    shape.whole_rows = 1;
    *each = (int)opencl_parts(cols, (int64_t)shape.group * NORM_VECTOR);
    return shape;
}

static ttm_status layer_norm_run(ttm_backend_stream *stream, const ttm_op *op)
{
    enum { RESIDUAL = 1, SUM = 2, MEAN = 4, RSTD = 8 };
    const ttm_layer_norm_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_LAYER_NORM_OUT];
    const ttm_tensor *x = &op->tensors[TTM_LAYER_NORM_X];
    const ttm_tensor *gamma = &op->tensors[TTM_LAYER_NORM_GAMMA];
    const ttm_tensor *beta = &op->tensors[TTM_LAYER_NORM_BETA];
    const ttm_tensor *mean = &op->tensors[TTM_LAYER_NORM_MEAN];
    const ttm_tensor *rstd = &op->tensors[TTM_LAYER_NORM_RSTD];
    const ttm_tensor *residual = &op->tensors[TTM_LAYER_NORM_RESIDUAL];
    const ttm_tensor *sum = &op->tensors[TTM_LAYER_NORM_SUM];
    const int64_t strides[8] = {x->stride[0],        x->stride[1],   residual->stride[0],
                                residual->stride[1], sum->stride[0], sum->stride[1],
                                out->stride[0],      out->stride[1]};
    const int64_t more[8] = {gamma->stride[0], beta->stride[0], mean->stride[0], rstd->stride[0]};
    const int flags = (ttm_tensor_present(residual) ? RESIDUAL : 0) |
                      (ttm_tensor_present(sum) ? SUM : 0) | (ttm_tensor_present(mean) ? MEAN : 0) |
                      (ttm_tensor_present(rstd) ? RSTD : 0);
    const ttm_tensor *rows[] = {out, x, gamma, beta, residual, sum};
    int each = 0;
    const opencl_shape shape = norm_shape(&each, stream->device, rows, 6, x->shape[1]);
    opencl_call call =
        opencl_call_start_in(stream, &shape, OPENCL_LAYER_NORM, "layer_norm",
                             "-DDATA=%d -DRESULT=%d -DEACH=%d", (int)x->dtype, (int)x->dtype, each);
    opencl_call_tensor(&call, out, out);
    opencl_call_tensor(&call, x, out);
    opencl_call_tensor(&call, gamma, out);
    opencl_call_tensor(&call, beta, out);
    opencl_call_tensor(&call, mean, out);
    opencl_call_tensor(&call, rstd, out);
    opencl_call_tensor(&call, residual, out);
    opencl_call_tensor(&call, sum, out);
    opencl_call_long(&call, x->shape[1]);
    opencl_call_longs8(&call, strides);
    opencl_call_longs8(&call, more);
    opencl_call_float(&call, params->epsilon);
    opencl_call_int(&call, flags);
    return run_rows(&call, x->shape[1] > 0 ? x->shape[0] : 0, shape.group);
}

/* ---- LAYER_NORM_BACKWARD ---- */

static int64_t chunk_rows(int64_t rows)
{
    const int64_t chunk = opencl_parts(rows, MOST_CHUNKS);
    return chunk > CHUNK_ROWS ? chunk : CHUNK_ROWS;
}

static size_t layer_norm_backward_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *x = &op->tensors[TTM_LAYER_NORM_BACKWARD_X];
    const int64_t chunks = opencl_parts(x->shape[0], chunk_rows(x->shape[0]));
    return 2 * (size_t)chunks * (size_t)x->shape[1] * sizeof(float);
}

static opencl_call start_backward(ttm_backend_stream *stream, const ttm_op *op, const char *name)
{
    return opencl_call_start(stream, OPENCL_LAYER_NORM, name, "-DDATA=%d -DRESULT=%d",
                             (int)op->tensors[TTM_LAYER_NORM_BACKWARD_X].dtype,
                             (int)op->tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA].dtype);
}

/* dgamma and dbeta: two launches. */
static ttm_status add_parameter_gradients(ttm_backend_stream *stream, const ttm_op *op,
                                          const int64_t strides[8])
{
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *dgamma = &tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA];
    const ttm_tensor *dbeta = &tensors[TTM_LAYER_NORM_BACKWARD_DBETA];
    const int64_t rows = tensors[TTM_LAYER_NORM_BACKWARD_X].shape[0];
    const int64_t cols = tensors[TTM_LAYER_NORM_BACKWARD_X].shape[1];
    const int64_t chunk = chunk_rows(rows);
    const int64_t chunks = opencl_parts(rows, chunk);
    const size_t local[2] = {opencl_free_group(stream->device), 1};
    const size_t global[2] = {(size_t)opencl_parts(cols, stream->device->tuning.vector),
                              (size_t)chunks};
    opencl_call parts = start_backward(stream, op, "layer_norm_parts");
    opencl_call_tensor(&parts, &op->workspace, &op->workspace);
    opencl_call_tensor(&parts, &tensors[TTM_LAYER_NORM_BACKWARD_DY], dgamma);
    opencl_call_tensor(&parts, &tensors[TTM_LAYER_NORM_BACKWARD_X], dgamma);
    opencl_call_tensor(&parts, &tensors[TTM_LAYER_NORM_BACKWARD_MEAN], dgamma);
    opencl_call_tensor(&parts, &tensors[TTM_LAYER_NORM_BACKWARD_RSTD], dgamma);
    opencl_call_long(&parts, rows);
    opencl_call_long(&parts, cols);
    opencl_call_longs8(&parts, strides);
    opencl_call_long(&parts, tensors[TTM_LAYER_NORM_BACKWARD_MEAN].stride[0]);
    opencl_call_long(&parts, tensors[TTM_LAYER_NORM_BACKWARD_RSTD].stride[0]);
    opencl_call_long(&parts, chunk);
    opencl_call_long(&parts, chunks);
    const ttm_status status = opencl_call_run(&parts, 2, global, local);
    if (status != TTM_OK) {
        return status;
    }
    size_t group[2];
    opencl_column_group(group, stream->device);
    opencl_call totals = opencl_call_start(stream, OPENCL_LAYER_NORM, "layer_norm_totals",
                                           "-DDATA=%d -DRESULT=%d " OPENCL_COLUMN_OPTIONS,
                                           (int)tensors[TTM_LAYER_NORM_BACKWARD_X].dtype,
                                           (int)dgamma->dtype, group[0], group[1]);
    opencl_call_tensor(&totals, dgamma, dgamma);
    opencl_call_tensor(&totals, dbeta, dgamma);
    opencl_call_tensor(&totals, &op->workspace, &op->workspace);
    opencl_call_long(&totals, chunks);
    opencl_call_long(&totals, cols);
    opencl_call_long(&totals, dgamma->stride[0]);
    opencl_call_long(&totals, dbeta->stride[0]);
    return opencl_run_columns(&totals, cols);
}

static ttm_status layer_norm_backward_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_layer_norm_backward_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *dx = &tensors[TTM_LAYER_NORM_BACKWARD_DX];
    const ttm_tensor *dy = &tensors[TTM_LAYER_NORM_BACKWARD_DY];
    const ttm_tensor *x = &tensors[TTM_LAYER_NORM_BACKWARD_X];
    const ttm_tensor *gamma = &tensors[TTM_LAYER_NORM_BACKWARD_GAMMA];
    const int64_t strides[8] = {dx->stride[0], dx->stride[1], dy->stride[0],   dy->stride[1],
                                x->stride[0],  x->stride[1],  gamma->stride[0]};
    if (opencl_count(x) == 0) {
        return TTM_OK;
    }
    const ttm_status status = add_parameter_gradients(stream, op, strides);
    if (status != TTM_OK) {
        return status;
    }
    const ttm_tensor *rows[] = {dx, dy, x, gamma};
    int each = 0;
    const opencl_shape shape = norm_shape(&each, stream->device, rows, 4, x->shape[1]);
    opencl_call call = opencl_call_start_in(
        stream, &shape, OPENCL_LAYER_NORM, "layer_norm_dx", "-DDATA=%d -DRESULT=%d -DEACH=%d",
        (int)x->dtype, (int)tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA].dtype, each);
    opencl_call_tensor(&call, dx, dx);
    opencl_call_tensor(&call, dy, dx);
    opencl_call_tensor(&call, x, dx);
    opencl_call_tensor(&call, gamma, dx);
    opencl_call_tensor(&call, &tensors[TTM_LAYER_NORM_BACKWARD_MEAN], dx);
    opencl_call_tensor(&call, &tensors[TTM_LAYER_NORM_BACKWARD_RSTD], dx);
    opencl_call_long(&call, x->shape[1]);
    opencl_call_longs8(&call, strides);
    opencl_call_long(&call, tensors[TTM_LAYER_NORM_BACKWARD_MEAN].stride[0]);
    opencl_call_long(&call, tensors[TTM_LAYER_NORM_BACKWARD_RSTD].stride[0]);
    opencl_call_float(&call, params->dx_beta);
    return run_rows(&call, x->shape[0], shape.group);
}

const opencl_op opencl_op_softmax = {rows_supported, NULL, softmax_run};
const opencl_op opencl_op_cross_entropy = {rows_supported, NULL, cross_entropy_run};
const opencl_op opencl_op_layer_norm = {rows_supported, NULL, layer_norm_run};
const opencl_op opencl_op_layer_norm_backward = {rows_supported, layer_norm_backward_workspace,
                                                 layer_norm_backward_run};
