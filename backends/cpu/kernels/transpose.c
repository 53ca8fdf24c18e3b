/* Transposition of any matrix. */
#include "cpu/kernels/transpose.h"
#include "cpu/kernels/level.h"

void KERNEL(transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols)
{
    transpose(out, out_row, x, x_row, rows, cols);
}
