/* Packs rows of a matrix into words (simd.h), for products whose depth runs along the rows or
 * across them. */
#ifndef TTM_CPU_KERNELS_PACK_H
#define TTM_CPU_KERNELS_PACK_H

#include "cpu/kernels/simd.h"

/** Words of so many steps of the depth. */
ALWAYS_INLINE ptrdiff_t words_of(ptrdiff_t depth)
{
    return (depth + WORD_ELEMENTS - 1) / WORD_ELEMENTS;
}

/** line[i] = the word of elements i and step + i; the second is 0 where there is one step only. */
static inline void pack_line(float *line, const element *from, ptrdiff_t step, ptrdiff_t steps,
                             ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; steps >= WORD_ELEMENTS && i + LANES <= count; i += LANES) {
        vector_store(line + i, words_across(from + i, step));
    }
    for (; i < count; i++) {
        line[i] = word_get(from + i, step, steps);
    }
}

/** target[w, j] = word of column j in rows w·WORD_ELEMENTS and following. */
static inline void pack_across(float *target, const element *source, ptrdiff_t source_row,
                               ptrdiff_t rows, ptrdiff_t cols)
{
    for (ptrdiff_t i = 0; i < rows; i += WORD_ELEMENTS) {
        pack_line(target, source + i * source_row, source_row, rows - i, cols);
        target += cols;
    }
}

/** target[i, w] = word w of row i. */
static inline void pack_along(float *target, const element *source, ptrdiff_t source_row,
                              ptrdiff_t rows, ptrdiff_t cols)
{
    const ptrdiff_t vector_elements = (ptrdiff_t)LANES * WORD_ELEMENTS;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const element *from = source + i * source_row;
        float *to = target + i * words_of(cols);
        ptrdiff_t j = 0;
        for (; j + vector_elements <= cols; j += vector_elements) {
            vector_store(to + j / WORD_ELEMENTS, words_load(from + j));
        }
        for (; j < cols; j += WORD_ELEMENTS) {
            to[j / WORD_ELEMENTS] = word_get(from + j, 1, cols - j);
        }
    }
}

#endif
