/* SOFTMAX, LAYER_NORM, LAYER_NORM_BACKWARD and NORM_MATMUL: each row on its own. */
#include <math.h>

#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* x[0 … visible) = exp(scale·x_j − m) / Σ exp(scale·x_j − m), m the maximum of scale·x; 0 behind.
 */
static void softmax_row(double *x, double scale, int64_t visible, int64_t cols)
{
    double maximum = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        x[j] *= scale;
        maximum = fmax(maximum, x[j]);
    }
    double sum = 0.0;
    for (int64_t j = 0; j < visible; j++) {
        x[j] = exp(x[j] - maximum);
        sum += x[j];
    }
    for (int64_t j = 0; j < visible; j++) {
        x[j] /= sum;
    }
    for (int64_t j = visible; j < cols; j++) {
        x[j] = 0.0;
    }
}

ttm_status run_softmax(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_SOFTMAX_OUT];
    const ttm_softmax_params *params = op->params;
    const int64_t rows = out->shape[out->rank - 2];
    const int64_t cols = row_length(out);
    struct scratch scratch = {0};
    double *x = scratch_take(&scratch, 1, cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    for (int64_t row = 0; row < row_count(out); row++) {
        int64_t visible = cols;
        if (params->causal) {
            visible = row % rows + (cols - rows) + 1; /* never more than cols */
            visible = visible > 0 ? visible : 0;
        }
        load_row(x, &op->tensors[TTM_SOFTMAX_X], row);
        softmax_row(x, params->scale, visible, cols);
        store_row(out, row, x);
    }
    return scratch_end(&scratch);
}

/* Mean and 1/√(variance + epsilon) of a row, the variance from centred values. */
static void row_moments(double *mean, double *rstd, const double *s, int64_t cols, double epsilon)
{
    double sum = 0.0;
    for (int64_t j = 0; j < cols; j++) {
        sum += s[j];
    }
    *mean = sum / (double)cols;
    double squares = 0.0;
    for (int64_t j = 0; j < cols; j++) {
        squares += (s[j] - *mean) * (s[j] - *mean);
    }
    *rstd = 1.0 / sqrt(squares / (double)cols + epsilon);
}

/* s = (s − mean)·rstd·gamma + beta for a row s. */
static void normalise_row(double *s, double mean, double rstd, const double *gamma,
                          const double *beta, int64_t cols)
{
    for (int64_t j = 0; j < cols; j++) {
        s[j] = (s[j] - mean) * rstd * gamma[j] + beta[j];
    }
}

static void store_if_present(const ttm_tensor *tensor, int64_t row, const double *source)
{
    if (ttm_tensor_present(tensor)) {
        store_row(tensor, row, source);
    }
}

/* s = x + residual; out = (s − mean)·rstd·gamma + beta */
ttm_status run_layer_norm(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_LAYER_NORM_OUT];
    const ttm_tensor *residual_tensor = &op->tensors[TTM_LAYER_NORM_RESIDUAL];
    const ttm_layer_norm_params *params = op->params;
    const int64_t rows = row_count(out);
    const int64_t cols = row_length(out);
    struct scratch scratch = {0};
    double *s = scratch_take(&scratch, 1, cols);
    double *residual = scratch_take(&scratch, 1, cols);
    double *gamma = scratch_take(&scratch, 1, cols);
    double *beta = scratch_take(&scratch, 1, cols);
    double *mean = scratch_take(&scratch, 1, rows);
    double *rstd = scratch_take(&scratch, 1, rows);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(gamma, &op->tensors[TTM_LAYER_NORM_GAMMA], 0);
    load_row(beta, &op->tensors[TTM_LAYER_NORM_BETA], 0);
    for (int64_t i = 0; i < rows; i++) {
        load_row(s, &op->tensors[TTM_LAYER_NORM_X], i);
        if (ttm_tensor_present(residual_tensor)) {
            load_row(residual, residual_tensor, i);
            add_scaled(s, 1.0, residual, cols);
        }
        store_if_present(&op->tensors[TTM_LAYER_NORM_SUM], i, s);
        row_moments(&mean[i], &rstd[i], s, cols, params->epsilon);
        normalise_row(s, mean[i], rstd[i], gamma, beta, cols);
        store_row(out, i, s);
    }
    store_if_present(&op->tensors[TTM_LAYER_NORM_MEAN], 0, mean);
    store_if_present(&op->tensors[TTM_LAYER_NORM_RSTD], 0, rstd);
    return scratch_end(&scratch);
}

