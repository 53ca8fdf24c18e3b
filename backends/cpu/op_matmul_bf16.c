/* MATMUL of bf16 matrices, with bf16 or f32 results.
 *
 * out is cut into blocks that the threads take one after another. A block is summed up in f32 in
 * the thread's scratch, over parts of the depth for which a's and b's numbers are widened, and then
 * finished: bias, activation and residual are applied in f32, and what is stored is rounded once.
 * Products with few rows read b as it lies, with the kernels for decoding. */
#include "cpu/op_matmul_bf16.h"

#include "cpu/blas.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

/** The largest block and the depth that is widened at once: scratch of 2.4 MB a thread. */
#define BLOCK_ROWS 768
#define BLOCK_COLS 384
#define PART       256
/** Blocks aren't cut finer than this for the sake of having some for each thread. */
#define LEAST_ROWS       48
#define BLOCKS_A_THREAD  4
#define SCRATCH_ALIGNING 16
/** Columns that a thread takes at a time in a product with few rows. */
#define THIN_COLUMNS 1024
/** Multiply-accumulates from which a product's speed matters. */
#define WORTH_A_WORD 0x1p26

/** A matrix operand. Row-major, or where transposed column-major. */
typedef struct operand {
    unsigned char *data; /**< NULL where absent. */
    ttm_dtype dtype;
    int64_t batch_stride[2];
    int64_t line; /**< Distance between rows, or between columns where transposed. */
    int transposed;
} operand;

typedef struct product {
    const ttm_backend_device *device;
    int64_t batch[2];
    int64_t rows;
    int64_t cols;
    int64_t depth;
    operand a;
    operand b;
    operand out;
    operand residual;
    operand pre;
    operand bias;
    float alpha;
    int beta;
    ttm_activation activation;
    int thin;
    int64_t block_rows;
    int64_t block_cols;
    int64_t row_blocks;
    int64_t col_blocks;
    size_t own_floats;    /**< Of scratch for our own product kernel, in thread_floats. */
    size_t thread_floats; /**< Of scratch for a thread. */
    float *scratch;       /**< First a itself for a thin product, then the threads' parts. */
    size_t shared_floats; /**< Of that copy of a. */
} product;

/* ---- Reading the op ---- */

/** Reads a tensor whose last two dimensions are a matrix; returns whether one of them is
 * contiguous, the last one where `rows_only`. */
static int read_operand(operand *result, const ttm_tensor *tensor, int rows_only)
{
    memset(result, 0, sizeof *result);
    if (!ttm_tensor_present(tensor)) {
        return 1;
    }
    const int rank = tensor->rank;
    const int64_t rows = tensor->shape[rank - 2];
    const int64_t cols = tensor->shape[rank - 1];
    result->data = host_tensor_data(tensor);
    result->dtype = tensor->dtype;
    for (int i = 0; i < rank - 2; i++) {
        result->batch_stride[2 - (rank - 2) + i] = tensor->stride[i];
    }
    if (cols <= 1 || tensor->stride[rank - 1] == 1) {
        result->line = tensor->stride[rank - 2];
        return 1;
    }
    result->transposed = 1;
    result->line = tensor->stride[rank - 1];
    return !rows_only && (rows <= 1 || tensor->stride[rank - 2] == 1);
}

static int read_product(product *job, const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *out = &tensors[TTM_MATMUL_OUT];
    const ttm_tensor *bias = &tensors[TTM_MATMUL_BIAS];
    const int rank = out->rank;
    *job = (product){.device = device,
                     .batch = {1, 1},
                     .rows = out->shape[rank - 2],
                     .cols = out->shape[rank - 1],
                     .depth = tensors[TTM_MATMUL_A].shape[rank - 1],
                     .bias = {.data = ttm_tensor_present(bias) ? host_tensor_data(bias) : NULL,
                              .dtype = bias->dtype},
                     .alpha = (float)params->alpha,
                     .beta = params->beta != 0.0,
                     .activation = params->activation};
    for (int i = 0; i < rank - 2; i++) {
        job->batch[2 - (rank - 2) + i] = out->shape[i];
    }
    return (out->dtype == TTM_BF16 || out->dtype == TTM_F32) && job->rows <= INT_MAX &&
           job->cols <= INT_MAX && job->depth <= INT_MAX && unit_last(bias) &&
           read_operand(&job->a, &tensors[TTM_MATMUL_A], 0) &&
           read_operand(&job->b, &tensors[TTM_MATMUL_B], 0) && read_operand(&job->out, out, 1) &&
           read_operand(&job->residual, &tensors[TTM_MATMUL_RESIDUAL], 1) &&
           read_operand(&job->pre, &tensors[TTM_MATMUL_PRE], 1);
}

