/* Validation of an op's parameters, and of what relates them to shapes. */
#include "core/op_validate.h"

#include "core/error.h"

#include <inttypes.h>
#include <math.h>
#include <ttm/compute.h>

static ttm_status check_finite(const ttm_op *op, const char *name, double value)
{
    if (!isfinite(value)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s: %s is %g; it must be finite",
                        ttm_op_name(op->opcode), name, value);
    }
    return TTM_OK;
}

/* What isn't a whole number of 32 bits is no i32, and C leaves open what becomes of it. */
static ttm_status check_fill(const ttm_op *op)
{
    const double value = ((const ttm_fill_params *)op->params)->value;
    if (op->tensors[TTM_FILL_OUT].dtype == TTM_I32 &&
        !(value >= INT32_MIN && value <= INT32_MAX && value == floor(value))) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "fill: %g is no i32", value);
    }
    return TTM_OK;
}

static ttm_status check_copy(const ttm_op *op)
{
    const ttm_dtype out = op->tensors[TTM_COPY_OUT].dtype;
    const ttm_dtype x = op->tensors[TTM_COPY_X].dtype;
    if ((out == TTM_I32) != (x == TTM_I32)) {
        return ttm_fail(TTM_ERROR_DTYPE,
                        "copy: out is %s and x is %s: there is no conversion between them",
                        ttm_dtype_name(out), ttm_dtype_name(x));
    }
    return TTM_OK;
}

static ttm_status check_beta(const ttm_op *op, const char *name, double value)
{
    if (value != 0.0 && value != 1.0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s: %s is %g; it must be 0 or 1",
                        ttm_op_name(op->opcode), name, value);
    }
    return TTM_OK;
}

static ttm_status check_probability(const ttm_op *op, double value)
{
    if (!(value >= 0.0 && value < 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%s: the dropout probability is %g; it must be at least 0 and below 1",
                        ttm_op_name(op->opcode), value);
    }
    return TTM_OK;
}

static ttm_status check_matmul(const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    TTM_TRY(check_beta(op, "beta", params->beta));
    TTM_TRY(check_finite(op, "alpha", params->alpha));
    const bool has_pre = ttm_tensor_present(&op->tensors[TTM_MATMUL_PRE]) != 0;
    switch (params->activation) {
    case TTM_ACTIVATION_NONE:
        if (has_pre) {
            return ttm_fail(TTM_ERROR_ARGUMENT, "matmul: pre is given without an activation");
        }
        break;
    case TTM_ACTIVATION_GELU:
        break;
    case TTM_ACTIVATION_GELU_BACKWARD:
        if (!has_pre) {
            return ttm_fail(TTM_ERROR_ARGUMENT, "matmul: the activation gelu_backward needs pre");
        }
        break;
    default:
        return ttm_fail(TTM_ERROR_ARGUMENT, "matmul: activation %d doesn't exist",
                        (int)params->activation);
    }
    return TTM_OK;
}

static ttm_status check_norm_epsilon(const ttm_op *op, double value)
{
    if (!(value > 0.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s: epsilon %g must be positive",
                        ttm_op_name(op->opcode), value);
    }
    return TTM_OK;
}

static ttm_status check_norm_matmul(const ttm_op *op)
{
    const ttm_norm_matmul_params *params = op->params;
    TTM_TRY(check_norm_epsilon(op, params->epsilon));
    if (params->activation != TTM_ACTIVATION_NONE && params->activation != TTM_ACTIVATION_GELU) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT, "norm_matmul: activation %d is neither none (%d) nor gelu (%d)",
            (int)params->activation, (int)TTM_ACTIVATION_NONE, (int)TTM_ACTIVATION_GELU);
    }
    return TTM_OK;
}

static ttm_status check_attention(const ttm_op *op, const ttm_tensor *q, const ttm_tensor *k)
{
    const ttm_attention_params *params = op->params;
    TTM_TRY(check_finite(op, "scale", params->scale));
    TTM_TRY(check_probability(op, params->dropout));
    if (params->causal != 0 && k->shape[2] < q->shape[2]) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%s: %" PRId64 " queries see only %" PRId64
                        " keys; causal needs as many keys as queries",
                        ttm_op_name(op->opcode), q->shape[2], k->shape[2]);
    }
    return TTM_OK;
}

static ttm_status check_embedding(const ttm_op *op, const ttm_tensor *rows,
                                  const ttm_tensor *positions)
{
    const ttm_embedding_params *params = op->params;
    if (params->sequence_length < 1 || params->position_start < 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%s: sequence_length %" PRId64 " and position_start %" PRId64
                        " make no positions",
                        ttm_op_name(op->opcode), params->sequence_length, params->position_start);
    }
    const int64_t used =
        rows->shape[0] < params->sequence_length ? rows->shape[0] : params->sequence_length;
    if (ttm_tensor_present(positions) &&
        (used > positions->shape[0] || params->position_start > positions->shape[0] - used)) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%s: %" PRId64 " positions from %" PRId64
                        " on reach beyond a context of %" PRId64,
                        ttm_op_name(op->opcode), used, params->position_start, positions->shape[0]);
    }
    return TTM_OK;
}

