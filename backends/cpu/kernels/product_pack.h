/* Packs blocks of a product's operands into words, in the order in which the register blocks of
 * product.c read them: a in panels of ROWS rows, b in strips of STRIP columns. */
#ifndef TTM_CPU_KERNELS_PRODUCT_PACK_H
#define TTM_CPU_KERNELS_PRODUCT_PACK_H

#include "cpu/kernels/pack.h"
#include "cpu/kernels/product_block.h"
#include "cpu/kernels/transpose.h"

/** How far ahead of their use columns of a transposed a, and rows of b, come from memory. */
#define COLUMNS_AHEAD 8
#define ROWS_AHEAD    16

/** One panel, whatever the strides: out[k, i] = word k of row i; missing rows are zeros. */
static void pack_panel(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                       const element *a, ptrdiff_t rows)
{
    if (rows < ROWS) {
        memset(out, 0, (size_t)(words_of(at->depth) * ROWS) * sizeof(float));
    }
    if (job->a_col == 1 && rows == ROWS) {
        transpose(out, ROWS, a, job->a_row, ROWS, (size_t)at->depth);
        return;
    }
    for (ptrdiff_t k = 0; k < at->depth; k += WORD_ELEMENTS) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            out[k / WORD_ELEMENTS * ROWS + i] =
                word_get(a + i * job->a_row + k * job->a_col, job->a_col, at->depth - k);
        }
    }
}

#if LANES == 2 * ROWS
/** Two panels of an a whose rows are contiguous: a vector holds a word of each of their rows. */
static void pack_two_panels(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                            const element *a)
{
    float *second = out + words_of(at->depth) * ROWS;
    ptrdiff_t k = 0;
    for (; k + LANES * WORD_ELEMENTS <= at->depth; k += LANES * WORD_ELEMENTS) {
        const ptrdiff_t first_word = k / WORD_ELEMENTS;
        vector square[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            square[i] = words_load(a + i * job->a_row + k);
        }
        transpose_registers(square);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            memcpy(out + (first_word + i) * ROWS, &square[i], ROWS * sizeof(float));
            memcpy(second + (first_word + i) * ROWS, (const float *)&square[i] + ROWS,
                   ROWS * sizeof(float));
        }
    }
    for (; k < at->depth; k += WORD_ELEMENTS) {
        const ptrdiff_t at_word = k / WORD_ELEMENTS * ROWS;
        for (ptrdiff_t i = 0; i < ROWS; i++) {
            out[at_word + i] = word_get(a + i * job->a_row + k, 1, at->depth - k);
            second[at_word + i] = word_get(a + (i + ROWS) * job->a_row + k, 1, at->depth - k);
        }
    }
}
#endif

/** Panels of an a whose columns are contiguous, read in the order of memory. */
static void pack_columns(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                         const element *a, ptrdiff_t panels)
{
    float line[BLOCK_ROWS];
    const ptrdiff_t words = words_of(at->depth);
    for (ptrdiff_t word = 0; word < words; word++) {
        const ptrdiff_t k = word * WORD_ELEMENTS;
        const element *from = a + k * job->a_col;
        for (ptrdiff_t i = 0; i < panels * ROWS; i += LANES) {
            __builtin_prefetch(from + COLUMNS_AHEAD * job->a_col + i);
        }
        pack_line(line, from, job->a_col, at->depth - k, panels * ROWS);
        for (ptrdiff_t panel = 0; panel < panels; panel++) {
            memcpy(out + (panel * words + word) * ROWS, line + panel * ROWS, ROWS * sizeof(float));
        }
    }
}

static const element *block_of_a(const ttm_cpu_product *job, const extent_of_block *at)
{
    return (const element *)job->a + at->first_row * job->a_row + at->first_depth * job->a_col;
}

/** Rows this far apart, in bytes, or a multiple of it, are too many for their sets in L1. */
#define CLOSE_SETS 2048

/** Returns how many rows of a block needn't be packed: words lie in memory as the product wants
 * them, side by side. */
static ptrdiff_t count_rows_in_place(const ttm_cpu_product *job, const extent_of_block *at)
{
    if (sizeof(element) * WORD_ELEMENTS != sizeof(float) || job->a_col != 1) {
        return 0;
    }
    const int whole = at->depth % WORD_ELEMENTS == 0;
    const int spread = job->a_row * (ptrdiff_t)sizeof(element) % CLOSE_SETS != 0;
    return whole && spread ? at->rows / ROWS * ROWS : 0;
}

/** Those of a block's rows that aren't read in place, in panels. */
static void pack_block(float *out, const ttm_cpu_product *job, const extent_of_block *at)
{
    const ptrdiff_t rows = at->rows - at->rows_in_place;
    const ptrdiff_t words = words_of(at->depth);
    const element *a = block_of_a(job, at) + at->rows_in_place * job->a_row;
    ptrdiff_t row = 0;
    if (job->a_row == 1 && job->a_col != 1) {
        pack_columns(out, job, at, a, rows / ROWS);
        row = rows / ROWS * ROWS;
    }
#if LANES == 2 * ROWS
    for (; job->a_col == 1 && row + 2 * ROWS <= rows; row += 2 * ROWS) {
        pack_two_panels(out + row * words, job, at, a + row * job->a_row);
    }
#endif
    for (; row < rows; row += ROWS) {
        pack_panel(out + row * words, job, at, a + row * job->a_row, smaller(ROWS, rows - row));
    }
}

/** A strip of b's columns: out[k, j] = word k of column j; missing columns are zeros. */
static void pack_strip(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                       ptrdiff_t first_col, ptrdiff_t cols)
{
    const element *b =
        (const element *)job->b + at->first_depth * job->b_row + first_col * job->b_col;
    if (cols < STRIP) {
        memset(out, 0, (size_t)(words_of(at->depth) * STRIP) * sizeof(float));
    }
    if (job->b_col != 1) {
        transpose(out, STRIP, b, job->b_col, (size_t)cols, (size_t)at->depth);
        return;
    }
    for (ptrdiff_t k = 0; k < at->depth; k += WORD_ELEMENTS) {
        for (int i = 0; i < WORD_ELEMENTS; i++) {
            const element *ahead = b + (k + ROWS_AHEAD + i) * job->b_row;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + STRIP - 1);
        }
        pack_line(out + k / WORD_ELEMENTS * STRIP, b + k * job->b_row, job->b_row, at->depth - k,
                  cols);
    }
}

#endif