int ttm_cpu_matmul_bf16_supported(const ttm_backend_device *device, const ttm_op *op)
{
    product job;
    return read_product(&job, device, op);
}

/* ---- Planning ---- */

static int64_t divide_up(int64_t count, int64_t parts)
{
    return (count + parts - 1) / parts;
}

static size_t aligned(size_t count)
{
    return (count + SCRATCH_ALIGNING - 1) / SCRATCH_ALIGNING * SCRATCH_ALIGNING;
}

static int64_t block_count(const product *job)
{
    return job->batch[0] * job->batch[1] * divide_up(job->rows, job->block_rows) *
           divide_up(job->cols, job->block_cols);
}

static void plan_blocks(product *job)
{
    const int64_t wanted = job->device->threads == 1 ? 1 : job->device->threads * BLOCKS_A_THREAD;
    job->block_rows = job->rows < BLOCK_ROWS ? job->rows : BLOCK_ROWS;
    job->block_cols = job->cols < BLOCK_COLS ? job->cols : BLOCK_COLS;
    while (block_count(job) < wanted && job->block_rows > LEAST_ROWS) {
        job->block_rows = divide_up(job->block_rows, 2);
    }
    if (job->device->own_products) {
        job->own_floats = aligned(job->device->kernels->product_scratch(
            job->block_cols, job->depth < PART ? job->depth : PART));
    }
    job->thread_floats = aligned((size_t)(job->block_rows * PART)) +
                         aligned((size_t)(PART * job->block_cols)) +
                         aligned((size_t)(job->block_rows * job->block_cols)) + job->own_floats;
}

/** Plans an op that is supported; returns whether there is anything to do. */
static int plan_product(product *job, const ttm_backend_device *device, const ttm_op *op)
{
    if (!read_product(job, device, op) || job->rows == 0 || job->cols == 0) {
        return 0;
    }
    const int64_t batches = job->batch[0] * job->batch[1];
    job->thin = job->rows <= TTM_CPU_THIN_ROWS && !job->a.transposed && batches == 1;
    if (job->thin) {
        job->block_rows = job->rows;
        job->block_cols = job->cols < THIN_COLUMNS ? job->cols : THIN_COLUMNS;
        job->shared_floats = aligned((size_t)(job->rows * job->depth));
        job->thread_floats = aligned((size_t)(job->rows * job->block_cols));
    } else {
        plan_blocks(job);
    }
    job->row_blocks = divide_up(job->rows, job->block_rows);
    job->col_blocks = divide_up(job->cols, job->block_cols);
    return 1;
}

size_t ttm_cpu_matmul_bf16_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    product job;
    return plan_product(&job, device, op)
               ? (job.shared_floats + (size_t)device->threads * job.thread_floats) * sizeof(float)
               : 0;
}

/* ---- Numbers in and out ---- */

/** Returns the address of element (row, col) of matrix `batch`. */
static void *element_of(const product *job, const operand *from, int64_t batch, int64_t row,
                        int64_t col)
{
    const int64_t line = from->transposed ? col : row;
    const int64_t place = from->transposed ? row : col;
    const int64_t number = batch / job->batch[1] * from->batch_stride[0] +
                           batch % job->batch[1] * from->batch_stride[1] + line * from->line +
                           place;
    return from->data + (size_t)number * ttm_dtype_bytes(from->dtype);
}

