/* MATMUL, shared out over the plugin's own threads.
 *
 * out is cut into blocks (a batch into its matrices) that the threads take one after another; each
 * is one call of our own kernel (kernels/product.c) or into a BLAS held to one thread. Measured
 * faster than the BLAS's own threads, and the same bits from run to run. For the BLAS, beta, bias
 * and (where there is no activation) the residual are put into the block first and the product is
 * added to it, which costs nothing: with beta = 0 it would write zeros there. Products with few
 * rows go to kernels that are bound by reading b. */
#include "cpu/blas.h"
#include "cpu/matmul.h"
#include "cpu/op.h"
#include "cpu/op_matmul_bf16.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/** Columns that a thread takes at a time in a thin product. */
#define THIN_COLUMNS 256
/** A thin product with a row-major b is cut along its depth, so that each thread reads one unbroken
 * run of memory: at most so many parts a thread, each of at least so much depth. */
#define PARTS_A_THREAD 2
#define LEAST_PART     32
/** For a grid of blocks: columns for which a's rows are packed once, and what packing a number
 * costs in multiply-accumulates. */
#define PACKED_COLS   1008.0
#define PACKING_PRICE 5.0
/** Most blocks per thread, and the part of a round that a busy machine may hold up. */
#define MOST_ROUNDS 8
#define HOLD_UP     0.06
/** Elements of a row between the activation and the residual. */
#define ROW_BUFFER 512

/** Reads the last two dimensions of a tensor; returns whether the BLAS can take it. */
static int read_operand(operand *result, const ttm_tensor *tensor)
{
    *result = (operand){.data = floats(tensor)};
    if (!ttm_tensor_present(tensor)) {
        return 1;
    }
    const int rank = tensor->rank;
    const int64_t rows = tensor->shape[rank - 2];
    const int64_t cols = tensor->shape[rank - 1];
    const int64_t row_stride = rows > 1 ? tensor->stride[rank - 2] : cols;
    const int64_t col_stride = cols > 1 ? tensor->stride[rank - 1] : 1;
    for (int i = 0; i < rank - 2; i++) {
        result->batch_stride[2 - (rank - 2) + i] = tensor->stride[i];
    }
    if (col_stride == 1 && row_stride >= cols) {
        result->row = row_stride > 0 ? row_stride : 1;
    } else if ((rows <= 1 || tensor->stride[rank - 2] == 1) && col_stride >= rows) {
        result->row = col_stride;
        result->transposed = 1;
    } else {
        return 0;
    }
    return result->row <= INT_MAX;
}

/** Reads a residual or pre: rows that are contiguous, any distance apart. */
static int read_rows(operand *result, const ttm_tensor *tensor)
{
    *result = (operand){.data = floats(tensor)};
    if (!ttm_tensor_present(tensor)) {
        return 1;
    }
    const int rank = tensor->rank;
    for (int i = 0; i < rank - 2; i++) {
        result->batch_stride[2 - (rank - 2) + i] = tensor->stride[i];
    }
    result->row = tensor->stride[rank - 2];
    return unit_last(tensor);
}

/** Reads the op; returns whether it is supported. */
static int read_matmul(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    const ttm_tensor *a = &op->tensors[TTM_MATMUL_A];
    const int rank = out->rank;
    *job = (matmul){.device = device,
                    .batch = {1, 1},
                    .rows = out->shape[rank - 2],
                    .cols = out->shape[rank - 1],
                    .depth = a->shape[rank - 1],
                    .bias = floats(&op->tensors[TTM_MATMUL_BIAS]),
                    .alpha = (float)params->alpha,
                    .beta = params->beta != 0.0,
                    .activation = params->activation,
                    .value = floats(&op->workspace)};
    for (int i = 0; i < rank - 2; i++) {
        job->batch[2 - (rank - 2) + i] = out->shape[i];
    }
    return all_f32(op, TTM_MATMUL_OUT, TTM_MATMUL_PRE) && job->rows <= INT_MAX &&
           job->cols <= INT_MAX && job->depth <= INT_MAX && read_operand(&job->a, a) &&
           read_operand(&job->b, &op->tensors[TTM_MATMUL_B]) && read_operand(&job->out, out) &&
           !job->out.transposed && unit_last(&op->tensors[TTM_MATMUL_BIAS]) &&
           read_rows(&job->residual, &op->tensors[TTM_MATMUL_RESIDUAL]) &&
           read_rows(&job->pre, &op->tensors[TTM_MATMUL_PRE]);
}

