/* Large products, in the manner of Goto and van de Geijn, "Anatomy of high-performance matrix
 * multiplication" (ACM TOMS 34(3), 2008).
 *
 * b is packed into strips as wide as the register block, so that a register block of c reads one
 * stream of contiguous memory. Rows of a are read where they lie if they can be, and else packed
 * into panels as tall as the register block. The depth is cut only where it exceeds
 * DEPTH: most products of a transformer write each number of out once, with bias, activation and
 * residual applied on the way.
 *
 * Operands are packed into words (simd.h). Compiled for float elements; for bf16 ones, which become
 * floats as they are packed; and, with TTM_CPU_PAIRS, for bf16 on processors that multiply pairs of
 * them: the blocks are the same, and a word does two steps of the depth.
 *
 * Threads that multiply the same b share one that is packed before. Scratch: packed b [words of
 * DEPTH, STRIPS·STRIP] otherwise, packed a [words of DEPTH, BLOCK_ROWS]. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/pack.h"
#include "cpu/kernels/product_block.h"
#include "cpu/kernels/product_finish.h"
#include "cpu/kernels/product_pack.h"

/* Stores past the caches are seen by whoever this thread tells next. */
#if defined(__SSE__)
#define FENCE_STREAMED_STORES() _mm_sfence()
#else
#define FENCE_STREAMED_STORES() (void)0
#endif

/** How far ahead of their use strips come from L2, in words of the depth. */
#define STEPS_AHEAD 16

int64_t PRODUCT(product_parts)(int64_t depth)
{
    return depth > 0 ? (depth + DEPTH - 1) / DEPTH : 1;
}

/** The first step of a part of the depth: that of a whole word. */
static ptrdiff_t part_begin(const ttm_cpu_product *job, ptrdiff_t part)
{
    const ptrdiff_t parts = PRODUCT(product_parts)(job->depth);
    return part == parts ? job->depth : part * job->depth / parts / WORD_ELEMENTS * WORD_ELEMENTS;
}

int64_t PRODUCT(product_part_floats)(int64_t depth)
{
    const int64_t parts = PRODUCT(product_parts)(depth);
    return parts == 1 ? words_of(depth) : words_of(depth / parts + 1) + 1;
}

size_t PRODUCT(product_scratch)(int64_t cols, int64_t depth)
{
    const ptrdiff_t deep = PRODUCT(product_part_floats)(depth);
    const ptrdiff_t wide = smaller((cols + STRIP - 1) / STRIP * STRIP, BLOCK_COLS);
    return (size_t)(deep * (wide + BLOCK_ROWS));
}

/** One step: sum[i] += word of a's row i · words of b's STRIP columns. */
ALWAYS_INLINE void multiply_word(vector sum[ROWS][VECTORS], const unsigned char *a,
                                 ptrdiff_t row_bytes, const float *b)
{
    vector columns[VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; j++) {
        columns[j] = vector_load(b + j * LANES);
        __builtin_prefetch(b + STEPS_AHEAD * STRIP + j * LANES);
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        const vector factor = words_of_one(a + i * row_bytes);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            sum[i][j] = words_multiply_add(sum[i][j], factor, columns[j]);
        }
    }
}

/** What becomes of a register block's sums. */
typedef struct destination {
    float *c; /**< [ROWS, STRIP] sums are stored here, or NULL: out gets them, finished. */
    ptrdiff_t c_row;
    place here;     /**< Where in out. */
    int accumulate; /**< Sums are added to what c, or partial, holds. */
} destination;

ALWAYS_INLINE void end_sums(vector sum[ROWS][VECTORS], const ttm_cpu_product *job,
                            const destination *to)
{
    if (to->c == NULL) {
        finish_sums(sum, job, &to->here, to->accumulate);
        return;
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            float *target = to->c + i * to->c_row + j * LANES;
            vector_store(target, to->accumulate ? vector_load(target) + sum[i][j] : sum[i][j]);
        }
    }
}

