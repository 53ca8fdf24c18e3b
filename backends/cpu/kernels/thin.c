/* Products with up to eight rows: decoding one token of a few sequences. All the time goes into
 * reading b once; the kernels read it in long unit-stride runs that the hardware's prefetchers
 * follow: one run or several side by side, whichever the processor's memory delivers faster. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

/** Rows of b that thin_rows reads at once, and columns of c that stay in L1 meanwhile. */
#define RUNS          8
#define STRIP_COLUMNS 4096
/** How far ahead of its use a run is fetched, in elements: prefetchers of the hardware stop where a
 * page ends. */
#define FETCH_AHEAD 128

/** Rows k, k + distance, … of b: `depth` of them. */
typedef struct runs {
    int64_t k;
    int64_t distance;
    int depth;
} runs;

/** c[0 … rows) += a[:, runs]·b[runs, :] for one strip; at most RUNS. */
ALWAYS_INLINE void add_runs(const ttm_cpu_thin_product *job, runs at, int64_t col, int64_t count,
                            const int rows)
{
    float factor[TTM_CPU_THIN_ROWS][RUNS];
    for (int i = 0; i < rows; i++) {
        for (int r = 0; r < at.depth; r++) {
            factor[i][r] = job->alpha * job->a[i * job->a_row + at.k + r * at.distance];
        }
    }
    const element *b = (const element *)job->b + at.k * job->b_row + col;
    const int64_t step = at.distance * job->b_row;
    /* Whole rows without gaps: for one run the next ones are fetched in the order of memory.
     * Fetching beyond the end of b is harmless. */
    const int in_order = job->one_run && count == job->b_row;
    const element *ahead = in_order ? b + at.depth * count : b + FETCH_AHEAD;
    const int64_t ahead_step = in_order ? LANES : step;
    const int64_t ahead_pace = in_order ? at.depth : 1;
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        vector columns[RUNS];
#pragma GCC unroll 8
        for (int r = 0; r < at.depth; r++) {
            columns[r] = element_load(b + r * step + j);
            __builtin_prefetch(ahead + j * ahead_pace + r * ahead_step, 0, 2);
        }
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            float *c = job->c + i * job->c_row + col + j;
            vector even = vector_load(c);
            vector odd = {0};
#pragma GCC unroll 8
            for (int r = 0; r < at.depth; r++) {
                if (r % 2 == 0) {
                    even += columns[r] * factor[i][r];
                } else {
                    odd += columns[r] * factor[i][r];
                }
            }
            vector_store(c, even + odd);
        }
    }
    for (; j < count; j++) {
        for (int i = 0; i < rows; i++) {
            float sum = job->c[i * job->c_row + col + j];
            for (int r = 0; r < at.depth; r++) {
                sum += element_get(b + r * step + j) * factor[i][r];
            }
            job->c[i * job->c_row + col + j] = sum;
        }
    }
}

/** Returns how many rows lie between runs. Several long runs side by side are read faster than many
 * short ones; an odd number keeps them from meeting in the same sets of the caches. One run means
 * neighbours. */
static int64_t distance_of_runs(const ttm_cpu_thin_product *job)
{
    const int64_t most = job->depth / RUNS;
    return job->one_run || most < 1 ? 1 : (most - 1) | 1;
}

ALWAYS_INLINE void add_strip(const ttm_cpu_thin_product *job, int64_t col, int64_t count,
                             const int rows)
{
    const int64_t distance = distance_of_runs(job);
    int64_t k = 0;
    while (k + RUNS * distance <= job->depth) {
        for (int64_t row = k; row < k + distance; row++) {
            add_runs(job, (runs){row, distance, RUNS}, col, count, rows);
        }
        k += RUNS * distance;
    }
    for (; k + RUNS <= job->depth; k += RUNS) {
        add_runs(job, (runs){k, 1, RUNS}, col, count, rows);
    }
    for (; k < job->depth; k++) {
        add_runs(job, (runs){k, 1, 1}, col, count, rows);
    }
}

#define ROWS_CASE(rows)                   \
    case rows:                            \
        add_strip(job, col, count, rows); \
        break

