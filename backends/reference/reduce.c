/* REDUCE_ROWS and SUM_OF_SQUARES. */
#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* out[j] = beta·out[j] + alpha·Σ_i x[i, j] */
ttm_status run_reduce_rows(const ttm_op *op)
{
    const ttm_tensor *out_tensor = &op->tensors[TTM_REDUCE_ROWS_OUT];
    const ttm_tensor *x_tensor = &op->tensors[TTM_REDUCE_ROWS_X];
    const ttm_reduce_rows_params *params = op->params;
    const int64_t rows = row_count(x_tensor);
    const int64_t cols = row_length(x_tensor);
    struct scratch scratch = {0};
    double *x = scratch_take(&scratch, 1, cols);
    double *sums = scratch_take(&scratch, 1, cols);
    double *out = scratch_take(&scratch, 1, cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    for (int64_t i = 0; i < rows; i++) {
        load_row(x, x_tensor, i);
        add_scaled(sums, 1.0, x, cols);
    }
    if (params->beta != 0.0) {
        load_row(out, out_tensor, 0);
    }
    for (int64_t j = 0; j < cols; j++) {
        out[j] = params->beta * out[j] + params->alpha * sums[j];
    }
    store_row(out_tensor, 0, out);
    return scratch_end(&scratch);
}

/* out = beta·out + Σ x² */
ttm_status run_sum_of_squares(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_SUM_OF_SQUARES_OUT];
    const ttm_tensor *x_tensor = &op->tensors[TTM_SUM_OF_SQUARES_X];
    const ttm_sum_of_squares_params *params = op->params;
    double x[SPAN_LENGTH];
    double sum = params->beta != 0.0 ? params->beta * load_scalar(out) : 0.0;
    for (struct span span = {0}; next_span(&span, x_tensor);) {
        load_span(x, x_tensor, &span);
        sum += dot(x, x, span.count);
    }
    store_scalar(out, sum);
    return TTM_OK;
}
