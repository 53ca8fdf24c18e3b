/* Products of matrices that fit the caches: the attention's blocks and the joins of TT cores, where
 * a call into the BLAS would cost as much as the product.
 *
 * A block of rows × vectors of c stays in registers while the depth is run through: each step loads
 * a few vectors of b and broadcasts one number of a per row. a may have any strides, so that aᵀ
 * costs nothing. Compiled for floats, and with TTM_CPU_PAIRS for words (simd.h) of two bf16
 * elements; the depth counts words. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

/** The most vectors of c's columns, and rows for 1, 2, … vectors, that the registers hold. */
#if VECTOR_BYTES == 64
#define MOST_VECTORS 4
#else
#define MOST_VECTORS 2
#endif
#define MOST_ROWS 8
static const int rows_for_vectors[] = {0, MOST_ROWS, VECTOR_BYTES == 64 ? MOST_ROWS : 6, MOST_ROWS,
                                       6};

/** Steps of the depth for which b's strip stays in L1. */
#define DEPTH_BLOCK 256

typedef struct block {
    float *c;
    ptrdiff_t c_row;
    const float *a;
    ptrdiff_t a_row;
    ptrdiff_t a_col;
    const float *b;
    ptrdiff_t b_row;
    ptrdiff_t depth;
    int accumulate;
    size_t tail; /**< Columns of the last vector, 0 for all. */
} block;

ALWAYS_INLINE vector load_column(const float *source, int is_last, size_t tail)
{
    return is_last && tail != 0 ? vector_load_part(source, tail) : vector_load(source);
}

ALWAYS_INLINE void run_block(const block *job, const int rows, const int vectors, const size_t tail)
{
    vector sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (vector){0};
        }
    }
    const float *a = job->a;
    const float *b = job->b;
    const ptrdiff_t a_row = job->a_row;
    for (ptrdiff_t k = 0; k < job->depth; k++) {
        vector columns[MOST_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            columns[j] = load_column(b + j * LANES, j == vectors - 1, tail);
        }
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const vector factor = words_of_one(a + i * a_row);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = words_multiply_add(sum[i][j], factor, columns[j]);
            }
        }
        a += job->a_col;
        b += job->b_row;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        float *c = job->c + i * job->c_row;
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            const int partial = j == vectors - 1 && tail != 0;
            vector value = sum[i][j];
            if (job->accumulate) {
                value += load_column(c + j * LANES, partial, tail);
            }
            if (partial) {
                vector_store_part(c + j * LANES, value, tail);
            } else {
                vector_store(c + j * LANES, value);
            }
        }
    }
}

#define RUN_CASE(rows, vectors, tail)        \
    case rows:                               \
        run_block(job, rows, vectors, tail); \
        break

#define DEFINE_RUN_ROWS(name, vectors, tail)           \
    static void name(const block *job, ptrdiff_t rows) \
    {                                                  \
        switch (rows) {                                \
            RUN_CASE(1, vectors, tail);                \
            RUN_CASE(2, vectors, tail);                \
            RUN_CASE(3, vectors, tail);                \
            RUN_CASE(4, vectors, tail);                \
            RUN_CASE(5, vectors, tail);                \
            RUN_CASE(6, vectors, tail);                \
            RUN_CASE(7, vectors, tail);                \
            RUN_CASE(8, vectors, tail);                \
        default:                                       \
            break;                                     \
        }                                              \
    }

DEFINE_RUN_ROWS(run_partial, 1, job->tail)
DEFINE_RUN_ROWS(run_1, 1, 0)
DEFINE_RUN_ROWS(run_2, 2, 0)
#if MOST_VECTORS == 4
DEFINE_RUN_ROWS(run_3, 3, 0)
DEFINE_RUN_ROWS(run_4, 4, 0)
#endif

static void run_rows(const block *job, ptrdiff_t rows, int vectors)
{
    if (job->tail != 0) {
        run_partial(job, rows);
        return;
    }
    switch (vectors) {
    case 1:
        run_1(job, rows);
        break;
    case 2:
        run_2(job, rows);
        break;
#if MOST_VECTORS == 4
    case 3:
        run_3(job, rows);
        break;
    case 4:
        run_4(job, rows);
        break;
#endif
    default:
        break;
    }
}

/** One strip of `vectors` vectors of columns (or `tail` columns), all rows. */
static void run_strip(block job, ptrdiff_t rows, int vectors)
{
    const ptrdiff_t step = rows_for_vectors[vectors];
    while (rows > 0) {
        const ptrdiff_t now = rows < step ? rows : step;
        run_rows(&job, now, vectors);
        job.a += now * job.a_row;
        job.c += now * job.c_row;
        rows -= now;
    }
}

void TILE(const ttm_cpu_tile *tile)
{
    for (ptrdiff_t start = 0; start < tile->depth || start == 0; start += DEPTH_BLOCK) {
        const ptrdiff_t left = tile->depth - start;
        block job = {
            .c_row = tile->c_row,
            .a = tile->a + start * tile->a_col,
            .a_row = tile->a_row,
            .a_col = tile->a_col,
            .b_row = tile->b_row,
            .depth = left < DEPTH_BLOCK ? left : DEPTH_BLOCK,
            .accumulate = tile->accumulate || start > 0,
        };
        /* Eight rows in one go beat six and then two. */
        const ptrdiff_t most =
            MOST_VECTORS == 4 && (tile->rows == 7 || tile->rows == 8) ? 3 : MOST_VECTORS;
        for (ptrdiff_t col = 0; col < tile->cols;) {
            const ptrdiff_t whole = (tile->cols - col) / LANES;
            const int vectors = whole == 0 ? 1 : (int)(whole < most ? whole : most);
            job.c = tile->c + col;
            job.b = tile->b + start * tile->b_row + col;
            job.tail = whole == 0 ? (size_t)(tile->cols - col) : 0;
            run_strip(job, tile->rows, vectors);
            col += whole == 0 ? (ptrdiff_t)job.tail : (ptrdiff_t)vectors * LANES;
        }
    }
}