static void widen(const product *job, float *target, const void *source, ttm_dtype dtype,
                  int64_t count)
{
    if (dtype == TTM_F32) {
        memcpy(target, source, (size_t)count * sizeof(float));
    } else {
        job->device->kernels->bf16_to_f32(target, source, (size_t)count);
    }
}

static void narrow(const product *job, void *target, ttm_dtype dtype, const float *source,
                   int64_t count)
{
    if (dtype == TTM_F32) {
        memcpy(target, source, (size_t)count * sizeof(float));
    } else {
        job->device->kernels->f32_to_bf16(target, source, (size_t)count);
    }
}

/** value[0 … count) = what the op makes of the sums in it for row `row` from column `col` on, and
 * stores that. */
static void finish_row(const product *job, float *value, int64_t batch, int64_t row, int64_t col,
                       int64_t count)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    float other[THIN_COLUMNS];
    void *out = element_of(job, &job->out, batch, row, col);
    if (job->beta) {
        widen(job, other, out, job->out.dtype, count);
        kernels->add(value, value, 1.0F, other, 1.0F, (size_t)count);
    }
    if (job->bias.data != NULL) {
        widen(job, other, job->bias.data + (size_t)col * ttm_dtype_bytes(job->bias.dtype),
              job->bias.dtype, count);
        kernels->add(value, value, 1.0F, other, 1.0F, (size_t)count);
    }
    if (job->activation == TTM_ACTIVATION_GELU) {
        if (job->pre.data != NULL) {
            narrow(job, element_of(job, &job->pre, batch, row, col), job->pre.dtype, value, count);
        }
        kernels->gelu(value, value, (size_t)count);
    } else if (job->activation == TTM_ACTIVATION_GELU_BACKWARD) {
        widen(job, other, element_of(job, &job->pre, batch, row, col), job->pre.dtype, count);
        kernels->gelu_backward(value, value, other, (size_t)count);
    }
    if (job->residual.data != NULL) {
        widen(job, other, element_of(job, &job->residual, batch, row, col), job->residual.dtype,
              count);
        kernels->add(value, value, 1.0F, other, 1.0F, (size_t)count);
    }
    narrow(job, out, job->out.dtype, value, count);
}

/* ---- Blocks ---- */

/** target = rows × cols numbers of an operand from (row, col) on, line by line as they lie; lines
 * are then as long as the operand's contiguous side of the part. */
static void widen_part(const product *job, float *target, const operand *from, int64_t batch,
                       int64_t row, int64_t rows, int64_t col, int64_t cols)
{
    const int64_t lines = from->transposed ? cols : rows;
    const int64_t length = from->transposed ? rows : cols;
    for (int64_t line = 0; line < lines; line++) {
        const void *source = from->transposed ? element_of(job, from, batch, row, col + line)
                                              : element_of(job, from, batch, row + line, col);
        widen(job, target + line * length, source, TTM_BF16, length);
    }
}

/** sums [rows, cols] (+)= alpha·a·b of widened parts. */
static void multiply_part(const product *job, float *sums, const float *a, const float *b,
                          int64_t rows, int64_t cols, int64_t depth, int accumulate, float *own)
{
    const int64_t a_line = job->a.transposed ? rows : depth;
    const int64_t b_line = job->b.transposed ? depth : cols;
    if (!job->device->own_products) {
        ttm_cpu_sgemm(job->a.transposed, job->b.transposed, rows, cols, depth, job->alpha, a,
                      a_line, b, b_line, accumulate ? 1.0F : 0.0F, sums, cols);
        return;
    }
    const ttm_cpu_product part = {
        .a = a,
        .a_row = job->a.transposed ? 1 : a_line,
        .a_col = job->a.transposed ? a_line : 1,
        .b = b,
        .b_row = job->b.transposed ? 1 : b_line,
        .b_col = job->b.transposed ? b_line : 1,
        .out = sums,
        .out_row = cols,
        .partial = sums,
        .partial_row = cols,
        .activation = TTM_CPU_IDENTITY,
        .add_out = accumulate,
        .rows = rows,
        .cols = cols,
        .depth = depth,
        .first_part = 0,
        .last_part = job->device->kernels->product_parts(depth),
        .alpha = job->alpha,
        .scratch = own,
    };
    job->device->kernels->product(&part);
}