static int is_bf16(const ttm_op *op)
{
    return op->tensors[TTM_MATMUL_A].dtype == TTM_BF16;
}

static int matmul_supported(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    return is_bf16(op) ? ttm_cpu_matmul_bf16_supported(device, op) : read_matmul(&job, device, op);
}

/* ---- One block ---- */

static const float *matrix_of(const operand *from, const int64_t index[2])
{
    return from->data == NULL
               ? NULL
               : from->data + index[0] * from->batch_stride[0] + index[1] * from->batch_stride[1];
}

matrices ttm_cpu_matmul_find(const matmul *job, int64_t batch)
{
    const int64_t index[2] = {batch / job->batch[1], batch % job->batch[1]};
    matrices found = {
        .a = matrix_of(&job->a, index),
        .b = matrix_of(&job->b, index),
        .residual = matrix_of(&job->residual, index),
        .out = (float *)matrix_of(&job->out, index),
        .pre = (float *)matrix_of(&job->pre, index),
    };
    found.value = found.out;
    found.value_row = job->out.row;
    if (job->activation == TTM_ACTIVATION_GELU && found.pre != NULL) {
        found.value = found.pre;
        found.value_row = job->pre.row;
    } else if (job->value != NULL) {
        found.value = job->value + batch * job->rows * job->cols;
        found.value_row = job->cols;
    }
    return found;
}

/** Returns whether the block's values start from something other than 0, after putting it there. */
static int begin_block(const matmul *job, const matrices *at, const int64_t rows[2],
                       const int64_t cols[2])
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    const float *residual = job->activation == TTM_ACTIVATION_NONE ? at->residual : NULL;
    const size_t count = (size_t)(cols[1] - cols[0]);
    if (!job->beta && job->bias == NULL && residual == NULL) {
        return 0;
    }
    for (int64_t i = rows[0]; i < rows[1]; i++) {
        float *value = at->value + i * at->value_row + cols[0];
        const float *terms[3];
        int terms_count = 0;
        if (job->beta) {
            terms[terms_count++] = at->out + i * job->out.row + cols[0];
        }
        if (residual != NULL) {
            terms[terms_count++] = residual + i * job->residual.row + cols[0];
        }
        if (job->bias != NULL) {
            terms[terms_count++] = job->bias + cols[0];
        }
        if (terms_count > 1 || terms[0] != value) {
            kernels->add(value, terms[0], 1.0F, terms_count > 1 ? terms[1] : NULL, 1.0F, count);
        }
        if (terms_count > 2) {
            kernels->add(value, value, 1.0F, terms[2], 1.0F, count);
        }
    }
    return 1;
}

/** Applies the activation and adds the residual, which may be out itself: hence the buffer. */
static void finish_row(const matmul *job, float *out, const float *value, const float *pre,
                       const float *residual, int64_t count)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    float buffer[ROW_BUFFER];
    for (int64_t start = 0; start < count; start += ROW_BUFFER) {
        const size_t now = (size_t)(count - start < ROW_BUFFER ? count - start : ROW_BUFFER);
        float *active = residual != NULL ? buffer : out + start;
        if (job->activation == TTM_ACTIVATION_GELU) {
            kernels->gelu(active, value + start, now);
        } else {
            kernels->gelu_backward(active, value + start, pre + start, now);
        }
        if (residual != NULL) {
            kernels->add(out + start, active, 1.0F, residual + start, 1.0F, now);
        }
    }
}

static void finish_block(const matmul *job, const matrices *at, const int64_t rows[2],
                         const int64_t cols[2])
{
    if (job->activation == TTM_ACTIVATION_NONE) {
        return;
    }
    for (int64_t i = rows[0]; i < rows[1]; i++) {
        finish_row(job, at->out + i * job->out.row + cols[0],
                   at->value + i * at->value_row + cols[0],
                   at->pre == NULL ? NULL : at->pre + i * job->pre.row + cols[0],
                   at->residual == NULL ? NULL : at->residual + i * job->residual.row + cols[0],
                   cols[1] - cols[0]);
    }
}