/** Asks for the sums that will be stored or added to: rows of one block are rows of a matrix. */
ALWAYS_INLINE void prefetch_sums(const destination *to)
{
    for (int i = 0; to->c != NULL && i < ROWS; i++) {
        __builtin_prefetch(to->c + i * to->c_row, 1);
        __builtin_prefetch(to->c + i * to->c_row + STRIP / 2, 1);
        __builtin_prefetch(to->c + i * to->c_row + STRIP - 1, 1);
    }
}

/** A panel · a strip. */
static __attribute__((noinline)) void multiply_panel(const ttm_cpu_product *job, const float *a,
                                                     const float *b, ptrdiff_t words,
                                                     const destination *to)
{
    vector sum[ROWS][VECTORS] = {{{0}}};
    prefetch_sums(to);
    for (ptrdiff_t k = 0; k < words; k++) {
        multiply_word(sum, (const unsigned char *)(a + k * ROWS), sizeof(float), b + k * STRIP);
    }
    end_sums(sum, job, to);
}

/** ROWS rows of a as they lie · a strip. Meanwhile the rows after them come into the caches. */
static __attribute__((noinline)) void multiply_in_place(const ttm_cpu_product *job,
                                                        const element *a, const float *b,
                                                        ptrdiff_t words, const destination *to)
{
    const ptrdiff_t row_bytes = job->a_row * (ptrdiff_t)sizeof(element);
    const unsigned char *bytes = (const unsigned char *)a;
    vector sum[ROWS][VECTORS] = {{{0}}};
    prefetch_sums(to);
    for (ptrdiff_t k = 0; k < words;) {
        const unsigned char *next = bytes + ROWS * row_bytes;
        const ptrdiff_t end = smaller(k + ROWS, words);
        for (; k < end; k++) {
            __builtin_prefetch(next);
            next += row_bytes;
            multiply_word(sum, bytes, row_bytes, b);
            bytes += sizeof(float);
            b += STRIP;
        }
    }
    end_sums(sum, job, to);
}

/** The ROWS rows from `row` of the block on · a strip. */
static void multiply_registers(const ttm_cpu_product *job, const extent_of_block *at, ptrdiff_t row,
                               const float *packed_a, const float *b, const destination *to)
{
    const ptrdiff_t words = words_of(at->depth);
    if (row < at->rows_in_place) {
        multiply_in_place(job, block_of_a(job, at) + row * job->a_row, b, words, to);
    } else {
        multiply_panel(job, packed_a + (row - at->rows_in_place) * words, b, words, to);
    }
}

/** Whether sums of this part of the depth can be stored in partial, or added to it, as they are.
 * After the last part partial is out then, and nothing else is done with them. */
static int is_plain(const ttm_cpu_product *job, int last)
{
    const int plain = job->activation == TTM_CPU_IDENTITY && job->bias == NULL &&
                      job->residual == NULL && (const void *)job->partial == job->out;
    return job->alpha == 1.0F && (!last || plain);
}

/** A register block whose sums go through memory before they are finished or kept. */
static void multiply_by_way_of_memory(const ttm_cpu_product *job, const extent_of_block *at,
                                      ptrdiff_t row, const float *a, const float *b, place here,
                                      int accumulate)
{
    float sums[ROWS * STRIP];
    const destination to = {.c = sums, .c_row = STRIP};
    multiply_registers(job, at, row, a, b, &to);
    if (at->first_depth + at->depth == job->depth) {
        finish_registers(job, sums, here, accumulate);
    } else {
        keep_registers(job, sums, here, accumulate);
    }
}

