/* Large products, in the manner of Goto and van de Geijn, "Anatomy of high-performance matrix
 * multiplication" (ACM TOMS 34(3), 2008).
 *
 * b is packed into strips as wide as the register block, a into panels as tall; a register block of
 * c then needs nothing but two streams of contiguous memory. The depth is cut only where it exceeds
 * DEPTH: most products of a transformer write each number of out once, with bias, activation and
 * residual applied on the way.
 *
 * Threads that multiply the same b share one that is packed before. Scratch: packed b [DEPTH,
 * STRIPS·STRIP] otherwise, packed a [DEPTH, BLOCK_ROWS]. */
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
/** How far ahead of their use strips come from L2, in steps of the depth, and columns of a
 * transposed a from memory. */
#define STEPS_AHEAD   16
#define COLUMNS_AHEAD 8
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

int64_t KERNEL(product_parts)(int64_t depth)
{
    return depth > 0 ? (depth + DEPTH - 1) / DEPTH : 1;
}

/** The first step of a part of the depth. */
static ptrdiff_t part_begin(const ttm_cpu_product *job, ptrdiff_t part)
{
    return part * job->depth / KERNEL(product_parts)(job->depth);
}

size_t KERNEL(product_scratch)(int64_t cols, int64_t depth)
{
    const ptrdiff_t deep = smaller(depth, DEPTH);
    const ptrdiff_t wide = smaller((cols + STRIP - 1) / STRIP * STRIP, BLOCK_COLS);
    return (size_t)(deep * (wide + BLOCK_ROWS));
}

/** out[k, i] = a[i, k] for a panel of ROWS rows; missing rows are zeros. */
static void pack_panel(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                       const float *a, ptrdiff_t rows)
{
    if (rows < ROWS) {
        memset(out, 0, (size_t)(at->depth * ROWS) * sizeof(float));
    }
    if (job->a_col == 1 && rows == ROWS) {
        transpose(out, ROWS, a, job->a_row, ROWS, (size_t)at->depth);
        return;
    }
    for (ptrdiff_t k = 0; k < at->depth; k++) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            out[k * ROWS + i] = a[i * job->a_row + k * job->a_col];
        }
    }
}

#if LANES == 2 * ROWS
/** Two panels at a time: a vector holds a number of each of their rows. */
static void pack_two_panels(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                            const float *a)
{
    float *second = out + at->depth * ROWS;
    ptrdiff_t k = 0;
    for (; k + LANES <= at->depth; k += LANES) {
        vector square[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            square[i] = vector_load(a + i * job->a_row + k);
        }
        transpose_registers(square);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            memcpy(out + (k + i) * ROWS, &square[i], ROWS * sizeof(float));
            memcpy(second + (k + i) * ROWS, (const float *)&square[i] + ROWS, ROWS * sizeof(float));
        }
    }
    for (; k < at->depth; k++) {
        for (ptrdiff_t i = 0; i < ROWS; i++) {
            out[k * ROWS + i] = a[i * job->a_row + k];
            second[k * ROWS + i] = a[(i + ROWS) * job->a_row + k];
        }
    }
}
#endif

/** Panels of an a whose columns are contiguous, read in the order of memory. */
static void pack_columns(float *out, const ttm_cpu_product *job, const extent_of_block *at,
                         const float *a, ptrdiff_t panels)
{
    for (ptrdiff_t k = 0; k < at->depth; k++) {
        const float *from = a + k * job->a_col;
        for (ptrdiff_t i = 0; i < panels * ROWS; i += LANES) {
            __builtin_prefetch(from + COLUMNS_AHEAD * job->a_col + i);
        }
        for (ptrdiff_t panel = 0; panel < panels; panel++) {
            memcpy(out + (panel * at->depth + k) * ROWS, from + panel * ROWS, ROWS * sizeof(float));
        }
    }
}

