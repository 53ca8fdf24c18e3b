/* Layer norm of rows, forward and backward. A row of a transformer fits L1, so the passes over it
 * after the first cost little and the kernels run at the speed of memory. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

#include <math.h>

/** Columns that lanes add up in f32 before the sum moves to f64. */
#define SUM_COLUMNS 1024

/* s = x + residual is added up anew in each pass: a sum that was rounded on its way through memory
 * would move the statistics. */

ALWAYS_INLINE vector sum_vector(const element *x, const element *residual, size_t at)
{
    return residual != NULL ? element_load(x + at) + element_load(residual + at)
                            : element_load(x + at);
}

ALWAYS_INLINE float sum_element(const element *x, const element *residual, size_t at)
{
    return residual != NULL ? element_get(x + at) + element_get(residual + at)
                            : element_get(x + at);
}

/** Returns Σ s. */
static double row_total(const element *x, const element *residual, size_t cols)
{
    double total = 0.0;
    for (size_t start = 0; start < cols; start += SUM_COLUMNS) {
        const size_t end = cols - start < SUM_COLUMNS ? cols : start + SUM_COLUMNS;
        vector lanes[2] = {{0}, {0}};
        size_t i = start;
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            for (size_t j = 0; j < 2; j++) {
                lanes[j] += sum_vector(x, residual, i + j * LANES);
            }
        }
        total += (double)vector_sum(lanes[0] + lanes[1]);
        for (; i < end; i++) {
            total += (double)sum_element(x, residual, i);
        }
    }
    return total;
}

static double centred_squares(const element *x, const element *residual, float mean, size_t cols)
{
    double total = 0.0;
    for (size_t start = 0; start < cols; start += SUM_COLUMNS) {
        const size_t end = cols - start < SUM_COLUMNS ? cols : start + SUM_COLUMNS;
        vector lanes[2] = {{0}, {0}};
        size_t i = start;
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            for (size_t j = 0; j < 2; j++) {
                const vector value = sum_vector(x, residual, i + j * LANES) - mean;
                lanes[j] += value * value;
            }
        }
        total += (double)vector_sum(lanes[0] + lanes[1]);
        for (; i < end; i++) {
            const float value = sum_element(x, residual, i) - mean;
            total += (double)(value * value);
        }
    }
    return total;
}

/** Returns row `row` of out. */
static void *out_row(const ttm_cpu_layer_norm *job, ptrdiff_t row)
{
    const ptrdiff_t bytes = job->wide_out ? sizeof(float) : sizeof(element);
    return (unsigned char *)job->out + row * job->out_row * bytes;
}

/** Writes a row of out, and s where it has a place, which may be x or residual. */
static void normalise(const ttm_cpu_layer_norm *job, void *out, element *sum, const element *x,
                      const element *residual, float mean, float rstd)
{
    const element *gamma = job->gamma;
    const element *beta = job->beta;
    const int wide = job->wide_out;
    size_t i = 0;
    for (; i + LANES <= job->cols; i += LANES) {
        const vector s = sum_vector(x, residual, i);
        if (sum != NULL) {
            element_store(sum + i, s);
        }
        const vector n = (s - mean) * rstd * element_load(gamma + i) + element_load(beta + i);
        if (wide) {
            vector_store((float *)out + i, n);
        } else {
            element_store((element *)out + i, n);
        }
    }
    for (; i < job->cols; i++) {
        const float s = sum_element(x, residual, i);
        if (sum != NULL) {
            element_put(sum + i, s);
        }
        const float n = (s - mean) * rstd * element_get(gamma + i) + element_get(beta + i);
        if (wide) {
            ((float *)out)[i] = n;
        } else {
            element_put((element *)out + i, n);
        }
    }
}

