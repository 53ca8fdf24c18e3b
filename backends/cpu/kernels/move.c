/* Moving rows and transposing them. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

/** Side of the squares that are transposed at a time. */
#define SQUARE 16

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

static void transpose_square(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row,
                             size_t rows, size_t cols)
{
    for (size_t col = 0; col < cols; col++) {
        for (size_t row = 0; row < rows; row++) {
            out[(ptrdiff_t)col * out_row + (ptrdiff_t)row] =
                x[(ptrdiff_t)row * x_row + (ptrdiff_t)col];
        }
    }
}

void KERNEL(transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols)
{
    for (size_t row = 0; row < rows; row += SQUARE) {
        for (size_t col = 0; col < cols; col += SQUARE) {
            transpose_square(out + (ptrdiff_t)col * out_row + (ptrdiff_t)row, out_row,
                             x + (ptrdiff_t)row * x_row + (ptrdiff_t)col, x_row,
                             rows - row < SQUARE ? rows - row : SQUARE,
                             cols - col < SQUARE ? cols - col : SQUARE);
        }
    }
}
