/* EMBEDDING and EMBEDDING_BACKWARD. The backward pass is shared out by columns: every thread sees
 * all rows in ascending order, so no two threads add to the same element. */
#include "cpu/op.h"

#include <string.h>

/** Columns that a thread takes at a time in the backward pass: a few cache lines. */
#define SHARE_COLUMNS 64
/** Rows that a thread takes at a time in the forward pass. */
#define SHARE_ROWS 16

typedef struct embedding_job {
    const ttm_cpu_kernels *kernels; /**< For elements of out. */
    size_t out_bytes;               /**< Of an element. */
    size_t table_bytes;
    const int32_t *tokens;
    int64_t token_step;
    int64_t rows;
    int64_t cols;
    int64_t vocab;
    int64_t sequence_length;
    int64_t position_start;
    void *table; /**< Or its gradient. */
    int64_t table_row;
    void *positions; /**< Or its gradient; may be NULL. */
    int64_t positions_row;
    void *out; /**< Or its gradient. */
    int64_t out_row;
} embedding_job;

static embedding_job read_embedding(const ttm_backend_device *device, const ttm_op *op,
                                    const ttm_tensor *out, const ttm_tensor *tokens,
                                    const ttm_tensor *table, const ttm_tensor *positions)
{
    const ttm_embedding_params *params = op->params;
    return (embedding_job){.kernels = kernels_for(device, out->dtype),
                           .out_bytes = ttm_dtype_bytes(out->dtype),
                           .table_bytes = ttm_dtype_bytes(table->dtype),
                           .tokens = host_tensor_data(tokens),
                           .token_step = tokens->stride[0],
                           .rows = out->shape[0],
                           .cols = out->shape[1],
                           .vocab = table->shape[0],
                           .sequence_length = params->sequence_length,
                           .position_start = params->position_start,
                           .table = host_tensor_data(table),
                           .table_row = table->stride[0],
                           .positions = data_of(positions),
                           .positions_row = positions->stride[0],
                           .out = host_tensor_data(out),
                           .out_row = out->stride[0]};
}

static int64_t token_of(const embedding_job *job, int64_t row)
{
    const int32_t token = job->tokens[row * job->token_step];
    return token >= 0 && token < job->vocab ? token : -1;
}

static void *position_of(const embedding_job *job, int64_t row)
{
    const int64_t position = job->position_start + row % job->sequence_length;
    return moved(job->positions, position * job->positions_row, job->table_bytes);
}

/* ---- EMBEDDING ---- */

static void embed_rows(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const embedding_job *job = context;
    const size_t cols = (size_t)job->cols;
    for (int64_t row = first; row < last; row++) {
        const int64_t token = token_of(job, row);
        const void *position = position_of(job, row);
        const void *entry =
            token < 0 ? NULL : moved(job->table, token * job->table_row, job->table_bytes);
        void *out = moved(job->out, row * job->out_row, job->out_bytes);
        if (entry != NULL && position != NULL) {
            job->kernels->add(out, entry, 1.0F, position, 1.0F, cols);
        } else if (entry != NULL || position != NULL) {
            memcpy(out, entry != NULL ? entry : position, cols * job->out_bytes);
        } else {
            memset(out, 0, cols * job->out_bytes);
        }
    }
}

static int embedding_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *tensors = op->tensors;
    return one_element_type(op, TTM_EMBEDDING_OUT, TTM_EMBEDDING_OUT) &&
           unit_last(&tensors[TTM_EMBEDDING_OUT]) && unit_last(&tensors[TTM_EMBEDDING_TABLE]) &&
           unit_last(&tensors[TTM_EMBEDDING_POSITIONS]);
}

static void embedding_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    embedding_job job =
        read_embedding(device, op, &tensors[TTM_EMBEDDING_OUT], &tensors[TTM_EMBEDDING_TOKENS],
                       &tensors[TTM_EMBEDDING_TABLE], &tensors[TTM_EMBEDDING_POSITIONS]);
    ttm_cpu_parallel(device, job.rows, SHARE_ROWS, embed_rows, &job);
}

const ttm_cpu_op ttm_cpu_op_embedding = {embedding_supported, NULL, embedding_op_run};

/* ---- EMBEDDING_BACKWARD ---- */

static void add_to(const embedding_job *job, float *target, const void *gradient, int64_t count)
{
    job->kernels->sum_rows(target, gradient, 0, 1, (size_t)count);
}

static void spread_columns(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const embedding_job *job = context;
    for (int64_t row = 0; row < job->rows; row++) {
        const int64_t token = token_of(job, row);
        const void *gradient = moved(job->out, row * job->out_row + first, job->out_bytes);
        float *position = position_of(job, row);
        if (token >= 0) {
            add_to(job, (float *)job->table + token * job->table_row + first, gradient,
                   last - first);
        }
        if (position != NULL) {
            add_to(job, position + first, gradient, last - first);
        }
    }
}

static int embedding_backward_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return all_f32(op, TTM_EMBEDDING_BACKWARD_DTABLE, TTM_EMBEDDING_BACKWARD_DPOSITIONS) &&
           one_element_type(op, TTM_EMBEDDING_BACKWARD_DOUT, TTM_EMBEDDING_BACKWARD_DOUT) &&
           all_unit_last(op, TTM_EMBEDDING_BACKWARD_DTABLE, TTM_EMBEDDING_BACKWARD_DOUT);
}

static void embedding_backward_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    embedding_job job = read_embedding(
        device, op, &tensors[TTM_EMBEDDING_BACKWARD_DOUT], &tensors[TTM_EMBEDDING_BACKWARD_TOKENS],
        &tensors[TTM_EMBEDDING_BACKWARD_DTABLE], &tensors[TTM_EMBEDDING_BACKWARD_DPOSITIONS]);
    const int64_t even = (job.cols + device->threads - 1) / device->threads;
    const int64_t piece = (even + SHARE_COLUMNS - 1) / SHARE_COLUMNS * SHARE_COLUMNS;
    ttm_cpu_parallel(device, job.cols, piece, spread_columns, &job);
}

const ttm_cpu_op ttm_cpu_op_embedding_backward = {embedding_backward_supported, NULL,
                                                  embedding_backward_op_run};
