/* Sums. Lanes add up short runs in f32; the runs are added in f64, so the error doesn't grow with
 * the number of elements. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

/** Vectors in a run: four accumulators add 32 numbers per lane each. */
#define RUN_VECTORS 128

static float square_run(const element *x)
{
    vector sum[4] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i < RUN_VECTORS; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            const vector value = element_load(x + (i + j) * LANES);
            sum[j] += value * value;
        }
    }
    return vector_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

double TYPED(sum_of_squares)(const void *source, size_t count)
{
    const element *x = source;
    const size_t run = (size_t)RUN_VECTORS * LANES;
    double total = 0.0;
    size_t i = 0;
    for (; i + run <= count; i += run) {
        total += (double)square_run(x + i);
    }
    for (; i < count; i++) {
        total += (double)element_get(x + i) * (double)element_get(x + i);
    }
    return total;
}

void TYPED(sum_rows)(float *out, const void *source, ptrdiff_t x_row, size_t rows, size_t cols)
{
    const element *x = source;
    size_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const element *first = x + (ptrdiff_t)row * x_row;
        size_t col = 0;
        for (; col + LANES <= cols; col += LANES) {
            const element *at = first + col;
            const vector upper = element_load(at) + element_load(at + x_row);
            const vector lower = element_load(at + 2 * x_row) + element_load(at + 3 * x_row);
            vector_store(out + col, vector_load(out + col) + (upper + lower));
        }
        for (; col < cols; col++) {
            const element *at = first + col;
            out[col] += (element_get(at) + element_get(at + x_row)) +
                        (element_get(at + 2 * x_row) + element_get(at + 3 * x_row));
        }
    }
    for (; row < rows; row++) {
        const element *at = x + (ptrdiff_t)row * x_row;
        size_t col = 0;
        for (; col + LANES <= cols; col += LANES) {
            vector_store(out + col, vector_load(out + col) + element_load(at + col));
        }
        for (; col < cols; col++) {
            out[col] += element_get(at + col);
        }
    }
}
