/* REDUCE_ROWS and SUM_OF_SQUARES: partial sums over fixed chunks, added up in ascending order, so
 * that the result doesn't depend on the number of threads. */
#include "cpu/op.h"

#include <string.h>

/** Rows of a chunk, and the most chunks. */
#define CHUNK_ROWS  64
#define MOST_CHUNKS 256
/** Elements of a chunk of SUM_OF_SQUARES. */
#define CHUNK_ELEMENTS 65536

/* ---- REDUCE_ROWS ---- */

typedef struct reduce_job {
    const ttm_cpu_kernels *kernels;
    size_t element_bytes;
    float *out;
    const void *x;
    ptrdiff_t x_row;
    int64_t out_step;
    int64_t rows;
    int64_t cols;
    int64_t chunk;
    int64_t chunks;
    float *partial; /**< [chunks, cols] */
    float alpha;
    int beta;
} reduce_job;

static int64_t chunk_rows(int64_t rows)
{
    const int64_t chunk = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return chunk < CHUNK_ROWS ? CHUNK_ROWS : chunk;
}

static int64_t chunk_count(int64_t rows)
{
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

static void reduce_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const reduce_job *job = context;
    for (int64_t chunk = first; chunk < last; chunk++) {
        float *partial = job->partial + chunk * job->cols;
        const int64_t start = chunk * job->chunk;
        const int64_t rows = job->rows - start < job->chunk ? job->rows - start : job->chunk;
        memset(partial, 0, (size_t)job->cols * sizeof(float));
        job->kernels->sum_rows(partial, moved(job->x, start * job->x_row, job->element_bytes),
                               job->x_row, (size_t)rows, (size_t)job->cols);
    }
}

static void add_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const reduce_job *job = context;
    for (int64_t col = first; col < last; col++) {
        float sum = 0.0F;
        for (int64_t chunk = 0; chunk < job->chunks; chunk++) {
            sum += job->partial[chunk * job->cols + col];
        }
        float *out = job->out + col * job->out_step;
        *out = job->beta ? *out + job->alpha * sum : job->alpha * sum;
    }
}

static int reduce_rows_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return is_f32_or_absent(&op->tensors[TTM_REDUCE_ROWS_OUT]) &&
           one_element_type(op, TTM_REDUCE_ROWS_X, TTM_REDUCE_ROWS_X) &&
           unit_last(&op->tensors[TTM_REDUCE_ROWS_X]);
}

static size_t reduce_rows_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *x = &op->tensors[TTM_REDUCE_ROWS_X];
    return (size_t)(chunk_count(x->shape[0]) * x->shape[1]) * sizeof(float);
}

static void reduce_rows_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_reduce_rows_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_REDUCE_ROWS_OUT];
    const ttm_tensor *x = &op->tensors[TTM_REDUCE_ROWS_X];
    reduce_job job = {
        .kernels = kernels_for(device, x->dtype),
        .element_bytes = ttm_dtype_bytes(x->dtype),
        .out = host_tensor_data(out),
        .x = host_tensor_data(x),
        .x_row = x->stride[0],
        .out_step = out->shape[0] > 1 ? out->stride[0] : 1,
        .rows = x->shape[0],
        .cols = x->shape[1],
        .chunk = chunk_rows(x->shape[0]),
        .chunks = chunk_count(x->shape[0]),
        .partial = floats(&op->workspace),
        .alpha = (float)params->alpha,
        .beta = params->beta != 0.0,
    };
    if (job.cols > 0) {
        ttm_cpu_parallel(device, job.chunks, 1, reduce_chunks, &job);
        ttm_cpu_parallel(device, job.cols, 4096, add_chunks, &job);
    }
}

const ttm_cpu_op ttm_cpu_op_reduce_rows = {reduce_rows_supported, reduce_rows_workspace_bytes,
                                           reduce_rows_op_run};

/* ---- SUM_OF_SQUARES ---- */

typedef struct squares_job {
    const ttm_cpu_kernels *kernels;
    size_t element_bytes;
    const void *x;
    int64_t count;
    double *partial; /**< [chunks] */
} squares_job;

static void square_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const squares_job *job = context;
    for (int64_t chunk = first; chunk < last; chunk++) {
        const int64_t start = chunk * CHUNK_ELEMENTS;
        const int64_t left = job->count - start;
        job->partial[chunk] =
            job->kernels->sum_of_squares(moved(job->x, start, job->element_bytes),
                                         (size_t)(left < CHUNK_ELEMENTS ? left : CHUNK_ELEMENTS));
    }
}

static int64_t square_chunk_count(const ttm_op *op)
{
    return (op->tensors[TTM_SUM_OF_SQUARES_X].shape[0] + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
}

static int sum_of_squares_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return is_f32_or_absent(&op->tensors[TTM_SUM_OF_SQUARES_OUT]) &&
           one_element_type(op, TTM_SUM_OF_SQUARES_X, TTM_SUM_OF_SQUARES_X) &&
           unit_last(&op->tensors[TTM_SUM_OF_SQUARES_X]);
}

static size_t sum_of_squares_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return (size_t)square_chunk_count(op) * sizeof(double);
}

static void sum_of_squares_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_sum_of_squares_params *params = op->params;
    const ttm_tensor *x = &op->tensors[TTM_SUM_OF_SQUARES_X];
    float *out = floats(&op->tensors[TTM_SUM_OF_SQUARES_OUT]);
    const int64_t chunks = square_chunk_count(op);
    squares_job job = {.kernels = kernels_for(device, x->dtype),
                       .element_bytes = ttm_dtype_bytes(x->dtype),
                       .x = host_tensor_data(x),
                       .count = x->shape[0],
                       .partial = chunks > 0 ? host_tensor_data(&op->workspace) : NULL};
    ttm_cpu_parallel(device, chunks, ttm_cpu_piece(device, chunks, 1), square_chunks, &job);
    double total = params->beta != 0.0 ? (double)*out : 0.0;
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        total += job.partial[chunk];
    }
    *out = (float)total;
}

const ttm_cpu_op ttm_cpu_op_sum_of_squares = {
    sum_of_squares_supported, sum_of_squares_workspace_bytes, sum_of_squares_op_run};
