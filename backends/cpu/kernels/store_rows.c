/* Rows of floats to rows of elements. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

void TYPED(store_rows)(void *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols)
{
    for (size_t row = 0; row < rows; row++) {
        element *to = (element *)out + (ptrdiff_t)row * out_row;
        const float *from = x + (ptrdiff_t)row * x_row;
        size_t col = 0;
        for (; col + LANES <= cols; col += LANES) {
            element_store(to + col, vector_load(from + col));
        }
        if (col < cols) {
            element_store_part(to + col, vector_load_part(from + col, cols - col), cols - col);
        }
    }
}
