/* Decompositions into simpler ops: products with epilogues, odd strides or batches, layer norm and
 * dropout with a residual, a product of a layer norm. One step at a time: what comes out may be
 * decomposed again. The TT ops are in src/tt/decompose.c. */
#include "core/error.h"
#include "core/op_dispatch.h"

static const ttm_tensor *optional(const ttm_op *op, uint32_t slot)
{
    return ttm_tensor_present(&op->tensors[slot]) ? &op->tensors[slot] : NULL;
}

/* ---- Epilogues ---- */

/* bias [N] seen as [batch…, M, N]. */
static ttm_tensor spread_bias(const ttm_tensor *bias, const ttm_tensor *out)
{
    ttm_tensor view = *bias;
    for (int32_t dim = out->rank - 2; dim >= 0; dim--) {
        view = ttm_tensor_broadcast(&view, 0, out->shape[dim]);
    }
    return view;
}

/* value = alpha·a·b + beta·old + bias, in two ops. */
static ttm_status value_of_product(ttm_stream *stream, const ttm_op *op, const ttm_tensor *value,
                                   double beta)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *bias = optional(op, TTM_MATMUL_BIAS);
    ttm_matmul_options plain = TTM_MATMUL_OPTIONS;
    plain.alpha = params->alpha;
    plain.beta = beta;
    TTM_TRY(
        ttm_matmul(stream, value, &op->tensors[TTM_MATMUL_A], &op->tensors[TTM_MATMUL_B], &plain));
    if (bias == NULL) {
        return TTM_OK;
    }
    const ttm_tensor rows = spread_bias(bias, value);
    return ttm_add(stream, value, 1.0, value, 1.0, &rows);
}

static ttm_status split_epilogue(ttm_stream *stream, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    const ttm_tensor *residual = optional(op, TTM_MATMUL_RESIDUAL);
    const ttm_tensor *pre = optional(op, TTM_MATMUL_PRE);
    if (out->dtype != TTM_F32 && out->dtype != TTM_F64) {
        /* Intermediate results in a narrow type would be rounded more than once. */
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "matmul: no decomposition for a narrow output");
    }
    ttm_tensor result = *out;
    if (residual != NULL) {
        TTM_TRY(ttm_scratch_take(&result, stream, out->dtype, out->rank, out->shape));
    }
    const bool keeps_value = params->activation == TTM_ACTIVATION_GELU && pre != NULL;
    const ttm_tensor value = keeps_value ? *pre : result;
    if (params->beta != 0.0 && (keeps_value || residual != NULL)) {
        TTM_TRY(ttm_copy(stream, &value, out));
    }
    TTM_TRY(value_of_product(stream, op, &value, params->beta));
    if (params->activation == TTM_ACTIVATION_GELU) {
        TTM_TRY(ttm_gelu(stream, &result, &value));
    } else if (params->activation == TTM_ACTIVATION_GELU_BACKWARD) {
        TTM_TRY(ttm_gelu_backward(stream, &result, &value, pre));
    }
    return residual != NULL ? ttm_add(stream, out, 1.0, &result, 1.0, residual) : TTM_OK;
}

/* ---- Strides and batches of a plain product ---- */

static bool has_unit_stride(const ttm_tensor *matrix)
{
    const int32_t rank = matrix->rank;
    return matrix->stride[rank - 1] == 1 || matrix->stride[rank - 2] == 1;
}

/* *dense = x itself, or a contiguous copy in scratch when neither of its last strides is 1. */
static ttm_status make_regular(ttm_tensor *dense, ttm_stream *stream, const ttm_tensor *x)
{
    *dense = *x;
    if (has_unit_stride(x)) {
        return TTM_OK;
    }
    /* What is copied are the elements as they are. */
    ttm_tensor stored = *x;
    stored.dtype = x->dtype == TTM_TF32 ? TTM_F32 : x->dtype;
    TTM_TRY(ttm_scratch_take(dense, stream, stored.dtype, x->rank, x->shape));
    TTM_TRY(ttm_copy(stream, dense, &stored));
    dense->dtype = x->dtype;
    return TTM_OK;
}

static ttm_status regularise_strides(ttm_stream *stream, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    ttm_tensor a;
    ttm_tensor b;
    TTM_TRY(make_regular(&a, stream, &op->tensors[TTM_MATMUL_A]));
    TTM_TRY(make_regular(&b, stream, &op->tensors[TTM_MATMUL_B]));
    ttm_matmul_options plain = TTM_MATMUL_OPTIONS;
    plain.alpha = params->alpha;
    plain.beta = params->beta;
    if (out->stride[out->rank - 1] == 1) {
        return ttm_matmul(stream, out, &a, &b, &plain);
    }
    ttm_tensor rows;
    TTM_TRY(ttm_scratch_take(&rows, stream, out->dtype, out->rank, out->shape));
    if (params->beta != 0.0) {
        TTM_TRY(ttm_copy(stream, &rows, out));
    }
    TTM_TRY(ttm_matmul(stream, &rows, &a, &b, &plain));
    return ttm_copy(stream, out, &rows);
}

