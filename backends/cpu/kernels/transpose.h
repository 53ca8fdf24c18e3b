/* Transposition in registers: LANES × LANES squares by log2(LANES) rounds of interleaving. */
#ifndef TTM_CPU_KERNELS_TRANSPOSE_H
#define TTM_CPU_KERNELS_TRANSPOSE_H

#include "cpu/kernels/simd.h"

#if LANES == 16
#define INTERLEAVE_LOW(a, b) \
    VECTOR_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b) \
    VECTOR_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define INTERLEAVE_LOW(a, b)  VECTOR_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) VECTOR_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define INTERLEAVE_LOW(a, b)  VECTOR_SHUFFLE(a, b, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(a, b) VECTOR_SHUFFLE(a, b, 2, 6, 3, 7)
#endif

/** One round: with i and i + LANES/2 interleaved into 2·i and 2·i + 1, log2(LANES) rounds exchange
 * the bits of row and lane numbers. */
ALWAYS_INLINE void interleave_rows(vector *to, const vector *from)
{
#pragma GCC unroll 8
    for (int i = 0; i < LANES / 2; i++) {
        to[2 * i] = INTERLEAVE_LOW(from[i], from[i + LANES / 2]);
        to[2 * i + 1] = INTERLEAVE_HIGH(from[i], from[i + LANES / 2]);
    }
}

ALWAYS_INLINE void transpose_registers(vector rows[LANES])
{
    vector other[LANES];
    interleave_rows(other, rows);
    interleave_rows(rows, other);
#if LANES == 16
    interleave_rows(other, rows);
    interleave_rows(rows, other);
#elif LANES == 8
    interleave_rows(other, rows);
    memcpy(rows, other, sizeof other);
#endif
}

/** out[j, i] = word j of row i of x for a square or a part of one; cols counts elements. */
static inline void transpose_square(float *out, ptrdiff_t out_row, const element *x,
                                    ptrdiff_t x_row, size_t rows, size_t cols)
{
    vector square[LANES];
    if (rows == LANES && cols == LANES * WORD_ELEMENTS) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            square[i] = words_load(x + i * x_row);
        }
        transpose_registers(square);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            vector_store(out + i * out_row, square[i]);
        }
        return;
    }
    for (size_t i = 0; i < LANES; i++) {
        const element *from = x + (ptrdiff_t)i * x_row;
        square[i] = i >= rows                       ? (vector){0}
                    : cols == LANES * WORD_ELEMENTS ? words_load(from)
                                                    : words_load_part(from, cols);
    }
    transpose_registers(square);
    for (size_t i = 0; i * WORD_ELEMENTS < cols; i++) {
        float *to = out + (ptrdiff_t)i * out_row;
        if (rows == LANES) {
            vector_store(to, square[i]);
        } else {
            vector_store_part(to, square[i], rows);
        }
    }
}

/** out[j, i] = word j of row i of x, x [rows, cols] elements. x is read along its rows, which is as
 * many streams as the hardware can prefetch. */
static inline void transpose(float *out, ptrdiff_t out_row, const element *x, ptrdiff_t x_row,
                             size_t rows, size_t cols)
{
    const size_t wide = LANES * WORD_ELEMENTS;
    for (size_t row = 0; row < rows; row += LANES) {
        for (size_t col = 0; col < cols; col += wide) {
            transpose_square(out + (ptrdiff_t)(col / WORD_ELEMENTS) * out_row + (ptrdiff_t)row,
                             out_row, x + (ptrdiff_t)row * x_row + (ptrdiff_t)col, x_row,
                             rows - row < LANES ? rows - row : LANES,
                             cols - col < wide ? cols - col : wide);
        }
    }
}

#endif