void TYPED(layer_norm)(const ttm_cpu_layer_norm *job, size_t first_row, size_t last_row)
{
    for (size_t row = first_row; row < last_row; row++) {
        const ptrdiff_t r = (ptrdiff_t)row;
        const element *x = (const element *)job->x + r * job->x_row;
        const element *residual =
            job->residual == NULL ? NULL : (const element *)job->residual + r * job->residual_row;
        element *sum = job->sum == NULL ? NULL : (element *)job->sum + r * job->sum_row;
        const double mean = row_total(x, residual, job->cols) / (double)job->cols;
        const double variance =
            centred_squares(x, residual, (float)mean, job->cols) / (double)job->cols;
        const float rstd = (float)(1.0 / sqrt(variance + job->epsilon));
        normalise(job, out_row(job, r), sum, x, residual, (float)mean, rstd);
        if (job->mean != NULL) {
            job->mean[row] = (float)mean;
        }
        if (job->rstd != NULL) {
            job->rstd[row] = rstd;
        }
    }
}

/** Adds a row to dgamma and dbeta; returns Σ g and Σ g·n through the pointers. */
static void row_sums(const ttm_cpu_layer_norm_backward *job, const element *dy, const element *x,
                     float mean, float rstd, double *sum_g, double *sum_gn)
{
    const element *gamma = job->gamma;
    *sum_g = 0.0;
    *sum_gn = 0.0;
    for (size_t start = 0; start < job->cols; start += SUM_COLUMNS) {
        const size_t end = job->cols - start < SUM_COLUMNS ? job->cols : start + SUM_COLUMNS;
        vector lanes_g = {0};
        vector lanes_gn = {0};
        size_t i = start;
        for (; i + LANES <= end; i += LANES) {
            const vector gradient = element_load(dy + i);
            const vector normal = (element_load(x + i) - mean) * rstd;
            const vector g = gradient * element_load(gamma + i);
            lanes_g += g;
            lanes_gn += g * normal;
            vector_store(job->dgamma + i, vector_load(job->dgamma + i) + gradient * normal);
            vector_store(job->dbeta + i, vector_load(job->dbeta + i) + gradient);
        }
        *sum_g += (double)vector_sum(lanes_g);
        *sum_gn += (double)vector_sum(lanes_gn);
        for (; i < end; i++) {
            const float normal = (element_get(x + i) - mean) * rstd;
            const float g = element_get(dy + i) * element_get(gamma + i);
            *sum_g += (double)g;
            *sum_gn += (double)(g * normal);
            job->dgamma[i] += element_get(dy + i) * normal;
            job->dbeta[i] += element_get(dy + i);
        }
    }
}

static void row_gradient(const ttm_cpu_layer_norm_backward *job, element *dx, const element *dy,
                         const element *x, float mean, float rstd, float mean_g, float mean_gn)
{
    const element *gamma = job->gamma;
    size_t i = 0;
    for (; i + LANES <= job->cols; i += LANES) {
        const vector normal = (element_load(x + i) - mean) * rstd;
        const vector g = element_load(dy + i) * element_load(gamma + i);
        vector value = (g - mean_g - normal * mean_gn) * rstd;
        if (job->accumulate) {
            value += element_load(dx + i);
        }
        element_store(dx + i, value);
    }
    for (; i < job->cols; i++) {
        const float normal = (element_get(x + i) - mean) * rstd;
        const float value =
            (element_get(dy + i) * element_get(gamma + i) - mean_g - normal * mean_gn) * rstd;
        element_put(dx + i, job->accumulate ? element_get(dx + i) + value : value);
    }
}

void TYPED(layer_norm_backward)(const ttm_cpu_layer_norm_backward *job, size_t first_row,
                                size_t last_row)
{
    for (size_t row = first_row; row < last_row; row++) {
        const ptrdiff_t r = (ptrdiff_t)row;
        const element *dy = (const element *)job->dy + r * job->dy_row;
        const element *x = (const element *)job->x + r * job->x_row;
        double sum_g = 0.0;
        double sum_gn = 0.0;
        row_sums(job, dy, x, job->mean[row], job->rstd[row], &sum_g, &sum_gn);
        row_gradient(job, (element *)job->dx + r * job->dx_row, dy, x, job->mean[row],
                     job->rstd[row], (float)(sum_g / (double)job->cols),
                     (float)(sum_gn / (double)job->cols));
    }
}