/* With n = (x − mean)·rstd and g = dy·gamma: dx = dx_beta·dx + rstd·(g − mean(g) − n·mean(g·n)). */
static void layer_norm_dx(double *dx, double dx_beta, double rstd, const double *n, const double *g,
                          int64_t cols)
{
    double sum_g = 0.0;
    for (int64_t j = 0; j < cols; j++) {
        sum_g += g[j];
    }
    const double mean_g = sum_g / (double)cols;
    const double mean_gn = dot(g, n, cols) / (double)cols;
    for (int64_t j = 0; j < cols; j++) {
        const double before = dx_beta != 0.0 ? dx_beta * dx[j] : 0.0;
        dx[j] = before + rstd * (g[j] - mean_g - n[j] * mean_gn);
    }
}

ttm_status run_layer_norm_backward(const ttm_op *op)
{
    const ttm_tensor *dx_tensor = &op->tensors[TTM_LAYER_NORM_BACKWARD_DX];
    const ttm_layer_norm_backward_params *params = op->params;
    const int64_t rows = row_count(dx_tensor);
    const int64_t cols = row_length(dx_tensor);
    struct scratch scratch = {0};
    double *n = scratch_take(&scratch, 1, cols);
    double *dy = scratch_take(&scratch, 1, cols);
    double *dx = scratch_take(&scratch, 1, cols);
    double *gamma = scratch_take(&scratch, 1, cols);
    double *dgamma = scratch_take(&scratch, 1, cols);
    double *dbeta = scratch_take(&scratch, 1, cols);
    double *mean = scratch_take(&scratch, 1, rows);
    double *rstd = scratch_take(&scratch, 1, rows);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(gamma, &op->tensors[TTM_LAYER_NORM_BACKWARD_GAMMA], 0);
    load_row(mean, &op->tensors[TTM_LAYER_NORM_BACKWARD_MEAN], 0);
    load_row(rstd, &op->tensors[TTM_LAYER_NORM_BACKWARD_RSTD], 0);
    load_row(dgamma, &op->tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA], 0);
    load_row(dbeta, &op->tensors[TTM_LAYER_NORM_BACKWARD_DBETA], 0);
    for (int64_t i = 0; i < rows; i++) {
        load_row(n, &op->tensors[TTM_LAYER_NORM_BACKWARD_X], i);
        load_row(dy, &op->tensors[TTM_LAYER_NORM_BACKWARD_DY], i);
        if (params->dx_beta != 0.0) {
            load_row(dx, dx_tensor, i);
        }
        for (int64_t j = 0; j < cols; j++) {
            n[j] = (n[j] - mean[i]) * rstd[i];
            dgamma[j] += dy[j] * n[j];
            dbeta[j] += dy[j];
            dy[j] *= gamma[j]; /* dy is g from here on */
        }
        layer_norm_dx(dx, params->dx_beta, rstd[i], n, dy, cols);
        store_row(dx_tensor, i, dx);
    }
    store_row(&op->tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA], 0, dgamma);
    store_row(&op->tensors[TTM_LAYER_NORM_BACKWARD_DBETA], 0, dbeta);
    return scratch_end(&scratch);
}

/* out = n·b + bias, or gelu of that, n the layer norm of x. All rows at once, so that a row of b is
 * loaded once; n isn't rounded. */
ttm_status run_norm_matmul(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_NORM_MATMUL_OUT];
    const ttm_tensor *x = &op->tensors[TTM_NORM_MATMUL_X];
    const ttm_tensor *bias = &op->tensors[TTM_NORM_MATMUL_BIAS];
    const ttm_norm_matmul_params *params = op->params;
    const int64_t rows = row_count(out);
    const int64_t cols = row_length(out);
    const int64_t inner = row_length(x);
    struct scratch scratch = {0};
    double *n = scratch_take(&scratch, rows, inner);
    double *gamma = scratch_take(&scratch, 1, inner);
    double *beta = scratch_take(&scratch, 1, inner);
    double *b = scratch_take(&scratch, 1, cols);
    double *value = scratch_take(&scratch, rows, cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(gamma, &op->tensors[TTM_NORM_MATMUL_GAMMA], 0);
    load_row(beta, &op->tensors[TTM_NORM_MATMUL_BETA], 0);
    for (int64_t i = 0; i < rows; i++) {
        double mean = 0.0;
        double rstd = 0.0;
        load_row(n + i * inner, x, i);
        row_moments(&mean, &rstd, n + i * inner, inner, params->epsilon);
        normalise_row(n + i * inner, mean, rstd, gamma, beta, inner);
        if (ttm_tensor_present(bias)) {
            load_row(value + i * cols, bias, 0);
        }
    }
    for (int64_t k = 0; k < inner; k++) {
        load_row(b, &op->tensors[TTM_NORM_MATMUL_B], k);
        for (int64_t i = 0; i < rows; i++) {
            add_scaled(value + i * cols, n[i * inner + k], b, cols);
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols && params->activation == TTM_ACTIVATION_GELU; j++) {
            value[i * cols + j] = gelu(value[i * cols + j]);
        }
        store_row(out, i, value + i * cols);
    }
    return scratch_end(&scratch);
}
