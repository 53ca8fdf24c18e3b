/* f32 products by a BLAS held to one thread, a block a call.
 *
 * beta, bias and (where there is no activation) the residual are put into the block first and the
 * product is added to it, which costs nothing: with beta = 0 the BLAS would write zeros there. */
#include "cpu/blas.h"
#include "cpu/matmul.h"

#include <math.h>

/** For a grid of blocks: columns for which a's rows are packed once, and what packing a number
 * costs in multiply-accumulates. */
#define PACKED_COLS   1008.0
#define PACKING_PRICE 5.0
/** Most blocks per thread, and the part of a round that a busy machine may hold up. */
#define MOST_ROUNDS 8
#define HOLD_UP     0.06
/** Elements of a row between the activation and the residual. */
#define ROW_BUFFER 512

/** Returns floats of an operand, which are at (row, col). */
static float *floats_at(const void *data, const operand *form, int64_t row, int64_t col)
{
    return element_of(data, form, row, col);
}

/** Returns whether the block's values start from something other than 0, after putting it there. */
static int begin_block(const matmul *job, const matrices *at, const matmul_block *block)
{
    const float *bias = floats_at(job->bias.data, &job->bias, 0, block->cols[0]);
    const int with_residual = job->activation == TTM_ACTIVATION_NONE && at->residual != NULL;
    const size_t count = (size_t)(block->cols[1] - block->cols[0]);
    if (!job->beta && bias == NULL && !with_residual) {
        return 0;
    }
    for (int64_t i = block->rows[0]; i < block->rows[1]; i++) {
        float *value = at->value + i * at->value_row + block->cols[0];
        const float *terms[3] = {NULL};
        int terms_count = 0;
        if (job->beta) {
            terms[terms_count++] = floats_at(at->out, &job->out, i, block->cols[0]);
        }
        if (with_residual) {
            terms[terms_count++] = floats_at(at->residual, &job->residual, i, block->cols[0]);
        }
        if (bias != NULL) {
            terms[terms_count++] = bias;
        }
        if (terms_count > 1 || terms[0] != value) {
            job->kernels->add(value, terms[0], 1.0F, terms_count > 1 ? terms[1] : NULL, 1.0F,
                              count);
        }
        if (terms_count > 2) {
            job->kernels->add(value, value, 1.0F, terms[2], 1.0F, count);
        }
    }
    return 1;
}

/** Applies the activation and adds the residual, which may be out itself: hence the buffer. */
static void finish_row(const matmul *job, float *out, const float *value, const float *pre,
                       const float *residual, int64_t count)
{
    float buffer[ROW_BUFFER];
    for (int64_t start = 0; start < count; start += ROW_BUFFER) {
        const size_t now = (size_t)(count - start < ROW_BUFFER ? count - start : ROW_BUFFER);
        float *active = residual != NULL ? buffer : out + start;
        if (job->activation == TTM_ACTIVATION_GELU) {
            job->kernels->gelu(active, value + start, now);
        } else {
            job->kernels->gelu_backward(active, value + start, pre + start, now);
        }
        if (residual != NULL) {
            job->kernels->add(out + start, active, 1.0F, residual + start, 1.0F, now);
        }
    }
}

static void finish_block(const matmul *job, const matrices *at, const matmul_block *block)
{
    if (job->activation == TTM_ACTIVATION_NONE) {
        return;
    }
    const int64_t col = block->cols[0];
    for (int64_t i = block->rows[0]; i < block->rows[1]; i++) {
        finish_row(job, floats_at(at->out, &job->out, i, col), at->value + i * at->value_row + col,
                   floats_at(at->pre, &job->pre, i, col),
                   floats_at(at->residual, &job->residual, i, col), block->cols[1] - col);
    }
}

static void run_block(const matmul *job, int64_t batch, const matmul_block *block)
{
    const matrices at = ttm_cpu_matmul_find(job, batch);
    const int begun = begin_block(job, &at, block);
    ttm_cpu_sgemm(job->a.transposed, job->b.transposed, block->rows[1] - block->rows[0],
                  block->cols[1] - block->cols[0], job->depth, job->alpha,
                  floats_at(at.a, &job->a, block->rows[0], 0), job->a.row,
                  floats_at(at.b, &job->b, 0, block->cols[0]), job->b.row, begun ? 1.0F : 0.0F,
                  at.value + block->rows[0] * at.value_row + block->cols[0], at.value_row);
    finish_block(job, &at, block);
}

/* ---- Sharing out ---- */

/** Returns roughly what `job` costs when each matrix is cut into row_blocks × col_blocks blocks, in
 * units of one multiply-accumulate: the rounds that the threads go, times a block with its packing.
 * With few rounds a thread that is held up holds up all, hence the last factor. */
static double price_grid(const matmul *job, int64_t row_blocks, int64_t col_blocks)
{
    const double rows = (double)round_up(divide_up(job->rows, row_blocks), TTM_CPU_ROW_EDGE);
    const double cols = (double)round_up(divide_up(job->cols, col_blocks), TTM_CPU_COL_EDGE);
    const int64_t items = row_blocks * col_blocks;
    const double rounds = (double)divide_up(items, job->device->threads);
    const double packing = rows * (1.0 + cols / PACKED_COLS) + cols;
    return rounds * (rows * cols + packing * PACKING_PRICE) * (1.0 + HOLD_UP / rounds);
}

/** Cuts each matrix into blocks, the cheapest way. */
static void choose_grid(matmul *job)
{
    const int64_t most = (int64_t)job->device->threads * MOST_ROUNDS;
    double best = INFINITY;
    for (int64_t rows = 1; rows <= most && (rows == 1 || rows * TTM_CPU_ROW_EDGE <= job->rows);
         rows++) {
        for (int64_t cols = 1;
             cols * rows <= most && (cols == 1 || cols * TTM_CPU_COL_EDGE <= job->cols); cols++) {
            const double price = price_grid(job, rows, cols);
            if (price < best) {
                best = price;
                job->block_rows = round_up(divide_up(job->rows, rows), TTM_CPU_ROW_EDGE);
                job->block_cols = round_up(divide_up(job->cols, cols), TTM_CPU_COL_EDGE);
            }
        }
    }
}

void ttm_cpu_matmul_plan_blas(matmul *job)
{
    job->block_rows = job->rows;
    job->block_cols = job->cols;
    if (job->batch[0] * job->batch[1] < job->device->threads) {
        choose_grid(job);
    }
    job->row_blocks = divide_up(job->rows, job->block_rows);
    job->col_blocks = divide_up(job->cols, job->block_cols);
}

static void run_blocks(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    (void)thread;
    for (int64_t item = first; item < last; item++) {
        const int64_t row = item / job->col_blocks % job->row_blocks * job->block_rows;
        const int64_t col = item % job->col_blocks * job->block_cols;
        const int64_t rows = job->rows - row;
        const int64_t cols = job->cols - col;
        const matmul_block block = {
            {row, row + (rows < job->block_rows ? rows : job->block_rows)},
            {col, col + (cols < job->block_cols ? cols : job->block_cols)},
        };
        run_block(job, item / job->col_blocks / job->row_blocks, &block);
    }
}

void ttm_cpu_matmul_run_blas(matmul *job)
{
    const int64_t items = job->batch[0] * job->batch[1] * job->row_blocks * job->col_blocks;
    ttm_cpu_parallel(job->device, items, 1, run_blocks, job);
}
