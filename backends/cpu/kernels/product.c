/* Large products, in the manner of Goto and van de Geijn, "Anatomy of high-performance matrix
 * multiplication" (ACM TOMS 34(3), 2008).
 *
 * b is packed into strips as wide as the register block, a into panels as tall; a register block of
 * c then needs nothing but two streams of contiguous memory. The depth is cut only where it exceeds
 * DEPTH: most products of a transformer write each number of c once, and the epilogue runs on a
 * strip of c that is still in cache.
 *
 * Scratch: packed b [DEPTH, STRIPS·STRIP], packed a [DEPTH, BLOCK_ROWS]. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"
#include "cpu/kernels/transpose.h"

/** The register block: ROWS × STRIP. */
#if VECTOR_BYTES == 64
#define ROWS    8
#define VECTORS 3
#else
#define ROWS    6
#define VECTORS 2
#endif
#define STRIP (VECTORS * LANES)

/** The deepest product that is done in one go. */
#define DEPTH 768
/** Rows of a that are packed at once: with a strip of b they take half of L2. */
#define BLOCK_ROWS 96
/** Columns of b that are packed at once. */
#define BLOCK_COLS 1008
_Static_assert(BLOCK_ROWS % ROWS == 0, "panels fill a block");
_Static_assert(BLOCK_COLS % STRIP == 0, "strips fill a block");

typedef struct extent_of_block {
    ptrdiff_t first_row;
    ptrdiff_t rows;
    ptrdiff_t first_col;
    ptrdiff_t cols;
    ptrdiff_t first_depth;
    ptrdiff_t depth;
} extent_of_block;

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

size_t KERNEL(product_scratch)(int64_t cols, int64_t depth)
{
    const ptrdiff_t deep = smaller(depth, DEPTH);
    const ptrdiff_t wide = smaller((cols + STRIP - 1) / STRIP * STRIP, BLOCK_COLS);
    return (size_t)(deep * (wide + BLOCK_ROWS));
}

/** out[k, i] = alpha·a[i, k] for a panel of ROWS rows; missing rows are zeros. */
static void pack_panel(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                       ptrdiff_t first_row, ptrdiff_t rows)
{
    const float *a = job->a + first_row * job->a_row + at->first_depth * job->a_col;
    if (rows < ROWS) {
        memset(out, 0, (size_t)(at->depth * ROWS) * sizeof(float));
    }
    if (job->a_col == 1 && rows == ROWS) {
        transpose(out, ROWS, a, job->a_row, ROWS, (size_t)at->depth);
    } else {
        for (ptrdiff_t k = 0; k < at->depth; k++) {
            for (ptrdiff_t i = 0; i < rows; i++) {
                out[k * ROWS + i] = a[i * job->a_row + k * job->a_col];
            }
        }
    }
    for (ptrdiff_t i = 0; i < at->depth * ROWS && job->alpha != 1.0F; i++) {
        out[i] *= job->alpha;
    }
}

/** out[k, j] = b[k, j] for a strip of STRIP columns; missing columns are zeros. */
static void pack_strip(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                       ptrdiff_t first_col, ptrdiff_t cols)
{
    const float *b = job->b + at->first_depth * job->b_row + first_col * job->b_col;
    if (cols < STRIP) {
        memset(out, 0, (size_t)(at->depth * STRIP) * sizeof(float));
    }
    if (job->b_col != 1) {
        transpose(out, STRIP, b, job->b_col, (size_t)cols, (size_t)at->depth);
        return;
    }
    for (ptrdiff_t k = 0; k < at->depth; k++) {
        const float *from = b + k * job->b_row;
        if (cols == STRIP) {
            for (ptrdiff_t j = 0; j < STRIP; j += LANES) {
                vector_store(out + k * STRIP + j, vector_load(from + j));
            }
        } else {
            memcpy(out + k * STRIP, from, (size_t)cols * sizeof(float));
        }
    }
}

