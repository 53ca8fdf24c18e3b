/* COPY, FILL, ADD, GELU, GELU_BACKWARD, DROPOUT: every element on its own, span after span. */
#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"

ttm_status run_copy(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_COPY_OUT];
    const ttm_tensor *x = &op->tensors[TTM_COPY_X];
    double values[SPAN_LENGTH];
    for (struct span span = {0}; next_span(&span, out);) {
        load_span(values, x, &span);
        store_span(out, &span, values);
    }
    return TTM_OK;
}

ttm_status run_fill(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_FILL_OUT];
    const ttm_fill_params *params = op->params;
    double values[SPAN_LENGTH];
    for (int i = 0; i < SPAN_LENGTH; i++) {
        values[i] = params->value;
    }
    for (struct span span = {0}; next_span(&span, out);) {
        store_span(out, &span, values);
    }
    return TTM_OK;
}

/* out = alpha·a + beta·b */
ttm_status run_add(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_ADD_OUT];
    const ttm_tensor *b_tensor = &op->tensors[TTM_ADD_B];
    const ttm_add_params *params = op->params;
    double a[SPAN_LENGTH];
    double b[SPAN_LENGTH] = {0};
    for (struct span span = {0}; next_span(&span, out);) {
        load_span(a, &op->tensors[TTM_ADD_A], &span);
        if (ttm_tensor_present(b_tensor)) {
            load_span(b, b_tensor, &span);
        }
        for (int64_t i = 0; i < span.count; i++) {
            a[i] = params->alpha * a[i] + params->beta * b[i];
        }
        store_span(out, &span, a);
    }
    return TTM_OK;
}

ttm_status run_gelu(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_GELU_OUT];
    double x[SPAN_LENGTH];
    for (struct span span = {0}; next_span(&span, out);) {
        load_span(x, &op->tensors[TTM_GELU_X], &span);
        for (int64_t i = 0; i < span.count; i++) {
            x[i] = gelu(x[i]);
        }
        store_span(out, &span, x);
    }
    return TTM_OK;
}

/* dx = dy·gelu'(x) */
ttm_status run_gelu_backward(const ttm_op *op)
{
    const ttm_tensor *dx = &op->tensors[TTM_GELU_BACKWARD_DX];
    double dy[SPAN_LENGTH];
    double x[SPAN_LENGTH];
    for (struct span span = {0}; next_span(&span, dx);) {
        load_span(dy, &op->tensors[TTM_GELU_BACKWARD_DY], &span);
        load_span(x, &op->tensors[TTM_GELU_BACKWARD_X], &span);
        for (int64_t i = 0; i < span.count; i++) {
            dy[i] *= gelu_slope(x[i]);
        }
        store_span(dx, &span, dy);
    }
    return TTM_OK;
}

/* out = residual + x·keep/(1 − probability) */
ttm_status run_dropout(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_DROPOUT_OUT];
    const ttm_tensor *residual_tensor = &op->tensors[TTM_DROPOUT_RESIDUAL];
    const ttm_dropout_params *params = op->params;
    double x[SPAN_LENGTH];
    double residual[SPAN_LENGTH] = {0};
    for (struct span span = {0}; next_span(&span, out);) {
        load_span(x, &op->tensors[TTM_DROPOUT_X], &span);
        if (ttm_tensor_present(residual_tensor)) {
            load_span(residual, residual_tensor, &span);
        }
        const int64_t first = span.row * row_length(out) + span.start;
        for (int64_t i = 0; i < span.count; i++) {
            const uint64_t number = params->start + (uint64_t)(first + i);
            x[i] = residual[i] + x[i] * dropout_factor(params->probability, params->seed, number);
        }
        store_span(out, &span, x);
    }
    return TTM_OK;
}
