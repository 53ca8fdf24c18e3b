/* LAYER_NORM and LAYER_NORM_BACKWARD. The sums over rows are taken over fixed chunks of rows, which
 * are added in ascending order: the same bits for any number of threads. */
#include "cpu/op.h"

#include <string.h>

/** Rows of a chunk at least, and the most chunks. */
#define CHUNK_ROWS  32
#define MOST_CHUNKS 128
/** Elements that a thread takes at a time at least. */
#define SHARE_ELEMENTS 16384

/* ---- LAYER_NORM ---- */

typedef struct forward_job {
    const ttm_cpu_kernels *kernels;
    ttm_cpu_layer_norm rows;
} forward_job;

static void forward_rows(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const forward_job *job = context;
    job->kernels->layer_norm(&job->rows, (size_t)first, (size_t)last);
}

static int layer_norm_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_LAYER_NORM_OUT, TTM_LAYER_NORM_BETA) &&
           one_element_type(op, TTM_LAYER_NORM_RESIDUAL, TTM_LAYER_NORM_SUM) &&
           all_f32(op, TTM_LAYER_NORM_MEAN, TTM_LAYER_NORM_RSTD) &&
           all_unit_last(op, TTM_LAYER_NORM_OUT, TTM_LAYER_NORM_SUM);
}

static void layer_norm_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_layer_norm_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const int64_t rows = tensors[TTM_LAYER_NORM_X].shape[0];
    const int64_t cols = tensors[TTM_LAYER_NORM_X].shape[1];
    forward_job job = {.kernels = kernels_for(device, tensors[TTM_LAYER_NORM_X].dtype),
                       .rows = {
                           .x = data_of(&tensors[TTM_LAYER_NORM_X]),
                           .residual = data_of(&tensors[TTM_LAYER_NORM_RESIDUAL]),
                           .sum = data_of(&tensors[TTM_LAYER_NORM_SUM]),
                           .out = data_of(&tensors[TTM_LAYER_NORM_OUT]),
                           .gamma = data_of(&tensors[TTM_LAYER_NORM_GAMMA]),
                           .beta = data_of(&tensors[TTM_LAYER_NORM_BETA]),
                           .mean = floats(&tensors[TTM_LAYER_NORM_MEAN]),
                           .rstd = floats(&tensors[TTM_LAYER_NORM_RSTD]),
                           .x_row = tensors[TTM_LAYER_NORM_X].stride[0],
                           .residual_row = tensors[TTM_LAYER_NORM_RESIDUAL].stride[0],
                           .sum_row = tensors[TTM_LAYER_NORM_SUM].stride[0],
                           .out_row = tensors[TTM_LAYER_NORM_OUT].stride[0],
                           .cols = (size_t)cols,
                           .epsilon = params->epsilon,
                       }};
    ttm_cpu_parallel(device, rows,
                     ttm_cpu_piece(device, rows, 1 + SHARE_ELEMENTS / (cols > 0 ? cols : 1)),
                     forward_rows, &job);
}

const ttm_cpu_op ttm_cpu_op_layer_norm = {layer_norm_supported, NULL, layer_norm_op_run};

/* ---- LAYER_NORM_BACKWARD ---- */

typedef struct backward_job {
    const ttm_cpu_kernels *kernels;
    ttm_cpu_layer_norm_backward rows;
    int64_t row_count;
    int64_t chunk;
    int64_t chunks;
    float *partial; /**< [chunks, 2, cols] */
    float *dgamma;
    float *dbeta;
} backward_job;

static int64_t chunk_rows(int64_t rows)
{
    const int64_t chunk = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return chunk < CHUNK_ROWS ? CHUNK_ROWS : chunk;
}