/** c[ROWS, STRIP] (+)= a panel · a strip. */
static void multiply_registers(float *c, ptrdiff_t c_row, const float *a, const float *b,
                               ptrdiff_t depth, int accumulate)
{
    vector sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        __builtin_prefetch(c + i * c_row, 1);
        __builtin_prefetch(c + i * c_row + STRIP / 2, 1);
        __builtin_prefetch(c + i * c_row + STRIP - 1, 1);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            sum[i][j] = (vector){0};
        }
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        vector columns[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            columns[j] = vector_load(b + j * LANES);
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            const vector factor = vector_of(a[i]);
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) {
                sum[i][j] += factor * columns[j];
            }
        }
        a += ROWS;
        b += STRIP;
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            float *place = c + i * c_row + j * LANES;
            vector_store(place, accumulate ? vector_load(place) + sum[i][j] : sum[i][j]);
        }
    }
}

/** The same where c has fewer rows or columns than the registers. */
static void multiply_edge(float *c, ptrdiff_t c_row, const float *a, const float *b,
                          ptrdiff_t depth, int accumulate, ptrdiff_t rows, ptrdiff_t cols)
{
    float whole[ROWS * STRIP];
    multiply_registers(whole, STRIP, a, b, depth, 0);
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t j = 0; j < cols; j++) {
            float *place = c + i * c_row + j;
            *place = accumulate ? *place + whole[i * STRIP + j] : whole[i * STRIP + j];
        }
    }
}

/** A block of packed rows against one packed strip. */
static void multiply_strip(const ttm_cpu_product *job, const extent_of_block *at,
                           ptrdiff_t first_col, ptrdiff_t cols, const float *a, const float *b)
{
    const int64_t rows[2] = {at->first_row, at->first_row + at->rows};
    const int64_t columns[2] = {first_col, first_col + cols};
    int accumulate = 1;
    if (at->first_depth == 0) {
        accumulate = job->begin(job->context, rows, columns);
    }
    for (ptrdiff_t row = 0; row < at->rows; row += ROWS) {
        float *c = job->c + (at->first_row + row) * job->c_row + first_col;
        const ptrdiff_t now = smaller(ROWS, at->rows - row);
        if (now == ROWS && cols == STRIP) {
            multiply_registers(c, job->c_row, a + row * at->depth, b, at->depth, accumulate);
        } else {
            multiply_edge(c, job->c_row, a + row * at->depth, b, at->depth, accumulate, now, cols);
        }
    }
    if (at->first_depth + at->depth == job->depth) {
        job->finish(job->context, rows, columns);
    }
}

/** All rows against one block of b. */
static void multiply_block(const ttm_cpu_product *job, extent_of_block *at)
{
    float *b = job->scratch;
    float *a = b + at->depth * ((at->cols + STRIP - 1) / STRIP * STRIP);
    for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
        pack_strip(b + col * at->depth, job, at, at->first_col + col,
                   smaller(STRIP, at->cols - col));
    }
    for (ptrdiff_t row = 0; row < job->rows; row += BLOCK_ROWS) {
        at->first_row = row;
        at->rows = smaller(BLOCK_ROWS, job->rows - row);
        for (ptrdiff_t i = 0; i < at->rows; i += ROWS) {
            pack_panel(a + i * at->depth, job, at, row + i, smaller(ROWS, at->rows - i));
        }
        for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
            multiply_strip(job, at, at->first_col + col, smaller(STRIP, at->cols - col), a,
                           b + col * at->depth);
        }
    }
}

void KERNEL(product)(const ttm_cpu_product *job)
{
    const ptrdiff_t parts = job->depth > 0 ? (job->depth + DEPTH - 1) / DEPTH : 1;
    for (ptrdiff_t col = 0; col < job->cols; col += BLOCK_COLS) {
        for (ptrdiff_t part = 0; part < parts; part++) {
            extent_of_block at = {
                .first_col = col,
                .cols = smaller(BLOCK_COLS, job->cols - col),
                .first_depth = part * job->depth / parts,
                .depth = (part + 1) * job->depth / parts - part * job->depth / parts,
            };
            multiply_block(job, &at);
        }
    }
}
