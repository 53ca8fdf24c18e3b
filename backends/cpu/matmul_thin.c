/* Products with few rows, as in decoding: bound by reading b.
 *
 * A row-major b is cut along the depth, so that each thread reads one unbroken run of memory; a
 * column-major one into columns. Sums are floats; what becomes of them is done at the end. */
#include "cpu/matmul.h"

#include <string.h>

/** Columns whose sums are finished at a time. */
#define COLUMNS 256
/** At most so many parts of the depth a thread, each of at least so much depth. */
#define PARTS_A_THREAD 2
#define LEAST_PART     32

void ttm_cpu_matmul_plan_thin(matmul *job)
{
    const int64_t most = job->depth / LEAST_PART;
    const int64_t wanted = (int64_t)job->device->threads * PARTS_A_THREAD;
    job->thin = 1;
    if (job->a.dtype != TTM_F32 || job->normalises_a) {
        job->wide_floats = scratch_size(job->rows * job->depth);
    }
    if (!job->b.transposed && job->batch[0] * job->batch[1] == 1 && most > 0 &&
        job->device->threads > 1) {
        job->parts = wanted < most ? wanted : most;
        job->partial_floats = scratch_size(job->parts * job->rows * job->cols);
    }
    job->col_blocks = divide_up(job->cols, COLUMNS);
}

/** The product of a's and b's steps first … last − 1, columns from `col` on, added to `sums`. */
static void add_product(const matmul *job, const matrices *at, float *sums, int64_t sums_row,
                        const int64_t steps[2], int64_t col, int64_t cols)
{
    const int wide = job->wide_a != NULL;
    const float *a = wide ? job->wide_a : (const float *)(const void *)at->a;
    const ttm_cpu_thin_product product = {
        .c = sums,
        .c_row = sums_row,
        .a = a + steps[0],
        .a_row = wide ? job->depth : job->a.row,
        .b = element_of(at->b, &job->b, steps[0], col),
        .b_row = job->b.row,
        .rows = (int)job->rows,
        .one_run = job->device->one_run,
        .cols = cols,
        .depth = steps[1] - steps[0],
        .alpha = job->alpha,
    };
    if (job->b.transposed) {
        job->kernels->thin_columns(&product);
    } else {
        job->kernels->thin_rows(&product);
    }
}

/** Sums of some parts of the depth, all columns. */
static void run_parts(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    const matrices at = ttm_cpu_matmul_find(job, 0);
    (void)thread;
    for (int64_t part = first; part < last; part++) {
        const int64_t steps[2] = {job->depth * part / job->parts,
                                  job->depth * (part + 1) / job->parts};
        float *sums = job->partial + part * job->rows * job->cols;
        memset(sums, 0, (size_t)(job->rows * job->cols) * sizeof(float));
        add_product(job, &at, sums, job->cols, steps, 0, job->cols);
    }
}

/** sums [rows, COLUMNS] = the partial sums, in their order whoever computed them. */
static void add_parts(const matmul *job, float *sums, int64_t col, int64_t cols)
{
    for (int64_t i = 0; i < job->rows; i++) {
        for (int64_t part = 0; part < job->parts; part++) {
            const float *more = job->partial + (part * job->rows + i) * job->cols + col;
            for (int64_t j = 0; j < cols; j++) {
                sums[i * COLUMNS + j] += more[j];
            }
        }
    }
}

/* ---- Finishing ---- */

/** Returns `count` numbers of an operand from (row, col) on as floats, in `buffer` if they aren't
 * floats already. */
static const float *wide(const matmul *job, float *buffer, const void *data, const operand *form,
                         int64_t row, int64_t col, int64_t count)
{
    const void *source = element_of(data, form, row, col);
    if (form->dtype == TTM_F32) {
        return source;
    }
    job->kernels->bf16_to_f32(buffer, source, (size_t)count);
    return buffer;
}

static void store(const matmul *job, const void *data, const operand *form, int64_t row,
                  int64_t col, const float *value, int64_t count)
{
    void *target = element_of(data, form, row, col);
    if (form->dtype == TTM_F32) {
        memcpy(target, value, (size_t)count * sizeof(float));
    } else {
        job->kernels->f32_to_bf16(target, value, (size_t)count);
    }
}

/** Stores what the op makes of the sums in `value`, `count` ≤ COLUMNS of row `row`. */
static void finish_row(const matmul *job, const matrices *at, float *value, int64_t row,
                       int64_t col, int64_t count)
{
    const ttm_cpu_kernels *kernels = job->device->kernels; /* sums are floats */
    const size_t length = (size_t)count;
    float buffer[COLUMNS];
    if (job->beta) {
        kernels->add(value, value, 1.0F, wide(job, buffer, at->out, &job->out, row, col, count),
                     1.0F, length);
    }
    if (job->bias.data != NULL) {
        kernels->add(value, value, 1.0F,
                     wide(job, buffer, job->bias.data, &job->bias, 0, col, count), 1.0F, length);
    }
    if (job->activation == TTM_ACTIVATION_GELU) {
        if (at->pre != NULL) {
            store(job, at->pre, &job->pre, row, col, value, count);
        }
        kernels->gelu(value, value, length);
    } else if (job->activation == TTM_ACTIVATION_GELU_BACKWARD) {
        kernels->gelu_backward(value, value, wide(job, buffer, at->pre, &job->pre, row, col, count),
                               length);
    }
    if (at->residual != NULL) {
        kernels->add(value, value, 1.0F,
                     wide(job, buffer, at->residual, &job->residual, row, col, count), 1.0F,
                     length);
    }
    store(job, at->out, &job->out, row, col, value, count);
}

static void run_columns(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    const int64_t all_steps[2] = {0, job->depth};
    float sums[TTM_CPU_THIN_ROWS * COLUMNS];
    (void)thread;
    for (int64_t item = first; item < last; item++) {
        const matrices at = ttm_cpu_matmul_find(job, item / job->col_blocks);
        const int64_t col = item % job->col_blocks * COLUMNS;
        const int64_t cols = job->cols - col < COLUMNS ? job->cols - col : COLUMNS;
        memset(sums, 0, sizeof sums);
        if (job->parts > 0) {
            add_parts(job, sums, col, cols);
        } else {
            add_product(job, &at, sums, COLUMNS, all_steps, col, cols);
        }
        for (int64_t i = 0; i < job->rows; i++) {
            finish_row(job, &at, sums + i * COLUMNS, i, col, cols);
        }
    }
}

/** wide_a = a, or its layer norm. By one thread: a few rows take it less time than waking another
 * one. */
static void widen(matmul *job)
{
    if (job->normalises_a) {
        job->norm.out = job->wide_a;
        job->kernels->layer_norm(&job->norm, 0, (size_t)job->rows);
        return;
    }
    for (int64_t row = 0; row < job->rows; row++) {
        job->kernels->bf16_to_f32(job->wide_a + row * job->depth,
                                  element_of(job->a.data, &job->a, row, 0), (size_t)job->depth);
    }
}

void ttm_cpu_matmul_run_thin(matmul *job)
{
    const int64_t items = job->batch[0] * job->batch[1] * job->col_blocks;
    if (job->wide_a != NULL) {
        widen(job);
    }
    if (job->parts > 0) {
        ttm_cpu_parallel(job->device, job->parts, 1, run_parts, job);
        run_columns(job, 0, items, 0);
        return;
    }
    ttm_cpu_parallel(job->device, items, 1, run_columns, job);
}
