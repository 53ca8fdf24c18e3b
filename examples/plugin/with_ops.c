/* Step 3 of the guide: the three op functions, and MATMUL as the first op.
 *
 * Only the plain product of f32 matrices is taken. A product with a bias, a residual or an
 * activation is refused by op_supported, and libttm makes it of this product and simpler ops: the
 * right answer at once, and the profile tells what an own epilogue would save. */
#include "plugin.h"

/* True where the op is a plain f32 product with out's rows contiguous. */
static int matmul_supported(const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (ttm_tensor_present(tensor) && (slot > TTM_MATMUL_B || tensor->dtype != TTM_F32 ||
                                           tensor->layout != TTM_LAYOUT_STRIDED)) {
            return 0; /* a bias, a residual, another type */
        }
    }
    return params->activation == TTM_ACTIVATION_NONE && out->stride[out->rank - 1] == 1;
}

/* Where matrix number `batch` (row-major over the batch dimensions) of a tensor starts. */
static float *matrix_at(const ttm_tensor *tensor, int64_t batch)
{
    int64_t elements = 0;
    for (int32_t dim = tensor->rank - 3; dim >= 0; dim--) {
        elements += batch % tensor->shape[dim] * tensor->stride[dim];
        batch /= tensor->shape[dim];
    }
    return (float *)template_data(tensor) + elements;
}

/* out = alpha·a·b + beta·out for one matrix: call your library's GEMM here. The strides say whether
 * an operand is transposed: the stride that is 1 is the one that runs along its rows. */
static void multiply(float *out, const float *a, const float *b, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *left = &op->tensors[TTM_MATMUL_A];
    const ttm_tensor *right = &op->tensors[TTM_MATMUL_B];
    const ttm_tensor *result = &op->tensors[TTM_MATMUL_OUT];
    const int32_t row = result->rank - 2;
    const int32_t col = result->rank - 1;
    for (int64_t i = 0; i < result->shape[row]; i++) {
        for (int64_t j = 0; j < result->shape[col]; j++) {
            float *element = &out[i * result->stride[row] + j];
            double sum = 0.0;
            for (int64_t k = 0; k < left->shape[col]; k++) {
                sum += (double)a[i * left->stride[row] + k * left->stride[col]] *
                       (double)b[k * right->stride[row] + j * right->stride[col]];
            }
            /* With beta = 0 the old value isn't read: it may be a NaN. */
            *element =
                (float)(params->alpha * sum + (params->beta != 0.0 ? (double)*element : 0.0));
        }
    }
}

static void run_matmul(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    int64_t matrices = 1;
    for (int32_t dim = 0; dim < out->rank - 2; dim++) {
        matrices *= out->shape[dim];
    }
    for (int64_t batch = 0; batch < matrices; batch++) {
        multiply(matrix_at(out, batch), matrix_at(&op->tensors[TTM_MATMUL_A], batch),
                 matrix_at(&op->tensors[TTM_MATMUL_B], batch), op);
    }
}

/* Asked often, and when a run is planned without memory: look at shapes, types and parameters. */
int template_op_supported(ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    switch (op->opcode) {
    case TTM_OP_MATMUL:
        return matmul_supported(op);
#ifdef TEMPLATE_HAS_TT_LINEAR
    case TTM_OP_TT_LINEAR:
        return template_tt_linear_supported(op);
#endif
    default:
        return 0; /* also what a newer libttm may ask for */
    }
}

/* Scratch that libttm lends for the time of an op. */
size_t template_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
#ifdef TEMPLATE_HAS_TT_LINEAR
    return op->opcode == TTM_OP_TT_LINEAR ? template_tt_linear_workspace_bytes(op) : 0;
#else
    (void)op;
    return 0;
#endif
}

/* Queues the op. libttm asked op_supported first. */
ttm_status template_op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    if (!template_op_supported(stream->device, op)) {
        return template_fail(TTM_ERROR_UNSUPPORTED, "the template has no op %d", (int)op->opcode);
    }
#ifdef TEMPLATE_HAS_TT_LINEAR
    if (op->opcode == TTM_OP_TT_LINEAR) {
        template_tt_linear(op);
        return TTM_OK;
    }
#endif
    run_matmul(op);
    return TTM_OK;
}