/** A block of rows against one packed strip. */
static void multiply_strip(const ttm_cpu_product *job, const extent_of_block *at,
                           ptrdiff_t first_col, ptrdiff_t cols, const float *a, const float *b)
{
    const int last = at->first_depth + at->depth == job->depth;
    const int accumulate =
        at->first_depth > 0 || (job->add_out != 0 && (const void *)job->partial == job->out);
    const int plain = is_plain(job, last);
    const int direct = plain || (last && finishes_in_registers(job));
    for (ptrdiff_t row = 0; row < at->rows; row += ROWS) {
        const place here = {at->first_row + row, first_col, smaller(ROWS, at->rows - row), cols};
        if (last && !plain) {
            touch_block(job, here);
        }
        if (!direct || here.rows < ROWS || cols < STRIP) {
            multiply_by_way_of_memory(job, at, row, a, b, here, accumulate);
            continue;
        }
        const destination to = {
            .c = plain ? job->partial + here.row * job->partial_row + first_col : NULL,
            .c_row = job->partial_row,
            .here = here,
            .accumulate = accumulate,
        };
        multiply_registers(job, at, row, a, b, &to);
    }
}

/** Where the strip of column `col` lies in the packed part of b that begins at `first_depth`: parts
 * follow each other, and strips within a part. */
static ptrdiff_t packed_offset(const ttm_cpu_product *job, const extent_of_block *at, ptrdiff_t col)
{
    const ptrdiff_t before = at->first_depth - part_begin(job, job->first_part);
    return before / WORD_ELEMENTS * job->packed_cols +
           (job->packed_col + col) * words_of(at->depth);
}

/** All rows against one block of b. */
static void multiply_block(const ttm_cpu_product *job, extent_of_block *at)
{
    const ptrdiff_t words = words_of(at->depth);
    float *a = job->scratch;
    const float *b = job->scratch;
    if (job->packed_b != NULL) {
        b = job->packed_b + packed_offset(job, at, at->first_col);
    } else {
        a += words * ((at->cols + STRIP - 1) / STRIP * STRIP);
        for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
            pack_strip(job->scratch + col * words, job, at, at->first_col + col,
                       smaller(STRIP, at->cols - col));
        }
    }
    for (ptrdiff_t row = 0; row < job->rows; row += BLOCK_ROWS) {
        at->first_row = row;
        at->rows = smaller(BLOCK_ROWS, job->rows - row);
        at->rows_in_place = count_rows_in_place(job, at);
        pack_block(a, job, at);
        for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
            multiply_strip(job, at, at->first_col + col, smaller(STRIP, at->cols - col), a,
                           b + col * words);
        }
    }
}

void PRODUCT(product_pack)(float *packed, const ttm_cpu_product *job, int64_t first_col,
                           int64_t last_col)
{
    for (ptrdiff_t part = job->first_part; part < job->last_part; part++) {
        const extent_of_block at = {
            .first_depth = part_begin(job, part),
            .depth = part_begin(job, part + 1) - part_begin(job, part),
        };
        for (ptrdiff_t col = first_col; col < last_col; col += STRIP) {
            pack_strip(packed + packed_offset(job, &at, col), job, &at, col,
                       smaller(STRIP, last_col - col));
        }
    }
}

/** Returns how many columns are multiplied in one go: a packed b is there already, and a's rows
 * needn't be packed again for each block of it. */
static ptrdiff_t columns_in_one_go(const ttm_cpu_product *job)
{
    const ptrdiff_t blocks = job->packed_b != NULL ? 1 : (job->cols + BLOCK_COLS - 1) / BLOCK_COLS;
    return (job->cols + STRIP * blocks - 1) / (STRIP * blocks) * STRIP;
}

void PRODUCT(product_finish)(const ttm_cpu_product *job)
{
    finish_all(job);
    FENCE_STREAMED_STORES();
}

void PRODUCT(product)(const ttm_cpu_product *job)
{
    const ptrdiff_t step = columns_in_one_go(job);
    for (ptrdiff_t col = 0; col < job->cols; col += step) {
        for (ptrdiff_t part = job->first_part; part < job->last_part; part++) {
            extent_of_block at = {
                .first_col = col,
                .cols = smaller(step, job->cols - col),
                .first_depth = part_begin(job, part),
                .depth = part_begin(job, part + 1) - part_begin(job, part),
            };
            multiply_block(job, &at);
        }
    }
    FENCE_STREAMED_STORES();
}
