/* The bound of NORM_MATMUL: LAYER_NORM's in f32, carried through b; a rounding of n to a narrow
 * type; MATMUL's; the activation's. docs/conformance.md derives it. */
#include "conformance/bounds_norm_matmul.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>

/* How many standard deviations the roundings of n may make together. */
#define DEVIATIONS 8.0

/* One row of x normalised: exact values, and what each may be off by before it is rounded. */
typedef struct normed_row {
    double *n;     /* [inner] */
    double *error; /* [inner] */
    int64_t inner; /* K */
} normed_row;

static const double *values(const bound_question *q, uint32_t slot)
{
    return q->made->slots[slot].values;
}

static double mean_of(const double *x, int64_t count)
{
    double sum = 0.0;
    for (int64_t k = 0; k < count; k++) {
        sum += x[k];
    }
    return sum / (double)count;
}

/* LAYER_NORM's value and its error in units of sums. */
static void normalise(normed_row *row, const bound_question *q, int64_t i, double sum_unit)
{
    const double *x = values(q, TTM_NORM_MATMUL_X) + i * row->inner;
    const double *gamma = values(q, TTM_NORM_MATMUL_GAMMA);
    const double *beta = values(q, TTM_NORM_MATMUL_BETA);
    const double mean = mean_of(x, row->inner);
    double squares = 0.0;
    double largest = 0.0;
    for (int64_t k = 0; k < row->inner; k++) {
        squares += (x[k] - mean) * (x[k] - mean);
        largest = fmax(largest, fabs(x[k]));
    }
    const double variance = squares / (double)row->inner;
    const double rstd = 1.0 / sqrt(variance + q->made->params.norm_matmul.epsilon);
    for (int64_t k = 0; k < row->inner; k++) {
        const double scaled = (x[k] - mean) * rstd * gamma[k];
        row->n[k] = scaled + beta[k];
        row->error[k] =
            16.0 * sum_unit * (fabs(scaled) + fabs(beta[k]) + rstd * largest * fabs(gamma[k]));
    }
}

/* The error of value j of a row, and *value itself. */
static double product_error(double *value, const normed_row *row, const bound_question *q,
                            int64_t j, const norm_matmul_units *units)
{
    const int64_t cols = q->made->slots[TTM_NORM_MATMUL_OUT].shape[1];
    const double *b = values(q, TTM_NORM_MATMUL_B) + j;
    const double *bias = values(q, TTM_NORM_MATMUL_BIAS);
    const double added = bias != NULL ? bias[j] : 0.0;
    double absolute = 0.0;
    double squares = 0.0;
    double carried = 0.0;
    *value = added;
    for (int64_t k = 0; k < row->inner; k++) {
        const double term = row->n[k] * b[k * cols];
        *value += term;
        absolute += fabs(term);
        squares += term * term;
        carried += row->error[k] * fabs(b[k * cols]);
    }
    const double rounded = units->normed * fmin(absolute, DEVIATIONS * sqrt(squares / 3.0));
    return (double)(row->inner + 4) * units->sum * (absolute + fabs(added)) + carried + rounded;
}

ttm_status bound_norm_matmul(double *bounds, const bound_question *q,
                             const norm_matmul_units *units)
{
    const struct operand *x = &q->made->slots[TTM_NORM_MATMUL_X];
    const int64_t cols = q->made->slots[TTM_NORM_MATMUL_OUT].shape[1];
    const size_t inner = (size_t)x->shape[1];
    double *buffer = calloc(2 * inner + 1, sizeof *buffer);
    if (buffer == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for error bounds");
    }
    normed_row row = {.n = buffer, .error = buffer + inner, .inner = x->shape[1]};
    for (int64_t i = 0; i < x->shape[0]; i++) {
        normalise(&row, q, i, units->sum);
        for (int64_t j = 0; j < cols; j++) {
            double value = 0.0;
            double error = product_error(&value, &row, q, j, units);
            if (q->made->params.norm_matmul.activation == TTM_ACTIVATION_GELU) {
                /* Its slope is at most 1.13; it adds what is stated for GELU. */
                error = 1.13 * error + 16.0 * units->sum * fabs(value);
            }
            bounds[i * cols + j] =
                error + units->output * fabs(q->exact->values[q->slot][i * cols + j]);
        }
    }
    free(buffer);
    return TTM_OK;
}