/** alpha·a's rows of a block in panels. */
static void pack_block(float *out, const ttm_cpu_product *job, const extent_of_block *at)
{
    const float *a = job->a + at->first_row * job->a_row + at->first_depth * job->a_col;
    ptrdiff_t row = 0;
    if (job->a_row == 1 && job->a_col != 1) {
        pack_columns(out, job, at, a, at->rows / ROWS);
        row = at->rows / ROWS * ROWS;
    }
#if LANES == 2 * ROWS
    for (; job->a_col == 1 && row + 2 * ROWS <= at->rows; row += 2 * ROWS) {
        pack_two_panels(out + row * at->depth, job, at, a + row * job->a_row);
    }
#endif
    for (; row < at->rows; row += ROWS) {
        pack_panel(out + row * at->depth, job, at, a + row * job->a_row,
                   smaller(ROWS, at->rows - row));
    }
    for (ptrdiff_t i = 0; i < at->depth * row && job->alpha != 1.0F; i++) {
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
            __builtin_prefetch(b + STEPS_AHEAD * STRIP + j * LANES);
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

/** Where a register block lies. */
typedef struct place {
    ptrdiff_t row;
    ptrdiff_t col;
    ptrdiff_t rows; /**< At most ROWS. */
    ptrdiff_t cols; /**< At most STRIP. */
} place;

ALWAYS_INLINE vector load_some(const float *source, size_t count)
{
    return count < LANES ? vector_load_part(source, count) : vector_load(source);
}

ALWAYS_INLINE void store_some(float *target, vector value, size_t count)
{
    if (count < LANES) {
        vector_store_part(target, value, count);
    } else {
        vector_store(target, value);
    }
}

/** Stores a vector of pre, which nobody reads before the backward pass: past the caches. */
ALWAYS_INLINE void store_for_later(float *target, vector value, size_t count)
{
#if defined(__AVX512F__)
    if (count >= LANES && (uintptr_t)target % VECTOR_BYTES == 0) {
        _mm512_stream_ps(target, value);
        return;
    }
#elif defined(__AVX2__)
    if (count >= LANES && (uintptr_t)target % VECTOR_BYTES == 0) {
        _mm256_stream_ps(target, value);
        return;
    }
#endif
    store_some(target, value, count);
}

/** Up to a vector of finished values at (row, col) of out. */
ALWAYS_INLINE void finish_vector(const ttm_cpu_product *job, vector value, ptrdiff_t row,
                                 ptrdiff_t col, size_t count)
{
    float *out = job->out + row * job->out_row + col;
    if (job->add_out && job->partial != job->out) {
        value += load_some(out, count);
    }
    if (job->bias != NULL) {
        value += load_some(job->bias + col, count);
    }
    if (job->activation == TTM_CPU_GELU) {
        if (job->pre != NULL) {
            store_for_later(job->pre + row * job->pre_row + col, value, count);
        }
        value = vector_gelu(value);
    } else if (job->activation == TTM_CPU_GELU_BACKWARD) {
        value *= vector_gelu_derivative(load_some(job->pre + row * job->pre_row + col, count));
    }
    if (job->residual != NULL) {
        value += load_some(job->residual + row * job->residual_row + col, count);
    }
    store_some(out, value, count);
}

/** Finishes a register block of sums that lie in `sums` [ROWS, STRIP], adding what earlier parts of
 * the depth (or out itself) have left where `accumulate` says so. */
static void finish_registers(const ttm_cpu_product *job, const float *sums, place at,
                             int accumulate)
{
    for (ptrdiff_t i = 0; i < at.rows; i++) {
        const ptrdiff_t row = at.row + i;
        for (ptrdiff_t j = 0; j < at.cols; j += LANES) {
            const size_t count = (size_t)smaller(LANES, at.cols - j);
            vector value = vector_load(sums + i * STRIP + j);
            if (accumulate) {
                value += load_some(job->partial + row * job->partial_row + at.col + j, count);
            }
            finish_vector(job, value, row, at.col + j, count);
        }
    }
}

ALWAYS_INLINE void prefetch_row(const float *row, ptrdiff_t cols)
{
    __builtin_prefetch(row, 0);
    __builtin_prefetch(row + cols / 2, 0);
    __builtin_prefetch(row + cols - 1, 0);
}

/** Asks for what finish_registers will read and write: it is there when the sums are. */
static void prefetch_block(const ttm_cpu_product *job, place at)
{
    for (ptrdiff_t row = at.row; row < at.row + at.rows; row++) {
        prefetch_row(job->out + row * job->out_row + at.col, at.cols);
        if (job->residual != NULL) {
            prefetch_row(job->residual + row * job->residual_row + at.col, at.cols);
        }
        if (job->activation == TTM_CPU_GELU_BACKWARD) {
            prefetch_row(job->pre + row * job->pre_row + at.col, at.cols);
        }
    }
}

/** Stores or adds sums of a part of the depth that isn't the last. */
static void keep_registers(const ttm_cpu_product *job, const float *sums, place at, int accumulate)
{
    for (ptrdiff_t i = 0; i < at.rows; i++) {
        float *target = job->partial + (at.row + i) * job->partial_row + at.col;
        for (ptrdiff_t j = 0; j < at.cols; j++) {
            target[j] = accumulate ? target[j] + sums[i * STRIP + j] : sums[i * STRIP + j];
        }
    }
}

/** Returns whether finished values are the sums themselves, apart from adding to out. */
static int is_plain(const ttm_cpu_product *job)
{
    return job->activation == TTM_CPU_IDENTITY && job->bias == NULL && job->residual == NULL &&
           job->partial == job->out;
}

/** A block of packed rows against one packed strip. */
static void multiply_strip(const ttm_cpu_product *job, const extent_of_block *at,
                           ptrdiff_t first_col, ptrdiff_t cols, const float *a, const float *b)
{
    const int last = at->first_depth + at->depth == job->depth;
    const int accumulate = at->first_depth > 0 || (job->add_out != 0 && job->partial == job->out);
    const int direct = cols == STRIP && (!last || is_plain(job));
    float sums[ROWS * STRIP];
    for (ptrdiff_t row = 0; row < at->rows; row += ROWS) {
        const place here = {at->first_row + row, first_col, smaller(ROWS, at->rows - row), cols};
        const float *panel = a + row * at->depth;
        if (direct && here.rows == ROWS) {
            multiply_registers(job->partial + here.row * job->partial_row + first_col,
                               job->partial_row, panel, b, at->depth, accumulate);
            continue;
        }
        prefetch_block(job, here);
        multiply_registers(sums, STRIP, panel, b, at->depth, 0);
        if (last) {
            finish_registers(job, sums, here, accumulate);
        } else {
            keep_registers(job, sums, here, accumulate);
        }
    }
}

/** Where the strip of column `col` lies in the packed part of b that begins at `first_depth`: parts
 * follow each other, and strips within a part. */
static ptrdiff_t packed_offset(const ttm_cpu_product *job, const extent_of_block *at, ptrdiff_t col)
{
    const ptrdiff_t before = at->first_depth - part_begin(job, job->first_part);
    return before * job->packed_cols + (job->packed_col + col) * at->depth;
}

/** All rows against one block of b. */
static void multiply_block(const ttm_cpu_product *job, extent_of_block *at)
{
    float *a = job->scratch;
    const float *b = job->scratch;
    if (job->packed_b != NULL) {
        b = job->packed_b + packed_offset(job, at, at->first_col);
    } else {
        a += at->depth * ((at->cols + STRIP - 1) / STRIP * STRIP);
        for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
            pack_strip(job->scratch + col * at->depth, job, at, at->first_col + col,
                       smaller(STRIP, at->cols - col));
        }
    }
    for (ptrdiff_t row = 0; row < job->rows; row += BLOCK_ROWS) {
        at->first_row = row;
        at->rows = smaller(BLOCK_ROWS, job->rows - row);
        pack_block(a, job, at);
        for (ptrdiff_t col = 0; col < at->cols; col += STRIP) {
            multiply_strip(job, at, at->first_col + col, smaller(STRIP, at->cols - col), a,
                           b + col * at->depth);
        }
    }
}

void KERNEL(product_pack)(float *packed, const ttm_cpu_product *job, int64_t first_col,
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

void KERNEL(product)(const ttm_cpu_product *job)
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
#if defined(__SSE__)
    _mm_sfence(); /* stores past the caches are seen by whoever this thread tells next */
#endif
}