/* Element `index` of the first dimension, without that dimension. */
static ttm_tensor batch_element(const ttm_tensor *tensor, int64_t index)
{
    ttm_tensor element = ttm_tensor_slice(tensor, 0, index, 1);
    element.rank--;
    for (int32_t dim = 0; dim < element.rank; dim++) {
        element.shape[dim] = tensor->shape[dim + 1];
        element.stride[dim] = tensor->stride[dim + 1];
    }
    return element;
}

static ttm_status split_batch(ttm_stream *stream, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    ttm_matmul_options plain = TTM_MATMUL_OPTIONS;
    plain.alpha = params->alpha;
    plain.beta = params->beta;
    for (int64_t i = 0; i < op->tensors[TTM_MATMUL_OUT].shape[0]; i++) {
        const ttm_tensor out = batch_element(&op->tensors[TTM_MATMUL_OUT], i);
        const ttm_tensor a = batch_element(&op->tensors[TTM_MATMUL_A], i);
        const ttm_tensor b = batch_element(&op->tensors[TTM_MATMUL_B], i);
        TTM_TRY(ttm_matmul(stream, &out, &a, &b, &plain));
    }
    return TTM_OK;
}

ttm_status ttm_decompose_matmul(ttm_stream *stream, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    if (params->activation != TTM_ACTIVATION_NONE || optional(op, TTM_MATMUL_BIAS) != NULL ||
        optional(op, TTM_MATMUL_RESIDUAL) != NULL) {
        return split_epilogue(stream, op);
    }
    if (out->stride[out->rank - 1] != 1 || !has_unit_stride(&op->tensors[TTM_MATMUL_A]) ||
        !has_unit_stride(&op->tensors[TTM_MATMUL_B])) {
        return regularise_strides(stream, op);
    }
    if (out->rank > 2) {
        return split_batch(stream, op);
    }
    return ttm_fail(TTM_ERROR_UNSUPPORTED, "matmul: there is nothing simpler than a plain product");
}

/* ---- Residuals ---- */

ttm_status ttm_decompose_layer_norm(ttm_stream *stream, const ttm_op *op)
{
    const ttm_layer_norm_params *params = op->params;
    const ttm_tensor *x = &op->tensors[TTM_LAYER_NORM_X];
    const ttm_tensor *residual = optional(op, TTM_LAYER_NORM_RESIDUAL);
    const ttm_tensor *kept = optional(op, TTM_LAYER_NORM_SUM);
    if (x->dtype != TTM_F32 && x->dtype != TTM_F64) {
        /* The mean and the deviation of a rounded sum aren't those of the sum. */
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "layer_norm: no decomposition for a narrow type");
    }
    if (residual == NULL && kept == NULL) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "layer_norm: there is nothing simpler than the plain form");
    }
    ttm_tensor sum;
    if (kept != NULL) {
        sum = *kept;
    } else {
        TTM_TRY(ttm_scratch_take(&sum, stream, x->dtype, x->rank, x->shape));
    }
    TTM_TRY(ttm_add(stream, &sum, 1.0, x, 1.0, residual));
    return ttm_layer_norm(stream, &op->tensors[TTM_LAYER_NORM_OUT],
                          optional(op, TTM_LAYER_NORM_MEAN), optional(op, TTM_LAYER_NORM_RSTD),
                          NULL, &sum, NULL, &op->tensors[TTM_LAYER_NORM_GAMMA],
                          &op->tensors[TTM_LAYER_NORM_BETA], params->epsilon);
}

ttm_status ttm_decompose_dropout(ttm_stream *stream, const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_DROPOUT_OUT];
    const ttm_tensor *residual = optional(op, TTM_DROPOUT_RESIDUAL);
    if (residual == NULL) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "dropout: there is nothing simpler than the plain form");
    }
    ttm_tensor dropped;
    TTM_TRY(ttm_scratch_take(&dropped, stream, out->dtype, out->rank, out->shape));
    TTM_TRY(ttm_dropout(stream, &dropped, &op->tensors[TTM_DROPOUT_X], NULL, op->params));
    return ttm_add(stream, out, 1.0, &dropped, 1.0, residual);
}

/* ---- A product of a layer norm ---- */

ttm_status ttm_decompose_norm_matmul(ttm_stream *stream, const ttm_op *op)
{
    const ttm_norm_matmul_params *params = op->params;
    const ttm_tensor *x = &op->tensors[TTM_NORM_MATMUL_X];
    ttm_tensor normed;
    TTM_TRY(ttm_scratch_take(&normed, stream, x->dtype, x->rank, x->shape));
    TTM_TRY(ttm_layer_norm(stream, &normed, NULL, NULL, NULL, x, NULL,
                           &op->tensors[TTM_NORM_MATMUL_GAMMA], &op->tensors[TTM_NORM_MATMUL_BETA],
                           params->epsilon));
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.bias = optional(op, TTM_NORM_MATMUL_BIAS);
    options.activation = params->activation;
    return ttm_matmul(stream, &op->tensors[TTM_NORM_MATMUL_OUT], &normed,
                      &op->tensors[TTM_NORM_MATMUL_B], &options);
}
