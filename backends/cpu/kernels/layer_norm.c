/* Layer norm of rows, forward and backward. A row of a transformer fits L1, so the passes over it
 * after the first cost little and the kernels run at the speed of memory. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

#include <math.h>

/** Columns that lanes add up in f32 before the sum moves to f64. */
#define SUM_COLUMNS 1024

/** s = x + residual, kept in `sum` where there is one; returns Σ s. `s` is where s can be read. */
static double add_residual(const float *x, const float *residual, float *sum, size_t cols)
{
    double total = 0.0;
    for (size_t start = 0; start < cols; start += SUM_COLUMNS) {
        const size_t end = cols - start < SUM_COLUMNS ? cols : start + SUM_COLUMNS;
        vector lanes[2] = {{0}, {0}};
        size_t i = start;
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            for (size_t j = 0; j < 2; j++) {
                const size_t at = i + j * LANES;
                vector value = vector_load(x + at);
                if (residual != NULL) {
                    value += vector_load(residual + at);
                }
                if (sum != NULL) {
                    vector_store(sum + at, value);
                }
                lanes[j] += value;
            }
        }
        total += (double)vector_sum(lanes[0] + lanes[1]);
        for (; i < end; i++) {
            const float value = residual != NULL ? x[i] + residual[i] : x[i];
            if (sum != NULL) {
                sum[i] = value;
            }
            total += (double)value;
        }
    }
    return total;
}

static double centred_squares(const float *s, float mean, size_t cols)
{
    double total = 0.0;
    for (size_t start = 0; start < cols; start += SUM_COLUMNS) {
        const size_t end = cols - start < SUM_COLUMNS ? cols : start + SUM_COLUMNS;
        vector lanes[2] = {{0}, {0}};
        size_t i = start;
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            for (size_t j = 0; j < 2; j++) {
                const vector value = vector_load(s + i + j * LANES) - mean;
                lanes[j] += value * value;
            }
        }
        total += (double)vector_sum(lanes[0] + lanes[1]);
        for (; i < end; i++) {
            const float value = s[i] - mean;
            total += (double)(value * value);
        }
    }
    return total;
}

static void normalise(float *out, const float *s, const float *gamma, const float *beta, float mean,
                      float rstd, size_t cols)
{
    size_t i = 0;
    for (; i + LANES <= cols; i += LANES) {
        const vector normal = (vector_load(s + i) - mean) * rstd;
        vector_store(out + i, normal * vector_load(gamma + i) + vector_load(beta + i));
    }
    for (; i < cols; i++) {
        out[i] = (s[i] - mean) * rstd * gamma[i] + beta[i];
    }
}

void KERNEL(layer_norm)(const ttm_cpu_layer_norm *job, size_t first_row, size_t last_row)
{
    for (size_t row = first_row; row < last_row; row++) {
        const ptrdiff_t r = (ptrdiff_t)row;
        const float *x = job->x + r * job->x_row;
        const float *residual =
            job->residual == NULL ? NULL : job->residual + r * job->residual_row;
        float *out = job->out + r * job->out_row;
        /* Without a place for the sum, s lives in the output row until it is normalised. */
        float *sum = job->sum != NULL ? job->sum + r * job->sum_row : NULL;
        if (sum == NULL && residual != NULL) {
            sum = out;
        }
        const double total = add_residual(x, residual, sum, job->cols);
        const float *s = sum != NULL ? sum : x;
        const double mean = total / (double)job->cols;
        const double variance = centred_squares(s, (float)mean, job->cols) / (double)job->cols;
        const float rstd = (float)(1.0 / sqrt(variance + job->epsilon));
        normalise(out, s, job->gamma, job->beta, (float)mean, rstd, job->cols);
        if (job->mean != NULL) {
            job->mean[row] = (float)mean;
        }
        if (job->rstd != NULL) {
            job->rstd[row] = rstd;
        }
    }
}

/** Adds a row to dgamma and dbeta; returns Σ g and Σ g·n through the pointers. */
static void row_sums(const ttm_cpu_layer_norm_backward *job, const float *dy, const float *x,
                     float mean, float rstd, double *sum_g, double *sum_gn)
{
    *sum_g = 0.0;
    *sum_gn = 0.0;
    for (size_t start = 0; start < job->cols; start += SUM_COLUMNS) {
        const size_t end = job->cols - start < SUM_COLUMNS ? job->cols : start + SUM_COLUMNS;
        vector lanes_g = {0};
        vector lanes_gn = {0};
        size_t i = start;
        for (; i + LANES <= end; i += LANES) {
            const vector gradient = vector_load(dy + i);
            const vector normal = (vector_load(x + i) - mean) * rstd;
            const vector g = gradient * vector_load(job->gamma + i);
            lanes_g += g;
            lanes_gn += g * normal;
            vector_store(job->dgamma + i, vector_load(job->dgamma + i) + gradient * normal);
            vector_store(job->dbeta + i, vector_load(job->dbeta + i) + gradient);
        }
        *sum_g += (double)vector_sum(lanes_g);
        *sum_gn += (double)vector_sum(lanes_gn);
        for (; i < end; i++) {
            const float normal = (x[i] - mean) * rstd;
            const float g = dy[i] * job->gamma[i];
            *sum_g += (double)g;
            *sum_gn += (double)(g * normal);
            job->dgamma[i] += dy[i] * normal;
            job->dbeta[i] += dy[i];
        }
    }
}

static void row_gradient(const ttm_cpu_layer_norm_backward *job, float *dx, const float *dy,
                         const float *x, float mean, float rstd, float mean_g, float mean_gn)
{
    size_t i = 0;
    for (; i + LANES <= job->cols; i += LANES) {
        const vector normal = (vector_load(x + i) - mean) * rstd;
        const vector g = vector_load(dy + i) * vector_load(job->gamma + i);
        vector value = (g - mean_g - normal * mean_gn) * rstd;
        if (job->accumulate) {
            value += vector_load(dx + i);
        }
        vector_store(dx + i, value);
    }
    for (; i < job->cols; i++) {
        const float normal = (x[i] - mean) * rstd;
        const float value = (dy[i] * job->gamma[i] - mean_g - normal * mean_gn) * rstd;
        dx[i] = job->accumulate ? dx[i] + value : value;
    }
}

void KERNEL(layer_norm_backward)(const ttm_cpu_layer_norm_backward *job, size_t first_row,
                                 size_t last_row)
{
    for (size_t row = first_row; row < last_row; row++) {
        const ptrdiff_t r = (ptrdiff_t)row;
        const float *dy = job->dy + r * job->dy_row;
        const float *x = job->x + r * job->x_row;
        double sum_g = 0.0;
        double sum_gn = 0.0;
        row_sums(job, dy, x, job->mean[row], job->rstd[row], &sum_g, &sum_gn);
        row_gradient(job, job->dx + r * job->dx_row, dy, x, job->mean[row], job->rstd[row],
                     (float)(sum_g / (double)job->cols), (float)(sum_gn / (double)job->cols));
    }
}