static ttm_status check_adamw(const ttm_op *op)
{
    const ttm_adamw_params *params = op->params;
    const int64_t count = op->tensors[TTM_ADAMW_PARAMETERS].shape[0];
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (ttm_tensor_present(tensor) && tensor->shape[0] > 1 && tensor->stride[0] != 1) {
            return ttm_fail(TTM_ERROR_SHAPE, "adamw: its buffers must be contiguous");
        }
    }
    if (params->step < 1 || params->segment_count < 0 ||
        (params->segment_count > 0 && params->segments == NULL)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "adamw: step %" PRId64 " and %" PRId64 " segments; steps count from 1",
                        params->step, params->segment_count);
    }
    if (!(params->beta1 >= 0.0 && params->beta1 < 1.0 && params->beta2 >= 0.0 &&
          params->beta2 < 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "adamw: betas %g and %g must be at least 0 and below 1",
                        params->beta1, params->beta2);
    }
    TTM_TRY(check_finite(op, "learning_rate", params->learning_rate));
    TTM_TRY(check_finite(op, "epsilon", params->epsilon));
    TTM_TRY(check_finite(op, "gradient_scale", params->gradient_scale));
    int64_t end = 0;
    for (int64_t i = 0; i < params->segment_count; i++) {
        const ttm_adamw_segment *segment = &params->segments[i];
        if (segment->start < end || segment->count < 0 || segment->count > count ||
            segment->start > count - segment->count) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "adamw: segment %" PRId64 " [%" PRId64 ", +%" PRId64
                            ") overlaps its neighbour or leaves the buffer of %" PRId64,
                            i, segment->start, segment->count, count);
        }
        end = segment->start + segment->count;
    }
    return TTM_OK;
}

static ttm_status check_sample(const ttm_op *op, const ttm_tensor *logits)
{
    const ttm_sample_params *params = op->params;
    if (!(params->temperature >= 0.0) || !isfinite(params->temperature)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "sample: the temperature must be 0 or positive, not %g",
                        params->temperature);
    }
    if (params->top_k < 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "sample: top_k must be 0 (all) or positive, not %" PRId64, params->top_k);
    }
    if (!(params->top_p > 0.0 && params->top_p <= 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "sample: top_p must be greater than 0 and at most 1, not %g",
                        params->top_p);
    }
    if (logits->shape[1] > INT32_MAX) {
        return ttm_fail(TTM_ERROR_SHAPE, "sample: a vocabulary of %" PRId64 " tokens is too large",
                        logits->shape[1]);
    }
    return TTM_OK;
}

ttm_status ttm_op_validate_params(const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    switch (op->opcode) {
    case TTM_OP_COPY:
        return check_copy(op);
    case TTM_OP_FILL:
        return check_fill(op);
    case TTM_OP_ADD:
        TTM_TRY(check_finite(op, "alpha", ((const ttm_add_params *)op->params)->alpha));
        return check_finite(op, "beta", ((const ttm_add_params *)op->params)->beta);
    case TTM_OP_MATMUL:
        return check_matmul(op);
    case TTM_OP_REDUCE_ROWS:
        TTM_TRY(check_finite(op, "alpha", ((const ttm_reduce_rows_params *)op->params)->alpha));
        return check_beta(op, "beta", ((const ttm_reduce_rows_params *)op->params)->beta);
    case TTM_OP_SUM_OF_SQUARES:
        if (tensors[TTM_SUM_OF_SQUARES_X].shape[0] > 1 &&
            tensors[TTM_SUM_OF_SQUARES_X].stride[0] != 1) {
            return ttm_fail(TTM_ERROR_SHAPE, "sum_of_squares: x must be contiguous");
        }
        return check_beta(op, "beta", ((const ttm_sum_of_squares_params *)op->params)->beta);
    case TTM_OP_DROPOUT:
        return check_probability(op, ((const ttm_dropout_params *)op->params)->probability);
    case TTM_OP_SOFTMAX:
        return check_finite(op, "scale", ((const ttm_softmax_params *)op->params)->scale);
    case TTM_OP_LAYER_NORM:
        return check_norm_epsilon(op, ((const ttm_layer_norm_params *)op->params)->epsilon);
    case TTM_OP_NORM_MATMUL:
        return check_norm_matmul(op);
    case TTM_OP_LAYER_NORM_BACKWARD:
        return check_beta(op, "dx_beta",
                          ((const ttm_layer_norm_backward_params *)op->params)->dx_beta);
    case TTM_OP_ATTENTION:
        return check_attention(op, &tensors[TTM_ATTENTION_Q], &tensors[TTM_ATTENTION_K]);
    case TTM_OP_ATTENTION_BACKWARD:
        return check_attention(op, &tensors[TTM_ATTENTION_BACKWARD_Q],
                               &tensors[TTM_ATTENTION_BACKWARD_K]);
    case TTM_OP_CROSS_ENTROPY:
        return check_finite(op, "gradient_scale",
                            ((const ttm_cross_entropy_params *)op->params)->gradient_scale);
    case TTM_OP_EMBEDDING:
        return check_embedding(op, &tensors[TTM_EMBEDDING_OUT], &tensors[TTM_EMBEDDING_POSITIONS]);
    case TTM_OP_EMBEDDING_BACKWARD:
        return check_embedding(op, &tensors[TTM_EMBEDDING_BACKWARD_DOUT],
                               &tensors[TTM_EMBEDDING_BACKWARD_DPOSITIONS]);
    case TTM_OP_ADAMW:
        return check_adamw(op);
    case TTM_OP_SAMPLE:
        return check_sample(op, &tensors[TTM_SAMPLE_LOGITS]);
    case TTM_OP_TT_GRADIENT:
        return check_beta(op, "beta", ((const ttm_tt_gradient_params *)op->params)->beta);
    default:
        return TTM_OK;
    }
}