void TYPED(thin_rows)(const ttm_cpu_thin_product *job)
{
    for (int64_t col = 0; col < job->cols; col += STRIP_COLUMNS) {
        const int64_t count = job->cols - col < STRIP_COLUMNS ? job->cols - col : STRIP_COLUMNS;
        switch (job->rows) {
            ROWS_CASE(1);
            ROWS_CASE(2);
            ROWS_CASE(3);
            ROWS_CASE(4);
            ROWS_CASE(5);
            ROWS_CASE(6);
            ROWS_CASE(7);
            ROWS_CASE(8);
        default:
            break;
        }
    }
}

/** c[i, col] += a[i, :]·b[col, :]ᵀ for all rows i. */
ALWAYS_INLINE void dot_column(const ttm_cpu_thin_product *job, int64_t col, const int rows)
{
    vector even[TTM_CPU_THIN_ROWS];
    vector odd[TTM_CPU_THIN_ROWS];
    for (int i = 0; i < rows; i++) {
        even[i] = (vector){0};
        odd[i] = (vector){0};
    }
    const element *b = (const element *)job->b + col * job->b_row;
    int64_t k = 0;
    for (; k + 2 * LANES <= job->depth; k += 2 * LANES) {
        const vector first = element_load(b + k);
        const vector second = element_load(b + k + LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            even[i] += vector_load(job->a + i * job->a_row + k) * first;
            odd[i] += vector_load(job->a + i * job->a_row + k + LANES) * second;
        }
    }
    for (int i = 0; i < rows; i++) {
        float total = vector_sum(even[i] + odd[i]);
        for (int64_t rest = k; rest < job->depth; rest++) {
            total += job->a[i * job->a_row + rest] * element_get(b + rest);
        }
        job->c[i * job->c_row + col] += job->alpha * total;
    }
}

/** Columns that are read side by side for one row and for two: their sums stay in registers. */
#define BESIDE_ONE_ROW  8
#define BESIDE_TWO_ROWS 4

/** The same for columns col, col + distance, …, `beside` of them, and one or two rows. */
ALWAYS_INLINE void dot_columns_beside(const ttm_cpu_thin_product *job, int64_t col,
                                      int64_t distance, const int rows, const int beside)
{
    vector sum[2][BESIDE_ONE_ROW];
    const element *b = (const element *)job->b + col * job->b_row;
    const int64_t step = distance * job->b_row;
#pragma GCC unroll 2
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int s = 0; s < beside; s++) {
            sum[i][s] = (vector){0};
        }
    }
    int64_t k = 0;
    for (; k + LANES <= job->depth; k += LANES) {
#pragma GCC unroll 8
        for (int s = 0; s < beside; s++) {
            const vector column = element_load(b + s * step + k);
            __builtin_prefetch(b + s * step + k + FETCH_AHEAD, 0, 2);
#pragma GCC unroll 2
            for (int i = 0; i < rows; i++) {
                sum[i][s] += vector_load(job->a + i * job->a_row + k) * column;
            }
        }
    }
    for (int s = 0; s < beside; s++) {
        for (int i = 0; i < rows; i++) {
            float total = vector_sum(sum[i][s]);
            for (int64_t rest = k; rest < job->depth; rest++) {
                total += job->a[i * job->a_row + rest] * element_get(b + s * step + rest);
            }
            job->c[i * job->c_row + col + s * distance] += job->alpha * total;
        }
    }
}

/* A column is a row of memory. */
ALWAYS_INLINE void dot_columns(const ttm_cpu_thin_product *job, const int rows)
{
    int64_t col = 0;
    if (!job->one_run && rows <= 2) {
        const int beside = rows == 1 ? BESIDE_ONE_ROW : BESIDE_TWO_ROWS;
        const int64_t distance = job->cols / beside;
        for (; col < distance; col++) {
            dot_columns_beside(job, col, distance, rows, beside);
        }
        col = distance * beside;
    }
    for (; col < job->cols; col++) {
        dot_column(job, col, rows);
    }
}

#define DOT_CASE(rows)          \
    case rows:                  \
        dot_columns(job, rows); \
        break

void TYPED(thin_columns)(const ttm_cpu_thin_product *job)
{
    switch (job->rows) {
        DOT_CASE(1);
        DOT_CASE(2);
        DOT_CASE(3);
        DOT_CASE(4);
        DOT_CASE(5);
        DOT_CASE(6);
        DOT_CASE(7);
        DOT_CASE(8);
    default:
        break;
    }
}