/** value += the partial sums, in their order whoever computed them. */
static void add_partial_sums(const matmul *job, float *value, ptrdiff_t value_row,
                             const int64_t cols[2])
{
    for (int64_t i = 0; i < job->rows; i++) {
        float *row = value + i * value_row;
        for (int64_t part = 0; part < job->parts; part++) {
            const float *sums = job->partial + (part * job->rows + i) * job->cols + cols[0];
            for (int64_t j = 0; j < cols[1] - cols[0]; j++) {
                row[j] += sums[j];
            }
        }
    }
}

/** Sums of some parts of the depth, all columns. */
static void run_parts(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    const matrices at = ttm_cpu_matmul_find(job, 0);
    (void)thread;
    for (int64_t part = first; part < last; part++) {
        const int64_t start = job->depth * part / job->parts;
        const ttm_cpu_thin_product product = {
            .c = job->partial + part * job->rows * job->cols,
            .c_row = job->cols,
            .a = at.a + start,
            .a_row = job->a.row,
            .b = element(at.b, &job->b, start, 0),
            .b_row = job->b.row,
            .rows = (int)job->rows,
            .one_run = job->device->one_run,
            .cols = job->cols,
            .depth = job->depth * (part + 1) / job->parts - start,
            .alpha = job->alpha,
        };
        memset(product.c, 0, (size_t)(job->rows * job->cols) * sizeof(float));
        job->device->kernels->thin_rows(&product);
    }
}

static void thin_block(const matmul *job, const matrices *at, const int64_t cols[2], int begun)
{
    const ttm_cpu_thin_product product = {
        .c = at->value + cols[0],
        .c_row = at->value_row,
        .a = at->a,
        .a_row = job->a.row,
        .b = element(at->b, &job->b, 0, cols[0]),
        .b_row = job->b.row,
        .rows = (int)job->rows,
        .one_run = job->device->one_run,
        .cols = cols[1] - cols[0],
        .depth = job->depth,
        .alpha = job->alpha,
    };
    for (int64_t i = 0; i < job->rows && !begun; i++) {
        memset(product.c + i * product.c_row, 0, (size_t)product.cols * sizeof(float));
    }
    if (job->partial != NULL) {
        add_partial_sums(job, product.c, product.c_row, cols);
    } else if (job->b.transposed) {
        job->device->kernels->thin_columns(&product);
    } else {
        job->device->kernels->thin_rows(&product);
    }
}

static void run_block(const matmul *job, int64_t batch, const int64_t rows[2],
                      const int64_t cols[2], int thread)
{
    const matrices at = ttm_cpu_matmul_find(job, batch);
    if (job->device->own_products && !job->thin) {
        ttm_cpu_matmul_own_block(job, &at, rows, cols, thread);
        return;
    }
    const int begun = begin_block(job, &at, rows, cols);
    if (job->thin) {
        thin_block(job, &at, cols, begun);
    } else {
        ttm_cpu_sgemm(job->a.transposed, job->b.transposed, rows[1] - rows[0], cols[1] - cols[0],
                      job->depth, job->alpha, element(at.a, &job->a, rows[0], 0), job->a.row,
                      element(at.b, &job->b, 0, cols[0]), job->b.row, begun ? 1.0F : 0.0F,
                      at.value + rows[0] * at.value_row + cols[0], at.value_row);
    }
    finish_block(job, &at, rows, cols);
}

/* ---- Sharing out ---- */

/** Returns roughly what `job` costs when each matrix is cut into row_blocks × col_blocks blocks, in
 * units of one multiply-accumulate: the rounds that the threads go, times a block with its packing.
 * With few rounds a thread that is held up holds up all, hence the last factor. */
static double price_grid(const matmul *job, int64_t row_blocks, int64_t col_blocks)
{
    const double rows =
        (double)(divide_up(divide_up(job->rows, row_blocks), TTM_CPU_ROW_EDGE) * TTM_CPU_ROW_EDGE);
    const double cols =
        (double)(divide_up(divide_up(job->cols, col_blocks), TTM_CPU_COL_EDGE) * TTM_CPU_COL_EDGE);
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
                job->block_rows =
                    divide_up(divide_up(job->rows, rows), TTM_CPU_ROW_EDGE) * TTM_CPU_ROW_EDGE;
                job->block_cols =
                    divide_up(divide_up(job->cols, cols), TTM_CPU_COL_EDGE) * TTM_CPU_COL_EDGE;
            }
        }
    }
}