static int64_t chunk_count(int64_t rows)
{
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

static void backward_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const backward_job *job = context;
    const size_t cols = job->rows.cols;
    for (int64_t chunk = first; chunk < last; chunk++) {
        ttm_cpu_layer_norm_backward rows = job->rows;
        const int64_t start = chunk * job->chunk;
        const int64_t end =
            start + job->chunk < job->row_count ? start + job->chunk : job->row_count;
        rows.dgamma = job->partial + (size_t)chunk * 2 * cols;
        rows.dbeta = rows.dgamma + cols;
        memset(rows.dgamma, 0, 2 * cols * sizeof(float));
        job->kernels->layer_norm_backward(&rows, (size_t)start, (size_t)end);
    }
}

static void add_chunks(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const backward_job *job = context;
    const size_t cols = job->rows.cols;
    for (int64_t col = first; col < last; col++) {
        float dgamma = 0.0F;
        float dbeta = 0.0F;
        for (int64_t chunk = 0; chunk < job->chunks; chunk++) {
            const float *partial = job->partial + (size_t)chunk * 2 * cols;
            dgamma += partial[col];
            dbeta += partial[(size_t)col + cols];
        }
        job->dgamma[col] += dgamma;
        job->dbeta[col] += dbeta;
    }
}

static int layer_norm_backward_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_LAYER_NORM_BACKWARD_DX, TTM_LAYER_NORM_BACKWARD_GAMMA) &&
           all_f32(op, TTM_LAYER_NORM_BACKWARD_MEAN, TTM_LAYER_NORM_BACKWARD_DBETA) &&
           all_unit_last(op, TTM_LAYER_NORM_BACKWARD_DX, TTM_LAYER_NORM_BACKWARD_DBETA);
}

static size_t layer_norm_backward_workspace_bytes(const ttm_backend_device *device,
                                                  const ttm_op *op)
{
    (void)device;
    const ttm_tensor *x = &op->tensors[TTM_LAYER_NORM_BACKWARD_X];
    return (size_t)(chunk_count(x->shape[0]) * 2 * x->shape[1]) * sizeof(float);
}

static void layer_norm_backward_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_layer_norm_backward_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const int64_t rows = tensors[TTM_LAYER_NORM_BACKWARD_X].shape[0];
    const int64_t cols = tensors[TTM_LAYER_NORM_BACKWARD_X].shape[1];
    backward_job job = {
        .kernels = kernels_for(device, tensors[TTM_LAYER_NORM_BACKWARD_X].dtype),
        .rows =
            {
                .dx = data_of(&tensors[TTM_LAYER_NORM_BACKWARD_DX]),
                .dy = data_of(&tensors[TTM_LAYER_NORM_BACKWARD_DY]),
                .x = data_of(&tensors[TTM_LAYER_NORM_BACKWARD_X]),
                .gamma = data_of(&tensors[TTM_LAYER_NORM_BACKWARD_GAMMA]),
                .mean = floats(&tensors[TTM_LAYER_NORM_BACKWARD_MEAN]),
                .rstd = floats(&tensors[TTM_LAYER_NORM_BACKWARD_RSTD]),
                .dx_row = tensors[TTM_LAYER_NORM_BACKWARD_DX].stride[0],
                .dy_row = tensors[TTM_LAYER_NORM_BACKWARD_DY].stride[0],
                .x_row = tensors[TTM_LAYER_NORM_BACKWARD_X].stride[0],
                .cols = (size_t)cols,
                .accumulate = params->dx_beta != 0.0,
            },
        .row_count = rows,
        .chunk = chunk_rows(rows),
        .chunks = chunk_count(rows),
        .partial = floats(&op->workspace),
        .dgamma = floats(&tensors[TTM_LAYER_NORM_BACKWARD_DGAMMA]),
        .dbeta = floats(&tensors[TTM_LAYER_NORM_BACKWARD_DBETA]),
    };
    if (cols > 0) {
        ttm_cpu_parallel(device, job.chunks, 1, backward_chunks, &job);
        ttm_cpu_parallel(device, cols, 1024, add_chunks, &job);
    }
}

const ttm_cpu_op ttm_cpu_op_layer_norm_backward = {
    layer_norm_backward_supported, layer_norm_backward_workspace_bytes, layer_norm_backward_op_run};