static void run_block(const product *job, int64_t batch, int64_t row, int64_t rows, int64_t col,
                      int64_t cols, float *scratch)
{
    float *a = scratch;
    float *b = a + aligned((size_t)(job->block_rows * PART));
    float *sums = b + aligned((size_t)(PART * job->block_cols));
    float *own = sums + aligned((size_t)(job->block_rows * job->block_cols));
    if (job->depth == 0) {
        memset(sums, 0, (size_t)(rows * cols) * sizeof(float));
    }
    for (int64_t start = 0; start < job->depth; start += PART) {
        const int64_t depth = job->depth - start < PART ? job->depth - start : PART;
        widen_part(job, a, &job->a, batch, row, rows, start, depth);
        widen_part(job, b, &job->b, batch, start, depth, col, cols);
        multiply_part(job, sums, a, b, rows, cols, depth, start > 0, own);
    }
    for (int64_t i = 0; i < rows; i++) {
        finish_row(job, sums + i * cols, batch, row + i, col, cols);
    }
}

/** Few rows: a is widened already, b is read once as it lies. */
static void run_thin_block(const product *job, int64_t col, int64_t cols, float *sums)
{
    const ttm_cpu_thin_product part = {
        .c = sums,
        .c_row = cols,
        .a = job->scratch,
        .a_row = job->depth,
        .b = element_of(job, &job->b, 0, 0, col),
        .b_row = job->b.line,
        .rows = (int)job->rows,
        .one_run = job->device->one_run,
        .cols = cols,
        .depth = job->depth,
        .alpha = job->alpha,
    };
    memset(sums, 0, (size_t)(job->rows * cols) * sizeof(float));
    if (job->b.transposed) {
        job->device->kernels->bf16->thin_columns(&part);
    } else {
        job->device->kernels->bf16->thin_rows(&part);
    }
    for (int64_t i = 0; i < job->rows; i++) {
        finish_row(job, sums + i * cols, 0, i, col, cols);
    }
}

static void run_blocks(void *context, int64_t first, int64_t last, int thread)
{
    const product *job = context;
    float *scratch = job->scratch + job->shared_floats + (size_t)thread * job->thread_floats;
    for (int64_t item = first; item < last; item++) {
        const int64_t col = item % job->col_blocks * job->block_cols;
        const int64_t row = item / job->col_blocks % job->row_blocks * job->block_rows;
        const int64_t batch = item / job->col_blocks / job->row_blocks;
        const int64_t rows = job->rows - row;
        const int64_t cols = job->cols - col;
        if (job->thin) {
            run_thin_block(job, col, cols < job->block_cols ? cols : job->block_cols, scratch);
        } else {
            run_block(job, batch, row, rows < job->block_rows ? rows : job->block_rows, col,
                      cols < job->block_cols ? cols : job->block_cols, scratch);
        }
    }
}

/** Warns once a process, and not of products that take no time anyway. */
static void say_what_it_costs(const product *job)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    const double terms = (double)job->rows * (double)job->cols * (double)job->depth;
    if (terms >= WORTH_A_WORD && !atomic_flag_test_and_set(&said)) {
        host_log(TTM_LOG_WARNING, "the cpu backend multiplies bf16 matrices in fp32: bf16 saves "
                                  "memory here, but fp32 is faster");
    }
}

void ttm_cpu_matmul_bf16_run(const ttm_backend_device *device, const ttm_op *op)
{
    product job;
    if (!plan_product(&job, device, op)) {
        return;
    }
    say_what_it_costs(&job);
    job.scratch = floats(&op->workspace);
    if (job.thin) {
        for (int64_t row = 0; row < job.rows; row++) {
            widen(&job, job.scratch + row * job.depth, element_of(&job, &job.a, 0, row, 0),
                  TTM_BF16, job.depth);
        }
    }
    const int64_t items = job.batch[0] * job.batch[1] * job.row_blocks * job.col_blocks;
    ttm_cpu_parallel(device, items, 1, run_blocks, &job);
}
