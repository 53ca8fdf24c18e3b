/* Moving rows and transposing them. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"
#include "cpu/kernels/transpose.h"

void KERNEL(copy_rows)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols)
{
    for (size_t row = 0; row < rows; row++) {
        float *to = out + (ptrdiff_t)row * out_row;
        const float *from = x + (ptrdiff_t)row * x_row;
        size_t col = 0;
        for (; col + LANES <= cols; col += LANES) {
            vector_store(to + col, vector_load(from + col));
        }
        if (col < cols) {
            vector_store_part(to + col, vector_load_part(from + col, cols - col), cols - col);
        }
    }
}

void KERNEL(transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols)
{
    transpose(out, out_row, x, x_row, rows, cols);
}
