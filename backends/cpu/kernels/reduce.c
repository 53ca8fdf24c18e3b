/* Sums. Lanes add up short runs in f32; the runs are added in f64, so the error doesn't grow with
 * the number of elements. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

/** Vectors in a run: four accumulators add 32 numbers per lane each. */
#define RUN_VECTORS 128

static float square_run(const float *x)
{
    vector sum[4] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i < RUN_VECTORS; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            const vector value = vector_load(x + (i + j) * LANES);
            sum[j] += value * value;
        }
    }
    return vector_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

double KERNEL(sum_of_squares)(const float *x, size_t count)
{
    const size_t run = (size_t)RUN_VECTORS * LANES;
    double total = 0.0;
    size_t i = 0;
    for (; i + run <= count; i += run) {
        total += (double)square_run(x + i);
    }
    for (; i < count; i++) {
        total += (double)x[i] * (double)x[i];
    }
    return total;
}

void KERNEL(sum_rows)(float *out, const float *x, ptrdiff_t x_row, size_t rows, size_t cols)
{
    size_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const float *first = x + (ptrdiff_t)row * x_row;
        size_t col = 0;
        for (; col + LANES <= cols; col += LANES) {
            const float *at = first + col;
            const vector upper = vector_load(at) + vector_load(at + x_row);
            const vector lower = vector_load(at + 2 * x_row) + vector_load(at + 3 * x_row);
            vector_store(out + col, vector_load(out + col) + (upper + lower));
        }
        for (; col < cols; col++) {
            const float *at = first + col;
            out[col] += (at[0] + at[x_row]) + (at[2 * x_row] + at[3 * x_row]);
        }
    }
    for (; row < rows; row++) {
        const float *at = x + (ptrdiff_t)row * x_row;
        for (size_t col = 0; col < cols; col++) {
            out[col] += at[col];
        }
    }
}
