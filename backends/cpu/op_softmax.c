/* SOFTMAX and CROSS_ENTROPY, row by row. */
#include "cpu/op.h"

#include <string.h>

/** Elements that a thread takes at a time at least. */
#define SHARE_ELEMENTS 16384

static int64_t rows_a_share(const ttm_backend_device *device, int64_t rows, int64_t cols)
{
    return ttm_cpu_piece(device, rows, 1 + SHARE_ELEMENTS / (cols > 0 ? cols : 1));
}

/* ---- SOFTMAX ---- */

typedef struct softmax_job {
    const ttm_cpu_kernels *kernels;
    const ttm_tensor *out;
    const ttm_tensor *x;
    int64_t rows; /**< Of one matrix. */
    int64_t cols;
    float scale;
    int causal;
} softmax_job;

/** Returns the address of row `row` of all the batch's rows. */
static void *row_of(const ttm_tensor *tensor, int64_t row)
{
    int64_t first = 0;
    for (int i = tensor->rank - 2; i >= 0; i--) {
        first += row % tensor->shape[i] * tensor->stride[i];
        row /= tensor->shape[i];
    }
    return moved(host_tensor_data(tensor), first, ttm_dtype_bytes(tensor->dtype));
}

static void softmax_rows(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const softmax_job *job = context;
    for (int64_t row = first; row < last; row++) {
        int64_t seen = job->cols;
        if (job->causal) {
            seen = row % job->rows + job->cols - job->rows + 1;
            seen = seen < 0 ? 0 : seen;
            seen = seen > job->cols ? job->cols : seen;
        }
        job->kernels->softmax(row_of(job->out, row), row_of(job->x, row), job->scale, (size_t)seen,
                              (size_t)job->cols);
    }
}

static int softmax_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_SOFTMAX_OUT, TTM_SOFTMAX_X) &&
           all_unit_last(op, TTM_SOFTMAX_OUT, TTM_SOFTMAX_X);
}

static void softmax_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_softmax_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_SOFTMAX_OUT];
    const int64_t rows = extent(out, 0, out->rank - 1);
    softmax_job job = {.kernels = kernels_for(device, out->dtype),
                       .out = out,
                       .x = &op->tensors[TTM_SOFTMAX_X],
                       .rows = out->shape[out->rank - 2],
                       .cols = out->shape[out->rank - 1],
                       .scale = (float)params->scale,
                       .causal = params->causal};
    if (job.cols > 0) {
        ttm_cpu_parallel(device, rows, rows_a_share(device, rows, job.cols), softmax_rows, &job);
    }
}

const ttm_cpu_op ttm_cpu_op_softmax = {softmax_supported, NULL, softmax_op_run};

/* ---- CROSS_ENTROPY ---- */

typedef struct cross_entropy_job {
    const ttm_cpu_kernels *kernels;
    size_t element_bytes;
    float *loss;
    void *dlogits;
    const void *logits;
    const int32_t *targets;
    int64_t loss_step;
    int64_t dlogits_row;
    int64_t logits_row;
    int64_t target_step;
    int64_t vocab;
    float gradient_scale;
} cross_entropy_job;

static void cross_entropy_rows(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const cross_entropy_job *job = context;
    for (int64_t row = first; row < last; row++) {
        const int32_t target = job->targets[row * job->target_step];
        void *dlogits = moved(job->dlogits, row * job->dlogits_row, job->element_bytes);
        float loss = 0.0F;
        if (target >= 0 && target < job->vocab) {
            loss = job->kernels->cross_entropy(
                dlogits, moved(job->logits, row * job->logits_row, job->element_bytes),
                (size_t)job->vocab, (size_t)target, job->gradient_scale);
        } else if (dlogits != NULL) {
            memset(dlogits, 0, (size_t)job->vocab * job->element_bytes);
        }
        job->loss[row * job->loss_step] = loss;
    }
}

static int cross_entropy_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return is_f32_or_absent(&op->tensors[TTM_CROSS_ENTROPY_LOSS]) &&
           one_element_type(op, TTM_CROSS_ENTROPY_LOGITS, TTM_CROSS_ENTROPY_LOGITS) &&
           unit_last(&op->tensors[TTM_CROSS_ENTROPY_LOGITS]) &&
           unit_last(&op->tensors[TTM_CROSS_ENTROPY_DLOGITS]);
}

static void cross_entropy_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_cross_entropy_params *params = op->params;
    const ttm_tensor *loss = &op->tensors[TTM_CROSS_ENTROPY_LOSS];
    const ttm_tensor *logits = &op->tensors[TTM_CROSS_ENTROPY_LOGITS];
    const ttm_tensor *targets = &op->tensors[TTM_CROSS_ENTROPY_TARGETS];
    const ttm_tensor *dlogits = &op->tensors[TTM_CROSS_ENTROPY_DLOGITS];
    cross_entropy_job job = {.kernels = kernels_for(device, logits->dtype),
                             .element_bytes = ttm_dtype_bytes(logits->dtype),
                             .loss = host_tensor_data(loss),
                             .dlogits = data_of(dlogits),
                             .logits = host_tensor_data(logits),
                             .targets = host_tensor_data(targets),
                             .loss_step = loss->stride[0],
                             .dlogits_row = dlogits->stride[0],
                             .logits_row = logits->stride[0],
                             .target_step = targets->stride[0],
                             .vocab = logits->shape[1],
                             .gradient_scale = (float)params->gradient_scale};
    const int64_t rows = logits->shape[0];
    ttm_cpu_parallel(device, rows, rows_a_share(device, rows, job.vocab), cross_entropy_rows, &job);
}

const ttm_cpu_op ttm_cpu_op_cross_entropy = {cross_entropy_supported, NULL, cross_entropy_op_run};