static void choose_parts(matmul *job, int64_t batches)
{
    const int64_t most = job->depth / LEAST_PART;
    const int64_t wanted = (int64_t)job->device->threads * PARTS_A_THREAD;
    if (!job->b.transposed && batches == 1 && most > 0) {
        job->parts = job->device->threads == 1 ? 0 : wanted < most ? wanted : most;
        job->block_cols = job->cols;
    }
}

static void choose_blocks(matmul *job)
{
    const int64_t batches = job->batch[0] * job->batch[1];
    job->thin = job->rows <= TTM_CPU_THIN_ROWS && !job->a.transposed;
    job->block_rows = job->rows;
    job->block_cols = job->cols;
    if (job->thin) {
        job->block_cols = THIN_COLUMNS;
        choose_parts(job, batches);
    } else if (batches < job->device->threads) {
        choose_grid(job);
    }
    job->row_blocks = divide_up(job->rows, job->block_rows);
    job->col_blocks = divide_up(job->cols, job->block_cols);
}

static void run_blocks(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    for (int64_t item = first; item < last; item++) {
        const int64_t col_block = item % job->col_blocks;
        const int64_t row_block = item / job->col_blocks % job->row_blocks;
        const int64_t batch = item / job->col_blocks / job->row_blocks;
        const int64_t rows[2] = {row_block * job->block_rows,
                                 row_block + 1 < job->row_blocks ? (row_block + 1) * job->block_rows
                                                                 : job->rows};
        const int64_t cols[2] = {col_block * job->block_cols,
                                 col_block + 1 < job->col_blocks ? (col_block + 1) * job->block_cols
                                                                 : job->cols};
        run_block(job, batch, rows, cols, thread);
    }
}

/** Returns whether the product needs a place of its own until the residual has been read. */
static int needs_buffer(const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    return params->activation != TTM_ACTIVATION_NONE &&
           ttm_tensor_present(&op->tensors[TTM_MATMUL_RESIDUAL]) &&
           (params->activation == TTM_ACTIVATION_GELU_BACKWARD ||
            !ttm_tensor_present(&op->tensors[TTM_MATMUL_PRE]));
}

/** Returns the floats of that place. */
static size_t buffer_floats(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    return needs_buffer(op) ? ((size_t)extent(out, 0, out->rank) + 15) / 16 * 16 : 0;
}

/** Reads an op that is supported and plans its blocks; returns whether there is anything to do. */
static int plan_matmul(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    if (!read_matmul(job, device, op) || job->rows == 0 || job->cols == 0) {
        return 0;
    }
    choose_blocks(job);
    if (device->own_products && !job->thin) {
        const int64_t batches = job->batch[0] * job->batch[1];
        if (batches == 1 || batches < device->threads) {
            ttm_cpu_matmul_plan_shared(job);
        } else {
            const size_t wanted = device->kernels->product_scratch(job->block_cols, job->depth);
            job->scratch_floats = (wanted + 15) / 16 * 16;
        }
    }
    return 1;
}

/** Returns the floats of the partial sums. */
static size_t partial_floats(const matmul *job)
{
    return (size_t)(job->parts * job->rows * job->cols);
}

static size_t matmul_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    if (is_bf16(op)) {
        return ttm_cpu_matmul_bf16_workspace(device, op);
    }
    return plan_matmul(&job, device, op)
               ? (buffer_floats(op) + partial_floats(&job) +
                  (size_t)device->threads * job.scratch_floats + job.packed_floats) *
                     sizeof(float)
               : 0;
}

static void matmul_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    if (is_bf16(op)) {
        ttm_cpu_matmul_bf16_run(device, op);
        return;
    }
    if (!plan_matmul(&job, device, op)) {
        return;
    }
    if (job.scratch_floats > 0) {
        job.scratch = floats(&op->workspace) + buffer_floats(op);
    }
    if (!needs_buffer(op)) {
        job.value = NULL;
    }
    if (job.parts > 0) {
        job.partial = floats(&op->workspace) + buffer_floats(op);
        ttm_cpu_parallel(device, job.parts, 1, run_parts, &job);
    }
    if (job.packed_floats > 0) {
        ttm_cpu_matmul_run_shared(&job);
        return;
    }
    const int64_t items = job.batch[0] * job.batch[1] * job.row_blocks * job.col_blocks;
    ttm_cpu_parallel(device, items, 1, run_blocks, &job);
}

const ttm_cpu_op ttm_cpu_op_matmul = {matmul_supported, matmul_workspace_bytes, matmul_op_run};
