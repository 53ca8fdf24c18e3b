/* bf16 products by oneDNN, shared out over the plugin's own threads.
 *
 * As in matmul_own.c the threads pack b together, some blocks of columns at a time, then take
 * blocks of out. The library computes a block's sums into a thread's scratch, where our kernel
 * finishes them: bias, activation and rounding are the same whoever multiplies. A transposed a is
 * copied to rows first, since the library takes twice as long on columns. */
#include "cpu/matmul.h"
#include "cpu/onednn.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

/** Rows and columns of a block: its sums stay in L2 or near it. */
#define BLOCK_ROWS 128
#define BLOCK_COLS 768
/** Most floats of b that are packed at a time: 16 MiB. */
#define PACKED_FLOATS ((size_t)1 << 22)
/** Pieces of work that a thread should get, or columns of out are cut too. */
#define ITEMS_A_THREAD 4

/** Code for whole blocks [0] and for those at the lower or right edge [1]. */
struct ttm_cpu_matmul_codes {
    ttm_cpu_onednn_product *of[2][2]; /**< [last row block][last column block] */
    size_t block_floats;              /**< Of a packed block of columns. */
    size_t copy_floats;               /**< Of a block's rows of a transposed a. */
    size_t library_floats;
    int64_t packed_blocks; /**< Blocks of columns that are packed at a time. */
    int64_t groups;        /**< Into so many their columns are cut for the threads. */
    atomic_int failed;
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t block_rows_at(const matmul *job, int64_t block)
{
    return smaller(job->block_rows, job->rows - block * job->block_rows);
}

static int64_t block_cols_at(const matmul *job, int64_t block)
{
    return smaller(job->block_cols, job->cols - block * job->block_cols);
}

static const ttm_cpu_onednn_product *code_for(const matmul *job, int64_t row_block,
                                              int64_t col_block)
{
    return job->codes->of[row_block + 1 == job->row_blocks][col_block + 1 == job->col_blocks];
}

/* ---- Planning ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t floats_of(size_t bytes)
{
    return scratch_size((int64_t)((bytes + sizeof(float) - 1) / sizeof(float)));
}

/** Makes the code for all blocks; returns whether the library has it. */
static int make_codes(matmul *job)
{
    struct ttm_cpu_matmul_codes *codes = job->codes;
    const int64_t a_row = job->a.transposed ? job->depth : job->a.row;
    for (int low = 0; low < 2; low++) {
        for (int right = 0; right < 2; right++) {
            ttm_cpu_onednn_product *code =
                ttm_cpu_onednn_create(block_rows_at(job, low ? job->row_blocks - 1 : 0),
                                      block_cols_at(job, right ? job->col_blocks - 1 : 0),
                                      job->depth, a_row, job->block_cols);
            codes->of[low][right] = code;
            if (code == NULL) {
                return 0;
            }
            codes->block_floats =
                larger(codes->block_floats, floats_of(ttm_cpu_onednn_packed_bytes(code)));
            codes->library_floats =
                larger(codes->library_floats, floats_of(ttm_cpu_onednn_scratch_bytes(code)));
        }
    }
    return 1;
}

int ttm_cpu_matmul_plan_onednn(matmul *job)
{
    struct ttm_cpu_matmul_codes *codes = calloc(1, sizeof *codes);
    job->codes = codes;
    job->block_rows = smaller(BLOCK_ROWS, job->rows);
    job->row_blocks = divide_up(job->rows, job->block_rows);
    job->col_blocks = divide_up(job->cols, BLOCK_COLS);
    job->block_cols = round_up(divide_up(job->cols, job->col_blocks), TTM_CPU_COL_EDGE);
    job->col_blocks = divide_up(job->cols, job->block_cols);
    if (codes == NULL || job->depth == 0 || !make_codes(job)) {
        ttm_cpu_matmul_end_onednn(job);
        return 0;
    }
    codes->packed_blocks = smaller(job->col_blocks, (int64_t)(PACKED_FLOATS / codes->block_floats));
    codes->packed_blocks = codes->packed_blocks < 1 ? 1 : codes->packed_blocks;
    const int64_t wanted = (int64_t)job->device->threads * ITEMS_A_THREAD;
    codes->groups = smaller(codes->packed_blocks, divide_up(wanted, job->row_blocks));
    codes->copy_floats =
        job->a.transposed ? floats_of((size_t)(job->block_rows * job->depth) * job->a.bytes) : 0;
    job->packed_floats = (size_t)codes->packed_blocks * codes->block_floats;
    job->kernel_floats = codes->copy_floats + codes->library_floats;
    job->scratch_floats = job->kernel_floats + scratch_size(job->block_rows * job->block_cols);
    return 1;
}

void ttm_cpu_matmul_end_onednn(matmul *job)
{
    for (int i = 0; job->codes != NULL && i < 4; i++) {
        ttm_cpu_onednn_destroy(job->codes->of[i / 2][i % 2]);
    }
    free(job->codes);
    job->codes = NULL;
}

/* ---- Running ---- */

/** Blocks of columns first … last − 1 of one matrix, packed at a time. */
typedef struct section {
    matmul *job;
    matrices at;
    int64_t first;
    int64_t last;
} section;

static float *packed_block(const section *part, int64_t col_block)
{
    return part->job->packed + (size_t)(col_block - part->first) * part->job->codes->block_floats;
}

static void pack_blocks(void *context, int64_t first, int64_t last, int thread)
{
    const section *part = context;
    const matmul *job = part->job;
    (void)thread;
    for (int64_t block = part->first + first; block < part->first + last; block++) {
        const ttm_cpu_onednn_matrix form = {
            .rows = job->depth,
            .cols = block_cols_at(job, block),
            .row = job->b.transposed ? 1 : job->b.row,
            .col = job->b.transposed ? job->b.row : 1,
        };
        const void *b = element_of(part->at.b, &job->b, 0, block * job->block_cols);
        if (!ttm_cpu_onednn_pack(code_for(job, 0, block), packed_block(part, block), b, &form)) {
            job->codes->failed = 1;
        }
    }
}

/** Returns a block's rows of a, copied to `copy` where they aren't contiguous. */
static const void *rows_of_a(const section *part, int64_t row_block, float *copy)
{
    const matmul *job = part->job;
    const void *a = element_of(part->at.a, &job->a, row_block * job->block_rows, 0);
    if (!job->a.transposed) {
        return a;
    }
    const ttm_cpu_onednn_matrix form = {
        .rows = block_rows_at(job, row_block), .cols = job->depth, .row = 1, .col = job->a.row};
    if (!ttm_cpu_onednn_copy_rows(code_for(job, row_block, 0), copy, a, &form)) {
        job->codes->failed = 1;
    }
    return copy;
}

static void run_block(const section *part, int64_t row_block, int64_t col_block, const void *a,
                      int thread)
{
    const matmul *job = part->job;
    const int64_t row = row_block * job->block_rows;
    const int64_t col = col_block * job->block_cols;
    const matmul_block block = {{row, row + block_rows_at(job, row_block)},
                                {col, col + block_cols_at(job, col_block)}};
    ttm_cpu_product product = ttm_cpu_matmul_describe(job, &part->at, &block, thread);
    product.partial = product.scratch + job->kernel_floats;
    product.partial_row = job->block_cols;
    if (!ttm_cpu_onednn_run(code_for(job, row_block, col_block), product.partial, a,
                            packed_block(part, col_block),
                            product.scratch + job->codes->copy_floats)) {
        job->codes->failed = 1;
    }
    for (int64_t i = 0; job->codes->failed && i < job->block_rows * job->block_cols; i++) {
        product.partial[i] = NAN; /* nobody takes it for a result */
    }
    job->kernels->product_finish(&product);
}

/** An item is a block of rows against a group of the section's columns. */
static void run_items(void *context, int64_t first, int64_t last, int thread)
{
    const section *part = context;
    const matmul *job = part->job;
    const int64_t groups = job->codes->groups;
    const int64_t blocks = part->last - part->first;
    float *copy = job->scratch + (size_t)thread * job->scratch_floats;
    for (int64_t item = first; item < last; item++) {
        const int64_t row_block = item / groups;
        const int64_t group = item % groups;
        const void *a = rows_of_a(part, row_block, copy);
        for (int64_t block = blocks * group / groups; block < blocks * (group + 1) / groups;
             block++) {
            run_block(part, row_block, part->first + block, a, thread);
        }
    }
}

void ttm_cpu_matmul_run_onednn(matmul *job)
{
    const struct ttm_cpu_matmul_codes *codes = job->codes;
    for (int64_t batch = 0; batch < job->batch[0] * job->batch[1]; batch++) {
        for (int64_t first = 0; first < job->col_blocks; first += codes->packed_blocks) {
            section part = {.job = job,
                            .at = ttm_cpu_matmul_find(job, batch),
                            .first = first,
                            .last = smaller(first + codes->packed_blocks, job->col_blocks)};
            ttm_cpu_parallel(job->device, part.last - part.first, 1, pack_blocks, &part);
            ttm_cpu_parallel(job->device, job->row_blocks * codes->groups, 1, run_items, &part);
        }
    }
    if (codes->failed) {
        host_log(TTM_LOG_ERROR, "oneDNN failed in a product, which is NaN now; set "
                                "TTM_CPU_BF16_PRODUCTS=own");
    }
}
